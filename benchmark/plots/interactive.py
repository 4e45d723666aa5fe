"""The scatter as one page: no network, works from a file; hover, families and scales to switch."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmark.lines import fit_baseline
from benchmark.plots.panels import Panel
from benchmark.plots.style import FAMILIES
from benchmark.scales import Scale, from_scale, to_scale
from shifts.errors import FitError, UserError
from shifts.local import write_atomic

_SHAPES = {"o": "circle", "s": "square", "D": "diamond", "^": "up", "v": "down", "P": "plus", ".": "circle"}
# So weak that they squeeze the others into a corner; one click shows them.
PROBIT = "probit.js"  # the leaderboard's site loads it, too
_HIDDEN = ("unclassified", "low-accuracy")


def page(panels: Sequence[Panel], *, level: float = 0.95) -> str:
    """The page's text.

    Args:
        panels: one per shift.
        level: of the bands.
    """
    members = {point.family for panel in panels for point in panel.fit.members}
    data = {
        "scale": panels[0].fit.scale,
        "families": {
            name: {"label": label, "colour": colour, "shape": _SHAPES[marker]}
            for name, (label, colour, marker) in FAMILIES.items()
        },
        "hidden": [family for family in _HIDDEN if family not in members],
        "panels": [_panel(panel, level) for panel in panels],
    }
    # A model's name may hold anything; "</script>" must not end the data.
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )
    folder = importlib.resources.files("benchmark.plots")
    template, probit = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", PROBIT))
    return template.replace("@PROBIT@", probit).replace("@DATA@", text)


def save_page(panels: Sequence[Panel], path: Path, *, level: float = 0.95) -> None:
    """Write the page.

    Raises:
        UserError: the folder is not there.
    """
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}", hint="make it first, or choose another")
    write_atomic(path, page(panels, level=level))


def _panel(panel: Panel, level: float) -> dict[str, Any]:
    fit, members = panel.fit, panel.members
    reasons = {excluded.model: excluded.reason for excluded in fit.excluded}
    seen = {row.model: ", ".join(row.training_data) for row in panel.baseline.rows}
    return {
        "reference": fit.reference,
        "shift": fit.shift,
        "baseline": panel.baseline.identifier,
        "source": f"{panel.baseline.source} @ {panel.baseline.revision[:12]}".removesuffix(" @ "),
        "fits": {scale: _line(panel, scale, level) for scale in get_args(Scale)},
        "points": [
            {
                "model": point.model,
                "x": point.reference_accuracy,
                "y": point.shift_accuracy,
                "nx": point.reference_n,
                "ny": point.shift_n,
                "family": point.family,
                "member": point.model in members,
                "reason": reasons.get(point.model),
                "seen": seen.get(point.model),
            }
            for point in panel.points
        ],
        "mine": [
            {
                "model": one.model,
                "x": [one.reference.value, one.reference.low, one.reference.high],
                "y": [one.shift.value, one.shift.low, one.shift.high],
                "effective": [one.effective.value, one.effective.low, one.effective.high],
                "flags": ", ".join(one.effective.flags),
            }
            for one in panel.mine
        ],
    }


def _line(panel: Panel, scale: Scale, level: float) -> dict[str, Any] | None:
    """The line of the same members on a scale, sampled over all points."""
    try:
        fit = fit_baseline(
            panel.fit.members,
            reference=panel.fit.reference,
            shift=panel.fit.shift,
            scale=scale,
            method=panel.fit.method,
        )
    except FitError:
        return None
    x = [p.reference_accuracy for p in panel.points] + [one.reference.value for one in panel.mine]
    ends = to_scale(np.array([min(x), max(x)]), scale)
    pad = 0.08 * float(ends[1] - ends[0])
    at = np.clip(from_scale(np.linspace(ends[0] - pad, ends[1] + pad, 81), scale), 1e-4, 1 - 1e-4)
    band, more = fit.band(at, level=level), fit.prediction_interval(at, level=level)
    rounded = {
        "at": at,
        "expected": band.expected,
        "low": band.low,
        "high": band.high,
        "prediction_low": more.low,
        "prediction_high": more.high,
    }
    return {
        "slope": fit.slope,
        "intercept": fit.intercept,
        "r2": fit.r2,
        "n": fit.n_models,
        **{name: [round(value, 6) for value in values.tolist()] for name, values in rounded.items()},
    }
