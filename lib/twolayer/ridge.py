"""Ridge regression of a readout: one ridge, a path of them, generalised cross-validation."""

import dataclasses
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from twolayer import _checks
from twolayer._blas import product

__all__ = ["RidgePath", "fit_readout", "ridge_path"]


@dataclasses.dataclass(frozen=True, eq=False)
class RidgePath:
    """Readouts for many ridges.

    Attributes
    ----------
    ridges : ndarray, shape (k,)
    coefficients : tensor, shape (k, m)
        A readout a ridge.
    gcv : ndarray, shape (k,)
        Generalised cross-validation score, n RSS / (n - dof)^2, in the units of y^2.
    dof : ndarray, shape (k,)
        Effective degrees of freedom, the trace of the smoother.
    """

    ridges: np.ndarray
    coefficients: torch.Tensor
    gcv: np.ndarray
    dof: np.ndarray

    @property
    def best(self):
        """Index of the ridge with the lowest GCV score."""
        return int(np.nanargmin(self.gcv))


@torch.no_grad()
def ridge_path(features, y, ridges):
    """Ridge readouts for a whole path of ridges from one eigendecomposition.

    Each minimises ``|y - features a|^2 + ridge |a|^2`` (a sum over samples, as in scikit-learn's
    `Ridge` with ``fit_intercept=False``).

    Parameters
    ----------
    features : array or tensor, shape (n, m)
    y : array or tensor, shape (n,)
    ridges : array_like, shape (k,)
        Each > 0.

    Returns
    -------
    RidgePath

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite or a ridge is not positive.

    Warns
    -----
    ConvergenceWarning
        As in `fit_readout`, for the smallest ridge.

    Notes
    -----
    The smaller of the two Gram matrices is decomposed: O(min(n, m)^3) once, then O(m min(n, m))
    a ridge. GCV: Golub, Heath & Wahba 1979.

    Examples
    --------
    >>> path = ridge_path([[1.0], [1.0]], [1.0, 3.0], [2.0])
    >>> path.coefficients
    tensor([[1.]], dtype=torch.float64)
    """
    features, y = _regression(features, y)
    ridges = _checks.real_array("ridges", ridges, minimum=0, strict=True)
    if ridges.ndim != 1 or ridges.size == 0:
        raise ValueError(f"ridges has shape {ridges.shape}; it must be a non-empty vector")
    path, (smallest, largest) = _ridge_path(features, y, ridges)
    _warn_if_rough(largest, smallest + ridges.min(), features.dtype)
    return path


def _ridge_path(features, y, ridges):
    """The path, and the extreme eigenvalues of the Gram matrix."""
    n, m = features.shape
    primal = m <= n
    gram = product(features.T, features) if primal else product(features, features.T)
    s, Q = torch.linalg.eigh(gram)
    s = s.clamp(min=0)
    kept = s > s.max() * len(s) * torch.finfo(s.dtype).eps
    if primal:
        c = Q.T @ (features.T @ y)
        projected = torch.where(kept, c / s.clamp(min=torch.finfo(s.dtype).tiny).sqrt(), 0)
        outside = (y @ y - projected @ projected).clamp(min=0)  # part of y no readout can reach
    else:
        projected = Q.T @ y
        c, outside = projected, 0.0
    lam = torch.as_tensor(ridges, dtype=s.dtype, device=s.device)[:, None]
    coefficients = (c / (s + lam)) @ Q.T
    if not primal:
        coefficients = coefficients @ features
    rss = outside + ((lam / (s + lam)) ** 2 * projected**2).sum(1)
    dof = (s / (s + lam)).sum(1)
    left = n - len(s) + (lam / (s + lam)).sum(1)  # n - dof, without cancellation
    gcv = n * rss / left**2
    path = RidgePath(ridges, coefficients, gcv.cpu().numpy(), dof.cpu().numpy())
    return path, (float(s[0]), float(s[-1]))


@torch.no_grad()
def fit_readout(features, y, ridge=1.0):
    """Fit the readout by ridge regression: minimise ``|y - features a|^2 + ridge |a|^2``.

    Parameters
    ----------
    features : array or tensor, shape (n, m)
        Of `TwoLayer.features`, say.
    y : array or tensor, shape (n,)
    ridge : float, array_like or "gcv"
        A number >= 0 gives one readout, by Cholesky of the smaller Gram matrix (0: the least
        squares solution of least norm); a vector of numbers > 0 gives a readout for each, from
        one eigendecomposition; ``"gcv"`` takes the best by generalised cross-validation of 41
        ridges from 1e-6 to 1e2 of the features' mean squared norm per column.

    Returns
    -------
    tensor, shape (m,), or (k, m) for a vector of k ridges
        In the dtype of `features`.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a ridge is negative, or so small that the
        Gram matrix is not positive definite in this dtype.

    Warns
    -----
    ConvergenceWarning
        If the system is so ill-conditioned for this dtype that rounding errors may reach a
        hundredth of the solution, as in float32 near interpolation.

    Examples
    --------
    >>> fit_readout([[1.0], [1.0]], [1.0, 3.0], ridge=2.0)
    tensor([1.], dtype=torch.float64)
    """
    features, y = _regression(features, y)
    if isinstance(ridge, str):
        _checks.one_of("ridge", ridge, ("gcv",))
        scale = float(features.square().sum()) / min(features.shape)
        ridges = (scale or 1.0) * np.logspace(-6, 2, 41)
        path, (smallest, largest) = _ridge_path(features, y, ridges)
        _warn_if_rough(largest, smallest + ridges[path.best], features.dtype)
        return path.coefficients[path.best]
    if np.ndim(ridge) > 0:
        return ridge_path(features, y, ridge).coefficients
    ridge = _checks.real("ridge", ridge, minimum=0)
    if ridge == 0:
        return torch.linalg.lstsq(features, y[:, None], driver="gelsd").solution[:, 0]
    n, m = features.shape
    primal = m <= n
    gram = product(features.T, features) if primal else product(features, features.T)
    gram.diagonal().add_(ridge)
    chol, info = torch.linalg.cholesky_ex(gram)
    if info:
        raise ValueError(f"ridge={ridge} is too small for the rank of the features in {gram.dtype}")
    pivots = chol.diagonal() ** 2  # their extremes bound the extreme eigenvalues from inside
    _warn_if_rough(float(pivots.max()), float(pivots.min()), chol.dtype)
    right = features.T @ y if primal else y
    a = torch.cholesky_solve(right[:, None], chol)[:, 0]
    return a if primal else features.T @ a


def _warn_if_rough(largest, smallest, dtype):
    """Warn where rounding errors may reach a hundredth of the solution."""
    if torch.finfo(dtype).eps * largest > 1e-2 * smallest:
        warnings.warn(
            f"the ridge system is ill-conditioned for {dtype}: its eigenvalues span a factor "
            f"{largest / max(smallest, 1e-300):.0e}; use float64 or a larger ridge",
            ConvergenceWarning,
            stacklevel=3,
        )


def _regression(features, y):
    features = _checks.tensor("features", features, 2)
    if features.shape[1] == 0:
        raise ValueError(f"features has shape {tuple(features.shape)}; it must have columns")
    y = _checks.tensor("y", y, 1, dtype=features.dtype, device=features.device)
    _checks.same_length("features", features, "y", y)
    return features, y
