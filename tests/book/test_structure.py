"""Every page of a chapter has its parts, and each part what it must hold."""

import os
import re
import subprocess

import jupytext
import pytest

from twolayer.lab.sweep import load

from .conftest import AROUND, BOOK, CHAPTERS, COURSE, PAGES, PRIMERS, ROOT, name, source


def marks(paths):
    return pytest.mark.parametrize("path", paths, ids=name)


IN_DEPTH = [path for path in CHAPTERS if path.stem.endswith("_in_depth")]
TUTORIALS = [path.with_name(path.name.replace("_in_depth", "")) for path in IN_DEPTH]
chapters = marks(IN_DEPTH + TUTORIALS)
tutorials, in_depth, primers = map(marks, (TUTORIALS, IN_DEPTH, PRIMERS))
TUTORIAL = (
    "In two minutes",
    "By hand",
    "The mechanism",
    "The experiment",
    "Predict, then run",
    "What surprised us",
    "Try it yourself",
    "Exercises",
    "What we checked",
)


def prose(path):
    return "\n\n".join(c.source for c in source(path).cells if c.cell_type == "markdown")


def code(path, *, tag=None):
    cells = [c for c in source(path).cells if c.cell_type == "code"]
    return [c for c in cells if tag is None or tag in c.metadata.get("tags", ())]


def lines(cell):
    return len([line for line in cell.source.splitlines() if line.strip()])


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", ())


def figure(cell):
    return "figure" in cell.metadata.get("mystnb", {})


def headings(path):
    return re.findall(r"^## (.+)$", prose(path), re.M)


def words(path):
    """Words of the prose; a formula in a line is one, displayed ones and solutions are none."""
    text = re.sub(r":::\{solution-start\}.*?\{solution-end\}", "", prose(path), flags=re.S)
    text = re.sub(r"\$\$.*?\$\$(?: \(eq-\S+\))?", " ", text, flags=re.S)
    text = re.sub(r"\$[^$]+\$", "x", re.sub(r"^!\[.+$", "", text, flags=re.M))
    return len(re.sub(r"^(?::::|:label|:class|---).*$", "", text, flags=re.M).split())


def taken_by_exercises(path):
    """Code cells of exercises: the starters with their checks, and the solutions."""
    cells, inside = [], False
    for cell in source(path).cells:
        if cell.cell_type == "markdown":
            last = re.findall(
                r"^(:::\{exercise-end\}|:::\{solution-end\}|## .+)$", cell.source, re.M
            )
            inside = (last[-1] == ":::{exercise-end}") if last else inside
            inside |= "{solution-start}" in cell.source.rpartition("{solution-end}")[2]
        elif inside:
            cells.append(cell)
    return cells


def cpu_seconds(path):
    """What the page took when its twin was executed; the runner leaves it out of a resumed run."""
    return jupytext.read(path.with_suffix(".ipynb")).metadata["cpu_seconds"]


