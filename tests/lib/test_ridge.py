import contextlib

import mpmath
import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge

from twolayer.ridge import fit_readout, ridge_path

sizes = st.integers(1, 12)


def problem(n, m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, m)), rng.standard_normal(n)


@given(sizes, sizes, st.floats(1e-3, 1e3))
def test_ridge_is_scikit_learns(n, m, ridge):
    features, y = problem(n, m)
    want = Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(features, y).coef_
    np.testing.assert_allclose(fit_readout(features, y, ridge), want, rtol=1e-6, atol=1e-8)


@given(st.integers(2, 12), sizes, st.floats(1e-3, 1e3))
def test_an_intercept_is_scikit_learns(n, m, ridge):
    features, y = problem(n, m)
    theirs = Ridge(alpha=ridge, solver="svd").fit(features + 3, y)
    for chosen in (ridge, [ridge, 2 * ridge]):
        a, constant = fit_readout(features + 3, y, chosen, intercept=True)
        a, constant = (v if np.ndim(chosen) == 0 else v[0] for v in (a, constant))
        np.testing.assert_allclose(a, theirs.coef_, rtol=1e-6, atol=1e-8)
        assert constant == pytest.approx(theirs.intercept_, rel=1e-6, abs=1e-8)


def smoother_of(features, ridge, intercept):
    """Labels to fitted values, by the textbook's inverse."""
    n, m = features.shape
    columns = np.column_stack([features, np.ones(n)]) if intercept else features
    penalty = ridge * np.eye(columns.shape[1])
    penalty[m:] = 0
    return columns @ np.linalg.solve(columns.T @ columns + penalty, columns.T)


@given(st.integers(2, 12), sizes, st.booleans())
def test_path_is_the_readouts_one_by_one(n, m, intercept):
    features, y = problem(n, m)
    ridges = [0.01, 0.3, 7.0]
    path = ridge_path(features, y, ridges, intercept=intercept)
    assert path.coefficients.shape == (3, m)
    for i, ridge in enumerate(ridges):
        a, constant = fit_readout(features, y, ridge, intercept=True)
        a = a if intercept else fit_readout(features, y, ridge)
        np.testing.assert_allclose(path.coefficients[i], a, rtol=1e-7, atol=1e-9)
        assert path.intercepts[i] == pytest.approx(constant if intercept else 0, abs=1e-9)
        smoother = smoother_of(features, ridge, intercept)
        assert path.dof[i] == pytest.approx(np.trace(smoother))
        rss = np.sum((y - smoother @ y) ** 2)
        assert path.gcv[i] == pytest.approx(n * rss / (n - np.trace(smoother)) ** 2, rel=1e-6)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(("n", "m"), [(30, 5), (6, 20)])
def test_outputs_side_by_side_are_outputs_alone(n, m, intercept, rng):
    """Each with its own best ridge."""
    features, Y = problem(n, m)[0], rng.standard_normal((n, 3)) * [1, 10, 0.1]
    Y[:, 1] = features @ rng.standard_normal(m)
    paths = [ridge_path(features, y, intercept=intercept) for y in Y.T]
    path = ridge_path(features, Y, intercept=intercept)
    for name in ("coefficients", "intercepts", "gcv"):
        want = np.stack([getattr(one, name) for one in paths], axis=-1)
        np.testing.assert_allclose(getattr(path, name), want, rtol=1e-7, atol=1e-9)
    assert path.best.tolist() == [one.best for one in paths]
    assert len(set(path.best.tolist())) > 1
    for ridge in (0.0, 0.5, [0.5, 2.0], "gcv"):
        alone = [fit_readout(features, y, ridge, intercept=intercept) for y in Y.T]
        got = fit_readout(features, Y, ridge, intercept=intercept)
        if intercept:
            want = (np.stack(part, axis=-1) for part in zip(*alone, strict=True))
            for value, part in zip(got, want, strict=True):
                np.testing.assert_allclose(value, part, rtol=1e-7, atol=1e-9)
        else:
            np.testing.assert_allclose(got, np.stack(alone, axis=-1), rtol=1e-7, atol=1e-9)


