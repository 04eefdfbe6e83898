"""Ridge on a frozen layer, features Gaussian given the target's coordinate."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.exceptions import ConvergenceWarning

from twolayer.activations import Activation
from twolayer.data import MultiIndex, SingleIndex
from twolayer.gradients import learn_directions
from twolayer.hermite import he
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout
from twolayer.simulation.learning_directions import draw
from twolayer.theory.learning_directions import Step
from twolayer.theory.ridge_curves import learning_curve, optimal_ridge
from twolayer.theory.spectra import Spectrum, feature_moments, feature_spectrum
from twolayer.theory.transfer import FrozenFeatures


def layer(m, d, c, seed=0):
    """Unit rows with projection c on the first axis, up to sign, and random biases."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((m, d))
    W[:, 0] = 0
    W *= np.sqrt(1 - c * c) / np.linalg.norm(W, axis=1, keepdims=True)
    W[:, 0] = c * np.sign(rng.standard_normal(m))
    return TwoLayer(W, np.zeros(m), "relu", rng.standard_normal(m))


@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_moments_given_z_by_simulation(scale):
    net = layer(6, 4, 0.6)
    net = TwoLayer(scale * net.W, net.a, "relu", net.b)
    given = FrozenFeatures(net, SingleIndex(4, "he2"))
    rng = np.random.default_rng(1)
    for i in (9, 12, 14):
        x = rng.standard_normal((200_000, 4))
        x[:, 0] = given.z[i]
        sets = net.features(x).reshape(40, 5000, 6)
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


def test_without_projection_it_is_the_gaussian_equivalent():
    """Features that do not know z have one covariance: the two theories are one formula."""
    net, data = layer(40, 12, 0.0), SingleIndex(12, "he2", noise=0.7)
    given = FrozenFeatures(net, data)
    covariance, cross, square = feature_moments(net, data)
    np.testing.assert_allclose(cross, 0, atol=1e-12)
    second = given.covariance[0] + np.outer(given.mean[0], given.mean[0])
    np.testing.assert_allclose(second, covariance, atol=1e-6 * covariance.max())
    lam = np.linalg.eigvalsh(second)
    spectrum = Spectrum(lam, np.ones(40), np.zeros(40), outside=square, noise=0.49)
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
        net = draw(source, m, rng)
        spectrum = feature_spectrum(net, data)
        ridge = 3 * float(optimal_ridge(spectrum, n))
        theory.append(FrozenFeatures(net, data).learning_curve(n, ridge))
        equivalent.append(learning_curve(spectrum, n, ridge))
        covariance, cross, square = feature_moments(net, data)
        errors = []
        for _ in range(6):
            x, y = data.sample(n, rng)
            a = fit_readout(net.features(x), y, ridge)
            errors.append(square - 2 * a @ cross + a @ covariance @ a)
        simulated.append(np.mean(errors))
    ratio = np.array(simulated) / theory
    assert abs(ratio.mean() - 1) < 3 * ratio.std(ddof=1) / np.sqrt(12) + 0.1
    if not noise:
        assert np.mean(equivalent) < 0.9 * np.mean(simulated)


def learnt(link):
    """A layer that knows the direction, frozen, and a target at d = 16, m = 64."""
    net = draw(Step(SingleIndex(16, "he2"), 16 * 16**2), 64, np.random.default_rng(0))
    return net, SingleIndex(16, link)


def test_a_link_that_jumps_against_simulation():
    """sign at n = 300, ridge 1e-2: 24 nodes of Gauss-Hermite gave .067, 25 gave .012."""
    net, data = learnt("sign")
    rng = np.random.default_rng(3)
    x, y = data.sample(50_000, rng)
    features, errors = net.features(x), []
    for _ in range(40):
        at, labels = data.sample(300, rng)
        a = fit_readout(net.features(at), labels, 1e-2)
        errors.append(np.mean((y - features @ a) ** 2))
    error = np.std(errors, ddof=1) / np.sqrt(40)
    want = FrozenFeatures(net, data).learning_curve(300, 1e-2)
    assert abs(np.mean(errors) - want) < 3 * error + 0.05 * want
    assert 3 * error < 0.05 * want


