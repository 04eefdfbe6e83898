import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from twolayer.estimators import OneStepRegressor


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
    whole = model.intercept_ + x @ model.coef_ + model.network_(x).detach().numpy()
    np.testing.assert_allclose(model.predict(x), whole)
    np.testing.assert_allclose(np.linalg.norm(model.W_, axis=1), 1)
    np.testing.assert_allclose(model.W_[:10], -model.W_[10:])


def test_fewer_samples_than_dimensions_gives_the_linear_fit(rng):
    x, y = rng.standard_normal((4, 9)), rng.standard_normal(4)
    model = OneStepRegressor(width=8, random_state=0).fit(x, y)
    np.testing.assert_allclose(model.predict(x), y)
    assert not model.a_.any()


@pytest.mark.parametrize(
    ("width", "y", "message"),
    [
        (7, [1.0, 2.0, 4.0], "width=7 must be even"),
        (8, [1.0, 1.0, 1.0], "its variance must be positive"),
        (8, [1.0, 2.0], "inconsistent numbers of samples"),
        (8, np.ones((3, 2)), "1d array"),
    ],
)
def test_bad_input(width, y, message):
    with pytest.raises(ValueError, match=message):
        OneStepRegressor(width=width).fit(np.arange(3.0)[:, None] ** 2, y)
