"""Lottery tickets: the neurons or weights of an untrained network that would do the work alone.

Neurons are chosen by their first gradients (Shi, Wei & Liang 2023), weights by iterative magnitude
pruning with rewinding (Frankle & Carbin 2019) or by learning a mask alone (Ramanujan et al. 2020).
Masks are boolean, of the shape of the first layer: True is kept.
"""

import itertools
import math

import numpy as np
import torch
from torch.nn.utils import prune

from twolayer import _checks, gradients
from twolayer.measures import cosine
from twolayer.network import TwoLayer

__all__ = [
    "iterative_pruning",
    "magnitude_mask",
    "masked",
    "random_mask",
    "subnetwork",
    "supermask",
    "winning_neurons",
]


def subnetwork(network, neurons):
    """Some neurons of a network, with the weights they have, as a network of its own.

    Parameters
    ----------
    network : TwoLayer
    neurons : array_like of int, shape (s,)
        Their rows in W, each at most once.

    Returns
    -------
    TwoLayer
        Of width s, in the same order. Its readout is scaled by sqrt(s/m), so that its outputs are
        what these neurons add to those of `network`.

    Raises
    ------
    ValueError
        If there is no neuron, one is named twice or out of range.

    Examples
    --------
    >>> net = TwoLayer(np.eye(4), [1.0, 2.0, 3.0, 4.0], "relu")
    >>> subnetwork(net, [2])([[0.0, 0.0, 5.0, 0.0]]).item()  # 3 * 5 / sqrt(4)
    7.5
    """
    neurons = np.asarray(neurons)
    if neurons.ndim != 1 or neurons.size == 0:
        raise ValueError(f"neurons={neurons} is an empty ticket; it must name at least one neuron")
    if not np.issubdtype(neurons.dtype, np.integer) or not np.isin(neurons, range(network.m)).all():
        raise ValueError(f"neurons={neurons} must be integers between 0 and {network.m - 1}")
    if len(set(neurons.tolist())) < len(neurons):
        raise ValueError(f"neurons={neurons} must name each neuron at most once")
    scale = math.sqrt(len(neurons) / network.m)
    W, b, a = (p.detach()[neurons] for p in (network.W, network.b, network.a))
    return TwoLayer(W, a * scale, network.activation, b)


def winning_neurons(steps, signs, features, labels, s):
    """The neurons whose first step points best along a feature, taken in turn for each feature.

    Parameters
    ----------
    steps : array_like, shape (m, d)
        The first step of each neuron, a_j times its simplified gradient.
    signs : array_like, shape (m,)
        Of the readout, each -1 or 1.
    features : array_like, shape (k, d)
        Directions.
    labels : array_like, shape (k,)
        The sign of the readout that a neuron of this feature needs, each -1 or 1.
    s : int
        Neurons in the ticket, at most m.

    Returns
    -------
    ndarray of int, shape (s,)
        Rows, the first of each feature first.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a sign is not -1 or 1, `s` is not between 1 and m, or neurons with a
        sign that is needed run out.

    Examples
    --------
    >>> steps = [[1.0, 0.0], [1.0, 0.2], [0.3, 1.0]]
    >>> winning_neurons(steps, [1, 1, -1], np.eye(2), [1, -1], 2)
    array([0, 2])
    """
    steps, features = _checks.real_array("steps", steps), _checks.real_array("features", features)
    signs = _checks.signs("signs", signs, len(steps))
    labels = _checks.signs("labels", labels, len(features))
    if features.ndim != 2 or len(features) == 0:
        raise ValueError(f"features has shape {features.shape}; it must be (k, d) with k >= 1")
    if _checks.positive_int("s", s) > len(steps):
        raise ValueError(f"s={s} must be at most the number of neurons, {len(steps)}")
    cosines = np.stack([cosine(steps, D) for D in features])
    cosines[labels[:, None] != signs] = -np.inf
    chosen = []
    for turn in range(s):
        row = cosines[turn % len(features)]
        if (best := int(np.argmax(row))) in chosen or np.isneginf(row[best]):
            raise ValueError(f"s={s} is too many: neurons with the sign of a feature run out")
        chosen.append(best)
        cosines[:, best] = -np.inf
    return np.array(chosen)


