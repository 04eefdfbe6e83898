r"""The exact test error of a two-layer network after one large gradient step.

After a step of size eta = O(1) in `OneStep`'s units (sqrt(m) times larger than the O(1) steps of
`twolayer.theory.one_step`) with equal readouts, every neuron sees the same function of the input's
coordinate k along the spike. Given k, the features act as Gaussian ones, and ridge regression on
them has a deterministic limit as n0, n, m, d grow at fixed ratios.

Sources: Cui et al. 2024 (arXiv 2402.04980) for the spiked random-features model and its limit; the
closed Marchenko-Pastur form and the corrections for the network are derived in the chapter
`exact_curves`.
"""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.optimize import minimize_scalar
from sklearn.exceptions import ConvergenceWarning

from twolayer import _checks, activations
from twolayer.data import as_link
from twolayer.hermite import nodes
from twolayer.theory.one_step import FirstStep

__all__ = ["OneStep", "learning_curve", "learnt_function", "optimal_ridge", "step_map"]

_ITERATIONS = 100  # of the fixed point; 14 at most were seen
_CUT = 9.0  # the normal density beyond 9 standard deviations is below 1e-18


@dataclasses.dataclass(frozen=True)
class OneStep:
    """One large gradient step on the first layer, then ridge regression on fresh samples.

    Inputs are N(0, I_d), labels link(theta.x) + noise. Rows of W0 are uniform on the unit sphere
    and all readouts of the step are 1/sqrt(m): w_j becomes w_j + eta mean (y - f) sigma'(w_j.x) x.

    Parameters
    ----------
    activation : str or Activation
        Odd, unless eta = 0.
    link : str, callable or sequence of float
        The link, see `twolayer.data.as_link`.
    alpha0 : float
        n0/d, samples of the step per dimension, > 0.
    eta : float
        Step size, >= 0; 0 is the network at initialisation (random features).
    width_ratio : float
        m/d, > 0.
    noise : float
        Standard deviation of the label noise, >= 0.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or unknown, or the student is not odd while eta > 0.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> round(config.strength, 3), round(config.cosine, 3), round(config.bulk_variance, 3)
    (5.019, 0.963, 1.488)
    """

    activation: str | activations.Activation
    link: str | Callable | Sequence[float]
    alpha0: float
    eta: float
    width_ratio: float = 1.0
    noise: float = 0.0

    def __post_init__(self):
        if isinstance(self.link, list | tuple | np.ndarray):  # hashable, as the caches need it
            link = _checks.real_array("link", self.link)
            if link.ndim != 1:
                raise ValueError(f"link has shape {link.shape}; coefficients are a vector")
            object.__setattr__(self, "link", tuple(link.tolist()))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Hashable):
                raise TypeError(f"{field.name}={value!r} must be hashable (a number, a name, ...)")
        student = activations.get(self.activation)
        eta = _checks.real("eta", self.eta, minimum=0)
        self.first  # checks the rest  # noqa: B018
        if not self.first.second_moment > 0:
            raise ValueError(f"link={self.link!r} is zero: there is nothing to learn")
        if eta > 0 and student.parity != -1:
            raise ValueError(
                f"activation={self.activation!r} is not odd: the step also multiplies its bulk by "
                "1 + eta E[sigma''] mean (y - f) x x', which this theory leaves out; take an odd "
                "student, or eta=0"
            )
        if 0 < abs(self.strength) < 1e-8:
            raise ValueError(
                f"eta={eta} gives a spike of {self.strength:.0e}, lost in rounding errors; take "
                "eta=0, or for the limit of small steps ridge_risk of theory.spike at a large eta"
            )

    @property
    def first(self):
        """The same step as a `twolayer.theory.one_step.FirstStep`: moments of student and target."""
        student = self.activation if self.eta else "identity"
        return _first(student, self.link, self.alpha0, self.width_ratio, self.noise)

    @property
    def strength(self):
        """The spike inside each neuron, ``r = eta E[sigma'] |g|``."""
        if not self.eta or abs(self.first.slope) < 1e-12:  # no step, or an activation like he3
            return 0.0
        return self.eta * self.first.slope * self.first.gradient_norm

    @property
    def cosine(self):
        """Cosine of the angle between the gradient ``g = X'y/n0`` and the target's direction."""
        return self.first.linear_part / self.first.gradient_norm

    @property
    def bulk_variance(self):
        """c = 1 + (eta^2 / alpha0) E[y^2] Var(sigma'): a neuron's squared norm without its spike.

        The second part is the noise of the step, which differs from neuron to neuron.
        """
        if not self.eta:
            return 1.0
        variance = _slopes(self.activation)[0]
        return 1 + self.eta**2 / self.alpha0 * self.first.second_moment * variance

    @property
    def linear_bound(self):
        """Least test error of a linear predictor, E[y^2] - E[zy]^2 (label noise included)."""
        return self.first.second_moment - self.first.linear_part**2

    @property
    def floor(self):
        """Least test error of any readout of these features, with unlimited samples and neurons.

        What is left of E[y^2] after the best combination of mu0(k), k mu1(k) and mu1(k) z, where z
        is the input's coordinate along the part of the target's direction that the spike missed.
        """
        t = _tables(self)
        basis = np.stack([t.mu0, t.k * t.mu1])
        gram, cross = basis * t.w @ basis.T, basis @ (t.w * t.e0)
        along = cross @ np.linalg.lstsq(gram, cross)[0]
        across = (t.w @ (t.mu1 * t.e1)) ** 2 / (t.w @ t.mu1**2) if t.mu1.any() else 0.0
        return float(t.w @ t.e2 - along - across)


