"""Fragment of course/cases.py: the exercises of depth/three_layers."""

GRADED = {
    "ex-tl-count": {
        "cases": "[(48, 0.4, 0.7), (64, 0.6, 0.4)]",
        "wrong": {
            "modes(d) * rho2 / (1 - rho2)": "all of the label's variance is noise for the step",
            "modes(d) / share * (1 - rho2) / rho2": "upside down: more correlation, more samples",
            "modes(d) / share / (1 - rho2)": "this is right near 1 only",
            "modes(d) / share**2 * rho2 / (1 - rho2)": "the share is that of c_1 squared already",
            "d / share * rho2 / (1 - rho2)": "it is modes that are counted, not dimensions",
            "modes(d) / share * rho2**0.5 / (1 - rho2**0.5)": "the correlation is squared already",
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
    return np.mean(values)""": (
                "this is the step with the label itself"
            ),
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
}
