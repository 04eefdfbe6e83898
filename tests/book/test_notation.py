"""The symbols: one meaning a chapter, names that exist, tables that can be read."""

import ast
import collections
import re
import types

import notation
import pytest
from chapters import code

from .conftest import AROUND, BOOK, CHAPTERS, PAGES, ROOT, name

IN_PARTS = [path for path in CHAPTERS if path not in AROUND]
NAMES = [name(path).removesuffix("_in_depth") for path in IN_PARTS]
FIRST = (
    "foundations/kernel_primer",
    "foundations/lazy_and_rich",
    "foundations/what_kernels_miss",
    "foundations/the_first_escape",
    "first_step/one_step",
    "first_step/exact_curves",
    "first_step/higher_spikes",
    "first_step/second_step",
    "first_step/mixtures",
)
REPRESENTATIONS = (
    "representations/learning_directions",
    "representations/transfer",
    "representations/gradient_features",
    "representations/lottery_tickets",
)
END = (
    "end_of_training/recovering_the_teacher",
    "end_of_training/repopulation",
    "end_of_training/beyond_the_tangent_kernel",
)
LIMITS = (
    "limits/looking_twice",
    "limits/one_neuron_one_feature",
)
DEPTH = (
    "depth/three_layers",
    "depth/backward_correction",
)
# Letters that a page in depth, or a part of the book, uses for something of its own
LOCAL = set("zcupDCN") | {"\\chi"}
OF_A_PART = set("UrHsbRS") | {
    "\\Gamma",
    "\\delta",
    "\\kappa_1",
    "\\omega",
    "\\upsilon",
    "\\varpi",
    "\\xi_i",
}

# Letters of the papers on the end of training that mean something else before: decay and
# temperature are not added to sums of squares, p and nu are measures, q(w) is no longer at f = 0
OF_THE_END = {"\\lambda", "\\rho", "J", "\\Sigma", "\\nu", "t", "q(w)", "e_i", "\\bar f"}

# Letters of the papers on message passing and on sums of features
OF_THE_LIMITS = {"M", "T(y)", "X'", "X_\\perp", "\\alpha", "\\beta", "\\tau", "w'", "z'", "z_i"}

# Letters of features that are quadratic forms; a page in depth has some for itself
IN_DEPTH = set("rGsTQ") | {"\\mathcal E"}
OF_DEPTH = set("AFJKMPVfght") | {"T(y)", "Y_j", "\\alpha", "\\beta", "b_j", "z_0"}


