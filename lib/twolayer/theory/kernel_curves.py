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
from sklearn.kernel_ridge import KernelRidge

from twolayer import _checks
from twolayer.data import Parity, SingleIndex, additive, sphere
from twolayer.hermite import coefficients, expectation, he
from twolayer.kernels import RotationInvariant
from twolayer.training import ridge_path

__all__ = [
    "Spectrum",
    "degree_curves",
    "degree_errors",
    "feature_moments",
    "feature_spectrum",
    "kernel_spectrum",
    "learning_curve",
    "optimal_curve",
    "optimal_ridge",
    "parity_spectrum",
    "random_feature_curve",
    "relu_moments",
    "sign_accuracy",
    "simulate",
    "simulate_features",
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
    power : ndarray, shape (k,)
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
    power: np.ndarray
    tail: float = 0.0
    outside: float = 0.0
    noise: float = 0.0
    degrees: np.ndarray | None = None

    def __post_init__(self):
        names = ("eigenvalues", "multiplicity", "power", "degrees")
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
        return share @ N, share**2 @ N, (1 - share) ** 2 @ self.power + self.outside

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


def _samples(n):
    return _checks.real_array("n", n, minimum=0, strict=True)


def learning_curve(spectrum, n, ridge):
    """Test error of ridge regression, without the label noise of the test sample.

    Parameters
    ----------
    spectrum : Spectrum
    n : array_like
        Samples, > 0.
    ridge : array_like
        > 0, added to the sum of squares, as in scikit-learn's `KernelRidge`; broadcasts with `n`.

    Returns
    -------
    ndarray or float
        E (f - f*)^2, in the units of y^2.

    Raises
    ------
    ValueError
        If an entry is not finite or not positive.

    Notes
    -----
    The deterministic equivalent, with eigenvalues l_k of multiplicity N_k and target power P_k:
    n = sum N_k l_k / (l_k + kappa) + ridge / kappa fixes the effective ridge kappa; the error is
    [sum P_k (kappa / (l_k + kappa))^2 + noise] / [1 - sum N_k (l_k / (l_k + kappa))^2 / n] - noise.
    It is exact in the limit for features that act as Gaussian ones. Bordelon, Canatar & Pehlevan
    2020; Misiakiewicz & Montanari's lectures, section 2.

    Examples
    --------
    >>> isotropic = Spectrum([1.0], [50], [1.0])  # least squares with 50 features, no noise
    >>> round(float(learning_curve(isotropic, 25, 1e-12)), 6)  # 1 - n/d
    0.5
    """
    n, ridge = _samples(n), _checks.real_array("ridge", ridge, minimum=0, strict=True)
    return spectrum._error(n, spectrum._kappa(n, ridge))[()]


def degree_curves(spectrum, n, ridge):
    """Test error of ridge regression in each eigenspace, and how much of the target it has there.

    Parameters
    ----------
    spectrum : Spectrum
    n : array_like
        Samples, > 0.
    ridge : array_like
        > 0, added to the sum of squares; broadcasts with `n`.

    Returns
    -------
    errors : ndarray, shape (..., k)
        E (f_k - g_k)^2 for the parts of fit and target in eigenspace k, in the units of y^2. Their
        sum and ``spectrum.outside`` are the error of `learning_curve`.
    shares : ndarray, shape (..., k)
        E f_k g_k / E g_k^2: 0 before the eigenspace is learnt, 1 after.

    Raises
    ------
    ValueError
        If an entry is not finite or not positive.

    Notes
    -----
    With s_k = l_k / (l_k + kappa), kappa as in `learning_curve` and E the test error with the label
    noise, shares are s_k and errors P_k (1 - s_k)^2 + N_k s_k^2 E / n: what is not learnt yet, and
    what unlearnt power and noise leave behind there. On the sphere an eigenspace is a degree (see
    `Spectrum.degrees`), and `degree_errors` measures the same. Canatar, Bordelon & Pehlevan 2021.

    Examples
    --------
    >>> two = Spectrum([1.0, 1e-4], [10, 1000], [1.0, 1.0])
    >>> errors, shares = degree_curves(two, 200, 1e-3)
    >>> shares.round(2)  # the first is learnt
    array([1.  , 0.19])
    >>> bool(np.isclose(errors.sum(), learning_curve(two, 200, 1e-3)))
    True
    """
    n, ridge = _samples(n), _checks.real_array("ridge", ridge, minimum=0, strict=True)
    kappa = spectrum._kappa(n, ridge)
    total = (spectrum._error(n, kappa) + spectrum.noise) / n
    shares = spectrum.eigenvalues / (spectrum.eigenvalues + kappa[..., None])
    spread = spectrum.multiplicity * shares**2 * total[..., None]
    return spectrum.power * (1 - shares) ** 2 + spread, shares


def random_feature_curve(spectrum, n, m, ridge):
    """Test error of ridge regression on m random features, without the test sample's label noise.

    Parameters
    ----------
    spectrum : Spectrum
        Of the kernel that infinitely many features have, E[phi(x) phi(z)].
    n : array_like
        Samples, > 0.
    m : array_like
        Features phi / sqrt(m), > 0; broadcasts with `n`.
    ridge : array_like
        > 0, added to the sum of squares; broadcasts with `n` and `m`.

    Returns
    -------
    ndarray or float
        E (f - f*)^2, in the units of y^2.

    Raises
    ------
    ValueError
        If an entry is not finite or not positive.

    Notes
    -----
    With z = sum N_k l_k / (l_k + gamma) and q = sum N_k (l_k / (l_k + gamma))^2, two equations fix
    gamma and kappa: n = z + ridge / kappa and m = z + m kappa / gamma. The error with noise is
    [sum P_k (gamma / (l_k + gamma) - kappa l_k / (l_k + gamma)^2 m / (m - q)) + noise] over
    [1 - (q (m - 2 z) + z^2) / (n (m - q))]. Simon, Karkada, Ghosh & Belkin 2024, "More is better";
    a theorem of Defilippis, Loureiro & Misiakiewicz 2024. As code, all differences are written as
    sums of positive terms, with (n - z)(m - z) = m ridge / gamma: nothing is lost at the peak
    n = m, however small the ridge.

    Examples
    --------
    >>> flat = Spectrum([1.0], [50], [1.0])
    >>> wide = random_feature_curve(flat, 25, 1e9, 1e-9)  # a kernel again: 1 - n/d
    >>> round(float(wide), 6)
    0.5
    >>> float(random_feature_curve(flat, 25, 25, 1e-9)) > 100  # as many features as samples
    True
    """
    n, ridge = _samples(n), _checks.real_array("ridge", ridge, minimum=0, strict=True)
    m = _checks.real_array("m", m, minimum=0, strict=True)
    n, m, ridge = np.broadcast_arrays(n, m, ridge)
    trace = spectrum.eigenvalues @ spectrum.multiplicity + spectrum.tail

    def fitted(gamma):
        return spectrum._sums(gamma)[0] + spectrum.tail / gamma

    least = np.minimum(n, m)
    low, high = np.log(ridge / n), np.log(2 * trace / least + 4 * ridge / n)
    for _ in range(100):
        gamma = np.exp((low + high) / 2)
        z = fitted(gamma)
        small = (z >= least) | ((n - z) * (m - z) * gamma < m * ridge)
        low, high = np.where(small, np.log(gamma), low), np.where(small, high, np.log(gamma))
        if np.all(high - low < 1e-14 * np.maximum(1, abs(high))):
            break
    gamma = np.exp((low + high) / 2)
    product, wide = m * ridge / gamma, np.maximum(n, m) - fitted(gamma)  # (n - z)(m - z)
    thin = product / wide
    n_left, m_left = np.where(m < n, wide, thin), np.where(m < n, thin, wide)
    miss = gamma[..., None] / (spectrum.eigenvalues + gamma[..., None])
    between = (miss * (1 - miss)) @ spectrum.multiplicity + spectrum.tail / gamma  # z - q
    rest = m_left + between  # m - q
    bias = (miss**2 @ spectrum.power + spectrum.outside) * m_left
    bias += (miss @ spectrum.power + spectrum.outside) * between
    total = (bias / rest + spectrum.noise) * n * rest / (product + between * (n_left + m_left))
    return (total - spectrum.noise)[()]


def _best(spectrum, n):
    """The best effective ridge for each n: a grid, four times refined."""
    n = np.atleast_1d(n).astype(float)
    least = spectrum._kappa(n, 1e-12 * spectrum.eigenvalues.max())
    noisy = 1 + spectrum.noise / max(spectrum.power.sum(), 1e-300)
    most = 1e4 * (spectrum.eigenvalues.max() + least) * noisy
    low, high = np.log(least), np.log(most)
    for _ in range(5):
        grid = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 60)
        best = np.argmin(spectrum._error(n[:, None], np.exp(grid)), axis=1)
        rows = np.arange(len(n))
        low, high = grid[rows, np.maximum(best - 1, 0)], grid[rows, np.minimum(best + 1, 59)]
    return np.exp((low + high) / 2)


