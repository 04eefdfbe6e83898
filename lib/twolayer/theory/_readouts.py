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
    mean, linear, _, rest = np.array(found).transpose(1, 2, 0)
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


def fit(inputs, neurons, alpha, width_ratio, d, ridge, start=None):
    """The fit for n = alpha d samples and m = width_ratio d neurons, and log (G, V) to go on from.

    Errors hold for fresh samples, the noise of their labels included.
    """
    problem = _Problem(inputs, neurons, alpha, width_ratio, d, ridge)
    with np.errstate(all="ignore"):
        state, jacobian, converged = problem.solve(start)
        found = problem.read(state, jacobian)
    return Fit(*found, converged), state


class _Problem:
    """The two equations, for G over the readouts and V over the inputs."""

    def __init__(self, inputs, neurons, alpha, width_ratio, d, ridge):
        self.inputs, self.neurons, self.d, self.ridge = inputs, neurons, d, ridge
        self.beta, self.n = width_ratio, alpha * d
        self.weight = alpha / width_ratio * inputs.w  # n/m w: samples per neuron
        left, values, right = np.linalg.svd(neurons.linear, full_matrices=False)
        rank = max(1, int((values > 1e-13 * values[0]).sum()))
        root = np.sqrt(values[:rank])
        self.of_k, self.of_g = left[:, :rank] * root, right[:rank].T * root

    def start(self):
        """V where every sample is left to the others: below the fixed point."""
        own = self.weight @ (self.neurons.rest + self.neurons.linear**2)
        G = 1 / (self.ridge + own)
        return np.log(np.concatenate([G, self.means(G)]))

    def means(self, G):
        """V of neurons that know of no other sample."""
        neurons = self.neurons
        return (neurons.rest + neurons.linear**2) @ (neurons.v * G)

    def forms(self, state):
        """G, V, p, and the loop: quadratic forms between inputs and readouts."""
        size = len(self.neurons.g)
        G, V = np.exp(state[:size]), np.exp(state[size:])
        p = 1 / (1 + V)
        S = (self.of_k.T * (self.weight * p)) @ self.of_k
        C = (self.of_g.T * (self.neurons.v * G)) @ self.of_g
        A = np.linalg.inv(np.eye(len(S)) + self.beta * C @ S)
        between = self.of_k @ A @ self.of_g.T
        kk = self.of_k @ (A @ C) @ self.of_k.T
        gg = self.of_g @ (S @ A) @ self.of_g.T
        return G, V, p, between, kk, gg

    def balance(self, state):
        """Logarithms of the equations' ratios, and their derivatives in log (G, V)."""
        G, V, p, between, kk, gg = self.forms(state)
        neurons, omega = self.neurons, self.weight * p
        held = self.ridge + omega @ neurons.rest + np.diag(gg)  # take one neuron out
        seen = np.diag(kk) + neurons.rest @ (neurons.v * G)  # take one sample out
        gap = np.concatenate([np.log(G * held), np.log(V / seen)])
        push = -omega * p * V  # d omega / d log V
        share = neurons.v * G  # d (v G) / d log G
        both = between**2 + neurons.rest
        size = len(G)
        jacobian = np.eye(len(state))
        jacobian[:size, :size] -= self.beta * gg**2 * share / held[:, None]
        jacobian[:size, size:] += both.T * push / held[:, None]
        jacobian[size:, :size] -= both * share / seen[:, None]
        jacobian[size:, size:] += self.beta * kk**2 * push / seen[:, None]
        return gap, jacobian

    def solve(self, state):
        """Newton; the state, the Jacobian there, and whether it converged."""
        state = self.start() if state is None else state
        for _ in range(_STEPS):
            gap, jacobian = self.balance(state)
            size = np.abs(gap).max()
            if not size > 1e-12:
                break
            step = np.linalg.solve(jacobian, gap)
            state = state - step / max(1.0, np.abs(step).max() / 3)
        return state, jacobian, bool(size < 1e-9)

    def signals(self, G):
        """Square root of the kernel of what is common to all samples at k, over (1, xi)."""
        inputs, neurons = self.inputs, self.neurons
        root = np.sqrt(neurons.v * G)
        along = neurons.linear * (root / math.sqrt(self.d))
        none = np.zeros_like(along)
        return np.block(
            [
                [neurons.mean * root, inputs.k[:, None] * along, inputs.mean[:, None] * along],
                [none, none, inputs.std[:, None] * along],
            ]
        )

    def read(self, state, jacobian):
        """The learnt functions f0, f1 of k and the test error at each k."""
        inputs, neurons, size = self.inputs, self.neurons, len(self.neurons.g)
        G, V, p, *_ = self.forms(state)
        held = inputs.w * p  # D
        root = np.sqrt(np.concatenate([held, held]))
        signals = self.signals(G)
        scaled = math.sqrt(self.n) * root[:, None] * signals
        e = np.concatenate([inputs.e0, inputs.e1])
        h = root * np.linalg.solve(np.eye(len(e)) + scaled @ scaled.T, root * e)
        missed = (h / root**2).reshape(2, -1)  # e - f
        residual = inputs.rest + (missed**2).sum(0)
        # the ridge loss per sample: its derivatives in log G, log V, and in a sample's weight
        by_G = -self.n * ((h @ signals) ** 2).reshape(3, -1).sum(0)
        by_V = -held * p * V * residual
        adjoint = np.linalg.solve(jacobian.T, np.concatenate([by_G, by_V]))
        ahead = residual - self.ahead(state, adjoint)
        return inputs.e0 - missed[0], inputs.e1 - missed[1], ahead

    def ahead(self, state, adjoint):
        """What the loss changes, through G and V, per omega of a sample."""
        G, _, p, between, kk, gg = self.forms(state)
        rest, size = self.neurons.rest, len(G)
        held = self.ridge + (self.weight * p) @ rest + np.diag(gg)
        seen = np.diag(kk) + rest @ (self.neurons.v * G)
        by_neurons = (between**2 + rest) @ (adjoint[:size] / held)
        by_samples = self.beta * (kk**2) @ (adjoint[size:] / seen)
        return self.n / (self.beta * self.d) * (by_neurons + by_samples)


def curve(step, inputs, neurons, alpha, ridge, summary):
    """`summary` of the fit at each alpha and ridge, nan where it did not converge, with a warning.

    Ridges are taken from the largest on, each from the last one's solution.
    """
    found, failed = {}, []
    for i in np.argsort(-ridge, axis=None):
        a, b = float(alpha.flat[i]), float(ridge.flat[i])
        one, _ = fit(inputs, neurons, a, step.width_ratio, step.d, b)
        found[i] = np.asarray(summary(one))
        if not one.converged:
            found[i] = found[i] * np.nan
            failed.append((a, b))
    if failed:
        _checks.warn_convergence(
            f"the fixed point did not converge for {len(failed)} of {alpha.size} settings, the "
            f"first alpha={failed[0][0]}, ridge={failed[0][1]} of {step}; their errors are nan",
            stacklevel=4,
        )
    values = np.array([found[i] for i in range(alpha.size)])
    return values.reshape((*alpha.shape, *values.shape[1:]))[()]
