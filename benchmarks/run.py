"""`make bench`: every part in one run, one table at its end, compared with the stored one.

``python benchmarks/run.py [--store] [SCRIPT ...]``. Exit status 1 where a row is more than 10 %
slower, as a ratio, than in benchmarks/table.json, or slower than is asked; such a part is measured
once more before it is named.
"""

import argparse
import importlib
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import table
import torch

SCRIPTS = (
    "foundations",
    "one_step",
    "representations",
    "end_of_training",
    "tickets",
    "exact_curves",
    "whole",
)


def measure(part, stored):
    """Rows of a part; the better of two runs for those that would be named."""
    rows = list(part())
    if table.behind(rows, stored):
        rows = [max(pair, key=lambda row: row.ratio) for pair in zip(rows, part(), strict=True)]
    return rows


def main():
    """Measure, show, compare, and store where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=", ".join(SCRIPTS))
    parser.add_argument("--store", action="store_true", help="keep the table for later runs")
    options = parser.parse_args()
    if options.store and options.scripts:
        parser.error("a table is stored whole: --store takes no SCRIPT")
    torch.set_num_threads(1)
    stored, about = table.read()
    rows = []
    for name in options.scripts or SCRIPTS:
        print(f"{name} ...", flush=True)
        for part in importlib.import_module(name).PARTS:
            rows += measure(part, stored)
    print()
    table.show(rows)
    named = table.behind(rows, stored)
    print(f"\nagainst the table of {about['date']}, {about['processor']}:" if about else "")
    print("\n".join(named.values()) or "nothing is slower, or less than asked")
    if options.store:
        table.write(rows)
    return bool(named)


if __name__ == "__main__":
    sys.exit(main())
