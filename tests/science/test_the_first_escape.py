"""The escape of one neuron: its chain of one number against R^d, and the equation against both."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from twolayer import activations
from twolayer.data import as_link, sphere
from twolayer.hermite import coefficients
from twolayer.simulation.the_first_escape import run as chain
from twolayer.simulation.the_first_escape import simulate, time_to
from twolayer.theory import the_first_escape
from twolayer.theory.the_first_escape import (
    OnlineSGD,
    drift,
    information_exponent,
    ode,
    ode_time,
)

MIXED = (0.2, 0.4, 0.7, 0.5)
SETTINGS = [
    OnlineSGD(2, "he2", 0.3),
    OnlineSGD(3, MIXED, 0.2, "tanh", noise=0.5),
    OnlineSGD(8, "he3", 0.05, loss="squared"),
    OnlineSGD(8, (0, 0, 0, -1.0), 0.3, "tanh", "squared", reuse=2, noise=1.0),
    OnlineSGD(30, "sign", 0.1, MIXED, reuse=3),
    OnlineSGD(30, np.sin, 0.05, "relu", noise=0.3),
]


def starts(m, k, d, rng):
    """Points on the sphere of overlap m."""
    across = math.sqrt(1 - m * m) * sphere((k, d - 1), rng)
    return np.column_stack([np.full(k, m), across])


# --- the walk in R^d


@pytest.mark.parametrize("config", SETTINGS)
def test_a_step_by_automatic_differentiation(config):
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    w0 = 3 * starts(0.3, 4, config.d, np.random.default_rng(2))  # the length is lost
    got = simulate(config, w0, 2, rng)
    w = torch.as_tensor(w0 / np.linalg.norm(w0, axis=1, keepdims=True))
    np.testing.assert_allclose(got[0], w[:, 0])
    f = as_link(config.link)
    given = config.link if config.activation is None else config.activation
    sigma = activations.get(given) if isinstance(given, str) else as_link(given)
    for step in (1, 2):
        x = twin.standard_normal(w0.shape)
        y = torch.as_tensor(f(x[:, 0]) + config.noise * twin.standard_normal(len(x)))
        x = torch.as_tensor(x)
        for _ in range(config.reuse):
            w = w.detach().requires_grad_()
            out = sigma((w * x).sum(1))
            loss = -y * out if config.loss == "correlation" else (y - out) ** 2 / 2
            (grad,) = torch.autograd.grad(loss.sum(), w)
            w = w.detach()
            w = w - config.eta * (grad - (grad * w).sum(1, keepdim=True) * w)
            w = w / w.norm(dim=1, keepdim=True)
        np.testing.assert_allclose(got[step], w[:, 0].numpy(), rtol=1e-10, atol=1e-12)


# --- the chain is the walk, in law


@pytest.mark.parametrize("m", [0.0, -0.4, 0.9])
@pytest.mark.parametrize("config", SETTINGS)
def test_one_step_of_the_chain_has_the_law_of_the_walk(config, m):
    k = 60_000
    rng = np.random.default_rng([7, round(10 * m) + 10])
    walk = simulate(config, starts(m, k, config.d, rng), 1, rng)[1]
    short = chain(config, m, 1, rng, size=k)[1]
    for power in (1, 2):  # four standard errors of a difference, 36 comparisons
        a, b = walk**power, short**power
        assert abs(a.mean() - b.mean()) < 4 * math.sqrt((a.var() + b.var()) / k)
    # rounded: a closed ReLU stays where it is, up to the last digit
    assert stats.ks_2samp(walk.round(9), short.round(9)).pvalue > 1e-4


@pytest.mark.parametrize("config", SETTINGS)
def test_many_steps_of_the_chain_have_the_law_of_the_walk(config):
    k, rng = 5000, np.random.default_rng(8)
    walk = simulate(config, starts(0.2, k, config.d, rng), 40, rng, every=20)
    short = chain(config, 0.2, 40, rng, size=k, every=20)
    for a, b in zip(walk[1:], short[1:], strict=True):
        assert stats.ks_2samp(a.round(9), b.round(9)).pvalue > 1e-4
    assert abs(short).max() <= 1 + 1e-12


def test_records_and_draws():
    config = OnlineSGD(20, "he2", 0.01, noise=0.1)

    def run(steps, every=1, k=70):
        return chain(config, np.full(k, 0.3), steps, np.random.default_rng(3), every=every)

    full = run(600)
    assert full.shape == (601, 70)
    np.testing.assert_array_equal(full[0], 0.3)
    np.testing.assert_array_equal(run(600, 7), full[::7])  # across the ends of blocks
    np.testing.assert_array_equal(run(250), full[:251])
    np.testing.assert_array_equal(run(0), full[:1])
    assert len(set(full[-1])) == 70  # runs are independent
    w0 = starts(0.3, 2, 20, np.random.default_rng(0))
    walk = simulate(config, w0, 9, np.random.default_rng(0))
    np.testing.assert_array_equal(
        simulate(config, w0, 9, np.random.default_rng(0), every=4), walk[::4]
    )


# --- the drift

LARGE = [
    OnlineSGD(10**6, "he2", 3e-7),
    OnlineSGD(10**6, MIXED, 5e-7, "tanh", noise=0.8),
    OnlineSGD(10**6, "he3", 1e-7, loss="squared", noise=1.0),
    OnlineSGD(10**6, "he2", 1e-7, reuse=2),
    OnlineSGD(10**6, (0, 0, 0, -1.0), 3e-7, "tanh", "squared", reuse=2, noise=1.0),
    OnlineSGD(10**6, "sign", 4e-7, (0, 1.0, 0.5, 0.3), reuse=3),
    OnlineSGD(10**6, "relu", 5e-7, noise=0.4),
    OnlineSGD(10**6, "abs", 5e-7, "relu", loss="squared"),
]


@pytest.mark.parametrize("config", LARGE)
def test_drift_by_monte_carlo(config):
    """Means of 1.2 million steps; the error of order 1/d is below a hundredth of their spread."""
    k, rng = 400_000, np.random.default_rng(5)
    for m in (0.05, -0.3, 0.7):
        moves = np.concatenate([chain(config, m, 1, rng, size=k)[1] - m for _ in range(3)])
        error = moves.std() / math.sqrt(moves.size)
        assert abs(moves.mean() - drift(config, m)) < 4 * error


@pytest.mark.parametrize("student", ["he3", "tanh", "relu", (0.1, 0.4, -0.3, 0.2)])
@pytest.mark.parametrize("link", ["he3", "abs", (0.3, 0.5, 1.0, 0.7)])
def test_drift_in_hermite_coefficients(link, student):
    """E[G (v - m z)] = zeta'(m) (1 - m^2): the part of first order in eta, from two step sizes."""
    m = np.linspace(-0.8, 0.8, 5)

    def per_eta(eta):
        return drift(OnlineSGD(100, link, eta, student, noise=0.7), m) / eta

    first = 2 * per_eta(1e-3) - per_eta(2e-3)
    degree = 60
    c, s = (coefficients(as_link(f), degree) for f in (link, student))
    j = np.arange(1, degree + 1)
    zeta = (j * c[1:] * s[1:] * m[:, None] ** (j - 1)).sum(1)
    np.testing.assert_allclose(first, zeta * (1 - m**2), rtol=1e-6, atol=1e-6)  # 0.8^60 = 1.5e-6


