"""The extension and the Makefile."""

import os
import shutil
import subprocess
import types

import altair as alt
import book_machinery
import pytest

from .conftest import ROOT


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
        "dist",
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


def test_vendored_bundles_are_the_versions_that_altair_asks_for():
    text = (ROOT / "book/_static/vega/versions.js").read_text()
    for bundle, version in [
        ("vega", alt.VEGA_VERSION),
        ("vegalite", alt.VEGALITE_VERSION),
        ("vegaembed", alt.VEGAEMBED_VERSION),
    ]:
        assert f'{bundle}_version: "{version}"' in text
