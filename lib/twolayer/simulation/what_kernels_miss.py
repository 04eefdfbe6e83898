"""Kernel ridge regression and random features in a simulation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from sklearn.kernel_ridge import KernelRidge

from twolayer import _checks
from twolayer.data import MultiIndex, SingleIndex, sphere
from twolayer.kernels import RotationInvariant
from twolayer.ridge import ridge_path
from twolayer.theory.ridge_curves import optimal_ridge
from twolayer.theory.spectra import (
    cosine_rule,
    gegenbauer,
    harmonic_counts,
    kernel_spectrum,
    zonal_projections,
)

__all__ = ["degree_errors", "run", "run_features"]


def run(
    kernel: RotationInvariant,
    data: SingleIndex | MultiIndex,
    n: int,
    rng: np.random.Generator,
    *,
    n_test: int = 3000,
) -> float:
    """Test error of kernel ridge regression in a simulation, at the ridge that theory calls best.

    Parameters
    ----------
    kernel : RotationInvariant
    data : SingleIndex or MultiIndex
        As of `kernel_spectrum`.
    n, n_test : int
        Training and test samples.
    rng : numpy.random.Generator

    Returns
    -------
    float
        Mean of (f - f*)^2: without label noise, as in `learning_curve`.

    Notes
    -----
    The ridge is at least 1e-8 n: less is lost in rounding.
    """
    ridge = max(optimal_ridge(kernel_spectrum(kernel, data), n), 1e-8 * n)
    (x, y), (x_test, _) = data.sample(n, rng), data.sample(n_test, rng)
    model = KernelRidge(alpha=ridge, kernel="precomputed").fit(kernel(x), y)  # eq-wk-ridge
    return float(np.mean((model.predict(kernel(x_test, x)) - data.target(x_test)) ** 2))


def run_features(
    data: SingleIndex | MultiIndex,
    n: int,
    m: int,
    ridges: ArrayLike,
    rng: np.random.Generator,
    *,
    n_test: int = 3000,
) -> np.ndarray:
    """Test errors of ridge regression on random ReLU features in a simulation, for many ridges.

    Features are relu(w.x) / sqrt(m) with w uniform on the unit sphere: infinitely many have the
    kernel `arc_cosine`.

    Parameters
    ----------
    data : SingleIndex or MultiIndex
    n, m, n_test : int
        Training samples, features, test samples.
    ridges : array_like, shape (k,)
        > 0, added to the sum of squares.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (k,)
        Means of (f - f*)^2: without label noise, as in `random_feature_curve`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> run_features(SingleIndex(5, "identity"), 100, 50, [1e-3, 1e3], rng).round(1)
    array([0., 1.])
    """
    m = _checks.positive_int("m", m)
    (x, y), (x_test, _) = data.sample(n, rng), data.sample(n_test, rng)
    W = sphere((m, data.d), rng)
    train, test = (np.maximum(v @ W.T, 0) / math.sqrt(m) for v in (x, x_test))
    readouts = np.asarray(ridge_path(train, y, ridges).coefficients)
    return np.mean((readouts @ test.T - data.target(x_test)) ** 2, axis=1)


def degree_errors(
    kernel: RotationInvariant,
    data: SingleIndex,
    x: ArrayLike,
    coefficients: ArrayLike,
    *,
    degree: int = 10,
    angular: int = 160,
) -> tuple[np.ndarray, np.ndarray]:
    """Test error of a kernel predictor on the sphere, degree by degree, without a test set.

    The kernel is sum_l xi_l B_l P_l(cosine), with P_l(1) = 1. Since E P_l(x.z) P_l(x.z') is
    P_l(z.z') / B_l on the unit sphere, E f_l^2 = xi_l^2 B_l c' P_l(X X'/d) c; and
    E f_l g = xi_l sum_i c_i g_l(x_i) (Funk-Hecke). `degree_curves` is the theory.

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
        error, less what lies beyond `degree`. Eigenvalues below rounding count as zero, as in
        `kernel_spectrum`.
    shares : ndarray, of the same shape
        E f_k g_k / E g_k^2; nan where the target has no part.

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
    d, degree, angular = _checked_setting(kernel, data, degree, angular)
    x, c = _checked_predictor(x, coefficients, d)

    counts = harmonic_counts(d, degree)
    u, weights = cosine_rule(d, angular)
    profile = np.broadcast_to(kernel.profile(np.ones(1), np.ones(1), u), u.shape)
    lam = np.array([(weights * P) @ profile for P in gegenbauer(u, d, degree)])  # eq-wk-eigenvalue
    lam[lam * np.sqrt(counts) <= 1e-13 * lam.max()] = 0
    projections, _ = zonal_projections(data, degree, np.ones(1), angular=angular)
    target = np.sqrt(counts) * projections[:, 0]  # along the unit zonal harmonics

    squares, overlaps = np.empty((2, *c.shape[:-1], degree + 1))
    cosines, along = x @ x.T / d, x[:, 0] / math.sqrt(d)
    harmonics = zip(gegenbauer(cosines, d, degree), gegenbauer(along, d, degree), strict=True)
    for k, (P, zonal) in enumerate(harmonics):
        squares[..., k] = lam[k] ** 2 * counts[k] * ((c @ P) * c).sum(-1)
        overlaps[..., k] = lam[k] * math.sqrt(counts[k]) * (c @ zonal)
    present = abs(target) > 1e-12 * np.linalg.norm(target)
    shares = overlaps / np.where(present, target, np.nan)
    return (squares - 2 * target * overlaps + target**2).clip(min=0), shares  # eq-wk-exact


def _checked_setting(kernel, data, degree, angular):
    if not isinstance(kernel, RotationInvariant):
        raise TypeError(f"kernel={kernel!r} must be a RotationInvariant")
    if not isinstance(data, SingleIndex):
        raise TypeError(f"data={data!r} must be a SingleIndex")
    if data.inputs != "sphere":
        raise ValueError(f"inputs={data.inputs!r} must be 'sphere'")
    d = _checks.integer("d", data.d, 3)
    angular = _checks.integer("angular", angular, 4, 2000)
    degree = _checks.integer("degree", degree, 1, angular - 2)
    known = len(harmonic_counts(d, degree))
    if known <= degree:
        raise ValueError(f"degree={degree} must be below {known} at d={d}: counts overflow")
    return d, degree, angular


def _checked_predictor(x, coefficients, d):
    x, c = _checks.real_array("x", x), _checks.real_array("coefficients", coefficients)
    if x.ndim != 2 or x.shape[1] != d:
        raise ValueError(f"x has shape {x.shape}; it must be (n, {d})")
    if c.ndim not in (1, 2) or c.shape[-1] != len(x):
        raise ValueError(f"coefficients has shape {c.shape}; it must be ({len(x)},) or (q, same)")
    norms, radius = np.linalg.norm(x, axis=1), math.sqrt(d)
    if (bad := np.flatnonzero(abs(norms / radius - 1) > 1e-8)).size:
        i = bad[0]
        raise ValueError(f"x: row {i} has norm {norms[i]:.9g}; it must be sqrt(d) = {radius:.9g}")
    return x, c
