"""The networks as scikit-learn estimators, for a Pipeline or a GridSearchCV beside KernelRidge."""

import math

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from twolayer import _checks
from twolayer.gradients import learn_directions, remove_linear_part
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout

__all__ = ["OneStepRegressor"]


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
    a_ : ndarray, shape (width,)
        Readout.
    intercept_ : float
    coef_ : ndarray, shape (d,)
        The linear part.
    n_features_in_ : int
        d.

    Notes
    -----
    Damian, Lee & Soltanolkotabi 2022, Algorithm 1, with rows of unit norm. Where least squares
    fits the labels exactly (n <= d), there is nothing left to learn from: the first layer stays
    random, the readout zero.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((2000, 16))
    >>> y = x[:, 0] ** 2 + x[:, 1]
    >>> model = OneStepRegressor(width=128, random_state=0).fit(x[:1000], y[:1000])
    >>> bool(model.score(x[1000:], y[1000:]) > 0.9)
    True
    """

    def __init__(self, width=512, random_state=None):
        self.width = width
        self.random_state = random_state

    def fit(self, X, y):
        """Fit to samples.

        Parameters
        ----------
        X : array_like, shape (n, d)
        y : array_like, shape (n,)

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If shapes do not fit, an entry is not finite, n = 1, all labels are equal, or the width
            is odd.
        """
        X, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2, multi_output=False
        )
        y = y.astype(float)
        width = _checks.positive_int("width", self.width)
        if width % 2:
            raise ValueError(f"width={width} must be even: neurons come in pairs")
        rng = np.random.default_rng(self.random_state)
        residual, self.intercept_, self.coef_ = remove_linear_part(X, y)
        learnable = abs(residual).max() > 1e-9 * abs(y - y.mean()).max()
        if learnable:
            network = learn_directions(X, y, width, rng)
        else:
            network = TwoLayer.unit_rows(width, X.shape[1], "relu", rng)
        self.W_, self.b_ = network.W.detach().numpy(), network.b.detach().numpy()
        self.a_ = np.zeros(width)
        if learnable:
            self.a_ = fit_readout(self._features(X), residual, "gcv").numpy()
        return self

    def _features(self, X):
        return np.maximum(X @ self.W_.T + self.b_, 0) / math.sqrt(len(self.b_))

    def predict(self, X):
        """Predictions for samples.

        Parameters
        ----------
        X : array_like, shape (n, d)

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If `X` has another number of columns than in `fit`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.intercept_ + X @ self.coef_ + self._features(X) @ self.a_

    @property
    def network_(self):
        """The fitted network (without the linear part) as a `TwoLayer`."""
        check_is_fitted(self)
        return TwoLayer(torch.as_tensor(self.W_), self.a_, "relu", self.b_)
