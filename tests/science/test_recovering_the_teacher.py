"""Teacher and student: exact losses, descent and its end, every closed form by a second route."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from mpmath import mp
from scipy import optimize
from sklearn.exceptions import ConvergenceWarning

from twolayer.data import Teacher
from twolayer.descent import descend, sgd
from twolayer.measures import recovered_mass
from twolayer.network import TwoLayer
from twolayer.simulation.recovering_the_teacher import (
    begin,
    begin_on_samples,
    compare_on_samples,
    falling,
    kernel_on_samples,
    observe,
    over_first_order,
    run,
    stray_mass,
    train_on_samples,
)
from twolayer.theory import recovering_the_teacher
from twolayer.theory.recovering_the_teacher import (
    best_readout,
    certificate_peak,
    correlation,
    optimum,
    population_gradient,
    population_loss,
    recovery,
)

D, READOUT = 4, [1.0, -1.5, 0.7]
TEACHERS = {
    name: Teacher.random(D, READOUT, np.random.default_rng(50), activation=name, min_angle=40.0)
    for name in ("abs", "relu")
}
EVERY = [("abs", True), ("abs", False), ("relu", True), ("relu", False)]
every_kind = pytest.mark.parametrize(("name", "affine"), EVERY)
SMALL = {"abs": 0.02, "relu": 0.005}  # decays at which no neuron of TEACHERS is near its end


def same(one, other, rtol=1e-12, atol=1e-13):
    """Sums in another order: a few roundings."""
    for got, want in zip(one, other, strict=True):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def some_student(m=5, seed=51, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((m, D)), scale * rng.standard_normal(m)


def failing(d=6):
    """Six directions of mixed signs in six dimensions whose certificate exceeds one."""
    rng = np.random.default_rng(1)
    return Teacher.random(d, rng.choice([-1.0, 1.0], 6), rng, min_angle=30.0)


# --- a second route: the kernel by its angle, in torch, without what an affine part takes


def plain_relu(u, v):
    """E[relu(u.x) relu(v.x)] for two vectors, not parallel."""
    lengths = u.norm() * v.norm()
    angle = torch.arccos(u @ v / lengths)
    return lengths / (2 * math.pi) * (torch.sin(angle) + (math.pi - angle) * torch.cos(angle))


def plain_kernel(u, v, name, affine):
    if name == "relu":
        taken = u.norm() * v.norm() / (2 * math.pi) + u @ v / 4
        return plain_relu(u, v) - affine * taken
    both = 2 * plain_relu(u, v) + 2 * plain_relu(u, -v)  # |z| = relu(z) + relu(-z)
    return both - affine * 2 / math.pi * u.norm() * v.norm()


def plain_square(u, name, affine):
    """E[sigma(u.x)^2], less the squares of the affine part."""
    if name == "relu":
        return u @ u * (0.5 - affine * (0.25 + 1 / (2 * math.pi)))
    return u @ u * (1 - affine * 2 / math.pi)


def plain_loss(teacher, W, a, affine):
    rows = [*W, *torch.tensor(teacher.W)]
    mass = torch.cat([a, -torch.tensor(teacher.a)])
    name, total = teacher.activation.name, 0.0
    for i, u in enumerate(rows):
        total = total + mass[i] ** 2 * plain_square(u, name, affine) / 2
        for j in range(i):
            total = total + mass[i] * mass[j] * plain_kernel(u, rows[j], name, affine)
    return total


def residual(teacher, W, a, x, affine):
    """f* - f on samples, without the affine part that the student has free."""
    y = teacher.target(x) - teacher.activation(x @ W.T) @ a
    return outside(teacher, y, x, affine)


def outside(teacher, y, x, affine):
    if not affine:
        return y
    ones = np.ones((len(x), 1))
    basis = np.hstack([ones, x]) if teacher.activation.name == "relu" else ones
    return y - basis @ np.linalg.lstsq(basis, y, rcond=None)[0]


def central(function, at, h=1e-5):
    """Central differences of a function of one array; a value for each of its entries."""
    at, out = np.array(at, dtype=float), []
    for i in range(at.size):
        move = np.zeros(at.size)
        move[i] = h
        move = move.reshape(at.shape)
        out.append((function(at + move) - function(at - move)) / (2 * h))
    return np.array(out).reshape(*at.shape, *np.shape(out[0]))


# --- exact loss, correlation and gradient


@every_kind
def test_loss_by_monte_carlo(name, affine):
    """Within 4 standard errors, which are below one per cent; in f and f* alike."""
    n, teacher, (W, a) = 200_000, TEACHERS[name], some_student()
    x = np.random.default_rng(52).standard_normal((n, D))
    squares = residual(teacher, W, a, x, affine) ** 2 / 2
    error = squares.std() / math.sqrt(n)
    got = population_loss(teacher, W, a, affine=affine)
    assert got.shape == ()
    assert abs(squares.mean() - got) < 4 * error
    assert error < 0.01 * got


@every_kind
def test_loss_and_gradient_are_those_of_a_loss_written_out(name, affine):
    """Autograd of the sum over pairs; the root of 1 - cosine^2 costs no digits."""
    teacher, (W, a) = TEACHERS[name], some_student()
    leaves = [torch.tensor(value, requires_grad=True) for value in (W, a)]
    want = plain_loss(teacher, *leaves, affine)
    got = population_loss(teacher, W, a, affine=affine)
    np.testing.assert_allclose(got, want.item(), rtol=1e-12)
    slopes = torch.autograd.grad(want, leaves)
    same(population_gradient(teacher, W, a, affine=affine), slopes, 1e-11, 1e-12)


@every_kind
def test_gradient_by_differences(name, affine):
    """h = 1e-5: an error of h^2 times third derivatives, and of rounding over h."""
    teacher, (W, a) = TEACHERS[name], some_student()
    in_W, in_a = population_gradient(teacher, W, a, affine=affine)
    by_W = central(lambda v: population_loss(teacher, v, a, affine=affine), W)
    by_a = central(lambda v: population_loss(teacher, W, v, affine=affine), a)
    np.testing.assert_allclose(in_W, by_W, atol=1e-8)
    np.testing.assert_allclose(in_a, by_a, atol=1e-8)


def test_an_affine_part_is_taken_away_unless_it_is_asked_for():
    """The default; and it lowers the loss by the squares of constant and linear part, halved."""
    (W, a), abs_, relu = some_student(), TEACHERS["abs"], TEACHERS["relu"]
    rows = np.concatenate([W, abs_.W])
    mass = np.concatenate([a, -abs_.a])
    constant = mass @ np.linalg.norm(rows, axis=1)
    taken = {"abs": 2 / math.pi * constant**2}
    taken["relu"] = constant**2 / (2 * math.pi) + ((mass @ rows / 2) ** 2).sum()
    for teacher in (abs_, relu):
        default = population_loss(teacher, W, a)
        assert default == pytest.approx(population_loss(teacher, W, a, affine=True), rel=1e-12)
        less = population_loss(teacher, W, a, affine=False) - default
        assert less == pytest.approx(taken[teacher.activation.name] / 2, rel=1e-12)
        same(population_gradient(teacher, W, a), population_gradient(teacher, W, a, affine=True))


@every_kind
def test_at_the_teacher_there_is_no_loss_and_no_gradient(name, affine):
    """Split neurons and neurons of no weight too; 1e-12 is a rounding of the masses."""
    teacher = TEACHERS[name]
    W = np.concatenate([2 * teacher.W, 0.5 * teacher.W, np.zeros((2, D))])
    a = np.concatenate([teacher.a / 4, teacher.a, [0.0, 3.0]])
    loss = population_loss(teacher, W, a, affine=affine)
    assert 0 <= loss < 1e-12
    in_W, in_a = population_gradient(teacher, W, a, affine=affine)
    assert abs(in_W).max() < 1e-12
    assert abs(in_a).max() < 1e-12


def test_losses_are_not_negative_after_rounding():
    for seed in range(50):
        teacher = Teacher.random(5, [1.0, -2.0, 3.0], np.random.default_rng(seed), min_angle=10.0)
        assert 0 <= population_loss(teacher, 3 * teacher.W, teacher.a / 3) < 1e-12


def test_stacks_of_students_are_students_one_by_one():
    rng = np.random.default_rng(53)
    W, a = rng.standard_normal((2, 3, 5, D)), rng.standard_normal((2, 3, 5))
    for teacher in TEACHERS.values():
        loss = population_loss(teacher, W, a)
        in_W, in_a = population_gradient(teacher, W, a)
        assert (loss.shape, in_W.shape, in_a.shape) == ((2, 3), W.shape, a.shape)
        for at in np.ndindex(2, 3):
            np.testing.assert_allclose(loss[at], population_loss(teacher, W[at], a[at]), rtol=1e-12)
            same((in_W[at], in_a[at]), population_gradient(teacher, W[at], a[at]))


@pytest.mark.parametrize(
    ("name", "affine", "loss"),
    [("abs", True, "centred"), ("abs", False, "squared"), ("relu", False, "squared")],
)
def test_the_sampled_step_tends_to_the_exact_one(name, affine, loss):
    """Means of 40 sets of samples within 4.5 standard errors, for 25 numbers.

    The library's network has readout sqrt(m) a and its loss has no half: 2 and 2 / sqrt(m).
    """
    sets, n, m, rate = 40, 2000, 5, 1e-3
    teacher, (W, a) = TEACHERS[name], some_student(m)
    rng = np.random.default_rng(54)
    nets = TwoLayer.stack([TwoLayer(W, math.sqrt(m) * a, name)] * sets)
    x = rng.standard_normal((sets, n, D))
    y = np.stack([teacher.target(one) for one in x])
    ends = descend(nets, sgd(x, y, rates={"W": rate, "a": rate}, loss=loss), 1)
    moved_W = (W - ends.W) / rate / 2
    moved_a = (math.sqrt(m) * a - ends.a) / rate
    moved_a *= math.sqrt(m) / 2
    for want, got in zip(
        population_gradient(teacher, W, a, affine=affine), (moved_W, moved_a), strict=True
    ):
        error = got.std(0, ddof=1) / math.sqrt(sets)
        assert np.all(abs(got.mean(0) - want) < 4.5 * error)
        assert np.median(error) < 0.02 * abs(want).max()


@every_kind
def test_correlation_by_monte_carlo(name, affine):
    """Values and slopes E[r sigma'(v.x) x] within 4.5 standard errors, for 12 + 3 numbers."""
    n, teacher, (W, a) = 200_000, TEACHERS[name], some_student(seed=55)
    rng = np.random.default_rng(56)
    v, x = 1.7 * rng.standard_normal((3, D)), rng.standard_normal((n, D))
    value, gradient = correlation(teacher, W, a, v, affine=affine)
    assert (value.shape, gradient.shape) == ((3,), (3, D))
    r = residual(teacher, W, a, x, affine)[:, None]
    for i, z in enumerate((x @ v.T).T):
        features = [teacher.activation(z), *(teacher.activation.derivative_at(z) * x.T)]
        terms = r * np.stack([outside(teacher, f, x, affine) for f in features], axis=1)
        error = terms.std(0) / math.sqrt(n)
        assert np.all(abs(terms.mean(0) - [value[i], *gradient[i]]) < 4.5 * error)
        assert np.median(error) < 0.02


@every_kind
def test_correlation_by_differences_and_by_the_loss(name, affine):
    """Its gradient; and it is minus the slope of the loss in the readout of a new neuron."""
    teacher, (W, a) = TEACHERS[name], some_student(seed=55)
    v = np.random.default_rng(57).standard_normal((3, D)) * [[0.3], [1.0], [20.0]]
    value, gradient = correlation(teacher, W, a, v, affine=affine)
    slope = central(lambda v: correlation(teacher, W, a, v, affine=affine)[0], v)
    for i in range(3):
        np.testing.assert_allclose(slope[i, :, i], gradient[i], atol=1e-7)
        wide, none = np.concatenate([W, v[i : i + 1]]), np.append(a, 0.0)
        in_W, in_a = population_gradient(teacher, wide, none, affine=affine)
        assert in_a[-1] == pytest.approx(-value[i], rel=1e-10)
        np.testing.assert_allclose(in_W[-1], 0, atol=1e-15)


@every_kind
def test_correlation_is_homogeneous_and_linear(name, affine):
    teacher, (W, a) = TEACHERS[name], some_student(seed=55)
    v = np.random.default_rng(58).standard_normal((6, D))
    value, gradient = correlation(teacher, W, a, v, affine=affine)
    scale = np.geomspace(1e-3, 1e3, 6)
    longer = correlation(teacher, W, a, scale[:, None] * v, affine=affine)
    np.testing.assert_allclose(longer[0], scale * value, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(longer[1], gradient, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose((gradient * v).sum(1), value, rtol=1e-12, atol=1e-12)  # Euler
    silent = correlation(teacher, W, 0 * a, v, affine=affine)
    other = np.random.default_rng(59).standard_normal(len(a))
    mixed = correlation(teacher, W, 2 * a - 3 * other, v, affine=affine)
    for i, parts in enumerate(zip(silent, (value, gradient), mixed, strict=True)):
        from_other = correlation(teacher, W, other, v, affine=affine)[i] - parts[0]
        want = parts[0] + 2 * (parts[1] - parts[0]) - 3 * from_other
        np.testing.assert_allclose(parts[2], want, rtol=1e-10, atol=1e-11)


def test_correlation_takes_the_affine_part_away_unless_it_is_asked_for():
    """By default; and in a student's own direction the gradient is finite."""
    for teacher in TEACHERS.values():
        W, a = some_student()
        one, other = (correlation(teacher, W, a, W, **k) for k in ({}, {"affine": True}))
        same(one, other)
        assert np.isfinite(one[1]).all()
        got = correlation(teacher, teacher.W, teacher.a, [*teacher.W, -teacher.W[0]])
        assert max(abs(part).max() for part in got) < 1e-12  # f = f*


@every_kind
def test_readout_is_the_best(name, affine):
    """The exact loss's slope is ridge a; the loss is a quadratic with a minimum there."""
    teacher, (W, _) = TEACHERS[name], some_student()
    rng = np.random.default_rng(60)
    for ridge in (1e-6, 0.3):
        a = best_readout(teacher, W, ridge, affine=affine)
        _, in_a = population_gradient(teacher, W, a, affine=affine)
        np.testing.assert_allclose(in_a, -ridge * a, atol=1e-11)

        def objective(a, ridge=ridge):
            return population_loss(teacher, W, a, affine=affine) + ridge * a @ a / 2

        best = objective(a)
        for move in 0.01 * rng.standard_normal((20, len(a))):
            assert objective(a + move) > best


@every_kind
def test_readout_is_ridge_regression_on_samples(name, affine):
    """Of 20 sets of samples: within 4.5 standard errors of their mean, and 1/n of a bias."""
    sets, n, ridge, teacher, (W, _) = 20, 10_000, 0.1, TEACHERS[name], some_student()
    rng, fits = np.random.default_rng(61), []
    for _ in range(sets):
        x = rng.standard_normal((n, D))
        h = outside(teacher, teacher.activation(x @ W.T), x, affine)
        gram = h.T @ h / n + ridge * np.eye(len(W))
        fits.append(np.linalg.solve(gram, h.T @ teacher.target(x) / n))
    error = np.std(fits, 0, ddof=1) / math.sqrt(sets)
    want = best_readout(teacher, W, ridge, affine=affine)
    assert np.all(abs(np.mean(fits, 0) - want) < 4.5 * error + 10 / n * abs(want).max())
    assert np.all(error < 0.02)


def test_readouts_default_and_neurons_of_no_weight():
    teacher, (W, _) = TEACHERS["relu"], some_student()
    got = best_readout(teacher, W, 0.1)
    np.testing.assert_allclose(got, best_readout(teacher, W, 0.1, affine=True), rtol=1e-9)
    dead = best_readout(teacher, [*W, np.zeros(D)], 0.1)
    np.testing.assert_allclose(dead, [*got, 0.0], atol=1e-14)
    np.testing.assert_allclose(best_readout(teacher, teacher.W, 1e-12), teacher.a, atol=1e-9)


# --- descent


def some_start(s=3, m=6, seed=62):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((s, m, D)) / 2, rng.standard_normal((s, m)) / 2


def plain_run(teacher, W, a, eta, decay, affine):
    for rate in decay:
        in_W, in_a = population_gradient(teacher, W, a, affine=affine)
        W, a = W - eta * (in_W + rate * W), a - eta * (in_a + rate * a)
    return W, a


@every_kind
def test_descent_is_a_loop_over_the_gradient(name, affine):
    """Three students, a row of decays and a teacher of its own for each; alone or together."""
    (W, a), eta, other = some_start(), 0.1, 2 * np.array(READOUT)
    first = TEACHERS[name]
    teachers = [first, dataclasses.replace(first, a=other), dataclasses.replace(first, a=-other)]
    decay = np.random.default_rng(63).uniform(0, 0.5, (3, 7))
    start = W.copy(), a.copy()
    common = {"eta": eta, "affine": affine}
    ends = run(teachers, W, a, weight_decay=decay, **common)
    assert np.array_equal(start[0], W)
    assert np.array_equal(start[1], a)
    for i in range(3):
        want = plain_run(teachers[i], W[i], a[i], eta, decay[i], affine)
        one = slice(i, i + 1)
        alone = run(teachers[one], W[one], a[one], weight_decay=decay[one], **common)
        shared = run(teachers[i], W[one], a[one], weight_decay=decay[i], **common)
        single = run(teachers[i], W[i], a[i], weight_decay=decay[i], **common)
        for way, at in ((ends, i), (alone, 0), (shared, 0), (single, ...)):
            same([layer[at] for layer in way], want, 1e-11, 1e-12)


def test_one_teacher_and_one_row_of_decays_serve_all():
    (W, a), teacher = some_start(), TEACHERS["abs"]
    decay = np.array([0.3, 0.0, 0.1])
    ends = run(teacher, W, a, eta=0.2, weight_decay=decay)
    for i in range(3):
        want = plain_run(teacher, W[i], a[i], 0.2, decay, True)
        same([layer[i] for layer in ends], want, 1e-11, 1e-12)
    for way in ([teacher], [teacher] * 3, (teacher,) * 3):
        for rows in (decay, np.tile(decay, (3, 1)), decay.tolist()):
            same(run(way, W, a, eta=0.2, weight_decay=rows, affine=True), ends)


def test_descent_records_the_path():
    (W, a), teacher = some_start(), TEACHERS["abs"]
    marks = [0, 3, 7]
    path = run(teacher, W, a, eta=0.2, weight_decay=np.full(7, 0.1), record=marks)
    assert (path[0].shape, path[1].shape) == ((3, *W.shape), (3, *a.shape))
    for i, step in enumerate(marks):
        want = plain_run(teacher, W[1], a[1], 0.2, [0.1] * step, True)
        same([layer[i, 1] for layer in path], want, 1e-11, 1e-12)
    one = run(teacher, W[1], a[1], eta=0.2, weight_decay=np.full(7, 0.1), record=[3])
    assert (one[0].shape, one[1].shape) == ((1, *W[1].shape), (1, *a[1].shape))


def test_descent_that_diverges_says_so():
    """Raised where a plain loop leaves the finite numbers, and not before."""
    (W, a), teacher, eta = some_start(1), TEACHERS["abs"], 50.0
    with np.errstate(all="ignore"):
        for want in range(100):
            one, other = plain_run(teacher, W, a, eta, [0.0] * (want + 1), True)
            if not np.isfinite(one.sum() + other.sum()):
                break
    assert 0 < want < 99
    with pytest.raises(ValueError, match="eta=50.0 is too large"):
        run(teacher, W, a, eta=eta, weight_decay=np.zeros(100))
    ends = run(teacher, W, a, eta=eta, weight_decay=np.zeros(want))
    assert all(np.isfinite(end).all() for end in ends)


def test_a_decay_that_takes_more_than_everything_is_refused():
    one = Teacher(np.eye(1, 2), [1.0])
    W, _ = run(one, [[[0.0, 1.0]]], [[0.0]], eta=0.5, weight_decay=[2.0])  # all of it
    assert not W.any()
    with pytest.raises(ValueError, match="weight_decay=2.1 is too large for eta=0.5"):
        run(one, [[[0.0, 1.0]]], [[0.0]], eta=0.5, weight_decay=[2.1])


@every_kind
def test_weight_decay_lessens_the_imbalance(name, affine):
    """|w|^2 - a^2 falls by (1 - eta decay)^2 a step, but for eta^2 (a^2 |g|^2 - (w.g)^2).

    With the neuron's pull g, w becomes (1 - eta decay) w - eta a g and a the same less eta w.g
    (Euler): the terms of first order cancel. The next one, exactly, is of order eta^2.
    """
    (W, a), teacher, decay, rest = some_start(1), TEACHERS[name], 0.3, []
    in_W, in_a = population_gradient(teacher, W, a, affine=affine)
    for eta in (0.1, 0.05):
        V, b = run(teacher, W, a, eta=eta, weight_decay=[decay], affine=affine)
        left = (1 - eta * decay) ** 2 * ((W**2).sum(-1) - a**2)
        rest.append((V**2).sum(-1) - b**2 - left)
        np.testing.assert_allclose(
            rest[-1], eta**2 * ((in_W**2).sum(-1) - in_a**2), rtol=1e-9, atol=1e-13
        )
    np.testing.assert_allclose(rest[0], 4 * rest[1], rtol=1e-8, atol=1e-13)


@every_kind
def test_small_steps_never_raise_the_regularised_loss(name, affine):
    (W, a), teacher, decay = some_start(), TEACHERS[name], 0.05
    options = {"eta": 0.05, "weight_decay": np.full(300, decay), "affine": affine}
    V, b = run(teacher, W, a, record=range(301), **options)
    now = population_loss(teacher, V, b, affine=affine)
    now = now + decay / 2 * ((V**2).sum((-2, -1)) + (b**2).sum(-1))
    assert np.all(np.diff(now, axis=0) <= 1e-14)


# --- what it ends at


def between(V, W):
    """Degrees between rows, small angles too: W's are unit."""
    along = (V * W).sum(1)
    across = np.linalg.norm(V - along[:, None] * W, axis=1)
    return np.degrees(np.arctan2(across, along))


def plain_curvature(teacher, affine):
    """d^2 / dv_i dv_j of the loss of neurons v_i with the teacher's signs, by autograd.

    A neuron with itself: E[sigma'(u.x)^2 x x^T], less what the affine part takes.
    """
    k, name, sign = len(teacher.W), teacher.activation.name, np.sign(teacher.a)
    H = np.empty((k, D, k, D))
    for i in range(k):
        for j in range(k):
            u, v = torch.tensor(teacher.W[i]), torch.tensor(teacher.W[j])
            if i != j:

                def slope(u, v=v):
                    v = v.clone().requires_grad_()
                    value = plain_kernel(u, v, name, affine)
                    return torch.autograd.grad(value, v, create_graph=True)[0]

                # rows: v, columns: u
                block = torch.autograd.functional.jacobian(slope, u).numpy().T
            elif name == "abs":
                block = np.eye(D) - affine * 2 / math.pi * np.outer(u, u)
            else:
                block = np.eye(D) * (0.5 - affine / 4) - affine / (2 * math.pi) * np.outer(u, u)
            H[i, :, j] = sign[i] * sign[j] * block
    return H.reshape(k * D, k * D)


@every_kind
def test_recovery_solves_the_quadratic_problem(name, affine):
    """C = w.H^-1 w with the curvature by a second route; what follows from it."""
    teacher = TEACHERS[name]
    got = recovery(teacher, affine=affine)
    assert got.teacher is teacher
    assert got.affine is affine
    H, w = plain_curvature(teacher, affine), teacher.W.ravel()
    shift = np.linalg.solve(H, w).reshape(teacher.W.shape)
    np.testing.assert_allclose(got.shift, shift, rtol=1e-10, atol=1e-10)
    assert got.constant == pytest.approx(w @ np.linalg.solve(H, w), rel=1e-11)
    decays = np.array([[0.0, 1e-3], [0.02, 0.1]])
    np.testing.assert_allclose(got.loss(decays), decays**2 / 2 * got.constant)
    np.testing.assert_allclose(got.mass(decays), 3.2 - decays * got.constant)
    angles = got.angles(decays)
    assert angles.shape == (2, 2, 3)
    assert got.angles(0.1).shape == (3,)
    assert got.angles(1).shape == (3,)
    moved = abs(teacher.a)[:, None] * teacher.W - 1e-6 * shift
    # the next order is a millionth of the shift
    np.testing.assert_allclose(between(moved, teacher.W), got.angles(1e-6), rtol=1e-4)
    np.testing.assert_allclose(got.angles(decays), np.multiply.outer(decays, got.angles(1.0)))


@every_kind
def test_the_curvature_by_differences_of_the_kernel(name, affine):
    """Mixed differences of order h^2 and of rounding over h^2: 1e-8 each, at h = 1e-4."""
    rng = np.random.default_rng(64)
    U, V = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.standard_normal((2, 3, D)))
    constants = recovering_the_teacher._constants(TEACHERS[name], affine)
    got = recovering_the_teacher._mixed(U, V, constants)
    assert got.shape == (3, 3, D, D)

    def kernel(u, v):
        return plain_kernel(torch.as_tensor(u), torch.as_tensor(v), name, affine).item()

    for i, u in enumerate(U):
        for j, v in enumerate(V):
            mixed = central(
                lambda s, v=v: central(lambda t: kernel(s, t), v, 1e-4),
                u,
                1e-4,
            )
            np.testing.assert_allclose(got[i, j], mixed, atol=3e-7)


@every_kind
def test_recovery_of_one_neuron(name, affine):
    """The neuron keeps its direction; |a| less decay over the square of a unit neuron."""
    w = np.array([0.6, 0.0, -0.8])
    one = Teacher([w], [-2.0], name)
    square = plain_square(torch.as_tensor(w), name, affine).item()
    got = recovery(one, affine=affine)
    np.testing.assert_allclose(got.shift, w[None] / square, atol=1e-12)
    assert got.constant == pytest.approx(1 / square)
    np.testing.assert_allclose(got.angles(0.1), [0.0], atol=1e-9)
    for decay in (1e-3, 0.1, 1.9 * square):
        W, a = optimum(one, decay, affine=affine)
        mass = 2 - decay / square
        np.testing.assert_allclose(a, [-math.sqrt(mass)], rtol=1e-10)
        np.testing.assert_allclose(W, [math.sqrt(mass) * w], rtol=1e-10, atol=1e-12)


def test_recovery_takes_the_affine_part_away_unless_it_is_asked_for():
    for teacher in TEACHERS.values():
        one, other = recovery(teacher), recovery(teacher, affine=True)
        assert one.affine is True
        same([one.shift], [other.shift])
        same(optimum(teacher, 1e-3), optimum(teacher, 1e-3, affine=True), atol=1e-10)


@every_kind
def test_the_optimum_is_stationary_balanced_and_in_its_span(name, affine):
    teacher, decay = TEACHERS[name], SMALL[name]
    W, a = optimum(teacher, decay, affine=affine)
    in_W, in_a = population_gradient(teacher, W, a, affine=affine)
    np.testing.assert_allclose(in_W, -decay * W, atol=1e-10)
    np.testing.assert_allclose(in_a, -decay * a, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(W, axis=1), abs(a), rtol=1e-12)
    assert np.array_equal(np.sign(a), np.sign(teacher.a))
    rest = W - W @ np.linalg.pinv(teacher.W) @ teacher.W
    assert abs(rest).max() < 1e-12


def test_the_optimum_is_followed_to_large_decays():
    """Two near lines of opposite signs push each other away: the weaker turns by 33 degrees."""
    turn, turned = 0.5, []
    teacher = Teacher([[1.0, 0.0], [math.cos(turn), math.sin(turn)]], [1.0, -0.6])
    for decay in (0.01, 0.02, 0.03, 0.04, 0.05, 0.06):
        W, a = optimum(teacher, decay)
        for got, layer in zip(population_gradient(teacher, W, a), (W, a), strict=True):
            np.testing.assert_allclose(got, -decay * layer, atol=1e-10)
        assert np.array_equal(np.sign(a), [1.0, -1.0])
        turned.append(between(W, teacher.W)[1])
    assert np.all(np.diff(turned) > 0)
    assert turned[-1] > 30


@every_kind
def test_the_optimum_is_a_minimum(name, affine):
    """Against moves of its neurons, splits with moves, and another small neuron."""
    teacher, decay, rng = TEACHERS[name], SMALL[name], np.random.default_rng(65)
    W, a = optimum(teacher, decay, affine=affine)

    def objective(W, a):
        paid = (W**2).sum((-2, -1)) + (a**2).sum(-1)
        return population_loss(teacher, W, a, affine=affine) + decay * paid / 2

    best, many = objective(W, a), 200
    for size in (0.3, 0.01):
        V = W + size * rng.standard_normal((many, *W.shape))
        assert np.all(objective(V, a + size * rng.standard_normal((many, 3))) > best)
    halves = np.concatenate([W, W]) / math.sqrt(2), np.concatenate([a, a]) / math.sqrt(2)
    assert objective(*halves) == pytest.approx(best, abs=1e-14)
    if affine:  # without, the certificate of this teacher may fail
        V = halves[0] + 0.05 * rng.standard_normal((many, 6, D))
        assert np.all(objective(V, halves[1] + 0.05 * rng.standard_normal((many, 6))) > best)


@every_kind
def test_the_prediction_is_the_optimum_to_first_order(name, affine):
    """Halving the decay halves the relative errors of what the formulas give."""
    teacher, errors = TEACHERS[name], []
    guess = recovery(teacher, affine=affine)
    v = np.random.default_rng(66).standard_normal((8, D))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    for decay in SMALL[name] / 8 / 2.0 ** np.arange(3):
        W, a = optimum(teacher, decay, affine=affine)
        length = np.linalg.norm(W, axis=1)
        value, gradient = correlation(teacher, W, a, v, affine=affine)
        limit, slope = guess.certificate(v)
        errors.append(
            [
                population_loss(teacher, W, a, affine=affine) / guess.loss(decay) - 1,
                (abs(a) @ length - guess.mass(decay)) / decay,
                *(between(W, teacher.W) / guess.angles(decay) - 1),
                abs(value / decay - limit).max(),
                abs(gradient / decay - slope).max(),
            ]
        )
    errors = abs(np.array(errors))
    assert np.all(errors[0] < 0.5)
    # the ratio tends to 2; its own error halves with the decay
    np.testing.assert_allclose(errors[0] / errors[1], 2, atol=0.3)
    np.testing.assert_allclose(errors[1] / errors[2], 2, atol=0.15)


@every_kind
def test_certificates_at_the_teacher_and_their_slopes(name, affine):
    """Signs and no slope along the sphere at the directions; elsewhere by differences."""
    teacher = TEACHERS[name]
    guess = recovery(teacher, affine=affine)
    value, gradient = guess.certificate(teacher.W)
    np.testing.assert_allclose(value, np.sign(teacher.a), rtol=1e-12)
    np.testing.assert_allclose(gradient, value[:, None] * teacher.W, rtol=0, atol=1e-12)
    if name == "abs" or affine:  # the rest is even
        mirrored, back = guess.certificate(-teacher.W)
        np.testing.assert_allclose(mirrored, value, rtol=1e-12)
        np.testing.assert_allclose(back, -gradient, rtol=0, atol=1e-12)
    v = np.random.default_rng(67).standard_normal((5, D))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    value, gradient = guess.certificate(v)
    assert (value.shape, gradient.shape) == ((5,), (5, D))

    slope = central(lambda v: guess.certificate(v)[0], v)
    for i in range(5):
        np.testing.assert_allclose(slope[i, :, i], gradient[i], atol=1e-7)


@every_kind
def test_certificates_are_sums_of_slopes_of_the_kernel(name, affine):
    """sum_j sign_j c_j . d/dw_j E[sigma(v.x) sigma(w_j.x)], by autograd."""
    teacher, total = TEACHERS[name], 0.0
    guess = recovery(teacher, affine=affine)
    v = np.random.default_rng(68).standard_normal(D)
    v /= np.linalg.norm(v)
    for w, c, sign in zip(teacher.W, guess.shift, np.sign(teacher.a), strict=True):
        w = torch.tensor(w, requires_grad=True)
        kernel = plain_kernel(torch.as_tensor(v), w, name, affine)
        total += sign * (torch.autograd.grad(kernel, w)[0].numpy() @ c)
    assert guess.certificate([v])[0] == pytest.approx([total], rel=1e-10)


@every_kind
def test_certificates_of_rows_of_any_length(name, affine):
    """Homogeneous of degree one, as the correlation that they are the limit of."""
    guess = recovery(TEACHERS[name], affine=affine)
    v = np.random.default_rng(75).standard_normal((5, D))
    v = np.concatenate([v, TEACHERS[name].W])
    length = np.geomspace(1e-3, 1e3, len(v))
    value, gradient = guess.certificate(v)
    longer, same_gradient = guess.certificate(length[:, None] * v)
    np.testing.assert_allclose(longer, length * value, rtol=1e-12)
    np.testing.assert_allclose(same_gradient, gradient, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose((gradient * v).sum(1), value, rtol=1e-12, atol=1e-12)  # Euler
    assert abs(value).max() < 10  # once -3.5e12
    decay = 1e-6
    W, a = optimum(TEACHERS[name], decay, affine=affine)
    near = correlation(TEACHERS[name], W, a, length[:, None] * v, affine=affine)[0] / decay
    np.testing.assert_allclose(near / length, longer / length, atol=1e-4)


# --- digits, against 40 of them


def sign_moment(alpha, beta):
    """E sign(u.x) sign(v.x) x x^T, u and v at these angles: an integral over the circle."""
    cuts = [angle + side * mp.pi / 2 for angle in (alpha, beta) for side in (1, -1)]
    cuts = sorted(mp.fmod(cut + 4 * mp.pi, 2 * mp.pi) for cut in cuts)
    total = mp.matrix(2, 2)
    for low, high in zip(cuts, [*cuts[1:], cuts[0] + 2 * mp.pi], strict=True):
        middle = (low + high) / 2
        sign = mp.sign(mp.cos(middle - alpha) * mp.cos(middle - beta))
        total += sign * (square_of_normal(high) - square_of_normal(low))
    return total / mp.pi


def square_of_normal(t):
    """The integral of n n^T, n = (cos t, sin t)."""
    square = mp.sin(t) ** 2 / 2
    return mp.matrix([[t / 2 + mp.sin(2 * t) / 4, square], [square, t / 2 - mp.sin(2 * t) / 4]])


def exact_constant(angle, sign):
    """C of two neurons of the absolute value at an angle, with readouts 1 and `sign`."""
    places, signs, H = [mp.mpf(0), mp.mpf(angle)], [1, sign], mp.matrix(4, 4)
    w = [mp.matrix([mp.cos(place), mp.sin(place)]) for place in places]
    for i in range(2):
        for j in range(2):
            block = sign_moment(places[i], places[j]) - 2 / mp.pi * w[i] * w[j].T
            for p in range(2):
                for q in range(2):
                    H[2 * i + p, 2 * j + q] = signs[i] * signs[j] * block[p, q]
    stacked = mp.matrix([*w[0], *w[1]])
    return (stacked.T * mp.lu_solve(H, stacked))[0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("angle", [1.0, 0.1, 0.01, 0.001])
@pytest.mark.filterwarnings("ignore:two neurons of the teacher nearly coincide")
def test_the_constant_of_near_lines(angle, sign):
    """In six frames. Opposite ones: the curvature is the cube of the angle; rounding is over it."""
    with mp.workdps(40):
        want = float(exact_constant(angle, sign))
    rounding = 1e-14 if sign > 0 else 1e-14 / angle**3
    pair = np.array([[1.0, 0.0, 0.0], [math.cos(angle), math.sin(angle), 0.0]])
    for seed in range(6):
        W = pair @ np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
        W /= np.linalg.norm(W, axis=1)[:, None]
        assert recovery(Teacher(W, [1.0, sign])).constant == pytest.approx(want, rel=rounding)


def test_lines_too_near_for_six_digits_warn():
    near = Teacher([[1.0, 0.0], [math.cos(1e-4), math.sin(1e-4)]], [1.0, -1.0])
    with pytest.warns(ConvergenceWarning, match=r"nearly coincide: .* condition number \de\+1"):
        recovery(near)


@pytest.mark.parametrize("angle", [1e-8, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 0.1, 1.0])
def test_the_loss_of_a_neuron_that_is_nearly_the_teacher(angle):
    """g(1) - g(cos angle), to a few roundings of one: 1 - cosine^2 had lost a thousand of them."""
    one, student = Teacher([[1.0, 0.0]], [1.0]), [[math.cos(angle), math.sin(angle)]]
    with mp.workdps(40):
        rho = mp.cos(mp.mpf(angle))
        g = mp.sqrt(1 - rho**2) + rho * mp.asin(rho) - 1
        want = float(2 / mp.pi * (mp.pi / 2 - 1 - g))
        slope = float(-2 / mp.pi * mp.asin(rho) * mp.sin(mp.mpf(angle)))  # across, at the teacher
    assert population_loss(one, student, [1.0]) == pytest.approx(want, rel=1e-13, abs=5e-16)
    value, gradient = correlation(one, student, [1.0], [[1.0, 0.0]])
    assert value[0] == pytest.approx(want, rel=1e-13, abs=5e-16)
    assert gradient[0, 1] == pytest.approx(slope, rel=1e-13, abs=5e-16)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-7, 1e-5, 1e-3, 0.03, 0.05])
def test_slopes_of_a_certificate_near_a_line(angle):
    """The part across a line, in 40 digits; an arc sine of the cosine left 1e-8 of an error."""
    teacher = TEACHERS["abs"]
    guess, w = recovery(teacher), teacher.W[0]
    across = np.linalg.qr(teacher.W.T)[0][:, 1]
    v = math.cos(angle) * w + math.sin(angle) * across
    with mp.workdps(40):
        unit = mp.matrix([mp.mpf(x) for x in v])
        unit /= mp.norm(unit)
        want = mp.matrix(D, 1)
        for row, c, sign in zip(teacher.W, guess.shift, np.sign(teacher.a), strict=True):
            row = mp.matrix([mp.mpf(x) for x in row])
            row /= mp.norm(row)
            c = mp.matrix([mp.mpf(x) for x in sign * c])
            rho = (unit.T * row)[0]
            root = mp.sqrt(max(1 - rho**2, mp.mpf(10) ** -70))
            along, across_c = (row.T * c)[0], (unit.T * c)[0]
            bent = (across_c - rho * along) / root
            want += mp.asin(min(rho, 1)) * c + bent * row
            want += ((root - 1) * along - bent * rho) * unit
        want = np.array([float(2 / mp.pi * x) for x in want])
    np.testing.assert_allclose(guess.certificate([v])[1][0], want, rtol=0, atol=1e-13)


def test_a_readout_at_a_ridge_below_all_roundings():
    """Twins and a ridge of 1e-30: they share the teacher's readout."""
    teacher = TEACHERS["abs"]
    W = np.concatenate([teacher.W, teacher.W])
    got = best_readout(teacher, W, 1e-30)
    np.testing.assert_allclose(got, np.tile(teacher.a / 2, 2), atol=1e-12)


def test_descent_ends_at_the_optimum():
    """A wide student from small random weights, where the certificate holds: convergence is linear.

    Of 20 neurons those that are left share the optimum's directions and signs.
    """
    teacher, decay = Teacher([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]], [1.0, -1.0]), 0.02
    rng = np.random.default_rng(69)
    W, a = rng.standard_normal((1, 20, 3)) / 5, rng.choice([-0.2, 0.2], (1, 20))
    W, a = run(teacher, W, a, eta=0.5, weight_decay=np.full(2000, decay))
    best_W, best_a = optimum(teacher, decay)

    def objective(W, a):
        return population_loss(teacher, W, a) + decay / 2 * ((W**2).sum() + (a**2).sum())

    assert objective(W[0], a[0]) == pytest.approx(objective(best_W, best_a), rel=1e-10)
    mass = (abs(a) * np.linalg.norm(W, axis=-1)).sum()
    assert mass == pytest.approx((best_a**2).sum(), rel=1e-8)
    assert recovered_mass(W[0], a[0], best_W, np.sign(best_a), 0.01) == pytest.approx(1, abs=1e-8)


def test_a_decay_that_a_neuron_just_does_not_bear():
    """Orthogonal directions do not touch each other: neuron 1 ends where decay times C_1 is 0.1."""
    teacher = Teacher(np.eye(3), [1.0, 0.1, -1.0])
    end = 0.1 * (1 - 2 / math.pi)
    _, a = optimum(teacher, 0.99 * end)
    assert a[1] > 0
    assert a[1] ** 2 < 0.01 * 0.1 + 0.05 * a[0] ** 2
    with pytest.raises(ValueError, match=r"weight_decay=0.0\d* is too large: a neuron"):
        optimum(teacher, 1.01 * end)


@pytest.mark.parametrize("k", [1, 3])
def test_decays_that_are_far_too_large(k):
    """From the smallest neuron's end on every decay raises; none warns or returns a student."""
    teacher = Teacher(np.eye(3)[:k], [0.1, 1.0, -1.0][:k], "relu")
    for decay in np.geomspace(1.01, 1000, 40) * 0.1 / 2:
        with pytest.raises(ValueError, match=r"weight_decay=\S* is too large"):
            optimum(teacher, float(decay), affine=False)


def test_one_neuron_that_vanishes_is_enough():
    teacher = Teacher(np.eye(3), [1.0, 0.1, -1.0])
    with pytest.raises(ValueError, match=r"weight_decay=0.037 is too large"):
        optimum(teacher, 0.037)


def test_a_solver_that_stops_early_warns(monkeypatch):
    teacher = TEACHERS["abs"]
    exact = optimize.root

    def short(function, flat, args, tol):
        out = exact(function, flat, args, tol=tol)
        out.x = out.x + 1e-8
        return out

    monkeypatch.setattr(optimize, "root", short)
    with pytest.warns(
        ConvergenceWarning, match="force of .*e-0. only; take a smaller weight decay than"
    ):
        optimum(teacher, 0.01)


# --- the certificate's peak


def polished(function, v):
    """The largest absolute value near unit vectors, by quasi-Newton steps in all of space."""

    def minus(z, sign):
        length = np.linalg.norm(z)
        value, gradient = function(z[None] / length)
        tangent = gradient[0] - value[0] * z / length
        return -sign * value[0], -sign * tangent / length

    found = []
    for start in v:
        sign = np.sign(function(start[None])[0][0])
        out = optimize.minimize(minus, start, (sign,), jac=True, method="BFGS", tol=1e-10)
        found.append((-out.fun, out.x / np.linalg.norm(out.x)))
    return max(found, key=lambda pair: pair[0])


def sphere(count):
    """Points that lie evenly on the sphere in three dimensions (Fibonacci)."""
    i = np.arange(count) + 0.5
    height, turn = 1 - 2 * i / count, math.pi * (1 + math.sqrt(5)) * i
    radius = np.sqrt(1 - height**2)
    return np.column_stack([radius * np.cos(turn), radius * np.sin(turn), height])


@pytest.mark.parametrize(("name", "affine", "k", "seed"), [
    ("abs", True, 2, 70), ("abs", True, 5, 71), ("relu", False, 3, 1), ("relu", False, 2, 0),
])  # fmt: skip
def test_the_peak_is_that_of_a_fine_grid(name, affine, k, seed):
    """It is above the grid, and equals the grid's best points once they are polished."""
    rng = np.random.default_rng(seed)
    teacher = Teacher.random(3, rng.choice([-1.0, 1.0], k), rng, activation=name, min_angle=30.0)
    certificate = recovery(teacher, affine=affine).certificate
    peak = certificate_peak(certificate, teacher.W, rng)
    grid = sphere(40_000)
    values = abs(certificate(grid)[0])
    assert values.max() <= peak + 1e-7
    best, _ = polished(certificate, grid[np.argsort(-values)[:5]])
    assert peak == pytest.approx(max(best, 1.0), abs=2e-6)


def test_peaks_of_one_and_above():
    pair = Teacher(np.eye(2, 4), [1.0, -1.0])
    rng = np.random.default_rng(72)
    peak = certificate_peak(recovery(pair).certificate, pair.W, rng)
    assert peak == pytest.approx(1, abs=1e-6)
    teacher = failing()
    peak = certificate_peak(recovery(teacher).certificate, teacher.W, rng)
    assert peak > 1.03
    again = certificate_peak(recovery(teacher).certificate, teacher.W, np.random.default_rng(73))
    assert peak == pytest.approx(again, abs=1e-6)


@pytest.mark.parametrize("W", [np.eye(1, 3), np.eye(2, 3)[1:], np.eye(2, 3), np.eye(3)[1:]])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_search_has_one_more_direction(W, sign):
    """A certificate that is zero in the span and one across it; then its negative."""

    def across(v):
        rest = v - v @ W.T @ W
        value = np.linalg.norm(rest, axis=1)
        assert np.allclose(np.linalg.norm(v, axis=1), 1, atol=1e-12)
        return sign * value, sign * rest / np.maximum(value, 1e-300)[:, None]

    peak = certificate_peak(across, W, np.random.default_rng(0), starts=3)
    assert peak == pytest.approx(1, abs=1e-6)


def test_the_search_climbs_and_counts_its_calls():
    """A linear certificate: strides fall from 0.2 to 0.0002, and half its square is left."""
    calls = []
    w = np.array([3.0, 0.0, 4.0]) / 5

    def linear(v):
        calls.append(len(v))
        return v @ w, np.tile(w, (len(v), 1))

    for starts, steps in ((7, 1), (1, 50), (400, 200)):
        calls.clear()
        keywords = {} if starts == 400 else {"starts": starts, "steps": steps}
        peak = certificate_peak(linear, np.eye(3), np.random.default_rng(3), **keywords)
        assert calls == [starts] * steps
        assert peak <= 1 + 1e-12
    assert peak == pytest.approx(1, abs=0.0002**2)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        one = certificate_peak(linear, np.eye(3), rng, starts=1, steps=50)
        assert one == pytest.approx(1, abs=0.0003**2)
    first = certificate_peak(linear, np.eye(3), np.random.default_rng(3), starts=7, steps=1)
    assert first < 1


def test_the_best_of_all_steps_counts():
    heights = iter([0.2, 0.9, 0.1])

    def shaking(v):
        return np.full(len(v), next(heights)), v

    assert certificate_peak(shaking, np.eye(3), np.random.default_rng(0), steps=3) == 0.9


# --- a small new neuron


def probe_path(teacher, decay, v, sign, eta, steps, affine=True):
    """Masses of a neuron of mass 1e-12 along v, which is added to the optimum."""
    W, a = optimum(teacher, decay, affine=affine)
    W, a = np.concatenate([W, 1e-6 * v[None]]), np.append(a, 1e-6 * sign)
    options = {"eta": eta, "weight_decay": np.full(steps, decay), "affine": affine}
    V, b = run(teacher, W, a, record=range(steps + 1), **options)
    return abs(b[:, -1]) * np.linalg.norm(V[:, -1], axis=1)


def test_a_small_neuron_grows_where_the_certificate_exceeds_one():
    """Mass times (1 + eta decay (|certificate| - 1))^2 a step, at a maximum of the certificate.

    There a balanced neuron of the certificate's sign keeps its direction, and each layer pulls the
    other: dw = eta (a c - decay w), da = eta (|w| c - decay a) with the correlation c.
    Continuous time: 2 decay (|certificate| - 1).
    """
    teacher, decay = failing(), 0.003
    W, a = optimum(teacher, decay)

    def certificate(v):
        return tuple(part / decay for part in correlation(teacher, W, a, v))

    rng = np.random.default_rng(74)
    starts = rng.standard_normal((20, 6))
    peak, v = polished(certificate, starts / np.linalg.norm(starts, axis=1, keepdims=True))
    assert peak > 1.02
    value, gradient = certificate(v[None])
    np.testing.assert_allclose(gradient, value[:, None] * v, atol=1e-5)
    for eta in (0.5, 0.01):
        masses = probe_path(teacher, decay, v, np.sign(value[0]), eta, 20)
        want = (1 + eta * decay * (peak - 1)) ** 2
        np.testing.assert_allclose(masses[1:] / masses[:-1] - 1, want - 1, rtol=1e-3)
    rate = np.log(masses[-1] / masses[0]) / (20 * 0.01)
    assert rate == pytest.approx(2 * decay * (peak - 1), rel=1e-3)
    against = probe_path(teacher, decay, v, -np.sign(value[0]), 0.01, 1)  # of the other sign
    assert np.log(against[1] / against[0]) / 0.01 == pytest.approx(
        -2 * decay * (peak + 1), rel=1e-3
    )


def test_a_small_neuron_dies_where_the_certificate_is_below_one():
    """Across the teacher's span, where the certificate has no slope along the sphere."""
    teacher, decay = Teacher(np.eye(2, 3), [1.0, 1.0]), 0.02
    v = np.eye(3)[2]
    W, a = optimum(teacher, decay, affine=False)
    value, gradient = correlation(teacher, W, a, v[None], affine=False)
    assert abs(gradient[0, :2]).max() < 1e-12
    held = abs(value[0]) / decay
    assert 0.05 < held < 0.95
    masses = probe_path(teacher, decay, v, np.sign(value[0]), 0.1, 10, affine=False)
    want = (1 + 0.1 * decay * (held - 1)) ** 2
    np.testing.assert_allclose(masses[1:] / masses[:-1] - 1, want - 1, rtol=1e-6)


# --- wrong arguments

TWO = Teacher(np.eye(2, 3), [1.0, -1.0])
ODD = Teacher(np.eye(2, 3), [1.0, -1.0], "tanh")
OPPOSITE = Teacher([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0], "relu")
LAYERS = np.ones((4, 3)), np.ones(4)
STACKS = np.ones((2, 4, 3)), np.ones((2, 4))
CALLS = {
    "correlation": lambda t, W, a: correlation(t, W, a, np.eye(3)),
    "population_loss": population_loss,
    "population_gradient": population_gradient,
    "best_readout": lambda t, W, a: best_readout(t, W, 1.0),
    "run": lambda t, W, a: run(t, W, a, eta=0.1, weight_decay=[0.1]),
    "recovery": lambda t, W, a: recovery(t),
    "optimum": lambda t, W, a: optimum(t, 0.1),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_teacher(call):
    with pytest.raises(TypeError, match="teacher=1.0 must be a Teacher"):
        CALLS[call]([1.0] if call == "run" else 1.0, *LAYERS)
    with pytest.raises(
        ValueError, match="teacher.activation='tanh' is unknown; allowed: 'abs', 'r"
    ):
        CALLS[call](ODD, *LAYERS)


@pytest.mark.parametrize("call", ["correlation", "population_loss", "population_gradient"])
@pytest.mark.parametrize(
    ("W", "a", "error", "words"),
    [
        (np.ones(3), 1.0, ValueError, r"W has shape \(3,\); it must be \(..., m, 3\)"),
        (np.ones((4, 2)), np.ones(4), ValueError, r"W has shape \(4, 2\); it must be"),
        (np.ones((4, 3)), np.ones(3), ValueError, r"a has shape \(3,\); for W of shape \(4, 3\)"),
        (np.ones((4, 3)), np.ones((2, 4)), ValueError, r"a has shape \(2, 4\); for W of shape"),
        (np.full((4, 3), np.nan), np.ones(4), ValueError, "W must be finite"),
        (np.ones((4, 3)), np.full(4, np.inf), ValueError, "a must be finite"),
        ([["x"] * 3], [1.0], TypeError, "W must hold real numbers"),
    ],
)
def test_bad_students(call, W, a, error, words):
    with pytest.raises(error, match=words):
        CALLS[call](TWO, W, a)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: correlation(TWO, *LAYERS, np.ones(3)), ValueError, r"v has shape \(3,\); it must"),
        (lambda: correlation(TWO, *LAYERS, np.ones((2, 2))), ValueError, r"v has shape \(2, 2\)"),
        (lambda: correlation(TWO, *LAYERS, [[1, 0, 0], [0, 0, 0]]), ValueError, "no row zero"),
        (lambda: correlation(TWO, *LAYERS, [[np.nan] * 3]), ValueError, "v must be finite"),
        (
            lambda: best_readout(TWO, np.ones((4, 2)), 1.0),
            ValueError,
            r"W has shape \(4, 2\); it must",
        ),
        (lambda: best_readout(TWO, np.ones(3), 1.0), ValueError, r"W has shape \(3,\); it must be"),
        (lambda: best_readout(TWO, LAYERS[0], 0.0), ValueError, "ridge=0.0 must be finite and > 0"),
        (lambda: best_readout(TWO, LAYERS[0], -1), ValueError, "ridge=-1 must be finite and > 0"),
        (lambda: best_readout(TWO, LAYERS[0], "1"), TypeError, "ridge='1' must be a real number"),
        (lambda: optimum(TWO, 0.0), ValueError, "weight_decay=0.0 must be finite and > 0"),
        (lambda: optimum(TWO, [0.1]), TypeError, r"weight_decay=\[0.1\] must be a real number"),
        (lambda: recovery(TWO).certificate([[np.nan] * 3]), ValueError, "v must be finite"),
        (lambda: peak(W=np.ones(3)), ValueError, r"directions has shape \(3,\); it must be"),
        (lambda: peak(W=np.ones((0, 3))), ValueError, r"directions has shape \(0, 3\)"),
        (lambda: peak(W=[[np.inf]]), ValueError, "directions must be finite"),
        (lambda: peak(starts=0), ValueError, "starts=0 must be a positive integer"),
        (lambda: peak(steps=2.0), TypeError, "steps=2.0 must be a positive integer"),
        (lambda: peak(rng=0), TypeError, "rng=0 must be a numpy.random.Generator"),
    ],
)
def test_bad_arguments(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: best_readout(TWO, np.ones((1, 4, 3)), 1.0), r"W has shape \(1, 4, 3\)"),
        (lambda: best_readout(TWO, np.ones((2, 4, 3)), 1.0), r"W has shape \(2, 4, 3\)"),
        (lambda: recovery(TWO).certificate(np.ones(3)), r"v has shape \(3,\)"),
        (lambda: recovery(TWO).certificate(np.ones((2, 4))), r"v has shape \(2, 4\)"),
        (lambda: recovery(OPPOSITE), "teacher.*opposite"),
        (lambda: optimum(OPPOSITE, 0.01), "teacher.*opposite"),
    ],
)
def test_bad_arguments_that_are_not_checked(call, words):
    """OPPOSITE: without their linear parts relu(z) and relu(-z) are one function."""
    with pytest.raises(ValueError, match=words):
        call()