_first = functools.lru_cache(maxsize=128)(FirstStep)
_legendre = functools.cache(leggauss)


@functools.lru_cache(maxsize=128)
def _slopes(student):
    """Moments of sigma': variance, its overlap with z^2, and those of `_norms`."""
    student = activations.get(student)

    def moments(z, w):
        f = student.derivative_at(z)
        f = f - w @ f
        third = w @ (f * z**2)
        cross = w @ (f * z) ** 2 - third**2
        return np.array([w @ f**2, third, cross, w @ f**4 - (w @ f**2) ** 2])

    found, other = moments(*nodes(student.kinks, 200)), moments(*nodes(student.kinks, 160))
    if not np.allclose(found, other, rtol=1e-5, atol=1e-7):
        raise ValueError(
            f"activation={student.name!r}: quadrature of its derivative does not converge; give its "
            "kinks where it jumps or bends"
        )
    return tuple(found.tolist())


# --- functions of k


class _Tables(NamedTuple):
    """Functions of k on a grid k >= 0: even parts, and odd parts where they meet odd ones."""

    k: np.ndarray
    w: np.ndarray  # weights of both signs of k
    mu0: np.ndarray  # E f(rk + sqrt(c) g)
    mu1: np.ndarray  # E g f / sqrt(c)
    mu2: np.ndarray  # E f^2 - mu0^2 - c mu1^2
    nu: np.ndarray  # d mu0 / dc
    e0: np.ndarray  # E[y given k] = E phi(cosine k + sine g)
    e1: np.ndarray  # E[y g given k]
    e2: np.ndarray  # E[y^2 given k]


