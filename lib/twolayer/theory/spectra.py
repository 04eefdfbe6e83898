"""What ridge regression sees of its features: eigenvalues, multiplicities, second moments.

Exact at any dimension, for kernels of norms and angles (`kernel_spectrum`), for kernels on bits
(`parity_spectrum`) and for the ReLU features of a given first layer (`feature_spectrum`). The test
errors that follow from a spectrum are in `twolayer.theory.ridge_curves`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal
from scipy.special import ndtr, owens_t

from twolayer import _checks
from twolayer.data import MultiIndex, Parity, SingleIndex, additive
from twolayer.hermite import coefficients, expectation
from twolayer.kernels import RotationInvariant

__all__ = [
    "Spectrum",
    "cosine_rule",
    "feature_moments",
    "feature_spectrum",
    "gegenbauer",
    "harmonic_counts",
    "kernel_spectrum",
    "parity_spectrum",
    "relu_moments",
    "zonal_projections",
]

_CUT = 12.0  # a projection beyond 12 standard deviations has a probability below 1e-31
_CLOSE = 0.7  # cosines beyond which the series of `relu_moments` is too slow
_TERMS = 24  # of that series: its rest is below 1e-7


@dataclasses.dataclass(frozen=True, eq=False)
class Spectrum:
    """What ridge regression sees of features and target.

    Parameters
    ----------
    eigenvalues : array_like, shape (k,)
        Of the features' covariance (of the kernel's integral operator), > 0.
    multiplicity : array_like, shape (k,)
        How often each occurs, > 0.
    second_moment : array_like, shape (k,)
        E[(projection of the target on the eigenspace)^2], in the units of y^2.
    tail : float
        Sum of the eigenvalues that are left out: they act as additional ridge.
    outside : float
        Second moment of the target's part that the eigenspaces do not hold.
    noise : float
        Variance of the label noise.
    degrees : array_like, shape (k,), optional
        Of the eigenfunctions, where they are harmonics (or parities, by order).
    """

    eigenvalues: np.ndarray
    multiplicity: np.ndarray
    second_moment: np.ndarray
    tail: float = 0.0
    outside: float = 0.0
    noise: float = 0.0
    degrees: np.ndarray | None = None

    def __post_init__(self) -> None:
        names = ("eigenvalues", "multiplicity", "second_moment", "degrees")
        for name in names if self.degrees is not None else names[:3]:
            strict = name in ("eigenvalues", "multiplicity")
            value = _checks.real_array(name, getattr(self, name), minimum=0, strict=strict)
            value.flags.writeable = False
            object.__setattr__(self, name, value)
            if value.shape != self.eigenvalues.shape or value.ndim != 1 or value.size == 0:
                raise ValueError(f"{name} has shape {value.shape}; the lists must have one length")
        for name in ("tail", "outside", "noise"):
            _checks.real(name, getattr(self, name), minimum=0)

    @property
    def trace(self) -> float:
        """Sum of all eigenvalues: E[k(x, x)]."""
        return float(self.eigenvalues @ self.multiplicity) + self.tail


# --- spherical harmonics


def harmonic_counts(d: int, degree: int) -> np.ndarray:
    """How many spherical harmonics there are: C(d+k-1, k) - C(d+k-3, k-2), k = 0..degree.

    Parameters
    ----------
    d, degree : int
        Dimension >= 3 and highest degree. Counts above 1e300 are left out.

    Examples
    --------
    >>> harmonic_counts(3, 4)
    array([1., 3., 5., 7., 9.])
    """
    counts = []
    for k in range(degree + 1):
        below = math.comb(d + k - 3, k - 2) if k > 1 else 0
        count = math.comb(d + k - 1, k) - below  # eq-wk-count
        if count > 1e300:
            break
        counts.append(float(count))
    return np.array(counts)


def gegenbauer(u: np.ndarray, d: int, degree: int) -> Iterator[np.ndarray]:
    """P_0(u), ..., P_degree(u) of dimension d, P_k(1) = 1, one after the other: u may be large.

    (k + d - 2) P_{k+1} = (2k + d - 2) u P_k - k P_{k-1}. Under the law of the cosine u of two
    independent directions E[P_j P_k] = 1 / `harmonic_counts` for j = k, else 0.

    Parameters
    ----------
    u : ndarray
    d, degree : int
        Dimension >= 3 and highest degree.

    Examples
    --------
    >>> [float(p) for p in gegenbauer(np.array(0.5), 3, 2)]  # Legendre's polynomials
    [1.0, 0.5, -0.125]
    """
    u = _checks.real_array("u", u)
    d = _checks.integer("d", d, 3)
    return _gegenbauer(u, d, _checks.integer("degree", degree, 0))


def _gegenbauer(u, d, degree):
    before, now = np.zeros_like(u), np.ones_like(u)
    for k in range(degree + 1):
        if not np.isfinite(now).all():
            raise ValueError(f"u is too large: its polynomial of degree {k} overflows")
        yield now
        with np.errstate(over="ignore", invalid="ignore"):
            before, now = now, ((2 * k + d - 2) * u * now - k * before) / (k + d - 2)


def cosine_rule(d: int, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss quadrature over the cosine u of two independent directions: nodes and weights.

    The density is proportional to (1 - u^2)^((d-3)/2).

    Parameters
    ----------
    d, n_nodes : int
        Dimension >= 3 and number of nodes >= 2.

    Examples
    --------
    >>> u, w = cosine_rule(20, 8)
    >>> round(float(w @ u**2), 12)  # 1/d
    0.05
    """
    return _cosine_rule(_checks.integer("d", d, 3), _checks.integer("n_nodes", n_nodes, 2))


