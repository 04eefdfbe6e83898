"""Kernels degree by degree, and the simulations of the chapter, against theory."""

import math

import numpy as np
import pytest
from hypothesis import given
from scipy.special import eval_legendre
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from twolayer import kernels
from twolayer.data import MultiIndex, SingleIndex
from twolayer.kernels import arc_cosine, polynomial, relu_ntk
from twolayer.simulation.what_kernels_miss import degree_errors, run, run_features
from twolayer.theory.ridge_curves import (
    effective_ridge,
    learning_curve,
    optimal_curve,
    random_feature_curve,
)
from twolayer.theory.spectra import (
    Spectrum,
    kernel_spectrum,
)
from twolayer.theory.what_kernels_miss import degree_curves

from .test_ridge_curves import plain_kappa, ridges, samples, spectra

MIXED = (0.3, 0.5, 1.0, 0.7)  # mean, odd and even parts


def sphere(d, link=MIXED, noise=0.0):
    return SingleIndex(d, link, noise, inputs="sphere")


@pytest.mark.parametrize(
    ("kernel", "data"),
    [
        (relu_ntk.with_bias(), SingleIndex(16, (0.5, 1.0, 1.0), noise=0.5)),
        (arc_cosine, MultiIndex(16, MIXED, r=2)),
        (polynomial(2), MultiIndex(16, MIXED, r=2, noise=1.0)),
    ],
)
def test_kernel_ridge_by_simulation(kernel, data):
    """Mean test errors of scikit-learn's KernelRidge, within 3 s.e. and a relative 1/d."""
    s = kernel_spectrum(kernel, data)
    for n, ridge, seeds in [(32, 1.0, 30), (128, 1.0, 14), (384, 3.0, 8)]:
        errors = []
        for seed in range(seeds):
            rng = np.random.default_rng([9, n, seed])
            x, y = data.sample(n, rng)
            new = rng.standard_normal((1200, data.d))
            model = KernelRidge(alpha=ridge, kernel="precomputed").fit(kernel(x), y)
            errors.append(np.mean((model.predict(kernel(new, x)) - data.target(new)) ** 2))
        want = learning_curve(s, n, ridge)
        error = np.std(errors, ddof=1) / np.sqrt(seeds)
        assert abs(np.mean(errors) - want) < 3 * error + want / data.d
        assert error < 0.1 * want


def test_simulate_and_learning_curve_take_the_same_setting():
    """One config, two routes, label noise included: within 3 s.e. and the spread of the norms.

    The equivalent takes every sample for typical; |x|^2/d has the variance 2/d.
    """
    data, kernel, n = SingleIndex(16, (0.0, 0.5, 1.0), noise=0.5), arc_cosine.with_bias(), 200
    errors = [run(kernel, data, n, np.random.default_rng([27, k])) for k in range(12)]
    want = optimal_curve(kernel_spectrum(kernel, data), n)
    error = np.std(errors, ddof=1) / np.sqrt(12)
    assert abs(np.mean(errors) - want) < 3 * error + want * 2 / 16
    assert np.mean(errors) < 0.5 * learning_curve(kernel_spectrum(kernel, data), n, 100.0)


def test_simulate_on_the_sphere():
    """All norms are equal, and what is left of the theory's error is O(1/n)."""
    data, kernel, n = sphere(16, (0.0, 0.5, 1.0), noise=0.5), kernels.exponential, 200
    errors = [run(kernel, data, n, np.random.default_rng([31, k])) for k in range(16)]
    want = optimal_curve(kernel_spectrum(kernel, data), n)
    error = np.std(errors, ddof=1) / 4
    assert abs(np.mean(errors) - want) < 3 * error + 4 * want / n
    assert error < 0.05 * want


