"""The second gradient step: closed forms, Monte Carlo routes, matrices and networks."""

import math
import warnings

import numpy as np
import pytest
from scipy.stats import norm, qmc

from twolayer import activations
from twolayer.data import as_link
from twolayer.hermite import between
from twolayer.simulation.second_step import run
from twolayer.theory import second_step
from twolayer.theory.one_step import FirstStep
from twolayer.theory.second_step import TwoSteps, after_both, second_gradient, squared_overlap

# --- a second route: one batch of labels and one population of neurons, both drawn


def gaussian(points, dimension, seed):
    """Scrambled Sobol points, as standard Gaussians: sampling with less noise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that are no power of two
        u = qmc.Sobol(dimension, seed=seed).random(points)
    return norm.ppf(np.clip(u, 1e-12, 1 - 1e-12)).T


def drawn(steps, n=2**16, neurons=2**9, self_slope=True, self_term=True):
    """Strength, cos theta and cos v for equal readouts, by sampling all that is averaged."""
    sigma = activations.get(steps.activation)
    (w,) = gaussian(2**17, 1, 1)
    mu1 = np.mean(sigma.derivative_at(w))
    z, omega, e = gaussian(n, 3, 2)
    y = as_link(steps.link)(z) + steps.noise * e
    theta1, square = np.mean(z * y), np.mean(y**2)
    size = math.sqrt(theta1**2 + square / steps.alpha0)
    rho, bar = theta1 / size, math.sqrt(square / steps.alpha0) / size
    k = rho * z + bar * omega
    noise = steps.eta1 * math.sqrt(square * np.var(sigma.derivative_at(w)) / steps.alpha0)
    w, xi = gaussian(neurons, 2, 3)
    slope = sigma.derivative_at(w) if self_slope else mu1
    base = w + noise * xi
    F, S = np.empty(n), np.empty(n)
    for at in range(0, n, 500):
        part = slice(at, at + 500)
        p = base + steps.eta1 * mu1 * size * k[part, None]
        if steps.reuse and self_term:
            p = p + steps.eta1 / steps.alpha0 * y[part, None] * slope
        F[part], S[part] = sigma(p).mean(1), sigma.derivative_at(p).mean(1)
    h = (y - F) * S
    q, rest = omega, np.mean(h * h)
    if steps.reuse:
        q = omega + y / math.sqrt(steps.alpha0 * square)
        rest -= np.mean(h * y) ** 2 / square
    theta, across = np.mean(z * h), np.mean(q * h)
    size = math.sqrt(theta**2 + across**2 + rest / steps.alpha0)
    return size, theta / size, (rho * theta + bar * across) / size


@pytest.mark.parametrize(
    ("activation", "link", "alpha0", "eta1", "reuse", "noise"),
    [
        ("tanh", "sign", 4.0, 2.0, False, 0.0),
        ("tanh", "sign", 4.0, 2.0, True, 0.0),
        ("tanh", "relu", 2.0, 1.5, True, 0.5),
        ("tanh", "he3", 4.0, 1.5, True, 0.0),
        ("sin", (0.0, 0.3, 0.0, 0.9), 8.0, 1.0, True, 0.0),
    ],
)
def test_quadrature_and_sampling_agree(activation, link, alpha0, eta1, reuse, noise):
    steps = TwoSteps(activation, link, alpha0, eta1, reuse, noise=noise)
    want = second_gradient(steps)
    for got, exact in zip(drawn(steps), (want.values[0], want.theta, want.v), strict=True):
        assert got == pytest.approx(exact, abs=0.02)


def test_wrong_self_terms_fail():
    """The sample's own pull is sigma'(z) y, neither its mean nor nothing."""
    steps = TwoSteps("tanh", "he3", 4.0, 1.5, reuse=True)
    want = squared_overlap("tanh", "he3", 4.0, 1.5, True)
    assert drawn(steps)[1] ** 2 == pytest.approx(want, abs=0.02)
    assert drawn(steps, self_slope=False)[1] ** 2 < want - 0.1
    assert drawn(steps, self_term=False)[1] ** 2 < 0.01


def test_conditioning_on_the_labels_product():
    """u = X'h/n of a matrix whose h was made from each sample without its own pull."""
    d, alpha0, rng = 1500, 4.0, np.random.default_rng(0)
    x = rng.standard_normal((int(alpha0 * d), d))
    z = x[:, 0]
    y = np.sign(z) + 0.3 * rng.standard_normal(len(x))
    g = x.T @ y / len(x)
    others = x @ g / np.linalg.norm(g) - y / (alpha0 * np.linalg.norm(g))  # leave-one-out
    h = y * np.cos(others) - 0.4 * y**2 + np.tanh(others)
    u = x.T @ h / len(x)
    theta1, square = math.sqrt(2 / math.pi), 1.09
    size = math.sqrt(theta1**2 + square / alpha0)
    rho, bar = theta1 / size, math.sqrt(square / alpha0) / size
    z, omega, e = np.random.default_rng(1).standard_normal((3, 4_000_000))
    y = np.sign(z) + 0.3 * e
    k = rho * z + bar * omega
    h = y * np.cos(k) - 0.4 * y**2 + np.tanh(k)
    along = np.mean(z * h)
    across = np.mean((omega + y / math.sqrt(alpha0 * square)) * h)
    rest = (np.mean(h * h) - np.mean(h * y) ** 2 / square) / alpha0
    assert u[0] == pytest.approx(along, abs=0.04)
    v = (g - g[0] * np.eye(d)[0]) / np.linalg.norm(g[1:])
    assert u @ v == pytest.approx(across, abs=0.04)
    assert u @ u - u[0] ** 2 - (u @ v) ** 2 == pytest.approx(rest, rel=0.05)