def _smoothed(f, shift, scale):
    """E f, E[g f], E[(g^2 - 1) f] / 2 and E f^2 of f(shift + scale g), g ~ N(0, 1).

    The trapezoid rule, which converges exponentially for analytic functions; where f has kinks,
    Gauss-Legendre on pieces between them.
    """
    kinks = getattr(f, "kinks", ())
    if scale > 1e3:
        raise ValueError(
            f"the step gives neurons of norm {scale:.0e}, too large for the quadrature; take a "
            "smaller eta or noise, or a larger alpha0"
        )
    if kinks:
        places = np.clip((np.array(kinks) - shift[:, None]) / scale, -_CUT, _CUT)
        ends = np.full((len(shift), 1), _CUT)
        cuts = np.concatenate([-ends, np.sort(places, axis=1), ends], axis=1)
        panels = math.ceil(_CUT * max(2 / 3, scale))  # each of width <= 3, and <= 2 in f's argument
        share = np.arange(panels) / panels
        left = (cuts[:, :-1, None] + np.diff(cuts)[..., None] * share)[..., None]
        half = np.repeat(np.diff(cuts)[..., None] / panels / 2, panels, axis=2)[..., None]
        t, v = _legendre(16)
        g = (left + half * (t + 1)).reshape(len(shift), -1)
        w = (half * v).reshape(g.shape) * np.exp(-g * g / 2) / math.sqrt(2 * math.pi)
    else:
        step = math.sqrt(0.06) / max(1.0, scale)  # irrational: no period of f hides between nodes
        g = step * np.arange(-round(_CUT / step), round(_CUT / step) + 1)[None]
        w = step * np.exp(-g * g / 2) / math.sqrt(2 * math.pi)
    values = np.asarray(f(shift[:, None] + scale * g), dtype=float)
    if not kinks:
        w, g = w[0], g[0]
        rule = np.stack([w, w * g, w * (g * g - 1) / 2], axis=1)
        means, square = values @ rule, values**2 @ w
        rough = values[:, ::2] @ (2 * rule[::2])  # every second node is a rule of its own
        gaps = *np.abs(rough - means)[:, :2].T, np.abs(values[:, ::2] ** 2 @ (2 * w[::2]) - square)
        size = math.sqrt(square.max())
        if max(gaps[0].max(), gaps[1].max(), gaps[2].max() / max(size, 1e-300)) > 1e-4 * size:
            raise ValueError(
                f"{f!r}: quadrature does not converge; where the function jumps or bends, give it "
                "as an Activation with its kinks"
            )
        return *means.T, square
    moments = ((values * w * p).sum(1) for p in (1.0, g, (g * g - 1) / 2))
    return *moments, (values**2 * w).sum(1)


def _student(config, k):
    c = config.bulk_variance
    mu0, mu1, nu, square = _smoothed(
        activations.get(config.activation), config.strength * k, math.sqrt(c)
    )
    mu1 = mu1 / math.sqrt(c)
    return mu0, mu1, nu / c, np.maximum(square - mu0**2 - c * mu1**2, 0)


@functools.lru_cache(maxsize=32)
def _tables(config):
    r, root = config.strength, math.sqrt(config.bulk_variance)
    cosine = config.cosine if r else 0.0  # without a spike no direction is special
    sine = math.sqrt(1 - cosine**2)
    if r:
        step = min(0.25, 0.18 * root / abs(r), 0.18 * sine / max(abs(cosine), 1e-9))
        if step < 1e-4:
            raise ValueError(
                f"{config}: functions of k vary within {step:.0e}, too fine for the quadrature; "
                "take a smaller eta or alpha0"
            )
        k = step * np.arange(round(_CUT / step) + 1)
        w = step * np.exp(-k * k / 2) * np.where(k > 0, 2, 1) / math.sqrt(2 * math.pi)
    else:
        k, w = np.zeros(1), np.ones(1)
    mu0, mu1, nu, mu2 = _student(config, k)
    size = math.sqrt(max((mu0**2 + mu2).max(), 1e-300))
    mu0, nu, mu1 = (v if abs(v).max() > 1e-10 * size else 0 * v for v in (mu0, nu, mu1))
    link = as_link(config.link)
    if r and getattr(link, "parity", 0):
        e0, e1, _, e2 = _smoothed(link, cosine * k, sine)
        e0, e1 = (v * (link.parity == -1) for v in (e0, e1))
    elif r:  # an odd student meets the odd part of e0 only
        values = _smoothed(link, cosine * np.concatenate([k, -k]), sine)
        (e0, back), (e1, back1), _, (e2, back2) = (np.split(v, 2) for v in values)
        e0, e1, e2 = (e0 - back) / 2, (e1 + back1) / 2, (e2 + back2) / 2
    else:
        e0, e1, _, e2 = _smoothed(link, 0 * k, 1.0)
    e2 = e2 + config.noise**2
    if abs(w @ e2 - config.first.second_moment) > 1e-6 * config.first.second_moment:
        raise ValueError(
            f"link={config.link!r}: quadrature does not converge; where the link jumps or "
            "bends, give it as an Activation with its kinks"
        )
    return _Tables(k, w, mu0, mu1, mu2, nu, e0, e1, e2)


# --- the bulk: resolvent traces and forms. S = s0 + hat1 B B', averages over its m eigenvalues


