"""Online gradient descent of one neuron on the sphere: how its cosine with the target grows.

Inputs x ~ N(0, I_d), labels y = link(z_*) + noise with z_* = theta.x, a neuron sigma(z), z = w.x,
with w on the unit sphere. Each step takes a fresh sample, along the sphere:

    w <- (w + eta U (x - z w)) / norm,

with the pull U = y sigma'(z) for the correlation loss -y sigma(z), and U = (y - sigma(z)) sigma'(z)
for the squared loss (y - sigma(z))^2 / 2. What is watched is the cosine rho = w.theta; theta is the
first axis.

Sources: Ben Arous, Gheissari & Jagannath 2021 for the rates; Arnaboldi et al. 2024 and Dandi et al.
2024 for samples that are used more than once.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations
from twolayer.data import as_link
from twolayer.hermite import between, coefficients, expectation, nodes

__all__ = ["OnlineSGD", "drift", "information_exponent", "ode", "ode_time"]

_PANELS = tuple(np.arange(-11.0, 12.0))  # cuts for a function of which nothing is known


@dataclasses.dataclass(frozen=True)
class OnlineSGD:
    """One neuron on the sphere, a single-index target, a fresh sample every step.

    Parameters
    ----------
    d : int
        Input dimension, at least 2.
    link : str, callable or sequence of float
        The target's function, see `twolayer.data.as_link`.
    eta : float
        Step size, > 0.
    activation : str, Activation or sequence of float, optional
        The neuron's, with Hermite coefficients as in `as_link`; the link without it. It must have
        a slope somewhere: a sign would never move.
    loss : {"correlation", "squared"}
    reuse : int
        Consecutive steps on each sample, >= 1.
    noise : float
        Standard deviation of Gaussian label noise, in the units of y.

    Examples
    --------
    >>> config = OnlineSGD(d=100, link="he3", eta=1e-4)
    >>> float(drift(config, 0.2).round(9))  # about 3 eta rho^2 (1 - rho^2)
    1.1067e-05
    """

    d: int
    link: str | Callable | Sequence[float]
    eta: float
    activation: str | activations.Activation | Sequence[float] | None = None
    loss: str = "correlation"
    reuse: int = 1
    noise: float = 0.0

    def __post_init__(self):
        _checks.integer("d", self.d, 2)
        as_link(self.link)
        _checks.real("eta", self.eta, minimum=0, strict=True)
        _checks.one_of("loss", self.loss, ("correlation", "squared"))
        _checks.positive_int("reuse", self.reuse)
        _checks.real("noise", self.noise, minimum=0)
        _, slope, kinks = _neuron(self)
        if not np.any(slope(nodes(kinks)[0])):
            raise ValueError(f"activation={_given(self)!r} has no slope: the neuron never moves")

    @property
    def factor(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """The pull U(y, z), what a step takes of x: minus the derivative of the loss by z."""
        value, slope, _ = _neuron(self)
        if self.loss == "correlation":
            return lambda y, z: y * slope(z)
        return lambda y, z: (y - value(z)) * slope(z)


def _given(config):
    return config.link if config.activation is None else config.activation


def _neuron(config):
    return _function(_given(config))


def _function(given):
    """A neuron's function, its derivative and its kinks."""
    if isinstance(given, str | activations.Activation):
        found = activations.get(given)
        return found, found.derivative_at, found.kinks
    if callable(given):
        raise TypeError(
            f"activation={given!r} must be a name, an Activation or Hermite coefficients"
        )
    c = _checks.real_array("activation", given, 1)
    if not c.size:
        raise ValueError(f"activation={given!r} must hold at least one Hermite coefficient")
    slope = c[1:] * np.sqrt(np.arange(1, c.size))  # He_k' = k He_{k-1}
    return as_link(c), as_link(slope if slope.size else [0.0]), ()


def _cosines(name, value):
    c = _checks.real_array(name, value)
    if (abs(c) > 1).any():
        raise ValueError(f"{name} must lie between -1 and 1, got {c[abs(c) > 1].flat[0]}")
    return c


# --- quadrature: where a function jumps


def _rule(link):
    """Kinks and number of nodes of a rule for functions of the target's coordinate."""
    if hasattr(link, "kinks") or not callable(link):
        return tuple(getattr(as_link(link), "kinks", ())), 80
    return _PANELS, 20


def _settled(name, given, f, rule, degree=3, tolerance=1e-6):
    """Hermite coefficients of f over its root mean square; raise where a finer rule disagrees."""
    kinks, n_nodes = rule
    rms = math.sqrt(expectation(lambda z: f(z) ** 2, kinks, n_nodes)) or 1.0
    found = coefficients(f, degree, kinks, n_nodes) / rms
    finer = coefficients(f, degree, sorted({*kinks, *_PANELS}), 27) / rms
    if not (abs(found - finer) <= tolerance).all():
        raise ValueError(
            f"{name}={given!r}: quadrature does not converge; where the function jumps or bends, "
            "give it as an Activation with its kinks"
        )
    return found


