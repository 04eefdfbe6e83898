import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge

from twolayer.network import TwoLayer
from twolayer.training import descent_direction, fit_readout, gradient_step, ridge_path

sizes = st.integers(1, 12)


def problem(n, m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, m)), rng.standard_normal(n)


@given(sizes, sizes, st.floats(1e-3, 1e3))
def test_ridge_is_scikit_learns(n, m, ridge):
    features, y = problem(n, m)
    want = Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(features, y).coef_
    np.testing.assert_allclose(fit_readout(features, y, ridge), want, rtol=1e-6, atol=1e-8)


@given(sizes, sizes)
def test_path_is_the_readouts_one_by_one(n, m):
    features, y = problem(n, m)
    ridges = [0.01, 0.3, 7.0]
    path = ridge_path(features, y, ridges)
    assert path.coefficients.shape == (3, m)
    for ridge, a, score, dof in zip(ridges, path.coefficients, path.gcv, path.dof, strict=True):
        np.testing.assert_allclose(a, fit_readout(features, y, ridge), rtol=1e-7, atol=1e-9)
        smoother = features @ np.linalg.solve(features.T @ features + ridge * np.eye(m), features.T)
        assert dof == pytest.approx(np.trace(smoother))
        rss = np.sum((y - smoother @ y) ** 2)
        assert score == pytest.approx(n * rss / (n - np.trace(smoother)) ** 2, rel=1e-6)


def test_gcv_takes_the_best_of_its_path_and_is_near_the_best_test_error(rng):
    n, m = 400, 100
    features, a = rng.standard_normal((n, m)), rng.standard_normal(m) / 10
    y = features @ a + rng.standard_normal(n)
    chosen = fit_readout(features, y, "gcv").numpy()
    scale = (features**2).sum() / m
    path = ridge_path(features, y, scale * np.logspace(-6, 2, 41))
    np.testing.assert_allclose(chosen, path.coefficients[path.best])
    excess = ((path.coefficients.numpy() - a) ** 2).sum(1)  # test error less the noise, exactly
    assert ((chosen - a) ** 2).sum() < 1.1 * excess.min()


def test_zero_ridge_is_least_squares_of_least_norm(rng):
    for n, m in [(20, 5), (5, 20)]:
        features, y = problem(n, m)
        want = np.linalg.lstsq(features, y, rcond=None)[0]
        np.testing.assert_allclose(fit_readout(features, y, 0.0), want, atol=1e-10)


def test_dtype_is_kept(rng):
    features, y = problem(30, 4)
    assert fit_readout(features.astype(np.float32), y, 1.0).dtype == torch.float32
    net = TwoLayer.mean_field(4, 3, "tanh", rng, dtype=torch.float32)
    assert descent_direction(net, rng.standard_normal((9, 3)), np.ones(9)).dtype == torch.float32


def test_blocks_do_not_change_the_sum(rng):
    net = TwoLayer.mean_field(6, 4, "tanh", rng)
    x, y = rng.standard_normal((1500, 4)), rng.standard_normal(1500)
    parts = [descent_direction(net, x[i], y[i]) for i in np.split(np.arange(1500), 3)]
    torch.testing.assert_close(descent_direction(net, x, y), sum(parts) / 3)


def test_step_is_weights_plus_eta_times_the_direction(rng):
    net = TwoLayer.mean_field(6, 4, "relu", rng)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal(50)
    before = net.W.clone()
    after = gradient_step(net, x, y, 0.7)
    assert torch.equal(net.W, before)
    torch.testing.assert_close(
        after.W.detach(), before.detach() + 0.7 * descent_direction(net, x, y)
    )
    assert torch.equal(gradient_step(net, x, y, 0).W, before)


def test_single_precision_near_interpolation_does_not_pass_in_silence(rng):
    features = rng.standard_normal((200, 200))
    features[:, 1] = features[:, 0] + 1e-3 * features[:, 1]
    y = rng.standard_normal(200)
    exact = fit_readout(features, y, 1e-3)
    for ridge in (1e-3, [1e-3, 1.0]):
        with pytest.warns(ConvergenceWarning, match="use float64 or a larger ridge"):
            rough = fit_readout(features.astype(np.float32), y, ridge)
        assert np.ndim(ridge) or (rough - exact).norm() > 1e-3 * exact.norm()
    with pytest.raises(ValueError, match="ridge=1e-09 is too small for the rank"):
        fit_readout(np.repeat(features[:, :3], 2, axis=1).astype(np.float32), y, 1e-9)


@pytest.mark.parametrize(
    ("ridge", "error", "words"),
    [
        (-1.0, ValueError, "ridge=-1.0 must be finite and >= 0"),
        (np.inf, ValueError, "ridge=inf must be finite"),
        ([1.0, 0.0], ValueError, "ridges must be finite and > 0"),
        ([], ValueError, "ridges has shape"),
        ("cv", ValueError, "ridge='cv' is unknown; allowed: 'gcv'"),
        (None, TypeError, "ridge=None must be a real number"),
    ],
)
def test_bad_ridges(ridge, error, words):
    with pytest.raises(error, match=words):
        fit_readout(*problem(5, 3), ridge)


def test_bad_data(rng):
    features, y = problem(5, 3)
    net = TwoLayer.mean_field(4, 3, "tanh", rng)
    for call in (lambda x, t: fit_readout(x, t), lambda x, t: gradient_step(net, x, t, 1.0)):
        with pytest.raises(ValueError, match="5 rows and y has 4"):
            call(features, y[:4])
        with pytest.raises(ValueError, match="y holds non-finite"):
            call(features, np.where(np.arange(5) == 2, np.nan, y))
        with pytest.raises(ValueError, match="holds non-finite"):
            call(np.full((5, 3), np.inf), y)
        with pytest.raises(ValueError, match="y has shape"):
            call(features, y[:, None])
    with pytest.raises(ValueError, match="x has 2 columns; the network takes d = 3"):
        gradient_step(net, features[:, :2], y, 1.0)
    with pytest.raises(ValueError, match="eta=nan must be finite"):
        gradient_step(net, features, y, np.nan)
    with pytest.raises(TypeError, match="eta='1' must be a real number"):
        gradient_step(net, features, y, "1")
    with pytest.raises(ValueError, match=r"eta=1e\+308 gives non-finite weights"):
        gradient_step(net, features, 1e9 * y, 1e308)