class _Isotropic:
    """Rows of B uniform on the sphere of radius sqrt(c): the literal spiked model."""

    def __init__(self, config):
        self.c, self.beta = config.bulk_variance, config.width_ratio

    def traces(self, s0, hat1):
        """(V1, V2) = <D/S>, <1/S> and D0, D1, D2 = <1/S^2>, <D/S^2>, <D^2/S^2>, D = B B'."""
        c, beta, b = self.c, self.beta, self.c * hat1
        B = s0 + b * (1 - beta)
        R = np.sqrt(B * B + 4 * beta * b * s0)
        with np.errstate(divide="ignore", invalid="ignore"):
            V2 = np.where(B >= 0, 2 / (R + B), (R - B) / (2 * beta * b * s0))
        o = 1 + beta * b * V2
        V1 = c * V2 / o
        D2 = c * V1 * (2 * s0 * (1 + beta) + b * (1 - beta) ** 2) / (R * (R + s0))
        return V1, V2, V2 * o / R, V1 / R, D2

    def forms(self, s0, hat1, V1, V2, D0, D1, D2):
        """M over (v, z), and minus its derivatives in s0 and hat1."""
        b, c = self.beta, self.c
        diagonal = ((b * c * V2, b * V1), (b * c * D0, b * D1), (b * c * D1, b * D2))
        return tuple(np.stack(pair, axis=-1)[..., None] * np.eye(2) for pair in diagonal)


def _labels(config):
    """Quadrature over z = theta.x and the label noise: z, y and weights."""
    link = as_link(config.link)
    kinks = getattr(link, "kinks", tuple(np.arange(-11.0, 12)))
    z, w = nodes(kinks, 60 if kinks else 120)
    e, v = nodes((), 24) if config.noise else (np.zeros(1), np.ones(1))
    y = np.asarray(link(z))[:, None] + config.noise * e
    return np.repeat(z, len(e)), y.ravel(), np.outer(w, v).ravel()


class _Anisotropic:
    """Rows of B ~ N(0, Gamma/d), Gamma = 1 + chi A, A = Z'diag(y^2)Z/n0 for the step's samples."""

    def __init__(self, config):
        first, z, y, w = config.first, *_labels(config)
        self.isotropic, self.alpha0 = _Isotropic(config), config.alpha0
        self.beta, self.chi = config.width_ratio, (config.bulk_variance - 1) / first.second_moment
        self.cosine, self.spiked = config.cosine, config.strength != 0
        self.theta1, self.norm = first.linear_part, first.gradient_norm
        self.y2 = y**2
        moments = [y**2, y**4, z**2 * y**2, z * y, z * y**3]
        self.weights = w[:, None] * np.stack(moments, axis=1)

    def _averages(self, omega, left, power=1):
        """Averages of p / (1 + delta y^2)^power for p = y^2, y^4, z^2 y^2, zy, zy^3."""
        delta = omega * left * (self.chi / self.alpha0)  # left is l, the trace of `_trace`
        return (1 / (1 + delta[:, None] * self.y2) ** power) @ self.weights

    def _trace(self, omega):
        """l = tr (1 + omega Gamma)^-1 / d, T = tr Gamma (1 + omega Gamma)^-1 / d and dl/domega.

        Newton for l (1 + omega (1 + chi E[y^2 / (1 + delta y^2)])) = 1, monotone from the left.
        """
        chi = self.chi
        left = 1 / (1 + omega * (1 + chi * self.weights[:, 0].sum()))
        for _ in range(60):
            free = 1 + chi * self._averages(omega, left)[:, 0]
            inner = 1 + chi * self._averages(omega, left, 2)[:, 0]
            step = (left * (1 + omega * free) - 1) / (1 + omega * inner)
            left = left - step
            if not np.any(abs(step) > 1e-12 * left):
                break
        else:
            left = np.full_like(left, np.nan)  # never seen; the caller warns
        free = 1 + chi * self._averages(omega, left)[:, 0]
        return left, left * free, -left * inner / (1 + omega * inner)

    def _omega(self, s0, hat1):
        """omega (s0 + hat1 T) = beta hat1, by Newton; monotone, since omega T is concave."""
        omega = self.beta * hat1 * self.isotropic.traces(s0, hat1)[1]  # to the left of the root
        for _ in range(60):
            _, T, slope = self._trace(omega)
            step = (omega * (s0 + hat1 * T) - self.beta * hat1) / (s0 - hat1 * slope)
            omega = omega - step
            if not np.any(abs(step) > 1e-12 * omega):
                break
        else:
            omega = np.full_like(omega, np.nan)
        return omega

    def traces(self, s0, hat1):
        """As `_Isotropic.traces`."""
        omega = self._omega(s0, hat1)
        left, T, slope = self._trace(omega)
        V2 = 1 / (s0 + hat1 * T)
        F = s0 - hat1 * slope
        square = self._averages(omega, left, 2)
        inner = 1 + self.chi * square[:, 0]
        bend = left * (
            self.chi**2 * left / self.alpha0 * square[:, 1] + inner**2 / (1 + omega * inner)
        )
        return (
            V2 * T,
            V2,
            V2 / F,
            -V2 * slope / F,
            V2 / F * (self.beta * V2 * s0 * bend - slope * T),
        )

    def _R(self, omega, left):
        """(Gamma^-1 + omega (1 - vv'))^-1 on (v, z); complex arguments too."""
        y2, y4, z2y2, B, zy3 = np.moveaxis(self._averages(omega, left), -1, 0)
        chi, norm = self.chi, self.norm
        noise = chi * left / self.alpha0  # delta / omega
        free = 1 + chi * z2y2
        K11 = free / (1 + omega * free)
        K1v = (K11 * B + noise * zy3) / norm
        Kvv = noise * (zy3 * (self.theta1 + B) + y4 / self.alpha0)
        Kvv = (Kvv + left * (1 + chi * y2) * y2 / self.alpha0 + K11 * B**2) / norm**2
        cosine, boost = 0.0, 0.0  # without a spike nothing is taken out
        if self.spiked:
            cosine, boost = self.cosine, omega / (1 - omega * Kvv)
        sine = math.sqrt(1 - cosine**2)
        Kvz = (K1v - cosine * Kvv) / sine
        Kzz = (K11 - 2 * cosine * K1v + cosine**2 * Kvv) / sine**2
        vz = Kvz * (1 + boost * Kvv)
        entries = Kvv * (1 + boost * Kvv), vz, vz, Kzz + boost * Kvz**2
        return np.stack(entries, axis=-1).reshape(-1, 2, 2)

    def forms(self, s0, hat1, V1, V2, D0, D1, D2):
        """As `_Isotropic.forms`."""
        b, omega, h = self.beta, self.beta * V2 * hat1, 1e-30
        left, _, slope = self._trace(omega)
        shifted = self._R(omega + 1j * h, left + 1j * h * slope)  # complex step: d/domega
        R, dR = shifted.real, shifted.imag / h
        V2, D0, D1, hat1 = (x[:, None, None] for x in (V2, D0, D1, hat1))
        whole = R + b * V2 * hat1 * dR
        return b * V2 * R, b * D0 * whole, b * D1 * whole - (b * V2) ** 2 * dR


