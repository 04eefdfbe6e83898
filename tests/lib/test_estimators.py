import warnings

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from twolayer.estimators import OneStepRegressor, ThreeLayerRegressor


@pytest.mark.filterwarnings("ignore:X is not standardised", "ignore:a linear function of X")
@parametrize_with_checks([OneStepRegressor(width=32, random_state=0)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_beside_kernel_ridge_in_a_grid_search(rng):
    x = 3 + 2 * rng.standard_normal((600, 12))
    y = (x[:, 0] - 3) ** 2
    pipeline = make_pipeline(StandardScaler(), OneStepRegressor(random_state=0))
    steps = [
        {
            "onestepregressor": [OneStepRegressor(random_state=0)],
            "onestepregressor__width": [16, 128],
        },
        {"onestepregressor": [KernelRidge(kernel="rbf", alpha=0.1)]},
    ]
    search = GridSearchCV(pipeline, steps, cv=KFold(3)).fit(x, y)
    assert isinstance(search.best_estimator_[-1], OneStepRegressor)
    assert search.best_estimator_[-1].W_.shape == (128, 12)
    assert search.best_score_ > 0.9


def test_the_network_and_the_linear_part_are_the_prediction(rng):
    x, y = rng.standard_normal((300, 5)), rng.standard_normal(300)
    model = OneStepRegressor(width=20, random_state=1).fit(x, y)
    whole = model.intercept_ + x @ model.coef_ + model.network_(x)
    np.testing.assert_allclose(model.predict(x), whole)
    np.testing.assert_allclose(np.linalg.norm(model.W_, axis=1), 1)
    np.testing.assert_allclose(model.W_[:10], -model.W_[10:])


def test_the_readout_is_ridge_regression_with_the_ridge_that_it_names(rng):
    x = rng.standard_normal((300, 5))
    y = x[:, 0] ** 2 + 2 * x[:, 1] + 0.3 * rng.standard_normal(300)
    model = OneStepRegressor(width=40, random_state=1).fit(x, y)
    features = model.network_.features(x)
    residual = y - LinearRegression().fit(x, y).predict(x)
    want = Ridge(model.ridge_, fit_intercept=False).fit(features, residual).coef_
    np.testing.assert_allclose(model.a_, want, rtol=1e-6, atol=1e-9)
    assert isinstance(model.ridge_, float)


def test_fewer_samples_than_dimensions_gives_the_linear_fit(rng):
    x, y = rng.standard_normal((4, 9)), rng.standard_normal(4)
    with pytest.warns(UserWarning, match="a linear function of X fits y exactly"):
        model = OneStepRegressor(width=8, random_state=0).fit(x, y)
    np.testing.assert_allclose(model.predict(x), y)
    assert not model.a_.any()
    assert model.ridge_ == np.inf


def test_weights_are_counts(rng):
    """A weight of k is the sample k times; of 0, none. Not so for weights that say little."""
    x = rng.standard_normal((200, 4))
    y = x[:, 0] ** 2 + 0.5 * rng.standard_normal(200)
    counts = rng.integers(0, 4, 200)
    model = OneStepRegressor(width=40, random_state=0)
    weighted = model.fit(x, y, sample_weight=counts).predict(x)
    plain = model.fit(x, y).predict(x)
    repeated = model.fit(np.repeat(x, counts, 0), np.repeat(y, counts)).predict(x)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(model.fit(x, y, np.ones(200)).predict(x), plain, atol=1e-8)
    assert abs(weighted - plain).max() > 0.01
    with pytest.raises(ValueError, match="sample_weight sums to 1; weights are counts"):
        model.fit(x, y, np.full(200, 1 / 200))


def test_several_outputs(rng):
    """Each is learnt about as well as alone, and read from all neurons by its own ridge."""
    x = rng.standard_normal((2000, 10))
    y = np.stack([x[:, 0] ** 2, 10 * abs(x[:, 1]) - x[:, 2], x[:, 3]], axis=1)
    model = OneStepRegressor(width=128, random_state=0).fit(x[:1000], y[:1000])
    assert model.a_.shape == (128, 3)
    assert (model.coef_.shape, model.intercept_.shape, model.ridge_.shape) == ((3, 10), (3,), (3,))
    assert np.isfinite(model.ridge_).tolist() == [True, True, False]  # the last is linear
    fit = model.predict(x[1000:])
    np.testing.assert_allclose(
        fit, model.intercept_ + x[1000:] @ model.coef_.T + model.network_(x[1000:])
    )
    assert (r2_score(y[1000:], fit, multioutput="raw_values") > [0.9, 0.9, 1 - 1e-9]).all()
    pulled = np.square(model.W_).argmax(1)  # the first output's neurons, then the second's
    assert np.mean(pulled[:64] == 0) > 0.7
    assert np.mean(pulled[64:] == 1) > 0.7
    one = OneStepRegressor(width=32, random_state=0).fit(x, y[:, :1]).predict(x)
    alone = OneStepRegressor(width=32, random_state=0).fit(x, y[:, 0]).predict(x)
    np.testing.assert_allclose(one, alone[:, None])


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        (lambda x: x, False),
        (lambda x: x + 2, False),
        (lambda x: x * [1, 1, 2.5], False),
        (lambda x: np.column_stack([x, np.full(len(x), 7.0)]), False),  # a constant column
        (lambda x: x + np.array([4, 0, 0]), True),
        (lambda x: x * [1, 1, 4], True),
        (lambda x: 0.01 * x, True),
    ],
)
def test_a_warning_where_columns_must_be_standardised(change, warned, rng):
    x = rng.standard_normal((2000, 3))
    y = x[:, 0] ** 2
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        OneStepRegressor(width=64, random_state=0).fit(change(x), y)
    assert ["X is not standardised" in str(w.message) for w in seen] == [True] * warned


