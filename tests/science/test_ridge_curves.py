"""Learning curves of a spectrum: against simulation, textbook cases, 40-digit arithmetic."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from twolayer import kernels
from twolayer.data import Parity, SingleIndex
from twolayer.kernels import arc_cosine
from twolayer.network import TwoLayer
from twolayer.theory.ridge_curves import (
    effective_ridge,
    learning_curve,
    optimal_curve,
    optimal_ridge,
    random_feature_curve,
    sign_accuracy,
)
from twolayer.theory.spectra import (
    Spectrum,
    feature_spectrum,
    kernel_spectrum,
    parity_spectrum,
)


def sphere(d, link=(0.3, 0.5, 1.0, 0.7), noise=0.0):
    return SingleIndex(d, link, noise, inputs="sphere")


def plain_kappa(s, n, ridge):
    """The effective ridge, by Brent's method on the equation as the literature has it."""

    def left(log_kappa):
        kappa = np.exp(log_kappa)
        dof = np.sum(s.multiplicity * s.eigenvalues / (s.eigenvalues + kappa))
        return dof + (ridge + s.tail) / kappa - n

    return np.exp(brentq(left, -80, 80, xtol=1e-14))


def plain_curve(s, n, ridge):
    kappa = plain_kappa(s, n, ridge)
    share = s.eigenvalues / (s.eigenvalues + kappa)
    bias = np.sum(s.second_moment * (kappa / (s.eigenvalues + kappa)) ** 2) + s.outside
    variance = np.sum(s.multiplicity * share**2) / n
    return (bias + s.noise) / (1 - variance) - s.noise


@st.composite
def spectra(draw):
    k = draw(st.integers(1, 5))

    def some(low, high):
        return np.array(draw(st.lists(st.floats(low, high), min_size=k, max_size=k)))

    tail, outside, noise = (draw(st.sampled_from([0.0, 0.3, 2.0])) for _ in range(3))
    return Spectrum(10 ** some(-6, 1), some(1, 500).round(), some(0, 2), tail, outside, noise)


samples, ridges = st.floats(2, 2000), st.floats(-4, 3).map(lambda v: 10**v)


@given(spectra(), samples, ridges)
def test_the_effective_ridge_solves_its_equation(s, n, ridge):
    kappa = float(effective_ridge(s, n, ridge))
    dof = np.sum(s.multiplicity * s.eigenvalues / (s.eigenvalues + kappa))
    assert dof + (ridge + s.tail) / kappa == pytest.approx(n, rel=1e-9)
    assert kappa == pytest.approx(plain_kappa(s, n, ridge), rel=1e-7)
    # 1 - variance is at least (ridge + tail) / (kappa n): what rounding of kappa is divided by
    loss = 1e-9 * kappa * n / (ridge + s.tail)
    assert learning_curve(s, n, ridge) == pytest.approx(plain_curve(s, n, ridge), rel=loss + 1e-9)


@settings(max_examples=30, deadline=None)
@given(spectra(), samples)
def test_the_best_ridge_is_best(s, n):
    best = optimal_curve(s, n)
    grid = np.logspace(-11, 6, 120) * s.eigenvalues.max()
    assert np.all(learning_curve(s, n, grid) >= best * (1 - 1e-6) - 1e-8 * s.noise)
    at = float(optimal_ridge(s, n))
    assert at >= 1e-12 * s.eigenvalues.max()
    if (
        s.second_moment.sum() > 0.01
    ):  # else infinite ridge is best, and the search ends at a large one
        assert learning_curve(s, n, at) == pytest.approx(best, rel=1e-5)


def test_the_best_ridge_by_another_search():
    s = Spectrum([1.0, 0.01], [10, 300], [1.0, 0.5], tail=0.2, outside=0.1, noise=0.5)
    for n in (40, 400):
        found = minimize_scalar(
            lambda v, n=n: plain_curve(s, n, np.exp(v)), bounds=(-12, 8), method="bounded"
        )
        assert optimal_curve(s, n) == pytest.approx(found.fun, rel=1e-8)
        assert optimal_ridge(s, n) == pytest.approx(np.exp(found.x), rel=1e-3)  # flat minimum