def test_drift_of_a_matched_link_and_at_the_target():
    m = np.linspace(-1, 1, 9)
    for k in (1, 2, 3):
        size = 1e-9  # d eta^2 is negligible
        got = drift(OnlineSGD(10, f"he{k}", size), m) / size
        np.testing.assert_allclose(got, k * m ** (k - 1) * (1 - m**2), atol=1e-6)
        # second part at m = 0: E[y^2] E[sigma'^2] = k; a squared loss adds E[sigma^2 sigma'^2]
        near = 1e-6
        config = OnlineSGD(10, f"he{k}", 0.1, noise=0.5)
        slope = (drift(config, near) - drift(config, -near)) / (2 * near)
        assert slope == pytest.approx(0.1 * 2 * (k == 2) - 0.05 * 1.25 * k, rel=1e-6)
    # squared loss at the target: only noise moves the neuron, by eta^2 d noise^2 E[sigma'^2] / 2
    assert drift(OnlineSGD(10, "he3", 0.1, loss="squared"), 1.0) == pytest.approx(0, abs=1e-12)
    got = drift(OnlineSGD(10, "he3", 0.1, loss="squared", noise=0.5), 1.0)
    assert got == pytest.approx(-0.05 * 0.25 * 3, rel=1e-9)


def test_orthogonal_links_only_shrink_the_overlap():
    m = np.array([-0.5, 0.0, 0.3])
    for loss in ("correlation", "squared"):
        # nothing of first order from the label: z alone has no pull towards v
        got = [drift(OnlineSGD(10, "he2", eta, "he3", loss), m) / eta for eta in (1e-4, 2e-4)]
        np.testing.assert_allclose(2 * got[0] - got[1], 0, atol=1e-10)
        assert np.all(got[0] * m <= 0)


