"""Speed of the exact loss against autograd and against samples, as ratios within one run.

``make bench``. Gradient steps on both layers of a student of 100 neurons in d = 20: the closed-form
gradient (`simulation.recovering_the_teacher`), autograd on the same closed form, and minibatches as
large as it takes for the gradient to be known within 1 % (their number follows from the measured
variance of one sample). Then noisy descent in one stack against one network at a time. One thread.
"""

import math
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from one_step import seconds

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


def main():
    """Print one table of ratios."""
    rng = np.random.default_rng(0)
    teacher = Teacher.random(D, [1.0, -1.0, 1.0], rng)
    W, a = 0.2 * rng.standard_normal((WIDTH, D)), rng.choice([-0.2, 0.2], WIDTH)
    with torch.enable_grad():
        gap = abs(exact(teacher, W, a)[0] - autograd(teacher, W, a)[0]).max()
        if not gap < 1e-6:
            raise AssertionError(f"exact and autograd differ by {gap:.1e}")
        slow = seconds(autograd, teacher, W, a)
    fast = seconds(exact, teacher, W, a)
    print(f"exact loss, m = {WIDTH}, d = {D}: {1e3 * fast / STEPS:.2f} ms a step")
    print(f"  autograd on the same loss   {slow / fast:7.1f} times as long")
    for accuracy in (0.1, 0.03, 0.01):
        n = batch_for(teacher, W, a, accuracy, rng)
        x, y = teacher.sample(min(n, 200_000), rng)
        net = TwoLayer(W, a * math.sqrt(WIDTH), "abs")
        rates = {"W": ETA / 2, "a": ETA / 2 * WIDTH}
        method = sgd(x, y, rates=rates, loss="centred")
        sampled = seconds(descend, net, method, 2)
        ratio = sampled / 2 * STEPS / fast * n / len(x)
        print(f"  samples for {accuracy:4.0%}: n = {n:8}  {ratio:7.1f} times as long")
    x = sphere((40, 2), rng)
    noisy = langevin(x, x[:, 0], dt=1.0, weight_decay=0.02, temperature=0.01, rng=rng)
    for m in (50, 500, 5000):
        start = TwoLayer(sphere((8, m, 2), rng), np.zeros((8, m)), "relu")
        together = seconds(descend, start, noisy, 20)
        alone = sum(seconds(descend, network, noisy, 20) for network in start)
        print(f"noisy descent, 8 networks of m = {m:4}: one by one {alone / together:.1f} times")


if __name__ == "__main__":
    main()
