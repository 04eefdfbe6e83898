"""Clusters on a line: the theory against a second route, limits, and networks."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from twolayer import hermite
from twolayer.activations import Activation
from twolayer.data import GaussianMixture
from twolayer.simulation.mixtures import LowRank, draw, polynomial, rivals, run
from twolayer.theory import _readouts, higher_spikes, mixtures
from twolayer.theory.higher_spikes import Step
from twolayer.theory.mixtures import Mixture, learning_curve, learnt_function

PAIR = Mixture([-1.5, 1.5], [0.5, 0.5], [-1, 1])
STRIPE = Mixture([-3, -1, 1, 3], [0.25] * 4, [-1, 1, -1, 1])
SKEW = Mixture([-1.0, 0.5, 2.0], [0.3, 0.5, 0.2], [1, -1, 1], [0.6, 1.0, 1.7])


# --- moments


@pytest.mark.parametrize("mixture", [PAIR, STRIPE, SKEW])
def test_moments_are_those_of_a_sample(mixture):
    x, y = draw(mixture, 3, 400_000, np.random.default_rng(0))
    t, near = x[:, 0], {"atol": 0.02}
    assert np.isclose(mixture.linear_part, np.mean(y * t), **near)
    assert np.isclose(
        mixture.linear_bound, np.mean(y**2) - np.mean(y * t) ** 2 / np.mean(t**2), **near
    )
    assert np.allclose(np.cov(x.T)[1:, 1:], np.eye(2), **near)


def test_in_closed_form():
    for h in (0.5, 1.5):
        pair = Mixture([-h, h], [0.5, 0.5], [-1, 1])
        assert np.isclose(pair.linear_bound, 1 / (1 + h**2))
        assert np.isclose((h / pair.gradient_norm(3.0)) ** 2, h**2 / (h**2 + 1 / 3))
        stripe = Mixture(h * np.array([-3, -1, 1, 3]), [0.25] * 4, [-1, 1, -1, 1])
        assert np.isclose(stripe.linear_part, h)
        assert np.isclose(stripe.linear_bound, 1 - h**2 / (1 + 5 * h**2))


@pytest.mark.parametrize("mixture", [PAIR, STRIPE, SKEW])
def test_the_gradient_has_this_norm_and_direction(mixture):
    norms, cosines = [], []
    for seed in range(8):
        x, y = draw(mixture, 300, 1200, np.random.default_rng(seed))
        g = x.T @ y / 1200
        norms.append(np.linalg.norm(g))
        cosines.append(g[0] / norms[-1])
    want = mixture.gradient_norm(4.0)
    assert np.isclose(np.mean(norms), want, rtol=0.04)
    assert np.isclose(np.mean(cosines), mixture.linear_part / want, rtol=0.04)


@pytest.mark.parametrize("mixture", [STRIPE, SKEW])
def test_what_inputs_carry_at_each_k(mixture):
    """zeta given k: its mean and variance, and the labels' moments, from draws of both."""
    step = Step("tanh", None, 2.0, 0.5)
    inputs, _, _ = mixtures._tables(step, mixture)
    rho = mixture.linear_part / mixture.gradient_norm(2.0)
    x, y = draw(mixture, 2, 1_000_000, np.random.default_rng(1))
    k, zeta = x @ [rho, math.sqrt(1 - rho**2)], x @ [math.sqrt(1 - rho**2), -rho]
    for place in (-1.0, 0.3, 2.0):
        near = abs(k - place) < 0.05
        mean, std, e0, e1, rest = (np.interp(place, inputs.k, v) for v in inputs[2:])
        xi = (zeta[near] - mean) / std
        error = 5 / math.sqrt(near.sum())
        assert np.isclose(xi.mean(), 0, atol=error + 0.01)
        assert np.isclose(np.mean(xi**2), 1, atol=2 * error + 0.02)
        assert np.isclose(y[near].mean(), e0, atol=error + 0.01)
        assert np.isclose(np.mean(y[near] * xi), e1, atol=error + 0.01)
        assert np.isclose(np.mean((y[near] - e0 - e1 * xi) ** 2), rest, atol=error + 0.01)
    # equal spreads: mean rho_bar E[nu given k], second moment 1 + rho_bar^2 E[nu^2 given k]
    if mixture is STRIPE:
        nu = np.array(mixture.means)
        posterior = np.exp(-((inputs.k[:, None] - rho * nu) ** 2) / 2)
        posterior /= posterior.sum(1, keepdims=True)
        first, second = posterior @ nu, posterior @ nu**2
        assert np.allclose(inputs.mean, math.sqrt(1 - rho**2) * first)
        assert np.allclose(inputs.std**2 + inputs.mean**2, 1 + (1 - rho**2) * second)


