r"""The first gradient step as a spike: spectrum, overlaps and ridge risk in closed form.

One step adds to the random first layer a matrix of rank one up to noise,
W1 = W0 + s u v', with v the direction of g = X'y/n0. All quantities are limits as n0, m, d grow at
fixed ratios alpha0 = n0/d and width_ratio = m/d, with rows of W0 ~ N(0, I/d).

Sources: Ba et al. 2022 (arXiv 2205.01445) for the step; Benaych-Georges & Nadakuditi 2012 for
the outlier of a rectangular matrix; the ridge risk is derived in the chapter `one_step`.

Differences are written as sums and products of positive terms: the digits hold for ratios,
ridges and strengths from 1e-140 to 1e140.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, _links, activations
from twolayer.data import as_link

__all__ = [
    "FirstStep",
    "bulk_density",
    "bulk_edges",
    "critical_strength",
    "outlier",
    "ridge_risk",
    "squared_overlap",
]


# --- the spectrum of W0 + s u v'


def critical_strength(width_ratio: ArrayLike) -> np.ndarray | float:
    """Strength above which the spike leaves the bulk: width_ratio^(1/4).

    Parameters
    ----------
    width_ratio : array_like
        m/d > 0.
    """
    return (_checks.real_array("width_ratio", width_ratio, minimum=0, strict=True) ** 0.25)[()]


def bulk_edges(width_ratio: float) -> tuple[float, float]:
    """Least and largest singular value of the bulk, ``|1 - sqrt(m/d)|`` and ``1 + sqrt(m/d)``.

    Parameters
    ----------
    width_ratio : float
        m/d > 0.
    """
    root = math.sqrt(_checks.real("width_ratio", width_ratio, minimum=0, strict=True))
    return abs(1 - root), 1 + root


def bulk_density(x: ArrayLike, width_ratio: float) -> np.ndarray:
    """Density of the singular values of W0 at `x` (Marchenko-Pastur).

    Per unit of singular value; integrates to 1 over the min(m, d) singular values.

    Parameters
    ----------
    x : array_like
        Singular values.
    width_ratio : float
        m/d > 0.

    Examples
    --------
    >>> round(float(bulk_density(1.0, 1.0)), 6)  # the quarter circle sqrt(4 - x^2) / pi
    0.551329
    """
    x = _checks.real_array("x", x)
    low, high = bulk_edges(width_ratio)
    inside = (x > low) & (x < high)
    safe = np.where(inside, x, high)
    root = np.sqrt((high - safe) * (high + safe) * (safe - low) * (safe + low))
    return np.where(inside, root / (np.pi * safe * min(width_ratio, 1.0)), 0.0)  # eq-density


def _spike(strength, width_ratio, row_scale):
    """s, row_scale, sqrt(c), and the excess P - 1 over the bulk: nan where no outlier exists.

    With the noise along u multiplied by `row_scale`, the pole of the resolvent is at h = -1/P,
    P = s^2 + row_scale^2; it is met if (P - 1)^2 > c.
    """
    s, c, scale = _checks.broadcast(
        strength=_checks.real_array("strength", strength, minimum=0),
        width_ratio=_checks.real_array("width_ratio", width_ratio, minimum=0, strict=True),
        row_scale=_checks.real_array("row_scale", row_scale, minimum=0),
    )
    with np.errstate(over="ignore"):  # a strength beyond 1e154: the excess is infinite
        excess = s**2 + (scale - 1) * (scale + 1)
    return s, scale, np.sqrt(c), np.where(excess > np.sqrt(c), excess, np.nan)


def outlier(
    strength: ArrayLike, width_ratio: ArrayLike, row_scale: ArrayLike = 1.0
) -> np.ndarray | float:
    """Singular value of W0 + s u v' outside the bulk: s sqrt((1 + 1/s^2) (1 + c/s^2)), c = m/d.

    It is nan at or below the threshold s = c^(1/4), where no outlier exists.

    Parameters
    ----------
    strength : array_like
        s >= 0.
    width_ratio : array_like
        m/d > 0, broadcast against `strength`.
    row_scale : array_like
        >= 0: factor of the noise along u, u'W0; see `FirstStep.row_scale`.

    Examples
    --------
    >>> outlier([0.5, 2.0], 1.0)
    array([nan, 2.5])
    """
    s, scale, root_c, excess = _spike(strength, width_ratio, row_scale)
    # sqrt(P (P + c - 1) / (P - 1)): eq-outlier, eq-finite
    return (np.hypot(s, scale) * np.sqrt(1 + root_c * (root_c / excess)))[()]


def squared_overlap(
    strength: ArrayLike, width_ratio: ArrayLike, row_scale: ArrayLike = 1.0
) -> np.ndarray | float:
    """Squared overlap of the outlier's input-side singular vector with the spike's direction v.

    (1 - c/s^4) / (1 + 1/s^2) with c = m/d; 0 at or below the threshold.

    Parameters
    ----------
    strength : array_like
        s >= 0.
    width_ratio : array_like
        m/d > 0, broadcast against `strength`.
    row_scale : array_like
        >= 0: factor of the noise along u, u'W0; see `FirstStep.row_scale`.

    Examples
    --------
    >>> squared_overlap([0.5, 2.0], 1.0)
    array([0.  , 0.75])
    """
    s, scale, root_c, excess = _spike(strength, width_ratio, row_scale)
    ratio = root_c / excess
    share = (s / np.where(s > 0, np.hypot(s, scale), 1)) ** 2  # s^2 / P
    return np.nan_to_num(share * (1 - ratio) * (1 + ratio))[()]  # eq-overlap, eq-finite


# --- the step of a network


@dataclasses.dataclass(frozen=True)
class FirstStep:
    """One gradient step on fresh Gaussian data with a single-index target.

    Parameters
    ----------
    activation : str or Activation
        Of the neurons. One that jumps has no gradient to step along.
    link : str, callable or sequence of float
        Of the target, see `twolayer.data.as_link`.
    alpha0 : float
        n0/d, samples of the step per dimension, > 0.
    width_ratio : float
        m/d, > 0.
    noise : float
        Standard deviation of the label noise, >= 0; > 0 where the link is zero.

    Examples
    --------
    >>> setting = FirstStep("tanh", "identity", alpha0=1.0, width_ratio=1.0)
    >>> round(setting.gradient_norm, 12), round(setting.squared_overlap, 12)
    (1.414213562373, 0.5)
    """

    activation: str | activations.Activation
    link: str | Callable | Sequence[float]
    alpha0: float
    width_ratio: float
    noise: float = 0.0

    def __post_init__(self):
        activation = activations.get(self.activation)
        for kink in activation.kinks:
            if abs(np.subtract(*activation([kink + 1e-9, kink - 1e-9]))) > 1e-6:
                raise ValueError(
                    f"activation={self.activation!r} jumps: it has no gradient to step along"
                )
        _links.quadrature("activation", self.activation)
        _links.quadrature("link", self.link)
        _checks.real("alpha0", self.alpha0, minimum=0, strict=True)
        _checks.real("width_ratio", self.width_ratio, minimum=0, strict=True)
        _checks.real("noise", self.noise, minimum=0)
        if self.second_moment == 0:
            raise ValueError(
                f"link={self.link!r} is zero: without noise the labels give no gradient"
            )

    @functools.cached_property
    def slope(self) -> float:
        """mu1 = E[sigma'(Z)] = E[Z sigma(Z)], the linear part of the activation."""
        z, w = _links.rules(self.activation)[0]
        return float(z * activations.get(self.activation)(z) @ w)  # eq-mu

    @functools.cached_property
    def residual(self) -> float:
        """mu_*^2 = E[(sigma - mu0 - mu1 Z)^2]: what acts as noise in the linearised features."""
        z, w = _links.rules(self.activation)[0]
        values = activations.get(self.activation)(z)
        return float((values - values @ w - self.slope * z) ** 2 @ w)  # eq-equivalence

    @functools.cached_property
    def _link(self):
        """Nodes, weights and the link's values there."""
        z, w = _links.rules(self.link)[0]
        return z, w, np.asarray(as_link(self.link)(z), dtype=float)

    @functools.cached_property
    def linear_part(self) -> float:
        """theta1 = E[Z y], the linear part of the target."""
        z, w, y = self._link
        return float(z * y @ w)

    @functools.cached_property
    def second_moment(self) -> float:
        """E[y^2], label noise included."""
        _, w, y = self._link
        return float(y**2 @ w) + self.noise**2

    @functools.cached_property
    def linear_bound(self) -> float:
        """Least test error of a linear predictor, E[(y - theta1 Z)^2], label noise included."""
        z, w, y = self._link
        return float((y - self.linear_part * z) ** 2 @ w) + self.noise**2

    @property
    def gradient_norm(self) -> float:
        """Norm of g = X'y/n0: sqrt(theta1^2 + E[y^2]/alpha0)."""
        return math.hypot(self.linear_part, math.sqrt(self.second_moment / self.alpha0))

    @property
    def squared_overlap(self) -> float:
        """Squared cosine of g with the target's direction: ``theta1^2 / |g|^2``."""
        return (self.linear_part / self.gradient_norm) ** 2  # eq-alignment

    def strength(self, eta: ArrayLike) -> np.ndarray | float:
        """Spike strength ``s = eta |mu1| |g|`` of a step of size `eta`."""
        eta = _checks.real_array("eta", eta, minimum=0)
        return (abs(self.slope) * self.gradient_norm * eta)[()]  # eq-strength

    def row_scale(self, strength: ArrayLike, m: float) -> np.ndarray | float:
        """Factor by which a step multiplies the noise along the readout, at finite width `m`.

        The network's own output f enters the residual y - f. Its linear part mu1 a'W0 x / sqrt(m)
        takes a share ``s |mu1| / (|g| sqrt(m))`` off u'W0: a finite-size effect of order 1/sqrt(m).
        """
        s = _checks.real_array("strength", strength, minimum=0)
        m = _checks.real("m", m, minimum=0, strict=True)
        share = s * abs(self.slope) / (self.gradient_norm * math.sqrt(m))
        return abs(1 - share)[()]  # eq-shrink

    def step_size(self, strength: ArrayLike) -> np.ndarray | float:
        """The step size `eta` whose spike has this strength; E[sigma'] must not be 0."""
        if abs(self.slope) < 1e-12:
            raise ValueError(
                f"activation={self.activation!r} has E[sigma'] = 0: no step gives a spike"
            )
        s = _checks.real_array("strength", strength, minimum=0)
        return (s / (abs(self.slope) * self.gradient_norm))[()]


# --- what the step is worth for a ridge readout

_REACH = 690.0  # effective ridges from exp(-690) to exp(690): floats end at exp(709)


class _Path:
    """Ridge regression on the features after a step, along t = t0 + gap, t0 = mu_*^2 / mu1^2.

    Each eigenvalue a of A = W1 W1' gives x = (a + t0) / (a + t) degrees of freedom. h and `trace`
    are tr (W0'W0 + t)^-1 / d without and with the factor t; all shares lie between 0 and 1, and
    derivatives in t come multiplied by t or t^2, so that no ridge is too small or too large.
    """

    def __init__(self, setting, strength, log_gap):
        self.setting = setting
        self.c = setting.width_ratio
        self.gap = np.exp(np.clip(log_gap, -_REACH, _REACH))
        noise = setting.residual / setting.slope**2
        self.t = noise + self.gap
        self.noise_share = noise / self.t
        self.gap_share = self.gap / self.t
        self.s = strength
        self._resolvent()

    def _resolvent(self):
        """h (T on the page): the positive root of t h^2 + (t + c - 1) h = 1, eq-mp, stably."""
        q = self.t + (self.c - 1)
        larger = np.hypot(q, 2 * np.sqrt(self.t)) + abs(q)
        with np.errstate(over="ignore"):  # of the one that is not taken
            self.h = np.where(q > 0, 2 / larger, larger / 2 / self.t)
        self.trace = self.t * self.h

    def balance(self, alpha, penalty):
        """Both sides of alpha = tr Sigma (Sigma + kappa)^-1 / d + penalty, as positive sums.

        They are counted from 0, from d or from m, whichever alpha is nearest to, where the degrees
        of freedom are c (t0/t + h) / (1 + h), 1 - t h + c t0/t / (1 + h), c - c gap/t / (1 + h).
        """
        c, h = self.c, self.h
        origin = min((0.0, 1.0, c), key=lambda r: abs(alpha - r))  # eq-effective, eq-traces
        if origin == 0:
            return alpha, c * (self.noise_share + h) / (1 + h) + penalty
        above, below = max(alpha - origin, 0), max(origin - alpha, 0)
        if origin == c:
            return above + c * self.gap_share / (1 + h), below + penalty
        return above + self.trace, below + c * self.noise_share / (1 + h) + penalty

    def error(self, alpha, penalty):
        """The test error, eq-risk; `penalty` is lambda / (kappa d)."""
        setting, h, trace = self.setting, self.h, self.trace
        signal = h / (1 + h)
        spike = (1 / np.hypot(1, self.s * np.sqrt(signal))) ** 2  # eq-spiked over h
        spike_slope = (spike * np.hypot(1, self.s * signal)) ** 2  # d(h spike) / dh
        trace_slope = trace * (trace + trace * h) / (1 + trace * h)  # -t^2 h'
        aligned = setting.squared_overlap
        across = setting.second_moment / setting.alpha0 / setting.gradient_norm**2
        missed = self.noise_share * trace * (across + aligned * spike)  # t0 R, t R = 1 - Q: eq-Q
        missed += self.gap_share * trace_slope * (across + aligned * spike_slope)  # -gap t R'
        spread = self.c * self.gap_share * (self.noise_share + trace * h)  # sum of x (1 - x), in d
        spread /= (1 + h) * (1 + trace * h)
        bias = setting.linear_bound + setting.linear_part**2 * missed
        return bias * (alpha / (penalty + spread))  # eq-equivalent


def ridge_risk(setting: FirstStep, eta: float, alpha: float, ridge: float | None = None) -> float:
    r"""Test error of ridge regression on the features after a step of size eta = O(1).

    In this regime the features act as the Gaussian vector mu1 W1 x + mu_* xi (Gaussian
    equivalence), and ridge regression on it has an exact limit. It never falls below the best
    linear predictor's. Fresh samples are used for the readout.

    Parameters
    ----------
    setting : FirstStep
        Its activation must be odd, with E[sigma'] not 0.
    eta : float
        Step size, >= 0; 0 is the network at initialisation (random features).
    alpha : float
        n/d, samples of the readout per dimension, > 0.
    ridge : float, optional
        > 0, of `twolayer.ridge.fit_readout` on `TwoLayer.features`; without it the best.

    Returns
    -------
    float
        Test error E (y - f)^2, label noise included, in the units of y^2.

    Notes
    -----
    The derivation is in the chapter `one_step`; the same limit as Theorem 5 of Ba et al. 2022,
    by another route (a deterministic equivalent of ridge regression given W1, then of the
    spiked resolvent).

    Examples
    --------
    >>> setting = FirstStep("tanh", "sign", alpha0=4.0, width_ratio=1.0)
    >>> [round(ridge_risk(setting, eta, alpha=2.0), 4) for eta in (0.0, 1.0, 10.0)]
    [0.7343, 0.6957, 0.51]
    """
    _checks.instance("setting", setting, FirstStep)
    eta = _checks.real("eta", eta, minimum=0, largest=math.inf)
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    if ridge is not None:
        ridge = _checks.real("ridge", ridge, minimum=0, strict=True, largest=math.inf)
    if activations.get(setting.activation).parity != -1 or abs(setting.slope) < 1e-12:
        raise ValueError(f"activation={setting.activation!r} must be odd, with E[sigma'] not 0")
    strength = float(setting.strength(eta))
    if ridge is None:
        return _least_error(setting, strength, alpha)
    return _error_at(setting, strength, alpha, ridge)


def _error_at(setting, strength, alpha, ridge):
    """The test error at a given ridge: one equation in log gap, with its bracket."""
    from scipy.optimize import brentq

    log_c = math.log(setting.width_ratio)
    log_ridge = math.log(ridge) - 2 * math.log(abs(setting.slope))  # gap >= c ridge / alpha ...
    log_rest = np.logaddexp(log_ridge, math.log1p(setting.residual / setting.slope**2))
    low, high = (log_c - math.log(alpha) + v for v in (log_ridge - 1e-6, log_rest + 1e-6))

    def penalty(log_gap):
        return math.exp(min(log_c + log_ridge - log_gap, _REACH))

    def imbalance(log_gap):
        left, right = _Path(setting, strength, log_gap).balance(alpha, penalty(log_gap))
        return math.log(left) - math.log(right)

    log_gap = brentq(imbalance, low, high, xtol=1e-14)
    return float(_Path(setting, strength, log_gap).error(alpha, penalty(log_gap)))


def _least_error(setting, strength, alpha):
    """The least test error of the path, where every gap with a penalty > 0 is a ridge."""
    log_gap = np.arange(-_REACH / 2, _REACH / 2)
    for _ in range(6):  # zoom: each time 50 times finer
        path = _Path(setting, strength, log_gap)
        left, right = path.balance(alpha, 0.0)
        penalty = np.maximum(left - right, 0)
        errors = np.where(left > right, path.error(alpha, penalty), np.inf)
        best = int(np.argmin(errors))
        ends = log_gap[max(best - 1, 0)], log_gap[min(best + 1, len(log_gap) - 1)]
        log_gap = np.linspace(*ends, 101)
    return float(errors[best])