@settings(max_examples=30, deadline=None)
@given(spectra())
def test_tuned_ridge_never_loses_by_more_samples(s):
    curve = optimal_curve(s, np.geomspace(2, 3000, 25))
    assert np.all(np.diff(curve) <= 1e-6 * curve[:-1] + 1e-8 * s.noise)  # a finite range of ridges
    assert (
        curve[0] <= (s.second_moment.sum() + s.outside) * (1 + 1e-3) + 1e-8
    )  # no worse than predicting 0


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_least_squares_on_isotropic_features(noise):
    """Hastie et al. 2022, theorem 1: d/n = g; g/(1-g) noise; (1-1/g) power + noise/(g-1)."""
    d, power = 400, 1.3
    s = Spectrum([2.0], [d], [power], noise=noise)
    for n in (100, 300):
        g = d / n
        want = (1 - 1 / g) * power + noise / (g - 1)
        assert learning_curve(s, n, 1e-9) == pytest.approx(want, rel=1e-6)
    for n in (500, 1600):
        want = noise * (d / n) / (1 - d / n)
        assert learning_curve(s, n, 1e-9) == pytest.approx(want, rel=1e-6, abs=1e-9)
    if noise:  # the posterior mean under the prior of the coefficients: noise over their variance
        want = noise / (power / (2.0 * d))
        np.testing.assert_allclose(optimal_ridge(s, [100, 500, 1600]), want, rtol=1e-3)


def test_gaussian_features_by_simulation():
    """Mean over draws; the deterministic equivalent of Gaussian features is O(1/n) off."""
    lam, count, power = np.array([2.0, 0.3, 0.05]), [5, 40, 100], [1.0, 0.6, 0.3]
    noise, outside = 0.4, 0.2
    s = Spectrum(lam, count, power, outside=outside, noise=noise)
    scale = np.sqrt(np.repeat(lam, count))
    beta = np.sqrt(np.repeat(np.divide(power, count), count)) / scale
    for n, ridge in [(60, 1.0), (200, 3.0)]:
        errors = []
        for seed in range(30):
            rng = np.random.default_rng([11, n, seed])
            x = rng.standard_normal((n, len(scale))) * scale
            y = x @ beta + np.sqrt(noise + outside) * rng.standard_normal(n)
            fit = Ridge(alpha=ridge, fit_intercept=False).fit(x, y).coef_
            errors.append(np.sum((scale * (fit - beta)) ** 2) + outside)
        want = learning_curve(s, n, ridge)
        error = np.std(errors, ddof=1) / np.sqrt(30)
        assert abs(np.mean(errors) - want) < 3 * error + want / n
        assert 3 * error < 0.1 * want  # sharp enough to see a missing term


def test_a_tail_is_many_small_eigenvalues():
    """N eigenvalues tail/N act as ridge `tail`, with what power they hold outside, up to O(1/N)."""
    N, tail, outside = 10**7, 0.5, 0.3
    many = Spectrum([1.0, tail / N], [50, N], [1.0, outside], noise=0.2)
    one = Spectrum([1.0], [50], [1.0], tail=tail, outside=outside, noise=0.2)
    n = np.array([20, 50, 200])
    np.testing.assert_allclose(learning_curve(many, n, 0.4), learning_curve(one, n, 0.4), rtol=1e-4)
    np.testing.assert_allclose(optimal_curve(many, n), optimal_curve(one, n), rtol=1e-4)
    np.testing.assert_allclose(optimal_ridge(many, n), optimal_ridge(one, n), rtol=1e-2, atol=1e-4)


@given(spectra(), samples, ridges, st.floats(0.1, 10))
def test_units_and_what_is_not_seen(s, n, ridge, unit):
    """Eigenvalues carry the units of the ridge, powers those of y^2; unseen power acts as noise."""
    want = learning_curve(s, n, ridge)
    scaled = Spectrum(
        unit * s.eigenvalues,
        s.multiplicity,
        3 * s.second_moment,
        unit * s.tail,
        3 * s.outside,
        3 * s.noise,
    )
    assert learning_curve(scaled, n, unit * ridge) == pytest.approx(3 * want, rel=1e-6)
    noisy = Spectrum(
        s.eigenvalues, s.multiplicity, s.second_moment, s.tail, 0.0, s.noise + s.outside
    )
    assert learning_curve(noisy, n, ridge) + s.outside == pytest.approx(want, rel=1e-6, abs=1e-9)


