"""The gradient at the first step, the simplified gradient, and the gradient of a loss."""

import math

import numpy as np
import torch

from twolayer import _checks
from twolayer._blas import product
from twolayer.network import TwoLayer

__all__ = [
    "descent_direction",
    "gradient_step",
    "learn_directions",
    "remove_linear_part",
    "simplified_gradient",
]


_BLOCK = 1024  # rows of data per block: temporaries stay small, products stay at full speed
_CACHED = 2**17  # numbers: features of a group of networks, half a megabyte in float32

_SLOPES = {  # minus the derivative of the loss in f
    "logistic": lambda y, f: y * torch.sigmoid(-y * f),
    "hinge": lambda y, f: y * (y * f < 1),
    "squared": lambda y, f: 2 * (y - f),
    "centred": lambda y, f: 2 * (y - f - (y - f).mean(-1, keepdim=True)),
}


def stacked(networks, x, y):
    """Weights of networks of one shape as stacks, and their data: checked, x of shape (k, n, d)."""
    networks = list(networks)
    kinds = {(net.W.shape, net.W.dtype, net.activation.name) for net in networks}
    if len(kinds) != 1:
        raise ValueError("networks must hold networks of one shape and dtype, and one activation")
    first, k = networks[0], len(networks)
    x = _checks.tensor("x", x, 3, dtype=first.W.dtype, device=first.W.device).detach()
    y = _checks.tensor("y", y, 2, dtype=x.dtype, device=x.device).detach()
    if len(x) != k or y.shape != x.shape[:2] or x.shape[2] != first.d or x.shape[1] == 0:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}; for {k} networks they must be "
            f"({k}, n, {first.d}) and ({k}, n)"
        )
    stack = {name: torch.stack([getattr(net, name).detach() for net in networks]) for name in "Wba"}
    return networks, stack, x, y


def check_labels(loss, y):
    """Raise unless the loss is known and labels are what it takes."""
    if _checks.one_of("loss", loss, tuple(_SLOPES)) in ("squared", "centred"):
        return
    if bad := set(y.unique().tolist()) - {-1.0, 1.0}:
        raise ValueError(f"y holds {sorted(bad)[0]:g}; labels must be -1 or 1")


