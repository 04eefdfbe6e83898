"""One network after a large step: the spikes in its features and its readouts, measured."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.hermite import nodes
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout
from twolayer.theory.higher_spikes import Step, spikes

__all__ = ["run"]

_BLOCK = 4096  # samples of the step at a time, to save memory


def run(
    step: Step,
    alpha: float,
    rng: np.random.Generator,
    *,
    ridge: ArrayLike = (),
    count: int = 3,
    shuffled: bool = False,
    output: bool = True,
    centred: bool = False,
    against: Step | None = None,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """One network of input dimension `step.d`, after its own gradient step on n0 samples.

    Large products are in float32, the rest in float64.

    Parameters
    ----------
    step : Step
        Sizes n0, n and m are rounded.
    alpha : float
        n/d, fresh samples of the features, > 0.
    rng : numpy.random.Generator
    ridge : array_like, shape (p,)
        Ridges of readouts that are fitted to the features.
    count : int
        Singular values and vectors to look at.
    shuffled : bool
        True shuffles the labels of the step: its direction is then noise.
    output : bool
        False leaves the network's own output out of the residual of the step, as the theory does.
    centred : bool
        True centres the features' columns before readouts are fitted (and new features alike).
    against : Step
        Whose functions phi the singular vectors are compared with; by default the step's own.
    n_test : int
        Test samples.

    Returns
    -------
    dict of ndarray
        ``values``, shape (count,), the largest singular values of F/sqrt(n), the columns of F
        centred; ``overlaps``, shape (count, count), the squared overlaps of the functions phi of
        `twolayer.theory.higher_spikes.spikes` (rows) with the left singular vectors; with `ridge`
        ``error``, shape (p,), the test errors of the readouts.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=1.5, d=300)
    >>> found = run(step, 4.0, np.random.default_rng(0), count=2)
    >>> found["values"].round(2), found["overlaps"].diagonal().round(2)
    (array([8.77, 1.18]), array([1.  , 0.46]))
    """
    if not isinstance(step, Step):
        raise TypeError(f"step={step!r} must be a Step")
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    rng = _checks.generator(rng)
    ridge = _checks.real_array("ridge", ridge, 1, minimum=0, strict=True)
    count = _checks.positive_int("count", count)
    n_test = _checks.positive_int("n_test", n_test)
    against = step if against is None else against
    if not isinstance(against, Step):
        raise TypeError(f"against={against!r} must be a Step")
    data = SingleIndex(max(1, round(step.d)), step.link, step.noise)
    network, v = _stepped(step, data, rng, shuffled, output)
    x, y = data.sample(max(1, round(alpha * data.d)), rng)
    features = network.features(x).astype(float)
    out = _spectrum(against, features * math.sqrt(network.m / len(x)), x @ v, count)
    if ridge.size:
        x_test, _ = data.sample(n_test, rng)
        test, target = network.features(x_test).astype(float), data.target(x_test)
        if centred:
            test, features = (part - features.mean(0) for part in (test, features))
        readouts = np.atleast_2d(fit_readout(features, y, ridge))
        missed = test @ readouts.T - target[:, None]
        out["error"] = (missed**2).mean(0) + step.noise**2
    return out


def _stepped(step, data, rng, shuffled, output):
    """The network after its step, and the direction v of the gradient."""
    m = max(1, round(step.width_ratio * data.d))
    rows = rng.standard_normal((m, data.d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    readout = _law(step.readout, m, rng) / math.sqrt(m)
    network = TwoLayer(rows.astype("float32"), readout, step.activation)
    n0, H, g = max(1, round(step.alpha0 * data.d)), 0.0, 0.0
    for start in range(0, n0, _BLOCK):
        x, y = data.sample(min(_BLOCK, n0 - start), rng)
        y = rng.permutation(y) if shuffled else y
        g = g + x.T @ y / n0
        y = y if output else y + network(x)
        H = H + descent_direction(network, x, y) * (len(y) / n0)
    return network.with_weights(network.W + step.eta * H), g / np.linalg.norm(g)


def _law(readout, m, rng):
    """Sizes of m readouts, times sqrt(m)."""
    if readout == "gaussian":
        return rng.standard_normal(m)
    if readout == "equal":
        return rng.choice([-1.0, 1.0], m)
    sizes, shares = nodes((), 2 * readout)
    return rng.choice(sizes, m, p=shares / shares.sum())


def _spectrum(step, scaled, k, count):
    """Singular values of the centred features, and overlaps of the left vectors with phi(k)."""
    scaled = scaled - scaled.mean(0)
    squares, right = np.linalg.eigh(scaled.T @ scaled)
    values = np.sqrt(np.maximum(squares[::-1][:count], 0))
    left = scaled @ right[:, ::-1][:, :count] / values
    grid = np.linspace(-abs(k).max(), abs(k).max(), 401)
    _, functions = spikes(step, grid, count)
    seen = np.stack([np.interp(k, grid, function) for function in functions])
    sizes = np.linalg.norm(seen, axis=1, keepdims=True)
    return {"values": values, "overlaps": (seen / np.where(sizes > 0, sizes, 1) @ left) ** 2}
