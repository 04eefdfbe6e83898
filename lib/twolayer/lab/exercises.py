"""Check a learner's answer: the shape first, then the value."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["check"]


def check(answer: Callable, arguments: tuple, expected: ArrayLike, *, rtol: float = 1e-6) -> str:
    """Compare ``answer(*arguments)`` with what is expected, and say what is wrong.

    Parameters
    ----------
    answer : callable
        The learner's function; one that returns ``...`` or None is not answered yet.
    arguments : tuple
        What to call it with.
    expected : array_like
        The right value, of the right shape.
    rtol : float
        Relative tolerance (absolute where a value is 0).

    Returns
    -------
    str
        "not answered yet" or "correct".

    Raises
    ------
    AssertionError
        If the shape or the value is wrong.

    Examples
    --------
    >>> check(lambda x: 2 * x, (3.0,), 6.0)
    'correct'
    >>> check(lambda x: ..., (3.0,), 6.0)
    'not answered yet'
    """
    got = answer(*arguments)
    if got is None or got is ...:
        return "not answered yet"
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    if got.shape != expected.shape:
        raise AssertionError(f"shape {got.shape}; it should be {expected.shape}")
    if not np.all(abs(got - expected) <= rtol * np.where(expected == 0, 1, abs(expected))):
        raise AssertionError(f"right shape, wrong value: {got.ravel()[:3]} for {arguments}")
    return "correct"
