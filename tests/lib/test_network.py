import pickle

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twolayer import activations
from twolayer.network import TwoLayer

KINDS = [TwoLayer.mean_field, TwoLayer.ntk, TwoLayer.symmetric]


@given(st.sampled_from(KINDS), st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))
def test_shapes_dtypes_and_seeds(kind, half, d, n):
    for dtype in (np.float32, "float64"):
        net = kind(2 * half, d, "tanh", np.random.default_rng(0), dtype=dtype)
        x = np.random.default_rng(1).standard_normal((n, d))
        assert net.features(x).shape == (n, 2 * half)
        assert net(x).shape == (n,)
        assert net(x).dtype == dtype
        again = kind(2 * half, d, "tanh", np.random.default_rng(0), dtype=dtype)
        assert np.array_equal(net.W, again.W)


def test_formula(rng):
    W, a, b = rng.standard_normal((3, 2)), rng.standard_normal(3), rng.standard_normal(3)
    x = rng.standard_normal((5, 2))
    want = np.tanh(x @ W.T + b) @ a / np.sqrt(3)
    np.testing.assert_allclose(TwoLayer(W, a, "tanh", b)(x), want)
    two = np.stack([a, 2 * a], axis=1)
    np.testing.assert_allclose(TwoLayer(W, two, "tanh", b)(x), np.stack([want, 2 * want], 1))


@pytest.mark.parametrize("readout", ["sign", "gaussian"])
def test_scalings(rng, readout):
    net = TwoLayer.mean_field(600, 50, "tanh", rng, readout=readout)
    assert np.linalg.norm(net.a) == pytest.approx(1)
    assert (net.W**2).sum(1).mean() == pytest.approx(1, abs=5 * (2 / 50 / 600) ** 0.5)
    x = rng.standard_normal((20, 50))
    pairs = TwoLayer.symmetric(600, 50, "tanh", rng, readout=readout)
    assert np.linalg.norm(pairs.a) == pytest.approx(1)
    assert abs(pairs(x)).max() < 1e-14
    wide = TwoLayer.ntk(600, 50, "tanh", rng, readout=readout)
    assert np.linalg.norm(wide.a) ** 2 == pytest.approx(600, rel=0.3)


def test_a_network_never_changes(rng):
    W, a = rng.standard_normal((4, 3)), rng.standard_normal(4)
    net = TwoLayer(W, a, "relu")
    W[:], a[:] = 0, 0  # what the caller holds is the caller's
    assert net.W.all()
    assert net.a.all()
    with pytest.raises(ValueError, match="read-only"):
        net.W[0] = 1
    with pytest.raises(AttributeError, match="W: a TwoLayer is immutable"):
        net.W = W
    before = net.W.copy()
    other = net.with_weights(2 * net.W).with_readout(np.zeros(4))
    assert np.array_equal(net.W, before)
    assert np.array_equal(other.W, 2 * before)
    assert not other(np.ones((2, 3))).any()
    x = np.ones((2, 3))
    net.features(x)[:] = 7  # nor what it gives
    np.testing.assert_allclose(x, 1)


# --- stacks


def some(k, activation="tanh", seed=0):
    rng = np.random.default_rng(seed)
    return [
        TwoLayer(rng.standard_normal((4, 3)), rng.standard_normal(4), activation, rng.random(4))
        for _ in range(k)
    ]


def test_a_stack_gives_what_its_networks_give(rng):
    nets = some(6)
    one, two = TwoLayer.stack(nets), TwoLayer.stack([TwoLayer.stack(nets[:3])] * 2)
    assert (one.shape, two.shape, len(two), nets[0].shape) == ((6,), (2, 3), 2, ())
    x, own = rng.standard_normal((7, 3)), rng.standard_normal((6, 7, 3))
    want = np.stack([net(x) for net in nets])
    np.testing.assert_allclose(one(x), want)
    np.testing.assert_allclose(two(x), np.stack([want[:3]] * 2))
    np.testing.assert_allclose(one(own), np.stack([f(v) for f, v in zip(nets, own, strict=True)]))
    np.testing.assert_allclose(one.features(x), np.stack([net.features(x) for net in nets]))
    np.testing.assert_allclose(two[1, 2](x), want[2])
    np.testing.assert_allclose(one[1:3](x), want[1:3])
    np.testing.assert_allclose(one[[4, 0]](x), want[[4, 0]])
    np.testing.assert_allclose(two[:, 0](x), want[[0, 0]])
    np.testing.assert_allclose([net(x) for net in one], want)
    many = one.with_readout(rng.standard_normal((6, 4, 2)))
    assert many(x).shape == (6, 7, 2)
    np.testing.assert_allclose(many(x)[3], many[3](x))


