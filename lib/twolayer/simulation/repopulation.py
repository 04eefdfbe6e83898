"""Noisy neurons on the circle, counted and drawn; what few are worth refitted; the neighbours."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import Teacher, sphere
from twolayer.descent import descend, langevin
from twolayer.kernels import relu_ntk
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout
from twolayer.theory.repopulation import (
    Population,
    Repopulation,
    circle,
    fluctuation,
    histogram,
    solve,
)

__all__ = [
    "course",
    "digits",
    "draw",
    "expected_variation",
    "fast_readout",
    "label_noise",
    "shares",
    "ten_dimensions",
    "transfer",
    "uniform",
]

_LOOK = 40.0  # time between two looks at a run
_DRAWS = 5  # of m' neurons from a pool
_RIDGES, _HEATS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), (1e-3, 1e-2, 1e-1)  # of `transfer`


def uniform(
    m: int,
    d: int,
    rng: np.random.Generator,
    *,
    networks: int | None = None,
    outputs: int | None = None,
) -> TwoLayer:
    """ReLU neurons anywhere on the unit sphere, with readouts 0: what noise alone would make.

    Parameters
    ----------
    m, d : int
    rng : numpy.random.Generator
    networks : int, optional
        A stack of so many.
    outputs : int, optional
        Readouts of so many outputs.

    Examples
    --------
    >>> uniform(5, 3, np.random.default_rng(0), networks=4, outputs=2).a.shape
    (4, 5, 2)
    """
    m, d = _checks.positive_int("m", m), _checks.positive_int("d", d)
    shape = () if networks is None else (_checks.positive_int("networks", networks),)
    tail = () if outputs is None else (_checks.positive_int("outputs", outputs),)
    return TwoLayer(sphere((*shape, m, d), rng), np.zeros((*shape, m, *tail)), "relu")


def shares(W: ArrayLike, bins: int, grid: int = 1440) -> np.ndarray:
    """The share of the neurons in each of some evenly spaced bins of the circle.

    Parameters
    ----------
    W : array_like, shape (..., m, 2)
    bins : int
        Must divide `grid`: edges lie midway between nodes 2 pi j / grid, as in
        ``theory.repopulation.histogram`` with the bin ``j * bins // grid`` of node j.
    grid : int

    Returns
    -------
    ndarray, shape (..., bins)

    Examples
    --------
    >>> shares([[1.0, 0.1], [0.0, 1.0], [-1.0, 0.1]], 2)
    array([1., 0.])
    """
    W = _checks.real_array("W", W)
    if W.shape[-1:] != (2,) or W.ndim < 2:
        raise ValueError(f"W has shape {W.shape}; it must be (..., m, 2)")
    if _checks.positive_int("grid", grid) % _checks.positive_int("bins", bins):
        raise ValueError(f"bins={bins} must divide grid={grid}")
    turn = np.arctan2(W[..., 1], W[..., 0]) / (2 * np.pi)
    bin_of = np.rint(turn * grid).astype(int) % grid * bins // grid
    rows = bin_of.reshape(-1, W.shape[-2])
    counts = np.array([np.bincount(row, minlength=bins) for row in rows])
    return counts.reshape(*W.shape[:-2], bins) / W.shape[-2]


def draw(population: Population, networks: int, m: int, rng: np.random.Generator) -> TwoLayer:
    """Networks of neurons drawn from a solution on the circle, readouts with their noise.

    Parameters
    ----------
    population : twolayer.theory.repopulation.Population
        Of a problem of ``theory.repopulation.circle``.
    networks, m : int
    rng : numpy.random.Generator

    Returns
    -------
    TwoLayer
        A stack of `networks` networks of m neurons.

    Examples
    --------
    >>> from twolayer.theory.repopulation import circle, solve
    >>> _, problem = circle([0.8, 3.0, 5.0], [1.0, 0.0, 0.0], weight_decay=0.1, temperature=0.01)
    >>> networks = draw(solve(problem), 3, 1000, np.random.default_rng(0))
    >>> networks.W.shape, shares(networks.W, 4).argmax(axis=1)
    ((3, 1000, 2), array([0, 0, 0]))
    """
    size = _checks.positive_int("networks", networks), _checks.positive_int("m", m)
    problem, grid = population.problem, len(population.density)
    node = rng.choice(grid, size, p=population.density)
    turn = 2 * np.pi * (node + rng.uniform(-0.5, 0.5, size)) / grid
    jitter = math.sqrt(problem.temperature / problem.weight_decay)  # eq-rp-gibbs
    u = population.readout[node] + jitter * rng.standard_normal(size)
    return TwoLayer(np.stack([np.cos(turn), np.sin(turn)], axis=-1), u / math.sqrt(m), "relu")


def expected_variation(
    population: Population,
    m: int,
    bins: int,
    *,
    interacting: bool = True,
    frozen: bool = False,
) -> float:
    """Expected total variation between the histogram of m neurons and the density, on the circle.

    The deviations of `theory.repopulation.histogram`, with the mean absolute deviation of a
    binomial count (de Moivre) in place of a Gaussian's.

    Parameters
    ----------
    population : twolayer.theory.repopulation.Population
    m, bins : int
    interacting : bool
        See `theory.repopulation.histogram`.
    frozen : bool
        Neurons were drawn independently and have come to rest since, but cross no gap between two
        peaks of the density: see there.

    Returns
    -------
    float

    Examples
    --------
    >>> from twolayer.theory.repopulation import circle, solve
    >>> _, problem = circle([0.0, 2.0, 4.0], [1.0, 0.0, 0.0], weight_decay=0.1, temperature=0.01)
    >>> round(expected_variation(solve(problem), 100, 2, interacting=False), 3)
    0.04
    """
    from scipy.stats import binom

    grid = len(population.density)
    bin_of = np.arange(grid) * bins // grid
    share, spread = histogram(population, m, bin_of, interacting=interacting)
    if frozen:
        dips = np.flatnonzero((share < np.roll(share, 1)) & (share <= np.roll(share, -1)))
        peak = np.searchsorted(dips, np.arange(bins), side="right") % max(len(dips), 1)
        _, spread = histogram(population, m, bin_of, interacting=interacting, frozen=peak)
    low = np.floor(m * share) + 1
    absolute = 2 * low * binom.pmf(low, m, share) * (1 - share)
    gauss = np.sqrt(m * share * (1 - share))
    return float(np.sum(spread * absolute / np.where(gauss > 0, gauss, 1)) / 2)


def course(
    phi: ArrayLike,
    population: Population,
    start: TwoLayer,
    rng: np.random.Generator,
    *,
    spans: Sequence[tuple[float, float]],
    dt: float = 2.0,
    averaged: bool = True,
    bins: int = 36,
) -> tuple[np.ndarray, np.ndarray, TwoLayer]:
    """Noisy gradient descent on the circle: its distance from the solution, over the prediction.

    Parameters
    ----------
    phi : array_like, shape (n,)
        Angles of the inputs.
    population : twolayer.theory.repopulation.Population
        The solution for these inputs; its problem has the labels, the ridge and the temperature.
    start : TwoLayer
        A stack of networks.
    rng : numpy.random.Generator
    spans : sequence of (float, float)
        Times that are averaged over, begin < t <= end, looked at every 40.
    dt : float
        Of a step.
    averaged : bool
        See `twolayer.descent.langevin`.
    bins : int
        Of the histogram.

    Returns
    -------
    variation : ndarray, shape (len(spans),)
        Mean total variation between histogram and solution over `expected_variation`.
    square : ndarray, shape (len(spans),)
        Mean over the inputs of (f - f of the solution)^2 over that of
        ``theory.repopulation.fluctuation``.
    end : TwoLayer

    Examples
    --------
    >>> from twolayer.theory.repopulation import circle, solve
    >>> phi, rng = np.array([0.0, 2.0, 4.0]), np.random.default_rng(0)
    >>> _, problem = circle(phi, [1.0, 0.0, 0.0], weight_decay=0.1, temperature=0.01)
    >>> start, limit = uniform(1000, 2, rng, networks=2), solve(problem)
    >>> variation, _, _ = course(phi, limit, start, rng, spans=[(0, 40), (160, 400)], bins=12)
    >>> bool(variation[0] > 1.5 * variation[1])
    True
    """
    phi, problem = _checks.real_array("phi", phi), population.problem
    x = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    constants = {"weight_decay": problem.weight_decay, "temperature": problem.temperature}
    method = langevin(x, problem.y, dt=dt, rng=rng, averaged=averaged, **constants)
    stride, steps = round(_LOOK / dt), round(max(end for _, end in spans) / dt)
    marks = sorted({*range(stride, steps + 1, stride), steps})
    grid = len(population.density)
    share, _ = histogram(population, 1, np.arange(grid) * bins // grid)
    variation, square = [], []
    for now in (path := descend(start, method, steps, record=marks)):
        variation.append(np.mean(abs(shares(now.W, bins, grid) - share).sum(axis=-1)) / 2)
        square.append(np.mean((now(x) - population.outputs) ** 2))
    times = dt * np.array(marks)
    seen = [(times > begin) & (times <= end) for begin, end in spans]
    means = [[np.mean(np.array(v)[span]) for span in seen] for v in (variation, square)]
    wanted = np.trace(fluctuation(population, start.m)) / len(phi)
    expected = expected_variation(population, start.m, bins)
    return np.array(means[0]) / expected, np.array(means[1]) / wanted, path[-1]


def _features(W, x):
    """ReLU features of the directions of W, whatever their lengths."""
    return np.maximum(x @ (W / np.linalg.norm(W, axis=1, keepdims=True)).T, 0)


def _by_size(measure, pool, sizes, sample, test, rng):
    """A measure of m' neurons from a pool, mean over some draws, for each size."""
    draws = [[rng.choice(len(pool), m, replace=False) for _ in range(_DRAWS)] for m in sizes]
    found = [[measure(pool[some], sample, test) for some in of_size] for of_size in draws]
    return np.mean(found, axis=1)


