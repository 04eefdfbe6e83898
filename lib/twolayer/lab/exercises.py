"""Check a learner's answer on several cases, and say what is wrong."""

import copy
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["check"]


class _Message(str):
    """A text that a cell shows without quotes."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


def check(
    answer: Callable, cases: Sequence[tuple], expected: Callable | Sequence, *, rtol: float = 1e-6
) -> str:
    """Call ``answer`` on each case, compare with what is expected, and say what is wrong.

    Whatever the learner's function does, nothing is raised, and the right value is not shown.

    Parameters
    ----------
    answer : callable
        The learner's function. It is given copies.
    cases : sequence of tuple
        Arguments of each call.
    expected : callable or sequence
        The right value for each case, or a function of the same arguments that finds it anew.
    rtol : float
        Relative tolerance (absolute where a value is 0).

    Returns
    -------
    str
        "correct" if all cases are right, "not answered yet" for a body that still is ``...``,
        else what is wrong with the first case that is.

    Raises
    ------
    ValueError
        If the cases can't tell right from wrong: there are none, not as many as right values, two
        have the same value (a constant would pass), a value is not finite, or one of several is
        0 or 1 (which many a wrong formula gives, too).

    Examples
    --------
    >>> check(lambda a, b: a / b, [(3.0, 2.0), (5.0, 4.0)], [1.5, 1.25])
    correct
    >>> check(lambda a, b: b / a, [(3.0, 2.0), (5.0, 4.0)], lambda a, b: a / b)
    0 of 2 cases right; case (3.0, 2.0): right shape, wrong value
    >>> check(lambda a, b: ..., [(3.0, 2.0)], [1.5])
    not answered yet
    """
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    if callable(expected):
        expected = [expected(*copy.deepcopy(case)) for case in cases]
    expected = [np.asarray(value, dtype=float) for value in expected]
    _refuse(cases, expected)
    faults = [_fault(answer, *pair, rtol) for pair in zip(cases, expected, strict=True)]
    wrong = [(case, fault) for case, fault in zip(cases, faults, strict=True) if fault]
    if not wrong:
        return _Message("correct")
    case, fault = wrong[0]
    if fault == "not answered yet":
        return _Message(fault)
    right = f"{len(cases) - len(wrong)} of {len(cases)} cases right; " if len(cases) > 1 else ""
    return _Message(f"{right}{_shown(case)}{fault}")


def _refuse(cases, expected):
    """Raise where the cases can't tell a right answer from a wrong one."""
    if not cases:
        raise ValueError("cases=[] must hold at least one tuple of arguments")
    if len(cases) != len(expected):
        raise ValueError(f"expected={expected} must hold {len(cases)} values, one for each case")
    for k, value in enumerate(expected):
        if not np.all(np.isfinite(value)):
            raise ValueError(f"expected[{k}]={value} must be finite")
        if len(cases) > 1 and value.ndim == 0 and value in (0, 1):
            raise ValueError(f"expected[{k}]={value} must be neither 0 nor 1")
        if any(np.array_equal(value, other) for other in expected[:k]):
            raise ValueError(f"expected[{k}]={value} must differ from the values before it")


def _fault(answer, case, expected, rtol):
    """What is wrong with an answer in one case; None where it is right."""
    try:
        got = answer(*copy.deepcopy(case))
        if got is None or got is ...:
            constants = getattr(getattr(answer, "__code__", None), "co_consts", ())
            open_body = got is ... or any(c is ... for c in constants)
            return "not answered yet" if open_body else "did you forget `return`?"
        got = np.asarray(got, dtype=float)
    except Exception as error:
        return f"your function raised {type(error).__name__}: {error}"
    if got.shape != expected.shape:
        return f"shape {got.shape}; it should be {expected.shape}"
    if np.any(np.isnan(got)):
        return "not a number"
    near = abs(got - expected) <= rtol * np.where(expected == 0, 1, abs(expected))
    return None if np.all(near) else "right shape, wrong value"


def _shown(case):
    """The arguments, where they are short."""
    text = f"({', '.join(map(_short, case))})"
    return f"case {text}: " if case and len(text) <= 60 else ""


def _short(value):
    return f"{type(value).__name__}{value.shape}" if getattr(value, "ndim", 0) else repr(value)
