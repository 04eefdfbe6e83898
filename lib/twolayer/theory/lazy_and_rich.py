"""Lazy training: a network with a large output scale, and the linear model that it becomes.

The output of a network is multiplied by A, the `output_scale`. This f is trained on half the mean
squared error over A^2. A large A asks for small changes of the weights, in which the network is
linear; a small one asks for large changes. Chizat, Oyallon & Bach 2019 call A alpha.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.kernels import empirical_ntk

__all__ = ["Linearised", "rates"]


def rates(eta: float, m: int, d: int) -> dict[str, float]:
    """Step sizes of the two layers that make both parts of the tangent kernel of order eta.

    Parameters
    ----------
    eta : float
        Step size, > 0.
    m, d : int
        Width and input dimension.

    Returns
    -------
    dict of str to float
        eta m / d for W and eta for a: for inputs with entries of order 1, W with entries of order
        1/sqrt(d) and a of order 1/sqrt(m), what either layer adds to the kernel of an input with
        itself depends neither on m nor on d. Biases stay.

    Examples
    --------
    >>> rates(1.0, m=100, d=20)
    {'W': 5.0, 'a': 1.0}
    """
    eta = _checks.real("eta", eta, minimum=0, strict=True)
    return {"W": eta * _checks.positive_int("m", m) / _checks.positive_int("d", d), "a": eta}


@dataclasses.dataclass(frozen=True, eq=False)
class Linearised:
    """Gradient descent on the linearisation of f = A network, after any number of steps.

    The weights move in the tangent space of their start; the outputs follow from one
    eigendecomposition of the tangent kernel, with the same steps as
    `twolayer.simulation.lazy_and_rich.run`.

    Parameters
    ----------
    network : TwoLayer
        At its start.
    x : array_like, shape (n, d)
    y : array_like, shape (n,)
    output_scale : float
        A > 0.
    eta : float
        See `rates`; below 2 / top, where top is the largest eigenvalue of the tangent kernel at
        unit eta over n: no convergence above.

    Notes
    -----
    J holds the gradients of f / A on the sample, each column times the square root of its weight's
    step size, K = J J'. After t steps y - f is (1 - K/n)^t (y - f_0), and with
    c_t = K^-1 (1 - (1 - K/n)^t) (y - f_0) the outputs are f_0(x) + K(x, X) c_t. Weights, each over
    the root of its step size, move by J' c_t / A.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.symmetric(64, 3, "relu", rng)
    >>> x = rng.standard_normal((20, 3))
    >>> line = Linearised(net, x, x[:, 0], output_scale=5.0, eta=1.0)
    >>> bool(abs(line.outputs(x) - x[:, 0]).max() < 1e-6)  # interpolates in the end
    True
    """

    network: Any
    x: ArrayLike
    y: ArrayLike
    _: dataclasses.KW_ONLY
    output_scale: float
    eta: float

    def __post_init__(self):
        _checks.one_network("network", self.network)
        _checks.real("output_scale", self.output_scale, minimum=0, strict=True)
        x = np.array(self.network.inputs(self.x), dtype=float)
        y = _checks.real_array("y", self.y)
        if x.ndim != 2:
            raise ValueError(f"x has shape {x.shape}; it must be (n, d)")
        if y.shape != (len(x),):
            raise ValueError(f"y has shape {y.shape}; it must be ({len(x)},)")
        _checks.same_length("x", x, "y", y)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)
        top = self._spectrum[0][-1] / len(y)
        if top >= 2:
            raise ValueError(
                f"eta={self.eta} must be below {2 * self.eta / top:.4g}: no convergence above"
            )

    @property
    def rates(self) -> dict[str, float]:
        """Step sizes of the layers."""
        return rates(self.eta, self.network.m, self.network.d)

    @functools.cached_property
    def _kernel(self):
        return empirical_ntk(self.network, self.rates)

    @functools.cached_property
    def _spectrum(self):
        """Eigenvalues and eigenvectors of the tangent kernel on the samples."""
        return np.linalg.eigh(self._kernel(self.x))

    def _at_start(self, x):
        return np.asarray(self.network(x), dtype=float)

    def coefficients(self, steps: ArrayLike = math.inf) -> np.ndarray:
        """c_t / A after some numbers of steps: shape ``(*steps.shape, n)``.

        Infinitely many steps interpolate; directions in which the kernel vanishes to rounding take
        no part.
        """
        steps = np.asarray(steps, dtype=float)[..., None]
        if not ((steps >= 0) & (steps == np.floor(steps))).all():  # nan fails too
            raise ValueError(f"steps={steps[..., 0]} must be whole numbers >= 0, or inf")
        values, vectors = self._spectrum
        n = len(self.x)
        start = vectors.T @ (self.y / self.output_scale - self._at_start(self.x))
        kept = values > n * np.finfo(float).eps * values[-1]
        values = np.where(kept, values, n / 2)  # any positive number: they take no part
        share = values / n  # what a step takes of the error y - f, below 2
        small = -np.expm1(steps * np.log1p(-np.minimum(share, 0.5)))
        fitted = np.where(share < 0.5, small, 1 - (1 - share) ** steps)  # eq-lr-linear
        return (kept * fitted / values * start) @ vectors.T

    def outputs(self, x: ArrayLike, steps: ArrayLike = math.inf) -> np.ndarray:
        """A times the linearised network: ``(*steps.shape, k)``, at inputs (k, d)."""
        x = np.asarray(x)
        change = self.coefficients(steps) @ self._kernel(self.x, x)
        return self.output_scale * (self._at_start(x) + change)

    def moved(self, steps: float = math.inf) -> Any:
        """The network with the weights of the linear model: where lazy training would end."""
        if np.ndim(steps):
            raise ValueError(f"steps={steps} must be one number here")
        net, x, c = self.network, self.x, self.coefficients(steps)
        z, scale = net.preactivations(x), 1 / math.sqrt(net.m)
        a = net.a + self.rates["a"] * scale * (net.activation(z).T @ c)
        pull = (net.activation.derivative(z) * c[:, None]).T @ x * net.a[:, None]
        W = net.W + self.rates["W"] * scale * pull
        return net.with_weights(W.astype(net.W.dtype)).with_readout(a)
