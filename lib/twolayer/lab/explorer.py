"""Sliders on a static page: precomputed curves in an Altair chart, a thin layer."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.lab.plotting import COLORS

__all__ = ["Layer", "explore", "panel"]

_MARKS = {
    "line": {"strokeWidth": 2},
    "bar": {"opacity": 0.45, "width": 5},
    "point": {"filled": True},
    "rule": {"strokeWidth": 2.5},
    "square": {},
}


class Layer:
    """One mark of a panel: columns of numbers, as a line, bars, points, vertical rules or squares.

    Parameters
    ----------
    mark : {"line", "bar", "point", "rule", "square"}
    name : str
        What the legend calls it.
    columns : pandas.DataFrame, or mapping of str to array_like, shape (k,)
        Must hold the panel's x and y (a rule needs x only); a column with the slider's name makes
        the layer move: only rows whose value is the slider's are shown, and likewise for a choice.
        nan leaves a row out. Squares are the pixels of a picture: a column ``opacity``, from 0 to
        1, shades them.
    color : str, optional
    size : float
        Area of a point or square, in square pixels.
    """

    def __init__(
        self,
        mark: str,
        name: str,
        columns: Mapping[str, ArrayLike],
        color: str = COLORS[0],
        size: float = 110,
    ):
        self.mark = _checks.one_of("mark", mark, tuple(_MARKS))
        self.name, self.color, self.size = name, color, size
        self.columns = {key: np.asarray(value, dtype=float) for key, value in columns.items()}
        if len({len(value) for value in self.columns.values()}) != 1:
            raise ValueError(f"columns of {name!r} must have one length")


@dataclasses.dataclass(frozen=True)
class _Control:
    """A slider or a choice: its parameter, the values at its positions, and their index in Vega."""

    param: Any
    name: str
    values: np.ndarray
    index: str

    def places(self, layer):
        """The position of each row, -1 where it has none; nothing is compared by value in Vega."""
        given = layer.columns[self.name]
        nearest = abs(given[:, None] - self.values).argmin(1)
        step = np.diff(np.sort(self.values)).min()
        found = np.where(abs(given - self.values[nearest]) < 1e-3 * step, nearest, -1)
        if (found < 0).all():
            raise ValueError(
                f"column {self.name!r} of {layer.name!r} holds no value of its control, which are "
                f"{self.values}"
            )
        return found


def panel(
    x: str,
    y: str,
    layers: Sequence[Layer],
    *,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    width: int = 300,
    height: int = 260,
) -> Callable:
    """Layers over common axes, for `explore`.

    Parameters
    ----------
    x, y : str
        Names of the columns, which are the titles of the axes too: any text.
    layers : list of Layer
    x_range, y_range : (float, float), optional
        Fixed axes: without them the axes follow all data, of all slider values.
    width, height : int
        Pixels.
    """
    axes = {"x": alt.X("x:Q", title=x, scale=_scale(x_range))}
    axes["y"] = alt.Y("y:Q", title=y, scale=_scale(y_range))
    axes["color"] = alt.Color(
        "layer:N",
        title=None,
        scale=alt.Scale(domain=[v.name for v in layers], range=[v.color for v in layers]),
        legend=alt.Legend(orient="bottom", columns=1, labelLimit=300),
    )

    def build(controls):
        charts = (_chart(layer, (x, y), axes, controls) for layer in layers)
        return alt.layer(*charts).properties(width=width, height=height)

    return build


def _chart(layer, names, axes, controls):
    """One layer: columns go by fixed names, so that a title may hold dots and brackets."""
    for name in names if layer.mark != "rule" else names[:1]:
        if name not in layer.columns:
            found = ", ".join(map(repr, layer.columns))
            raise ValueError(f"{layer.name!r} has no column {name!r}; it has {found}")
    fields = dict(zip(("x", "y", "opacity"), (*names, "opacity"), strict=True))
    fields = {key: layer.columns[name] for key, name in fields.items() if name in layer.columns}
    moving = [control for control in controls if control.name in layer.columns]
    indices = {control.index: control.places(layer) for control in moving}
    rows = np.all([np.isfinite(v) for v in fields.values()], axis=0)
    rows &= np.all([v >= 0 for v in indices.values()], axis=0)
    table = {key: _short(values[rows]) for key, values in fields.items()}
    table |= {key: values[rows].tolist() for key, values in indices.items()}
    data = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    chart = alt.Chart(alt.InlineData(data)).transform_calculate(layer=json.dumps(layer.name))
    for control in moving:
        chart = chart.transform_filter(f"datum.{control.index} == {_position(control)}")
    options = dict(_MARKS[layer.mark])
    if layer.mark in ("point", "square"):
        options["size"] = layer.size
    encoding = {key: axes[key] for key in ("x", "y", "color") if key in (*fields, "color")}
    if layer.mark == "rule":
        encoding.pop("y", None)
    if "opacity" in fields:
        encoding["opacity"] = alt.Opacity("opacity:Q", scale=None, legend=None)
    return getattr(chart, f"mark_{layer.mark}")(clip=True, **options).encode(**encoding)


def _short(values):
    """Five digits of each value, and as many more as tell it from the others."""
    span = np.ptp(values) if values.size else 0.0
    more = np.log10(np.maximum(abs(values) / span, 1)) if span else np.zeros(values.shape)
    return [float(f"{v:.{5 + math.ceil(k)}g}") for v, k in zip(values, more, strict=True)]


def _position(control):
    """The index of a control's present value, as a Vega expression."""
    values = control.values.tolist()
    if control.index == "choice":
        return f"indexof({json.dumps(values)}, {control.name})"
    return f"round(({control.name} - {values[0]!r}) / {values[1] - values[0]!r})"


