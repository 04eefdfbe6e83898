"""What the grading of an exercise does beside `check`; its text travels inside the graded tests."""

import contextlib
import copy

import numpy as np


@contextlib.contextmanager
def hidden(answer, names):
    """Take names, and other names of the same things, from what an answer sees.

    So the second route of a check is no solution.
    """
    seen = getattr(answer, "__globals__", {})
    things = [seen[name] for name in names if name in seen]
    taken = {k: v for k, v in seen.items() if any(v is thing for thing in things)}
    for name in taken:
        del seen[name]
    try:
        yield
    finally:
        seen.update(taken)


def agree(answer, known, cases):
    """Whether an answer gives what a known wrong answer gives, in all cases."""
    try:
        for case in cases:
            case = case if isinstance(case, tuple) else (case,)
            values = [np.asarray(f(*copy.deepcopy(case)), float) for f in (answer, known)]
            if not np.allclose(*values, rtol=1e-9, equal_nan=True):
                return False
    except Exception:
        return False
    return True
