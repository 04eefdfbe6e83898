import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twolayer import activations, hermite


@given(st.integers(0, 12), st.floats(-4, 4))
def test_he_is_numpys_polynomial(degree, z):
    want = np.polynomial.hermite_e.hermeval(z, [0] * degree + [1])
    assert hermite.he(degree, np.float64(z)) == pytest.approx(want, rel=1e-9, abs=1e-9)


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


def test_bad_input():
    with pytest.raises(ValueError, match="n_nodes=0"):
        hermite.nodes((), 0)
    with pytest.raises(TypeError, match="n_nodes=2.5"):
        hermite.nodes((), 2.5)