def optimal_curve(spectrum, n):
    """Test error at the best ridge for each number of samples.

    The ridge acts only through the effective one, kappa, so that tuning it is a search over kappa
    and no equation is solved.

    Parameters
    ----------
    spectrum : Spectrum
    n : array_like
        Samples, > 0.

    Returns
    -------
    ndarray or float

    Examples
    --------
    >>> cubic = Spectrum([1.0], [1000], [1.0], noise=0.5)
    >>> bool(optimal_curve(cubic, 2000) <= learning_curve(cubic, 2000, 10.0))
    True
    """
    n = _samples(n)
    return spectrum._error(n.ravel(), _best(spectrum, n.ravel())).reshape(n.shape)[()]


def optimal_ridge(spectrum, n):
    """The ridge that is best according to `learning_curve`, for each number of samples.

    Parameters
    ----------
    spectrum : Spectrum
    n : array_like
        Samples, > 0.

    Returns
    -------
    ndarray or float
        Added to the sum of squares; at least 1e-12 of the largest eigenvalue.
    """
    n = _samples(n)
    kappa = _best(spectrum, n.ravel())
    ridge = kappa * (n.ravel() - spectrum._sums(kappa)[0]) - spectrum.tail
    return ridge.clip(min=1e-12 * spectrum.eigenvalues.max()).reshape(n.shape)[()]


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


