"""Spikes of higher degree: closed limits, matrices, a second fixed point, and networks."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from twolayer import activations
from twolayer.activations import Activation
from twolayer.hermite import he
from twolayer.simulation.higher_spikes import run
from twolayer.theory import _operator, exact_curves, one_step
from twolayer.theory.higher_spikes import (
    Step,
    _tables,
    crossing,
    floor,
    learning_curve,
    outliers,
    spikes,
    window_error,
)

TANH = Step("tanh", "sign", 16.0, 1.5)
RELU = Step("relu", "sign", 16.0, 0.5)
EVERY = Activation(  # all three degrees, mean 0
    "every",
    lambda z: z + (z**2 - 1) / 2**0.5 + (z**3 - 3 * z) / 6**0.5,
    lambda z: 1 + 2**0.5 * z + (z**2 - 1) * 1.5**0.5,
)


def gaussian_grid(reach, count):
    x = np.linspace(-reach, reach, count)
    w = np.exp(-(x**2) / 2)
    return x, w / w.sum()


# --- strengths and functions


def test_small_steps_give_hermite_polynomials():
    z, w = gaussian_grid(9, 4001)
    step = dataclasses.replace(TANH, r=0.01)
    strengths, functions = spikes(step, [0.7, 2.0])
    for i, degree in enumerate((1, 3, 5)):
        slope = abs(w @ (np.tanh(z) * he(degree, z)))  # mu_l = E[tanh He_l]
        assert strengths[i] == pytest.approx(500**0.5 * slope * 0.01**degree, rel=0.01)
        want = he(degree, np.array([0.7, 2.0])) / math.sqrt(math.factorial(degree))
        np.testing.assert_allclose(functions[i], want, rtol=0.02)


def test_even_degrees_keep_a_factor_of_the_centring():
    """The matrix mu_2/2 r^2 g^2 (k^2 - 1): its norms are sqrt(3) and sqrt(2)."""
    step = dataclasses.replace(RELU, r=0.02)
    slope = 1 / math.sqrt(2 * math.pi)  # the mean of ReLU'' is the density at 0
    want = 500**0.5 * slope * 0.02**2 * math.sqrt(3 / 2)
    assert spikes(step)[0][1] == pytest.approx(want, rel=0.01)


def test_strengths_against_a_random_matrix():
    rng = np.random.default_rng(0)
    k, g = rng.standard_normal((2, 1500))
    z, w = gaussian_grid(8, 41)
    excess = TANH.excess(1.0, TANH.gradient_norm)
    mean = np.stack(
        [np.tanh(math.sqrt(1 + excess * u * u) * z + 1.5 * u * k[:, None]) @ w for u in g]
    )
    values = np.linalg.svd(mean - mean.mean(1, keepdims=True), compute_uv=False) / 1500
    np.testing.assert_allclose(spikes(TANH)[0][:2], 500**0.5 * values[:2], rtol=0.04)


@pytest.mark.parametrize(("readout", "rank"), [("equal", 1), (2, 2), (3, 3)])
def test_as_many_spikes_as_sizes(readout, rank):
    """Of an odd activation; ReLU is linear and even: one and as many."""
    found = spikes(dataclasses.replace(TANH, readout=readout), count=5)[0]
    assert (found > 0).sum() == rank
    both = spikes(dataclasses.replace(RELU, readout=readout), count=8)[0]
    assert (both > 0).sum() == 1 + rank


def test_functions_are_orthogonal_and_agree_with_the_grid():
    x, w = gaussian_grid(8, 801)
    _, functions = spikes(RELU, x)
    np.testing.assert_allclose((functions * w) @ functions.T, np.eye(3), atol=1e-3)
    assert (functions[:, -1] > 0).all()


# --- outliers


def test_the_first_spike_is_that_of_the_weights():
    """Tied to X it has the population spike mu_1^2 Lambda^2 + mu_*^2, Lambda that of W1."""
    step = dataclasses.replace(TANH, r=0.1, width_ratio=0.7, d=400.0)
    inputs, neurons = _tables(step)
    bulk = _operator.Averaged(inputs, neurons, 3.0, 0.7)
    weights = spikes(step)[0][0] / math.sqrt(bulk.linear)
    Omega = bulk.linear * one_step.outlier(weights, 0.7) ** 2 + bulk.rest
    found = outliers(step, 3.0)[0][0]
    assert found == pytest.approx(math.sqrt(bulk.at(Omega)[1]), rel=1e-3)


def test_outlier_and_overlap_in_a_matrix():
    """Rows of covariance Sigma0 plus one planted spike, one large matrix."""
    rng, n, d, m = np.random.default_rng(1), 3000, 750, 600
    inputs, neurons = _tables(TANH)
    bulk = _operator.Averaged(inputs, neurons, n / d, m / d)
    W = rng.standard_normal((m, d)) / math.sqrt(d)
    noise = math.sqrt(bulk.linear) * rng.standard_normal((n, d)) @ W.T
    noise += math.sqrt(bulk.rest) * rng.standard_normal((n, m))
    left, right = rng.standard_normal(n), rng.standard_normal(m)
    left, right = left / np.linalg.norm(left), right / np.linalg.norm(right)
    Omega = brentq(lambda x: bulk.at(x)[0] - 1, bulk.edge(), 50)  # a spike of strength 1
    h, square, h_slope, slope = bulk.at(Omega)
    U, values, _ = np.linalg.svd(noise / math.sqrt(n) + np.outer(left, right), full_matrices=False)
    assert values[0] == pytest.approx(math.sqrt(square), rel=0.015)
    assert (U[:, 0] @ left) ** 2 == pytest.approx(-slope * h / (Omega * h_slope), abs=0.04)
    assert values[1] == pytest.approx(math.sqrt(bulk.at(bulk.edge())[1]), rel=0.02)


def test_derivatives_of_the_bulk():
    inputs, neurons = _tables(RELU)
    bulk, step = _operator.Averaged(inputs, neurons, 3.0, 1.4), 1e-5
    up, down = bulk.at(3 + step), bulk.at(3 - step)
    for i in (0, 1):
        assert bulk.at(3.0)[i + 2] == pytest.approx((up[i] - down[i]) / (2 * step), rel=1e-7)


def test_both_bulks_are_the_same_where_it_is_the_same_everywhere():
    inputs, neurons = _tables(dataclasses.replace(TANH, r=1.2))
    flat = neurons._replace(linear=0 * neurons.linear + 0.5, rest=0 * neurons.rest + 0.03)
    one, other = (
        kind(inputs, flat, 4.0, 1.0, 500.0, 2) for kind in (_operator.averaged, _operator.resolved)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4)


def spiked(step, alpha, rng):
    """The two largest singular values of the model: neurons b_g z + r g k, drawn."""
    d, m = round(step.d), round(step.m)
    g = rng.standard_normal(m)
    excess = step.excess(step.first.second_moment, step.gradient_norm)
    W = np.sqrt(1 + excess * g**2)[:, None] * rng.standard_normal((m, d)) / math.sqrt(d)
    W[:, 0] += step.r * g
    x = rng.standard_normal((round(alpha * d), d))
    F = activations.get(step.activation)((x @ W.T).astype("float32"))
    F -= F.mean(0)
    return np.sqrt(np.linalg.eigvalsh((F.T @ F) / len(F))[:-3:-1])


@pytest.mark.parametrize("step", [TANH, RELU], ids=["tanh", "relu"])
def test_outliers_of_drawn_neurons(step):
    values = np.array([spiked(step, 4.0, np.random.default_rng(i)) for i in range(12)])
    error = values.std(0, ddof=1) / 12**0.5
    found = outliers(step, 4.0, resolved=True)[0][:2]
    assert (abs(values.mean(0) - found) < 3 * error + 0.01 * found).all()


def test_the_bulk_must_be_resolved_at_large_steps():
    """tanh at d = 1000: its overlap, .9149 +- .0014 over 24 networks, tells the two apart."""
    step = dataclasses.replace(TANH, d=1000.0)
    one, other = (outliers(step, 4.0, resolved=kind)[1][1] for kind in (False, True))
    assert one == pytest.approx(0.902, abs=0.001)
    assert other == pytest.approx(0.914, abs=0.001)


def test_no_step_no_outlier():
    step = dataclasses.replace(TANH, r=0.0)
    for resolved in (False, True):
        values, overlaps = outliers(step, 4.0, resolved=resolved)
        assert (overlaps == 0).all()
        assert np.ptp(values) == 0


# --- errors


def test_no_step_is_that_of_random_features():
    step = dataclasses.replace(TANH, r=0.0)
    for ridge in (0.1, 2.0):
        want = one_step.ridge_risk(step.first, 0.0, 3.0, ridge)
        assert learning_curve(step, 3.0, ridge) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_equal_readouts_are_those_of_the_last_chapter(size):
    step = at_size(Step("tanh", "sign", 16.0, 1.0, 0.8, readout="equal", d=1e9), size)
    old = exact_curves.OneStep("tanh", "sign", 16.0, size, 0.8)
    ridges = np.array([0.1, 1.0, 10.0])
    want = exact_curves.learning_curve(old, 4.0, ridges)
    np.testing.assert_allclose(learning_curve(step, 4.0, ridges), want, rtol=2e-3)


def at_size(step, size):
    """The step of size eta = size sqrt(m)."""
    return dataclasses.replace(step, r=step.r * size * math.sqrt(step.m) / step.eta)


def second_route(step, alpha, ridge):
    """Plain iteration on an equidistant grid; the ridge loss is derived by a difference."""
    sine = math.sqrt(1 - step.cosine**2)
    k, w = gaussian_grid(6.5, 131)
    g, v = gaussian_grid(6.5, 67)
    z, wz = gaussian_grid(8, 201)
    excess = step.excess(step.first.second_moment, step.gradient_norm)
    f = activations.get(step.activation)
    values = f(np.sqrt(1 + excess * g**2)[:, None] * z + step.r * (k[:, None] * g)[..., None])
    mean, linear = values @ wz, values @ (wz * z)
    rest = values**2 @ wz - mean**2 - linear**2
    y = np.sign(step.cosine * k[:, None] + sine * z)
    smooth = math.sqrt(2 / math.pi) * np.exp(-((step.cosine * k / sine) ** 2) / 2)
    e0 = np.array([math.erf(step.cosine * u / sine / 2**0.5) for u in k])
    e1, e2 = smooth, np.ones_like(k) * np.mean(y**2)
    n, m, d = alpha * step.d, step.m, step.d

    def loss(u):
        p, G = np.ones_like(k), np.full(len(g), 1.0)
        for _ in range(400):
            omega = n / m * w * u * p
            a = np.sqrt(omega)[:, None] * linear
            inside = np.linalg.inv(np.eye(len(k)) + m / d * (a * (v * G)) @ a.T)
            G = 1 / (ridge + omega @ rest + np.einsum("kg,kl,lg->g", a, inside, a))
            V = d / m * (1 - np.diag(inside)) / omega + rest @ (v * G)
            new = 1 / (1 + u * V)
            if abs(new - p).max() < 1e-12:
                break
            p = new
        L = (linear * (v * G)) @ linear.T / d
        K = (mean * (v * G)) @ mean.T + np.outer(k, k) * L
        held = w * u * p
        total = held @ (e2 - e0**2 - e1**2)
        for e, kernel in ((e0, K), (e1, L)):
            root = np.sqrt(held)
            inner = np.eye(len(k)) + n * root[:, None] * kernel * root
            total += (root * e) @ np.linalg.solve(inner, root * e)
        return total, p

    _, p = loss(np.ones_like(k))
    h = 1e-4
    return (loss(1 + h / p**2)[0] - loss(1 - h / p**2)[0]) / (2 * h)


@pytest.mark.parametrize(("size", "alpha", "ridge"), [(0.5, 4.0, 1.0), (2.0, 0.7, 0.2)])
def test_the_error_by_a_second_route(size, alpha, ridge):
    step = at_size(Step("tanh", "sign", 16.0, 1.0, d=320.0), size)
    want = second_route(step, alpha, ridge)
    assert learning_curve(step, alpha, ridge) == pytest.approx(want, rel=2e-3)


def test_without_higher_spikes_the_window_is_that_of_short_steps():
    step = Step("tanh", "sign", 16.0, 0.02, 0.8, d=500.0)
    want = one_step.ridge_risk(step.first, step.eta, 3.0)
    assert window_error(step, 3.0, count=1) == pytest.approx(want, rel=2e-3)


@pytest.mark.parametrize("r", [0.02, 0.04, 0.06])
def test_the_window_is_the_limit_of_the_curve(r):
    step = Step("tanh", "sign", 16.0, r, d=1e8)
    want = learning_curve(step, 8.0, np.geomspace(0.2, 5, 40)).min()
    assert window_error(step, 8.0) == pytest.approx(want, rel=6 * r**2)


@pytest.mark.parametrize(("d", "power"), [(1e6, 0.28), (1e6, 0.35), (1e6, 0.42), (1e12, 0.45)])
def test_the_window_of_an_activation_with_every_degree(d, power):
    """Columns centred: with the constant in the features the error is up to twice as large."""
    step = Step(EVERY, (0.0, 0.7, 0.5, 0.5), 16.0, 1.0, d=d)
    step = dataclasses.replace(step, r=d**power / step.eta)
    ridges = np.geomspace(1, 1e4, 25)
    want, raw = (learning_curve(step, 8.0, ridges, centred=flag).min() for flag in (True, False))
    assert window_error(step, 8.0) == pytest.approx(want, rel=0.01 + 4 * step.r**2)
    assert raw > 1.1 * want


def test_a_constant_is_nothing_to_centred_features():
    moved = Activation("moved", lambda z: EVERY(z) + 0.7, EVERY.derivative)
    old, new = (Step(f, (0.0, 0.7, 0.5, 0.5), 16.0, 0.3, d=500) for f in (EVERY, moved))
    want = learning_curve(old, 8.0, 1.0, centred=True)
    assert learning_curve(new, 8.0, 1.0, centred=True) == pytest.approx(want, rel=1e-6)
    assert abs(learning_curve(new, 8.0, 1.0) / learning_curve(old, 8.0, 1.0) - 1) > 0.002
    assert learning_curve(TANH, 8.0, 1.0, True) == pytest.approx(learning_curve(TANH, 8.0, 1.0))


def test_a_strong_component_saves_its_square():
    step = Step("tanh", (0, 0.8, 0, 0.6), 64.0, 0.03, d=1e14)
    none, all_of_it = (window_error(step, 8.0, count=c) for c in (1, 2))
    share = 0.36 * step.cosine**6
    assert 1 < (none - all_of_it) / share < 1.6  # the factor is 1/(1 - gamma)


def test_exponents_of_the_crossing():
    step = Step("tanh", "sign", 16.0, 1.0)
    for readout, power, tolerance in (("gaussian", 1 / 3, 1e-3), ("equal", 1 / 2, 1e-4)):
        few, many = (
            crossing(dataclasses.replace(step, readout=readout, d=d), 8.0) for d in (1e6, 1e8)
        )
        assert math.log(many / few) / math.log(100) == pytest.approx(power, abs=tolerance)


def test_constants_of_the_crossing():
    """Equal: that of the last chapter. Gaussian: where the closed form meets the bound."""
    step = Step("tanh", "sign", 16.0, 1.0, d=1e9)
    ridges = np.geomspace(0.2, 5, 60)

    def old(eta):
        config = exact_curves.OneStep("tanh", "sign", 16.0, eta)
        return exact_curves.learning_curve(config, 8.0, ridges).min() - step.linear_bound

    def closed(r):
        return window_error(dataclasses.replace(step, r=r), 8.0, count=2) - step.linear_bound

    equal = crossing(dataclasses.replace(step, readout="equal"), 8.0) / step.m**0.5
    assert equal == pytest.approx(brentq(old, 0.5, 3), rel=1e-3)
    r = brentq(closed, 0.3 * step.m ** (-1 / 6), 3 * step.m ** (-1 / 6))
    want = dataclasses.replace(step, r=r).eta
    assert crossing(step, 8.0) == pytest.approx(want, rel=5e-3)  # O(r^2)


def test_floors():
    step = at_size(Step("tanh", "sign", 16.0, 1.0), 1.0)
    old = exact_curves.OneStep("tanh", "sign", 16.0, 1.0).floor
    found = [floor(dataclasses.replace(step, readout=J)) for J in ("equal", 1, 2, 3, 4, 6)]
    assert found[0] == pytest.approx(old, rel=1e-6)
    assert found[1] == pytest.approx(old, rel=1e-6)
    assert (np.diff(found[1:]) < 0).all()
    wide = dataclasses.replace(step, width_ratio=1e6, readout=2)
    assert learning_curve(wide, 1e8, 1.0) == pytest.approx(found[2], rel=0.01)
    rho = step.cosine  # with functions of k without end: what is neither a function of k nor k zeta
    z, w = gaussian_grid(9, 3001)
    sine = math.sqrt(1 - rho**2)
    e0 = np.array([math.erf(rho * u / sine / 2**0.5) for u in z])
    e1 = math.sqrt(2 / math.pi) * np.exp(-((rho * z / sine) ** 2) / 2)
    assert floor(step) == pytest.approx(w @ (1 - e0**2 - e1**2), abs=1e-6)


# --- networks


def averaged(step, alpha, seeds, **more):
    runs = [run(step, alpha, np.random.default_rng(i), **more) for i in range(seeds)]
    return {
        key: (np.mean([one[key] for one in runs], 0), np.std([one[key] for one in runs], 0, ddof=1))
        for key in runs[0]
    }


@pytest.mark.parametrize("step", [TANH, RELU], ids=["tanh", "relu"])
def test_networks_have_the_outliers(step):
    found, (values, overlaps) = averaged(step, 4.0, 8), outliers(step, 4.0, resolved=True)
    mean, spread = found["values"]
    assert (abs(mean - values)[:2] < 3 * spread[:2] / 8**0.5 + 0.01 * values[:2]).all()
    mean, spread = (part.diagonal() for part in found["overlaps"])
    assert (abs(mean - overlaps)[:2] < 3 * spread[:2] / 8**0.5 + 0.01).all()


def test_equal_readouts_show_no_cubic():
    step = dataclasses.replace(TANH, readout="equal")
    found = averaged(step, 4.0, 3, count=2, against=TANH)
    assert found["overlaps"][0][0, 0] > 0.9  # the line is there
    assert found["overlaps"][0][1, 1] < 0.02
    assert found["values"][0][1] < outliers(TANH, 4.0)[0][1] - 0.3


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_networks_have_the_error(size):
    step = at_size(Step("tanh", "sign", 16.0, 1.0, d=320.0), size)
    mean, spread = averaged(step, 8.0, 6, ridge=[0.5, 2.0])["error"]
    want = learning_curve(step, 8.0, [0.5, 2.0])
    assert (abs(mean - want) < 3 * spread / 6**0.5 + 0.02 * want).all()


def test_networks_with_centred_features_have_the_error():
    step = Step(EVERY, (0.0, 0.7, 0.5, 0.5), 16.0, 1.0, d=320.0)
    step = dataclasses.replace(step, r=320**0.34 / step.eta)
    want, raw = (learning_curve(step, 8.0, 20.0, centred=flag) for flag in (True, False))
    found = {
        flag: [
            run(step, 8.0, np.random.default_rng(i), ridge=[20.0], centred=flag)["error"][0]
            for i in range(8)
        ]
        for flag in (True, False)
    }
    assert abs(np.mean(found[True]) - want) < 3 * np.std(found[True]) / 7**0.5 + 0.02 * want
    gain = np.subtract(found[False], found[True])
    assert abs(gain.mean() - (raw - want)) < 3 * gain.std() / 7**0.5 + 0.1 * (raw - want)
    assert gain.mean() > 5 * gain.std() / 7**0.5


def test_shuffled_labels_gain_nothing():
    step = at_size(Step("tanh", "sign", 16.0, 1.0, d=240.0), 0.5)
    start = averaged(dataclasses.replace(step, r=0.0), 8.0, 4, ridge=[1.0])["error"][0]
    after = averaged(step, 8.0, 4, ridge=[1.0], shuffled=True)["error"][0]
    assert after > start - 0.01


def test_the_output_in_the_residual_lowers_the_error():
    """By O(1/sqrt(m)); the same draws with and without it."""
    step = at_size(Step("tanh", "sign", 16.0, 1.0, d=240.0), 0.2)
    kept, out = (averaged(step, 8.0, 4, ridge=[0.5], output=flag)["error"][0] for flag in (1, 0))
    assert 0 < (out - kept) / out < 0.02


# --- what is refused


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"r": -1.0}, "r=-1.0"),
        ({"readout": "uniform"}, "readout='uniform' is unknown"),
        ({"readout": 0}, "readout=0 must be"),
        ({"d": 0}, "d=0 must be"),
        ({"alpha0": 0.0}, "alpha0=0.0 must be"),
        ({"activation": "relu", "link": "relu"}, "link='relu' has mean 0.399"),
        ({"activation": "he2"}, r"E\[sigma'\] = 0"),
    ],
)
def test_bad_steps(change, error):
    with pytest.raises(ValueError, match=error):
        dataclasses.replace(TANH, **change)


@pytest.mark.parametrize("function", [outliers, window_error, crossing])
def test_bad_arguments(function):
    with pytest.raises(TypeError, match="step=3"):
        function(3, 1.0)
    with pytest.raises(ValueError, match="alpha=0"):
        function(TANH, 0)


def test_bad_arguments_of_the_rest():
    with pytest.raises(ValueError, match="count=0"):
        spikes(TANH, count=0)
    with pytest.raises(TypeError, match="step=3"):
        floor(3)
    with pytest.raises(TypeError, match="rng=0"):
        run(TANH, 4.0, 0)
    with pytest.raises(TypeError, match="against=2"):
        run(TANH, 4.0, np.random.default_rng(0), against=2)
