"""Learning curves of ridge regression on fixed features: kernels, and frozen first layers.

Ridge regression sees its features through three lists: the eigenvalues of their covariance, how
often each occurs, and the target's power in each eigenspace (a `Spectrum`). From them follows the
test error for any number of samples. The spectrum is exact here, at any dimension: for kernels
that depend on norms and angles (`kernel_spectrum`), and for ReLU features of a given first layer
(`feature_spectrum`). The error splits into degrees (`degree_curves`), in a simulation on the sphere
too (`degree_errors`). Finitely many random features instead of a kernel: `random_feature_curve`.
"""

import dataclasses
import math

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.special import comb, ndtr, owens_t
from scipy.stats import binom

from twolayer import _checks
from twolayer.data import Parity, additive
from twolayer.hermite import coefficients, expectation, he
from twolayer.kernels import RotationInvariant

__all__ = [
    "Spectrum",
    "feature_moments",
    "feature_spectrum",
    "kernel_spectrum",
    "parity_spectrum",
    "relu_moments",
]


@dataclasses.dataclass(frozen=True, eq=False)
class Spectrum:
    """What ridge regression sees of features and target.

    Attributes
    ----------
    eigenvalues : ndarray, shape (k,)
        Of the features' covariance (of the kernel's integral operator), > 0.
    multiplicity : ndarray, shape (k,)
        How often each occurs.
    second_moment : ndarray, shape (k,)
        E[(projection of the target on the eigenspace)^2], in the units of y^2.
    tail : float
        Sum of the eigenvalues that are left out: they act as additional ridge.
    outside : float
        Power of the target that the eigenspaces do not hold.
    noise : float
        Variance of the label noise.
    degrees : ndarray, shape (k,), optional
        Of the eigenfunctions, where they are harmonics (or parities, by order).
    """

    eigenvalues: np.ndarray
    multiplicity: np.ndarray
    second_moment: np.ndarray
    tail: float = 0.0
    outside: float = 0.0
    noise: float = 0.0
    degrees: np.ndarray | None = None

    def __post_init__(self):
        names = ("eigenvalues", "multiplicity", "second_moment", "degrees")
        for name in names if self.degrees is not None else names[:3]:
            strict = name in ("eigenvalues", "multiplicity")
            value = _checks.real_array(name, getattr(self, name), minimum=0, strict=strict)
            object.__setattr__(self, name, value)
            if value.shape != self.eigenvalues.shape or value.ndim != 1 or value.size == 0:
                raise ValueError(f"{name} has shape {value.shape}; the lists must have one length")
        for name in ("tail", "outside", "noise"):
            _checks.real(name, getattr(self, name), minimum=0)

    def _sums(self, kappa):
        """Degrees of freedom of first and second kind, and the bias, at each effective ridge."""
        share = self.eigenvalues / (self.eigenvalues + np.asarray(kappa)[..., None])
        N = self.multiplicity
        return share @ N, share**2 @ N, (1 - share) ** 2 @ self.second_moment + self.outside

    def _error(self, n, kappa):
        """Test error less noise; inf where more is fitted than there are samples."""
        _, second, bias = self._sums(kappa)
        left = 1 - second / n
        with np.errstate(divide="ignore"):
            return np.where(left > 0, (bias + self.noise) / left - self.noise, np.inf)

    def _kappa(self, n, ridge):
        """The effective ridge: n = dof(kappa) + (ridge + tail) / kappa, by bisection in log."""
        n, ridge = np.broadcast_arrays(n, ridge + self.tail)
        top = (ridge + self.eigenvalues @ self.multiplicity) / n  # all shares < eigenvalue / kappa
        low, high = np.log(ridge / n + 1e-300), np.log(top)
        for _ in range(100):
            middle = (low + high) / 2
            kappa = np.exp(middle)
            much = self._sums(kappa)[0] + ridge / kappa > n
            low, high = np.where(much, middle, low), np.where(much, high, middle)
            if np.all(high - low < 1e-13 * np.maximum(1, abs(high))):
                break
        return np.exp((low + high) / 2)


def _within(name, value, low, high):
    value = _checks.positive_int(name, value)
    if not low <= value <= high:
        raise ValueError(f"{name}={value} must be between {low} and {high}")
    return value


def _rule(diagonal, off):
    """Gauss quadrature of a probability measure from the recurrence of its polynomials."""
    nodes, vectors = eigh_tridiagonal(diagonal, off)
    return nodes, vectors[0] ** 2


