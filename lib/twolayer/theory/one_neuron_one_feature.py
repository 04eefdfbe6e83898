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
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations
from twolayer.data import as_link
from twolayer.hermite import nodes

__all__ = [
    "Features",
    "escape_law",
    "escape_time",
    "largest_start_wins",
    "win_probability",
]


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


# --- the lottery of one feature: a diffusion of hat rho = sqrt(d) rho, absorbed on escape


def _diffusion(features, step, mu):
    """Drift and variance of hat rho per unit of tau, as d goes to infinity."""
    drift = 3 * step * mu**2 - 1.5 * step**2 * mu
    return drift, 3 * step**2 * (1 + 6 / features) + 0 * mu  # eq-nf-diffusion


def _kicks(features, step, d, mu):
    """The same in dimension d: mean and mean square of the chain's steps along one axis.

    One projection V and the rest of z by quadrature, the other labels W = sum_j h_3(V_j) / sqrt(M
    - 1) by the rule of three nodes with their first five moments, s by its mean given W.
    """
    x, weight = nodes(n_nodes=48)
    fourth = 3 + 90 / max(features - 1, 1)  # E[h_3^4] = 93
    W = math.sqrt(fourth) * np.array([-1.0, 0.0, 1.0])
    in_W = np.array([0.5, fourth - 1, 0.5]) / fourth
    more = np.where(W, 6.0, -6 / (fourth - 1))  # of |x|^2: cov(W^2, sum_j V_j^2) = 6
    if features == 1:
        W, in_W, more = np.zeros(1), np.ones(1), np.zeros(1)
    V, t = x[:, None, None], x[:, None]
    y = (_h3(V) + math.sqrt(features - 1) * W) / math.sqrt(features)
    weight = weight[:, None, None] * weight[:, None] * in_W
    eta, moments = step / math.sqrt(features) / d**1.5, []
    for rho in mu / math.sqrt(d):
        sine = math.sqrt(1 - rho * rho)
        z, across = rho * V + sine * t, sine * V - rho * t
        move = eta * y * math.sqrt(1.5) * (z * z - 1)
        norm = np.sqrt(1 + move**2 * np.maximum(across**2 + d - 2 + more, 0))
        change = (rho * (1 - norm) + move * sine * across) / norm
        moments.append([(weight * change).sum(), (weight * change**2).sum()])
    drift, square = np.transpose(moments) * features * d * d
    return math.sqrt(d) * drift, d * square


def _h3(z):
    return (z**3 - 3 * z) / math.sqrt(6)


