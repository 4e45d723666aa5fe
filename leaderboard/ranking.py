"""The board as data: per suite the rows with rank and interval, and the published numbers beside them.

The rank is by the *score*: the unweighted mean accuracy over the suite's shifts without its references. Only
active entries of tier re-scored or higher that are measured on the same data take part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.baselines import baselines_for, load_baseline
from benchmark.estimate import Estimate
from benchmark.lines import BaselineFit
from benchmark.robustness import EffectiveRobustness, effective_robustness
from leaderboard.board import Board, BoardEntry
from leaderboard.claimed import claimed_rows
from leaderboard.entry import Entry
from shifts.errors import FitError, UnknownNameError
from shifts.spec import SHIFTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SCHEMA_VERSION = 1
RESAMPLES = 1000
BLOCKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Place of an entry in its suite; 1 is best.

    Attributes:
        low, high: bounds of the place over resamples of the images, which all entries share.
        entries: how many are ranked.
        score: mean accuracy over the suite's shifts with the percentile interval of the same resamples.
    """

    rank: int
    low: int
    high: int
    entries: int
    score: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "score": self.score.to_json()}


def scored_shifts(entry: Entry) -> list[str]:
    """The shifts that the score averages over: all but references; the references where there is no other."""
    shifts = [one.shift for one in entry.shifts if one.kind != "reference"]
    return shifts or [one.shift for one in entry.shifts]


def rank(
    board: Board, standings: Sequence[BoardEntry], *, seed: int = 0, level: float = 0.95
) -> dict[str, Rank]:
    """Ranks of the entries of one suite, by id.

    Images are resampled together for all entries and all shifts made of them, so that what is hard for all
    does not blur who is ahead; images are drawn in random blocks where there are more than a thousand.

    Args:
        standings: entries of one suite; those that do not take part are passed over.
        seed: of the resamples; equal seeds give equal ranks.
    """
    ranked = [standing.entry for standing in standings if standing.ranked]
    if not ranked:
        return {}
    shifts = scored_shifts(ranked[0])
    rng = np.random.default_rng(seed)
    draws: dict[tuple[str, str], tuple[dict[str, int], NDArray[np.float32]]] = {}
    exact, drawn = np.zeros(len(ranked)), np.zeros((len(ranked), RESAMPLES))
    images = 0
    for name in shifts:
        spec = SHIFTS.get(name)
        first = board.answers(ranked[0].id, name)
        assert first is not None, "entries of a suite have all its shifts"
        ids = first.example_ids
        key = (spec.source, spec.split)
        place, weights = draws.get(key) or _draw([], rng)
        if any(example not in place for example in ids):
            place, weights = draws[key] = _draw(ids, rng, place, weights)
        block = np.array([place[example] for example in ids])
        right = np.zeros((len(ranked), len(weights)), dtype=np.float32)
        for number, entry in enumerate(ranked):  # one entry's answers at a time: all of them would not fit
            correct = board.right_answers(entry.id, name)
            assert correct is not None, "entries of a suite have all its shifts"
            right[number] = _sums(correct, block, len(weights))
            exact[number] += correct.mean()
        drawn += (right @ weights) / (_sums(np.ones(len(block)), block, len(weights)) @ weights)
        images += len(block)
    exact, drawn = exact / len(shifts), drawn / len(shifts)
    places = _places(drawn)
    tail = (1 - level) / 2
    result = {}
    for number, entry in enumerate(ranked):
        low, high = np.quantile(places[number], [tail, 1 - tail], method="closest_observation")
        bottom, top = np.quantile(drawn[number], [tail, 1 - tail])
        own = 1 + int((exact > exact[number]).sum())
        value = float(exact[number])
        result[entry.id] = Rank(
            rank=own,
            low=min(own, int(low)),
            high=max(own, int(high)),
            entries=len(ranked),
            score=Estimate(
                value=value,
                low=min(value, float(bottom)),
                high=max(value, float(top)),
                level=level,
                method="bootstrap over shared images",
                n=images,
            ),
        )
    return result


def _places(scores: Floats) -> NDArray[np.int64]:
    """int64 (M, R): in each of R columns one more than how many of the M scores are higher."""
    columns = [len(scores) - np.searchsorted(np.sort(one), one, side="right") for one in scores.T]
    return 1 + np.stack(columns, axis=1)


def _draw(
    ids: Sequence[str],
    rng: np.random.Generator,
    place: dict[str, int] | None = None,
    weights: NDArray[np.float32] | None = None,
) -> tuple[dict[str, int], NDArray[np.float32]]:
    """Blocks of the images of a split, and how often each block is drawn in each resample.

    Images that only a later shift of the split has go into blocks of their own; the others keep theirs.
    """
    place = dict(place or {})
    new = [example for example in ids if example not in place]
    blocks = min(len(new), BLOCKS)
    start = 0 if weights is None else len(weights)
    order = rng.permutation(len(new))
    place |= {new[row]: start + number % blocks for number, row in enumerate(order.tolist())}
    more = rng.poisson(1.0, size=(blocks, RESAMPLES)).astype(np.float32)
    return place, more if weights is None else np.concatenate([weights, more])


