"""Activations: a function, its derivative, its parity and its kinks, in one frozen object."""

import dataclasses
import math
import re
from collections.abc import Callable

import numpy as np
import torch

from twolayer.hermite import he

__all__ = ["NAMES", "Activation", "get", "hermite"]


@dataclasses.dataclass(frozen=True)
class Activation:
    """A scalar function applied entry by entry, with its derivative.

    Parameters
    ----------
    name : str
        The name it is known by.
    function, derivative : callable
        Tensor to tensor of the same shape. At a kink the derivative is a subgradient.
    parity : {1, -1, 0}
        1 for even, -1 for odd, 0 for neither.
    kinks : tuple of float
        Points where the function or its derivative jumps: quadrature is split there.
    pair : callable, optional
        Tensor to (value, derivative), where both together cost less than one after the other.

    Examples
    --------
    >>> tanh = get("tanh")
    >>> float(tanh(0.0)), float(tanh.derivative_at(0.0))
    (0.0, 1.0)
    """

    name: str
    function: Callable[[torch.Tensor], torch.Tensor]
    derivative: Callable[[torch.Tensor], torch.Tensor]
    parity: int = 0
    kinks: tuple[float, ...] = ()
    pair: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None = None

    def __reduce__(self):
        """Known ones pickle by name, others by their parts."""
        if _ALL.get(self.name) is self or _hermite.get(self.name) is self:
            return get, (self.name,)
        return Activation, tuple(getattr(self, f.name) for f in dataclasses.fields(self))

    def both(self, z):
        """Value and derivative at a tensor `z`, at the price of one where `pair` is given."""
        return self.pair(z) if self.pair else (self.function(z), self.derivative(z))

    def __call__(self, z):
        """Value at `z`: a tensor gives a tensor, anything else a float64 array."""
        return _apply(self.function, z)

    def derivative_at(self, z):
        """Derivative at `z`: a tensor gives a tensor, anything else a float64 array."""
        return _apply(self.derivative, z)


def _apply(function, z):
    if isinstance(z, torch.Tensor):
        return function(z)
    return function(torch.as_tensor(np.asarray(z, dtype=float))).numpy()


def hermite(degree):
    """The normalised Hermite polynomial He_k / sqrt(k!) as an activation.

    Parameters
    ----------
    degree : int
        k >= 1; the polynomial has unit variance under N(0, 1).

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If `degree` is not a positive integer.

    Examples
    --------
    >>> round(float(hermite(2)(3.0)) * 2**0.5, 10)  # He_2(z) = z**2 - 1
    8.0
    """
    if isinstance(degree, bool) or not isinstance(degree, int) or degree < 1:
        raise ValueError(f"degree={degree!r} must be a positive integer")
    scale = 1 / math.sqrt(math.factorial(degree))
    made = Activation(
        f"he{degree}",
        lambda z: scale * he(degree, z),
        lambda z: scale * degree * he(degree - 1, z),  # He_k' = k He_{k-1}
        parity=(-1) ** degree,
    )
    return _hermite.setdefault(made.name, made)


_hermite = {}


def _phi(z):
    return torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _cdf(z):
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


def _tanh_pair(z):
    value = torch.tanh(z)
    return value, torch.addcmul(value.new_ones(()), value, value, value=-1)  # 1 - value^2, one pass


_ALL = {
    a.name: a
    for a in (
        Activation("tanh", torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, -1, pair=_tanh_pair),
        Activation(
            "erf",
            lambda z: torch.erf(z / math.sqrt(2)),
            lambda z: 2 * _phi(z),
            -1,
        ),
        Activation("relu", torch.relu, lambda z: (z > 0).to(z.dtype), 0, (0.0,)),
        Activation("abs", torch.abs, torch.sign, 1, (0.0,)),
        Activation("sign", torch.sign, torch.zeros_like, -1, (0.0,)),
        Activation("sin", torch.sin, torch.cos, -1),
        Activation("gelu", lambda z: z * _cdf(z), lambda z: _cdf(z) + z * _phi(z)),
        Activation("identity", lambda z: z.clone(), torch.ones_like, -1),
    )
}
NAMES = (*_ALL, "he1", "he2", "he3")  # he{k} for any k


def get(activation):
    """Look an activation up by name.

    Parameters
    ----------
    activation : str or Activation
        One of `NAMES`, ``"he{k}"`` for any k >= 1, or an `Activation`, given back as it is.
        ``"erf"`` is erf(z / sqrt(2)), the odd sigmoid whose slope is twice the normal density.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither a name nor an `Activation`.

    Examples
    --------
    >>> get("relu").kinks
    (0.0,)
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"activation={activation!r} must be a name or an Activation")
    if activation in _ALL:
        return _ALL[activation]
    if match := re.fullmatch(r"he([1-9]\d?)", activation):
        return hermite(int(match[1]))
    names = f"{', '.join(NAMES)}, he{{k}} for an integer k from 1 to 99"
    raise ValueError(f"activation={activation!r} is unknown; allowed: {names}")
