"""The exact test error of a two-layer network after one large gradient step.

After a step of size eta = O(1) in `OneStep`'s units (sqrt(m) times larger than the O(1) steps of
`twolayer.theory.one_step`) with equal readouts, every neuron sees the same function of the input's
projection k = v.x on the spike. Given k, the features act as Gaussian ones, and ridge regression
on them has a deterministic limit as n0, n, m, d grow at fixed ratios.

Sources: Cui et al. 2024 (arXiv 2402.04980) for the spiked random-features model and its limit;
Dandi et al. 2023 (arXiv 2305.18270) for conditional Gaussian equivalence. The closed form and the
corrections for the network are derived in the chapter `exact_curves`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations
from twolayer.activations import Activation
from twolayer.data import as_link
from twolayer.theory import _bulk, _spike
from twolayer.theory.one_step import FirstStep

__all__ = ["OneStep", "learning_curve", "learnt_function", "optimal_ridge", "step_map"]

Correction = bool | Literal["bulk", "norms"]

_ITERATIONS = 100  # of the fixed point; 12 at most were seen


@dataclasses.dataclass(frozen=True)
class OneStep:
    """One large gradient step on the first layer, then ridge regression on fresh samples.

    Inputs are N(0, I_d), labels link(theta.x) + noise, theta a unit vector. Rows of W0 are uniform
    on the unit sphere and all readouts of the step are 1/sqrt(m): w_j becomes
    w_j + eta mean (y - f) sigma'(w_j.x) x.

    Parameters
    ----------
    activation : str or Activation
        Odd, unless eta = 0.
    link : str, callable or sequence of float
        See `twolayer.data.as_link`.
    alpha0 : float
        n0/d, samples of the step per dimension, > 0.
    eta : float
        Step size, >= 0; 0 is the network at initialisation (random features).
    width_ratio : float
        m/d, > 0.
    noise : float
        Standard deviation of the label noise, >= 0.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> round(config.strength, 3), round(config.cosine, 3), round(config.bulk_variance, 3)
    (5.019, 0.963, 1.488)
    """

    activation: str | Activation
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
        parity = activations.get(self.activation).parity
        eta = _checks.real("eta", self.eta, minimum=0)
        self.first  # checks the rest  # noqa: B018
        if not self.first.second_moment > 0:
            raise ValueError(f"link={self.link!r} is zero: there is nothing to learn")
        if eta > 0 and parity != -1:
            raise ValueError(
                f"activation={self.activation!r} is not odd: the step also multiplies its bulk by "
                "1 + eta E[sigma''] mean (y - f) x x', which this theory leaves out; take an odd "
                "activation, or eta=0"
            )
        if 0 < abs(self.strength) < 1e-8:
            raise ValueError(
                f"eta={eta} gives a spike of {self.strength:.0e}, lost in rounding errors; take "
                "eta=0, or for the limit of small steps theory.one_step.ridge_risk at a large eta"
            )

    @property
    def first(self) -> FirstStep:
        """The same step as a `FirstStep`: moments of activation and link."""
        activation = self.activation if self.eta else "identity"
        return _first(activation, self.link, self.alpha0, self.width_ratio, self.noise)

    @property
    def strength(self) -> float:
        """The spike inside each neuron, ``r = eta E[sigma'] |g|``."""
        if not self.eta or abs(self.first.slope) < 1e-12:  # no step, or an activation like he3
            return 0.0
        return self.eta * self.first.slope * self.first.gradient_norm  # eq-ec-spike

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the gradient ``g = X'y/n0`` and the target's direction."""
        return self.first.linear_part / self.first.gradient_norm

    @property
    def bulk_variance(self) -> float:
        """b^2 = 1 + (eta^2 / alpha0) E[y^2] Var(sigma'): a neuron's squared norm without its spike.

        The second part is the noise of the step, which differs from neuron to neuron.
        """
        if not self.eta:
            return 1.0
        variance = _bulk.slope_moments(self.activation)[0]
        return 1 + self.eta**2 / self.alpha0 * self.first.second_moment * variance  # eq-ec-c

    @property
    def linear_bound(self) -> float:
        """Least test error of a linear predictor, E[y^2] - E[zy]^2 (label noise included)."""
        return self.first.linear_bound

    @property
    def floor(self) -> float:
        """Least test error of any readout of these features, with unlimited samples and neurons.

        What is left of E[y^2] after the best combination of mu0(k), k mu1(k) and mu1(k) zeta, with
        zeta the input's coordinate along the part of the target's direction that the spike missed.
        """
        t = _spike.tables(self)
        root = np.sqrt(t.w)
        basis = (np.stack([t.mu0, t.k * t.mu1]) * root).T
        along = root * t.e0 - basis @ np.linalg.lstsq(basis, root * t.e0)[0]
        size = t.w @ t.mu1**2
        share = (t.w @ (t.mu1 * t.e1)) / size if size else 0.0
        across = t.e1 - share * t.mu1
        return float(t.w @ (t.rest + across**2) + along @ along)  # eq-ec-floor


_first = functools.lru_cache(maxsize=128)(FirstStep)


# --- the fixed point, and what follows from it by linear algebra


class _Problem:
    """What the fixed point needs, for flat arrays of alpha and ridge."""

    def __init__(self, config, alpha, ridge, corrected):
        kind = _bulk.Anisotropic if corrected in (True, "bulk") else _bulk.Isotropic
        self.config, self.bulk, self.tables = config, kind(config), _spike.tables(config)
        self.alpha, self.ridge, self.beta = alpha, ridge, config.width_ratio
        self.ratio = alpha / self.beta  # samples per neuron, n/m
        self.spare = (self.beta - alpha) / self.beta  # 1 - n/m, exact near n = m
        mu1, mu2 = self.mu = np.stack([self.tables.mu1**2, self.tables.mu2])
        ones = np.ones_like(mu1)
        self.products = (self.tables.w * [ones, mu1, mu2, mu1**2, mu1 * mu2, mu2**2]).T

    def left(self, V):
        """The share p(k) of a sample's error that the fit leaves."""
        return 1 / (1 + V @ self.mu)  # eq-ec-p

    def shares(self, V):
        """Averages of products of a sample's shares: left p, fitted s1 (linear part), s2 (rest)."""
        V1, V2 = V.T
        pp, p1, p2, s11, s12, s22 = (self.left(V) ** 2 @ self.products).T
        return _Shares(pp, p1 * V1, p2 * V2, s11 * V1 * V1, s12 * V1 * V2, s22 * V2 * V2)

    def omega(self, V, shares):
        """omega = width_ratio V2 hat V1."""
        return self.alpha * shares.fit1 * V[:, 1] / V[:, 0]  # eq-ec-S


class _Shares(NamedTuple):
    """E[p^2], E[p s1], E[p s2], E[s1^2], E[s1 s2], E[s2^2], where p + s1 + s2 = 1 at each k."""

    pp: np.ndarray
    p1: np.ndarray
    p2: np.ndarray
    s11: np.ndarray
    s12: np.ndarray
    s22: np.ndarray

    @property
    def left(self):
        return self.pp + self.p1 + self.p2

    @property
    def fit1(self):
        return self.p1 + self.s11 + self.s12

    @property
    def fit2(self):
        return self.p2 + self.s12 + self.s22


def _start(problem):
    """V at p = 1: below the fixed point."""
    c = problem.config.bulk_variance
    hat1, hat2 = problem.ratio * (problem.mu @ problem.tables.w)[:, None]
    V2 = 1 / (problem.ridge + hat2 + hat1 * c)
    return np.stack([V2 * problem.bulk.traces(problem.beta * hat1 * V2).T, V2], axis=1)


def _fixed_point(problem):
    """V = (<D/S>, <1/S>), shape (N, 2), by Newton in log V, and where it failed."""
    V = _start(problem)
    with np.errstate(all="ignore"):
        for _ in range(_ITERATIONS):
            (gap1, gap2), (J11, J12, J21, J22) = _balances(problem, V)
            if max(abs(gap1).max(), abs(gap2).max()) < 1e-13:
                break
            step = np.stack([J22 * gap1 - J12 * gap2, J11 * gap2 - J21 * gap1], axis=1)
            V = V * np.exp(-np.clip(step / (J11 * J22 - J12 * J21)[:, None], -20, 20))
        failed = ~(np.maximum(abs(gap1), abs(gap2)) < 1e-9)
    V[failed] = np.nan
    return V, failed


def _balances(problem, V):
    """The two equations, as logarithms of ratios, and their derivatives in log V.

    ``ridge V2 + (n/m) E[1 - p] = 1``: the ridge and the samples share the neurons. With few samples
    per neuron this is written ``ridge V2 = 1 - n/m + (n/m) E p``: nothing cancels at n = m.
    """
    shares, ratio, spare = problem.shares(V), problem.ratio, problem.spare
    gap1, J11, J12 = _inputs(problem, V, shares)

    held = problem.ridge * V[:, 1]
    few = ratio < 2
    have = held + np.where(few, np.maximum(-spare, 0), ratio * (shares.fit1 + shares.fit2))
    need = np.where(few, np.maximum(spare, 0) + ratio * shares.left, 1.0)
    slope = ratio / np.where(few, need, have)
    J21, J22 = slope * shares.p1, slope * shares.p2 + held / have
    return (gap1, np.log(have / need)), (J11, J12, J21, J22)


def _inputs(problem, V, shares):
    """The first equation: V1 = V2 T.

    As V1 hat V1 = E[s1] n/m, the share that is left free is 1 - n/d + (n/d) E[1 - s1]: the linear
    part takes its directions of the inputs. This form is used where few are left, as for linear
    activations.
    """
    alpha, (V1, V2) = problem.alpha, V.T
    trace = problem.bulk.traces(problem.omega(V, shares))
    gap = np.log(V1 / (V2 * trace.T))  # eq-ec-T
    loose, fit = trace.free_fall / trace.T, shares.fit1 + 1e-300  # 1 - loose = omega T_fall / T
    J1 = (shares.p1 + shares.s12 + 1e-300 + loose * shares.s11) / fit
    J2 = -(shares.s12 + loose * (shares.p1 + shares.s11 + 1e-300)) / fit
    scarce = (trace.free < 0.01) & (trace.free > alpha - 1)
    if not scarce.any():
        return gap, J1, J2
    have = trace.free + np.maximum(alpha - 1, 0)
    need = np.maximum(1 - alpha, 0) + alpha * (shares.left + shares.fit2)
    steep = alpha * V2 / V1 * trace.free_fall / have
    other1 = steep * shares.s11 + alpha / need * (shares.p1 + shares.s12)
    other2 = -steep * (shares.p1 + shares.s11) - alpha / need * shares.s12
    other = np.log(have / need), other1, other2
    return [np.where(scarce, b, a) for a, b in zip((gap, J1, J2), other, strict=True)]


class _Learnt(NamedTuple):
    """What the fit learns of mu0, k mu1 (and nu, d mu0/d b^2) and zeta mu1, and what it costs."""

    along: np.ndarray  # coefficients of mu0, k mu1 (and nu), shape (N, 2 or 3)
    across: np.ndarray  # of zeta mu1, shape (N, 1)
    leak: np.ndarray  # squared coefficients of other directions across v, shape (N,)
    price: np.ndarray  # variance that comes with the signals, shape (N,)


def _signals(problem, omega, corrected):
    """The bulk's forms R, W, leak over (v, v_perp), with row norms over (v, norms, v_perp)."""
    forms = problem.bulk.forms(omega)
    if corrected not in (True, "norms"):
        return forms
    covariance, variance = _bulk.row_norms(problem.config)
    wide = np.zeros((3, len(omega), 3, 3))
    wide[..., ::2, ::2] = forms
    wide[:2, :, 0, 1] = wide[:2, :, 1, 0] = covariance
    wide[:2, :, 1, 1] = variance
    return wide


def _learnt(problem, V2, p, signals):
    """What is learnt: mu0, which no ridge holds back, and (k mu1, nu, zeta mu1), which it does.

    The signals t solve ``t = beta V2 R that``, with ``that`` the push of what they leave to
    explain. `V2` is put into the averages, so that nothing here overflows.
    """
    t, beta, (R, W, leak) = problem.tables, problem.beta, signals
    size = R.shape[-1]
    weights = (problem.ratio * V2)[:, None] * p * t.w
    basis = np.stack([t.mu0, t.k * t.mu1, t.nu][:size])
    cross = (weights * t.mu0) @ np.stack([t.mu0, t.e0, *basis[1:]]).T
    free = np.where(cross[:, :1] > 0, cross[:, :1], 1.0)
    first, share = cross[:, 1:2] / free, cross[:, 2:] / free  # of mu0 in e0 and in the others
    centred = basis[1:] - share[:, :, None] * t.mu0
    weighted = weights[:, None] * centred
    pull = np.zeros((len(p), size, size))
    pull[:, :-1, :-1] = weighted @ centred.transpose(0, 2, 1)
    along = weighted @ (t.e0 - first * t.mu0)[..., None]
    across = weights @ (t.e1 * t.mu1)
    push = np.concatenate([along[..., 0], across[:, None]], axis=1)
    found = np.linalg.solve(np.eye(size) + beta * R @ pull, beta * R @ push[..., None])[..., 0]
    hat = push - (pull @ found[..., None])[..., 0]  # eq-ec-signal
    first = first - (share * found[:, :-1]).sum(1, keepdims=True)
    leaks, price = (np.einsum("ni,nij,nj->n", hat, form, hat) for form in (leak, W))
    along = np.concatenate([first, found[:, :-1]], axis=1)
    return _Learnt(along, found[:, -1:], beta**2 * np.maximum(leaks, 0), beta * price / V2)


def _error(problem, V, p, trace, learnt):
    """Test error: what is not learnt, and the variance of the readout."""
    t = problem.tables
    basis = np.stack([t.mu0, t.k * t.mu1, t.nu][: learnt.along.shape[1]])
    missed = (t.e0 - learnt.along @ basis) ** 2 + (t.e1 - learnt.across * t.mu1) ** 2
    missed += t.rest + learnt.leak[:, None] * t.mu1**2
    own1, own2 = problem.ratio * ((missed * p * p) @ (t.w * problem.mu).T * V).T
    variance = _variance(problem, V, trace, own1, own2 + learnt.price)
    return missed @ t.w + variance @ (problem.mu @ t.w)  # eq-ec-error


def _variance(problem, V, trace, own1, own2):
    """(q1, q2), without what the signals bring; `own` is what the samples bring, times V.

    The matrix to invert is minus the Jacobian of the fixed point. Scaled with V it takes (1, 1) to
    (row1, row2), and its off-diagonal entry is -coupling: nothing cancels, also at n = m.
    """
    shares, ratio = problem.shares(V), problem.ratio
    coupling = trace.T * trace.free_fall / (trace.T_fall * problem.beta) + ratio * shares.s12
    row1 = ratio * shares.p1
    row2 = ratio * shares.p2 + problem.ridge * V[:, 1]
    both = coupling * (own1 + own2)
    determinant = row1 * row2 + coupling * (row1 + row2)
    q = np.stack([row2 * own1 + both, row1 * own2 + both]) / determinant
    return V * q.T  # eq-ec-q


def _solve(config, alpha, ridge, corrected):
    """Test error and coefficients along the spike, for flat arrays; nan where not converged."""
    corrected = corrected if config.eta else False
    problem = _Problem(config, alpha, ridge, corrected)
    V, failed = _fixed_point(problem)
    if failed.any():
        i = np.flatnonzero(failed)[0]
        _checks.warn_convergence(
            f"the fixed point did not converge for {failed.sum()} of {len(failed)} settings, the "
            f"first alpha={alpha[i]}, ridge={ridge[i]} of {config}; their errors are nan",
            stacklevel=4,
        )
        V = np.where(failed[:, None], 1.0, V)
    p, omega = problem.left(V), problem.omega(V, problem.shares(V))
    learnt = _learnt(problem, V[:, 1], p, _signals(problem, omega, corrected))
    error = _error(problem, V, p, problem.bulk.traces(omega), learnt)
    error[failed], learnt.along[failed] = np.nan, np.nan
    return error, learnt.along


def _check(config, corrected=False):
    _checks.instance("config", config, OneStep)
    _checks.one_of("corrected", corrected, (False, True, "bulk", "norms"))


def _pairs(alpha, ridge):
    alpha = _checks.real_array("alpha", alpha, minimum=0, strict=True)
    ridge = _checks.real_array("ridge", ridge, minimum=0, strict=True)
    return _checks.broadcast(alpha=alpha, ridge=ridge)


def _vector(name, value):
    value = _checks.real_array(name, value)
    if value.ndim != 1 or value.size == 0:
        raise ValueError(f"{name} has shape {value.shape}; it must be a non-empty vector")
    return value


def learning_curve(
    config: OneStep, alpha: ArrayLike, ridge: ArrayLike, corrected: Correction = False
) -> np.ndarray | float:
    """Test error E (y - f)^2 of ridge regression on the features after the step, noise included.

    Parameters
    ----------
    config : OneStep
    alpha : array_like
        n/d, fresh samples of the readout per dimension, > 0.
    ridge : array_like
        Ridge > 0 of `twolayer.ridge.fit_readout` on the features, added to the sum of squares;
        broadcast against `alpha`.
    corrected : bool or {"bulk", "norms"}
        False: the literal spiked model. True: the network's own first layer, whose bulk has the
        covariance that the step's samples give it ("bulk"), and whose row norms fluctuate
        ("norms"). A name takes one of the two corrections alone.

    Returns
    -------
    ndarray or float
        In the units of y^2; nan where the fixed point did not converge.

    Warns
    -----
    ConvergenceWarning
        If an entry did not converge.

    Notes
    -----
    Cui et al. 2024 for the limit of the spiked model; the closed form for any width ratio, and the
    corrections, are derived in `exact_curves`. At n = m and a tiny ridge nothing cancels; below a
    ridge of 1e-30 the error after a step depends on where an activation saturates beyond 12
    standard deviations, which the quadrature leaves out.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> learning_curve(config, [0.5, 2.0], ridge=1.0).round(4)
    array([0.2407, 0.2306])
    """
    _check(config, corrected)
    alpha, ridge = _pairs(alpha, ridge)
    flat = alpha.ravel(), ridge.ravel()
    error = np.empty(alpha.size)
    for i in range(0, alpha.size, 64):
        piece = slice(i, i + 64)
        error[piece], _ = _solve(config, flat[0][piece], flat[1][piece], corrected)
    return error.reshape(alpha.shape)[()]


def learnt_function(
    config: OneStep,
    alpha: float,
    ridge: float,
    projection: ArrayLike,
    corrected: Correction = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The learnt function along the spike, E[f(x) given v.x], and the target's, E[y given v.x].

    Parameters
    ----------
    config : OneStep
        With a spike: eta > 0.
    alpha, ridge : float
        As in `learning_curve`.
    projection : array_like, shape (p,)
        The input's coordinate v.x along the spike: standard Gaussian.
    corrected : bool or {"bulk", "norms"}
        See `learning_curve`.

    Returns
    -------
    learnt, target : ndarray, shape (p,)

    Warns
    -----
    ConvergenceWarning
        If the fixed point did not converge; `learnt` is then nan.

    Examples
    --------
    >>> config = OneStep("tanh", "sign", alpha0=20.0, eta=10.0)
    >>> learnt, target = learnt_function(config, 2.0, 1.0, [0.0, 1.0])
    >>> learnt.round(3) + 0.0, target.round(3) + 0.0
    (array([0.   , 1.009]), array([0., 1.]))
    """
    _check(config, corrected)
    if not config.strength:
        raise ValueError(f"{config} has no spike, and no coordinate along it")
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    ridge = _checks.real("ridge", ridge, minimum=0, strict=True)
    k = _vector("projection", projection)
    _, (along,) = _solve(config, np.array([alpha]), np.array([ridge]), corrected)
    mu0, mu1, _, nu = _spike.neuron(config, k)
    sine = math.sqrt(1 - config.cosine**2)
    target = _spike.moments(as_link(config.link), config.cosine * k, sine)[0]
    return along @ np.stack([mu0, k * mu1, nu])[: len(along)], target  # eq-ec-learnt


def optimal_ridge(
    config: OneStep,
    alpha: ArrayLike,
    bounds: tuple[float, float] = (1e-6, 1e4),
    corrected: Correction = False,
) -> np.ndarray | float:
    """The ridge of least test error, of the shape of `alpha`.

    Parameters
    ----------
    config : OneStep
    alpha : array_like
        n/d, > 0.
    bounds : (float, float)
        Where to look, 0 < low < high; the optimum may lie at an end.
    corrected : bool or {"bulk", "norms"}
        See `learning_curve`.

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
    best = np.empty(alpha.shape)
    for place, a in np.ndenumerate(alpha):
        best[place] = _least(lambda r, a=a: learning_curve(config, a, r, corrected), *ends.tolist())
    return best[()]


def _least(curve, low, high):
    """Where `curve` is least between low and high: a grid, then Brent's method; ends included."""
    from scipy.optimize import minimize_scalar  # here: it takes longer to load than to run

    grid = np.geomspace(low, high, max(3, math.ceil(4 * math.log10(high / low))))
    values = curve(grid)
    if np.isnan(values).all():
        return np.nan
    i = int(np.clip(np.nanargmin(values), 1, len(grid) - 2))
    found = minimize_scalar(
        lambda u: curve(math.exp(u)),
        bounds=np.log(grid[[i - 1, i + 1]]),
        method="bounded",
        options={"xatol": 1e-4},
    )
    candidates = {found.fun: math.exp(found.x), values[0]: low, values[-1]: high}
    return candidates[min(candidates)]


def step_map(
    activation: str | Activation,
    link: str | Callable | Sequence[float],
    alpha0: ArrayLike,
    eta: ArrayLike,
    alpha: float,
    *,
    ridges: ArrayLike | None = None,
    width_ratio: float = 1.0,
    noise: float = 0.0,
) -> np.ndarray:
    """Test error at the best ridge over a grid of samples and sizes of the step, shape (p, q).

    Parameters
    ----------
    activation, link, width_ratio, noise
        As in `OneStep`.
    alpha0 : array_like, shape (p,)
    eta : array_like, shape (q,)
    alpha : float
        n/d, samples of the readout per dimension.
    ridges : array_like, shape (k,), optional
        The ridges to choose from; 40 from 1e-4 to 1e3 without them.

    Examples
    --------
    >>> step_map("tanh", "sign", [1.0, 20.0], [0.0, 10.0], alpha=2.0).round(3)
    array([[0.734, 0.718],
           [0.734, 0.23 ]])
    """
    alpha0, eta = _vector("alpha0", alpha0), _vector("eta", eta)
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    ridges = _vector("ridges", np.geomspace(1e-4, 1e3, 40) if ridges is None else ridges)
    least = np.empty((len(alpha0), len(eta)))
    for (i, j), _ in np.ndenumerate(least):
        config = OneStep(activation, link, float(alpha0[i]), float(eta[j]), width_ratio, noise)
        least[i, j] = learning_curve(config, alpha, ridges).min()
    return least
