"""Fetching a published file: several mirrors, resumed where it broke off, checked before it counts.

A download lives in ``NAME.part`` until its size and hash are right; then it is renamed. An HTML page, a
file cut short or one with another hash never gets its name.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shifts.digest import file_digest
from shifts.errors import UserError
from shifts.local import cache_home, offline

if TYPE_CHECKING:
    from shifts.spec import RemoteFile

Bytes = Callable[[int, "int | None"], None]  # bytes so far, bytes in all if the server says

CHUNK = 2**18
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 3  # for each mirror; a broken connection goes on where it stopped
PAUSE = 0.5  # seconds before the second attempt, doubled each time
_HTML = (b"<!doctype html", b"<html", b"<head", b"<?xml")
_NETWORK = (OSError, http.client.HTTPException)


class DownloadError(UserError):
    """No mirror gave the file, or there is none."""


class _Refused(Exception):
    """What a mirror sent is not the file; asking it again would bring the same."""


class _Broken(Exception):
    """The connection ended early; asking again may help."""


def download(file: RemoteFile, target: Path, *, progress: Bytes | None = None) -> Path:
    """Bring a file to ``target``, unless it is there with the right size and hash.

    Args:
        progress: called with (bytes so far, bytes in all or None).

    Raises:
        DownloadError: offline, no address, or every mirror failed (each failure is named). What was
            fetched so far stays in ``NAME.part``, and the next call goes on from there.
    """
    if target.is_file() and fault(file, target) is None:
        return target
    if not file.urls:
        raise DownloadError(
            f"{file.filename} cannot be fetched automatically", hint=file.how or f"put it at {target}"
        )
    if offline():
        raise DownloadError(
            f"{file.filename} is not at {target}, and offline mode forbids fetching it from {file.urls[0]}",
            hint="unset ROBUSTBENCH_SHIFT_OFFLINE and HF_HUB_OFFLINE, or put the file there yourself",
        )
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        locks = cache_home() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:16]
        with FileLock(locks / f"{name}.lock"):
            if target.is_file() and fault(file, target) is None:  # another process was faster
                return target
            return _from_mirrors(file, target, progress)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise DownloadError(
            f"cannot write into {target.parent}: {error.strerror}", hint="choose a folder you may write to"
        ) from error


def fault(file: RemoteFile, path: Path) -> str | None:
    """In words, how a file differs from the published one; None where it does not."""
    if not file.filename.lower().endswith((".html", ".htm", ".xml")) and _is_html(path):
        return "it is a web page"
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"it has {size} bytes, published are {file.size}"
    for algorithm, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected is not None:
            found = file_digest(path, algorithm=algorithm)
            return (
                None if found == expected.lower() else f"its {algorithm} is {found}, published is {expected}"
            )
    if file.sha256_prefix is not None:
        found = file_digest(path)
        if not found.startswith(file.sha256_prefix.lower()):
            return f"its sha256 is {found}, published is that it begins with {file.sha256_prefix}"
    return None


def _from_mirrors(file: RemoteFile, target: Path, progress: Bytes | None) -> Path:
    part = _Part(target, checkable=bool(file.sha256 or file.md5 or file.sha256_prefix))
    failures: list[str] = []
    for url in file.urls:
        for attempt in range(ATTEMPTS):
            resumed = part.size()
            try:
                _fetch(file, url, part, progress)
                wrong = fault(file, part.path)
                if wrong is None:
                    part.finish(target)
                    return target
                part.drop()
                if not resumed:
                    raise _Refused(wrong)
                # What lay there before may be another file's beginning; once more from the start.
                reason = wrong
            except _Refused as error:
                reason = str(error)
                break
            except (_Broken, *_NETWORK) as error:
                if getattr(error, "errno", None) in (28, 122):  # no space left, quota exceeded
                    raise DownloadError(
                        f"the disk of {target.parent} is full after {part.size()} bytes of {file.filename}",
                        hint="free some space and run the command again; it goes on where it stopped",
                    ) from error
                reason = _words(error)
                if isinstance(error, PermissionError):
                    raise
                if attempt + 1 < ATTEMPTS:
                    time.sleep(PAUSE * 2**attempt)
        failures.append(f"{url}: {reason}")
    kept = f"; the {part.size()} bytes fetched so far are kept" if part.size() else ""
    raise DownloadError(
        f"{file.filename} could not be fetched from any of {len(failures)} addresses{kept}\n  "
        + "\n  ".join(failures),
        hint=f"try again later, or get the file by hand and put it at {target}",
    )


def _fetch(file: RemoteFile, url: str, part: _Part, progress: Bytes | None) -> None:
    """Append to the part what the mirror has beyond it."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise _Refused("not an http address")
    start = part.offset(url)
    headers = {"User-Agent": "robustbench-shift", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        validator = part.validator(url)
        if validator:
            headers["If-Range"] = validator
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and start:  # nothing beyond: complete, or another file
                if error.headers.get("Content-Range", "") == f"bytes */{start}":
                    return
                part.drop()
                raise _Broken("the part fetched earlier does not belong to this file") from error
            transient = error.code in (408, 429) or error.code >= 500
            raise (_Broken if transient else _Refused)(f"HTTP {error.code} {error.reason}") from error
    with response:
        answer = _Answer.of(response, start)
        if answer.html and not file.filename.lower().endswith((".html", ".htm")):
            raise _Refused("it sends a web page instead of the file")
        if file.size is not None and answer.total is not None and answer.total != file.size:
            raise _Refused(f"it has {answer.total} bytes, published are {file.size}")
        if answer.total is None and not answer.chunked and not (file.size or part.checkable):
            raise _Refused("it does not say how long the file is, so a cut could not be noticed")
        part.begin(url, answer)
        done = answer.start
        with part.path.open("ab") as out:
            while chunk := response.read(CHUNK):
                out.write(chunk)
                done += len(chunk)
                if file.size is not None and done > file.size:
                    raise _Refused(f"it sends more than the published {file.size} bytes")
                if progress is not None:
                    progress(done, answer.total)
        if answer.total is not None and done < answer.total:
            raise _Broken(f"the connection ended after {done} of {answer.total} bytes")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a response says of the file: where its bytes begin, how long the whole is."""

    start: int
    total: int | None
    html: bool
    chunked: bool
    validator: str | None

    @classmethod
    def of(cls, response: Any, asked: int) -> _Answer:
        headers = response.headers
        length = headers.get("Content-Length")
        start, total = 0, int(length) if length and length.isdigit() else None
        if response.status == 206:
            place, _, whole = headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            first = place.partition("-")[0]
            if first != str(asked):
                raise _Refused(f"it answers a request from byte {asked} with {place or 'no range'}")
            start, total = asked, int(whole) if whole.isdigit() else None
        strong = headers.get("ETag", "")
        return cls(
            start=start,
            total=total,
            html=headers.get_content_type() in ("text/html", "application/xhtml+xml"),
            chunked=headers.get("Transfer-Encoding", "").lower() == "chunked",
            validator=(strong if strong.startswith('"') else None) or headers.get("Last-Modified"),
        )


class _Part:
    """The bytes fetched so far, with a note of where they came from."""

    def __init__(self, target: Path, *, checkable: bool) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self.checkable = checkable

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def _origin(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def validator(self, url: str) -> str | None:
        """What to put into If-Range: the mark of the very file the part was fetched from."""
        note = self._origin()
        return note.get("validator") if note.get("url") == url else None

    def offset(self, url: str) -> int:
        """Bytes that need not be fetched again from this mirror.

        Without a published hash, bytes of another mirror (or of an unmarked file) might be mixed
        unnoticed, so these are fetched anew.
        """
        return self.size() if self.checkable or self.validator(url) else 0

    def begin(self, url: str, answer: _Answer) -> None:
        if answer.start == 0:
            self.path.unlink(missing_ok=True)
        self._note.write_text(json.dumps({"url": url, "validator": answer.validator}), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        with self.path.open("rb") as stream:
            os.fsync(stream.fileno())
        self.path.replace(target)
        self._note.unlink(missing_ok=True)


def _is_html(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(256).lstrip().lower().startswith(_HTML)


def _words(error: BaseException) -> str:
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