@given(spectra(), samples, ridges)
def test_errors_of_eigenspaces_sum_to_the_learning_curve(s, n, ridge):
    errors, shares = degree_curves(s, n, ridge)
    loss = 1e-9 * float(effective_ridge(s, n, ridge)) * n / (ridge + s.tail)
    want = learning_curve(s, n, ridge)
    assert errors.sum() + s.outside == pytest.approx(want, rel=loss + 1e-9, abs=1e-9)
    kappa = plain_kappa(s, n, ridge)
    np.testing.assert_allclose(shares, s.eigenvalues / (s.eigenvalues + kappa), rtol=1e-6)


def test_eigenspaces_of_gaussian_features_by_simulation():
    """Errors and shares of each, within 3.5 s.e. (12 numbers) and a relative 1/n."""
    lam, count, power = np.array([2.0, 0.3, 0.05]), [5, 40, 100], np.array([1.0, 0.6, 0.3])
    noise, outside, seeds = 0.4, 0.2, 60
    s = Spectrum(lam, count, power, outside=outside, noise=noise)
    scale, blocks = np.sqrt(np.repeat(lam, count)), np.cumsum([0, 5, 40])
    beta = np.sqrt(np.repeat(np.divide(power, count), count)) / scale
    for n, ridge in [(60, 1.0), (200, 3.0)]:
        errors, shares = [], []
        for seed in range(seeds):
            rng = np.random.default_rng([32, n, seed])
            x = rng.standard_normal((n, len(scale))) * scale
            y = x @ beta + np.sqrt(noise + outside) * rng.standard_normal(n)
            fit = Ridge(alpha=ridge, fit_intercept=False).fit(x, y).coef_
            errors.append(np.add.reduceat((scale * (fit - beta)) ** 2, blocks))
            shares.append(np.add.reduceat(scale**2 * fit * beta, blocks) / power)
        for got, want in zip((errors, shares), degree_curves(s, n, ridge), strict=True):
            error = np.std(got, axis=0, ddof=1) / math.sqrt(seeds)
            assert np.all(abs(np.mean(got, axis=0) - want) < 3.5 * error + want / n)
            assert np.all(error < 0.1 * want)


def dual(kernel, x, y, ridge):
    return KernelRidge(alpha=ridge, kernel="precomputed").fit(kernel(x), y).dual_coef_


@pytest.mark.parametrize(
    "kernel", [kernels.exponential, arc_cosine, polynomial(3)], ids=lambda v: v.name
)
def test_degrees_of_a_predictor_by_quadrature_on_the_sphere_in_three_dimensions(kernel):
    """Projections with Legendre polynomials on a grid that is exact to degree 47."""
    data, points = sphere(3, noise=0.1), 24
    height, w = np.polynomial.legendre.leggauss(points)
    turn = 2 * np.pi * np.arange(2 * points) / (2 * points)
    round_, flat = np.sqrt(1 - height**2)[:, None], height[:, None] * np.ones_like(turn)
    grid = math.sqrt(3) * np.stack([round_ * np.cos(turn), round_ * np.sin(turn), flat], -1)
    grid, w = grid.reshape(-1, 3), np.repeat(w / w.sum() / (2 * points), 2 * points)
    x, y = data.sample(9, np.random.default_rng(33))
    c = dual(kernel, x, y, 0.1)
    errors, shares = degree_errors(kernel, data, x, c, degree=6)
    f, g = kernel(grid, x) @ c, data.target(grid)
    cosines = np.clip(grid @ grid.T / 3, -1, 1)
    for k in range(7):
        P = (2 * k + 1) * eval_legendre(k, cosines)
        fk, gk = P @ (w * f), P @ (w * g)
        tol = 1e-4 if kernel is arc_cosine else 1e-11  # kinks (1 - u)^{3/2}, steps of 0.13
        assert errors[k] == pytest.approx(w @ (fk - gk) ** 2, abs=tol)
        if k < 4:
            assert shares[k] == pytest.approx(w @ (fk * gk) / (w @ gk**2), abs=3 * tol)
        else:
            assert np.isnan(shares[k])
    if kernel is arc_cosine:
        assert shares[3] == 0
        assert errors[3] == pytest.approx(w @ gk**2 + kernel_spectrum(kernel, data).outside)


