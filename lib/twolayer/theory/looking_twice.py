r"""A neuron that looks at each batch twice: what the second look finds of a hidden direction.

Inputs x ~ N(0, I_d), labels y = link(z_*), z_* = theta.x, a neuron w on the unit sphere, z = w.x,
correlation loss. A batch of b = beta d samples is used twice:

    w' = w + (c/d) sum y sigma'(w.x) x,     g = sum y sigma'(w'.x) x,

and g is added up over alpha d / b batches, w kept as it is. What is asked for is the cosine of
theta with g, without its part along w, as d goes to infinity. A sample pulls first by
G_0 = y sigma'(z), then by G_1 = y sigma'(z'), where with a standard Gaussian u of its own

    z' = (1 + c beta E[z G_0]) z + c beta E[z_* G_0] z_* + c G_0 + c sqrt(beta E[G_0^2]) u.

Sources: Dandi et al. 2024 (arXiv 2402.03220), Lee, Oko, Suzuki & Wu 2024 (arXiv 2406.01581) and
Arnaboldi et al. 2024 (arXiv 2405.15459) for reuse; the formulas are derived in the chapter.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations
from twolayer.activations import Activation
from twolayer.theory import _labels, _two_looks

__all__ = [
    "TwoLooks",
    "cosine",
    "information",
    "label_transform",
    "online_drift",
    "online_time",
    "second_look",
    "state_evolution",
    "transformed_cosine",
    "weak_recovery",
]


@dataclasses.dataclass(frozen=True)
class TwoLooks:
    """A neuron, a target of one direction, and the batches that are looked at twice.

    Parameters
    ----------
    batch_ratio : float
        beta = b/d, samples of a batch per dimension, >= 0; 0 is one sample at a time.
    inner_step : float
        c, of the first look, of either sign; 0 is a single look.
    link : str, callable or sequence of float
        See `twolayer.data.as_link`. Jumps and turning points of a callable are looked for; one
        that bends elsewhere is best given as an Activation with its kinks.
    activation : str or Activation
        The neuron's.

    Examples
    --------
    >>> looks = TwoLooks(batch_ratio=0.25, inner_step=2.0)
    >>> round(second_look(looks).signal, 3)
    -0.115
    """

    batch_ratio: float
    inner_step: float
    link: str | Callable | Sequence[float] = "he3"
    activation: str | Activation = "erf"

    def __post_init__(self):
        object.__setattr__(self, "link", _checks.link("link", self.link))
        _checks.real("batch_ratio", self.batch_ratio, minimum=0)
        _checks.real("inner_step", self.inner_step)
        neuron = activations.get(self.activation)
        if not np.any(neuron.derivative_at(np.linspace(-3, 3, 50))):
            raise ValueError(f"activation={self.activation!r} has no slope: it has no gradient")
        if not _two_looks.rule(self.link).mean(of=2):
            raise ValueError(f"link={self.link!r} is zero: there is nothing to see")

    @property
    def plain_cosine(self) -> float:
        """Cosine of w with theta after two plain steps ``(c/d) sum y sigma'(w.x) x`` on one batch.

        In steps along the mean, of size eta, on all samples: alpha = beta and c = eta / alpha.
        """
        beta = _checks.real("batch_ratio", self.batch_ratio, minimum=0, strict=True)
        seen, eta = second_look(self), self.inner_step * beta
        size = math.sqrt(seen.first_square)
        theta = eta * (seen.first_signal + seen.signal)
        along = 1 + eta * (seen.first_along + seen.along)
        memory = (size + seen.product / size) / math.sqrt(beta) + seen.rest
        free = (seen.square - (seen.product / size) ** 2) / beta
        length = math.sqrt(theta**2 + along**2 + eta**2 * (memory**2 + free))
        return theta / length  # eq-tw-plain


# --- the limit


class SecondLook(NamedTuple):
    """Moments of the two pulls of a sample, and what they leave for the direction."""

    signal: float  # C = E[z_* G_1]
    noise: float  # N: cosine^2 = 1 / (1 + N / (alpha C^2))
    layer_noise: float  # the same for the mean of many neurons; E T(y)^2 at batch ratio 0
    first_signal: float  # E[z_* G_0]
    along: float  # E[z G_1]
    first_along: float  # E[z G_0]
    first_square: float  # P_0 = E[G_0^2]
    product: float  # E[G_0 G_1]
    square: float  # P_1 = E[G_1^2]
    rest: float  # E[u G_1]
    growth: float  # lambda = E[(z_*^2 - 1) z G_1], of the cosine of one at a time
    signal_square: float  # V = E[z_*^2 G_1^2]


def second_look(looks: TwoLooks) -> SecondLook:
    """Signal and noise of the second look, in the limit of large d.

    The cosine of a neuron with theta after alpha d samples is
    ``sign(C) / sqrt(1 + N / (alpha C^2))``.

    Parameters
    ----------
    looks : TwoLooks

    Examples
    --------
    >>> seen = second_look(TwoLooks(0.0, 2.0))
    >>> bool(seen.layer_noise < seen.noise), round(seen.signal**2 / seen.noise, 3)
    (True, 0.162)
    """
    return _second_look(_checked(looks))


def _checked(looks):
    _checks.instance("looks", looks, TwoLooks)
    return looks


@functools.lru_cache(maxsize=1024)
def _second_look(looks):
    return _of_labels(looks, _two_looks.half(looks))


def _of_labels(looks, labels):
    """The same for a rule over (E[z_*|y], y), where the label is not that of one z_*."""
    push = _two_looks.push(looks)
    slope, bend, square, _ = _two_looks.slopes(looks.activation)
    points = _two_looks.points(looks, labels, push)
    by_row, in_z, in_first, common = _two_looks.looked_at(looks, labels, push, points)
    pull = labels.weights * labels.y
    squares = labels.mean(of=2)
    P0, P1 = squares * square, float(pull @ (labels.y * by_row[1]))
    rest = float(pull @ by_row[2])
    xi, w = _two_looks.common(looks)
    w = np.outer(w, pull)
    beta = looks.batch_ratio
    layer = [(w * by * common).sum() for by in (labels.y, labels.y * common, xi[:, None])]
    return SecondLook(
        float(pull @ (labels.z * by_row[0])),
        _noise(P0, in_first, P1, rest, beta),
        _noise(squares, *map(float, layer), beta),
        _two_looks.rule(looks.link).mean(1) * slope,
        float(pull @ in_z),
        _two_looks.rule(looks.link).mean() * bend,
        P0,
        in_first,
        P1,
        rest,
        float(pull @ ((labels.z**2 - 1) * in_z)),
        float(pull @ (labels.z**2 * labels.y * by_row[1])),
    )


def _noise(P0, product, P1, rest, beta):
    """Of pulls G_1 on samples of which sum G_0 x is known."""
    if P0 <= 0:
        return P1
    along = product / math.sqrt(P0) + math.sqrt(beta) * rest
    return P1 - product**2 / P0 + along**2  # eq-tw-noise


def cosine(
    alpha: ArrayLike,
    batch_ratio: float,
    inner_step: float,
    link: str | Callable | Sequence[float] = "he3",
    activation: str | Activation = "erf",
    *,
    neurons: float = 1,
) -> float | np.ndarray:
    """Cosine with theta of what a neuron has seen in two looks, in the limit of large d.

    Parameters
    ----------
    alpha : array_like
        n/d, samples per dimension, > 0: a multiple of `batch_ratio`, between them interpolated.
    batch_ratio, inner_step, link, activation
        See `TwoLooks`.
    neurons : float
        Of the mean over so many neurons on the same samples; `math.inf` for a wide layer.

    Returns
    -------
    float or ndarray
        Signed, of the shape of `alpha`.

    Examples
    --------
    >>> round(cosine(8.0, 0.25, 2.0), 4)
    -0.7487
    """
    alpha = _checks.real_array("alpha", alpha, minimum=0, strict=True)
    neurons = neurons if neurons == math.inf else _checks.real("neurons", neurons, minimum=1)
    seen = _second_look(TwoLooks(batch_ratio, inner_step, link, activation))
    noise = seen.layer_noise + (seen.noise - seen.layer_noise) / neurons
    signal = np.sqrt(alpha) * seen.signal
    out = signal / np.sqrt(signal**2 + noise)  # eq-tw-limit
    return float(out) if out.ndim == 0 else out


def label_transform(looks: TwoLooks, y: ArrayLike) -> np.ndarray:
    """What the second look takes for the label: T(y) = E[G_1 | y].

    Parameters
    ----------
    looks : TwoLooks
        With batches, of a link without linear part, so that T depends on the label alone.
    y : array_like
        Labels.

    Returns
    -------
    ndarray
        Of the shape of `y`.

    Examples
    --------
    >>> label_transform(TwoLooks(0.0, 2.0), [-2.0, 0.0, 2.0]).round(3)
    array([-0.263,  0.   ,  0.263])
    """
    y = _checks.real_array("y", y)
    push = _two_looks.push(_checked(looks))
    rms = math.sqrt(_two_looks.rule(looks.link).mean(of=2))
    if abs(push.hidden) > 1e-6 * abs(push.step) * looks.batch_ratio * rms:
        raise ValueError(
            f"link={looks.link!r} has a linear part: in batches its transform is not one of y alone"
        )
    rows = _two_looks.Labels(np.zeros(y.size), y.ravel(), np.ones(y.size))
    points = _two_looks.points(looks, rows, push)
    mean = _two_looks.averaged(looks.activation, push.spread, points.t)
    out = rows.y * np.bincount(points.at, points.weights * mean, minlength=y.size)
    return out.reshape(y.shape)  # eq-tw-transform


# --- one sample at a time


def online_drift(looks: TwoLooks, step: float, cosine: ArrayLike) -> np.ndarray:
    """Velocity of the cosine, one sample at a time, each looked at twice, for large d.

    A neuron on the sphere steps by step / d along the second pull; time is samples per dimension:
    ``d rho / dt = eps E[G_1 (z_* - rho z)] - eps^2 rho E[G_1^2] / 2``.

    Parameters
    ----------
    looks : TwoLooks
        Of batch ratio 0.
    step : float
        eps, > 0.
    cosine : array_like
        Between -1 and 1.

    Returns
    -------
    ndarray
        Of the shape of `cosine`.

    Examples
    --------
    >>> online_drift(TwoLooks(0.0, -2.0), 1.0, [0.0, 0.5]).round(3)
    array([-0.119, -0.095])
    """
    _check_online(looks)
    step = _checks.real("step", step, minimum=0, strict=True)
    rho = _checks.real_array("cosine", cosine)
    if (abs(rho) > 1).any():
        raise ValueError(f"cosine must lie between -1 and 1, got {rho[abs(rho) > 1].flat[0]}")
    return np.reshape([_drift(looks, step, float(c)) for c in rho.flat], rho.shape)[()]


def _check_online(looks):
    if _checked(looks).batch_ratio:
        raise ValueError(f"looks={looks!r} must be a TwoLooks of batch_ratio 0")


def _drift(looks, step, rho):
    first, second = _flow(looks, rho)
    return step * first - step**2 * rho * second / 2  # eq-tw-online


@functools.lru_cache(maxsize=4096)
def _flow(looks, rho):
    """E[G_1 (z_* - rho z)] and E[G_1^2] at one cosine."""
    labels = _two_looks.half(looks)
    points = _two_looks.points(looks, labels, _two_looks.push(looks), rho)
    slope = activations.get(looks.activation).derivative_at(points.t)
    pull = labels.y[points.at] * slope
    weighted = points.weights * pull
    return (
        float(weighted @ (labels.z[points.at] - rho * points.z)),
        float(weighted @ pull),
    )


def online_time(
    looks: TwoLooks, step: float, d: float = math.inf, *, level: float = 0.5, share: float = 0.5
) -> float:
    """Samples per dimension until a random start has reached a cosine of this size, for large d.

    Where the second look has a signal C this is the time of the equation from 0. Where it has
    none but the cosine grows at a rate r = eps lambda - eps^2 P / 2 > 0, as for even links,
    chance decides: a start of zeta / sqrt(d), and noise on the way, take
    ``(ln(d) / 2 - ln(|zeta| sqrt(1 + eps^2 V / (2 r))) + K) / r``, with zeta standard Gaussian.

    Parameters
    ----------
    looks : TwoLooks
        Of batch ratio 0.
    step : float
        eps, > 0.
    d : float
        Input dimension, in the second case.
    level : float
        Between 0 and 1.
    share : float
        Of the runs that have arrived, between 0 and 1.

    Returns
    -------
    float
        Infinite where the cosine doesn't get there.

    Examples
    --------
    >>> round(online_time(TwoLooks(0.0, -2.0), 1.0), 2)
    4.49
    """
    _check_online(looks)
    step = _checks.real("step", step, minimum=0, strict=True)
    level, share = _inside("level", level), _inside("share", share)
    d = d if d == math.inf else _checks.real("d", d, minimum=2)
    seen = second_look(looks)
    rate = step * seen.growth - step**2 * seen.square / 2  # eq-tw-rate
    signal = abs(seen.signal) > 1e-9 * math.sqrt(seen.square)
    if not signal and rate <= 0:
        return math.inf
    sign = math.copysign(1.0, seen.signal) if signal else 1.0
    t = np.polynomial.legendre.leggauss(14)[0]
    rho = level / 2 * (1 + t)
    speed = sign * np.array([_drift(looks, step, sign * r) for r in rho])
    scale = rho if not signal else 1.0
    fine, weights = np.polynomial.legendre.leggauss(300)
    basis = np.polynomial.legendre.legvander
    smooth = basis(fine, 13) @ np.linalg.solve(basis(t, 13), speed / scale)
    fine, weights = level / 2 * (1 + fine), level / 2 * weights
    if smooth.min() <= 0:
        return math.inf
    if signal:
        return float(weights @ (1 / smooth))
    late = math.log(level) + weights @ ((rate / smooth - 1) / fine)
    from scipy.special import ndtri

    zeta = -ndtri(share / 2) * math.sqrt(1 + step**2 * seen.signal_square / (2 * rate))
    return float((math.log(d) / 2 - math.log(zeta) + late) / rate)  # eq-tw-even


def _inside(name, value):
    value = _checks.real(name, value, minimum=0, strict=True)
    if value >= 1:
        raise ValueError(f"{name}={value} must be below 1")
    return value


# --- the optimum


def information(link: str | Callable | Sequence[float]) -> tuple[float, float]:
    """What a label tells: lambda_1 = E[E[z_*|y]^2] and lambda_2 = E[E[z_*^2 - 1|y]^2].

    Without label noise, as all here.

    Parameters
    ----------
    link : str, callable or sequence of float
        See `TwoLooks`.

    Examples
    --------
    >>> [round(v, 3) for v in information("abs")], round(information("he3")[0], 4)
    ([0.0, 2.0], 0.6678)
    """
    return _labels.information(_own(link))


def weak_recovery(link: str | Callable | Sequence[float]) -> float:
    """Samples per dimension above which an overlap with theta can be had in polynomial time.

    0 where lambda_1 > 0: some function of the label has a linear part. Otherwise 1 / lambda_2,
    infinite where lambda_2 is 0 too (Mondelli & Montanari 2018, Barbier et al. 2019).

    Parameters
    ----------
    link : str, callable or sequence of float
        See `TwoLooks`.

    Examples
    --------
    >>> weak_recovery("he3"), round(weak_recovery("abs"), 3)
    (0.0, 0.5)
    """
    first, second = information(link)
    if first:
        return 0.0
    return 1 / second if second else math.inf  # eq-tw-threshold


def transformed_cosine(
    alpha: ArrayLike, link: str | Callable | Sequence[float]
) -> float | np.ndarray:
    """Cosine of sum T(y) x with theta for the best T, which is E[z_*|y], for large d.

    Parameters
    ----------
    alpha : array_like
        Samples per dimension, >= 0.
    link : str, callable or sequence of float
        See `TwoLooks`.

    Examples
    --------
    >>> round(transformed_cosine(2.0, "he3"), 3)
    0.756
    """
    alpha = _checks.real_array("alpha", alpha, minimum=0)
    signal = alpha * information(link)[0]
    out = np.sqrt(signal / (1 + signal))  # eq-tw-best
    return float(out) if out.ndim == 0 else out


def state_evolution(alpha: ArrayLike, link: str | Callable | Sequence[float]) -> float | np.ndarray:
    """Cosine with theta of approximate message passing (AMP) from a weak start, for large d.

    Its square q rests where ``q / (1 - q) = alpha E[((E[z_*|y, omega] - omega) / (1 - q))^2]``.

    Parameters
    ----------
    alpha : array_like
        Samples per dimension, >= 0.
    link : str, callable or sequence of float
        See `TwoLooks`.

    Examples
    --------
    >>> state_evolution([0.5, 1.0], "he3").round(2)
    array([0.55, 0.77])
    """
    alpha = _checks.real_array("alpha", alpha, minimum=0)
    out = np.sqrt(_labels.overlap(_own(link), alpha))
    return float(out) if out.ndim == 0 else out


def _own(link):
    """A link, checked, that can be kept in a cache."""
    return TwoLooks(0.0, 0.0, link).link
