"""The stationary features of noisy gradient descent on an infinitely wide network, exactly.

Fang, Dong & Zhang 2019, 'Over Parameterized Two-level Neural Networks Can Learn Near Optimal
Feature Representations' (arXiv 1910.11508). A network f(x) = integral of u(w) h(w, x) rho(dw) sees
rho and u only through nu = rho u, and in (nu, rho) its training problem is convex:

    mean (f - y)^2 / 2 + l2 / 2 * integral of nu^2 / rho + temperature * KL(rho | prior).

Here on a quadrature of the feature space. Noisy gradient descent on m neurons at temperature
`temperature` (`twolayer.descent.langevin`) converges to its solution like 1/sqrt(m); the chapter
*Neural feature repopulation* derives the formulas.
"""

import dataclasses
import math
import warnings

import numpy as np
from scipy.linalg import solve as solve_linear
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

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
        h(w_j, x_i).
    prior : array_like, shape (g,)
        Weights of the nodes, >= 0, of sum one: the law of the features before training.
    y : array_like, shape (n,)
    l2 : float
        lambda_1 > 0 of the paper: ridge on the readout.
    temperature : float
        lambda_3 > 0: the temperature of the noise.
    quadrature : float, optional
        Where the nodes stand for a continuum: the largest relative difference in the mass of the
        density, and in the outputs, that taking every third node may make; `solve` raises beyond
        it. Without it the nodes are all the features there are.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or an entry or a number is not in its range.

    Examples
    --------
    >>> Repopulation([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5], [1.0, 0.0], l2=0.1, temperature=0.1).n
    2
    """

    features: np.ndarray
    prior: np.ndarray
    y: np.ndarray
    l2: float
    temperature: float
    quadrature: float | None = None

    def __post_init__(self):
        features = _features(self.features)
        prior = _vector("prior", self.prior, features.shape[1], minimum=0)
        if abs(prior.sum() - 1) > 1e-9:
            raise ValueError(f"prior sums to {prior.sum():g}; it must sum to one")
        checked = {"features": features, "prior": prior}
        checked["y"] = _vector("y", self.y, len(features))
        for name in ("l2", "temperature") + ("quadrature",) * (self.quadrature is not None):
            checked[name] = _checks.real(name, getattr(self, name), minimum=0, strict=True)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def n(self):
        """Number of samples."""
        return len(self.y)


def circle(phi, y, *, l2, temperature, grid=1440, quadrature=1e-3):
    """The problem of neurons relu(cos(theta - phi)) with directions theta on the whole circle.

    Parameters
    ----------
    phi : array_like, shape (n,)
        Angles of the inputs x = (cos phi, sin phi).
    y : array_like, shape (n,)
    l2, temperature, quadrature : float
        As in `Repopulation`.
    grid : int
        Number of nodes theta_j = 2 pi j / grid, of equal prior; a multiple of three.

    Returns
    -------
    theta : ndarray, shape (grid,)
    problem : Repopulation

    Raises
    ------
    TypeError, ValueError
        As `Repopulation`; or if `grid` is no multiple of three.

    Examples
    --------
    >>> theta, problem = circle([0.0, 1.0, 4.0], [1.0, 0.0, -1.0], l2=0.1, temperature=0.1)
    >>> population = solve(problem)
    >>> round(float(theta[population.density.argmax()]), 2)
    4.0
    """
    phi = _checks.real_array("phi", phi)
    if phi.ndim != 1:
        raise ValueError(f"phi has shape {phi.shape}; it must be (n,)")
    if _checks.positive_int("grid", grid) % 3:
        raise ValueError(f"grid={grid} must be a multiple of three: its thirds are compared")
    theta = 2 * np.pi * np.arange(grid) / grid
    features = np.maximum(np.cos(theta - phi[:, None]), 0)
    return theta, Repopulation(features, np.full(grid, 1 / grid), y, l2, temperature, quadrature)


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """What the infinitely wide network learns.

    Attributes
    ----------
    problem : Repopulation
    residual : ndarray, shape (n,)
        p = f - y.
    outputs : ndarray, shape (n,)
        f on the sample, the integral of u h over the density.
    density : ndarray, shape (g,)
        Weights of the nodes, of sum one: prior exp(G^2 / (2 l2 temperature)), normalised.
    head : ndarray, shape (g,)
        Mean readout of a neuron, u = -G / l2, with G = mean of p h over the samples. Under the
        noise it is Gaussian with this mean and variance temperature / l2.
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
    head: np.ndarray
    value: float
    gap: float

    @property
    def nu(self):
        """The signed measure density * head, shape (g,)."""
        return self.density * self.head


