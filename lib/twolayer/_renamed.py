"""Public names of the last release that have moved: old ones work for one minor version, and warn.

A name that is renamed or moved gets a line in `MOVED`; one that takes other arguments now, or is
gone, gets one in `CHANGED`, which raises and says what to use. After the next minor release both
are emptied (`GONE_IN`).
"""

import importlib
import sys
import types
import warnings

SINCE, GONE_IN = "0.2", "0.3"
# modules that are no more; others have lost single names only
MODULES = ("claims", "exercises", "explorer", "plotting", "sweep", "theory.spike", "training")


def _lines(old, new, names):
    return {f"{old}.{name}": f"{new}.{name}" for name in names.split()}


MOVED = {
    **_lines("claims", "lab.claims", "MIME Claim Claims table"),
    **_lines("explorer", "lab.explorer", "Layer explore panel"),
    **_lines("plotting", "lab.plotting", "COLORS levels particles use_style"),
    **_lines("sweep", "lab.sweep", "cache_folder standard_error"),
    **_lines("training", "gradients", "descent_direction gradient_step"),
    **_lines("training", "ridge", "RidgePath fit_readout ridge_path"),
    **_lines(
        "theory.spike",
        "theory.one_step",
        "FirstStep bulk_density bulk_edges outlier ridge_risk",
    ),
    "theory.spike.overlap": "theory.one_step.squared_overlap",
    "theory.spike.threshold": "theory.one_step.critical_strength",
    "measures.alignment": "measures.cosine",
}
CHANGED = {
    "claims.collect": "use twolayer.lab.claims.read, which takes one notebook",
    "exercises.check": "use twolayer.lab.exercises.check, which takes several cases",
    "kernels.random_features": "multiply network.features(x) and network.features(z)",
    "plotting.points": "use twolayer.lab.plotting.points, which takes labelled data",
    "plotting.spectrum": "use twolayer.lab.plotting.spectrum, which takes the predicted density",
    "plotting.theory_and_simulation": (
        "use twolayer.lab.plotting.theory_and_simulation, which takes labelled data"
    ),
    "sweep.library_hash": "the cache looks at all code that has run",
    "sweep.sweep": "use twolayer.lab.sweep.sweep, which gives an xarray.Dataset",
    "theory.spike.neuron_overlap": "use twolayer.simulation.one_step.run, which measures it",
    "theory.spike.simulate": "use twolayer.simulation.one_step.run, whose results have other names",
}


def names_of(place):
    """A module's ``__getattr__``: gives an old name with a warning, or says what to use instead."""

    def find(name):
        old = f"{place}.{name}".removeprefix("twolayer.")
        if old in CHANGED:  # no AttributeError: `from ... import` would drop its words
            raise ImportError(f"twolayer.{old} is gone since {SINCE}: {CHANGED[old]}")
        if old in MODULES:
            return sys.modules[f"twolayer.{old}"]
        if old not in MOVED:
            raise AttributeError(f"module {place!r} has no attribute {name!r}")
        new = f"twolayer.{MOVED[old]}"
        words = f"twolayer.{old} is {new} since {SINCE}; the old name goes in {GONE_IN}"
        warnings.warn(words, DeprecationWarning, stacklevel=2)
        module, _, attribute = new.rpartition(".")
        return getattr(importlib.import_module(module), attribute)

    return find


def keep_modules():
    """Let ``import`` find the modules that are no more: each holds its old names only."""
    for old in MODULES:
        module = types.ModuleType(f"twolayer.{old}", f"Moved since {SINCE}: see the changelog.")
        module.__getattr__ = names_of(module.__name__)
        sys.modules[module.__name__] = module
