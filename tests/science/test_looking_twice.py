"""Looking twice: the limit by brute force, by sampling, by closed forms; networks; the chain."""

import math

import numpy as np
import pytest

from twolayer import activations
from twolayer.activations import Activation
from twolayer.data import as_link, sphere
from twolayer.hermite import between
from twolayer.simulation import one_neuron_one_feature
from twolayer.simulation.looking_twice import amp, plain_steps, run, time_to
from twolayer.theory import _two_looks, looking_twice
from twolayer.theory.looking_twice import (
    TwoLooks,
    cosine,
    information,
    label_transform,
    online_drift,
    online_time,
    second_look,
    state_evolution,
    transformed_cosine,
    weak_recovery,
)
from twolayer.theory.one_neuron_one_feature import Features

LOG_COSH = Activation(
    "log_cosh", lambda z: np.logaddexp(z, -z) - math.log(2), lambda z: np.tanh(z), 1
)
HALF = math.sqrt(2 * math.log(2))
BINARY = Activation(  # exp(-t^2/2) = 1/2 at the threshold: no linear part
    "binary",
    lambda z: np.sign(z) * np.sign(abs(z) - HALF),
    lambda z: 0 * z,
    -1,
    (-HALF, 0.0, HALF),
)
MIXED = (0.3, 0.5, 0.2, 0.8)
MINUS_HE4 = (0.0, 0.0, 0.0, 0.0, -1.0)


def bell(z):
    return z**2 * np.exp(-(z**2))


def curvature(name, z):
    """sigma''."""
    t = np.tanh(z)
    if name == "tanh":
        return -2 * t * (1 - t * t)
    return -2 * z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # erf


# --- the limit by two other routes


