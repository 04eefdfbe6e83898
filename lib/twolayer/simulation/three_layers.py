"""One gradient step on the middle layer of three, measured, and networks trained by Adam."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

from twolayer import _checks, activations
from twolayer.activations import Activation
from twolayer.data import sphere
from twolayer.gradients import remove_linear_part
from twolayer.hermite import nodes
from twolayer.measures import squared_overlap
from twolayer.ridge import ridge_path
from twolayer.theory.spectra import cosine_rule
from twolayer.theory.three_layers import QuadraticFeature, polynomials

__all__ = [
    "gates",
    "learn_feature",
    "run",
    "sample",
    "train",
    "two_features",
]

_ROWS = 4096  # of inputs at a time: features of a wide layer take memory
_BENDS = 24  # of the readout


def sample(
    config: QuadraticFeature, n: int, rng: np.random.Generator, *, inputs: str = "sphere"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (n, d), labels (n,) and the feature's values p (n,).

    Parameters
    ----------
    config : QuadraticFeature
    n : int
    rng : numpy.random.Generator
    inputs : {"sphere", "gaussian"}
        ``"gaussian"``: x ~ N(0, I), p = x'Ax / sqrt(2) and the same polynomials.

    Examples
    --------
    >>> x, y, p = sample(QuadraticFeature(16), 5, np.random.default_rng(0))
    >>> x.shape, (x**2).sum(1).round(9).tolist()
    ((5, 16), [16.0, 16.0, 16.0, 16.0, 16.0])
    """
    _check_config(config)
    n, rng = _checks.positive_int("n", n), _checks.generator(rng)
    _checks.one_of("inputs", inputs, ("sphere", "gaussian"))
    if inputs == "sphere":
        x = math.sqrt(config.d) * sphere((n, config.d), rng)
        p = config.feature(x)
    else:
        x = rng.standard_normal((n, config.d))
        p = x**2 @ config.eigenvalues / math.sqrt(2)
    noise = config.noise * rng.standard_normal(n) if config.noise else 0.0
    return x, config.target(p) + noise, p


def _check_config(config):
    if not isinstance(config, QuadraticFeature):
        raise TypeError(f"config={config!r} must be a QuadraticFeature")


