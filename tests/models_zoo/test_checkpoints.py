"""What training programs save: wrapped, averaged, in shards, beside other things; and how little may fit."""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models_zoo.fitting import load_into
from models_zoo.loading import load_spec
from models_zoo.overrides import override
from models_zoo.reading import Session, reading
from models_zoo.spec import MODELS, Reading
from models_zoo.weights import load_state_dict, weights_digest, weights_file, weights_folder, weights_origin
from shifts.errors import WeightsError
from shifts.spec import RemoteFile
from tests.shifts.test_download import CONTENT, SHA256, Server, server

__all__ = ["server"]  # the fixture, found by its name


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def shifted(network: nn.Module, by: float) -> dict[str, torch.Tensor]:
    """Other weights for the same network, told apart by ``by``."""
    return {
        key: value + by if value.is_floating_point() else value for key, value in network.state_dict().items()
    }


def under(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    return {prefix + key: value for key, value in state.items()}


def read(path: Path, into: nn.Module, **how: bool) -> Session:
    with reading(Reading(**how)) as session:
        load_into(into, load_state_dict(path), where=path)
    return session


def is_shifted(network: nn.Module, original: dict[str, torch.Tensor], by: float) -> bool:
    return bool(torch.equal(network.state_dict()["0.weight"], original["0.weight"] + by))


AVERAGED = {
    "timm": lambda raw, ema: {"state_dict": raw, "state_dict_ema": ema, "epoch": 3},
    "torchvision": lambda raw, ema: {
        "model": raw,
        "model_ema": {"n_averaged": torch.tensor(9), **under("module.", ema)},
        "args": argparse.Namespace(lr=0.1, output=Path("x")),
    },
    "ema": lambda raw, ema: {"model": raw, "ema": {"module": ema}},
    "lightning": lambda raw, ema: {"state_dict": {**under("model.", raw), **under("ema_model.module.", ema)}},
}


@pytest.mark.parametrize("kind", AVERAGED)
def test_raw_weights_unless_averaged_ones_are_asked_for(
    network: nn.Module, tmp_path: Path, kind: str
) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch.save(AVERAGED[kind](shifted(network, 1.0), shifted(network, 2.0)), tmp_path / "x.pth")
    raw = read(tmp_path / "x.pth", network)
    assert is_shifted(network, before, 1.0)
    ema = read(tmp_path / "x.pth", network, ema=True)
    assert is_shifted(network, before, 2.0)
    for session in (raw, ema):
        assert any("ema" in note for note in session.notes), "which was taken is said"


def test_averaged_weights_alone(network: nn.Module, tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(network)
    averaged.update_parameters(network)
    for saved in (averaged.state_dict(), {"state_dict_ema": network.state_dict()}):
        torch.save(saved, tmp_path / "x.pth")
        assert any("averaged" in note for note in read(tmp_path / "x.pth", network).notes)
        read(tmp_path / "x.pth", network, ema=True)
    torch.save({"model": network.state_dict()}, tmp_path / "raw.pth")
    with pytest.raises(WeightsError, match="no averaged weights"):
        read(tmp_path / "raw.pth", network, ema=True)


@pytest.mark.parametrize(
    "prefix", ["model.", "net.", "model._orig_mod.", "model.module.", "_orig_mod.module."]
)
def test_a_training_modules_part(network: nn.Module, tmp_path: Path, prefix: str) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch.save({"state_dict": under(prefix, shifted(network, 1.0))}, tmp_path / "x.ckpt")
    assert read(tmp_path / "x.ckpt", network).notes == []
    assert is_shifted(network, before, 1.0)


def test_what_lies_beside_the_network_is_named(network: nn.Module, tmp_path: Path) -> None:
    state = {**under("model.", shifted(network, 1.0)), "criterion.weight": torch.ones(4)}
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.5"}, tmp_path / "x.ckpt")
    assert read(tmp_path / "x.ckpt", network).notes == [
        "weights: those under 'model.'; beside them lie criterion.weight"
    ]


def test_a_network_whose_own_names_begin_so(tmp_path: Path) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Linear(2, 2)

    outer = Outer()
    torch.save(outer.state_dict(), tmp_path / "x.pth")
    assert read(tmp_path / "x.pth", outer).notes == []


def test_harmless_things_beside_the_tensors(network: nn.Module, tmp_path: Path) -> None:
    for beside in (argparse.Namespace(lr=0.1), Path("x"), np.float64(0.9), np.float32(0.9), np.int64(3)):
        torch.save({"model": network.state_dict(), "beside": beside}, tmp_path / "x.pth")
        assert load_state_dict(tmp_path / "x.pth").keys() == network.state_dict().keys()
    # They are let in for the time of reading alone.
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


class Run(argparse.Namespace):
    """A class of a training program: not on the list."""


def test_other_classes_are_named(network: nn.Module, tmp_path: Path) -> None:
    torch.save({"model": network.state_dict(), "args": Run(lr=0.1)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"test_checkpoints\.Run.*run code") as caught:
        load_state_dict(tmp_path / "x.pth")
    assert "torch.save(network.state_dict(), FILE)" in str(caught.value.hint)
    torch.save(network, tmp_path / "whole.pth")
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.\w+\.\w+.*run code"):
        load_state_dict(tmp_path / "whole.pth")


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards(network: nn.Module, tmp_path: Path, kind: str) -> None:
    state = network.state_dict()
    names = [f"model-0000{1 + place}-of-00002.{kind}" for place in range(2)]
    table = {key: names[place % 2] for place, key in enumerate(state)}
    for name in names:
        part = {key: value for key, value in state.items() if table[key] == name}
        save_file(part, tmp_path / name) if kind == "safetensors" else torch.save(part, tmp_path / name)
    index = tmp_path / f"model.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": table}))
    found = load_state_dict(index)
    assert all(torch.equal(found[key], value) for key, value in state.items())
    first = weights_digest(index)
    (tmp_path / names[1]).write_bytes((tmp_path / names[0]).read_bytes())
    assert weights_digest(index) != first, "the digest covers every shard"
    with pytest.raises(WeightsError, match="lacks"):
        load_state_dict(index)
    with pytest.raises(WeightsError, match="does not fit") as caught:
        read(tmp_path / names[0], network)
    assert "index.json" in str(caught.value.hint)
    (tmp_path / names[1]).unlink()
    with pytest.raises(WeightsError, match="not beside it"):
        load_state_dict(index)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        "no json",
        '{"weight_map": {}}',
        '{"weight_map": {"a": 3}}',
        '{"weight_map": {"a": "../x"}}',
    ],
)
def test_an_index_that_is_none(tmp_path: Path, content: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(content)
    (tmp_path.parent / "x").touch()
    with pytest.raises(WeightsError, match=r"index\.json"):
        load_state_dict(index)


def test_quantised_values_are_not_taken_for_weights(network: nn.Module, tmp_path: Path) -> None:
    state = network.state_dict()
    state["0.weight"] = torch.ones(4, 3, dtype=torch.uint8)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"0\.weight as torch\.uint8 instead of torch\.float32"):
        read(tmp_path / "x.pth", network)


