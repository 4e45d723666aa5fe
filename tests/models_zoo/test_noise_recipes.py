"""The pre-trainings at full scale: optimiser and loss against timm's, sizes, a few steps on real pairs."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm.loss import BinaryCrossEntropy as TimmLoss
from timm.optim import Lamb as TimmLamb
from torch import nn

from benchmark.cli import run
from models_zoo.feeding import Feed, epoch_steps
from models_zoo.lamb import Lamb
from models_zoo.networks.clip_pair import ClipPair
from models_zoo.objectives import BinaryCrossEntropy
from models_zoo.recipe import recipe_of
from models_zoo.schedules import learning_rates
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.errors import UserError
from shifts.label_noise import LabelNoise

CAPTIONS = ("a cat", "a dog", "a cat", "two birds é")


def test_lamb_is_timms() -> None:
    """With a decayed matrix and an undecayed bias, over steps of changing rate."""
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    groups = [
        [
            {"params": [one.weight], "weight_decay": 0.1},
            {"params": [one.bias], "weight_decay": 0.0},
        ]
        for one in (ours, theirs)
    ]
    pair = Lamb(groups[0], lr=0.0), TimmLamb(groups[1], lr=0.0, max_grad_norm=None)
    for rate in (0.01, 0.1, 0.05, 0.02):
        inputs = torch.randn(5, 4)
        for network, optimiser in zip((ours, theirs), pair, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
            network(inputs).square().mean().backward()
            optimiser.step()
        for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, two)


def test_binary_cross_entropy_is_timms() -> None:
    logits, labels = torch.randn(6, 5), torch.tensor([0, 4, 1, 1, 3, 2])
    for smoothing in (0.0, 0.1):
        ours = BinaryCrossEntropy(smoothing=smoothing)._loss(logits, labels)
        torch.testing.assert_close(ours, TimmLoss(smoothing=smoothing)(logits, labels))


@pytest.mark.parametrize("name", ["imagenet-resnet50-a1", "imagenet-vit-b16-scratch"])
def test_supervised_networks_have_the_declared_size(name: str) -> None:
    from shifts.registry import resolve

    spec = MODELS.get(name)
    with torch.device("meta"):
        network = resolve(recipe_of(spec).network or "")(1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == spec.parameters


def test_the_published_lengths_and_rates() -> None:
    stages = {name: recipe_of(MODELS.get(name)).stages[0] for name in (
        "imagenet-resnet50-a1", "imagenet-vit-b16-scratch", "yfcc15m-clip-rn50", "cc12m-clip-vit-b16"
    )}  # fmt: skip
    found = {name: (one.epochs, one.learning_rate) for name, one in stages.items()}
    assert found == {
        "imagenet-resnet50-a1": (600, 5e-3),
        "imagenet-vit-b16-scratch": (300, 5e-4),
        "yfcc15m-clip-rn50": (32, 5e-4),
        "cc12m-clip-vit-b16": (32, 5e-4),
    }
    one = stages["imagenet-resnet50-a1"]
    rates = learning_rates(one, steps=600 * 626, per_epoch=626)
    assert max(rates) == rates[5 * 626] == 5e-3


def made_shard(folder: Path, number: int, captions: tuple[str | None, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{number:05d}.tar", "w") as tar:
        for row, caption in enumerate(captions):
            pixels = np.random.default_rng(row).integers(0, 256, (20 + row, 24, 3), dtype=np.uint8)
            image = io.BytesIO()
            Image.fromarray(pixels).save(image, "JPEG")
            files = {".jpg": image.getvalue(), ".json": b"{}"}
            if caption is not None:
                files[".txt"] = caption.encode()
            for suffix, content in files.items():
                info = tarfile.TarInfo(f"{number:05d}{row:04d}{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def test_pairs_are_read_as_img2dataset_writes_them(tmp_path: Path) -> None:
    made_shard(tmp_path / "pairs", 0, CAPTIONS[:3])
    made_shard(tmp_path / "pairs", 1, CAPTIONS[3:])
    add("cc12m-pairs", tmp_path / "pairs")
    (stage,) = recipe_of(MODELS.get("cc12m-clip-vit-b16@noise-captions-50")).stages
    assert stage.noise == LabelNoise(kind="captions", rate=0.5)
    assert epoch_steps(stage) == 1
    preprocess = MODELS.get("cc12m-clip-vit-b16").preprocess
    feed = Feed(stage, preprocess, key=(0, 0), tokenise=lambda texts: np.array([[len(t)] for t in texts]))
    true = [CAPTIONS[int(name[:5]) * 3 + int(name[5:])] for name in feed.shift.example_ids]
    assert feed.captions is not None and sorted(feed.captions) == sorted(true)
    assert sum(a != b for a, b in zip(feed.captions, true, strict=True)) == 2
    ready = feed.batch(0, feed.order(0))
    assert ready.images.shape == (4, 224, 224, 3)
    assert sorted(ready.targets[:, 0].tolist()) == sorted(map(len, CAPTIONS))


@pytest.mark.parametrize(("captions", "said"), [(("a", None), "no caption"), (("a", " "), "empty")])
def test_pairs_that_lack_a_caption_are_named(
    tmp_path: Path, captions: tuple[str | None, ...], said: str
) -> None:
    made_shard(tmp_path / "pairs", 0, captions)
    with pytest.raises(UserError, match=said) as caught:
        add("yfcc15m-pairs", tmp_path / "pairs")
    assert "000000001" in str(caught.value)


def test_a_pair_of_towers_of_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small architecture in place of the large ones: embeddings, tokens, a file of the library's own."""
    import open_clip

    sizes = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", sizes)
    pair = ClipPair(architecture="tiny")
    tokens = torch.from_numpy(pair.tokenise(["a cat", "two birds"]))
    images, texts = pair(torch.randn(2, 3, 32, 32), tokens)
    assert images.shape == texts.shape == (2, 16)
    assert float(pair.inverse_temperature().detach()) == pytest.approx(1 / 0.07, rel=1e-3)
    from models_zoo.fitting import load_into

    other = open_clip.create_model("tiny", pretrained=None)
    load_into(other, pair.state_dict(), where="a training")
    torch.testing.assert_close(other.encode_text(tokens), texts)


def test_a_contrastive_training_can_be_tried_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "digits-two-tower", "--smoke", "--json"]) == 0
    (stage,) = json.loads(capsys.readouterr().out)["stages"]
    assert stage["examples"] == 2800
    assert stage["losses"][0] == pytest.approx(np.log(8), abs=1.5), "chance among eight captions"
