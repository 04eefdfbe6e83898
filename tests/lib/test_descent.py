"""The driver and its methods: against formulas, torch's optimisers and autograd."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from twolayer.data import sphere
from twolayer.descent import (
    Method,
    adam,
    descend,
    langevin,
    mean_field_rates,
    population,
    sgd,
)
from twolayer.network import TwoLayer

ALL = {"W": 0.1, "b": 0.06, "a": 0.04}
LOSSES = {
    "logistic": functional.soft_margin_loss,
    "hinge": lambda f, y: torch.relu(1 - y * f).mean(),
    "squared": functional.mse_loss,
    "centred": lambda f, y: (y - f).var(correction=0),
}


def some_networks(k, m=6, d=3, activation="tanh", dtype=float):
    rng = np.random.default_rng(31)
    W, a, b = (rng.standard_normal((k, m, *more)) for more in ((d,), (), ()))
    return TwoLayer(W.astype(dtype), a, activation, b)


def some_labels(k, n, d=3):
    rng = np.random.default_rng(32)
    x = rng.standard_normal((k, n, d))
    return x, np.abs(x[..., 0]) + 0.1 * rng.standard_normal((k, n))


def some_signs(k, n, d=3):
    x, y = some_labels(k, n, d)
    return x, np.sign(y - np.median(y))


def some_masks(k, m=6, d=3):
    """The first neuron is empty, the last full, the others random."""
    masks = np.random.default_rng(34).random((k, m, d)) < 0.5
    masks[:, 0], masks[:, -1] = False, True
    return masks


def seeds(k):
    return [np.random.default_rng([33, seed]) for seed in range(k)]


def assert_same(network, other, rtol=1e-9, atol=1e-11):
    for name in "Wba":
        got, want = getattr(network, name), getattr(other, name)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def parts(net):
    return {n: torch.tensor(getattr(net, n).copy(), requires_grad=True) for n in "Wba"}


# --- the driver


def test_record_is_the_path_and_the_start_stays():
    nets, (x, y) = some_networks(2), some_signs(2, 12)
    before = nets.W.copy()

    def method():
        return sgd(x, y, rates=ALL, batch=5, rng=seeds(2))

    path = descend(nets, method(), 7, record=[0, 3, 7])
    assert path.shape == (3, 2)
    assert np.array_equal(nets.W, before)
    assert_same(path[0], nets, 0, 0)
    for i, steps in ((1, 3), (2, 7)):
        assert_same(path[i], descend(nets, method(), steps), 0, 0)
    assert_same(descend(nets, method(), 7, record=range(2, 5))[1], path[1], 0, 0)
    assert descend(nets[0], sgd(x[0], y[0], rates=ALL), 2, record=[1]).shape == (1,)


def test_a_method_of_ones_own():
    """Any init and step: here all weights are halved."""

    def step(state, i):
        return tuple(v / 2 for v in state)

    halves = Method(lambda net, steps: (net.W, net.a, net.b), step, lambda state: state)
    net = some_networks(1)[0]
    np.testing.assert_allclose(descend(net, halves, 3).W, net.W / 8)


def test_shared_data_is_the_same_data_for_each():
    nets, (x, y) = some_networks(3), some_signs(1, 12)
    shared = descend(nets, sgd(x[0], y[0], rates=ALL), 5)
    own = descend(nets, sgd(np.repeat(x, 3, 0), np.repeat(y, 3, 0), rates=ALL), 5)
    assert_same(shared, own, 0, 0)
    for i in range(3):
        assert_same(shared[i], descend(nets[i], sgd(x[0], y[0], rates=ALL), 5))
    grid = TwoLayer.stack([nets, nets])
    assert_same(descend(grid, sgd(x[0], y[0], rates=ALL), 5)[1], shared)


def test_the_same_network_twice_is_two_networks():
    net, (x, y) = some_networks(1)[0], some_signs(2, 12)
    both = descend(TwoLayer.stack([net, net]), sgd(x, y, rates=ALL), 4)
    for i in range(2):
        assert_same(both[i], descend(net, sgd(x[i], y[i], rates=ALL), 4))


def test_tensors_stay_tensors():
    net, (x, y) = some_networks(1)[0], some_signs(1, 12)
    tensors = TwoLayer(torch.tensor(net.W), net.a, "tanh", net.b)
    got = descend(tensors, sgd(torch.tensor(x[0]), y[0], rates=ALL), 3)
    assert isinstance(got.W, torch.Tensor)
    assert not got.W.requires_grad
    assert_same(got, descend(net, sgd(x[0], y[0], rates=ALL), 3))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": print}, TypeError, "method=.* must be a Method"),
        ({"steps": 0}, ValueError, "steps=0 must be a positive integer"),
        ({"steps": 2.0}, TypeError, "steps=2.0 must be a positive integer"),
        ({"record": [4]}, ValueError, "record=4 must be an integer between 0 and 3"),
        ({"record": []}, ValueError, "record=.* must be one or more numbers of steps, ascending"),
        ({"record": [2, 1]}, ValueError, "ascending"),
        ({"record": [1, 1]}, ValueError, "ascending"),
        ({"record": [0.5]}, TypeError, "record=0.5 must be an integer"),
    ],
)
def test_bad_runs(change, error, words):
    method = sgd(np.ones((9, 3)), np.ones(9), rates={"W": 0.1})
    with pytest.raises(error, match=words):
        descend(**({"network": some_networks(2), "method": method, "steps": 3} | change))


def test_rates_of_a_mean_field():
    assert mean_field_rates(2.0, m=10) == {"W": 20.0, "b": pytest.approx(6.0), "a": 2.0}
    assert mean_field_rates(2.0, m=np.int64(10))["W"] == 20.0


# --- sgd


def plain_descent(net, x, y, *, rates, steps, loss, rng=None, batch=None, mask=None, decay=0.0):
    """One network by its own forward pass, autograd and torch.optim.SGD, the mask put back."""
    p = parts(net)
    keep = np.ones(net.W.shape) if mask is None else np.asarray(mask)
    keep = {"W": keep, "b": keep.max(1), "a": keep.max(1)}
    groups = [
        {"params": [p[n]], "lr": rate, "weight_decay": 0.0 if n == "b" else decay}
        for n, rate in rates.items()
    ]
    optimiser, queue = torch.optim.SGD(groups), []
    for step in range(steps + 1):
        with torch.no_grad():
            for name in p:
                p[name] *= torch.tensor(keep[name])
        if step == steps:
            return TwoLayer(*(p[n].detach().numpy() for n in "Wa"), net.activation, p["b"].detach())
        rows = np.arange(len(x))
        if batch is not None:
            if len(queue) < batch:
                queue = list(rng.permutation(len(x)))
            rows, queue = queue[:batch], queue[batch:]
        optimiser.zero_grad()
        f = TwoLayer(p["W"], p["a"], net.activation, p["b"])(x[rows])
        LOSSES[loss](f, torch.tensor(y[rows])).backward()
        optimiser.step()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("batch", [None, 4, 99])
@pytest.mark.parametrize("pruned", [False, True])
def test_descent_is_torchs(loss, activation, batch, pruned):
    """Three networks at once, 10 samples: batches of 4 leave out 2 an epoch, of 99 are all."""
    nets, masks = some_networks(3, activation=activation), some_masks(3) if pruned else None
    x, y = some_labels(3, 10) if loss in ("squared", "centred") else some_signs(3, 10)
    for rates in (ALL, {"a": 0.1}, {"b": 0.1, "W": 0.05}):
        rng = None if batch is None else seeds(3)
        method = sgd(x, y, rates=rates, loss=loss, batch=batch, rng=rng, masks=masks)
        got = descend(nets, method, 17)
        for i, net in enumerate(nets):
            want = plain_descent(
                net,
                x[i],
                y[i],
                rates=rates,
                steps=17,
                loss=loss,
                rng=seeds(3)[i],
                batch=batch and min(batch, 10),
                mask=masks[i] if pruned else None,
            )
            assert_same(got[i], want)
            for name in set("Wba") - set(rates):
                assert pruned or np.array_equal(getattr(got[i], name), getattr(net, name))


def test_masked_weights_stay_exactly_zero():
    """Empty neurons lose bias and readout, even where these are not trained."""
    nets, masks, (x, y) = some_networks(4), some_masks(4), some_signs(4, 12)
    for rates in (ALL, {"a": 0.5}):
        for kind in (masks, masks.astype(float), torch.as_tensor(masks), masks.tolist()):
            path = descend(nets, sgd(x, y, rates=rates, masks=kind), 6, record=[0, 2, 6])
            for got in path:
                assert np.array_equal(got.W != 0, masks)
                for vector in (got.a, got.b):
                    assert np.array_equal(vector != 0, masks.any(-1))
    one = descend(nets[0], sgd(x[0], y[0], rates=ALL, masks=masks[0]), 3)
    assert np.array_equal(one.W != 0, masks[0])


def test_minibatches_come_from_the_generators_and_networks_do_not_feel_the_others():
    nets, (x, y) = some_networks(2), some_signs(2, 12)
    ends = []
    for rng, scale in ((seeds(2), 1.0), (seeds(2), 3.0), (seeds(2)[::-1], 1.0)):
        data = x * np.array([1.0, scale])[:, None, None]
        ends.append(descend(nets, sgd(data, y, rates=ALL, batch=5, rng=rng), 9).W)
    assert np.array_equal(ends[0][0], ends[1][0])
    assert not np.array_equal(ends[0][1], ends[1][1])
    assert not np.array_equal(ends[0][0], ends[2][0])
    spawned = descend(nets, sgd(x, y, rates=ALL, batch=5, rng=np.random.default_rng(0)), 9)
    listed = sgd(x, y, rates=ALL, batch=5, rng=np.random.default_rng(0).spawn(2))
    assert_same(spawned, descend(nets, listed, 9), 0, 0)


def test_single_precision_is_close_to_double():
    """5 steps of a few roundings of 6e-8."""
    x, y = some_signs(2, 12)
    ends = [
        descend(some_networks(2, dtype=dtype), sgd(x, y, rates=ALL, masks=some_masks(2)), 5)
        for dtype in (np.float32, float)
    ]
    assert ends[0].W.dtype == ends[0].a.dtype == np.float32
    assert_same(*ends, rtol=1e-4, atol=1e-5)


def test_weight_decay_is_torchs():
    """Rate times weight decay of W and a, of each by its own rate; the bias has none."""
    nets, (x, y) = some_networks(2), some_signs(2, 12)
    for rates in (ALL, {"a": 0.1}, {"W": 0.05, "b": 0.1}):
        got = descend(nets, sgd(x, y, rates=rates, weight_decay=0.7), 6)
        for i, net in enumerate(nets):
            common = {"rates": rates, "steps": 6, "loss": "logistic"}
            assert_same(got[i], plain_descent(net, x[i], y[i], decay=0.7, **common))


def test_weight_decay_of_every_step():
    nets, (x, y) = some_networks(2), some_signs(2, 12)
    number, row = (
        descend(nets, sgd(x, y, rates=ALL, weight_decay=v), 3) for v in (0.25, [0.25] * 3)
    )
    assert_same(number, row, 0, 0)
    none = descend(nets, sgd(x, y, rates=ALL), 3)
    assert_same(none, descend(nets, sgd(x, y, rates=ALL, weight_decay=np.zeros(3)), 3), 0, 0)
    by_hand = nets
    for decay in (0.0, 2.0, 0.5):
        by_hand = descend(by_hand, sgd(x, y, rates=ALL, weight_decay=decay), 1)
    at_once = descend(nets, sgd(x, y, rates=ALL, weight_decay=[0.0, 2.0, 0.5]), 3)
    assert_same(at_once, by_hand, rtol=1e-12, atol=1e-14)
    gone = descend(nets, sgd(x, y, rates={"W": 0.1}, weight_decay=10.0), 1)  # a share of one
    assert not np.allclose(gone.W, 0)  # the gradient at the old weights is left
    assert np.array_equal(gone.a, nets.a)


def test_the_centred_loss_has_a_free_constant():
    """Its step is the squared loss's at y - mean(y - f), and an offset of y changes nothing."""
    nets, (x, y) = some_networks(2), some_labels(2, 12)
    shift = (y - nets(x)).mean(-1, keepdims=True)
    assert abs(shift).min() > 0.01
    kinds = [("centred", y), ("squared", y - shift), ("centred", y + 7.0)]
    ends = [descend(nets, sgd(x, v, rates=ALL, loss=loss), 1) for loss, v in kinds]
    assert_same(ends[0], ends[1], rtol=1e-11, atol=1e-13)
    assert_same(ends[0], ends[2], rtol=1e-11, atol=1e-12)