def library():
    """Names that the library gives, members also as Class.member."""
    found = set()
    for path in (ROOT / "lib" / "twolayer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            if isinstance(node, ast.ClassDef):
                fields = [v.target.id for v in node.body if isinstance(v, ast.AnnAssign)]
                methods = [v.name for v in node.body if isinstance(v, ast.FunctionDef)]
                found |= {*fields, *(f"{node.name}.{member}" for member in fields + methods)}
            if isinstance(node, ast.arg):
                found.add(node.arg)
            if isinstance(node, ast.Assign):
                found |= {v.id for v in node.targets if isinstance(v, ast.Name)}
    return found


def test_scopes_are_chapters_and_each_has_its_table():
    scopes = [g["chapters"] for g in notation.groups() if g["chapters"] != "all"]
    assert {chapter for scope in scopes for chapter in scope} == set(NAMES)
    assert sorted(scope[0] for scope in scopes if len(scope) == 1) == sorted(set(NAMES))


@pytest.mark.parametrize("chapter", NAMES)
def test_no_symbol_has_two_meanings_in_a_chapter(chapter):
    count = collections.Counter(s for row in notation.of(chapter) for s in notation.symbols(row))
    assert [symbol for symbol, times in count.items() if times > 1] == []


def meanings(chapters):
    """Symbols that have more than one meaning in the chapters."""
    rows = {}
    for chapter in chapters:
        for row in notation.of(chapter):
            for symbol in notation.symbols(row):
                rows.setdefault(symbol, set()).add(row["meaning"])
    return {symbol for symbol, found in rows.items() if len(found) > 1}


def test_first_chapters_share_one_notation():
    """From the primer to the exact curve a symbol is the same thing wherever it stands."""
    assert meanings(FIRST) == set()


def test_chapters_on_representations_share_one_notation():
    """Among themselves, and with the first chapters, but for the letters that are listed."""
    assert meanings(REPRESENTATIONS) <= LOCAL
    assert meanings(FIRST + REPRESENTATIONS) <= LOCAL | OF_A_PART


def test_chapters_on_the_end_of_training_share_one_notation():
    """Among themselves without exception; with all others but for the letters that are listed."""
    assert meanings(END) == set()
    assert meanings(FIRST + REPRESENTATIONS + END) <= LOCAL | OF_A_PART | OF_THE_END


def test_chapters_near_the_limit_share_one_notation():
    """Among themselves without exception; with the first chapters but for the listed letters."""
    assert meanings(LIMITS) == set()
    assert meanings(FIRST + LIMITS) <= LOCAL | OF_A_PART | OF_THE_LIMITS


def test_chapters_on_depth_share_one_notation():
    """Among themselves, and with the first chapters, but for the letters that are listed."""
    assert meanings(DEPTH) <= IN_DEPTH
    assert meanings(FIRST + DEPTH) <= LOCAL | OF_A_PART | IN_DEPTH | OF_DEPTH


def test_names_in_code_exist():
    known, missing = library(), []
    cells = {c: "\n".join(code(BOOK / f"{c}.md")) for c in NAMES}
    for group in notation.groups():
        for row in group["symbols"]:
            for word in filter(None, re.split(", ", row.get("code", ""))):
                scope = NAMES if group["chapters"] == "all" else group["chapters"]
                text = "\n".join(cells[chapter] for chapter in scope)
                if word not in known and not re.search(rf"\b{word}\b", text):
                    missing.append((row["symbol"], word))
    assert missing == []


def test_every_row_and_every_paper_is_on_the_page():
    page = notation.whole()
    for group in notation.groups():
        for row in group["symbols"]:
            assert f"| {row['symbol']} | {row['meaning']} |" in page
            assert set(row) <= {"symbol", "code", "meaning", "ba2022", "cui2024", "damian2022"}
    for paper in ("ba2022", "cui2024", "damian2022"):
        theirs = {row[paper] for g in notation.groups() for row in g["symbols"] if paper in row}
        chapters = [g["chapters"] for g in notation.groups() if paper in g.get("papers", ())]
        shown = [
            r for c in chapters for r in (notation.common() if c == "all" else notation.of(*c))
        ]
        assert theirs <= {row.get(paper) for row in shown}


def test_no_meaning_points_elsewhere():
    for path in [notation.SOURCE, *PAGES]:
        if path.stem == "notation":
            assert not re.search(r"\bthere: ", path.read_text("utf-8")), path


def test_the_pages_of_a_pair_share_a_table_at_the_end_of_the_setting_or_of_the_page():
    app = types.SimpleNamespace(env=types.SimpleNamespace(note_dependency=lambda file: None))
    table = notation.folded(notation.of("first_step/one_step"))
    pages = {
        "one_step": "# A\n\n## The setting\n\nWords.\n\n(next)=\n## The theory\n",
        "one_step_in_depth": "# A\n\n## Another\n\nWords.\n",
    }
    for page, text in pages.items():
        source = [text]
        notation.place(app, f"book/first_step/{page}", source)
        assert table in source[0]
        assert source[0].index("Words.") < source[0].index(table)
        assert source[0].replace(table, "").split() == text.split()
        assert source[0].find("(next)=") in (-1, *range(source[0].index(table), len(source[0])))
    other = ["# B\n"]
    notation.place(app, "book/glossary", other)
    assert other == ["# B\n"]


@pytest.mark.built
@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 1366])
def test_tables_fit_and_meanings_are_visible(chromium, site, width):
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.goto(f"{site}/book/notation.html")
    page.wait_for_function("document.querySelectorAll('mjx-container').length > 200")
    boxes = page.locator(".notation table").evaluate_all(
        "all => all.map(t => [t.scrollWidth, t.closest('.notation').clientWidth])"
    )
    assert len(boxes) == len(set(NAMES)) + 1
    assert all(table <= room for table, room in boxes)
    right = page.locator(".notation tbody td:nth-child(2)").evaluate_all(
        "all => Math.max(...all.map(cell => cell.getBoundingClientRect().right))"
    )
    assert right <= width
    page.close()


@pytest.mark.built
@pytest.mark.parametrize("path", IN_PARTS, ids=name)
def test_a_chapter_shows_its_table_folded(html, path):
    text = (html / "book" / f"{name(path)}.html").read_text("utf-8")
    (classes,) = re.findall(r'<div class="([^"]*)">\n<p class="admonition-title">Notation of', text)
    assert {"dropdown", "notation"} <= set(classes.split())
