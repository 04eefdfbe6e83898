"""Networks on two classes: trained on several samples at once, or frozen after one step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import GaussianMixture, Parity
from twolayer.descent import descend, mean_field_rates, sgd
from twolayer.gradients import simplified_gradient
from twolayer.measures import accuracy
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout

__all__ = ["Runs", "frozen", "kernel_accuracy", "start", "stopped", "train"]

Samples = tuple[np.ndarray, np.ndarray]


def start(m: int, d: int, rng: np.random.Generator, bias_std: float = 0.0) -> TwoLayer:
    """ReLU neurons in pairs of opposite readout, so that f = 0, with biases N(0, bias_std^2).

    Parameters
    ----------
    m, d : int
        Width, even, and input dimension.
    rng : numpy.random.Generator
    bias_std : float

    Examples
    --------
    >>> start(4, 3, np.random.default_rng(0), bias_std=1.0)(np.ones((1, 3)))
    array([0.], dtype=float32)
    """
    bias_std = _checks.real("bias_std", bias_std, minimum=0)
    network = TwoLayer.symmetric(m, d, "relu", rng, dtype="float32")
    b = np.tile(bias_std * rng.standard_normal(m // 2), 2)
    return TwoLayer(network.W, network.a, "relu", b)


def frozen(
    network: TwoLayer,
    x: ArrayLike,
    y: ArrayLike,
    rng: np.random.Generator,
    *,
    labels: ArrayLike | None = None,
) -> TwoLayer:
    """The first step, frozen: unit rows along it, new biases N(0, 1), a ridge readout by GCV.

    Parameters
    ----------
    network : TwoLayer
        The start.
    x : array_like, shape (n, d)
    y : array_like, shape (n,)
        Labels of the readout, and of the step.
    rng : numpy.random.Generator
    labels : array_like, shape (n,), optional
        Labels of the step, where they are others: shuffled ones, for a control.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = GaussianMixture.ring(10, 4, 4.0).sample(500, rng)
    >>> once = frozen(start(64, 10, rng), x, y, rng)
    >>> bool(accuracy(once(x), y) > 0.95)
    True
    """
    step = simplified_gradient(network, x, y if labels is None else labels)
    W = step * np.asarray(network.a, dtype=float)[:, None]
    W = W / np.linalg.norm(W, axis=1, keepdims=True).clip(min=1e-12)
    layer = TwoLayer(W, np.zeros(len(W)), "relu", rng.standard_normal(len(W)))
    return layer.with_readout(fit_readout(layer.features(x), y, "gcv"))


@dataclasses.dataclass(frozen=True, eq=False)
class Runs:
    """Networks of several seeds, before and after training, with the data of each.

    Attributes
    ----------
    before, after : TwoLayer
        Stacks, a network a seed.
    x : ndarray, shape (seeds, n, d)
    y : ndarray, shape (seeds, n)
    tests : list of (x, y)
    """

    before: TwoLayer
    after: TwoLayer
    x: np.ndarray
    y: np.ndarray
    tests: list[Samples]

    def score(self, networks: Sequence[TwoLayer] | TwoLayer) -> list[float]:
        """Test accuracy of a network a seed."""
        pairs = zip(networks, self.tests, strict=True)
        return [float(accuracy(network(x), y)) for network, (x, y) in pairs]

    def frozen(self, rng: np.random.Generator, *, shuffled: bool = False) -> list[TwoLayer]:
        """`frozen` for each seed; the step may see shuffled labels."""
        out = []
        for network, x, y, own in zip(
            self.before, self.x, self.y, rng.spawn(len(self.x)), strict=True
        ):
            labels = own.spawn(1)[0].permutation(y) if shuffled else None
            out.append(frozen(network, x, y, own, labels=labels))
        return out

    @property
    def pulls(self) -> list[np.ndarray]:
        """The first steps, shape (m, d) each, with the signs of the readouts."""
        starts = zip(self.before, self.x, self.y, strict=True)
        return [simplified_gradient(net, x, y) * net.a[:, None] for net, x, y in starts]


def train(
    data: GaussianMixture | Parity,
    n: int,
    rng: np.random.Generator,
    *,
    m: int = 256,
    eta: float = 1.0,
    steps: int = 60,
    batch: int | None = None,
    bias_std: float = 0.0,
    networks: int = 8,
    test: int = 2000,
) -> Runs:
    """Gradient descent on the logistic loss in all layers, of several seeds at once.

    Parameters
    ----------
    data : GaussianMixture or Parity
    n : int
        Training samples of each network.
    rng : numpy.random.Generator
    m : int
        Width.
    eta : float
        Step size of the readout, as in `twolayer.descent.mean_field_rates`.
    steps : int
    batch : int, optional
        Size of minibatches; all data without it.
    bias_std : float
        Standard deviation of the first biases.
    networks, test : int
        Numbers of seeds, and of test samples of each.

    Examples
    --------
    >>> xor = GaussianMixture.ring(10, 4, 4.0)
    >>> runs = train(xor, 300, np.random.default_rng(0), m=32, networks=2)
    >>> min(runs.score(runs.after)) > 0.95
    True
    """
    rngs = _checks.generator(rng).spawn(_checks.positive_int("networks", networks))
    x, y = (np.stack(v) for v in zip(*(data.sample(n, own) for own in rngs), strict=True))
    tests = [data.sample(test, own) for own in rngs]
    before = TwoLayer.stack([start(m, data.d, own, bias_std) for own in rngs])
    method = sgd(x, y, rates=mean_field_rates(eta, m), batch=batch, rng=rngs)
    return Runs(before, descend(before, method, steps), x, y, tests)


def kernel_accuracy(
    kernels: Sequence[Callable],
    training: Samples,
    validation: Samples,
    test: Samples,
    *,
    ridges: Sequence[float] = (0.01, 0.3, 10.0),
) -> float:
    """Test accuracy of kernel ridge regression, kernel and ridge chosen on validation data.

    Parameters
    ----------
    kernels : sequence of callable
        As in `twolayer.kernels`: kernel(x) and kernel(x', x).
    training, validation, test : (ndarray, ndarray)
        Inputs (n, d) and labels (n,) each.
    ridges : sequence of float
        In units of the mean of the kernel matrix's diagonal.

    Examples
    --------
    >>> from twolayer.kernels import polynomial
    >>> xor, rng = GaussianMixture.ring(10, 4, 4.0), np.random.default_rng(0)
    >>> sets = [xor.sample(n, rng) for n in (200, 200, 1000)]
    >>> kernel_accuracy([polynomial(2, 0.0)], *sets) > 0.95
    True
    """
    x, y = training
    best = []
    for kernel in kernels:
        gram = kernel(x)
        cross = [(kernel(inputs, x), labels) for inputs, labels in (validation, test)]
        for ridge in ridges:
            penalty = ridge * np.trace(gram) / len(gram)
            c = np.linalg.solve(gram + penalty * np.eye(len(gram)), y)
            best.append([float(accuracy(K @ c, labels)) for K, labels in cross])
    return max(best, key=lambda pair: pair[0])[1]  # the first of those that are best


def stopped(
    network: TwoLayer,
    training: Samples,
    validation: Samples,
    test: Samples,
    *,
    eta: float,
    steps: int,
) -> float:
    """Test accuracy of gradient descent that stops where validation data say, at a power of two.

    Parameters
    ----------
    network : TwoLayer
        The start.
    training, validation, test : (ndarray, ndarray)
        Inputs and labels each.
    eta : float
        Step size of the readout, as in `twolayer.descent.mean_field_rates`.
    steps : int
        At most.

    Examples
    --------
    >>> xor, rng = GaussianMixture.ring(10, 4, 4.0), np.random.default_rng(0)
    >>> sets = [xor.sample(n, rng) for n in (300, 300, 1000)]
    >>> stopped(start(32, 10, rng), *sets, eta=1.0, steps=50) > 0.95
    True
    """
    marks = sorted({2**k for k in range(steps.bit_length())} | {steps})
    method = sgd(*training, rates=mean_field_rates(eta, network.m))
    path = descend(network, method, steps, record=marks)
    scores = [accuracy(path(x), y) for x, y in (validation, test)]
    return float(scores[1][np.argmax(scores[0])])