def test_descent_that_diverges_is_stopped():
    nets, (x, y) = some_networks(1, activation="identity"), some_labels(1, 9)
    huge = {"W": 1e200, "a": 1e200}
    with pytest.raises(ValueError, match=r"outputs are not finite at step \d; rates=.* too large"):
        descend(nets, sgd(x, y, rates=huge, loss="squared"), 5)
    with pytest.raises(ValueError, match="is not finite after step 1: the steps are too large"):
        descend(nets, sgd(x, 1e9 * y, rates={"W": 1e308, "a": 1e308}, loss="squared"), 1)


BAD = [
    ({"x": np.ones((2, 9, 4))}, ValueError, r"x has shape \(2, 9, 4\); it must be \(..., n, 3\)"),
    ({"x": np.ones((2, 0, 3)), "y": np.ones((2, 0))}, ValueError, r"x has shape \(2, 0, 3\)"),
    ({"y": np.ones((2, 8))}, ValueError, r"and y \(2, 8\); for this network they must be \(2, n"),
    ({"x": np.ones((3, 9, 3)), "y": np.ones((3, 9))}, ValueError, r"x has shape \(3, 9, 3\)"),
    ({"x": np.full((2, 9, 3), np.nan)}, ValueError, "x holds non-finite"),
    ({"y": np.full((2, 9), np.inf)}, ValueError, "y holds non-finite"),
    ({"rates": {}}, ValueError, "rates must name at least one of 'W', 'b', 'a'"),
    ({"rates": {"w": 1.0}}, ValueError, "rates='w' is unknown; allowed: 'W', 'b', 'a'"),
    ({"rates": {"W": 0.0}}, ValueError, r"rates\['W'\]=0.0 must be finite and > 0"),
    ({"rates": {"b": "1"}}, TypeError, r"rates\['b'\]='1' must be a real number"),
    ({"batch": 0}, ValueError, "batch=0 must be a positive integer"),
    ({"batch": 3, "rng": seeds(1)}, ValueError, "rng holds 1 generators; it must hold 2"),
    ({"batch": 3, "rng": [0, 1]}, TypeError, "rng=0 must be a numpy.random.Generator"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
@pytest.mark.parametrize("method", [sgd, adam])
def test_bad_data(method, change, error, words):
    good = {"x": np.ones((2, 9, 3)), "y": np.ones((2, 9)), "rates": {"W": 0.1}, "rng": seeds(2)}
    with pytest.raises(error, match=words):
        descend(some_networks(2), method(**(good | change)), 3)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"loss": "log"}, ValueError, "loss='log' is unknown; allowed: 'logistic'"),
        ({"y": np.full((2, 9), 0.5)}, ValueError, "y holds 0.5; labels must be -1 or 1"),
        ({"batch": 3}, TypeError, "rng=None must be a numpy.random.Generator"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay must be finite and >= 0, got -1"),
        ({"weight_decay": [1.0]}, ValueError, r"weight_decay has shape \(1,\); .* or \(3,\)"),
        ({"weight_decay": 11.0}, ValueError, "weight_decay=11 is too large for the rate 0.1"),
        ({"masks": np.ones((6, 3), bool)}, ValueError, r"masks has shape .* must be \(2, 6, 3\)"),
        ({"masks": np.full((2, 6, 3), 2)}, ValueError, "masks must hold booleans, or zeros and on"),
        (
            {"masks": np.arange(2)[:, None, None] * np.ones((6, 3))},
            ValueError,
            "masks holds an empty ticket: each must keep at least one weight",
        ),
    ],
)
def test_bad_settings(change, error, words):
    good = {"x": np.ones((2, 9, 3)), "y": np.ones((2, 9)), "rates": {"W": 0.1}}
    with pytest.raises(error, match=words):
        descend(some_networks(2), sgd(**(good | change)), 3)


