"""The table of `make bench`: what it names, and that the stored one can be read."""

import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def table(monkeypatch):
    """The module benchmarks/table.py."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("table")


@pytest.mark.parametrize(("slower", "named"), [(1.11, True), (1.09, False), (0.5, False)])
def test_names_what_is_a_tenth_slower(table, slower, named):
    """As a ratio: on a machine of half the speed both ways take twice as long."""
    stored = [table.Row("fit", 1.0, 3.0, "another"), table.Row("gone", 1.0, 3.0, "another")]
    rows = [table.Row("fit", 2 * slower, 6.0, "another"), table.Row("new", 9.0, 1.0, "another")]
    lines = table.behind(rows, stored)
    assert list(lines) == ["fit"] * named
    if named:
        assert lines["fit"] == "fit: 11% slower than in the stored table"


def test_names_what_misses_its_aim(table):
    rows = [table.Row("fit", 1.0, 1.9, "another", 2.0), table.Row("page", 11.0, 12.0, "limit", 1.0)]
    assert list(table.behind(rows, [])) == ["fit"]


def test_is_stored_and_read(table, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = [table.Row("fit", 0.5, 1.5, "another"), table.Row("page", 2.0, 12.0, "limit", 1.0)]
    table.write(rows, tmp_path / "table.json")
    read, about = table.read(tmp_path / "table.json")
    assert read == rows
    assert about["threads"] == 1
    assert table.read(tmp_path / "none.json") == ([], {})


def test_a_second_run_is_taken_where_it_is_better(table, monkeypatch):
    import run

    runs = iter([2.0, 1.0])
    measured = run.measure(lambda: [table.Row("fit", next(runs), 3.0, "another")], [])
    assert measured[0].ours == 2.0
    runs = iter([2.0, 1.0])
    stored = [table.Row("fit", 1.0, 3.0, "another")]
    measured = run.measure(lambda: [table.Row("fit", next(runs), 3.0, "another")], stored)
    assert measured[0].ours == 1.0


def test_the_stored_table(table):
    rows, about = table.read()
    names = [row.name for row in rows]
    assert len(set(names)) == len(names) > 40
    assert all(row.ours > 0 and row.other > 0 for row in rows)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", about["date"])
    assert about["threads"] == 1
    assert {"commit", "processor", "python", "versions"} <= set(about)
    for script in ("Neural Tangents", "Ridge", "rbf_kernel", "autograd", "import numpy", "limit"):
        assert any(script in row.against for row in rows), script
    assert min(row.ratio for row in rows if row.asked == 5000) > 5000
