"""One large step on clusters: the exact square error and misclassification.

Clusters lie on a line along theta. The gradient finds the line if labels and positions correlate;
given the projection k on the gradient, inputs and labels follow from the cluster's posterior, and
the error from the fixed point of `theory.higher_spikes`.

Sources: Demir and Dogan 2025 (arXiv 2503.00856) for one step on Gaussian mixtures; the equations
are derived in the chapter `mixtures`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from twolayer import _checks
from twolayer.data import as_link
from twolayer.theory import _readouts, _spike
from twolayer.theory.exact_curves import _pairs
from twolayer.theory.higher_spikes import Step

__all__ = ["Mixture", "learning_curve", "learnt_function"]


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Gaussian clusters on a line: in cluster c, theta.x ~ N(means_c, stds_c^2), the rest N(0, 1).

    Parameters
    ----------
    means : sequence of float, length C
        Positions along theta.
    weights : sequence of float, length C
        Probabilities; positive, of sum 1.
    labels : sequence, length C
        A cluster's label: a number, or a link (name or callable) of theta.x. With any link no
        misclassification is computed: it is nan. Numbers must not be 0.
    stds : float or sequence of float, length C
        Standard deviations along theta, > 0.

    Examples
    --------
    >>> stripe = Mixture([-3, -1, 1, 3], [0.25] * 4, [-1, 1, -1, 1])
    >>> stripe.linear_part, round(stripe.linear_bound, 4)
    (1.0, 0.8333)
    """

    means: Sequence[float]
    weights: Sequence[float]
    labels: Sequence[float | str | Callable]
    stds: float | Sequence[float] = 1.0

    def __post_init__(self):
        means = _checks.real_array("means", self.means, 1)
        weights = _checks.real_array("weights", self.weights, 1, minimum=0, strict=True)
        stds = _checks.real_array("stds", self.stds, minimum=0, strict=True)
        if isinstance(self.labels, str) or not isinstance(self.labels, Sequence | np.ndarray):
            raise TypeError(f"labels={self.labels!r} must be a sequence, one label a cluster")
        labels = tuple(
            x if isinstance(x, str) or callable(x) else _checks.real("labels", x)
            for x in self.labels
        )
        sizes = len(means), len(weights), len(labels)
        if not means.size or len(set(sizes)) > 1 or stds.shape not in ((), means.shape):
            raise ValueError(
                f"means, weights and labels have {sizes} entries, stds shape {stds.shape}; "
                "each must have one a cluster (stds may be one number)"
            )
        if abs(weights.sum() - 1) > 1e-9:
            raise ValueError(f"weights={self.weights!r} must sum to 1, not {weights.sum()}")
        for label in labels:
            if not (callable(as_link(label)) if isinstance(label, str) else True):
                raise ValueError(f"labels={self.labels!r}: {label!r} is no link")
            if label == 0 or (isinstance(label, float) and not math.isfinite(label)):
                raise ValueError(f"labels={self.labels!r} must be finite and not 0")
        stds = np.broadcast_to(stds, means.shape)
        for name, value in (("means", means), ("weights", weights), ("stds", stds)):
            object.__setattr__(self, name, tuple(value.tolist()))
        object.__setattr__(self, "labels", labels)

    @property
    def classes(self) -> bool:
        """Whether labels are numbers, so that a sign can be right or wrong."""
        return all(isinstance(label, float) for label in self.labels)

    def _average(self, f):
        """E f(t, y) over t = theta.x and its label."""
        z = np.zeros(1)
        total = 0.0
        for mean, weight, label, std in zip(
            self.means, self.weights, self.labels, self.stds, strict=True
        ):
            value = _moments(label, z + mean, std)
            total += weight * f(mean, std, *(float(part[0]) for part in value))
        return total

    @functools.cached_property
    def linear_part(self) -> float:
        """theta1 = E[y t], with t = theta.x."""
        return self._average(lambda mean, std, y, slope, rest: mean * y + std * slope)

    @functools.cached_property
    def mean_label(self) -> float:
        """E[y]."""
        return self._average(lambda mean, std, y, slope, rest: y)

    @functools.cached_property
    def second_moment(self) -> float:
        """E[y^2]."""
        return self._average(lambda mean, std, y, slope, rest: y**2 + slope**2 + rest)

    @functools.cached_property
    def linear_bound(self) -> float:
        """Least square error of a linear predictor a.x without a constant."""
        spread = self._average(lambda mean, std, *_: mean**2 + std**2)
        return self.second_moment - self.linear_part**2 / spread  # eq-mx-linear

    def gradient_norm(self, alpha0: float, noise: float = 0.0) -> float:
        """Norm of X'y/n0."""
        alpha0 = _checks.real("alpha0", alpha0, minimum=0, strict=True)
        noise = _checks.real("noise", noise, minimum=0)
        second = self.second_moment + noise**2
        return math.hypot(self.linear_part, math.sqrt(second / alpha0))  # eq-mx-alignment


