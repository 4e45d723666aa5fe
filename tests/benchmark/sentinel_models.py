"""Models with a planted fault that no declaration shows, and a zero-shot model that knows prompts."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models_zoo.classifier import TorchClassifier
from models_zoo.sources import cifar_resnets
from models_zoo.spec import ModelSpec, Preprocess
from shifts.data import load_shift
from shifts.labels import LABEL_SPACES

HERE = "tests.benchmark.sentinel_models"
PERMUTED = (3, 7, 1, 9, 0, 2, 8, 5, 6, 4)
BEHIND = (9, 0, 1, 2, 3, 4, 5, 6, 7, 8)


def load_bgr(spec: ModelSpec, **options: object) -> TorchClassifier:
    """A network that was trained on BGR."""
    found = cifar_resnets.load(spec, **options)  # type: ignore[arg-type] # handed through
    weight = found.network.conv1.weight
    weight.data = weight.data.flip(1).contiguous()  # type: ignore[union-attr,operator]
    return found


def load_permuted(spec: ModelSpec, **options: object) -> TorchClassifier:
    """A network whose outputs are in another order."""
    return _reordered(spec, PERMUTED, **options)


def load_behind(spec: ModelSpec, **options: object) -> TorchClassifier:
    """A network whose outputs are one place too far."""
    return _reordered(spec, BEHIND, **options)


def _reordered(spec: ModelSpec, order: tuple[int, ...], **options: object) -> TorchClassifier:
    found = cifar_resnets.load(spec, **options)  # type: ignore[arg-type] # handed through
    head = found.network.linear
    head.weight.data, head.bias.data = head.weight.data[list(order)], head.bias.data[list(order)]  # type: ignore[union-attr,index]
    return found


DIGITS_ZERO_SHOT = ModelSpec(
    name="open_clip:vit-b-32-quickgelu:openai",
    title="nearest mean of the digits, worse with one prompt and without QuickGELU",
    label_space="any",
    preprocess=Preprocess(),
    family="zero-shot",
    training_data=(),
    loader=f"{HERE}:load_zero_shot",
    arguments={"architecture": "ViT-B-32-quickgelu"},
    licence="MIT",
    citation="this project",
    source="computed",
    suite="digits",
)


def load_zero_shot(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    flat = _means()
    lost = 0.0 if spec.arguments["architecture"].endswith("-quickgelu") else 6.0
    templates = LABEL_SPACES.get("digits").templates
    few = 0.0 if spec.arguments.get("templates") in (None, templates) else 5.0

    class Nearest(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            distance = torch.cdist(batch.flatten(1), flat)
            # Noise that depends on the image alone: the same whatever else is in the batch.
            phase = (batch.flatten(1).sum(1, keepdim=True) * 977.0) % 6.283
            return -distance + (lost + few) * torch.sin(phase + torch.arange(10.0) * 1.7)

    return TorchClassifier(spec, Nearest(), device=device, precision=precision)


@cache
def _means() -> torch.Tensor:
    """The mean image of each digit, flat."""
    shift = load_shift("digits")
    images = np.stack([shift.item(row) for row in range(len(shift))]).astype(np.float32) / 255
    means = np.stack([images[shift.labels == label].mean(0) for label in range(10)])
    return torch.from_numpy(means).permute(0, 3, 1, 2).flatten(1)


def with_preprocess(spec: ModelSpec, **changes: object) -> ModelSpec:
    """The declaration with another preprocess."""
    changed = dataclasses.replace(spec.preprocess, **changes)  # type: ignore[arg-type] # checked there
    return dataclasses.replace(spec, preprocess=changed)
