"""For each checked exercise: more arguments to grade it on, and wrong answers that must fail."""

GRADED = {
    "ex-kp-cube": {
        "cases": "[(1.3,), (-3.0,)]",
        "wrong": {
            "[0, 3, t * 2**0.5, 6**0.5]": "a square has an average, too",
            "[0, 0, t, 1]": "powers are not Hermite polynomials: lower degrees are to be taken out",
            "[t, 3, t, 1]": "the polynomials are scaled to mean square 1",
            "[t, 0, t * 2**0.5, 6**0.5]": "a cube overlaps with a straight line",
            "[t, 3, t / 2**0.5, 1 / 6**0.5]": "the scale of the polynomials is turned upside down",
            "[t, 3, t * 2, 6]": "the scale of the polynomials is squared",
            "[t, -3, t * 2**0.5, 6**0.5]": "what is taken out of a cube must be put back",
        },
    },
    "ex-kp-vote": {
        "cases": "[(0.3, 0.7), (-0.05, 0.2)]",
        "wrong": {
            "1 / (1 + ridge)": "the votes of the other samples are left out",
            "(1 - q) / (1 - q + ridge)": "the part that all samples share is left out",
            "(1 + 10 * q) / (1 + 10 * q + ridge) / 11": "only the average of the labels is kept",
            "(1 + 11 * q) / (1 + 11 * q + ridge) / 11 + 10 / 11 * (1 - q) / (1 - q + ridge)": (
                "a sample counts itself twice"
            ),
            "(1 + 10 * q) / (1 + 10 * q + ridge) / 10 + 9 / 10 * (1 - q) / (1 - q + ridge)": (
                "there are eleven samples"
            ),
            "10 / 11 * ridge / (1 + 10 * q + ridge) + ridge / (1 - q + ridge) / 11": (
                "this is what the fit misses, with the two patterns swapped"
            ),
            "1 / 11": "a constant: the average of the labels",
        },
    },
    "ex-lr-labels": {
        "cases": "[(2.0, 50.0), (0.7, 0.1)]",
        "wrong": {
            "A * factor": "the wrong way round: larger labels ask for larger moves",
            "A": "units do change the path",
            "factor": "A is ignored",
            "1 / factor": "A is ignored",
            "A / factor**2": "the loss has squares, but it is the path of the weights that counts",
            "A / factor**0.5": "the root of a factor is taken",
            "factor / A": "the scale is turned upside down",
        },
    },
    "ex-lr-time": {
        "cases": "[(3.0, 2.0, 25, 0.05), (1.2, 0.7, 10, 0.6)]",
        "wrong": {
            "n / (eta * xi) * np.log(1 / left)": "right for small steps only",
            "np.log(left) / np.log1p(-eta * xi)": "the loss is a mean over the samples",
            "np.log1p(-left) / np.log1p(-eta * xi / n)": "`left` is the share that is still there",
            "np.log(left) / np.log1p(-eta * xi / n) / 2": "the error is asked for, not its square",
            "-np.log1p(-eta * xi / n) / np.log(left)": "upside down, with a wrong sign",
            "np.log(left) / np.log1p(eta * xi / n)": "the error should shrink",
            "np.log(left) / np.log1p(-xi / n)": "the step size is ignored",
            "(1 - eta * xi / n) ** left": "share and number of steps are swapped",
            "(1 - left) * n / (eta * xi)": "the first step's progress is taken for every step's",
        },
    },
    "ex-lr-layers": {
        "cases": """[
            ("a", np.random.default_rng(11)),
            ("W", np.random.default_rng(11)),
            ("W", np.random.default_rng(12)),
        ]""",
        "wrong": {
            """def layer_error(layer, rng):
    data = SingleIndex(D, "abs")
    (x, y), (new, truth) = data.sample(N, rng), data.sample(1000, rng)
    other = {"a": "W", "W": "a"}[layer]
    kernel = empirical_ntk(TwoLayer.symmetric(M, D, "relu", rng), {other: 1.0})
    c = np.linalg.lstsq(kernel(x), y, rcond=1e-12)[0]
    return np.mean((kernel(new, x) @ c - truth) ** 2) / VARIANCE["abs"]""": (
                "the layers are swapped: a rate says which layer moves"
            ),
            """def layer_error(layer, rng):
    data = SingleIndex(D, "abs")
    (x, y), (new, truth) = data.sample(N, rng), data.sample(1000, rng)
    kernel = empirical_ntk(TwoLayer.symmetric(M, D, "relu", rng), {"a": 1.0, "W": M / D})
    c = np.linalg.lstsq(kernel(x), y, rcond=1e-12)[0]
    return np.mean((kernel(new, x) @ c - truth) ** 2) / VARIANCE["abs"]""": (
                "`layer` is ignored: this is the kernel of both"
            ),
            """def layer_error(layer, rng):
    data = SingleIndex(D, "abs")
    (x, y), (new, truth) = data.sample(N, rng), data.sample(1000, rng)
    kernel = empirical_ntk(TwoLayer.symmetric(M, D, "relu", rng), {layer: 1.0})
    c = np.linalg.lstsq(kernel(x), y, rcond=1e-12)[0]
    return np.mean((kernel(new, x) @ c - truth) ** 2)""": (
                "errors of the experiment are over the variance of the labels"
            ),
            """def layer_error(layer, rng):
    data = SingleIndex(D, "abs")
    (x, y), (new, truth) = data.sample(N, rng), data.sample(1000, rng)
    kernel = empirical_ntk(TwoLayer.symmetric(M, D, "relu", rng), {layer: 1.0})
    c = np.linalg.lstsq(kernel(x), y, rcond=1e-12)[0]
    return np.mean((kernel(x) @ c - y) ** 2) / VARIANCE["abs"]""": (
                "this is the error on the sample"
            ),
            """def layer_error(layer, rng):
    data = SingleIndex(D, "abs")
    network = TwoLayer.symmetric(M, D, "relu", rng)
    (x, y), (new, truth) = data.sample(N, rng), data.sample(1000, rng)
    kernel = empirical_ntk(network, {layer: 1.0})
    c = np.linalg.lstsq(kernel(x), y, rcond=1e-12)[0]
    return np.mean((kernel(new, x) @ c - truth) ** 2) / VARIANCE["abs"]""": (
                "draw the sample, then the test inputs, then the network"
            ),
            """def layer_error(layer, rng):
    data = SingleIndex(D, "abs")
    (x, y), (new, truth) = data.sample(N, rng), data.sample(1000, rng)
    kernel = empirical_ntk(TwoLayer.symmetric(M, D, "relu", rng), {layer: 1.0})
    c = np.linalg.solve(kernel(x) + N * np.eye(N), y)
    return np.mean((kernel(new, x) @ c - truth) ** 2) / VARIANCE["abs"]""": (
                "least squares have no ridge"
            ),
            """def layer_error(layer, rng):
    from twolayer.kernels import relu_ntk
    data = SingleIndex(D, "abs")
    (x, y), (new, truth) = data.sample(N, rng), data.sample(1000, rng)
    c = np.linalg.solve(relu_ntk(x), y)
    return np.mean((relu_ntk(new, x) @ c - truth) ** 2) / VARIANCE["abs"]""": (
                "this is the kernel of infinite width, of both layers"
            ),
        },
    },
    # The check draws 20,000 networks, always the same. From draw to draw its ratio spreads by about
    # 0.6 percent at m = 60 and less at larger m, against rtol = 0.03.
    "ex-lr-orthogonal": {
        "cases": "[(60,), (140,)]",
        "wrong": {
            "np.sqrt(np.pi**2 - 1) / m": "a mean of m terms fluctuates by a root",
            "np.pi / np.sqrt(m)": "the square of the mean is to be taken off the mean square",
            "np.sqrt(2 * (np.pi**2 - 1) / m)": "that holds in pairs; these neurons are independent",
            "np.sqrt(np.pi**2 - 1)": "m is ignored",
            "np.sqrt(0.25 - 1 / (4 * np.pi**2)) / np.sqrt(m)": (
                "the fluctuation is asked for relative to the kernel"
            ),
            "np.sqrt((np.pi - 1) / m)": "a square is forgotten",
            "(np.pi**2 - 1) / m": "this is the square of what is asked for",
        },
    },
    "ex-lr-bug": {
        "cases": "[(*kernels, 2.0, 3), (kernels[0], kernels[1][:2], kernels[2], 1.0, 20)]",
        "wrong": {
            """def repaired(K, K_new, y, eta, steps):
    f, f_new = np.zeros(len(y)), np.zeros(len(K_new))
    for _ in range(steps):
        f += eta / len(y) * K @ (y - f)
        f_new += eta / len(y) * K_new @ (y - f)
    return f_new""": "this is the colleague's loop: which error does its second line use?",
            """def repaired(K, K_new, y, eta, steps):
    f, f_new = np.zeros(len(y)), np.zeros(len(K_new))
    for _ in range(steps):
        error = y - f
        f += eta / len(y) * K @ error
        f_new += eta / len(K_new) * K_new @ error
    return f_new""": "the mean is over the samples, not over the new inputs",
            """def repaired(K, K_new, y, eta, steps):
    f = np.zeros(len(y))
    for _ in range(steps):
        f += eta / len(y) * K @ (y - f)
    return eta / len(y) * K_new @ (y - f)""": "the moves of all steps count, not of the last alone",
            """def repaired(K, K_new, y, eta, steps):
    f, f_new = np.zeros(len(y)), np.zeros(len(K_new))
    for _ in range(steps):
        error = y - f
        f += eta * K @ error
        f_new += eta * K_new @ error
    return f_new""": "the loss is a mean over the samples",
            """def repaired(K, K_new, y, eta, steps):
    f = np.zeros(len(y))
    for _ in range(steps):
        f += eta / len(y) * K @ (y - f)
    return f""": "outputs on new inputs are asked for",
            """def repaired(K, K_new, y, eta, steps):
    return K_new @ np.linalg.solve(K, y)""": "this is the end of training, not a number of steps",
        },
    },
    "ex-lr-pull": {
        "cases": "[(0.2,), (-0.75,)]",
        "wrong": {
            "2 * rho / np.pi": "this is the first order in rho",
            "rho / np.pi": "this is a half of the first order in rho",
            "np.arcsin(rho) / np.pi": "not all of the integral over the sector",
            "rho * np.sqrt(1 - rho**2) / np.pi": "not all of the integral over the sector",
            "(np.arcsin(rho) + rho * np.sqrt(1 - rho**2)) / (2 * np.pi)": (
                "the square of the radius has mean 2"
            ),
            "(np.sqrt(1 - rho**2) + rho * np.arcsin(rho)) / np.pi": "this is the component along w",
            "(np.arccos(rho) + rho * np.sqrt(1 - rho**2)) / np.pi": (
                "an angle is measured from the wrong line: what is the pull at rho = 0?"
            ),
            "abs(np.arcsin(rho) + rho * np.sqrt(1 - rho**2)) / np.pi": (
                "a neuron is pulled to the side where it is"
            ),
        },
    },
    "ex-wk-count": {
        "cases": "[(7, 2), (5, 4), (7, 3)]",
        "wrong": {
            "def enough(d, p):\n"
            "    from math import comb\n"
            "    return comb(d + p - 1, p) - comb(d + p - 3, p - 2)": (
                "only the modes of the highest degree are counted"
            ),
            "def enough(d, p):\n    from math import comb\n    return comb(d + p, p)": (
                "on the sphere the squares of all coordinates add up to a constant"
            ),
            "def enough(d, p):\n    from math import factorial\n    return d**p / factorial(p)": (
                "this is the count in the limit of a large dimension, and of one degree"
            ),
            "d**p": "the order of the factors in a product does not matter",
            "d * p": "there are more polynomials than powers of single coordinates",
        },
    },
    "ex-wk-flat": {
        "cases": "[(60, 200, 1.0), (300, 100, 1.0), (300, 150, 0.3)]",
        "wrong": {
            "1 - n / B if n < B else 0.0": "the noise of the labels is left out",
            "1 - n / B + noise * n / (B - n)": "one side of n = B only",
            "noise * B / (n - B)": "one side of n = B only, the other one",
            "1 - n / B + noise * B / (B - n) if n < B else noise * n / (n - B)": (
                "this is the error on noisy test labels"
            ),
            "(1 - n / B) ** 2 + noise if n < B else noise": (
                "what is not learnt also acts as noise on what is: the denominator is missing"
            ),
            "1 - n / B + noise * n / B if n < B else noise * B / n": (
                "the noise is amplified near n = B: the denominator is missing there"
            ),
        },
    },
    "ex-wk-share": {
        "cases": "[(20, 40), (25, 100)]",
        "wrong": {
            "min(1.0, n / d)": "the linear modes do not get all samples: others take their part",
            "0.44": "a constant",
            "n / (n + d)": "the share follows the budget, not this ratio",
            "def linear_share(d, n):\n"
            "    rng, found, there = np.random.default_rng(3), 0, 0\n"
            "    for _ in range(1000):\n"
            "        (x, f), (x_new, f_new) = draw(d, n, rng), draw(d, 200, rng)\n"
            "        guess = fit(x, f + 0.1 * rng.standard_normal(n), x_new)\n"
            "        found, there = found + guess @ f_new, there + f_new @ f_new\n"
            "    return found / there": "this is the share of the whole target",
            "def linear_share(d, n):\n"
            "    rng, found, there = np.random.default_rng(3), 0, 0\n"
            "    for _ in range(1000):\n"
            "        x, f = draw(d, n, rng)\n"
            "        guess = fit(x, f + 0.1 * rng.standard_normal(n), x)\n"
            "        found, there = found + guess @ x[:, 0], there + f @ x[:, 0]\n"
            "    return found / there": (
                "on its own sample the fit follows the labels: take fresh points"
            ),
            "def linear_share(d, n):\n"
            "    rng, left, there = np.random.default_rng(3), 0, 0\n"
            "    for _ in range(1000):\n"
            "        (x, f), (x_new, f_new) = draw(d, n, rng), draw(d, 200, rng)\n"
            "        guess = fit(x, f + 0.1 * rng.standard_normal(n), x_new)\n"
            "        left, there = left + np.sum((guess - f_new) ** 2), there + f_new @ f_new\n"
            "    return 1 - left / there": "this is the fall of the error, not the share learnt",
        },
    },
    "ex-wk-first": {
        "cases": "[(3, 12), (4, 20), (5, 9)]",
        "wrong": {
            "p / d": "the higher odd powers of the cosine are left out",
            "p * 2 ** (p - 1) / d": "the slope is taken at cosine one instead of zero",
            "p / d + 3 * math.comb(p, 3) / d**2 + 15 * math.comb(p, 5) / d**3": (
                "moments of a Gaussian; those of the sphere are smaller"
            ),
            "p / d + 3 * math.comb(p, 3) / (d * (d + 2))": "the fifth power is left out",
            "d / p": "turned upside down",
        },
    },
    "ex-wk-read": {
        "cases": "[]",  # the figure shows three degrees
        "wrong": {
            "{1: 53, 2: 240, 3: 1150}[ell]": (
                "this is read off the right panel, where the error halves"
            ),
            "20**ell": "the number of samples is no power of the dimension: read it off the figure",
            "{1: 60, 2: 600, 3: 1500}[ell]": "this is where more than a half is learnt",
            "{1: 20, 2: 209, 3: 1520}[ell]": "these are the numbers of modes; read the figure",
            "200": "a constant",
        },
    },
    "ex-wk-bug": {
        "cases": "[(75,), (150,), (400,)]",
        "wrong": {
            "short_curve(n, RIDGE)": "nothing is repaired",
            "short_curve(n, RIDGE + math.e)": (
                "the degrees that are kept are counted once more, as ridge"
            ),
            "short_curve(n, RIDGE + math.e - LINE.eigenvalues[0])": (
                "the linear part is kept, and must not be counted as ridge"
            ),
            "short_curve(n, RIDGE + 0.5)": "not only the next degree takes samples",
            "short_curve(n, RIDGE + math.e - 2)": (
                "the weights of the degrees that are kept are one only in high dimension"
            ),
            "short_curve(n, RIDGE + LINE.noise)": "the noise of the labels is no ridge here",
        },
    },
    "ex-wk-stretch": {
        "cases": "[(1.25,), (2.5,)]",
        "wrong": {
            "def stretched(factor):\n"
            "    rng, errors = np.random.default_rng(2), []\n"
            "    for _ in range(12):\n"
            "        x, f = pure(40, 2).sample(1400, rng)\n"
            "        K = np.exp((x * factor) @ (x[:400] * factor).T / 40)\n"
            "        noisy = f[:400] + 0.1 * rng.standard_normal(400)\n"
            "        c = solve(K[:400] + RIDGE * np.eye(400), noisy, assume_a='pos')\n"
            "        errors.append(np.mean((K[400:] @ c - f[400:]) ** 2))\n"
            "    return np.mean(errors)": "all coordinates are stretched",
            "def stretched(factor):\n"
            "    rng, errors = np.random.default_rng(2), []\n"
            "    for _ in range(12):\n"
            "        x, f = pure(40, 2).sample(1400, rng)\n"
            "        K = np.exp(x @ x[:400].T / 40)\n"
            "        noisy = f[:400] + 0.1 * rng.standard_normal(400)\n"
            "        c = solve(K[:400] + RIDGE * np.eye(400), noisy, assume_a='pos')\n"
            "        errors.append(np.mean((K[400:] @ c - f[400:]) ** 2))\n"
            "    return np.mean(errors)": "the factor is ignored",
            "def stretched(factor):\n"
            "    rng, scale, errors = np.random.default_rng(2), np.ones(40), []\n"
            "    scale[0] = factor\n"
            "    for _ in range(12):\n"
            "        x, f = pure(40, 2).sample(1400, rng)\n"
            "        K = np.exp((x * scale) @ (x[:400] * scale).T / 40)\n"
            "        noisy = f + 0.1 * rng.standard_normal(1400)\n"
            "        c = solve(K[:400] + RIDGE * np.eye(400), noisy[:400], assume_a='pos')\n"
            "        errors.append(np.mean((K[400:] @ c - noisy[400:]) ** 2))\n"
            "    return np.mean(errors)": (
                "the error is asked against the target, without its label noise"
            ),
            "def stretched(factor):\n"
            "    rng, scale, errors = np.random.default_rng(2), np.ones(40), []\n"
            "    scale[1] = factor\n"
            "    for _ in range(12):\n"
            "        x, f = pure(40, 2).sample(1400, rng)\n"
            "        K = np.exp((x * scale) @ (x[:400] * scale).T / 40)\n"
            "        noisy = f[:400] + 0.1 * rng.standard_normal(400)\n"
            "        c = solve(K[:400] + RIDGE * np.eye(400), noisy, assume_a='pos')\n"
            "        errors.append(np.mean((K[400:] @ c - f[400:]) ** 2))\n"
            "    return np.mean(errors)": (
                "another coordinate is stretched than the labels depend on"
            ),
            "0.66 / factor**2": "the error does not go with a power of the factor",
        },
    },
    "ex-wk-peak": {
        "cases": "[(100,), (250,), (600,)]",
        "wrong": {
            "theory.random_feature_curve(RELU, 300, m, 1e-3)": "the small ridge, not the best one",
            "theory.random_feature_curve(RELU, 300, m, 0.024)": (
                "the ridge that is best at one number of features only"
            ),
            "theory.optimal_curve(RELU, 300)": "this is the kernel's: infinitely many features",
            "theory.random_feature_curve(RELU, m, 300, np.logspace(-4, 1, 201)).min()": (
                "samples and features are swapped"
            ),
            "theory.random_feature_curve(RELU, 300, m, np.logspace(-4, 1, 201)).mean()": (
                "a mean over ridges instead of the smallest"
            ),
        },
    },
    "ex-fe-step": {
        "cases": "[(3, 2.5), (4, 0.8), (4, 1.2)]",
        "wrong": {
            "2": "the start is ignored; this holds for degree two only",
            "2 * start": "the degree is ignored",
            "start ** (degree - 2)": "the half in the toll is left out",
            "2 * degree * start ** (degree - 2)": (
                "the mean square of the pull is left out of the toll"
            ),
            "2 * start ** (degree - 1)": "the toll is proportional to the cosine, too",
            "2 * start ** (2 - degree)": "a luckier start allows a larger step, not a smaller one",
        },
    },
    "ex-fe-log": {
        "cases": "[(2e-2, 250), (4e-3, 150), (1e-3, 1000)]",
        "wrong": {
            "np.log(d / 3) / (4 * eta)": (
                "this is the limit of a large dimension; it is asked exactly"
            ),
            "np.log(d / 4) / (4 * eta)": (
                "the factor that keeps the neuron on the sphere is left out"
            ),
            "np.log((d - 1) / 3) / (2 * eta)": "a factor of the slope is missing",
            "np.log((d - 1) / 3) / 4": "the step size is ignored",
            "eta * np.log((d - 1) / 3) / 4": "a smaller step takes more time, not less",
            "np.log(d - 1) / (4 * eta)": "the end of the integral, at one half, is left out",
        },
    },
    "ex-fe-start": {
        "cases": "[(1.5, 0.5, np.random.default_rng(5)), (2.0, 0.25, np.random.default_rng(4))]",
        "wrong": {
            "def late(start, share, rng):\n"
            "    from twolayer.theory.the_first_escape import ode_time\n"
            "    return ode_time(setting(3, 32), 0.5, start / 32**0.5) / 32**2": (
                "this is the equation's time: it knows no share"
            ),
            "def late(start, share, rng):\n"
            "    time = time_to(setting(3, 32), 0.5, 32**-0.5, rng, 2560, size=1000)\n"
            "    return np.quantile(time, share) / 32**2": "the start is ignored",
            "def late(start, share, rng):\n"
            "    time = time_to(setting(3, 32), 0.5, start / 32**0.5, rng, 2560, size=1000)\n"
            "    return np.quantile(time, 1 - share) / 32**2": (
                "the share that has not arrived yet is taken for the one that has"
            ),
            "def late(start, share, rng):\n"
            "    time = time_to(setting(3, 32), 0.5, start / 32**0.5, rng, 2560, size=1000)\n"
            "    return np.quantile(time, share)": (
                "the time is asked in units of the squared dimension"
            ),
            "def late(start, share, rng):\n"
            "    time = time_to(setting(3, 32), 0.5, start / 32**0.5, rng, 2560, size=1000)\n"
            "    return np.median(time) / 32**2": "the share is ignored",
            "def late(start, share, rng):\n"
            "    time = time_to(setting(3, 32), 0.5, 32**-0.5, rng, 2560, size=1000)\n"
            "    return np.quantile(time, share) / 32**2 / start": (
                "runs are not just faster by the factor of the start"
            ),
        },
    },
    "ex-fe-exponent": {
        "cases": "[(10,), (12,)]",
        "wrong": {
            "p * np.prod(np.arange(1, p, 2)) / 2": "the sign: the two parts must cancel",
            "-np.prod(np.arange(1, p, 2))": (
                "this takes the mean of the power, not its quadratic part"
            ),
            "-p * np.prod(np.arange(1, p, 2)) / 2**0.5": (
                "the square has a quadratic coefficient, too; divide by all of it"
            ),
            "-p * (p - 1) / 2": "the quadratic part of a power holds a moment of the Gaussian",
            "-np.prod(np.arange(1, p + 2, 2)) / 2": "the constant part has not been taken off",
        },
    },
    "ex-fe-bug": {
        "cases": "[(3, 0.4), (2, 0.8), (1, 0.6)]",
        "wrong": {
            "friend(degree, rho)": "this is the friend's: nothing is repaired",
            "degree * rho ** (degree - 1)": "this is the slope of the loss without the sphere",
            "degree * rho ** (degree - 1) * np.sqrt(1 - rho**2)": (
                "the step along the sphere shrinks by another power"
            ),
            "degree * rho**degree * (1 - rho**2)": "the power of the cosine is that of the loss",
            "def repaired(degree, rho):\n"
            "    z_star, across = np.random.default_rng(3).standard_normal((2, 10**6))\n"
            "    z = rho * z_star + np.sqrt(1 - rho**2) * across\n"
            "    pull = as_link(f'he{degree}')(z_star) * slope(degree, z)\n"
            "    return np.mean(pull * (z_star - z))": (
                "what is taken off has to be projected on the direction"
            ),
        },
    },
    "ex-fe-squared": {
        "cases": '[("squared", 0.15), ("correlation", 0.2)]',
        "wrong": {
            "def late_cosine(loss, delta):\n"
            "    config = OnlineSGD(128, 'he2', delta / 128)\n"
            "    args = (config, 128**-0.5, 4000, np.random.default_rng(5))\n"
            "    return np.median(abs(run(*args, size=200, every=4000)[-1]))": (
                "the loss is ignored"
            ),
            "def late_cosine(loss, delta):\n"
            "    config = OnlineSGD(128, 'he2', 0.1 / 128, loss=loss)\n"
            "    args = (config, 128**-0.5, 4000, np.random.default_rng(5))\n"
            "    return np.median(abs(run(*args, size=200, every=4000)[-1]))": (
                "the step is ignored"
            ),
            "def late_cosine(loss, delta):\n"
            "    config = OnlineSGD(128, 'he2', delta / 128, loss=loss)\n"
            "    args = (config, 128**-0.5, 4000, np.random.default_rng(5))\n"
            "    return np.mean(run(*args, size=200, every=4000)[-1])": (
                "an even link has two sides: runs on the other one count as much"
            ),
            "def late_cosine(loss, delta):\n"
            "    config = OnlineSGD(128, 'he2', delta / 128, loss=loss)\n"
            "    args = (config, 128**-0.5, 400, np.random.default_rng(5))\n"
            "    return np.median(abs(run(*args, size=200, every=400)[-1]))": "too few steps",
            "def late_cosine(loss, delta):\n"
            "    config = OnlineSGD(128, 'he2', delta / 128**1.5, loss=loss)\n"
            "    args = (config, 128**-0.5, 4000, np.random.default_rng(5))\n"
            "    return np.median(abs(run(*args, size=200, every=4000)[-1]))": (
                "this is the step of degree three"
            ),
            "1.0": "a constant: the late cosine depends on the step",
        },
    },
    "ex-fe-second": {
        "cases": "[(0.2,), (0.07,), (0.01,)]",
        "wrong": {
            "27 * delta**2": "the mean square of the slope is left out",
            "81 * delta": "the term of first order is odd in z, and vanishes",
            "162 * delta**2": "the first of the two steps has no drift at zero",
            "324 * delta**2": "the label's polynomial is taken without its normalisation",
            "9 * delta**2": "the average over the label is still to be taken",
            "81 * delta**3": "the drift over the step is asked",
        },
    },
    # first_step/one_step
    "ex-critical": {
        "cases": "[(3.0, 0.5), (0.8, 1.5)]",
        "wrong": {
            "0.6057 * np.sqrt(2 / np.pi + (1 + noise**2) / alpha0)": (
                "this is the strength of a step of size 1"
            ),
            "1 / np.sqrt(2 / np.pi + (1 + noise**2) / alpha0)": (
                "the mean slope of the activation is left out"
            ),
            "1 / (0.6057 * np.sqrt(2 / np.pi + 1 / alpha0))": "the noise of the labels is left out",
            "1 / (0.6057 * np.sqrt(2 / np.pi + noise**2 / alpha0))": (
                "the labels vary without noise, too"
            ),
            "1 / (0.6057 * np.sqrt(2 / np.pi + (1 + noise) ** 2 / alpha0))": (
                "variances add, not standard deviations"
            ),
            "1 / (0.6057 * np.sqrt(2 / np.pi + (1 + noise**2) * alpha0))": (
                "more samples make the gradient less noisy, not more"
            ),
            "1 / (0.6057 * (2 / np.pi + (1 + noise**2) / alpha0))": (
                "the strength holds the length of the gradient, not its square"
            ),
            "1 / (0.6057 * np.sqrt(2 / np.pi + noise**2 + (1 + noise**2) / alpha0))": (
                "noise does not change the linear part of the labels"
            ),
            "1 / (0.6057 * np.sqrt(2 / np.pi))": (
                "with finitely many samples the gradient is longer than its mean"
            ),
            "1.5": "a constant",
        },
    },
    "ex-norm": {
        "cases": "[(6, 4), (3, 7)]",
        "wrong": {
            "1 + d / n0": "this is the limit; at finite size a fourth moment comes in",
            "1 + (d - 1) / n0": "the fourth moment of a Gaussian is not 1",
            "1 + (d + 2) / n0": "the pairs of different samples are fewer than the square of n0",
            "1 + (n0 + 1) / d": "samples and dimension are swapped",
            "(d + 1) / n0": "the mean gradient is left out",
            "1 + (d + 1) / n0**2": "the variance of a mean of n0 terms falls like 1/n0",
            "1.0": "only the limit of many samples",
        },
    },
    "ex-samples": {
        "cases": "[(*v, np.random.default_rng(7)) for v in ((2, 1), (2, 6))]",
        "wrong": {
            "1 - 2 / np.pi": "the bound of linear predictors, not a network's error",
            "np.mean([errors_after(150, rng, alpha, alpha0)['error'] for _ in '1234'], 0).min()": (
                "the samples of the step and of the readout are swapped"
            ),
            "np.mean([errors_after(150, rng, alpha0)['error'] for _ in range(4)], 0).min()": (
                "the samples of the readout are ignored"
            ),
            "np.mean([errors_after(150, rng, alpha0, alpha)['error'] for _ in range(4)], 0)[-1]": (
                "the longest step, not the best"
            ),
            "errors_after(150, rng, alpha0, alpha)['error'][0]": "the error without a step",
        },
    },
    # first_step/one_step_in_depth
    "ex-noise": {
        "cases": "[(0.8,), (3.0,)]",
        "wrong": {
            "np.pi / 2": "the noise of the labels is left out",
            "np.pi / 2 * noise**2": "the labels vary without noise, too",
            "np.pi / 2 * (1 + noise)": (
                "the variance of the noise counts, not its standard deviation"
            ),
            "np.pi / 2 * (1 + noise) ** 2": "variances add, not standard deviations",
            "2 / np.pi * (1 + noise**2)": "the linear part is on the wrong side of the fraction",
            "np.sqrt(np.pi / 2) * (1 + noise**2)": "the linear part counts squared",
            "np.pi / 6 * (1 + noise**2)": "half of the squared length is a squared cosine of 1/2",
            "3.9": "a constant",
        },
    },
    "ex-neuron-side": {
        "cases": "[(2.6, 1.6, 0.7), (2.2, 0.5, 0.3)]",
        "wrong": {
            "(s**4 - beta) / (s**2 * (s**2 + beta))": "the factor of the noise is ignored",
            "s**2 / (s**2 + z**2) * (1 - beta / (s**2 + z**2 - 1) ** 2)": (
                "this is the side of the inputs"
            ),
            "(1 - beta / s**4) / (1 + 1 / s**2)": (
                "this is the side of the inputs, without the factor of the noise"
            ),
            "((z + s**2 - 1) ** 2 - beta) / ((z + s**2 - 1) * (z + s**2 + beta - 1))": (
                "the factor multiplies the noise; what counts is its variance"
            ),
            "((z**2 + s**2 - 1) ** 2 - 1) / ((z**2 + s**2 - 1) * (z**2 + s**2))": (
                "the width ratio is ignored"
            ),
            "((q := z**2 + beta**2) - 1 - s / (q - 1)) / (q + s - 1)": (
                "strength and width ratio are swapped"
            ),
            "s**2 / (s**2 + z**2)": "this is the side of the inputs, without the other rows",
            "0.8": "a constant",
        },
    },
    "ex-relu": {
        "cases": "[(-0.5,), (0.9,)]",
        "wrong": {
            "2 * overlap / np.sqrt(4 * np.pi)": (
                "only the leading order; the exact result is asked for"
            ),
            "(2 * overlap + overlap**3) / np.sqrt(4 * np.pi)": (
                "the coefficients of the step function change their sign"
            ),
            "(2 * overlap - overlap**3) / np.sqrt(2 * np.pi)": (
                "the labels are He2 over the root of 2"
            ),
            "(2 * overlap - overlap**3 / 6) / np.sqrt(4 * np.pi)": (
                "the mean of He3 squared is not 1"
            ),
            "(overlap - overlap**3) / np.sqrt(4 * np.pi)": "z He2(z) holds more of He1",
            "(2 * abs(overlap) - abs(overlap) ** 3) / np.sqrt(4 * np.pi)": (
                "the pull changes its sign with the overlap"
            ),
            "0.28": "a constant",
        },
    },
    # first_step/exact_curves
    "ex-ec-moments": {
        "cases": "[(2.0, 1.0), (10.0, 4.0)]",
        "wrong": {
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi + 1 / alpha0)
    b2 = 1 + eta**2 / alpha0 * ((1 + np.exp(-2)) / 2 - np.exp(-1))
    return eta * np.exp(-0.5) * g, np.sqrt(2 / np.pi) / g, b2
""": "the third is a length, not its square",
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi + 1 / alpha0)
    b2 = 1 + eta**2 / alpha0 * ((1 + np.exp(-2)) / 2 - np.exp(-1))
    return eta * np.exp(-0.5) * g, 2 / np.pi / g**2, np.sqrt(b2)
""": "the second is a cosine, not its square",
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi + 1 / alpha0)
    b2 = 1 + eta**2 / alpha0 * (1 + np.exp(-2)) / 2
    return eta * np.exp(-0.5) * g, np.sqrt(2 / np.pi) / g, np.sqrt(b2)
""": "a variance is the mean square minus the square of the mean",
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi + 1 / alpha0)
    b2 = 1 + eta**2 / alpha0 * ((1 - np.exp(-2)) / 2)
    return eta * np.exp(-0.5) * g, np.sqrt(2 / np.pi) / g, np.sqrt(b2)
""": "the variance is that of the slope, not of the activation",
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi + 1 / alpha0)
    b2 = 1 + eta**2 / alpha0 * ((1 + np.exp(-2)) / 2 - np.exp(-1))
    return eta * g, np.sqrt(2 / np.pi) / g, np.sqrt(b2)
