"""The mean map of a step as an operator between inputs and neurons, and the outliers it gives.

At a projection k a neuron of readout g gives M(k, g) on average. Centred over k, M has singular
functions phi_l(k), chi_l(g) and values; the features hold each as a spike of strength sqrt(m) times
the value, in a bulk that is either averaged over (k, g) or kept as it is at each (k, g).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_TINY = 1e-10  # singular values below this share of the first, or 1e-13, are rounding errors


class Spikes(NamedTuple):
    """Singular functions on the grid, a row each, and strengths, with zeros where there is none."""

    strengths: np.ndarray
    of_k: np.ndarray
    of_g: np.ndarray


def spikes(inputs, neurons, m, count):
    """The first `count` spikes of the mean map, each positive where k is large."""
    root_k, root_g = np.sqrt(inputs.w), np.sqrt(neurons.v)
    mean = neurons.mean - inputs.w @ neurons.mean
    left, values, right = np.linalg.svd(
        root_k[:, None] * mean * root_g, full_matrices=False
    )  # eq-hs-svd
    found = Spikes(np.zeros(count), np.zeros((count, len(root_k))), np.zeros((count, len(root_g))))
    for i in np.flatnonzero(values[:count] > max(_TINY * values[0], 1e-13)):
        sign = np.sign(left[:, i] @ (root_k * (inputs.k > 2.5)))
        found.strengths[i] = math.sqrt(m) * values[i]
        found.of_k[i], found.of_g[i] = sign * left[:, i] / root_k, sign * right[i] / root_g
    return found


def tied(inputs, neurons, linear):
    """Neurons and, as one more, the linear part of the bulk along v, which samples at k share."""
    return neurons._replace(
        mean=np.c_[neurons.mean, math.sqrt(linear) * inputs.k], v=np.r_[neurons.v, 1.0]
    )  # eq-hs-tied


# --- one bulk for all: covariance Sigma0 = linear W0 W0' + rest


class Averaged:
    """The bulk with its mean over (k, g), seen from Omega, where n = infinity has an eigenvalue."""

    def __init__(self, inputs, neurons, alpha, width_ratio):
        self.linear = inputs.w @ neurons.linear**2 @ neurons.v
        self.rest = inputs.w @ neurons.rest @ neurons.v
        self.beta, self.ratio = width_ratio, width_ratio / alpha  # m/n
        self.top = self.linear * (1 + math.sqrt(width_ratio)) ** 2 + self.rest

    def at(self, Omega):
        """h = (1/m) tr (Omega - Sigma0)^-1, the squared singular value, and both derivatives."""
        trace, slope = wishart((self.rest - Omega) / self.linear, self.beta)
        h, h_slope = -trace / self.linear, slope / self.linear**2
        square = Omega * (1 + self.ratio * (Omega * h - 1))  # eq-hs-outlier
        return h, square, h_slope, 1 + self.ratio * (2 * Omega * h - 1 + Omega**2 * h_slope)

    def edge(self):
        """Omega at the upper edge of the bulk, where the singular value is least."""
        from scipy.optimize import brentq

        def slope(u):
            return self.at(self.top * (1 + math.exp(u)))[3]

        return self.top * (1 + math.exp(-30.0 if slope(-30) > 0 else brentq(slope, -30, 10)))


def wishart(t, beta):
    """(1/m) tr (W0 W0' + t)^-1 and its derivative, for t > 0 or to the left of -W0 W0'."""
    b = t + beta - 1
    T = 2 / (b + np.copysign(np.sqrt(b * b + 4 * t), np.where(t < 0, b, 1.0)))  # eq-mp
    T_slope = -T * (T + 1) / (t * T + 1 / T)
    trace = 1 / (t * (1 + T))
    return trace, -trace * (1 / t + T_slope / (1 + T))


def averaged(inputs, neurons, alpha, width_ratio, d, count):
    """Singular values and squared overlaps with phi_l; at the edge and 0 where in the bulk."""
    from scipy.optimize import brentq

    bulk = Averaged(inputs, neurons, alpha, width_ratio)
    own = spikes(inputs, neurons, width_ratio * d, count)
    seen = spikes(inputs, tied(inputs, neurons, bulk.linear / d), width_ratio * d, count)
    values, overlaps, edge = np.empty(count), np.zeros(count), bulk.edge()
    for i, s in enumerate(seen.strengths):
        if s**2 * bulk.at(edge)[0] <= 1:
            values[i] = math.sqrt(bulk.at(edge)[1])
            continue
        far = 2 * (s**2 + bulk.top)
        Omega = brentq(lambda x, s=s: s**2 * bulk.at(x)[0] - 1, edge, far, rtol=1e-14)
        h, square, h_slope, square_slope = bulk.at(Omega)
        aligned = (inputs.w @ (seen.of_k[i] * own.of_k[i])) ** 2
        values[i] = math.sqrt(square)
        overlaps[i] = aligned * -square_slope * h / (Omega * h_slope)  # eq-hs-overlap
    return values, overlaps


# --- the bulk as it is at each (k, g)


class Resolved:
    """The fixed point of `_readouts` at a negative ridge: outside the bulk, where G < 0 < p."""

    def __init__(self, inputs, neurons, alpha, width_ratio, d):
        # without extreme neurons that no layer of this size holds: some have a bulk without an edge
        there = _present(inputs.k, inputs.w, alpha * d)
        held = _present(neurons.g, neurons.v, width_ratio * d)
        if not there.any() or not held.any():
            raise ValueError(f"alpha={alpha}, width_ratio={width_ratio} at d={d}: less than a draw")
        inputs = type(inputs)(*(part[there] for part in inputs))
        tables = (table[np.ix_(there, held)] for table in neurons[2:])
        neurons = type(neurons)(neurons.g[held], neurons.v[held], *tables)
        self.there, self.inputs, self.neurons, self.beta = there, inputs, neurons, width_ratio
        self.weight, self.n, self.d = alpha / width_ratio * inputs.w, alpha * d, d
        left, values, right = np.linalg.svd(neurons.linear, full_matrices=False)
        rank = max(1, int((values > 1e-9 * values[0]).sum()))
        root = np.sqrt(values[:rank])
        self.of_k, self.of_g = left[:, :rank] * root, right[:rank].T * root

    def point(self, z):
        """p and G at the squared singular value z; None inside the bulk."""
        ridge, rest, v = -z * self.n / (self.beta * self.d), self.neurons.rest, self.neurons.v
        p, G = np.ones(len(self.weight)), np.full(len(v), 1 / ridge)
        for _ in range(400):
            omega, before = self.weight * p, p
            S = (self.of_k.T * omega) @ self.of_k
            C = (self.of_g.T * (v * G)) @ self.of_g
            A = np.linalg.inv(np.eye(len(S)) + self.beta * C @ S)
            G = 1 / (ridge + omega @ rest + ((self.of_g @ (S @ A)) * self.of_g).sum(1))
            V = ((self.of_k @ (A @ C)) * self.of_k).sum(1) + rest @ (v * G)
            p = 1 / (1 + V)
            if not (p.min() > 0 and G.max() < 0 and np.isfinite(p).all()):
                return None
            if np.abs(p - before).max() < 1e-12 * p.max():
                return p, G
        return None

    def modes(self, z):
        """Eigenvalues, each with a zero where z is an outlier, and functions of k; None inside."""
        point = self.point(z)
        if point is None:
            return None
        p, G = point
        inputs, neurons = self.inputs, self.neurons
        root, vG = np.sqrt(inputs.w * p), neurons.v * G
        mean, along = (
            part - inputs.w @ part  # columns of the features are centred
            for part in (neurons.mean, inputs.k[:, None] * neurons.linear)
        )
        kernel = (mean * vG) @ mean.T + (along * vG) @ along.T / self.d
        matrix = np.eye(len(p)) + self.n * root[:, None] * kernel * root
        values, vectors = np.linalg.eigh(matrix)
        return values, root[:, None] * vectors

    def edge(self, guess):
        """The smallest z that the iteration reaches: the edge, to a part in a thousand."""
        low, high = guess / 2, guess
        while self.point(high) is None:
            low, high = high, 1.1 * high
        while high / low > 1.001:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.point(middle) is None else (low, middle)
        return high


def _present(x, weights, count):
    """Nodes beyond which at least a thousandth of a draw of `count` is expected."""
    beyond = np.array([weights[np.abs(x) >= abs(at)].sum() for at in x])
    return beyond * count > 1e-3


def resolved(inputs, neurons, alpha, width_ratio, d, count):
    """As `averaged`, with the bulk of each (k, g)."""
    from scipy.optimize import brentq

    bulk = Resolved(inputs, neurons, alpha, width_ratio, d)
    own = spikes(inputs, neurons, width_ratio * d, count)
    first = Averaged(inputs, neurons, alpha, width_ratio)
    edge = bulk.edge(first.at(first.edge())[0])
    values, overlaps = np.full(count, math.sqrt(edge)), np.zeros(count)
    at_edge = bulk.modes(edge)[0]
    for i in range(count):
        if at_edge[i] >= 0 or not own.strengths[i]:
            continue
        high = 2 * edge
        while bulk.modes(high)[0][i] < 0:
            high = 2 * high
        log_z = brentq(
            lambda u, i=i: bulk.modes(math.exp(u))[0][i], math.log(edge), math.log(high), xtol=1e-10
        )
        near = [bulk.modes(math.exp(log_z + h))[0][i] for h in (-1e-4, 1e-4)]
        _, functions = bulk.modes(math.exp(log_z))
        values[i] = math.exp(log_z / 2)
        push = own.of_k[i][bulk.there] @ functions[:, i]
        overlaps[i] = push**2 / ((near[1] - near[0]) / 2e-4)  # eq-hs-resolved
    return values, overlaps
