"""The exact error of a ridge readout after a large step, for readouts of any law.

After the step a neuron of readout ``g_j / sqrt(m)`` sees ``r g_j k + b_g z``: the input's
projection k on the gradient, the same for all, and a Gaussian of its own. On a grid over (k, g)
its feature has a mean, a part linear in z, and a rest that acts as noise. A sample at k leaves a
share p of its error to the others; a neuron at g holds G. Both follow from each other, and the
error from one derivative of the ridge loss. Derived in the chapter `higher_spikes`, in depth.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from twolayer import _checks, activations
from twolayer.hermite import nodes
from twolayer.theory import _spike

_REACH = 9.0  # of k and g, in standard deviations
STEP = 0.12  # of the grid, in asinh
_STEPS = 60  # of Newton
_JUMP, _SEEN = 0.3, 1e-7  # of p between nodes, where they have that weight: errors below 1e-4


class Neurons(NamedTuple):
    """What neurons at g, with weights v, give on average at k: arrays of shape (k, g)."""

    g: np.ndarray
    v: np.ndarray
    mean: np.ndarray  # E f(r g k + b_g z)
    linear: np.ndarray  # E z f
    rest: np.ndarray  # E (f - mean - linear z)^2


class Inputs(NamedTuple):
    """What inputs at k, with weights w, carry: zeta = mean + std xi, y = e0 + e1 xi + rest."""

    k: np.ndarray
    w: np.ndarray
    mean: np.ndarray  # E[zeta given k], zeta the coordinate along what v misses of the target
    std: np.ndarray
    e0: np.ndarray  # E[y given k]
    e1: np.ndarray  # E[y xi given k]
    rest: np.ndarray  # E[(y - e0 - e1 xi)^2 given k]


def graded(width, reach=_REACH, step=STEP):
    """Nodes dense near 0, within `width`, wider apart further out; weights of dx."""
    count = math.ceil(math.asinh(reach / width) / step)
    t = math.asinh(reach / width) / count * np.arange(-count, count + 1)
    return width * np.sinh(t), width * np.cosh(t) * t[count + 1]


def density(z):
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def law(readout, r):
    """Sizes g of the readouts, times sqrt(m), and their probabilities."""
    if readout == "equal":
        return np.array([-1.0, 1.0]), np.full(2, 0.5)
    if readout == "gaussian":
        g, v = graded(1.5 / (1 + 4 * r))
        return g, v * density(g)
    return nodes((), 2 * readout)


@functools.lru_cache(maxsize=32)
def neurons(activation, r, excess, readout, k):
    """The table over k (a tuple) and the readouts' law; b_g^2 = 1 + excess g^2."""
    f, k = activations.get(activation), np.array(k)
    g, v = law(readout, r)
    half = len(g) // 2 if f.parity else 0  # an odd or even function at -g is known from g
    found = [_spike.moments(f, r * size * k, math.sqrt(1 + excess * size**2)) for size in g[half:]]
    mean, linear, _, rest = np.array(found).transpose(1, 2, 0)  # eq-hs-tables
    if f.parity:
        back = slice(None, 0 if len(g) % 2 else None, -1)
        mean, linear, rest = (
            np.concatenate([sign * part[:, back], part], axis=1)
            for part, sign in ((mean, f.parity), (linear, -f.parity), (rest, 1))
        )
    return Neurons(g, v, mean, linear, np.maximum(rest, 0))


class Fit(NamedTuple):
    """A ridge fit at each k: what it learns of the mean and of xi, and its mean squared error."""

    f0: np.ndarray
    f1: np.ndarray
    error: np.ndarray
    converged: bool
    jump: float  # largest jump of p from node to node


def fit(inputs, neurons, alpha, width_ratio, d, ridge, centred=False):
    """The fit of n = alpha d samples by m = width_ratio d neurons, their columns centred or not.

    Errors hold for fresh samples, the noise of their labels included.
    """
    problem = _Problem(inputs, neurons, alpha, width_ratio, d, ridge, centred)
    with np.errstate(all="ignore"):
        loop, jacobian, converged = problem.solve()
        jump = np.max(abs(np.diff(loop.p)) * (inputs.w[1:] > _SEEN) * (inputs.w[:-1] > _SEEN))
        return Fit(*problem.read(loop, jacobian), converged, jump)


