import re

import numpy as np
import pytest

from twolayer.lab.explorer import Layer, explore, panel


def chart(**change):
    t = np.array([0.0, 0.5, 1.0])
    moving = Layer("rule", "now", {"t": t, "x": t})
    still = Layer("line", "law", {"x": t, "y": [1.0, np.nan, 3.0]})
    arguments = {"parameter": "t", "values": t, "panels": [panel("x", "y", [still, moving])]}
    return explore(**{**arguments, **change}, label="t ", description="what is seen")


def test_html_is_the_same_on_every_run():
    pages = [chart()._repr_mimebundle_()["text/html"] for _ in range(2)]
    assert pages[0] == pages[1]
    assert re.findall(r'id="(explorer-[0-9a-f]{16})-(?:slide|0)"', pages[0]) != []
    other = chart(values=[0.0, 0.5, 0.75, 1.0])._repr_mimebundle_()["text/html"]
    ids = re.findall(r'id="([^"]+)"', pages[0])
    assert len(ids) == len(set(ids)) == 2
    assert not set(ids) & set(re.findall(r'id="([^"]+)"', other)), "two on a page do not meet"


def test_slider_and_layers():
    made = chart()
    spec, page = made.charts[0].to_dict(), made._repr_mimebundle_()["text/html"]
    (slider,) = [p for p in spec["params"] if "bind" in p]
    element = slider["bind"]["element"].removeprefix("#")
    assert (
        f'<input type="range" id="{element}" autocomplete="off" min="0" max="2" value="1"' in page
    )
    assert f'<label for="{element}">t</label>' in page
    assert 'data-values=\'["0", "0.5", "1"]\'' in page
    assert (slider["name"], slider["value"]) == ("t", 1)
    still, moving = spec["layer"]
    assert any("filter" in t for t in moving["transform"])
    assert not any("filter" in t for t in still["transform"])
    assert spec["description"] == "what is seen"
    assert page.index("<noscript>") < page.index("what is seen") < page.index("</noscript>")


def test_the_value_beside_the_slider_is_the_number_itself():
    values = [-0.25, 0.1 + 0.2, 32, 2048, 20000, 131072]
    layer = Layer("line", "law", {"t": values, "x": values, "y": values})
    made = explore("t", values, [panel("x", "y", [layer])], label="t", description=".")
    page = made._repr_mimebundle_()["text/html"]
    shown = '["−0.25", "0.3", "32", "2048", "20000", "131072"]'
    assert f"data-values='{shown}'" in page
    assert 'aria-valuetext="2048"' in page
    assert ">2048</output>" in page


def test_a_choice_filters_too():
    t = np.array([0.0, 0.5, 1.0])
    layer = Layer("line", "law", {"t": t, "n": [1, 10, 10], "x": t, "y": t})
    made = chart(panels=[panel("x", "y", [layer])], choice=("n", [1, 10], "n <"))
    spec, page = made.charts[0].to_dict(), made._repr_mimebundle_()["text/html"]
    _, menu = [p for p in spec["params"] if "bind" in p]
    assert menu["value"] == 1
    element = menu["bind"]["element"].removeprefix("#")
    assert f'<label for="{element}">n &lt;</label><select id="{element}"' in page
    assert '<option value="0">1</option><option value="1" selected>10</option>' in page
    (layer,) = spec["layer"]
    assert len([t for t in layer["transform"] if "filter" in t]) == 2
    assert [row["choice"] for row in rows_of(made)] == [0, 1, 1]


def test_panels_share_the_controls_and_the_width():
    layer = Layer("line", "law", {"t": [0.0, 0.5, 1.0], "x": [0, 1, 2], "y": [0, 1, 2]})
    made = chart(panels=[panel("x", "y", [layer], width=w) for w in (165, 300)])
    first, second = (c.to_dict() for c in made.charts)
    assert first["params"] == second["params"]
    assert first["width"] == second["width"] == "container"
    assert (first["description"], second["description"]) == ("what is seen", "y against x")
    assert first["config"]["axis"]["labelFontSize"] >= 12
    page = made._repr_mimebundle_()["text/html"]
    assert re.findall(r"flex-basis: (\d+)px", page) == ["225", "360"]
    assert page.rindex("flex-basis") < page.index("<script"), "frames stand before charts ask"


def test_many_dots_go_on_a_canvas():
    def renderer(count):
        dots = np.arange(count)
        layer = Layer("point", "weights", {"t": dots % 3 / 2, "x": dots, "y": dots})
        page = chart(panels=[panel("x", "y", [layer])])._repr_mimebundle_()["text/html"]
        return re.search(r'"renderer": "(\w+)"', page)[1]

    assert renderer(100) == "svg"
    assert renderer(4000) == "canvas"


def test_nan_is_left_out():
    assert len(rows_of(chart())) == 2


def test_bad_input():
    with pytest.raises(ValueError, match="mark='pie' is unknown"):
        Layer("pie", "a", {"x": [1.0]})
    with pytest.raises(ValueError, match="must have one length"):
        Layer("line", "a", {"x": [1.0], "y": [1.0, 2.0]})
    for values in ([0.0, 1.0, 1.0], [1.0, 0.0], [0.0]):
        with pytest.raises(ValueError, match="two or more that ascend"):
            chart(values=values)
    with pytest.raises(ValueError, match="two or more values"):
        chart(choice=("n", [1.0], "n "))


