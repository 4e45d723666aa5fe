"""Heads with other outputs than the classes they are evaluated in: which output answers for which class.

A declaration names its head (``ModelSpec.head``); the classifier then gives one column for each class. Rules
are told by the number of outputs, which is what distinguishes the published heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from shifts.errors import LabelSpaceError
from shifts.labels import LABEL_SPACES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shifts.spec import ShiftSpec

LACKING = -1  # the column of a class that the head does not know
SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How the outputs of a network answer in a label space.

    Attributes:
        outputs: M of the network.
        label_space: in which it answers.
        columns: makes, for each class of the label space, the position of its output, or ``LACKING``.
    """

    name: str
    outputs: int
    label_space: str
    columns: Callable[[], tuple[int, ...]]


def _behind_background() -> tuple[int, ...]:
    """TensorFlow's: output 0 is the background, class i is output i + 1."""
    return tuple(range(1, 1001))


def _by_wnid(subset: str) -> Callable[[], tuple[int, ...]]:
    """The outputs are synsets in timm's order, and so are the classes: nothing is matched by name."""

    def columns() -> tuple[int, ...]:
        from timm.data.imagenet_info import ImageNetInfo

        synsets: Any = ImageNetInfo(subset)
        place = {wnid: output for output, wnid in enumerate(synsets.label_names())}
        wnids = LABEL_SPACES.get("imagenet-1k").wnids or ()
        return tuple(place.get(wnid, LACKING) for wnid in wnids)

    return columns


HEADS = {
    head.name: head
    for head in (
        Head(
            name="imagenet-background",
            outputs=1001,
            label_space="imagenet-1k",
            columns=_behind_background,
        ),
        # Of ImageNet's synsets; numbers of outputs and orders as in timm.data.imagenet_info.
        *(
            Head(name=name, outputs=outputs, label_space="imagenet-1k", columns=_by_wnid(name))
            for name, outputs in {
                "imagenet-12k": 11821,
                "imagenet-21k-miil": 11221,
                "imagenet-22k": 21841,
                "imagenet-22k-ms": 21842,
                "imagenet-21k-goog": 21843,
            }.items()
        ),
    )
}


def head_for(outputs: int, *, label_space: str = "imagenet-1k") -> str | None:
    """The head of a network with so many outputs; None where they are the label space's own classes.

    >>> head_for(1000), head_for(1001), head_for(21841)
    (None, 'imagenet-background', 'imagenet-22k')

    Raises:
        LabelSpaceError: nobody knows how these outputs are classes of the label space.
    """
    own = len(LABEL_SPACES.get(label_space))
    if outputs == own:
        return None
    fitting = [head for head in HEADS.values() if head.label_space == label_space]
    for head in fitting:
        if head.outputs == outputs:
            return head.name
    known = ", ".join(f"{head.outputs} ({head.name})" for head in fitting)
    raise LabelSpaceError(
        f"a head with {outputs} outputs does not answer in the classes of {label_space!r}, which has {own}",
        hint=f"heads that are mapped have {known} outputs" if known else None,
    )


def outputs_of(head: str | None, *, label_space: str) -> int:
    """M of a network with this head.

    Raises:
        LabelSpaceError: no such head, or one for other classes.
    """
    return len(LABEL_SPACES.get(label_space)) if head is None else _get(head, label_space).outputs


@cache
def columns_of(head: str, *, label_space: str) -> tuple[int, ...]:
    """For each class the position of its output, or ``LACKING``."""
    found = _get(head, label_space)
    columns = found.columns()
    if len(columns) != len(LABEL_SPACES.get(label_space)) or max(columns) >= found.outputs:
        raise LabelSpaceError(
            f"the installed list of the classes of {head!r} is not one of {found.outputs} outputs",
            hint="install the version of timm that this package asks for",
        )
    return columns


def in_label_space(outputs: NDArray[np.float32], columns: Sequence[int]) -> NDArray[np.float32]:
    """Outputs float32 (B, M) → (B, C); a class that the head lacks is never the answer."""
    import numpy as np

    from shifts.class_maps import NEVER

    index = np.asarray(columns)
    answers = outputs[:, np.maximum(index, 0)]
    answers[:, index == LACKING] = NEVER
    return answers


def lacking(head: str | None, shift: ShiftSpec, *, label_space: str) -> str | None:
    """What a reader has to know of classes of the shift that the head lacks, or None."""
    if head is None:
        return None
    columns = columns_of(head, label_space=label_space)
    asked: Sequence[int] = range(len(columns))
    if shift.label_space == label_space and shift.class_indices is not None:
        asked = shift.class_indices
    elif shift.pooling is not None and shift.pooling.label_space == label_space:
        asked = sorted(set().union(*shift.pooling.members))
    absent = [place for place in asked if columns[place] == LACKING]
    if not absent:
        return None
    space = LABEL_SPACES.get(label_space)
    named = ", ".join((space.wnids or space.class_names)[place] for place in absent[:SHOWN])
    more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
    return (
        f"the head has no output for {len(absent)} of the {len(asked)} classes asked for, "
        f"which are never its answer: {named}{more}"
    )


def _get(head: str, label_space: str) -> Head:
    found = HEADS.get(head)
    if found is None or found.label_space != label_space:
        raise LabelSpaceError(
            f"no head {head!r} answers in the classes of {label_space!r}", hint=f"known: {', '.join(HEADS)}"
        )
    return found
