"""Whatever the settings: theory converges, warns, or says by name what is wrong with them."""

import contextlib
import dataclasses
import inspect
import math
import os
import signal
import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from . import any_settings
from .any_settings import KINDS, Recipe, calls, kinds_of, members, public

EXAMPLES = int(os.environ.get("ANY_SETTINGS", "10"))
SECONDS = 20  # of CPU a call
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 100,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
)
PUBLIC = public()
unit, positive = (0.0, 1.0), (0.0, math.inf)
#: Between what the numbers lie; anything finite where a name is missing.
RANGES = {
    "backward_correction.contraction": positive,
    "backward_correction.lower_error": positive,
    "backward_correction.mode_variances": positive,
    "beyond_the_tangent_kernel.alignment_time": positive,
    "beyond_the_tangent_kernel.free_neurons": (-1.0, 1.0),
    "beyond_the_tangent_kernel.plateau": positive,
    "exact_curves.learning_curve": positive,
    "exact_curves.optimal_ridge": positive,
    "exact_curves.step_map": positive,
    "exact_curves.OneStep.cosine": (-1.0, 1.0),
    "exact_curves.OneStep.linear_bound": positive,
    "gradient_features.ring_probability": unit,
    "gradient_features.threshold_fourier": (-1.0, 1.0),
    "gradient_features.xor_accuracy": unit,
    "higher_spikes.crossing": positive,
    "higher_spikes.floor": positive,
    "higher_spikes.learning_curve": positive,
    "higher_spikes.outliers": positive,
    "higher_spikes.window_error": positive,
    "higher_spikes.Step.cosine": (-1.0, 1.0),
    "lazy_and_rich.rates": positive,
    "learning_directions.Step.mean_squared_overlap": unit,
    "learning_directions.Step.squared_overlap_cdf": unit,
    "learning_directions.Step.squared_overlap_density": positive,
    "learning_directions.Step.subspace_overlap": unit,
    "looking_twice.cosine": (-1.0, 1.0),
    "looking_twice.TwoLooks.plain_cosine": (-1.0, 1.0),
    "looking_twice.information": positive,
    "looking_twice.online_time": positive,
    "looking_twice.state_evolution": unit,
    "looking_twice.transformed_cosine": unit,
    "looking_twice.weak_recovery": positive,
    "lottery_tickets.coverage": unit,
    "mixtures.learning_curve": positive,
    "one_neuron_one_feature.coverage": positive,
    "one_neuron_one_feature.escape_law": unit,
    "one_neuron_one_feature.escape_time": positive,
    "one_neuron_one_feature.largest_start_wins": unit,
    "one_neuron_one_feature.mean_direction": (-1.0, 1.0),
    "one_neuron_one_feature.win_probability": unit,
    "one_step.bulk_density": positive,
    "one_step.bulk_edges": positive,
    "one_step.critical_strength": positive,
    "one_step.outlier": positive,
    "one_step.ridge_risk": positive,
    "one_step.squared_overlap": unit,
    "one_step.FirstStep.squared_overlap": unit,
    "recovering_the_teacher.population_loss": positive,
    "repopulation.optimal_density": unit,
    "repopulation.variance": positive,
    "ridge_curves.effective_ridge": positive,
    "ridge_curves.learning_curve": positive,
    "ridge_curves.optimal_curve": positive,
    "ridge_curves.optimal_ridge": positive,
    "ridge_curves.random_feature_curve": positive,
    "ridge_curves.sign_accuracy": unit,
    "second_step.squared_overlap": unit,
    "spectra.cosine_rule": (-1.0, 1.0),
    "spectra.harmonic_counts": positive,
    "spectra.relu_moments": positive,
    "the_first_escape.information_exponent": (1.0, 99.0),
    "the_first_escape.ode": (-1.0, 1.0),
    "the_first_escape.ode_time": positive,
    "three_layers.feature_correlation": unit,
    "three_layers.gate_overlap": unit,
    "three_layers.layer_overlap": unit,
    "three_layers.limit_error": positive,
    "three_layers.rank_correlation": unit,
    "three_layers.readout_error": positive,
    "three_layers.two_features_floor": unit,
    "transfer.FrozenFeatures.learning_curve": positive,
    "transfer.FrozenFeatures.weights": unit,
    "what_kernels_miss.degree_curves": positive,
}
#: Where the documentation says that a number may be infinite, or nan.
INFINITE = {
    "backward_correction.lower_error",
    "beyond_the_tangent_kernel.alignment_time",
    "learning_directions.Step.noise_ratio",
    "looking_twice.online_time",
    "looking_twice.weak_recovery",
    "one_neuron_one_feature.escape_time",
    "repopulation.variance",
    "the_first_escape.ode_time",
}
NAN = {"higher_spikes.crossing", "mixtures.learning_curve", "one_step.outlier"}
#: Other errors that the documentation names.
RAISED = {"the_first_escape.ode": (RuntimeError,)}
#: Arguments that the result has the shape of, broadcast.
SHAPES = {
    "exact_curves.learning_curve": ("alpha", "ridge"),
    "exact_curves.optimal_ridge": ("alpha",),
    "gradient_features.ring_probability": ("gamma",),
    "higher_spikes.learning_curve": ("alpha", "ridge"),
    "looking_twice.cosine": ("alpha",),
    "looking_twice.label_transform": ("y",),
    "looking_twice.online_drift": ("cosine",),
    "looking_twice.state_evolution": ("alpha",),
    "looking_twice.transformed_cosine": ("alpha",),
    "one_neuron_one_feature.coverage": ("neurons",),
    "one_neuron_one_feature.drift": ("overlaps",),
    "one_neuron_one_feature.escape_law": ("times",),
    "one_neuron_one_feature.mean_direction": ("alpha",),
    "one_step.bulk_density": ("x",),
    "one_step.critical_strength": ("width_ratio",),
    "one_step.outlier": ("strength", "width_ratio", "row_scale"),
    "one_step.squared_overlap": ("strength", "width_ratio", "row_scale"),
    "ridge_curves.effective_ridge": ("n", "ridge"),
    "ridge_curves.learning_curve": ("n", "ridge"),
    "ridge_curves.optimal_curve": ("n",),
    "ridge_curves.optimal_ridge": ("n",),
    "ridge_curves.random_feature_curve": ("n", "m", "ridge"),
    "ridge_curves.sign_accuracy": ("n",),
    "spectra.relu_moments": ("cosines",),
    "the_first_escape.drift": ("cosine",),
    "the_first_escape.ode": ("steps",),
    "three_layers.feature_correlation": ("n",),
    "three_layers.gate_overlap": ("n",),
    "three_layers.layer_overlap": ("n",),
    "three_layers.limit_error": ("rho2",),
    "three_layers.rank_correlation": ("n",),
    "three_layers.readout_error": ("n",),
}


