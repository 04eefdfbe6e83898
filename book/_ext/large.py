"""Run chapters at the larger sizes that they name themselves, and store their claim tables.

The cell tagged ``parameters`` of a page ends in a line for papermill. ``make large`` executes each
page with it, one after another, what takes least first; a page whose table is stored is left out,
and killed work goes on. ``--list`` only says what is left, with an upper bound of its minutes;
names of pages (``first_step/one_step``) run these alone, and anew.
"""

import argparse
import json
import logging
import os
import re
import resource
import sys

import jupytext
import numpy as np
import yaml
from chapters import ROOT, chapters, name, twin

from twolayer.lab.claims import read, verdict
from twolayer.lab.sweep import load, store

FOLDER = ROOT / "book" / "large"  # a table a page, and the reasons of rows that do not hold
WORK = ROOT / "_build" / "large"
STORED = "STORE"  # the parameter that makes a chapter's own stored table again
COLUMNS = (
    "claim",
    "source",
    "relation",
    "predicted",
    "measured",
    "standard_error",
    "tolerance",
    "why",
    "holds",
)


def parameters(path):
    """The source of the cell tagged ``parameters``; empty where a page has none."""
    cells = jupytext.read(path).cells
    return next((c.source for c in cells if "parameters" in c.metadata.get("tags", ())), "")


def sizes(source):
    """What the line for papermill in a cell sets: name to value."""
    line = source.partition("papermill")[2]
    words = re.findall(r'-p (\w+) (\w[\w.]*)|-y "(\w+): ([^"]+)"', line)
    given = {a or b: yaml.safe_load((v or w).rstrip(".")) for a, v, b, w in words}
    return {key: value for key, value in given.items() if key != STORED}


def command(path):
    """The line that a reader runs in the page's folder."""
    given = sizes(parameters(path)).items()
    said = [f'-y "{k}: {v}"' if isinstance(v, list) else f"-p {k} {v}" for k, v in given]
    return " ".join((f"papermill {path.stem}.ipynb ../../_build/out.ipynb", *said))


def growth(source):
    """By what the larger sizes multiply the cost, at most.

    Seeds count once. Of the other sizes, which belong to different experiments, the one that grows
    most counts, by its cube.
    """
    before, given = {"np": np}, sizes(source)
    exec(source, before)

    def ratio(key, power):
        old, new = (np.sum(np.asarray(v, float) ** power) for v in (before[key], given[key]))
        return new / old

    seeds = ratio("SEEDS", 1) if "SEEDS" in given else 1.0
    return seeds * max((ratio(key, 3) for key in given if key != "SEEDS"), default=1.0)


def minutes(path):
    """An upper bound of the CPU-minutes that a page takes at its larger sizes."""
    took = json.loads(twin(path).read_text("utf-8"))["metadata"].get("cpu_seconds", np.inf)
    return took * growth(parameters(path)) / 60


def table(path):
    """Where the claims of a page at its larger sizes are stored."""
    return FOLDER / f"{path.stem}.csv"


def pages():
    """The pages that name larger sizes, what takes least first."""
    return sorted((path for path in chapters() if sizes(parameters(path))), key=minutes)


def rows(path):
    """The stored claims of a page, as `twolayer.lab.claims.read` gives them."""
    found = load(table(path)).to_dict("records")
    return [{k: None if v != v else v for k, v in row.items()} for row in found]


def measure(path):
    """Execute a page at its larger sizes and store its claims; returns them."""
    import papermill  # here: it takes a second

    out, before = WORK / f"{path.stem}.ipynb", resource.getrusage(resource.RUSAGE_CHILDREN)
    out.parent.mkdir(parents=True, exist_ok=True)
    os.environ["TWOLAYER_CACHE"] = str(WORK / "sweep" / path.stem)  # killed, it goes on from there
    failure = None
    try:
        papermill.execute_notebook(
            twin(path),
            out,
            sizes(parameters(path)),
            cwd=path.parent,
            progress_bar=False,
            extra_arguments=["--log-level=ERROR"],  # else each kernel warns that it listens locally
        )
    except (
        papermill.PapermillExecutionError
    ) as error:  # the table stands all the same, if it is what failed
        failure = error
    found = read(out)
    if not found:
        raise RuntimeError(f"{name(path)} comes to no claim table: {failure}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    FOLDER.mkdir(exist_ok=True)
    columns = {key: [row[key] for row in found] for key in COLUMNS}
    store(table(path), columns, command=command(path), seconds=seconds)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="say what is left, and how long it is")
    parser.add_argument("page", nargs="*", help="these alone, and anew")
    options = parser.parse_args()
    todo = [
        p for p in pages() if name(p) in options.page or not (options.page or table(p).exists())
    ]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.getLogger("papermill").setLevel(logging.ERROR)  # which can't read all our cells
    failed = 0
    for path in todo:
        print(f"{name(path)}: at most {minutes(path):.0f} minutes", flush=True)
        if options.list:
            continue
        try:
            print(f"  {verdict(measure(path))}", flush=True)
        except RuntimeError as error:
            failed += 1
            print(f"  failed: {str(error).strip().splitlines()[-1]}", file=sys.stderr, flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
