"""Plateau and second phase of orthogonal teachers: closed forms against other routes."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from twolayer.data import Teacher, sphere
from twolayer.simulation.recovering_the_teacher import run
from twolayer.theory.beyond_the_tangent_kernel import alignment_time, free_neurons, plateau
from twolayer.theory.recovering_the_teacher import correlation, population_loss


def orthogonal(d):
    return Teacher(np.eye(d), np.ones(d) / d)


@pytest.mark.parametrize("d", [2, 5, 20])
def test_the_plateau_is_the_quadratic_form_of_the_kernel(d):
    """E f*^2 - 2 E f f* + E f^2 with K averaged over the sphere by quadrature."""

    def kernel(rho):
        return 2 / math.pi * (math.sqrt(1 - rho**2) + rho * math.asin(rho))

    weight = quad(lambda t: math.sin(t) ** (d - 2), 0, math.pi)[0]
    across = quad(lambda t: kernel(math.cos(t)) * math.sin(t) ** (d - 2), 0, math.pi)[0] / weight
    own = 1 / d + (1 - 1 / d) * 2 / math.pi
    assert plateau(d) == pytest.approx((own - across) / 2, rel=1e-7)


@pytest.mark.parametrize("d", [3, 12])
def test_the_plateau_is_the_best_function_of_the_radius(d):
    x = np.random.default_rng(0).standard_normal((400_000, d))
    f, radius = abs(x).mean(1), np.linalg.norm(x, axis=1)
    error = (f - (f @ radius) / (radius @ radius) * radius) ** 2 / 2
    assert abs(error.mean() - plateau(d)) < 4 * error.std() / math.sqrt(len(x))
    edges = np.quantile(radius, np.linspace(0, 1, 41))  # any function of the radius, in 40 steps
    bins = np.searchsorted(edges[1:-1], radius)
    means = np.bincount(bins, f) / np.bincount(bins)
    assert np.mean((f - means[bins]) ** 2) / 2 > plateau(d) - 4 * error.std() / math.sqrt(len(x))


def test_the_plateau_of_one_input_is_zero_and_of_many_is_the_limit():
    assert plateau(1) == 0
    d = np.array([500, 1000, 2000])
    scaled = np.array([v * plateau(int(v)) for v in d])
    off = scaled - (1 - 3 / math.pi) / 2
    assert (abs(off) < 1 / d).all()
    assert off[0] / off[2] == pytest.approx(4, rel=0.01)  # of order 1/d


def test_a_uniform_student_of_mass_one_has_the_plateaus_loss():
    d, m, rng = 6, 2000, np.random.default_rng(1)
    excess = []
    for _ in range(5):
        W = sphere((m, d), rng)
        excess.append(population_loss(orthogonal(d), W, np.full(m, 1 / m), affine=False))
    mean = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d + 1) / 2))
    finite = (1 - d * mean**2) / (2 * m)  # neurons with themselves: K(1) = 1 instead of E K
    error = np.std(excess, ddof=1) / math.sqrt(5)
    assert abs(np.mean(excess) - plateau(d) - finite) < 4 * error


@pytest.mark.parametrize("d", [2, 7])
def test_a_free_neuron_moves_as_the_residual_of_the_teacher_alone_says(d):
    start = sphere((5, d), np.random.default_rng(d))
    _, pull = correlation(orthogonal(d), np.zeros((1, d)), np.zeros(1), start, affine=False)
    tangent = pull - (pull * start).sum(1, keepdims=True) * start
    step = 1e-5
    now, then = free_neurons(d, start, [0, step])
    assert np.allclose((then - now) / step, tangent, atol=1e-5)
    assert abs(tangent).max() > 1e-3


def test_neurons_in_a_uniform_crowd_move_as_if_they_were_alone():
    """Uniform in degree two: an unevenness there, of order 1/sqrt(m), would pull as strongly."""
    d, m, steps, eta = 6, 1200, 60, 0.1
    start = sphere((m, d), np.random.default_rng(2))
    for _ in range(20):
        values, vectors = np.linalg.eigh(start.T @ start * d / m)
        start = start @ (vectors / np.sqrt(values)) @ vectors.T
        start /= np.linalg.norm(start, axis=1, keepdims=True)
    root = np.full(m, 1 / math.sqrt(m))
    W, _ = run(
        orthogonal(d), root[:, None] * start, root, eta=eta, weight_decay=np.zeros(steps),
        affine=False,
    )  # fmt: skip
    W = W / np.linalg.norm(W, axis=1, keepdims=True)
    alone = free_neurons(d, start, [steps * eta])[0]
    moved = np.linalg.norm(alone - start, axis=1).mean()
    assert np.linalg.norm(W - alone, axis=1).mean() < 0.15 * moved


@pytest.mark.parametrize("d", [8, 12])
def test_the_alignment_time_is_where_small_steps_arrive(d):
    start = sphere((40, d), np.random.default_rng(d))
    w, t, step = start.copy(), 0.0, 0.01
    while np.square(w).max(1).mean() < 0.5:
        pull = 2 / (math.pi * d) * np.arcsin(w)
        w = w + step * (pull - (pull * w).sum(1, keepdims=True) * w)
        w /= np.linalg.norm(w, axis=1, keepdims=True)
        t += step
    assert alignment_time(d, 3 * start) == pytest.approx(t, rel=2e-3)
    halfway = free_neurons(d, start, [alignment_time(d, start)])[0]
    assert np.square(halfway).max(1).mean() == pytest.approx(0.5, abs=1e-6)


def test_neurons_start_aligned_or_never_choose():
    assert alignment_time(3, np.eye(3)) == 0
    assert alignment_time(3, np.ones((2, 3))) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plateau(0), "d=0"),
        (lambda: alignment_time(3, np.eye(2)), "start has shape"),
        (lambda: alignment_time(2, np.zeros((1, 2))), "no row zero"),
        (lambda: free_neurons(2, np.eye(2), [1.0, 0.5]), "times="),
        (lambda: free_neurons(2, np.eye(2), [-1.0]), "times"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
