"""One matplotlib style, and the few figure forms that recur in the book."""

from __future__ import annotations

from typing import TYPE_CHECKING

import IPython
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Ellipse
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.lab.sweep import standard_error

if TYPE_CHECKING:
    import xarray

__all__ = [
    "COLORS",
    "levels",
    "particles",
    "points",
    "spectrum",
    "theory_and_simulation",
    "use_style",
]

#: Colour-blind-safe colours (Okabe & Ito), dark enough on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def use_style() -> None:
    """Set the book's matplotlib style: opaque white, thin axes, colour-blind-safe colours.

    A figure 7.4 inches wide fills the page at its own size, with text of 9 points or more, drawn
    with twice as many pixels in notebooks.
    """
    if IPython.get_ipython() is not None:
        set_matplotlib_formats("retina")
    plt.rcParams.update(
        {
            "figure.figsize": (7.4, 4.0),
            "figure.dpi": 100,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "savefig.facecolor": "white",
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "axes.linewidth": 0.8,
            "font.size": 10.5,
            "xtick.labelsize": 9.5,
            "ytick.labelsize": 9.5,
            "axes.titlesize": 11,
            "legend.frameon": False,
            "legend.fontsize": 9.5,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
        }
    )


def points(
    ax: Axes,
    samples: xarray.DataArray,
    along: str | None = None,
    *,
    x: ArrayLike | None = None,
    label: str | None = None,
    color: str | None = None,
    marker: str = "o",
) -> None:
    """Simulation points: the mean over seeds, with error bars of one standard error.

    Parameters
    ----------
    ax : matplotlib Axes
    samples : xarray.DataArray
        As from `twolayer.lab.sweep.sweep`: the dimension "seed" and at most one more.
    along : str, optional
        The coordinate on the horizontal axis; that of the other dimension without it.
    x : array_like, optional
        Where the points stand instead: one number a point.
    label, color, marker
        As in matplotlib.
    """
    if not hasattr(samples, "dims"):
        raise TypeError(f"samples must be an xarray.DataArray, got {type(samples).__name__}")
    rest = [name for name in samples.dims if name != "seed"]
    if "seed" not in samples.dims or len(rest) > 1:
        raise ValueError(f"samples has dimensions {samples.dims}; it must have 'seed' and one more")
    if x is None:
        x = samples[along or (rest[0] if rest else "x")]
    _checks.real_array("samples", samples)  # a mean by name would skip what is not a number
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.6, "elinewidth": 1.2, "capsize": 2.5}
    ax.errorbar(
        np.atleast_1d(x),
        np.atleast_1d(samples.mean("seed")),
        np.atleast_1d(standard_error(samples)),
        fmt=marker,
        color=color,
        label=label,
        zorder=3,
        **edge,
    )


def theory_and_simulation(
    ax: Axes,
    x_theory: ArrayLike,
    theory: ArrayLike,
    samples: xarray.DataArray,
    along: str | None = None,
    *,
    x: ArrayLike | None = None,
    label: str | None = None,
    color: str | None = None,
    marker: str = "o",
) -> None:
    """A theory line under simulation points: the form of most figures of the book.

    Parameters
    ----------
    ax : matplotlib Axes
    x_theory, theory : array_like, shape (k,)
        The line; nan leaves a gap.
    samples, along, x, label, marker
        See `points`; one label for both.
    color
        Of both; the next of the cycle without it.
    """
    (line,) = ax.plot(x_theory, theory, color=color, zorder=2)
    points(ax, samples, along, x=x, label=label, color=line.get_color(), marker=marker)


def levels(ax: Axes, values: dict[str, float]) -> None:
    """Reference levels: dashed horizontal lines with their names at the right edge.

    Parameters
    ----------
    ax : matplotlib Axes
    values : dict of str to float
        Name to height, in data units.
    """
    for name, value in values.items():
        ax.axhline(value, color="#8a8a8a", lw=1, ls=(0, (5, 3)), zorder=1)
        place = {"xy": (1, value), "xycoords": ax.get_yaxis_transform(), "ha": "right"}
        offset = {"xytext": (-3, 3), "textcoords": "offset points"}
        ax.annotate(name, **place, **offset, fontsize=9.5, color="#444444")


