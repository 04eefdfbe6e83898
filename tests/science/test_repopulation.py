"""Feature repopulation: the convex problem by two routes, and the noisy network that solves it."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime, minimize
from sklearn.exceptions import ConvergenceWarning

from twolayer.data import sphere
from twolayer.descent import descend, langevin
from twolayer.network import TwoLayer
from twolayer.simulation.repopulation import fast_readout
from twolayer.theory.repopulation import (
    Repopulation,
    circle,
    dual,
    fluctuation,
    histogram,
    optimal_density,
    primal,
    solve,
    variance,
)

PHI = np.array([0.1, 0.5, 1.2, 1.7, 2.2, 2.9, 3.3, 3.8, 4.4, 4.9, 5.3, 6.0])
X = np.stack([np.cos(PHI), np.sin(PHI)], axis=1)
Y = 1.5 * np.exp(3 * (np.cos(PHI - 0.8) - 1)) - np.exp(3 * (np.cos(PHI - 3.5) - 1))
THETA, PROBLEM = circle(PHI, Y, weight_decay=0.05, temperature=0.04, grid=720)
POPULATION = solve(PROBLEM)
BINS = np.arange(720) // 60
M = 300


@pytest.fixture(scope="module")
def lopsided():
    """A problem with an uneven prior that leaves out a feature."""
    rng = np.random.default_rng(7)
    prior = rng.random(30)
    prior[3] = 0
    y = rng.standard_normal(8)
    return Repopulation(rng.standard_normal((8, 30)), prior / prior.sum(), y, 0.07, 0.03)


def run(W, u, x, y, *, steps, record=None, **options):
    """Noisy descent in the chapter's readouts, u = sqrt(m) a."""
    root = math.sqrt(np.shape(W)[-2])
    start = TwoLayer(W, np.asarray(u) / root, "relu")
    end = descend(start, langevin(x, y, **options), steps, record=record)
    return end.W, root * end.a


def objective(problem, nu, rho):
    """The problem as the paper writes it, by itself."""
    fit = np.mean((problem.features @ nu - problem.y) ** 2) / 2
    kl = np.sum(rho * np.log(rho / problem.prior))
    return fit + problem.weight_decay / 2 * np.sum(nu**2 / rho) + problem.temperature * kl


# --- the convex problem


def test_derivatives_of_the_dual_by_finite_differences(lopsided, rng):
    p = 0.3 * rng.standard_normal(8)
    _, gradient, hessian = dual(lopsided, p)
    numeric = approx_fprime(p, lambda q: dual(lopsided, q)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)
    numeric = approx_fprime(p, lambda q: dual(lopsided, q)[1], 1e-7)
    np.testing.assert_allclose(hessian, numeric, atol=1e-5)
    assert np.linalg.eigvalsh(hessian).max() <= -1 / 8 + 1e-12  # strongly concave


def test_solution_has_no_gap_and_is_consistent(lopsided):
    for problem in (PROBLEM, lopsided):
        found = solve(problem)
        assert -1e-15 < found.gap < 1e-13
        np.testing.assert_allclose(found.outputs - problem.y, found.residual, atol=1e-11)
        np.testing.assert_allclose(problem.features @ found.nu, found.outputs, atol=1e-14)
        pull = problem.features.T @ found.residual / problem.n
        np.testing.assert_allclose(found.readout, -pull / problem.weight_decay, atol=1e-11)
        weight = problem.prior * np.exp(pull**2 / (2 * problem.weight_decay * problem.temperature))
        np.testing.assert_allclose(found.density, weight / weight.sum(), atol=1e-12)


def test_primal_and_dual_agree(lopsided):
    for problem in (PROBLEM, lopsided):
        one, two = solve(problem), primal(problem)
        np.testing.assert_allclose(one.density, two.density, atol=1e-9 * one.density.max())
        np.testing.assert_allclose(one.outputs, two.outputs, atol=1e-9)
        np.testing.assert_allclose(one.readout, two.readout, atol=1e-9)
        assert one.value == pytest.approx(two.value, abs=1e-14)
        assert 0 <= two.gap < 1e-18


def test_solution_is_a_minimum_of_the_objective_as_the_paper_writes_it(rng):
    """First derivatives vanish along random directions, and the value only rises."""
    nu, rho = POPULATION.nu, POPULATION.density
    best = objective(PROBLEM, nu, rho)
    assert best == pytest.approx(POPULATION.value, abs=1e-14)
    for _ in range(20):
        a, b = rng.standard_normal((2, 720))
        b -= rho @ b

        def along(t, a=a, b=b):
            return objective(PROBLEM, nu + t * rho * a, rho * (1 + t * b)) - best

        assert along(1e-2) > 0
        assert along(-1e-2) > 0
        assert abs(along(1e-5) - along(-1e-5)) / 2e-5 < 1e-7


