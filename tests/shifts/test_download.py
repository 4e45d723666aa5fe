"""Downloads from a server that behaves as servers do."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shifts import download as module
from shifts.download import DownloadError, download
from shifts.spec import RemoteFile

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """What is served under each path, and what was asked."""

    address: str = ""
    content: bytes = CONTENT
    etag: str | None = '"one"'
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)  # bytes after which a connection breaks, one each
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            if self.path == "/missing":
                self.send_error(404)
            elif self.path == "/broken":
                self.send_error(503)
            elif self.path == "/page":
                self.reply(200, b"<!DOCTYPE html><p>quota exceeded", kind="text/html; charset=utf-8")
            elif self.path == "/page-in-disguise":
                self.reply(200, b"<!DOCTYPE html><p>quota exceeded")
            elif self.path == "/other":
                self.reply(200, b"x" * len(CONTENT))
            elif self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/file")
                self.end_headers()
            elif self.path == "/endless":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(state.content[:1000])
            else:
                self.serve(wanted)

        def serve(self, wanted: str | None) -> None:
            fresh = self.headers.get("If-Range") in (None, state.etag)
            if not wanted or not state.ranges or not fresh:
                self.reply(200, state.content)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            place = f"bytes {start}-{len(state.content) - 1}/{len(state.content)}"
            self.reply(206, state.content[start:], place=place)

        def reply(
            self, status: int, body: bytes, *, kind: str = "application/octet-stream", place: str = ""
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if place:
                self.send_header("Content-Range", place)
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)

        def log_message(self, *_: object) -> None:
            pass

    for name in ("ROBUSTBENCH_SHIFT_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.address = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        http.shutdown()


def remote(
    server: Server,
    *paths: str,
    sha256: str | None = SHA256,
    md5: str | None = None,
    size: int | None = None,
    how: str | None = None,
) -> RemoteFile:
    urls = tuple(server.address + path for path in paths)
    return RemoteFile(filename="data.bin", urls=urls, sha256=sha256, md5=md5, size=size, how=how)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_fetches_once_and_tells_how_far_it_is(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "deep" / "data.bin"
    for _ in range(2):
        download(remote(server, "/moved"), target, progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(server.asked) == 2  # the redirect and the file, once
    assert leftovers(target.parent) == ["data.bin"]


@pytest.mark.parametrize("hashes", [{"sha256": SHA256}, {"sha256": None, "md5": MD5}, {"sha256": None}])
def test_a_broken_connection_goes_on_where_it_stopped(
    server: Server, tmp_path: Path, hashes: dict[str, str | None]
) -> None:
    server.cut_after = [1000, 5000]
    download(remote(server, "/file", **hashes), tmp_path / "data.bin")  # type: ignore[arg-type]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000-", "bytes=6000-"]


def test_what_was_fetched_stays_for_the_next_run(server: Server, tmp_path: Path) -> None:
    server.cut_after = [1000, 1000, 1000]
    with pytest.raises(DownloadError, match="3000 bytes fetched so far are kept"):
        download(remote(server, "/file"), tmp_path / "data.bin")
    assert not (tmp_path / "data.bin").exists()
    server.asked.clear()
    download(remote(server, "/file"), tmp_path / "data.bin")
    assert server.asked == [("/file", "bytes=3000-")]
    assert leftovers(tmp_path) == ["data.bin"]


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [1000]
    download(remote(server, "/file"), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_file_that_changed_between_runs_is_not_mixed(server: Server, tmp_path: Path) -> None:
    server.cut_after = [1000, 1000, 1000]
    with pytest.raises(DownloadError):
        download(remote(server, "/file", sha256=None), tmp_path / "data.bin")
    server.content, server.etag = CONTENT[::-1], '"two"'
    download(remote(server, "/file", sha256=None), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT[::-1]


def test_a_part_of_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    for part in (b"y" * 500, b"y" * len(CONTENT), b"y" * (len(CONTENT) + 5)):
        (tmp_path / "data.bin").unlink(missing_ok=True)
        (tmp_path / "data.bin.part").write_bytes(part)
        download(remote(server, "/file"), tmp_path / "data.bin")
        assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_complete_part_needs_no_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    download(remote(server, "/file"), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["/page", "/page-in-disguise"])
@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_web_page_never_counts(server: Server, tmp_path: Path, path: str, sha256: str | None) -> None:
    with pytest.raises(DownloadError) as caught:
        download(remote(server, path, sha256=sha256), tmp_path / "data.bin")
    assert "web page" in caught.value.message or "sha256" in caught.value.message
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("expected", "words"),
    [({"sha256": "0" * 64}, "sha256"), ({"sha256": None, "md5": "0" * 32}, "md5"), ({"size": 5}, "5")],
)
def test_another_file_never_counts(
    server: Server, tmp_path: Path, expected: dict[str, object], words: str
) -> None:
    with pytest.raises(DownloadError, match=words):
        download(remote(server, "/file", **expected), tmp_path / "data.bin")  # type: ignore[arg-type]
    assert leftovers(tmp_path) == []


def test_the_next_mirror_helps_and_failures_are_named(server: Server, tmp_path: Path) -> None:
    file = remote(server, "/missing", "/page", "/other", "/broken", "/file")
    download(file, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    with pytest.raises(DownloadError) as caught:
        download(remote(server, "/missing", "/broken", "/other"), tmp_path / "other.bin")
    for words in ("/missing: HTTP 404", "/broken: HTTP 503", "/other: its sha256"):
        assert words in caught.value.message
    assert [path for path, _ in server.asked].count("/missing") == 2  # a 404 is not asked again
    assert [path for path, _ in server.asked].count("/broken") == 6


def test_a_length_nobody_tells_never_counts(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="how long"):
        download(remote(server, "/endless", sha256=None), tmp_path / "data.bin")


def test_a_damaged_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT[:-1])
    download(remote(server, "/file"), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["ROBUSTBENCH_SHIFT_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_opens_no_socket(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(DownloadError, match="offline"):
        download(remote(server, "/file"), tmp_path / "data.bin")
    (tmp_path / "data.bin").write_bytes(CONTENT)
    assert download(remote(server, "/file"), tmp_path / "data.bin") == tmp_path / "data.bin"


def test_a_file_the_user_must_get_says_how(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download(remote(server, how="ask the authors"), tmp_path / "data.bin")
    assert caught.value.hint == "ask the authors"


def test_other_addresses_are_not_followed(tmp_path: Path, server: Server) -> None:
    file = RemoteFile(filename="data.bin", urls=("file:///etc/passwd",), sha256=SHA256)
    with pytest.raises(DownloadError, match="not an http address"):
        download(file, tmp_path / "data.bin")


def test_nobody_there_is_one_message(tmp_path: Path, server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = RemoteFile(filename="data.bin", urls=(f"http://127.0.0.1:{port}/x",), sha256=SHA256)
    with pytest.raises(DownloadError, match="refused"):
        download(file, tmp_path / "data.bin")


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="file"):
        download(remote(server, "/file"), tmp_path / "file" / "data.bin")
