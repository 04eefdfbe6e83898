"""Learning curves of fixed features: against simulation, brute-force quadrature, textbook cases."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import comb, eval_gegenbauer, eval_legendre, gamma, gammaln, ive, ndtr
from scipy.stats import norm
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from twolayer import kernels
from twolayer.data import MultiIndex, Parity, SingleIndex, as_link
from twolayer.hermite import coefficients, expectation
from twolayer.kernels import RotationInvariant, arc_cosine, polynomial, relu_ntk
from twolayer.network import TwoLayer
from twolayer.simulation.what_kernels_miss import (
    degree_errors,
)
from twolayer.simulation.what_kernels_miss import (
    run as simulate,
)
from twolayer.simulation.what_kernels_miss import (
    run_features as simulate_features,
)
from twolayer.theory.ridge_curves import (
    learning_curve,
    optimal_curve,
    optimal_ridge,
    random_feature_curve,
    sign_accuracy,
)
from twolayer.theory.spectra import (
    Spectrum,
    feature_moments,
    feature_spectrum,
    kernel_spectrum,
    parity_spectrum,
    relu_moments,
)
from twolayer.theory.what_kernels_miss import degree_curves

MIXED = (0.3, 0.5, 1.0, 0.7)  # mean, odd and even parts
exponential = RotationInvariant("exponential", lambda s, t, c: np.exp(s * t * c / 2))


# --- the curve of a spectrum


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
    kappa = float(s._kappa(n, ridge))
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


# --- the spectrum of a kernel


def product_rule(d, points):
    """Gauss-Hermite's product rule: exact for polynomials of degree 2 points - 1."""
    z, w = np.polynomial.hermite_e.hermegauss(points)
    x = np.stack(np.meshgrid(*[z] * d, indexing="ij"), -1).reshape(-1, d)
    w = np.stack(np.meshgrid(*[w] * d, indexing="ij"), -1).reshape(-1, d).prod(1)
    return x, w / w.sum()


def brute_force(kernel, data, points):
    """Eigenvalues and target powers one by one, from the kernel on a grid in d dimensions."""
    x, w = product_rule(data.d, points)
    lam, vectors = np.linalg.eigh(np.sqrt(w)[:, None] * kernel(x) * np.sqrt(w))
    return lam[::-1], ((vectors.T @ (np.sqrt(w) * data.target(x))) ** 2)[::-1]


def assert_same_spectrum(s, lam, power, top, tol):
    """The same eigenvalues down to `top`, and the same target power for each of them."""
    seen = 0
    for value in np.unique(s.eigenvalues[s.eigenvalues > top].round(8)):
        mine, near = abs(s.eigenvalues - value) < 20 * tol, abs(lam - value) < 20 * tol
        assert near.sum() == round(s.multiplicity[mine].sum())
        assert np.ptp([*lam[near], *s.eigenvalues[mine]]) < tol
        assert power[near].sum() == pytest.approx(s.second_moment[mine].sum(), abs=10 * tol)
        seen += near.sum()
    assert seen == (lam > top).sum()


@pytest.mark.parametrize(
    ("kernel", "data", "points"),
    [
        (polynomial(3, 0.7), SingleIndex(3, MIXED), 8),
        (polynomial(3, 0.7), MultiIndex(3, MIXED, r=2), 8),
        (polynomial(2), MultiIndex(3, MIXED, r=3), 8),
        (polynomial(4), MultiIndex(3, (*MIXED, 0.9), r=3), 8),
        (polynomial(2).with_bias(0.6), MultiIndex(4, MIXED, r=2), 5),
    ],
)
def test_polynomial_kernels_on_a_grid(kernel, data, points):
    """All expectations are of polynomials that the grid takes exactly."""
    lam, power = brute_force(kernel, data, points)
    s = kernel_spectrum(kernel, data)
    assert_same_spectrum(s, lam, power, 1e-9, 1e-9)
    x, w = product_rule(data.d, points)
    unseen = w @ data.target(x) ** 2 - power[lam > 1e-9].sum()
    assert s.outside == pytest.approx(unseen, abs=1e-8)
    assert s.tail < 1e-10


def test_a_kernel_of_all_degrees_on_a_grid():
    """exp(x.z/2d): entire, so that the grid's error falls below the tolerance."""
    data = MultiIndex(3, MIXED, r=2)
    lam, power = brute_force(exponential, data, 11)
    s = kernel_spectrum(exponential, data, radial=16)
    assert_same_spectrum(s, lam, power, 1e-3, 1e-6)
    assert len(s.eigenvalues) > 20  # a radial family for each degree


