"""The second gradient step of a two-layer network, on a fresh batch or on the first one again.

The first step is large, of size eta1 sqrt(m): see `twolayer.theory.exact_curves`. A neuron of
readout g / sqrt(m) then sees sigma(g r v.x + noise), and the second gradient pulls it along
u_g = mean (y - F) S_g x, with F the network's output and S_g the mean slope of such neurons. All
quantities are limits as n0, m, d grow at fixed ratios; the width ratio enters none of them.

Sources: Moniri & Hassani 2026 (arXiv 2605.17767) for the question and the count of the outliers;
Dandi et al. 2024 (arXiv 2402.03220) for the reuse of a batch. The formulas are derived in the
chapter `second_step`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from twolayer import _checks, activations
from twolayer.activations import Activation
from twolayer.data import as_link
from twolayer.hermite import between, nodes
from twolayer.theory import _bulk
from twolayer.theory.one_step import FirstStep

__all__ = [
    "Direction",
    "Labels",
    "TwoSteps",
    "after_both",
    "second_gradient",
    "second_labels",
    "squared_overlap",
]

_REACH = 8.0  # of the rules: beyond, not even the sixth power of a cubic counts
_SPACING = 0.005  # of the tables of averaged neurons, which are interpolated linearly
_BENDS = (-8.0, -4.0, 0.0, 4.0, 8.0)  # cuts for averages far wider than an activation's bends
_READOUTS = 20  # nodes of the rule over Gaussian readouts


@dataclasses.dataclass(frozen=True)
class TwoSteps:
    """Two gradient steps on the first layer: the first of size eta1 sqrt(m), then the second.

    Inputs are N(0, I_d), labels link(theta.x) + noise, theta a unit vector; rows of W0 are of
    length one, readouts g / sqrt(m). Each step moves w_j by
    eta g_j mean (y - f) sigma'(w_j.x) x, with its eta in units of sqrt(m).

    Parameters
    ----------
    activation : str or Activation
        One that is not odd needs labels of mean zero.
    link : str, callable or sequence of float
        See `twolayer.data.as_link`.
    alpha0 : float
        n0/d, samples of each batch per dimension, > 0.
    eta1 : float
        Size of the first step, >= 0, in units of sqrt(m).
    reuse : bool
        Whether the second step sees the first batch again, or a fresh one.
    width_ratio : float
        m/d, > 0; the limits do not depend on it.
    noise : float
        Standard deviation of the label noise, >= 0.
    readout : {"equal", "gaussian"}
        g = +-1 with equal odds, or N(0, 1).

    Examples
    --------
    >>> steps = TwoSteps("tanh", "he3", alpha0=4.0, eta1=1.5, reuse=True)
    >>> round(second_gradient(steps).theta ** 2, 2)
    0.29
    """

    activation: str | Activation
    link: str | Callable | Sequence[float]
    alpha0: float
    eta1: float
    reuse: bool = False
    width_ratio: float = 1.0
    noise: float = 0.0
    readout: str = "equal"

    def __post_init__(self):
        object.__setattr__(self, "link", _checks.link("link", self.link))
        activations.get(self.activation)
        _checks.real("alpha0", self.alpha0, minimum=0, strict=True)
        _checks.real("eta1", self.eta1, minimum=0)
        _checks.real("width_ratio", self.width_ratio, minimum=0, strict=True)
        _checks.real("noise", self.noise, minimum=0)
        if not isinstance(self.reuse, bool | np.bool_):
            raise TypeError(f"reuse={self.reuse!r} must be True or False")
        _checks.one_of("readout", self.readout, ("equal", "gaussian"))
        self.first  # checks the rest  # noqa: B018
        z, w = _rule(getattr(as_link(self.link), "kinks", None), 120)
        mean = w @ np.broadcast_to(as_link(self.link)(z), z.shape)
        if self.eta1 and not self._odd and abs(mean) > 1e-4 * self.first.second_moment**0.5:
            raise ValueError(
                f"activation={self.activation!r} is not odd and the labels have the mean "
                f"{mean:.3g}: the first step then rescales each neuron, which this theory leaves "
                "out; take an odd activation, or labels of mean zero"
            )

    @property
    def _odd(self):
        return activations.get(self.activation).parity == -1

    @property
    def first(self) -> FirstStep:
        """The first step, as a `FirstStep`: moments of activation and link."""
        return _first(self.activation, self.link, self.alpha0, self.width_ratio, self.noise)

    @property
    def strength(self) -> float:
        """The spike inside a neuron of readout 1/sqrt(m), ``r = eta1 E[sigma'] |g|``."""
        return self.eta1 * self.first.slope * self.first.gradient_norm  # eq-ec-spike

    @property
    def cosine(self) -> float:
        """Cosine of the first gradient's direction v with theta."""
        return self.first.linear_part / self.first.gradient_norm  # eq-alignment

    @property
    def noise_variance(self) -> float:
        """What the first step's noise adds to a neuron's squared length, at readout 1/sqrt(m)."""
        if not self.eta1:
            return 0.0
        variance = _bulk.slope_moments(self.activation)[0]
        return self.eta1**2 / self.alpha0 * self.first.second_moment * variance  # eq-ec-c


_first = functools.lru_cache(maxsize=256)(FirstStep)


class Direction(NamedTuple):
    """Where a matrix of rank few points: its singular values, and its first input-side vector."""

    values: np.ndarray  # descending
    theta: float  # cosine of the vector with theta
    v: float  # cosine with the first gradient


def squared_overlap(
    activation: str | Activation,
    link: str | Callable | Sequence[float],
    alpha0: float,
    eta1: float,
    reuse: bool,
    width_ratio: float = 1.0,
) -> float:
    """Squared cosine of the second gradient's direction with theta, for equal readouts.

    Parameters
    ----------
    activation, link, alpha0, eta1, reuse, width_ratio
        See `TwoSteps`.

    Examples
    --------
    >>> fresh = squared_overlap("tanh", "he3", 4.0, 1.5, reuse=False)
    >>> reused = squared_overlap("tanh", "he3", 4.0, 1.5, reuse=True)
    >>> bool(fresh < 1e-9), round(reused, 2)
    (True, 0.29)
    """
    steps = TwoSteps(activation, link, alpha0, eta1, reuse, width_ratio)
    return second_gradient(steps).theta ** 2


def second_gradient(steps: TwoSteps) -> Direction:
    """The second gradient H_2 without its noise: singular values and leading direction.

    At finite width noise of singular values of order 1/sqrt(d) is added.

    Parameters
    ----------
    steps : TwoSteps

    Examples
    --------
    >>> steps = TwoSteps("tanh", "sign", 4.0, 1.0, readout="gaussian")
    >>> second_gradient(steps).values[:2].round(3)
    array([0.363, 0.032])
    """
    _checks.instance("steps", steps, TwoSteps)
    pulls = _pulls(steps)
    return _direction(steps, pulls.plane, pulls.rest)


def after_both(steps: TwoSteps, eta2: float) -> Direction:
    """The displacement of the first layer by both steps, in units of sqrt(m), without its noise.

    Parameters
    ----------
    steps : TwoSteps
    eta2 : float
        Size of the second step, >= 0, in units of sqrt(m).

    Examples
    --------
    >>> steps = TwoSteps("tanh", "sign", 4.0, 2.0)
    >>> one = TwoSteps("tanh", "sign", 8.0, 2.0)  # one step, on both batches
    >>> round(after_both(steps, 2.0).theta ** 2, 3), round(one.cosine**2, 3)
    (0.879, 0.836)
    """
    _checks.instance("steps", steps, TwoSteps)
    eta2 = _checks.real("eta2", eta2, minimum=0)
    pulls = _pulls(steps)
    across = math.sqrt(max(0.0, 1 - steps.cosine**2))
    first = steps.strength * np.array([steps.cosine, across])
    return _direction(steps, first + eta2 * pulls.plane, eta2**2 * pulls.rest)  # eq-ss-both


class Labels(NamedTuple):
    """A rule over one sample of the second batch, of N points."""

    z: np.ndarray  # theta.x
    k0: np.ndarray  # v_0.x, where v_0 is the part of v across theta
    y: np.ndarray
    second: np.ndarray  # (q, N): (y - F) S_g for each of q readouts
    weights: np.ndarray  # sum to 1


def second_labels(steps: TwoSteps) -> Labels:
    """What the second gradient takes for the labels, on the batch of the second step.

    Its pull on neurons of readout g / sqrt(m) is the mean of second label times input. For
    "equal" readouts g is 1, and -1 before it if the activation is not odd.

    Parameters
    ----------
    steps : TwoSteps

    Examples
    --------
    >>> seen = second_labels(TwoSteps("tanh", "he3", 4.0, 1.5, reuse=True))
    >>> round(float(seen.weights @ (seen.y * seen.k0)), 3)  # memory: 1 / sqrt(alpha0)
    0.5
    """
    _checks.instance("steps", steps, TwoSteps)
    points = _sample(steps)
    F, S = _network(steps, points)
    k0 = points.omega
    if steps.reuse:
        square = steps.first.second_moment
        k0 = k0 + points.y / math.sqrt(steps.alpha0 * square)  # eq-ss-memory
    return Labels(points.z, k0, points.y, (points.y - F) * S, points.weights)


# --- from the pulls to the matrix


class _Pulls(NamedTuple):
    """Of neurons of readout g: u_g on (theta, v_0), and products of what is orthogonal."""

    plane: np.ndarray  # (q, 2)
    rest: np.ndarray  # (q, q)


def _direction(steps, plane, rest):
    """Of the matrix with rows g u_g / sqrt(m): the Gram matrix of its rows tells all."""
    g, weights = _readouts(steps)
    scale = g * np.sqrt(weights)
    size, vectors = np.linalg.eigh(scale[:, None] * (plane @ plane.T + rest) * scale)
    values = np.sqrt(np.fmax(size[::-1], 0))
    if not values[0] > 0:
        return Direction(values, 0.0, 0.0)
    left = vectors[:, -1] * (1.0 if (vectors[:, -1] * scale).sum() >= 0 else -1.0)
    theta, across = (left * scale) @ plane / values[0]
    cosine = steps.cosine
    return Direction(
        values, float(theta), float(cosine * theta + math.sqrt(1 - cosine**2) * across)
    )


def _readouts(steps):
    """Nodes and weights of g; an odd activation does not see its sign."""
    if steps.readout == "equal":
        g = np.array([1.0]) if steps._odd else np.array([-1.0, 1.0])
        return g, np.full(len(g), 1 / len(g))
    g, weights = hermegauss(_READOUTS)
    weights = weights / math.sqrt(2 * math.pi)
    return (g[g > 0], 2 * weights[g > 0]) if steps._odd else (g, weights)


@functools.lru_cache(maxsize=512)
def _pulls(steps):
    """The pulls u_g = mean h_g x with h_g = (y - F) S_g, by averages over one sample."""
    z, k0, y, h, weights = second_labels(steps)
    plane = np.stack([(h * z) @ weights, (h * k0) @ weights], axis=1)  # eq-ss-length
    rest = (h * weights) @ h.T
    if steps.reuse:  # the labels' own direction is used up
        used = (h * y) @ weights
        rest = rest - np.outer(used, used) / steps.first.second_moment  # eq-ss-rest
    return _Pulls(plane, rest / steps.alpha0)


class _Sample(NamedTuple):
    """A rule over one sample: z = theta.x, omega = v_0.x without its own pull, label."""

    z: np.ndarray
    omega: np.ndarray
    y: np.ndarray
    weights: np.ndarray


def _sample(steps):
    link = as_link(steps.link)
    z, w = _rule(getattr(link, "kinks", None), 120)
    omega, v = _rule((), 64)
    e, u = nodes((), 12) if steps.noise else (np.zeros(1), np.ones(1))
    y = np.broadcast_to(link(z), z.shape).astype(float)[:, None] + steps.noise * e
    z, y, omega = np.broadcast_arrays(z[:, None, None], y[..., None], omega)
    weights = w[:, None, None] * u[:, None] * v
    if steps._odd and np.allclose(y, -y[::-1, ::-1]):  # the other half says the same
        half, weights = z[:, 0, 0] >= 0, weights * (2 - (z == 0))
        z, y, omega, weights = (array[half] for array in (z, y, omega, weights))
    return _Sample(*(array.ravel() for array in (z, omega, y, weights)))


def _rule(kinks, n_nodes):
    """Gauss-Legendre on each piece; in panels of width 1 where nothing is known."""
    if kinks is None:
        return between(np.arange(-7.0, 8.0), 16, reach=_REACH)
    return between(sorted({k for k in kinks if abs(k) < _REACH}), n_nodes, reach=_REACH)


# --- neurons after the first step


def _network(steps, points):
    """The network's output F and the mean slopes S_g on the batch of the second step."""
    rho = steps.cosine
    k = rho * points.z + math.sqrt(max(0.0, 1 - rho**2)) * points.omega
    g, weights = _readouts(steps)
    mean = _reused if steps.reuse else _fresh
    found = [mean(steps, one, k, points.y) for one in g]
    F = sum(w * one * value for w, one, (value, _) in zip(weights, g, found, strict=True))
    return F, np.stack([slope for _, slope in found])


def _fresh(steps, g, k, y):
    """E sigma and E sigma' over neurons of readout g, on inputs that they never saw."""
    width = math.sqrt(1 + steps.noise_variance * g * g)
    u = g * steps.strength * k
    return _Table(activations.get(steps.activation), width, abs(u).max() + 0.1)(u)  # eq-ss-labels


def _reused(steps, g, k, y):
    """The same on the first batch again: each sample has pulled each neuron by itself."""
    activation = activations.get(steps.activation)
    own, width = steps.eta1 / steps.alpha0, abs(g) * math.sqrt(steps.noise_variance)
    z, w = _rule(activation.kinks, 64)
    slope = own * activation.derivative_at(z)
    means, r = np.empty((2, len(k))), steps.strength
    reach = _REACH + abs(g) * (abs(r) * abs(k) + abs(y) * abs(slope).max()).max()
    table = _Table(activation, width, reach)
    for at in range(0, len(k), 4096):  # to save memory
        part = slice(at, at + 4096)
        pushed = z + g * (r * k[part, None] + y[part, None] * slope)  # eq-ss-own
        means[:, part] = [values @ w for values in table(pushed)]
    return means


class _Table:
    """E sigma(u + width xi) and E sigma'(u + width xi) for |u| <= reach."""

    def __init__(self, activation, width, reach):
        self.plain = None if width else activation
        if not width:
            return
        wide = max(1.0, width)  # on this scale the means bend
        size = min(20_000, 2 + int(reach / (_SPACING * wide)))
        grid, self.step = np.linspace(-reach, reach, 2 * size + 1, retstep=True)
        self.reach = reach
        cuts = np.array([*(activation.kinks or ()), *(_BENDS if width > 2 else ())])
        n_nodes, self.values = 40 + int(24 * width if width <= 2 else 0), np.empty((2, len(grid)))
        for at in range(0, len(grid), 2048):  # to save memory
            part = grid[at : at + 2048, None]
            xi, w = between((cuts - part) / width, n_nodes, reach=_REACH)
            found = activation.both(part + width * xi)
            self.values[:, at : at + 2048] = [(values * w).sum(-1) for values in found]

    def __call__(self, u):
        if self.plain:
            return self.plain.both(u)
        place = (u + self.reach) / self.step
        left = np.clip(place.astype(np.int32), 0, len(self.values[0]) - 2)
        share = place - left
        return [part[left] + share * np.diff(part)[left] for part in self.values]
