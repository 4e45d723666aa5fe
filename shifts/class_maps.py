"""From the classes of a source or of a head to those of a shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import LabelSpaceError
from shifts.labels import LABEL_SPACES
from shifts.registry import resolve
from shifts.spec import SOURCES, Pooling, ShiftSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Examples

    Labels = NDArray[np.int64]
    Accepted = Sequence[tuple[int, ...]]

NEVER = np.float32(-1e30)  # a logit that no class beats; finite, since a score must be


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLabels:
    """What a ``Relabelling`` gives.

    Attributes:
        labels: int64 (N,); -1 takes the image out of the shift.
        accepted: N sets of labels that are all right (empty where -1), or None where one is.
    """

    labels: Labels
    accepted: Accepted | None = None


def class_names(spec: ShiftSpec) -> tuple[str, ...]:
    """Names of the shift's classes, in the order of its labels."""
    names = LABEL_SPACES.get(spec.label_space).class_names
    return names if spec.class_indices is None else tuple(names[i] for i in spec.class_indices)


def distinct_names(spec: ShiftSpec) -> tuple[str, ...]:
    """Names of the shift's classes, with the wnid where two share one (crane, the bird and the machine)."""
    names = class_names(spec)
    wnids = LABEL_SPACES.get(spec.label_space).wnids
    if wnids is None or len(set(names)) == len(names):
        return names
    own = wnids if spec.class_indices is None else [wnids[i] for i in spec.class_indices]
    return tuple(
        f"{name} ({wnid})" if names.count(name) > 1 else name for name, wnid in zip(names, own, strict=True)
    )


def labels_of(spec: ShiftSpec, examples: Examples) -> tuple[Labels, Accepted | None]:
    """Labels among the shift's classes.

    Returns:
        int64 (N,) for the N examples of the split, -1 for those that are not of the shift; and the sets of
        labels that are right, or None where one is.

    Raises:
        LabelSpaceError: the source has classes that the spec does not map to its own.
    """
    labels, accepted = np.asarray(examples.labels, dtype=np.int64), examples.accepted
    if spec.relabelling is not None:
        rule = spec.relabelling
        found: NewLabels = resolve(rule.function)(examples.ids, labels, **rule.parameters)
        labels, accepted = np.array(found.labels, dtype=np.int64), found.accepted
    own = SOURCES.get(spec.source).label_space
    if spec.relabelling is not None and spec.pooling is None:
        own = spec.label_space
    if own != spec.label_space:
        if spec.pooling is None or spec.pooling.label_space != own:
            raise LabelSpaceError(
                f"{spec.name!r} asks for the classes of {spec.label_space!r}, its source has those of {own!r}"
            )
        labels, accepted = _renumbered(labels, accepted, pooled_labels(spec.pooling))
    if spec.class_indices is not None:
        table = {old: new for new, old in enumerate(spec.class_indices)}
        labels, accepted = _renumbered(labels, accepted, table)
    return labels, accepted


def pooled_labels(pooling: Pooling) -> dict[int, int]:
    """Class of the other label space → class of the shift.

    Raises:
        LabelSpaceError: a class belongs to two of the shift's.
    """
    table = {member: new for new, members in enumerate(pooling.members) for member in members}
    if len(table) != sum(map(len, pooling.members)):
        raise LabelSpaceError(f"a class of {pooling.label_space!r} belongs to two classes; labels cannot")
    return table


def _renumbered(
    labels: Labels, accepted: Accepted | None, table: dict[int, int]
) -> tuple[Labels, Accepted | None]:
    new = np.full(max(int(labels.max(initial=0)), *table) + 1, -1, dtype=np.int64)
    new[list(table)] = list(table.values())
    moved = np.where(labels >= 0, new[labels], -1)
    if accepted is None:
        return moved, None
    sets = [tuple(dict.fromkeys(table[one] for one in known if one in table)) for known in accepted]
    return np.array([known[0] if known else -1 for known in sets], dtype=np.int64), sets


def in_shift_classes(logits: NDArray[np.float32], spec: ShiftSpec, *, head: str) -> NDArray[np.float32]:
    """Answers of a head as answers in the shift's classes: float32 (B, M) → (B, C).

    Args:
        head: the label space the head answers in; the shift's own for a head built for it.

    Raises:
        LabelSpaceError: the logits have neither the shift's classes nor ones it can be answered in.
    """
    num_classes = len(class_names(spec))
    pooling = spec.pooling
    if pooling is not None and head == pooling.label_space != spec.label_space:
        if logits.shape[1] != len(LABEL_SPACES.get(head)):
            raise LabelSpaceError(f"{logits.shape[1]} logits are not those of the classes of {head!r}")
        logits = pool(logits, pooling)
    if spec.class_indices is not None and logits.shape[1] != num_classes:
        logits = logits[:, list(spec.class_indices)]
    return logits


def pool(logits: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    """One answer for each class of the shift from those of its members: float32 (B, M) → (B, C).

    For ``mean-probability`` the answer is the logarithm of the mean, so that a softmax of the result gives
    the means over their sum.

    >>> import numpy as np
    >>> rule = Pooling(label_space="x", members=((0, 2), (1,)), rule="mean-probability")
    >>> np.exp(pool(np.log(np.array([[0.2, 0.5, 0.3]], dtype=np.float32)), rule)).round(3).tolist()
    [[0.25, 0.5]]
    """
    wide = logits.astype(np.float64)
    if pooling.rule == "mean-probability":
        wide -= np.logaddexp.reduce(wide, axis=1)[:, None]
    columns = []
    for members in pooling.members:
        some = wide[:, list(members)]
        if not members:
            columns.append(np.full(len(wide), NEVER, dtype=np.float64))
        elif pooling.rule == "max-logit":
            columns.append(some.max(axis=1))
        else:
            columns.append(np.logaddexp.reduce(some, axis=1) - np.log(len(members)))
    return np.stack(columns, axis=1).astype(np.float32)


def best_accepted(logits: NDArray[np.float32], accepted: Accepted) -> Labels:
    """Of the labels that are right, the one the model ranks first: int64 (B,).

    With it a prediction is right exactly when it is one of the accepted labels, and the k best hold an
    accepted one exactly when they hold this one. Ties go to the class that comes first, as in ``score``.

    Args:
        logits: float32 (B, C).
        accepted: B sets of labels, none empty.
    """
    best = []
    for row, known in zip(logits, accepted, strict=True):
        ordered = sorted(known)
        best.append(ordered[int(np.argmax(row[ordered]))])
    return np.array(best, dtype=np.int64)
