"""Online descent of one neuron on many features: M lotteries, and which of them is drawn.

Inputs x ~ N(0, I_d), labels y of the M projections z_i = u_i.x on orthonormal features u_i, the
first M axes, and a neuron sigma(z), z = w.x, with w on the unit sphere. Each step takes a fresh
sample, for the correlation loss -y sigma(z), along the sphere:

    w <- (w + eta U (x - z w)) / norm,   U = y sigma'(z'),   z' = z + (c/d) y sigma'(z) x.x,

with the inner step c = 0 for a plain step, else for a sample that is looked at twice. What is
watched are the M overlaps rho_i = w.u_i. Time is tau, in t = tau M d^2 steps.

Sources: Oko, Song, Suzuki & Wu 2024 for many features; Abbe, Boix-Adsera & Misiakiewicz 2022, 2023
for stairs; Ben Arous, Gheissari & Jagannath 2021 for the time of one.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations
from twolayer.data import as_link
from twolayer.hermite import coefficients, he, nodes
from twolayer.theory import _two_looks, looking_twice
from twolayer.theory.the_first_escape import _function

__all__ = [
    "Features",
    "correlation",
    "coverage",
    "drift",
    "escape_law",
    "escape_time",
    "largest_start_wins",
    "mean_direction",
    "saddle",
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
    target : str, Activation, sequence of float, mapping or callable
        A name, an Activation or Hermite coefficients (see `twolayer.data.as_link`) give
        sum_i link(z_i) / sqrt(M). A mapping {(b_1, ..., b_M): coefficient} gives the sum of the
        products h_b1(z_1) ... h_bM(z_M) of normalised Hermite polynomials: stairs. Any other
        callable takes projections of shape (n, M) and gives labels of shape (n,).
    eta : float
        Step size, > 0.
    activation : str, Activation or sequence of float, optional
        The neuron's, with Hermite coefficients as in `as_link`; the link without it.
    inner_step : float
        c of the second look, of either sign; 0 for one look.

    Examples
    --------
    >>> config = Features(d=100, features=4, target="he3", eta=1e-3)
    >>> config.label(np.array([[1.0, -1.0, 0.0, 2.0]])).round(4)  # 2 / (sqrt(6) sqrt(4))
    array([0.4082])
    """

    d: int
    features: int
    target: str | activations.Activation | Sequence[float] | Mapping | Callable
    eta: float
    activation: str | activations.Activation | Sequence[float] | None = None
    inner_step: float = 0.0

    def __post_init__(self):
        features = _checks.positive_int("features", self.features)
        _checks.integer("d", self.d, features + 1)
        if isinstance(self.target, Mapping):
            _stairs(self.target, features)
        elif isinstance(self.target, str):
            activations.named("target", self.target)
        elif not callable(self.target):
            _checks.real_array("target", self.target, 1)
        _checks.real("eta", self.eta, minimum=0, strict=True)
        _checks.real("inner_step", self.inner_step)
        if self.activation is None and _joint(self.target):
            raise ValueError("activation=None: this target needs an activation beside it")
        _, slope, kinks = _neuron(self)
        if not np.any(slope(nodes(kinks)[0])):
            raise ValueError(f"activation={_given(self)!r} has no slope: the neuron never moves")

    def label(self, z: np.ndarray) -> np.ndarray:
        """Labels, shape (n,), of projections `z`, shape (n, M)."""
        z = _checks.real_array("z", z, 2)
        if z.shape[1] != self.features:
            raise ValueError(f"z has shape {z.shape}; it must be (n, {self.features})")
        if callable(self.target) and _joint(self.target):
            y = np.asarray(self.target(z))
            if y.shape != z.shape[:1]:
                raise ValueError(
                    f"target gives shape {y.shape} for projections of shape {z.shape}; "
                    f"it must give {z.shape[:1]}"
                )
            return y
        if isinstance(self.target, Mapping):
            return _products(self.target, z)
        flat = as_link(self.target)(z.ravel())
        return flat.reshape(z.shape).sum(1) / math.sqrt(self.features)

    @property
    def slope(self) -> Callable[[np.ndarray], np.ndarray]:
        """The derivative of the activation."""
        return _neuron(self)[1]


def _joint(target):
    """Whether a target is a function of all projections, not a link."""
    if isinstance(target, Mapping):
        return True
    return callable(target) and not isinstance(target, activations.Activation)


def _stairs(target, features):
    """Exponents, shape (terms, M), and coefficients of a mapping."""
    powers = _checks.real_array("target", list(target))
    if powers.ndim != 2 or powers.shape[1] != features or (powers % 1).any() or powers.min() < 0:
        raise ValueError(
            f"target={target!r} must have keys of {features} exponents, each an integer >= 0"
        )
    return powers.astype(int), _checks.real_array("target", list(target.values()), 1)


