"""What a model is: data, without the weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from shifts.digest import digest
from shifts.errors import UserError
from shifts.registry import Registry
from shifts.spec import RemoteFile

if TYPE_CHECKING:
    from models_zoo.recipe import Recipe

Family = Literal[
    "standard", "more-data", "robustness-intervention", "adversarial", "low-accuracy", "zero-shot", "unknown"
]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
Fit = Literal["squash", "cover", "contain"]
Resizer = Literal["pil", "torchvision"]
Corner = Literal["rounded", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How an image becomes the network's input; applied by ``models_zoo.preprocessing.prepare`` alone.

    Attributes:
        resize: the shorter side in pixels, or a box (height, width), or None to keep the size.
        fit: how an image is brought to a box: ``squash`` gives it the box's size whatever its own aspect,
            ``cover`` and ``contain`` keep the aspect and make it just fill, or just fit into, the box.
        crop: (height, width) of the centre crop, or None.
        corner: of the crop, where it lies on half a pixel: ``rounded`` to the even one, as torchvision does,
            or ``cut`` down, as crops by integer division do.
        fill: colour around an image that is smaller than the crop.
        interpolation: of the resize.
        resizer: ``pil``, what published numbers were measured with; ``torchvision`` resizes tensors with
            antialiasing, which is faster and differs in the last bits.
        mean, std: per channel, of values in [0, 1].
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: Interpolation = "bilinear"
    fit: Fit = "squash"
    fill: tuple[int, int, int] = (0, 0, 0)
    resizer: Resizer = "pil"
    corner: Corner = "rounded"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        for name, allowed in (
            ("interpolation", Interpolation),
            ("fit", Fit),
            ("resizer", Resizer),
            ("corner", Corner),
        ):
            if getattr(self, name) not in get_args(allowed):
                raise UserError(
                    f"unknown {name} {getattr(self, name)!r}", hint=f"one of {', '.join(get_args(allowed))}"
                )
        if self.resizer == "torchvision" and self.interpolation not in ("nearest", "bilinear", "bicubic"):
            raise UserError(f"torchvision resizes no tensors with the interpolation {self.interpolation!r}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UserError("mean and std need three values each, std positive")

    @property
    def geometry(self) -> tuple[Any, ...]:
        """What decides the prepared ``uint8`` batch; models of equal geometry share it."""
        return (self.resize, self.fit, self.crop, self.fill, self.interpolation, self.resizer, self.corner)

    def identity(self) -> dict[str, Any]:
        """What enters a model's digest; what came later than the first digests, only where it is used."""
        later = {"fit": "squash", "fill": (0, 0, 0), "resizer": "pil", "corner": "rounded"}
        return {
            each.name: value
            for each in dataclasses.fields(self)
            if (value := getattr(self, each.name)) != later.get(each.name)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """Weights in a repository of the Hugging Face Hub.

    Attributes:
        repo: ``"owner/name"``.
        filenames: in the order they are tried; the first that the repository has is taken.
        revision: commit, tag or branch; of a branch, the commit is recorded at the first fetch.
    """

    repo: str
    filenames: tuple[str, ...] = ("model.safetensors", "pytorch_model.bin")
    revision: str = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A model that lies in a file of the user's own; its content is its identity, not its path."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a weights file is read; what differs from the default enters the model's digest.

    Attributes:
        ema: take the averaged weights of a checkpoint that holds both.
        lenient: load what fits and say what was left out; never without the classifier head.
        trust_code: the user allows the file to run code.
    """

    ema: bool = False
    lenient: bool = False
    trust_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model that can be loaded by name.

    Attributes:
        label_space: name of the classes of its head, or ``"any"`` for zero-shot models.
        weights: the published file, or None when the weights are trained here (``recipe``) or need none.
        recipe: of a model trained here: the recipe, or ``"module:function"``, called with the model's name.
        training_data: names of the sources (or distributions) it has seen, for contamination and baselines.
        suite: the suite that ``eval`` runs by default.
        head: which outputs answer for which class (``models_zoo.heads``); None where output i is class i.
        loader: ``"module:function"``; called as ``loader(spec, weights=…, label_space=…, device=…,
            precision=…)``, gives a ``models_zoo.classifier.Classifier``; without weights, a random one.
        arguments: plain values the loader needs.
        version: raised when the same weights would give other logits.
        reading: how a weights file is read.
        notes: what a reader of every result has to know.
        undeclared: of a user's own model, the fields that nothing tells and that the user has to state
            (``models_zoo.overrides``) before it can be loaded.
    """

    name: str
    title: str
    label_space: str
    preprocess: Preprocess
    family: Family
    training_data: tuple[str, ...]
    loader: str
    licence: str
    citation: str
    source: str
    suite: str
    weights: RemoteFile | HubFile | LocalFile | None = None
    recipe: str | Recipe | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    head: str | None = None
    version: int = 1
    reading: Reading = field(default_factory=Reading)
    notes: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.family not in get_args(Family):
            raise UserError(
                f"model {self.name!r}: {self.family!r} is not one of {', '.join(get_args(Family))}"
            )

    def digest(self, weights: str | None) -> str:
        """SHA-256 over all that can move a logit.

        Args:
            weights: SHA-256 of the weights file, or None for a model without weights.
        """
        return digest(
            {
                "loader": self.loader,
                "arguments": self.arguments,
                "version": self.version,
                "preprocess": self.preprocess.identity(),
                "label_space": self.label_space,
                "weights": weights,
                **({} if self.head is None else {"head": self.head}),
                **({} if self.reading == Reading() else {"reading": self.reading}),
            }
        )


MODELS: Registry[ModelSpec] = Registry("model", package="models_zoo.sources")
