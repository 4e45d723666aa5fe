"""What the classes of a data set are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shifts.errors import LabelSpaceError
from shifts.registry import Registry

_DATA = Path(__file__).resolve().parent / "sources" / "data"
ANY = "any"  # the label space of a zero-shot model, which builds a head for whatever it is given


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSpace:
    """An ordered set of classes; the position of a class is its label.

    Attributes:
        name: unique, lower case.
        class_names: as put into a prompt; unique, unless wnids tell two classes of one name apart.
        wnids: WordNet ids in the same order, or None.
        templates: zero-shot prompts with one ``{}`` for the class name.
    """

    name: str
    class_names: tuple[str, ...]
    wnids: tuple[str, ...] | None = None
    templates: tuple[str, ...] = ("a photo of a {}.",)

    def __post_init__(self) -> None:
        if not self.class_names:
            raise LabelSpaceError(f"label space {self.name!r} has no classes")
        keys = self.class_names if self.wnids is None else self.wnids
        if len(set(keys)) != len(keys):
            raise LabelSpaceError(f"label space {self.name!r} has two classes of the same name")
        if self.wnids is not None and len(self.wnids) != len(self.class_names):
            raise LabelSpaceError(f"label space {self.name!r} has not one wnid for each class")

    def __len__(self) -> int:
        return len(self.class_names)


def listed_names(name: str) -> tuple[str, ...]:
    """Class names kept beside the sources in ``NAME_classes.txt``, one a line, in the order of the labels."""
    return tuple((_DATA / f"{name}_classes.txt").read_text(encoding="utf-8").splitlines())


LABEL_SPACES: Registry[LabelSpace] = Registry("label space", package="shifts.sources")
