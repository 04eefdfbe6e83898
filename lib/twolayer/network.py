"""The two-layer network f(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from twolayer import _checks, activations
from twolayer.activations import Activation

__all__ = ["TwoLayer"]


def _is_tensor(value) -> bool:
    return activations._space(value) is not np


def _entries(name, value, dtype=None, like=None):
    """`value` as finite floats: a tensor where it, or `like`, is one; else a NumPy array."""
    if _is_tensor(value) or _is_tensor(like):
        import torch

        value = value if _is_tensor(value) else torch.tensor(np.array(value))
        dtype = dtype and getattr(torch, _float(dtype, value.dtype))
        return _checks.tensor(name, value, value.ndim, dtype=dtype, device=_device(like, value))
    array = _checks.array(name, value)
    array = array.astype(_float(dtype) if dtype else array.dtype, copy=False)
    if not _finite(array):
        raise ValueError(f"{name} holds non-finite values; every entry must be finite")
    return array


def _float(dtype, other=None):
    """The name of a dtype of floats, NumPy's or torch's."""
    name = str(dtype).removeprefix("torch.")
    with contextlib.suppress(TypeError):
        name = np.dtype(dtype).name
    if name not in ("float32", "float64") and dtype != other:
        raise TypeError(f"dtype={dtype!r} must be float32 or float64")
    return name


def _finite(array):
    """Whether all entries are: a finite sum has finite terms, and costs a tenth of them each."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def _device(like, value):
    return (like if _is_tensor(like) else value).device


