"""Speed of what the chapters on foundations stand on, as ratios within one run.

``make bench``. The Gram matrix of the ReLU tangent kernel against a loop over pairs, against Neural
Tangents where that is installed (see tests/science/test_neural_tangents.py), and against what no
code can go below. All would give the same numbers: this is checked. One thread.
"""

import math
import os
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("NPROC", "1")  # threads of jax

import numpy as np
from one_step import seconds
from representations import close, once

from twolayer.kernels import relu_ntk

# --- the tangent kernel


def relu_ntk_pair(x, z):
    """The formula for one pair, as on paper."""
    norms = math.sqrt(sum(v * v for v in x)) * math.sqrt(sum(v * v for v in z))
    cosine = min(1.0, max(-1.0, sum(a * b for a, b in zip(x, z, strict=True)) / norms))
    angle = math.acos(cosine)
    return norms * (math.sin(angle) + 2 * (math.pi - angle) * cosine) / (2 * math.pi * len(x))


def relu_ntk_at_once(x):
    """The formula for all pairs, an array for each of its operations."""
    s = np.linalg.norm(x, axis=1)
    cosine = np.clip(x @ x.T / np.outer(s, s), -1, 1)
    angle = np.arccos(cosine)
    sine = np.sin(angle)
    return np.outer(s, s) * (sine + 2 * (np.pi - angle) * cosine) / (2 * np.pi * x.shape[1])


def neural_tangents():
    """x -> their kernel of the same network, compiled, in float64; None without the package."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import jax
            from neural_tangents import stax
    except ImportError as error:
        print(f"  Neural Tangents: skipped, it cannot be imported ({error})")
        return None
    jax.config.update("jax_enable_x64", True)
    kernel = jax.jit(stax.serial(stax.Dense(1), stax.Relu(), stax.Dense(1))[2], static_argnums=2)
    return lambda x: np.asarray(kernel(x, None, "ntk"))


def tangent_kernel(n=4000, d=100, rows=200):
    """The Gram matrix of `relu_ntk`: how much faster than others, how near to the limit."""
    x = np.random.default_rng(0).standard_normal((n, d))
    few, out = x[:rows].tolist(), np.empty((n, n))
    gemm = seconds(lambda: np.matmul(x, x.T, out=out))
    cosine = np.clip(x @ x.T / d, -1, 1)
    arccos = seconds(lambda: np.arccos(cosine, out=out))
    ours, limit = seconds(relu_ntk, x), gemm + arccos
    print(f"ReLU tangent kernel, n = {n}, d = {d}, float64: {ours:.2f} s; the limit:", end=" ")
    print(f"product x x' {gemm:.3f} s and n^2 arccos {arccos:.3f} s: {ours / limit:.1f} times that")

    loop, values = once(lambda: [[relu_ntk_pair(a, b) for b in few] for a in few])
    close("loop", relu_ntk(x[:rows]), values, 1e-7)
    loop *= (n / rows) ** 2
    print(f"  loop over pairs {loop:.0f} s, {rows} x {rows} of them scaled:", end=" ")
    print(f"{loop / ours:.0f} times")
    rivals = {"all pairs at once, in numpy": relu_ntk_at_once, "Neural Tangents": neural_tangents()}
    for name, rival in rivals.items():
        if rival is not None:
            close(name, rival(x), relu_ntk(x), 1e-8)  # also compiles
            slow = seconds(rival, x)
            print(f"  {name} {slow:.2f} s: {slow / ours:.1f} times")


# --- other sections: a function each, named in the loop below


if __name__ == "__main__":
    for part in (tangent_kernel,):
        part()
