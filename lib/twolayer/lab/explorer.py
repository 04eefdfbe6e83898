"""Sliders on a static page: precomputed curves in an Altair chart, a thin layer."""

from __future__ import annotations

import dataclasses
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence

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
    "rect": {},
}
_TEXT = {"labelFontSize": 12, "titleFontSize": 13}  # pixels, on a page and on a phone alike
_MANY = 3000  # dots of which SVG is slow: the theme looks at each element that comes or goes
_STYLE = """<style>
.explorer { max-width: 50rem; }
.explorer .vega-bindings, .explorer .vega-bindings > div, .explorer-panels {
  display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 0.8rem; }
.explorer .vega-bindings { column-gap: 2rem; margin-bottom: 0.6rem; }
.explorer .vega-bindings:empty { display: none; }
.explorer .vega-bindings span { display: flex; align-items: center; gap: 0.8rem; }
.explorer input[type="range"] { width: min(20rem, 55vw); }
.explorer output { min-width: 4rem; font-weight: 600; }
.explorer-panels { align-items: flex-start; background: white; color: #222; padding: 0.4rem; }
.explorer-panels > div { flex-grow: 1; flex-shrink: 1; min-width: 0; }
</style>"""
_MOVED = (
    "const shown = JSON.parse(this.dataset.values)[this.value]; "
    "this.nextElementSibling.value = shown; this.setAttribute('aria-valuetext', shown)"
)


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
        nan leaves a row out. A column ``opacity``, from 0 to 1, shades points; squares that have
        one are the pixels of a picture, which leave no gaps.
    color : str, optional
    size : float
        Area of a point or square, in square pixels of the screen.
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
    """A slider or a choice: its parameter in Vega is the position among the values."""

    name: str
    values: np.ndarray
    label: str
    index: str  # the column of positions: "slide" or "choice"

    @property
    def start(self):
        return len(self.values) // 2

    @property
    def shown(self):
        """The values as readers see them."""
        digits = [4 if abs(v) < 1e4 else 12 for v in self.values]
        return [f"{v:.{k}g}".replace("-", "−") for v, k in zip(self.values, digits, strict=True)]

    def param(self, page):
        bind = alt.BindDirect(element=f"#{page}-{self.index}")
        return alt.param(name=self.name, value=self.start, bind=bind)

    def html(self, page):
        """The control, which works as soon as Vega has bound it."""
        name, shown = f"{page}-{self.index}", self.shown
        label = f'<div><label for="{name}">{html.escape(self.label.strip())}</label>'
        if self.index == "choice":
            options = "".join(
                f'<option value="{k}"{" selected" * (k == self.start)}>{v}</option>'
                for k, v in enumerate(shown)
            )
            return f'{label}<select id="{name}" autocomplete="off">{options}</select></div>'
        return (
            f'{label}<span><input type="range" id="{name}" autocomplete="off" min="0" '
            f'max="{len(shown) - 1}" value="{self.start}" aria-valuetext="{shown[self.start]}" '
            f"data-values='{json.dumps(shown, ensure_ascii=False)}' "
            f'oninput="{_MOVED}"><output aria-live="off">{shown[self.start]}</output></span></div>'
        )

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
) -> Panel:
    """Layers over common axes, for `explore`.

    Parameters
    ----------
    x, y : str
        Names of the columns, which are the titles of the axes too: any text.
    layers : list of Layer
    x_range, y_range : (float, float), optional
        Fixed axes: without them the axes follow all data, of all slider values.
    width, height : int
        Pixels. Panels side by side share a page's width in the ratio of theirs; on a screen too
        narrow for them they stand one below the other.
    """
    return Panel(x, y, tuple(layers), x_range, y_range, width, height)


@dataclasses.dataclass(frozen=True)
class Panel:
    """Layers over common axes, as `panel` makes them."""

    x: str
    y: str
    layers: tuple[Layer, ...]
    x_range: tuple[float, float] | None
    y_range: tuple[float, float] | None
    width: int
    height: int

    def chart(self, controls):
        """The panel as a chart as wide as its container."""
        names = [layer.name for layer in self.layers]
        axes = {"x": alt.X("x:Q", title=self.x, scale=_scale(self.x_range))}
        axes["y"] = alt.Y("y:Q", title=self.y, scale=_scale(self.y_range))
        axes["color"] = alt.Color(
            "layer:N",
            title=None,
            scale=alt.Scale(domain=names, range=[layer.color for layer in self.layers]),
            legend=alt.Legend(orient="bottom", columns=1, labelLimit=self.width + 20),
        )
        charts = (_chart(layer, (self.x, self.y), axes, controls) for layer in self.layers)
        chart = alt.layer(*charts).properties(width="container", height=self.height)
        chart = chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
        chart = chart.configure_axis(gridColor="#e6e6e6", **_TEXT)
        return chart.configure_legend(labelFontSize=13).properties(background="white")

    @property
    def renderer(self):
        dots = (len(v.columns[self.x]) for v in self.layers if v.mark != "line")
        return "canvas" if sum(dots) > _MANY else "svg"


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
    fields = {key: values[rows] for key, values in fields.items()}
    mark = "rect" if layer.mark == "square" and "opacity" in fields else layer.mark
    if mark == "rect":
        fields |= {end: edge for key in ("x", "y") for end, edge in _edges(key, fields[key])}
    table = {key: _short(values) for key, values in fields.items()}
    table |= {key: values[rows].tolist() for key, values in indices.items()}
    data = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    chart = alt.Chart(alt.InlineData(data)).transform_calculate(layer=json.dumps(layer.name))
    for control in moving:
        chart = chart.transform_filter(f"datum.{control.index} == {control.name}")
    options = dict(_MARKS[mark])
    if mark in ("point", "square"):
        options["size"] = layer.size
    encoding = {key: axes[key] for key in ("x", "y", "color") if key in (*fields, "color")}
    if layer.mark == "rule":
        encoding.pop("y", None)
    if mark == "rect":
        encoding |= {"x2": "x2:Q", "y2": "y2:Q"}
    if "opacity" in fields:
        encoding["opacity"] = alt.Opacity("opacity:Q", scale=None, legend=None)
    return getattr(chart, f"mark_{mark}")(clip=True, **options).encode(**encoding)


