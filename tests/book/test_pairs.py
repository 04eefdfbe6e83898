"""NAME.md and NAME.ipynb are one chapter; the notebook is committed executed."""

import itertools
import os
import pathlib
import subprocess
import tempfile

import jupytext
import pytest
from jupytext.compare import compare_notebooks

from .conftest import EXECUTED, ROOT, name, source

chapters = pytest.mark.parametrize("path", EXECUTED, ids=name)


def test_there_are_chapters():
    assert EXECUTED


@chapters
def test_pair_is_in_step(path):
    twin = jupytext.read(path.with_suffix(".ipynb"))
    compare_notebooks(twin, source(path), fmt="md:myst", compare_outputs=False, compare_ids=False)


@chapters
def test_every_code_cell_was_executed_in_order_without_error(path):
    cells = [c for c in jupytext.read(path.with_suffix(".ipynb")).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not any(o.output_type == "error" for c in cells for o in c.outputs)


@chapters
def test_printed_text_comes_in_one_piece(path):
    """The kernel may flush it in several, differently on each run."""
    for cell in jupytext.read(path.with_suffix(".ipynb")).cells:
        kinds = [o.output_type for o in cell.get("outputs", [])]
        assert not any(a == b == "stream" for a, b in itertools.pairwise(kinds))


@chapters
def test_outputs_hold_no_timestamps_nor_paths_of_a_machine(path):
    notebook = jupytext.read(path.with_suffix(".ipynb"))
    assert not any("execution" in c.metadata for c in notebook.cells)
    text = "".join(str(o) for c in notebook.cells for o in c.get("outputs", []))
    places = (ROOT, pathlib.Path.home(), tempfile.gettempdir())
    for trace in (*(f"{place}{os.sep}" for place in places), "site-packages", "Warning"):
        assert trace not in text


def test_no_committed_notebook_without_a_source():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.ipynb"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    for twin in filter(None, listed.split("\0")):
        assert (ROOT / twin).with_suffix(".md") in EXECUTED
