"""One step on the first layer, ridge regression of the readout; descent, Adam, noise on both."""

import itertools
import math

import numpy as np
import torch

from twolayer import _checks, gradients

__all__ = []

_BLOCK = 1024  # rows of data per block: temporaries stay small, products stay at full speed


def descend(
    networks,
    x,
    y,
    *,
    rates,
    steps,
    loss="logistic",
    shrink=0.0,
    rngs=None,
    batch=None,
    masks=None,
    every=None,
):
    """Gradient descent on all parameters of several networks at once, in place.

    The networks share a shape and differ in weights, data, masks and seeds. Batched products with
    the gradient written out by hand serve all of them, which pays where networks are small.

    Parameters
    ----------
    networks : sequence of TwoLayer
        k networks of one shape, activation and dtype; changed in place.
    x : array or tensor, shape (k, n, d)
    y : array or tensor, shape (k, n)
        Labels, -1 or 1 (numbers for the squared loss).
    rates : dict of str to float
        Step sizes, > 0, of some of ``"W"``, ``"b"`` and ``"a"``; the others stay.
    steps : int
    loss : {"logistic", "hinge", "squared", "centred"}
        log(1 + exp(-y f)), max(0, 1 - y f) or (y - f)^2; their mean is descended. With
        ``"centred"`` it is the variance of y - f: the squared loss with a free constant, always
        the best one of the samples seen.
    shrink : float or array_like, shape (steps,)
        Share of W and a taken away in every step, in [0, 1]: a step size times a weight decay.
    rngs : sequence of numpy.random.Generator, optional
        One for each network; it draws the minibatches, without replacement within an epoch.
        Needed with `batch`.
    batch : int, optional
        Size of the minibatches, at most n; without it all samples are used in every step.
    masks : array or tensor of bool, shape (k, m, d), optional
        Weights of the first layer to keep: the others are set to zero and stay there. The bias and
        readout of a neuron that keeps none are set to zero too.
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    int
        Steps done, with the networks up to date.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a label is not -1 or 1, a mask keeps nothing,
        a rate is unknown or not positive, `shrink` has another length or leaves [0, 1], or outputs
        or weights leave the finite numbers.

    Notes
    -----
    For networks with entries of `a` of order 1/sqrt(m) see `mean_field_rates`. Arguments are
    checked at once; training goes on as the result is iterated over.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.mean_field(64, 2, "relu", rng)
    >>> x = rng.standard_normal((1, 400, 2))
    >>> y = np.sign(x[..., 0] * x[..., 1])
    >>> for _ in descend([net], x, y, rates=mean_field_rates(1.0, 64), steps=300):
    ...     right = np.sign(net(x[0]).detach().numpy()) == y[0]
    >>> bool(right.mean() > 0.95)
    True
    """
    networks, stack, x, y = gradients.stacked(networks, x, y)
    gradients.check_labels(loss, y)
    steps = _checks.positive_int("steps", steps)
    every = steps if every is None else _checks.positive_int("every", every)
    _checked_rates(rates)
    shrink = _shares(shrink, steps)
    k, n, _ = x.shape
    if batch is not None:
        batch = min(_checks.positive_int("batch", batch), n)
        rngs = _checks.generators("rngs", rngs or (), k)
    if masks is not None:
        masks = _checks.masks("masks", masks, stack["W"].shape, x.device)
    return _descend(networks, stack, x, y, rates, steps, loss, shrink, rngs, batch, masks, every)


def _shares(shrink, steps):
    """`shrink` of every step, or an error unless it has one number a step, each in [0, 1]."""
    shrink = _checks.real_array("shrink", shrink, minimum=0)
    if shrink.shape not in ((), (steps,)):
        raise ValueError(f"shrink has shape {shrink.shape}; it must be a number or ({steps},)")
    if (shrink > 1).any():
        raise ValueError(f"shrink={shrink.max():g} must be at most 1: a share of the weights")
    return np.broadcast_to(shrink, steps)