def _counts(d, degree):
    """How many spherical harmonics there are of each degree, as far as floats go."""
    counts = []
    for k in range(degree + 1):
        exact = math.comb(d + k - 1, k) - (math.comb(d + k - 3, k - 2) if k > 1 else 0)
        if exact > 1e300:
            break
        counts.append(float(exact))
    return np.array(counts)


def _angular_rule(d, angular):
    """Quadrature over the cosine of two independent inputs: nodes and weights."""
    j = np.arange(1, angular)
    g = d / 2 - 1  # the cosine's polynomials are Gegenbauer's; off-diagonal of their recurrence
    return _rule(np.zeros(angular), np.sqrt(j * (j + 2 * g - 1) / (4.0 * (j + g) * (j + g - 1))))


def kernel_spectrum(kernel, data, *, degree=10, radial=8, angular=160):
    """The spectrum of a rotation-invariant kernel, at any dimension.

    Inputs are Gaussian, or uniform on the sphere. Exact up to quadrature: for polynomial kernels to
    rounding, for kernels that are not smooth to a thousandth with the default nodes from d = 6 on.

    Parameters
    ----------
    kernel : RotationInvariant
    data : SingleIndex or MultiIndex
        With a link that is a sum over directions; d >= 3.
    degree : int
        Highest degree of spherical harmonics; what lies beyond is the tail.
    radial, angular : int
        Nodes of the quadratures over the norm and the angle. On the sphere there is one norm.

    Returns
    -------
    Spectrum

    Raises
    ------
    TypeError, ValueError
        If kernel or `data` is of another kind, or d < 3.

    Notes
    -----
    The operator commutes with rotations. On functions ``c(s) Y(x/|x|)`` with Y a harmonic of degree
    l and ``s = |x|/sqrt(d)`` it acts as the kernel R_l(s, t) = E[k(s, t, u) P_l(u)] on c
    alone, where u is the cosine of two independent inputs and P_l the Gegenbauer polynomial
    with P_l(1) = 1 (Funk-Hecke). Each R_l is a small matrix in the nodes of the law of s; on the
    sphere, s = 1, a number.

    An eigenvalue of multiplicity N is the quotient of a sum of size one by sqrt(N): it has a
    rounding error of 1e-16 / sqrt(N). Where this is a thousandth of it or more, the degree counts
    as tail, and the target's power there as outside. Of `exponential` on the sphere the degrees up
    to 4 are left at d = 10^6, up to 5 at 10^4.

    Examples
    --------
    >>> from twolayer.data import SingleIndex
    >>> from twolayer.kernels import polynomial
    >>> exact = kernel_spectrum(polynomial(1), SingleIndex(100, "identity"))
    >>> exact.eigenvalues.round(6), exact.multiplicity  # of the constant and of the d coordinates
    (array([1.  , 0.01]), array([  1., 100.]))
    """
    if not isinstance(kernel, RotationInvariant):
        raise TypeError(f"kernel={kernel!r} must be a RotationInvariant")
    link, r = additive(data, sphere=True)
    d = data.d
    if d < 3:
        raise ValueError(f"d={d} must be at least 3")
    angular = _within("angular", angular, 4, 2000)
    degree = _within("degree", degree, 1, angular - 2)
    i = np.arange(_within("radial", radial, 2, 200))
    if getattr(data, "inputs", "gaussian") == "sphere":
        s, ws = np.ones(1), np.ones(1)
    else:
        alpha = d / 2 - 1  # s^2 d/2 has the Gamma law whose polynomials are Laguerre's
        s, ws = _rule(2 * i + alpha + 1, np.sqrt(i[1:] * (i[1:] + alpha)))
        s = np.sqrt(s * 2 / d)
    u, wu = _angular_rule(d, angular)
    values = kernel.profile(s[:, None, None], s[None, :, None], u)
    values = np.broadcast_to(values, (len(s), len(s), len(u)))  # it may ignore the norms
    target = link((d**0.5 * s[:, None] * u).ravel()).reshape(len(s), len(u))
    total = float(ws @ (target**2 @ wu))
    lists, root = [], np.sqrt(ws)
    harmonics = _gegenbauer(np.append(u, 0.0), d, degree)  # at the nodes, and at right angles
    for k, (count, zonal) in enumerate(zip(_counts(d, degree), harmonics, strict=False)):
        weight = wu * zonal[:-1]
        lam, vectors = np.linalg.eigh(root[:, None] * (values @ weight) * root)
        shared = 1 + (r - 1) * zonal[-1]  # overlap of different directions
        power = shared * (math.sqrt(count) * vectors.T @ (root * (target @ weight))) ** 2
        lists += [(lam[q], count, max(power[q], 0.0), k) for q in range(len(s))]
    lam, count, power, degrees = np.array(lists).T
    kept = lam * np.sqrt(count) > 1e-13 * lam.max()  # an eigenvalue's rounding is eps / sqrt(count)
    trace = float(ws @ np.broadcast_to(kernel.profile(s, s, 1.0), s.shape))
    mean = (ws @ target @ wu) ** 2  # the mean of a sum over r directions grows with r
    return Spectrum(
        lam[kept],
        count[kept],
        power[kept],
        tail=max(trace - float(lam[kept] @ count[kept]), 0.0),
        outside=max(total + (r - 1) * mean - float(power[kept].sum()), 0.0),
        noise=data.noise**2,
        degrees=degrees[kept],
    )


