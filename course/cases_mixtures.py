"""Further cases and wrong answers of the checked exercises of first_step/mixtures."""

GRADED = {
    # first_step/mixtures
    "ex-mx-samples": {
        "cases": "[(2.0, 0.7), (0.7, 0.5)]",
        "wrong": {
            "q / (1 - q) / h**2": "three clusters, and two labels: the linear part is not h",
            "9 * q / (16 * h**2)": "q is the share of the signal, not its ratio to the noise",
            "(1 - q) / q * 9 / (16 * h**2)": "signal and noise are swapped",
            "q / (1 - q) * 3 / (4 * h)": "the linear part counts squared",
            "q**2 / (1 - q**2) * 9 / (16 * h**2)": "q is the squared cosine already",
            "q / (1 - q) / (16 * h**2)": "an average over the clusters has their weights, 1/3",
            "q / (1 - q) * 9 / (4 * h**2)": "label and side of the first cluster agree in sign",
            "q / (1 - q) * 9 / 16": "the distance is ignored",
        },
    },
    "ex-mx-blur": {
        "cases": "[(0.9, 2.5), (1.5, 5.0)]",
        "wrong": {
            "1.0": "the best direction for the square error is not the best here",
            "np.sqrt(2 * np.log(c) / (c**2 - 1))": "the distance is ignored",
            "np.sqrt(np.log(c) / (c**2 - 1)) / h": "the exponent of a Gaussian has a half",
            "2 * np.log(c) / (c**2 - 1) / h**2": "this is the square of the cosine",
            "np.sqrt(2 * np.log(c) / c**2) / h": "both clusters have an exponent",
            "np.sqrt(2 * np.log(c) / (c - 1)) / h": "the exponent has the square of the position",
            "np.sqrt(2 * np.log(h) / (h**2 - 1)) / c": "h and c are swapped",
            "0.52": "a constant",
        },
    },
    "ex-mx-gain": {
        "cases": "[(h, np.random.default_rng(11)) for h in (1.0, 1.7)]",
        "wrong": {
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    return np.mean([run(step, pair, 8.0, 2.0, rng)["error"] for _ in range(4)])
""": "the square error is to be divided by the linear bound",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    found = [run(step, pair, 8.0, 2.0, rng)["misclassified"] for _ in range(4)]
    return np.mean(found) / pair.linear_bound
""": "the square error is asked for, not the mistakes",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    found = [run(step, pair, 8.0, 2.0, rng)["error"] for _ in range(4)]
    return pair.linear_bound / np.mean(found)
""": "the ratio is upside down",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=0.02, d=150)
    found = [run(step, pair, 8.0, 2.0, rng)["error"] for _ in range(4)]
    return np.mean(found) / pair.linear_bound
""": "a short step does not bend: r = 1.28",
            """def ratio(h, rng):
    pair = Mixture([-1.5, 1.5], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    found = [run(step, pair, 8.0, 2.0, rng)["error"] for _ in range(4)]
    return np.mean(found) / pair.linear_bound
""": "the distance is ignored",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    found = [run(step, pair, 8.0, 2.0, rng)["error"] for _ in range(4)]
    return np.mean(found) * (1 + 5 * h**2) / (1 + 4 * h**2)
""": "this is the bound of the stripe",
        },
    },
}