def test_gcv_takes_the_best_of_its_path_and_is_near_the_best_test_error(rng):
    n, m = 400, 100
    features, a = rng.standard_normal((n, m)), rng.standard_normal(m) / 10
    y = features @ a + rng.standard_normal(n)
    chosen = fit_readout(features, y, "gcv")
    scale = (features**2).sum() / m
    path = ridge_path(features, y, scale * np.logspace(-6, 2, 41))
    np.testing.assert_allclose(chosen, path.coefficients[path.best])
    excess = ((path.coefficients - a) ** 2).sum(1)  # test error less the noise, exactly
    assert ((chosen - a) ** 2).sum() < 1.1 * excess.min()


def test_gcv_of_centred_data_needs_an_intercept():
    """With n <= m + 1 it takes the smallest ridge nearly always; an intercept says what is lost."""
    smallest = {False: 0, True: 0}
    n, m, excess = 20, 40, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        features, a = rng.standard_normal((n, m)), rng.standard_normal(m) / m**0.5
        y = features @ a + rng.standard_normal(n)
        features, y = features - features.mean(0), y - y.mean()
        for intercept in smallest:
            with (
                contextlib.nullcontext() if intercept else pytest.warns(UserWarning, match="n = 20")
            ):
                path = ridge_path(features, y, intercept=intercept)
            smallest[intercept] += path.best == 0
        excess.append(np.sum((path.coefficients[[0, path.best]] - a) ** 2, axis=1))
        with pytest.warns(UserWarning, match=r"n = 20 <= m \+ 1 = 41: GCV takes the smallest"):
            fit_readout(features, y, "gcv")
        fit_readout(features, y, "gcv", intercept=True)  # no warning
        fit_readout(features[:, :18], y, "gcv")  # nor where it makes little difference
        fit_readout(features + 1, y, "gcv")
    assert smallest[False] >= 38
    assert smallest[True] <= 20
    assert np.mean(excess, axis=0)[1] < 0.9 * np.mean(excess, axis=0)[0]


def test_gcv_with_an_intercept_has_its_limit_at_small_ridges():
    """n RSS / (n - dof)^2 tends to n c K^-2 c / tr(K^-1)^2 without the constant."""
    features, y = problem(7, 20)
    path = ridge_path(features, y, [1e-9, 1e-16], intercept=True)
    s, Q = np.linalg.eigh((features - features.mean(0)) @ (features - features.mean(0)).T)
    c = Q[:, 1:].T @ y / s[1:]
    a = fit_readout(features, y, 1e-16, intercept=True)[0]  # without a warning, as the path
    np.testing.assert_allclose(path.coefficients[1], a, rtol=1e-9)
    np.testing.assert_allclose(path.gcv, 7 * c @ c / np.sum(1 / s[1:]) ** 2, rtol=1e-8)


def test_gcv_of_labels_that_are_fitted_is_not_rounding(rng):
    """RSS to its own digits: y y' less its projection keeps but 1e-16 of the labels' squares."""
    features = rng.standard_normal((60, 3))
    a, noise = rng.standard_normal(3), rng.standard_normal(60)
    for size in (1e-3, 1e-8, 1e-11):
        y = 10 * features @ a + size * noise
        path = ridge_path(features, y, [1e-24])
        mpmath.mp.dps = 40
        F, target = mpmath.matrix(features.tolist()), mpmath.matrix(y.tolist())
        best = mpmath.lu_solve(F.T * F, F.T * target)
        rss = mpmath.norm(target - F * best) ** 2
        assert path.gcv[0] == pytest.approx(float(60 * rss / 57**2), rel=1e-15 / size + 1e-6, abs=0)


