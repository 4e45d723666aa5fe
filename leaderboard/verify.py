"""Verification: every named check, then the lints. Nothing in a bundle is believed, and none of it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.metrics import Metrics
from leaderboard.checks import numbers, rows, suite
from leaderboard.container import MANIFEST, Container, bundle_digest, hashes_of, open_container
from leaderboard.keys import Keys
from leaderboard.manifest import Claim, Manifest, problems
from leaderboard.report import Check, VerificationReport, check, skipped
from leaderboard.table import Answers, decode, look
from shifts.data import Shift
from shifts.errors import ResultsError
from shifts.spec import ShiftSpec

if TYPE_CHECKING:
    from leaderboard.lints import Known

CHECKS = (
    "sizes",
    "files",
    "schema",
    "integrity",
    "tables",
    "suite",
    "digests",
    "ids",
    "labels",
    "groups",
    "probabilities",
    "metrics",
    "group-sizes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Predictions on one shift that every check has passed, with the numbers they give."""

    claim: Claim
    spec: ShiftSpec
    shift: Shift
    answers: Answers
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A report, and what was read on the way to it.

    Attributes:
        manifest: None where it could not be read.
        scored: one for each shift; empty unless every check passed.
        files: name → SHA-256 of what the bundle holds.
    """

    report: VerificationReport
    manifest: Manifest | None
    scored: tuple[Scored, ...]
    files: dict[str, str]


def verify(
    bundle: Path,
    *,
    keys: Keys | None = None,
    known: Sequence[Known] = (),
    progress: Callable[[str], None] | None = None,
) -> Verified:
    """Check a bundle and, where all checks pass, look at its numbers.

    Args:
        bundle: a zip or a folder.
        keys: where right answers come from.
        known: entries of a board, which lints compare with.
        progress: called with the name of each shift before it is scored.

    Raises:
        ResultsError: there is nothing at the path that could be a bundle.
    """
    from leaderboard.lints import run_lints

    inspection = _Inspection(open_container(bundle), keys or Keys(), progress)
    checks = list(inspection.checks())
    done = {one.name for one in checks}
    stopped = "an earlier check failed"
    checks += [skipped(name, stopped) for name in CHECKS if name not in done]
    scored = tuple(inspection.scored) if all(one.status == "passed" for one in checks) else ()
    manifest = inspection.manifest
    lints = run_lints(manifest, scored, known) if manifest is not None and scored else ()
    report = VerificationReport(
        bundle=bundle_digest(inspection.hashes) if inspection.hashes else None,
        model=None if manifest is None else manifest.model.name,
        suite=None if manifest is None else manifest.suite,
        checks=tuple(checks),
        lints=tuple(lints),
    )
    return Verified(report=report, manifest=manifest, scored=scored, files=inspection.hashes)


class _Inspection:
    """The checks in order, each on what those before it have made safe to look at."""

    def __init__(self, container: Container, keys: Keys, progress: Callable[[str], None] | None) -> None:
        self.container = container
        self.keys = keys
        self.progress = progress
        self.hashes: dict[str, str] = {}
        self.manifest: Manifest | None = None
        self.scored: list[Scored] = []

    def checks(self) -> Iterator[Check]:
        """Checks until one leaves nothing that could be looked at further."""
        yield check("sizes", self.container.oversized, passed=f"{self.container.size / 1e6:.2f} MB")
        if self.container.oversized:
            return
        foreign = [*self.container.foreign, *self._read_manifest()]
        foreign += self._unlisted()
        yield check("files", foreign, passed=f"{len(self.container.members)} files, no other")
        if self.manifest is None:
            if self._unreadable:
                yield check("schema", [self._unreadable], passed="")
            return
        wrong = [*problems(self.manifest), *suite.unfit(self.manifest)]
        yield check("schema", wrong, passed=f"manifest schema {self.manifest.schema_version}")
        if wrong or foreign:
            return
        yield from self._tables(self.manifest)

    def _read_manifest(self) -> list[str]:
        self._unreadable = ""
        if MANIFEST not in self.container.members:
            return [f"no {MANIFEST}"]
        try:
            self.manifest = Manifest.from_json(self.container.read(MANIFEST))
        except (ResultsError, UnicodeDecodeError) as error:
            self._unreadable = getattr(error, "message", str(error))
        return []

    def _unlisted(self) -> list[str]:
        if self.manifest is None:
            return []
        listed = {claim.file for claim in self.manifest.shifts}
        there = set(self.container.members) - {MANIFEST}
        return [f"{name!r} is not listed in the manifest" for name in sorted(there - listed)] + [
            f"{name[:80]!r} is listed in the manifest and not there" for name in sorted(listed - there)
        ]

    def _tables(self, manifest: Manifest) -> Iterator[Check]:
        try:
            self.hashes = hashes_of(self.container)
            damaged: list[str] = []
        except ResultsError as error:
            damaged = [error.message]
        damaged += [
            f"{claim.file} is not the file that the manifest lists (SHA-256)"
            for claim in manifest.shifts
            if self.hashes and self.hashes[claim.file] != claim.sha256
        ]
        yield check("integrity", damaged, passed="every file has the hash that the manifest lists")
        if damaged:
            return
        wrong = [
            f"{claim.shift}: {problem}"
            for claim in manifest.shifts
            for problem in look(self.container.read(claim.file))
        ]
        answers: dict[str, Answers] = {}
        for claim in manifest.shifts if not wrong else ():
            try:
                answers[claim.shift] = decode(self.container.read(claim.file))
            except ResultsError as error:
                wrong.append(f"{claim.shift}: {error.message}")
        yield check("tables", wrong, passed=f"{sum(map(len, answers.values()))} rows of the known columns")
        missing = list(suite.incomplete(manifest))
        yield check("suite", missing, passed=f"all {len(manifest.shifts)} shifts of {manifest.suite!r}")
        unknown = list(suite.unknown_digests(manifest, self.keys))
        yield check("digests", unknown, passed="this version's definitions on known data")
        if not (wrong or unknown):
            yield from self._rows(manifest, answers)

    def _rows(self, manifest: Manifest, answers: dict[str, Answers]) -> Iterator[Check]:
        found: dict[str, list[str]] = {name: [] for name in CHECKS[CHECKS.index("ids") :]}
        looked = dict.fromkeys(found, 0)
        specs = suite.specs_of(manifest)
        for claim in manifest.shifts:
            spec = specs.get(claim.shift)
            if spec is None:
                continue  # `suite` names it
            if self.progress is not None:
                self.progress(claim.shift)
            shift = self.keys.shift(spec, claim.content)
            assert shift is not None, "the check of digests knows the data"
            for name, wrong in self._one(claim, spec, shift, answers[claim.shift]):
                looked[name] += 1
                found[name] += [f"{claim.shift}: {problem}" for problem in wrong]
        n = sum(len(one.answers) for one in self.scored)
        passed = {
            "ids": "exactly the sets' ids, in their order",
            "labels": "the sets' labels",
            "groups": "the sets' groups",
            "probabilities": f"{n} rows of probabilities that a classifier can give",
            "metrics": "every claimed number follows from the predictions",
            "group-sizes": "no worst group below the minimum size",
        }
        for name, wrong in found.items():
            if not wrong and looked[name] < len(manifest.shifts):
                yield skipped(name, f"looked at {looked[name]} of {len(manifest.shifts)} shifts")
            else:
                yield check(name, wrong, passed=passed[name])

    def _one(
        self, claim: Claim, spec: ShiftSpec, shift: Shift, answers: Answers
    ) -> Iterator[tuple[str, list[str]]]:
        """The checks of one shift with what they find, until one leaves no ground for the next."""
        wrong = list(rows.wrong_ids(answers, shift))
        if claim.n != len(answers):
            wrong.insert(0, f"{len(answers)} rows, claimed {claim.n}")
        yield "ids", wrong
        if wrong:
            return
        labels = list(rows.wrong_labels(answers, shift))
        yield "labels", labels
        groups = list(rows.wrong_groups(answers, claim, shift))
        yield "groups", groups
        if labels or groups:
            return
        if claim.num_classes != shift.num_classes:
            wrong = [f"{claim.num_classes} classes claimed, {shift.num_classes} there"]
        else:
            wrong = list(rows.wrong_probabilities(answers, shift.num_classes))
        yield "probabilities", wrong
        if wrong:
            return
        metrics = numbers.score(answers, claim, spec)
        yield "metrics", list(numbers.wrong_metrics(claim, metrics))
        yield "group-sizes", list(numbers.small_groups(claim, metrics, spec))
        self.scored.append(Scored(claim=claim, spec=spec, shift=shift, answers=answers, metrics=metrics))
