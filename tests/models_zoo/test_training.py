"""Training: the same weights however it is run; recipes whose identity must not move."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from benchmark.cli import run
from models_zoo.feeding import Feed
from models_zoo.optimising import Average
from models_zoo.recipe import Augmentation, Recipe, identity, recipe_of, trained_file, training_folder
from models_zoo.schedules import learning_rates
from models_zoo.spec import MODELS
from models_zoo.training import Options, run_recipe, train
from shifts.digest import canonical, digest
from shifts.errors import UserError
from tests.models_zoo.tiny_trainings import HALF, NOISE, QUICK, model, recipe, stage, weights


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# --- identity -------------------------------------------------------------------------------------------


def test_identity_is_the_one_that_published_weights_were_trained_under() -> None:
    """Computed without this module's rule, from the fields that the first release had."""
    made = recipe_of(MODELS.get("digits-cnn-pretrained"))
    first = ("shift", "split", "share", "epochs", "learning_rate", "weight_decay", "batch_size")
    names = (*first, "augment", "trainable", "fresh_head")
    old = {
        "network": made.network,
        "arguments": canonical(made.arguments),
        "stages": [{name: getattr(one, name) for name in names} for one in made.stages],
        "seed": 0,
        "threads": 1,
        "version": 1,
    }
    assert identity(made) == digest(old)
    assert trained_file(MODELS.get("digits-cnn")).name == "0dfc2890.safetensors"


@pytest.mark.parametrize(
    "changed",
    [{"optimiser": "sgd"}, {"clip": 1.0}, {"schedule": "constant"}, {"ema": 0.9}, {"label_smoothing": 0.1}],
)
def test_what_moves_a_weight_moves_the_identity(changed: dict[str, object]) -> None:
    assert identity(recipe(stage(**changed))) != identity(recipe(stage()))


def test_what_is_kept_on_the_way_does_not() -> None:
    assert identity(recipe(stage(epochs=3), keep=(1, 2))) == identity(recipe(stage(epochs=3)))


def test_impossible_stages_are_refused() -> None:
    for wrong in ({"warmup_epochs": 2}, {"optimiser": "adam"}, {"ema": 1.0}, {"schedule": "linear"}):
        with pytest.raises(UserError):
            stage(**wrong)
    with pytest.raises(UserError, match="cannot be kept"):
        recipe(stage(epochs=2), keep=(3,))
    with pytest.raises(UserError, match="start from"):
        recipe(start="digits-cnn")


# --- schedules ------------------------------------------------------------------------------------------


def test_cosine_is_torchs_to_the_last_bit() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3e-3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=40)
    expected = []
    for _ in range(40):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()
    assert learning_rates(stage(epochs=4), steps=40, per_epoch=10) == expected


def test_schedules_by_hand() -> None:
    common = {"epochs": 4, "learning_rate": 1.0}
    triangle = stage(schedule="triangular", warmup_epochs=1, **common)
    assert learning_rates(triangle, steps=8, per_epoch=2) == pytest.approx(
        [0.5, 1.0, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    )
    steps = stage(schedule="step", milestones=(1, 3), **common)
    assert learning_rates(steps, steps=8, per_epoch=2) == pytest.approx(
        [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]
    )
    assert learning_rates(stage(schedule="constant", **common), steps=3, per_epoch=1) == [1.0, 1.0, 1.0]
    warm = learning_rates(stage(warmup_epochs=2, **common), steps=40, per_epoch=10)
    assert warm[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert warm[20:] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 20)) for step in range(20)])


# --- the loop against one written out by hand ---------------------------------------------------------------


def test_sgd_with_smoothing_and_clipping_equals_the_plain_loop() -> None:
    """The network, its start and the order of the images from here; all else in plain PyTorch."""
    one = stage(
        optimiser="sgd", momentum=0.9, learning_rate=0.1, weight_decay=5e-4, schedule="constant",
        clip=0.5, label_smoothing=0.1,
    )  # fmt: skip
    made = recipe(one)
    ours = weights(made)
    feed = Feed(one, HALF, key=(0, 0))
    network = initial(made)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for step in range(10):
        index = feed.order(step)
        inputs = torch.from_numpy(feed.images[index]).permute(0, 3, 1, 2).float() / 255
        wanted = torch.from_numpy(feed.labels[index])
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(network((inputs - 0.5) / 0.5), wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()
    torch.set_num_threads(before)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-5, atol=1e-6)


