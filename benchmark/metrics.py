"""Metrics of stored predictions: arrays in, estimates out; no model, no image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.estimate import Estimate
from benchmark.intervals import (
    bootstrap_counts,
    mean_interval,
    normal_quantile,
    stratified_interval,
    wilson,
    wilson_bounds,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# The smallest normal float64; a label probability below it counts as this much in the NLL (at most 708.4).
SMALLEST_PROBABILITY = float(np.finfo(np.float64).tiny)
# Confidences of one bin and one answer that are this close (in bins) are one kind in the ECE's bootstrap.
_CELLS_PER_BIN = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictionColumns:
    """What the metrics need of N stored predictions over C classes.

    Attributes:
        labels: int64 (N,), 0..C-1.
        prediction: int64 (N,), the class of the highest logit, 0..C-1.
        confidence: float (N,), probability of that class.
        label_probability: float64 (N,), probability of the labelled class.
        squared_probability_sum: float (N,), sum over classes of the squared probabilities.
        top5: int64 (N, k), the k = min(5, C) most probable classes, best first.
        groups: int64 (N, G), positions among the names of each group column.
        group_columns: column name → names of its values; G entries in the order of ``groups``.
        num_classes: C.

    Raises:
        ValueError: no example, shapes that do not fit, NaN, or a value outside its range.
    """

    labels: Ints
    prediction: Ints
    confidence: Floats
    label_probability: Floats
    squared_probability_sum: Floats
    top5: Ints
    groups: Ints
    group_columns: Mapping[str, tuple[str, ...]]
    num_classes: int

    def __post_init__(self) -> None:
        n = len(self.labels)
        classes = self.num_classes
        for name in ("labels", "prediction"):
            _integers(getattr(self, name), name, shape=(n,), below=classes)
        for name in ("confidence", "label_probability", "squared_probability_sum"):
            _probabilities(getattr(self, name), name, shape=(n,))
        _integers(self.top5, "top5", shape=(n, min(5, classes)), below=classes)
        _integers(self.groups, "groups", shape=(n, len(self.group_columns)), below=None)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """All metrics of one model on one shift.

    Attributes:
        metrics: name → estimate, or None where the metric does not apply (the notes say why).
        groups: accuracy of every group that has an example.
        worst_group: which group is the worst, and which were too small; None without group columns.
        notes: what a reader of the numbers has to know.
    """

    metrics: dict[str, Estimate | None]
    groups: list[GroupAccuracy]
    worst_group: WorstGroup | None
    notes: list[str]


def accuracy(prediction: ArrayLike, labels: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Fraction of examples whose prediction is the label; Wilson interval.

    Args:
        prediction: int (N,), class indices.
        labels: int (N,), class indices.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no example, or rows of different length.

    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 1]).value
    0.75
    """
    correct = _correct(prediction, labels)
    return wilson(int(correct.sum()), correct.size, level=level)


def topk_accuracy(topk: ArrayLike, labels: ArrayLike, *, k: int = 5, level: float = 0.95) -> Estimate:
    """Fraction of examples whose label is among the first k of the ranked classes; Wilson interval.

    Args:
        topk: int (N, K), K >= k, class indices from the most probable on.
        labels: int (N,), class indices.
        k: how many of the ranked classes count.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no example, fewer than k ranked classes, or rows of different length.

    >>> topk_accuracy([[0, 2], [1, 0], [2, 0]], [2, 0, 1], k=2).value
    0.6666666666666666
    """
    ranked, truth = np.asarray(topk), np.asarray(labels)
    if ranked.ndim != 2 or not 1 <= k <= ranked.shape[1] or truth.shape != ranked.shape[:1]:
        raise ValueError(f"top-{k} of ranked classes {ranked.shape} and labels {truth.shape} is not defined")
    hits = (ranked[:, :k] == truth[:, None]).any(axis=1)
    return wilson(int(hits.sum()), hits.size, level=level)


