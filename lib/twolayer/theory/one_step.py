r"""The first gradient step as a spike: spectrum, overlaps and ridge risk in closed form.

One step adds to the random first layer a matrix of rank one up to noise,
W1 = W0 + s u v', with v the direction of g = X'y/n0. All quantities are limits as n0, m, d grow at
fixed ratios alpha0 = n0/d and width_ratio = m/d, with rows of W0 ~ N(0, I/d).

Sources: Ba et al. 2022 (arXiv 2205.01445) for the step; Benaych-Georges & Nadakuditi 2012 for
the outlier of a rectangular matrix; the ridge risk is derived in the chapter `one_step`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from twolayer import _checks, activations
from twolayer.data import as_link
from twolayer.hermite import nodes

__all__ = [
    "FirstStep",
    "bulk_density",
    "bulk_edges",
    "critical_strength",
    "outlier",
    "ridge_risk",
    "squared_overlap",
]


_PANELS = tuple(np.arange(-11.0, 12.0))  # quadrature for a link of which nothing is known


def _arguments(strength, width_ratio):
    s = _checks.real_array("strength", strength, minimum=0)
    c = _checks.real_array("width_ratio", width_ratio, minimum=0, strict=True)
    return np.broadcast_arrays(s, c)


def _poles(strength, width_ratio, row_scale, law):
    """`law(s^2, c, P)` above the threshold, nan below; P = s^2 + row_scale^2.

    With the noise along u multiplied by `row_scale`, the pole of the resolvent is at h = -1/P.
    """
    s, c = _arguments(strength, width_ratio)
    scale = _checks.real_array("row_scale", row_scale, minimum=0)
    s, c, scale = np.broadcast_arrays(np.minimum(s, 1e70), c, scale)  # beyond, all is at its limit
    P = s**2 + scale**2
    above = (P > 1) & (c < (P - 1) ** 2)
    return np.where(above, law(s**2, c, np.where(above, P, 2.0 + c)), np.nan)[()]


def critical_strength(width_ratio):
    """Strength above which the spike leaves the bulk: width_ratio^(1/4).

    Parameters
    ----------
    width_ratio : array_like
        m/d > 0.

    Returns
    -------
    ndarray or float
    """
    return (_checks.real_array("width_ratio", width_ratio, minimum=0, strict=True) ** 0.25)[()]


def bulk_edges(width_ratio):
    """Least and largest singular value of the bulk, ``|1 - sqrt(m/d)|`` and ``1 + sqrt(m/d)``.

    Parameters
    ----------
    width_ratio : float
        m/d > 0.

    Returns
    -------
    low, high : float
    """
    root = math.sqrt(_checks.real("width_ratio", width_ratio, minimum=0, strict=True))
    return abs(1 - root), 1 + root


def bulk_density(x, width_ratio):
    """Density of the singular values of W0 at `x` (Marchenko-Pastur).

    Parameters
    ----------
    x : array_like
        Singular values.
    width_ratio : float
        m/d > 0.

    Returns
    -------
    ndarray
        Per unit of singular value; integrates to 1 over the min(m, d) singular values.

    Examples
    --------
    >>> round(float(bulk_density(1.0, 1.0)), 6)  # the quarter circle sqrt(4 - x^2) / pi
    0.551329
    """
    x = _checks.real_array("x", x)
    low, high = bulk_edges(width_ratio)
    inside = (x > low) & (x < high)
    safe = np.where(inside, x, high)
    root = np.sqrt(np.maximum((high**2 - safe**2) * (safe**2 - low**2), 0))
    return np.where(inside, root / (np.pi * safe * min(width_ratio, 1.0)), 0.0)


def outlier(strength, width_ratio, row_scale=1.0):
    """Singular value of W0 + s u v' outside the bulk: s sqrt((1 + 1/s^2) (1 + c/s^2)), c = m/d.

    Parameters
    ----------
    strength : array_like
        s >= 0.
    width_ratio : array_like
        m/d > 0, broadcast against `strength`.
    row_scale : array_like
        >= 0: factor of the noise along u, u'W0; see `FirstStep.row_scale`.

    Returns
    -------
    ndarray or float
        nan at or below the threshold s = c^(1/4), where no outlier exists.

    Raises
    ------
    ValueError
        If an entry is negative (or zero, for `width_ratio`) or not finite.

    Examples
    --------
    >>> outlier([0.5, 2.0], 1.0)
    array([nan, 2.5])
    """
    return _poles(
        strength, width_ratio, row_scale, lambda s2, c, P: np.sqrt(P / (P - 1) * (P + c - 1))
    )


def squared_overlap(strength, width_ratio, row_scale=1.0):
    """Squared overlap of the outlier's input-side singular vector with the spike's direction v.

    (1 - c/s^4) / (1 + 1/s^2) with c = m/d.

    Parameters
    ----------
    strength : array_like
        s >= 0.
    width_ratio : array_like
        m/d > 0, broadcast against `strength`.
    row_scale : array_like
        >= 0: factor of the noise along u, u'W0; see `FirstStep.row_scale`.

    Returns
    -------
    ndarray or float
        In [0, 1); 0 at or below the threshold.

    Raises
    ------
    ValueError
        If an entry is negative (or zero, for `width_ratio`) or not finite.

    Examples
    --------
    >>> squared_overlap([0.5, 2.0], 1.0)
    array([0.  , 0.75])
    """
    q = _poles(strength, width_ratio, row_scale, lambda s2, c, P: s2 / P * (1 - c / (P - 1) ** 2))
    return np.nan_to_num(q)[()]


@dataclasses.dataclass(frozen=True)
class FirstStep:
    """One gradient step on fresh Gaussian data with a single-index target.

    Parameters
    ----------
    activation : str or Activation
    link : str, callable or sequence of float
        The link, see `twolayer.data.as_link`.
    alpha0 : float
        n0/d, samples of the step per dimension, > 0.
    width_ratio : float
        m/d, > 0.
    noise : float
        Standard deviation of the label noise, >= 0.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or unknown.

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
        student = activations.get(self.activation)
        for kink in student.kinks:
            if abs(np.subtract(*student([kink + 1e-9, kink - 1e-9]))) > 1e-6:
                raise ValueError(
                    f"activation={self.activation!r} jumps: it has no gradient to step along"
                )
        link = as_link(self.link)
        if not isinstance(link, activations.Activation):  # kinks unknown: do two rules agree?
            rules = nodes(_PANELS, 60), nodes(tuple(np.arange(-11.5, 12)), 60)
            values = [(np.asarray(link(z), dtype=float), z, w) for z, w in rules]
            one, two = (np.array([y**2 @ w, y * z @ w]) for y, z, w in values)
            if not np.allclose(one, two, rtol=1e-4, atol=1e-4 * np.sqrt(two[0])):
                raise ValueError(
                    f"link={self.link!r}: quadrature does not converge; where the link "
                    "jumps or bends, give it as an Activation with its kinks"
                )
        _checks.real("alpha0", self.alpha0, minimum=0, strict=True)
        _checks.real("width_ratio", self.width_ratio, minimum=0, strict=True)
        _checks.real("noise", self.noise, minimum=0)

    def _moment(self, f, *factors):
        """E[f(Z) * product of factors(Z)], split at the kinks of f."""
        z, w = nodes(tuple(getattr(f, "kinks", _PANELS)), 200)
        return float(np.prod([np.asarray(h(z)) for h in (f, *factors)], axis=0) @ w)

    @functools.cached_property
    def slope(self):
        """mu1 = E[sigma'(Z)] = E[Z sigma(Z)], the linear part of the student."""
        return self._moment(activations.get(self.activation), lambda z: z)

    @functools.cached_property
    def residual(self):
        """mu_*^2 = E[sigma^2] - mu0^2 - mu1^2: what acts as noise in the linearised features."""
        student = activations.get(self.activation)
        return self._moment(student, student) - self._moment(student) ** 2 - self.slope**2

    @functools.cached_property
    def linear_part(self):
        """theta1 = E[Z y], the linear part of the target."""
        return self._moment(as_link(self.link), lambda z: z)

    @functools.cached_property
    def second_moment(self):
        """E[y^2], label noise included."""
        link = as_link(self.link)
        return self._moment(link, link) + self.noise**2

    @property
    def linear_bound(self):
        """Least test error of a linear predictor, E[y^2] - theta1^2 (label noise included)."""
        return self.second_moment - self.linear_part**2

    @property
    def gradient_norm(self):
        """Norm of g = X'y/n0: sqrt(theta1^2 + E[y^2]/alpha0)."""
        return math.sqrt(self.linear_part**2 + self.second_moment / self.alpha0)

    @property
    def squared_overlap(self):
        """Squared cosine of g with the target's direction: ``theta1^2 / |g|^2``."""
        return self.linear_part**2 / self.gradient_norm**2

    def strength(self, eta):
        """Spike strength ``s = eta |mu1| |g|`` of a step of size `eta`."""
        return abs(self.slope) * self.gradient_norm * _checks.real_array("eta", eta, minimum=0)[()]

    def row_scale(self, strength, m):
        """Factor by which a step shrinks the noise along the readout, at finite width `m`.

        The network's own output f enters the residual y - f. Its linear part mu1 a'W0 x / sqrt(m)
        takes a share ``s |mu1| / (|g| sqrt(m))`` off u'W0: a finite-size effect of order 1/sqrt(m).
        """
        share = np.asarray(strength) * abs(self.slope) / (self.gradient_norm * math.sqrt(m))
        return abs(1 - share)[()]

    def step_size(self, strength):
        """The step size `eta` whose spike has this strength."""
        if abs(self.slope) < 1e-12:
            raise ValueError(
                f"activation={self.activation!r} has E[sigma'] = 0: no step gives a spike"
            )
        s = _checks.real_array("strength", strength, minimum=0)
        return (s / (abs(self.slope) * self.gradient_norm))[()]