@pytest.mark.parametrize("d", [3, 7, 30])
def test_eigenvalues_of_the_arc_cosine_kernel_by_funk_hecke(d):
    """profile s t h(u): E s^2 = 1 times the mean of h against Gegenbauer's polynomial, P(1) = 1."""
    g = d / 2 - 1
    weight = gamma(d / 2) / gamma((d - 1) / 2) / math.sqrt(math.pi)
    want, counts = [], []
    for k in [0, 1, 2, 4, 6]:

        def integrand(u, k=k):
            P = eval_gegenbauer(k, g, u) / eval_gegenbauer(k, g, 1.0)
            return arc_cosine.profile(1.0, 1.0, u) * P * weight * (1 - u * u) ** ((d - 3) / 2)

        want.append(quad(integrand, -1, 1, epsabs=1e-14)[0])
        counts.append(comb(d + k - 1, k) - (comb(d + k - 3, k - 2) if k > 1 else 0))
    s = kernel_spectrum(arc_cosine, SingleIndex(d, "he2"), degree=6)
    kept = s.eigenvalues > 1e-11  # angular quadrature of (1 - u)^{3/2}: far below
    order = np.argsort(-s.eigenvalues[kept])
    by_size = np.argsort(want)[::-1]
    want, counts = np.array(want)[by_size], np.array(counts)[by_size]
    kept_want = want > 1e-11
    np.testing.assert_allclose(s.eigenvalues[kept][order], want[kept_want], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(s.multiplicity[kept][order], counts[kept_want], rtol=1e-9)
    assert s.tail == pytest.approx(0.5 - want @ counts, abs=2e-5)


def test_top_eigenvalues_of_gram_matrices():
    """Means over 6 draws of n = 600; eigenvalues of K/n are O(1/n) off."""
    d, n, seeds = 4, 600, 6
    for kernel in (relu_ntk.with_bias(0.8), arc_cosine.with_bias()):
        s = kernel_spectrum(kernel, SingleIndex(d, "he2"))
        full = np.sort(np.repeat(s.eigenvalues, s.multiplicity.astype(int)))[::-1]
        tops = []
        for seed in range(seeds):
            x = np.random.default_rng([5, seed]).standard_normal((n, d))
            tops.append(np.linalg.eigvalsh(kernel(x) / n)[::-1])
        tops = np.array(tops)
        groups = [tops[:, :1].sum(1), tops[:, 1 : 1 + d].sum(1), tops[:, 1 + d : 14].sum(1)]
        sums = [full[0], full[1 : 1 + d].sum(), full[1 + d : 14].sum()]  # degrees 0, 1; 0 and 2
        for got, want in zip(groups, sums, strict=True):
            error = np.std(got, ddof=1) / np.sqrt(seeds)
            assert abs(got.mean() - want) < 3.5 * error + full[0] / n


@pytest.mark.parametrize(
    ("kernel", "trace"),
    [
        (arc_cosine, lambda d: 1 / 2),
        (relu_ntk, lambda d: 1.0),
        (relu_ntk.with_bias(0.5), lambda d: 1 + 0.25),
        (polynomial(2, 0.5), lambda d: 0.25 + 1.0 + (1 + 2 / d)),
        (exponential, lambda d: (1 - 1 / d) ** (-d / 2)),
    ],
)
@pytest.mark.parametrize("d", [5, 60])
def test_eigenvalues_and_tail_sum_to_the_mean_diagonal(kernel, trace, d):
    few, many = (kernel_spectrum(kernel, SingleIndex(d, "he2"), degree=k) for k in (3, 30))
    for s in (few, many):
        total = s.eigenvalues @ s.multiplicity + s.tail
        assert total == pytest.approx(trace(d), rel=1e-5)
    assert many.tail < 0.9 * few.tail + 1e-9


@settings(max_examples=15, deadline=None)
@given(st.integers(3, 40), st.integers(1, 4), st.booleans())
def test_rank_of_a_polynomial_kernel(d, p, with_offset):
    s = kernel_spectrum(polynomial(p, 1.0 if with_offset else 0.0), SingleIndex(d, "he2"))
    rank = comb(d + p, p) if with_offset else comb(d + p - 1, p)  # monomials up to, or of, degree p
    assert s.multiplicity.sum() == pytest.approx(rank, rel=1e-9)
    assert s.tail < 1e-9 * s.eigenvalues.max() * rank


@pytest.mark.parametrize("d", [5, 50])
@pytest.mark.parametrize("r", [1, 2, 3])
@pytest.mark.parametrize("link", [MIXED, (0.8,), (0.0, 1.0), (0.0, 0.0, 1.0, 1.0), (1.0, 0, 0, 1)])
def test_power_sums_to_that_of_the_target(d, r, link):
    """Parseval over directions: r mean^2 + all other coefficients^2."""
    data = MultiIndex(d, link, r=r, noise=0.3) if r > 1 else SingleIndex(d, link, noise=0.3)
    c = np.array(link)
    want = np.sum(c**2) + (r - 1) * c[0] ** 2
    s = kernel_spectrum(polynomial(3), data)
    assert s.second_moment.sum() == pytest.approx(want, rel=1e-9)
    assert s.outside < 1e-9 * want
    assert s.noise == pytest.approx(0.09)
    low = kernel_spectrum(polynomial(1), data)  # sees the mean and the linear part
    seen = sorted([r * c[0] ** 2, np.sum(c[1:2] ** 2)])
    np.testing.assert_allclose(np.sort(low.second_moment), seen, atol=1e-9)
    assert low.outside == pytest.approx(np.sum(c[2:] ** 2), abs=1e-9)


@pytest.mark.parametrize("d", [6, 40])
@pytest.mark.parametrize("r", [1, 3])
def test_the_arc_cosine_kernel_sees_one_radial_function_a_degree(d, r):
    """c(s) = s: the projections of He_2 and He_3 are moments of s, zonal parts shared."""

    def moment(p):
        return (2 / d) ** (p / 2) * gamma((d + p) / 2) / gamma(d / 2)

    data = MultiIndex(d, (0.0, 0.0, 1.0), r=r)
    s = kernel_spectrum(arc_cosine, data, radial=120)  # s is no polynomial of s^2: slow at d = 6
    zonal = r * (moment(3) - moment(1)) ** 2 / 2  # E[He_2(z) s] / sqrt 2, as E[z^2 | s] = s^2
    assert s.second_moment[s.multiplicity == 1] == pytest.approx([zonal], rel=1e-4)
    # degree 2: d u^2 - 1 over its norm, times s^2, against s: E[d u^2 z^2] = s^2 E[d^2 u^4]
    spread = (3 * d / (d + 2) - 1) / 2 * moment(3) ** 2
    shared = 1 - (r - 1) / (d - 1)  # overlap of the degree-2 zonal functions of two axes
    second = s.second_moment[abs(s.multiplicity - (d + 2) * (d - 1) / 2) < 1e-6]
    assert second == pytest.approx([spread * shared], rel=1e-6)
    cubic = kernel_spectrum(arc_cosine, MultiIndex(d, (0.0, 0.5, 0.0, 1.0), r=r))
    assert cubic.second_moment.sum() == pytest.approx(
        0.25, rel=1e-9
    )  # no odd degree beyond the first
    assert cubic.outside == pytest.approx(1.0, rel=1e-9)


def test_multi_index_power_by_monte_carlo():
    """E f(x) f(x') s s' N_l P_l(cos): the power in degree l of the arc-cosine kernel, by pairs."""
    d, n, seeds, r = 9, 700, 20, 4
    data = MultiIndex(d, (0.0, 0.7, 1.5), r=r)
    s = kernel_spectrum(arc_cosine, data)
    for degree, count in [(1, d), (2, (d + 2) * (d - 1) / 2)]:
        means = []
        for seed in range(seeds):
            x, y = data.sample(n, np.random.default_rng([8, seed]))
            size = np.linalg.norm(x, axis=1)
            u = np.clip((x / size[:, None]) @ (x / size[:, None]).T, -1, 1)
            P = eval_gegenbauer(degree, d / 2 - 1, u) / eval_gegenbauer(degree, d / 2 - 1, 1.0)
            v = y * size / math.sqrt(d)
            np.fill_diagonal(P, 0)
            means.append(count * (v @ P @ v) / (n * (n - 1)))
        error = np.std(means, ddof=1) / np.sqrt(seeds)
        (want,) = s.second_moment[abs(s.multiplicity - count) < 1e-6]
        assert abs(np.mean(means) - want) < 3 * error
        assert 3 * error < 0.3 * want


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


# --- the spectrum of a first layer


def layer(m, d, seed, unit=False):
    rng = np.random.default_rng(seed)
    W, b = rng.standard_normal((m, d)), rng.standard_normal(m)
    if unit:
        W /= np.linalg.norm(W, axis=1, keepdims=True)
    return TwoLayer(W, rng.standard_normal(m), "relu", b)


@pytest.mark.parametrize(
    "data", [SingleIndex(4, MIXED), MultiIndex(4, MIXED, r=2), MultiIndex(4, MIXED, r=3)]
)
def test_moments_by_monte_carlo(data):
    """Each entry within 4.5 standard errors: 43 entries, so a false alarm in 3000 runs."""
    net, n = layer(6, 4, 1), 100_000
    covariance, cross, power = feature_moments(net, data)
    x, y = data.sample(n, np.random.default_rng(12))
    f = net.features(x).detach().numpy()
    for got, values in [
        (covariance.ravel(), np.einsum("ni,nj->nij", f, f).reshape(n, -1)),
        (cross, f * y[:, None]),
        (np.array([power]), y[:, None] ** 2),
    ]:
        error = values.std(0, ddof=1) / np.sqrt(n)
        assert np.all(abs(got - values.mean(0)) < 4.5 * error)
        assert np.all(error < 0.05 * abs(got) + 0.02)


def neuron_by_quadrature(w, b, link, axis):
    """E[relu(w.x + b) link(x_axis)]: the neuron's coordinate outside, split at its kink."""
    size = np.linalg.norm(w)
    rho = w[axis] / size
    z, p = np.polynomial.hermite_e.hermegauss(60)
    p = p / p.sum()

    def inner(t):
        return link(rho * t[:, None] + math.sqrt(1 - rho**2) * z) @ p

    return float(expectation(lambda t: np.maximum(size * t + b, 0) * inner(t), kinks=(-b / size,)))


def pair_by_quadrature(w, b, v, c):
    """E[relu(w.x + b) relu(v.x + c)]: of the second given the first in closed form."""
    nw, nv = np.linalg.norm(w), np.linalg.norm(v)
    rho = w @ v / (nw * nv)
    s = nv * math.sqrt(1 - rho**2)

    def inner(t):
        mean = nv * rho * t + c
        return mean * ndtr(mean / s) + s * norm.pdf(mean / s)

    return float(
        expectation(lambda t: np.maximum(nw * t + b, 0) * inner(t), (-b / nw,), n_nodes=250)
    )


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_moments_by_quadrature(seed, r):
    net = layer(3, 4, seed)
    W, b = net.W.detach().numpy(), net.b.detach().numpy()
    covariance, cross, power = feature_moments(net, MultiIndex(4, MIXED, r=r))
    unit = W / np.linalg.norm(W, axis=1, keepdims=True)
    link = as_link(MIXED)
    for i in range(3):
        want = sum(neuron_by_quadrature(W[i], b[i], link, j) for j in range(r)) / math.sqrt(3 * r)
        assert cross[i] == pytest.approx(want, abs=1e-9)
        own = expectation(
            lambda t, i=i: np.maximum(np.linalg.norm(W[i]) * t + b[i], 0) ** 2,
            (-b[i] / np.linalg.norm(W[i]),),
        )
        assert covariance[i, i] == pytest.approx(own / 3, rel=1e-9)
        for j in range(i):
            if abs(unit[i] @ unit[j]) < 0.95:  # beyond, the quadrature is rough
                want = pair_by_quadrature(W[i], b[i], W[j], b[j]) / 3
                assert covariance[i, j] == pytest.approx(want, abs=1e-6)
                assert covariance[j, i] == pytest.approx(want, abs=1e-6)
    c = np.array(MIXED)
    assert power == pytest.approx(np.sum(c**2) + (r - 1) * c[0] ** 2)


def test_without_biases_the_covariance_is_the_arc_cosine_kernel_of_the_weights(rng):
    W = rng.standard_normal((5, 30))
    net = TwoLayer(W, np.ones(5), "relu")
    covariance, _, _ = feature_moments(net, SingleIndex(30, "he2"))
    np.testing.assert_allclose(covariance, arc_cosine(W) * 30 / 5, rtol=1e-8)


@pytest.mark.parametrize("rho", [-1.0, -0.999, -0.8, -0.7001, -0.6999, 0.0, 0.69, 0.71, 0.99, 1.0])
def test_relu_moments_of_a_pair(rho):
    """Nearly parallel and opposite pairs too, which the large step makes; biases of both signs."""
    for h, k in ((0.7, -0.4), (0.0, 0.0), (-1.2, -0.3), (0.5, 0.5), (2.0, 0.0)):
        s = math.sqrt(max(1 - rho**2, 0))

        def second(t, k=k, s=s):
            mean = rho * t + k
            if s == 0:
                return np.maximum(mean, 0)
            return mean * ndtr(mean / s) + s * norm.pdf(mean / s)

        kinks = (-h, *([-k / rho] if abs(rho) > 0.9 else []))
        want = expectation(lambda t, h=h: np.maximum(t + h, 0) * second(t), kinks, n_nodes=400)
        got = relu_moments([[1.0, rho], [rho, 1.0]], [h, k])
        assert got[0, 1] == pytest.approx(want, abs=3e-8)
        assert got[1, 0] == pytest.approx(want, abs=3e-8)
        assert got[0, 0] == pytest.approx((1 + h * h) * ndtr(h) + h * norm.pdf(h), abs=1e-12)


@pytest.mark.parametrize("d", [10_000, 65_536])
def test_no_degree_is_lost_in_high_dimension(d):
    data = SingleIndex(d, (0, 0, 0.6, 0.8))
    for kernel in (polynomial(3), arc_cosine.with_bias()):
        s = kernel_spectrum(kernel, data)
        assert s.second_moment.sum() == pytest.approx(1, rel=1e-4)
        assert s.outside < 1e-4


def test_the_best_ridge_against_loud_noise():
    loud = Spectrum([1.0], [50], [1.0], noise=1e6)
    assert optimal_curve(loud, 20) == pytest.approx(1, rel=1e-4)  # nothing can be learnt
    assert optimal_curve(loud, 20) <= learning_curve(loud, 20, 1e12) + 1e-9


def test_only_kernels_of_norms_and_angles_and_open_neurons():
    with pytest.raises(TypeError, match="must be a RotationInvariant"):
        kernel_spectrum(np.dot, SingleIndex(5, "he2"))
    shut = TwoLayer(np.eye(2, 5), np.ones(2), "relu", [-60.0, -60.0])
    with pytest.raises(ValueError, match="no neuron of the network is open"):
        feature_spectrum(shut, SingleIndex(5, "he2"))


@pytest.mark.parametrize("link", ["tanh", "relu", "abs", "gelu"])
def test_links_that_are_no_polynomials(link):
    """Against quadrature for a neuron along the target's axis; the series ends at degree 40."""
    net = TwoLayer([[0.0, 2.0, 0.0], [1.5, 0.0, 0.0]], [1.0, 1.0], "relu", [0.0, 0.4])
    _, cross, power = feature_moments(net, SingleIndex(3, link))
    f = as_link(link)
    want = expectation(lambda z: np.maximum(1.5 * z + 0.4, 0) * f(z), (-0.4 / 1.5, 0.0))
    mean = coefficients(f, 0)[0]
    # coefficients of a function with a kink fall as k^(-5/4): the terms beyond k, as k^(-3/2)
    assert cross[1] * math.sqrt(2) == pytest.approx(want, abs=40**-1.5)
    assert cross[0] * math.sqrt(2) == pytest.approx(2 * mean / math.sqrt(2 * math.pi), abs=1e-12)
    assert power == pytest.approx(expectation(lambda z: f(z) ** 2, (0.0,)), abs=40**-1.5)


@pytest.mark.parametrize(("link", "degree", "want"), [("sign", 40, 1.0), ((0, 0, 0, 1.0), 2, 1.0)])
def test_power_does_not_depend_on_where_the_series_ends(link, degree, want):
    power = feature_moments(layer(3, 4, 0), SingleIndex(4, link), degree=degree)[2]
    assert power == pytest.approx(want, rel=1e-6)


def test_spectrum_of_a_layer_is_the_eigendecomposition_of_its_moments():
    data = MultiIndex(6, MIXED, r=2, noise=0.5)
    net = layer(12, 6, 3)
    covariance, cross, power = feature_moments(net, data)
    s = feature_spectrum(net, data)
    np.testing.assert_allclose(np.sort(s.eigenvalues), np.linalg.eigvalsh(covariance), rtol=1e-8)
    assert np.all(s.multiplicity == 1)
    explained = cross @ np.linalg.solve(covariance, cross)  # of the best readout
    assert s.second_moment.sum() == pytest.approx(explained, rel=1e-8)
    assert s.outside == pytest.approx(power - explained, rel=1e-8)
    assert s.noise == 0.25
    assert s.tail == 0
    many = learning_curve(s, 1e9, 1e-3)
    assert many == pytest.approx(s.outside, rel=1e-5)


def test_ridge_on_a_frozen_layer_by_simulation():
    """Scikit-learn's Ridge on random ReLU features, within 3 s.e. and a relative 1/d."""
    d, m = 16, 60
    data = MultiIndex(d, (0.0, 0.5, 1.0), r=2, noise=0.5)
    net = layer(m, d, 4, unit=True)
    s = feature_spectrum(net, data)
    for n, ridge, seeds in [(30, 0.1, 30), (100, 0.3, 20), (500, 0.01, 10)]:
        errors = []
        for seed in range(seeds):
            rng = np.random.default_rng([10, n, seed])
            x, y = data.sample(n, rng)
            new = rng.standard_normal((2000, d))
            model = Ridge(alpha=ridge, fit_intercept=False).fit(net.features(x).detach(), y)
            guess = model.predict(net.features(new).detach().numpy())
            errors.append(np.mean((guess - data.target(new)) ** 2))
        want = learning_curve(s, n, ridge)
        error = np.std(errors, ddof=1) / np.sqrt(seeds)
        assert abs(np.mean(errors) - want) < 3 * error + want / d
        assert error < 0.1 * want


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.0], [1], [1.0]), "eigenvalues must be finite and > 0, got 0"),
        (([1.0], [0], [1.0]), "multiplicity must be finite and > 0, got 0"),
        (([1.0], [1], [-1.0]), "second_moment must be finite and >= 0, got -1"),
        (([1.0], [1], [np.nan]), "second_moment must be finite and >= 0, got nan"),
        (([1.0], [1, 2], [1.0]), r"multiplicity has shape \(2,\); the lists must have one"),
        (([1.0], [1], [1.0, 2.0]), r"second_moment has shape \(2,\); the lists must have one"),
        (([], [], []), r"eigenvalues has shape \(0,\)"),
        ((1.0, 1.0, 1.0), r"eigenvalues has shape \(\)"),
        (([1.0], [1], [1.0], -1.0), "tail=-1.0 must be finite and >= 0"),
        (([1.0], [1], [1.0], 0.0, -1.0), "outside=-1.0 must be finite and >= 0"),
        (([1.0], [1], [1.0], 0.0, 0.0, np.inf), "noise=inf must be finite and >= 0"),
    ],
)
def test_bad_spectra(arguments, words):
    with pytest.raises(ValueError, match=words):
        Spectrum(*arguments)


