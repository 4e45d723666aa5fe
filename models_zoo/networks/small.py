"""Networks for images of a few hundred pixels: linear, one hidden layer, three convolutions."""

from __future__ import annotations

import torch
from torch import nn


def linear(num_classes: int, *, pixels: int) -> nn.Module:
    """Multinomial logistic regression on the pixels (``pixels`` = 3 · H · W)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, num_classes))


def mlp(num_classes: int, *, pixels: int, width: int) -> nn.Module:
    """One hidden layer of ``width`` units."""
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, num_classes))


def cnn(num_classes: int, *, width: int) -> nn.Module:
    """Three 3 × 3 convolutions of width, 2·width and 4·width channels, averaged over space."""
    blocks: list[nn.Module] = []
    channels = 3
    for stage in range(3):
        wide = width * 2**stage
        blocks += [
            nn.Conv2d(channels, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
        ]
        blocks += [nn.MaxPool2d(2)] if stage < 2 else []
        channels = wide
    return nn.Sequential(*blocks, _GlobalAverage(), nn.Linear(channels, num_classes))


class _GlobalAverage(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.mean((2, 3))
