"""Sliders on a static page: precomputed curves in an Altair chart, a thin layer."""

import hashlib
import json
import re

import altair as alt
import numpy as np

from twolayer import _checks
from twolayer.lab.plotting import COLORS

__all__ = ["Layer", "explore", "panel"]

_MARKS = ("line", "bar", "point", "rule", "square")


class Layer:
    """One mark of a panel: columns of numbers, as a line, bars, points, vertical rules or squares.

    Parameters
    ----------
    mark : {"line", "bar", "point", "rule", "square"}
    name : str
        What the legend calls it.
    columns : pandas.DataFrame, or dict of str to array_like, shape (k,)
        Must hold the panel's x and y (a rule needs x only); a column with the slider's name makes
        the layer move: only rows whose value is the slider's are shown, and likewise for a choice.
        nan leaves a row out. Squares are the pixels of a picture: a column ``opacity``, from 0 to
        1, shades them.
    color : str, optional
    size : float
        Area of a point or square, in square pixels.
    """

    def __init__(self, mark, name, columns, color=COLORS[0], size=110):
        self.mark = _checks.one_of("mark", mark, _MARKS)
        self.name, self.color, self.size = name, color, size
        self.columns = {key: np.asarray(value, dtype=float) for key, value in columns.items()}
        if len({len(value) for value in self.columns.values()}) != 1:
            raise ValueError(f"columns of {name!r} must have one length")


def panel(x, y, layers, *, x_range=None, y_range=None, width=300, height=260):
    """Layers over common axes.

    Parameters
    ----------
    x, y : str
        Names of the columns, which are the titles of the axes too.
    layers : list of Layer
    x_range, y_range : (float, float), optional
        Fixed axes: without them the axes follow all data, of all slider values.
    width, height : int
        Pixels.

    Returns
    -------
    callable
        For `explore`.
    """

    def build(controls):
        names, colors = [v.name for v in layers], [v.color for v in layers]
        charts = []
        for layer in layers:
            columns = layer.columns
            finite = np.all([np.isfinite(v) for v in columns.values()], axis=0)
            rows = zip(*(np.round(v[finite], 4).tolist() for v in columns.values()), strict=True)
            data = alt.InlineData([dict(zip(columns, row, strict=True)) for row in rows])
            encoding = {
                "x": alt.X(f"{x}:Q", title=x, scale=_scale(x_range)),
                "color": alt.Color(
                    "layer:N",
                    title=None,
                    scale=alt.Scale(domain=names, range=colors),
                    legend=alt.Legend(orient="bottom", columns=1, labelLimit=300),
                ),
            }
            if layer.mark != "rule":
                encoding["y"] = alt.Y(f"{y}:Q", title=y, scale=_scale(y_range))
            if "opacity" in columns:
                encoding["opacity"] = alt.Opacity("opacity:Q", scale=None, legend=None)
            chart = alt.Chart(data).transform_calculate(layer=json.dumps(layer.name))
            for control in controls:
                if control.name in columns:
                    near = alt.expr.abs(alt.datum[control.name] - control) < 1e-6
                    chart = chart.transform_filter(near)
            options = {"line": {"strokeWidth": 2}, "rule": {"strokeWidth": 2.5}}
            options |= {
                "bar": {"opacity": 0.45, "width": 5},
                "point": {"filled": True, "size": layer.size},
                "square": {"size": layer.size},
            }
            mark = getattr(chart, f"mark_{layer.mark}")(clip=True, **options[layer.mark])
            charts.append(mark.encode(**encoding))
        return alt.layer(*charts).properties(width=width, height=height)

    return build


def _scale(bounds):
    return alt.Scale(domain=list(bounds), nice=False) if bounds else alt.Scale(zero=False)


def explore(parameter, values, panels, *, label, description, choice=None):
    """A chart with a slider, which works on a static page, offline, by mouse and by keyboard.

    Parameters
    ----------
    parameter : str
        Name of the column that the slider selects.
    values : array_like, shape (k,)
        Evenly spaced slider positions, ascending.
    panels : list
        From `panel`, shown side by side.
    label : str
        Written beside the slider.
    description : str
        Alternative text: what the chart shows.
    choice : (str, array_like, str), optional
        A second column with its values, in any steps, and the label of their radio buttons.

    Returns
    -------
    Explorer
        Displays itself; its attribute ``chart`` is the Altair chart.

    Raises
    ------
    ValueError
        If the values are not evenly spaced, or the name of a control is no identifier.
    """
    for name in (parameter, *(choice or ())[:1]):
        if not name.isidentifier():
            raise ValueError(f"parameter={name!r} must be an identifier: the page evaluates it")
    values = _checks.real_array("values", values)
    steps = np.diff(values)
    if len(values) < 2 or not (np.allclose(steps, steps[0]) and steps[0] > 0):
        raise ValueError(f"values={values} must ascend in even steps")
    binding = alt.binding_range(
        min=float(values[0]), max=float(values[-1]), step=float(np.round(steps[0], 6)), name=label
    )
    controls = [alt.param(name=parameter, value=float(values[len(values) // 2]), bind=binding)]
    if choice:
        name, options, title = choice
        options = np.round(_checks.real_array("choice", options), 4).tolist()  # as in the table
        if not isinstance(options, list) or len(options) < 2:
            raise ValueError(f"choice={choice!r} must give a column, two or more values, a label")
        radio = alt.binding_radio(options=options, labels=[f"{v:g} " for v in options], name=title)
        controls.append(alt.param(name=name, value=options[len(options) // 2], bind=radio))
    chart = alt.hconcat(*(build(controls) for build in panels)).add_params(*controls)
    chart = chart.resolve_scale(color="independent")
    chart = chart.properties(description=description, background="white")
    return Explorer(chart.configure_axis(gridColor="#e6e6e6"))


class Explorer:
    """An Altair chart whose HTML is the same on every run (Altair itself draws a random id)."""

    def __init__(self, chart):
        self.chart = chart

    def _repr_mimebundle_(self, include=None, exclude=None):
        page = self.chart._repr_mimebundle_()["text/html"]
        spec = self.chart.to_json(indent=None)
        name = "altair-viz-" + hashlib.sha256(spec.encode()).hexdigest()[:16]
        return {
            "text/html": re.sub(r"altair-viz-[0-9a-f]{32}", name, page),
            "text/plain": f"<interactive figure: {self.chart.description}>",
        }
