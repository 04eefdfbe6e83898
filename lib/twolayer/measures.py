"""What a first layer has learnt, or would learn: spectra, overlaps, gradient features, accuracy."""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.cluster import KMeans

from twolayer import _checks

__all__ = [
    "accuracy",
    "cluster_directions",
    "cosine",
    "in_cone",
    "kernel_alignment",
    "leading_singular",
    "recovered_mass",
    "singular_values",
    "squared_overlap",
    "subspace_overlap",
]


def _cpu(value):
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _matrix(name, value):
    return _checks.tensor(name, _cpu(value), 2, dtype=torch.float64).numpy()


def _vector(name, value):
    v = _checks.tensor(name, _cpu(value), 1, dtype=torch.float64).numpy()
    if not v.any():
        raise ValueError(f"{name} is the zero vector; it has no direction")
    return v


def singular_values(W):
    """Singular values of `W`, descending.

    Parameters
    ----------
    W : array or tensor, shape (m, d)

    Returns
    -------
    ndarray, shape (min(m, d),)
    """
    W = _matrix("W", W)
    gram = W @ W.T if len(W) < W.shape[1] else W.T @ W
    return np.sqrt(np.linalg.eigvalsh(gram)[::-1].clip(min=0))


def leading_singular(W):
    """The largest singular value of `W` with its two singular vectors, by Lanczos (ARPACK).

    Parameters
    ----------
    W : array or tensor, shape (m, d)

    Returns
    -------
    value : float
    neurons : ndarray, shape (m,)
        The left vector, of unit norm: a number a neuron.
    inputs : ndarray, shape (d,)
        The right vector, of unit norm: a direction in input space.

    Raises
    ------
    scipy.sparse.linalg.ArpackNoConvergence
        If the iteration does not converge.

    Examples
    --------
    >>> value, u, v = leading_singular(np.diag([1.0, 3.0, 2.0]))
    >>> round(value, 12), abs(v).round(12)
    (3.0, array([0., 1., 0.]))
    """
    W = _matrix("W", W)
    d = W.shape[1]
    if min(W.shape) < 3:  # ARPACK needs room
        u, s, vt = np.linalg.svd(W, full_matrices=False)
        return float(s[0]), u[:, 0], vt[0]
    gram = LinearOperator((d, d), matvec=lambda v: W.T @ (W @ v), dtype=float)
    start = W.T @ (W @ np.ones(d))  # a fixed start: the same digits on every run
    _, v = eigsh(gram, k=1, v0=start if start.any() else np.ones(d), tol=1e-8)
    u = W @ v[:, 0]
    value = float(np.linalg.norm(u))
    return value, u / (value or 1.0), v[:, 0]


def squared_overlap(u, v):
    """Squared cosine of the angle between two vectors, in [0, 1].

    Parameters
    ----------
    u, v : array or tensor, shape (d,)
        Not zero.

    Returns
    -------
    float

    Examples
    --------
    >>> round(squared_overlap([1.0, 0.0], [1.0, 1.0]), 12)
    0.5
    """
    u, v = _vector("u", u), _vector("v", v)
    if len(u) != len(v):
        raise ValueError(f"u has {len(u)} entries and v has {len(v)}; they must have the same")
    return float((u @ v / (np.linalg.norm(u) * np.linalg.norm(v))) ** 2)


def cosine(W, direction):
    """Cosine between each neuron and a direction.

    Parameters
    ----------
    W : array or tensor, shape (m, d)
    direction : array or tensor, shape (d,)
        Not zero.

    Returns
    -------
    ndarray, shape (m,)
        In [-1, 1]; 0 for a neuron with zero weights.

    Examples
    --------
    >>> cosine([[2.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
    array([1., 0.])
    """
    W, v = _matrix("W", W), _vector("direction", direction)
    if W.shape[1] != len(v):
        raise ValueError(f"direction has {len(v)} entries; W has {W.shape[1]} columns")
    norms = np.linalg.norm(W, axis=1) * np.linalg.norm(v)
    return W @ v / np.where(norms == 0, 1, norms)


