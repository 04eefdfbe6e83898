"""The simplified gradient E[y x 1(w.x + b > 0)] of mixtures and parities, in closed form.

Where its direction hits few directions with good odds over the initialisation, gradient descent
learns a network of neurons along them: Shi, Wei & Liang 2023, 'Provable Guarantees for Neural
Networks via Gradient Feature Learning'. The chapter *Gradient features* derives the formulas.
"""

import functools
import math

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom, norm

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
    W, b = _checks.real_array("W", W), _checks.real_array("b", b)
    if W.ndim != 2 or W.shape[1] != data.d:
        raise ValueError(f"W has shape {W.shape}; it must be (m, {data.d})")
    if b.shape not in ((), (len(W),)):
        raise ValueError(f"b has shape {b.shape}; it must be ({len(W)},)")
    if not W.any(1).all():
        raise ValueError("W must have no row of zeros")
    return W, np.broadcast_to(b, len(W))


def mixture_gradient(data, W, b=0.0):
    """Simplified gradients of neurons on a mixture of Gaussians.

    Parameters
    ----------
    data : GaussianMixture
    W : array_like, shape (m, d)
        Rows are neurons, not zero.
    b : array_like, shape (m,) or ()
        Biases.

    Returns
    -------
    ndarray, shape (m, d)
        sum_c p_c y_c (mu_c Phi(t_c) + sigma w phi(t_c) / norm), where t_c is (w.mu_c + b) over
        sigma times the norm of w: the mean over one Gaussian, by parts.

    Raises
    ------
    TypeError, ValueError
        If `data` is no mixture, shapes do not fit, an entry is not finite or a row is zero.

    Examples
    --------
    >>> xor = GaussianMixture.ring(d=3, clusters=4, radius=2.0)
    >>> mixture_gradient(xor, [[1.0, 0.0, 0.0]]).round(4) + 0.0
    array([[0.3048, 0.    , 0.    ]])
    """
    if not isinstance(data, GaussianMixture):
        raise TypeError(f"data={data!r} must be a GaussianMixture")
    W, b = _layer(data, W, b)
    length = np.linalg.norm(W, axis=1, keepdims=True)
    t = (W @ data.means.T + b[:, None]) / (data.sigma * length)
    weights = data.weights * data.labels
    along = (norm.pdf(t) @ weights)[:, None] * data.sigma * W / length
    return (ndtr(t) * weights) @ data.means + along


def ring_probability(gamma, k=4):
    """P(max cosine >= 1 - gamma), uniform direction of the plane against k evenly spaced ones.

    For small separation, no biases and many dimensions the simplified gradient on the XOR mixture
    (k = 4) is isotropic in the plane of the means, so that this is the share of neurons whose
    gradient lies in the cone of one of the four; an equal share 1/k of it belongs to each. In d
    dimensions a part of order 1/sqrt(d) is off the plane: it needs gamma well above 1/(4 d).

    Parameters
    ----------
    gamma : array_like
        In [0, 1].
    k : int

    Returns
    -------
    ndarray or float
        k arccos(1 - gamma) / pi, at most 1.

    Examples
    --------
    >>> round(float(ring_probability(0.1)), 4)
    0.5743
    """
    gamma = _checks.real_array("gamma", gamma, minimum=0)
    if (gamma > 1).any():
        raise ValueError(f"gamma={gamma} must be in [0, 1]")
    k = _checks.positive_int("k", k)
    return np.minimum(k * np.arccos(1 - gamma) / np.pi, 1)[()]


def xor_accuracy(radius, sigma=1.0):
    """The best accuracy on `GaussianMixture.ring` with k = 4: Phi(r)^2 + Phi(-r)^2.

    With r the distance of a mean from the two diagonals that separate the classes, radius / sqrt(2)
    over sigma; the two coordinates across the diagonals are independent.

    Parameters
    ----------
    radius, sigma : float

    Returns
    -------
    float

    Examples
    --------
    >>> round(xor_accuracy(3.0), 4)
    0.9667
    """
    radius = _checks.real("radius", radius, minimum=0)
    r = radius / math.sqrt(2) / _checks.real("sigma", sigma, minimum=0, strict=True)
    return float(ndtr(r) ** 2 + ndtr(-r) ** 2)


