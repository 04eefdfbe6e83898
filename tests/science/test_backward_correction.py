"""Two levels: closed forms against quadrature, fits on samples, networks against fits."""

import itertools
import math
import warnings

import numpy as np
import pytest

from twolayer.simulation import backward_correction as simulation
from twolayer.simulation.backward_correction import modes, run, sample, train
from twolayer.theory import backward_correction as theory
from twolayer.theory.backward_correction import (
    TwoLevels,
    alpha_hat,
    contraction,
    lower_error,
    mode_variances,
    parabola,
    refits,
)

ROOT2 = math.sqrt(2)
SPECTRUM = np.linspace(1, -0.4, 10)
SMALL = np.array([0.8, 0.5, -0.33166247903554])  # of norm one


class Quadrature:
    """Gauss-Hermite points and weights in three dimensions: exact to degree 23 in each."""

    z, w = np.polynomial.hermite_e.hermegauss(12)
    x = np.array(list(itertools.product(z, repeat=3)))
    weights = np.prod(list(itertools.product(w / w.sum(), repeat=3)), axis=1)
    Y = modes(x)
    p = Y[:, :3] @ SMALL

    @classmethod
    def mean(cls, values):
        return cls.weights @ values

    @classmethod
    def gram(cls, left, right):
        return left.T @ (cls.weights[:, None] * right)

    @classmethod
    def fit(cls, features, target):
        """Least squares with infinitely many samples."""
        return np.linalg.solve(cls.gram(features, features), features.T @ (cls.weights * target))

    @classmethod
    def labels(cls, alpha):
        return cls.p + alpha * (cls.p**2 - 1)

    @classmethod
    def upper(cls, alpha, learnt):
        h = cls.Y @ learnt
        features = np.column_stack([h**2, np.ones(len(h))])
        return cls.fit(features, cls.labels(alpha) - h)

    @classmethod
    def refit(cls, alpha, learnt, step=1.0):
        hat, constant = cls.upper(alpha, learnt)
        rest = cls.labels(alpha) - hat * (cls.Y @ learnt) ** 2 - constant
        return (1 - step) * learnt + step * cls.fit(cls.Y, rest)


TRUTH = np.concatenate([SMALL, np.zeros(3)])


def test_modes_are_orthonormal():
    np.testing.assert_allclose(Quadrature.gram(Quadrature.Y, Quadrature.Y), np.eye(6), atol=1e-12)
    assert Quadrature.mean(Quadrature.p**2) == pytest.approx(1)


@pytest.mark.parametrize("alpha", [0.3, -0.7])
def test_layerwise_training_bends_the_eigenvalues(alpha):
    learnt = Quadrature.fit(Quadrature.Y, Quadrature.labels(alpha))
    np.testing.assert_allclose(learnt[:3], parabola(SMALL, alpha))
    np.testing.assert_allclose(learnt[3:], 0, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.3, -0.7])
def test_the_upper_level_alone(alpha):
    learnt = np.array([0.9, -0.2, 0.4, 0, 0, 0])
    hat = Quadrature.upper(alpha, learnt)[0]
    assert alpha_hat(SMALL, alpha, learnt[:3]) == pytest.approx(hat)
    assert alpha_hat(SMALL, alpha, SMALL) == pytest.approx(alpha)


@pytest.mark.parametrize(("alpha", "step"), [(0.15, 1.0), (0.6, 1.0), (0.6, 0.4)])
def test_refits_with_infinitely_many_samples(alpha, step):
    learnt = Quadrature.fit(Quadrature.Y, Quadrature.labels(alpha))
    for row in refits(SMALL, alpha, 5, step=step):
        np.testing.assert_allclose(learnt[:3], row, rtol=1e-9)
        learnt = Quadrature.refit(alpha, learnt, step)


