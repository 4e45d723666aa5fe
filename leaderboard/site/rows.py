"""What the site shows: one row for each model of a suite, measured or claimed, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmark.estimate import Estimate
from benchmark.intervals import wilson_bounds
from benchmark.robustness import EffectiveRobustness, effective_robustness
from benchmark.suites import SUITES
from leaderboard.claimed import ClaimedRow, claimed_rows
from leaderboard.ranking import Rank, line, rank
from leaderboard.submission import slug
from shifts.spec import SHIFTS, ShiftSpec

if TYPE_CHECKING:
    from benchmark.lines import BaselineFit
    from leaderboard.board import Board, BoardEntry

Z95 = 1.959963984540054
KNOWN = 10**9  # where the publisher does not say how many examples, an accuracy is taken as known


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model on one shift.

    Attributes:
        accuracy: with its interval; ``bare`` says that n is not published, so that there is none.
        effective: how far above the line of the shift's default baseline, or None where there is no line.
        metrics: further ones of a measured entry; warnings: what a reader has to know.
    """

    accuracy: Estimate
    bare: bool = False
    effective: EffectiveRobustness | None = None
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    worst_group: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """A model of a suite.

    Attributes:
        id: names its page; unique.
        tier: ``leaderboard.report.Tier``.
        source: who measured it, in words; ``origin``: of a claimed row, the table.
        rank: of ranked entries only.
        entry: the board's entry, or None for a claimed row.
    """

    id: str
    name: str
    family: str
    training_data: tuple[str, ...]
    tier: str
    source: str
    cells: Mapping[str, Cell]
    parameters: int | None = None
    origin: ClaimedRow | None = None
    rank: Rank | None = None
    entry: BoardEntry | None = None

    @property
    def status(self) -> str:
        """``"active"``, ``"superseded"`` or ``"withdrawn"``."""
        return "active" if self.entry is None else self.entry.status


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSuite:
    """A suite with all that is known on it; ``shifts`` are those that any row has, references first."""

    name: str
    title: str
    shifts: tuple[ShiftSpec, ...]
    rows: tuple[SiteRow, ...]

    @property
    def measured(self) -> tuple[SiteRow, ...]:
        """The rows that were re-scored here."""
        return tuple(row for row in self.rows if row.entry is not None)


class Lines:
    """The default baseline line of every pair, fitted once."""

    def __init__(self) -> None:
        self._fits: dict[tuple[str, str], BaselineFit | str] = {}

    def of(self, reference: str, shift: str) -> BaselineFit | None:
        """The line, or None where no shipped baseline has one."""
        pair = (reference, shift)
        if pair not in self._fits:
            self._fits[pair] = line(*pair)
        fit = self._fits[pair]
        return None if isinstance(fit, str) else fit

    def effective(
        self, spec: ShiftSpec, accuracies: Mapping[str, Estimate], model: str
    ) -> EffectiveRobustness | None:
        """Effective robustness of a model on a shift, where it can be said."""
        if spec.reference is None or spec.reference not in accuracies:
            return None
        fit = self.of(spec.reference, spec.name)
        if fit is None:
            return None
        return effective_robustness(fit, accuracies[spec.reference], accuracies[spec.name], model=model)


def site_suites(board: Board, *, claimed: bool = True) -> list[SiteSuite]:
    """Every suite that has a row, in the order of registration.

    Args:
        claimed: whether published accuracies are shown beside the entries.
    """
    lines, entries = Lines(), board.entries()
    published = _by_model(claimed_rows()) if claimed else {}
    made = [_suite(board, name, entries, published, lines) for name in _names(entries, claimed)]
    return [suite for suite in made if suite.rows]


def _names(entries: Sequence[BoardEntry], claimed: bool) -> list[str]:
    """Suites with entries, and those that most people come for even if there are only published numbers."""
    wanted = dict.fromkeys(one.entry.suite for one in entries)
    known = [suite.name for suite in SUITES if suite.name in wanted or (claimed and suite.name in ALWAYS)]
    return [*known, *(name for name in wanted if name not in known)]


ALWAYS = ("imagenet", "cifar10")


