"""Activations: a function, its derivative, its parity and its kinks, in one frozen object."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.hermite import he

__all__ = ["NAMES", "Activation", "get", "hermite"]


def _space(z):
    """The library that the array `z` is of: torch for a tensor, NumPy for the rest."""
    torch = sys.modules.get("torch")  # without torch loaded there is no tensor
    return torch if torch and isinstance(z, torch.Tensor) else np


@dataclasses.dataclass(frozen=True)
class Activation:
    """A scalar function applied entry by entry, with its derivative.

    Parameters
    ----------
    name : str
    function, derivative : callable
        Array to array of the same shape and dtype, and tensor to tensor where it is trained. At a
        kink the derivative is a subgradient.
    parity : {1, -1, 0}
        1 for even, -1 for odd, 0 for neither.
    kinks : tuple of float
        Points where the function or its derivative jumps: quadrature is split there.
    pair : callable, optional
        Gives (value, derivative), where both together cost less than one after the other.

    Examples
    --------
    >>> tanh = get("tanh")
    >>> float(tanh(0.0)), float(tanh.derivative_at(0.0))
    (0.0, 1.0)
    """

    name: str
    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    parity: int = 0
    kinks: tuple[float, ...] = ()
    pair: Callable[[Any], tuple[Any, Any]] | None = None

    def __reduce__(self):
        """Known ones pickle by name, others by their parts."""
        if _hermite.get(self.name) is self:
            return hermite, (int(self.name[2:]),)
        if _ALL.get(self.name) is self:
            return get, (self.name,)
        return Activation, tuple(getattr(self, f.name) for f in dataclasses.fields(self))

    def both(self, z: Any) -> tuple[Any, Any]:
        """Value and derivative, at the price of one where `pair` is given."""
        return self.pair(z) if self.pair else (self.function(z), self.derivative(z))

    def __call__(self, z: Any) -> Any:
        """Value at `z`: a tensor gives a tensor, anything else an array of floats."""
        return self.function(_floats(z))

    def derivative_at(self, z: Any) -> Any:
        """Derivative at `z`: a tensor gives a tensor, anything else an array of floats."""
        return self.derivative(_floats(z))


def _floats(z):
    """`z` as it is for tensors and arrays of floats, else as a float64 array."""
    if _space(z) is not np or getattr(z, "dtype", None) in (np.float32, np.float64):
        return z
    return np.asarray(z, dtype=float)


def hermite(degree: int) -> Activation:
    """The normalised Hermite polynomial He_k / sqrt(k!), of unit variance under N(0, 1).

    Parameters
    ----------
    degree : int
        k >= 1.

    Examples
    --------
    >>> round(float(hermite(2)(3.0)) * 2**0.5, 10)  # He_2(z) = z**2 - 1
    8.0
    """
    if isinstance(degree, bool) or not isinstance(degree, int | np.integer) or degree < 1:
        raise ValueError(f"degree={degree!r} must be a positive integer")
    degree = int(degree)
    made = Activation(
        f"he{degree}",
        lambda z: _normalised(degree, z),
        lambda z: math.sqrt(degree) * _normalised(degree - 1, z),  # He_k' = k He_{k-1}
        parity=(-1) ** degree,
    )
    return _hermite.setdefault(made.name, made)


_hermite: dict[str, Activation] = {}


def _normalised(degree, z):
    """He_k / sqrt(k!), which stays within the range of floats where He_k does not."""
    if degree <= 20:
        return 1 / math.sqrt(math.factorial(degree)) * he(degree, z)
    previous, current = _normalised(19, z), _normalised(20, z)
    for k in range(20, degree):
        previous, current = current, (z * current - math.sqrt(k) * previous) / math.sqrt(k + 1)
    return current


def _tanh_pair(z):
    value = _space(z).tanh(z)
    if _space(z) is np:
        return value, 1 - value * value
    return value, value.new_ones(()).addcmul(value, value, value=-1)  # 1 - value^2, one pass


def _erf(z):
    if _space(z) is np:
        from scipy.special import erf

        return erf(z)
    return z.erf()


def _erfc(z):
    if _space(z) is np:
        from scipy.special import erfc

        return erfc(z)
    return z.erfc()


def _density(z):
    return _space(z).exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _cdf(z):
    return 0.5 * _erfc(-z / math.sqrt(2))  # 1 + erf would lose the tail


def _step(z):
    return (z > 0).astype(z.dtype) if _space(z) is np else (z > 0).to(z.dtype)


def _relu(z):
    return np.maximum(z, 0) if _space(z) is np else z.relu()


_ALL = {
    a.name: a
    for a in (
        Activation(
            "tanh",
            lambda z: _space(z).tanh(z),
            lambda z: 1 - _space(z).tanh(z) ** 2,
            -1,
            pair=_tanh_pair,
        ),
        Activation("erf", lambda z: _erf(z / math.sqrt(2)), lambda z: 2 * _density(z), -1),
        Activation("relu", _relu, _step, 0, (0.0,)),
        Activation("abs", lambda z: abs(z), lambda z: _space(z).sign(z), 1, (0.0,)),
        Activation(
            "sign",
            lambda z: _space(z).sign(z),
            lambda z: _space(z).zeros_like(z),
            -1,
            (0.0,),
        ),
        Activation("sin", lambda z: _space(z).sin(z), lambda z: _space(z).cos(z), -1),
        Activation("gelu", lambda z: z * _cdf(z), lambda z: _cdf(z) + z * _density(z)),
        Activation("identity", lambda z: 1 * z, lambda z: _space(z).ones_like(z), -1),
    )
}
NAMES = (*_ALL, "he1", "he2", "he3")  # he{k} for any k


def get(activation: str | Activation) -> Activation:
    """Look an activation up by name.

    Parameters
    ----------
    activation : str or Activation
        One of `NAMES`, ``"he{k}"`` for any k from 1 to 99, or an `Activation`, given back as it is.
        ``"erf"`` is erf(z / sqrt(2)), the odd sigmoid whose slope is twice the normal density.

    Examples
    --------
    >>> get("relu").kinks
    (0.0,)
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"activation={activation!r} must be a name or an Activation")
    return named("activation", activation)


def named(argument, name):
    """The activation of a name; an error speaks of it as this argument."""
    if name in _ALL:
        return _ALL[name]
    if match := re.fullmatch(r"he([1-9]\d?)", name):
        return hermite(int(match[1]))
    names = f"{', '.join(NAMES)}, he{{k}} for an integer k from 1 to 99"
    raise ValueError(f"{argument}={name!r} is unknown; allowed: {names}")
