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
    square, wrong = learning_curve(step, pair, 8.0, 2.0)
    return square
""": "the square error is to be divided by the linear bound",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    square, wrong = learning_curve(step, pair, 8.0, 2.0)
    return wrong / pair.linear_bound
""": "the square error is asked for, not the mistakes",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    square, wrong = learning_curve(step, pair, 8.0, 2.0)
    return pair.linear_bound / square
""": "the ratio is upside down",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=0.02, d=150)
    square, wrong = learning_curve(step, pair, 8.0, 2.0)
    return square / pair.linear_bound
""": "a short step does not bend: r = 1.28",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=0.93, d=150)
    square, wrong = learning_curve(step, pair, 8.0, 10.0)
    return square / pair.linear_bound
""": "the step is r = 1.28, and the ridge 2",
            """def ratio(h, rng):
    pair = Mixture([-1.5, 1.5], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    square, wrong = learning_curve(step, pair, 8.0, 2.0)
    return square / pair.linear_bound
""": "the distance is ignored",
            """def ratio(h, rng):
    pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
    step = Step("tanh", None, alpha0=8.0, r=1.28, d=150)
    square, wrong = learning_curve(step, pair, 8.0, 2.0)
    return square * (1 + 5 * h**2) / (1 + 4 * h**2)
""": "this is the bound of the stripe",
        },
    },
    # first_step/mixtures_in_depth
    "ex-mx-moment": {
        "cases": "[(2.0, 0.6, three, parts), (0.4, 0.9, three[:2], np.array([0.7, 0.3]))]",
        "wrong": {
            "second_moment(k, rho, means, weights)": "that is the function with the bug",
            """def mended(k, rho, means, weights):
    posterior = weights * np.exp(-((k - rho * means) ** 2) / 2)
    posterior = posterior / posterior.sum()
    return (1 - rho**2) * posterior @ means**2
""": "inside a cluster the coordinate has the variance 1",
            """def mended(k, rho, means, weights):
    posterior = weights * np.exp(-((k - rho * means) ** 2) / 2)
    posterior = posterior / posterior.sum()
    return 1 + rho**2 * posterior @ means**2
""": "it is the part of the centre across the step that counts",
            """def mended(k, rho, means, weights):
    return 1 + (1 - rho**2) * weights @ means**2
""": "given k the clusters have other weights",
            """def mended(k, rho, means, weights):
    posterior = weights * np.exp(-((k - rho * means) ** 2) / 2)
    posterior = posterior / posterior.sum()
    return 1 + (1 - rho**2) * (posterior @ means**2 - (posterior @ means) ** 2)
""": "this is the variance, not the second moment",
            """def mended(k, rho, means, weights):
    posterior = weights * np.exp(-((k - means) ** 2) / 2)
    posterior = posterior / posterior.sum()
    return 1 + (1 - rho**2) * posterior @ means**2
""": "along the step the centres are rho times as far apart",
        },
    },
    "ex-mx-still": {
        "cases": "[(1.0, 6.0, 0.5), (2.0, 3.0, 4.0)]",
        "wrong": {
            """def no_step(h, alpha, ridge):
    gamma, Q, moved = shares(alpha, ridge)
    return (1 - h**2 * (Q - moved)) / (1 - gamma)
""": "this is the formula of Gaussian inputs: the clusters make the mean square of t larger",
            """def no_step(h, alpha, ridge):
    gamma, Q, moved = shares(alpha, ridge)
    less = 1 + h**2 * Q
    return (1 - h**2 * (Q / less - moved / less)) / (1 - gamma)
""": "the derivative of Q / (1 + h^2 Q) has a square",
            """def no_step(h, alpha, ridge):
    gamma, Q, moved = shares(alpha, ridge)
    less = 1 + h**2 * Q
    return 1 - h**2 * (Q / less - moved / less**2)
""": "the factor 1 - gamma is left out",
            """def no_step(h, alpha, ridge):
    gamma, Q, moved = shares(alpha, ridge)
    less = 1 + h**2 * Q
    return (1 - h**2 * (Q / less + moved / less**2)) / (1 - gamma)
""": "a sign: (t - t_*) Q' is taken off",
            """def no_step(h, alpha, ridge):
    gamma, Q, moved = shares(alpha, ridge)
    less = 1 + h**2 * Q
    return (1 - (Q / less - moved / less**2)) / (1 - gamma)
""": "the linear part of the pair is h, and it counts squared",
            """def no_step(h, alpha, ridge):
    return 1 / (1 + h**2)
""": "this is the linear bound, with unlimited samples",
            """def no_step(h, alpha, ridge):
    gamma, Q, moved = shares(alpha, ridge)
    less = 1 + h * Q
    return (1 - h**2 * (Q / less - moved / less**2)) / (1 - gamma)
""": "the mean square of t is 1 + h^2",
        },
    },
    "ex-mx-plane": {
        "cases": "[(35.0, 1.8), (50.0, 1.3)]",
        "wrong": {
            "1 - 4 / (alpha * h**4)": "the mean square of x_1 is 1 + h^2/2",
            "1 - (1 + h**2 / 2) / (alpha * h**4)": "half of the inputs have label 1",
            "1 - (1 + h**2 / 2) * 2 / (alpha * h**2)": "the gap counts squared",
            "1 - (1 + h**2) * 4 / (alpha * h**4)": "only half of the inputs lie on that axis",
            "1 - np.sqrt((1 + h**2 / 2) * 4 / (alpha * h**4))": "squared overlap: no root",
            "h**2 / (h**2 + 1 / alpha)": "that is the first moment's formula, for a pair",
            "1 - (1 + h**2 / 2) * 4 / h**4": "the samples are ignored",
            "0.9": "a constant",
        },
    },
}
