"""Teacher and student on Gaussian inputs: the exact loss, and what training ends at.

Student f(x) = sum_i a_i sigma(w_i . x), without a factor 1/sqrt(m): `a` is a network's readout over
sqrt(m). The loss is E[(f - f*)^2] / 2, the penalty ``weight_decay (|W|^2 + |a|^2) / 2``. The
setting of Zhou & Ge 2024, 'How Does Gradient Descent Learn Features'; the chapter *Recovering the
teacher* derives the formulas.

Activations are ``"abs"`` and ``"relu"``. With `affine` the student has a free constant (and for the
ReLU a free linear part) that is always the best one: the residual has none.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import Teacher

__all__ = [
    "Recovery",
    "best_readout",
    "certificate_peak",
    "correlation",
    "optimum",
    "population_gradient",
    "population_loss",
    "recovery",
]

# E[sigma(u.x) sigma(v.x)] = c (sqrt(1 - r^2) - s + r asin r) + e r for unit u, v with cosine r,
# where s = 1 takes the constant (and, for the ReLU, the linear part) away and s = 0 leaves it.
_SCALES = {"abs": (2 / math.pi, 0.0), "relu": (1 / (2 * math.pi), 0.25)}


def _constants(teacher, affine):
    _checks.instance("teacher", teacher, Teacher)
    name = _checks.one_of("teacher.activation", teacher.activation.name, tuple(_SCALES))
    c, e = _SCALES[name]
    return c, float(affine), 0.0 if affine else e


def _student(teacher, W, a):
    W, a = _checks.real_array("W", W), _checks.real_array("a", a)
    if W.ndim < 2 or W.shape[-1] != teacher.d:
        raise ValueError(f"W has shape {W.shape}; it must be (..., m, {teacher.d})")
    if a.shape != W.shape[:-1]:
        raise ValueError(f"a has shape {a.shape}; for W of shape {W.shape} it must be one less")
    return W, a


def _rows(teacher, v):
    v = _checks.real_array("v", v)
    if v.ndim != 2 or v.shape[1] != teacher.d or not v.any(1).all():
        raise ValueError(f"v has shape {v.shape}; it must be (p, {teacher.d}), no row zero")
    return v


def _units(W):
    length = np.linalg.norm(W, axis=-1)
    return W / np.where(length > 0, length, 1)[..., None], length


def _signed(teacher_W, teacher_a, W, a):
    """Unit vectors of student and teacher, stacked, and the masses of f - f* on them."""
    U, length = _units(W)
    B = np.concatenate([U, np.broadcast_to(teacher_W, (*W.shape[:-2], *teacher_W.shape[-2:]))], -2)
    minus = np.broadcast_to(-teacher_a, (*a.shape[:-1], teacher_a.shape[-1]))
    return U, length, B, np.concatenate([a * length, minus], -1)


def _kernel(U, B, c, s, e):
    """E[sigma(u.x) sigma(b.x)] for all pairs of unit rows."""
    cosine = np.clip(U @ np.swapaxes(B, -1, -2), -1, 1)
    root = np.sqrt((1 - cosine) * (1 + cosine))  # 1 - cosine^2 would lose digits near one
    return c * (root - s + cosine * np.arcsin(cosine)) + e * cosine  # eq-rt-kernel


def _bracket(U, B, q, c, s, e):
    """Value and gradient in v at unit vectors U of sum_b q_b E[sigma(v.x) sigma(b.x)], B unit rows.

    Any leading axes: U (..., m, d), B (..., k, d), q (..., k). Since the sum is homogeneous of
    degree one in v, its value at a unit vector is the gradient's part along it. Near one the errors
    of root and arc sine are as large as 1e-8, and cancel in this sum.
    """
    cosine = U @ np.swapaxes(B, -1, -2)
    np.clip(cosine, -1, 1, out=cosine)
    root = 1 - cosine
    root *= 1 + cosine
    np.sqrt(root, out=root)
    along = c * ((root @ q[..., None])[..., 0] - s * q.sum(-1, keepdims=True))
    np.arcsin(cosine, out=cosine)
    if e:
        cosine += e / c
    cosine *= c * q[..., None, :]
    gradient = cosine @ B
    gradient += along[..., None] * U  # eq-rt-pull
    return (gradient * U).sum(-1), gradient


def _gradient(teacher_W, teacher_a, W, a, constants):
    U, length, B, q = _signed(teacher_W, teacher_a, W, a)
    value, gradient = _bracket(U, B, q, *constants)
    gradient *= a[..., None]
    return gradient, length * value


def correlation(
    teacher: Teacher, W: ArrayLike, a: ArrayLike, v: ArrayLike, *, affine: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """E[(f* - f)(x) sigma(v . x)] and its gradient in v: what the residual has to say to a neuron.

    Over the weight decay it is the dual certificate of the regularised problem. Arc-cosine kernel
    of degree one: Cho & Saul 2009.

    Parameters
    ----------
    teacher : Teacher
    W, a : array_like, shapes (m, d) and (m,)
        The student. With a = 0 it is the teacher alone that speaks.
    v : array_like, shape (p, d)
        Rows, not zero; homogeneous of degree one in each.
    affine : bool

    Returns
    -------
    value, gradient : ndarray, shapes (p,) and (p, d)

    Examples
    --------
    >>> teacher = Teacher(np.eye(1, 2), [1.0])
    >>> value, gradient = correlation(teacher, np.eye(1, 2), [0.0], [[0.0, 2.0]], affine=False)
    >>> value.round(6), gradient.round(6)  # E|x_1| E|2 x_2| = 4 / pi
    (array([1.27324]), array([[0.     , 0.63662]]))
    """
    constants = _constants(teacher, affine)
    W, a = _student(teacher, W, a)
    v = _rows(teacher, v)
    _, _, B, q = _signed(teacher.W, teacher.a, W, a)
    U, length = _units(v)
    value, gradient = _bracket(U, B, -q, *constants)
    return value * length, gradient  # eq-rt-correlation


def population_loss(
    teacher: Teacher, W: ArrayLike, a: ArrayLike, *, affine: bool = True
) -> np.ndarray:
    """E[(f - f*)^2] / 2, exact; without label noise and weight decay.

    Rounding is some 1e-16 of the square of the total mass: a loss below that reads as zero or so.

    Parameters
    ----------
    teacher : Teacher
    W, a : array_like, shapes (..., m, d) and (..., m)
    affine : bool

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> teacher = Teacher(np.eye(1, 2), [1.0])
    >>> float(population_loss(teacher, np.eye(1, 2), [1.0])) < 1e-12
    True
    """
    constants = _constants(teacher, affine)
    W, a = _student(teacher, W, a)
    _, _, B, q = _signed(teacher.W, teacher.a, W, a)
    value = (_kernel(B, B, *constants) @ q[..., None])[..., 0]
    return np.maximum((q * value).sum(-1) / 2, 0)  # eq-rt-correlation


def population_gradient(
    teacher: Teacher, W: ArrayLike, a: ArrayLike, *, affine: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `population_loss` in both layers.

    Parameters
    ----------
    teacher : Teacher
    W, a : array_like, shapes (..., m, d) and (..., m)
    affine : bool

    Returns
    -------
    in_W, in_a : ndarray, shapes (..., m, d) and (..., m)

    Examples
    --------
    >>> teacher = Teacher(np.eye(1, 2), [1.0])
    >>> in_W, in_a = population_gradient(teacher, [[1.0, 0.0]], [0.0], affine=False)
    >>> in_a  # f = 0: minus E|x_1|^2
    array([-1.])
    """
    constants = _constants(teacher, affine)
    W, a = _student(teacher, W, a)
    return _gradient(teacher.W, teacher.a, W, a, constants)


