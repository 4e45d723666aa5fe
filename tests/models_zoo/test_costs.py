"""Costs of trainings: operations by hand and as published, images against the steps of the engine."""

from __future__ import annotations

import dataclasses

import pytest

from models_zoo.costs import _Counted, _counted, split_size, training_cost
from models_zoo.recipe import Augmentation, LoRA, Recipe, Stage, recipe_of
from models_zoo.sources.digits_models import recipe
from models_zoo.spec import MODELS, ModelSpec
from models_zoo.training import Options, run_recipe
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.linear_probe import linear_probe
from models_zoo.tuning.lora import lora
from models_zoo.tuning.on_features import on_features
from models_zoo.tuning.tuned import tuned
from models_zoo.variants import variant
from shifts.errors import UserError


def test_a_linear_model_by_hand() -> None:
    cost = training_cost(MODELS.get("digits-logreg"))
    product = 2 * 16 * 16 * 3 * 10  # a multiplication and an addition for each weight
    assert cost.forward == product
    (stage,) = cost.stages
    assert stage.operations == 2 * product, (
        "the gradient of the weights is one more; of the images there is none"
    )
    assert cost.parameters == stage.trained == 16 * 16 * 3 * 10 + 10
    assert cost.bytes == 4 * cost.parameters


def test_a_resnet_as_published() -> None:
    cost = training_cost(MODELS.get("imagenet-resnet50-scratch"))
    assert cost.forward / 2e9 == pytest.approx(4.09, abs=0.005), "GMACs as torchvision publishes them"
    (stage,) = cost.stages
    assert stage.operations == pytest.approx(3 * cost.forward, rel=0.02)
    steps = 90 * -(-1_281_167 // 256)
    assert cost.images == steps * 256
    assert cost.kept == 1 + 8, "eight checkpoints and the end"


def test_images_are_those_of_the_steps_that_the_engine_takes() -> None:
    made = recipe("digits-cnn")
    short = dataclasses.replace(made, stages=(dataclasses.replace(made.stages[0], epochs=2, share=0.4),))
    spec = dataclasses.replace(MODELS.get("digits-cnn"), recipe=short)
    steps: list[int] = []
    run_recipe(short, spec.preprocess, options=Options(watch=lambda _number, step, _loss: steps.append(step)))
    assert training_cost(spec).images == len(steps) * short.stages[0].batch_size


def test_seeds_shares_and_noise_cost_the_same() -> None:
    spec = MODELS.get("digits-cnn")
    plain = training_cost(spec)
    assert training_cost(variant(spec, seed=3)) == plain
    assert training_cost(variant(spec, share=25)) == plain


def test_features_are_computed_once_or_of_two_views() -> None:
    start = MODELS.get("digits-cnn")
    for augment, images in ((None, 500), ("models_zoo.sources.digits_models:pixel_noise", 1000)):
        stage = on_features("digits", "nmtune-code", augment=augment)
        (cost,) = training_cost(tuned(start, (stage,), name="x", accelerator=False)).stages
        assert cost.images == images


def test_what_is_frozen_is_not_gone_through_backwards() -> None:
    start = MODELS.get("digits-cnn")
    probe = tuned(start, (linear_probe("digits", epochs=2),), name="probe", accelerator=False, threads=1)
    (stage,) = training_cost(probe).stages
    whole = training_cost(start)
    assert stage.trained == 64 * 10 + 10
    assert stage.operations == whole.forward + 2 * 64 * 10


def test_adapters_cost_their_own_product_once_a_step() -> None:
    def with_adapters(batch: int) -> ModelSpec:
        stage = Stage(
            shift="digits", epochs=1, learning_rate=1e-3, batch_size=batch, lora=LoRA(rank=2, layers=("*",))
        )
        return dataclasses.replace(
            MODELS.get("digits-cnn"), recipe=Recipe(start=MODELS.get("digits-cnn"), stages=(stage,))
        )

    few, many = (training_cost(with_adapters(batch)).stages[0].operations for batch in (1, 1000))
    assert few > many > training_cost(MODELS.get("digits-cnn")).forward


def test_a_zero_shot_start_needs_no_prompts() -> None:
    stage = Stage(shift="digits", epochs=1, learning_rate=1e-3)
    spec = MODELS.get("clip-vit-b32")
    made = dataclasses.replace(spec, recipe=Recipe(start=spec, stages=(stage,)), weights=None)
    cost = training_cost(made)
    assert cost.forward / 2e9 == pytest.approx(4.4, abs=0.1), "a ViT-B/32 takes 4.4 GMACs"


def test_what_is_not_published_is_not_known() -> None:
    spec = MODELS.get("imagenet-resnet50-scratch")
    (stage,) = recipe_of(spec).stages
    other = dataclasses.replace(stage, shift="caltech101", split="test")
    cost = training_cost(
        dataclasses.replace(spec, recipe=dataclasses.replace(recipe_of(spec), stages=(other,)))
    )
    assert cost.images is None and cost.operations is None
    assert cost.stages[0].operations > 2e10
    assert split_size("cifar10", "train") == 50_000
    assert split_size("caltech101", "test") is None
    with pytest.raises(UserError, match="how large the network's input is"):
        training_cost(MODELS.get("cifar10-resnet20-scratch"))
    assert recipe_of(MODELS.get("cifar10-resnet20-scratch")).stages[0].shift == "cifar10"


RESHAPING = Augmentation(function="models_zoo.tuning.reshaping:Reshaping")


@pytest.mark.parametrize(
    "stage",
    [
        on_features("digits", "lp"),
        on_features("digits", "nmtune-code"),
        lora("digits"),
        fine_tune("digits", fresh_head=True),
        fine_tune("digits", fresh_head=True, objective=RESHAPING),
    ],
    ids=["probe", "mlp", "adapters", "all", "spectrum"],
)
@pytest.mark.parametrize("start", ["digits-turned-cnn", "digits-two-tower"])
def test_counts_at_two_numbers_of_classes_give_that_of_any_other(start: str, stage: Stage) -> None:
    spec = tuned(MODELS.get(start), [stage], name="costs-classes")
    direct = _counted(_Counted(recipe_of(spec)), spec.preprocess, (16, 16))
    cost = training_cost(spec)
    (one,) = cost.stages
    assert (cost.forward, cost.parameters) == (direct.forward, direct.parameters)
    assert one.trained == direct.stages[0][1]
    assert one.operations == pytest.approx(direct.stages[0][0], rel=1e-12)
