"""A result against its published number, kept in the result. No torch until alternatives are tried."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.sentinel.diagnosis import PREFIX, Diagnosis, warning
from benchmark.sentinel.published import known_shifts, published
from benchmark.sentinel.verdict import compare
from shifts.spec import SHIFTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.planning import Cell, Contestant
    from benchmark.result import Result
    from benchmark.sentinel.judging import Target
    from benchmark.sentinel.published import Published
    from benchmark.sentinel.verdict import Verdict
    from models_zoo.spec import ModelSpec
    from shifts.spec import ShiftSpec

KEY = "sentinel"  # in the provenance of a result


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the sentinel says of one cell."""

    verdict: Verdict
    diagnosis: Diagnosis | None = None


def verdict_on(
    result: Result, contestant: Contestant, *, figures: Sequence[Published] | None = None
) -> Verdict | None:
    """The verdict on a result, or None where nobody publishes a number or the evaluation failed.

    Args:
        figures: instead of the shipped ones.
    """
    if result.accuracy is None:
        return None
    spec, precision = contestant.spec, contestant.precision
    if figures is None:
        figures = published(spec, result.shift, precision=precision)
        elsewhere = [
            figure
            for name in related(spec, result.shift)
            for figure in published(spec, name, precision=precision)
        ]
    else:
        elsewhere = []
    return compare(result, figures, elsewhere=elsewhere)


def related(spec: ModelSpec, shift: str) -> list[str]:
    """Shifts with a figure for the model whose images this one may have been mistaken for."""
    found = []
    own = SHIFTS.find(shift)
    for name in known_shifts(spec):
        other = SHIFTS.find(name)
        if own is not None and other is not None and name != shift:
            same_kind = own.name == other.reference or other.name == own.reference
            if same_kind or own.source == other.source:
                found.append(name)
    return found


def has_published_weights(contestant: Contestant, *, given: bool) -> bool:
    """Whether the weights are the ones that the published numbers are about.

    Args:
        given: the user named the file; then only a published hash tells.
    """
    if not given:
        return True
    file, found = contestant.spec.weights, contestant.weights_digest
    wanted = getattr(file, "sha256", None) or getattr(file, "sha256_prefix", None)
    return bool(wanted and found and found.startswith(wanted))


def target_of(verdict: Verdict) -> Target:
    """What an alternative has to explain."""
    from benchmark.sentinel.judging import Target

    return Target(
        accuracy=verdict.accuracy,
        n=verdict.n,
        published=verdict.published.accuracy,
        tolerance=verdict.published.tolerance,
        population=verdict.published.n,
        complete=verdict.complete,
    )


def can_be_tried(shift: ShiftSpec) -> bool:
    """Whether alternatives can be tried on single images of the shift."""
    return shift.unit is None


def checked(result: Result, check: Check | None) -> Result:
    """The result with what the sentinel says of it, in place of what it said before."""
    kept = tuple(one for one in result.warnings if not one.startswith(PREFIX))
    provenance = {name: value for name, value in result.provenance.items() if name != KEY}
    if check is not None:
        said = warning(check.verdict, check.diagnosis)
        kept += () if said is None else (said,)
        provenance[KEY] = {
            **check.verdict.to_json(),
            "diagnosis": None if check.diagnosis is None else check.diagnosis.to_json(),
        }
    return dataclasses.replace(result, warnings=kept, provenance=provenance)


def already_diagnosed(result: Result, verdict: Verdict) -> bool:
    """Whether the alternatives were tried before for this very gap."""
    before = result.provenance.get(KEY) or {}
    same = before.get("published") == verdict.published.to_json() and before.get("status") == verdict.status
    return same and before.get("diagnosis") is not None


def worst_first(cells: Sequence[tuple[Cell, Verdict]]) -> list[tuple[Cell, Verdict]]:
    """The cells of each model, the one with the largest gap for its tolerance first."""
    return sorted(cells, key=lambda pair: -abs(pair[1].gap) / max(pair[1].published.tolerance, 1e-6))