def _norms(config):
    """Row norms |b_j|^2 = c + delta_j / sqrt(d): cov(delta_j, sqrt(d) b_j.v) and var(delta_j)."""
    first, (_, y, w), a = config.first, _labels(config), config.eta**2 / config.alpha0
    _, third, cross, square = _slopes(config.activation)
    s = 2 * config.eta * third * first.gradient_norm
    own = 4 * a * first.second_moment * cross + a**2 * (w @ y**4) * square / config.alpha0
    return s, s**2 + own + 2 * (config.bulk_variance - 1) ** 2


def _with_norms(forms, row, V2, D0, D1):
    """M over (v, row norms, z) and minus its derivatives: `row` is beta times (cov, var)."""
    three = []
    for form, x in zip(forms, (V2, D0, D1), strict=True):
        out = np.zeros((len(form), 3, 3))
        out[:, ::2, ::2] = form
        out[:, 0, 1] = out[:, 1, 0] = row[0] * x
        out[:, 1, 1] = row[1] * x
        three.append(out)
    return three


# --- the fixed point, and what follows from it by linear algebra


def _symmetric(x11, x12, x22):
    """Symmetric 2 x 2 matrices, shape (N, 2, 2)."""
    return np.stack([x11, x12, x12, x22], axis=-1).reshape(-1, 2, 2)


def _solve_2(A, b):
    """x with A x = b, for A of shape (N, 2, 2) and b of shape (N, 2), by Cramer's rule."""
    (a11, a12), (a21, a22), (b1, b2) = A[:, 0].T, A[:, 1].T, b.T
    return (
        np.stack([a22 * b1 - a12 * b2, a11 * b2 - a21 * b1], -1) / (a11 * a22 - a12 * a21)[:, None]
    )


