"""A bundle on disk, a folder or one zip, opened without trusting a byte of it.

Everything that can be bounded is bounded before it is read: the file, the list of its members, what each
unpacks to. What a bundle may hold is known by name, so nothing else is ever opened.
"""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shifts.digest import digest
from shifts.errors import ResultsError

MANIFEST = "manifest.json"
FOLDER = "predictions"
# GitHub takes attachments of up to 25 MB.
BUNDLE_BYTES = 25_000_000
UNPACKED_BYTES = 128_000_000
MANIFEST_BYTES = 4_000_000
MEMBERS = 512
_TABLE = re.compile(rf"{FOLDER}/[a-z0-9][a-z0-9.-]{{0,99}}\.parquet")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of the bundle: its size in bytes and how to read it."""

    size: int
    read: Callable[[], bytes]


@dataclass(slots=True, kw_only=True)
class Container:
    """What was found in a bundle.

    Attributes:
        size: bytes as it travels: of the zip, or of all files of a folder.
        members: allowed files by name; the others are among the problems.
        oversized: problems that the check ``sizes`` names.
        foreign: problems that the check ``files`` names.
    """

    size: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    oversized: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            ResultsError: it is damaged, or longer than it says.
        """
        return self.members[name].read()


def table_name(shift: str) -> str:
    """Where the predictions on a shift lie in a bundle.

    >>> table_name("digits/gaussian-noise/3")
    'predictions/digits--gaussian-noise--3.parquet'
    """
    return f"{FOLDER}/{shift.replace('/', '--')}.parquet"


def open_container(path: Path) -> Container:
    """Look at a bundle; its members are read later, one by one.

    Raises:
        ResultsError: there is nothing at the path that could be a bundle.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ResultsError(
            f"there is no bundle at {path}", hint="a bundle is a zip or a folder that `submit` wrote"
        )
    if path.stat().st_size > BUNDLE_BYTES:
        found = Container(size=path.stat().st_size)
        found.oversized.append(f"{_mb(found.size)}, at most {_mb(BUNDLE_BYTES)} are taken")
        return found
    return _zip(path)


def bundle_digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 over the names and hashes of a bundle's files: the same for the folder and the zip of it."""
    return digest(dict(hashes))


def hashes_of(container: Container) -> dict[str, str]:
    """SHA-256 of every member."""
    return {name: hashlib.sha256(container.read(name)).hexdigest() for name in sorted(container.members)}


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a zip; equal files give equal bytes with one version of zlib."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED  # the footers of small Parquet files shrink by half
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, files[name])


def _folder(path: Path) -> Container:
    found = Container()
    for child in _below(path):
        name = child.relative_to(path).as_posix()
        if len(found.members) + len(found.foreign) >= MEMBERS:
            found.oversized.append(f"more than {MEMBERS} files")
            return found
        mode = child.lstat().st_mode
        if not stat.S_ISREG(mode):
            found.foreign.append(f"{_shown(name)} is {'a link' if stat.S_ISLNK(mode) else 'no plain file'}")
        else:
            _admit(found, name, child.lstat().st_size, _reader(child, child.lstat().st_size))
    found.size = sum(member.size for member in found.members.values())
    _check_total(found)
    if found.size > BUNDLE_BYTES:
        found.oversized.append(f"{_mb(found.size)}, at most {_mb(BUNDLE_BYTES)} are taken")
    return found


def _below(path: Path) -> Iterator[Path]:
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            yield from _below(child)
        else:
            yield child


def _reader(path: Path, size: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as stream:
            data = stream.read(size + 1)
        if len(data) != size:
            raise ResultsError(f"{path} changed while it was read")
        return data

    return read


def _zip(path: Path) -> Container:
    found = Container(size=path.stat().st_size)
    try:
        # The list of members lies at the end of the file and is no longer than the file, which is bounded.
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        found.foreign.append(f"not a readable zip: {error}")
        return found
    if len(infos) > MEMBERS:
        found.oversized.append(f"{len(infos)} members, at most {MEMBERS} are taken")
        return found
    for info in infos:
        name, mode = info.filename, info.external_attr >> 16
        if stat.S_ISLNK(mode):
            found.foreign.append(f"{_shown(name)} is a link")
        elif info.flag_bits & 1:
            found.foreign.append(f"{_shown(name)} is encrypted")
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            found.foreign.append(f"{_shown(name)} is compressed by another method than deflate")
        elif name in found.members:
            found.foreign.append(f"{_shown(name)} is there twice")
        elif not (info.is_dir() and name == f"{FOLDER}/"):
            _admit(found, name, info.file_size, _unzipper(path, info))
    _check_total(found)
    return found


def _unzipper(path: Path, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        parts, left = [], info.file_size + 1
        try:
            with zipfile.ZipFile(path) as archive, archive.open(info) as stream:
                while left > 0 and (part := stream.read(min(left, _CHUNK))):
                    parts.append(part)
                    left -= len(part)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise ResultsError(f"{_shown(info.filename)} is damaged: {error}") from error
        if left != 1:
            raise ResultsError(
                f"{_shown(info.filename)} does not unpack to the {info.file_size} bytes it says"
            )
        return b"".join(parts)

    return read


def _admit(found: Container, name: str, size: int, read: Callable[[], bytes]) -> None:
    if name == MANIFEST:
        limit = MANIFEST_BYTES
    elif _TABLE.fullmatch(name):
        limit = UNPACKED_BYTES
    else:
        found.foreign.append(_why_foreign(name))
        return
    if size > limit:
        found.oversized.append(f"{name} unpacks to {_mb(size)}, at most {_mb(limit)} are taken")
        return
    found.members[name] = Member(size=size, read=read)


def _why_foreign(name: str) -> str:
    shown = _shown(name)
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
        return f"{shown} points outside the bundle"
    if name.lower().endswith((".pkl", ".pickle", ".pt", ".pth", ".npy", ".npz", ".joblib")):
        return f"{shown} may hold pickled objects, which are never opened"
    return f"{shown} is not a file of a bundle ({MANIFEST} and {FOLDER}/SHIFT.parquet are)"


def _check_total(found: Container) -> None:
    total = sum(member.size for member in found.members.values())
    if total > UNPACKED_BYTES:
        found.oversized.append(f"unpacks to {_mb(total)}, at most {_mb(UNPACKED_BYTES)} are taken")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:77] + "...")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
