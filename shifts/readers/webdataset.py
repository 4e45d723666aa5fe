"""Webdataset: tars (or one folder) of files that belong together by name: ``KEY.jpg`` and ``KEY.cls``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import CorruptDataError
from shifts.readers.files import Files, FolderFiles, TarFiles
from shifts.readers.folders import is_image
from shifts.readers.layouts import walk
from shifts.readers.payloads import Chain, FilePayloads

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABEL = ".cls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Images with labels: ``payloads`` (N), ``labels`` int64 (N,), ``names`` (N) of the image files."""

    payloads: Chain
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def samples(root: Path, names: Sequence[str]) -> Samples | None:
    """The samples of a split in order of shard and key, or None where there are no shards.

    Args:
        names: what the split is called (``("validation", "val", "test")``); the first that a shard's name or
            folder bears is taken, and shards that bear none when there is no other split beside them.

    Raises:
        CorruptDataError: an image without a label, a label without an image or that is no number.
    """
    found: list[Files] = [TarFiles(path) for path in _shards(root, names)]
    if not found and root.is_dir():
        for folder in (root, *(root / name for name in names)):
            if any(path.suffix == LABEL for path in walk(folder, depth=1)):
                found = [FolderFiles(folder)]
                break
    parts = [part for files in found if (part := _samples(files)) is not None]
    if not parts:
        return None
    return Samples(
        payloads=Chain([payloads for payloads, _ in parts]),
        labels=np.array([label for _, labels in parts for label in labels], dtype=np.int64),
        names=tuple(name for payloads, _ in parts for name in payloads.names),
    )


def beside(found: Samples, suffix: str) -> list[bytes]:
    """The files of that suffix that belong to the samples, in their order.

    Raises:
        CorruptDataError: a sample has none.
    """
    contents = []
    for part in found.payloads.parts:
        assert isinstance(part, FilePayloads), "samples are made of files"
        folders = {name.rpartition("/")[0] for name in part.names}
        there = {(folder, name) for folder in folders for name in part.files.names(folder)}
        for name in part.names:
            folder, _, last = (_key(name) + suffix).rpartition("/")
            if (folder, last) not in there:
                raise CorruptDataError(
                    f"{part.files.where(name)} has no {suffix} beside it", hint="get the shard again"
                )
            contents.append(part.files.read(_key(name) + suffix))
    return contents


def _shards(root: Path, names: Sequence[str]) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix == ".tar" else []
    tars = [path for path in walk(root) if path.suffix == ".tar"]
    for name in names:
        word = re.compile(rf"(^|[^a-z]){re.escape(name)}([^a-z]|$)")
        chosen = [path for path in tars if word.search(path.relative_to(root).as_posix().lower())]
        if chosen:
            return _in_order(chosen)
    other = re.compile(r"(^|[^a-z])(train|training|test|val|validation)([^a-z]|$)")
    return _in_order([path for path in tars if not other.search(path.relative_to(root).as_posix().lower())])


def _in_order(paths: list[Path]) -> list[Path]:
    """By the numbers in the names, since shards are counted without leading zeros (0.tar ... 10.tar)."""
    return sorted(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)] + [0])


def _samples(files: Files) -> tuple[FilePayloads, list[int]] | None:
    folders, names = [""], []
    while folders:  # keys may hold folders
        folder = folders.pop()
        prefix = f"{folder}/" if folder else ""
        names += [prefix + name for name in files.names(folder)]
        folders += [prefix + name for name in files.folders(folder)]
    labels = {_key(name): name for name in names if name.endswith(LABEL)}
    if not labels:
        return None
    images = {_key(name): name for name in sorted(names) if is_image(name)}
    for some, others, lacks in ((images, labels, f"no label {LABEL}"), (labels, images, "no image")):
        alone = sorted(some.keys() - others.keys())
        if alone:
            raise CorruptDataError(
                f"{files.where(some[alone[0]])} has {lacks} beside it", hint="get the shard again"
            )
    keys = sorted(images)
    values = [_label(files, labels[key]) for key in keys]
    beside = [path for key in keys for path in files.paths([labels[key]])]
    return FilePayloads(files, [images[key] for key in keys], beside=sorted(set(beside))), values


def _key(name: str) -> str:
    """A file's name up to the first dot of its last part, as webdataset reads it; images may have dots."""
    return name.rpartition(".")[0]


def _label(files: Files, name: str) -> int:
    text = files.read(name).decode("ascii", errors="replace").strip()
    if not re.fullmatch(r"\d{1,9}", text):
        raise CorruptDataError(
            f"{files.where(name)} is no class number: {text[:20]!r}", hint="get the shard again"
        )
    return int(text)
