"""Real ImageNet images in the layout of ImageNet-V2, and evaluating them as a user does."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmark.cli import main
from benchmark.predictions import Predictions, read_predictions
from shifts.catalogue import add
from shifts.images import decode
from tests.shifts import imagenet_layouts as layouts

TOP = "imagenetv2-matched-frequency-format-val"


def write_sample(real_data: Path, folder: Path, *, every: int = 15) -> list[tuple[int, Path]]:
    """Write every ``every``-th image of the sample and make it the local copy of ImageNet-V2.

    Returns:
        label and file of each image.
    """
    source = real_data / "imagenet_sample"
    rows = list(csv.DictReader(io.StringIO((source / "imagenet_sample_300.csv").read_text())))[::every]
    with tarfile.open(source / "imagenet_sample_300.tar") as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")}  # type: ignore[union-attr] # files
    items = [layouts.Item(int(row["label"]), "0.jpeg", files[f"{row['key']}.jpg"]) for row in rows]
    add("imagenet-v2", layouts.write_folders(folder, items, top=TOP, folder=str), partial=True)
    return [(item.label, next(folder.rglob(f"{item.label}/0.jpeg"))) for item in items]


def evaluated(model: str, weights: Path, results: Path) -> Predictions:
    """What ``eval --model … --weights …`` stores for ImageNet-V2."""
    command = ["eval", "--model", model, "--weights", str(weights), "--shift", "imagenet-v2"]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(
            "sys.argv", ["robustbench-shift", *command, "--results", str(results), "--device", "cpu"]
        )
        main()
    assert stopped.value.code == 0
    (file,) = results.glob("*/imagenet-v2@*/predictions.parquet")
    return read_predictions(file)


def assert_same(stored: Predictions, labels: list[int], logits: torch.Tensor) -> None:
    """The stored predictions are those of logits (N, 1000), whose rows belong to these labels."""
    rows = {int(one.split("/")[-2]): row for row, one in enumerate(stored.example_ids)}
    order = [rows[label] for label in labels]
    assert len(order) == len(stored.example_ids)
    assert stored.labels[order].tolist() == labels
    best = logits.topk(2, dim=1).values
    assert (best[:, 0] - best[:, 1]).min() > 1e-4, "two classes are equally likely: nothing would be compared"
    assert stored.prediction[order].tolist() == logits.argmax(dim=1).tolist()
    assert len(set(stored.prediction.tolist())) > 3, "one answer for all images would compare nothing"
    probabilities = logits.double().softmax(dim=1).max(dim=1).values.numpy()
    np.testing.assert_allclose(stored.confidence[order], probabilities, atol=1e-5)


def read(path: Path) -> NDArray[np.uint8]:
    return decode(path.read_bytes(), where=path.name)


def batch(images: list[tuple[int, Path]], transform: Callable[[Image.Image], torch.Tensor]) -> torch.Tensor:
    """Some of the images as the library prepares them."""
    return torch.stack([transform(Image.fromarray(read(path))) for _, path in images[:8]])


def spread(network: torch.nn.Module, head: torch.nn.Linear, inputs: torch.Tensor) -> None:
    """Give a random network answers that differ from image to image, as a trained one's do."""
    torch.manual_seed(1)
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0  # take the statistics of these images, so that nothing fades on the way
            norm.train()
        network(inputs)
        network.eval()
        network(inputs)
        hook.remove()
        features = seen[-1]
        head.weight.normal_(0, 1)
        head.weight.mul_(3 / ((features - features.mean(0)) @ head.weight.T).std())
        # What all images have in common would decide every answer.
        head.bias.copy_(-head.weight @ features.mean(0))
