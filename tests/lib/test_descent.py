import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge
from torch.nn import functional

from twolayer import _checks
from twolayer.activations import get
from twolayer.descent import descend, train
from twolayer.gradients import (
    descent_direction,
    gradient_step,
    learn_directions,
    negative_gradient,
    remove_linear_part,
    stacked,
)
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout, ridge_path

sizes = st.integers(1, 12)


def problem(n, m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, m)), rng.standard_normal(n)


@given(sizes, sizes, st.floats(1e-3, 1e3))
def test_ridge_is_scikit_learns(n, m, ridge):
    features, y = problem(n, m)
    want = Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(features, y).coef_
    np.testing.assert_allclose(fit_readout(features, y, ridge), want, rtol=1e-6, atol=1e-8)


@given(sizes, sizes)
def test_path_is_the_readouts_one_by_one(n, m):
    features, y = problem(n, m)
    ridges = [0.01, 0.3, 7.0]
    path = ridge_path(features, y, ridges)
    assert path.coefficients.shape == (3, m)
    for ridge, a, score, dof in zip(ridges, path.coefficients, path.gcv, path.dof, strict=True):
        np.testing.assert_allclose(a, fit_readout(features, y, ridge), rtol=1e-7, atol=1e-9)
        smoother = features @ np.linalg.solve(features.T @ features + ridge * np.eye(m), features.T)
        assert dof == pytest.approx(np.trace(smoother))
        rss = np.sum((y - smoother @ y) ** 2)
        assert score == pytest.approx(n * rss / (n - np.trace(smoother)) ** 2, rel=1e-6)


def test_gcv_takes_the_best_of_its_path_and_is_near_the_best_test_error(rng):
    n, m = 400, 100
    features, a = rng.standard_normal((n, m)), rng.standard_normal(m) / 10
    y = features @ a + rng.standard_normal(n)
    chosen = fit_readout(features, y, "gcv").numpy()
    scale = (features**2).sum() / m
    path = ridge_path(features, y, scale * np.logspace(-6, 2, 41))
    np.testing.assert_allclose(chosen, path.coefficients[path.best])
    excess = ((path.coefficients.numpy() - a) ** 2).sum(1)  # test error less the noise, exactly
    assert ((chosen - a) ** 2).sum() < 1.1 * excess.min()


def test_zero_ridge_is_least_squares_of_least_norm(rng):
    for n, m in [(20, 5), (5, 20)]:
        features, y = problem(n, m)
        want = np.linalg.lstsq(features, y, rcond=None)[0]
        np.testing.assert_allclose(fit_readout(features, y, 0.0), want, atol=1e-10)


def test_dtype_is_kept(rng):
    features, y = problem(30, 4)
    assert fit_readout(features.astype(np.float32), y, 1.0).dtype == torch.float32
    net = TwoLayer.mean_field(4, 3, "tanh", rng, dtype=torch.float32)
    assert descent_direction(net, rng.standard_normal((9, 3)), np.ones(9)).dtype == torch.float32


def test_blocks_do_not_change_the_sum(rng):
    net = TwoLayer.mean_field(6, 4, "tanh", rng)
    x, y = rng.standard_normal((1500, 4)), rng.standard_normal(1500)
    parts = [descent_direction(net, x[i], y[i]) for i in np.split(np.arange(1500), 3)]
    torch.testing.assert_close(descent_direction(net, x, y), sum(parts) / 3)


def test_step_is_weights_plus_eta_times_the_direction(rng):
    net = TwoLayer.mean_field(6, 4, "relu", rng)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal(50)
    before = net.W.clone()
    after = gradient_step(net, x, y, 0.7)
    assert torch.equal(net.W, before)
    torch.testing.assert_close(
        after.W.detach(), before.detach() + 0.7 * descent_direction(net, x, y)
    )
    assert torch.equal(gradient_step(net, x, y, 0).W, before)


def test_single_precision_near_interpolation_does_not_pass_in_silence(rng):
    features = rng.standard_normal((200, 200))
    features[:, 1] = features[:, 0] + 1e-3 * features[:, 1]
    y = rng.standard_normal(200)
    exact = fit_readout(features, y, 1e-3)
    for ridge in (1e-3, [1e-3, 1.0]):
        with pytest.warns(ConvergenceWarning, match="use float64 or a larger ridge"):
            rough = fit_readout(features.astype(np.float32), y, ridge)
        assert np.ndim(ridge) or (rough - exact).norm() > 1e-3 * exact.norm()
    with pytest.raises(ValueError, match="ridge=1e-09 is too small for the rank"):
        fit_readout(np.repeat(features[:, :3], 2, axis=1).astype(np.float32), y, 1e-9)


@pytest.mark.parametrize(
    ("ridge", "error", "words"),
    [
        (-1.0, ValueError, "ridge=-1.0 must be finite and >= 0"),
        (np.inf, ValueError, "ridge=inf must be finite"),
        ([1.0, 0.0], ValueError, "ridges must be finite and > 0"),
        ([], ValueError, "ridges has shape"),
        ("cv", ValueError, "ridge='cv' is unknown; allowed: 'gcv'"),
        (None, TypeError, "ridge=None must be a real number"),
    ],
)
def test_bad_ridges(ridge, error, words):
    with pytest.raises(error, match=words):
        fit_readout(*problem(5, 3), ridge)


