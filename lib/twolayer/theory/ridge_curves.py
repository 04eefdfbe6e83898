"""Learning curves of ridge regression on features of a known spectrum.

Deterministic equivalents: exact in the limit for features that act as Gaussian ones. All
differences are written as sums of positive terms, so that no digits are lost at an interpolation
peak, however small the ridge.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from twolayer import _checks
from twolayer.theory.spectra import Spectrum

__all__ = [
    "effective_ridge",
    "learning_curve",
    "optimal_curve",
    "optimal_ridge",
    "random_feature_curve",
    "sign_accuracy",
]

_LEAST = 1e-12  # the smallest ridge of a search, in units of the largest eigenvalue
_TINY = 1e-290


def effective_ridge(spectrum: Spectrum, n: ArrayLike, ridge: ArrayLike) -> np.ndarray:
    """The effective ridge kappa: n = sum_k N_k l_k / (l_k + kappa) + ridge / kappa.

    Parameters
    ----------
    spectrum : Spectrum
        Eigenvalues l_k of multiplicity N_k; its tail is added to the ridge.
    n, ridge : array_like
        Samples > 0, and what is added to the sum of squares, >= 0; they broadcast.

    Returns
    -------
    ndarray or float
        0 where there is no ridge and no tail, and not more features than samples.

    Examples
    --------
    >>> isotropic = Spectrum([1.0], [50], [1.0])  # N = 50, so kappa = 50/n - 1
    >>> effective_ridge(isotropic, [10, 25, 50], 0.0).round(9)
    array([4., 1., 0.])
    """
    _checks.instance("spectrum", spectrum, Spectrum)
    n, ridge = _checks.broadcast(n=_samples(n), ridge=_checks.real_array("ridge", ridge, minimum=0))
    ridge = ridge + spectrum.tail
    lam, count = spectrum.eigenvalues, spectrum.multiplicity

    def rest(kappa):
        return _remaining(spectrum, n, kappa) - ridge / kappa

    spare = np.maximum(count.sum() - n, 0)  # features without a sample
    low = np.maximum(ridge, lam.min() * spare) / n
    kappa = _root(rest, np.maximum(low, _TINY), (ridge + lam @ count) / n)  # eq-wk-kappa
    return np.where(low > 0, kappa, 0.0)[()]


def _samples(n):
    return _checks.real_array("n", n, minimum=1e-50)


def _positive(ridge):
    return _checks.real_array("ridge", ridge, minimum=0, strict=True)


def _shares(spectrum, kappa):
    """l / (l + kappa) and kappa / (l + kappa), each to full precision: shapes (..., k)."""
    kappa = np.asarray(kappa)[..., None]
    total = spectrum.eigenvalues + kappa
    return spectrum.eigenvalues / total, kappa / total


def _remaining(spectrum, n, kappa):
    """n - sum N l / (l + kappa): where an eigenspace is learnt, what is missing is counted."""
    lam, count = spectrum.eigenvalues, spectrum.multiplicity
    kappa = np.asarray(kappa)[..., None]
    learnt = lam > kappa
    part = np.where(learnt, kappa, -lam) / (lam + kappa)
    return (n - np.where(learnt, count, 0.0).sum(-1)) + part @ count


def _root(rising: Callable, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Where a rising function of a positive number changes its sign, to 14 digits.

    In the logarithm: bisection until the function is nearly straight, then Illinois' secants.
    """

    def at(log):
        return rising(np.exp(log))

    low, high = np.log(least), np.log(most)
    while np.any(high - low > 0.02):
        middle = (low + high) / 2
        above = at(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    at_low, at_high = at(low), at(high)
    last, side = high, np.nan
    for _ in range(40):
        rise = at_high - at_low
        found = np.clip(low - at_low * (high - low) / (rise + (rise == 0)), low, high)
        if np.all(abs(found - last) <= 1e-14 * np.maximum(8, abs(found))):
            break
        value = at(found)
        above = value > 0
        stays = np.where(above == side, 0.5, 1.0)  # an end that stays twice counts half
        at_low = np.where(above, stays * at_low, value)
        at_high = np.where(above, value, stays * at_high)
        low, high = np.where(above, low, found), np.where(above, found, high)
        last, side = found, above
    return np.exp(found)


def learning_curve(spectrum: Spectrum, n: ArrayLike, ridge: ArrayLike) -> np.ndarray:
    """Test error of ridge regression, without the label noise of the test sample.

    [sum P_k (1 - s_k)^2 + noise] / [1 - sum N_k s_k^2 / n] - noise, with s_k = l_k / (l_k + kappa)
    at the effective ridge kappa, for eigenvalues l_k of multiplicity N_k and second moments P_k of
    the target (Bordelon, Canatar & Pehlevan 2020; Misiakiewicz & Montanari's lectures, section 2).

    Parameters
    ----------
    spectrum : Spectrum
    n, ridge : array_like
        Samples > 0, and what is added to the sum of squares (as in `KernelRidge`), > 0.

    Returns
    -------
    ndarray or float
        E (f - f*)^2, in the units of y^2.

    Examples
    --------
    >>> isotropic = Spectrum([1.0], [50], [1.0])  # least squares with 50 features, no noise
    >>> round(float(learning_curve(isotropic, 25, 1e-12)), 6)  # 1 - n/d
    0.5
    """
    _checks.instance("spectrum", spectrum, Spectrum)
    n, ridge = _checks.broadcast(n=_samples(n), ridge=_positive(ridge))
    return _error(spectrum, n, effective_ridge(spectrum, n, ridge))[()]


def _error(spectrum, n, kappa):
    """The error of `learning_curve` at an effective ridge; inf where it belongs to no ridge."""
    share, miss = _shares(spectrum, kappa)
    bias = miss**2 @ spectrum.second_moment + spectrum.outside
    variance = spectrum.noise * (share**2 @ spectrum.multiplicity)
    left = _remaining(spectrum, n, kappa) + (share * miss) @ spectrum.multiplicity
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (n * bias + variance) / left  # eq-wk-error, eq-ld-error
    return np.where(left > 0, error, np.inf)


def random_feature_curve(
    spectrum: Spectrum, n: ArrayLike, m: ArrayLike, ridge: ArrayLike
) -> np.ndarray:
    """Test error of ridge regression on m random features, as `learning_curve`.

    With s_k = l_k / (l_k + gamma), z = sum N_k s_k and q = sum N_k s_k^2, two equations fix gamma
    and kappa: n = z + ridge / kappa and m = z + m kappa / gamma. The error with noise is
    [sum P_k (1 - s_k - s_k kappa / (l_k + gamma) m / (m - q)) + noise] over
    [1 - (q (m - 2 z) + z^2) / (n (m - q))] (Simon, Karkada, Ghosh & Belkin 2024, "More is better";
    a theorem of Defilippis, Loureiro & Misiakiewicz 2024).

    Parameters
    ----------
    spectrum : Spectrum
        Of the kernel that infinitely many features have, E[phi(x) phi(z)].
    n, m, ridge : array_like
        Samples, features phi / sqrt(m), what is added to the sum of squares: > 0; they broadcast.

    Examples
    --------
    >>> flat = Spectrum([1.0], [50], [1.0])
    >>> wide = random_feature_curve(flat, 25, 1e9, 1e-9)  # a kernel again: 1 - n/d
    >>> round(float(wide), 6)
    0.5
    >>> float(random_feature_curve(flat, 25, 25, 1e-9)) > 100  # as many features as samples
    True
    """
    _checks.instance("spectrum", spectrum, Spectrum)
    m = _checks.real_array("m", m, minimum=0, strict=True)
    n, m, ridge = _checks.broadcast(n=_samples(n), m=m, ridge=_positive(ridge))

    gamma, fewer_left = _feature_ridge(spectrum, n, m, ridge)
    more_left = abs(n - m) + fewer_left
    n_left = np.where(m < n, more_left, fewer_left)  # n - z
    m_left = np.where(m < n, fewer_left, more_left)  # m - z
    share, miss = _shares(spectrum, gamma)
    second = share**2 @ spectrum.multiplicity  # q
    between = (share * miss) @ spectrum.multiplicity + spectrum.tail / gamma  # z - q
    squared = miss**2 @ spectrum.second_moment + spectrum.outside
    linear = miss @ spectrum.second_moment + spectrum.outside

    # numerator and denominator, both times n (m - q)
    bias = n * (squared * m_left + linear * between)
    variance = spectrum.noise * (second * m_left + between * (second + between))
    left = n_left * m_left + between * (n_left + m_left)
    return ((bias + variance) / left)[()]  # eq-wk-feature-error


def _feature_ridge(spectrum, n, m, ridge):
    """gamma, which solves (n - z)(m - z) gamma = m ridge, and min(n, m) - z, z = z(gamma).

    Without a ridge z is min(n, m) at some gamma, the start (zero if there are not so many
    eigenvalues). From there the difference grows by sums of positive terms.
    """
    lam, count, tail = spectrum.eigenvalues, spectrum.multiplicity, spectrum.tail
    fewer, apart = np.minimum(n, m), abs(n - m)
    start = np.maximum(effective_ridge(spectrum, fewer, 0.0), _TINY)
    spare = 0.0 if tail else np.maximum(fewer - count.sum(), 0)

    total, many = lam + start[..., None], lam * count

    def left(step):
        slope = (many / total / (total + step[..., None])).sum(-1) + tail / start / (start + step)
        return spare + step * slope

    def excess(step):
        thin = left(step)
        return thin * (thin + apart) * (start + step) - m * ridge  # eq-wk-features

    alone = ridge / n  # the step if no eigenvalue were there, and gamma's least value
    low = alone * np.sqrt(start) / (np.sqrt(start) + np.sqrt(alone)) / 2
    low = np.maximum(low, _TINY)
    step = _root(excess, low, 2 * spectrum.trace / fewer + 4 * alone)
    return start + step, left(step)


def _best(spectrum, n):
    """The best effective ridge for each n: a grid, four times refined."""
    n = np.atleast_1d(n).astype(float)
    largest = spectrum.eigenvalues.max()
    least = effective_ridge(spectrum, n, _LEAST * largest)
    noisy = 1 + spectrum.noise / max(spectrum.second_moment.sum(), 1e-300)
    low, high = np.log(least), np.log(1e4 * (largest + least) * noisy)
    rows = np.arange(len(n))

    def search(kappa):  # as `_error`, but fast: only where it is least is wanted
        inverse = 1 / (spectrum.eigenvalues + kappa[..., None])
        bias = (kappa[..., None] * inverse) ** 2 @ spectrum.second_moment + spectrum.outside
        second = (spectrum.eigenvalues * inverse) ** 2 @ spectrum.multiplicity
        left = 1 - second / n[:, None]
        return np.where(left > 0, (bias + spectrum.noise) / np.maximum(left, _TINY), np.inf)

    for _ in range(5):
        grid = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 60)
        best = np.argmin(search(np.exp(grid)), axis=1)
        low, high = grid[rows, np.maximum(best - 1, 0)], grid[rows, np.minimum(best + 1, 59)]
    return np.exp((low + high) / 2)