""": "the mean slope is left out",
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi)
    b2 = 1 + eta**2 / alpha0 * ((1 + np.exp(-2)) / 2 - np.exp(-1))
    return eta * np.exp(-0.5) * g, np.sqrt(2 / np.pi) / g, np.sqrt(b2)
""": "with finitely many samples the gradient is longer than its mean",
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi + 1 / alpha0)
    b2 = 1 + eta / alpha0 * ((1 + np.exp(-2)) / 2 - np.exp(-1))
    return eta * np.exp(-0.5) * g, np.sqrt(2 / np.pi) / g, np.sqrt(b2)
""": "the step size enters the squared length squared",
            """def sine_step(alpha0, eta):
    g = np.sqrt(2 / np.pi + 1 / alpha0)
    b2 = 1 + eta**2 / alpha0 * ((1 + np.exp(-2)) / 2 - np.exp(-1))
    return np.sqrt(2 / np.pi) / g, eta * np.exp(-0.5) * g, np.sqrt(b2)
""": "strength and cosine are swapped",
        },
    },
    "ex-ec-sine": {
        "cases": "[(k[700:1000:70], 1.2, 1.1), (k[720:1020:50], 2.0, 0.9)]",
        "wrong": {
            """def sine_functions(k, r, b):
    mean, linear = np.sin(r * k), np.cos(r * k)
    square = (1 - np.exp(-2 * b**2) * np.cos(2 * r * k)) / 2
    return np.stack([mean, linear, square - mean**2 - b**2 * linear**2])
