"""Further cases and wrong answers of the checked exercises of first_step/higher_spikes."""

GRADED = {
    # first_step/higher_spikes
    "ex-hs-window": {
        "cases": "[(2, 0.5, 5e4, 0.4), (4, 0.4, 200, 0.9), (5, 1.2, 1e5, 0.6)]",
        "wrong": {
            "1 / (m**0.5 * moment) ** (1 / degree)": "this is the push r, not the step size",
            "m**0.5 / pull / (m**0.5 * moment)": "degree 1: the strength grows with a power of r",
            "m ** (0.5 - 0.5 / degree)": "the power of m without its constant",
            "m ** (0.5 - 0.5 / degree) / pull": "the activation's moment is left out",
            "m ** (0.5 - 0.5 / degree) / moment ** (1 / degree)": "the pull is left out",
            "m**0.5 / pull / (m * moment) ** (1 / degree)": "a spike has the factor sqrt(m), not m",
            "m**0.5 * pull / (m**0.5 * moment) ** (1 / degree)": (
                "a stronger pull needs a shorter step"
            ),
            "m**0.5 / pull / moment ** (1 / degree)": "the strength has a factor sqrt(m)",
            "m**0.5 / pull * (m**0.5 * moment) ** (1 / degree)": "the root is turned upside down",
        },
    },
    "ex-hs-square": {
        "cases": "[(0.8, 1.05), (1.1, 1.5)]",
        "wrong": {
            "2 * r**2": "the law of small pushes: centring over k does not take out a mean over tau",
            "3**0.5 * 2**0.5 * r**2": "these readouts are not Gaussian",
            "2**0.5 * q * r**2": "the root mean square of the squared push has a root of q",
            "q**0.5 * r**2": "the centred square of k does not have mean square 1",
            "(2 * q) ** 0.5 * r": "the push comes squared",
            "(2 * (q - 1)) ** 0.5 * r**2": "only k is centred, not the push",
            "(3 * q) ** 0.5 * r**2": "the mean map is centred over k",
            "2 * q * r**4": "this is the square of the singular value",
        },
    },
    "ex-hs-sizes": {
        "cases": "[(J, r, np.random.default_rng(8)) for J, r in ((2, 4.0), (4, 2.5))]",
        "wrong": {
            "outliers(Step('tanh', 'sign', 1e6, r, d=300), 4.0)[0][1]": (
                "these are Gaussian readouts: the number of sizes is ignored"
            ),
            "from_the_library(1, r, rng)": "readouts of one size: the number is ignored",
            "from_the_library(count, 1.0, rng)": "the push r is ignored",
            "from_the_library(2 * count, r, rng)": (
                "nodes come in pairs of either sign: half as many sizes"
            ),
            "outliers(Step('tanh', 'sign', 1e6, r, readout=count, d=300), 4.0)[0][0]": (
                "the first singular value, not the second"
            ),
            "outliers(Step('relu', 'sign', 1e6, r, readout=count, d=300), 4.0)[0][1]": (
                "ReLU, not tanh"
            ),
            "from_the_library(count, r, rng) / 2": "the features are divided by sqrt(n)",
            "1.3": "a constant",
        },
    },
}
