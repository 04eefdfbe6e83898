"""The workflows, as far as they can be checked without running them, and the weekly issue."""

import re
import subprocess
import sys

import nbformat
import pytest
import yaml

from .conftest import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = [f for f in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) if f.stem != "config"]
workflows = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
# jobs that may write, and what
MAY_WRITE = {
    "weekly.report": {"issues"},
    "release.publish": {"contents"},
    "release.pypi": {"id-token"},
    "pages.deploy": {"pages", "id-token"},
    "pages.notebooks": {"contents"},
}


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-issue-forms", FORMS),
        ("github-issue-config", [GITHUB / "ISSUE_TEMPLATE" / "config.yml"]),
        ("citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_files_follow_their_schemas(schema, files):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@workflows
def test_workflows_ask_for_least_privilege(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60
        writes = {what for what, how in job.get("permissions", {}).items() if how == "write"}
        assert writes == MAY_WRITE.get(f"{path.stem}.{name}", set())
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@workflows
def test_actions_are_pinned_by_commit(path):
    for line in re.findall(r"uses: (.*)", path.read_text()):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


@workflows
def test_no_workflow_needs_a_secret(path):
    """Beyond the token that each run is given; the package index trusts the workflow itself."""
    assert not re.search(r"\bsecrets\b|password:", path.read_text())


@workflows
def test_scripts_take_nothing_from_outside_as_code(path):
    """Names of branches, tags and issues reach a script through its environment."""
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for step in job["steps"]:
            assert "${{ github." not in step.get("run", "")


CELL = """from twolayer.lab.claims import Claims
claims = Claims()
claims.add("the slope", "theory", {predicted}, 1.0, slack=0.1, why="planted")
claims.verify()
"""


def notebook(path, run, now):
    """A notebook that was run with one prediction and has another now."""
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": ""}}
    )
    printing = nbformat.v4.new_code_cell(f"# NBVAL_CHECK_OUTPUT\nprint({run})")
    book.cells = [printing, nbformat.v4.new_code_cell(CELL.format(predicted=run))]
    NotebookClient(book).execute()
    for cell in book.cells:
        cell.source = cell.source.replace(str(run), str(now))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)


def pytest_of(folder, *options):
    command = [sys.executable, "-m", "pytest", "-p", "tests.notebooks", "--nbval-lax"]
    command += [
        "--nbval-current-env",
        f"--rootdir={folder}",
        f"--junitxml={folder / 'a.xml'}",
        *options,
        folder,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False)


@pytest.mark.slow
def test_a_claim_that_fails_is_named_in_the_weekly_issue(tmp_path):
    notebook(tmp_path / "book" / "part" / "chapter.ipynb", 1.01, 3.5)
    assert pytest_of(tmp_path, "--holds").returncode == 1
    (tmp_path / "reports").mkdir()
    for run in ("newest", "oldest"):
        (tmp_path / "reports" / f"{run}.xml").write_bytes((tmp_path / "a.xml").read_bytes())
    (tmp_path / "reports" / "nightly.xml").touch()
    (tmp_path / "reports" / "links.txt").write_text("404 https://example.org/gone\n")
    command = [
        sys.executable,
        GITHUB / "weekly.py",
        tmp_path / "reports",
        "https://example.org/run",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    body = done.stdout
    assert "https://example.org/run" in body
    assert "### part/chapter" in body
    assert "- newest, oldest: `the slope: predicted = 3.5, measured 1" in body
    assert body.count("the slope") == 1
    assert "- nightly: `the run ended without a report`" in body
    assert "404 https://example.org/gone" in body


@pytest.mark.slow
def test_elsewhere_other_digits_are_no_fault(tmp_path):
    notebook(tmp_path / "book" / "part" / "chapter.ipynb", 1.01, 1.02)
    assert pytest_of(tmp_path, "--holds").returncode == 0
    assert pytest_of(tmp_path).returncode == 1
