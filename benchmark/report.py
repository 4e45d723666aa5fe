"""From stored results to the rows of a table, with effective robustness beside each shift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark.baselines import Baseline, baselines_for, load_baseline
from benchmark.estimate import Estimate
from benchmark.lines import BaselineFit
from benchmark.reported import reported
from benchmark.result import Result
from benchmark.robustness import EffectiveRobustness, above_line, effective_robustness
from benchmark.scales import Scale
from benchmark.store import PREDICTIONS
from models_zoo.training_data import trained_on
from shifts.errors import FitError

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model on one shift.

    Attributes:
        reference_accuracy: of the same model on the shift's reference, if measured.
        effective: effective robustness, or None with the reason in ``reason``.
        flags: of the fit and of the comparison.
    """

    result: Result
    predictions: Path | None
    reference_accuracy: Estimate | None = None
    effective: EffectiveRobustness | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        result = self.result
        effective = None
        if self.effective is not None:
            effective = {**self.effective.to_json(), "flags": list(self.flags)}
        return {
            "model": result.model,
            "shift": result.shift,
            "reference": result.reference,
            "kind": result.kind,
            "support": result.support,
            "status": result.status,
            "n": result.n,
            "worst_group": result.worst_group,
            "metrics": {
                name: None if estimate is None else estimate.to_json()
                for name, estimate in result.metrics.items()
            },
            "reported": {name: estimate.to_json() for name, estimate in reported(result).items()},
            "reference_accuracy": self.reference_accuracy and self.reference_accuracy.to_json(),
            "effective_robustness": effective,
            "effective_robustness_reason": self.reason,
            "warnings": list(result.warnings),
            "sentinel": result.provenance.get("sentinel"),
            "error": result.error,
            "model_digest": result.model_digest,
            "shift_digest": result.shift_digest,
            "predictions": None if self.predictions is None else str(self.predictions),
        }


def document(rows: Iterable[Row]) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {"schema_version": SCHEMA_VERSION, "results": [row.to_json() for row in rows]}


def build_rows(
    results: Sequence[tuple[Path, Result]], *, baseline: str | None = None, scale: Scale = "probit"
) -> list[Row]:
    """Rows in the order of the results.

    Args:
        results: (folder, result) pairs; references are looked up among them.
        baseline: name of the baseline to measure against; default: the first one that has the pair.
    """
    references = {
        (result.model_digest, result.shift, result.provenance.get("limit")): result
        for _, result in results
        if result.status == "ok"
    }
    on_reference = []
    for _, result in results:
        key = (result.model_digest, result.reference or "", result.provenance.get("limit"))
        reference = references.get(key)
        on_reference.append(None if reference is None else reference.accuracy)
    by_pair: dict[tuple[str, str], list[int]] = {}
    for place, (_, result) in enumerate(results):
        if _on_a_line(result) and on_reference[place] is not None:
            by_pair.setdefault((result.reference or "", result.shift), []).append(place)
    above: dict[int, EffectiveRobustness | str] = {}
    for pair, places in by_pair.items():
        fit = _fit(*pair, baseline=baseline, scale=scale)
        above |= zip(places, _above(fit, [(results[at][1], on_reference[at]) for at in places]), strict=True)
    return [
        _row(folder, result, on_reference[place], above.get(place))
        for place, (folder, result) in enumerate(results)
    ]


def _on_a_line(result: Result) -> bool:
    return result.reference is not None and result.status == "ok" and result.accuracy is not None


def _above(
    fit: BaselineFit | str, measured: Sequence[tuple[Result, Estimate | None]]
) -> list[EffectiveRobustness | str]:
    """Of the results on one shift and the accuracies on its reference; the reason where there is no line."""
    if isinstance(fit, str):
        return [fit] * len(measured)
    members = {point.model for point in fit.members}
    pairs = [(reference, result.accuracy) for result, reference in measured]
    known = [(first, second) for first, second in pairs if first is not None and second is not None]
    assert len(known) == len(measured), "both are measured"
    return [
        # A member is compared with the line through the others.
        effective_robustness(fit, *pair, model=result.model) if result.model in members else one
        for one, pair, (result, _) in zip(above_line(fit, known), known, measured, strict=True)
    ]


def _row(
    folder: Path,
    result: Result,
    reference_accuracy: Estimate | None,
    above: EffectiveRobustness | str | None,
) -> Row:
    reason = above if isinstance(above, str) else None
    if _on_a_line(result) and reference_accuracy is None:
        reason = f"the reference {result.reference!r} is not measured"
    effective = above if isinstance(above, EffectiveRobustness) else None
    flags = [] if effective is None else list(effective.flags)
    if effective and result.family == "standard" and not _trained_on(result.training_data, result.reference):
        # The line is one of models trained on the reference; one trained elsewhere need not lie on it.
        flags.append("trained elsewhere")
    return Row(
        result=result,
        predictions=folder / PREDICTIONS if result.status == "ok" else None,
        reference_accuracy=reference_accuracy,
        effective=effective,
        reason=reason,
        flags=tuple(flags),
    )


@lru_cache(maxsize=4096)
def _trained_on(training_data: tuple[str, ...], reference: str | None) -> bool:
    return reference is not None and trained_on(training_data, reference)


def _fit(reference: str, shift: str, *, baseline: str | None, scale: Scale) -> BaselineFit | str:
    """The line of a pair, or why there is none."""
    names = [baseline] if baseline is not None else baselines_for(reference, shift)
    if not names:
        return f"no shipped baseline has the shift together with {reference!r}"
    chosen: Baseline = load_baseline(names[0])
    try:
        return chosen.fit(reference, shift, scale=scale)
    except FitError as error:
        return error.message


def latest(results: Iterable[tuple[Path, Result]]) -> list[tuple[Path, Result]]:
    """One result for each model digest and shift: a full one before a limited one, then the newest.

    A results folder may hold a shift under several digests: of other data, or of a limited run.
    """
    best: dict[tuple[str, str], tuple[Path, Result]] = {}
    for folder, result in results:
        key = (result.model_digest, result.shift)
        if key not in best or _rank(result) > _rank(best[key][1]):
            best[key] = (folder, result)
    return sorted(best.values(), key=lambda pair: (pair[1].model, pair[1].model_digest, pair[1].shift))


def _rank(result: Result) -> tuple[bool, bool, str]:
    limited = result.provenance.get("limit") is not None or "answered" in result.provenance
    return result.status == "ok", not limited, str(result.provenance.get("started", ""))
