"""Lottery tickets: the neurons or weights of an untrained network that would do the work alone.

Weights are chosen by iterative magnitude pruning with rewinding (Frankle & Carbin 2019), or by
learning a mask and nothing else (Zhou et al. 2019, who call it a supermask; Ramanujan et al. 2020).
Masks are boolean arrays of the shape of the first layer, stacks of them for stacks of networks:
True is kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, gradients
from twolayer.network import TwoLayer

__all__ = [
    "iterative_pruning",
    "magnitude_mask",
    "masked",
    "random_mask",
    "subnetwork",
    "supermask",
]


def subnetwork(network: TwoLayer, neurons: ArrayLike) -> TwoLayer:
    """Some neurons of a network, with the weights they have, as a network of its own.

    Its readout is scaled by sqrt(s/m), so that its outputs are what these s neurons add to those of
    `network`.

    Parameters
    ----------
    network : TwoLayer
    neurons : array_like of int, shape (s,), or of bool, shape (m,)
        Rows of W, each at most once; or which rows.

    Examples
    --------
    >>> net = TwoLayer(np.eye(4), [1.0, 2.0, 3.0, 4.0], "relu")
    >>> subnetwork(net, [2])([[0.0, 0.0, 5.0, 0.0]])  # 3 * 5 / sqrt(4)
    array([7.5])
    """
    if network.shape:
        raise ValueError(f"network is a stack of shape {network.shape}; it must be one network")
    rows = _rows(neurons, network.m)
    a = network.a[rows] * math.sqrt(len(rows) / network.m)  # eq-lt-ticket
    return TwoLayer(network.W[rows], a, network.activation, network.b[rows])


def _rows(neurons, m):
    """Neurons as row numbers, or an error unless they name some of m, each once."""
    rows = np.asarray(neurons)
    if rows.ndim != 1:
        raise ValueError(f"neurons has shape {rows.shape}; it must be (s,), or ({m},) of booleans")
    if rows.dtype == bool:
        if rows.shape != (m,):
            raise ValueError(f"neurons has shape {rows.shape}; a mask of neurons must be ({m},)")
        rows = np.flatnonzero(rows)
    if rows.size == 0:
        raise ValueError("neurons is an empty ticket; it must name at least one neuron")
    if not np.issubdtype(rows.dtype, np.integer) or rows.min() < 0 or rows.max() >= m:
        raise ValueError(f"neurons={rows} must be integers between 0 and {m - 1}")
    if len(np.unique(rows)) < len(rows):
        raise ValueError(f"neurons={rows} must name each neuron at most once")
    return rows


def masked(network: TwoLayer, mask: ArrayLike) -> TwoLayer:
    """A network, or each of a stack, under a mask of its first layer: zero where it is False.

    The bias and readout of a neuron without inputs are zero too: it would be a constant.

    Parameters
    ----------
    network : TwoLayer
    mask : array_like of bool, of the shape of W

    Examples
    --------
    >>> masked(TwoLayer([[3.0, 1.0]], [1.0], "relu"), [[False, True]]).W
    array([[0., 1.]])
    """
    mask = _boolean(mask, tuple(network.W.shape))
    alive = mask.any(-1)
    outputs = alive if network.a.ndim == alive.ndim else alive[..., None]
    W = _gated(network.W, mask)  # eq-lt-mask
    return TwoLayer(W, _gated(network.a, outputs), network.activation, _gated(network.b, alive))


def _gated(values, gate):
    if isinstance(values, np.ndarray):
        return np.where(gate, values, 0)
    return values * values.new_tensor(gate)


def _boolean(mask, shape):
    """A mask as a boolean array, or an error unless it is one of this shape that keeps weights."""
    mask = np.asarray(mask.cpu() if hasattr(mask, "cpu") else mask)
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape}; it must be {shape}")
    if not np.isin(mask, (0, 1)).all():
        raise ValueError("mask must hold booleans, or zeros and ones")
    if not mask.any((-2, -1)).all():
        raise ValueError("mask holds an empty ticket: each must keep at least one weight")
    return mask.astype(bool)


def _kept(sparsity, size):
    """How many of `size` weights are left."""
    sparsity = _checks.real("sparsity", sparsity)
    if not 0 < sparsity < 1:
        raise ValueError(f"sparsity={sparsity} must be in (0, 1)")
    if not (kept := round((1 - sparsity) * size)):
        raise ValueError(f"sparsity={sparsity} leaves an empty ticket: none of {size} weights")
    return kept


def _largest(values, count):
    """Where the `count` largest of each row are; of equal ones, the first."""
    order = np.argsort(-values, axis=-1, kind="stable")[..., :count]
    out = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(out, order, True, axis=-1)
    return out


def magnitude_mask(
    weights: ArrayLike, sparsity: float, mask: ArrayLike | None = None
) -> np.ndarray:
    """Keep the round((1 - sparsity) m d) weights of largest magnitude; of equal ones, the first.

    Parameters
    ----------
    weights : array_like, shape (..., m, d)
    sparsity : float
        Share of all weights to remove, in (0, 1).
    mask : array_like of bool, shape (..., m, d), optional
        Keep only among these: masks of rising sparsity are nested.

    Examples
    --------
    >>> magnitude_mask([[3.0, -1.0], [0.5, -2.0]], sparsity=0.5)
    array([[ True, False],
           [False,  True]])
    """
    size = abs(_checks.real_array("weights", weights))
    if size.ndim < 2:
        raise ValueError(f"weights has shape {size.shape}; it must be (..., m, d)")
    kept = _kept(sparsity, math.prod(size.shape[-2:]))
    if mask is not None:
        mask = _boolean(mask, size.shape)
        left = mask.sum((-2, -1)).min()
        if kept > left:
            raise ValueError(f"sparsity={sparsity} keeps {kept} weights, mask keeps only {left}")
        size = np.where(mask, size, -1.0)
    flat = size.reshape(*size.shape[:-2], -1)
    return _largest(flat, kept).reshape(size.shape)  # eq-lt-imp


def random_mask(shape: tuple[int, int], sparsity: float, rng: np.random.Generator) -> np.ndarray:
    """Keep as many weights as `magnitude_mask` does, each set of them with equal odds.

    Parameters
    ----------
    shape : (int, int)
    sparsity : float
        Share of all weights to remove, in (0, 1).
    rng : numpy.random.Generator

    Examples
    --------
    >>> int(random_mask((4, 5), 0.9, np.random.default_rng(0)).sum())
    2
    """
    m, d = (_checks.positive_int("shape", v) for v in shape)
    kept = _kept(sparsity, m * d)
    mask = np.zeros(m * d, dtype=bool)
    mask[_checks.generator(rng).choice(m * d, kept, replace=False)] = True
    return mask.reshape(m, d)


def iterative_pruning(
    network: TwoLayer,
    train: Callable[[TwoLayer, np.ndarray], TwoLayer],
    sparsities: Sequence[float],
) -> tuple[np.ndarray, TwoLayer]:
    """Train, remove the smallest weights, set the others back to where they started, and again.

    Frankle & Carbin 2019, with rewinding to the initialisation.

    Parameters
    ----------
    network : TwoLayer, one or a stack, as it starts
    train : callable
        ``train(network, masks)`` returns the network trained under masks of the shape of W, as
        `twolayer.descent.descend` does with the masks of `twolayer.descent.sgd`.
    sparsities : sequence of float
        Shares of all weights that are gone after each round, in (0, 1), rising.

    Returns
    -------
    masks : ndarray of bool, shape (1 + rounds, ..., m, d)
        All True first, then one a sparsity, each within the last.
    trained : TwoLayer
        A stack along the same first axis: the networks trained under these masks, from their start.

    Examples
    --------
    >>> net = TwoLayer([[3.0, 1.0], [-2.0, 0.1]], [1.0, 1.0], "relu")
    >>> masks, trained = iterative_pruning(net, masked, [0.5])
    >>> masks.astype(int).tolist(), trained[1].W.tolist()
    ([[[1, 1], [1, 1]], [[1, 0], [1, 0]]], [[3.0, 0.0], [-2.0, 0.0]])
    """
    sparsities = list(sparsities)
    for sparsity in sparsities:
        _kept(sparsity, network.m * network.d)
    if any(after <= before for before, after in itertools.pairwise(sparsities)):
        raise ValueError(f"sparsities={sparsities} must rise")
    masks = [np.ones(network.W.shape, dtype=bool)]
    trained = [_trained(train, network, masks[0])]
    for sparsity in sparsities:
        masks.append(magnitude_mask(trained[-1].W, sparsity, masks[-1]))
        trained.append(_trained(train, network, masks[-1]))
    return np.stack(masks), TwoLayer.stack(trained)


def _trained(train, network, mask):
    out = train(network, mask)
    if not isinstance(out, TwoLayer) or out.W.shape != network.W.shape:
        raise TypeError(f"train returned {out!r}; it must return a network like {network!r}")
    return out


def supermask(
    network: TwoLayer,
    x: ArrayLike,
    y: ArrayLike,
    *,
    sparsity: float,
    eta: float,
    steps: int,
    rng: np.random.Generator | Sequence[np.random.Generator],
    unit: str = "weight",
    loss: str = "logistic",
    momentum: float = 0.9,
) -> np.ndarray:
    """Learn which weights to keep, and train none of them: edge-popup.

    Each weight has a score; the weights of the highest scores are kept. The gradient in a score is
    that in the weight times the weight, as if the mask were not there; here of norm one. Of
    weights, a neuron of which nothing is kept has no gradient; the score of a neuron is a gate on
    its readout, and has one. Ramanujan et al. 2020.

    Parameters
    ----------
    network : TwoLayer, one or a stack
    x : array_like, shape (n, d), or (..., n, d) with the stack's leading axes
    y : array_like, shape (n,), or (..., n); labels, -1 or 1
    sparsity : float
        Share of the weights (or neurons) removed, in (0, 1).
    eta : float
        Step size of the scores, > 0.
    steps : int
    rng : numpy.random.Generator, or one for each network
        Draws the scores to start from, uniform in [0, 1].
    unit : {"weight", "neuron"}
        What has a score: a weight of the first layer, or a neuron with all its weights.
    loss : {"logistic", "hinge", "squared", "centred"}
    momentum : float
        In [0, 1).

    Returns
    -------
    ndarray of bool, of the shape of W
        The masks after the last step. For the networks under them, see `masked`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> net, x = TwoLayer.mean_field(64, 2, "relu", rng), rng.standard_normal((200, 2))
    >>> mask = supermask(net, x, np.sign(x[:, 0]), sparsity=0.5, eta=0.3, steps=50, rng=rng)
    >>> int(mask.sum())
    64
    """
    _checks.one_of("unit", unit, ("weight", "neuron"))
    eta = _checks.real("eta", eta, minimum=0, strict=True)
    if _checks.real("momentum", momentum, minimum=0) >= 1:
        raise ValueError(f"momentum={momentum} must be below 1")
    steps = _checks.positive_int("steps", steps)
    network = gradients._in_numpy(network)
    name = "W" if unit == "weight" else "a"  # the gate of a neuron is on its readout
    gated = getattr(network, name)
    size = math.prod(gated.shape[len(network.shape) :])
    kept = _kept(sparsity, size)
    scores = _scores(rng, network, size)
    velocity = np.zeros_like(scores)
    for _ in range(steps):
        now = _under(network, _largest(scores, kept), unit)
        slope = gradients.loss_gradient(now, x, y, loss)[name]
        step = -(slope * gated).reshape(scores.shape)  # eq-lt-popup
        velocity = momentum * velocity + _unit(step)
        scores = scores + eta * velocity
    return _as_mask(_largest(scores, kept), network, unit)


def _unit(rows):
    """Rows scaled to norm one, of entries whose squares may underflow; a row of zeros stays."""
    largest = abs(rows).max(-1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1)
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1)


def _scores(rng, network, size):
    """Uniform scores, a row a network."""
    count = math.prod(network.shape)
    rngs = [rng] if not network.shape else rng
    if isinstance(rngs, np.random.Generator):
        rngs = rngs.spawn(count)
    draws = [g.random(size) for g in _checks.generators("rng", rngs, count)]
    return np.reshape(draws, (*network.shape, size)).astype(network.W.dtype)


def _as_mask(kept, network, unit):
    """Kept weights, or kept neurons with all their weights, in the shape of W."""
    if unit == "weight":
        return kept.reshape(network.W.shape)
    return np.repeat(kept[..., None], network.d, axis=-1)


def _under(network, kept, unit):
    """The network whose gradient moves the scores: without what is not kept."""
    if unit == "weight":
        return masked(network, kept.reshape(network.W.shape))
    return network.with_readout(network.a * kept)
