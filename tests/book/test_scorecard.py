"""The scorecard: the order of its chapters, and its page in a browser."""

import re

import chapters
import pytest
import robust
import scorecard
import scorecard_page

from twolayer.lab.claims import MIME, Claims, read

from .conftest import AROUND, BOOK, CHAPTERS, PAGES, name
from .test_pages import Visit

TOC = """
root: book/intro
parts:
  - caption: Second
    chapters:
      - file: book/b/two
        sections:
          - file: book/b/two_in_depth
      - file: book/plain
  - caption: First
    chapters:
      - file: book/a/one
  - caption: Around
    chapters:
      - file: book/plain
"""


def rows(count, measured=1.0):
    table = Claims()
    for k in range(count):
        table.add(f"claim {k}", "s", 1.0, measured)
    return table._repr_mimebundle_()[MIME]["claims"]


@pytest.fixture
def contents(tmp_path, monkeypatch):
    """A book of two chapters, one with a page in depth; its sources by the alphabet."""
    (tmp_path / "_toc.yml").write_text(TOC)
    monkeypatch.setattr(scorecard, "ROOT", tmp_path)
    monkeypatch.setattr(scorecard, "CONTENTS", tmp_path / "_toc.yml")
    files = ("a/one", "b/two", "b/two_in_depth", "stray")
    return [tmp_path / f"book/{file}.md" for file in files]


def test_chapters_come_in_the_order_of_the_contents(contents):
    one, two, in_depth, stray = contents
    assert list(scorecard.parts(contents)) == [("Second", [[two, in_depth]]), ("First", [[one]])]
    assert scorecard.ordered(contents) == [two, in_depth, one, stray]


def test_a_chapter_counts_all_its_pages(monkeypatch, tmp_path):
    pages = [tmp_path / "book/p/two.md", tmp_path / "book/p/two_in_depth.md"]
    pages[0].parent.mkdir(parents=True)
    pages[0].write_text("---\nx: y\n---\n\n# Two <and> a half\n\n# not this\n")
    tables = {"a": rows(2), "b": rows(1, measured=2.0)}
    monkeypatch.setattr(scorecard_page.claims, "read", tables.get)
    monkeypatch.setattr(scorecard_page.chapters, "name", lambda page: f"p/{page.stem}")
    text, found = scorecard_page.entry(4, pages, ["a", "b"])
    assert '<a href="p/two.html">4. Two &lt;and&gt; a half</a>' in text
    assert '<a href="p/two_in_depth.html">in depth</a>' in text
    assert "<strong>3 checks, 1 does not hold</strong>" in text
    assert len(found) == text.count("<tr class=") == 3
    total = scorecard_page.total(found, 1)
    assert total == "3 checks in 1 chapter and around them: 1 does not hold."
    assert ">Two &lt;and&gt; a half</a>" in scorecard_page.entry(None, pages, ["a", "b"])[0]
    text, found = scorecard_page.entry(4, pages, ["a", None])
    assert "no current results" in text
    assert found == []


def test_fresh_roots_stand_below_their_chapter(monkeypatch, tmp_path):
    monkeypatch.setattr(robust, "TABLE", tmp_path / "robust.csv")
    monkeypatch.setattr(robust, "KEPT", tmp_path)
    monkeypatch.setattr(scorecard_page.chapters, "name", lambda page: f"p/{page.stem}")
    assert robust.stored() == ("", [])
    (tmp_path / "1.json").touch()
    lines = [("p/two", "a, <b>", "drawn", 20, 18), ("p/two", "c", "fixed", 20, 20)]
    robust.store([*lines, ("p/three", "d", "drawn", 20, 19)])
    day, found = robust.stored()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    assert found[:2] == lines
    text = scorecard_page.under_roots([tmp_path / "two.md"], found)
    assert text == (
        "<p>Under 20 fresh roots: 95.0 % of 40 runs hold.</p>"
        "<ul><li>a, &lt;b&gt;: 18 of 20</li></ul>"
    )
    assert scorecard_page.under_roots([tmp_path / "four.md"], found) == ""
    assert scorecard_page.rate(found) == "95.0 % of 60"


