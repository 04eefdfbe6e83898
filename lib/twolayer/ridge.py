"""Ridge regression of a readout: one ridge, a path of them, generalised cross-validation."""

import dataclasses
import warnings

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from twolayer import _checks

__all__ = ["RidgePath", "fit_readout", "ridge_path"]

_GRID = np.logspace(-6, 2, 41)  # of the features' mean squared norm per column


@dataclasses.dataclass(frozen=True, eq=False)
class RidgePath:
    """Readouts for many ridges; of several outputs, a trailing axis counts them.

    Parameters
    ----------
    ridges : ndarray, shape (k,)
    coefficients : ndarray, shape (k, m) or (k, m, q)
        A readout a ridge.
    intercepts : ndarray, shape (k,) or (k, q)
        Zero where none was fitted.
    gcv : ndarray, shape (k,) or (k, q)
        Generalised cross-validation score, n RSS / (n - dof)^2, in the units of y^2.
    dof : ndarray, shape (k,)
        Effective degrees of freedom, the trace of the smoother, the intercept's included.
    """

    ridges: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray
    gcv: np.ndarray
    dof: np.ndarray

    @property
    def best(self) -> int | np.ndarray:
        """Index of the ridge with the lowest GCV score, of each output."""
        index = np.nanargmin(self.gcv, axis=0)
        return index if index.ndim else int(index)

    @property
    def chosen(self) -> tuple[np.ndarray, np.ndarray | float]:
        """The readout at `best`, shape (m,) or (m, q), and its intercept."""
        if self.gcv.ndim == 1:
            return self.coefficients[self.best], self.intercepts[self.best]
        outputs = np.arange(self.gcv.shape[1])
        return self.coefficients[self.best, :, outputs].T, self.intercepts[self.best, outputs]


def ridge_path(
    features: ArrayLike,
    y: ArrayLike,
    ridges: ArrayLike | None = None,
    *,
    intercept: bool = False,
    sample_weight: ArrayLike | None = None,
) -> RidgePath:
    """Ridge readouts for a whole path of ridges from one eigendecomposition.

    Each minimises ``|y - features a|^2 + ridge |a|^2`` (a sum over samples, as in scikit-learn's
    `Ridge` with ``fit_intercept=False``).

    Parameters
    ----------
    features : array_like, shape (n, m)
    y : array_like, shape (n,), or (n, q) for q outputs
    ridges : array_like, shape (k,), optional
        Each > 0; 41 from 1e-6 to 1e2 of the features' mean squared norm per column without it.
    intercept : bool
        Whether a constant, on which there is no ridge, is fitted too.
    sample_weight : array_like, shape (n,), optional
        Each >= 0. Weights are counts: 2 stands for the same sample twice.

    Returns
    -------
    RidgePath

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
    array([[1.]])
    """
    problem = _Problem.of(features, y, intercept, sample_weight)
    if ridges is None:
        ridges = problem.grid()
        if not intercept:
            _warn_if_centred(problem)
    ridges = _checks.real_array("ridges", ridges, minimum=0, strict=True)
    if ridges.ndim != 1 or ridges.size == 0:
        raise ValueError(f"ridges has shape {ridges.shape}; it must be a non-empty vector")
    path, (smallest, largest) = _path(problem, ridges)
    _warn_if_rough(largest, smallest + ridges.min(), problem.F.dtype)
    return path


