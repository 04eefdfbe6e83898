r"""Online descent of one neuron as the exact chain of one number, its cosine rho with the target.

A step of `twolayer.theory.the_first_escape` depends on w only through rho = w.theta,
z_* = theta.x, z = w.x and s = x.x: the tangent x - z w has squared length q = s - z^2, coordinate
z_* - rho z along theta and inner product q with x, so that

    N = sqrt(1 + eta^2 U^2 q),   rho <- (rho + eta U (z_* - rho z)) / N,   z <- (z + eta U q) / N,

where (z_*, z) are standard Gaussians of correlation rho, and s is their part of the plane of w and
theta, z_*^2 + (z - rho z_*)^2 / (1 - rho^2), plus an independent chi-squared with d - 2 degrees of
freedom. So rho is a Markov chain of its own, in law, in any dimension. Reuse of a sample repeats
the line with the same z_*, s and noise.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import as_link
from twolayer.theory.the_first_escape import OnlineSGD

__all__ = ["run", "time_to"]


def run(
    config: OnlineSGD,
    start: ArrayLike,
    steps: int,
    rng: np.random.Generator,
    *,
    size: int | None = None,
    every: int = 1,
) -> np.ndarray:
    """The cosine with the target in any dimension, run as the exact chain of one number.

    Parameters
    ----------
    config : OnlineSGD
    start : float or array_like, shape (k,)
        Cosine of each run at the start.
    steps : int
        Number of steps.
    rng : numpy.random.Generator
    size : int, optional
        Number k of runs, for one shared `start`; one run without it.
    every : int
        Steps between two records.

    Returns
    -------
    ndarray, shape (steps // every + 1, k)
        Cosines after 0, every, 2 every, ... steps.

    Examples
    --------
    >>> from twolayer.theory.the_first_escape import ode
    >>> config = OnlineSGD(d=1000, link="he1", eta=1e-4)
    >>> rho = run(config, 0.0, 10_000, np.random.default_rng(0), size=2, every=5000)
    >>> rho.shape, bool((abs(rho[:, 0] - ode(config, 0.0, [0, 5000, 10_000])) < 0.1).all())
    ((3, 2), True)
    """
    cosine = _starts(start, size)
    steps = _checks.integer("steps", steps, 0)
    every = _checks.positive_int("every", every)
    _checks.generator(rng)
    return _recorded(lambda at, most: _block(config, at, rng, most), cosine, steps, every)


def _recorded(block, state, steps, every):
    """A chain's states after 0, every, 2 every, ... steps; `block` goes on from one."""
    out, done = [state[None]], 0
    while done < steps:
        path = block(state, steps - done)
        out.append(path[(-done - 1) % every :: every].copy())
        state, done = path[-1], done + len(path)
    return np.concatenate(out)


def time_to(
    config: OnlineSGD,
    level: float,
    start: ArrayLike,
    rng: np.random.Generator,
    most: int,
    *,
    size: int | None = None,
    both: bool = False,
) -> np.ndarray:
    """Number of steps until each run of the chain first reaches a level.

    Parameters
    ----------
    config : OnlineSGD
    level : float
        Cosine, between -1 and 1.
    start : float or array_like, shape (k,)
        Cosine of each run at the start.
    rng : numpy.random.Generator
    most : int
        Steps after which a run is given up.
    size : int, optional
        Number k of runs, for one shared `start`; one run without it.
    both : bool
        Stop at ``abs(cosine) >= level``: an even link does not tell w from -w.

    Returns
    -------
    ndarray, shape (k,)
        0 for a run that starts there, infinity for one that has not arrived after `most` steps:
        quantiles below the share that arrived are right, means are not.

    Examples
    --------
    >>> config = OnlineSGD(d=100, link="he1", eta=1e-3)
    >>> time = time_to(config, 0.5, 0.0, np.random.default_rng(0), 5000, size=100)
    >>> bool(400 < np.median(time) < 800)  # artanh(1/2) / eta = 549
    True
    """
    level = _checks.real("level", level)
    if abs(level) > 1:
        raise ValueError(f"level={level} must lie between -1 and 1")
    cosine = _starts(start, size)
    most = _checks.integer("most", most, 0)
    _checks.generator(rng)
    time = np.where((abs(cosine) if both else cosine) >= level, 0.0, math.inf)
    active, done = np.flatnonzero(time), 0
    cosine = cosine[active]
    while active.size and done < most:
        path = _block(config, cosine, rng, most - done)
        there = (abs(path) if both else path) >= level
        hit = there.any(0)
        time[active[hit]] = done + 1 + there.argmax(0)[hit]
        cosine, active, done = path[-1, ~hit], active[~hit], done + len(path)
    return time


def _starts(start, size):
    """Cosines of the runs at the start, shape (k,)."""
    cosine = np.atleast_1d(_checks.real_array("start", start))
    if (abs(cosine) > 1).any():
        raise ValueError(f"start must lie between -1 and 1, got {cosine[abs(cosine) > 1].flat[0]}")
    if size is not None:
        size = _checks.positive_int("size", size)
    if cosine.ndim != 1 or not cosine.size or (size is not None and cosine.size not in (1, size)):
        raise ValueError(
            f"start has shape {cosine.shape}; it must be one number, or one for each run"
        )
    return np.broadcast_to(cosine, size or cosine.size)


def _block(config, cosine, rng, most):
    """Cosines after each step of a block, shape (steps, runs); `most` steps of it at most."""
    steps = min(256, max(1, 2**14 // max(cosine.size, 1)))  # whole blocks: draws ignore `most`
    link, factor = as_link(config.link), config.factor
    v, across = rng.standard_normal((2, steps, cosine.size))
    square = v * v + across * across + 2 * rng.standard_gamma((config.d - 2) / 2, v.shape)
    y = link(v.ravel()).reshape(v.shape)
    if config.noise:
        y = y + config.noise * rng.standard_normal(v.shape)
    out = np.empty((min(steps, most), cosine.size))
    for i in range(len(out)):
        z = cosine * v[i] + np.sqrt(np.maximum(1 - cosine * cosine, 0)) * across[i]
        for _ in range(config.reuse):
            move = config.eta * factor(y[i], z)
            q = np.maximum(square[i] - z * z, 0)
            norm = np.sqrt(1 + move * move * q)
            cosine = (cosine + move * (v[i] - cosine * z)) / norm  # eq-fe-chain
            z = (z + move * q) / norm
        out[i] = cosine
    return np.clip(out, -1, 1)  # rounding may carry one beyond