@pytest.mark.parametrize("link", ["sign", "abs"])
def test_nodes_between_kinks_have_converged(link):
    net, data = learnt(link)
    got = FrozenFeatures(net, data).learning_curve(300, 1e-2)
    assert got == pytest.approx(
        FrozenFeatures(net, data, n_nodes=80).learning_curve(300, 1e-2), rel=2e-3
    )


def test_a_link_that_the_nodes_miss_is_refused():
    net, data = learnt(lambda z: np.sign(z - 0.3))
    with pytest.raises(ValueError, match="quadrature does not converge; where the link jumps"):
        FrozenFeatures(net, data, n_nodes=200)
    net, data = learnt(lambda z: np.sin(5 * z))  # smooth, but not for 24 nodes
    with pytest.raises(ValueError, match="n_nodes=24 are too few for link="):
        FrozenFeatures(net, data)
    fine = FrozenFeatures(net, data, n_nodes=100)
    assert fine.weights @ fine.target**2 == pytest.approx((1 - np.exp(-50)) / 2)
    declared = Activation("jump", lambda z: np.sign(z - 0.3), np.zeros_like, kinks=(0.3,))
    given = FrozenFeatures(net, SingleIndex(16, declared))
    assert given.weights @ given.target == pytest.approx(2 * ndtr(-0.3) - 1, rel=1e-10)


def test_what_is_kept_cannot_be_written_into():
    given = FrozenFeatures(layer(4, 5, 0.5), SingleIndex(5, "he2"))
    for array in (given.z, given.weights, given.mean):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


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
    with pytest.raises(ValueError, match=r"network is a stack of shape \(2,\)"):
        FrozenFeatures(TwoLayer.stack([net, net]), data)
    given = FrozenFeatures(net, data)
    for arguments, message in [((0, 1.0), "n=0"), ((5, 0.0), "ridge=0")]:
        with pytest.raises(ValueError, match=message):
            given.learning_curve(*arguments)


def test_a_fixed_point_that_is_not_reached_warns(monkeypatch):
    given = FrozenFeatures(layer(4, 5, 0.5), SingleIndex(5, "he2"))
    monkeypatch.setattr("twolayer.theory.transfer._ITERATIONS", 1)
    with pytest.warns(ConvergenceWarning, match="still change"):
        given.learning_curve(50, 1e-3)


def test_targets_and_spectra_are_read_only_too():
    for link in ("he2", "abs"):
        net = TwoLayer.unit_rows(4, 5, "relu", np.random.default_rng(0))
        layer = FrozenFeatures(net, SingleIndex(5, link))
        for array in (layer.target, layer.z, layer.weights, layer.mean):
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 1
    with pytest.raises(ValueError, match="read-only"):
        Spectrum([1.0], [5], [1.0]).eigenvalues[0] = 2


@pytest.mark.parametrize("m", [32, 64])
def test_tilt_of_a_narrow_layers_leading_direction(m):
    """1 - cos^2 = Gamma d/n + (2/m) E[rho^2 (1 - rho^2)] / (E rho^2)^2, on real samples.

    Where the second term dominates; its own next order is 1/m.
    """
    step, found = Step(SingleIndex(48, "he2"), 16 * 48**2), []
    for seed in range(64):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((step.n, 48), dtype="float32")
        W = learn_directions(x, step.data.target(x), m, rng, dtype="float32").W
        found.append(1 - np.linalg.svd(W.astype(float), full_matrices=False)[2][0, 0] ** 2)
    t = (np.arange(4000) + 0.5) / 4000
    one, two = (np.mean(t**k * step.squared_overlap_density(t)) for k in (1, 2))
    factor = m * (np.array(found) - step.noise_ratio * 48 / step.n) * one**2 / (one - two)
    se = factor.std(ddof=1) / 8
    assert abs(factor.mean() - 2) < 4 * se + 4 / m
    assert se < 0.15
