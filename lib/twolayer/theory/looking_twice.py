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
from twolayer.data import as_link
from twolayer.hermite import between

__all__ = [
    "SecondLook",
    "TwoLooks",
    "cosine",
    "label_transform",
    "second_look",
]

_REACH = 8.0  # of all rules
_FINE = 1.0  # spacings of all rules are multiples of it
_MOST_LEVELS = 5  # halvings of the spacing in z, where large labels make G_1 vary fast


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
        See `twolayer.data.as_link`. A callable may jump or bend at multiples of 1/2; elsewhere it
        must be an Activation with its kinks.
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
        if isinstance(self.link, list | np.ndarray):  # hashable, as the caches need it
            link = _checks.real_array("link", self.link, ndim=1)
            object.__setattr__(self, "link", tuple(link.tolist()))
        _checks.real("batch_ratio", self.batch_ratio, minimum=0)
        _checks.real("inner_step", self.inner_step)
        neuron = activations.get(self.activation)
        if not np.any(neuron.derivative_at(np.linspace(-3, 3, 50))):
            raise ValueError(f"activation={self.activation!r} has no slope: it has no gradient")
        _labels(self.link)


# --- rules over the label, and over the neuron's input


class _Labels(NamedTuple):
    """A rule over z_* with the labels there."""

    z: np.ndarray
    y: np.ndarray
    weights: np.ndarray

    def mean(self, power=0, of=1):
        return float(self.weights @ (self.z**power * self.y**of))


@functools.lru_cache(maxsize=256)
def _labels(link):
    """The rule, or an error where link and rule do not fit."""
    found = _label_rule(link, 0.5 * _FINE)
    finer = _label_rule(link, 0.4 * _FINE)
    rms = math.sqrt(found.mean(of=2))
    if not math.isfinite(rms):
        raise ValueError(f"link={link!r} is not finite, or has no second moment")
    for power in (0, 1, 2):
        if not abs(found.mean(power) - finer.mean(power)) <= 1e-6 * rms:
            raise ValueError(
                f"link={link!r}: quadrature does not converge; where the function jumps or bends, "
                "give it as an Activation with its kinks"
            )
    return found


def _label_rule(link, width):
    f = as_link(link)
    kinks = getattr(f, "kinks", None)
    cuts = np.linspace(-_REACH, _REACH, 1 + round(2 * _REACH / width))[1:-1]
    if kinks is None and callable(link):  # may jump at multiples of 1/2
        cuts = np.append(cuts, np.arange(-_REACH + 0.5, _REACH, 0.5))
    z, w = between(np.unique(np.append(cuts, kinks or ())), 16, reach=_REACH)
    keep = w > 0
    z, w = z[keep], w[keep]
    return _Labels(z, np.broadcast_to(f(z), z.shape).astype(float), w)


@functools.lru_cache(maxsize=64)
def _slopes(activation):
    """E[sigma'], E[z sigma'], E[sigma'^2] and the largest bend of sigma' where it counts."""
    sigma = activations.get(activation)
    cuts = np.append(np.arange(-7.5, 8, 0.5), sigma.kinks)
    z, w = between(np.unique(cuts), 16, reach=_REACH)
    slope = sigma.derivative_at(z)
    near = np.linspace(-4, 4, 801)
    bend = abs(np.diff(sigma.derivative_at(near))).max() / 0.01
    return float(w @ slope), float(w @ (z * slope)), float(w @ slope**2), float(bend)


class _Push(NamedTuple):
    """z' = own z + hidden z_* + step G_0 + spread u."""

    own: float
    hidden: float
    step: float
    spread: float


def _push(looks):
    c, beta, labels = looks.inner_step, looks.batch_ratio, _labels(looks.link)
    slope, bend, square, _ = _slopes(looks.activation)
    return _Push(
        1 + c * beta * labels.mean() * bend,
        c * beta * labels.mean(1) * slope,
        c,
        c * math.sqrt(beta * labels.mean(of=2) * square),
    )


class _Points(NamedTuple):
    """A rule over (z_*, z), with z_* by its number in the labels' rule; t is z' without u."""

    at: np.ndarray
    z: np.ndarray
    t: np.ndarray
    first: np.ndarray  # sigma'(z)
    weights: np.ndarray


