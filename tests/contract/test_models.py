"""What every registered model must satisfy; exceptions carry a reason and may only shrink."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models_zoo.classifier import TorchClassifier
from models_zoo.loading import build_model
from models_zoo.preprocessing import prepare
from models_zoo.recipe import recipe_of
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from models_zoo.weights import load_state_dict
from shifts.digest import canonical
from shifts.errors import LabelSpaceError, WeightsError
from shifts.labels import ANY, LABEL_SPACES
from shifts.spec import SHIFTS, RemoteFile

ALL = list(MODELS)
by_name = pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)

# Architectures that differ in a share or a seed only need to be run once; those too large to be built for
# every check are run by the tests of their family (tests/models_zoo), on a small member.
LARGEST = 10_000_000
# Of the libraries that hold thousands, a small member of families that are built differently.
LIBRARIES = [
    "timm:resnet18.a1_in1k",
    "timm:mobilenetv3_small_050.lamb_in1k",
    "timm:vit_tiny_patch16_224.augreg_in21k",  # of 21,843 outputs
    "timm:deit_tiny_distilled_patch16_224.fb_in1k",
    "timm:convnext_atto.d2_in1k",
    "timm:regnetx_002.pycls_in1k",
    "timm:levit_128s.fb_dist_in1k",
    "timm:xcit_nano_12_p16_224.fb_in1k",
    "timm:edgenext_xx_small.in1k",
    "timm:ghostnetv2_100.in1k",
    "timm:starnet_s1.in1k",
    "torchvision:squeezenet1_1",
    "torchvision:googlenet",
    "torchvision:mnasnet0_5",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:regnet_y_400mf",
]
# Why the head of a network is not one linear layer that turns its features into its outputs.
NO_LINEAR_HEAD = {
    "timm:deit_tiny_distilled_patch16_224.fb_in1k": "the mean of two heads, each with its own token",
    "timm:levit_128s.fb_dist_in1k": "the mean of two heads, each behind a norm of its own",
    "torchvision:squeezenet1_1": "a convolution at every place, and the mean over places behind it",
}
DISTINCT = [
    spec
    for spec in {json.dumps([spec.loader, canonical(spec.arguments)]): spec for spec in ALL}.values()
    if (spec.parameters or 0) <= LARGEST
]
DISTINCT += [MODELS.get(name) for name in LIBRARIES]
by_architecture = pytest.mark.parametrize("spec", DISTINCT, ids=lambda spec: spec.name)

INPUT_SIZE = {
    "digits": 16,
    "digits-turned": 16,
    "cifar10": 32,
    "toy": 16,
}  # for models that keep the size of their input


def space_of(spec: ModelSpec) -> str:
    return "digits" if spec.label_space == ANY else spec.label_space


def built(spec: ModelSpec) -> TorchClassifier:
    torch.manual_seed(0)
    classifier = build_model(
        spec.name, label_space=space_of(spec) if spec.label_space == ANY else None, device="cpu"
    )
    assert isinstance(classifier, TorchClassifier)
    return classifier


def images(spec: ModelSpec, number: int) -> list[np.ndarray]:
    side = INPUT_SIZE.get(space_of(spec), 256) if spec.preprocess.crop is None else 256
    return list(np.random.default_rng(0).integers(0, 256, (number, side, side, 3), dtype=np.uint8))


@by_name
def test_declaration(spec: ModelSpec) -> None:
    assert spec.name == spec.name.lower()
    assert spec.licence
    assert spec.citation
    assert spec.source
    assert spec.label_space == ANY or LABEL_SPACES.find(spec.label_space) is not None
    if isinstance(spec.weights, RemoteFile):
        assert spec.weights.sha256 is not None, "published weights are pinned by their hash"
        assert spec.weights.urls
    if spec.recipe is not None:
        # Some are made by their name alone, as synthetic shifts are.
        assert all(SHIFTS.find(stage.shift) is not None for stage in recipe_of(spec).stages)


@by_name
def test_preprocess_survives_json(spec: ModelSpec) -> None:
    raw = json.loads(json.dumps(canonical(spec.preprocess)))
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    assert Preprocess(**fields) == spec.preprocess


@by_architecture
def test_built_without_weights(spec: ModelSpec) -> None:
    network = built(spec).network
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    if spec.parameters is not None:
        assert sum(parameter.numel() for parameter in network.parameters()) == spec.parameters


@by_architecture
def test_logits(spec: ModelSpec) -> None:
    classifier = built(spec)
    raw = images(spec, 5)
    together = classifier.logits(raw)
    assert together.dtype == np.float32
    assert together.shape == (5, len(LABEL_SPACES.get(space_of(spec))))
    assert np.isfinite(together).all()
    np.testing.assert_array_equal(classifier.logits(raw), together)
    for batch in (1, 2):
        split = [classifier.logits(raw[start : start + batch]) for start in range(0, 5, batch)]
        np.testing.assert_allclose(np.concatenate(split), together, atol=1e-5, rtol=1e-5)
    np.testing.assert_array_equal(classifier.logits(prepare(raw, spec.preprocess)), together)


@by_architecture
def test_features(spec: ModelSpec) -> None:
    classifier = built(spec)
    if spec.parameters == 0:
        assert classifier.head is None, "only models without a network have no features"
        return
    features = classifier.features(images(spec, 3))
    assert features.dtype == np.float32
    assert features.ndim == 2
    assert features.shape[0] == 3
    if spec.name in NO_LINEAR_HEAD:
        return
    assert classifier.head is not None
    outputs = classifier.head(torch.from_numpy(features)).detach().numpy()
    logits = classifier._answers(outputs)
    np.testing.assert_allclose(logits, classifier.logits(images(spec, 3)), atol=1e-4, rtol=1e-4)


@by_architecture
def test_other_classes_are_refused(spec: ModelSpec) -> None:
    if spec.label_space == ANY:
        with pytest.raises(LabelSpaceError):
            build_model(spec.name)
    else:
        other = next(space.name for space in LABEL_SPACES if space.name != spec.label_space)
        with pytest.raises(LabelSpaceError, match=other):
            build_model(spec.name, label_space=other)


@by_architecture
def test_the_digest_covers_what_moves_a_logit(spec: ModelSpec) -> None:
    changed = dataclasses.replace(spec.preprocess, mean=(0.1, 0.2, 0.3))
    digests = {
        spec.digest("a"),
        spec.digest("b"),
        dataclasses.replace(spec, version=spec.version + 1).digest("a"),
        dataclasses.replace(spec, preprocess=changed).digest("a"),
    }
    assert len(digests) == 4


class Evil:
    """What a pickle with code in it looks like."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("pwned"),))


def test_weights_load_without_running_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    torch.save({"conv1.weight": Evil()}, path)
    with pytest.raises(WeightsError):
        load_state_dict(path)
    assert not (tmp_path / "pwned").exists()
