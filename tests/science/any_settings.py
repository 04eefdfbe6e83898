"""Any settings of the theory's public functions: a hypothesis strategy a kind of argument.

An argument's name says its kind (one name means one thing in the whole house): `KINDS` holds a
strategy a name, `OWN` those of a module or a function that mean something else by it, `TOGETHER`
those whose shapes hang together. A config becomes a `Recipe`: it is built, and may be refused, only
inside the test. Now and then one argument of a call is spoiled.
"""

import dataclasses
import importlib
import inspect
import math
import pathlib
import typing

import numpy as np
from hypothesis import strategies as st

from twolayer import activations, data, kernels
from twolayer.network import TwoLayer

LIBRARY = pathlib.Path(importlib.import_module("twolayer").__file__).parent
MODULES = {
    path.stem: importlib.import_module(f"twolayer.theory.{path.stem}")
    for path in sorted((LIBRARY / "theory").glob("[!_]*.py"))
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is called, and with what; `cook` calls it, and what it takes before."""

    make: typing.Callable
    settings: dict

    def cook(self):
        return self.make(**{name: cooked(value) for name, value in self.settings.items()})

    def words(self):
        """All names by which an error may say what is wrong."""
        inner = (v.words() for v in self.settings.values() if isinstance(v, Recipe))
        return set(self.settings).union(*inner)


def cooked(value):
    return value.cook() if isinstance(value, Recipe) else value


# --- kinds


def powers(low, high):
    return st.floats(low, high).map(lambda e: float(f"{10.0**e:.4g}"))


def arrays(entries, *shape):
    size = math.prod(shape)
    return st.lists(entries, min_size=size, max_size=size).map(
        lambda v: np.reshape(np.array(v, dtype=float), shape)
    )


def some(entries, most=3):
    """A number, a list of some or a table of them."""
    return st.one_of(entries, st.lists(entries, min_size=1, max_size=most), arrays(entries, 2, 2))


def step_at_one(z):
    return np.where(z > 1, 1.0, -1.0)


def half(z):
    """No number below zero."""
    return np.where(z > 0, z, math.nan)


NUMBERS = [math.nan, math.inf, -math.inf, 0, 0.0, -1, -1.5, 2.5, 1e-300, 1e300]
LISTS = [(), [math.nan], [1.0, math.inf], [[1.0], [1.0, 2.0]], ["a"], np.ones((2, 3, 2))]
SPOILED = st.sampled_from([*NUMBERS, *LISTS, None, True, "x", 1j, {}, np.sin])
positive = powers(-4, 4)
share = st.floats(0, 1).map(lambda v: round(v, 4))
number = st.floats(-3, 3).map(lambda v: round(v, 4))
count = st.integers(1, 60)
dimension = st.one_of(st.integers(1, 40), st.integers(1, 1000))
many = powers(0, 6)
samples = some(st.one_of(many, st.integers(1, 10_000)))
names = st.sampled_from(activations.NAMES)
series = st.lists(number, min_size=1, max_size=5)
functions = st.sampled_from([np.tanh, np.cos, np.exp, np.sign, np.square, step_at_one, half])
links = st.one_of(names, names, st.sampled_from(["he3", "he4", "he7"]), series, functions)
neurons = st.one_of(names, st.sampled_from([activations.get("tanh"), activations.get("he5")]))
odd = st.sampled_from(["tanh", "erf", "sin", "identity", "he1", "he3", "sign"])
ratios = some(positive)

KINDS = {
    "a": number,
    "activation": neurons,
    "affine": st.booleans(),
    "alpha": ratios,
    "alpha0": positive,
    "angular": st.integers(1, 200),
    "b": number,
    "batch_ratio": st.one_of(st.just(0.0), powers(-2, 1)),
    "bounds": st.tuples(powers(-6, -1), powers(-2, 4)),
    "centred": st.booleans(),
    "clusters": count,
    "coefficients": series,
    "corrected": st.sampled_from([False, True, "bulk", "norms"]),
    "cosine": some(st.floats(-1, 1)),
    "count": st.integers(1, 6),
    "d": dimension,
    "degree": st.integers(1, 12),
    "density": st.one_of(st.none(), arrays(share, 3)),
    "eta": st.one_of(st.just(0.0), powers(-4, 2)),
    "eta1": st.one_of(st.just(0.0), powers(-2, 1)),
    "eta2": st.one_of(st.just(0.0), powers(-2, 1)),
    "features": st.integers(1, 16),
    "gamma": some(share),
    "how": st.sampled_from(["layerwise", "explaining", "joint"]),
    "inner_step": st.one_of(st.just(0.0), st.floats(-4, 4)),
    "interacting": st.booleans(),
    "kernel": st.sampled_from(
        [kernels.arc_cosine, kernels.relu_ntk, kernels.exponential, kernels.polynomial(3)]
    ),
    "level": share,
    "link": links,
    "loss": st.sampled_from(["correlation", "squared"]),
    "m": count,
    "n": samples,
    "n_nodes": st.integers(1, 60),
    "neurons": some(st.integers(0, 200)),
    "noise": st.one_of(st.just(0.0), powers(-3, 1)),
    "order": st.integers(0, 40),
    "p": some(number),
    "projection": st.lists(number, max_size=3),
    "r": st.one_of(st.just(0.0), powers(-4, 1)),
    "radial": st.integers(1, 16),
    "radii": arrays(powers(-1, 0.5), 2),
    "radius": positive,
    "rank": st.one_of(st.none(), st.integers(1, 20)),
    "readout": st.one_of(st.sampled_from(["gaussian", "equal"]), st.integers(1, 5)),
    "resolved": st.booleans(),
    "reuse": st.one_of(st.booleans(), st.integers(1, 3)),
    "rho2": some(share),
    "ridge": ratios,
    "ridges": st.one_of(st.none(), st.lists(positive, min_size=1, max_size=3)),
    "rounds": st.integers(0, 30),
    "row_scale": st.one_of(st.just(1.0), ratios),
    "share": st.floats(0.01, 0.99),
    "sigma": positive,
    "start": st.floats(-1, 1),
    "starts": some(number),
    "step": powers(-2, 0.5),
    "steps": st.one_of(st.integers(0, 10_000), st.just(math.inf)),
    "strength": some(st.one_of(st.just(0.0), positive)),
    "threshold": st.one_of(number, st.integers(-5, 5)),
    "times": some(powers(-3, 3)),
    "tolerance": powers(-8, -2),
    "t": some(share),
    "u": arrays(st.floats(-1, 1), 3),
    "v": arrays(number, 2, 3),
    "weight_decay": powers(-3, 0),
    "width": st.one_of(st.none(), st.integers(1, 2000)),
    "width_ratio": powers(-2, 2),
    "x": some(powers(-2, 1)),
    "y": some(number),
    "z": arrays(number, 3, 2),
}
unbounded = st.one_of(st.just(math.inf), st.integers(2, 10_000))
OWN = {
    "backward_correction": {"alpha": number, "n": st.integers(1, 10_000), "step": share},
    "exact_curves": {"activation": odd},
    "exact_curves.step_map": {
        "alpha0": st.lists(positive, min_size=1, max_size=2),
        "eta": st.lists(KINDS["eta"], min_size=1, max_size=2),
        "alpha": positive,
    },
    "exact_curves.learnt_function": {"alpha": positive, "ridge": positive},
    "higher_spikes": {"d": powers(0.5, 6)},
    "higher_spikes.Step.excess": {"second_moment": positive, "gradient_norm": positive},
    "higher_spikes.crossing": {"alpha": positive},
    "higher_spikes.learnt_function": {"alpha": positive, "ridge": positive},
    "higher_spikes.outliers": {"alpha": positive},
    "higher_spikes.window_error": {"alpha": positive},
    "mixtures.learnt_function": {"alpha": positive, "ridge": positive},
    "learning_directions": {"n": st.integers(1, 100_000), "degree": st.integers(4, 30)},
    "looking_twice": {"d": unbounded, "step": powers(-2, 1), "link": links},
    "looking_twice.cosine": {"neurons": st.one_of(count, st.just(math.inf))},
    "one_neuron_one_feature": {"d": unbounded},
    "one_neuron_one_feature.saddle": {"step": st.one_of(st.just(0.0), powers(-3, 1))},
    "one_step.ridge_risk": {"alpha": positive, "ridge": st.one_of(st.none(), positive)},
    "one_step.FirstStep.row_scale": {"m": many},
    "ridge_curves": {"m": samples},
    "second_step": {"reuse": st.booleans(), "readout": st.sampled_from(["equal", "gaussian"])},
    "the_first_escape": {"reuse": st.integers(1, 3), "eta": powers(-6, 0)},
    "the_first_escape.OnlineSGD": {"activation": st.one_of(st.none(), neurons, series)},
    "the_first_escape.ode": {"steps": st.lists(powers(0, 4), min_size=1, max_size=3).map(sorted)},
    "three_layers": {
        "activation": st.sampled_from(["he2", "relu", "abs", "gelu", "tanh"]),
        "d": st.integers(1, 40).map(lambda k: 2 * k),
        "n": some(powers(2, 6)),
    },
    "three_layers.polynomials": {"degree": st.integers(0, 8)},
    "three_layers.two_features_floor": {"d": st.one_of(unbounded, st.just(64))},
    "transfer.FrozenFeatures.learning_curve": {"n": many, "ridge": positive},
}


# --- configs, and arguments whose shapes hang together


@st.composite
def recipes(draw, make, kinds, spoil=0.3):
    """A call of `make`, each argument of its kind, now and then one of them spoiled."""
    settings = {name: draw(kind) for name, kind in kinds.items()}
    if settings and draw(st.integers(0, 9)) >= 10 * (1 - spoil):
        settings[draw(st.sampled_from(sorted(settings)))] = draw(SPOILED)
    return Recipe(make, settings)


def unit_rows(W):
    length = np.linalg.norm(W, axis=-1, keepdims=True)
    return W / np.where(length, length, 1.0)


sizes = st.integers(1, 4)
gaussians = recipes(
    data.SingleIndex,
    {"d": dimension, "link": links, "noise": KINDS["noise"],
     "inputs": st.sampled_from(["gaussian", "gaussian", "sphere"])},
    0.1,
)  # fmt: skip
subspaces = recipes(data.MultiIndex, {"d": dimension, "link": links, "r": st.integers(1, 3)}, 0.1)
parities = recipes(
    data.Parity,
    {"d": st.integers(1, 8), "degree": st.integers(1, 8),
     "agree": st.one_of(st.just(0.0), st.floats(0, 0.99)), "rotation": st.sampled_from([None, 1])},
    0.1,
)  # fmt: skip


@st.composite
def mixtures_of(draw):
    k, d = draw(sizes), draw(sizes)
    kinds = {
        "means": arrays(number, k, d),
        "labels": arrays(st.sampled_from([-1.0, 1.0]), k),
        "sigma": powers(-2, 2),
    }
    return draw(recipes(data.GaussianMixture, kinds, 0.1)), d


@st.composite
def teachers(draw, d=None):
    k, d = draw(st.integers(1, 3)), d or draw(sizes)
    kinds = {
        "W": arrays(number, k, d).map(unit_rows),
        "a": arrays(number, k),
        "activation": st.sampled_from(["abs", "relu", "abs", "tanh"]),
    }
    return draw(recipes(data.Teacher, kinds, 0.1))


@st.composite
def networks(draw, d=None):
    m, d = draw(sizes), d or draw(sizes)
    kinds = {
        "W": arrays(number, m, d),
        "a": arrays(number, m),
        "activation": st.sampled_from(["relu", "relu", "relu", "tanh"]),
        "b": st.one_of(st.none(), arrays(number, m)),
    }
    return draw(recipes(TwoLayer, kinds, 0.1))


@st.composite
def with_network(draw, **more):
    """A network, and data of the same dimension (or nearly always)."""
    d = draw(st.integers(2, 5))
    kinds = {"d": st.just(d), "link": links}
    source = draw(recipes(data.SingleIndex, kinds, 0.1))
    return {"network": draw(networks(d)), "data": source} | {k: draw(v) for k, v in more.items()}


@st.composite
def linearised(draw):
    n, d = draw(sizes), draw(sizes)
    return {
        "network": draw(networks(d)),
        "x": draw(arrays(number, n, d)),
        "y": draw(arrays(number, n)),
        "output_scale": draw(positive),
        "eta": draw(powers(-3, 1)),
    }


@st.composite
def spectra_of(draw):
    k = draw(sizes)
    return {
        "eigenvalues": draw(arrays(powers(-6, 2), k)),
        "multiplicity": draw(arrays(st.integers(1, 1000), k)),
        "second_moment": draw(arrays(st.one_of(st.just(0.0), powers(-2, 2)), k)),
        "tail": draw(st.one_of(st.just(0.0), powers(-6, 0))),
        "outside": draw(st.one_of(st.just(0.0), powers(-6, 0))),
        "noise": draw(KINDS["noise"]),
    }


@st.composite
def parity_labels(draw):
    """A spectrum with the target in one eigenspace, or outside all."""
    settings = draw(spectra_of())
    place = draw(st.integers(0, settings["eigenvalues"].size))
    moments = np.zeros(settings["eigenvalues"].size + 1)
    moments[place] = 1.0
    settings |= {"second_moment": moments[:-1], "outside": moments[-1], "noise": 0.0}
    return {"spectrum": Recipe(MODULES["spectra"].Spectrum, settings), "n": draw(samples)}


@st.composite
def densities(draw, g):
    weights = draw(arrays(st.one_of(st.just(0.0), share), g))
    return weights / weights.sum() if weights.sum() > 1e-9 else np.full(g, 1 / g)


@st.composite
def repopulations(draw):
    n, g = draw(sizes), draw(st.integers(1, 6))
    return {
        "features": draw(arrays(number, n, g)),
        "prior": draw(densities(g)),
        "y": draw(arrays(number, n)),
        "weight_decay": draw(powers(-3, 1)),
        "temperature": draw(powers(-3, 1)),
    }


@st.composite
def populations(draw):
    settings = draw(repopulations())
    problem = Recipe(MODULES["repopulation"].Repopulation, settings)
    return Recipe(MODULES["repopulation"].solve, {"problem": problem}), settings


@st.composite
def binned(draw):
    population, settings = draw(populations())
    g = settings["prior"].size
    bins = draw(st.lists(st.integers(0, 2), min_size=g, max_size=g))
    groups = draw(st.one_of(st.none(), st.just([0] * (max(bins) + 1)), st.just([0, 1])))
    return {"population": population, "m": draw(count), "bins": bins,
            "interacting": draw(st.booleans()), "frozen": groups}  # fmt: skip


@st.composite
def measures(draw, *wanted):
    n, g = draw(sizes), draw(st.integers(1, 5))
    found = {"features": draw(arrays(number, n, g)), "nu": draw(arrays(number, g)),
             "density": draw(densities(g))}  # fmt: skip
    return {name: found[name] for name in wanted}


@st.composite
def duals(draw):
    settings = draw(repopulations())
    problem = Recipe(MODULES["repopulation"].Repopulation, settings)
    return {"problem": problem, "p": draw(arrays(number, settings["y"].size))}


@st.composite
def primals(draw):
    problem = Recipe(MODULES["repopulation"].Repopulation, draw(repopulations()))
    return {"problem": problem, "steps": draw(st.integers(1, 300)), "tol": draw(powers(-20, -3))}


@st.composite
def circles(draw):
    n = draw(sizes)
    return {
        "phi": draw(arrays(number, n)),
        "y": draw(arrays(number, n)),
        "weight_decay": draw(powers(-3, 1)),
        "temperature": draw(powers(-3, 1)),
        "grid": draw(st.integers(1, 40).map(lambda k: 3 * k)),
        "quadrature": draw(st.one_of(st.none(), powers(-6, 0))),
    }


@st.composite
def students(draw, *wanted):
    """A teacher, and a student of the same dimension."""
    d, m = draw(sizes), draw(sizes)
    found = {
        "teacher": draw(teachers(d)),
        "W": draw(arrays(number, m, d)),
        "a": draw(arrays(number, m)),
        "v": draw(arrays(number, 2, d)),
        "ridge": draw(positive),
        "affine": draw(st.booleans()),
    }
    return {name: found[name] for name in wanted}


def bump(u):
    """A certificate, x_1 x_2 of the unit rows and its gradient."""
    gradient = np.zeros(u.shape)
    gradient[:, :2] = u[:, 1::-1]
    return u[:, 0] * u[:, 1], gradient


@st.composite
def peaks(draw):
    k, d = draw(sizes), draw(st.integers(2, 4))
    return {
        "certificate": bump,
        "directions": draw(arrays(number, k, d)),
        "rng": np.random.default_rng(0),
        "starts": draw(st.integers(1, 20)),
        "steps": draw(st.integers(1, 30)),
    }


@st.composite
def free(draw, **more):
    d, m = draw(st.integers(1, 5)), draw(sizes)
    settings = {"d": d, "start": draw(arrays(number, m, d))}
    return settings | {name: draw(kind) for name, kind in more.items()}


@st.composite
def on_data(draw, source):
    """Weights for a mixture or a parity."""
    if source == "mixture":
        model, d = draw(mixtures_of())
        W = draw(arrays(number, 3, d))
    else:
        model = draw(parities)
        d = model.settings["d"]
        d = d if isinstance(d, int) and d > 0 else 2
        W = draw(arrays(st.sampled_from([-0.5, 0.5]), 3, d))
    return {"data": model, "W": W, "b": draw(st.one_of(number, arrays(number, 3)))}


@st.composite
def eigenvalues(draw, **more):
    d = draw(st.integers(1, 5))
    found = {"eigenvalues": draw(arrays(number, d)), "learnt": draw(arrays(number, d))}
    kept = {name: value for name, value in found.items() if name in ("eigenvalues", *more)}
    return kept | {name: draw(kind) for name, kind in more.items() if name != "learnt"}


@st.composite
def clusters(draw):
    k = draw(st.integers(1, 3))
    weights = draw(arrays(st.floats(0.1, 1), k))
    labels = draw(st.one_of(arrays(number, k).map(list), st.just(["sign", 1.0, np.tanh][:k])))
    return {
        "means": draw(arrays(number, k)),
        "weights": weights / weights.sum(),
        "labels": labels,
        "stds": draw(st.one_of(powers(-1, 1), arrays(powers(-1, 1), k))),
    }


@st.composite
def several(draw):
    """Neuron and features of `one_neuron_one_feature`."""
    M = draw(st.integers(1, 4))
    stairs = st.just({(1,) * M: 1.0, (2,) + (0,) * (M - 1): -0.5})
    return {
        "d": draw(st.integers(M + 1, 1000)),
        "features": M,
        "target": draw(st.one_of(names, series, stairs)),
        "eta": draw(powers(-6, 0)),
        "activation": draw(st.one_of(st.none(), neurons, series)),
        "inner_step": draw(st.one_of(st.just(0.0), KINDS["inner_step"])),
    }


@st.composite
def overlaps(draw):
    settings = draw(several())
    rho = draw(arrays(st.floats(-1, 1), 2, settings["features"]))
    rho = rho / np.maximum(np.linalg.norm(rho, axis=1, keepdims=True), 1.0)
    return {"config": Recipe(MODULES["one_neuron_one_feature"].Features, settings),
            "overlaps": rho}  # fmt: skip


@st.composite
def correlated(draw):
    W = unit_rows(draw(arrays(number, 3, 2)))
    return {"cosines": W @ W.T, "b": draw(arrays(number, 3))}


def one_of_both(kinds):
    return st.one_of(gaussians, subspaces).flatmap(
        lambda source: st.fixed_dictionaries({"data": st.just(source)} | kinds)
    )


strengths = {"alpha": number}
explained = strengths | {"step": share}
TOGETHER = {
    "backward_correction.TwoLevels": eigenvalues(**strengths, noise=KINDS["noise"]),
    "backward_correction.alpha_hat": eigenvalues(**strengths, learnt=None),
    "backward_correction.contraction": eigenvalues(**explained),
    "backward_correction.lower_error": eigenvalues(
        **explained, n=st.integers(1, 10_000), noise=KINDS["noise"], how=KINDS["how"]
    ),
    "backward_correction.mode_variances": eigenvalues(**strengths, how=KINDS["how"]),
    "backward_correction.parabola": eigenvalues(**strengths),
    "backward_correction.refits": eigenvalues(**explained, rounds=KINDS["rounds"]),
    "beyond_the_tangent_kernel.alignment_time": free(),
    "beyond_the_tangent_kernel.free_neurons": free(
        times=st.lists(powers(-2, 3), min_size=1, max_size=3).map(sorted)
    ),
    "gradient_features.mixture_gradient": on_data("mixture"),
    "gradient_features.parity_gradient": on_data("parity"),
    "lazy_and_rich.Linearised": linearised(),
    "learning_directions.Step": one_of_both({"n": st.integers(1, 100_000)}),
    "mixtures.Mixture": clusters(),
    "one_neuron_one_feature.Features": several(),
    "one_neuron_one_feature.correlation": overlaps(),
    "one_neuron_one_feature.drift": overlaps(),
    "recovering_the_teacher.best_readout": students("teacher", "W", "ridge", "affine"),
    "recovering_the_teacher.certificate_peak": peaks(),
    "recovering_the_teacher.correlation": students("teacher", "W", "a", "v", "affine"),
    "recovering_the_teacher.population_gradient": students("teacher", "W", "a", "affine"),
    "recovering_the_teacher.population_loss": students("teacher", "W", "a", "affine"),
    "repopulation.Repopulation": repopulations(),
    "repopulation.circle": circles(),
    "repopulation.dual": duals(),
    "repopulation.primal": primals(),
    "repopulation.histogram": binned(),
    "repopulation.optimal_density": measures("features", "nu"),
    "repopulation.variance": measures("features", "nu", "density"),
    "ridge_curves.sign_accuracy": parity_labels(),
    "spectra.Spectrum": spectra_of(),
    "spectra.feature_moments": with_network(degree=st.integers(2, 60)),
    "spectra.feature_spectrum": with_network(degree=st.integers(2, 60)),
    "spectra.kernel_spectrum": one_of_both(
        {name: KINDS[name] for name in ("kernel", "degree", "radial", "angular")}
    ),
    "spectra.relu_moments": correlated(),
    "spectra.zonal_projections": one_of_both(
        {name: KINDS[name] for name in ("degree", "radii", "angular")}
    ),
    "transfer.FrozenFeatures": with_network(n_nodes=st.integers(2, 80)),
}
MODELS = {
    "Population": populations().map(lambda pair: pair[0]),
    "Parity": parities,
    "Recovery": recipes(MODULES["recovering_the_teacher"].recovery, {"teacher": teachers()}),
    "Teacher": teachers(),
}


def config_of(module, annotation):
    """The class of settings that an annotation means in a module; None where it means none."""
    homes = (MODULES[module], MODULES["one_step"], MODULES["spectra"], MODULES["higher_spikes"])
    found = (vars(home)[annotation] for home in homes if annotation in vars(home))
    return next((v for v in found if v.__module__.startswith("twolayer.theory.")), None)


def kinds_of(place, function):
    """The strategies of a function's arguments."""
    module = place.partition(".")[0]
    own = OWN.get(module, {}) | OWN.get(place, {})
    found = {}
    for argument, parameter in inspect.signature(function).parameters.items():
        wanted = parameter.annotation
        wanted = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", "")
        if argument == "self":
            continue
        if wanted in MODELS:
            found[argument] = MODELS[wanted]
        elif config := config_of(module, wanted):
            home = config.__module__.rpartition(".")[2]
            found[argument] = calls(f"{home}.{wanted}", config, 0.1)
        else:
            found[argument] = own[argument] if argument in own else KINDS[argument]
    return found


def calls(place, function, spoil=0.3):
    """Calls of a public function, or of a class or what makes it."""
    if place.rpartition(".")[2] in MODELS:
        return MODELS[place.rpartition(".")[2]]
    if place in TOGETHER:
        return TOGETHER[place].flatmap(
            lambda settings: recipes(function, {k: st.just(v) for k, v in settings.items()}, spoil)
        )
    return recipes(function, kinds_of(place, function), spoil)


def public():
    """All public functions and classes: place to object; not the tuples that functions return."""
    found = {
        f"{stem}.{name}": getattr(module, name)
        for stem, module in MODULES.items()
        for name in module.__all__
    }
    return {k: v for k, v in found.items() if not (inspect.isclass(v) and issubclass(v, tuple))}


def members(config):
    """What a class of settings computes: its properties and methods by name."""
    found = {}
    for name, value in inspect.getmembers_static(config):
        if not name.startswith("_") and not isinstance(value, classmethod | staticmethod):
            if isinstance(value, property) or hasattr(value, "func"):
                found[name] = None
            elif inspect.isfunction(value):
                found[name] = value
    return found