def peak(W=TWO.W, rng=None, **keywords):
    rng = np.random.default_rng(0) if rng is None else rng
    return certificate_peak(recovery(TWO).certificate, W, rng, **keywords)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"teachers": []}, ValueError, "teachers must be of one shape and activation"),
        (
            {"teachers": [TWO, Teacher(np.eye(2, 3), [1.0, 1.0], "relu")]},
            ValueError,
            "teachers must be of one shape and activation",
        ),
        (
            {"teachers": [TWO, Teacher(np.eye(1, 3), [1.0])]},
            ValueError,
            "teachers must be of one shape and activation",
        ),
        ({"teachers": [TWO] * 3}, ValueError, r"W has shape \(2, 4, 3\); with 3 teachers it must"),
        (
            {"teachers": [TWO] * 3, "W": LAYERS[0], "a": LAYERS[1]},
            ValueError,
            r"W has shape \(4, 3\); with 3 teachers it",
        ),
        (
            {"W": STACKS[0][None], "a": STACKS[1][None]},
            ValueError,
            r"W has shape \(1, 2, 4, 3\); with 1 teachers it",
        ),
        ({"W": np.ones((2, 4, 2))}, ValueError, r"W has shape \(2, 4, 2\); it must be \(..., m, 3"),
        ({"a": np.ones((2, 3))}, ValueError, r"a has shape \(2, 3\); for W of shape \(2, 4, 3\)"),
        ({"eta": 0.0}, ValueError, "eta=0.0 must be finite and > 0"),
        ({"eta": None}, TypeError, "eta=None must be a real number"),
        ({"weight_decay": 0.1}, ValueError, "weight_decay=0.1 must be an array"),
        ({"weight_decay": []}, ValueError, "steps=0 must be a positive integer"),
        ({"weight_decay": np.ones((3, 5))}, ValueError, r"weight_decay has shape \(3, 5\); it"),
        ({"weight_decay": np.ones((2, 5, 1))}, ValueError, r"weight_decay has shape \(2, 5, 1\)"),
        ({"weight_decay": [0.1, -0.1]}, ValueError, "must be finite and >= 0, got -0.1"),
        ({"record": [2]}, ValueError, "record"),
        ({"record": [1, 0]}, ValueError, "record"),
    ],
)
def test_bad_descent(change, error, words):
    arguments = {"teachers": TWO, "W": STACKS[0], "a": STACKS[1], "eta": 0.1, "weight_decay": [0.1]}
    with pytest.raises(error, match=words):
        run(**arguments | change)


# --- starts, strays, the loss to second order, samples


def test_strays_are_what_is_not_recovered():
    teacher, (W, a) = TEACHERS["abs"], some_student(m=60)
    W[:20] = np.repeat(teacher.W, [7, 7, 6], 0) + 0.05 * W[:20]
    mass = abs(a) * np.linalg.norm(W, axis=1)
    plus, minus = stray_mass(teacher, W, a)
    near = recovered_mass(W, a, teacher.W, np.sign(teacher.a))
    assert 0.05 < near < 0.95
    assert min(plus, minus) > 0
    np.testing.assert_allclose(plus + minus, (1 - near) * mass.sum(), rtol=1e-12)
    stack = stray_mass(teacher, np.stack([W, -W]), np.stack([a, -a]))
    np.testing.assert_allclose(stack[0], [plus, minus], rtol=1e-12)
    assert stray_mass(teacher, teacher.W, teacher.a).sum() == 0
    np.testing.assert_allclose(stray_mass(teacher, teacher.W, -teacher.a).sum(), 3.2)


def test_a_decay_falls_from_high_to_low():
    decay = falling(1000, high=0.1, low=1e-4)
    assert (decay[:300] == 0.1).all()
    np.testing.assert_allclose(decay[800:], 1e-4)
    np.testing.assert_allclose(decay[550], math.sqrt(0.1 * 1e-4))


