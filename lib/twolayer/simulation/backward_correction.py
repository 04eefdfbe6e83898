"""Both levels trained: what `twolayer.theory.backward_correction` predicts, measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.theory.backward_correction import TwoLevels

__all__ = ["modes", "run", "sample", "train"]


def sample(config: TwoLevels, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, in the eigenbasis of A, and labels.

    Parameters
    ----------
    config : TwoLevels
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    x : ndarray, shape (n, d)
    y : ndarray, shape (n,)

    Examples
    --------
    >>> x, y = sample(TwoLevels([3.0, -4.0], 0.3), 5, np.random.default_rng(0))
    >>> x.shape, y.shape
    ((5, 2), (5,))
    """
    raise NotImplementedError


def modes(x: ArrayLike) -> np.ndarray:
    """The quadratic modes of inputs, orthonormal for Gaussian ones.

    Parameters
    ----------
    x : array_like, shape (n, d)

    Returns
    -------
    ndarray, shape (n, d(d+1)/2)
        First (x_i^2 - 1) / sqrt(2), then x_i x_j with i < j, row by row of the upper triangle.

    Examples
    --------
    >>> modes([[1.0, 2.0]]).round(3)
    array([[0.   , 2.121, 2.   ]])
    """
    raise NotImplementedError


def run(
    config: TwoLevels,
    n: int,
    how: str,
    rng: np.random.Generator,
    *,
    rounds: int = 50,
    step: float = 1.0,
    start: str = "layerwise",
) -> dict[str, np.ndarray]:
    """Both levels trained on n samples in one of three ways.

    Parameters
    ----------
    config : TwoLevels
    n : int
        Samples, more than N + 1.
    how : {"layerwise", "explaining", "joint"}
        See `twolayer.theory.backward_correction.lower_error`. Joint is by Gauss-Newton.
    rng : numpy.random.Generator
    rounds : int
        Refits of explaining away, or at most so many steps of Gauss-Newton.
    step : float
        Of explaining away, see `twolayer.theory.backward_correction.contraction`.
    start : {"layerwise", "random"}
        Where the joint fit and explaining away begin; random is a symmetric matrix of norm one.

    Returns
    -------
    dict of ndarray
        ``lower_error``, ``alpha`` as estimated, ``eigenvalues`` of the learnt matrix (ascending
        order of the true ones is not assumed: sorted to match them by rank), ``matrix``, and
        ``path``, the lower error before each round and after the last.

    Examples
    --------
    >>> levels = TwoLevels(np.linspace(1, -0.4, 8), alpha=0.3, noise=0.1)
    >>> found = run(levels, 1000, "joint", np.random.default_rng(0))
    >>> bool(found["lower_error"] < 0.001)
    True
    """
    raise NotImplementedError


def train(
    config: TwoLevels,
    n: int,
    rng: np.random.Generator,
    *,
    neurons: int | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> dict[str, np.ndarray]:
    """A network of quadratic neurons trained by Adam in three stages, the last one in three ways.

    The lower level is h = sum_j s_j ((w_j.x)^2 - |w_j|^2) / sqrt(2), with fixed signs, half of
    them +1; the network is h + alpha_hat h^2 + constant. First the lower level learns alone, to
    fit y by h; then the upper level alone. Then, from the same place, both go on: the lower level
    on its ``own`` loss; with the gradient ``stopped`` at the upper level, which only takes its
    share out of the residual; and ``joint``, on the network's loss. Full batches, float64.

    Parameters
    ----------
    config : TwoLevels
    n : int
        Samples, the same in all stages.
    rng : numpy.random.Generator
    neurons : int, optional
        4 d, if not given.
    steps : int
        Of each stage.
    rate : float
        Of Adam, at the beginning of each stage; it falls to zero along half a cosine.

    Returns
    -------
    dict of ndarray
        ``lower``, ``upper``, ``own``, ``stopped``, ``joint``: lower errors, of shape
        (steps + 1,), through each stage. ``alpha``, of shape (3,), and ``eigenvalues``, of shape
        (3, d), at the ends of the three ways, in this order; ``layerwise``, of shape (d,), after
        the first stage.

    Examples
    --------
    >>> levels = TwoLevels(np.linspace(1, -0.4, 6), alpha=0.3)
    >>> found = train(levels, 500, np.random.default_rng(0))
    >>> bool(found["joint"][-1] < 0.01 < found["own"][-1])
    True
    """
    raise NotImplementedError
