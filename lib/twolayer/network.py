"""The two-layer network f(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j)."""

import math

import numpy as np
import torch

from twolayer import _checks, activations
from twolayer._blas import product

__all__ = ["TwoLayer"]


class TwoLayer(torch.nn.Module):
    """A two-layer network, f(x) = features(x) . a with features(x) = sigma(W x + b) / sqrt(m).

    The scaling lives in the size of `a`: entries of order 1 give the NTK scaling, entries of
    order 1/sqrt(m) the mean-field one.

    Parameters
    ----------
    W : array or tensor, shape (m, d)
        First layer, a row a neuron. Its dtype is the network's.
    a : array or tensor, shape (m,)
        Readout.
    activation : str or Activation
    b : array or tensor, shape (m,), optional
        Biases; zero without them.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite or the activation is unknown.

    Examples
    --------
    >>> net = TwoLayer(np.eye(2), [1.0, -1.0], "relu")
    >>> net(np.array([[3.0, 1.0]])).detach()
    tensor([1.4142], dtype=torch.float64)
    """

    def __init__(self, W, a, activation, b=None):
        super().__init__()
        self.activation = activations.get(activation)
        W = _checks.tensor("W", W, 2)
        m = len(W)
        a = _checks.tensor("a", a, 1, dtype=W.dtype)
        b = torch.zeros(m, dtype=W.dtype) if b is None else _checks.tensor("b", b, 1, dtype=W.dtype)
        for name, vector in (("a", a), ("b", b)):
            if len(vector) != m:
                raise ValueError(f"{name} has {len(vector)} entries; W has {m} rows (neurons)")
        self.W, self.a, self.b = (torch.nn.Parameter(p.clone()) for p in (W, a, b))

    @property
    def m(self):
        """Width."""
        return self.W.shape[0]

    @property
    def d(self):
        """Input dimension."""
        return self.W.shape[1]

    def inputs(self, x):
        """`x` as a tensor of shape (n, d) in the network's dtype and on its device, checked."""
        x = _checks.tensor("x", x, 2, dtype=self.W.dtype, device=self.W.device)
        if x.shape[1] != self.d:
            raise ValueError(f"x has {x.shape[1]} columns; the network takes d = {self.d}")
        return x

    def preactivations(self, x):
        """W x + b for each row of `x`: shape (n, m)."""
        return product(self.inputs(x), self.W.T).add_(self.b)

    def features(self, x):
        """sigma(W x + b) / sqrt(m) for each row of `x`: shape (n, m)."""
        return self.activation(self.preactivations(x)) / math.sqrt(self.m)

    def forward(self, x):
        """f(x), shape (n,)."""
        return self.features(x) @ self.a

    def with_weights(self, W):
        """The same readout, biases and activation over another first layer, shape (m, d)."""
        return TwoLayer(W.detach(), self.a.detach(), self.activation, self.b.detach())

    def with_readout(self, a):
        """The same features under another readout, shape (m,)."""
        return TwoLayer(self.W.detach(), a, self.activation, self.b.detach())

    @classmethod
    def mean_field(cls, m, d, activation, rng, *, readout="sign", dtype=torch.float64):
        """Rows of W ~ N(0, I/d), a of unit norm: entries of order 1/sqrt(m), f of order 1/sqrt(m).

        Parameters
        ----------
        m, d : int
            Width and input dimension.
        activation : str or Activation
        rng : numpy.random.Generator
        readout : {"sign", "gaussian"}
            a_j = +-1/sqrt(m) with equal odds, or a uniform on the unit sphere.
        dtype : torch.dtype

        Returns
        -------
        TwoLayer
        """
        W, a = _initial(m, d, rng, readout)
        return cls(torch.as_tensor(W, dtype=dtype), a / np.linalg.norm(a), activation)

    @classmethod
    def ntk(cls, m, d, activation, rng, *, readout="sign", dtype=torch.float64):
        """As `mean_field`, with entries of `a` of order 1, so that f is of order 1."""
        W, a = _initial(m, d, rng, readout)
        return cls(torch.as_tensor(W, dtype=dtype), a, activation)

    @classmethod
    def symmetric(cls, m, d, activation, rng, *, readout="sign", dtype=torch.float64):
        """As `mean_field`, in pairs (w, a), (w, -a): f = 0 exactly. `m` must be even."""
        if _checks.positive_int("m", m) % 2:
            raise ValueError(f"m={m} must be even: neurons come in pairs")
        W, a = _initial(m // 2, d, rng, readout)
        a = a / (math.sqrt(2) * np.linalg.norm(a))
        W = torch.as_tensor(np.concatenate([W, W]), dtype=dtype)
        return cls(W, np.concatenate([a, -a]), activation)

    @classmethod
    def unit_rows(cls, m, d, activation, rng, *, dtype=torch.float64):
        """Rows of W uniform on the unit sphere, biases N(0, 1), no readout yet (a = 0).

        The random features beside a network of `twolayer.descent.learn_directions`.

        Parameters
        ----------
        m, d : int
            Width and input dimension.
        activation : str or Activation
        rng : numpy.random.Generator
        dtype : torch.dtype

        Returns
        -------
        TwoLayer
        """
        m, d = _checks.positive_int("m", m), _checks.positive_int("d", d)
        W = _checks.generator(rng).standard_normal((m, d))
        W /= np.linalg.norm(W, axis=1, keepdims=True)
        b = rng.standard_normal(m)
        return cls(torch.as_tensor(W, dtype=dtype), np.zeros(m), activation, b)


def _initial(m, d, rng, readout):
    m, d = _checks.positive_int("m", m), _checks.positive_int("d", d)
    _checks.one_of("readout", readout, ("sign", "gaussian"))
    W = _checks.generator(rng).standard_normal((m, d)) / math.sqrt(d)
    a = rng.choice([-1.0, 1.0], m) if readout == "sign" else rng.standard_normal(m)
    return W, a