def test_the_start_is_one_long_step_and_the_best_readout():
    teacher = TEACHERS["abs"]
    W, a = begin(teacher, 6, np.random.default_rng(3))
    rough, _ = begin(teacher, 6, np.random.default_rng(3), turned=False)
    np.testing.assert_allclose((W**2).sum(1), a**2, rtol=1e-12)
    units = rough / np.linalg.norm(rough, axis=1)[:, None]
    pull = -population_gradient(teacher, units, np.full(6, 1e-12))[0] * 1e12
    cosine = (W * pull).sum(1) / np.linalg.norm(W, axis=1) / np.linalg.norm(pull, axis=1)
    np.testing.assert_allclose(cosine, 1, atol=1e-9)
    lines = W / np.linalg.norm(W, axis=1)[:, None]
    readout = best_readout(teacher, lines, 0.01)
    np.testing.assert_allclose(a * np.linalg.norm(W, axis=1), readout, rtol=1e-9)


def test_the_start_on_samples_tends_to_the_exact_one():
    teacher, n = TEACHERS["abs"], 200_000
    x, y = teacher.sample(n, np.random.default_rng(4))
    W, a = begin_on_samples(x, y, 6, np.random.default_rng(3))
    exact_W, exact_a = begin(teacher, 6, np.random.default_rng(3))
    np.testing.assert_allclose(W, exact_W, atol=0.1)
    np.testing.assert_allclose(a, exact_a, atol=0.1)


