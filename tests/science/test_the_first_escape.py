"""The escape of one neuron: its chain of one number against R^d, the equation against both."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from twolayer import activations
from twolayer.data import as_link, sphere
from twolayer.hermite import coefficients
from twolayer.simulation.the_first_escape import run, time_to
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


def starts(cosine, k, d, rng):
    """Points on the sphere of this cosine with the target."""
    across = math.sqrt(1 - cosine**2) * sphere((k, d - 1), rng)
    return np.column_stack([np.full(k, cosine), across])


def walk(config, w, steps, rng):
    """The neuron itself in R^d, k runs side by side: cosines, shape (steps + 1, k)."""
    link, out = as_link(config.link), [w[:, 0]]
    for _ in range(steps):
        x = rng.standard_normal(w.shape)
        y = link(x[:, 0]) + config.noise * rng.standard_normal(len(w))
        for _ in range(config.reuse):
            z = (w * x).sum(1)
            w = w + config.eta * config.factor(y, z)[:, None] * (x - z[:, None] * w)
            w = w / np.linalg.norm(w, axis=1, keepdims=True)
        out.append(w[:, 0])
    return np.array(out)


# --- the walk in R^d


@pytest.mark.parametrize("config", SETTINGS)
def test_a_step_by_automatic_differentiation(config):
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    w0 = starts(0.3, 4, config.d, np.random.default_rng(2))
    got, w = walk(config, w0, 2, rng), torch.as_tensor(w0)
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


@pytest.mark.parametrize("cosine", [0.0, -0.4, 0.9])
@pytest.mark.parametrize("config", SETTINGS)
def test_one_step_of_the_chain_has_the_law_of_the_walk(config, cosine):
    k = 60_000
    rng = np.random.default_rng([7, round(10 * cosine) + 10])
    long = walk(config, starts(cosine, k, config.d, rng), 1, rng)[1]
    short = run(config, cosine, 1, rng, size=k)[1]
    for power in (1, 2):  # four standard errors of a difference, 36 comparisons
        a, b = long**power, short**power
        assert abs(a.mean() - b.mean()) < 4 * math.sqrt((a.var() + b.var()) / k)
    # rounded: a closed ReLU stays where it is, up to the last digit
    assert stats.ks_2samp(long.round(9), short.round(9)).pvalue > 1e-4


@pytest.mark.parametrize("config", SETTINGS)
def test_many_steps_of_the_chain_have_the_law_of_the_walk(config):
    k, rng = 5000, np.random.default_rng(8)
    long = walk(config, starts(0.2, k, config.d, rng), 40, rng)[::20]
    short = run(config, 0.2, 40, rng, size=k, every=20)
    for a, b in zip(long[1:], short[1:], strict=True):
        assert stats.ks_2samp(a.round(9), b.round(9)).pvalue > 1e-4
    assert abs(short).max() <= 1


def test_records_and_draws():
    config = OnlineSGD(20, "he2", 0.01, noise=0.1)

    def path(steps, every=1, k=70):
        return run(config, np.full(k, 0.3), steps, np.random.default_rng(3), every=every)

    full = path(600)
    assert full.shape == (601, 70)
    np.testing.assert_array_equal(full[0], 0.3)
    np.testing.assert_array_equal(path(600, 7), full[::7])  # across the ends of blocks
    np.testing.assert_array_equal(path(250), full[:251])
    np.testing.assert_array_equal(path(0), full[:1])
    assert len(set(full[-1])) == 70  # runs are independent


def test_a_cosine_is_at_most_one():
    config = OnlineSGD(2, "he1", 0.3, loss="squared")  # ends at the target, within rounding
    path = run(config, 0.9, 2000, np.random.default_rng(0), size=50)
    assert abs(path).max() == 1
    run(config, path[-1], 1, np.random.default_rng(0))


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
    for cosine in (0.05, -0.3, 0.7):
        moves = np.concatenate([run(config, cosine, 1, rng, size=k)[1] - cosine for _ in range(3)])
        error = moves.std() / math.sqrt(moves.size)
        assert abs(moves.mean() - drift(config, cosine)) < 4 * error


@pytest.mark.parametrize("activation", ["he3", "tanh", "relu", (0.1, 0.4, -0.3, 0.2)])
@pytest.mark.parametrize("link", ["he3", "abs", (0.3, 0.5, 1.0, 0.7)])
def test_drift_in_hermite_coefficients(link, activation):
    """E[G (v - c z)] = zeta'(c) (1 - c^2): the part of first order in eta, from two step sizes."""
    cosine = np.linspace(-0.8, 0.8, 5)

    def per_eta(eta):
        return drift(OnlineSGD(100, link, eta, activation, noise=0.7), cosine) / eta

    first = 2 * per_eta(1e-3) - per_eta(2e-3)
    degree = 60
    c, s = (coefficients(as_link(f), degree) for f in (link, activation))
    j = np.arange(1, degree + 1)
    zeta = (j * c[1:] * s[1:] * cosine[:, None] ** (j - 1)).sum(1)
    np.testing.assert_allclose(
        first, zeta * (1 - cosine**2), rtol=1e-6, atol=1e-6
    )  # 0.8^60 = 1.5e-6


