"""A small network as if it were the user's own, images for it, and what it answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models_zoo.spec import Preprocess

PREPROCESS = Preprocess(resize=20, crop=(16, 16), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


class Net(nn.Module):
    """A digits network with what differs between training and evaluation."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.body(images).flatten(1)))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    made = Net()
    made(torch.randn(64, 3, 16, 16))  # running averages that are not 0 and 1
    return made.eval()


@pytest.fixture(scope="module")
def images() -> list[Any]:
    return list(np.random.default_rng(0).integers(0, 256, (5, 18, 24, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def expected(network: nn.Module, images: list[Any]) -> Any:
    """torchvision's transform and the network itself."""
    from PIL import Image
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.Resize(20),
            transforms.CenterCrop(16),
            transforms.ToTensor(),
            transforms.Normalize(PREPROCESS.mean, PREPROCESS.std),
        ]
    )
    with torch.inference_mode():
        return network(torch.stack([transform(Image.fromarray(image)) for image in images])).numpy()
