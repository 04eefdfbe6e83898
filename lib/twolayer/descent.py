"""Training: one driver, `descend`, and methods that say how to begin and what a step is.

A method knows the data and its settings: ``descend(network, sgd(x, y, rates={"W": 1.0}), 100)``.
The network that is given stays as it is; a new one comes out. Data are read when a run begins, and
a generator goes on from run to run: for the same minibatches again, make the method again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks, gradients
from twolayer.network import TwoLayer, _finite, _is_tensor

__all__ = [
    "Method",
    "adam",
    "descend",
    "langevin",
    "mean_field_rates",
    "population",
    "sgd",
]

Rates = dict[str, float]
Generators = np.random.Generator | Sequence[np.random.Generator]


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """How to train: where a run begins, what a step does, and which weights a state holds.

    Attributes
    ----------
    init : callable
        (network, steps) -> state, any object. It checks the data against the network.
    step : callable
        (state, i) -> state after step i = 0, 1, ...
    weights : callable
        state -> (W, a, b), arrays or tensors of the network's shapes.
    """

    init: Callable[[TwoLayer, int], Any]
    step: Callable[[Any, int], Any]
    weights: Callable[[Any], tuple]


def descend(
    network: TwoLayer, method: Method, steps: int, *, record: Sequence[int] | None = None
) -> TwoLayer:
    """Train a network, or each of a stack, and return a new one.

    Parameters
    ----------
    network : TwoLayer
        The start; it is not changed.
    method : Method
        `sgd`, `adam`, `langevin` or `population`, with its data.
    steps : int
    record : sequence of int, optional
        Numbers of steps, ascending, from 0 to `steps`. The result is then the path: a stack with
        one more leading axis, a network for each number.

    Raises
    ------
    ValueError
        If weights leave the finite numbers (the step is named).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.mean_field(64, 2, "relu", rng)
    >>> x = rng.standard_normal((400, 2))
    >>> y = np.sign(x[:, 0] * x[:, 1])
    >>> path = descend(net, sgd(x, y, rates=mean_field_rates(1.0, 64)), 300, record=[0, 300])
    >>> (np.sign(path(x)) == y).mean(-1).round(1)
    array([0.5, 1. ])
    """
    if not isinstance(network, TwoLayer):
        raise TypeError(f"network={network!r} must be a TwoLayer")
    if not isinstance(method, Method):
        raise TypeError(f"method={method!r} must be a Method: sgd(...), adam(...), ...")
    steps = _checks.positive_int("steps", steps)
    marks = [steps] if record is None else _marks(record, steps)
    with _no_grad():
        path = _run(network, method, steps, marks)
    return path[0] if record is None else TwoLayer.stack(path)


def _run(network, method, steps, marks):
    state, path, kept = method.init(network, steps), [], set(marks)
    for i in range(marks[-1] + 1):
        if i in kept:
            path.append(_network(network, i, *method.weights(state)))
        if i < marks[-1]:
            state = method.step(state, i)
    return path


def _no_grad():
    """Without torch loaded there is nothing to switch off."""
    torch = sys.modules.get("torch")
    return torch.no_grad() if torch else contextlib.nullcontext()


def _marks(record, steps):
    if np.ndim(record) != 1:
        raise TypeError(f"record={record!r} must be a sequence of numbers of steps")
    marks = [_checks.integer("record", i, 0, steps) for i in record]
    if not marks or sorted(set(marks)) != marks:
        raise ValueError(f"record={record!r} must be one or more numbers of steps, ascending")
    return marks


def _network(start, i, W, a, b):
    """A network of copies of these weights, in the shapes and kind of `start`."""
    parts = []
    for name, value in (("W", W), ("a", a), ("b", b)):
        if _is_tensor(value):
            value = value.detach().clone() if _is_tensor(start.W) else value.detach().cpu().numpy()
        finite = value.isfinite().all() if _is_tensor(value) else _finite(value)
        if not finite:
            raise ValueError(f"{name} is not finite after step {i}: the steps are too large")
        like = getattr(start, name)
        value = value.to(like.dtype) if _is_tensor(value) else value.astype(like.dtype, copy=False)
        parts.append(value.reshape(like.shape))
    return TwoLayer._of(*parts, start.activation)


def mean_field_rates(eta: float, m: int) -> Rates:
    """Step sizes that move each neuron at a speed which does not depend on the width.

    Parameters
    ----------
    eta : float
        Step size of the readout, > 0.
    m : int
        Width.

    Returns
    -------
    dict of str to float
        eta m for W, 0.3 eta m for b and eta for a.

    Examples
    --------
    >>> mean_field_rates(2.0, m=10)
    {'W': 20.0, 'b': 6.0, 'a': 2.0}
    """
    eta = _checks.real("eta", eta, minimum=0, strict=True, largest=math.inf)
    m = _checks.positive_int("m", m)
    return {"W": eta * m, "b": 0.3 * eta * m, "a": eta}


def sgd(
    x: ArrayLike,
    y: ArrayLike,
    *,
    rates: Rates,
    loss: str = "logistic",
    weight_decay: ArrayLike = 0.0,
    batch: int | None = None,
    rng: Generators | None = None,
    masks: ArrayLike | None = None,
) -> Method:
    """Gradient descent on the mean loss plus ``weight_decay (|W|^2 + |a|^2) / 2``.

    Parameters
    ----------
    x : array_like, shape (n, d), or (..., n, d) with data for each network of a stack
    y : array_like, shape (n,), or (..., n)
    rates : dict of str to float
        Step sizes, > 0, of some of ``"W"``, ``"b"`` and ``"a"``; the others stay.
    loss : {"logistic", "hinge", "squared", "centred"}
        See `twolayer.gradients.loss_gradient`.
    weight_decay : float, or array_like, shape (steps,)
        >= 0; a step takes the share rate * weight_decay of W and of a, at most 1.
    batch : int, optional
        Size of minibatches, drawn without replacement within an epoch; all data without it. What
        is left of an epoch after whole minibatches is not used.
    rng : numpy.random.Generator, or a list of one for each network
        Draws the minibatches. One for a stack is spawned into one for each of its networks.
    masks : array_like of bool, of the shape of W, optional
        Weights to keep: the others, with bias and readout of neurons without any, are zero.

    Examples
    --------
    >>> net = TwoLayer([[0.0, 0.0]], [1.0], "identity")
    >>> step = sgd([[1.0, 2.0]], [3.0], rates={"W": 0.5}, loss="squared")
    >>> descend(net, step, 1).W
    array([[3., 6.]])
    """
    rates = _checked_rates(rates)
    _checks.one_of("loss", loss, gradients.LOSSES)

    def init(network, steps):
        weights, u, v = gradients._stacked(network, x, y)
        gradients._check_labels(loss, v)
        keep = {} if masks is None else _kept(masks, network, weights)
        weights = {name: value * keep[name] for name, value in weights.items()} if keep else weights
        decaying = {name: rate for name, rate in rates.items() if name != "b"}
        shares = {name: _shares(weight_decay, rate, steps) for name, rate in decaying.items()}
        data = _minibatches(u, v, batch, rng, bool(network.shape))
        return weights, keep, shares, data, network.activation

    def step(state, i):
        weights, keep, shares, data, activation = state
        moves, f = gradients._negative_gradient(activation, weights, *next(data), loss)
        if not f.isfinite().all():
            raise ValueError(f"outputs are not finite at step {i}; rates={rates} are too large")
        for name, rate in rates.items():
            if name in shares and shares[name][i]:
                weights[name].mul_(1 - shares[name][i])
            moved = moves[name] * keep[name] if keep else moves[name]
            weights[name].add_(moved, alpha=rate)
        return state

    return Method(init, step, lambda state: tuple(state[0][name] for name in "Wab"))


def _checked_rates(rates):
    if not isinstance(rates, Mapping):
        raise TypeError(f"rates={rates!r} must be a dict of step sizes of 'W', 'b', 'a'")
    for name, rate in rates.items():
        _checks.one_of("rates", name, ("W", "b", "a"))
        _checks.real(f"rates[{name!r}]", rate, minimum=0, strict=True, largest=math.inf)
    if not rates:
        raise ValueError("rates must name at least one of 'W', 'b', 'a'")
    return dict(rates)


def _kept(masks, network, weights):
    """What each layer keeps under masks of the first."""
    mask = _checks.masks("masks", masks, network.W.shape, weights["W"].device)
    mask = mask.reshape(weights["W"].shape)
    return {"W": mask, "b": mask.any(2), "a": mask.any(2)}


def _shares(weight_decay, rate, steps):
    """The share of a layer that each step takes off, or an error unless it is one."""
    decay = _checks.real_array("weight_decay", weight_decay, minimum=0)
    if decay.shape not in ((), (steps,)):
        raise ValueError(
            f"weight_decay has shape {decay.shape}; it must be a number or ({steps},), one a step"
        )
    if (rate * decay > 1).any():
        raise ValueError(
            f"weight_decay={decay.max():g} is too large for the rate {rate:g}: their product, the "
            "share of the weights that a step takes off, must be at most 1"
        )
    return np.broadcast_to(rate * decay, steps)


def _minibatches(x, y, batch, rng, stack):
    """Minibatches of every network's data without end; all of it in each without `batch`."""
    k, n, _ = x.shape
    if batch is None:
        return _forever(x, y)
    batch = min(_checks.positive_int("batch", batch), n)
    if not isinstance(rng, list | tuple):
        rng = _checks.generator(rng).spawn(k) if stack else [rng]
    rngs = rng
    return _draws(x, y, batch, _checks.generators("rng", rngs, k))


