"""How many tickets hold every feature: the law of the coupon collector."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlog1py

from twolayer import _checks

__all__ = ["coverage"]


def coverage(neurons: ArrayLike, features: int) -> tuple[np.ndarray | float, np.ndarray | float]:
    """How many of k = `features` equally likely features s = `neurons` independent neurons hold.

    Parameters
    ----------
    neurons : array_like of int, >= 0
    features : int

    Returns
    -------
    share : ndarray or float
        The expected share, 1 - (1 - 1/k)^s.
    everything : ndarray or float
        The probability that none is missing, sum_i (-1)^i C(k, i) (1 - i/k)^s.

    Examples
    --------
    >>> share, everything = coverage(4, features=4)
    >>> round(float(share), 4), round(float(everything), 4)
    (0.6836, 0.0938)
    """
    s = _checks.real_array("neurons", neurons, minimum=0)
    k = _checks.positive_int("features", features)
    if (s % 1).any():
        raise ValueError(f"neurons={s} must hold integers")

    def onto(count):  # in exact integers: terms far above the sum cancel
        if count < k:
            return 0.0
        ways = sum((-1) ** i * math.comb(k, i) * (k - i) ** int(count) for i in range(k + 1))
        return ways / k ** int(count)  # eq-lt-all

    share = -np.expm1(xlog1py(s, -1 / k))  # eq-lt-coupon
    return share[()], np.vectorize(onto, otypes=[float])(s)[()]
