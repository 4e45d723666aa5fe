"""Photographs and networks to measure with: neither which ones nor their weights change the work."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

SHIFT = "imagenet-val"
SIDE = (500, 375)
_ENOUGH = 32  # photographs that a random network is adjusted to


def encoded(number: int) -> list[bytes]:
    """JPEG files: the sample of ``ROBUSTBENCH_SHIFT_TEST_DATA`` over again, or noise of the usual size."""
    import numpy as np
    from PIL import Image

    real = Path(os.environ.get("ROBUSTBENCH_SHIFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    archive = real / "imagenet_sample" / "imagenet_sample_300.tar"
    if archive.is_file():
        with tarfile.open(archive) as opened:
            files = [opened.extractfile(member) for member in opened if member.name.endswith(".jpg")]
            found = [file.read() for file in files if file is not None]
            return [found[index % len(found)] for index in range(number)]
    draw = np.random.default_rng(0)
    noise = []
    for _ in range(number):
        stream = io.BytesIO()
        pixels = draw.integers(0, 256, (SIDE[1] // 8, SIDE[0] // 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(SIDE).save(stream, "JPEG", quality=90)
        noise.append(stream.getvalue())
    return noise


def validation_set(folder: Path, number: int) -> Path:
    """Photographs in class folders below ``folder/val``, added as a partial set; gives the data folder."""
    from shifts.catalogue import add
    from shifts.labels import LABEL_SPACES

    wnids = LABEL_SPACES.get("imagenet-1k").wnids
    assert wnids is not None, "ImageNet's classes have them"
    for index, data in enumerate(encoded(number)):
        target = folder / "val" / wnids[index % 1000] / f"photograph-{index:05d}.JPEG"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    add(SHIFT, folder / "val", partial=True, data_dir=folder / "data")
    return folder / "data"


def random_weights(name: str, folder: Path) -> Path:
    """A file of random weights of a network, with which it does not answer alike for all photographs."""
    import torch

    from models_zoo.classifier import TorchClassifier
    from models_zoo.loading import build_model
    from models_zoo.preprocessing import normalise, prepare
    from shifts.images import decode

    torch.manual_seed(0)
    model = build_model(name, device="cpu")
    assert isinstance(model, TorchClassifier), "a network"
    images = [decode(data, where="a photograph") for data in encoded(_ENOUGH)]
    _adjust(model.network, normalise(prepare(images, model.spec.preprocess), model.spec.preprocess))
    path = folder / f"{name.rpartition(':')[2]}.pth"
    torch.save(model.network.state_dict(), path)
    return path


def _adjust(network: nn.Module, images: torch.Tensor) -> None:
    """Layers that normalise batches take the statistics of these; the last layer gives 0 in the mean."""
    import torch
    from torch import nn

    modules = list(network.modules())
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches seen
            module.reset_running_stats()
    last = next(module for module in reversed(modules) if isinstance(module, nn.Linear))
    with torch.no_grad():
        nn.init.normal_(last.weight)
        nn.init.zeros_(last.bias)
        network.train()
        network(images)
        network.eval()
        last.bias -= network(images).mean(dim=0)
