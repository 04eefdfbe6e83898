"""One gradient step on the middle layer of three: how well it finds a quadratic feature.

Inputs are uniform on the sphere ``|x|^2 = d``. The feature is p = sqrt((d+2)/(2d)) x'Ax with a
symmetric A of trace 0, ``|A|_F = 1``, so that E p^2 = 1; the target is f* = sum_k c_k q_k(p), with
the polynomials q_k orthonormal under the law of p at flat A. There q_k(p) is a spherical harmonic
of degree 2k. The middle layer starts at zero. One step makes each of its neurons the same function,
hat p(x) = (1/n) sum_i y_i K_m(x_i, x), with K_m the kernel of m random neurons sigma(w.x), ``|w|``
= 1, and y_i the labels without their constant and linear parts. Its parts in the N = (d+2)(d-1)/2
quadratic harmonics are c_1 times those of p, and noise of size N E y^2 / n.

Sources: Nichani, Damian & Lee 2023 (arXiv 2305.06986) for the question. The formulas are derived in
the chapter `three_layers`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.activations import Activation
from twolayer.kernels import RotationInvariant
from twolayer.theory.spectra import Spectrum

__all__ = [
    "QuadraticFeature",
    "feature_correlation",
    "gate_overlap",
    "kernel_spectrum_of",
    "layer_overlap",
    "limit_error",
    "polynomials",
    "rank_correlation",
    "readout_error",
    "two_features_floor",
]

_EVEN = (0.5**0.5, 0.5**0.5)


@dataclasses.dataclass(frozen=True)
class QuadraticFeature:
    """A target of three layers: a polynomial of a quadratic form, inputs on the sphere.

    Parameters
    ----------
    d : int
        Input dimension, at least 4; even where no rank is given.
    coefficients : sequence of float
        (c_1, c_2, ...) of the target sum_k c_k q_k(p), see `polynomials`.
    rank : int, optional
        A is the projection on the first `rank` coordinates without its trace part, normalised;
        without it A is flat, diag(+-1) / sqrt(d), the first half positive, which is rank d/2.
    noise : float
        Standard deviation of the label noise.

    Examples
    --------
    >>> config = QuadraticFeature(32)
    >>> config.N, round(config.c1, 6), round(config.P, 6)
    (527, 0.707107, 1.0)
    """

    d: int
    coefficients: Sequence[float] = _EVEN
    rank: int | None = None
    noise: float = 0.0


def polynomials(d: int, p: ArrayLike, degree: int) -> np.ndarray:
    """q_0(p), ..., q_degree(p): orthonormal under the law of p at flat A.

    Gegenbauer polynomials of index d/4 - 1/2 in t = p sqrt(2/(d+2)); as d grows, q_k tends to the
    Hermite polynomial He_k / sqrt(k!).

    Parameters
    ----------
    d : int
        Input dimension, >= 4.
    p : array_like
    degree : int
        >= 0.

    Returns
    -------
    ndarray, shape (degree + 1, *p.shape)

    Examples
    --------
    >>> polynomials(10_000, 2.0, 2).round(2)  # 1, p and nearly (p^2 - 1) / sqrt(2)
    array([1.  , 2.  , 2.12])
    """
    raise NotImplementedError


def feature_correlation(
    d: int,
    n: ArrayLike,
    coefficients: Sequence[float] = _EVEN,
    width: int | None = None,
    activation: str | Activation = "he2",
) -> np.ndarray:
    """Squared correlation of the learnt feature with p, flat A, without label noise.

    Parameters
    ----------
    d : int
        Even, >= 4.
    n : array_like
        Samples of the step, > d + 1.
    coefficients : sequence of float
        (c_1, c_2, ...); their common scale cancels.
    width : int, optional
        m; infinite without it.
    activation : str or Activation
        Of the first layer; it must have a part of degree two.

    Returns
    -------
    ndarray or float

    Examples
    --------
    >>> round(float(feature_correlation(32, 4 * 527)), 2)
    0.67
    """
    return rank_correlation(QuadraticFeature(d, coefficients), n, width, activation)


def rank_correlation(
    config: QuadraticFeature,
    n: ArrayLike,
    width: int | None = None,
    activation: str | Activation = "he2",
) -> np.ndarray:
    """`feature_correlation` at any rank of A, with label noise.

    Parameters
    ----------
    config : QuadraticFeature
    n, width, activation
        As of `feature_correlation`.
    """
    raise NotImplementedError


def readout_error(config: QuadraticFeature, n: ArrayLike) -> np.ndarray:
    """Test error of the best function of the learnt feature, of infinite width.

    Given p, hat p / c_1 is nearly p + N(0, s^2(p)): noise has one variance for each of three blocks
    of quadratic harmonics. Without the label noise of the test sample.

    Parameters
    ----------
    config : QuadraticFeature
    n : array_like
        Samples of the step, > d + 1; of the readout there are infinitely many.
    """
    raise NotImplementedError


def limit_error(coefficients: Sequence[float], rho2: ArrayLike) -> np.ndarray:
    """Test error of the best function of the learnt feature as d grows: sum c_k^2 (1 - rho^(2k)).

    Parameters
    ----------
    coefficients : sequence of float
        (c_1, c_2, ...).
    rho2 : array_like
        Squared correlation, 0 to 1.
    """
    raise NotImplementedError


def kernel_spectrum_of(config: QuadraticFeature, kernel: RotationInvariant) -> Spectrum:
    """What a kernel sees of the target: a `Spectrum`, for `ridge_curves.optimal_curve`.

    Parameters
    ----------
    config : QuadraticFeature
    kernel : RotationInvariant
    """
    raise NotImplementedError


def gate_overlap(d: float, n: ArrayLike | None = None) -> np.ndarray:
    """Mean squared correlation with p that neurons with random gates learn from y = q_2(p).

    A gate is the sign of a random quadratic form v.Y(x). Without n the ceiling, infinitely many
    samples; at d = inf E[Q / (Q + 2)] = .243, Q chi-squared of one degree of freedom.

    Parameters
    ----------
    d : int or inf
    n : array_like, optional
        Samples.
    """
    raise NotImplementedError


def layer_overlap(d: int, n: ArrayLike) -> np.ndarray:
    """Squared correlation with p of a layer's top eigenvector, learnt from y = q_2(p).

    To first order in N/n, of the matrix (1/n) sum_i y_i Y(x_i) Y(x_i)'.

    Parameters
    ----------
    d : int
    n : array_like
        Samples.
    """
    raise NotImplementedError


def two_features_floor(d: float = math.inf) -> float:
    """Test error of the best function of p_1 + p_2, target sum_j f(p_j) / sqrt(2), f = (q_1+q_2)/sqrt(2).

    Parameters
    ----------
    d : int or inf
        Divisible by 4.
    """
    raise NotImplementedError
