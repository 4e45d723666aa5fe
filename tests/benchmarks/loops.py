"""The loops that others evaluate with, over a folder of photographs: what they predict for each.

They run as published: their loader, its default batch size, the network in the layout it is built in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models_zoo.devices import autocast, exact

if TYPE_CHECKING:
    from torch import nn

    from models_zoo.spec import Preprocess

Predicted = dict[str, int]  # by the name of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every loop works with.

    Attributes:
        images: a folder of class folders.
        device, precision: as in ``models_zoo.devices``.
    """

    images: Path
    device: torch.device
    precision: str


def dataloader(network: nn.Module, preprocess: Preprocess, ground: Ground, workers: int) -> Predicted:
    """torchvision's folder and transforms in a ``DataLoader``, 32 images a batch as its references take."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

    assert isinstance(preprocess.resize, int) and preprocess.crop is not None, "torchvision's evaluation"
    transform = Compose(
        [
            Resize(preprocess.resize, InterpolationMode(preprocess.interpolation)),
            CenterCrop(preprocess.crop),
            ToTensor(),
            Normalize(preprocess.mean, preprocess.std),
        ]
    )
    images = ImageFolder(ground.images, transform)
    pinned = ground.device.type == "cuda"
    loader = DataLoader(images, batch_size=32, num_workers=workers, pin_memory=pinned)
    return _named(images.samples, _over(network, loader, ground))


def timm(network: nn.Module, preprocess: Preprocess, ground: Ground, workers: int) -> Predicted:
    """timm's loader with the arguments of its ``validate.py``, 256 images a batch as there."""
    from timm.data import create_dataset, create_loader

    assert isinstance(preprocess.resize, int) and preprocess.crop is not None, "torchvision's evaluation"
    side, on_gpu = preprocess.crop[0], ground.device.type == "cuda"
    images = create_dataset("", root=str(ground.images))
    loader = create_loader(
        images,
        input_size=(3, side, side),
        batch_size=256,
        use_prefetcher=on_gpu,
        interpolation=preprocess.interpolation,
        mean=preprocess.mean,
        std=preprocess.std,
        num_workers=workers,
        crop_pct=side / (preprocess.resize + 0.5),  # it takes the floor of the side over this
        crop_mode="center",
        pin_memory=on_gpu,
        device=ground.device,
        persistent_workers=workers > 0,
    )
    return _named(images.reader.samples, _over(network, loader, ground))


def clip_benchmark(
    network: Any, transform: Any, classes: torch.Tensor, ground: Ground, workers: int
) -> Predicted:
    """CLIP_benchmark's ``run_classification``, 64 images a batch as its command line takes.

    Args:
        network: both towers, as open_clip builds them.
        classes: float32 (D, C), the head.

    Raises:
        ImportError: the package is not installed.
    """
    from clip_benchmark.metrics.zeroshot_classification import run_classification
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    images = ImageFolder(ground.images, transform)
    loader = DataLoader(images, batch_size=64, num_workers=workers)
    with exact():
        logits, _ = run_classification(network, classes, loader, ground.device.type, amp=False)
    return _named(images.samples, logits.argmax(dim=1).tolist())


def _over(network: Callable[[torch.Tensor], torch.Tensor], loader: Any, ground: Ground) -> list[int]:
    found: list[int] = []
    with torch.inference_mode(), exact(), autocast(ground.device, ground.precision):
        for images, _ in loader:
            outputs = network(images.to(ground.device, non_blocking=True))
            found += outputs.argmax(dim=1).tolist()
    return found


def _named(samples: list[tuple[str, int]], classes: list[int]) -> Predicted:
    return {Path(path).stem: predicted for (path, _), predicted in zip(samples, classes, strict=True)}