def fit_readout(
    features: ArrayLike,
    y: ArrayLike,
    ridge: float | ArrayLike | str = 1.0,
    *,
    intercept: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray | float]:
    """Fit the readout by ridge regression: minimise ``|y - features a|^2 + ridge |a|^2``.

    Parameters
    ----------
    features : array_like, shape (n, m)
        Of `TwoLayer.features`, say.
    y : array_like, shape (n,), or (n, q) for q outputs
    ridge : float, array_like or "gcv"
        A number >= 0 gives one readout, by Cholesky of the smaller Gram matrix (0: the least
        squares solution of least norm); a vector of numbers > 0 gives a readout for each, from
        one eigendecomposition; ``"gcv"`` takes the best of `ridge_path`, for each output.
    intercept : bool
        Whether a constant, on which there is no ridge, is fitted too: ``(a, intercept)`` comes out.

    Returns
    -------
    ndarray, shape (m,), (k, m) for a vector of k ridges, or either with a last axis of q outputs
        In the precision of `features`.

    Raises
    ------
    ValueError
        If a ridge is so small that the Gram matrix is not positive definite in this precision.

    Warns
    -----
    ConvergenceWarning
        If the system is so ill-conditioned for this precision that rounding errors may reach a
        hundredth of the solution, as in float32 near interpolation.
    UserWarning
        If ``"gcv"`` is asked of centred data with n <= m + 1 without an intercept. Centring uses up
        a degree of freedom that GCV doesn't know of: it takes the smallest ridge, whatever the data
        (scikit-learn's issue 1807 is the same of `RidgeCV`).

    Examples
    --------
    >>> fit_readout([[1.0], [1.0]], [1.0, 3.0], ridge=2.0)
    array([1.])
    """
    problem = _Problem.of(features, y, intercept, None)
    if isinstance(ridge, str):
        _checks.one_of("ridge", ridge, ("gcv",))
        if not intercept:
            _warn_if_centred(problem)
        path, (smallest, largest) = _path(problem, problem.grid())
        _warn_if_rough(largest, smallest + path.ridges[np.min(path.best)], problem.F.dtype)
        a, constant = path.chosen
    elif np.ndim(ridge) > 0:
        path = ridge_path(features, y, ridge, intercept=intercept)
        a, constant = path.coefficients, path.intercepts
    else:
        a = problem.squeeze(_solve(problem, _checks.real("ridge", ridge, minimum=0)))
        constant = problem.constant(a)
    return (a, constant) if intercept else a


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    """Features and labels of shape (n, q), centred for an intercept, times roots of the weights."""

    F: np.ndarray
    Y: np.ndarray
    single: bool  # whether y came as a vector
    intercept: bool
    count: float  # of samples: the sum of the weights
    means: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, features, y, intercept, sample_weight):
        F = _checks.real_array("features", features, 2, dtype=None, copy=False)
        if F.shape[1] == 0:
            raise ValueError(f"features has shape {F.shape}; it must have columns")
        Y = _checks.real_array("y", y, dtype=F.dtype, copy=False)
        if Y.ndim not in (1, 2):
            raise ValueError(f"y has shape {Y.shape}; it must be (n,) or (n, outputs)")
        _checks.same_length("features", F, "y", Y)
        single, Y = Y.ndim == 1, Y.reshape(len(Y), -1)
        weights = None
        if sample_weight is not None:
            weights = _checks.real_array("sample_weight", sample_weight, minimum=0).astype(F.dtype)
            if weights.shape != (len(F),) or not weights.any():
                raise ValueError(
                    f"sample_weight has shape {weights.shape} and sum {weights.sum():g}; it must "
                    f"be {len(F)} numbers, not all of them zero"
                )
        means = np.zeros(F.shape[1], F.dtype), np.zeros(Y.shape[1], F.dtype)
        if intercept:
            means = np.average(F, 0, weights), np.average(Y, 0, weights)
            F, Y = F - means[0], Y - means[1]
        if weights is not None:
            root = np.sqrt(weights)[:, None]
            F, Y = root * F, root * Y
        count = len(F) if weights is None else float(weights.sum())
        return cls(F, Y, single, bool(intercept), count, means)

    @property
    def primal(self):
        """Whether the Gram matrix of the columns is the smaller one."""
        n, m = self.F.shape
        return m <= n - self.intercept

    def gram(self):
        return self.F.T @ self.F if self.primal else self.F @ self.F.T

    def grid(self):
        size = float(np.square(self.F, dtype=float).sum())
        return (size / min(self.count, self.F.shape[1]) or 1.0) * _GRID

    def constant(self, a):
        """The intercept of readouts, shape (..., m) or (..., m, q)."""
        centre, mean = self.means
        return mean[0] - a @ centre if self.single else mean - centre @ a

    def squeeze(self, a):
        """Readouts, shape (..., m, q), without the last axis where y came as a vector."""
        return a[..., 0] if self.single else a


