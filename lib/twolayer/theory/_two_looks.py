"""Averages over one sample that is looked at twice: rules for `twolayer.theory.looking_twice`.

A large label makes G_1 = y sigma'(z + c y sigma'(z) + ...) vary fast in z. So the averages are sums
over grids whose spacing goes with the label, not over Gauss-Hermite nodes; of the rest of the
batch, u, tables are made once.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from twolayer import activations
from twolayer.data import as_link
from twolayer.hermite import between
from twolayer.theory import _labels

_REACH = 8.0  # of all rules
_FINE = 1.0  # spacings of all rules are multiples of it
_MOST_LEVELS = 6  # halvings of the spacing in z

# --- rules over the label, and over the neuron's input


class Labels(NamedTuple):
    """A rule over z_* with the labels there."""

    z: np.ndarray
    y: np.ndarray
    weights: np.ndarray

    def mean(self, power=0, of=1):
        return float(self.weights @ (self.z**power * self.y**of))


@functools.lru_cache(maxsize=256)
def rule(link):
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
    cuts = np.linspace(-_REACH, _REACH, 1 + round(2 * _REACH / width))[1:-1]
    cuts = np.append(cuts, [k for k in _labels.cuts(link) if abs(k) < _REACH])
    z, w = between(np.unique(cuts), 16, reach=_REACH)
    keep = w > 0
    z, w = z[keep], w[keep]
    return Labels(z, np.broadcast_to(f(z), z.shape).astype(float), w)


@functools.lru_cache(maxsize=64)
def slopes(activation):
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


def push(looks):
    c, beta, labels = looks.inner_step, looks.batch_ratio, rule(looks.link)
    slope, bend, square, _ = slopes(looks.activation)
    return _Push(  # eq-tw-pushed
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


def points(looks, labels, push, cosine=0.0):
    """Grids in z whose spacing goes with the label, or pieces between the kinks of G_1."""
    sigma, sine = activations.get(looks.activation), math.sqrt(max(0.0, 1 - cosine**2))
    if sigma.kinks:
        x, w = _pieces(sigma, labels, push, cosine, sine)
        at = np.repeat(np.arange(len(labels.z)), x.shape[1])
        x, w = x.ravel(), w.ravel()
    else:
        steep = sine * (1 + abs(push.step * labels.y) * slopes(looks.activation)[3])
        level = np.ceil(np.log2(np.fmax(1.0, steep / 2)))
        share = labels.weights * (labels.z * labels.y) ** 2
        most = np.where(share > 1e-6 * share.sum(), _MOST_LEVELS, _MOST_LEVELS - 2)
        level = np.fmin(level, most).astype(int)
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
    """E f over u of f = sigma'(t + spread u), of its square and of u times it: (..., 3)."""
    sigma = activations.get(activation)
    if not spread:
        slope = sigma.derivative_at(t)
        return np.stack([slope, slope * slope, 0 * slope], axis=-1)
    if sigma.kinks:
        kinks = (np.array(sigma.kinks) - t[:, None]) / spread
        u, w = between(kinks, 40 + int(24 * abs(spread)), reach=_REACH)
    else:
        step = 0.3 * _FINE / max(1.0, abs(spread))
        u = np.arange(-round(_REACH / step), round(_REACH / step) + 1) * step
        w = np.exp(-u * u / 2)
        w = w / w.sum()
    f = sigma.derivative_at(t[:, None] + spread * u)
    return np.stack([(f * w).sum(1), (f * f * w).sum(1), (f * u * w).sum(1)], axis=-1)


def _grid(low, high, kinks, spread):
    """Points for a table: wider apart far out, dense around kinks that u smooths little."""
    step = 0.03 * _FINE
    ends = np.arcsinh(np.array([low, high]) / 30) * 30 / step
    grid = 30 * np.sinh(np.arange(math.floor(ends[0]) - 2, math.ceil(ends[1]) + 3) * step / 30)
    if kinks and abs(spread) < 1:
        near = np.add.outer(kinks, abs(spread) * np.linspace(-9, 9, round(600 / _FINE) + 1)).ravel()
        near = near[(near > low) & (near < high)]
        grid = np.unique(np.append(grid, near))
        grid = grid[np.append(True, np.diff(grid) > 1e-9 * abs(spread))]
    return grid