# --- the error: a second route


def plain(step, mixture, alpha, ridge):
    """Square error and mistakes by iteration; each node's error by one difference of the loss.

    The ridge loss is minimised over f = A(k) + B(k) zeta, with zeta as it is: not centred at k.
    """
    inputs, neurons, clusters = mixtures._tables(step, mixture)
    seen = inputs.w > 1e-8
    k, w, mean, std, e0, e1, rest = (v[seen] for v in inputs)
    M, linear, noise = (v[seen] for v in neurons[2:])
    n, ratio, beta, share = alpha * step.d, alpha / step.width_ratio, step.width_ratio, neurons.v
    q2, b = std**2 + mean**2, std * e1 + mean * e0  # E[zeta^2 | k] and E[y zeta | k]
    square = rest + e0**2 + e1**2

    def loss(u, start):
        G, V = start
        for _ in range(3000):
            omega = ratio * w * u / (1 + u * V)
            vectors = np.sqrt(omega)[:, None] * linear
            inner = np.linalg.inv(np.diag(1 / (beta * share * G)) + vectors.T @ vectors)
            cross = vectors.T @ vectors
            held = ridge + omega @ noise + np.diag(cross - cross @ inner @ cross)
            Gamma = 1 - np.einsum("kg,gh,kh->k", vectors, inner, vectors)
            new = (1 - Gamma) / (beta * omega) + noise @ (share * G)
            moved = max(abs(np.log(G * held)).max(), abs(np.log(new / V)).max())
            G, V = np.sqrt(G / held), np.sqrt(V * new)
            if moved < 1e-13:
                break
        D = w * u / (1 + u * V)
        L = (linear * (share * G)) @ linear.T / step.d
        K = np.zeros((2 * len(k), 2 * len(k)))
        K[: len(k), : len(k)] = (M * (share * G)) @ M.T + np.outer(k, k) * L
        K[len(k) :, len(k) :] = L
        S = np.block([[np.diag(D), np.diag(D * mean)], [np.diag(D * mean), np.diag(D * q2)]])
        right = np.concatenate([D * e0, D * b])
        both = np.linalg.solve(np.eye(len(S)) + n * K @ S, n * K @ right)  # A and B
        return D @ square - right @ both, both, (G, V)

    start = np.ones(len(share)), np.ones(len(k))
    _, both, start = loss(np.ones(len(k)), start)
    p = 1 / (1 + start[1])
    error = np.empty(len(k))
    for i in range(len(k)):
        u, h = np.ones(len(k)), 2e-4 / p[i] ** 2
        u[i] += h
        up = loss(u, start)[0]
        u[i] -= 2 * h
        error[i] = (up - loss(u, start)[0]) / (2 * h) / w[i] / p[i] ** 2
    A, B = both.reshape(2, -1)
    missed = square - 2 * A * e0 - 2 * B * b + A**2 + 2 * A * B * mean + B**2 * q2
    out = A[:, None] + B[:, None] * clusters.mean[seen]
    noise = np.maximum(error - missed, 0)  # rounding where hardly an input is
    wide = np.sqrt(B[:, None] ** 2 * clusters.std[seen] ** 2 + noise[:, None])
    wrong = norm.cdf(-np.sign(mixture.labels) * out / wide)
    return w @ error, w @ (clusters.posterior[seen] * wrong).sum(1)


@pytest.mark.parametrize(
    ("mixture", "law", "r", "alpha", "ridge"),
    [(STRIPE, 2, 0.7, 4.0, 1.0), (SKEW, "equal", 0.4, 2.0, 0.3)],
)
def test_error_and_mistakes_by_plain_iteration(mixture, law, r, alpha, ridge):
    step = Step("tanh", None, 3.0, r, 0.8, law, noise=0.1, d=150)
    found = learning_curve(step, mixture, alpha, ridge)
    np.testing.assert_allclose(found, plain(step, mixture, alpha, ridge), rtol=2e-4)