def test_one_feature_is_ridge_regression():
    """One feature, one sample: ridge regression, f = y / (1 + weight_decay)."""
    found = solve(Repopulation([[1.0]], [1.0], [3.0], weight_decay=0.5, temperature=2.0))
    assert found.outputs[0] == pytest.approx(2.0, abs=1e-12)
    assert found.value == pytest.approx(0.5 + 0.25 * 4, abs=1e-12)


@pytest.mark.parametrize("weight_decay", [1e-20, 1e-3, 1.0, 1e8])
@pytest.mark.parametrize("temperature", [1e-200, 1e-12, 1e-4, 1.0, 1e8])
def test_one_feature_at_any_temperature(weight_decay, temperature):
    """Outputs of ridge regression; all fluctuation is the readout's, Sigma = temperature / decay.

    Once E (u h)^2 - (E u h)^2: 4e-5 off at a temperature of 1e-12, all of it at 1e-200.
    """
    options = {"weight_decay": weight_decay, "temperature": temperature}
    found = solve(Repopulation([[1.0]], [1.0], [3.0], **options))
    assert found.outputs[0] == pytest.approx(3 / (1 + weight_decay), rel=1e-12, abs=0)
    sigma = temperature / weight_decay
    want = sigma / (1 + 1 / weight_decay)
    assert fluctuation(found, 1)[0, 0] == pytest.approx(want, rel=1e-12, abs=0)


def test_high_temperature_is_kernel_ridge_with_the_prior():
    hot = solve(dataclasses.replace(PROBLEM, temperature=1e4))
    K = (PROBLEM.features * PROBLEM.prior) @ PROBLEM.features.T
    ridge = K @ np.linalg.solve(K + 12 * PROBLEM.weight_decay * np.eye(12), Y)
    np.testing.assert_allclose(hot.outputs, ridge, atol=1e-5)
    np.testing.assert_allclose(hot.density, PROBLEM.prior, rtol=1e-4)


def test_grid_refinement_changes_little_where_the_check_is_passed():
    _, finer = circle(PHI, Y, weight_decay=0.05, temperature=0.04, grid=2880)
    np.testing.assert_allclose(solve(finer).outputs, POPULATION.outputs, atol=2e-5)
    for grid in (6, 12, 21, 30):
        with pytest.raises(ValueError, match=f"{grid} nodes are too few for this density"):
            solve(circle(PHI, Y, weight_decay=0.05, temperature=0.04, grid=grid)[1])
    cold = {"weight_decay": 0.002, "temperature": 1e-6}  # a peak much narrower than the spacing
    with pytest.raises(ValueError, match="720 nodes are too few for this density"):
        solve(circle(PHI, Y, grid=720, **cold)[1])


@pytest.mark.parametrize(
    ("case", "weight_decay", "temperature"),
    [("two nodes hold the peak", 0.01, 1e-6), ("small outputs", 50.0, 1e-5), ("flat", 0.05, 1e3)],
)
def test_a_grid_that_is_too_coarse_is_found_out(case, weight_decay, temperature):
    """Each of these has a twin that is missed: halves of the grid, outputs alone, mass alone."""
    middle = 2 * np.pi * 12.5 / 24
    grid = 6 if case == "flat" else 24
    options = {
        "weight_decay": weight_decay,
        "temperature": temperature,
        "grid": grid,
        "quadrature": 0.2,
    }
    _, problem = circle([middle - 0.4, middle + 0.4], [1.0, 1.0], **options)
    density = solve(dataclasses.replace(problem, quadrature=None)).density
    if case != "flat":
        assert np.flatnonzero(density > 1e-3).tolist() == [12, 13]
    with pytest.raises(ValueError, match=f"{grid} nodes are too few for this density: thirds"):
        solve(problem)


# --- sampled networks


def test_repopulation_leaves_the_function(rng):
    """Mass moved between density and readout: the same f, at a price in variance."""
    q = rng.random(720) + 0.1
    q /= q.sum()
    moved = PROBLEM.features @ (q * (POPULATION.nu / q))
    np.testing.assert_allclose(moved, POPULATION.outputs, atol=1e-14)
    assert variance(PROBLEM.features, POPULATION.nu, q) > variance(
        PROBLEM.features, POPULATION.nu, POPULATION.density
    )