def test_bad_data(rng):
    features, y = problem(5, 3)
    net = TwoLayer.mean_field(4, 3, "tanh", rng)
    for call in (lambda x, t: fit_readout(x, t), lambda x, t: gradient_step(net, x, t, 1.0)):
        with pytest.raises(ValueError, match="5 rows and y has 4"):
            call(features, y[:4])
        with pytest.raises(ValueError, match="y holds non-finite"):
            call(features, np.where(np.arange(5) == 2, np.nan, y))
        with pytest.raises(ValueError, match="holds non-finite"):
            call(np.full((5, 3), np.inf), y)
        with pytest.raises(ValueError, match="y has shape"):
            call(features, y[:, None])
    with pytest.raises(ValueError, match="x has 2 columns; the network takes d = 3"):
        gradient_step(net, features[:, :2], y, 1.0)
    with pytest.raises(ValueError, match="eta=nan must be finite"):
        gradient_step(net, features, y, np.nan)
    with pytest.raises(TypeError, match="eta='1' must be a real number"):
        gradient_step(net, features, y, "1")
    with pytest.raises(ValueError, match=r"eta=1e\+308 gives non-finite weights"):
        gradient_step(net, features, 1e9 * y, 1e308)


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
    np.testing.assert_allclose(net.W.detach(), np.concatenate([W, -W]), atol=1e-9)
    np.testing.assert_array_equal(net.b.detach(), draws.standard_normal(m))
    assert not net.a.detach().any()
    assert net.activation.name == activation


def test_the_step_is_the_gradient_of_a_symmetric_network_by_autograd():
    """W - eta grad (L + |W|^2/(2 eta)), with f = 0: the initial weights drop out."""
    rng, d, m = np.random.default_rng(5), 4, 12
    x, y = rng.standard_normal((80, d)), rng.standard_normal(80)
    net = TwoLayer.symmetric(m, d, "relu", np.random.default_rng(7))
    r = torch.as_tensor(y - LinearRegression().fit(x, y).predict(x))
    loss = ((net(x) - r) ** 2).mean() / 2
    (gradient,) = torch.autograd.grad(loss, net.W)
    stepped = (-gradient * net.a.detach().sign()[:, None]).detach().numpy()  # of readouts |a_j|
    stepped /= np.linalg.norm(stepped, axis=1, keepdims=True)
    got = learn_directions(x, y, m, np.random.default_rng(7)).W.detach().numpy()
    np.testing.assert_allclose(got[: m // 2], stepped[: m // 2], atol=1e-9)


@given(st.integers(1, 10), st.integers(2, 8), st.integers(0, 99))
def test_learnt_rows_are_unit_and_in_opposite_pairs(half, d, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3 * d + 40, d))  # no half-space holds them all
    y = (x**2).sum(1) + rng.standard_normal(len(x))
    net = learn_directions(x, y, 2 * half, rng)
    W = net.W.detach().numpy()
    assert W.shape == (2 * half, d)
    np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1)
    np.testing.assert_array_equal(W[:half], -W[half:])


def test_the_scale_and_the_linear_part_of_the_labels_do_not_matter(rng):
    x = rng.standard_normal((200, 5))
    y = x[:, 0] ** 2 + rng.standard_normal(200)
    plain, other = (
        learn_directions(x, v, 8, np.random.default_rng(1)).W.detach().numpy()
        for v in (y, 1e6 * (y + 2 - x @ [1.0, 2, 3, 4, 5]))
    )
    np.testing.assert_allclose(other, plain, atol=1e-9)


def test_single_precision_is_close(rng):
    x = rng.standard_normal((3000, 10))
    y = x[:, 0] ** 2 + 5 * x[:, 1] + 100
    nets = [
        learn_directions(x, y, 32, np.random.default_rng(1), dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    ]
    assert nets[0].W.dtype == nets[0].b.dtype == nets[0].a.dtype == torch.float32
    assert nets[1].W.dtype == torch.float64
    # sums of n terms in float32: sqrt(n) roundings over a sum of order sqrt(n), and few gates flip
    np.testing.assert_allclose(nets[0].W.detach(), nets[1].W.detach(), atol=1e-4)


def test_biases_are_standard_normal(rng):
    x = rng.standard_normal((20, 2))
    b = learn_directions(x, x[:, 0] ** 2, 4000, rng).b.detach().numpy()
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
        ({"y": np.ones((9, 1))}, ValueError, "y has shape"),
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
        (x, "y has shape"),
    ]:
        with pytest.raises(ValueError, match=words):
            remove_linear_part(x, y)


# --- Adam


def some_networks(k, m=6, d=3, activation="tanh", dtype=torch.float64):
    nets = []
    for seed in range(k):
        rng = np.random.default_rng([31, seed])
        W, a, b = rng.standard_normal((m, d)), rng.standard_normal(m), rng.standard_normal(m)
        nets.append(TwoLayer(torch.as_tensor(W, dtype=dtype), a, activation, b))
    return nets


def some_labels(k, n, d=3):
    rng = np.random.default_rng(32)
    x = rng.standard_normal((k, n, d))
    return x, np.abs(x[..., 0]) + 0.1 * rng.standard_normal((k, n))


def state(net):
    return {name: value.detach().clone() for name, value in net.named_parameters()}


def seeds(k):
    return [np.random.default_rng([33, seed]) for seed in range(k)]


