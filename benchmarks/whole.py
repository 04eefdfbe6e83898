"""What a user waits for: imports, each page's run, and with BOOK=1 the book from a clone."""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np
from table import ROOT, Row

LIMITS = {"in_depth": 40, "primer": 5}  # CPU seconds; tests/book/test_structure.py
TUTORIAL = 12
ROOMS = ("kernels", "ridge", "theory.exact_curves", "descent", "lab.sweep")


def cpu(command, **options):
    """CPU seconds of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imports(repeats=3):
    """Whole processes against one that imports NumPy alone, or what the room cannot do without."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    lines = {"numpy": "numpy", "torch": "torch", "scikit-learn": "sklearn.linear_model"}
    lines |= {"twolayer": "twolayer"} | {room: f"twolayer.{room}" for room in ROOMS}
    commands = [[sys.executable, "-c", f"import {module}"] for module in lines.values()]
    times = [[cpu(c, env=environment) for c in commands] for _ in range(repeats)]
    least = dict(zip(lines, np.min(times, axis=0).tolist(), strict=True))
    for room in ("twolayer", *ROOMS):
        other = "torch" if room in ("descent", "lab.sweep") else "numpy"
        yield Row(f"import {lines[room]}", least[room], least[other], f"import {other}")


def pages():
    """CPU seconds of each page as its committed notebook records them."""
    for path in sorted((ROOT / "book").glob("*/*.ipynb")):
        seconds = json.loads(path.read_text("utf-8"))["metadata"].get("cpu_seconds")
        if seconds:
            limit = next((v for end, v in LIMITS.items() if path.stem.endswith(end)), TUTORIAL)
            yield Row(f"page {path.parent.name}/{path.stem}", seconds, limit, "limit", 1)


def book():
    """`make book` from a clone whose results are current, without the set-up of .venv."""
    if os.environ.get("BOOK") != "1":
        print("  the book from a clone: left out (BOOK=1)")
        return
    with tempfile.TemporaryDirectory() as folder:
        clone = pathlib.Path(folder) / "clone"
        cpu(["git", "clone", "--quiet", str(ROOT), str(clone)])
        (clone / ".venv").symlink_to(ROOT / ".venv")
        took = cpu(["make", "--silent", "book"], cwd=clone)
    yield Row("book from a clone", took, 120, "limit", 1)


PARTS = (imports, pages, book)
