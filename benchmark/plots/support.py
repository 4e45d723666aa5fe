"""In support or out of it: calibration of the classifiers and the density ratios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmark.plots.style import CYCLE, figure_style
from benchmark.support_report import SupportReport
from shifts.support import DensityRatio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR, CEILING = 1e-6, 1e3  # a ratio beyond these is drawn at the edge


def support_figure(shifts: Mapping[str, tuple[DensityRatio, SupportReport]]) -> Figure:
    """A row for each shift: predicted against observed probability, and density ratios of both sets.

    After Appendix C.2 of Cohen-Wang et al. 2024 (arXiv 2403.00194).
    """
    from matplotlib.figure import Figure as Canvas

    with figure_style():
        figure = Canvas(figsize=(8.4, 2.9 * len(shifts) + 0.2), layout="constrained")
        grid = figure.subplots(len(shifts), 2, squeeze=False)
        for (name, (ratio, report)), (left, right) in zip(shifts.items(), grid, strict=True):
            points = report.calibration
            predicted = np.array([point.predicted for point in points])
            observed = np.array([point.observed.value for point in points])
            low = observed - np.array([point.observed.low for point in points])
            high = np.array([point.observed.high for point in points]) - observed
            left.plot([0, 1], [0, 1], color="#999999", linestyle=(0, (4, 3)), linewidth=0.9)
            left.errorbar(
                predicted, observed, yerr=np.clip(np.stack([low, high]), 0, None), fmt="o", markersize=3,
                color=CYCLE[0], elinewidth=0.7,
            )  # fmt: skip
            left.set(xlabel="predicted probability of the shift", ylabel="observed", xlim=(-0.03, 1.03),
                     ylim=(-0.03, 1.03))  # fmt: skip
            left.set_title(name, loc="left", fontweight="bold")
            edges = np.geomspace(FLOOR, CEILING, 46)
            for number, (label, values) in enumerate(
                (("reference", ratio.reference), ("shift", ratio.shift))
            ):
                right.hist(
                    np.clip(values, FLOOR, CEILING), bins=edges, label=label, color=CYCLE[number],
                    weights=np.full(len(values), 1 / len(values)), histtype="stepfilled", alpha=0.45,
                )  # fmt: skip
            right.axvline(report.threshold, color="#222222", linewidth=1.0)
            right.annotate(
                f"threshold {report.threshold:g}", (report.threshold, 1.0), ha="right", va="top", fontsize=7,
                xycoords=("data", "axes fraction"), xytext=(-4, -4), textcoords="offset points", rotation=90,
            )  # fmt: skip
            right.set_xscale("log")
            right.set(xlabel="density ratio, reference / shift", ylabel="share of the examples")
            right.legend(frameon=False)
    return figure