def test_training_on_samples_is_a_loop_over_their_gradient():
    teacher = TEACHERS["abs"]
    x, y = teacher.sample(50, np.random.default_rng(5))
    start = some_student(m=4, scale=0.5)
    decay = np.array([0.1, 0.03, 0.0])
    ends = train_on_samples(*(v[None] for v in (*start, x, y)), rate=0.2, weight_decay=decay)
    W, a = start
    for now in decay:
        h = x @ W.T
        rest = y - abs(h) @ a
        rest = rest - rest.mean()
        in_W = (a * np.sign(h) * rest[:, None]).T @ x / 50
        in_a = abs(h).T @ rest / 50
        W, a = W + 0.2 * (in_W - now * W), a + 0.2 * (in_a - now * a)
    same((v[0] for v in ends), (W, a), rtol=1e-4, atol=1e-5)


def test_adam_on_samples_begins_with_steps_of_its_rate():
    x, y = TEACHERS["abs"].sample(50, np.random.default_rng(5))
    W, a = some_student(m=4)
    one = {"rate": 0.01, "weight_decay": [0.1], "adam": True, "batch": 50}
    ends = train_on_samples(*(v[None] for v in (W, a, x, y)), rng=[np.random.default_rng(6)], **one)
    np.testing.assert_allclose(abs(ends[0][0] - W), 0.01, rtol=1e-3)
    np.testing.assert_allclose(abs(ends[1][0] - a), 0.01, rtol=1e-3)


