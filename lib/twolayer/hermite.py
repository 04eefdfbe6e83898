"""Gaussian expectations and Hermite polynomials (probabilists')."""

import functools
import math

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss

from twolayer._checks import positive_int

__all__ = ["coefficients", "expectation", "he", "nodes"]

_CUT = 12.0  # the normal density beyond 12 standard deviations is below 1e-31


def he(degree, z):
    """The probabilists' Hermite polynomial He_k, by its three-term recurrence.

    Parameters
    ----------
    degree : int
        k >= 0. He_0 = 1, He_1 = z, He_{k+1} = z He_k - k He_{k-1}.
    z : array or tensor
        Points, any shape.

    Returns
    -------
    array or tensor
        Of the shape of `z`. Under N(0, 1), E[He_j He_k] = k! if j = k, else 0.

    Examples
    --------
    >>> float(he(3, np.float64(2.0)))  # z**3 - 3z
    2.0
    """
    previous, current = z * 0 + 1, z
    if degree == 0:
        return previous
    for k in range(1, degree):
        previous, current = current, z * current - k * previous
    return current


@functools.cache
def nodes(kinks=(), n_nodes=80):
    """Quadrature nodes and weights for an expectation over N(0, 1).

    Parameters
    ----------
    kinks : tuple of float
        Without kinks the rule is Gauss-Hermite. With them it is Gauss-Legendre on each piece
        of [-12, 12] between kinks, since Gauss-Hermite converges slowly across a jump.
    n_nodes : int
        Nodes of the Gauss-Hermite rule, or of each piece.

    Returns
    -------
    z, w : ndarray
        Nodes, and weights that sum to 1.

    Raises
    ------
    ValueError, TypeError
        If `n_nodes` is not a positive integer, or above 250 without kinks.

    Examples
    --------
    >>> z, w = nodes()
    >>> round(float(w @ z**4), 10)
    3.0
    """
    n_nodes = positive_int("n_nodes", n_nodes)
    if not kinks:
        if n_nodes > 250:  # NumPy's weights overflow beyond
            raise ValueError(f"n_nodes={n_nodes} must be at most 250 without kinks")
        z, w = hermegauss(n_nodes)
        return z, w / math.sqrt(2 * math.pi)
    t, v = leggauss(n_nodes)
    cuts = [-_CUT, *sorted(k for k in set(kinks) if abs(k) < _CUT), _CUT]
    halves = np.diff(cuts)[:, None] / 2
    z = (np.array(cuts[:-1])[:, None] + halves * (t + 1)).ravel()
    w = (halves * v).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z, w


def expectation(f, kinks=(), n_nodes=80):
    """E[f(Z)] for Z ~ N(0, 1), by quadrature.

    Parameters
    ----------
    f : callable
        Array of shape (k,) to array of shape (k,) or (..., k).
    kinks : tuple of float
        Points where `f` or its derivative jumps.
    n_nodes : int
        See `nodes`.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> round(float(expectation(np.abs, kinks=(0.0,))), 12)  # sqrt(2 / pi)
    0.797884560803
    """
    z, w = nodes(tuple(kinks), n_nodes)
    return np.asarray(f(z)) @ w


def coefficients(f, degree, kinks=(), n_nodes=80):
    """Hermite coefficients c_k = E[f(Z) He_k(Z)] / sqrt(k!), k = 0..degree.

    They are the coordinates of f in the orthonormal basis He_k / sqrt(k!), so that
    E[f^2] is the sum of their squares (Parseval).

    Parameters
    ----------
    f : callable
        Vectorised scalar function; an `Activation` brings its own kinks.
    degree : int
        Highest degree, >= 0.
    kinks, n_nodes
        See `nodes`.

    Returns
    -------
    ndarray, shape (degree + 1,)

    Examples
    --------
    >>> coefficients(lambda z: z**3, 3).round(6) + 0.0  # 3 He_1 + He_3
    array([0.     , 3.     , 0.     , 2.44949])
    """
    z, w = nodes(tuple(kinks) or tuple(getattr(f, "kinks", ())), n_nodes)
    basis = np.stack([he(k, z) / math.sqrt(math.factorial(k)) for k in range(degree + 1)])
    return basis @ (w * np.asarray(f(z)))
