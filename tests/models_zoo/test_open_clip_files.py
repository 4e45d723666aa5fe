"""Weights files and tokenizers of open_clip: what is read, and what is refused."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from models_zoo import open_clip_networks
from models_zoo.open_clip_index import architectures
from models_zoo.spec import Reading
from models_zoo.torchscript import read_tensors
from shifts.errors import WeightsError
from tests.models_zoo.tiny_clips import loaded, pictures, saved, tiny, tiny_architectures

__all__ = ["tiny_architectures"]  # the fixture, used by every test

ARCHITECTURES = architectures()

# --- weights files ---


def test_a_training_checkpoint_and_older_names(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    images = pictures(2)
    for name in ("tiny-clip", "tiny-sigmoid"):
        path = saved(tmp_path, name)
        expected, state = loaded(path, tiny(name)).logits(images), load_file(path)
        trained = {"epoch": 3, "name": "run", "state_dict": {f"module.{key}": v for key, v in state.items()}}
        torch.save(trained, tmp_path / "epoch_3.pt")
        np.testing.assert_array_equal(loaded(tmp_path / "epoch_3.pt", tiny(name)).logits(images), expected)
        plain = {key.removeprefix("text."): value for key, value in state.items()}
        plain["logit_scale"] = plain["logit_scale"].reshape(1)
        torch.save({**plain, "input_resolution": torch.tensor(32)}, tmp_path / "old.pt")
        np.testing.assert_array_equal(loaded(tmp_path / "old.pt", tiny(name)).logits(images), expected)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda state: state.update({"visual.positional_embedding": torch.zeros(50, 64)}),
            "50×64 instead of",
        ),
        (lambda state: state.pop("token_embedding.weight"), "lacks token_embedding.weight"),
        (lambda state: [state.pop(key) for key in list(state) if not key.startswith("visual.")], "lacks"),
        (lambda state: state.update(extra=torch.zeros(1)), "has extra"),
    ],
)
def test_weights_of_another_network_are_refused(change: Any, told: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(saved(tmp_path))
    change(state)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=told):
        loaded(tmp_path / "other.safetensors")


def test_a_lenient_reading_never_makes_up_a_text_tower(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = {key: value for key, value in load_file(saved(tmp_path)).items() if key.startswith("visual.")}
    save_file(state, tmp_path / "image.safetensors")
    lenient = dataclasses.replace(tiny(), reading=Reading(lenient=True))
    with pytest.raises(WeightsError, match="does not fill both towers"):
        loaded(tmp_path / "image.safetensors", lenient)


def as_torchscript(weights: Path, path: Path) -> Any:
    """As OpenAI published it: traced, with a size as a buffer and a tensor that is a plain attribute."""
    network = open_clip.create_model("tiny-clip", pretrained=str(weights)).eval()
    network.register_buffer("input_resolution", torch.tensor(32))
    network.transformer.resblocks[0].mask = torch.ones(3)  # type: ignore[assignment]
    inputs = {
        "encode_image": torch.zeros(1, 3, 32, 32),
        "encode_text": torch.zeros(1, 77, dtype=torch.long),
    }
    with torch.no_grad():
        traced = torch.jit.trace_module(network, inputs, check_trace=False)
    traced.save(str(path))
    return traced


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_archive_is_read_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = saved(tmp_path)
    traced = as_torchscript(plain, tmp_path / "tiny.pt")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the archive was loaded as a program")

    monkeypatch.setattr(torch.jit, "load", forbidden)
    tensors, expected = read_tensors(tmp_path / "tiny.pt"), traced.state_dict()
    assert set(tensors) == set(expected)
    assert all(torch.equal(tensors[key], expected[key]) for key in expected)
    images = pictures(2)
    np.testing.assert_array_equal(loaded(tmp_path / "tiny.pt").logits(images), loaded(plain).logits(images))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", ["code", "cut", "packed"])
def test_a_hostile_or_damaged_archive_is_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    as_torchscript(saved(tmp_path), tmp_path / "tiny.pt")
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.pt"
    with zipfile.ZipFile(tmp_path / "tiny.pt") as good, zipfile.ZipFile(bad, "w") as archive:
        for name in good.namelist():
            content = good.read(name)
            if damage == "code" and name.endswith("data.pkl"):
                content = pickle.dumps(Evil())
            if damage == "cut" and name.endswith("data.pkl"):
                content = content[: len(content) // 2]
            packed = damage == "packed" and name.endswith("/data/1")
            archive.writestr(name, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    told = {"code": "wants to use", "cut": "not a readable TorchScript", "packed": "packed as PyTorch"}
    with pytest.raises(WeightsError, match=told[damage]):
        loaded(bad)
    assert not (tmp_path / "pwned").exists()


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("pwned"),))


# --- tokenizers of the Hub ---


def test_a_tokenizer_of_the_hub_is_asked_for_in_one_message() -> None:
    pytest.importorskip("transformers")
    architecture = ARCHITECTURES["vit-b-16-siglip"]
    with pytest.raises(WeightsError, match="cuts its prompts into tokens with files of timm/ViT-B-16-SigLIP"):
        open_clip_networks._tokenizer("ViT-B-16-SigLIP", architecture)


def test_a_tokenizer_of_the_hub_is_read_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "[PAD]": 1, "a": 2, "cat": 3}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    tokenize = open_clip_networks._tokenizer("ViT-B-16-SigLIP", ARCHITECTURES["vit-b-16-siglip"])
    tokens = tokenize(["A cat!", "dog"])
    assert tokens.shape == (2, 64)
    assert tokens[:, :3].tolist() == [[2, 3, 1], [0, 1, 1]]
