"""Spikes of higher degree after one large step, and the error of readouts of any law.

After a step of size ``eta = r sqrt(m) / (mu1 |g|)`` neuron j sees ``r g_j k``, k the input's
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
from twolayer.theory import _bulk, _operator, _readouts, _spike
from twolayer.theory.exact_curves import _pairs
from twolayer.theory.one_step import FirstStep

__all__ = [
    "Step",
    "crossing",
    "floor",
    "learning_curve",
    "learnt_function",
    "outliers",
    "spikes",
    "window_error",
]


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
        Spike inside a neuron with g = 1, ``eta mu1 |g| / sqrt(m)``, >= 0.
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
        """Step size, ``r sqrt(m) / (mu1 |g|)``."""
        return self.r * math.sqrt(self.m) / (self._first.slope * self.gradient_norm)

    @property
    def linear_bound(self) -> float:
        """Least test error of a linear predictor, label noise included."""
        return self.first.linear_bound

    def excess(self, second_moment: float, gradient_norm: float) -> float:
        """Noise of the step in a neuron: its squared norm without the spike is 1 + excess g^2."""
        second_moment = _checks.real("second_moment", second_moment, minimum=0)
        gradient_norm = _checks.real("gradient_norm", gradient_norm, minimum=0, strict=True)
        size = (self.r / (self._first.slope * gradient_norm)) ** 2  # eta^2 / m, eq-hs-neuron
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


def learning_curve(
    step: Step, alpha: ArrayLike, ridge: ArrayLike, centred: bool = False
) -> np.ndarray | float:
    """Test error E (y - f)^2 of ridge regression on the features after the step, noise included.

    Parameters
    ----------
    step : Step
    alpha : array_like
        n/d, fresh samples of the readout per dimension, > 0.
    ridge : array_like
        Ridge > 0 of `twolayer.ridge.fit_readout` on the features, added to the sum of squares;
        broadcast against `alpha`.
    centred : bool
        True centres the columns of the features: for labels of mean 0 a readout with an intercept.
        Of an activation that is not odd each column has a mean of its own, and the even degrees
        are else learnt together with the constant.

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
    return _readouts.curve(
        step, tables, alpha, ridge, lambda fit, inputs: inputs.w @ fit.error, centred
    )


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


def _check(step, alpha=1.0, count=1):
    _checks.instance("step", step, Step)
    _checks.real("alpha", alpha, minimum=0, strict=True)
    return _checks.positive_int("count", count)


def spikes(step: Step, projection: ArrayLike = (), count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Strengths s_l of the spikes in the features, and the functions phi_l(k) that they carry.

    The mean of a feature at (k, g), centred over k, is a sum of phi_l(k) chi_l(g) s_l / sqrt(m);
    both have mean square 1. F/sqrt(n) then holds a spike of singular value s_l for each.

    Parameters
    ----------
    step : Step
    projection : array_like, shape (p,)
        Where phi_l is evaluated.
    count : int
        The strongest so many; 0 where there are fewer.

    Returns
    -------
    strengths : ndarray, shape (count,)
    functions : ndarray, shape (count, p)
        Positive where k is large.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=0.1)
    >>> strengths, functions = spikes(step, [2.0], count=2)
    >>> strengths.round(3)  # sqrt(m) |mu_l| r^l is 1.354 and .0084
    array([1.342, 0.007])
    >>> functions[:, 0].round(2)  # h_l(2) is 2 and 0.82
    array([1.99, 0.9 ])
    """
    count, k = _check(step, count=count), _checks.real_array("projection", projection, 1)
    inputs, neurons = _tables(step)
    found = _operator.spikes(inputs, neurons, step.m, count)
    if not k.size:
        return found.strengths, np.zeros((count, 0))
    excess = step.excess(step.first.second_moment, step.gradient_norm)
    there = _readouts.neurons(step.activation, step.r, excess, step.readout, tuple(k))
    centred = there.mean - inputs.w @ neurons.mean
    there = found.of_g @ (neurons.v * centred).T * math.sqrt(step.m)
    size = np.where(found.strengths > 0, found.strengths, 1.0)
    return found.strengths, there / size[:, None]


def outliers(
    step: Step, alpha: float, count: int = 3, resolved: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of F/sqrt(n) outside the bulk, and what their left vectors show.

    F holds the features sigma(w_j . x_i) of n = alpha d fresh samples, columns centred.

    Parameters
    ----------
    step : Step
    alpha : float
        n/d, > 0.
    count : int
        The first so many singular values.
    resolved : bool
        False: a bulk with the same covariance at every (k, g), in closed form. True: the bulk of
        each (k, g), from the fixed point of `learning_curve` at a negative ridge; in a second.

    Returns
    -------
    values : ndarray, shape (count,)
        The bulk's edge where there is no outlier.
    overlaps : ndarray, shape (count,)
        Squared overlap of the l-th left vector with phi_l of `spikes`; 0 inside the bulk.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=1.5)
    >>> values, overlaps = outliers(step, alpha=4.0)
    >>> values.round(3), overlaps.round(3)
    (array([11.363,  1.424,  1.125]), array([0.998, 0.782, 0.   ]))
    """
    count = _check(step, alpha, count)
    kind = _operator.resolved if resolved else _operator.averaged
    return kind(*_tables(step), alpha, step.width_ratio, step.d, count)


