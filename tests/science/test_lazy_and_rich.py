"""Lazy training: against autograd, literally linearised models, and the orders of the theory."""

import math
import warnings

import numpy as np
import pytest
import torch

from twolayer.kernels import empirical_ntk
from twolayer.network import TwoLayer
from twolayer.simulation.lazy_and_rich import run
from twolayer.theory.lazy_and_rich import Linearised, rates

N, D, M = 12, 4, 10


def network(rng, activation="tanh", *, dtype=float, m=M):
    """Nothing special about it: no pairs, readouts of several sizes, biases."""
    W, a, b = rng.standard_normal((m, D)), rng.standard_normal(m), rng.standard_normal(m)
    return TwoLayer((W / 2).astype(dtype), a / math.sqrt(m), activation, b)


def sample(rng, n=N):
    return rng.standard_normal((n, D)), rng.standard_normal(n)


def weights(net):
    return np.concatenate([getattr(net, k).ravel() for k in "Wab"])


def literal_steps(net, eta):
    """The step size of every weight in the order of `weights`, biases held."""
    m, d = net.W.shape
    return np.concatenate([np.full(m * d, eta * m / d), np.full(m, eta), np.zeros(m)])


def jacobian(net, x):
    """Gradients in all weights, a row an input, by autograd: no formula of the library."""
    rows, p = [], [torch.tensor(getattr(net, k).copy(), requires_grad=True) for k in "Wab"]
    tensors = TwoLayer(p[0], p[1], net.activation, p[2])
    for row in np.asarray(x):
        parts = torch.autograd.grad(tensors(row[None]).sum(), p)
        rows.append(np.concatenate([g.double().numpy().ravel() for g in parts]))
    return np.array(rows)


def literal(net, x, y, alpha, eta, steps):
    """Weights of the model of tangents at the start, descended step by step."""
    J, start, steps_of = jacobian(net, x), net(x).astype(float), literal_steps(net, eta)
    move = np.zeros(J.shape[1])
    for _ in range(steps):
        f = alpha * (start + J @ move)
        move -= steps_of * (alpha * J.T @ (f - y) / len(y)) / alpha**2
    return move


def largest(net, x):
    """Twice the mean-square curvature's inverse: the eta at which descent on the line diverges."""
    J = jacobian(net, x)
    hessian = 1 / len(x) * J @ (literal_steps(net, 1.0)[:, None] * J.T)
    return 2 / np.linalg.eigvalsh(hessian)[-1]


# --- step sizes


def test_rates():
    assert rates(0.3, 100, 20) == {"W": pytest.approx(1.5), "a": 0.3}


@pytest.mark.parametrize("readout", ["sign", "gaussian"])
def test_rates_give_parts_of_order_one(readout):
    """Diagonal of the kernel: half a unit for each layer, at any m and d (ReLU, |x|^2 = d)."""
    for m, d in ((20_000, 4), (5_000, 60)):
        rng = np.random.default_rng(m)
        net = TwoLayer.mean_field(m, d, "relu", rng, readout=readout)
        x = np.ones(d)
        for name, rate in rates(2.0, m, d).items():
            # deviations of one neuron's term: at most relu^2 of N(0, 1), or a^2 on half of them
            assert empirical_ntk(net, {name: rate})(x) == pytest.approx(1.0, abs=4.5 * 2.5 / m**0.5)


def test_bad_rates():
    for eta in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"eta={eta} must be finite and > 0"):
            rates(eta, 3, 2)
    with pytest.raises(ValueError, match="m=0 must be a positive integer"):
        rates(1.0, 0, 2)
    with pytest.raises(TypeError, match="d=2.5 must be a positive integer"):
        rates(1.0, 3, 2.5)


