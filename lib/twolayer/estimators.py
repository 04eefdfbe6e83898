"""The networks as scikit-learn estimators, for a Pipeline or a GridSearchCV beside KernelRidge."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from twolayer import _checks
from twolayer.data import sphere
from twolayer.gradients import learn_directions, remove_linear_part
from twolayer.network import TwoLayer
from twolayer.ridge import ridge_path

__all__ = ["OneStepRegressor", "ThreeLayerRegressor"]

# Beyond these half of the variance is lost, on x_1^2 + x_1 x_2 in d = 12 at n = 1000:
_UNEVEN = 3.0  # ratio of standard deviations, or of a mean to its own
_SMALL = 0.03  # standard deviation beside biases of size 1
_BENDS = 24  # of a readout of one feature


class OneStepRegressor(RegressorMixin, BaseEstimator):
    """Regression by a two-layer ReLU network after one large gradient step.

    `fit` removes the constant and linear parts of the labels by least squares, takes one large
    step on the first layer, redraws the biases, and fits the readout by ridge regression, the
    ridge by generalised cross-validation. Inputs are taken as they are: standardise them first.

    Parameters
    ----------
    width : int
        Number of neurons, even.
    random_state : int, numpy.random.Generator or None
        None draws a new network at every fit.

    Attributes
    ----------
    W_ : ndarray, shape (width, d)
        First layer, unit rows.
    b_ : ndarray, shape (width,)
        Biases.
    a_ : ndarray, shape (width,) or (width, q)
        Readout, of one output or of q.
    intercept_ : float, or ndarray of shape (q,)
    coef_ : ndarray, shape (d,) or (q, d)
        The linear part.
    ridge_ : float, or ndarray of shape (q,)
        What cross-validation chose; infinite where nothing was left to learn.
    n_features_in_ : int
        d.

    Notes
    -----
    Damian, Lee & Soltanolkotabi 2022, Algorithm 1, with rows of unit norm. Of several outputs, each
    pulls an equal share of the neurons, and reads from all of them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((2000, 16))
    >>> y = x[:, 0] ** 2 + x[:, 1]
    >>> model = OneStepRegressor(width=128, random_state=0).fit(x[:1000], y[:1000])
    >>> bool(model.score(x[1000:], y[1000:]) > 0.9)
    True
    """

    def __init__(self, width: int = 512, random_state: int | np.random.Generator | None = None):
        self.width = width
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> OneStepRegressor:
        """Fit to samples.

        Parameters
        ----------
        X : array_like, shape (n, d)
        y : array_like, shape (n,), or (n, q) for q outputs
            None of them constant.
        sample_weight : array_like, shape (n,), optional
            Each >= 0. Weights are counts: 2 stands for the same sample twice.

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            If columns of `X` differ so much in scale, or lie so far from zero, that they must be
            standardised; if a linear function fits `y` exactly (always where n <= d), so that no
            direction is learnt: the first layer stays random, the readout zero.
        """
        X, y, weights = self._data(X, y, sample_weight)
        Y = y.reshape(len(y), -1)
        rng = np.random.default_rng(self.random_state)
        residual, constant, slope = _linear_part(X, Y, weights)
        left = abs(residual).max(0) > 1e-9 * abs(Y - Y.mean(0)).max(0)
        residual = np.where(left, residual, 0)
        pulls = residual[:, left] if weights is None else weights[:, None] * residual[:, left]
        network = self._first_layer(X, pulls, rng)
        self.W_, self.b_ = np.array(network.W), np.array(network.b)
        a, ridge = np.zeros((len(self.b_), Y.shape[1])), np.full(Y.shape[1], math.inf)
        if left.any():
            path = ridge_path(self._features(X), residual[:, left], sample_weight=weights)
            a[:, left], ridge[left] = path.chosen[0], path.ridges[path.best]
        if y.ndim == 1:
            a, ridge, constant, slope = a[:, 0], float(ridge[0]), float(constant[0]), slope[0]
        self.a_, self.ridge_, self.intercept_, self.coef_ = a, ridge, constant, slope
        return self

    def _data(self, X, y, sample_weight):
        """Inputs, labels and weights or None: checked, without samples of weight zero."""
        X, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2, multi_output=True
        )
        y = _checks.real_array("y", y)
        if _checks.positive_int("width", self.width) % 2:
            raise ValueError(f"width={self.width} must be even: neurons come in pairs")
        weights = sample_weight
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=float, ensure_non_negative=True)
            if weights.sum() < 2:
                raise ValueError(
                    f"sample_weight sums to {weights.sum():g}; weights are counts of samples, of "
                    "which there must be at least 2"
                )
            seen = weights > 0
            X, y, weights = X[seen], y[seen], weights[seen]
        if not np.ptp(y, axis=0).all():
            raise ValueError("y is constant, or one of its columns; its variance must be positive")
        _warn_of_scales(X)
        return X, y, weights

    def _first_layer(self, X, pulls, rng):
        """A network whose neurons were pulled by the columns of `pulls`, in equal shares."""
        if not pulls.shape[1]:
            warnings.warn(
                "a linear function of X fits y exactly on these samples: no direction is learnt, "
                "and the model stays linear; it takes more samples than columns",
                stacklevel=3,
            )
            return TwoLayer.unit_rows(self.width, X.shape[1], "relu", rng, dtype=float)
        pairs = [len(v) for v in np.array_split(np.arange(self.width // 2), pulls.shape[1])]
        parts = [
            learn_directions(X, pull, 2 * count, rng)
            for pull, count in zip(pulls.T, pairs, strict=True)
            if count
        ]
        W, b = (np.concatenate([getattr(part, name) for part in parts]) for name in ("W", "b"))
        return TwoLayer(W, np.zeros(len(W)), "relu", b)

    def _features(self, X):
        return np.maximum(X @ self.W_.T + self.b_, 0) / math.sqrt(len(self.b_))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predictions for samples.

        Parameters
        ----------
        X : array_like, shape (n, d)

        Returns
        -------
        ndarray, shape (n,) or (n, q)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.intercept_ + X @ self.coef_.T + self._features(X) @ self.a_

    @property
    def network_(self) -> TwoLayer:
        """The fitted network (without the linear part) as a `TwoLayer`."""
        check_is_fitted(self)
        return TwoLayer(self.W_, self.a_, "relu", self.b_)


class ThreeLayerRegressor(RegressorMixin, BaseEstimator):
    """Regression by a three-layer ReLU network after one gradient step on its middle layer.

    `fit` draws a first layer of random unit neurons, and takes one step on the second layer from
    zero: all its neurons become one function, the learnt feature. Labels and feature are without
    their constant, linear and squared-norm parts, by least squares. The readout is ridge regression
    on ReLUs of the feature that bend at its quantiles, the ridge by generalised cross-validation.
    Inputs are taken as they are: standardise them first.

    Parameters
    ----------
    width : int
        Neurons of the first layer. A feature that is a quadratic form takes d^2/2 of them, and as
        many samples, or more.
    random_state : int, numpy.random.Generator or None
        None draws a new network at every fit.

    Attributes
    ----------
    W_ : ndarray, shape (width, d)
        First layer, unit rows.
    v_ : ndarray, shape (width,)
        Second layer: that of the learnt feature, of mean square one on the samples.
    a_, bends_ : ndarray, shape (24,)
        Readout, and where its ReLUs bend.
    intercept_ : float
    coef_ : ndarray, shape (d + 1,)
        Of the inputs and of their squared norm.
    ridge_ : float
        What cross-validation chose; infinite where nothing was left to learn.
    n_features_in_ : int
        d.

    Notes
    -----
    After Nichani, Damian & Lee 2023. On the step's own samples the feature leaves out what each
    sample's label has pulled. Beyond its range there it counts as its last value.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((4000, 8))
    >>> p = x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3]
    >>> y = p + abs(p)
    >>> model = ThreeLayerRegressor(random_state=0).fit(x[:2000], y[:2000])
    >>> bool(model.score(x[2000:], y[2000:]) > 0.8)
    True
    """

    def __init__(self, width: int = 512, random_state: int | np.random.Generator | None = None):
        self.width = width
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> ThreeLayerRegressor:
        """Fit to samples.

        Parameters
        ----------
        X : array_like, shape (n, d)
        y : array_like, shape (n,)
            Not constant.

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            If columns of `X` differ so much in scale, or lie so far from zero, that they must be
            standardised; if constant, linear part and squared norm fit `y` exactly (always where
            n <= d + 1), so that no feature is learnt.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        y = _checks.real_array("y", y)
        _checks.positive_int("width", self.width)
        if not np.ptp(y):
            raise ValueError("y is constant; its variance must be positive")
        _warn_of_scales(X)
        rng = np.random.default_rng(self.random_state)
        self.W_ = sphere((self.width, X.shape[1]), rng)
        square = (X**2).mean(1)
        self._radial = float(np.ptp(square) > 1e-9 * square.max())  # on a sphere there is none
        base = self._base(X)
        residual, self.intercept_, self.coef_ = remove_linear_part(base, y)
        neurons = np.maximum(X @ self.W_.T, 0)
        across = np.linalg.lstsq(base - base.mean(0), neurons - neurons.mean(0), rcond=1e-10)[0]
        offset = neurons.mean(0) - base.mean(0) @ across
        neurons -= offset + base @ across
        pull = residual @ neurons
        learnt = neurons @ pull - residual * (neurons**2).sum(1)
        size = math.sqrt(np.mean(learnt**2))
        nothing = abs(residual).max() <= 1e-9 * abs(y - y.mean()).max() or not size > 0
        self.v_ = 0 * pull if nothing else pull / size
        self._across = offset @ self.v_, across @ self.v_
        self._fit_readout(np.zeros(len(y)) if nothing else learnt / size, residual, nothing)
        return self

    def _fit_readout(self, learnt, residual, nothing):
        self.bends_ = np.quantile(learnt, np.linspace(0, 1, _BENDS + 1))
        self.a_, self.ridge_ = np.zeros(_BENDS), math.inf
        if nothing:
            warnings.warn(
                "constant, linear part and squared norm of X fit y exactly on these samples: no "
                "feature is learnt; it takes more samples than columns",
                stacklevel=3,
            )
            return
        path = ridge_path(self._bent(learnt), residual, intercept=True)
        self.a_, constant = path.chosen
        self.ridge_ = float(path.ridges[path.best])
        self.intercept_ += float(constant)

    def _base(self, X):
        """Inputs and their squared norm in units of d, whose parts the step does not see."""
        return np.column_stack([X, self._radial * (X**2).mean(1)])

    def _bent(self, learnt):
        kept = np.clip(learnt, self.bends_[0], self.bends_[-1])
        return np.maximum(kept[:, None] - self.bends_[:-1], 0)

    def feature(self, X: ArrayLike) -> np.ndarray:
        """The learnt feature, shape (n,), of inputs of shape (n, d).

        Parameters
        ----------
        X : array_like, shape (n, d)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        offset, across = self._across
        return np.maximum(X @ self.W_.T, 0) @ self.v_ - offset - self._base(X) @ across

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predictions, shape (n,), for samples of shape (n, d).

        Parameters
        ----------
        X : array_like, shape (n, d)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        """
        learnt = self.feature(X)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.intercept_ + self._base(X) @ self.coef_ + self._bent(learnt) @ self.a_