def _tilt(problem, p):
    """G / l2, the log of the density, and the log of its normalisation, at the residual p."""
    pull = p @ problem.features / (problem.n * problem.l2)
    with np.errstate(divide="ignore"):
        energy = np.log(problem.prior) + problem.l2 * pull**2 / (2 * problem.temperature)
    mass = logsumexp(energy)
    return pull, energy - mass, mass


def dual(problem, p):
    """The concave dual over residuals p, with its gradient and Hessian.

    ``-|p|^2 / (2n) - p.y / n - temperature * log sum prior exp(G^2 / (2 l2 temperature))`` with
    G = p.h / n. The gradient is (f - y - p) / n, with f the outputs of the density and head that p
    gives; the Hessian is -(I + Sigma / (n temperature)) / n, with Sigma = Cov(u h) over density and
    noisy readout: what makes the solution stiff makes finite networks fluctuate little, see
    `fluctuation`.

    Parameters
    ----------
    problem : Repopulation
    p : array_like, shape (n,)

    Returns
    -------
    value : float
    gradient : ndarray, shape (n,)
    hessian : ndarray, shape (n, n)

    Raises
    ------
    TypeError, ValueError
        If `p` is not n finite numbers.

    Examples
    --------
    >>> problem = Repopulation([[1.0]], [1.0], [3.0], l2=1.0, temperature=1.0)
    >>> [float(part.item()) for part in dual(problem, [-2.0])]
    [2.0, 1.0, -2.0]
    """
    p = _vector("p", p, problem.n)
    pull, logs, _ = _tilt(problem, p)
    value, gradient = _dual(problem, p)
    covariance = _neuron_covariance(problem, np.exp(logs), -pull)
    hessian = np.eye(problem.n) + covariance / (problem.n * problem.temperature)
    return value, gradient, -hessian / problem.n


def _dual(problem, p):
    n = problem.n
    pull, logs, mass = _tilt(problem, p)
    f = -problem.features @ (np.exp(logs) * pull)
    value = -(p @ p / 2 + p @ problem.y) / n - problem.temperature * mass
    return value, (f - problem.y - p) / n


def _neuron_covariance(problem, density, head):
    """Sigma = Cov(u h) of one neuron: w from the density, u Gaussian with mean head."""
    second = density * (head**2 + problem.temperature / problem.l2)
    mean = problem.features @ (density * head)
    return (problem.features * second) @ problem.features.T - np.outer(mean, mean)


def _objective(problem, f, density, head):
    seen = density > 0
    kl = density[seen] @ np.log(density[seen] / problem.prior[seen])
    fit = np.mean((f - problem.y) ** 2) / 2
    return fit + problem.l2 / 2 * (density @ head**2) + problem.temperature * kl


def solve(problem):
    """The solution by its concave dual: L-BFGS, then Newton's method.

    Parameters
    ----------
    problem : Repopulation

    Returns
    -------
    Population
        Its `gap` is the objective less the dual, at least zero but for rounding.

    Raises
    ------
    TypeError, ValueError
        If `problem` is none, or its nodes are too coarse for the density by its `quadrature`.

    Warns
    -----
    ConvergenceWarning
        If the gap exceeds 1e-10 of the objective at f = 0.

    Notes
    -----
    The dual is strongly concave; the step of Newton's method is halved until the gradient falls,
    so it converges from anywhere. O(n^2 g) a step.

    Examples
    --------
    >>> population = solve(Repopulation([[1.0]], [1.0], [3.0], l2=1.0, temperature=1.0))
    >>> population.head.round(6), population.outputs.round(6)  # ridge regression on one feature
    (array([1.5]), array([1.5]))
    """
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
    pull, logs, _ = _tilt(problem, p)
    density, head = np.exp(logs), -pull
    _check_quadrature(problem, density, head)
    f = problem.features @ (density * head)
    value = _objective(problem, f, density, head)
    gap = value - _dual(problem, p)[0]
    _warn_of_gap(problem, gap)
    return Population(problem, p, f, density, head, float(value), float(gap))


