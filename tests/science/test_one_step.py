"""Closed forms of the spike: against large random matrices, quadrature and simulation."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from twolayer import activations, measures
from twolayer.data import SingleIndex
from twolayer.gradients import descent_direction
from twolayer.hermite import coefficients, expectation
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout, ridge_path
from twolayer.simulation.one_step import run as simulate
from twolayer.theory import one_step
from twolayer.theory.one_step import FirstStep

ratios, strengths = st.floats(0.2, 5.0), st.floats(0.05, 8.0)


def neuron_side(s, c):
    """Squared overlap with u: W0' has width ratio 1/c and entries larger by sqrt(c)."""
    return one_step.squared_overlap(np.asarray(s) / np.sqrt(c), 1 / np.asarray(c))


# --- the outlier, by another numerical route: a pole found with quadrature over the bulk's density


def trace(lam, c, power=1):
    """(1/d) tr (lam^2 - W0'W0)^-power by integrating the density of the singular values."""
    low, high = one_step.bulk_edges(c)
    share = min(c, 1.0)  # of the d eigenvalues of W0'W0 that are not zero
    inside = quad(
        lambda x: one_step.bulk_density(x, c) / (lam**2 - x**2) ** power, low, high, limit=200
    )[0]
    return share * inside + (1 - share) / lam ** (2 * power)


def neuron_trace(lam, c):
    """The same on the neuron side, from the eigenvalues that both sides share."""
    return (trace(lam, c) + (c - 1) / lam**2) / c