def _resolvent(t, c):
    """h(t) = (1/d) tr (W0'W0 + t)^-1, the positive root of t h^2 + (t + c - 1) h = 1, and h'(t).

    On the neuron side (1/m) tr (W0 W0' + t)^-1 = 1 / (t (1 + h)).
    """
    q = t + c - 1
    h = 2 / (q + np.sqrt(q * q + 4 * t))
    return h, -h * (h + 1) / (2 * t * h + q)


def _risk(gap, setting, eta, alpha):
    """Ridge and test error along the path of effective ridges t = t0 + gap, t0 = mu_*^2 / mu1^2."""
    c, mu2 = setting.width_ratio, setting.slope**2
    t = setting.residual / mu2 + gap
    h, dh = _resolvent(t, c)
    k, dk = 1 / (t * (1 + h)), -1 / (t * (1 + h)) * (1 / t + dh / (1 + h))
    ridge = mu2 * gap * (alpha / c - 1 + gap * k)
    # R = theta'(W1'W1 + t)^-1 theta; along v the spike replaces h by h (1 + h) / (1 + (1 + s^2) h)
    s2, rho2 = min(setting.strength(eta), 1e70) ** 2, setting.squared_overlap
    pole = 1 + (1 + s2) * h
    R = (1 - rho2) * h + rho2 * h * (1 + h) / pole
    dR = ((1 - rho2) + rho2 * ((1 + 2 * h) / pole + h * (1 - 1 / pole)) / pole) * dh
    Q, dQ = 1 - t * R, -R - t * dR
    fit = setting.linear_part**2 * (Q - gap * dQ)
    left = 1 - c / alpha + (c / alpha) * gap * (2 * k + gap * dk)  # 1 - gamma
    return ridge, (setting.second_moment - fit) / left