@pytest.mark.parametrize(
    ("beta", "c", "link", "activation"),
    [
        (0.25, 2.0, "he3", "erf"),
        (4.0, -3.0, "he3", "tanh"),
        (1.0, 1.0, MIXED, "tanh"),
        (16.0, 0.5, MIXED, "erf"),
    ],
)
def test_brute_force(beta, c, link, activation):
    """Three sums over even grids; E[u G_1] by parts."""
    grids = [np.arange(-r, r + h / 2, h) for r, h in ((7.8, 0.04), (7.8, 0.06), (7.8, 0.06))]
    v, z, u = grids
    weights = [np.exp(-g * g / 2) for g in grids]
    weights = [w / w.sum() for w in weights]
    y, slope = as_link(link)(v), activations.get(activation).derivative_at
    in_v, in_z, in_u = weights
    mean, linear, square = in_v @ y, in_v @ (v * y), in_v @ y**2
    s1, s2, s11 = in_z @ slope(z), in_z @ (z * slope(z)), in_z @ slope(z) ** 2
    P0 = square * s11
    wide = c * math.sqrt(beta * P0)
    found = np.zeros(7)
    for vi, yi, wi in zip(v, y, in_v, strict=True):
        first = yi * slope(z)
        at = (1 + c * beta * mean * s2) * z + c * beta * linear * s1 * vi + c * first
        at = at[:, None] + wide * u
        G1, w = yi * slope(at), wi * in_z
        one, two = G1 @ in_u, (G1 * G1) @ in_u
        by_parts = yi * wide * curvature(activation, at) @ in_u
        found += [
            *(w @ (f * one) for f in (vi, z, first)),
            w @ two,
            w @ by_parts,
            (vi * vi - 1) * (w @ (z * one)),
            vi * vi * (w @ two),
        ]
    C, along, product, P1, rest, growth, V = found
    N = P1 - product**2 / P0 + (product / math.sqrt(P0) + math.sqrt(beta) * rest) ** 2
    seen = second_look(TwoLooks(beta, c, link, activation))
    want = [C, N, linear * s1, along, mean * s2, P0, product, P1, rest, growth, V]
    got = [value for name, value in seen._asdict().items() if name != "layer_noise"]
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("beta", "c", "link", "activation"),
    [
        (0.0, 2.0, "he3", "erf"),
        (1.0, 1.5, "relu", "relu"),
        (0.05, -1.5, "he3", "relu"),
        (2.0, 2.0, "sign", "sin"),
        (0.5, -2.0, MIXED, "gelu"),
        (1.0, 2.0, BINARY, "erf"),
    ],
)
def test_sampling(beta, c, link, activation):
    """Draws of z_*, and of two neurons with what their u have in common."""
    n, rng = 2_000_000, np.random.default_rng(3)
    v, z, other, common, u, u2 = rng.standard_normal((6, n))
    y, sigma = as_link(link)(v), activations.get(activation)
    x, w = between(sigma.kinks, 400)
    s1, s2, s11 = (
        w @ f for f in np.array([1 + 0 * x, x, sigma.derivative_at(x)]) * sigma.derivative_at(x)
    )
    x, w = between(getattr(as_link(link), "kinks", ()), 400)
    mean, linear, square = (
        w @ f for f in np.array([1 + 0 * x, x, as_link(link)(x)]) * as_link(link)(x)
    )
    size = c * math.sqrt(beta * square)
    pulls = []
    for zi, ui in ((z, u), (other, u2)):
        noise = size * (s1 * common + math.sqrt(s11 - s1**2) * ui)
        at = (1 + c * beta * mean * s2) * zi + c * beta * linear * s1 * v
        at = at + c * y * sigma.derivative_at(zi) + noise
        pulls.append(y * sigma.derivative_at(at))
    G1, twin = pulls
    seen = second_look(TwoLooks(beta, c, link, activation))
    whole = (s1 * common + math.sqrt(s11 - s1**2) * u) / math.sqrt(s11)
    pairs = {
        "signal": v * G1,
        "along": z * G1,
        "square": G1**2,
        "product": y * sigma.derivative_at(z) * G1,
        "rest": whole * G1,
        "growth": (v * v - 1) * z * G1,
    }
    for name, drawn in pairs.items():
        assert abs(drawn.mean() - getattr(seen, name)) < 4 * drawn.std() / math.sqrt(n), name
    product, rest = (y * G1).mean(), (common * G1).mean()
    layer = (G1 * twin).mean() - product**2 / square
    layer += (product / math.sqrt(square) + math.sqrt(beta) * rest) ** 2
    spread = 4 * (G1.std() ** 2 + 3 * G1.std()) / math.sqrt(n)
    assert abs(layer - seen.layer_noise) < spread


def test_transform_by_sampling_and_its_moments():
    v, w = between(np.arange(-7.5, 8, 0.5), 24, reach=8)
    y = as_link("he3")(v)
    looks = TwoLooks(0.0, 2.0)
    T, seen = label_transform(looks, y), second_look(looks)
    assert w @ (v * T) == pytest.approx(seen.signal, rel=1e-6)
    assert w @ T**2 == pytest.approx(seen.layer_noise, rel=1e-6)
    z, u = np.random.default_rng(0).standard_normal((2, 1_000_000))
    slope = activations.get("erf").derivative_at
    for beta in (0.0, 1.0):
        got = label_transform(TwoLooks(beta, 2.0), [-1.0, 0.7, 4.0])
        wide = 2 * math.sqrt(beta * seen.first_square)
        for y, one in zip((-1.0, 0.7, 4.0), got, strict=True):
            drawn = y * slope(z + 2 * y * slope(z) + wide * u)
            assert abs(drawn.mean() - one) < 4 * drawn.std() / 1000
    assert label_transform(TwoLooks(0.0, 2.0, MIXED), [[1.0]]).shape == (1, 1)
    with pytest.raises(ValueError, match="linear part"):
        label_transform(TwoLooks(1.0, 2.0, MIXED), [1.0])


# --- closed forms, and numbers that were measured before


