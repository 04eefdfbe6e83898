"""Learning curves of kernels degree by degree."""

from twolayer import _checks
from twolayer.theory.ridge_curves import _samples

__all__ = ["degree_curves"]


def degree_curves(spectrum, n, ridge):
    """Test error of ridge regression in each eigenspace, and how much of the target it has there.

    Parameters
    ----------
    spectrum : Spectrum
    n : array_like
        Samples, > 0.
    ridge : array_like
        > 0, added to the sum of squares; broadcasts with `n`.

    Returns
    -------
    errors : ndarray, shape (..., k)
        E (f_k - g_k)^2 for the parts of fit and target in eigenspace k, in the units of y^2. Their
        sum and ``spectrum.outside`` are the error of `learning_curve`.
    shares : ndarray, shape (..., k)
        E f_k g_k / E g_k^2: 0 before the eigenspace is learnt, 1 after.

    Raises
    ------
    ValueError
        If an entry is not finite or not positive.

    Notes
    -----
    With s_k = l_k / (l_k + kappa), kappa as in `learning_curve` and E the test error with the label
    noise, shares are s_k and errors P_k (1 - s_k)^2 + N_k s_k^2 E / n: what is not learnt yet, and
    what unlearnt power and noise leave behind there. On the sphere an eigenspace is a degree (see
    `Spectrum.degrees`), and `degree_errors` measures the same. Canatar, Bordelon & Pehlevan 2021.

    Examples
    --------
    >>> two = Spectrum([1.0, 1e-4], [10, 1000], [1.0, 1.0])
    >>> errors, shares = degree_curves(two, 200, 1e-3)
    >>> shares.round(2)  # the first is learnt
    array([1.  , 0.19])
    >>> bool(np.isclose(errors.sum(), learning_curve(two, 200, 1e-3)))
    True
    """
    n, ridge = _samples(n), _checks.real_array("ridge", ridge, minimum=0, strict=True)
    kappa = spectrum._kappa(n, ridge)
    total = (spectrum._error(n, kappa) + spectrum.noise) / n
    shares = spectrum.eigenvalues / (spectrum.eigenvalues + kappa[..., None])
    spread = spectrum.multiplicity * shares**2 * total[..., None]
    return spectrum.second_moment * (1 - shares) ** 2 + spread, shares
