"""What a first layer has learnt, or would learn: spectra, cosines, overlaps, accuracy.

Where a function takes a first layer `W`, it also takes a whole network: a `TwoLayer`, any
`torch.nn.Module`, of which it reads the first parameter with two axes or more, or scikit-learn's
`MLPRegressor`, fitted.
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, _renamed

__all__ = [
    "accuracy",
    "cluster_directions",
    "cosine",
    "leading_singular",
    "recovered_mass",
    "singular_values",
    "squared_overlap",
    "subspace_overlap",
]

__getattr__ = _renamed.names_of(__name__)

_DENSE = 64  # the smaller side of a matrix up to which all singular values cost as little as one


def singular_values(W: Any) -> np.ndarray:
    """Singular values of `W`, descending, each to the rounding of the largest.

    Parameters
    ----------
    W : array_like, shape (m, d)

    Notes
    -----
    From `W` itself: the roots of the eigenvalues of W'W cost a third as much, of tall matrices a
    tenth, but what is below 1e-8 of the largest is noise in them.

    Examples
    --------
    >>> singular_values([[3.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    array([4., 3.])
    """
    return np.linalg.svd(_triangle(_layer("W", W)), compute_uv=False)


def leading_singular(W: Any) -> tuple[float, np.ndarray, np.ndarray]:
    """The largest singular value of `W` with its two singular vectors, by Lanczos (ARPACK).

    Parameters
    ----------
    W : array_like, shape (m, d)
        Not zero.

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
    >>> round(value, 12), abs(v).round(12) + 0.0
    (3.0, array([0., 1., 0.]))
    """
    W = _layer("W", W)
    size = abs(W).max(initial=0.0)
    if size == 0:
        raise ValueError(f"W, of shape {W.shape}, is zero; it has no leading direction")
    scaled = W / size
    if min(W.shape) <= _DENSE:
        inputs = np.linalg.svd(_triangle(scaled), full_matrices=False)[2][0]
    else:
        inputs = _lanczos(scaled)
    neurons = scaled @ inputs
    value = np.linalg.norm(neurons)
    return float(size * value), neurons / value, inputs


def _lanczos(W):
    """The leading right singular vector, from a fixed start that no structure of `W` knows."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    d = W.shape[1]
    gram = LinearOperator((d, d), matvec=lambda v: W.T @ (W @ v), dtype=float)
    start = np.random.default_rng(0).standard_normal(d)
    return eigsh(gram, k=1, v0=start, tol=1e-8)[1][:, 0]


def squared_overlap(u: ArrayLike, v: ArrayLike) -> float:
    """Squared cosine of the angle between two vectors, ``(u . v / (|u| |v|))^2``, in [0, 1].

    Parameters
    ----------
    u, v : array_like, shape (d,)
        Not zero.

    Examples
    --------
    >>> round(squared_overlap([1.0, 0.0], [1.0, 1.0]), 12)
    0.5
    """
    u, v = _direction("u", u), _direction("v", v)
    if len(u) != len(v):
        raise ValueError(f"u has {len(u)} entries and v has {len(v)}; they must have the same")
    return min(float(u @ v) ** 2, 1.0)


def cosine(W: Any, direction: ArrayLike) -> np.ndarray:
    """Cosine between each neuron and a direction, ``w . v / (|w| |v|)``, signed; 0 where w is 0.

    Parameters
    ----------
    W : array_like, shape (m, d)
    direction : array_like, shape (d,)
        Not zero.

    Examples
    --------
    >>> cosine([[2.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
    array([1., 0.])
    """
    W, v = _layer("W", W), _direction("direction", direction)
    if W.shape[1] != len(v):
        raise ValueError(f"direction has {len(v)} entries; W has {W.shape[1]} columns")
    return np.clip(_unit(W) @ v, -1, 1)


def subspace_overlap(W: Any, U: ArrayLike) -> float:
    """How much of span(U) the leading input directions of a first layer hold.

    The mean squared cosine of the principal angles between span(U) and the span of the top r
    right singular vectors of `W`, of which those with singular value zero hold nothing.

    Parameters
    ----------
    W : array_like, shape (m, d)
        At least r rows.
    U : array_like, shape (r, d)
        Rows of rank r, of any lengths, not necessarily orthogonal.

    Notes
    -----
    For independent subspaces about r/d. Where the r-th and the next singular value are equal, the
    leading subspace is not unique.

    Examples
    --------
    >>> round(subspace_overlap(np.diag([3.0, 2.0, 1.0]), [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), 9)
    0.5
    """
    W, U = _layer("W", W), _checks.real_array("U", U, 2, copy=False)
    r, d = U.shape
    if W.shape[1] != d or r == 0 or r > min(W.shape):
        raise ValueError(
            f"U has shape {U.shape} and W {W.shape}; U must have as many columns, and between 1 "
            f"and {min(W.shape)} rows"
        )
    rows = _unit(U)
    if np.linalg.matrix_rank(rows) < r:
        raise ValueError(f"the {r} rows of U are linearly dependent; they must span {r} directions")
    values, right = np.linalg.svd(_triangle(W), full_matrices=False)[1:]
    held = right[:r][values[:r] > values[0] * max(W.shape) * np.finfo(float).eps]
    overlap = np.square(held @ np.linalg.qr(rows.T)[0]).sum() / r
    return min(float(overlap), 1.0)


def recovered_mass(
    W: Any, a: ArrayLike, directions: ArrayLike, signs: ArrayLike, degrees: float = 5.0
) -> float:
    """Share of the neurons' mass, ``|a_i| |w_i|``, near given lines, on neurons of the right sign.

    Parameters
    ----------
    W : array_like, shape (m, d)
    a : array_like, shape (m,)
    directions : array_like, shape (k, d)
        Rows, not zero; w and -w are the same line, as for an even activation.
    signs : array_like, shape (k,)
        Each -1 or 1: the sign of the readout that counts at each direction.
    degrees : float
        Largest angle that counts as near, in degrees, at most 90.

    Notes
    -----
    A neuron is compared with the line that is nearest to it. Unlike `subspace_overlap` it tells
    directions from a subspace. The mass is the path norm, which weight decay pays for.

    Examples
    --------
    >>> recovered_mass(np.eye(2), [1.0, 3.0], [[-1.0, 0.0]], [1.0])
    0.25
    """
    W, a = _layer("W", W), _checks.real_array("a", a, 1)
    directions = _checks.real_array("directions", directions, 2)
    signs = _checks.signs("signs", signs, len(directions))
    if a.shape != (len(W),):
        raise ValueError(f"a has shape {a.shape}; W has {len(W)} rows (neurons)")
    if not len(directions):
        raise ValueError("directions holds no row; it must be (k, d)")
    if directions.shape[1] != W.shape[1]:
        raise ValueError(f"directions has shape {directions.shape}; W has {W.shape[1]} columns")
    if not directions.any(axis=1).all():
        raise ValueError("directions holds a zero row; it has no direction")
    if _checks.real("degrees", degrees, minimum=0) > 90:
        raise ValueError(f"degrees={degrees} must be at most 90: the largest angle of two lines")
    length = np.linalg.norm(W / (abs(W).max() or 1.0), axis=1)  # of the largest entry
    mass = abs(a) / (abs(a).max() or 1.0) * length
    if not mass.any():
        raise ValueError("W and a have no mass: every product of norm and readout is zero")
    chords = np.stack([_chord(_unit(W), line) for line in _unit(directions)], axis=1)
    nearest = chords.argmin(1)
    radius = 2 * math.sin(math.radians(degrees) / 2) + 1e-14  # parallel is near, rounded or not
    near = (chords.min(1) <= radius) & (np.sign(a) == signs[nearest])
    return float(mass[near].sum() / mass.sum())


def _chord(units, line):
    """2 sin(angle / 2) between unit vectors and a line: exact also where a cosine is 1."""
    side = np.where(units @ line < 0, -1.0, 1.0)[:, None]
    return np.linalg.norm(side * units - line, axis=1)


def cluster_directions(
    gradients: ArrayLike, clusters: int, random_state: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The directions that gradients gather around, without knowing them: k-means of unit vectors.

    Parameters
    ----------
    gradients : array_like, shape (m, d)
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
    ValueError
        If fewer than `clusters` gradients are not zero, or the gradients of a cluster cancel.

    Examples
    --------
    >>> directions, labels = cluster_directions([[1, 0], [2, 0], [0, 3]], 2)
    >>> directions, labels
    (array([[1., 0.],
           [0., 1.]]), array([0, 0, 1]))
    """
    gradients = _layer("gradients", gradients)
    clusters = _checks.positive_int("clusters", clusters)
    here = gradients.any(axis=1)
    if here.sum() < clusters:
        raise ValueError(
            f"clusters={clusters} needs {clusters} gradients that are not zero, got {here.sum()}"
        )
    from sklearn.cluster import KMeans  # here: it takes longer to load than the rest of the library

    means = KMeans(clusters, n_init=10, random_state=random_state).fit(_unit(gradients[here]))
    order = np.argsort(-np.bincount(means.labels_, minlength=clusters), kind="stable")
    labels = np.full(len(gradients), -1)
    labels[here] = np.argsort(order)[means.labels_]
    centres = means.cluster_centers_[order]
    if (np.linalg.norm(centres, axis=1) < 1e-12).any():
        raise ValueError(f"clusters={clusters} is too few: the gradients of one of them cancel")
    return _unit(centres), labels


def accuracy(outputs: ArrayLike, y: ArrayLike) -> np.ndarray | float:
    """Share of outputs with the label's sign; an output of exactly zero counts one half.

    Parameters
    ----------
    outputs : array_like, shape (..., n)
    y : array_like, shape (..., n)
        Labels, -1 or 1.

    Examples
    --------
    >>> float(accuracy([2.0, -1.0, 0.0, -3.0], [1, 1, 1, -1]))
    0.625
    """
    outputs, y = _checks.real_array("outputs", outputs), _checks.real_array("y", y)
    if outputs.ndim == 0 or outputs.shape[-1] == 0:
        raise ValueError(f"outputs has shape {outputs.shape}; its last axis must hold samples")
    if not np.isin(y, (-1, 1)).all():
        raise ValueError("y must hold labels -1 or 1")
    try:
        np.broadcast_shapes(outputs.shape, y.shape)
        fits = outputs.shape[-1:] == y.shape[-1:]
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"outputs has shape {outputs.shape} and y {y.shape}; they must fit")
    return ((np.sign(outputs) * y + 1) / 2).mean(-1)[()]


def _layer(name, value):
    """A first layer as a matrix: `value` itself, or the weights of the network that it is."""
    if not hasattr(value, "__array__"):  # no array, tensor or data frame
        if hasattr(value, "W"):
            value = value.W
        elif callable(getattr(value, "parameters", None)):
            weights = [p for p in value.parameters() if p.ndim > 1]
            if not weights:
                raise TypeError(f"{name} is a {type(value).__name__} without a layer of weights")
            value = weights[0]
        elif hasattr(value, "hidden_layer_sizes"):  # of scikit-learn
            value = _fitted(value).coefs_[0].T
        elif not isinstance(value, Sequence | numbers.Real | None):
            raise TypeError(
                f"{name} is a {type(value).__name__}; it must be a matrix, a TwoLayer, a "
                "torch.nn.Module or a fitted MLPRegressor"
            )
    return _checks.real_array(name, value, 2, copy=False)


def _fitted(model):
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    return model


def _triangle(W):
    """A matrix with the singular values and right vectors of `W`, and no more rows than columns."""
    return W if len(W) <= W.shape[1] else np.linalg.qr(W, mode="r")


def _direction(name, value):
    """A vector, scaled to unit norm."""
    v = _checks.real_array(name, value, 1)
    if not v.any():
        raise ValueError(f"{name} is the zero vector; it has no direction")
    return _unit(v)


def _unit(rows):
    """Rows scaled to unit norm, also where their squares are out of range; zero stays zero."""
    size = abs(rows).max(-1, initial=0.0, keepdims=True)
    scaled = rows / np.where(size == 0, 1, size)
    norms = np.linalg.norm(scaled, axis=-1, keepdims=True)
    return scaled / np.where(norms == 0, 1, norms)