def _forever(x, y):
    while True:
        yield x, y


def _draws(x, y, batch, rngs):
    import torch

    n, rows = x.shape[1], torch.arange(len(x), device=x.device)[:, None]
    while True:
        order = torch.as_tensor(np.stack([rng.permutation(n) for rng in rngs]), device=x.device)
        for at in range(0, n - batch + 1, batch):
            chosen = order[:, at : at + batch]
            yield x[rows, chosen], y[rows, chosen]


def adam(
    x: ArrayLike,
    y: ArrayLike,
    *,
    rates: Rates,
    rng: Generators,
    batch: int = 128,
    annealed: bool = True,
) -> Method:
    """Adam on the squared loss, with minibatches. Kingma & Ba 2015, as torch implements it.

    Gradients come from automatic differentiation of the activation's function.

    Parameters
    ----------
    x : array_like, shape (n, d), or (..., n, d) with data for each network of a stack
    y : array_like, shape (n,), or (..., n)
    rates : dict of str to float
        Learning rates, > 0, of some of ``"W"``, ``"b"`` and ``"a"``; the others stay.
    rng : numpy.random.Generator, or a list of one for each network
        Draws the minibatches, as in `sgd`.
    batch : int
        Size of the minibatches, at most n.
    annealed : bool
        Let the rates fall to zero along half a cosine.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((256, 2))
    >>> method = adam(x, abs(x[:, 0]), rates={"W": 0.03, "a": 0.03}, rng=rng)
    >>> net = descend(TwoLayer.symmetric(32, 2, "relu", rng), method, 300)
    >>> bool(((net(x) - abs(x[:, 0])) ** 2).mean() < 0.02)
    True
    """
    rates = _checked_rates(rates)

    def init(network, steps):
        import torch

        weights, u, v = gradients._stacked(network, x, y)
        data = _minibatches(u, v, batch, rng, bool(network.shape))
        groups = [{"params": [weights[k].requires_grad_()], "lr": v} for k, v in rates.items()]
        optimiser = torch.optim.Adam(groups)
        fall = functools.partial(_half_cosine, steps) if annealed else lambda t: 1.0
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, fall)
        return weights, data, optimiser, schedule, network.activation

    def step(state, i):
        weights, data, optimiser, schedule, activation = state
        loss = _squared_loss(activation, weights, *next(data))
        if not loss.isfinite():
            raise ValueError(f"the loss is {loss.item()} at step {i}; rates={rates} are too large")
        optimiser.zero_grad()
        _backward(loss, activation, weights, rates)
        optimiser.step()
        schedule.step()
        return state

    return Method(init, step, lambda state: tuple(state[0][name] for name in "Wab"))