def threshold_fourier(d, order, threshold):
    """Fourier coefficient of the threshold function 1(u_1 + ... + u_d > threshold) of fair bits.

    Parameters
    ----------
    d : int
        Number of bits u = +-1.
    order : int
        Number of bits in the character, between 0 and d; all characters of one order are alike.
    threshold : float

    Returns
    -------
    float
        E[u_1 ... u_s 1(u_1 + ... + u_d > threshold)]. For s >= 1 it is 2^-d times the coefficient
        of z^T in (1-z)^(s-1) (1+z)^(d-s), with T the largest t for which d - 2t > threshold; in
        exact integers.

    Raises
    ------
    TypeError, ValueError
        If `d` or `order` is no integer in its range, or `threshold` is not finite.

    Examples
    --------
    >>> threshold_fourier(3, 1, 0.0)  # E[u_1 majority(u)] / 2 = 1/4
    0.25
    """
    d, threshold = _checks.positive_int("d", d), _checks.real("threshold", threshold)
    order = _checks.integer("order", order, 0, d)
    most = min(math.ceil((d - threshold) / 2) - 1, d)  # most minus signs above the threshold
    return _below(d, order, most) if most >= 0 else 0.0


@functools.cache
def _below(d, order, most):
    """The coefficient for a threshold that leaves room for `most` minus signs, 0..d."""
    if order == 0:
        return float(binom.cdf(most, d, 0.5))
    terms = (
        (-1) ** i * math.comb(order - 1, i) * math.comb(d - order, most - i)
        for i in range(min(order - 1, most) + 1)
    )
    return sum(terms) / 2**d


def parity_gradient(data, W, b=0.0):
    """Simplified gradients of neurons with sign weights on a parity.

    Parameters
    ----------
    data : Parity
    W : array_like, shape (m, d)
        Each row has entries of one size over the dictionary: W M = size times signs.
    b : array_like, shape (m,) or ()
        Biases.

    Returns
    -------
    ndarray, shape (m, d)
        For uniform bits, over the dictionary: on a relevant bit the Fourier coefficient of order
        k - 1 of the threshold function, times the signs of the other relevant weights; on another
        bit the one of order k + 1, times the signs of the relevant weights and its own. With bits
        that agree with probability rho it is 1 - rho times this, plus rho times the mean given that
        the relevant bits share one fair sign. At a tie, w.x + b = 0, a neuron does not fire.

    Raises
    ------
    TypeError, ValueError
        If `data` is no parity, shapes do not fit, an entry is not finite, or the weights of a
        neuron are not of one size.

    Examples
    --------
    >>> parity_gradient(Parity(d=3, degree=1), np.ones((1, 3)))  # E[x_1 x 1(x_1 + x_2 + x_3 > 0)]
    array([[0.5, 0. , 0. ]])
    """
    if not isinstance(data, Parity):
        raise TypeError(f"data={data!r} must be a Parity")
    W, b = _layer(data, W, b)
    weights = W @ data.dictionary
    size = abs(weights).mean(1)
    if not np.allclose(abs(weights), size[:, None], rtol=1e-6, atol=0):
        raise ValueError("W must have entries of one size in each row, over the dictionary")
    signs, k, d, rho = np.sign(weights), data.degree, data.d, data.agree
    out = np.empty_like(weights)
    for row, (v, theta) in enumerate(zip(signs, np.round(-b / size, 9).tolist(), strict=True)):
        product = v[:k].prod()
        out[row, :k] = threshold_fourier(d, k - 1, theta) * product * v[:k]
        outside = threshold_fourier(d, k + 1, theta) if k < d else 0.0
        out[row, k:] = outside * product * v[k:]
        if rho:
            out[row] = (1 - rho) * out[row] + rho * _agreeing(v, theta, k, d)
    return out @ data.dictionary.T


def _agreeing(v, theta, k, d):
    """The simplified gradient where all k relevant bits are one fair sign: y is its k-th power."""
    out = np.zeros(d)
    for sign in (-1, 1):
        rest = float(theta - sign * v[:k].sum())  # the other d - k bits must exceed it
        fires = threshold_fourier(d - k, 0, rest) if k < d else float(rest < 0)
        out[:k] += sign ** (k + 1) * fires / 2
        if k < d:
            out[k:] += sign**k * threshold_fourier(d - k, 1, rest) * v[k:] / 2
    return out
