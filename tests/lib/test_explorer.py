from decimal import Decimal

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
    ids = [page.split('id="')[1].split('"')[0] for page in pages]
    assert ids[0] == ids[1]
    assert ids[0].startswith("altair-viz-")


def test_slider_and_layers():
    spec = chart().chart.to_dict()
    (slider,) = [p for p in spec["params"] if "bind" in p]
    assert slider["bind"] == {"input": "range", "min": 0.0, "max": 1.0, "step": 0.5, "name": "t "}
    still, moving = spec["hconcat"][0]["layer"]
    assert any("filter" in t for t in moving["transform"])
    assert not any("filter" in t for t in still["transform"])
    assert spec["description"] == "what is seen"


def test_a_choice_filters_too():
    t = np.array([0.0, 0.5, 1.0])
    layer = Layer("line", "law", {"t": t, "n": [1, 10, 10], "x": t, "y": t})
    spec = chart(panels=[panel("x", "y", [layer])], choice=("n", [1, 10], "n ")).chart.to_dict()
    _, radio = [p for p in spec["params"] if "bind" in p]
    assert radio["value"] == 10
    assert radio["bind"] == {
        "input": "radio",
        "options": [1, 10],
        "labels": ["1 ", "10 "],
        "name": "n ",
    }
    (layer,) = spec["hconcat"][0]["layer"]
    assert len([t for t in layer["transform"] if "filter" in t]) == 2


def test_nan_is_left_out():
    spec = chart().chart.to_dict()
    still = spec["hconcat"][0]["layer"][0]
    data = still["data"].get("values") or spec["datasets"][still["data"]["name"]]
    assert len(data) == 2


def test_bad_input():
    with pytest.raises(ValueError, match="mark='pie' is unknown"):
        Layer("pie", "a", {"x": [1.0]})
    with pytest.raises(ValueError, match="must have one length"):
        Layer("line", "a", {"x": [1.0], "y": [1.0, 2.0]})
    with pytest.raises(ValueError, match="even steps"):
        chart(values=[0.0, 1.0, 3.0])
    with pytest.raises(ValueError, match="two or more values"):
        chart(choice=("n", [1.0], "n "))


def test_names_with_quotation_marks():
    """The legend's name goes into a Vega expression."""
    layer = Layer("line", 'a head\'s "degree"', {"x": [0, 1], "y": [0, 1], "k": [0, 1]})
    chart = explore(
        "k", [0, 1], [panel("x", "y", [layer])], label="k", description="two points"
    ).chart.to_dict()
    assert '"a head\'s \\\\"degree\\\\""' in str(chart).replace("\\'", "'")


def test_squares_are_shaded_by_their_opacity():
    pixels = {"x": [0, 1], "y": [0, 0], "opacity": [0.25, 1.0]}
    layer = Layer("square", "picture", pixels, size=400)
    lines = Layer("line", "curve", {"x": [0, 1], "y": [0, 1], "k": [1, 2]})
    chart = explore(
        "k", [1.0, 2.0], [panel("x", "y", [layer, lines])], label="k", description="."
    ).chart.to_dict()
    square, line = chart["hconcat"][0]["layer"]
    assert square["mark"]["type"] == "square"
    assert square["mark"]["size"] == 400
    assert square["encoding"]["opacity"] == {
        "field": "opacity",
        "legend": None,
        "scale": None,
        "type": "quantitative",
    }
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


def rows_of(spec):
    """The data of a chart of one layer, wherever Altair puts them."""
    if "datasets" in spec:
        (rows,) = spec["datasets"].values()
        return rows
    return spec["hconcat"][0]["layer"][0]["data"]["values"]


