"""The simplified gradient E[y x 1(w.x + b > 0)] of mixtures and parities, in closed form.

Where its direction hits few directions with good odds over the initialisation, gradient descent
learns a network of neurons along them: Shi, Wei & Liang 2023, 'Provable Guarantees for Neural
Networks via Gradient Feature Learning'. The chapter *Gradient features* derives the formulas.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, ndtr

from twolayer import _checks
from twolayer.data import GaussianMixture, Parity

__all__ = [
    "mixture_gradient",
    "parity_gradient",
    "ring_probability",
    "threshold_fourier",
    "xor_accuracy",
]


def _layer(data, W, b):
    """Neurons and their biases, checked, rows scaled to a largest entry of one: gates stay."""
    W, b = _checks.real_array("W", W), _checks.real_array("b", b)
    if W.ndim != 2 or W.shape[1] != data.d:
        raise ValueError(f"W has shape {W.shape}; it must be (m, {data.d})")
    if b.shape not in ((), (len(W),)):
        raise ValueError(f"b has shape {b.shape}; it must be ({len(W)},)")
    if not W.any(1).all():
        raise ValueError("W must have no row of zeros")
    size = abs(W).max(1)
    with np.errstate(over="ignore"):  # an infinite bias is a gate that never or always opens
        return W / size[:, None], b / size


def mixture_gradient(data: GaussianMixture, W: ArrayLike, b: ArrayLike = 0.0) -> np.ndarray:
    """Simplified gradients, shape (m, d), of neurons on a mixture of Gaussians.

    ``q = sum_c p_c y_c (mu_c Phi(t_c) + sigma w Phi'(t_c) / |w|)`` with
    ``t_c = (w.mu_c + b) / (sigma |w|)``: the mean over one Gaussian, by parts.

    Parameters
    ----------
    data : GaussianMixture
    W : array_like, shape (m, d), rows not zero
    b : array_like, shape (m,) or ()

    Examples
    --------
    >>> xor = GaussianMixture.ring(d=3, clusters=4, radius=2.0)
    >>> mixture_gradient(xor, [[1.0, 0.0, 0.0]]).round(4) + 0.0
    array([[0.3048, 0.    , 0.    ]])
    """
    _checks.instance("data", data, GaussianMixture)
    W, b = _layer(data, W, b)
    length = np.linalg.norm(W, axis=1)[:, None]
    weights = data.weights * data.labels
    start = (b[:, None] / (data.sigma * length)).clip(-1e100, 1e100)
    cdf, pdf = _changes(start, W @ data.means.T / (data.sigma * length))  # classes nearly cancel
    towards = (cdf * weights) @ data.means + ndtr(start) * (weights @ data.means)
    along = pdf @ weights + _density(start[:, 0]) * weights.sum()
    return towards + data.sigma * along[:, None] * W / length  # eq-gf-closed


def _density(t):
    return np.exp(-t * t / 2) / math.sqrt(2 * math.pi)


def _changes(start, move):
    """Phi(t) - Phi(start) and phi(t) - phi(start) at t = start + move, accurate for small moves."""
    end = start + move
    near = (abs(move) < 0.1) & (abs(start) < 40)  # nothing is left of the density beyond
    small = np.where(near, move, 0.0)
    middle = np.where(near, start + small / 2, 0.0)
    nodes, weights = np.polynomial.legendre.leggauss(6)
    inside = _density(middle[..., None] + small[..., None] / 2 * nodes) @ weights
    lower, upper = np.where(end > 0, -end, start), np.where(end > 0, -start, end)  # smaller tails
    cdf = np.where(near, small / 2 * inside, ndtr(upper) - ndtr(lower))
    ratio = np.expm1(-small * middle)
    pdf = np.where(near, _density(start) * ratio, _density(end) - _density(start))
    return cdf, pdf


def ring_probability(gamma: ArrayLike, clusters: int = 4) -> np.ndarray | float:
    """P(max cosine >= 1 - gamma) = clusters arccos(1 - gamma) / pi, at most 1.

    A uniform direction of the plane against evenly spaced ones: of small separation, without biases
    and in many dimensions, the share of neurons whose simplified gradient lies in the cone of any
    of the means of `GaussianMixture.ring`; with ``clusters=1`` in the cone of one given mean, as in
    the definition of a gradient feature. In d dimensions a part of order 1/sqrt(d) is off the
    plane: it needs gamma well above 1/(4 d).

    Parameters
    ----------
    gamma : array_like, in [0, 1]
    clusters : int

    Examples
    --------
    >>> round(float(ring_probability(0.1)), 4)
    0.5743
    """
    gamma = _checks.real_array("gamma", gamma, minimum=0)
    if (gamma > 1).any():
        raise ValueError(f"gamma={gamma} must be in [0, 1]")
    clusters = _checks.positive_int("clusters", clusters)
    half_angle = 2 * np.arcsin(np.sqrt(gamma / 2))  # arccos(1 - gamma)
    return np.minimum(clusters * half_angle / np.pi, 1)[()]  # times eq-gf-p


def xor_accuracy(radius: float, sigma: float = 1.0) -> float:
    """The best accuracy on `GaussianMixture.ring` with four clusters: Phi(r)^2 + Phi(-r)^2.

    With r the distance of a mean from the two diagonals that separate the classes, radius / sqrt(2)
    over sigma; the two coordinates across the diagonals are independent.

    Parameters
    ----------
    radius, sigma : float

    Examples
    --------
    >>> round(xor_accuracy(3.0), 4)
    0.9667
    """
    radius = _checks.real("radius", radius, minimum=0)
    sigma = _checks.real("sigma", sigma, minimum=0, strict=True)
    r = radius / math.sqrt(2) / sigma
    return float(ndtr(r) ** 2 + ndtr(-r) ** 2)


def threshold_fourier(d: int, order: int, threshold: float) -> float:
    """Fourier coefficient E[u_1 ... u_order 1(u_1 + ... + u_d > threshold)] of fair bits u = +-1.

    It is 2^-d times the coefficient of z^T in (1-z)^(order-1) (1+z)^(d-order), with T the largest t
    for which d - 2t > threshold; in exact integers where order >= 1.

    Parameters
    ----------
    d : int
        Number of bits.
    order : int
        Number of bits in the character, between 0 and d.
    threshold : float

    Examples
    --------
    >>> threshold_fourier(3, 1, 0.0)  # E[u_1 majority(u)] / 2 = 1/4
    0.25
    """
    d = _checks.positive_int("d", d)
    order = _checks.integer("order", order, 0, d)
    threshold = _checks.real("threshold", threshold)
    most = min(math.ceil((d - threshold) / 2) - 1, d)  # most minus signs above the threshold
    return _below(d, order, most) if most >= 0 else 0.0


@functools.cache
def _below(d, order, most):
    """The coefficient for a threshold that leaves room for `most` minus signs, 0..d."""
    if order == 0:
        return float(bdtr(most, d, 0.5))
    count = sum(
        (-1) ** i * math.comb(order - 1, i) * math.comb(d - order, most - i)
        for i in range(min(order - 1, most) + 1)
    )
    return count / 2**d  # eq-gf-zeta


def parity_gradient(data: Parity, W: ArrayLike, b: ArrayLike = 0.0) -> np.ndarray:
    """Simplified gradients, shape (m, d), of neurons with sign weights on a parity.

    For uniform bits, over the dictionary: on a relevant bit the Fourier coefficient of order
    degree - 1 of the threshold function, times the signs of the other relevant weights; on another
    bit the one of order degree + 1, times the signs of the relevant weights and its own. With bits
    that agree with probability `agree` it is 1 - agree times this, plus agree times the mean given
    that the relevant bits share one fair sign. At a tie, w.x + b = 0, a neuron does not fire.

    Parameters
    ----------
    data : Parity
    W : array_like, shape (m, d)
        Each row has entries of one size, to 1e-6, over the dictionary: W D = size times signs.
    b : array_like, shape (m,) or ()

    Examples
    --------
    >>> parity_gradient(Parity(d=3, degree=1), np.ones((1, 3)))  # E[x_1 x 1(x_1 + x_2 + x_3 > 0)]
    array([[0.5, 0. , 0. ]])
    """
    _checks.instance("data", data, Parity)
    W, b = _layer(data, W, b)
    dictionary = data.dictionary
    weights = W @ dictionary
    size = abs(weights).mean(1)
    if not np.allclose(abs(weights), size[:, None], rtol=1e-6, atol=0):
        raise ValueError("W must have entries of one size in each row, over the dictionary")
    beyond = data.d + 1.0  # no sum of bits is as far out
    thresholds = np.clip(-b / size, -beyond, beyond).round(6)  # ties, though sizes are rounded
    rows = zip(np.sign(weights), thresholds.tolist(), strict=True)
    over_dictionary = [_over_dictionary(data, signs, threshold) for signs, threshold in rows]
    return np.reshape(over_dictionary, weights.shape) @ dictionary.T


def _over_dictionary(data, signs, threshold):
    """The gradient of one neuron on the hidden bits."""
    degree, d, rho = data.degree, data.d, data.agree
    product = signs[:degree].prod()
    inside = threshold_fourier(d, degree - 1, threshold)
    outside = threshold_fourier(d, degree + 1, threshold) if degree < d else 0.0
    uniform = product * signs * np.where(np.arange(d) < degree, inside, outside)  # eq-gf-fourier
    if not rho:
        return uniform
    return (1 - rho) * uniform + rho * _agreeing(signs, threshold, degree)  # eq-gf-agree


def _agreeing(signs, threshold, degree):
    """The gradient where the relevant bits are one fair sign: y is its power of this degree."""
    d = len(signs)
    out = np.zeros(d)
    for sign in (-1, 1):
        rest = float(threshold - sign * signs[:degree].sum())  # the other bits must exceed it
        fires = threshold_fourier(d - degree, 0, rest) if degree < d else float(rest < 0)
        out[:degree] += sign ** (degree + 1) * fires / 2
        if degree < d:
            slope = threshold_fourier(d - degree, 1, rest)
            out[degree:] += sign**degree * slope * signs[degree:] / 2
    return out
