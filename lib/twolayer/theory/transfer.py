"""Ridge regression on a frozen ReLU layer that knows the target's direction.

`twolayer.theory.spectra` treats features as Gaussian. Along the target's direction they are
not: a sample far out has a large leverage, and is fitted more closely than others. Here features
are Gaussian *given* the coordinate z = u.x, as in `twolayer.theory.exact_curves`, for any first
layer.
"""

import math
import warnings

import numpy as np
from scipy.special import ndtr
from sklearn.exceptions import ConvergenceWarning

from twolayer import _checks
from twolayer.data import SingleIndex, additive
from twolayer.hermite import nodes
from twolayer.theory.spectra import relu_moments

__all__ = ["FrozenFeatures"]

_ITERATIONS = 500


class FrozenFeatures:
    """The features of a ReLU layer given the coordinate along the target's direction.

    Parameters
    ----------
    network : TwoLayer
        ReLU; its readout plays no part.
    data : SingleIndex
        The target; u is its direction.
    n_nodes : int
        Gauss-Hermite nodes for z.

    Attributes
    ----------
    mean : ndarray, shape (n_nodes, m)
        E[features | z].
    target : ndarray, shape (n_nodes,)
        E[y | z].

    Raises
    ------
    TypeError, ValueError
        If the activation is not ReLU, `data` is not a SingleIndex with Gaussian inputs, or of
        another dimension, or a row of W is zero or lies exactly on the direction.

    Notes
    -----
    A neuron is relu(c z + s xi + b) with c its overlap with u, s its length across and xi standard
    Gaussian; given z it is s relu(xi + t) with t = (b + c z)/s.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> layer = FrozenFeatures(TwoLayer([[0.6, 0.8]], [1.0], "relu"), SingleIndex(2, "he2"))
    >>> second = layer.weights @ (layer.mean[:, 0] ** 2 + layer.covariance[:, 0, 0])
    >>> round(float(second), 2)  # E relu(z)^2
    0.5
    """

    def __init__(self, network, data, *, n_nodes=24):
        if network.activation.name != "relu":
            raise TypeError(f"activation={network.activation.name!r} must be 'relu'")
        if not isinstance(data, SingleIndex):
            raise TypeError(f"data={data!r} must be a SingleIndex")
        link, _ = additive(data)
        if network.d != data.d:
            raise ValueError(f"data.d={data.d} must be the network's d={network.d}")
        W, b = (v.detach().cpu().double().numpy() for v in (network.W, network.b))
        u = data.directions[0]
        c = W @ u
        across = W - np.outer(c, u)
        s = np.linalg.norm(across, axis=1)
        if not (s > 1e-9 * np.maximum(abs(c), 1e-300)).all():
            raise ValueError("W has a row without a part across the direction; every one needs it")
        self.noise = data.noise**2
        self.z, self.weights = nodes((), _checks.positive_int("n_nodes", n_nodes))
        self.target = link(self.z)
        cosines = np.clip(across @ across.T / np.outer(s, s), -1, 1)
        np.fill_diagonal(cosines, 1)
        self.mean = np.empty((len(self.z), len(b)))
        self._second = np.empty((len(self.z), len(b) ** 2))  # C(z), flattened
        for i, z in enumerate(self.z):
            t = (b + c * z) / s
            density = np.exp(-t * t / 2) / math.sqrt(2 * math.pi)
            self.mean[i] = (density + t * ndtr(t)) * s / math.sqrt(network.m)
            self._second[i] = (relu_moments(cosines, t) * np.outer(s, s) / network.m).ravel()

    @property
    def covariance(self):
        """Cov[features | z], shape (n_nodes, m, m)."""
        m = self.mean.shape[1]
        return self._second.reshape(-1, m, m) - self.mean[:, :, None] * self.mean[:, None, :]

    def learning_curve(self, n, ridge):
        """Test error of a ridge readout on fresh samples, without the label noise of the test.

        Parameters
        ----------
        n : float
            Samples, > 0.
        ridge : float
            > 0, added to the sum of squares.

        Returns
        -------
        float
            E (f - f*)^2, in the units of y^2.

        Raises
        ------
        ValueError
            If `n` or `ridge` is not finite or not positive.

        Warns
        -----
        ConvergenceWarning
            If the shrinkage factors do not converge.

        Notes
        -----
        With C(z) = E[features features' | z], a sample at z is shrunk by p(z) = 1/(1 + tr C(z) G),
        and G = (n E[p C] + ridge)^-1: a fixed point. The mean readout is a = G n E[p y mean]. The
        error at z is e(z) = (y - mean.a)^2 + a'Cov a plus what the samples' errors add, n E'[p'^2
        e' tr G C(z') G C(z)], with e' the whole error at z': a linear system in the errors.
        """
        n = _checks.real("n", n, minimum=0, strict=True)
        ridge = _checks.real("ridge", ridge, minimum=0, strict=True)
        m, w = self.mean.shape[1], self.weights
        p = np.ones(len(w))
        for _ in range(_ITERATIONS):
            S = ((n * w * p) @ self._second).reshape(m, m)
            S[np.diag_indices(m)] += ridge
            G = np.linalg.inv(S)
            new = 1 / (1 + np.maximum(self._second @ G.ravel(), 0))
            change, p = np.max(abs(np.log(new / p))), new
            if change < 1e-7:
                break
        else:
            warnings.warn(
                f"the shrinkage factors still change by {change:.1e}",
                ConvergenceWarning,
                stacklevel=2,
            )
        a = G @ (self.mean.T @ (n * w * p * self.target))
        second, fit = self._second.reshape(-1, m, m), self.mean @ a
        own = (self.target - fit) ** 2 + (second @ a) @ a - fit**2
        spread = [(G @ C @ G).ravel() for C in second]
        # from z' to z; it takes 1/p to less than 1/p - 1, so its spectral radius is below 1
        passed = (self._second @ np.array(spread).T) * (n * w * p**2)
        error = np.linalg.solve(np.eye(len(w)) - passed, own + passed.sum(1) * self.noise)
        return float(w @ error)
