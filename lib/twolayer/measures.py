"""What a first layer has learnt: spectra, overlaps, alignments."""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from twolayer import _checks

__all__ = [
    "alignment",
    "leading_singular",
    "singular_values",
    "squared_overlap",
    "subspace_overlap",
]


def _matrix(name, value):
    value = value.detach().cpu() if isinstance(value, torch.Tensor) else value
    return _checks.tensor(name, value, 2, dtype=torch.float64).numpy()


def _vector(name, value):
    value = value.detach().cpu() if isinstance(value, torch.Tensor) else value
    v = _checks.tensor(name, value, 1, dtype=torch.float64).numpy()
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


def alignment(W, direction):
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
    >>> alignment([[2.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
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
