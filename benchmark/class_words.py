"""Which class of a shift a word or a number in somebody else's file means; what is ambiguous is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models_zoo.heads import columns_of, head_for, in_label_space
from shifts.class_maps import class_names, in_shift_classes
from shifts.errors import LabelSpaceError
from shifts.labels import LABEL_SPACES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.spec import ShiftSpec

    Values = NDArray[np.float64]

OWN = "shift"  # the shift's own classes, in the order of its labels
DECLARE = "--label-space"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How columns of logits become answers in the shift's classes.

    Attributes:
        label_space, head: what the columns are, for the model's declaration.
        convert: float (B, M) → (B, C).
    """

    label_space: str
    head: str | None
    convert: Callable[[Values], Values]


def columns_for(
    shift: ShiftSpec, width: int, *, names: Sequence[str] | None = None, declared: str | None = None
) -> Columns:
    """What M columns are: the shift's classes, a label space it can be answered in, or a head for one.

    Args:
        names: of the columns, as class names or wnids; None for columns in the order of the classes.
        declared: ``"shift"`` or a label space, where both have M classes.

    Raises:
        LabelSpaceError: none of these, or several.
    """
    found = [one for one in _possible(shift, width) if declared in (None, one.label_space, OWN)]
    if declared == OWN:
        found = [one for one in found if one.label_space == shift.label_space and one.head is None][:1]
        found = found if width == len(class_names(shift)) else []
    if not found:
        listed = " or ".join(f"{name!r} ({len(LABEL_SPACES.get(name))})" for name in _spaces(shift))
        raise LabelSpaceError(
            f"{width} columns are neither the {len(class_names(shift))} classes of {shift.name!r} "
            f"nor those of {listed}",
            hint=f"one column for each class; {DECLARE} {declared} was asked for" if declared else None,
        )
    if len(found) > 1:
        listed = " or ".join(f"those of {one.label_space!r}" for one in found)
        raise LabelSpaceError(
            f"{width} columns may be {listed}", hint=f"say which: {DECLARE} {found[0].label_space}"
        )
    chosen = found[0]
    if names is None:
        return chosen
    if chosen.head is not None:
        raise LabelSpaceError(f"columns of {chosen.head!r} are told by their order, not by names")
    own = width == len(class_names(shift)) and chosen.label_space == shift.label_space
    words = Words(shift if own else None, label_space=chosen.label_space)
    places = [words.place(name) for name in names]
    if len(set(places)) != len(places):
        raise LabelSpaceError("two columns are called after the same class")
    order = np.argsort(places)
    return Columns(
        label_space=chosen.label_space,
        head=None,
        convert=lambda values: chosen.convert(values[:, order]),
    )


def _spaces(shift: ShiftSpec) -> list[str]:
    """Label spaces the shift can be answered in."""
    other = [] if shift.pooling is None else [shift.pooling.label_space]
    return list(dict.fromkeys([shift.label_space, *other]))


def _possible(shift: ShiftSpec, width: int) -> list[Columns]:
    own = len(class_names(shift))
    found: list[Columns] = []
    if width == own:
        found.append(Columns(label_space=shift.label_space, head=None, convert=lambda values: values))
    for space in _spaces(shift):
        if space == shift.label_space and width == own:
            continue  # the label space itself
        try:
            head = head_for(width, label_space=space)
        except LabelSpaceError:
            continue
        found.append(Columns(label_space=space, head=head, convert=_converter(shift, space, head)))
    return found


def _converter(shift: ShiftSpec, space: str, head: str | None) -> Callable[[Values], Values]:
    def convert(values: Values) -> Values:
        wide = values.astype(np.float32)
        if head is not None:
            wide = in_label_space(wide, columns_of(head, label_space=space))
        return in_shift_classes(wide, shift, head=space).astype(np.float64)

    return convert


class Words:
    """Names, wnids and numbers of classes.

    Args:
        shift: places are among its classes; None for those of a whole label space.
        label_space: in which numbers count, where it has other classes than the shift.
        numbers: ``"shift"`` or the label space: what a number counts in; None refuses numbers that could
            mean either.
    """

    def __init__(self, shift: ShiftSpec | None, *, label_space: str, numbers: str | None = None) -> None:
        space = LABEL_SPACES.get(label_space)
        indices = None if shift is None else shift.class_indices
        kept = range(len(space)) if indices is None else indices
        self._what = f"the {len(kept)} classes of {label_space if shift is None else shift.name!r}"
        self._places: dict[str, set[int]] = {}
        for place, index in enumerate(kept):
            for word in {space.class_names[index], _plain(space.class_names[index])}:
                self._places.setdefault(word, set()).add(place)
            if space.wnids is not None:
                self._places.setdefault(space.wnids[index], set()).add(place)
        self._numbers: dict[str, int] | None = {str(place): place for place in range(len(kept))}
        if indices is not None and numbers == label_space:
            self._numbers = {str(index): place for place, index in enumerate(indices)}
        elif indices is not None and numbers != OWN:
            self._numbers = None
        self._either = f"{DECLARE} {OWN}, or {DECLARE} {label_space}"
        self._declared = numbers is not None
        self._restricted = None
        if indices is not None:
            self._restricted = "answers are among the shift's classes: give the best of these, or all logits"

    def place(self, word: str) -> int:
        """The class that a word means.

        Raises:
            LabelSpaceError: no class, or several.
        """
        word = word.strip()
        found = set(self._places.get(word) or self._places.get(_plain(word)) or ())
        number = word.removesuffix(".0")
        if number.isdecimal():
            if self._numbers is None:
                raise LabelSpaceError(
                    f"class {word} may count in {self._what} or in its label space",
                    hint=f"say {self._either}",
                )
            meant = self._numbers.get(str(int(number)))
            if meant is not None:
                found = {meant} if self._declared else found | {meant}
        if len(found) > 1:
            raise LabelSpaceError(f"{word!r} means several of {self._what}", hint="use wnids or numbers")
        if not found:
            raise LabelSpaceError(f"{word!r} is not one of {self._what}", hint=self._restricted)
        return found.pop()


def _plain(name: str) -> str:
    """Without case, and with a blank for an underscore."""
    return name.casefold().replace("_", " ")