def test_what_does_not_fit_is_not_stacked():
    own = activations.Activation("tanh", abs, np.sign)  # shares a name, and nothing else
    other = TwoLayer(np.ones((4, 3)), np.ones(4), own)
    for bad in ([], [*some(1), other], [*some(1), some(1)[0].astype("float32")]):
        with pytest.raises(ValueError, match="networks must be of one shape and dtype, with one"):
            TwoLayer.stack(bad)
    with pytest.raises(TypeError, match="one network has no length"):
        len(other)
    with pytest.raises(TypeError, match="one network cannot be indexed"):
        other[0]


def test_print_and_pickle():
    net = some(1)[0]
    assert str(net) == "TwoLayer(m=4, d=3, activation='tanh', float64)"
    assert "2 x 1 networks, m=4" in str(TwoLayer.stack([TwoLayer.stack([net])] * 2))
    assert "2 outputs" in str(net.with_readout(np.ones((4, 2))))
    again = pickle.loads(pickle.dumps(net))
    for name in "Wab":
        assert np.array_equal(getattr(again, name), getattr(net, name))
    assert again.activation is net.activation


# --- tensors


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "he2"])
def test_tensors_carry_gradients_and_tangents(rng, activation):
    W, a, b = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(4)
    x, move = rng.standard_normal((6, 3)), rng.standard_normal((4, 3))

    def f(v):
        return TwoLayer(v, a, activation, b)(x)

    step = 1e-6
    want = (f(W + step * move) - f(W - step * move)) / (2 * step)
    value, forward = torch.func.jvp(f, (torch.tensor(W),), (torch.tensor(move),))
    backward = torch.func.jacrev(f)(torch.tensor(W))
    np.testing.assert_allclose(value, f(W))
    np.testing.assert_allclose(forward, want, atol=1e-8)
    np.testing.assert_allclose((backward * torch.tensor(move)).sum((1, 2)), want, atol=1e-8)


def test_tensors_in_give_tensors_out(rng):
    net, x = some(1)[0], rng.standard_normal((5, 3))
    assert isinstance(net(x), np.ndarray)
    seen = torch.tensor(x, requires_grad=True)
    (slope,) = torch.autograd.grad(net(seen).sum(), seen)  # in the inputs of a NumPy network
    assert slope.abs().min() > 0
    tensors = TwoLayer(torch.tensor(net.W), net.a, "tanh", net.b)
    assert isinstance(tensors(x), torch.Tensor)
    assert isinstance(tensors.a, torch.Tensor)
    np.testing.assert_allclose(tensors(x), net(x))
    np.testing.assert_allclose(TwoLayer.stack([tensors, tensors])(x)[1], net(x))
    np.testing.assert_allclose(TwoLayer.stack([tensors, tensors])[1](x), net(x))


