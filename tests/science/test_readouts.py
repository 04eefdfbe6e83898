"""The fixed point for readouts of any law: against other formulas, plain iteration, finer grids."""

import numpy as np
import pytest

from twolayer.theory import _readouts, exact_curves, higher_spikes, mixtures, one_step
from twolayer.theory.higher_spikes import Step, learning_curve, learnt_function


def step_of_size(size, activation="tanh", link="sign", alpha0=16.0, **rest):
    """A step with eta = size sqrt(m)."""
    first = one_step.FirstStep(activation, link, alpha0, 1.0)
    return Step(activation, link, alpha0, size * first.slope * first.gradient_norm, **rest)


def test_eta_is_in_the_units_of_the_other_chapters():
    step = step_of_size(0.7, d=300, width_ratio=2.0)
    assert np.isclose(step.eta, 0.7 * step.m**0.5)
    other = exact_curves.OneStep("tanh", "sign", 16.0, 0.7, width_ratio=2.0)
    assert np.isclose(step.r, other.strength)
    excess = step.excess(step.first.second_moment, step.gradient_norm)
    assert np.isclose(1 + excess, other.bulk_variance)


@pytest.mark.parametrize("size", [0.3, 1.0, 4.0])
@pytest.mark.parametrize(("beta", "noise"), [(1.0, 0.0), (0.4, 0.5), (3.0, 0.0)])
def test_equal_readouts_are_the_exact_curve(size, beta, noise):
    """In high dimension; that formula solves two equations in two numbers, in another form."""
    alpha, ridge = np.array([0.3, beta, 8.0])[:, None], np.array([1e-2, 1.0, 30.0])
    step = Step("tanh", "sign", 16.0, 0.0, beta, "equal", noise, d=1e9)
    step = Step("tanh", "sign", 16.0, size * step.first.slope * step.gradient_norm, beta,
                "equal", noise, d=1e9)  # fmt: skip
    other = exact_curves.OneStep("tanh", "sign", 16.0, size, beta, noise)
    expected = exact_curves.learning_curve(other, alpha, ridge)
    np.testing.assert_allclose(learning_curve(step, alpha, ridge), expected, rtol=2e-6)
    k = np.linspace(-2, 2, 5)
    learnt, target = learnt_function(step, 8.0, 1.0, k)
    there, goal = exact_curves.learnt_function(other, 8.0, 1.0, k)
    np.testing.assert_allclose(target, goal, atol=1e-6)
    np.testing.assert_allclose(learnt, there, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 6.0])
def test_without_a_step_the_law_does_not_matter(alpha):
    setting = one_step.FirstStep("tanh", "sign", 4.0, 1.0)
    expected = one_step.ridge_risk(setting, 0.0, alpha, 0.3)
    for law in ("gaussian", "equal", 3):
        step = Step("tanh", "sign", 4.0, 0.0, readout=law, d=1e9)
        assert np.isclose(learning_curve(step, alpha, 0.3), expected, rtol=1e-6)


# --- plain iteration of the page's equations, and one finite difference of the ridge loss


def ridge_loss(inputs, neurons, alpha, beta, d, ridge, u):
    """O(u)/n, and p, by iteration with matrices over k: no low rank, no Newton."""
    n, ratio, eye = alpha * d, alpha / beta, np.eye(len(inputs.k))
    V = np.ones_like(inputs.k)
    G = np.ones_like(neurons.g)
    for _ in range(2_000):
        p = 1 / (1 + u * V)
        omega = ratio * inputs.w * u * p
        vectors = np.sqrt(omega)[:, None] * neurons.linear
        Gamma = np.linalg.inv(eye + beta * (vectors * (neurons.v * G)) @ vectors.T)
        new = 1 / (ridge + omega @ neurons.rest + np.einsum("kg,kl,lg->g", vectors, Gamma, vectors))
        V_new = (1 - np.diag(Gamma)) / (beta * omega) + neurons.rest @ (neurons.v * new)
        moved = max(abs(np.log(new / G)).max(), abs(np.log(V_new / V)).max())
        G, V = np.sqrt(new * G), np.sqrt(V_new * V)
        if moved < 1e-11:
            break
    D = np.diag(inputs.w * u * p)
    L = (neurons.linear * (neurons.v * G)) @ neurons.linear.T / d
    K0 = (neurons.mean * (neurons.v * G)) @ neurons.mean.T + np.outer(inputs.k, inputs.k) * L
    inverse = np.diag(1 / np.diag(D))
    loss = np.diag(D) @ inputs.rest
    for e, kernel in ((inputs.e0, K0), (inputs.e1, L)):
        loss += e @ np.linalg.solve(inverse + n * kernel, e)
    return loss, p