@pytest.mark.parametrize("c", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("over", [1.3, 2.0, 4.0])
def test_outlier_and_overlap_by_quadrature(c, over):
    s = over * c**0.25
    _, high = one_step.bulk_edges(c)

    def secular(lam):  # det(1 - spike) = 0 for the Hermitised matrix
        return 1 - s**2 * lam**2 * trace(lam, c) * neuron_trace(lam, c)

    lam = brentq(secular, high * (1 + 1e-6), 10 * (high + s))
    assert one_step.outlier(s, c) == pytest.approx(lam, rel=1e-6)
    # v'(lam^2 - W'W)^-1 v = h / secular: its residue in lam^2 is the overlap
    step = 1e-4 * lam
    slope = (secular(lam + step) - secular(lam - step)) / (2 * step) / (2 * lam)
    assert one_step.squared_overlap(s, c) == pytest.approx(trace(lam, c) / slope, rel=1e-4)
    assert neuron_side(s, c) == pytest.approx(neuron_trace(lam, c) / slope, rel=1e-4)


# --- against large random matrices


@pytest.mark.parametrize(("c", "s"), [(0.5, 1.5), (1.0, 2.0), (2.0, 3.0)])
def test_outlier_and_overlaps_of_random_matrices(c, s):
    d, seeds, rows = 800, 12, []
    m = int(c * d)
    for seed in range(seeds):
        rng = np.random.default_rng([2, seed])
        W = rng.standard_normal((m, d)) / np.sqrt(d)
        W[0, 0] += s  # u and v are the first axes: the noise is rotation invariant
        value, u, v = measures.leading_singular(W)
        rows.append([value, v[0] ** 2, u[0] ** 2])
    rows = np.array(rows)
    error = rows.std(0, ddof=1) / np.sqrt(seeds)
    want = [one_step.outlier(s, c), one_step.squared_overlap(s, c), neuron_side(s, c)]
    assert np.all(abs(rows.mean(0) - want) < 4 * error + 3 / d)  # means are O(1/d) off
    assert np.all(4 * error < 0.04)  # sharp enough to see a wrong factor


def test_bulk_is_the_histogram_of_a_random_matrix(rng):
    for c in (0.5, 1.0, 2.0):
        d = 700
        values = measures.singular_values(rng.standard_normal((int(c * d), d)) / np.sqrt(d))
        low, high = one_step.bulk_edges(c)
        edges = np.linspace(low, high, 9)
        share = [quad(one_step.bulk_density, a, b, args=(c,))[0] for a, b in zip(edges, edges[1:])]  # noqa: B905, RUF007
        assert sum(share) == pytest.approx(1, abs=1e-6)
        counts = np.histogram(values, edges)[0] / len(values)
        assert abs(counts - share).max() < 4 / d  # eigenvalues are rigid: O(1/d), not O(1/sqrt(d))


# --- properties


@given(strengths, ratios)
def test_ranges_and_continuity(s, c):
    value, q = one_step.outlier(s, c), one_step.squared_overlap(s, c)
    if s <= one_step.critical_strength(c):
        assert np.isnan(value)
        assert q == 0
        assert neuron_side(s, c) == 0
    else:
        assert value >= one_step.bulk_edges(c)[1] * (1 - 1e-12)
        assert 0 <= q < 1
        assert value > s  # noise only adds


@given(ratios)
def test_the_outlier_starts_at_the_edge_with_overlap_zero(c):
    s = one_step.critical_strength(c) * (1 + 1e-7)
    assert one_step.outlier(s, c) == pytest.approx(one_step.bulk_edges(c)[1], rel=1e-9)
    assert one_step.squared_overlap(s, c) == pytest.approx(0, abs=1e-5)


@given(strengths, ratios)
def test_transposing_moves_no_singular_value(s, c):
    assume(abs(s - c**0.25) > 1e-3)
    turned = one_step.outlier(s / np.sqrt(c), 1 / c)
    np.testing.assert_allclose(one_step.outlier(s, c), np.sqrt(c) * turned, rtol=1e-9)


def test_arrays_in_arrays_out():
    s, c = np.array([0.5, 2.0, 3.0]), np.array([[1.0], [2.0]])
    for law in (one_step.outlier, one_step.squared_overlap):
        assert law(s, c).shape == (2, 3)
        assert law(s, c)[1, 2] == law(3.0, 2.0)
        assert np.ndim(law(2, 1)) == 0


@pytest.mark.parametrize("law", [one_step.outlier, one_step.squared_overlap])
def test_bad_arguments(law):
    with pytest.raises(ValueError, match="strength must be finite and >= 0, got -1"):
        law([-1.0], 1.0)
    with pytest.raises(ValueError, match="width_ratio must be finite and > 0, got 0"):
        law(1.0, 0.0)
    with pytest.raises(ValueError, match="strength must be finite"):
        law(np.nan, 1.0)
    with pytest.raises(TypeError, match="strength must hold real numbers"):
        law("2", 1.0)


# --- the setting


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu", "sin"])
def test_moments_of_the_setting(activation):
    setting = FirstStep(activation, "sign", 2.0, 1.0, noise=0.5)
    f = activations.get(activation)
    c = coefficients(f, 60)
    assert setting.slope == pytest.approx(c[1])
    assert setting.slope == pytest.approx(expectation(f.derivative_at, f.kinks))  # Stein
    assert setting.residual == pytest.approx(np.sum(c[2:] ** 2), rel=2e-3)  # Parseval, truncated
    assert setting.linear_part == pytest.approx(np.sqrt(2 / np.pi))
    assert setting.second_moment == pytest.approx(1.25)
    assert setting.linear_bound == pytest.approx(1.25 - 2 / np.pi)
    assert setting.step_size(setting.strength(1.7)) == pytest.approx(1.7)


def test_a_step_without_a_slope_has_no_size():
    with pytest.raises(ValueError, match="activation='he2'"):
        FirstStep("he2", "sign", 1.0, 1.0).step_size(1.0)


def test_bad_settings():
    for change, words in [
        ({"alpha0": 0.0}, "alpha0=0.0"),
        ({"width_ratio": -1.0}, "width_ratio=-1.0"),
        ({"noise": -0.1}, "noise=-0.1"),
        ({"activation": "x"}, "activation='x'"),
    ]:
        good = {"activation": "tanh", "link": "sign", "alpha0": 1.0, "width_ratio": 1.0}
        with pytest.raises(ValueError, match=words):
            FirstStep(**{**good, **change})


# --- the network's step


@pytest.mark.parametrize(("activation", "c"), [("tanh", 0.5), ("relu", 1.0), ("erf", 2.0)])
def test_the_step_of_a_network(activation, c):
    """Outlier and overlaps over 8 networks; f in the residual shifts them by O(1/sqrt(m))."""
    setting, d, seeds, s = FirstStep(activation, "sign", 2.0, c), 600, 8, np.array([1.8, 3.0])
    runs = [simulate(setting, s, d, np.random.default_rng([3, k])) for k in range(seeds)]
    slack = setting.slope / setting.gradient_norm / np.sqrt(c * d)
    for key, want in [
        ("value", one_step.outlier(s, c)),
        ("squared_overlap", one_step.squared_overlap(s, c)),
        ("squared_overlap_with_target", setting.squared_overlap * one_step.squared_overlap(s, c)),
        ("squared_overlap_with_readout", neuron_side(s, c)),
    ]:
        values = np.array([run[key] for run in runs])
        error = values.std(0, ddof=1) / np.sqrt(seeds)
        assert np.all(abs(values.mean(0) - want) < 3.5 * error + slack), key


# --- the ridge risk


def finite_size_risk(setting, eta, alpha, ridge, d, rng):
    """Deterministic equivalent given one drawn W1, by matrices: no law of W1 is used."""
    m, n = round(setting.width_ratio * d), round(alpha * d)
    W = rng.standard_normal((m, d)) / np.sqrt(d)
    v = np.zeros(d)
    v[:2] = np.sqrt(setting.squared_overlap), np.sqrt(1 - setting.squared_overlap)
    u = rng.standard_normal(m)
    W += setting.strength(eta) * np.outer(u / np.linalg.norm(u), v)
    cov = (setting.slope**2 * W @ W.T + setting.residual * np.eye(m)) / m
    cross = setting.slope * setting.linear_part * W[:, 0] / np.sqrt(m)
    values, vectors = np.linalg.eigh(cov)
    cross = vectors.T @ cross

    def balance(u):
        kappa = np.exp(u)
        return np.sum(values / (values + kappa)) + ridge / kappa - n

    kappa = np.exp(brentq(balance, -30, 30))
    readout = cross / (values + kappa)
    error = setting.second_moment - 2 * readout @ cross + readout**2 @ values
    return error / (1 - np.sum((values / (values + kappa)) ** 2) / n)


@pytest.mark.parametrize(("c", "alpha"), [(1.0, 4.0), (0.5, 2.0), (2.0, 1.0)])
@pytest.mark.parametrize("eta", [0.0, 2.0, 8.0])
def test_ridge_risk_against_matrices(c, alpha, eta, rng):
    setting = FirstStep("tanh", "sign", 4.0, c, noise=0.3)
    for ridge in (0.01, 0.3):
        got = [finite_size_risk(setting, eta, alpha, ridge, 500, rng) for _ in range(6)]
        error = np.std(got, ddof=1) / np.sqrt(6)
        want = one_step.ridge_risk(setting, eta, alpha, ridge)
        assert abs(np.mean(got) - want) < 4 * error + 3 / 500


def test_ridge_risk_against_networks():
    setting, d, alpha, ridge, got = FirstStep("tanh", "sign", 4.0, 1.0), 500, 3.0, 0.1, []
    etas = (0.0, 2.0)
    for seed in range(8):
        rng = np.random.default_rng([4, seed])
        data = SingleIndex(d, "sign")
        (x0, y0), (x, y), (xt, yt) = (data.sample(k, rng) for k in (4 * d, int(alpha * d), 4000))
        net = TwoLayer.mean_field(d, d, "tanh", rng)
        H, row = descent_direction(net, x0, y0), []
        for eta in etas:
            after = net.with_weights(net.W + eta * H)
            after = after.with_readout(fit_readout(after.features(x), y, ridge))
            row.append(np.mean((after(xt) - yt) ** 2))
        got.append(row)
    got = np.array(got)
    for eta, values in zip(etas, got.T, strict=True):
        error = values.std(ddof=1) / np.sqrt(len(values))
        want = one_step.ridge_risk(setting, eta, alpha, ridge)
        assert abs(values.mean() - want) < 3.5 * error + 5 / d


@settings(max_examples=60, deadline=None)
@given(st.floats(0.3, 20), st.floats(0.2, 4), st.floats(0.2, 20), st.floats(0, 50))
def test_ridge_risk_stays_between_its_bounds(alpha0, c, alpha, eta):
    setting = FirstStep("tanh", "sign", alpha0, c, noise=0.2)
    best = one_step.ridge_risk(setting, eta, alpha)
    assert setting.linear_bound < best <= setting.second_moment * (1 + 1e-9)
    for ridge in (1e-4, 0.1, 10.0):
        assert one_step.ridge_risk(setting, eta, alpha, ridge) >= best * (1 - 1e-7)


def test_ridge_risk_limits():
    setting = FirstStep("tanh", "sign", 4.0, 1.0)
    # no readout at all
    assert one_step.ridge_risk(setting, 1.0, 2.0, 1e9) == pytest.approx(
        setting.second_moment, rel=1e-5
    )
    # samples without end: the best Gaussian-equivalent readout, kappa -> 0, t -> t0
    t0 = setting.residual / setting.slope**2
    h = 2 / (t0 + np.sqrt(t0**2 + 4 * t0))
    want = setting.second_moment - setting.linear_part**2 * (1 - t0 * h)
    assert one_step.ridge_risk(setting, 0.0, 1e6, 1e-3) == pytest.approx(want, rel=1e-4)
    # and neurons without end: the linear bound
    wide = FirstStep("tanh", "sign", 4.0, 1e4)
    assert one_step.ridge_risk(wide, 0.0, 1e8, 1e-3) == pytest.approx(
        setting.linear_bound, rel=1e-3
    )


def test_ridge_risk_bad_arguments():
    good = FirstStep("tanh", "sign", 4.0, 1.0)
    for activation in ("relu", "he2"):
        with pytest.raises(ValueError, match=f"activation='{activation}' must be odd"):
            one_step.ridge_risk(FirstStep(activation, "sign", 4.0, 1.0), 1.0, 2.0)
    with pytest.raises(ValueError, match="eta=-1"):
        one_step.ridge_risk(good, -1, 2.0)
    with pytest.raises(ValueError, match="alpha=0"):
        one_step.ridge_risk(good, 1.0, 0)
    with pytest.raises(ValueError, match="ridge=0"):
        one_step.ridge_risk(good, 1.0, 2.0, 0)


def test_gcv_estimates_the_test_error():
    """GCV of random features against the error on 20,000 fresh samples."""
    d, gaps = 200, []
    for seed in range(6):
        rng = np.random.default_rng([5, seed])
        data, net = SingleIndex(d, "sign"), TwoLayer.mean_field(d, d, "tanh", rng)
        x, y = data.sample(4 * d, rng)
        xt, yt = data.sample(20_000, rng)
        path = ridge_path(net.features(x), y, [0.03])
        error = np.mean((net.features(xt) @ path.coefficients[0] - yt) ** 2)
        gaps.append(path.gcv[0] / error - 1)
    assert abs(np.mean(gaps)) < 3.5 * np.std(gaps, ddof=1) / np.sqrt(6) + 4 / d


def test_row_scale_against_random_matrices():
    """The noise along u shrunk by hand: outlier and overlaps follow the pole at h = -1/P."""
    d, c, s, scale, seeds, rows = 600, 0.5, 1.6, 0.6, 16, []
    for seed in range(seeds):
        W = np.random.default_rng([6, seed]).standard_normal((int(c * d), d)) / np.sqrt(d)
        W[0] *= scale
        W[0, 0] += s
        value, _, v = measures.leading_singular(W)
        rows.append([value, v[0] ** 2])
    rows = np.array(rows)
    error = rows.std(0, ddof=1) / np.sqrt(seeds)
    laws = (one_step.outlier, one_step.squared_overlap)
    want = np.array([law(s, c, scale) for law in laws])
    assert np.all(abs(rows.mean(0) - want) < 4 * error + 3 / d)
    plain = np.array([law(s, c) for law in laws])
    assert np.all(abs(rows.mean(0) - plain) > 4 * error + 3 / d)  # it can tell


def test_the_networks_own_output_shrinks_the_noise():
    """u'W1 from the step with and without f in the residual."""
    d, s = 400, 3.0
    setting, rng = FirstStep("tanh", "sign", 2.0, 1.0), np.random.default_rng(8)
    x, y = SingleIndex(d, "sign").sample(2 * d, rng)
    net = TwoLayer.mean_field(d, d, "tanh", rng)
    silent = net.with_readout(0 * net.a)
    eta = setting.step_size(s)
    output = net(x)
    part = eta * descent_direction(net, x, y)
    without = eta * descent_direction(net, x, y + output)  # cancels f in the residual
    assert abs(silent(x)).max() == 0
    row = net.a @ net.W
    share = -(net.a @ (part - without)) @ row / (row @ row)
    assert share == pytest.approx(1 - setting.row_scale(s, d), rel=0.25)  # O(1/sqrt(n)) noise


# --- extremes, against 40 digits and more


@pytest.mark.parametrize(
    ("s", "c", "scale"),
    [
        (1e-9, 1e-40, 1.0),  # P - 1 = s^2 is lost in P
        (1e-30, 1e-130, 1.0),
        (1e160, 1.0, 1.0),  # s^2 is beyond the floats
        (1e9, 1e30, 1.0),
        (3.0, 2.0, 0.999999999),
        (1e-6, 1e-30, 1 + 1e-9),
        (1.0000001, 1.0, 1.0),
    ],
)
def test_outlier_and_overlap_to_all_digits(s, c, scale):
    with mpmath.workdps(400):
        s_, c_, P = mpmath.mpf(s), mpmath.mpf(c), mpmath.mpf(s) ** 2 + mpmath.mpf(scale) ** 2
        value = mpmath.sqrt(P * (P + c_ - 1) / (P - 1))
        overlap = s_**2 / P * (1 - c_ / (P - 1) ** 2)
        near = 1 / float(abs(1 - mpmath.sqrt(c_) / (P - 1)))  # the threshold's own conditioning
        value, overlap = float(value), float(overlap)
    assert one_step.outlier(s, c, scale) == pytest.approx(value, rel=4e-15 * near, abs=0)
    got = one_step.squared_overlap(s, c, scale)
    assert got == pytest.approx(overlap, rel=4e-15 * near, abs=0)


def printed_risk(setting, eta, alpha, ridge):
    """The formula as the page prints it, in `mpmath`: it cancels, so take enough digits."""
    number = mpmath.mpf
    c, alpha, eta, ridge = (number(v) for v in (setting.width_ratio, alpha, eta, ridge))
    mu2, theta2 = number(setting.slope) ** 2, number(setting.linear_part) ** 2
    second = number(setting.linear_bound) + theta2
    g2, t0 = theta2 + second / number(setting.alpha0), number(setting.residual) / mu2
    rho2, s2 = theta2 / g2, eta**2 * mu2 * g2

    def at(log_gap):
        gap = mpmath.exp(log_gap)
        t = t0 + gap
        q = t + c - 1
        h = (mpmath.sqrt(q * q + 4 * t) - q) / (2 * t)
        dh = -h * (h + 1) / (t * h + 1 / h)
        k = 1 / (t * (1 + h))
        dk = -k * (1 / t + dh / (1 + h))
        pole = 1 + (1 + s2) * h
        R = (1 - rho2) * h + rho2 * h * (1 + h) / pole
        along = ((1 + 2 * h) * pole - h * (1 + h) * (1 + s2)) / pole**2
        dR = ((1 - rho2) + rho2 * along) * dh
        gamma = c / alpha * (1 - 2 * gap * k - gap**2 * dk)
        explained = theta2 * (1 - t * R - gap * (-R - t * dR))
        return mu2 * gap * (alpha / c - 1 + gap * k), (second - explained) / (1 - gamma)

    low, high = number(-800), number(900)
    for _ in range(int(3.4 * mpmath.mp.dps) + 12):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle)[0] < ridge else (low, middle)
    return float(at(high)[1])


