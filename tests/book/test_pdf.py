"""The printed book: one chapter with the references, as a part would be."""

import re
import unicodedata

import pdf
import pypdf
import pytest

from .conftest import ROOT

TITLE, FIRST, PARTS = pdf.outline()
CHAPTER = PARTS[0][2][-1]


def test_documents_are_the_book_and_its_numbered_parts():
    documents = pdf.documents()
    numbered = [pdf.name_of(c) for c, numbered, _ in PARTS if numbered]
    assert list(documents) == ["book", *numbered, "the_course"]
    whole = [page for _, pages in documents["book"][1] for page in pages]
    assert whole == [FIRST, *(page for c, _, pages in PARTS if c != pdf.COURSE for page in pages)]
    ((_, course),) = documents["the_course"][1]
    whole += course
    for page in whole:
        assert (ROOT / f"{page}.md").exists()


def document(**options):
    return pdf.Document(TITLE, [("I. A part", [CHAPTER, "book/references"])], **options)


@pytest.mark.built
def test_links_stay_inside_go_to_the_site_or_are_plain_text(html):
    for site in ("", "https://example.org/book/"):
        soup = document(site=site).soup
        names = [tag["id"] for tag in soup.find_all(id=True)]
        for link in soup.main.find_all("a", href=True):
            if link["href"].startswith("#"):
                assert link["href"][1:] in names, link
            else:
                assert re.match("https?:|mailto:", link["href"]), link
        assert bool(soup.find(href=re.compile("^https://example.org/book/book/.*html"))) == bool(
            site
        )


def plain(text):
    """Words without ligatures, on one line."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


@pytest.mark.built
@pytest.mark.slow
@pytest.mark.browser
def test_a_printed_chapter_is_whole(chromium, html, tmp_path):
    printed, path = document(), pdf.OUT / "test.pdf"
    pdf.typeset(chromium, printed, path)
    reader = pypdf.PdfReader(path)
    path.rename(tmp_path / path.name)
    pages = [plain(page.extract_text()) for page in reader.pages]
    text = " ".join(pages)
    for trace in ("??", r"\(", r"\[", "Show code", "Click to", "Javascript Error"):
        assert trace not in text

    titles = [entry["/Title"] for entry in pdf.entries(reader.root_object["/Outlines"])]
    headings = printed.soup.find_all(re.compile("^h[1-6]$"))
    assert len(titles) == len(headings)
    for title, heading in zip(titles, headings, strict=True):
        assert title.split("\\")[0] in heading.get_text() or "math" in str(heading)

    numbers = pdf.pages_of(reader)
    for line in printed.soup.select(".contents a"):
        words, page = line.find(class_="words").get_text(), numbers[line["href"][1:]]
        assert words.strip() in pages[page - 1]
        assert f"{words} {page}" in " ".join(pages[:2])
    for page in reader.pages:
        for link in page.get("/Annots", ()):
            goal = link.get_object()
            if "/Dest" in goal:
                assert goal["/Dest"] in reader.named_destinations
            else:
                assert re.match("https?:|mailto:", goal["/A"]["/URI"])


@pytest.mark.built
@pytest.mark.browser
def test_a_reader_prints_a_page_light_with_its_number_and_without_folded_code(chromium, site):
    with chromium.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(f"{site}/{CHAPTER}.html")
        page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
        assert page.locator("details.hide").first.is_visible()
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        assert page.locator("article h1 .section-number").is_visible()
        assert not any(code.is_visible() for code in page.locator("details.hide").all())
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
