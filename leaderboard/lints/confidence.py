"""Probabilities that no network over these classes gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.checks.rows import ROUNDING
from leaderboard.lints import Case, Finding
from leaderboard.table import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 50
FEWEST_ERRORS = 30
SHARE = 0.01
SATURATED = 1 - 1e-6
SEPARATION = 0.6


def mass_elsewhere(case: Case) -> Iterator[Finding]:
    """A softmax over more classes than the shift has: a 1000-way run on a set of 200 classes.

    Of C classes the C - 5 that are not listed have at most the fifth probability each. Where all of that
    together stays below 1, the rest of the probability went to classes that the shift does not have.
    """
    for one in case.scored:
        top = one.answers.top5_probability
        most = top.sum(axis=1) + (one.shift.num_classes - top.shape[1]) * top[:, -1]
        share = float((most < 1 - ROUNDING).mean())
        yield Finding(
            shift=one.spec.name,
            value=share,
            threshold=SHARE,
            flagged=share > SHARE,
            reason=f"in {share:.0%} of the rows the probabilities of its {one.shift.num_classes} classes "
            "cannot sum to 1: a softmax over more classes, as of a 1000-way run on fewer",
        )


def no_network_says_so(case: Case) -> Iterator[Finding]:
    """Confidence that is constant, always 1, or blind to whether the answer is right.

    On a hard shift a network may be confidently wrong; on most of what it was measured on it is not.
    """
    blind: list[Finding] = []
    for one in case.scored:
        answers = one.answers
        if len(answers) < FEWEST:
            continue
        told = _degenerate(answers)
        if told:
            yield Finding(shift=one.spec.name, value=1.0, threshold=1.0, flagged=True, reason=told)
            continue
        wrong = ~answers.correct
        if min(wrong.sum(), (~wrong).sum()) < FEWEST_ERRORS:
            continue
        area, error = separation(1 - answers.top5_probability[:, 0], wrong)
        blind.append(
            Finding(
                shift=one.spec.name,
                value=area,
                threshold=SEPARATION,
                flagged=area + 2 * error < SEPARATION,
                reason=f"its confidence says nothing about whether it is right (AUROC {area:.2f})",
            )
        )
    often = sum(one.flagged for one in blind) > len(blind) / 2
    yield from (replace(found, flagged=found.flagged and often) for found in blind)


def _degenerate(answers: Answers) -> str:
    top = answers.top5_probability[:, 0]
    if float(top.max() - top.min()) < 1e-6:
        return f"every answer has the same confidence, {float(top[0]):.4g}"
    share = float((top > SATURATED).mean())
    if share > 0.999 and answers.correct.mean() < 0.999:
        return "every answer has confidence 1, also the wrong ones"
    return ""


def separation(score: NDArray[np.float64], wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """AUROC of a score for errors and its standard error where the score says nothing.

    Args:
        score: float (N,), higher where an error is likelier.
        wrong: bool (N,), with at least one of either kind.

    >>> separation(np.array([0.9, 0.1, 0.4]), np.array([True, False, False]))[0]
    1.0
    """
    from scipy.stats import rankdata

    errors = int(wrong.sum())
    rights = len(wrong) - errors
    ranks = float(rankdata(score)[wrong].sum())
    area = (ranks - errors * (errors + 1) / 2) / (errors * rights)
    return area, float(np.sqrt((errors + rights + 1) / (12 * errors * rights)))