def test_values_of_the_first_measurement():
    for alpha, beta, want in ((8, 0.25, 0.7487), (8, 1.0, 0.7176), (16, 4.0, 0.7014)):
        assert -cosine(alpha, beta, 2.0) == pytest.approx(want, abs=1e-4)
    seen = second_look(TwoLooks(0.25, 2.0))
    half = seen.noise / (3 * seen.signal**2)
    assert half == pytest.approx(2.090, abs=1e-3)
    assert cosine(half, 0.25, 2.0) == pytest.approx(-0.5)
    assert TwoLooks(8.0, 6 / 8, "he3", "tanh").plain_cosine == pytest.approx(-0.198, abs=1e-3)


@pytest.mark.parametrize("link", ["he3", (0.0, 0.0, 0.0, 0.6, 0.0, 0.8)])
def test_small_first_looks(link):
    """C = c^2 / 2 E[z_* y^3] E[sigma''' sigma'^2] + O(c^4), for odd sigma and link."""
    z, w = np.polynomial.hermite_e.hermegauss(120)
    w, t = w / math.sqrt(2 * math.pi), np.tanh(z)
    bend = w @ (-2 * (1 - t * t) * (1 - 3 * t * t) * (1 - t * t) ** 2)
    cubed = w @ (z * as_link(link)(z) ** 3)
    if link == "he3":
        assert cubed == pytest.approx(324 / 6**1.5)
    for beta in (0.0, 1.0):  # what the rest of the batch adds is of order c^4 too
        ratio = []
        for c in (0.002, 0.001):
            signal = second_look(TwoLooks(beta, c, link, "tanh")).signal
            ratio.append(signal / (c * c / 2 * bend * cubed))
        assert (4 * ratio[1] - ratio[0]) / 3 == pytest.approx(1, rel=1e-2)


def test_a_single_look():
    """c = 0: the plain gradient, C = linear part E[sigma'], N = E y^2 E[sigma'^2]."""
    for beta in (0.0, 1.0):
        seen = second_look(TwoLooks(beta, 0.0, MIXED, "tanh"))
        assert seen.signal == pytest.approx(seen.first_signal)
        assert seen.noise == pytest.approx(seen.first_square)
        t, w = between(np.arange(-7, 8.0), 20)
        slope = w @ (1 - np.tanh(t) ** 2)
        assert seen.layer_noise == pytest.approx(sum(c * c for c in MIXED) * slope**2)


@pytest.mark.parametrize("link", ["he3", MIXED, "sign"])
@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_small_batches_are_single_samples(link, activation):
    """Of order beta: two differences in their ratio."""
    moments = [
        np.array(second_look(TwoLooks(beta, 1.5, link, activation))) for beta in (0.0, 1e-4, 2e-4)
    ]
    first, second = moments[1] - moments[0], moments[2] - moments[0]
    np.testing.assert_allclose(moments[1], moments[0], rtol=1e-2, atol=2e-3)
    if activation == "erf":  # E[u G_1] and the like are of order sqrt(beta)
        np.testing.assert_allclose(second[[0, 8]], 2 * first[[0, 8]], rtol=2e-2, atol=1e-9)


def test_wide_layers_and_their_neurons():
    alpha = np.array([1.0, 10.0])
    one, wide = (cosine(alpha, 1.0, 2.0, neurons=k) for k in (1, math.inf))
    assert one.shape == (2,)
    assert (abs(wide) > abs(one)).all()
    ratio = (1 / one**2 - 1) * alpha
    assert ratio[0] == pytest.approx(ratio[1])
    two = 1 / cosine(alpha, 1.0, 2.0, neurons=2) ** 2 - 1
    np.testing.assert_allclose(two, ((1 / one**2 - 1) + (1 / wide**2 - 1)) / 2)