def test_degrees_of_a_predictor_sum_to_its_test_error():
    """Within 4 standard errors of a test set; several predictors at once."""
    data, kernel = sphere(12, (0.2, 0.6, 0.6, 0.5), noise=0.3), kernels.exponential
    rng = np.random.default_rng(34)
    (x, y), (new, _) = data.sample(150, rng), data.sample(200_000, rng)
    c = np.array([dual(kernel, x, y, ridge) for ridge in (1e-3, 1e-1)])
    errors, shares = degree_errors(kernel, data, x, c)
    assert errors.shape == shares.shape == (2, 11)
    for i in range(2):
        squares = (kernel(new, x) @ c[i] - data.target(new)) ** 2
        error = squares.std() / math.sqrt(len(new))
        assert abs(errors[i].sum() - squares.mean()) < 4 * error
        assert error < 0.01 * squares.mean()
        alone = degree_errors(kernel, data, x, c[i], degree=4)
        np.testing.assert_allclose(alone[0], errors[i, :5], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(alone[1], shares[i, :5], rtol=1e-9)


def test_degrees_of_kernel_ridge_by_simulation():
    """Means over draws against theory: within 3.5 s.e. (20 numbers) and a relative 2/d.

    The equivalent is asymptotic. What it leaves out is largest where a degree is nearly learnt.
    """
    d, kernel, seeds = 20, kernels.exponential, 40
    data = sphere(d, (0.0, 0.6, 0.6, 0.5), noise=0.3)
    s = kernel_spectrum(kernel, data)
    for n, ridge in [(60, 1e-2), (300, 1e-2), (300, 1.0)]:
        found = []
        for seed in range(seeds):
            x, y = data.sample(n, np.random.default_rng([35, n, seed]))
            found.append(degree_errors(kernel, data, x, dual(kernel, x, y, ridge), degree=3))
        want = degree_curves(s, n, ridge)
        for which in range(2):
            got, expected = np.array([v[which][1:] for v in found]), want[which][1:4]
            error = got.std(0, ddof=1) / math.sqrt(seeds)
            slack = 2 / d * np.maximum(expected, 0.1 * s.second_moment[1:4].mean())
            assert np.all(abs(got.mean(0) - expected) < 3.5 * error + slack)


def test_bad_predictors():
    data, kernel = sphere(5), kernels.exponential
    x, y = data.sample(4, np.random.default_rng(0))
    off = x.copy()
    off[2] *= 1 + 1e-7
    with pytest.raises(ValueError, match=r"x: row 2 has norm 2\.2360682; it must be sqrt\(d\) = 2"):
        degree_errors(kernel, data, off, y)
    off[2] = x[2] * (1 + 1e-10)
    degree_errors(kernel, data, off, y)
    for arguments, error, words in [
        ((np.dot, data, x, y), TypeError, "kernel=.* must be a RotationInvariant"),
        ((kernel, MultiIndex(5, "he2"), x, y), TypeError, "data=.* must be a SingleIndex"),
        ((kernel, SingleIndex(5, "he2"), x, y), ValueError, "inputs='gaussian' must be 'sphere'"),
        ((kernel, sphere(2), x[:, :2], y), ValueError, "d=2 must be an integer >= 3"),
        ((kernel, data, x[:, :4], y), ValueError, r"x has shape \(4, 4\); it must be \(n, 5\)"),
        ((kernel, data, x, y[:3]), ValueError, r"coefficients has shape \(3,\); it must be \(4,\)"),
        ((kernel, data, x, y[None, None]), ValueError, r"coefficients has shape \(1, 1, 4\)"),
        ((kernel, data, x, y * np.nan), ValueError, "coefficients must be finite"),
    ]:
        with pytest.raises(error, match=words):
            degree_errors(*arguments)
    with pytest.raises(ValueError, match="degree=159 must be an integer between 1 and 158"):
        degree_errors(kernel, data, x, y, degree=159)


@pytest.mark.parametrize("inputs", ["sphere", "gaussian"])
def test_random_relu_features_by_simulation(inputs):
    """Within 3.5 s.e. and a relative 2/d; several ridges of one draw."""
    d, n, seeds = 20, 200, 16
    data = SingleIndex(d, (0.0, 0.6, 0.6, 0.5), 0.3, inputs)
    s, ridge = kernel_spectrum(arc_cosine, data), np.array([0.01, 0.1])
    for m in (60, 200, 600):
        rngs = (np.random.default_rng([38, m, k]) for k in range(seeds))
        errors = np.array([run_features(data, n, m, ridge, rng, n_test=1500) for rng in rngs])
        want = random_feature_curve(s, n, m, ridge)
        error = errors.std(0, ddof=1) / math.sqrt(seeds)
        assert np.all(abs(errors.mean(0) - want) < 3.5 * error + 2 * want / d)
        assert np.all(error < 0.1 * want)


def test_units_of_the_ridge_in_the_simulation_of_features(rng):
    """A constant target half fitted: one eigenvalue against the ridge, all features alike."""
    data, n, m = sphere(20, (1.0,)), 400, 2000
    s = kernel_spectrum(arc_cosine, data)
    ridge = n * s.eigenvalues[0]
    want = random_feature_curve(s, n, m, ridge)
    assert want == pytest.approx(0.25, rel=0.05)
    # E relu varies over the neurons by 1/sqrt(d) of itself at most, over m of them and n samples
    assert run_features(data, n, m, [ridge], rng)[0] == pytest.approx(want, rel=0.05)


def test_relu_features_without_bias_never_learn_a_cubic_part(rng):
    """Exactly: of the odd degrees they have the first only. The square they do learn."""
    data = sphere(5, (0.0, 0.0, 0.0, 1.0))
    unseen = kernel_spectrum(arc_cosine, data).outside
    errors = run_features(data, 1000, 500, [1e-3, 0.1], rng)
    assert unseen > 0.2
    assert np.all(errors > 0.9 * unseen)  # of a test set of 3000
    assert run_features(sphere(5, "he2"), 1000, 500, [1e-3], rng)[0] < 0.02


def test_bad_simulations_of_features(rng):
    for arguments, n_test, words in [
        ((5, 0, [1.0]), 9, "m=0"),
        ((0, 5, [1.0]), 9, "n=0"),
        ((5, 5, [0.0]), 9, "ridges must be finite and > 0"),
        ((5, 5, [1.0]), 0, "n=0"),
    ]:
        with pytest.raises(ValueError, match=words):
            run_features(sphere(4), *arguments, rng, n_test=n_test)


def test_degrees_of_a_sign_without_a_fit():
    """No predictor at all: its errors are the target's second moments, the jump in the middle."""
    d = 1000
    data = sphere(d, "sign")
    x, _ = data.sample(2, np.random.default_rng(0))
    errors, shares = degree_errors(kernels.exponential, data, x, np.zeros(2), degree=3)
    linear = d * (gamma_ratio(d) / math.sqrt(math.pi) * 2 / (d - 1)) ** 2  # (d E|u|)^2 / d
    assert errors[1] == pytest.approx(linear, rel=1e-12)
    assert abs(errors[1] - 2 / math.pi) < 1e-3  # was 0.5 % above
    assert shares[1] == 0
    with pytest.raises(ValueError, match="quadrature does not converge"):
        degree_errors(kernels.exponential, sphere(d, np.sign), x, np.zeros(2), degree=3)


def gamma_ratio(d):
    """Gamma(d/2) / Gamma((d-1)/2)."""
    return math.exp(math.lgamma(d / 2) - math.lgamma((d - 1) / 2))
