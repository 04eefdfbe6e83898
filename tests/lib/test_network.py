import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twolayer.network import TwoLayer

KINDS = [TwoLayer.mean_field, TwoLayer.ntk, TwoLayer.symmetric]


@given(st.sampled_from(KINDS), st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))
def test_shapes_dtypes_and_seeds(kind, half, d, n):
    for dtype in (torch.float32, torch.float64):
        net = kind(2 * half, d, "tanh", np.random.default_rng(0), dtype=dtype)
        x = np.random.default_rng(1).standard_normal((n, d))
        assert net.features(x).shape == (n, 2 * half)
        assert net(x).shape == (n,)
        assert net(x).dtype == dtype
        assert torch.equal(
            net.W, kind(2 * half, d, "tanh", np.random.default_rng(0), dtype=dtype).W
        )


def test_formula(rng):
    W, a, b = rng.standard_normal((3, 2)), rng.standard_normal(3), rng.standard_normal(3)
    x = rng.standard_normal((5, 2))
    want = np.tanh(x @ W.T + b) @ a / np.sqrt(3)
    np.testing.assert_allclose(TwoLayer(W, a, "tanh", b)(x).detach(), want)


@pytest.mark.parametrize("readout", ["sign", "gaussian"])
def test_scalings(rng, readout):
    net = TwoLayer.mean_field(600, 50, "tanh", rng, readout=readout)
    assert net.a.norm().item() == pytest.approx(1)
    assert (net.W.norm(dim=1) ** 2).mean().item() == pytest.approx(1, abs=5 * (2 / 50 / 600) ** 0.5)
    x = rng.standard_normal((20, 50))
    pairs = TwoLayer.symmetric(600, 50, "tanh", rng, readout=readout)
    assert pairs.a.norm().item() == pytest.approx(1)
    assert pairs(x).abs().max().item() < 1e-14
    wide = TwoLayer.ntk(600, 50, "tanh", rng, readout=readout)
    assert wide.a.norm().item() ** 2 == pytest.approx(600, rel=0.3)


def test_new_layers_leave_the_old_network_alone(rng):
    net = TwoLayer.mean_field(4, 3, "relu", rng)
    before = net.W.clone()
    other = net.with_weights(2 * net.W).with_readout(torch.zeros(4))
    assert torch.equal(net.W, before)
    assert torch.equal(other.W, 2 * before)
    assert other(np.ones((2, 3))).abs().max() == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda r: TwoLayer.mean_field(0, 3, "tanh", r), "m=0 must be a positive integer"),
        (lambda r: TwoLayer.ntk(3, -1, "tanh", r), "d=-1 must be a positive integer"),
        (lambda r: TwoLayer.symmetric(3, 3, "tanh", r), "m=3 must be even"),
        (lambda r: TwoLayer.mean_field(3, 3, "nope", r), "activation='nope' is unknown"),
        (lambda r: TwoLayer.mean_field(3, 3, "tanh", r, readout="x"), "readout='x' is unknown"),
        (lambda r: TwoLayer(np.ones((2, 2)), np.ones(3), "tanh"), "a has 3 entries; W has 2 rows"),
        (lambda r: TwoLayer(np.ones((2, 2)), np.ones(2), "tanh", np.ones(1)), "b has 1 entries"),
        (lambda r: TwoLayer(np.full((2, 2), np.nan), np.ones(2), "tanh"), "W holds non-finite"),
        (lambda r: TwoLayer(np.ones(2), np.ones(2), "tanh"), "W has shape"),
        (
            lambda r: TwoLayer(np.ones((2, 2)), np.ones(2), "tanh")(np.ones((1, 3))),
            "x has 3 columns",
        ),
        (lambda r: TwoLayer(np.ones((2, 2)), np.ones(2), "tanh")(np.ones(2)), "x has shape"),
    ],
)
def test_bad_input(rng, make, words):
    with pytest.raises(ValueError, match=words):
        make(rng)


def test_unit_rows(rng):
    net = TwoLayer.unit_rows(400, 3, "relu", rng)
    np.testing.assert_allclose(net.W.detach().norm(dim=1), 1)
    assert not net.a.detach().any()
    assert abs(net.b.detach().numpy().std() - 1) < 4 / np.sqrt(2 * 400)
    assert (abs(net.W.detach().numpy().mean(0)) < 4 / np.sqrt(3 * 400)).all()