def learn_feature(
    config: QuadraticFeature,
    n: int,
    rng: np.random.Generator,
    width: int | None = None,
    activation: str | Activation = "he2",
    *,
    inputs: str = "sphere",
    radial: bool = True,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """One step on the middle layer: what all its neurons then compute, on fresh inputs.

    Parameters
    ----------
    config : QuadraticFeature
    n : int
        Samples of the step, > d + 1.
    rng : numpy.random.Generator
    width : int, optional
        Neurons of the first layer; infinitely many, quadratic ones without it.
    activation : str or Activation
        Of the first layer.
    inputs : {"sphere", "gaussian"}
    radial : bool
        Whether the feature keeps its part along ``|x|^2``, which is none on the sphere.
    n_test : int
        Fresh inputs.

    Returns
    -------
    dict of ndarray
        ``squared_correlation`` with p, exact for quadratic neurons, else on the fresh inputs; on
        these ``p``, ``y``, the target, and ``learnt``: the feature without constant and linear
        parts, of mean square one and positive correlation with p.

    Examples
    --------
    >>> found = learn_feature(QuadraticFeature(16), 16 * 135, np.random.default_rng(0))
    >>> round(float(found["squared_correlation"]), 1)  # theory 0.89
    0.9
    """
    _check_config(config)
    n_test = _checks.integer("n_test", n_test, config.d + 2)
    layer, *_ = _step(config, n, rng, width, activation, inputs, radial)
    x, _, p = sample(config, n_test, rng, inputs=inputs)
    found = {"squared_correlation": layer.squared_correlation(config, inputs, x, p)}
    learnt = layer(x)
    learnt *= np.sign(learnt @ p) / math.sqrt(np.mean(learnt**2))
    return found | {"p": p, "learnt": learnt, "y": config.target(p)}


class _Feature:
    """hat p(x): x'Mx - tr M, or a sum over neurons, each without constant and linear parts."""

    def __init__(self, x, y, W, neuron, radial=True):
        n, d = x.shape
        self.W, self.neuron, self.n = W, neuron, n
        if W is None:  # E (w.x)^2 w'Mw over unit w is (2 x'Mx + |x|^2 tr M) / (d (d + 2))
            M = (x * y[:, None]).T @ x / n  # eq-tl-step
            M = 2 * M + np.trace(M) * np.eye(d)
        else:
            self.heights = sum(a.T @ b for a, b in zip(self.neurons(x), _parts(y), strict=True))
            self.heights /= n * len(W)
            M = (W.T * self.heights) @ W
        self.matrix = M if radial else M - np.trace(M) / d * np.eye(d)
        self.quadratic = W is None or neuron.name == "he2"

    def neurons(self, x):
        return (self.neuron(part @ self.W.T) for part in _parts(x))

    def __call__(self, x):
        if self.quadratic:
            return ((x @ self.matrix) * x).sum(1) - np.trace(self.matrix)
        return np.concatenate([part @ self.heights for part in self.neurons(x)])

    def without_own(self, x, y):
        """At the step's samples x, each without what its own label y pulled: leave-one-out."""
        if self.W is None:
            square = (x**2).sum(1)
            own = 3 * square**2 - (2 + x.shape[1]) * square
        else:
            own = np.concatenate([(part**2).mean(1) for part in self.neurons(x)])
        return self(x) - y * own / self.n

    def squared_correlation(self, config, inputs, x, p):
        """With p: exact for quadratic neurons on the sphere or without ``|x|^2``, else on x."""
        if not self.quadratic:
            learnt = self(x)
            return np.asarray(squared_overlap(learnt - learnt.mean(), p - p.mean()))
        M = self.matrix
        if inputs == "sphere":
            M = M - np.trace(M) / len(M) * np.eye(len(M))
        return (np.diag(M) @ config.eigenvalues) ** 2 / np.sum(M**2)


def _parts(x):
    return (x[i : i + _ROWS] for i in range(0, len(x), _ROWS))


class _Neuron:
    """An activation without its constant and linear parts, under the law of w.x at unit w."""

    def __init__(self, activation, d, inputs):
        self.sigma = activations.get(activation)
        self.name = self.sigma.name
        if inputs == "sphere":
            z, w = cosine_rule(d, 2000 if self.sigma.kinks else 200)
            z = math.sqrt(d) * z
        else:
            z, w = nodes(self.sigma.kinks)
        self.constant, self.slope = w @ self.sigma(z), w @ (self.sigma(z) * z)

    def __call__(self, z):
        return self.sigma(z) - self.constant - self.slope * z


def _step(config, n, rng, width, activation, inputs="sphere", radial=True):
    """The step: the learnt feature, and the samples with labels without their linear part."""
    n, d = _checks.integer("n", n, config.d + 2), config.d
    neuron = _Neuron(activation, d, inputs)
    W = None if width is None else sphere((_checks.positive_int("width", width), d), rng)
    x, y, _ = sample(config, n, rng, inputs=inputs)
    residual = remove_linear_part(x, y)[0]
    return _Feature(x, residual, W, neuron, radial), x, y, residual


class _Readout:
    """A ridge readout of ReLUs that bend at quantiles of the features, beside a linear part.

    Features beyond those seen count as the last ones: ReLUs extrapolate badly.
    """

    def __init__(self, features, y):
        features = np.atleast_2d(features.T)
        self.bends = np.quantile(features, np.linspace(0, 1, _BENDS + 2), axis=1).T
        path = ridge_path(self.expand(features), y, intercept=True)
        self.a, self.constant = path.chosen

    def expand(self, features):
        kept = np.clip(features, self.bends[:, :1], self.bends[:, -1:])
        bent = np.maximum(kept[:, :, None] - self.bends[:, None, :-1], 0)
        return bent.transpose(1, 0, 2).reshape(features.shape[1], -1)

    def __call__(self, features):
        return self.expand(np.atleast_2d(features.T)) @ self.a + self.constant


def run(
    config: QuadraticFeature,
    n: int,
    rng: np.random.Generator,
    width: int | None = None,
    activation: str | Activation = "he2",
    *,
    n_readout: int | None = 4000,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """One step on the middle layer and a ReLU readout of its feature: test error and correlation.

    Parameters
    ----------
    config, n, rng, width, activation
        As of `learn_feature`.
    n_readout : int, optional
        Fresh samples that fit the readout, its ridge by generalised cross-validation. With None
        the step's own samples fit it: at each of them the feature leaves out its own label.
    n_test : int
        Fresh samples that test it.

    Returns
    -------
    dict of ndarray
        ``error``, mean of (f - f*)^2; ``squared_correlation``; ``parts``, shape (k,): where the
        error is, c_k E[(f* - f) q_k]; of the best f their sum is the error.

    Examples
    --------
    >>> found = run(QuadraticFeature(16), 8 * 135, np.random.default_rng(0))
    >>> bool(0.2 < found["error"] < 0.5)  # theory 0.34
    True
    """
    _check_config(config)
    n_test = _checks.integer("n_test", n_test, config.d + 2)
    if n_readout is not None:
        _checks.integer("n_readout", n_readout, config.d + 2)
    layer, x, y, residual = _step(config, n, rng, width, activation)
    if n_readout is None:
        learnt = layer.without_own(x, residual)
    else:
        x, y, _ = sample(config, n_readout, rng)
        learnt = layer(x)
    readout = _Readout(learnt, y)
    x, _, p = sample(config, n_test, rng)
    c = np.array(config.coefficients)
    left = config.target(p) - readout(layer(x))
    return {
        "error": np.mean(left**2),
        "squared_correlation": layer.squared_correlation(config, "sphere", x, p),
        "parts": c * (polynomials(config.d, p, len(c))[1:] @ left) / n_test,
    }


def _harmonics(x):
    """Orthonormal quadratic harmonics (n, N): first squares, then products."""
    d = x.shape[1]
    i, j = np.triu_indices(d, 1)
    squares = math.sqrt((d + 2) / (2 * d)) * x**2 @ _contrasts(d)
    return np.concatenate([squares, math.sqrt((d + 2) / d) * x[:, i] * x[:, j]], axis=1)


def _contrasts(d):
    """Orthonormal directions of sum zero, shape (d, d - 1); Helmert's."""
    k, rows = np.arange(1, d), np.arange(d)[:, None]
    return np.where(rows < k, 1.0, np.where(rows == k, -k, 0.0)) / np.sqrt(k * (k + 1))


def gates(d: int, n: int, rng: np.random.Generator, *, neurons: int = 200) -> dict[str, np.ndarray]:
    """Target q_2(p): squared correlations with p of gated neurons, and of a layer's eigenvector.

    Neuron j learns the mean of y sign(v_j.Y) Y over the samples, v_j random; the layer the
    eigenvector of the largest eigenvalue of the mean of y Y Y'. Y are the quadratic harmonics.

    Parameters
    ----------
    d, n : int
        d even.
    rng : numpy.random.Generator
    neurons : int

    Returns
    -------
    dict of ndarray
        ``neurons``, shape (neurons,), and ``layer``.

    Examples
    --------
    >>> found = gates(8, 40 * 35, np.random.default_rng(0), neurons=10)
    >>> found["neurons"].shape, bool(found["layer"] > 0.8)
    ((10,), True)
    """
    config = QuadraticFeature(d, (0.0, 1.0))
    n, neurons = _checks.integer("n", n, d + 2), _checks.positive_int("neurons", neurons)
    x, y, _ = sample(config, n, rng)
    y = remove_linear_part(x, y)[0]
    v = rng.standard_normal((config.N, neurons))
    pulls, matrix = np.zeros((neurons, config.N)), np.zeros((config.N, config.N))
    for part, label in zip(_parts(x), _parts(y), strict=True):
        Y = _harmonics(part)
        pulled = label[:, None] * Y
        pulls += np.sign(Y @ v).T @ pulled
        matrix += Y.T @ pulled
    b = np.zeros(config.N)
    b[: d - 1] = config.eigenvalues @ _contrasts(d)
    alone = (pulls @ b) ** 2 / (pulls**2).sum(1)
    return {"neurons": alone, "layer": np.asarray((_top(matrix) @ b) ** 2)}


def _top(matrix):
    last = len(matrix) - 1
    return eigh(matrix, subset_by_index=[last, last])[1][:, 0]


def two_features(
    d: int,
    n: int,
    rng: np.random.Generator,
    *,
    n_readout: int = 4000,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """Two features in one target: the error of one step's feature, and with one feature more.

    The target of `two_features_floor`. The second feature is the leading eigenvector of the mean of
    r Y Y' across the first, with r what a readout of the first leaves of the labels. The readout is
    a sum of functions of one feature each.

    Parameters
    ----------
    d, n : int
        d divisible by 4.
    rng : numpy.random.Generator
    n_readout, n_test : int
        As of `run`.

    Returns
    -------
    dict of ndarray
        ``one`` and ``two``: mean of (f - f*)^2.

    Examples
    --------
    >>> found = two_features(8, 100 * 35, np.random.default_rng(0))
    >>> bool(found["two"] < 0.5 * found["one"])
    True
    """
    if _checks.integer("d", d, 4) % 4:
        raise ValueError(f"d={d} must be divisible by 4: A_1, A_2 are +-1 on quarters")
    n, rng = _checks.integer("n", n, d + 2), _checks.generator(rng)
    x, y = _two(d, n, rng)
    y = remove_linear_part(x, y)[0]
    N = (d + 2) * (d - 1) // 2
    first = sum(b @ _harmonics(a) for a, b in zip(_parts(x), _parts(y), strict=True))
    first /= np.linalg.norm(first)
    seen = np.concatenate([_harmonics(part) @ first for part in _parts(x)])
    y = y - _Readout(seen, y)(seen)
    matrix = np.zeros((N, N))
    for part, label in zip(_parts(x), _parts(y), strict=True):
        Y = _harmonics(part)
        Y -= np.outer(Y @ first, first)
        matrix += Y.T @ (label[:, None] * Y)
    ways = np.stack([first, _top(matrix)], axis=1)
    (x, y), (x_test, y_test) = _two(d, n_readout, rng), _two(d, n_test, rng)
    learnt, seen = _harmonics(x) @ ways, _harmonics(x_test) @ ways
    fits = {"one": slice(0, 1), "two": slice(0, 2)}
    return {
        name: np.mean((_Readout(learnt[:, kept], y)(seen[:, kept]) - y_test) ** 2)
        for name, kept in fits.items()
    }


def _two(d, n, rng):
    x = math.sqrt(d) * sphere((n, d), rng)
    quarter = np.arange(d) * 4 // d
    signs = np.stack([np.where(quarter < 2, 1, -1), np.where(quarter % 2, -1, 1)], axis=1)
    p = math.sqrt((d + 2) / 2) / d * (x**2 @ signs)
    _, q1, q2 = polynomials(d, p, 2)
    return x, (q1 + q2).sum(1) / 2


def train(
    config: QuadraticFeature,
    n: int,
    rng: np.random.Generator,
    layers: int = 3,
    *,
    width: int = 128,
    rates: Sequence[float] = (3e-3, 1e-2),
    decays: Sequence[float] = (0.1, 0.3, 1.0),
    steps: int = 4000,
    batch: int = 128,
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """A ReLU network of three layers or of two, all of it trained by Adam on n samples.

    A fifth of the samples is kept for validation: learning rate, weight decay (decoupled) and
    checkpoint (of fifty) are those of the least squared error on it. Adam with betas .9, .999.

    Parameters
    ----------
    config : QuadraticFeature
    n : int
        Samples, with those for validation.
    rng : numpy.random.Generator
    layers : {3, 2}
    width : int
        Neurons of each hidden layer, with biases.
    rates, decays : sequence of float
        What is tried: learning rates > 0, and decays >= 0.
    steps, batch : int
        Steps of each try; samples of each.
    n_test : int

    Returns
    -------
    dict of ndarray
        ``error``, mean of (f - f*)^2 on fresh samples; ``rate``, ``decay`` and ``step`` that were
        chosen; ``validation``, the least errors there, shape (rates, decays).

    Examples
    --------
    >>> config, rng = QuadraticFeature(4), np.random.default_rng(0)
    >>> found = train(config, 500, rng, width=16, rates=[0.01], decays=[0.0], steps=200)
    >>> found["validation"].shape, bool(found["error"] < 1)
    ((1, 1), True)
    """
    _check_config(config)
    n, steps = _checks.integer("n", n, 10), _checks.positive_int("steps", steps)
    _checks.one_of("layers", layers, (2, 3))
    rates = _checks.real_array("rates", rates, 1, minimum=0, strict=True)
    decays = _checks.real_array("decays", decays, 1, minimum=0)
    width, batch = _checks.positive_int("width", width), _checks.positive_int("batch", batch)
    x, y, _ = sample(config, n, rng)
    x_test, _, p = sample(config, _checks.positive_int("n_test", n_test), rng)
    sizes, tries = [config.d] + [width] * (layers - 1), []
    starts = rng.spawn(len(rates) * len(decays))
    for i, rate in enumerate(rates):
        for j, decay in enumerate(decays):
            start = starts[i * len(decays) + j]
            tries.append(_adam(x, y, sizes, rate, decay, steps, batch, start))
    best = min(tries, key=lambda one: one[0])
    fit = _forward(best[2], x_test)
    which = tries.index(best)
    return {
        "error": np.mean((fit - config.target(p)) ** 2),
        "rate": rates[which // len(decays)],
        "decay": decays[which % len(decays)],
        "step": np.asarray(best[1]),
        "validation": np.reshape([one[0] for one in tries], (len(rates), len(decays))),
    }


def _adam(x, y, sizes, rate, decay, steps, batch, rng):
    """Least validation error, its step and its weights."""
    weights = _initial(sizes, rng)
    first, second = ([np.zeros_like(v) for v in weights] for _ in range(2))
    held = max(1, len(x) // 5)
    train_x, train_y = x[held:], y[held:]
    best = (math.inf, 0, weights)
    for step in range(1, steps + 1):
        rows = rng.integers(0, len(train_x), batch)
        slopes = _gradient(weights, train_x[rows], train_y[rows])
        pace = rate * min(1.0, 2 * (1 - step / (steps + 1)))  # constant, then to zero
        pace_now = pace * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        for k, g in enumerate(slopes):
            first[k] += 0.1 * (g - first[k])
            second[k] += 0.001 * (g * g - second[k])
            moved = weights[k] - pace_now * first[k] / (np.sqrt(second[k]) + 1e-8)
            weights[k] = moved - pace * decay * weights[k]
        if step % max(1, steps // 50) == 0:
            error = np.mean((_forward(weights, x[:held]) - y[:held]) ** 2)
            if error < best[0]:
                best = (error, step, [v.copy() for v in weights])
    return best


def _initial(sizes, rng):
    """Weights and biases of the hidden layers (He's scale), then the readout and its bias."""
    weights = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        weights += [rng.standard_normal((fan_in, fan_out)) * math.sqrt(2 / fan_in)]
        weights += [np.zeros(fan_out)]
    return [*weights, rng.standard_normal((sizes[-1], 1)) / math.sqrt(sizes[-1]), np.zeros(1)]


def _activities(weights, x):
    """The input, hidden layers one after the other, the output."""
    out = [x]
    for k in range(0, len(weights) - 2, 2):
        out.append(np.maximum(out[-1] @ weights[k] + weights[k + 1], 0))
    return [*out, (out[-1] @ weights[-2] + weights[-1])[:, 0]]


def _forward(weights, x):
    return _activities(weights, x)[-1]


def _gradient(weights, x, y):
    """Of half the mean squared error, in the order of the weights."""
    *layers, fit = _activities(weights, x)
    back, slopes = ((fit - y) / len(y))[:, None], []
    for k in range(len(layers) - 1, -1, -1):
        slopes = [layers[k].T @ back, back.sum(0), *slopes]
        back = (back @ weights[2 * k].T) * (layers[k] > 0)
    return slopes