def _backward(loss, activation, weights, rates):
    """Gradients of the weights that are trained, by automatic differentiation."""
    loss.backward()
    for name in rates:
        if weights[name].grad is None:
            raise ValueError(
                f"activation={activation.name!r} gives {name} no gradient by automatic "
                "differentiation, which `adam` uses"
            )


def _half_cosine(steps, t):
    return (1 + math.cos(math.pi * t / steps)) / 2


def _squared_loss(activation, weights, x, y):
    """Mean squared error, summed over networks, with its graph."""
    import torch

    with torch.enable_grad():
        z = weights["b"][:, None].baddbmm(x, weights["W"].mT)
        f = (activation.function(z) @ weights["a"][..., None])[..., 0]
        f = f / math.sqrt(weights["a"].shape[1])
        return (f - y).square().mean(1).sum()


def langevin(
    x: ArrayLike,
    y: ArrayLike,
    *,
    dt: float,
    weight_decay: float,
    temperature: float,
    rng: np.random.Generator,
    loss: str = "squared",
    averaged: bool = True,
) -> Method:
    """Noisy gradient descent on f(x) = sum_i u_i relu(w_i.x) / m, neurons w_i on the unit sphere.

    u = sqrt(m) a in the network's readout. In time t, with ``L = loss(f) + weight_decay sum
    |u_i|^2 / (2m)`` and B a Brownian motion (of w on the sphere), each neuron follows
    d(w, u) = -m grad L dt + sqrt(2 temperature) dB: its law in the limit of many neurons and long
    times is what `theory.repopulation.solve` gives.

    Parameters
    ----------
    x : array_like, shape (n, d), common to all networks of a stack
    y : array_like, shape (n,), or (n, c) for c outputs; classes 0..c-1, (n,), for cross-entropy
    dt : float
        Time of a step, > 0.
    weight_decay, temperature : float
        lambda_1 and lambda_3 of the paper, >= 0.
    rng : numpy.random.Generator
    loss : {"squared", "cross-entropy"}
        Mean over samples of ``|f - y|^2 / 2``, or of log sum_c exp f_c - f_y.
    averaged : bool
        Let the noise of a step be the mean of this step's and the last one's draw: the bias of the
        stationary law falls from order dt to dt^2. Without it, the Euler method.

    Notes
    -----
    A step moves w along the great circle of its tangent step, and carries the old draw with it, so
    that on the circle the method is exactly the one for an angle. Averaged noise: Leimkuhler &
    Matthews 2013.

    Examples
    --------
    >>> from twolayer.data import sphere
    >>> rng = np.random.default_rng(0)
    >>> net, x = TwoLayer(sphere((500, 2), rng), np.zeros(500), "relu"), sphere((40, 2), rng)
    >>> noisy = langevin(x, x[:, 0], dt=0.5, weight_decay=0.02, temperature=0.001, rng=rng)
    >>> net = descend(net, noisy, 400)
    >>> bool((net.W[:, 0] * net.a > 0).mean() > 0.9)
    True
    """
    _checks.one_of("loss", loss, ("squared", "cross-entropy"))
    dt = _checks.real("dt", dt, minimum=0, strict=True)
    weight_decay = _checks.real("weight_decay", weight_decay, minimum=0)
    temperature = _checks.real("temperature", temperature, minimum=0)
    rng = _checks.generator(rng)
    scale = math.sqrt(2 * temperature * dt) / (2 if averaged else 1)

    def init(network, steps):
        W, u, root = _on_the_sphere(network)
        inputs = network.inputs(x)
        if inputs.ndim != 2:
            raise ValueError(f"x has shape {inputs.shape}; it must be (n, {network.d})")
        inputs = inputs if _is_tensor(inputs) else _tensor(inputs)
        target = _target(loss, y, inputs, u.shape[-2] if network.a.ndim == network.W.ndim else None)
        old = _noise(rng, W, u) if averaged else None
        return W, u, old, (inputs, target, root, network)

    def step(state, i):
        W, u, old, fixed = state
        force, pull = _forces(W, u, *fixed[:2], loss)
        noise = _noise(rng, W, u)
        at_w, at_u = noise if old is None else (noise[0] + old[0], noise[1] + old[1])
        move = scale * at_w - dt * _tangent(W, force)  # eq-rp-langevin
        u = u - dt * (pull + weight_decay * u) + scale * at_u
        W, carried = _along_the_sphere(W, move, noise[0])
        if not (u.sum().isfinite() and W.sum().isfinite()):
            raise ValueError(f"weights are not finite after step {i + 1}; dt={dt} is too large")
        return W, u, None if old is None else (carried, noise[1]), fixed

    def weights(state):
        W, u, _, (_, _, root, network) = state
        return W.mT, u.mT / root, network.b

    return Method(init, step, weights)


