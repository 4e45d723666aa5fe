"""Training on noise: which labels a stage is given, what the weights' file says, names of noisy models."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from benchmark.cli import run
from models_zoo.feeding import Feed
from models_zoo.recipe import Recipe, Stage, identity, recipe_of, trained_file
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from models_zoo.training import Options, train
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.linear_probe import linear_probe
from models_zoo.variants import variant
from shifts.data import load_shift
from shifts.errors import UnknownNameError, UserError
from shifts.label_noise import LabelNoise, symmetric

HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
TENTH = LabelNoise(kind="symmetric", rate=0.1)


def stage(**changes: object) -> Stage:
    fields = {"shift": "digits", "epochs": 1, "learning_rate": 3e-3, "batch_size": 50}
    return Stage(**{**fields, **changes})  # type: ignore[arg-type]


def tiny(noise: LabelNoise | None) -> ModelSpec:
    made = Recipe(
        network="models_zoo.networks.small:linear",
        arguments={"pixels": 768},
        stages=(stage(), stage(noise=noise)),
    )
    return dataclasses.replace(MODELS.get("digits-logreg"), name="tiny", recipe=made)


def test_a_stage_is_given_wrong_labels_of_the_examples_the_noise_chose() -> None:
    clean, noisy = (Feed(stage(noise=noise), HALF, key=(0, 0)) for noise in (None, TENTH))
    assert clean.noisy is None and noisy.noisy is not None
    assert np.array_equal(clean.images, noisy.images)
    assert (clean.labels != noisy.labels).sum() == 50 == round(0.1 * len(noisy))
    ids = [noisy.shift.example_ids[row] for row in noisy.rows]
    expected = symmetric(ids, clean.labels, num_classes=10, rate=0.1)
    assert np.array_equal(noisy.labels, expected.labels)
    index = noisy.order(3)
    assert np.array_equal(noisy.batch(3, index).targets, noisy.labels[index])
    assert np.array_equal(noisy.targets(index), noisy.labels[index])


def test_of_a_share_the_rate_is_the_one_asked_for_and_the_wrong_labels_are_the_same() -> None:
    whole, half = (Feed(stage(noise=TENTH, share=share), HALF, key=(0, 0)) for share in (1.0, 0.5))
    assert half.noisy is not None and half.noisy.rate == 25 / 250
    given = {whole.shift.example_ids[row]: label for row, label in zip(whole.rows, whole.labels, strict=True)}
    true = whole.shift.labels
    both = [
        given[half.shift.example_ids[row]] == label
        for row, label in zip(half.rows, half.labels, strict=True)
        if label != true[row] and given[half.shift.example_ids[row]] != true[row]
    ]
    assert len(both) > 15 and all(both)


def test_images_of_another_set_come_in_under_the_labels_that_are_there() -> None:
    noise = LabelNoise(kind="foreign", rate=0.2, other="digits-coloured", other_split="pretrain")
    clean, mixed = (Feed(stage(noise=one), HALF, key=(0, 0), whole=False) for one in (None, noise))
    assert np.array_equal(clean.labels, mixed.labels)
    changed = (clean.images != mixed.images).any(axis=(1, 2, 3))
    assert mixed.noisy is not None and np.array_equal(changed, mixed.noisy.changed)
    assert changed.sum() == 100
    other = load_shift("digits-coloured")
    spec = dataclasses.replace(other.spec, split="pretrain")
    from shifts.data import Shift, load_examples

    other = Shift(spec, load_examples("digits-turned", "pretrain"), content="")
    place = int(np.flatnonzero(changed)[0])
    assert np.array_equal(mixed.images[place], other.item(int(mixed.noisy.foreign[place])))


def test_noise_in_captions_needs_captions() -> None:
    with pytest.raises(UserError, match="has none"):
        Feed(stage(noise=LabelNoise(kind="captions", rate=0.1)), HALF, key=(0, 0))


def test_noise_moves_the_identity_and_its_absence_does_not() -> None:
    spec = tiny(None)
    plain = recipe_of(spec)
    assert identity(recipe_of(tiny(TENTH))) != identity(plain)
    assert identity(recipe_of(tiny(dataclasses.replace(TENTH, seed=1)))) != identity(recipe_of(tiny(TENTH)))
    assert trained_file(MODELS.get("digits-cnn")).name == "0dfc2890.safetensors"


def test_the_weights_say_what_the_noise_came_to() -> None:
    path = train(tiny(LabelNoise(kind="asymmetric", rate=0.3)), options=Options(save_every=math.inf))
    with safe_open(path, framework="pt") as file:
        (record,) = json.loads(file.metadata()["robustbench_shift"])["noise"]
    assert record["stage"] == 1 and record["kind"] == "asymmetric"
    assert record["rate"] == record["realised"] == 0.3
    assert record["realised_by_class"] == [0.3] * 10, "15 of 50 of each class"
    clean = train(dataclasses.replace(tiny(None), name="clean"), options=Options(save_every=math.inf))
    with safe_open(clean, framework="pt") as file:
        assert "noise" not in json.loads(file.metadata()["robustbench_shift"])


def test_noisy_models_have_names() -> None:
    spec = MODELS.get("digits-cnn@share-50@noise-symmetric-1.25@seed-3")
    (one,) = recipe_of(spec).stages
    assert one.noise == LabelNoise(kind="symmetric", rate=0.0125, seed=3)
    assert spec.name == "digits-cnn@share-50@noise-symmetric-1.25@seed-3"
    assert one.share == 0.5
    foreign = MODELS.get("digits-cnn@noise-foreign-of-digits-coloured-5")
    assert recipe_of(foreign).stages[0].noise == LabelNoise(
        kind="foreign", rate=0.05, other="digits-coloured"
    )
    same = variant(MODELS.get("digits-cnn"), noise=TENTH, seed=4)
    assert same == MODELS.get("digits-cnn@noise-symmetric-10@seed-4")
    with pytest.raises(UserError, match="no noise 'gaussian'"):
        MODELS.get("digits-cnn@noise-gaussian-10")
    with pytest.raises(UserError, match="percentage"):
        MODELS.get("digits-cnn@noise-symmetric")
    with pytest.raises(UnknownNameError):
        MODELS.get("digits-cnn@seed-3@noise-symmetric-10")


def test_the_command_trains_on_noise(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "digits-logreg-f10", "--noise", "symmetric:0.1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "digits-logreg-f10@noise-symmetric-10"
    with safe_open(Path(told["weights"]), framework="pt") as file:
        (record,) = json.loads(file.metadata()["robustbench_shift"])["noise"]
    assert record["realised"] == 0.1
    assert run(["train", "digits-logreg-f10", "--noise", "symmetric"]) == 2
    assert "symmetric:0.1" in capsys.readouterr().err


def test_what_a_model_is_tuned_on_can_be_noisy() -> None:
    assert fine_tune("digits", noise=TENTH).noise == linear_probe("digits", noise=TENTH).noise == TENTH
