"""Every built page in headless Chromium, with the network cut off."""

import re

import pytest

from .conftest import AROUND, CHAPTERS, COURSE, PAGES, PRIMERS, SLIDERS, name

pytestmark = [pytest.mark.browser, pytest.mark.built]
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


def shared(paths):
    """Tests of open pages: each page is opened once, for all of them in turn."""
    return pytest.mark.parametrize("visit", list(map(name, paths)), indirect=True, scope="module")


pages, sliders = shared(PAGES + COURSE), shared(SLIDERS)
chapters = shared([path for path in CHAPTERS if path not in AROUND])


@pytest.fixture(scope="module")
def visit(request, chromium, site):
    with Visit(chromium, site, request.param) as visit:
        yield visit


@pages
def test_opens_offline_without_errors_and_with_its_mathematics(visit):
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
    images = visit.page.locator("main img").evaluate_all(
        "all => all.map(i => [i.src, i.alt, i.complete && i.naturalWidth > 0])"
    )
    for source, alternative, shown in images:
        assert alternative, source
        assert shown, source


def overflow(visit):
    """Pixels by which the page is wider than its window."""
    return visit.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


EQUATIONS = """() => [...document.querySelectorAll("article div.math")]
    .filter(e => e.offsetParent && e.querySelector(":scope > mjx-container")).map(e => {
        const box = e.querySelector(":scope > mjx-container"), number = e.querySelector(".eqno");
        const {right} = box.getBoundingClientRect(), inner = box.querySelector("svg");
        const page = e.closest("article").getBoundingClientRect().right;
        const end = Math.min(page, number ? number.getBoundingClientRect().left : page);
        const runs = inner.getBoundingClientRect().right - right + box.scrollLeft > 1;
        return {text: e.id, over: right - end, lost: runs && !box.matches(".more-right")};
    }).filter(e => e.over > 1 || e.lost)"""
CUT = """limit => [...document.querySelectorAll("article pre")]
    .filter(p => p.offsetParent && p.scrollWidth > p.clientWidth + 1)
    .map(p => Math.max(...p.textContent.split("\\n").map(line => line.length)))
    .filter(length => length <= limit)"""


@chapters
@pytest.mark.parametrize("width", [1300, 375])
def test_equations_stay_off_their_numbers_and_on_the_page(visit, width):
    visit.page.wait_for_selector("body[data-ready]")
    visit.page.set_viewport_size({"width": width, "height": 800})
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate(EQUATIONS) == []


@chapters
def test_code_of_78_characters_is_shown_whole_and_bars_say_what_it_is(visit):
    visit.page.set_viewport_size({"width": 1366, "height": 768})
    details = visit.page.locator("article details.hide")
    details.evaluate_all("all => all.forEach(d => { d.open = true })")
    visit.page.wait_for_timeout(100)
    assert visit.page.evaluate(CUT, 78) == []
    words = details.locator("summary").all_text_contents()
    assert words
    assert not [word for word in words if "Show code" in word or len(word) < 4]
    details.evaluate_all("all => all.forEach(d => { d.open = false })")


@shared([path for path in CHAPTERS if path not in PRIMERS])
def test_a_figure_opens_by_keyboard_and_closes_by_escape(visit):
    link = visit.page.locator("a.enlarge").first
    assert "_images/" in link.get_attribute("href")
    link.focus()
    visit.page.keyboard.press("Enter")
    shown = visit.page.locator("dialog.enlarged img")
    assert shown.get_attribute("alt") == link.locator("img").get_attribute("alt")
    visit.page.keyboard.press("Escape")
    shown.wait_for(state="detached")
    assert link.evaluate("link => document.activeElement == link")


@chapters
def test_formulas_are_no_tab_stops(visit):
    assert visit.page.locator("mjx-assistive-mml").count() > 50
    stops = "all => all.filter(m => m.tabIndex == 0 && m.scrollWidth <= m.clientWidth + 1).length"
    visit.page.set_viewport_size({"width": 1366, "height": 768})
    visit.page.wait_for_timeout(300)
    assert visit.page.locator("mjx-container").evaluate_all(stops) == 0


