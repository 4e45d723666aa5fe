"""Pre-trained models against scratch models of the same seed: over lines, at matched accuracy, on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.studies.synthetic_models import ARMS, METHODS

if TYPE_CHECKING:
    from benchmark.estimate import Estimate
    from benchmark.lines import BaselinePoint

LINES = ("shares", "checkpoints")


def of_seed(
    lines: Mapping[str, Sequence[BaselinePoint]],
    tuned: Mapping[tuple[str, str], tuple[Estimate, Estimate]],
    *,
    reference: str,
    shift: str,
    whole: str,
) -> dict[str, Any]:
    """Both lines of a seed, and where each tuned model stands against them and against its nearest."""
    from benchmark.lines import fit_baseline
    from benchmark.robustness import effective_robustness

    fits = {line: fit_baseline(some, reference=reference, shift=shift) for line, some in lines.items()}
    best = next(point for point in lines["shares"] if point.model == whole)
    models: dict[str, dict[str, Any]] = {arm: {} for arm, _ in tuned}
    for (arm, method), (on_reference, on_shift) in tuned.items():
        matched, gap = matched_accuracy(lines["shares"], on_reference.value)
        models[arm][method] = {
            "reference": on_reference.to_json(),
            "shift": on_shift.to_json(),
            "effective_robustness": {
                line: effective_robustness(fit, on_reference, on_shift).to_json()
                for line, fit in fits.items()
            },
            "gain": on_shift.value - matched,
            "unmatched": gap,
        }
    return {
        "scratch": {"reference": best.reference_accuracy, "shift": best.shift_accuracy},
        "lines": {
            line: {
                **{key: getattr(fit, key) for key in ("slope", "intercept", "r2", "residual_sd", "n_models")},
                "flags": list(fit.flags),
                "members": [
                    {"model": one.model, "reference": one.reference_accuracy, "shift": one.shift_accuracy}
                    for one in fit.members
                ],
            }
            for line, fit in fits.items()
        },
        "models": models,
    }


def matched_accuracy(points: Sequence[BaselinePoint], reference_accuracy: float) -> tuple[float, float]:
    """Shifted accuracy of a scratch model with this reference accuracy.

    Between two scratch models it is interpolated, in accuracies; beyond the best (or below the weakest) it is
    that model's own. No line enters.

    Returns:
        The accuracy, and how far the reference accuracy lies beyond the nearest model's (0 in between).
    """
    import numpy as np

    x = np.array([point.reference_accuracy for point in points])
    y = np.array([point.shift_accuracy for point in points])
    places = np.unique(x)
    values = np.array([y[x == place].mean() for place in places])
    inside = float(np.clip(reference_accuracy, places[0], places[-1]))
    return float(np.interp(inside, places, values)), reference_accuracy - inside


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of each arm, its methods averaged within a seed, and of each method alone.

    The intervals are over seeds (of initialisation, order and share of the data); the images are the same.
    """

    def of(arm: str, methods: Sequence[str]) -> dict[str, Any]:
        def mean(get: Any) -> dict[str, Any]:
            return _mean([_average([get(row["models"][arm][one]) for one in methods]) for row in rows])

        return {
            "effective_robustness": {
                line: mean(lambda one, line=line: one["effective_robustness"][line]["value"])
                for line in LINES
            },
            "gain": mean(lambda one: one["gain"]),
            "unmatched": mean(lambda one: one["unmatched"]),
            "reference": mean(lambda one: one["reference"]["value"]),
            "shift": mean(lambda one: one["shift"]["value"]),
        }

    def shifted(row: Mapping[str, Any], arm: str) -> float:
        return _average([row["models"][arm][one]["shift"]["value"] for one in METHODS])

    return {
        **{arm: {**of(arm, METHODS), "methods": {one: of(arm, (one,)) for one in METHODS}} for arm in ARMS},
        "scratch": {key: _mean([row["scratch"][key] for row in rows]) for key in ("reference", "shift")},
        "over_control": _mean([shifted(row, "pre-trained") - shifted(row, "control") for row in rows]),
        "weak_fits": {line: sum("weak fit" in row["lines"][line]["flags"] for row in rows) for line in LINES},
    }


def by_support(shifts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the shifts of a kind and over seeds, and their difference within each seed."""
    found: dict[str, Any] = {}
    for arm in ARMS:
        for measure in (*LINES, "gain"):
            of_seeds = {
                side: [
                    _average([values[i] for values in _values(shifts, side, arm, measure)])
                    for i in range(len(next(iter(shifts.values()))["seeds"]))
                ]
                for side in ("in", "out")
            }
            found.setdefault(arm, {})[measure] = {
                **{side: _mean(values) for side, values in of_seeds.items()},
                "difference": _mean([b - a for a, b in zip(of_seeds["in"], of_seeds["out"], strict=True)]),
            }
    return found


def _values(shifts: Mapping[str, Mapping[str, Any]], side: str, arm: str, measure: str) -> list[list[float]]:
    def value(one: Mapping[str, Any]) -> float:
        number: float = one["gain"] if measure == "gain" else one["effective_robustness"][measure]["value"]
        return number

    return [
        [_average([value(row["models"][arm][method]) for method in METHODS]) for row in shift["seeds"]]
        for shift in shifts.values()
        if shift["support"] == side
    ]


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean(values: Sequence[float]) -> dict[str, Any]:
    from benchmark.intervals import mean_interval

    return mean_interval(values).to_json()
