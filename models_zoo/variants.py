"""Variants of a model that is trained here, by its name: ``cifar10-resnet8-short@seed-3@epoch-2``.

``@on-SHIFT`` trains on another distribution with the same classes, ``@share-25`` on a quarter of the data,
``@noise-symmetric-10`` with a tenth of the labels wrong (``shifts.label_noise``), ``@seed-3`` with other
random numbers; ``@epoch-50`` is what a training has kept after an epoch. They may be combined, in this order.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from models_zoo.recipe import CHECKPOINT, Recipe, Stage, recipe_of
from models_zoo.spec import MODELS, ModelSpec
from shifts.errors import LabelSpaceError, UserError
from shifts.label_noise import LabelNoise, from_label
from shifts.spec import SHIFTS

_NAME = re.compile(
    r"(?P<base>[^@]+)"
    r"(?:@on-(?P<on>[^@]+))?(?:@share-(?P<share>\d{1,3}))?(?:@noise-(?P<noise>[^@]+))?"
    r"(?:@seed-(?P<seed>\d{1,9}))?(?:@epoch-(?P<epoch>\d{1,6}))?"
)


def resolve(name: str) -> ModelSpec | None:
    """The variant of that name, or None where the name is not of this form.

    Raises:
        UserError: the model has no recipe, another label space, or keeps no such epoch.
    """
    found = _NAME.fullmatch(name)
    if found is None or "@" not in name:
        return None
    base = MODELS.find(found["base"])
    if base is None:
        return None
    numbers = {key: int(found[key]) for key in ("share", "seed", "epoch") if found[key] is not None}
    noise = None if found["noise"] is None else from_label(found["noise"])
    return variant(base, on=found["on"], noise=noise, **numbers)


def variant(
    spec: ModelSpec,
    *,
    on: str | None = None,
    share: int | None = None,
    noise: LabelNoise | None = None,
    seed: int | None = None,
    epoch: int | None = None,
) -> ModelSpec:
    """The same model trained otherwise.

    Args:
        on: a shift with the same classes, in place of the one of the last stage, wherever that is trained on.
        share: percent of the training data, in the same stages.
        noise: in the labels, captions or images of the same stages; drawn by the seed of the training.
        seed: of the whole recipe.
        epoch: one of those that the recipe keeps.

    Raises:
        UserError: not trained by a recipe, or no such epoch is kept; LabelSpaceError: other classes.
    """
    recipe = recipe_of(spec)
    name, training_data = spec.name, spec.training_data
    last = recipe.stages[-1].shift
    if on is not None:
        _check_classes(spec, on)
        seen = [on if known in (last, SHIFTS.get(last).source) else known for known in spec.training_data]
        training_data = tuple(dict.fromkeys((on, *seen)))
        recipe, name = _retargeted(recipe, last, shift=on), f"{name}@on-{on}"
    if share is not None:
        recipe, name = _retargeted(recipe, on or last, share=share / 100), f"{name}@share-{share}"
    if noise is not None:
        drawn = dataclasses.replace(noise, seed=recipe.seed if seed is None else seed)
        recipe, name = _retargeted(recipe, on or last, noise=drawn), f"{name}@noise-{noise.label}"
    if seed is not None:
        recipe, name = dataclasses.replace(recipe, seed=seed), f"{name}@seed-{seed}"
    if epoch is not None:
        if epoch not in recipe.keep:
            kept = ", ".join(map(str, recipe.keep)) or "none"
            raise UserError(f"{spec.name!r} keeps no weights of epoch {epoch}", hint=f"epochs kept: {kept}")
        recipe, name = dataclasses.replace(recipe, checkpoint=epoch), f"{name}{CHECKPOINT}{epoch}"
    said = name.removeprefix(spec.name).replace("@", ", ")
    return dataclasses.replace(
        spec, name=name, title=f"{spec.title}{said}", recipe=recipe, training_data=training_data
    )


def _check_classes(spec: ModelSpec, on: str) -> None:
    asked = SHIFTS.get(on)
    if asked.label_space != spec.label_space or asked.class_indices is not None:
        raise LabelSpaceError(
            f"{spec.name!r} answers in the classes of {spec.label_space!r} and cannot be trained on {on!r}, "
            f"which has {'a part of them' if asked.class_indices else f'those of {asked.label_space!r}'}",
            hint="robustbench-shift list shifts shows the classes of each",
        )


def _retargeted(recipe: Recipe, target: str, **changes: Any) -> Recipe:
    def changed(stage: Stage) -> Stage:
        return dataclasses.replace(stage, **changes) if stage.shift == target else stage

    return dataclasses.replace(recipe, stages=tuple(changed(stage) for stage in recipe.stages))
