"""Effective robustness on the two halves of a split, and between examples of the same difficulty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.studies.claims import above, points, within
from benchmark.studies.study import Table, Verdict
from benchmark.studies.synthetic_suites import ARMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.estimate import Estimate
    from benchmark.studies.measuring import Measured

GROUPS = ("in", "out", "out, re-weighted")
MEASURES = {"effective_robustness": "effective robustness", "gain": "gain at matched accuracy"}


def halves(
    measured: Measured,
    *,
    reference: str,
    shift: str,
    baselines: Sequence[str],
    arms: Mapping[str, str],
    judges: Sequence[str],
    inside: NDArray[np.bool_],
) -> dict[str, Any]:
    """Each half, and the out-of-support one weighted to the difficulties of the other (Appendix C.2.4).

    Args:
        baselines: scratch models that make the lines.
        arms: arm → its model.
        judges: scratch models whose errors say how difficult an example is. They must be others than the
            baselines: an example that a model answers right is easy for that model more than for any other.
        inside: bool (S,), which examples are in support.
    """
    import numpy as np

    from shifts.errors import UserError
    from shifts.support import difficulty_weights

    def correct(model: str) -> NDArray[np.bool_]:
        answers = measured.predictions(model, shift)
        right: NDArray[np.bool_] = answers.prediction == answers.labels
        return right

    weights = {"in": inside.astype(np.float64), "out": (~inside).astype(np.float64)}
    difficulty = np.sum([~correct(model) for model in judges], axis=0)
    try:
        of_out = difficulty_weights(difficulty, inside)
    except UserError:
        pass  # a half is empty, or they have no difficulty in common: there is no such control
    else:
        weights["out, re-weighted"] = np.zeros(len(inside))
        weights["out, re-weighted"][~inside] = of_out
    models = (*baselines, *arms.values())
    answers = {model: correct(model) for model in models}
    references = {model: measured.accuracy(model, reference) for model in models}
    return {
        group: on_half(answers, references, baselines, arms, weight, names=(reference, f"{shift}, {group}"))
        for group, weight in weights.items()
        if weight.any()
    }


def on_half(
    correct: Mapping[str, NDArray[np.bool_]],
    references: Mapping[str, Estimate],
    baselines: Sequence[str],
    arms: Mapping[str, str],
    weights: NDArray[np.float64],
    *,
    names: tuple[str, str],
) -> dict[str, Any]:
    """The line through the baselines on weighted examples, and where each arm stands against it.

    Args:
        correct: model → bool (S,); references: model → reference accuracy.
        weights: float64 (S,), of the examples.
        names: of reference and group, for the record.
    """
    import numpy as np

    from benchmark.intervals import wilson
    from benchmark.lines import BaselinePoint, fit_baseline
    from benchmark.robustness import effective_robustness
    from benchmark.studies.synthetic_numbers import matched_accuracy
    from benchmark.support_report import weighted_accuracy

    some = weights > 0
    equal = np.ptp(weights[some]) == 0
    accuracy = {
        model: wilson(int(right[some].sum()), int(some.sum()))
        if equal
        else weighted_accuracy(right[some], weights[some])
        for model, right in correct.items()
    }
    members = [
        BaselinePoint(
            model=model,
            reference_accuracy=references[model].value,
            reference_n=references[model].n,
            shift_accuracy=min(accuracy[model].value, 1.0),
            shift_n=accuracy[model].n,
            family="standard",
        )
        for model in baselines
    ]
    fit = fit_baseline(members, reference=names[0], shift=names[1])

    def of(model: str) -> dict[str, Any]:
        on_reference, on_shift = references[model], accuracy[model]
        return {
            "reference": on_reference.to_json(),
            "shift": on_shift.to_json(),
            "effective_robustness": effective_robustness(fit, on_reference, on_shift).to_json(),
            "gain": {"value": on_shift.value - matched_accuracy(members, on_reference.value)[0]},
        }

    return {
        "n": int(some.sum()),
        "effective_n": accuracy[baselines[0]].n,
        "line": {key: getattr(fit, key) for key in ("slope", "intercept", "r2", "n_models")},
        "flags": list(fit.flags),
        "members": [
            {"model": one.model, "reference": one.reference_accuracy, "shift": one.shift_accuracy}
            for one in members
        ],
        "arms": {arm: of(model) for arm, model in arms.items()},
    }


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over the seeds that have the groups: each group's mean, and its difference to the in-support half."""
    from benchmark.intervals import mean_interval

    def of(row: Mapping[str, Any], group: str, arm: str, measure: str) -> float:
        value: float = row["halves"][group]["arms"][arm][measure]["value"]
        return value

    found: dict[str, Any] = {arm: {measure: {} for measure in MEASURES} for arm in ARMS}
    for group in GROUPS:
        known = [row for row in rows if group in row["halves"]]
        if len(known) < 2:
            continue
        for arm in ARMS:
            for measure in MEASURES:
                values = [of(row, group, arm, measure) for row in known]
                found[arm][measure][group] = mean_interval(values).to_json()
                apart = [
                    of(row, group, arm, measure) - of(row, "in", arm, measure)
                    for row in known
                    if "in" in row["halves"]
                ]
                if group != "in" and len(apart) > 1:
                    found[arm][measure][f"{group} minus in"] = mean_interval(apart).to_json()
    return found