# --- closed forms


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("link", ["sign", "he2", "he3"])
def test_without_a_first_step_it_is_the_first_gradient(reuse, link):
    first = FirstStep("tanh", link, 4.0, 1.0)
    for eta1, near in ((0.0, 1e-5), (1e-4, 1e-3)):
        steps = TwoSteps("tanh", link, 4.0, eta1, reuse)
        found = second_gradient(steps)
        assert found.values[0] == pytest.approx(first.slope * first.gradient_norm, rel=near)
        assert found.theta**2 == pytest.approx(first.squared_overlap, abs=near)
        if reuse:
            assert found.v == pytest.approx(1, abs=near)
        else:  # two independent gradients
            assert found.v == pytest.approx(first.squared_overlap, abs=near)


@pytest.mark.parametrize("eta1", [0.3, 1.0, 2.5])
def test_linear_neurons_fresh(eta1):
    """F = r k, S = 1: all averages by hand."""
    alpha0, theta1 = 3.0, math.sqrt(2 / math.pi)
    length = math.hypot(theta1, alpha0**-0.5)
    rho, r = theta1 / length, eta1 * length
    along, v = theta1 - r * rho, rho * theta1 - r
    rest = (1 - 2 * r * rho * theta1 + r * r) / alpha0
    size = math.sqrt((along**2 + v**2 - 2 * rho * along * v) / (1 - rho**2) + rest)
    found = second_gradient(TwoSteps("identity", "sign", alpha0, eta1))
    assert found.values[0] == pytest.approx(size)
    assert (found.theta, found.v) == pytest.approx((along / size, v / size))


@pytest.mark.parametrize("eta1", [0.3, 1.0, 2.5])
def test_linear_neurons_reused(eta1):
    """u = (1 - eta X'X/n) g: with labels of noise only, moments of Marchenko-Pastur's law."""
    a = 1 / 3.0
    m1, m2, m3 = a, a + a**2, a + 3 * a**2 + a**3
    found = second_gradient(TwoSteps("identity", [0.0], 3.0, eta1, True, noise=1.0))
    size = math.sqrt(m1 - 2 * eta1 * m2 + eta1**2 * m3)
    assert found.values[0] == pytest.approx(size)
    assert found.v == pytest.approx((m1 - eta1 * m2) / math.sqrt(m1) / size)


def test_small_steps_reused():
    """The first pull towards theta: eta1^2 / (2 alpha0^2) E[sigma''' sigma'^2] E[z y^3]."""
    z, w = np.polynomial.hermite_e.hermegauss(120)
    w = w / math.sqrt(2 * math.pi)
    t = np.tanh(z)
    slope, third = 1 - t**2, -2 * (1 - t**2) * (1 - 3 * t**2)
    y = (z**3 - 3 * z) / math.sqrt(6)
    assert w @ (z * y**3) == pytest.approx(324 / 6**1.5)
    want = w @ (third * slope**2) * (w @ (z * y**3)) / 2
    for eta1 in (0.02, 0.01):
        steps = TwoSteps("tanh", "he3", 4.0, eta1, True)
        found = second_gradient(steps)
        got = found.theta * found.values[0] / (eta1 / 4) ** 2
        assert got == pytest.approx(want, rel=40 * eta1**2 + 1e-3)
    mean = (w @ third) * (w @ slope) ** 2 * (w @ (z * y**3)) / 2  # a self-term without z
    assert abs(mean / want - 1) > 0.2


