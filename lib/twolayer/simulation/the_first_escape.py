"""Online descent of one neuron as the exact chain of one number."""

import math

import numpy as np

from twolayer import _checks
from twolayer.data import as_link
from twolayer.theory.the_first_escape import _factor, _overlaps

__all__ = ["run", "time_to"]


def _block(config, m, rng, most):
    """Overlaps after each step of a block, shape (steps, runs); `most` steps of it at most."""
    steps = min(256, max(1, 2**14 // max(m.size, 1)))  # whole blocks: the draws ignore `most`
    f, g = as_link(config.link), _factor(config)
    v, t = rng.standard_normal((2, steps, m.size))
    square = v * v + t * t + 2 * rng.standard_gamma((config.d - 2) / 2, v.shape)
    y = f(v.ravel()).reshape(v.shape)
    if config.noise:
        y = y + config.noise * rng.standard_normal(v.shape)
    out = np.empty((min(steps, most), m.size))
    for i in range(len(out)):
        z = m * v[i] + np.sqrt(np.maximum(1 - m * m, 0)) * t[i]
        for _ in range(config.reuse):
            move, q = config.eta * g(y[i], z), np.maximum(square[i] - z * z, 0)
            norm = np.sqrt(1 + move * move * q)
            m, z = (m + move * (v[i] - m * z)) / norm, (z + move * q) / norm
        out[i] = m
    return out


def run(config, m0, steps, rng, *, size=None, every=1):
    """The overlap in any dimension, run as the exact chain of one number.

    Parameters
    ----------
    config : OnlineSGD
    m0 : float or array_like, shape (k,)
        Overlap of each run at the start.
    steps : int
        Number of steps.
    rng : numpy.random.Generator
    size : int, optional
        Number k of runs, for one shared `m0`; one run without it.
    every : int
        Steps between two records.

    Returns
    -------
    ndarray, shape (steps // every + 1, k)
        Overlaps after 0, every, 2 every, ... steps: in law those of `simulate`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> config = OnlineSGD(d=1000, link="he1", eta=1e-4)
    >>> m = run(config, 0.0, 10_000, np.random.default_rng(0), size=2, every=5000)
    >>> m.shape, bool((abs(m[:, 0] - ode(config, 0.0, [0, 5000, 10_000])) < 0.1).all())
    ((3, 2), True)
    """
    m, steps, every = _runs(m0, size), *_counts(steps, every)
    _checks.generator(rng)
    out, done = [m[None]], 0
    while done < steps:
        path = _block(config, m, rng, steps - done)
        out.append(path[(-done - 1) % every :: every].copy())
        m, done = path[-1], done + len(path)
    return np.concatenate(out)


def _runs(m0, size):
    m = np.atleast_1d(_overlaps("m0", m0))
    if size is not None:
        size = _checks.positive_int("size", size)
    if m.ndim != 1 or not m.size or (size is not None and m.size not in (1, size)):
        raise ValueError(f"m0 has shape {m.shape}; it must be one number, or one for each run")
    return np.broadcast_to(m, size or m.size)


def _counts(steps, every):
    return _checks.integer("steps", steps, 0), _checks.positive_int("every", every)


def time_to(config, level, m0, rng, most, *, size=None, both=False):
    """Number of steps until each run of the chain first reaches a level.

    Parameters
    ----------
    config : OnlineSGD
    level : float
        Overlap, between -1 and 1.
    m0 : float or array_like, shape (k,)
        Overlap of each run at the start.
    rng : numpy.random.Generator
    most : int
        Steps after which a run is given up.
    size : int, optional
        Number k of runs, for one shared `m0`; one run without it.
    both : bool
        Stop at ``abs(m) >= level``: an even link does not tell w from -w.

    Returns
    -------
    ndarray, shape (k,)
        0 for a run that starts there, infinity for one that has not arrived after `most` steps:
        quantiles below the share that arrived are right, means are not.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> config = OnlineSGD(d=100, link="he1", eta=1e-3)
    >>> time = time_to(config, 0.5, 0.0, np.random.default_rng(0), 5000, size=100)
    >>> bool(400 < np.median(time) < 800)  # artanh(1/2) / eta = 549
    True
    """
    level = float(_overlaps("level", level))
    m, most = _runs(m0, size), _checks.integer("most", most, 0)
    _checks.generator(rng)
    time = np.where((abs(m) if both else m) >= level, 0.0, math.inf)
    active, done = np.flatnonzero(time), 0
    m = m[active]
    while active.size and done < most:
        path = _block(config, m, rng, most - done)
        there = (abs(path) if both else path) >= level
        hit = there.any(0)
        time[active[hit]] = done + 1 + there.argmax(0)[hit]
        m, active, done = path[-1, ~hit], active[~hit], done + len(path)
    return time
