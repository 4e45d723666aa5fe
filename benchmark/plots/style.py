"""Colours, markers, percent ticks on probit and logit axes: what all figures have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmark.scales import Floats, Scale, to_scale
from shifts.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by the colour-blind; each family has a shape as well, for print in grey.
FAMILIES: dict[str, tuple[str, str, str]] = {
    "standard": ("standard training", "#0072B2", "o"),
    "more-data": ("more data", "#E69F00", "s"),
    "zero-shot": ("zero-shot", "#CC79A7", "D"),
    "robustness-intervention": ("robustness intervention", "#009E73", "^"),
    "adversarial": ("adversarial training", "#56B4E9", "v"),
    "low-accuracy": ("low accuracy", "#8C8C8C", "P"),
    "unclassified": ("unclassified", "#BBBBBB", "."),
}
OTHER = ("other", "#BBBBBB", ".")
MINE = "#D55E00"
HUMAN = "#B2182B"
LINE = "#222222"
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

FORMATS = (".png", ".pdf", ".svg")

# Percentages that a tick may stand at, the most wanted first.
_LEVELS: tuple[tuple[float, ...], ...] = (
    (10, 50, 90),
    (1, 30, 70, 99),
    (5, 20, 40, 60, 80, 95),
    (2, 98, 0.1, 99.9, 0.5, 99.5),
    tuple(range(5, 100, 5)),
    tuple(range(2, 100, 2)),
    tuple(range(1, 100)),
    tuple(np.round(np.arange(0.5, 100, 0.5), 1).tolist()),
)


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib's settings of our figures: readable at column width, fonts embedded as text."""
    import matplotlib as mpl

    settings = {
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "legend.fontsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "savefig.bbox": "tight",
        "savefig.dpi": 200,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "robustbench-shift",
    }
    with mpl.rc_context(cast(Any, settings)):
        yield


def percent_ticks(low: float, high: float, scale: Scale, *, most: int = 7) -> list[float]:
    """Percentages for ticks between two accuracies, spread evenly on the scale.

    Args:
        low, high: ends of the axis, fractions.
        scale: of the axis.
        most: how many fit.

    >>> percent_ticks(0.56, 0.88, "probit")
    [60.0, 65.0, 70.0, 75.0, 80.0, 85.0]
    """
    ends = to_scale(np.array([low, high]), scale)
    gap = float(ends[1] - ends[0]) / most
    chosen: list[float] = []
    for level in _LEVELS:
        if len(chosen) >= 5:
            break
        inside = [tick for tick in level if low <= tick / 100 <= high and tick not in chosen]
        trial = sorted([*chosen, *map(float, inside)])
        positions = to_scale(np.array(trial) / 100, scale) if trial else np.zeros(0)
        if len(trial) < 2 or float(np.diff(positions).min()) >= 0.8 * gap:
            chosen = trial
            continue
        for tick in inside:
            new = float(to_scale(np.array(tick / 100), scale))
            if all(abs(new - float(to_scale(np.array(old / 100), scale))) >= 0.8 * gap for old in chosen):
                chosen = sorted([*chosen, float(tick)])
    return chosen


def set_axis(axes: Axes, which: str, accuracies: Floats, scale: Scale, *, label: str, most: int = 7) -> None:
    """Limits that hold all accuracies, ticks labelled in percent.

    Args:
        axes: its data are accuracies on the scale.
        which: ``"x"`` or ``"y"``.
        accuracies: float (K,), fractions, everything that has to be seen.
        scale: of the axis.
        label: of the axis; the unit is added.
        most: how many ticks fit.
    """
    placed = to_scale(accuracies, scale)
    pad = 0.06 * max(float(np.ptp(placed)), 1e-3)
    ends = np.array([placed.min() - pad, placed.max() + pad])
    if scale == "linear":
        ends = np.clip(ends, -0.02, 1.02)
    from benchmark.scales import from_scale

    low, high = np.clip(from_scale(ends, scale), 0, 1).tolist()
    ticks = percent_ticks(low, high, scale, most=most)
    positions = to_scale(np.array(ticks) / 100, scale).tolist()
    labels = [f"{tick:g}" for tick in ticks]
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xlim if which == "x" else axes.set_ylim)(float(ends[0]), float(ends[1]))
    axis.set_ticks(positions, labels=labels)
    (axes.set_xlabel if which == "x" else axes.set_ylabel)(f"{label} (%)")


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes.

    Raises:
        UserError: an ending other than png, pdf or svg, or a folder that is not there.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(
            f"cannot write a figure to {path.name!r}", hint="end the name in .png, .pdf, .svg or .html"
        )
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}", hint="make it first, or choose another")
    dated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}
    with figure_style():  # how fonts are embedded is decided when the file is written
        figure.savefig(path, metadata=dated[path.suffix.lower()])
