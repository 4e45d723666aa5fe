"""Spectra of features: each singular value's share against its rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmark.plots.style import CYCLE, DASHES, figure_style
from benchmark.spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST = 1e-6  # a share below it is not drawn: it is a direction that the features do not use


def spectrum_figure(spectra: Mapping[str, Spectrum], *, title: str) -> Figure:
    """Normalised singular values on a logarithmic scale, and both statistics with their intervals.

    After the feature-space analysis of Chen et al. 2024 (arXiv 2403.06869).

    Args:
        spectra: name → spectrum, in the order of the legend.
        title: of the figure.
    """
    from matplotlib.figure import Figure as Canvas

    with figure_style():
        tall = max(3.0, 0.28 * len(spectra) + 1.2)
        figure = Canvas(figsize=(9.0, tall), layout="constrained")
        left, *right = figure.subplots(1, 3, width_ratios=(2.2, 1, 1))
        for number, (name, one) in enumerate(spectra.items()):
            shares = one.values / one.values.sum()
            shares = shares[shares > SMALLEST]
            left.plot(
                np.arange(1, len(shares) + 1), shares, label=name, color=CYCLE[number % len(CYCLE)],
                linestyle=DASHES[number // len(CYCLE) % len(DASHES)], linewidth=1.3,
            )  # fmt: skip
        left.set_xscale("log")
        left.set_yscale("log")
        left.set(xlabel="rank of the singular value", ylabel="share of the sum of singular values")
        left.set_title(title, loc="left", fontweight="bold")
        left.legend(frameon=False, loc="lower left")
        rows = np.arange(len(spectra))
        for axes, statistic, label in zip(right, ("sve", "lsvr"), ("SVE (nats)", "LSVR (nats)"), strict=True):
            found = [getattr(one, statistic) for one in spectra.values()]
            values = np.array([one.value for one in found])
            reach = np.array(
                [[one.value - one.low for one in found], [one.high - one.value for one in found]]
            )
            for row in rows.tolist():
                axes.errorbar(
                    values[row], row, xerr=reach[:, row : row + 1], fmt="o", markersize=4, elinewidth=1.0,
                    color=CYCLE[row % len(CYCLE)],
                )  # fmt: skip
            axes.set_yticks(rows, labels=[] if axes is right[1] else list(spectra))
            axes.set_ylim(len(spectra) - 0.5, -0.5)
            axes.set_xlabel(label)
            axes.locator_params(axis="x", nbins=4)
    return figure
