"""Gradients of a two-layer network: of the first step, simplified, and of a loss in all layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from twolayer import _checks
from twolayer.activations import Activation
from twolayer.network import TwoLayer, _entries, _float, _is_tensor

__all__ = [
    "descent_direction",
    "gradient_step",
    "learn_directions",
    "loss_gradient",
    "remove_linear_part",
    "simplified_gradient",
]

LOSSES = ("logistic", "hinge", "squared", "centred")
_BLOCK = 1024  # rows of data per block: temporaries stay small, products stay at full speed
_CACHED = 2**17  # numbers: features of a group of networks, half a megabyte in float32


def _samples(network, x, y):
    """Inputs and labels of one network, in its dtype."""
    if network.shape:
        raise ValueError(f"network is a stack of shape {network.shape}; it must be one network")
    if network.a.ndim == network.W.ndim:
        raise ValueError("network has a readout of several outputs; it must have one")
    x = network.inputs(x)
    if _is_tensor(y) and not _is_tensor(x):
        x = _entries("x", x, like=y)
    y = _entries("y", y, dtype=x.dtype, like=x)
    if x.ndim != 2 or y.ndim != 1:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}; they must be (n, d) and (n,)"
        )
    _checks.same_length("x", x, "y", y)
    return x, y


def _blocks(*arrays):
    """Rows of arrays of one length, a block at a time."""
    for start in range(0, len(arrays[0]), _BLOCK):
        yield tuple(v[start : start + _BLOCK] for v in arrays)


def descent_direction(network: TwoLayer, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """The direction of the first step, H = -sqrt(m) grad L in W, for L = mean (y - f(x))^2 / 2.

    One H serves every step size. Row j is a_j times the average of (y - f) sigma'(w_j.x + b_j) x.

    Parameters
    ----------
    network : TwoLayer
    x : array_like, shape (n, d)
    y : array_like, shape (n,)

    Returns
    -------
    ndarray, shape (m, d)

    Notes
    -----
    Two matrix products of n m d multiply-adds; the rest is done in place on blocks of rows. Ba et
    al. 2022, equation for G_0, with the factor sqrt(m) taken in.

    Examples
    --------
    >>> net = TwoLayer(np.zeros((1, 2)), [1.0], "identity")
    >>> descent_direction(net, [[1.0, 2.0]], [3.0])
    array([[3., 6.]])
    """
    x, y = _samples(network, x, y)
    W, a, b = network._parts(x)
    H = 0
    for xb, yb in _blocks(x, y):
        value, slope = network.activation.both(xb @ W.T + b)
        residual = yb - value @ a / math.sqrt(network.m)
        slope = slope * residual[:, None] if _is_tensor(slope) else _times(slope, residual)
        H = H + slope.T @ xb
    return H * (a[:, None] / len(x))  # eq-gradient


def _times(slope, residual):
    """slope * residual[:, None] in place: it is ours, and large."""
    return np.multiply(slope, residual[:, None], out=slope)


def gradient_step(network: TwoLayer, x: ArrayLike, y: ArrayLike, eta: float) -> TwoLayer:
    """The network after one full-batch gradient step on its first layer.

    W1 = W0 - eta sqrt(m) grad L with L = mean (y - f(x))^2 / 2; readout and biases stay.

    Parameters
    ----------
    network : TwoLayer
    x : array_like, shape (n, d)
    y : array_like, shape (n,)
    eta : float
        Step size.

    Examples
    --------
    >>> net = TwoLayer(np.zeros((1, 2)), [1.0], "identity")
    >>> gradient_step(net, [[1.0, 2.0]], [3.0], eta=0.5).W
    array([[1.5, 3. ]])
    """
    eta = _checks.real("eta", eta, largest=math.inf)
    with np.errstate(over="ignore"):
        H = descent_direction(network, x, y)
        W = network._parts(H)[0] + eta * H
    if not (W.isfinite().all() if _is_tensor(W) else np.isfinite(W).all()):
        raise ValueError(f"eta={eta} gives non-finite weights; take a smaller step or scale y")
    return network.with_weights(W)


def simplified_gradient(network: TwoLayer, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Average of y x 1(w.x + b > 0) for each neuron: the first gradient without its readout.

    Times a_j / sqrt(m) it is the gradient of mean(y f) in row j of W, for ReLU.

    Parameters
    ----------
    network : TwoLayer
    x : array_like, shape (n, d)
    y : array_like, shape (n,)

    Returns
    -------
    ndarray of float64, shape (m, d)

    Notes
    -----
    Shi, Wei & Liang 2023, definition of the simplified gradient, with their bias of opposite sign.

    Examples
    --------
    >>> net = TwoLayer([[1.0, 0.0]], [1.0], "relu")
    >>> simplified_gradient(net, [[1.0, 3.0], [-1.0, 3.0]], [1, 1])
    array([[0.5, 1.5]])
    """
    network = network if not _is_tensor(network.W) else _in_numpy(network)
    x, y = _samples(network, _numpy(x), _numpy(y))
    on = (network.preactivations(x) > 0) * y[:, None]
    return (on.T @ x / len(x)).astype(float)  # eq-gf-simple