@functools.lru_cache(maxsize=64)
def _cosine_rule(d, n_nodes):
    j = np.arange(1, n_nodes)
    g = d / 2 - 1
    off = np.sqrt(j * (j + 2 * g - 1) / (4.0 * (j + g) * (j + g - 1)))  # Gegenbauer's recurrence
    return _gauss(np.zeros(n_nodes), off)


def _gauss(diagonal, off):
    """Gauss quadrature of a probability measure from the recurrence of its polynomials."""
    nodes, vectors = eigh_tridiagonal(diagonal, off)
    weights = vectors[0] ** 2
    nodes.flags.writeable = weights.flags.writeable = False  # they may come from a cache
    return nodes, weights


def _radial_rule(d, n_nodes):
    """Gauss quadrature over s = |x| / sqrt(d), x ~ N(0, I_d): s^2 d/2 has a Gamma law."""
    i = np.arange(n_nodes)
    alpha = d / 2 - 1
    half_square, weights = _gauss(2 * i + alpha + 1, np.sqrt(i[1:] * (i[1:] + alpha)))  # Laguerre's
    return np.sqrt(half_square * 2 / d), weights


def _split_rule(d, cosines, n_nodes):
    """As `cosine_rule`, but split at the cosines of each row, shape (s, q): shapes (s, nodes)."""
    widest = min(math.pi / 2, _CUT / math.sqrt(d - 2))  # in the angle off the equator
    cuts = np.arcsin(np.clip(np.sort(cosines, axis=1), -math.sin(widest), math.sin(widest)))
    cuts = np.pad(cuts, ((0, 0), (1, 1)), constant_values=((0, 0), (-widest, widest)))
    t, v = leggauss(n_nodes)
    halves = np.diff(cuts, axis=1)[:, :, None] / 2
    u = np.sin(cuts[:, :-1, None] + halves * (t + 1)).reshape(len(cuts), -1)
    weights = (halves * v).reshape(u.shape) * np.exp((d / 2 - 1) * np.log1p(-u * u))
    return u, weights / weights.sum(1, keepdims=True)


