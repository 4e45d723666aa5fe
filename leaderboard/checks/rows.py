"""Row by row: the set's examples with the set's labels, and answers that a classifier can give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from leaderboard.manifest import Claim
from leaderboard.table import Answers
from shifts.data import Shift

# float16 has 11 bits; five of its roundings together move a sum by no more than this.
ROUNDING = 2e-3
EXACT = 1e-5


def wrong_ids(answers: Answers, shift: Shift) -> Iterator[str]:
    """Examples that are missing, foreign, there twice or in another order."""
    given, wanted = list(answers.example_ids), shift.example_ids
    if given == wanted:
        return
    twice = [name for name, count in Counter(given).items() if count > 1]
    missing, extra = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    for what, names in (("there twice", twice), ("missing", missing), ("not of the set", extra)):
        if names:
            yield f"{len(names)} ids {what}, first {names[0][:80]!r}"
    if not (twice or missing or extra):
        row = next(i for i, (a, b) in enumerate(zip(given, wanted, strict=True)) if a != b)
        yield f"the set's ids in another order, first in row {row}: {given[row][:80]!r} for {wanted[row]!r}"


def wrong_labels(answers: Answers, shift: Shift) -> Iterator[str]:
    """Labels that are not the set's; where several are right, the one that the model ranks first."""
    expected = shift.labels
    if shift.accepted is not None:
        expected = _ranked_first(answers, shift)
    bad = np.flatnonzero(answers.labels != expected)
    if len(bad):
        row = int(bad[0])
        yield (
            f"{len(bad)} labels are not the set's, first {shift.example_ids[row]!r}: "
            f"{int(answers.labels[row])} for {int(expected[row])}"
        )


def _ranked_first(answers: Answers, shift: Shift) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    assert shift.accepted is not None, "asked only where several labels are right"
    expected = np.array(answers.labels)
    for row, known in enumerate(shift.accepted):
        ranked = [label for label in answers.top5[row].tolist() if label in known]
        if ranked:
            expected[row] = ranked[0]
        elif int(answers.labels[row]) not in known:
            expected[row] = known[0]
    return expected


def wrong_groups(answers: Answers, claim: Claim, shift: Shift) -> Iterator[str]:
    """Group columns or values that are not the set's."""
    wanted = {name: column.names for name, column in shift.group_columns.items()}
    if dict(claim.group_columns) != wanted or set(answers.groups) != set(wanted):
        yield f"group columns {sorted(answers.groups)} for {sorted(wanted)}, or other names of their values"
        return
    for place, name in enumerate(wanted):
        bad = np.flatnonzero(answers.groups[name] != shift.groups[:, place])
        if len(bad):
            yield f"{len(bad)} values of {name!r} are not the set's, first {shift.example_ids[int(bad[0])]!r}"


def wrong_probabilities(answers: Answers, num_classes: int) -> Iterator[str]:
    """Classes that do not exist or repeat; numbers that are no probabilities of one distribution."""
    top, probability = answers.top5, answers.top5_probability
    if top.shape[1] != min(5, num_classes):
        yield f"{top.shape[1]} classes a row for {min(5, num_classes)}"
        return

    def first(bad: Any, what: str) -> Iterator[str]:
        rows = np.flatnonzero(bad)
        if len(rows):
            yield f"{what} in {len(rows)} rows, first {answers.example_ids[int(rows[0])][:80]!r}"

    yield from first((top >= num_classes).any(axis=1), f"a class beyond the {num_classes} of the shift")
    ordered = np.sort(top, axis=1)
    yield from first((ordered[:, 1:] == ordered[:, :-1]).any(axis=1), "one class twice")
    numbers = np.column_stack([probability, np.exp(answers.label_log_probability)])
    finite = np.isfinite(numbers).all(axis=1) & np.isfinite(answers.squared_probability_sum)
    yield from first(~finite, "a probability that is no number")
    if not finite.all():
        return
    outside = ((numbers < 0) | (numbers > 1 + EXACT)).any(axis=1)
    yield from first(outside, "a probability outside [0, 1]")
    yield from first((np.diff(probability, axis=1) > ROUNDING).any(axis=1), "probabilities that do not fall")
    yield from first(probability.sum(axis=1) > 1 + ROUNDING, "probabilities that sum to more than 1")
    label = np.exp(answers.label_log_probability)
    inside = top == answers.labels[:, None]
    named = np.where(inside, probability, 0).sum(axis=1)
    differs = inside.any(axis=1) & (np.abs(named - label) > ROUNDING)
    yield from first(differs, "a label's probability that differs from the one among the five best")
    beyond = ~inside.any(axis=1) & (label > probability[:, -1] + ROUNDING)
    yield from first(beyond, "a label more probable than the five best classes")
    yield from first(
        ~_possible_squares(answers, num_classes), "a sum of squared probabilities that cannot be"
    )


def _possible_squares(answers: Answers, num_classes: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The five best leave a rest of the mass, each part of it at most the fifth: bounds of Σ p²."""
    probability = answers.top5_probability
    seen = np.square(probability).sum(axis=1)
    rest = np.clip(1 - probability.sum(axis=1), 0, None)
    most = seen + np.minimum(
        rest * probability[:, -1], (num_classes - probability.shape[1]) * probability[:, -1] ** 2
    )
    squares = answers.squared_probability_sum
    return np.asarray((squares >= seen - ROUNDING) & (squares <= most + ROUNDING))