def test_unusual_arrays(rng):
    """Negative strides, integers, lists, single precision beside double."""
    W, a, x = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal((5, 3))
    want = TwoLayer(W[::-1].copy(), a, "relu")(x[::-1].copy())
    np.testing.assert_allclose(TwoLayer(W[::-1], a, "relu")(x[::-1]), want, rtol=1e-15, atol=1e-15)
    assert TwoLayer([[1, 2]], [3], "relu").W.dtype == float
    mixed = TwoLayer(W.astype(np.float32), a, "relu")
    assert {mixed.a.dtype, mixed.b.dtype, mixed(x).dtype} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda r: TwoLayer.mean_field(0, 3, "tanh", r), "m=0 must be a positive integer"),
        (lambda r: TwoLayer.ntk(3, -1, "tanh", r), "d=-1 must be a positive integer"),
        (lambda r: TwoLayer.symmetric(3, 3, "tanh", r), "m=3 must be even"),
        (lambda r: TwoLayer.mean_field(3, 3, "nope", r), "activation='nope' is unknown"),
        (lambda r: TwoLayer.mean_field(3, 3, "tanh", r, readout="x"), "readout='x' is unknown"),
        (lambda r: TwoLayer(np.ones((2, 2)), np.ones(3), "tanh"), r"a has shape \(3,\); W has 2"),
        (lambda r: TwoLayer(np.ones((2, 2)), np.ones(2), "tanh", np.ones(1)), r"b has shape \(1,"),
        (lambda r: TwoLayer(np.full((2, 2), np.nan), np.ones(2), "tanh"), "W holds non-finite"),
        (lambda r: TwoLayer(np.ones(2), np.ones(2), "tanh"), "W has shape"),
        (lambda r: TwoLayer(np.ones((0, 2)), np.ones(0), "tanh"), r"W has shape \(0, 2\)"),
        (
            lambda r: TwoLayer(np.ones((2, 2)), np.ones(2), "tanh")(np.ones((1, 3))),
            r"x has shape \(1, 3\); it must be \(..., n, 2\)",
        ),
        (lambda r: TwoLayer(np.ones((2, 2)), np.ones(2), "tanh")(np.ones(2)), "x has shape"),
    ],
)
def test_bad_input(rng, make, words):
    with pytest.raises(ValueError, match=words):
        make(rng)


def test_what_is_no_number():
    for bad in (np.ones((2, 2), complex), np.ones((2, 2), bool), [["a", "b"]]):
        with pytest.raises(TypeError, match="W must hold real numbers"):
            TwoLayer(bad, np.ones(2), "tanh")


def test_unit_rows(rng):
    net = TwoLayer.unit_rows(400, 3, "relu", rng)
    np.testing.assert_allclose(np.linalg.norm(net.W, axis=1), 1)
    assert not net.a.any()
    assert abs(net.b.std() - 1) < 4 / np.sqrt(2 * 400)
    assert (abs(net.W.mean(0)) < 4 / np.sqrt(3 * 400)).all()


# --- what was broken once


def test_dtypes_are_floats():
    net = some(1)[0]
    for bad in (int, bool, complex, object, "float16", "flaot"):
        with pytest.raises(TypeError, match="dtype=.* must be float32 or float64"):
            net.astype(bad)
        with pytest.raises(TypeError, match="dtype=.* must be float32 or float64"):
            TwoLayer.mean_field(4, 2, "relu", np.random.default_rng(0), dtype=bad)
    for good in ("float32", np.float32, np.dtype("float32"), torch.float32):
        assert net.astype(good).W.dtype == np.float32
        assert TwoLayer(torch.tensor(net.W), net.a, "tanh").astype(good).W.dtype == torch.float32
    frame = pandas.DataFrame(net.W).astype(object)
    np.testing.assert_array_equal(TwoLayer(frame, net.a, "tanh").W, net.W)
    assert TwoLayer(net.W.astype(">f8"), net.a, "tanh").W.dtype.isnative


def test_vmap(rng):
    a, x = rng.standard_normal(4), rng.standard_normal((6, 3))
    W = torch.tensor(rng.standard_normal((5, 4, 3)))
    got = torch.func.vmap(lambda v: TwoLayer(v, a, "tanh")(x))(W)
    want = [TwoLayer(v.numpy(), a, "tanh")(x) for v in W]
    np.testing.assert_allclose(got, np.stack(want))


def test_small_things():
    net = some(1)[0]
    assert net  # a network is something, though it has no length
    assert not np.signbit(TwoLayer(-np.ones((4, 3)), net.a, "tanh").b).any()
    stack = TwoLayer.stack([net, pickle.loads(pickle.dumps(net))])
    with pytest.raises(IndexError, match="picks no network"):
        stack[0:0]
    with pytest.raises(TypeError, match="networks must hold networks"):
        TwoLayer.stack([1, 2])
    with pytest.raises(ValueError, match="x has shape|broadcast"):
        stack(np.ones((3, 5, 3)))