def _gegenbauer(u, d, degree):
    """P_0(u), ..., P_degree(u), P_k(1) = 1, one after the other: u may be large."""
    before, now = np.zeros_like(u), np.ones_like(u)
    for k in range(degree + 1):
        yield now
        before, now = now, ((2 * k + d - 2) * u * now - k * before) / (k + d - 2)


def parity_spectrum(kernel, data, *, degree=8):
    """Exact spectrum of a rotation-invariant kernel on uniform bits, for a parity.

    On the hypercube all inputs have one norm, and the kernel depends on the number of bits in which
    two of them differ. Its eigenfunctions are the parities; those of one order share an eigenvalue.

    Parameters
    ----------
    kernel : RotationInvariant
    data : Parity
        With ``agree=0``; a rotation changes nothing.
    degree : int
        Largest order that is kept, >= 1; all of them if it is above d.

    Returns
    -------
    Spectrum
        Orders above `degree`, or with eigenvalue zero, are left out; if the target's is among them,
        its power is `outside`.

    Raises
    ------
    TypeError, ValueError
        If `kernel` or `data` is of another kind, bits agree, or `degree` is out of range.

    Notes
    -----
    Order s: 2^-d sum_t C(d, t) k(1 - 2t/d) K_s(t) / C(d, s) with the Krawtchouk polynomial K_s.

    Examples
    --------
    >>> from twolayer.kernels import polynomial
    >>> exact = parity_spectrum(polynomial(1), Parity(d=4, degree=1))
    >>> exact.eigenvalues.round(6), exact.multiplicity  # of 1 + x.z/4
    (array([1.  , 0.25]), array([1., 4.]))
    """
    if not isinstance(kernel, RotationInvariant):
        raise TypeError(f"kernel={kernel!r} must be a RotationInvariant")
    if not isinstance(data, Parity):
        raise TypeError(f"data={data!r} must be a Parity")
    if data.agree:
        raise ValueError(f"agree={data.agree} must be 0: bits are uniform")
    d, flips = data.d, np.arange(data.d + 1)
    degree = min(_checks.positive_int("degree", degree), d)
    values = kernel.profile(np.ones(1), np.ones(1), 1 - 2 * flips / d)
    weight = binom.pmf(flips, d, 0.5)
    orders = np.arange(degree + 1)
    lam = np.array([weight * values @ _krawtchouk(d, s) / comb(d, s) for s in orders])
    count = comb(d, orders)
    kept = lam > 1e-14 * abs(values).max()
    tail = max(float(values[0] - lam[kept] @ count[kept]), 0.0)
    power = (orders == data.degree).astype(float)
    outside = 1 - power[kept].sum()
    return Spectrum(lam[kept], count[kept], power[kept], tail, outside, degrees=orders[kept])


def _krawtchouk(d, s):
    """Sum of all characters of order s at t = 0..d flipped bits, in exact integers."""
    return np.array(
        [
            sum((-1) ** i * math.comb(t, i) * math.comb(d - t, s - i) for i in range(s + 1))
            for t in range(d + 1)
        ],
        dtype=float,
    )


