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
