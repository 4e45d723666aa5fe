"""Accuracy against severity, confidence against accuracy, shape against texture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.calibration import ReliabilityBin
from benchmark.estimate import Estimate
from benchmark.plots.style import CYCLE, DASHES, HUMAN, MARKERS, figure_style
from benchmark.result import Result
from benchmark.shape_bias import ShapeBias

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def severity_curves(results: Sequence[Result]) -> Figure:
    """One panel per corruption: accuracy of every model against severity, severity 0 being the reference.

    Args:
        results: of one reference and its corruptions; those without severity, other than the reference, are
            passed over.

    Raises:
        ValueError: no result has a severity.
    """
    from matplotlib.figure import Figure as Canvas

    curves: dict[str, dict[str, dict[int, Estimate]]] = {}
    clean = {one.model: one.accuracy for one in results if one.kind == "reference" and one.accuracy}
    for one in results:
        if one.severity is not None and one.accuracy is not None:
            corruption = one.shift.rpartition("/")[0]
            curves.setdefault(corruption, {}).setdefault(one.model, {})[one.severity] = one.accuracy
    if not curves:
        raise ValueError("none of the results has a severity")
    models = sorted({model for by_model in curves.values() for model in by_model})
    columns = min(len(curves), 4)
    rows = math.ceil(len(curves) / columns)
    with figure_style():
        figure = Canvas(figsize=(2.5 * columns + 0.6, 2.2 * rows + 0.9), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for spare in grid.ravel()[len(curves) :]:
            spare.set_visible(False)
        # A panel above an empty place has to carry the labels of the shared axis itself.
        last = {column: max(place for place in range(len(curves)) if place % columns == column)
                for column in range(columns)}  # fmt: skip
        for place, ((corruption, by_model), axes) in enumerate(
            zip(sorted(curves.items()), grid.ravel(), strict=False)
        ):
            for number, model in enumerate(models):
                points = dict(by_model.get(model, {}))
                start = clean.get(model)
                if start is not None:
                    points[0] = start
                at = sorted(points)
                values = 100 * np.array([points[level].value for level in at])
                low = 100 * np.array([points[level].low for level in at])
                high = 100 * np.array([points[level].high for level in at])
                axes.errorbar(
                    at,
                    values,
                    yerr=[values - low, high - values],
                    color=CYCLE[number % len(CYCLE)],
                    linestyle=DASHES[number // len(CYCLE) % len(DASHES)],
                    marker=MARKERS[number % len(MARKERS)],
                    markersize=3.5,
                    linewidth=1.2,
                    elinewidth=0.8,
                    label=model,
                )
            axes.set_title(corruption.rpartition("/")[2], fontsize=9)
            axes.set_xticks(range(6))
            axes.set_xlim(-0.3, max(5, *(max(one, default=0) for one in by_model.values())) + 0.3)
            axes.set_ylim(0, 102)
            if place == last[place % columns]:
                axes.tick_params(labelbottom=True)
                axes.set_xlabel("severity")
            if place % columns == 0:
                axes.set_ylabel("accuracy (%)")
        handles, names = grid.ravel()[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside lower center", ncols=min(len(names), 2 + columns), frameon=False
        )
    return figure


def reliability(
    diagrams: Mapping[str, Sequence[ReliabilityBin]], *, errors: Mapping[str, Estimate]
) -> Figure:
    """One reliability diagram per title: accuracy against confidence in bins, with the share of examples.

    Args:
        diagrams: title → bins.
        errors: title → expected calibration error.
    """
    from matplotlib.figure import Figure as Canvas

    columns = min(len(diagrams), 4)
    rows = math.ceil(len(diagrams) / columns)
    with figure_style():
        figure = Canvas(figsize=(2.9 * columns + 0.3, 3.1 * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for spare in grid.ravel()[len(diagrams) :]:
            spare.set_visible(False)
        for (title, bins), axes in zip(diagrams.items(), grid.ravel(), strict=False):
            total = sum(one.n for one in bins)
            axes.plot([0, 100], [0, 100], color="#999999", linestyle=(0, (4, 3)), linewidth=0.9, zorder=2)
            for one in bins:
                axes.bar(
                    100 * (one.low + one.high) / 2,
                    100 * one.n / total,
                    width=95 * (one.high - one.low),
                    color="#DDDDDD",
                    zorder=1,
                )
            at = [100 * one.confidence for one in bins]
            values = np.array([100 * one.accuracy.value for one in bins])
            axes.errorbar(
                at,
                values,
                yerr=[
                    values - np.array([100 * one.accuracy.low for one in bins]),
                    np.array([100 * one.accuracy.high for one in bins]) - values,
                ],
                color=CYCLE[0],
                marker="o",
                markersize=4,
                linewidth=1.2,
                elinewidth=0.9,
                zorder=3,
            )
            error = errors[title]
            detail = f"ECE {100 * error.value:.1f} % [{100 * error.low:.1f}, {100 * error.high:.1f}]"
            axes.set_title(f"{title}\n{detail}", loc="left", fontsize=8)
            axes.set_xlim(0, 100)
            axes.set_ylim(0, 101)
            axes.set_aspect("equal")
            axes.set_xlabel("confidence (%)")
            axes.set_ylabel("accuracy; share (%)")
    return figure


def shape_bias(observers: Sequence[ShapeBias]) -> Figure:
    """Fraction of shape decisions by class: a row per class, a mark per observer, its mean as a line."""
    from matplotlib.figure import Figure as Canvas

    classes = sorted({name for one in observers for name in one.by_class})
    with figure_style():
        figure = Canvas(figsize=(5.2, 0.27 * len(classes) + 1.7), layout="constrained")
        axes = figure.subplots()
        for number, one in enumerate(observers):
            colour = HUMAN if one.human else CYCLE[number % len(CYCLE)]
            marker = MARKERS[number % len(MARKERS)]
            rows, values = [], []
            for row, name in enumerate(classes):
                shape, texture = one.by_class.get(name, (0, 0))
                if shape + texture:
                    rows.append(row)
                    values.append(100 * shape / (shape + texture))
            axes.scatter(values, rows, s=24, color=colour, marker=marker, alpha=0.85, linewidths=0, zorder=3)
            axes.axvline(100 * one.value, color=colour, linewidth=1.2, linestyle=DASHES[number % 4], zorder=2)
            axes.plot(
                [],
                [],
                color=colour,
                marker=marker,
                linestyle=DASHES[number % 4],
                label=f"{one.observer}: {100 * one.value:.0f} %",
            )
        axes.set_yticks(range(len(classes)), labels=classes)
        axes.invert_yaxis()
        axes.set_xlim(-2, 102)
        axes.set_xlabel("shape decisions (% of shape and texture decisions)")
        figure.legend(loc="outside lower center", ncols=min(3, len(observers)), frameon=False)
    return figure