def test_names_with_quotation_marks():
    """The legend's name goes into a Vega expression."""
    layer = Layer("line", 'a head\'s "degree"', {"x": [0, 1], "y": [0, 1], "k": [0, 1]})
    made = explore("k", [0, 1], [panel("x", "y", [layer])], label="k", description="two points")
    chart = made.charts[0].to_dict()
    assert '"a head\'s \\\\"degree\\\\""' in str(chart).replace("\\'", "'")


def test_shaded_squares_are_pixels_without_gaps():
    pixels = {"x": [0, 1, 3], "y": [0, 0, 2], "opacity": [0.25, 1.0, 0.5]}
    layers = [
        Layer("square", "picture", pixels),
        Layer("square", "mark", {"x": [0, 1], "y": [0, 0]}, size=60),
        Layer("line", "curve", {"x": [0, 1], "y": [0, 1], "k": [1, 2]}),
    ]
    made = explore("k", [1.0, 2.0], [panel("x", "y", layers)], label="k", description=".")
    picture, mark, line = made.charts[0].to_dict()["layer"]
    assert picture["mark"]["type"] == "rect"
    rows = [(v["x"], v["x2"], v["y"], v["y2"]) for v in rows_of(made)]
    assert rows == [(-0.5, 0.5, -1, 1), (0.5, 1.5, -1, 1), (2.5, 3.5, 1, 3)]
    assert picture["encoding"]["x2"] == {"field": "x2"}
    assert picture["encoding"]["opacity"] == {
        "field": "opacity",
        "legend": None,
        "scale": None,
        "type": "quantitative",
    }
    assert (mark["mark"]["type"], mark["mark"]["size"]) == ("square", 60)
    assert "opacity" not in line["encoding"]


@pytest.mark.parametrize("names", [("log10 alpha", "c"), ("alpha", "log10 d")])
def test_names_of_controls_are_identifiers(names):
    line = Layer("line", "curve", {"x": [0.0, 1.0], "y": [0.0, 1.0]})
    with pytest.raises(ValueError, match="must be an identifier"):
        explore(
            names[0],
            [1.0, 2.0],
            [panel("x", "y", [line])],
            label="k",
            description=".",
            choice=(names[1], [1.0, 2.0], "c"),
        )


def rows_of(made):
    """The data of the first layer, wherever Altair puts them."""
    spec = made.charts[0].to_dict()
    data = spec["layer"][0].get("data") or spec["data"]
    return data.get("values") or spec["datasets"][data["name"]]


@pytest.mark.parametrize(
    "values",
    [np.linspace(0, 1, 4), 1e-5 * np.arange(7), 2.0 ** np.arange(5, 12), [1, 10, 11, 1e5]],
)
def test_every_position_of_the_slider_shows_its_rows(values):
    for column in (np.repeat(values, 2), np.float32(np.repeat(values, 2))):
        layer = Layer("line", "law", {"t": column, "x": column, "y": column})
        made = explore("t", values, [panel("x", "y", [layer])], label="t", description=".")
        (drawn,) = made.charts[0].to_dict()["layer"]
        assert [v["filter"] for v in drawn["transform"] if "filter" in v] == ["datum.slide == t"]
        assert [row["slide"] for row in rows_of(made)] == [k // 2 for k in range(2 * len(values))]


def test_small_values_keep_their_digits():
    layer = Layer("line", "law", {"x": [1e-7, 2e-7], "y": [3.14159265e-9, 1.0]})
    chart = explore("k", [0, 1], [panel("x", "y", [layer])], label="k", description=".")
    assert rows_of(chart) == [{"x": 1e-7, "y": 3.1416e-9}, {"x": 2e-7, "y": 1.0}]


@pytest.mark.parametrize("name", ["n = d^1.5", "share [%]", "a.b", "E[y]"])
def test_axes_may_have_any_name(name):
    layer = Layer("line", "law", {name: [0, 1], "y.": [0, 1]})
    chart = explore("k", [0, 1], [panel(name, "y.", [layer])], label="k", description=".")
    (made,) = chart.charts[0].to_dict()["layer"]
    assert made["encoding"]["x"]["field"] == "x"
    assert made["encoding"]["x"]["title"] == name
    assert made["encoding"]["y"]["title"] == "y."


def test_a_layer_without_a_value_of_its_control():
    with pytest.raises(ValueError, match="column 't' of 'now' holds no value of its control"):
        chart(values=[5.0, 6.0, 7.0])


def test_what_was_broken_once():
    misspelt = Layer("line", "f", {"x": [0, 1], "Y": [0, 1]})
    with pytest.raises(ValueError, match="'f' has no column 'y'; it has 'x', 'Y'"):
        explore("k", [0, 1], [panel("x", "y", [misspelt])], label="k", description=".")
    far = Layer("line", "f", {"x": 1e5 + np.arange(3), "y": 1e6 + np.arange(3), "z": [np.nan] * 3})
    spec = explore("k", [0, 1], [panel("x", "y", [far])], label="k", description=".")
    rows = rows_of(spec)  # a column that the panel does not use leaves nothing out
    assert [row["x"] for row in rows] == [100000, 100001, 100002]
    assert [row["y"] for row in rows] == [1000000, 1000001, 1000002]
