"""The written-out gradient against torch's autograd, and its law against simulation."""

import numpy as np
import pytest
import torch

from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.hermite import coefficients
from twolayer.network import TwoLayer
from twolayer.theory.one_step import FirstStep


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu", "abs", "sin", "gelu", "he3"])
@pytest.mark.parametrize("biases", [False, True])
def test_direction_is_minus_sqrt_m_times_the_gradient_of_the_loss(activation, biases, rng):
    b = rng.standard_normal(5) if biases else None
    W, a = rng.standard_normal((5, 3)), rng.standard_normal(5)
    x, y = rng.standard_normal((700, 3)), rng.standard_normal(700)
    W_tensor = torch.tensor(W, requires_grad=True)
    f = TwoLayer(W_tensor, a, activation, b)(torch.as_tensor(x))
    loss = ((f - torch.as_tensor(y)) ** 2).mean() / 2
    (gradient,) = torch.autograd.grad(loss, W_tensor)
    H = descent_direction(TwoLayer(W, a, activation, b), x, y)
    np.testing.assert_allclose(H, -np.sqrt(5) * gradient.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("link", ["sign", "tanh", "he2", (0.0, 0.5, 0.0, 1.0)])
@pytest.mark.parametrize("noise", [0.0, 0.8])
def test_norm_and_overlap_of_the_first_gradient(link, noise):
    """|g|^2 and cos^2 over 20 draws; the exact mean differs from the limit by O(1/d)."""
    setting = FirstStep("tanh", link, alpha0=2.0, width_ratio=1.0, noise=noise)
    d, norms, overlaps = 400, [], []
    for seed in range(20):
        x, y = SingleIndex(d, link, noise).sample(2 * d, np.random.default_rng([1, seed]))
        g = x.T @ y / len(y)
        norms.append(g @ g)
        overlaps.append(g[0] ** 2 / (g @ g))
    for values, want in [(norms, setting.gradient_norm**2), (overlaps, setting.squared_overlap)]:
        error = np.std(values, ddof=1) / np.sqrt(20)
        assert abs(np.mean(values) - want) < 3.5 * error + 12 / d


def test_rank_one_part_and_the_size_of_the_rest():
    """H = mu1 a g' + R, with |R| of order 1 / sqrt(d): it halves when d is four times as large."""
    norms = []
    for d in (150, 600):
        rng = np.random.default_rng(d)
        x, y = SingleIndex(d, "sign").sample(4 * d, rng)
        net = TwoLayer.mean_field(d, d, "tanh", rng)
        g = x.T @ y / len(y)
        mu1 = coefficients(np.tanh, 1)[1]
        rest = descent_direction(net, x, y) - mu1 * np.outer(net.a, g)
        norms.append(np.linalg.norm(rest, 2))
    assert norms[0] / norms[1] == pytest.approx(2, rel=0.15)
    assert norms[1] < 0.1 * mu1 * np.linalg.norm(g)