def rows_shown(values, column):
    """How many rows Vega shows at each slider position, by the chart's own filter in Python."""
    layer = Layer("line", "law", {"t": column, "x": column, "y": column})
    spec = explore("t", values, [panel("x", "y", [layer])], label="t", description=".")
    (made,) = spec.chart.to_dict()["hconcat"][0]["layer"]
    (text,) = [v["filter"] for v in made["transform"] if "filter" in v]
    assert text.startswith("datum.slide == round((t - ")
    bind = spec.chart.to_dict()["params"][0]["bind"]
    counts = []
    for k in range(len(values)):
        t = bind["min"] + k * bind["step"]  # what an HTML slider gives
        index = eval(text.removeprefix("datum.slide == "), {"t": t, "round": round})
        counts.append(sum(row["slide"] == index for row in rows_of(spec.chart.to_dict())))
    return counts


@pytest.mark.parametrize(
    "values",
    [np.linspace(0, 1, 4), np.linspace(-2, 2, 31), 1e-5 * np.arange(7), np.arange(3) * 1e6],
)
def test_every_position_of_the_slider_shows_its_rows(values):
    assert rows_shown(values, np.repeat(values, 2)) == [2] * len(values)
    assert rows_shown(values, np.float32(values))[0] == 1


@pytest.mark.parametrize("ends", [(0, 1), (0, 2), (-1 / 3, 5), (0.1, 0.9), (1e-7, 3e-7), (7, 1e5)])
def test_a_browser_reaches_the_last_position(ends):
    """It counts steps in decimals: of linspace(0, 1, 12) as it is, the last one lies beyond max."""
    for count in range(2, 42):
        values = np.linspace(*ends, count)
        layer = Layer("line", "law", {"t": values, "x": values, "y": values})
        spec = explore("t", values, [panel("x", "y", [layer])], label="t", description=".")
        bind = spec.chart.to_dict()["params"][0]["bind"]
        low, high, step = (Decimal(repr(bind[key])) for key in ("min", "max", "step"))
        assert (high - low) // step == count - 1
        shown = [
            round((float(low + k * step) - values[0]) / np.diff(values)[0]) for k in range(count)
        ]
        assert shown == list(range(count))
        assert len(bind["step"].__repr__()) < 13


def test_small_values_keep_their_digits():
    layer = Layer("line", "law", {"x": [1e-7, 2e-7], "y": [3.14159265e-9, 1.0]})
    chart = explore("k", [0, 1], [panel("x", "y", [layer])], label="k", description=".").chart
    assert rows_of(chart.to_dict()) == [{"x": 1e-7, "y": 3.1416e-9}, {"x": 2e-7, "y": 1.0}]


@pytest.mark.parametrize("name", ["n = d^1.5", "share [%]", "a.b", "E[y]"])
def test_axes_may_have_any_name(name):
    layer = Layer("line", "law", {name: [0, 1], "y.": [0, 1]})
    chart = explore("k", [0, 1], [panel(name, "y.", [layer])], label="k", description=".").chart
    (made,) = chart.to_dict()["hconcat"][0]["layer"]
    assert made["encoding"]["x"]["field"] == "x"
    assert made["encoding"]["x"]["title"] == name
    assert made["encoding"]["y"]["title"] == "y."


def test_a_layer_without_a_value_of_its_control():
    with pytest.raises(ValueError, match="column 't' of 'now' holds no value of its control"):
        chart(values=[5.0, 6.0, 7.0])


def test_what_was_broken_once():
    with pytest.raises(ValueError, match="even steps"):
        chart(values=[1e-9, 2e-9, 5e-9])
    misspelt = Layer("line", "f", {"x": [0, 1], "Y": [0, 1]})
    with pytest.raises(ValueError, match="'f' has no column 'y'; it has 'x', 'Y'"):
        explore("k", [0, 1], [panel("x", "y", [misspelt])], label="k", description=".")
    far = Layer("line", "f", {"x": 1e5 + np.arange(3), "y": 1e6 + np.arange(3), "z": [np.nan] * 3})
    spec = explore("k", [0, 1], [panel("x", "y", [far])], label="k", description=".").chart
    rows = rows_of(spec.to_dict())  # a column that the panel does not use leaves nothing out
    assert [row["x"] for row in rows] == [100000, 100001, 100002]
    assert [row["y"] for row in rows] == [1000000, 1000001, 1000002]
