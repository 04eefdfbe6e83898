"""The first step of one network: what `twolayer.theory.one_step` predicts, measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.measures import leading_singular, squared_overlap
from twolayer.network import TwoLayer
from twolayer.theory.one_step import FirstStep

__all__ = ["run"]


def run(
    setting: FirstStep,
    strengths: ArrayLike,
    d: int,
    rng: np.random.Generator,
    readout: str = "sign",
    *,
    device: str | None = None,
) -> dict[str, np.ndarray]:
    """One network, its step and the leading singular triple of W1 at each strength.

    Parameters
    ----------
    setting : FirstStep
    strengths : array_like, shape (k,)
        Nominal ones; each fixes a step size by `FirstStep.step_size`.
    d : int
        Dimension; n0 = alpha0 d samples and m = width_ratio d neurons, rounded.
    rng : numpy.random.Generator
    readout : {"sign", "gaussian"}
    device : str, optional
        One of torch's, such as "cuda", for the two large products of the step; NumPy without it.

    Returns
    -------
    dict of ndarray, shape (k,)
        ``value``, the singular value; of its vector on the side of the inputs the
        ``squared_overlap`` with g and the ``squared_overlap_with_target``; of the other one the
        ``squared_overlap_with_readout``.

    Examples
    --------
    >>> setting = FirstStep("tanh", "sign", alpha0=4.0, width_ratio=1.0)
    >>> found = run(setting, [2.0], 300, np.random.default_rng(0))
    >>> found["value"].round(2), found["squared_overlap"].round(2)  # limits: 2.5 and 0.75
    (array([2.57]), array([0.78]))
    """
    d, device = _checks.positive_int("d", d), _device(device)
    etas = np.atleast_1d(setting.step_size(strengths))
    if etas.ndim > 1:
        raise ValueError(f"strengths has shape {etas.shape}; it must be a vector")
    data = SingleIndex(d, setting.link, setting.noise)
    x, y = data.sample(round(setting.alpha0 * d), rng)
    m = round(setting.width_ratio * d)
    # in single precision, 1e-7 of the entries, at a third of the time
    network = TwoLayer.mean_field(m, d, setting.activation, rng, readout=readout, dtype="float32")
    H = _direction(network, x, y, device).astype(float)
    W = network.W.astype(float)
    g = x.T @ y / len(y)  # eq-g
    found = {
        "value": [],
        "squared_overlap": [],
        "squared_overlap_with_target": [],
        "squared_overlap_with_readout": [],
    }
    for eta in etas:
        value, neurons, inputs = leading_singular(W + eta * H)  # eq-step
        found["value"].append(value)
        found["squared_overlap"].append(squared_overlap(inputs, g))
        found["squared_overlap_with_target"].append(squared_overlap(inputs, data.directions[0]))
        found["squared_overlap_with_readout"].append(squared_overlap(neurons, network.a))
    return {key: np.array(values, dtype=float) for key, values in found.items()}


def _device(name):
    """A device of torch's that can be computed on, or None."""
    if name is None:
        return None
    import torch

    try:
        return torch.zeros(1, device=name).device
    except (AssertionError, RuntimeError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"device={name!r} must be one that torch can use here: {said}") from error


def _direction(network, x, y, device):
    """The direction of the step, computed on the device."""
    if device is None:
        return descent_direction(network, x, y)
    import torch

    W = torch.tensor(network.W, device=device)
    there = TwoLayer(W, network.a, network.activation, network.b)
    return descent_direction(there, x, y).cpu().numpy()
