"""Compiled networks: the same answers, each with code of its own, nothing left when they go."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models_zoo.classifier import TorchClassifier
from models_zoo.compiling import compiled, weights_held
from models_zoo.spec import MODELS
from shifts.errors import UserError

needs_a_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler on a CPU"
)


def network() -> nn.Sequential:
    """Something with all that freezing works on, whose normalisation does something."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    nn.init.normal_(norm.weight)
    assert norm.running_mean is not None, "it has statistics"
    nn.init.normal_(norm.running_mean)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)
    )


def classifier() -> TorchClassifier:
    layers = network()
    return TorchClassifier(MODELS.get("cifar10-resnet20"), layers, head=layers[-1], device="cpu")


@needs_a_compiler
def test_a_compiled_network_answers_as_before_for_any_number_of_images_and_goes_without_a_trace() -> None:
    from torch._inductor.codecache import PyCodeCache

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (80, 3, 32, 32), dtype=np.uint8))
    model = classifier()
    plain, features = model.logits(images), model.features(images)
    weights = {name: value.clone() for name, value in model.network.state_dict().items()}
    kept, modules = len(PyCodeCache.modules), set(sys.modules)
    assert model.compile(images[:16]) > 0.1
    found = model.logits(images)
    assert np.abs(found - plain).max() < 1e-5
    assert not np.array_equal(found, plain), "normalisation is folded in: other last bits, so it was frozen"
    for number in (1, 5, 16, 17, 40):
        assert np.array_equal(model.logits(images[:number]), found[:number])
    assert np.array_equal(model.features(images), features), "they are not compiled"
    assert all(torch.equal(value, weights[name]) for name, value in model.network.state_dict().items())
    assert not torch._inductor.config.freezing, "what else the program compiles is compiled as it was"
    gone = [weakref.ref(value) for value in model.network.parameters()]
    del model
    gc.collect()
    assert all(one() is None for one in gone)
    assert len(PyCodeCache.modules) == kept
    assert not [name for name in set(sys.modules) - modules if "_inductor" in name and "codecache" in name]


def test_every_network_of_a_class_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    most = 3
    kept = []
    # Set here: what other libraries set it to, which may be a million, is nothing to count up to.
    with torch._dynamo.config.patch(recompile_limit=most), torch.inference_mode():
        for number in range(most + 2):
            layers = nn.Sequential(nn.Linear(4, number + 1), nn.ReLU()).eval()
            kept.append(compiled(layers, device="cpu"))
            inputs = torch.randn(20, 4)
            assert torch.equal(kept[-1](inputs), layers(inputs))
        assert len(graphs) == most + 2
        kept[0](torch.randn(50, 4))
    assert len(graphs) == most + 2, "nor is one of them compiled again"


def test_what_does_not_compile_is_said_and_the_network_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(_graph: Any, _inputs: Any) -> Any:
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    model = classifier()
    images = torch.zeros((16, 3, 32, 32), dtype=torch.uint8)
    plain = model.logits(images)
    with pytest.raises(UserError, match="cannot be compiled here") as raised:
        model.compile(images)
    assert "--compile" in (raised.value.hint or "")
    assert np.array_equal(model.logits(images), plain)
    assert not torch._inductor.config.freezing


def test_a_frozen_network_is_a_second_copy_of_its_weights() -> None:
    assert [weights_held(device) for device in ("cpu", "cuda", "cuda:1", "mps")] == [2, 1, 1, 1]
