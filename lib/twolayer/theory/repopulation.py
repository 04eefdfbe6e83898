"""The stationary features of noisy gradient descent on an infinitely wide network, exactly.

Fang, Dong & Zhang 2019, 'Over Parameterized Two-level Neural Networks Can Learn Near Optimal
Feature Representations' (arXiv 1910.11508). A network f(x) = integral of u(w) psi(w, x) p(dw) sees
the density p and the readout u only through nu = p u, and in (nu, p) its training is convex:

    mean (y - f)^2 / 2 + weight_decay / 2 * integral of nu^2 / p + temperature * KL(p | prior).

At its minimum u = r / weight_decay, with r(w) the mean of (y - f) psi(w, .) over the samples. Here
on a quadrature of the feature space. Noisy gradient descent on m neurons at temperature
`temperature` (`twolayer.descent.langevin`) converges to its solution like 1/sqrt(m); the chapter
*Neural feature repopulation* derives the formulas.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve as solve_linear

from twolayer import _checks

__all__ = [
    "Population",
    "Repopulation",
    "circle",
    "dual",
    "fluctuation",
    "histogram",
    "optimal_density",
    "primal",
    "solve",
    "variance",
]

_NEWTON = 50  # steps, where it takes five


@dataclasses.dataclass(frozen=True, eq=False)
class Repopulation:
    """The convex problem on a quadrature of g features.

    Parameters
    ----------
    features : array_like, shape (n, g)
        psi(w_j, x_i).
    prior : array_like, shape (g,)
        Weights of the nodes, >= 0, of sum one: the law of the features before training.
    y : array_like, shape (n,)
    weight_decay : float
        lambda_1 > 0 of the paper, on the readout.
    temperature : float
        lambda_3 > 0: the temperature of the noise.
    quadrature : float, optional
        Where nodes stand for a continuum: `solve` raises if taking every third of them changes the
        density's mass or the outputs by a larger share.

    Examples
    --------
    >>> features = [[1.0, 0.0], [0.0, 1.0]]
    >>> Repopulation(features, [0.5, 0.5], [1.0, 0.0], weight_decay=0.1, temperature=0.1).n
    2
    """

    features: np.ndarray
    prior: np.ndarray
    y: np.ndarray
    weight_decay: float
    temperature: float
    quadrature: float | None = None

    def __post_init__(self):
        features = _features(self.features)
        prior = _vector("prior", self.prior, features.shape[1], minimum=0)
        if abs(prior.sum() - 1) > 1e-9:
            raise ValueError(f"prior sums to {prior.sum():g}; it must sum to one")
        checked = {"features": features, "prior": prior}
        checked["y"] = _vector("y", self.y, len(features))
        optional = () if self.quadrature is None else ("quadrature",)
        for name in ("weight_decay", "temperature", *optional):
            checked[name] = _checks.real(name, getattr(self, name), minimum=0, strict=True)
        for name, value in checked.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.y)

    def kernel(self, density: ArrayLike | None = None) -> np.ndarray:
        """The kernel of a density of features on the sample, features density features^T.

        With the readout at its best for that density, the network is kernel ridge regression with
        it: f = K (K + n weight_decay)^-1 y.

        Parameters
        ----------
        density : array_like, shape (g,), optional
            >= 0. The prior without it.

        Returns
        -------
        ndarray, shape (n, n)

        Examples
        --------
        >>> problem = Repopulation([[1.0, 2.0]], [0.5, 0.5], [1.0], 0.1, 0.1)
        >>> problem.kernel(), problem.kernel([0.25, 0.75])
        (array([[2.5]]), array([[3.25]]))
        """
        if density is None:
            density = self.prior
        density = _vector("density", density, self.features.shape[1], minimum=0)
        return (self.features * density) @ self.features.T


def circle(
    phi: ArrayLike,
    y: ArrayLike,
    *,
    weight_decay: float,
    temperature: float,
    grid: int = 1440,
    quadrature: float | None = 1e-3,
) -> tuple[np.ndarray, Repopulation]:
    """The problem of neurons relu(cos(angle - phi)) with directions angle on the whole circle.

    Parameters
    ----------
    phi : array_like, shape (n,)
        Angles of the inputs x = (cos phi, sin phi).
    y : array_like, shape (n,)
    weight_decay, temperature, quadrature : float
        As in `Repopulation`.
    grid : int
        Number of nodes angle_j = 2 pi j / grid, of equal prior; a multiple of three.

    Returns
    -------
    angle : ndarray, shape (grid,)
    problem : Repopulation

    Examples
    --------
    >>> angles, y = [0.0, 1.0, 4.0], [1.0, 0.0, -1.0]
    >>> angle, problem = circle(angles, y, weight_decay=0.1, temperature=0.1)
    >>> population = solve(problem)
    >>> round(float(angle[population.density.argmax()]), 2)
    4.0
    """
    phi = _checks.real_array("phi", phi)
    if phi.ndim != 1:
        raise ValueError(f"phi has shape {phi.shape}; it must be (n,)")
    if _checks.positive_int("grid", grid) % 3:
        raise ValueError(f"grid={grid} must be a multiple of three: its thirds are compared")
    angle = 2 * np.pi * np.arange(grid) / grid
    features = np.maximum(np.cos(angle - phi[:, None]), 0)
    prior = np.full(grid, 1 / grid)
    return angle, Repopulation(features, prior, y, weight_decay, temperature, quadrature)


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """What the infinitely wide network learns.

    Attributes
    ----------
    problem : Repopulation
    residual : ndarray, shape (n,)
        f - y.
    outputs : ndarray, shape (n,)
        f on the sample, the integral of u psi over the density.
    density : ndarray, shape (g,)
        Weights of the nodes, of sum one: prior exp(r^2 / (2 weight_decay temperature)), normalised.
    readout : ndarray, shape (g,)
        Mean readout of a neuron, u = r / weight_decay, with r = mean of (y - f) psi over samples.
        Under the noise it is Gaussian with this mean and variance temperature / weight_decay.
    value : float
        The objective.
    gap : float
        Its value less a lower bound on every value: of the dual, by `solve`; by convexity, the
        largest gain along a straight line to another density, by `primal`.
    """

    problem: Repopulation
    residual: np.ndarray
    outputs: np.ndarray
    density: np.ndarray
    readout: np.ndarray
    value: float
    gap: float

    @property
    def nu(self) -> np.ndarray:
        """The signed measure density * readout, shape (g,)."""
        return self.density * self.readout  # eq-rp-limit

    @property
    def kernel(self) -> np.ndarray:
        """The learnt kernel on the sample, `Repopulation.kernel` of the density, shape (n, n)."""
        return self.problem.kernel(self.density)

    @property
    def dof(self) -> float:
        """Degrees of freedom of its readout, trace K (K + n weight_decay)^-1.

        A readout fitted to labels with noise of variance s^2, and judged on labels without it,
        costs on average s^2 dof / (2n) more: half the mean square plus the ridge.
        """
        ridge = self.problem.n * self.problem.weight_decay
        values = np.linalg.eigvalsh(self.kernel).clip(min=0)
        return float((values / (values + ridge)).sum())


def _log_sum_exp(logs):
    """As scipy's logsumexp, whose checks take longer than all else that `solve` does in a step."""
    top = logs.max()
    return top + math.log(np.exp(logs - top).sum())