def degree_errors(kernel, data, x, coefficients, *, degree=10, angular=160):
    """Test error of a kernel predictor on the sphere, degree by degree, without a test set.

    Parameters
    ----------
    kernel : RotationInvariant
    data : SingleIndex
        With ``inputs="sphere"`` and d >= 3.
    x : array_like, shape (n, d)
        Centres of the predictor f(z) = sum_i c_i k(z, x_i): training inputs, of norm sqrt(d).
    coefficients : array_like, shape (n,) or (q, n)
        c, of one predictor or of q; ``KernelRidge.dual_coef_``.
    degree : int
        Highest degree of spherical harmonics.
    angular : int
        Nodes of the quadrature over the angle.

    Returns
    -------
    errors : ndarray, shape (degree + 1,) or (q, degree + 1)
        E (f_k - g_k)^2 for the parts of degree k of predictor and target. Their sum is the test
        error, less what lies beyond `degree`.
    shares : ndarray, of the same shape
        E f_k g_k / E g_k^2; nan where the target has no part.

    Raises
    ------
    TypeError, ValueError
        If `kernel` or `data` is of another kind, shapes do not fit, or a row of x is off the
        sphere by 1e-8 of its radius.

    Notes
    -----
    The kernel is sum_k l_k N_k P_k(cosine), with P_k(1) = 1. Since E P_k(x.z) P_k(x.z') is
    P_k(z.z') / N_k on the unit sphere, E f_k^2 = l_k^2 N_k c' P_k(X X'/d) c; and
    E f_k g = l_k sum_i c_i g_k(x_i) (Funk-Hecke). `degree_curves` is the theory. Eigenvalues below
    rounding count as zero, as in `kernel_spectrum`.

    Examples
    --------
    >>> from twolayer.kernels import exponential
    >>> data = SingleIndex(20, (0.0, 1.0, 1.0), inputs="sphere")
    >>> x, y = data.sample(120, np.random.default_rng(0))
    >>> dual = np.linalg.solve(exponential(x) + 1e-3 * np.eye(120), y)
    >>> errors, shares = degree_errors(exponential, data, x, dual, degree=2)
    >>> bool(shares[2] < shares[1] / 2)  # the linear part is learnt first
    True
    """
    if not isinstance(kernel, RotationInvariant):
        raise TypeError(f"kernel={kernel!r} must be a RotationInvariant")
    if not isinstance(data, SingleIndex):
        raise TypeError(f"data={data!r} must be a SingleIndex")
    if data.inputs != "sphere":
        raise ValueError(f"inputs={data.inputs!r} must be 'sphere'")
    d = data.d
    if d < 3:
        raise ValueError(f"d={d} must be at least 3")
    angular = _within("angular", angular, 4, 2000)
    degree = _within("degree", degree, 1, angular - 2)
    counts = _counts(d, degree)
    if len(counts) <= degree:
        raise ValueError(f"degree={degree} must be below {len(counts)} at d={d}: counts overflow")
    x, c = _checks.real_array("x", x), _checks.real_array("coefficients", coefficients)
    if x.ndim != 2 or x.shape[1] != d:
        raise ValueError(f"x has shape {x.shape}; it must be (n, {d})")
    if c.ndim not in (1, 2) or c.shape[-1] != len(x):
        raise ValueError(f"coefficients has shape {c.shape}; it must be ({len(x)},) or (q, same)")
    norms = np.linalg.norm(x, axis=1)
    if (bad := np.flatnonzero(abs(norms / math.sqrt(d) - 1) > 1e-8)).size:
        i, radius = bad[0], math.sqrt(d)
        raise ValueError(f"x: row {i} has norm {norms[i]:.9g}; it must be sqrt(d) = {radius:.9g}")
    u, wu = _angular_rule(d, angular)
    weighted = wu * np.array(list(_gegenbauer(u, d, degree)))
    target = np.sqrt(counts) * (weighted @ data.target(math.sqrt(d) * u[:, None]))
    lam = weighted @ np.broadcast_to(kernel.profile(np.ones(1), np.ones(1), u), u.shape)
    lam[lam * np.sqrt(counts) <= 1e-13 * lam.max()] = 0
    squares, overlaps = np.empty((2, *c.shape[:-1], degree + 1))
    cosines, along = x @ x.T / d, x[:, 0] / math.sqrt(d)
    for k, (P, zonal) in enumerate(
        zip(_gegenbauer(cosines, d, degree), _gegenbauer(along, d, degree), strict=True)
    ):
        squares[..., k] = lam[k] ** 2 * counts[k] * ((c @ P) * c).sum(-1)
        overlaps[..., k] = lam[k] * math.sqrt(counts[k]) * (c @ zonal)  # <f, unit zonal harmonic>
    present = abs(target) > 1e-12 * np.linalg.norm(target)
    shares = overlaps / np.where(present, target, np.nan)
    return (squares - 2 * target * overlaps + target**2).clip(min=0), shares


