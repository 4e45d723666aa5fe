"""Noise in pre-training: accuracy against its rate, the plane with the line of scratch models, spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.plots.style import CYCLE, DASHES, LINE, MARKERS, figure_style, set_axis
from benchmark.scales import Scale, from_scale, to_scale
from benchmark.studies.noisy_numbers import by_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALE: Scale = "probit"
SHADES = ("#08306B", "#2171B5", "#6BAED6", "#FD8D3C", "#D94801")  # of rates, from none to the highest
AXIS = "noise in pre-training (%)"


def noisy_figure(numbers: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """A row for each kind of pre-training, after Figures 1 to 4 of Chen et al. (arXiv 2309.17002).

    Accuracy in distribution and out of it; both in one plane, with the line of scratch models if there is
    one; SVE and LSVR; the singular values.

    Args:
        numbers: of the study ``noisy-pretraining``; the file of numbers draws the same figure.
        titles: way to tune → what the legend calls it.
    """
    from matplotlib.figure import Figure as Canvas

    kinds = numbers["kinds"]
    with figure_style():
        figure = Canvas(figsize=(18.5, 3.5 * len(kinds) + 0.4), layout="constrained")
        grid = figure.subplots(len(kinds), 5, squeeze=False)
        for (kind, of_kind), row in zip(sorted(kinds.items(), reverse=True), grid, strict=True):
            rates = by_rate(of_kind["rates"])
            for measure, axes, words in (("id", row[0], "in distribution"), ("ood", row[1], "out of it")):
                _accuracies(axes, rates, titles, measure)
                axes.set_title(f"{kind}: {words}", loc="left")
            _plane(row[2], numbers["line"], rates, titles)
            _statistics(row[3], rates)
            _singular_values(row[4], by_rate(of_kind["spectrum"]))
        handles, labels = grid[-1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _bars(axes: Axes, rates: Mapping[str, Any], name: str, *, factor: float, **style: Any) -> None:
    some = [one[name] for one in rates.values()]
    values = [factor * one["value"] for one in some]
    low = [value - factor * one["low"] for value, one in zip(values, some, strict=True)]
    high = [factor * one["high"] - value for value, one in zip(values, some, strict=True)]
    places = np.array([float(rate) for rate in rates]) + style.pop("moved", 0.0)
    axes.errorbar(places, values, yerr=[low, high], markersize=4, linewidth=1.2, elinewidth=0.8, **style)


def _accuracies(axes: Axes, rates: Mapping[str, Any], titles: Mapping[str, str], measure: str) -> None:
    clean = next(iter(rates.values()))
    for number, (who, title) in enumerate(titles.items()):
        if f"{who}_{measure}" in clean:
            _bars(
                axes, rates, f"{who}_{measure}", factor=100, label=title, moved=0.35 * (number - 1.5),
                color=CYCLE[number], marker=MARKERS[number], linestyle=DASHES[number],
            )  # fmt: skip
    axes.set_xlabel(AXIS)
    axes.set_ylabel("accuracy (%)" if measure == "id" else "mean accuracy over shifts (%)")


def _plane(
    axes: Axes, line: Mapping[str, Any] | None, rates: Mapping[str, Any], titles: Mapping[str, str]
) -> None:
    members = [] if line is None else line["members"]
    clean = next(iter(rates.values()))
    tuned = [who for who in titles if f"{who}_id" in clean]
    x = [one["reference"] for one in members]
    y = [one["shift"] for one in members]
    places = {who: [(one[f"{who}_id"]["value"], one[f"{who}_ood"]["value"]) for one in rates.values()]
              for who in tuned}  # fmt: skip
    everything = [place for some in places.values() for place in some]
    set_axis(axes, "x", np.array([*x, *(a for a, _ in everything)]), SCALE, label="in distribution")
    set_axis(axes, "y", np.array([*y, *(b for _, b in everything)]), SCALE, label="out of distribution")
    if line is not None:
        ends = np.array(axes.get_xlim())
        height = from_scale(line["intercept"] + line["slope"] * ends, SCALE)
        axes.plot(ends, to_scale(height, SCALE), color=LINE, linewidth=0.9)
        on_axes = [to_scale(np.array(side), SCALE) for side in (x, y)]
        axes.scatter(on_axes[0], on_axes[1], s=10, color="#BBBBBB", linewidths=0)
    for who, some in places.items():
        marker = MARKERS[list(titles).index(who)]
        across, up = (to_scale(np.array(side), SCALE) for side in zip(*some, strict=True))
        axes.plot(across, up, color="#999999", linewidth=0.7, zorder=3)
        axes.scatter(across, up, s=26, marker=marker, c=_shades(len(some)), edgecolor="white", linewidths=0.4,
                     zorder=4)  # fmt: skip
    grey = "" if line is None else "with scratch models (grey); "
    axes.set_title(f"{grey}blue to red: more noise", loc="left", fontsize=8)


def _statistics(axes: Axes, rates: Mapping[str, Any]) -> None:
    other = axes.twinx()
    _bars(axes, rates, "sve_centred", factor=1, color=CYCLE[0], marker="o", moved=-0.2)
    _bars(other, rates, "lsvr_centred", factor=1, color=CYCLE[1], marker="s", moved=0.2, linestyle="--")
    axes.set_ylabel("SVE (nats, solid)", color=CYCLE[0])
    other.set_ylabel("LSVR (nats, dashed)", color=CYCLE[1])
    other.spines["right"].set_visible(True)
    other.grid(visible=False)
    axes.set_xlabel(AXIS)
    axes.set_title("frozen features, centred", loc="left")


def _singular_values(axes: Axes, spectra: Mapping[str, Sequence[float]]) -> None:
    for (rate, values), shade in zip(spectra.items(), _shades(len(spectra)), strict=True):
        axes.plot(np.arange(1, len(values) + 1), values, color=shade, linewidth=1.1, label=f"{rate} %")
    axes.set_yscale("log")
    axes.set_xlabel("singular value")
    axes.set_ylabel("share of their sum")
    axes.legend(frameon=False, title="noise")
    axes.set_title("frozen features, centred", loc="left")


def _shades(number: int) -> list[str]:
    places = np.linspace(0, len(SHADES) - 1, number).round().astype(int)
    return [SHADES[place] for place in places]