def subspace_overlap(W, U):
    """How much of span(U) the leading input directions of a first layer hold.

    The mean squared cosine of the principal angles between span(U) and the span of the top r
    right singular vectors of `W`.

    Parameters
    ----------
    W : array or tensor, shape (m, d)
        At least r rows.
    U : array or tensor, shape (r, d)
        Rows of rank r, not necessarily orthonormal.

    Returns
    -------
    float
        In [0, 1]; for independent subspaces about r/d.

    Raises
    ------
    ValueError
        If shapes do not fit, r > min(m, d), or the rows of `U` are linearly dependent.

    Notes
    -----
    Where the r-th and the next singular value are equal, the leading subspace is not unique.

    Examples
    --------
    >>> round(subspace_overlap(np.diag([3.0, 2.0, 1.0]), [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), 9)
    0.5
    """
    W, U = _matrix("W", W), _matrix("U", U)
    r, d = U.shape
    if W.shape[1] != d or r == 0 or r > min(W.shape):
        raise ValueError(
            f"U has shape {U.shape} and W {W.shape}; U must have as many columns, and between 1 "
            f"and {min(W.shape)} rows"
        )
    if np.linalg.matrix_rank(U) < r:
        raise ValueError(f"the {r} rows of U are linearly dependent; they must span {r} directions")
    basis = np.linalg.qr(U.T)[0]
    if len(W) >= d:
        top = np.linalg.eigh(W.T @ W)[1][:, -r:]
    else:
        top = np.linalg.svd(W, full_matrices=False)[2][:r].T
    return float(np.minimum(np.square(top.T @ basis).sum() / r, 1.0))


def recovered_mass(W, a, directions, signs, degrees=5.0):
    """Share of the neurons' mass, ``|a_i| |w_i|``, near given lines, on neurons of the right sign.

    Parameters
    ----------
    W : array or tensor, shape (m, d)
    a : array or tensor, shape (m,)
    directions : array or tensor, shape (k, d)
        Rows, not zero; w and -w are the same line, as for an even activation.
    signs : array_like, shape (k,)
        Each -1 or 1: the sign of the readout that counts at each direction.
    degrees : float
        Largest angle that counts as near, in degrees.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a sign is not -1 or 1, a direction is zero
        or all mass is zero.

    Notes
    -----
    A neuron is compared with the line that is nearest to it. Unlike `subspace_overlap` it tells
    directions from a subspace. The mass is the path norm, which weight decay pays for.

    Examples
    --------
    >>> recovered_mass(np.eye(2), [1.0, 3.0], [[-1.0, 0.0]], [1.0])
    0.25
    """
    W, a, directions = _matrix("W", W), _vector("a", a), _matrix("directions", directions)
    signs = _checks.signs("signs", signs, len(directions))
    if a.shape != (len(W),):
        raise ValueError(f"a has shape {a.shape}; W has {len(W)} rows (neurons)")
    if not len(directions):
        raise ValueError("directions holds no row; it must be (k, d)")
    if _checks.real("degrees", degrees, minimum=0) > 90:
        raise ValueError(f"degrees={degrees} must be at most 90: the largest angle of two lines")
    cosines = abs(np.stack([cosine(W, u) for u in directions], axis=1))
    nearest = cosines.argmax(1)
    mass = abs(a) * np.linalg.norm(W, axis=1)
    if not mass.any():
        raise ValueError("W and a have no mass: every product of norm and readout is zero")
    near = (cosines.max(1) >= np.cos(np.radians(degrees))) & (np.sign(a) == signs[nearest])
    return float(mass[near].sum() / mass.sum())


def in_cone(gradients, directions, gamma, bound=0.0):
    """Which gradients lie in the cone of which direction: cosine >= 1 - gamma, and norm >= bound.

    Parameters
    ----------
    gradients : array or tensor, shape (m, d)
    directions : array or tensor, shape (k, d)
        Not zero.
    gamma : float
        Width of the cone, in (0, 2).
    bound : float
        Least norm.

    Returns
    -------
    ndarray of bool, shape (m, k)
        A column's mean estimates p: with it (D, sign of b) belongs to the simplified gradient set
        S(p, gamma, bound).

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a direction is zero or `gamma` out of range.

    Notes
    -----
    Shi, Wei & Liang 2023, definition of the simplified gradient set.

    Examples
    --------
    >>> in_cone([[1.0, 0.1], [0.0, 2.0]], [[1.0, 0.0]], gamma=0.1)
    array([[ True],
           [False]])
    """
    if not 0 < _checks.real("gamma", gamma) < 2:
        raise ValueError(f"gamma={gamma} must be in (0, 2)")
    bound = _checks.real("bound", bound, minimum=0)
    gradients = _matrix("gradients", gradients)
    cosines = np.stack([cosine(gradients, D) for D in _matrix("directions", directions)], 1)
    norms = np.linalg.norm(gradients, axis=1)
    return (cosines >= 1 - gamma) & ((norms >= bound) & (norms > 0))[:, None]


