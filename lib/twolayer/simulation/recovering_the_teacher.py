"""Students on the exact loss and on samples: where they begin, how they are trained, what is stray.

All in the scale of `theory.recovering_the_teacher`, f(x) = sum_i a_i sigma(w_i . x), in and out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twolayer.data import Teacher, sphere
from twolayer.descent import descend, population, sgd
from twolayer.kernels import arc_cosine
from twolayer.measures import recovered_mass, subspace_overlap
from twolayer.network import TwoLayer
from twolayer.theory.recovering_the_teacher import (
    _constants,
    _gradient,
    _student,
    _units,
    best_readout,
    correlation,
    population_loss,
    recovery,
)

__all__ = [
    "begin",
    "begin_on_samples",
    "compare_on_samples",
    "falling",
    "kernel_on_samples",
    "observe",
    "over_first_order",
    "run",
    "stray_mass",
    "train_on_samples",
]


def begin(
    teacher: Teacher, m: int, rng: np.random.Generator, *, turned: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """A student after stages one and two of Zhou & Ge 2024, balanced.

    Stage one is a gradient step on the first layer, so long that it forgets its start; stage two is
    the best readout at ridge 0.01, on the exact loss. Then ``|a_i| = |w_i|`` at the same mass.

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
    >>> bool(np.allclose((W**2).sum(1), a**2))
    True
    """
    W = sphere((m, teacher.d), rng)
    if turned:
        W, _ = _units(correlation(teacher, W, np.zeros(m), W)[1])
    a = best_readout(teacher, W, ridge=0.01)
    root = np.sqrt(abs(a))
    return root[:, None] * W, np.sign(a) * root


def falling(steps: int, high: float = 0.03, low: float = 3e-8) -> np.ndarray:
    """Weight decay of each of `steps` steps: `high` for 30 %, then geometric to `low` at 80 %.

    Examples
    --------
    >>> falling(4, 1.0, 0.01).round(3)
    array([1.   , 1.   , 0.158, 0.016])
    """
    return high * (low / high) ** np.clip((np.arange(steps) / steps - 0.3) / 0.5, 0, 1)


def stray_mass(teacher: Teacher, W: ArrayLike, a: ArrayLike, degrees: float = 5.0) -> np.ndarray:
    """Mass ``|a_i| |w_i|`` on neurons that are near no neuron of the teacher of their sign.

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


