"""Gradient descent on the exact loss of a student."""

import numpy as np

from twolayer import _checks
from twolayer.data import Teacher
from twolayer.theory.recovering_the_teacher import (
    _constants,
    _gradient,
    _student,
)

__all__ = ["run"]


def run(teachers, W, a, *, eta, decay, affine=True, every=None):
    """Gradient descent of both layers on the exact loss, with weight decay, for several students.

    Parameters
    ----------
    teachers : Teacher, or sequence of s Teachers
        One for all students, or one for each, of one shape and activation.
    W : array_like, shape (s, m, d)
    a : array_like, shape (s, m)
        Where to start; not changed.
    eta : float
        Step size, > 0.
    decay : array_like, shape (steps,) or (s, steps)
        Weight decay of every step, >= 0; a row for each student if there are two axes.
    affine : bool
        See `correlation`.
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    step : int
        Steps done.
    W : ndarray, shape (s, m, d)
    a : ndarray, shape (s, m)

    Raises
    ------
    TypeError, ValueError
        As in `correlation`, or if `eta` or a decay is out of range, `decay` has rows for another
        number of students, or weights leave the finite numbers (the step is named).

    Notes
    -----
    A step costs about 6 m^2 d multiply-adds, m^2 square roots and m^2 arc sines a student,
    whatever the number of samples would have been.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> teacher = Teacher.random(5, [1.0, -1.0], rng)
    >>> W, a = rng.standard_normal((1, 30, 5)) / 10, rng.choice([-0.1, 0.1], (1, 30))
    >>> for _, W, a in run(teacher, W, a, eta=0.5, decay=np.full(400, 1e-3)):
    ...     print(bool(population_loss(teacher, W, a)[0] < 1e-4))
    True
    """
    teachers = [teachers] if isinstance(teachers, Teacher) else list(teachers)
    constants = {_constants(teacher, affine) for teacher in teachers}
    if len(constants) != 1 or len({teacher.W.shape for teacher in teachers}) != 1:
        raise ValueError("teachers must be of one shape and activation")
    W, a = _student(teachers[0], W, a)
    if W.ndim != 3 or len(teachers) not in (1, len(W)):
        raise ValueError(
            f"W has shape {W.shape}; with {len(teachers)} teachers it must be (s, m, {W.shape[-1]})"
        )
    eta = _checks.real("eta", eta, minimum=0, strict=True)
    decay = _checks.real_array("decay", decay, minimum=0)
    if decay.ndim not in (1, 2) or 0 in decay.shape or (decay.ndim == 2 and len(decay) != len(W)):
        raise ValueError(f"decay has shape {decay.shape}; it must be (steps,) or ({len(W)}, steps)")
    every = decay.shape[-1] if every is None else _checks.positive_int("every", every)
    target = np.stack([t.W for t in teachers]), np.stack([t.a for t in teachers])
    return _descend(*target, W.copy(), a.copy(), eta, decay, constants.pop(), every)


def _descend(teacher_W, teacher_a, W, a, eta, decay, constants, every):
    """The loop of `descend`, whose arguments are checked."""
    steps = decay.shape[-1]
    for step in range(steps):
        with np.errstate(over="ignore", invalid="ignore"):
            in_W, in_a = _gradient(teacher_W, teacher_a, W, a, constants)
            left = 1 - eta * decay[..., step][..., None]
            W = left[..., None] * W - eta * in_W
            a = left * a - eta * in_a
        if not (np.isfinite(W).all() and np.isfinite(a).all()):
            raise ValueError(f"weights are not finite at step {step}; eta={eta} is too large")
        if (step + 1) % every == 0 or step + 1 == steps:
            yield step + 1, W, a