def test_reuse_gives_a_cubic_link_a_push_at_zero():
    """E[G v] at m = 0 is (sqrt 6 / 2) c^2 E[v y^3] E[sigma'^2] = 81 c^2, with c = eta d."""
    for c in (0.01, 0.1):
        config = OnlineSGD(1000, "he3", c / 1000, reuse=2)
        assert drift(config, 0.0) / config.eta == pytest.approx(81 * c**2, rel=1e-9)
        assert drift(OnlineSGD(1000, "he3", c / 1000), 0.0) == pytest.approx(0, abs=1e-15)
    # a linear neuron takes the same step twice
    m = np.linspace(-0.9, 0.9, 4)
    twice = drift(OnlineSGD(100, "he1", 1e-3, reuse=2), m)
    np.testing.assert_allclose(twice, drift(OnlineSGD(100, "he1", 2e-3), m), rtol=1e-9)


def test_reuse_against_an_expansion_for_the_quadratic_link():
    """sigma = He_2/sqrt 2: z moves by eta d y sqrt(2) z, so G_2 = (1 + sqrt(2) c y) G_1."""
    m, c = 0.3, 0.2
    v, t = np.meshgrid(*2 * (np.polynomial.hermite_e.hermegauss(20)[0],), indexing="ij")
    w = np.outer(*2 * (np.polynomial.hermite_e.hermegauss(20)[1],)) / (2 * math.pi)
    z, y = m * v + math.sqrt(1 - m * m) * t, (v * v - 1) / math.sqrt(2)
    total = math.sqrt(2) * z * y * (2 + math.sqrt(2) * c * y)
    want = np.sum(w * total * (v - m * z)) - c * m * np.sum(w * total**2) / 2
    config = OnlineSGD(1000, "he2", c / 1000, reuse=2)
    assert drift(config, m) / config.eta == pytest.approx(want, rel=1e-9)


# --- the equation


def test_equation_of_a_linear_link_in_closed_form():
    """m' = eta (1 - m^2 - c m (1 + noise^2) / 2): a Riccati equation."""
    config = OnlineSGD(100, "he1", 0.004, noise=0.5)
    b = 0.4 * 1.25 / 2
    root = math.sqrt(b * b / 4 + 1)  # fixed points -b/2 +- root

    def exact(t):
        return -b / 2 + root * np.tanh(config.eta * root * t + math.atanh((0.1 + b / 2) / root))

    steps = np.array([0.0, 10, 200, 1000])
    np.testing.assert_allclose(ode(config, 0.1, steps), exact(steps), rtol=1e-6)
    # from below zero, the same curve later
    back = math.atanh((-0.5 + b / 2) / root) - math.atanh((0.1 + b / 2) / root)
    later = steps - back / (config.eta * root)
    later = np.concatenate([[0.0], later])
    np.testing.assert_allclose(ode(config, -0.5, later)[1:], exact(steps), rtol=1e-6)
    want = (math.atanh((0.5 + b / 2) / root) - math.atanh((0.1 + b / 2) / root)) / root
    assert ode_time(config, 0.5, 0.1) == pytest.approx(want / config.eta, rel=1e-5)
    assert ode_time(config, root - b / 2 + 1e-3, 0.1) == math.inf  # above the fixed point


@pytest.mark.parametrize("m0", [0.02, 0.0, -0.05])
def test_time_of_the_equation_is_its_inverse(m0):
    config = OnlineSGD(50, (0, 0.3, 0.6, 0.4), 1e-3)
    time = ode_time(config, 0.6, m0)
    assert ode(config, m0, [0.0, time])[1] == pytest.approx(0.6, rel=1e-5)
    assert ode_time(config, 0.6, -0.3) == math.inf  # the quadratic part wins: no way up
    assert ode_time(config, 0.2, 0.2) == 0
    np.testing.assert_array_equal(ode(config, m0, [0, 0]), m0)


