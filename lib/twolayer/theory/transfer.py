"""Ridge regression on a frozen ReLU layer that knows the target's direction.

`twolayer.theory.spectra` treats features as Gaussian. Along the target's direction they are
not: a sample far out has a large leverage, and is fitted more closely than others. Here features
are Gaussian *given* the projection z = u.x, as in `twolayer.theory.exact_curves`, for any first
layer.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from scipy.special import ndtr

from twolayer import _checks, _links
from twolayer.data import SingleIndex, additive
from twolayer.hermite import between, nodes
from twolayer.theory.spectra import relu_moments

__all__ = ["FrozenFeatures"]

_ITERATIONS = 500


def _read_only(array):
    """Kept: a caller must not write into it."""
    array.flags.writeable = False
    return array


@dataclasses.dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """The features of a ReLU layer given the projection on the target's direction.

    A neuron is relu(c z + s xi + b) with c its projection on u, s its length across and xi standard
    Gaussian; given z it is s relu(xi + t) with t = (b + c z)/s.

    Parameters
    ----------
    network : TwoLayer
        ReLU, no row exactly on u; its readout plays no part.
    data : SingleIndex
        The target, with Gaussian inputs; u is its direction.
    n_nodes : int
        Nodes for z: of Gauss-Hermite, or of each piece between the link's kinks. The default is
        good to a few in 1000; to a few per cent where most neurons lie within 10 degrees of u or
        the ridge is 1e-4, and not to 10 where neurons all but coincide with u: take more there.

    Raises
    ------
    ValueError
        If averages over the link do not converge: too few nodes, or kinks that it does not declare.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> layer = FrozenFeatures(TwoLayer([[0.6, 0.8]], [1.0], "relu"), SingleIndex(2, "he2"))
    >>> second = layer.weights @ (layer.mean[:, 0] ** 2 + layer.covariance[:, 0, 0])
    >>> round(float(second), 2)  # E relu(z)^2
    0.5
    """

    network: Any
    data: SingleIndex
    n_nodes: int = dataclasses.field(default=24, kw_only=True)

    def __post_init__(self) -> None:
        network, data = self.network, self.data
        _checks.one_network("network", network)
        if network.activation.name != "relu":
            raise TypeError(f"activation={network.activation.name!r} must be 'relu'")
        _checks.instance("data", data, SingleIndex)
        if network.d != data.d:
            raise ValueError(f"data.d={data.d} must be the network's d={network.d}")
        _checks.positive_int("n_nodes", self.n_nodes)
        link, _ = additive(data)
        if not _links.agree(link, self._rule, _links.quadrature("link", data.link), 1e-3):
            raise ValueError(
                f"n_nodes={self.n_nodes} are too few for link={data.link!r}; take more, and give a "
                "link that jumps or bends as an Activation with its kinks"
            )
        along, across, _ = self._rows
        if not (np.linalg.norm(across, axis=1) > 1e-9 * np.maximum(abs(along), 1e-300)).all():
            raise ValueError("W has a row without a part across the direction; every one needs it")

    @functools.cached_property
    def _rule(self):
        kinks = getattr(additive(self.data)[0], "kinks", ())
        if not kinks:
            return nodes((), self.n_nodes)
        rule = between(kinks, self.n_nodes, reach=8.0)  # the density beyond is below 1e-14
        return tuple(_read_only(v) for v in rule)

    @property
    def z(self) -> np.ndarray:
        """Nodes of the projection."""
        return self._rule[0]

    @property
    def weights(self) -> np.ndarray:
        """Weights of the nodes; they sum to 1."""
        return self._rule[1]

    @functools.cached_property
    def target(self) -> np.ndarray:
        """E[y | z] at the nodes."""
        return _read_only(np.array(additive(self.data)[0](self.z), dtype=float))

    @functools.cached_property
    def _rows(self):
        """Of each neuron the projection on u, the row across, and the bias."""
        W = np.asarray(self.network.W, dtype=float)
        u = self.data.directions[0]
        along = W @ u
        return along, W - np.outer(along, u), np.asarray(self.network.b, dtype=float)

    @functools.cached_property
    def _given(self):
        """Mean, shape (node, m), and second moments C(z), shape (node, m * m), of the features."""
        c, across, b = self._rows
        m, s = len(b), np.linalg.norm(across, axis=1)
        cosines = np.clip(across @ across.T / np.outer(s, s), -1, 1)
        np.fill_diagonal(cosines, 1)
        scale = s / math.sqrt(m)
        means, seconds = [], []
        for z in self.z:
            t = (b + c * z) / s
            density = np.exp(-t * t / 2) / math.sqrt(2 * math.pi)
            means.append(scale * (density + t * ndtr(t)))  # eq-tr-mean
            seconds.append((np.outer(scale, scale) * relu_moments(cosines, t)).ravel())
        return _read_only(np.array(means)), _read_only(np.array(seconds))

    @property
    def mean(self) -> np.ndarray:
        """E[features | z], shape (node, m)."""
        return self._given[0]

    @property
    def covariance(self) -> np.ndarray:
        """Cov[features | z], shape (node, m, m)."""
        mean, second = self._given
        return second.reshape(*mean.shape, -1) - mean[:, :, None] * mean[:, None, :]

    def learning_curve(self, n: float, ridge: float) -> float:
        """E (f - f*)^2 of a ridge readout on n fresh samples, in the units of y^2.

        A sample at z is shrunk by p(z) = 1/(1 + tr C(z) G), G = (n E[p C] + ridge)^-1. The mean
        readout is a = G n E[p y mean]. The error at z is e(z) = (y - mean.a)^2 + a'Cov a plus what
        the samples' errors add, n E'[p'^2 e' tr G C(z') G C(z)]: a linear system in the errors.

        Parameters
        ----------
        n : float
            Samples, > 0.
        ridge : float
            > 0, added to the sum of squares.

        Warns
        -----
        ConvergenceWarning
            If the factors p do not converge.
        """
        n = _checks.real("n", n, minimum=0, strict=True)
        ridge = _checks.real("ridge", ridge, minimum=0, strict=True)

        mean, second = self._given
        noise = self.data.noise**2
        p, G, change = self._shrunk(n, ridge)
        if not change < 1e-7:
            _checks.warn_convergence(f"the factors p still change by {change:.1e}")
        a = G @ (mean.T @ (n * self.weights * p * self.target))
        fit = mean @ a
        C = second.reshape(*mean.shape, -1)
        own = (self.target - fit) ** 2 + (C @ a) @ a - fit**2
        seen = np.array([(G @ at @ G).ravel() for at in C])
        # from z' to z; it takes 1/p to less than 1/p - 1, so its spectral radius is below 1
        passed = (second @ seen.T) * (n * self.weights * p**2)
        error = np.linalg.solve(np.eye(len(p)) - passed, own + passed.sum(1) * noise)
        return float(self.weights @ error)  # eq-tr-conditional

    def _shrunk(self, n, ridge):
        """The factors p and the matrix G, by iteration, and the last change of log p."""
        mean, second = self._given
        m = mean.shape[1]
        p = np.ones(len(mean))
        for _ in range(_ITERATIONS):
            S = ((n * self.weights * p) @ second).reshape(m, m)
            S[np.diag_indices(m)] += ridge
            G = np.linalg.inv(S)
            new = 1 / (1 + np.maximum(second @ G.ravel(), 0))  # eq-tr-shrink
            change = np.max(abs(np.log(new / p)))
            p = new
            if change < 1e-7:
                break
        return p, G, change