def initial(made: Recipe) -> nn.Module:
    """The network before the first step: a run whose every rate is 0 leaves it as it is."""
    frozen = dataclasses.replace(made.stages[0], learning_rate=0.0, optimiser="sgd", clip=None)
    network = nn.Sequential()
    found = run_recipe(dataclasses.replace(made, stages=(frozen,)), HALF, options=Options(steps=1))
    for name, module in found.named_children():
        network.add_module(name, module)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    return network.train().requires_grad_(True)


def test_microbatches_sum_to_the_batch() -> None:
    """Without batch statistics two halves give the gradient of the whole."""
    one = stage(weight_decay=0.0, optimiser="sgd", learning_rate=0.05)
    made = recipe(one, network="models_zoo.networks.small:mlp", arguments={"pixels": 768, "width": 8})
    whole, halves = weights(made), weights(made, microbatch=17)
    for name, tensor in whole.items():
        torch.testing.assert_close(halves[name], tensor, rtol=1e-4, atol=1e-6)
    assert not equal(whole, halves), "sums in another order differ in the last bits"


def test_the_moving_average_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = Average(network, 0.9)
    for value in (2.0, 3.0):
        nn.init.constant_(network.weight, value)
        average.follow(network)
    expected = 0.9 * (0.9 * 1.0 + 0.1 * 2.0) + 0.1 * 3.0
    with average.in_place(network):
        assert float(network.weight.detach()) == pytest.approx(expected)
    assert float(network.weight.detach()) == 3.0
    assert not equal(weights(recipe(stage(ema=0.5))), weights(recipe(stage())))


def test_biases_and_gains_can_be_spared_from_decay() -> None:
    """At a rate of 1 and a gradient of 0 decay alone moves the weights."""
    from models_zoo.optimising import learner

    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    one = stage(optimiser="sgd", learning_rate=1.0, weight_decay=0.5, decayed="matrices")
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimiser = learner(one, list(network.parameters()))
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moved = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"0.weight"}


def test_a_pattern_of_names_trains_these_alone() -> None:
    start = weights(recipe(stage(learning_rate=0.0, weight_decay=0.0)))
    found = weights(recipe(stage(trainable="4.*")))
    moved = {name for name in found if not torch.equal(found[name], start[name])}
    statistics = {name for name in moved if "running" in name or "num_batches" in name}
    assert moved - statistics == {"4.weight"}
    with pytest.raises(UserError, match="no parameter is called"):
        weights(recipe(stage(trainable="layer9.*")))


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    with pytest.raises(UserError, match="diverged"):
        weights(recipe(stage(optimiser="sgd", learning_rate=1e30, epochs=6)))


# --- the same weights however the batches are made --------------------------------------------------------


def test_batches_do_not_depend_on_threads_memory_or_where_one_begins() -> None:
    one = stage(augment=NOISE, shift="digits-tinted")
    memory, stream = (Feed(one, HALF, key=(3, 1), whole=whole) for whole in (True, False))
    assert memory.in_memory and not stream.in_memory
    expected = list(memory.batches(0, 6))
    for feed, start, workers in ((memory, 0, 2), (stream, 0, 0), (stream, 2, 3)):
        for ours, theirs in zip(feed.batches(start, 6, workers=workers), expected[start:], strict=True):
            assert np.array_equal(ours.images, theirs.images)
            assert np.array_equal(ours.targets, theirs.targets)


