"""Accuracy on the line: in-distribution against out-of-distribution accuracy, one panel per shift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.plots.labels import place_labels
from benchmark.plots.panels import Panel
from benchmark.plots.style import FAMILIES, LINE, MINE, OTHER, figure_style, set_axis
from benchmark.scales import Floats, Scale, from_scale, to_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 4.2  # inches


def scatter(panels: Sequence[Panel], *, level: float = 0.95, labels: bool = True) -> Figure:
    """Small multiples of ID-vs-OOD accuracy.

    Every panel has its baseline models by family, the line with the confidence band of its mean and the
    prediction interval of one more model, y = x, and the user's models with error bars and names.

    Args:
        panels: one per shift, of one scale.
        level: of bands and error bars.
        labels: whether the user's models are named in the figure.
    """
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(len(panels), 3 if len(panels) != 4 else 2)
    rows = math.ceil(len(panels) / columns)
    spacing = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    with figure_style():
        figure = Canvas(figsize=(SIDE * columns + 0.3, SIDE * rows + 0.6), layout=spacing)
        grid = figure.subplots(rows, columns, squeeze=False)
        for spare in grid.ravel()[len(panels) :]:
            spare.set_visible(False)
        for panel, axes in zip(panels, grid.ravel(), strict=False):
            _draw(axes, panel, level)
        _legend(figure, panels, columns)
        if labels:
            for panel, axes in zip(panels, grid.ravel(), strict=False):
                _name(axes, panel)
    return figure


def _draw(axes: Axes, panel: Panel, level: float) -> None:
    fit, scale = panel.fit, panel.fit.scale
    points = panel.shown
    x = [p.reference_accuracy for p in points]
    y = [p.shift_accuracy for p in points]
    for one in panel.mine:
        x += [one.reference.low, one.reference.high]
        y += [one.shift.low, one.shift.high]
    set_axis(axes, "x", np.array(x), scale, label=fit.reference, most=7)
    set_axis(axes, "y", np.array(y), scale, label=fit.shift, most=8)
    axes.set_title(f"{fit.shift}", loc="left", fontweight="bold")
    low, high = axes.get_xlim()
    grid = np.linspace(low, high, 200)
    accuracy = np.clip(from_scale(grid, scale), 0, 1)
    axes.plot(grid, grid, color="#999999", linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
    band, more = fit.band(accuracy, level=level), fit.prediction_interval(accuracy, level=level)
    axes.fill_between(
        grid, _on(more.low, scale), _on(more.high, scale), color="#0072B2", alpha=0.08, lw=0, zorder=1
    )
    axes.fill_between(
        grid, _on(band.low, scale), _on(band.high, scale), color="#0072B2", alpha=0.30, lw=0, zorder=2
    )
    sign = "+" if fit.intercept >= 0 else "−"
    unit = "" if scale == "linear" else f"{scale} "
    axes.plot(
        grid,
        _on(band.expected, scale),
        color=LINE,
        linewidth=1.3,
        zorder=4,
        label=f"{unit}y = {fit.slope:.3f} · {unit}x {sign} {abs(fit.intercept):.3f}\n"
        f"r² = {fit.r2:.3f}, {fit.n_models} models",
    )
    members = panel.members
    for family in _families([panel]):
        _, colour, marker = FAMILIES.get(family, OTHER)
        for inside in (False, True):
            chosen = [p for p in points if p.family == family and (p.model in members) == inside]
            axes.scatter(
                _on(np.array([p.reference_accuracy for p in chosen]), scale),
                _on(np.array([p.shift_accuracy for p in chosen]), scale),
                s=16 if inside else 12,
                marker=marker,
                color=colour,
                alpha=0.75 if inside else 0.55,
                linewidths=0,
                zorder=3,
            )
    for one in panel.mine:
        x_at, y_at = _point(one.reference.value, scale), _point(one.shift.value, scale)
        axes.errorbar(
            [x_at],
            [y_at],
            xerr=[
                [x_at - _point(one.reference.low, scale)],
                [_point(one.reference.high, scale) - x_at],
            ],
            yerr=[[y_at - _point(one.shift.low, scale)], [_point(one.shift.high, scale) - y_at]],
            color=MINE,
            marker="*",
            markersize=10,
            markeredgecolor="white",
            markeredgewidth=0.6,
            elinewidth=1,
            zorder=6,
        )
    axes.legend(loc="upper left", frameon=True, framealpha=0.85, edgecolor="none", handlelength=1.4)


def _name(axes: Axes, panel: Panel) -> None:
    scale = panel.fit.scale
    names = [
        (_point(one.reference.value, scale), _point(one.shift.value, scale), one.model) for one in panel.mine
    ]
    dots = [(_point(p.reference_accuracy, scale), _point(p.shift_accuracy, scale)) for p in panel.shown]
    for one in panel.mine:  # names keep off the error bars, too
        for part in np.linspace(0, 1, 9).tolist():
            x = one.reference.low + part * (one.reference.high - one.reference.low)
            y = one.shift.low + part * (one.shift.high - one.shift.low)
            dots.append((_point(x, scale), _point(one.shift.value, scale)))
            dots.append((_point(one.reference.value, scale), _point(y, scale)))
    place_labels(axes, names, points=dots, colour="#7A3300")


def _legend(figure: Figure, panels: Sequence[Panel], columns: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = []
    for family in _families(panels):
        label, colour, marker = FAMILIES.get(family, OTHER)
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5, label=label))
    if any(panel.mine for panel in panels):
        handles.append(Line2D([], [], color=MINE, marker="*", ls="", markersize=9, label="your models"))
    handles += [
        Line2D([], [], color="#999999", linestyle=(0, (4, 3)), linewidth=0.9, label="y = x"),
        Patch(color="#0072B2", alpha=0.30, lw=0, label="95 % band of the line"),
        Patch(color="#0072B2", alpha=0.08, lw=0, label="95 % prediction interval"),
    ]
    names = ", ".join(dict.fromkeys(panel.baseline.identifier for panel in panels))
    hidden = max(len(panel.points) - len(panel.shown) for panel in panels)
    aside = f" ({hidden} much weaker ones lie outside the frame)" if hidden else ""
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), 3 if columns < 3 else 5),
        frameon=False,
        title=f"baseline models: {names}{aside}",
        title_fontsize=8,
    )


def _families(panels: Sequence[Panel]) -> list[str]:
    present = {point.family for panel in panels for point in panel.shown}
    known = [family for family in FAMILIES if family in present]
    return [*reversed(known), *sorted(present - set(known))]


def _on(accuracy: Floats, scale: Scale) -> Floats:
    return to_scale(np.asarray(accuracy, dtype=np.float64), scale)


def _point(accuracy: float, scale: Scale) -> float:
    return float(to_scale(np.array(accuracy), scale))