# --- Adam


def plain_adam(net, x, y, rates, steps, rng, batch, annealed):
    """One network, formula by formula: network, loss, Adam (Kingma & Ba 2015, algorithm 1)."""
    p = {name: np.array(getattr(net, name)) for name in "Wba"}
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
        fall = (1 + np.cos(np.pi * (t - 1) / steps)) / 2 if annealed else 1.0
        for name, rate in rates.items():
            g = gradient[name]
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g**2
            change = (first[name] / (1 - 0.9**t)) / (np.sqrt(second[name] / (1 - 0.999**t)) + 1e-8)
            p[name] = p[name] - rate * fall * change
    return TwoLayer(p["W"], p["a"], net.activation, p["b"])


@pytest.mark.parametrize("rates", [{"W": 0.01, "b": 0.02, "a": 0.03}, {"W": 0.02}, {"a": 0.1}])
@pytest.mark.parametrize("annealed", [True, False])
@pytest.mark.parametrize(("steps", "batch"), [(1, 10), (25, 4), (12, 99)])
def test_adam_is_the_formula(rates, annealed, steps, batch):
    """Two networks at once, 10 samples: batches of 4 leave out 2 an epoch, of 99 are all."""
    nets, (x, y), rngs = some_networks(2), some_labels(2, 10), seeds(2)
    got = descend(
        nets, adam(x, y, rates=rates, rng=seeds(2), batch=batch, annealed=annealed), steps
    )
    for i, net in enumerate(nets):
        want = plain_adam(net, x[i], y[i], rates, steps, rngs[i], min(batch, 10), annealed)
        assert_same(got[i], want, rtol=1e-8, atol=1e-10)
        for name in set("Wba") - set(rates):
            assert np.array_equal(getattr(got[i], name), getattr(net, name))