def test_lenient_loads_what_fits_and_says_so(network: nn.Module, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = shifted(network, 1.0)
    del state["1.bias"]
    state |= {"0.bias": torch.ones(9), "extra": torch.ones(1)}
    torch.save(state, tmp_path / "x.pth")
    session = read(tmp_path / "x.pth", network, lenient=True)
    assert is_shifted(network, before, 1.0)
    assert torch.equal(network.state_dict()["0.bias"], before["0.bias"])
    assert set(session.left_out) == {"1.bias", "0.bias"}
    (note,) = session.notes
    for words in ("lacks 1.bias", "has extra", "0.bias as 9 instead of 4"):
        assert words in note
    torch.save({"other": torch.ones(1)}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="nothing"):
        read(tmp_path / "none.pth", network, lenient=True)


def digits(tmp_path: Path, change: Any, **how: bool) -> Any:
    """A digits network with changed weights, loaded as by the command."""
    spec = MODELS.get("digits-mlp")
    torch.manual_seed(1)
    network = load_spec(spec, None, device="cpu").network  # type: ignore[attr-defined]
    state = network.state_dict()
    change(state)
    torch.save(state, tmp_path / "x.pth")
    return load_spec(override(spec, **how), tmp_path / "x.pth", device="cpu")  # type: ignore[arg-type]


def test_lenient_never_without_a_head(tmp_path: Path) -> None:
    keys = list(load_spec(MODELS.get("digits-mlp"), None, device="cpu").network.state_dict())  # type: ignore[attr-defined]
    for broken in (lambda s: s.pop(keys[-2]), lambda s: s.update({keys[-1]: torch.ones(7)})):
        with pytest.raises(WeightsError, match="no fitting classifier head"):
            digits(tmp_path, broken, lenient=True)
    image = [np.zeros((16, 16, 3), np.uint8)]
    lacking = [digits(tmp_path, lambda s: s.pop(keys[0]), lenient=True) for _ in range(2)]
    assert any("lenient" in note for note in lacking[0].notes)
    np.testing.assert_array_equal(lacking[0].logits(image), lacking[1].logits(image))


def test_another_number_of_classes_names_the_way_out(tmp_path: Path) -> None:
    keys = list(load_spec(MODELS.get("digits-mlp"), None, device="cpu").network.state_dict())  # type: ignore[attr-defined]
    head = {keys[-2]: torch.ones(7, 128), keys[-1]: torch.ones(7)}
    with pytest.raises(WeightsError, match="instead of") as caught:
        digits(tmp_path, lambda s: s.update(head))
    assert "7 outputs and the network 10" in str(caught.value.hint)
    assert "--label-space" in str(caught.value.hint)


def test_archives_that_are_no_checkpoints(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**6))
    with pytest.raises(WeightsError, match="many times its size"):
        load_state_dict(tmp_path / "bomb.pt")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07abc")
    with pytest.raises(WeightsError, match="ONNX") as caught:
        load_state_dict(tmp_path / "net.onnx")
    assert "--model onnx:" in str(caught.value.hint)
    (tmp_path / "x.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
    with pytest.raises(WeightsError, match="pointer of Git LFS"):
        load_state_dict(tmp_path / "x.safetensors")


@pytest.fixture
def remote(server: Server) -> Iterator[Any]:
    """A registered model whose weights lie on the server, with whatever is published of them."""
    import dataclasses

    def make(path: str = "/file", **published: Any) -> Any:
        file = RemoteFile(filename="net.pt", urls=(server.address + path,), **published)
        return dataclasses.replace(MODELS.get("cifar10-resnet20"), weights=file)

    yield make


@pytest.mark.parametrize("published", [{"sha256": SHA256}, {"sha256_prefix": SHA256[:8]}, {}])
def test_fetched_resumed_and_kept(server: Server, remote: Any, published: dict[str, str]) -> None:
    server.cut_after = [300_000]
    seen: list[tuple[int, int | None]] = []
    spec = remote(**published)
    path = weights_file(spec, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=300000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    server.asked.clear()
    assert weights_file(spec) == path
    assert server.asked == []
    assert weights_origin(spec, path) == {"url": spec.weights.urls[0], "file": "net.pt"}


@pytest.mark.parametrize("path", ["/page", "/page-in-disguise", "/other", "/missing"])
@pytest.mark.parametrize("published", [{"sha256": SHA256}, {"sha256_prefix": SHA256[:8]}])
def test_what_is_not_the_published_file_is_not_kept(
    remote: Any, path: str, published: dict[str, str]
) -> None:
    spec = remote(path, **published)
    with pytest.raises(WeightsError, match="not on this machine"):
        weights_file(spec)
    assert [one.name for one in weights_folder(spec).iterdir()] == []


def test_without_a_published_hash_the_first_content_is_the_one(server: Server, remote: Any) -> None:
    spec = remote()
    path = weights_file(spec)
    path.unlink()
    server.content, server.etag = CONTENT[::-1], '"two"'
    with pytest.raises(WeightsError, match="not what it was when it was first fetched") as caught:
        weights_file(spec)
    assert SHA256 in caught.value.message
    assert hashlib.sha256(CONTENT[::-1]).hexdigest() in caught.value.message
    assert not path.exists()
    server.content, server.etag = CONTENT, '"one"'
    weights_file(spec).write_bytes(CONTENT[:-1])  # and so is a change of the local copy
    with pytest.raises(WeightsError, match="not what it was"):
        weights_file(spec)
