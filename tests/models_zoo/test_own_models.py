"""Models of the user's own: factories in Python, and what is stated of a model."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models_zoo.loading import load_spec
from models_zoo.overrides import override, read_lines, read_preprocess
from models_zoo.own import own_weights
from models_zoo.spec import MODELS
from shifts.digest import canonical
from shifts.errors import LabelSpaceError, UnknownNameError, UserError
from tests.models_zoo.own_network import PREPROCESS, expected, images, network

__all__ = ["expected", "images", "network"]  # the fixtures, found by their names

MODULE = """
import torch
from tests.models_zoo.own_network import Net

__version__ = "{version}"

def make():
    torch.manual_seed(0)
    net = Net()
    net(torch.randn(64, 3, 16, 16))
    return net

make.preprocess = {preprocess}
make.label_space = "digits"

class Own:
    preprocess, label_space = "digits-cnn", "digits"
    def logits(self, images):
        return [[float(len(images))] * 10] * len(images)

def bare():
    return make()

def odd():
    return 3
odd.preprocess, odd.label_space = "digits-cnn", "digits"
number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A module of the user's own in the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(version: str = "1") -> str:
        preprocess = {name: value for name, value in canonical(PREPROCESS).items() if value is not None}
        (tmp_path / "ownnets.py").write_text(MODULE.format(version=version, preprocess=preprocess))
        sys.modules.pop("ownnets", None)
        return "python:ownnets:"

    return write


def test_a_factory(module: Callable[..., str], images: list[Any], expected: Any, network: nn.Module) -> None:
    spec = MODELS.get(f"{module()}make")
    assert (spec.preprocess, spec.label_space, spec.undeclared) == (PREPROCESS, "digits", ())
    classifier = load_spec(spec, None, device="cpu")
    np.testing.assert_allclose(classifier.logits(images), expected, atol=1e-5)
    assert any("not what it imports" in note for note in classifier.notes)
    torch.save({key: torch.zeros_like(value) for key, value in network.state_dict().items()}, "zero.pth")
    assert not load_spec(spec, Path("zero.pth"), device="cpu").logits(images).any()
    assert MODELS.get(f"{module(version='2')}make").digest(None) != spec.digest(None)
    assert MODELS.get(f"{module()}bare").undeclared == ("preprocess", "label_space")


def test_a_classifier_of_the_users_own(module: Callable[..., str], images: list[Any]) -> None:
    classifier = load_spec(MODELS.get(f"{module()}Own"), None, device="cpu")
    assert classifier.logits(images).tolist() == [[5.0] * 10] * 5
    assert classifier.spec.preprocess == MODELS.get("digits-cnn").preprocess
    classifier.inner.logits = lambda images: [[0.0] * 9] * len(images)  # type: ignore[attr-defined]
    with pytest.raises(LabelSpaceError, match="expected is"):
        classifier.logits(images)


def test_factories_that_are_none(module: Callable[..., str]) -> None:
    module()
    for name, words in (
        ("python:ownnets", "does not name a factory"),
        ("python:nonets:make", "no module 'nonets'"),
        ("python:ownnets:other", "no function or class 'other'"),
        ("python:ownnets:number", "no function or class 'number'"),
    ):
        with pytest.raises(UserError, match=words):
            MODELS.get(name)
    with pytest.raises(UserError, match="gives int"):
        load_spec(MODELS.get("python:ownnets:odd"), None, device="cpu")
    Path("broken.py").write_text("1 / 0")
    with pytest.raises(UserError, match="cannot be imported: ZeroDivisionError"):
        MODELS.get("python:broken:make")
    assert str(Path.cwd()) not in sys.path


def test_overrides_enter_the_digest() -> None:
    spec, clip = MODELS.get("digits-mlp"), MODELS.get("clip-vit-b32")
    changed = [
        override(spec, preprocess=PREPROCESS),
        override(spec, label_space="cifar10"),
        override(spec, lenient=True),
        override(spec, ema=True),
        override(dataclasses.replace(spec, preprocess=PREPROCESS), resizer="torchvision"),
    ]
    assert len({one.digest("x") for one in (spec, *changed)}) == 6
    prompts = [override(clip, templates=["a {}."]), override(clip, class_names=["a", "b"])]
    assert len({one.digest("x") for one in (clip, *prompts)}) == 3
    assert override(spec).digest("x") == spec.digest("x")
    assert override(spec, name="mine").digest("x") == spec.digest("x")
    own = own_weights(MODELS.get("cifar10-resnet20"), Path("/home/me/mine.pth"))
    assert own.training_data == ("unknown",)
    assert "/home/me" not in str(own.notes)


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"label_space": "nowhere"}, UnknownNameError, "nowhere"),
        ({"templates": ["a {}."]}, UserError, "trained head"),
        ({"name": "Mine"}, UserError, "cannot be called"),
        ({"name": "a/b"}, UserError, "cannot be called"),
        ({"name": "digits-cnn"}, UserError, "registered"),
        ({"resizer": "gimp"}, UserError, "gimp"),
    ],
)
def test_overrides_that_cannot_be(how: dict[str, Any], error: type[UserError], words: str) -> None:
    with pytest.raises(error, match=words):
        override(MODELS.get("digits-mlp"), **how)
    with pytest.raises(LabelSpaceError, match="classes of each shift"):
        override(MODELS.get("constant"), label_space="digits")


def test_a_preprocess_by_name_file_or_text(tmp_path: Path) -> None:
    inner = canonical(PREPROCESS)
    for document in (inner, {"preprocess": inner}, {"schema_version": 1, "model": {"preprocess": inner}}):
        (tmp_path / "p.json").write_text(json.dumps(document))
        assert read_preprocess(str(tmp_path / "p.json")) == PREPROCESS
        assert read_preprocess(json.dumps(document)) == PREPROCESS
    assert read_preprocess("digits-cnn") == MODELS.get("digits-cnn").preprocess
    for text, words in (
        ('{"resise": 3}', "no resise"),
        ('{"resize": "256"}', "in pixels"),
        ('{"crop": 224}', "in pixels"),
        ('{"mean": 0.5}', "three numbers"),
        ("{", "not a preprocess in JSON"),
        ("[1]", "no such file"),
        (str(tmp_path / "none.json"), "cannot be read"),
        ("digits-cmm", "did you mean"),
    ):
        with pytest.raises(UserError, match=words):
            read_preprocess(text)


def test_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("\ufeffcat\n\n dog \n", encoding="utf-8")
    assert read_lines(tmp_path / "n.txt") == ("cat", "dog")
    for content, words in ((b"\n", "empty"), (b"\xff\xfe", "UTF-8"), (b"x" * (2**20 + 1), "larger")):
        (tmp_path / "n.txt").write_bytes(content)
        with pytest.raises(UserError, match=words):
            read_lines(tmp_path / "n.txt")