def test_zero_power_is_allowed():
    assert learning_curve(Spectrum([1.0], [5], [0.0]), 3, 1.0) == 0


def test_bad_samples_and_ridges():
    s = Spectrum([1.0], [5], [1.0])
    for law in (optimal_curve, optimal_ridge, lambda s, n: learning_curve(s, n, 1.0)):
        with pytest.raises(ValueError, match="n must be finite and > 0, got 0"):
            law(s, [5, 0])
        with pytest.raises(TypeError, match="n must hold real numbers"):
            law(s, "5")
    for ridge in (0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match=f"ridge must be finite and > 0, got {ridge}"):
            learning_curve(s, 5, ridge)


def test_bad_data_and_networks():
    net = layer(3, 4, 0)
    parity = MultiIndex(4, lambda z: np.sign(z[:, 0] * z[:, 1]))
    laws = [(kernel_spectrum, arc_cosine), (feature_moments, net), (feature_spectrum, net)]
    for law, first in laws:
        for data in (parity, "he2"):
            with pytest.raises(TypeError, match=r"data=.* must be a SingleIndex, or a MultiIndex"):
                law(first, data)
    with pytest.raises(ValueError, match="d=2 must be at least 3"):
        kernel_spectrum(arc_cosine, SingleIndex(2, "he2"))
    with pytest.raises(ValueError, match="degree=0 must be a positive integer"):
        kernel_spectrum(arc_cosine, SingleIndex(5, "he2"), degree=0)
    for law in (feature_moments, feature_spectrum):
        with pytest.raises(TypeError, match="activation='tanh' must be 'relu'"):
            law(TwoLayer(np.eye(4), np.ones(4), "tanh"), SingleIndex(4, "he2"))
        with pytest.raises(ValueError, match="data.d=5 must be the network's d=4"):
            law(net, SingleIndex(5, "he2"))
        with pytest.raises(ValueError, match="W has a zero row"):
            law(TwoLayer(np.zeros((2, 4)), np.ones(2), "relu"), SingleIndex(4, "he2"))