def test_even_targets_have_no_signal():
    for link, activation in (("he2", "erf"), ("he4", "tanh"), ("he4", LOG_COSH), ("abs", "relu")):
        for beta in (0.0, 1.0):
            seen = second_look(TwoLooks(beta, 2.0, link, activation))
            assert abs(seen.signal) < 1e-9
            assert seen.square > 0.05


@pytest.mark.parametrize("c", [-4.0, 0.5, 2.0])
def test_no_function_of_these_labels_helps(c):
    """Every function of +-1 is affine; E[z_*^2 - 1 | y] = 0 for z^2 exp(-z^2)."""
    for beta in (0.0, 1.0):
        assert abs(second_look(TwoLooks(beta, c, BINARY)).signal) < 1e-9
    for link in (BINARY, bell):
        for activation in ("erf", LOG_COSH):
            seen = second_look(TwoLooks(0.0, c, link, activation))
            assert abs(seen.growth) < 1e-6 * math.sqrt(seen.square)
            assert online_time(TwoLooks(0.0, c, link, activation), 0.1, 1000) == math.inf
    assert abs(second_look(TwoLooks(0.0, c, "he4", LOG_COSH)).growth) > 0.1


def test_composed_labels_need_grids():
    """The growth for -He_4: by parts on a fine grid; 80 Gauss-Hermite nodes miss it by a third."""

    def by_parts(v, in_v, z, in_z):
        y, t = -as_link("he4")(v), np.tanh(z)
        total = 0.0
        for vi, yi, wi in zip(v, y, in_v, strict=True):
            inner = 1 - np.tanh(z + 2 * yi * t) ** 2
            total += wi * (vi * vi - 1) * yi * (in_z @ (inner * (1 + 2 * yi * (1 - t * t))))
        return total

    v, z = np.arange(-8, 8, 0.01), np.arange(-8, 8, 0.0025)
    weights = [np.exp(-g * g / 2) / np.exp(-g * g / 2).sum() for g in (v, z)]
    growth = second_look(TwoLooks(0.0, 2.0, MINUS_HE4, LOG_COSH)).growth
    assert growth == pytest.approx(by_parts(v, weights[0], z, weights[1]), rel=1e-5)
    assert growth == pytest.approx(0.72695, abs=1e-5)
    v, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / math.sqrt(2 * math.pi)
    assert abs(by_parts(v, w, v, w) - growth) > 0.2


@pytest.mark.parametrize(
    "looks",
    [
        TwoLooks(0.0, 2.0),
        TwoLooks(0.25, -3.0, "he3", "tanh"),
        TwoLooks(0.0, 2.0, MINUS_HE4, LOG_COSH),
        TwoLooks(16.0, 2.0),
        TwoLooks(0.5, 8.0),
        TwoLooks(1.0, 1.5, MIXED, "gelu"),
        TwoLooks(0.1, 1.5, "he3", "relu"),
        TwoLooks(0.01, 2.0, "sign", "abs"),
    ],
    ids=["single", "tanh", "he4", "large", "long", "gelu", "relu", "abs"],
)
def test_rules_converge(looks, monkeypatch):
    want = np.array(second_look(looks))
    flow = None if looks.batch_ratio else online_drift(looks, 0.5, 0.4)
    caches = [looking_twice._second_look, _two_looks.rule, looking_twice._flow]
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(_two_looks, "_FINE", 0.6)
    got = np.array(second_look(looks))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7 * abs(want).max())
    if flow is not None:
        assert online_drift(looks, 0.5, 0.4) == pytest.approx(flow, rel=1e-6)
    for cache in caches:
        cache.cache_clear()


# --- neurons

NEURONS = [
    (TwoLooks(0.25, 2.0), 4.0),
    (TwoLooks(0.0, 2.0), 4.0),
    (TwoLooks(4.0, -3.0, "he3", "tanh"), 8.0),
    (TwoLooks(1.0, 1.5, MIXED, "gelu"), 2.0),
    (TwoLooks(0.5, -1.0, "relu", "relu"), 1.0),
    (TwoLooks(1.0, 2.0, (0.6, 0.0, 0.0, 0.8), "tanh"), 6.0),
]


