import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

from twolayer import kernels
from twolayer.network import TwoLayer

KERNELS = [kernels.arc_cosine, kernels.relu_ntk]


@given(st.sampled_from(KERNELS), st.integers(1, 8), st.integers(1, 6))
def test_symmetric_and_positive(kernel, n, d):
    x = np.random.default_rng(n).standard_normal((n, d))
    k = kernel(x)
    np.testing.assert_allclose(k, k.T)
    assert np.linalg.eigvalsh(k).min() > -1e-12
    np.testing.assert_allclose(kernel(x, x[:1])[:, 0], k[:, 0])
    assert kernel(x[0], x[-1]) == pytest.approx(k[0, -1])


def test_against_wide_networks(rng):
    d, m = 5, 200_000
    x = rng.standard_normal((4, d))
    net = TwoLayer.ntk(m, d, "relu", rng)
    features = net.features(x).detach().numpy()
    gates = (x @ net.W.detach().numpy().T > 0) / np.sqrt(m)
    for want, got, top in [
        (kernels.arc_cosine(x), features @ features.T, 4.0),
        (kernels.relu_ntk(x), features @ features.T + (x @ x.T / d) * (gates @ gates.T), 6.0),
    ]:
        scale = np.sqrt(np.outer(np.diag(want), np.diag(want)))
        assert (abs(got - want) / scale).max() < top * 3 / np.sqrt(m)
    np.testing.assert_allclose(kernels.random_features(net)(x), features @ features.T)


def test_scikit_learn_takes_them(rng):
    x, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    fast = (
        KernelRidge(kernel="precomputed").fit(kernels.relu_ntk(x), y).predict(kernels.relu_ntk(x))
    )
    slow = KernelRidge(kernel=kernels.relu_ntk).fit(x, y).predict(x)
    np.testing.assert_allclose(fast, slow)


def test_bad_input():
    with pytest.raises(ValueError, match="rows must have the same length"):
        kernels.arc_cosine(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="x must be finite"):
        kernels.relu_ntk(np.full((2, 3), np.nan))