def _numpy(value):
    return _checks.array("value", value) if _is_tensor(value) else value


def _in_numpy(network):
    return TwoLayer(*map(_numpy, (network.W, network.a)), network.activation, _numpy(network.b))


def remove_linear_part(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, float, np.ndarray]:
    """Labels without their constant and linear parts, fitted by least squares.

    Parameters
    ----------
    x : array_like, shape (n, d)
    y : array_like, shape (n,)

    Returns
    -------
    residual : ndarray, shape (n,)
        y - intercept - x . slope: its mean and its products with the inputs vanish on the sample.
    intercept : float
    slope : ndarray, shape (d,)
        Of least norm where n <= d.

    Notes
    -----
    Of a linear part b.x the averages mean(y), mean(y x) of Damian, Lee & Soltanolkotabi 2022,
    Algorithm 1, leave a share of order sqrt(d/n), which the first gradient would follow.

    Examples
    --------
    >>> residual, intercept, slope = remove_linear_part([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> residual.round(9) + 0.0, round(intercept, 9), slope.round(9)
    (array([0., 0., 0.]), 1.0, array([2.]))
    """
    x, y = _regression_data(x, y)
    centre = x.mean(0, dtype=float)
    mean = y.mean()
    gram, right = np.zeros((x.shape[1], x.shape[1])), np.zeros(x.shape[1])
    for xb, yb in _blocks(x, y):  # normal equations, of columns scaled to one length
        inside = xb - centre
        gram += inside.T @ inside
        right += inside.T @ (yb - mean)
    length = np.sqrt(np.diagonal(gram))
    length = np.where(length > 0, length, 1)
    scaled = gram / np.outer(length, length)
    slope, _, rank, _ = np.linalg.lstsq(scaled, right / length, rcond=1e-12)
    slope /= length
    if rank < len(slope):  # the solution is not unique: the one of least norm, without the squares
        slope = np.linalg.lstsq(x - centre, y - mean, rcond=1e-10)[0]
    intercept = float(mean - centre @ slope)
    fitted = np.concatenate([xb @ slope for (xb,) in _blocks(x)])
    return y - intercept - fitted, intercept, slope


def _regression_data(x, y):
    x, y = _entries("x", _numpy(x)), _entries("y", _numpy(y))
    if x.ndim != 2 or y.ndim != 1:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}; they must be (n, d) and (n,)")
    _checks.same_length("x", x, "y", y)
    y = y.astype(float, copy=False)  # of x a block at a time: it is large
    if np.ptp(y) == 0:
        raise ValueError(f"y is constant, {y[0]:g}; its variance must be positive")
    return x, y


