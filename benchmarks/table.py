"""One table of ratios: how a row is measured, stored, compared with the last and shown.

A ratio is what the other way took over what ours took, measured in turn in one run: it moves little
from machine to machine. Times are CPU seconds of one thread, the least of a few runs: what the code
costs when nothing else runs.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "table.json"
SLOWER = 0.1  # than in the stored table: named
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "xarray", "matplotlib")


class Row(NamedTuple):
    """What is measured, our seconds, the other way's and its name, and the ratio asked for."""

    name: str
    ours: float
    other: float
    against: str
    asked: float | None = None

    @property
    def ratio(self):
        """How many times faster ours is."""
        return self.other / self.ours


def once(function, *arguments):
    """CPU seconds of a single run, for what takes long, and its result."""
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def race(*functions, repeats=5):
    """Least CPU seconds of each function, which take turns, for at least half a second."""
    times = []
    while len(times) < repeats or np.sum(times) < 0.5:
        times.append([once(function)[0] for function in functions])
    return [float(least) for least in np.min(times, axis=0)]


def close(name, a, b, tolerance):
    """Raise unless two ways give the same numbers."""
    gap = np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b)
    if not gap < tolerance:
        raise AssertionError(f"{name}: relative difference {gap:.1e}, allowed {tolerance:.0e}")


def behind(rows, stored):
    """By name, a line for each row that is slower than in the stored table, or than asked."""
    last, lines = {row.name: row.ratio for row in stored}, {}
    for row in rows:
        slower = last.get(row.name, 0.0) / row.ratio - 1
        if slower > SLOWER:
            lines[row.name] = f"{row.name}: {slower:.0%} slower than in the stored table"
        elif row.asked is not None and row.ratio < row.asked:
            lines[row.name] = f"{row.name}: {row.ratio:.3g} times, {row.asked:g} asked"
    return lines


def show(rows):
    """The table as text."""
    lines = [("", "ours", "other", "times", "asked", "the other way")]
    for row in rows:
        asked = "" if row.asked is None else f"{row.asked:g}"
        seconds = (f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s" for value in row[1:3])
        lines.append((row.name, *seconds, f"{row.ratio:.3g}", asked, row.against))
    name, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    for first, *numbers, last in lines:
        cells = [f"{v:>{w}}" for v, w in zip(numbers, widths, strict=False)]
        print("  ".join([f"{first:{name}}", *cells, last]).rstrip())


def write(rows, path=STORED):
    """Store the rows, seconds to four digits, with what they were measured on."""
    short = [r._replace(ours=float(f"{r.ours:.4g}"), other=float(f"{r.other:.4g}")) for r in rows]
    table = about() | {"rows": [row._asdict() for row in short]}
    path.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


def read(path=STORED):
    """The stored rows, and what they were measured on."""
    table = json.loads(path.read_text("utf-8")) if path.exists() else {"rows": []}
    return [Row(**row) for row in table.pop("rows")], table


def about():
    """Date, commit, processor, threads and versions."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "processor": _processor(),
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "python": sys.version.split()[0],
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _processor():
    info = pathlib.Path("/proc/cpuinfo")
    said = (
        re.search(r"^model name\s*: (.+)$", info.read_text("utf-8"), re.M) if info.exists() else 0
    )
    return said[1].strip() if said else platform.processor() or platform.machine()