def test_networks_in_single_precision():
    net = layer(3, 4, 0)
    single = TwoLayer(net.W.detach().float(), net.a.detach(), "relu", net.b.detach().float())
    assert single.W.dtype == torch.float32
    both = [feature_moments(v, SingleIndex(4, MIXED)) for v in (net, single)]
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_kernel_object_itself_is_what_is_decomposed():
    """kernel_spectrum takes the profile, simulations the call: they agree on rows."""
    x, z = np.random.default_rng(0).standard_normal((2, 4, 6))
    s, t = (np.linalg.norm(v, axis=1) / math.sqrt(6) for v in (x, z))
    cosine = (x @ z.T) / (6 * np.outer(s, t))
    for kernel in (arc_cosine, kernels.relu_ntk, polynomial(2)):
        np.testing.assert_allclose(kernel(x, z), kernel.profile(s[:, None], t, cosine))


def test_sizes_of_quadratures_and_series():
    data = SingleIndex(9, "he2")
    for options, message in [
        ({"degree": 200}, "degree=200 must be between 1 and 158"),
        ({"radial": 0}, "radial=0"),
        ({"angular": 3}, "angular=3"),
    ]:
        with pytest.raises(ValueError, match=message):
            kernel_spectrum(arc_cosine, data, **options)
    with pytest.raises(ValueError, match="degree=200 must be between 2 and 79"):
        feature_moments(layer(3, 9, 0), data, degree=200)


