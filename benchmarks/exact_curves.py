"""The exact learning curves against straightforward code.

That is what a notebook would hold: eigenvalues of one matrix of size d = 2000, every integral by
adaptive quadrature, plain iteration of the fixed point. A better baseline takes the inner averages
by Gauss-Hermite quadrature.
"""

import math

import numpy as np
from scipy.integrate import quad
from table import Row, close, once, race

from twolayer.hermite import nodes
from twolayer.theory import _bulk, _spike, exact_curves
from twolayer.theory.exact_curves import OneStep, learning_curve, step_map

CONFIG, RIDGE, D = OneStep("tanh", "sin", 4.0, 3.0), 0.1, 2000
ALPHAS = np.geomspace(0.2, 10, 30)


def spectrum(config, d):
    """Eigenvalues of B B', rows of B on the sphere of radius sqrt(c)."""
    rows = np.random.default_rng(0).standard_normal((round(config.width_ratio * d), d))
    rows *= math.sqrt(config.bulk_variance) / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.linalg.eigvalsh(rows @ rows.T)


def inner(adaptive):
    """f -> E f(g): one number, by adaptive or by Gauss-Hermite quadrature."""
    if adaptive:
        return lambda f: quad(
            lambda g: math.exp(-g * g / 2) / math.sqrt(2 * math.pi) * f(g), -8, 8, epsrel=1e-8
        )[0]
    g, weights = nodes((), 60)
    return lambda f: weights @ f(g)


def straightforward(config, eigenvalues, alpha, ridge, *, adaptive, tolerance=1e-8):
    """Test error at one alpha, formula by formula as on paper."""
    mean, tanh, sin = (inner(adaptive), *((math.tanh, math.sin) if adaptive else (np.tanh, np.sin)))
    r, c, gamma = config.strength, config.bulk_variance, config.cosine
    rho, beta = math.sqrt(1 - gamma**2), config.width_ratio
    ap = alpha / beta

    def functions(k):
        def f(g):
            return tanh(r * k + math.sqrt(c) * g)

        def y(g):
            return sin(gamma * k + rho * g)

        mu0, mu1 = mean(f), mean(lambda g: g * f(g)) / math.sqrt(c)
        mu2 = mean(lambda g: f(g) ** 2) - mu0**2 - c * mu1**2
        return mu0, mu1, mu2, mean(y), mean(lambda g: g * y(g)), mean(lambda g: y(g) ** 2)

    def over_k(f):
        def inside(k):
            return math.exp(-k * k / 2) / math.sqrt(2 * math.pi) * f(k, *functions(k))

        return 2 * quad(inside, 0, 8, epsrel=1e-8, limit=200)[0]

    V1 = V2 = 1.0
    while True:

        def P(mu1, mu2, V1=V1, V2=V2):
            return 1 / (1 + mu1**2 * V1 + mu2 * V2)

        hat1 = ap * over_k(lambda k, m0, m1, m2, *_, P=P: m1**2 * P(m1, m2))
        hat2 = ap * over_k(lambda k, m0, m1, m2, *_, P=P: m2 * P(m1, m2))
        S = ridge + hat2 + hat1 * eigenvalues
        new = np.mean(eigenvalues / S), np.mean(1 / S)
        gap = max(abs(new[0] / V1 - 1), abs(new[1] / V2 - 1))
        V1, V2 = new
        if gap < tolerance:
            break

    def E(f):
        return over_k(lambda k, *m: f(k, *m[:5]) * P(m[1], m[2]))

    psihat = ap * E(lambda k, m0, m1, m2, h, h1: h1 * m1)
    psi, pull = beta * V1 * psihat, beta * c * V2 * ap
    a00 = E(lambda k, m0, m1, m2, h, h1: m0**2)
    a01 = E(lambda k, m0, m1, m2, h, h1: k * m0 * m1)
    a11 = E(lambda k, m0, m1, m2, h, h1: (k * m1) ** 2)
    b0, b1 = (
        E(lambda k, m0, m1, m2, h, h1: m0 * h),
        E(lambda k, m0, m1, m2, h, h1: k * m1 * h),
    )
    t, th = np.linalg.solve([[a00, a01], [pull * a01, 1 + pull * a11]], [b0, pull * b1])

    def E0(k, m0, m1, m2, h, h1, hh):
        C = m0 * t + k * m1 * th
        return hh + C * C - 2 * C * h - 2 * m1 * psi * h1

    def squared(f):
        return ap * over_k(lambda k, *m: f(k, *m) * P(m[1], m[2]) ** 2)

    fresh = [
        squared(lambda k, *m: m[1] ** 2 * E0(k, *m)),
        squared(lambda k, *m: m[2] * E0(k, *m)),
    ]
    n11, n12, n22 = (
        squared(lambda k, m0, m1, m2, *_: m1**4),
        squared(lambda k, m0, m1, m2, *_: m1**2 * m2),
        squared(lambda k, m0, m1, m2, *_: m2**2),
    )
    D0, D1, D2 = (np.mean(eigenvalues**p / S**2) for p in (0, 1, 2))
    moments = np.array([[D2, D1], [D1, D0]])
    signal = np.array([beta * psihat**2, beta * c * (th / (beta * c * V2)) ** 2])
    spread = np.array([[n11, n12], [n12, n22]])
    q = np.linalg.solve(np.eye(2) - moments @ spread, moments @ (fresh + signal))
    return over_k(lambda k, *m: E0(k, *m) + q[0] * m[1] ** 2 + q[1] * m[2])


def cold():
    """The curve with its tables built anew."""
    _spike.tables.cache_clear()
    exact_curves._first.cache_clear()
    _bulk.slope_moments.cache_clear()
    return learning_curve(CONFIG, ALPHAS, RIDGE)


def curve():
    """A curve of 30 points; the straightforward ones are measured at every tenth, or fifteenth."""
    first, warm = race(cold, lambda: learning_curve(CONFIG, ALPHAS, RIDGE), repeats=20)
    spectral, eigenvalues = once(spectrum, CONFIG, D)
    name = "exact curve of 30 points"
    for adaptive, some, inside in ((True, 15, "adaptive"), (False, 10, "Gauss-Hermite")):
        few = ALPHAS[::some]
        slow, paper = once(
            lambda few=few, adaptive=adaptive: [
                straightforward(CONFIG, eigenvalues, a, RIDGE, adaptive=adaptive) for a in few
            ]
        )
        close(name, paper, learning_curve(CONFIG, few, RIDGE), 1e-3)  # finite d
        other, against = spectral + slow * some, f"by hand, d = {D}, averages {inside}"
        yield Row(f"{name}: {inside}", first, other, against, 5000 if adaptive else None)
    yield Row(f"{name}: {inside}, tables at hand", warm, other, against)


def steps():
    """A map of steps, each at its best ridge: 64,000 settings."""
    alpha0, eta = np.geomspace(0.5, 50, 40), np.linspace(0, 15, 40)
    took, _ = once(lambda: step_map("tanh", "sign", alpha0, eta, alpha=2.0))
    yield Row("map of 64,000 settings", took, 5.0, "limit", 1)


PARTS = (curve, steps)
