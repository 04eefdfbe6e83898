"""First steps, simplified gradients and the gradient of a loss: against formulas and autograd."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from torch.nn import functional

from twolayer import gradients
from twolayer.activations import get
from twolayer.gradients import (
    descent_direction,
    gradient_step,
    learn_directions,
    loss_gradient,
    remove_linear_part,
    simplified_gradient,
)
from twolayer.network import TwoLayer

sizes = st.integers(1, 12)


def test_dtype_is_kept(rng):
    net = TwoLayer.mean_field(4, 3, "tanh", rng, dtype="float32")
    assert descent_direction(net, rng.standard_normal((9, 3)), np.ones(9)).dtype == np.float32


def test_blocks_do_not_change_the_sum(rng):
    net = TwoLayer.mean_field(6, 4, "tanh", rng)
    x, y = rng.standard_normal((1500, 4)), rng.standard_normal(1500)
    parts = [descent_direction(net, x[i], y[i]) for i in np.split(np.arange(1500), 3)]
    np.testing.assert_allclose(descent_direction(net, x, y), sum(parts) / 3, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "relu", "erf", "identity", "he3"])
def test_the_direction_is_autograds(rng, activation):
    """-sqrt(m) grad of mean (y - f)^2 / 2 in W, with biases."""
    W, a, b = rng.standard_normal((6, 4)), rng.standard_normal(6), rng.standard_normal(6)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal(50)
    T = torch.tensor(W, requires_grad=True)
    loss = ((TwoLayer(T, a, activation, b)(x) - torch.tensor(y)) ** 2).mean() / 2
    (want,) = torch.autograd.grad(loss, T)
    got = descent_direction(TwoLayer(W, a, activation, b), x, y)
    np.testing.assert_allclose(got, -(6**0.5) * want.numpy(), rtol=1e-10, atol=1e-12)


def test_tensors_give_tensors_with_their_graph(rng):
    W, a, x, y = (rng.standard_normal(s) for s in ((6, 4), 6, (50, 4), 50))
    T = torch.tensor(W, requires_grad=True)
    H = descent_direction(TwoLayer(T, a, "tanh"), x, y)
    np.testing.assert_allclose(
        H.detach(), descent_direction(TwoLayer(W, a, "tanh"), x, y), rtol=1e-12
    )
    (slope,) = torch.autograd.grad(H.sum(), T)
    assert slope.abs().min() > 0


def test_step_is_weights_plus_eta_times_the_direction(rng):
    net = TwoLayer.mean_field(6, 4, "relu", rng)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal(50)
    before = net.W.copy()
    after = gradient_step(net, x, y, 0.7)
    assert np.array_equal(net.W, before)
    np.testing.assert_allclose(after.W, before + 0.7 * descent_direction(net, x, y))
    assert np.array_equal(gradient_step(net, x, y, 0).W, before)


def test_bad_data(rng):
    x, y = rng.standard_normal((5, 3)), rng.standard_normal(5)
    net = TwoLayer.mean_field(4, 3, "tanh", rng)
    for call in (descent_direction, simplified_gradient, loss_gradient):
        for bad in (y[:4], y[:, None]):
            with pytest.raises(ValueError, match="y"):
                call(net, x, bad)
        with pytest.raises(ValueError, match="y holds non-finite"):
            call(net, x, np.where(np.arange(5) == 2, np.nan, y))
        with pytest.raises(ValueError, match="x holds non-finite"):
            call(net, np.full((5, 3), np.inf), y)
        with pytest.raises(ValueError, match="x has shape"):
            call(net, x[:, :2], y)
    with pytest.raises(ValueError, match="network is a stack of shape"):
        descent_direction(TwoLayer.stack([net, net]), x, y)
    for eta, error, words in [
        (np.nan, ValueError, "eta=nan must be finite"),
        ("1", TypeError, "eta='1' must be a real number"),
        (1e308, ValueError, r"eta=1e\+308 gives non-finite weights"),
    ]:
        with pytest.raises(error, match=words), np.errstate(over="ignore"):
            gradient_step(net, x, 1e9 * y, eta)


# --- labels without their linear part


@given(st.integers(2, 30), sizes, st.integers(0, 99))
def test_the_linear_part_is_scikit_learns(n, d, seed):
    """With n <= d too: the solution of least norm, which leaves nothing."""
    rng = np.random.default_rng(seed)
    x, y = 3 + rng.standard_normal((n, d)), rng.standard_normal(n)
    residual, intercept, slope = remove_linear_part(x, y)
    want = LinearRegression().fit(x, y)
    # normal equations: errors grow with the squared condition number of the centred inputs
    s = np.linalg.svd(x - x.mean(0), compute_uv=False)
    s = s[: min(n - 1, d)]
    loss = 1e-13 * (s[0] / s[-1]) ** 2
    if loss < 1e-4:
        np.testing.assert_allclose(slope, want.coef_, rtol=0, atol=1e-9 + loss * abs(slope).max())
        assert intercept == pytest.approx(want.intercept_, abs=1e-8 + 10 * loss * abs(slope).max())
        np.testing.assert_allclose(residual, y - want.predict(x), atol=1e-8 + 30 * loss)
    np.testing.assert_allclose(residual, y - intercept - x @ slope, atol=1e-9)
    if n <= d and loss < 1e-4:
        assert abs(residual).max() < 1e-8 + 30 * loss


def test_nothing_linear_is_left(rng):
    x, y = rng.standard_normal((50, 4)), rng.standard_normal(50)
    residual, _, _ = remove_linear_part(x, y)
    assert abs(residual.mean()) < 1e-12
    np.testing.assert_allclose(x.T @ residual, 0, atol=1e-11)
    again, intercept, slope = remove_linear_part(x, 2 - x @ [1.0, 0, -3, 2] + y)
    np.testing.assert_allclose(again, residual, atol=1e-12)
    assert intercept - remove_linear_part(x, y)[1] == pytest.approx(2)
    np.testing.assert_allclose(slope - remove_linear_part(x, y)[2], [-1, 0, 3, -2], atol=1e-12)


def test_dependent_inputs_give_the_slope_of_least_norm(rng):
    x = rng.standard_normal((30, 3))
    x = np.column_stack([x, x[:, 0] + x[:, 1]])
    y = rng.standard_normal(30)
    residual, _, slope = remove_linear_part(x, y)
    want = LinearRegression().fit(x, y)
    np.testing.assert_allclose(slope, want.coef_, atol=1e-10)
    np.testing.assert_allclose(residual, y - want.predict(x), atol=1e-10)


def test_inputs_of_the_linear_part_are_left_alone(rng):
    for dtype in (np.float32, np.float64, int):
        x, y = (10 * rng.standard_normal((9, 2))).astype(dtype), np.arange(9).astype(dtype)
        before = x.copy(), y.copy()
        residual, _, slope = remove_linear_part(torch.as_tensor(x), y)
        assert residual.dtype == slope.dtype == np.float64
        assert np.array_equal(x, before[0])
        assert np.array_equal(y, before[1])


# --- one large step


@pytest.mark.parametrize("activation", ["relu", "tanh", "abs"])
@pytest.mark.parametrize("n", [60, 2500])  # within a block and across blocks
def test_learnt_rows_are_the_formula(activation, n):
    """a_j mean(r sigma'(w_j.x) x) over its norm, with w ~ N(0, I/d) drawn first, biases last."""
    rng, d, m = np.random.default_rng(5), 6, 10
    x = rng.standard_normal((n, d))
    y = np.sin(2 * x[:, 0]) + x[:, 1] ** 2 + 3 * x[:, 2] - 4
    net = learn_directions(x, y, m, np.random.default_rng(7), activation=activation)

    draws = np.random.default_rng(7)
    W0 = draws.standard_normal((m // 2, d)) / np.sqrt(d)
    draws.choice([-1.0, 1.0], m // 2)  # signs of the readout: each pair has both
    r = y - LinearRegression().fit(x, y).predict(x)
    slope = get(activation).derivative_at(x @ W0.T)
    W = np.stack([np.mean((r * slope[:, j])[:, None] * x, axis=0) for j in range(m // 2)])
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    np.testing.assert_allclose(net.W, np.concatenate([W, -W]), atol=1e-9)
    np.testing.assert_array_equal(net.b, draws.standard_normal(m))
    assert not net.a.any()
    assert net.activation.name == activation


def test_the_step_is_the_gradient_of_a_symmetric_network_by_autograd():
    """W - eta grad (L + |W|^2/(2 eta)), with f = 0: the initial weights drop out."""
    rng, d, m = np.random.default_rng(5), 4, 12
    x, y = rng.standard_normal((80, d)), rng.standard_normal(80)
    net = TwoLayer.symmetric(m, d, "relu", np.random.default_rng(7))
    r = torch.as_tensor(y - LinearRegression().fit(x, y).predict(x))
    W = torch.tensor(net.W.copy(), requires_grad=True)
    loss = ((TwoLayer(W, net.a, "relu")(x) - r) ** 2).mean() / 2
    (gradient,) = torch.autograd.grad(loss, W)
    stepped = -gradient.numpy() * np.sign(net.a)[:, None]  # of readouts |a_j|
    stepped /= np.linalg.norm(stepped, axis=1, keepdims=True)
    got = learn_directions(x, y, m, np.random.default_rng(7)).W
    np.testing.assert_allclose(got[: m // 2], stepped[: m // 2], atol=1e-9)


@given(st.integers(1, 10), st.integers(2, 8), st.integers(0, 99))
def test_learnt_rows_are_unit_and_in_opposite_pairs(half, d, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3 * d + 40, d))  # no half-space holds them all
    y = (x**2).sum(1) + rng.standard_normal(len(x))
    net = learn_directions(x, y, 2 * half, rng)
    W = net.W
    assert W.shape == (2 * half, d)
    np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1)
    np.testing.assert_array_equal(W[:half], -W[half:])


def test_the_scale_and_the_linear_part_of_the_labels_do_not_matter(rng):
    x = rng.standard_normal((200, 5))
    y = x[:, 0] ** 2 + rng.standard_normal(200)
    plain, other = (
        learn_directions(x, v, 8, np.random.default_rng(1)).W
        for v in (y, 1e6 * (y + 2 - x @ [1.0, 2, 3, 4, 5]))
    )
    np.testing.assert_allclose(other, plain, atol=1e-9)


def test_single_precision_is_close(rng):
    x = rng.standard_normal((3000, 10))
    y = x[:, 0] ** 2 + 5 * x[:, 1] + 100
    nets = [
        learn_directions(x, y, 32, np.random.default_rng(1), dtype=dtype)
        for dtype in ("float32", float)
    ]
    assert nets[0].W.dtype == nets[0].b.dtype == nets[0].a.dtype == np.float32
    assert nets[1].W.dtype == np.float64
    # sums of n terms in float32: sqrt(n) roundings over a sum of order sqrt(n), and few gates flip
    np.testing.assert_allclose(nets[0].W, nets[1].W, atol=1e-4)


def test_biases_are_standard_normal(rng):
    x = rng.standard_normal((20, 2))
    b = learn_directions(x, x[:, 0] ** 2, 4000, rng).b
    assert abs(b.mean()) < 4 / np.sqrt(4000)
    assert b.var() == pytest.approx(1, abs=4 * np.sqrt(2 / 4000))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"m": 3}, ValueError, "m=3 must be even"),
        ({"m": 0}, ValueError, "m=0 must be a positive integer"),
        ({"m": 4.0}, TypeError, "m=4.0 must be a positive integer"),
        ({"rng": 0}, TypeError, "rng=0 must be a numpy.random.Generator"),
        ({"y": np.ones(9)}, ValueError, "y is constant, 1; its variance must be positive"),
        ({"y": np.arange(18.0)[::2] - 4}, ValueError, "y is linear in x on this sample"),
        ({"y": np.ones(8)}, ValueError, "x has 9 rows and y has 8"),
        ({"y": np.ones((9, 1))}, ValueError, "and y"),
        ({"y": np.full(9, np.nan)}, ValueError, "y holds non-finite"),
        ({"x": np.ones(9)}, ValueError, "x has shape"),
        ({"x": np.full((9, 1), np.inf)}, ValueError, "x holds non-finite"),
        ({"x": np.random.default_rng(0).standard_normal((9, 9))}, ValueError, "y is linear in x"),
        ({"activation": "nope"}, ValueError, "activation='nope' is unknown"),
    ],
)
def test_bad_steps(change, error, words):
    x = np.arange(9.0)[:, None]
    arguments = {"x": x, "y": x[:, 0] ** 2, "m": 4, "rng": np.random.default_rng(0)}
    with pytest.raises(error, match=words):
        learn_directions(**(arguments | change))


def test_bad_labels_of_the_linear_part():
    x = np.arange(9.0)[:, None]
    for y, words in [
        (np.full(9, 2.5), "y is constant, 2.5; its variance must be positive"),
        (np.ones(8), "x has 9 rows and y has 8"),
        (np.full(9, np.inf), "y holds non-finite"),
        (x, "and y"),
    ]:
        with pytest.raises(ValueError, match=words):
            remove_linear_part(x, y)


def test_a_neuron_without_pull_keeps_its_direction():
    rng = np.random.default_rng(0)
    x, y = 100 + rng.standard_normal((50, 2)), rng.standard_normal(50)
    net = learn_directions(x, y, 40, np.random.default_rng(1))
    start = TwoLayer.mean_field(20, 2, "relu", np.random.default_rng(1)).W
    pre = x @ start.T
    shut = (pre > 0).all(0) | (pre < 0).all(0)  # open for all samples, or for none
    assert shut.any()
    cosine = (net.W[:20] * start).sum(1) / np.linalg.norm(start, axis=1)
    np.testing.assert_allclose(cosine[shut], 1)
    np.testing.assert_allclose(np.linalg.norm(net.W, axis=1), 1)


def test_labels_that_are_linear_in_single_precision():
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="y is linear in x"):
        learn_directions(x, x @ np.float32([1, 2, 3]), 8, np.random.default_rng(1))


def test_the_linear_part_of_a_badly_scaled_input(rng):
    x = rng.standard_normal((200, 3)) * [1.0, 1e-6, 1e5] + [0, 0, 1e7]
    y = x @ [1.0, 3e6, 2e-5]
    residual, _, slope = remove_linear_part(x, y)
    np.testing.assert_allclose(slope, [1.0, 3e6, 2e-5], rtol=1e-6)
    assert abs(residual).max() < 1e-6


def test_an_offset_of_the_labels_changes_nothing(rng):
    x, y = rng.standard_normal((300, 4)), rng.standard_normal(300)
    one = learn_directions(x, y, 8, np.random.default_rng(0)).W
    other = learn_directions(x, y + 1e9, 8, np.random.default_rng(0)).W
    np.testing.assert_allclose(other, one, atol=1e-4)  # the labels keep seven digits


# --- the gradient of a loss

LOSSES = {
    "logistic": functional.soft_margin_loss,
    "hinge": lambda f, y: torch.relu(1 - y * f).mean(),
    "squared": functional.mse_loss,
    "centred": lambda f, y: (y - f).var(correction=0),
}


def some_stack(k, m=6, d=3, activation="tanh"):
    rng = np.random.default_rng(31)
    W, a, b = (rng.standard_normal((k, m, *more)) for more in ((d,), (), ()))
    return TwoLayer(W, a, activation, b)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["relu", "gelu", "identity"])
@pytest.mark.parametrize("cached", [2**17, 2 * 30 * 6])  # groups of two: the last is smaller
def test_the_gradient_is_autograds(loss, activation, cached, monkeypatch):
    monkeypatch.setattr(gradients, "_CACHED", cached)
    rng, nets = np.random.default_rng(1), some_stack(5, activation=activation)
    x, y = rng.standard_normal((5, 30, 3)), rng.standard_normal((5, 30))
    y = y if loss in ("squared", "centred") else np.sign(y)
    got = loss_gradient(nets, x, y, loss)
    for i, net in enumerate(nets):
        p = {n: torch.tensor(getattr(net, n).copy(), requires_grad=True) for n in "Wba"}
        f = TwoLayer(p["W"], p["a"], activation, p["b"])(x[i])
        want = torch.autograd.grad(LOSSES[loss](f, torch.tensor(y[i])), list(p.values()))
        for name, value in zip(p, want, strict=True):
            np.testing.assert_allclose(got[name][i], value, rtol=1e-9, atol=1e-12)
    one = loss_gradient(nets[0], x[0], y[0], loss)
    for name in "Wba":
        np.testing.assert_allclose(one[name], got[name][0], rtol=1e-12, atol=1e-15)


def test_bad_losses():
    net, x = some_stack(1)[0], np.ones((4, 3))
    with pytest.raises(ValueError, match="loss='log' is unknown; allowed: 'logistic'"):
        loss_gradient(net, x, np.ones(4), "log")
    with pytest.raises(ValueError, match="y holds 2; labels must be -1 or 1"):
        loss_gradient(net, x, np.full(4, 2.0), "hinge")
    with pytest.raises(ValueError, match="readout of several outputs; it must have one"):
        loss_gradient(net.with_readout(np.ones((6, 2))), x, np.ones(4))


def test_the_simplified_gradient_is_the_gradient_of_the_correlation(rng):
    W, b, x = rng.standard_normal((5, 3)), rng.standard_normal(5), rng.standard_normal((40, 3))
    y, a = np.sign(rng.standard_normal(40)), rng.standard_normal(5)
    T = torch.tensor(W, requires_grad=True)
    f = TwoLayer(T, a, "relu", b)(x)
    (want,) = torch.autograd.grad((f * torch.tensor(y)).mean(), T)
    got = simplified_gradient(TwoLayer(W, a, "relu", b), x, y)
    np.testing.assert_allclose(a[:, None] * got / 5**0.5, want, rtol=1e-10, atol=1e-14)
    assert simplified_gradient(TwoLayer(W, a, "relu", b).astype("float32"), x, y).dtype == float


def test_tensors_into_a_numpy_network(rng):
    net = some_stack(1)[0]
    x, y = rng.standard_normal((9, 3)), rng.standard_normal(9)
    want = descent_direction(net, x, y)
    for u, v in ((torch.tensor(x), y), (x, torch.tensor(y)), (torch.tensor(x), torch.tensor(y))):
        got = descent_direction(net, u, v)
        assert isinstance(got, torch.Tensor)
        np.testing.assert_allclose(got, want)
        np.testing.assert_allclose(gradient_step(net, u, v, 0.3).W, net.W + 0.3 * want)
    low = torch.tensor(x, dtype=torch.bfloat16)
    residual, _, _ = remove_linear_part(low, torch.tensor(y))
    np.testing.assert_allclose(residual, remove_linear_part(low.double(), y)[0], atol=1e-9)