def test_adam_at_once_is_adam_alone():
    nets, (x, y) = some_networks(3, activation="relu"), some_labels(3, 30)
    rates = {"W": 0.02, "b": 0.01, "a": 0.05}
    together = descend(nets, adam(x, y, rates=rates, rng=seeds(3), batch=7), 40)
    for i in range(3):
        alone = adam(x[i], y[i], rates=rates, rng=seeds(3)[i], batch=7)
        assert_same(together[i], descend(nets[i], alone, 40), rtol=1e-7, atol=1e-9)


def test_looking_at_the_path_does_not_change_it():
    nets, (x, y) = some_networks(1), some_labels(1, 12)
    rates = {"W": 0.05, "a": 0.05}
    path = descend(nets, adam(x, y, rates=rates, rng=seeds(1)), 6, record=[2, 4, 6])
    with torch.no_grad():
        assert_same(path[-1], descend(nets, adam(x, y, rates=rates, rng=seeds(1)), 6), 0, 0)
    assert torch.is_grad_enabled()
    assert not np.array_equal(path[0].W, path[1].W)


def test_adam_that_leaves_the_finite_numbers_is_stopped():
    nets, (x, y) = some_networks(1, activation="identity"), some_labels(1, 9)
    with pytest.raises(ValueError, match=r"the loss is (inf|nan) at step 1; rates=.* too large"):
        descend(nets, adam(x, y, rates={"W": 1e200, "a": 1e200}, rng=seeds(1)), 5)


