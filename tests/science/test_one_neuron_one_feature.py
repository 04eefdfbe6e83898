"""One neuron on many features: the chain against R^d, the lottery against both and an SDE."""

import itertools
import math
import time

import numpy as np
import pytest
import torch
from scipy import stats

import twolayer.theory.one_neuron_one_feature as theory
from twolayer import activations
from twolayer.data import sphere
from twolayer.hermite import coefficients, he, nodes
from twolayer.simulation import the_first_escape
from twolayer.simulation.one_neuron_one_feature import network, random_starts, run, time_to
from twolayer.theory.one_neuron_one_feature import (
    Features,
    correlation,
    coverage,
    drift,
    escape_law,
    escape_time,
    largest_start_wins,
    mean_direction,
    saddle,
    win_probability,
)
from twolayer.theory.the_first_escape import OnlineSGD

STAIRS = {(1, 0, 0): 1.0, (1, 1, 0): 0.7, (1, 1, 1): -0.8, (0, 2, 1): 0.4}
SETTINGS = [
    Features(5, 2, "he3", 0.2, "erf", 2.0),
    Features(4, 3, lambda z: z[:, 0] + z[:, 0] * z[:, 1], 0.2, "tanh"),
    Features(3, 2, (0.2, 0.5, 0.3, 0.7), 0.2, (0, 0.4, 0.3, 0.5), 0.7),
    Features(30, 3, STAIRS, 0.1, "relu"),
    Features(20, 1, activations.get("sin"), 0.1, "tanh", -1.0),
]


# --- the walk in R^d