def _bernoulli(x):
    """x / (exp(x) - 1)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(abs(x) < 1e-6, 1 - x / 2, x / np.expm1(np.minimum(x, 700.0)))


@functools.lru_cache(maxsize=64)
def _survival(features, step, d, cells=1200, growth=0.01):
    """Times, starts, their probabilities, and the share of each start that is left: S[time, start].

    The backward equation of the diffusion on a grid with exponentially fitted rates, by TR-BDF2
    on times that grow in proportion, until all M are left with probability 1e-6. Above the grid
    the noise is forgotten: what is left of the way to infinity is added to the times.
    """
    if d == math.inf:
        top = max(8.0, 2 * step, 6 * (step * (1 + 6 / features)) ** (1 / 3))
        mu = np.linspace(-6, top, cells + 1)
        drift, square = _diffusion(features, step, mu)
        rest = -math.log1p(-step / (2 * top)) / (1.5 * step**2)
        density = np.exp(-mu * mu / 2)
    else:
        mu = np.linspace(-min(6.0, 0.95 * math.sqrt(d)), math.sqrt(d) / 2, cells + 1)
        coarse = np.linspace(mu[0], mu[-1], 81)  # the moments are smooth
        spline = _interpolant(coarse, np.transpose(_kicks(features, step, d, coarse)))
        drift, square = spline(mu).T
        rest, density = 0.0, (1 - mu * mu / d) ** ((d - 3) / 2)
    probability = density[:-1] / density.sum()
    h = mu[1] - mu[0]
    tilt = (drift[1:] / square[1:] + drift[:-1] / square[:-1]) * h
    up = square[:-1] / 2 * _bernoulli(-tilt) / h**2
    down = np.append(0.0, (square[1:-1] / 2 * _bernoulli(tilt[:-1]) / h**2))
    left, times = [np.ones(cells)], [0.0]
    while len(times) < 3500 and (probability @ left[-1]) ** features > 1e-6:
        dt = max(3e-3 / step, growth * times[-1])
        left.append(_implicit_step(up, down, left[-1], dt))
        times.append(times[-1] + dt)
    return np.array(times) + rest, mu[:-1], probability, np.array(left)


def _interpolant(x, y):
    from scipy.interpolate import CubicSpline  # slow to load

    return CubicSpline(x, y)


def _implicit_step(up, down, left, dt):
    """TR-BDF2 for d left / dt = rates: of second order, and damps what a step cannot resolve."""
    from scipy.linalg import solve_banded  # slow to load

    part = 2 - math.sqrt(2)
    k = part * dt / 2
    bands = np.zeros((3, left.size))
    bands[0, 1:], bands[1], bands[2, :-1] = -k * up[:-1], 1 + k * (up + down), -k * down[1:]
    change = -(up + down) * left
    change[:-1] += up[:-1] * left[1:]
    change[1:] += down[1:] * left[:-1]
    middle = solve_banded((1, 1), bands, left + k * change, check_finite=False)
    mixed = (middle - (1 - part) ** 2 * left) / (part * (2 - part))
    return np.clip(solve_banded((1, 1), bands, mixed, check_finite=False), 0, 1)


def _check_lottery(features, step, d):
    features = _checks.positive_int("features", features)
    step = _checks.real("step", step, minimum=0, strict=True)
    return features, step, d if d == math.inf else _checks.integer("d", d, max(features + 1, 9))


def escape_law(
    times: ArrayLike, features: int, step: float = 0.5, d: float = math.inf
) -> np.ndarray:
    """Share of neurons that have escaped: one of M independent lotteries has been drawn.

    Cubic features h_3, a matched neuron, step size eta = step / (sqrt(M) d^1.5), a random start.
    For d infinite the overlap of a feature escapes to infinity, else to 1/2.

    Parameters
    ----------
    times : array_like, any shape
        tau >= 0, of t = tau M d^2 steps.
    features : int
        Number M of features.
    step : float
        > 0.
    d : int or inf
        Dimension, large beside M: the M overlaps are taken to be independent.

    Returns
    -------
    ndarray
        Of the shape of `times`.

    Examples
    --------
    >>> escape_law([0.3, 0.6, 1.2], features=8).round(2)
    array([0.09, 0.68, 0.96])
    """
    times = _checks.real_array("times", times, minimum=0)
    features, step, d = _check_lottery(features, step, d)
    grid, _, probability, left = _survival(features, step, d)
    mean = np.interp(times, grid, left @ probability, left=1.0)
    return 1 - mean**features  # eq-nf-law


def escape_time(features: int, step: float = 0.5, d: float = math.inf) -> float:
    """Median time to escape, tau in t = tau M d^2 steps; see `escape_law`.

    Infinite where it is beyond 10^11 / step: a long step has a toll that noise must overcome.

    Parameters
    ----------
    features : int
        Number M of features.
    step : float
        eta = step / (sqrt(M) d^1.5), > 0.
    d : int or inf
        Dimension.

    Examples
    --------
    >>> [round(escape_time(M), 2) for M in (1, 4, 16)]
    [1.29, 0.64, 0.4]
    """
    features, step, d = _check_lottery(features, step, d)
    grid, _, probability, left = _survival(features, step, d)
    mean = left @ probability
    half = 0.5 ** (1 / features)
    return float(np.interp(-half, -mean, grid)) if mean[-1] < half else math.inf


def win_probability(starts: ArrayLike, step: float = 0.5, d: float = math.inf) -> np.ndarray:
    """Probability of each feature to take the neuron, given where its overlap starts.

    Parameters
    ----------
    starts : array_like, shape (..., M)
        hat rho = sqrt(d) rho at the start.
    step, d
        See `escape_law`.

    Returns
    -------
    ndarray, of the shape of `starts`
        They sum to 1 over the last axis.

    Examples
    --------
    >>> win_probability([0.0, 1.0, 2.0]).round(2)
    array([0.  , 0.07, 0.93])
    """
    starts = np.atleast_1d(_checks.real_array("starts", starts))
    features, step, d = _check_lottery(starts.shape[-1], step, d)
    _, mu, _, left = _survival(features, step, d)
    place = np.clip((starts - mu[0]) / (mu[1] - mu[0]), 0, len(mu) - 1.001)
    whole = place.astype(int)
    share = place - whole
    own = left[:, whole] * (1 - share) + left[:, whole + 1] * share  # (time, ..., M)
    logs = np.log(np.maximum((own[1:] + own[:-1]) / 2, 1e-300))
    others = np.exp(logs.sum(-1, keepdims=True) - logs)
    chance = (-np.diff(own, axis=0) * others).sum(0)
    return chance / chance.sum(-1, keepdims=True)


def largest_start_wins(features: int, step: float = 0.5, d: float = math.inf) -> float:
    """Probability that the feature with the largest overlap at the start takes the neuron.

    Parameters
    ----------
    features : int
        Number M of features.
    step, d
        See `escape_law`.

    Examples
    --------
    >>> round(largest_start_wins(8, step=0.25), 2)  # chance: 1/8
    0.76
    """
    features, step, d = _check_lottery(features, step, d)
    _, _, probability, left = _survival(features, step, d)
    ends = -np.diff(left, axis=0)  # escape in this interval, by start
    below = np.cumsum(probability * left, axis=1) - probability * left / 2  # start lower, and left
    below = (below[1:] + below[:-1]) / 2
    first = features * (ends * below ** (features - 1)) @ probability  # eq-nf-winner
    all_left = (left[-1] @ probability) ** features
    return float(first.sum() / (1 - all_left))
