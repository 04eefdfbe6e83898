"""Two levels of features: what the lower one learns alone, corrected, and jointly with the upper.

Inputs x are N(0, I_d). The lower level is p = (x'Ax - tr A) / sqrt(2), with ``|A|_F = 1``, and
labels are p + alpha (p^2 - 1) + noise. A learnt matrix M has the lower error ``|M - A|_F^2``. There
are N = d(d+1)/2 quadratic modes: (x_i^2 - 1) / sqrt(2) and x_i x_j, in the eigenbasis of A.

Sources: Allen-Zhu & Li 2023 (arXiv 2001.04413) for the question and the name. The formulas are
derived in the chapter `backward_correction`.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import qmc

from twolayer import _checks

__all__ = [
    "TwoLevels",
    "alpha_hat",
    "contraction",
    "lower_error",
    "mode_variances",
    "parabola",
    "refits",
]

_HOW = ("layerwise", "explaining", "joint")
_ROOT2 = math.sqrt(2)
_POINTS = 13  # power of two


@dataclasses.dataclass(frozen=True)
class TwoLevels:
    """Labels of two levels: p + alpha (p^2 - 1) + noise, with p = (x'Ax - tr A) / sqrt(2).

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        Of A; they are divided by their norm, so that E p^2 = 1, and kept as a tuple.
    alpha : float
        Strength of the upper level.
    noise : float
        Standard deviation of the label noise, >= 0.

    Examples
    --------
    >>> levels = TwoLevels([3.0, -4.0], alpha=0.3, noise=0.1)
    >>> levels.eigenvalues, levels.d, levels.modes
    ((0.6, -0.8), 2, 3)
    """

    eigenvalues: ArrayLike
    alpha: float
    noise: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "eigenvalues", tuple(_unit(self.eigenvalues).tolist()))
        object.__setattr__(self, "alpha", _checks.real("alpha", self.alpha))
        object.__setattr__(self, "noise", _checks.real("noise", self.noise, minimum=0))

    @property
    def d(self) -> int:
        """Dimension of the inputs."""
        return len(self.eigenvalues)

    @property
    def modes(self) -> int:
        """N = d(d+1)/2, the number of quadratic modes."""
        return self.d * (self.d + 1) // 2


def lower_error(
    eigenvalues: ArrayLike, alpha: float, n: int, noise: float, how: str, *, step: float = 1.0
) -> float:
    """Mean lower error ``|M - A|_F^2`` after training on n samples in one of three ways.

    Parameters
    ----------
    eigenvalues, alpha, noise
        As of `TwoLevels`.
    n : int
        Samples, more than N + 1.
    how : {"layerwise", "explaining", "joint"}
        The quadratic modes fitted to y; fitted again and again to y - alpha_hat h^2, with
        alpha_hat estimated anew each time; or both levels by least squares at once.
    step : float
        Of explaining away, see `contraction`.

    Returns
    -------
    float
        To first order in noise^2, and in 1/n but for a correction for the samples' leverages.
        Where explaining away does not contract, it ends on a cycle: then the mean error on the
        cycle with infinitely many samples. It is inf where single samples weigh too much for any
        prediction, as with few samples and alpha A mostly negative.

    Notes
    -----
    Samples contract less than their limit. Full refits (`step` 1) leave this prediction well
    before `contraction` is 1: at n = 20 N from about 0.7. Half steps follow it.

    Examples
    --------
    >>> spectrum = np.linspace(1, -0.4, 20)
    >>> ways = ["layerwise", "explaining", "joint"]
    >>> [round(lower_error(spectrum, 0.3, 8000, 0.3, how), 4) for how in ways]
    [0.0906, 0.002, 0.0015]
    """
    levels = TwoLevels(eigenvalues, alpha, noise)
    n = _samples(levels, n)
    _checks.one_of("how", how, _HOW)
    values, step = np.array(levels.eigenvalues), _step(step)
    spread = levels.noise**2 / n
    if how == "layerwise":
        bias, scatter = _bent(values, levels.alpha)
        return float(bias + scatter / n + spread * levels.modes * _inflation(values, 0.0, n, how))
    if how == "explaining" and contraction(values, levels.alpha, step=step) >= 1:
        rounds = round(min(1000 / step, 20_000))
        path = refits(values, levels.alpha, rounds, step=step)[-100:]
        return float(np.mean(np.sum((path - values) ** 2, axis=1)))
    if not spread:
        return 0.0
    variances = np.triu(mode_variances(values, levels.alpha, how)).sum()
    return float(spread * variances * _inflation(values, levels.alpha, n, how))


def parabola(eigenvalues: ArrayLike, alpha: float) -> np.ndarray:
    """Eigenvalues that layer-wise training learns from infinitely many samples.

    Parameters
    ----------
    eigenvalues, alpha
        As of `TwoLevels`.

    Returns
    -------
    ndarray, shape (d,)
        lambda + 2 sqrt(2) alpha lambda^2, of eigenvalues of norm one.

    Examples
    --------
    >>> parabola([3.0, -4.0], 0.3).round(3)
    array([ 0.905, -0.257])
    """
    values, alpha = _unit(eigenvalues), _checks.real("alpha", alpha)
    return values + 2 * _ROOT2 * alpha * values**2  # eq-bc-parabola


def alpha_hat(eigenvalues: ArrayLike, alpha: float, learnt: ArrayLike) -> float:
    """Strength that the upper level fits to y - h by h^2 and a constant, for a fixed lower level.

    Parameters
    ----------
    eigenvalues, alpha
        As of `TwoLevels`.
    learnt : array_like, shape (d,)
        Eigenvalues of the learnt matrix, for the same eigenvectors; they are not normalised.

    Examples
    --------
    >>> spectrum = np.linspace(1, -0.4, 20)
    >>> round(alpha_hat(spectrum, 0.3, parabola(spectrum, 0.3)), 2)  # the parabola hides it
    0.13
    """
    values, alpha = _unit(eigenvalues), _checks.real("alpha", alpha)
    learnt = _checks.real_array("learnt", learnt, ndim=1)
    if learnt.shape != values.shape or not learnt.any():
        raise ValueError(f"learnt={learnt} must hold {len(values)} numbers, not all zero")
    return float(_upper(values, alpha, learnt))


def contraction(eigenvalues: ArrayLike, alpha: float, *, step: float = 1.0) -> float:
    """Factor by which one more refit multiplies a small error: explaining away needs < 1.

    Parameters
    ----------
    eigenvalues, alpha
        As of `TwoLevels`.
    step : float
        Share of the way to the refitted matrix that is gone, in (0, 1]: small, it is gradient
        descent with the gradient stopped at the upper level.

    Examples
    --------
    >>> spectrum = np.linspace(1, -0.4, 20)
    >>> contraction(spectrum, 0.3) < 1 < contraction(spectrum, 0.6)
    True
    """
    values, alpha = _unit(eigenvalues), _checks.real("alpha", alpha)
    step = _step(step)
    slopes = np.linalg.eigvals(_slopes(values, alpha))
    if len(values) > 1:
        i, j = np.triu_indices(len(values), 1)
        slopes = np.append(slopes, 1 + 2 * _ROOT2 * alpha * (values[i] + values[j]))
    return float(abs(1 - step * slopes).max())


def mode_variances(eigenvalues: ArrayLike, alpha: float, how: str) -> np.ndarray:
    """Variances of the learnt matrix's coefficients, times n / noise^2, for many samples.

    Parameters
    ----------
    eigenvalues, alpha
        As of `TwoLevels`.
    how : {"explaining", "joint"}

    Returns
    -------
    ndarray, shape (d, d)
        Symmetric. Entry (i, i) is of the mode (x_i^2 - 1) / sqrt(2), whose coefficient is M_ii;
        entry (i, j) of the mode x_i x_j, whose coefficient is sqrt(2) M_ij. The lower error is
        noise^2 / n times the sum over i <= j.

    Examples
    --------
    >>> mode_variances([1.0, 1.0, -1.0], 0.3, "joint").round(2)
    array([[0.46, 0.21, 0.54],
           [0.21, 0.46, 0.54],
           [0.54, 0.54, 1.86]])
    """
    values, alpha = _unit(eigenvalues), _checks.real("alpha", alpha)
    _checks.one_of("how", how, _HOW[1:])
    total = values[:, None] + values
    first = 1 + 2 * _ROOT2 * alpha * total  # eq-bc-slope
    if how == "explaining":
        across = first**-2.0
        J = _jacobian(values, alpha)
        inverse = np.linalg.inv(J)
        along = np.diag(inverse @ _instruments(values) @ inverse.T)[:-2]  # eq-bc-errors
    else:
        second = 1 + 4 * (total**2 - np.outer(values, values))
        across = 1 / (2 * first - 1 + 4 * alpha**2 * second)  # eq-bc-joint
        along = np.diag(np.linalg.inv(_fisher(values, alpha)))[:-2]
    out = np.array(across)
    np.fill_diagonal(out, along)
    return out


def refits(eigenvalues: ArrayLike, alpha: float, rounds: int, *, step: float = 1.0) -> np.ndarray:
    """Eigenvalues through explaining away with infinitely many samples, from layer-wise training.

    Each round fits alpha_hat and a constant to y - h by h^2, then the modes to y - alpha_hat h^2.

    Parameters
    ----------
    eigenvalues, alpha, step
        As of `contraction`.
    rounds : int

    Returns
    -------
    ndarray, shape (rounds + 1, d)
        Row 0 is `parabola`.

    Examples
    --------
    >>> path = refits([3.0, -4.0], 0.1, 50)
    >>> path[-1].round(3)
    array([ 0.6, -0.8])
    """
    values, alpha = _unit(eigenvalues), _checks.real("alpha", alpha)
    rounds, step = _checks.integer("rounds", rounds, 0), _step(step)
    target = parabola(values, alpha)
    path = [target]
    for _ in range(rounds):
        learnt = path[-1]
        bent = 2 * _ROOT2 * _upper(values, alpha, learnt) * learnt**2
        path.append((1 - step) * learnt + step * (target - bent))  # eq-bc-refit
    return np.array(path)


def _unit(eigenvalues):
    """Eigenvalues of norm one."""
    values = _checks.real_array("eigenvalues", eigenvalues, ndim=1)
    size = float(np.linalg.norm(values)) if values.size else 0.0
    if not 0 < size < math.inf:
        raise ValueError(
            f"eigenvalues={eigenvalues!r} must hold at least one number that is not zero"
        )
    return values / size


def _samples(levels, n):
    """The number of samples, more than least squares needs."""
    n = _checks.positive_int("n", n)
    if n <= levels.modes + 1:
        raise ValueError(f"n={n} must be larger than N + 1 = {levels.modes + 1}")
    return n


def _step(step):
    step = _checks.real("step", step, minimum=0, strict=True)
    if step > 1:
        raise ValueError(f"step={step!r} must be at most 1")
    return step


# --- moments


def _fourth(values):
    """E p^4."""
    return 3 + 12 * np.sum(values**4)


def _jacobian(values, alpha):
    """E of (u, p^2, 1) times the gradient of the network in (M_ii, alpha_hat, constant)."""
    d = len(values)
    J = np.eye(d + 2)
    J[:d, :d] += 4 * _ROOT2 * alpha * np.diag(values)
    J[:d, d] = 2 * _ROOT2 * values**2
    J[d, :d] = J[:d, d] + 2 * alpha * (3 * values + 12 * values**3)
    J[d + 1, :d] = 2 * alpha * values
    J[d:, d:] = [[_fourth(values), 1], [1, 1]]  # eq-bc-blocks
    return J


def _instruments(values):
    """Gram matrix of (u, p^2, 1)."""
    return _fisher(values, 0.0)


def _fisher(values, alpha):
    """Gram matrix of the network's gradient in (M_ii, alpha_hat, constant)."""
    F = _jacobian(values, alpha)
    d = len(values)
    square = np.diag(1 + 12 * values**2) + 2 * np.outer(values, values)  # E p^2 u u'
    F[:d, :d] += 4 * _ROOT2 * alpha * np.diag(values) + 4 * alpha**2 * square
    F[:d, d:] = F[d:, :d].T
    return F


def _slopes(values, alpha):
    """What a refit sees of errors on the diagonal modes, with alpha_hat and constant refitted."""
    d = len(values)
    J = _jacobian(values, alpha)
    return J[:d, :d] - J[:d, d:] @ np.linalg.solve(J[d:, d:], J[d:, :d])


def _upper(values, alpha, learnt):
    """alpha_hat: the slope of y - h on h^2, for h of the same eigenvectors as p."""
    overlap, size = values @ learnt, learnt @ learnt
    shared = 2 * _ROOT2 * (values @ learnt**2 - np.sum(learnt**3))
    shared += alpha * (2 * overlap**2 + 12 * np.sum(values**2 * learnt**2))
    return shared / (2 * size**2 + 12 * np.sum(learnt**4))


def _bent(values, alpha):
    """Of layer-wise training without noise: squared bias, and n times what few samples add.

    The residual is no noise: its square and its product with the bias are weighted by the
    leverage sum_k Y_k^2, a function of ``|x|^2`` alone.
    """
    d, bend = len(values), 2 * _ROOT2 * alpha * values**2
    rest = [(alpha, [values / _ROOT2] * 2), (-alpha, []), (-1.0, [bend / _ROOT2])]
    ones = np.ones(d)
    leverage = [(0.5, [ones, ones]), (d - 1.0, [ones]), (d * (d - 1) / 2, [])]
    scatter = _mean(_times(_times(rest, rest), leverage))
    scatter -= 2 * _mean(_times(_times(rest, [(1.0, [bend / _ROOT2])]), leverage))
    return bend @ bend, scatter


# --- leverages


@functools.lru_cache(maxsize=8)
def _points(d):
    """A fixed rule for averages over N(0, I_d)."""
    return ndtri(qmc.Sobol(d, seed=0).random_base2(_POINTS))


def _inflation(values, alpha, n, how):
    """By what factor n samples raise the first-order variances.

    As if a sample's slope u = 1 + 2 alpha p and length m = sum_k Y_k^2 were independent of the
    directions of its modes. The inverse Gram matrix is then k times the identity, and the
    leverages k u^2 m / (1 + k u^2 m) sum to N. Explaining away weighs by u: its matrix is not a
    Gram matrix, and its variance is the derivative of k by a shift of u.
    """
    x, d = _points(len(values)), len(values)
    square = np.sum(x**2, axis=1)
    m = (square**2 - 2 * square + d) / 2
    u = 1 + 2 * alpha * ((x**2 - 1) @ values / _ROOT2)
    share = d * (d + 1) / 2 / n
    weight = u * m if how == "explaining" else u**2 * m
    first = share / np.mean(weight)
    k = _scale(weight, share, first)  # eq-bc-finite, without directions
    if k == math.inf:
        return k
    if how != "explaining":
        return k / first
    down = (1 + k * weight) ** 2
    slope = np.mean(m / down) / np.mean(weight / down)
    return k / first * slope / (np.mean(m) / np.mean(weight))


def _scale(weight, share, k):
    """The k for which k w / (1 + k w) has the mean `share`; inf where there is none."""
    if weight.min() >= 0:
        return math.exp(brentq(lambda s: np.mean(1 / (1 + np.exp(-s) / weight)) - share, -99, 99))
    for _ in range(500):
        down = 1 + k * weight
        if not 0 < down.min() < math.inf or k < 0:
            break
        k, last = share / np.mean(weight / down), k
        if abs(k - last) < 1e-10 * k:
            return k
    return math.inf


# --- means of polynomials


def _times(left, right):
    return [(a * b, v + w) for a, v in left for b, w in right]


def _mean(terms):
    """Mean of a sum of products of centred quadratic forms sum_i w_i (x_i^2 - 1)."""
    return sum(scale * _moment(weights) for scale, weights in terms)


def _moment(weights):
    """By cumulants: those of forms w_1 .. w_k are 2^(k-1) (k-1)! sum_i prod w_i."""
    if not weights:
        return 1.0
    first, *others = weights
    total = 0.0
    for mask in range(1, 1 << len(others)):
        block = [w for i, w in enumerate(others) if mask >> i & 1]
        left = [w for i, w in enumerate(others) if not mask >> i & 1]
        k = len(block) + 1
        # eq-bc-cumulants
        cumulant = 2 ** (k - 1) * math.factorial(k - 1) * np.sum(first * np.prod(block, axis=0))
        total += cumulant * _moment(left)
    return total
