"""Two levels of features: what the lower one learns alone, corrected, and jointly with the upper.

Inputs x are N(0, I_d). The lower level is p = (x'Ax - tr A) / sqrt(2), with |A|_F = 1, and labels
are p + alpha (p^2 - 1) + noise. A learnt matrix M has the lower error |M - A|_F^2. There are
N = d(d+1)/2 quadratic modes: (x_i^2 - 1) / sqrt(2) and x_i x_j, in the eigenbasis of A.

Sources: Allen-Zhu & Li 2023 (arXiv 2001.04413) for the question and the name. The formulas are
derived in the chapter `backward_correction`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks

__all__ = [
    "TwoLevels",
    "contraction",
    "lower_error",
    "mode_variances",
    "parabola",
    "refits",
]

_HOW = ("layerwise", "explaining", "joint")
_ROOT2 = math.sqrt(2)


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


def lower_error(eigenvalues: ArrayLike, alpha: float, n: int, noise: float, how: str) -> float:
    """Mean lower error |M - A|_F^2 after training on n samples in one of three ways.

    Parameters
    ----------
    eigenvalues, alpha, noise
        As of `TwoLevels`.
    n : int
        Samples, more than N + 1.
    how : {"layerwise", "explaining", "joint"}
        The quadratic modes fitted to y; fitted again and again to y - alpha_hat h^2; or both
        levels by least squares at once.

    Examples
    --------
    >>> spectrum = np.linspace(1, -0.4, 20)
    >>> round(lower_error(spectrum, 0.3, 4000, 0.3, "layerwise"), 3)
    0.1
    """
    raise NotImplementedError


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
    return values + 2 * _ROOT2 * alpha * values**2


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
    raise NotImplementedError


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
    >>> mode_variances([1.0, 1.0], 0.0, "joint").round(3)
    array([[1., 1.],
           [1., 1.]])
    """
    raise NotImplementedError


def refits(
    eigenvalues: ArrayLike, alpha: float, rounds: int, *, step: float = 1.0
) -> np.ndarray:
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
    raise NotImplementedError


def _unit(eigenvalues):
    """Eigenvalues of norm one."""
    values = _checks.real_array("eigenvalues", eigenvalues, ndim=1)
    size = float(np.linalg.norm(values)) if values.size else 0.0
    if not 0 < size < math.inf:
        raise ValueError(
            f"eigenvalues={eigenvalues!r} must hold at least one number that is not zero"
        )
    return values / size
