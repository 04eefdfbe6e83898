"""One gradient step and a ridge readout against straightforward code.

That is what a notebook would hold: outer products for the gradient, the pre-activations computed
twice, an explicit inverse for the ridge.
"""

import numpy as np
from table import Row, close, race

from twolayer.gradients import descent_direction, gradient_step
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout


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


def step_and_ridge(d=1000, m=1000, n=2000):
    """Both precisions of ours against NumPy's default; the products are what no code goes below."""
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-3)):
        rng = np.random.default_rng(0)
        network = TwoLayer.mean_field(m, d, "tanh", rng, dtype=dtype)
        x = rng.standard_normal((n, d)).astype(dtype)
        y = np.sign(x[:, 0])
        W, a = network.W, network.a
        after = gradient_step(network, x, y, 1.0)
        features = after.features(x)
        left, right = x @ W.T, np.empty_like(W)

        def products(x=x, W=W, left=left, right=right):
            np.matmul(x, W.T, out=left)
            np.matmul(left.T, x, out=right)

        close("step", after.W, straightforward_step(W, a, x, y, 1.0), tolerance)
        readout = straightforward_ridge(features, y, 1.0)
        close("ridge", fit_readout(features, y, 1.0), readout, tolerance)
        step, slow_step, least, ridge, slow_ridge = race(
            lambda v=(network, x, y): descent_direction(*v),
            lambda v=(W, a, x, y): straightforward_step(*v, 1.0),
            products,
            lambda v=(features, y): fit_readout(*v, 1.0),
            lambda v=(features, y): straightforward_ridge(*v, 1.0),
        )
        name = f"{dtype}, d = m = {d}"
        yield Row(f"gradient step, {name}", step, slow_step, "the formula as on paper")
        yield Row(f"gradient step, {name}: products", step, least, "its two products alone")
        yield Row(f"ridge readout, {name}", ridge, slow_ridge, "the formula with its inverse")


PARTS = (step_and_ridge,)