def test_shapes_broadcast():
    s = Spectrum([1.0, 0.1], [3, 30], [1.0, 1.0], noise=0.1)
    n, ridge = np.array([[5.0], [50.0]]), np.array([0.1, 1.0, 10.0])
    curve = learning_curve(s, n, ridge)
    assert curve.shape == (2, 3)
    assert curve[1, 2] == pytest.approx(learning_curve(s, 50, 10.0), rel=1e-10)
    for law in (optimal_curve, optimal_ridge):
        assert law(s, n).shape == (2, 1)
        assert law(s, n)[1, 0] == pytest.approx(law(s, 50), rel=1e-10)
        assert np.ndim(law(s, 5)) == 0


def test_the_best_ridge_against_loud_noise():
    loud = Spectrum([1.0], [50], [1.0], noise=1e6)
    assert optimal_curve(loud, 20) == pytest.approx(1, rel=1e-4)  # nothing can be learnt
    assert optimal_curve(loud, 20) <= learning_curve(loud, 20, 1e12) + 1e-9


def test_zero_power_is_allowed():
    assert learning_curve(Spectrum([1.0], [5], [0.0]), 3, 1.0) == 0


def test_bad_samples_and_ridges():
    s = Spectrum([1.0], [5], [1.0])
    for law in (optimal_curve, optimal_ridge, lambda s, n: learning_curve(s, n, 1.0)):
        with pytest.raises(ValueError, match="n must be finite and >= 1e-50, got 0"):
            law(s, [5, 0])
        with pytest.raises(TypeError, match="n must hold real numbers"):
            law(s, "5")
    for ridge in (0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match=f"ridge must be finite and > 0, got {ridge}"):
            learning_curve(s, 5, ridge)


def test_accuracy_of_kernels_on_parities():
    """Simulations at several ridges, the best one on the test set: within 3 s.e. and 0.02.

    The Gaussian form of the deviation is an approximation of order 1/d.
    """
    data, kernel = Parity(30, 2), arc_cosine.with_bias()
    for n in (150, 400):
        found = []
        for seed in range(8):
            rng = np.random.default_rng([28, seed])
            (x, y), (z, truth) = data.sample(n, rng), data.sample(2000, rng)
            models = (KernelRidge(alpha=a, kernel="precomputed") for a in (1e-3, 0.1, 1.0, 10.0))
            outputs = [model.fit(kernel(x), y).predict(kernel(z, x)) for model in models]
            found.append(max(np.mean(np.sign(f) == truth) for f in outputs))
        want = sign_accuracy(parity_spectrum(kernel, data), n)
        assert 0.6 < want < 0.99
        error = np.std(found, ddof=1) / np.sqrt(8)
        assert abs(np.mean(found) - want) < 3 * error + 0.02


def plain_random_features(s, n, m, ridge):
    """As the paper has it, gamma by Brent's method."""

    def z(gamma):
        return s.multiplicity @ (s.eigenvalues / (s.eigenvalues + gamma)) + s.tail / gamma

    def left(log):
        g = np.exp(log)
        return n - z(g) - m * ridge / (g * (m - z(g)))  # kappa = gamma (m - z) / m

    def room(log):
        return m - z(np.exp(log)) - 1e-12 * m

    low = brentq(room, -80, 80, xtol=1e-14) if room(-80) < 0 else -80
    g = np.exp(brentq(left, low, 80, xtol=1e-15))
    kappa, share = g * (m - z(g)) / m, s.eigenvalues / (s.eigenvalues + g)
    q = s.multiplicity @ share**2
    bias = g / (s.eigenvalues + g) - kappa * s.eigenvalues / (s.eigenvalues + g) ** 2 * m / (m - q)
    down = 1 - (q * (m - 2 * z(g)) + z(g) ** 2) / (n * (m - q))
    return (s.second_moment @ bias + s.outside + s.noise) / down - s.noise