def _tensor(array):
    import torch

    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _on_the_sphere(network):
    """Neurons and readouts with the neurons as last axis, for speed, and sqrt(m)."""
    if network.activation.name != "relu":
        raise ValueError(f"activation={network.activation.name!r} must be 'relu'")
    if float(abs(network.b).sum()):
        raise ValueError("network has biases; they must be zero")
    root = math.sqrt(network.m)
    W, a = (v.detach() if _is_tensor(v) else _tensor(v) for v in (network.W, network.a))
    length = W.norm(dim=-1).flatten()
    worst = length[(length - 1).abs().argmax()]
    if abs(worst - 1) > 1e-5:
        raise ValueError(f"W has a row of length {worst:g}; each must be of length 1")
    u = a.reshape(*W.shape[:-1], -1) * root
    return W.mT.contiguous(), u.mT.contiguous(), root


def _target(loss, y, x, classes):
    """The labels as numbers, shape (c, n): one hot for classes."""
    import torch

    if loss == "cross-entropy":
        if classes is None:
            raise ValueError("network must have a last axis of outputs for the cross-entropy")
        y = _checks.tensor("y", y, 1, device=x.device)
        _checks.same_length("x", x, "y", y)
        if ((y % 1 != 0) | (y < 0) | (y >= classes)).any():
            raise ValueError(f"y must hold classes 0..{classes - 1}, as many as there are outputs")
        return torch.nn.functional.one_hot(y.long(), classes).to(x.dtype).T
    y = _checks.tensor("y", y, 1 if classes is None else 2, dtype=x.dtype, device=x.device)
    _checks.same_length("x", x, "y", y)
    if classes is not None and y.shape[1] != classes:
        raise ValueError(f"y has shape {tuple(y.shape)}; it must be ({len(x)}, {classes})")
    return y.reshape(len(x), -1).T