def masked(network, mask):
    """A network under a mask of its first layer.

    Parameters
    ----------
    network : TwoLayer
    mask : array or tensor of bool, shape (m, d)

    Returns
    -------
    TwoLayer
        With zeros where `mask` is False. The bias and readout of a neuron without inputs are zero
        too: it would be a constant.

    Raises
    ------
    ValueError
        If `mask` has another shape, holds other values than booleans, zeros and ones, or is empty.

    Examples
    --------
    >>> masked(TwoLayer([[3.0, 1.0]], [1.0], "relu"), [[False, True]]).W.tolist()
    [[0.0, 1.0]]
    """
    mask = _checks.masks("mask", mask, network.W.shape, network.W.device)
    alive = mask.any(1)
    W, b, a = (p.detach() for p in (network.W, network.b, network.a))
    return TwoLayer(W * mask, a * alive, network.activation, b * alive)


def _kept(sparsity, size):
    sparsity = _checks.real("sparsity", sparsity)
    if not 0 < sparsity < 1:
        raise ValueError(f"sparsity={sparsity} must be in (0, 1)")
    if not (kept := round((1 - sparsity) * size)):
        raise ValueError(f"sparsity={sparsity} leaves an empty ticket: none of {size} weights")
    return kept


def magnitude_mask(weights, sparsity, mask=None):
    """Keep the weights of largest magnitude, by `torch.nn.utils.prune.L1Unstructured`.

    Parameters
    ----------
    weights : array or tensor, shape (m, d)
    sparsity : float
        Share of all weights to remove, in (0, 1).
    mask : tensor of bool, shape (m, d), optional
        Keep only among these: masks of rising sparsity are nested.

    Returns
    -------
    tensor of bool, shape (m, d)
        With round((1 - sparsity) m d) weights kept.

    Raises
    ------
    ValueError
        If `sparsity` is out of range or leaves nothing, or `mask` has another shape or keeps fewer.

    Examples
    --------
    >>> magnitude_mask([[3.0, -1.0], [0.5, -2.0]], sparsity=0.5)
    tensor([[ True, False],
            [False,  True]])
    """
    weights = _checks.tensor("weights", weights, 2).detach()
    mask = torch.ones_like(weights) if mask is None else mask
    mask = _checks.masks("mask", mask, weights.shape, weights.device)
    kept, left = _kept(sparsity, weights.numel()), int(mask.sum())
    if kept > left:
        raise ValueError(f"sparsity={sparsity} keeps {kept} weights, but mask keeps only {left}")
    among = weights[mask]
    out = mask.clone()
    method = prune.L1Unstructured(amount=left - kept)
    out[mask] = method.compute_mask(among, torch.ones_like(among)).bool()
    return out


def random_mask(shape, sparsity, rng):
    """Keep weights at random, each set of them with equal odds.

    Parameters
    ----------
    shape : (int, int)
    sparsity : float
        Share of all weights to remove, in (0, 1).
    rng : numpy.random.Generator

    Returns
    -------
    tensor of bool
        With as many kept as by `magnitude_mask`.

    Examples
    --------
    >>> int(random_mask((4, 5), 0.9, np.random.default_rng(0)).sum())
    2
    """
    m, d = (_checks.positive_int("shape", v) for v in shape)
    mask = np.zeros(m * d, dtype=bool)
    mask[_checks.generator(rng).choice(m * d, _kept(sparsity, m * d), replace=False)] = True
    return torch.from_numpy(mask.reshape(m, d))


def iterative_pruning(networks, fit, sparsities):
    """Iterative magnitude pruning with rewinding, for several networks at once.

    Train, remove the smallest weights, set the others back to where they started, and again.

    Parameters
    ----------
    networks : sequence of TwoLayer
        As they start; not changed.
    fit : callable
        ``fit(networks, masks)`` trains copies of `networks` in place under masks of shape
        (k, m, d), as `twolayer.descent.descend` does.
    sparsities : sequence of float
        Shares of all weights that are gone after each round, in (0, 1), rising.

    Yields
    ------
    masks : tensor of bool, shape (k, m, d)
        All True first, then one a sparsity, each within the last.
    trained : list of TwoLayer
        The networks trained under these masks, from their own start.

    Raises
    ------
    ValueError, TypeError
        If a sparsity is out of range, they do not rise, or one leaves an empty ticket.

    Notes
    -----
    Frankle & Carbin 2019, with rewinding to the initialisation. Arguments are checked at once.

    Examples
    --------
    >>> net = TwoLayer([[3.0, 1.0], [-2.0, 0.1]], [1.0, 1.0], "relu")
    >>> for masks, _ in iterative_pruning([net], lambda networks, masks: None, [0.5]):
    ...     print(masks[0].tolist())
    [[True, True], [True, True]]
    [[True, False], [True, False]]
    """
    networks, sparsities = list(networks), list(sparsities)
    if not networks or len({net.W.shape for net in networks}) != 1:
        raise ValueError("networks must hold at least one network, all of one shape")
    for sparsity in sparsities:
        _kept(sparsity, networks[0].W.numel())
    if any(after <= before for before, after in itertools.pairwise(sparsities)):
        raise ValueError(f"sparsities={sparsities} must rise")
    return _iterative_pruning(networks, fit, sparsities)


