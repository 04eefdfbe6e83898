"""Distributions of the data, as frozen objects with ``sample(n, rng) -> x, y``."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from twolayer import _checks, activations
from twolayer.hermite import he

__all__ = ["MultiIndex", "SingleIndex", "additive", "as_link"]


def as_link(link):
    """A link function of one variable, from its name, a callable or its Hermite coefficients.

    Parameters
    ----------
    link : str, callable or sequence of float
        A name of `twolayer.activations`, a vectorised callable, or (c_0, c_1, ...) for the
        function sum_k c_k He_k / sqrt(k!).

    Returns
    -------
    callable
        Array of shape (n,) to array of shape (n,).

    Raises
    ------
    ValueError
        If the name is unknown, or the coefficients are empty or not finite.

    Examples
    --------
    >>> as_link([0.0, 2.0])(np.array([1.5]))
    array([3.])
    """
    if isinstance(link, str):
        return activations.get(link)
    if callable(link):
        return link
    c = _checks.real_array("link", link)
    if c.ndim != 1 or c.size == 0:
        raise ValueError(f"link={link!r} must be a name, a callable or Hermite coefficients")
    return lambda z: sum(ck / math.sqrt(math.factorial(k)) * he(k, z) for k, ck in enumerate(c))


@dataclasses.dataclass(frozen=True)
class SingleIndex:
    """y = link(theta . x) + noise, with x ~ N(0, I_d) and theta the first basis vector.

    The law of x is rotation invariant, so that no direction is special: theta = e_1 costs no
    generality for a network whose initial law is rotation invariant too.

    Parameters
    ----------
    d : int
        Input dimension.
    link : str, callable or sequence of float
        See `as_link`.
    noise : float
        Standard deviation of Gaussian label noise, in the units of y.

    Raises
    ------
    ValueError, TypeError
        If `d` is not a positive integer, `noise` is negative or the link unknown.

    Examples
    --------
    >>> x, y = SingleIndex(d=5, link="sign").sample(4, np.random.default_rng(0))
    >>> x.shape, y
    ((4, 5), array([ 1.,  1., -1., -1.]))
    """

    d: int
    link: str | Callable | Sequence[float]
    noise: float = 0.0

    def __post_init__(self):
        _checks.positive_int("d", self.d)
        _checks.real("noise", self.noise, minimum=0)
        as_link(self.link)

    @property
    def directions(self):
        """The hidden direction, shape (1, d)."""
        return np.eye(1, self.d)

    def target(self, x):
        """Noise-free labels, shape (n,), of inputs of shape (n, d)."""
        return _checked(as_link(self.link)(x[:, 0]), len(x), "z of shape (n,)")

    def sample(self, n, rng):
        """Draw `n` inputs, shape (n, d), and labels, shape (n,), float64."""
        return _sample(self, n, rng)


@dataclasses.dataclass(frozen=True)
class MultiIndex:
    """y = link(U x) + noise, with x ~ N(0, I_d) and U the first r basis vectors.

    Parameters
    ----------
    d : int
        Input dimension.
    link : str, callable or sequence of float
        A callable takes an array of shape (n, r) and gives one of shape (n,). A name or Hermite
        coefficients (see `as_link`) give the additive target sum_j link(u_j . x) / sqrt(r).
    r : int
        Number of hidden directions, at most d.
    noise : float
        Standard deviation of Gaussian label noise, in the units of y.

    Raises
    ------
    ValueError, TypeError
        If `d` or `r` is not a positive integer, r > d, `noise` is negative or the link unknown.

    Examples
    --------
    >>> parity = MultiIndex(d=6, link=lambda z: np.sign(z[:, 0] * z[:, 1]), r=2)
    >>> parity.sample(3, np.random.default_rng(0))[1].shape
    (3,)
    """

    d: int
    link: str | Callable | Sequence[float]
    r: int = 2
    noise: float = 0.0

    def __post_init__(self):
        _checks.positive_int("d", self.d)
        _checks.positive_int("r", self.r)
        if self.r > self.d:
            raise ValueError(f"r={self.r} must be at most d={self.d}")
        _checks.real("noise", self.noise, minimum=0)
        as_link(self.link)

    @property
    def directions(self):
        """The hidden directions U, orthonormal rows, shape (r, d)."""
        return np.eye(self.r, self.d)

    def target(self, x):
        """Noise-free labels, shape (n,), of inputs of shape (n, d)."""
        z = x[:, : self.r]
        if callable(self.link):
            return _checked(self.link(z), len(x), f"z of shape (n, {self.r})")
        link = as_link(self.link)
        return sum(link(z[:, j]) for j in range(self.r)) / math.sqrt(self.r)

    def sample(self, n, rng):
        """Draw `n` inputs, shape (n, d), and labels, shape (n,), float64."""
        return _sample(self, n, rng)


def additive(data):
    """The link of a target that is a sum over its directions, and their number.

    Parameters
    ----------
    data : SingleIndex or MultiIndex
        The latter with a link that is a name or Hermite coefficients.

    Returns
    -------
    link : callable
        Of one variable.
    r : int

    Raises
    ------
    TypeError
        If `data` is of another kind.

    Examples
    --------
    >>> additive(MultiIndex(6, "tanh", r=3))[1]
    3
    """
    if isinstance(data, SingleIndex):
        return as_link(data.link), 1
    if isinstance(data, MultiIndex) and not callable(data.link):
        return as_link(data.link), data.r
    raise TypeError(
        f"data={data!r} must be a SingleIndex, or a MultiIndex whose link is a name or Hermite "
        "coefficients (a sum over directions)"
    )


def _checked(y, n, argument):
    y = np.asarray(y, dtype=float)
    if y.shape != (n,):
        raise ValueError(f"link gave shape {y.shape} for {argument}, n = {n}; it must give ({n},)")
    if not np.isfinite(y).all():
        raise ValueError("link gave non-finite values; every value must be finite")
    return y


def _sample(model, n, rng):
    n = _checks.positive_int("n", n)
    x = _checks.generator(rng).standard_normal((n, model.d))
    y = model.target(x)
    return x, y + model.noise * rng.standard_normal(n) if model.noise else y
