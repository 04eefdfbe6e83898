"""Learning curves of ridge regression on features of a known spectrum."""

import numpy as np
from scipy.special import ndtr

from twolayer import _checks

__all__ = [
    "learning_curve",
    "optimal_curve",
    "optimal_ridge",
    "random_feature_curve",
    "sign_accuracy",
]


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
    bias = (miss**2 @ spectrum.second_moment + spectrum.outside) * m_left
    bias += (miss @ spectrum.second_moment + spectrum.outside) * between
    total = (bias / rest + spectrum.noise) * n * rest / (product + between * (n_left + m_left))
    return (total - spectrum.noise)[()]


def _best(spectrum, n):
    """The best effective ridge for each n: a grid, four times refined."""
    n = np.atleast_1d(n).astype(float)
    least = spectrum._kappa(n, 1e-12 * spectrum.eigenvalues.max())
    noisy = 1 + spectrum.noise / max(spectrum.second_moment.sum(), 1e-300)
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
    >>> exact = parity_spectrum(polynomial(2), Parity(d=20, degree=2))
    >>> bool(0.5 < sign_accuracy(exact, 50) < sign_accuracy(exact, 200) < 1)
    True
    """
    if np.count_nonzero(spectrum.second_moment) + (spectrum.outside > 0) > 1 or spectrum.noise:
        raise ValueError("spectrum must have the target in one eigenspace and no noise")
    n = _samples(n)
    own = float(spectrum.eigenvalues[spectrum.second_moment > 0].sum())
    least = spectrum._kappa(n.ravel(), 1e-12 * spectrum.eigenvalues.max())
    most = 1e3 * (spectrum.eigenvalues.max() + least)
    kappa = np.exp(np.linspace(np.log(least), np.log(most), 400, axis=-1))
    share = own / (own + kappa)
    error = spectrum._error(n.ravel()[:, None], kappa)
    spread = np.sqrt(np.maximum(error - (1 - share) ** 2, 1e-300))
    return ndtr((share / spread).max(1)).reshape(n.shape)[()]
