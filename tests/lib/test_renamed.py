"""The public names of the last release work, with a warning, or say what to use instead."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys
import tomllib

import chapters
import pytest

from twolayer import _renamed

# `__all__` of each module of 0.1.0
LAST = {
    "activations": "NAMES Activation get hermite",
    "claims": "MIME Claim Claims collect table",
    "data": "MultiIndex SingleIndex as_link",
    "exercises": "check",
    "explorer": "Layer explore panel",
    "hermite": "coefficients expectation he nodes",
    "kernels": "arc_cosine random_features relu_ntk",
    "measures": "alignment leading_singular singular_values squared_overlap",
    "network": "TwoLayer",
    "plotting": "COLORS levels particles points spectrum theory_and_simulation use_style",
    "sweep": "cache_folder library_hash standard_error sweep",
    "theory.spike": (
        "FirstStep bulk_density bulk_edges neuron_overlap outlier overlap ridge_risk simulate "
        "threshold"
    ),
    "training": "RidgePath descent_direction fit_readout gradient_step ridge_path",
}
NAMES = [f"{module}.{name}" for module, names in LAST.items() for name in names.split()]
ROOT = pathlib.Path(__file__).parents[2]


def get(name):
    """What ``from twolayer.MODULE import NAME`` gives."""
    module, _, attribute = name.rpartition(".")
    space = {}
    exec(f"from twolayer.{module} import {attribute} as found", space)
    return space["found"]


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_the_last_release_is_there_or_says_what_is(name):
    if name in _renamed.CHANGED:
        with pytest.raises(ImportError, match=re.escape(_renamed.CHANGED[name])):
            get(name)
    elif new := _renamed.MOVED.get(name):
        words = f"twolayer.{name} is twolayer.{new} since .*; the old name goes in \\d"
        with pytest.warns(DeprecationWarning, match=words) as caught:
            found = get(name)
        assert found is get(new)
        assert caught[0].filename == "<string>"  # the line that asks, not ours
    else:
        module, _, attribute = name.rpartition(".")
        assert attribute in importlib.import_module(f"twolayer.{module}").__all__


def test_the_tables_hold_nothing_else():
    assert {*_renamed.MOVED, *_renamed.CHANGED} <= set(NAMES)
    assert not {*_renamed.MOVED} & {*_renamed.CHANGED}
    for name in _renamed.CHANGED.values():
        for new in re.findall(r"use twolayer\.([\w.]+)", name):
            get(new)


@pytest.mark.parametrize(
    "code",
    [
        "import twolayer.training; twolayer.training.gradient_step",
        "from twolayer import training; training.gradient_step",
        "import twolayer; twolayer.sweep.standard_error",
        "import twolayer.theory.spike; twolayer.theory.spike.outlier(2.0, 1.0)",
        "from twolayer.theory import spike; spike.outlier",
        "import twolayer.theory.spike as spike; spike.threshold(1.0)",
        "from twolayer import measures; measures.alignment",
    ],
)
def test_modules_that_are_no_more_import_in_every_way(code):
    run = [sys.executable, "-W", "error::DeprecationWarning:twolayer", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("DeprecationWarning: twolayer.") == 1


def test_an_unknown_name_is_an_attribute_error():
    for module in ("training", "theory", "measures", "theory.spike"):
        found = importlib.import_module(f"twolayer.{module}")
        assert not hasattr(found, "nothing")
        with pytest.raises(AttributeError, match=f"module 'twolayer.{module}' has no attribute"):
            found.nothing  # noqa: B018


def test_old_names_go_when_it_is_time():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    now, gone = (tuple(map(int, v.split(".")[:2])) for v in (project["version"], _renamed.GONE_IN))
    assert now < gone, "empty the tables of _renamed.py: their names have had their minor version"


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("theory.spike.overlap", (2.0, 1.0), (1 - 1 / 16) / (1 + 1 / 4)),
        ("theory.spike.threshold", (16.0,), 2.0),
        ("theory.spike.bulk_edges", (4.0,), (1.0, 3.0)),
        ("measures.alignment", ([[2.0, 0.0], [3.0, 4.0]], [-1.0, 0.0]), (-1.0, -0.6)),
        ("sweep.standard_error", ([1.0, 3.0],), 1.0),
    ],
)
def test_old_names_compute_what_they_did(name, arguments, value):
    """By hand, from what the docstrings of 0.1.0 said."""
    with pytest.warns(DeprecationWarning, match=name):
        found = get(name)
    assert found(*arguments) == pytest.approx(value)


def used(code):
    """The library's names in code, as they are imported, or reached as MODULE.NAME."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) not in _renamed.MODULES:
            yield f"twolayer.{ast.unparse(node)}"  # (`lab` has modules of these names, too)


def test_no_chapter_uses_an_old_name():
    """So no result depends on the tables, and a line in them makes no chapter stale."""
    old = {f"twolayer.{n}" for n in (*_renamed.MOVED, *_renamed.CHANGED, *_renamed.MODULES)}
    for planted in (
        "from twolayer.training import ridge_path",
        "from twolayer import sweep",
        "import twolayer.theory.spike",
        "measures.alignment(W, v)",
    ):
        assert old.intersection(used(planted))
    for path in chapters.chapters():
        code = "\n".join(map(chapters._without_magics, chapters.code(path)))
        assert not old.intersection(used(code)), path
    tables = "twolayer._renamed"
    assert tables not in chapters.modules(["from twolayer.measures import cosine"])
