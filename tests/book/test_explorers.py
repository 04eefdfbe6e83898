"""Interactive figures on their pages: the number beside the slider, type, width, speed."""

import json

import pytest

from .conftest import SLIDERS, name
from .test_pages import Visit

pytestmark = [pytest.mark.browser, pytest.mark.built]
TYPE = """Math.min(...[...document.querySelectorAll('.explorer svg text')]
    .map(t => parseFloat(getComputedStyle(t).fontSize)))"""
MOVE = """async slider => {
    const start = performance.now()
    slider.stepUp()
    slider.dispatchEvent(new Event('input'))
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    return performance.now() - start
}"""


@pytest.fixture(scope="module", params=list(map(name, SLIDERS)))
def page(request, chromium, site):
    with Visit(chromium, site, request.param) as visit:
        visit.page.locator(".explorer svg").first.wait_for()
        yield visit.page


def test_the_present_value_stands_beside_the_slider(page):
    slider, shown = page.locator(".explorer input[type=range]"), page.locator(".explorer output")
    values = json.loads(slider.get_attribute("data-values"))
    assert len(values) == int(slider.get_attribute("max")) + 1
    slider.focus()
    page.keyboard.press("Home")
    assert (shown.inner_text(), slider.get_attribute("aria-valuetext")) == (values[0], values[0])
    page.keyboard.press("ArrowRight")
    assert (shown.inner_text(), slider.get_attribute("aria-valuetext")) == (values[1], values[1])
    text, control = page.locator(".explorer label").first.bounding_box(), slider.bounding_box()
    assert control["x"] - text["x"] - text["width"] >= 8


def test_panels_fill_the_column_and_can_be_read(page):
    column = page.locator(".explorer").bounding_box()["width"]
    panels = page.locator(".explorer-panels > div")
    assert sum(panel.bounding_box()["width"] for panel in panels.all()) > 0.9 * column > 680
    for panel in panels.all():
        drawn = panel.locator("svg, canvas").first.bounding_box()["width"]
        assert drawn == pytest.approx(panel.bounding_box()["width"], abs=6)
    assert page.evaluate(TYPE) >= 12


def test_a_move_is_quick(page):
    """SVG with thousands of dots took up to 2.4 s. Timed three times: others are at work, too."""
    slider = page.locator(".explorer input[type=range]")
    steps, passes = range(int(slider.get_attribute("max"))), []
    for _ in range(3):
        page.keyboard.press("Home")
        passes.append([slider.evaluate(MOVE) for _ in steps])
    assert max(map(min, zip(*passes, strict=True))) < 300


def test_on_a_phone_panels_stand_one_below_the_other(chromium, site):
    with Visit(chromium, site, name(SLIDERS[-1]), viewport={"width": 375, "height": 800}) as visit:
        visit.page.locator(".explorer svg").first.wait_for()
        boxes = [p.bounding_box() for p in visit.page.locator(".explorer-panels > div").all()]
        assert len({box["x"] for box in boxes}) == 1
        for part in ("input", "output", "svg"):
            for box in (v.bounding_box() for v in visit.page.locator(f".explorer {part}").all()):
                assert box["x"] + box["width"] <= 375
