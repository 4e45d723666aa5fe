"""Weights from a hub that behaves as the real one does, in all the ways it can refuse."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_zoo.hub import commit_of, hub_file
from models_zoo.spec import HubFile
from shifts.errors import WeightsError
from tests.models_zoo.hub_server import COMMIT, LATER, Hub, serving

CONTENT = bytes(range(256)) * 2000
FILE = HubFile(repo="someone/net", filenames=("model.safetensors", "pytorch_model.bin"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    with serving(monkeypatch, str(cache)) as found:
        found.files["someone/net"] = {"model.safetensors": CONTENT, "config.json": b"{}"}
        yield found


def finals(cache: Path) -> list[str]:
    """Files that a reader would take for whole."""
    found = [path for path in cache.rglob("*") if path.is_file() and "snapshots" in path.parts]
    return [path.name for path in found]


def test_fetched_once_and_kept_at_its_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int | None]] = []
    path = hub_file(FILE, model="net", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert commit_of(path) == COMMIT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    hub.commit, hub.files["someone/net"]["model.safetensors"] = LATER, CONTENT[::-1]
    hub.asked.clear()
    assert hub_file(FILE, model="net") == path  # the branch went on; this model did not
    assert hub.asked == []
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_OFFLINE", "1")
    monkeypatch.setattr(socket, "socket", None)
    assert hub_file(FILE, model="net") == path


def test_the_next_name_is_tried(hub: Hub) -> None:
    hub.files["someone/net"] = {"pytorch_model.bin": CONTENT}
    assert hub_file(FILE, model="net").name == "pytorch_model.bin"
    hub.files["someone/other"] = {}
    with pytest.raises(WeightsError, match=r"none of model\.safetensors, pytorch_model\.bin"):
        hub_file(HubFile(repo="someone/other"), model="net")


def test_a_connection_that_breaks_goes_on_where_it_stopped(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)  # what it writes at a time
    hub.cut_after = [100_000]
    assert hub_file(FILE, model="net").read_bytes() == CONTENT
    ranges = [wanted for command, path, wanted in hub.asked if command == "GET" and "/cdn/" in path]
    assert ranges == [None, "bytes=100000-"]


def test_a_file_in_git_is_compared_with_gits_hash(hub: Hub, cache: Path) -> None:
    hub.small = True
    assert hub_file(FILE, model="net").read_bytes() == CONTENT
    hub.files["someone/two"] = {"model.safetensors": CONTENT}
    hub.claims = CONTENT[::-1]
    with pytest.raises(WeightsError, match="with the hash"):
        hub_file(HubFile(repo="someone/two"), model="net")


@pytest.mark.parametrize(
    "body",
    [
        CONTENT[::-1],
        b"<!DOCTYPE html><p>quota exceeded",
        b"<!DOCTYPE html>".ljust(len(CONTENT)),
        CONTENT[:-1],
    ],
    ids=["other content", "web page", "web page of the same length", "cut short"],
)
def test_what_is_not_the_file_is_not_kept(hub: Hub, cache: Path, body: bytes) -> None:
    hub.body = body
    with pytest.raises(WeightsError, match="someone/net on the Hub") as caught:
        hub_file(FILE, model="net")
    assert "\n" not in caught.value.message
    assert finals(cache) == []
    hub.body = None
    assert hub_file(FILE, model="net").read_bytes() == CONTENT


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_gated_repository_says_what_to_click(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    hub.gated = "right"
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(WeightsError, match="accept its terms") as caught:
        hub_file(FILE, model="net")
    for words in (
        "https://huggingface.co/someone/net",
        "Agree and access repository",
        "HF_TOKEN",
        "--weights",
    ):
        assert words in str(caught.value.hint)
    monkeypatch.setenv("HF_TOKEN", "right")
    assert hub_file(FILE, model="net").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (HubFile(repo="nobody/nothing"), "no such repository, or it is private"),
        (HubFile(repo="someone/net", revision="v9"), "no revision 'v9'"),
    ],
)
def test_what_is_not_there_is_named(hub: Hub, file: HubFile, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        hub_file(file, model="net")


def test_a_server_that_is_down_is_one_message(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between the client's attempts
    hub.status = 403
    with pytest.raises(WeightsError, match="403"):
        hub_file(FILE, model="net")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(WeightsError, match="could not be fetched") as caught:
        hub_file(FILE, model="net")
    assert "\n" not in caught.value.message


def test_offline_opens_no_socket(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(WeightsError, match="offline mode forbids"):
        hub_file(FILE, model="net")
    assert hub.asked == []


def test_other_content_at_the_same_commit_is_refused(hub: Hub, cache: Path) -> None:
    path = hub_file(FILE, model="net")
    blob = path.resolve()
    path.unlink()
    blob.unlink()
    hub.files["someone/net"]["model.safetensors"] = CONTENT[::-1]
    with pytest.raises(WeightsError, match="not what it was when it was first fetched") as caught:
        hub_file(FILE, model="net")
    assert hashlib.sha256(CONTENT).hexdigest() in caught.value.message
    assert "fetched.json" in str(caught.value.hint)