def test_the_loss_leaves_its_first_order_four_thirds_as_fast_as_the_mass():
    teacher, decay = TEACHERS["abs"], 1e-3
    first, student = recovery(teacher), optimum(teacher, decay)
    loss = population_loss(teacher, *student) / first.loss(decay)
    mass = abs(teacher.a).sum() - (student[1] ** 2).sum()
    ratio = (1 - loss) / (1 - mass / (decay * first.constant))
    np.testing.assert_allclose(ratio, 4 / 3, rtol=0.01)


def test_degree_two_of_the_loss_is_a_matter_of_the_mean_hessian():
    teacher = TEACHERS["abs"]
    matrix = math.sqrt(2 / math.pi) * (teacher.W.T * teacher.a) @ teacher.W
    x = np.random.default_rng(7).standard_normal((400_000, D))
    y = teacher.target(x)  # Stein: E y (x x' - I) is the mean Hessian
    measured = (x.T * y) @ x / len(x) - y.mean() * np.eye(D)
    np.testing.assert_allclose(measured, matrix, atol=0.03)

    def part(w):  # of the correlation at f = 0
        return (w @ matrix @ w) / np.linalg.norm(w) / math.sqrt(2 * math.pi)

    w = some_student(m=1)[0][0]
    unit = w / np.linalg.norm(w)
    pull = math.sqrt(2 / math.pi) * (matrix @ unit - (unit @ matrix @ unit) * unit / 2)
    slopes = [(part(w + 1e-6 * e) - part(w - 1e-6 * e)) / 2e-6 for e in np.eye(D)]
    np.testing.assert_allclose(slopes, pull, rtol=1e-6)
    cosine = teacher.W @ unit
    series = np.linalg.norm(w) * (teacher.a * cosine**2).sum() / math.pi
    np.testing.assert_allclose(part(w), series, rtol=1e-12)