def test_mistakes_are_those_of_draws_from_the_limiting_law():
    step, rng = Step("tanh", None, 2.0, 0.8, d=200), np.random.default_rng(2)
    inputs, neurons, _ = mixtures._tables(step, SKEW)
    fit = _readouts.fit(inputs, neurons, 4.0, 1.0, 200, 1.0)
    rho = SKEW.linear_part / SKEW.gradient_norm(2.0)
    x, y = draw(SKEW, 2, 400_000, rng)
    k, zeta = x @ [rho, math.sqrt(1 - rho**2)], x @ [math.sqrt(1 - rho**2), -rho]
    missed = inputs.rest + (inputs.e0 - fit.f0) ** 2 + (inputs.e1 - fit.f1) ** 2
    columns = (inputs.mean, inputs.std, fit.f0, fit.f1, fit.error - missed)
    mean, std, f0, f1, q = (np.interp(k, inputs.k, v) for v in columns)
    f = f0 + f1 * (zeta - mean) / std + np.sqrt(q) * rng.standard_normal(len(k))
    error, wrong = learning_curve(step, SKEW, 4.0, 1.0)
    assert np.isclose(np.mean((y - f) ** 2), error, rtol=0.01)
    assert np.isclose(np.mean(y * f < 0), wrong, rtol=0.01)


# --- limits


@pytest.mark.parametrize("ridge", [0.1, 3.0])
def test_one_cluster_is_the_curve_of_gaussian_inputs(ridge):
    link = (0.0, 0.8, 0.6)
    step = Step("tanh", link, 4.0, 0.8, d=300)
    alone = Mixture([0.0], [1.0], [_series(link)])
    split = Mixture([0.0, 0.0], [0.3, 0.7], [_series(link)] * 2)
    expected = higher_spikes.learning_curve(step, 3.0, ridge)
    for mixture in (alone, split):
        error, wrong = learning_curve(step, mixture, 3.0, ridge)
        assert np.isclose(error, expected, rtol=1e-5)
        assert np.isnan(wrong)


def _series(link):
    def label(t):
        return link[1] * t + link[2] * (t * t - 1) / math.sqrt(2)

    return label


def without_a_step(linear_part, second_moment, spread, alpha, ridge, beta=1.0):
    """Random features of clusters: ridge regression on a spiked linear model with noise.

    Of theta.x, whose mean square is `spread`, a share Q = 1 / (spread + c) is learnt; c, without
    clusters 1/Q0 - 1, is by the Marchenko-Pastur law of W0 W0'. All by sums over eigenvalues.
    """
    slope = hermite.expectation(lambda z: 1 - np.tanh(z) ** 2)
    noise = hermite.expectation(lambda z: np.tanh(z) ** 2) - slope**2
    W = np.random.default_rng(0).standard_normal((int(beta * 1500), 1500))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    bulk = np.linalg.eigvalsh(W @ W.T)
    values = slope**2 * bulk + noise  # m times the features' covariance

    def loss(u):
        """min over the readout of u |y - f|^2 + ridge |a|^2, over n = alpha (beta = m/d)."""
        p = 0.5
        for _ in range(500):
            omega = alpha / beta * u * p
            p = 1 / (1 + u * np.mean(values / (omega * values + ridge)))
        omega = alpha / beta * u * p
        kernel = slope**2 * np.mean(bulk / (omega * values + ridge))
        # the readout's b.theta is one of the directions in the sum: take it out again
        kernel = kernel / (1 - omega * kernel * beta)
        return u * p * (second_moment - linear_part**2 / (spread + 1 / (alpha * u * p * kernel))), p

    _, p = loss(1.0)
    h = 1e-4 / p**2
    return (loss(1 + h)[0] - loss(1 - h)[0]) / (2 * h) / p**2