def _gegenbauer(u, d, degree):
    """P_0(u), ..., P_degree(u), P_k(1) = 1, one after the other: u may be large."""
    before, now = np.zeros_like(u), np.ones_like(u)
    for k in range(degree + 1):
        yield now
        before, now = now, ((2 * k + d - 2) * u * now - k * before) / (k + d - 2)


def simulate(kernel, data, n, rng, *, n_test=3000):
    """Test error of kernel ridge regression in a simulation, at the ridge that theory calls best.

    Parameters
    ----------
    kernel : RotationInvariant
    data : SingleIndex or MultiIndex
        With a link that is a sum over directions; d >= 3. Gaussian inputs, or on the sphere.
    n : int
        Training samples.
    rng : numpy.random.Generator
    n_test : int
        Test samples.

    Returns
    -------
    float
        Mean of (f - f*)^2: without label noise, as in `learning_curve`.

    Raises
    ------
    TypeError, ValueError
        See `kernel_spectrum`.

    Notes
    -----
    The ridge is at least 1e-8 n: less is lost in rounding.
    """
    ridge = max(optimal_ridge(kernel_spectrum(kernel, data), n), 1e-8 * n)
    (x, y), (x_test, _) = data.sample(n, rng), data.sample(n_test, rng)
    model = KernelRidge(alpha=ridge, kernel="precomputed").fit(kernel(x), y)
    return float(np.mean((model.predict(kernel(x_test, x)) - data.target(x_test)) ** 2))


