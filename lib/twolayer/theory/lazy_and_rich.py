"""Lazy training: a network with a large output scale, and the linear model that it becomes.

The output of a two-layer network h is multiplied by alpha, and alpha h is trained on the squared
loss over alpha^2. Large alpha asks for small changes of the weights, in which h is linear; small
alpha asks for large ones. Chizat, Oyallon & Bach 2019.
"""

import math

import numpy as np
import torch

from twolayer import _checks
from twolayer.kernels import empirical_ntk

__all__ = ["Linearised", "rates"]


def rates(eta, m, d):
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

    Raises
    ------
    ValueError, TypeError
        If a number is not positive, or `m` or `d` no integer.

    Examples
    --------
    >>> rates(1.0, m=100, d=20)
    {'W': 5.0, 'a': 1.0}
    """
    eta = _checks.real("eta", eta, minimum=0, strict=True)
    return {"W": eta * _checks.positive_int("m", m) / _checks.positive_int("d", d), "a": eta}


class Linearised:
    """Gradient descent on the linearisation of alpha h in its weights, after any number of steps.

    The weights move in the tangent space of their start; the outputs follow from one
    eigendecomposition of the tangent kernel, with the same steps as `descend`.

    Parameters
    ----------
    network : TwoLayer
        h at its start.
    x : array_like, shape (n, d)
    y : array_like, shape (n,)
    alpha : float
        Output scale, > 0.
    eta : float
        See `rates`.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, there is no sample, an entry is not finite, `alpha` or `eta` is not
        positive, or `eta` is not below 1 / top, where top is the largest eigenvalue of the tangent
        kernel at unit eta over n: the descent does not converge.

    Notes
    -----
    With the kernel K = J R J' of the gradients J and step sizes R, the residual after t steps is
    (1 - 2K/n)^t (y/alpha - h_0), and c_t = K^-1 (1 - (1 - 2K/n)^t) (y/alpha - h_0) gives the
    outputs alpha (h_0(x) + K(x, X) c_t) and the weights theta_0 + R J' c_t.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.symmetric(64, 3, "relu", rng)
    >>> x = rng.standard_normal((20, 3))
    >>> line = Linearised(net, x, x[:, 0], alpha=5.0, eta=1.0)
    >>> bool(abs(line.outputs(x) - x[:, 0]).max() < 1e-6)  # interpolates in the end
    True
    """

    def __init__(self, network, x, y, *, alpha, eta):
        self.network = network.with_weights(network.W)  # a copy: the original may be trained
        self.x = network.inputs(x).detach().cpu().double().numpy().copy()
        y = _checks.real_array("y", y)
        if y.shape != (len(self.x),):
            raise ValueError(f"y has shape {y.shape}; it must be ({len(self.x)},)")
        _checks.same_length("x", self.x, "y", y)
        self.alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
        self.rates = rates(eta, network.m, network.d)
        self._kernel = empirical_ntk(self.network, self.rates)
        self._values, self._vectors = np.linalg.eigh(self._kernel(self.x))
        top = self._values[-1] / len(y)
        if top >= 1:
            raise ValueError(f"eta={eta} must be below {eta / top:.4g}: no convergence above")
        self._start = self._vectors.T @ (y / self.alpha - self._outputs(self.x))

    def _outputs(self, x):
        with torch.no_grad():
            return self.network(x).cpu().double().numpy()

    def coefficients(self, steps=math.inf):
        """c_t after some numbers of steps: shape ``(*steps.shape, n)``.

        Infinitely many steps interpolate; directions in which the kernel vanishes to rounding take
        no part. Raises ValueError if a number of steps is negative or not whole.
        """
        steps = np.asarray(steps, dtype=float)
        if not ((steps >= 0) & (steps == np.floor(steps))).all():  # nan fails too
            raise ValueError(f"steps={steps} must be whole numbers >= 0, or inf")
        n, lam = len(self.x), self._values
        kept = lam > n * np.finfo(float).eps * lam[-1]
        lam = np.where(kept, lam, n / 4)  # any positive number: they take no part
        share, steps = 2 * lam / n, steps[..., None]  # what a step takes of a residual, below 2
        small = -np.expm1(steps * np.log1p(-np.minimum(share, 0.5)))
        fitted = np.where(share < 0.5, small, 1 - (1 - share) ** steps)
        return (kept * fitted / lam * self._start) @ self._vectors.T

    def outputs(self, x, steps=math.inf):
        """alpha times the linearised network: shape ``(*steps.shape, k)``, at inputs (k, d)."""
        change = self.coefficients(steps) @ self._kernel(self.x, np.asarray(x))
        return self.alpha * (self._outputs(x) + change)

    def moved(self, steps=math.inf):
        """The network h with the weights of the linear model: where lazy training would end.

        Raises ValueError if `steps` is not one whole number >= 0, or inf.
        """
        if np.ndim(steps):
            raise ValueError(f"steps={steps} must be one number here")
        c = torch.as_tensor(self.coefficients(steps), dtype=self.network.W.dtype)
        with torch.no_grad():
            net, x = self.network, torch.as_tensor(self.x, dtype=self.network.W.dtype)
            z, scale = net.preactivations(x), 1 / math.sqrt(net.m)
            a = net.a + self.rates["a"] * scale * (net.activation(z).T @ c)
            pull = (net.activation.derivative(z) * c[:, None]).T @ x * net.a[:, None]
            return net.with_weights(net.W + self.rates["W"] * scale * pull).with_readout(a)
