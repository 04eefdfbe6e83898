"""One gradient step on clusters: what `twolayer.theory.mixtures` predicts, measured in networks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations, hermite
from twolayer.activations import Activation
from twolayer.data import as_link, sphere
from twolayer.gradients import descent_direction
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout

__all__ = ["LowRank", "draw", "polynomial", "rivals", "run"]


def draw(mixture: Any, d: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of clusters along theta, the first axis, and their labels.

    Parameters
    ----------
    mixture : twolayer.theory.mixtures.Mixture
        Its ``means``, ``weights``, ``labels`` and ``stds``.
    d, n : int
        Input dimension and samples.
    rng : numpy.random.Generator

    Returns
    -------
    x : ndarray, shape (n, d)
    y : ndarray, shape (n,)
    """
    d, n = _checks.positive_int("d", d), _checks.positive_int("n", n)
    means, weights, stds, labels = _clusters(mixture)
    cluster = _checks.generator(rng).choice(len(means), n, p=weights)
    x = rng.standard_normal((n, d))
    x[:, 0] = means[cluster] + stds[cluster] * x[:, 0]
    y = np.zeros(n)
    for c, label in enumerate(labels):
        y[cluster == c] = label(x[cluster == c, 0])
    return x, y


@dataclasses.dataclass(frozen=True)
class LowRank:
    """Two clusters of mean zero, one of them wider in a few directions; labels of the first axis.

    Parameters
    ----------
    d : int
        Input dimension.
    label : callable
        Of the input's first coordinate.
    count : int
        Directions, the first axis among them, in which half of the inputs are wider.
    std : float
        Their standard deviation there.
    scaled : bool
        Whether inputs are divided by the root of their cluster's trace over d.

    Examples
    --------
    >>> x, y = LowRank(3, np.sign, 2, 3.0).sample(1000, np.random.default_rng(0))
    >>> (x**2).mean(0).round(0)
    array([5., 5., 1.])
    """

    d: int
    label: Callable
    count: int
    std: float
    scaled: bool = False

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and labels."""
        x, wide = rng.standard_normal((n, self.d)), rng.random(n) < 0.5
        x[wide, : self.count] *= self.std
        y = self.label(x[:, 0])
        if self.scaled:
            excess = (self.std**2 - 1) * self.count / self.d
            x /= np.sqrt(1 + excess * wide)[:, None]
        return x, y


def polynomial(activation: str | Activation, degree: int) -> Activation:
    """The Hermite expansion of an activation under N(0, 1), cut after `degree`.

    Parameters
    ----------
    activation : str or Activation
    degree : int
        >= 1.

    Examples
    --------
    >>> cubic = polynomial("tanh", 3)
    >>> cubic(np.array([1.0, 3.0, 5.0])).round(2)  # far out it leaves tanh
    array([ 0.73,  0.73, -3.64])
    """
    degree, activation = _checks.positive_int("degree", degree), activations.get(activation)
    series = as_link(hermite.coefficients(activation, degree))
    slopes = hermite.coefficients(activation, degree)[1:] * np.sqrt(np.arange(1.0, degree + 1))
    parity = activation.parity if activation.parity in (-1, 1) else 0
    return Activation(f"{activation.name}, degree {degree}", series, as_link(slopes), parity)


def run(
    step: Any,
    mixture: Any,
    alpha: ArrayLike,
    ridge: ArrayLike,
    rng: np.random.Generator,
    *,
    degree: int | None = None,
    refilled: bool = False,
    shuffled: bool = False,
    projection: ArrayLike | None = None,
    n_test: int = 4000,
) -> dict[str, np.ndarray | float]:
    """One network: a gradient step on clusters, ridge readouts on fresh ones, their test errors.

    Rows of W0 are uniform on the unit sphere. The step size is that of `step`'s r,
    ``eta = r sqrt(m) / (mu1 |g|)`` with ``|g|^2 = theta1^2 + E[y^2] / alpha0`` of the clusters.

    Parameters
    ----------
    step : twolayer.theory.higher_spikes.Step
        Its `activation`, `alpha0`, `r`, `width_ratio`, `readout`, `noise` and `d`; not its link.
    mixture : twolayer.theory.mixtures.Mixture, or any object with ``sample(n, rng)``
        Of inputs in `step.d` dimensions; of such an object ``|g|`` is measured on the step's batch.
    alpha, ridge : array_like
        n/d and the ridge of `twolayer.ridge.fit_readout`, broadcast. All alphas use the first rows
        of one sample.
    rng : numpy.random.Generator
    degree : int, optional
        After the step the activation is replaced by `polynomial` of this degree.
    refilled : bool
        Whether what was cut off comes back as independent noise of the same variance.
    shuffled : bool
        Whether the step's labels are shuffled; its size stays the same.
    projection : array_like, shape (p,), optional
        Values of k = v.x at which the learnt function is evaluated.
    n_test : int
        Test samples.

    Returns
    -------
    dict
        ``error``, the squared test error with the labels' noise, and ``misclassified``, the share
        of test samples on which the sign is wrong, of the shape of `alpha` and `ridge`; ``cosine``
        of g with the first axis. With `projection`, ``learnt``: one more axis, the mean of f(x)
        over inputs with that v.x (of an object with ``sample``: over those of which all other
        coordinates are standard Gaussian).

    Examples
    --------
    >>> from types import SimpleNamespace as Bag
    >>> step = Bag(activation="tanh", alpha0=8.0, r=0.5, width_ratio=1.0, readout="gaussian",
    ...            noise=0.0, d=100)
    >>> pair = Bag(means=(-1.5, 1.5), weights=(0.5, 0.5), stds=1.0, labels=(-1.0, 1.0))
    >>> found = run(step, pair, 8.0, 0.1, np.random.default_rng(0))
    >>> bool(found["misclassified"] < 0.12)  # Phi(-1.5) is .067
    True
    """
    alpha, ridge, projection = _arguments(alpha, ridge, projection)
    rng, d = _checks.generator(rng), _checks.positive_int("step.d", step.d)
    n0 = max(1, round(step.alpha0 * d))
    x, y = _sample(mixture, step, n0, rng)
    network = _network(step, rng)
    pull = x.T @ y / n0
    size = _size(mixture, step, pull) * network.m**0.5
    if shuffled:
        y = rng.permutation(y)
        pull = x.T @ y / n0
    if step.r:
        network = network.with_weights(network.W + size * descent_direction(network, x, y))
    lost = 0.0
    if degree is not None:
        cut, whole = polynomial(network.activation, degree), network.activation
        lost = hermite.expectation(lambda z: whole(z) ** 2 - cut(z) ** 2, whole.kinks)
        network = TwoLayer(network.W, network.a, cut)
    v = pull / np.linalg.norm(pull)

    n = np.maximum(1, np.round(alpha * d).astype(int))
    x, y = _sample(mixture, step, int(n.max()), rng)
    x_test, y_test = _sample(mixture, step, n_test, rng)
    features, test = network.features(x), network.features(x_test)
    if refilled:
        for part in (features, test):
            part += math.sqrt(lost / network.m) * rng.standard_normal(part.shape)
    out = {key: np.empty(n.shape) for key in ("error", "misclassified")} | {"cosine": v[0]}
    if projection is not None:
        means = _along(network, mixture, v, projection, rng)
        out["learnt"] = np.empty((*n.shape, len(projection)))
    for count in np.unique(n):
        at = n == count
        ridges = ridge[at] if at.sum() > 1 else float(ridge[at][0])
        readouts = np.atleast_2d(fit_readout(features[:count], y[:count], ridges))
        f = test @ readouts.T
        out["error"][at] = ((y_test[:, None] - f) ** 2).mean(0)
        out["misclassified"][at] = (f * y_test[:, None] <= 0).mean(0)
        if projection is not None:
            out["learnt"][at] = readouts @ means.T
    return out


def _arguments(alpha, ridge, projection):
    alpha = _checks.real_array("alpha", alpha, minimum=0, strict=True)
    ridge = _checks.real_array("ridge", ridge, minimum=0, strict=True)
    if projection is not None:
        projection = _checks.real_array("projection", projection, 1)
    return *np.broadcast_arrays(alpha, ridge), projection


def _clusters(mixture):
    """Means, weights, stds and labels as functions of theta.x, one of each a cluster."""
    means = np.atleast_1d(np.asarray(mixture.means, dtype=float))
    weights = np.broadcast_to(np.asarray(mixture.weights, dtype=float), means.shape)
    stds = np.broadcast_to(np.asarray(getattr(mixture, "stds", 1.0), dtype=float), means.shape)
    labels = [_link(label) for label in mixture.labels]
    return means, weights / weights.sum(), stds, labels


def _link(label):
    return as_link((float(label),)) if isinstance(label, int | float) else as_link(label)


def _sample(mixture, step, n, rng):
    """Inputs and labels, with the step's label noise."""
    if hasattr(mixture, "sample"):
        x, y = mixture.sample(n, rng)
    else:
        x, y = draw(mixture, step.d, n, rng)
    return x, y + step.noise * rng.standard_normal(n) if step.noise else y