def ridge_risk(setting, eta, alpha, ridge=None):
    r"""Test error of ridge regression on the features after a step of size eta = O(1).

    In this regime the features act as the Gaussian vector mu1 W1 x + mu_* xi (Gaussian
    equivalence), and ridge regression on it has an exact limit. It never falls below the best
    linear predictor's. Fresh samples are used for the readout; the student must be odd.

    Parameters
    ----------
    setting : FirstStep
    eta : float
        Step size, >= 0; 0 is the network at initialisation (random features).
    alpha : float
        n/d, samples of the readout per dimension, > 0.
    ridge : float, optional
        Ridge > 0 of `twolayer.descent.fit_readout` on `TwoLayer.features`; without it the best.

    Returns
    -------
    float
        Test error E (y - f)^2, label noise included, in the units of y^2.

    Raises
    ------
    ValueError
        If the student is not odd or has no linear part, or an argument is out of its range.

    Notes
    -----
    The derivation is in the chapter `one_step`; the same limit as Theorem 5 of Ba et al. 2022,
    by another route (a deterministic equivalent of ridge regression given W1, then of the
    spiked resolvent).
    """
    eta, alpha = (
        _checks.real("eta", eta, minimum=0),
        _checks.real("alpha", alpha, minimum=0, strict=True),
    )
    if activations.get(setting.activation).parity != -1 or abs(setting.slope) < 1e-12:
        raise ValueError(f"activation={setting.activation!r} must be odd, with E[sigma'] not 0")

    def at(log_gap):
        return _risk(np.exp(log_gap), setting, eta, alpha)

    low, high = -60.0, 30.0
    if at(low)[0] < 0:  # too few samples for so many features: the path starts where the ridge is 0
        low = brentq(lambda u: at(u)[0], low, high, xtol=1e-13)
    if ridge is None:
        grid = np.linspace(low + 1e-9, math.log(1e6), 600)
        best = grid[np.argmin(at(grid)[1])]
        found = minimize_scalar(
            lambda u: at(u)[1], bounds=(max(low, best - 0.3), best + 0.3), method="bounded"
        )
        return float(found.fun)
    ridge = _checks.real("ridge", ridge, minimum=0, strict=True)
    high = max(high, math.log(ridge) + 30)
    if at(low)[0] >= ridge:
        return float(at(low)[1])
    return float(at(brentq(lambda u: at(u)[0] - ridge, low, high, xtol=1e-13))[1])
