"""How a scratch model is trained: data, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from models_zoo.spec import ModelSpec
from shifts.digest import SHORT, digest
from shifts.errors import UserError
from shifts.local import cache_home
from shifts.registry import resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One run over a training distribution with AdamW and a cosine schedule.

    Attributes:
        shift: name of a registered shift; its perturbations and selection define the distribution.
        split: the split of its source to train on.
        share: fraction of the examples, stratified by class; smaller shares lie within larger ones.
        epochs: over the whole split; with a share of 1/k the data is seen k times as often, so that every
            share gets the same number of steps (Cohen-Wang et al., arXiv 2403.00194, appendix B.5).
        augment: ``"module:function"``, called as ``function(images, generator)`` on uint8 (B, H, W, 3).
        trainable: ``"head"`` freezes all but the last layer (a linear probe).
        fresh_head: whether the last layer starts anew.
    """

    shift: str
    split: str = "train"
    share: float = 1.0
    epochs: int
    learning_rate: float
    weight_decay: float = 0.05
    batch_size: int = 64
    augment: str | None = None
    trainable: Literal["all", "head"] = "all"
    fresh_head: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0 or self.epochs < 1 or self.batch_size < 1:
            raise UserError("a training stage needs a share in (0, 1], at least one epoch and a batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the weights of a scratch model.

    Attributes:
        network: ``"module:function"``, called as ``function(num_classes, **arguments)``.
        threads: torch threads while training; a fixed number makes the sums, and so the weights, the same
            on machines with more cores.
        version: raised when the training code changes what comes out.
    """

    network: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[Stage, ...]
    seed: int = 0
    threads: int = 1
    version: int = 1


def recipe_of(spec: ModelSpec) -> Recipe:
    """The recipe of a scratch model.

    Raises:
        UserError: the model is not one that is trained here.
    """
    if spec.recipe is None:
        raise UserError(
            f"{spec.name!r} is not trained by a recipe: its weights are published",
            hint="robustbench-shift list models shows which models can be trained",
        )
    recipe: Recipe = resolve(spec.recipe)(spec.name)
    return recipe


def trained_file(spec: ModelSpec, *, data_dir: Path | None = None) -> Path:
    """Where the weights of a scratch model lie once it is trained.

    The name follows from the recipe and from the content of the local copies it trains on: a copy that is
    completed or replaced later means other weights.

    Args:
        data_dir: where local copies lie, if not in the cache.
    """
    recipe = recipe_of(spec)
    identity = digest(recipe)
    contents = _local_contents(recipe, data_dir)
    if contents:
        identity = digest({"recipe": identity, "contents": contents})
    return cache_home() / "models" / spec.name.replace("/", "--") / f"{identity[:SHORT]}.safetensors"


def _local_contents(recipe: Recipe, data_dir: Path | None) -> dict[str, str | None]:
    """Content digests of the splits that are not bundled with the package; None where there is no copy."""
    from shifts.local import read_record
    from shifts.spec import SHIFTS, SOURCES

    contents: dict[str, str | None] = {}
    for stage in recipe.stages:
        source = SOURCES.get(SHIFTS.get(stage.shift).source)
        if not source.bundled:
            record = read_record(source.name, data_dir=data_dir)
            known = None if record is None else record.splits.get(stage.split)
            contents[f"{source.name}/{stage.split}"] = None if known is None else known.content
    return contents