@marks(PAGES)
def test_a_page_has_one_title(path):
    """The first is what the contents and the browser's tab show."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
    assert len(re.findall(r"^# ", text, re.M)) == 1


def test_every_chapter_is_a_pair_or_a_primer():
    assert set(CHAPTERS) == {*IN_DEPTH, *TUTORIALS, *PRIMERS, *AROUND}
    assert BOOK / "first_step" / "one_step.md" in TUTORIALS, "the model pair"


@tutorials
def test_tutorial_has_its_parts_in_order(path):
    assert tuple(headings(path)) == TUTORIAL
    opening = source(path).cells[0].source
    assert re.findall(r"\*\*[^*]{60,}\*\*", opening.partition("![")[0]), "one sentence in bold"
    (picture,) = re.findall(r"^!\[([^\]]+)\]\(\.\./figures/(\w+)\.png\)$", opening, re.M)
    assert len(picture[0]) > 60
    assert picture[1] == path.stem
    assert "## By hand" in opening, "no code before the picture and its story"
    for word in ("**Time.**", "**Level:**", "**Need.**", "**Where we are.**", "lazy", "rich"):
        assert word in opening
    assert f"{{doc}}`{path.stem}_in_depth`" in source(path).cells[-1].source


@marks(TUTORIALS + PRIMERS)
def test_the_picture_is_the_output_of_its_cell(path):
    import chapters

    assert len(code(path, tag="hero")) == 1
    image = chapters.hero(jupytext.read(path.with_suffix(".ipynb")))
    assert (BOOK / "figures" / f"{path.stem}.png").read_bytes() == image


@tutorials
def test_tutorial_can_be_read_in_one_sitting(path):
    assert 1200 <= words(path) <= 1800
    assert prose(path).count("$$") // 2 <= 8
    assert sum(map(figure, code(path))) <= 4
    assert sum("explorer.explore" in cell.source for cell in code(path)) == 1
    assert cpu_seconds(path) < 12


@tutorials
def test_tutorial_shows_its_code(path):
    exercises = taken_by_exercises(path)
    cells = [cell for cell in code(path) if cell not in exercises]
    shown = [cell for cell in cells if not tagged(cell, "hide-input")]
    assert sum(map(lines, shown)) <= 150
    assert max(map(lines, shown)) <= 15
    by_hand = shown[0]
    assert lines(by_hand) <= 14, "an import, twelve lines of NumPy, and what they print"
    assert "twolayer" not in by_hand.source
    hidden = [cell for cell in cells if tagged(cell, "hide-input")]
    for cell in hidden:
        if "claims.verify()" not in cell.source:
            assert figure(cell) or "explorer.explore" in cell.source, cell.source
            assert lines(cell) <= (10 if figure(cell) else 15), cell.source
    assert any("assert np.allclose" in cell.source for cell in shown), "the idea is the library's"


@tutorials
def test_tutorial_has_four_exercises(path):
    levels = re.findall(r"^\*(\w[\w-]*), (\w+), ", prose(path), re.M)
    assert len(levels) == 4
    assert levels[0] == ("Computation", "easy")
    assert levels[-1][1] in ("hard", "research")
    assert "redict first" in prose(path)


@primers
def test_primer_is_short_and_shows_its_code(path):
    assert words(path) <= 1300
    assert len(code(path, tag="hero")) == 1
    shown = [cell for cell in code(path) if not tagged(cell, "hide-input")]
    assert sum(map(lines, shown)) <= 80
    assert max(map(lines, shown)) <= 20
    assert code(path, tag="nbval-check-output")
    assert cpu_seconds(path) < 5


@marks([BOOK / "is_your_network_lazy.md"])
def test_guide_has_a_short_recipe_its_size_and_its_claims(path):
    assert headings(path)[0] == "The recipe"
    assert headings(path)[-2:] == ["What we checked", "Provenance and limits"]
    assert words(path) <= 1800
    shown = [cell for cell in code(path) if not tagged(cell, "hide-input")]
    assert lines(shown[1]) <= 20, "the recipe, after the sizes"
    assert sum(map(lines, code(path))) <= 250
    assert max(map(lines, code(path))) <= 25
    assert cpu_seconds(path) < 40
    for check in (
        test_one_cell_holds_the_sizes,
        test_every_figure_has_a_caption_and_alt_text,
        test_claim_table_and_compared_numbers,
    ):
        check(path)


@in_depth
def test_in_depth_page_has_its_size(path):
    assert headings(path)[-3:] == ["Exercises", "What we checked", "Provenance and limits"]
    assert words(path) <= 3000
    assert sum(map(lines, code(path))) <= 400
    assert max(map(lines, code(path))) <= 25
    assert cpu_seconds(path) < 40


@in_depth
def test_a_chapter_is_followed_by_what_is_behind_it(path):
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    chapter = name(path).removesuffix("_in_depth")
    want = rf"- file: book/{chapter}\n\s+sections:\n\s+- file: book/{name(path)}\n"
    assert re.search(want, toc)


@marks(AROUND)
def test_a_page_around_the_book_has_its_size_and_its_checks(path):
    assert words(path) <= 2000
    assert max(map(lines, code(path))) <= 32
    assert sum("claims.verify()" in cell.source for cell in code(path)) == 1
    assert cpu_seconds(path) < 40


@marks(IN_DEPTH + TUTORIALS + PRIMERS)
def test_checks_have_several_cases(path):
    for cell in code(path):
        if "\n    return ...\n" in cell.source:
            assert re.search(r"check\(\w+, (cases|\[\(.+\), \(.+\)\]), ", cell.source), cell.source


@marks(CHAPTERS)
def test_figures_are_no_wider_than_the_page(path):
    """So that their text, of 9.5 points and more, is shown at its own size."""
    for cell in code(path):
        for width in re.findall(r"figsize=\(([\d.]+),", cell.source):
            assert float(width) <= 7.4


@marks(CHAPTERS)
def test_lines_of_code_fit_the_page(path):
    for cell in code(path):
        assert max(map(len, cell.source.splitlines())) <= 78, cell.source


@marks(IN_DEPTH + TUTORIALS + AROUND)
def test_one_cell_holds_the_sizes(path):
    (parameters,) = code(path, tag="parameters")
    if path not in TUTORIALS:
        assert code(path)[0] is parameters
    assert re.search(r"^SEEDS = \d+", parameters.source, re.M)
    assert "papermill" in parameters.source


@marks(IN_DEPTH + TUTORIALS + AROUND)
def test_every_figure_has_a_caption_and_alt_text(path):
    for cell in code(path):
        if "plt.subplots" in cell.source and not tagged(cell, "hero"):
            assert cell.metadata["mystnb"]["figure"]["caption"].endswith(".")
            assert len(cell.metadata["mystnb"]["image"]["alt"]) > 60


@chapters
def test_exercises(path):
    text = prose(path)
    labels = re.findall(r"^:::\{exercise-start\}[^\n]*\n:label: (\S+)", text, re.M)
    solved = re.findall(r"^:::\{solution-start\} (\S+)\n:class: dropdown", text, re.M)
    assert labels == solved
    assert len(labels) >= 3
    statements = re.findall(r"\{exercise-start\}.*?\n:::\n(.*?)\{exercise-end\}", text, re.S)
    kinds = {statement.split(",")[0].strip().strip("*").lower() for statement in statements}
    if path not in IN_DEPTH:
        assert {"computation", "derivation", "experiment", "open-ended"} <= kinds
    for statement in statements:
        assert re.search(r"\d+ minutes|research", statement)
    checks = [c for c in code(path) if "\n    return ...\n" in c.source]
    assert len(checks) >= 2
    for cell in checks:
        answer = re.search(r"def (\w+)", cell.source)[1]
        users = [
            c for c in code(path) if re.search(rf"(?<!\.)\b{answer}\(", c.source) and c is not cell
        ]
        assert not users, f"a later cell depends on {answer}"
        assert f"check({answer}," in cell.source
        assert any(f"check({answer}_solution," in c.source for c in code(path))


@chapters
def test_claim_table_and_compared_numbers(path):
    assert any("claims.verify()" in c.source for c in code(path))
    assert code(path, tag="nbval-check-output"), "headline numbers compared"


@pytest.mark.parametrize("path", PAGES + COURSE, ids=name)
def test_links_between_files_resolve(path):
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(((?!https?:|#)[^)\s]+)\)", text):
        place = path.parent / target.split("#")[0]
        assert place.exists() or place.with_suffix(".md").exists(), target
    for target in re.findall(r"\{doc\}`([^`<]+)`", text):
        folder = ROOT if target.startswith("/") else path.parent
        assert (folder / f"{target.removeprefix('/')}.md").exists(), target


def test_mathematics_needs_no_extension_that_is_not_shipped():
    """MathJax would fetch it; where it can't, no formula of the page is typeset."""
    script = (BOOK / "_static" / "mathjax" / "tex-svg.js").read_text("utf-8")
    (listed,) = re.findall(r"expandable\)\(\{(action:.*?)\}\)\}", script)
    fetched = set(re.findall(r'"(\w+)"', listed))
    assert {"boldsymbol", "cancel", "color"} <= fetched
    for path in [*PAGES, *COURSE, *(ROOT / "course").rglob("*.yml"), BOOK / "notation.yml"]:
        formulas = re.findall(r"\$\$.*?\$\$|\$[^$\n]+\$", path.read_text("utf-8"), re.S)
        used = set(re.findall(r"\\([A-Za-z]+)", " ".join(formulas)))
        assert not used & fetched, path