def mean_field_rates(eta, m):
    """Step sizes of `descend` that move each neuron at a speed which does not depend on the width.

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
    eta, m = _checks.real("eta", eta, minimum=0, strict=True), _checks.positive_int("m", m)
    return {"W": eta * m, "b": 0.3 * eta * m, "a": eta}


def _checked_rates(rates):
    for name, rate in rates.items():
        _checks.one_of("rates", name, ("W", "b", "a"))
        _checks.real(f"rates[{name!r}]", rate, minimum=0, strict=True)
    if not rates:
        raise ValueError("rates must name at least one of 'W', 'b', 'a'")


def _minibatches(x, y, rngs, batch):
    """Minibatches of every network's data without end; all of it in each without `batch`."""
    if batch is None:
        yield from itertools.repeat((x, y))
    n, rows = x.shape[1], torch.arange(len(x), device=x.device)[:, None]
    while True:
        order = torch.as_tensor(np.stack([rng.permutation(n) for rng in rngs]), device=x.device)
        for at in range(0, n - batch + 1, batch):
            chosen = order[:, at : at + batch]
            yield x[rows, chosen], y[rows, chosen]


@torch.no_grad()
def _descend(networks, stack, x, y, rates, steps, loss, shrink, rngs, batch, masks, every):
    """The loop of `descend`, whose arguments are checked."""
    activation, keep = networks[0].activation, {}
    if masks is not None:
        alive = masks.any(2)
        keep = {"W": masks, "b": alive, "a": alive}
        stack = {name: value * keep[name] for name, value in stack.items()}
    for step, seen in zip(range(steps), _minibatches(x, y, rngs, batch), strict=False):
        moves, f = gradients.negative_gradient(activation, stack, *seen, loss)
        if not torch.isfinite(f).all():
            raise ValueError(f"outputs are not finite at step {step}; rates={rates} are too large")
        if shrink[step]:
            stack["W"].mul_(1 - shrink[step])
            stack["a"].mul_(1 - shrink[step])
        for name, rate in rates.items():
            moved = moves[name] * keep[name] if keep else moves[name]
            stack[name].add_(moved, alpha=rate)
        if (step + 1) % every == 0 or step + 1 == steps:
            if not all(torch.isfinite(value).all() for value in stack.values()):
                raise ValueError(f"weights are not finite: rates={rates} are too large")
            gradients.copy_back(networks, stack)
            yield step + 1


def train(networks, x, y, *, rates, steps, rngs, batch=128, decay=True, every=None):
    """Adam on all parameters of several networks at once, squared loss, in place.

    The networks share a shape and differ in weights, data and seeds: one batched product serves
    all, which saves the overhead of small steps. Each follows the path it would follow alone.

    Parameters
    ----------
    networks : sequence of TwoLayer
        k networks of one shape, activation and dtype; changed in place.
    x : array or tensor, shape (k, n, d)
    y : array or tensor, shape (k, n)
    rates : dict of str to float
        Learning rates, > 0, of some of ``"W"``, ``"b"`` and ``"a"``; the others stay.
    steps : int
    rngs : sequence of numpy.random.Generator
        One for each network; it draws the minibatches, without replacement within an epoch.
    batch : int
        Size of the minibatches, at most n.
    decay : bool
        Let the rates fall to zero along half a cosine.
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    int
        Steps done, with the networks up to date.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a rate is unknown or not positive, or the
        loss leaves the finite numbers.

    Notes
    -----
    Adam: Kingma & Ba 2015, as torch implements it. Training goes on as the result is iterated over;
    arguments are checked at once. What is left of an epoch after whole minibatches is not used.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.symmetric(32, 2, "relu", rng)
    >>> x = rng.standard_normal((1, 256, 2))
    >>> y, rates = abs(x[..., 0]), {"W": 0.03, "a": 0.03}
    >>> for _ in train([net], x, y, rates=rates, steps=300, rngs=[rng]):
    ...     error = ((net(x[0]).detach().numpy() - abs(x[0, :, 0])) ** 2).mean()
    >>> bool(error < 0.02)
    True
    """
    networks, stack, x, y = gradients.stacked(networks, x, y)
    rngs = _checks.generators("rngs", rngs, len(x))
    steps = _checks.positive_int("steps", steps)
    batch = min(_checks.positive_int("batch", batch), x.shape[1])
    every = steps if every is None else _checks.positive_int("every", every)
    _checked_rates(rates)
    return _train(networks, stack, x, y, rates, steps, rngs, batch, decay, every)