def _noise(rng, W, u):
    """Gaussian draws for neurons, in the tangent space of the sphere, and for readouts."""
    d, m = W.shape[-2:]
    dtype = np.float32 if W.element_size() == 4 else np.float64
    z = rng.standard_normal((*W.shape[:-2], d + u.shape[-2], m), dtype=dtype)
    z = _tensor(z).to(W)
    return _tangent(W, z[..., :d, :]), z[..., d:, :]


def _tangent(W, v):
    return v - (v * W).sum(-2, keepdim=True) * W


def _forces(W, u, x, target, loss):
    """m times the gradient of the loss in every neuron and in its readout."""
    h = (x @ W).relu_()  # (..., n, m)
    f = u @ h.mT / W.shape[-1]
    r = ((f.softmax(-2) if loss == "cross-entropy" else f) - target) / len(x)
    pull = r @ h  # the force on w is u.r over the samples where it fires
    fires = h.sign_()
    if u.shape[-2] == 1:
        return u * ((r * x.T) @ fires), pull
    return x.T @ fires.mul_(r.mT @ u), pull


def _along_the_sphere(W, move, vector):
    """Neurons moved along great circles, and a tangent vector carried with them."""
    size = move.square().sum(-2, keepdim=True).sqrt()  # `norm` is slow along this axis
    along = move / size.clamp(min=1e-37 if W.element_size() == 4 else 1e-300)
    turned = along * size.cos() - W * size.sin()  # where parallel transport takes `along`
    carried = vector + (vector * along).sum(-2, keepdim=True) * (turned - along)
    W = W * size.cos() + along * size.sin()
    return W / W.square().sum(-2, keepdim=True).sqrt(), carried