def optimal_curve(spectrum: Spectrum, n: ArrayLike) -> np.ndarray:
    """Test error at the best ridge for each number of samples, as `learning_curve`.

    The ridge acts only through the effective one, so that tuning it is a search over that.

    Parameters
    ----------
    spectrum : Spectrum
    n : array_like
        Samples, > 0.

    Examples
    --------
    >>> cubic = Spectrum([1.0], [1000], [1.0], noise=0.5)
    >>> bool(optimal_curve(cubic, 2000) <= learning_curve(cubic, 2000, 10.0))
    True
    """
    _checks.instance("spectrum", spectrum, Spectrum)
    n = _samples(n)
    return _error(spectrum, n.ravel(), _best(spectrum, n.ravel())).reshape(n.shape)[()]


def optimal_ridge(spectrum: Spectrum, n: ArrayLike) -> np.ndarray:
    """The ridge that is best according to `learning_curve`, for each number of samples.

    It is at least 1e-12 of the largest eigenvalue.

    Parameters
    ----------
    spectrum : Spectrum
    n : array_like
        Samples, > 0.

    Examples
    --------
    >>> loud = Spectrum([1.0], [50], [1.0], noise=0.5)  # noise over the coefficients' variance
    >>> round(float(optimal_ridge(loud, 100)), 2)
    25.0
    """
    _checks.instance("spectrum", spectrum, Spectrum)
    n = _samples(n)
    kappa = _best(spectrum, n.ravel())
    total = kappa * _remaining(spectrum, n.ravel(), kappa)
    least = _LEAST * spectrum.eigenvalues.max()
    return (total - spectrum.tail).clip(min=least).reshape(n.shape)[()]


