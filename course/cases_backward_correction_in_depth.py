"""Cases of the page `backward_correction_in_depth`: to be merged into course/cases.py."""

GRADED = {
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