@pytest.mark.parametrize(
    ("setting", "eta", "alpha", "ridge"),
    [
        (FirstStep("tanh", "sign", 2.0, 1e5), 1.0, 1.0, 0.1),  # 6e-12 off before
        (FirstStep("tanh", "sign", 2.0, 1.0), 1.0, 0.5, 1e200),  # .121 before
        (FirstStep("tanh", "sign", 4.0, 1.0), 2.0, 1e-8, 1.0),
        (FirstStep("tanh", "sign", 4.0, 1.0), 2.0, 1.0, 1e-22),  # 7.8e9: the peak
        (FirstStep("identity", "sign", 4.0, 20.0), 2.0, 1.0, 1e-22),  # 1.8e10, was 7e6
        (FirstStep("identity", "sign", 4.0, 20.0), 2.0, 20.0, 1e-22),  # .38, was 481
        (FirstStep("identity", "identity", 3.0, 2.0), 2.0, 1.0, 1e-22),  # was 3e-8
        (FirstStep("erf", "sign", 4.0, 1e12), 1e70, 1e-3, 1e20),  # SciPy's own words before
        (FirstStep("erf", "sign", 1e-6, 1e-6, noise=1e4), 1e3, 1e9, 1e-12),
        (FirstStep("sin", "tanh", 2.0, 1e9), 0.0, 1e8, 1e-3),
    ],
)
def test_ridge_risk_to_all_digits(setting, eta, alpha, ridge):
    with mpmath.workdps(600 if ridge > 1e100 else 300):
        want = printed_risk(setting, eta, alpha, ridge)
    assert one_step.ridge_risk(setting, eta, alpha, ridge) == pytest.approx(want, rel=1e-12, abs=0)


