"""What a label tells of the projection behind it: averages given y = link(z_*), noise-free.

Given y the projection z_* is one of the roots of link = y, with weights density / |link'|; where
the link is flat it lies in an interval. So the axis is cut where the link turns, jumps or bends,
and each piece is monotone or flat.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from twolayer.data import as_link
from twolayer.hermite import nodes

_REACH = 9.0
_SCAN = _REACH / 2400  # step in which jumps and turns are looked for
_CELL, _NODES = 0.5, 32  # panels of the axis, and nodes in each
_SHARES = np.r_[
    0, 1e-3, np.linspace(0.01, 0.9, 60), 1 - np.geomspace(0.095, 1e-4, 30)
]  # squared overlaps at which state evolution is tabulated


class Piece(NamedTuple):
    """An interval on which the link is monotone or flat."""

    left: float
    right: float
    low: float  # values of the link, in order of size
    high: float
    rises: bool
    flat: bool


class Table(NamedTuple):
    """Nodes on the axis with their weights, and what else the label there allows."""

    z: np.ndarray  # (N,)
    width: np.ndarray  # (N,)
    roots: np.ndarray  # (N, K), its own first or later; nan where there are fewer
    log_slopes: np.ndarray  # (N, K), of |link'|; inf where there is no root
    flat: np.ndarray  # (N,), the value's number where the link is flat, else -1
    intervals: tuple  # of each flat value, (k, 2)


def pieces(link) -> list[Piece]:
    """The axis from -9 to 9, cut where the link turns, jumps or begins to be flat."""
    f = _function(link)
    edges = [-_REACH, *cuts(link), _REACH]
    found = []
    for left, right in itertools.pairwise(edges):
        inner = (right - left) * 1e-9
        a, b = f(np.array([left + inner, right - inner]))
        low, high = min(a, b), max(a, b)
        middle = f(np.linspace(left + inner, right - inner, 7))
        flat = np.ptp(middle) <= 1e-12 * abs(middle).max()
        found.append(Piece(left, right, float(low), float(high), bool(b > a), bool(flat)))
    return found


def _function(link):
    f = as_link(link)
    return lambda z: np.broadcast_to(f(np.asarray(z, dtype=float)), np.shape(z)).astype(float)


@functools.lru_cache(maxsize=256)
def cuts(link) -> tuple[float, ...]:
    """Declared kinks; jumps, turning points and ends of flat parts that a scan finds."""
    f = _function(link)
    z = -_REACH + _SCAN * (np.arange(math.floor(2 * _REACH / _SCAN)) + 0.37)
    y = f(z)
    steps = np.diff(y)
    size = abs(steps)
    near = np.fmax(np.r_[0, size[:-1]], np.r_[size[1:], 0])
    jumps = size > 8 * near + 1e-6
    flat = size <= 1e-14 * abs(y[1:])
    ends = np.r_[False, flat[1:] != flat[:-1]]
    ends |= np.r_[ends[1:], False]
    turns = np.flatnonzero((steps[:-1] * steps[1:] < 0) & ~jumps[:-1] & ~jumps[1:])
    found = [_bisect(f, z[i], z[i + 1], jumps[i]) for i in np.flatnonzero(jumps | (ends & ~flat))]
    found += [_turn(f, z[i], z[i + 2], steps[i] > 0) for i in turns]
    kinks = np.array([k for k in getattr(as_link(link), "kinks", ()) if abs(k) < _REACH])
    found = [place for place in found if not (abs(place - kinks) < 2 * _SCAN).any()]
    found = np.sort(np.r_[found, kinks])
    return tuple(found[np.diff(found, prepend=-np.inf) > 1e-7].tolist())


def _bisect(f, left, right, jump):
    """Where the link jumps, or a flat part ends."""
    a, b = f(np.array([left, right]))
    from_left = jump or f(left - _SCAN) == a
    level, near = (a, 0.5 * abs(b - a)) if jump else (a if from_left else b, 0.0)
    for _ in range(45):
        middle = (left + right) / 2
        if (abs(f(middle) - level) <= near) == from_left:
            left = middle
        else:
            right = middle
    return (left + right) / 2


def _turn(f, left, right, top):
    """Where the link has its largest (top) or least value between two points."""
    sign = 1.0 if top else -1.0
    grid = np.linspace(left, right, 9)
    for _ in range(8):  # three points around the best, then a parabola
        best = int(np.clip((sign * f(grid)).argmax(), 1, 7))
        grid = np.linspace(grid[best - 1], grid[best + 1], 9)
        if grid[1] - grid[0] < 1e-5:
            break
    y = f(grid[[0, 4, 8]])
    curve = y[0] - 2 * y[1] + y[2]
    shift = 0.5 * (y[0] - y[2]) / curve if curve else 0.0
    return float(grid[4] + np.clip(shift, -1, 1) * (grid[4] - grid[0]))


def known(link, y: np.ndarray) -> Table:
    """The same for given labels, which lie on no flat part."""
    y = np.asarray(y, dtype=float)
    roots = inverse(link, y)
    return Table(y, y, roots, _log_slopes(_function(link), roots), np.full(len(y), -1), ())


@functools.lru_cache(maxsize=32)
def table(link) -> Table:
    """The roots behind the label of each node of the axis."""
    f, parts = _function(link), pieces(link)
    z, width = _rule(link, parts)
    y = f(z)
    roots = inverse(link, y)
    flat, intervals = np.full(len(z), -1), []
    for p in filter(lambda p: p.flat, parts):
        mine = np.flatnonzero(abs(y - p.low) <= 1e-9 * (1 + abs(p.low)))
        number = flat[mine[0]]
        if number < 0:
            number = len(intervals)
            intervals.append([])
            flat[mine] = number
        intervals[number].append((p.left, p.right))
    return Table(
        z, width, roots, _log_slopes(f, roots), flat, tuple(np.array(v) for v in intervals)
    )


def _rule(link, parts):
    """Nodes and widths, dense where the number of roots changes: roots part there like a root."""
    ends = np.array([v for p in parts for v in (p.low, p.high)])
    edges = np.r_[[p.left for p in parts], _REACH, inverse(link, ends[np.isfinite(ends)]).ravel()]
    edges = np.unique(edges[np.isfinite(edges)])
    edges = np.r_[edges[:-1][np.diff(edges) > 1e-6], _REACH]
    edges = np.concatenate(
        [
            np.linspace(a, b, 1 + math.ceil((b - a) / _CELL))[:-1]
            for a, b in itertools.pairwise(edges)
        ]
    )
    t, w = np.polynomial.legendre.leggauss(_NODES)
    t, w = (t + 1) / 2, w / 2
    long = np.diff(edges, append=_REACH)[:, None]
    z = edges[:, None] + long * t**2 * (3 - 2 * t)
    return z.ravel(), (long * (6 * t * (1 - t) * w)).ravel()


def _log_slopes(f, roots, h=1e-7):
    out = np.full(roots.shape, np.inf)
    z = roots[np.isfinite(roots)]
    out[np.isfinite(roots)] = np.log(np.fmax(abs(f(z + h) - f(z - h)) / (2 * h), 1e-300))
    return out


def inverse(link, y: np.ndarray) -> np.ndarray:
    """All z in (-9, 9) with link(z) = y off flat parts, shape (N, K); nan where there are fewer."""
    f, out = _function(link), []
    for p in pieces(link):
        root = np.full(len(y), np.nan)
        inside = np.flatnonzero((y >= p.low) & (y <= p.high))
        if not p.flat and inside.size:
            left, right = np.full((2, inside.size), [[p.left], [p.right]])
            for _ in range(48):
                middle = (left + right) / 2
                beyond = (f(middle) > y[inside]) == p.rises
                left, right = np.where(beyond, left, middle), np.where(beyond, middle, right)
            root[inside] = (left + right) / 2
            out.append(root)
    return np.stack(out, axis=1) if out else np.full((len(y), 1), np.nan)


def posterior(behind: Table, mean: np.ndarray, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of z_* given its label, where before it was N(mean, variance).

    `mean` has shape (N, ...), N the nodes (or labels) of the table; so have the results.
    """
    mean, std = np.asarray(mean, dtype=float), math.sqrt(variance)
    shape = (len(behind.z),) + (1,) * (mean.ndim - 1) + (-1,)
    roots = behind.roots.reshape(shape)
    logs = -((roots - mean[..., None]) ** 2) / (2 * variance) - behind.log_slopes.reshape(shape)
    logs = np.where(np.isfinite(roots), logs, -np.inf)
    top = logs.max(-1, keepdims=True)
    weights = np.exp(logs - np.where(np.isfinite(top), top, 0))
    total = weights.sum(-1)
    total = np.where(total > 0, total, 1)
    filled = np.where(np.isfinite(roots), roots, 0)
    first = (weights * filled).sum(-1) / total
    spread = (weights * (filled - first[..., None]) ** 2).sum(-1) / total
    for number, intervals in enumerate(behind.intervals):
        mine = behind.flat == number
        first[mine], spread[mine] = _truncated(intervals, mean[mine], std)
    return first, spread