def _moments(label, shift, scale):
    """E y, E[z y] and the rest's second moment for y = label(shift + scale z)."""
    if isinstance(label, float):
        return np.full_like(shift, label), 0 * shift, 0 * shift
    mean, linear, _, rest = _spike.moments(as_link(label), shift, scale)
    return mean, linear, rest


class _Clusters(NamedTuple):
    """At each k, for each cluster: arrays of shape (k, C)."""

    posterior: np.ndarray
    mean: np.ndarray  # of zeta
    std: np.ndarray
    side: np.ndarray  # sign of the label


def _grid(mixture, cosine, r, finer):
    """k and dk, fine where features bend, and where one cluster takes over from another."""
    mean = cosine * np.array(mixture.means)
    spread = 1 + cosine**2 * (np.array(mixture.stds) ** 2 - 1)  # variance of k in a cluster
    width = 1.5 / (1 + 4 * r)
    gap = abs(mean[:, None] - mean) + 1e-300
    between = abs(mean[:, None] + mean) / 2
    steps = [
        (0.35 * np.sqrt(spread) / np.hypot(width, mean)).min(),
        (1.4 * np.minimum.outer(spread, spread) / gap / np.hypot(width, between)).min(),
    ]
    reach = (abs(mean) + 9 * np.sqrt(spread)).max()
    step = min(_readouts.STEP, *steps) / finer
    if math.asinh(reach / width) / step > 400 * finer:
        raise ValueError(
            f"{mixture} has clusters too far apart, or too narrow, for the quadrature: "
            f"it would take more than 800 nodes"
        )
    return _readouts.graded(width, reach, step)


def _posterior(mixture, cosine, noise, k, dk):
    """What inputs carry at each k, in all and in each cluster."""
    sine2 = 1 - cosine**2
    mean, std = np.array(mixture.means), np.array(mixture.stds)
    spread = sine2 + (cosine * std) ** 2
    z = (k[:, None] - cosine * mean) / np.sqrt(spread)
    joint = np.array(mixture.weights) * _readouts.density(z) / np.sqrt(spread)
    w = joint.sum(1)
    posterior = joint / np.maximum(w, 1e-300)[:, None]
    place = mean + std**2 * cosine / spread * (k[:, None] - cosine * mean)  # of t given k
    scale = std * np.sqrt(sine2 / spread)
    zeta = (place - cosine * k[:, None]) / math.sqrt(sine2)  # eq-mx-across
    wide = np.broadcast_to(std / np.sqrt(spread), zeta.shape)
    found = [_moments(y, t, s) for y, t, s in zip(mixture.labels, place.T, scale, strict=True)]
    y, slope, rest = np.array(found).transpose(1, 2, 0)
    average = (posterior * zeta).sum(1)  # eq-mx-moments
    both = np.sqrt((posterior * (wide**2 + (zeta - average[:, None]) ** 2)).sum(1))
    e0 = (posterior * y).sum(1)  # eq-mx-posterior
    e1 = (posterior * ((zeta - average[:, None]) * y + wide * slope)).sum(1) / both
    left = y - e0[:, None] - (e1 / both)[:, None] * (zeta - average[:, None])
    along = slope - (e1 / both)[:, None] * wide
    rest = (posterior * (rest + left**2 + along**2)).sum(1) + noise**2
    inputs = _readouts.Inputs(k, w * dk, average, both, e0, e1, rest)
    side = np.sign(y) if mixture.classes else np.full_like(y, np.nan)
    return inputs, _Clusters(posterior, zeta, wide, side)


