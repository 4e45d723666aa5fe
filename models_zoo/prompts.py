"""Class names and templates of a zero-shot head: those of the label space, or the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shifts.errors import LabelSpaceError, UserError
from shifts.labels import LABEL_SPACES

if TYPE_CHECKING:
    from models_zoo.spec import ModelSpec

SLOT = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What a text tower reads: every template with every class name."""

    class_names: tuple[str, ...]
    templates: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.class_names) * len(self.templates)

    def texts(self, class_name: str) -> list[str]:
        """The prompts of a class.

        >>> Prompts(class_names=("cat",), templates=("a {}.", "the {}.")).texts("cat")
        ['a cat.', 'the cat.']
        """
        return [template.replace(SLOT, class_name) for template in self.templates]


def prompts_for(spec: ModelSpec, label_space: str) -> Prompts:
    """The prompts of a model for a label space; ``class_names`` and ``templates`` of its arguments win.

    Raises:
        LabelSpaceError: not one class name for each class.
        UserError: a template without a place for the class name, or with two.
    """
    classes = LABEL_SPACES.get(label_space)
    names = tuple(spec.arguments.get("class_names") or classes.class_names)
    templates = tuple(spec.arguments.get("templates") or classes.templates)
    if len(names) != len(classes):
        raise LabelSpaceError(
            f"{len(names)} class names were given for the {len(classes)} classes of {label_space!r}",
            hint="give one name for each class, in the order of its labels",
        )
    blank = next((place for place, name in enumerate(names) if not name.strip()), None)
    if blank is not None:
        raise LabelSpaceError(f"the name of class {blank} of {label_space!r} is empty")
    wrong = next((one for one in templates if one.count(SLOT) != 1), None)
    if wrong is not None:
        raise UserError(
            f"the template {wrong!r} has {wrong.count(SLOT)} places for the class name",
            hint='write {} once in each template, as in "a photo of a {}."',
        )
    return Prompts(class_names=names, templates=templates)