def test_drift_of_a_matched_link_and_at_the_target():
    cosine = np.linspace(-1, 1, 9)
    for k in (1, 2, 3):
        size = 1e-9  # d eta^2 is negligible
        got = drift(OnlineSGD(10, f"he{k}", size), cosine) / size
        np.testing.assert_allclose(got, k * cosine ** (k - 1) * (1 - cosine**2), atol=1e-6)
        # second part at cosine = 0: E[y^2] E[sigma'^2] = k; a squared loss adds E[sigma^2 sigma'^2]
        near = 1e-6
        config = OnlineSGD(10, f"he{k}", 0.1, noise=0.5)
        slope = (drift(config, near) - drift(config, -near)) / (2 * near)
        assert slope == pytest.approx(0.1 * 2 * (k == 2) - 0.05 * 1.25 * k, rel=1e-6)
    # squared loss at the target: only noise moves the neuron, by eta^2 d noise^2 E[sigma'^2] / 2
    assert drift(OnlineSGD(10, "he3", 0.1, loss="squared"), 1.0) == pytest.approx(0, abs=1e-12)
    got = drift(OnlineSGD(10, "he3", 0.1, loss="squared", noise=0.5), 1.0)
    assert got == pytest.approx(-0.05 * 0.25 * 3, rel=1e-9)


def test_orthogonal_links_only_shrink_the_cosine():
    cosine = np.array([-0.5, 0.0, 0.3])
    for loss in ("correlation", "squared"):
        # nothing of first order from the label: z alone has no pull towards v
        got = [drift(OnlineSGD(10, "he2", eta, "he3", loss), cosine) / eta for eta in (1e-4, 2e-4)]
        np.testing.assert_allclose(2 * got[0] - got[1], 0, atol=1e-10)
        assert np.all(got[0] * cosine <= 0)


def test_reuse_gives_a_cubic_link_a_push_at_zero():
    """E[G v] at cosine = 0 is (sqrt 6 / 2) c^2 E[v y^3] E[sigma'^2] = 81 c^2, with c = eta d."""
    for c in (0.01, 0.1):
        config = OnlineSGD(1000, "he3", c / 1000, reuse=2)
        assert drift(config, 0.0) / config.eta == pytest.approx(81 * c**2, rel=1e-9)
        assert drift(OnlineSGD(1000, "he3", c / 1000), 0.0) == pytest.approx(0, abs=1e-15)
    # a linear neuron takes the same step twice
    cosine = np.linspace(-0.9, 0.9, 4)
    twice = drift(OnlineSGD(100, "he1", 1e-3, reuse=2), cosine)
    np.testing.assert_allclose(twice, drift(OnlineSGD(100, "he1", 2e-3), cosine), rtol=1e-9)