class TooLong(BaseException):
    """A call that takes more CPU time than a reader waits."""


@contextlib.contextmanager
def in_time(seconds=SECONDS):
    def stop(*_):
        raise TooLong(f"more than {seconds} s of CPU")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def numbers(result):
    """All numbers in a result, as vectors."""
    if dataclasses.is_dataclass(result):
        result = [getattr(result, field.name) for field in dataclasses.fields(result)]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, tuple | list):
        return [v for part in result for v in numbers(part)]
    if isinstance(result, bool) or not isinstance(result, int | float | np.generic | np.ndarray):
        return []
    assert not np.iscomplexobj(result), "complex numbers"
    return [np.asarray(result, dtype=float).ravel()]


def judge(place, result, warned, settings):
    """Numbers of the documented range and shape; what is not finite has been announced."""
    low, high = RANGES.get(place, (-math.inf, math.inf))
    for values in numbers(result):
        assert warned or place in NAN or not np.isnan(values).any(), "silent nan"
        if place not in INFINITE and not warned:
            assert not np.isinf(values).any(), "silent inf"
        slack = 1e-9 * (1 + np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
        assert (values[~np.isnan(values)] >= low - slack).all(), f"below {low}"
        assert (values[~np.isnan(values)] <= high + slack).all(), f"above {high}"
    if place in SHAPES and not (isinstance(result, Recipe)):
        given = [np.shape(settings[name]) for name in SHAPES[place] if name in settings]
        first = result[0] if isinstance(result, tuple) else result
        if settings.get(SHAPES[place][0]) is not None:
            assert np.shape(first) == np.broadcast_shapes(*given), "another shape"


def attempt(place, recipe, function):
    """Call it: what comes out is judged, what is raised has to name an argument."""
    with warnings.catch_warnings(record=True) as caught, in_time():
        warnings.simplefilter("error")
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            result = function()
            result = list(result) if inspect.isgenerator(result) else result
        except (ValueError, TypeError, *RAISED.get(place, ())) as error:
            words = recipe.words()
            said = str(error)
            assert any(word in said for word in words), f"names no argument: {said!r}"
            return None
    judge(place, result, bool(caught), recipe.settings)
    return result


def with_one_spoiled_at_times(place, function, recipe):
    """The strategy of a method's arguments, which may have to fit its object."""
    kinds = kinds_of(place, function)
    given = recipe.settings
    d = given.get("d") if isinstance(given.get("d"), int) else np.shape(given.get("x"))[-1:]
    if "x" in kinds and d:
        shape = (2, min(d, 50)) if isinstance(d, int) else (2, *d)
        kinds["x"] = any_settings.arrays(any_settings.number, *shape)
    return any_settings.recipes(function, kinds)


def check(place, recipe, data):
    function = PUBLIC[place]
    made = attempt(place, recipe, recipe.cook)
    if made is None or not inspect.isclass(function):
        return
    for name, method in members(function).items():
        inner = f"{place}.{name}"
        if method is None:
            attempt(inner, recipe, lambda name=name: getattr(made, name))
            continue
        call = data.draw(with_one_spoiled_at_times(inner, method, recipe), label=name)
        both = Recipe(method, recipe.settings | call.settings)
        attempt(inner, both, lambda call=call, name=name: getattr(made, name)(**call.settings))


@pytest.mark.slow
@pytest.mark.parametrize("place", PUBLIC)
def test_any_settings(place):
    @SETTINGS
    @hypothesis.given(calls(place, PUBLIC[place]), st.data())
    def settings(recipe, data):
        check(place, recipe, data)

    settings()


def test_no_public_function_is_left_out():
    """Each has a strategy, also each method of a class; and no entry is of what is no more."""
    known = set(PUBLIC)
    for place, function in PUBLIC.items():
        calls(place, function).validate()
        for name, method in members(function).items() if inspect.isclass(function) else ():
            known.add(f"{place}.{name}")
            if method:
                kinds_of(f"{place}.{name}", method)
    tables = {*RANGES, *INFINITE, *NAN, *SHAPES, *any_settings.TOGETHER}
    assert tables <= known
    assert {place for place in any_settings.OWN if "." in place} <= known
    assert KINDS


# --- what the random settings have found, an example each


def nothing(z):
    return 0.0 * z


T = any_settings.MODULES
PLAIN = {"alpha0": 4.0, "width_ratio": 1.0}
AWAY = T["the_first_escape"].OnlineSGD(2, "he4", 1.0, reuse=3)
FOUND = {
    "a config of another class": (lambda: T["ridge_curves"].optimal_ridge(None, 5), "spectrum="),
    "its brother": (lambda: T["second_step"].second_gradient([1.0]), r"steps=\[1.0\]"),
    "a network that is none": (
        lambda: T["lazy_and_rich"].Linearised(None, [[0.0]], [0.0], output_scale=1.0, eta=1.0),
        "network=None must be a TwoLayer",
    ),
    "a square beyond floating point": (
        lambda: T["one_step"].FirstStep("tanh", "tanh", noise=1e300, **PLAIN),
        r"noise=1e\+300 must be at most 1e\+50",
    ),
    "a step whose square vanishes": (
        lambda: T["one_neuron_one_feature"].escape_time(1, 1e-300),
        "step=1e-300 must be finite and >= 1e-06",
    ),
    "a method's arguments": (
        lambda: T["mixtures"].Mixture([1.0], [1.0], [1.0]).gradient_norm(0.0),
        "alpha0=0.0 must be finite and > 0",
    ),
    "labels that are lists": (
        lambda: T["mixtures"].Mixture([0.0], [1.0], [[1.0]]),
        r"labels=\[1.0\] must be a real number",
    ),
    "its brother's": (
        lambda: T["higher_spikes"].Step("tanh", "tanh", 4.0, 1.0).excess(1.0, 0),
        "gradient_norm=0 must be finite and > 0",
    ),
    "a link that is zero": (
        lambda: T["looking_twice"].cosine(1.0, 0.0, 0.0, nothing),
        "link=<function nothing .* is zero",
    ),
    "a link of no name": (lambda: T["looking_twice"].information("x"), "^link='x' is unknown"),
    "a link that is a dict": (lambda: T["looking_twice"].information({}), "^link "),
    "a target that is a number": (
        lambda: T["one_neuron_one_feature"].Features(2, 1, math.nan, 1.0),
        "^target ",
    ),
    "coefficients that are a number": (
        lambda: T["the_first_escape"].OnlineSGD(2, "tanh", 1.0, 0.0),
        "^activation ",
    ),
    "a link that jumps": (
        lambda: T["exact_curves"].OneStep("tanh", np.sign, 1.0, 0.0).floor,
        "^link or activation <ufunc 'sign'>: quadrature",
    ),
    "polynomials that overflow": (
        lambda: T["three_layers"].polynomials(4, 1e300, 2),
        "p is too large",
    ),
    "their brothers": (lambda: list(T["spectra"].gegenbauer(1e300, 9, 3)), "u is too large"),
    "less than a sample": (
        lambda: T["higher_spikes"].outliers(
            T["higher_spikes"].Step("tanh", "tanh", 1.0, 0.0), 1e-300, resolved=True
        ),
        "alpha=1e-300",
    ),
    "a list in a cache": (
        lambda: T["second_step"].TwoSteps("tanh", "tanh", [math.nan], 0.0),
        r"alpha0=\[nan\] must be",
    ),
    "one dimension across": (
        lambda: T["learning_directions"].wide_spectrum(
            T["learning_directions"].Step(any_settings.data.SingleIndex(2, "tanh"), 1)
        ),
        "data.d=2 must be",
    ),
    "two dimensions": (lambda: list(T["spectra"].gegenbauer([0.0], 2, 3)), "d=2 must be"),
    "moments of no correlations": (
        lambda: T["spectra"].relu_moments([[2.0]], [0.0]),
        "cosines must be correlations",
    ),
    "passes that run away": (
        lambda: T["the_first_escape"].drift(dataclasses.replace(AWAY, eta=1e9, reuse=9), 0.5),
        "eta=1000000000.0 and reuse=9 are too large",
    ),
    "shapes that do not fit": (
        lambda: T["one_step"].outlier([1.0, 2.0], np.ones(3)),
        r"strength has shape \(2,\), width_ratio has shape \(3,\)",
    ),
    "a certificate that is none": (
        lambda: T["recovering_the_teacher"].certificate_peak(None, [[1.0]], None),
        "certificate=None must be callable",
    ),
    "an array for a name": (
        lambda: T["exact_curves"].learning_curve(
            T["exact_curves"].OneStep("tanh", "tanh", 1.0, 0.0), 1.0, 1.0, np.ones(2)
        ),
        "^corrected=",
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_is_named(case):
    call, words = FOUND[case]
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_what_did_not_converge_is_nan_with_a_warning():
    """It was an error of a spline that named no argument."""
    step = T["higher_spikes"].Step("tanh", "tanh", 1.0, 0.0, width_ratio=10.0, d=10.0)
    with pytest.warns(ConvergenceWarning, match="ridge=1e-300"):
        learnt, target = T["higher_spikes"].learnt_function(step, 1.0, 1e-300, [0.5])
    assert np.isnan(learnt).all()
    assert np.isfinite(target).all()


def test_a_step_may_be_tiny():
    """The number of rounds, 1000 / step, was no number."""
    error = T["backward_correction"].lower_error([1.0], 0.0, 3, 0.0, "explaining", step=1e-311)
    assert error >= 0


def test_a_flat_error_has_no_crossing():
    """Where nothing is learnt the parabola over ridges is a line: it was a division by zero."""
    step = T["higher_spikes"].Step("tanh", "he4", 1.0, 0.0, d=10.0)
    assert math.isnan(T["higher_spikes"].crossing(step, 1.0))
