"""Of the tutorial `looking_twice`: more arguments for each checked exercise, and wrong answers."""

GRADED = {
    "ex-tw-samples": {
        "cases": "[(0.6, -0.09, 0.05), (0.95, 0.3, 0.2)]",
        "wrong": {
            "noise / signal**2 * cosine**2": "the cosine's square over one minus it",
            "noise / signal**2 * cosine / (1 - cosine)": "it is the squared cosine that counts",
            "noise / signal**2 * (1 - cosine**2) / cosine**2": (
                "upside down: a higher cosine needs more samples"
            ),
            "signal**2 / noise * cosine**2 / (1 - cosine**2)": (
                "upside down: a stronger signal needs fewer samples"
            ),
            "noise / signal * cosine**2 / (1 - cosine**2)": "the signal enters by its square",
            "noise / (3 * signal**2)": "right for a cosine of one half only",
        },
    },
    "ex-tw-small": {
        "cases": "[(0.006, 2.0), (0.01, 1.0)]",
        "wrong": {
            "c**2 / 2 * -3 / 8 * (2 / np.pi) ** 1.5 * 324 / 6**1.5": "size is ignored",
            "c**2 / 2 * -3 / 8 * (2 / np.pi) ** 1.5 * size * 324 / 6**1.5": (
                "the label enters three times, and so does its size"
            ),
            "c**2 / 2 * 3 / 8 * (2 / np.pi) ** 1.5 * size**3 * 324 / 6**1.5": (
                "the third derivative is negative on average: the neuron saturates"
            ),
            "c**2 * -3 / 8 * (2 / np.pi) ** 1.5 * size**3 * 324 / 6**1.5": (
                "the second order of an expansion has a factor 1/2"
            ),
            "c**2 / 2 * -3 / 8 * size**3 * 324 / 6**1.5": (
                "the slope has the factor sqrt(2/pi), and it enters three times"
            ),
            "c * -3 / 8 * (2 / np.pi) ** 1.5 * size**3 * 324 / 6**1.5": (
                "the first order vanishes"
            ),
        },
    },
    "ex-tw-third": {
        "cases": "[(0.7, np.random.default_rng(6)), (5.0, np.random.default_rng(6))]",
        "wrong": {
            "by_theory(c, rng, 2)": "this is the second look",
            "by_theory(c, rng, 4)": "this is the fourth look",
            "by_theory(2 * c, rng, 2)": "two short steps are not one long one",
            "-by_theory(c, rng, 3)": "minus the cosine is asked for",
            "by_theory(c, rng, 3) ** 2": "the cosine is asked for, not its square",
        },
    },
}
