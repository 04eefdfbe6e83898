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
