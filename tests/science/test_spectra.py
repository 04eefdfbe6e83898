"""Spectra of kernels and of ReLU layers: against brute force, quadrature, 40-digit arithmetic."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import comb, eval_gegenbauer, gamma, gammaln, ive, ndtr
from scipy.stats import norm
from sklearn.linear_model import Ridge

from twolayer import kernels
from twolayer.activations import Activation
from twolayer.data import MultiIndex, Parity, SingleIndex, as_link
from twolayer.hermite import coefficients, expectation
from twolayer.kernels import RotationInvariant, arc_cosine, polynomial, relu_ntk
from twolayer.network import TwoLayer
from twolayer.simulation.what_kernels_miss import degree_errors
from twolayer.theory.ridge_curves import (
    learning_curve,
    optimal_curve,
    sign_accuracy,
)
from twolayer.theory.spectra import (
    Spectrum,
    feature_moments,
    feature_spectrum,
    kernel_spectrum,
    parity_spectrum,
    relu_moments,
    zonal_projections,
)

MIXED = (0.3, 0.5, 1.0, 0.7)  # mean, odd and even parts


exponential = RotationInvariant("exponential", lambda s, t, c: np.exp(s * t * c / 2))


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
    f = net.features(x)
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
    W, b = net.W, net.b
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
            model = Ridge(alpha=ridge, fit_intercept=False).fit(net.features(x), y)
            guess = model.predict(net.features(new))
            errors.append(np.mean((guess - data.target(new)) ** 2))
        want = learning_curve(s, n, ridge)
        error = np.std(errors, ddof=1) / np.sqrt(seeds)
        assert abs(np.mean(errors) - want) < 3 * error + want / d
        assert error < 0.1 * want


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


def test_bad_data_and_networks():
    net = layer(3, 4, 0)
    parity = MultiIndex(4, lambda z: np.sign(z[:, 0] * z[:, 1]))
    laws = [(kernel_spectrum, arc_cosine), (feature_moments, net), (feature_spectrum, net)]
    for law, first in laws:
        for data in (parity, "he2"):
            with pytest.raises(TypeError, match=r"data=.* must be a SingleIndex, or a MultiIndex"):
                law(first, data)
    with pytest.raises(ValueError, match="d=2 must be an integer >= 3"):
        kernel_spectrum(arc_cosine, SingleIndex(2, "he2"))
    with pytest.raises(ValueError, match="degree=0 must be an integer between"):
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
    single = net.astype("float32")
    assert single.W.dtype == np.float32
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
        ({"degree": 200}, "degree=200 must be an integer between 1 and 158"),
        ({"radial": 0}, "radial=0"),
        ({"angular": 3}, "angular=3"),
    ]:
        with pytest.raises(ValueError, match=message):
            kernel_spectrum(arc_cosine, data, **options)
    with pytest.raises(ValueError, match="degree=200 must be an integer between 2 and 79"):
        feature_moments(layer(3, 9, 0), data, degree=200)


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


def test_spectra_on_bits_refuse_what_they_do_not_know():
    with pytest.raises(TypeError, match="kernel=.* must be a RotationInvariant"):
        parity_spectrum(np.dot, Parity(5, 2))
    with pytest.raises(TypeError, match="data=.* must be a Parity"):
        parity_spectrum(arc_cosine, SingleIndex(5, "he2"))
    with pytest.raises(ValueError, match=r"agree=0.5 must be 0"):
        parity_spectrum(arc_cosine, Parity(5, 3, agree=0.5))
    with pytest.raises(ValueError, match="one eigenspace and no noise"):
        sign_accuracy(kernel_spectrum(arc_cosine, SingleIndex(8, MIXED)), 10)


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


@pytest.mark.parametrize("inputs", ["sphere", "gaussian"])
def test_a_profile_may_ignore_the_norms(inputs):
    short = RotationInvariant("short", lambda s, t, c: c**2)
    full = RotationInvariant("full", lambda s, t, c: c**2 + 0 * s * t)
    found, expected = (
        kernel_spectrum(k, SingleIndex(9, MIXED, inputs=inputs)) for k in (short, full)
    )
    for name in ("eigenvalues", "multiplicity", "second_moment"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-14)


def sign_projection(d, k):
    """E[sign(u) P_k(u)], k odd, to 40 digits: Rodrigues' formula, integrated from 0 to 1.

    (-1)^k P_k w = (1/2)^k / ((d-1)/2)_k D^k (1 - u^2)^(k + (d-3)/2), w = (1 - u^2)^((d-3)/2).
    """
    with mpmath.workdps(40):
        half, a = (k - 1) // 2, mpmath.mpf(k) + mpmath.mpf(d - 3) / 2
        derivative = mpmath.factorial(k - 1) * (-1) ** half * mpmath.binomial(a, half)
        scale = mpmath.mpf(2) ** k * mpmath.rf(mpmath.mpf(d - 1) / 2, k)
        return 2 * derivative / scale / mpmath.beta(0.5, mpmath.mpf(d - 1) / 2)


@pytest.mark.parametrize("d", [3, 40, 1000, 10**6])
def test_second_moments_of_a_sign_by_rodrigues_formula(d):
    """With quadrature across the jump those of degrees 1, 3, 5, 7 were 0.5 to 3.5 percent off."""
    s = kernel_spectrum(kernels.exponential, sphere(d, "sign"), degree=7)
    projections, squares = zonal_projections(SingleIndex(d, "sign"), 7, np.array([0.5, 1.0, 1.5]))
    np.testing.assert_allclose(squares, 1, rtol=1e-14)
    assert np.all(s.second_moment[s.degrees % 2 == 0] < 1e-25)
    for k in (1, 3, 5, 7):
        want, tol = float(sign_projection(d, k)), 1e-12 + 1e-15 * d
        np.testing.assert_allclose(projections[k], want, rtol=tol)
        if k in s.degrees:  # not where the eigenvalue is below rounding
            (found,) = s.second_moment[s.degrees == k]
            assert found == pytest.approx(want**2 * harmonics(d, k), rel=2 * tol)
    assert {1, 3} <= set(s.degrees)
    assert s.second_moment.sum() + s.outside == pytest.approx(1, rel=1e-14)


def test_the_plateau_of_a_sign_in_a_million_dimensions():
    """After the linear part, 1 - 2/pi is left: 0.3605 was what quadrature across the jump gave."""
    d = 10**6
    s = kernel_spectrum(kernels.exponential, SingleIndex(d, "sign", inputs="sphere"))
    linear = float(sign_projection(d, 1) ** 2) * d
    assert linear == pytest.approx(2 / math.pi, rel=1e-6)
    plateau = optimal_curve(s, float(d) ** 1.5)
    assert plateau == pytest.approx(1 - 2 / math.pi, rel=3e-3)  # the next order is d^(-1/2)


def bend(z):
    return np.maximum(np.asarray(z) - 0.7, 0) - 0.4 * (np.asarray(z) < -1.3)


BEND = Activation("bend", bend, lambda z: (z > 0.7) * 1.0, 0, (0.7, -1.3))


@pytest.mark.parametrize("d", [3, 20, 5000])
def test_projections_of_a_link_with_a_kink_and_a_jump_off_the_middle(d):
    """By mpmath's quadrature to 20 digits, at two radii."""
    radii = np.array([0.8, 1.1])
    found, squares = zonal_projections(SingleIndex(d, BEND), 4, radii)
    with mpmath.workdps(25):
        for j, s in enumerate(radii):
            root = mpmath.sqrt(d) * mpmath.mpf(float(s))
            cuts = sorted({max(min(k / root, 1), -1) for k in (-8, -1.3, -0.4, 0.7, 3, 9)})

            def mean(f, root=root, cuts=cuts):
                density = lambda u: (1 - u * u) ** (mpmath.mpf(d - 3) / 2)  # noqa: E731
                total = mpmath.beta(0.5, mpmath.mpf(d - 1) / 2)
                link = lambda u: max(root * u - 0.7, 0) - (0.4 if root * u < -1.3 else 0)  # noqa: E731
                return mpmath.quad(lambda u: f(u, link(u)) * density(u), cuts) / total

            assert squares[j] == pytest.approx(float(mean(lambda u, v: v * v)), rel=1e-9)
            for k in range(5):
                zonal = lambda u, k=k: mpmath.gegenbauer(k, mpmath.mpf(d) / 2 - 1, u)  # noqa: E731
                want = mean(lambda u, v: v * zonal(u)) / zonal(1)  # noqa: B023
                assert found[k, j] == pytest.approx(float(want), rel=1e-8, abs=1e-13)