class _Loop(NamedTuple):
    """One trip around: what neurons hold and samples see, given G of neurons and V of samples."""

    G: np.ndarray
    V: np.ndarray
    p: np.ndarray  # the share of its error that a sample leaves
    held: np.ndarray  # 1/G, by taking a neuron out
    seen: np.ndarray  # V, by taking a sample out
    both: np.ndarray  # d held / d omega, (k, g)
    kk: np.ndarray  # - d seen / d omega / beta
    gg: np.ndarray  # - d held / d (v G) / beta


class _Problem:
    """The two equations, for G over the readouts and V over the inputs."""

    def __init__(self, inputs, neurons, alpha, width_ratio, d, ridge, centred):
        self.inputs, self.neurons, self.d, self.ridge = inputs, neurons, d, ridge
        self.centred = centred
        self.beta, self.n = width_ratio, alpha * d
        self.ratio = alpha / width_ratio  # n/m
        left, values, right = np.linalg.svd(neurons.linear, full_matrices=False)
        rank = max(1, int((values > 1e-13 * values[0]).sum()))
        root = np.sqrt(values[:rank])
        self.of_k, self.of_g = left[:, :rank] * root, right[:rank].T * root

    def start(self):
        """log (G, V) where every sample is left to the others: below the fixed point."""
        neurons = self.neurons
        own = neurons.rest + neurons.linear**2
        G = 1 / (self.ridge + self.ratio * self.inputs.w @ own)
        return np.log(np.concatenate([G, own @ (neurons.v * G)]))

    def loop(self, state):
        """Take one neuron out, and one sample: what they meet."""
        neurons = self.neurons
        G, V = np.split(np.exp(state), [len(neurons.g)])
        p = 1 / (1 + V)
        omega = self.ratio * self.inputs.w * p
        S = (self.of_k.T * omega) @ self.of_k
        C = (self.of_g.T * (neurons.v * G)) @ self.of_g  # eq-hs-kernel
        A = np.linalg.inv(np.eye(len(S)) + self.beta * C @ S)
        kk = self.of_k @ (A @ C) @ self.of_k.T
        gg = self.of_g @ (S @ A) @ self.of_g.T
        held = self.ridge + omega @ neurons.rest + np.diag(gg)  # eq-hs-G
        seen = np.diag(kk) + neurons.rest @ (neurons.v * G)  # eq-hs-V
        both = (self.of_k @ A @ self.of_g.T) ** 2 + neurons.rest
        return _Loop(G, V, p, held, seen, both, kk**2, gg**2)

    def balance(self, state):
        """The loop, logarithms of the equations' ratios, and their derivatives in log (G, V)."""
        at = self.loop(state)
        gap = np.log(np.concatenate([at.G * at.held, at.V / at.seen]))
        share = self.neurons.v * at.G  # d (v G) / d log G
        push = -self.ratio * self.inputs.w * at.p**2 * at.V  # d omega / d log V
        held, seen = at.held[:, None], at.seen[:, None]
        jacobian = np.eye(len(state)) + np.block(
            [
                [-self.beta * at.gg * share / held, at.both.T * push / held],
                [-at.both * share / seen, self.beta * at.kk * push / seen],
            ]
        )
        return at, gap, jacobian

    def solve(self):
        """Newton: the loop at its fixed point, the Jacobian there, and whether it converged."""
        state = self.start()
        for _ in range(_STEPS):
            at, gap, jacobian = self.balance(state)
            size = np.abs(gap).max()
            if not size > 1e-12:
                break
            step = np.linalg.solve(jacobian, gap)
            state = state - step / max(1.0, np.abs(step).max() / 3)
        return at, jacobian, bool(size < 1e-9)

    def signals(self, G):
        """Square root of the kernel of what all samples at k share, over (1, xi)."""
        inputs, neurons = self.inputs, self.neurons
        root = np.sqrt(neurons.v * G)
        along = neurons.linear * (root / math.sqrt(self.d))  # eq-hs-common, eq-mx-pair
        none = np.zeros_like(along)
        first = np.c_[neurons.mean * root, inputs.k[:, None] * along, inputs.mean[:, None] * along]
        if self.centred:
            first = first - inputs.w @ first
        return np.block([[first], [none, none, inputs.std[:, None] * along]])

    def read(self, at, jacobian):
        """The learnt functions f0, f1 of k, and the test error at each k.

        The error is the derivative of the ridge loss in a sample's weight, which moves omega by
        ratio p^2; what moves with it, G and V, comes by one adjoint equation.
        """
        inputs = self.inputs
        root = np.sqrt(np.tile(inputs.w * at.p, 2))
        signals = self.signals(at.G)
        scaled = math.sqrt(self.n) * root[:, None] * signals  # eq-hs-fit
        e = np.concatenate([inputs.e0, inputs.e1])
        missed = np.linalg.solve(np.eye(len(e)) + scaled @ scaled.T, root * e) / root  # e - f
        residual = inputs.rest + (missed.reshape(2, -1) ** 2).sum(0)
        by_G = -self.n * (((root**2 * missed) @ signals) ** 2).reshape(3, -1).sum(0)
        by_V = -inputs.w * at.p**2 * at.V * residual
        adjoint = np.linalg.solve(jacobian.T, np.concatenate([by_G, by_V]))
        of_G, of_V = np.split(adjoint, [len(at.G)])
        moved = at.both @ (of_G / at.held) + self.beta * at.kk @ (of_V / at.seen)
        f0, f1 = e.reshape(2, -1) - missed.reshape(2, -1)
        return f0, f1, residual - self.ratio * moved  # eq-hs-error, eq-mx-error


