"""One gradient step on a GPU: the CPU's numbers, and its share of the card's matrix products.

    python benchmarks/gpu.py --out gpu.json

takes at most five minutes on one card and prints one JSON object; without a card it says so and
does nothing. It needs NumPy, SciPy, torch and this library. Three things are measured, in float32,
with TF32 off but where it says otherwise.

1. Same inputs, d = 2,048: the step on the card against the same step in NumPy.
2. Numbers without a size, the spike's value and overlap: one network at d = m = 16,384 on the card
   against ten at 2,048 on the CPU, and against their common limit.
3. Speed: the step's 4 n m d operations a second, over the best that a square product of size d
   reaches on the same card in the same run.
"""

import argparse
import json
import math
import pathlib
import sys
import time

import numpy as np
import torch

from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.network import TwoLayer
from twolayer.simulation import one_step
from twolayer.theory.one_step import FirstStep, outlier, squared_overlap

SETTING = FirstStep("tanh", "sign", alpha0=4.0, width_ratio=1.0)
STRENGTHS = np.array([2.0, 3.0])  # of the spike, both above the transition at 1
UNIT = 2.0**-24  # rounding of float32


def rounding(n0, d):
    """By how much two float32 routes to the step may differ, relative to its norm.

    Sums of k terms of random sign are rounded by up to UNIT sqrt(k): of d terms in what a neuron
    sees, of n0 in its gradient; and there are two routes.
    """
    return 2 * UNIT * (math.sqrt(n0) + math.sqrt(d))


def same_inputs(device, d, seed=0):
    """The relative difference of the step on the device from that in NumPy, and what it may be."""
    rng = np.random.default_rng(seed)
    x, y = SingleIndex(d, SETTING.link).sample(round(SETTING.alpha0 * d), rng)
    network = TwoLayer.mean_field(d, d, SETTING.activation, rng, dtype="float32")
    here = descent_direction(network, x, y)
    there = one_step._direction(network, x, y, torch.device(device))
    difference = np.linalg.norm(there - here) / np.linalg.norm(here)
    allowed = rounding(len(y), d)
    return {
        "d": d,
        "relative_difference": float(difference),
        "allowed": allowed,
        "holds": bool(difference <= allowed),
    }


def sizes(device, small, large, seeds):
    """Value and overlap of the spike at the large size on the device, the small one on the CPU."""
    many = [
        one_step.run(SETTING, STRENGTHS, small, np.random.default_rng(seed))
        for seed in range(seeds)
    ]
    one = one_step.run(SETTING, STRENGTHS, large, np.random.default_rng(seeds), device=device)
    limits = {
        "value": outlier(STRENGTHS, SETTING.width_ratio),
        "squared_overlap": squared_overlap(STRENGTHS, SETTING.width_ratio),
    }
    rows = []
    for name, limit in limits.items():
        draws = np.array([found[name] for found in many])
        mean, std = draws.mean(0), draws.std(0, ddof=1)
        for i, strength in enumerate(STRENGTHS):
            # one draw scatters like 1 / sqrt(d); what is systematic falls with d
            scatter = 3 * std[i] * math.sqrt(small / large + 1 / seeds)
            bias = abs(mean[i] - limit[i])
            off = abs(one[name][i] - mean[i])
            rows.append(
                {
                    "what": f"{name} at strength {strength:g}",
                    "limit": float(limit[i]),
                    f"cpu_{small}": float(mean[i]),
                    "standard_error": float(std[i] / math.sqrt(seeds)),
                    f"{device}_{large}": float(one[name][i]),
                    "allowed": float(scatter + bias),
                    "holds": bool(off <= scatter + bias),
                }
            )
    return rows


def seconds(function, device, repeats=5):
    """Least of several runs, each until the device has finished."""

    def wait():
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()

    best = math.inf
    function()  # what the first call sets up
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        function()
        wait()
        best = min(best, time.perf_counter() - start)
    return best


def speed(device, d, *, tf32):
    """The step and a square product, in 10^12 operations a second."""
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        n = round(SETTING.alpha0 * d)
        draw = torch.Generator(device).manual_seed(0)
        x = torch.randn(n, d, generator=draw, device=device)
        W = torch.randn(d, d, generator=draw, device=device) / math.sqrt(d)
        network = TwoLayer(W, torch.full((d,), d**-0.5, device=device), SETTING.activation)
        y = x[:, 0].sign()
        out = torch.empty_like(W)
        product = seconds(lambda: torch.matmul(W, W.T, out=out), device)
        step = seconds(lambda: descent_direction(network, x, y), device)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    peak, reached = 2 * d**3 / product / 1e12, 4 * n * d * d / step / 1e12
    return {
        "d": d,
        "n": n,
        "tf32": tf32,
        "seconds_of_a_step": step,
        "step_tflops": reached,
        "product_tflops": peak,
        "share": reached / peak,
    }


def missing(device):
    """Why nothing can be measured on a device; empty where it can."""
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no CUDA device on this machine"
    return ""


def measure(device, small, large, seeds):
    """All of it, as one object."""
    begin = time.perf_counter()
    cuda = torch.device(device).type == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = False
    found = {
        "device": torch.cuda.get_device_name() if cuda else device,
        "torch": torch.__version__,
        "speed": [speed(device, large, tf32=tf32) for tf32 in (False, True)[: 1 + cuda]],
        "same_inputs": same_inputs(device, small),
        "sizes": sizes(device, small, large, seeds),
    }
    checks = [found["same_inputs"], *found["sizes"]]
    found["holds"] = all(row["holds"] for row in checks)
    found["seconds"] = time.perf_counter() - begin
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", type=int, default=2048, help="d on the CPU")
    parser.add_argument("--large", type=int, default=16384, help="d on the device")
    parser.add_argument("--seeds", type=int, default=10, help="networks on the CPU")
    parser.add_argument("--out", type=pathlib.Path, help="a file for the object, too")
    options = parser.parse_args(arguments)
    if why := missing(options.device):
        found = {"skipped": why}
    else:
        found = measure(options.device, options.small, options.large, options.seeds)
    text = json.dumps(found, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", "utf-8")
    return int(not found.get("holds", True))


if __name__ == "__main__":
    sys.exit(main())
