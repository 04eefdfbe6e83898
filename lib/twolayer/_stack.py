"""Several networks of one shape as stacks of their weights, and the gradient of their losses."""

import math

import torch

from twolayer import _checks

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
