"""Cases of the chapter `backward_correction`: to be merged into course/cases.py."""

GRADED = {
    "ex-bc-merged": {
        "cases": "[(0.2, 0.9), (-0.7, 0.15)]",
        "wrong": {
            "-1 / (4 * 2**0.5 * alpha)": "this is where the parabola turns back",
            "-value": "the parabola is not symmetric about zero",
            "-1 / (4 * 2**0.5 * alpha) - value": "the sum is twice the turning point",
            "1 / (8**0.5 * alpha) - value": "for alpha > 0 the parabola turns back on the left",
            "-1 / (8**0.5 * alpha) + value": "a mirror image, not a shift",
            "value + 8**0.5 * alpha * value**2": "this is what is learnt",
            "-1 / alpha - value": "the factor 2 sqrt(2) of the parabola is missing",
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
            """def shared(s, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return go_on(Y, y, *layerwise(Y, y), 0)[1][-1]""": "s is ignored: none comes down",
            """def shared(s, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return go_on(Y, y, *layerwise(Y, y), 1, steps=300, step=0.03)[1][-1]""": (
                "s is ignored: all of it comes down"
            ),
            """def shared(s, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return lower_error(layerwise(Y, y)[0])""": "both levels go on after layer-wise training",
            """def shared(s, rng):
    Y, y = two_levels(0.3, 2000, rng)
    b, a = layerwise(Y, y)
    return go_on(Y, y, b, a, s, upper=0)[1][-1]""": "the upper level must go on, too",
            """def shared(s, rng):
    Y, y = two_levels(0.3, 2000, rng)
    return go_on(Y, y, *layerwise(Y, y), s, steps=5)[1][-1]""": (
                "five steps: the lower level is still on its way"
            ),
        },
    },
}