@pytest.mark.parametrize(("alpha", "step"), [(0.15, 1.0), (-0.6, 1.0), (0.6, 0.4), (0.0, 1.0)])
def test_contraction_by_finite_differences(alpha, step):
    """In all directions, off the diagonal too."""
    size, columns = 1e-5, []
    for one in np.eye(6):
        there, back = (Quadrature.refit(alpha, TRUTH + s * size * one, step) for s in (1, -1))
        columns.append((there - back) / (2 * size))
    radius = abs(np.linalg.eigvals(np.array(columns))).max()
    assert contraction(SMALL, alpha, step=step) == pytest.approx(radius, rel=1e-5)


def test_a_cubic_on_top():
    """What explaining away does near the truth if the upper level is odd (an exercise)."""
    A, diagonal = np.diag(SMALL), np.diag_indices(3)
    for one in np.eye(6):
        D = np.diag(one[:3])
        D[np.triu_indices(3, 1)] = one[3:] / ROOT2
        D = D if one[:3].any() else D + D.T
        part = 12 * (A @ A @ D + A @ D @ A + D @ A @ A) + 6 * np.trace(A @ D) * A
        learnt = Quadrature.fit(Quadrature.Y, 3 * (Quadrature.p**2 - 1) * (Quadrature.Y @ one))
        np.testing.assert_allclose(learnt[:3], part[diagonal], atol=1e-9)
        rates = 36 * np.diag(SMALL**2) + 6 * np.outer(SMALL, SMALL)
        np.testing.assert_allclose(learnt[:3], rates @ one[:3], atol=1e-9)
        np.testing.assert_allclose(learnt[3:], ROOT2 * part[np.triu_indices(3, 1)], atol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.3, -0.5])
def test_variances_from_all_modes_at_once(alpha):
    """Without symmetry: covariance of estimating equations in all N + 2 unknowns."""
    ones, p, Y = np.ones(len(Quadrature.p)), Quadrature.p, Quadrature.Y
    gradient = np.column_stack([(1 + 2 * alpha * p)[:, None] * Y, p**2, ones])
    asked = np.column_stack([Y, p**2, ones])
    for how, equations in (("joint", gradient), ("explaining", asked)):
        J = np.linalg.inv(Quadrature.gram(equations, gradient))
        variances = np.diag(J @ Quadrature.gram(equations, equations) @ J.T)
        found = mode_variances(SMALL, alpha, how)
        np.testing.assert_allclose(np.diag(found), variances[:3])
        np.testing.assert_allclose(found[np.triu_indices(3, 1)], variances[3:6])
        np.testing.assert_array_equal(found, found.T)


def test_simple_forms():
    """Off the diagonal explaining away has (1 + 2 sqrt2 alpha (lambda_i + lambda_j))^-2."""
    values, alpha = SPECTRUM / np.linalg.norm(SPECTRUM), 0.3
    total = values[:, None] + values
    off = ~np.eye(10, dtype=bool)
    found = mode_variances(values, alpha, "explaining")
    np.testing.assert_allclose(found[off], (1 + 2 * ROOT2 * alpha * total[off]) ** -2)
    # many small eigenvalues: the joint fit gains 1 + 4 alpha^2
    many = np.tile([1.0, -1.0], 200)
    mean = np.triu(mode_variances(many, alpha, "joint")).sum() / (400 * 401 / 2)
    assert mean == pytest.approx(1 / (1 + 4 * alpha**2), rel=0.01)


# --- finite samples


def test_few_samples_bend_by_quadrature():
    """Of misspecified least squares: variance, and bias times bias, weighted by leverages."""
    alpha, Y = 0.3, Quadrature.Y
    bend = np.concatenate([2 * ROOT2 * alpha * SMALL**2, np.zeros(3)])
    rest = alpha * (Quadrature.p**2 - 1) - Y @ bend
    leverage = np.sum(Y**2, axis=1)
    scatter = Quadrature.mean(rest**2 * leverage - 2 * (Y @ bend) * rest * leverage)
    assert theory._bent(SMALL, alpha) == pytest.approx((bend @ bend, scatter))


