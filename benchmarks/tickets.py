"""Gradient descent on many small networks at once against autograd, and one after the other.

All parameters of a stack of k networks by `twolayer.descent.descend`, in one
batched product with the gradient written out, against the same function on one network after the
other, autograd with `torch.optim.SGD` on one after the other, and `torch.func` (vmap of grad) on
all at once. All give the same numbers: this is checked.
"""

import math

import numpy as np
import torch
from table import Row, close, race
from torch.func import functional_call, grad, stack_module_state, vmap

from twolayer.descent import descend, mean_field_rates, sgd
from twolayer.network import TwoLayer


def at_once(networks, x, y, rates, steps):
    """All networks in one call; returns their first layers, as each way does."""
    return descend(networks, sgd(x, y, rates=rates), steps).W


def in_turn(networks, x, y, rates, steps):
    """The same function, a network at a time."""
    runs = zip(networks, x, y, strict=True)
    return np.stack([descend(net, sgd(u, v, rates=rates), steps).W for net, u, v in runs])


def logistic(f, y):
    """The mean loss as torch writes it: log(1 + exp(-y f))."""
    return torch.nn.functional.softplus(-y * f).mean()


class Module(torch.nn.Module):
    """The network as a notebook would write it."""

    def __init__(self, network):
        super().__init__()
        for name in "Wba":
            values = torch.tensor(getattr(network, name))
            setattr(self, name, torch.nn.Parameter(values))

    def forward(self, x):
        """f(x), shape (n,)."""
        return torch.relu(x @ self.W.T + self.b) @ self.a / math.sqrt(len(self.a))


def autograd(networks, x, y, rates, steps):
    """What a notebook would hold: a module, a loss, an optimiser, a network at a time."""
    found = []
    for module, inputs, labels in zip(map(Module, networks), *tensors(x, y), strict=True):
        groups = [{"params": [getattr(module, name)], "lr": r} for name, r in rates.items()]
        optimiser = torch.optim.SGD(groups)
        for _ in range(steps):
            optimiser.zero_grad()
            logistic(module(inputs), labels).backward()
            optimiser.step()
        found.append(module.W.detach().numpy())
    return np.stack(found)


def vmapped(networks, x, y, rates, steps):
    """Ensembling by torch.func: gradients of all networks by vmap, then a step by hand."""
    modules = [Module(network) for network in networks]
    stack, _ = stack_module_state(modules)
    stack = {name: value.detach() for name, value in stack.items()}
    x, y = tensors(x, y)
    slope = vmap(grad(lambda p, u, v: logistic(functional_call(modules[0], p, (u,)), v)))
    for _ in range(steps):
        slopes = slope(stack, x, y)
        for name, rate in rates.items():
            stack[name].sub_(slopes[name], alpha=rate)
    return stack["W"].numpy()


def tensors(*arrays):
    """Arrays as tensors that share their memory."""
    return [torch.from_numpy(v) for v in arrays]


def many_networks(k=8, n=300, d=50):
    """Seconds a step of the k networks, each way, at several widths."""
    against = ("one after the other", "autograd and SGD, in turn", "torch.func, at once")
    for m in (8, 128, 512):
        rngs = [np.random.default_rng(seed) for seed in range(k)]
        x = np.stack([g.choice([-1.0, 1.0], (n, d)) for g in rngs]).astype("float32")
        y, rates = x[..., 0] * x[..., 1], mean_field_rates(1.0, m)
        nets = [TwoLayer.mean_field(m, d, "relu", g, dtype="float32") for g in rngs]
        start, ways = TwoLayer.stack(nets), (at_once, in_turn, autograd, vmapped)
        moved = in_turn(start, x, y, rates, 10)
        for way in ways:  # also warms up
            close(f"{way.__name__}, m = {m}", way(start, x, y, rates, 10), moved, 1e-3)
        settings = start, x, y, rates, max(10, 1600 // m)
        ours, *others = race(*(lambda way=way, v=settings: way(*v) for way in ways))
        for other, name in zip(others, against, strict=True):
            yield Row(f"descent on 8 networks, m = {m}: {name.split(',')[0]}", ours, other, name)


PARTS = (many_networks,)
