"""The neighbours: a readout at its best, noisy labels, and a source's population as prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import sphere
from twolayer.theory.repopulation import Population, Repopulation, circle, solve

__all__ = ["fast_readout", "label_noise", "transfer"]

_RIDGES, _HEATS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), (1e-3, 1e-2, 1e-1)


def _kernel_alignment(K, y, centred):
    """Cosine between the matrices K and y y^T; centred: means are taken out of both first."""
    if centred:
        K, y = K - K.mean(0) - K.mean(1)[:, None] + K.mean(), y - y.mean()
    return y @ K @ y / (np.linalg.norm(K) * (y @ y))


def fast_readout(
    phi: ArrayLike,
    problem: Repopulation,
    m: int,
    times: Sequence[float],
    rng: np.random.Generator,
    *,
    dt: float = 1.0,
) -> dict:
    """Noisy descent on the circle with the readout at its best in every step, from uniform neurons.

    Parameters
    ----------
    phi : array_like, shape (n,)
        Angles of the inputs.
    problem : twolayer.theory.repopulation.Repopulation
        Of ``theory.repopulation.circle`` at these inputs: labels, ridge and temperature.
    m : int
    times : sequence of float
        Multiples of `dt`.
    rng : numpy.random.Generator
    dt : float
        Of a step.

    Returns
    -------
    dict
        "centred" and "uncentred": the cosine between the network's kernel and the matrix y y^T
        (means taken out of both or not), at each time.

    Examples
    --------
    >>> _, problem = circle([0.0, 2.0, 4.0], [1.0, 0.0, 0.0], weight_decay=0.1, temperature=1e-3)
    >>> run = fast_readout([0.0, 2.0, 4.0], problem, 200, [0, 50], np.random.default_rng(0))
    >>> bool(run["centred"][1] > run["centred"][0] + 0.1)
    True
    """
    phi, y, n = _checks.real_array("phi", phi), problem.y, problem.n
    turn, old = rng.uniform(0, 2 * np.pi, m), rng.standard_normal(m)
    out = {"centred": [], "uncentred": []}
    for step in range(round(max(times) / dt) + 1):
        z = np.exp(1j * turn) * np.exp(-1j * phi)[:, None]
        psi, slope = np.maximum(z.real, 0), -z.imag * (z.real > 0)
        K = psi @ psi.T / m
        if step * dt in times:
            for kind in out:
                out[kind].append(_kernel_alignment(K, y, kind == "centred"))
        c = np.linalg.solve(K + n * problem.weight_decay * np.eye(n), y)
        new = rng.standard_normal(m)
        noise, old = np.sqrt(2 * problem.temperature * dt) * (new + old) / 2, new
        turn = turn + dt * problem.weight_decay * (c @ psi) * (c @ slope) + noise
    return out


def label_noise(
    weight_decay: float,
    learners: Sequence[Callable[[Repopulation], Population]],
    rng: np.random.Generator,
    *,
    temperature: float = 0.01,
    n: int = 40,
) -> dict:
    """Three bumps on the circle from random inputs and noisy labels: what learners make of them.

    Parameters
    ----------
    weight_decay : float
    learners : sequence of callable
        From a problem to its population.
    rng : numpy.random.Generator
    temperature : float
    n : int
        Samples; their labels have noise of standard deviation .3.

    Returns
    -------
    dict
        For each learner "df", the degrees of freedom of its readout, and "error", the mean square
        over the circle from the bumps.

    Examples
    --------
    >>> out = label_noise(0.01, [solve], np.random.default_rng(0))
    >>> [round(float(v[0]), 2) for v in out.values()]
    [3.42, 0.03]
    """
    phi = rng.uniform(0, 2 * np.pi, n)
    angle = 2 * np.pi * np.arange(240) / 240
    centres, heights = np.array([0.6, 2.4, 4.4]), np.array([1, -1, 0.8])
    y, truth = (np.exp(4 * np.cos(a[:, None] - centres) - 4) @ heights for a in (phi, angle))
    y = y + 0.3 * rng.standard_normal(n)
    constants = {"weight_decay": weight_decay, "temperature": temperature}
    problem = circle(phi, y, **constants, grid=240, quadrature=None)[1]
    found = [learner(problem) for learner in learners]
    psi = np.maximum(np.cos(angle[:, None] - angle), 0)
    error = [np.mean((psi @ p.nu - truth) ** 2) for p in found]
    return {"df": np.array([p.dof for p in found]), "error": np.array(error)}


def _square(data, nu):
    return np.mean((data[0] @ nu - data[1]) ** 2)


def _chosen(data, prior, valid):
    """The best nu by validation: over ridges and temperatures, and with the prior's kernel."""
    (psi, y), n = data, len(data[1])
    start = Repopulation(psi, prior, y, 1.0, 1.0)
    grid = [{"weight_decay": a, "temperature": b} for a in _RIDGES for b in _HEATS]
    learnt = [solve(replace(start, **point)).nu for point in grid]
    gram, fixed = start.kernel(), []
    for ridge in n * np.geomspace(1e-6, 0.1, 11):
        fixed.append(prior * (np.linalg.solve(gram + ridge * np.eye(n), y) @ psi))
    return [min(nus, key=lambda nu: _square(valid, nu)) for nus in (learnt, fixed)]


def transfer(sizes: Sequence[int], rng: np.random.Generator) -> dict:
    """Two neurons in six dimensions: repopulation from a source's population, and from others.

    A source has 100 samples, its ridge is .002 and its temperature .001; the right one shares
    the target's directions but not the heights. For the target, 100 other samples choose ridge
    and temperature (15 pairs), or the ridge of a fixed kernel (11).

    Parameters
    ----------
    sizes : sequence of int
        Samples of the target.
    rng : numpy.random.Generator

    Returns
    -------
    dict
        For the priors "uniform", "source", "unrelated" (a source of other directions), and with
        ", fixed" for kernel ridge regression with the kernel of that prior: mean squared error
        over the target's variance, for each size.

    Examples
    --------
    >>> out = transfer([10], np.random.default_rng(1))
    >>> bool(out["source"][0] < out["uniform"][0] < out["unrelated, fixed"][0])
    True
    """
    W, shared, strange = (sphere((k, 6), rng) for k in (400, 2, 2))

    def sample(k, directions, heights=(3, 2), noise=0.1):
        x = 6**0.5 * sphere((k, 6), rng)
        y = np.maximum(x @ directions.T, 0) @ heights + noise * rng.standard_normal(k)
        return np.maximum(x @ W.T, 0), y

    priors = {"uniform": np.full(400, 1 / 400)}
    for name, directions in (("source", shared), ("unrelated", strange)):
        psi, y = sample(100, directions, (3, -3))
        problem = Repopulation(psi, priors["uniform"], y, 0.002, 0.001)
        priors[name] = solve(problem).density
    valid, test = sample(100, shared), sample(2000, shared, noise=0)
    out = {name + tail: [] for name in priors for tail in ("", ", fixed")}
    for n in sizes:
        data = sample(n, shared)
        for name, prior in priors.items():
            for tail, nu in zip(("", ", fixed"), _chosen(data, prior, valid), strict=True):
                out[name + tail].append(_square(test, nu) / test[1].var())
    return {name: np.array(v) for name, v in out.items()}
