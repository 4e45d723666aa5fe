"""Tuning as data: probes leave features alone, heads start as they should, models are made of models."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from benchmark.planning import contestant, plan
from benchmark.runner import Options as RunOptions
from benchmark.runner import run_pass
from benchmark.store import Store
from models_zoo.classifier import TorchClassifier
from models_zoo.loading import load_spec
from models_zoo.networks.library import ImageTower, trainable_head
from models_zoo.recipe import Recipe, Stage, recipe_of, trained_file
from models_zoo.spec import MODELS, ModelSpec
from models_zoo.training import Options, train
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.linear_probe import linear_probe
from models_zoo.tuning.lp_ft import lp_ft
from models_zoo.tuning.tuned import tuned
from models_zoo.zero_shot import CosineHead
from shifts.errors import LabelSpaceError, UserError
from shifts.spec import SHIFTS

SMALL = {"share": 0.2, "epochs": 1, "batch_size": 50}


def start(name: str = "origin") -> ModelSpec:
    """A small network trained for an epoch on the pre-training split."""
    stage = Stage(shift="digits", split="pretrain", learning_rate=3e-3, **SMALL)  # type: ignore[arg-type]
    made = Recipe(network="models_zoo.networks.small:cnn", arguments={"width": 4}, stages=(stage,))
    base = MODELS.get("digits-cnn")
    arguments = {"network": made.network, **made.arguments}
    return dataclasses.replace(base, name=name, recipe=made, arguments=arguments, parameters=None)


def tensors(spec: ModelSpec) -> dict[str, torch.Tensor]:
    with safe_open(train(spec), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def test_a_linear_probe_moves_the_head_alone() -> None:
    origin = start()
    probed = tuned(origin, [linear_probe("digits", **SMALL)], name="probed", threads=1)  # type: ignore[arg-type]
    before, after = tensors(origin), tensors(probed)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"12.weight", "12.bias"}


def test_fine_tuning_starts_from_the_weights_that_are_there() -> None:
    origin = start()
    still = fine_tune("digits", learning_rate=0.0, weight_decay=0.0, warmup_epochs=0, **SMALL)  # type: ignore[arg-type]
    unmoved, begun = (
        tensors(tuned(origin, [one], name="tuned", threads=1))
        for one in (still, dataclasses.replace(still, learning_rate=1e-3))
    )
    before = tensors(origin)
    parameters = [name for name in before if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(before[name], unmoved[name]) for name in parameters)
    assert not any(torch.equal(before[name], begun[name]) for name in parameters)


def test_lp_ft_is_evaluated_like_any_model(tmp_path: object) -> None:
    stages = lp_ft("digits-tinted", **SMALL, tune={"learning_rate": 1e-3, "warmup_epochs": 0})
    assert [stage.trainable for stage in stages] == ["head", "all"]
    assert [stage.fresh_head for stage in stages] == [True, False]
    spec = tuned(start(), stages, name="lp-ft", seed=3, threads=1)
    assert spec.training_data == ("digits-tinted", "digits")
    one = contestant(spec, weights=train(spec))
    work = plan([one], [SHIFTS.get("digits-tinted")], store=Store(tmp_path))  # type: ignore[arg-type]
    (result,) = (found for each in work.passes for found in run_pass(each, options=RunOptions(device="cpu")))
    assert result.status == "ok", result.error
    assert result.model == "lp-ft"
    classifier = load_spec(spec, train(spec), device="cpu")
    assert classifier.features([np.zeros((16, 16, 3), np.uint8)]).shape == (1, 16)


def test_where_it_starts_and_what_it_does_name_the_file() -> None:
    origin = start()
    other = dataclasses.replace(origin, recipe=dataclasses.replace(recipe_of(origin), seed=1))
    probe = linear_probe("digits", **SMALL)  # type: ignore[arg-type]
    files = {
        trained_file(tuned(origin, [probe], name="x")),
        trained_file(tuned(other, [probe], name="x")),
        trained_file(tuned(origin, [dataclasses.replace(probe, epochs=2)], name="x")),
        trained_file(tuned(origin, [probe], name="x", seed=1)),
    }
    assert len(files) == 4


def test_a_part_of_the_classes_is_no_target() -> None:
    part = next(shift for shift in SHIFTS if shift.class_indices is not None)
    with pytest.raises(LabelSpaceError, match="part of the classes"):
        tuned("cifar10-resnet20", [linear_probe(part.name)], name="x")


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.flat = nn.Linear(768, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.flat(images.flatten(1))
        return found


def load_zero_shot(spec: ModelSpec, *, weights, label_space, device, precision="float32"):  # type: ignore[no-untyped-def]
    """A zero-shot model in small: the loader of the specs below."""
    torch.manual_seed(0)
    head = CosineHead(nn.functional.normalize(torch.randn(10, 8), dim=-1), scale=20.0)
    network = ImageTower(Tower(), 10, width=8)
    network.head = head  # type: ignore[assignment]
    return TorchClassifier(spec, network, head=head, device=device, precision=precision)


def test_a_zero_shot_head_is_where_fine_tuning_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = dataclasses.replace(
        MODELS.get("digits-cnn"), name="zero-shot", label_space="any", recipe=None,
        loader="tests.models_zoo.test_tuning:load_zero_shot",
    )  # fmt: skip
    monkeypatch.setattr("models_zoo.optimising._weights", lambda *_: None)
    still = fine_tune("digits", learning_rate=0.0, weight_decay=0.0, warmup_epochs=0, **SMALL)  # type: ignore[arg-type]
    spec = tuned(origin, [still], name="zs-ft", threads=1)
    raw = list(np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8))
    zero_shot = load_spec(origin, None, label_space="digits", device="cpu")
    tuned_model = load_spec(spec, train(spec), device="cpu")
    np.testing.assert_allclose(tuned_model.logits(raw), zero_shot.logits(raw), rtol=1e-4, atol=1e-4)
    moved = tensors(tuned(origin, [dataclasses.replace(still, learning_rate=1e-2)], name="moved", threads=1))
    assert not torch.equal(moved["head.weight"], tensors(spec)["head.weight"])
    fresh = tensors(tuned(origin, [dataclasses.replace(still, fresh_head=True)], name="ft", threads=1))
    assert not torch.equal(fresh["head.weight"], tensors(spec)["head.weight"])
    unit = trainable_head(torch.eye(3), scale=2.0, bias=0.5)
    assert unit(torch.tensor([[0.0, 9.0, 0.0]])).tolist() == [[0.5, 2.5, 0.5]]


def test_a_model_without_a_linear_head_is_refused() -> None:
    spec = tuned("toy-oracle", [linear_probe("digits", **SMALL)], name="x")  # type: ignore[arg-type]
    with pytest.raises(UserError):
        train(spec, options=Options())