def negative_gradient(activation, stack, x, y, loss):
    """Minus the gradient of the mean loss for a stack of networks: the one place it is written.

    Returns it for W, b and a, and the outputs, shape (k, n). Where the features of all networks
    would leave the cache, networks go through in groups.
    """
    group = max(1, _CACHED // (x.shape[1] * stack["a"].shape[1]))
    if group < len(x):
        parts = zip(*(v.split(group) for v in (*stack.values(), x, y)), strict=True)
        steps, outputs = zip(
            *(
                negative_gradient(activation, dict(zip(stack, weights, strict=True)), u, v, loss)
                for *weights, u, v in parts
            ),
            strict=True,
        )
        return {name: torch.cat([p[name] for p in steps]) for name in stack}, torch.cat(outputs)
    W, b, a = stack["W"], stack["b"], stack["a"]
    scale = 1 / math.sqrt(a.shape[1])
    z = torch.baddbmm(b[:, None], x, W.mT)
    h = activation(z)
    f = (h @ a[..., None])[..., 0] * scale
    g = _SLOPES[loss](y, f) * (scale / y.shape[1])
    back = activation.derivative(z).mul_(g[..., None])
    steps = {
        "W": (back.mT @ x) * a[..., None],
        "b": back.sum(1) * a,
        "a": (h.mT @ g[..., None])[..., 0],
    }
    return steps, f


def copy_back(networks, stack):
    """Write a stack of weights into its networks."""
    for name, values in stack.items():
        for net, value in zip(networks, values, strict=True):
            getattr(net, name).data.copy_(value)


@torch.no_grad()
def descent_direction(network, x, y):
    """The direction of the first step, H = -sqrt(m) grad L in W, for L = mean (y - f(x))^2 / 2.

    One H serves every step size. Row j is a_j times the average of (y - f) sigma'(w_j.x + b_j) x.

    Parameters
    ----------
    network : TwoLayer
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)

    Returns
    -------
    tensor, shape (m, d)

    Raises
    ------
    ValueError
        If lengths or dimensions do not fit, or an entry is not finite.

    Notes
    -----
    The cost is two matrix products of n m d multiply-adds, the rest is done in place on blocks
    of rows. Source: Ba et al. 2022, equation for G_0, with the factor sqrt(m) taken in.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer(np.zeros((1, 2)), [1.0], "identity")
    >>> descent_direction(net, [[1.0, 2.0]], [3.0])
    tensor([[3., 6.]], dtype=torch.float64)
    """
    x = network.inputs(x)
    y = _checks.tensor("y", y, 1, dtype=x.dtype, device=x.device)
    _checks.same_length("x", x, "y", y)
    H = torch.zeros_like(network.W)
    for xb, yb in zip(x.split(_BLOCK), y.split(_BLOCK), strict=True):
        value, slope = network.activation.both(product(xb, network.W.T).add_(network.b))
        residual = yb - value @ network.a / math.sqrt(network.m)
        H.add_(product(slope.mul_(residual[:, None]).T, xb))
    return H.mul_(network.a[:, None] / len(x))


def gradient_step(network, x, y, eta):
    """The network after one full-batch gradient step on its first layer.

    W1 = W0 - eta sqrt(m) grad L with L = mean (y - f(x))^2 / 2; readout and biases stay.

    Parameters
    ----------
    network : TwoLayer
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)
    eta : float
        Step size, finite.

    Returns
    -------
    TwoLayer
        A new network; the one given is left as it was.

    Raises
    ------
    ValueError
        If shapes do not fit, `eta` or an entry is not finite, or the step gives non-finite weights.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer(np.zeros((1, 2)), [1.0], "identity")
    >>> gradient_step(net, [[1.0, 2.0]], [3.0], eta=0.5).W.detach()
    tensor([[1.5000, 3.0000]], dtype=torch.float64)
    """
    eta = _checks.real("eta", eta)
    W = descent_direction(network, x, y).mul_(eta).add_(network.W.detach())
    if not torch.isfinite(W).all():
        raise ValueError(f"eta={eta} gives non-finite weights; take a smaller step or scale y")
    return network.with_weights(W)


def remove_linear_part(x, y):
    """Labels without their constant and linear parts, fitted by least squares.

    Parameters
    ----------
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)

    Returns
    -------
    residual : ndarray, shape (n,)
        y - intercept - x . slope: its mean and its products with the inputs vanish on the sample.
    intercept : float
    slope : ndarray, shape (d,)
        Of least norm where n <= d.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or all labels are equal.

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
    x, y = (_checks.tensor(*v).detach().cpu().numpy() for v in (("x", x, 2), ("y", y, 1)))
    _checks.same_length("x", x, "y", y)
    x, y = x.astype(float, copy=False), y.astype(float, copy=False)
    if np.ptp(y) == 0:
        raise ValueError(f"y is constant, {y[0]:g}; its variance must be positive")
    centre, mean = x.mean(0), y.mean()
    gram, right = np.zeros((x.shape[1], x.shape[1])), np.zeros(x.shape[1])
    for start in range(0, len(x), _BLOCK):  # normal equations, of columns scaled to one length
        inside = x[start : start + _BLOCK] - centre
        gram += inside.T @ inside
        right += inside.T @ (y[start : start + _BLOCK] - mean)
    length = np.sqrt(np.diagonal(gram))
    length = np.where(length > 0, length, 1)
    scaled = gram / np.outer(length, length)
    slope, _, rank, _ = np.linalg.lstsq(scaled, right / length, rcond=1e-12)
    slope /= length
    if rank < len(slope):  # the solution is not unique: the one of least norm, without the squares
        slope = np.linalg.lstsq(x - centre, y - mean, rcond=1e-10)[0]
    intercept = float(mean - centre @ slope)
    return y - intercept - x @ slope, intercept, slope


@torch.no_grad()
def learn_directions(x, y, m, rng, *, activation="relu", dtype=torch.float64):
    """A network whose first layer took one large gradient step, with weight decay 1/eta.

    The step erases the initial weights: what remains of neuron j is the gradient,
    a_j mean(r sigma'(w_j . x) x), at a symmetric initialisation (f = 0) and for labels r without
    constant and linear parts. Rows are scaled to unit norm (so the step's size drops out), biases
    are redrawn from N(0, 1), and the readout is zero: `fit_readout` fits it. A neuron that is open
    for all samples or for none gets no pull and keeps its direction.

    Parameters
    ----------
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)
        Labels; their constant and linear parts are removed here.
    m : int
        Width, even: neurons come in pairs of opposite readout, so of opposite weights.
    rng : numpy.random.Generator
    activation : str or Activation
    dtype : torch.dtype
        Of the network and of the gradient; float32 is accurate enough, and twice as fast.

    Returns
    -------
    TwoLayer
        Unit rows W, shape (m, d).

    Raises
    ------
    ValueError
        If `m` is odd, shapes do not fit, an entry is not finite, all labels are equal, or nothing
        is left of them without their linear part.

    Notes
    -----
    Damian, Lee & Soltanolkotabi 2022, Algorithm 1, lines 1-5; the unit norm is ours. The cost is
    two products of n m/2 d multiply-adds: one neuron of a pair tells the other.

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
    residual, _, _ = remove_linear_part(x, y)
    labels = _checks.tensor("y", y, 1).detach().cpu()
    left, scale = np.abs(residual).max(), float((labels - labels.mean()).abs().max())
    if left <= max(1e-9, 30 * torch.finfo(labels.dtype).eps) * scale:
        raise ValueError(
            "y is linear in x on this sample; it needs variance beyond its linear part"
        )
    x = _checks.tensor("x", x, 2, dtype=dtype)
    half = TwoLayer.mean_field(m // 2, x.shape[1], activation, rng, dtype=dtype)
    residual = torch.as_tensor(residual / left, dtype=dtype)
    pull = torch.zeros_like(half.W)
    for xb, rb in zip(x.split(_BLOCK), residual.split(_BLOCK), strict=True):
        slope = half.activation.derivative(product(xb, half.W.T))
        pull.add_(product(slope.mul_(rb[:, None]).T, xb))
    rounding = 1e4 * torch.finfo(dtype).eps * residual.norm() * x.abs().max()
    pull = torch.where(pull.norm(dim=1, keepdim=True) > rounding, pull, half.W)
    pull /= pull.norm(dim=1, keepdim=True)
    W = torch.cat([pull, -pull])
    return TwoLayer(W, torch.zeros(m, dtype=dtype), activation, rng.standard_normal(m))


def simplified_gradient(network, x, y):
    """Average of y x 1(w.x + b > 0) for each neuron: the first gradient without its readout.

    Parameters
    ----------
    network : TwoLayer
        Its first layer is what counts.
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)
        Labels.

    Returns
    -------
    ndarray, shape (m, d)
        Times a_j / sqrt(m) it is the gradient of mean(y f) in row j of W, for ReLU.

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    Notes
    -----
    Shi, Wei & Liang 2023, definition of the simplified gradient, with their bias of opposite sign.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer([[1.0, 0.0]], [1.0], "relu")
    >>> simplified_gradient(net, [[1.0, 3.0], [-1.0, 3.0]], [1, 1])
    array([[0.5, 1.5]])
    """
    x = network.inputs(x)
    y = _checks.tensor("y", y, 1, dtype=x.dtype, device=x.device)
    _checks.same_length("x", x, "y", y)
    with torch.no_grad():
        on = (network.preactivations(x) > 0).to(x.dtype).mul_(y[:, None])
        return (on.T @ x / len(x)).double().cpu().numpy()