def test_no_density_beats_the_optimal_one(rng):
    features, nu = PROBLEM.features, POPULATION.nu
    best = optimal_density(features, nu)
    size = np.sqrt(np.mean(features**2, axis=0))
    least = (abs(nu) @ size) ** 2 - np.mean((features @ nu) ** 2)
    assert variance(features, nu, best) == pytest.approx(least, rel=1e-12)
    others = [PROBLEM.prior, POPULATION.density, best**0.99 / (best**0.99).sum()]
    for _ in range(20):
        q = best * np.exp(0.01 * rng.standard_normal(720))
        others.append(q / q.sum())
    assert min(variance(features, nu, q) for q in others) > least
    missing = np.where(BINS[best.argmax()] == BINS, 0, best)
    assert variance(features, nu, missing / missing.sum()) == math.inf


def test_variances_that_are_small_keep_their_digits():
    """Never negative: two features that differ by 1e-9 at even odds give (1e-9 / 2)^2."""
    assert variance([[3.0, 3.0]], [0.4, 0.6], [0.4, 0.6]) < 1e-30
    small = 2.0**-30
    got = variance([[1.0, 1.0 + small]], [0.5, 0.5], [0.5, 0.5])
    assert got == pytest.approx((small / 2) ** 2, rel=1e-6, abs=0)
    assert variance([[1.0, 0.0]], [1.0, 5.0], [1.0, 0.0]) == 0  # the density may miss a zero
    assert variance([[1.0, 1.0]], [1.0, 1e-200], [1 - 1e-300, 1e-300]) < 1e-99


@pytest.mark.parametrize("law", ["learnt", "prior", "optimal"])
def test_error_of_sampled_networks(law, rng):
    """E |f_m' - f|^2 = V / m' within four standard errors of 4000 networks of 7 neurons."""
    features, nu = PROBLEM.features, POPULATION.nu
    density = {"learnt": POPULATION.density, "prior": PROBLEM.prior}.get(law)
    density = optimal_density(features, nu) if density is None else density
    drawn = rng.choice(720, size=(4000, 7), p=density)
    f = np.einsum("nkm,km->kn", features[:, drawn], (nu / density)[drawn]) / 7
    error = np.mean((f - POPULATION.outputs) ** 2, axis=1)
    standard_error = error.std() / math.sqrt(4000)
    expected = variance(features, nu, density) / 7
    assert standard_error < 0.05 * expected
    assert abs(error.mean() - expected) < 4 * standard_error


# --- the neighbours: a readout that is always at its best, noisy labels, another prior


def profile(problem, rho):
    """The problem of Takakura & Suzuki 2024: the readout of kernel ridge regression, and KL."""
    kernel = sum(p * np.outer(h, h) for p, h in zip(rho, problem.features.T, strict=True))
    inverse = np.linalg.inv(kernel + problem.n * problem.weight_decay * np.eye(problem.n))
    fit = problem.weight_decay / 2 * problem.y @ inverse @ problem.y
    seen = rho > 0
    kl = np.sum(rho[seen] * np.log(rho[seen] / problem.prior[seen]))
    return fit + problem.temperature * kl


def test_readout_at_its_best_leaves_the_same_problem(lopsided):
    """The kernel's problem, minimised over logits without the dual: same density, same value."""
    seen, y = lopsided.prior > 0, lopsided.y

    def loss(logits):
        rho = np.zeros(30)
        rho[seen] = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        kernel = lopsided.kernel(rho) + 8 * 0.07 * np.eye(8)
        slope = -0.07 / 2 * (np.linalg.solve(kernel, y) @ lopsided.features[:, seen]) ** 2
        slope += 0.03 * np.log(rho[seen] / lopsided.prior[seen])
        return profile(lopsided, rho), rho[seen] * (slope - rho[seen] @ slope)

    start = np.log(lopsided.prior[seen])
    end = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-10})
    found = solve(lopsided)
    assert end.fun == pytest.approx(found.value, abs=1e-13)
    rho = np.exp(end.x) / np.exp(end.x).sum()
    np.testing.assert_allclose(rho, found.density[seen], atol=1e-7)
    assert profile(lopsided, found.density) == pytest.approx(found.value, abs=1e-14)
    assert profile(PROBLEM, POPULATION.density) == pytest.approx(POPULATION.value, abs=1e-14)


