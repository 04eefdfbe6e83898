"""Spikes of higher degree after one large step, and the error of readouts of any law.

After a step of size eta = r sqrt(m) / (mu1 |g|) neuron j sees ``r g_j k``, k the input's
projection on the gradient, on top of a Gaussian of its own. Readouts ``g_j / sqrt(m)`` of one size
give all neurons one function of k; Gaussian ones give a series of them, a spike each.

Sources: Moniri, Lee, Hassani and Dobriban 2023 (arXiv 2310.07891) for the spikes and their
exponents; constants, overlaps and the learning curve are derived in the chapter `higher_spikes`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.activations import Activation
from twolayer.data import as_link
from twolayer.theory import _bulk, _readouts, _spike
from twolayer.theory.exact_curves import _pairs
from twolayer.theory.one_step import FirstStep

__all__ = ["Step", "learning_curve", "learnt_function"]


@dataclasses.dataclass(frozen=True)
class Step:
    """One large gradient step of a network whose readouts follow a law.

    Inputs are N(0, I_d), labels link(theta.x) + noise, theta a unit vector. Rows of W0 are uniform
    on the unit sphere; readouts of the step are g_j / sqrt(m), with E g^2 = 1.

    Parameters
    ----------
    activation : str or Activation
        With E[sigma'] not 0. One that is not odd asks for labels of mean 0.
    link : str, callable, sequence of float or None
        See `twolayer.data.as_link`. None where labels come from elsewhere (`theory.mixtures`).
    alpha0 : float
        n0/d, samples of the step per dimension, > 0.
    r : float
        Spike inside a neuron with g = 1: eta mu1 |g| / sqrt(m), >= 0.
    width_ratio : float
        m/d, > 0.
    readout : {"gaussian", "equal"} or int
        Law of g: N(0, 1); 1 or -1; or that many sizes, of both signs: the Gauss-Hermite rule with
        twice as many nodes.
    noise : float
        Standard deviation of the label noise, >= 0.
    d : float
        Input dimension: strengths of the spikes beyond the first grow as its square root.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=0.5)
    >>> round(step.cosine, 3), round(step.eta / step.m**0.5, 3)
    (0.954, 0.987)
    """

    activation: str | Activation
    link: str | Callable | Sequence[float] | None
    alpha0: float
    r: float
    width_ratio: float = 1.0
    readout: str | int = "gaussian"
    noise: float = 0.0
    d: float = 500

    def __post_init__(self):
        if isinstance(self.link, list | tuple | np.ndarray):  # hashable, as the caches need it
            object.__setattr__(self, "link", tuple(np.ravel(self.link).tolist()))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Hashable):
                raise TypeError(f"{field.name}={value!r} must be hashable (a number, a name, ...)")
        _checks.real("r", self.r, minimum=0)
        _checks.real("d", self.d, minimum=1)
        if isinstance(self.readout, str):
            _checks.one_of("readout", self.readout, ("gaussian", "equal"))
        else:
            _checks.integer("readout", self.readout, 1, 100)
        first = self._first  # checks the rest
        if abs(first.slope) < 1e-12:
            raise ValueError(
                f"activation={self.activation!r} has E[sigma'] = 0: no step gives a spike"
            )
        if self.link is not None:
            _readouts.check_mean(self, _mean(self.link), "link", self.link)

    @property
    def _first(self):
        link = "identity" if self.link is None else self.link
        return _first(self.activation, link, self.alpha0, self.width_ratio, self.noise)

    @property
    def first(self) -> FirstStep:
        """The same step as a `FirstStep`: moments of activation and link."""
        if self.link is None:
            raise ValueError("link=None: this step has no labels of its own")
        return self._first

    @property
    def m(self) -> float:
        """Width."""
        return self.width_ratio * self.d

    @property
    def gradient_norm(self) -> float:
        """Norm of ``X'y/n0``."""
        return self.first.gradient_norm

    @property
    def cosine(self) -> float:
        """Cosine of the angle between ``X'y/n0`` and the target's direction."""
        return self.first.linear_part / self.first.gradient_norm

    @property
    def eta(self) -> float:
        """Step size, r sqrt(m) / (mu1 |g|)."""
        return self.r * math.sqrt(self.m) / (self._first.slope * self.gradient_norm)

    @property
    def linear_bound(self) -> float:
        """Least test error of a linear predictor, label noise included."""
        return self.first.linear_bound

    def excess(self, second_moment: float, gradient_norm: float) -> float:
        """Noise of the step in a neuron: its squared norm without the spike is 1 + excess g^2."""
        size = (self.r / (self._first.slope * gradient_norm)) ** 2  # eta^2 / m
        return size * _bulk.slope_moments(self.activation)[0] * second_moment / self.alpha0


