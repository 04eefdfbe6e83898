"""What the chapters on foundations stand on: the Gram matrix of the ReLU tangent kernel.

Against a loop over pairs, the formula on whole arrays, and Neural Tangents, which lives in an
environment of its own: NEURAL_TANGENTS names its Python (how to install it: the head of
tests/science/test_neural_tangents.py). All ways to the same matrix are checked to agree.
"""

import math
import os
import subprocess
import sys

import numpy as np
from table import ROOT, Row, close, once, race

from twolayer.kernels import relu_ntk

N, D = 4000, 100

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


def tangent_kernel(rows=200):
    """`relu_ntk` against NumPy and against no array at all."""
    x = np.random.default_rng(0).standard_normal((N, D))
    few = x[:rows].tolist()
    loop, values = once(lambda: [[relu_ntk_pair(a, b) for b in few] for a in few])
    close("loop", relu_ntk(x[:rows]), values, 1e-7)
    close("all pairs at once", relu_ntk_at_once(x), relu_ntk(x), 1e-8)
    ours, arrays = race(lambda: relu_ntk(x), lambda: relu_ntk_at_once(x))
    name = f"ReLU tangent kernel, n = {N}"
    yield Row(f"{name}: loop", ours, loop * (N / rows) ** 2, f"loop over pairs, from {rows}^2")
    yield Row(f"{name}: arrays", ours, arrays, "the formula on whole arrays")


def neural_tangents():
    """Their compiled kernel of the same network in float64, measured in their environment."""
    python = os.environ.get("NEURAL_TANGENTS", sys.executable)
    quiet = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3", "NPROC": "1"}  # threads of jax
    library = {"PYTHONPATH": str(ROOT / "lib")}
    command = [python, "-W", "ignore", str(ROOT / "benchmarks/neural_tangents_kernel.py")]
    done = subprocess.run(
        command, env=os.environ | quiet | library, capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        print(f"  Neural Tangents: not installed for {python}")
        return
    if done.returncode:
        raise RuntimeError(done.stderr)
    ours, other = map(float, done.stdout.split())
    name = f"ReLU tangent kernel, n = {N}: Neural Tangents"
    yield Row(name, ours, other, "Neural Tangents, compiled", 1.0)


PARTS = (tangent_kernel, neural_tangents)