@pytest.mark.parametrize(("looks", "alpha"), NEURONS)
def test_neurons(looks, alpha):
    """Relative moments of n samples and d coordinates are off by O(1/d): 4 / d in the cosine."""
    d, seeds, neurons = 192, 16, 24
    runs = [
        run(looks, alpha, d, np.random.default_rng([s, 1]), neurons=neurons) for s in range(seeds)
    ]
    assert all(found["alpha"] == alpha for found in runs)
    args = (alpha, looks.batch_ratio, looks.inner_step, looks.link, looks.activation)
    for name, k in (("cosine", 1), ("layer", neurons)):
        got = np.array([found[name].mean() for found in runs])
        error = 3 * got.std(ddof=1) / math.sqrt(seeds) + 4 / d
        assert abs(got.mean() - cosine(*args, neurons=k)) < error, name


def test_a_fresh_batch_sees_nothing():
    for beta in (0.0, 0.5):
        looks = TwoLooks(beta, 2.0)
        runs = [
            run(looks, 8.0, 128, np.random.default_rng(s), fresh=True)["cosine"].mean()
            for s in range(16)
        ]
        assert abs(np.mean(runs)) < 3 * np.std(runs, ddof=1) / 4
        assert abs(cosine(8.0, beta, 2.0)) > 0.7


def test_two_looks_by_hand():
    """One batch in float64, neuron by neuron."""
    looks, d = TwoLooks(2.0, 1.5), 20
    found = run(looks, 2.0, d, np.random.default_rng(5), neurons=3)
    rng = np.random.default_rng(5)
    W = sphere((3, d), rng)
    x = rng.standard_normal((40, d), dtype=np.float32).astype(float)
    y, slope = as_link("he3")(x[:, 0]), activations.get("erf").derivative_at
    sums = []
    for w in W:
        moved = w + 1.5 / d * (y * slope(x @ w)) @ x
        g = (y * slope(x @ moved)) @ x
        sums.append(g - (g @ w) * w)
        assert sums[-1][0] / np.linalg.norm(sums[-1]) == pytest.approx(
            found["cosine"][len(sums) - 1], abs=1e-4
        )
    mean = np.mean(sums, axis=0)
    assert mean[0] / np.linalg.norm(mean) == pytest.approx(found["layer"], abs=1e-4)


@pytest.mark.parametrize(
    "looks",
    [
        TwoLooks(8.0, 6 / 8, "he3", "tanh"),
        TwoLooks(2.0, 0.5, MIXED, "erf"),
        TwoLooks(4.0, 0.5, "relu", "gelu"),
    ],
)
def test_plain_steps(looks):
    d, seeds = 256, 16
    got = [plain_steps(looks, d, np.random.default_rng(s), neurons=24).mean() for s in range(seeds)]
    error = 3 * np.std(got, ddof=1) / math.sqrt(seeds) + 4 / d
    assert abs(np.mean(got) - looks.plain_cosine) < error


def test_two_short_plain_steps_are_twice_one():
    t, w = between(np.arange(-7, 8.0), 20)
    slope = w @ activations.get("erf").derivative_at(t)
    got = TwoLooks(2.0, 1e-6, MIXED).plain_cosine / 2e-6
    assert got == pytest.approx(2 * MIXED[1] * slope, rel=1e-4)


