"""What trying the alternatives showed, in words that claim no more than was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.sentinel.judging import Finding, Ranking, Target
    from benchmark.sentinel.verdict import Verdict

SHOWN = 3
NO_TIME = "no time was left"  # why an alternative was skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The outcome of trying alternatives on a sample.

    Attributes:
        target: what had to be explained.
        images: how many the run as it was has seen; an alternative out of reach saw fewer.
        as_run: the run as it was, on these images.
        ranking: what was tried, in order.
        tried: how many alternatives.
        skipped: alternative → why it could not be tried.
        stopped: ``settled``, ``nothing in reach``, ``images`` (all allowed ones seen) or ``time``.
    """

    target: Target
    images: int
    as_run: Finding
    ranking: Ranking
    tried: int
    skipped: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""
    seconds: float = 0.0

    @property
    def cause(self) -> str | None:
        """The likeliest explanation's key, or None."""
        return self.ranking.causes[0].key if self.ranking.causes else None

    @property
    def by_chance(self) -> bool:
        """Whether a limited run was off by the choice of its images: on more of them it is not."""
        return not self.target.complete and self.images > self.target.n and self.as_run.possible

    def sentence(self) -> str:
        """What a reader is told."""
        ranking = self.ranking
        counted = f"{self.tried} alternatives tried on up to {self.images:,} images"
        left = sum(why == NO_TIME for why in self.skipped.values())
        counted += f", {left} left out for lack of time" if left else ""
        if self.by_chance:
            shown = self.as_run
            return (
                f"on {shown.n:,} images the run as it is has {100 * shown.accuracy:.1f} %, which agrees with "
                "the published number: the smaller choice was off by chance"
            )
        if ranking.causes:
            best, *rest = ranking.causes
            also = f"; these images do not tell it apart from {_listed(rest)}" if rest else ""
            return f"likely cause: {_cause(best)}{also} ({counted})"
        if ranking.possible:
            gap = 100 * abs(self.target.published - self.target.accuracy)
            return (
                f"no cause shown: the gap of {gap:.2f} points is too small for {self.images:,} images; "
                f"still possible: {_listed(ranking.possible)} ({counted})"
            )
        if ranking.partial:
            best = ranking.partial[0]
            return f"none of the {counted} explains it; {_cause(best)} narrows the gap but does not close it"
        return f"none of the {counted} explains it"

    def to_json(self) -> dict[str, Any]:
        ranking = self.ranking
        return {
            "cause": self.cause,
            "sentence": self.sentence(),
            "images": self.images,
            "as_run": self.as_run.accuracy,
            "causes": [one.to_json() for one in ranking.causes],
            "possible": [one.to_json() for one in ranking.possible],
            "partial": [one.to_json() for one in ranking.partial],
            "others": [one.to_json() for one in ranking.others],
            "skipped": dict(self.skipped),
            "stopped": self.stopped,
            "seconds": self.seconds,
        }


def warning(verdict: Verdict, diagnosis: Diagnosis | None) -> str | None:
    """The warning of a result that is off its published number, or None where it is not."""
    if verdict.status != "differs":
        return None
    parts = [verdict.sentence()]
    if diagnosis is not None and diagnosis.cause is not None:
        parts.append(diagnosis.sentence())
    sure = "likely" if verdict.alike else "possible"
    parts += [f"{sure} cause: the copy of the images ({remark})" for remark in verdict.remarks]
    for figure in verdict.alike[:1]:
        parts.append(
            f"{100 * verdict.accuracy:.2f} % is this model's figure on {figure.shift} "
            f"({100 * figure.accuracy:.2f}, {figure.source})"
        )
    if diagnosis is not None and diagnosis.cause is None:
        parts.append(diagnosis.sentence())
    return PREFIX + "; ".join(parts)


PREFIX = "sentinel: "


def _cause(one: Finding) -> str:
    return f"{one.key}, {one.sentence()}"


def _listed(findings: Sequence[Finding]) -> str:
    named = ", ".join(f"{one.key} ({one.says}: {one.forecast()})" for one in findings[:SHOWN])
    return named + (f" and {len(findings) - SHOWN} more" if len(findings) > SHOWN else "")