@functools.lru_cache(maxsize=32)
def _tables(step, mixture, finer=1):
    """Inputs, clusters and neurons on the grid: once for a curve."""
    _readouts.check_mean(step, mixture.mean_label, "labels", mixture.labels)
    norm = mixture.gradient_norm(step.alpha0, step.noise)
    cosine = mixture.linear_part / norm
    k, dk = _grid(mixture, cosine, step.r, finer)
    inputs, clusters = _posterior(mixture, cosine, step.noise, k, dk)
    second = mixture.second_moment + step.noise**2
    found = inputs.w @ (inputs.e0**2 + inputs.e1**2 + inputs.rest)
    if abs(found - second) > 1e-6 * second or abs(inputs.w.sum() - 1) > 1e-6:
        raise ValueError(f"{mixture}: quadrature does not converge")
    excess = step.excess(second, norm)
    neurons = _readouts.neurons(step.activation, step.r, excess, step.readout, tuple(k))
    return inputs, neurons, clusters


def _misclassified(inputs, clusters, fit):
    """Share of inputs on the wrong side: f given k and cluster is Gaussian."""
    known = inputs.rest + (inputs.e0 - fit.f0) ** 2 + (inputs.e1 - fit.f1) ** 2
    slope = (fit.f1 / inputs.std)[:, None]
    mean = fit.f0[:, None] + slope * (clusters.mean - inputs.mean[:, None])
    noise = np.maximum(fit.error - known, 0)[:, None] + (slope * clusters.std) ** 2
    wrong = ndtr(-clusters.side * mean / np.sqrt(np.maximum(noise, 1e-300)))
    return inputs.w @ (clusters.posterior * wrong).sum(1)  # eq-mx-mistakes


def learning_curve(
    step: Step, mixture: Mixture, alpha: ArrayLike, ridge: ArrayLike
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Test error E (y - f)^2, and how often f has the wrong sign, after a step on clusters.

    Parameters
    ----------
    step : Step
        Its r is in units of the mixture's own gradient, ``eta mu1 |g| / sqrt(m)``. Its link is not
        used.
    mixture : Mixture
    alpha, ridge : array_like
        As in `twolayer.theory.higher_spikes.learning_curve`.

    Returns
    -------
    error, misclassification : ndarray or float
        nan where the fixed point did not converge; misclassification also where labels are links.

    Warns
    -----
    ConvergenceWarning
        If an entry did not converge.

    Examples
    --------
    >>> step = Step("tanh", None, alpha0=8.0, r=1.0, d=320)
    >>> two = Mixture([-1.5, 1.5], [0.5, 0.5], [-1, 1])
    >>> [round(float(part), 3) for part in learning_curve(step, two, 8.0, 1.0)]
    [0.223, 0.073]
    """
    _check(step, mixture)
    alpha, ridge = _pairs(alpha, ridge)
    tables = functools.partial(_tables, step, mixture)

    def both(fit, inputs, clusters):
        return inputs.w @ fit.error, _misclassified(inputs, clusters, fit)

    found = _readouts.curve(step, tables, alpha, ridge, both)
    return found[..., 0][()], found[..., 1][()]


def learnt_function(
    step: Step, mixture: Mixture, alpha: float, ridge: float, projection: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """The learnt function along the gradient, E[f(x) given v.x], and the target's, E[y given v.x].

    Parameters
    ----------
    step, mixture, alpha, ridge
        As in `learning_curve`.
    projection : array_like, shape (p,)
        The input's coordinate v.x: around cosine times the means.

    Returns
    -------
    learnt, target : ndarray, shape (p,)

    Warns
    -----
    ConvergenceWarning
        If the fixed point did not converge; `learnt` is then nan.

    Examples
    --------
    >>> step = Step("tanh", None, alpha0=8.0, r=1.0, d=320)
    >>> two = Mixture([-1.5, 1.5], [0.5, 0.5], [-1, 1])
    >>> learnt, target = learnt_function(step, two, 8.0, 1.0, [0.5, 1.0])
    >>> learnt.round(3), target.round(3)
    (array([0.55 , 0.864]), array([0.623, 0.898]))
    """
    _check(step, mixture)
    tables = functools.partial(_tables, step, mixture)
    return _readouts.learnt(step, tables, alpha, ridge, projection)


def _check(step, mixture):
    _checks.instance("step", step, Step)
    _checks.instance("mixture", mixture, Mixture)