def test_ridge_risk_at_numbers_that_were_wrong():
    long = FirstStep("tanh", "sign", 2.0, 1e5)
    for eta in (0.0, 1.0):  # was .960923
        assert one_step.ridge_risk(long, eta, 0.1) == pytest.approx(0.960425, abs=5e-7)
    wide = FirstStep("tanh", "sign", 2.0, 1e7)
    assert one_step.ridge_risk(wide, 1.0, 1.0) == pytest.approx(0.6958, abs=5e-5)  # was .8292
    setting = FirstStep("tanh", "sign", 2.0, 1.0)
    assert one_step.ridge_risk(setting, 1.0, 0.5, 1e200) == pytest.approx(1)  # was .121
    assert one_step.ridge_risk(setting, 1.0, 0.5, 1e-200) < 2


@settings(max_examples=80, deadline=None)
@given(*(st.floats(-12, 12) for _ in range(4)), st.floats(-3, 3))
def test_the_best_ridge_is_the_best_at_any_size(alpha, c, ridge, eta, alpha0):
    setting = FirstStep("tanh", "sign", 10**alpha0, 10**c, noise=0.1)
    best = one_step.ridge_risk(setting, 10**eta, 10**alpha)
    assert setting.linear_bound < best * (1 + 1e-14)
    assert best <= one_step.ridge_risk(setting, 10**eta, 10**alpha, 10**ridge) * (1 + 1e-10)