def floor(step: Step) -> float:
    """Least test error of any readout of these features, with unlimited samples and neurons.

    What is left of E[y^2] after the best combination of M(k, g), k M1(k, g) and M1(k, g) zeta,
    over all g; M1 is the part linear in a neuron's own input.

    Parameters
    ----------
    step : Step

    Examples
    --------
    >>> [round(floor(Step("tanh", "sign", 16.0, 0.5, readout=J)), 3) for J in (1, 2, "gaussian")]
    [0.26, 0.177, 0.134]
    """
    _check(step)
    inputs, neurons = _tables(step)
    root = np.sqrt(inputs.w)[:, None]
    along = np.c_[neurons.mean, inputs.k[:, None] * neurons.linear]
    left = inputs.w @ inputs.rest
    for functions, target in ((along, inputs.e0), (neurons.linear, inputs.e1)):
        basis, values, _ = np.linalg.svd(root * functions, full_matrices=False)
        basis = basis[:, values > 1e-9 * values[0]]
        target = root[:, 0] * target
        left += np.sum((target - basis @ (basis.T @ target)) ** 2)  # eq-hs-floor
    return float(left)


def window_error(step: Step, alpha: float, count: int = 4) -> float:
    """Test error at the best ridge where r is small and r sqrt(m) is not: in closed form.

    Columns of the features are centred, and the bulk is that of no step: an error of order r^2.

    Parameters
    ----------
    step : Step
    alpha : float
        n/d, > 0.
    count : int
        Spikes that count, the first included.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=0.05, d=1e7)
    >>> best = learning_curve(step, 8.0, np.geomspace(0.5, 2, 9)).min()
    >>> round(window_error(step, 8.0), 3), round(float(best), 3)
    (0.396, 0.396)
    """
    count = _check(step, alpha, count)
    inputs, neurons = _tables(step)
    first, beta = step.first, step.width_ratio
    tied = _operator.tied(inputs, neurons, first.slope**2 / step.d)
    found = _operator.spikes(inputs, tied, step.m, count)
    # modes of k, and the linear part across it: as in random features
    sizes = [
        first.linear_part**2 * (1 - step.cosine**2),
        *(found.of_k @ (inputs.w * inputs.e0)) ** 2,
    ]
    strengths = [math.sqrt(beta), *found.strengths / first.slope]
    floor = first.residual / first.slope**2
    log_gap = np.linspace(-30, 30, 241)
    for _ in range(5):  # zoom
        gap = np.exp(log_gap)
        t = floor + gap
        trace, slope = _operator.wishart(t, beta)
        spread = beta / alpha * (1 - 2 * gap * trace - gap**2 * slope)  # eq-traces
        error = first.second_moment
        for size, s2 in zip(sizes, np.square(strengths), strict=True):
            error = error - size * s2 * trace / (1 + s2 * trace)
            error += size * gap * s2 * slope / (1 + s2 * trace) ** 2  # eq-hs-gain
        error /= 1 - spread
        error[alpha <= beta * (1 - gap * trace)] = np.inf  # that takes a ridge below 0
        best = int(np.argmin(error))
        log_gap = np.linspace(log_gap[max(best - 1, 0)], log_gap[min(best + 1, 240)], 241)
    return float(error[best])


def crossing(step: Step, alpha: float) -> float:
    """The size eta of the shortest step after which the best ridge meets the linear bound.

    Parameters
    ----------
    step : Step
        Its r is not used.
    alpha : float
        n/d, > 0.

    Returns
    -------
    float
        nan where no r between 1e-4 and 20 does.

    Examples
    --------
    >>> step = Step("tanh", "sign", alpha0=16.0, r=1.0, d=1e6)
    >>> round(crossing(step, 8.0) / step.m ** (1 / 3), 2)
    2.06
    """
    from scipy.optimize import brentq

    _check(step, alpha)
    centre = 0.0

    def excess(log_r):
        nonlocal centre
        at = dataclasses.replace(step, r=math.exp(log_r))
        error, centre = _least(at, alpha, centre)
        return math.log(error / step.linear_bound)

    low = max(math.log(0.5) - math.log(step.m) / 6, math.log(1e-4))
    if excess(low) <= 0:
        low = math.log(1e-4)
        if excess(low) <= 0:  # below it already, as where nothing is learnt at any r
            return math.nan
    while excess(high := low + 0.4) > 0:
        low = high
        if low > math.log(20):
            return math.nan
    r = math.exp(brentq(excess, low, high, xtol=1e-5))
    return dataclasses.replace(step, r=r).eta


def _least(step, alpha, centre, width=0.5):
    """The least error over ridges, by a parabola in log ridge, and where; `centre` to start at."""
    errors = {}

    def at(place):
        if place not in errors:
            errors[place] = math.log(learning_curve(step, alpha, math.exp(centre + place * width)))
        return errors[place]

    middle = 0
    for _ in range(60):
        better = min((-1, 1), key=lambda i: at(middle + i))
        if at(middle + better) >= at(middle):
            break
        middle += better
    left, here, right = (at(middle + i) for i in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = (left - right) / (2 * bend) if bend > 0 else 0.0  # flat where nothing is learnt
    least = here - (left - right) * shift / 4
    return math.exp(least), centre + (middle + shift) * width
