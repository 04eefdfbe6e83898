"""What the first large step knows of a target's directions, from samples: two laws.

For the step of `twolayer.descent.learn_directions` with ReLU on targets whose Hessian
E[grad^2 f*] is h times the projection on r directions: a sum over directions of one link. Damian,
Lee & Soltanolkotabi 2022 prove rates; the constants here are derived in the book.
"""

import math

import numpy as np
from scipy import stats
from scipy.integrate import quad

from twolayer import _checks
from twolayer.data import additive
from twolayer.hermite import coefficients, expectation
from twolayer.network import TwoLayer

__all__ = ["Step"]


def _shares(t):
    t = _checks.real_array("t", t, minimum=0)
    if (t > 1).any():
        raise ValueError(f"t must lie between 0 and 1, got {t.max()}")
    return t


class Step:
    """One large step on n samples of a target, and what it is predicted to learn.

    Parameters
    ----------
    data : SingleIndex or MultiIndex
        The link is a sum over directions (a name or Hermite coefficients, for `MultiIndex`).
    n : int
        Samples of the step.

    Attributes
    ----------
    r : int
        Number of directions.
    hessian : float
        h, the eigenvalue of E[grad^2 f*] on them.
    power : float
        Variance of the labels without constant and linear part, noise included.
    snr : float
        2 n h^2 / (pi d^2 power): squared pull of a neuron along the directions, per squared
        standard deviation of its initial overlap, over the squared noise of its pull.
    spread : float
        E[y^2 z^2] / power: variance of the noise along a direction, over that across.
    pull : float
        snr + spread / d: with the noise along the directions, a finite-d term.
    kappa : float
        E[y^2 z^2] / h^2, with z the coordinate along a direction.

    Raises
    ------
    TypeError
        If `data` is of another kind.
    ValueError
        If `n` is not a positive integer, the target is linear, or the inputs are not Gaussian.

    Examples
    --------
    >>> from twolayer.data import SingleIndex
    >>> step = Step(SingleIndex(100, "he2"), n=10_000)
    >>> round(step.snr, 6), round(step.kappa, 6)  # 4/pi and 5/2
    (1.27324, 2.5)
    """

    def __init__(self, data, n):
        self.data, self.n = data, _checks.positive_int("n", n)
        link, self.r = additive(data)
        kinks = getattr(link, "kinks", ())
        c0, c1, c2 = coefficients(link, 2, kinks)

        def rest(z):
            return link(z) - c0 - c1 * z

        one = float(expectation(lambda z: rest(z) ** 2, kinks))
        if one <= 1e-12 * (c0**2 + c1**2 + 1e-300):
            raise ValueError("the target is linear; the step needs a part of degree two or more")
        weighted = float(expectation(lambda z: (rest(z) * z) ** 2, kinks))
        self.power = one + data.noise**2
        self.hessian = float(math.sqrt(2) * c2 / math.sqrt(self.r))
        h2 = self.hessian**2
        self.snr = 2 * n * h2 / (math.pi * data.d**2 * self.power)
        mixed = (weighted + (self.r - 1) * one) / self.r + data.noise**2  # E[y^2 z^2]
        self.kappa = mixed / h2 if h2 > 1e-20 * one else math.inf
        self.spread = mixed / self.power
        self.pull = self.snr + self.spread / data.d

    def alignment_cdf(self, t):
        """P(squared cosine of a neuron with the span <= t).

        The squared cosine is pull q / (1 + pull q), q chi-squared with r degrees of freedom: the
        pull along the span is proportional to the initial overlap.

        Parameters
        ----------
        t : array_like
            In [0, 1].

        Returns
        -------
        ndarray or float
        """
        t = _shares(t)
        with np.errstate(divide="ignore"):
            return stats.chi2.cdf(t / ((1 - t) * self.pull), self.r)

    def alignment_density(self, t):
        """Density of the squared cosine of a neuron with the span, at t in (0, 1).

        Parameters
        ----------
        t : array_like

        Returns
        -------
        ndarray or float
        """
        t = _shares(t)
        if ((t == 0) | (t == 1)).any():
            raise ValueError("t must lie inside (0, 1): the density may be infinite at its ends")
        q = t / ((1 - t) * self.pull)
        return stats.chi2.pdf(q, self.r) / (self.pull * (1 - t) ** 2)

    @property
    def mean_alignment(self):
        """Mean squared cosine of a neuron with the span: a function of n/d^2, up to O(1/d)."""
        law, s = stats.chi(self.r), self.pull
        return quad(
            lambda q: law.pdf(q) * s * q * q / (1 + s * q * q), *law.ppf([1e-12, 1 - 1e-12])
        )[0]

    @property
    def subspace_overlap(self):
        """Overlap of the leading subspace with the directions: 1 / (1 + kappa d/n).

        The first layer as a whole sees the matrix mean(r x x'), whose leading eigenvector is off by
        a vector with d coordinates of variance E[y^2 z^2]/n, over the eigenvalue h.
        """
        return 1 / (1 + self.kappa * self.data.d / self.n)

    def draw(self, m, rng):
        """A ReLU network after the step, drawn from the laws without data.

        Unit rows in opposite pairs, biases N(0, 1), a zero readout, as from
        `twolayer.descent.learn_directions`. With one `rng` the neurons' starts and biases are the
        same at every d and n, which makes differences between settings sharper.

        Parameters
        ----------
        m : int
            Width, even.
        rng : numpy.random.Generator

        Returns
        -------
        TwoLayer

        Raises
        ------
        ValueError, TypeError
            If `m` is not a positive even integer, or `rng` no generator.
        """
        if _checks.positive_int("m", m) % 2:
            raise ValueError(f"m={m} must be even: neurons come in pairs")
        first, second = _checks.generator(rng).spawn(2)
        d, r = self.data.d, self.r
        start = first.standard_normal((m // 2, r))  # overlaps, times sqrt(d)
        pull = first.standard_normal((m // 2, d)) / math.sqrt(d)
        shared = first.standard_normal((r, d - r)) * math.sqrt(2 * self.spread / math.pi) / d
        pull[:, :r] *= math.sqrt(self.spread)
        pull[:, :r] += math.sqrt(self.snr) * start
        pull[:, r:] += start @ shared  # the leading direction is off for all neurons alike
        pull /= np.linalg.norm(pull, axis=1, keepdims=True)
        W = np.concatenate([pull, -pull])
        return TwoLayer(W, np.zeros(m), "relu", second.standard_normal(m))