def test_weights_are_counts(rng):
    features, y = problem(30, 5)
    few = features[:8]
    for F in (features, np.column_stack([few, rng.standard_normal((8, 20))])):
        counts = np.arange(len(F)) % 3
        target = y[: len(F)]
        for intercept in (False, True):
            got = ridge_path(F, target, intercept=intercept, sample_weight=counts)
            rows = np.repeat(np.arange(len(F)), counts)
            want = ridge_path(F[rows], target[rows], got.ridges, intercept=intercept)
            for name in ("coefficients", "intercepts", "gcv", "dof"):
                value = getattr(want, name)
                np.testing.assert_allclose(getattr(got, name), value, rtol=1e-6, atol=1e-9)
    tiny = ridge_path(features, y, [1e-6, 1e3], sample_weight=np.full(30, 0.1))  # n = 3 < dof
    assert np.isinf(tiny.gcv[0])
    assert tiny.best == 1
    for bad in (np.zeros(30), np.ones(29), -np.ones(30)):
        with pytest.raises(ValueError, match="sample_weight"):
            ridge_path(features, y, sample_weight=bad)


def test_zero_ridge_is_least_squares_of_least_norm():
    for n, m in [(20, 5), (5, 20)]:
        features, y = problem(n, m)
        want = np.linalg.lstsq(features, y, rcond=None)[0]
        np.testing.assert_allclose(fit_readout(features, y, 0.0), want, atol=1e-10)


def test_precision_is_kept_and_inputs_are_left_alone():
    features, y = problem(30, 4)
    single = features.astype(np.float32)
    for ridge in (0.0, 1.0, [1.0, 2.0], "gcv"):
        before = single.copy(), y.copy()
        a, constant = fit_readout(single, y, ridge, intercept=True)
        assert a.dtype == constant.dtype == np.float32
        np.testing.assert_allclose(a, fit_readout(features, y, ridge, intercept=True)[0], rtol=1e-4)
        assert np.array_equal(single, before[0])
        assert np.array_equal(y, before[1])


@pytest.mark.parametrize("ridge", [0.0, 1.0, [1.0, 2.0], "gcv"])
def test_what_is_like_an_array(ridge):
    features, y = problem(12, 4)
    want = fit_readout(features, y, ridge)
    likes = (
        (features.tolist(), y.tolist()),
        (torch.tensor(features, requires_grad=True), torch.tensor(y, requires_grad=True)),
        (pandas.DataFrame(features), pandas.Series(y)),
        (features[::-1], y[::-1]),
        (np.asfortranarray(features), np.repeat(y, 2)[::2]),
    )
    for pair in likes:
        got = fit_readout(*pair, ridge)
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit_readout(features, y, np.array(1.0)), fit_readout(features, y))
    assert not fit_readout(0 * features, y, ridge).any()


def test_single_precision_near_interpolation_does_not_pass_in_silence(rng):
    features = rng.standard_normal((200, 200))
    features[:, 1] = features[:, 0] + 1e-3 * features[:, 1]
    y = rng.standard_normal(200)
    exact = fit_readout(features, y, 1e-3)
    for ridge in (1e-3, [1e-3, 1.0]):
        with pytest.warns(ConvergenceWarning, match="use float64 or a larger ridge") as seen:
            rough = fit_readout(features.astype(np.float32), y, ridge)
        assert np.ndim(ridge) or np.linalg.norm(rough - exact) > 1e-3 * np.linalg.norm(exact)
        assert np.ndim(ridge) or seen[0].filename == __file__
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


@pytest.mark.parametrize("call", [fit_readout, ridge_path])
def test_bad_data(call):
    features, y = problem(5, 3)
    for F, target, words in (
        (features, y[:4], "features has 5 rows and y has 4"),
        (features, np.where(np.arange(5) == 2, np.nan, y), "y must be finite, got nan"),
        (np.full((5, 3), np.inf), y, "features must be finite, got inf"),
        (features, y[:, None, None], r"y has shape \(5, 1, 1\); it must be"),
        (features[0], y, r"features has shape \(3,\); it must have 2 axes"),
        (features[:, :0], y, r"features has shape \(5, 0\); it must have columns"),
        (features[:0], y[:0], "features has 0 rows"),
    ):
        with pytest.raises(ValueError, match=words):
            call(F, target)
    with pytest.raises(TypeError, match="y must hold real numbers"):
        call(features, list("abcde"))
