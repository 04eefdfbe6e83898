"""Masks and tickets against torch's own pruning, autograd and plain searches."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torch.nn.utils import prune

from twolayer import pruning
from twolayer.descent import descend, sgd
from twolayer.measures import accuracy
from twolayer.network import TwoLayer


def network(seed=0, m=7, d=4, activation="relu", dtype="float64"):
    rng = np.random.default_rng([60, seed])
    W, a, b = rng.standard_normal((m, d)), rng.standard_normal(m), rng.standard_normal(m)
    return TwoLayer(W.astype(dtype), a, activation, b)


def networks(k, **shape):
    return TwoLayer.stack([network(seed, **shape) for seed in range(k)])


def problem(k, n, d=4):
    rng = np.random.default_rng(61)
    x = rng.standard_normal((k, n, d))
    return x, np.sign(x[..., 0] * x[..., 1])


def seeds(k):
    return [np.random.default_rng([62, seed]) for seed in range(k)]


# --- neurons


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_outputs_of_subnetworks_add_up(rng, activation):
    net, x = network(activation=activation), rng.standard_normal((9, 4))
    parts = [pruning.subnetwork(net, neurons) for neurons in ([5, 0], (3,), np.array([6, 1, 2, 4]))]
    assert [part.m for part in parts] == [2, 1, 4]
    np.testing.assert_allclose(sum(part(x) for part in parts), net(x), rtol=1e-12, atol=1e-12)
    for name in "Wb":
        assert np.array_equal(getattr(parts[0], name), getattr(net, name)[[5, 0]])


def test_a_mask_of_neurons_names_them(rng):
    """Booleans, in whatever holds them, are the rows where they are true, in order."""
    net, x = network(), rng.standard_normal((9, 4))
    chosen = np.array([True, False, False, True, True, False, False])
    want = pruning.subnetwork(net, [0, 3, 4])
    for neurons in (chosen, chosen.tolist(), torch.as_tensor(chosen), net.W[:, 0] != 99):
        got = pruning.subnetwork(net, neurons)
        assert np.array_equal(got(x), (want if got.m == 3 else net)(x))
    both = pruning.subnetwork(net, chosen)(x) + pruning.subnetwork(net, ~chosen)(x)
    np.testing.assert_allclose(both, net(x), rtol=1e-12, atol=1e-12)


def test_subnetworks_of_several_outputs_and_of_tensors(rng):
    W, a, x = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), rng.standard_normal((4, 3))
    net = TwoLayer(W, a, "relu")
    parts = [pruning.subnetwork(net, rows)(x) for rows in ([0, 2], [1, 3, 4])]
    np.testing.assert_allclose(sum(parts), net(x), atol=1e-12)
    tensors = pruning.subnetwork(TwoLayer(torch.as_tensor(W), a, "relu"), [0, 2])
    np.testing.assert_allclose(tensors(x).numpy(), parts[0], atol=1e-12)


# --- masks


def test_masked_is_torchs_pruning_where_no_neuron_is_empty(rng):
    net, x = network(), rng.standard_normal((9, 4))
    mask = pruning.random_mask((7, 4), 0.4, rng)
    mask[~mask.any(1), 0] = True
    layer = torch.nn.Linear(4, 7, dtype=torch.float64)
    layer.weight.data, layer.bias.data = torch.tensor(net.W), torch.tensor(net.b)
    prune.custom_from_mask(layer, "weight", torch.as_tensor(mask))
    want = torch.relu(layer(torch.as_tensor(x))).detach().numpy() @ net.a / np.sqrt(7)
    frozen = mask.copy()
    frozen.flags.writeable = False
    for given_mask in (mask, frozen, mask.tolist(), mask.astype(int), mask.astype(float)):
        got = pruning.masked(net, given_mask)
        np.testing.assert_allclose(got(x), want, rtol=1e-12, atol=1e-12)
    assert np.array_equal(got.b, net.b)
    assert np.array_equal(got.a, net.a)


def test_an_empty_neuron_is_gone(rng):
    net, x = network(activation="tanh"), rng.standard_normal((9, 4))
    mask = np.ones((7, 4), dtype=bool)
    mask[[1, 4]] = False
    mask[2, 3] = False
    got = pruning.masked(net, mask)
    for p in (got.W, got.b, got.a):
        assert not p[[1, 4]].any()
    np.testing.assert_allclose(got(x), pruning.subnetwork(got, mask.any(1))(x), atol=1e-12)
    assert np.array_equal(got.W != 0, mask)


def test_masks_of_stacks_outputs_and_tensors(rng):
    nets, x = networks(2), rng.standard_normal((2, 9, 4))
    masks = np.stack([pruning.random_mask((7, 4), 0.8, rng) for _ in range(2)])
    got = pruning.masked(nets, masks)
    for i in range(2):
        assert np.array_equal(got[i](x[i]), pruning.masked(nets[i], masks[i])(x[i]))
    two = TwoLayer(nets[0].W, np.stack([nets[0].a, nets[1].a], 1), "relu", nets[0].b)
    one = TwoLayer(nets[0].W, nets[1].a, "relu", nets[0].b)
    want = pruning.masked(one, masks[0])(x[0])
    np.testing.assert_allclose(pruning.masked(two, masks[0])(x[0])[:, 1], want, atol=1e-12)
    tensors = pruning.masked(TwoLayer(torch.tensor(one.W), one.a, "relu", one.b), masks[0])
    np.testing.assert_allclose(tensors(x[0]).numpy(), want, atol=1e-12)


sparsities = st.floats(0.02, 0.9)


@given(st.integers(4, 9), st.integers(3, 9), sparsities, sparsities, st.integers(0, 99))
def test_magnitude_masks_are_those_of_torch_and_are_nested(m, d, one, two, seed):
    rng = np.random.default_rng(seed)
    weights, other = rng.standard_normal((2, m, d))
    low, high = sorted([one, two])
    mask = pruning.magnitude_mask(weights, low)
    assert mask.dtype == bool
    assert mask.sum() == round((1 - low) * (m * d))
    method = prune.L1Unstructured(amount=int((~mask).sum()))
    ones = torch.ones((m, d))
    assert np.array_equal(mask, method.compute_mask(torch.tensor(weights), ones).bool().numpy())
    copy = mask.copy()
    nested = pruning.magnitude_mask(other, high, mask)
    assert np.array_equal(copy, mask)
    assert nested.sum() == round((1 - high) * (m * d))
    assert not (nested & ~mask).any()
    among = np.sort(abs(other[mask]))
    assert np.array_equal(np.sort(abs(other[nested])), among[-nested.sum() :])
    random = pruning.random_mask((m, d), low, np.random.default_rng(seed))
    assert random.sum() == mask.sum()


def test_of_equal_weights_the_first_are_kept():
    assert pruning.magnitude_mask(np.ones((2, 3)), 0.5).tolist() == [[True] * 3, [False] * 3]
    weights = [[0.0, -2.0], [2.0, 0.0]]
    assert pruning.magnitude_mask(weights, 0.75).tolist() == [[False, True], [False, False]]
    mask = [[False, True], [True, True]]
    assert pruning.magnitude_mask(np.zeros((2, 2)), 0.5, mask).tolist() == [[0, 1], [1, 0]]


def test_magnitude_masks_of_a_stack_and_of_unusual_arrays(rng):
    weights = rng.standard_normal((3, 5, 4)).astype("float32")
    each = np.stack([pruning.magnitude_mask(W, 0.3) for W in weights])
    assert np.array_equal(pruning.magnitude_mask(weights, 0.3), each)
    nested = np.stack(
        [pruning.magnitude_mask(-W, 0.6, v) for W, v in zip(weights, each, strict=True)]
    )
    assert np.array_equal(pruning.magnitude_mask(-weights, 0.6, each), nested)
    trained = torch.tensor(weights[0], requires_grad=True)
    for W in (trained, weights[0].tolist(), weights[0][::-1, ::-1]):
        want = each[0][::-1, ::-1] if isinstance(W, np.ndarray) else each[0]
        assert np.array_equal(pruning.magnitude_mask(W, 0.3), want)


def test_random_masks_have_even_odds(rng):
    """Shares of 3000 draws within 4.5 binomial errors for each of 12 weights and of all pairs."""
    n = 3000
    kept = np.array([pruning.random_mask((3, 4), 0.75, rng).ravel() for _ in range(n)], float)
    together = kept.T @ kept / n
    for shares, p in [
        (np.diag(together), 3 / 12),
        (together[~np.eye(12, dtype=bool)], 3 / 12 * 2 / 11),
    ]:
        assert np.all(abs(shares - p) < 4.5 * np.sqrt(p * (1 - p) / n))
    again = [pruning.random_mask((3, np.int64(4)), 0.75, np.random.default_rng(0)) for _ in "ab"]
    assert np.array_equal(*again)


# --- iterative pruning


def test_iterative_pruning_rewinds_and_nests():
    """Each round: from the start bitwise, under masks of the largest weights of the last round."""
    nets, (x, y) = networks(3), problem(3, 40)
    seen = []

    def train(start, masks):
        assert start is nets
        seen.append(masks.copy())
        return descend(start, sgd(x, y, rates={"W": 1.0, "b": 1.0, "a": 1.0}, masks=masks), 15)

    masks, trained = pruning.iterative_pruning(nets, train, [0.25, 0.5, 0.9])
    assert masks.shape == trained.W.shape == (4, 3, 7, 4)
    assert masks.dtype == bool
    assert masks.sum((2, 3)).tolist() == [[kept] * 3 for kept in (28, 21, 14, 3)]
    assert np.array_equal(masks, np.stack(seen))
    assert not trained.W[~masks].any()
    for r, (before, after) in enumerate(itertools.pairwise(masks)):
        assert not (after & ~before).any()
        for W, old, new in zip(trained[r].W, before, after, strict=True):
            assert abs(W[new]).min() > abs(W[old & ~new]).max()
    assert not np.array_equal(masks[-1, 0], masks[-1, 1])


def test_masks_are_nested_even_if_masked_weights_grow():
    nets = networks(2)

    def train(start, masks):
        return start.with_weights(np.where(masks, start.W, 99.0))

    masks, _ = pruning.iterative_pruning(nets, train, [0.3, 0.6, 0.8])
    for before, after in itertools.pairwise(masks):
        assert not (after & ~before).any()
    for sparsity, mask in zip([0.3, 0.6, 0.8], masks[1:], strict=True):
        assert np.array_equal(mask, pruning.magnitude_mask(nets.W, sparsity))


def test_iterative_pruning_without_sparsities_trains_once():
    masks, trained = pruning.iterative_pruning(network(), pruning.masked, [])
    assert masks.shape == trained.W.shape == (1, 7, 4)
    assert masks.all()


def test_training_that_returns_nothing_is_refused():
    for train in (lambda *_: None, lambda *_: network(m=6)):
        with pytest.raises(TypeError, match=r"train returned .*; it must return a network like"):
            pruning.iterative_pruning(network(), train, [0.5])


# --- masks that are learnt


LOSSES = {
    "logistic": lambda f, y: functional.soft_margin_loss(f, y),
    "hinge": lambda f, y: torch.relu(1 - y * f).mean(),
    "squared": functional.mse_loss,
}


def popup(net, x, y, sparsity, eta, steps, rng, unit, loss, momentum):
    """Edge-popup for one network, by autograd: the mask's gradient passes straight through."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    W, b, a = (torch.tensor(p) for p in (net.W, net.b, net.a))
    shape = W.shape if unit == "weight" else (len(W), 1)
    scores = torch.as_tensor(rng.random(int(np.prod(shape)))).reshape(shape)
    velocity = torch.zeros(shape)
    kept = round((1 - sparsity) * scores.numel())

    def top():
        return (scores >= scores.flatten().sort()[0][-kept]).double()

    for _ in range(steps):
        gate = top().requires_grad_()
        if unit == "weight":
            alive = gate.detach().any(1)
            f = functional.gelu(x @ (W * gate).T + b * alive) @ (a * alive)
        else:
            f = functional.gelu(x @ W.T + b) @ (a * gate[:, 0])
        (slope,) = torch.autograd.grad(LOSSES[loss](f / np.sqrt(len(W)), y), gate)
        velocity = momentum * velocity - slope / slope.norm()
        scores = scores + eta * velocity
    return top().bool().expand(W.shape).numpy()


