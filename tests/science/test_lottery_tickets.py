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


def test_gaps_between_sums_of_subsets():
    """eq-lt-subset: sqrt(N) 2^-N, and not N 2^-N or 2^-N."""
    rng, sizes, gaps = np.random.default_rng(5), np.array([8, 13]), []
    for size in sizes:
        sums = np.zeros((1500, 1))
        for number in rng.uniform(-1, 1, (size, 1500, 1)):
            sums = np.concatenate([sums, sums + number], axis=1)
        gaps.append(np.median(abs(sums - 0.5).min(axis=1)))
    small, large = np.array(gaps) * 2.0**sizes / np.sqrt(sizes)
    assert small == pytest.approx(0.43, rel=0.15)
    assert large / small == pytest.approx(1, abs=0.15)  # N or 1 in place of sqrt(N): 1.27, 0.78


def test_no_choice_of_neurons_of_signs_has_less_loss_than_a_coin():
    """eq-lt-symmetric and Jensen: on XOR, for masks of neurons with weights of size one."""
    rng = np.random.default_rng(6)
    x, y = GaussianMixture.ring(20, 4, 4.0).sample(40_000, rng)
    net = TwoLayer.ntk(128, 20, "relu", rng)
    net = net.with_weights(np.sign(net.W))
    for _ in range(5):
        f = net.with_readout(net.a * rng.integers(2, size=128))(x)
        error = np.std(f) * np.sqrt(2 / len(y))
        assert f[y > 0].mean() == pytest.approx(f[y < 0].mean(), abs=4 * error)
        losses = np.logaddexp(0, -y * f)
        assert losses.mean() > np.log(2) - 3 * losses.std() / np.sqrt(len(y))