def relu_moments(cosines, b):
    """E[relu(u + b_i) relu(v + b_j)] for standard Gaussian u, v of given correlation.

    Parameters
    ----------
    cosines : array_like, shape (m, m)
        Correlations.
    b : array_like, shape (m,)

    Returns
    -------
    ndarray, shape (m, m)

    Notes
    -----
    Where the correlation is below 0.7 in size, the series of `feature_moments`, whose rest is below
    1e-7. Elsewhere the closed form with Owen's T, as the series converges slowly near 1.

    Examples
    --------
    >>> relu_moments([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0]).round(6) + 0.0
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    rho, b = _checks.real_array("cosines", cosines), _checks.real_array("b", b)
    density = np.exp(-(b**2) / 2) / math.sqrt(2 * math.pi)
    out = np.zeros_like(rho)
    for k in range(24, -1, -1):  # Horner
        c = _relu_coefficient(k, b, density)
        out = out * rho + np.outer(c, c)
    i, j = np.nonzero(abs(rho) > 0.7)
    rho, h, k = rho[i, j], *(np.where(v == 0, 1e-150, v) for v in (b[i], b[j]))
    across = np.sqrt(np.maximum(1 - rho**2, 1e-30))
    to_k, to_h = (k - rho * h) / across, (h - rho * k) / across
    both = (ndtr(h) + ndtr(k)) / 2 - owens_t(h, to_k / h) - owens_t(k, to_h / k)
    both -= (np.sign(h) != np.sign(k)) / 2  # P(u > -h, v > -k)
    side = h * density[j] * ndtr(to_h) + k * density[i] * ndtr(to_k)
    last = across * density[i] * np.exp(-(to_k**2) / 2) / math.sqrt(2 * math.pi)
    out[i, j] = (h * k + rho) * both + side + last
    return out


def _relu_coefficient(k, b, density):
    """E[relu(z + b) He_k(z)] / sqrt(k!)."""
    if k == 0:
        return density + b * ndtr(b)
    return ndtr(b) if k == 1 else density * he(k - 2, -b) / math.sqrt(math.factorial(k))


def feature_moments(network, data, *, degree=40):
    """Population moments of ReLU features under Gaussian inputs, in closed form.

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
    power : float
        E[f*(x)^2].

    Raises
    ------
    TypeError, ValueError
        If the activation is not ReLU, or `data` of another kind or dimension, or not Gaussian.

    Notes
    -----
    With unit weights, relu(w.x + b) = sum_k c_k(b) He_k(w.x)/sqrt(k!), where
    c_0 = phi(b) + b Phi(b), c_1 = Phi(b) and c_k = phi(b) He_{k-2}(-b)/sqrt(k!) (Stein's lemma,
    twice). Since E[He_k(w.x) He_k(v.x)] = k! (w.v)^k, the covariance is sum_k c_k c_k' (W W')^k
    (see `relu_moments`), and the cross term sum_k c_k g_k (W u)^k with the link's coefficients g_k.

    Examples
    --------
    >>> from twolayer.data import SingleIndex
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer(np.eye(1, 5), [1.0], "relu")
    >>> covariance, cross, power = feature_moments(net, SingleIndex(5, "identity"))
    >>> covariance.round(6), cross.round(6), round(power, 6)
    (array([[0.5]]), array([0.5]), 1.0)
    """
    if network.activation.name != "relu":
        raise TypeError(f"activation={network.activation.name!r} must be 'relu'")
    degree = _within("degree", degree, 2, 79)
    link, r = additive(data)
    g = coefficients(link, degree)
    if network.d != data.d:
        raise ValueError(f"data.d={data.d} must be the network's d={network.d}")
    W, b = (v.detach().cpu().double().numpy() for v in (network.W, network.b))
    norms = np.linalg.norm(W, axis=1)
    if not norms.all():
        raise ValueError("W has a zero row; every neuron needs a direction")
    W, b = W / norms[:, None], b / norms
    density = np.exp(-(b**2) / 2) / math.sqrt(2 * math.pi)
    cosines = np.clip(W @ W.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    covariance = relu_moments(cosines, b)
    toward, cross = W @ data.directions.T, np.zeros(len(b))
    for k in range(degree + 1):
        cross += _relu_coefficient(k, b, density) * g[k] * (toward**k).sum(1) / math.sqrt(r)
    scale = norms / math.sqrt(network.m)
    square = expectation(lambda z: link(z) ** 2, getattr(link, "kinks", ()))
    power = float(square + (r - 1) * g[0] ** 2)
    return covariance * np.outer(scale, scale), cross * scale, power


def feature_spectrum(network, data, *, degree=40):
    """The spectrum that a ridge readout of a frozen ReLU first layer sees.

    Parameters
    ----------
    network : TwoLayer
    data : SingleIndex or MultiIndex
    degree : int
        See `feature_moments`.

    Returns
    -------
    Spectrum

    Raises
    ------
    TypeError, ValueError
        See `feature_moments`.
    """
    covariance, cross, power = feature_moments(network, data, degree=degree)
    lam, vectors = np.linalg.eigh(covariance)
    if lam[-1] <= 0:
        raise ValueError("no neuron of the network is open")
    kept = lam > 1e-10 * lam[-1]
    shares = (vectors.T @ cross)[kept] ** 2 / lam[kept]
    return Spectrum(
        lam[kept],
        np.ones(kept.sum()),
        shares,
        outside=max(power - float(shares.sum()), 0.0),
        noise=data.noise**2,
    )
