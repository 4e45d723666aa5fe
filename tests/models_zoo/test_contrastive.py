"""Contrastive learning: the loss against open_clip's, any split of a batch, captions, resuming, zero-shot."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.loss import ClipLoss
from torch import nn

from models_zoo.contrastive import info_nce
from models_zoo.feeding import Feed
from models_zoo.loading import load_spec
from models_zoo.networks.two_tower import TwoTower
from models_zoo.objectives import objective_of
from models_zoo.recipe import Augmentation, Recipe, Stage, recipe_of
from models_zoo.sources.pretext_models import CAPTION, VOCABULARY
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from models_zoo.training import Options, run_recipe, train
from models_zoo.tuning.linear_probe import linear_probe
from models_zoo.tuning.tuned import tuned
from shifts.data import load_shift
from shifts.errors import UserError
from shifts.label_noise import LabelNoise
from tests.models_zoo.run_together import Pair

HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
CONTRASTIVE = Augmentation(function="models_zoo.contrastive:Contrastive", parameters={"caption": CAPTION})
PAIR = "tests.models_zoo.run_together:Pair"
NOISE = "models_zoo.sources.digits_models:pixel_noise"


def stage(**changes: object) -> Stage:
    fields = {
        "shift": "digits-coloured", "split": "pretrain", "share": 0.1, "epochs": 1, "learning_rate": 3e-3,
        "batch_size": 280, "weight_decay": 0.0, "objective": CONTRASTIVE,
    }  # fmt: skip
    return Stage(**{**fields, **changes})  # type: ignore[arg-type]


def recipe(network: str = PAIR, **arguments: object) -> Recipe:
    return Recipe(network=network, arguments=arguments, stages=(stage(),))


def weights(made: Recipe, **options: object) -> dict[str, torch.Tensor]:
    settings = Options(**{"save_every": math.inf, **options})  # type: ignore[arg-type]
    return run_recipe(made, HALF, options=settings).state_dict()


def two_tower(name: str, **changes: object) -> ModelSpec:
    """The registered model with a shorter training."""
    spec = MODELS.get("digits-two-tower")
    (one,) = recipe_of(spec).stages
    short = dataclasses.replace(one, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(spec, name=name, recipe=dataclasses.replace(recipe_of(spec), stages=(short,)))


def test_the_loss_is_open_clips() -> None:
    torch.manual_seed(0)
    images, texts, scale = torch.randn(7, 5), torch.randn(7, 5), torch.tensor(3.7)
    unit = nn.functional.normalize
    theirs = ClipLoss()(unit(images, dim=-1), unit(texts, dim=-1), scale)
    torch.testing.assert_close(info_nce(images, texts, scale), theirs)


@pytest.mark.parametrize("size", [17, 70, 140])
def test_a_batch_in_passes_has_the_gradient_of_the_whole(size: int) -> None:
    """SGD, so that a gradient twice as large would show; all negatives of the batch, whatever the pass."""
    one = stage(optimiser="sgd", momentum=0.0, learning_rate=0.5)
    made = dataclasses.replace(recipe(), stages=(one,))
    whole, parts = weights(made), weights(made, microbatch=size)
    start = weights(dataclasses.replace(made, stages=(dataclasses.replace(one, learning_rate=0.0),)))
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-3, atol=1e-5)
        assert not torch.equal(tensor, start[name]) or tensor.numel() == 0, name


def test_both_looks_at_a_pass_have_the_same_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    plain = Pair.forward

    def recording(self: Pair, *batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pair = plain(self, *batch)
        seen.append(pair[0].detach())
        return pair

    monkeypatch.setattr(Pair, "forward", recording)
    run_recipe(recipe(dropout=0.5), HALF, options=Options(microbatch=70, steps=1))
    assert len(seen) == 8, "four passes, each looked at twice"
    assert all(torch.equal(first, again) for first, again in zip(seen[:4], seen[4:], strict=True))


def test_batch_statistics_count_once() -> None:
    arguments = {"vocabulary": VOCABULARY, "width": 2, "dim": 8}
    made = recipe("models_zoo.networks.two_tower:TwoTower", **arguments)
    steps = 10
    assert weights(made)["visual.1.num_batches_tracked"] == steps
    assert weights(made, microbatch=140)["visual.1.num_batches_tracked"] == 2 * steps, "one for each pass"


def test_captions_are_true_and_noise_exchanges_them() -> None:
    made = two_tower("x").recipe
    assert isinstance(made, Recipe)
    network = TwoTower(**made.arguments)
    noise = LabelNoise(kind="captions", rate=0.3)
    feeds = [
        Feed(stage(share=1.0, noise=one), HALF, key=(0, 0), tokenise=network.tokenise)
        for one in (None, noise)
    ]
    clean, noisy = feeds
    assert clean.captions is not None and noisy.captions is not None and noisy.noisy is not None
    columns = clean.shift.columns(clean.rows)
    pairs = zip(columns["colour"], columns["class"], strict=True)
    expected = [f"a {colour} {name}" for colour, name in pairs]
    assert clean.captions == expected
    wrong = np.array([a != b for a, b in zip(clean.captions, noisy.captions, strict=True)])
    assert wrong.sum() == 840 == round(0.3 * 2800)
    assert np.array_equal(wrong, noisy.noisy.changed)
    words = ["", *VOCABULARY]
    row = int(np.flatnonzero(wrong)[0])
    assert (
        " ".join(words[token] for token in noisy.targets(np.array([row]))[0] if token) == noisy.captions[row]
    )


def test_wrong_labels_make_wrong_captions() -> None:
    feed = Feed(stage(noise=LabelNoise(kind="symmetric", rate=0.5)), HALF, key=(0, 0))
    assert feed.captions is not None
    names = feed.shift.columns(feed.rows, labels=feed.labels)["class"]
    assert all(caption.endswith(name) for caption, name in zip(feed.captions, names, strict=True))


class Stopped(Exception):
    """In place of a kill."""


def test_stopped_and_resumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = two_tower("resumed", share=0.1, epochs=1, noise=LabelNoise(kind="captions", rate=0.2))
    options = Options(save_every=math.inf, microbatch=60)
    whole = train(spec, options=options).read_bytes()
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path))

    def stop(done: int, total: int) -> None:
        if done == 9:
            raise Stopped

    with pytest.raises(Stopped):
        train(spec, options=dataclasses.replace(options, save_every=0), progress=stop)
    reports: list[int] = []
    found = train(spec, options=options, progress=lambda done, _: reports.append(done))
    assert reports[0] == 9
    assert found.read_bytes() == whole


def test_mixed_precision_learns_the_same_roughly() -> None:
    exact, mixed = weights(recipe()), weights(recipe(), precision="bfloat16")
    for name, tensor in exact.items():
        torch.testing.assert_close(mixed[name], tensor, rtol=0.2, atol=0.05)


def test_it_answers_zero_shot_and_has_features_to_probe() -> None:
    spec = two_tower("zero-shot", epochs=8)
    path = train(spec, options=Options(save_every=math.inf))
    shift = load_shift("digits", limit=300)
    images = [image for batch in shift.batches(300) for image in batch.images]
    model = load_spec(spec, path, device="cpu")
    right = (model.logits(images).argmax(1) == shift.labels).mean()
    assert right > 0.5, "chance is one in ten"
    assert model.features(images[:2]).shape == (2, 32)
    # By hand: cosine of the towers' embeddings.
    network = TwoTower(**recipe_of(spec).arguments)
    from models_zoo.weights import load_state_dict

    network.load_state_dict(load_state_dict(path))
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    tokens = torch.from_numpy(network.tokenise([f"a white {word} upright" for word in words]))
    inputs = (torch.from_numpy(np.stack(images[:5])).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        image, text = network.eval()(inputs, tokens)
        cosine = nn.functional.cosine_similarity(image[:, None], text[None], dim=-1)
    np.testing.assert_allclose(
        model.logits(images[:5]),
        cosine.numpy() * float(network.logit_scale.detach().exp()),
        rtol=1e-3,
        atol=1e-3,
    )
    stages = [linear_probe("digits", epochs=4, learning_rate=0.1, batch_size=64)]
    probe = tuned(spec, stages, name="probe", threads=1, accelerator=False)
    answers = load_spec(probe, train(probe), device="cpu").logits(images)
    assert (answers.argmax(1) == shift.labels).mean() > 0.5


def test_what_cannot_be_is_refused() -> None:
    network = TwoTower(vocabulary=("a", "seven"), width=2, dim=8)
    with pytest.raises(UserError, match="'eight'"):
        network.tokenise(["a eight"])
    with pytest.raises(UserError, match="no text tower"):
        run_recipe(recipe("models_zoo.networks.small:cnn", width=2), HALF)
    other = Augmentation(function="models_zoo.contrastive:Contrastive", parameters={"caption": "a {breed}"})
    with pytest.raises(UserError, match="breed"):
        Feed(stage(objective=other), HALF, key=(0, 0))
    with pytest.raises(UserError, match="no objective"):
        objective_of(stage(objective=Augmentation(function="models_zoo.contrastive:Contrast")))
