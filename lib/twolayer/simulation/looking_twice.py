"""Neurons that look at each batch twice, drawn: what `twolayer.theory.looking_twice` predicts."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations
from twolayer.data import as_link, sphere
from twolayer.simulation import one_neuron_one_feature
from twolayer.theory import _labels
from twolayer.theory.looking_twice import TwoLooks
from twolayer.theory.one_neuron_one_feature import Features

__all__ = ["amp", "plain_steps", "run", "time_to"]

_AT_ONCE = 2048  # single samples side by side


def run(
    looks: TwoLooks,
    alpha: float,
    d: int,
    rng: np.random.Generator,
    *,
    neurons: int = 8,
    fresh: bool = False,
) -> dict[str, np.ndarray]:
    """Neurons on the unit sphere, each looking twice at the same batches, theta the first axis.

    Parameters
    ----------
    looks : TwoLooks
    alpha : float
        Samples per dimension, > 0; taken to the nearest whole number of batches.
    d : int
        Input dimension, at least 3.
    rng : numpy.random.Generator
    neurons : int
        They share the samples.
    fresh : bool
        Take the second pull on a batch of its own.

    Returns
    -------
    dict
        "cosine", shape (neurons,): with theta, of each sum of second pulls without its part along
        the neuron; "layer": that of the mean of these sums; "alpha": as it was used, of the second
        looks alone.

    Examples
    --------
    >>> found = run(TwoLooks(0.25, 2.0), 8.0, 64, np.random.default_rng(0))
    >>> found["cosine"].shape, float(found["alpha"])
    ((8,), 8.0)
    """
    if not isinstance(looks, TwoLooks):
        raise TypeError(f"looks={looks!r} must be a TwoLooks")
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    d, neurons = _checks.integer("d", d, 3), _checks.positive_int("neurons", neurons)
    _checks.generator(rng)
    W = sphere((neurons, d), rng).astype(np.float32)
    batch = round(looks.batch_ratio * d)
    if looks.batch_ratio and not batch:
        raise ValueError(f"batch_ratio={looks.batch_ratio} leaves no sample at d={d}")
    batches = round(alpha * d / max(batch, 1))
    if not batches:
        raise ValueError(f"alpha={alpha} is less than one batch of {looks.batch_ratio} d samples")
    total, left = np.zeros((neurons, d)), batches
    while left:
        count = 1 if batch else min(left, _AT_ONCE)
        total += _look(looks, W, batch or count, rng, fresh)
        left -= count
    total -= (total * W).sum(1, keepdims=True) * W
    mean = total.mean(0)
    return {
        "cosine": total[:, 0] / np.linalg.norm(total, axis=1),
        "layer": mean[0] / np.linalg.norm(mean),
        "alpha": np.float64(batches * max(batch, 1) / d),
    }


def _draw(looks, n, d, rng):
    x = rng.standard_normal((n, d), dtype=np.float32)
    y = np.broadcast_to(as_link(looks.link)(x[:, 0].astype(float)), n)
    return x, y.astype(np.float32)[:, None]


def _look(looks, W, n, rng, fresh):
    """Sum of the second pulls of n samples: one batch, or each for itself at batch ratio 0."""
    slope = activations.get(looks.activation).derivative_at
    d = W.shape[1]
    step = np.float32(looks.inner_step / d)
    x, y = _draw(looks, n, d, rng)
    z = x @ W.T
    first = y * slope(z)
    if looks.batch_ratio:
        moved = W + step * (first.T @ x)
        if fresh:
            x, y = _draw(looks, n, d, rng)
        z = x @ moved.T
    elif not fresh:
        z = z + step * first * (x * x).sum(1, keepdims=True)
    else:
        other, y = _draw(looks, n, d, rng)
        z = other @ W.T + step * first * (x * other).sum(1, keepdims=True)
        x = other
    return (y * slope(z)).T @ x


def plain_steps(
    looks: TwoLooks, d: int, rng: np.random.Generator, *, neurons: int = 8
) -> np.ndarray:
    """Two plain gradient steps on one batch of beta d samples: each neuron's cosine with theta.

    Parameters
    ----------
    looks : TwoLooks
        Both steps move w by (c/d) sum y sigma'(w.x) x.
    d : int
        Input dimension, at least 3.
    rng : numpy.random.Generator
    neurons : int
        They share the samples.

    Returns
    -------
    ndarray, shape (neurons,)

    Examples
    --------
    >>> looks = TwoLooks(8.0, 6.0 / 8.0, "he3", "tanh")
    >>> plain_steps(looks, 64, np.random.default_rng(0)).shape
    (8,)
    """
    if not isinstance(looks, TwoLooks):
        raise TypeError(f"looks={looks!r} must be a TwoLooks")
    d, neurons = _checks.integer("d", d, 3), _checks.positive_int("neurons", neurons)
    W = sphere((neurons, d), _checks.generator(rng)).astype(np.float32)
    n = round(looks.batch_ratio * d)
    if not n:
        raise ValueError(f"batch_ratio={looks.batch_ratio} leaves no sample at d={d}")
    x, y = _draw(looks, n, d, rng)
    slope = activations.get(looks.activation).derivative_at
    for _ in range(2):
        W = W + np.float32(looks.inner_step / d) * ((y * slope(x @ W.T)).T @ x)
    return W[:, 0] / np.linalg.norm(W, axis=1)


def amp(
    alpha: float,
    d: int,
    rng: np.random.Generator,
    link: str | Callable | Sequence[float] = "he3",
    *,
    start: float = 0.0,
    steps: int = 30,
) -> np.ndarray:
    """Approximate message passing on n = alpha d samples: its cosine with theta after each step.

    Each step takes for the labels g = (E[z_*|y, omega] - omega) / V, where omega is the estimate's
    projection less the last step's g times V.

    Parameters
    ----------
    alpha : float
        Samples per dimension, > 0.
    d : int
        Input dimension, at least 3.
    rng : numpy.random.Generator
    link : str, callable or sequence of float
        Without noise.
    start : float
        Cosine with theta of the estimate before the first step, in [0, 1): 0 does for a link of
        which some function of the label has a linear part, all others need more.
    steps : int

    Returns
    -------
    ndarray, shape (steps + 1,)

    Examples
    --------
    >>> rho = amp(1.0, 300, np.random.default_rng(0))
    >>> rho.shape, bool(rho[-1] > 0.6)
    ((31,), True)
    """
    looks = TwoLooks(0.0, 0.0, link)
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    d, steps = _checks.integer("d", d, 3), _checks.positive_int("steps", steps)
    q = _checks.real("start", start, minimum=0) ** 2
    if q >= 1:
        raise ValueError(f"start={start} must be below 1")
    _checks.generator(rng)
    x, y = _draw(looks, max(1, round(alpha * d)), d, rng)
    y = np.broadcast_to(as_link(looks.link)(x[:, 0].astype(float)), len(x))
    behind = _labels.known(looks.link, y)
    theta = np.eye(1, d)[0]
    s = q * theta + math.sqrt(q * (1 - q) / d) * rng.standard_normal(d)  # of length sqrt(q)
    V, g, out = 1 - q, np.zeros(len(x)), [float(q and s[0] / np.linalg.norm(s))]
    for _ in range(steps):
        omega = x @ s.astype(np.float32) - V * g
        g = (_labels.posterior(behind, omega, V)[0] - omega) / V
        gain = alpha * np.mean(g * g)
        s = (gain * s + (g.astype(np.float32) @ x) / d) / (1 + gain)
        V = max(1 / (1 + gain), 1e-9)
        out.append(float(s[0] / np.linalg.norm(s)))
    return np.array(out)


def time_to(
    looks: TwoLooks,
    step: float,
    d: int,
    start: ArrayLike,
    rng: np.random.Generator,
    most: int,
    *,
    level: float = 0.5,
) -> np.ndarray:
    """Samples until ``abs(cosine) >= level``, one at a time, each looked at twice.

    A neuron on the sphere steps by step / d along the second pull of a fresh sample: the chain of
    `twolayer.simulation.one_neuron_one_feature`, of one overlap.

    Parameters
    ----------
    looks : TwoLooks
        Of batch ratio 0.
    step : float
        > 0.
    d : int
        Input dimension, at least 3.
    start : array_like, shape (k,)
        Cosine of each run at the start.
    rng : numpy.random.Generator
    most : int
        Samples after which a run is given up.
    level : float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (k,)
        Infinity for a run that has not arrived: quantiles below the share that arrived are right.

    Examples
    --------
    >>> time = time_to(TwoLooks(0.0, -2.0), 1.0, 64, np.zeros(50), np.random.default_rng(0), 2000)
    >>> bool(np.median(time) < 1000)
    True
    """
    if not isinstance(looks, TwoLooks) or looks.batch_ratio:
        raise ValueError(f"looks={looks!r} must be a TwoLooks of batch_ratio 0")
    step = _checks.real("step", step, minimum=0, strict=True)
    start = np.atleast_1d(_checks.real_array("start", start))
    if (abs(start) > 1).any():
        raise ValueError(f"start must lie between -1 and 1, got {start[abs(start) > 1].flat[0]}")
    if not 0 <= _checks.real("level", level) <= 1:
        raise ValueError(f"level={level} must lie between 0 and 1")
    link = as_link(looks.link)
    chain = Features(
        _checks.integer("d", d, 3),
        1,
        lambda z: np.broadcast_to(link(z[:, 0]), len(z)),
        step / d,  # eq-tw-chain
        looks.activation,
        looks.inner_step,
    )
    found = one_neuron_one_feature.time_to(chain, level, start[:, None], most, rng, both=True)
    return found.times