def test_simulate_and_learning_curve_take_the_same_setting():
    """One config, two routes, label noise included: within 3 s.e. and the spread of the norms.

    The equivalent takes every sample for typical; |x|^2/d has the variance 2/d.
    """
    data, kernel, n = SingleIndex(16, (0.0, 0.5, 1.0), noise=0.5), arc_cosine.with_bias(), 200
    errors = [simulate(kernel, data, n, np.random.default_rng([27, k])) for k in range(12)]
    want = optimal_curve(kernel_spectrum(kernel, data), n)
    error = np.std(errors, ddof=1) / np.sqrt(12)
    assert abs(np.mean(errors) - want) < 3 * error + want * 2 / 16
    assert np.mean(errors) < 0.5 * learning_curve(kernel_spectrum(kernel, data), n, 100.0)


BIT_KERNELS = (arc_cosine, relu_ntk.with_bias(), polynomial(3))


@pytest.mark.parametrize("kernel", BIT_KERNELS, ids=lambda v: v.name)
@pytest.mark.parametrize("d", [3, 6])
def test_spectrum_on_bits_against_the_whole_matrix(kernel, d):
    """The kernel matrix of all 2^d inputs, and its eigenvalues."""
    x = np.array(list(itertools.product([-1.0, 1.0], repeat=d)))
    full = np.linalg.eigvalsh(kernel(x) / len(x))[::-1]
    exact = parity_spectrum(kernel, Parity(d, 2), degree=d)
    mine = np.sort(np.repeat(exact.eigenvalues, exact.multiplicity.astype(int)))[::-1]
    np.testing.assert_allclose(mine, full[: len(mine)], atol=1e-12)
    np.testing.assert_allclose(full[len(mine) :], 0, atol=1e-12)
    assert exact.tail < 1e-12
    parity = x[:, 0] * x[:, 1]
    own = float(
        exact.eigenvalues @ exact.second_moment
    )  # the one eigenvalue with the target's power
    np.testing.assert_allclose(kernel(x) @ parity / len(x), own * parity, atol=1e-12)


