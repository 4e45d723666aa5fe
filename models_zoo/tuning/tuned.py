"""A model made from another one by stages: a declaration that the runner, the cache and ``train`` know."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from models_zoo.recipe import Recipe, Stage, recipe_of
from models_zoo.spec import MODELS, ModelSpec
from shifts.class_maps import class_names
from shifts.errors import LabelSpaceError
from shifts.labels import LABEL_SPACES
from shifts.spec import SHIFTS

if TYPE_CHECKING:
    from pathlib import Path

    from models_zoo.classifier import TorchClassifier


def tuned(
    start: str | ModelSpec,
    stages: Sequence[Stage],
    *,
    name: str,
    seed: int = 0,
    start_weights: str | None = None,
    accelerator: bool = True,
    threads: int | None = None,
) -> ModelSpec:
    """Declare a tuned model; ``models_zoo.training.train`` trains it, the runner evaluates it.

    Args:
        start: a registered model, or a declaration (another tuned one, say).
        stages: what to train it by, see ``fine_tune``, ``linear_probe``, ``lp_ft``.
        name: of the tuned model.
        start_weights: a file to read instead of the start's own weights.

    Raises:
        LabelSpaceError: the last stage is over a part of a label space, which no head is declared for.
    """
    origin = MODELS.get(start) if isinstance(start, str) else start
    last = SHIFTS.get(stages[-1].shift)
    if len(class_names(last)) != len(LABEL_SPACES.get(last.label_space)):
        raise LabelSpaceError(
            f"{last.name!r} has a part of the classes of {last.label_space!r}: a model cannot be tuned to it",
            hint="tune on a shift with all classes; the runner selects those of another",
        )
    recipe = Recipe(
        start=start,
        start_weights=start_weights,
        stages=tuple(stages),
        seed=seed,
        accelerator=accelerator,
        threads=threads,
    )
    seen = (*(stage.shift for stage in reversed(stages)), *origin.training_data)
    return dataclasses.replace(
        origin,
        name=name,
        title=f"{origin.title}, tuned on {last.name}",
        label_space=last.label_space,
        family="more-data",
        training_data=tuple(dict.fromkeys(seen)),
        loader="models_zoo.tuning.tuned:load",
        source="tuned on this machine by its recipe",
        suite=last.reference or last.name,
        weights=None,
        recipe=recipe,
        arguments={"start": origin.name, "loader": origin.loader, **origin.arguments},
        parameters=None,
        head=None,
        notes=(),
        version=1,
    )


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the network as its stages leave it and read its weights.

    Raises:
        WeightsError: damaged, or of another network.
    """
    from models_zoo.classifier import TorchClassifier
    from models_zoo.optimising import untrained
    from models_zoo.weights import load_into, load_state_dict

    network, head = untrained(recipe_of(spec))
    if weights is not None:
        load_into(network, load_state_dict(weights), where=weights)
    return TorchClassifier(
        spec, network, head=network.get_submodule(head), device=device, precision=precision
    )