def curve(step, tables, alpha, ridge, summary, centred=False):
    """`summary` of each fit, nan where it did not converge, with a warning.

    ``tables(finer)`` gives inputs, neurons and more on a grid so many times finer. Where p jumps
    between nodes, as for tiny ridges and few sizes of readouts, finer ones are taken.
    """
    values, failed = [], []
    for a, b in zip(alpha.ravel().tolist(), ridge.ravel().tolist(), strict=True):
        for finer in (1, 2, 4):
            inputs, neurons, *more = tables(finer)
            one = fit(inputs, neurons, a, step.width_ratio, step.d, b, centred)
            if not one.converged or one.jump < _JUMP:
                break
        good = one.converged and one.jump < _JUMP
        values.append(np.asarray(summary(one, inputs, *more)) * (1.0 if good else np.nan))
        if not good:
            failed.append((a, b))
    if failed:
        _checks.warn_convergence(
            f"the fixed point did not converge for {len(failed)} of {alpha.size} settings, the "
            f"first alpha={failed[0][0]}, ridge={failed[0][1]} of {step}; their errors are nan",
            stacklevel=4,
        )
    shape = np.shape(values)[1:]
    return np.reshape(values, (*alpha.shape, *shape))[()]


def learnt(step, tables, alpha, ridge, projection):
    """E[f given k] and E[y given k] at the values of k in `projection`, by splines."""
    from scipy.interpolate import CubicSpline  # here: it takes longer to load than to run

    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    ridge = _checks.real("ridge", ridge, minimum=0, strict=True)
    projection = _checks.real_array("projection", projection, 1)
    inputs, *_ = tables(4)
    if not np.all(abs(projection) <= inputs.k[-1]):
        raise ValueError(f"projection must lie between -{inputs.k[-1]:.3g} and {inputs.k[-1]:.3g}")
    one = np.array([alpha]), np.array([ridge])
    (found,) = curve(step, lambda _: tables(4), *one, lambda fit, *_: fit.f0)
    target = CubicSpline(inputs.k, inputs.e0)(projection)
    if not np.isfinite(found).all():  # not converged, which `curve` has said
        return np.full_like(target, np.nan), target
    return CubicSpline(inputs.k, found)(projection), target


def check_mean(step, mean, name, value):
    """Labels of mean 0 where the activation is not odd: else the step scales every neuron."""
    if step.r and activations.get(step.activation).parity != -1 and abs(mean) > 1e-9:
        raise ValueError(
            f"{name}={value!r} has mean {mean:.3g}; for activation={step.activation!r}, which is "
            "not odd, the labels' mean must be 0: else the step multiplies each neuron, which "
            "this theory leaves out"
        )