def plain_adam(net, x, y, rates, steps, rng, batch, decay):
    """One network, formula by formula: network, loss, Adam (Kingma & Ba 2015, algorithm 1)."""
    p = {name: value.numpy() for name, value in state(net).items()}
    first, second = ({name: np.zeros_like(p[name]) for name in rates} for _ in range(2))
    queue, n = [], len(x)
    for t in range(1, steps + 1):
        if len(queue) < batch:
            queue = list(rng.permutation(n))  # what does not fill a batch is left out
        rows, queue = queue[:batch], queue[batch:]
        xb, yb = x[rows], y[rows]
        h = np.tanh(xb @ p["W"].T + p["b"])
        m = len(p["a"])
        error = 2 * (h @ p["a"] / np.sqrt(m) - yb) / batch
        inner = error[:, None] * (1 - h**2) * p["a"] / np.sqrt(m)
        gradient = {"a": error @ h / np.sqrt(m), "b": inner.sum(0), "W": inner.T @ xb}
        fall = (1 + np.cos(np.pi * (t - 1) / steps)) / 2 if decay else 1.0
        for name, rate in rates.items():
            g = gradient[name]
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g**2
            change = (first[name] / (1 - 0.9**t)) / (np.sqrt(second[name] / (1 - 0.999**t)) + 1e-8)
            p[name] = p[name] - rate * fall * change
    return p


@pytest.mark.parametrize("rates", [{"W": 0.01, "b": 0.02, "a": 0.03}, {"W": 0.02}, {"a": 0.1}])
@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize(("steps", "batch"), [(1, 10), (25, 4), (12, 99)])
def test_adam_is_the_formula(rates, decay, steps, batch):
    """Two networks at once, 10 samples: batches of 4 leave out 2 an epoch, of 99 are all."""
    nets, (x, y) = some_networks(2), some_labels(2, 10)
    rngs = seeds(2)
    want = [
        plain_adam(net, x[i], y[i], rates, steps, rngs[i], min(batch, 10), decay)
        for i, net in enumerate(nets)
    ]
    before = [state(net) for net in nets]
    done = train(nets, x, y, rates=rates, steps=steps, rngs=seeds(2), batch=batch, decay=decay)
    assert list(done) == [steps]
    for net, old, new in zip(nets, before, want, strict=True):
        for name, value in state(net).items():
            np.testing.assert_allclose(value, new[name], rtol=1e-8, atol=1e-10)
            assert torch.equal(value, old[name]) == (name not in rates)


def test_adam_is_torchs(rng):
    """One network by its own forward pass, torch.optim.Adam and its cosine schedule."""
    (net,), (x, y) = some_networks(1, activation="relu"), some_labels(1, 40)
    twin = net.with_readout(net.a.detach())
    steps, (draws,) = 30, seeds(1)
    optimiser = torch.optim.Adam(
        [{"params": [twin.W, twin.b], "lr": 0.02}, {"params": [twin.a], "lr": 0.05}]
    )
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        if step % 5 == 0:
            order = draws.permutation(40)
        rows = order[8 * (step % 5) : 8 * (step % 5 + 1)]
        optimiser.zero_grad()
        ((twin(x[0, rows]) - torch.as_tensor(y[0, rows])) ** 2).mean().backward()
        optimiser.step()
        falling.step()
    rates = {"W": 0.02, "b": 0.02, "a": 0.05}
    list(train([net], x, y, rates=rates, steps=steps, rngs=seeds(1), batch=8))
    for name, value in state(net).items():
        torch.testing.assert_close(value, state(twin)[name], rtol=1e-7, atol=1e-9)


def test_the_first_step_of_adam_has_the_size_of_the_rate():
    """The gradient over its own size, by torch's autograd."""
    (net,), (x, y) = some_networks(1), some_labels(1, 20)
    before = state(net)
    loss = ((net(x[0]) - torch.as_tensor(y[0])) ** 2).mean()
    gradients = dict(zip("Wab", torch.autograd.grad(loss, [net.W, net.a, net.b]), strict=True))
    rates = {"W": 0.1, "a": 0.2, "b": 0.3}
    list(train([net], x, y, rates=rates, steps=1, rngs=seeds(1)))
    for name, g in gradients.items():
        want = before[name] - rates[name] * g / (g.abs() + 1e-8)
        torch.testing.assert_close(state(net)[name], want)


def test_networks_at_once_are_networks_alone():
    x, y = some_labels(3, 30)
    rates = {"W": 0.02, "b": 0.01, "a": 0.05}
    together, alone = some_networks(3, activation="relu"), some_networks(3, activation="relu")
    list(train(together, x, y, rates=rates, steps=40, rngs=seeds(3), batch=7))
    for i in range(3):
        one = slice(i, i + 1)
        list(train(alone[one], x[one], y[one], rates=rates, steps=40, rngs=seeds(3)[one], batch=7))
        for name, value in state(alone[i]).items():
            torch.testing.assert_close(state(together[i])[name], value, rtol=1e-7, atol=1e-9)
    assert not torch.allclose(together[0].W, together[1].W)


