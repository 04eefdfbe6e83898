"""The first step in a simulation."""

import numpy as np
import torch

from twolayer import _checks
from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.measures import leading_singular, squared_overlap
from twolayer.network import TwoLayer

__all__ = ["run"]


def run(setting, strengths, d, rng, readout="sign"):
    """One network, its step and the leading singular triple at each strength.

    Parameters
    ----------
    setting : FirstStep
    strengths : array_like, shape (k,)
        Nominal strengths; each fixes a step size by `FirstStep.step_size`.
    d : int
        Dimension; n0 = alpha0 d samples and m = width_ratio d neurons, rounded.
    rng : numpy.random.Generator
    readout : {"sign", "gaussian"}

    Returns
    -------
    dict of ndarray, shape (k,)
        ``value`` (singular value), ``squared_overlap`` (squared, with g), ``target_overlap`` (squared,
        with theta), ``neuron_overlap`` (squared, with a).
    """
    d = _checks.positive_int("d", d)
    data = SingleIndex(d, setting.link, setting.noise)
    x, y = data.sample(round(setting.alpha0 * d), rng)
    m = round(setting.width_ratio * d)
    network = TwoLayer.mean_field(
        m, d, setting.activation, rng, readout=readout, dtype=torch.float32
    )  # single precision, 1e-7 of the entries, at a third of the time
    H = descent_direction(network, x, y).double().numpy()
    W, a = network.W.detach().double().numpy(), network.a.detach().numpy()
    g = x.T @ y / len(y)
    rows = []
    for eta in setting.step_size(np.atleast_1d(strengths)):
        value, u, v = leading_singular(W + eta * H)
        rows.append(
            {
                "value": value,
                "squared_overlap": squared_overlap(v, g),
                "target_overlap": squared_overlap(v, data.directions[0]),
                "neuron_overlap": squared_overlap(u, a),
            }
        )
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}
