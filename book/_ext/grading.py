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


def outputs(answer, cases):
    """What an answer gives in each case; None from the first on in which it raises."""
    found = []
    for case in cases:
        try:
            found.append(np.asarray(answer(*copy.deepcopy(case)), float))
        except Exception:
            found.append(None)
            break
    return found


def agree(first, second):
    """Whether two lists of outputs are the same."""
    if len(first) != len(second) or first[-1] is None or second[-1] is None:
        return False
    pairs = zip(first, second, strict=True)
    return all(a.shape == b.shape and np.allclose(a, b, 1e-9, equal_nan=True) for a, b in pairs)
