"""How many tickets hold every feature."""

import math

import numpy as np

from twolayer import _checks

__all__ = ["coverage"]


def coverage(s, k):
    """Expected share of k equally likely features that s independent neurons hold.

    Parameters
    ----------
    s : array_like of int
        Neurons, >= 0.
    k : int
        Features.

    Returns
    -------
    share : ndarray or float
        1 - (1 - 1/k)^s.
    everything : ndarray or float
        The probability that none is missing, sum_i (-1)^i C(k, i) (1 - i/k)^s: the law of the
        coupon collector.

    Examples
    --------
    >>> share, everything = coverage(4, k=4)
    >>> round(float(share), 4), round(float(everything), 4)
    (0.6836, 0.0938)
    """
    s, k = _checks.real_array("s", s, minimum=0), _checks.positive_int("k", k)
    if (s % 1).any():
        raise ValueError(f"s={s} must hold integers")

    def onto(neurons):  # in exact integers: terms far above the sum cancel
        n = int(neurons)
        return sum((-1) ** i * math.comb(k, i) * (k - i) ** n for i in range(k + 1)) / k**n

    return (1 - (1 - 1 / k) ** s)[()], np.vectorize(onto, otypes=[float])(s)[()]
