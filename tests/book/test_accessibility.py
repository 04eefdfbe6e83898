"""Every page against WCAG 2.1 A and AA by axe-core, in the light and in the dark."""

import pathlib

import pytest

from .conftest import CHAPTERS, COURSE, PAGES, name
from .test_pages import Visit

pytestmark = [pytest.mark.browser, pytest.mark.built]
AXE = (pathlib.Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
THEIRS = {  # what the theme breaks and we cannot mend: where, and why
    # its icons, drawn late by a script, carry titles that the button's label leaves out
    "label-content-name-mismatch": ".theme-switch-button",
}
# the inside of a drawn formula is MathJax's; the colours of code are looked at once, below
STRIP = """() => {
    document.querySelectorAll("mjx-container").forEach(m => m.replaceChildren());
    document.querySelectorAll(".highlight pre").forEach(p => { p.textContent = p.textContent; });
}"""
RUN = """async ([include, rules]) => (
    await axe.run(include, {runOnly: rules, resultTypes: ["violations"]})
).violations.flatMap(v => v.nodes.map(n => [v.id, n.html.slice(0, 200)]))"""


def violations(visit, rules=RULES, include="html"):
    found = visit.page.evaluate(RUN, [include, rules])
    return [(rule, html) for rule, html in found if THEIRS.get(rule, "\0")[1:] not in html]


def darken(visit):
    visit.page.emulate_media(color_scheme="dark")
    visit.page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    visit.page.wait_for_timeout(300)  # colours fade in


def ready(visit):
    """The page with all that is folded open, and the rules loaded."""
    visit.page.wait_for_function("document.querySelector('body[data-ready]')")
    visit.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    visit.page.evaluate(AXE)
    visit.page.wait_for_timeout(400)


@pytest.mark.parametrize("page", map(name, PAGES + COURSE))
def test_no_violation_in_the_light_and_none_of_colour_in_the_dark(chromium, site, page):
    with Visit(chromium, site, page) as visit:
        ready(visit)
        visit.page.evaluate(STRIP)
        assert violations(visit) == []
        darken(visit)
        assert violations(visit, ["color-contrast"]) == []


def test_code_can_be_read_in_the_light_and_in_the_dark(chromium, site):
    with Visit(chromium, site, name(CHAPTERS[0])) as visit:
        ready(visit)
        block = ".cell:has(details) .highlight"
        assert violations(visit, ["color-contrast"], block) == []
        darken(visit)
        assert violations(visit, ["color-contrast"], block) == []