def learn_directions(
    x: ArrayLike,
    y: ArrayLike,
    m: int,
    rng: np.random.Generator,
    *,
    activation: str | Activation = "relu",
    dtype: DTypeLike = float,
) -> TwoLayer:
    """A network whose first layer took one large gradient step, with weight decay 1/eta.

    The step erases the initial weights: what remains of neuron j is the gradient,
    a_j mean(r sigma'(w_j . x) x), at a symmetric initialisation (f = 0) and for labels r without
    constant and linear parts. Rows are scaled to unit norm (so the step's size drops out), biases
    are redrawn from N(0, 1), and the readout is zero: `ridge.fit_readout` fits it. A neuron that is
    open for all samples or for none gets no pull and keeps its direction.

    Parameters
    ----------
    x : array_like, shape (n, d)
    y : array_like, shape (n,)
        Not linear in x; constant and linear parts are removed here.
    m : int
        Width, even: neurons come in pairs of opposite readout, so of opposite weights.
    rng : numpy.random.Generator
    activation : str or Activation
    dtype : NumPy dtype
        Of the network and of the gradient; float32 is accurate enough, and twice as fast.

    Notes
    -----
    Damian, Lee & Soltanolkotabi 2022, Algorithm 1, lines 1-5; the unit norm is ours. Two products
    of n m/2 d multiply-adds: one neuron of a pair tells the other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((4000, 8))
    >>> net = learn_directions(x, x[:, 0] ** 2, 64, rng)
    >>> bool((net.W[:, 0] ** 2).mean() > 0.8)
    True
    """
    if _checks.positive_int("m", m) % 2:
        raise ValueError(f"m={m} must be even: neurons come in pairs")
    dtype = _float(dtype)
    residual, _, _ = remove_linear_part(x, y)
    left = _nonlinear(residual, _entries("y", _numpy(y)))
    x = _entries("x", _numpy(x), dtype=dtype)
    half = TwoLayer.mean_field(m // 2, x.shape[1], activation, rng, dtype=dtype)
    residual = (residual / left).astype(dtype)
    pull = np.zeros_like(half.W)
    for xb, rb in _blocks(x, residual):
        slope = half.activation.derivative(xb @ half.W.T)
        pull += (slope * rb[:, None]).T @ xb  # eq-ld-step
    rounding = 1e4 * np.finfo(dtype).eps * np.linalg.norm(residual) * max(x.max(), -x.min())
    pull = np.where(np.linalg.norm(pull, axis=1, keepdims=True) > rounding, pull, half.W)
    pull /= np.linalg.norm(pull, axis=1, keepdims=True)
    W = np.concatenate([pull, -pull])
    return TwoLayer(W, np.zeros(m), activation, rng.standard_normal(m))


def _nonlinear(residual, y):
    """The largest residual, or an error where least squares left nothing but rounding."""
    left, scale = abs(residual).max(), float(abs(y - y.mean()).max())
    if left <= max(1e-9, 30 * np.finfo(y.dtype).eps) * scale:
        raise ValueError(
            "y is linear in x on this sample; it needs variance beyond its linear part"
        )
    return left


def loss_gradient(
    network: TwoLayer, x: ArrayLike, y: ArrayLike, loss: str = "squared"
) -> dict[str, np.ndarray]:
    """The gradient of the mean loss in W, b and a, for a network or for each of a stack.

    Parameters
    ----------
    network : TwoLayer
    x : array_like, shape (n, d), or (..., n, d) with the stack's leading axes
    y : array_like, shape (n,), or (..., n)
        Labels -1 and 1 for ``"logistic"`` and ``"hinge"``.
    loss : {"squared", "centred", "logistic", "hinge"}
        (y - f)^2, the variance of y - f, log(1 + exp(-y f)), max(0, 1 - y f).

    Returns
    -------
    dict of ndarray
        "W", "b" and "a", each of the shape that it has in the network.

    Examples
    --------
    >>> net = TwoLayer([[1.0, 0.0]], [1.0], "identity")
    >>> loss_gradient(net, [[1.0, 2.0]], [3.0])["W"]  # -2 (3 - 1) x
    array([[-4., -8.]])
    """
    weights, x, y = _stacked(network, x, y)
    _check_labels(loss, y)
    moves, _ = _negative_gradient(network.activation, weights, x, y, loss)
    tensors = _is_tensor(network.W)
    found = {name: -v.reshape(getattr(network, name).shape) for name, v in moves.items()}
    return found if tensors else {name: v.numpy() for name, v in found.items()}


def _stacked(network, x, y):
    """Weights as tensors with one leading axis of k networks, and data of shapes (k, n, d), (k, n).

    They are copies: an optimiser may change them.
    """
    import torch

    if network.a.ndim == network.W.ndim:
        raise ValueError("network has a readout of several outputs; it must have one")
    _check_trainable(network)
    like = network.W if _is_tensor(network.W) else torch.from_numpy(np.array(network.W))
    weights = {}
    for name in ("W", "b", "a"):
        value = getattr(network, name)
        value = value.detach().clone() if _is_tensor(value) else torch.from_numpy(np.array(value))
        weights[name] = value.reshape(-1, *value.shape[len(network.shape) :])
    x = _entries("x", x, dtype=like.dtype, like=like).detach()
    y = _entries("y", y, dtype=like.dtype, like=like).detach()
    lead = tuple(x.shape[:-2])
    if x.ndim < 2 or lead not in ((), network.shape) or tuple(y.shape) != tuple(x.shape[:-1]):
        front = "" if not network.shape else f"{', '.join(map(str, network.shape))}, "
        raise ValueError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}; for this network they must be "
            f"({front}n, {network.d}) and ({front}n{'' if front else ','}), or without a stack"
        )
    if x.shape[-1] != network.d or x.shape[-2] == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (..., n, {network.d}), n >= 1")
    k = len(weights["W"])
    if lead:
        return weights, x.reshape(k, *x.shape[-2:]), y.reshape(k, y.shape[-1])
    return weights, x.expand(k, *x.shape), y.expand(k, *y.shape)