def test_few_samples_bend():
    """And fits on samples. The next order falls slowly: a tenth at these n."""
    n, alpha, levels = 6400, 0.3, TwoLevels(np.linspace(1, -0.4, 8), 0.3)
    truth = np.array(levels.eigenvalues)
    bend = 2 * ROOT2 * alpha * truth**2
    _, scatter = theory._bent(truth, alpha)
    found = []
    for seed in range(300):
        x, y = sample(levels, n, np.random.default_rng(seed))
        features = np.column_stack([modes(x), np.ones(n)])
        rest = y - features[:, :8] @ (truth + bend)
        moved = np.linalg.solve(features.T @ features, features.T @ rest)[:-1]
        first = features[:, :8].T @ rest / n  # of mean zero
        found.append(n * (moved @ moved + 2 * bend @ (moved[:8] - first)))
    error = np.std(found) / len(found) ** 0.5
    assert np.mean(found) == pytest.approx(0.9 * scatter, abs=3 * error + 0.1 * scatter)
    assert 3 * error + 0.1 * scatter < 0.3 * scatter


@pytest.mark.parametrize(
    ("d", "n", "alpha", "slack"),
    [
        (10, 600, 0.0, 0.25),
        (10, 600, 0.2, 0.25),
        (10, 2400, 0.2, 0.2),
        (20, 4000, 0.0, 0.1),
        (20, 4000, 0.3, 0.1),
    ],
)
def test_leverages(d, n, alpha, slack):
    """Inverse Gram matrices of samples, against those of infinitely many."""
    spectrum = np.linspace(1, -0.4, d)
    levels = TwoLevels(spectrum, alpha)
    found = {"joint": [], "explaining": []}
    for seed in range(16):
        x, _ = sample(levels, n, np.random.default_rng(seed))
        Y = modes(x)
        p = Y[:, :d] @ levels.eigenvalues
        rest = [p**2, np.ones(n)]
        gradient = np.column_stack([(1 + 2 * alpha * p)[:, None] * Y, *rest])
        for how, asked in (("joint", gradient), ("explaining", np.column_stack([Y, *rest]))):
            J = np.linalg.inv(asked.T @ gradient)
            found[how].append(n * np.trace((J @ asked.T @ asked @ J.T)[:-2, :-2]))
    for how, traces in found.items():
        first = np.triu(mode_variances(spectrum, alpha, how)).sum()
        want = first * theory._inflation(np.array(levels.eigenvalues), alpha, n, how)
        error = np.std(traces, ddof=1) / 16**0.5
        near = 3.5 * error + slack * (want - first)
        assert np.mean(traces) == pytest.approx(want, abs=near)
        assert want > first * (1 + levels.modes / n)


def measured(levels, n, how, seeds, **more):
    runs = [run(levels, n, how, np.random.default_rng(100 + s), **more) for s in range(seeds)]
    errors = np.array([found["lower_error"] for found in runs])
    return errors.mean(), errors.std(ddof=1) / seeds**0.5


@pytest.mark.parametrize(
    ("d", "n", "alpha", "noise", "how", "step"),
    [
        (10, 1500, 0.3, 0.3, "layerwise", 1.0),
        (20, 4000, 0.3, 0.3, "layerwise", 1.0),
        (10, 1500, 0.0, 0.3, "layerwise", 1.0),
        (10, 1500, 0.0, 0.3, "explaining", 1.0),
        (10, 1500, 0.15, 0.3, "explaining", 1.0),
        (10, 2000, 0.3, 0.3, "explaining", 0.5),
        (10, 6000, 0.3, 1.0, "explaining", 0.5),
        (20, 4000, 0.3, 0.3, "explaining", 0.5),
        (10, 1500, -0.15, 0.3, "explaining", 0.5),
        (10, 1500, 0.0, 0.3, "joint", 1.0),
        (10, 2000, 0.3, 0.3, "joint", 1.0),
        (10, 6000, 0.3, 1.0, "joint", 1.0),
        (10, 6000, -0.6, 0.3, "joint", 1.0),
        (20, 4000, 0.3, 0.3, "joint", 1.0),
    ],
)
def test_errors_of_fits(d, n, alpha, noise, how, step):
    levels = TwoLevels(np.linspace(1, -0.4, d), alpha, noise)
    got, error = measured(levels, n, how, 40 if d == 10 else 16, step=step)
    want = lower_error(levels.eigenvalues, alpha, n, noise, how, step=step)
    assert got == pytest.approx(want, abs=3.5 * error + 0.03 * want)
    assert 3.5 * error + 0.03 * want < 0.3 * want


