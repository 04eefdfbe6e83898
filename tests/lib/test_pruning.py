import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torch.nn.utils import prune

from twolayer import pruning
from twolayer.descent import descend
from twolayer.measures import accuracy
from twolayer.network import TwoLayer


def network(seed=0, m=7, d=4, activation="relu", dtype=torch.float64):
    rng = np.random.default_rng([60, seed])
    W, a, b = rng.standard_normal((m, d)), rng.standard_normal(m), rng.standard_normal(m)
    return TwoLayer(torch.as_tensor(W, dtype=dtype), a, activation, b)


def networks(k, **shape):
    return [network(seed, **shape) for seed in range(k)]


def state(nets):
    return [{name: p.detach().clone() for name, p in net.named_parameters()} for net in nets]


def same(one, other):
    return all(
        torch.equal(old[name], new[name])
        for old, new in zip(one, other, strict=True)
        for name in old | new
    )


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
    before = state([net])
    parts = [pruning.subnetwork(net, neurons) for neurons in ([5, 0], (3,), np.array([6, 1, 2, 4]))]
    assert [part.m for part in parts] == [2, 1, 4]
    torch.testing.assert_close(sum(part(x) for part in parts), net(x), rtol=1e-12, atol=1e-12)
    for name in "Wb":
        assert torch.equal(getattr(parts[0], name), getattr(net, name)[[5, 0]])
    with torch.no_grad():
        for part in parts:
            part.W.zero_(), part.b.zero_(), part.a.zero_()
    assert same(before, state([net]))


def test_winning_neurons_take_turns():
    """Against a plain search, turn by turn: the best left with the sign that is needed."""
    rng = np.random.default_rng(63)
    steps, features = rng.standard_normal((30, 3)), rng.standard_normal((3, 3))
    signs, labels = rng.choice([-1, 1], 30), np.array([1, -1, -1])
    left, want = set(range(30)), []
    for turn in range(11):
        feature, label = features[turn % 3], labels[turn % 3]
        fits = [j for j in left if signs[j] == label]
        want.append(max(fits, key=lambda j, D=feature: steps[j] @ D / np.linalg.norm(steps[j])))
        left.remove(want[-1])
    got = pruning.winning_neurons(steps, signs, features, labels, 11)
    assert got.tolist() == want
    scaled = pruning.winning_neurons(
        steps * rng.uniform(0.1, 9, (30, 1)), signs, 5 * features, labels, 11
    )
    assert scaled.tolist() == want


def test_winning_neurons_may_point_away_and_use_all():
    """A neuron of the right sign is taken whatever its cosine; s = m is allowed."""
    steps = [[-1.0, 0.0], [0.0, 1.0]]
    assert pruning.winning_neurons(steps, [1, -1], np.eye(2), [1, -1], 2).tolist() == [0, 1]
    assert pruning.winning_neurons(steps, [1, 1], np.eye(2), [1, 1], 2).tolist() == [1, 0]


# --- masks


def test_masked_is_torchs_pruning_where_no_neuron_is_empty(rng):
    net, x = network(), torch.as_tensor(rng.standard_normal((9, 4)))
    mask = pruning.random_mask((7, 4), 0.4, rng)
    mask[~mask.any(1), 0] = True
    layer = torch.nn.Linear(4, 7, dtype=torch.float64)
    layer.weight.data, layer.bias.data = net.W.detach().clone(), net.b.detach().clone()
    prune.custom_from_mask(layer, "weight", mask)
    want = torch.relu(layer(x)) @ net.a / np.sqrt(7)
    before = state([net])
    frozen = mask.numpy().copy()
    frozen.flags.writeable = False
    for given_mask in (mask, frozen, mask.tolist(), mask.int(), mask.double()):
        got = pruning.masked(net, given_mask)
        torch.testing.assert_close(got(x), want, rtol=1e-12, atol=1e-12)
        assert same(before, state([net]))
    assert torch.equal(got.b, net.b)
    assert torch.equal(got.a, net.a)


def test_an_empty_neuron_is_gone(rng):
    net, x = network(activation="tanh"), rng.standard_normal((9, 4))
    mask = np.ones((7, 4), dtype=bool)
    mask[[1, 4]] = False
    mask[2, 3] = False
    got = pruning.masked(net, mask)
    for p in (got.W, got.b, got.a):
        assert not p[[1, 4]].any()
    torch.testing.assert_close(got(x), pruning.subnetwork(got, [0, 2, 3, 5, 6])(x))
    assert torch.equal(got.W != 0, torch.as_tensor(mask))


sparsities = st.floats(0.02, 0.9)


