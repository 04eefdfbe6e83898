"""The step of `twolayer.theory.learning_directions`: run on samples, or drawn from its laws."""

from __future__ import annotations

import math

import numpy as np

from twolayer import _checks
from twolayer.gradients import learn_directions
from twolayer.measures import subspace_overlap
from twolayer.network import TwoLayer
from twolayer.theory.learning_directions import Step

__all__ = ["draw", "run"]


def run(step: Step, m: int, rng: np.random.Generator) -> dict[str, np.ndarray | float]:
    """The step on fresh samples, and what its first layer knows of the directions.

    Parameters
    ----------
    step : Step
    m : int
        Width, even.
    rng : numpy.random.Generator

    Returns
    -------
    dict
        ``squared_overlap``, shape (m,), of each neuron with the span of the directions;
        ``subspace_overlap``, of the layer's leading subspace.

    Examples
    --------
    >>> from twolayer.data import SingleIndex
    >>> step = Step(SingleIndex(16, "he2"), n=4096)
    >>> measured = run(step, 256, np.random.default_rng(0))
    >>> round(float(measured["squared_overlap"].mean()), 1), round(step.mean_squared_overlap, 1)
    (0.8, 0.8)
    """
    x, y = step.data.sample(step.n, rng)
    W = np.asarray(learn_directions(x, y, m, rng).W)
    U = step.data.directions
    return {
        "squared_overlap": ((W @ U.T) ** 2).sum(axis=1),
        "subspace_overlap": subspace_overlap(W, U),
    }


def draw(step: Step, m: int, rng: np.random.Generator) -> TwoLayer:
    """A ReLU network after the step, drawn from the laws without data.

    Unit rows in opposite pairs, biases N(0, 1), a zero readout, as from
    `twolayer.gradients.learn_directions`. With one `rng` the neurons' starts and biases are the
    same at every d and n, which makes differences between settings sharper.

    Parameters
    ----------
    step : Step
    m : int
        Width, even.
    rng : numpy.random.Generator

    Examples
    --------
    >>> from twolayer.data import SingleIndex
    >>> draw(Step(SingleIndex(9, "he2"), n=100), 4, np.random.default_rng(0)).W.shape
    (4, 9)
    """
    if _checks.positive_int("m", m) % 2:
        raise ValueError(f"m={m} must be even: neurons come in pairs")
    first, second = _checks.generator(rng).spawn(2)

    d, r = step.data.d, step.r
    start = first.standard_normal((m // 2, r))  # projections, times sqrt(d)
    pull = first.standard_normal((m // 2, d)) / math.sqrt(d)
    shared = first.standard_normal((r, d - r)) * math.sqrt(2 * step.spread / math.pi) / d
    pull[:, :r] *= math.sqrt(step.spread)
    pull[:, :r] += math.sqrt(step.snr) * start  # eq-ld-draw
    pull[:, r:] += start @ shared  # the leading direction is off for all neurons alike
    rows = pull / np.linalg.norm(pull, axis=1, keepdims=True)
    W = np.concatenate([rows, -rows])
    return TwoLayer(W, np.zeros(m), "relu", second.standard_normal(m))