def test_past_the_threshold_full_refits_cycle():
    levels = TwoLevels(SPECTRUM, 0.6, 0.1)
    want = lower_error(SPECTRUM, 0.6, 40_000, 0.1, "explaining")
    assert contraction(SPECTRUM, 0.6) > 1
    for seed in range(3):
        path = run(levels, 40_000, "explaining", np.random.default_rng(seed), rounds=60)["path"]
        assert path[-1] == pytest.approx(path[-3], rel=1e-3)
        assert abs(path[-1] - path[-2]) > 1e-4
        assert np.mean(path[-2:]) == pytest.approx(want, rel=0.15)


def test_half_refits_contract_further():
    """Their limit is the most negative eigenvalue: 1 + 4 sqrt2 alpha lambda_min > 0."""
    assert contraction(SPECTRUM, 0.6, step=0.5) < 1
    levels = TwoLevels(SPECTRUM, 0.6)
    found = run(levels, 20_000, "explaining", np.random.default_rng(0), rounds=400, step=0.3)
    assert found["lower_error"] < 1e-6
    positive = np.linspace(1, 0.2, 10)
    assert contraction(positive, 2.0, step=0.05) < 1 < contraction(positive, 2.0)
    assert contraction(-positive, 2.0, step=0.05) > 1


def test_contraction_on_samples():
    levels = TwoLevels(SPECTRUM, 0.3)
    found = run(levels, 40_000, "explaining", np.random.default_rng(0), rounds=200, step=0.5)
    late = found["path"][20:40]
    assert late[-1] < 1e-6
    assert found["contraction"] == pytest.approx((late[-1] / late[0]) ** (1 / 38), rel=0.03)
    few = [
        run(levels, 1500, "explaining", np.random.default_rng(s), rounds=0)["contraction"]
        for s in range(8)
    ]
    assert np.mean(few) > contraction(SPECTRUM, 0.3) + 0.05


def test_without_noise():
    levels = TwoLevels(SPECTRUM, 0.2)
    assert lower_error(SPECTRUM, 0.2, 400, 0.0, "joint") == 0
    assert lower_error(SPECTRUM, 0.2, 400, 0.0, "explaining") == 0
    for how, most in (("joint", 1e-20), ("explaining", 1e-12)):
        found = run(levels, 800, how, np.random.default_rng(0), rounds=300, step=0.5)
        assert found["lower_error"] < most
        assert found["alpha"] == pytest.approx(0.2, abs=1e-6)
        np.testing.assert_allclose(found["eigenvalues"], levels.eigenvalues, atol=1e-6)
    found = run(TwoLevels(SPECTRUM, 0.0), 400, "layerwise", np.random.default_rng(0))
    assert found["lower_error"] < 1e-20