@settings(max_examples=60, deadline=None)
@given(spectra(), samples, samples, st.floats(-1, 3).map(lambda v: 10**v))
def test_random_features_as_the_paper_has_it(s, n, m, ridge):
    want = plain_random_features(s, n, m, ridge)
    assert random_feature_curve(s, n, m, ridge) == pytest.approx(want, rel=1e-5, abs=1e-9)


@given(spectra(), samples, ridges)
def test_infinitely_many_features_are_a_kernel(s, n, ridge):
    loss = 1e-9 * float(effective_ridge(s, n, ridge)) * n / (ridge + s.tail)
    want = learning_curve(s, n, ridge)
    got = random_feature_curve(s, n, 1e14, ridge)
    assert got == pytest.approx(want, rel=loss + 1e-6, abs=1e-9)


@given(spectra(), samples, samples, st.floats(-12, 3).map(lambda v: 10**v))
def test_random_features_at_any_ridge_and_shape(s, n, m, ridge):
    curve = random_feature_curve(s, np.array([[n], [m]]), np.array([m, n, n + 1]), ridge)
    assert curve.shape == (2, 3)
    assert np.isfinite(curve).all()
    assert np.all(curve >= -1e-9 * (1 + s.noise))
    assert curve[0, 0] == pytest.approx(random_feature_curve(s, n, m, ridge), rel=1e-9)


@given(spectra(), samples, samples, ridges, st.sampled_from([1e-12, 1e9]))
def test_units_of_random_features(s, n, m, ridge, unit):
    scaled = Spectrum(
        unit * s.eigenvalues, s.multiplicity, s.second_moment, unit * s.tail, s.outside, s.noise
    )
    want = random_feature_curve(s, n, m, ridge)
    got = random_feature_curve(scaled, n, m, unit * ridge)
    assert got == pytest.approx(want, rel=1e-6, abs=1e-9)


def test_the_peak_grows_as_one_over_the_root_of_the_ridge():
    """At n = m the denominator is of the order of sqrt(ridge); off it there is a limit."""
    s = kernel_spectrum(kernels.exponential, sphere(30, noise=0.1))
    ridge = np.logspace(-14, -8, 4)
    at = random_feature_curve(s, 300, 300, ridge)
    np.testing.assert_allclose(at[:-1] / at[1:], 10, rtol=0.01)
    for m in (150, 600):
        off = random_feature_curve(s, 300, m, ridge)
        np.testing.assert_allclose(off, off[0], rtol=1e-3)
        assert np.all(off < at[-1] / 100)


def test_random_features_of_gaussian_directions_draw_by_draw():
    """Given the features, ridge regression on them: `learning_curve` of their own covariance."""
    lam, count, power = np.array([1.0, 0.2, 0.01]), np.array([4, 30, 400]), [1.0, 0.7, 0.5]
    s = Spectrum(lam, count, power, noise=0.3)
    root = np.sqrt(np.repeat(lam, count))[:, None]
    beta = np.sqrt(np.repeat(power / count, count))  # of the orthonormal functions
    for m, n, ridge in [(60, 150, 1e-3), (150, 60, 1e-3), (100, 100, 0.3), (400, 100, 1.0)]:
        errors = []
        for seed in range(12):
            rng = np.random.default_rng([36, m, n, seed])
            A = root * rng.standard_normal((len(root), m)) / math.sqrt(m)
            left, singular, _ = np.linalg.svd(A, full_matrices=False)
            seen = (left.T @ beta) ** 2
            own = Spectrum(singular**2, np.ones(m), seen, 0.0, np.sum(power) - seen.sum(), 0.3)
            errors.append(learning_curve(own, n, ridge))
        want = random_feature_curve(s, n, m, ridge)
        error = np.std(errors, ddof=1) / math.sqrt(12)
        assert abs(np.mean(errors) - want) < 3.5 * error + 2 * want / min(n, m)
        assert error < 0.04 * want


