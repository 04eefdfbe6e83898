"""Every example of a docstring runs, and every public object has one docstring."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import twolayer

MODULES = [
    m.name
    for m in pkgutil.walk_packages(twolayer.__path__, "twolayer.")
    if not m.name.split(".")[-1].startswith("_")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_objects_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        thing = getattr(module, public)
        if inspect.isfunction(thing):
            doc = inspect.getdoc(thing)
            assert doc, f"{name}.{public}"
            for argument in inspect.signature(thing).parameters:
                assert argument in doc, f"{name}.{public}: {argument} is not documented"


def test_nothing_imports_upwards():
    """The rooms in order: a module imports only from rooms below it."""
    order = ["_checks", "hermite", "activations", "data", "network", "training", "kernels"]
    order += [
        "measures",
        "theory",
        "theory.spike",
        "theory.spiked_features",
        "theory.kernel_curves",
        "theory.frozen_features",
        "theory.directions",
        "theory.gradient_features",
        "theory.teacher_student",
        "theory.repopulation",
        "theory.lazy",
        "theory.escape",
        "tickets",
        "estimators",
        "sweep",
        "claims",
        "plotting",
        "explorer",
    ]
    order += ["exercises"]
    found = {name.removeprefix("twolayer.") for name in MODULES}
    assert found <= set(order), f"say where {found - set(order)} belongs"
    for name in sorted(found):
        source = inspect.getsource(importlib.import_module(f"twolayer.{name}"))
        rank = order.index(name)
        for other in order[rank:]:
            lines = (f"from twolayer.{other} import", f"import twolayer.{other}")
            assert not any(line in source for line in lines), f"{name} imports {other}"