def _solve(problem, ridge):
    """The readout of one ridge, shape (m, q)."""
    F, Y = problem.F, problem.Y
    if ridge == 0:
        cut = max(F.shape) * np.finfo(F.dtype).eps
        return scipy.linalg.lstsq(F, Y, cond=cut, lapack_driver="gelsd", check_finite=False)[0]
    gram = problem.gram()
    if problem.intercept and not problem.primal:  # no row of F or Y has a constant: any size of it
        gram += np.trace(gram) / len(gram) ** 2
    gram.flat[:: len(gram) + 1] += ridge
    try:  # of the transpose, the same matrix: its columns are contiguous, so that none is copied
        factor = scipy.linalg.cho_factor(gram.T, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"ridge={ridge} is too small for the rank of the features in {gram.dtype}"
        ) from None
    pivots = np.diagonal(factor[0]) ** 2  # their extremes bound the extreme eigenvalues from inside
    _warn_if_rough(float(pivots.max()), float(pivots.min()), gram.dtype, stacklevel=4)
    if problem.primal:
        return scipy.linalg.cho_solve(factor, F.T @ Y, check_finite=False)
    return F.T @ scipy.linalg.cho_solve(factor, Y, check_finite=False)


def _path(problem, ridges):
    """The path, and the extreme eigenvalues of the Gram matrix."""
    F, Y = problem.F, problem.Y
    s, Q = scipy.linalg.eigh(problem.gram().T, driver="evd", overwrite_a=True, check_finite=False)
    if problem.intercept and not problem.primal:  # the constant has been taken out
        s, Q = s[1:], Q[:, 1:]
    s = s.clip(min=0)
    extremes = float(s.min(initial=np.inf)), float(s.max(initial=0))
    if problem.primal:
        c = Q.T @ (F.T @ Y)
        kept = s > s.max() * len(s) * np.finfo(s.dtype).eps
        solution = np.divide(c, s[:, None], out=np.zeros_like(c), where=kept[:, None])
        projected = np.sqrt(s)[:, None] * solution
        outside = np.square(Y - F @ (Q @ solution)).sum(0)  # part of y no readout can reach
    else:
        c = projected = Q.T @ Y
        outside = np.zeros(Y.shape[1], s.dtype)
    lam = ridges[:, None]
    left = lam / (s + lam)
    dual = (c.T / (s + lam)[:, None]).reshape(-1, len(s))  # a row for each ridge and output
    dual = dual.astype(s.dtype, copy=False)
    a = dual @ Q.T if problem.primal else dual @ Q.T @ F
    a = a.reshape(len(ridges), Y.shape[1], -1).swapaxes(1, 2)
    coefficients = problem.squeeze(a)
    rss = outside + left**2 @ projected**2
    free = problem.count - problem.intercept - len(s) + left.sum(1)  # n - dof, no cancellation
    with np.errstate(divide="ignore", invalid="ignore"):
        gcv = np.where(free[:, None] > 0, problem.count * rss / free[:, None] ** 2, np.inf)
    path = RidgePath(
        ridges,
        coefficients,
        problem.constant(coefficients),
        problem.squeeze(gcv),
        (s / (s + lam)).sum(1) + problem.intercept,
    )
    return path, extremes


def _warn_if_rough(largest, smallest, dtype, stacklevel=3):
    """Warn where rounding errors may reach a hundredth of the solution."""
    if np.finfo(dtype).eps * largest > 1e-2 * smallest:
        _checks.warn_convergence(
            f"the ridge system is ill-conditioned for {dtype}: its eigenvalues span a factor "
            f"{largest / max(smallest, 1e-300):.0e}; use float64 or a larger ridge",
            stacklevel + 1,
        )


def _warn_if_centred(problem):
    """Warn where GCV without an intercept takes the smallest ridge, whatever the data."""
    F, Y = problem.F, problem.Y
    n, m = F.shape
    if n > m + 1:
        return
    rounding = 100 * np.finfo(F.dtype).eps
    if all((abs(v.mean(0)) <= rounding * abs(v).max()).all() for v in (F, Y)) and F.any():
        warnings.warn(
            f"features and y are centred and n = {n} <= m + 1 = {m + 1}: GCV takes the smallest "
            "ridge, whatever the data; use intercept=True",
            stacklevel=3,
        )