@pytest.mark.parametrize("activation", ["identity", "tanh"])
@pytest.mark.parametrize("c", [1e-9, 0.5, 1.0, 2.0, 1e12])
@pytest.mark.parametrize("alpha", [1e-9, 0.5, 1.0, 2.0, 1e9])
def test_nothing_warns_at_any_ridge(activation, c, alpha):
    setting = FirstStep(activation, "sign", 4.0, c, noise=0.1)
    curve = [one_step.ridge_risk(setting, 2.0, alpha, r) for r in (1e-250, 1e-60, 1.0, 1e60, 1e250)]
    best = one_step.ridge_risk(setting, 2.0, alpha)
    assert setting.linear_bound * (1 - 1e-10) < best <= min(curve) * (1 + 1e-10)
    assert curve[-1] == pytest.approx(setting.second_moment, rel=1e-10)


def test_the_best_ridge_against_a_search_over_ridges():
    """Another way to the least error: the curve over the ridge itself, not over the gap."""
    for c, alpha in [(1.0, 4.0), (1e7, 1.0), (1e-3, 1e-2), (20.0, 1e-4)]:
        setting = FirstStep("tanh", "sign", 2.0, c, noise=0.5)
        ridges = np.geomspace(1e-8, 1e10, 1200)
        curve = [one_step.ridge_risk(setting, 3.0, alpha, ridge) for ridge in ridges]
        assert one_step.ridge_risk(setting, 3.0, alpha) == pytest.approx(min(curve), rel=3e-5)