def _truncated(intervals, mean, std):
    """Mean and variance of a Gaussian that is known to lie in one of some intervals."""
    total, first, second = np.full((3, *mean.shape), 1e-300)
    for left, right in intervals:
        a = (left - mean) / std if left > -_REACH else np.full(mean.shape, -np.inf)
        b = (right - mean) / std if right < _REACH else np.full(mean.shape, np.inf)
        share = np.where(a > 0, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a))
        at_a, at_b = (np.exp(-np.square(v) / 2) / math.sqrt(2 * math.pi) for v in (a, b))
        ends = [np.where(np.isfinite(v), v, 0) for v in (a, b)]
        total = total + share
        first = first + at_a - at_b
        second = second + share + ends[0] * at_a - ends[1] * at_b
    shift = first / total
    return mean + std * shift, np.fmax(std**2 * (second / total - shift**2), 0)


def _density(behind):
    return behind.width * np.exp(-(behind.z**2) / 2) / math.sqrt(2 * math.pi)


@functools.lru_cache(maxsize=32)
def information(link) -> tuple[float, float]:
    """Mean squares of E[z_*|y] and E[z_*^2 - 1|y]."""
    behind = table(link)
    weights = _density(behind)
    first, spread = posterior(behind, np.zeros(len(behind.z)), 1.0)
    parts = weights @ first**2, weights @ (spread + first**2 - 1) ** 2  # eq-tw-information
    return tuple(float(v) if v > 1e-6 else 0.0 for v in parts)


