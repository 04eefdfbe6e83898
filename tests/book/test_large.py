"""The larger sizes that pages name: lines that can be read, tables that are theirs, reasons."""

import ast
import re

import chapters
import jupytext
import large
import large_page
import pytest
import yaml

from .conftest import CHAPTERS, PRIMERS, name

PAGES = [path for path in CHAPTERS if path not in PRIMERS]
pages = pytest.mark.parametrize("path", PAGES, ids=name)
STORED = sorted(large.FOLDER.glob("*.csv"))


@pages
def test_each_page_names_larger_sizes(path):
    """Of its own parameters; as a list only by -y, for papermill's -p takes it as a text."""
    cell, text = large.parameters(path), path.read_text("utf-8")
    assert large.sizes(cell) or "-p STORE True" in cell
    assert not re.search(r"-p \w+ [\"'\[(]", text)
    tree = ast.parse(cell)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(large.sizes(cell)) <= names
    said = set(re.findall(r'-p (\w+)|-y "(\w+)', cell))
    assert set(large.sizes(cell)) == {a or b for a, b in said} - {large.STORED}


CELL = """SEEDS = 4  # networks; papermill -p SEEDS 12 \\
#     -p D 64 -y "SIZES: [2, 4]". The table: papermill -p STORE True
D, SIZES = 32, (1, 2)
STORE = False
"""


def test_a_line_is_read_and_its_cost_is_bounded():
    assert large.sizes(CELL) == {"SEEDS": 12, "D": 64, "SIZES": [2, 4]}
    assert large.growth(CELL) == 3 * 8
    assert large.growth(CELL.replace("-p D 64", "")) == 3 * (8 + 64) / (1 + 8)
    assert large.growth(CELL.replace("-p SEEDS 12", "").replace("64", "320")) == 1000
    assert large.sizes("SEEDS = 4") == {}


@pytest.mark.parametrize("table", STORED, ids=lambda table: table.stem)
def test_a_stored_table_is_that_of_todays_line(table):
    (path,) = (p for p in PAGES if p.stem == table.stem)
    command, versions, seconds = large_page.header(table)
    assert command == large.command(path)
    assert "numpy" in versions
    assert float(seconds.removesuffix(" s")) > 0
    rows = large.rows(path)
    assert set(rows[0]) == set(large.COLUMNS)
    reasons = yaml.safe_load((large.FOLDER / "reasons.yml").read_text("utf-8"))
    failed = {row["claim"] for row in rows if not row["holds"]}
    assert set(reasons.get(path.stem, {})) == failed


def test_reasons_belong_to_tables():
    reasons = yaml.safe_load((large.FOLDER / "reasons.yml").read_text("utf-8"))
    assert set(reasons) <= {table.stem for table in STORED}


SMALL = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Small

```{code-cell} python3
:tags: [parameters]

D = 4  # papermill -p D 40
```

```{code-cell} python3
from twolayer.lab.claims import Claims

claims = Claims()
claims.add("at least four", "arithmetic", 4, D, relation=">=")
claims.add("at most eight", "arithmetic", 8, D, relation="<=")
claims.verify()
```
"""


@pytest.mark.slow
def test_a_page_is_run_once_and_keeps_rows_that_fail(tmp_path, monkeypatch, capsys):
    """A page whose second check fails at the larger size; a second call has nothing to do."""
    path = tmp_path / "small.md"
    path.write_text(SMALL)
    notebook = jupytext.read(path)
    notebook.metadata["cpu_seconds"] = 1.0
    jupytext.write(notebook, path.with_suffix(".ipynb"))
    monkeypatch.setattr(large, "chapters", lambda: [path])
    monkeypatch.setattr(large, "name", lambda path: path.stem)
    monkeypatch.setattr(large, "FOLDER", tmp_path / "large")
    monkeypatch.setattr(large, "WORK", tmp_path / "work")
    monkeypatch.setattr("sys.argv", ["large.py"])
    monkeypatch.setenv("TWOLAYER_CACHE", str(tmp_path))
    assert large.main() == 0
    out = capsys.readouterr().out
    assert "small: at most" in out
    assert "2 checks, 1 does not hold" in out
    rows = large.rows(path)
    assert [(row["measured"], row["holds"]) for row in rows] == [(40.0, True), (40.0, False)]
    assert rows[0]["standard_error"] is None
    assert large.main() == 0
    assert capsys.readouterr().out == ""


def test_the_page_shows_rows_that_fail_with_their_reasons():
    path = next(p for p in PAGES if p.stem == "lottery_tickets_in_depth")
    text, rows = large_page.entry(path)
    assert sum(not row["holds"] for row in rows) == 1
    assert "1 does not hold" in text
    assert "One of 32 networks" in text
    assert "papermill lottery_tickets_in_depth.ipynb" in text
    assert f'href="{chapters.name(path)}.html"' in text


@pytest.mark.built
def test_the_built_page_shows_each_table(html):
    text = (html / "book" / "paper_sizes.html").read_text("utf-8")
    assert text.count('<details class="claims"') == len(STORED)