def _shares(grid, t):
    """Cubic interpolation: numbers of four neighbours of each t, and their shares, (4, N)."""
    left = np.clip(np.searchsorted(grid, t) - 1, 1, len(grid) - 3)
    near = left + np.arange(-1, 3)[:, None]
    x = t - grid[near]
    places = grid[np.arange(1, len(grid) - 2) + np.arange(-1, 3)[:, None]]
    shares = np.empty_like(x)
    for j in range(4):
        others = [k for k in range(4) if k != j]
        below = np.prod([places[j] - places[k] for k in others], axis=0)
        shares[j] = x[others[0]] * x[others[1]] * x[others[2]] / below[left - 1]
    return near, shares


# --- averages over z and u, row by row of the labels


def half(looks):
    """The labels' rule; its right half where all is odd."""
    found = rule(looks.link)
    if abs(looks.inner_step) > 4:  # T(y) varies fast
        found = _label_rule(looks.link, 0.5 * _FINE / min(4, math.ceil(abs(looks.inner_step) / 4)))
    odd = activations.get(looks.activation).parity == -1 and np.allclose(found.z, -found.z[::-1])
    if not odd or not np.allclose(found.y, -found.y[::-1], rtol=1e-12, atol=0):
        return found
    half = found.z > 0
    return Labels(found.z[half], found.y[half], 2 * found.weights[half])


def common(looks):
    """A rule over what all neurons' u have in common: the mean of their first pulls."""
    slope = slopes(looks.activation)[0]
    size = abs(looks.inner_step * slope) * math.sqrt(
        looks.batch_ratio * rule(looks.link).mean(of=2)
    )
    xi, w = hermegauss(12 + int(8 * size) if size else 1)
    return xi, w / w.sum()


def looked_at(looks, labels, push, points):
    """Averages of sigma'(z') and its like: by row, with z by row, with G_0, by row and xi."""
    slope, _, square, _ = slopes(looks.activation)
    size = push.step * math.sqrt(looks.batch_ratio * labels.mean(of=2))
    own = size * math.sqrt(max(0.0, square - slope**2))
    xi, _ = common(looks)
    shift, rows = size * slope * xi, len(labels.z)
    share = points.weights / labels.weights[points.at]
    first = points.weights * labels.y[points.at] ** 2 * points.first
    if not push.spread:
        f = _averages(looks.activation, 0.0, points.t)
        by_row = np.array([np.bincount(points.at, share * part, minlength=rows) for part in f.T])
        in_z = np.bincount(points.at, share * points.z * f[:, 0], minlength=rows)
        return by_row, in_z, float(first @ f[:, 0]), by_row[:1]
    far = abs(shift).max()
    kinks = activations.get(looks.activation).kinks
    grid = _grid(points.t.min() - far, points.t.max() + far, kinks, own or push.spread)
    table = _averages(looks.activation, push.spread, grid)
    table = np.hstack([table, _shifted(looks, own, grid, shift)])
    near, shares = _shares(grid, points.t)
    place = points.at * len(grid) + near
    law = np.bincount(place.ravel(), (shares * share).ravel(), minlength=rows * len(grid))
    found = (law.reshape(rows, -1) @ table).T
    mean = (shares * table[near, 0]).sum(0)
    in_z = np.bincount(points.at, share * points.z * mean, minlength=rows)
    return found[:3], in_z, float(first @ mean), found[3:]


def _shifted(looks, own, grid, shift):
    """E sigma'(t + shift + own u) on the grid, one column a shift."""
    at = np.add.outer(grid, shift)
    return averaged(looks.activation, own, at.ravel()).reshape(at.shape)


def averaged(activation, spread, t):
    """E sigma'(t + spread u) at many points t, by a table."""
    sigma = activations.get(activation)
    if not spread:
        return sigma.derivative_at(t)
    grid = _grid(t.min(), t.max(), sigma.kinks, spread)
    near, shares = _shares(grid, t)
    return (shares * _averages(activation, spread, grid)[near, 0]).sum(0)