def _products(target, z):
    """Sum of products of Hermite polynomials, shape (n,)."""
    total = np.zeros(len(z))
    for powers, coefficient in target.items():
        term = np.full(len(z), float(coefficient))
        for i, k in enumerate(powers):
            if k:
                term *= he(int(k), z[:, i]) / math.sqrt(math.factorial(int(k)))
        total += term
    return total


def _given(config):
    return config.target if config.activation is None else config.activation


def _neuron(config):
    return _function(_given(config))


# --- the drift of polynomial targets, in Hermite coefficients


def _terms(config):
    """Exponents (terms, M) and coefficients of a polynomial target."""
    if isinstance(config.target, Mapping):
        return _stairs(config.target, config.features)
    if isinstance(config.target, str) and config.target.startswith("he"):
        c = np.zeros(int(config.target[2:]) + 1)
        c[-1] = 1
    elif isinstance(config.target, str) or callable(config.target):
        raise ValueError(
            f"target={config.target!r} must be a name he{{k}}, Hermite coefficients or a mapping"
        )
    else:
        c = _checks.real_array("target", config.target)
    powers = np.kron(np.eye(config.features, dtype=int), np.arange(c.size)[:, None])
    keep = np.tile(c, config.features) != 0
    values = np.tile(c, config.features) / math.sqrt(config.features)
    return powers[keep], values[keep]


def _square(powers, values):
    """The terms of y^2, by He_a He_b = sum_j j! C(a, j) C(b, j) He_{a+b-2j} in each variable."""
    found = {}
    for a, in_a in zip(powers, values, strict=True):
        for b, in_b in zip(powers, values, strict=True):
            parts = {(): in_a * in_b}
            for m, n in zip(a.tolist(), b.tolist(), strict=True):
                parts = {
                    (*key, m + n - 2 * j): value * _linear(m, n, j)
                    for key, value in parts.items()
                    for j in range(min(m, n) + 1)
                }
            for key, value in parts.items():
                found[key] = found.get(key, 0.0) + value
    return np.array(list(found)), np.array(list(found.values()))


@functools.cache
def _linear(m, n, j):
    """Coefficient of h_{m+n-2j} in h_m h_n, normalised."""
    ratio = math.factorial(m + n - 2 * j) / math.factorial(m) / math.factorial(n)
    return math.factorial(j) * math.comb(m, j) * math.comb(n, j) * math.sqrt(ratio)


def _correlation(powers, values, f, kinks, rho):
    """E[y f(z)] and its gradient by the overlaps, for y of these terms; rho of shape (n, M)."""
    degree = powers.sum(1)
    slopes = coefficients(f, int(degree.max()), kinks)[degree]
    count = [math.factorial(int(k)) for k in degree]
    count /= np.array([math.prod(math.factorial(int(b)) for b in row) for row in powers])
    weight = values * slopes * np.sqrt(count)
    value = np.prod(rho[:, None] ** powers, -1) @ weight
    gradient = np.empty(rho.shape)
    for i in range(rho.shape[1]):
        lower = powers.copy()
        lower[:, i] = np.maximum(powers[:, i] - 1, 0)
        gradient[:, i] = np.prod(rho[:, None] ** lower, -1) @ (weight * powers[:, i])
    return value, gradient


def _overlaps(config, overlaps):
    rho = _checks.real_array("overlaps", overlaps)
    if rho.ndim < 1 or rho.shape[-1] != config.features:
        raise ValueError(f"overlaps has shape {rho.shape}; it must be (..., {config.features})")
    if ((rho**2).sum(-1) > 1 + 1e-9).any():
        raise ValueError("overlaps: their squares must sum to at most 1")
    return rho


def correlation(config: Features, overlaps: ArrayLike) -> np.ndarray:
    """E[y sigma(z)], which one plain look climbs, for a polynomial target.

    Parameters
    ----------
    config : Features
        Its target a name he{k}, Hermite coefficients or a mapping.
    overlaps : array_like, shape (..., M)

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> config = Features(d=100, features=2, target={(1, 1): 1.0}, eta=1e-3, activation="he2")
    >>> float(correlation(config, [0.6, 0.5]).round(4))  # sqrt(2) rho_1 rho_2
    0.4243
    """
    _checks.instance("config", config, Features)
    rho = _overlaps(config, overlaps)
    value, _, kinks = _neuron(config)
    found = _correlation(*_terms(config), value, kinks, rho.reshape(-1, config.features))[0]
    return found.reshape(rho.shape[:-1])[()]