def begin_on_samples(
    x: ArrayLike, y: ArrayLike, m: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`begin` with averages over n samples in place of the exact loss; neurons ``|w . x|``.

    Parameters
    ----------
    x : array_like, shape (n, d)
    y : array_like, shape (n,)
    m : int
        Neurons of the student.
    rng : numpy.random.Generator

    Returns
    -------
    W, a : ndarray, shapes (m, d) and (m,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> W, a = begin_on_samples(rng.standard_normal((9, 3)), np.arange(9), 5, rng)
    >>> W.shape, a.shape
    ((5, 3), (5,))
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    rest = y - y.mean()
    signs = np.sign(x @ sphere((m, x.shape[1]), rng).T)
    W, _ = _units((signs * rest[:, None]).T @ x)
    h = abs(x @ W.T)
    h -= h.mean(0)
    a = np.linalg.solve(h.T @ h / len(x) + 0.01 * np.eye(m), h.T @ rest / len(x))
    root = np.sqrt(abs(a))
    return root[:, None] * W, np.sign(a) * root


def train_on_samples(
    W: ArrayLike,
    a: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    rate: float,
    weight_decay: ArrayLike,
    adam: bool = False,
    batch: int | None = None,
    rng: Sequence[np.random.Generator] | None = None,
    record: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Training of both layers on samples, for s students at once, in float32; neurons ``|w . x|``.

    The loss is half the variance of the residual: the constant is fitted in every batch.

    Parameters
    ----------
    W, a : array_like, shapes (s, m, d) and (s, m)
    x, y : array_like, shapes (s, n, d) and (s, n)
        Samples of each student.
    rate : float
        Step size of gradient descent, as `eta` of `run`; or Adam's learning rate, which falls to
        zero along half a cosine.
    weight_decay : array_like, shape (steps,)
        Of every step, >= 0; with Adam it is a part of the gradient.
    adam : bool
    batch : int, optional
        Size of minibatches; all samples without it, which Adam does not do.
    rng : list of s Generators, optional
        Draw the minibatches.
    record : sequence of int, optional
        Numbers of steps, ascending, not with Adam: the students after these come out.

    Returns
    -------
    W, a : ndarray
        As `run` returns them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = Teacher(np.eye(1, 3), [1.0]).sample(200, rng)
    >>> W, a = (v[None] for v in begin_on_samples(x, y, 5, rng))
    >>> W, a = train_on_samples(W, a, x[None], y[None], rate=0.5, weight_decay=np.full(300, 0.01))
    >>> bool(abs(abs(a * np.linalg.norm(W, axis=-1)).sum() - 0.97) < 0.02)
    True
    """
    decay = np.asarray(weight_decay, dtype=float)
    if adam:
        return _adam(W, a, x, y, rate, decay, batch, rng)
    m = np.shape(a)[-1]
    scale = m**0.25  # on each layer, for the 1/sqrt(m) of TwoLayer
    net = TwoLayer(scale * np.asarray(W), scale * np.asarray(a), "abs").astype("float32")
    rates = dict.fromkeys("Wa", rate / 2 * math.sqrt(m))  # the loss of `sgd` has no 1/2
    options = {"loss": "centred", "weight_decay": 2 * decay / math.sqrt(m)}
    method = sgd(x, y, rates=rates, batch=batch, rng=rng, **options)
    end = descend(net, method, len(decay), record=record)
    return tuple(np.asarray(v, dtype=float) / scale for v in (end.W, end.a))


def _adam(W, a, x, y, rate, decay, batch, rngs):
    import torch

    W, a = (torch.tensor(np.float32(v), requires_grad=True) for v in (W, a))
    x, y = (torch.tensor(np.float32(v)) for v in (x, y))
    optimiser = torch.optim.Adam([W, a], lr=rate)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(decay))
    k = torch.arange(len(x))[:, None]
    for now in decay:
        rows = np.stack([rng.integers(x.shape[1], size=batch) for rng in rngs])
        residual = y[k, rows] - (abs(x[k, rows] @ W.mT) @ a[..., None])[..., 0]
        penalty = float(now) / 2 * (W.square().sum() + a.square().sum())
        loss = residual.var(1, correction=0).sum() / 2 + penalty
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fall.step()
    return tuple(v.detach().numpy().astype(float) for v in (W, a))


def observe(teacher: Teacher, W: ArrayLike, a: ArrayLike) -> dict[str, float]:
    """What a student has learnt: loss, its degrees, mass, strays, lines and subspace.

    Neurons W (m, d) and a (m,), as of `run`; of a `teacher` with neurons ``|w . x|``.

    Examples
    --------
    >>> seen = observe(Teacher(np.eye(1, 2), [1.0]), np.eye(2), [1.0, -0.5])
    >>> round(seen["degree 2"], 6), round(seen["minus"], 6)  # 0.5^2 / 2 pi
    (0.039789, 0.5)
    """
    U, length = _units(np.asarray(W, dtype=float))
    nu = np.asarray(a) * length
    cosine = (lines := np.concatenate([U, teacher.W])) @ lines.T
    both = np.append(nu, -teacher.a)
    two, four = (both @ cosine**k @ both * c for k, c in ((2, 0.5 / np.pi), (4, 1 / 24 / np.pi)))
    loss = float(population_loss(teacher, W, a))
    plus, minus = stray_mass(teacher, W, a)
    return {
        "loss": loss,
        "degree 2": float(two),  # eq-rt-degrees
        "degree 4": float(four),
        "higher degrees": max(loss - float(two) - float(four), 0.0),
        "mass": float(abs(nu).sum()),
        "near": recovered_mass(W, a, teacher.W, np.sign(teacher.a)),
        "subspace": subspace_overlap(U * abs(nu)[:, None], teacher.W),
        "plus": float(plus),
        "minus": float(minus),
    }


def over_first_order(
    teacher: Teacher, weight_decay: float, W: ArrayLike, a: ArrayLike
) -> tuple[float, float, float]:
    """Loss, lost mass, mean angle of a student over their first order in `weight_decay`.

    The student is `W`, `a`; the angle that of the barycentre of all neurons nearest to a line of
    `teacher`.

    Examples
    --------
    >>> one = Teacher(np.eye(1, 3), [1.0]), 0.1
    >>> loss, mass, _ = over_first_order(*one, [[0.9, 0.0, 0.0]], [0.9])
    >>> round(mass, 3)  # 0.19 over 0.1 / (1 - 2 / pi)
    0.69
    """
    first, (U, length) = recovery(teacher), _units(np.asarray(W, dtype=float))
    mass, cosine = abs(np.asarray(a)) * length, U @ teacher.W.T
    side = np.sign(cosine) * (abs(cosine) == abs(cosine).max(1)[:, None])
    centres, _ = _units((side * mass[:, None]).T @ U)
    along = (centres * teacher.W).sum(1)[:, None] * teacher.W
    angle = np.degrees(np.arcsin(np.linalg.norm(centres - along, axis=1)))
    with np.errstate(invalid="ignore"):  # of one neuron, which does not turn: 0 / 0
        turned = float((angle / first.angles(weight_decay)).mean())
    lost = (abs(teacher.a).sum() - mass.sum()) / (weight_decay * first.constant)
    return float(population_loss(teacher, W, a) / first.loss(weight_decay)), float(lost), turned


def compare_on_samples(
    plans: Mapping[tuple[str, float], Mapping],
    n: int,
    rngs: Sequence[np.random.Generator],
    *,
    d: int = 20,
    m: int = 40,
    noise: float = 0.0,
) -> list[dict]:
    """Ways of training from one start on one sample, for teachers of readout 1, -1, 1.

    Parameters
    ----------
    plans : dict
        (arm, setting) to the options of `train_on_samples` and a "size" that multiplies the start.
    n, d, m : int
        Samples, dimension, neurons.
    rngs : list of numpy.random.Generator
        One for each teacher.
    noise : float
        Of the labels.

    Returns
    -------
    list of dict
        n, noise, arm, setting, seed (the teacher's number), error, near5 and near10 (shares of mass
        within 5 and 10 degrees), valid (error on 500 validation samples); where a plan records, at
        the step where this is least. Both errors are inf where one of the students diverges.

    Examples
    --------
    >>> plans = {("descent", 0.5): {"rate": 0.5, "weight_decay": np.full(200, 1e-3)}}
    >>> (row,) = compare_on_samples(plans, 300, [np.random.default_rng(0)], d=5)
    >>> row["arm"], row["setting"], row["error"] < 0.01
    ('descent', 0.5, True)
    """
    teachers = [Teacher.random(d, [1.0, -1.0, 1.0], rng, noise=noise) for rng in rngs]
    pairs = (teacher.sample(n, rng) for teacher, rng in zip(teachers, rngs, strict=True))
    x, y = (np.stack(v) for v in zip(*pairs, strict=True))
    fresh = [teacher.sample(500, rng) for teacher, rng in zip(teachers, rngs, strict=True)]
    starts = [begin_on_samples(u, v, m, rng) for u, v, rng in zip(x, y, rngs, strict=True)]
    W, a = (np.stack(v) for v in zip(*starts, strict=True))
    rows = []
    for (arm, setting), plan in plans.items():
        options = dict(plan)
        size = options.pop("size", 1.0)
        try:
            ends = train_on_samples(size * W, size * a, x, y, rng=rngs, **options)
        except ValueError as why:
            if "too large" not in str(why):
                raise
            lost = [_row(n, noise, arm, setting, k, *_LOST) for k in range(len(rngs))]
            rows += lost
            continue
        path = zip(*ends, strict=True) if "record" in options else [ends]
        scores = [list(map(_score, teachers, fresh, *at)) for at in path]
        for k, along in enumerate(zip(*scores, strict=True)):
            best = min(along, key=lambda score: score[-1])
            rows.append(_row(n, noise, arm, setting, k, *best))
    return rows


_LOST = math.inf, 0.0, 0.0, math.inf


def _row(*values):
    names = ("n", "noise", "arm", "setting", "seed", "error", "near5", "near10", "valid")
    return dict(zip(names, values, strict=True))


def _score(teacher, fresh, W, a):
    rest = fresh[1] - abs(fresh[0] @ W.T) @ a
    near = [recovered_mass(W, a, teacher.W, teacher.a, degrees) for degrees in (5, 10)]
    return float(population_loss(teacher, W, a)), *near, float(rest.var() / 2)


def kernel_on_samples(
    n: int, ridges: Sequence[float], rngs: Sequence[np.random.Generator], *, d: int = 20
) -> list[dict]:
    """Rows as of `compare_on_samples` for kernel ridge regression, even arc-cosine kernel.

    `ridges` are multiplied by `n`; errors are on 2000 fresh samples, of dimension `d`; one teacher
    for each of `rngs`.

    Examples
    --------
    >>> rows = kernel_on_samples(50, [1e-3, 1e3], [np.random.default_rng(0)], d=3)
    >>> rows[0]["error"] < rows[1]["error"]
    True
    """
    from sklearn.kernel_ridge import KernelRidge

    rows = []
    for k, rng in enumerate(rngs):
        teacher = Teacher.random(d, [1.0, -1.0, 1.0], rng)
        x, valid, test = (teacher.sample(size, rng) for size in (n, 500, 2000))
        grams = [arc_cosine(v, x[0]) + arc_cosine(v, -x[0]) for v, _ in (x, valid, test)]
        mean = x[1].mean()
        for ridge in ridges:
            model = KernelRidge(alpha=n * ridge, kernel="precomputed").fit(grams[0], x[1] - mean)
            pairs = zip(grams[1:], (valid, test), strict=True)
            off = [np.mean((y - mean - model.predict(gram)) ** 2) / 2 for gram, (_, y) in pairs]
            row = _row(n, 0.0, "kernel", ridge, k, float(off[1]), 0.0, 0.0, float(off[0]))
            rows.append(row)
    return rows
