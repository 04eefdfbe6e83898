"""Gaussian expectations and Hermite polynomials (probabilists')."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike

from twolayer import _checks

__all__ = ["between", "coefficients", "expectation", "he", "nodes"]

_REACH = 12.0  # the normal density beyond 12 standard deviations is below 1e-31


def he(degree: int, z: Any) -> Any:
    """The probabilists' Hermite polynomial: He_0 = 1, He_1 = z, He_{k+1} = z He_k - k He_{k-1}.

    Under N(0, 1), E[He_j He_k] is k! if j = k, else 0.

    Parameters
    ----------
    degree : int
        k >= 0.
    z : array or tensor
        Points, any shape; integers become float64.

    Returns
    -------
    array or tensor
        Of the shape of `z`.

    Examples
    --------
    >>> float(he(3, 2))  # z**3 - 3z
    2.0
    """
    degree, z = _checks.integer("degree", degree, 0), _inexact(z)
    previous, current = z * 0 + 1, z
    if degree == 0:
        return previous
    for k in range(1, degree):
        previous, current = current, z * current - k * previous
    return current


def _inexact(z):
    """`z` with integers, whose powers overflow, as float64; tensors stay tensors."""
    if hasattr(z, "is_floating_point"):
        return z if z.is_floating_point() else z.double()
    z = z if hasattr(z, "dtype") else np.asarray(z)[()]
    return z.astype(float) if getattr(z, "dtype", np.dtype(float)).kind in "biu" else z


def between(
    kinks: ArrayLike, n_nodes: int = 80, panels: int = 1, reach: float = _REACH
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre rules for expectations over N(0, 1), on the pieces between kinks.

    Parameters
    ----------
    kinks : array_like, shape (..., k)
        Points where the integrand or its derivative jumps, one set for each rule; in any order.
    n_nodes : int
        Nodes of each panel.
    panels : int
        Panels of equal width in each piece.
    reach : float
        The rule covers [-reach, reach]; kinks beyond lie at its ends.

    Returns
    -------
    z, w : ndarray, shape (..., (k + 1) * panels * n_nodes)
        Nodes in ascending order, and weights that include the Gaussian density.

    Examples
    --------
    >>> z, w = between([[0.0], [0.5]])
    >>> (w * (z > [[0.0], [0.5]])).sum(-1).round(12)  # 1 - Phi(kink)
    array([0.5       , 0.30853754])
    """
    inner = np.sort(np.clip(np.asarray(kinks, dtype=float), -reach, reach), axis=-1)
    rules = inner.shape[:-1]
    end = np.full((*rules, 1), float(reach))
    cuts = np.concatenate([-end, inner, end], axis=-1)[..., None, None]  # (..., piece, 1, 1)
    width = np.diff(cuts, axis=-3) / panels
    left = cuts[..., :-1, :, :] + width * np.arange(panels)[:, None]
    t, v = _legendre(n_nodes)
    z = left + width / 2 * (t + 1)  # (..., piece, panel, node)
    w = width / 2 * v * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z.reshape(*rules, -1), w.reshape(*rules, -1)


def nodes(kinks: Sequence[float] = (), n_nodes: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for an expectation over N(0, 1): Gauss-Hermite, or `between` kinks.

    Gauss-Hermite converges slowly across a jump or a bend: with kinks the rule is Gauss-Legendre
    on each piece.

    Parameters
    ----------
    kinks : sequence of float
        Points where the integrand or its derivative jumps.
    n_nodes : int
        Nodes of the Gauss-Hermite rule, at most 250, or of each piece.

    Returns
    -------
    z, w : ndarray, shape (k,)
        Nodes, and weights that sum to 1; read-only.

    Examples
    --------
    >>> z, w = nodes()
    >>> round(float(w @ z**4), 10)
    3.0
    """
    n_nodes = _checks.positive_int("n_nodes", n_nodes)
    places = _checks.real_array("kinks", kinks).ravel()
    if not places.size and n_nodes > 250:  # NumPy's weights overflow beyond
        raise ValueError(f"n_nodes={n_nodes} must be at most 250 without kinks")
    return _nodes(tuple(places.tolist()), n_nodes)


@functools.lru_cache(maxsize=1024)
def _nodes(kinks, n_nodes):
    if not kinks:
        z, w = hermegauss(n_nodes)
        return _read_only(z, w / math.sqrt(2 * math.pi))
    return _read_only(*between([k for k in set(kinks) if abs(k) < _REACH], n_nodes))


@functools.cache
def _legendre(n_nodes):
    return _read_only(*leggauss(n_nodes))


def _read_only(*arrays):
    """The arrays, safe in a cache: a caller cannot write into them."""
    for array in arrays:
        array.flags.writeable = False
    return arrays


def expectation(f: Callable, kinks: Sequence[float] = (), n_nodes: int = 80) -> float | np.ndarray:
    """E[f(Z)] for Z ~ N(0, 1), by quadrature.

    Parameters
    ----------
    f : callable
        Array of shape (k,) to array of shape (k,) or (..., k).
    kinks, n_nodes
        See `nodes`.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> round(float(expectation(np.abs, kinks=(0.0,))), 12)  # sqrt(2 / pi)
    0.797884560803
    """
    z, w = nodes(kinks, n_nodes)
    return (np.asarray(f(z)) + 0 * z) @ w  # a constant is one number


def coefficients(
    f: Callable, degree: int, kinks: Sequence[float] = (), n_nodes: int = 80
) -> np.ndarray:
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
