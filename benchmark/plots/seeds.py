"""Scratch models, lines and pre-trained models of several seeds, one panel per shift."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.plots.style import CYCLE, MARKERS, figure_style, set_axis
from benchmark.scales import Scale, from_scale, to_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALE: Scale = "probit"
ARMS = {"pre-trained": CYCLE[1], "control": CYCLE[2]}
LABELS = {
    "shares": ("o", "scratch model on a share of the data"),
    "checkpoints": ("x", "checkpoint of a scratch model"),
}


def seeds_figure(shifts: Mapping[str, Mapping[str, Any]]) -> Figure:
    """After Figure 4 of Cohen-Wang et al. 2024 (arXiv 2403.00194).

    Args:
        shifts: the numbers of the study ``synthetic-shifts``; the file of numbers draws the same figure.
    """
    from matplotlib.figure import Figure as Canvas

    columns = min(len(shifts), 3)
    rows = math.ceil(len(shifts) / columns)
    with figure_style():
        figure = Canvas(figsize=(3.9 * columns, 3.7 * rows + 0.5), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for spare in grid[len(shifts) :]:
            spare.set_visible(False)
        for (shift, one), axes in zip(shifts.items(), grid, strict=False):
            _panel(axes, shift, one)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, shift: str, one: Mapping[str, Any]) -> None:
    known = [line for line in LABELS if line in one["seeds"][0]["lines"]]
    members = {
        line: [member for row in one["seeds"] for member in row["lines"][line]["members"]] for line in known
    }
    tuned = {
        (arm, method): [row["models"][arm][method] for row in one["seeds"]]
        for arm in ARMS
        if arm in one["seeds"][0]["models"]
        for method in one["seeds"][0]["models"][arm]
    }
    x = [m["reference"] for some in members.values() for m in some]
    y = [m["shift"] for some in members.values() for m in some]
    x += [m["reference"]["value"] for some in tuned.values() for m in some]
    y += [m["shift"]["value"] for some in tuned.values() for m in some]
    set_axis(axes, "x", np.array(x), SCALE, label=one["reference"])
    set_axis(axes, "y", np.array(y), SCALE, label=shift)
    axes.set_title(f"{shift} ({one['support']} support)".replace("(out ", "(out of "), loc="left")
    ends = np.array(axes.get_xlim())
    axes.plot(ends, ends, color="#999999", linestyle=(0, (4, 3)), linewidth=0.9, label="y = x")
    for number, row in enumerate(one["seeds"]):
        line = row["lines"][known[0]]
        height = from_scale(line["intercept"] + line["slope"] * ends, SCALE)
        axes.plot(
            ends, to_scale(height, SCALE), color=CYCLE[0], linewidth=0.8, alpha=0.6,
            label="line of a seed" if number == 0 else None,
        )  # fmt: skip
    for line in reversed(known):
        marker, label = LABELS[line]
        axes.scatter(
            to_scale(np.array([m["reference"] for m in members[line]]), SCALE),
            to_scale(np.array([m["shift"] for m in members[line]]), SCALE),
            s=14, marker=marker, color=CYCLE[0] if marker == "o" else "#999999", alpha=0.8,
            linewidths=0.8 if marker == "x" else 0, label=label, zorder=3,
        )  # fmt: skip
    for number, ((arm, method), some) in enumerate(tuned.items()):
        axes.scatter(
            to_scale(np.array([m["reference"]["value"] for m in some]), SCALE),
            to_scale(np.array([m["shift"]["value"] for m in some]), SCALE),
            s=26, marker=MARKERS[1 + number % (len(MARKERS) - 1)], color=ARMS[arm], edgecolor="white",
            linewidths=0.4, label=f"{arm}, {method.upper()}", zorder=4,
        )  # fmt: skip
