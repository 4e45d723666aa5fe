"""Metrics of stored predictions: arrays in, estimates out; no model, no image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.calibration import SMALLEST_PROBABILITY, brier, ece, nll, probabilities
from benchmark.estimate import Estimate
from benchmark.groups import (
    GroupAccuracy,
    WorstGroup,
    adjusted_average,
    group_accuracies,
    group_balanced_accuracy,
    worst_group_accuracy,
)
from benchmark.intervals import bootstrap_counts, stratified_interval, wilson
from benchmark.units import unit_accuracy

# The metrics of groups and of probabilities lie in files of their own; this is where users look for them all.
__all__ = [
    "SMALLEST_PROBABILITY",
    "GroupAccuracy",
    "Metrics",
    "PredictionColumns",
    "WorstGroup",
    "accuracy",
    "adjusted_average",
    "balanced_accuracy",
    "brier",
    "ece",
    "evaluate",
    "group_accuracies",
    "group_balanced_accuracy",
    "macro_f1",
    "nll",
    "per_class_accuracy",
    "topk_accuracy",
    "worst_group_accuracy",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictionColumns:
    """What the metrics need of N stored predictions over C classes.

    Attributes:
        labels: int64 (N,), 0..C-1.
        prediction: int64 (N,), the class of the highest logit, 0..C-1.
        confidence: float (N,), probability of that class.
        label_probability: float64 (N,), probability of the labelled class.
        squared_probability_sum: float (N,), sum over classes of the squared probabilities. These three are
            None where a model elsewhere gave classes alone.
        top5: int64 (N, k), the k = min(5, C) most probable classes, best first; None where unknown.
        groups: int64 (N, G), positions among the names of each group column.
        group_columns: column name → names of its values; G entries in the order of ``groups``.
        num_classes: C.

    Raises:
        ValueError: no example, shapes that do not fit, NaN, or a value outside its range.
    """

    labels: Ints
    prediction: Ints
    confidence: Floats | None
    label_probability: Floats | None
    squared_probability_sum: Floats | None
    top5: Ints | None
    groups: Ints
    group_columns: Mapping[str, tuple[str, ...]]
    num_classes: int

    def __post_init__(self) -> None:
        n = len(self.labels)
        classes = self.num_classes
        for name in ("labels", "prediction"):
            _integers(getattr(self, name), name, shape=(n,), below=classes)
        for name in ("confidence", "label_probability", "squared_probability_sum"):
            if getattr(self, name) is not None:
                probabilities(getattr(self, name), name, shape=(n,))
        if self.top5 is not None:
            _integers(self.top5, "top5", shape=(n, min(5, classes)), below=classes)
        _integers(self.groups, "groups", shape=(n, len(self.group_columns)), below=None)


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


def macro_f1(
    prediction: ArrayLike,
    labels: ArrayLike,
    *,
    labelled_only: bool = False,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Mean over classes of the F1 score; classes seen neither as label nor as prediction do not count.

    Args:
        prediction, labels: int (N,), class indices.
        labelled_only: average over the classes that occur as a label, as WILDS does (Koh et al. 2021,
            arXiv 2012.07421); otherwise a class that is only ever predicted counts with F1 = 0.
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
    counted = np.isin(np.arange(classes.size), cells[:, 0]) if labelled_only else np.full(classes.size, True)
    same = cells[:, 0] == cells[:, 1]
    right[rows[same], cells[same, 0]] = 2

    def mean_f1(drawn: Ints) -> Floats:
        seen = drawn @ either
        scores = np.divide(drawn @ right, seen, out=np.zeros_like(seen), where=seen > 0)
        scores, seen = scores[:, counted], seen[:, counted]
        return np.asarray(scores.sum(axis=1) / (seen > 0).sum(axis=1))

    return bootstrap_counts(counts, mean_f1, seed=seed, resamples=500, level=level)


def _wilds_f1(columns: PredictionColumns, level: float) -> Estimate:
    return macro_f1(columns.prediction, columns.labels, labelled_only=True, level=level)


FURTHER: Mapping[str, Callable[[PredictionColumns, float], Estimate]] = {"macro_f1": _wilds_f1}
"""Metrics that only the shifts which are reported in them ask for."""


def evaluate(
    columns: PredictionColumns,
    *,
    min_group_size: int,
    group_weights: Mapping[str, float] | None = None,
    further: Sequence[str] = (),
    unit: str | None = None,
    level: float = 0.95,
) -> Metrics:
    """All metrics of one model on one shift.

    Args:
        columns: the stored predictions.
        min_group_size: groups with fewer examples are never the worst one.
        group_weights: values of the group columns joined by ``/`` → frequency in training.
        further: names of ``FURTHER`` that the shift is reported in.
        unit: a group column of which ``accuracy`` counts the values instead of examples, each right only
            when all its examples are; it makes no groups. The other metrics are of examples.
        level: confidence level in (0, 1).

    Returns:
        ``accuracy``, ``top5_accuracy``, ``balanced_accuracy``, ``worst_group_accuracy``,
        ``group_balanced_accuracy``, ``nll``, ``brier``, ``ece``; None where one does not apply: top-5 with
        five classes or fewer, group metrics without groups, means of a single example. Where asked for also
        ``adjusted_accuracy`` (None when a weighted group has no example) and the further ones.
    """
    n, classes = len(columns.labels), columns.num_classes
    correct = columns.prediction == columns.labels
    notes: list[str] = []
    counted: Estimate | None = None
    if unit is not None:
        place = list(columns.group_columns).index(unit)
        counted = unit_accuracy(correct, columns.groups[:, place], level=level)
        notes.append(f"accuracy counts every {unit} once, as right only when all its images are")
        columns = replace(
            columns,
            groups=np.delete(columns.groups, place, axis=1),
            group_columns={name: of for name, of in columns.group_columns.items() if name != unit},
        )
    present = np.unique(columns.labels).size
    if present < classes:
        notes.append(f"balanced accuracy averages over the {present} of {classes} classes that have examples")
    found = group_accuracies(correct, columns.groups, group_columns=columns.group_columns, level=level)
    worst = worst_group_accuracy(found, min_group_size=min_group_size, level=level) if found else None
    if worst is not None:
        notes += _group_notes(worst, columns.group_columns, len(found))
    metrics: dict[str, Estimate | None] = {
        "accuracy": counted or accuracy(columns.prediction, columns.labels, level=level),
        "top5_accuracy": None,
        "balanced_accuracy": balanced_accuracy(columns.prediction, columns.labels, level=level),
        "worst_group_accuracy": worst.accuracy if worst else None,
        "group_balanced_accuracy": group_balanced_accuracy(found, level=level) if found else None,
        "nll": None,
        "brier": None,
        "ece": None,
    }
    if columns.top5 is None:
        notes.append("no top-5 accuracy: the five best classes are not known")
    elif classes > 5:
        metrics["top5_accuracy"] = topk_accuracy(columns.top5, columns.labels, level=level)
    if (
        columns.confidence is None
        or columns.label_probability is None
        or columns.squared_probability_sum is None
    ):
        notes.append("no nll, brier and ece: the answers are classes without probabilities")
    elif n > 1:
        metrics["nll"] = nll(columns.label_probability, level=level)
        metrics["brier"] = brier(columns.label_probability, columns.squared_probability_sum, level=level)
        metrics["ece"] = ece(columns.confidence, correct, level=level)
        clipped = int((np.asarray(columns.label_probability) < SMALLEST_PROBABILITY).sum())
        if clipped:
            notes.append(f"nll: {clipped} label probabilities below {SMALLEST_PROBABILITY:.1e} count as that")
    else:
        notes.append("nll, brier and ece need at least two examples")
    if group_weights:
        metrics["adjusted_accuracy"] = _adjusted(found, group_weights, notes, level=level)
    metrics |= {name: FURTHER[name](columns, level) for name in further}
    return Metrics(metrics=metrics, groups=found, worst_group=worst, notes=notes)


def _adjusted(
    found: Sequence[GroupAccuracy], group_weights: Mapping[str, float], notes: list[str], *, level: float
) -> Estimate | None:
    weights = {tuple(values.split("/")): weight for values, weight in group_weights.items()}
    empty = sorted(", ".join(names) for names in set(weights) - {group.names for group in found})
    if empty:
        notes.append(f"no adjusted accuracy: no example of the weighted groups {'; '.join(empty)}")
        return None
    return adjusted_average(found, weights=weights, level=level)


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
    return notes


def _correct(prediction: ArrayLike, labels: ArrayLike) -> NDArray[np.bool_]:
    predicted, truth = np.asarray(prediction), np.asarray(labels)
    if predicted.shape != truth.shape or truth.ndim != 1 or not truth.size:
        raise ValueError(f"predictions {predicted.shape} and labels {truth.shape} need one length >= 1")
    if predicted.dtype.kind not in "iu" or truth.dtype.kind not in "iu":
        raise ValueError(f"predictions and labels are class indices, not {predicted.dtype} and {truth.dtype}")
    return np.asarray(predicted == truth)


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