def per_class_accuracy(
    prediction: ArrayLike, labels: ArrayLike, *, level: float = 0.95
) -> dict[int, Estimate]:
    """Accuracy over the examples of each class (recall), by class index, for the classes that have examples.

    Args and errors as for ``accuracy``.

    >>> {label: estimate.value for label, estimate in per_class_accuracy([0, 1, 1], [0, 0, 1]).items()}
    {0: 0.5, 1: 1.0}
    """
    classes, hits, sizes = _by_class(prediction, labels)
    rows = zip(classes.tolist(), hits.tolist(), sizes.tolist(), strict=True)
    return {label: wilson(correct, n, level=level) for label, correct, n in rows}


def balanced_accuracy(prediction: ArrayLike, labels: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean of the per-class accuracies over the classes that have examples; stratified Wilson interval.

    Args and errors as for ``accuracy``.

    >>> balanced_accuracy([0, 1, 1], [0, 0, 1]).value
    0.75
    """
    _, hits, sizes = _by_class(prediction, labels)
    return stratified_interval(hits, sizes, level=level)


def macro_f1(prediction: ArrayLike, labels: ArrayLike, *, seed: int = 0, level: float = 0.95) -> Estimate:
    """Mean over classes of the F1 score; classes seen neither as label nor as prediction do not count.

    Args:
        prediction, labels: int (N,), class indices.
        seed: of the bootstrap (500 resamples of the confusion matrix) behind the interval.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no example, or rows of different length.

    >>> round(macro_f1([0, 1, 1], [0, 0, 1]).value, 4)
    0.6667
    """
    _correct(prediction, labels)
    pairs = np.stack([np.asarray(labels), np.asarray(prediction)], axis=1)
    classes, codes = np.unique(pairs, return_inverse=True)
    cells, counts = np.unique(codes.reshape(-1, 2), axis=0, return_counts=True)
    # One column per class: examples labelled or predicted so (each counts once) and the right ones.
    either = np.zeros((len(cells), classes.size))
    right = np.zeros_like(either)
    rows = np.arange(len(cells))
    for side in (0, 1):
        either[rows, cells[:, side]] += 1
    same = cells[:, 0] == cells[:, 1]
    right[rows[same], cells[same, 0]] = 2

    def mean_f1(drawn: Ints) -> Floats:
        seen = drawn @ either
        scores = np.divide(drawn @ right, seen, out=np.zeros_like(seen), where=seen > 0)
        return np.asarray(scores.sum(axis=1) / (seen > 0).sum(axis=1))

    return bootstrap_counts(counts, mean_f1, seed=seed, resamples=500, level=level)


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
    right, codes = _answers(correct), np.asarray(groups)
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


def nll(label_probability: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean negative log likelihood in nats; Student-t interval.

    Probabilities below the smallest normal float64 (2.2e-308) count as that, and the method then reads
    ``"student-t, clipped"``: the true value is larger, possibly infinite.

    Args:
        label_probability: float64 (N,), N >= 2, probability of the labelled class.
        level: confidence level in (0, 1).

    Raises:
        ValueError: fewer than two examples, NaN, or values outside [0, 1].

    >>> round(nll([0.5, 0.25]).value, 4)
    1.0397
    """
    p = _probabilities(label_probability, "label_probability")
    estimate = mean_interval(-np.log(np.clip(p, SMALLEST_PROBABILITY, 1.0)), level=level)
    method = "student-t, clipped" if (p < SMALLEST_PROBABILITY).any() else "student-t"
    return Estimate(
        value=estimate.value, low=estimate.low, high=estimate.high, level=level, method=method, n=p.size
    )


def brier(
    label_probability: ArrayLike, squared_probability_sum: ArrayLike, *, level: float = 0.95
) -> Estimate:
    """Mean Brier score, 0 (best) to 2; Student-t interval.

    The sum over classes of (p_c - y_c)^2 (Brier 1950), not its half and not its mean over classes; equal to
    squared_probability_sum - 2 label_probability + 1.

    Args:
        label_probability: float64 (N,), N >= 2, probability of the labelled class.
        squared_probability_sum: float (N,), sum over classes of the squared probabilities.
        level: confidence level in (0, 1).

    Raises:
        ValueError: fewer than two examples, NaN, or values outside [0, 1].

    >>> round(brier([0.7, 0.2], [0.7**2 + 0.3**2, 0.2**2 + 0.8**2]).value, 4)
    0.73
    """
    p = _probabilities(label_probability, "label_probability")
    squares = _probabilities(squared_probability_sum, "squared_probability_sum", shape=p.shape)
    return mean_interval(squares - 2 * p + 1, level=level)


def ece(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    bins: int = 15,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """Expected calibration error: mean over examples of |accuracy - confidence| of their bin, in [0, 1].

    Bins have equal width and are (low, high]; confidence 0 falls into the first (Guo et al. 2017, ICML). The
    value is the usual plug-in one, which noise within bins biases upward; a plain percentile bootstrap adds
    the same bias once more and never covers the truth of a calibrated model. Here the percentiles are centred
    on the value, and the lower bound is moved down by the largest bias there can be,
    sqrt(2/pi) sum_b sqrt(sum_i (confidence_i - correct_i)^2) / N.

    Args:
        confidence: float (N,), N >= 2, probability of the predicted class.
        correct: bool (N,), whether the prediction is the label.
        bins: number of bins.
        seed, resamples: of the bootstrap; equal seeds give equal intervals.
        level: confidence level in (0, 1).

    Raises:
        ValueError: fewer than two examples, NaN, or confidences outside [0, 1].

    >>> round(ece([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0]).value, 4)
    0.1
    """
    p = _probabilities(confidence, "confidence")
    right = _answers(correct)
    if right.shape != p.shape or p.size < 2 or bins < 1:
        raise ValueError(
            f"an ECE over {bins} bins is not defined for {p.shape} confidences, {right.shape} answers"
        )
    edges = np.linspace(0.0, 1.0, bins + 1)
    which = np.searchsorted(edges[1:-1], p, side="left")
    within = np.clip((p - edges[which]) * (bins * _CELLS_PER_BIN), 0, _CELLS_PER_BIN - 1).astype(np.int64)
    cell = (which * _CELLS_PER_BIN + within) * 2 + right
    gap = p - right
    counts = np.bincount(cell, minlength=bins * _CELLS_PER_BIN * 2)
    occupied = np.flatnonzero(counts)
    # Row k: what one example of kind k adds to its bin's sum of gaps.
    share = np.zeros((occupied.size, bins))
    sums = np.bincount(cell, weights=gap, minlength=counts.size)[occupied]
    share[np.arange(occupied.size), occupied // (2 * _CELLS_PER_BIN)] = sums / counts[occupied]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(p.size, counts[occupied] / p.size, size=resamples) @ share
    errors = np.abs(drawn).sum(axis=1) / p.size
    tail = (1 - level) / 2
    below, above = np.quantile(errors, [tail, 1 - tail]) - errors.mean()
    value = float(np.abs(np.bincount(which, weights=gap)).sum() / p.size)
    bias = np.sqrt(2 / np.pi) * np.sqrt(np.bincount(which, weights=gap**2)).sum() / p.size
    low, high = max(0.0, value + min(0.0, below) - bias), min(1.0, value + max(0.0, above))
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        level=level,
        method="bootstrap, centred",
        n=p.size,
    )


def evaluate(columns: PredictionColumns, *, min_group_size: int, level: float = 0.95) -> Metrics:
    """All metrics of one model on one shift.

    Args:
        columns: the stored predictions.
        min_group_size: groups with fewer examples are never the worst one.
        level: confidence level in (0, 1).

    Returns:
        ``accuracy``, ``top5_accuracy``, ``balanced_accuracy``, ``worst_group_accuracy``,
        ``group_balanced_accuracy``, ``nll``, ``brier``, ``ece``; None where one does not apply: top-5 with
        five classes or fewer, group metrics without groups, means of a single example.
    """
    n, classes = len(columns.labels), columns.num_classes
    correct = columns.prediction == columns.labels
    notes: list[str] = []
    present = np.unique(columns.labels).size
    if present < classes:
        notes.append(f"balanced accuracy averages over the {present} of {classes} classes that have examples")
    found = group_accuracies(correct, columns.groups, group_columns=columns.group_columns, level=level)
    worst = worst_group_accuracy(found, min_group_size=min_group_size, level=level) if found else None
    if worst is not None:
        notes += _group_notes(worst, columns.group_columns, len(found))
    metrics: dict[str, Estimate | None] = {
        "accuracy": accuracy(columns.prediction, columns.labels, level=level),
        "top5_accuracy": topk_accuracy(columns.top5, columns.labels, level=level) if classes > 5 else None,
        "balanced_accuracy": balanced_accuracy(columns.prediction, columns.labels, level=level),
        "worst_group_accuracy": worst.accuracy if worst else None,
        "group_balanced_accuracy": group_balanced_accuracy(found, level=level) if found else None,
        "nll": None,
        "brier": None,
        "ece": None,
    }
    if n > 1:
        metrics["nll"] = nll(columns.label_probability, level=level)
        metrics["brier"] = brier(columns.label_probability, columns.squared_probability_sum, level=level)
        metrics["ece"] = ece(columns.confidence, correct, level=level)
        clipped = int((np.asarray(columns.label_probability) < SMALLEST_PROBABILITY).sum())
        if clipped:
            notes.append(f"nll: {clipped} label probabilities below {SMALLEST_PROBABILITY:.1e} count as that")
    else:
        notes.append("nll, brier and ece need at least two examples")
    return Metrics(metrics=metrics, groups=found, worst_group=worst, notes=notes)


def _group_notes(worst: WorstGroup, group_columns: Mapping[str, Sequence[str]], found: int) -> list[str]:
    notes = []
    cells = int(np.prod([len(names) for names in group_columns.values()], dtype=np.int64))
    if found < cells:
        notes.append(f"{cells - found} of {cells} groups have no example")
    if worst.excluded:
        shown = "; ".join(f"{group.label} (n={group.n})" for group in worst.excluded[:5])
        more = f" and {len(worst.excluded) - 5} more" if len(worst.excluded) > 5 else ""
        notes.append(
            f"{len(worst.excluded)} groups have fewer than {worst.min_group_size} examples and do not count "
            f"as the worst one: {shown}{more}"
        )
    if worst.group is None:
        notes.append(f"no worst group: none has {worst.min_group_size} examples")
    else:
        notes.append(f"worst group: {worst.group.label} (n={worst.group.n})")
    return notes


def _correct(prediction: ArrayLike, labels: ArrayLike) -> NDArray[np.bool_]:
    predicted, truth = np.asarray(prediction), np.asarray(labels)
    if predicted.shape != truth.shape or truth.ndim != 1 or not truth.size:
        raise ValueError(f"predictions {predicted.shape} and labels {truth.shape} need one length >= 1")
    if predicted.dtype.kind not in "iu" or truth.dtype.kind not in "iu":
        raise ValueError(f"predictions and labels are class indices, not {predicted.dtype} and {truth.dtype}")
    return np.asarray(predicted == truth)


def _answers(correct: ArrayLike) -> NDArray[np.bool_]:
    right = np.asarray(correct)
    if right.dtype != np.bool_ and not np.isin(right, (0, 1)).all():
        raise ValueError("answers are right (1) or wrong (0)")
    return right.astype(bool)


def _by_class(prediction: ArrayLike, labels: ArrayLike) -> tuple[Ints, Ints, Ints]:
    correct = _correct(prediction, labels)
    classes, inverse, sizes = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    hits = np.bincount(inverse[correct], minlength=classes.size)
    return classes.astype(np.int64), hits.astype(np.int64), sizes.astype(np.int64)


def _integers(values: ArrayLike, name: str, *, shape: tuple[int, ...], below: int | None) -> None:
    x = np.asarray(values)
    if x.shape != shape or not shape[0] or x.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers of shape {shape}, N >= 1, not {x.dtype} {x.shape}")
    if x.size and (x.min() < 0 or (below is not None and x.max() >= below)):
        raise ValueError(f"{name} must lie in 0..{'' if below is None else below - 1}")


def _probabilities(values: ArrayLike, name: str, *, shape: tuple[int, ...] | None = None) -> Floats:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim != 1 or not p.size or (shape is not None and p.shape != shape):
        raise ValueError(
            f"{name} must be a row of N >= 1 values{f', {shape}' if shape else ''}, not {p.shape}"
        )
    # Sums of float32 probabilities reach a little above 1.
    if not ((p >= 0) & (p <= 1 + 1e-4)).all():
        raise ValueError(f"{name} must be probabilities in [0, 1] without NaN")
    return p
