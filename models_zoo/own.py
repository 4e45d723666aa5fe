"""Models of the user's own: declared from what can be known, with the rest left to be stated."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.spec import ModelSpec, Preprocess
from models_zoo.training_data import UNKNOWN
from shifts.errors import UserError, WeightsError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from models_zoo.classifier import TorchClassifier

OWN = "the user's own model"
UNDECLARED = ("preprocess", "label_space")


def own_spec(name: str, **fields: Any) -> ModelSpec:
    """A declaration of which nothing is known but how to load it.

    Args:
        fields: what is known beside that; ``preprocess`` and ``label_space`` are left to be stated otherwise.
    """
    unknown: dict[str, Any] = {
        "title": "a model of the user's own",
        "label_space": "",
        "preprocess": Preprocess(),
        "family": "unknown",
        "training_data": (UNKNOWN,),
        "licence": OWN,
        "citation": OWN,
        "source": OWN,
        "suite": "",
        "undeclared": tuple(field for field in UNDECLARED if field not in fields),
    }
    return ModelSpec(name=name, **{**unknown, **fields})


def is_own(spec: ModelSpec) -> bool:
    """Whether a declaration is of a model that nobody else publishes."""
    return spec.source == OWN


def own_weights(spec: ModelSpec, path: Path) -> ModelSpec:
    """A declaration whose weights are a user's own: what the published ones saw says nothing of them."""
    return dataclasses.replace(
        spec,
        family="unknown",
        training_data=(UNKNOWN,),
        recipe=None,
        licence=OWN,
        source=OWN,
        notes=(*spec.notes, f"own weights: {path.name}, not the published ones"),
    )


def name_of(prefix: str, path: Path) -> str:
    """What a file is called in results: ``onnx:my-net`` for ``/home/me/My Net.onnx``."""
    return prefix + (re.sub(r"[^a-z0-9._]+", "-", path.stem.lower()).strip("-") or "model")


def file_given(weights: Path | None, spec: ModelSpec) -> Path:
    """The file, for loaders of models that are nothing without it.

    Raises:
        WeightsError: none was given.
    """
    if weights is None:
        raise WeightsError(f"{spec.name!r} is its file; there is no such network with random weights")
    return weights


def check_input(spec: ModelSpec, size: tuple[int | None, int | None]) -> None:
    """Refuse a preprocess that brings images to another size than the network takes.

    Args:
        size: height and width that the network takes, None where it takes any.

    Raises:
        UserError: names both sizes.
    """
    crop = spec.preprocess.crop
    if crop is None:
        return
    if any(wanted not in (None, given) for wanted, given in zip(size, crop, strict=True)):
        shown = "×".join("any" if wanted is None else str(wanted) for wanted in size)
        raise UserError(
            f"{spec.name!r} takes images of {shown} pixels, the preprocess makes them {crop[0]}×{crop[1]}",
            hint="give the preprocess it was trained with: --preprocess MODEL or FILE.json",
        )


def tried(classifier: TorchClassifier) -> TorchClassifier:
    """The classifier, after it has answered for two black images: a head that does not fit is told here.

    Raises:
        LabelSpaceError: another number of outputs than classes.
    """
    import torch

    crop = classifier.spec.preprocess.crop
    if crop is not None:
        classifier.logits(torch.zeros((2, 3, *crop), dtype=torch.uint8))
    return classifier


def in_batches_of(size: int, images: torch.Tensor, answer: Any) -> torch.Tensor:
    """Answers of a network that takes ``size`` images at a time; the last batch is filled up with black.

    Args:
        answer: images (size, …) → outputs (size, M).
    """
    import torch

    found = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        lacking = size - len(batch)
        if lacking:
            batch = torch.cat([batch, batch.new_zeros((lacking, *batch.shape[1:]))])
        found.append(answer(batch)[: size - lacking])
    return torch.cat(found)


def last_linear(network: nn.Module, outputs: int) -> nn.Module | None:
    """The layer that gives the answers, if it is a linear one: its input is the feature vector.

    Args:
        outputs: how many answers there are.
    """
    from torch import nn

    found = [one for one in network.modules() if isinstance(one, nn.Linear) and one.out_features == outputs]
    return found[-1] if found else None