def information_exponent(
    link: str | Callable | Sequence[float], *, degree: int = 12, tolerance: float = 1e-6
) -> int:
    """The first degree l >= 1 at which a link has a Hermite coefficient.

    Parameters
    ----------
    link : str, callable or sequence of float
        See `twolayer.data.as_link`. A callable may jump or bend at integers; elsewhere it must be
        an Activation with its kinks.
    degree : int
        Highest degree that is looked at, >= 1.
    tolerance : float
        Smallest coefficient of He_l / sqrt(l!) that counts, relative to the root mean square, > 0.

    Raises
    ------
    ValueError
        If there is none (the link is constant, or begins above `degree`), or if quadrature does
        not find the coefficients to within the tolerance.

    Examples
    --------
    >>> information_exponent("he3"), information_exponent(lambda z: z**2 * np.exp(-(z**2)))
    (3, 4)
    """
    degree = _checks.positive_int("degree", degree)
    tolerance = _checks.real("tolerance", tolerance, minimum=0, strict=True)
    c = _settled("link", link, as_link(link), _rule(link), degree, tolerance)
    found = np.flatnonzero(abs(c[1:]) > tolerance)
    if not found.size:
        raise ValueError(f"link={link!r} has no Hermite coefficient of degree 1 to {degree}")
    return int(found[0]) + 1


# --- the drift


def _check_quadrature(config):
    """Raise where link or activation jump or bend at places that they do not declare."""
    value, slope, kinks = _neuron(config)
    _settled("link", config.link, as_link(config.link), _rule(config.link))
    for f in (slope, value) if config.loss == "squared" else (slope,):
        _settled("activation", _given(config), f, (kinks, 80))


def _plane(config, cosine):
    """Nodes z_* = v (n, 1) and z (n, k) of two Gaussians of this correlation, weights (n, k).

    z = cosine v + sine t, cut where it crosses a kink of the activation. There what is left of v
    bends within sine / cosine, which v is cut for.
    """
    cuts, n_nodes = _rule(config.link)
    kinks = np.array(_neuron(config)[2])
    sine = math.sqrt(max((1 - cosine) * (1 + cosine), 0.0))
    if kinks.size and abs(cosine) > sine:
        width = sine / abs(cosine)
        cuts = (*cuts, *np.add.outer(kinks / cosine, width * np.array([-8, -2, 2, 8])).flat)
        v, in_v = between(cuts, n_nodes)
    else:
        v, in_v = nodes(cuts, n_nodes)
    v = v[:, None]
    if kinks.size:
        panels = (40, 1) if config.reuse == 1 else (16, 12)  # later passes move the kinks
        t, in_t = between((kinks - cosine * v) / max(sine, 1e-12), *panels)
    else:
        t, in_t = nodes()
    return v, cosine * v + sine * t, in_v[:, None] * in_t


def _moments(config, cosine):
    """E[U (z_* - rho z)] and E[U^2] at one cosine, U summed over the passes on a sample."""
    v, z, weight = _plane(config, cosine)
    f, factor = as_link(config.link), config.factor
    # two nodes are exact for what is linear in the noise; later passes need more
    noise = nodes(n_nodes=2 if config.reuse == 1 else 20) if config.noise else ((0.0,), (1.0,))
    first, second = 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for e, in_e in zip(*noise, strict=True):
            y, at, total = f(v) + config.noise * e, z, 0.0
            for _ in range(config.reuse):
                pull = factor(y, at)
                total = total + pull
                at = at + config.eta * config.d * pull
            first += in_e * np.sum(weight * total * (v - cosine * z))
            second += in_e * np.sum(weight * total**2)
    if not math.isfinite(first + second):
        raise ValueError(
            f"eta={config.eta} and reuse={config.reuse} are too large: the passes on a sample "
            "run away"
        )
    return first, second


def _drift(config, cosine):
    """The drift at one cosine; exactly 0 where rounding is all that is left of it."""
    first, second = _moments(config, cosine)
    toll = config.eta * config.d * cosine * second / 2
    rate = first - toll  # eq-fe-drift
    return config.eta * rate if abs(rate) > 1e-14 * (math.sqrt(second) + abs(toll)) else 0.0


