"""How a scratch model is trained: data, without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from models_zoo.spec import MODELS, LocalFile, ModelSpec
from shifts.digest import SHORT, canonical, digest
from shifts.errors import UserError
from shifts.label_noise import LabelNoise
from shifts.local import cache_home
from shifts.registry import resolve

Optimiser = Literal["adamw", "sgd", "lamb"]
Schedule = Literal["cosine", "triangular", "step", "constant"]
Balance = Literal["none", "classes", "groups"]
CHECKPOINT = "@epoch-"
STATE = "state.safetensors"


# Marks of fields. One that came after weights had been published enters the identity only where it says
# something; one that cannot move a weight never does.
LATER, ASIDE = {"later": True}, {"aside": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """A function that changes training images, with its parameters (see ``models_zoo.augmentations``).

    Attributes:
        function: ``"module:function"``.
        parameters: plain JSON values.
        version: raised whenever the function's output changes.
    """

    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRA:
    """Low-rank adapters beside frozen weights (see ``models_zoo.adapters``).

    Attributes:
        rank: r.
        alpha: the product of the two small matrices counts alpha / r times.
        layers: shell patterns of names of linear layers and convolutions.
    """

    rank: int = 8
    alpha: float = 8.0
    layers: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0.0 or not self.layers:
            raise UserError(
                f"adapters need a rank of 1 or more, an alpha above 0 and layers, not {self.rank}, "
                f"{self.alpha} and {self.layers}",
                hint="rank 8 and alpha 8 are common",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One run over a training distribution.

    Attributes:
        shift: name of a registered shift; its perturbations and selection define the distribution.
        split: the split of its source to train on.
        share: fraction of the examples, stratified by class; smaller shares lie within larger ones.
        epochs: over the whole published split; with a share of 1/k (or a partial copy) the data is seen k
            times as often, so that every share gets the same number of steps (Cohen-Wang et al., arXiv
            2403.00194, appendix B.5).
        learning_rate: the highest of the schedule (``models_zoo.schedules``).
        weight_decay: decoupled for AdamW, added to the gradient for SGD.
        decayed: ``"matrices"`` spares biases and gains of normalisation, as timm does.
        batch_size: images between two steps of the optimiser, however they are split up for memory.
        augment: one change of a batch or several in turn, called as ``function(images, generator)`` on
            uint8 (B, H, W, 3); a plain ``"module:function"`` is one without parameters.
        view: makes the training image of a whole image, in place of the evaluation's resize and crop; called
            as ``function(image, generator, size=…, interpolation=…)``.
        trainable: ``"all"``; ``"head"`` freezes all but the last layer (a linear probe); otherwise a shell
            pattern of parameter names (``layer4.*``).
        fresh_head: whether the last layer starts anew, for the classes of this stage.
        momentum, nesterov: of SGD.
        milestones: epochs after which the schedule ``step`` multiplies the rate by ``factor``.
        clip: the largest norm of the gradient, or None.
        ema: decay of the moving average of the weights that is kept in their place, or None.
        part: of every class of the source only the examples whose rank by a hash of their ids lies between
            these shares; parts that do not overlap have no image in common, whatever the seed and the shift
            that is made of the source. None takes all.
        examples: at most so many, as evenly over the classes as can be, drawn by the seed; a smaller number
            lies within a larger one. None takes all; epochs are then as long as with all.
        head_fit: a last layer fitted at once to the features of the frozen body, in place of gradient steps
            (see ``models_zoo.tuning.heads``); such a stage has one epoch. With augmentation, the features
            are those of two augmented views of each image.
        grouped_by: the columns whose cross product makes the groups that ``balance`` and ``head_fit`` know;
            none takes all of the shift's.
        lora: adapters that are trained with the head while the rest is frozen, and folded into the weights
            when the stage ends; ``trainable`` stays ``"all"``.
        balance: ``"groups"`` / ``"classes"`` draws images with replacement, each group or class as often.
        noise: what is wrong with the labels, captions or images that the stage is given, and with how many.
        objective: what is minimised in place of the cross-entropy of the labels: a class of
            ``models_zoo.objectives.Objective`` with its parameters. Its network need not end in a classifier.
    """

    shift: str
    split: str = "train"
    share: float = 1.0
    epochs: int
    learning_rate: float
    weight_decay: float = 0.05
    batch_size: int = 64
    augment: str | tuple[Augmentation, ...] | None = None
    trainable: str = "all"
    fresh_head: bool = False
    optimiser: Optimiser = field(default="adamw", metadata=LATER)
    momentum: float = field(default=0.9, metadata=LATER)
    nesterov: bool = field(default=False, metadata=LATER)
    decayed: Literal["all", "matrices"] = field(default="all", metadata=LATER)
    schedule: Schedule = field(default="cosine", metadata=LATER)
    warmup_epochs: float = field(default=0, metadata=LATER)
    milestones: tuple[float, ...] = field(default=(), metadata=LATER)
    factor: float = field(default=0.1, metadata=LATER)
    label_smoothing: float = field(default=0.0, metadata=LATER)
    clip: float | None = field(default=None, metadata=LATER)
    ema: float | None = field(default=None, metadata=LATER)
    view: Augmentation | None = field(default=None, metadata=LATER)
    part: tuple[float, float] | None = field(default=None, metadata=LATER)
    examples: int | None = field(default=None, metadata=LATER)
    head_fit: Augmentation | None = field(default=None, metadata=LATER)
    grouped_by: tuple[str, ...] = field(default=(), metadata=LATER)
    balance: Balance = field(default="none", metadata=LATER)
    noise: LabelNoise | None = field(default=None, metadata=LATER)
    objective: Augmentation | None = field(default=None, metadata=LATER)
    lora: LoRA | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0 or self.epochs < 1 or self.batch_size < 1:
            raise UserError("a training stage needs a share in (0, 1], at least one epoch and a batch")
        for value, allowed in (
            (self.optimiser, get_args(Optimiser)),
            (self.schedule, get_args(Schedule)),
            (self.balance, get_args(Balance)),
        ):
            if value not in allowed:
                raise UserError(f"a training stage has {value!r}, which is not one of {', '.join(allowed)}")
        if not 0 <= self.warmup_epochs <= self.epochs or not 0.0 <= self.label_smoothing < 1.0:
            raise UserError("warm-up lies within the epochs, label smoothing in [0, 1)")
        if self.ema is not None and not 0.0 <= self.ema < 1.0:
            raise UserError(f"the decay of the average of the weights must lie in [0, 1), not {self.ema}")
        if self.part is not None and not 0.0 <= self.part[0] < self.part[1] <= 1.0:
            raise UserError(f"a part lies between two shares in [0, 1], the smaller first, not {self.part}")
        if self.examples is not None and self.examples < 1:
            raise UserError(f"a training stage needs at least one example, not {self.examples}")
        if self.lora is not None and self.trainable != "all":
            raise UserError(
                f"adapters and the head are what a stage with adapters trains, not {self.trainable!r} too",
                hint="leave trainable out",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the weights of a model that is trained here.

    Attributes:
        network: ``"module:function"``, called as ``function(num_classes, **arguments)``; None where ``start``
            brings the network.
        threads: torch threads while training on the CPU; a fixed number makes the sums, and so the weights,
            the same on machines with more cores. None leaves them as they are.
        version: raised when the training code changes what comes out.
        start: a registered model, or a declaration, whose network and weights the first stage starts from.
        start_weights: a file to read instead of the start's own weights.
        accelerator: whether a GPU is used where there is one and nobody says otherwise.
        keep: epochs of the last stage after which the weights are kept as a model of their own,
            ``NAME@epoch-50``.
        checkpoint: which of them is meant; None for the end of the training.
    """

    network: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[Stage, ...]
    seed: int = 0
    threads: int | None = 1
    version: int = 1
    start: str | ModelSpec | None = field(default=None, metadata=ASIDE)
    start_weights: str | None = field(default=None, metadata=ASIDE)
    accelerator: bool = field(default=False, metadata=ASIDE)
    keep: tuple[int, ...] = field(default=(), metadata=ASIDE)
    checkpoint: int | None = field(default=None, metadata=ASIDE)

    def __post_init__(self) -> None:
        if not self.stages or (self.network is None) == (self.start is None):
            raise UserError("a recipe needs a stage, and either a network or a model to start from")
        last = self.stages[-1].epochs
        wrong = [epoch for epoch in self.keep if not 1 <= epoch <= last]
        if wrong:
            raise UserError(f"epoch {wrong[0]} cannot be kept: the last stage has {last}")

    @property
    def kept(self) -> tuple[int, ...]:
        """The epochs to keep, among them the one asked for."""
        asked = () if self.checkpoint is None else (self.checkpoint,)
        return tuple(sorted({*self.keep, *asked}))


def identity(recipe: Recipe) -> str:
    """SHA-256 over what a recipe says of the weights; what ``start`` brings comes in ``trained_file``."""
    return digest(_said(recipe))


def _said(value: Recipe | Stage) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for one in dataclasses.fields(value):
        content = getattr(value, one.name)
        if one.metadata.get("aside") or (one.metadata.get("later") and content == one.default):
            continue
        said[one.name] = [_said(stage) for stage in content] if one.name == "stages" else canonical(content)
    return said


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
    if isinstance(spec.recipe, Recipe):
        return spec.recipe
    recipe: Recipe = resolve(spec.recipe)(spec.name)
    return recipe


def start_of(recipe: Recipe) -> ModelSpec | None:
    """The declaration of the model that a recipe starts from."""
    return MODELS.get(recipe.start) if isinstance(recipe.start, str) else recipe.start


def trained_file(spec: ModelSpec, *, data_dir: Path | None = None) -> Path:
    """Where the weights of a scratch model lie once it is trained.

    The name follows from the recipe, from the content of the local copies it trains on and from the model it
    starts from: a copy that is completed or replaced later means other weights.

    Args:
        data_dir: where local copies lie, if not in the cache.
    """
    recipe = recipe_of(spec)
    folder = training_folder(spec, data_dir=data_dir)
    if recipe.checkpoint is None:
        return folder.with_name(f"{folder.name}.safetensors")
    return kept_file(folder, recipe.checkpoint)


def training_folder(spec: ModelSpec, *, data_dir: Path | None = None) -> Path:
    """Where a training leaves its state and the checkpoints it keeps."""
    return _models_folder(spec) / _origin(recipe_of(spec), data_dir)[:SHORT]


def _models_folder(spec: ModelSpec) -> Path:
    """Where the trainings of one name lie, of whatever recipe and data."""
    name = spec.name.removesuffix(f"{CHECKPOINT}{recipe_of(spec).checkpoint}")
    return cache_home() / "models" / name.replace("/", "--").replace(":", "--")


def is_trained(spec: ModelSpec) -> bool:
    """Whether the weights of a scratch model lie in the cache; without its folder, no digest need be made."""
    return _models_folder(spec).is_dir() and trained_file(spec).is_file()


def kept_file(folder: Path, epoch: int) -> Path:
    """The weights kept after an epoch."""
    return folder / f"epoch-{epoch}.safetensors"


def _origin(recipe: Recipe, data_dir: Path | None) -> str:
    """Digest of all that the weights follow from."""
    parts: dict[str, Any] = {"contents": _local_contents(recipe, data_dir), "start": _start(recipe, data_dir)}
    parts = {name: part for name, part in parts.items() if part}
    return digest({"recipe": identity(recipe), **parts}) if parts else identity(recipe)


def _start(recipe: Recipe, data_dir: Path | None) -> str | None:
    spec = start_of(recipe)
    if spec is None:
        return None
    own = None if recipe.start_weights is None else Path(recipe.start_weights)
    if own is not None or isinstance(spec.weights, LocalFile):
        from models_zoo.weights import weights_digest, weights_file

        return spec.digest(weights_digest(weights_file(spec, own)))
    if spec.recipe is not None:
        return spec.digest(digest([_origin(recipe_of(spec), data_dir), recipe_of(spec).checkpoint]))
    return spec.digest(digest(spec.weights))


def _local_contents(recipe: Recipe, data_dir: Path | None) -> dict[str, str | None]:
    """Content digests of the splits that are not bundled with the package; None where there is no copy."""
    from shifts.local import read_record
    from shifts.spec import SHIFTS, SOURCES

    contents: dict[str, str | None] = {}
    sets = [(stage.shift, stage.split) for stage in recipe.stages]
    sets += [
        (stage.noise.other, stage.noise.other_split)
        for stage in recipe.stages
        if stage.noise is not None and stage.noise.other is not None
    ]
    for shift, split in sets:
        source = SOURCES.get(SHIFTS.get(shift).source)
        if not source.bundled:
            record = read_record(source.name, data_dir=data_dir)
            known = None if record is None else record.splits.get(split)
            contents[f"{source.name}/{split}"] = None if known is None else known.content
    return contents