def _check_trainable(network):
    """Raise unless the activation takes tensors and gives them back."""
    import torch

    z = torch.linspace(-2, 2, 5, dtype=getattr(torch, _float(network.W.dtype, network.W.dtype)))
    for name in ("function", "derivative"):
        try:
            value = getattr(network.activation, name)(z.clone())
        except Exception as error:
            value = error
        if not _is_tensor(value) or value.dtype != z.dtype or value.shape != z.shape:
            raise TypeError(
                f"activation={network.activation.name!r}: its {name} must take a tensor to a "
                f"tensor of its dtype, got {value!r}; write it with operators and methods of both"
            )


def _check_labels(loss, y):
    """Raise unless the loss is known and labels are what it takes."""
    if _checks.one_of("loss", loss, LOSSES) in ("squared", "centred"):
        return
    if bad := set(y.unique().tolist()) - {-1.0, 1.0}:
        raise ValueError(f"y holds {sorted(bad)[0]:g}; labels must be -1 or 1")


def _slope(loss, y, f) -> Any:
    """Minus the derivative of the loss in f."""
    if loss == "logistic":
        return y * (-y * f).sigmoid()
    if loss == "hinge":
        return y * (y * f < 1)
    if loss == "squared":
        return 2 * (y - f)
    return 2 * (y - f - (y - f).mean(-1, keepdim=True))


def _negative_gradient(activation, weights, x, y, loss):
    """Minus the gradient of the mean loss for k networks: the one place where it is written.

    Returns it for W, b and a, and the outputs, shape (k, n). Networks go through in groups whose
    features stay in the cache.
    """
    group = max(1, _CACHED // (x.shape[1] * weights["a"].shape[1]))
    if group >= len(x):
        return _gradient_of_group(activation, weights, x, y, loss)
    import torch

    moves, outputs = [], []
    for at in range(0, len(x), group):
        part = slice(at, at + group)
        some = {name: v[part] for name, v in weights.items()}
        move, f = _gradient_of_group(activation, some, x[part], y[part], loss)
        moves.append(move)
        outputs.append(f)
    return {name: torch.cat([v[name] for v in moves]) for name in weights}, torch.cat(outputs)


def _gradient_of_group(activation, weights, x, y, loss):
    W, b, a = weights["W"], weights["b"], weights["a"]
    scale = 1 / math.sqrt(a.shape[1])
    z = b[:, None].baddbmm(x, W.mT)
    h = activation.function(z)
    f = (h @ a[..., None])[..., 0] * scale
    g = _slope(loss, y, f) * (scale / y.shape[1])
    back = activation.derivative(z).mul_(g[..., None])
    moves = {
        "W": (back.mT @ x) * a[..., None],
        "b": back.sum(1) * a,
        "a": (h.mT @ g[..., None])[..., 0],
    }
    return moves, f
