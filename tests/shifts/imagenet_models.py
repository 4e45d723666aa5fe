"""A model with ImageNet's 1000 classes that needs no weights: for tests of what is done to its answers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models_zoo.classifier import TorchClassifier
from models_zoo.spec import MODELS, ModelSpec, Preprocess

PLAIN = ModelSpec(
    name="test-linear-1k",
    title="a fixed random linear map of 64 pixels",
    label_space="imagenet-1k",
    preprocess=Preprocess(resize=256, crop=(224, 224)),
    family="unknown",
    training_data=(),
    loader="tests.shifts.imagenet_models:load",
    licence="MIT",
    citation="this project",
    source="computed",
    suite="imagenet-val",
)


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("weight", torch.randn(192, 1000, generator=generator) * 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)
        return (pixels - pixels.mean(1, keepdim=True)) @ self.weight


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    return TorchClassifier(spec, Linear(), device=device, precision=precision)


def register() -> None:
    MODELS.register(PLAIN)
