"""Pre-trained models against scratch models of the same seed: over lines, at matched accuracy, on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.studies.synthetic_suites import ARMS

if TYPE_CHECKING:
    from benchmark.estimate import Estimate
    from benchmark.lines import BaselineFit, BaselinePoint

LINES = ("shares", "checkpoints")  # the first that there is counts in the verdicts


def lines_in(shift: Mapping[str, Any]) -> list[str]:
    """The lines that the numbers of a shift have."""
    return [line for line in LINES if line in shift["means"]["weak_fits"]]


def arms_in(shift: Mapping[str, Any]) -> list[str]:
    """The arms that the numbers of a shift have."""
    return [arm for arm in ARMS if arm in shift["means"]]


def of_seed(
    lines: Mapping[str, Sequence[BaselinePoint]],
    tuned: Mapping[tuple[str, str], tuple[Estimate, Estimate]],
    *,
    reference: str,
    shift: str,
) -> dict[str, Any]:
    """The lines of a seed, and where each tuned model stands against them and against its nearest.

    Args:
        lines: name → points, the model on all data last.
        tuned: (arm, method) → accuracy on the reference and on the shift.
    """
    from benchmark.lines import fit_baseline
    from benchmark.robustness import effective_robustness

    fits = {line: fit_baseline(some, reference=reference, shift=shift) for line, some in lines.items()}
    first = next(lines[line] for line in LINES if line in lines)
    best = first[-1]
    models: dict[str, dict[str, Any]] = {arm: {} for arm, _ in tuned}
    for (arm, method), (on_reference, on_shift) in tuned.items():
        matched, gap = matched_accuracy(first, on_reference.value)
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
        "lines": {line: line_numbers(fit) for line, fit in fits.items()},
        "models": models,
    }


def line_numbers(fit: BaselineFit) -> dict[str, Any]:
    """A line of scratch models and its members, as plain JSON values."""
    return {
        **{key: getattr(fit, key) for key in ("slope", "intercept", "r2", "residual_sd", "n_models")},
        "flags": list(fit.flags),
        "members": [
            {"model": one.model, "reference": one.reference_accuracy, "shift": one.shift_accuracy}
            for one in fit.members
        ],
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

    arms, lines = list(rows[0]["models"]), [line for line in LINES if line in rows[0]["lines"]]
    methods_of = {arm: tuple(rows[0]["models"][arm]) for arm in arms}

    def of(arm: str, methods: Sequence[str]) -> dict[str, Any]:
        def mean(get: Any) -> dict[str, Any]:
            return _mean([_average([get(row["models"][arm][one]) for one in methods]) for row in rows])

        return {
            "effective_robustness": {
                line: mean(lambda one, line=line: one["effective_robustness"][line]["value"])
                for line in lines
            },
            "gain": mean(lambda one: one["gain"]),
            "unmatched": mean(lambda one: one["unmatched"]),
            "reference": mean(lambda one: one["reference"]["value"]),
            "shift": mean(lambda one: one["shift"]["value"]),
        }

    def shifted(row: Mapping[str, Any], arm: str) -> float:
        return _average([row["models"][arm][one]["shift"]["value"] for one in methods_of[arm]])

    found = {
        arm: {**of(arm, methods), "methods": {one: of(arm, (one,)) for one in methods}}
        for arm, methods in methods_of.items()
    }
    found["scratch"] = {key: _mean([row["scratch"][key] for row in rows]) for key in ("reference", "shift")}
    if "control" in arms:
        over = [shifted(row, "pre-trained") - shifted(row, "control") for row in rows]
        found["over_control"] = _mean(over)
    found["weak_fits"] = {
        line: sum("weak fit" in row["lines"][line]["flags"] for row in rows) for line in lines
    }
    return found


def over_control_by_line(rows: Sequence[Mapping[str, Any]], line: str) -> dict[str, Any]:
    """Effective robustness of the pre-trained models minus the control's, within seeds, methods averaged."""

    def of(row: Mapping[str, Any], arm: str) -> float:
        models = row["models"][arm].values()
        return _average([one["effective_robustness"][line]["value"] for one in models])

    return _mean([of(row, "pre-trained") - of(row, "control") for row in rows])


def by_support(shifts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the shifts of a kind and over seeds, and their difference within each seed."""
    found: dict[str, Any] = {}
    some = next(iter(shifts.values()))
    for arm in arms_in(some):
        for measure in (*lines_in(some), "gain"):
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
        [_average([value(one) for one in row["models"][arm].values()]) for row in shift["seeds"]]
        for shift in shifts.values()
        if shift["support"] == side
    ]


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean(values: Sequence[float]) -> dict[str, Any]:
    from benchmark.intervals import mean_interval

    return mean_interval(values).to_json()
