"""Local copies of data sets: where they lie, what was recorded of them, whether they are still the same."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shifts.errors import CorruptDataError, DataNotFoundError, ResultsError, UserError

if TYPE_CHECKING:
    from shifts.data import Examples
    from shifts.spec import ImageSource

OFFLINE = ("ROBUSTBENCH_SHIFT_OFFLINE", "HF_HUB_OFFLINE")
RECORD = "source.json"
RECORD_SCHEMA = 1


def cache_home() -> Path:
    """``$ROBUSTBENCH_SHIFT_CACHE``, or the platform's user cache folder."""
    configured = os.environ.get("ROBUSTBENCH_SHIFT_CACHE")
    if configured:
        return Path(configured).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("robustbench-shift", appauthor=False))


def offline() -> bool:
    """Whether opening a socket is forbidden (``ROBUSTBENCH_SHIFT_OFFLINE`` or ``HF_HUB_OFFLINE``)."""
    return any(os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no") for name in OFFLINE)


def data_home(data_dir: Path | None = None) -> Path:
    """The folder with one folder per source."""
    return data_dir if data_dir is not None else cache_home() / "data"


def source_folder(name: str, *, data_dir: Path | None = None) -> Path:
    """Where the record (and, unless linked, the files) of a source lie."""
    return data_home(data_dir) / name.replace("/", "--")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRecord:
    """What was found in one split: examples, examples per class, content digest."""

    n: int
    counts: tuple[int, ...]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """``source.json``: what ``data add`` or ``data fetch`` found and checked.

    Attributes:
        root: the file or folder that holds the images; inside the record's folder unless linked.
        files: relative path → [bytes, modification time in ns] of every file below ``root``; a later
            difference means that the copy was changed after it was checked.
        partial: fewer examples than published; every result says so.
        declaration: for a user's own data, the fields of its source.
        notes: what the user of this copy should know ("these are lossy files").
    """

    source: str
    version: int
    root: str
    linked: bool
    partial: bool
    splits: Mapping[str, SplitRecord]
    files: Mapping[str, tuple[int, int]]
    declaration: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    schema_version: int = field(default=RECORD_SCHEMA)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, where: Path) -> Record:
        try:
            raw = json.loads(text)
            if raw["schema_version"] > RECORD_SCHEMA:
                raise ResultsError(
                    f"{where} was written by a newer version (schema {raw['schema_version']})",
                    hint="upgrade robustbench-shift",
                )
            raw["splits"] = {
                name: SplitRecord(n=split["n"], counts=tuple(split["counts"]), content=split["content"])
                for name, split in raw["splits"].items()
            }
            raw["files"] = {name: (int(size), int(time)) for name, (size, time) in raw["files"].items()}
            raw["notes"] = tuple(raw.get("notes", ()))
            return cls(**raw)
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptDataError(
                f"{where} is not a readable record: {error}",
                hint=f"remove {where.parent} and add the source again",
            ) from error


