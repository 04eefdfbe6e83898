"""Work that is killed, a disk that is full or read-only, files that are damaged.

A small book in a folder of its own, with the real machinery. `KILLS` (2) says how often each kind
of work is killed, at moments that a seed draws.
"""

import errno
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import types

import book_machinery
import chapters
import course
import notebooks
import pytest

from twolayer.lab import _files
from twolayer.lab.sweep import load, store

from .conftest import ROOT

KILLS = int(os.environ.get("KILLS", "2"))
CHAPTER = """---
jupytext:
  formats: ipynb,md:myst
  text_representation: {{extension: .md, format_name: myst}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---

# Chapter {name}

```{{code-cell}} ipython3
import time
from twolayer.lab.sweep import sweep

def slow(n, rng):
    with open("../../log", "a") as log:
        log.write(f"{name}{{n}} ")
    time.sleep(0.2)
    return {{"value": rng.standard_normal()}}

print(sweep(slow, {{"n": range(4)}}, 1, progress=False).value.values.tolist())
```
"""


def small_book(folder, names="ab"):
    """The real machinery on a tree with chapters that take under a second."""
    shutil.copytree(
        ROOT / "book/_ext", folder / "book/_ext", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "requirements.txt", "_config.yml"):
        shutil.copy(ROOT / name, folder)
    (folder / "lib").symlink_to(ROOT / "lib")
    (folder / "book/part").mkdir()
    for name in names:
        (folder / f"book/part/{name}.md").write_text(CHAPTER.format(name=name))
    return folder


def command(folder, *arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("TWOLAYER_CACHE", None)
    return {
        "args": [sys.executable, *arguments],
        "cwd": folder,
        "env": environment,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def finish(folder, *arguments):
    return subprocess.run(**command(folder, *arguments), check=False)


def killed(folder, rng, longest, *arguments):
    """Start the work in a process group of its own and kill it at a random moment."""
    process = subprocess.Popen(**command(folder, *arguments), start_new_session=True)
    try:
        process.wait(rng.uniform(0.2, longest))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def files(folder, *patterns):
    found = (f for pattern in patterns for f in sorted(folder.glob(pattern)) if f.is_file())
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in found}


def whole(path):
    return not path.exists() or bool(json.loads(path.read_text())["cells"])


TWINS = "book/part/*.ipynb"


def without_time(twins):
    """The CPU-seconds of a run that was resumed are not those of a whole one: it records none."""
    read = {name: json.loads(content) for name, content in twins.items()}
    for notebook in read.values():
        notebook["metadata"].pop("cpu_seconds", None)
    return read


@pytest.mark.slow
def test_notebooks_killed_at_any_moment_go_on_and_end_as_if_undisturbed(tmp_path):
    calm = small_book(tmp_path / "calm")
    began = time.monotonic()
    assert finish(calm, "book/_ext/notebooks.py", "--write").returncode == 0
    longest = time.monotonic() - began
    folder, rng = small_book(tmp_path / "killed"), random.Random(20261129)
    for _ in range(KILLS):
        killed(folder, rng, longest, "book/_ext/notebooks.py", "--write")
        assert all(whole(folder / f"book/part/{name}.ipynb") for name in "ab")
        time.sleep(1.2)  # a kernel ends within a second after whom it serves
    done = finish(folder, "book/_ext/notebooks.py", "--write")
    assert (done.returncode, done.stderr) == (0, "")
    assert without_time(files(folder, TWINS)) == without_time(files(calm, TWINS))
    ran = (folder / "log").read_text().split()
    # what was under way when it was killed runs again, what had finished does not
    assert len(ran) <= 8 + 2 * KILLS
    again = finish(folder, "book/_ext/notebooks.py", "--write")
    assert again.stdout == ""
    assert (folder / "log").read_text().split() == ran


COURSE = """
import concurrent.futures, json, multiprocessing, pathlib, sys, time
sys.path.insert(0, "book/_ext")
import course

def half_and_half(name):
    with open("log", "a") as log:
        log.write(name + " ")
    with open(f"_build/course/{name}", "w") as file:
        file.write(name + sys.argv[1])
        file.flush()
        time.sleep(0.3)
        file.write(" whole")

if __name__ == "__main__":
    course.KEYS.parent.mkdir(parents=True, exist_ok=True)
    products = [(n, sys.argv[1], half_and_half, (n,), course.OUT / n) for n in "abcd"]
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        course.make(products, pool)
"""


@pytest.mark.slow
def test_a_course_killed_at_any_moment_keeps_what_is_whole(tmp_path):
    folder, rng = small_book(tmp_path / "killed", ""), random.Random(7)
    (folder / "work.py").write_text(COURSE)
    keys = ["1", "2"] * 5  # a key that comes back must not find the half of another product
    for key in keys[:KILLS]:
        killed(folder, rng, 3.0, "work.py", key)
    done = finish(folder, "work.py", "1")
    assert (done.returncode, done.stderr) == (0, "")
    made = files(folder, "_build/course/?")
    assert made == {f"_build/course/{n}": f"{n}1 whole".encode() for n in "abcd"}
    ran = (folder / "log").read_text()
    assert finish(folder, "work.py", "1").stdout.splitlines() == []
    assert (folder / "log").read_text() == ran


def test_a_build_that_was_cut_off_is_not_trusted(tmp_path):
    """Sphinx takes a page half written for a current one: its time is newer than the source's."""
    app = types.SimpleNamespace(doctreedir=str(tmp_path / "doctrees"))
    book_machinery.begin(app)
    (tmp_path / "doctrees/environment.pickle").touch()
    book_machinery.end(app, None)
    book_machinery.begin(app)  # after a whole build all is kept
    assert (tmp_path / "doctrees/environment.pickle").exists()
    book_machinery.begin(app)  # that one was killed
    assert [f.name for f in (tmp_path / "doctrees").iterdir()] == ["unfinished"]
    book_machinery.end(app, ValueError())
    assert (tmp_path / "doctrees/unfinished").exists()


# --- a disk that is full, a folder that is read-only


REFUSALS = {errno.ENOSPC: "No space left on device", errno.EROFS: "Read-only file system"}


@pytest.fixture(params=REFUSALS, ids=errno.errorcode.get)
def refused(request, monkeypatch):
    """Every file that the helper writes is refused by the disk."""

    def replace(_, path):
        raise OSError(request.param, os.strerror(request.param), str(path))

    monkeypatch.setattr(_files.os, "replace", replace)
    return REFUSALS[request.param]


def test_what_the_disk_refuses_leaves_the_old_file_and_no_half(tmp_path, refused):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match=refused):
        _files.write(path, "new")
    assert files(tmp_path, "*") == {"file": b"old"}