@functools.lru_cache(maxsize=32)
def precision(link) -> np.ndarray:
    """E[((E[z_*|y, omega] - omega) / V)^2] at the squared overlaps `_SHARES`, V = 1 - q."""
    behind, (zeta, in_zeta) = table(link), nodes(n_nodes=40)
    weights = _density(behind)
    out = []
    for q in _SHARES:
        omega = q * behind.z[:, None] + math.sqrt(q * (1 - q)) * zeta
        first, _ = posterior(behind, omega, 1 - q)
        out.append(weights @ (((first - omega) / (1 - q)) ** 2 @ in_zeta))  # eq-tw-evolution
    return np.array(out)


def overlap(link, alpha: np.ndarray) -> np.ndarray:
    """Squared overlap q at which state evolution, from below, comes to rest."""
    from scipy.interpolate import PchipInterpolator

    q = np.r_[_SHARES, np.linspace(0.011, 0.99989, 4000)]
    q.sort()
    gain = PchipInterpolator(_SHARES, precision(link))(q)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = q / ((1 - q) * gain)  # samples per dimension that keep this overlap
    lambda_1, lambda_2 = information(link)
    needed[0] = 0.0 if lambda_1 else (1 / lambda_2 if lambda_2 else np.inf)
    needed = np.where(np.isnan(needed), np.inf, np.maximum.accumulate(needed))
    rest = np.interp(alpha, needed, q, left=0.0, right=1.0)
    return np.where(alpha > needed[0], rest, 0.0)
