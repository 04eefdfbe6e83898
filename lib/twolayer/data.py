"""Distributions of the data, as frozen objects with ``sample(n, rng) -> x, y``.

``sample`` draws `n` inputs, shape (n, d), and labels, shape (n,), in float64; ``target`` gives
the labels without noise of inputs of shape (n, d); ``directions`` holds the rows that decide them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, activations

__all__ = [
    "GaussianMixture",
    "MultiIndex",
    "Parity",
    "SingleIndex",
    "Teacher",
    "additive",
    "as_link",
    "sphere",
]


def as_link(link: str | Callable | Sequence[float]) -> Callable:
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

    Examples
    --------
    >>> as_link([0.0, 2.0])(np.array([1.5]))
    array([3.])
    """
    if isinstance(link, str):
        return activations.named("link", link)
    if callable(link):
        return link
    c = _checks.real_array("link", link)
    if c.ndim != 1 or c.size == 0:
        raise ValueError(f"link={link!r} must be a name, a callable or Hermite coefficients")
    return functools.partial(_hermite_sum, tuple(c.tolist()))


def _hermite_sum(c, z):
    """By the recurrence of h_k = He_k / sqrt(k!), which stays in range where k! does not."""
    total, before, h = c[0] + 0.0 * z, 0.0, 1.0
    for k, ck in enumerate(c[1:], 1):
        before, h = h, (z * h - math.sqrt(k - 1) * before) / math.sqrt(k)
        total = total + ck * h
    return total


