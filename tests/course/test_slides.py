"""The slides in a real browser: offline, typeset, nothing cut off, large text, alt text."""

import re

import pytest
import slides

from .conftest import WEEKS

DECKS = slides.decks()
each_deck = pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
SEEN = """() => [...document.querySelectorAll('.pdf-page')].map((page, number) => {
    const frame = page.getBoundingClientRect(), found = {faults: [], notes: false};
    const title = page.querySelector('h1, h2')?.textContent.trim() ?? `slide ${number + 1}`;
    if (Math.abs(frame.height - 720) > 2) found.faults.push(`${title}: ${frame.height} high`);
    found.notes = !!page.querySelector('.speaker-notes-pdf, aside.notes');
    const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const part = walker.currentNode, parent = part.parentElement;
        const aside = 'mjx-assistive-mml, aside, script, .slide-number-pdf';
        if (!part.data.trim() || parent.closest(aside)) continue;
        const range = document.createRange();
        range.selectNodeContents(part);
        const size = parseFloat(getComputedStyle(parent).fontSize);
        if (size < 24) found.faults.push(`${title}: ${size}px: ${part.data.trim()}`);
        for (const box of range.getClientRects())
            if (box.left < frame.left + 30 || box.right > frame.right - 8
                || box.bottom > frame.bottom - 4)
                found.faults.push(`${title}: cut off: ${part.data.trim()}`);
    }
    for (const error of page.querySelectorAll('[data-mjx-error]'))
        found.faults.push(`${title}: ${error.dataset.mjxError}`);
    for (const formula of page.querySelectorAll('mjx-container')) {
        const box = formula.querySelector('svg').getBoundingClientRect();
        if (box.right > frame.right || box.bottom > frame.bottom)
            found.faults.push(`${title}: a formula is cut off`);
    }
    for (const image of page.querySelectorAll('img')) {
        const box = image.getBoundingClientRect();
        if (!image.complete || !image.naturalWidth) found.faults.push(`${title}: no picture`);
        if (image.alt.length < 60) found.faults.push(`${title}: picture without words`);
        if (box.right > frame.right || box.bottom > frame.bottom)
            found.faults.push(`${title}: a picture is cut off`);
        const inch = box.width / (image.naturalWidth / 200);
        if (inch * 9.5 / 72 < 24) found.faults.push(`${title}: text of ${inch * 9.5 / 72}px`);
    }
    if (/\\\\[([]|\\$/.test(page.textContent)) found.faults.push(`${title}: a formula is not set`);
    return found;
})"""


def test_there_is_a_deck_for_each_lecture():
    assert [deck.stem for deck in DECKS] == [name for week in WEEKS for name in week["lectures"]]


@each_deck
def test_a_deck_has_notes_for_each_slide(deck):
    text = deck.read_text("utf-8")
    parts = re.split(r"^##? ", text, flags=re.M)[1:]
    assert 15 <= len(parts) <= 21
    for part in parts:
        assert part.count(":::{notes}") == 1, part
        _, lines = part.partition(":::{notes}")[::2]
        assert len(lines.split()) >= 12, part


@each_deck
def test_a_deck_holds_no_figure_or_equation_of_its_own(deck):
    text = deck.read_text("utf-8")
    assert "![" not in text
    assert "$$" not in text
    assert slides.PULL.search(text)


@pytest.mark.built
@pytest.mark.slow
@pytest.mark.browser
@each_deck
def test_slides_can_be_shown(deck, chromium, course_built):
    page, asked = chromium.new_page(viewport={"width": 1280, "height": 720}), []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(f"error {error}"))
    page.goto((slides.SLIDES / f"{deck.stem}.html").as_uri() + "?print-pdf")
    page.wait_for_selector(".pdf-page")
    page.evaluate("async () => { await MathJax.startup.promise; await document.fonts.ready; }")
    seen = page.evaluate(SEEN)
    page.close()
    assert not [url for url in asked if not url.startswith("file:")]
    assert len(seen) == len(re.findall(r"^##? ", deck.read_text("utf-8"), re.M))
    assert [fault for slide in seen for fault in slide["faults"]] == []


@pytest.mark.built
@pytest.mark.slow
@pytest.mark.browser
def test_slides_are_moved_by_keyboard_and_show_notes(chromium, course_built):
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    page.goto((slides.SLIDES / f"{DECKS[0].stem}.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("Reveal.getState().indexv + Reveal.getState().indexh === 1")
    assert page.evaluate("Reveal.getSlideNotes().length") > 40
    page.close()


@pytest.mark.slow
def test_figures_on_slides_are_those_of_the_page(tmp_path, monkeypatch):
    """Drawn at the page's size they are the twin's, byte by byte: only what is needed is run."""
    import chapters
    import nbformat

    path = chapters.ROOT / "book/foundations/the_first_escape.md"
    monkeypatch.delenv("MPLBACKEND")
    slides.draw(path, {"fig-fe-main"}, tmp_path, prelude="")
    for cell in nbformat.read(chapters.twin(path), 4).cells:
        if slides.label_of(cell, path) == "fig-fe-main":
            shown = next(
                o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})
            )
            drawn = (tmp_path / "fig-fe-main.png").read_bytes()
            assert slides.base64.b64decode(shown) == drawn