def _size(mixture, step, pull):
    """The step size over sqrt(m)."""
    activation = activations.get(step.activation)
    slope = hermite.expectation(activation.derivative_at, activation.kinks)
    if hasattr(mixture, "sample"):
        return step.r / (slope * np.linalg.norm(pull))
    first = second = 0.0
    for mean, weight, std, label in zip(*_clusters(mixture), strict=True):
        z, w = hermite.nodes([(t - mean) / std for t in getattr(label, "kinks", ())])
        y = label(mean + std * z)
        first = first + weight * (w @ (y * (mean + std * z)))
        second = second + weight * (w @ y**2)
    return step.r / (slope * math.sqrt(first**2 + (second + step.noise**2) / step.alpha0))


def _network(step, rng):
    """Unit rows, and readouts a_j = g_j / sqrt(m)."""
    d, m = step.d, max(1, round(step.width_ratio * step.d))
    if step.readout == "gaussian":
        sizes = rng.standard_normal(m)
    elif step.readout == "equal":
        sizes = rng.choice([-1.0, 1.0], m)
    else:
        nodes, weights = hermite.nodes((), 2 * step.readout)
        sizes = rng.choice(nodes, m, p=weights / weights.sum())
    return TwoLayer(sphere((m, d), rng), sizes / math.sqrt(m), step.activation)