def test_starts():
    """From a random matrix the joint fit finds the same at weak upper levels, not at strong."""
    levels = TwoLevels(SPECTRUM, 0.2, 0.3)
    for how in ("joint", "explaining"):
        first, second = (
            run(levels, 1500, how, np.random.default_rng(0), start=start, rounds=300, step=0.5)
            for start in ("layerwise", "random")
        )
        np.testing.assert_allclose(first["matrix"], second["matrix"], atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ends = [
            run(TwoLevels(SPECTRUM, 1.0), 1500, "joint", np.random.default_rng(s), start=start)
            for start in ("layerwise", "random")
            for s in range(8)
        ]
    far = np.array([found["lower_error"] > 1e-3 for found in ends]).reshape(2, 8).sum(axis=1)
    assert far[0] == 0 < far[1]


# --- networks


def test_gradient_by_finite_differences():
    levels = TwoLevels(SMALL, 0.3, 0.1)
    rng = np.random.default_rng(0)
    x, y = sample(levels, 50, rng)
    network = simulation._Network(modes(x), y, levels, 6, rng)
    network.state = rng.standard_normal(len(network.state)) / 2
    state = network.state.copy()

    def rest(W, upper, way):
        """Residual with neurons one by one."""
        W = W.reshape(6, 3)
        h = ((x @ W.T) ** 2 - np.sum(W**2, axis=1)) @ network.signs / ROOT2
        alpha, constant = upper
        return h + (0 if way == "own" else alpha * h**2 + constant) - y, h

    for way in ("own", "joint"):
        want = []
        for one in np.eye(len(state)):
            pair = [state + sign * 1e-5 * one for sign in (1, -1)]
            losses = [np.mean(rest(s[:-2], s[-2:], way)[0] ** 2) / 2 for s in pair]
            want.append((losses[0] - losses[1]) / 2e-5)
        np.testing.assert_allclose(network.gradient(way), want, atol=1e-7)
    # stopped: the slope of h alone, times the whole residual
    r, stopped = rest(state[:-2], state[-2:], "joint")[0], []
    for one in np.eye(len(state))[:-2]:
        there, back = (rest((state + s * 1e-5 * one)[:-2], (0, 0), "own")[1] for s in (1, -1))
        stopped.append(np.mean(r * (there - back) / 2e-5))
    np.testing.assert_allclose(network.gradient("stopped")[:-2], stopped, atol=1e-7)
    np.testing.assert_array_equal(network.gradient("stopped")[-2:], network.gradient("joint")[-2:])
    np.testing.assert_array_equal(network.gradient("upper")[:-2], 0)


@pytest.mark.parametrize("alpha", [0.3, 0.5])
def test_network_ends_where_the_fits_end(alpha):
    """On the same samples: three stages by Adam, against least squares."""
    levels = TwoLevels(np.linspace(1, -0.4, 8), alpha, 0.3)
    found = train(levels, 1200, np.random.default_rng(3), steps=1500)
    fits = [
        run(levels, 1200, how, np.random.default_rng(3), rounds=400, step=0.3)
        for how in ("layerwise", "explaining", "joint")
    ]
    for row, hat, fit in zip(found["eigenvalues"], found["alpha"], fits, strict=True):
        np.testing.assert_allclose(row, fit["eigenvalues"], atol=5e-3)
        assert hat == pytest.approx(float(fit["alpha"]), abs=5e-3)
    np.testing.assert_allclose(found["layerwise"], fits[0]["eigenvalues"], atol=5e-3)
    assert np.ptp(found["upper"]) == 0
    assert found["stopped"][-1] < 0.1 * found["own"][-1]


def test_the_same_again():
    levels = TwoLevels(SMALL, 0.3, 0.1)
    for once in (
        lambda: run(levels, 60, "explaining", np.random.default_rng(1)),
        lambda: train(levels, 60, np.random.default_rng(1), steps=20),
    ):
        first, second = once(), once()
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[key], second[key]) for key in first)


