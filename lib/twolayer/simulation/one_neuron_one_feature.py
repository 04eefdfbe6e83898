r"""Online descent of one neuron on M features as the exact chain of its M overlaps.

A step of `twolayer.theory.one_neuron_one_feature` depends on w only through the overlaps
rho_i = w.u_i, the projections V_i = u_i.x, the coordinate t of x along what is left of w, and
s = x.x = V.V + t^2 + a chi-squared of d - M - 1 degrees of freedom:

    z = rho.V + sqrt(1 - rho.rho) t,   z' = z + (c/d) y sigma'(z) s,   U = y sigma'(z'),
    rho_i <- (rho_i + eta U (V_i - rho_i z)) / sqrt(1 + eta^2 U^2 (s - z^2)).

V, t and the rest are independent, so the M overlaps are a Markov chain of their own, in law, in
any dimension. `network` runs neurons in their d coordinates instead: they share samples.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.simulation.the_first_escape import _recorded
from twolayer.theory.one_neuron_one_feature import Features

__all__ = ["Arrival", "network", "random_starts", "run", "time_to"]


class Arrival(NamedTuple):
    """When each run arrived and which overlap decided it: `times` and `winners`, shape (k,)."""

    times: np.ndarray
    winners: np.ndarray


def random_starts(
    features: int, d: int, size: int, rng: np.random.Generator, *, cosine: float = 0.0
) -> np.ndarray:
    """Overlaps of random unit vectors with M orthonormal features.

    Parameters
    ----------
    features, d : int
        M and the dimension, d > M.
    size : int
        Number of vectors.
    rng : numpy.random.Generator
    cosine : float, optional
        Unless 0, the cosine of all of them with the features' mean direction, as reuse gives it:
        uniform among those vectors.

    Returns
    -------
    ndarray, shape (size, features)

    Examples
    --------
    >>> rho = random_starts(3, 50, 4, np.random.default_rng(0), cosine=0.6)
    >>> (rho.sum(1) / 3**0.5).round(9)
    array([0.6, 0.6, 0.6, 0.6])
    """
    features = _checks.positive_int("features", features)
    d = _checks.integer("d", d, features + 1)
    size = _checks.positive_int("size", size)
    cosine = _checks.real("cosine", cosine)
    if abs(cosine) > 1:
        raise ValueError(f"cosine={cosine} must lie between -1 and 1")
    across = _checks.generator(rng).standard_normal((size, features))
    square = rng.chisquare(d - features, size)
    mean = across.mean(1, keepdims=True) if cosine else 0.0
    across = across - mean
    rho = across / np.sqrt((across**2).sum(1) + square)[:, None]
    return cosine / math.sqrt(features) + math.sqrt(1 - cosine**2) * rho


def run(
    config: Features,
    start: ArrayLike,
    steps: int,
    rng: np.random.Generator,
    *,
    size: int | None = None,
    every: int = 1,
) -> np.ndarray:
    """The M overlaps in any dimension, run as the exact chain.

    Parameters
    ----------
    config : Features
    start : array_like, shape (k, M) or (M,)
        Overlaps of each run at the start, or of all.
    steps : int
        Number of steps.
    rng : numpy.random.Generator
    size : int, optional
        Number k of runs, for one shared `start`; one run without it.
    every : int
        Steps between two records.

    Returns
    -------
    ndarray, shape (steps // every + 1, k, M)
        Overlaps after 0, every, 2 every, ... steps.

    Examples
    --------
    >>> config = Features(d=1000, features=2, target="he1", eta=2e-4)
    >>> rho = run(config, [0.0, 0.3], 20_000, np.random.default_rng(0), size=3, every=10_000)
    >>> rho.shape, bool((abs(rho[-1] - 0.5**0.5) < 0.1).all())  # the mean of both features
    ((3, 3, 2), True)
    """
    rho = _starts(config, start, size)
    steps = _checks.integer("steps", steps, 0)
    every = _checks.positive_int("every", every)
    _checks.generator(rng)
    return _recorded(lambda at, most: _block(config, at, rng, most), rho, steps, every)


def time_to(
    config: Features,
    level: float,
    start: ArrayLike,
    most: int,
    rng: np.random.Generator,
    *,
    size: int | None = None,
    stop: str = "first",
    both: bool = False,
) -> Arrival:
    """Number of steps until overlaps reach a level, and which of them decided it.

    Parameters
    ----------
    config : Features
    level : float
        Overlap, between -1 and 1.
    start : array_like, shape (k, M) or (M,)
        Overlaps of each run at the start, or of all.
    most : int
        Steps after which a run is given up.
    rng : numpy.random.Generator
    size : int, optional
        Number k of runs, for one shared `start`; one run without it.
    stop : {"first", "all"}
        Wait for one of the overlaps, or until all are there at once.
    both : bool
        Take ``abs(rho_i) >= level``.

    Returns
    -------
    Arrival
        `times`: 0 for a run that starts there, infinity for one that has not arrived after `most`
        steps. `winners`: the largest overlap at that time, or for ``stop="all"`` the smallest,
        which was waited for; -1 where none has arrived.

    Examples
    --------
    >>> config = Features(d=64, features=4, target="he3", eta=0.25 / 64**1.5)
    >>> rng = np.random.default_rng(0)
    >>> found = time_to(config, 0.5, random_starts(4, 64, 20, rng), 40_000, rng)
    >>> bool(4000 < np.median(found.times) < 16_000)
    True
    """
    level = _checks.real("level", level)
    if abs(level) > 1:
        raise ValueError(f"level={level} must lie between -1 and 1")
    rho = _starts(config, start, size)
    most = _checks.integer("most", most, 0)
    _checks.generator(rng)
    _checks.one_of("stop", stop, ("first", "all"))

    def deciding(rho):  # of the overlaps the one that is waited for
        seen = abs(rho) if both else rho
        return seen.argmax(-1) if stop == "first" else seen.argmin(-1)

    def height(rho):
        seen = abs(rho) if both else rho
        return seen.max(-1) if stop == "first" else seen.min(-1)

    there = height(rho) >= level
    times, winners = np.where(there, 0.0, math.inf), np.where(there, deciding(rho), -1)
    active, done = np.flatnonzero(~there), 0
    rho = rho[active]
    while active.size and done < most:
        path = _block(config, rho, rng, most - done)
        there = height(path) >= level
        hit = np.flatnonzero(there.any(0))
        when = there.argmax(0)[hit]
        times[active[hit]] = done + 1 + when
        winners[active[hit]] = deciding(path[when, hit])
        left = ~there.any(0)
        rho, active, done = path[-1, left], active[left], done + len(path)
    return Arrival(times, winners)


def _starts(config, start, size):
    """Overlaps of the runs at the start, shape (k, M)."""
    rho, features = np.atleast_2d(_checks.real_array("start", start)), config.features
    if size is not None:
        size = _checks.positive_int("size", size)
    if rho.ndim != 2 or rho.shape[1] != features or (size and len(rho) not in (1, size)):
        raise ValueError(
            f"start has shape {np.shape(start)}; it must be ({features},), "
            f"or (runs, {features}) with a row for each run"
        )
    square = (rho**2).sum(1)
    if (square > 1 + 1e-9).any():
        raise ValueError(f"start: squared overlaps must sum to at most 1, got {square.max()}")
    return np.broadcast_to(rho, (size or len(rho), features))


def _block(config, rho, rng, most):
    """Overlaps after each step of a block, shape (steps, runs, M); `most` steps at most."""
    runs, features = rho.shape
    steps = min(512, max(1, 2**16 // max(rho.size, 1)))  # whole blocks: draws ignore `most`
    V = rng.standard_normal((steps, runs, features))
    t = rng.standard_normal((steps, runs))
    square = np.einsum("srm,srm->sr", V, V) + t * t
    square += 2 * rng.standard_gamma((config.d - features - 1) / 2, t.shape)
    y = config.label(V.reshape(-1, features)).reshape(t.shape)
    slope, eta, inner = config.slope, config.eta, config.inner_step / config.d
    out = np.empty((min(steps, most), runs, features))
    for i in range(len(out)):
        rest = np.maximum(1 - np.einsum("rm,rm->r", rho, rho), 0)
        z = np.einsum("rm,rm->r", rho, V[i]) + np.sqrt(rest) * t[i]
        pull = y[i] * slope(z)
        if inner:
            pull = y[i] * slope(z + inner * square[i] * pull)
        move = eta * pull
        norm = np.sqrt(1 + move * move * np.maximum(square[i] - z * z, 0))
        a, b = (1 - move * z) / norm, move / norm
        rho = a[:, None] * rho + b[:, None] * V[i]  # eq-nf-chain
        out[i] = rho
    return out


def network(config: Features, W: ArrayLike, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Neurons in their d coordinates, which see the same samples.

    Parameters
    ----------
    config : Features
    W : array_like, shape (N, d) or (k, N, d)
        Unit rows: the neurons of one network, or of k networks with samples of their own.
    steps : int
        Number of samples.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, of the shape of `W`
        The neurons after the steps; their overlaps are the first M entries of the last axis.

    Examples
    --------
    >>> from twolayer.data import sphere
    >>> rng = np.random.default_rng(0)
    >>> config = Features(d=32, features=2, target="he3", eta=0.2 / 32**1.5)
    >>> W = network(config, sphere((5, 32), rng), 20_000, rng)
    >>> W.shape, np.linalg.norm(W, axis=1).round(9)
    ((5, 32), array([1., 1., 1., 1., 1.]))
    """
    W = _checks.real_array("W", W)
    if W.ndim not in (2, 3) or W.shape[-1] != config.d or not W.size:
        raise ValueError(f"W has shape {W.shape}; it must be (N, {config.d}) or (k, N, {config.d})")
    length = np.linalg.norm(W, axis=-1)
    if (abs(length - 1) > 1e-8).any():
        raise ValueError(f"W must have unit rows, got norm {length.flat[abs(length - 1).argmax()]}")
    steps = _checks.integer("steps", steps, 0)
    _checks.generator(rng)
    shape, W = W.shape, W.reshape(-1, *W.shape[-2:]).copy()
    slope, inner = config.slope, config.inner_step / config.d
    block, done = max(1, 2**16 // (len(W) * config.d)), 0
    while done < steps:
        x = rng.standard_normal((block, len(W), config.d))  # whole blocks: draws ignore `steps`
        y = config.label(x[..., : config.features].reshape(-1, config.features))
        y, square = y.reshape(block, len(W), 1), (x * x).sum(-1)[..., None]
        for i in range(min(block, steps - done)):
            z = (W @ x[i, :, :, None])[..., 0]
            pull = y[i] * slope(z)
            if inner:
                pull = y[i] * slope(z + inner * square[i] * pull)
            move = config.eta * pull
            norm = np.sqrt(1 + move * move * np.maximum(square[i] - z * z, 0))
            W *= ((1 - move * z) / norm)[..., None]
            W += (move / norm)[..., None] * x[i, :, None, :]
        W /= np.linalg.norm(W, axis=-1, keepdims=True)  # of rounding only
        done += block
    return W.reshape(shape)