_first = functools.lru_cache(maxsize=128)(FirstStep)


@functools.lru_cache(maxsize=128)
def _mean(link):
    f = as_link(link)
    return float(_spike.moments(f, np.zeros(1), 1.0)[0][0])


@functools.lru_cache(maxsize=32)
def _tables(step, finer=1):
    """Inputs and neurons on the grid: once for a curve."""
    cosine, link = step.cosine, as_link(step.link)
    sine = math.sqrt(1 - cosine**2)
    width = min(1.5 / (1 + 4 * step.r), 3 * sine / max(abs(cosine), 1e-9))
    k, w = _readouts.graded(width, step=_readouts.STEP / finer)
    w = w * _readouts.density(k)
    e0, e1, _, rest = _spike.moments(link, cosine * k, sine)
    second = step.first.second_moment
    rest = rest + step.noise**2
    if abs(w @ (e0**2 + e1**2 + rest) - second) > 1e-6 * second:
        raise ValueError(
            f"link={step.link!r}: quadrature does not converge; where the link jumps or "
            "bends, give it as an Activation with its kinks"
        )
    inputs = _readouts.Inputs(k, w, 0 * k, 1 + 0 * k, e0, e1, rest)
    excess = step.excess(second, step.gradient_norm)
    return inputs, _readouts.neurons(step.activation, step.r, excess, step.readout, tuple(k))


def learning_curve(step: Step, alpha: ArrayLike, ridge: ArrayLike) -> np.ndarray | float:
    """Test error E (y - f)^2 of ridge regression on the features after the step, noise included.

    Parameters
    ----------
    step : Step
    alpha : array_like
        n/d, fresh samples of the readout per dimension, > 0.
    ridge : array_like
        Ridge > 0 of `twolayer.ridge.fit_readout` on the features, added to the sum of squares;
        broadcast against `alpha`.

    Returns
    -------
    ndarray or float
        In the units of y^2; nan where the fixed point did not converge.

    Warns
    -----
    ConvergenceWarning
        If an entry did not converge.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=0.5)
    >>> learning_curve(step, [2.0, 8.0], ridge=1.0).round(3)
    array([0.363, 0.326])
    """
    _check(step)
    alpha, ridge = _pairs(alpha, ridge)
    tables = functools.partial(_tables, step)
    return _readouts.curve(step, tables, alpha, ridge, lambda fit, inputs: inputs.w @ fit.error)


def learnt_function(
    step: Step, alpha: float, ridge: float, projection: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """The learnt function along the spike, E[f(x) given v.x], and the target's, E[y given v.x].

    Parameters
    ----------
    step : Step
    alpha, ridge : float
        As in `learning_curve`.
    projection : array_like, shape (p,)
        The input's coordinate v.x along the gradient: standard Gaussian; at most 9 in size.

    Returns
    -------
    learnt, target : ndarray, shape (p,)

    Warns
    -----
    ConvergenceWarning
        If the fixed point did not converge; `learnt` is then nan.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=0.5)
    >>> learnt, target = learnt_function(step, 8.0, 1.0, [0.5, 1.0])
    >>> learnt.round(3), target.round(3)
    (array([0.509, 0.919]), array([0.889, 0.999]))
    """
    _check(step)
    tables = functools.partial(_tables, step)
    return _readouts.learnt(step, tables, alpha, ridge, projection)


def _check(step):
    if not isinstance(step, Step):
        raise TypeError(f"step={step!r} must be a Step")
