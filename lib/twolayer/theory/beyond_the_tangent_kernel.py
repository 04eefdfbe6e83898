"""Orthogonal teachers: the plateau where kernels end, and how neurons leave it.

Teacher ``f*(x) = sum_i |x_i| / d`` on Gaussian inputs; the student ``f(x) = sum_i a_i |w_i . x|``
without a constant, balanced. The setting of Li, Ma & Zhang 2020, 'Learning over-parametrized
two-layer neural networks beyond NTK'; the chapter *Beyond the tangent kernel* derives the formulas.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from twolayer import _checks

__all__ = ["alignment_time", "free_neurons", "plateau"]

_HORIZON = 100  # times d^2


def plateau(d: int) -> float:
    """Loss E[(f - f*)^2] / 2 of the student whose neurons are uniform: (1 - 3/pi) / 2d for large d.

    It is the teacher's rotation average ``E|u_1| |x|``, u uniform on the sphere, so that the loss
    is ``(E f*^2 - d (E|u_1|)^2) / 2``: the least error of all functions of the length of x alone.

    Parameters
    ----------
    d : int
        Input dimension.

    Returns
    -------
    float

    Examples
    --------
    >>> d = 1000
    >>> round(d * plateau(d), 4), round((1 - 3 / math.pi) / 2, 4)
    (0.0225, 0.0225)
    """
    d = _checks.positive_int("d", d)
    if d == 1:
        return 0.0
    mean = math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)  # E|u_1|
    return (1 / d + (1 - 1 / d) * 2 / math.pi - d * mean**2) / 2  # eq-bt-plateau


def _velocity(flat, d):
    """Motion of unit neurons (flattened) whose only company is the teacher."""
    directions = flat.reshape(-1, d)
    pull = 2 / (math.pi * d) * np.arcsin(np.clip(directions, -1, 1))
    along = (pull * directions).sum(1, keepdims=True)
    return (pull - along * directions).ravel()  # eq-bt-free


def _start(d, start):
    d = _checks.positive_int("d", d)
    start = _checks.real_array("start", start)
    if start.ndim != 2 or start.shape[1] != d or not start.any(1).all():
        raise ValueError(f"start has shape {start.shape}; it must be (m, {d}), no row zero")
    return d, start / np.linalg.norm(start, axis=1, keepdims=True)


def _solve(d, start, end, **options):
    return solve_ivp(
        lambda _, flat: _velocity(flat, d), (0, end), start.ravel(),
        method="DOP853", rtol=1e-8, atol=1e-10, **options,
    )  # fmt: skip


def free_neurons(d: int, start: ArrayLike, times: ArrayLike) -> np.ndarray:
    """Directions of neurons that feel only the teacher, at some times of gradient flow.

    Each moves by (2 / pi d) sum_j arcsin(w_j) (e_j - w_j w), w its unit vector. In a crowd it does
    the same as long as the other neurons are uniform: their pull has no part across it.

    Parameters
    ----------
    d : int
        Input dimension.
    start : array_like, shape (m, d)
        Rows not zero; their directions count.
    times : array_like, shape (t,)
        Ascending, >= 0; steps times step size.

    Returns
    -------
    ndarray, shape (t, m, d)
        Unit vectors.

    Examples
    --------
    >>> free_neurons(2, [[2.0, 1.0]], [0.0, 60.0]).round(3)
    array([[[0.894, 0.447]],
    <BLANKLINE>
           [[1.   , 0.   ]]])
    """
    d, start = _start(d, start)
    times = _checks.real_array("times", times, minimum=0)
    if times.ndim != 1 or not times.size or (np.diff(times) < 0).any():
        raise ValueError(f"times={times} must be one-dimensional, ascending and not empty")
    path = [start]
    for duration in np.diff(times, prepend=0):
        now = path[-1]
        if duration:
            now = _solve(d, now, duration).y[:, -1].reshape(now.shape)
        path.append(now / np.linalg.norm(now, axis=1, keepdims=True))
    return np.stack(path[1:])


def alignment_time(d: int, start: ArrayLike) -> float:
    """When `free_neurons` have half of their squared length on one axis, on average.

    The time of gradient flow at which the mean over neurons of the largest squared coordinate is
    1/2; of order d^2, since what tells axes apart is the cube in arcsin(w) = w + w^3 / 6 + ...

    Parameters
    ----------
    d : int
        Input dimension.
    start : array_like, shape (m, d)
        Rows not zero; their directions count.

    Returns
    -------
    float
        Zero if they have it at the start. Infinite if it is not reached by the time 100 d^2: where
        coordinates tie, neurons never choose.

    Examples
    --------
    >>> start = np.random.default_rng(0).standard_normal((300, 16))
    >>> round(alignment_time(16, start) / 16**2, 1)
    0.9
    """
    d, start = _start(d, start)

    def excess(_, flat):
        return np.square(flat.reshape(start.shape)).max(1).mean() - 0.5

    if excess(0, start) >= 0:
        return 0.0
    excess.terminal = True
    solved = _solve(d, start, _HORIZON * d**2, events=excess)
    if solved.status == 0:
        return math.inf
    return float(solved.t_events[0][0])
