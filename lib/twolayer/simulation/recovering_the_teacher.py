"""Gradient descent on the exact loss of a student."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer.data import Teacher
from twolayer.descent import descend, population
from twolayer.network import TwoLayer
from twolayer.theory.recovering_the_teacher import _constants, _gradient, _student

__all__ = ["run"]


def run(
    teachers: Teacher | Sequence[Teacher],
    W: ArrayLike,
    a: ArrayLike,
    *,
    eta: float,
    weight_decay: ArrayLike,
    affine: bool = True,
    record: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient descent of both layers on `population_loss`, with weight decay, for some students.

    In the scale of `theory.recovering_the_teacher`, f(x) = sum_i a_i sigma(w_i . x), in and out. A
    step costs about 6 m^2 d multiply-adds, m^2 square roots and m^2 arc sines a student.

    Parameters
    ----------
    teachers : Teacher, or sequence of s Teachers
        One for all students, or one for each, of one shape and activation.
    W, a : array_like, shapes (m, d) and (m,), or (s, m, d) and (s, m) for s students
    eta : float
        Step size, > 0.
    weight_decay : array_like, shape (steps,) or (s, steps)
        Of every step, >= 0; a row for each student if there are two axes.
    affine : bool
        See `theory.recovering_the_teacher`.
    record : sequence of int, optional
        Numbers of steps, ascending: the students after these come out, along a new first axis.

    Returns
    -------
    W, a : ndarray
        Of the shapes given, or with one more axis in front.

    Examples
    --------
    >>> from twolayer.theory.recovering_the_teacher import population_loss
    >>> rng = np.random.default_rng(0)
    >>> teacher = Teacher.random(5, [1.0, -1.0], rng)
    >>> W, a = rng.standard_normal((30, 5)) / 10, rng.choice([-0.1, 0.1], 30)
    >>> W, a = run(teacher, W, a, eta=0.5, weight_decay=np.full(400, 1e-3))
    >>> bool(population_loss(teacher, W, a) < 1e-4)
    True
    """
    teachers = [teachers] if isinstance(teachers, Teacher) else list(teachers)
    constants = {_constants(teacher, affine) for teacher in teachers}
    if len(constants) != 1 or len({teacher.W.shape for teacher in teachers}) != 1:
        raise ValueError("teachers must be of one shape and activation")
    W, a = _student(teachers[0], W, a)
    if W.ndim > 3 or len(teachers) not in (1, *W.shape[:-2]):
        raise ValueError(
            f"W has shape {W.shape}; with {len(teachers)} teachers it must be (s, m, {W.shape[-1]})"
        )
    if not np.ndim(weight_decay):
        raise ValueError(f"weight_decay={weight_decay!r} must be an array, a number for each step")
    if len(teachers) == 1:
        target = teachers[0].W, teachers[0].a
    else:
        target = np.stack([t.W for t in teachers]), np.stack([t.a for t in teachers])
    (constants,), root = constants, math.sqrt(W.shape[-2])

    def gradient(W, a):
        return _gradient(*target, W, a, constants)

    np.empty(1 << 21)  # 16 MB, freed at once: from then on glibc keeps a step's memory
    start = TwoLayer(W, root * a, teachers[0].activation)
    method = population(gradient, eta=eta, weight_decay=weight_decay)
    end = descend(start, method, np.shape(weight_decay)[-1], record=record)
    return end.W, end.a / root
