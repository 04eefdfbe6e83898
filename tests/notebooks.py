"""A pytest plugin beside nbval: a notebook's claims, run anew, are the committed ones.

With ``--holds`` they only have to hold: on other versions and machines, other digits are no fault.
So it is for a notebook that says it was run on another kind of processor.
"""

import math

import pytest

from twolayer.lab.claims import MIME

#: What sums in another order may move: other processors and other BLAS round otherwise, and long
#: training enlarges it. On one machine the numbers are the same to the last digits; on another, one
#: that training has enlarged may move by part of what the claim tolerates, and decides nothing.
ROUNDING, TOLERANCE, MARGIN, ERROR = 1e-6, 0.25, 0.1, 0.25


def claims(outputs):
    rows = [row for o in outputs for row in o.get("data", {}).get(MIME, {}).get("claims", ())]
    return {(row["claim"], i): row for i, row in enumerate(rows)}


def allowed(row, key):
    """By how much a number of a row may differ."""
    value, rounding = row[key], ROUNDING * abs(row[key]) + 1e-12
    if key in ("standard_error", "tolerance"):
        return max(rounding, ERROR * value)
    margin = MARGIN * abs(row["measured"] - row["predicted"]) if row["relation"] != "=" else 0
    return max(rounding, TOLERANCE * row["tolerance"], margin)


def differences(committed, new):
    """What a new run's claims say otherwise, in words."""
    if committed.keys() != new.keys():
        return [f"only in one of both: {claim}" for claim, _ in committed.keys() ^ new.keys()]
    found = []
    for (claim, _), old in committed.items():
        now = new[claim, _]
        for key, value in old.items():
            if not isinstance(value, float) or not isinstance(now[key], float):
                same = value == now[key]
            else:
                same = math.isclose(value, now[key], rel_tol=0, abs_tol=allowed(old, key))
            if not same:
                found.append(f"{claim}: {key} was {value!r}, now {now[key]!r}")
    return found


def pytest_addoption(parser):
    parser.addoption("--holds", action="store_true", help="claims must hold, in other digits too")


def only_holds(item):
    """Whether other digits are no fault."""
    run_on = item.parent.nb.metadata.get("processor")
    if item.config.getoption("holds") or run_on is None:
        return item.config.getoption("holds")
    from notebooks import processor  # the runner, found by the path in pytest's settings

    return run_on != processor()


def pytest_collection_modifyitems(config, items):
    for item in items:
        if hasattr(item, "test_outputs") and only_holds(item):  # a cell of nbval
            item.options["check"] = False  # what it prints may differ


def rows(item, outputs):
    found = claims(outputs or ())
    if only_holds(item):
        return {key: {"holds": row["holds"]} for key, row in found.items()}
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if hasattr(item, "test_outputs"):
        found = differences(rows(item, item.cell.outputs), rows(item, item.test_outputs))
        if found:
            text = "\n".join(("claims differ from the committed ones (`make notebooks`):", *found))
            pytest.fail(text, pytrace=False)
    return result