def sphere(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Independent uniform points on the unit sphere of the last axis.

    Parameters
    ----------
    shape : tuple of int
        (..., d).
    rng : numpy.random.Generator

    Returns
    -------
    ndarray
        Of this shape, in float64.

    Examples
    --------
    >>> W = sphere((3, 2), np.random.default_rng(0))
    >>> np.linalg.norm(W, axis=1).round(9)
    array([1., 1., 1.])
    """
    W = _checks.generator(rng).standard_normal(shape)
    return W / np.linalg.norm(W, axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class SingleIndex:
    """y = link(u . x) + noise, with the direction u the first basis vector.

    The law of x is rotation invariant, so that no direction is special: u = e_1 costs no
    generality for a network whose initial law is rotation invariant too.

    Parameters
    ----------
    d : int
        Input dimension.
    link : str, callable or sequence of float
        See `as_link`.
    noise : float
        Standard deviation of Gaussian label noise, in the units of y.
    inputs : str
        'gaussian', x ~ N(0, I_d), or 'sphere', x uniform on the sphere of radius sqrt(d).

    Examples
    --------
    >>> x, y = SingleIndex(d=5, link="sign").sample(4, np.random.default_rng(0))
    >>> x.shape, y
    ((4, 5), array([ 1.,  1., -1., -1.]))
    """

    d: int
    link: str | Callable | Sequence[float]
    noise: float = 0.0
    inputs: str = "gaussian"

    def __post_init__(self):
        d = _checks.positive_int("d", self.d)
        noise = _checks.real("noise", self.noise, minimum=0)
        _checks.one_of("inputs", self.inputs, ("gaussian", "sphere"))
        _freeze(self, d=d, noise=noise, link=_own(self.link))

    @property
    def directions(self) -> np.ndarray:
        """The hidden direction, shape (1, d)."""
        return np.eye(1, self.d)

    def target(self, x: ArrayLike) -> np.ndarray:
        """Noise-free labels."""
        x = _inputs(x, self.d)
        return _checked(as_link(self.link)(x[:, 0]), len(x), "z of shape (n,)")

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and labels."""
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
        d = _checks.positive_int("d", self.d)
        r = _checks.positive_int("r", self.r)
        if r > d:
            raise ValueError(f"r={r} must be at most d={d}")
        noise = _checks.real("noise", self.noise, minimum=0)
        _freeze(self, d=d, r=r, noise=noise, link=_own(self.link))

    @property
    def directions(self) -> np.ndarray:
        """The hidden directions U, orthonormal rows, shape (r, d)."""
        return np.eye(self.r, self.d)

    def target(self, x: ArrayLike) -> np.ndarray:
        """Noise-free labels."""
        x = _inputs(x, self.d)
        z = x[:, : self.r]
        if callable(self.link):
            return _checked(self.link(z), len(x), f"z of shape (n, {self.r})")
        link = as_link(self.link)
        return sum(link(z[:, j]) for j in range(self.r)) / math.sqrt(self.r)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and labels."""
        return _sample(self, n, rng)


@dataclasses.dataclass(frozen=True, eq=False)
class Teacher:
    """y = sum_j a_j sigma(w_j . x) + noise with x ~ N(0, I_d): a few neurons to be found.

    Parameters
    ----------
    W : array_like, shape (k, d)
        Directions: unit rows, no two of them equal (nor opposite, where sigma is even).
    a : array_like, shape (k,)
        Readout, not zero. The sum has no factor 1/sqrt(m).
    activation : str or Activation
    noise : float
        Standard deviation of Gaussian label noise, in the units of y.

    Examples
    --------
    >>> teacher = Teacher(np.eye(2, 3), [1.0, -1.0])
    >>> teacher.target(np.array([[1.0, -3.0, 5.0]]))
    array([-2.])
    """

    W: np.ndarray
    a: np.ndarray
    activation: str | activations.Activation = "abs"
    noise: float = 0.0

    def __post_init__(self):
        W, a = _checks.real_array("W", self.W), _checks.real_array("a", self.a)
        if W.ndim != 2 or 0 in W.shape:
            raise ValueError(f"W has shape {W.shape}; it must be (k, d)")
        if a.shape != (len(W),) or not a.all():
            raise ValueError(f"a={a} must be {len(W)} numbers, none of them zero")
        length = np.linalg.norm(W, axis=1)
        if (bad := np.flatnonzero(abs(length - 1) > 1e-8)).size:
            raise ValueError(f"W: row {bad[0]} has norm {length[bad[0]]:g}; rows must be unit")
        activation = activations.get(self.activation)
        cosines = np.triu(abs(W @ W.T) if activation.parity == 1 else W @ W.T, 1)
        i, j = np.unravel_index(cosines.argmax(), cosines.shape)
        if cosines[i, j] > 1 - 1e-12:
            raise ValueError(f"W: rows {i} and {j} are duplicates; directions must differ")
        noise = _checks.real("noise", self.noise, minimum=0)
        _freeze(self, W=W, a=a, activation=activation, noise=noise)

    @classmethod
    def random(
        cls,
        d: int,
        a: ArrayLike,
        rng: np.random.Generator,
        *,
        activation: str | activations.Activation = "abs",
        min_angle: float = 45.0,
        noise: float = 0.0,
    ) -> Teacher:
        """Random directions, any two lines at an angle of at least `min_angle` degrees.

        Raises ValueError if no one of 1000 draws is wide enough.
        """
        d = _checks.positive_int("d", d)
        a = np.atleast_1d(_checks.real_array("a", a))
        k = len(a)
        most = math.cos(math.radians(_checks.real("min_angle", min_angle, minimum=0)))
        for _ in range(1000):
            W = sphere((k, d), rng)
            if abs(np.triu(W @ W.T, 1)).max() <= most:
                return cls(W, a, activation, noise)
        raise ValueError(f"min_angle={min_angle} is too wide for {k} random directions in d={d}")

    @property
    def d(self) -> int:
        """Input dimension."""
        return self.W.shape[1]

    @property
    def directions(self) -> np.ndarray:
        """The directions, unit rows, shape (k, d)."""
        return self.W

    def target(self, x: ArrayLike) -> np.ndarray:
        """Noise-free labels."""
        return self.activation(_inputs(x, self.d) @ self.W.T) @ self.a

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and labels."""
        return _sample(self, n, rng)


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianMixture:
    """x = mean of a random cluster + sigma z with z ~ N(0, I_d), and y the cluster's label.

    Parameters
    ----------
    means : array_like, shape (k, d)
        Centres of the clusters.
    labels : array_like, shape (k,)
        Each -1 or 1.
    sigma : float
        Standard deviation of each coordinate around its centre, > 0.
    weights : array_like, shape (k,), optional
        Probabilities of the clusters, > 0; scaled to sum to one. Equal without them.

    Examples
    --------
    >>> xor = GaussianMixture.ring(d=10, clusters=4, radius=4.0)
    >>> xor.means[:, :2].round(9) + 0.0, xor.labels
    (array([[ 4.,  0.],
           [ 0.,  4.],
           [-4.,  0.],
           [ 0., -4.]]), array([ 1., -1.,  1., -1.]))
    """

    means: np.ndarray
    labels: np.ndarray
    sigma: float = 1.0
    weights: np.ndarray | None = None

    def __post_init__(self):
        means = _checks.real_array("means", self.means)
        if means.ndim != 2 or 0 in means.shape:
            raise ValueError(f"means has shape {means.shape}; it must be (clusters, d)")
        labels = _checks.signs("labels", self.labels, len(means))
        sigma = _checks.real("sigma", self.sigma, minimum=0, strict=True)
        weights = np.ones(len(means)) if self.weights is None else self.weights
        weights = _checks.real_array("weights", weights, minimum=0, strict=True)
        if weights.shape != labels.shape:
            raise ValueError(f"weights has shape {weights.shape}; it must be {labels.shape}")
        weights = weights / weights.max()  # their sum may be out of range
        _freeze(self, means=means, labels=labels, sigma=sigma, weights=weights / weights.sum())

    @classmethod
    def ring(cls, d: int, clusters: int, radius: float, sigma: float = 1.0) -> GaussianMixture:
        """`clusters` clusters evenly on a circle in the first two coordinates, labels alternating.

        Four of them are the XOR problem. `clusters` must be even, `d` at least 2.
        """
        if _checks.positive_int("clusters", clusters) % 2:
            raise ValueError(
                f"clusters={clusters} must be even: labels alternate around the circle"
            )
        if _checks.positive_int("d", d) < 2:
            raise ValueError(f"d={d} must be at least 2")
        radius = _checks.real("radius", radius, minimum=0)
        angles = 2 * np.pi * np.arange(clusters) / clusters
        means = np.zeros((clusters, d))
        means[:, 0] = radius * np.cos(angles)
        means[:, 1] = radius * np.sin(angles)
        return cls(means, (-1.0) ** np.arange(clusters), sigma)

    @property
    def d(self) -> int:
        """Input dimension."""
        return self.means.shape[1]

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and labels."""
        n = _checks.positive_int("n", n)
        cluster = _checks.generator(rng).choice(len(self.means), n, p=self.weights)
        x = self.means[cluster] + self.sigma * rng.standard_normal((n, self.d))
        return x, self.labels[cluster]

    def log_odds(self, x: ArrayLike) -> np.ndarray:
        """Log-odds of label 1, shape (n,), of inputs (n, d); their sign is the best classifier."""
        from scipy.special import logsumexp

        x = _inputs(x, self.d)
        score = x @ self.means.T / self.sigma**2 + np.log(self.weights)
        score -= np.square(self.means).sum(1) / (2 * self.sigma**2)
        plus, minus = (
            logsumexp(np.where(self.labels == sign, score, -np.inf), axis=1) for sign in (1, -1)
        )
        return plus - minus


@dataclasses.dataclass(frozen=True)
class Parity:
    """x = D bits with d hidden bits +-1, and y the product of the first `degree` of them.

    Parameters
    ----------
    d : int
        Number of bits, and input dimension.
    degree : int
        Of the parity, at most d.
    agree : float
        In [0, 1): the probability that the relevant bits are all equal to one random sign.
        Otherwise, and outside them, bits are independent and fair. With 0 the uniform parity.
    rotation : int, optional
        Seed of the dictionary D, a Haar-distributed orthogonal matrix; the identity without it.

    Notes
    -----
    Bits over a hidden dictionary, of which the relevant ones are correlated: Shi, Wei & Liang 2022.

    Examples
    --------
    >>> x, y = Parity(d=5, degree=2).sample(100, np.random.default_rng(0))
    >>> bool((y == x[:, 0] * x[:, 1]).all())
    True
    """

    d: int
    degree: int
    agree: float = 0.0
    rotation: int | None = None

    def __post_init__(self):
        d = _checks.positive_int("d", self.d)
        degree = _checks.positive_int("degree", self.degree)
        if degree > d:
            raise ValueError(f"degree={degree} must be at most d={d}")
        agree = _checks.real("agree", self.agree, minimum=0)
        if agree >= 1:
            raise ValueError(f"agree={self.agree} must be below 1")
        rotation = self.rotation
        if rotation is not None:
            rotation = _checks.integer("rotation", rotation, 0)
        _freeze(self, d=d, degree=degree, agree=agree, rotation=rotation)

    @property
    def dictionary(self) -> np.ndarray:
        """D, shape (d, d): its columns are the hidden directions, the relevant ones first."""
        if self.rotation is None:
            return np.eye(self.d)
        from scipy.stats import ortho_group

        rng = np.random.default_rng(self.rotation)
        return ortho_group.rvs(self.d, random_state=rng) if self.d > 1 else np.eye(1)

    @property
    def directions(self) -> np.ndarray:
        """The relevant directions, orthonormal rows, shape (degree, d)."""
        return self.dictionary[:, : self.degree].T

    def target(self, x: ArrayLike) -> np.ndarray:
        """Labels."""
        return np.sign(_inputs(x, self.d) @ self.directions.T).prod(1)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and labels."""
        n = _checks.positive_int("n", n)
        bits = _checks.generator(rng).choice([-1.0, 1.0], (n, self.d))
        if self.agree:
            equal = rng.random(n) < self.agree
            bits[equal, : self.degree] = bits[equal, :1]
        y = bits[:, : self.degree].prod(1)
        return (bits if self.rotation is None else bits @ self.dictionary.T), y


def additive(data: SingleIndex | MultiIndex, *, sphere: bool = False) -> tuple[Callable, int]:
    """The link of a target that is a sum over its directions, and their number.

    Parameters
    ----------
    data : SingleIndex or MultiIndex
        The latter with a link that is a name or Hermite coefficients.
    sphere : bool
        Whether inputs on the sphere are allowed. Most theory needs Gaussian ones.

    Returns
    -------
    link : callable
        Of one variable.
    r : int

    Examples
    --------
    >>> additive(MultiIndex(6, "tanh", r=3))[1]
    3
    """
    if isinstance(data, SingleIndex):
        if not sphere and data.inputs != "gaussian":
            raise ValueError(f"inputs={data.inputs!r} must be 'gaussian' here")
        return as_link(data.link), 1
    if isinstance(data, MultiIndex) and not callable(data.link):
        return as_link(data.link), data.r
    raise TypeError(
        f"data={data!r} must be a SingleIndex, or a MultiIndex whose link is a name or Hermite "
        "coefficients (a sum over directions)"
    )


def _freeze(model, **values):
    """Set the fields of a frozen object; an array of them can't be written into from outside."""
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        object.__setattr__(model, name, value)


def _own(link):
    """A link, checked: coefficients as a tuple of their own, which hashes and can't change."""
    as_link(link)
    return _checks.link("link", link)


def _inputs(x, d):
    x = _checks.real_array("x", x, copy=False)
    if x.ndim != 2 or x.shape[1] != d:
        raise ValueError(f"x has shape {x.shape}; it must be (n, {d})")
    return x


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
    if getattr(model, "inputs", "gaussian") == "sphere":
        x *= math.sqrt(model.d) / np.linalg.norm(x, axis=1, keepdims=True)
    y = model.target(x)
    return x, y + model.noise * rng.standard_normal(n) if model.noise else y