def _check_problem(problem):
    if not isinstance(problem, Repopulation):
        raise TypeError(f"problem={problem!r} must be a Repopulation")


def _slope(problem, p):
    return np.linalg.norm(_dual(problem, p)[1])


def _warn_of_gap(problem, gap):
    if not abs(gap) <= 1e-10 * np.mean(problem.y**2) / 2 + 1e-14 * problem.temperature:
        warnings.warn(f"the gap of the solution is {gap:.1e}", ConvergenceWarning, stacklevel=3)


def _check_quadrature(problem, density, head):
    """Raise if every third node, thrice, each time for the whole, tells of other densities.

    Not every second one: a peak narrower than the spacing may sit halfway between two nodes.
    """
    if problem.quadrature is None:
        return
    thirds = [slice(i, None, 3) for i in range(3)]
    mass = np.array([density[t].sum() / problem.prior[t].sum() for t in thirds])
    f = [problem.features[:, t] @ (density * head)[t] / problem.prior[t].sum() for t in thirds]
    scale = max(np.linalg.norm(problem.y), np.finfo(float).tiny)
    error = max(np.ptp(mass), np.linalg.norm(np.ptp(f, axis=0)) / scale)
    if not error <= problem.quadrature:
        raise ValueError(
            f"{len(density)} nodes are too few for this density: thirds of them differ by "
            f"{error:.1e}, quadrature={problem.quadrature:g} is allowed; take a finer grid"
        )


def primal(problem, *, steps=20000, tol=1e-20):
    """The solution without the dual: exact ridge regression in nu, mirror descent in the density.

    For a fixed density the best nu is kernel ridge regression with K = features density features^T,
    and what is left, Phi = l2 / 2 * y.(K + n l2)^-1 y, is convex in the density. A mirror step
    takes the log of the density a share of the way to its goal, that of the prior plus
    G^2 / (2 l2 temperature).
    The share is halved where the step would pass the minimum on the line to the new density.

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

    Raises
    ------
    TypeError, ValueError
        If `problem` is none, or `steps` or `tol` is out of range.

    Warns
    -----
    ConvergenceWarning
        If the gap exceeds 1e-10 of the objective at f = 0.

    Examples
    --------
    >>> problem = Repopulation([[1.0, 0.2]], [0.5, 0.5], [3.0], l2=0.1, temperature=0.5)
    >>> bool(abs(primal(problem).density - solve(problem).density).max() < 1e-8)
    True
    """
    _check_problem(problem)
    steps, tol = _checks.positive_int("steps", steps), _checks.real("tol", tol, minimum=0)
    kept = problem.prior > 0
    features, prior = problem.features[:, kept], np.log(problem.prior[kept])
    n, l2, temperature = problem.n, problem.l2, problem.temperature

    def ridge(logs):  # the best head for this density, and where the density should go
        density = np.exp(logs)
        gram = (features * density) @ features.T
        head = solve_linear(gram + n * l2 * np.eye(n), problem.y, assume_a="pos") @ features
        goal = prior + l2 * head**2 / (2 * temperature)
        return density, head, goal - logsumexp(goal)

    logs, share = prior, 0.5
    density, head, goal = ridge(logs)
    for _ in range(steps):
        off = logs - goal
        gap = temperature * (density @ (off + np.expm1(np.minimum(-off, 500))))  # each term >= 0
        if gap <= tol * np.mean(problem.y**2) / 2:
            break
        new = logs - share * off
        new -= logsumexp(new)
        there = ridge(new)
        if (there[0] - density) @ (new - there[2]) > 0:
            share /= 2
        else:
            logs, share, (density, head, goal) = new, min(1.1 * share, 1), there
    _warn_of_gap(problem, gap)
    rho = np.zeros(len(kept))
    rho[kept] = density
    f = features @ (density * head)
    u = (problem.y - f) @ problem.features / (n * l2)
    value = _objective(problem, f, rho, u)
    return Population(problem, f - problem.y, f, rho, u, float(value), float(gap))


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