def test_reuse_against_an_expansion_for_the_quadratic_link():
    """sigma = He_2/sqrt 2: z moves by eta d y sqrt(2) z, so G_2 = (1 + sqrt(2) c y) G_1."""
    cosine, c = 0.3, 0.2
    v, t = np.meshgrid(*2 * (np.polynomial.hermite_e.hermegauss(20)[0],), indexing="ij")
    w = np.outer(*2 * (np.polynomial.hermite_e.hermegauss(20)[1],)) / (2 * math.pi)
    z, y = cosine * v + math.sqrt(1 - cosine * cosine) * t, (v * v - 1) / math.sqrt(2)
    total = math.sqrt(2) * z * y * (2 + math.sqrt(2) * c * y)
    want = np.sum(w * total * (v - cosine * z)) - c * cosine * np.sum(w * total**2) / 2
    config = OnlineSGD(1000, "he2", c / 1000, reuse=2)
    assert drift(config, cosine) / config.eta == pytest.approx(want, rel=1e-9)


# --- the drift where functions jump


def jump(place):
    """A step that does not say where it jumps."""
    return lambda z: np.sign(z - place)


def declared(place):
    return activations.Activation(
        f"step at {place}",
        lambda z: np.sign(z - place),
        lambda z: 0 * z,
        kinks=(place,),
    )


def drift_of_a_step(place, eta_d, cosine):
    """In closed form, over eta, for a neuron MIXED: the step squares to one."""
    density = math.exp(-(place**2) / 2) / math.sqrt(2 * math.pi)
    c = 2 * density * np.array([1, place / math.sqrt(2), (place**2 - 1) / math.sqrt(6)])
    k, s = np.arange(1, 4), np.array(MIXED[1:])
    signal = (k * c * s * cosine ** (k - 1)).sum() * (1 - cosine**2)
    return signal - eta_d * cosine * (k * s**2).sum() / 2


@pytest.mark.parametrize("cosine", [-0.6, 0.1, 0.99])
def test_drift_of_steps_in_closed_form(cosine):
    for link, place in [("sign", 0), (jump(0), 0), (jump(-2), -2), (declared(0.3), 0.3)]:
        config = OnlineSGD(1000, link, 2e-4, MIXED)
        want = drift_of_a_step(place, 0.2, cosine)
        assert drift(config, cosine) / config.eta == pytest.approx(want, rel=1e-10)


def test_jumps_that_quadrature_does_not_see_are_refused():
    hidden = activations.Activation("hidden", lambda z: abs(z - 0.3), lambda z: np.sign(z - 0.3))
    settings = [
        ("link=", OnlineSGD(100, jump(0.3), 1e-3, "tanh")),
        ("link=", OnlineSGD(100, lambda z: abs(z - 0.5), 1e-3, "tanh")),
        ("link=", OnlineSGD(100, hidden, 1e-3, "tanh")),
        ("activation=", OnlineSGD(100, "he1", 1e-3, hidden)),
    ]
    for name, config in settings:
        for call in (drift, lambda c, at: ode(c, at, [9]), lambda c, at: ode_time(c, 0.5, at)):
            with pytest.raises(ValueError, match=f"{name}.* does not converge.*with its kinks"):
                call(config, 0.1)


@pytest.mark.parametrize("cosine", [0.9, -0.99, 0.9999, 1.0])
def test_drift_of_a_bent_neuron_near_the_target(cosine):
    """E[G (v - c z)] = (1 - c^2) E[f'(v) P(z > 0 | v)], and E[G^2] likewise: one integral."""
    config, c = OnlineSGD(1000, MIXED, 1e-3, "relu"), np.array(MIXED)
    f, slope = as_link(c), as_link(c[1:] * np.sqrt(np.arange(1, 4)))
    sine = math.sqrt(1 - cosine**2)

    def mean(g):
        def integrand(v):
            return g(v) * stats.norm.pdf(v) * stats.norm.cdf(cosine * v / max(sine, 1e-12))

        steps = np.concatenate([-np.geomspace(12, 1e-6, 300), [0], np.geomspace(1e-6, 12, 300)])
        t, w = np.polynomial.legendre.leggauss(10)
        v = steps[:-1, None] + np.diff(steps)[:, None] * (t + 1) / 2
        return (np.diff(steps)[:, None] / 2 * w * integrand(v)).sum()

    want = (1 - cosine**2) * mean(slope) - cosine * mean(lambda v: f(v) ** 2) / 2
    assert drift(config, cosine) / config.eta == pytest.approx(want, abs=1e-8)