# --- one sample at a time


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_one_step_of_the_chain_has_the_law_of_the_walk(rho):
    looks, d, k, eps = TwoLooks(0.0, -2.0, MIXED, "tanh"), 12, 100_000, 1.0
    rng = np.random.default_rng(2)
    w = np.column_stack([np.full(k, rho), math.sqrt(1 - rho**2) * sphere((k, d - 1), rng)])
    x = rng.standard_normal((k, d))
    slope, y = activations.get("tanh").derivative_at, as_link(MIXED)(x[:, 0])
    z = (w * x).sum(1)
    moved = w + looks.inner_step / d * (y * slope(z))[:, None] * x
    w = w + eps / d * (y * slope((moved * x).sum(1)))[:, None] * (x - z[:, None] * w)
    walk = w[:, 0] / np.linalg.norm(w, axis=1)
    chain = one_step(looks, eps, d, np.full(k, rho), rng)
    for power in (1, 2):
        a, b = walk**power, chain**power
        assert abs(a.mean() - b.mean()) < 4 * math.sqrt((a.var() + b.var()) / k)


def one_step(looks, eps, d, rho, rng):
    """The chain's overlaps after a step."""
    target = as_link(looks.link)
    chain = Features(d, 1, lambda z: target(z[:, 0]), eps / d, looks.activation, looks.inner_step)
    return one_neuron_one_feature.run(chain, rho[:, None], 1, rng)[-1, :, 0]


@pytest.mark.parametrize("rho", [0.0, -0.3, 0.6])
@pytest.mark.parametrize(
    "looks",
    [
        TwoLooks(0.0, -2.0),
        TwoLooks(0.0, 2.0, MINUS_HE4, LOG_COSH),
        TwoLooks(0.0, 1.0, MIXED, "relu"),
    ],
    ids=["he3", "he4", "mixed"],
)
def test_drift_and_noise_by_the_chain(looks, rho):
    d, k, eps = 10**6, 1_000_000, 0.8
    moves = one_step(looks, eps, d, np.full(k, rho), np.random.default_rng(4)) - rho
    error = moves.std() / math.sqrt(k)
    assert abs(moves.mean() - online_drift(looks, eps, rho) / d) < 4 * error
    if not rho:
        want = (eps / d) ** 2 * second_look(looks).signal_square
        assert np.mean(moves**2) == pytest.approx(want, rel=0.03)
        near = 1e-4
        slope = online_drift(looks, eps, near) - online_drift(looks, eps, -near)
        seen = second_look(looks)
        rate = eps * seen.growth - eps**2 * seen.square / 2
        assert slope / (2 * near) == pytest.approx(rate, rel=1e-4, abs=1e-6)


def test_time_of_an_odd_target():
    looks, eps = TwoLooks(0.0, -2.0), 1.0
    want = online_time(looks, eps)
    rho, t, h = 0.0, 0.0, 0.02  # a midpoint rule
    grid = np.linspace(-0.6, 0.05, 40)
    speed = np.polynomial.Polynomial.fit(grid, online_drift(looks, eps, grid), 12)
    while rho > -0.5:
        before = rho
        rho, t = rho + h * speed(rho + h / 2 * speed(rho)), t + h
    t -= h * (rho + 0.5) / (rho - before)
    assert t == pytest.approx(want, rel=1e-4)
    assert online_time(looks, eps, 100, share=0.3) == want  # neither d nor chance
    d, rng = 512, np.random.default_rng(0)
    time = time_to(looks, eps, d, sphere((100, d), rng)[:, 0], rng, 20 * d) / d
    spread = 1.25 * time.std() / 10
    assert abs(np.median(time) - want) < 3 * spread + 20 / d  # of order 1/d