@pytest.mark.built
def test_the_page_shows_every_row_once_and_only_it_loads_the_filter(html):
    page = (html / "book" / "scorecard.html").read_text("utf-8")
    total = sum(len(read(chapters.twin(p))) for p in CHAPTERS)
    assert len(re.findall(r"<tr class=", page)) == total
    assert f"{total} checks in " in page
    titles = re.findall(r'class="chapter"><a href="([^"]+)\.html">(\d+)\. ', page)
    groups = [pages for _, group in scorecard.parts(CHAPTERS) for pages in group]
    groups = [pages for pages in groups if pages[0] not in AROUND]
    want = [(name(pages[0]), str(k)) for k, pages in enumerate(groups, 1)]
    assert titles == [(page, k) for page, k in want if not page.endswith("_primer")]
    assert all(f'"chapter"><a href="{name(path)}.html">' in page for path in AROUND)
    loads = [p for p in PAGES if "scorecard.js" in (html / f"book/{name(p)}.html").read_text()]
    assert loads == [BOOK / "scorecard.md"]


@pytest.fixture
def card(chromium, site, request):
    with Visit(chromium, site, "scorecard", **getattr(request, "param", {})) as visit:
        yield visit.page


browser = [pytest.mark.browser, pytest.mark.built]


class TestPage:
    pytestmark = browser

    def test_the_filter_finds_by_keyboard_and_lets_go(self, card):
        every, opened = card.locator("details.claims"), card.locator("details.claims[open]")
        assert opened.count() == 0
        card.get_by_label("Filter the checks").press_sequentially("OUTLIER tanh")
        shown = card.locator("details.claims tbody tr:visible")
        assert 0 < shown.count() < 20
        assert all("outlier" in text and "tanh" in text for text in shown.all_inner_texts())
        assert card.get_by_role("status").inner_text() == f"{shown.count()} checks"
        assert card.locator("h2:visible").count() == 1
        card.get_by_label("measured over seeds").focus()
        card.keyboard.press("Space")
        assert shown.count() == card.locator("tr.over-seeds:visible").count() > 0
        card.get_by_label("does not hold").check()
        assert shown.count() == 0
        assert card.get_by_role("status").inner_text() == "0 checks"
        for label in ("measured over seeds", "does not hold"):
            card.get_by_label(label).uncheck()
        card.get_by_label("Filter the checks").fill("")
        assert opened.count() == 0
        assert every.filter(visible=True).count() == every.count()

    def test_a_row_opens_by_keyboard_to_its_checks(self, card):
        card.locator("details.claims summary").first.focus()
        card.keyboard.press("Enter")
        card.locator("details.claims table").first.wait_for(state="visible")
        assert card.evaluate("document.documentElement.scrollHeight") < 12_000

    @pytest.mark.parametrize("card", [{"java_script_enabled": False}], indirect=True)
    def test_without_scripts_there_is_no_filter_and_rows_open(self, card):
        assert not card.locator("#scorecard-filter").is_visible()
        card.locator("details.claims summary").first.press("Enter")
        assert card.locator("details.claims table").first.is_visible()

    @pytest.mark.parametrize(
        "card", [{"viewport": {"width": 375, "height": 800}, "color_scheme": "dark"}], indirect=True
    )
    def test_a_phone_shows_every_column(self, card):
        card.locator("details.claims").evaluate_all("all => all.forEach(d => { d.open = true })")
        cells = card.locator("details.claims tbody tr").first.locator("td")
        assert cells.count() == 6
        for cell in cells.all():
            box = cell.bounding_box()
            assert 0 <= box["x"] < box["x"] + box["width"] <= 375
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert card.evaluate(wide) <= 0


@pytest.mark.built
def test_the_introduction_shows_a_picture_of_each_chapter(html):
    gallery = (html / "book" / "intro.html").read_text("utf-8").partition('class="gallery')[2]
    for path in CHAPTERS:
        if not path.stem.endswith("_in_depth") and path not in AROUND:
            assert f"_images/{path.stem}" in gallery
            assert f'href="{name(path)}.html"' in gallery