def test_outputs_are_kernel_ridge_regression_with_the_learnt_kernel(lopsided):
    for found in (solve(lopsided), POPULATION):
        n, ridge = found.problem.n, found.problem.n * found.problem.weight_decay
        smoother = found.kernel @ np.linalg.inv(found.kernel + ridge * np.eye(n))
        np.testing.assert_allclose(smoother @ found.problem.y, found.outputs, atol=1e-11)
        assert found.dof == pytest.approx(np.trace(smoother), rel=1e-12)
    prior = np.mean([np.outer(h, h) for h in PROBLEM.features.T], axis=0)
    np.testing.assert_allclose(PROBLEM.kernel(), prior, atol=1e-14)


def test_noisy_labels_cost_the_degrees_of_freedom(rng):
    """The readout sees y + noise, loss and ridge see y: s^2 dof / (2n) by 20,000 draws."""
    n, inverse = 12, np.linalg.inv(POPULATION.kernel + 12 * 0.05 * np.eye(12))
    noise = 0.7 * rng.standard_normal((20000, n))

    def cost(labels):
        u = labels @ inverse @ PROBLEM.features
        f = (u * POPULATION.density) @ PROBLEM.features.T
        return np.mean((Y - f) ** 2, axis=-1) / 2 + 0.05 / 2 * (u**2 @ POPULATION.density)

    base = cost(Y)
    assert base == pytest.approx(objective_less_kl(POPULATION), rel=1e-12)
    more = (cost(Y + noise) + cost(Y - noise)) / 2 - base
    error = more.std(ddof=1) / math.sqrt(20000)
    expected = 0.7**2 * POPULATION.dof / (2 * n)
    assert error < 0.02 * expected
    assert abs(more.mean() - expected) < 4 * error


def objective_less_kl(population):
    rho, prior = population.density, population.problem.prior
    return population.value - population.problem.temperature * np.sum(rho * np.log(rho / prior))


def test_noisy_labels_tilt_the_prior(rng):
    """Where the tilt is its own, the density is stationary for the problem with noisy labels."""
    n, noise = 12, 1.0

    def penalty(rho):
        kernel = PROBLEM.kernel(rho)
        return noise**2 / (2 * n) * np.trace(kernel @ np.linalg.inv(kernel + n * 0.05 * np.eye(n)))

    found = POPULATION
    for _ in range(40):
        inverse = np.linalg.inv(found.kernel + n * 0.05 * np.eye(n))
        tilt = -(noise**2) * 0.05 / (2 * 0.04) * np.sum((inverse @ PROBLEM.features) ** 2, axis=0)
        prior = PROBLEM.prior * np.exp(tilt)
        found = solve(dataclasses.replace(PROBLEM, prior=prior / prior.sum()))
    assert found.dof < POPULATION.dof - 0.08
    for _ in range(10):
        off = rng.standard_normal(720)
        off -= found.density @ off

        def along(t, off=off):
            rho = found.density * (1 + t * off)
            return profile(PROBLEM, rho) + penalty(rho)

        slope = (along(1e-5) - along(-1e-5)) / 2e-5
        assert abs(slope) < 1e-7


def test_a_source_as_prior(lopsided):
    """KL to the source's population: its density times the new target's; hot, its fixed kernel."""
    source, y = solve(lopsided), np.cos(np.arange(8.0))
    moved = solve(dataclasses.replace(lopsided, prior=source.density, y=y))
    tilt = np.exp(moved.readout**2 * 0.07 / (2 * 0.03))
    expected = source.density * tilt / (source.density @ tilt)
    np.testing.assert_allclose(moved.density, expected, atol=1e-12)
    assert moved.density[3] == 0  # what the source may not have, the target can't
    hot = solve(dataclasses.replace(lopsided, prior=source.density, y=y, temperature=1e6))
    ridge = 8 * 0.07 * np.eye(8)
    fixed = source.kernel @ np.linalg.solve(source.kernel + ridge, y)
    np.testing.assert_allclose(hot.outputs, fixed, atol=1e-6)
    assert np.linalg.norm(hot.outputs - moved.outputs) > 0.05