""": "averaging over z shrinks the mean and the slope",
            """def sine_functions(k, r, b):
    mean, linear = np.exp(-(b**2)) * np.array([np.sin(r * k), np.cos(r * k)])
    square = (1 - np.exp(-2 * b**2) * np.cos(2 * r * k)) / 2
    return np.stack([mean, linear, square - mean**2 - b**2 * linear**2])
""": "the mean of cos(bz) has half of this exponent",
            """def sine_functions(k, r, b):
    mean, linear = np.exp(-(b**2) / 2) * np.array([np.sin(r * k), np.cos(r * k)])
    square = (1 - np.exp(-2 * b**2) * np.cos(2 * r * k)) / 2
    return np.stack([mean, linear, square - mean**2 - linear**2])
""": "the linear part has the variance of b z",
            """def sine_functions(k, r, b):
    mean, linear = np.exp(-(b**2) / 2) * np.array([np.sin(r * k), np.cos(r * k)])
    square = (1 - np.exp(-2 * b**2) * np.cos(2 * r * k)) / 2
    return np.stack([mean, linear, np.sqrt(square - mean**2 - b**2 * linear**2)])
""": "the third is a square; no root is asked for",
            """def sine_functions(k, r, b):
    mean, linear = np.exp(-(b**2) / 2) * np.array([np.sin(r * k), np.cos(r * k)])
    square = (1 - np.exp(-(b**2) / 2) * np.cos(2 * r * k)) / 2
    return np.stack([mean, linear, square - mean**2 - b**2 * linear**2])
""": "the argument is doubled, so its variance is four times as large",
            """def sine_functions(k, r, b):
    mean, linear = np.exp(-(b**2) / 2) * np.array([np.sin(r * k), np.cos(r * k)])
    square = (1 - np.exp(-2 * b**2) * np.cos(2 * r * k)) / 2
    return np.stack([mean, r * linear, square - mean**2 - b**2 * linear**2])
""": "the slope is that of the activation, not of the function of k",
            """def sine_functions(k, r, b):
    mean, linear = np.exp(-(b**2) / 2) * np.array([np.sin(r * k), np.cos(r * k)])
    square = (1 - np.exp(-2 * b**2) * np.cos(2 * r * k)) / 2
    return np.stack([mean, linear, square - mean**2])
""": "the linear part is still in the third",
            """def sine_functions(k, r, b):
    mean, linear = np.exp(-(b**2) / 2) * np.array([np.sin(r * k), np.cos(r * k)])
    square = (1 - np.exp(-2 * b**2) * np.cos(2 * r * k)) / 2
    return np.stack([linear, mean, square - mean**2 - b**2 * linear**2])
""": "mean and slope are swapped",
        },
    },
    "ex-ec-noise": {
        "cases": "[(16.0, 8.0), (24.0, 4.0)]",
        "wrong": {
            "np.interp(0, [excess(v, 16.0, eta) for v in np.linspace(0, 3, 30)], "
            "np.linspace(0, 3, 30))": "the samples of the step are ignored",
            "np.interp(0, [excess(v, alpha0, 5.0) for v in np.linspace(0, 3, 30)], "
            "np.linspace(0, 3, 30))": "the step size is ignored",
            "np.interp(0, [excess(v, alpha0, eta) for v in np.linspace(0, 3, 30)], "
            "np.linspace(0, 3, 30)) ** 2": "this is the variance of the noise",
            "np.interp(0, [excess(v, alpha0, eta) + v**2 for v in np.linspace(0, 3, 30)], "
            "np.linspace(0, 3, 30))": "the bound of linear predictors holds the noise, too",
            """def noise_limit(alpha0, eta):
    low, high = 0.0, 4.0
    for _ in range(9):
        noise = (low + high) / 2
        step = OneStep("tanh", "sign", alpha0, eta, noise=noise)
        below = learning_curve(step, 2.0, RIDGES).mean() < step.linear_bound
        low, high = (noise, high) if below else (low, noise)
    return noise
