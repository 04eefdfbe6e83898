"""The page 'Add your own': every block runs as it stands, and is short."""

import re
import subprocess
import sys

import pytest

from .conftest import BOOK

BLOCKS = re.findall(
    r"^## ([^\n]+)\n.*?^```python\n(.*?)^```",
    (BOOK / "add_your_own.md").read_text("utf-8"),
    re.M | re.S,
)


def test_there_are_four():
    assert [title for title, _ in BLOCKS] == [
        "A link",
        "An activation",
        "A data distribution",
        "A law with its simulation",
    ]


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_block_runs(title, code, tmp_path):
    assert len(code.splitlines()) < 40
    (tmp_path / "own.py").write_text(code, "utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", "own.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    if title == "An activation":
        assert "activation='softsign'" in run.stdout
        assert float(run.stdout.splitlines()[-1]) > 0.95
    if title == "A data distribution":
        assert float(run.stdout) > 0.8