def _train(networks, stack, x, y, rates, steps, rngs, batch, decay, every):
    """The loop of `train`, whose arguments are checked."""
    first = networks[0]
    groups = [
        {"params": [stack[name].requires_grad_()], "lr": rate} for name, rate in rates.items()
    ]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda t: (1 + math.cos(math.pi * t / steps)) / 2 if decay else 1.0
    )
    for step, (seen, target) in zip(range(steps), _minibatches(x, y, rngs, batch), strict=False):
        with torch.enable_grad():
            z = torch.baddbmm(stack["b"][:, None], seen, stack["W"].mT)
            f = (first.activation(z) @ stack["a"][..., None])[..., 0] / math.sqrt(first.m)
            loss = (f - target).square().mean(1).sum()
            optimiser.zero_grad()
            loss.backward()
        if not torch.isfinite(loss):
            raise ValueError(
                f"the loss is {loss.item()} at step {step}; rates={rates} are too large"
            )
        optimiser.step()
        schedule.step()
        if (step + 1) % every == 0 or step + 1 == steps:
            gradients.copy_back(networks, {name: value.detach() for name, value in stack.items()})
            yield step + 1


def langevin(
    W, u, x, y, *, steps, dt, l2, temperature, rng, loss="squared", averaged=True, every=None
):
    """Noisy gradient descent on f(x) = sum_i u_i relu(w_i.x) / m, neurons w_i on the unit sphere.

    In time t, with ``L = loss(f) + l2 sum |u_i|^2 / (2m)`` and B a Brownian motion (of w on the
    sphere), each neuron follows d(w, u) = -m grad L dt + sqrt(2 temperature) dB: its law in the
    limit of many neurons and long times is what `theory.repopulation.solve` gives.

    Parameters
    ----------
    W : array or tensor, shape (m, d) or (k, m, d)
        Unit rows; k networks with data in common run side by side.
    u : array or tensor, shape (m,) or (k, m); (m, c) or (k, m, c) with c outputs
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,) or (n, c)
        Numbers for the squared loss; classes 0..c-1, shape (n,), for the cross-entropy.
    steps : int
    dt : float
        Time step, > 0.
    l2, temperature : float
        lambda_1 and lambda_3 of the paper, >= 0.
    rng : numpy.random.Generator
    loss : {"squared", "cross-entropy"}
        Mean over samples of ``|f - y|^2 / 2``, or of log sum_c exp f_c - f_y.
    averaged : bool
        Let the noise of a step be the mean of this step's and the last one's draw: the bias of the
        stationary law falls from order dt to dt^2. Without it, the Euler method.
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    step : int
        Steps done; the time is step * dt.
    W, u : tensor
        Copies, in the dtype and on the device of the given `W`.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, an entry is not finite, a row of W is not of unit length, a number is
        not in its range, a label is no class, or weights leave the finite numbers.

    Notes
    -----
    A step moves w along the great circle of its tangent step, and carries the old draw with it, so
    that on the circle the method is exactly the one for an angle. Averaged noise: Leimkuhler &
    Matthews 2013. Arguments are checked at once; the run goes on as the result is iterated over.

    Examples
    --------
    >>> from twolayer.data import sphere
    >>> rng = np.random.default_rng(0)
    >>> W, x = sphere((500, 2), rng), sphere((40, 2), rng)
    >>> run = langevin(W, np.zeros(500), x, x[:, 0], steps=400, dt=0.5, l2=0.02,
    ...                temperature=0.001, rng=rng)
    >>> step, W, u = next(run)
    >>> step, bool((W[:, 0] * u.sign() > 0).double().mean() > 0.9)
    (400, True)
    """
    W = _checks.tensor("W", W, 3 if np.ndim(W) == 3 else 2)
    u = _checks.tensor("u", u, max(np.ndim(u), W.ndim - 1), dtype=W.dtype, device=W.device)
    x = _checks.tensor("x", x, 2, dtype=W.dtype, device=W.device)
    _checks.one_of("loss", loss, ("squared", "cross-entropy"))
    if u.ndim not in (W.ndim - 1, W.ndim) or u.shape[: W.ndim - 1] != W.shape[:-1] or not u.numel():
        raise ValueError(
            f"u has shape {tuple(u.shape)}; it must be {tuple(W.shape[:-1])} or that "
            "with a last axis of outputs, and not empty"
        )
    if x.shape[1] != W.shape[-1]:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (n, {W.shape[-1]})")
    length = W.norm(dim=-1).flatten()
    worst = length[(length - 1).abs().argmax()]
    if abs(worst - 1) > 1e-5:
        raise ValueError(f"W has a row of length {worst:g}; each must be of length 1")
    classes = u.shape[-1] if u.ndim == W.ndim else None
    target = _target(loss, y, x, classes)
    steps = _checks.positive_int("steps", steps)
    every = steps if every is None else _checks.positive_int("every", every)
    dt = _checks.real("dt", dt, minimum=0, strict=True)
    l2 = _checks.real("l2", l2, minimum=0)
    temperature = _checks.real("temperature", temperature, minimum=0)
    rng = _checks.generator(rng)
    return _langevin(
        W.detach(), u.detach(), x, target, steps, dt, l2, temperature, rng, loss, averaged, every
    )