def test_steps_without_end():
    assert one_step.outlier(1e200, 1.0) == pytest.approx(1e200)
    assert one_step.squared_overlap(1e200, 1.0) == 1
    assert one_step.squared_overlap(2.0, 1e-12) == pytest.approx(0.8, abs=1e-10)
    setting = FirstStep("tanh", "sign", 4.0, 1.0)
    far = one_step.ridge_risk(setting, 1e160, 2.0)
    assert far == pytest.approx(one_step.ridge_risk(setting, 1e6, 2.0), rel=1e-6)


def test_a_target_of_zero():
    with pytest.raises(ValueError, match=r"link=\(0.0,\) is zero"):
        FirstStep("tanh", (0.0,), 2.0, 1.0)
    noise = FirstStep("tanh", (0.0,), 2.0, 1.0, noise=0.5)  # the gradient of noise alone
    assert noise.squared_overlap == 0
    assert noise.gradient_norm == pytest.approx(0.5 / math.sqrt(2))
    assert one_step.ridge_risk(noise, 1.0, 2.0) == pytest.approx(0.25)


def test_row_scale_wants_a_width_and_strengths():
    setting = FirstStep("tanh", "sign", 2.0, 1.0)
    with pytest.raises(ValueError, match="m=0 must be finite and > 0"):
        setting.row_scale(1.0, 0)
    with pytest.raises(ValueError, match="strength must be finite and >= 0, got nan"):
        setting.row_scale(np.nan, 3)
    assert setting.row_scale([0.0, 1.0], 100).shape == (2,)