def variance(features, nu, density):
    """The variance V of a neuron drawn from a density, with the readout nu / density.

    A network of m' such neurons has the expected squared error V / m' about the infinite one.

    Parameters
    ----------
    features : array_like, shape (n, g)
    nu : array_like, shape (g,)
        Signed measure of the readout: f = features nu.
    density : array_like, shape (g,)
        Weights of the nodes, >= 0, of sum one.

    Returns
    -------
    float
        ``sum nu^2 |h|^2 / density - |f|^2``, with the mean square over the n samples; infinite
        where the density misses a feature that nu uses.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or the density is none.

    Examples
    --------
    >>> variance([[1.0, 1.0]], [0.5, 0.5], [0.2, 0.8])
    0.5625
    """
    features = _features(features)
    nu = _vector("nu", nu, features.shape[1])
    density = _vector("density", density, features.shape[1])
    if (density < 0).any() or abs(density.sum() - 1) > 1e-9:
        raise ValueError(f"density sums to {density.sum():g}; it must be >= 0 and of sum one")
    weight = nu**2 * np.mean(features**2, axis=0)
    if (weight[density == 0] > 0).any():
        return math.inf
    seen = density > 0
    return float((weight[seen] / density[seen]).sum() - np.mean((features @ nu) ** 2))


def optimal_density(features, nu):
    """The density of least `variance`: proportional to abs(nu) times the norm of the feature.

    Parameters
    ----------
    features : array_like, shape (n, g)
    nu : array_like, shape (g,)

    Returns
    -------
    ndarray, shape (g,)
        By Cauchy and Schwarz its variance is ``(sum |nu| |h|)^2 - |f|^2``.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or nu vanishes wherever a feature does not.

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


def fluctuation(population, m):
    """Covariance of the outputs of m neurons at stationarity, to leading order in 1/m.

    The law of m neurons under noise is exp(-m J(f) / temperature) times that of independent ones,
    with J = mean (f - y)^2 / 2. Independent neurons of the learnt law have Cov f = Sigma / m; J is
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

    Raises
    ------
    TypeError, ValueError
        If `m` is no positive integer.

    Examples
    --------
    >>> one = solve(Repopulation([[1.0]], [1.0], [0.0], l2=1.0, temperature=1.0))
    >>> fluctuation(one, 10)  # (1 / Sigma + 1)^-1 / m with Sigma = temperature / l2
    array([[0.05]])
    """
    m, problem = _checks.positive_int("m", m), population.problem
    covariance, screened = _covariances(population)
    out = problem.n * problem.temperature * solve_linear(screened, covariance, assume_a="pos") / m
    return (out + out.T) / 2


def _covariances(population):
    """Sigma and Sigma + n temperature: without and with what neurons feel of one another."""
    problem = population.problem
    covariance = _neuron_covariance(problem, population.density, population.head)
    return covariance, covariance + problem.n * problem.temperature * np.eye(problem.n)


def histogram(population, m, bins, *, interacting=True):
    """Mean and standard deviation of the share of m neurons in each bin, at stationarity.

    Parameters
    ----------
    population : Population
    m : int
    bins : array_like of int, shape (g,)
        The bin of each node, 0 to B - 1.
    interacting : bool
        Without it neurons are independent: the multinomial's p (1 - p) / m. With it less what a
        bin's count shares with the outputs, c.(Sigma + n temperature)^-1 c / m with
        c = Cov(1_bin, u h).

    Returns
    -------
    share : ndarray, shape (B,)
    deviation : ndarray, shape (B,)
        To leading order in 1/m. The expected total variation between the histogram and the density
        is, where counts are large enough to be Gaussian, the sum of deviation / sqrt(2 pi).

    Raises
    ------
    TypeError, ValueError
        If `m` is no positive integer, or the bins are not numbers from 0 for each node.

    Examples
    --------
    >>> one = solve(Repopulation([[1.0, 1.0]], [0.5, 0.5], [0.0], l2=1.0, temperature=1.0))
    >>> histogram(one, 100, [0, 1])
    (array([0.5, 0.5]), array([0.05, 0.05]))
    """
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
        spread -= (shared * solve_linear(screened, shared.T, assume_a="pos").T).sum(1)
    return share, np.sqrt(np.maximum(spread, 0) / m)