def test_every_page_is_in_the_contents_and_every_reference_is_used():
    toc = (ROOT / "_toc.yml").read_text()
    assert all(f"book/{name(path)}" in toc for path in PAGES)
    keys = re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text("utf-8"), re.M)
    text = "".join(path.read_text("utf-8") for path in PAGES + COURSE)
    cited = {
        key for group in re.findall(r"\{cite:?\w*\}`([^`]+)`", text) for key in group.split(",")
    }
    assert cited == set(keys)


def test_the_map_shows_what_each_chapter_says_it_needs():
    """Arrows of the introduction's map: the chapters that the paragraphs "Need" refer to."""
    said, boxes = set(), set()
    for path in PRIMERS + TUTORIALS:
        boxes.add(name(path))
        (need,) = re.findall(r"^\*\*Need[.:]\*\*.+$", prose(path), re.M)
        pattern = r"(?:\{doc\}`([^`]+)`|\]\(([\w/.]+)\.md\))(?=(.{0,6}))"
        for doc, link, after in re.findall(pattern, need):
            other = (path.parent / f"{doc or link}.md").resolve()
            said.add((name(other), name(path), "helps" if after == " helps" else "needs"))
    svg = (BOOK / "figures" / "map.svg").read_text("utf-8")
    drawn = re.findall(r'data-from="([^"]+)" data-to="([^"]+)" data-kind="([^"]+)"', svg)
    assert set(drawn) == said
    assert set(re.findall(r'data-chapter="([^"]+)"', svg)) == boxes


def test_stored_tables_say_how_they_were_made():
    """A large run's table comes with the library; its chapter reads it and can make it again."""
    for path in (ROOT / "lib/twolayer/lab/tables").iterdir():
        table = load(path)
        assert len(table) > 0
        assert not table.isna().any(axis=None)
        command = path.read_text("utf-8").splitlines()[0]
        if command.startswith("# command: none; facts that others published"):
            assert {"repository", "file", "commit"} <= set(table)
            assert f'"{path.stem}"' in (BOOK / f"{path.stem}.md").read_text("utf-8")
            continue
        (page,) = re.findall(r"papermill -p STORE True (\w+)\.ipynb", command)
        assert page.removesuffix("_in_depth") == path.stem
        (chapter,) = BOOK.rglob(f"{page}.md")
        text = chapter.read_text("utf-8")
        assert f'"{path.stem}"' in text
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