def _tilt(problem, p):
    """Readout, the log of the density, and the log of its normalisation, at the residual p."""
    pull = p @ problem.features / problem.n
    with np.errstate(divide="ignore"):
        prior = np.log(problem.prior)
    energy = prior + pull / problem.weight_decay * pull / (2 * problem.temperature)
    mass = _log_sum_exp(energy)
    return -pull / problem.weight_decay, energy - mass, mass  # eq-rp-solution


def dual(problem: Repopulation, p: ArrayLike) -> tuple[float, np.ndarray, np.ndarray]:
    """The concave dual over residuals, with its gradient and Hessian.

    ``e.y / n - |e|^2 / (2n) - temperature log sum prior exp(r^2 / (2 weight_decay temperature))``
    with r = e.psi / n; e stands for y - f, the argument p for f - y, so p = -e. The gradient, in p,
    is (f - y - p) / n, with f the outputs of the density and readout that p gives; the Hessian is
    -(I + Sigma / (n temperature)) / n, with Sigma = Cov(u psi) over density and noisy readout: what
    makes the solution stiff makes finite networks fluctuate little, see `fluctuation`.

    Parameters
    ----------
    problem : Repopulation
    p : array_like, shape (n,)

    Returns
    -------
    value, gradient, hessian : float, ndarray, shapes (), (n,) and (n, n)

    Examples
    --------
    >>> problem = Repopulation([[1.0]], [1.0], [3.0], weight_decay=1.0, temperature=1.0)
    >>> [float(part.item()) for part in dual(problem, [-2.0])]
    [2.0, 1.0, -2.0]
    """
    _check_problem(problem)
    p = _vector("p", p, problem.n)
    readout, logs, _ = _tilt(problem, p)
    value, gradient = _dual(problem, p)
    covariance = _neuron_covariance(problem, np.exp(logs), readout)
    hessian = np.eye(problem.n) + covariance / (problem.n * problem.temperature)
    return value, gradient, -hessian / problem.n