def zonal_projections(
    data: SingleIndex | MultiIndex, degree: int, radii: np.ndarray, *, angular: int = 160
) -> tuple[np.ndarray, np.ndarray]:
    """E[link(sqrt(d) s u) P_k(u)] and E[link(sqrt(d) s u)^2] at each radius s.

    Exact for polynomials; for other links the quadrature is split at their kinks.

    Parameters
    ----------
    data : SingleIndex or MultiIndex
        With a link that is a sum over directions; an `Activation` brings its kinks.
    degree : int
        k = 0..degree.
    radii : ndarray, shape (s,)
        Norms of the inputs, in units of sqrt(d).
    angular : int
        Nodes, of each piece.

    Returns
    -------
    projections : ndarray, shape (degree + 1, s)
    second_moments : ndarray, shape (s,)

    Raises
    ------
    ValueError
        If two quadratures of a callable link differ: it has kinks that it does not declare.

    Examples
    --------
    >>> projections, _ = zonal_projections(SingleIndex(9, "he1"), 2, np.ones(1))
    >>> projections[:, 0].round(9) + 0.0  # 3 E[u P_k(u)]
    array([0.        , 0.33333333, 0.        ])
    """
    link, _ = additive(data, sphere=True)
    _checks.integer("data.d", data.d, 3)
    degree = _checks.integer("degree", degree, 0)
    radii = _checks.real_array("radii", radii, 1, minimum=0, strict=True)
    angular = _checks.integer("angular", angular, 2)
    kinks = getattr(link, "kinks", ())
    if kinks:
        cosines = np.array(kinks) / (math.sqrt(data.d) * radii[:, None])
        return _project(link, data.d, degree, radii, *_split_rule(data.d, cosines, angular))
    found = _project(link, data.d, degree, radii, *cosine_rule(data.d, angular))
    if _kinks_unknown(data):
        other = _project(link, data.d, degree, radii, *cosine_rule(data.d, angular + 1))
        root = np.sqrt(harmonic_counts(data.d, min(degree, 4)))[:, None]
        pairs = ((root * v[: len(root)], np.sqrt(square)) for v, square in (found, other))
        _refuse_hidden_kinks(data, *map(np.vstack, pairs))
    return found


def _project(link, d, degree, radii, u, weights):
    """Projections on all degrees and second moments, by one rule or by one for each radius."""
    z = math.sqrt(d) * radii[:, None] * u
    values = np.reshape(link(z.ravel()), z.shape)
    zonal = np.array(list(gegenbauer(np.atleast_2d(u), d, degree)))
    return (zonal * (weights * values)).sum(-1), (weights * values**2).sum(-1)


def _kinks_unknown(data):
    return callable(data.link) and not hasattr(data.link, "kinks")


def _refuse_hidden_kinks(data, one, two):
    """Raise if amplitudes by two quadratures, that of the whole link last, differ."""
    if not np.all(abs(one - two) <= 1e-4 * abs(two[-1])):
        raise ValueError(
            f"link={data.link!r}: quadrature does not converge; where the link jumps or bends, "
            "give it as an Activation with its kinks"
        )


# --- spectra of kernels


