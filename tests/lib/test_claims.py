import json
import math

import nbformat
import numpy as np
import pytest

from twolayer import claims
from twolayer.claims import MIME, Claims


@pytest.mark.parametrize(
    ("relation", "measured", "holds"),
    [
        ("=", 1.05, True), ("=", 1.2, False), ("=", 0.8, False),
        ("<=", 1.05, True), ("<=", 1.2, False), ("<=", 0.0, True),
        (">=", 0.95, True), (">=", 0.8, False), (">=", 9.0, True),
        ("<", 0.95, False), ("<", 0.8, True),
        (">", 1.05, False), (">", 1.2, True),
    ],
)  # fmt: skip
def test_relations(relation, measured, holds):
    table = Claims()
    table.add("c", "s", 1.0, measured, relation=relation, slack=0.1, why="w")
    assert table.rows[0].holds is holds
    if holds:
        table.verify()
    else:
        with pytest.raises(AssertionError, match="does not hold: c"):
            table.verify()


def test_tolerance_is_three_standard_errors_and_the_slack():
    table = Claims()
    table.add("c", "s", 0.0, [1.0, 3.0, 5.0], slack=0.5, why="O(1/d)")
    row = table.rows[0]
    assert row.measured == 3
    assert row.standard_error == pytest.approx(2 / math.sqrt(3))
    assert row.tolerance == pytest.approx(0.5 + 6 / math.sqrt(3))
    assert row.why == "3 s.e. + O(1/d)"


def test_nan_never_holds():
    table = Claims()
    for relation in ("=", "<=", ">="):
        table.add("c", "s", math.nan, 1.0, relation=relation, slack=9, why="w")
    assert not any(row.holds for row in table.rows)


def test_empty_table_fails():
    with pytest.raises(AssertionError, match="empty"):
        Claims().verify()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"claim": " "}, "claim=' ' must be a text"),
        ({"source": ""}, "source='' must be a text"),
        ({"slack": 1.0}, "must say where slack=1.0 comes from"),
        ({"slack": -1.0}, "slack=-1.0 must be finite and >= 0"),
        ({"relation": "~"}, "relation='~' is unknown"),
        ({"measured": [1.0, np.nan]}, "measured must be finite"),
    ],
)
def test_bad_rows(change, words):
    arguments = {"claim": "c", "source": "s", "predicted": 1.0, "measured": [1.0, 2.0], **change}
    with pytest.raises(ValueError, match=words):
        Claims().add(**arguments)


def notebook(path, table):
    data = {} if table is None else table._repr_mimebundle_()
    cell = nbformat.v4.new_code_cell("claims.verify()")
    if data:
        cell.outputs = [nbformat.v4.new_output("display_data", data)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)


def test_rendering_escapes_and_is_valid_json():
    table = Claims()
    table.add("a < b & c", "s", 1e-7, 1e-7, slack=1.0, why="w")
    bundle = table._repr_mimebundle_()
    assert "a &lt; b &amp; c" in bundle["text/html"]
    assert json.loads(json.dumps(bundle[MIME], allow_nan=False))["claims"][0]["holds"] is True
    assert "[holds] a < b & c" in bundle["text/plain"]


def test_scorecard_prints_a_line_a_claim(tmp_path, capsys):
    table = Claims()
    table.add("one\ttwo", "s", 1.0, [0.9, 1.1])
    notebook(tmp_path / "part" / "chapter.ipynb", table)
    assert claims.main(tmp_path) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split("\t")[0] == "chapter"
    cells = line.split("\t")
    assert cells[:3] == ["part/chapter", "one two", "s"]
    assert cells[-1] == "yes"
    assert len(cells) == len(head.split("\t")) == 8


@pytest.mark.parametrize("broken", ["fails", "missing", "no chapters"])
def test_scorecard_exits_1(tmp_path, capsys, broken):
    if broken == "fails":
        table = Claims()
        table.add("c", "s", 1.0, 2.0, slack=0.1, why="w")
        notebook(tmp_path / "chapter.ipynb", table)
    elif broken == "missing":
        notebook(tmp_path / "chapter.ipynb", None)
    assert claims.main(tmp_path) == 1
    assert broken == "no chapters" or "chapter: no claim table" in capsys.readouterr().err