def test_random_relu_features_draw_by_draw():
    """`feature_spectrum` of drawn layers at Gaussian inputs against the kernel's own spectrum."""
    d, m = 20, 120
    data = SingleIndex(d, (0.0, 0.5, 1.0), noise=0.3)
    s, layers = kernel_spectrum(arc_cosine, data), []
    for seed in range(12):
        W = np.random.default_rng([37, seed]).standard_normal((m, d)) / math.sqrt(d)
        layers.append(feature_spectrum(TwoLayer(W, np.ones(m), "relu"), data))
    for n, ridge in [(60, 0.1), (100, 0.01), (400, 0.01)]:
        errors = [learning_curve(own, n, ridge) for own in layers]
        want = random_feature_curve(s, n, m, ridge)
        error = np.std(errors, ddof=1) / math.sqrt(12)
        assert abs(np.mean(errors) - want) < 3.5 * error + want / d
        assert error < 0.05 * want


def test_bad_random_features():
    s = Spectrum([1.0], [5], [1.0])
    for arguments, words in [
        ((0, 5, 1.0), "n must be finite and >= 1e-50, got 0"),
        ((5, 0, 1.0), "m must be finite and > 0, got 0"),
        ((5, 5, 0.0), "ridge must be finite and > 0, got 0"),
        ((5, [5, 6], [-1.0, 1.0]), "ridge must be finite and > 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=words):
            random_feature_curve(s, *arguments)


# --- to forty digits


def exact_root(rising):
    """Where a rising function of a positive number changes its sign, by bisection in log."""
    low, high = mpmath.mpf(-900), mpmath.mpf(60)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(mpmath.exp(middle)) > 0 else (middle, high)
    return mpmath.exp((low + high) / 2)


def exact(s):
    """(l, N, P) of each eigenspace, and tail, outside, noise, as numbers of many digits."""
    lists = zip(s.eigenvalues, s.multiplicity, s.second_moment, strict=True)
    return [tuple(map(mpmath.mpf, map(float, v))) for v in lists], *map(
        mpmath.mpf, (s.tail, s.outside, s.noise)
    )


def exact_learning_curve(s, n, ridge, dps=60):
    """As in the docstring: with differences."""
    with mpmath.workdps(dps):
        spaces, tail, outside, noise = exact(s)
        n, ridge = mpmath.mpf(n), mpmath.mpf(ridge) + tail
        kappa = exact_root(lambda v: n - sum(N * x / (x + v) for x, N, _ in spaces) - ridge / v)
        bias = sum(P * (kappa / (x + kappa)) ** 2 for x, _, P in spaces) + outside
        second = sum(N * (x / (x + kappa)) ** 2 for x, N, _ in spaces)
        return float((bias + noise) / (1 - second / n) - noise)


def exact_random_features(s, n, m, ridge, dps=80):
    with mpmath.workdps(dps):
        spaces, tail, outside, noise = exact(s)
        n, m, ridge = mpmath.mpf(n), mpmath.mpf(m), mpmath.mpf(ridge)

        def fitted(g):
            return sum(N * x / (x + g) for x, N, _ in spaces) + tail / g

        def excess(g):
            z = fitted(g)
            return -1 if z >= min(n, m) else (n - z) * (m - z) * g - m * ridge

        g = exact_root(excess)
        z, q = fitted(g), sum(N * (x / (x + g)) ** 2 for x, N, _ in spaces)
        kappa = g * (m - z) / m
        parts = [g / (x + g) - kappa * x / (x + g) ** 2 * m / (m - q) for x, _, _ in spaces]
        bias = sum(P * v for (_, _, P), v in zip(spaces, parts, strict=True))
        down = 1 - (q * (m - 2 * z) + z * z) / (n * (m - q))
        return float((bias + outside + noise) / down - noise)


CASES = {
    "flat": Spectrum([1.0], [50], [1.0]),
    "noisy": Spectrum([1.0, 0.1], [10, 40], [1.0, 0.5], noise=0.1),
    "gap": Spectrum([1.0, 1e-20], [50, 1000], [1.0, 0.3]),
    "tail": Spectrum([1.0, 0.1, 0.01], [10, 40, 400], [1.0, 1.0, 1.0], tail=0.1, noise=0.1),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ridge", [1e-2, 1e-12, 1e-22, 1e-30, 1e-60])
def test_learning_curves_at_the_peak_and_any_ridge(name, ridge):
    """At n = 50 as many samples as (leading) features: 1 - second/n lost all digits there."""
    for n in (25, 50, 120):
        want = exact_learning_curve(CASES[name], n, ridge, dps=150)
        assert learning_curve(CASES[name], n, ridge) == pytest.approx(want, rel=1e-10)


def test_least_squares_without_noise_at_as_many_samples_as_features():
    """kappa = sqrt(ridge/50) and error = kappa/2: 7.07e-17, not infinite."""
    assert learning_curve(CASES["flat"], 50, 1e-30) == pytest.approx(math.sqrt(1e-30 / 50) / 2)
    noisy = Spectrum([1.0], [50], [1.0], noise=0.1)
    assert learning_curve(noisy, 50, 1e-30) == pytest.approx(0.1 / (2 * math.sqrt(1e-30 / 50)))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ridge", [1e-2, 1e-12, 1e-22, 1e-30, 1e-60])
def test_random_features_at_the_peak_and_any_ridge(name, ridge):
    """Below 1e-22 the peak n = m ended, and below 1e-30 errors were negative."""
    for n, m in [(30, 30), (30, 31), (50, 50), (300, 300), (50, 300), (300, 50), (20, 200)]:
        want = exact_random_features(CASES[name], n, m, ridge, dps=250)
        got = random_feature_curve(CASES[name], n, m, ridge)
        assert got == pytest.approx(want, rel=1e-10), (n, m)


def test_random_features_keep_eigenvalues_far_below_the_effective_ridge():
    """10^23 of them at a share below rounding: 1 - (1 - share) was 0, and the error 0.5 % off."""
    s = kernel_spectrum(arc_cosine, SingleIndex(1000, (0.3, 0.5, 1.0, 0.7), 0.2))
    for n, m in [(500, 63245), (3000, 6000)]:
        want = exact_random_features(s, n, m, 1e-3)
        assert random_feature_curve(s, n, m, 1e-3) == pytest.approx(want, rel=1e-11)


def test_effective_ridge_without_a_ridge():
    s = CASES["noisy"]
    assert effective_ridge(s, [50, 60], 0.0).tolist() == [0.0, 0.0]
    kappa = effective_ridge(s, 20, 0.0)
    assert s.multiplicity @ (s.eigenvalues / (s.eigenvalues + kappa)) == pytest.approx(20)
    assert effective_ridge(s, 100, 1e-305) == pytest.approx(1e-305 / 50)
    with pytest.raises(ValueError, match="ridge must be finite and >= 0, got -1"):
        effective_ridge(s, 5, -1.0)


def test_accuracy_where_nearly_all_is_fitted():
    """The deviation is sqrt(error - (1 - share)^2), written without the difference."""
    s = Spectrum([1.0, 1e-9], [50, 1000], [0.0, 1.0])
    kappa = np.exp(np.linspace(np.log(effective_ridge(s, 40, 1e-12)), np.log(2e3), 400))
    values = []
    for v in kappa:
        with mpmath.workdps(50):
            v = mpmath.mpf(float(v))
            share = mpmath.mpf(1e-9) / (mpmath.mpf(1e-9) + v)
            second = 50 / (1 + v) ** 2 + 1000 * share**2
            if second < 40:
                rest = (1 - share) ** 2 * (1 / (1 - second / 40) - 1)
                values.append(float(mpmath.ncdf(share / mpmath.sqrt(rest))))
    assert sign_accuracy(s, 40) == pytest.approx(max(values), abs=1e-6)


@pytest.mark.parametrize("ridge", [1e-176, 1e-180, 1e-250, 1e-300])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (1050, 3000), (2000, 2000), (30, 80)])
def test_random_features_at_the_smallest_ridges_end(n, m, ridge):
    """It once searched for ever; beyond the peak nothing depends on so small a ridge."""
    error = float(random_feature_curve(Spectrum([1.0], [50], [1.0], noise=0.1), n, m, ridge))
    assert error > 0
    if n not in (50, m):
        near = random_feature_curve(Spectrum([1.0], [50], [1.0], noise=0.1), n, m, 1e-60)
        assert error == pytest.approx(float(near), rel=1e-9)
