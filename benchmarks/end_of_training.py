"""The exact loss against autograd and against samples.

Gradient steps on both layers of a student of 100 neurons in d = 20: the closed-form
gradient (`simulation.recovering_the_teacher`), autograd on the same closed form, and minibatches as
large as it takes for the gradient to be known within 1 % (their number follows from the measured
variance of one sample). Then noisy descent in one stack against one network at a time.
"""

import math

import numpy as np
import torch
from table import Row, close, race

from twolayer.data import Teacher, sphere
from twolayer.descent import descend, langevin, sgd
from twolayer.network import TwoLayer
from twolayer.simulation.recovering_the_teacher import run
from twolayer.theory.recovering_the_teacher import population_gradient

D, WIDTH, STEPS, ETA = 20, 100, 20, 0.5


def exact(teacher, W, a):
    """The library's way."""
    return run(teacher, W, a, eta=ETA, weight_decay=np.zeros(STEPS))


def autograd(teacher, W, a):
    """The same loss in torch, with its gradient by autograd."""
    W, a = (torch.tensor(v, requires_grad=True) for v in (W, a))
    target, minus = torch.tensor(teacher.W), -torch.tensor(teacher.a)
    for _ in range(STEPS):
        length = W.norm(dim=1)
        B, q = torch.cat([W / length[:, None], target]), torch.cat([a * length, minus])
        cosine = (B @ B.T).clamp(-1 + 1e-15, 1 - 1e-15)
        kernel = 2 / math.pi * ((1 - cosine**2).sqrt() + cosine * cosine.arcsin() - 1)
        in_W, in_a = torch.autograd.grad(q @ kernel @ q / 2, (W, a))
        with torch.no_grad():
            W, a = ((v - ETA * g).requires_grad_() for v, g in ((W, in_W), (a, in_a)))
    return W.detach().numpy(), a.detach().numpy()


def batch_for(teacher, W, a, accuracy, rng):
    """Samples for a relative error of the gradient in W, from the variance of one sample."""
    x, y = teacher.sample(20_000, rng)
    z = x @ W.T
    residual = abs(z) @ a - y
    residual -= residual.mean()
    push = residual[:, None] * np.sign(z) * a  # of one sample in row i: push_i x
    second = (push**2).mean(0).sum() * D  # E |x|^2 = d, to leading order
    mean = population_gradient(teacher, W, a)[0]
    return math.ceil((second - (mean**2).sum()) / (mean**2).sum() / accuracy**2)


def exact_loss(accuracy=0.01):
    """Steps on the exact loss, by autograd on it, and on samples for the same accuracy."""
    rng = np.random.default_rng(0)
    teacher = Teacher.random(D, [1.0, -1.0, 1.0], rng)
    W, a = 0.2 * rng.standard_normal((WIDTH, D)), rng.choice([-0.2, 0.2], WIDTH)
    n = batch_for(teacher, W, a, accuracy, rng)
    x, y = teacher.sample(min(n, 200_000), rng)
    net = TwoLayer(W, a * math.sqrt(WIDTH), "abs")
    method = sgd(x, y, rates={"W": ETA / 2, "a": ETA / 2 * WIDTH}, loss="centred")
    with torch.enable_grad():
        close("exact loss", exact(teacher, W, a)[0], autograd(teacher, W, a)[0], 1e-6)
        fast, slow = race(lambda: exact(teacher, W, a), lambda: autograd(teacher, W, a))
    (sampled,) = race(lambda: descend(net, method, 1), repeats=2)
    yield Row("exact loss, 20 steps: autograd", fast, slow, "autograd on the same loss")
    sampled *= STEPS * n / len(x)
    yield Row("exact loss, 20 steps: samples", fast, sampled, "samples, the gradient within 1 %")


def noisy_descent():
    """A stack of networks against one after the other."""
    rng = np.random.default_rng(0)
    x = sphere((40, 2), rng)
    noisy = langevin(x, x[:, 0], dt=1.0, weight_decay=0.02, temperature=0.01, rng=rng)
    for m in (50, 5000):
        start = TwoLayer(sphere((8, m, 2), rng), np.zeros((8, m)), "relu")
        together, alone = race(
            lambda v=start: descend(v, noisy, 20),
            lambda v=start: [descend(w, noisy, 20) for w in v],
        )
        yield Row(f"noisy descent, 8 networks, m = {m}", together, alone, "one after the other")


PARTS = (exact_loss, noisy_descent)
