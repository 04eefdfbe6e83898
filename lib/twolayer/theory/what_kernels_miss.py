"""Learning curves of kernels degree by degree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.theory.ridge_curves import effective_ridge, learning_curve
from twolayer.theory.spectra import Spectrum

__all__ = ["degree_curves"]


def degree_curves(
    spectrum: Spectrum, n: ArrayLike, ridge: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Test error of ridge regression in each eigenspace, and how much of the target it has there.

    Shares are L_l = xi_l / (xi_l + kappa) at the effective ridge kappa, and errors
    F_l^2 (1 - L_l)^2 + B_l L_l^2 E / n with E the test error with the label noise: what is not
    learnt yet, and what all that is not learnt leaves behind there (Canatar, Bordelon & Pehlevan
    2021).

    Parameters
    ----------
    spectrum : Spectrum
        On the sphere an eigenspace is a degree, see `Spectrum.degrees`.
    n, ridge : array_like
        Samples > 0, and what is added to the sum of squares, > 0; they broadcast.

    Returns
    -------
    errors : ndarray, shape (..., k)
        E (f_k - g_k)^2 for the parts of fit and target in eigenspace k, in the units of y^2. Their
        sum and ``spectrum.outside`` are the error of `learning_curve`.
    shares : ndarray, shape (..., k)
        E f_k g_k / E g_k^2: 0 before the eigenspace is learnt, 1 after.

    Examples
    --------
    >>> two = Spectrum([1.0, 1e-4], [10, 1000], [1.0, 1.0])
    >>> errors, shares = degree_curves(two, 200, 1e-3)
    >>> shares.round(2)  # the first is learnt
    array([1.  , 0.19])
    >>> bool(np.isclose(errors.sum(), learning_curve(two, 200, 1e-3)))
    True
    """
    _checks.instance("spectrum", spectrum, Spectrum)
    whole = learning_curve(spectrum, n, ridge) + spectrum.noise  # also checks n and ridge
    each = np.asarray(whole / _checks.real_array("n", n))[..., None]
    kappa = np.asarray(effective_ridge(spectrum, n, ridge))[..., None]
    total = spectrum.eigenvalues + kappa
    shares, missing = spectrum.eigenvalues / total, kappa / total
    errors = spectrum.second_moment * missing**2 + spectrum.multiplicity * shares**2 * each
    return errors, shares  # eq-wk-degree
