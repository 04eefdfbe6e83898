"""Networks on two classes: the start, the frozen step, training of many, tuned kernels."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV

from twolayer import kernels
from twolayer.data import GaussianMixture, Parity
from twolayer.descent import descend, mean_field_rates, sgd
from twolayer.gradients import simplified_gradient
from twolayer.measures import accuracy
from twolayer.network import TwoLayer
from twolayer.simulation import gradient_features as simulation

XOR = GaussianMixture.ring(8, 4, 3.0)


def test_start_is_zero_and_has_pairs(rng):
    net = simulation.start(10, 8, rng, bias_std=0.5)
    x = rng.standard_normal((20, 8))
    np.testing.assert_allclose(net(x), 0, atol=1e-6)
    np.testing.assert_array_equal(net.b[:5], net.b[5:])
    assert not simulation.start(10, 8, rng).b.any()


def test_frozen_is_the_first_step_by_hand():
    rng = np.random.default_rng(1)
    x, y = XOR.sample(200, rng)
    net = simulation.start(12, 8, rng)
    once = simulation.frozen(net, x, y, np.random.default_rng(2))
    step = np.array([a * (y * (x @ w > 0)) @ x for w, a in zip(net.W, net.a, strict=True)])
    np.testing.assert_allclose(once.W, step / np.linalg.norm(step, axis=1)[:, None], atol=1e-5)
    np.testing.assert_array_equal(once.b, np.random.default_rng(2).standard_normal(12))
    features = np.maximum(x @ once.W.T + once.b, 0)
    sklearn = RidgeCV(np.logspace(-3, 3, 25), fit_intercept=False).fit(features, y)
    assert accuracy(once(x), y) == pytest.approx(accuracy(sklearn.predict(features), y), abs=0.02)


def test_frozen_on_other_labels_takes_its_step_with_them(rng):
    x, y = XOR.sample(200, rng)
    net = simulation.start(12, 8, rng)
    mine = simulation.frozen(net, x, y, np.random.default_rng(2), labels=-y)
    other = simulation.frozen(net, x, y, np.random.default_rng(2))
    np.testing.assert_allclose(mine.W, -other.W, atol=1e-6)
    assert accuracy(mine(x), y) > 0.5  # the readout saw the true ones


def test_training_of_many_is_training_of_each():
    data, options = Parity(6, 2), {"m": 16, "steps": 30, "bias_std": 0.3, "test": 50}
    runs = simulation.train(data, 40, np.random.default_rng(3), networks=3, batch=10, **options)
    for k, rng in enumerate(np.random.default_rng(3).spawn(3)):
        x, y = data.sample(40, rng)
        x_test, y_test = data.sample(50, rng)
        net = simulation.start(16, 6, rng, 0.3)
        method = sgd(x, y, rates=mean_field_rates(1.0, 16), batch=10, rng=rng)
        np.testing.assert_allclose(descend(net, method, 30).W, runs.after[k].W, atol=1e-4)
        assert runs.score(runs.after)[k] == accuracy(runs.after[k](x_test), y_test)
        pull = simplified_gradient(net, x, y) * net.a[:, None]
        np.testing.assert_allclose(runs.pulls[k], pull, atol=1e-6)


def test_frozen_runs_and_their_control():
    runs = simulation.train(XOR, 300, np.random.default_rng(4), m=32, networks=2)
    true, again, control = (
        runs.frozen(np.random.default_rng(5), shuffled=v) for v in (False, False, True)
    )
    np.testing.assert_array_equal(true[0].W, again[0].W)
    np.testing.assert_array_equal(true[1].b, control[1].b)  # the same biases
    assert abs(np.sum(true[0].W * control[0].W, axis=1)).mean() < 0.8
    assert min(runs.score(true)) > 0.85


def test_kernel_is_tuned_on_validation_data_only(rng):
    sets = [XOR.sample(n, rng) for n in (60, 100, 200)]
    (x, y), (x_val, y_val), (x_test, y_test) = sets
    best = []
    for degree in (1, 2):
        for ridge in (1e-3, 10.0):
            gram = (x @ x.T / 8) ** degree
            model = KernelRidge(
                alpha=ridge * np.trace(gram) / 60, kernel="polynomial", degree=degree,
                gamma=1 / 8, coef0=0,
            ).fit(x, y)  # fmt: skip
            scores = [accuracy(model.predict(v), t) for v, t in ((x_val, y_val), (x_test, y_test))]
            best.append(scores)
    want = max(best, key=lambda pair: pair[0])[1]
    both = [kernels.polynomial(degree, 0.0) for degree in (1, 2)]
    assert simulation.kernel_accuracy(both, *sets, ridges=(1e-3, 10.0)) == want


def test_stops_where_the_validation_set_says():
    rng = np.random.default_rng(6)
    sets = [XOR.sample(n, rng) for n in (100, 100, 100)]
    net, (x, y) = simulation.start(16, 8, rng), sets[0]
    got = simulation.stopped(net, *sets, eta=0.5, steps=20)
    scores = []
    for steps in (1, 2, 4, 8, 16, 20):
        end = descend(net, sgd(x, y, rates=mean_field_rates(0.5, 16)), steps)
        scores.append([accuracy(end(v), t) for v, t in sets[1:]])
    assert got == max(scores, key=lambda pair: pair[0])[1]


def test_even_kernel_knows_the_symmetry(rng):
    x, z = rng.standard_normal((5, 8)), rng.standard_normal((4, 8))
    even = kernels.relu_ntk.even()
    np.testing.assert_allclose(even(x, z), kernels.relu_ntk(x, z) + kernels.relu_ntk(x, -z))
    np.testing.assert_allclose(even(x, z), even(-x, z))
    odd = TwoLayer(np.eye(8)[:1], [1.0], "identity")(x)
    fit = even(x) @ np.linalg.lstsq(even(x), odd, rcond=None)[0]
    np.testing.assert_allclose(even(-x, x) @ np.linalg.lstsq(even(x), odd, rcond=None)[0], fit)