def _iterative_pruning(networks, fit, sparsities):
    masks = torch.ones(len(networks), *networks[0].W.shape, dtype=torch.bool)
    for sparsity in (*sparsities, None):
        trained = [net.with_weights(net.W) for net in networks]
        fit(trained, masks)
        yield masks, trained
        if sparsity is not None:
            pairs = zip(trained, masks, strict=True)
            masks = torch.stack([magnitude_mask(net.W, sparsity, mask) for net, mask in pairs])


def supermask(
    networks, x, y, *, sparsity, eta, steps, rngs, unit="weight", loss="logistic", momentum=0.9
):
    """Learn which weights to keep, and train none of them: edge-popup.

    Each weight has a score; the weights of the highest scores are kept. The gradient in a score is
    that in the weight times the weight, as if the mask were not there.

    Parameters
    ----------
    networks : sequence of TwoLayer
        k networks of one shape, activation and dtype; not changed.
    x : array or tensor, shape (k, n, d)
    y : array or tensor, shape (k, n)
        Labels, -1 or 1.
    sparsity : float
        Share of the weights (or neurons) removed, in (0, 1).
    eta : float
        Step size of the scores, > 0, in units in which the gradient has norm one for each network.
    steps : int
    rngs : sequence of numpy.random.Generator
        One for each network; it draws the scores to start from, uniform in [0, 1].
    unit : {"weight", "neuron"}
        What has a score: a weight of the first layer, or a neuron with all its weights.
    loss : {"logistic", "hinge", "squared"}
    momentum : float
        In [0, 1).

    Returns
    -------
    tensor of bool, shape (k, m, d)
        The masks after the last step. For the networks under them, see `masked`.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a label is not -1 or 1, or a number is out of range.

    Notes
    -----
    Ramanujan et al. 2020 (edge-popup), with normalised gradients. Of weights, a neuron of which
    nothing is kept has no gradient; the score of a neuron is a gate on its readout, and has one.
    Malach et al. 2020 prove that masks of a wide enough random network can stand for any small one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> net, x = TwoLayer.mean_field(64, 2, "relu", rng), rng.standard_normal((1, 200, 2))
    >>> y = np.sign(x[..., 0])
    >>> masks = supermask([net], x, y, sparsity=0.5, eta=0.3, steps=50, rngs=[rng])
    >>> int(masks.sum())
    64
    """
    networks, stack, x, y = gradients.stacked(networks, x, y)
    gradients.check_labels(loss, y)
    _checks.one_of("unit", unit, ("weight", "neuron"))
    eta = _checks.real("eta", eta, minimum=0, strict=True)
    if _checks.real("momentum", momentum, minimum=0) >= 1:
        raise ValueError(f"momentum={momentum} must be below 1")
    steps = _checks.positive_int("steps", steps)
    shape, activation = stack["W"].shape, networks[0].activation
    gated = "W" if unit == "weight" else "a"  # the gate of a neuron is on its readout
    size = stack[gated][0].numel()
    kept = _kept(sparsity, size)
    rngs = _checks.generators("rngs", rngs, len(x))
    scores = torch.as_tensor(np.stack([rng.random(size) for rng in rngs])).to(x)
    velocity = torch.zeros_like(scores)
    for _ in range(steps):
        masks = _top(scores, kept, shape)
        alive = masks.any(2)
        now = stack | {"a": stack["a"] * alive}
        if unit == "weight":
            now |= {"W": stack["W"] * masks, "b": stack["b"] * alive}
        step = gradients.negative_gradient(activation, now, x, y, loss)[0][gated] * stack[gated]
        step = step.flatten(1)
        norm = torch.linalg.vector_norm(step, dim=1, keepdim=True)
        velocity = momentum * velocity + step / norm.clamp(min=1e-30)
        scores = scores + eta * velocity
    return _top(scores, kept, shape)


def _top(scores, kept, shape):
    """Masks of the highest scores of each network; scores of neurons are spread over their rows."""
    flat = torch.zeros_like(scores, dtype=torch.bool)
    flat.scatter_(1, scores.topk(kept, dim=1).indices, True)
    flat = flat if flat.shape[1] > shape[1] else flat[..., None].expand(shape)
    return flat.reshape(shape).clone()
