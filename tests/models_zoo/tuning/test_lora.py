"""Adapters: the formula, the first answer, what is trained, and the plain network that is kept."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from models_zoo.adapters import add_adapters, fold, folded_state
from models_zoo.networks.small import cnn
from models_zoo.networks.vision_transformer import SmallViT
from models_zoo.recipe import LoRA, Recipe, Stage, identity, recipe_of, training_folder
from models_zoo.rehearsal import rehearse
from models_zoo.spec import MODELS, ModelSpec
from models_zoo.training import Options, train
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.lora import lora
from models_zoo.tuning.tuned import tuned
from shifts.errors import UserError

SMALL = {"share": 0.2, "epochs": 1, "batch_size": 50}
QUICK = Options(save_every=math.inf)


def origin() -> ModelSpec:
    """A small network trained for an epoch on the pre-training split."""
    stage = Stage(shift="digits", split="pretrain", learning_rate=3e-3, **SMALL)  # type: ignore[arg-type]
    made = Recipe(network="models_zoo.networks.small:cnn", arguments={"width": 4}, stages=(stage,))
    arguments = {"network": made.network, **made.arguments}
    return dataclasses.replace(
        MODELS.get("digits-cnn"), name="origin", recipe=made, arguments=arguments, parameters=None
    )


def tensors(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def answers(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = network(images)
    return found


def moved(parameters: list[nn.Parameter]) -> None:
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_the_formula_by_hand() -> None:
    """W + (alpha / r) · B A, on a linear layer and on a 1 × 1 and a 3 × 3 convolution seen as matrices."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(2, 4), nn.Linear(4, 5)
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parameters = add_adapters(network, network[4], LoRA(rank=2, alpha=6.0))
    assert [tuple(one.shape) for one in parameters] == [(2, 18), (3, 2), (2, 3), (2, 2), (2, 2), (4, 2)]
    moved(parameters)
    for layer, (a, b) in zip(
        ("0", "1", "3"), zip(parameters[::2], parameters[1::2], strict=True), strict=True
    ):
        weight = before[f"{layer}.weight"]
        expected = torch.empty_like(weight).flatten(1)
        for row in range(len(expected)):
            for column in range(expected.shape[1]):
                product = sum(b[row, k].item() * a[k, column].item() for k in range(2))
                expected[row, column] = float(weight.flatten(1)[row, column]) + 3.0 * product
        found = folded_state(network)[f"{layer}.weight"]
        torch.testing.assert_close(found, expected.view(weight.shape))


NETWORKS = {
    "12": lambda: cnn(10, width=4),
    "head": lambda: SmallViT(10, side=16, patch=8, width=16, depth=2, heads=2),
}


@pytest.mark.parametrize("head", NETWORKS)
def test_the_first_answer_is_unchanged_and_the_folded_one_equal(head: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[head]().eval()
    names = list(network.state_dict())
    images = torch.randn(3, 3, 16, 16)
    plain = answers(network, images)
    parameters = add_adapters(network, network.get_submodule(head), LoRA(rank=3, alpha=5.0))
    assert torch.equal(answers(network, images), plain)
    moved(parameters)
    adapted = answers(network, images)
    assert not torch.allclose(adapted, plain, atol=1e-3)
    kept = folded_state(network)
    assert torch.equal(answers(network, images), adapted), "looking at the folded state leaves the adapters"
    fold(network)
    torch.testing.assert_close(answers(network, images), adapted)
    assert list(network.state_dict()) == names
    assert all(torch.equal(kept[name], value) for name, value in network.state_dict().items())
    assert kept.keys() == set(names)


def test_only_adapters_and_the_head_are_trained() -> None:
    start = origin()
    spec = tuned(
        start, [lora("digits", **SMALL, layers=("4",), rank=2, learning_rate=1e-2)], name="l", threads=1
    )  # type: ignore[arg-type]
    before, after = tensors(train(start)), tensors(train(spec))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"4.weight", "12.weight", "12.bias"}, "batch statistics stay as well"
    difference = (after["4.weight"] - before["4.weight"]).flatten(1)
    assert int(torch.linalg.matrix_rank(difference, atol=1e-6)) == 2
    (trial,) = rehearse(spec)
    assert trial.trained == 2 * (36 + 8) + 16 * 10 + 10
    assert trial.parameters == 29 * 4 + 76 * 4 + 296 * 4 + 170


class Stopped(Exception):
    """In place of a kill."""


def test_stopped_and_resumed_with_kept_epochs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Adapters, then all layers: the state carries adapters, the kept epochs and the end do not."""
    start = origin()
    common = {"share": 0.2, "batch_size": 50}
    stages = [
        lora("digits", epochs=2, **common),  # type: ignore[arg-type]
        fine_tune("digits", epochs=1, learning_rate=1e-3, **common),  # type: ignore[arg-type]
        dataclasses.replace(lora("digits", epochs=3, fresh_head=False, **common), ema=0.5),  # type: ignore[arg-type]
    ]
    spec = tuned(start, stages, name="l", threads=1)
    spec = dataclasses.replace(spec, recipe=dataclasses.replace(recipe_of(spec), keep=(1, 2)))
    whole = train(spec, options=QUICK).read_bytes()
    epochs = [path.read_bytes() for path in sorted(training_folder(spec).glob("epoch-*"))]
    kept = tensors(training_folder(spec) / "epoch-1.safetensors")
    plain = tensors(train(start))
    assert kept.keys() == plain.keys() and len(epochs) == 2
    for after in (7, 25, 50):
        monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path / str(after)))

        def stop(done: int, _total: int, after: int = after) -> None:
            if done == after:
                raise Stopped

        train(start)
        with pytest.raises(Stopped):
            train(spec, options=Options(save_every=0), progress=stop)
        assert train(spec, options=QUICK).read_bytes() == whole
        assert [path.read_bytes() for path in sorted(training_folder(spec).glob("epoch-*"))] == epochs


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"rank": 0}, {"alpha": 0.0}, {"layers": ()}):
        with pytest.raises(UserError, match="adapters need"):
            LoRA(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="trains, not 'head' too"):
        Stage(shift="digits", epochs=1, learning_rate=1e-3, lora=LoRA(), trainable="head")
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(UserError, match="no layer that can have an adapter is called \\*"):
        add_adapters(network, network[2], LoRA())


def test_a_stage_without_adapters_keeps_its_identity() -> None:
    plain = Recipe(network="x:y", stages=(Stage(shift="digits", epochs=1, learning_rate=1e-3),))
    with_adapters = dataclasses.replace(plain, stages=(dataclasses.replace(plain.stages[0], lora=LoRA()),))
    rank = dataclasses.replace(plain, stages=(dataclasses.replace(plain.stages[0], lora=LoRA(rank=4)),))
    assert len({identity(one) for one in (plain, with_adapters, rank)}) == 3
