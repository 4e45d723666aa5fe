"""Try a recipe out: a few steps of every stage on the real images, at a small batch, keeping nothing."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from models_zoo.adapters import fold
from models_zoo.feeding import epoch_steps, open_distribution
from models_zoo.optimising import trained_parameters, untrained
from models_zoo.recipe import Stage, recipe_of
from models_zoo.training import Options, run_recipe

if TYPE_CHECKING:
    import torch

    from models_zoo.spec import ModelSpec

STEPS = 4
BATCH = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a stage did, and what it would take in full.

    Attributes:
        examples: images of the local copy that the stage trains on.
        batch_size, full_batch_size: as tried, as in the recipe.
        parameters, trained: weights and biases of the network, and how many of them the stage moves.
        losses: of the steps tried.
        images_per_second: but for the first step, which also sets things up.
        steps: of the whole stage.
        seconds_in_full: the whole stage at this speed; larger batches are faster.
    """

    shift: str
    examples: int
    batch_size: int
    full_batch_size: int
    parameters: int
    trained: int
    losses: tuple[float, ...]
    images_per_second: float
    steps: int
    seconds_in_full: float


def rehearse(
    spec: ModelSpec, *, data_dir: Path | None = None, options: Options | None = None, steps: int = STEPS
) -> list[Trial]:
    """Take ``steps`` steps of every stage.

    Raises:
        UserError: as ``train`` does: data that is missing, a device that is not here.
    """
    recipe = recipe_of(spec)
    losses: list[list[float]] = [[] for _ in recipe.stages]
    times: list[list[float]] = [[] for _ in recipe.stages]

    def watch(number: int, step: int, loss: torch.Tensor) -> None:
        losses[number].append(float(loss))
        times[number].append(time.perf_counter())

    small = tuple(_shrunk(stage) for stage in recipe.stages)
    run_recipe(
        dataclasses.replace(recipe, stages=small),
        spec.preprocess,
        data_dir=data_dir,
        options=dataclasses.replace(options or Options(), steps=steps, watch=watch),
    )
    network, head = untrained(recipe)
    trials = []
    for number, (stage, tried) in enumerate(zip(recipe.stages, small, strict=True)):
        seconds = max(times[number][-1] - times[number][0], 1e-9)
        speed = (len(times[number]) - 1) * tried.batch_size / seconds
        in_full = stage.epochs * epoch_steps(stage, data_dir=data_dir)
        trained = trained_parameters(network, network.get_submodule(head), tried)
        fold(network)
        trials.append(
            Trial(
                shift=f"{stage.shift} ({stage.split})",
                examples=len(open_distribution(stage, data_dir=data_dir)),
                batch_size=tried.batch_size,
                full_batch_size=stage.batch_size,
                parameters=sum(parameter.numel() for parameter in network.parameters()),
                trained=sum(parameter.numel() for parameter in trained),
                losses=tuple(losses[number]),
                images_per_second=speed,
                steps=in_full,
                seconds_in_full=in_full * stage.batch_size / speed,
            )
        )
    return trials


def _shrunk(stage: Stage) -> Stage:
    """A small batch, and a learning rate that is smaller by as much: the large one would make it diverge.

    A stage that fits a last layer to features of all images takes a few steps of a linear probe instead.
    """
    size = min(stage.batch_size, BATCH)
    if stage.head_fit is not None:
        stage = dataclasses.replace(stage, head_fit=None, trainable="head", fresh_head=True)
    return dataclasses.replace(
        stage, batch_size=size, learning_rate=stage.learning_rate * size / stage.batch_size
    )
