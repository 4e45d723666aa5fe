"""What a training costs before it is begun: images seen, and the operations that each of them takes.

Operations are counted, not estimated: the network is built with weights of no meaning, moved to the device
that computes shapes alone, and one step of every stage is taken there. A multiplication with an addition
counts as two operations; those that are no products of matrices (activations, normalisation, the optimiser)
count as none.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from models_zoo.adapters import fold
from models_zoo.feeding import num_classes, open_distribution, steps_over
from models_zoo.objectives import Batch, objective_of
from models_zoo.optimising import put_heads, started, trained_parameters, untrained
from models_zoo.preprocessing import prepare
from models_zoo.processes import Processes
from models_zoo.recipe import Recipe, recipe_of, start_of
from shifts.digest import digest
from shifts.errors import UserError
from shifts.spec import SHIFTS, SOURCES

if TYPE_CHECKING:
    from torch import nn

    from models_zoo.recipe import Stage
    from models_zoo.spec import ModelSpec, Preprocess

BATCHES = (8, 16)  # images of the steps that are counted: enough for statistics of a batch and its spectrum
CLASSES = (2, 4)  # of the last layers that are counted where only these depend on how many there are


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """A stage of a recipe in full.

    Attributes:
        shift, split: what it trains on.
        images: how many are seen, an image as often as it comes; None where nobody publishes how many there
            are and there is no local copy.
        operations: for each of them, forwards and backwards through what the stage trains.
        trained: weights and biases that it moves; 0 where a last layer is fitted to features.
    """

    shift: str
    split: str
    images: int | None
    operations: float
    trained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """A model that is trained by a recipe.

    Attributes:
        forward: operations for an image that is only looked at.
        parameters: weights and biases of the network.
        kept: sets of weights that stay on disk.
    """

    stages: tuple[StageCost, ...]
    forward: float
    parameters: int
    kept: int

    @property
    def images(self) -> int | None:
        """Images seen in all stages; None where one of them is not known."""
        seen = [stage.images for stage in self.stages]
        return None if None in seen else sum(one for one in seen if one is not None)

    @property
    def operations(self) -> float | None:
        """Of the whole training."""
        if self.images is None:
            return None
        return sum((stage.images or 0) * stage.operations for stage in self.stages)

    @property
    def bytes(self) -> int:
        """Of the weights that stay on disk, in float32."""
        return 4 * self.parameters * self.kept


def training_cost(spec: ModelSpec, *, data_dir: Path | None = None) -> TrainingCost:
    """What training a model by its recipe takes; the models it starts from are not in it.

    Args:
        data_dir: where local copies lie; they are asked only for what is not published.

    Raises:
        UserError: the size of the network's input is known from images alone, and they are not here.
    """
    recipe = recipe_of(spec)
    side = _input_size(spec.preprocess, recipe.stages[0], data_dir)
    counted = _count(recipe, spec.preprocess, side)
    stages = tuple(
        StageCost(
            shift=stage.shift,
            split=stage.split,
            images=_images(stage, data_dir),
            operations=operations,
            trained=trained,
        )
        for stage, (operations, trained) in zip(recipe.stages, counted.stages, strict=True)
    )
    return TrainingCost(
        stages=stages, forward=counted.forward, parameters=counted.parameters, kept=1 + len(recipe.kept)
    )


class _Counted:
    """A recipe as a key: equal where the networks are, and what is trained of them.

    Seeds, shares, noise and rates move no operation; many models of a study share one count.

    Args:
        classes: in place of the stages' own.
    """

    def __init__(self, recipe: Recipe, *, classes: int | None = None) -> None:
        self.recipe, self.classes = recipe, classes
        start = start_of(recipe)
        network = {"network": recipe.network, "arguments": recipe.arguments}
        if start is not None:
            network = _identity(start)
        stages = [
            {
                "classes": num_classes(stage) if classes is None else classes,
                **{name: getattr(stage, name) for name in ("batch_size", "fresh_head", "trainable", "lora")},
                **{name: getattr(stage, name) for name in ("head_fit", "objective")},
            }
            for stage in recipe.stages
        ]
        self._key = digest([network, stages])

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Counted) and self._key == other._key


def _identity(start: ModelSpec) -> dict[str, Any]:
    return {"loader": start.loader, "arguments": start.arguments, "in": start.label_space}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    stages: tuple[tuple[float, int], ...]
    forward: float
    parameters: int


def _count(recipe: Recipe, preprocess: Preprocess, side: tuple[int, int]) -> _Count:
    """Models that are tuned to many sets differ by the outputs of a last layer, in which all is linear."""
    classes = {num_classes(stage) for stage in recipe.stages}
    anew = all(stage.head_fit is not None or stage.fresh_head for stage in recipe.stages)
    if start_of(recipe) is None or not anew or len(classes) > 1:
        return _counted(_Counted(recipe), preprocess, side)
    some, more = (_counted(_Counted(recipe, classes=number), preprocess, side) for number in CLASSES)
    further = (classes.pop() - CLASSES[0]) / (CLASSES[1] - CLASSES[0])

    def at(first: float, second: float) -> float:
        return first + further * (second - first)

    stages = zip(some.stages, more.stages, strict=True)
    return _Count(
        stages=tuple((at(a[0], b[0]), round(at(a[1], b[1]))) for a, b in stages),
        forward=at(some.forward, more.forward),
        parameters=round(at(some.parameters, more.parameters)),
    )


class _Start:
    """A model to start from as a key: equal where the bodies are."""

    def __init__(self, spec: ModelSpec, *, space: str) -> None:
        self.spec, self.space = spec, space
        self._key = digest(_identity(spec))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Start) and self._key == other._key


@lru_cache(maxsize=8)
def _body(start: _Start) -> tuple[nn.Module, str]:
    """Shapes of a network under any last layer, and the name of that layer."""
    network, head = started(start.spec, None, label_space=start.space, shapes=True)
    return network.to("meta"), head


def _network(key: _Counted) -> tuple[nn.Module, str]:
    start = start_of(key.recipe)
    if key.classes is None or start is None:
        return untrained(key.recipe)
    network, head = _body(_Start(start, space=SHIFTS.get(key.recipe.stages[0].shift).label_space))
    network = copy.deepcopy(network)
    return network, put_heads(network, head, key.recipe, classes=key.classes)


@lru_cache(maxsize=64)
def _counted(key: _Counted, preprocess: Preprocess, side: tuple[int, int]) -> _Count:
    network, head = _network(key)
    network = network.to("meta")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    forward = _forward(network, side)
    stages = []
    for stage in key.recipe.stages:
        if stage.head_fit is not None:  # the features of every image, once; fitting to them is not counted
            stages.append((forward, 0))
            continue
        trained = trained_parameters(network, network.get_submodule(head), stage)
        moved = sum(parameter.numel() for parameter in trained)
        some, more = (_step(network, stage, preprocess, side, images=images) for images in BATCHES)
        each = (more - some) / (BATCHES[1] - BATCHES[0])
        # Products of weights alone, as adapters make them, come once in a step.
        fixed = some - BATCHES[0] * each
        stages.append((each + fixed / stage.batch_size, moved))
        fold(network)
    return _Count(stages=tuple(stages), forward=forward, parameters=parameters)


def _forward(network: nn.Module, side: tuple[int, int]) -> float:
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty((1, 3, *side), device="meta"))
    return float(counter.get_total_flops())


def _step(
    network: nn.Module, stage: Stage, preprocess: Preprocess, side: tuple[int, int], *, images: int
) -> float:
    objective = objective_of(stage)
    tokenise = objective.tokeniser(network)
    targets = torch.zeros(images, dtype=torch.int64)
    if tokenise is not None:
        targets = torch.from_numpy(tokenise([""] * images))
    batch = Batch(
        images=torch.empty((images, *side, 3), dtype=torch.uint8, device="meta"),
        targets=targets.to("meta"),
        total=images,
        size=images,
        network=network,
        forward=network,
        preprocess=preprocess,
        precision="float32",
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        processes=Processes(),
    )
    with FlopCounterMode(display=False) as counter:
        objective.backward(batch)
    network.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


def _images(stage: Stage, data_dir: Path | None) -> int | None:
    """Images that a stage sees: whole batches, of an epoch over the whole published split."""
    size = split_size(SHIFTS.get(stage.shift).source, stage.split, data_dir=data_dir)
    if size is None:
        return None
    if stage.head_fit is not None:  # of two views with augmentation, see models_zoo.tuning.heads
        return size if stage.augment is None and stage.view is None else 2 * size
    return stage.epochs * steps_over(stage, size) * min(stage.batch_size, size)


def split_size(source: str, split: str, *, data_dir: Path | None = None) -> int | None:
    """Images of a split as published, or of the local copy where nobody publishes how many; else None."""
    from shifts.local import read_record

    known = SOURCES.get(source)
    published = known.published_size(split) if split in known.counts else None
    if published is not None or known.bundled:
        return published
    record = read_record(source, data_dir=data_dir)
    here = None if record is None else record.splits.get(split)
    return None if here is None else here.n


def _input_size(preprocess: Preprocess, stage: Stage, data_dir: Path | None) -> tuple[int, int]:
    if preprocess.crop is not None:
        return preprocess.crop
    if isinstance(preprocess.resize, tuple):
        return preprocess.resize
    try:
        first = open_distribution(stage, data_dir=data_dir).item(0)
    except UserError as error:
        raise UserError(
            f"how large the network's input is follows from the images of {stage.shift!r}: {error.message}",
            hint=error.hint,
        ) from error
    height, width = prepare([first], preprocess).shape[2:]
    return int(height), int(width)
