"""What the first large step knows of a target's directions, from samples: two laws.

For the step of `twolayer.gradients.learn_directions` with ReLU on targets whose Hessian
E[grad^2 f*] is a multiple of the projection on r directions: a sum over directions of one link.
Damian, Lee & Soltanolkotabi 2022 prove rates; the constants here are derived in the book.
`twolayer.simulation.learning_directions` runs the step.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, binom, chdtr, gammaln, xlogy

from twolayer import _checks, _links
from twolayer.data import MultiIndex, SingleIndex, additive
from twolayer.hermite import coefficients, expectation, he
from twolayer.theory.spectra import Spectrum, _relu_coefficients, harmonic_counts

__all__ = ["Step", "wide_spectrum"]

_TERMS = 40  # of the Hermite series of a neuron: 1 in 1000 of its second moment lies beyond


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
        """The eigenvalue of E[grad^2 f*] on the directions, E[link''] / sqrt(r)."""
        return self._moments["curvature"] / math.sqrt(self.r)  # eq-ld-hessian

    @property
    def second_moment(self) -> float:
        """Delta, of the labels without constant and linear part, noise included."""
        return self._moments["rest"] + self.data.noise**2

    @property
    def _along(self):
        """Delta_parallel = E[y^2 z^2], with z the projection on one of the directions."""
        others = (self.r - 1) * self._moments["rest"]
        return (self._moments["weighted"] + others) / self.r + self.data.noise**2

    @property
    def snr(self) -> float:
        """omega: squared pull on the directions over its squared noise, for a start 1/sqrt(d)."""
        d = self.data.d
        return (
            2 * self.n * self.hessian**2 / (math.pi * d**2 * self.second_moment)
        )  # eq-ld-alignment

    @property
    def spread(self) -> float:
        """Delta_parallel / Delta: variance of the noise along a direction, over that across."""
        return self._along / self.second_moment

    @property
    def pull(self) -> float:
        """omega with the noise along the directions, a finite-d term: snr + spread / d."""
        return self.snr + self.spread / self.data.d  # eq-ld-finite

    @property
    def noise_ratio(self) -> float:
        """Gamma = Delta_parallel / hessian^2; infinite without a Hessian."""
        h2 = self.hessian**2
        return self._along / h2 if h2 > 1e-20 * self._moments["rest"] else math.inf

    @property
    def subspace_overlap(self) -> float:
        """Overlap of the layer's leading subspace with the directions: 1 / (1 + noise_ratio d/n).

        The layer as a whole sees the matrix mean(y x x'). Its leading eigenvector is off by a
        vector with d coordinates of variance E[y^2 z^2]/n, over the Hessian's eigenvalue.
        """
        return 1 / (1 + self.noise_ratio * self.data.d / self.n)  # eq-ld-subspace

    @property
    def mean_squared_overlap(self) -> float:
        """Mean squared cosine of a neuron with the span: a function of n/d^2, up to O(1/d).

        E[w Q/(1 + w Q)] = integral of w r (1 + 2 w t)^(-r/2 - 1) e^-t over t > 0, w = omega, by the
        trapezoid rule in log t: its terms are positive, so that nothing cancels.
        """
        u = np.arange(min(0.0, -math.log(2 * self.pull)) - 40, 5, 0.1)
        decay = (self.r / 2 + 1) * np.log1p(2 * self.pull * np.exp(u))
        total = 0.1 * self.pull * self.r * np.exp(u - np.exp(u) - decay).sum()
        return min(float(total), 1.0)

    def squared_overlap_cdf(self, t: ArrayLike) -> float | np.ndarray:
        """P(squared cosine of a neuron with the span <= t), t in [0, 1].

        The squared cosine is omega Q / (1 + omega Q), Q chi-squared with r degrees of freedom: the
        pull along the span is proportional to the initial projection.
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


# --- infinitely many neurons


def wide_spectrum(step: Step, *, degree: int = 8) -> Spectrum:
    """What ridge regression sees of infinitely many neurons after the step.

    The law of `twolayer.simulation.learning_directions.draw` as m goes to infinity: unit rows
    ``rho u + sqrt(1 - rho^2) v``, with u the direction that the layer knows, v uniform across it.
    Of the two axes along which all pulls move together the weaker one is left out: its variance is
    about ``2 spread^2 / (pi d snr)`` of that of the noise in one of the d coordinates. In a real
    layer the noise across is not uniform, and errors are higher (in depth page of the book). The
    cost d/n of taking out the linear part is not included.
    A neuron is a sum of h_i(u.x) h_k(v.x). Harmonics of degree j across u share one small matrix in
    (i, k): E[c_{i+k} c_{i'+k'}] E[rho^{i+i'} (1 - rho^2)^{(k+k')/2}] over their number.

    Parameters
    ----------
    step : Step
        On a target of one direction, in d >= 4.
    degree : int
        Highest degree of the harmonics across, 4 to 30; what lies beyond is the tail.

    Examples
    --------
    >>> wide = wide_spectrum(Step(SingleIndex(100, "he2"), n=10_000))
    >>> round(wide.trace, 3), round(float(wide.second_moment.sum()), 3)  # E relu(z + b)^2, E y^2
    (1.0, 1.0)
    """
    _checks.instance("step", step, Step)
    data = step.data
    link, r = additive(data)
    if r != 1:
        raise ValueError(f"step is on r={r} directions; it must be on one")
    _checks.integer("data.d", data.d, 4)
    degree = _checks.integer("degree", degree, 4, 30)
    pull, shift = _leading(step)
    biases, powers, g = _over_biases(), _over_cosines(pull), coefficients(link, _TERMS)

    parts = []
    for j, count in enumerate(harmonic_counts(data.d - 1, degree)):
        for parity in (0, 1):  # rho and -rho are equally likely
            i, k = (v.ravel() for v in np.mgrid[parity : _TERMS + 1 : 2, j : _TERMS + 1 : 2])
            i, k = i[i + k <= _TERMS], k[i + k <= _TERMS]
            size = np.sqrt(binom(i + k, i) * _share(data.d - 1, j)[k])
            matrix = biases[i[:, None] + k[:, None], i + k] * powers[i[:, None] + i, k[:, None] + k]
            lam, vectors = np.linalg.eigh(size[:, None] * matrix * size / count)  # eq-ld-wide
            toward = g[i + k] * size * shift**i * math.sqrt(1 - shift**2) ** k
            kept = lam * math.sqrt(count) > 1e-13
            parts.append((lam[kept], np.full(kept.sum(), count), (toward @ vectors)[kept] ** 2))
    lam, multiplicity, second_moment = (np.concatenate(v) for v in zip(*parts, strict=True))
    whole = float(expectation(lambda z: link(z) ** 2, getattr(link, "kinks", ())))
    return Spectrum(
        lam,
        multiplicity,
        second_moment,
        tail=max(1 - float(lam @ multiplicity), 0.0),  # of E relu(z + b)^2 = 1
        outside=max(whole - float(second_moment.sum()), 0.0),
        noise=data.noise**2,
    )


def _over_biases():
    """E[c_l(b) c_l'(b)], b ~ N(0, 1), of the Hermite coefficients of relu(z + b)."""
    b = np.linspace(-9, 9, 181)  # the trapezoid rule is exact for such functions
    density = np.exp(-(b**2) / 2)
    c = _relu_coefficients(b, _TERMS)
    return (c * density) @ c.T / density.sum()


def _leading(step):
    """Variance of the pulls along their leading direction, and its cosine with the target's."""
    d, spread = step.data.d, step.spread
    along, shared = math.sqrt(step.snr), math.sqrt(2 * spread / math.pi / d)  # of eq-ld-draw
    plane = [[along**2 + spread / d, along * shared], [along * shared, shared**2]]
    values, vectors = np.linalg.eigh(plane)
    return values[1], abs(vectors[0, 1])


def _over_cosines(pull):
    """E[|rho|^p sqrt(1 - rho^2)^q], p, q = 0..2 _TERMS; by the trapezoid rule in log |z|."""
    log = np.arange(-20, 2.5, 0.05)
    z = np.exp(log)
    density = np.exp(-(z**2) / 2 + log)
    tangent = z * math.sqrt(pull)
    steps = np.arange(2 * _TERMS + 1)[:, None]
    rho = (tangent / np.hypot(1, tangent)) ** steps
    return (rho * density / density.sum()) @ (np.hypot(1, tangent) ** -steps.astype(float)).T


def _share(d, j):
    """Of (v.w)^k, k = 0.._TERMS, the share of the harmonics of degree j: its coefficient of P_j."""
    k = np.arange(_TERMS + 1)
    s = (k - j) / 2  # E[u^k P_j(u)] by Rodrigues' formula, times their number
    with np.errstate(invalid="ignore"):  # of k < j
        beta = betaln(s + 0.5, (d - 1) / 2 + j) - betaln(0.5, (d - 1) / 2)
        rise = (
            gammaln(k + 1.0)
            - gammaln(k - j + 1.0)
            - gammaln((d - 1) / 2 + j)
            + gammaln((d - 1) / 2)
            - j * math.log(2)
        )
        log = np.log(harmonic_counts(d, j)[-1]) + beta + rise
    return np.where((k >= j) & ((k - j) % 2 == 0), np.exp(log), 0.0)
