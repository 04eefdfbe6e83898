"""Both levels trained: what `twolayer.theory.backward_correction` predicts, measured."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from twolayer import _checks
from twolayer.theory.backward_correction import TwoLevels, _samples, _step

__all__ = ["modes", "run", "sample", "train"]

_ROOT2 = math.sqrt(2)


def sample(config: TwoLevels, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, in the eigenbasis of A, and labels.

    Parameters
    ----------
    config : TwoLevels
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    x : ndarray, shape (n, d)
    y : ndarray, shape (n,)

    Examples
    --------
    >>> x, y = sample(TwoLevels([3.0, -4.0], 0.3), 5, np.random.default_rng(0))
    >>> x.shape, y.shape
    ((5, 2), (5,))
    """
    _levels(config)
    n, rng = _checks.positive_int("n", n), _checks.generator(rng)
    x = rng.standard_normal((n, config.d))
    p = (x**2 - 1) @ np.array(config.eigenvalues) / _ROOT2
    noise = config.noise * rng.standard_normal(n)
    return x, p + config.alpha * (p**2 - 1) + noise  # eq-bc-target


def modes(x: ArrayLike) -> np.ndarray:
    """The quadratic modes of inputs, orthonormal for Gaussian ones.

    Parameters
    ----------
    x : array_like, shape (n, d)

    Returns
    -------
    ndarray, shape (n, d(d+1)/2)
        First (x_i^2 - 1) / sqrt(2), then x_i x_j with i < j, row by row of the upper triangle.

    Examples
    --------
    >>> modes([[1.0, 2.0]]).round(3)
    array([[0.   , 2.121, 2.   ]])
    """
    x = _checks.real_array("x", x, ndim=2)
    i, j = np.triu_indices(x.shape[1], 1)
    return np.hstack([(x**2 - 1) / _ROOT2, x[:, i] * x[:, j]])


def run(
    config: TwoLevels,
    n: int,
    how: str,
    rng: np.random.Generator,
    *,
    rounds: int = 50,
    step: float = 1.0,
    start: str = "layerwise",
) -> dict[str, np.ndarray]:
    """Both levels trained on n samples in one of three ways.

    Parameters
    ----------
    config : TwoLevels
    n : int
        Samples, more than N + 1.
    how : {"layerwise", "explaining", "joint"}
        See `twolayer.theory.backward_correction.lower_error`. Joint is by Gauss-Newton.
    rng : numpy.random.Generator
    rounds : int
        Refits of explaining away, or at most so many steps of Gauss-Newton.
    step : float
        Of explaining away, see `twolayer.theory.backward_correction.contraction`.
    start : {"layerwise", "random"}
        Where the joint fit and explaining away begin; random is a symmetric matrix of norm one.

    Returns
    -------
    dict of ndarray
        ``lower_error``; ``alpha`` as estimated; ``matrix``, the learnt one in the eigenbasis of
        A; its ``eigenvalues``, in the order of the true ones; ``path``, the lower errors at the
        start and after each round. For explaining away also ``contraction``, the factor by which
        one more refit on these samples multiplies a small error.

    Warns
    -----
    ConvergenceWarning
        If Gauss-Newton has not converged.

    Examples
    --------
    >>> levels = TwoLevels(np.linspace(1, -0.4, 8), alpha=0.3, noise=0.1)
    >>> found = run(levels, 1000, "joint", np.random.default_rng(0))
    >>> bool(found["lower_error"] < 0.001)
    True
    """
    _levels(config)
    _checks.one_of("how", how, ("layerwise", "explaining", "joint"))
    rounds = _checks.integer("rounds", rounds, 0)
    step = _step(step)
    _checks.one_of("start", start, ("layerwise", "random"))
    n = _samples(config, n)
    rng = _checks.generator(rng)
    x, y = sample(config, n, rng)
    Y = modes(x)
    truth = np.zeros(config.modes)
    truth[: config.d] = config.eigenvalues
    refit = _Refit(Y)
    first = refit(y)
    if start == "random" and how != "layerwise":
        first = rng.standard_normal(config.modes)
        first /= np.linalg.norm(first)
    if how == "joint":
        fits = _gauss_newton(Y, y, first, rounds)
    else:
        fits = _explain(refit, Y, y, first, rounds if how == "explaining" else 0, step)
    learnt, alpha = fits[-1]
    matrix = _matrix(learnt, config.d)
    order = np.argsort(np.argsort(config.eigenvalues))
    out = {
        "lower_error": np.sum((learnt - truth) ** 2),
        "alpha": np.asarray(alpha),
        "eigenvalues": np.linalg.eigvalsh(matrix)[order],
        "matrix": matrix,
        "path": np.array([np.sum((one - truth) ** 2) for one, _ in fits]),
    }
    if how == "explaining":
        out["contraction"] = np.asarray(_contraction(refit, Y @ truth, config.alpha, step))
    return out