def best_readout(
    teacher: Teacher, W: ArrayLike, ridge: float, *, affine: bool = True
) -> np.ndarray:
    """The best readout over a fixed first layer: least ``population_loss + ridge |a|^2 / 2``.

    Parameters
    ----------
    teacher : Teacher
    W : array_like, shape (m, d)
    ridge : float
        > 0.
    affine : bool

    Returns
    -------
    ndarray, shape (m,)

    Examples
    --------
    >>> teacher = Teacher(np.eye(1, 2), [1.0])
    >>> best_readout(teacher, [[1.0, 0.0]], 1.0, affine=False)
    array([0.5])
    """
    constants = _constants(teacher, affine)
    W, _ = _student(teacher, W, np.zeros(np.shape(W)[:-1]))
    if W.ndim != 2:
        raise ValueError(f"W has shape {W.shape}; it must be (m, {teacher.d})")
    ridge = _checks.real("ridge", ridge, minimum=0, strict=True)
    U, length = _units(W)
    gram = _kernel(U, U, *constants) * np.multiply.outer(length, length)
    right, _ = _bracket(U, teacher.W, teacher.a, *constants)
    values, vectors = np.linalg.eigh(gram)
    kept = values > len(W) * np.finfo(float).eps * values[-1]  # others: zero but for rounding
    return vectors[:, kept] @ ((right * length) @ vectors[:, kept] / (values[kept] + ridge))