def test_what_a_student_has_learnt():
    teacher, (W, a) = TEACHERS["abs"], some_student()
    seen = observe(teacher, W, a)
    parts = [seen[key] for key in ("degree 2", "degree 4", "higher degrees")]
    np.testing.assert_allclose(sum(parts), seen["loss"], rtol=1e-9)
    np.testing.assert_allclose(seen["loss"], population_loss(teacher, W, a))
    mass = abs(a) @ np.linalg.norm(W, axis=1)
    stray = seen["plus"] + seen["minus"]
    np.testing.assert_allclose(seen["mass"], mass)
    np.testing.assert_allclose(seen["near"] * mass + stray, mass)
    exact = observe(teacher, teacher.W, teacher.a)
    np.testing.assert_allclose([exact["near"], exact["subspace"]], 1)
    assert abs(exact["loss"]) + abs(exact["degree 2"]) < 1e-12


def test_over_first_order_is_the_library_own_optimum():
    teacher, decay = TEACHERS["abs"], 1e-4
    np.testing.assert_allclose(
        over_first_order(teacher, decay, *optimum(teacher, decay)), 1, rtol=0.02
    )


def test_arms_on_samples_share_start_and_sample():
    plan = {"rate": 0.2, "weight_decay": np.full(30, 0.01)}
    plans = {("one", 0.2): plan, ("two", 0.2): plan, ("other", 0): plan | {"size": 0.1}}
    early = plan | {"record": range(5, 31, 5)}
    rows = compare_on_samples(
        plans | {("early", 1): early}, 60, [np.random.default_rng(k) for k in (1, 2)], d=4, m=6
    )
    errors = {(row["arm"], row["seed"]): row["error"] for row in rows}
    assert errors["one", 0] == errors["two", 0] != errors["one", 1]
    assert errors["other", 0] != errors["one", 0]
    valid = {(row["arm"], row["seed"]): row["valid"] for row in rows}
    assert valid["early", 0] <= valid["one", 0]


def test_a_setting_at_which_a_student_diverges_is_lost():
    plans = {("far", v): {"rate": v, "weight_decay": np.zeros(60)} for v in (50.0, 0.1)}
    rows = compare_on_samples(plans, 60, [np.random.default_rng(k) for k in (1, 2)], d=4, m=6)
    assert [row["valid"] == row["error"] == np.inf for row in rows] == [True, True, False, False]
    with pytest.raises(ValueError, match="shape|steps|batch"):
        compare_on_samples(
            {("bad", 0): plans["far", 0.1] | {"batch": 0}}, 60, [np.random.default_rng(1)]
        )


def test_a_kernel_on_samples_learns():
    rows = kernel_on_samples(600, [1e-4], [np.random.default_rng(1)], d=3)
    nothing = kernel_on_samples(600, [1e6], [np.random.default_rng(1)], d=3)
    assert rows[0]["error"] < 0.1 * nothing[0]["error"]
    np.testing.assert_allclose(rows[0]["valid"], rows[0]["error"], rtol=0.5)