def test_time_of_an_even_target():
    """The diffusion that the law is the limit of, at a dimension out of reach of samples."""
    looks, eps, d, k, h = TwoLooks(0.0, 2.0, MINUS_HE4, LOG_COSH), 1.0, 1e8, 4000, 0.01
    grid = np.linspace(-0.55, 0.55, 24)
    speed = np.polynomial.Polynomial.fit(grid, online_drift(looks, eps, grid), 13)
    noise = eps * math.sqrt(second_look(looks).signal_square * h / d)
    rng = np.random.default_rng(1)
    rho, time = rng.standard_normal(k) / math.sqrt(d), np.full(k, math.inf)
    for i in range(1, 6000):
        rho = rho + h * speed(rho) + noise * rng.standard_normal(len(rho))
        new = (abs(rho) >= 0.5) & np.isinf(time)
        time[new] = i * h
        rho = np.clip(rho, -0.55, 0.55)
    for share in (0.25, 0.5, 0.75):
        got, want = np.quantile(time, share), online_time(looks, eps, d, share=share)
        density = 0.15  # of the law near its quartiles, at least
        assert abs(got - want) < 3 * math.sqrt(share * (1 - share) / k) / density * 0.6 + 2 * h
    rate = second_look(looks).growth - second_look(looks).square / 2
    doubling = online_time(looks, eps, 2048) - online_time(looks, eps, 1024)
    assert doubling == pytest.approx(math.log(2) / (2 * rate))


def test_where_nothing_arrives():
    assert online_time(TwoLooks(0.0, 2.0, "he4", LOG_COSH), 1.0, 100) == math.inf  # a wrong sign
    assert online_time(TwoLooks(0.0, -2.0), 1.0, level=0.99) == math.inf  # the toll
    assert online_time(TwoLooks(0.0, 0.0), 0.1) == math.inf  # one look
    rng = np.random.default_rng(0)
    time = time_to(TwoLooks(0.0, 0.0), 0.2, 300, [0.6, 0.0], rng, 600)
    assert time.tolist() == [0.0, math.inf]


# --- the optimum


@pytest.mark.parametrize("link", ["he3", MIXED, "relu"])
def test_no_transform_sees_more_than_the_posterior_mean(link):
    """Cauchy-Schwarz: E[z_* T]^2 / E T^2 <= lambda_1; of any neuron, wide layers included."""
    alpha = np.array([0.3, 1.0, 4.0])
    best, first = transformed_cosine(alpha, link), information(link)[0]
    v, w = between(np.arange(-7.5, 8, 0.5), 24, reach=8)
    y = as_link(link)(v)
    for T in (y, np.tanh(y), y * np.exp(-(y**2))):
        assert (w @ (v * T)) ** 2 / (w @ T**2) < first + 1e-9
    for c in (-2.0, 1.0, 3.0):
        seen = second_look(TwoLooks(0.0, c, link))
        assert seen.signal**2 < first * seen.layer_noise < first * seen.noise
        layer = cosine(alpha, 0.0, c, link, neurons=math.inf)
        assert (abs(layer) <= best).all()
    assert (state_evolution(alpha, link) >= best - 1e-6).all()
    assert transformed_cosine(0.0, link) == 0
    assert best[1] == pytest.approx(math.sqrt(first / (1 + first)))


def test_thresholds():
    assert weak_recovery("he3") == 0
    assert information("he3")[0] == pytest.approx(0.66783, abs=1e-5)
    assert weak_recovery("abs") == pytest.approx(0.5, abs=1e-6)
    assert weak_recovery("he4") == pytest.approx(0.64485, abs=1e-5)
    assert weak_recovery(MINUS_HE4) == pytest.approx(weak_recovery("he4"))
    assert weak_recovery(BINARY) == weak_recovery(bell) == math.inf
    assert weak_recovery([0.0, 1.0]) == 0
    alpha = weak_recovery("he4") * np.array([0.95, 1.05, 1.5])
    below, above, far = state_evolution(alpha, "he4")
    assert below == 0 < above < far
    assert (transformed_cosine(alpha, "he4") == 0).all()


