"""Orthogonal teachers: plateau, second phase, samples; closed forms against other routes."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from twolayer import kernels
from twolayer.data import MultiIndex, Teacher, sphere
from twolayer.simulation.beyond_the_tangent_kernel import descend, student_loss
from twolayer.simulation.recovering_the_teacher import run
from twolayer.theory.beyond_the_tangent_kernel import alignment_time, free_neurons, plateau
from twolayer.theory.recovering_the_teacher import correlation, population_loss
from twolayer.theory.spectra import gegenbauer, harmonic_counts, kernel_spectrum


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


def test_descent_is_that_of_small_steps_along_the_pull():
    """To first order mass grows by 2 t nu r and the direction turns by t q; readouts unequal."""
    d, m, t = 4, 9, 1e-3
    start, readouts = sphere((m, d), np.random.default_rng(4)), np.arange(1, d + 1) / 10
    teacher = Teacher(np.eye(d), readouts)
    directions, masses, loss = descend(start, [0, t], t, mass=0.6, readouts=readouts)
    assert masses[0] == pytest.approx(np.full(m, 0.6 / m))
    root = np.full(m, math.sqrt(0.6 / m))
    W = root[:, None] * start
    assert loss[0] == pytest.approx(population_loss(teacher, W, root, affine=False))
    r, q = correlation(teacher, W, root, start, affine=False)
    assert (masses[1] - masses[0]) / t == pytest.approx(2 * masses[0] * r, rel=1e-2, abs=1e-4)
    assert np.allclose((directions[1] - start) / t, q - r[:, None] * start, atol=2e-3)


@pytest.mark.parametrize("bad", [{"eta": 0.0}, {"mass": -1.0}, {"times": [-1.0]}])
def test_settings_of_the_descent_are_checked(bad):
    good = {"start": np.eye(2), "times": [1.0], "eta": 0.1}
    with pytest.raises(ValueError, match=next(iter(bad))):
        descend(**good | bad)


def test_the_student_falls_through_the_floor_with_samples_enough():
    few, many = (
        np.mean([student_loss(8, n, np.random.default_rng(k)) for k in range(3)]) / plateau(8)
        for n in (80, 500)
    )
    assert many < 0.02
    assert 0.8 < few < 1.5


def test_the_student_is_reproducible_and_may_have_one_width():
    runs = [student_loss(5, 60, np.random.default_rng(3), widths=(8,)) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("bad", [{"d": 0}, {"n": 0}, {"widths": (0,)}])
def test_sizes_of_the_student_are_checked(bad):
    good = {"d": 4, "n": 20, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=next(iter(bad))):
        student_loss(**good | bad)


@pytest.mark.parametrize("d", [10, 20])
def test_the_floor_is_the_teachers_part_beyond_degree_two(d):
    spectrum = kernel_spectrum(kernels.relu_ntk.even(), MultiIndex(d, "abs", r=d), radial=40)
    beyond = spectrum.second_moment[spectrum.degrees > 0].sum() + spectrum.outside
    assert beyond / 2 == pytest.approx(d * plateau(d), rel=1e-3)
    assert spectrum.second_moment[spectrum.degrees == 2].sum() < 1e-9


def test_zonal_functions_of_n_samples_hold_the_share_n_over_their_number():
    """eq-bt-least is met with equality where the teacher has degree four alone."""
    d, n, rng = 5, 20, np.random.default_rng(0)
    axis, shares = np.eye(1, d), []
    for _ in range(300):
        x = sphere((n, d), rng)
        *_, gram = gegenbauer(np.clip(x @ x.T, -1, 1), d, 4)
        *_, with_axis = gegenbauer(x @ axis[0], d, 4)
        shares.append(with_axis @ np.linalg.solve(gram, with_axis))
    error = np.std(shares) / len(shares) ** 0.5
    assert np.mean(shares) == pytest.approx(n / harmonic_counts(d, 4)[4], abs=4 * error)
    assert error < 0.01


def test_no_kernel_beats_a_count_of_dimensions():
    """eq-bt-least holds with the ridge that is best in hindsight, and for a kernel of few axes."""
    d, n, rng = 6, 40, np.random.default_rng(0)
    even = kernels.arc_cosine.even()
    spectrum = kernel_spectrum(even, MultiIndex(d, "abs", r=d), degree=20, radial=40)
    each = np.repeat(
        spectrum.second_moment / spectrum.multiplicity, spectrum.multiplicity.astype(int)
    )
    bound = -np.sort(-each)[n:].sum() / 2 / d
    assert 0.5 * plateau(d) < bound < 0.9 * plateau(d)
    test, losses = rng.standard_normal((4000, d)), []
    for _ in range(60):
        turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
        x = rng.standard_normal((n, d))
        y, truth = abs(x @ turn).mean(1), abs(test @ turn).mean(1)
        features = [(even(x), even(test, x)), (abs(x) @ abs(x).T, abs(test) @ abs(x).T)]
        losses.append(
            [
                min(
                    np.mean((T @ np.linalg.solve(K + ridge * np.eye(n), y) - truth) ** 2) / 2
                    for ridge in (1e-4, 1e-2, 1e-1, 1.0, 10.0)
                )
                for K, T in features
            ]
        )
    assert (np.mean(losses, axis=0) > bound).all()


def test_the_tangent_kernel_of_the_student_is_the_mean_of_its_gradients():
    """Of |w| |w . x| at w uniform on the unit sphere: 3 |w.x| |w.x'| + s s' x.x'."""
    d, rng = 7, np.random.default_rng(1)
    W, x = sphere((100_000, d), rng), sphere((2, d), rng)
    z, step = W @ x.T, 1e-6
    gradients = np.stack(
        [
            [
                (np.linalg.norm(V, axis=1) * abs(V @ v) - abs(W @ v)) / step
                for V in (W + step * axis for axis in np.eye(d))
            ]
            for v in x
        ]
    )
    rho = x[0] @ x[1]
    mean = 3 * math.sqrt(1 - rho**2) + (d + 3) * rho * math.asin(rho)
    products = (gradients[0] * gradients[1]).sum(0)
    away = abs(z).min(1) > 2 * step  # from the kinks
    exact = 3 * abs(z).prod(1) + rho * np.sign(z).prod(1)
    assert np.allclose(products[away], exact[away], atol=1e-3)
    error = products.std() / math.sqrt(len(W))
    assert products.mean() == pytest.approx(2 / (math.pi * d) * mean, abs=4 * error)
