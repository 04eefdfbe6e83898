import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twolayer import activations, hermite


@given(st.integers(0, 12), st.floats(-4, 4))
def test_he_is_numpys_polynomial(degree, z):
    want = np.polynomial.hermite_e.hermeval(z, [0] * degree + [1])
    assert hermite.he(degree, np.float64(z)) == pytest.approx(want, rel=1e-9, abs=1e-9)


def test_he_of_integers_does_not_overflow():
    z, want = [100, 200], [9.990001500e9, 3.199200030e11]  # z^5 - 10 z^3 + 15 z
    for dtype in (np.int8, np.int32, np.int64, np.uint16):
        got = hermite.he(5, np.array(z, dtype=dtype) if dtype != np.int8 else z)
        assert got.dtype == float
        np.testing.assert_allclose(got, want, rtol=1e-15)
    got = hermite.he(5, torch.tensor(z, dtype=torch.int16))
    assert torch.equal(got, torch.tensor(want, dtype=torch.float64))
    assert hermite.he(21, 10) == pytest.approx(hermite.he(21, 10.0), rel=1e-15)
    assert hermite.he(0, 7) == 1.0
    assert hermite.he(1, True) == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_he_of_a_tensor_is_a_tensor(dtype):
    z = torch.tensor([0.5, -1.0], dtype=dtype, requires_grad=True)
    got = hermite.he(3, z)
    (slope,) = torch.autograd.grad(got.sum(), z)
    assert got.dtype == dtype
    torch.testing.assert_close(slope, 3 * hermite.he(2, z))
    assert hermite.he(3, np.float32(2)).dtype == np.float32


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("sign", {1: math.sqrt(2 / math.pi), 2: 0, 3: -math.sqrt(2 / math.pi) / math.sqrt(6)}),
        ("relu", {0: 1 / math.sqrt(2 * math.pi), 1: 0.5, 2: 1 / math.sqrt(4 * math.pi), 3: 0}),
        ("abs", {0: math.sqrt(2 / math.pi), 1: 0, 2: 1 / math.sqrt(math.pi)}),
        ("sin", {0: 0, 1: math.exp(-0.5), 3: -math.exp(-0.5) / math.sqrt(6)}),
        ("erf", {1: 1 / math.sqrt(math.pi)}),
    ],
)
def test_known_coefficients(name, known):
    c = hermite.coefficients(activations.get(name), 3)
    for k, value in known.items():
        assert c[k] == pytest.approx(value, abs=1e-10)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=8))
def test_parseval(c):
    def f(z):
        return sum(a / math.sqrt(math.factorial(k)) * hermite.he(k, z) for k, a in enumerate(c))

    np.testing.assert_allclose(hermite.coefficients(f, len(c) - 1), c, atol=1e-8)
    assert hermite.expectation(lambda z: f(z) ** 2) == pytest.approx(np.dot(c, c), abs=1e-7)


@given(st.lists(st.floats(-5, 5), max_size=4))
def test_rules_are_probabilities(kinks):
    z, w = hermite.nodes(tuple(kinks))
    assert w.sum() == pytest.approx(1, abs=1e-12)
    assert w @ z**2 == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize(("panels", "n_nodes"), [(1, 80), (7, 16)])
def test_rules_between_kinks_by_probabilities_of_the_pieces(panels, n_nodes):
    kinks = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 15.0], [-13.0, -3.0, 3.0]])
    z, w = hermite.between(kinks, n_nodes, panels)
    assert z.shape == w.shape == (3, 4 * panels * n_nodes)
    assert (np.diff(z) >= 0).all()
    assert abs(z).max() <= 12
    for i, row in enumerate(kinks):
        for kink in row:
            want = math.erfc(kink / math.sqrt(2)) / 2
            assert w[i] @ (z[i] > kink) == pytest.approx(want, abs=1e-13)
        one, weight = hermite.between(row, n_nodes, panels)
        np.testing.assert_array_equal(one, z[i])
        np.testing.assert_array_equal(weight, w[i])
    z, w = hermite.between(np.zeros((2, 0)), n_nodes, panels, reach=3.0)
    np.testing.assert_allclose(w.sum(-1), math.erf(3 / math.sqrt(2)), rtol=1e-13)


@pytest.mark.parametrize("kinks", [(), (0.3,), (0.3, -2.0, 0.3, 14.0)])
def test_a_caller_cannot_write_into_the_rules(kinks):
    for array in hermite.nodes(kinks):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7.0
    again = hermite.nodes(np.array(kinks))
    np.testing.assert_array_equal(again, hermite.nodes(list(kinks)))
    z, w = hermite.between(kinks, 60)  # what a caller computes is the caller's
    z[0], w[0] = 0, 0
    assert hermite.expectation(lambda z: z**2, kinks) == pytest.approx(1, abs=1e-12)
    assert hermite.expectation(lambda z: 3.0, kinks) == pytest.approx(3, abs=1e-12)


def test_bad_input():
    with pytest.raises(ValueError, match="degree=-1"):
        hermite.he(-1, 0.5)
    with pytest.raises(TypeError, match="degree=1.5"):
        hermite.he(1.5, 0.5)
    with pytest.raises(ValueError, match="n_nodes=251 must be at most 250"):
        hermite.nodes((), 251)
    with pytest.raises(ValueError, match="kinks must be finite, got nan"):
        hermite.nodes((0.0, math.nan))
    with pytest.raises(ValueError, match="n_nodes=0"):
        hermite.nodes((), 0)
    with pytest.raises(TypeError, match="n_nodes=2.5"):
        hermite.nodes((), 2.5)
