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
    "ex-ss-count": {
        "cases": "[(0.45, 0.32, 0.3), (0.44, 0.43, 0.5)]",
        "wrong": {
            "int(alpha2 / (0.5 - alpha1) + 1e-9)": "an odd activation has no terms of odd order",
            "int(alpha2 / (0.5 - alpha1) + 1e-9) // 2": (
                "with a shift the activation is not odd: all terms are there"
            ),
            """def terms(alpha1, alpha2, shift):
    count = int(alpha2 / (0.5 - alpha1) + 1e-9) + 1
    return count if shift else (count + 1) // 2""": "the common term, 0, is not asked for",
            """def terms(alpha1, alpha2, shift):
    count = int(alpha1 / (0.5 - alpha2) + 1e-9)
    return abs(count if shift else count // 2)""": "the two steps are swapped",
            """def terms(alpha1, alpha2, shift):
    count = round(alpha2 / (0.5 - alpha1))
    return count if shift else count // 2""": "a term that shrinks is not visible: round down",
            "2": "a constant",
        },
    },
    "ex-ss-bug": {
        "cases": (
            "[(TwoSteps('tanh', 'he3', 1.0, 1.0, True),), "
            "(TwoSteps('erf', 'sign', 1.0, 1.0, True),)]"
        ),
        "wrong": {
            """def length(steps):
    z, k0, y, (second,), w = second_labels(steps)
    plane = (w @ (second * z)) ** 2 + (w @ (second * k0)) ** 2
    return np.sqrt(plane + w @ second**2 / steps.alpha0)""": "this is the student's",
            """def length(steps):
    z, k0, y, (second,), w = second_labels(steps)
    plane = (w @ (second * z)) ** 2 + (w @ (second * k0)) ** 2
    return np.sqrt(plane)""": "across the plane there is noise, too",
            """def length(steps):
    z, k0, y, (second,), w = second_labels(steps)
    k0 = k0 - y / (steps.alpha0 * (w @ y**2)) ** 0.5
    plane = (w @ (second * z)) ** 2 + (w @ (second * k0)) ** 2
    return np.sqrt(plane + w @ second**2 / steps.alpha0)""": (
                "this forgets what the samples remember: right for a fresh batch only"
            ),
            """def length(steps):
    z, k0, y, (second,), w = second_labels(steps)
    plane = (w @ (second * z)) ** 2 + (w @ (second * k0)) ** 2
    rest = w @ second**2 - (w @ (second * y)) ** 2
    return np.sqrt(np.fmax(plane + rest / steps.alpha0, 0))""": (
                "with noise the mean square of the labels is not 1"
            ),
            """def length(steps):
    z, k0, y, (second,), w = second_labels(steps)
    plane = (w @ (second * z)) ** 2 + (w @ (second * k0)) ** 2
    rest = w @ second**2 - (w @ (second * y)) ** 2 / (w @ y**2)
    return plane + rest / steps.alpha0""": "this is the square",
        },
    },
    "ex-ss-same": {
        "cases": "[(2.0, 0.9), (6.0, 2.0)]",
        "wrong": {
            """def twice(alpha0, eta):
    c = 1 / alpha0
    return np.sqrt(c * (1 - eta) ** 2 + (eta * c) ** 2)""": (
                "the samples remember their labels: k holds a bit of y"
            ),
            """def twice(alpha0, eta):
    c = 1 / alpha0
    return np.sqrt(c) * abs(1 - eta * (1 + c))""": "this is the part along v alone",
            """def twice(alpha0, eta):
    c = 1 / alpha0
    return c * (1 - eta * (1 + c)) ** 2 + (eta * c) ** 2""": "this is the square",
            """def twice(alpha0, eta):
    c = 1 / alpha0
    return np.sqrt(c * (1 - eta) ** 2 + c * (1 + eta**2 * c))""": "this is a fresh batch",
            "alpha0**-0.5": "this is the first gradient",
        },
    },
}