@given(st.integers(4, 9), st.integers(3, 9), sparsities, sparsities, st.integers(0, 99))
def test_magnitude_masks_keep_their_share_of_the_largest_and_are_nested(m, d, one, two, seed):
    weights = np.random.default_rng(seed).standard_normal((m, d))
    low, high = sorted([one, two])
    mask = pruning.magnitude_mask(weights, low)
    assert mask.dtype == torch.bool
    assert int(mask.sum()) == round((1 - low) * (m * d))
    size = abs(weights)
    assert size[mask].min() > size[~mask].max(initial=0)
    other = torch.as_tensor(np.random.default_rng(seed + 1).standard_normal((m, d)))
    copy = mask.clone()
    nested = pruning.magnitude_mask(other, high, mask)
    assert torch.equal(copy, mask)
    assert int(nested.sum()) == round((1 - high) * (m * d))
    assert not (nested & ~mask).any()
    among = abs(other[mask])
    assert torch.equal(abs(other[nested]).sort()[0], among.sort()[0][-int(nested.sum()) :])
    random = pruning.random_mask((m, d), low, np.random.default_rng(seed))
    assert int(random.sum()) == int(mask.sum())


def test_random_masks_have_even_odds(rng):
    """Shares of 3000 draws within 4.5 binomial errors for each of 12 weights and of all pairs."""
    n = 3000
    masks = [pruning.random_mask((3, 4), 0.75, rng).flatten().double() for _ in range(n)]
    kept = torch.stack(masks).numpy()
    together = kept.T @ kept / n
    for shares, p in [
        (np.diag(together), 3 / 12),
        (together[~np.eye(12, dtype=bool)], 3 / 12 * 2 / 11),
    ]:
        assert np.all(abs(shares - p) < 4.5 * np.sqrt(p * (1 - p) / n))
    again = [pruning.random_mask((3, 4), 0.75, np.random.default_rng(0)) for _ in range(2)]
    assert torch.equal(*again)


# --- iterative pruning


def test_iterative_pruning_rewinds_and_nests():
    """Each round: from the start bitwise, under masks of the largest weights of the last round."""
    nets, (x, y) = networks(3), problem(3, 40)
    start, seen = state(nets), []

    def fit(trained, masks):
        assert same(start, state(trained))
        assert all(net is not other for net in trained for other in nets)
        seen.append(masks.clone())
        list(descend(trained, x, y, rates={"W": 1.0, "b": 1.0, "a": 1.0}, steps=15, masks=masks))

    rounds = [
        (masks.clone(), [net.W.detach().clone() for net in trained])
        for masks, trained in pruning.iterative_pruning(nets, fit, [0.25, 0.5, 0.9])
    ]
    assert same(start, state(nets))
    assert [masks.flatten(1).sum(1).tolist() for masks, _ in rounds] == [
        [kept] * 3 for kept in (28, 21, 14, 3)
    ]
    for (masks, weights), given_masks in zip(rounds, seen, strict=True):
        assert torch.equal(masks, given_masks)
        assert masks.dtype == torch.bool
        for W, mask in zip(weights, masks, strict=True):
            assert not W[~mask].any()
    for (before, weights), (after, _) in itertools.pairwise(rounds):
        assert not (after & ~before).any()
        for W, old, new in zip(weights, before, after, strict=True):
            assert abs(W[new]).min() > abs(W[old & ~new]).max()
    assert not torch.equal(rounds[-1][0][0], rounds[-1][0][1])


def test_masks_are_nested_even_if_masked_weights_grow():
    def fit(trained, masks):
        with torch.no_grad():
            for net, mask in zip(trained, masks, strict=True):
                net.W[~mask] = 99.0

    rounds = pruning.iterative_pruning(networks(2), fit, [0.3, 0.6, 0.8])
    masks = [masks for masks, _ in rounds]
    for before, after in itertools.pairwise(masks):
        assert not (after & ~before).any()
    for sparsity, mask in zip([0.3, 0.6, 0.8], masks[1:], strict=True):
        want = [pruning.magnitude_mask(net.W, sparsity) for net in networks(2)]
        assert torch.equal(mask, torch.stack(want))


def test_iterative_pruning_without_sparsities_trains_once():
    rounds = list(pruning.iterative_pruning(networks(2), lambda nets, masks: None, []))
    assert len(rounds) == 1
    assert rounds[0][0].all()


# --- masks that are learnt


LOSSES = {
    "logistic": lambda f, y: functional.soft_margin_loss(f, y),
    "hinge": lambda f, y: torch.relu(1 - y * f).mean(),
    "squared": functional.mse_loss,
}