def _arcs(U, V):
    """Cosine, its root sqrt(1 - cosine^2) and its arc sine, for all pairs of unit rows.

    Near one these two lose half of the digits of the cosine's; there they are the chord's.
    """
    cosine = np.clip(U @ V.T, -1, 1)
    root, arc = np.sqrt((1 - cosine) * (1 + cosine)), np.arcsin(cosine)
    i, j = np.nonzero(abs(cosine) > 0.999)
    side = np.sign(cosine[i, j])
    chord = U[i] - side[:, None] * V[j]
    half = np.sqrt(np.einsum("nd,nd->n", chord, chord)) / 2
    root[i, j] = 2 * half * np.sqrt(1 - half**2)
    arc[i, j] = side * (math.pi / 2 - 2 * np.arcsin(half))
    return cosine, root, arc


def _mixed(U, V, constants):
    """d^2 E[sigma(u.x) sigma(v.x)] / du dv for all pairs of unit rows: shape (p, q, d, d)."""
    c, s, e = constants
    cosine, root, arc = (value[..., None, None] for value in _arcs(U, V))
    u, v = U[:, None, :, None], V[None, :, None, :]
    across = np.swapaxes(v, -1, -2) - cosine * u, np.swapaxes(u, -1, -2) - cosine * v
    bent = c / np.maximum(root, 1e-12) * across[0] * across[1]  # both factors vanish with the root
    return (c * arc + e) * np.eye(U.shape[1]) + c * (root - s) * u * v + bent  # eq-rt-gamma


