"""Two models on the same examples: paired difference, overlap of their errors, groups, corrected examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.estimate import Estimate
from benchmark.intervals import McNemar, mcnemar, paired_bootstrap, paired_proportions, wilson
from benchmark.predictions import Predictions
from benchmark.units import Answers, right_answers
from shifts.errors import ResultsError

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDifference:
    """Difference a - b over the examples of one group.

    Attributes:
        label: ``"place=land"``.
        difference: with Tango's interval, not corrected for the number of groups.
    """

    label: str
    n: int
    accuracy_a: float
    accuracy_b: float
    difference: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Model a against model b on one shift.

    Attributes:
        unit: what counts once: None for examples, else the column whose values do, each right only when all
            its examples are (``"anchor"``); all numbers are then of units, and there are no groups.
        n: examples or units.
        difference: accuracy of a minus that of b, Tango's score interval for paired proportions.
        bootstrap: the same difference with the paired bootstrap's interval.
        both_right, only_a, only_b, both_wrong: examples; they sum to n.
        agreement: fraction of examples with the same prediction, right or wrong.
        same_error: of the examples that both get wrong, the fraction with the same wrong class; None where
            there is none, or units count.
        error_overlap: examples both get wrong over examples either gets wrong; 1 where neither errs.
        expected_overlap: what independent errors at these accuracies would give.
        groups: difference by group, the largest loss of a first.
        corrected, broken: ids that a alone, or b alone, gets right.
    """

    model_a: str
    model_b: str
    shift: str
    n: int
    unit: str | None
    accuracy_a: Estimate
    accuracy_b: Estimate
    difference: Estimate
    bootstrap: Estimate
    mcnemar: McNemar
    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    agreement: Estimate
    same_error: Estimate | None
    error_overlap: float
    expected_overlap: float
    groups: tuple[GroupDifference, ...]
    corrected: tuple[str, ...]
    broken: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name, value in found.items():
            if isinstance(value, Estimate):
                found[name] = value.to_json()
        found["mcnemar"] = {"p_value": self.mcnemar.p_value, "only_a": self.only_a, "only_b": self.only_b}
        found["groups"] = [
            {
                "group": group.label,
                "n": group.n,
                "accuracy_a": group.accuracy_a,
                "accuracy_b": group.accuracy_b,
                "difference": group.difference.to_json(),
            }
            for group in self.groups
        ]
        found["corrected"], found["broken"] = list(self.corrected), list(self.broken)
        return found


def compare(
    a: Predictions, b: Predictions, *, unit: str | None = None, seed: int = 0, level: float = 0.95
) -> Comparison:
    """Compare two models by the examples both have, matched by id.

    Args:
        a, b: predictions on the same shift.
        unit: ``ShiftSpec.unit`` of the shift. Examples of one unit are no independent evidence: units are
            then compared, and drawn by the bootstrap, instead of examples.
        seed: of the bootstrap.
        level: confidence level in (0, 1).

    Raises:
        ResultsError: different shifts, labels that contradict each other, or no example in common.
    """
    if a.header.shift != b.header.shift:
        raise ResultsError(f"{a.header.model} is on {a.header.shift}, {b.header.model} on {b.header.shift}")
    ours, theirs = right_answers(a, unit=unit), right_answers(b, unit=unit)
    rows_a, rows_b = matched_rows(ours.names, theirs.names)
    if not len(rows_a):
        raise ResultsError(
            f"{a.header.model} and {b.header.model} have no example in common on {a.header.shift}",
            hint="evaluate both on the same data with the same --limit",
        )
    right_a, right_b = ours.right[rows_a], theirs.right[rows_b]
    same = _same_answers(a, b, ours, rows_a, unit=unit)
    n = len(right_a)
    neither = ~right_a & ~right_b
    wrong_a, wrong_b = int((~right_a).sum()), int((~right_b).sum())
    either = n - int((right_a & right_b).sum())
    independent = wrong_a * wrong_b / n
    ids = np.asarray(ours.names, dtype=object)[rows_a]
    return Comparison(
        model_a=a.header.model,
        model_b=b.header.model,
        shift=a.header.shift,
        n=n,
        unit=unit,
        accuracy_a=wilson(int(right_a.sum()), n, level=level),
        accuracy_b=wilson(int(right_b.sum()), n, level=level),
        difference=paired_proportions(right_a, right_b, level=level),
        bootstrap=paired_bootstrap(right_a, right_b, seed=seed, level=level),
        mcnemar=mcnemar(right_a, right_b),
        both_right=int((right_a & right_b).sum()),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((~right_a & right_b).sum()),
        both_wrong=int(neither.sum()),
        agreement=wilson(int(same.sum()), n, level=level),
        same_error=wilson(int(same[neither].sum()), int(neither.sum()), level=level)
        if neither.any() and unit is None
        else None,
        error_overlap=float(neither.sum() / either) if either else 1.0,
        expected_overlap=independent / (wrong_a + wrong_b - independent) if wrong_a + wrong_b else 1.0,
        groups=_groups(a.groups[rows_a], a.header.group_columns, right_a, right_b, level)
        if unit is None
        else (),
        corrected=tuple(ids[right_a & ~right_b].tolist()),
        broken=tuple(ids[~right_a & right_b].tolist()),
    )


def _same_answers(
    a: Predictions, b: Predictions, ours: Answers, rows: NDArray[np.int64], *, unit: str | None
) -> Bools:
    """Whether both models say the same, of the rows of ``ours`` that both have.

    Raises:
        ResultsError: the files give other labels to the same images.
    """
    rows_a, rows_b = matched_rows(a.example_ids, b.example_ids)
    # Where several labels are right, each file holds the one its model ranks first; on the same data they
    # may differ.
    if a.header.shift_digest != b.header.shift_digest and (a.labels[rows_a] != b.labels[rows_b]).any():
        raise ResultsError(
            f"the two files of predictions on {a.header.shift} disagree about labels",
            hint="one was made on other data: evaluate both again",
        )
    same = np.asarray(a.prediction[rows_a] == b.prediction[rows_b])
    if unit is None:
        return same
    other = np.bincount(ours.codes[rows_a], weights=~same, minlength=len(ours.names))
    return np.asarray(other[rows] == 0)


def matched_rows(a: Sequence[str], b: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the examples that both have, in the order of the first.

    >>> [rows.tolist() for rows in matched_rows(["x", "y", "z"], ["z", "x"])]
    [[0, 2], [1, 0]]
    """
    if list(a) == list(b):
        everything = np.arange(len(a))
        return everything, everything
    place = {example: row for row, example in enumerate(b)}
    pairs = [(row, place[example]) for row, example in enumerate(a) if example in place]
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _groups(
    groups: NDArray[np.int64],
    columns: Mapping[str, tuple[str, ...]],
    right_a: Bools,
    right_b: Bools,
    level: float,
) -> tuple[GroupDifference, ...]:
    if not columns:
        return ()
    found = []
    for cell in np.unique(groups, axis=0):
        rows = (groups == cell).all(axis=1)
        named = zip(columns.items(), cell.tolist(), strict=True)
        found.append(
            GroupDifference(
                label=", ".join(f"{column}={values[code]}" for (column, values), code in named),
                n=int(rows.sum()),
                accuracy_a=float(right_a[rows].mean()),
                accuracy_b=float(right_b[rows].mean()),
                difference=paired_proportions(right_a[rows], right_b[rows], level=level),
            )
        )
    return tuple(sorted(found, key=lambda group: group.difference.value))
