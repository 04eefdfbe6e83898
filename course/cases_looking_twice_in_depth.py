"""Entries of course/cases.py for limits/looking_twice_in_depth."""

GRADED = {
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
}
