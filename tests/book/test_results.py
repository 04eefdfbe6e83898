"""Results and the code that made them: keys, the build's cache, the runner, the scorecard."""

import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import chapters
import nbformat
import pytest

from twolayer.lab.claims import MIME, read

from .conftest import CHAPTERS, ROOT, name

SMALL = """---
jupytext:
  formats: ipynb,md:myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Small

```{code-cell} python3
from twolayer.lab.exercises import check
from twolayer.lab.claims import Claims

BODY
claims = Claims()
claims.add("one is one", "arithmetic", 1.0, MEASURED)
claims.verify()
```
"""


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_twins_are_current(path):
    """Each committed result comes from today's code."""
    assert path not in stale(), stale()[path]


@functools.cache
def stale():
    return chapters.stale()


@pytest.fixture
def tree(tmp_path):
    """A small book of one chapter, with the machinery and the library of this one."""
    for folder in ("book/_ext", "lib/twolayer"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("requirements.txt", "pyproject.toml", "_toc.yml"):
        shutil.copy(ROOT / file, tmp_path)
    write(tmp_path)
    return tmp_path


def write(tree, file="small", body="", measured="1.0"):
    folder = tree / "book" / "part"
    folder.mkdir(exist_ok=True)
    text = SMALL.replace("BODY", body).replace("MEASURED", measured)
    (folder / f"{file}.md").write_text(text)
    return folder / f"{file}.md"


def run(tree, script="notebooks.py", *options):
    return subprocess.run(
        [sys.executable, f"book/_ext/{script}", *options], cwd=tree, capture_output=True, text=True,
        check=False, env=os.environ | {"PYTHONPATH": "lib", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def key_after(tree, path, edit):
    """What differs from the key once a file is edited (and mended again)."""
    file = tree / path
    before = chapters.key(tree / "book/part/small.md", tree)
    text = file.read_text()
    file.write_text(edit(text))
    for cache in (chapters._module_digest, chapters.pins):
        cache.cache_clear()
    found = chapters.changes(tree / "book/part/small.md", before, tree)
    file.write_text(text)
    return found


@pytest.mark.parametrize(
    ("file", "edit", "found"),
    [
        ("lib/twolayer/lab/claims.py", lambda s: s + "\nX = 1\n", ["twolayer.lab.claims"]),
        ("lib/twolayer/_checks.py", lambda s: s + "\nX = 1\n", ["twolayer._checks"]),
        ("lib/twolayer/__init__.py", lambda s: s + "\nX = 1\n", ["twolayer"]),
        ("lib/twolayer/lab/claims.py", lambda s: s + "\n# a comment\n\n", []),
        ("lib/twolayer/lab/claims.py", lambda s: s.replace('"""Add', '"""Adds'), []),
        ("lib/twolayer/lab/plotting.py", lambda s: s + "\nX = 1\n", []),
        ("lib/twolayer/theory/lazy_and_rich.py", lambda s: s + "\nX = 1\n", []),
        ("requirements.txt", lambda s: s.replace("numpy==2", "numpy==1"), ["numpy"]),
        ("requirements.txt", lambda s: s.replace("sphinx-proof==0", "sphinx-proof==1"), []),
        ("book/part/small.md", lambda s: s.replace("one is", "1 is"), ["code"]),
        ("book/part/small.md", lambda s: s.replace("# Small", "# Tiny"), []),
    ],
)
def test_the_key_sees_what_results_depend_on_and_nothing_else(tree, file, edit, found):
    assert key_after(tree, file, edit) == found


def test_the_key_sees_the_stored_tables_that_a_chapter_names(tree):
    path, tables = write(tree, body='TABLE = "small"'), tree / "lib/twolayer/lab/tables"
    for table in ("small.csv", "other.csv"):
        (tables / table).write_text("a\n1\n")
    before = chapters.key(path, tree)
    (tables / "other.csv").write_text("a\n2\n")
    assert chapters.key(path, tree) == before
    (tables / "small.csv").write_text("a\n2\n")
    assert chapters.changes(path, before, tree) == ["small.csv"]


def test_modules_reached_through_imports_of_every_form():
    for line in (
        "from twolayer import estimators",
        "from twolayer.estimators import OneStepRegressor as R",
        "import twolayer.estimators",
        "import numpy, twolayer",
        "def f():\n    from twolayer import (\n        data,  # x\n        estimators,\n    )",
    ):
        found = chapters.modules(["%matplotlib inline\nx = 1", line])
        assert {"twolayer", "twolayer.estimators", "twolayer.gradients", "twolayer._checks"} <= set(
            found
        ), line
    assert "twolayer.estimators" not in chapters.modules(["from twolayer import data"])


def test_source_without_comments_and_docstrings():
    source = '''"""Module."""
# comment
def f(x):  # another
    """Docstring
    # of two lines."""
    text = """kept

    # kept"""
    return (
        x,  # the first

        text,
    )
'''
    want = '''def f(x):
    text = """kept

    # kept"""
    return (
x,
text,
)
'''
    assert chapters.without_comments(source) == want


@pytest.mark.slow
def timeless(path):
    """A twin as it was written, without the CPU-seconds of its run."""
    return re.sub(r' *"cpu_seconds": [\d.]+,\n', "", chapters.twin(path).read_text())


def test_the_time_of_a_whole_run_is_recorded_and_none_of_a_resumed_one(tree):
    sweeps, made = tree / "_build/sweep/part/small", "_build/executed/part/small.ipynb"
    assert run(tree).returncode == 0
    assert json.loads((tree / made).read_text())["metadata"]["cpu_seconds"] > 0
    assert not sweeps.exists()
    (tree / made).unlink()
    sweeps.mkdir(parents=True)  # as an interrupted run leaves it
    assert run(tree).returncode == 0
    assert "cpu_seconds" not in json.loads((tree / made).read_text())["metadata"]


def test_results_are_kept_served_while_current_and_never_after(tree):
    path = tree / "book/part/small.md"
    first = run(tree)
    assert first.returncode == 0, first.stderr
    assert "1 of 1: part/small" in first.stdout
    assert run(tree).stdout == ""
    assert run(tree, "notebooks.py", "--write").stdout == "written: book/part/small.ipynb\n"
    shutil.rmtree(tree / "_build")
    path.write_text(path.read_text().replace("# Small", "# Tiny"))
    assert run(tree, "notebooks.py", "--write").stdout == "written: book/part/small.ipynb\n"
    assert "# Tiny" in chapters.twin(path).read_text(), "prose follows without a run"
    assert run(tree).stdout == "", "a fresh clone runs nothing"
    twin = timeless(path)
    module = tree / "lib/twolayer/lab/exercises.py"
    text = module.read_text()
    module.write_text(text + "\nX = 1\n")
    card = run(tree, "scorecard.py")
    assert card.returncode == 1
    assert "today's twolayer.lab.exercises; `make notebooks` mends it" in card.stderr
    assert "one is one" not in card.stdout
    stale = run(tree, "chapters.py", "--stale")
    assert stale.returncode == 1
    assert (
        "part/small: its results do not come from today's twolayer.lab.exercises;" in stale.stderr
    )
    assert "1 of 1: part/small" in run(tree, "notebooks.py", "--write").stdout
    again = json.loads(chapters.twin(path).read_text())
    module.write_text(text)
    assert run(tree, "notebooks.py", "--write").stdout.count("1 of 1") == 1
    assert timeless(path) == twin, "the same run writes the same, but for the time it took"
    assert again["metadata"].pop("twolayer") != json.loads(twin)["metadata"].pop("twolayer")


@pytest.mark.slow
def test_a_failing_claim_prints_its_numbers_and_how_to_go_on(tree):
    write(tree, "small", measured="1.25")
    write(tree, "good")
    write(tree, "broken", body="raise ValueError('of its own')")
    done = run(tree)
    assert done.returncode == 1
    assert "does not hold: one is one" in done.stderr
    assert "predicted = 1, measured 1.25 ± –, tolerance 0 (exact)" in done.stderr
    assert "ValueError: of its own" in done.stderr
    assert "while executing the following cell" not in done.stderr
    assert "make book DRAFT=1" in done.stderr
    assert "1 of 3: part/good" in done.stdout
    draft = run(tree, "notebooks.py", "--draft")
    assert draft.returncode == 0
    assert "part/good" not in draft.stdout
    kept = tree / "_build/draft/part/small.ipynb"
    assert [row["holds"] for row in read(kept)] == [False]
    assert run(tree).returncode == 1, "a draft is no result"


@pytest.mark.slow
def test_a_kernel_that_dies_is_heard_and_one_that_only_complains_is_not(tree):
    complaint = "import os, sys; sys.__stderr__.write('a complaint\\n'); sys.__stderr__.flush()"
    write(tree, body=complaint)
    quiet = run(tree)
    assert quiet.returncode == 0
    assert quiet.stderr == ""
    write(tree, body=f"{complaint}; os._exit(3)")
    dead = run(tree)
    assert dead.returncode == 1
    assert "part/small: failed" in dead.stderr
    assert "DeadKernelError" in dead.stderr
    assert "a complaint" in dead.stderr


@pytest.mark.slow
def test_interrupted_it_keeps_what_is_done_and_says_so_in_a_line(tree):
    write(tree, "a_quick")
    write(tree, "b_slow", body="import time; time.sleep(300)")
    write(tree, "c_slow", body="import time; time.sleep(300)")
    (tree / "book/part/small.md").unlink()
    process = subprocess.Popen(
        [sys.executable, "book/_ext/notebooks.py"], cwd=tree, text=True, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "lib", "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # nohup ignores it
    )  # fmt: skip
    lines = []
    while not any("1 of 3: part/a_quick" in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    time.sleep(3)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - start < 5
    assert process.returncode == 130
    assert said.strip() == (
        "interrupted: 1 of 3 chapters are done and kept; the same command goes on from there"
    )
    assert (tree / "_build/executed/part/a_quick.ipynb").exists()
    time.sleep(2)
    alive = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tree) not in alive


def test_the_scorecard_tells_the_relation_and_the_sum(tree, capsys):
    import scorecard

    rows = [
        {"claim": "a\tb", "source": "s", "relation": "<=", "predicted": 0.001234567,
         "measured": 0.00081, "standard_error": None, "tolerance": 0.0, "holds": True},
        {"claim": "c", "source": "s", "relation": "=", "predicted": 1 / 3,
         "measured": 1.0, "standard_error": 0.1, "tolerance": 0.3, "holds": False},
    ]  # fmt: skip
    head, *table = [list(scorecard.lines("part/x", rows))[i].split("\t") for i in (0, 1)]
    assert head == ["part/x", "a b", "s", "<= 0.001235", "8.10e-04", "–", "0", "yes"]
    assert table[0][3:] == ["= 0.3333", "1", "0.1", "0.3", "no"]
    assert len(head) == len(scorecard.HEAD)
    assert scorecard.main(CHAPTERS, {}) == 0
    out = capsys.readouterr().out.splitlines()
    total = sum(len(read(chapters.twin(p))) for p in CHAPTERS)
    count = len(scorecard.claiming(CHAPTERS))
    assert len(out) == total + 2
    assert out[-1] == f"{total} of {total} claims hold, in {count} of {count} chapters"
    assert all(line.endswith("\tyes") for line in out[1:-1])


def test_stray_notebooks_are_no_chapters(tree):
    """Papermill's output beside a chapter, as a reader may write it."""
    folder = tree / "book" / "part"
    nbformat.write(nbformat.v4.new_notebook(), folder / "large.ipynb")
    (folder / "large.md").write_text("# a page of its own\n")
    assert [p.name for p in chapters.chapters(tree)] == ["small.md"]


@pytest.mark.slow
def test_a_reader_who_stops_reading_sees_no_traceback():
    command = f"{sys.executable} book/_ext/scorecard.py | head -2"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr


def test_chapters_are_found_in_one_place():
    """Whoever needs the list asks chapters.py."""
    marker = "formats: ipynb," + "md:myst"
    places = ("*", ".ci/*", "tests/**/*.py", "book/_ext/*")
    files = (f for place in places for f in ROOT.glob(place))
    holds = [f.name for f in files if f.is_file() and marker in f.read_text("utf-8", "ignore")]
    assert set(holds) == {pathlib.Path(__file__).name, "test_faults.py", "chapters.py"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, 0),
        ({"measured": 1.0 + 1e-7}, 0),
        ({"measured": 1.02, "standard_error": 0.035}, 0),  # training enlarges rounding
        ({"measured": 1.1}, 1),
        ({"predicted": 1.05}, 1),
        ({"tolerance": 0.2}, 1),
        ({"standard_error": None}, 1),
        ({"holds": False}, 1),
        ({"why": "another"}, 1),
        ({"claim": "another"}, 2),
    ],
)
def test_a_new_run_must_give_the_committed_claims(change, found):
    from tests.notebooks import claims, differences

    row = {"claim": "c", "source": "s", "relation": "=", "predicted": 0.95, "measured": 1.0,
           "standard_error": 0.03, "tolerance": 0.09, "why": "w", "holds": True}  # fmt: skip
    tables = [claims([{"data": {MIME: {"claims": [r]}}}]) for r in (row, row | change)]
    assert len(differences(*tables)) == found


def test_a_bound_that_is_far_away_need_not_be_met_to_the_last_digit():
    from tests.notebooks import allowed

    row = {"relation": "<", "predicted": 0.3, "measured": 0.04, "tolerance": 0.0}
    assert allowed(row, "measured") == pytest.approx(0.026)
    assert allowed(row | {"relation": "="}, "measured") < 1e-6


def test_digits_count_only_on_the_kind_of_processor_that_made_them():
    import notebooks

    from tests.notebooks import only_holds

    def item(metadata, holds=False):
        parent = types.SimpleNamespace(nb=types.SimpleNamespace(metadata=metadata))
        config = types.SimpleNamespace(getoption=lambda name: holds)
        return types.SimpleNamespace(parent=parent, config=config)

    assert notebooks.processor()
    assert not only_holds(item({}))
    assert not only_holds(item({"processor": notebooks.processor()}))
    assert only_holds(item({"processor": "another"}))
    assert only_holds(item({}, holds=True))


DRAWS = """import numpy as np
from twolayer.lab.sweep import sweep
def mean(n, rng):
    return {"mean": rng.standard_normal(n).mean()}
runs = sweep(mean, {"n": [9]}, 3)["mean"]
one = np.random.default_rng(5).standard_normal()"""


def rows(tree, root):
    return json.loads((tree / f"_build/robust/part/small/{root}.json").read_text())


def test_a_page_under_roots_of_its_own(tree):
    """Sweeps and generators are moved, the same by the same root; what has run is not run again."""
    write(tree, body=DRAWS, measured='runs)\nclaims.add("drawn", "none", 0.0, one')
    with (tree / "_toc.yml").open("w") as file:
        file.write("root: book/intro\nparts: []\n")
    first = run(tree, "robust.py", "--roots", "2", "--jobs", "1")
    assert first.returncode == 1, first.stderr  # one is one: not by three draws
    found = [[row["measured"] for row in rows(tree, root)["rows"]] for root in (1, 2)]
    assert len({number for numbers in found for number in numbers}) == 4
    assert "0 of 2: part/small: drawn" in first.stdout
    table = (tree / "book/robust.csv").read_text().splitlines()
    held = sum(rows(tree, root)["rows"][0]["holds"] for root in (1, 2))
    assert re.fullmatch(r"# make robust, \d{4}-\d\d-\d\d", table[0])
    assert table[2] == f"part/small,one is one,drawn,2,{held}"
    assert table[-1] == "part/small,the page runs to its end,fixed,2,2"
    before = (tree / "_build/robust/part/small/1.json").stat().st_mtime_ns
    (tree / "_build/robust/part/small/2.json").unlink()
    run(tree, "robust.py", "--roots", "2", "--jobs", "1")
    assert (tree / "_build/robust/part/small/1.json").stat().st_mtime_ns == before
    assert [row["measured"] for row in rows(tree, 2)["rows"]] == found[1]
    write(tree, body=DRAWS + "\nraise KeyError(3)", measured="one")
    broken = run(tree, "robust.py", "--roots", "1", "--jobs", "1")
    assert "0 of 1: part/small: the page runs to its end" in broken.stdout
    assert rows(tree, 1)["error"] == "cell 1: KeyError: 3"