def test_orders_that_are_left_out_of_a_spectrum_on_bits():
    """They act as ridge; a target among them is outside. The NTK without bias has no order 3."""
    few, many = (parity_spectrum(arc_cosine, Parity(8, 2), degree=v) for v in (3, 8))
    assert few.tail == pytest.approx(
        float(arc_cosine.profile(1, 1, 1.0)) - float(few.eigenvalues @ few.multiplicity)
    )
    assert many.tail < 1e-12 < few.tail
    assert parity_spectrum(polynomial(2), Parity(8, 3)).outside == 1
    assert sign_accuracy(parity_spectrum(polynomial(2), Parity(8, 3)), 50) == 0.5


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


def test_spectra_on_bits_refuse_what_they_do_not_know():
    with pytest.raises(TypeError, match="kernel=.* must be a RotationInvariant"):
        parity_spectrum(np.dot, Parity(5, 2))
    with pytest.raises(TypeError, match="data=.* must be a Parity"):
        parity_spectrum(arc_cosine, SingleIndex(5, "he2"))
    with pytest.raises(ValueError, match=r"agree=0.5 must be 0"):
        parity_spectrum(arc_cosine, Parity(5, 3, agree=0.5))
    with pytest.raises(ValueError, match="one eigenspace and no noise"):
        sign_accuracy(kernel_spectrum(arc_cosine, SingleIndex(8, MIXED)), 10)


# --- inputs on the sphere


def gegenbauer(k, d, u):
    """P_k with P_k(1) = 1."""
    return eval_gegenbauer(k, d / 2 - 1, u) / eval_gegenbauer(k, d / 2 - 1, 1.0)


def harmonics(d, k):
    """Their number by another formula."""
    return 1.0 if k == 0 else (2 * k + d - 2) / k * math.comb(k + d - 3, k - 1)


def sphere(d, link=MIXED, noise=0.0):
    return SingleIndex(d, link, noise, inputs="sphere")


def rounding(s):
    """A sum of size one has it, before it is divided by sqrt(multiplicity)."""
    return 1e-14 / np.sqrt(s.multiplicity)