def train(
    config: TwoLevels,
    n: int,
    rng: np.random.Generator,
    *,
    neurons: int | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> dict[str, np.ndarray]:
    """A network of quadratic neurons trained by Adam in three stages, the last one in three ways.

    The lower level is h = sum_j s_j ((w_j.x)^2 - ``|w_j|^2``) / sqrt(2), with fixed signs, half of
    them +1; the network is h + alpha_hat h^2 + constant. First the lower level learns alone, to
    fit y by h; then the upper level alone. Then, from the same place, both go on: the lower level
    on its ``own`` loss; with the gradient ``stopped`` at the upper level, which only takes its
    share out of the residual; and ``joint``, on the network's loss. Full batches, float64.

    Parameters
    ----------
    config : TwoLevels
    n : int
        Samples, the same in all stages.
    rng : numpy.random.Generator
    neurons : int, optional
        4 d, if not given.
    steps : int
        Of each stage.
    rate : float
        Of Adam, at the beginning of each stage; it falls to zero along half a cosine.

    Returns
    -------
    dict of ndarray
        ``lower``, ``upper``, ``own``, ``stopped``, ``joint``: lower errors, of shape
        (steps + 1,), through each stage. ``alpha``, of shape (3,), and ``eigenvalues``, of shape
        (3, d), at the ends of the three ways, in this order; ``layerwise``, of shape (d,), after
        the first stage.

    Examples
    --------
    >>> levels = TwoLevels(np.linspace(1, -0.4, 6), alpha=0.3)
    >>> found = train(levels, 500, np.random.default_rng(0))
    >>> bool(found["joint"][-1] < 0.01 < found["own"][-1])
    True
    """
    _levels(config)
    n, rng = _checks.positive_int("n", n), _checks.generator(rng)
    neurons = _checks.positive_int("neurons", 4 * config.d if neurons is None else neurons)
    steps = _checks.positive_int("steps", steps)
    rate = _checks.real("rate", rate, minimum=0, strict=True)
    x, y = sample(config, n, rng)
    network = _Network(modes(x), y, config, neurons, rng)
    out = {}
    out["lower"] = network.train("own", steps, rate)
    out["layerwise"] = network.eigenvalues()
    out["upper"] = network.train("upper", steps, rate)
    begin = network.state.copy()
    ends = []
    for way in ("own", "stopped", "joint"):
        network.state = begin.copy()
        out[way] = network.train(way, steps, rate)
        ends.append((network.state[-2], network.eigenvalues()))
    out["alpha"], out["eigenvalues"] = (np.array(part) for part in zip(*ends, strict=True))
    return out


def _levels(config):
    if not isinstance(config, TwoLevels):
        raise TypeError(f"config={config!r} must be a TwoLevels")


def _matrix(coefficients, d):
    """The symmetric matrix of coefficients on the modes."""
    M = np.zeros((d, d))
    M[np.triu_indices(d, 1)] = coefficients[d:] / _ROOT2
    return M + M.T + np.diag(coefficients[:d])


class _Refit:
    """Least squares on the modes and a constant; the coefficients on the modes."""

    def __init__(self, Y):
        self.mean = Y.mean(0)
        centred = Y - self.mean
        self.factor = linalg.cho_factor(centred.T @ centred)
        self.centred = centred

    def __call__(self, y):
        return linalg.cho_solve(self.factor, self.centred.T @ y)


def _contraction(refit, p, alpha, step):
    """Spectral radius of one more refit, linear around the truth, on these samples."""
    Y, square = refit.centred, p**2 - np.mean(p**2)
    pull = square @ (Y + 2 * alpha * p[:, None] * Y) / (square @ square)
    moved = 2 * alpha * Y.T @ (p[:, None] * Y) - np.outer(Y.T @ square, pull)
    slopes = linalg.eigvals(linalg.cho_solve(refit.factor, moved))
    return abs(1 - step - step * slopes).max()


def _slope(h, rest):
    """Least squares of `rest` on h^2 and a constant: alpha_hat."""
    square = h**2 - np.mean(h**2)
    return square @ rest / (square @ square)


def _explain(refit, Y, y, learnt, rounds, step):
    """Refit the lower level to what the upper one leaves, and the upper level, in turn."""
    fits = []
    for left in range(rounds, -1, -1):
        h = Y @ learnt
        alpha = _slope(h, y - h)
        fits.append((learnt, alpha))
        if left:
            learnt = learnt + step * (refit(y - alpha * h**2) - learnt)
    return fits


def _gauss_newton(Y, y, learnt, rounds):
    """Least squares of both levels: steps are damped until the loss falls."""
    h = Y @ learnt
    fits, damping = [(learnt, _slope(h, y - h))], 1e-3
    state = np.concatenate([learnt, [fits[0][1], np.mean(y - h - fits[0][1] * h**2)]])
    rest = _rest(state, Y, y)
    for _ in range(rounds):
        h, alpha = Y @ state[:-2], state[-2]
        J = np.column_stack([(1 + 2 * alpha * h)[:, None] * Y, h**2, np.ones(len(y))])
        F, pull = J.T @ J, J.T @ rest
        sizes, loss = np.sqrt(np.diag(F)), rest @ rest
        for _ in range(30):
            damped = F / np.outer(sizes, sizes) + damping * np.eye(len(F))
            move = linalg.solve(damped, pull / sizes, assume_a="pos") / sizes
            new = _rest(state + move, Y, y)
            if new @ new <= loss:
                break
            damping *= 4
        else:
            break
        state, rest, damping = state + move, new, max(damping / 10, 1e-10)
        fits.append((state[:-2], state[-2]))
        if move @ move <= 1e-24 * (state @ state):
            break
    else:
        _checks.warn_convergence(f"Gauss-Newton has not converged after {rounds} rounds", 4)
    return fits


def _rest(state, Y, y):
    h = Y @ state[:-2]
    return y - h - state[-2] * h**2 - state[-1]


class _Network:
    """Quadratic neurons and the upper level; `state` holds W, then alpha_hat and the constant."""

    def __init__(self, Y, y, config, neurons, rng):
        self.Y, self.y, d = Y, y, config.d
        self.truth = np.diag(config.eigenvalues)
        self.signs = np.where(np.arange(neurons) % 2, -1.0, 1.0)
        W = rng.standard_normal((neurons, d)) * (0.1 / math.sqrt(d))
        self.state = np.concatenate([W.ravel(), [0.0, 0.0]])
        self.upper = np.triu_indices(d, 1)

    def matrix(self):
        W = self.state[:-2].reshape(len(self.signs), -1)
        return (W.T * self.signs) @ W

    def eigenvalues(self):
        order = np.argsort(np.argsort(np.diag(self.truth)))
        return np.linalg.eigvalsh(self.matrix())[order]

    def gradient(self, way):
        """Of half the mean squared loss, where the gradient is let through."""
        M, (alpha, constant) = self.matrix(), self.state[-2:]
        h = self.Y @ np.concatenate([np.diag(M), _ROOT2 * M[self.upper]])
        rest = h - self.y
        if way != "own":
            rest = rest + alpha * h**2 + constant
        out = np.zeros_like(self.state)
        if way != "own":
            out[-2:] = [rest @ h**2 / len(h), rest.mean()]
        if way != "upper":
            slope = 1 + 2 * alpha * h if way == "joint" else 1.0
            pull = self.Y.T @ (rest * slope) / len(h)
            W = self.state[:-2].reshape(len(self.signs), -1)
            turned = 2 * self.signs[:, None] * (W @ _matrix(pull, len(M)))
            out[:-2] = turned.ravel()
        return out

    def train(self, way, steps, rate):
        """Adam; the lower error before each step and after the last."""
        first, second = np.zeros((2, len(self.state)))
        errors = [np.sum((self.matrix() - self.truth) ** 2)]
        for t in range(1, steps + 1):
            g = self.gradient(way)
            first += 0.1 * (g - first)
            second += 0.001 * (g * g - second)
            size = rate * 0.5 * (1 + math.cos(math.pi * (t - 1) / steps))
            up = np.sqrt(second / (1 - 0.999**t)) + 1e-8
            self.state = self.state - size * first / (1 - 0.9**t) / up
            errors.append(np.sum((self.matrix() - self.truth) ** 2))
        return np.array(errors)