def test_kinks_that_are_not_declared_are_refused():
    jump, net = (lambda z: np.where(z > 0.3, 1.0, -1.0)), layer(3, 50, 0)
    words = "link=.*: quadrature does not converge; where the link jumps or bends, give it as an"
    for inputs in ("sphere", "gaussian"):
        for d in (10, 10**6):
            with pytest.raises(ValueError, match=words):
                kernel_spectrum(arc_cosine, SingleIndex(d, jump, inputs=inputs))
    for law in (feature_moments, feature_spectrum):
        with pytest.raises(ValueError, match=words):
            law(net, SingleIndex(50, jump))
    declared = Activation("jump", jump, np.zeros_like, 0, (0.3,))
    below = ndtr(0.3)
    _, _, second_moment = feature_moments(net, SingleIndex(50, declared))
    assert second_moment == pytest.approx(1, rel=1e-12)
    s = kernel_spectrum(kernels.exponential, SingleIndex(10**6, declared))
    assert s.second_moment[s.degrees == 0].sum() == pytest.approx((1 - 2 * below) ** 2, rel=1e-5)
    smooth = SingleIndex(50, lambda z: np.tanh(2 * z))
    kernel_spectrum(arc_cosine, smooth)
    feature_moments(net, smooth)


@pytest.mark.parametrize(("d", "orders"), [(40, 8), (1000, 5)])
def test_small_eigenvalues_on_bits_to_forty_digits(d, orders):
    """They fall as d^-s; a bound that does not know their number cut them off at 1e-14."""
    kernel = arc_cosine.with_bias()
    s = parity_spectrum(kernel, Parity(d, 2), degree=orders)
    with mpmath.workdps(40):

        def profile(t):
            u = (1 - mpmath.mpf(2 * t) / d + 1) / 2  # with the bias, norms sqrt(2)
            angle = mpmath.acos(u)
            return 2 * (mpmath.sqrt(1 - u * u) + (mpmath.pi - angle) * u) / (2 * mpmath.pi)

        values = [profile(t) * math.comb(d, t) for t in range(d + 1)]
        for k in range(orders + 1):
            sums = [
                sum((-1) ** i * math.comb(t, i) * math.comb(d - t, k - i) for i in range(k + 1))
                for t in range(d + 1)
            ]
            exact = sum(v * c for v, c in zip(values, sums, strict=True))
            want = float(exact / (mpmath.mpf(2) ** d * math.comb(d, k)))
            if k in s.degrees:
                (mine,) = s.eigenvalues[s.degrees == k]
                assert abs(mine - want) < 1e-14 / math.sqrt(math.comb(d, k)) + 1e-12 * want
            else:
                assert want * math.sqrt(math.comb(d, k)) < 2e-13
    assert {0, 1, 2, 4} <= set(s.degrees)