# --- bad input, and the edges of good


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"eigenvalues": []}, ValueError, "eigenvalues"),
        ({"eigenvalues": [0.0, 0.0]}, ValueError, "eigenvalues=.*not zero"),
        ({"eigenvalues": [1.0, math.nan]}, ValueError, "eigenvalues.*finite"),
        ({"eigenvalues": [[1.0]]}, ValueError, "eigenvalues.*axes"),
        ({"alpha": math.inf}, ValueError, "alpha=inf"),
        ({"noise": -0.1}, ValueError, "noise=-0.1"),
        ({"n": 56}, ValueError, "n=56 must be larger than N . 1 = 56"),
        ({"n": 1e3}, TypeError, "n=1000.0"),
        ({"how": "both"}, ValueError, "how='both'.*'layerwise', 'explaining', 'joint'"),
        ({"step": 0.0}, ValueError, "step=0.0"),
        ({"step": 1.5}, ValueError, "step=1.5"),
    ],
)
def test_bad_arguments(more, error, match):
    good = {"eigenvalues": SPECTRUM, "alpha": 0.3, "n": 500, "noise": 0.1, "how": "explaining"}
    with pytest.raises(error, match=match):
        lower_error(**(good | more))


def test_more_bad_arguments():
    levels, rng = TwoLevels(SPECTRUM, 0.3, 0.1), np.random.default_rng(0)
    for call, error, match in (
        (lambda: mode_variances(SPECTRUM, 0.3, "layerwise"), ValueError, "how='layerwise'"),
        (lambda: refits(SPECTRUM, 0.3, -1), ValueError, "rounds=-1"),
        (lambda: alpha_hat(SPECTRUM, 0.3, [1.0]), ValueError, "learnt=.*10 numbers"),
        (lambda: sample(SPECTRUM, 5, rng), TypeError, "config="),
        (lambda: run(levels, 56, "joint", rng), ValueError, "n=56"),
        (lambda: run(levels, 500, "both", rng), ValueError, "how='both'"),
        (lambda: run(levels, 500, "joint", 0), TypeError, "rng=0"),
        (lambda: run(levels, 500, "joint", rng, start="zero"), ValueError, "start='zero'"),
        (lambda: run(levels, 500, "joint", rng, rounds=-1), ValueError, "rounds=-1"),
        (lambda: run(levels, 500, "explaining", rng, step=2), ValueError, "step=2"),
        (lambda: train(levels, 500, rng, rate=0), ValueError, "rate=0"),
        (lambda: train(levels, 500, rng, neurons=0), ValueError, "neurons=0"),
    ):
        with pytest.raises(error, match=match):
            call()


def test_scale_of_the_eigenvalues():
    assert TwoLevels([3.0, -4.0], 0.1).eigenvalues == pytest.approx((0.6, -0.8))
    assert TwoLevels([3.0, -4.0], 0.1) == TwoLevels(np.array([3.0, -4.0]), 0.1)
    for how in ("layerwise", "explaining", "joint"):
        one, two = (lower_error(s * SPECTRUM, 0.2, 500, 0.1, how) for s in (1, 7))
        assert one == pytest.approx(two)
        # turning all signs, labels and inputs' order changes nothing
        other = lower_error(-SPECTRUM[::-1], -0.2, 500, 0.1, how)
        assert other == pytest.approx(one, rel=0.02)  # the fixed rule's points are not symmetric


def test_equal_eigenvalues_hide_the_bend():
    """A positive flat spectrum is only rescaled; +- flat is shifted by the identity."""
    flat = parabola(np.ones(4), 0.3)
    assert np.ptp(flat) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(parabola([1.0, -1.0], 0.3) - [ROOT2 / 2, -ROOT2 / 2], 0.3 * ROOT2)
    assert lower_error(np.ones(4), 0.3, 300, 0.1, "joint") > 0
    assert lower_error([1.0], 0.3, 50, 0.3, "joint") > 0


def test_gauss_newton_warns():
    with pytest.warns(UserWarning, match="Gauss-Newton has not converged after 1 rounds"):
        run(TwoLevels(SPECTRUM, 0.3, 0.1), 500, "joint", np.random.default_rng(0), rounds=1)