class TwoLayer:
    """A two-layer network, f(x) = features(x) . a with features(x) = sigma(W x + b) / sqrt(m).

    It never changes.

    The scaling lives in the size of `a`: entries of order 1 give the NTK scaling, entries of
    order 1/sqrt(m) the mean-field one. Leading axes are a stack of networks: each has its own
    weights, and is what ``network[i]`` picks. Attributes and results are NumPy arrays, tensors
    where tensors came in: these are kept, not copied, and carry gradients and tangents.

    Parameters
    ----------
    W : array_like, shape (..., m, d)
        First layer, a row a neuron. Its dtype is the network's.
    a : array_like, shape (..., m), or (..., m, c)
        Readout, of one output or of c.
    activation : str or Activation
    b : array_like, shape (..., m), optional
        Biases; zero without them.

    Examples
    --------
    >>> net = TwoLayer(np.eye(2), [1.0, -1.0], "relu")
    >>> net(np.array([[3.0, 1.0]])).round(4)
    array([1.4142])
    >>> print(TwoLayer.stack([net, net]))
    TwoLayer(2 networks, m=2, d=2, activation='relu', float64)
    """

    __slots__ = ("W", "a", "activation", "b")

    def __init__(self, W: Any, a: Any, activation: str | Activation, b: Any = None):
        given = next((v for v in (W, a, b) if _is_tensor(v)), None)
        W = _entries("W", W, like=given)
        if W.ndim < 2 or 0 in W.shape:
            raise ValueError(f"W has shape {tuple(W.shape)}; it must be (..., m, d), not empty")
        a = _entries("a", a, dtype=W.dtype, like=given)
        zero = W.new_zeros(W.shape[:-1]) if _is_tensor(W) else np.zeros(W.shape[:-1], W.dtype)
        b = zero if b is None else _entries("b", b, dtype=W.dtype, like=given)
        if tuple(b.shape) != tuple(W.shape[:-1]):
            raise ValueError(f"b has shape {tuple(b.shape)}; W has {W.shape[-2]} rows (neurons)")
        if a.ndim not in (W.ndim - 1, W.ndim) or tuple(a.shape[: W.ndim - 1]) != tuple(b.shape):
            raise ValueError(f"a has shape {tuple(a.shape)}; W has {W.shape[-2]} rows (neurons)")
        self._set(W, a, b, activations.get(activation))

    def _set(self, W, a, b, activation):
        for name, value in (("W", W), ("a", a), ("b", b)):
            if not _is_tensor(value):
                value = np.array(value)  # its own: what the caller holds may change
                value.flags.writeable = False
            object.__setattr__(self, name, value)
        object.__setattr__(self, "activation", activation)

    def __setattr__(self, name, value):
        raise AttributeError(f"{name}: a TwoLayer is immutable; with_weights makes a new one")

    def __reduce__(self):
        return TwoLayer, (self.W, self.a, self.activation, self.b)

    def __repr__(self):
        stack = " x ".join(map(str, self.shape)) + " networks, " if self.shape else ""
        outputs = "" if self.a.ndim < self.W.ndim else f", {self.a.shape[-1]} outputs"
        dtype = str(self.W.dtype).removeprefix("torch.")
        name = self.activation.name
        return f"TwoLayer({stack}m={self.m}, d={self.d}{outputs}, activation={name!r}, {dtype})"

    @property
    def m(self) -> int:
        """Width."""
        return self.W.shape[-2]

    @property
    def d(self) -> int:
        """Input dimension."""
        return self.W.shape[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Leading axes: () for one network."""
        return tuple(self.W.shape[:-2])

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("one network has no length; a stack has")
        return self.shape[0]

    def __getitem__(self, index: Any) -> TwoLayer:
        """Networks of the stack, as NumPy indexes its leading axes."""
        if not self.shape:
            raise TypeError("one network cannot be indexed; a stack can")
        places = np.arange(math.prod(self.shape)).reshape(self.shape)[index]
        if not places.size:
            raise IndexError(f"index={index!r} picks no network of a stack of shape {self.shape}")
        count, parts = len(self.shape), []
        for v in (self.W, self.a, self.b):
            flat = v.reshape(-1, *v.shape[count:])
            parts.append(flat[places.ravel()].reshape(*places.shape, *v.shape[count:]))
        return self._of(*parts, self.activation)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[TwoLayer]:
        return (self[i] for i in range(len(self)))

    @classmethod
    def _of(cls, W, a, b, activation):
        """A network of parts that are known to fit."""
        network = cls.__new__(cls)
        network._set(W, a, b, activation)
        return network

    @classmethod
    def stack(cls, networks: Sequence[TwoLayer]) -> TwoLayer:
        """Networks of one shape, dtype and activation as one stack, along a new first axis."""
        networks = list(networks)
        if any(not isinstance(v, TwoLayer) for v in networks):
            raise TypeError("networks must hold networks of the kind TwoLayer")
        kinds = {(v.W.shape, v.a.shape, str(v.W.dtype)) for v in networks}
        if len(kinds) != 1 or any(v.activation != networks[0].activation for v in networks):
            raise ValueError("networks must be of one shape and dtype, with one activation")
        join = np.stack
        if _is_tensor(networks[0].W):
            import torch

            join = torch.stack
        parts = (join([getattr(v, name) for v in networks]) for name in ("W", "a", "b"))
        return cls._of(*parts, networks[0].activation)

    def astype(self, dtype: DTypeLike) -> TwoLayer:
        """The same network in another dtype."""
        parts = [_entries(n, getattr(self, n), dtype=dtype) for n in ("W", "a", "b")]
        return self._of(*parts, self.activation)

    def with_weights(self, W: Any) -> TwoLayer:
        """The same readout, biases and activation over another first layer, of the same shape."""
        return TwoLayer(W, self.a, self.activation, self.b)

    def with_readout(self, a: Any) -> TwoLayer:
        """The same features under another readout."""
        return TwoLayer(self.W, a, self.activation, self.b)

    def inputs(self, x: Any) -> Any:
        """`x`, shape (..., n, d), in the network's dtype and on its device, checked."""
        dtype = self.W.dtype
        if _is_tensor(x) and not _is_tensor(self.W):
            dtype = _entries("W", self.W[..., :1, :1], like=x).dtype
        x = _entries("x", x, dtype=dtype, like=self.W)
        if x.ndim < 2 or x.shape[-1] != self.d:
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (..., n, {self.d})")
        return x

    def _parts(self, x):
        """Weights as tensors where x is one."""
        return [_entries(n, getattr(self, n), like=x) for n in ("W", "a", "b")]

    def preactivations(self, x: Any) -> Any:
        """W x + b for each row of `x`: shape (..., n, m)."""
        x = self.inputs(x)
        W, _, b = self._parts(x)
        return x @ W.swapaxes(-1, -2) + b[..., None, :]

    def features(self, x: Any) -> Any:
        """sigma(W x + b) / sqrt(m) for each row of `x`: shape (..., n, m)."""
        return self.activation(self.preactivations(x)) / math.sqrt(self.m)  # eq-network

    def __call__(self, x: Any) -> Any:
        """f(x), shape (..., n), with a last axis of outputs where the readout has one."""
        x = self.inputs(x)
        if self.shape and not _is_tensor(x) and not _is_tensor(self.W):  # features of one at a time
            if x.ndim == 2:
                x = np.broadcast_to(x, self.shape + x.shape)
            if x.shape[:-2] == self.shape:
                f = np.stack([self[i](x[i]) for i in np.ndindex(self.shape)])
                return f.reshape(self.shape + f.shape[1:])
        _, a, _ = self._parts(x)
        if self.a.ndim == self.W.ndim:
            return self.features(x) @ a
        return (self.features(x) @ a[..., None])[..., 0]

    @classmethod
    def mean_field(
        cls,
        m: int,
        d: int,
        activation: str | Activation,
        rng: np.random.Generator,
        *,
        readout: str = "sign",
        dtype: DTypeLike = float,
    ) -> TwoLayer:
        """Rows of W ~ N(0, I/d), a of unit norm: entries of order 1/sqrt(m), f of order 1/sqrt(m).

        Parameters
        ----------
        m, d : int
            Width and input dimension.
        activation : str or Activation
        rng : numpy.random.Generator
        readout : {"sign", "gaussian"}
            a_j = +-1/sqrt(m) with equal odds, or a uniform on the unit sphere.
        dtype : NumPy dtype
        """
        W, a = _initial(m, d, rng, readout)
        return cls(W.astype(_float(dtype)), a / np.linalg.norm(a), activation)

    @classmethod
    def ntk(
        cls,
        m: int,
        d: int,
        activation: str | Activation,
        rng: np.random.Generator,
        *,
        readout: str = "sign",
        dtype: DTypeLike = float,
    ) -> TwoLayer:
        """As `mean_field`, with entries of `a` of order 1, so that f is of order 1."""
        W, a = _initial(m, d, rng, readout)
        return cls(W.astype(_float(dtype)), a, activation)

    @classmethod
    def symmetric(
        cls,
        m: int,
        d: int,
        activation: str | Activation,
        rng: np.random.Generator,
        *,
        readout: str = "sign",
        dtype: DTypeLike = float,
    ) -> TwoLayer:
        """As `mean_field`, in pairs (w, a), (w, -a): f = 0 exactly. `m` must be even."""
        if _checks.positive_int("m", m) % 2:
            raise ValueError(f"m={m} must be even: neurons come in pairs")
        W, a = _initial(m // 2, d, rng, readout)
        a = a / (math.sqrt(2) * np.linalg.norm(a))
        W = np.concatenate([W, W]).astype(_float(dtype))
        return cls(W, np.concatenate([a, -a]), activation)

    @classmethod
    def unit_rows(
        cls,
        m: int,
        d: int,
        activation: str | Activation,
        rng: np.random.Generator,
        *,
        dtype: DTypeLike = float,
    ) -> TwoLayer:
        """Rows of W uniform on the unit sphere, biases N(0, 1), no readout yet (a = 0).

        The random features beside a network of `twolayer.gradients.learn_directions`.
        """
        m, d = _checks.positive_int("m", m), _checks.positive_int("d", d)
        W = _checks.generator(rng).standard_normal((m, d))
        W /= np.linalg.norm(W, axis=1, keepdims=True)
        b = rng.standard_normal(m)
        return cls(W.astype(_float(dtype)), np.zeros(m), activation, b)


def _initial(m, d, rng, readout):
    m, d = _checks.positive_int("m", m), _checks.positive_int("d", d)
    _checks.one_of("readout", readout, ("sign", "gaussian"))
    W = _checks.generator(rng).standard_normal((m, d)) / math.sqrt(d)
    a = rng.choice([-1.0, 1.0], m) if readout == "sign" else rng.standard_normal(m)
    return W, a
