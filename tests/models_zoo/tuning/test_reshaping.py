"""NMTune's terms while weights are trained: the loss by hand, and what it does to features."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn

from benchmark.spectrum import singular_value_entropy, singular_values
from models_zoo.classifier import TorchClassifier
from models_zoo.loading import load_spec
from models_zoo.networks.small import cnn
from models_zoo.objectives import Batch, CrossEntropy
from models_zoo.processes import Processes
from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from models_zoo.training import Options, train
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.lora import lora
from models_zoo.tuning.nmtune_losses import covariance, dominance
from models_zoo.tuning.reshaping import Reshaping
from models_zoo.tuning.tuned import tuned
from shifts.data import load_shift
from shifts.errors import UserError

HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
QUICK = Options(save_every=math.inf)


def batch(network: nn.Module, *, size: int) -> Batch:
    torch.manual_seed(1)
    return Batch(
        images=torch.randint(0, 256, (12, 16, 16, 3), dtype=torch.uint8),
        targets=torch.arange(12) % 3,
        total=12,
        size=size,
        network=network,
        forward=network,
        preprocess=HALF,
        precision="float32",
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        processes=Processes(),
    )


def gradients(network: nn.Module) -> list[torch.Tensor]:
    found = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    network.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("size", [12, 6])
def test_the_loss_and_its_gradients_by_hand(size: int) -> None:
    """The features are the 16 numbers before the last layer; each pass has terms of its own."""
    torch.manual_seed(0)
    network = cnn(3, width=4).eval()
    given = batch(network, size=size)
    way = Reshaping(covariance=0.3, dominance=0.2, leading=2)
    found, ours = way.backward(given), gradients(network)
    inputs = (given.images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    expected = torch.zeros(())
    for start in range(0, 12, size):
        rows = slice(start, start + size)
        features = network[:-1](inputs[rows])  # type: ignore[index]
        loss = nn.functional.cross_entropy(network[-1](features), given.targets[rows])  # type: ignore[index]
        loss = loss + 0.3 * covariance(features) - 0.2 * dominance(features, leading=2)
        expected = expected + loss * size / 12
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected.detach())
    for one, other in zip(ours, gradients(network), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_without_weights_it_is_the_cross_entropy() -> None:
    torch.manual_seed(0)
    network = cnn(3, width=4).eval()
    plain = CrossEntropy(smoothing=0.1).backward(batch(network, size=12))
    bare = Reshaping(smoothing=0.1, covariance=0.0, dominance=0.0).backward(batch(network, size=12))
    torch.testing.assert_close(plain, bare)
    assert not network[-1]._forward_pre_hooks, "nothing stays on the network"  # type: ignore[index]


def origin() -> ModelSpec:
    stage = Stage(shift="digits-turned", split="pretrain", epochs=1, learning_rate=3e-3)
    made = Recipe(network="models_zoo.networks.small:cnn", arguments={"width": 4}, stages=(stage,))
    return dataclasses.replace(
        MODELS.get("digits-turned-cnn"), name="origin", recipe=made, parameters=None,
        arguments={"network": made.network, **made.arguments},
    )  # fmt: skip


def entropy(spec: ModelSpec) -> float:
    loaded = load_spec(spec, train(spec, options=QUICK), device="cpu")
    assert isinstance(loaded, TorchClassifier)
    shift = load_shift("digits", limit=200)
    return singular_value_entropy(singular_values(loaded.features([shift.item(i) for i in range(200)])))


def test_adapters_and_all_layers_are_trained_by_it_for_new_classes() -> None:
    """From 40 classes to ten; a heavy covariance raises the entropy of the features' singular values."""
    heavy = Augmentation(
        function="models_zoo.tuning.reshaping:Reshaping", parameters={"covariance": 10.0, "dominance": 0.0}
    )
    loop = {"epochs": 6, "learning_rate": 1e-2, "batch_size": 50, "fresh_head": True, "warmup_epochs": 0}
    for way in (lora, fine_tune):
        plain, reshaped = (
            tuned(origin(), [way("digits", objective=one, **loop)], name=f"{way.__name__}-{name}", threads=1)  # type: ignore[operator]
            for name, one in (("plain", None), ("reshaped", heavy))
        )
        assert entropy(reshaped) > entropy(plain) + 0.05


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="weigh 0 or more"):
        Reshaping(dominance=-1.0)
    with pytest.raises(UserError, match="singular values, not 20"):
        Reshaping(leading=20).backward(batch(cnn(3, width=4), size=12))
