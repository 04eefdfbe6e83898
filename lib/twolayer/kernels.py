"""Kernels of infinitely wide two-layer networks, as callables for scikit-learn.

Each takes two arrays of rows, ``k(x, z) -> (n, n')``, or two vectors, ``k(x, z) -> float``, so
that it serves ``KernelRidge(kernel="precomputed").fit(k(x, x), y)``, which is fast, and
``KernelRidge(kernel=k)``, which calls it pair by pair. Polynomial, Gaussian and linear kernels:
`sklearn.metrics.pairwise`.
"""

import numpy as np

from twolayer import _checks

__all__ = ["arc_cosine", "random_features", "relu_ntk"]


def _rows(x, z):
    x, z = _checks.real_array("x", x), _checks.real_array("z", x if z is None else z)
    single = x.ndim == z.ndim == 1
    x, z = np.atleast_2d(x), np.atleast_2d(z)
    if x.ndim != 2 or z.ndim != 2 or x.shape[1] != z.shape[1]:
        raise ValueError(f"x has shape {x.shape} and z {z.shape}; rows must have the same length")
    return x, z, (lambda k: float(k[0, 0])) if single else (lambda k: k)


def _angles(x, z):
    norms = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(z, axis=1)
    cosine = np.clip(x @ z.T / np.where(norms == 0, 1, norms), -1, 1)
    return norms, cosine, np.arccos(cosine)


def arc_cosine(x, z=None):
    """E[relu(w . x) relu(w . z)] over w ~ N(0, I/d): random ReLU features of infinite width.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
    z : array_like, shape (n', d) or (d,), optional
        `x` without it.

    Returns
    -------
    ndarray, shape (n, n'), or float
        In the units of ``|x| |z| / d``.

    Notes
    -----
    Cho & Saul 2009, the kernel of degree 1,
    ``|x| |z| (sin t + (pi - t) cos t) / (2 pi d)`` at the angle t.

    Examples
    --------
    >>> arc_cosine(np.array([2.0, 0.0]), np.array([2.0, 0.0]))  # E relu(g)^2 * 4 / 2
    1.0
    """
    x, z, out = _rows(x, z)
    norms, cosine, t = _angles(x, z)
    kernel = norms * (np.sin(t) + (np.pi - t) * cosine) / (2 * np.pi * x.shape[1])
    return out(kernel)


def relu_ntk(x, z=None):
    """The neural tangent kernel of a two-layer ReLU network without biases, both layers trained.

    The sum of `arc_cosine` (the readout's part) and of x.z/d E[1(w.x > 0) 1(w.z > 0)] (the first
    layer's), with entries of a of order 1.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
    z : array_like, shape (n', d) or (d,), optional
        `x` without it.

    Returns
    -------
    ndarray, shape (n, n'), or float

    Notes
    -----
    Jacot, Gabriel & Hongler 2018; the step function's kernel is (pi - t) / (2 pi).

    Examples
    --------
    >>> relu_ntk(np.array([2.0, 0.0]), np.array([2.0, 0.0]))
    2.0
    """
    x, z, out = _rows(x, z)
    norms, cosine, t = _angles(x, z)
    scale = norms / (2 * np.pi * x.shape[1])
    return out(scale * (np.sin(t) + 2 * (np.pi - t) * cosine))


def random_features(network):
    """The kernel of a network's own features: features(x) . features(z).

    Parameters
    ----------
    network : TwoLayer

    Returns
    -------
    callable
        Kernel of rows, as the others of this module.
    """

    def kernel(x, z=None):
        x, z, out = _rows(x, z)
        f = network.features(x).detach().double().numpy()
        return out(f @ (f if z is x else network.features(z).detach().double().numpy()).T)

    return kernel