def test_times_of_matched_links_in_closed_form():
    """k = 2: log(m / sqrt(1 - m^2)) / (2 eta); k = 3: (artanh m - 1/m) / (3 eta)."""
    a, b = 0.01, 0.5

    def ramp2(m):
        return math.log(m / math.sqrt(1 - m * m)) / 2

    def ramp3(m):
        return (math.atanh(m) - 1 / m) / 3

    for link, ramp in (("he2", ramp2), ("he3", ramp3)):
        got = ode_time(OnlineSGD(10, link, 1e-9), b, a) * 1e-9
        assert got == pytest.approx(ramp(b) - ramp(a), rel=1e-5)


@pytest.mark.parametrize("link", ["he1", "he2", (0, 0, 0, 1.0)])
def test_equation_is_the_mean_of_the_chain_at_small_steps(link):
    """At eta d = 0.05 the bias of the mean is some var(m) (eta steps), below 1e-4."""
    config = OnlineSGD(5000, link, 1e-5, noise=0.5)
    steps = 30_000
    m = chain(config, 0.3, steps, np.random.default_rng(4), size=40, every=steps // 4)
    want = ode(config, 0.3, np.arange(5) * steps // 4)
    error = m[1:].std(1) / math.sqrt(40)
    assert abs(want[-1] - 0.3) > 20 * error[-1]
    assert np.all(abs(m[1:].mean(1) - want[1:]) < 4 * error + 1e-4)


def test_equation_with_reuse_is_the_mean_of_the_chain():
    config = OnlineSGD(10**5, (0, 0, 0, -1.0), 1e-5, "tanh", reuse=2)
    steps = 30_000
    m = chain(config, 0.0, steps, np.random.default_rng(4), size=40, every=steps)[1]
    want = ode(config, 0.0, [steps])[0]
    assert abs(want) > 20 * m.std() / math.sqrt(40)
    assert abs(m.mean() - want) < 4 * m.std() / math.sqrt(40) + 1e-4


# --- times


def passages(path, level):
    hit = path >= level
    return np.where(hit.any(0), hit.argmax(0).astype(float), math.inf)


def test_first_passage_of_the_chain():
    config, slow, late = OnlineSGD(20, "he2", 0.02), OnlineSGD(20, "he2", 0.001), 0
    for seed in range(6):  # one run: the same draws
        want = passages(chain(slow, 0.2, 1500, np.random.default_rng(seed)), 0.5)[0]
        late += 256 < want < math.inf  # after the first block; 520 steps by the equation
        for most in (1500, 300) + ((int(want), int(want) - 1) if want < math.inf else ()):
            got = time_to(slow, 0.5, 0.2, np.random.default_rng(seed), most)
            assert got == (want if want <= most else math.inf)
    assert late >= 3
    rng = np.random.default_rng(1)
    want = passages(chain(config, 0.2, 1500, rng, size=2000), 0.7)
    got = time_to(config, 0.7, 0.2, rng, 1500, size=2000)
    assert 0.1 < np.isinf(want).mean() < 0.9
    finite = np.minimum(np.stack([got, want]), 1501)
    assert stats.ks_2samp(*finite).pvalue > 1e-3


def test_first_passage_on_either_side():
    config, rng = OnlineSGD(20, "he2", 0.02), np.random.default_rng(2)
    m0 = np.array([0.8, -0.8, 0.1, -0.1])
    np.testing.assert_array_equal(time_to(config, 0.7, m0, rng, 0), [0, np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(
        time_to(config, 0.7, m0, rng, 0, both=True), [0, 0, np.inf, np.inf]
    )
    up = time_to(config, 0.7, 0.1, rng, 8000, size=2000, both=True)
    down = time_to(config, 0.7, -0.1, rng, 8000, size=2000, both=True)
    assert np.isfinite(up).all()
    assert stats.ks_2samp(up, down).pvalue > 1e-3
    path = chain(config, 0.1, 8000, np.random.default_rng(3))
    got = time_to(config, 0.7, 0.1, np.random.default_rng(3), 8000, both=True)
    assert got == passages(abs(path), 0.7)


def test_first_passage_follows_the_equation_at_small_steps():
    config = OnlineSGD(10**5, "he1", 1e-6)
    time = time_to(config, 0.05, 0.0, np.random.default_rng(1), 10**6, size=40)
    # a walk of drift eta and spread eta over some 5 10^4 steps: 1/sqrt(5 10^4), and its mean
    error = time.std() / math.sqrt(40)
    assert abs(time.mean() - ode_time(config, 0.05, 0.0)) < 4 * error + 2
    assert time.std() < 0.01 * time.mean()


# --- the exponent, and bad input


def test_information_exponents():
    for link, k in [
        ("he1", 1), ("he4", 4), ("tanh", 1), ("abs", 2), ("sign", 1),
        ((1.0, 0, 0, 0, 0, 0.1), 5), (lambda z: np.cos(z), 2), (lambda z: z**3 - 3 * z, 3),
        (lambda z: z**2 * np.exp(-(z**2)), 4), ((1e3, 1e-5, 1.0), 2),
    ]:  # fmt: skip
        found = information_exponent(link)
        assert found == k
        assert type(found) is int
    assert information_exponent((1e3, 1e-5, 1.0), tolerance=1e-9) == 1
    for link in ((2.0,), lambda z: 3.0, (0, 0, 0, 0, 1.0)):
        with pytest.raises(ValueError, match="no Hermite coefficient of degree 1 to 3"):
            information_exponent(link, degree=3)
    with pytest.raises(ValueError, match="degree=0"):
        information_exponent("he1", degree=0)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"d": 1}, ValueError, "d=1 must be an integer >= 2"),
        ({"d": 2.0}, TypeError, "d=2.0"),
        ({"eta": 0}, ValueError, "eta=0 must be finite and > 0"),
        ({"eta": math.nan}, ValueError, "eta=nan"),
        ({"link": "he"}, ValueError, "activation='he' is unknown"),
        ({"link": np.tanh}, TypeError, "must be a name, an Activation or Hermite coefficients"),
        ({"activation": []}, ValueError, "link="),
        ({"loss": "hinge"}, ValueError, "loss='hinge' is unknown"),
        ({"reuse": 1.5}, TypeError, "reuse=1.5"),
        ({"reuse": 0}, ValueError, "reuse=0"),
        ({"noise": -1}, ValueError, "noise=-1"),
    ],
)
def test_bad_settings(change, error, match):
    with pytest.raises(error, match=match):
        OnlineSGD(**{"d": 5, "link": "he2", "eta": 0.1, **change})