def test_large_batches_reused():
    """At eta1 = 1/mu1^2 signal of order 1/alpha0^2 stands in noise of order 1/alpha0."""
    z, w = np.polynomial.hermite_e.hermegauss(120)
    w = w / math.sqrt(2 * math.pi)
    t = np.tanh(z)
    slope, third = 1 - t**2, -2 * (1 - t**2) * (1 - 3 * t**2)
    mu1, bend = w @ slope, w @ (third * slope**2)
    for alpha0, near in ((500.0, 0.03), (1000.0, 0.02)):
        own = 1 / (mu1**2 * alpha0)
        found = second_gradient(TwoSteps("tanh", "he3", alpha0, 1 / mu1**2, True))
        theta = found.theta * found.values[0]
        assert theta == pytest.approx(own**2 / 2 * bend * 324 / 6**1.5, rel=near)
        rest = found.values[0] * math.sqrt(1 - found.theta**2 - found.v**2)
        assert rest == pytest.approx(mu1 / alpha0, rel=near)


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("link", ["he2", "he4"])
def test_even_links_give_no_direction(link, reuse):
    assert squared_overlap("tanh", link, 4.0, 1.5, reuse) < 1e-12


def test_cubic_link_needs_the_reused_batch():
    assert squared_overlap("tanh", "he3", 4.0, 1.5, False) < 1e-12
    assert squared_overlap("tanh", "he3", 4.0, 1.5, True) == pytest.approx(0.2917, abs=1e-3)


def test_the_second_residual_unlearns_noise():
    """Along v_perp the pull is E[omega (y - F) S]: by parts, against the first step."""
    steps = TwoSteps("tanh", "sign", 4.0, 2.0)
    found = second_gradient(steps)
    bar = math.sqrt(1 - steps.cosine**2)
    across = found.values[0] * (found.v - steps.cosine * found.theta) / bar
    assert across < 0
    k, w = np.polynomial.hermite_e.hermegauss(120)
    w, b = w / math.sqrt(2 * math.pi), math.sqrt(1 + steps.noise_variance)
    u = steps.strength * k[:, None] + b * k
    F, S = np.tanh(u) @ w, (1 - np.tanh(u) ** 2) @ w
    second = (-2 * np.tanh(u) * (1 - np.tanh(u) ** 2)) @ w
    seen = np.vectorize(math.erf)(steps.cosine * k / (bar * math.sqrt(2)))  # E[y | k]
    parts = steps.strength * bar * (w @ (seen * second - S * S - F * second))
    assert across == pytest.approx(parts, rel=5e-5)


def test_limits_of_both_steps():
    steps = TwoSteps("tanh", "sign", 4.0, 2.0)
    none = after_both(steps, 0.0)
    assert none.theta == pytest.approx(steps.cosine)
    assert none.values[0] == pytest.approx(steps.strength)
    far = after_both(steps, 1e6)
    assert far.theta == pytest.approx(second_gradient(steps).theta, abs=1e-5)
    short = TwoSteps("tanh", "sign", 4.0, 1e-5)  # two short steps are one on both batches
    one = TwoSteps("tanh", "sign", 8.0, 1.0)
    assert after_both(short, 1e-5).theta == pytest.approx(one.cosine, abs=1e-4)
    best = after_both(steps, 2.0).theta
    assert best**2 > one.cosine**2 + 0.03


def test_gaussian_readouts_by_terms():
    """Small first steps: value p + 1 falls like r^p, and odd p vanish for an odd activation."""
    small = [
        second_gradient(TwoSteps("tanh", "sign", 4.0, eta, readout="gaussian")).values
        for eta in (0.1, 0.05)
    ]
    assert small[0][0] / small[1][0] == pytest.approx(1, rel=0.02)
    assert small[0][1] / small[1][1] == pytest.approx(4, rel=0.05)
    shifted = activations.Activation(
        "shifted", lambda z: np.tanh(z + 0.5), lambda z: 1 - np.tanh(z + 0.5) ** 2
    )
    small = [
        second_gradient(TwoSteps(shifted, "sign", 4.0, eta, readout="gaussian")).values
        for eta in (0.04, 0.02)
    ]
    for p in range(3):
        assert small[0][p] / small[1][p] == pytest.approx(2**p, rel=0.06)


# --- convergence of the rules


@pytest.mark.parametrize("width", [0.5, 1.9, 3.0, 40.0, 1e4])
@pytest.mark.parametrize("name", ["tanh", "relu", "he3"])
def test_tables_of_averaged_neurons(name, width):
    """Against a fine rule; linear interpolation errs by spacing^2 / 8 of the second derivative."""
    activation = activations.get(name)
    u = np.linspace(-9, 9, 40)[:, None] * max(1.0, width)
    table = second_step._Table(activation, width, float(u.max()) + 0.1)
    cuts = np.union1d(np.linspace(-8, 8, 40), 0.0)
    xi, w = between((cuts - u) / width, 40, reach=8.0)
    exact = [(part * w).sum(-1) for part in activation.both(u + width * xi)]
    bend = 1 / (2 * math.pi * min(width, 1.0) ** 2) ** 0.5  # of relu's slope, the sharpest
    for got, want in zip(table(u[:, 0]), exact, strict=True):
        error = 0.005**2 / 8 * 4 * bend / min(width, 1.0) * np.abs(want).max()
        np.testing.assert_allclose(got, want, rtol=0, atol=error)