@pytest.mark.parametrize("d", [3, 8, 60])
def test_exponential_kernel_on_the_sphere_by_bessel_functions(d):
    s, nu = kernel_spectrum(kernels.exponential, sphere(d)), d / 2 - 1
    assert list(s.degrees) == list(range(11))
    log = nu * math.log(2) + gammaln(nu + 1) + np.log(ive(nu + s.degrees, 1.0)) + 1
    assert np.all(abs(s.eigenvalues - np.exp(log)) < rounding(s) + 1e-13 * s.eigenvalues)


@pytest.mark.parametrize(("d", "top"), [(3, 10), (300, 8), (10**4, 5), (10**5, 4), (10**6, 4)])
def test_exponential_kernel_on_the_sphere_in_any_dimension(d, top):
    """Rodrigues: E exp(u) on the sphere of dimension d + 2k, over d (d + 2) ... (d + 2k - 2)."""
    s = kernel_spectrum(kernels.exponential, sphere(d))
    assert list(s.degrees) == list(range(top + 1))
    want = []
    for k in range(top + 1):
        D = d + 2 * k
        terms = [
            0.25**j / math.factorial(j) / math.prod(D / 2 + i for i in range(j)) for j in range(9)
        ]
        want.append(sum(terms) / math.prod(d + 2 * j for j in range(k)))
    assert np.all(abs(s.eigenvalues - want) < rounding(s) + 1e-13 * np.array(want))
    np.testing.assert_allclose(
        s.multiplicity, [harmonics(d, k) for k in range(top + 1)], rtol=1e-12
    )
    left = math.e - np.dot(want, s.multiplicity)
    assert s.tail == pytest.approx(left, abs=np.sum(rounding(s) * s.multiplicity))


@pytest.mark.parametrize("d", [3, 10, 50])
@pytest.mark.parametrize(
    "kernel", [arc_cosine, relu_ntk, relu_ntk.with_bias(0.7)], ids=lambda v: v.name
)
def test_kernels_with_kinks_on_the_sphere_by_brute_force(kernel, d):
    """Adaptive quadrature; Gauss quadrature of a square-root kink at d = 3 is 1e-5 off."""
    s = kernel_spectrum(kernel, sphere(d), degree=6)
    weight = gamma(d / 2) / gamma((d - 1) / 2) / math.sqrt(math.pi)
    mine = dict(zip(s.degrees, s.eigenvalues, strict=True))
    for k in range(7):

        def integrand(angle, k=k):
            u = np.cos(angle)
            return (
                kernel.profile(1.0, 1.0, u)
                * gegenbauer(k, d, u)
                * weight
                * np.sin(angle) ** (d - 2)
            )

        want = quad(integrand, 0, np.pi, epsabs=1e-14, epsrel=1e-12)[0]
        assert mine.get(k, 0.0) == pytest.approx(want, abs=2e-5 * 3**3 / d**3)
        if want > 1e-6:
            assert mine[k] == pytest.approx(want, rel=1e-3)
    total = s.eigenvalues @ s.multiplicity + s.tail
    assert total == pytest.approx(float(kernel.profile(1.0, 1.0, 1.0)), rel=1e-12)


def test_odd_degrees_that_relu_features_without_bias_do_not_have():
    for d in (3, 20, 1000):
        s = kernel_spectrum(arc_cosine, sphere(d))
        assert set(s.degrees) <= {0, 1, 2, 4, 6, 8, 10}
        assert {0, 1, 2, 4} <= set(s.degrees)
        cubic = s.outside / kernel_spectrum(kernels.exponential, sphere(d)).second_moment[3]
        assert cubic == pytest.approx(1, rel=1e-9)  # the target's cubic part is never seen


@pytest.mark.parametrize("d", [3, 12, 10**3, 10**6])
def test_power_by_degree_on_the_sphere(d):
    """From the moments of a coordinate: 1, 3d/(d+2), 15 d^2 / ((d+2)(d+4))."""
    c0, c1, c2, c3 = MIXED
    fourth, sixth = 3 * d / (d + 2), 15 * d**2 / ((d + 2) * (d + 4))
    linear = c1 + c3 * (fourth - 3) / math.sqrt(6)
    cubic = c3**2 * (sixth - fourth**2) / 6  # x^3 less its linear part, fourth x
    s = kernel_spectrum(kernels.exponential, sphere(d, noise=0.4))
    want = [c0**2, linear**2, c2**2 * (fourth - 1) / 2, cubic]
    np.testing.assert_allclose(s.second_moment[:4], want, rtol=1e-9)
    assert s.second_moment[4:].sum() + s.outside < 1e-12
    assert s.noise == pytest.approx(0.16)
    low = kernel_spectrum(polynomial(1), sphere(d))
    assert list(low.degrees) == [0, 1]
    assert low.outside == pytest.approx(want[2] + want[3], rel=1e-9)


def test_degrees_beyond_floating_point_are_left_out():
    for d, degree in ((10**6, 150), (10**5, 158), (3, 158)):
        s = kernel_spectrum(kernels.exponential, sphere(d), degree=degree)
        assert np.isfinite([s.eigenvalues, s.multiplicity, s.second_moment]).all()
        assert s.second_moment.sum() + s.outside > 0.5
        assert s.tail < 0.05
    data = sphere(10**6)
    x, _ = data.sample(2, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"degree=80 must be below \d+ at d=1000000"):
        degree_errors(kernels.exponential, data, x, np.ones(2), degree=80)