def simulate_features(data, n, m, ridges, rng, *, n_test=3000):
    """Test errors of ridge regression on random ReLU features in a simulation, for many ridges.

    Parameters
    ----------
    data : SingleIndex or MultiIndex
    n, m : int
        Training samples and features.
    ridges : array_like, shape (k,)
        > 0, added to the sum of squares.
    rng : numpy.random.Generator
    n_test : int
        Test samples.

    Returns
    -------
    ndarray, shape (k,)
        Means of (f - f*)^2: without label noise, as in `random_feature_curve`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Notes
    -----
    Features relu(w.x) / sqrt(m) with w uniform on the unit sphere: infinitely many have the kernel
    `arc_cosine`.

    Examples
    --------
    >>> from twolayer.data import SingleIndex
    >>> rng = np.random.default_rng(0)
    >>> simulate_features(SingleIndex(5, "identity"), 100, 50, [1e-3, 1e3], rng).round(1)
    array([0., 1.])
    """
    m = _checks.positive_int("m", m)
    (x, y), (new, _) = data.sample(n, rng), data.sample(n_test, rng)
    W = sphere((m, data.d), rng)
    train, test = (np.maximum(v @ W.T, 0) / math.sqrt(m) for v in (x, new))
    readouts = ridge_path(train, y, ridges).coefficients.numpy()
    return np.mean((readouts @ test.T - data.target(new)) ** 2, axis=1)


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
    >>> exact = parity_spectrum(polynomial(1), Parity(d=4, k=1))
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
    power = (orders == data.k).astype(float)
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


def sign_accuracy(spectrum, n):
    """Accuracy of the sign of kernel ridge regression on labels -1 and 1, at the best ridge.

    Parameters
    ----------
    spectrum : Spectrum
        With the target in one eigenspace (or outside all), without noise: as of `parity_spectrum`.
    n : array_like
        Samples, > 0.

    Returns
    -------
    ndarray or float
        Largest Phi(share / deviation) over effective ridges kappa, where share = l / (l + kappa) of
        the label is fitted, and the rest of the test error is a Gaussian deviation around it.

    Raises
    ------
    ValueError
        If the target is spread over eigenspaces, or `n` is not positive.

    Examples
    --------
    >>> from twolayer.kernels import polynomial
    >>> exact = parity_spectrum(polynomial(2), Parity(d=20, k=2))
    >>> bool(0.5 < sign_accuracy(exact, 50) < sign_accuracy(exact, 200) < 1)
    True
    """
    if np.count_nonzero(spectrum.power) + (spectrum.outside > 0) > 1 or spectrum.noise:
        raise ValueError("spectrum must have the target in one eigenspace and no noise")
    n = _samples(n)
    own = float(spectrum.eigenvalues[spectrum.power > 0].sum())
    least = spectrum._kappa(n.ravel(), 1e-12 * spectrum.eigenvalues.max())
    most = 1e3 * (spectrum.eigenvalues.max() + least)
    kappa = np.exp(np.linspace(np.log(least), np.log(most), 400, axis=-1))
    share = own / (own + kappa)
    error = spectrum._error(n.ravel()[:, None], kappa)
    spread = np.sqrt(np.maximum(error - (1 - share) ** 2, 1e-300))
    return ndtr((share / spread).max(1)).reshape(n.shape)[()]


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