def drift(config: Features, overlaps: ArrayLike) -> np.ndarray:
    """Expected change of the overlaps in a plain step, for large d with eta d bounded.

    eta (grad - rho (rho.grad)) - eta^2 d rho E[U^2] / 2, with the gradient of `correlation`.

    Parameters
    ----------
    config : Features
        Its target a name he{k}, Hermite coefficients or a mapping; its inner step 0.
    overlaps : array_like, shape (..., M)

    Returns
    -------
    ndarray, of the shape of `overlaps`

    Examples
    --------
    >>> config = Features(d=10**6, features=4, target="he3", eta=1e-9)
    >>> drift(config, [0.2, 0.1, 0.0, 0.0]).round(13)  # about 3 eta rho^2 / 2
    array([5.70e-11, 1.35e-11, 0.00e+00, 0.00e+00])
    """
    _checks.instance("config", config, Features)
    if config.inner_step:
        raise ValueError(f"inner_step={config.inner_step} must be 0: one look")
    shape = _overlaps(config, overlaps).shape
    rho = _overlaps(config, overlaps).reshape(-1, config.features)
    value, slope, kinks = _neuron(config)
    terms = _terms(config)
    pull = _correlation(*terms, value, kinks, rho)[1]
    square = _correlation(*_square(*terms), lambda z: slope(z) ** 2, kinks, rho)[0]
    along = pull - rho * (rho * pull).sum(1, keepdims=True)
    toll = config.eta**2 * config.d * rho * square[:, None] / 2
    return (config.eta * along - toll).reshape(shape)  # eq-nf-drift


class Saddle(NamedTuple):
    """The symmetric point of equal overlaps: its cosine with the mean direction, see `saddle`.

    Parameters
    ----------
    cosine : float
        Where pull and toll balance; 0 if the toll wins everywhere.
    below : float
        The cosine above which a neuron is drawn to it.
    rate : float
        At which differences of the overlaps grow in t/d.
    """

    cosine: float
    below: float
    rate: float


def saddle(features: int, step: float) -> Saddle:
    """The symmetric point of M cubic features at step size eta = step / d, for large d.

    Along the mean direction r' = eta (3 r^2 (1 - r^2) / M - step r E[U^2] / 2), with E[U^2] = 3 +
    36 r^2 / M + 54 r^4 / M^2. Where that is 0 differences grow at 3 eta r / M: from 1 / sqrt(d)
    they take some d log(d) / 2 times M / (3 r step).

    Parameters
    ----------
    features : int
        M >= 2.
    step : float
        >= 0; at 0.35, 0.45, 0.63 over M = 2, 4, 16 the toll wins everywhere.

    Examples
    --------
    >>> [round(value, 3) for value in saddle(4, 0.05)]
    [0.767, 0.104, 0.029]
    """
    features = _checks.integer("features", features, 2)
    step = _checks.real("step", step, minimum=0)
    r = np.linspace(0, 1, 2001)
    square = 3 + 36 * r**2 / features + 54 * r**4 / features**2  # E[U^2]
    balance = 3 * r * (1 - r**2) / features - step * square / 2
    up = np.flatnonzero(balance > 0)
    if not up.size:
        return Saddle(0.0, 0.0, 0.0)

    def root(i):  # of the line between i and i + 1
        return r[i] + (r[i + 1] - r[i]) * balance[i] / (balance[i] - balance[i + 1])

    first = root(up[0] - 1) if up[0] else 0.0
    last = root(up[-1]) if up[-1] + 1 < r.size else 1.0
    return Saddle(float(last), float(first), float(3 * step * last / features))  # eq-nf-saddle


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
        square = move**2 * np.maximum(across**2 + d - 2 + more, 0)
        norm = np.sqrt(1 + square)
        change = (move * sine * across - rho * square / (1 + norm)) / norm
        moments.append([(weight * change).sum(), (weight * change**2).sum()])
    drift, square = np.transpose(moments) * features * d * d
    return math.sqrt(d) * drift, d * square


def _h3(z):
    return (z**3 - 3 * z) / math.sqrt(6)