def test_yields_count_steps_and_hand_out_the_networks_of_that_time():
    x, y = some_labels(1, 12)
    common = {"rates": {"W": 0.05, "a": 0.05}, "batch": 5, "decay": False}
    (net,) = some_networks(1)
    seen, states = [], []
    for done in train([net], x, y, steps=7, rngs=seeds(1), every=3, **common):
        seen.append(done)
        states.append(state(net))
    assert seen == [3, 6, 7]
    for steps, middle in zip(seen, states, strict=True):  # without decay a shorter run is a part
        (short,) = some_networks(1)
        assert list(train([short], x, y, steps=steps, rngs=seeds(1), **common)) == [steps]
        for name, value in state(short).items():
            assert torch.equal(value, middle[name])
    assert not torch.equal(states[0]["W"], states[1]["W"])
    for every, want in [(7, [7]), (99, [7]), (1, [*range(1, 8)])]:
        got = train(some_networks(1), x, y, steps=7, rngs=seeds(1), every=every, **common)
        assert list(got) == want


def test_looking_at_the_networks_does_not_change_their_path():
    """The caller may evaluate, with gradients or without, between the yields."""
    x, y = some_labels(1, 12)
    (net,), (other,) = some_networks(1), some_networks(1)
    rates = {"W": 0.05, "a": 0.05}
    for _ in train([net], x, y, rates=rates, steps=6, rngs=seeds(1), every=2):
        assert torch.is_grad_enabled()
        net(x[0]).sum().backward()
    with torch.no_grad():
        list(train([other], x, y, rates=rates, steps=6, rngs=seeds(1)))
    for name, value in state(other).items():
        assert torch.equal(value, state(net)[name])
    assert all(p.requires_grad for p in net.parameters())


def test_training_keeps_the_dtype():
    x, y = some_labels(2, 12)
    nets, exact = some_networks(2, dtype=torch.float32), some_networks(2)
    for group in (nets, exact):
        list(train(group, x, y, rates={"W": 0.01}, steps=5, rngs=seeds(2)))
    for net, other in zip(nets, exact, strict=True):
        assert net.W.dtype == torch.float32
        torch.testing.assert_close(net.W.double(), other.W, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"networks": []}, ValueError, "networks must hold networks of one shape and dtype"),
        (
            {"networks": [*some_networks(1), *some_networks(1, m=5)]},
            ValueError,
            "networks must hold networks of one shape and dtype",
        ),
        (
            {"networks": [*some_networks(1), *some_networks(1, dtype=torch.float32)]},
            ValueError,
            "networks must hold networks of one shape and dtype",
        ),
        ({"networks": some_networks(1)}, ValueError, r"x has shape \(2, 9, 3\) .* be \(1, n, 3\)"),
        ({"x": np.ones((2, 9, 4))}, ValueError, r"x has shape \(2, 9, 4\) .* must be \(2, n, 3\)"),
        ({"x": np.ones((2, 0, 3)), "y": np.ones((2, 0))}, ValueError, r"x has shape \(2, 0, 3\)"),
        ({"y": np.ones((2, 8))}, ValueError, r"and y \(2, 8\); for 2 networks they must be"),
        ({"y": np.ones(9)}, ValueError, r"y has shape \(9,\); it must have 2 axes"),
        ({"x": np.full((2, 9, 3), np.nan)}, ValueError, "x holds non-finite"),
        ({"y": np.full((2, 9), np.inf)}, ValueError, "y holds non-finite"),
        ({"rngs": seeds(1)}, ValueError, "rngs holds 1 generators; it must hold 2"),
        ({"rngs": seeds(3)}, ValueError, "rngs holds 3 generators; it must hold 2"),
        ({"rngs": [0, 1]}, TypeError, "rng=0 must be a numpy.random.Generator"),
        ({"rates": {}}, ValueError, "rates must name at least one of 'W', 'b', 'a'"),
        ({"rates": {"w": 1.0}}, ValueError, "rates='w' is unknown; allowed: 'W', 'b', 'a'"),
        ({"rates": {"W": 0.0}}, ValueError, r"rates\['W'\]=0.0 must be finite and > 0"),
        ({"rates": {"b": "1"}}, TypeError, r"rates\['b'\]='1' must be a real number"),
        ({"steps": 0}, ValueError, "steps=0 must be a positive integer"),
        ({"batch": 0}, ValueError, "batch=0 must be a positive integer"),
        ({"every": -1}, ValueError, "every=-1 must be a positive integer"),
    ],
)
def test_bad_training(change, error, words):
    arguments = {"networks": some_networks(2), "x": np.ones((2, 9, 3)), "y": np.ones((2, 9))}
    arguments |= {"rates": {"W": 0.1}, "steps": 3, "rngs": seeds(2)}
    with pytest.raises(error, match=words):
        list(train(**(arguments | change)))


def test_training_that_leaves_the_finite_numbers_is_stopped():
    x, y = some_labels(1, 9)
    nets = some_networks(1, activation="identity")
    with pytest.raises(ValueError, match=r"the loss is (inf|nan) at step 1; rates=.* too large"):
        list(train(nets, x, y, rates={"W": 1e200, "a": 1e200}, steps=5, rngs=seeds(1)))


def test_a_neuron_without_pull_keeps_its_direction():
    rng = np.random.default_rng(0)
    x, y = 100 + rng.standard_normal((50, 2)), rng.standard_normal(50)
    net = learn_directions(x, y, 40, np.random.default_rng(1))
    start = TwoLayer.mean_field(20, 2, "relu", np.random.default_rng(1)).W.detach()
    pre = x @ start.numpy().T
    shut = (pre > 0).all(0) | (pre < 0).all(0)  # open for all samples, or for none
    assert shut.any()
    cosine = torch.nn.functional.cosine_similarity(net.W[:20].detach(), start)
    np.testing.assert_allclose(cosine[shut], 1)
    np.testing.assert_allclose(net.W.detach().norm(dim=1), 1)


