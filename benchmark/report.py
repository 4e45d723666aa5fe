"""From stored results to the rows of a table, with effective robustness beside each shift."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
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
AT_ONCE = 2048  # rows are made so many at a time: the distances of many models from a line take few calls


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
    """What ``--json`` prints; the rows are taken one by one as they are printed."""
    return {"schema_version": SCHEMA_VERSION, "results": (row.to_json() for row in rows)}


class Rows(Iterable[Row]):
    """Rows in the order of the results, made each time they are gone through: only a few are held at once.

    Args:
        results: (folder, result) pairs; references are looked up among them.
        baseline: to measure against, or its name; default: the first one that has the pair.

    Raises:
        UserError: there is no such baseline.
    """

    def __init__(
        self,
        results: Sequence[tuple[Path, Result]],
        *,
        baseline: Baseline | str | None = None,
        scale: Scale = "probit",
    ) -> None:
        self._results = results
        chosen = load_baseline(baseline) if isinstance(baseline, str) else baseline
        self._references = {
            (result.model_digest, result.shift, result.provenance.get("limit")): result
            for _, result in results
            if result.status == "ok"
        }
        # All lines at once: what cannot be compared with is said before the first row.
        self._fits: dict[tuple[str, str], BaselineFit | str] = {}
        for _, result in results:
            pair = _pair(result)
            if pair not in self._fits and self._compared(result):
                self._fits[pair] = _fit(*pair, baseline=chosen, scale=scale)

    def __iter__(self) -> Iterator[Row]:
        return self._made(self._results)

    def of(self, models: Collection[str]) -> list[Row]:
        """The rows of models, by their digests."""
        asked = set(models)
        return list(self._made([pair for pair in self._results if pair[1].model_digest in asked]))

    def _made(self, results: Sequence[tuple[Path, Result]]) -> Iterator[Row]:
        for start in range(0, len(results), AT_ONCE):
            yield from self._some(results[start : start + AT_ONCE])

    def _some(self, results: Sequence[tuple[Path, Result]]) -> list[Row]:
        on_reference = [self._on_reference(result) for _, result in results]
        by_pair: dict[tuple[str, str], list[int]] = {}
        for place, (_, result) in enumerate(results):
            if self._compared(result):
                by_pair.setdefault(_pair(result), []).append(place)
        above: dict[int, EffectiveRobustness | str] = {}
        for pair, places in by_pair.items():
            measured = [(results[at][1], on_reference[at]) for at in places]
            above |= zip(places, _above(self._fits[pair], measured), strict=True)
        return [
            _row(folder, result, on_reference[place], above.get(place))
            for place, (folder, result) in enumerate(results)
        ]

    def _compared(self, result: Result) -> bool:
        return _on_a_line(result) and self._on_reference(result) is not None

    def _on_reference(self, result: Result) -> Estimate | None:
        key = (result.model_digest, result.reference or "", result.provenance.get("limit"))
        reference = self._references.get(key)
        return None if reference is None else reference.accuracy


def build_rows(
    results: Sequence[tuple[Path, Result]], *, baseline: Baseline | str | None = None, scale: Scale = "probit"
) -> list[Row]:
    """All of the ``Rows``."""
    return list(Rows(results, baseline=baseline, scale=scale))


def _pair(result: Result) -> tuple[str, str]:
    return result.reference or "", result.shift


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
        _without(fit, result.model, pair) if result.model in members else one
        for one, pair, (result, _) in zip(above_line(fit, known), known, measured, strict=True)
    ]


def _without(
    fit: BaselineFit, model: str, accuracies: tuple[Estimate, Estimate]
) -> EffectiveRobustness | str:
    """Of a member, which is compared with the line through the others."""
    try:
        return effective_robustness(fit, *accuracies, model=model)
    except FitError as error:
        return error.message


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


def _fit(reference: str, shift: str, *, baseline: Baseline | None, scale: Scale) -> BaselineFit | str:
    """The line of a pair, or why there is none."""
    if baseline is None:
        names = baselines_for(reference, shift)
        if not names:
            return f"no shipped baseline has the shift together with {reference!r}"
        baseline = load_baseline(names[0])
    try:
        return baseline.fit(reference, shift, scale=scale)
    except FitError as error:
        return error.message