def _fixed_point(bulk, t, ap, ridge):
    """V = (<D/S>, <1/S>), shape (N, 2), by three plain iterations and Newton in log V."""
    mu = np.stack([t.mu1**2, t.mu2])
    once = (t.w * mu).T
    twice = (t.w * np.stack([mu[0] ** 2, mu[0] * mu[1], mu[1] ** 2])).T
    V = np.zeros((len(ap), 2))
    with np.errstate(all="ignore"):
        for iteration in range(_ITERATIONS):
            P = 1 / (1 + V @ mu)
            hat = ap[:, None] * (P @ once)
            s0, hat1 = ridge + hat[:, 1], hat[:, 0]
            V1, V2, D0, D1, D2 = bulk.traces(s0, hat1)
            G = np.stack([V1, V2], axis=1)
            if iteration < 3:
                V = G
                continue
            gap = np.log(V / G)
            if np.all(abs(gap) < 1e-13):
                break
            spread = _symmetric(*(ap[:, None] * (P * P @ twice)).T)  # minus d hat / d V
            J = np.eye(2) - _symmetric(D2, D1, D0) @ spread * V[:, None, :] / G[:, :, None]
            step = _solve_2(J, gap)
            V = V * np.exp(-np.clip(step, -3, 3))
        failed = ~(abs(gap).max(1) < 1e-9)
    V[failed] = np.nan
    return V, failed


class _Solution(NamedTuple):
    error: np.ndarray  # test error, shape (N,)
    readout: np.ndarray  # coefficients of mu0, k mu1 (and nu, corrected), shape (N, 2 or 3)


def _solve(config, alpha, ridge, corrected):
    """Test error and learnt function for flat arrays `alpha`, `ridge`; nan where not converged."""
    t, ap = _tables(config), alpha / config.width_ratio
    corrected = corrected if config.eta else False
    bulk = (_Anisotropic if corrected in (True, "bulk") else _Isotropic)(config)
    V, failed = _fixed_point(bulk, t, ap, ridge)
    if failed.any():
        i = np.flatnonzero(failed)[0]
        warnings.warn(
            f"the fixed point did not converge for {failed.sum()} of {len(failed)} settings, the "
            f"first alpha={alpha[i]}, ridge={ridge[i]} of {config}; their errors are nan",
            ConvergenceWarning,
            stacklevel=3,
        )
        V = np.where(failed[:, None], 1.0, V)
    P = 1 / (1 + V @ np.stack([t.mu1**2, t.mu2]))
    w1, w2 = t.w * t.mu1**2, t.w * t.mu2
    hat1, hat2 = ap * (P @ w1), ap * (P @ w2)
    _, V2, D0, D1, D2 = traces = bulk.traces(ridge + hat2, hat1)
    forms = bulk.forms(ridge + hat2, hat1, *traces)
    if corrected in (True, "norms"):
        forms = _with_norms(forms, config.width_ratio * np.array(_norms(config)), V2, D0, D1)
    M, M0, M1 = forms

    # what is learnt: t mu0, which no ridge holds back, and m . (k mu1, nu, z mu1), which it does
    basis = np.stack([t.mu0, t.k * t.mu1, t.nu][: M.shape[-1]])
    gram = np.einsum("nk,ik,jk->nij", P * t.w, basis, basis, optimize=True)
    cross = (P * (t.w * t.e0)) @ basis.T
    free = gram[:, 0, 0]
    share = gram[:, 1:, 0] / np.where(free > 0, free, 1)[:, None]
    inner = gram[:, 1:, 1:] - share[:, :, None] * gram[:, :1, 1:]
    outer = cross[:, 1:] - share * cross[:, :1]
    hat = np.concatenate([outer, (P @ (t.w * t.e1 * t.mu1))[:, None]], axis=1)
    size = hat.shape[1]
    pull = np.zeros((len(ap), size, size))
    pull[:, :-1, :-1] = ap[:, None, None] * inner
    m = np.linalg.solve(np.eye(size) + M @ pull, M @ (ap[:, None] * hat)[..., None])[..., 0]
    hat = ap[:, None] * hat - (pull @ m[..., None])[..., 0]
    first = cross[:, 0] / np.where(free > 0, free, 1) - (share * m[:, :-1]).sum(1)
    readout = np.concatenate([first[:, None], m[:, :-1]], axis=1)
    C, psi = readout @ basis, m[:, -1:]
    E0 = t.e2 + C * (C - 2 * t.e0) - 2 * psi * t.mu1 * t.e1

    # the variance of the readout, q1 = |B'a|^2/m and q2 = |a|^2/m
    moments = _symmetric(D2, D1, D0)
    spread = (ap * ((P * P) @ x) for x in (w1 * t.mu1**2, w1 * t.mu2, w2 * t.mu2))
    e1, e2 = (ap * ((E0 * P * P) @ x) for x in (w1, w2))
    s1, s2 = (np.einsum("ni,nij,nj->n", hat, x, hat) for x in (M1, M0))
    right = (moments @ np.stack([e1, e2], -1)[..., None])[..., 0] + np.stack([s1, s2], -1)
    q = _solve_2(np.eye(2) - moments @ _symmetric(*spread), right)
    error = E0 @ t.w + q[:, 0] * w1.sum() + q[:, 1] * w2.sum()
    error[failed], readout[failed] = np.nan, np.nan
    return _Solution(error, readout)


