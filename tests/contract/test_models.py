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
DISTINCT = [
    spec
    for spec in {json.dumps([spec.loader, canonical(spec.arguments)]): spec for spec in ALL}.values()
    if (spec.parameters or 0) <= LARGEST
]
by_architecture = pytest.mark.parametrize("spec", DISTINCT, ids=lambda spec: spec.name)

INPUT_SIZE = {"digits": 16, "cifar10": 32, "toy": 16}  # for models that keep the size of their input


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
    assert spec.label_space == ANY or spec.label_space in LABEL_SPACES
    if isinstance(spec.weights, RemoteFile):
        assert spec.weights.sha256 is not None, "published weights are pinned by their hash"
        assert spec.weights.urls
    if spec.recipe is not None:
        assert all(stage.shift in SHIFTS for stage in recipe_of(spec).stages)


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
    if classifier.head is None:
        assert spec.parameters == 0, "only models without a network have no features"
        return
    features = classifier.features(images(spec, 3))
    assert features.dtype == np.float32
    assert features.shape[0] == 3
    logits = classifier.head(torch.from_numpy(features)).detach().numpy()
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
