import pickle

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
    torch.testing.assert_close(f(torch.as_tensor(z)), torch.as_tensor(f(z)), rtol=1e-14, atol=1e-15)
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


def test_high_degrees_in_single_precision_and_by_pickle():
    z = np.array([0.5, 1.0, 2.0])
    for degree in (21, 60, 200):
        f = activations.hermite(degree)
        np.testing.assert_allclose(f(z.astype(np.float32)), f(z), rtol=1e-3, atol=1e-3)
        assert pickle.loads(pickle.dumps(f)) is f
    import mpmath

    with mpmath.workdps(40):
        # probabilists' from physicists': He_k(z) = 2^(-k/2) H_k(z / sqrt 2)
        want = mpmath.hermite(60, 2 / mpmath.sqrt(2)) * mpmath.mpf(2) ** -30
        want /= mpmath.sqrt(mpmath.factorial(60))
    assert float(activations.hermite(60)(2.0)) == pytest.approx(float(want), rel=1e-12)


def test_the_tail_of_gelu():
    """z Phi(z) with Phi(-9) = 1.1285884059538407e-19."""
    for z in (-9.0, torch.tensor(-9.0, dtype=torch.float64)):
        assert float(activations.get("gelu")(z)) == pytest.approx(-9 * 1.1285884059538407e-19)