def _refit_error(W, sample, test):
    """Test error of neurons with a ridge readout by generalised cross-validation."""
    readout = fit_readout(_features(W, sample[0]), sample[1], "gcv")
    return np.mean((_features(W, test[0]) @ readout - test[1]) ** 2)


def _refit_accuracy(W, sample, test):
    """Test accuracy of neurons with a multinomial readout."""
    from sklearn.linear_model import LogisticRegression

    seen, new = _features(W, sample[0]), _features(W, test[0])
    scale = np.sqrt((seen**2).mean(axis=0)) + 1e-12
    model = LogisticRegression(C=10.0, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a readout short of convergence is as good here
        model.fit(seen / scale, sample[1])
    return model.score(new / scale, test[1])


def _kernel_fits(sample, test, labels):
    """Outputs of kernel ridge regression with the tangent kernel, for eight ridges."""
    gram, cross = relu_ntk(sample[0]), relu_ntk(test[0], sample[0])
    scale = np.mean(np.diag(gram)) * np.eye(len(gram))
    return [cross @ np.linalg.solve(gram + r * scale, labels) for r in np.logspace(-7, 0, 8)]


def _worth(x, y, net, others, rng):
    """V of learnt and of uniform features at one training loss, and what draws of 30 find."""
    random = np.maximum(x @ others.T, 0)
    values, basis = np.linalg.eigh(random @ random.T / len(others))
    c, ridges = basis.T @ y, np.logspace(-8, 1, 400)[:, None]
    losses = np.mean((ridges / (values + ridges) * c) ** 2, axis=1)
    ridge = ridges[np.argmin(abs(losses - np.mean((net(x) - y) ** 2))), 0]
    u = random.T @ (basis @ (c / (values + ridge)))
    pairs = {"learnt": (math.sqrt(net.m) * net.a, np.maximum(x @ net.W.T, 0))}
    out = {}
    for name, (readout, psi) in (pairs | {"random": (u, random)}).items():
        f = psi @ readout / len(readout)
        V = np.mean(psi**2 @ readout**2 / len(readout) - f**2)  # eq-rp-variance
        few = rng.integers(len(readout), size=(200, 30))
        drawn = np.einsum("nrm,rm->rn", psi[:, few], readout[few]) / 30
        least = np.mean(abs(readout) * np.sqrt((psi**2).mean(axis=0))) ** 2 - np.mean(f**2)
        ratio = np.mean((drawn - f) ** 2) * 30 / V
        out |= {f"V {name}": V, f"ratio {name}": ratio, f"over best {name}": V / least}
    return out


def ten_dimensions(
    full: bool, sizes: Sequence[int], rng: np.random.Generator, *, width: int = 1000
) -> dict:
    """A teacher of three ReLU neurons in ten dimensions: what some neurons of each pool are worth.

    800 samples on the sphere of radius sqrt(10), 2000 to test; noisy neurons at ridge .02 and
    temperature .002, to time 120.

    Parameters
    ----------
    full : bool
        Without it only learnt and uniform neurons.
    sizes : sequence of int
        Neurons drawn.
    rng : numpy.random.Generator
    width : int
        Of the noisy network, and of the one without noise.

    Returns
    -------
    dict
        By pool ("learnt", "random"; in full "differences" of two inputs, "no noise", "small
        network" of m' neurons): test error with a refitted readout for each size, mean over
        five draws (three small networks). "V ...": the
        variance of a draw, of learnt and uniform neurons at one training loss; "ratio ...": error
        of 30 drawn neurons times 30 over V; "over best ...". In full the test errors "network" and
        "kernel" (NTK at its best ridge on test data).

    Examples
    --------
    >>> out = ten_dimensions(False, [10, 50], np.random.default_rng(0), width=200)
    >>> bool(out["V random"] > 10 * out["V learnt"]), bool((out["learnt"] < out["random"]).all())
    (True, True)
    """
    x = sphere((2800, 10), rng) * math.sqrt(10)
    teacher = Teacher.random(10, [1.0, -1.0, 1.0], rng, activation="relu")
    y = teacher.target(x) / teacher.target(x[:800]).std()
    seen, new = (x[:800], y[:800]), (x[800:], y[800:])
    options = {"dt": 0.5, "weight_decay": 0.02, "rng": rng}
    hot, quiet = (langevin(*seen, temperature=t, **options) for t in (2e-3, 0))
    net, others = descend(uniform(width, 10, rng), hot, 240), sphere((4000, 10), rng)
    out, pools = _worth(*seen, net, others, rng), {"learnt": net.W, "random": others}
    if full:
        i, j = rng.integers(800, size=(2, 4000))
        pools["differences"] = x[i[i != j]] - x[j[i != j]]
        pools["no noise"] = descend(uniform(width, 10, rng), quiet, 240).W
        small = [descend(uniform(m, 10, rng, networks=3), quiet, 240).W for m in sizes]
        errors = [[_refit_error(W, seen, new) for W in stack] for stack in small]
        fits = _kernel_fits(seen, new, seen[1])
        out["small network"] = np.mean(errors, axis=1)
        out["network"] = np.mean((net(new[0]) - new[1]) ** 2)
        out["kernel"] = min(np.mean((fit - new[1]) ** 2) for fit in fits)
    for name, pool in pools.items():
        out[name] = _by_size(_refit_error, pool, sizes, seen, new, rng)
    return out


def _split(rng):
    """1000 training images of digits, centred, of mean square length 64, and the rest."""
    from sklearn.datasets import load_digits

    pixels, label = load_digits(return_X_y=True)
    order = rng.permutation(len(label))
    x, y = pixels[order] - pixels[order[:1000]].mean(axis=0), label[order]
    x *= 8 / np.sqrt((x[:1000] ** 2).sum(axis=1).mean())
    return (x[:1000], y[:1000]), (x[1000:], y[1000:])


def _untrained(x, y, rng):
    """Pools of directions shaped as the pixels, and of differences of images of two classes."""
    shape = np.linalg.cholesky(np.cov(x.T) + 1e-9 * np.eye(64))
    i, j = rng.integers(len(x), size=(2, 4000))
    covariance = rng.standard_normal((2000, 64)) @ shape.T
    return {"pixels' covariance": covariance, "differences": (x[i] - x[j])[y[i] != y[j]]}


def _rivals(seen, new, quiet, sizes, rng):
    """Accuracies of methods that give exactly m' neurons, and of the kernel."""
    from sklearn.cluster import KMeans

    out = {"clusters": [], "small network": []}
    for m in sizes:
        clusters = KMeans(m, n_init=1, random_state=int(rng.integers(1000))).fit(seen[0])
        small = descend(uniform(m, 64, rng, outputs=10), quiet, 400).W
        for name, pool in (("clusters", clusters.cluster_centers_), ("small network", small)):
            out[name].append(_refit_accuracy(pool, seen, new))
    classes = np.stack([seen[0][seen[1] == c].mean(axis=0) for c in range(10)])
    found = _refit_accuracy(classes, seen, new)
    fits = _kernel_fits(seen, new, np.eye(10)[seen[1]])
    kernel = max(np.mean(fit.argmax(axis=1) == new[1]) for fit in fits)
    return {k: np.array(v) for k, v in out.items()} | {"class means": found, "kernel": kernel}


def digits(
    full: bool, sizes: Sequence[int], rng: np.random.Generator, *, width: int = 1000
) -> dict:
    """Handwritten digits: test accuracy with some neurons of each pool.

    1000 training images; noisy neurons with ten readouts each on the cross-entropy, at ridge
    .003 and temperature 1e-4.

    Parameters
    ----------
    full : bool
        Without it the noisy network stops at time 30, and the only rival are uniform neurons.
    sizes : sequence of int
        Neurons drawn.
    rng : numpy.random.Generator
    width : int
        Of the noisy network, and of the one without noise.

    Returns
    -------
    dict
        By pool ("early", of the noisy network at time 30, "random"; in full "learnt", at time 120,
        "pixels' covariance", "differences", "clusters", "small network"): test accuracy with a
        refitted multinomial readout for each size, mean over five draws of a pool. In full the
        accuracies "class means" (ten features), "network" and "kernel".

    Examples
    --------
    >>> out = digits(False, [10], np.random.default_rng(0), width=100)
    >>> bool(out["early"][0] > out["random"][0] + 0.1)
    True
    """
    seen, new = _split(rng)
    options = {"dt": 0.3, "weight_decay": 0.003, "loss": "cross-entropy", "rng": rng}
    hot, quiet = (langevin(*seen, temperature=t, **options) for t in (1e-4, 0))
    early = descend(uniform(width, 64, rng, outputs=10), hot, 100)
    pools, out = {"early": early.W, "random": sphere((2000, 64), rng)}, {}
    if full:
        net = descend(early, hot, 300)
        pools |= _untrained(*seen, rng) | {"learnt": net.W}
        out["network"] = np.mean(net(new[0]).argmax(axis=1) == new[1])
        out |= _rivals(seen, new, quiet, sizes, rng)
    for name, pool in pools.items():
        out[name] = _by_size(_refit_accuracy, pool, sizes, seen, new, rng)
    return out


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