def _scale(bounds):
    return alt.Scale(domain=list(bounds), nice=False) if bounds else alt.Scale(zero=False)


def explore(
    parameter: str,
    values: ArrayLike,
    panels: Sequence[Callable],
    *,
    label: str,
    description: str,
    choice: tuple[str, ArrayLike, str] | None = None,
) -> Explorer:
    """A chart with a slider, which works on a static page, offline, by mouse and by keyboard.

    Parameters
    ----------
    parameter : str
        Name of the column that the slider selects: an identifier, since the page evaluates it.
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
    """
    for name in (parameter, *(choice or ())[:1]):
        if not name.isidentifier():
            raise ValueError(f"parameter={name!r} must be an identifier: the page evaluates it")
    controls = [_slider(parameter, _checks.real_array("values", values), label)]
    if choice:
        controls.append(_radio(*choice))
    chart = alt.hconcat(*(build(controls) for build in panels))
    chart = chart.add_params(*(control.param for control in controls))
    chart = chart.resolve_scale(color="independent")
    chart = chart.properties(description=description, background="white")
    return Explorer(chart.configure_axis(gridColor="#e6e6e6"))


def _slider(name, values, label):
    steps = np.diff(values)
    if len(values) < 2 or not (np.allclose(steps, steps[0], rtol=1e-6, atol=0) and steps[0] > 0):
        raise ValueError(f"values={values} must ascend in even steps")
    low, high = float(f"{values[0]:.12g}"), float(values[-1])
    step = float(f"{steps.mean():.6g}")  # short: the page shows positions as it counts them,
    last = float(f"{low + len(steps) * step:.12g}")  # in decimals, so that the last one is this
    binding = alt.binding_range(min=low, max=max(high, last), step=step, name=label)
    param = alt.param(name=name, value=float(values[len(values) // 2]), bind=binding)
    return _Control(param, name, values, "slide")


def _radio(name, values, title):
    values = _checks.real_array("choice", values)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"choice={name!r} must give a column, two or more values, a label")
    options = values.tolist()
    radio = alt.binding_radio(options=options, labels=[f"{v:g} " for v in options], name=title)
    param = alt.param(name=name, value=options[len(options) // 2], bind=radio)
    return _Control(param, name, values, "choice")


class Explorer:
    """An Altair chart whose HTML is the same on every run (Altair itself draws a random id)."""

    def __init__(self, chart: alt.HConcatChart):
        self.chart = chart

    def _repr_mimebundle_(self, include=None, exclude=None):
        page = self.chart._repr_mimebundle_()["text/html"]
        spec = self.chart.to_json(indent=None)
        name = "altair-viz-" + hashlib.sha256(spec.encode()).hexdigest()[:16]
        return {
            "text/html": re.sub(r"altair-viz-[0-9a-f]{32}", name, page),
            "text/plain": f"<interactive figure: {self.chart.description}>",
        }