def cluster_directions(gradients, clusters, random_state=0):
    """The directions that gradients gather around, without knowing them: k-means of unit vectors.

    Parameters
    ----------
    gradients : array or tensor, shape (m, d)
        At least `clusters` of them not zero.
    clusters : int
        Number of clusters.
    random_state : int
        Seed of `sklearn.cluster.KMeans`.

    Returns
    -------
    directions : ndarray, shape (clusters, d)
        Unit vectors, the largest cluster first.
    labels : ndarray of int, shape (m,)
        The cluster of each gradient; -1 for a gradient that is zero.

    Raises
    ------
    ValueError, TypeError
        If fewer than `clusters` gradients are not zero, or the gradients of a cluster cancel.

    Examples
    --------
    >>> directions, labels = cluster_directions([[1, 0], [2, 0], [0, 3]], 2)
    >>> directions, labels
    (array([[1., 0.],
           [0., 1.]]), array([0, 0, 1]))
    """
    gradients, clusters = (
        _matrix("gradients", gradients),
        _checks.positive_int("clusters", clusters),
    )
    norms = np.linalg.norm(gradients, axis=1)
    here = norms > 0
    if here.sum() < clusters:
        raise ValueError(
            f"clusters={clusters} needs {clusters} gradients that are not zero, got {here.sum()}"
        )
    unit = gradients[here] / norms[here, None]
    means = KMeans(clusters, n_init=10, random_state=random_state).fit(unit)
    order = np.argsort(-np.bincount(means.labels_, minlength=clusters), kind="stable")
    labels = np.full(len(gradients), -1)
    labels[here] = np.argsort(order)[means.labels_]
    centres = means.cluster_centers_[order]
    length = np.linalg.norm(centres, axis=1, keepdims=True)
    if (length < 1e-12).any():
        raise ValueError(f"clusters={clusters} is too few: the gradients of one of them cancel")
    return centres / length, labels


def kernel_alignment(K, L):
    """Cosine between two kernel matrices, or between a kernel matrix and labels.

    Parameters
    ----------
    K : array or tensor, shape (n, n)
    L : array or tensor, shape (n, n) or (n,)
        A vector y stands for the matrix y y^T.

    Returns
    -------
    float
        <K, L> / (norm of K times norm of L), Frobenius; 1 for proportional matrices.

    Raises
    ------
    ValueError
        If shapes do not fit or a matrix is zero.

    Notes
    -----
    Cristianini et al. 2001. For a network's tangent kernel before and after training, one minus
    this is how far the kernel moved.

    Examples
    --------
    >>> round(kernel_alignment(np.eye(2), [1.0, 1.0]), 6)
    0.707107
    """
    if np.ndim(L) == 1:
        L = _vector("L", L)
        L = np.outer(L, L)
    K, L = _matrix("K", K), _matrix("L", L)
    if K.shape != L.shape or K.shape[0] != K.shape[1]:
        raise ValueError(f"K has shape {K.shape} and L {L.shape}; both must be (n, n)")
    norms = np.linalg.norm(K) * np.linalg.norm(L)
    if norms == 0:
        raise ValueError("K and L must not be zero")
    return float((K * L).sum() / norms)


def accuracy(outputs, y):
    """Share of outputs with the label's sign; an output of exactly zero counts one half.

    Parameters
    ----------
    outputs : array or tensor, shape (..., n)
    y : array or tensor, shape (..., n)
        Labels, -1 or 1.

    Returns
    -------
    ndarray, shape (...), or float

    Raises
    ------
    ValueError
        If shapes do not fit or a label is not -1 or 1.

    Examples
    --------
    >>> float(accuracy([2.0, -1.0, 0.0, -3.0], [1, 1, 1, -1]))
    0.625
    """
    outputs, y = _checks.real_array("outputs", _cpu(outputs)), _checks.real_array("y", _cpu(y))
    if outputs.ndim == 0 or outputs.shape[-1] == 0:
        raise ValueError(f"outputs has shape {outputs.shape}; its last axis must hold samples")
    if not np.isin(y, (-1, 1)).all():
        raise ValueError("y must hold labels -1 or 1")
    if outputs.shape[-1:] != y.shape[-1:]:
        raise ValueError(f"outputs has shape {outputs.shape} and y {y.shape}; they must fit")
    return ((np.sign(outputs) * y + 1) / 2).mean(-1)[()]
