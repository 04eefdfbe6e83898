"""For each checked exercise of the tutorial on many features: more arguments, and wrong answers."""

GRADED = {
    "ex-nf-noise": {
        "cases": "[((0.7, 0.1, 0.4), 2), ((0.2, 0.8), 0), ((1.1, 0.3, 0.5), 0)]",
        "wrong": {
            "np.sum(np.square(weights))": "the feature's own label has noise of its own along it",
            "np.sum(np.square(weights)) + 7 * weights[i] ** 2": (
                "the feature's own weight is counted twice"
            ),
            "7 * weights[i] ** 2": "the labels of the other features are noise, too",
            "1 + 6 * weights[i] ** 2": "the squares of the weights need not sum to one",
            "np.sum(np.square(weights)) + 6 / len(weights)": (
                "this is the average over the features, and for weights of square one"
            ),
            "np.sum(np.square(weights)) + 6 * weights[0] ** 2": "which feature is ignored",
            "np.sum(np.square(weights)) + 6 * weights[i]": "the label has the square of the weight",
        },
    },
    "ex-nf-relu": {
        "cases": "[(-2.0,), (0.9,), (-0.7,)]",
        "wrong": {
            "def rate(bias):\n"
            "    from scipy.stats import norm\n"
            "    return bias * norm.pdf(bias) - norm.cdf(bias)": (
                "the kink is at minus the bias: the third coefficient has the other sign"
            ),
            "def rate(bias):\n"
            "    from scipy.stats import norm\n"
            "    return -bias * norm.pdf(bias) / 6**0.5 - norm.cdf(bias)": (
                "this is the coefficient; its pull is larger by the root of six"
            ),
            "def rate(bias):\n"
            "    from scipy.stats import norm\n"
            "    return -bias * norm.pdf(bias)": "what the first feature takes is left out",
            "def rate(bias):\n"
            "    from scipy.stats import norm\n"
            "    return -bias * norm.pdf(bias) - norm.cdf(-bias)": (
                "the neuron is on where z exceeds minus the bias"
            ),
            "def rate(bias):\n"
            "    from scipy.stats import norm\n"
            "    return -bias * norm.pdf(bias) - norm.pdf(bias)": (
                "the first coefficient is the mean slope, an integral of the density"
            ),
        },
    },
    "ex-nf-strong": {
        "cases": "[(4, 12, np.random.default_rng(5)), (3, 12, np.random.default_rng(6))]",
        "wrong": {
            "def wins(ratio, d, rng):\n"
            "    def label(z):\n"
            "        return (ratio * h3(z[:, 0]) + h3(z[:, 1])) / 1\n"
            '    config = theory.Features(d, 2, label, 0.5 / 2**0.5 / d**1.5, "he3")\n'
            "    start = simulation.random_starts(2, d, 3000, rng)\n"
            "    winner = simulation.time_to(config, 0.5, start, 4 * d**2, rng).winners\n"
            "    return np.mean(winner >= 0), np.mean(winner[winner >= 0] == 0)": (
                "the label has a length, and without it steps are three to five times too long"
            ),
            "def wins(ratio, d, rng):\n"
            "    def label(z):\n"
            "        return (ratio * h3(z[:, 0]) + h3(z[:, 1])) / (1 + ratio**2) ** 0.5\n"
            '    config = theory.Features(d, 2, label, 0.5 / d**1.5, "he3")\n'
            "    start = simulation.random_starts(2, d, 3000, rng)\n"
            "    winner = simulation.time_to(config, 0.5, start, 4 * d**2, rng).winners\n"
            "    return np.mean(winner >= 0), np.mean(winner[winner >= 0] == 0)": (
                "the step size has the root of two, the number of features, in it"
            ),
            "def wins(ratio, d, rng):\n"
            "    def label(z):\n"
            "        return (ratio * h3(z[:, 0]) + h3(z[:, 1])) / (1 + ratio**2) ** 0.5\n"
            '    config = theory.Features(d, 2, label, 0.5 / 2**0.5 / d**1.5, "he3")\n'
            "    start = simulation.random_starts(2, d, 3000, rng)\n"
            "    winner = simulation.time_to(config, 0.5, start, 4 * d**2, rng).winners\n"
            "    return np.mean(winner >= 0), np.mean(winner == 0)": (
                "the second share is one of the neurons that have a feature, not of all"
            ),
            "(0.72, 0.5)": ("the features are not equal"),
            "(0.72, ratio / (1 + ratio))": (
                "this is the share of the growth; noise hands some neurons to the weaker feature"
            ),
            "(0.72, 2 * np.arctan(ratio) / np.pi)": (
                "this is the larger start in absolute value, and starts below zero do not grow"
            ),
            "(0.72, 1 / 3 + 2 * np.arctan(ratio) / (3 * np.pi))": (
                "this is the race without noise, from the start alone"
            ),
            "(0.72, 1 / (1 + ratio))": ("upside down: the stronger feature wins more"),
            "(0.72, 1.0)": ("the weaker one wins, too"),
        },
    },
}