@pytest.mark.parametrize("mixture", [PAIR, STRIPE])
def test_without_a_step_a_spiked_linear_model(mixture):
    spread = sum(np.square(mixture.means) * mixture.weights) + 1
    step = Step("tanh", None, 8.0, 0.0, d=1e6)
    for alpha, ridge in ((8.0, 1.0), (2.0, 0.1)):
        error, _ = learning_curve(step, mixture, alpha, ridge)
        expected = without_a_step(mixture.linear_part, 1.0, spread, alpha, ridge)
        assert np.isclose(error, expected, rtol=3e-3)


def test_mistakes_of_a_pair():
    """Phi(-h) is least; Phi(-rho h), the least along v, is not: the readout looks across v, too."""
    step = Step("tanh", None, 1e4, 1.0, d=1e6)
    _, wrong = learning_curve(step, PAIR, 1e6, 1.0)
    assert norm.cdf(-1.5) * 0.9999 < wrong < 1.002 * norm.cdf(-1.5)
    step = Step("tanh", None, 0.5, 0.6, d=250)
    rho = PAIR.linear_part / PAIR.gradient_norm(0.5)
    _, wrong = learning_curve(step, PAIR, 8.0, 2.0)
    assert norm.cdf(-1.5) < wrong < 0.8 * norm.cdf(-1.5 * rho)
    runs = [run(step, PAIR, 8.0, 2.0, np.random.default_rng(seed)) for seed in range(6)]
    assert np.isclose(np.mean([one["misclassified"] for one in runs]), wrong, rtol=0.05)


def test_no_linear_part_no_gain():
    """Labels + - + on a symmetric line: g is noise, and the error stays above E y^2."""
    even = Mixture([-2, 0, 2], [0.25, 0.5, 0.25], [1, -1, 1])
    error, _ = learning_curve(Step("tanh", None, 8.0, 1.0, d=300), even, 8.0, [1.0, 100.0])
    assert even.linear_part == 0
    assert np.all(error > 0.995)
    xor = GaussianMixture.ring(100, 4, 3.0)
    for seed in range(3):
        step = Step("tanh", None, 8.0, 1.0, d=100)
        found = run(step, xor, 8.0, 30.0, np.random.default_rng(seed))
        assert abs(found["misclassified"] - 0.5) < 0.03
        assert found["error"] > 0.99


# --- networks


@pytest.mark.parametrize(
    ("mixture", "r", "ridge"), [(PAIR, 0.5, 1.5), (STRIPE, 0.9, 2.0), (SKEW, 0.6, 3.0)]
)
def test_networks(mixture, r, ridge):
    step = Step("tanh", None, 8.0, r, d=250)
    found = [run(step, mixture, 8.0, ridge, np.random.default_rng(seed)) for seed in range(6)]
    for name, want in zip(
        ("error", "misclassified"), learning_curve(step, mixture, 8.0, ridge), strict=True
    ):
        got = np.array([one[name] for one in found])
        tolerance = 3 * got.std(ddof=1) / math.sqrt(6) + 0.02 * want  # O(1/d)
        assert abs(got.mean() - want) < tolerance, name


def test_what_networks_learn_along_the_step():
    step, k = Step("tanh", None, 1.0, 0.8, d=250), np.array([-2.0, 0.0, 1.5])
    crooked = Mixture([-1, 1], [0.5, 0.5], [-1, 1], [0.5, 2.0])
    found = [
        run(step, crooked, 8.0, 2.0, np.random.default_rng(seed), projection=k)["learnt"]
        for seed in range(6)
    ]
    want, _ = learnt_function(step, crooked, 8.0, 2.0, k)
    assert np.allclose(np.mean(found, axis=0), want, atol=0.05)


@pytest.mark.parametrize("degree", [1, 3, 5])
def test_a_polynomial_student_is_a_step_with_another_activation(degree):
    """Its neurons' mean map is the Taylor polynomial of tanh's: E h_l(z + u) = u^l / sqrt(l!)."""
    cut = polynomial("tanh", degree)
    c = hermite.coefficients(np.tanh, degree)
    for u in (0.3, 1.2):
        terms = [c[i] * u**i / math.sqrt(math.factorial(i)) for i in range(degree + 1)]
        assert np.isclose(hermite.expectation(lambda z, u=u: cut(z + u)), sum(terms))
        assert np.isclose(
            hermite.expectation(lambda z, u=u: (cut(z + u + 1e-5) - cut(z + u - 1e-5)) / 2e-5),
            hermite.expectation(lambda z, u=u: cut.derivative_at(z + u)),
        )
    step = Step("tanh", None, 8.0, 0.6, d=250)
    runs = [
        run(step, STRIPE, 8.0, 20.0, np.random.default_rng(seed), degree=degree)["error"]
        for seed in range(6)
    ]
    # the network's step is that of tanh: only the neurons' noise differs a little
    error, _ = learning_curve(Step(cut, None, 8.0, 0.6, d=250), STRIPE, 8.0, 20.0)
    assert abs(np.mean(runs) / error - 1) < 0.02