@pytest.mark.parametrize("main", [notebooks.main, course.main])
def test_a_command_says_in_a_line_what_the_disk_refuses(refused, monkeypatch, tmp_path, main):
    monkeypatch.setattr(sys, "argv", ["command"])
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "chapters", list)
    monkeypatch.setattr(course, "KEYS", tmp_path / "keys.json")
    monkeypatch.setattr(course.assignments, "TEXTS", tmp_path)
    monkeypatch.setattr(course, "figure_products", lambda: course.keep({}))
    line = chapters.in_a_line(main)
    assert refused in line
    assert "cannot be written" in line
    assert "goes on from there" in line
    assert "\n" not in line


def test_other_errors_are_errors():
    def main():
        raise FileNotFoundError(errno.ENOENT, "No such file", "x")

    with pytest.raises(FileNotFoundError):
        chapters.in_a_line(main)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["full", "read-only"])
def test_a_real_disk_that_refuses(tmp_path, place):
    """A file system of its own under ``_build``, where this machine lets one be mounted."""
    folder = small_book(tmp_path / "book", "a")
    (folder / "_build").mkdir()
    options = "size=4k" if place == "full" else "ro"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder / "_build")]
    able = shutil.which("mount") and os.geteuid() == 0
    if not able or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        done = finish(folder, "book/_ext/notebooks.py")
    finally:
        subprocess.run(["umount", str(folder / "_build")], check=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert REFUSALS[errno.ENOSPC if place == "full" else errno.EROFS] in line


# --- files that are damaged


@pytest.mark.parametrize("damage", ["half", "empty", "no notebook", "a byte that is no text"])
def test_a_damaged_twin_is_named_and_stale(tmp_path, capsys, damage):
    source = tmp_path / "book/part/a.md"
    small_book(tmp_path, "a")
    notebook = {
        "cells": [{"cell_type": "markdown"}],
        "metadata": {"twolayer": chapters.key(source, tmp_path)},
    }
    twin, content = chapters.twin(source), json.dumps(notebook).encode()
    twin.write_bytes(content)
    assert chapters.current(source, tmp_path) == twin
    bad = {"half": content[: len(content) // 2], "empty": b"", "no notebook": b"[]"}
    twin.write_bytes(bad.get(damage, content[:9] + b"\xff" + content[10:]))
    chapters._say.cache_clear()
    assert chapters.current(source, tmp_path) is None
    assert len(chapters.stale(tmp_path)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{twin}: damaged, no whole notebook; `make notebooks` runs the chapter again"


def test_damaged_keys_are_no_keys(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(course, "KEYS", tmp_path / "keys.json")
    course.keep({"a": "b"})
    assert course.known() == {"a": "b"}
    course.KEYS.write_text('{"a": ')
    assert course.known() == {}
    assert "keys.json: damaged, so that all is made again" in capsys.readouterr().out
    assert book_machinery._known(course.KEYS) == {}


@pytest.mark.parametrize("damage", ["cut", "a digit", "a line twice", "a byte that is no text"])
def test_a_damaged_table_is_named_with_what_mends_it(tmp_path, damage):
    path = tmp_path / "large.csv"
    store(path, {"d": [16, 32], "error": [0.5, 0.25]}, command="papermill a.ipynb", seconds=1)
    assert load(path).error.tolist() == [0.5, 0.25]
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-6],
            "a digit": content.replace(b"0.25", b"0.26"),
            "a line twice": content + b"32,0.25\n",
        }.get(damage, content.replace(b"0.25", b"0.2\xff"))
    )
    with pytest.raises(ValueError, match=r"large.csv' is damaged: .* make it: papermill a.ipynb$"):
        load(path)


def test_the_stored_tables_are_whole():
    tables = sorted((pathlib.Path(ROOT) / "lib/twolayer/lab/tables").glob("*.csv"))
    assert len(tables) > 5
    assert all(len(load(table)) for table in tables)
