"""The trained residual networks on the real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models_zoo.loading import build_model, load_model
from models_zoo.spec import MODELS
from shifts.data import Examples
from shifts.errors import LabelSpaceError, WeightsError
from shifts.sources.cifar10 import load_jpeg

LAYERS = (20, 32, 44, 56)
ACCURACY = {20: 0.8103, 32: 0.8256, 44: 0.8267, 56: 0.8320}
FLOAT16 = 2.0**-11  # relative half step
SUBSET = 500


@pytest.fixture(scope="module")
def examples(real_data: Path) -> Examples:
    return load_jpeg(real_data / "cifar10" / "cifar10_test_jpeg.npz", "test")


def weights(real_data: Path, layers: int) -> Path:
    file = MODELS.get(f"cifar10-resnet{layers}").weights
    assert file is not None
    return real_data / "cifar10" / file.filename


def check(real_data: Path, examples: Examples, layers: int, number: int) -> np.ndarray:
    """Logits of the first images, after a look at the stored ones."""
    model = load_model(f"cifar10-resnet{layers}", weights(real_data, layers), device="cpu")
    images = [examples.image(i) for i in range(number)]
    logits = np.concatenate([model.logits(images[i : i + 250]) for i in range(0, number, 250)])
    with np.load(real_data / "cifar10" / "reference_logits_jpeg_test.npz") as stored:
        reference = stored[f"resnet{layers}"][:number].astype(np.float32)
    np.testing.assert_allclose(logits, reference, rtol=FLOAT16, atol=1e-4)
    return logits


def test_resnet20_reaches_its_accuracy_on_all_images(real_data: Path, examples: Examples) -> None:
    logits = check(real_data, examples, 20, len(examples.labels))
    assert (logits.argmax(1) == examples.labels).mean() == pytest.approx(ACCURACY[20], abs=0.0003)


@pytest.mark.parametrize("layers", LAYERS[1:])
def test_deeper_networks_agree_with_the_stored_logits(
    real_data: Path, examples: Examples, layers: int
) -> None:
    check(real_data, examples, layers, SUBSET)


@pytest.mark.parametrize("layers", LAYERS)
def test_stored_logits_have_the_accuracy_promised(real_data: Path, examples: Examples, layers: int) -> None:
    with np.load(real_data / "cifar10" / "reference_logits_jpeg_test.npz") as stored:
        found = (stored[f"resnet{layers}"].argmax(1) == examples.labels).mean()
    assert found == pytest.approx(ACCURACY[layers], abs=0.0003)


@pytest.mark.parametrize("layers", LAYERS)
def test_both_files_hold_the_same_weights(real_data: Path, examples: Examples, layers: int) -> None:
    images = [examples.image(i) for i in range(4)]
    name = f"cifar10-resnet{layers}"
    pickled = load_model(name, weights(real_data, layers), device="cpu")
    plain = load_model(name, real_data / "cifar10" / f"resnet{layers}.safetensors", device="cpu")
    assert np.array_equal(pickled.logits(images), plain.logits(images))


@pytest.mark.parametrize("layers", LAYERS)
def test_the_number_of_parameters_is_the_declared_one(layers: int) -> None:
    name = f"cifar10-resnet{layers}"
    network = build_model(name, device="cpu").network  # type: ignore[attr-defined]
    assert sum(parameter.numel() for parameter in network.parameters()) == MODELS.get(name).parameters


def test_features_are_what_the_head_sees() -> None:
    model = build_model("cifar10-resnet20", device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    features = torch.from_numpy(model.features(list(images)))
    assert features.shape == (3, 64)
    head = model.network.linear  # type: ignore[attr-defined]
    np.testing.assert_allclose(head(features).numpy(), model.logits(list(images)), rtol=1e-5, atol=1e-5)


def test_weights_of_another_depth_are_refused(real_data: Path) -> None:
    with pytest.raises(WeightsError, match="which the network has not"):
        load_model("cifar10-resnet20", weights(real_data, 32), device="cpu")


def test_other_classes_are_refused(real_data: Path) -> None:
    with pytest.raises(LabelSpaceError):
        load_model("cifar10-resnet20", weights(real_data, 20), label_space="digits", device="cpu")
