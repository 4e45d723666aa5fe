"""Answers that would be right in another order: of the rows, or of the classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.lints import Case, Finding
from leaderboard.table import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

# A better order must gain this much accuracy, and be no accident of the sample.
GAIN = 0.1
# Renumbering classes gains a little wherever a hard shift makes a network confuse two of them for good: up to
# 0.12 on the strongest corruptions.
GAIN_OF_CLASSES = 0.2
DEVIATIONS = 6.0
FEWEST = 50


def other_order_of_ids(case: Case) -> Iterator[Finding]:
    """Rows that were paired with the wrong ids: sorted otherwise, by folder, backwards, or moved by one.

    Which orders could have been mixed up is known, so only those are tried; an accuracy cannot rise by a
    tenth through any of them unless the predictions were made in it.
    """
    for one in case.scored:
        answers = one.answers
        n = len(answers)
        if n < FEWEST:
            continue
        own, best, name = float(answers.correct.mean()), -1.0, ""
        for name_of, order in _orders(answers).items():
            for given, asked in ((np.arange(n), order), (order, np.arange(n))):
                right = float((answers.top5[given, 0] == answers.labels[asked]).mean())
                if right > best:
                    best, name = right, name_of
        gain = best - own
        yield Finding(
            shift=one.spec.name,
            value=gain,
            threshold=GAIN,
            flagged=gain > GAIN and gain > DEVIATIONS * np.sqrt(0.25 / n),
            reason=f"accuracy is {own:.1%}, and {best:.1%} if the rows were {name}",
            further={"order": name},
        )


def _orders(answers: Answers) -> dict[str, Ints]:
    n = len(answers)
    rows = np.arange(n)
    ids, labels = list(answers.example_ids), answers.labels
    as_text = np.array([str(label) for label in labels.tolist()])
    places = np.array(ids, dtype=object)
    by_number = sorted(range(n), key=lambda row: _natural(ids[row]))
    found = {
        "backwards": rows[::-1],
        "sorted by id as text": np.argsort(places, kind="stable"),
        "sorted by the numbers in the ids": np.array(by_number, dtype=np.int64),
        "sorted by class": np.argsort(labels, kind="stable"),
        "sorted by class folders named 0, 1, 10, ...": np.argsort(as_text, kind="stable"),
    }
    for step in (1, 2):
        found[f"moved by {step}"] = np.roll(rows, step)
    return found


def _natural(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def other_order_of_classes(case: Case) -> Iterator[Finding]:
    """Classes numbered in another order: folders sorted as text, or another list of names.

    The assignment of predicted to true classes that scores best is found on every other row and scored on the
    rest, so that chance gains nothing.
    """
    for one in case.scored:
        answers = one.answers
        if len(answers) < FEWEST:
            continue
        own = float(answers.correct.mean())
        better = float(np.mean([_reassigned(answers, half, one.shift.num_classes) for half in (0, 1)]))
        gain = better - own
        yield Finding(
            shift=one.spec.name,
            value=gain,
            threshold=GAIN_OF_CLASSES,
            flagged=gain > GAIN_OF_CLASSES
            and better > 1.5 * own
            and gain > DEVIATIONS * np.sqrt(0.25 / len(answers)),
            reason=f"accuracy is {own:.1%}, and {better:.1%} if the classes were numbered in another order",
        )


def _reassigned(answers: Answers, half: int, num_classes: int) -> float:
    """Accuracy on one half of the rows under the assignment that is best on the other."""
    from scipy.optimize import linear_sum_assignment

    fitted = np.arange(len(answers)) % 2 == half
    said, truth = answers.top5[:, 0], answers.labels
    confusion = np.zeros((num_classes, num_classes))
    np.add.at(confusion, (said[fitted], truth[fitted]), 1)
    confusion[np.diag_indices(num_classes)] += 0.5  # where nothing was seen, a class stays what it is
    rows, columns = linear_sum_assignment(-confusion)
    table = np.empty(num_classes, dtype=np.int64)
    table[rows] = columns
    return float((table[said[~fitted]] == truth[~fitted]).mean())


def no_better_than_chance(case: Case) -> Iterator[Finding]:
    """A reference on which the answers say nothing about the labels; on a hard shift real ones may not."""
    references = [one for one in case.scored if one.spec.kind == "reference"]
    for one in references or case.scored:
        answers = one.answers
        n, classes = len(answers), one.shift.num_classes
        if n < FEWEST:
            continue
        said = np.bincount(answers.top5[:, 0], minlength=classes) / n
        true = np.bincount(answers.labels, minlength=classes) / n
        chance, own = float(said @ true), float(answers.correct.mean())
        limit = chance + 3 * float(np.sqrt(chance * (1 - chance) / n))
        yield Finding(
            shift=one.spec.name,
            value=own,
            threshold=round(limit, 4),
            flagged=own <= limit,
            reason=f"accuracy {own:.1%} is what these answers would score on shuffled labels ({chance:.1%})",
        )