def kernel_spectrum(
    kernel: RotationInvariant,
    data: SingleIndex | MultiIndex,
    *,
    degree: int = 10,
    radial: int = 8,
    angular: int = 160,
) -> Spectrum:
    """The spectrum of a rotation-invariant kernel, at any dimension.

    On functions ``c(s) Y(x/|x|)``, with Y a harmonic of degree l and ``s = |x|/sqrt(d)``, the
    operator acts as the kernel R_l(s, t) = E[k(s, t, u) P_l(u)] on c alone (Funk-Hecke): a small
    matrix in the nodes of the law of s; on the sphere, s = 1, a number.

    Parameters
    ----------
    kernel : RotationInvariant
    data : SingleIndex or MultiIndex
        With a link that is a sum over directions; d >= 3. Gaussian inputs, or on the sphere.
    degree : int
        Highest degree of spherical harmonics; what lies beyond is the tail.
    radial, angular : int
        Nodes of the quadratures over the norm and the angle.

    Raises
    ------
    ValueError
        If the link has kinks that it does not declare, see `zonal_projections`.

    Notes
    -----
    Exact up to quadrature: for polynomial kernels to rounding, for kernels that are not smooth to a
    thousandth with the default nodes from d = 6 on. An eigenvalue of multiplicity N has a rounding
    error of 1e-16 / sqrt(N). Where this is a thousandth of it or more, the degree counts as tail,
    and the target's part there as outside. Of `exponential` on the sphere the degrees up to 4 are
    left at d = 10^6, up to 5 at 10^4.

    Examples
    --------
    >>> from twolayer.kernels import polynomial
    >>> exact = kernel_spectrum(polynomial(1), SingleIndex(100, "identity"))
    >>> exact.eigenvalues.round(6), exact.multiplicity  # of the constant and of the d coordinates
    (array([1.  , 0.01]), array([  1., 100.]))
    """
    _checks.instance("kernel", kernel, RotationInvariant)
    _, r = additive(data, sphere=True)
    d = _checks.integer("d", data.d, 3)
    angular = _checks.integer("angular", angular, 4, 2000)
    degree = _checks.integer("degree", degree, 1, angular - 2)
    radial = _checks.integer("radial", radial, 2, 200)

    on_sphere = getattr(data, "inputs", "gaussian") == "sphere"
    s, weights = (np.ones(1), np.ones(1)) if on_sphere else _radial_rule(d, radial)
    projections, squares = zonal_projections(data, degree, s, angular=angular)
    u, angular_weights = cosine_rule(d, angular)
    counts = harmonic_counts(d, degree)
    zonal = np.array(list(gegenbauer(np.append(u, 0.0), d, len(counts) - 1)))
    zonal, at_right_angles = zonal[:, :-1], zonal[:, -1]

    profile = kernel.profile(s[:, None, None], s[:, None], u)  # it may ignore the norms
    values = np.broadcast_to(profile, (len(s), len(s), len(u)))
    R = np.moveaxis(values @ (angular_weights * zonal).T, -1, 0)  # eq-wk-eigenvalue, eq-ld-sector
    root = np.sqrt(weights)
    lam, vectors = np.linalg.eigh(root[:, None] * R * root)  # of each degree: shape (degrees, s)
    amplitude = ((root * projections[: len(counts)])[:, None] @ vectors)[:, 0]
    cosine = 1 + (r - 1) * at_right_angles  # of the sum over directions with one of them
    second_moment = np.maximum(cosine * counts, 0)[:, None] * amplitude**2

    kept = lam * np.sqrt(counts)[:, None] > 1e-13 * lam.max()  # see the notes on rounding
    degrees, _ = np.nonzero(kept)
    lam, second_moment = lam[kept], second_moment[kept]
    trace = float(weights @ np.broadcast_to(kernel.profile(s, s, 1.0), s.shape))
    whole = float(weights @ squares + (r - 1) * (weights @ projections[0]) ** 2)
    return Spectrum(
        lam,
        counts[degrees],
        second_moment,
        tail=max(trace - float(lam @ counts[degrees]), 0.0),
        outside=max(whole - float(second_moment.sum()), 0.0),
        noise=data.noise**2,
        degrees=degrees,
    )


def parity_spectrum(kernel: RotationInvariant, data: Parity, *, degree: int = 8) -> Spectrum:
    """The spectrum of a rotation-invariant kernel on uniform bits, for a parity.

    The kernel depends on the number t of bits in which two inputs differ. Its eigenfunctions are
    the parities; those of order s share 2^-d sum_t C(d, t) k(1 - 2t/d) K_s(t) / C(d, s), with the
    Krawtchouk polynomial K_s.

    Parameters
    ----------
    kernel : RotationInvariant
    data : Parity
        With ``agree=0``; a rotation changes nothing.
    degree : int
        Largest order that is kept, >= 1; all of them if it is above d. Orders beyond it, or with an
        eigenvalue below rounding, are left out; if the target's is among them, it is `outside`.

    Examples
    --------
    >>> from twolayer.kernels import polynomial
    >>> exact = parity_spectrum(polynomial(1), Parity(d=4, degree=1))
    >>> exact.eigenvalues.round(6), exact.multiplicity  # of 1 + x.z/4
    (array([1.  , 0.25]), array([1., 4.]))
    """
    _checks.instance("data", data, Parity)
    _checks.instance("kernel", kernel, RotationInvariant)
    if data.agree:
        raise ValueError(f"agree={data.agree} must be 0: bits are uniform")
    d = data.d
    orders = np.arange(min(_checks.positive_int("degree", degree), d) + 1)

    cosines = 1 - 2 * np.arange(d + 1) / d
    values = kernel.profile(np.ones(1), np.ones(1), cosines)
    weights = np.array([math.comb(d, t) / 2**d for t in range(d + 1)])
    counts = np.array([float(math.comb(d, s)) for s in orders.tolist()])
    lam = np.array([(weights * _characters(d, s)) @ values for s in orders.tolist()])
    kept = lam * np.sqrt(counts) > 1e-13 * abs(values).max()  # as in `kernel_spectrum`
    own = (orders == data.degree).astype(float)
    return Spectrum(
        lam[kept],
        counts[kept],
        own[kept],
        tail=max(float(values[0] - lam[kept] @ counts[kept]), 0.0),
        outside=1 - own[kept].sum(),
        degrees=orders[kept],
    )