def test_labels_that_are_linear_in_single_precision():
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="y is linear in x"):
        learn_directions(x, x @ np.float32([1, 2, 3]), 8, np.random.default_rng(1))


def test_networks_of_other_activations_and_zero_every_are_refused():
    rng = np.random.default_rng(0)
    nets = [TwoLayer.symmetric(4, 2, name, rng) for name in ("relu", "tanh")]
    x, y = np.ones((2, 3, 2)), np.ones((2, 3))
    with pytest.raises(ValueError, match="and one activation"):
        next(train(nets, x, y, rates={"W": 0.1}, steps=1, rngs=[rng, rng]))
    with pytest.raises(ValueError, match="every=0"):
        next(train(nets[:1], x[:1], y[:1], rates={"W": 0.1}, steps=1, rngs=[rng], every=0))


def test_training_checks_its_arguments_before_it_is_iterated_over():
    x, y = some_labels(1, 9)
    with pytest.raises(ValueError, match="steps=-3"):
        train(some_networks(1), x, y, rates={"W": 0.1}, steps=-3, rngs=seeds(1))


def test_the_linear_part_of_a_badly_scaled_input(rng):
    x = rng.standard_normal((200, 3)) * [1.0, 1e-6, 1e5] + [0, 0, 1e7]
    y = x @ [1.0, 3e6, 2e-5]
    residual, _, slope = remove_linear_part(x, y)
    np.testing.assert_allclose(slope, [1.0, 3e6, 2e-5], rtol=1e-6)
    assert abs(residual).max() < 1e-6


def test_an_offset_of_the_labels_changes_nothing(rng):
    x, y = rng.standard_normal((300, 4)), rng.standard_normal(300)
    one = learn_directions(x, y, 8, np.random.default_rng(0)).W.detach()
    other = learn_directions(x, y + 1e9, 8, np.random.default_rng(0)).W.detach()
    np.testing.assert_allclose(other, one, atol=1e-4)  # the labels keep seven digits


# --- gradient descent of several networks


LOSSES = {
    "logistic": functional.soft_margin_loss,
    "hinge": lambda f, y: torch.relu(1 - y * f).mean(),
    "squared": functional.mse_loss,
    "centred": lambda f, y: (y - f).var(correction=0),
}


def some_signs(k, n, d=3):
    x, y = some_labels(k, n, d)
    return x, np.sign(y - np.median(y))


def some_masks(k, m=6, d=3):
    """The first neuron is empty, the last full, the others random."""
    masks = np.random.default_rng(34).random((k, m, d)) < 0.5
    masks[:, 0], masks[:, -1] = False, True
    return masks


def plain_descent(net, x, y, *, rates, steps, loss, rng=None, batch=None, mask=None):
    """One network by its own forward pass, autograd and torch.optim.SGD, the mask put back."""
    twin = net.with_readout(net.a.detach())
    keep = torch.ones_like(twin.W) if mask is None else torch.as_tensor(mask).double()
    keep = {"W": keep, "b": keep.amax(1), "a": keep.amax(1)}
    groups = [{"params": [getattr(twin, name)], "lr": rate} for name, rate in rates.items()]
    optimiser, queue = torch.optim.SGD(groups), []
    for step in range(steps + 1):
        with torch.no_grad():
            for name, p in twin.named_parameters():
                p *= keep[name]
        if step == steps:
            return state(twin)
        rows = np.arange(len(x))
        if batch is not None:
            if len(queue) < batch:
                queue = list(rng.permutation(len(x)))
            rows, queue = queue[:batch], queue[batch:]
        optimiser.zero_grad()
        LOSSES[loss](twin(x[rows]), torch.as_tensor(y[rows])).backward()
        optimiser.step()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["relu", "gelu", "identity"])
@pytest.mark.parametrize("batch", [None, 4, 99])
@pytest.mark.parametrize("pruned", [False, True])
def test_descent_is_torchs(loss, activation, batch, pruned):
    """Three networks at once, 10 samples: batches of 4 leave out 2 an epoch, of 99 are all."""
    nets, masks = some_networks(3, activation=activation), some_masks(3) if pruned else None
    x, y = some_labels(3, 10) if loss in ("squared", "centred") else some_signs(3, 10)
    for rates in ({"W": 0.1, "b": 0.06, "a": 0.04}, {"a": 0.1}, {"b": 0.1, "W": 0.05}):
        common = {"rates": rates, "steps": 17, "loss": loss, "batch": batch}
        before = [state(net) for net in nets]
        want = [
            plain_descent(
                net,
                x[i],
                y[i],
                rng=seeds(3)[i],
                mask=masks[i] if pruned else None,
                **(common | {"batch": batch and min(batch, 10)}),
            )
            for i, net in enumerate(nets)
        ]
        rngs = None if batch is None else seeds(3)
        done = descend(nets, x, y, rngs=rngs, masks=masks, **common)
        assert list(done) == [17]
        for i, net in enumerate(nets):
            for name, value in state(net).items():
                torch.testing.assert_close(value, want[i][name], rtol=1e-9, atol=1e-11)
                assert pruned or name in rates or torch.equal(value, before[i][name])