def _edges(key, centres):
    """Both edges of pixels on a grid."""
    grid = np.unique(centres)
    half = np.diff(grid).min() / 2 if len(grid) > 1 else 0.5
    return (key, centres - half), (f"{key}2", centres + half)


def _short(values):
    """Five digits of each value, and as many more as tell it from the others."""
    span = np.ptp(values) if values.size else 0.0
    more = np.log10(np.maximum(abs(values) / span, 1)) if span else np.zeros(values.shape)
    return [float(f"{v:.{5 + math.ceil(k)}g}") for v, k in zip(values, more, strict=True)]


def _scale(bounds):
    return alt.Scale(domain=list(bounds), nice=False) if bounds else alt.Scale(zero=False)


def explore(
    parameter: str,
    values: ArrayLike,
    panels: Sequence[Panel],
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
        The slider's values, ascending, in any steps: give the numbers that a reader thinks in
        (32, 64, 128), not their logarithms. The present one stands beside the slider.
    panels : list
        From `panel`, shown side by side.
    label : str
        Written before the slider.
    description : str
        Alternative text: what the chart shows.
    choice : (str, array_like, str), optional
        A second column with its values and the label of their menu.

    Returns
    -------
    Explorer
        Displays itself; its attribute ``charts`` holds an Altair chart a panel.
    """
    for name in (parameter, *(choice or ())[:1]):
        if not name.isidentifier():
            raise ValueError(f"parameter={name!r} must be an identifier: the page evaluates it")
    values = _checks.real_array("values", values)
    if values.ndim != 1 or len(values) < 2 or not (np.diff(values) > 0).all():
        raise ValueError(f"values={values} must be two or more that ascend")
    controls = [_Control(parameter, values, label, "slide")]
    if choice:
        values = _checks.real_array("choice", choice[1])
        if values.ndim != 1 or len(values) < 2:
            raise ValueError(
                f"choice={choice[0]!r} must give a column, two or more values, a label"
            )
        controls.append(_Control(choice[0], values, choice[2], "choice"))
    return Explorer(panels, controls, description)


class Explorer:
    """Charts that share their controls; their HTML is the same on every run."""

    def __init__(self, panels: Sequence[Panel], controls: Sequence[_Control], description: str):
        charts = [panel.chart(controls) for panel in panels]
        self.description, self._panels, self._controls = description, panels, controls
        text = repr((controls, description, [chart.to_json() for chart in charts]))
        self._page = "explorer-" + hashlib.sha256(text.encode()).hexdigest()[:16]
        params = [control.param(self._page) for control in controls]
        others = [f"{panel.y} against {panel.x}" for panel in panels[1:]]
        self.charts = [
            chart.add_params(*params).properties(description=words)
            for chart, words in zip(charts, [description, *others], strict=True)
        ]

    def _repr_mimebundle_(self, include=None, exclude=None):
        frames = scripts = ""
        for k, (panel, chart) in enumerate(zip(self._panels, self.charts, strict=True)):
            page = chart.to_html(
                output_div=f"{self._page}-{k}",
                embed_options={"actions": False, "renderer": panel.renderer},
                fullhtml=False,
                template="universal",  # as Altair itself shows a chart: on a page and in notebooks
            )
            frame, tag, script = page.partition("<script")
            frames += f'<div style="flex-basis: {panel.width + 60}px">{frame}</div>'
            scripts += tag + script  # which ask how wide the frame is: after all frames
        controls = "".join(control.html(self._page) for control in self._controls)
        words = html.escape(self.description)
        page = (
            f'{_STYLE}<div class="explorer"><noscript><p>A figure with a slider, which needs '
            f'JavaScript. {words}</p></noscript><div class="vega-bindings">{controls}</div>'
            f'<div class="explorer-panels">{frames}</div></div>{scripts}'
        )
        return {"text/html": page, "text/plain": f"<interactive figure: {self.description}>"}
