"""The network itself, beside its exact curves."""

import math

import numpy as np
import torch

from twolayer import _checks, activations
from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout, ridge_path
from twolayer.theory.exact_curves import _check, _pairs, _points

__all__ = ["run"]


@torch.no_grad()
def run(config, alpha, ridge, d, rng, *, model="network", k=None, n_test=4000):
    """One network, or one draw of the spiked model: its step, its readouts and their test errors.

    Parameters
    ----------
    config : OneStep
    alpha, ridge : array_like
        As in `learning_curve`. All alphas use the first rows of one sample.
    d : int
        Input dimension; n0, n and m are rounded.
    rng : numpy.random.Generator
    model : {"network", "spiked"}
        A network and its own gradient, or the literal spiked model: rows uniform on the sphere of
        radius sqrt(c), plus r v.
    k : array_like, shape (p,), optional
        Where to evaluate the learnt function along the spike.
    n_test : int
        Test samples.

    Returns
    -------
    dict of ndarray
        ``error``, of the shape of `alpha` and `ridge`; ``linear``, the error of the best linear
        predictor on the same test samples; with `k`, ``learnt``, of the shape of ``error`` and one
        more axis: the mean of f(x) over inputs with v.x = k.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    Large products in float32, ridge regression in float64.
    """
    _check(config)
    alpha, ridge = _pairs(alpha, ridge)
    d, rng = _checks.positive_int("d", d), _checks.generator(rng)
    n_test = _checks.positive_int("n_test", n_test)
    if alpha.size == 0:
        raise ValueError("alpha and ridge must hold at least one number")
    if k is not None:
        k = _points(k)
        if not config.strength:
            raise ValueError(f"k is given, but {config} has no spike and no coordinate along it")
    _checks.one_of("model", model, ("network", "spiked"))
    data = SingleIndex(d, config.link, config.noise)
    m = max(1, round(config.width_ratio * d))
    rows = rng.standard_normal((m, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    network = TwoLayer(
        torch.as_tensor(rows, dtype=torch.float32),
        np.full(m, m**-0.5),
        config.activation,
    )
    v = np.zeros(d)
    if config.eta and model == "network":
        n0, H = max(1, round(config.alpha0 * d)), 0.0
        for n in np.diff([*range(0, n0, 4096), n0]):  # in blocks, to save memory
            x, y = data.sample(int(n), rng)
            H = H + descent_direction(network, x, y) * (n / n0)
            v += x.T @ y / n0
        v /= np.linalg.norm(v)
        network = network.with_weights(network.W + config.eta * m**0.5 * H)
    elif config.eta:
        v[0], v[1:2] = config.overlap, math.sqrt(1 - config.overlap**2)
        rows = math.sqrt(config.bulk_variance) * rows + config.strength * v
        network = network.with_weights(torch.as_tensor(rows, dtype=torch.float32))

    n = np.maximum(1, np.round(alpha * d).astype(int))
    x, y = data.sample(int(n.max()), rng)
    features = network.features(x).double()
    x_test, _ = data.sample(n_test, rng)
    test, target = network.features(x_test).double().numpy(), data.target(x_test)
    line = config.first.linear_part * x_test[:, 0]
    out = {"error": np.empty(n.shape), "linear": np.mean((target - line) ** 2) + config.noise**2}
    if k is not None:  # move the test inputs along v, all to the same k
        along = network.preactivations(v[None]).double().numpy()[0]
        base = network.preactivations(x_test[:1000]).double().numpy()
        base -= np.outer(x_test[:1000] @ v, along)
        student = activations.get(config.activation)
        means = np.stack([student(base + p * along).mean(0) for p in k]) / math.sqrt(m)
        out["learnt"] = np.empty((*n.shape, len(k)))
    for size in np.unique(n):
        at = n == size
        x, y_, lam = features[:size], y[:size], ridge[at]
        fit = ridge_path(x, y_, lam).coefficients if lam.size > 1 else fit_readout(x, y_, lam[0])
        a = fit.reshape(lam.size, m).numpy()
        out["error"][at] = ((test @ a.T - target[:, None]) ** 2).mean(0) + config.noise**2
        if k is not None:
            out["learnt"][at] = a @ means.T
    return out
