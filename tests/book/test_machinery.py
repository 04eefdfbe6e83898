"""The extension, the Makefile and the set-up cell."""

import importlib.util
import os
import shutil
import subprocess
import types

import altair as alt
import book_machinery
import pytest

from .conftest import CHAPTERS, ROOT, name, source


def make(*arguments, **environment):
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | environment,
    )


def test_repository_buttons_come_from_the_environment(monkeypatch):
    config = types.SimpleNamespace(html_theme_options={}, ogp_site_url="x")
    monkeypatch.delenv("BOOK_REPOSITORY", raising=False)
    book_machinery.buttons(config)
    assert config.html_theme_options == {}
    monkeypatch.setenv("BOOK_REPOSITORY", "https://example.org/some/book/")
    book_machinery.buttons(config)
    options = config.html_theme_options
    assert options["repository_url"] == "https://example.org/some/book"
    assert options["use_edit_page_button"]
    assert options["use_issues_button"]


@pytest.mark.built
def test_pages_without_an_address_have_no_buttons(html):
    if os.environ.get("BOOK_REPOSITORY"):
        pytest.skip("built with BOOK_REPOSITORY")
    page = (html / "book/first_step/one_step.html").read_text("utf-8")
    for word in ("mybinder", "colab.research", "Suggest edit", "Open issue"):
        assert word not in page


def test_make_help_lists_every_target():
    out = make("help").stdout
    for target in [
        "book",
        "export",
        "lab",
        "check",
        "test",
        "notebooks",
        "serve",
        "pdf",
        "release",
        "scorecard",
        "bench",
        "lint",
        "clean",
    ]:
        assert f"make {target} " in out


@pytest.mark.parametrize("python", ["missing", "old"])
def test_a_missing_or_old_python_gets_one_line(tmp_path, python):
    for file in ("Makefile", "requirements.txt", "requirements-cluster.txt", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    fake = tmp_path / "python-old"
    if python == "old":
        fake.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.1" || exit 1\n')
        fake.chmod(0o755)
    done = make("-C", str(tmp_path), "book", f"PYTHON={fake}")
    assert done.returncode != 0
    (line,) = [v for v in done.stdout.splitlines() if "Python >= 3.11 is needed" in v]
    assert ("was not found" in line) == (python == "missing")
    assert ("is 3.9.1" in line) == (python == "old")


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
@pytest.mark.parametrize("case", ["installed", "repository", "colab", "unknown"])
def test_setup_cell_installs_when_and_only_when_the_library_is_missing(path, case, monkeypatch):
    cell = next(c for c in source(path).cells if c.cell_type == "code").source
    calls, moves = [], []
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    monkeypatch.setattr(os, "chdir", moves.append)
    for variable in ("BOOK_REPOSITORY", "COLAB_JUPYTER_IP", "KMP_TARGET_PORT"):
        monkeypatch.delenv(variable, raising=False)
    if case != "installed":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    if case == "repository":
        monkeypatch.setenv("BOOK_REPOSITORY", "https://example.org/a/b")
    if case == "colab":
        import io
        import urllib.request

        monkeypatch.setenv("COLAB_JUPYTER_IP", "127.0.0.1")
        monkeypatch.setenv("KMP_TARGET_PORT", "9")
        answer = b'[{"path": "fileId=https%3A%2F%2Fgithub.com%2Fa%2Fb%2Fblob%2Fmain%2Fx.ipynb"}]'
        monkeypatch.setattr(urllib.request, "urlopen", lambda address: io.BytesIO(answer))
    if case == "unknown":
        with pytest.raises(SystemExit, match="set BOOK_REPOSITORY"):
            exec(cell, {})
    else:
        exec(cell, {})
    want = {"repository": "git+https://example.org/a/b", "colab": "git+https://github.com/a/b"}
    installs = [command[-1] for command in calls if "pip" in command]
    assert installs == [want[c] for c in [case] if c in want]
    clones = [command for command in calls if "clone" in command]
    stored = path.with_suffix(".csv").exists()  # a chapter that reads a table needs its folder too
    assert len(clones) == len(moves) == (len(installs) if stored else 0)
    if clones:
        assert f"git+{clones[0][-2]}" == installs[0]
        assert moves[0].endswith(f"book/{path.parent.name}")


def test_vendored_bundles_are_the_versions_that_altair_asks_for():
    text = (ROOT / "book/_static/vega/versions.js").read_text()
    for bundle, version in [
        ("vega", alt.VEGA_VERSION),
        ("vegalite", alt.VEGALITE_VERSION),
        ("vegaembed", alt.VEGAEMBED_VERSION),
    ]:
        assert f'{bundle}_version: "{version}"' in text