# --- descent on A times the network


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("as_torch", [False, True])
def test_run_is_autograd_with_steps_written_out(rng, activation, as_torch):
    scale, eta, k = 3.0, 0.2, 3
    nets = [network(rng, activation) for _ in range(k)]
    x, y = rng.standard_normal((k, N, D)), rng.standard_normal((k, N))
    given = (torch.as_tensor(x), torch.as_tensor(y)) if as_torch else (x, y)
    path = run(TwoLayer.stack(nets), *given, output_scale=scale, eta=eta, steps=7, record=[3, 6, 7])
    for i, net in enumerate(nets):
        W, a = (torch.tensor(v.copy(), requires_grad=True) for v in (net.W, net.a))
        for done in range(1, 8):
            f = scale * TwoLayer(W, a, activation, net.b)(x[i])
            loss = ((f - torch.tensor(y[i])) ** 2).mean() / (2 * scale**2)
            of_W, of_a = torch.autograd.grad(loss, (W, a))
            with torch.no_grad():
                W -= eta * M / D * of_W
                a -= eta * of_a
            if done in (3, 6, 7):
                got = path[[3, 6, 7].index(done), i]
                np.testing.assert_allclose(got.W, W.detach(), rtol=1e-11, atol=1e-13)
                np.testing.assert_allclose(got.a, a.detach(), rtol=1e-11, atol=1e-13)
                assert np.array_equal(got.b, net.b)
    np.testing.assert_array_equal(given[1], y)  # labels are not scaled in place


def test_run_takes_integer_labels_and_float32(rng):
    net = network(rng, "relu")
    x, y = rng.standard_normal((N, D)), rng.integers(-2, 3, N)
    ends = [
        run(v, x, labels, output_scale=4.0, eta=0.2, steps=20)
        for v, labels in ((net, y), (net.astype("float32"), torch.as_tensor(y)))
    ]
    assert ends[1].W.dtype == np.float32
    np.testing.assert_allclose(weights(ends[0]), weights(ends[1]), rtol=1e-4, atol=1e-5)


def test_output_scale_is_inverse_scale_of_labels(rng):
    net, (x, y) = network(rng), sample(rng)
    ends = [
        run(net, x, labels, output_scale=scale, eta=0.3, steps=50)
        for scale, labels in ((10.0, y), (1.0, y / 10))
    ]
    np.testing.assert_allclose(weights(ends[0]), weights(ends[1]), rtol=1e-12)


def test_bad_runs(rng):
    net, (x, y) = network(rng), sample(rng)
    good = {"output_scale": 1.0, "eta": 0.1, "steps": 2}
    for name in ("output_scale", "eta"):
        for bad in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match=f"{name}={bad} must be finite and > 0"):
                run(net, x, y, **good | {name: bad})
        with pytest.raises(TypeError, match=f"{name}='1' must be a real number"):
            run(net, x, y, **good | {name: "1"})
    for u, v in ((x, y[1:]), (x[:, 1:], y), (x[:0], y[:0]), (x[None], y)):
        with pytest.raises(ValueError, match="x has shape"):
            run(net, u, v, **good)
    with pytest.raises(ValueError, match="y must be finite"):
        run(net, x, np.full(N, np.nan), **good)
    with pytest.raises(ValueError, match="steps=0 must be a positive integer"):
        run(net, x, y, **good | {"steps": 0})