def test_masked_weights_stay_exactly_zero():
    """Empty neurons lose bias and readout, even where these are not trained."""
    for rates in ({"W": 0.5, "b": 0.5, "a": 0.5}, {"a": 0.5}):
        nets, masks, (x, y) = some_networks(4), some_masks(4), some_signs(4, 12)
        for kind in (masks, masks.astype(float), torch.as_tensor(masks), masks.tolist()):
            for _ in descend(nets, x, y, rates=rates, steps=6, masks=kind, every=2):
                for net, mask in zip(nets, masks, strict=True):
                    assert np.array_equal(net.W.detach().numpy() != 0, mask)
                    for vector in (net.a, net.b):
                        assert np.array_equal(vector.detach().numpy() != 0, mask.any(1))


def test_descent_at_once_is_descent_alone():
    x, y = some_signs(3, 30)
    masks = some_masks(3)
    common = {"rates": {"W": 0.5, "b": 0.3, "a": 0.2}, "steps": 30, "batch": 7}
    together, alone = some_networks(3, activation="relu"), some_networks(3, activation="relu")
    list(descend(together, x, y, rngs=seeds(3), masks=masks, **common))
    for i in range(3):
        one = slice(i, i + 1)
        list(descend(alone[one], x[one], y[one], rngs=seeds(3)[one], masks=masks[one], **common))
        for name, value in state(alone[i]).items():
            torch.testing.assert_close(state(together[i])[name], value, rtol=1e-9, atol=1e-11)


def test_a_network_does_not_feel_the_others():
    """Other data for the second network: the first goes the same way, bit by bit."""
    x, y = some_signs(2, 12)
    paths = []
    for scale in (1.0, 3.0):
        nets = some_networks(2)
        data = x * np.array([1.0, scale])[:, None, None]
        list(descend(nets, data, y, rates={"W": 0.5}, steps=9, rngs=seeds(2), batch=5))
        paths.append([state(net)["W"] for net in nets])
    assert torch.equal(paths[0][0], paths[1][0])
    assert not torch.equal(paths[0][1], paths[1][1])


def test_minibatches_come_from_the_generators():
    x, y = some_signs(2, 12)
    ends = []
    for rngs in (seeds(2), seeds(2), seeds(2)[::-1]):
        nets = some_networks(2)
        list(descend(nets, x, y, rates={"W": 0.5}, steps=9, rngs=rngs, batch=5))
        ends.append(state(nets[0])["W"])
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_descent_yields_and_is_not_disturbed():
    """Counts of steps with the networks of that time; the caller may use gradients meanwhile."""
    (net,), (x, y) = some_networks(1), some_signs(1, 12)
    start, common = state(net), {"rates": {"W": 0.5, "a": 0.5}, "batch": 5}
    run = descend([net], x, y, steps=7, rngs=seeds(1), every=3, **common)
    assert torch.equal(net.W, start["W"])
    seen = []
    for done in run:
        assert torch.is_grad_enabled()
        net(x[0]).sum().backward()
        (short,) = some_networks(1)
        assert list(descend([short], x, y, steps=done, rngs=seeds(1), **common)) == [done]
        assert all(torch.equal(value, state(net)[name]) for name, value in state(short).items())
        seen.append(done)
    assert seen == [3, 6, 7]
    assert all(p.requires_grad for p in net.parameters())
    for every, want in [(None, [7]), (7, [7]), (99, [7]), (1, [*range(1, 8)])]:
        got = descend(some_networks(1), x, y, steps=7, rngs=seeds(1), every=every, **common)
        assert list(got) == want


