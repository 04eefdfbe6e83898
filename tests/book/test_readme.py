"""The README's code runs and says what it says."""

import re

from .conftest import ROOT


def test_the_example_beats_the_best_linear_predictor(capsys):
    text = (ROOT / "README.md").read_text("utf-8")
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], {})
    assert float(capsys.readouterr().out) < 0.363


def test_the_sweep_agrees_with_its_theory(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TWOLAYER_CACHE", str(tmp_path))
    text = (ROOT / "README.md").read_text("utf-8")
    exec(re.findall(r"```python\n(.*?)```", text, re.S)[1], {})
    for line in capsys.readouterr().out.splitlines():
        mean, error, theory = map(float, re.findall(r"0\.\d+", line))
        assert abs(mean - theory) < 4 * error


def test_links_resolve():
    text = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\(((?!https?:)[^)]+)\)", text):
        file, _, anchor = target.partition("#")
        place = ROOT / (file or "README.md")
        assert place.exists(), target
        titles = re.findall(r"^##+ (.+)$", place.read_text("utf-8"), re.M) if anchor else [""]
        anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
        assert anchor in anchors, target


def test_the_estimator_beats_the_kernel(capsys):
    text = (ROOT / "README.md").read_text("utf-8")
    exec(re.findall(r"```python\n(.*?)```", text, re.S)[2], {})
    network, kernel = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines())
    assert network > kernel + 0.03