def _dual(problem, p):
    n = problem.n
    readout, logs, mass = _tilt(problem, p)
    f = problem.features @ (np.exp(logs) * readout)
    value = -(p @ p / 2 + p @ problem.y) / n - problem.temperature * mass  # eq-rp-dual
    return value, (f - problem.y - p) / n


def _neuron_covariance(problem, density, readout):
    """Sigma = Cov(u psi) of one neuron: w from the density, u Gaussian about the mean readout."""
    features = problem.features
    off = features * readout - (features @ (density * readout))[:, None]
    jitter = problem.temperature / problem.weight_decay * (features * density) @ features.T
    return jitter + (off * density) @ off.T  # eq-rp-fluctuation


def _objective(problem, f, density, readout):
    seen = density > 0
    kl = density[seen] @ np.log(density[seen] / problem.prior[seen])
    fit = np.mean((f - problem.y) ** 2) / 2
    ridge = problem.weight_decay / 2 * (density @ readout**2)
    return fit + ridge + problem.temperature * kl  # eq-rp-objective


def solve(problem: Repopulation) -> Population:
    """The solution by its concave dual: L-BFGS, then Newton's method.

    The dual is strongly concave; the step of Newton's method is halved until the gradient falls,
    so it converges from anywhere. O(n^2 g) a step.

    Parameters
    ----------
    problem : Repopulation

    Returns
    -------
    Population
        Its `gap` is the objective less the dual, at least zero but for rounding.

    Warns
    -----
    ConvergenceWarning
        If the gap exceeds 1e-10 of the objective at f = 0.

    Examples
    --------
    >>> problem = Repopulation([[1.0]], [1.0], [3.0], weight_decay=1.0, temperature=1.0)
    >>> population = solve(problem)
    >>> population.readout.round(6), population.outputs.round(6)  # ridge regression, one feature
    (array([1.5]), array([1.5]))
    """
    from scipy.optimize import minimize

    _check_problem(problem)

    def negative(p):
        value, gradient = _dual(problem, p)
        return -value, -gradient

    p = minimize(negative, -problem.y, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    for _ in range(_NEWTON):
        _, gradient, hessian = dual(problem, p)
        step = -solve_linear(hessian, gradient, assume_a="sym")
        norm = np.linalg.norm(gradient)
        sizes = (s for s in 0.5 ** np.arange(30) if _slope(problem, p + s * step) < norm)
        size = next(sizes, 0)
        if not size:
            break
        p = p + size * step
    readout, logs, _ = _tilt(problem, p)
    density = np.exp(logs)
    _check_quadrature(problem, density, readout)
    f = problem.features @ (density * readout)
    value = _objective(problem, f, density, readout)
    gap = value - _dual(problem, p)[0]
    _warn_of_gap(problem, gap)
    return Population(problem, p, f, density, readout, float(value), float(gap))


def _check_problem(problem):
    _checks.instance("problem", problem, Repopulation)


def _slope(problem, p):
    return np.linalg.norm(_dual(problem, p)[1])


def _warn_of_gap(problem, gap):
    if not abs(gap) <= 1e-10 * np.mean(problem.y**2) / 2 + 1e-14 * problem.temperature:
        _checks.warn_convergence(f"the gap of the solution is {gap:.1e}", stacklevel=4)


def _check_quadrature(problem, density, readout):
    """Raise if every third node, thrice, each time for the whole, tells of other densities.

    Not every second one: a peak narrower than the spacing may sit halfway between two nodes.
    """
    if problem.quadrature is None:
        return
    thirds = [slice(i, None, 3) for i in range(3)]
    mass = np.array([density[t].sum() / problem.prior[t].sum() for t in thirds])
    f = [problem.features[:, t] @ (density * readout)[t] / problem.prior[t].sum() for t in thirds]
    scale = max(np.linalg.norm(problem.y), np.finfo(float).tiny)
    error = max(np.ptp(mass), np.linalg.norm(np.ptp(f, axis=0)) / scale)
    if not error <= problem.quadrature:
        raise ValueError(
            f"{len(density)} nodes are too few for this density: thirds of them differ by "
            f"{error:.1e}, quadrature={problem.quadrature:g} is allowed; take a finer grid"
        )


def primal(problem: Repopulation, *, steps: int = 20000, tol: float = 1e-20) -> Population:
    """The solution without the dual: exact ridge regression in nu, mirror descent in the density.

    For a fixed density the best nu is kernel ridge regression with K = features density features^T,
    and what is left, ``weight_decay / 2 * y.(K + n weight_decay)^-1 y``, is convex in the density.
    A mirror step takes the log of the density a share of the way to its goal, that of the prior
    plus r^2 / (2 weight_decay temperature). The share is halved where the step would pass the
    minimum on the line to the new density.

    Parameters
    ----------
    problem : Repopulation
    steps : int
        At most; each costs O(n^2 g).
    tol : float
        >= 0. Stop where the gap is below this share of the objective at f = 0.

    Returns
    -------
    Population
        Its `gap` is ``temperature * KL(density | goal)``: by convexity no density gains more.

    Warns
    -----
    ConvergenceWarning
        As `solve`.

    Examples
    --------
    >>> problem = Repopulation([[1.0, 0.2]], [0.5, 0.5], [3.0], weight_decay=0.1, temperature=0.5)
    >>> bool(abs(primal(problem).density - solve(problem).density).max() < 1e-8)
    True
    """
    _check_problem(problem)
    steps, tol = _checks.positive_int("steps", steps), _checks.real("tol", tol, minimum=0)
    kept = problem.prior > 0
    features, prior = problem.features[:, kept], np.log(problem.prior[kept])
    n, temperature = problem.n, problem.temperature
    ridge = n * problem.weight_decay * np.eye(n)

    def best(logs):  # the best readout for this density, and where the density should go
        density = np.exp(logs)
        gram = (features * density) @ features.T
        readout = solve_linear(gram + ridge, problem.y, assume_a="pos") @ features
        goal = prior + problem.weight_decay * readout**2 / (2 * temperature)
        return density, goal - _log_sum_exp(goal)

    logs, share = prior, 0.5
    density, goal = best(logs)
    for _ in range(steps):
        off = logs - goal
        gap = temperature * (density @ (off + np.expm1(np.minimum(-off, 500))))  # each term >= 0
        if gap <= tol * np.mean(problem.y**2) / 2:
            break
        new = logs - share * off
        new -= _log_sum_exp(new)
        there = best(new)
        if (there[0] - density) @ (new - there[1]) > 0:
            share /= 2
        else:
            logs, share, (density, goal) = new, min(1.1 * share, 1), there
    _warn_of_gap(problem, gap)
    return _from_density(problem, kept, density, gap)


def _from_density(problem, kept, density, gap):
    """The population of a density on the nodes that the prior allows, with its best readout."""
    p = np.zeros(len(kept))
    p[kept] = density
    gram = problem.kernel(p)
    ridge = problem.n * problem.weight_decay * np.eye(problem.n)
    u = solve_linear(gram + ridge, problem.y, assume_a="pos") @ problem.features
    f = problem.features @ (p * u)
    value = _objective(problem, f, p, u)
    return Population(problem, f - problem.y, f, p, u, float(value), float(gap))


def _features(value):
    features = _checks.real_array("features", value)
    if features.ndim != 2 or not features.size:
        raise ValueError(f"features has shape {features.shape}; it must be (n, g), not empty")
    return features


def _vector(name, value, length, minimum=-math.inf):
    value = _checks.real_array(name, value, minimum=minimum)
    if value.shape != (length,):
        raise ValueError(f"{name} has shape {value.shape}; it must be ({length},)")
    return value


def variance(features: ArrayLike, nu: ArrayLike, density: ArrayLike) -> float:
    """The variance V of a neuron drawn from a density, with the readout nu / density.

    ``sum nu^2 |psi|^2 / density - |f|^2``, with the mean square over the n samples. A network of m'
    such neurons has the expected squared error V / m' about the infinite one.

    Parameters
    ----------
    features : array_like, shape (n, g)
    nu, density : array_like, shape (g,)
        Signed measure, f = features nu; weights of the nodes, >= 0, of sum one.

    Returns
    -------
    float
        Infinite where the density misses a feature that nu uses.

    Examples
    --------
    >>> round(variance([[1.0, 1.0]], [0.5, 0.5], [0.2, 0.8]), 12)
    0.5625
    """
    features = _features(features)
    nu = _vector("nu", nu, features.shape[1])
    density = _vector("density", density, features.shape[1])
    if (density < 0).any() or abs(density.sum() - 1) > 1e-9:
        raise ValueError(f"density sums to {density.sum():g}; it must be >= 0 and of sum one")
    seen = density > 0
    if (nu * features.any(axis=0))[~seen].any():
        return math.inf
    root = np.sqrt(density[seen])
    off = features[:, seen] * (nu[seen] / root) - np.multiply.outer(features @ nu, root)
    return float(np.square(off).sum() / len(features))  # eq-rp-variance


def optimal_density(features: ArrayLike, nu: ArrayLike) -> np.ndarray:
    """The density of least `variance`: proportional to abs(nu) times the norm of the feature.

    By Cauchy and Schwarz its variance is ``(sum |nu| |psi|)^2 - |f|^2``.

    Parameters
    ----------
    features, nu : array_like, shapes (n, g) and (g,)

    Returns
    -------
    ndarray, shape (g,)

    Examples
    --------
    >>> optimal_density([[1.0, 3.0]], [0.5, -0.5])
    array([0.25, 0.75])
    """
    features = _features(features)
    weight = abs(_vector("nu", nu, features.shape[1])) * np.sqrt(np.mean(features**2, axis=0))
    if not weight.any():
        raise ValueError("nu is zero, or only where the features are; no density is best")
    return weight / weight.sum()


def fluctuation(population: Population, m: int) -> np.ndarray:
    """Covariance of the outputs of m neurons at stationarity, to leading order in 1/m.

    The law of m neurons under noise is exp(-m loss / temperature) times that of independent ones.
    Independent neurons of the learnt law have Cov f = Sigma / m; the loss, mean (y - f)^2 / 2, is
    quadratic with Hessian 1/n, so that precisions add: Sigma (I + Sigma / (n temperature))^-1 / m.
    They repel one another: an error of the others is part of the force on each.

    Parameters
    ----------
    population : Population
    m : int

    Returns
    -------
    ndarray, shape (n, n)
        Over the samples. Its mean diagonal is the expected mean square of f - f_inf over samples.

    Examples
    --------
    >>> one = solve(Repopulation([[1.0]], [1.0], [0.0], weight_decay=1.0, temperature=1.0))
    >>> fluctuation(one, 10)  # (1 / Sigma + 1)^-1 / m with Sigma = temperature / weight_decay
    array([[0.05]])
    """
    _checks.instance("population", population, Population)
    m, problem = _checks.positive_int("m", m), population.problem
    covariance, screened = _covariances(population)
    inverse = solve_linear(screened, covariance, assume_a="pos")
    out = problem.n * problem.temperature * inverse / m  # eq-rp-fluctuation
    return (out + out.T) / 2


def _covariances(population):
    """Sigma and Sigma + n temperature: without and with what neurons feel of one another."""
    problem = population.problem
    covariance = _neuron_covariance(problem, population.density, population.readout)
    return covariance, covariance + problem.n * problem.temperature * np.eye(problem.n)


def histogram(
    population: Population,
    m: int,
    bins: ArrayLike,
    *,
    interacting: bool = True,
    frozen: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the share of m neurons in each bin, at stationarity.

    Where counts are large enough to be Gaussian, the expected total variation between histogram
    and density is the sum of deviation / sqrt(2 pi).

    Parameters
    ----------
    population : Population
    m : int
    bins : array_like of int, shape (g,)
        The bin of each node, 0 to B - 1.
    interacting : bool
        Without it neurons are independent: the multinomial's p (1 - p) / m. With it less what a
        bin's count shares with the outputs, c.(Sigma + n temperature)^-1 c / m with
        c = Cov(1_bin, u psi).
    frozen : array_like of int, shape (B,), optional
        The group of each bin, 0 to the number of groups - 1. Neurons drawn independently have
        since come to rest within groups (the peaks of a cold density) but cross to no other, so
        that the shares of the groups keep the multinomial's covariance.

    Returns
    -------
    share, deviation : ndarray, shape (B,)
        To leading order in 1/m.

    Examples
    --------
    >>> two = Repopulation([[1.0, 1.0]], [0.5, 0.5], [0.0], weight_decay=1.0, temperature=1.0)
    >>> histogram(solve(two), 100, [0, 1])
    (array([0.5, 0.5]), array([0.05, 0.05]))
    """
    _checks.instance("population", population, Population)
    m, problem, bins = _checks.positive_int("m", m), population.problem, np.asarray(bins)
    if not np.issubdtype(bins.dtype, np.integer) or bins.min(initial=0) < 0:
        raise ValueError(f"bins={bins} must hold integers >= 0")
    if bins.shape != population.density.shape:
        raise ValueError(f"bins has shape {bins.shape}; it must be {population.density.shape}")
    member = np.arange(bins.max() + 1)[:, None] == bins
    share = member @ population.density
    spread = share * (1 - share)
    if interacting:
        shared = (member * population.nu) @ problem.features.T
        shared -= np.outer(share, problem.features @ population.nu)
        _, screened = _covariances(population)
        screen = solve_linear(screened, shared.T, assume_a="pos")
        spread -= (shared * screen.T).sum(1)  # eq-rp-bins
        if frozen is not None:
            spread += _frozen(np.asarray(frozen), share, shared @ screen)
    return share, np.sqrt(np.maximum(spread, 0) / m)


def _frozen(group, share, screened):
    """What the variances of the bins gain if the shares of groups keep those of independent draws.

    Given its groups' shares a Gaussian vector of shares has the mean ``pull @ shares``, whatever
    their law.
    """
    if group.shape != share.shape or not np.issubdtype(group.dtype, np.integer):
        raise ValueError(f"frozen={group} must hold a group for each of {len(share)} bins")
    member = np.arange(group.max() + 1)[:, None] == group
    covariance = np.diag(share) - np.outer(share, share) - screened
    pull = covariance @ member.T @ np.linalg.pinv(member @ covariance @ member.T, rcond=1e-8)
    return np.einsum("bg,gh,bh->b", pull, member @ screened @ member.T, pull)