@pytest.mark.parametrize(
    "steps",
    [
        TwoSteps("tanh", "he3", 2.0, 4.0, True),
        TwoSteps("relu", "sign", 4.0, 2.0, True),
        TwoSteps("tanh", "sign", 1.0, 8.0, False),
        TwoSteps("tanh", "sign", 4.0, 1.0, readout="gaussian"),
    ],
    ids=["cubic", "relu", "long", "gaussian"],
)
def test_rules_converge(steps, monkeypatch):
    want = second_gradient(steps)
    rule = second_step._rule
    monkeypatch.setattr(second_step, "_rule", lambda kinks, n: rule(kinks, int(1.4 * n)))
    monkeypatch.setattr(second_step, "_SPACING", 0.002)
    monkeypatch.setattr(second_step, "_READOUTS", 28)
    second_step._pulls.cache_clear()
    got = second_gradient(steps)
    second_step._pulls.cache_clear()
    assert got.values[0] == pytest.approx(want.values[0], rel=2e-4)
    assert (got.theta, got.v) == pytest.approx((want.theta, want.v), abs=2e-4)


# --- networks


@pytest.mark.parametrize(
    ("steps", "eta2"),
    [
        (TwoSteps("tanh", "sign", 4.0, 2.0), 2.0),
        (TwoSteps("tanh", "sign", 4.0, 2.0, True), 2.0),
        (TwoSteps("relu", "sign", 4.0, 2.0, True), 2.0),
        (TwoSteps("tanh", "sign", 4.0, 1.0, True, readout="gaussian"), 1.0),
    ],
    ids=["fresh", "reused", "relu", "gaussian"],
)
def test_networks(steps, eta2):
    runs = [run(steps, eta2, 400, np.random.default_rng(seed)) for seed in range(6)]
    want, both = second_gradient(steps), after_both(steps, eta2)
    pairs = {
        "squared_overlap": want.theta**2,
        "squared_overlap_with_v": want.v**2,
        "both": both.theta**2,
        "first": steps.cosine**2,
    }
    for name, exact in pairs.items():
        got = np.array([found[name] for found in runs])
        assert abs(got.mean() - exact) < 4 * got.std(ddof=1) / 6**0.5 + 0.02, name
    top = np.mean([found["values"][0] for found in runs])
    assert top == pytest.approx(want.values[0], rel=0.03)


def test_errors_of_the_readout():
    steps = TwoSteps("tanh", "sign", 8.0, 2.0)
    found = run(steps, [1.0, 2.0], 100, np.random.default_rng(0), alpha=6.0, n_test=500)
    assert found["twice"].shape == found["both"].shape == (2,)
    assert found["twice"][1] < found["once"] < found["start"]
    again = run(steps, [1.0, 2.0], 100, np.random.default_rng(0), alpha=6.0, n_test=500)
    assert all(np.array_equal(found[key], again[key]) for key in found)


# --- bad input


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"eta1": -1.0}, ValueError, "eta1=-1.0"),
        ({"alpha0": 0.0}, ValueError, "alpha0=0.0"),
        ({"reuse": "yes"}, TypeError, "reuse='yes'"),
        ({"readout": "sign"}, ValueError, "readout='sign'"),
        ({"activation": "sign"}, ValueError, "jumps"),
        ({"activation": "relu", "link": "relu"}, ValueError, "mean"),
        ({"noise": -0.1}, ValueError, "noise=-0.1"),
        ({"width_ratio": 0}, ValueError, "width_ratio=0"),
    ],
)
def test_bad_configs(more, error, match):
    good = {"activation": "tanh", "link": "sign", "alpha0": 4.0, "eta1": 1.0}
    with pytest.raises(error, match=match):
        TwoSteps(**(good | more))


def test_bad_arguments():
    steps, rng = TwoSteps("tanh", "sign", 4.0, 1.0), np.random.default_rng(0)
    with pytest.raises(ValueError, match="eta2=-1"):
        after_both(steps, -1)
    with pytest.raises(TypeError, match="steps="):
        run("tanh", 1.0, 20, rng)
    with pytest.raises(ValueError, match="alpha=0"):
        run(steps, 1.0, 20, rng, alpha=0)
    with pytest.raises(TypeError, match="rng=0"):
        run(steps, 1.0, 20, 0)