def _pairs(alpha, ridge):
    alpha = _checks.real_array("alpha", alpha, minimum=0, strict=True)
    ridge = _checks.real_array("ridge", ridge, minimum=0, strict=True)
    try:
        return np.broadcast_arrays(alpha, ridge)
    except ValueError:
        raise ValueError(
            f"alpha has shape {alpha.shape} and ridge {ridge.shape}; they must broadcast"
        ) from None


def _check(config, corrected=False):
    if not isinstance(config, OneStep):
        raise TypeError(f"config={config!r} must be a OneStep")
    _checks.one_of("corrected", corrected, (False, True, "bulk", "norms"))


def _points(k):
    k = _checks.real_array("k", k)
    if k.ndim != 1 or k.size == 0:
        raise ValueError(f"k has shape {k.shape}; it must be a non-empty vector")
    return k


def learning_curve(config, alpha, ridge, corrected=False):
    """Test error of ridge regression on the features after the step.

    Parameters
    ----------
    config : OneStep
    alpha : array_like
        n/d, fresh samples of the readout per dimension, > 0.
    ridge : array_like
        Ridge > 0 of `twolayer.descent.fit_readout` on `TwoLayer.features`: added to the sum of
        squares. `alpha` and `ridge` broadcast as in NumPy.
    corrected : bool or {"bulk", "norms"}
        False: the literal spiked model. True: the network's own first layer, whose bulk has the
        covariance that the step's samples give it ("bulk"), and whose row norms fluctuate
        ("norms"). A name takes one of the two corrections alone.

    Returns
    -------
    ndarray or float
        Test error E (y - f)^2, label noise included, in the units of y^2; nan, with a warning,
        where the fixed point did not converge.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or shapes do not broadcast.

    Warns
    -----
    ConvergenceWarning
        If an entry did not converge.

    Notes
    -----
    Cui et al. 2024 for the limit of the spiked model, here with the closed Marchenko-Pastur form
    for any width ratio. The derivation, and that of the corrections, is in `exact_curves`.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> learning_curve(config, [0.5, 2.0], ridge=1.0).round(4)
    array([0.2407, 0.2306])
    """
    _check(config, corrected)
    alpha, ridge = _pairs(alpha, ridge)
    flat = alpha.ravel(), ridge.ravel()
    chunks = range(0, alpha.size, 64)
    parts = [_solve(config, *(v[i : i + 64] for v in flat), corrected).error for i in chunks]
    return np.concatenate([*parts, np.zeros(0)]).reshape(alpha.shape)[()]


