"""Bundles as they come in: appended to a file, moved into place when every byte is there and right."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from leaderboard.service.settings import Settings

DIGEST = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """An upload that cannot go on.

    Attributes:
        code: HTTP status.
        received: bytes that are here.
    """

    def __init__(self, code: int, message: str, *, received: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.received = code, message, received


def bundle_of(settings: Settings, digest: str) -> Path:
    """Where a complete bundle lies; the name holds nothing but hexadecimal digits."""
    assert DIGEST.fullmatch(digest), "checked where it came in"
    return settings.uploads / f"{digest}.zip"


def part_of(settings: Settings, digest: str) -> Path:
    """Where an incomplete one grows."""
    return bundle_of(settings, digest).with_suffix(".part")


def received(settings: Settings, digest: str) -> int:
    """Bytes of a bundle that are here."""
    for path in (bundle_of(settings, digest), part_of(settings, digest)):
        if path.is_file():
            return path.stat().st_size
    return 0


async def receive(
    settings: Settings, digest: str, body: AsyncIterator[bytes], *, offset: int, size: int
) -> bool:
    """Append a body to what is here.

    Args:
        offset: where the body begins in the bundle.
        size: of the whole bundle.

    Returns:
        Whether the bundle is complete now. What came before a broken connection stays.

    Raises:
        Refused: the offset is not what is here, more bytes than announced, or another hash.
    """
    from filelock import FileLock, Timeout

    if bundle_of(settings, digest).is_file():
        return True
    lock = FileLock(f"{part_of(settings, digest)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Refused(409, "this bundle is being uploaded by another request") from error
    try:
        return await _append(settings, digest, body, offset=offset, size=size)
    finally:
        lock.release()


async def _append(
    settings: Settings, digest: str, body: AsyncIterator[bytes], *, offset: int, size: int
) -> bool:
    part = part_of(settings, digest)
    here = part.stat().st_size if part.is_file() else 0
    if here != offset:
        raise Refused(409, f"{here} bytes are here, the upload begins at {offset}", received=here)
    with part.open("ab") as file:
        async for chunk in body:
            here += len(chunk)
            if here > size:
                file.close()
                part.unlink()
                raise Refused(400, f"more than the {size} bytes that were announced")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if here < size:
        return False
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        part.unlink()
        raise Refused(
            422, f"the bytes have the hash {found}, not the announced one; upload again from the start"
        )
    part.replace(bundle_of(settings, digest))
    return True