def test_the_best_transform_and_message_passing():
    """Of means over seeds; finite size: what the estimate loses to d coordinates, 4 / d."""
    alpha, d, seeds = 1.0, 400, 12
    got = []
    for s in range(seeds):
        path = amp(alpha, d, np.random.default_rng(s), "he3")
        got.append([path[1], path[-1]])
    got = np.array(got)
    want = transformed_cosine(alpha, "he3"), state_evolution(alpha, "he3")
    error = 3 * got.std(0, ddof=1) / math.sqrt(seeds) + 4 / d
    assert (abs(got.mean(0) - want) < error).all()
    assert want[1] > want[0] + 0.1
    lost = [amp(0.4, d, np.random.default_rng(s), "he4", start=0.3)[-1] for s in range(seeds)]
    assert abs(np.mean(lost)) < 0.1  # below its threshold the start is forgotten
    kept = [amp(2.0, d, np.random.default_rng(s), "he4", start=0.3)[-1] for s in range(seeds)]
    assert np.median(np.abs(kept)) > 0.8


def test_jumps_of_a_callable_are_found():
    def jump(z):
        return np.sign(z - 0.3) + (z > -1.1774)

    declared = Activation("jump", jump, np.zeros_like, 0, (-1.1774, 0.3))
    for kind in (information, lambda link: cosine(2.0, 0.25, 2.0, link)):
        assert kind(jump) == pytest.approx(kind(declared), abs=1e-9)


# --- bad input


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"batch_ratio": -1.0}, ValueError, "batch_ratio=-1"),
        ({"inner_step": math.nan}, ValueError, "inner_step=nan"),
        ({"inner_step": "long"}, TypeError, "inner_step='long'"),
        ({"link": "nothing"}, ValueError, "nothing"),
        ({"link": lambda z: np.sin(1e5 * z**2)}, ValueError, "kinks"),
        ({"activation": "sign"}, ValueError, "no slope"),
        ({"activation": 3}, TypeError, "activation=3"),
    ],
)
def test_bad_configs(more, error, match):
    with pytest.raises(error, match=match):
        TwoLooks(**({"batch_ratio": 1.0, "inner_step": 2.0} | more))


def test_bad_arguments():
    looks, rng = TwoLooks(1.0, 2.0), np.random.default_rng(0)
    single = TwoLooks(0.0, 2.0)
    for call, match in (
        (lambda: cosine(0.0, 1.0, 2.0), "alpha"),
        (lambda: cosine(1.0, 1.0, 2.0, neurons=0), "neurons=0"),
        (lambda: run(looks, 0.4, 50, rng), "alpha=0.4"),
        (lambda: run(TwoLooks(0.001, 2.0), 1.0, 50, rng), "batch_ratio=0.001"),
        (lambda: run(looks, 1.0, 2, rng), "d=2"),
        (lambda: plain_steps(single, 50, rng), "batch_ratio=0"),
        (lambda: single.plain_cosine, "batch_ratio=0"),
        (lambda: online_drift(looks, 1.0, 0.0), "batch_ratio 0"),
        (lambda: online_drift(single, 1.0, 1.5), "1.5"),
        (lambda: online_time(single, 0.0), "step=0"),
        (lambda: online_time(single, 1.0, level=1.0), "level=1.0"),
        (lambda: online_time(single, 1.0, 1.5), "d=1.5"),
        (lambda: time_to(looks, 1.0, 50, 0.0, rng, 5), "batch_ratio 0"),
        (lambda: time_to(single, 1.0, 50, 2.0, rng, 5), "start"),
        (lambda: time_to(single, 1.0, 50, 0.0, rng, 5, level=2.0), "level"),
        (lambda: transformed_cosine(-1.0, "he3"), "alpha"),
        (lambda: state_evolution(-1.0, "he3"), "alpha"),
        (lambda: weak_recovery("nothing"), "nothing"),
        (lambda: amp(1.0, 50, rng, start=1.0), "start=1.0"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    for call in (
        lambda: second_look("he3"),
        lambda: label_transform("he3", 1.0),
        lambda: run("he3", 1.0, 50, rng),
        lambda: plain_steps("he3", 50, rng),
        lambda: run(looks, 1.0, 50, 0),
    ):
        with pytest.raises(TypeError):
            call()
