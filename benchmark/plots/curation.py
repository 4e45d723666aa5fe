"""Small curated sets against a large biased one: worst group and balanced accuracy by size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.plots.style import CYCLE, MARKERS, figure_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = {"worst_group_accuracy": "worst-group accuracy (%)", "balanced_accuracy": "balanced accuracy (%)"}
STARTS = {"scratch": (CYCLE[0], MARKERS[0]), "pre-trained": (CYCLE[1], MARKERS[1])}


def curation_figure(numbers: Mapping[str, Any]) -> Figure:
    """After Figure 8 of Cohen-Wang et al. 2024 (arXiv 2403.00194), with the sizes of the curated sets.

    Args:
        numbers: of the study ``curation``; the file of numbers draws the same figure.
    """
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import NullLocator

    mean = numbers["means"]
    with figure_style():
        figure = Canvas(figsize=(8.6, 3.9), layout="constrained")
        for axes, (metric, label) in zip(figure.subplots(1, len(METRICS)), METRICS.items(), strict=True):
            for start, (colour, marker) in STARTS.items():
                sizes = sorted(int(size) for size in mean[start] if size != "all")
                some = [mean[start][str(size)][metric] for size in sizes]
                values = 100 * np.array([one["value"] for one in some])
                bounds = 100 * np.array([[one["low"] for one in some], [one["high"] for one in some]])
                axes.errorbar(
                    sizes, values, yerr=np.abs(bounds - values), color=colour, marker=marker, capsize=3,
                    linewidth=1.2, markersize=5, label=f"{start}, curated",
                )  # fmt: skip
                whole = mean[start]["all"][metric]
                axes.axhline(
                    100 * whole["value"], color=colour, linestyle=(0, (4, 3)), linewidth=1,
                    label=f"{start}, all of the biased set",
                )  # fmt: skip
                axes.axhspan(100 * whole["low"], 100 * whole["high"], color=colour, alpha=0.1, linewidth=0)
                axes.set_xscale("log", base=2)
                axes.set_xticks(sizes, [str(size) for size in sizes])
                axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("images in the curated set")
            axes.set_ylabel(label)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure
