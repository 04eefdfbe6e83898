"""What `theory.exact_curves` does with its arguments."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from twolayer import activations
from twolayer.simulation.exact_curves import run as simulate
from twolayer.theory import exact_curves
from twolayer.theory.exact_curves import (
    OneStep,
    learning_curve,
    learnt_function,
    optimal_ridge,
    step_map,
)

CONFIG = OneStep("tanh", "sign", 4.0, 3.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha0": 0.0}, "alpha0=0.0"),
        ({"eta": -1.0}, "eta=-1.0"),
        ({"eta": np.inf}, "eta=inf"),
        ({"width_ratio": 0.0}, "width_ratio=0.0"),
        ({"noise": -0.1}, "noise=-0.1"),
        ({"activation": "step"}, "'step' is unknown"),
        ({"link": "step"}, "'step' is unknown"),
        ({"activation": "relu"}, "activation='relu' is not odd"),
        ({"activation": "he2"}, "not odd"),
        ({"activation": "sign"}, "jumps"),
        ({"link": np.ones((2, 2))}, r"link has shape \(2, 2\)"),
        ({"link": [0.0, 0.0]}, "is zero"),
        ({"link": lambda z: np.where(z > 0.3, 1.0, -1.0)}, "does not converge"),
    ],
)
def test_bad_config(change, message):
    good = {"activation": "tanh", "link": "sin", "alpha0": 20.0, "eta": 3.0, "width_ratio": 1.0}
    with pytest.raises(ValueError, match=message):
        OneStep(**{**good, **change})


def test_what_the_quadrature_cannot_resolve_is_an_error():
    fast = OneStep("tanh", lambda z: np.sin(8 * np.pi * z), 16.0, 0.0)
    with pytest.raises(ValueError, match="does not converge"):
        learning_curve(fast, 1.0, 1.0)
    with pytest.raises(ValueError, match="too fine"):
        learning_curve(OneStep("tanh", "sign", 1e16, 1.0), 1.0, 1.0)
    with pytest.raises(ValueError, match="rounding"):
        OneStep("tanh", "sign", 4.0, 1e-12)
    rough = activations.Activation(
        "saw", lambda z: np.sign(np.sin(9 * z)), np.zeros_like, parity=-1
    )
    with pytest.raises(ValueError, match="does not converge"):
        learning_curve(OneStep(rough, "sign", 4.0, 0.0), 1.0, 1.0)


def test_steps_beyond_the_quadrature_and_undeclared_kinks_are_errors():
    for alpha0, eta, noise in [(1e-10, 5.0, 0.0), (4.0, 1e5, 0.0), (4.0, 3.0, 1e40)]:
        with pytest.raises(ValueError, match="too large for the quadrature"):
            learning_curve(OneStep("tanh", "sign", alpha0, eta, noise=noise), 1.0, 1.0)
    hard = activations.Activation(
        "hardtanh", lambda z: z.clip(-1, 1), lambda z: 1.0 * (abs(z) < 1), parity=-1
    )
    for eta in (0.0, 5.0):
        with pytest.raises(ValueError, match="converge"):
            learning_curve(OneStep(hard, "sign", 4.0, eta), 1.0, 1.0)
    declared = activations.Activation(
        "hardtanh", hard.function, hard.derivative, parity=-1, kinks=(-1.0, 1.0)
    )
    assert 0 < learning_curve(OneStep(declared, "sign", 4.0, 5.0), 1.0, 1.0) < 1


def test_types_of_a_config():
    with pytest.raises(TypeError, match="alpha0"):
        OneStep("tanh", "sign", np.array(4.0), 3.0)
    integers = OneStep("tanh", "sign", 4, 3, 1)
    assert learning_curve(integers, 1, 1) == learning_curve(CONFIG, 1.0, 1.0)
    assert OneStep("he3", "sign", 4.0, 3.0).strength == 0
    assert 0 < learning_curve(OneStep("he3", "sign", 4.0, 3.0), 1.0, 1e5) < 1.01


def test_activations_that_are_not_odd_have_random_features_only():
    assert 0 < learning_curve(OneStep("relu", "sign", 1.0, 0.0), 1.0, 1.0) < 1


def test_bad_arguments():
    for alpha, ridge in [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, np.nan)]:
        with pytest.raises(ValueError, match="must be finite and > 0"):
            learning_curve(CONFIG, alpha, ridge)
    with pytest.raises(ValueError, match="must broadcast"):
        learning_curve(CONFIG, np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="corrected='some' is unknown"):
        learning_curve(CONFIG, 1.0, 1.0, corrected="some")
    with pytest.raises(TypeError, match="must be a OneStep"):
        learning_curve("tanh", 1.0, 1.0)
    with pytest.raises(ValueError, match="no spike"):
        learnt_function(OneStep("tanh", "sign", 4.0, 0.0), 1.0, 1.0, [0.0])
    with pytest.raises(ValueError, match="projection has shape"):
        learnt_function(CONFIG, 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="bounds"):
        optimal_ridge(CONFIG, 1.0, bounds=(2.0, 1.0))
    with pytest.raises(TypeError, match="alpha"):
        step_map("tanh", "sign", [1.0], [1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="ridges has shape"):
        step_map("tanh", "sign", [1.0], [1.0], 1.0, ridges=[])
    with pytest.raises(ValueError, match="at least one"):
        simulate(CONFIG, [], [], 20, np.random.default_rng(0))
    with pytest.raises(ValueError, match="projection has shape"):
        simulate(CONFIG, 1.0, 1.0, 20, np.random.default_rng(0), projection=1.0)
    with pytest.raises(ValueError, match="eta has shape"):
        step_map("tanh", "sign", [1.0], np.ones((2, 2)), 1.0)
    with pytest.raises(ValueError, match="model='other'"):
        simulate(CONFIG, 1.0, 1.0, 20, np.random.default_rng(0), model="other")
    none = OneStep("tanh", "sign", 4.0, 0.0)
    with pytest.raises(ValueError, match="no spike"):
        simulate(none, 1.0, 1.0, 20, np.random.default_rng(0), projection=[0.0])
    with pytest.raises(TypeError, match="rng"):
        simulate(CONFIG, 1.0, 1.0, 20, 0)


def test_shapes_broadcast():
    assert np.ndim(learning_curve(CONFIG, 1.0, 1.0)) == 0
    grid = learning_curve(CONFIG, np.array([[0.5], [2.0]]), np.geomspace(0.01, 10, 70))
    assert grid.shape == (2, 70)
    assert grid[1, 3] == pytest.approx(
        learning_curve(CONFIG, 2.0, np.geomspace(0.01, 10, 70)[3]), rel=1e-12
    )
    assert learning_curve(CONFIG, [], 1.0).shape == (0,)
    assert optimal_ridge(CONFIG, [0.5, 2.0]).shape == (2,)


def test_a_failure_is_nan_with_a_warning(monkeypatch):
    def failing(*arguments):
        V, failed = solver(*arguments)
        V[0], failed[0] = np.nan, True
        return V, failed

    solver = exact_curves._fixed_point
    good = learning_curve(CONFIG, [1.0, 2.0], 1.0)
    monkeypatch.setattr(exact_curves, "_fixed_point", failing)
    with pytest.warns(ConvergenceWarning, match=r"1 of 2 settings, the first alpha=1.0, ridge=1.0"):
        got = learning_curve(CONFIG, [1.0, 2.0], 1.0)
    assert np.isnan(got[0])
    assert got[1] == good[1]


def test_the_solver_says_when_it_stops_early(monkeypatch):
    monkeypatch.setattr(exact_curves, "_ITERATIONS", 4)
    with pytest.warns(ConvergenceWarning):
        assert np.isnan(learning_curve(CONFIG, 1.0, 1e-6))


def test_links_in_three_spellings():
    by_name = learning_curve(OneStep("tanh", "he3", 4.0, 3.0), 1.0, 1.0)
    by_list = learning_curve(OneStep("tanh", [0.0, 0.0, 0.0, 1.0], 4.0, 3.0), 1.0, 1.0)
    by_object = learning_curve(OneStep("tanh", activations.get("he3"), 4.0, 3.0), 1.0, 1.0)
    assert by_list == pytest.approx(by_name, rel=1e-10)
    assert by_object == pytest.approx(by_name, rel=1e-10)


def test_step_map_is_the_least_error_of_each_setting():
    ridges = np.geomspace(1e-3, 10, 9)
    got = step_map("tanh", "sin", [1.0, 4.0], [0.0, 3.0], 2.0, ridges=ridges, width_ratio=0.5)
    want = learning_curve(OneStep("tanh", "sin", 4.0, 3.0, 0.5), 2.0, ridges).min()
    assert got.shape == (2, 2)
    assert got[1, 1] == want


def test_optimal_ridge_may_lie_at_an_end():
    assert optimal_ridge(CONFIG, 2.0, bounds=(10.0, 100.0)) == 10.0
    assert optimal_ridge(CONFIG, 2.0, bounds=(1e-6, 1e-5)) == 1e-5


def test_simulate_shapes_and_repeats():
    def run(model):
        ridges = np.array([0.1, 1.0])
        rng, alphas = np.random.default_rng(1), [[0.5], [2.0]]
        return simulate(CONFIG, alphas, ridges, 40, rng, model=model, projection=[0.0, 1.0])

    for model in ("network", "spiked"):
        out = run(model)
        assert out["error"].shape == (2, 2)
        assert out["linear"] == pytest.approx(CONFIG.linear_bound, rel=0.08)
        assert out["learnt"].shape == (2, 2, 2)
        assert np.array_equal(out["error"], run(model)["error"])