def drift(config: OnlineSGD, cosine: ArrayLike) -> np.ndarray:
    """Expected change of the cosine in a step, for large d with eta d bounded.

    eta E[U (z_* - rho z)] - eta^2 d rho E[U^2] / 2, with U the sum over the passes of `reuse`,
    where z moves by eta d U after each, up to a relative error of order 1/d. For one pass and the
    correlation loss the first term is eta Omega'(rho) (1 - rho^2), with Omega(rho) =
    sum_l phi_l sigma_l rho^l in Hermite coefficients of link and activation.

    Parameters
    ----------
    config : OnlineSGD
    cosine : array_like, any shape
        Between -1 and 1.

    Returns
    -------
    ndarray
        Of the shape of `cosine`. Accurate to 1e-8 of eta sqrt(E[U^2]); with `reuse` and a kink in
        the activation, which then moves from sample to sample, to some 1e-2.

    Raises
    ------
    ValueError
        If link or activation jump or bend where they do not say so (a callable may, at integers).

    Examples
    --------
    >>> drift(OnlineSGD(d=10**6, link="he2", eta=1e-9), [0.5, -0.5]).round(12)
    array([ 7.49e-10, -7.49e-10])
    """
    _checks.instance("config", config, OnlineSGD)
    cosine = _cosines("cosine", cosine)
    _check_quadrature(config)
    return np.reshape([_drift(config, c) for c in cosine.flat], cosine.shape)[()]


# --- the equation


def ode(config: OnlineSGD, start: float, steps: ArrayLike) -> np.ndarray:
    """The cosine as d goes to infinity: d cosine / dt = `drift`, with t the number of steps.

    Parameters
    ----------
    config : OnlineSGD
    start : float
        Cosine at t = 0.
    steps : array_like, shape (k,)
        Numbers of steps, >= 0, in increasing order.

    Returns
    -------
    ndarray, shape (k,)

    Raises
    ------
    RuntimeError
        If the solver fails.

    Examples
    --------
    >>> ode(OnlineSGD(d=100, link="he1", eta=1e-3), 0.0, [0, 1000]).round(3)  # below tanh(1)
    array([0.   , 0.747])
    """
    _checks.instance("config", config, OnlineSGD)
    start = float(_cosines("start", start))
    steps = _checks.real_array("steps", steps, minimum=0)
    if steps.ndim != 1 or not steps.size or (np.diff(steps) < 0).any():
        raise ValueError(f"steps={steps} must be one or more numbers in increasing order")
    _check_quadrature(config)
    if steps[-1] == 0:
        return np.full(steps.shape, start)

    from scipy.integrate import solve_ivp  # slow to load

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "lsoda:")  # it is raised below
        found = solve_ivp(
            lambda _, c: [_drift(config, float(np.clip(c[0], -1, 1)))],  # eq-fe-ode
            (0.0, steps[-1]),
            [start],
            method="LSODA",
            t_eval=steps,
            rtol=1e-8,
            atol=1e-10 * (abs(start) or 1.0),  # a small start is to be grown, not lost
        )
    if not found.success:
        raise RuntimeError(f"no solution of the equation for {config}: {found.message}")
    return found.y[0]


def ode_time(config: OnlineSGD, level: float, start: float) -> float:
    """Number of steps until the solution of `ode` reaches a level from below.

    The integral of 1/drift from `start` to `level`; infinite if the drift is not positive between
    them (a drift within rounding of zero is zero), 0 if `start` is not below `level`.

    Parameters
    ----------
    config : OnlineSGD
    level, start : float
        Cosines, between -1 and 1.

    Warns
    -----
    ConvergenceWarning
        If the integral does not converge, as where the drift all but vanishes on the way.

    Examples
    --------
    >>> round(ode_time(OnlineSGD(d=100, link="he3", eta=1e-8), 0.5, 0.1) * 1e-8, 2)
    2.82
    """
    _checks.instance("config", config, OnlineSGD)
    level, start = float(_cosines("level", level)), float(_cosines("start", start))
    _check_quadrature(config)
    if start >= level:
        return 0.0

    from scipy.integrate import quad  # slow to load

    # in u = asinh(cosine / 1e-3): logarithmic where the escape is slow, and through zero
    def rate(u):
        return _drift(config, float(np.clip(1e-3 * math.sinh(u), start, level))) / config.eta

    ends = np.arcsinh(np.array([start, level]) / 1e-3)
    if any(rate(u) <= 0 for u in np.linspace(*ends, 100)):
        return math.inf
    time, *_, unsure = quad(  # eq-fe-times
        lambda u: 1e-3 * math.cosh(u) / max(rate(u), 1e-300),
        *ends,
        epsabs=0,
        epsrel=1e-6,
        limit=200,
        full_output=True,
    )
    if isinstance(unsure, str):
        _checks.warn_convergence(f"the time of {config} is not certain: {unsure}")
    return time / config.eta
