"""Cases for the exercises of book/depth/three_layers_in_depth.md."""

GRADED = {
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
}
