"""Students on the exact loss: where they begin, how they are trained, what is stray in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer.data import Teacher, sphere
from twolayer.descent import descend, population
from twolayer.network import TwoLayer
from twolayer.theory.recovering_the_teacher import (
    _constants,
    _gradient,
    _student,
    _units,
    best_readout,
    correlation,
)

__all__ = ["begin", "falling", "run", "stray_mass"]


def begin(
    teacher: Teacher, m: int, rng: np.random.Generator, *, turned: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """A student after stages one and two of Zhou & Ge 2024, balanced.

    Stage one is a gradient step on the first layer, so long that it forgets its start; stage two is
    the best readout at ridge 0.01, on the exact loss. Then |a_i| = |w_i| at the same mass.

    Parameters
    ----------
    teacher : Teacher
    m : int
        Neurons of the student.
    rng : numpy.random.Generator
    turned : bool
        False leaves stage one out: the directions are random.

    Returns
    -------
    W, a : ndarray, shapes (m, d) and (m,)

    Examples
    --------
    >>> W, a = begin(Teacher(np.eye(1, 3), [1.0]), 5, np.random.default_rng(0))
    >>> bool(np.allclose(np.linalg.norm(W, axis=1), abs(a)))
    True
    """
    W = sphere((m, teacher.d), rng)
    if turned:
        W, _ = _units(correlation(teacher, W, np.zeros(m), W)[1])
    a = best_readout(teacher, W, ridge=0.01)
    root = np.sqrt(abs(a))
    return root[:, None] * W, np.sign(a) * root


def falling(steps: int, high: float = 0.03, low: float = 3e-8) -> np.ndarray:
    """Weight decay of every step: held for 30 % of them, geometric for 50 %, held again.

    Examples
    --------
    >>> falling(4, 1.0, 0.01).round(3)
    array([1.   , 1.   , 0.158, 0.016])
    """
    return high * (low / high) ** np.clip((np.arange(steps) / steps - 0.3) / 0.5, 0, 1)


def stray_mass(teacher: Teacher, W: ArrayLike, a: ArrayLike, degrees: float = 5.0) -> np.ndarray:
    """Mass ``|a_i| |w_i|`` on neurons that are near no neuron of the teacher of their sign.

    What `twolayer.measures.recovered_mass` leaves, by the sign of the readout.

    Parameters
    ----------
    teacher : Teacher
        Its activation must be even: w and -w are the same line.
    W, a : array_like, shapes (..., m, d) and (..., m)
    degrees : float
        Largest angle that counts as near.

    Returns
    -------
    ndarray, shape (..., 2)
        The positive and the negative part, both >= 0.

    Examples
    --------
    >>> stray_mass(Teacher(np.eye(1, 2), [1.0]), np.eye(2), [2.0, -3.0])
    array([0., 3.])
    """
    W, a = _student(teacher, W, a)
    U, length = _units(W)
    cosine = abs(U @ teacher.W.T)
    wrong = np.sign(teacher.a)[cosine.argmax(-1)] != np.sign(a)
    far = wrong | (cosine.max(-1) < math.cos(math.radians(degrees)))
    mass = far * a * length
    return np.stack([np.maximum(mass, 0).sum(-1), np.maximum(-mass, 0).sum(-1)], -1)


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
