"""Accuracy where an answer is right only when it stays right: pm-k, and labels of which several are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.estimate import Estimate
from benchmark.intervals import wilson

if TYPE_CHECKING:
    from benchmark.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What counts once in an accuracy: U examples or units.

    Attributes:
        names: U ids of examples, or names of units.
        right: bool (U,).
        codes: int64 (N,), for each of the N examples its place among ``names``.
    """

    names: Sequence[str]
    right: NDArray[np.bool_]
    codes: NDArray[np.int64]


def right_answers(predictions: Predictions, *, unit: str | None) -> Answers:
    """Which examples, or units of them, a model has right: what is compared, ranked and resampled.

    Args:
        unit: ``ShiftSpec.unit``, a group column; None for examples.
    """
    right = np.asarray(predictions.prediction == predictions.labels)
    if unit is None:
        return Answers(names=predictions.example_ids, right=right, codes=np.arange(len(right)))
    columns = predictions.header.group_columns
    seen, codes = np.unique(predictions.groups[:, list(columns).index(unit)], return_inverse=True)
    wrong = np.bincount(codes, weights=~right, minlength=len(seen))
    return Answers(names=[columns[unit][code] for code in seen.tolist()], right=wrong == 0, codes=codes)


def unit_accuracy(correct: ArrayLike, unit: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Fraction of units all of whose examples are right; Wilson interval over units.

    With a unit made of an anchor frame and the reviewed frames within k of it this is pm-k accuracy
    (Shankar et al., Do Image Classifiers Generalize Across Time?, ICCV 2021, section 3). With k = 0 a unit
    is its anchor, and pm-0 the plain accuracy.

    Args:
        correct: bool (N,), whether each example is right.
        unit: int (N,), which unit it belongs to; any numbers.

    Raises:
        ValueError: no example, or rows of different length.

    >>> unit_accuracy([True, True, False, True], [0, 0, 1, 1]).value
    0.5
    """
    right, units = np.asarray(correct, dtype=bool), np.asarray(unit)
    if right.shape != units.shape or right.ndim != 1 or not right.size:
        raise ValueError(f"right answers {right.shape} and units {units.shape} need one length >= 1")
    names, codes = np.unique(units, return_inverse=True)
    wrong = np.bincount(codes, weights=~right, minlength=names.size)
    return wilson(int((wrong == 0).sum()), int(names.size), level=level)


def multi_label_accuracy(
    prediction: ArrayLike, accepted: Sequence[Sequence[int]], *, level: float = 0.95
) -> Estimate:
    """Fraction of examples whose prediction is one of the labels that are right; Wilson interval.

    Examples without a label do not count (Beyer et al., arXiv 2006.07159, section 4).

    Args:
        prediction: int (N,), class indices.
        accepted: N collections of class indices; empty for an example that has no label.

    Raises:
        ValueError: no example with a label, or rows of different length.

    >>> multi_label_accuracy([3, 1, 2], [(3, 4), (), (0,)]).value
    0.5
    """
    answers = np.asarray(prediction)
    if answers.ndim != 1 or answers.size != len(accepted):
        raise ValueError(f"predictions {answers.shape} and {len(accepted)} sets of labels need one length")
    right = [one in known for one, known in zip(answers.tolist(), accepted, strict=True) if len(known)]
    if not right:
        raise ValueError("no example has a label")
    return wilson(sum(right), len(right), level=level)
