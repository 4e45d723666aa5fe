"""Looks at numbers that keep every rule and may still be wrong, each with its reason.

A lint flags; a maintainer decides. The thresholds leave room: real models of very different kinds are far
from them (``tests/benchmarks/lints.py`` measures how far), so that a flag is worth somebody's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leaderboard.report import Lint
from shifts.registry import resolve

if TYPE_CHECKING:
    from leaderboard.manifest import Manifest
    from leaderboard.table import Answers
    from leaderboard.verify import Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An entry of a board that a submission is compared with.

    Attributes:
        entry: its id.
        model: name of its model; suite: that it was submitted for.
        digests: shift → shift digest.
        answers: gives its predictions on a shift.
    """

    entry: str
    model: str
    suite: str
    digests: Mapping[str, str]
    answers: Callable[[str], Answers | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a lint may look at: a submission that passed every check, and the board it would join."""

    manifest: Manifest
    scored: Sequence[Scored]
    known: Sequence[Known]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One judgement of a lint.

    Attributes:
        shift: what was looked at; empty for the whole submission.
        value, threshold: the figure and where it begins to be odd.
        reason: in words, for a flag.
    """

    shift: str
    value: float
    threshold: float
    flagged: bool
    reason: str = ""
    further: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; numbers to four places, so that a report comes out the same on any machine."""
        return {
            "shift": self.shift,
            "value": round(float(self.value), 4),
            "threshold": float(self.threshold),
            "flagged": bool(self.flagged),
            **self.further,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A lint by name.

    Attributes:
        judge: ``"module:function"``; called with the case, gives findings.
        clear: what to say where nothing was found.
        after: lints whose flag explains what this one would find; it is then not judged.
    """

    name: str
    judge: str
    clear: str
    after: tuple[str, ...] = ()


_WRONG_ROWS = ("id-order", "class-order")
RULES = (
    Rule(
        name="id-order",
        judge="leaderboard.lints.orders:other_order_of_ids",
        clear="no other order of the rows scores better",
    ),
    Rule(
        name="class-order",
        judge="leaderboard.lints.orders:other_order_of_classes",
        clear="no other order of the classes scores better",
    ),
    Rule(
        name="near-chance",
        judge="leaderboard.lints.orders:no_better_than_chance",
        clear="better than chance",
        after=_WRONG_ROWS,
    ),
    Rule(
        name="class-subset",
        judge="leaderboard.lints.confidence:mass_elsewhere",
        clear="probabilities are over the shift's classes",
    ),
    Rule(
        name="confidence",
        judge="leaderboard.lints.confidence:no_network_says_so",
        clear="confident where it is right, less so where it errs",
        after=(*_WRONG_ROWS, "near-chance"),
    ),
    Rule(
        name="off-the-line",
        judge="leaderboard.lints.line:far_from_the_line",
        clear="within five residual standard deviations of the line",
        after=(*_WRONG_ROWS, "near-chance", "class-subset"),
    ),
    Rule(
        name="copy",
        judge="leaderboard.lints.copies:same_answers",
        clear="other answers than every entry of the board",
    ),
    Rule(
        name="independent-errors",
        judge="leaderboard.lints.errors:errs_where_nobody_does",
        clear="errs where other models err",
        after=(*_WRONG_ROWS, "near-chance"),
    ),
)
NAMES = tuple(rule.name for rule in RULES)


def run_lints(manifest: Manifest, scored: Sequence[Scored], known: Sequence[Known]) -> tuple[Lint, ...]:
    """Every lint on a submission that passed every check.

    Args:
        known: entries of the board; what the submission supersedes is not compared with.
    """
    others = [one for one in known if one.entry != manifest.supersedes]
    case = Case(manifest=manifest, scored=scored, known=others)
    lints: list[Lint] = []
    for rule in RULES:
        flagged = [lint.name for lint in lints if lint.status == "flagged"]
        cause = next((name for name in rule.after if name in flagged), None)
        if cause is not None:
            lints.append(Lint(name=rule.name, status="not judged", detail=f"{cause} explains it"))
        else:
            lints.append(_lint(rule, list(resolve(rule.judge)(case))))
    return tuple(lints)


def _lint(rule: Rule, findings: Sequence[Finding]) -> Lint:
    flags = [one for one in findings if one.flagged]
    if not findings:
        return Lint(name=rule.name, status="not judged", detail="too little to go by")
    evidence = tuple(one.to_json() for one in findings)
    if not flags:
        return Lint(name=rule.name, status="clear", detail=rule.clear, evidence=evidence)
    return Lint(name=rule.name, status="flagged", detail=_told(flags), evidence=evidence)


def _told(flags: Iterable[Finding]) -> str:
    named = [f"{one.shift}: {one.reason}" if one.shift else one.reason for one in flags]
    return "; ".join(named[:3]) + (f"; and {len(named) - 3} more" if len(named) > 3 else "")