def _along(network, mixture, v, projection, rng, count=1000):
    """Mean features of inputs that are moved along v to the same projection, one row each."""
    x = rng.standard_normal((count, network.d))
    along, across, shift = network.W @ v, 0.0, 0.0 * projection
    if not hasattr(mixture, "sample"):  # clusters show in one more coordinate
        sine = math.sqrt(1 - v[0] ** 2)
        across = (network.W[:, 0] - v[0] * along) / sine
        shift = _across(mixture, v[0], sine, projection)
    base = network.preactivations(x) - np.outer(x @ v, along)
    pairs = zip(projection, shift, strict=True)
    means = [network.activation(base + p * along + q * across).mean(0) for p, q in pairs]
    return np.stack(means) / math.sqrt(network.m)


def _across(mixture, cosine, sine, k):
    """Mean of zeta, the coordinate along what v misses of theta, at each k = v.x."""
    means, weights, stds, _ = _clusters(mixture)
    spread = sine**2 + (cosine * stds) ** 2
    gap = k[:, None] - cosine * means
    score = np.log(weights) - np.log(spread) / 2 - gap**2 / (2 * spread)
    posterior = np.exp(score - score.max(1, keepdims=True))
    posterior /= posterior.sum(1, keepdims=True)
    return (posterior * (sine * means + cosine * sine * (stds**2 - 1) / spread * gap)).sum(1)


# --- others, on the same inputs


def rivals(
    fit: tuple[np.ndarray, np.ndarray],
    tune: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
) -> dict[str, float]:
    """Square error and share of mistakes of other methods, tuned on samples of their own.

    Logistic regression and linear discriminant analysis; ridge regression with an RBF kernel, on
    the inputs and on their two leading principal components.

    Parameters
    ----------
    fit, tune, test : pair of ndarray
        Inputs, shape (n, d), and labels, each -1 or 1.

    Returns
    -------
    dict of float
        Keys "name, square error" and "name, mistakes"; linear classifiers have the second alone.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression

    tried = [LogisticRegression(C=10.0**power).fit(*fit) for power in (-4, -3, -2, 0)]
    signs = {
        "logistic": max(tried, key=lambda one: one.score(*tune)),
        "LDA": LinearDiscriminantAnalysis().fit(*fit),
    }
    found = {f"{name}, mistakes": 1 - one.score(*test) for name, one in signs.items()}
    top = np.linalg.eigh(fit[0].T @ fit[0])[1][:, -2:]
    planes = [(x @ top, y) for x, y in (fit, tune, test)]
    d = fit[0].shape[1]
    outputs = {
        "kernel": _kernel_fit(fit, tune, test, (0.5 * d, 4.0 * d, 32.0 * d)),
        "PCA + kernel": _kernel_fit(*planes, (0.5, 4.0)),
    }
    for name, f in outputs.items():
        found[f"{name}, square error"] = np.mean((test[1] - f) ** 2)
        found[f"{name}, mistakes"] = np.mean(test[1] * f <= 0)
    return found


def _kernel_fit(fit, tune, test, widths: Iterable[float]):
    """Outputs of the kernel exp(-|x - x'|^2 / (2 width)) with the best width and ridge."""
    tried = []
    for width in widths:
        values, vectors = np.linalg.eigh(_rbf(fit[0], fit[0], width))
        inner = vectors.T @ fit[1]
        near, far = (_rbf(x, fit[0], width) @ vectors for x, _ in (tune, test))
        for ridge in np.geomspace(1e-3, 10, 9):
            dual = inner / (values + ridge)
            tried.append((np.mean((tune[1] - near @ dual) ** 2), far @ dual))
    return min(tried, key=lambda one: one[0])[1]


def _rbf(x, others, width):
    squares = (x**2).sum(1)[:, None] + (others**2).sum(1) - 2 * x @ others.T
    return np.exp(-squares / (2 * width))
