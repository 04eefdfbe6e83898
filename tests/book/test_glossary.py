"""Glossary words are linked at their first use, show their meaning, and are found."""

import re

import pytest

from .conftest import CHAPTERS, name

TERM = re.compile(
    r'<a class="reference internal" href="([^"]*)"( title="[^"]+")?><span class="[^"]*std-term'
)


@pytest.mark.built
@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_words_are_linked_once_a_page_with_their_meaning(html, path):
    found = TERM.findall((html / "book" / f"{name(path)}.html").read_text("utf-8"))
    if "{term}" not in path.read_text("utf-8"):
        pytest.skip("no word is linked yet")
    links = [link for link, _ in found]
    assert links
    assert len(set(links)) == len(links), "only the first use is a link"
    assert all(title for _, title in found)


@pytest.mark.built
@pytest.mark.browser
def test_a_meaning_shows_under_the_pointer_and_by_keyboard_and_escape_hides_it(chromium, site):
    page = chromium.new_page()
    page.goto(f"{site}/book/end_of_training/recovering_the_teacher.html")
    link, tip = page.locator("a:has(> .std-term)").nth(1), page.locator("#meaning")
    assert tip.count() == 0
    for show in (link.hover, link.focus):
        show()
        assert len(tip.inner_text()) > 20
        assert link.get_attribute("aria-describedby") == "meaning"
        page.keyboard.press("Escape")
        assert tip.count() == 0
        page.mouse.move(0, 0)
    link.hover()
    tip.hover()  # the pointer may move onto it, and it stays
    page.wait_for_timeout(400)
    assert tip.count() == 1
    page.mouse.move(0, 0)
    tip.wait_for(state="detached")
    page.close()


def search(page, site, words):
    page.goto(f"{site}/search.html?q={words}")
    page.wait_for_function("document.querySelector('.search-summary')?.innerText.length > 0")
    return page.locator("#search-results li > a").evaluate_all("a => a.map(x => x.pathname)")


@pytest.mark.built
@pytest.mark.browser
@pytest.mark.parametrize(
    ("words", "home"),
    [
        ("NTK", "foundations/lazy_and_rich"),
        ("saddle", "foundations/the_first_escape"),
        ("over-parameterised", "end_of_training/recovering_the_teacher"),
        ("spike", "first_step/one_step"),
    ],
)
def test_search_finds_the_home_of_a_word_and_its_name_in_the_glossary(chromium, site, words, home):
    page = chromium.new_page()
    found = search(page, site, words)[:3]
    assert f"/book/{home}.html" in found
    assert "/book/glossary.html" in found
    first = page.locator("#search-results li", has_text="glossary term").first.inner_text()
    assert first.lower().startswith(words.lower())
    page.close()


@pytest.mark.built
@pytest.mark.browser
def test_search_shows_prose_leaves_no_marks_and_says_what_a_file_cannot(chromium, site, html):
    page = chromium.new_page()
    search(page, site, "Marchenko")
    page.wait_for_function("document.querySelectorAll('#search-results .context').length > 1")
    shown = page.locator("#search-results .context").all_inner_texts()
    assert not any(re.search(r"\\[a-z(]|plt\.|import ", text) for text in shown)
    page.locator("#search-results li > a").first.click()
    page.wait_for_load_state()
    page.wait_for_timeout(200)
    assert page.locator(".highlighted").count() == 0
    page.goto(f"{(html / 'search.html').as_uri()}?q=spike")
    assert "make serve" in page.locator("main").inner_text()
    page.close()