def spectrum(
    ax: Axes,
    values: ArrayLike,
    grid: ArrayLike,
    density: ArrayLike,
    outlier: float | None = None,
    *,
    bins: int = 60,
    color: str = COLORS[0],
) -> None:
    """A histogram of singular values with its Marchenko-Pastur bulk, and the predicted outlier.

    Parameters
    ----------
    ax : matplotlib Axes
    values : array_like, shape (k,)
        Singular values.
    grid, density : array_like, shape (p,)
        The predicted density of the bulk, as from `twolayer.theory.one_step.bulk_density`.
    outlier : float, optional
        Where `twolayer.theory.one_step.outlier` predicts one; nan marks none.
    bins : int
    color
    """
    values = _checks.real_array("values", values, minimum=0)
    ax.hist(values, bins, density=True, color=color, alpha=0.3, label="simulation")
    ax.plot(grid, density, color=color, label="Marchenko–Pastur")
    if outlier is not None and np.isfinite(outlier):
        top = ax.get_ylim()[1]
        ax.annotate(
            "outlier, predicted",
            (outlier, 0.06 * top),
            (outlier, 0.35 * top),
            ha="center",
            color=COLORS[1],
            arrowprops={"arrowstyle": "->", "color": COLORS[1]},
        )
    ax.set(xlabel="singular value", ylabel="density")


def particles(
    ax: Axes,
    W: ArrayLike,
    a: ArrayLike,
    plane: ArrayLike,
    *,
    start: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
    title: str | None = None,
) -> None:
    """Neurons as particles: dots on a plane, sized and coloured by the readout.

    Parameters
    ----------
    ax : matplotlib Axes
    W : array_like, shape (m, d)
        First layer.
    a : array_like, shape (m,)
        Readout.
    plane : array_like, shape (2, d)
        Two orthonormal directions: the axes of the picture.
    start : array_like, shape (m, d), optional
        An earlier first layer: a trail leads from it to each dot.
    covariance : array_like, shape (2, 2), optional
        Predicted covariance of the cloud, in the picture's units: drawn as the ellipse that holds
        two standard deviations.
    title : str, optional

    Notes
    -----
    Coordinates are in units of 1/sqrt(d), the standard deviation of an initial weight.
    """
    W, plane = _checks.real_array("W", W), _checks.real_array("plane", plane)
    a = _checks.real_array("a", a)
    if plane.shape != (2, W.shape[1]) or not np.allclose(plane @ plane.T, np.eye(2), atol=1e-6):
        raise ValueError(f"plane must hold 2 orthonormal rows of length {W.shape[1]}")
    if a.shape != (len(W),):
        raise ValueError(f"a has shape {a.shape}; W has {len(W)} rows (neurons)")
    unit = np.sqrt(W.shape[1])
    places = unit * W @ plane.T
    colors = np.where(a > 0, COLORS[0], COLORS[1])
    if start is not None:
        origin = unit * np.asarray(start) @ plane.T
        trails = np.stack([origin, places], axis=1)
        ax.add_collection(LineCollection(trails, colors=colors, linewidths=0.5, alpha=0.22))
    order = np.argsort(-abs(a))  # small dots on top
    size = 4 + 46 * (abs(a) / max(abs(a).max(), 1e-300))
    ax.scatter(
        *places[order].T,
        s=size[order],
        c=colors[order],
        alpha=0.8,
        edgecolor="white",
        linewidth=0.4,
        zorder=3,
    )
    if covariance is not None:
        ax.add_patch(_two_deviations(np.asarray(covariance, dtype=float)))
    ax.set_aspect("equal")
    ax.grid(False)
    for draw in (ax.axhline, ax.axvline):
        draw(0, color="#cccccc", lw=0.7, zorder=0)
    ax.set_title(title or "")


def _two_deviations(covariance):
    """The ellipse that holds two standard deviations around zero."""
    variances, axes = np.linalg.eigh(covariance)
    angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
    height, width = 4 * np.sqrt(variances)
    style = {"fill": False, "ls": (0, (4, 3)), "lw": 1.4, "zorder": 4}
    return Ellipse((0, 0), width, height, angle=angle, **style)
