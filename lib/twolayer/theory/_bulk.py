"""The first layer after a large step, without its spike: the law of its rows b_j.

Everything is a function of omega = width_ratio V2 hat V1. With Gamma/d the covariance of b_j:
the trace ``free = tr (1 + omega Gamma)^-1 / d``, the share of the input directions that the
samples leave free (upsilon in the chapter); ``T = tr Gamma (1 + omega Gamma)^-1 / d`` (Upsilon);
and on the spike's direction v and the target's part v_perp across it,
``R = (Gamma^-1 + omega (1 - vv'))^-1``, ``W = R Gamma^-1 R``, which is ``d(omega R)/d omega``, and
the leak ``R (1 - vv' - v_perp v_perp') R`` into other directions. Derived in the chapter
`exact_curves`, in depth.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from twolayer import activations
from twolayer.data import as_link
from twolayer.hermite import nodes

_STEPS = 60  # of Newton for l; 7 at most were seen


@functools.lru_cache(maxsize=128)
def slope_moments(activation):
    """Of s = sigma' - E sigma': E s^2, E[s z^2], E[s^2 z^2] - E[s z^2]^2 and Var s^2."""
    activation = activations.get(activation)

    def moments(z, w):
        s = activation.derivative_at(z)
        s = s - w @ s
        third = w @ (s * z**2)
        square = w @ s**2
        return np.array([square, third, w @ (s * z) ** 2 - third**2, w @ (s**2 - square) ** 2])

    found, other = (moments(*nodes(activation.kinks, n)) for n in (200, 160))
    if not np.allclose(found, other, rtol=1e-5, atol=1e-7):
        raise ValueError(
            f"activation={activation.name!r}: quadrature of its derivative does not converge; "
            "give its kinks where it jumps or bends"
        )
    return tuple(found.tolist())


def labels(config):
    """Quadrature over z = theta.x and the label noise: z, y and weights."""
    link = as_link(config.link)
    kinks = getattr(link, "kinks", tuple(np.arange(-11.0, 12)))
    z, w = nodes(kinks, 60 if kinks else 120)
    e, v = nodes((), 24) if config.noise else (np.zeros(1), np.ones(1))
    y = np.asarray(link(z))[:, None] + config.noise * e
    return np.repeat(z, len(e)), y.ravel(), np.outer(w, v).ravel()


def row_norms(config):
    """Row norms |b_j|^2 = b^2 + Delta_j / sqrt(d): cov(Delta_j, sqrt(d) b_j.v) and var(Delta_j)."""
    first, (_, y, w) = config.first, labels(config)
    _, third, cross, fourth = slope_moments(config.activation)
    a = config.eta**2 / config.alpha0
    covariance = 2 * config.eta * first.gradient_norm * third  # eq-ec-cov
    variance = covariance**2 + 4 * a * first.second_moment * cross
    variance += a**2 * (w @ y**4) * fourth / config.alpha0
    variance += 2 * (config.bulk_variance - 1) ** 2  # eq-ec-norms
    return covariance, variance


class Traces(NamedTuple):
    """upsilon and Upsilon at each omega, and how fast they fall: minus their derivatives."""

    free: np.ndarray
    free_fall: np.ndarray
    T: np.ndarray
    T_fall: np.ndarray


class Isotropic:
    """Rows of B uniform on the sphere of radius b, Gamma = b^2: the literal spiked model."""

    def __init__(self, config):
        self.c = config.bulk_variance

    def traces(self, omega):
        free = 1 / (1 + self.c * omega)
        T = self.c * free  # eq-ec-V
        return Traces(free, self.c * free**2, T, T**2)

    def forms(self, omega):
        """R, W and leak, shape (3, N, 2, 2)."""
        c, T = self.c, self.traces(omega).T
        forms = np.zeros((3, len(T), 2, 2))
        forms[:2, :, 0, 0] = c
        forms[:2, :, 1, 1] = T, T**2 / c
        return forms


class Anisotropic:
    """Rows of B ~ N(0, Gamma/d), Gamma = 1 + chi N, N = X'diag(y^2)X/n0 for the step's samples."""

    def __init__(self, config):
        first, (z, y, w) = config.first, labels(config)
        self.alpha0 = config.alpha0
        self.chi = (config.bulk_variance - 1) / first.second_moment  # eq-ec-gamma
        self.spiked, self.cosine = config.strength != 0, config.cosine
        self.linear_part, self.norm = first.linear_part, first.gradient_norm
        self.y2 = y**2
        moments = [y**2, y**4, z**2 * y**2, z * y, z * y**3]
        self.weights = w[:, None] * np.stack(moments, axis=1)

    def _averages(self, omega, free, power=1):
        """E[p / (1 + iota y^2)^power] of p = y^2, y^4, z^2 y^2, zy, zy^3 with z = theta.x."""
        iota = omega * free * (self.chi / self.alpha0)
        return ((1 / (1 + iota[:, None] * self.y2) ** power) @ self.weights).T

    def _free(self, omega):
        """The trace upsilon, by Newton for {eq-ec-ell}, monotone from the left."""
        free = 1 / (1 + omega * (1 + self.chi * self.weights[:, 0].sum()))
        for _ in range(_STEPS):
            once = 1 + self.chi * self._averages(omega, free)[0]
            twice = 1 + self.chi * self._averages(omega, free, 2)[0]
            step = (free * (1 + omega * once) - 1) / (1 + omega * twice)  # eq-ec-ell
            free = free - step
            if not np.any(abs(step) > 1e-12 * free):
                return free
        return np.full_like(free, np.nan)  # never seen; the caller warns

    def traces(self, omega):
        """As `Isotropic.traces`."""
        chi, free = self.chi, self._free(omega)
        y2, y4, *_ = self._averages(omega, free, 2)
        T = free * (1 + chi * self._averages(omega, free)[0])  # eq-ec-T
        inner = 1 + chi * y2
        slope = inner / (1 + omega * inner)
        return Traces(
            free, free * slope, T, free * (chi**2 * free / self.alpha0 * y4 + inner * slope)
        )

    def forms(self, omega):
        """As `Isotropic.forms`; the derivative of R by a complex step."""
        h = 1e-30
        free, free_fall, *_ = self.traces(omega)
        shifted = self._resolvent(omega + 1j * h, free - 1j * h * free_fall)
        R, fall = shifted.real, -shifted.imag / h
        W = R - omega[:, None, None] * fall
        return np.stack([R, W, fall - R[:, :, 1:] * R[:, 1:, :]])

    def _resolvent(self, omega, free):
        """R = K + omega K vv'K / (v'Lv), L = (1 + omega Gamma)^-1, K = Gamma L (there Pi)."""
        y2, y4, z2y2, zy, zy3 = self._averages(omega, free)
        noise = self.chi * free / self.alpha0  # iota / omega
        along = 1 + self.chi * z2y2
        L_tt = 1 / (1 + omega * along)
        K_tt = along * L_tt
        K_tg = K_tt * zy + noise * zy3  # eq-ec-E
        T = free * (1 + self.chi * y2)
        K_gg = (T * y2 + noise * y4) / self.alpha0
        K_gg = K_gg + noise * zy3 * (self.linear_part + zy) + K_tt * zy**2  # eq-ec-Eg
        L_gg = free * y2 / self.alpha0 + L_tt * zy**2  # |g|^2 - omega K_gg, without cancellation
        return self._on_spike(omega, K_tt, K_tg / self.norm, K_gg / self.norm**2, L_gg)

    def _on_spike(self, omega, K_tt, K_tv, K_vv, L_gg):
        """The matrix R over (v, v_perp), from entries over the target's direction and v."""
        cosine = self.cosine if self.spiked else 0.0  # without a spike nothing is taken out
        boost = omega * self.norm**2 / L_gg if self.spiked else 0.0
        sine = math.sqrt(1 - cosine**2)
        K_vz = (K_tv - cosine * K_vv) / sine
        K_zz = (K_tt - 2 * cosine * K_tv + cosine**2 * K_vv) / sine**2
        R_vz = K_vz * (1 + boost * K_vv)
        entries = K_vv * (1 + boost * K_vv), R_vz, R_vz, K_zz + boost * K_vz**2
        return np.stack(entries, axis=-1).reshape(-1, 2, 2)