def test_descent_keeps_the_dtype():
    """Single precision is close to double: 5 steps of a few roundings of 6e-8."""
    x, y = some_signs(2, 12)
    nets, exact = some_networks(2, dtype=torch.float32), some_networks(2)
    for group in (nets, exact):
        list(descend(group, x, y, rates={"W": 0.1, "a": 0.1}, steps=5, masks=some_masks(2)))
    for net, other in zip(nets, exact, strict=True):
        assert net.W.dtype == net.a.dtype == torch.float32
        torch.testing.assert_close(net.W.double(), other.W, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_negative_gradient_is_autograds_and_comes_with_outputs(loss):
    nets, (x, y) = some_networks(2), some_signs(2, 9)
    _, stack, tx, ty = stacked(nets, x, y)
    steps, f = negative_gradient(nets[0].activation, stack, tx, ty, loss)
    for i, net in enumerate(nets):
        torch.testing.assert_close(f[i], net(x[i]).detach(), rtol=1e-12, atol=1e-12)
        mean = LOSSES[loss](net(x[i]), ty[i])
        slopes = torch.autograd.grad(mean, [net.W, net.b, net.a])
        for name, slope in zip("Wba", slopes, strict=True):
            torch.testing.assert_close(steps[name][i], -slope, rtol=1e-11, atol=1e-12)


def test_masks_are_one_or_several():
    mask = _checks.masks("masks", [[1, 0], [0, 0]], (2, 2), "cpu")
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[True, False], [False, False]]
    with pytest.raises(ValueError, match="masks holds an empty ticket"):
        _checks.masks("masks", [[[1, 0]], [[0, 0]]], (2, 1, 2), "cpu")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"networks": []}, ValueError, "networks must hold networks of one shape and dtype"),
        (
            {"networks": [*some_networks(1), *some_networks(1, activation="relu")]},
            ValueError,
            "networks must hold networks of one shape and dtype, and one activation",
        ),
        ({"networks": some_networks(3)}, ValueError, r"x has shape \(2, 9, 3\) .* for 3 networks"),
        ({"x": np.ones((2, 9, 4))}, ValueError, r"x has shape \(2, 9, 4\) .* be \(2, n, 3\)"),
        ({"x": np.ones((2, 0, 3)), "y": np.ones((2, 0))}, ValueError, r"x has shape \(2, 0, 3\)"),
        ({"y": np.ones((2, 8))}, ValueError, r"and y \(2, 8\)"),
        ({"x": np.full((2, 9, 3), np.nan)}, ValueError, "x holds non-finite"),
        ({"y": np.full((2, 9), 0.5)}, ValueError, "y holds 0.5; labels must be -1 or 1"),
        ({"y": np.full((2, 9), 2), "loss": "hinge"}, ValueError, "y holds 2; labels must be"),
        ({"loss": "log"}, ValueError, "loss='log' is unknown; allowed: 'logistic', 'hinge', 'squ"),
        ({"shrink": -0.1}, ValueError, "shrink must be finite and >= 0, got -0.1"),
        ({"shrink": [0.0, 0.1, np.nan]}, ValueError, "shrink must be finite and >= 0, got nan"),
        ({"shrink": "0"}, TypeError, "shrink must hold real numbers"),
        (
            {"shrink": [0.0, 0.1]},
            ValueError,
            r"shrink has shape \(2,\); it must be a number or \(3,",
        ),
        (
            {"shrink": np.zeros((3, 1))},
            ValueError,
            r"shrink has shape \(3, 1\); it must be a number",
        ),
        (
            {"shrink": [0.0, 1.5, 0.1]},
            ValueError,
            "shrink=1.5 must be at most 1: a share of the we",
        ),
        ({"rates": {}}, ValueError, "rates must name at least one of 'W', 'b', 'a'"),
        ({"rates": {"w": 1.0}}, ValueError, "rates='w' is unknown; allowed: 'W', 'b', 'a'"),
        ({"rates": {"a": 0.0}}, ValueError, r"rates\['a'\]=0.0 must be finite and > 0"),
        ({"steps": 0}, ValueError, "steps=0 must be a positive integer"),
        ({"steps": 2.0}, TypeError, "steps=2.0 must be a positive integer"),
        ({"every": 0}, ValueError, "every=0 must be a positive integer"),
        ({"batch": 0}, ValueError, "batch=0 must be a positive integer"),
        ({"batch": 3}, ValueError, "rngs holds 0 generators; it must hold 2"),
        ({"batch": 3, "rngs": seeds(3)}, ValueError, "rngs holds 3 generators; it must hold 2"),
        ({"batch": 3, "rngs": [0, 1]}, TypeError, "rng=0 must be a numpy.random.Generator"),
        (
            {"masks": np.ones((6, 3), bool)},
            ValueError,
            r"masks has shape \(6, 3\); it must be \(2, 6, 3\)",
        ),
        ({"masks": np.full((2, 6, 3), 2)}, ValueError, "masks must hold booleans, or zeros and on"),
        (
            {"masks": np.arange(2)[:, None, None] * np.ones((6, 3))},
            ValueError,
            "masks holds an empty ticket: each must keep at least one weight",
        ),
    ],
)
def test_bad_descent(change, error, words):
    """Raised by the call, before anything is iterated over."""
    arguments = {"networks": some_networks(2), "x": np.ones((2, 9, 3)), "y": np.ones((2, 9))}
    with pytest.raises(error, match=words):
        descend(**(arguments | {"rates": {"W": 0.1}, "steps": 3} | change))


def test_squared_losses_take_any_numbers_and_descent_that_diverges_is_stopped():
    nets, (x, y) = some_networks(1, activation="identity"), some_labels(1, 9)
    assert list(descend(nets, x, y, rates={"W": 1e-3}, steps=2, loss="squared")) == [2]
    with pytest.raises(ValueError, match=r"outputs are not finite at step \d; rates=.* too large"):
        list(descend(nets, x, y, rates={"W": 1e200, "a": 1e200}, steps=5, loss="squared"))
    for net in nets:
        assert all(p.isfinite().all() for p in net.parameters())


def test_last_step_that_diverges():
    rng = np.random.default_rng(0)
    net = TwoLayer(rng.standard_normal((4, 2)), np.ones(4), "identity")
    with pytest.raises(ValueError, match="not finite"):
        list(
            descend(
                [net],
                rng.standard_normal((1, 9, 2)),
                100 * rng.standard_normal((1, 9)),
                rates={"W": 1e308, "a": 1e308},
                steps=1,
                loss="squared",
            )
        )


def test_networks_in_groups_give_what_they_give_at_once(monkeypatch):
    """Five networks by twos: the last group is smaller."""
    x, y = np.random.default_rng(0).standard_normal((2, 5, 30, 3))
    labels, out = np.sign(y[..., 0]), []
    for cached in (10**9, 2 * 30 * 4):
        monkeypatch.setattr("twolayer.gradients._CACHED", cached)
        networks = some_networks(5, m=4)
        list(descend(networks, x, labels, rates={"W": 1.0, "b": 0.5, "a": 0.1}, steps=5))
        out.append([torch.cat([net.W.ravel(), net.b, net.a]).detach() for net in networks])
    for one, other in zip(*out, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-14)


