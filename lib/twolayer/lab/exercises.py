"""Check a learner's answer on several cases, and say what is wrong."""

import contextlib
import copy
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from IPython import get_ipython

__all__ = ["check", "limit_cells"]


class _Message(str):
    """A text that a cell shows without quotes."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


class _Late(BaseException):
    """Time is over. No Exception, so that a learner's ``except Exception`` lets it pass."""


def check(
    answer: Callable,
    cases: Sequence[tuple],
    expected: Callable | Sequence,
    *,
    rtol: float = 1e-6,
    seconds: float = 60.0,
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
    seconds : float
        Time for one case, after which an endless loop is interrupted (not on Windows).

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
    faults = _faults(answer, cases, expected, rtol, seconds)
    wrong = [(case, fault) for case, fault in zip(cases, faults, strict=True) if fault]
    if not wrong:
        return _Message("correct")
    case, fault = wrong[0]
    if fault == "not answered yet":
        return _Message(fault)
    right = f"{len(cases) - len(wrong)} of {len(cases)} cases right; " if len(cases) > 1 else ""
    return _Message(f"{right}{_shown(case)}{fault}")


def limit_cells(seconds: float = 300.0) -> None:
    """Interrupt each cell of this notebook that takes longer, so that "run all" ends.

    Without effect outside notebooks and on Windows.

    Parameters
    ----------
    seconds : float
        Time for one cell.
    """
    shell = get_ipython()
    if shell is None or not hasattr(signal, "setitimer"):
        return
    limits = []

    def begin(*_):
        limits.append(_limit(seconds))
        limits[-1].__enter__()

    def end(*_):
        if limits:
            limits.pop().__exit__(None, None, None)

    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)


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


def _faults(answer, cases, expected, rtol, seconds):
    """What is wrong in each case; after one that takes too long, the others are not tried."""
    faults, late = [], f"your function takes longer than {seconds:g} seconds"
    for case, value in zip(cases, expected, strict=True):
        done = faults and faults[-1] == late
        faults.append(late if done else _fault(answer, case, value, rtol, seconds))
    return faults


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise _Late after some time, where the system has the signal for it."""
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def stop(number, frame):
        raise _Late

    before = signal.signal(signal.SIGALRM, stop)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)


def _fault(answer, case, expected, rtol, seconds):
    """What is wrong with an answer in one case; None where it is right."""
    try:
        with _limit(seconds):
            got = answer(*copy.deepcopy(case))
        if got is None or got is ...:
            constants = getattr(getattr(answer, "__code__", None), "co_consts", ())
            open_body = got is ... or any(c is ... for c in constants)
            return "not answered yet" if open_body else "did you forget `return`?"
        got = np.asarray(got, dtype=float)
    except _Late:
        return f"your function takes longer than {seconds:g} seconds"
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
    if getattr(value, "ndim", 0):
        return f"{type(value).__name__}{value.shape}"
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text  # an address says nothing