""": "the mean over ridges, not the best of them",
            "1.0": "a constant",
        },
    },
    # first_step/exact_curves_in_depth
    "ex-ec-bug": {
        "cases": '[(OneStep("tanh", "sign", 16.0, 4.0), 1.0, 2.0, 3.0), '
        '(OneStep("tanh", "sign", 8.0, 8.0), 4.0, 0.7, 1.6)]',
        "wrong": {
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    p = w @ (1 / (1 + mu1**2 * V1 + mu2 * V2))
    return alpha * p * (w @ mu1**2), alpha * p * (w @ mu2)
""": "this is the function of the statement, with its bug",
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    p = 1 / (1 + (w @ mu1**2) * V1 + (w @ mu2) * V2)
    return alpha * p * (w @ mu1**2), alpha * p * (w @ mu2)
""": "the average still comes too early: p depends on k",
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    p = 1 / (1 + mu1**2 * V1 + mu2 * V2)
    return alpha * (w @ (mu1**2 * p**2)), alpha * (w @ (mu2 * p**2))
""": "a sample counts with p, not with its square",
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    p = 1 / (1 + mu1**2 * V1 + mu2**2 * V2)
    return alpha * (w @ (mu1**2 * p)), alpha * (w @ (mu2**2 * p))
""": "`neuron` already returns the square of the third",
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    p = 1 / (1 + mu1 * V1 + mu2 * V2)
    return alpha * (w @ (mu1 * p)), alpha * (w @ (mu2 * p))
""": "`neuron` returns the slope, not its square",
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    p = 1 / (1 + mu1**2 * V2 + mu2 * V1)
    return alpha * (w @ (mu1**2 * p)), alpha * (w @ (mu2 * p))
""": "V1 and V2 are swapped",
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    p = 1 / (1 + mu1**2 * V1 + mu2 * V2)
    return w @ (mu1**2 * p), w @ (mu2 * p)
""": "the number of samples is left out",
            """def hats(config, alpha, V1, V2):
    _, mu1, mu2 = neuron(config, k)
    return alpha * (w @ mu1**2), alpha * (w @ mu2)
""": "every sample counts in full, as if nothing were overfitted",
        },
    },
    "ex-ec-atom": {
        "cases": "[(1.25,), (4.0,)]",
        "wrong": {
            "1 / beta": "the share of the eigenvalues that are not zero",
            "beta - 1": "zeros per dimension, not per neuron",
            "2 * (beta - 1) / (beta + 1)": "the term beside the root is left out",
            "1 - 1 / np.sqrt(beta)": "the count of the zeros has no root",
            "1 - 1 / beta**2": "the ratio of the sizes counts once",
            "0.5": "a constant",
        },
    },
    "ex-ec-ridge": {
        "cases": "[(1.7, 0.85), (0.7, 0.6)]",
        "wrong": {
            """def large_ridge(r, rho):
    def both(u, v):
        return (np.exp(-((u - v) ** 2) / 2) - np.exp(-((u + v) ** 2) / 2)) / 2

    return (1 - np.exp(-2)) / 2 - both(r, rho) ** 2 / both(r, r)
""": "seen along the spike the labels are blurred by what the gradient missed",
            """def large_ridge(r, rho):
    def both(u, v):
        return (np.exp(-((u - v) ** 2) / 2) - np.exp(-((u + v) ** 2) / 2)) / 2

    return (1 - np.exp(-2)) / 2 - np.exp((rho**2 - 1) / 2) * both(r, rho) ** 2 / both(r, r)
""": "the blur of the labels enters squared",
            """def large_ridge(r, rho):
    def both(u, v):
        return (np.exp(-((u - v) ** 2) / 2) - np.exp(-((u + v) ** 2) / 2)) / 2

    return (1 - np.exp(-2)) / 2 - np.exp(rho**2 - 1) * both(rho, rho)
""": "the strength of the step is ignored: the network's sine has another frequency",
            """def large_ridge(r, rho):
    def both(u, v):
        return (np.exp(-((u - v) ** 2) / 2) - np.exp(-((u + v) ** 2) / 2)) / 2

    return np.exp(rho**2 - 1) * both(r, rho) ** 2 / both(r, r)
""": "this is what is learnt, not what is missed",
            """def large_ridge(r, rho):
    def both(u, v):
        return (np.exp(-((u - v) ** 2) / 2) - np.exp(-((u + v) ** 2) / 2)) / 2

    return np.exp(rho**2 - 1) * (both(rho, rho) - both(r, rho) ** 2 / both(r, r))
""": "the error along the spike only; the labels vary across it, too",
            """def large_ridge(r, rho):
    def both(u, v):
        return np.exp(-((u - v) ** 2) / 2) / 2

    return (1 - np.exp(-2)) / 2 - np.exp(rho**2 - 1) * both(r, rho) ** 2 / both(r, r)
""": "a product of sines is half of a difference of two cosines",
            "(1 - np.exp(-2)) / 2": "one function is learnt at any ridge",
        },
    },
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
            "2 * r**2": "the law of small pushes: a mean over tau is not taken out",
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
    # first_step/higher_spikes_in_depth
    "ex-hs-decade": {
        "cases": "[(2, 2.0), (4, 1.3), (1, 7.0)]",
        "wrong": {
            "factor ** (degree * (degree + 1))": "the exponent of a window is 1/2 - 1/(2 l)",
            "factor ** (2 * degree)": "the window of the next degree moves with m, too",
            "factor ** (2 * (degree + 1))": "the window of this degree moves with m, too",
            "factor ** (1 / (2 * degree * (degree + 1)))": (
                "this is the factor at a width, not the width for a factor"
            ),
            "factor ** (2 * degree * (degree - 1))": "this compares with the degree below",
            "factor ** 12": "the degree is ignored",
            "10.0 ** (2 * degree * (degree + 1))": "the factor is ignored",
        },
    },
    "ex-hs-strong": {
        "cases": "[(0.6, 0.8, 4.0, 5.0), (0.5, 0.2, 1.0, 3.0)]",
        "wrong": {
            """def strong_error(c1, c3, alpha0, alpha):
    whole = one_step.FirstStep("tanh", (0.0, c1, 0.0, c3), alpha0, 1.0)
    return one_step.ridge_risk(whole, 0.0, alpha)
""": "nothing has been taken away: this is the error without a step",
            """def strong_error(c1, c3, alpha0, alpha):
    whole = one_step.FirstStep("tanh", (0.0, c1, 0.0, c3), alpha0, 1.0)
    return one_step.ridge_risk(whole, 1e6, alpha)
""": "the cubic is still there: only the first spike is strong",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + (c1**2 + c3**2) / alpha0)
    noise, left = c3 * (1 - rho2) ** 0.5, c1 * (1 - rho2) ** 0.5
    rest = one_step.FirstStep("tanh", (0.0, left), alpha0, 1.0, noise)
    return one_step.ridge_risk(rest, 0.0, alpha)
""": "a polynomial of degree 3 keeps the cube of the cosine",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + (c1**2 + c3**2) / alpha0)
    left = c1 * (1 - rho2) ** 0.5
    rest = one_step.FirstStep("tanh", (0.0, left), alpha0, 1.0)
    return one_step.ridge_risk(rest, 0.0, alpha)
""": "what the gradient missed of the cubic is noise",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + (c1**2 + c3**2) / alpha0)
    return c1**2 * (1 - rho2) + c3**2 * (1 - rho2**3)