def popup(net, x, y, sparsity, eta, steps, rng, unit, loss, momentum):
    """Edge-popup for one network, by autograd: the mask's gradient passes straight through."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    W, b, a = (p.detach() for p in (net.W, net.b, net.a))
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
            f = net.activation(x @ (W * gate).T + b * alive) @ (a * alive)
        else:
            f = net.activation(x @ W.T + b) @ (a * gate[:, 0])
        (slope,) = torch.autograd.grad(LOSSES[loss](f / np.sqrt(len(W)), y), gate)
        velocity = momentum * velocity - slope / slope.norm()
        scores = scores + eta * velocity
    return top().bool().expand(W.shape)


@pytest.mark.parametrize("unit", ["weight", "neuron"])
@pytest.mark.parametrize(
    ("loss", "momentum"), [("logistic", 0.9), ("hinge", 0.0), ("squared", 0.5)]
)
def test_supermasks_are_those_of_autograd(unit, loss, momentum):
    nets, (x, y) = networks(3, activation="gelu"), problem(3, 25)
    common = {"sparsity": 0.55, "unit": unit, "loss": loss, "momentum": momentum, "eta": 0.13}
    moved, before = 0, state(nets)
    for steps in (1, 2, 7, 25):
        masks = pruning.supermask(nets, x, y, steps=steps, rngs=seeds(3), **common)
        want = [
            popup(net, x[i], y[i], steps=steps, rng=seeds(3)[i], **common)
            for i, net in enumerate(nets)
        ]
        assert torch.equal(masks, torch.stack(want))
        assert masks.dtype == torch.bool
        assert same(before, state(nets))
        size = 28 if unit == "weight" else 7
        assert masks.flatten(1).sum(1).tolist() == [round(0.45 * size) * (28 // size)] * 3
        if unit == "neuron":
            assert torch.equal(masks.any(2), masks.all(2))
        moved = masks if steps == 1 else moved
    assert not torch.equal(moved, masks)


@pytest.mark.parametrize("unit", ["weight", "neuron"])
def test_supermasks_beat_random_masks(unit):
    """XOR of signs, 24 seeds: the mean gain in accuracy is above 4 standard errors."""
    k, d, rngs = 24, 2, seeds(24)
    nets = [TwoLayer.mean_field(60, d, "relu", rng) for rng in rngs]
    x, y = problem(k, 1000, d)
    masks = pruning.supermask(
        nets, x[:, :300], y[:, :300], sparsity=0.5, eta=0.1, steps=60, rngs=rngs, unit=unit
    )
    gains = []
    for net, mask, rng, z, t in zip(nets, masks, rngs, x[:, 300:], y[:, 300:], strict=True):
        learnt, drawn = (
            accuracy(pruning.masked(net, v)(z), t)
            for v in (mask, pruning.random_mask((60, d), 0.5, rng))
        )
        gains.append(learnt - drawn)
    assert np.mean(gains) > 4 * np.std(gains, ddof=1) / np.sqrt(k)


def test_supermasks_take_single_precision_and_one_column():
    nets, (x, y) = networks(2, d=1, dtype=torch.float32), problem(2, 20)
    masks = pruning.supermask(
        nets, x[..., :1], y, sparsity=0.5, eta=0.1, steps=3, rngs=seeds(2), unit="weight"
    )
    assert masks.shape == (2, 7, 1)
    assert masks.sum((1, 2)).tolist() == [4, 4]


# --- bad input


def test_bad_subnetworks():
    net = network()
    for neurons, words in [
        ([], r"neurons=\[\] is an empty ticket; it must name at least one"),
        (2, "neurons=2 is an empty ticket"),
        ([[1, 2]], "is an empty ticket"),
        ([0, 7], r"neurons=\[0 7\] must be integers between 0 and 6"),
        ([-1], r"neurons=\[-1\] must be integers between 0 and 6"),
        ([1.0], r"neurons=\[1.\] must be integers"),
        ([True], r"neurons=\[ True\] must be integers"),
        ([3, 1, 3], r"neurons=\[3 1 3\] must name each neuron at most once"),
    ]:
        with pytest.raises(ValueError, match=words):
            pruning.subnetwork(net, neurons)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"signs": [1, 0, 1]}, ValueError, "signs=.* must be 3 numbers, each -1 or 1"),
        ({"signs": [1, -1]}, ValueError, "signs=.* must be 3 numbers"),
        ({"labels": [1, 2]}, ValueError, "labels=.* must be 2 numbers, each -1 or 1"),
        ({"labels": [1]}, ValueError, "labels=.* must be 2 numbers"),
        ({"s": 4}, ValueError, "s=4 must be at most the number of neurons, 3"),
        ({"s": 0}, ValueError, "s=0 must be a positive integer"),
        ({"s": 1.0}, TypeError, "s=1.0 must be a positive integer"),
        ({"s": 3}, ValueError, "s=3 is too many: neurons with the sign of a feature run out"),
        ({"features": np.eye(2, 3)}, ValueError, "direction has 3 entries; W has 2 columns"),
        ({"steps": np.full((3, 2), np.nan)}, ValueError, "steps must be finite"),
        (
            {"features": np.ones((0, 2)), "labels": []},
            ValueError,
            r"features has shape \(0, 2\); it must be \(k, d\) with k >= 1",
        ),
        ({"features": np.full((2, 2), np.nan)}, ValueError, "features must be finite"),
    ],
)
def test_bad_winners(change, error, words):
    """One neuron of sign -1 only: the second feature has one turn of three."""
    arguments = {"steps": np.eye(3, 2) + 1, "signs": [1, 1, -1], "features": np.eye(2)}
    arguments |= {"labels": [-1, 1], "s": 2}
    assert pruning.winning_neurons(**arguments).tolist() == [2, 1]
    with pytest.raises(error, match=words):
        pruning.winning_neurons(**(arguments | change))


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
        lambda: pruning.iterative_pruning([network()], lambda *_: None, [sparsity]),
        lambda: pruning.supermask(
            [network()], x, y, sparsity=sparsity, eta=1.0, steps=1, rngs=[rng]
        ),
    ):
        with pytest.raises(error, match=words):
            call()


def test_bad_rounds(rng):
    def rounds(nets, sparsities):
        return pruning.iterative_pruning(nets, lambda *_: None, sparsities)

    for sparsities in ([0.5, 0.5], [0.2, 0.6, 0.4]):
        with pytest.raises(ValueError, match=r"sparsities=\[.*\] must rise"):
            rounds([network()], sparsities)
    for nets in ([], [network(), network(m=6)]):
        with pytest.raises(ValueError, match="networks must hold at least one network, all of one"):
            rounds(nets, [0.5])
    with pytest.raises(ValueError, match=r"sparsity=0.5 keeps 14 weights, but mask keeps only 4"):
        pruning.magnitude_mask(network().W, 0.5, np.arange(28).reshape(7, 4) < 4)
    with pytest.raises(ValueError, match="weights holds non-finite"):
        pruning.magnitude_mask(np.full((2, 2), np.nan), 0.5)
    with pytest.raises(ValueError, match=r"weights has shape \(3,\); it must have 2 axes"):
        pruning.magnitude_mask(np.ones(3), 0.5)
    with pytest.raises(ValueError, match="shape=0 must be a positive integer"):
        pruning.random_mask((0, 4), 0.5, rng)
    with pytest.raises(TypeError, match="rng=0 must be a numpy.random.Generator"):
        pruning.random_mask((2, 4), 0.5, 0)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"y": np.zeros((2, 9))}, ValueError, "y holds 0; labels must be -1 or 1"),
        ({"x": np.ones((2, 9, 3))}, ValueError, r"x has shape \(2, 9, 3\) .* be \(2, n, 4\)"),
        ({"loss": "log"}, ValueError, "loss='log' is unknown; allowed: 'logistic', 'hinge'"),
        ({"unit": "row"}, ValueError, "unit='row' is unknown; allowed: 'weight', 'neuron'"),
        ({"unit": "neuron", "sparsity": 0.95}, ValueError, "leaves an empty ticket: none of 7"),
        ({"eta": 0.0}, ValueError, "eta=0.0 must be finite and > 0"),
        ({"momentum": 1.0}, ValueError, "momentum=1.0 must be below 1"),
        ({"momentum": -0.1}, ValueError, "momentum=-0.1 must be finite and >= 0"),
        ({"steps": 0}, ValueError, "steps=0 must be a positive integer"),
        ({"rngs": seeds(3)}, ValueError, "rngs holds 3 generators; it must hold 2"),
        ({"rngs": []}, ValueError, "rngs holds 0 generators; it must hold 2"),
        ({"rngs": [0, 1]}, TypeError, "rng=0 must be a numpy.random.Generator"),
    ],
)
def test_bad_supermasks(change, error, words):
    arguments = {"networks": networks(2), "x": np.ones((2, 9, 4)), "y": np.ones((2, 9))}
    arguments |= {"sparsity": 0.5, "eta": 0.1, "steps": 1, "rngs": seeds(2)}
    with pytest.raises(error, match=words):
        pruning.supermask(**(arguments | change))