def test_parts_of_a_run():
    step = Step("tanh", None, 4.0, 0.5, readout=2, d=60)
    a = run(step, PAIR, [2.0, 4.0], [[0.1], [1.0], [3.0]], np.random.default_rng(0))
    b = run(step, PAIR, [2.0, 4.0], [[0.1], [1.0], [3.0]], np.random.default_rng(0))
    assert a["error"].shape == a["misclassified"].shape == (3, 2)
    assert np.array_equal(a["error"], b["error"])
    more = {"degree": 3, "refilled": True}
    c = run(step, PAIR, 4.0, 1.0, np.random.default_rng(0), **more)
    assert 0 < c["error"] < 1
    shuffled = run(step, PAIR, 4.0, 1.0, np.random.default_rng(0), shuffled=True)
    assert abs(shuffled["cosine"]) < 0.5 < a["cosine"]
    equal = Step("tanh", None, 4.0, 0.0, readout="equal", noise=0.5, d=60)
    assert run(equal, PAIR, 4.0, 1.0, np.random.default_rng(0))["error"] > 0.25
    flat = SimpleNamespace(means=[0.0], weights=[1.0], labels=["sign"], stds=2.0)
    x, y = draw(flat, 4, 5000, np.random.default_rng(0))
    assert np.array_equal(y, np.sign(x[:, 0]))
    assert np.isclose(x[:, 0].std(), 2, rtol=0.05)
    bent = Activation("relu, centred", lambda z: z, lambda z: 1 + 0 * z)
    assert polynomial(bent, 2).parity == 0


# --- what stands beside them


def test_clusters_of_low_rank_hurt_by_their_excess_variance():
    """The cosine of g: its noise is larger in directions where y^2 and the input go together."""
    step, want = Step("tanh", None, 8.0, 0.5, d=200), []
    found = []
    for count in (1, 60):
        noise = np.array([1.0, 9.0]) / 2  # E y^2 of y = theta.x, a cluster each
        share = count / 200
        noise = (1 - share) * noise.sum() + share * noise @ [1, 9]
        want.append(1 / math.sqrt(1 + noise / 8 / 5**2))
        data = LowRank(200, np.array, count, 3.0)
        runs = [run(step, data, 8.0, 1.0, np.random.default_rng(seed)) for seed in range(6)]
        found.append(np.mean([one["cosine"] for one in runs]))
    assert np.allclose(found, want, atol=0.005)
    x, y = LowRank(200, np.array, 60, 3.0, scaled=True).sample(2000, np.random.default_rng(0))
    squares = (x**2).sum(1) / 200
    assert np.isclose(squares.mean(), 1, atol=0.02)
    assert not np.allclose(x[:, 0], y)


def test_rivals_find_what_they_can():
    rng = np.random.default_rng(0)
    ring = GaussianMixture.ring(30, 4, 3.0)
    found = rivals(ring.sample(480, rng), ring.sample(300, rng), ring.sample(1000, rng))
    assert abs(found["logistic, mistakes"] - 0.5) < 0.06
    assert abs(found["LDA, mistakes"] - 0.5) < 0.06
    odds = ring.log_odds(ring.sample(20_000, rng)[0])
    least = np.mean(1 / (1 + np.exp(abs(odds))))
    assert 0.5 * least < found["PCA + kernel, mistakes"] < 2 * least
    parts = [draw(PAIR, 30, n, rng) for n in (480, 300, 4000)]
    found = rivals(*parts)
    for name in ("logistic", "LDA", "kernel", "PCA + kernel"):
        assert norm.cdf(-1.5) - 0.015 < found[f"{name}, mistakes"] < norm.cdf(-1.5) + 0.03
