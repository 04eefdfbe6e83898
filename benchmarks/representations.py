"""Speed of what the chapters on representations stand on, as ratios within one run.

``make bench``. Kernels, a path of ridges, Adam on several networks at once, the large step, and the
curves of kernel ridge regression, each against straightforward code, which would give the same
numbers: this is checked. One thread.
"""

import math
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from one_step import seconds
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from twolayer.data import SingleIndex
from twolayer.descent import adam, descend
from twolayer.gradients import learn_directions, remove_linear_part
from twolayer.kernels import arc_cosine, polynomial
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout, ridge_path
from twolayer.theory.ridge_curves import optimal_curve, optimal_ridge
from twolayer.theory.spectra import feature_moments, kernel_spectrum

TARGET = (0.0, 0.0, 0.5**0.5, 0.5**0.5)  # (He_2/sqrt 2 + He_3/sqrt 6) / sqrt 2


def once(function, *arguments):
    """Seconds of a single run, for what takes long, and its result."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def close(name, a, b, tolerance):
    """Raise unless two ways give the same numbers."""
    gap = np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b)
    if not gap < tolerance:
        raise AssertionError(f"{name}: relative difference {gap:.1e}, allowed {tolerance:.0e}")


def arc_cosine_pair(x, z):
    """The formula for one pair, as on paper."""
    norms = math.sqrt(sum(v * v for v in x)) * math.sqrt(sum(v * v for v in z))
    cosine = min(1.0, max(-1.0, sum(a * b for a, b in zip(x, z, strict=True)) / norms))
    angle = math.acos(cosine)
    return norms * (math.sin(angle) + (math.pi - angle) * cosine) / (2 * math.pi * len(x))


def polynomial_pair(x, z):
    """(1 + x.z/d)^3."""
    return (1 + sum(a * b for a, b in zip(x, z, strict=True)) / len(x)) ** 3


def kernel_matrices(n=4000, d=64, rows=200):
    """Both kernels against a double loop and against scikit-learn."""
    x = np.random.default_rng(0).standard_normal((n, d))
    few, out = x[:rows].tolist(), np.empty((n, n))
    gemm = seconds(lambda: np.matmul(x, x.T, out=out))
    shifted = np.ascontiguousarray(x + 0.0)  # another array: BLAS takes no half of a Gram matrix
    full = seconds(lambda: np.matmul(x, shifted.T, out=out))
    print(f"kernel matrices, n = {n}, d = {d}, float64; the product x x' alone", end=" ")
    print(f"{gemm:.2f} s (of two different arrays {full:.2f} s, {2 * n * n * d / full / 1e9:.0f}")
    print(f"  GFLOP/s); the double loop runs on {rows} x {rows} pairs, scaled to all")
    rivals = {
        "arc-cosine": (arc_cosine, arc_cosine_pair, "rbf_kernel (the nearest)", rbf_kernel),
        "polynomial": (
            polynomial(3),
            polynomial_pair,
            "polynomial_kernel",
            lambda v: polynomial_kernel(v, degree=3, gamma=1 / d, coef0=1.0),
        ),
    }
    for name, (kernel, pair, theirs, function) in rivals.items():
        ours, library = seconds(kernel, x), seconds(function, x)
        loop, values = once(lambda pair=pair: [[pair(a, b) for b in few] for a in few])
        close(name, kernel(x[:rows]), values, 1e-7)
        if name == "polynomial":
            close("scikit-learn", kernel(x), function(x), 1e-12)
        loop *= (n / rows) ** 2
        print(
            f"  {name:11} {ours:.2f} s; double loop {loop:.0f} s: {loop / ours:.0f} times;", end=" "
        )
        print(f"{theirs} {library:.2f} s: {library / ours:.2f} times;", end=" ")
        print(f"{gemm / ours:.0%} of the speed of the product")


def ridges(n=4000, m=512, k=41):
    """One eigendecomposition for a path against one fit a ridge."""
    rng = np.random.default_rng(1)
    features, y = rng.standard_normal((n, m)) / math.sqrt(m), rng.standard_normal(n)
    path = np.geomspace(1e-3, 1e3, k)

    def singly():
        return np.stack([fit_readout(features, y, float(r)) for r in path])

    def theirs():
        return np.stack([Ridge(r, fit_intercept=False).fit(features, y).coef_ for r in path])

    ours = seconds(ridge_path, features, y, path)
    one = seconds(fit_readout, features, y, 1.0)
    print(f"{k} ridges, n = {n}, m = {m}: one eigendecomposition {ours:.3f} s,", end=" ")
    print(f"as much as {ours / one:.1f} single fits;")
    for name, function in (("fit_readout", singly), ("scikit-learn's Ridge", theirs)):
        slow, coefficients = once(function)
        close(name, ridge_path(features, y, path).coefficients, coefficients, 1e-8)
        print(f"  {name} one by one {slow:.2f} s: {slow / ours:.1f} times")


def seeds_at_once(k=8, batch=128, steps=200, n=2048):
    """Adam on k networks in one batched product against one network after the other."""
    print(f"Adam, k = {k} networks at once or in turn, batch {batch}, {steps} steps, float32")
    rates = {"W": 0.03, "b": 0.03, "a": 0.03}

    def start(d, m):
        rngs = [np.random.default_rng(seed) for seed in range(k)]
        return [TwoLayer.symmetric(m, d, "relu", g) for g in rngs], rngs

    for d, m in ((16, 128), (32, 512), (64, 512)):
        rng = np.random.default_rng(2)
        x = rng.standard_normal((k, n, d)).astype("float32")
        y = abs(x[..., 0])

        def run(parts, d=d, m=m, x=x, y=y):
            nets, rngs = start(d, m)
            trained = []
            for p in parts:
                method = adam(x[p], y[p], rates=rates, rng=rngs[p], batch=batch)
                trained.append(descend(TwoLayer.stack(nets[p]), method, steps).W)
            return np.concatenate(trained)

        together, alone = [slice(0, k)], [slice(i, i + 1) for i in range(k)]
        close(f"Adam, d = {d}, m = {m}", run(together), run(alone), 0.05)  # rounding grows
        times = [(once(run, together)[0], once(run, alone)[0]) for _ in range(3)]
        fast, slow = np.min(times, axis=0)
        verdict = "faster" if slow > 1.05 * fast else "slower" if fast > 1.05 * slow else "no gain"
        print(f"  d = {d}, m = {m}: at once {fast:.2f} s, in turn {slow:.2f} s:", end=" ")
        print(f"{slow / fast:.2f} times, {verdict} at once")


def large_step(n=16384, d=64, m=512):
    """The large step in both precisions, against the formula without blocks."""
    rng = np.random.default_rng(3)
    x, y = SingleIndex(d, TARGET).sample(n, rng)

    def straightforward(width):
        W = np.random.default_rng(4).standard_normal((m // 2, d)) / math.sqrt(d)
        W = np.concatenate([W, W])[-width:]
        inputs = np.column_stack([np.ones(n), x])
        rest = y - inputs @ np.linalg.lstsq(inputs, y)[0]
        pull = ((x @ W.T > 0) * rest[:, None]).T @ x / n
        if width < m:
            pull = np.concatenate([pull, -pull])
        else:
            pull[m // 2 :] *= -1  # readouts of opposite sign
        return pull / np.linalg.norm(pull, axis=1, keepdims=True)

    def ours(dtype):
        return learn_directions(x, y, m, np.random.default_rng(4), dtype=dtype).W

    print(f"one large step, n = {n}, d = {d}, m = {m}")
    half = seconds(straightforward, m // 2)
    slow = seconds(straightforward, m)
    linear = seconds(remove_linear_part, x, y)
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-3)):
        close(dtype, ours(dtype), straightforward(m), tolerance)
        X = np.asarray(x, dtype=dtype)
        W = np.ones((m // 2, d), dtype=X.dtype)
        z, pull = X @ W.T, np.empty_like(W)
        gemm = seconds(lambda X=X, W=W, z=z, p=pull: (X.dot(W.T, out=z), z.T.dot(X, out=p)))
        fast = seconds(ours, dtype)
        print(
            f"  {X.dtype} {1e3 * fast:.0f} ms ({1e3 * linear:.0f} of them for the linear", end=" "
        )
        print(
            f"part); straightforward float64 {1e3 * slow:.0f} ms: {slow / fast:.1f} times,", end=" "
        )
        print(f"with one neuron a pair {1e3 * half:.0f} ms: {half / fast:.1f} times;", end=" ")
        rate = 4 * n * d * m / 2 / 1e9
        print(f"{gemm / fast:.0%} of the speed of its two products, {rate / gemm:.0f} GFLOP/s")


def theory(n=4000, draws=100_000, d=64, m=256):
    """Exact curves against one simulation, and closed-form moments against Monte Carlo."""
    kernel, sizes = polynomial(3), np.geomspace(1e4, 1e12, 60)
    exact = seconds(kernel_spectrum, kernel, SingleIndex(10_000, TARGET))
    spectrum = kernel_spectrum(kernel, SingleIndex(10_000, TARGET))
    curve = seconds(optimal_curve, spectrum, sizes)
    data, rng = SingleIndex(d, TARGET), np.random.default_rng(5)
    (x, y), (x_test, y_test) = data.sample(n, rng), data.sample(1000, rng)
    near = kernel_spectrum(kernel, data)

    def simulate():
        model = KernelRidge(alpha=optimal_ridge(near, n), kernel="precomputed").fit(kernel(x), y)
        return np.mean((model.predict(kernel(x_test, x)) - y_test) ** 2)

    simulated, error = once(simulate)
    print(f"kernel curve of {len(sizes)} points at d = 10000: {1e3 * curve:.1f} ms,", end=" ")
    print(f"its spectrum {1e3 * exact:.1f} ms; one simulated fit, d = {d}, n = {n}:", end=" ")
    print(f"{simulated:.2f} s, {simulated / (curve + exact):.0f} times", end=" ")
    print(f"(error {error:.3f}, theory {optimal_curve(near, n):.3f})")

    W = rng.standard_normal((m, d))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    network = TwoLayer(W, np.zeros(m), "relu", rng.standard_normal(m))

    def sampled():
        x, y = data.sample(draws, np.random.default_rng(6))
        features = network.features(x)
        return features.T @ features / draws, features.T @ y / draws, y @ y / draws

    closed = seconds(feature_moments, network, data)
    slow, measured = once(sampled)
    moments = feature_moments(network, data)
    close("covariance", measured[0], moments[0], 0.05)
    gaps = [
        np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(measured, moments, strict=True)
    ]
    print(f"moments of {m} features, d = {d}: closed form {1e3 * closed:.0f} ms, {draws}", end=" ")
    print(f"samples {slow:.2f} s: {slow / closed:.0f} times, and a relative error of {gaps[0]:.0e}")
    print(f"  in the covariance, {gaps[1]:.0e} in the product with the target")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in (kernel_matrices, ridges, seeds_at_once, large_step, theory):
        part()
