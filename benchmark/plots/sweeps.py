"""Effective robustness by the strength of a bias, and against accuracy by the setting of fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.plots.style import CYCLE, MARKERS, figure_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDES = {"in": ("in support", CYCLE[0]), "out": ("out of support", CYCLE[1])}


def sweeps_figure(numbers: Mapping[str, Any]) -> Figure:
    """After Figures C.1 and C.2 of Cohen-Wang et al. 2024 (arXiv 2403.00194).

    Args:
        numbers: of the study ``synthetic-sweeps``; the file of numbers draws the same figure.
    """
    from matplotlib.figure import Figure as Canvas

    strengths = numbers["strengths"]
    columns = len(strengths) + 1
    with figure_style():
        figure = Canvas(figsize=(3.6 * columns, 3.6), layout="constrained")
        panels = figure.subplots(1, columns, squeeze=False)[0]
        for axes, (bias, of_bias) in zip(panels, strengths.items(), strict=False):
            values = sorted(of_bias, key=float)
            some = [of_bias[value]["means"]["effective_robustness"] for value in values]
            _with_bars(axes, [float(value) for value in values], some, colour=CYCLE[0])
            weak = [
                value for value in values if 2 * of_bias[value]["weak_fits"] > len(of_bias[value]["seeds"])
            ]
            for value in weak:
                axes.annotate("weak", (float(value), 0), xycoords=("data", "axes fraction"), ha="center",
                              va="bottom", fontsize=7, color="#777777")  # fmt: skip
            axes.set_xlabel(f"strength of the {bias}")
            axes.set_ylabel("effective robustness (points)")
        _settings(panels[-1], numbers["settings"])
    return figure


def _with_bars(axes: Axes, x: list[float], some: list[Mapping[str, Any]], *, colour: str) -> None:
    y = 100 * np.array([one["value"] for one in some])
    bounds = 100 * np.array([[one["low"] for one in some], [one["high"] for one in some]])
    axes.axhline(0, color="#999999", linewidth=0.9)
    axes.errorbar(
        x, y, yerr=np.abs(bounds - y), color=colour, marker="o", markersize=4, capsize=3, linewidth=1
    )


def _settings(axes: Axes, settings: Mapping[str, Any]) -> None:
    axes.axhline(0, color="#999999", linewidth=0.9)
    for marker, (side, (label, colour)) in zip(MARKERS, SIDES.items(), strict=False):
        some = [one["means"] for one in settings[side].values()]
        robust = [one["effective_robustness"] for one in some]
        y = 100 * np.array([one["value"] for one in robust])
        bounds = 100 * np.array([[one["low"] for one in robust], [one["high"] for one in robust]])
        axes.errorbar(
            [100 * one["reference_accuracy"]["value"] for one in some], y, yerr=np.abs(bounds - y),
            color=colour, marker=marker, linestyle="none", markersize=4, elinewidth=0.6, label=label,
        )  # fmt: skip
    axes.set_xlabel("accuracy on the reference (%), one point a setting")
    axes.set_ylabel("effective robustness (points)")
    axes.legend(loc="center left", frameon=False)