def test_reuse_of_a_bent_neuron_by_one_integral():
    """The label is a sign: given z it is 1 with P(v > 0 | z), and v has a truncated mean."""
    z, cosine = np.linspace(-12, 12, 2_000_001), 0.05
    weight = stats.norm.pdf(z) * (z[1] - z[0])
    sine = math.sqrt(1 - cosine**2)
    first = second = 0.0
    for sign in (1, -1):
        share = stats.norm.cdf(sign * cosine * z / sine)
        excess = sign * sine * stats.norm.pdf(cosine * z / sine)  # E[(v - cosine z) 1(v > 0)]
        at, total = z, 0.0
        for _ in range(3):
            total, at = total + sign * (at > 0), at + 0.3 * sign * (at > 0)
        first += (weight * total * excess).sum()
        second += (weight * total**2 * share).sum()
    got = drift(OnlineSGD(1000, "sign", 3e-4, "relu", reuse=3), cosine) / 3e-4
    assert got == pytest.approx(first - 0.15 * cosine * second, abs=4e-3)


# --- the equation


def test_equation_of_a_linear_link_in_closed_form():
    """Over eta the drift is 1 - cosine^2 - eta d cosine (1 + noise^2) / 2: a Riccati equation."""
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


@pytest.mark.parametrize("start", [0.02, 0.0, -0.05])
def test_time_of_the_equation_is_its_inverse(start):
    config = OnlineSGD(50, (0, 0.3, 0.6, 0.4), 1e-3)
    time = ode_time(config, 0.6, start)
    assert ode(config, start, [0.0, time])[1] == pytest.approx(0.6, rel=1e-5)
    assert ode_time(config, 0.6, -0.3) == math.inf  # the quadratic part wins: no way up
    assert ode_time(config, 0.2, 0.2) == 0
    np.testing.assert_array_equal(ode(config, start, [0, 0]), start)


@pytest.mark.parametrize("link", ["he2", "he3", "he4", "abs", (0, 0, 0.5, 1.0, 0.2)])
def test_what_does_not_move_never_arrives(link):
    config = OnlineSGD(100, link, 1e-6)
    assert drift(config, 0.0) == 0  # not what rounding leaves of it
    assert ode_time(config, 0.5, 0.0) == math.inf
    blind = OnlineSGD(100, link, 1e-6, "he5" if link == "abs" else "he1")
    assert ode_time(blind, 0.5, 0.1) == math.inf
    assert np.isfinite(ode_time(OnlineSGD(100, link, 1e-6), 0.1, 0.05))


def test_a_tiny_start_grows():
    """Degree two without the toll: c / sqrt(1 - c^2) grows like exp(2 eta t)."""
    config = OnlineSGD(10, "he2", 1e-9)
    for start in (1e-3, 1e-9):
        steps = math.log(0.5 / start) / 2e-9
        odds = start / math.sqrt(1 - start**2) * np.exp(2e-9 * np.array([0, steps / 2, steps]))
        want = odds / np.sqrt(1 + odds**2)
        np.testing.assert_allclose(ode(config, start, [0, steps / 2, steps]), want, rtol=1e-6)
        assert ode_time(config, want[2], start) == pytest.approx(steps, rel=1e-6)


def test_times_of_matched_links_in_closed_form():
    """k = 2: log(c / sqrt(1 - c^2)) / (2 eta); k = 3: (artanh c - 1/c) / (3 eta)."""
    a, b = 0.01, 0.5

    def ramp2(cosine):
        return math.log(cosine / math.sqrt(1 - cosine * cosine)) / 2

    def ramp3(cosine):
        return (math.atanh(cosine) - 1 / cosine) / 3

    for link, ramp in (("he2", ramp2), ("he3", ramp3)):
        got = ode_time(OnlineSGD(10, link, 1e-9), b, a) * 1e-9
        assert got == pytest.approx(ramp(b) - ramp(a), rel=1e-5)


@pytest.mark.parametrize("link", ["he1", "he2", (0, 0, 0, 1.0)])
def test_equation_is_the_mean_of_the_chain_at_small_steps(link):
    """At eta d = 0.05 the bias of the mean is some var(cosine) (eta steps), below 1e-4."""
    config = OnlineSGD(5000, link, 1e-5, noise=0.5)
    steps = 30_000
    cosine = run(config, 0.3, steps, np.random.default_rng(4), size=40, every=steps // 4)
    want = ode(config, 0.3, np.arange(5) * steps // 4)
    error = cosine[1:].std(1) / math.sqrt(40)
    assert abs(want[-1] - 0.3) > 20 * error[-1]
    assert np.all(abs(cosine[1:].mean(1) - want[1:]) < 4 * error + 1e-4)


def test_equation_with_reuse_is_the_mean_of_the_chain():
    config = OnlineSGD(10**5, (0, 0, 0, -1.0), 1e-5, "tanh", reuse=2)
    steps = 30_000
    cosine = run(config, 0.0, steps, np.random.default_rng(4), size=40, every=steps)[1]
    want = ode(config, 0.0, [steps])[0]
    assert abs(want) > 20 * cosine.std() / math.sqrt(40)
    assert abs(cosine.mean() - want) < 4 * cosine.std() / math.sqrt(40) + 1e-4


# --- signal and noise of the escape


VARIANCE = {1: 2, 2: 10, 3: 21}  # nu of a step over eta^2, at cosine zero


@pytest.mark.parametrize("degree", VARIANCE)
def test_variance_of_a_step_at_the_start(degree):
    """By a product rule of Gauss and Hermite, and, where tails allow, by the walk."""
    t, weight = np.polynomial.hermite_e.hermegauss(30)
    weight = weight / weight.sum()
    config = OnlineSGD(8, f"he{degree}", 1e-7)
    gain = config.factor(as_link(config.link)(t)[:, None], t) * t[:, None]
    mean, square = weight @ gain @ weight, weight @ gain**2 @ weight
    assert mean == pytest.approx(float(degree == 1), abs=1e-10)
    assert square == pytest.approx(degree * (2 * degree + 1), rel=1e-10)
    assert square - mean**2 == pytest.approx(VARIANCE[degree], rel=1e-10)
    rng = np.random.default_rng(5)
    kick = walk(config, starts(0.0, 400_000, 8, rng), 1, rng)[1] / config.eta
    groups = kick.reshape(40, -1).var(axis=1)
    error = groups.std(ddof=1) / math.sqrt(40)
    assert abs(groups.mean() - VARIANCE[degree]) < 4 * error


@pytest.mark.parametrize("degree", [2, 3])
def test_noise_over_the_start_is_a_multiple_of_what_the_toll_takes(degree):
    """eq-fe-noise: eta^2 nu T_0 / rho_0^2 = nu / l eta d^(l/2); the toll takes eta d^(l/2) / 2."""
    d, delta = 10**8, 0.4
    start = d**-0.5
    small, large = (OnlineSGD(d, f"he{degree}", size / d ** (degree / 2)) for size in (1e-6, delta))
    signal = drift(small, start) / small.eta
    toll = signal - drift(large, start) / large.eta
    assert toll / signal == pytest.approx(delta / 2, rel=1e-3)
    gain_time = start / (large.eta * signal)
    noise = large.eta**2 * VARIANCE[degree] * gain_time / start**2
    assert noise == pytest.approx(VARIANCE[degree] / degree * delta, rel=1e-3)
    assert noise == pytest.approx(2 * VARIANCE[degree] / degree * toll / signal, rel=1e-3)


# --- times


def passages(path, level):
    hit = path >= level
    return np.where(hit.any(0), hit.argmax(0).astype(float), math.inf)


def test_first_passage_of_the_chain():
    config, slow, late = OnlineSGD(20, "he2", 0.02), OnlineSGD(20, "he2", 0.001), 0
    for seed in range(6):  # one run: the same draws
        want = passages(run(slow, 0.2, 1500, np.random.default_rng(seed)), 0.5)[0]
        late += 256 < want < math.inf  # after the first block; 520 steps by the equation
        for most in (1500, 300) + ((int(want), int(want) - 1) if want < math.inf else ()):
            got = time_to(slow, 0.5, 0.2, np.random.default_rng(seed), most)
            assert got == (want if want <= most else math.inf)
    assert late >= 3
    rng = np.random.default_rng(1)
    want = passages(run(config, 0.2, 1500, rng, size=2000), 0.7)
    got = time_to(config, 0.7, 0.2, rng, 1500, size=2000)
    assert 0.1 < np.isinf(want).mean() < 0.9
    finite = np.minimum(np.stack([got, want]), 1501)
    assert stats.ks_2samp(*finite).pvalue > 1e-3


def test_first_passage_on_either_side():
    config, rng = OnlineSGD(20, "he2", 0.02), np.random.default_rng(2)
    start = np.array([0.8, -0.8, 0.1, -0.1])
    np.testing.assert_array_equal(time_to(config, 0.7, start, rng, 0), [0, np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(
        time_to(config, 0.7, start, rng, 0, both=True), [0, 0, np.inf, np.inf]
    )
    up = time_to(config, 0.7, 0.1, rng, 8000, size=2000, both=True)
    down = time_to(config, 0.7, -0.1, rng, 8000, size=2000, both=True)
    assert np.isfinite(up).all()
    assert stats.ks_2samp(up, down).pvalue > 1e-3
    path = run(config, 0.1, 8000, np.random.default_rng(3))
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


def test_information_exponents_of_what_jumps():
    linear = math.sqrt(2 / math.pi)
    assert information_exponent(lambda z: np.sign(z) - linear * z) == 3  # an unnamed sign
    assert information_exponent(lambda z: np.abs(z)) == 2
    assert information_exponent(np.sign) == 1
    assert information_exponent(declared(0.3)) == 1
    for link in (jump(0.3), lambda z: np.maximum(z - 0.5, 0), lambda z: np.sign(np.sin(40 * z))):
        with pytest.raises(ValueError, match="quadrature does not converge"):
            information_exponent(link)


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
        ({"link": "he"}, ValueError, "link='he' is unknown"),
        ({"link": np.tanh}, TypeError, "must be a name, an Activation or Hermite coefficients"),
        ({"activation": []}, ValueError, "activation="),
        ({"activation": "sign"}, ValueError, "activation='sign' has no slope"),
        ({"link": "sign"}, ValueError, "activation='sign' has no slope"),
        ({"activation": (2.0,)}, ValueError, "has no slope: the neuron never moves"),
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
        (lambda: drift(config, [0.1, 1.5]), ValueError, "cosine must lie .*, got 1.5"),
        (lambda: ode(config, 0.1, [2, 1]), ValueError, "steps=.* increasing"),
        (lambda: ode(config, 0.1, 2), ValueError, "steps="),
        (lambda: ode(config, -2, [1]), ValueError, "start must lie"),
        (lambda: ode_time(config, 2, 0.1), ValueError, "level.* must lie between"),
        (lambda: run(config, -2, 1, rng), ValueError, "start must lie"),
        (lambda: run(config, 0.1, -1, rng), ValueError, "steps=-1"),
        (lambda: run(config, 0.1, 1, rng, every=0), ValueError, "every=0"),
        (lambda: run(config, 0.1, 1, 0), TypeError, "rng=0"),
        (lambda: run(config, [0.1, 0.2], 1, rng, size=3), ValueError, "start has shape"),
        (lambda: run(config, [[0.1]], 1, rng), ValueError, "start has shape"),
        (lambda: run(config, [], 1, rng), ValueError, "start has shape"),
        (lambda: time_to(config, 0.5, 0.1, rng, 1.5), TypeError, "most=1.5"),
        (lambda: time_to(config, -2, 0.1, rng, 1), ValueError, "level.* must lie between"),
        (lambda: time_to(config, 0.5, 0.1, None, 1), TypeError, "rng=None"),
    ]
    for call, error, match in calls:
        with pytest.raises(error, match=match):
            call()


def test_a_solver_that_fails_says_so(monkeypatch):

    class Failed:
        success, message = False, "step size too small"

    monkeypatch.setattr("scipy.integrate.solve_ivp", lambda *a, **k: Failed)
    with pytest.raises(RuntimeError, match="step size too small"):
        ode(OnlineSGD(5, "he2", 0.1), 0.1, [1])