def test_bad_arguments():
    config, rng = OnlineSGD(5, "he2", 0.1), np.random.default_rng(0)
    calls = [
        (lambda: drift(config, [0.1, 1.5]), ValueError, "m must lie between -1 and 1, got 1.5"),
        (lambda: ode(config, 0.1, [2, 1]), ValueError, "steps=.* increasing"),
        (lambda: ode(config, 0.1, 2), ValueError, "steps="),
        (lambda: ode(config, -2, [1]), ValueError, "m0 must lie"),
        (lambda: ode_time(config, 2, 0.1), ValueError, "level must lie"),
        (lambda: chain(config, 0.1, -1, rng), ValueError, "steps=-1"),
        (lambda: chain(config, 0.1, 1, rng, every=0), ValueError, "every=0"),
        (lambda: chain(config, 0.1, 1, 0), TypeError, "rng=0"),
        (lambda: chain(config, [0.1, 0.2], 1, rng, size=3), ValueError, "m0 has shape"),
        (lambda: chain(config, [[0.1]], 1, rng), ValueError, "m0 has shape"),
        (lambda: chain(config, [], 1, rng), ValueError, "m0 has shape"),
        (lambda: simulate(config, np.eye(4), 1, rng), ValueError, "w0 has shape"),
        (lambda: simulate(config, np.zeros((1, 5)), 1, rng), ValueError, "row 0 is zero"),
        (lambda: simulate(config, np.eye(5), 1, None), TypeError, "rng=None"),
        (lambda: time_to(config, 0.5, 0.1, rng, 1.5), TypeError, "most=1.5"),
        (lambda: time_to(config, -2, 0.1, rng, 1), ValueError, "level must lie"),
        (lambda: time_to(config, 0.5, 0.1, None, 1), TypeError, "rng=None"),
    ]
    for call, error, match in calls:
        with pytest.raises(error, match=match):
            call()


def test_a_solver_that_fails_says_so(monkeypatch):

    class Failed:
        success, message = False, "step size too small"

    monkeypatch.setattr(the_first_escape, "solve_ivp", lambda *a, **k: Failed)
    with pytest.raises(RuntimeError, match="step size too small"):
        ode(OnlineSGD(5, "he2", 0.1), 0.1, [1])
