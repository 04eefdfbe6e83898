"""Every chapter has its ten parts, and each part what it must hold."""

import os
import re
import subprocess

import pytest

from twolayer.lab.sweep import load

from .conftest import BOOK, CHAPTERS, PAGES, ROOT, name, source

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=name)
PARTS = (
    "The setting",
    "The theory",
    "The experiment",
    "Controls that must fail",
    "Try it yourself",
    "Exercises",
    "What we verified",
    "Provenance and limits",
)


def prose(path):
    return "\n\n".join(c.source for c in source(path).cells if c.cell_type == "markdown")


def code(path, *, tag=None):
    cells = [c for c in source(path).cells if c.cell_type == "code"]
    return [c for c in cells if tag is None or tag in c.metadata.get("tags", ())]


@chapters
def test_ten_parts_in_order(path):
    headings = re.findall(r"^## (.+)$", prose(path), re.M)
    places = [headings.index(part) for part in PARTS]
    assert places == sorted(places)
    cells = source(path).cells
    first = next(i for i, c in enumerate(cells) if c.source.startswith("## "))
    opening = cells[:first]
    assert any("figure" in c.metadata.get("mystnb", {}) for c in opening), "a picture first"
    need = "\n".join(c.source for c in opening if c.cell_type == "markdown")
    for word in ("What you will do, learn and need", "minutes to read", "to run", "Level:"):
        assert word in need


@chapters
def test_parameters_cell_comes_first(path):
    (parameters,) = code(path, tag="parameters")
    assert code(path)[0] is parameters
    assert re.search(r"^SEEDS = \d+", parameters.source, re.M)
    assert "papermill" in parameters.source


@chapters
def test_every_figure_has_a_caption_and_alt_text(path):
    for cell in code(path):
        if "plt.subplots" in cell.source:
            assert cell.metadata["mystnb"]["figure"]["caption"].endswith(".")
            assert len(cell.metadata["mystnb"]["image"]["alt"]) > 60


@chapters
def test_exercises(path):
    text = prose(path)
    labels = re.findall(r"^:::\{exercise-start\}[^\n]*\n:label: (\S+)", text, re.M)
    solved = re.findall(r"^:::\{solution-start\} (\S+)\n:class: dropdown", text, re.M)
    assert labels == solved
    assert len(labels) >= 5
    statements = re.findall(r"\{exercise-start\}.*?\n:::\n(.*?)\{exercise-end\}", text, re.S)
    kinds = {statement.split(",")[0].strip().strip("*").lower() for statement in statements}
    assert {"computation", "derivation", "experiment", "open-ended"} <= kinds
    for statement in statements:
        assert re.search(r"\d+ minutes|research", statement)
    checks = [c for c in code(path) if "\n    return ...\n" in c.source]
    assert len(checks) >= 4
    for cell in checks:
        answer = re.search(r"def (\w+)", cell.source)[1]
        users = [
            c for c in code(path) if re.search(rf"(?<!\.)\b{answer}\(", c.source) and c is not cell
        ]
        assert not users, f"a later cell depends on {answer}"
        assert f"check({answer}," in cell.source
        assert any(f"check({answer}_solution," in c.source for c in code(path))


@chapters
def test_claim_table_and_size(path):
    assert any("claims.verify()" in c.source for c in code(path))
    shown = [c for c in code(path) if set(c.metadata.get("tags", ())) <= {"nbval-check-output"}]
    lines = sum(len([line for line in c.source.splitlines() if line.strip()]) for c in shown)
    assert lines <= 290
    assert 2000 <= len(prose(path).split()) <= 5500
    assert len(re.findall(r"^\$\$ \((eq-\S+)\)$", prose(path), re.M)) >= 10
    assert any("explorer.explore" in c.source for c in code(path)), "an interactive figure"
    assert code(path, tag="nbval-check-output"), "headline numbers compared"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_between_files_resolve(path):
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(((?!https?:|#)[^)\s]+)\)", text):
        place = path.parent / target.split("#")[0]
        assert place.exists() or place.with_suffix(".md").exists(), target
    for target in re.findall(r"\{doc\}`([^`<]+)`", text):
        assert (path.parent / f"{target}.md").exists(), target


def test_every_page_is_in_the_contents_and_every_reference_is_used():
    toc = (ROOT / "_toc.yml").read_text()
    assert all(f"book/{name(path)}" in toc for path in PAGES)
    keys = re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text("utf-8"), re.M)
    text = "".join(path.read_text("utf-8") for path in PAGES)
    cited = {
        key for group in re.findall(r"\{cite:?\w*\}`([^`]+)`", text) for key in group.split(",")
    }
    assert cited == set(keys)


def test_the_map_shows_what_each_chapter_says_it_needs():
    """Arrows of the introduction's map: the chapters that the paragraphs "Need" refer to."""
    said, boxes = set(), set()
    for path in CHAPTERS:
        boxes.add(name(path))
        (need,) = re.findall(r"^\*\*Need[.:]\*\*.+$", prose(path), re.M)
        pattern = r"(?:\{doc\}`([^`]+)`|\]\(([\w/.]+)\.md\))(.{0,6})"
        for doc, link, after in re.findall(pattern, need):
            other = (path.parent / f"{doc or link}.md").resolve()
            said.add((name(other), name(path), "helps" if after == " helps" else "needs"))
    svg = (BOOK / "figures" / "map.svg").read_text("utf-8")
    drawn = re.findall(r'data-from="([^"]+)" data-to="([^"]+)" data-kind="([^"]+)"', svg)
    assert set(drawn) == said
    assert set(re.findall(r'data-chapter="([^"]+)"', svg)) == boxes


def test_stored_tables_say_how_they_were_made():
    """A large run's table lies beside its chapter, which reads it and can make it again."""
    for path in BOOK.rglob("*.csv"):
        table = load(path)
        assert len(table) > 0
        assert not table.isna().any(axis=None)
        command = path.read_text("utf-8").splitlines()[0]
        chapter = path.with_suffix(".md")
        assert f"papermill -p STORE True {path.stem}.ipynb" in command
        text = chapter.read_text("utf-8")
        assert f'"{path.name}"' in text
        assert "STORE = False" in text
        assert "live against stored" in text


def test_nothing_committed_names_this_folder():
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    for file in filter(None, files):
        path = ROOT / file
        if path.suffix in {".png", ".js"} or not path.is_file():
            continue
        text = path.read_text("utf-8")
        assert f"{ROOT}{os.sep}" not in text, file
