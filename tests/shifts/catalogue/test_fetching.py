"""Fetching copies from addresses and from the Hub."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shifts import local
from shifts.digest import file_digest
from shifts.download import DownloadError
from shifts.fetching import fetch
from shifts.spec import ImageSource, RemoteFile
from shifts.verifying import verify
from tests.shifts import cifar_layouts as layouts
from tests.shifts.sources.copies import declare


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address it is served at."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    for name in ("ROBUSTBENCH_SHIFT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("shifts.download.PAUSE", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def published(path: Path, *addresses: str) -> RemoteFile:
    urls = tuple(f"{address}/{path.name}" for address in addresses)
    return RemoteFile(filename=path.name, urls=urls, sha256=file_digest(path), size=path.stat().st_size)


def test_fetch_downloads_unpacks_and_records(
    source: ImageSource, copy: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = layouts.pack_tar(copy, site[0] / "cifar.tar.gz")
    declare(monkeypatch, source, files=(published(archive, site[1] + "/gone", site[1]),))
    record = fetch("cifar10")
    assert record.splits["test"].n == layouts.SIZE
    assert not record.linked
    folder = local.source_folder("cifar10")
    assert sorted(path.name for path in folder.iterdir()) == [record.root, local.RECORD]
    archive.unlink()
    assert fetch("cifar10") == record  # it is there: nothing is asked
    assert verify("cifar10").ok


def test_fetch_of_several_plain_files(
    source: ImageSource, copy: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((copy / "cifar-10-batches-bin").glob("*.bin"))
    files = tuple(published(path.rename(site[0] / path.name), site[1]) for path in paths)
    declare(monkeypatch, source, files=files)
    assert fetch("cifar10").splits["train"].n == 30


def test_what_was_fetched_survives_a_failure_later(
    source: ImageSource, copy: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = layouts.pack_tar(copy, site[0] / "cifar.tar.gz")
    files = (
        published(archive, site[1]),
        RemoteFile(filename="more.bin", urls=(f"{site[1]}/more.bin",), size=1),
    )
    declare(monkeypatch, source, files=files)
    with pytest.raises(DownloadError, match=r"more\.bin"):
        fetch("cifar10")
    archive.unlink()
    (site[0] / "more.bin").write_bytes(b"x")
    assert fetch("cifar10").splits["test"].n == layouts.SIZE


def test_fetch_offline_opens_no_socket(source: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_OFFLINE", "1")
    monkeypatch.setattr(socket, "socket", None)
    declare(monkeypatch, source, files=(RemoteFile(filename="x", urls=("http://127.0.0.1/x",), size=1),))
    with pytest.raises(DownloadError, match="offline"):
        fetch("cifar10")
    declare(monkeypatch, source, hub="owner/name")
    with pytest.raises(DownloadError, match="offline"):
        fetch("cifar10")
    assert not local.source_folder("cifar10").exists()


def test_fetch_of_what_nobody_serves_says_how_to_add(source: ImageSource, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch("cifar10")
    assert "data add cifar10 PATH" in str(caught.value.hint)


def test_the_hub_stands_in_when_the_address_is_gone(
    source: ImageSource,
    site: tuple[Path, str],
    data: layouts.Small,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub

    asked: list[tuple[str, str | None]] = []

    def snapshot(repository: str, *, revision: str | None, local_dir: Path, **_: object) -> str:
        asked.append((repository, revision))
        layouts.write_parquet(local_dir, data)
        return str(local_dir)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    file = RemoteFile(filename="x.tar", urls=(f"{site[1]}/x.tar",), sha256="0" * 64)
    declare(monkeypatch, source, files=(file,), hub="owner/name@abc")
    assert fetch("cifar10").splits["test"].n == layouts.SIZE
    assert asked == [("owner/name", "abc")]
    assert verify("cifar10").ok


def test_a_gated_hub_says_what_to_click(
    source: ImageSource, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    def refuse(*_: object, **__: object) -> None:
        raise GatedRepoError.__new__(GatedRepoError, "gated")  # its arguments depend on the library's version

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    declare(monkeypatch, source, hub="owner/name")
    with pytest.raises(DownloadError, match="terms") as caught:
        fetch("cifar10")
    assert "HF_TOKEN" in str(caught.value.hint)
