"""A server that answers as the Hugging Face Hub does: addresses, headers, redirects, refusals."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "c0ffee" + "0" * 34
LATER = "decade" + "0" * 34


@dataclass
class Hub:
    """What the Hub holds (``files``: repository → file → content), and how it misbehaves."""

    address: str = ""
    storage: str = ""  # where large files lie: another host, as far as a client can tell
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commit: str = COMMIT
    gated: str | None = None  # a token that opens the repositories
    status: int | None = None  # answers everything with this
    claims: bytes | None = None  # the content whose hash is announced, where it is another
    body: bytes | None = None  # what is sent instead of the content
    small: bool = False  # files are in git itself, not among the large ones
    cut_after: list[int] = field(default_factory=list)  # bytes after which a connection breaks, one each
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            wanted = self.headers.get("Range")
            hub.asked.append((self.command, self.path, wanted))
            if hub.status is not None:
                self._refuse(hub.status, None)
                return
            if self.path.startswith("/cdn/"):
                self._send(self.path, wanted, with_body=with_body)
                return
            parts = self.path.strip("/").split("/")
            if len(parts) < 5 or parts[2] != "resolve":
                self._refuse(404, None)
                return
            repo, revision, name = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
            if hub.gated is not None and self.headers.get("Authorization") != f"Bearer {hub.gated}":
                self._refuse(403 if "Authorization" in self.headers else 401, "GatedRepo")
            elif repo not in hub.files:
                self._refuse(404, "RepoNotFound")
            elif revision not in ("main", COMMIT, LATER):
                self._refuse(404, "RevisionNotFound")
            elif name not in hub.files[repo]:
                self._refuse(404, "EntryNotFound")
            else:
                self._point(repo, name, with_body=with_body)

        def _point(self, repo: str, name: str, *, with_body: bool) -> None:
            content = hub.files[repo][name]
            told = content if hub.claims is None else hub.claims
            if hub.small:
                etag = hashlib.sha1(b"blob %d\0" % len(told) + told).hexdigest()
                self._send(f"/cdn/{repo}/{name}", None, with_body=with_body, etag=etag)
                return
            self.send_response(302)
            self.send_header("Location", f"{hub.storage}/cdn/{repo}/{name}")
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(told).hexdigest()}"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, path: str, wanted: str | None, *, with_body: bool, etag: str | None = None) -> None:
            _, _, owner, repo, name = path.split("/", 4)
            content = hub.files[f"{owner}/{repo}"][name] if hub.body is None else hub.body
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("Accept-Ranges", "bytes")
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if etag:
                self.send_header("ETag", f'"{etag}"')
                self.send_header("X-Repo-Commit", hub.commit)
            self.end_headers()
            if with_body:
                rest = content[start:]
                if hub.cut_after:
                    self.wfile.write(rest[: hub.cut_after.pop(0)])
                    self.close_connection = True
                else:
                    self.wfile.write(rest)

        def _refuse(self, status: int, code: str | None) -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, cache: str) -> Iterator[Hub]:
    """A hub that the client of this process asks, with a cache of its own."""
    from huggingface_hub import constants

    hub = Hub()
    for name in (
        "ROBUSTBENCH_SHIFT_OFFLINE",
        "HF_HUB_OFFLINE",
        "HF_TOKEN",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", cache)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", f"{cache}/no-token")
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) as http:
        hub.address = f"http://127.0.0.1:{http.server_port}"
        hub.storage = f"http://localhost:{http.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield hub
        http.shutdown()
