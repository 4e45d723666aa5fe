"""Heads fitted to features as stages: trained, kept, loaded and evaluated as any model is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.planning import contestant, plan
from benchmark.runner import Options, run_pass
from benchmark.store import Store
from models_zoo.classifier import TorchClassifier
from models_zoo.feeding import Feed
from models_zoo.loading import load_spec
from models_zoo.recipe import Recipe, Stage, trained_file
from models_zoo.spec import MODELS, ModelSpec
from models_zoo.stage_run import seed_of
from models_zoo.training import train, training_set
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.heads import FeatureSet, head_fit_of
from models_zoo.tuning.methods import METHODS
from models_zoo.tuning.mlp_tuning import TransformedHead
from models_zoo.tuning.nmtune import NMTune
from models_zoo.tuning.on_features import on_features
from models_zoo.tuning.tuned import tuned
from shifts.data import load_shift
from shifts.errors import UnknownNameError
from shifts.spec import SHIFTS


@pytest.fixture(scope="module")
def origin() -> ModelSpec:
    stage = Stage(shift="digits", split="pretrain", epochs=4, learning_rate=3e-3)
    made = Recipe(network="models_zoo.networks.small:cnn", arguments={"width": 4}, stages=(stage,))
    arguments = {"network": made.network, **made.arguments}
    return dataclasses.replace(
        MODELS.get("digits-cnn"), name="origin", recipe=made, arguments=arguments, parameters=None
    )


def network_of(spec: ModelSpec) -> TorchClassifier:
    loaded = load_spec(spec, train(spec), device="cpu")
    assert isinstance(loaded, TorchClassifier)
    return loaded


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_model_that_is_evaluated(method: str, origin: ModelSpec, tmp_path: Path) -> None:
    spec = tuned(origin, [on_features("digits", method)], name=method, threads=1)
    one = contestant(spec, weights=train(spec))
    work = plan([one], [SHIFTS.get("digits")], store=Store(tmp_path))
    (result,) = (found for each in work.passes for found in run_pass(each, options=Options(device="cpu")))
    assert result.status == "ok", result.error
    assert result.accuracy is not None and result.accuracy.value > 0.3


def test_the_layer_is_the_one_fitted_to_the_features_of_the_body(origin: ModelSpec) -> None:
    stage = on_features("digits", "nmtune", share=0.5, epochs=3, scale=1.0)
    spec = tuned(origin, [stage], name="nm", threads=1, seed=4)
    images, labels, classes = training_set(stage, spec.preprocess, seed=4)
    body = network_of(origin)
    features = body.features(list(images))
    head = network_of(spec).head
    assert head is not None and len(labels) in range(240, 260)
    layer = network_of(spec).network.get_submodule("12")
    assert isinstance(layer, TransformedHead)
    by_hand = TransformedHead(features.shape[1], classes, scale=1.0)
    NMTune(epochs=3, scale=1.0).fit(
        by_hand, FeatureSet(features=features, labels=labels, classes=classes), seed=seed_of(4, "head", 0)
    )
    for ours, theirs in zip(by_hand.state_dict().values(), layer.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_the_features_of_a_tuned_model_are_what_its_classifier_sees(origin: ModelSpec) -> None:
    spec = tuned(origin, [on_features("digits", "mlp", epochs=3)], name="m", threads=1)
    images = [load_shift("digits").item(index) for index in range(4)]
    loaded, plain = network_of(spec), network_of(origin)
    layer = loaded.network.get_submodule("12")
    assert isinstance(layer, TransformedHead)
    with torch.no_grad():
        expected = layer.tuned(torch.from_numpy(plain.features(images))).numpy()
    np.testing.assert_allclose(loaded.features(images), expected, rtol=1e-4, atol=1e-5)


def test_gradient_steps_may_follow(origin: ModelSpec) -> None:
    stages = [
        on_features("digits", "nmtune", epochs=2),
        fine_tune("digits", epochs=1, learning_rate=1e-3, batch_size=50),
    ]
    spec = tuned(origin, stages, name="then", threads=1)
    assert network_of(spec).logits([load_shift("digits").item(0)]).shape == (1, 10)


def test_names_and_identities(origin: ModelSpec) -> None:
    with pytest.raises(UnknownNameError, match="no method 'svm'"):
        on_features("digits", "svm")
    files = {
        trained_file(tuned(origin, [on_features("digits", *how)], name="x"))  # type: ignore[arg-type]
        for how in (("lp",), ("mlp",), ("nmtune",), ("nmtune-code",))
    }
    other = trained_file(tuned(origin, [on_features("digits", "nmtune", leading=2)], name="x"))
    assert len(files | {other}) == 5


def test_augmentation_makes_two_views_of_each_image(origin: ModelSpec) -> None:
    """Held to the batches of the feed: view 0 and view 1, 256 images at a time."""
    noise = "models_zoo.sources.digits_models:pixel_noise"
    stage = on_features("digits", "nmtune-code", epochs=2, augment=noise)
    spec = tuned(origin, [stage], name="views", threads=1, seed=4)
    feed = Feed(stage, spec.preprocess, key=(4, 0))
    body = network_of(origin)
    first, second = (
        np.concatenate(
            [
                body.features(list(feed.batch(2 * view + part, index).images))
                for part, index in enumerate((np.arange(256), np.arange(256, 500)))
            ]
        )
        for view in (0, 1)
    )
    assert np.abs(first - second).max() > 0.01
    data = FeatureSet(features=first, views=second, labels=feed.labels, classes=10)
    by_hand = head_fit_of(stage.head_fit)  # type: ignore[arg-type]
    layer = by_hand.build(16, 10)
    by_hand.fit(layer, data, seed=seed_of(4, "head", 0))
    trained = network_of(spec).network.get_submodule("12")
    for ours, theirs in zip(layer.state_dict().values(), trained.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
    plain = tuned(origin, [on_features("digits", "nmtune-code", epochs=2)], name="plain", threads=1, seed=4)
    assert trained_file(plain) != trained_file(spec)