def _suite(
    board: Board,
    name: str,
    entries: Sequence[BoardEntry],
    published: Mapping[tuple[str, str], list[ClaimedRow]],
    lines: Lines,
) -> SiteSuite:
    from leaderboard.suites import suite_shifts

    specs = {spec.name: spec for spec in suite_shifts(name)}
    mine = [one for one in entries if one.entry.suite == name]
    rows = [*_measured(board, mine, lines), *_claimed(specs, published, lines)]
    seen = {shift for row in rows for shift in row.cells}
    title = SUITES.get(name).title if name in SUITES.names() else SHIFTS.get(name).title
    return SiteSuite(
        name=name,
        title=title,
        shifts=tuple(spec for spec in specs.values() if spec.name in seen),
        rows=tuple(rows),
    )


def _measured(board: Board, entries: Sequence[BoardEntry], lines: Lines) -> list[SiteRow]:
    ranks = rank(board, entries)
    rows = []
    for one in entries:
        entry, card = one.entry, one.entry.model
        accuracies = {each.shift: each.accuracy for each in entry.shifts}
        cells = {
            each.shift: Cell(
                accuracy=each.accuracy,
                effective=lines.effective(SHIFTS.get(each.shift), accuracies, card.name)
                if each.shift in SHIFTS
                else None,
                metrics={
                    name: value
                    for name, value in each.metrics.items()
                    if value is not None and name != "accuracy"
                },
                worst_group=each.worst_group,
                warnings=each.warnings,
            )
            for each in entry.shifts
        }
        rows.append(
            SiteRow(
                id=entry.id,
                name=card.name,
                family=card.family,
                training_data=card.training_data,
                tier=one.tier,
                source=", ".join(card.authors),
                cells=cells,
                parameters=card.parameters,
                rank=ranks.get(entry.id),
                entry=one,
            )
        )
    return sorted(rows, key=lambda row: (row.rank is None, row.rank.rank if row.rank else 0, row.id))


def _by_model(rows: Iterable[ClaimedRow]) -> dict[tuple[str, str], list[ClaimedRow]]:
    found: dict[tuple[str, str], list[ClaimedRow]] = {}
    for row in rows:
        found.setdefault((row.baseline, row.model), []).append(row)
    return found


def _claimed(
    specs: Mapping[str, ShiftSpec], published: Mapping[tuple[str, str], list[ClaimedRow]], lines: Lines
) -> list[SiteRow]:
    rows, taken = [], set()
    # A table that repeats the numbers of a larger one adds nothing.
    for (baseline, model), all_of_model in sorted(published.items()):
        some = {row.shift: row for row in all_of_model if row.shift in specs}
        shifted = [shift for shift in some if specs[shift].reference is not None]
        first = all_of_model[0]
        identity = (first.publisher, model)
        if not shifted or identity in taken:
            continue
        taken.add(identity)
        accuracies = {shift: _estimate(row) for shift, row in some.items()}
        rows.append(
            SiteRow(
                id=f"claimed--{slug(baseline)}--{slug(model)}",
                name=model,
                family=first.family,
                training_data=first.training_data,
                tier="claimed",
                source=first.publisher,
                cells={
                    shift: Cell(
                        accuracy=accuracies[shift],
                        bare=row.n is None,
                        effective=lines.effective(specs[shift], accuracies, model),
                    )
                    for shift, row in some.items()
                },
                origin=first,
            )
        )
    return _unique(rows)


def _unique(rows: Sequence[SiteRow]) -> list[SiteRow]:
    """Names that differ in nothing but a mark the page's name cannot hold get a number."""
    import dataclasses

    count: dict[str, int] = {}
    made = []
    for row in rows:
        count[row.id] = count.get(row.id, 0) + 1
        number = count[row.id]
        made.append(row if number == 1 else dataclasses.replace(row, id=f"{row.id}--{number}"))
    return made


def _estimate(row: ClaimedRow) -> Estimate:
    if row.n is None:
        return Estimate(
            value=row.accuracy, low=row.accuracy, high=row.accuracy, method="as published", n=KNOWN
        )
    low, high = wilson_bounds(row.accuracy, row.n, z=Z95)
    return Estimate(
        value=row.accuracy,
        low=min(low, row.accuracy),
        high=max(high, row.accuracy),
        method="wilson",
        n=row.n,
    )