def test_no_strengths_give_no_rows(rng):
    found = simulate(FirstStep("tanh", "sign", 2.0, 1.0), [], 20, rng)
    assert {values.shape for values in found.values()} == {(0,)}
    with pytest.raises(ValueError, match="strengths has shape"):
        simulate(FirstStep("tanh", "sign", 2.0, 1.0), [[1.0]], 20, rng)


def test_small_residuals_keep_their_digits():
    """An activation that is nearly linear: E[sigma^2] - mu1^2 would be rounding."""
    bent = activations.Activation("bent", lambda z: z + 1e-9 * z**3, lambda z: 1 + 3e-9 * z**2, -1)
    assert FirstStep(bent, "sign", 2.0, 1.0).residual == pytest.approx(6e-18, rel=1e-4, abs=0)
    straight = FirstStep("tanh", lambda z: z + 1e-9 * z**3, 2.0, 1.0)
    assert straight.linear_bound == pytest.approx(6e-18, rel=1e-4, abs=0)


def test_polynomials_of_high_degree():
    """He_60 and He_99 live beyond 12 standard deviations, where panels end."""
    for link in ("he99", (0.0,) * 60 + (1.0,)):
        assert FirstStep("tanh", link, 2.0, 1.0).second_moment == pytest.approx(1, rel=1e-9)


def test_activations_that_jump_and_links_with_hidden_jumps_are_refused():
    with pytest.raises(ValueError, match="activation='sign' jumps"):
        FirstStep("sign", "sign", 1.0, 1.0)
    for link in (lambda z: 1.0 * (abs(z) > 0.3), lambda z: np.sign(z - 0.217)):
        with pytest.raises(ValueError, match="give it as an Activation with its kinks"):
            FirstStep("tanh", link, 1.0, 1.0)
    assert FirstStep("tanh", np.sign, 1.0, 1.0).linear_part == pytest.approx((2 / np.pi) ** 0.5)
    hidden = activations.Activation("clip", lambda z: np.clip(z, -0.2, 0.3), np.ones_like)
    for hiding in ({"activation": hidden, "link": "sign"}, {"activation": "tanh", "link": hidden}):
        with pytest.raises(ValueError, match="with its kinks"):  # an Activation hides its own
            FirstStep(**hiding, alpha0=1.0, width_ratio=1.0)
    steep = FirstStep("tanh", lambda z: np.tanh(4 * z), 1.0, 1.0)
    assert steep.second_moment == pytest.approx(expectation(lambda z: np.tanh(4 * z) ** 2, (0.0,)))


def test_the_floor_of_the_chapter_by_monte_carlo():
    """What the best prediction e0(k) + e1(k) zeta leaves of the sign target: eq-floor."""
    rho2 = FirstStep("tanh", "sign", 16.0, 1.0).squared_overlap
    floor = 1 - 2 / np.pi * (np.arcsin(rho2) + np.sqrt((1 - rho2) / (1 + rho2)))
    k, zeta = np.random.default_rng(9).standard_normal((2, 1_000_000))
    c = np.sqrt(rho2 / (1 - rho2))
    residual = np.sign(k + zeta / c) - (2 * norm.cdf(c * k) - 1) - 2 * norm.pdf(c * k) * zeta
    squares = residual**2
    assert abs(squares.mean() - floor) < 4 * squares.std() / 1e3
    for direction in (k, k**3, zeta, zeta * k**2):  # nothing of this form is left to predict
        product = residual * direction
        assert abs(product.mean()) < 4 * product.std() / 1e3