""": "this is the size of what is left, not the error of a fit to it",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + c1**2 / alpha0)
    noise, left = c3 * (1 - rho2**3) ** 0.5, c1 * (1 - rho2) ** 0.5
    rest = one_step.FirstStep("tanh", (0.0, left), alpha0, 1.0, noise)
    return one_step.ridge_risk(rest, 0.0, alpha)
""": "the cubic part of the label makes the gradient noisier, too",
        },
    },
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
    # representations/learning_directions
    "ex-ld-hessian": {
        "cases": "[([0.7, 0.4, -1.3, 0.6],), ([-0.2, 1.1, 0.35, -0.9],)]",
        "wrong": {
            "c[2]": "the second derivative of h_2 is not one",
            "2 * c[2]": "that would be the curvature of He_2; h_2 is normalised",
            "np.sqrt(2) * c[1]": "the coefficients are counted from h_0 on",
            "np.sqrt(2) * c[2] + np.sqrt(6) * c[3]": (
                "this is the curvature at one point, not its mean"
            ),
            "np.sqrt(2) * sum(c)": "coefficients are counted whose second derivative has mean zero",
        },
    },
    "ex-ld-half": {
        "cases": "[(1000, 1.5, False), (2500, 0.7, True)]",
        "wrong": {
            "second_moment / (2 * n)": "least squares does nothing in this formula",
            "second_moment / (4 * n)": "the gate's mean is missing where nothing was removed",
            "1 / (4 * n) if removed else 1 / (2 * n)": (
                "the second moment of the labels is left out"
            ),
            "second_moment / (2 * n) if removed else second_moment / (4 * n)": (
                "least squares makes the noise larger in this formula"
            ),
            "second_moment / (2 * n) if removed else second_moment / n": (
                "every sample counts here, also those for which the gate is shut"
            ),
            "(second_moment / n) ** 0.5 / (2 if removed else 2**0.5)": (
                "a standard deviation, not a variance"
            ),
        },
    },
    "ex-ld-forget": {
        "cases": (
            "[(x, (x[:, 0] + (x[:, 1] ** 2 - 1) / 2**0.5) / 2**0.5, W) for x, W in "
            "((np.random.default_rng(k).standard_normal((n, d)), np.random.default_rng(k + "
            "50).standard_normal((150, d))) for k, n, d in ((1, 3000, 30), (2, 600, 12)))]"
        ),
        "wrong": {
            "[0.5, 0.5]": "the guess that neurons share themselves out evenly",
            (
                "def forgetful(x, y, W):\n"
                "    inputs = np.column_stack([np.ones(len(x)), x])\n"
                "    y = y - inputs @ np.linalg.lstsq(inputs, y, rcond=None)[0]\n"
                "    pull = ((x @ W.T > 0) * y[:, None]).T @ x\n"
                "    pull /= np.linalg.norm(pull, axis=1, keepdims=True)\n"
                "    return np.square(pull[:, :2]).mean(axis=0)"
            ): "the slope is taken out, as it is not in this question",
            "np.square((y @ x)[:2]) / np.sum((y @ x) ** 2)": (
                "the gate is left out, so that all neurons have one pull"
            ),
            "np.square((W / np.linalg.norm(W, axis=1, keepdims=True))[:, :2]).mean(axis=0)": (
                "these are the neurons before the step"
            ),
            "np.square(((x @ W.T > 0) * y[:, None]).T @ x)[:, :2].mean(axis=0)": (
                "the pulls have not been made unit vectors"
            ),
            (
                "def forgetful(x, y, W):\n"
                "    pull = ((x @ W.T > 0) * y[:, None]).T @ x\n"
                "    pull /= np.linalg.norm(pull, axis=1, keepdims=True)\n"
                "    return abs(pull[:, :2]).mean(axis=0)"
            ): "cosines, not their squares",
            (
                "def forgetful(x, y, W):\n"
                "    pull = ((x @ W.T > 0) * y[:, None]).T @ x\n"
                "    square = np.square(pull)\n"
                "    return square[:, :2].mean(axis=0) / square.sum(axis=1).mean()"
            ): "a ratio of means, not the mean of the neurons' ratios",
        },
    },
    # representations/learning_directions_in_depth
    "ex-ld-kappa": {
        "cases": "[(0.5, 0.3, 0.2), (1.2, -0.7, 1.5)]",
        "wrong": {
            "(5 * c2**2 + 7 * c3**2) / (2 * c2**2)": "the noise of the labels is left out",
            "(5 * c2**2 + 7 * c3**2 + noise) / (2 * c2**2)": (
                "a standard deviation stands where a variance belongs"
            ),
            "(5 * c2**2 + 7 * c3**2 + noise**2) / c2**2": "the second derivative of h_2 is not one",
            "(5 * c2**2 + 7 * c3**2 + noise**2) / (2**0.5 * c2)": "the curvature is not squared",
            "(c2**2 + c3**2 + noise**2) / (2 * c2**2)": (
                "the second moment of the labels is taken without the coordinate"
            ),
            "(5 * c2**2 + noise**2) / (2 * c2**2)": (
                "the cubic part has no signal, but it does add to the noise"
            ),
            "6.0": "the number of the page's own link",
        },
    },
    "ex-ld-bug": {
        "cases": (
            "[(np.random.default_rng(k).standard_normal((40, d)), np.random.default_rng(k + "
            "50).standard_normal((2, d))) for k, d in ((11, 9), (12, 15))]"
        ),
        "wrong": {
            "np.mean(np.sum((W @ U.T) ** 2, axis=1) / np.sum(W**2, axis=1))": (
                "the friend's own formula"
            ),
            (
                "np.mean(np.sum((W @ (U / np.linalg.norm(U, axis=1, keepdims=True)).T) ** 2, "
                "axis=1) / np.sum(W**2, axis=1))"
            ): "the two features have length one now, and are still not orthogonal",
            "np.mean(np.minimum(np.sum((W @ U.T) ** 2, axis=1) / np.sum(W**2, axis=1), 1))": (
                "values above one are cut off, their cause stays"
            ),
            "np.mean(np.sum((W @ np.linalg.qr(U.T)[0]) ** 2, axis=1))": (
                "the length of the neurons is not divided out"
            ),
            "np.mean(np.sum((W @ U.T) ** 2, axis=1) / np.sum(W**2, axis=1)) / np.sum(U**2)": (
                "lengths are divided out, angles between the features are not"
            ),
        },
    },
    # representations/transfer
    "ex-tr-floor": {
        "cases": "[(0.15, 33), (0.5, 55), (0.9, 8)]",
        "wrong": {
            "1 - np.cos(np.radians(tilt)) ** 6": "the mixture is ignored",
            (
                "(1 - q) * (1 - np.cos(np.radians(tilt)) ** 2) + q * (1 - "
                "np.cos(np.radians(tilt)) ** 3)"
            ): "the prediction's factor is taken for its variance",
            (
                "q * (1 - np.cos(np.radians(tilt)) ** 4) + (1 - q) * (1 - "
                "np.cos(np.radians(tilt)) ** 6)"
            ): "the two parts are swapped",
            (
                "np.sqrt(1 - q) * (1 - np.cos(np.radians(tilt)) ** 4) + np.sqrt(q) * (1 - "
                "np.cos(np.radians(tilt)) ** 6)"
            ): "the parts are weighted by their amplitudes",
            "(1 - q) * (1 - np.cos(tilt) ** 4) + q * (1 - np.cos(tilt) ** 6)": (
                "degrees are taken for radians"
            ),
            (
                "(1 - q) * (1 - np.cos(np.radians(tilt)) ** 2) ** 2 + q * (1 - "
                "np.cos(np.radians(tilt)) ** 3) ** 2"
            ): (
                "the feature's own polynomial is taken at full size, and its misfit across "
                "is forgotten"
            ),
            "(2 * (1 - q) + 3 * q) * np.sin(np.radians(tilt)) ** 2": (
                "this holds for small tilts only"
            ),
        },
    },
    "ex-tr-source": {
        "cases": "[(2, 0.3, 500), (5, 0.15, 60)]",
        "wrong": {
            "5 * d / ((1 - error) ** (-1 / degree) - 1)": "the second derivative of h_2 is not one",
            "2.5 * degree * d / error": "this holds for small errors only",
            "2.5 * d / ((1 - error) ** (-0.5 / degree) - 1)": (
                "the squared cosine is taken for the cosine"
            ),
            "2.5 * d / ((1 - error) ** (-1 / 3) - 1)": "the degree is ignored",
            "2.5 * d**2 / ((1 - error) ** (-1 / degree) - 1)": (
                "a power of d too many: this is about the tilt that all neurons share"
            ),
            "2.5 * d / (error ** (-1 / degree) - 1)": (
                "the share that is predicted and the error are swapped"
            ),
            "16 * d**2": "what this page takes, not what the bound asks for",
        },
    },
    "ex-tr-halves": {
        "cases": (
            "[(two_halves(d, np.random.default_rng(d)), 2048, np.random.default_rng(9)) for "
            "d in (10, 24)]"
        ),
        "wrong": {
            "0.5": "that holds for neurons exactly along one of the two directions",
            (
                "def half_layers(net, n, rng):\n"
                "    out = []\n"
                "    for _ in range(3):\n"
                "        x = rng.standard_normal((n, net.d))\n"
                "        y = (h(2, x[:, 0]) + h(2, x[:, 1])) / 2 + x[:, 0] * x[:, 1] / 2**0.5\n"
                "        f = net.features(x) @ fit_readout(net.features(x), y, 'gcv')\n"
                "        out.append(np.mean((f - y) ** 2))\n"
                "    return np.median(out)"
            ): "the error on the labels to which the readout was fitted",
            (
                "def half_layers(net, n, rng):\n"
                "    x, new = (rng.standard_normal((k, net.d)) for k in (n, 9000))\n"
                "    y, truth = ((h(2, v[:, 0]) + h(2, v[:, 1])) / 2 for v in (x, new))\n"
                "    f = net.features(new) @ fit_readout(net.features(x), y, 'gcv')\n"
                "    return np.mean((f - truth) ** 2) / np.mean(truth**2)"
            ): "the interaction is missing in the target",
            (
                "def half_layers(net, n, rng):\n"
                "    x, new = (rng.standard_normal((k, net.d)) for k in (n, 9000))\n"
                "    y, truth = (v[:, 0] * v[:, 1] for v in (x, new))\n"
                "    f = net.features(new) @ fit_readout(net.features(x), y, 'gcv')\n"
                "    return np.mean((f - truth) ** 2) / np.mean(truth**2)"
            ): "the target is the interaction alone",
            (
                "def half_layers(net, n, rng):\n"
                "    x, new = (rng.standard_normal((k, net.d)) for k in (n, 9000))\n"
                "    y, truth = (h(2, v[:, 0]) for v in (x, new))\n"
                "    f = net.features(new) @ fit_readout(net.features(x), y, 'gcv')\n"
                "    return np.mean((f - truth) ** 2) / np.mean(truth**2)"
            ): "the target is that of the first source",
        },
    },
    # representations/transfer_in_depth
    "ex-tr-bug": {
        "cases": "[(128, 1e-2), (40, 0.1)]",
        "wrong": {
            (
                "def repaired(n, ridge):\n"
                "    _, cross, size = spectra.feature_moments(LAYER, SHORT)\n"
                "    return size - fitted(n, ridge) @ cross"
            ): "the colleague's own formula",
            (
                "def repaired(n, ridge):\n"
                "    second, _, size = spectra.feature_moments(LAYER, SHORT)\n"
                "    a = fitted(n, ridge)\n"
                "    return size - a @ second @ a"
            ): "this, too, is right for the best readout only",
            (
                "def repaired(n, ridge):\n"
                "    _, cross, size = spectra.feature_moments(LAYER, SHORT)\n"
                "    a = fitted(n, ridge)\n"
                "    return size - 2 * a @ cross + a @ a"
            ): "the features are taken as orthonormal",
            (
                "def repaired(n, ridge):\n"
                "    second, cross, size = spectra.feature_moments(LAYER, SHORT)\n"
                "    a = np.linalg.solve(second + ridge * np.eye(len(cross)), cross)\n"
                "    return size - 2 * a @ cross + a @ second @ a"
            ): "a readout fitted to infinitely many labels, not to n",
            (
                "def repaired(n, ridge):\n"
                "    x, y = SHORT.sample(n, np.random.default_rng(n))\n"
                "    return np.mean((LAYER.features(x) @ fitted(n, ridge) - y) ** 2)"
            ): "the error on the labels to which the readout was fitted",
        },
    },
    "ex-tr-noise": {
        "cases": "[(16.0, 1.5), (2.5, 0.8)]",
        "wrong": {
            "c": "the noise is ignored",
            "c / (1 + noise)": "a standard deviation stands where a variance belongs",
            "c / noise**2": "the labels vary without noise, too",
            "c * (1 + noise**2)": "noise makes labels worth more in this formula",
            "c / (1 + noise**2) ** 2": "the noise is counted twice",
            "c / (1 + noise**2) ** 0.5": "the ratio is one of squares, not of lengths",
        },
    },
    "ex-tr-constant": {
        "cases": "[(120, 600, 100.0), (200, 150, 300.0)]",
        "wrong": {
            "m / abs(n - m)": "the ridge is left out",
            "1 / (1 - m / n / (1 + ridge / n) ** 2) - 1": (
                "the effective ridge is larger than the ridge over n"
            ),
            (
                "def noise_error(m, n, ridge):\n"
                "    half = (n - m - ridge) / 2\n"
                "    kappa = (-half + np.sqrt(half**2 + n * ridge)) / n\n"
                "    return 1 / (1 - m / n / (1 + kappa) ** 2)"
            ): "the noise of the test sample is still in it",
            (
                "def noise_error(m, n, ridge):\n"
                "    half = (n - m - ridge) / 2\n"
                "    kappa = (-half + np.sqrt(half**2 + n * ridge)) / n\n"
                "    return 1 / (1 - m / n / (1 + kappa)) - 1"
            ): "a square is forgotten",
            (
                "def noise_error(m, n, ridge):\n"
                "    half = (n - m - ridge) / 2\n"
                "    kappa = (-half + np.sqrt(half**2 + n * ridge)) / n\n"
                "    return m / n / (1 + kappa) ** 2"
            ): "residuals pass noise on again and again; here they do it once",
            "m * n / (n + ridge) ** 2": "this holds for few features and many samples",
        },
    },
    # representations/gradient_features
    "ex-gf-tight": {
        "cases": "[(20, 7.0), (24, 2.5), (12, 8.0)]",
        "wrong": {
            "R / C * np.tan(np.pi / C)": "some numbers of clusters push the neuron away",
            "R / C * (-1.0) ** (C // 4) * np.tan(np.pi / C)": (
                "with four clusters the neuron is pulled on, not away"
            ),
            "R / C * (-1.0) ** (C // 4 + 1)": "the sum over the centres is not only a sign",
            "(-1.0) ** (C // 4 + 1) * np.tan(np.pi / C) / C": "the radius is left out",
            "R * (-1.0) ** (C // 4 + 1) * np.tan(np.pi / C)": "a cluster holds 1/C of the inputs",
            "R / C * (1 - 2 * np.cos(2 * np.pi / C))": (
                "of the clusters that are seen only the nearest three are counted"
            ),
            "R / C * (1 - np.sqrt(2))": "this is the result for eight clusters",
        },
    },
    "ex-gf-half": {
        "cases": "[(0.9, 0.4, 160), (0.6, 1.1, 120)]",
        "wrong": {
            "np.pi * d**2 / (R1**4 + R2**4)": "a cluster holds a quarter of the inputs",
            "8 * np.pi * d**2 / (R1**4 + R2**4)": "only the half which the neuron sees makes noise",
            "4 * np.pi * d / (R1**4 + R2**4)": "the overlap of w with a centre falls with d, too",
            "4 * np.pi * d**2 / (R1**2 + R2**2)": (
                "each part of the pull has the square of its radius, before you square the pull"
            ),
            "4 * np.pi * d**2 / (R1**2 + R2**2) ** 2": (
                "the two parts of the pull are at a right angle: their squares add up"
            ),
            "2 * np.pi * d**2 / R1**4": "R2 is ignored",
            "2 * np.pi * d**2 / (R1 * R2) ** 2": "no product of the radii: each axis adds its part",
            "(R1**4 + R2**4) / (4 * np.pi * d**2)": "turned upside down",
        },
    },
    "ex-gf-flip": {
        "cases": ("[(300, 0.25, np.random.default_rng(8)), (600, 0.05, np.random.default_rng(9))]"),
        "wrong": {
            "np.mean((v := (81 * n / (4e4 * np.pi) + 0.055)"
            " * -2 * np.log((np.arange(500) + 0.5) / 500)) / (1 + v))": (
                "the wrong labels are left out"
            ),
            "np.mean((v := ((1 - p) ** 2 * 81 * n / (4e4 * np.pi) + 0.055)"
            " * -2 * np.log((np.arange(500) + 0.5) / 500)) / (1 + v))": (
                "a wrong label does not only fall out, it counts against"
            ),
            "np.mean((v := ((1 - 2 * p) * 81 * n / (4e4 * np.pi) + 0.055)"
            " * -2 * np.log((np.arange(500) + 0.5) / 500)) / (1 + v))": (
                "it is the square of the pull that counts"
            ),
            "np.mean((v := (1 - 2 * p) ** 2 * 81 * n / (4e4 * np.pi)"
            " * -2 * np.log((np.arange(500) + 0.5) / 500)) / (1 + v))": (
                "inputs are longer in the plane, whatever their labels"
            ),
            "0.21": "a constant",
        },
    },
    # representations/gradient_features_in_depth
    "ex-gf-majority": {
        "cases": "[(7, 2, 1.5), (9, 4, 3.5), (8, 5, 1.5)]",
        "wrong": {
            "np.mean((b := 1 - 2 * (np.arange(2**d)[:, None] >> np.arange(d) & 1))"
            "[b.sum(axis=1) > threshold][:, :order].prod(axis=1))": (
                "the mean is over all strings, not over those at which the neuron fires"
            ),
            "np.mean((b := 1 - 2 * (np.arange(2**d)[:, None] >> np.arange(d) & 1)).prod(axis=1)"
            " * (b.sum(axis=1) > threshold))": "the order is ignored",
            "np.mean((b := 1 - 2 * (np.arange(2**d)[:, None] >> np.arange(d) & 1))"
            "[:, :order].prod(axis=1) * np.sign(b.sum(axis=1) - threshold))": (
                "the neuron's slope is 0 or 1, not -1 or 1"
            ),
            "np.mean((b := 1 - 2 * (np.arange(2**d)[:, None] >> np.arange(d) & 1))"
            "[:, :order].prod(axis=1) * (b.sum(axis=1) > -threshold))": (
                "the sign of the threshold is turned"
            ),
            "np.mean((b := np.arange(2**d)[:, None] >> np.arange(d) & 1)[:, :order].prod(axis=1)"
            " * (b.sum(axis=1) > threshold))": "bits are -1 or 1, not 0 or 1",
            "np.mean((b := 1 - 2 * (np.arange(2**d)[:, None] >> np.arange(d) & 1))"
            "[:, :order].sum(axis=1) * (b.sum(axis=1) > threshold))": "a sum in place of a product",
        },
    },
    "ex-gf-agree": {
        "cases": "[(0.55, False), (0.25, True), (0.9, False)]",
        "wrong": {
            "share": "a neuron without bias does not always fire",
            "share / 2": "a neuron that always fires is forgotten",
            "1.0 if always else 0.5": "the share of inputs whose bits agree is ignored",
            "share / 2 if always else share": "the two cases are swapped",
            "share + (1 - share) / 2 if always else share / 2 + (1 - share) / 4": (
                "where bits do not agree, they add nothing"
            ),
            "share**2 if always else share**2 / 2": "a square too many: the pull, not its power",
        },
    },
    "ex-gf-power": {
        "cases": (
            "[(net, *GaussianMixture.ring(100, 4, 2.5).sample(4000, np.random.default_rng(43))),"
            " (net, *GaussianMixture.ring(100, 4, 2.8).sample(3000, np.random.default_rng(40)))]"
        ),
        "wrong": {
            "np.mean(np.sum(simplified_gradient(network, x, y) ** 2, axis=1))": (
                "this is the colleague's: noise has a length too"
            ),
            "np.mean(np.sum(simplified_gradient(network, x[::2], y[::2]) ** 2, axis=1))": (
                "with half of the samples the noise is still there, and larger"
            ),
            "np.sum(np.mean(simplified_gradient(network, x, y), axis=0) ** 2)": (
                "the mean of squared lengths is asked, not the square of the mean pull"
            ),
            "np.mean(np.sum(simplified_gradient(network, x, y) ** 2, axis=1)) - 100 / len(x)": (
                "a neuron has noise from the inputs that it sees, a half"
            ),
            "np.mean(np.sum((lambda q: q[::2] * q[1::2])"
            "(simplified_gradient(network, x, y)), axis=1))": (
                "the samples are to be split, not the neurons"
            ),
        },
    },
    # representations/lottery_tickets
    "ex-lt-coupon": {
        "cases": "[(5, 1), (8, 3), (7, 0)]",
        "wrong": {
            "sum(kinds / (kinds - h) for h in range(kinds))": "the kinds in hand are ignored",
            "kinds / (kinds - held)": "this is the wait for the next kind only",
            "kinds - held": "not every draw is of a new kind",
            "kinds * (kinds - held)": "only the last kind has to be waited for as long as that",
            "sum(kinds / (kinds - h) for h in range(held + 1, kinds))": (
                "the next kind has to be waited for, too"
            ),
            "sum(kinds / (kinds - h) for h in range(held))": (
                "these are the draws that are behind you"
            ),
            "sum((kinds - h) / kinds for h in range(held, kinds))": (
                "the chance that a draw is new is not yet the number of draws"
            ),
        },
    },
    "ex-lt-fate": {
        "cases": "[(150, 40, 2.5), (80, 30, 1.5), (500, 20, 2.0)]",
        "wrong": {
            "1 - np.arctan(2 * np.pi * (2 + radius**2) / radius**4 * d / n) / np.pi": (
                "variances are compared where widths belong"
            ),
            "1 - np.arctan((4 * np.pi / radius**4 * d / n) ** 0.5) / np.pi": (
                "the clusters spread the inputs along the axis"
            ),
            "1 - np.arctan((np.pi * (2 + radius**2) / radius**4 * d / n) ** 0.5) / np.pi": (
                "a factor of two is lost in the variance of the noise"
            ),
            "1 - np.arctan((2 * np.pi * (2 + radius**2) / radius**4 / n) ** 0.5) / np.pi": (
                "the start has the variance 1/d, not 1"
            ),
            "1 - 2 * np.arctan((2 * np.pi * (2 + radius**2) / radius**4 * d / n) ** 0.5) / np.pi": (
                "the two wedges have the share of one angle in a half circle"
            ),
            "np.arctan((2 * np.pi * (2 + radius**2) / radius**4 * d / n) ** 0.5) / np.pi": (
                "this is the share that changes its kind"
            ),
            "1 - np.arctan((2 * np.pi * (2 + radius**2) / radius**4 * n / d) ** 0.5) / np.pi": (
                "more samples should make the signs agree more often"
            ),
            "0.74": "a constant",
        },
    },
    "ex-lt-redraw": {
        # more than six neurons: with four a right simulation scatters too much
        "cases": "[(8, np.random.default_rng(8)), (10, np.random.default_rng(9))]",
        "wrong": {
            "1 - 0.75**s": "this is for blind tickets: here half of the readouts have either sign",
            "1 - 0.5**s": "either axis has only half of the neurons",
            "(1 - 2.0 ** (1 - s / 2)) ** 2": "the share of clusters is asked, not if all are found",
            "1 - 0.75 ** (s / 2)": "on its axis a neuron has one of two kinds, not of four",
            "s / 4": "two neurons may be of one kind",
            "0.75": "a constant",
        },
    },
    # representations/lottery_tickets_in_depth
    "ex-lt-both": {
        "cases": "[(0.05, 200), (0.2, 20), (0.1, 60)]",
        "wrong": {
            "(1 - (1 - p) ** m) ** 2": "one and the same neuron must keep both inputs",
            "1 - (1 - p) ** m": "this is for one input",
            "(1 - p**2) ** m": "this is the probability that it does not work",
            "m * p**2": "a mean number of neurons is no probability",
            "p**2": "there are m neurons, not one",
            "1 - p ** (2 * m)": "this is the probability that not all neurons keep both",
            "1 - (1 - 2 * p) ** m": "both inputs, not one of two",
        },
    },
    "ex-lt-score": {
        "cases": (
            "[(TwoLayer.ntk(w, k, 'relu', np.random.default_rng(w)),"
            " *GaussianMixture.ring(k, 4, 2.0).sample(40, np.random.default_rng(k)))"
            " for w, k in ((5, 3), (8, 6))]"
        ),
        "wrong": {
            "simplified_gradient(net, x, y) * net.a[:, None] / net.m**0.5": (
                "a score acts through the weight that it multiplies"
            ),
            "simplified_gradient(net, x, y) * net.W": "the readout is left out",
            "simplified_gradient(net, x, y) * net.a[:, None] * net.W": (
                "the network has a factor in front of its sum"
            ),
            "-0.5 * simplified_gradient(net, x, y) * net.a[:, None] / net.m**0.5 * net.W": (
                "this is the slope of the loss"
            ),
            "simplified_gradient(net, x, y) * net.a[:, None] / net.m**0.5 * abs(net.W)": (
                "the weight has a sign"
            ),
            "simplified_gradient(net, x, y) * net.a[:, None] / net.m * net.W": (
                "the factor in front of the sum is 1/√m"
            ),
        },
    },
    "ex-rt-pair": {
        "cases": "[(0.8, 1.6, 75), (1.5, 1.2, 40)]",
        "wrong": {
            "(p**2 + q**2) / 2 * K(1.0)": "the two neurons vary together; that part is left out",
            "(p - q) ** 2 / 2 * K(1.0)": "the angle is ignored, as if both were on one line",
            "(p**2 + q**2) / 2 * K(1.0) + p * q * K(np.cos(np.radians(degrees)))": (
                "the second mass is negative"
            ),
            "(p**2 + q**2) * K(1.0) - 2 * p * q * K(np.cos(np.radians(degrees)))": (
                "the loss is half of the mean square"
            ),
            "(p**2 + q**2) / 2 * K(1.0) - p * q * K(np.cos(degrees))": (
                "the angle is in degrees, NumPy takes radians"
            ),
            "p * q * np.radians(degrees) ** 2 / 2": (
                "that holds for equal masses at a small angle only"
            ),
            "(p - q) ** 2 / 2 * K(1.0) + p * q * np.radians(degrees) ** 2 / 2": (
                "the angle is not small here"
            ),
        },
    },
    "ex-rt-balance": {
        "cases": "[(starts[1] - 0.3, 0.3, 1.2), (starts[0], 0.8, 0.5)]",
        "wrong": {
            "start": "the decay is ignored; it does change the imbalance",
            "start * np.exp(-decay * t)": "that is a weight's own rate; here weights are squared",
            "start * np.exp(-4 * decay * t)": (
                "both squares shrink at one rate; their difference shrinks no faster"
            ),
            "start * np.exp(-2 * t)": "the strength of the decay is ignored",
            "start * np.exp(-2 * decay)": "the time is ignored",
            "start * (1 - 2 * decay * t)": (
                "that is the first step; the imbalance itself shrinks on the way"
            ),
            "start - 2 * decay * t": "the loss of imbalance goes with the imbalance",
        },
    },
    "ex-rt-schedule": {
        "cases": (
            "[(hold, *start(D, 20, np.random.default_rng(seed)))"
            " for hold, seed in ((0.3, 4), (0.5, 5))]"
        ),
        "wrong": {
            "theory.population_loss(teachers[0], *run(teachers[0], W, a, eta=ETA,"
            " weight_decay=np.full(1000, 0.03)))": "the decay does not fall",
            "theory.population_loss(teachers[0], *run(teachers[0], W, a, eta=ETA,"
            " weight_decay=np.zeros(1000)))": "there is no decay at all",
            "theory.population_loss(teachers[0], *run(teachers[0], W, a, eta=ETA,"
            " weight_decay=0.03 * (1e-6 / 0.03) ** (np.arange(1000) / 1000)))": (
                "the decay is not held first"
            ),
            "theory.population_loss(teachers[0], *run(teachers[0], W, a, eta=ETA,"
            " weight_decay=0.03 * (1e-6 / 0.03)"
            " ** np.clip(np.arange(1000) / 1000 - hold, 0, 1)))": (
                "the fall must use up the steps that are left after holding"
            ),
            "theory.population_loss(teachers[0], *run(teachers[0], W, a, eta=ETA,"
            " weight_decay=np.interp(np.arange(1000) / 1000, [hold, 1], [0.03, 1e-6])))": (
                "the decay falls along a straight line, not by equal factors"
            ),
            "theory.population_loss(teachers[0], W, a)": "the student is not trained",
        },
    },
    "ex-rt-one": {
        "cases": "[(1.9, [0.05, 0.25, 0.5, 0.9]), (-1.2, [0.1, 0.3, 0.5])]",
        "wrong": {
            "np.sign(readout) * (abs(readout) - np.array(decays) / (1 - 2 / np.pi))": (
                "past the threshold the mass is zero, not of the other sign"
            ),
            "np.maximum(readout - np.array(decays) / (1 - 2 / np.pi), 0)": (
                "a negative readout needs a negative mass"
            ),
            "np.sign(readout) * np.maximum(abs(readout) - np.array(decays), 0)": (
                "a neuron's output does not have the variance one"
            ),
            "np.sign(readout) * np.maximum(abs(readout) - np.array(decays) * (1 - 2 / np.pi), 0)": (
                "a factor is on the wrong side"
            ),
            "np.sign(readout)"
            " * np.maximum(abs(readout) - 2 * np.array(decays) / (1 - 2 / np.pi), 0)": (
                "a unit of mass costs the decay once"
            ),
            "readout * np.maximum(1 - np.array(decays) / (1 - 2 / np.pi), 0)": (
                "the decay takes the same from every mass, not the same share"
            ),
            "readout / (1 + np.array(decays) / (1 - 2 / np.pi))": (
                "that is a ridge, a price on the mass squared"
            ),
        },
    },
    "ex-rt-cube": {
        "cases": "[(55.0, -1.0), (30.0, 1.0)]",
        "wrong": {
            "recovery(two(degrees)).constant": "the sign of the second neuron is ignored",
            "recovery(two(degrees, -sign)).constant": "the signs are turned round",
            "recovery(two(degrees, sign)).loss(1.0)": (
                "the loss has a half that the constant has not"
            ),
            "recovery(two(degrees, sign)).mass(1.0)": "that is the mass that first order leaves",
            "2 / (1 - 2 / np.pi)": "that is two neurons that do not know of each other",
            "18.8 / np.radians(degrees) ** 3": (
                "the power law holds for small angles, and opposite signs"
            ),
        },
    },
    # end_of_training/repopulation
    "ex-rp-repopulate": {
        "cases": "[([0.25, 0.75], [2, -3], [3, 2]), ([0.4, 0.35, 0.25], [-1, 2, 5], [4, 1, 3])]",
        "wrong": {
            "u": "the readouts have not changed, though the shares have",
            "np.divide(u, copies)": "the clones make the network larger",
            "np.multiply(u, copies) / np.dot(p, copies)": "upside down: wider means lower",
            "np.multiply(u, sum(copies)) / copies": "the new shares have to add up to one",
            "np.multiply(p, u)": "this is the area of a kind, not its height",
        },
    },
    "ex-rp-best": {
        "cases": "[(1 + rng.random((4, k)), rng.normal(size=k)) for k in (3, 4)]",
        "wrong": {
            "theory.variance(features, nu, abs(nu) / abs(nu).sum())": (
                "equal heights are the best only where all neurons have the same size"
            ),
            "theory.variance(features, nu, np.full(len(nu), 1 / len(nu)))": (
                "this is what neurons cost that are drawn uniformly"
            ),
            "(abs(nu) @ np.sqrt((features**2).mean(axis=0))) ** 2": (
                "a variance: the square of the mean output has to go"
            ),
            "(abs(nu) @ features.mean(axis=0)) ** 2 - ((features @ nu) ** 2).mean()": (
                "the size of a neuron is the root of a mean square, not a mean"
            ),
            "(abs(nu) @ np.sqrt((features**2).sum(axis=0))) ** 2 - ((features @ nu) ** 2).mean()": (
                "the size of a neuron is a mean over the inputs, not a sum"
            ),
            "nu**2 @ (features**2).mean(axis=0) - ((features @ nu) ** 2).mean()": (
                "the square stands outside of the sum over neurons"
            ),
            "(nu @ np.sqrt((features**2).mean(axis=0))) ** 2 - ((features @ nu) ** 2).mean()": (
                "areas of opposite sign must not cancel"
            ),
        },
    },
    "ex-rp-heat": {
        "cases": "[(0.015,), (0.006,)]",
        "wrong": {
            "theory.variance(psi, limit(heat).nu, limit(heat).density)"
            " / theory.variance(psi, limit(heat).nu, uniform)": "learnt over random: upside down",
            "theory.variance(psi, nu, uniform) / theory.variance(psi, nu, limit(heat).density)": (
                "the areas are those of one temperature, the population that of another"
            ),
            "theory.variance(psi, limit(heat).nu, uniform) / theory.variance("
            "psi, limit(heat).nu, theory.optimal_density(psi, limit(heat).nu))": (
                "learnt neurons are asked for, not the best ones"
            ),
            "theory.variance(psi, limit(heat).nu, uniform)": "one of two costs, not their ratio",
            "(limit(heat).nu ** 2 / uniform).sum()"
            " / (limit(heat).nu ** 2 / limit(heat).density).sum()": (
                "these are mean squares, and the mean has not been taken out"
            ),
            "3.1": "the temperature is ignored",
        },
    },
    "ex-rp-density": {
        "cases": "[(solution(b, a).readout, a, b) for a, b in ((0.03, 0.03), (0.02, 0.1))]",
        "wrong": {
            "np.exp(ridge * readout**2 / (2 * heat))": "the shares do not add up to one",
            "np.exp(ridge * readout**2 / heat) / np.exp(ridge * readout**2 / heat).sum()": (
                "a factor in the exponent"
            ),
            "np.exp(heat * readout**2 / (2 * ridge))"
            " / np.exp(heat * readout**2 / (2 * ridge)).sum()": (
                "ridge and temperature are swapped: heat should flatten the density"
            ),
            "np.exp(readout**2 / (2 * ridge * heat) - 1e4)"
            " / np.exp(readout**2 / (2 * ridge * heat) - 1e4).sum()": (
                "the readout stands where the residual's correlation should"
            ),
            "np.exp(ridge * readout / (2 * heat)) / np.exp(ridge * readout / (2 * heat)).sum()": (
                "large readouts of either sign attract"
            ),
            "abs(readout) / abs(readout).sum()": "the density is not proportional to the readout",
        },
    },
    "ex-rp-noise": {
        "cases": "[(0.3, 0.2, 1.5, 3, np.random.default_rng(2)),"
        " (0.8, 0.4, 0.5, 60, np.random.default_rng(3))]",
        "wrong": {
            """def jitter(ridge, heat, dt, steps, rng):
    u = np.zeros(20_000)
    for _ in range(steps):
        z = rng.standard_normal((2, 20_000)).mean(axis=0)
        u = u - dt * ridge * u + np.sqrt(2 * heat * dt) * z
    return u.var()""": "two fresh draws a step: the bug is still there",
            """def jitter(ridge, heat, dt, steps, rng):
    u = np.zeros(20_000)
    for _ in range(steps):
        z = rng.standard_normal(20_000)
        u = u - dt * ridge * u + np.sqrt(2 * heat * dt) * z
    return u.var()""": "plain noise: the variance is right for small steps only",
            """def jitter(ridge, heat, dt, steps, rng):
    u, old = np.zeros(20_000), rng.standard_normal(20_000)
    for _ in range(steps):
        new = rng.standard_normal(20_000)
        u = u - dt * ridge * u + np.sqrt(heat * dt) * (old + new)
        old = new
    return u.var()""": "the mean of two draws, divided by the root of two instead of by two",
            """def jitter(ridge, heat, dt, steps, rng):
    u, old = np.zeros(20_000), rng.standard_normal(20_000)
    for _ in range(steps):
        new = rng.standard_normal(20_000)
        u = u - dt * ridge * u + np.sqrt(heat * dt / 2) * (old + new)
    return u.var()""": "the same old draw in every step: it is never replaced",
            "heat / ridge": "this is where it ends; the number of steps is ignored",
            "heat / ridge * (1 - np.exp(-2 * ridge * dt * steps))": (
                "this is the law of continuous time; these steps are not small"
            ),
        },
    },
    "ex-rp-df": {
        "cases": "[(NEAR.features[:12], end.density, 0.05, 1.5),"
        " (NEAR.features[:5], end.density, 0.3, 0.7)]",
        "wrong": {
            "noise**2 / (2 * len(psi)) * np.linalg.norm("
            "dual_fit((psi * p) @ psi.T, (psi * p) @ psi.T, len(psi) * ridge)) ** 2": (
                "the loss alone: noise makes the readouts larger, and the ridge charges for it"
            ),
            "noise / (2 * len(psi)) * np.trace("
            "dual_fit((psi * p) @ psi.T, (psi * p) @ psi.T, len(psi) * ridge))": (
                "noise enters by its variance"
            ),
            "noise**2 / len(psi) * np.trace("
            "dual_fit((psi * p) @ psi.T, (psi * p) @ psi.T, len(psi) * ridge))": (
                "a factor: the objective holds half of the mean square"
            ),
            "noise**2 / (2 * len(psi)) * np.trace("
            "dual_fit((psi * p) @ psi.T, (psi * p) @ psi.T, ridge))": (
                "the loss is a mean over samples, so the ridge counts once for each of them"
            ),
            "noise**2 / (2 * len(psi)) * np.trace("
            "dual_fit(psi @ psi.T, psi @ psi.T, len(psi) * ridge))": (
                "neurons count by their shares"
            ),
            "noise**2 / 2 * np.trace("
            "dual_fit((psi * p) @ psi.T, (psi * p) @ psi.T, len(psi) * ridge))": (
                "the objective is a mean over samples"
            ),
        },
    },
    "ex-bt-share": {
        "cases": "[(3,), (6,)]",
        "wrong": {
            "(1 - 3 / np.pi) / (1 - 2 / np.pi)": "that is the limit of high dimension",
            "2 * plateau(d)": "a share is asked for: divide by the variance",
            "plateau(d) * d / (1 - 2 / np.pi)": "the loss has a half, the variance has not",
            "2 * plateau(d) / (1 - 2 / np.pi)": "a mean of d numbers varies less than one of them",
            "2 * plateau(d) * d": "the variance of an absolute value is not one",
            "2 * plateau(d) / (1 / d + (1 - 1 / d) * 2 / np.pi)": (
                "that is a share of the mean square; the variance has the mean taken off"
            ),
            "1 - 2 * plateau(d) * d / (1 - 2 / np.pi)": "that is the share that kernels find",
        },
    },
    "ex-bt-equals": {
        "cases": "[(500, 2.5), (350, 5.0)]",
        "wrong": {
            "0.5 * np.pi * d**2 * np.log(Q / (Q - 3))": (
                "the neuron's own mean is that of Gaussian coordinates; here the others are equal"
            ),
            "0.5 * np.pi * d**2 * np.log(Q / (Q - 1))": (
                "the neuron's own mean stands before the logarithm, too"
            ),
            "1.5 * np.pi * d**2 / Q * np.log(Q / (Q - 1))": (
                "before the logarithm stands the neuron's own mean, not its largest coordinate"
            ),
            "1.5 * np.pi * d * np.log(Q / (Q - 1))": "a factor of the dimension is missing",
            "1.5 * np.pi * np.log(Q / (Q - 1))": "that is in units of the dimension squared",
            "1.5 * np.pi * d**2": "the size of the coordinate is ignored",
            "1.5 * np.pi * d**2 / Q": "a neuron that beats its mean by little needs much longer",
        },
    },
    "ex-bt-stress": {
        "cases": "[([0.09] * 8 + [0.03] * 8,), (list(np.linspace(0.02, 0.1, 16)),)]",
        "wrong": {
            "0.5": "the mean Hessian does turn neurons here, long before the axes are chosen",
            "sum(v**2 for v in a_star[: len(a_star) // 2]) / sum(v**2 for v in a_star)": (
                "the wrong power of the readouts"
            ),
            "sum(a_star[: len(a_star) // 2])": "a share of all mass is asked for",
            "sum(a_star[len(a_star) // 2 :]) / sum(a_star)": "that is the other half",
            "a_star[0] / (a_star[0] + a_star[-1])": "only two of the axes are looked at",
            "sum(v**0.5 for v in a_star[: len(a_star) // 2]) / sum(v**0.5 for v in a_star)": (
                "another power of the readouts is the right one"
            ),
            "float(sum(a_star[: len(a_star) // 2]) > sum(a_star) / 2)": (
                "the weaker axes are not forgotten"
            ),
        },
    },
    "ex-bt-bug": {
        "cases": "[(d, m, average_loss(d, m)) for d, m in ((8, 120), (10, 160))]",
        "wrong": {
            "average": "the average is right, and yet it is not the loss of the limit",
            "average - 1 / (2 * m)": "a neuron that meets itself takes the place of a typical pair",
            "average - (1 - coefficient(d, 0)) / m": "the loss has a half",
            "average - (1 - coefficient(d, 0)) / (2 * m**2)": "how many neurons meet themselves?",
            "average - (1 - coefficient(d, 0) - coefficient(d, 2)) / (2 * m)": (
                "that is after training; here degree two has not healed"
            ),
            "average * (1 - 1 / m)": "only a part of the loss has to do with the number of neurons",
            "average / (1 + d / m)": "that is for equal readouts, on the plateau of training",
        },
    },
    "ex-bt-span": {
        "cases": "[(1200, 60), (2000, 25)]",
        "wrong": {
            "np.pi * k / 4 * np.log(d / k / 2)": (
                "growth is exponential only while the share is small"
            ),
            "np.pi * k / 2 * np.log(d / k - 1)": "a square grows twice as fast as what is squared",
            "np.pi * d / 4 * np.log(d / k - 1)": "the readouts of this teacher are larger",
            "np.pi * k**2 / 4 * np.log(d / k - 1)": (
                "that power is the time to choose an axis; the linear part is faster"
            ),
            "np.pi * k / 4": "how far the neuron starts from the span is ignored",
            "np.pi * k / 4 * np.log(k / d)": "a time is positive",
        },
    },
    "ex-bt-fewest": {
        "cases": (
            "[((4.0, 2.0, 2.0), (700, 3000, 5000), 0.7),"
            " ((1.0, 2.0, 1.0, 0.5), (300, 2000, 4000, 6000), 0.3)]"
        ),
        "wrong": {
            "(1 - share) * sum(counts)": "each degree has its own price",
            "(1 - share) * sum(pieces) / pieces[0] * counts[0]": (
                "after the first degree is bought the next costs more"
            ),
            "np.interp(1 - share, np.cumsum(pieces) / sum(pieces), np.cumsum(counts))": (
                "without samples the whole floor is left; that corner is missing"
            ),
            "np.interp(share, np.cumsum([0, *pieces]) / sum(pieces), np.cumsum([0, *counts]))": (
                "that buys the share that is to be left"
            ),
            "np.cumsum(counts)[np.searchsorted(np.cumsum(pieces) / sum(pieces), 1 - share)]": (
                "a part of a degree can be bought, too"
            ),
            "np.interp(1 - share, np.cumsum([0, *pieces]) / sum(pieces), [0, *counts])": (
                "the functions of the lower degrees must be bought, too"
            ),
        },
    },
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
    "ex-tw-cut": {
        "cases": "[(0.8,), (1.6,)]",
        "wrong": {
            "np.pi / (2 * t**2 * np.exp(-(t**2)))": (
                "the conditional means are not divided by the shares"
            ),
            "ndtr(-t) * np.pi / (t**2 * np.exp(-(t**2)))": (
                "the samples within t tell something, too"
            ),
            "4 * ndtr(-t) * (1 - 2 * ndtr(-t)) * np.pi / (t**2 * np.exp(-(t**2)))": (
                "there are two tails"
            ),
            "t**2 * np.exp(-(t**2)) / (np.pi * ndtr(-t) * (1 - 2 * ndtr(-t)))": (
                "this is lambda_2; the threshold is one over it"
            ),
            "ndtr(-t) * (1 - ndtr(-t)) * np.pi / (2 * t**2 * np.exp(-(t**2)))": (
                "the share of large samples has two tails"
            ),
            "0.5": "that is the threshold of the modulus itself",
        },
    },
    "ex-tw-forgets": {
        "cases": "[(6.0, 0.5), (16.0, 0.5)]",
        "wrong": {
            "(lambda s: s.square - s.product**2 / s.first_square)"
            "(second_look(TwoLooks(ratio, c)))": (
                "the student's: what lies along the first gradient is left out"
            ),
            "second_look(TwoLooks(ratio, c)).square": (
                "as if the batch had forgotten its first gradient"
            ),
            "(lambda s: s.square + ratio * s.rest**2)(second_look(TwoLooks(ratio, c)))": (
                "both parts along h add up before they are squared"
            ),
            "(lambda s: s.square - s.product**2 / s.first_square"
            " + (s.product / s.first_square**0.5 - ratio**0.5 * s.rest) ** 2)"
            "(second_look(TwoLooks(ratio, c)))": "the two parts along h have opposite signs here",
            "(lambda s: s.square + 2 * ratio * s.rest * s.product / s.first_square**0.5)"
            "(second_look(TwoLooks(ratio, c)))": "the others' push goes with the root of the batch",
        },
    },
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
    "ex-nf-quiet": {
        "cases": "[(4, 0.3), (12, 0.8)]",
        "wrong": {
            "1 / (3 * delta * norm.ppf(1 - 0.5 / M))": (
                "that is nearly the median of the largest, for many features only"
            ),
            "1 / (3 * delta * norm.ppf(1 - 1 / M))": "a quantile of one start, not of the largest",
            "1 / (3 * delta * np.sqrt(2 * np.log(M)))": "the largest of M is smaller than that",
            "1 / (3 * norm.ppf(0.5 ** (1 / M)))": "the step is ignored",
            "1 / (delta * norm.ppf(0.5 ** (1 / M)))": "the slope of a cubic has a factor of three",
            "1 / (3 * delta * norm.ppf(0.5 ** (1 / M)) ** 2)": (
                "the pull is a square, the time goes with the start itself"
            ),
            "3 * delta * norm.ppf(0.5 ** (1 / M))": "upside down",
        },
    },
    "ex-nf-toll": {
        "cases": "[(3, 0.06), (12, 0.05)]",
        "wrong": {
            "3 * eps / M - eps**2 / 2 * 3": "label and pre-activation are not independent there",
            "3 * eps / M": "the toll is left out",
            "3 * eps / M - eps**2 * (3 + 36 / M + 54 / M**2)": "half of the square is the toll",
            "3 * eps / M - eps**2 / 2 * (3 + 36 / M)": "a term of degree four is missing",
            "3 * eps / M - eps**2 / 2 * (3 + 54 / M**2)": "a term of degree two is missing",
            "3 * eps / M - eps / 2 * (3 + 36 / M + 54 / M**2)": "a toll has the step squared",
            "6 * eps / M - eps**2 / 2 * (3 + 36 / M + 54 / M**2)": (
                "the sphere takes back half of the pull on differences"
            ),
        },
    },
    "ex-bc-waste": {
        "cases": "[(0.2, 16, 0.6), (0.45, 5, 0.2)]",
        "wrong": {
            "noise**2 * d**2 * (d + 1) / (8 * alpha**2)": "N is d (d + 1) / 2",
            "noise**2 * d * (d + 1) / (16 * alpha**2)": "tr A^4 is 1/d where all have one size",
            "noise * d**2 * (d + 1) / (16 * alpha**2)": "the variance of the noise counts",
            "noise**2 * d**2 * (d + 1) / (16 * alpha)": "the bend enters by its square",
            "noise**2 * d**3 / (16 * alpha**2)": "products x_i x_j and squares: N is d (d + 1) / 2",
            "16 * alpha**2 / (noise**2 * d**2 * (d + 1))": "upside down: more noise, more samples",
        },
    },
    "ex-bc-cubic": {
        "cases": "[(0.7, -0.25), (-0.2, 0.8)]",
        "wrong": {
            "value + 8**0.5 * alpha * value**2": "this is the parabola of p^2 - 1",
            "value + alpha * (3 * value + 12 * value**3)": (
                "-3p takes the linear part of p^3 off again"
            ),
            "value + 12 * 2**0.5 * alpha * value**3": (
                "the form of M has M / sqrt(2): divide by sqrt(2)"
            ),
            "value + 6 * alpha * value**3": (
                "the mean of p x x' is sqrt(2) A: two pairs, and p has 1 / sqrt(2)"
            ),
            "12 * alpha * value**3": "the label has p, too",
            "value + 12 * alpha * value**2": "three gradients of p meet: the third power of A",
        },
    },
    "ex-bc-share": {
        "cases": "[(0.25, np.random.default_rng(6)), (2.0, np.random.default_rng(6))]",
        "wrong": {
            """def shared(g, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return go_on(Y, y, *layerwise(Y, y), 0)[1][-1]""": "g is ignored: none comes down",
            """def shared(g, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return go_on(Y, y, *layerwise(Y, y), 1, steps=300, step=0.03)[1][-1]""": (
                "g is ignored: all of it comes down"
            ),
            """def shared(g, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return lower_error(layerwise(Y, y)[0])""": "both levels go on after layer-wise training",
            """def shared(g, rng):
    Y, y = two_levels(0.3, 2000, rng)
    b, a = layerwise(Y, y)
    return go_on(Y, y, b, a, g, upper=0)[1][-1]""": "the upper level must go on, too",
            """def shared(g, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return go_on(Y, y, *layerwise(Y, y), g, steps=5)[1][-1]""": (
                "five steps: the lower level is still on its way"
            ),
        },
    },
    "ex-tl-count": {
        "cases": "[(48, 0.4, 0.7), (64, 0.6, 0.4)]",
        "wrong": {
            "modes(d) * aim / (1 - aim)": "all of the label's variance is noise for the step",
            "modes(d) / share * (1 - aim) / aim": "upside down: more correlation, more samples",
            "modes(d) / share / (1 - aim)": "this is right near 1 only",
            "modes(d) / share**2 * aim / (1 - aim)": "the share is that of c_1 squared already",
            "d / share * aim / (1 - aim)": "it is modes that are counted, not dimensions",
            "modes(d) / share * aim**0.5 / (1 - aim**0.5)": "the correlation is squared already",
            "1500": "a constant",
        },
    },
    "ex-tl-two": {
        "cases": "[(32, 2, 0.8), (16, 8, 0.6)]",
        "wrong": {
            "1 / (1 + 1 / (ratio * c1**2))": "this is the correlation with the sum of both",
            "1 / (1 + 2 / (ratio * c1**2))": (
                "the other feature is learnt, too: it belongs to the length of what is learnt"
            ),
            "1 / (1 + 2 / (ratio * c1**2)) / 2": "the sum has the whole c_1, not a part of it",
            "1 / (1 + 1 / (ratio * c1)) / 2": "c_1 enters by its square",
            "1 / (1 + 1 / (ratio * c1**2)) / 4": "one and the sum have squared correlation 1/2",
            "0.5": "this is the limit of many samples",
        },
    },
    "ex-tl-label": {
        "cases": (
            "[(np.cbrt, 2, np.random.default_rng(8)), (np.tanh, 8, np.random.default_rng(8))]"
        ),
        "wrong": {
            """def found(T, ratio, rng):
    values = []
    for _ in range(10):
        x, _, y = draw(32, ratio * modes(32), rng)
        new, p, _ = draw(32, 3000, rng)
        values.append(np.corrcoef(form(new, step(x, y)[0]), p)[0, 1] ** 2)
    return np.mean(values)""": ("this is the step with the label itself"),
            """def found(T, ratio, rng):
    return by_theory(T, ratio, rng) ** 0.5""": "this is the correlation, not its square",
            """def found(T, ratio, rng):
    return by_theory(T, 4, rng)""": "the number of samples is ignored",
            """def found(T, ratio, rng):
    p = draw(32, 20_000, rng)[1]
    label = T(p)
    return 1 / (1 + np.var(label) / (ratio * np.mean(label * p) ** 2))""": (
                "the step sees the label, not the feature"
            ),
            """def found(T, ratio, rng):
    x, p, y = draw(32, 20_000, rng)
    return np.corrcoef(T(y), p)[0, 1] ** 2""": "this is how much the label itself knows of p",
        },
    },
    "ex-tl-leak": {
        "cases": """[
            (2.0 * sphere((8, 4), np.random.default_rng(5)), np.arange(8.0) - 2),
            (3.0 * sphere((5, 9), np.random.default_rng(6)), np.array([1.0, -2, 3, 0.5, -1])),
        ]""",
        "wrong": {
            "(x @ x.T) ** 2 @ y / len(x) - len(x[0]) * y.mean()": "its own label is still in it",
            """def inside(x, y):
    K = (x @ x.T) ** 2 - x.shape[1]
    return (K @ y - np.diag(K) * y) / len(x)""": "the mean is over the others: one sample fewer",
            """def inside(x, y):
    K = (x @ x.T) ** 2 - x.shape[1]
    return (K @ y - y) / (len(x) - 1)""": "the kernel of a sample with itself is not one",
            """def inside(x, y):
    K = (x @ x.T) ** 2
    return (K @ y - np.diag(K) * y) / (len(x) - 1)""": "the trace's part is left in",
            """def inside(x, y):
    K = (x @ x.T) ** 2 - x.shape[1]
    return (K @ y - np.diag(K)) / (len(x) - 1)""": "a sample adds its label times that",
        },
    },
    "ex-tl-ceiling": {
        "cases": "[(4,), (12,), (200,)]",
        "wrong": {
            "1 - np.sqrt(np.pi) * np.exp(1) * erfc(1)": "that is the limit of high dimension",
            "1 / (1 + (2 * d + 2) / (d + 4))": "the mean of a quotient is not that of means",
            """def ceiling(d):
    half = (d - 2) / (d + 4) / 2
    return 1 - np.sqrt(np.pi * half) * np.exp(half) * erfc(half**0.5)""": (
                "the products of two halves have structure, too"
            ),
            """def ceiling(d):
    half = 0.5
    return 1 - np.sqrt(np.pi * half) * np.exp(half) * erfc(half**0.5)""": (
                "two blocks of one half of the modes each: both halves count"
            ),
            """def ceiling(d):
    half = (d + 1) / (d + 4)
    return np.sqrt(np.pi * half) * np.exp(half) * erfc(half**0.5)""": (
                "this is what structure takes, not what is left"
            ),
            """def ceiling(d):
    half = (d - 1) * (d + 2) / d**2
    return 1 - np.sqrt(np.pi * half) * np.exp(half) * erfc(half**0.5)""": (
                "the mean square of t is not small at finite d: it enters the eigenvalues"
            ),
        },
    },
    "ex-bc-constant": {
        "cases": "[(0.5, 0.1), (0.25, -1.5)]",
        "wrong": {
            "1 + 2 * alpha * b": "this takes alpha_hat for alpha: it is scaled, too",
            "(1 + np.sqrt(1 - 8 * alpha * b)) / 2": "upside down: h is p over k",
            "2 / (1 + np.sqrt(1 + 8 * alpha * b))": "the sign of b",
            "2 / (1 + np.sqrt(1 - 4 * alpha * b))": "the derivative of the square has a 2",
            "2 / (1 - np.sqrt(1 - 8 * alpha * b))": "the root that does not tend to 1",
            "1 / (1 - 2 * alpha * b)": "first order in b only",
        },
    },
    "ex-bc-floor": {
        "cases": "[([1.0, 5.0], 0.2), ([2.0, -1.0], 0.4)]",
        "wrong": {
            "alpha**2 * (2 + 12 * np.sum((eigenvalues / np.linalg.norm(eigenvalues)) ** 4))": (
                "this is the variance of p^2; the parabola explains part of it"
            ),
            "alpha**2 * (2 - 4 * np.sum((eigenvalues / np.linalg.norm(eigenvalues)) ** 4))": (
                "12 - 8 is 4, with a plus"
            ),
            "alpha * (2 + 4 * np.sum((eigenvalues / np.linalg.norm(eigenvalues)) ** 4))": (
                "a mean square is quadratic in alpha"
            ),
            "alpha**2 * (2 + 4 * np.sum(np.array(eigenvalues)**4))": "|A| is 1",
            "8 * alpha**2 * np.sum((eigenvalues / np.linalg.norm(eigenvalues)) ** 4)": (
                "this is the floor of the lower error, not what is left of y"
            ),
            "2 * alpha**2": "the fourth powers of the eigenvalues are missing",
        },
    },
}