@pytest.mark.parametrize(
    ("width", "y", "message"),
    [
        (7, [1.0, 2.0, 4.0], "width=7 must be even"),
        (8, [1.0, 1.0, 1.0], "its variance must be positive"),
        (8, [1.0, 2.0], "inconsistent numbers of samples"),
        (8, np.ones((3, 2)), "one of its columns; its variance must be positive"),
        (8, np.ones((3, 2, 2)), "dim"),
    ],
)
def test_bad_input(width, y, message):
    with pytest.raises(ValueError, match=message):
        OneStepRegressor(width=width).fit(np.arange(3.0)[:, None] ** 2, y)


# --- three layers


@pytest.mark.filterwarnings("ignore:X is not standardised", "ignore:constant, linear part and")
@parametrize_with_checks([ThreeLayerRegressor(width=32, random_state=0)])
def test_scikit_learns_own_checks_of_three_layers(estimator, check):
    check(estimator)


def quadratic(n, rng, d=10):
    x = rng.standard_normal((n, d))
    p = (x**2 @ np.where(np.arange(d) % 2, 1, -1)) / (2 * d) ** 0.5
    return x, p, p + abs(p) + 0.5 * x[:, 4] + 0.05 * (x**2).sum(1)


def test_three_layers_learn_a_feature_and_its_curve(rng):
    """Beyond what two layers reach on so few samples, in a grid search beside kernel ridge."""
    x, p, y = quadratic(3000, rng)
    pipeline = make_pipeline(StandardScaler(), ThreeLayerRegressor(random_state=0))
    name = "threelayerregressor"
    steps = [
        {name: [ThreeLayerRegressor(random_state=0)], f"{name}__width": [4, 512]},
        {name: [KernelRidge(kernel="rbf", alpha=0.1)]},
    ]
    search = GridSearchCV(pipeline, steps, cv=KFold(3)).fit(x[:1500], y[:1500])
    assert search.best_params_[f"{name}__width"] == 512
    model = search.best_estimator_[-1]
    learnt = model.feature(search.best_estimator_[0].transform(x[1500:]))
    assert np.corrcoef(learnt, p[1500:])[0, 1] ** 2 > 0.6  # chance: 1 / 54
    two = make_pipeline(StandardScaler(), OneStepRegressor(random_state=0)).fit(x[:1500], y[:1500])
    assert search.score(x[1500:], y[1500:]) > two.score(x[1500:], y[1500:]) + 0.05


def test_parts_of_the_three_layers_are_the_prediction(rng):
    x, _, y = quadratic(400, rng)
    model = ThreeLayerRegressor(width=64, random_state=1).fit(x, y)
    bent = np.maximum(np.clip(model.feature(x), *model.bends_[[0, -1]])[:, None] - model.bends_, 0)
    base = np.column_stack([x, (x**2).mean(1)])
    whole = model.intercept_ + base @ model.coef_ + bent[:, :-1] @ model.a_
    np.testing.assert_allclose(model.predict(x), whole)
    np.testing.assert_allclose(np.linalg.norm(model.W_, axis=1), 1)
    parts = np.column_stack([np.ones(400), base])
    np.testing.assert_allclose(parts.T @ model.feature(x) / 400, 0, atol=1e-9)


def test_on_a_sphere_the_norm_is_no_column(rng):
    """Its rounding errors would be a slope of 1e14, and off the sphere the fit explode."""
    x = rng.standard_normal((500, 6))
    on = x / np.linalg.norm(x, axis=1, keepdims=True) * 6**0.5
    model = ThreeLayerRegressor(width=64, random_state=1).fit(on, on[:, 0] ** 2 + on[:, 1])
    assert abs(model.predict(x)).max() < 1e3
    assert model.coef_[-1] == 0


@pytest.mark.filterwarnings("ignore:X is not standardised")
def test_three_layers_where_nothing_is_left(rng):
    x = rng.standard_normal((5, 9))
    y = rng.standard_normal(5)
    with pytest.warns(UserWarning, match="no feature is learnt"):
        model = ThreeLayerRegressor(width=8, random_state=0).fit(x, y)
    np.testing.assert_allclose(model.predict(x), y)
    assert model.ridge_ == np.inf


@pytest.mark.parametrize(
    ("width", "y", "error", "message"),
    [
        (0, [1.0, 2.0, 4.0], ValueError, "width=0 must be a positive integer"),
        (2.5, [1.0, 2.0, 4.0], TypeError, "width=2.5 must be a positive integer"),
        (8, [1.0, 1.0, 1.0], ValueError, "its variance must be positive"),
        (8, [1.0, 2.0], ValueError, "inconsistent numbers of samples"),
    ],
)
def test_bad_input_of_three_layers(width, y, error, message):
    with pytest.raises(error, match=message):
        ThreeLayerRegressor(width=width).fit(np.arange(3.0)[:, None] ** 2, y)
