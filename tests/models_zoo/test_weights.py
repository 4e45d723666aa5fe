"""Weights: found, checked, read, and never run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models_zoo import weights as module
from models_zoo.spec import MODELS, ModelSpec
from models_zoo.weights import (
    load_into,
    load_state_dict,
    weights_digest,
    weights_file,
    weights_folder,
)
from shifts.errors import WeightsError
from shifts.local import cache_home


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def spec() -> ModelSpec:
    return MODELS.get("cifar10-resnet20")


def same(found: dict[str, torch.Tensor], network: nn.Module) -> bool:
    expected = network.state_dict()
    return set(found) == set(expected) and all(torch.equal(found[key], expected[key]) for key in expected)


def test_every_format_and_wrapping_is_read(network: nn.Module, tmp_path: Path) -> None:
    state = network.state_dict()
    module_state = {f"module.{key}": value for key, value in state.items()}
    path = tmp_path / "weights.bin"
    for saved in (
        state,
        {"state_dict": state, "epoch": 3},
        {"model": state},
        {"state_dict": module_state, "best_prec1": 91.7},
        {"model": {"state_dict": {f"_orig_mod.{key}": value for key, value in module_state.items()}}},
    ):
        for new in (True, False):
            torch.save(saved, path, _use_new_zipfile_serialization=new)
            assert same(load_state_dict(path), network)
    save_file(module_state, path)  # told by content, not by name
    assert same(load_state_dict(path), network)


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("new", [True, False])
def test_a_checkpoint_with_code_is_refused_and_runs_nothing(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": Attack(tmp_path / "ran")}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsError, match=r"system.*run code") as caught:
        load_state_dict(path)
    assert "safetensors" in str(caught.value.hint)
    assert not (tmp_path / "ran").exists()


def test_a_bare_pickle_with_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Attack(tmp_path / "ran")))
    with pytest.raises(WeightsError, match=r"evil\.pkl"):
        load_state_dict(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><p>quota exceeded", "web page"),
        (b"hello world, this is no checkpoint", "not a readable checkpoint"),
        (b"PK\x03\x04" + b"x" * 100, "not a readable checkpoint"),
        (b"\x10\0\0\0\0\0\0\0{" + b"x" * 15, "safetensors"),
    ],
)
def test_what_is_no_weights_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        load_state_dict(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("cut", [10, 200, 1500])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_file_cut_short_is_named(network: nn.Module, tmp_path: Path, kind: str, cut: int) -> None:
    path = tmp_path / "weights"
    if kind == "safetensors":
        save_file(network.state_dict(), path)
        cut //= 3
    else:
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(WeightsError, match="weights"):
        load_state_dict(path)


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({}, "nothing"),
        ([1, 2], "list"),
        ({"a": torch.ones(1), "lr": 0.1}, "'lr' is float"),
        (torch.ones(2), "Tensor"),
    ],
)
def test_a_checkpoint_without_a_network_is_named(tmp_path: Path, saved: object, words: str) -> None:
    torch.save(saved, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=words):
        load_state_dict(tmp_path / "x.pt")


def test_what_does_not_fit_is_named(network: nn.Module) -> None:
    state = network.state_dict()
    del state["0.bias"]
    state["extra"] = torch.ones(1)
    state["0.weight"] = torch.ones(5, 3)
    with pytest.raises(WeightsError) as caught:
        load_into(network, state, where="x.pt")
    for words in ("lacks 0.bias", "has extra", "holds 0.weight as 5×3 instead of 4×3"):
        assert words in caught.value.message


def test_old_checkpoints_do_not_count_batches(network: nn.Module) -> None:
    state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    load_into(network, state, where="x.pt")


def test_values_that_are_no_numbers_are_refused(network: nn.Module) -> None:
    state = network.state_dict()
    state["0.bias"] = torch.full((4,), float("nan"))
    with pytest.raises(WeightsError, match=r"NaN\) in 0\.bias"):
        load_into(network, state, where="x.pt")


def test_the_users_own_file_comes_first(spec: ModelSpec, tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"x")
    assert weights_file(spec, tmp_path / "mine.pt") == tmp_path / "mine.pt"
    with pytest.raises(WeightsError, match="not there"):
        weights_file(spec, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="a folder"):
        weights_file(spec, tmp_path)


def test_offline_without_weights_says_what_to_do(spec: ModelSpec) -> None:
    with pytest.raises(WeightsError, match="offline") as caught:
        weights_file(spec)
    assert "--weights FILE" in str(caught.value.hint)


def test_cached_weights_must_be_the_published_ones(spec: ModelSpec, real_data: Path) -> None:
    assert spec.weights is not None
    cached = weights_folder(spec) / spec.weights.filename
    cached.parent.mkdir(parents=True)
    content = (real_data / "cifar10" / spec.weights.filename).read_bytes()
    cached.write_bytes(content[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        weights_file(spec)
    cached.write_bytes(content)
    assert weights_file(spec) == cached


def test_a_digest_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one")
    assert weights_digest(path) == hashlib.sha256(b"one").hexdigest()
    monkeypatch.setattr(module, "file_digest", None)
    assert weights_digest(path) == hashlib.sha256(b"one").hexdigest()
    monkeypatch.undo()
    path.write_bytes(b"other")
    assert weights_digest(path) == hashlib.sha256(b"other").hexdigest()
    with pytest.raises(WeightsError, match="cannot be read"):
        weights_digest(tmp_path / "nowhere")


@pytest.mark.parametrize("memory", ["not json", "[]", '{"x": 3}'])
def test_a_damaged_memory_of_digests_does_no_harm(tmp_path: Path, memory: str) -> None:
    home = cache_home()
    home.mkdir(parents=True, exist_ok=True)
    (home / "weights-digests.json").write_text(memory)
    (tmp_path / "x").write_bytes(b"one")
    assert weights_digest(tmp_path / "x") == hashlib.sha256(b"one").hexdigest()
    assert json.loads((home / "weights-digests.json").read_text())


def test_finding_and_hashing_import_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from models_zoo.weights import weights_digest, weights_file;"
        "from models_zoo.sources.cifar_resnets import MODELS; weights_digest(Path(sys.argv[1]));"
        "weights_file(MODELS._entries['cifar10-resnet20'], Path(sys.argv[1]));"
        "print([m for m in ('torch', 'numpy', 'safetensors') if m in sys.modules])"
    )
    (tmp_path / "x").write_bytes(b"one")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