def _linear_part(X, Y, weights):
    """Residuals (n, q), intercepts (q,) and slopes (q, d) of weighted least squares."""
    if weights is None:
        parts = [remove_linear_part(X, column) for column in Y.T]
        residual, constant, slope = (np.array(v) for v in zip(*parts, strict=True))
        return residual.T, constant, slope
    centre, mean = np.average(X, 0, weights), np.average(Y, 0, weights)
    root = np.sqrt(weights)[:, None]
    slope = np.linalg.lstsq(root * (X - centre), root * (Y - mean), rcond=1e-10)[0]
    constant = mean - centre @ slope
    return Y - constant - X @ slope, constant, slope.T


def _warn_of_scales(X):
    """Warn where columns are so uneven or so far from zero that the step sees a part of them."""
    spread, centre = X.std(0), abs(X.mean(0))
    moving = spread > 1e-9 * (centre + spread)
    if not moving.any():
        return
    spread, centre = spread[moving], centre[moving]
    uneven, far = spread.max() / spread.min(), (centre / spread).max()
    if uneven > _UNEVEN or far > _UNEVEN or spread.max() < _SMALL:
        warnings.warn(
            f"X is not standardised: its standard deviations go from {spread.min():.2g} to "
            f"{spread.max():.2g}, and a mean is {far:.2g} of them from zero, so that the step "
            "learns little; put a StandardScaler before this estimator",
            stacklevel=4,
        )