def population(
    gradient: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    *,
    eta: float,
    weight_decay: ArrayLike = 0.0,
) -> Method:
    """Gradient descent on an exact loss of f(x) = sum_i a_i sigma(w_i.x), without samples.

    a is the network's readout over sqrt(m). The objective is the loss plus
    ``weight_decay (|W|^2 + |a|^2) / 2``.

    Parameters
    ----------
    gradient : callable
        (W, a) -> the gradient in both, for arrays of shapes (..., m, d) and (..., m).
    eta : float
        Step size, > 0.
    weight_decay : array_like, shape () or (..., steps) with the stack's leading axes
        >= 0, of every step.

    Examples
    --------
    >>> bowl = population(lambda W, a: (W, a), eta=0.5)  # loss (|W|^2 + |a|^2) / 2
    >>> descend(TwoLayer([[4.0, 0.0]], [2.0], "relu"), bowl, 2).W
    array([[1., 0.]])
    """
    eta = _checks.real("eta", eta, minimum=0, strict=True, largest=math.inf)
    decay = _checks.real_array("weight_decay", weight_decay, minimum=0)

    def init(network, steps):
        if decay.ndim and (decay.shape[-1] != steps or decay.shape[:-1] not in ((), network.shape)):
            raise ValueError(
                f"weight_decay has shape {decay.shape}; it must be a number, ({steps},) or "
                f"{(*network.shape, steps)}"
            )
        if network.a.ndim == network.W.ndim:
            raise ValueError("network has a readout of several outputs; it must have one")
        if (eta * decay > 1).any():
            raise ValueError(
                f"weight_decay={decay.max():g} is too large for eta={eta:g}: their product, the "
                "share of the weights that a step takes off, must be at most 1"
            )
        root = math.sqrt(network.m)
        W, a = (np.array(gradients._numpy(v), dtype=float) for v in (network.W, network.a))
        return W, a / root, (root, network)

    def step(state, i):
        W, a, fixed = state
        with np.errstate(over="ignore", invalid="ignore"):
            in_W, in_a = gradient(W, a)
            if np.shape(in_W) != W.shape or np.shape(in_a) != a.shape:
                raise ValueError(
                    f"gradient gives shapes {np.shape(in_W)} and {np.shape(in_a)}; they must be "
                    f"{W.shape} and {a.shape}"
                )
            left = 1 - eta * (decay[..., i][..., None] if decay.ndim else decay)
            W = np.multiply(left if not np.ndim(left) else left[..., None], W) - eta * in_W
            a = left * a - eta * in_a
        if not (np.isfinite(W).all() and np.isfinite(a).all()):
            raise ValueError(f"weights are not finite at step {i}; eta={eta} is too large")
        return W, a, fixed

    def weights(state):
        W, a, (root, network) = state
        return W, a * root, network.b

    return Method(init, step, weights)
