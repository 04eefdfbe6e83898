"""What every neuron, and the target, sees along the spike: averages at fixed projection k = v.x."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from twolayer import activations
from twolayer.data import as_link
from twolayer.hermite import between

_REACH = 9.0  # of averages, in standard deviations: the normal density beyond is below 1e-18
_FAR = 12.0  # of a neuron's, whose remainder counts where it is small: below 1e-31


class Tables(NamedTuple):
    """Functions of k on a grid k >= 0: even parts, and odd parts where they meet odd ones."""

    k: np.ndarray
    w: np.ndarray  # weights of both signs of k
    mu0: np.ndarray  # E f(rk + b g)
    mu1: np.ndarray  # E g f / b
    mu2: np.ndarray  # E (f - mu0 - b mu1 g)^2, the square of the chapter's mu_2
    nu: np.ndarray  # d mu0 / d(b^2), the chapter's dotted mu_0
    e0: np.ndarray  # E[y given k] = E phi(cosine k + sine g)
    e1: np.ndarray  # E[y g given k]
    rest: np.ndarray  # E[(y - e0 - e1 g)^2 given k]


def moments(f, shift, scale, reach=_REACH):
    """Of h(g) = f(shift + scale g), g ~ N(0, 1): E h, E[gh], E[(g^2-1)h]/2, E(h - E h - E[gh] g)^2.

    Between kinks by Gauss-Legendre; without them by the trapezoid rule, which converges
    exponentially for analytic functions.
    """
    if scale > 1e3:
        raise ValueError(
            f"the step gives neurons of norm {scale:.0e}, too large for the quadrature; take a "
            "smaller eta or noise, or a larger alpha0"
        )
    return (_kinked if getattr(f, "kinks", ()) else _smooth)(f, shift, scale, reach)


def _kinked(f, shift, scale, reach):
    panels = math.ceil(reach / 1.8 * max(1.0, scale))  # of width <= 3.6, in f's argument too
    g, w = between((np.array(f.kinks) - shift[:, None]) / scale, 16, panels, reach)
    h = _values(f, shift[:, None] + scale * g)
    weighted = h * w
    mean, linear = weighted.sum(1), np.einsum("ij,ij->i", weighted, g)
    bend = (np.einsum("ij,ij,ij->i", weighted, g, g) - mean) / 2
    left = h - mean[:, None] - linear[:, None] * g
    return mean, linear, bend, np.einsum("ij,ij,ij->i", left, left, w)


def _smooth(f, shift, scale, reach):
    step = math.sqrt(0.06) / max(1.0, scale)  # irrational: no period of f hides between nodes
    g, w = _trapezoid(step, reach)
    every_second = 2 * w  # a rule of its own
    every_second[1::2] = 0
    rule = np.stack([w, w * g, w * (g * g - 1) / 2, every_second, every_second * g], axis=1)
    h = _values(f, shift[:, None] + scale * g)
    mean, linear, bend, *rough = (h @ rule).T
    left = h - mean[:, None] - linear[:, None] * g
    left *= left
    rest, rough_rest = (left @ rule[:, ::3]).T
    size = math.sqrt((mean**2 + linear**2 + rest).max())
    gaps = [rough[0] - mean, rough[1] - linear, (rough_rest - rest) / max(size, 1e-300)]
    if np.max(np.abs(gaps)) > 1e-4 * size:
        raise ValueError(
            f"link or activation {f!r}: quadrature does not converge; where it jumps or bends, "
            "give it as an Activation with its kinks"
        )
    return mean, linear, bend, rest


def _values(f, z):
    return np.asarray(f(z), dtype=float)


def _trapezoid(step, reach):
    """Equidistant nodes over N(0, 1), and their weights."""
    g = step * np.arange(-round(reach / step), round(reach / step) + 1)
    return g, step * np.exp(-g * g / 2) / math.sqrt(2 * math.pi)


def neuron(config, k):
    """mu0, mu1, mu2 and nu at each k."""
    b, f = math.sqrt(config.bulk_variance), activations.get(config.activation)
    mu0, linear, bend, mu2 = moments(f, config.strength * k, b, _FAR)  # eq-ec-mu
    return mu0, linear / b, mu2, bend / b**2


def _target(config, k):
    """e0, e1 and the rest; beside a spike only the parts that an odd activation meets."""
    link = as_link(config.link)
    if not config.strength:  # no direction is special
        e0, e1, _, rest = moments(link, 0 * k, 1.0)
        return e0, e1, rest + config.noise**2
    cosine, parity = config.cosine, getattr(link, "parity", 0)
    sine = math.sqrt(1 - cosine**2)
    e0, e1, _, rest = moments(link, cosine * k, sine)  # eq-ec-target
    back0, back1, back_rest = parity * e0, -parity * e1, rest  # the same at -k
    if not parity:
        back0, back1, _, back_rest = moments(link, -cosine * k, sine)
    unseen = ((e0 + back0) ** 2 + (e1 - back1) ** 2) / 4
    rest = (rest + back_rest) / 2 + unseen + config.noise**2
    return (e0 - back0) / 2, (e1 + back1) / 2, rest


def _grid(config):
    """k >= 0 and weights of both signs, fine enough for what varies with k."""
    if not config.strength:
        return np.zeros(1), np.ones(1)
    cosine, root = abs(config.cosine), math.sqrt(config.bulk_variance)
    sine = math.sqrt(1 - cosine**2)
    step = min(0.25, 0.18 * root / abs(config.strength), 0.18 * sine / max(cosine, 1e-9))
    if step < 1e-4:
        raise ValueError(
            f"{config}: functions of k vary within {step:.0e}, too fine for the quadrature; "
            "take a smaller eta or alpha0"
        )
    k, w = _trapezoid(step, _REACH)
    half = len(k) // 2
    return k[half:], w[half:] * np.where(k[half:] > 0, 2, 1)


@functools.lru_cache(maxsize=32)
def tables(config):
    k, w = _grid(config)
    mu0, mu1, mu2, nu = neuron(config, k)
    size = math.sqrt(max((mu0**2 + mu2).max(), 1e-300))
    mu0, mu1, nu = (v if abs(v).max() > 1e-10 * size else 0 * v for v in (mu0, mu1, nu))
    mu2 = mu2 if mu2.max() > 1e-24 * size**2 else 0 * mu2  # a linear activation has no remainder
    e0, e1, rest = _target(config, k)
    second_moment = config.first.second_moment
    if abs(w @ (e0**2 + e1**2 + rest) - second_moment) > 1e-6 * second_moment:
        raise ValueError(
            f"link={config.link!r}: quadrature does not converge; where the link jumps or "
            "bends, give it as an Activation with its kinks"
        )
    return Tables(k, w, mu0, mu1, mu2, nu, e0, e1, rest)