@dataclasses.dataclass(frozen=True, eq=False)
class Recovery:
    """What gradient descent with a small weight decay ends at, to first order in the decay.

    If every teacher's neuron is met by student's neurons of its own sign that share one direction.

    Attributes
    ----------
    teacher : Teacher
    shift : ndarray, shape (k, d)
        c: the neuron that stands for the j-th of the teacher is ``|a_j| w_j - weight_decay c_j``,
        in mass times direction.
    affine : bool
    """

    teacher: Teacher
    shift: np.ndarray
    affine: bool

    @functools.cached_property
    def constant(self) -> float:
        """C = sum_j c_j . w_j: what the loss and the mass lose."""
        return float((self.shift * self.teacher.W).sum())  # eq-rt-prediction

    def loss(self, weight_decay: ArrayLike) -> np.ndarray:
        """weight_decay^2 C / 2, for an array of decays."""
        weight_decay = _checks.real_array("weight_decay", weight_decay, minimum=0)
        return np.square(weight_decay) * self.constant / 2  # eq-rt-prediction

    def mass(self, weight_decay: ArrayLike) -> np.ndarray:
        """``sum_i |a_i| |w_i|``: the teacher's less weight_decay C, for an array of decays."""
        weight_decay = _checks.real_array("weight_decay", weight_decay, minimum=0)
        return abs(self.teacher.a).sum() - weight_decay * self.constant

    def angles(self, weight_decay: ArrayLike) -> np.ndarray:
        """Degrees between each direction and the teacher's, shape (..., k)."""
        weight_decay = _checks.real_array("weight_decay", weight_decay, minimum=0)
        W = self.teacher.W
        tangent = self.shift - (self.shift * W).sum(1, keepdims=True) * W
        slope = np.linalg.norm(tangent, axis=1) / abs(self.teacher.a)  # eq-rt-prediction
        return np.degrees(np.multiply.outer(weight_decay, slope))

    def certificate(self, v: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """The limit of `correlation` over a vanishing weight decay, and its gradient.

        At rows v (p, d), not zero, and homogeneous of degree one in each: the dual certificate is
        the value at rows of length one.
        """
        U, length = _units(_rows(self.teacher, v))
        c, s, e = _constants(self.teacher, self.affine)
        W, signed = self.teacher.W, np.sign(self.teacher.a)[:, None] * self.shift
        cosine, root, arc = _arcs(U, W)  # row by row what `_mixed` does to `signed`
        along = (signed * W).sum(1)
        bent = c / np.maximum(root, 1e-12) * (U @ signed.T - cosine * along)
        gradient = (c * arc + e) @ signed + bent @ W  # eq-rt-limit
        gradient += (c * (root - s) * along - bent * cosine).sum(1, keepdims=True) * U
        return (gradient * U).sum(1) * length, gradient


def recovery(teacher: Teacher, *, affine: bool = True) -> Recovery:
    """Loss, mass, directions and dual certificate as the weight decay falls to zero.

    The loss is quadratic in small moves of the neurons; the decay pulls each with its sign's
    force along itself. The certificate is the one of least norm for which values and slopes at the
    teacher's directions are right: Duval & Peyré 2015 for sparse spikes.

    Parameters
    ----------
    teacher : Teacher
        No two ReLU neurons that differ by an affine part only, if `affine`.
    affine : bool

    Warns
    -----
    ConvergenceWarning
        If two neurons nearly coincide, so that rounding leaves less than six digits.

    Examples
    --------
    >>> one = recovery(Teacher(np.eye(1, 3), [2.0]))
    >>> round(one.constant * (1 - 2 / np.pi), 9), round(float(one.mass(0.0)), 9)
    (1.0, 2.0)
    """
    constants = _constants(teacher, affine)
    W, sign = teacher.W, np.sign(teacher.a)
    k, d = W.shape
    if affine and (W @ W.T).min() < 1e-12 - 1:  # of a ReLU: they differ by a linear part
        raise ValueError("teacher has opposite rows; without affine parts they are duplicates")
    curvature = _mixed(W, W, constants) * np.multiply.outer(sign, sign)[..., None, None]
    values, vectors = np.linalg.eigh(curvature.swapaxes(1, 2).reshape(k * d, k * d))
    if values[0] < 1e-10 * values[-1]:
        condition = values[-1] / max(values[0], 1e-300)
        _checks.warn_convergence(
            "two neurons of the teacher nearly coincide: "
            f"the curvature has condition number {condition:.0e}, which leaves few digits"
        )
    shift = vectors @ (W.ravel() @ vectors / values)  # eq-rt-prediction
    return Recovery(teacher, shift.reshape(k, d), bool(affine))


def optimum(
    teacher: Teacher, weight_decay: float, *, affine: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The stationary student with one neuron for each of the teacher's, at a finite weight decay.

    It minimises the regularised loss over all students, of any width, if the absolute value of
    `correlation` / `weight_decay` exceeds one nowhere on the sphere. At balance the penalty is
    weight_decay times the sum of ``|a_i| |w_i|``.

    Parameters
    ----------
    teacher : Teacher
    weight_decay : float
        > 0, and so small that no neuron vanishes.
    affine : bool

    Returns
    -------
    W, a : ndarray, shapes (k, d) and (k,)
        Balanced: ``|a_j| = |w_j|``.

    Warns
    -----
    ConvergenceWarning
        If the solver stops early.

    Examples
    --------
    >>> W, a = optimum(Teacher(np.eye(1, 3), [1.0]), 0.1)
    >>> round(float(a[0] ** 2), 6), round(1 - 0.1 / (1 - 2 / np.pi), 6)
    (0.724806, 0.724806)
    """
    from scipy import optimize

    constants = _constants(teacher, affine)
    weight_decay = _checks.real("weight_decay", weight_decay, minimum=0, strict=True)
    basis = np.linalg.qr(teacher.W.T)[0].T  # the solution stays in the teacher's span
    W, sign = teacher.W @ basis.T, np.sign(teacher.a)

    def force(flat, decay):
        v = flat.reshape(W.shape)
        U, _, B, q = _signed(W, teacher.a, v, sign)
        return (sign[:, None] * _bracket(U, B, q, *constants)[1] + decay * U).ravel()

    limit = recovery(teacher, affine=affine)
    first = min(weight_decay, 0.05 * abs(teacher.a).min() / limit.constant)
    flat = (abs(teacher.a)[:, None] * W - first * limit.shift @ basis.T).ravel()
    levels = np.geomspace(first, weight_decay, 1 + math.ceil(3 * math.log(weight_decay / first)))
    levels[-1] = weight_decay  # followed from where the first-order solution is good
    for now in levels:
        flat = optimize.root(force, flat, (now,), tol=1e-13).x
        rest, v = abs(force(flat, now)).max(), flat.reshape(W.shape)
        length = np.linalg.norm(v, axis=1)
        turned = ((v * W).sum(1) < 0.1 * length).any()
        if turned or length.min() < 1e-6 or rest > 1e-3 * now:
            raise ValueError(
                f"weight_decay={weight_decay} is too large: a neuron of the teacher's vanishes"
            )
    if rest > 1e-9:
        _checks.warn_convergence(
            f"the stationary student is found up to a force of {rest:.0e} only; take a smaller "
            f"weight decay than {weight_decay:g}"
        )
    root = np.sqrt(length)
    return v / root[:, None] @ basis, sign * root


def certificate_peak(
    certificate: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    directions: ArrayLike,
    rng: np.random.Generator,
    *,
    starts: int = 400,
    steps: int = 200,
) -> float:
    """The largest absolute value of a certificate on the sphere, by ascent from random starts.

    A lower bound of the maximum: above one it proves that the certificate fails. The search is in
    the span of the directions and one more, on which a certificate depends.

    Parameters
    ----------
    certificate : callable
        Unit rows (p, d) to values (p,) and gradients (p, d), as `Recovery.certificate`.
    directions : array_like, shape (k, d)
        The teacher's.
    rng : numpy.random.Generator
        Draws the starts.
    starts : int
    steps : int
        Of ascent, from 0.2 down to 0.0002 in length.

    Returns
    -------
    float

    Examples
    --------
    >>> teacher = Teacher(np.eye(2, 4), [1.0, -1.0])
    >>> peak = certificate_peak(recovery(teacher).certificate, teacher.W, np.random.default_rng(0))
    >>> round(peak, 4)
    1.0
    """
    W = _checks.real_array("directions", directions)
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(f"directions has shape {W.shape}; it must be (k, d)")
    if not callable(certificate):
        raise TypeError(f"certificate={certificate!r} must be callable")
    starts, steps = _checks.positive_int("starts", starts), _checks.positive_int("steps", steps)
    spare = np.eye(W.shape[1])[:1] if len(W) < W.shape[1] else W[:0]
    basis = np.linalg.qr(np.concatenate([W, spare]).T)[0].T
    v = _units(_checks.generator(rng).standard_normal((starts, len(basis))) @ basis)[0]
    best = 0.0
    for stride in 0.2 * 0.01 ** np.linspace(0, 1.5, steps):
        value, gradient = certificate(v)
        best = max(best, float(abs(value).max()))
        tangent = (gradient - value[:, None] * v) * np.sign(value)[:, None]
        length = np.linalg.norm(tangent, axis=1, keepdims=True)
        v = _units(v + stride * tangent / np.maximum(length, 1e-12))[0]
    return best
