"""Cases for the checked exercises of limits/one_neuron_one_feature_in_depth."""

GRADED = {
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
}