def test_without_scripts_a_page_says_what_is_missing(chromium, site):
    with Visit(chromium, site, name(CHAPTERS[0]), java_script_enabled=False) as visit:
        said = visit.page.locator(".no-script")
        assert said.count() == 2
        assert all(line.is_visible() for line in said.all())


PICTURE = """[...document.querySelectorAll('.vega-embed svg, .vega-embed canvas')]
    .map(e => e.tagName == 'CANVAS' ? e.toDataURL() : e.outerHTML).join()"""


@sliders
def test_the_slider_moves_the_figure_by_mouse_and_by_keyboard(visit):
    page = visit.page
    slider = page.locator(".vega-bindings input[type=range]").first
    slider.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    start, before = slider.input_value(), page.evaluate(PICTURE)
    assert before
    page.wait_for_timeout(100)
    assert page.evaluate(PICTURE) == before
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"old => {PICTURE} != old", arg=before)
    keyed, by_key = slider.input_value(), page.evaluate(PICTURE)
    assert float(keyed) > float(start)
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_function(f"old => {PICTURE} != old", arg=by_key)
    assert float(slider.input_value()) < float(start)
    described = visit.page.locator(".vega-embed [aria-label], .vega-embed[aria-label]")
    assert any(len(d.get_attribute("aria-label")) > 80 for d in described.all())


@chapters
def test_solutions_are_folded_and_open(visit):
    solutions = visit.page.locator(".solution")
    assert solutions.count() >= 2
    bodies = visit.page.locator(".solution #solution-content")
    assert bodies.count() == solutions.count()
    assert not any(body.is_visible() for body in bodies.all())
    first = solutions.first
    first.locator("button.toggle-button").first.click()
    first.locator("#solution-content").wait_for(state="visible")
    first.locator("button.toggle-button").first.click()
    solutions.evaluate_all(
        "all => all.forEach(s => s.querySelector('button.toggle-button').click())"
    )
    for body in bodies.all():
        body.wait_for(state="visible")


@pages
def test_a_dark_phone_shows_a_dark_page_without_overflow(visit):
    visit.page.emulate_media(color_scheme="dark")
    visit.page.set_viewport_size({"width": 375, "height": 800})
    visit.page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    visit.page.wait_for_timeout(200)
    assert overflow(visit) <= 0


def test_a_page_opened_in_the_dark_is_dark(chromium, site):
    options = {"color_scheme": "dark", "viewport": {"width": 375, "height": 800}}
    with Visit(chromium, site, "intro", **options) as visit:
        assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"


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
        visit.page.goto(f"{site}/book/first_step/one_step_in_depth.html")
        text += visit.page.locator("main").inner_text()
        for pattern in (r"Fig\. 5\.1", r"\(5\.1\)", r"Exercise 5\.1", r"Theorem 5\.1"):
            assert re.search(pattern, text), pattern
        assert "??" not in text


def test_no_line_begins_with_the_punctuation_after_a_formula(html):
    for page in map(name, CHAPTERS):
        text = (html / "book" / f"{page}.html").read_text("utf-8")
        after = re.findall(
            r'(<span class="[^"]*">)?<span class="math [^>]*>[^<]*</span>[,;.]', text
        )
        assert set(after) <= {'<span class="tied">'}, page


def test_opengraph_tags(html):
    for page in map(name, PAGES):
        text = (html / "book" / f"{page}.html").read_text("utf-8")
        assert 'property="og:title"' in text, page
        assert 'property="og:description"' in text, page
        assert "example.org" not in text, page
        assert "not set" not in text, page
    title = re.search(r"<title>(.*?)</title>", (html / "book" / "intro.html").read_text("utf-8"))
    assert title
    assert title[1].count("Gradient Descent") == 1
