"""What the chapters on representations stand on, against straightforward code and scikit-learn.

Kernels, a path of ridges, Adam on several networks at once, the large step, and the curves of
kernel ridge regression. All ways give the same numbers: this is checked.
"""

import math

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from table import Row, close, once, race

from twolayer.data import SingleIndex
from twolayer.descent import adam, descend
from twolayer.gradients import learn_directions
from twolayer.kernels import arc_cosine, polynomial
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout, ridge_path
from twolayer.theory.ridge_curves import optimal_curve, optimal_ridge
from twolayer.theory.spectra import feature_moments, kernel_spectrum

TARGET = (0.0, 0.0, 0.5**0.5, 0.5**0.5)  # (He_2/sqrt 2 + He_3/sqrt 6) / sqrt 2


def arc_cosine_pair(x, z):
    """The formula for one pair, as on paper."""
    norms = math.sqrt(sum(v * v for v in x)) * math.sqrt(sum(v * v for v in z))
    cosine = min(1.0, max(-1.0, sum(a * b for a, b in zip(x, z, strict=True)) / norms))
    angle = math.acos(cosine)
    return norms * (math.sin(angle) + (math.pi - angle) * cosine) / (2 * math.pi * len(x))


def kernel_matrices(n=4000, d=64, rows=200):
    """Both kernels against scikit-learn's nearest, and one against a double loop."""
    x = np.random.default_rng(0).standard_normal((n, d))
    few, cubic = x[:rows].tolist(), polynomial(3)
    loop, values = once(lambda: [[arc_cosine_pair(a, b) for b in few] for a in few])
    close("loop", arc_cosine(x[:rows]), values, 1e-7)

    def theirs():
        return polynomial_kernel(x, degree=3, gamma=1 / d, coef0=1.0)

    close("polynomial", cubic(x), theirs(), 1e-12)
    arc, rbf, cube, library = race(
        lambda: arc_cosine(x), lambda: rbf_kernel(x), lambda: cubic(x), theirs, repeats=9
    )
    whole = loop * (n / rows) ** 2
    yield Row(f"arc-cosine kernel, n = {n}: loop", arc, whole, f"loop over pairs, from {rows}^2")
    yield Row(f"arc-cosine kernel, n = {n}", arc, rbf, "scikit-learn's rbf_kernel", 1.0)
    yield Row(f"polynomial kernel, n = {n}", cube, library, "scikit-learn's polynomial_kernel", 1.0)


def ridges(n=4000, m=512, k=41):
    """One fit, and one eigendecomposition for a path, against scikit-learn's Ridge."""
    rng = np.random.default_rng(1)
    features, y = rng.standard_normal((n, m)) / math.sqrt(m), rng.standard_normal(n)
    path = np.geomspace(1e-3, 1e3, k)

    def theirs(ridge):
        return Ridge(ridge, fit_intercept=False).fit(features, y).coef_

    slow, coefficients = once(lambda: np.stack([theirs(r) for r in path]))
    close("ridge path", ridge_path(features, y, path).coefficients, coefficients, 1e-8)
    ours, one, single = race(
        lambda: ridge_path(features, y, path),
        lambda: fit_readout(features, y, 1.0),
        lambda: theirs(1.0),
    )
    yield Row(f"one ridge, n = {n}, m = {m}", one, single, "scikit-learn's Ridge")
    yield Row(f"{k} ridges, n = {n}, m = {m}", ours, slow, "scikit-learn's Ridge, one by one")


def seeds_at_once(k=8, batch=128, steps=100, n=2048):
    """Adam on k networks in one batched product against one network after the other."""
    rates = {"W": 0.03, "b": 0.03, "a": 0.03}
    for d, m in ((16, 128), (64, 512)):
        rng = np.random.default_rng(2)
        x = rng.standard_normal((k, n, d)).astype("float32")
        y = abs(x[..., 0])

        def run(parts, d=d, m=m, x=x, y=y):
            rngs = [np.random.default_rng(seed) for seed in range(k)]
            nets = [TwoLayer.symmetric(m, d, "relu", g) for g in rngs]
            trained = []
            for p in parts:
                method = adam(x[p], y[p], rates=rates, rng=rngs[p], batch=batch)
                trained.append(descend(TwoLayer.stack(nets[p]), method, steps).W)
            return np.concatenate(trained)

        together, alone = [slice(0, k)], [slice(i, i + 1) for i in range(k)]
        close(f"Adam, d = {d}, m = {m}", run(together), run(alone), 0.05)  # rounding grows
        fast, slow = race(lambda r=run, p=together: r(p), lambda r=run, p=alone: r(p), repeats=3)
        yield Row(f"Adam on {k} networks, m = {m}", fast, slow, "one after the other")


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

    functions = [lambda: ours("float64"), lambda: ours("float32")]
    for function, tolerance in zip(functions, (1e-10, 1e-3), strict=True):
        close("large step", function(), straightforward(m), tolerance)
    double, single, slow, half = race(
        *functions, lambda: straightforward(m), lambda: straightforward(m // 2)
    )
    name, against = f"large step, n = {n}, m = {m}", "the formula without blocks"
    yield Row(name, double, slow, against)
    yield Row(f"{name}: one of a pair", double, half, f"{against}, one neuron of a pair")
    yield Row(f"{name}: float32", single, slow, against)


def kernel_theory(n=4000, d=64):
    """A curve of 60 points against one point of it simulated, a kernel fit of n samples."""
    kernel, data, sizes = polynomial(3), SingleIndex(d, TARGET), np.geomspace(1e2, 1e6, 60)
    rng, near = np.random.default_rng(5), kernel_spectrum(kernel, data)
    (x, y), (x_test, y_test) = data.sample(n, rng), data.sample(n, rng)

    def simulate():
        model = KernelRidge(alpha=optimal_ridge(near, n), kernel="precomputed").fit(kernel(x), y)
        return np.mean((model.predict(kernel(x_test, x)) - y_test) ** 2)

    simulated, error = once(simulate)
    close("kernel curve", error, optimal_curve(near, n), 0.3)  # one draw, of heavy tails
    (curve,) = race(lambda: optimal_curve(kernel_spectrum(kernel, data), sizes))
    against = f"one simulated fit at each, from one, n = {n}"
    yield Row("kernel curve of 60 points", curve, simulated * len(sizes), against)


def moments(draws=100_000, d=64, m=256):
    """Second moments of features in closed form against Monte Carlo, scaled to an error of 1e-4."""
    data, rng = SingleIndex(d, TARGET), np.random.default_rng(5)
    W = rng.standard_normal((m, d))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    network = TwoLayer(W, np.zeros(m), "relu", rng.standard_normal(m))

    def sampled():
        features = network.features(data.sample(draws, np.random.default_rng(6))[0])
        return features.T @ features / draws

    slow, measured = once(sampled)
    exact = feature_moments(network, data)[0]
    gap = np.linalg.norm(measured - exact) / np.linalg.norm(exact)
    close("covariance", measured, exact, 0.05)
    (closed,) = race(lambda: feature_moments(network, data))
    slow *= (gap / 1e-4) ** 2
    yield Row(f"moments of {m} features", closed, slow, "samples for an error of 1e-4", 5000)


PARTS = (kernel_matrices, ridges, seeds_at_once, large_step, kernel_theory, moments)
