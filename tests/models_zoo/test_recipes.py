"""The recipes of published models, on real images: CIFAR-10 as JPEG, the sample of ImageNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import run
from models_zoo import rehearsal
from models_zoo.feeding import Feed, epoch_steps
from models_zoo.recipe import recipe_of
from models_zoo.rehearsal import rehearse
from models_zoo.schedules import learning_rates
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.sources.cifar10 import load_jpeg


@pytest.fixture
def sample(real_data: Path) -> None:
    add("imagenet-train", real_data / "imagenet_sample" / "imagenet_sample_300.tar", partial=True)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("imagenet-vit-b32-scratch", 88_362_216), ("imagenet-resnet50-scratch", 25_557_032)],
)
def test_a_few_steps_on_images_of_imagenet(
    sample: None, monkeypatch: pytest.MonkeyPatch, name: str, parameters: int
) -> None:
    monkeypatch.setattr(rehearsal, "BATCH", 2)
    (trial,) = rehearse(MODELS.get(name), steps=2)
    assert trial.parameters == trial.trained == parameters
    assert trial.examples == 300
    assert 5.0 < trial.losses[0] < 12.0, "an untrained network knows nothing of 1000 classes: ln 1000 is 6.9"
    assert np.isfinite(trial.losses).all()
    assert trial.steps == {"imagenet-vit-b32-scratch": 250_300, "imagenet-resnet50-scratch": 450_450}[name]


def test_the_papers_schedule(sample: None) -> None:
    """Cohen-Wang et al., appendix B.3: 10 of 100 epochs of warm-up to 3e-3, then a cosine to 0."""
    made = recipe_of(MODELS.get("imagenet-vit-b32-scratch"))
    (stage,) = made.stages
    per_epoch = epoch_steps(stage)
    assert per_epoch == 2503  # 1,281,167 images in batches of 512
    rates = learning_rates(stage, steps=100 * per_epoch, per_epoch=per_epoch)
    assert max(rates) == rates[10 * per_epoch] == 3e-3
    assert rates[55 * per_epoch] == pytest.approx(1.5e-3, rel=1e-6)
    assert rates[-1] < 1e-10
    assert made.keep == tuple(range(50, 86))
    feed = Feed(stage, MODELS.get("imagenet-vit-b32-scratch").preprocess, key=(0, 0))
    ready = feed.batch(0, feed.order(0)[:3])
    assert ready.images.shape == (3, 224, 224, 3)


def test_training_images_as_jpeg(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = real_data / "cifar10"
    examples = load_jpeg(folder, "train")
    assert np.bincount(examples.labels).tolist() == [1000] * 10
    assert examples.ids[:2] == ["frog/0266", "truck/1521"]
    assert examples.labels[:2].tolist() == [6, 9]
    assert examples.image(0).shape == (32, 32, 3)
    assert len(load_jpeg(folder, "test").labels) == 10_000
    assert run(["data", "add", "cifar10-jpeg75", str(folder), "--partial"]) == 0
    capsys.readouterr()
    assert run(["train", "cifar10-resnet8-short", "--smoke"]) == 0
    printed = capsys.readouterr().out
    assert "10,000" in printed and "1,173" in printed  # images here; steps of three published epochs