def read_record(name: str, *, data_dir: Path | None = None) -> Record | None:
    """The record of a source, or None where there is no local copy."""
    path = source_folder(name, data_dir=data_dir) / RECORD
    try:
        stat = path.stat()
        return _record(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return None


@lru_cache(maxsize=64)
def _record(path: Path, state: tuple[int, int, int]) -> Record:
    """A record as it lies on disk in this state; a hundred shifts may ask for the same one."""
    return Record.from_json(path.read_text(encoding="utf-8"), where=path)


def root_of(record: Record, *, data_dir: Path | None = None) -> Path:
    """The file or folder the loader is given."""
    return source_folder(record.source, data_dir=data_dir) / record.root


def ready_splits(source: ImageSource, *, data_dir: Path | None = None) -> Collection[str]:
    """The splits that can be opened without fetching anything."""
    if source.bundled:
        return source.counts.keys()
    record = read_record(source.name, data_dir=data_dir)
    return () if record is None else record.splits.keys()


def is_ready(source: ImageSource, split: str, *, data_dir: Path | None = None) -> bool:
    """Whether the split can be opened without fetching anything."""
    return split in ready_splits(source, data_dir=data_dir)


def required_record(source: ImageSource, split: str, *, data_dir: Path | None = None) -> Record:
    """The record of a source that must be there.

    Raises:
        DataNotFoundError: says what to fetch or add, and in which layouts.
    """
    record = read_record(source.name, data_dir=data_dir)
    if record is None or split not in record.splits:
        missing = f"{source.name!r}" if record is None else f"split {split!r} of {source.name!r}"
        raise DataNotFoundError(
            f"the images of {missing} are not on this machine (looked in {data_home(data_dir)})",
            hint=how_to_get(source),
        )
    if record.version != source.version:
        raise DataNotFoundError(
            f"the local copy of {source.name!r} was checked as version {record.version}, "
            f"this release declares version {source.version}",
            hint=how_to_get(source),
        )
    return record


def how_to_get(source: ImageSource) -> str:
    """The commands that bring a source onto this machine."""
    if source.hub or any(file.urls for file in source.files):
        return f"robustbench-shift data fetch {source.name}, or, with a copy at hand, {how_to_add(source)}"
    return how_to_add(source)


def how_to_add(source: ImageSource) -> str:
    """The command that takes in a copy, with the layouts it understands."""
    layouts = f" (PATH: {'; '.join(source.layouts)})" if source.layouts else ""
    return f"robustbench-shift data add {source.name} PATH{layouts}"


def locate(source: ImageSource, split: str, *, data_dir: Path | None = None) -> Path:
    """The checked local copy of a source.

    Raises:
        DataNotFoundError: there is none.
        CorruptDataError: files are gone or were changed since they were checked.
    """
    record = required_record(source, split, data_dir=data_dir)
    root = root_of(record, data_dir=data_dir)
    changed = [name for name, stat in record.files.items() if file_state(root, name) != stat]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise CorruptDataError(
            f"{root / changed[0]}{more} is gone or was changed since {source.name!r} was checked",
            hint=f"put the files back, or see what changed: robustbench-shift data verify {source.name}",
        )
    return root


def file_state(root: Path, name: str) -> tuple[int, int] | None:
    """Bytes and modification time of a file below ``root``; None where it is gone."""
    try:
        # Text, not paths: of a large data set that is half of the time that opening it takes.
        stat = os.stat(f"{root}/{name}" if name != "." else root)  # noqa: PTH116
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def recorded_content(source: ImageSource, split: str, *, data_dir: Path | None = None) -> str:
    """The content digest of a split, without reading an image."""
    if source.bundled:
        return source.content[split]
    return required_record(source, split, data_dir=data_dir).splits[split].content


def content_digest(examples: Examples, *, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 over id, label, attributes and content of every image, whatever order the layout has.

    Args:
        progress: called with the number of images read so far.

    Raises:
        CorruptDataError: an image cannot be decoded.
    """
    from shifts.images import content_bytes

    lines = []
    for index, name in enumerate(examples.ids):
        content = content_bytes(examples.payloads[index], where=f"image {name!r}")
        lines.append(content_line(examples, index, content))
        if progress is not None:
            progress(index + 1)
    return digest_of_lines(examples, lines)


def content_line(examples: Examples, index: int, content: bytes) -> str:
    """What one example adds to the content digest; ``content`` as by ``shifts.images.content_bytes``."""
    attributes = [int(examples.attributes[key].values[index]) for key in sorted(examples.attributes)]
    line = [examples.ids[index], int(examples.labels[index]), attributes, hashlib.sha256(content).hexdigest()]
    if examples.accepted is not None:
        line.append(sorted(examples.accepted[index]))
    return json.dumps(line, separators=(",", ":"))


def label_digest(examples: Examples) -> str:
    """SHA-256 over id and labels of every example, whatever order the layout has."""
    accepted = [None] * len(examples.ids) if examples.accepted is None else examples.accepted
    lines = [
        json.dumps([name, label, None if known is None else sorted(known)], separators=(",", ":"))
        for name, label, known in zip(examples.ids, examples.labels.tolist(), accepted, strict=True)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def digest_of_lines(examples: Examples, lines: list[str]) -> str:
    """The content digest of a split whose examples gave these lines."""
    header = json.dumps(sorted(examples.attributes))
    return hashlib.sha256("\n".join([header, *sorted(lines)]).encode()).hexdigest()


def temporary_of(path: Path) -> Path:
    """The name beside a file under which this process writes it."""
    return path.with_name(f".{path.name}.{_here()}{os.getpid()}.tmp")


def drop_unfinished(path: Path) -> None:
    """Remove what processes of this machine left that were killed while they wrote the file."""
    if os.name == "nt":
        return  # asking for a process there would end it
    begin = f".{path.name}.{_here()}"
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        number = left.name.removeprefix(begin).removesuffix(".tmp")
        if number.isdigit() and not _runs(int(number)):
            left.unlink(missing_ok=True)


@cache
def _here() -> str:
    """Of this machine: on a shared path the processes of others are nobody's here."""
    return f"{platform.node()}-"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


def write_atomic(path: Path, data: str | bytes | Iterable[str]) -> None:
    """Write under a temporary name beside the target, then rename: a reader sees all or nothing.

    Args:
        data: of the file; parts of a long text are written as they come.

    Raises:
        UserError: the folder cannot be written.
    """
    temporary = temporary_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            for part in (data,) if isinstance(data, (str, bytes)) else data:
                stream.write(part.encode() if isinstance(part, str) else part)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}", hint="choose a folder you may write to"
        ) from error
    finally:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