def learnt_function(config, alpha, ridge, k, corrected=False):
    """The learnt function along the spike, E[f(x) given v.x = k], and the target's, E[y given k].

    Parameters
    ----------
    config : OneStep
    alpha, ridge : float
    k : array_like, shape (p,)
        The input's coordinate along the spike: standard Gaussian.
    corrected : bool or {"bulk", "norms"}
        See `learning_curve`.

    Returns
    -------
    learnt, target : ndarray, shape (p,)

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or eta = 0: there is no spike.

    Warns
    -----
    ConvergenceWarning
        If the fixed point did not converge; `learnt` is then nan.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> learnt, target = learnt_function(config, 2.0, 1.0, [0.0, 1.0])
    >>> learnt.round(3), target.round(3)
    (array([0.   , 1.009]), array([0., 1.]))
    """
    _check(config, corrected)
    if not config.strength:
        raise ValueError(f"{config} has no spike, and no coordinate along it")
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    ridge = _checks.real("ridge", ridge, minimum=0, strict=True)
    k = _points(k)
    readout = _solve(config, np.array([alpha]), np.array([ridge]), corrected).readout[0]
    mu0, mu1, nu, _ = _student(config, k)
    cosine = config.cosine
    target = _smoothed(as_link(config.link), cosine * k, math.sqrt(1 - cosine**2))[0]
    return readout @ np.stack([mu0, k * mu1, nu])[: len(readout)], target


def optimal_ridge(config, alpha, bounds=(1e-6, 1e4), corrected=False):
    """The ridge of least test error.

    Parameters
    ----------
    config : OneStep
    alpha : array_like
        n/d, > 0.
    bounds : (float, float)
        Where to look, 0 < low < high; the optimum may lie at an end.
    corrected : bool or {"bulk", "norms"}
        See `learning_curve`.

    Returns
    -------
    ndarray or float
        Of the shape of `alpha`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> round(float(optimal_ridge(config, 2.0)), 2)
    0.78
    """
    _check(config, corrected)
    alpha = _checks.real_array("alpha", alpha, minimum=0, strict=True)
    ends = _checks.real_array("bounds", bounds, minimum=0, strict=True)
    if ends.shape != (2,) or ends[0] >= ends[1]:
        raise ValueError(f"bounds={bounds!r} must be two ridges, the first below the second")
    low, high = ends.tolist()
    grid = np.geomspace(low, high, max(3, math.ceil(4 * (math.log10(high) - math.log10(low)))))
    best = np.empty(alpha.shape)
    for place, a in np.ndenumerate(alpha):
        curve = learning_curve(config, a, grid, corrected)
        if np.isnan(curve).all():
            best[place] = np.nan
            continue
        i = int(np.clip(np.nanargmin(curve), 1, len(grid) - 2))
        found = minimize_scalar(
            lambda u, a=a: learning_curve(config, a, math.exp(u), corrected),
            bounds=np.log(grid[[i - 1, i + 1]]),
            method="bounded",
            options={"xatol": 1e-4},
        )
        ends = {found.fun: math.exp(found.x), curve[0]: low, curve[-1]: high}
        best[place] = ends[min(ends)]
    return best[()]


def step_map(activation, link, alpha0, eta, alpha, *, ridges=None, width_ratio=1.0, noise=0.0):
    """Test error at the best ridge over a grid of sizes and samples of the step.

    Parameters
    ----------
    activation, link : str, Activation or callable
        As in `OneStep`.
    alpha0 : array_like, shape (p,)
    eta : array_like, shape (q,)
    alpha : float
        n/d, samples of the readout per dimension.
    ridges : array_like, shape (k,), optional
        The ridges to choose from; 40 from 1e-4 to 1e3 without them.
    width_ratio, noise : float

    Returns
    -------
    ndarray, shape (p, q)
        The least test error over the ridges.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or not of its shape.

    Examples
    --------
    >>> step_map("tanh", "sign", [1.0, 20.0], [0.0, 10.0], alpha=2.0).round(3)
    array([[0.734, 0.718],
           [0.734, 0.23 ]])
    """
    alpha0, eta = _checks.real_array("alpha0", alpha0), _checks.real_array("eta", eta)
    for name, value in (("alpha0", alpha0), ("eta", eta)):
        if value.ndim != 1:
            raise ValueError(f"{name} has shape {value.shape}; it must be a vector")
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    ridges = np.geomspace(1e-4, 1e3, 40) if ridges is None else np.asarray(ridges)
    if ridges.ndim != 1 or ridges.size == 0:
        raise ValueError(f"ridges has shape {ridges.shape}; it must be a non-empty vector")
    return np.array(
        [
            [
                learning_curve(
                    OneStep(activation, link, float(a), float(e), width_ratio, noise), alpha, ridges
                ).min()
                for e in eta
            ]
            for a in alpha0
        ]
    )


# --- simulation