# --- population descent


@pytest.mark.parametrize("shape", [(), (2,)])
def test_population_descent_is_the_recursion(shape):
    """W <- (1 - eta lambda) W - eta dW, likewise a = readout / sqrt(m), of a loss with both."""
    nets = some_networks(2) if shape else some_networks(2)[0]
    decay = np.random.default_rng(0).random((*shape, 5))
    W, a = np.array(nets.W), nets.a / 6**0.5
    want = []
    for t in range(5):
        left = 1 - 0.3 * decay[..., t]
        pull = W * a[..., None], np.sin(a) + W.sum(-1)
        W = left[..., None, None] * W - 0.3 * pull[0]
        a = left[..., None] * a - 0.3 * pull[1]
        want.append((W, a))
    method = population(
        lambda W, a: (W * a[..., None], np.sin(a) + W.sum(-1)), eta=0.3, weight_decay=decay
    )
    path = descend(nets, method, 5, record=range(1, 6))
    for got, (W, a) in zip(path, want, strict=True):
        np.testing.assert_allclose(got.W, W, rtol=1e-12)
        np.testing.assert_allclose(got.a, 6**0.5 * a, rtol=1e-12)
    one = population(lambda W, a: (W, a), eta=0.1, weight_decay=0.5)
    row = population(lambda W, a: (W, a), eta=0.1, weight_decay=[0.5, 0.5])
    assert_same(descend(nets, one, 2), descend(nets, row, 2), 0, 0)


def test_bad_population_descent():
    nets = some_networks(2)
    for decay in (np.ones(4), np.ones((3, 5))):
        with pytest.raises(ValueError, match="weight_decay has shape"):
            descend(nets, population(lambda W, a: (W, a), eta=0.1, weight_decay=decay), 5)
    with pytest.raises(ValueError, match="eta=0.0 must be finite and > 0"):
        population(lambda W, a: (W, a), eta=0.0)
    with pytest.raises(ValueError, match="weights are not finite at step 1; eta=1e\\+200"):
        descend(nets, population(lambda W, a: (W, a), eta=1e200), 5)


