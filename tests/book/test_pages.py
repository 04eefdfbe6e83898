"""Every built page in headless Chromium, with the network cut off."""

import re

import pytest

from .conftest import CHAPTERS, PAGES, name

pytestmark = [pytest.mark.browser, pytest.mark.built]
pages = pytest.mark.parametrize("page", [name(p) for p in PAGES])
chapters = pytest.mark.parametrize("page", [name(p) for p in CHAPTERS])
# the theme's own: thebe is declared twice, and an unset theme is set to auto
THEIRS = ("THEBE_JS_URL", "invalid theme mode")


class Visit:
    """A page, with what its console said and where it wanted to go."""

    def __init__(self, chromium, site, page, **options):
        options = {"viewport": {"width": 1400, "height": 900}, **options}
        self.context = chromium.new_context(**options)
        self.page, self.said, self.left = self.context.new_page(), [], []
        self.page.on("console", lambda m: self._note(m.type, m.text))
        self.page.on("pageerror", lambda e: self._note("error", str(e)))
        self.page.route("**/*", lambda route: self._route(route, site))
        self.page.goto(f"{site}/book/{page}.html")
        self.page.wait_for_load_state("networkidle")

    def _note(self, kind, text):
        if kind in ("error", "warning") and not any(word in text for word in THEIRS):
            self.said.append(text)

    def _route(self, route, site):
        if route.request.url.startswith((site, "data:", "blob:")):
            route.continue_()
        else:
            self.left.append(route.request.url)
            route.abort()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


@pages
def test_opens_offline_without_errors_and_with_its_mathematics(chromium, site, page):
    with Visit(chromium, site, page) as visit:
        visit.page.wait_for_timeout(500)
        formulas = visit.page.locator(".math")
        if formulas.count():
            visit.page.wait_for_function(
                "n => document.querySelectorAll('mjx-container').length >= n", arg=formulas.count()
            )
        assert visit.page.locator("mjx-merror, [data-mjx-error]").count() == 0
        assert visit.said == []
        assert visit.left == []
        assert overflow(visit) <= 0
        for image in visit.page.locator("main img").all():
            assert image.get_attribute("alt"), image.get_attribute("src")
            assert image.evaluate("i => i.complete && i.naturalWidth > 0")


@pages
def test_a_dark_phone_shows_a_dark_page_without_overflow(chromium, site, page):
    options = {"color_scheme": "dark", "viewport": {"width": 375, "height": 800}}
    with Visit(chromium, site, page, **options) as visit:
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert overflow(visit) <= 0


def overflow(visit):
    """Pixels by which the page is wider than its window."""
    return visit.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def picture(visit):
    return visit.page.locator(".vega-embed canvas, .vega-embed svg").first.screenshot()


@chapters
def test_the_slider_moves_the_figure_by_mouse_and_by_keyboard(chromium, site, page):
    with Visit(chromium, site, page) as visit:
        slider = visit.page.locator(".vega-bindings input[type=range]").first
        slider.scroll_into_view_if_needed()
        visit.page.wait_for_timeout(500)
        start, before = slider.input_value(), picture(visit)
        assert picture(visit) == before
        slider.focus()
        visit.page.keyboard.press("ArrowRight")
        visit.page.wait_for_timeout(300)
        keyed, by_key = slider.input_value(), picture(visit)
        assert float(keyed) > float(start)
        assert by_key != before
        box = slider.bounding_box()
        visit.page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
        visit.page.wait_for_timeout(300)
        assert float(slider.input_value()) < float(start)
        assert picture(visit) != by_key
        described = visit.page.locator(".vega-embed [aria-label], .vega-embed[aria-label]")
        assert any(len(d.get_attribute("aria-label")) > 80 for d in described.all())


@chapters
def test_solutions_are_folded_and_open(chromium, site, page):
    with Visit(chromium, site, page) as visit:
        solutions = visit.page.locator(".solution")
        assert solutions.count() >= 5
        for solution in solutions.all():
            body = solution.locator("#solution-content")
            assert not body.is_visible()
            solution.locator("button.toggle-button").first.click()
            body.wait_for(state="visible")


def test_search_finds_the_spike(chromium, site):
    with Visit(chromium, site, "intro") as visit:
        visit.page.goto(f"{site}/search.html?q=spike")
        visit.page.wait_for_selector("#search-results li a")
        found = visit.page.locator("#search-results li a").evaluate_all("a => a.map(x => x.href)")
        assert any("one_step" in link for link in found)
        assert visit.left == []


def test_copy_buttons_and_numbers(chromium, site):
    with Visit(chromium, site, "first_step/one_step") as visit:
        assert visit.page.locator("button.copybtn").count() > 5
        text = visit.page.locator("main").inner_text()
        for pattern in (r"Fig\. 4\.1", r"\(4\.1\)", r"Exercise 4\.1", r"Theorem 4\.1"):
            assert re.search(pattern, text), pattern
        assert "??" not in text


@pages
def test_opengraph_tags(html, page):
    text = (html / "book" / f"{page}.html").read_text("utf-8")
    assert 'property="og:title"' in text
    assert 'property="og:description"' in text