def _sums(values: NDArray[Any], block: NDArray[np.int64], blocks: int) -> NDArray[np.float32]:
    return np.bincount(block, weights=values.astype(np.float64), minlength=blocks).astype(np.float32)


def effective(entry: Entry, fits: dict[tuple[str, str], BaselineFit | str] | None = None) -> dict[str, Any]:
    """Effective robustness of an entry on its shifts that have a line, or why there is none.

    Args:
        fits: lines that were fitted already, by (reference, shift); filled on the way.

    Returns:
        shift → ``EffectiveRobustness``, or the reason as text.
    """
    known = {} if fits is None else fits
    found: dict[str, EffectiveRobustness | str] = {}
    for one in entry.shifts:
        if one.reference is None:
            continue
        reference = entry.on(one.reference)
        if reference is None:
            found[one.shift] = f"the reference {one.reference!r} is not of this suite"
            continue
        pair = (one.reference, one.shift)
        if pair not in known:
            known[pair] = line(*pair)
        fit = known[pair]
        found[one.shift] = (
            fit
            if isinstance(fit, str)
            else effective_robustness(fit, reference.accuracy, one.accuracy, model=entry.model.name)
        )
    return found


def line(reference: str, shift: str) -> BaselineFit | str:
    """The line of the default baseline, or why there is none."""
    names = baselines_for(reference, shift)
    if not names:
        return f"no shipped baseline has the shift together with {reference!r}"
    try:
        return load_baseline(names[0]).fit(reference, shift)
    except FitError as error:
        return error.message


def board_document(board: Board, *, claimed: bool = True) -> dict[str, Any]:
    """The whole board as plain JSON values; the same for the same board. Described in README.md.

    Args:
        claimed: also the published accuracies, about 58,000 rows.
    """
    standings = board.entries()
    fits: dict[tuple[str, str], BaselineFit | str] = {}
    suites = [
        _suite(board, name, [one for one in standings if one.entry.suite == name], fits)
        for name in dict.fromkeys(one.entry.suite for one in standings)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "head": board.head,
        "suites": suites,
        "claimed": [row.to_json() for row in claimed_rows()] if claimed else [],
    }


def _suite(
    board: Board,
    name: str,
    standings: Sequence[BoardEntry],
    fits: dict[tuple[str, str], BaselineFit | str],
) -> dict[str, Any]:
    from benchmark.suites import SUITES

    newest = standings[-1].entry
    ranks = rank(board, standings)
    try:
        title = SUITES.get(name).title
    except UnknownNameError:
        title = SHIFTS.get(name).title if name in SHIFTS else name
    rows = [_row(standing, ranks.get(standing.entry.id), fits) for standing in standings]
    rows.sort(key=lambda row: (row["rank"]["rank"] if row["rank"] else len(rows) + 1, row["entry"]))
    return {
        "suite": name,
        "title": title,
        "suite_digest": newest.suite_digest,
        "protocol_digest": newest.protocol_digest,
        "shifts": [_shift(one.shift, one.n, one.shift_digest) for one in newest.shifts],
        "scored_shifts": scored_shifts(newest),
        "rows": rows,
    }


def _shift(name: str, n: int, digest: str) -> dict[str, Any]:
    known = SHIFTS.get(name) if name in SHIFTS else None
    fields = ("title", "kind", "support", "reference", "severity", "source", "split", "notes")
    declared = {field: getattr(known, field, None) for field in fields}
    return {"shift": name, "shift_digest": digest, "n": n, **declared}


def _row(
    standing: BoardEntry, place: Rank | None, fits: dict[tuple[str, str], BaselineFit | str]
) -> dict[str, Any]:
    entry = standing.entry
    above = effective(entry, fits)
    return {
        "entry": entry.id,
        "model": entry.model.name,
        "card": dataclasses.asdict(entry.model),
        "tier": standing.tier,
        "status": standing.status,
        "reason": standing.reason,
        "incomparable": dict(standing.incomparable),
        "added": entry.added,
        "bundle": entry.bundle,
        "accepted": dict(entry.accepted),
        "rank": None if place is None else place.to_json(),
        "shifts": {one.shift: _cell(one, above.get(one.shift)) for one in entry.shifts},
        "events": [
            {"time": line.time, "event": line.event, "note": line.note, "hash": line.hash}
            for line in standing.events
        ],
    }


def _cell(one: Any, above: EffectiveRobustness | str | None) -> Mapping[str, Any]:
    metrics = {name: None if found is None else found.to_json() for name, found in one.metrics.items()}
    return {
        "n": one.n,
        "model_digest": one.model_digest,
        "shift_digest": one.shift_digest,
        "metrics": metrics,
        "worst_group": one.worst_group,
        "effective_robustness": above.to_json() if isinstance(above, EffectiveRobustness) else None,
        "effective_robustness_reason": above if isinstance(above, str) else None,
        "warnings": list(one.warnings),
    }
