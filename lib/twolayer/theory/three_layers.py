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
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal
from scipy.special import erfcx

from twolayer import _checks, activations
from twolayer.activations import Activation
from twolayer.data import SingleIndex
from twolayer.kernels import RotationInvariant
from twolayer.theory.spectra import Spectrum, cosine_rule, kernel_spectrum

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
_NODES = 600  # of the rule over p in `readout_error`


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

    def __post_init__(self) -> None:
        d = _checks.integer("d", self.d, 4)
        c = _coefficients(self.coefficients)
        object.__setattr__(self, "coefficients", tuple(c.tolist()))
        if self.rank is not None:
            _checks.integer("rank", self.rank, 1, d - 1)
        elif d % 2:
            raise ValueError(f"d={d} must be even where no rank is given: A is flat, +-1")
        _checks.real("noise", self.noise, minimum=0)

    @property
    def N(self) -> int:
        """Quadratic harmonics, (d+2)(d-1)/2."""
        return (self.d + 2) * (self.d - 1) // 2  # eq-tl-n

    @property
    def eigenvalues(self) -> np.ndarray:
        """The diagonal of A, shape (d,)."""
        r = self.rank or self.d // 2
        above = math.sqrt((self.d - r) / (self.d * r))
        return np.where(np.arange(self.d) < r, above, -above * r / (self.d - r))

    @property
    def c1(self) -> float:
        """E[f* p]: what a step sees of the feature; c_1 of the coefficients at flat A."""
        law = _law(self)
        return float(law.weights @ (law.f * law.p))

    @property
    def P(self) -> float:
        """Variance of the labels, with their noise."""
        law = _law(self)
        return float(law.weights @ law.f**2) + self.noise**2

    def feature(self, x: ArrayLike) -> np.ndarray:
        """p, shape (n,), of inputs on the sphere, shape (n, d)."""
        x = _checks.real_array("x", x, 2, copy=False)
        if x.shape[1] != self.d:
            raise ValueError(f"x has shape {x.shape}; it must be (n, {self.d})")
        return math.sqrt((self.d + 2) / (2 * self.d)) * (x**2 @ self.eigenvalues)  # eq-tl-p

    def target(self, p: ArrayLike) -> np.ndarray:
        """f* as a function of the feature: sum_k c_k q_k(p)."""
        q = polynomials(self.d, p, len(self.coefficients))
        return np.tensordot(self.coefficients, q[1:], 1)  # eq-tl-target


def _coefficients(value):
    c = _checks.real_array("coefficients", value)
    if c.ndim != 1 or not c.any():
        raise ValueError(f"coefficients={value!r} must be a vector (c_1, c_2, ...), not all zero")
    return c


class _Law(NamedTuple):
    """Gauss quadrature over the share u of ``|x|^2`` in the first coordinates."""

    u: np.ndarray
    p: np.ndarray
    f: np.ndarray  # target, centred
    weights: np.ndarray


@functools.lru_cache(maxsize=256)
def _law(config, n_nodes=None):
    d, rank = config.d, config.rank or config.d // 2
    n_nodes = n_nodes or 2 * len(config.coefficients) + 6
    centre, off = _recurrence(d, rank, n_nodes)
    v, vectors = eigh_tridiagonal(centre, off)
    weights = vectors[0] ** 2
    p = (v - centre[0]) / off[0]  # of mean 0 and variance 1
    f = config.target(p)
    return _Law((1 + v) / 2, p, f - weights @ f, weights)


def _recurrence(d, rank, count):
    """Of orthonormal polynomials in v = 2u - 1, u ~ Beta(rank/2, (d-rank)/2): Jacobi's."""
    a, b = (d - rank) / 2 - 1, rank / 2 - 1
    k = np.arange(1, count)
    total = 2 * k + a + b
    centre = (b * b - a * a) / (total * (total + 2))
    off = 4 * k * (k + a) * (k + b) * (k + a + b) / (total**2 * (total + 1) * (total - 1))
    return np.append((b - a) / (a + b + 2), centre), np.sqrt(off)


