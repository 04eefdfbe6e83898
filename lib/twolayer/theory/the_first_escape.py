"""Online gradient descent of one neuron on the sphere: the overlap with the target, exactly.

Inputs x ~ N(0, I_d), labels y = link(v) + noise with v = x_1, a neuron z = w.x with w on the unit
sphere. Each step takes a fresh sample, along the sphere:

    w <- (w + eta G (x - z w)) / norm,

G = y sigma'(z) for the correlation loss -y sigma(z), and G = (y - sigma(z)) sigma'(z) for the
squared loss (y - sigma(z))^2 / 2. The overlap m = w_1 is a Markov chain of its own, in law, in any
dimension: a step depends on w only through m, v, z and s = x.x. The tangent x - z w has squared
length q = s - z^2, first entry v - m z and inner product q with x, so that

    N = sqrt(1 + eta^2 G^2 q),   m <- (m + eta G (v - m z)) / N,   z <- (z + eta G q) / N,

where (v, z) are standard Gaussians of correlation m, and s is their part of the plane of w and e_1,
v^2 + (z - m v)^2 / (1 - m^2), plus an independent chi-squared with d - 2 degrees of freedom. Batch
reuse repeats the line with the same v, s and noise (Arnaboldi et al. 2024; Dandi et al. 2024).
Rates of the online case: Ben Arous, Gheissari & Jagannath 2021.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import quad, solve_ivp

from twolayer import _checks, activations
from twolayer.data import as_link
from twolayer.hermite import coefficients, nodes

__all__ = ["OnlineSGD", "drift", "information_exponent", "ode", "ode_time"]


@dataclasses.dataclass(frozen=True)
class OnlineSGD:
    """One neuron on the sphere, a single-index target, a fresh sample every step.

    Parameters
    ----------
    d : int
        Input dimension, at least 2.
    link : str, callable or sequence of float
        See `twolayer.data.as_link`.
    eta : float
        Step size, > 0.
    activation : str, Activation or sequence of float, optional
        The neuron's, with Hermite coefficients as in `as_link`. The link without it.
    loss : {"correlation", "squared"}
    reuse : int
        Consecutive steps on each sample, >= 1.
    noise : float
        Standard deviation of Gaussian label noise, in the units of y.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, a name is unknown, or the activation is a plain function:
        its derivative is needed.

    Examples
    --------
    >>> config = OnlineSGD(d=100, link="he3", eta=1e-4)
    >>> float(drift(config, 0.2).round(9))  # about 3 eta m^2 (1 - m^2)
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
        _student(self)
        _checks.one_of("loss", self.loss, ("correlation", "squared"))
        _checks.positive_int("reuse", self.reuse)
        _checks.real("noise", self.noise, minimum=0)


def _student(config):
    """The neuron's function, its derivative and its kinks."""
    given = config.link if config.activation is None else config.activation
    if isinstance(given, str | activations.Activation):
        found = activations.get(given)
        return found, found.derivative_at, found.kinks
    if callable(given):
        raise TypeError(
            f"activation={given!r} must be a name, an Activation or Hermite coefficients"
        )
    c = _checks.real_array("activation", given)
    slope = c[1:] * np.sqrt(np.arange(1, c.size))  # He_k' = k He_{k-1}
    return as_link(c), as_link(slope if slope.size else [0.0]), ()


def _factor(config):
    """G as a function of y and z."""
    value, slope, _ = _student(config)
    if config.loss == "correlation":
        return lambda y, z: y * slope(z)
    return lambda y, z: (y - value(z)) * slope(z)


def _overlaps(name, value):
    m = _checks.real_array(name, value)
    if (abs(m) > 1).any():
        raise ValueError(f"{name} must lie between -1 and 1, got {m[abs(m) > 1].flat[0]}")
    return m


def information_exponent(link, *, degree=12, tolerance=1e-6):
    """The first degree k >= 1 at which a link has a Hermite coefficient.

    Parameters
    ----------
    link : str, callable or sequence of float
        See `twolayer.data.as_link`.
    degree : int
        Highest degree that is looked at, >= 1.
    tolerance : float
        Smallest coefficient of He_k / sqrt(k!) that counts, relative to the root mean square.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is none: the link is constant, or begins above `degree`.

    Examples
    --------
    >>> information_exponent("he3"), information_exponent(lambda z: z**2 * np.exp(-(z**2)))
    (3, 4)
    """
    degree = _checks.positive_int("degree", degree)
    f = as_link(link)
    z, w = nodes(tuple(getattr(f, "kinks", ())))
    size = math.sqrt(w @ np.broadcast_to(f(z), z.shape) ** 2)
    found = np.flatnonzero(abs(coefficients(f, degree)[1:]) > tolerance * size)
    if not found.size:
        raise ValueError(f"link={link!r} has no Hermite coefficient of degree 1 to {degree}")
    return int(found[0]) + 1


