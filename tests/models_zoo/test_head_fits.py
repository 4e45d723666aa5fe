"""Last layers fitted to features: what a stage does with them, and both published forms of DFR."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models_zoo.classifier import TorchClassifier
from models_zoo.feeding import Feed, epoch_steps
from models_zoo.loading import load_spec
from models_zoo.recipe import Recipe, Stage
from models_zoo.rehearsal import rehearse
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from models_zoo.training import train
from models_zoo.tuning.dfr import (
    Dfr,
    WeightedDfr,
    balanced_subset,
    dfr,
    folded,
    group_weights,
    standardisation,
)
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.heads import FeatureSet
from models_zoo.tuning.tuned import tuned
from shifts.data import Rows, generator, load_shift
from shifts.errors import UserError
from shifts.perturbations.selections import part

Features = np.ndarray


def origin() -> ModelSpec:
    stage = Stage(shift="digits", split="pretrain", share=0.3, epochs=2, learning_rate=3e-3)
    made = Recipe(network="models_zoo.networks.small:cnn", arguments={"width": 4}, stages=(stage,))
    arguments = {"network": made.network, **made.arguments}
    base = MODELS.get("digits-cnn")
    return dataclasses.replace(base, name="origin", recipe=made, arguments=arguments, parameters=None)


def spurious(n: int, *, seed: int, agree: float) -> FeatureSet:
    """Two classes; feature 0 is the class with much noise, feature 1 the group's with little, which agrees
    with the class at a rate."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    other = np.where(draw.random(n) < agree, labels, 1 - labels)
    features = np.stack([2.0 * labels - 1, 2.0 * other - 1, draw.normal(size=n)], axis=1)
    features += draw.normal(scale=(0.6, 0.2, 1.0), size=(n, 3))
    return FeatureSet(
        features=(features * (1, 5, 30) + (3, -2, 100)).astype(np.float32),
        labels=labels,
        classes=2,
        groups=2 * labels + other,
    )


def accuracies(layer: nn.Linear, data: FeatureSet) -> tuple[float, float]:
    """Accuracy and worst-group accuracy."""
    with torch.no_grad():
        right = layer(torch.from_numpy(data.features)).argmax(dim=1).numpy() == data.labels
    assert data.groups is not None
    return right.mean(), min(right[data.groups == one].mean() for one in np.unique(data.groups))


def test_group_weights_and_subsets_make_groups_count_the_same() -> None:
    groups = np.array([0, 0, 0, 0, 1, 1, 2])
    weights = group_weights(groups)
    assert [weights[groups == one].sum() for one in range(3)] == pytest.approx([7 / 3] * 3)
    rows = balanced_subset(groups, generator(0))
    assert np.bincount(groups[rows]).tolist() == [1, 1, 1]
    others = {tuple(balanced_subset(groups, generator(seed)).tolist()) for seed in range(20)}
    assert len(others) > 3, "which examples is drawn anew"


def test_folding_back_answers_as_on_standardised_features() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(loc=5, scale=3, size=(20, 4)).astype(np.float32)
    features[:, 2] = 7.0  # a constant feature must not divide by zero
    mean, scale = standardisation(features)
    weight, bias = draw.normal(size=(3, 4)), draw.normal(size=3)
    inner, offset = folded(weight, bias, mean=mean, scale=scale)
    np.testing.assert_allclose(features @ inner.T + offset, (features - mean) / scale @ weight.T + bias)