def test_every_epoch_shows_every_image_once() -> None:
    feed = Feed(stage(share=0.2, batch_size=30), HALF, key=(0, 0))
    n = len(feed)
    seen = np.concatenate([feed.order(step) for step in range(20)])
    for epoch in range(len(seen) // n):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_threads_do_not_move_a_weight_and_the_global_generator_stays() -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    assert equal(weights(recipe()), weights(recipe(), workers=3))
    assert torch.equal(torch.get_rng_state(), state)
    assert not equal(weights(recipe()), weights(recipe(seed=1)))


# --- names of variants, and the command ------------------------------------------------------------------


def test_an_epoch_on_the_way_is_a_model_of_its_own() -> None:
    from models_zoo.variants import variant

    spec = model(recipe(stage(epochs=4), keep=(1, 3)))
    early = variant(spec, epoch=3)
    kept = train(early, options=QUICK)
    assert kept.name == "epoch-3.safetensors"
    assert not trained_file(spec).exists(), "it stops where it was asked to"
    reports: list[int] = []
    whole = train(spec, options=QUICK, progress=lambda done, _: reports.append(done))
    assert reports[0] == 31, "the training of the whole model goes on from the epoch"
    fresh = weights(recipe(stage(epochs=4)))
    with safe_open(whole, framework="pt") as file:
        assert all(torch.equal(file.get_tensor(name), fresh[name]) for name in fresh)
    with safe_open(kept, framework="pt") as file:
        record = json.loads(file.metadata()["robustbench_shift"])
    assert (record["model"], record["epoch"]) == ("tiny", 3)
    with pytest.raises(UserError, match="keeps no weights of epoch 2"):
        variant(spec, epoch=2)


def test_variants_by_name() -> None:
    spec = MODELS.get("digits-cnn@on-digits-tinted@share-50@seed-7")
    (one,) = recipe_of(spec).stages
    assert (one.shift, one.share, recipe_of(spec).seed) == ("digits-tinted", 0.5, 7)
    assert spec.training_data == ("digits-tinted",)
    seven = MODELS.get("imagenet-vit-b32-scratch@epoch-70")
    assert trained_file(seven).parent == training_folder(MODELS.get("imagenet-vit-b32-scratch"))
    for wrong in ("digits-cnn@epoch-3", "digits-cnn@on-cifar10", "cifar10-resnet20@seed-1"):
        with pytest.raises(UserError):
            MODELS.get(wrong)
    with pytest.raises(UserError, match="unknown model"):
        MODELS.get("digits-cnn@bogus")


def test_the_command(trained_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "digits-logreg-f10"
    assert run(["train", name, "--seed", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == f"{name}@seed-4"
    assert run(["eval", "--model", told["model"], "--shift", "digits", "--limit", "20", "--json",
                "--results", str(trained_cache / "results")]) == 0  # fmt: skip
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert (row["model"], row["n"]) == (f"{name}@seed-4", 20)
    assert run(["train", name, "--smoke", "--json"]) == 0
    (tried,) = json.loads(capsys.readouterr().out)["stages"]
    assert tried["parameters"] == tried["trained"] == 7690
    assert (tried["steps"], len(tried["losses"])) == (320, 4)
    for wrong in (
        ["--source", "nowhere"],
        ["--source", "cifar10"],
        ["--device", "tpu"],
        ["--precision", "int8"],
    ):
        assert run(["train", name, "--again", *wrong]) == 2
        assert "Traceback" not in capsys.readouterr().err
    assert run(["train", "cifar10-resnet20"]) == 2
    assert run(["train", "cifar10-resnet20-scratch"]) == 2
    assert "data fetch cifar10" in capsys.readouterr().err


def test_mixed_precision_trains_and_says_so() -> None:
    spec = model(recipe(stage(epochs=2)))
    path = train(spec, options=Options(precision="bfloat16"))
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["robustbench_shift"])["precision"] == "bfloat16"
    exact = weights(recipe(stage(epochs=2)))
    with safe_open(path, framework="pt") as file:
        head = file.get_tensor("12.weight")
    assert head.dtype == torch.float32
    assert not torch.equal(head, exact["12.weight"])
    torch.testing.assert_close(head, exact["12.weight"], rtol=0.0, atol=0.05)


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(UserError, match="no augmentation"):
        weights(recipe(stage(augment=(Augmentation(function="models_zoo.augmentations:blur"),))))
