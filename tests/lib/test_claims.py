import json
import math

import nbformat
import numpy as np
import pytest
from scipy.special import ndtr

from twolayer.lab.claims import MIME, Claims, read, verdict


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
        with pytest.raises(AssertionError, match="claims: 1 of 1 do not hold"):
            table.verify()


def test_a_margin_is_three_standard_errors_and_the_slack():
    table = Claims()
    table.add("c", "s", 0.0, [1.0, 3.0, 5.0], slack=0.5, why="O(1/d)", relation="<")
    row = table.rows[0]
    assert row.measured == 3
    assert row.standard_error == pytest.approx(2 / math.sqrt(3))
    assert row.tolerance == pytest.approx(0.5 + 6 / math.sqrt(3))
    assert row.why == "3 s.e. + O(1/d)"


@pytest.mark.parametrize(("relation", "outside"), [("=", 2 * ndtr(-3)), ("<=", ndtr(-3))])
@pytest.mark.parametrize("seeds", [3, 6, 20, 1000])
def test_what_is_true_fails_as_rarely_over_few_seeds_as_over_many(seeds, relation, outside):
    """Draws of which the claim is just true, in many tables: the normal law's share fails."""
    draws, fails = np.random.default_rng(seeds).standard_normal((20_000, seeds)), 0
    table = Claims()
    for draw in draws:
        table.add("c", "s", 0.0, draw, relation=relation)
    fails = np.mean([not row.holds for row in table.rows])
    assert fails == pytest.approx(outside, abs=4 * (outside / len(draws)) ** 0.5)
    wide = {3: "19 s.e.", 6: "5.5 s.e.", 20: "3.4 s.e.", 1000: "3 s.e."}
    assert table.rows[0].why == wide[seeds]


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


def test_a_failing_claim_is_shown_with_its_numbers():
    table = Claims()
    table.add("good", "s", 1.0, 1.0)
    table.add("the sky is green", "s", 1.0, [2.0, 2.5], slack=0.1, why="O(1/d)", relation="<")
    with pytest.raises(AssertionError) as error:
        table.verify()
    assert str(error.value).splitlines() == [
        "claims: 1 of 2 do not hold",
        "  does not hold: the sky is green",
        "    predicted < 1, measured 2.25 ± 0.25, tolerance 0.85 (3 s.e. + O(1/d))",
    ]


def test_rendering_escapes_and_is_valid_json():
    table = Claims()
    table.add("a < b & c", "s", 1e-7, 1e-7, slack=1.0, why="w")
    bundle = table._repr_mimebundle_()
    assert "a &lt; b &amp; c" in bundle["text/html"]
    assert json.loads(json.dumps(bundle[MIME], allow_nan=False))["claims"][0]["holds"] is True
    assert "[holds] a < b & c" in bundle["text/plain"]


def test_the_table_is_folded_to_its_verdict_unless_a_claim_fails():
    table = Claims()
    table.add("one", "s", 1.0, [0.9, 1.1])
    table.add("two", "s", 2.0, 2.0)
    page = table._repr_mimebundle_()["text/html"]
    assert '<details class="claims"><summary>2 checks, all hold</summary><table>' in page
    assert page.count('<tr class="over-seeds">') == page.count('<tr class="">') == 1
    table.add("three", "s", 3.0, 2.0)
    page = table._repr_mimebundle_()["text/html"]
    failing = "<summary><strong>3 checks, 1 does not hold</strong></summary>"
    assert f'<details class="claims" open>{failing}' in page
    assert page.count('<tr class="fails">') == 1


def test_verdicts():
    good, bad = {"holds": True}, {"holds": False}
    words = [verdict(rows) for rows in ([], [good], [bad], [good, good], [good, bad, bad])]
    assert words == [
        "no checks",
        "1 check, holds",
        "1 check, 1 does not hold",
        "2 checks, all hold",
        "3 checks, 2 do not hold",
    ]


def test_the_table_of_an_executed_notebook_is_read_back(tmp_path):
    table = Claims()
    table.add("one", "s", 1.0, [0.9, 1.1])
    cell = nbformat.v4.new_code_cell("claims.verify()")
    cell.outputs = [nbformat.v4.new_output("display_data", table._repr_mimebundle_())]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "chapter.ipynb")
    (row,) = read(tmp_path / "chapter.ipynb")
    assert (row["claim"], row["holds"]) == ("one", True)
    cell.outputs = []
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "chapter.ipynb")
    assert read(tmp_path / "chapter.ipynb") == []


def test_tensors_are_numbers_too():
    torch = pytest.importorskip("torch")
    claims, values = Claims(), torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    claims.add(
        "a mean",
        "here",
        torch.tensor(2.0),
        values,
        slack=torch.tensor(0.5),
        why="a half",
        relation=">",
    )
    claims.add("a number", "here", 2, values.mean())
    assert claims.rows[0].measured == 2
    assert claims.rows[0].tolerance == pytest.approx(0.5 + 3 / 3**0.5)
    assert claims.rows[1].why == "exact"