@pytest.mark.parametrize(
    ("activation", "link", "law", "r", "beta", "alpha", "ridge"),
    [
        ("tanh", "sign", "gaussian", 0.8, 1.0, 4.0, 1.0),
        ("relu", (0.0, 0.8, 0.6), "gaussian", 0.5, 0.5, 2.0, 0.1),
        ("erf", "he3", 2, 1.5, 2.0, 1.0, 0.3),
    ],
)
def test_error_is_one_derivative_of_the_ridge_loss(activation, link, law, r, beta, alpha, ridge):
    """By plain iteration: dO(1 + eps / p^2) / d eps / n, where p^-2 undoes the fit's own share."""
    step = Step(activation, link, 8.0, r, beta, law, noise=0.2, d=400)
    inputs, neurons = higher_spikes._tables(step, 0.6)  # both sides on one coarse grid
    seen = inputs.w > 1e-14  # the plain form divides by weights
    inputs = inputs._replace(**{name: getattr(inputs, name)[seen] for name in inputs._fields})
    table = ("mean", "linear", "rest")
    neurons = neurons._replace(**{name: getattr(neurons, name)[seen] for name in table})

    def loss(u):
        return ridge_loss(inputs, neurons, alpha, beta, step.d, ridge, u)

    one = np.ones_like(inputs.k)
    _, p = loss(one)
    h = 1e-3
    difference = (loss(one + h / p**2)[0] - loss(one - h / p**2)[0]) / (2 * h)
    fit = _readouts.fit(inputs, neurons, alpha, beta, step.d, ridge)
    assert np.isclose(inputs.w @ fit.error, difference, rtol=1e-5)
    for i in (len(p) // 3, len(p) // 2):  # also of a single node: its own error
        at = np.zeros_like(one)
        at[i] = h / p[i] ** 2
        own = (loss(one + at)[0] - loss(one - at)[0]) / (2 * h) / inputs.w[i]
        assert np.isclose(fit.error[i], own, rtol=1e-4)


# --- everywhere


def draw(rng):
    """A setting anywhere in the range that the library promises."""

    def between(low, high):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    activation = str(rng.choice(["tanh", "erf", "relu"]))
    link = ["sign", "he3", (0.0, 0.8, 0.6), "tanh"][rng.integers(4)]
    law = ["gaussian", "equal", 2, 3][rng.integers(4)]
    beta = between(0.25, 4)
    r, noise, d = float(rng.uniform(0, 5)), float(rng.choice([0, 0.5])), between(50, 1e6)
    step = Step(activation, link, between(0.1, 20), r, beta, law, noise, d)
    alpha = beta if rng.random() < 0.1 else between(0.1, 20)  # also where n = m
    return step, alpha, between(1e-6, 1e2)


@pytest.mark.filterwarnings("error")
def test_everywhere_a_finite_error():
    """500 settings: each converges, above the label noise, and less than 1 % from a finer grid."""
    rng = np.random.default_rng(22)
    for trial in range(500):
        step, alpha, ridge = draw(rng)
        error = learning_curve(step, alpha, ridge)
        assert np.isfinite(error), (step, alpha, ridge)
        assert error > step.noise**2, (step, alpha, ridge)
        if trial % 5 == 0:
            inputs, neurons = higher_spikes._tables(step, 3)
            fit = _readouts.fit(inputs, neurons, alpha, step.width_ratio, step.d, ridge)
            assert np.isclose(inputs.w @ fit.error, error, rtol=1e-3), (step, alpha, ridge)


def test_a_ridge_too_small_for_the_grid_warns():
    step = Step("erf", "sign", 2.0, 4.0, readout=1)
    with pytest.warns(match="did not converge for 1 of 2 settings.*ridge=1e-14"):
        errors = learning_curve(step, 0.1, [1e-14, 1.0])
    assert np.isnan(errors[0])
    assert np.isfinite(errors[1])


@pytest.mark.filterwarnings("error")
def test_mixtures_everywhere():
    """100 settings of up to four clusters: finite, and no worse than a coin where it learns."""
    rng = np.random.default_rng(23)
    for _ in range(100):
        step, alpha, ridge = draw(rng)
        count = int(rng.integers(1, 5))
        means = rng.uniform(-3, 3, count)
        labels = rng.choice([-1.0, 1.0], count)
        weights = rng.dirichlet(np.full(count, 3.0))
        mixture = mixtures.Mixture(means, weights, labels)
        if step.activation == "relu":  # its labels need mean 0: the mirror image, with other signs
            mixture = mixtures.Mixture(
                [*means, *-means], np.tile(weights / 2, 2), [*labels, *-labels]
            )
        error, wrong = mixtures.learning_curve(step, mixture, alpha, ridge)
        assert np.isfinite(error), (step, mixture, alpha, ridge)
        assert 0 <= wrong <= 1
        assert error > step.noise**2
