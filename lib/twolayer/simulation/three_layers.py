"""One gradient step on the middle layer of three, measured, and networks trained by Adam."""

from __future__ import annotations

import numpy as np

from twolayer.activations import Activation
from twolayer.theory.three_layers import QuadraticFeature

__all__ = [
    "gates",
    "learn_feature",
    "run",
    "sample",
    "train",
    "two_features",
]


def sample(
    config: QuadraticFeature, n: int, rng: np.random.Generator, *, inputs: str = "sphere"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (n, d), labels (n,) and the feature's values p (n,).

    Parameters
    ----------
    config : QuadraticFeature
    n : int
    rng : numpy.random.Generator
    inputs : {"sphere", "gaussian"}
        ``"gaussian"``: x ~ N(0, I), p = x'Ax / sqrt(2) and the same polynomials.
    """
    raise NotImplementedError


def learn_feature(
    config: QuadraticFeature,
    n: int,
    rng: np.random.Generator,
    width: int | None = None,
    activation: str | Activation = "he2",
    *,
    inputs: str = "sphere",
    radial: bool = True,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """One step on the middle layer: what all its neurons then compute, on fresh inputs.

    Parameters
    ----------
    config : QuadraticFeature
    n : int
        Samples of the step, > d + 1.
    rng : numpy.random.Generator
    width : int, optional
        Neurons of the first layer; infinitely many quadratic ones without it.
    activation : str or Activation
        Of the first layer.
    inputs : {"sphere", "gaussian"}
    radial : bool
        Whether the feature keeps its part along ``|x|^2`` (Gaussian inputs).
    n_test : int
        Fresh inputs.

    Returns
    -------
    dict of ndarray
        ``squared_correlation``; ``p`` and ``learnt``, shape (n_test,), both of mean square one,
        the learnt feature without constant and linear parts, of positive correlation; ``y``, the
        labels without noise.
    """
    raise NotImplementedError


def run(
    config: QuadraticFeature,
    n: int,
    rng: np.random.Generator,
    width: int | None = None,
    activation: str | Activation = "he2",
    *,
    n_readout: int = 4000,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """One step on the middle layer and a ReLU readout of its feature: test error and correlation.

    Parameters
    ----------
    config, n, rng, width, activation
        As of `learn_feature`.
    n_readout, n_test : int
        Fresh samples that fit the readout, and that test it.

    Returns
    -------
    dict of ndarray
        ``error``, mean of (f - f*)^2; ``squared_correlation``; ``parts``, shape (k,): what is
        missing of each c_k^2.
    """
    raise NotImplementedError


def gates(d: int, n: int, rng: np.random.Generator, *, neurons: int = 200) -> dict[str, np.ndarray]:
    """Target q_2(p): squared correlations with p of gated neurons, and of the layer's eigenvector.

    Parameters
    ----------
    d, n : int
    rng : numpy.random.Generator
    neurons : int

    Returns
    -------
    dict of ndarray
        ``neurons``, shape (neurons,), and ``layer``.
    """
    raise NotImplementedError


def two_features(d: int, n: int, rng: np.random.Generator, **sizes: int) -> dict[str, np.ndarray]:
    """Two orthogonal features in one target: the test error of one step's feature, and with one more.

    Parameters
    ----------
    d, n : int
        d divisible by 4.
    rng : numpy.random.Generator
    **sizes : int
        ``n_readout`` and ``n_test`` as of `run`.

    Returns
    -------
    dict of ndarray
        ``one``: error with the one feature that a step learns; ``two``: with one eigenvector more.
    """
    raise NotImplementedError


def train(
    config: QuadraticFeature,
    n: int,
    rng: np.random.Generator,
    layers: int = 3,
    *,
    width: int = 256,
    rates: tuple[float, ...] = (1e-3, 3e-3),
    decays: tuple[float, ...] = (0.0, 1e-4),
    steps: int = 3000,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """A ReLU network of three or two layers trained by Adam on n samples, a fifth for validation.

    Learning rate, weight decay and the checkpoint are those of the least validation error.

    Returns
    -------
    dict of ndarray
        ``error``, on fresh samples, without label noise; ``rate``, ``decay``, ``step``.
    """
    raise NotImplementedError
