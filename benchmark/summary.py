"""Averages, worst cases and ranks over the shifts of a table: one summary per model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.comparison import matched_rows
from benchmark.estimate import Estimate
from benchmark.intervals import paired_proportions, stratified_interval, wilson
from benchmark.lookup import unit_of
from benchmark.mce import errors_of, mean_corruption_error, relative_mean_corruption_error
from benchmark.predictions import read_predictions
from benchmark.report import Row
from benchmark.resampling import resampled_accuracies
from benchmark.result import Result
from benchmark.units import Answers, right_answers
from shifts.errors import UnknownNameError

KINDS = ("natural", "synthetic", "spurious", "corruption")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSummary:
    """A model on the shifts of one kind.

    Attributes:
        shifts: how many.
        accuracy: unweighted mean over the shifts. Natural shifts have images of their own, and the interval
            is that of independent samples; the others alter the same images again and again, and the interval
            is the mean of theirs, which is never too narrow.
        worst_shift, worst_accuracy: the shift with the lowest accuracy.
        worst_group, worst_group_shift: lowest worst-group accuracy over the shifts, or None without groups.
        effective_robustness: mean over the shifts that have a line, or None.
        weak_lines: how many of those lines have r2 below 0.7.
        relative_robustness: mean difference in accuracy to the base model over the shifts both have, or None.
    """

    kind: str
    shifts: int
    accuracy: Estimate
    worst_shift: str
    worst_accuracy: Estimate
    worst_group: Estimate | None
    worst_group_shift: str | None
    effective_robustness: float | None
    weak_lines: int
    relative_robustness: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Place of a model among others on the mean accuracy of a kind; 1 is best.

    Attributes:
        low, high: bounds of the place over resamples of the shared images.
    """

    kind: str
    rank: int
    low: int
    high: int
    models: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model over all shifts of a table.

    Attributes:
        mce, relative_mce: on the published ImageNet-C where all 15 corruptions are there, else None.
    """

    model: str
    model_digest: str
    kinds: tuple[KindSummary, ...]
    mce: Estimate | None
    relative_mce: Estimate | None
    ranks: tuple[Rank, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "model": self.model,
            "model_digest": self.model_digest,
            "kinds": {one.kind: _kind_json(one) for one in self.kinds},
            "mce": None if self.mce is None else self.mce.to_json(),
            "relative_mce": None if self.relative_mce is None else self.relative_mce.to_json(),
            "ranks": {
                one.kind: {"rank": one.rank, "low": one.low, "high": one.high, "models": one.models}
                for one in self.ranks
            },
        }


def _kind_json(one: KindSummary) -> dict[str, Any]:
    return {
        "shifts": one.shifts,
        "accuracy": one.accuracy.to_json(),
        "worst_shift": one.worst_shift,
        "worst_accuracy": one.worst_accuracy.to_json(),
        "worst_group": None if one.worst_group is None else one.worst_group.to_json(),
        "worst_group_shift": one.worst_group_shift,
        "effective_robustness": one.effective_robustness,
        "weak_lines": one.weak_lines,
        "relative_robustness": one.relative_robustness,
    }


def summarise(
    rows: Iterable[Row], *, base: str | None = None, ranks: bool = False, level: float = 0.95
) -> list[ModelSummary]:
    """One summary per model, in the order of the rows.

    Args:
        rows: from ``benchmark.report.build_rows``; failed cells are passed over.
        base: name of the model that relative robustness is measured against.
        ranks: also rank the models, which reads their predictions.
        level: confidence level in (0, 1).

    Raises:
        UnknownNameError: the base model is not among the rows.
    """
    good = [row for row in rows if row.result.status == "ok" and row.result.accuracy is not None]
    if base is not None and not any(row.result.model == base for row in good):
        names = ", ".join(dict.fromkeys(row.result.model for row in good))
        raise UnknownNameError(
            f"the base model {base!r} is not among the results", hint=f"there are: {names}"
        )
    of_base = {row.result.shift: row for row in good if row.result.model == base}
    placed = _ranks(good, level) if ranks else {}
    by_model: dict[tuple[str, str], list[Row]] = {}
    for row in good:
        by_model.setdefault(_model_of(row), []).append(row)
    found = []
    for key, own in by_model.items():
        mce, relative_mce = _corruption_errors(own, level)
        found.append(
            ModelSummary(
                model=key[0],
                model_digest=key[1],
                kinds=tuple(
                    _kind(kind, chosen, of_base, level)
                    for kind in KINDS
                    if (chosen := [row for row in own if row.result.kind == kind])
                ),
                mce=mce,
                relative_mce=relative_mce,
                ranks=tuple(placed.get(key[1], ())),
            )
        )
    return found


def passing(rows: Iterable[Row], summaries: list[ModelSummary]) -> Iterator[Row]:
    """The rows as they come; when all of a model have passed, its summary is added to the others.

    Args:
        rows: each model's beside each other, as ``benchmark.report.latest`` sorts them.
        summaries: where the summaries go, as ``summarise`` makes them without a base model and ranks.
    """
    for _, of_model in groupby(rows, key=_model_of):
        own = list(of_model)
        yield from own
        summaries += summarise(own)


def leaders(results: Iterable[Result], *, most: int) -> list[str]:
    """Digests of the models with the highest mean accuracy over shifts, the best first.

    Means over other shifts do not compare: models that are measured on more shifts come first. References
    count where a model has nothing else.

    Args:
        most: how many.
    """
    by_model: dict[str, list[tuple[bool, float]]] = {}
    for result in results:
        accuracy = result.accuracy
        if result.status == "ok" and accuracy is not None:
            by_model.setdefault(result.model_digest, []).append((result.kind != "reference", accuracy.value))
    placed = []
    for digest, accuracies in by_model.items():
        shifted = [value for shift, value in accuracies if shift]
        values = shifted or [value for _, value in accuracies]
        placed.append((-len(shifted), -sum(values) / len(values), digest))
    return [digest for _, _, digest in sorted(placed)[:most]]


def relative(row: Row, base: Row, *, level: float = 0.95) -> Estimate:
    """Accuracy of a model minus that of the base model on the examples both have (Taori et al. 2020, Sec. 2).

    Raises:
        ValueError: no example in common.
    """
    assert row.predictions is not None and base.predictions is not None, "both cells are finished"
    unit = unit_of(row.result.shift)
    ours, theirs = (
        right_answers(read_predictions(path), unit=unit) for path in (row.predictions, base.predictions)
    )
    first, second = matched_rows(ours.names, theirs.names)
    return paired_proportions(ours.right[first], theirs.right[second], level=level)


def _model_of(row: Row) -> tuple[str, str]:
    return row.result.model, row.result.model_digest


def _kind(kind: str, rows: Sequence[Row], base: dict[str, Row], level: float) -> KindSummary:
    worst = min(rows, key=_value)
    grouped = [
        (estimate, row.result.shift)
        for row in rows
        if (estimate := row.result.metrics.get("worst_group_accuracy")) is not None
    ]
    lowest = min(grouped, key=lambda pair: pair[0].value) if grouped else None
    lines = [row.effective for row in rows if row.effective is not None]
    shared = [row for row in rows if row.result.shift in base]
    accuracy = worst.result.accuracy
    assert accuracy is not None, "rows without accuracy are passed over"
    return KindSummary(
        kind=kind,
        shifts=len(rows),
        accuracy=_mean(kind, rows, level),
        worst_shift=worst.result.shift,
        worst_accuracy=accuracy,
        worst_group=None if lowest is None else lowest[0],
        worst_group_shift=None if lowest is None else lowest[1],
        effective_robustness=float(np.mean([one.value for one in lines])) if lines else None,
        weak_lines=sum("weak fit" in one.flags for one in lines),
        relative_robustness=float(np.mean([_value(row) - _value(base[row.result.shift]) for row in shared]))
        if shared
        else None,
    )


def _mean(kind: str, rows: Sequence[Row], level: float) -> Estimate:
    # Of units, where the shift counts those.
    sizes = [row.result.accuracy.n for row in rows if row.result.accuracy is not None]
    counts = [round(_value(row) * n) for row, n in zip(rows, sizes, strict=True)]
    if kind == "natural":
        return stratified_interval(counts, sizes, level=level)
    each = [wilson(count, n, level=level) for count, n in zip(counts, sizes, strict=True)]
    return Estimate(
        value=float(np.mean([one.value for one in each])),
        low=float(np.mean([one.low for one in each])),
        high=float(np.mean([one.high for one in each])),
        level=level,
        method="mean of wilson intervals",
        n=sum(sizes),
    )


def _corruption_errors(rows: Sequence[Row], level: float) -> tuple[Estimate | None, Estimate | None]:
    """mCE and relative mCE; None where a corruption, a severity or the clean accuracy is missing."""
    on_disk = {row.result.shift: row for row in rows if row.result.shift.startswith("imagenet-c/")}
    clean = next((row for row in rows if row.result.shift == "imagenet-val"), None)
    try:
        errors = errors_of({shift: _value(row) for shift, row in on_disk.items()})
        n = min((row.result.n for row in on_disk.values()), default=1)
        mce = mean_corruption_error(errors, n=n, level=level)
        if clean is None:
            return mce, None
        return mce, relative_mean_corruption_error(errors, 1 - _value(clean), n=n, level=level)
    except ValueError:
        return None, None


def _ranks(rows: Sequence[Row], level: float, *, resamples: int = 1000) -> dict[str, list[Rank]]:
    """Model digest → ranks by kind, over the shifts that all models have."""
    digests = list(dict.fromkeys(row.result.model_digest for row in rows))
    found: dict[str, list[Rank]] = {digest: [] for digest in digests}
    if len(digests) < 2:
        return found
    rng = np.random.default_rng(0)
    tail = (1 - level) / 2
    for kind in KINDS:
        by_shift: dict[str, dict[str, Path]] = {}
        for row in rows:
            if row.result.kind == kind and row.predictions is not None:
                by_shift.setdefault(row.result.shift, {})[row.result.model_digest] = row.predictions
        complete = {shift: cells for shift, cells in by_shift.items() if len(cells) == len(digests)}
        if not complete:
            continue
        drawn, exact = np.zeros((len(digests), resamples)), np.zeros(len(digests))
        for shift, cells in complete.items():
            unit = unit_of(shift)
            answers = _shared(right_answers(read_predictions(cells[one]), unit=unit) for one in digests)
            exact += answers.mean(axis=1)
            drawn += resampled_accuracies(answers, resamples=resamples, blocks=1000, rng=rng)
        places = 1 + (drawn[None] > drawn[:, None]).sum(axis=1)
        for number, digest in enumerate(digests):
            low, high = np.quantile(places[number], [tail, 1 - tail], method="closest_observation")
            rank = 1 + int((exact > exact[number]).sum())
            found[digest].append(
                Rank(
                    kind=kind,
                    rank=rank,
                    low=min(rank, int(low)),
                    high=max(rank, int(high)),
                    models=len(digests),
                )
            )
    return found


def _shared(files: Iterable[Answers]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Answers bool (M, N) over the examples, or units, that all files have."""
    loaded = list(files)
    common = set(loaded[0].names).intersection(*(one.names for one in loaded[1:]))
    order = [name for name in loaded[0].names if name in common]
    return np.stack([one.right[matched_rows(order, one.names)[1]] for one in loaded])


def _value(row: Row) -> float:
    assert row.result.accuracy is not None, "rows without accuracy are passed over"
    return row.result.accuracy.value