def _target(loss, y, x, classes):
    """The labels as numbers, shape (c, n): one hot for classes."""
    if loss == "cross-entropy":
        if classes is None:
            raise ValueError("u must have a last axis of outputs for the loss 'cross-entropy'")
        y = _checks.tensor("y", y, 1, device=x.device)
        _checks.same_length("x", x, "y", y)
        if ((y % 1 != 0) | (y < 0) | (y >= classes)).any():
            raise ValueError(f"y must hold classes 0..{classes - 1}, as many as u has outputs")
        return torch.nn.functional.one_hot(y.long(), classes).to(x.dtype).T
    y = _checks.tensor("y", y, 1 if classes is None else 2, dtype=x.dtype, device=x.device)
    _checks.same_length("x", x, "y", y)
    if classes is not None and y.shape[1] != classes:
        raise ValueError(f"y has shape {tuple(y.shape)}; it must be ({len(x)}, {classes})")
    return y.reshape(len(x), -1).T


@torch.no_grad()
def _langevin(W, u, x, target, steps, dt, l2, temperature, rng, loss, averaged, every):
    """The loop of `langevin`, whose arguments are checked; neurons are the last axis, for speed."""
    shape, m, n = u.shape, W.shape[-2], len(x)
    W, u = W.mT.contiguous(), u.reshape(*W.shape[:-1], -1).mT.contiguous()
    d, dtype = W.shape[-2], np.float32 if W.dtype == torch.float32 else np.float64
    scale = math.sqrt(2 * temperature * dt) / (2 if averaged else 1)

    def tangent(v):
        return v - (v * W).sum(-2, keepdim=True) * W

    def length(v):  # `norm` is slow along this axis
        return v.square().sum(-2, keepdim=True).sqrt()

    def draw():
        z = rng.standard_normal((*W.shape[:-2], d + u.shape[-2], m), dtype=dtype)
        z = torch.from_numpy(z).to(W)
        return tangent(z[..., :d, :]), z[..., d:, :]

    old = draw() if averaged else (0, 0)
    for step in range(steps):
        h = (x @ W).relu_()  # (..., n, m)
        f = u @ h.mT / m
        r = ((torch.softmax(f, -2) if loss == "cross-entropy" else f) - target) / n
        pull = r @ h  # G of every neuron; the force on w is u.r over the samples where it fires
        fires = h.sign_()
        one = u.shape[-2] == 1
        force = u * ((r * x.T) @ fires) if one else x.T @ fires.mul_(r.mT @ u)
        noise = draw()
        move = scale * (noise[0] + old[0]) - dt * tangent(force)
        u = u - dt * (pull + l2 * u) + scale * (noise[1] + old[1])
        size = length(move)
        along = move / size.clamp(min=torch.finfo(W.dtype).tiny)
        turned = along * size.cos() - W * size.sin()  # where parallel transport takes `along`
        W = W * size.cos() + along * size.sin()
        W = W / length(W)
        if averaged:
            shift = (noise[0] * along).sum(-2, keepdim=True) * (turned - along)
            old = noise[0] + shift, noise[1]
        if not (torch.isfinite(u.sum()) and torch.isfinite(W.sum())):
            raise ValueError(f"weights are not finite after step {step + 1}; dt={dt} is too large")
        if (step + 1) % every == 0 or step + 1 == steps:
            yield step + 1, W.mT.clone(), u.mT.reshape(shape).clone()