@pytest.mark.parametrize("unit", ["weight", "neuron"])
@pytest.mark.parametrize(
    ("loss", "momentum"), [("logistic", 0.9), ("hinge", 0.0), ("squared", 0.5)]
)
def test_supermasks_are_those_of_autograd(unit, loss, momentum):
    nets, (x, y) = networks(3, activation="gelu"), problem(3, 25)
    common = {"sparsity": 0.55, "unit": unit, "loss": loss, "momentum": momentum, "eta": 0.13}
    found = []
    for steps in (1, 2, 7, 25):
        masks = pruning.supermask(nets, x, y, steps=steps, rng=seeds(3), **common)
        want = [
            popup(net, x[i], y[i], steps=steps, rng=seeds(3)[i], **common)
            for i, net in enumerate(nets)
        ]
        assert np.array_equal(masks, np.stack(want))
        assert masks.dtype == bool
        size = 28 if unit == "weight" else 7
        assert masks.sum((1, 2)).tolist() == [round(0.45 * size) * (28 // size)] * 3
        if unit == "neuron":
            assert np.array_equal(masks.any(2), masks.all(2))
        found.append(masks)
        alone = pruning.supermask(nets[1], x[1], y[1], steps=steps, rng=seeds(3)[1], **common)
        assert np.array_equal(alone, masks[1])
    assert not np.array_equal(found[0], found[-1])


@pytest.mark.parametrize("unit", ["weight", "neuron"])
def test_supermasks_beat_random_masks(unit):
    """XOR of signs, 24 seeds: the mean gain in accuracy is above 4 standard errors."""
    k, d, rngs = 24, 2, seeds(24)
    nets = TwoLayer.stack([TwoLayer.mean_field(60, d, "relu", rng) for rng in rngs])
    x, y = problem(k, 1000, d)
    masks = pruning.supermask(
        nets, x[:, :300], y[:, :300], sparsity=0.5, eta=0.1, steps=60, rng=rngs, unit=unit
    )
    drawn = np.stack([pruning.random_mask((60, d), 0.5, rng) for rng in rngs])
    learnt, chance = (pruning.masked(nets, v)(x[:, 300:]) for v in (masks, drawn))
    gains = accuracy(learnt, y[:, 300:]) - accuracy(chance, y[:, 300:])
    assert np.mean(gains) > 4 * np.std(gains, ddof=1) / np.sqrt(k)


def test_supermasks_take_single_precision_one_column_and_tensors():
    nets, (x, y) = networks(2, d=1, dtype="float32"), problem(2, 20)
    common = {"sparsity": 0.5, "eta": 0.1, "steps": 3, "unit": "weight"}
    masks = pruning.supermask(nets, x[..., :1], y, rng=seeds(2), **common)
    assert masks.shape == (2, 7, 1)
    assert masks.sum((1, 2)).tolist() == [4, 4]
    tensors = TwoLayer(torch.tensor(nets.W), nets.a, "relu", nets.b)
    again = pruning.supermask(tensors, x[..., :1], y, rng=seeds(2), **common)
    assert np.array_equal(again, masks)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiny_slopes_are_directions_too(dtype):
    """Only the direction of a gradient counts, though squares of its entries underflow."""
    x, y = problem(1, 20)
    size = {"float32": 1e-25, "float64": 1e-170}[dtype]
    masks = []
    for scale in (1e-4, size):
        net = network(dtype=dtype)
        net = TwoLayer(net.W, scale * net.a, "relu")
        common = {"sparsity": 0.5, "eta": 0.1, "steps": 9, "rng": np.random.default_rng(0)}
        masks.append(pruning.supermask(net, x[0], y[0], loss="hinge", **common))
    assert np.array_equal(*masks)


# --- bad input


def test_bad_subnetworks():
    net = network()
    for neurons, words in [
        ([], "neurons is an empty ticket; it must name at least one"),
        (np.zeros(7, bool), "neurons is an empty ticket"),
        (2, r"neurons has shape \(\); it must be \(s,\), or \(7,\) of booleans"),
        ([[1, 2]], r"neurons has shape \(1, 2\); it must be"),
        ([0, 7], r"neurons=\[0 7\] must be integers between 0 and 6"),
        ([-1], r"neurons=\[-1\] must be integers between 0 and 6"),
        ([1.0], r"neurons=\[1.\] must be integers"),
        ([True], r"neurons has shape \(1,\); a mask of neurons must be \(7,\)"),
        ([3, 1, 3], r"neurons=\[3 1 3\] must name each neuron at most once"),
    ]:
        with pytest.raises(ValueError, match=words):
            pruning.subnetwork(net, neurons)
    with pytest.raises(ValueError, match=r"network is a stack of shape \(2,\)"):
        pruning.subnetwork(networks(2), [1])


BAD_MASKS = [
    (np.ones((4, 7), bool), r"mask has shape \(4, 7\); it must be \(7, 4\)"),
    (np.ones(7, bool), r"mask has shape \(7,\); it must be \(7, 4\)"),
    (np.full((7, 4), 2), "mask must hold booleans, or zeros and ones"),
    (np.full((7, 4), 0.5), "mask must hold booleans, or zeros and ones"),
    (np.full((7, 4), np.nan), "mask must hold booleans, or zeros and ones"),
    (np.zeros((7, 4)), "mask holds an empty ticket: each must keep at least one weight"),
]
BAD_SPARSITIES = [
    (0.0, ValueError, r"sparsity=0.0 must be in \(0, 1\)"),
    (1, ValueError, r"sparsity=1.0 must be in \(0, 1\)"),
    (-0.1, ValueError, r"sparsity=-0.1 must be in \(0, 1\)"),
    (0.99, ValueError, "sparsity=0.99 leaves an empty ticket: none of 28 weights"),
    (np.nan, ValueError, "sparsity=nan must be finite"),
    ("half", TypeError, "sparsity='half' must be a real number"),
]


@pytest.mark.parametrize(("mask", "words"), BAD_MASKS)
def test_bad_masks(mask, words):
    with pytest.raises(ValueError, match=words):
        pruning.masked(network(), mask)
    with pytest.raises(ValueError, match=words):
        pruning.magnitude_mask(network().W, 0.9, mask)


@pytest.mark.parametrize(("sparsity", "error", "words"), BAD_SPARSITIES)
def test_bad_sparsities(rng, sparsity, error, words):
    x, y = problem(1, 9)
    for call in (
        lambda: pruning.magnitude_mask(network().W, sparsity),
        lambda: pruning.random_mask((7, 4), sparsity, rng),
        lambda: pruning.iterative_pruning(network(), pruning.masked, [sparsity]),
        lambda: pruning.supermask(
            network(), x[0], y[0], sparsity=sparsity, eta=1.0, steps=1, rng=rng
        ),
    ):
        with pytest.raises(error, match=words):
            call()


def test_bad_rounds(rng):
    for falling in ([0.5, 0.5], [0.2, 0.6, 0.4]):
        with pytest.raises(ValueError, match=r"sparsities=\[.*\] must rise"):
            pruning.iterative_pruning(network(), lambda *_: 1 / 0, falling)
    with pytest.raises(ValueError, match=r"sparsity=0.5 keeps 14 weights, mask keeps only 4"):
        pruning.magnitude_mask(network().W, 0.5, np.arange(28).reshape(7, 4) < 4)
    with pytest.raises(ValueError, match="weights must be finite"):
        pruning.magnitude_mask(np.full((2, 2), np.nan), 0.5)
    with pytest.raises(ValueError, match=r"weights has shape \(3,\); it must be \(..., m, d\)"):
        pruning.magnitude_mask(np.ones(3), 0.5)
    with pytest.raises(ValueError, match="shape=0 must be a positive integer"):
        pruning.random_mask((0, 4), 0.5, rng)
    with pytest.raises(TypeError, match="rng=0 must be a numpy.random.Generator"):
        pruning.random_mask((2, 4), 0.5, 0)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"y": np.zeros((2, 9))}, ValueError, "y holds 0; labels must be -1 or 1"),
        ({"x": np.ones((2, 9, 3))}, ValueError, r"x has shape \(2, 9, 3\).* must be .*n, 4\)"),
        ({"loss": "log"}, ValueError, "loss='log' is unknown; allowed: 'logistic', 'hinge'"),
        ({"unit": "row"}, ValueError, "unit='row' is unknown; allowed: 'weight', 'neuron'"),
        ({"unit": "neuron", "sparsity": 0.95}, ValueError, "leaves an empty ticket: none of 7"),
        ({"eta": 0.0}, ValueError, "eta=0.0 must be finite and > 0"),
        ({"momentum": 1.0}, ValueError, "momentum=1.0 must be below 1"),
        ({"momentum": -0.1}, ValueError, "momentum=-0.1 must be finite and >= 0"),
        ({"steps": 0}, ValueError, "steps=0 must be a positive integer"),
        ({"rng": seeds(3)}, ValueError, "rng holds 3 generators; it must hold 2"),
        ({"rng": []}, ValueError, "rng holds 0 generators; it must hold 2"),
        ({"rng": [0, 1]}, TypeError, "rng=0 must be a numpy.random.Generator"),
    ],
)
def test_bad_supermasks(change, error, words):
    arguments = {"network": networks(2), "x": np.ones((2, 9, 4)), "y": np.ones((2, 9))}
    arguments |= {"sparsity": 0.5, "eta": 0.1, "steps": 1, "rng": seeds(2)}
    with pytest.raises(error, match=words):
        pruning.supermask(**(arguments | change))
