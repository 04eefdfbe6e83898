"""Tickets of neurons: what a lost cluster costs, and who keeps the kind, against draws."""

import numpy as np
import pytest

from twolayer.data import GaussianMixture
from twolayer.gradients import simplified_gradient
from twolayer.network import TwoLayer
from twolayer.theory.lottery_tickets import coverage


@pytest.mark.parametrize("neurons", [1, 2, 4, 7])
def test_neurons_that_stay_on_their_arms_have_the_silent_law(neurons):
    """eq-lt-silent, by outputs: each neuron is heard on its cluster and on half of both others."""
    rng = np.random.default_rng(neurons)
    kinds = rng.integers(4, size=(40_000, neurons))  # centres at 0, 90, 180, 270 degrees
    votes = np.zeros(len(kinds))
    angle = rng.uniform(-0.1, 0.1, len(kinds))  # a point of the first cluster, off its centre
    for kind in kinds.T:
        heard = np.maximum(np.cos(angle - kind * np.pi / 2), 0)
        votes += np.where(kind % 2, -1, 1) * heard
    right = np.mean((np.sign(votes) + 1) / 2)
    law = coverage(neurons, 4)[0] + 0.5 ** (neurons + 1)
    assert right == pytest.approx(law, abs=0.01)


@pytest.mark.parametrize(("n", "d", "radius"), [(300, 50, 4.0), (100, 50, 3.0)])
def test_first_pulls_keep_the_side_of_the_start(n, d, radius):
    """eq-lt-agree, by gradients of the library."""
    rng, shares = np.random.default_rng(3), []
    for _ in range(60):
        x, y = GaussianMixture.ring(d, 4, radius).sample(n, rng)
        net = TwoLayer.mean_field(200, d, "relu", rng)
        pull = simplified_gradient(net, x, y)
        shares.append(np.mean(pull[:, 0] * net.W[:, 0] > 0))
    ratio = np.sqrt(2 * np.pi * (2 + radius**2) / radius**4 * d / n)
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(1 - np.arctan(ratio) / np.pi, abs=3 * error + 0.005)
