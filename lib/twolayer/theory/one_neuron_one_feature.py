"""Online descent of one neuron on many features: M lotteries, and which of them is drawn.

Inputs x ~ N(0, I_d), labels y of the M projections z_i = u_i.x on orthonormal features u_i, the
first M axes, and a neuron sigma(z), z = w.x, with w on the unit sphere. Each step takes a fresh
sample, for the correlation loss -y sigma(z), along the sphere:

    w <- (w + eta U (x - z w)) / norm,   U = y sigma'(z'),   z' = z + (c/d) y sigma'(z) |x|^2,

with the inner step c = 0 for a plain step, c > 0 for a sample that is looked at twice. What is
watched are the M overlaps rho_i = w.u_i. Time is tau, in t = tau M d^2 steps.

Sources: Oko, Song, Suzuki & Wu 2024 for many features; Abbe, Boix-Adsera & Misiakiewicz 2022, 2023
for stairs; Ben Arous, Gheissari & Jagannath 2021 for the time of one.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations
from twolayer.data import as_link
from twolayer.hermite import nodes

__all__ = ["Features"]


@dataclasses.dataclass(frozen=True)
class Features:
    """One neuron on the sphere, a target of M orthonormal features, a fresh sample every step.

    Parameters
    ----------
    d : int
        Input dimension, at least `features` + 1.
    features : int
        Number M of features.
    target : str, Activation, sequence of float or callable
        A name, an Activation or Hermite coefficients (see `twolayer.data.as_link`) give
        sum_i link(z_i) / sqrt(M). Any other callable takes projections of shape (n, M) and gives
        labels of shape (n,).
    eta : float
        Step size, > 0.
    activation : str, Activation or sequence of float, optional
        The neuron's, with Hermite coefficients as in `as_link`; the link without it.
    inner_step : float
        c of the second look, >= 0; 0 for one look.

    Examples
    --------
    >>> config = Features(d=100, features=4, target="he3", eta=1e-3)
    >>> config.label(np.array([[1.0, -1.0, 0.0, 2.0]])).round(4)  # 2 / (sqrt(6) sqrt(4))
    array([0.4082])
    """

    d: int
    features: int
    target: str | activations.Activation | Sequence[float] | Callable
    eta: float
    activation: str | activations.Activation | Sequence[float] | None = None
    inner_step: float = 0.0

    def __post_init__(self):
        features = _checks.positive_int("features", self.features)
        _checks.integer("d", self.d, features + 1)
        if not _joint(self.target):
            as_link(self.target)
        _checks.real("eta", self.eta, minimum=0, strict=True)
        _checks.real("inner_step", self.inner_step, minimum=0)
        if self.activation is None and _joint(self.target):
            raise ValueError("activation=None: a callable target needs an activation beside it")
        _, slope, kinks = _neuron(self)
        if not np.any(slope(nodes(kinks)[0])):
            raise ValueError(f"activation={_given(self)!r} has no slope: the neuron never moves")

    def label(self, z: np.ndarray) -> np.ndarray:
        """Labels, shape (n,), of projections `z`, shape (n, M)."""
        if _joint(self.target):
            y = np.asarray(self.target(z))
            if y.shape != z.shape[:1]:
                raise ValueError(
                    f"target gives shape {y.shape} for projections of shape {z.shape}; "
                    f"it must give {z.shape[:1]}"
                )
            return y
        flat = as_link(self.target)(z.ravel())
        return flat.reshape(z.shape).sum(1) / math.sqrt(self.features)

    @property
    def slope(self) -> Callable[[np.ndarray], np.ndarray]:
        """The derivative of the activation."""
        return _neuron(self)[1]


def _joint(target):
    """Whether a target is a callable of all projections, not a link."""
    return callable(target) and not isinstance(target, activations.Activation)


def _given(config):
    return config.target if config.activation is None else config.activation


def _neuron(config):
    """The neuron's function, its derivative and its kinks."""
    given = _given(config)
    if isinstance(given, str | activations.Activation):
        found = activations.get(given)
        return found, found.derivative_at, found.kinks
    if callable(given):
        raise TypeError(
            f"activation={given!r} must be a name, an Activation or Hermite coefficients"
        )
    c = _checks.real_array("activation", given)
    slope = c[1:] * np.sqrt(np.arange(1, c.size))  # He_k' = k He_{k-1}
    return as_link(c), as_link(slope if slope.size else [0.0]), ()