# --- the linear model


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "he2"])
@pytest.mark.parametrize("share", [0.2, 0.7, 0.98])  # of the largest step; residuals swing above .5
def test_linearised_is_a_linearised_model_step_by_step(rng, activation, share):
    net, (x, y), x_test = network(rng, activation), sample(rng), rng.standard_normal((5, D))
    alpha, eta = 2.5, share * largest(net, x)
    line = Linearised(net, x, y, output_scale=alpha, eta=eta)
    before, counts = weights(net), [0, 1, 2, 5, 60]
    outputs = line.outputs(x_test, counts)
    assert outputs.shape == (5, 5)
    assert line.coefficients(counts).shape == (5, N)
    start, J = net(x_test), jacobian(net, x_test)
    for t, got in zip(counts, outputs, strict=True):
        move = literal(net, x, y, alpha, eta, t)
        np.testing.assert_allclose(got, alpha * (start + J @ move), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(got, line.outputs(x_test, t), rtol=1e-12, atol=1e-12)
        moved = line.moved(t)
        np.testing.assert_allclose(weights(moved), before + move, rtol=1e-9, atol=1e-10)
        np.testing.assert_array_equal(moved.b, net.b)  # biases stay
        assert moved.activation is net.activation
    np.testing.assert_allclose(outputs[0], alpha * start, rtol=1e-13)
    np.testing.assert_array_equal(weights(net), before)


def test_outputs_are_the_tangents_at_moved_weights(rng):
    """By one product of the Jacobian with the direction of the change of the weights."""
    net, (x, y), x_test = network(rng), sample(rng), rng.standard_normal((6, D))
    line = Linearised(net, x, y, output_scale=7.0, eta=0.2)
    start = tuple(torch.tensor(getattr(net, k)) for k in "Wab")

    def output(W, a, b):
        return torch.tanh(torch.as_tensor(x_test) @ W.T + b) @ a / M**0.5

    for t in (3, 100, math.inf):
        moved = tuple(torch.tensor(getattr(line.moved(t), k)) for k in "Wab")
        tangents = tuple(v - u for u, v in zip(start, moved, strict=True))
        h, change = torch.autograd.functional.jvp(output, start, tangents)
        want = 7.0 * (h + change).numpy()
        np.testing.assert_allclose(line.outputs(x_test, t), want, rtol=1e-7, atol=1e-7)


def test_many_shapes_of_steps(rng):
    net, (x, y) = network(rng), sample(rng)
    line = Linearised(net, x, y, output_scale=1.0, eta=0.1)
    steps = np.array([[0, 1, 2], [9, 1000, np.inf]])
    got = line.outputs(x[:4], steps)
    assert got.shape == (2, 3, 4)
    assert line.outputs(x[:4]).shape == (4,)
    np.testing.assert_allclose(got[1, 1], line.outputs(x[:4], 1000), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[1, 2], line.outputs(x[:4]), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(got[1, 0], line.outputs(torch.as_tensor(x[:4]), 9), rtol=1e-12)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_no_end_of_steps_interpolates(rng, share):
    net, (x, y) = network(rng, "relu", m=40), sample(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line = Linearised(net, x, y, output_scale=3.0, eta=share * largest(net, x))
        np.testing.assert_allclose(line.outputs(x), y, atol=1e-8)
        np.testing.assert_allclose(line.outputs(x, 10**9), y, atol=1e-8)


def test_singular_kernels_give_least_squares_of_least_norm(rng):
    """3 neurons in 4 dimensions, 15 moving weights, 40 samples: J+ in the metric of the steps."""
    net, (x, y) = network(rng, m=3), sample(rng, 40)
    alpha, eta = 2.0, 0.05
    J, root = jacobian(net, x), np.sqrt(literal_steps(net, eta))
    best = root * np.linalg.lstsq(J * root, y / alpha - net(x), rcond=1e-10)[0]
    line = Linearised(net, x, y, output_scale=alpha, eta=eta)
    np.testing.assert_allclose(weights(line.moved()), weights(net) + best, rtol=1e-7, atol=1e-8)
    x_test = rng.standard_normal((5, D))
    want = alpha * (net(x_test) + jacobian(net, x_test) @ best)
    np.testing.assert_allclose(line.outputs(x_test), want, rtol=1e-7, atol=1e-7)
    assert abs(line.outputs(x) - y).max() > 0.1  # it cannot interpolate
    move = literal(net, x, y, alpha, eta, 25)
    np.testing.assert_allclose(weights(line.moved(25)), weights(net) + move, rtol=1e-9, atol=1e-10)


def test_repeated_samples_and_dead_networks(rng):
    net, (x, y) = network(rng), sample(rng)
    twice = np.concatenate([x, x]), np.concatenate([y + 0.3, y - 0.3])
    once, both = (Linearised(net, *v, output_scale=2.0, eta=0.1) for v in ((x, y), twice))
    for t in (1, 30, math.inf):  # the mean of two labels counts
        np.testing.assert_allclose(both.outputs(x, t), once.outputs(x, t), rtol=1e-6, atol=1e-6)
    dead = Linearised(
        TwoLayer(np.zeros((3, D)), np.ones(3), "relu"), x, y, output_scale=1.0, eta=9.0
    )
    np.testing.assert_array_equal(dead.outputs(x, [1, np.inf]), np.zeros((2, N)))
    np.testing.assert_array_equal(dead.coefficients([1, np.inf]), np.zeros((2, N)))


def test_coefficients_of_the_first_steps_along_small_eigenvalues(rng):
    """c_1 = r/n, c_2 = c_1 + (1 - K/n)r/n, r = y - f; near pairs give eigenvalues near 1e-9."""
    net, (x, y) = network(rng, m=40), sample(rng)
    x[1::2] = x[::2] + 1e-5 * rng.standard_normal((N // 2, D))
    line = Linearised(net, x, y, output_scale=2.0, eta=0.1)
    r = y / 2 - net(x)
    J = jacobian(net, x)
    K = (J * literal_steps(net, 0.1)) @ J.T
    assert np.linalg.eigvalsh(K)[0] < 1e-9
    np.testing.assert_allclose(line.coefficients(1), r / N, rtol=1e-10)
    np.testing.assert_allclose(line.coefficients(2), 2 * r / N - K @ r / N**2, rtol=1e-10)


def test_alpha_does_not_matter_from_zero(rng):
    net, (x, y) = TwoLayer.symmetric(M, D, "relu", rng), sample(rng)
    lines = [Linearised(net, x, y, output_scale=v, eta=1.0) for v in (1.0, 50.0)]
    for t in (4, 100):
        first, second = (line.outputs(x, t) for line in lines)
        np.testing.assert_allclose(first, second, rtol=1e-12)
        first, second = (line.moved(t).W - net.W for line in lines)
        np.testing.assert_allclose(first, 50 * second, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("share", [1 - 1e-9, 1 + 1e-9])
def test_largest_step_is_where_descent_diverges(rng, share):
    """Both sides of the bound; the literal model shrinks below it and grows above it."""
    net, (x, y) = network(rng), sample(rng)
    eta = share * largest(net, x)
    if share < 1:
        assert np.isfinite(Linearised(net, x, y, output_scale=1.0, eta=eta).outputs(x)).all()
    else:
        with pytest.raises(ValueError, match="must be below") as caught:
            Linearised(net, x, y, output_scale=1.0, eta=eta)
        assert f"below {largest(net, x):.4g}" in str(caught.value)
    factor = 1 + 0.02 * np.sign(share - 1)
    sizes = [
        np.linalg.norm(jacobian(net, x) @ literal(net, x, y, 1.0, factor * eta, t))
        for t in (400, 800)
    ]
    assert (sizes[1] > 10 * sizes[0]) == (share > 1)


def test_float32_networks(rng):
    net, (x, y) = network(rng), sample(rng)
    single = net.astype("float32")
    line, low = (Linearised(v, x, y, output_scale=2.0, eta=0.1) for v in (net, single))
    for t in (0, 10, 100):
        assert low.outputs(x, t).dtype == float
        np.testing.assert_allclose(low.outputs(x, t), line.outputs(x, t), rtol=1e-4, atol=1e-4)
    moved = low.moved(100)
    assert moved.W.dtype == moved.a.dtype == np.float32
    np.testing.assert_allclose(weights(moved), weights(line.moved(100)), rtol=1e-4, atol=1e-4)


def test_it_keeps_its_own_start(rng):
    """Whatever happens to the sample and the labels afterwards."""
    net, (x, y), x_test = network(rng), sample(rng), rng.standard_normal((3, D))
    line = Linearised(net, x, y, output_scale=2.0, eta=0.1)
    want, moved = line.outputs(x_test, 20), weights(line.moved(20))
    x += 1
    y += 1
    np.testing.assert_array_equal(line.outputs(x_test, 20), want)
    np.testing.assert_array_equal(weights(line.moved(20)), moved)


def test_bad_linear_models(rng):
    net, (x, y) = network(rng), sample(rng)
    good = {"output_scale": 1.0, "eta": 0.1}
    for name in ("output_scale", "eta"):
        for bad in (0.0, -2.0, math.nan, math.inf):
            with pytest.raises(ValueError, match=f"{name}={bad} must be finite and > 0"):
                Linearised(net, x, y, **good | {name: bad})
    with pytest.raises(ValueError, match=r"y has shape \(11,\); it must be \(12,\)"):
        Linearised(net, x, y[1:], **good)
    with pytest.raises(ValueError, match=r"y has shape \(1, 12\)"):
        Linearised(net, x, y[None], **good)
    with pytest.raises(ValueError, match="x has shape"):
        Linearised(net, x[:, 1:], y, **good)
    with pytest.raises(ValueError, match="y must be finite"):
        Linearised(net, x, y * np.nan, **good)
    with pytest.raises(ValueError, match="x holds non-finite"):
        Linearised(net, x * np.inf, y, **good)
    with pytest.raises(ValueError, match="x has 0 rows and y has 0"):
        Linearised(net, x[:0], y[:0], **good)
    line = Linearised(net, x, y, **good)
    for bad in (-1, 1.5, math.nan, -math.inf, [3, -1]):
        for method in (line.coefficients, lambda t: line.outputs(x, t)):
            with pytest.raises(ValueError, match="steps=.* must be whole numbers >= 0, or inf"):
                method(bad)
    with pytest.raises(ValueError, match="steps=-1.0 must be whole"):
        line.moved(-1)
    for bad in ([3], np.arange(N)):
        with pytest.raises(ValueError, match="steps=.* must be one number"):
            line.moved(bad)
    with pytest.raises(ValueError, match="x has shape"):
        line.outputs(x[0])


# --- the orders of the theory


def distances(net, x, y, x_test, alphas, *, eta=1.0, steps=40):
    """Root mean square distance between networks and their linearisation."""
    out = []
    for alpha in alphas:
        line = Linearised(net, x, y, output_scale=alpha, eta=eta)
        trained = run(net, x, y, output_scale=alpha, eta=eta, steps=steps)
        gap = alpha * trained(x_test) - line.outputs(x_test, steps)
        out.append(np.sqrt(np.mean(gap**2)))
    return np.array(out)


def sloped(values, alphas):
    return np.diff(np.log(values)) / np.diff(np.log(alphas))


@pytest.mark.parametrize("activation", ["gelu", "tanh", "he2"])
def test_smooth_in_pairs_second_order(rng, activation):
    """Order -2 with a correction of order 1/alpha^2 (alpha to -alpha only swaps the pairs)."""
    net, (x, y) = TwoLayer.symmetric(40, D, activation, rng), sample(rng, 30)
    x_test = sample(rng)[0]
    alphas = np.array([30.0, 100.0, 300.0, 1000.0])
    slopes = sloped(distances(net, x, y, x_test, alphas, eta=0.2), alphas)
    np.testing.assert_allclose(slopes[1:], -2, atol=0.05)
    assert abs(slopes[-1] + 2) < 0.01


def test_smooth_without_pairs_first_order(rng):
    """f_0 added to the labels (a start at zero, without the cancellation): order -1."""
    net, (x, y), x_test = TwoLayer.mean_field(40, D, "gelu", rng), sample(rng, 30), sample(rng)[0]
    alphas = np.array([30.0, 100.0, 300.0, 1000.0])
    gaps = [distances(net, x, y + a * net(x), x_test, [a], eta=0.2)[0] for a in alphas]
    slopes = sloped(np.array(gaps), alphas)
    np.testing.assert_allclose(slopes[1:], -1, atol=0.05)
    assert abs(slopes[-1] + 1) < 0.01


def test_kinks_half_an_order(rng):
    """Switching neurons: distance about (alpha m)^(-1/2), by mean squares over 12 networks.

    One slope of the root mean square over a decade: neurons that switch are counted, about a
    share 1/alpha of m times the test inputs, at least 40 here in the mean of 12 networks.
    """
    alphas, square = np.array([30.0, 300.0]), np.zeros((12, 2, 2))
    for i in range(12):
        for j, m in enumerate((16, 128)):
            net = TwoLayer.symmetric(m, D, "relu", rng)
            (x, y), x_test = sample(rng, 30), sample(rng, 1500)[0]
            square[i, j] = distances(net, x, y / np.std(y), x_test, alphas) ** 2
    drawn = np.random.default_rng(0).integers(0, 12, (400, 12))  # bootstrap over networks
    logs = 0.5 * np.log(square[drawn].mean(1))
    slope, ratio = (logs[:, 1, 1] - logs[:, 1, 0]) / np.log(10), logs[:, 0, 1] - logs[:, 1, 1]
    assert abs(slope.mean() + 0.5) < 3 * slope.std() + 0.05
    assert abs(ratio.mean() - 0.5 * np.log(128 / 16)) < 3 * ratio.std() + 0.1
    assert slope.std() < 0.15
    assert ratio.std() < 0.35


def test_kinks_are_not_seen_in_the_end(rng):
    """Once no neuron switches on any input, a ReLU network is smooth: order -2 in pairs."""
    net, (x, y) = TwoLayer.symmetric(8, D, "relu", rng), sample(rng, 10)
    x_test, alphas = sample(rng)[0], np.array([1e4, 1e5])
    after = run(net, x, y, output_scale=alphas[0], eta=1.0, steps=40)
    inputs = np.concatenate([x, x_test])
    fires = [v.preactivations(inputs) > 0 for v in (net, after)]
    assert (fires[0] == fires[1]).all()
    assert sloped(distances(net, x, y, x_test, alphas), alphas)[0] == pytest.approx(-2, abs=0.02)


def test_kernel_change_drives_the_distance(rng):
    """The recursion of the distance, with the kernel along the path, for short steps."""
    net, (x, y) = network(rng), sample(rng)
    scale, eta, steps = 4.0, 0.02, 400
    y = y + scale * net(x)  # a start at zero
    path = run(net, x, y, output_scale=scale, eta=eta, steps=steps, record=range(steps + 1))
    line = Linearised(net, x, y, output_scale=scale, eta=eta).outputs(x, range(steps + 1))
    layers = rates(eta, M, D)
    start, gap = empirical_ntk(net, layers)(x), np.zeros(N)
    for now in path[:-1]:
        change = empirical_ntk(now, layers)(x) - start
        gap = gap - start @ gap / N + change @ (y - scale * now(x)) / N
    want = scale * path[-1](x) - line[-1]
    assert np.linalg.norm(gap - want) < 0.05 * np.linalg.norm(want)
    assert np.linalg.norm(want) > 1e-3  # there is something to compare


def test_output_is_even_in_the_scale_for_pairs(rng):
    """Labels -y at the scale A are labels y at -A: the mirrored path."""
    net, (x, y) = TwoLayer.symmetric(M, D, "relu", rng), sample(rng)
    up, down = (run(net, x, v, output_scale=2.0, eta=0.5, steps=60) for v in (y, -y))
    np.testing.assert_allclose(up(x), -down(x), atol=1e-12)


def test_pull_of_the_absolute_value(rng):
    """E[|x_1| 1(w.x > 0) x] is (w + rho e_1) / pi to first order in rho = w_1, |w| = 1."""
    x = rng.standard_normal((2_000_000, 3))
    w = np.array([0.2, (1 - 0.2**2) ** 0.5, 0.0])
    terms = (abs(x[:, 0]) * (x @ w > 0))[:, None] * x
    error = terms.std(axis=0) / len(x) ** 0.5
    want = (w + 0.2 * np.eye(3)[0]) / math.pi
    assert (abs(terms.mean(axis=0) - want) < 4 * error + 0.2**2 * want).all()
