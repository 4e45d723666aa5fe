"""The data behind the site's charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.estimate import Estimate
from benchmark.lines import BaselineFit, fit_baseline
from benchmark.scales import Scale, from_scale, to_scale
from leaderboard.site.rows import Cell
from shifts.errors import FitError
from shifts.spec import ShiftSpec

SAMPLES = 41


def scatter_line(fit: BaselineFit, scale: Scale) -> dict[str, Any] | None:
    """The line of the same members on a scale, with its bands, over every accuracy that can be shown."""
    try:
        own = fit_baseline(
            fit.members, reference=fit.reference, shift=fit.shift, scale=scale, method=fit.method
        )
    except FitError:
        return None
    ends = to_scale(np.array([0.02, 0.99]), scale)
    at = from_scale(np.linspace(float(ends[0]), float(ends[1]), SAMPLES), scale)
    band, more = own.band(at), own.prediction_interval(at)
    values = {
        "at": at,
        "expected": band.expected,
        "low": band.low,
        "high": band.high,
        "least": more.low,
        "most": more.high,
    }
    rounded = {
        name: np.rint(np.clip(one, 0, 1) * 10_000).astype(int).tolist() for name, one in values.items()
    }
    return {
        "slope": round(own.slope, 4),
        "intercept": round(own.intercept, 4),
        "r2": round(own.r2, 4),
        "models": own.n_models,
        "baseline": fit.baseline,
        **rounded,
    }


def severity_curves(order: Sequence[ShiftSpec], cells: Mapping[str, Cell]) -> list[dict[str, Any]]:
    """Accuracy against severity, one curve for each corruption; severity 0 is the reference."""
    found: dict[str, dict[int, Estimate]] = {}
    references: dict[str, str | None] = {}
    for spec in order:
        if spec.severity is not None:
            name = spec.name.rpartition("/")[0]
            found.setdefault(name, {})[spec.severity] = cells[spec.name].accuracy
            references[name] = spec.reference
    curves = []
    for name, points in found.items():
        start = cells.get(references[name] or "")
        if start is not None:
            points[0] = start.accuracy
        curves.append(
            {
                "name": name,
                "points": [
                    [severity, *(round(100 * part, 2) for part in (one.value, one.low, one.high))]
                    for severity, one in sorted(points.items())
                ],
            }
        )
    return curves


def reliability_note(cells: Mapping[str, Cell]) -> bool:
    """Whether any cell has a calibration error to show."""
    return any("ece" in cell.metrics for cell in cells.values())
