"""Cases of the chapter `backward_correction`: to be merged into course/cases.py."""

GRADED = {
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
}
