"""Errors where no other model errs: predictions made from the labels and a random generator.

What is hard for one network is hard for others. Within each class, the examples a model gets wrong are harder
for other models than those it gets right; drawn errors are not, even when each class has its own rate. The
measure is the probability that of an error and a right answer of the same class the error is the harder
example (a stratified Mann-Whitney statistic, so it does not depend on the accuracy).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.difficulty import published_difficulty
from leaderboard.lints import Case, Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaderboard.verify import Scored

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

# Real models are at 0.83 and above where many others saw the very images, drawn errors at 0.5.
THRESHOLD = 0.65
# Fewer judges, or judges that saw other copies of the images, tell less.
THRESHOLD_FEW = 0.6
FEWEST_ERRORS = 30
FEWEST_ENTRIES = 3
LOWEST_ACCURACY = 0.1
DEVIATIONS = 2.0


def errs_where_nobody_does(case: Case) -> Iterator[Finding]:
    """Compare a submission's errors with how hard each example is, by published models or by the board.

    Judges that saw the very images decide alone; a few entries of a board, on a shift that may defeat some of
    them, only where most shifts agree.
    """
    weak: list[Finding] = []
    for one in case.scored:
        wrong = ~one.answers.correct
        few = min(int(wrong.sum()), int((~wrong).sum())) < FEWEST_ERRORS
        if few or one.answers.correct.mean() < LOWEST_ACCURACY:
            continue
        judged = _difficulty(one, case)
        if judged is None:
            continue
        hard, threshold, by = judged
        found = within_classes(wrong, hard, one.answers.labels)
        if found is None:
            continue
        area, error = found
        judgement = Finding(
            shift=one.spec.name,
            value=area,
            threshold=threshold,
            flagged=area + DEVIATIONS * error < threshold,
            reason=f"its errors fall on examples that {by} find no harder than others (AUROC {area:.2f} ± "
            f"{error:.2f}; networks are at 0.8 and above, drawn errors at 0.5)",
            further={"judges": by},
        )
        if threshold == THRESHOLD:
            yield judgement
        else:
            weak.append(judgement)
    most = sum(one.flagged for one in weak) > len(weak) / 2
    yield from (replace(one, flagged=one.flagged and most) for one in weak)


def _difficulty(one: Scored, case: Case) -> tuple[Floats, float, str] | None:
    if not one.spec.perturbations:
        published = published_difficulty(one.spec.source, one.spec.split, one.answers.example_ids)
        if published is not None:
            hard, same = published
            return hard, THRESHOLD if same else THRESHOLD_FEW, "published models"
    wrong: list[Floats] = []
    models = {case.manifest.model.name}
    for entry in case.known:
        # What defeats a model trained on another reference is not what is hard for this suite's models.
        if entry.suite != case.manifest.suite:
            continue
        if entry.digests.get(one.spec.name) != one.claim.shift_digest or entry.model in models:
            continue
        answers = entry.answers(one.spec.name)
        if answers is not None and list(answers.example_ids) == list(one.answers.example_ids):
            wrong.append((~answers.correct).astype(np.float64))
            models.add(entry.model)
    if len(wrong) < FEWEST_ENTRIES:
        return None
    return np.mean(wrong, axis=0), THRESHOLD_FEW, f"{len(wrong)} entries of the board"


def within_classes(wrong: Bools, hard: Floats, labels: NDArray[np.int64]) -> tuple[float, float] | None:
    """Probability that an error is harder than a right answer of the same class, and its standard error.

    Args:
        wrong: bool (N,); ``hard`` float (N,), higher for harder examples; ``labels`` int (N,).

    Returns:
        The probability, ties counted half, and its standard error for errors drawn at random; None where no
        class has both an error and a right answer.

    >>> wrong, hard = np.array([True, False, True, False]), np.array([0.9, 0.1, 0.4, 0.4])
    >>> within_classes(wrong, hard, np.array([0, 0, 1, 1]))[0]
    0.75
    """
    order = np.lexsort((hard, labels))
    wrong, hard, labels = wrong[order], hard[order], labels[order]
    # Ranks within a class: the mean position of equal values, from the ends of each run of them.
    starts_class = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    starts_run = np.flatnonzero(np.r_[True, (labels[1:] != labels[:-1]) | (hard[1:] != hard[:-1])])
    sizes = np.diff(np.r_[starts_class, len(labels)])
    runs = np.diff(np.r_[starts_run, len(labels)])
    rank = np.repeat(starts_run + (runs - 1) / 2, runs) - np.repeat(starts_class, sizes) + 1
    errors = np.add.reduceat(wrong.astype(np.float64), starts_class)
    rights = sizes - errors
    ranks = np.add.reduceat(rank * wrong, starts_class)
    above = ranks - errors * (errors + 1) / 2
    pairs = errors * rights
    total = float(pairs.sum())
    if not total:
        return None
    of_class = np.searchsorted(starts_class, starts_run, side="right") - 1
    ties = np.bincount(of_class, weights=runs.astype(np.float64) ** 3 - runs, minlength=len(sizes))
    shrunk = (sizes + 1) - ties / np.maximum(sizes * (sizes - 1.0), 1)
    return float(above.sum()) / total, float(np.sqrt((pairs * shrunk / 12).sum())) / total
