"""Devices and precisions: what is promised of their difference, and that nothing around a call moves it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.cli import run
from models_zoo.classifier import CHUNK, TorchClassifier
from models_zoo.devices import exact, pick_device, uploaded
from models_zoo.loading import build_model, load_model, load_spec
from models_zoo.spec import MODELS, Preprocess
from shifts.errors import UserError
from shifts.sources.cifar10 import load_jpeg

# Largest difference of a logit, as a part of the largest logit: as models_zoo/devices.py states it.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.05, "float16": 0.01}

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
NETWORKS = ("cifar10-resnet20", "cifar10-vit-scratch")


def built(name: str, *, device: str = "cpu", precision: str = "float32") -> TorchClassifier:
    torch.manual_seed(0)
    classifier = load_spec(MODELS.get(name), None, device=device, precision=precision)
    assert isinstance(classifier, TorchClassifier)
    return classifier


def images(number: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, 32, 32, 3), dtype=np.uint8))


def difference(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one - two).max() / np.abs(one).max())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_is_near_on_the_cpu(name: str, precision: str) -> None:
    raw = images(8)
    whole = built(name)
    half = built(name, precision=precision)
    assert half.logits(raw).dtype == half.features(raw).dtype == np.float32
    assert 0.0 < difference(whole.logits(raw), half.logits(raw)) < TOLERANCE[precision]
    assert 0.0 < difference(whole.features(raw), half.features(raw)) < TOLERANCE[precision]


def test_bfloat16_answers_alike_on_real_images(real_data: Path) -> None:
    examples = load_jpeg(real_data / "cifar10" / "cifar10_test_jpeg.npz", "test")
    raw = [examples.image(index) for index in range(150)]
    weights = real_data / "cifar10" / "resnet20.safetensors"
    answers = [
        load_model("cifar10-resnet20", weights, device="cpu", precision=precision).logits(raw).argmax(1)
        for precision in ("float32", "bfloat16")
    ]
    assert (answers[0] == answers[1]).mean() > 0.97


@needs_cuda
@pytest.mark.parametrize("precision", list(TOLERANCE))
@pytest.mark.parametrize("name", NETWORKS)
def test_a_gpu_agrees_with_the_cpu(name: str, precision: str) -> None:
    raw = images(2 * CHUNK + 3)
    torch.backends.cuda.matmul.allow_tf32 = True  # what a program around us may have set
    try:
        expected, gpu = built(name), built(name, device="cuda", precision=precision)
        found = gpu.logits(raw)
        assert difference(expected.logits(raw), found) < TOLERANCE[precision]
        assert difference(expected.features(raw), gpu.features(raw)) < TOLERANCE[precision]
        assert np.array_equal(found, gpu.logits(raw)), "the same call gives the same bits"
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    assert gpu.device_name.startswith("cuda (")


@needs_cuda
@pytest.mark.parametrize("precision", list(TOLERANCE))
def test_a_gpu_trains(precision: str) -> None:
    from models_zoo.recipe import recipe_of
    from models_zoo.training import Options, run_recipe

    made = recipe_of(MODELS.get("digits-cnn-e4"))
    preprocess = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    losses: list[float] = []
    options = Options(
        device="cuda", precision=precision, watch=lambda _number, _step, loss: losses.append(float(loss))
    )
    run_recipe(made, preprocess, options=options)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_many_images_are_taken_in_chunks() -> None:
    classifier = built("cifar10-resnet20")
    raw = images(CHUNK + 5)
    together = classifier.logits(raw)
    assert together.shape == (CHUNK + 5, 10)
    np.testing.assert_allclose(together[CHUNK:], classifier.logits(raw[CHUNK:]), rtol=1e-5, atol=1e-5)
    features = classifier.features(raw)
    assert features.shape == (CHUNK + 5, 64)
    np.testing.assert_allclose(features[-5:], classifier.features(raw[-5:]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("side", "sizes"), [(32, [64, 64, 2]), (224, [16] * 8 + [2]), (512, [8] * 16 + [2])])
def test_a_cpu_takes_few_images_at_once(side: int, sizes: list[int]) -> None:
    classifier = built("cifar10-resnet20")
    seen: list[int] = []

    def compute(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return images[:, :, 0, 0]

    batch = torch.zeros((130, 3, 1, 1), dtype=torch.uint8).expand(130, 3, side, side)
    assert classifier.over(batch, compute).shape == (130, 3)
    assert seen == sizes


def test_inside_a_block_products_are_exact_and_outside_nothing_changes() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        before = torch.backends.cudnn.allow_tf32
        with exact():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            assert torch.backends.cudnn.deterministic
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 == before
        seen = []
        classifier = built("cifar10-resnet20")
        classifier.network.register_forward_hook(lambda *_: seen.append(torch.get_float32_matmul_precision()))
        classifier.logits(images(1))
        assert seen == ["highest"]
    finally:
        torch.set_float32_matmul_precision("highest")


def test_uploads_keep_order_and_values() -> None:
    batches = [(torch.full((2,), value), torch.tensor([value])) for value in range(5)]
    found = list(uploaded(batches, torch.device("cpu")))
    assert all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(batches, found, strict=True)
    )


def test_a_device_that_is_not_here_is_refused() -> None:
    assert pick_device("cpu") == "cpu"
    for wrong in ("tpu", "cuda:99" if not torch.cuda.is_available() else "tpu"):
        with pytest.raises(UserError, match="no device"):
            pick_device(wrong)
    with pytest.raises(UserError, match="precision"):
        built("cifar10-resnet20", precision="int8")
    with pytest.raises(UserError, match="no features"):
        build_model("constant", label_space="digits", device="cpu").features(images(1))


def test_device_and_precision_are_recorded(trained_cache: Path, tmp_path: Path) -> None:
    order = ["eval", "--model", "digits-logreg-f10", "--shift", "digits", "--limit", "20", "--device", "cpu"]
    assert run([*order, "--precision", "bfloat16", "--results", str(tmp_path), "--json"]) == 0
    (path,) = tmp_path.rglob("result.json")
    recorded = json.loads(path.read_text())["provenance"]
    assert (recorded["device"], recorded["precision"]) == ("cpu", "bfloat16")
