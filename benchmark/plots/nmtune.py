"""Accuracy and spectra of tuned features against noise in pre-training, one line for each way to tune."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from benchmark.plots.style import CYCLE, DASHES, MARKERS, figure_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "id": ("in distribution", "accuracy (%)", 100),
    "ood": ("out of distribution", "mean accuracy over shifts (%)", 100),
    "sve": ("entropy of the singular values", "SVE (nats)", 1),
    "lsvr": ("dominance of the largest singular value", "LSVR (nats): lower is more dominant", 1),
}
APART = 0.08  # of the distance of two rates, between the methods at one of them


def nmtune_figure(
    rates: Mapping[str, Mapping[str, Any]],
    titles: Mapping[str, str],
    *,
    beside: Mapping[str, str] | None = None,
) -> Figure:
    """Four panels with means over seeds and their intervals.

    Args:
        rates: percent of noise → the numbers of the study ``nmtune`` at that rate.
        titles: method → what the legend calls it.
        beside: method → the one it is a variant of, whose colour and marker it takes, open.
    """
    from matplotlib.figure import Figure as Canvas

    places = [float(rate) for rate in rates]
    least = min(b - a for a, b in pairwise(places))
    variants = dict(beside or {})
    looks = {method: place for place, method in enumerate(one for one in titles if one not in variants)}
    with figure_style():
        figure = Canvas(figsize=(8.4, 6.8), layout="constrained")
        for axes, (measure, (title, label, factor)) in zip(
            figure.subplots(2, 2).ravel(), PANELS.items(), strict=True
        ):
            for number, (method, name) in enumerate(titles.items()):
                look = looks[variants.get(method, method)]
                moved = APART * least * (number - (len(titles) - 1) / 2)
                some = [one["methods"][method][measure] for one in rates.values()]
                axes.errorbar(
                    [place + moved for place in places],
                    [factor * one["value"] for one in some],
                    yerr=[
                        [factor * (one["value"] - one["low"]) for one in some],
                        [factor * (one["high"] - one["value"]) for one in some],
                    ],
                    label=name, color=CYCLE[look % len(CYCLE)], marker=MARKERS[look % len(MARKERS)],
                    markerfacecolor="white" if method in variants else None,
                    linestyle=DASHES[look % len(DASHES)], markersize=4, linewidth=1.2, elinewidth=0.8,
                )  # fmt: skip
            axes.set_title(title, loc="left")
            axes.set_xticks(places)
            axes.set_xlabel("labels wrong in pre-training (%)")
            axes.set_ylabel(label)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
