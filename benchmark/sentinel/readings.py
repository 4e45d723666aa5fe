"""Other readings of the same logits: labels in another order, another set of classes, an output too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.sentinel.judging import enough_to_match, matched
from shifts.class_maps import class_names, in_shift_classes
from shifts.labels import LABEL_SPACES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import ModelSpec
    from shifts.class_maps import Accepted
    from shifts.spec import ShiftSpec

    Labels = NDArray[np.int64]
    Logits = NDArray[np.float32]
    Right = NDArray[np.bool_]

_WIDEST = 4000  # string order and names are not tried on larger label spaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a reading sees.

    Attributes:
        logits: float32 (m, M), the head's own.
        labels: int64 (m,), among the shift's classes.
        accepted: m sets of right labels, or None where ``labels`` are the only ones.
        present: int64, the classes that occur among all labels of the shift.
    """

    logits: Logits
    labels: Labels
    accepted: Accepted | None
    present: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A way to read logits.

    Attributes:
        key, says: as of a ``Variant``.
        kind: what is done.
        table: of a ``relabel``: label as read → label as meant, int (C,).
        by: of a ``roll``: how far the outputs move.
    """

    key: str
    says: str
    kind: Literal["relabel", "roll", "unmasked", "masked", "matched"]
    table: tuple[int, ...] = ()
    by: int = 0


def readings(spec: ModelSpec, shift: ShiftSpec) -> Iterator[Reading]:
    """All that make sense for a head and a shift."""
    for says, table in orders(shift).items():
        yield Reading(key="label order", says=says, kind="relabel", table=table)
    for by in (1, -1):
        says = f"outputs taken one place {'earlier' if by > 0 else 'later'} (a background class)"
        yield Reading(key="off by one", says=says, kind="roll", by=by)
    if shift.pooling is None:
        if shift.class_indices is not None:
            yield Reading(key="class mask", says="answers among all classes of the head", kind="unmasked")
        else:
            yield Reading(key="class mask", says="answers among the classes that occur", kind="masked")
    yield Reading(key="label order", says="classes renamed one to one as fits best", kind="matched")


def orders(shift: ShiftSpec) -> dict[str, tuple[int, ...]]:
    """What was done → table from the label as read to the one meant, for orders that get mixed up."""
    names = class_names(shift)
    if len(names) > _WIDEST:
        return {}
    space = LABEL_SPACES.get(shift.label_space)
    sorted_as = {
        "folders 0, 1, 10, 100 … sorted as text": [str(place) for place in range(len(names))],
        "classes sorted by name": [name.lower() for name in names],
    }
    if space.wnids is not None:
        own = shift.class_indices or range(len(space))
        sorted_as["classes sorted by wnid"] = [space.wnids[place] for place in own]
    found: dict[str, tuple[int, ...]] = {}
    for says, keys in sorted_as.items():
        read = np.argsort(np.array(keys), kind="stable")
        if np.array_equal(read, np.arange(len(read))):
            continue
        found[f"labels read as if {says}, put right"] = tuple(read.tolist())
        found[f"labels put as if {says}"] = tuple(np.argsort(read).tolist())
    return found


def runner_reading(sample: Sample, shift: ShiftSpec, *, head: str) -> Right:
    """Right as the runner counts it: bool (m,)."""
    return _right(in_shift_classes(sample.logits, shift, head=head), sample)


def read(reading: Reading, sample: Sample, shift: ShiftSpec, *, head: str) -> Right | None:
    """Right by another reading, or None where it makes no sense for these logits or so few images."""
    if reading.kind == "roll":
        moved = np.roll(sample.logits, -reading.by, axis=1)
        return _right(in_shift_classes(moved, shift, head=head), sample)
    if reading.kind == "unmasked":
        return _unmasked(sample, shift)
    answers = in_shift_classes(sample.logits, shift, head=head)
    if reading.kind == "masked":
        if len(sample.present) >= 0.9 * answers.shape[1]:
            return None
        allowed = np.full(answers.shape[1], -np.inf, dtype=np.float32)
        allowed[sample.present] = 0
        return _right(answers + allowed, sample)
    if sample.accepted is not None:
        return None
    if reading.kind == "matched":
        classes = answers.shape[1]
        if not enough_to_match(len(sample.labels), classes):
            return None
        return matched(answers.argmax(axis=1), sample.labels, classes=classes)
    meant = np.asarray(reading.table)[sample.labels]
    return np.asarray(answers.argmax(axis=1) == meant)


def _unmasked(sample: Sample, shift: ShiftSpec) -> Right | None:
    indices = np.asarray(shift.class_indices)
    if sample.logits.shape[1] <= indices.max():
        return None  # a head built for the shift's classes alone
    answer = sample.logits.argmax(axis=1)
    if sample.accepted is None:
        return np.asarray(answer == indices[sample.labels])
    return np.array(
        [
            one in {int(indices[label]) for label in known}
            for one, known in zip(answer.tolist(), sample.accepted, strict=True)
        ]
    )


def _right(answers: Logits, sample: Sample) -> Right:
    answer = answers.argmax(axis=1)
    if sample.accepted is None:
        return np.asarray(answer == sample.labels)
    return np.array([one in known for one, known in zip(answer.tolist(), sample.accepted, strict=True)])
