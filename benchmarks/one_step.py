"""Speed of one gradient step and a ridge readout, as ratios within one run.

``make bench``. Straightforward code is what a notebook would hold: outer products for the gradient,
the pre-activations computed twice, an explicit inverse for the ridge. One thread.
"""

import itertools
import math
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from twolayer.gradients import descent_direction, gradient_step
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout

REPEATS = 5


def seconds(function, *arguments):
    """Least of several runs: what the code costs when nothing else runs."""
    best = math.inf
    for _ in range(REPEATS):
        start = time.perf_counter()
        function(*arguments)
        best = min(best, time.perf_counter() - start)
    return best


def straightforward_step(W, a, x, y, eta):
    """The same step as on paper: outer(residual, a) * sigma'(x W'), then its product with x."""
    m = len(a)
    f = np.tanh(x @ W.T) @ a / np.sqrt(m)
    slope = 1 - np.tanh(x @ W.T) ** 2
    gradient = (np.outer(y - f, a) * slope).T @ x / len(x)
    return W + eta * gradient


def straightforward_ridge(features, y, ridge):
    """The textbook formula, with its inverse."""
    m = features.shape[1]
    return np.linalg.inv(features.T @ features + ridge * np.eye(m)) @ features.T @ y


def compare(dtype, d=2000, m=2000, n=4000):
    """Times of both ways; checks that they give the same numbers."""
    rng = np.random.default_rng(0)
    network = TwoLayer.mean_field(m, d, "tanh", rng, dtype=dtype)
    x = rng.standard_normal((n, d)).astype(dtype)
    y = np.sign(x[:, 0])
    paper = network.W, network.a, x, y

    def ours():
        after = gradient_step(network, x, y, 1.0)
        return after, fit_readout(after.features(x), y, 1.0)

    def straightforward():
        W = straightforward_step(*paper, 1.0)
        return W, straightforward_ridge(np.tanh(paper[2] @ W.T) / np.sqrt(m), paper[3], 1.0)

    (after, a), (W, b) = ours(), straightforward()
    tolerance = 1e-10 if dtype == "float64" else 1e-3
    assert np.linalg.norm(after.W - W) < tolerance * np.linalg.norm(W)
    assert np.linalg.norm(a - b) < tolerance * np.linalg.norm(b)

    left, right = x @ network.W.T, np.empty_like(network.W)
    gemm = seconds(lambda: (np.matmul(x, network.W.T, out=left), np.matmul(left.T, x, out=right)))
    features = after.features(x)
    rows = {
        "step and ridge": (seconds(ours), seconds(straightforward)),
        "step alone": (
            step := seconds(descent_direction, network, x, y),
            seconds(straightforward_step, *paper, 1.0),
        ),
        "ridge alone": (
            seconds(fit_readout, features, y, 1.0),
            seconds(straightforward_ridge, features, y, 1.0),
        ),
    }
    peak = 2 * 2 * n * m * d / gemm / 1e9
    print(f"{dtype}, d = m = {d}, n = {n}; matrix products alone run at {peak:.0f} GFLOP/s")
    for what, (fast, slow) in rows.items():
        print(f"  {what:15} {fast:.2f} s, straightforward {slow:.2f} s: {slow / fast:.2f} times")
    print(f"  the step reaches {gemm / step:.0%} of the speed of its two matrix products")
    return rows["step and ridge"]


def growth(sizes=(500, 1000, 2000)):
    """Cost of the step as d doubles, m = d, n = 2d: a factor 8 if products dominate."""
    times = []
    for d in sizes:
        rng = np.random.default_rng(d)
        network = TwoLayer.mean_field(d, d, "tanh", rng, dtype="float32")
        x = rng.standard_normal((2 * d, d)).astype("float32")
        times.append(seconds(descent_direction, network, x, np.sign(x[:, 0])))
    ratios = ", ".join(f"{b / a:.1f}" for a, b in itertools.pairwise(times))
    print(f"cost of the step as d doubles over {sizes} (8 = cubic): {ratios}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    single, _ = compare("float32")
    _, double_straight = compare("float64")
    ratio = double_straight / single
    print(
        f"float32 here against straightforward code in NumPy's default float64: {ratio:.2f} times"
    )
    growth()
