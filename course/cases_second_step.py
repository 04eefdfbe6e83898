"""The second step's checked exercises: more arguments, and wrong answers that must fail."""

GRADED = {
    "ex-ss-memory": {
        "cases": "[(6.0, 0.3), (3.0, 2.0)]",
        "wrong": {
            "alpha0**-0.5": "noise is part of the label, and so of its mean square",
            "1 / (alpha0 * (1 + noise**2))": "this is the square",
            "((1 + noise**2) / alpha0) ** 0.5": (
                "this is the length of g; divide it by the mean square of the label"
            ),
            "1 / (1 + alpha0) ** 0.5": "this is the correlation, not the slope",
            "1 / (alpha0 * (1 + noise)) ** 0.5": "the noise enters the mean square by its variance",
            "(alpha0 / (1 + noise**2)) ** 0.5": "more samples: less of each one's label",
        },
    },
    "ex-ss-linear": {
        "cases": "[(3.0, 0.4, 0.7), (6.0, 1.6, 0.2)]",
        "wrong": {
            "(2 / np.pi) / (2 / np.pi + (1 + noise**2) / (2 * alpha0))": (
                "this is one step on both batches: the second step sees what the first has left"
            ),
            """def both_steps(alpha0, eta, noise):
    signal, square = 2 / np.pi, 1 + noise**2
    along = (2 - eta) ** 2 * signal
    return along / (along + ((1 - eta) ** 2 + 1) * square / alpha0)""": (
                "the second batch's noise is that of what is left of the labels"
            ),
            """def both_steps(alpha0, eta, noise):
    signal, square = 2 / np.pi, 1 + noise**2
    left = square - 2 * eta * signal + eta**2 * (signal + square / alpha0)
    along = (2 - eta) ** 2 * signal
    return along / (along + (square + left) / alpha0)""": (
                "the second step takes a part of the first one's noise back"
            ),
            """def both_steps(alpha0, eta, noise):
    signal, square = 2 / np.pi, 1 + noise**2
    left = square - 2 * eta * signal + eta**2 * signal
    along = (2 - eta) ** 2 * signal
    return along / (along + ((1 - eta) ** 2 * square + left) / alpha0)""": (
                "what is left of the labels holds the first step's noise, too"
            ),
            """def both_steps(alpha0, eta, noise):
    signal, square = 2 / np.pi, 1
    left = square - 2 * eta * signal + eta**2 * (signal + square / alpha0)
    along = (2 - eta) ** 2 * signal
    return along / (along + ((1 - eta) ** 2 * square + left) / alpha0)""": (
                "noise is part of the labels"
            ),
        },
    },
    "ex-ss-half": {
        "cases": "[(0.75, 1.5, np.random.default_rng(8)), (0.6, 1.0, np.random.default_rng(8))]",
        "wrong": {
            """def mixed(share, eta, rng):
    pull = second_pull(np.sign, 4, eta, True)
    return pull[0] ** 2 / (pull @ pull)""": "this is a batch that is old as a whole",
            """def mixed(share, eta, rng):
    pull = second_pull(np.sign, 4, eta, False)
    return pull[0] ** 2 / (pull @ pull)""": "this is a fresh batch",
            """def mixed(share, eta, rng):
    pull = second_pull(np.sign, 4, eta, True)
    return share * pull[0] ** 2 / (pull @ pull)""": (
                "the new samples point somewhere, too, and squared cosines do not add up"
            ),
            """def mixed(share, eta, rng):
    same, new = (second_pull(np.sign, 4, eta, old) for old in (True, False))
    pull = (1 - share) * same + share * new
    return pull[0] ** 2 / (pull @ pull)""": "old and new samples are swapped",
        },
    },
}
