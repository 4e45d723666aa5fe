"""Sends a bundle to a service: with progress, from where it stopped, until a verdict is there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shifts.errors import UserError

if TYPE_CHECKING:
    import httpx

TRIES = 5
_CHUNK = 1 << 16
Progress = Callable[[int, int], None]


def upload(
    bundle: Path, url: str, *, token: str, progress: Progress | None = None, pause: float = 1.0
) -> dict[str, Any]:
    """Upload a bundle, going on after broken connections.

    Args:
        url: of the service, e.g. ``https://board.example.org``.
        progress: called with (bytes sent, bytes in all).
        pause: seconds before the first new try; doubled with each.

    Returns:
        The submission as the service has it.

    Raises:
        UserError: the file is not there, or the service refuses it or cannot be reached.
    """
    import httpx

    if not bundle.is_file():
        raise UserError(f"{bundle} is not a bundle", hint="the zip that `submit` wrote")
    size = bundle.stat().st_size
    with bundle.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with _client(url, token) as client:
        failure = ""
        for number in range(TRIES):
            if number:
                time.sleep(pause * 2 ** (number - 1))
            try:
                offset = _received(client, digest)
                state = _send(client, bundle, digest, size=size, offset=offset, progress=progress)
            except httpx.TransportError as error:
                failure = str(error) or type(error).__name__
                continue
            if state["received"] == size:
                return state
    raise UserError(
        f"{url} cannot be reached: {failure or 'the upload was not finished'}",
        hint="the same command goes on where this one stopped",
    )


def await_verdict(
    url: str, digest: str, *, token: str, timeout: float = 900.0, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Ask until the verdict is there.

    Raises:
        UserError: none within the time.
    """
    import httpx

    ends, seen = time.monotonic() + timeout, ""
    with _client(url, token) as client:
        while time.monotonic() < ends:
            try:
                state: dict[str, Any] = _answer(client.get(f"/v1/submissions/{digest}"))
            except httpx.TransportError:
                time.sleep(1.0)
                continue
            if state["status"] != seen and say is not None:
                say(state["status"])
            seen = state["status"]
            if state["final"]:
                return state
            time.sleep(0.5)
    raise UserError(f"no verdict within {timeout:.0f} s; it is {seen or 'unknown'}", hint="ask again later")


def _client(url: str, token: str) -> httpx.Client:
    import httpx

    if not url.startswith(("https://", "http://")):
        raise UserError(f"{url!r} is no address of a service", hint="https://HOST or http://HOST:PORT")
    return httpx.Client(
        base_url=url.rstrip("/"),
        headers={"Authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(60.0, connect=10.0),
    )


def _received(client: httpx.Client, digest: str) -> int:
    answer = client.get(f"/v1/submissions/{digest}")
    return 0 if answer.status_code == 404 else int(_answer(answer)["received"])


def _send(
    client: httpx.Client, bundle: Path, digest: str, *, size: int, offset: int, progress: Progress | None
) -> dict[str, Any]:
    if offset >= size:  # it was uploaded before; ask for it again, which sends nothing
        return _answer(client.get(f"/v1/submissions/{digest}"))

    def body() -> Iterator[bytes]:
        sent = offset
        with bundle.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(_CHUNK):
                yield chunk
                sent += len(chunk)
                if progress is not None:
                    progress(sent, size)

    headers = {
        "Bundle-SHA256": digest,
        "Bundle-Size": str(size),
        "Upload-Offset": str(offset),
        "Content-Type": "application/zip",
    }
    return _answer(client.post("/v1/submissions", content=body(), headers=headers))


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        document: dict[str, Any] = response.json()
    except ValueError:
        document = {}
    if response.is_success:
        return document
    said = document.get("detail", response.reason_phrase)
    hints = {
        401: "set ROBUSTBENCH_SHIFT_TOKEN to a token that `leaderboard token create` gave you",
        429: f"wait {response.headers.get('Retry-After', 'a day')} seconds",
    }
    raise UserError(
        f"the service refuses ({response.status_code}): {said}", hint=hints.get(response.status_code)
    )
