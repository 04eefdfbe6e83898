"""One network after a large step, or one draw of the spiked model: its readouts, measured."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout
from twolayer.theory.exact_curves import OneStep, _check, _pairs, _vector

__all__ = ["run"]

_BLOCK = 4096  # samples of the step at a time, to save memory
_MOVED = 1000  # test inputs that are moved along the spike


def run(
    config: OneStep,
    alpha: ArrayLike,
    ridge: ArrayLike,
    d: int,
    rng: np.random.Generator,
    *,
    model: str = "network",
    projection: ArrayLike | None = None,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """One network, or one draw of the spiked model: its step, its readouts and their test errors.

    Large products are in float32, ridge regression in float64.

    Parameters
    ----------
    config : OneStep
    alpha, ridge : array_like
        As in `twolayer.theory.exact_curves.learning_curve`. All alphas use the first rows of one
        sample.
    d : int
        Input dimension; n0, n and m are rounded.
    rng : numpy.random.Generator
    model : {"network", "spiked"}
        A network and its own gradient, or the literal spiked model: rows uniform on the sphere of
        radius b, plus r v.
    projection : array_like, shape (p,), optional
        Values of v.x at which the learnt function is evaluated.
    n_test : int
        Test samples.

    Returns
    -------
    dict of ndarray
        ``error``, of the shape of `alpha` and `ridge`; ``linear``, the error of the best linear
        predictor on the same test samples; with `projection`, ``learnt``, of the shape of
        ``error`` and one more axis: the mean of f(x) over inputs of that projection.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> found = run(config, 2.0, 1.0, 300, np.random.default_rng(0))
    >>> round(float(found["error"]), 2)  # one network; the limit is 0.2306
    0.25
    """
    _check(config)
    alpha, ridge = _pairs(alpha, ridge)
    d, rng = _checks.positive_int("d", d), _checks.generator(rng)
    n_test = _checks.positive_int("n_test", n_test)
    _checks.one_of("model", model, ("network", "spiked"))
    if alpha.size == 0:
        raise ValueError("alpha and ridge must hold at least one number")
    if projection is not None:
        projection = _vector("projection", projection)
        if not config.strength:
            raise ValueError(f"projection is given, but {config} has no spike to project on")

    data = SingleIndex(d, config.link, config.noise)
    network, v = (_stepped if model == "network" else _spiked)(config, data, rng)
    n = np.maximum(1, np.round(alpha * d).astype(int))
    x, y = data.sample(int(n.max()), rng)
    features = network.features(x).astype(float)
    x_test, _ = data.sample(n_test, rng)
    test, target = network.features(x_test).astype(float), data.target(x_test)
    line = config.first.linear_part * x_test[:, 0]
    out = {"error": np.empty(n.shape), "linear": np.mean((target - line) ** 2) + config.noise**2}
    if projection is not None:
        means = _along(network, x_test[:_MOVED], v, projection)
        out["learnt"] = np.empty((*n.shape, len(projection)))
    for size in np.unique(n):
        at = n == size
        ridges = ridge[at] if at.sum() > 1 else float(ridge[at][0])
        readouts = np.atleast_2d(fit_readout(features[:size], y[:size], ridges))
        missed = test @ readouts.T - target[:, None]
        out["error"][at] = (missed**2).mean(0) + config.noise**2
        if projection is not None:
            out["learnt"][at] = readouts @ means.T
    return out


def _initial(config, d, rng):
    """W0, with rows uniform on the unit sphere."""
    rows = rng.standard_normal((max(1, round(config.width_ratio * d)), d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _network(config, rows):
    m = len(rows)
    return TwoLayer(rows.astype("float32"), np.full(m, m**-0.5), config.activation)


def _stepped(config, data, rng):
    """The network after its own step, and the direction v of the gradient."""
    network, v = _network(config, _initial(config, data.d, rng)), np.zeros(data.d)
    if not config.eta:
        return network, v
    n0, H = max(1, round(config.alpha0 * data.d)), 0.0
    for start in range(0, n0, _BLOCK):
        x, y = data.sample(min(_BLOCK, n0 - start), rng)
        H = H + descent_direction(network, x, y) * (len(y) / n0)
        v += x.T @ y / n0
    step = config.eta * network.m**0.5
    return network.with_weights(network.W + step * H), v / np.linalg.norm(v)  # eq-ec-step


def _spiked(config, data, rng):
    """The literal spiked model: rows b_j + r v, with v at its limiting angle to the target."""
    rows, v = _initial(config, data.d, rng), np.zeros(data.d)
    if config.eta:
        v[0] = config.cosine
        v[1:2] = math.sqrt(1 - config.cosine**2)
        rows = math.sqrt(config.bulk_variance) * rows + config.strength * v  # eq-ec-spike
    return _network(config, rows), v


def _along(network, x, v, projection):
    """Mean features of the inputs `x`, all moved along v to the same projection, one row each."""
    along = network.preactivations(v[None]).astype(float)[0]
    base = network.preactivations(x).astype(float) - np.outer(x @ v, along)
    means = [network.activation(base + p * along).mean(0) for p in projection]
    return np.stack(means) / math.sqrt(network.m)
