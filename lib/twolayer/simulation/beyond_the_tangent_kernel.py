"""The student of orthogonal teachers, trained on samples; see the theory's file of this name."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from twolayer import _checks
from twolayer.data import Teacher, sphere
from twolayer.theory.recovering_the_teacher import population_loss

__all__ = ["student_loss"]

_RATE, _MOMENTUM, _CHECKS = 0.7, 0.95, 30


def student_loss(
    d: int, n: int, rng: np.random.Generator, *, widths: Sequence[int] = (5, 20, 80)
) -> float:
    """Population loss E[(f - f*)^2] / 2 of sum_j |w_j| |w_j . x|, fitted to n samples.

    The teacher is sum_i |x_i| / d. Each width has 30 d^3 / m steps, so that all cost the same, of
    full-batch gradient descent with momentum in float32. The start has uniform directions and
    total mass one. Width and stopping time (the start and some 30 times) are those with the least
    error on n further samples.

    Parameters
    ----------
    d, n : int
        Dimension and samples.
    rng : numpy.random.Generator
    widths : sequence of int
        In units of d.

    Examples
    --------
    >>> from twolayer.theory.beyond_the_tangent_kernel import plateau
    >>> student_loss(6, 200, np.random.default_rng(0)) < plateau(6) / 10
    True
    """
    d, n = _checks.positive_int("d", d), _checks.positive_int("n", n)
    rng = _checks.generator(rng)
    x = rng.standard_normal((2, n, d), dtype="float32")
    y, best, kept = abs(x).mean(axis=-1), math.inf, None
    for width in widths:
        m = _checks.positive_int("widths", width) * d
        W = (sphere((m, d), rng) / m**0.5).astype("float32")
        for stopped in _path(x[0], y[0], W, 30 * d**3 // m):
            length = np.linalg.norm(stopped, axis=1)
            off = np.square(y[1] - abs(x[1] @ stopped.T) @ length).sum()
            if off < best:
                best, kept = off, (stopped, length)
    return float(population_loss(Teacher(np.eye(d), [1 / d] * d), *kept, affine=False))


def _path(x, y, W, steps):
    """Rows of the student at the start and at some 30 later steps."""
    speed, marks = 0, {0, *np.geomspace(1, max(steps, 1), _CHECKS).astype(int)}
    for t in range(steps + 1):
        if t in marks:
            yield W
        a = np.linalg.norm(W, axis=1)
        z = x @ W.T
        r = (y - abs(z) @ a) / len(x)
        q = (np.sign(z) * r[:, None]).T @ x  # minus the loss's gradient in w, over a
        along = (q * W).sum(axis=1) / a  # minus that in a
        speed = _MOMENTUM * speed + a[:, None] * q + along[:, None] * W
        W = W + _RATE * speed