def test_alignment_of_a_readout_at_its_best():
    """Half of the neurons' kernel at the start is the prior's: alignments by the flat cosines."""
    run = fast_readout(PHI, PROBLEM, 200_000, [0.0], np.random.default_rng(0))
    K, out = PROBLEM.kernel(), np.eye(12) - 1 / 12
    for kind, H in (("uncentred", np.eye(12)), ("centred", out)):
        flat, labels = (H @ K @ H).ravel(), np.outer(H @ Y, H @ Y).ravel()
        cosine = flat @ labels / np.linalg.norm(flat) / np.linalg.norm(labels)
        assert run[kind][0] == pytest.approx(cosine, abs=3e-3)
    assert run["centred"][0] != pytest.approx(run["uncentred"][0], abs=0.02)


def test_descent_with_the_readout_at_its_best_lowers_its_objective(rng):
    """A step without noise goes down the objective's gradient in the angles, by differences."""
    quiet = dataclasses.replace(PROBLEM, temperature=1e-30)
    ridge = 12 * 0.05 * np.eye(12)

    def objective(turn):
        psi = np.maximum(np.cos(turn - PHI[:, None]), 0)
        return 0.05 / 2 * Y @ np.linalg.solve(psi @ psi.T / len(turn) + ridge, Y)

    start = np.random.default_rng(3).uniform(0, 2 * np.pi, 4)
    slope = approx_fprime(start, objective, 1e-7)
    after = start - 0.01 * 4 * slope  # m: a neuron's share of the objective is 1/m
    psi = np.maximum(np.cos(after - PHI[:, None]), 0)
    K = psi @ psi.T / 4
    run = fast_readout(PHI, quiet, 4, [0.0, 0.01], np.random.default_rng(3), dt=0.01)
    assert run["uncentred"][1] == pytest.approx(Y @ K @ Y / np.linalg.norm(K) / (Y @ Y), rel=1e-6)
    assert abs(run["uncentred"][1] - run["uncentred"][0]) > 1e-5


def test_bad_density_of_a_kernel():
    with pytest.raises(ValueError, match="density must be finite and >= 0"):
        PROBLEM.kernel(-PROBLEM.prior)


# --- the network


@pytest.fixture(scope="module")
def networks():
    """120 networks of 300 neurons at stationarity, 8 times each: angles, readouts, outputs."""
    rng = np.random.default_rng(11)
    node = rng.choice(720, size=(120, M), p=POPULATION.density)  # a start near the end
    W = np.stack([np.cos(THETA[node]), np.sin(THETA[node])], axis=-1)
    u = POPULATION.readout[node] + math.sqrt(0.04 / 0.05) * rng.standard_normal((120, M))
    options = {"dt": 0.5, "weight_decay": 0.05, "temperature": 0.04, "rng": rng}
    W, u = run(W, u, X, Y, steps=480, record=range(200, 481, 40), **options)
    f = (np.maximum(X @ W.swapaxes(-1, -2), 0) @ u[..., None])[..., 0] / M
    return np.arctan2(W[..., 1], W[..., 0]) % (2 * np.pi), u, f


def over_seeds(value):
    """Mean and standard error of (times, seeds, ...): only seeds are independent."""
    value = value.mean(0)
    return value.mean(0), value.std(0, ddof=1) / math.sqrt(len(value))


def test_network_falls_on_the_density_of_the_convex_problem(networks):
    angle, _, f = networks
    share, _ = histogram(POPULATION, M, BINS)
    node = np.round(angle / (2 * np.pi) * 720).astype(int) % 720
    counts = np.stack([(BINS[node] == b).mean(-1) for b in range(12)], axis=-1)
    mean, error = over_seeds(counts)
    assert error.max() < 0.003
    assert share.max() > 1.6 * share.min()  # it tells learnt from prior
    assert np.all(abs(mean - share) < 4 * error + 1 / M * share)
    mean, error = over_seeds(f)
    assert np.all(abs(mean - POPULATION.outputs) < 4 * error + 0.5 / M)


def test_readout_given_the_feature_is_gaussian_about_the_mean(networks):
    angle, u, _ = networks
    off = u - np.interp(angle, THETA, POPULATION.readout, period=2 * np.pi)
    mean, error = over_seeds(off.mean(-1))
    assert abs(mean) < 4 * error + 1 / M
    mean, error = over_seeds((off**2).mean(-1))
    assert abs(mean - 0.8) < 4 * error + 1 / M
    assert error < 0.01


def test_fluctuation_of_the_outputs(networks):
    """Each variance, the mean square, and the largest covariances; leading order in 1/m."""
    _, _, f = networks
    off = f - POPULATION.outputs
    predicted = fluctuation(POPULATION, M)
    square, error = over_seeds((off**2).mean(-1))
    assert error < 0.05 * square
    assert abs(square - np.trace(predicted) / 12) < 4 * error + square / M
    products = np.einsum("tka,tkb->tkab", off, off)
    mean, error = over_seeds(products)
    assert np.all(abs(mean - predicted) < 4.5 * error)
    free = fluctuation_of_independent(POPULATION)
    assert np.trace(free) / 12 > square + 8 * over_seeds((off**2).mean(-1))[1]