def _moments(config, m):
    """E[G (v - m z)] and E[G^2] at one overlap, G summed over the passes."""
    f, g, kinks = as_link(config.link), _factor(config), _student(config)[2]
    across = max(math.sqrt(max(1 - m * m, 0.0)), 1e-12)
    v, wv = nodes(tuple(getattr(f, "kinks", ())))
    v = v[:, None]
    if kinks:  # the plane's other axis, cut where z = m v + across t crosses a kink
        cuts = np.clip((np.sort(kinks) - m * v) / across, -12.0, 12.0)
        cuts = np.pad(cuts, ((0, 0), (1, 1)), constant_values=((0, 0), (-12.0, 12.0)))
        x, wx = np.polynomial.legendre.leggauss(40)
        half = np.diff(cuts)[:, :, None] / 2
        t = (cuts[:, :-1, None] + half * (x + 1)).reshape(len(v), -1)
        wt = (half * wx).reshape(len(v), -1) * np.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    else:
        t, wt = nodes()
    z, weight = m * v + across * t, wv[:, None] * wt
    first, second = 0.0, 0.0
    # two nodes are exact for what is linear in the noise; later passes need more
    noise = nodes(n_nodes=2 if config.reuse == 1 else 20) if config.noise else ((0.0,), (1.0,))
    for e, we in zip(*noise, strict=True):
        y, at, total = f(v) + config.noise * e, z, 0.0
        for _ in range(config.reuse):
            now = g(y, at)
            total, at = total + now, at + config.eta * config.d * now
        first += we * np.sum(weight * total * (v - m * z))
        second += we * np.sum(weight * total**2)
    return first, second


def drift(config, m):
    """Expected change of the overlap in a step, for large d with eta d bounded.

    Parameters
    ----------
    config : OnlineSGD
    m : array_like
        Overlaps, between -1 and 1.

    Returns
    -------
    ndarray
        Of the shape of `m`.

    Raises
    ------
    ValueError, TypeError
        If an overlap is out of range or not a number.

    Notes
    -----
    eta E[G (v - m z)] - eta^2 d m E[G^2] / 2, with G the sum over the passes of `reuse`, where z
    moves by eta d G after each, and an error of relative order 1/d. Quadrature is exact for
    polynomials of low degree, and cut at kinks; with `reuse` a kink costs accuracy. Without reuse,
    for the correlation loss, the first term is eta zeta'(m) (1 - m^2) with zeta(m) = sum_k c_k s_k
    m^k, in Hermite coefficients of link and activation.

    Examples
    --------
    >>> drift(OnlineSGD(d=10**6, link="he2", eta=1e-9), [0.5, -0.5]).round(12)  # 2 eta m (1 - m^2)
    array([ 7.49e-10, -7.49e-10])
    """
    m = _overlaps("m", m)
    out = np.empty(m.shape)
    for i, overlap in np.ndenumerate(m):
        first, second = _moments(config, overlap)
        out[i] = config.eta * first - config.eta**2 * config.d * overlap * second / 2
    return out[()]


def ode(config, m0, steps):
    """The overlap as d goes to infinity: dm/dt = `drift`, with t the number of steps.

    Parameters
    ----------
    config : OnlineSGD
    m0 : float
        Overlap at the start.
    steps : array_like, shape (k,)
        Numbers of steps, >= 0, in increasing order.

    Returns
    -------
    ndarray, shape (k,)

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    RuntimeError
        If the solver fails.

    Examples
    --------
    >>> ode(OnlineSGD(d=100, link="he1", eta=1e-3), 0.0, [0, 1000]).round(3)  # below tanh(1)
    array([0.   , 0.747])
    """
    m0 = float(_overlaps("m0", m0))
    steps = _checks.real_array("steps", steps, minimum=0)
    if steps.ndim != 1 or not steps.size or (np.diff(steps) < 0).any():
        raise ValueError(f"steps={steps} must be one or more numbers in increasing order")
    if steps[-1] == 0:
        return np.full(steps.shape, m0)
    found = solve_ivp(
        lambda _, m: np.atleast_1d(drift(config, np.clip(m, -1, 1))),
        (0.0, steps[-1]),
        [m0],
        method="LSODA",
        t_eval=steps,
        rtol=1e-8,
        atol=1e-10,
    )
    if not found.success:
        raise RuntimeError(f"no solution of the equation for {config}: {found.message}")
    return found.y[0]


def ode_time(config, level, m0):
    """Number of steps until the solution of `ode` reaches a level from below.

    Parameters
    ----------
    config : OnlineSGD
    level, m0 : float
        Overlaps, between -1 and 1.

    Returns
    -------
    float
        The integral of 1/drift from `m0` to `level`; infinite if the drift is not positive between
        them, 0 if `m0` is not below `level`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> round(ode_time(OnlineSGD(d=100, link="he3", eta=1e-8), 0.5, 0.1) * 1e-8, 2)
    2.82
    """
    level, m0 = float(_overlaps("level", level)), float(_overlaps("m0", m0))
    if m0 >= level:
        return 0.0
    # in theta = asinh(m / 1e-3): logarithmic where the escape is slow, and through zero
    ends = np.arcsinh(np.array([m0, level]) / 1e-3)
    if (drift(config, np.clip(1e-3 * np.sinh(np.linspace(*ends, 100)), -1, 1)) <= 0).any():
        return math.inf
    scale = config.eta  # an integrand of order one
    value = quad(
        lambda u: scale * 1e-3 * math.cosh(u) / drift(config, min(1e-3 * math.sinh(u), 1.0)),
        *ends,
        epsabs=0,
        epsrel=1e-6,
        limit=200,
    )[0]
    return value / scale