# --- Langevin


def on_the_sphere(m, d, k=None, outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    lead = () if k is None else (k,)
    a = rng.standard_normal((*lead, m) if outputs is None else (*lead, m, outputs))
    return TwoLayer(sphere((*lead, m, d), rng), a, "relu"), rng


def test_a_cold_step_is_the_gradients():
    """Without noise: du = -m dL/du dt, and dw along the sphere, by autograd and small steps."""
    net, rng = on_the_sphere(5, 3)
    x, y, dt, decay = sphere((20, 3), rng), rng.standard_normal(20), 1e-6, 0.3
    W, u = torch.tensor(net.W.copy()), torch.tensor(5**0.5 * net.a)
    W.requires_grad_(), u.requires_grad_()
    f = torch.relu(torch.tensor(x) @ W.T) @ u / 5
    loss = ((f - torch.tensor(y)) ** 2).mean() / 2 + decay * (u**2).sum() / 10
    of_W, of_u = (5 * g for g in torch.autograd.grad(loss, (W, u)))
    of_W = of_W - (of_W * W).sum(1, keepdim=True) * W
    cold = langevin(x, y, dt=dt, weight_decay=decay, temperature=0.0, rng=rng)
    moved = descend(net, cold, 1)
    np.testing.assert_allclose((moved.W - net.W) / dt, -of_W.detach(), atol=1e-4)
    np.testing.assert_allclose(5**0.5 * (moved.a - net.a) / dt, -of_u.detach(), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(moved.W, axis=1), 1)


def test_langevin_runs_stacks_and_outputs():
    many, rng = on_the_sphere(6, 3, k=2, outputs=4)
    x, labels = sphere((20, 3), rng), np.arange(20) % 4
    common = {"dt": 0.1, "weight_decay": 0.1, "temperature": 0.01}
    method = langevin(x, labels, rng=rng, loss="cross-entropy", **common)
    path = descend(many, method, 10, record=[0, 10])
    assert path.a.shape == (2, 2, 6, 4)
    np.testing.assert_allclose(path[0].a, many.a, rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(path.W, axis=-1), 1)
    for averaged in (True, False):
        one = [
            descend(
                many.with_readout(many.a[..., 0]),
                langevin(x, labels, rng=np.random.default_rng(3), averaged=averaged, **common),
                5,
            ).W
            for _ in range(2)
        ]
        assert np.array_equal(*one)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"network": some_networks(1)}, ValueError, "activation='tanh' must be 'relu'"),
        (
            {"network": TwoLayer(np.eye(2, 3), [1.0, 1.0], "relu", [0.0, 1.0])},
            ValueError,
            "network has biases; they must be zero",
        ),
        (
            {"network": TwoLayer(2 * np.eye(2, 3), [1.0, 1.0], "relu")},
            ValueError,
            "W has a row of length 2; each must be of length 1",
        ),
        ({"x": np.ones((9, 4))}, ValueError, "x has shape"),
        ({"x": np.ones((1, 9, 3))}, ValueError, "x has shape"),
        ({"y": np.ones(8)}, ValueError, "x has 9 rows and y has 8"),
        ({"y": np.ones((9, 2))}, ValueError, "y has shape"),
        ({"loss": "log"}, ValueError, "loss='log' is unknown"),
        ({"loss": "cross-entropy"}, ValueError, "network must have a last axis of outputs"),
        ({"dt": 0.0}, ValueError, "dt=0.0 must be finite and > 0"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay=-1.0 must be finite and >= 0"),
        ({"temperature": -1.0}, ValueError, "temperature=-1.0 must be finite and >= 0"),
        ({"rng": 0}, TypeError, "rng=0 must be a numpy.random.Generator"),
    ],
)
def test_bad_langevin(change, error, words):
    good = {"x": np.ones((9, 3)), "y": np.ones(9), "dt": 0.1, "weight_decay": 0.1}
    good |= {"temperature": 0.1, "rng": np.random.default_rng(0)}
    net = change.pop("network", TwoLayer(np.eye(2, 3), [1.0, 1.0], "relu"))
    with pytest.raises(error, match=words):
        descend(net, langevin(**(good | change)), 3)


