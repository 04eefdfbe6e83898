"""What the first large step knows of a target's directions, from samples: two laws.

For the step of `twolayer.gradients.learn_directions` with ReLU on targets whose Hessian
E[grad^2 f*] is h times the projection on r directions: a sum over directions of one link. Damian,
Lee & Soltanolkotabi 2022 prove rates; the constants here are derived in the book.
`twolayer.simulation.learning_directions` runs the step.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtr, gammaln, xlogy

from twolayer import _checks, _links
from twolayer.data import MultiIndex, SingleIndex, additive
from twolayer.hermite import he

__all__ = ["Step"]


@dataclasses.dataclass(frozen=True)
class Step:
    """One large step on n samples of a target, and what it is predicted to learn.

    Parameters
    ----------
    data : SingleIndex or MultiIndex
        Gaussian inputs; a sum over directions of one link, which must not be linear.
    n : int
        Samples of the step.

    Raises
    ------
    ValueError
        If averages over the link do not converge: it has kinks that it does not declare.

    Examples
    --------
    >>> step = Step(SingleIndex(100, "he2"), n=10_000)
    >>> round(step.snr, 6), round(step.noise_ratio, 6)  # 4/pi and 5/2
    (1.27324, 2.5)
    """

    data: SingleIndex | MultiIndex
    n: int

    def __post_init__(self) -> None:
        _checks.positive_int("n", self.n)
        curved, size = self._moments["rest"], self._moments["linear"]
        if curved <= 1e-12 * (size + 1e-300):
            raise ValueError("the target is linear; the step needs a part of degree two or more")

    @functools.cached_property
    def _moments(self):
        """Of the link without its linear part, rest = link - c0 - c1 z, at one direction."""
        link, _ = additive(self.data)
        z, w = _links.quadrature("link", self.data.link)
        y = np.asarray(link(z), dtype=float)
        c0, c1 = w @ y, w @ (y * z)
        rest = y - c0 - c1 * z
        return {
            "linear": float(c0**2 + c1**2),
            "curvature": float(w @ (rest * he(2, z))),  # E[link'']
            "rest": float(w @ rest**2),
            "weighted": float(w @ (rest * z) ** 2),
        }

    @property
    def r(self) -> int:
        """Number of directions."""
        return additive(self.data)[1]

    @property
    def hessian(self) -> float:
        """h, the eigenvalue of E[grad^2 f*] on the directions."""
        return self._moments["curvature"] / math.sqrt(self.r)  # eq-ld-hessian

    @property
    def second_moment(self) -> float:
        """P, of the labels without constant and linear part, noise included."""
        return self._moments["rest"] + self.data.noise**2

    @property
    def _along(self):
        """E[y^2 z^2], with z the projection on one of the directions."""
        others = (self.r - 1) * self._moments["rest"]
        return (self._moments["weighted"] + others) / self.r + self.data.noise**2

    @property
    def snr(self) -> float:
        """Squared pull along the directions over its squared noise, for a start of 1/sqrt(d)."""
        d = self.data.d
        return (
            2 * self.n * self.hessian**2 / (math.pi * d**2 * self.second_moment)
        )  # eq-ld-alignment

    @property
    def spread(self) -> float:
        """E[y^2 z^2] / P: variance of the noise along a direction, over that across."""
        return self._along / self.second_moment

    @property
    def pull(self) -> float:
        """tau: snr + spread / d, with the noise along the directions, a finite-d term."""
        return self.snr + self.spread / self.data.d  # eq-ld-finite

    @property
    def noise_ratio(self) -> float:
        """E[y^2 z^2] / h^2, the chapter's kappa; infinite without a Hessian."""
        h2 = self.hessian**2
        return self._along / h2 if h2 > 1e-20 * self._moments["rest"] else math.inf

    @property
    def subspace_overlap(self) -> float:
        """Overlap of the layer's leading subspace with the directions: 1 / (1 + noise_ratio d/n).

        The layer as a whole sees the matrix mean(y x x'). Its leading eigenvector is off by a
        vector with d coordinates of variance E[y^2 z^2]/n, over the eigenvalue h.
        """
        return 1 / (1 + self.noise_ratio * self.data.d / self.n)  # eq-ld-subspace

    @property
    def mean_squared_overlap(self) -> float:
        """Mean squared cosine of a neuron with the span: a function of n/d^2, up to O(1/d).

        E[tau Q/(1 + tau Q)] = integral of tau r (1 + 2 tau t)^(-r/2 - 1) e^-t over t > 0, by the
        trapezoid rule in log t: its terms are positive, so that nothing cancels.
        """
        u = np.arange(min(0.0, -math.log(2 * self.pull)) - 40, 5, 0.1)
        decay = (self.r / 2 + 1) * np.log1p(2 * self.pull * np.exp(u))
        total = 0.1 * self.pull * self.r * np.exp(u - np.exp(u) - decay).sum()
        return min(float(total), 1.0)

    def squared_overlap_cdf(self, t: ArrayLike) -> float | np.ndarray:
        """P(squared cosine of a neuron with the span <= t), t in [0, 1].

        The squared cosine is tau Q / (1 + tau Q), Q chi-squared with r degrees of freedom: the pull
        along the span is proportional to the initial projection.
        """
        t = _shares(t)
        with np.errstate(divide="ignore"):
            return chdtr(self.r, t / ((1 - t) * self.pull))[()]  # eq-ld-alignment

    def squared_overlap_density(self, t: ArrayLike) -> float | np.ndarray:
        """Density of the squared cosine of a neuron with the span, at t inside (0, 1)."""
        t = _shares(t)
        if ((t == 0) | (t == 1)).any():
            raise ValueError("t must lie inside (0, 1): the density may be infinite at its ends")
        q = t / ((1 - t) * self.pull)
        half = self.r / 2
        log = xlogy(half - 1, q / 2) - q / 2 - gammaln(half)  # of twice chi-squared's density
        return np.exp(log)[()] / (2 * self.pull * (1 - t) ** 2)


def _shares(t):
    t = _checks.real_array("t", t, minimum=0)
    if (t > 1).any():
        raise ValueError(f"t must lie between 0 and 1, got {t.max()}")
    return t
