"""Unpacking archives from strangers: nothing outside the target, no links, no devices, a bounded size."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, Literal, cast

from shifts.errors import CorruptDataError, UserError

CHUNK = 2**20
MAX_FILES = 5_000_000
SMALLEST_LIMIT = 2**30
MAX_RATIO = 200  # images hardly compress; raw arrays of flat colours do so by less than this
LONGEST_NAME = 1024

_MAGIC: tuple[tuple[int, bytes], ...] = (
    (0, b"\x1f\x8b"),  # gzip
    (0, b"\xfd7zXZ\x00"),  # xz
    (0, b"BZh"),  # bzip2
    (257, b"ustar"),
)
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, LZMAError, RuntimeError)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    open: Callable[[], IO[bytes] | None]
    is_folder: bool = False
    refused: str | None = None


def archive_kind(path: Path) -> Literal["tar", "zip"] | None:
    """What a file is by its content, whatever its name says; None for everything else."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if any(start[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return "tar"
    # Tars older than the ustar magic are known by the checksum of their first header alone.
    return "tar" if len(start) == 512 and any(start) and tarfile.is_tarfile(path) else None


def unpack(
    path: Path,
    target: Path,
    *,
    max_bytes: int | None = None,
    max_files: int = MAX_FILES,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Unpack a tar (plain, gzip, bzip2, xz) or zip into a folder that is new.

    Args:
        max_bytes: limit of the unpacked size; default 200 times the archive, at least 1 GiB.
        progress: called with (bytes written, None).

    Raises:
        UserError: a member would lie outside the target, is a link or a device, comes twice, or the
            limits are exceeded; names the member. The target is gone again.
        CorruptDataError: no archive, or a damaged one.
    """
    kind = archive_kind(path)
    if kind is None:
        raise CorruptDataError(f"{path} is neither a tar nor a zip", hint="get the file again")
    limit = max_bytes or max(SMALLEST_LIMIT, MAX_RATIO * path.stat().st_size)
    try:
        target.mkdir(parents=True)
        with closing(_tar(path) if kind == "tar" else _zip(path)) as members:
            _write(members, path, target, max_bytes=limit, max_files=max_files, progress=progress)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, _DAMAGED):
            if getattr(error, "errno", None) is not None:  # a full disk, a folder without permission
                raise UserError(f"{path} cannot be unpacked into {target.parent}: {error}") from error
            raise CorruptDataError(
                f"{path} is not a readable {kind} archive: {error}", hint="it was cut short; get it again"
            ) from error
        raise


def _write(
    members: Iterator[_Member],
    path: Path,
    target: Path,
    *,
    max_bytes: int,
    max_files: int,
    progress: Callable[[int, int | None], None] | None,
) -> None:
    written = count = 0
    for member in members:
        count += 1
        if count > max_files:
            raise _refuse(path, member.name, f"at most {max_files} members are expected")
        reason = member.refused or _unsafe(member.name)
        if reason:
            raise _refuse(path, member.name, reason)
        place = target / PurePosixPath(member.name)
        try:
            if member.is_folder:
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            out = place.open("xb")  # never over a file that an earlier member made
        except (FileExistsError, NotADirectoryError) as error:
            raise _refuse(path, member.name, "another member has the same place") from error
        source = member.open()
        if source is None:
            raise _refuse(path, member.name, "it is no regular file")
        with out, source:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > max_bytes:
                    raise _refuse(path, member.name, f"with it more than {max_bytes} bytes are unpacked")
                out.write(chunk)
                if progress is not None:
                    progress(written, None)


def _tar(path: Path) -> Generator[_Member, None, None]:
    with tarfile.open(path, "r:*") as archive:
        while (info := archive.next()) is not None:
            cast("Any", archive).members = []  # or a million headers pile up in memory
            regular = info.isreg() and not info.issparse()
            kind = "a link" if info.issym() or info.islnk() else "a device or another special file"
            refused = None if info.isdir() or regular else f"it is {kind}"
            yield _Member(info.name, partial(archive.extractfile, info), info.isdir(), refused)


def _zip(path: Path) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = stat.S_IFMT(info.external_attr >> 16)
            refused = None
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                refused = "it is a link" if mode == stat.S_IFLNK else "it is a device or another special file"
            elif info.flag_bits & 1:
                refused = "it is encrypted"
            yield _Member(info.orig_filename, partial(archive.open, info), info.is_dir(), refused)


def _unsafe(name: str) -> str | None:
    """Why a member's name is refused, or None."""
    pure = PurePosixPath(name)
    if not name or "\0" in name or len(name) > LONGEST_NAME:
        return "its name is empty, too long or holds a null byte"
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or PureWindowsPath(name).drive:
        return "it would lie outside the folder"
    return None


def _refuse(path: Path, name: str, reason: str) -> UserError:
    shown = name if len(name) <= 80 else name[:77] + "..."
    return UserError(
        f"{path.name} is not unpacked: member {shown!r} is refused, {reason}",
        hint="get the archive from its publisher; if it is right, unpack it yourself and add the folder",
    )


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk a folder lies (or will lie) on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(os.fspath(folder)).free