def _characters(d, s):
    """K_s(t) / C(d, s), the mean of all parities of order s at t = 0..d flipped bits."""
    comb = math.comb
    sums = (
        sum((-1) ** i * comb(t, i) * comb(d - t, s - i) for i in range(s + 1)) for t in range(d + 1)
    )
    return np.array([exact / comb(d, s) for exact in sums])


# --- spectra of ReLU features


def relu_moments(cosines: ArrayLike, b: ArrayLike) -> np.ndarray:
    """E[relu(u + b_i) relu(v + b_j)] for standard Gaussian u, v of given correlation.

    Where the correlation is below 0.7 in size the series sum_k c_k(b_i) c_k(b_j) correlation^k,
    with a rest below 1e-7; beyond, where it converges slowly, the closed form with Owen's T.

    Parameters
    ----------
    cosines : array_like, shape (m, m)
        Correlations.
    b : array_like, shape (m,)

    Returns
    -------
    ndarray, shape (m, m)

    Examples
    --------
    >>> relu_moments([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0]).round(6) + 0.0
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    b = _checks.real_array("b", b, 1)
    rho = _checks.real_array("cosines", cosines)
    if rho.shape != (b.size, b.size) or (abs(rho) > 1 + 1e-9).any():
        raise ValueError(
            f"cosines must be correlations, shape {(b.size, b.size)}; got shape {rho.shape}, "
            f"largest size {abs(rho).max(initial=0.0):g}"
        )
    moments = np.zeros_like(rho)
    for c in _relu_coefficients(b, _TERMS)[::-1]:  # Horner
        moments = moments * rho + np.outer(c, c)  # eq-ld-moments
    i, j = np.nonzero(abs(rho) > _CLOSE)
    moments[i, j] = _relu_moment(rho[i, j], b[i], b[j])
    return moments


def _relu_coefficients(b, degree):
    """E[relu(z + b) He_k(z)] / sqrt(k!), k = 0..degree, by Stein's lemma: (degree + 1, *b.shape).

    phi(b) + b Phi(b), Phi(b), and from k = 2 on phi(b) He_{k-2}(-b) / sqrt(k!).
    """
    density = np.exp(-(b**2) / 2) / math.sqrt(2 * math.pi)
    out = [density + b * ndtr(b), ndtr(b)]
    before, now = np.zeros_like(b), density  # phi(b) He_k(-b) / sqrt(k!), never large
    for k in range(degree - 1):
        out.append(now / math.sqrt((k + 1) * (k + 2)))
        before, now = now, (-b * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return np.array(out)


def _relu_moment(rho, h, k):
    """E[relu(u + h) relu(v + k)] in closed form, entry by entry."""
    h, k = (np.where(v == 0, 1e-150, v) for v in (h, k))  # Owen's T takes quotients of them
    density_h, density_k = (np.exp(-(v**2) / 2) / math.sqrt(2 * math.pi) for v in (h, k))
    across = np.sqrt(np.maximum(1 - rho**2, 1e-30))  # deviation of v given u
    k_given = (k - rho * h) / across  # v + k at u = -h, in units of it
    h_given = (h - rho * k) / across
    both_open = (ndtr(h) + ndtr(k)) / 2 - owens_t(h, k_given / h) - owens_t(k, h_given / k)
    both_open -= (np.sign(h) != np.sign(k)) / 2  # P(u > -h, v > -k)
    edges = h * density_k * ndtr(h_given) + k * density_h * ndtr(k_given)
    corner = across * density_h * np.exp(-(k_given**2) / 2) / math.sqrt(2 * math.pi)
    return (h * k + rho) * both_open + edges + corner


def feature_moments(
    network: Any, data: SingleIndex | MultiIndex, *, degree: int = 40
) -> tuple[np.ndarray, np.ndarray, float]:
    """Population moments of ReLU features under Gaussian inputs, in closed form.

    With unit weights relu(w.x + b) = sum_k c_k(b) He_k(w.x)/sqrt(k!), where c_k are as in
    `relu_moments`, and E[He_k(w.x) He_k(v.x)] = k! (w.v)^k. So the covariance is sum_k c_k c_k'
    (W W')^k, and the cross term sum_k c_k g_k (W u)^k with the link's coefficients g_k.

    Parameters
    ----------
    network : TwoLayer
        ReLU, with any first layer and biases; its readout plays no part.
    data : SingleIndex or MultiIndex
        With a link that is a sum over directions.
    degree : int
        Terms of the link's Hermite series, 2 to 79.

    Returns
    -------
    covariance : ndarray, shape (m, m)
        E[features features'], not centred.
    cross : ndarray, shape (m,)
        E[features f*(x)].
    second_moment : float
        E[f*(x)^2].

    Raises
    ------
    ValueError
        If the link has kinks that it does not declare.

    Examples
    --------
    >>> from twolayer.data import SingleIndex
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer(np.eye(1, 5), [1.0], "relu")
    >>> covariance, cross, second_moment = feature_moments(net, SingleIndex(5, "identity"))
    >>> covariance.round(6), cross.round(6), round(second_moment, 6)
    (array([[0.5]]), array([0.5]), 1.0)
    """
    _checks.one_network("network", network)
    W, b = _checked_layer(network, data)
    degree = _checks.integer("degree", degree, 2, 79)
    link, r = additive(data)

    norms = np.linalg.norm(W, axis=1)
    W, b = W / norms[:, None], b / norms
    cosines = np.clip(W @ W.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    scale = norms / math.sqrt(len(W))
    covariance = relu_moments(cosines, b) * np.outer(scale, scale)  # eq-tr-sigma

    g, square = _link_moments(data, link, degree)
    c = _relu_coefficients(b, degree)
    toward = W @ data.directions.T
    cross = np.zeros(len(W))
    for k in range(degree + 1):
        cross += c[k] * g[k] * (toward**k).sum(1) / math.sqrt(r)  # eq-tr-power
    return covariance, cross * scale, square + (r - 1) * float(g[0]) ** 2


def _checked_layer(network, data):
    """W and b of a ReLU network of the data's dimension, no neuron without a direction."""
    if network.activation.name != "relu":
        raise TypeError(f"activation={network.activation.name!r} must be 'relu'")
    additive(data)
    if network.d != data.d:
        raise ValueError(f"data.d={data.d} must be the network's d={network.d}")
    W, b = (np.asarray(v, dtype=float) for v in (network.W, network.b))
    if not W.any(axis=1).all():
        raise ValueError("W has a zero row; every neuron needs a direction")
    return W, b


def _link_moments(data, link, degree):
    """Hermite coefficients up to the degree, and E[link^2]."""
    kinks = getattr(link, "kinks", ())
    g, square = coefficients(link, degree), expectation(lambda z: link(z) ** 2, kinks)
    if _kinks_unknown(data):
        g_too = coefficients(link, 4, n_nodes=81)
        square_too = expectation(lambda z: link(z) ** 2, n_nodes=81)
        few = min(degree, 4) + 1
        pairs = ((g, square), (g_too, square_too))
        _refuse_hidden_kinks(data, *(np.append(v[:few], math.sqrt(w)) for v, w in pairs))
    return g, float(square)


def feature_spectrum(network: Any, data: SingleIndex | MultiIndex, *, degree: int = 40) -> Spectrum:
    """The spectrum that a ridge readout of a frozen ReLU first layer sees.

    The eigenvalues of the covariance of `feature_moments`, and (q.cross)^2 / eigenvalue along each
    eigenvector q. The arguments network, data and degree are those of `feature_moments`.

    Raises
    ------
    ValueError
        If no neuron is open, or the link has kinks that it does not declare.
    """
    _checks.one_network("network", network)
    covariance, cross, whole = feature_moments(network, data, degree=degree)
    lam, vectors = np.linalg.eigh(covariance)
    if lam[-1] <= 0:
        raise ValueError("no neuron of the network is open")
    kept = lam > 1e-10 * lam[-1]
    second_moment = (vectors.T @ cross)[kept] ** 2 / lam[kept]  # eq-tr-power
    return Spectrum(
        lam[kept],
        np.ones(kept.sum()),
        second_moment,
        outside=max(whole - float(second_moment.sum()), 0.0),
        noise=data.noise**2,
    )
