"""What a study is, what it is asked and what it answers: plain data. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shifts.errors import UnknownNameError, UserError
from shifts.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Outcome = Literal["reproduced", "not reproduced", "within noise", "not tested"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A question of the literature that a command answers.

    Attributes:
        run: ``"module:function"``, called as ``function(setting)``, gives ``Findings``.
        suites: what ``--suite`` may be, the default first; empty where a study brings its own data.
        seeds: how many by default.
        jobs: ``"module:function"``, called as ``function(setting)``, gives every ``measuring.Job`` of the run
            without doing one (``--plan``); None where nothing is trained.
    """

    name: str
    title: str
    citation: str
    run: str
    suites: tuple[str, ...] = ()
    seeds: int = 5
    jobs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a study is run.

    Attributes:
        suite: one of the study's, or None where it has none.
        seeds: the seeds of its repetitions.
        smoke: a size of seconds, which shows that everything runs and nothing else.
        results: where predictions are kept, so that a second run measures nothing again: a folder or a URL.
        data_dir: where local copies of data sets lie, if not in the cache.
        progress: called with (what is being done, done, in all).
    """

    seeds: tuple[int, ...]
    suite: str | None = None
    smoke: bool = False
    results: Path | None = None
    data_dir: Path | None = None
    progress: Progress | None = None

    def described(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration: what is planned, with suite, seeds and size."""
        return {**plan, "suite": self.suite, "seeds": list(self.seeds), "smoke": self.smoke}

    def say(self, what: str, done: int, total: int) -> None:
        """Report progress to whoever listens."""
        if self.progress is not None:
            self.progress(what, done, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows for people; the same numbers are in ``Findings.numbers``, unrounded."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the numbers say of a claim.

    Attributes:
        claim: in words, with its place in the paper.
        evidence: the numbers it was decided by.
    """

    claim: str
    outcome: Outcome
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The answer of a study.

    Attributes:
        configuration: everything that decides the numbers.
        numbers: every number with its interval, as plain JSON values.
        figures: name → function that draws it.
    """

    study: str
    configuration: Mapping[str, Any]
    numbers: Mapping[str, Any]
    tables: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with a schema version."""
        return {
            "schema_version": 1,
            "study": self.study,
            "configuration": dict(self.configuration),
            "numbers": dict(self.numbers),
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
        }


STUDIES: Registry[Study] = Registry("study", package="benchmark.studies")


def setting(
    study: Study,
    *,
    suite: str | None = None,
    seeds: int | None = None,
    smoke: bool = False,
    results: Path | None = None,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Setting:
    """The setting of a run, with the study's defaults for what is not said.

    Raises:
        UserError: a suite that the study does not have, or fewer than two seeds: one has no interval.
    """
    if suite is not None and suite not in study.suites:
        has = f"it has {', '.join(study.suites)}" if study.suites else "it brings its own data"
        raise UnknownNameError(f"the study {study.name!r} has no suite {suite!r}", hint=has)
    number = seeds if seeds is not None else (2 if smoke else study.seeds)
    if number < 2:
        raise UserError("a study needs two seeds or more: one gives no interval", hint="--seeds 5")
    return Setting(
        suite=suite or (study.suites[0] if study.suites else None),
        seeds=tuple(range(number)),
        smoke=smoke,
        results=results,
        data_dir=data_dir,
        progress=progress,
    )


def decided(claim: str, *, holds: bool, evidence: Sequence[str] | str, noise: bool = False) -> Verdict:
    """A verdict from a comparison of numbers.

    Args:
        holds: whether the numbers show what is claimed.
        noise: whether an interval leaves it open; then the outcome is ``"within noise"``.
    """
    outcome: Outcome = "within noise" if noise else "reproduced" if holds else "not reproduced"
    text = evidence if isinstance(evidence, str) else "; ".join(evidence)
    return Verdict(claim=claim, outcome=outcome, evidence=text)