def _bernoulli(x):
    """x / (exp(x) - 1)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(abs(x) < 1e-6, 1 - x / 2, x / np.expm1(np.minimum(x, 700.0)))


@functools.lru_cache(maxsize=16)
def _survival(features, step, d, cells=2400, growth=0.01):
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
    while times[-1] < 1e8 / step and (probability @ left[-1]) ** features > 1e-6:
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
    step = _checks.real("step", step, minimum=1e-6)
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
        At least 1e-6.
    d : int or inf
        Dimension, large beside M: the M overlaps are taken to be independent, which makes the
        median some 10 to 15 % short at M = 16 in d = 64 and 128.

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

    Infinite where it is beyond 10^8 / step: a long step has a toll that noise must overcome.

    Parameters
    ----------
    features : int
        Number M of features.
    step : float
        eta = step / (sqrt(M) d^1.5), at least 1e-6.
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


def coverage(features: int, neurons: ArrayLike) -> np.ndarray:
    """Expected number of features found by neurons that each take one of M at random.

    Parameters
    ----------
    features : int
        M.
    neurons : array_like, any shape
        How many, >= 0.

    Examples
    --------
    >>> coverage(8, [1, 8, 48]).round(2)
    array([1.  , 5.25, 7.99])
    """
    features = _checks.positive_int("features", features)
    neurons = _checks.real_array("neurons", neurons, minimum=0)
    return features * (1 - (1 - 1 / features) ** neurons)


# --- looking twice with many features


def _labels(features, link):
    """Nodes of y = sum_m link(z_m) / sqrt(M), their probabilities, and those times E[mean z | y].

    The law of one term and its mean of z on a fine grid of labels, convolved M times; mean z is
    sum_m z_m / sqrt(M). Then on fewer nodes, which are dense around 0.
    """
    from scipy.fft import irfft, rfft  # slow to load

    z = np.linspace(-8, 8, 200_001)
    density = np.exp(-z * z / 2)
    density /= density.sum()
    term = as_link(link)(z) / math.sqrt(features)
    reach, size = abs(term[abs(z) < 7]).max() + 12, 2**15
    term = np.clip(term, -reach, reach)
    grid = reach * np.linspace(-1, 1, size, endpoint=False)
    law = rfft(np.roll(_shared(term, density, grid), size // 2))
    tilted = rfft(np.roll(_shared(term, density * z, grid), size // 2))
    weights = np.roll(irfft(law**features), size // 2)
    means = math.sqrt(features) * np.roll(irfft(tilted * law ** (features - 1)), size // 2)
    nodes = 0.5 * np.sinh(np.linspace(-1, 1, 1201) * math.asinh(2 * reach))
    return nodes, _shared(grid, weights, nodes), _shared(grid, means, nodes)


def _shared(points, weights, grid):
    """Weights of points given to the two neighbours on a grid, so that sum and mean stay."""
    left = np.clip(np.searchsorted(grid, points, "right") - 1, 0, len(grid) - 2)
    share = (points - grid[left]) / (grid[left + 1] - grid[left])
    out = np.bincount(left, weights * (1 - share), len(grid))
    return out + np.bincount(left + 1, weights * share, len(grid))


@functools.lru_cache(maxsize=64)
def _second_look(features, inner_step, batch_ratio, link, activation):
    """Signal E[mean z G_1] and noise N of the second look, see `twolayer.theory.looking_twice`."""
    looks = looking_twice.TwoLooks(batch_ratio, inner_step, link, activation)
    y, weights, means = _labels(features, link)
    if max(abs(weights @ y), abs(means.sum()), abs(means @ y)) > 1e-3:
        raise ValueError(f"link={link!r} must have no mean and no linear part")
    keep = weights > 1e-16
    labels = _two_looks.Labels(means[keep] / weights[keep], y[keep], weights[keep])
    seen = looking_twice._of_labels(looks, labels)
    return seen.signal, seen.noise


def mean_direction(
    alpha: ArrayLike,
    features: int,
    inner_step: float = 2.0,
    batch_ratio: float = 0.0,
    link: str | tuple[float, ...] = "he3",
    activation: str = "erf",
) -> np.ndarray:
    """Cosine of a neuron with the mean of M features after alpha d samples, each used twice.

    In the limit of large d, for y = sum_m link(z_m) / sqrt(M). With one common sign of odd terms
    the second look sees sum_m u_m / sqrt(M) and nothing else of the features.

    Parameters
    ----------
    alpha : array_like, any shape
        Samples per dimension, >= 0.
    features : int
        Number M of features.
    inner_step : float
        c of the first look.
    batch_ratio : float
        Samples of a batch per dimension, >= 0; 0 is one sample at a time.
    link : str or tuple of float
        Of each feature, see `twolayer.data.as_link`; without mean and without linear part.
    activation : str
        The neuron's, by name.

    Returns
    -------
    ndarray
        Of the shape of `alpha`, signed.

    Examples
    --------
    >>> mean_direction([8, 24], features=4).round(3)
    array([-0.545, -0.748])
    """
    alpha = _checks.real_array("alpha", alpha, minimum=0)
    features = _checks.positive_int("features", features)
    inner_step = _checks.real("inner_step", inner_step)
    batch_ratio = _checks.real("batch_ratio", batch_ratio, minimum=0)
    link = _checks.link("link", link)
    as_link(link)
    signal, noise = _second_look(features, inner_step, batch_ratio, link, activation)
    strength = alpha * signal**2
    return np.sign(signal) * np.sqrt(strength / (strength + noise))  # eq-nf-mean