def fluctuation_of_independent(population):
    """Sigma / m from the definition, u given w written out by two points of equal moments."""
    spread = math.sqrt(0.04 / 0.05)
    both = [(population.readout + s * spread) * PROBLEM.features for s in (-1, 1)]
    mean = sum(g @ population.density for g in both) / 2
    second = sum((g * population.density) @ g.T for g in both) / 2
    return (second - np.outer(mean, mean)) / M


def test_fluctuation_adds_precisions():
    precision = np.linalg.inv(fluctuation_of_independent(POPULATION)) + M * np.eye(12) / (12 * 0.04)
    np.testing.assert_allclose(
        fluctuation(POPULATION, M), np.linalg.inv(precision), rtol=1e-6, atol=1e-9
    )


def test_deviation_of_the_histogram(networks):
    angle, _, _ = networks
    node = np.round(angle / (2 * np.pi) * 720).astype(int) % 720
    coarse = BINS // 3  # four bins: each holds many neurons that pull alike
    counts = np.stack([(coarse[node] == b).mean(-1) for b in range(4)], axis=-1)
    share, deviation = histogram(POPULATION, M, coarse)
    square, error = over_seeds((counts - share) ** 2)
    assert np.all(abs(square - deviation**2) < 4 * error + square / M)
    _, free = histogram(POPULATION, M, coarse, interacting=False)
    np.testing.assert_allclose(free, np.sqrt(share * (1 - share) / M))
    assert np.any(free**2 > square + 4 * error)