def verdicts(numbers: Mapping[str, Any]) -> list[Verdict]:
    """Whether robustness differs between the halves, by the line where there is one and without it."""
    rows, found = numbers["seeds"], []
    of = numbers["means"]["pre-trained"]
    inside = of["effective_robustness"].get("in")
    if inside is not None:
        found.append(
            within(
                "pre-training gives no effective robustness on the in-support half (within ± 3 points)",
                inside,
                evidence=[points(inside), _weak(rows, "in")[0]],
            )
        )
    for group, words in (
        ("out", "pre-training helps more on the out-of-support half (Section 5.2)"),
        ("out, re-weighted", "it does so between examples of the same difficulty, too (Appendix C.2.4)"),
    ):
        for measure, name in MEASURES.items():
            apart = of[measure].get(f"{group} minus in")
            if apart is None:
                nothing = "the halves have too few examples in common difficulties"
                found.append(Verdict(claim=f"{words}: {name}", outcome="not tested", evidence=nothing))
                continue
            said, weak = _weak(rows, group)
            one = above(
                f"{words}: {name}",
                apart,
                evidence=[
                    f"{group}: {points(of[measure][group])}; minus in: {points(apart)}",
                    f"control: {points(numbers['means']['control'][measure][group])}",
                    said,
                ],
            )
            few, fewest = _few(rows, group)
            if few or (measure == "effective_robustness" and weak):
                evidence = f"{fewest}; {one.evidence}" if few else one.evidence
                one = Verdict(claim=one.claim, outcome="not tested", evidence=evidence)
            found.append(one)
    return found


def _weak(rows: Sequence[Mapping[str, Any]], group: str) -> tuple[str, bool]:
    known = [row["halves"][group] for row in rows if group in row["halves"]]
    weak = sum("weak fit" in one["flags"] for one in known)
    return f"weak fits: {weak} of {len(known)}", 2 * weak > len(known)


def _few(rows: Sequence[Mapping[str, Any]], group: str) -> tuple[bool, str]:
    """Whether most seeds have fewer examples than say anything; effectively, where they weigh differently."""
    from benchmark.support_report import FEWEST

    sizes = [row["halves"][group]["effective_n"] for row in rows if group in row["halves"]]
    few = 2 * sum(size < FEWEST for size in sizes) > len(sizes)
    return few, f"only {min(sizes)} to {max(sizes)} effective examples"


def table(numbers: Mapping[str, Any]) -> Table:
    """Effective robustness and gain on the halves."""
    rows, mean = numbers["seeds"], numbers["means"]
    return Table(
        title="by halves, points, mean over seeds with its 95 % interval",
        header=("half", "measure", *ARMS, "examples", "r² of each seed's line"),
        rows=tuple(
            (
                group,
                name,
                *(points(mean[arm][measure][group]) for arm in ARMS),
                " ".join(str(row["halves"][group]["effective_n"]) for row in rows if group in row["halves"]),
                " ".join(
                    f"{row['halves'][group]['line']['r2']:.2f}" for row in rows if group in row["halves"]
                ),
            )
            for group in GROUPS
            for measure, name in MEASURES.items()
            if group in mean["pre-trained"][measure]
        ),
    )
