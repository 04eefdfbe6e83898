"""Runs on the circle: the tutorial's step is the library's, and counts are what they should be."""

import math

import numpy as np
import pytest

from twolayer.descent import descend, langevin
from twolayer.network import TwoLayer
from twolayer.simulation.repopulation import course, draw, expected_variation, shares, uniform
from twolayer.theory.repopulation import circle, histogram, solve, variance

PHI = 2 * np.pi * np.arange(40) / 40
X = np.stack([np.cos(PHI), np.sin(PHI)], axis=1)
Y = np.exp(4 * np.cos(PHI[:, None] - [0.6, 2.4, 4.4]) - 4) @ [1, -1, 0.8]
LIMIT = solve(circle(PHI, Y, weight_decay=0.02, temperature=0.01)[1])


def kick(w, rng):
    """Noise along the circle, from two coordinates, and of the readout."""
    z = rng.standard_normal((3, len(w)))
    return np.stack([np.cos(w) * z[1] - np.sin(w) * z[0], z[2]])


def test_the_step_by_hand_in_angles_is_the_library_s():
    """The tutorial's `descend`, with the noise that `langevin` draws."""
    start = uniform(300, 2, np.random.default_rng(0))
    w, u, rng = np.arctan2(start.W[:, 1], start.W[:, 0]), np.zeros(300), np.random.default_rng(1)
    old = kick(w, rng)
    for _ in range(50):
        new = kick(w, rng)
        psi = np.maximum(np.cos(w - PHI[:, None]), 0)
        slope, rest = -np.sin(w - PHI[:, None]) * (psi > 0), Y - psi @ u / 300
        push = np.stack([u * (rest @ slope), rest @ psi - 40 * 0.02 * u])
        w, u = (w, u) + push / 40 + math.sqrt(2 * 0.01) * (new + old) / 2
        old = new
    constants = {"weight_decay": 0.02, "temperature": 0.01, "rng": np.random.default_rng(1)}
    end = descend(start, langevin(X, Y, dt=1.0, **constants), 50)
    np.testing.assert_allclose(np.stack([np.cos(w), np.sin(w)], axis=1), end.W, atol=1e-9)
    np.testing.assert_allclose(u, math.sqrt(300) * end.a, atol=1e-9)


def test_cost_of_a_draw_is_the_mean_squared_height():
    """On the circle |psi|^2 = 1/4: V = mean u^2 / 4 - |f|^2, and its excess is Var |u| / 4."""
    psi, p, u = LIMIT.problem.features, LIMIT.density, LIMIT.readout
    np.testing.assert_allclose((psi**2).mean(axis=0), 1 / 4, rtol=1e-12)
    f2 = np.mean(LIMIT.outputs**2)
    np.testing.assert_allclose(variance(psi, LIMIT.nu, p), p @ u**2 / 4 - f2, rtol=1e-10)
    best = abs(LIMIT.nu) / abs(LIMIT.nu).sum()
    excess = (p @ u**2 - (p @ abs(u)) ** 2) / 4
    gap = variance(psi, LIMIT.nu, p) - variance(psi, LIMIT.nu, best)
    np.testing.assert_allclose(gap, excess, rtol=1e-8)


def test_features_on_forty_inputs_make_22_functions():
    assert np.linalg.matrix_rank(LIMIT.problem.features, tol=1e-9) == 22