def _points(looks, labels, push, cosine=0.0):
    """Grids in z whose spacing goes with the label, or pieces between the kinks of G_1."""
    sigma, sine = activations.get(looks.activation), math.sqrt(max(0.0, 1 - cosine**2))
    if sigma.kinks:
        x, w = _pieces(sigma, labels, push, cosine, sine)
        at = np.repeat(np.arange(len(labels.z)), x.shape[1])
        x, w = x.ravel(), w.ravel()
    else:
        steep = sine * (1 + abs(push.step * labels.y) * _slopes(looks.activation)[3])
        level = np.ceil(np.log2(np.fmax(1.0, steep / 2)))
        level = np.fmin(level, _MOST_LEVELS).astype(int)
        parts = []
        for k in np.unique(level):
            grid = 0.2 * _FINE / 2.0**k
            x = np.arange(-round(_REACH / grid), round(_REACH / grid) + 1) * grid
            w = np.exp(-x * x / 2)
            where = np.flatnonzero(level == k)
            parts.append(
                (np.repeat(where, len(x)), np.tile(x, len(where)), np.tile(w / w.sum(), len(where)))
            )
        at, x, w = (np.concatenate(part) for part in zip(*parts, strict=True))
    z = cosine * labels.z[at] + sine * x
    first = sigma.derivative_at(z)
    t = push.own * z + push.hidden * labels.z[at] + push.step * labels.y[at] * first
    return _Points(at, z, t, first, w * labels.weights[at])


