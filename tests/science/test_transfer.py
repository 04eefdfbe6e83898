"""Ridge on a frozen layer, features Gaussian given the target's coordinate."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from twolayer.data import MultiIndex, SingleIndex
from twolayer.hermite import he
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout
from twolayer.theory.learning_directions import Step
from twolayer.theory.ridge_curves import learning_curve, optimal_ridge
from twolayer.theory.spectra import Spectrum, feature_moments, feature_spectrum
from twolayer.theory.transfer import FrozenFeatures


def layer(m, d, c, seed=0):
    """Unit rows with overlap c with the first axis, up to sign, and random biases."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((m, d))
    W[:, 0] = 0
    W *= np.sqrt(1 - c * c) / np.linalg.norm(W, axis=1, keepdims=True)
    W[:, 0] = c * np.sign(rng.standard_normal(m))
    return TwoLayer(W, np.zeros(m), "relu", rng.standard_normal(m))


@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_moments_given_z_by_simulation(scale):
    net = layer(6, 4, 0.6)
    net = TwoLayer(scale * net.W.detach(), net.a.detach(), "relu", net.b.detach())
    given = FrozenFeatures(net, SingleIndex(4, "he2"))
    rng = np.random.default_rng(1)
    for i in (9, 12, 14):
        x = rng.standard_normal((200_000, 4))
        x[:, 0] = given.z[i]
        sets = net.features(x).detach().numpy().reshape(40, 5000, 6)
        means, covariances = sets.mean(1), np.array([np.cov(f.T) for f in sets])
        for got, want in ((means, given.mean[i]), (covariances, given.covariance[i])):
            error = got.std(0, ddof=1) / np.sqrt(40)
            assert (abs(got.mean(0) - want) < 4.5 * error + 1e-3 * abs(want).max()).all()


def test_averages_over_z_are_the_moments_of_the_layer():
    net, data = layer(20, 30, 0.3), SingleIndex(30, (0, 0, 0.6, 0.8))
    given = FrozenFeatures(net, data, n_nodes=60)
    covariance, cross, _ = feature_moments(net, data)
    second = given.covariance + given.mean[:, :, None] * given.mean[:, None, :]
    got = np.tensordot(given.weights, second, 1)
    np.testing.assert_allclose(got, covariance, atol=2e-4 * covariance.max())
    np.testing.assert_allclose(
        (given.weights * given.target) @ given.mean, cross, atol=1e-3 * abs(cross).max()
    )


def test_without_overlap_it_is_the_gaussian_equivalent():
    """Features that do not know z have one covariance: the two theories are one formula."""
    net, data = layer(40, 12, 0.0), SingleIndex(12, "he2", noise=0.7)
    given = FrozenFeatures(net, data)
    covariance, cross, power = feature_moments(net, data)
    np.testing.assert_allclose(cross, 0, atol=1e-12)
    second = given.covariance[0] + np.outer(given.mean[0], given.mean[0])
    np.testing.assert_allclose(second, covariance, atol=1e-6 * covariance.max())
    lam = np.linalg.eigvalsh(second)
    spectrum = Spectrum(lam, np.ones(40), np.zeros(40), outside=power, noise=0.49)
    for n, ridge in ((30, 0.1), (200, 1e-3), (200, 3.0)):
        want = learning_curve(spectrum, n, ridge)
        assert given.learning_curve(n, ridge) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize(("n", "noise"), [(64, 0.0), (256, 0.0), (256, 0.5), (1024, 0.0)])
def test_against_simulation(n, noise):
    """Within 3 standard errors + 10 %: the factors' fluctuations are neglected.

    The Gaussian equivalent is below it by more than that: the test can fail.
    """
    d, m = 40, 128
    source = Step(SingleIndex(d, "he2"), 16 * d * d)
    data = SingleIndex(d, "he3", noise)
    theory, equivalent, simulated = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        net = source.draw(m, rng)
        spectrum = feature_spectrum(net, data)
        ridge = 3 * float(optimal_ridge(spectrum, n))
        theory.append(FrozenFeatures(net, data).learning_curve(n, ridge))
        equivalent.append(learning_curve(spectrum, n, ridge))
        covariance, cross, power = feature_moments(net, data)
        errors = []
        for _ in range(6):
            x, y = data.sample(n, rng)
            a = fit_readout(net.features(x), y, ridge).numpy()
            errors.append(power - 2 * a @ cross + a @ covariance @ a)
        simulated.append(np.mean(errors))
    ratio = np.array(simulated) / theory
    assert abs(ratio.mean() - 1) < 3 * ratio.std(ddof=1) / np.sqrt(12) + 0.1
    if not noise:
        assert np.mean(equivalent) < 0.9 * np.mean(simulated)


def test_target_given_z():
    given = FrozenFeatures(layer(4, 5, 0.5), SingleIndex(5, "he3"))
    np.testing.assert_allclose(given.target, he(3, given.z) / 6**0.5)


def test_bad_input():
    net, data = layer(4, 5, 0.5), SingleIndex(5, "he2")
    with pytest.raises(TypeError, match="must be a SingleIndex"):
        FrozenFeatures(net, MultiIndex(5, "he2"))
    with pytest.raises(ValueError, match=r"data\.d=6 must be the network's d=5"):
        FrozenFeatures(net, SingleIndex(6, "he2"))
    with pytest.raises(TypeError, match="must be 'relu'"):
        FrozenFeatures(TwoLayer(np.eye(5), np.ones(5), "tanh"), data)
    with pytest.raises(ValueError, match="without a part across"):
        FrozenFeatures(TwoLayer(np.eye(5), np.ones(5), "relu"), data)
    given = FrozenFeatures(net, data)
    for arguments, message in [((0, 1.0), "n=0"), ((5, 0.0), "ridge=0")]:
        with pytest.raises(ValueError, match=message):
            given.learning_curve(*arguments)


def test_a_fixed_point_that_is_not_reached_warns(monkeypatch):
    given = FrozenFeatures(layer(4, 5, 0.5), SingleIndex(5, "he2"))
    monkeypatch.setattr("twolayer.theory.transfer._ITERATIONS", 1)
    with pytest.warns(ConvergenceWarning, match="still change"):
        given.learning_curve(50, 1e-3)