def test_degrees_of_other_spectra():
    s = kernel_spectrum(polynomial(2), SingleIndex(7, "he2"))
    assert sorted(s.degrees) == [0, 0, 1, 2]  # of degree 0 are 1 and the norm
    np.testing.assert_allclose(s.multiplicity, [harmonics(7, int(k)) for k in s.degrees])
    assert list(parity_spectrum(polynomial(2), Parity(8, 2)).degrees) == [0, 1, 2]
    assert Spectrum([1.0], [1], [1.0]).degrees is None
    with pytest.raises(ValueError, match=r"degrees has shape \(2,\); the lists must have one"):
        Spectrum([1.0], [1], [1.0], degrees=[0, 1])


def test_simulate_on_the_sphere():
    """All norms are equal, and what is left of the theory's error is O(1/n)."""
    data, kernel, n = sphere(16, (0.0, 0.5, 1.0), noise=0.5), kernels.exponential, 200
    errors = [simulate(kernel, data, n, np.random.default_rng([31, k])) for k in range(16)]
    want = optimal_curve(kernel_spectrum(kernel, data), n)
    error = np.std(errors, ddof=1) / 4
    assert abs(np.mean(errors) - want) < 3 * error + 4 * want / n
    assert error < 0.05 * want


# --- degree by degree


@given(spectra(), samples, ridges)
def test_errors_of_eigenspaces_sum_to_the_learning_curve(s, n, ridge):
    errors, shares = degree_curves(s, n, ridge)
    loss = 1e-9 * float(s._kappa(n, ridge)) * n / (ridge + s.tail)
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
        ((kernel, sphere(2), x[:, :2], y), ValueError, "d=2 must be at least 3"),
        ((kernel, data, x[:, :4], y), ValueError, r"x has shape \(4, 4\); it must be \(n, 5\)"),
        ((kernel, data, x, y[:3]), ValueError, r"coefficients has shape \(3,\); it must be \(4,\)"),
        ((kernel, data, x, y[None, None]), ValueError, r"coefficients has shape \(1, 1, 4\)"),
        ((kernel, data, x, y * np.nan), ValueError, "coefficients must be finite"),
    ]:
        with pytest.raises(error, match=words):
            degree_errors(*arguments)
    with pytest.raises(ValueError, match="degree=159 must be between 1 and 158"):
        degree_errors(kernel, data, x, y, degree=159)


# --- random features


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
    loss = 1e-9 * float(s._kappa(n, ridge)) * n / (ridge + s.tail)
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


@pytest.mark.parametrize("inputs", ["sphere", "gaussian"])
def test_random_relu_features_by_simulation(inputs):
    """Within 3.5 s.e. and a relative 2/d; several ridges of one draw."""
    d, n, seeds = 20, 200, 16
    data = SingleIndex(d, (0.0, 0.6, 0.6, 0.5), 0.3, inputs)
    s, ridge = kernel_spectrum(arc_cosine, data), np.array([0.01, 0.1])
    for m in (60, 200, 600):
        rngs = (np.random.default_rng([38, m, k]) for k in range(seeds))
        errors = np.array([simulate_features(data, n, m, ridge, rng, n_test=1500) for rng in rngs])
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
    assert simulate_features(data, n, m, [ridge], rng)[0] == pytest.approx(want, rel=0.05)


def test_relu_features_without_bias_never_learn_a_cubic_part(rng):
    """Exactly: of the odd degrees they have the first only. The square they do learn."""
    data = sphere(5, (0.0, 0.0, 0.0, 1.0))
    unseen = kernel_spectrum(arc_cosine, data).outside
    errors = simulate_features(data, 1000, 500, [1e-3, 0.1], rng)
    assert unseen > 0.2
    assert np.all(errors > 0.9 * unseen)  # of a test set of 3000
    assert simulate_features(sphere(5, "he2"), 1000, 500, [1e-3], rng)[0] < 0.02


def test_bad_random_features(rng):
    s = Spectrum([1.0], [5], [1.0])
    for arguments, words in [
        ((0, 5, 1.0), "n must be finite and > 0, got 0"),
        ((5, 0, 1.0), "m must be finite and > 0, got 0"),
        ((5, 5, 0.0), "ridge must be finite and > 0, got 0"),
        ((5, [5, 6], [-1.0, 1.0]), "ridge must be finite and > 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=words):
            random_feature_curve(s, *arguments)
    for arguments, n_test, words in [
        ((5, 0, [1.0]), 9, "m=0"),
        ((0, 5, [1.0]), 9, "n=0"),
        ((5, 5, [0.0]), 9, "ridges must be finite and > 0"),
        ((5, 5, [1.0]), 0, "n=0"),
    ]:
        with pytest.raises(ValueError, match=words):
            simulate_features(sphere(4), *arguments, rng, n_test=n_test)


@pytest.mark.parametrize("inputs", ["sphere", "gaussian"])
def test_a_profile_may_ignore_the_norms(inputs):
    short = RotationInvariant("short", lambda s, t, c: c**2)
    full = RotationInvariant("full", lambda s, t, c: c**2 + 0 * s * t)
    found, expected = (
        kernel_spectrum(k, SingleIndex(9, MIXED, inputs=inputs)) for k in (short, full)
    )
    for name in ("eigenvalues", "multiplicity", "second_moment"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-14)