def _orthonormal(p, d, rank, degree):
    """Polynomials 0..degree, orthonormal under the law of p at this rank."""
    centre, off = _recurrence(d, rank, degree + 2)
    v = centre[0] + off[0] * p
    q = [np.ones_like(v)]
    before = np.zeros_like(v)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(degree):
            q.append(((v - centre[k]) * q[-1] - before) / off[k])
            before = off[k] * q[-2]
    if not np.isfinite(q[-1]).all():
        raise ValueError(f"p is too large: its polynomials up to degree={degree} overflow")
    return np.stack(q)


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
    ndarray, shape (degree + 1, ...)

    Examples
    --------
    >>> polynomials(10_000, 2.0, 2).round(2)  # 1, p and nearly (p^2 - 1) / sqrt(2)
    array([1.  , 2.  , 2.12])
    """
    d, degree = _checks.integer("d", d, 4), _checks.integer("degree", degree, 0)
    return _orthonormal(_checks.real_array("p", p), d, d / 2, degree)


class _Moments(NamedTuple):
    """Of a label y and the feature p: P = E y^2 and c1 = E y p are those of the config."""

    c1: float
    P: float
    y2p2: float
    y3p: float
    y4: float


@functools.lru_cache(maxsize=256)
def _moments(config):
    _, p, f, w = _law(config)
    s2 = config.noise**2
    square, c1 = w @ f**2, w @ (f * p)
    y4 = w @ f**4 + 6 * s2 * square + 3 * s2**2
    y3p = w @ (f**3 * p) + 3 * s2 * c1
    return _Moments(c1, square + s2, w @ (f * p) ** 2 + s2, y3p, y4)


def feature_correlation(
    d: int,
    n: ArrayLike,
    coefficients: Sequence[float] = _EVEN,
    width: int | None = None,
    activation: str | Activation = "he2",
    *,
    corrected: bool = True,
) -> np.ndarray:
    """Squared correlation of the learnt feature with p: flat A, no label noise.

    1 / (1 + N P / (n' c_1^2)), n' = n - d - 1, in the limit; to the order 1/n with `corrected`.
    Of finite width see `rank_correlation`.

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
    corrected : bool
        Whether terms of order 1/n count: without them c_1 = 0 gives 0, with them what chance gives.

    Returns
    -------
    ndarray or float

    Examples
    --------
    >>> round(float(feature_correlation(32, 4 * 527)), 2)
    0.66
    >>> round(float(feature_correlation(32, 4 * 527, width=512, activation="relu")), 2)
    0.3
    """
    config = QuadraticFeature(d, coefficients)
    return rank_correlation(config, n, width, activation, corrected=corrected)


def rank_correlation(
    config: QuadraticFeature,
    n: ArrayLike,
    width: int | None = None,
    activation: str | Activation = "he2",
    *,
    corrected: bool = True,
) -> np.ndarray:
    """Squared correlation of the learnt feature with p, at any rank of A, with label noise.

    At width m and with omega, the activation's variance beyond degree one over that of degree two,
    1/rho^2 grows by about (N/m) omega (1 + omega N P / (n' c_1^2)).

    Parameters
    ----------
    config : QuadraticFeature
        c_1 = E[f* p]: of a quadratic target q_2(p) it is nearly 2 tr A^3.
    n, width, activation, corrected
        As of `feature_correlation`.

    Returns
    -------
    ndarray or float

    Examples
    --------
    >>> ranks = [QuadraticFeature(32, (0, 1), rank) for rank in (1, 4, 16)]
    >>> [round(float(rank_correlation(config, 8 * 527)), 2) for config in ranks]
    [0.83, 0.73, 0.01]
    """
    config, n = _checked(config), _samples(n, config.d)
    omega = _excess(activation, config.d)
    N, moments = config.N, _moments(config)
    c1, P = moments.c1, moments.P
    noise = N * P / n
    simple = c1**2 / (c1**2 + noise)  # eq-tl-rho
    rho2 = _corrected(moments, N, n) if corrected else simple
    if width is None:
        return rho2[()]
    m = _checks.real("width", width, minimum=1)
    whole, one = c1**2 + noise, c1**2 + omega * noise  # of the layer, of one neuron
    found = (m - 1) * rho2 * whole + one
    return (found / ((m - 1) * whole + N * omega * one))[()]  # eq-tl-width


def _checked(config):
    _checks.instance("config", config, QuadraticFeature)
    return config


def _samples(n, d):
    """What least squares of a constant and d slopes leaves of n samples."""
    n = _checks.real_array("n", n)
    if (n <= d + 1).any():
        raise ValueError(f"n={n.min():g} must exceed d + 1 = {d + 1}: a linear fit is exact")
    return n - d - 1


def _corrected(moments, N, n):
    """E[a / (a + b)] to second order: a = (M.b)^2 along p, b the squared noise across it."""
    c1, P, y2p2, y3p, y4 = moments
    spread = (y2p2 - c1**2) / n
    a, b = c1**2 + spread, (N * P - y2p2) / n
    var_a = 4 * c1**2 * spread + 2 * spread**2
    var_b = (N / n) ** 2 * (y4 - P**2) / n + 2 * b**2 / N
    cov = 2 * c1 * N * (y3p - c1 * P) / n**2
    total = a + b
    second = -b * var_a + (a - b) * cov + a * var_b
    return a / total + second / total**3  # eq-tl-corrected


@functools.lru_cache(maxsize=256)
def _excess(activation, d):
    """Variance beyond degree one over that of degree two, of a random unit neuron."""
    sigma = activations.get(activation)
    u, w = cosine_rule(d, 2000 if sigma.kinks else 200)
    values, z = sigma(math.sqrt(d) * u), math.sqrt(d) * u
    total = w @ values**2
    two = math.sqrt((d + 2) / (2 * (d - 1))) * (z**2 - 1)
    square = (w @ (values * two)) ** 2
    if square < 1e-8 * total:
        raise ValueError(
            f"activation={activation!r} has no part of degree two, so that no feature is learnt; "
            "allowed: one that has, such as 'he2', 'relu', 'abs' or 'gelu'"
        )
    return (total - (w @ values) ** 2 - (w @ (values * z)) ** 2) / square  # eq-tl-omega


class _Blocks(NamedTuple):
    """Quadratic harmonics other than p: within the first coordinates, across, within the rest."""

    sizes: np.ndarray  # (blocks, nodes): sum of their squares given u
    counts: np.ndarray


def _blocks(config, u):
    d, r = config.d, config.rank or config.d // 2
    s, scale = d - r, (d + 2) * d / 2
    sizes = np.stack(
        [(1 - 1 / r) * u**2, 2 * u * (1 - u), (1 - 1 / s) * (1 - u) ** 2]
    )  # eq-tl-blocks
    counts = np.array([r * (r + 1) / 2 - 1, r * s, s * (s + 1) / 2 - 1])
    kept = counts > 0
    return _Blocks(scale * sizes[kept], counts[kept])


def readout_error(config: QuadraticFeature, n: ArrayLike) -> np.ndarray:
    """Test error of the best function of the learnt feature, of infinite width.

    Given p, hat p / c_1 is nearly p + N(0, s^2(p)): noise has one variance for each of three blocks
    of quadratic harmonics. Without the label noise of the test sample.

    Parameters
    ----------
    config : QuadraticFeature
        With c_1 other than zero.
    n : array_like
        Samples of the step, > d + 1; of the readout there are infinitely many.

    Returns
    -------
    ndarray or float
        E (f - f*)^2, in the units of y^2.

    Examples
    --------
    >>> round(float(readout_error(QuadraticFeature(32), 8 * 527)), 2)
    0.32
    """
    config, n = _checked(config), _samples(n, config.d)
    moments = _moments(config)
    if moments.c1**2 < 1e-9 * moments.P:
        raise ValueError("config has c1 = 0: the feature is noise; its correlation must not vanish")
    coarse, fine = _law(config), _law(config, _NODES)
    square = coarse.f**2 + config.noise**2
    sizes, counts = _blocks(config, coarse.u)
    variances = sizes @ (coarse.weights * square) / counts
    kept = fine.weights > 1e-16
    fine = _Law(*(part[kept] for part in fine))
    noise = variances @ _blocks(config, fine.u).sizes / moments.c1**2  # eq-tl-noise
    found = [_unexplained(fine, noise / one) for one in n.ravel()]
    return np.reshape(found, n.shape)[()]


def _unexplained(law, variance):
    """E[Var(f | p + noise)], by a trapezoidal rule; to first order where the noise is small."""
    _, p, f, weights = law
    s = np.sqrt(variance)
    if s.min() < 2 * np.diff(p).max():
        return weights @ (np.gradient(f, p) ** 2 * variance)
    count = int((np.ptp(p) + 14 * s.max()) * 2.5 / s.min())
    seen, step = np.linspace(p[0] - 7 * s.max(), p[-1] + 7 * s.max(), count, retstep=True)
    density = np.exp(-0.5 * ((seen[:, None] - p) / s) ** 2) * (weights / s)
    both = density @ np.stack([f, np.ones_like(f)], axis=1)
    mean = both[:, 0] / np.maximum(both[:, 1], 1e-300)
    return weights @ f**2 - step * (mean @ both[:, 0]) / math.sqrt(2 * math.pi)


def limit_error(coefficients: Sequence[float], rho2: ArrayLike) -> np.ndarray:
    """Test error of the best function of the learnt feature as d grows: sum c_k^2 (1 - rho^(2k)).

    Parameters
    ----------
    coefficients : sequence of float
        (c_1, c_2, ...).
    rho2 : array_like
        Squared correlation, from 0 to 1.

    Returns
    -------
    ndarray or float

    Examples
    --------
    >>> round(float(limit_error((0.5**0.5, 0.5**0.5), 0.5)), 6)  # (1/2) (1/2) + (1/2) (3/4)
    0.625
    """
    c, rho2 = _coefficients(coefficients), _checks.real_array("rho2", rho2, minimum=0)
    if (rho2 > 1 + 1e-9).any():
        raise ValueError(f"rho2={rho2.max():g} must be at most 1")
    left = 1 - rho2[..., None] ** np.arange(1, len(c) + 1)
    return (left @ c**2)[()]  # eq-tl-limit


def kernel_spectrum_of(config: QuadraticFeature, kernel: RotationInvariant) -> Spectrum:
    """What a kernel sees of the target: a `Spectrum`, for `ridge_curves.optimal_curve`.

    The polynomials orthonormal under the law of p are harmonics of degree 2k, at any rank.

    Parameters
    ----------
    config : QuadraticFeature
    kernel : RotationInvariant

    Examples
    --------
    >>> from twolayer.kernels import arc_cosine
    >>> spectrum = kernel_spectrum_of(QuadraticFeature(32), arc_cosine)
    >>> spectrum.degrees[:4].astype(int).tolist(), spectrum.second_moment[:4].round(3).tolist()
    ([0, 1, 2, 4], [0.0, 0.0, 0.5, 0.5])
    """
    _checks.instance("kernel", kernel, RotationInvariant)
    config = _checked(config)
    k = len(config.coefficients)
    any_target = SingleIndex(config.d, (0.0, 1.0), config.noise, inputs="sphere")
    found = kernel_spectrum(kernel, any_target, degree=max(10, 2 * k))
    _, p, f, weights = _law(config)
    parts = np.zeros(2 * k + 1)
    q = _orthonormal(p, config.d, config.rank or config.d / 2, k)
    parts[::2] = (q @ (weights * f)) ** 2  # eq-tl-degrees
    seen = np.zeros(len(found.eigenvalues))
    low = found.degrees <= 2 * k
    seen[low] = parts[found.degrees[low].astype(int)]
    outside = max(parts.sum() - seen.sum(), 0.0)
    return dataclasses.replace(found, second_moment=seen, outside=outside)


def _second(d):
    """Of y = q_2(p), flat A: E[y p^2], and the blocks' eigenvalues of E[y Y Y'] and counts."""
    config = QuadraticFeature(d, (0.0, 1.0))
    law = _law(config)
    sizes, counts = _blocks(config, law.u)
    mean = sizes @ (law.weights * law.f) / counts
    across = sizes @ (law.weights * law.f**2 * law.p**2) / counts
    return law.weights @ (law.f * law.p**2), mean, across, counts


def gate_overlap(d: float, n: ArrayLike | None = None) -> np.ndarray:
    """Mean squared correlation with p that neurons with random gates learn from y = q_2(p).

    A neuron's gate is the sign of a random quadratic form v.Y(x), what it learns the mean of
    y sign(v.Y) Y: v times the matrix E[y Y Y'], whose eigenvalues across p are not small.

    Parameters
    ----------
    d : int or inf
        Even, >= 4.
    n : array_like, optional
        Samples; without it the ceiling, of infinitely many.

    Returns
    -------
    ndarray or float
        E[Q / (Q + k^2)] with Q chi-squared of one degree of freedom; k^2 = 2 at the ceiling.

    Examples
    --------
    >>> round(float(gate_overlap(math.inf)), 3), round(float(gate_overlap(16, 135**2)), 3)
    (0.242, 0.199)
    """
    if d == math.inf and n is None:
        signal, structure, noise = 2.0, 4.0, 0.0
    else:
        along, mean, _, counts = _second(d)
        signal, structure, N = along**2, counts @ mean**2, counts.sum() + 1
        noise = 0.0
        if n is not None:
            n = _checks.real_array("n", n, minimum=0, strict=True)
            noise = math.pi / 2 * N**2 / n
    k = np.sqrt((structure + noise) / signal)
    return (1 - math.sqrt(math.pi / 2) * k * erfcx(k / math.sqrt(2)))[()]  # eq-tl-gate


def layer_overlap(d: int, n: ArrayLike) -> np.ndarray:
    """Squared correlation with p of a layer's top eigenvector, learnt from y = q_2(p).

    To first order in N/n, of the matrix (1/n) sum_i y_i Y(x_i) Y(x_i)'.

    Parameters
    ----------
    d : int
        Even, >= 4.
    n : array_like
        Samples.

    Returns
    -------
    ndarray or float

    Examples
    --------
    >>> round(float(layer_overlap(16, 16 * 135)), 2)
    0.87
    """
    n = _checks.real_array("n", n, minimum=0, strict=True)
    along, mean, across, counts = _second(d)
    return (1 / (1 + (across / (along - mean) ** 2) @ counts / n))[()]  # eq-tl-layer


def two_features_floor(d: float = math.inf) -> float:
    """Least test error of functions of p_1 + p_2, for the target (f(p_1) + f(p_2)) / sqrt(2).

    f = (q_1 + q_2) / sqrt(2); A_1 and A_2 are flat, ++-- and +-+- on four quarters of coordinates.

    Parameters
    ----------
    d : int or inf
        Divisible by 4.

    Examples
    --------
    >>> two_features_floor(), round(two_features_floor(16), 2)
    (0.25, 0.32)
    """
    if d == math.inf:
        return 0.25
    if _checks.integer("d", d, 4) % 4:
        raise ValueError(f"d={d} must be divisible by 4: A_1, A_2 are +-1 on quarters")
    # p_1, p_2 = scale (a +- b), a and b differences of the masses of two quarters each
    z, w = leggauss(200)
    a = ((1 + z) / 2)[:, None] * min(1.0, 12 / math.sqrt(d))
    share = a + (1 - a) * ((1 + z) / 2) ** 2  # of |x|^2 in the quarters of a
    log = (d / 4 - 2) * np.log(share) + (d / 4 - 1) * np.log1p(-share)
    log += (d / 8 - 1) * np.log1p(-((a / share) ** 2))
    density = np.exp(log - log.max()) * (1 - a) * (1 + z) * w
    law = w * density.sum(1) / (w @ density.sum(1))
    each = np.maximum(density.sum(1), 1e-300)
    rest, fourth = ((density * (1 - share) ** k).sum(1) / each for k in (2, 4))
    b2 = 1 / (d / 4 + 1)  # E[(b / rest)^2], and its fourth power
    b4 = 3 / ((d / 4 + 1) * (d / 4 + 3))
    unexplained = b4 * (law @ fourth) - b2**2 * (law @ rest**2)
    scale2 = (d + 2) / 2
    variance = 3 * (d + 2) / (d + 6) - 1  # of p^2
    return float(scale2**2 / variance * unexplained)  # eq-tl-floor
