import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twolayer import activations
from twolayer.hermite import coefficients

ALL = [*activations.NAMES, "he4", "he7"]


@pytest.mark.parametrize("name", ALL)
def test_derivative_is_the_finite_difference(name):
    f = activations.get(name)
    z = np.linspace(-3, 3, 121) + 0.0137  # off the kinks
    step = 1e-5
    slope = (f(z + step) - f(z - step)) / (2 * step)
    scale = 1 + abs(f.derivative_at(z))
    np.testing.assert_allclose(f.derivative_at(z) / scale, slope / scale, atol=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_parity_is_true(name):
    f, z = activations.get(name), np.linspace(0.1, 4, 50)
    for parity in (1, -1):
        assert np.allclose(f(-z), parity * f(z), atol=1e-12) == (f.parity == parity)


@pytest.mark.parametrize("name", ALL)
def test_tensor_and_array_agree_and_keep_dtype(name):
    f, z = activations.get(name), np.linspace(-2, 2, 9)
    assert torch.equal(f(torch.as_tensor(z)), torch.as_tensor(f(z)))
    assert f(torch.ones(3, dtype=torch.float32)).dtype == torch.float32
    assert f.derivative(torch.ones(3, dtype=torch.float32)).dtype == torch.float32


@given(st.integers(1, 8), st.integers(1, 8))
def test_hermite_activations_are_orthonormal(j, k):
    c = coefficients(activations.hermite(j), 8)
    assert c[k] == pytest.approx(float(j == k), abs=1e-9)


@pytest.mark.parametrize("bad", ["tahn", "he0", "he-1", ""])
def test_unknown_name(bad):
    with pytest.raises(ValueError, match=r"activation=.*is unknown; allowed: 'tanh|tanh"):
        activations.get(bad)


def test_wrong_type():
    with pytest.raises(TypeError, match="activation=3"):
        activations.get(3)
    for bad in (0, 1.5, True):
        with pytest.raises(ValueError, match="degree="):
            activations.hermite(bad)


@pytest.mark.parametrize("name", ["he2.5", "he0", "he-1", "he100", "he"])
def test_exponents_of_hermite_names_are_whole(name):
    with pytest.raises(
        ValueError, match=rf"activation='{name}' is unknown.*integer k from 1 to 99"
    ):
        activations.get(name)
