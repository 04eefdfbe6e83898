"""Kernels of infinitely wide two-layer networks, as callables for scikit-learn.

Each takes two arrays of rows, ``k(x, z) -> (n, n')``, or two vectors, ``k(x, z) -> float``, so
that it serves ``KernelRidge(kernel="precomputed").fit(k(x, x), y)``, which is fast, and
``KernelRidge(kernel=k)``, which calls it pair by pair. Gaussian and linear kernels:
`sklearn.metrics.pairwise`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, _renamed

__all__ = [
    "RotationInvariant",
    "arc_cosine",
    "empirical_ntk",
    "exponential",
    "polynomial",
    "relu_ntk",
    "relu_ntk_deviation",
]

__getattr__ = _renamed.names_of(__name__)

_SIDE = 240  # of a tile: what a profile computes on the way stays in cache; no power of 2, whose
# rows would share a few places of the cache when the tile is mirrored


def _rows(x, z):
    """Rows of both arguments, and how the result comes out: a number of two vectors."""
    same = z is None
    x = _checks.real_array("x", x, copy=False)
    z = x if same else _checks.real_array("z", z, copy=False)
    single = x.ndim == z.ndim == 1
    if x.ndim and z.ndim:
        x, z = np.atleast_2d(x), np.atleast_2d(z)
    z = x if same else z  # one object: the product is symmetric, features are computed once
    if not (x.ndim == z.ndim == 2 and x.shape[1] == z.shape[1] > 0):
        raise ValueError(f"x has shape {x.shape} and z {z.shape}; rows must have the same length")
    return x, z, (lambda k: float(k[0, 0])) if single else (lambda k: k)


@dataclasses.dataclass(frozen=True, eq=False)
class RotationInvariant:
    """A kernel that depends on two inputs through their norms and their angle only.

    Called with arrays of rows, shapes (n, d) and (n', d), it gives shape (n, n'), with two vectors
    a float; without the second argument it takes the first twice.

    Parameters
    ----------
    name : str
    profile : callable
        (s, t, cosine) to the kernel's values, with the norms s, t in units of sqrt(d), vectorised.

    Examples
    --------
    >>> linear = RotationInvariant("linear", lambda s, t, cosine: s * t * cosine)
    >>> round(linear(np.array([3.0, 1.0]), np.array([1.0, 1.0])), 12)
    2.0
    """

    name: str
    profile: Callable[..., np.ndarray]

    def __call__(self, x: ArrayLike, z: ArrayLike | None = None) -> np.ndarray | float:
        x, z, out = _rows(x, z)
        s, unit = _norms(x)
        t, other = (s, unit) if z is x else _norms(z)
        values = np.empty((len(x), len(z)))
        for i, j in _tiles(len(x), len(z), symmetric=z is x):
            cosine = unit[i] @ other[j].T
            if z is x and i == j:  # a rounding of 1 would be its root in the angle
                np.fill_diagonal(cosine, s[i] > 0)
            np.clip(cosine, -1, 1, out=cosine)
            values[i, j] = tile = self.profile(s[i, None], t[j], cosine)
            if z is x and i != j:
                values[j, i] = np.transpose(tile)
        return out(values)

    def with_bias(self, bias_std: float = 1.0) -> RotationInvariant:
        """The kernel of networks with biases b ~ N(0, bias_std^2): inputs get one constant more.

        Parameters
        ----------
        bias_std : float
            Standard deviation of the biases where first-layer weights have 1/sqrt(d).
        """
        b = _checks.real("bias_std", bias_std, minimum=0)
        profile = functools.partial(_with_bias, self.profile, b)
        return RotationInvariant(f"{self.name} with bias", profile)

    def even(self) -> RotationInvariant:
        """The kernel k(x, z) + k(x, -z): it fits even functions only, f(-x) = f(x).

        Examples
        --------
        >>> kernel, x = relu_ntk.even(), np.array([[1.0, 2.0], [-1.0, 1.0]])
        >>> bool(np.allclose(kernel(x, -x), kernel(x)))
        True
        """
        profile = functools.partial(_even, self.profile)
        return RotationInvariant(f"{self.name}, even", profile)


def _tiles(n, columns, symmetric):
    """Slices of rows and of columns; of a symmetric matrix without what lies below the diagonal."""
    wide = min(_SIDE, max(1, columns))
    tall = wide if symmetric else _SIDE**2 // wide
    for i in range(0, n, tall):
        for j in range(i if symmetric else 0, columns, wide):
            yield slice(i, min(i + tall, n)), slice(j, min(j + wide, columns))


def _norms(x):
    """Norms of rows in units of sqrt(d), and the rows without them."""
    length = np.linalg.norm(x, axis=1)
    return length / x.shape[1] ** 0.5, x / np.where(length == 0, 1, length)[:, None]


def _with_bias(profile, b, s, t, cosine):
    s1, t1 = np.sqrt(s * s + b * b), np.sqrt(t * t + b * b)
    norms = s1 * t1
    inner = np.clip((s * t * cosine + b * b) / np.where(norms == 0, 1, norms), -1, 1)
    return profile(s1, t1, inner)


def _even(profile, s, t, cosine):
    return profile(s, t, cosine) + profile(s, t, -cosine)


def _arc_cosine(s, t, cosine):
    return _sine_and_rest(s, t, cosine, 1)  # eq-lr-arc


def _relu_ntk(s, t, cosine):
    return _sine_and_rest(s, t, cosine, 2)  # eq-lr-ntk


def _sine_and_rest(s, t, cosine, weight):
    """s t (sin + weight (pi - angle) cos) / (2 pi), from the rest pi - angle = arccos(-cos)."""
    values = np.arccos(-cosine)
    values *= weight * cosine
    values += np.sqrt((1 - cosine) * (1 + cosine))  # 1 - cos^2 would round near 1
    root = math.sqrt(0.5 / math.pi)  # into the norms: one product less, and symmetric
    return values * ((root * s) * (root * t))


#: E[relu(w . x) relu(w . z)] over w ~ N(0, I/d): random ReLU features of infinite width. At the
#: angle t it is ``|x| |z| (sin t + (pi - t) cos t) / (2 pi d)`` (Cho & Saul 2009, degree 1).
arc_cosine = RotationInvariant("arc-cosine", _arc_cosine)

#: The neural tangent kernel of a two-layer ReLU network, both layers trained, entries of a of order
#: 1 (Jacot, Gabriel & Hongler 2018): `arc_cosine` (the readout's part) and x.z/d times
#: E[1(w.x > 0) 1(w.z > 0)] = (pi - t) / (2 pi) (the first layer's).
relu_ntk = RotationInvariant("ReLU NTK", _relu_ntk)


def _relu_ntk_deviation(s, t, cosine):
    angle = np.arccos(cosine)
    sine, rest = np.sqrt(1 - cosine * cosine), np.pi - angle
    square = 3 * sine * cosine + rest * (1 + 2 * cosine**2)  # E of the squares of both ReLUs
    square += 2 * cosine * (sine + rest * cosine) + cosine**2 * rest
    mean = (sine + 2 * rest * cosine) / (2 * np.pi)
    return s * t * np.sqrt(np.maximum(square / (2 * np.pi) - mean**2, 0))  # eq-lr-variance


#: Standard deviation, over w ~ N(0, I/d), of what one neuron with a = +-1 adds to `relu_ntk`,
#: relu(w.x) relu(w.z) + x.z/d 1(w.x > 0) 1(w.z > 0): over sqrt(m), of the tangent kernel at width m
#: around its limit. The mean square is that of the arc-cosine kernels of degree 2, 1 and 0 (Cho &
#: Saul 2009).
relu_ntk_deviation = RotationInvariant("ReLU NTK, deviation", _relu_ntk_deviation)


def _exponential(s, t, cosine):
    return np.exp(s * t * cosine)


#: exp(x.z/d): a smooth kernel that holds every degree; on a sphere around the origin, a Gaussian
#: kernel times a constant.
exponential = RotationInvariant("exponential", _exponential)


def polynomial(degree: int, offset: float = 1.0) -> RotationInvariant:
    """The polynomial kernel (offset + x.z/d)^degree.

    Parameters
    ----------
    degree : int
        >= 1.
    offset : float
        >= 0; the kernel holds every degree up to `degree` if it is positive.

    Examples
    --------
    >>> round(polynomial(2)(np.array([1.0, 1.0]), np.array([3.0, -1.0])), 12)  # (1 + 2/2)^2
    4.0
    """
    degree = _checks.positive_int("degree", degree)
    offset = _checks.real("offset", offset, minimum=0)
    profile = functools.partial(_polynomial, degree, offset)
    return RotationInvariant(f"polynomial {degree}", profile)


def _polynomial(degree, offset, s, t, cosine):
    return (offset + s * t * cosine) ** degree


def empirical_ntk(
    network: Any, rates: Mapping[str, float] | None = None
) -> Callable[..., np.ndarray | float]:
    """The tangent kernel of a network as it is: inner products of its gradients in W, b and a.

    Parameters
    ----------
    network : TwoLayer
        One network, of one output.
    rates : dict of str to float, optional
        Weights of the layers, >= 0: a layer left out does not count. All are 1 without it. With the
        step sizes of gradient descent this is the kernel that the descent follows.

    Returns
    -------
    callable
        Kernel of rows, as the others of this module.

    Notes
    -----
    Jacot, Gabriel & Hongler 2018. With the weights 1/d of W and 1 of a its limit for wide networks,
    entries of a of size 1, is `relu_ntk`.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer([[1.0, 0.0]], [2.0], "relu")
    >>> empirical_ntk(net)([[3.0, 1.0]])  # 9 of a, 40 of W, 4 of b
    array([[53.]])
    >>> empirical_ntk(net, {"W": 0.5})([[3.0, 1.0]])
    array([[20.]])
    """
    rates = {"W": 1.0, "b": 1.0, "a": 1.0} if rates is None else dict(rates)
    for name, rate in rates.items():
        _checks.one_of("rates", name, ("W", "b", "a"))
        _checks.real(f"rates[{name!r}]", rate, minimum=0)
    readout = _checks.real_array("network.a", network.a, 1, dtype=None)
    of_W, of_b, of_a = (rates.get(name, 0.0) for name in "Wba")

    def gradients(x):
        z = _checks.array("preactivations", network.preactivations(x))
        slope = network.activation.derivative_at(z) * (readout / math.sqrt(network.m))
        f = network.activation(z) / math.sqrt(network.m)
        return f.astype(float, copy=False), slope.astype(float, copy=False)

    def kernel(x, z=None):
        x, z, out = _rows(x, z)
        f, slope = gradients(x)
        g, other = (f, slope) if z is x else gradients(z)
        return out(of_a * (f @ g.T) + (slope @ other.T) * (of_b + of_W * (x @ z.T)))

    return kernel
