"""Fine-tuned classifiers: a planted mixture is taken apart, and the answer is the same twice."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.planning import contestant
from benchmark.studies.support_planted import mixture_spec
from benchmark.support_tuning import Tuning, fine_tuned_ratio
from models_zoo.recipe import Recipe, Stage
from models_zoo.spec import MODELS
from models_zoo.training import train
from shifts.data import Shift, load_examples, load_shift
from shifts.local import recorded_content
from shifts.spec import SOURCES

TUNING = Tuning(epochs=2, rates=(1e-3,), flip=0.0)


def untrained_network():  # type: ignore[no-untyped-def]
    """A small network that has hardly learnt anything, with its weights."""
    base = MODELS.get("digits-cnn")
    recipe = Recipe(
        network="models_zoo.networks.small:cnn",
        arguments={"width": 8},
        stages=(Stage(shift="digits", share=0.1, epochs=1, learning_rate=1e-3),),
    )
    spec = dataclasses.replace(
        base, name="eyes", recipe=recipe, arguments={"network": recipe.network, **recipe.arguments}
    )
    return contestant(spec, weights=train(spec))


def test_a_planted_mixture_is_taken_apart_and_the_same_twice() -> None:
    spec = mixture_spec(0)
    content = recorded_content(SOURCES.get(spec.source), spec.split)
    mixture = Shift(spec.limited(300), load_examples(spec.source, spec.split), content=content)
    truth = mixture.group_columns["part"].values == 1
    one, reference = untrained_network(), load_shift("digits", limit=300)
    found, again = (
        fine_tuned_ratio(one, reference, mixture, tuning=TUNING, folds=3, device="cpu") for _ in range(2)
    )
    np.testing.assert_array_equal(found.shift, again.shift)
    inside = found.in_support(0.2)
    assert truth[inside].mean() > 0.95
    assert inside[truth].mean() > 0.95
    assert found.strength == 1e-3


def test_the_command_fine_tunes_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.support_tuning.Tuning", lambda: TUNING)  # the published one takes long
    ask = ["diagnose", "--shift", "digits/pad", "--model", "digits-mlp", "--folds", "2", "--limit", "120"]
    assert run([*ask, "--fine-tune", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["classifier"] == "fine-tuned"
    assert printed["n_shift"] == 120
    assert run([*ask, "--fine-tune"]) == 0
    assert "fine-tuned copies of digits-mlp" in " ".join(capsys.readouterr().out.split())