def test_thresholds_far_out():
    """A row of length 1e-9 makes a threshold of 1e9: the neuron is linear, or shut; never nan."""
    b = np.array([1e9, -1e9, 30.0, -30.0])
    got = relu_moments(np.eye(4) * 0.5 + 0.5, b)
    open_ = np.outer(b > 0, b > 0)
    want = open_ * (np.outer(b, b) + (np.eye(4) + 1) / 2)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rho", [-0.95, -0.72, -0.3, 0.0, 0.5, 0.69, 0.71, 0.9, 0.999])
def test_relu_moments_by_forty_digit_quadrature(rho):
    h, k = 0.6, -1.1
    with mpmath.workdps(40):
        r = mpmath.mpf(rho)
        s = mpmath.sqrt(1 - r * r)

        def second(u):
            mean = r * u + k
            return mean * mpmath.ncdf(mean / s) + s * mpmath.npdf(mean / s)

        edges = sorted({-h, *(x for x in (-k / r if rho else 0, 0, 2, 5) if x > -h), 12})
        want = float(mpmath.quad(lambda u: (u + h) * second(u) * mpmath.npdf(u), edges))
    got = relu_moments([[1.0, rho], [rho, 1.0]], [h, k])[0, 1]
    assert got == pytest.approx(want, abs=1e-7 if abs(rho) < 0.7 else 1e-13)


def test_a_stack_of_networks_is_refused():
    net = layer(3, 4, 0)
    with pytest.raises(ValueError, match=r"network is a stack of shape \(2,\); give one of them"):
        feature_moments(TwoLayer.stack([net, net]), SingleIndex(4, "he2"))