@pytest.mark.parametrize("config", SETTINGS)
def test_a_step_by_automatic_differentiation(config):
    """A look is a gradient step of -y sigma(w.x); the second gradient is taken where it led."""
    w0 = sphere((3, config.d), np.random.default_rng(2))
    got = network(config, w0, 2, np.random.default_rng(1))
    block = max(1, 2**16 // config.d)
    samples = np.random.default_rng(1).standard_normal((block, 1, config.d))[:2, 0]
    given = config.target if config.activation is None else config.activation
    if isinstance(given, tuple):

        def sigma(z):
            c = [a / math.sqrt(math.factorial(k)) for k, a in enumerate(given)]
            return sum(a * he(k, z) for k, a in enumerate(c))

    else:
        sigma = activations.get(given)
    w = torch.as_tensor(w0)
    for x in samples:
        y = float(config.label(x[None, : config.features])[0])
        x = torch.as_tensor(x)

        def gradient(w, x=x, y=y):
            w = w.detach().requires_grad_()
            return torch.autograd.grad((-y * sigma(w @ x)).sum(), w)[0]

        there = w - config.inner_step / config.d * gradient(w)
        grad = gradient(there)
        w = w - config.eta * (grad - (grad * w).sum(1, keepdim=True) * w)
        w = w / w.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(got, w.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("config", SETTINGS)
def test_the_chain_has_the_law_of_the_walk(config):
    k, rng = 12_000, np.random.default_rng(7)
    start = sphere((k, 1, config.d), rng)
    long = network(config, start, 25, rng)[:, 0, : config.features]
    short = run(config, start[:, 0, : config.features], 25, rng, every=25)[1]
    assert abs(long - start[:, 0, : config.features]).mean() > 0.05  # they have moved
    seen = [lambda r: r[:, 0], lambda r: r[:, -1], lambda r: r.sum(1), lambda r: r[:, 0] * r[:, -1]]
    for f in seen:  # twenty comparisons
        assert stats.ks_2samp(f(long).round(9), f(short).round(9)).pvalue > 1e-3


def test_one_feature_is_the_chain_of_one_number():
    config, one = Features(30, 1, "he3", 0.05, "tanh"), OnlineSGD(30, "he3", 0.05, "tanh")
    start = random_starts(1, 30, 8000, np.random.default_rng(0))
    a = run(config, start, 40, np.random.default_rng(1), every=40)[1, :, 0]
    b = the_first_escape.run(one, start[:, 0], 40, np.random.default_rng(2), every=40)[1]
    assert stats.ks_2samp(a, b).pvalue > 1e-3


def test_neurons_of_a_network_share_samples_and_networks_do_not():
    config = Features(12, 3, "he3", 0.05)
    W = np.repeat(sphere((1, 12), np.random.default_rng(0)), 4, 0)
    same = network(config, W, 300, np.random.default_rng(1))
    np.testing.assert_allclose(same, same[:1].repeat(4, 0), atol=1e-12)
    apart = network(config, W[:, None], 300, np.random.default_rng(1))
    assert abs(apart[0] - apart[1]).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(apart, axis=-1), 1, atol=1e-12)


# --- records, arrivals, starts


def test_records_and_draws():
    config, start = Features(20, 2, "he3", 0.01), np.full((70, 2), 0.3)

    def path(steps, every=1):
        return run(config, start, steps, np.random.default_rng(3), every=every)

    full = path(1100)
    assert full.shape == (1101, 70, 2)
    np.testing.assert_array_equal(path(1100, 7), full[::7])  # across the ends of blocks
    np.testing.assert_array_equal(path(250), full[:251])
    np.testing.assert_array_equal(path(0), full[:1])
    again = run(config, [0.3, 0.3], 250, np.random.default_rng(3), size=70)
    np.testing.assert_array_equal(again, full[:251])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("stop", ["first", "all"])
def test_arrivals_are_those_of_the_path(stop, both):
    config = Features(40, 2, "he1" if stop == "all" else "he3", 0.01)
    rng = np.random.default_rng(5)
    start = random_starts(2, 40, 30, rng)
    path = run(config, start, 400, np.random.default_rng(3))  # one block: later ones draw less
    seen = abs(path) if both else path
    height = seen.max(-1) if stop == "first" else seen.min(-1)
    level = np.quantile(height.max(0), 0.4)
    there = height >= level
    first, early = there.argmax(0), there.any(0)
    found = time_to(config, level, start, 400, np.random.default_rng(3), stop=stop, both=both)
    assert early.sum() == 18
    assert (first[early] > 0).all()
    np.testing.assert_array_equal(found.times[early], first[early])
    at = seen[first, np.arange(30)]
    want = at.argmax(1) if stop == "first" else at.argmin(1)
    np.testing.assert_array_equal(found.winners[early], want[early])
    assert ((found.winners == -1) == np.isinf(found.times)).all()
    assert (np.isinf(found.times) == ~early).all()
    at_once = time_to(config, 0.2, [0.3, 0.4], 9, np.random.default_rng(3), stop=stop, both=both)
    assert (at_once.times[0], at_once.winners[0]) == (0, 1 if stop == "first" else 0)


def test_random_starts_are_overlaps_of_random_vectors():
    rng = np.random.default_rng(0)
    short = random_starts(3, 7, 20_000, rng)
    long = sphere((20_000, 7), rng)[:, :3]
    for f in (lambda r: r[:, 1], lambda r: (r**2).sum(1), lambda r: r[:, 0] * r[:, 2]):
        assert stats.ks_2samp(f(short), f(long)).pvalue > 1e-3
    tilted = random_starts(3, 7, 20_000, rng, cosine=-0.6)
    mean = np.ones(3) / math.sqrt(3)
    np.testing.assert_allclose(tilted @ mean, -0.6)
    axis = np.zeros(7)
    axis[:3] = mean
    w = rng.standard_normal((20_000, 7))
    w -= np.outer(w @ axis, axis)
    w = -0.6 * axis + 0.8 * w / np.linalg.norm(w, axis=1, keepdims=True)
    for f in (lambda r: r[:, 1], lambda r: (r**2).sum(1)):
        assert stats.ks_2samp(f(tilted), f(w[:, :3])).pvalue > 1e-3


# --- drift and correlation


@pytest.mark.parametrize("activation", ["tanh", (0, 1.0, 0.5, 0.8), "relu"])
@pytest.mark.parametrize("target", [STAIRS, (0.3, 0.5, 0.2, 0.7)])
def test_correlation_and_drift_by_quadrature(target, activation):
    config = Features(1000, 3, target, 2e-4, activation)
    rho = np.array([0.5, -0.3, 0.4])
    x, w = nodes(n_nodes=10)
    V = np.array(list(itertools.product(x, repeat=3)))
    in_V = np.prod(list(itertools.product(w, repeat=3)), axis=1)
    t, in_t = np.linspace(-9, 9, 60_001 if activation == "relu" else 401, retstep=True)
    in_t = in_t * stats.norm.pdf(t)
    y, sine = config.label(V), math.sqrt(1 - rho @ rho)
    sigma, slope = theory._neuron(config)[:2]
    value, first, second = 0.0, np.zeros(3), 0.0
    for v, weight, label in zip(V, in_V, y, strict=True):
        if weight < 1e-12:
            continue
        z = rho @ v + sine * t
        value += weight * label * (in_t @ sigma(z))
        pull = in_t * label * slope(z)
        first += weight * (pull.sum() * v - rho * (pull @ z))
        second += weight * (in_t @ (label * slope(z)) ** 2)
    loose = 0.05 if activation == "relu" else 2e-3  # ten nodes across a bend, or for tanh
    assert correlation(config, rho) == pytest.approx(value, rel=loose)
    want = first - 0.1 * rho * second
    np.testing.assert_allclose(drift(config, rho) / config.eta, want, atol=loose * abs(want).max())


def test_drift_is_the_gradient_of_the_correlation_along_the_sphere():
    config, rho = Features(10**6, 3, STAIRS, 1e-12, "tanh"), np.array([0.5, -0.3, 0.4])
    step = 1e-5 * np.eye(3)
    gradient = (correlation(config, rho + step) - correlation(config, rho - step)) / 2e-5
    want = gradient - rho * (rho @ gradient)
    np.testing.assert_allclose(drift(config, rho) / config.eta, want, rtol=1e-5)


@pytest.mark.parametrize("target", ["he2", STAIRS])
def test_drift_is_the_mean_step_of_the_chain(target):
    config, rho = Features(10**5, 3, target, 1e-6, "tanh"), np.array([0.5, -0.3, 0.4])
    k, rng = 300_000, np.random.default_rng(1)
    moves = [run(config, rho, 1, rng, size=k)[1] - rho for _ in range(3)]
    moves = np.concatenate(moves)
    error = moves.std(0) / math.sqrt(len(moves))
    assert (abs(drift(config, rho)) > 6 * error).all()
    assert (abs(moves.mean(0) - drift(config, rho)) < 4 * error).all()


def test_correlations_in_closed_form():
    s = coefficients(activations.get("tanh"), 3)
    a, b, c = rho = (0.5, -0.3, 0.4)
    for target, want in [
        ({(1, 1, 0): 1.0}, math.sqrt(2) * s[2] * a * b),
        ({(1, 1, 1): 2.0}, 2 * math.sqrt(6) * s[3] * a * b * c),
        ({(2, 0, 1): 1.0}, math.sqrt(3) * s[3] * a * a * c),
        ("he3", s[3] * (a**3 + b**3 + c**3) / math.sqrt(3)),
    ]:
        config = Features(10, 3, target, 0.1, "tanh")
        assert correlation(config, rho) == pytest.approx(want, abs=1e-12)


def test_when_the_leap_is_not_enough():
    """x_1 + x_1 x_2 x_3 once x_1 is learnt: the others grow at sqrt(6) s_3 - s_1, or shrink."""
    target = {(1, 0, 0): 1.0, (1, 1, 1): 1.0}
    for s3, grows in ((0.5, True), (0.3, False)):
        config = Features(10**9, 3, target, 1e-18, (0, 1.0, 0, s3))
        small = 1e-4
        rho = np.array([math.sqrt(1 - 2 * small**2), small, small])
        rate = drift(config, rho)[1] / config.eta / small
        assert rate == pytest.approx(math.sqrt(6) * s3 - 1, rel=1e-5)
        assert (rate > 0) == grows


# --- the diffusion


@pytest.mark.parametrize("features", [1, 2, 5])
def test_diffusion_near_the_start_by_the_chain(features):
    """Drift 3 c mu^2 - 1.5 c^2 mu and variance 3 c^2 (1 + 6/M) in tau: means of single steps."""
    d, step, mu = 4000, 4.0, 2.0
    config = Features(d, features, "he3", step / math.sqrt(features) / d**1.5)
    start = np.zeros(features)
    start[0] = mu / math.sqrt(d)
    rng = np.random.default_rng(features)
    moves = [run(config, start, 1, rng, size=200_000)[1, :, 0] - start[0] for _ in range(6)]
    moves = math.sqrt(d) * np.concatenate(moves)
    scale = features * d * d
    _, variance = theory._diffusion(features, step, np.array([mu]))
    square = moves**2 * scale
    assert abs(square.mean() - variance[0]) < 4 * square.std() / math.sqrt(len(square)) + 0.03 * 48


def test_moments_of_a_kick_and_their_limit():
    mu = np.array([-2.0, 1.0, 3.0])
    for features in (1, 3, 16):
        for a, b in zip(
            theory._kicks(features, 0.5, 10**7, mu),
            theory._diffusion(features, 0.5, mu),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=5e-3)


def kick(features, step, d, mu):
    """Drift for M = 1, 2 by quadrature over every projection."""
    x, w = nodes(n_nodes=40)
    rho, eta = mu / math.sqrt(d), step / math.sqrt(features) / d**1.5
    V, t, other = x[:, None, None], x[:, None], x if features == 2 else np.zeros(1)
    weight = w[:, None, None] * w[:, None] * (w if features == 2 else np.ones(1))
    y = (V**3 - 3 * V + other**3 - 3 * other) / math.sqrt(6 * features)
    z = rho * V + math.sqrt(1 - rho**2) * t
    move = eta * y * math.sqrt(1.5) * (z * z - 1)
    square = V * V + t * t + other**2 + d - features - 1
    new = (rho + move * (V - rho * z)) / np.sqrt(1 + move**2 * (square - z * z))
    return math.sqrt(d) * features * d * d * (weight * (new - rho)).sum()


@pytest.mark.parametrize(("features", "rel"), [(1, 1e-6), (2, 0.04)])
def test_mean_of_a_kick_by_quadrature(features, rel):
    """One feature exactly; for two, three nodes stand for the other label."""
    for mu in (-2.0, 1.0, 3.0):
        got = theory._kicks(features, 1.0, 64, np.array([mu]))[0][0]
        assert got == pytest.approx(kick(features, 1.0, 64, mu), rel=rel, abs=1e-4)


@pytest.mark.parametrize("features", [2, 3, 8])
def test_toll_of_a_kick_in_closed_form(features):
    """To second order in the step -rho E[U^2 (s - z^2)] / 2, a polynomial average."""
    d, mu = 40, 2.0
    rho = mu / math.sqrt(d)
    x, w = nodes(n_nodes=12)
    V, t, weight = x[:, None], x, np.outer(w, w)
    z, across = rho * V + math.sqrt(1 - rho**2) * t, math.sqrt(1 - rho**2) * V - rho * t
    h, slope = (V**3 - 3 * V) ** 2 / 6, 1.5 * (z * z - 1) ** 2
    M = features
    square = (h + M - 1) / M * (across**2 + d - M - 1) + (M - 1) * (h + M + 5) / M
    toll = mu / 2 * (weight * slope * square).sum() / d
    per_step = [theory._kicks(M, c, d, np.array([mu]))[0][0] / c for c in (1e-4, 2e-4)]
    assert (per_step[0] - per_step[1]) / 1e-4 == pytest.approx(toll, rel=1e-3)
    assert 2 * per_step[0] - per_step[1] == pytest.approx(3 * mu**2 * (1 - rho**2), rel=1e-5)


@pytest.mark.parametrize("features", [1, 2, 4])
def test_moments_of_a_kick_by_the_chain(features):
    d, step, mu = 64, 2.0, 3.0
    config = Features(d, features, "he3", step / math.sqrt(features) / d**1.5)
    start = np.zeros(features)
    start[0] = mu / 8
    rng = np.random.default_rng(features)
    moves = [run(config, start, 1, rng, size=300_000)[1, :, 0] - start[0] for _ in range(8)]
    moves = np.concatenate(moves)
    scale = features * d * d
    first, second = (float(m[0]) for m in theory._kicks(features, step, d, np.array([mu])))
    errors = np.array([moves.std(), (moves**2).std()]) / math.sqrt(len(moves))
    assert abs(8 * scale * moves.mean() - first) < 4 * 8 * scale * errors[0] + 0.02 * abs(first)
    square = 64 * scale * (moves**2).mean()
    assert abs(square - second) < 4 * 64 * scale * errors[1] + 0.02 * second


def sde(features, step, runs, rng, dt=2e-4, top=12.0):
    """Escape times and winners of the diffusion itself, by Euler's rule."""
    mu = rng.standard_normal((runs, features))
    start, clock = mu.copy(), np.zeros(runs)
    times, winners = np.full(runs, np.inf), np.full(runs, -1)
    active = np.arange(runs)
    noise = step * math.sqrt(3 * (1 + 6 / features))
    while active.size and clock[active].min() < 40 / step:
        # shorter steps where the largest runs away
        h = (dt / step * 4) / np.maximum(1, abs(mu).max(1) / 3) ** 2
        push = 3 * step * mu**2 - 1.5 * step**2 * mu
        mu = mu + h[:, None] * push + noise * np.sqrt(h)[:, None] * rng.standard_normal(mu.shape)
        clock[active] += h
        out = mu.max(1) > top
        who = active[out]
        rest = -np.log1p(-step / (2 * mu[out].max(1))) / (1.5 * step**2)
        times[who], winners[who] = clock[who] + rest, mu[out].argmax(1)
        mu, active = mu[~out], active[~out]
    return start, times, winners


@pytest.mark.parametrize(("features", "step"), [(1, 0.5), (4, 0.5), (3, 2.0)])
def test_escape_law_and_winners_by_the_diffusion_itself(features, step):
    runs, rng = 3000, np.random.default_rng(features)
    start, times, winners = sde(features, step, runs, rng, dt=1e-3)
    for share in (0.2, 0.5, 0.8):
        at = np.quantile(times, share)
        want = float(escape_law(at, features, step))
        assert abs(want - share) < 4 * math.sqrt(share * (1 - share) / runs) + 0.005
    won = winners >= 0
    first = start.argmax(1) == winners
    error = 0.5 / math.sqrt(runs)
    assert abs(first[won].mean() - largest_start_wins(features, step)) < 4 * error + 0.01
    given = win_probability(start[won], step)
    assert abs(given[np.arange(won.sum()), winners[won]].mean() - (given**2).sum(1).mean()) < 0.03


def test_escape_without_noise_in_closed_form():
    """A short step: mu' = 3 c mu^2, escaped by tau if one start is above 1 / (3 c tau)."""
    step = 0.003
    for features in (4, 64):
        times = np.array([0.3, 0.6, 1.2]) / step
        want = 1 - stats.norm.cdf(1 / (3 * step * times)) ** features
        np.testing.assert_allclose(escape_law(times, features, step), want, atol=0.015)


@pytest.mark.parametrize(
    ("features", "step", "d"),
    [
        (1, 0.5, math.inf),
        (16, 0.5, math.inf),
        (4, 0.05, math.inf),
        (2, 4.0, math.inf),
        (4, 0.5, 64),
    ],
)
def test_escape_time_on_a_finer_grid(features, step, d):
    times, _, share, left = theory._survival(features, step, d, cells=6000, growth=0.004)
    finer = np.interp(-(0.5 ** (1 / features)), -(left @ share), times)
    assert escape_time(features, step, d) == pytest.approx(finer, rel=1e-3)
    assert float(escape_law(finer, features, step, d)) == pytest.approx(0.5, abs=1e-3)


def test_a_long_step_escapes_later_and_later():
    """The toll holds mu near 0 at any step, the barrier c / 2 grows: a time beyond the first."""
    with_16 = [escape_time(16, step) * step for step in (2.0, 8.0, 16.0, 24.0)]
    assert np.all(np.diff(with_16) > 0)
    assert with_16[-1] > 100 * with_16[0]
    assert escape_time(16, 80.0) == math.inf


@pytest.mark.parametrize(("features", "d"), [(1, 64), (2, 64), (4, 64), (8, 64)])
def test_escape_time_and_winners_by_the_chain(features, d):
    """Quantiles at 20, 50 %; in d = 64 diffusion leaves out large kicks: 6 % of the time."""
    step, runs, rng = 0.5, 800, np.random.default_rng(features)
    config = Features(d, features, "he3", step / math.sqrt(features) / d**1.5)
    start = random_starts(features, d, runs, rng)
    most = int(20 * escape_time(features, step, d) * features * d * d)
    found = time_to(config, 0.5, start, most, rng)
    tau = found.times / (features * d * d)
    for share in (0.2, 0.5):
        low, high = (
            np.quantile(tau, share + side * 3 * math.sqrt(share * (1 - share) / runs))
            for side in (-1, 1)
        )
        grid = np.linspace(0, 4, 4001)
        want = np.interp(share, escape_law(grid, features, step, d), grid)
        assert 0.94 * low < want < 1.06 * high
    won = found.winners >= 0
    first = (start.argmax(1) == found.winners)[won].mean()
    want = largest_start_wins(features, step, d)
    assert abs(first - want) < 3 * 0.5 / math.sqrt(won.sum()) + 0.02
    assert features == 1 or first - 1 / features > 0.12


@pytest.mark.parametrize("features", [2, 5])
def test_largest_start_wins_is_the_mean_of_its_chance(features):
    start = np.random.default_rng(0).standard_normal((3000, features))
    chance = win_probability(start, 0.25)
    np.testing.assert_allclose(chance.sum(1), 1, atol=1e-12)
    top = np.take_along_axis(chance, start.argmax(1)[:, None], 1)
    error = top.std() / math.sqrt(len(start))
    assert abs(top.mean() - largest_start_wins(features, 0.25)) < 4 * error + 2e-3
    order = np.take_along_axis(chance, start.argsort(1), 1)
    assert (np.diff(order, axis=1) >= -1e-9).all()


def test_one_feature_always_wins():
    assert largest_start_wins(1) == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(win_probability([[0.3], [-1.0]]), 1)


# --- after looking twice


def direct(features, inner_step):
    """C and N at batch ratio 0 from Gaussian integrals over all features."""
    x = np.linspace(-8, 8, 1201)
    w = stats.norm.pdf(x) * (x[1] - x[0])
    h = (x**3 - 3 * x) / math.sqrt(6)
    z = np.linspace(-8, 8, 801)
    in_z = stats.norm.pdf(z) * (z[1] - z[0])

    def moments(y):  # given y, over the independent z
        pull = np.empty((2, y.size))
        for i, v in enumerate(y):
            slope = 2 * stats.norm.pdf(z)
            g = v * 2 * stats.norm.pdf(z + inner_step * v * slope)
            pull[:, i] = in_z @ g, in_z @ g**2
        return pull

    knots = 40 * np.sinh(np.linspace(-1, 1, 3001) * 9) / math.sinh(9) * 4
    first, second = moments(knots)
    if features == 1:
        y, weight, mean = h, w, x
    else:
        y = (h[:, None] + h) / math.sqrt(2)
        weight, mean = np.outer(w, w), (x[:, None] + x) / math.sqrt(2)
    signal = (weight * mean * np.interp(y, knots, first)).sum()
    return signal, (weight * np.interp(y, knots, second)).sum()


@pytest.mark.parametrize("features", [1, 2])
def test_mean_direction_by_direct_integrals(features):
    signal, noise = direct(features, 2.0)
    got = theory._second_look(features, 2.0, 0.0, "he3", "erf")
    np.testing.assert_allclose(got, (signal, noise), rtol=2e-3)
    want = -1 / math.sqrt(1 + noise / (8 * signal**2))
    assert mean_direction(8, features) == pytest.approx(want, rel=1e-3)


@pytest.mark.parametrize(("features", "ratio"), [(1, 0.25), (4, 0.0), (4, 1.0), (16, 0.0)])
def test_mean_direction_by_simulation(features, ratio):
    """Eight data sets, each seen by eight neurons; the limit is reached to within 2 / d."""
    d, alpha, inner = 256, 12, 2.0
    found = []
    for seed in range(8):
        rng = np.random.default_rng([seed, features])
        w = sphere((8, d), rng)
        g, total = np.zeros((8, d)), alpha * d
        size = round(ratio * d) or total
        for _ in range(total // size):
            x = rng.standard_normal((size, d))
            v = x[:, :features]
            y = ((v**3 - 3 * v) / math.sqrt(6)).sum(1)[:, None] / math.sqrt(features)
            z = x @ w.T
            pull = y * 2 * stats.norm.pdf(z)
            if ratio:
                moved = z + inner / d * (x @ (x.T @ pull))
            else:
                moved = z + inner / d * pull * (x**2).sum(1, keepdims=True)
            g += (x.T @ (y * 2 * stats.norm.pdf(moved))).T
        g -= (g * w).sum(1, keepdims=True) * w
        cosine = g[:, :features].sum(1) / math.sqrt(features) / np.linalg.norm(g, axis=1)
        found.append(cosine.mean())
    want = float(mean_direction(alpha, features, inner, ratio))
    error = np.std(found, ddof=1) / math.sqrt(8)
    assert abs(np.mean(found) - want) < 4 * error + 0.01
    assert abs(want) > 10 * error


def test_mean_direction_of_one_feature_is_the_cosine_of_the_first_chapter():
    for alpha, ratio, want in [(8, 0.25, 0.7487), (8, 1, 0.7176), (16, 4, 0.7011)]:
        assert abs(mean_direction(alpha, 1, 2.0, ratio)) == pytest.approx(want, abs=4e-4)


def test_strength_of_the_second_look_falls_with_the_features():
    """The note's C^2 / N at M = 1, 2, 4, ..., 64."""
    told = [0.162, 0.095, 0.053, 0.026, 0.0107, 0.0039, 0.0012]
    for k, want in enumerate(told):
        signal, noise = theory._second_look(2**k, 2.0, 0.0, "he3", "erf")
        assert signal**2 / noise == pytest.approx(want, rel=0.04)


def test_even_features_have_no_mean_direction():
    assert abs(mean_direction(100, 3, link="he4")) < 0.01
    with pytest.raises(ValueError, match="link='he1' must have no mean and no linear part"):
        mean_direction(4, 2, link="he1")


# --- the symmetric point, and coverage


@pytest.mark.parametrize(("features", "step"), [(2, 0.1), (4, 0.05), (6, 0.0)])
def test_saddle_by_the_drift(features, step):
    found, d = saddle(features, step), 10**9
    config = Features(d, features, "he3", max(step, 1e-7) / d)

    def flow(rho):
        return drift(config, rho) / config.eta

    for cosine in (found.cosine, found.below):
        rho = np.full(features, cosine * (1 - 1e-9) / math.sqrt(features))
        assert abs(flow(rho)).max() < 2e-5
    rho = np.full(features, found.cosine * (1 - 1e-6) / math.sqrt(features))
    apart = np.zeros(features)
    apart[:2] = 1e-7, -1e-7
    rate = (flow(rho + apart) - flow(rho))[0] / 1e-7 * step
    assert found.rate == pytest.approx(rate, rel=2e-3, abs=1e-9)
    assert saddle(features, 0.8 / features) == (0, 0, 0)


@pytest.mark.parametrize(("features", "neurons"), [(3, 4), (4, 5)])
def test_coverage_by_counting(features, neurons):
    found = [len(set(taken)) for taken in itertools.product(range(features), repeat=neurons)]
    assert coverage(features, neurons) == pytest.approx(np.mean(found), rel=1e-12)


def test_a_network_covers_its_features():
    config, rng = Features(32, 4, "he3", 0.25 / 2 / 32**1.5), np.random.default_rng(0)
    W = network(config, sphere((8, 30, 32), rng), 6 * 4 * 32**2, rng)
    taken, strong = W[..., :4].argmax(-1), W[..., :4].max(-1) > 0.7
    assert strong.mean() > 0.85
    found = [len(set(t[s])) for t, s in zip(taken, strong, strict=True)]
    assert np.mean(found) > 3.6  # shared samples cost some of the 4.00 of independent neurons


# --- what is refused, and speed


def test_bad_input_is_refused():
    good = {"d": 10, "features": 2, "target": "he3", "eta": 0.1}
    for name, value, error in [
        ("d", 2, ValueError),
        ("features", 0, ValueError),
        ("target", "nothing", ValueError),
        ("target", {(1,): 1.0}, ValueError),
        ("eta", 0.0, ValueError),
        ("inner_step", math.nan, ValueError),
        ("activation", "sign", ValueError),
        ("activation", np.tanh, TypeError),
    ]:
        with pytest.raises(error, match=f"^{name}=" if name != "target" else "target|activation="):
            Features(**{**good, name: value})
    with pytest.raises(ValueError, match="activation=None"):
        Features(10, 2, lambda z: z[:, 0], 0.1)
    config, rng = Features(**good), np.random.default_rng(0)
    with pytest.raises(ValueError, match="start has shape"):
        run(config, [0.1, 0.2, 0.3], 5, rng)
    with pytest.raises(ValueError, match="squared overlaps must sum"):
        run(config, [0.9, 0.9], 5, rng)
    with pytest.raises(ValueError, match="target gives shape"):
        run(Features(10, 2, lambda z: z, 0.1, "tanh"), [0.1, 0.2], 5, rng)
    with pytest.raises(ValueError, match="stop='last'"):
        time_to(config, 0.5, [0.1, 0.2], 5, rng, stop="last")
    with pytest.raises(ValueError, match="W must have unit rows"):
        network(config, np.ones((3, 10)), 5, rng)
    with pytest.raises(ValueError, match="inner_step=1.0 must be 0"):
        drift(Features(10, 2, "he3", 0.1, inner_step=1.0), [0.1, 0.2])
    with pytest.raises(ValueError, match="must be a name he"):
        correlation(Features(10, 2, "sign", 0.1, "tanh"), [0.1, 0.2])
    with pytest.raises(ValueError, match="step=0"):
        escape_time(3, 0.0)
    with pytest.raises(ValueError, match="d=3"):
        escape_time(3, 0.5, 3)


@pytest.mark.slow
def test_speed():
    config, rng = Features(64, 8, "he3", 0.5 / 8**0.5 / 512), np.random.default_rng(0)
    start = random_starts(8, 64, 100, rng)
    clock = time.process_time()
    run(config, start, 10_000, rng, every=10_000)
    assert time.process_time() - clock < 3
    theory._survival.cache_clear()
    clock = time.process_time()
    escape_time(4, 0.5, 128)
    assert time.process_time() - clock < 2
