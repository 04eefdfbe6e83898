"""The student of orthogonal teachers, on the population and on samples; theory: same name."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import Teacher, sphere
from twolayer.simulation.recovering_the_teacher import run
from twolayer.theory.recovering_the_teacher import population_loss

__all__ = ["descend", "student_loss"]

_RATE, _MOMENTUM, _CHECKS = 0.7, 0.95, 30


def descend(
    start: ArrayLike,
    times: ArrayLike,
    eta: float,
    *,
    mass: float = 1.0,
    readouts: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient descent on the population, from a balanced start of equal masses.

    The teacher is ``sum_j readouts_j |x_j|``, the student ``sum_i a_i |w_i . x|``, no constant.

    Parameters
    ----------
    start : array_like, shape (m, d)
        Unit vectors, one a neuron.
    times : array_like, shape (t,)
        Ascending; steps times `eta`, rounded to a whole number of steps.
    eta : float
        Step size.
    mass : float
        Total mass ``sum_i a_i |w_i|`` at the start.
    readouts : array_like, shape (d,), optional
        1/d each by default.

    Returns
    -------
    directions, masses, loss : ndarray
        Of shapes (t, m, d), (t, m) and (t,).

    Examples
    --------
    >>> directions, masses, loss = descend(np.eye(3), [0.0, 2.0], 0.1)
    >>> masses[0].round(3), bool(loss[0] < 1e-12)
    (array([0.333, 0.333, 0.333]), True)
    """
    start = _checks.real_array("start", start, 2)
    times = _checks.real_array("times", times, 1, minimum=0)
    eta, mass = (
        _checks.real(name, value, minimum=0, strict=True)
        for name, value in (("eta", eta), ("mass", mass))
    )
    m, d = start.shape
    teacher = Teacher(np.eye(d), np.full(d, 1 / d) if readouts is None else readouts)
    root, record = np.full(m, math.sqrt(mass / m)), np.round(times / eta).astype(int)
    W, a = run(
        teacher, root[:, None] * start, root, eta=eta, record=record, affine=False,
        weight_decay=np.zeros(record[-1]),
    )  # fmt: skip
    length = np.linalg.norm(W, axis=2)
    return W / length[..., None], a * length, population_loss(teacher, W, a, affine=False)


def student_loss(
    d: int, n: int, rng: np.random.Generator, *, widths: Sequence[int] = (5, 20, 80)
) -> float:
    """Population loss E[(f - f*)^2] / 2 of ``sum_j |w_j| |w_j . x|``, fitted to n samples.

    The teacher is ``sum_i |x_i| / d``. Each width has 30 d^3 / m steps, which cost the same, of
    full-batch gradient descent with momentum in float32. The start has uniform directions and
    total mass one. A fifth of the samples is held out: width and stopping time (the start and some
    30 times) are those with the least error there.

    Parameters
    ----------
    d, n : int
        Dimension, and samples in all, at least five.
    rng : numpy.random.Generator
    widths : sequence of int
        In units of d.

    Examples
    --------
    >>> from twolayer.theory.beyond_the_tangent_kernel import plateau
    >>> student_loss(6, 200, np.random.default_rng(0)) < plateau(6) / 10
    True
    """
    d, n = _checks.positive_int("d", d), _checks.integer("n", n, 5)
    rng, held = _checks.generator(rng), n // 5
    x = rng.standard_normal((n, d), dtype="float32")
    y, best, kept = abs(x).mean(axis=1), math.inf, None
    for width in widths:
        m = _checks.positive_int("widths", width) * d
        W = (sphere((m, d), rng) / m**0.5).astype("float32")
        for stopped in _path(x[held:], y[held:], W, 30 * d**3 // m):
            length = np.linalg.norm(stopped, axis=1)
            off = np.square(y[:held] - abs(x[:held] @ stopped.T) @ length).sum()
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