def test_the_weighted_form_is_the_released_code_on_its_data() -> None:
    """Against scikit-learn used as in the released ``reweighting.py``: scaler, weights, C, folding back."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    data = spurious(400, seed=1, agree=0.9)
    layer = nn.Linear(3, 2)
    WeightedDfr().fit(layer, data, seed=0)
    scaler = StandardScaler().fit(data.features)
    assert data.groups is not None
    sizes = np.bincount(data.groups)
    model = LogisticRegression(C=0.001, max_iter=1000).fit(
        scaler.transform(data.features), data.labels, sample_weight=400 / (4 * sizes[data.groups])
    )
    with torch.no_grad():
        probability = layer(torch.from_numpy(data.features)).softmax(dim=1).numpy()
    np.testing.assert_allclose(probability, model.predict_proba(scaler.transform(data.features)), atol=1e-4)


@pytest.mark.parametrize("form", [Dfr(refits=5), WeightedDfr(c=0.1)])
def test_both_forms_raise_the_worst_group_over_a_plain_fit(form: Dfr | WeightedDfr) -> None:
    from sklearn.linear_model import LogisticRegression

    held_out, test = spurious(800, seed=2, agree=0.95), spurious(4000, seed=3, agree=0.5)
    layer = form.build(3, 2)
    assert isinstance(layer, nn.Linear)
    form.fit(layer, held_out, seed=0)
    plain = LogisticRegression(max_iter=5000).fit(held_out.features, held_out.labels)
    right = plain.predict(test.features) == test.labels
    assert test.groups is not None
    before = min(right[test.groups == one].mean() for one in range(4))
    assert accuracies(layer, test)[1] > before + 0.1
    again = form.build(3, 2)
    assert isinstance(again, nn.Linear)
    form.fit(again, held_out, seed=0)
    assert torch.equal(again.weight, layer.weight), "the same data and seed give the same layer"


def test_the_penalty_is_chosen_by_the_worst_group() -> None:
    """With so strong a penalty that nothing is left, every group of one class is wrong: it loses."""
    data = spurious(600, seed=4, agree=0.9)
    assert data.groups is not None
    assert Dfr(penalties=(1e-6, 1.0)).chosen(data, data.groups, seed=0) == 1.0
    assert Dfr(penalties=(1.0, 1e-6)).chosen(data, data.groups, seed=0) == 1.0


def test_more_than_two_classes() -> None:
    draw = np.random.default_rng(5)
    labels = np.arange(300) % 3
    features = (np.eye(3)[labels] * 4 + draw.normal(size=(300, 3))).astype(np.float32)
    data = FeatureSet(features=features, labels=labels, classes=3, groups=np.arange(300) % 6)
    for form in (Dfr(refits=3), WeightedDfr(c=1.0)):
        layer = form.build(3, 3)
        assert isinstance(layer, nn.Linear)
        form.fit(layer, data, seed=0)
        assert accuracies(layer, data)[0] > 0.95


def test_a_class_that_a_subset_lacks_is_rare_there_and_known_from_the_others() -> None:
    draw = np.random.default_rng(7)
    labels = np.repeat([0, 1, 2], [60, 60, 4])
    features = (np.eye(3)[labels] * 6 + draw.normal(size=(124, 3))).astype(np.float32)
    groups = np.where(np.arange(124) % 2, 0, 1)
    groups[labels == 1] = 2
    groups[:3] = 3  # subsets of three of each group seldom have the rare class
    data = FeatureSet(features=features, labels=labels, classes=3, groups=groups)
    layer = nn.Linear(3, 3)
    Dfr(refits=20).fit(layer, data, seed=0)
    assert torch.isfinite(layer.weight).all()
    assert accuracies(layer, data)[0] > 0.9


def test_without_groups_classes_or_enough_examples_it_says_so() -> None:
    data = spurious(40, seed=6, agree=0.5)
    with pytest.raises(UserError, match="groups"):
        WeightedDfr().fit(nn.Linear(3, 2), dataclasses.replace(data, groups=None), seed=0)
    with pytest.raises(UserError, match="class"):
        one_class = dataclasses.replace(data, classes=3)
        WeightedDfr().fit(nn.Linear(3, 3), one_class, seed=0)
    lonely = np.zeros(40, dtype=np.int64)
    lonely[generator(0, "halves").permutation(40)[0]] = 1  # lies in the half to score on
    with pytest.raises(UserError, match="held-out"):
        Dfr().fit(nn.Linear(3, 2), dataclasses.replace(data, groups=lonely), seed=0)
    with pytest.raises(UserError, match="form"):
        dfr("digits", split="train", published="somebody")


def test_a_stage_refits_the_head_on_features_and_nothing_else() -> None:
    start = origin()
    held_out = dfr(
        "digits-tinted", split="train", part=(0.5, 1.0), grouped_by=("tint",), published="cohen-wang", c=0.1
    )
    spec = tuned(start, [held_out], name="refitted", threads=1)
    before, after = (load_spec(one, train(one), device="cpu") for one in (start, spec))
    assert isinstance(before, TorchClassifier)
    assert isinstance(after, TorchClassifier)
    weights, refitted = before.network.state_dict(), after.network.state_dict()
    assert {name for name in weights if not torch.equal(weights[name], refitted[name])} == {
        "12.weight", "12.bias"
    }  # fmt: skip
    feed = Feed(held_out, spec.preprocess, key=(0, 0))
    layer = nn.Linear(16, 10)
    data = FeatureSet(
        features=before.features(torch.from_numpy(feed.images).permute(0, 3, 1, 2)),
        labels=feed.labels, classes=10, groups=feed.groups(),
    )  # fmt: skip
    WeightedDfr(c=0.1).fit(layer, data, seed=0)
    np.testing.assert_allclose(refitted["12.weight"].numpy(), layer.weight.detach().numpy(), atol=1e-4)
    (trial,) = rehearse(spec)
    assert trial.trained == 170, "a linear probe of the head stands in for the fit"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoLayers:
    """A fitted head of more than one layer."""

    width: int = 5

    def build(self, dim: int, classes: int) -> nn.Module:
        return nn.Sequential(nn.Linear(dim, self.width), nn.ReLU(), nn.Linear(self.width, classes))

    def fit(self, head: nn.Module, data: FeatureSet, *, seed: int) -> None:
        with torch.no_grad():
            for value in head.parameters():
                value.fill_(0.5)


def test_a_head_of_several_layers_is_built_loaded_and_tuned_on(tmp_path: Path) -> None:
    from models_zoo.recipe import Augmentation

    fit = Augmentation(function="tests.models_zoo.test_head_fits:TwoLayers", parameters={"width": 7})
    stage = Stage(shift="digits", epochs=1, learning_rate=0.0, head_fit=fit)
    spec = tuned(origin(), [stage], name="two-layers", threads=1)
    classifier = load_spec(spec, train(spec), device="cpu")
    images = [load_shift("digits").item(index) for index in range(3)]
    assert classifier.features(images).shape == (3, 7), "features are what the classifier sees"
    assert classifier.logits(images).shape == (3, 10)
    further = fine_tune("digits", epochs=1, share=0.2, batch_size=50, learning_rate=1e-3, warmup_epochs=0)
    tuned_on = tuned(origin(), [stage, further], name="two-layers-tuned", threads=1)
    assert load_spec(tuned_on, train(tuned_on), device="cpu").logits(images).shape == (3, 10)
    unknown = Augmentation(function="tests.models_zoo.test_head_fits:TwoLayers", parameters={"depth": 7})
    with pytest.raises(UserError, match="depth"):
        train(tuned(origin(), [dataclasses.replace(stage, head_fit=unknown)], name="unknown"))


def test_parts_are_disjoint_and_cover_the_set_with_any_share() -> None:
    whole = Stage(shift="digits", epochs=1, learning_rate=0.1, batch_size=50)
    preprocess = Preprocess()

    def rows(between: tuple[float, float] | None, share: float = 1.0) -> set[int]:
        stage = dataclasses.replace(whole, part=between, share=share)
        return set(Feed(stage, preprocess, key=(3, 0)).rows.tolist())

    first, second = rows((0.0, 0.7)), rows((0.7, 1.0))
    assert not first & second
    assert first | second == rows(None)
    assert len(first) == 350
    images = load_shift("digits-imbalanced").base
    thinned, plain = (
        Feed(dataclasses.replace(whole, shift=name, part=between), preprocess, key=(3, 0))
        for name, between in (("digits-imbalanced", (0.0, 0.5)), ("digits", (0.5, 1.0)))
    )
    ids = [{feed.shift.example_ids[row] for row in feed.rows} for feed in (thinned, plain)]
    assert not ids[0] & ids[1], "also between distributions that are made of one source"
    assert len(ids[1]) == 250 < len(images.ids)
    assert rows((0.0, 0.7), share=0.1) < first
    assert epoch_steps(dataclasses.replace(whole, part=(0.0, 0.7))) == 7
    with pytest.raises(UserError):
        dataclasses.replace(whole, part=(0.7, 0.7))
    with pytest.raises(UserError):
        part(Rows(ids=["a"], labels=np.array([0]), num_classes=1, seed=0), between=(0.5, 0.2))


def test_a_number_of_examples_is_even_over_the_classes_and_nested() -> None:
    stage = Stage(shift="digits-imbalanced", epochs=1, learning_rate=0.1, examples=64)
    more, fewer, others = (
        Feed(dataclasses.replace(stage, examples=number), Preprocess(), key=(seed, 0))
        for number, seed in ((64, 0), (20, 0), (20, 1))
    )
    assert np.bincount(fewer.labels, minlength=10).tolist() == [2] * 10
    counts = np.bincount(more.labels, minlength=10)
    assert (counts.sum(), counts.max() - counts.min()) == (64, 1)
    assert set(fewer.rows.tolist()) < set(more.rows.tolist())
    assert set(others.rows.tolist()) != set(fewer.rows.tolist()), "which ones is drawn by the seed"
    assert len(Feed(dataclasses.replace(stage, examples=9999), Preprocess(), key=(0, 0))) == 310
    with pytest.raises(UserError):
        dataclasses.replace(stage, examples=0)


def test_balanced_draws_show_every_group_as_often() -> None:
    stage = Stage(
        shift="digits-tinted",
        epochs=1,
        learning_rate=0.1,
        batch_size=100,
        balance="groups",
        grouped_by=("tint",),
    )
    feed = Feed(stage, Preprocess(), key=(0, 0))
    groups = feed.groups()
    assert groups is not None
    assert np.bincount(groups).min() < 230, "in the data they are not"
    seen = np.concatenate([feed.order(step) for step in range(10)])
    assert np.bincount(groups[seen]).tolist() == [500, 500]
    np.testing.assert_array_equal(feed.order(7), Feed(stage, Preprocess(), key=(0, 0)).order(7))
    classes = Feed(dataclasses.replace(stage, shift="digits-imbalanced", balance="classes", grouped_by=()),
                   Preprocess(), key=(0, 0))  # fmt: skip
    assert np.ptp(np.bincount(classes.labels[np.concatenate([classes.order(s) for s in range(20)])])) <= 10
    with pytest.raises(UserError, match="hair"):
        Feed(dataclasses.replace(stage, grouped_by=("hair",)), Preprocess(), key=(0, 0))