def test_shares_count_each_neuron_in_the_bin_of_its_node(rng):
    W = uniform(500, 2, rng, networks=3).W
    node = np.rint(np.arctan2(W[..., 1], W[..., 0]) / (2 * np.pi) * 1440).astype(int) % 1440
    want = np.stack([np.bincount(row // 40, minlength=36) for row in node]) / 500
    np.testing.assert_array_equal(shares(W, 36), want)
    np.testing.assert_allclose(shares(W, 36).sum(axis=-1), 1)


def test_drawn_neurons_have_the_solution_s_law(rng):
    networks = draw(LIMIT, 4, 50_000, rng)
    want, spread = histogram(LIMIT, 200_000, np.arange(1440) // 40, interacting=False)
    assert np.all(abs(shares(networks.W, 36).mean(axis=0) - want) < 4.5 * spread)
    angle = np.arctan2(networks.W[..., 1], networks.W[..., 0]) % (2 * np.pi)
    mean = np.interp(angle, 2 * np.pi * np.arange(1440) / 1440, LIMIT.readout, period=2 * np.pi)
    off = math.sqrt(50_000) * networks.a - mean
    assert abs(off.mean()) < 4 * math.sqrt(0.5 / 200_000)
    assert off.var() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("m", [30, 400])
def test_expected_variation_of_independent_draws(m, rng):
    """Against the mean over 3000 networks of m independent neurons."""
    want = LIMIT.density.reshape(36, 40).sum(axis=1)
    found = abs(shares(draw(LIMIT, 3000, m, rng).W, 36) - want).sum(axis=1) / 2
    error = found.std() / math.sqrt(3000)
    expected = expected_variation(LIMIT, m, 36, interacting=False)
    assert abs(found.mean() - expected) < 4 * error
    assert error < 0.01 * expected
    assert expected_variation(LIMIT, m, 36) < expected


def test_frozen_shares_of_peaks_lie_between_rest_and_independence():
    rest, free = (expected_variation(LIMIT, 500, 36, interacting=i) for i in (True, False))
    held = expected_variation(LIMIT, 500, 36, frozen=True)
    assert rest < held < free
    free_held = expected_variation(LIMIT, 500, 36, interacting=False, frozen=True)
    assert free_held == pytest.approx(free)


def test_cold_networks_whose_peaks_have_their_shares_are_at_the_prediction(rng):
    """A cold start at the solution stays off only since `draw` draws neurons independently."""
    cold = solve(circle(PHI, Y, weight_decay=0.02, temperature=0.0025)[1])
    peak = np.searchsorted([8, 19, 31], np.arange(36), side="right") % 3
    mass = [cold.density[peak[np.arange(1440) // 40] == k].sum() for k in range(3)]
    counts, W, a = np.rint(2000 * np.array(mass)).astype(int), [], []
    counts[0] += 2000 - counts.sum()
    for net in draw(cold, 12, 4000, rng):
        turn = np.arctan2(net.W[:, 1], net.W[:, 0]) / (2 * np.pi)
        of = peak[np.rint(turn * 1440).astype(int) % 1440 // 40]
        kept = np.concatenate([np.flatnonzero(of == k)[:c] for k, c in enumerate(counts)])
        W, a = [*W, net.W[kept]], [*a, math.sqrt(2) * net.a[kept]]
    start = TwoLayer(np.array(W), np.array(a), "relu")
    found = course(PHI, cold, start, rng, spans=[(200, 800)])[0][0]
    assert abs(found - 1) < 0.08
    rest, held = (expected_variation(cold, 2000, 36, frozen=f) for f in (False, True))
    assert held > 1.15 * rest


def test_a_course_from_the_solution_stays_at_the_prediction(rng):
    start = draw(LIMIT, 10, 400, rng)
    variation, square, end = course(PHI, LIMIT, start, rng, spans=[(0, 200), (200, 400)])
    assert abs(variation - 1).max() < 0.08
    assert abs(square[1] - 1) < 0.35  # independent draws fluctuate more at first
    assert end.W.shape == (10, 400, 2)
    far, _, _ = course(PHI, LIMIT, uniform(5000, 2, rng, networks=1), rng, spans=[(0, 40)])
    assert far[0] > 2


def test_bad_arguments(rng):
    with pytest.raises(ValueError, match=r"W has shape \(3, 3\); it must be \(..., m, 2\)"):
        shares(np.eye(3), 4)
    with pytest.raises(ValueError, match="bins=7 must divide grid=1440"):
        shares(np.eye(2), 7)
    with pytest.raises(ValueError, match="m=0 must be a positive integer"):
        uniform(0, 2, rng)
    assert isinstance(uniform(2, 2, rng), TwoLayer)