def sign_accuracy(spectrum: Spectrum, n: ArrayLike) -> np.ndarray:
    """Accuracy of the sign of kernel ridge regression on labels -1 and 1, at the best ridge.

    The largest Phi(share / deviation) over effective ridges kappa: share = l / (l + kappa) of the
    label is fitted, and the rest of the test error is a Gaussian deviation around it.

    Parameters
    ----------
    spectrum : Spectrum
        With the target in one eigenspace (or outside all), without noise: as of `parity_spectrum`.
    n : array_like
        Samples, > 0.

    Examples
    --------
    >>> pairs = Spectrum([0.05, 0.005], [20, 190], [0.0, 1.0])
    >>> bool(0.5 < sign_accuracy(pairs, 50) < sign_accuracy(pairs, 150) < 1)
    True
    """
    _checks.instance("spectrum", spectrum, Spectrum)
    if np.count_nonzero(spectrum.second_moment) + (spectrum.outside > 0) > 1 or spectrum.noise:
        raise ValueError("spectrum must have the target in one eigenspace and no noise")
    n = _samples(n)

    largest = spectrum.eigenvalues.max()
    least = effective_ridge(spectrum, n.ravel(), _LEAST * largest)
    most = 1e3 * (largest + least)
    kappa = np.exp(np.linspace(np.log(least), np.log(most), 400, axis=-1))
    own = float(spectrum.eigenvalues[spectrum.second_moment > 0].sum())
    samples = n.ravel()[:, None]
    share, _ = _shares(spectrum, kappa)
    second = share**2 @ spectrum.multiplicity
    variance = _error(spectrum, samples, kappa) * second / samples  # error less (1 - share)^2
    deviation = np.sqrt(np.maximum(variance, 1e-300))
    return ndtr((own / (own + kappa) / deviation).max(1)).reshape(n.shape)[()]
