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
        difference: accuracy of a minus that of b, Tango's score interval for paired proportions.
        bootstrap: the same difference with the paired bootstrap's interval.
        both_right, only_a, only_b, both_wrong: examples; they sum to n.
        agreement: fraction of examples with the same prediction, right or wrong.
        same_error: of the examples that both get wrong, the fraction with the same wrong class.
        error_overlap: examples both get wrong over examples either gets wrong; 1 where neither errs.
        expected_overlap: what independent errors at these accuracies would give.
        groups: difference by group, the largest loss of a first.
        corrected, broken: ids that a alone, or b alone, gets right.
    """

    model_a: str
    model_b: str
    shift: str
    n: int
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


def compare(a: Predictions, b: Predictions, *, seed: int = 0, level: float = 0.95) -> Comparison:
    """Compare two models by the examples both have, matched by id.

    Args:
        a, b: predictions on the same shift.
        seed: of the bootstrap.
        level: confidence level in (0, 1).

    Raises:
        ResultsError: different shifts, labels that contradict each other, or no example in common.
    """
    if a.header.shift != b.header.shift:
        raise ResultsError(f"{a.header.model} is on {a.header.shift}, {b.header.model} on {b.header.shift}")
    rows_a, rows_b = matched_rows(a.example_ids, b.example_ids)
    if not len(rows_a):
        raise ResultsError(
            f"{a.header.model} and {b.header.model} have no example in common on {a.header.shift}",
            hint="evaluate both on the same data with the same --limit",
        )
    labels = a.labels[rows_a]
    if (labels != b.labels[rows_b]).any():
        raise ResultsError(
            f"the two files of predictions on {a.header.shift} disagree about labels",
            hint="one was made on other data: evaluate both again",
        )
    said_a, said_b = a.prediction[rows_a], b.prediction[rows_b]
    right_a, right_b = said_a == labels, said_b == labels
    n = len(labels)
    neither = ~right_a & ~right_b
    wrong_a, wrong_b = int((~right_a).sum()), int((~right_b).sum())
    either = n - int((right_a & right_b).sum())
    independent = wrong_a * wrong_b / n
    ids = np.asarray(a.example_ids, dtype=object)[rows_a]
    return Comparison(
        model_a=a.header.model,
        model_b=b.header.model,
        shift=a.header.shift,
        n=n,
        accuracy_a=wilson(int(right_a.sum()), n, level=level),
        accuracy_b=wilson(int(right_b.sum()), n, level=level),
        difference=paired_proportions(right_a, right_b, level=level),
        bootstrap=paired_bootstrap(right_a, right_b, seed=seed, level=level),
        mcnemar=mcnemar(right_a, right_b),
        both_right=int((right_a & right_b).sum()),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((~right_a & right_b).sum()),
        both_wrong=int(neither.sum()),
        agreement=wilson(int((said_a == said_b).sum()), n, level=level),
        same_error=wilson(int((said_a == said_b)[neither].sum()), int(neither.sum()), level=level)
        if neither.any()
        else None,
        error_overlap=float(neither.sum() / either) if either else 1.0,
        expected_overlap=independent / (wrong_a + wrong_b - independent) if wrong_a + wrong_b else 1.0,
        groups=_groups(a.groups[rows_a], a.header.group_columns, right_a, right_b, level),
        corrected=tuple(ids[right_a & ~right_b].tolist()),
        broken=tuple(ids[~right_a & right_b].tolist()),
    )


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
