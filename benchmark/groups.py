"""Accuracy by group: every cell of the group columns, the worst one, and averages over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.estimate import Estimate
from benchmark.intervals import normal_quantile, stratified_interval, wilson, wilson_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAccuracy:
    """Accuracy over the examples that share one value of every group column.

    Attributes:
        columns: names of the group columns.
        names: the value of each column.
        n: examples; at least 1.
        correct: of those, answered right.
        accuracy: with its Wilson interval.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    n: int
    correct: int
    accuracy: Estimate

    @property
    def label(self) -> str:
        """``column=value`` pairs, for messages and tables."""
        return ", ".join(f"{column}={name}" for column, name in zip(self.columns, self.names, strict=True))

    def to_json(self) -> dict[str, Any]:
        """``{"group": {column: value}, "n", "correct", "accuracy"}``."""
        return {
            "group": dict(zip(self.columns, self.names, strict=True)),
            "n": self.n,
            "correct": self.correct,
            "accuracy": self.accuracy.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstGroup:
    """The lowest group accuracy, the group that has it, and the groups too small to count.

    Attributes:
        accuracy: n is that of the worst group; None when no group is large enough.
        group: the worst group, or None.
        excluded: groups with fewer than ``min_group_size`` examples.
        min_group_size: the smallest n that counts.
    """

    accuracy: Estimate | None
    group: GroupAccuracy | None
    excluded: tuple[GroupAccuracy, ...]
    min_group_size: int

    @property
    def label(self) -> str | None:
        """Which group it is and how many examples it has, ``"place=land (n=54)"``; None without one."""
        return None if self.group is None else f"{self.group.label} (n={self.group.n})"


def group_accuracies(
    correct: ArrayLike,
    groups: ArrayLike,
    *,
    group_columns: Mapping[str, Sequence[str]],
    level: float = 0.95,
) -> list[GroupAccuracy]:
    """Accuracy of every cell of the cross product of the group columns that has an example.

    Args:
        correct: bool (N,), whether each example is answered right.
        groups: int (N, G), positions among the names of each column.
        group_columns: column name → names of its values; G entries in the order of ``groups``.
        level: confidence level in (0, 1).

    Returns:
        One entry per group, sorted by the columns' values from the first column on; empty without columns.

    Raises:
        ValueError: no example, shapes that do not fit, or a value that has no name.

    >>> found = group_accuracies([1, 0, 1], [[0], [0], [1]], group_columns={"place": ("land", "water")})
    >>> [(group.label, group.n, group.accuracy.value) for group in found]
    [('place=land', 2, 0.5), ('place=water', 1, 1.0)]
    """
    right, codes = answers(correct), np.asarray(groups)
    if right.ndim != 1 or not right.size or codes.shape != (right.size, len(group_columns)):
        raise ValueError(
            f"answers {right.shape}, groups {codes.shape} and {len(group_columns)} columns do not fit"
        )
    sizes = [len(names) for names in group_columns.values()]
    if (codes < 0).any() or (codes >= np.array(sizes, dtype=np.int64)).any():
        raise ValueError("a group column holds a value that has no name")
    if not sizes:
        return []
    cells, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    hits = np.bincount(inverse.reshape(-1), weights=right, minlength=len(cells))
    columns, values = tuple(group_columns), [tuple(names) for names in group_columns.values()]
    return [
        GroupAccuracy(
            columns=columns,
            names=tuple(names[code] for names, code in zip(values, cell, strict=True)),
            n=n,
            correct=int(hit),
            accuracy=wilson(int(hit), n, level=level),
        )
        for cell, hit, n in zip(cells.tolist(), hits.tolist(), counts.tolist(), strict=True)
    ]


def worst_group_accuracy(
    groups: Sequence[GroupAccuracy], *, min_group_size: int, level: float = 0.95
) -> WorstGroup:
    """Lowest accuracy among the groups with at least ``min_group_size`` examples.

    The interval is one for the lowest true accuracy, not for that of the group that happens to come out
    lowest: the lowest of the groups' lower Wilson bounds, and the lowest of their upper bounds with the
    error shared among the groups (Bonferroni).

    Args:
        groups: from ``group_accuracies``.
        min_group_size: smaller groups do not count; a group of four images is noise.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no group at all, or a minimum size below 1.

    >>> found = group_accuracies([1, 0, 1], [[0], [0], [1]], group_columns={"place": ("land", "water")})
    >>> worst = worst_group_accuracy(found, min_group_size=2)
    >>> worst.group.label, worst.accuracy.value, [group.label for group in worst.excluded]
    ('place=land', 0.5, ['place=water'])
    """
    if not groups or min_group_size < 1:
        raise ValueError(f"{len(groups)} groups of at least {min_group_size} examples have no worst one")
    counted = [group for group in groups if group.n >= min_group_size]
    excluded = tuple(group for group in groups if group.n < min_group_size)
    if not counted:
        return WorstGroup(accuracy=None, group=None, excluded=excluded, min_group_size=min_group_size)
    worst = min(counted, key=lambda group: group.accuracy.value)
    lower_z, upper_z = normal_quantile(level), normal_quantile(1 - (1 - level) / len(counted))
    value = worst.accuracy.value
    bounds = [(group.accuracy.value, group.n) for group in counted]
    estimate = Estimate(
        value=value,
        low=min(value, *(wilson_bounds(p, n, z=lower_z)[0] for p, n in bounds)),
        high=max(value, min(wilson_bounds(p, n, z=upper_z)[1] for p, n in bounds)),
        level=level,
        method="wilson-minimum",
        n=worst.n,
    )
    return WorstGroup(accuracy=estimate, group=worst, excluded=excluded, min_group_size=min_group_size)


def group_balanced_accuracy(groups: Sequence[GroupAccuracy], *, level: float = 0.95) -> Estimate:
    """Mean of the accuracies of all groups that have examples, small ones too; stratified Wilson interval.

    Raises:
        ValueError: no group.

    >>> found = group_accuracies([1, 0, 1], [[0], [0], [1]], group_columns={"place": ("land", "water")})
    >>> group_balanced_accuracy(found).value
    0.75
    """
    return stratified_interval(
        [group.correct for group in groups], [group.n for group in groups], level=level
    )


def adjusted_average(
    groups: Sequence[GroupAccuracy], *, weights: Mapping[tuple[str, ...], float], level: float = 0.95
) -> Estimate:
    """Mean of the group accuracies weighted by other frequencies, e.g. those of the training set.

    The average that Waterbirds results are reported in: its test set is group-balanced, its training groups
    are not (3498, 184, 56, 1057; Sagawa et al. 2020, arXiv 1911.08731, App. C).

    Args:
        groups: from ``group_accuracies``.
        weights: values of the group columns → weight, of any sum; one for every group.
        level: confidence level in (0, 1).

    Raises:
        ValueError: a group without weight, or a weighted group without examples.

    >>> found = group_accuracies([1, 0, 1], [[0], [0], [1]], group_columns={"place": ("land", "water")})
    >>> round(adjusted_average(found, weights={("land",): 95, ("water",): 5}).value, 4)
    0.525
    """
    present = {group.names for group in groups}
    needed = {names for names, weight in weights.items() if weight}
    if present - set(weights) or needed - present:
        raise ValueError(
            f"groups without weight: {sorted(present - set(weights))}; "
            f"weights of groups without examples: {sorted(needed - present)}"
        )
    return stratified_interval(
        [group.correct for group in groups],
        [group.n for group in groups],
        weights=[weights[group.names] for group in groups],
        level=level,
    )


def answers(correct: ArrayLike) -> NDArray[np.bool_]:
    """Right or wrong (N,) as bool.

    Raises:
        ValueError: a value that is neither.
    """
    right = np.asarray(correct)
    if right.dtype != np.bool_ and not np.isin(right, (0, 1)).all():
        raise ValueError("answers are right (1) or wrong (0)")
    return right.astype(bool)