def test_classes_are_whole():
    net, rng = on_the_sphere(4, 3, outputs=2)
    common = {"dt": 0.1, "weight_decay": 0.1, "temperature": 0.1, "rng": rng}
    for y in (np.full(9, 2.0), np.full(9, 0.5), np.full(9, -1.0)):
        with pytest.raises(ValueError, match=r"y must hold classes 0\.\.1"):
            descend(net, langevin(np.ones((9, 3)), y, loss="cross-entropy", **common), 1)
    with pytest.raises(ValueError, match=r"y has shape \(9, 3\); it must be \(9, 2\)"):
        descend(net, langevin(np.ones((9, 3)), np.ones((9, 3)), **common), 1)


# --- what was broken once


def test_population_descent_keeps_the_dtype_and_refuses_what_it_cannot():
    def method(**change):
        return population(lambda W, a: (W, a), **({"eta": 0.1} | change))

    single = descend(some_networks(2, dtype=np.float32), method(), 2)
    assert {v.dtype for v in (single.W, single.a, single.b)} == {np.dtype("float32")}
    nets = some_networks(2)
    with pytest.raises(ValueError, match="readout of several outputs"):
        descend(nets.with_readout(np.ones((2, 6, 3))), method(), 1)
    with pytest.raises(ValueError, match="weight_decay=20 is too large for eta=0.1"):
        descend(nets, method(weight_decay=20.0), 1)
    with pytest.raises(ValueError, match="gradient gives shapes"):
        descend(nets, population(lambda W, a: (W[0], a), eta=0.1), 1)


def test_rates_are_those_that_were_given():
    net, (x, y), rates = some_networks(1)[0], some_signs(1, 10), {"W": 0.1}
    method = sgd(x[0], y[0], rates=rates)
    rates["W"] = -5.0
    assert_same(descend(net, method, 1), descend(net, sgd(x[0], y[0], rates={"W": 0.1}), 1), 0, 0)


def test_one_generator_for_a_stack_is_one_for_each_whatever_their_number():
    nets, (x, y) = some_networks(2), some_signs(2, 12)
    both, one = (
        descend(
            nets[:k],
            sgd(x[:k], y[:k], rates=ALL, batch=5, rng=np.random.default_rng(1)),
            4,
        )
        for k in (2, 1)
    )
    assert_same(both[0], one[0])


def test_activations_that_cannot_be_trained_are_named():
    from twolayer.activations import Activation

    net, (x, y) = some_networks(1)[0], some_signs(1, 10)
    for function, derivative, what in [
        (lambda z: np.where(z > 0, z, 0.0), lambda z: z * 0, "function"),
        (lambda z: abs(z), lambda z: z > 0, "derivative"),
    ]:
        own = TwoLayer(net.W, net.a, Activation("mine", function, derivative))
        with pytest.raises(TypeError, match=f"activation='mine': its {what} must take a tensor"):
            descend(own, sgd(x[0], y[0], rates={"W": 0.1}), 1)
    flat = Activation("flat", lambda z: z.detach() * 1, lambda z: z * 0 + 1)
    method = adam(x[0], y[0], rates={"W": 0.1, "a": 0.1}, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="activation='flat' gives W no gradient"):
        descend(TwoLayer(net.W, net.a, flat), method, 1)


def test_decay_does_not_ask_anything_of_the_bias():
    net, (x, y) = some_networks(1)[0], some_signs(1, 10)
    descend(net, sgd(x[0], y[0], rates={"b": 10.0, "W": 0.1}, weight_decay=0.2), 1)


@pytest.mark.parametrize("bad", [3, None, "abc"])
def test_things_of_another_kind(bad):
    net, (x, y) = some_networks(1)[0], some_signs(1, 10)
    with pytest.raises(TypeError, match="network=.* must be a TwoLayer"):
        descend(bad, sgd(x[0], y[0], rates=ALL), 1)
    with pytest.raises(TypeError, match="rates=.* must be a dict"):
        sgd(x[0], y[0], rates=bad)
    with pytest.raises(TypeError, match="rng=.* must be a numpy.random.Generator"):
        descend(net, sgd(x[0], y[0], rates=ALL, batch=3, rng=bad), 1)
    if bad is not None:
        with pytest.raises(TypeError, match="record="):
            descend(net, sgd(x[0], y[0], rates=ALL), 4, record=bad)
