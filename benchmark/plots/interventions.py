"""Interventions against the line of scratch models, and whose errors they correct."""

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
COLOURS = {"scratch": CYCLE[0], "pre-trained": CYCLE[1]}


def interventions_figure(numbers: Mapping[str, Any]) -> Figure:
    """After Figure 6 of Cohen-Wang et al. 2024 (arXiv 2403.00194).

    Args:
        numbers: of the study ``interventions``; the file of numbers draws the same figure.
    """
    from matplotlib.figure import Figure as Canvas

    corrected = {name: one for name, one in numbers["corrected"].items() if one["errors"]}
    columns = 1 + len(corrected)
    with figure_style():
        figure = Canvas(figsize=(4.6 + 3.2 * len(corrected), 4.4), layout="constrained")
        ratios = [1.5, *[1.0] * len(corrected)]
        panels = figure.subplots(1, columns, squeeze=False, width_ratios=ratios)[0]
        _line_panel(panels[0], numbers)
        for axes, (name, one) in zip(panels[1:], corrected.items(), strict=True):
            _venn(axes, name, one)
    return figure


def _line_panel(axes: Axes, numbers: Mapping[str, Any]) -> None:
    rows = numbers["seeds"]
    scratch = [member for row in rows for member in row["line"]["members"]]
    cells = [
        (start, intervention, [row["models"][start][intervention] for row in rows])
        for start in COLOURS
        for intervention in rows[0]["models"][start]
    ]
    x = [one["reference"] for one in scratch]
    y = [one["shift"] for one in scratch]
    x += [one["reference"]["value"] for _, _, some in cells for one in some]
    y += [one["shift"]["value"] for _, _, some in cells for one in some]
    set_axis(axes, "x", np.array(x), SCALE, label="accuracy on the reference")
    set_axis(axes, "y", np.array(y), SCALE, label=f"{numbers['metric'].replace('_', ' ')} on the shift")
    ends = np.array(axes.get_xlim())
    for number, row in enumerate(rows):
        height = from_scale(row["line"]["intercept"] + row["line"]["slope"] * ends, SCALE)
        axes.plot(
            ends, to_scale(height, SCALE), color="#999999", linewidth=0.7, alpha=0.7,
            label="line of a seed" if number == 0 else None,
        )  # fmt: skip
    axes.scatter(
        to_scale(np.array([one["reference"] for one in scratch]), SCALE),
        to_scale(np.array([one["shift"] for one in scratch]), SCALE),
        s=12, color="#999999", label="scratch, on a share of the data", linewidths=0,
    )  # fmt: skip
    shapes = dict(zip(rows[0]["models"]["scratch"], MARKERS, strict=False))
    for start, intervention, some in cells:
        axes.scatter(
            to_scale(np.array([one["reference"]["value"] for one in some]), SCALE),
            to_scale(np.array([one["shift"]["value"] for one in some]), SCALE),
            s=30, marker=shapes[intervention], color=COLOURS[start], edgecolor="white", linewidths=0.4,
            label=f"{start}, {intervention}", zorder=3,
        )  # fmt: skip
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)


def _venn(axes: Axes, name: str, one: Mapping[str, Any]) -> None:
    """Two circles with areas as the counts, overlapping as they do."""
    from matplotlib.patches import Circle

    scale = 1 / math.sqrt(max(one["first"], one["second"], 1))
    radii = [max(math.sqrt(one[key]) * scale, 0.02) for key in ("first", "second")]
    apart = circle_distance(*radii, overlap=math.pi * one["overlap"] * scale**2)
    centres = (-apart / 2, apart / 2)
    for centre, radius, colour in zip(centres, radii, (CYCLE[1], CYCLE[2]), strict=True):
        axes.add_patch(Circle((centre, 0), radius, facecolor=colour, alpha=0.4, edgecolor=colour))
    left, right = centres[0] - radii[0], centres[1] + radii[1]
    only = [one["first"] - one["overlap"], one["second"] - one["overlap"]]
    axes.text(left, 1.12, f"pre-training\nalone {only[0]}", ha="left", va="bottom", color="#A34400")
    axes.text(right, 1.12, f"{name}\nalone {only[1]}", ha="right", va="bottom", color="#00684C")
    lens = (centres[0] + radii[0] + centres[1] - radii[1]) / 2
    axes.text(lens, 0, str(one["overlap"]), ha="center", va="center")
    covered = one["covered"]
    share = "" if covered is None else f"\n{100 * covered['value']:.0f} % of those in the circles"
    axes.set_title(f"of {one['errors']} errors of the baseline", loc="left")
    axes.text(
        sum((left, right)) / 2, -1.15, f"both at once correct {one['both']}{share}", ha="center", va="top"
    )
    axes.set_xlim(min(left, -1) - 0.1, max(right, 1) + 0.1)
    axes.set_ylim(-1.7, 1.6)
    axes.set_aspect("equal")
    axes.axis("off")


def circle_distance(first: float, second: float, *, overlap: float) -> float:
    """How far apart two circles of these radii stand when they share this area.

    >>> round(circle_distance(1.0, 1.0, overlap=0.0), 6), round(circle_distance(1.0, 0.5, overlap=9.0), 6)
    (2.0, 0.5)
    """
    near, far = abs(first - second), first + second
    for _ in range(60):
        middle = (near + far) / 2
        if _shared(first, second, middle) > overlap:
            near = middle
        else:
            far = middle
    return (near + far) / 2


def _shared(first: float, second: float, distance: float) -> float:
    if distance >= first + second:
        return 0.0
    if distance <= abs(first - second):
        return math.pi * min(first, second) ** 2
    a = (distance**2 + first**2 - second**2) / (2 * distance)
    b = distance - a
    return sum(
        radius**2 * math.acos(max(-1.0, min(1.0, part / radius)))
        - part * math.sqrt(max(radius**2 - part**2, 0.0))
        for radius, part in ((first, a), (second, b))
    )