def _pieces(sigma, labels, push, cosine, sine):
    """Rules between the places where z, or z' but for a few spreads, meets a kink."""
    kinks = np.array(sigma.kinks)
    grid = np.linspace(-_REACH, _REACH, 801)
    mean = cosine * labels.z[:, None]
    own = (kinks - mean) / max(sine, 1e-12)
    x = np.sort(np.hstack([np.tile(grid, (len(mean), 1)), own - 1e-9, own + 1e-9]), axis=1)
    z = mean + sine * x
    t = push.own * z + push.hidden * labels.z[:, None]
    t = t + push.step * labels.y[:, None] * sigma.derivative_at(z)
    rows, roots = [], []
    for level in np.add.outer(kinks, abs(push.spread) * np.array([0, -6, -2, 2, 6])).ravel():
        f = t - level
        row, column = np.nonzero(f[:, :-1] * f[:, 1:] < 0)
        left, right = f[row, column], f[row, column + 1]
        rows.append(row)
        roots.append(x[row, column] + left / (left - right) * (x[row, column + 1] - x[row, column]))
        if not push.spread:
            break
    rows, roots = np.concatenate(rows), np.concatenate(roots)
    order = np.argsort(rows, kind="stable")
    rows, roots = rows[order], roots[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    cuts = np.full((len(mean), 1 + place.max(initial=0)), _REACH)
    cuts[rows, place] = roots
    return between(np.hstack([cuts, own]), int(32 / _FINE), reach=_REACH)


# --- averages over u


def _averages(activation, spread, t):
    """E f over u of f = sigma'(t + spread u), of its square and of u times it, shape (3, N)."""
    sigma = activations.get(activation)
    if not spread:
        slope = sigma.derivative_at(t)
        return np.stack([slope, slope * slope, 0 * slope])
    from scipy.interpolate import CubicSpline  # slow to load

    grid = _table_grid(t.min(), t.max(), sigma.kinks, abs(spread))
    if sigma.kinks:
        kinks = (np.array(sigma.kinks) - grid[:, None]) / spread
        u, w = between(kinks, 40 + int(24 * abs(spread)), reach=_REACH)
    else:
        step = 0.3 * _FINE / max(1.0, abs(spread))
        u = np.arange(-round(_REACH / step), round(_REACH / step) + 1) * step
        w = np.exp(-u * u / 2) / np.exp(-u * u / 2).sum()
    f = sigma.derivative_at(grid[:, None] + spread * u)
    table = np.stack([(f * w).sum(1), (f * f * w).sum(1), (f * u * w).sum(1)], axis=1)
    return CubicSpline(grid, table)(t).T


def _table_grid(low, high, kinks, spread):
    """Even within 30, then growing by a hundredth; dense around kinks that u smooths little."""
    step = 0.03 * _FINE
    far = 30 * 1.01 ** np.arange(1 + math.ceil(math.log(max(1, high / 30, -low / 30)) / 0.00995))
    grid = np.concatenate([-far[:0:-1], np.arange(-1000, 1001) * 0.03, far[1:]])
    if step != 0.03:
        grid = np.concatenate([-far[:0:-1], np.arange(-30, 30, step), far])
    if kinks and spread < 1:
        near = np.add.outer(kinks, spread * np.linspace(-9, 9, 601)).ravel()
        grid = np.unique(np.append(grid, near))
    grid = grid[(grid > low - 0.1 - 0.02 * abs(low)) & (grid < high + 0.1 + 0.02 * abs(high))]
    return grid


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
    return _second_look(looks)


@functools.lru_cache(maxsize=1024)
def _second_look(looks):
    labels, push = _labels(looks.link), _push(looks)
    slope, bend, square, _ = _slopes(looks.activation)
    points = _points(looks, labels, push)
    y, zs = labels.y[points.at], labels.z[points.at]
    mean, second, by_u = _averages(looks.activation, push.spread, points.t)
    pull = points.weights * y
    signal = float(pull @ (zs * mean))
    P0, P1 = labels.mean(of=2) * square, float(pull @ (y * second))
    product = float(pull @ (y * points.first * mean))
    rest = float(pull @ by_u)
    noise = _noise(P0, product, P1, rest, looks.batch_ratio)
    return SecondLook(
        signal,
        noise,
        _layer_noise(looks, labels, push, points),
        labels.mean(1) * slope,
        float(pull @ (points.z * mean)),
        labels.mean() * bend,
        P0,
        product,
        P1,
        rest,
    )


def _noise(P0, product, P1, rest, beta):
    """Of pulls G_1 on samples of which sum G_0 x is known."""
    if P0 <= 0:
        return P1
    return P1 - product**2 / P0 + (product / math.sqrt(P0) + math.sqrt(beta) * rest) ** 2


def _layer_noise(looks, labels, push, points):
    """The same for the mean over neurons, T = E[G_1 | sample]: they share the mean of the pulls."""
    slope, _, square, _ = _slopes(looks.activation)
    size, second = looks.batch_ratio * labels.mean(of=2), labels.mean(of=2)
    common = push.step * slope * math.sqrt(size)
    spread = push.step * math.sqrt(size * max(0.0, square - slope**2))
    nodes = max(1, 12 + int(8 * abs(common))) if common else 1
    xi, w = np.polynomial.hermite_e.hermegauss(nodes)
    T = np.empty((nodes, len(labels.z)))
    share = points.weights / labels.weights[points.at]
    for k, shift in enumerate(common * xi):
        mean = _averages(looks.activation, spread, points.t + shift)[0]
        T[k] = labels.y * np.bincount(points.at, share * mean, minlength=len(labels.z))
    weights = np.outer(w / w.sum(), labels.weights)
    product = float((weights * T * labels.y).sum())
    rest = float((weights * T * xi[:, None]).sum())
    return _noise(second, product, float((weights * T * T).sum()), rest, looks.batch_ratio)


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
    if not neurons >= 1:
        raise ValueError(f"neurons={neurons!r} must be at least 1")
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
    push = _push(looks)
    rms = math.sqrt(_labels(looks.link).mean(of=2))
    if abs(push.hidden) > 1e-6 * abs(push.step) * looks.batch_ratio * rms:
        raise ValueError(
            f"link={looks.link!r} has a linear part: in batches its transform is not one of y alone"
        )
    rows = _Labels(np.zeros(y.size), y.ravel(), np.ones(y.size))
    points = _points(looks, rows, push)
    mean = _averages(looks.activation, push.spread, points.t)[0]
    out = rows.y * np.bincount(points.at, points.weights * mean, minlength=y.size)
    return out.reshape(y.shape)  # eq-tw-transform