def test_deviation_of_the_histogram_with_frozen_groups(rng):
    """No group and every bin a group are known; two groups against a Gaussian law's regression."""
    share, deviation = histogram(POPULATION, M, BINS)
    count = len(share)
    _, free = histogram(POPULATION, M, BINS, interacting=False)
    for group, want in ((np.zeros(count, int), deviation), (np.arange(count), free)):
        _, found = histogram(POPULATION, M, BINS, frozen=group)
        np.testing.assert_allclose(found, want, rtol=1e-5)
    group = (np.arange(count) >= count // 2).astype(int)
    both = np.diag(deviation**2)  # covariances of bins, from variances of unions of two
    for i, j in zip(*np.tril_indices(count, -1), strict=True):
        union = histogram(POPULATION, M, np.where(i == BINS, j, BINS))[1][j] ** 2
        both[i, j] = both[j, i] = (union - deviation[i] ** 2 - deviation[j] ** 2) / 2
    slope = both[:, group == 0].sum(1) / both[group == 0][:, group == 0].sum()
    mass = share[group == 0].sum()
    extra = mass * (1 - mass) / M - both[group == 0][:, group == 0].sum()
    _, found = histogram(POPULATION, M, BINS, frozen=group)
    np.testing.assert_allclose(found**2, deviation**2 + slope**2 * extra, rtol=1e-6)


def test_a_step_without_noise_follows_the_gradient(rng):
    """Both losses against torch's gradient; the neuron moves along its great circle."""
    x = rng.standard_normal((9, 3))
    cases = [("squared", (5,), rng.standard_normal(9)), ("squared", (5, 2), rng.random((9, 2)))]
    cases.append(("cross-entropy", (5, 4), rng.integers(4, size=9)))
    for loss, shape, y in cases:
        W = torch.tensor(sphere((5, 3), rng)).requires_grad_()
        u = torch.tensor(rng.standard_normal(shape)).requires_grad_()
        f = (torch.tensor(x) @ W.T).relu() @ u / 5
        if loss == "squared":
            value = (f - torch.tensor(y)).square().sum() / 18
        else:
            value = torch.nn.functional.cross_entropy(f, torch.tensor(y))
        (value + 0.3 * u.square().sum() / 10).backward()
        move = -0.2 * 5 * (W.grad - (W.grad * W).sum(1, keepdim=True) * W)
        size = move.norm(dim=1, keepdim=True)
        expected = W * size.cos() + move * size.sin() / size
        options = {"steps": 1, "dt": 0.2, "weight_decay": 0.3, "temperature": 0.0, "loss": loss}
        start = W.detach().numpy(), u.detach().numpy()
        W1, u1 = run(*start, x, y, rng=rng, **options)
        np.testing.assert_allclose(W1, expected.detach(), rtol=1e-12, atol=1e-14)
        want = (u - 0.2 * 5 * u.grad).detach()
        np.testing.assert_allclose(u1, want, rtol=1e-12, atol=1e-14)
        pair = [np.stack([v, -v]) for v in start]
        W2, u2 = run(*pair, x, y, rng=rng, **options)
        np.testing.assert_allclose(W2[0], W1, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(u2[0], u1, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("d", "averaged"), [(2, True), (2, False), (4, True), (4, False)])
def test_free_neurons_diffuse_on_the_sphere(d, averaged, rng):
    """Without data E w_t.w_0 = exp(-(d - 1) temperature t), of noise for half a step less."""
    W, steps, dt = sphere((40000, d), rng), 40, 0.05
    options = {"dt": dt, "weight_decay": 0.0, "temperature": 0.3, "rng": rng, "averaged": averaged}
    end, _ = run(W, np.zeros(40000), np.zeros((1, d)), [0.0], steps=steps, **options)
    overlap = (end * W).sum(1)
    time = dt * (steps - averaged / 2)
    standard_error = overlap.std() / 200
    assert abs(overlap.mean() - math.exp(-(d - 1) * 0.3 * time)) < 4 * standard_error
    np.testing.assert_allclose(np.linalg.norm(end, axis=1), 1, atol=1e-12)


def test_averaged_noise_has_no_bias_where_plain_noise_has_a_third(rng):
    """The readout without data: a variance 1/(1 - weight_decay dt/2) times too large, here 4/3."""
    W, zero = sphere((40000, 2), rng), np.zeros(40000)
    options = {"steps": 60, "dt": 1.0, "weight_decay": 0.5, "temperature": 0.2, "rng": rng}
    for averaged, factor in ((True, 1.0), (False, 4 / 3)):
        _, u = run(W, zero, np.zeros((1, 2)), [0.0], averaged=averaged, **options)
        assert float(u.var()) == pytest.approx(0.4 * factor, rel=4 * math.sqrt(2 / 40000))


def test_averaged_noise_lessens_the_bias_of_the_density(rng):
    """Large steps: the share of each bin over 60,000 neurons against the convex problem."""
    share, _ = histogram(POPULATION, M, BINS)
    node = rng.choice(720, size=15000, p=POPULATION.density)
    W = np.stack([np.cos(THETA[node]), np.sin(THETA[node])], axis=-1)
    off = {}
    options = {"dt": 2.0, "weight_decay": 0.05, "temperature": 0.04, "rng": rng}
    for averaged in (True, False):
        options |= {"averaged": averaged, "record": range(30, 121, 10)}
        W1, _ = run(W, POPULATION.readout[node], X, Y, steps=120, **options)
        nodes = np.round(np.arctan2(W1[..., 1], W1[..., 0]) / (2 * np.pi) * 720).astype(int) % 720
        off[averaged] = abs(np.bincount(BINS[nodes].ravel()) / nodes.size - share).sum() / 2
    assert off[True] < 0.5 * off[False]


def test_same_generator_same_network():
    options = {"steps": 30, "dt": 0.5, "weight_decay": 0.05, "temperature": 0.1}

    def once():
        rng = np.random.default_rng(3)
        return run(sphere((20, 2), rng), np.zeros(20), X, Y, rng=rng, **options)

    one, two = once(), once()
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


# --- arguments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.ones(3)}, r"features has shape \(3,\)"),
        ({"features": np.ones((0, 3))}, r"features has shape \(0, 3\)"),
        ({"features": [[1.0, np.nan]]}, "features must be finite"),
        ({"prior": [1.0]}, r"prior has shape \(1,\); it must be \(2,\)"),
        ({"prior": [1.5, -0.5]}, "prior must be finite and >= 0"),
        ({"prior": [0.5, 0.6]}, "prior sums to 1.1"),
        ({"y": [1.0, 2.0]}, r"y has shape \(2,\); it must be \(1,\)"),
        ({"weight_decay": 0.0}, "weight_decay=0.0 must be finite and > 0"),
        ({"temperature": -1.0}, "temperature=-1.0 must be finite and > 0"),
        ({"quadrature": 0.0}, "quadrature=0.0 must be finite and > 0"),
    ],
)
def test_bad_problems(changes, message):
    good = {
        "features": [[1.0, 2.0]],
        "prior": [0.5, 0.5],
        "y": [1.0],
        "weight_decay": 1.0,
        "temperature": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        Repopulation(**good | changes)


def test_bad_arguments_of_the_theory():
    calls = [
        (lambda: circle([[0.0]], [1.0], weight_decay=1, temperature=1), r"phi has shape \(1, 1\)"),
        (
            lambda: circle([0.0], [1.0], weight_decay=1, temperature=1, grid=7),
            "grid=7 must be a multiple of three",
        ),
        (
            lambda: circle([0.0], [1.0], weight_decay=1, temperature=1, grid=0),
            "grid=0 must be a positive integer",
        ),
        (lambda: dual(PROBLEM, [1.0]), r"p has shape \(1,\); it must be \(12,\)"),
        (lambda: primal(PROBLEM, steps=0), "steps=0 must be a positive integer"),
        (lambda: variance([[1.0]], [1.0, 2.0], [1.0]), r"nu has shape \(2,\)"),
        (lambda: variance([[1.0]], [1.0], [0.5]), "density sums to 0.5"),
        (
            lambda: variance([[1.0, 1.0]], [1.0, 1.0], [1.5, -0.5]),
            "density sums to 1; it must be >= 0",
        ),
        (lambda: variance([1.0], [1.0], [1.0]), r"features has shape \(1,\)"),
        (lambda: optimal_density([[1.0, 0.0]], [0.0, 1.0]), "no density is best"),
        (lambda: fluctuation(POPULATION, 0), "m=0 must be a positive integer"),
        (lambda: histogram(POPULATION, 5, [0, 1]), r"bins has shape \(2,\)"),
        (lambda: histogram(POPULATION, 5, np.full(720, -1)), "must hold integers >= 0"),
        (lambda: histogram(POPULATION, 5, np.full(720, 0.5)), "must hold integers >= 0"),
        (lambda: histogram(POPULATION, 5, BINS, frozen=[0]), "must hold a group for each"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="must be a Repopulation"):
        solve("circle")


def test_unfinished_solutions_warn(monkeypatch):
    with pytest.warns(ConvergenceWarning, match="the gap of the solution is"):
        primal(PROBLEM, steps=1)
    monkeypatch.setattr("twolayer.theory.repopulation._NEWTON", 0)
    hard = dataclasses.replace(PROBLEM, weight_decay=1e-5, temperature=1e-4, quadrature=None)
    with pytest.warns(ConvergenceWarning, match="the gap of the solution is"):
        solve(hard)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"W": np.ones((3, 2))}, ValueError, "W has a row of length 1.41421"),
        ({"x": np.ones((4, 3))}, ValueError, r"x has shape \(4, 3\); it must be \(.*n, 2\)"),
        ({"y": np.ones(5)}, ValueError, "x has 4 rows and y has 5"),
        ({"u": np.zeros((3, 2)), "y": np.ones((4, 3))}, ValueError, r"it must be \(4, 2\)"),
        ({"steps": 0}, ValueError, "steps=0"),
        ({"dt": 0.0}, ValueError, "dt=0.0 must be finite and > 0"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay=-1.0 must be finite and >= 0"),
        ({"temperature": -0.1}, ValueError, "temperature=-0.1 must be finite and >= 0"),
        ({"rng": 0}, TypeError, "rng=0 must be a numpy.random.Generator"),
        ({"loss": "hinge"}, ValueError, "loss='hinge' is unknown"),
        ({"loss": "cross-entropy"}, ValueError, "must have a last axis of outputs"),
        (
            {"loss": "cross-entropy", "u": np.zeros((3, 2)), "y": [0, 1, 2, 0]},
            ValueError,
            "y must hold classes 0..1",
        ),
    ],
)
def test_bad_arguments_of_langevin(changes, error, message, rng):
    good = {"W": np.eye(2)[[0, 1, 0]], "u": np.zeros(3), "x": np.ones((4, 2)), "y": np.ones(4)}
    good |= {"steps": 1, "dt": 0.1, "weight_decay": 0.1, "temperature": 0.1, "rng": rng}
    with pytest.raises(error, match=message):
        run(**good | changes)


def test_divergence_is_named(rng):
    options = {"steps": 2000, "dt": 50.0, "weight_decay": 0.1, "temperature": 0.0, "rng": rng}
    with pytest.raises(ValueError, match=r"not finite after step \d+; dt=50.0 is too large"):
        run(sphere((20, 2), rng), np.ones(20), 100 * X, Y, **options)