# --- weight decay, and a free constant


def decayed(nets, x, y, **keywords):
    """The weights after three steps."""
    rates = {"W": 0.2, "b": 0.1, "a": 0.05}
    list(descend(nets, x, y, steps=3, **({"rates": rates} | keywords)))
    return [state(net) for net in nets]


def test_decay_is_torchs():
    """torch takes rate times weight decay: of each layer its own; the bias has none."""
    (net, *_), (x, y), share = some_networks(1), some_signs(1, 12), 0.3
    twin, rates = net.with_readout(net.a.detach()), {"W": 0.2, "b": 0.1, "a": 0.05}
    optimiser = torch.optim.SGD(
        [
            {
                "params": [getattr(twin, name)],
                "lr": rate,
                "weight_decay": 0.0 if name == "b" else share / rate,
            }
            for name, rate in rates.items()
        ]
    )
    for _ in range(3):
        optimiser.zero_grad()
        LOSSES["logistic"](twin(x[0]), torch.as_tensor(y[0])).backward()
        optimiser.step()
    (got,) = decayed([net], x, y, shrink=share)
    for name, value in state(twin).items():
        torch.testing.assert_close(got[name], value, rtol=1e-11, atol=1e-13)


def test_decay_of_every_step():
    """A number is a row of it; each step has its own, steps without it too; 0 is the default."""
    x, y = some_signs(2, 12)
    kinds = {"none": {}, "zero": {"shrink": 0}, "zeros": {"shrink": np.zeros(3)}}
    ends = {kind: decayed(some_networks(2), x, y, **shrink) for kind, shrink in kinds.items()}
    one, row = (decayed(some_networks(2), x, y, shrink=v) for v in (0.25, [0.25, 0.25, 0.25]))
    for i in range(2):
        for name in "Wba":
            assert torch.equal(one[i][name], row[i][name])
            assert torch.equal(ends["none"][i][name], ends["zero"][i][name])
            assert torch.equal(ends["none"][i][name], ends["zeros"][i][name])
    shares, nets = [0.0, 0.5, 0.125], some_networks(2)
    rates = {"W": 0.2, "b": 0.1, "a": 0.05}
    for share in shares:
        before = [state(net) for net in nets]
        plain = [net.with_readout(net.a.detach()) for net in nets]
        list(descend(plain, x, y, rates=rates, steps=1))
        list(descend(nets, x, y, rates=rates, steps=1, shrink=share))
        for net, other, old in zip(nets, plain, before, strict=True):
            for name, value in state(net).items():
                lost = 0.0 if name == "b" else share * old[name]  # the gradient is at the old ones
                torch.testing.assert_close(value, state(other)[name] - lost)
    for got, want in zip(decayed(some_networks(2), x, y, shrink=shares), nets, strict=True):
        for name, value in state(want).items():
            torch.testing.assert_close(got[name], value, rtol=1e-12, atol=1e-14)


def test_decay_takes_both_layers_even_where_one_is_trained():
    """And all of them at a share of one; the bias stays; masks and minibatches are no matter."""
    x, y = some_signs(2, 12)
    for rates, fixed in (({"a": 1e-9}, "W"), ({"W": 1e-9}, "a"), ({"b": 1e-9}, "W")):
        nets = some_networks(2)
        before = [state(net) for net in nets]
        after = decayed(nets, x, y, rates=rates, shrink=0.2, batch=5, rngs=seeds(2))
        for old, new in zip(before, after, strict=True):
            torch.testing.assert_close(new[fixed], 0.8**3 * old[fixed], rtol=1e-12, atol=0)
            torch.testing.assert_close(new["b"], old["b"], rtol=0, atol=1e-7)
    masks = some_masks(2)
    for new, mask in zip(
        decayed(some_networks(2), x, y, shrink=0.2, masks=masks), masks, strict=True
    ):
        assert np.array_equal(new["W"].numpy() != 0, mask)
    for new in decayed(some_networks(2), x, y, rates={"b": 0.1}, shrink=1):
        assert not new["W"].any()
        assert not new["a"].any()


def test_the_centred_loss_has_a_free_constant(rng):
    """Its step is the squared loss's at y - mean(y - f), and an offset of y changes nothing."""
    nets, (x, y) = some_networks(2), some_labels(2, 12)
    with torch.no_grad():
        shift = [float((torch.as_tensor(y[i]) - nets[i](x[i])).mean()) for i in range(2)]
    assert min(abs(one) for one in shift) > 0.01
    rates = {"W": 0.2, "b": 0.1, "a": 0.05}
    moved = y - np.array(shift)[:, None]
    ends = []
    for loss, labels in (("centred", y), ("squared", moved), ("centred", y + 7.0)):
        some = some_networks(2)
        list(descend(some, x, labels, rates=rates, steps=1, loss=loss))
        ends.append([state(net) for net in some])
    for i in range(2):
        for name in "Wba":
            torch.testing.assert_close(ends[0][i][name], ends[1][i][name], rtol=1e-11, atol=1e-13)
            torch.testing.assert_close(ends[0][i][name], ends[2][i][name], rtol=1e-11, atol=1e-12)
