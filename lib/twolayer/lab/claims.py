"""The claim table: every quantitative sentence of a chapter as a row that the notebook checks."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import os
import pathlib

from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from twolayer import _checks

__all__ = ["MIME", "Claim", "Claims", "number", "read", "table", "verdict"]

MIME = "application/vnd.twolayer.claims+json"

# JupyterLab takes the triangle from a line that opens
_STYLE = (
    "<style>details.claims > summary { list-style: disclosure-closed inside; cursor: pointer; } "
    "details.claims[open] > summary { list-style-type: disclosure-open; }</style>"
)
_HOLDS = {
    "=": lambda measured, predicted, tolerance: abs(measured - predicted) <= tolerance,
    "<=": lambda measured, predicted, tolerance: measured <= predicted + tolerance,
    ">=": lambda measured, predicted, tolerance: measured >= predicted - tolerance,
    "<": lambda measured, predicted, tolerance: measured < predicted - tolerance,
    ">": lambda measured, predicted, tolerance: measured > predicted + tolerance,
}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row: a claim in words, what was predicted and what was measured.

    `relation` says how: ``=`` within the tolerance; ``<=`` and ``>=`` allow the tolerance beyond
    the prediction; ``<`` and ``>`` ask for more than the tolerance as a margin.
    """

    claim: str
    source: str
    relation: str
    predicted: float
    measured: float
    standard_error: float
    tolerance: float
    why: str

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees; never for a number that is not finite."""
        numbers = (self.measured, self.predicted, self.tolerance)
        return all(map(math.isfinite, numbers)) and bool(_HOLDS[self.relation](*numbers))


class Claims:
    """The claim table of a chapter.

    Examples
    --------
    >>> claims = Claims()
    >>> claims.add("the mean of a fair coin is 1/2", "definition", 0.5, [0.4, 0.6])
    >>> claims.rows[0].holds
    True
    """

    def __init__(self):
        self.rows = []

    def add(
        self,
        claim: str,
        source: str,
        predicted: float,
        measured: ArrayLike,
        *,
        relation: str = "=",
        slack: float = 0.0,
        why: str = "",
    ) -> None:
        """Add a row, with the tolerance 3 standard errors over seeds + `slack`.

        Where the tolerance allows, few seeds do not know their standard error: there it is as many
        of them as leave outside, by Student's t, what 3 leave by the normal law (5.5 for 6 seeds).

        Parameters
        ----------
        claim, source : str
            The claim in words; the paper's theorem or figure, or "this chapter".
        predicted : float
        measured : float or array_like
            An array over seeds (all entries count) gives its mean and its standard error; a number
            has none.
        relation : {"=", "<=", ">=", "<", ">"}
            See `Claim`.
        slack : float
            >= 0: what finite sizes may add, in the units of the measurement.
        why : str
            Where the slack comes from; needed when there is one.
        """
        slack = _checks.real("slack", float(slack), minimum=0)
        for name, text in (("claim", claim), ("source", source)):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"{name}={text!r} must be a text")
        if slack and not why.strip():
            raise ValueError(f"why={why!r} must say where slack={slack} comes from")
        _checks.one_of("relation", relation, tuple(_HOLDS))
        values = _checks.real_array("measured", measured).ravel()
        error, tolerance, over = math.nan, slack, ""
        if values.size > 1:
            error = float(values.std(ddof=1)) / math.sqrt(values.size)
            wide = 3.0 if relation in "<>" else float(-stdtrit(values.size - 1, ndtr(-3.0)))
            tolerance, over = slack + wide * error, f"{wide:.2g} s.e."
        why = " + ".join(filter(None, [over, why])) or "exact"
        numbers = (float(predicted), float(values.mean()), error, tolerance)
        self.rows.append(Claim(claim, source, relation, *numbers, why))

    def verify(self) -> None:
        """Show the table, then raise AssertionError if a claim does not hold or there is none.

        The error names each failing row, with what was predicted and what was measured.
        """
        from IPython.display import display

        display(self)
        if not self.rows:
            raise AssertionError("claims: the table is empty")
        if failed := [row for row in self.rows if not row.holds]:
            lines = [f"claims: {len(failed)} of {len(self.rows)} do not hold"]
            for r in failed:
                lines += [
                    f"  does not hold: {r.claim}",
                    f"    predicted {r.relation} {number(r.predicted)}, "
                    f"measured {number(r.measured)} ± {number(r.standard_error)}, "
                    f"tolerance {number(r.tolerance)} ({r.why})",
                ]
            raise AssertionError("\n".join(lines))

    def _repr_mimebundle_(self, include=None, exclude=None):
        rows = [{**dataclasses.asdict(row), "holds": row.holds} for row in self.rows]
        rows = [{k: None if v != v else v for k, v in row.items()} for row in rows]  # nan in JSON
        text = "\n".join(
            f"[{'holds' if r['holds'] else 'FAILS'}] {r['claim']}: {number(r['measured'])} "
            f"± {number(r['standard_error'])} {r['relation']} {number(r['predicted'])}"
            for r in rows
        )
        return {"text/plain": text, "text/html": _STYLE + table(rows), MIME: {"claims": rows}}


def number(value: float | None) -> str:
    """A number of a claim in four digits; a dash for one that is missing.

    Parameters
    ----------
    value : float or None

    Returns
    -------
    str

    Examples
    --------
    >>> number(2 / 3), number(1e-7), number(None)
    ('0.6667', '1.00e-07', '–')
    """
    if value is None or value != value:
        return "–"
    return f"{value:.2e}" if value and not 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def verdict(rows: list[dict]) -> str:
    """How many checks there are, and how many of them do not hold, in words.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    str

    Examples
    --------
    >>> verdict([{"holds": True}, {"holds": True}]), verdict([{"holds": True}, {"holds": False}])
    ('2 checks, all hold', '2 checks, 1 does not hold')
    """
    failed = sum(not row["holds"] for row in rows)
    checks = f"{len(rows)} check" if len(rows) == 1 else f"{len(rows) or 'no'} checks"
    if failed:
        return f"{checks}, {failed} {'does' if failed == 1 else 'do'} not hold"
    return checks + {0: "", 1: ", holds"}.get(len(rows), ", all hold")


def table(rows: list[dict], title: str = "") -> str:
    """The HTML table of rows as `read` gives them, folded to its verdict unless one fails.

    Parameters
    ----------
    rows : list of dict
    title : str
        HTML that stands before the verdict.

    Returns
    -------
    str
    """
    head = ("claim", "source", "predicted", "measured ± s.e.", "tolerance", "holds")
    body = ""
    for r in rows:
        cells = (
            html.escape(r["claim"]),
            html.escape(r["source"]),
            f"{html.escape(r['relation'])}&nbsp;{number(r['predicted'])}",
            f"{number(r['measured'])} ± {number(r['standard_error'])}",
            f"{number(r['tolerance'])}: {html.escape(r['why'])}",
            "yes" if r["holds"] else "<strong>no</strong>",
        )
        # what a style sheet or a filter may ask a row for
        kinds = ["over-seeds"] * (r["standard_error"] is not None) + ["fails"] * (not r["holds"])
        body += f'<tr class="{" ".join(kinds)}">'
        for name, cell in zip(head, cells, strict=True):
            body += f'<td data-label="{name}">{cell}</td>'
        body += "</tr>"
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    failed, words = any(not r["holds"] for r in rows), verdict(rows)
    words = f"<strong>{words}</strong>" if failed else words
    return (
        f'<details class="claims"{" open" * failed}><summary>{title}{words}</summary>'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def read(path: str | os.PathLike) -> list[dict]:
    """The claim table of an executed notebook, without running it.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of dict
        The fields of `Claim` and "holds"; empty where the notebook has no table.
    """
    cells = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["cells"]
    return [
        row
        for cell in cells
        for output in cell.get("outputs", [])
        for row in output.get("data", {}).get(MIME, {}).get("claims", [])
    ]
