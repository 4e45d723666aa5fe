"""Every result of a folder without its groups, fast: what tables, lines and plots are made of.

A result on ImageNet has an accuracy for each of a thousand classes, which is nearly all of its file and which
no table shows. The *head* of a result is the result with ``groups=()``; of a long file only the two ends are
read. Of a large folder an index of the heads is kept (``heads_index.py``), never in place of the files: each
is looked at, and one that changed is read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from benchmark.result import RESULT, Result
from shifts.errors import ResultsError

_END_BYTES = 16_384
# As ``Result.to_json`` writes them. A line break cannot stand in a JSON text but between its parts, so that a
# field of the result is found by its line; a file that somebody else wrote is read whole.
_GROUPS, _REST = b'\n "groups": [', b'\n ],\n "warnings": '
# Fewer results than this are read as quickly as an index of them.
WORTH_AN_INDEX = 500


class State(NamedTuple):
    """By which a file is taken to be the one that was read: a file replaced by another has other values."""

    size: int
    modified: int
    changed: int
    inode: int


class Found(NamedTuple):
    """A result file: the names of the two folders it lies in, and its state."""

    model: str
    shift: str
    state: State


def heads(root: Path) -> Iterator[tuple[Path, Result]]:
    """Every result below a root with its folder, without groups, in the order of the folders' names.

    Raises:
        ResultsError: one that cannot be read, or that a newer version wrote.
    """
    found = list(files(root))
    if len(found) < WORTH_AN_INDEX:
        known: dict[Found, Result] = {}
    else:
        from benchmark.heads_index import known_heads

        known = known_heads(root, found)
    model, of_model = "", root
    for one in found:
        if one.model != model:
            model, of_model = one.model, root / one.model
        folder = of_model / one.shift
        head = known.get(one) or read_head(folder)
        if head is not None:
            yield folder, head


def latest(results: Iterable[tuple[Path, Result]]) -> list[tuple[Path, Result]]:
    """One result for each model digest and shift: a full one before a limited one, then the newest.

    A results folder may hold a shift under several digests: of other data, or of a limited run.
    """
    best: dict[tuple[str, str], tuple[Path, Result]] = {}
    for folder, result in results:
        key = (result.model_digest, result.shift)
        if key not in best or _rank(result) > _rank(best[key][1]):
            best[key] = (folder, result)
    return sorted(best.values(), key=lambda pair: (pair[1].model, pair[1].model_digest, pair[1].shift))


def _rank(result: Result) -> tuple[bool, bool, str]:
    limited = result.provenance.get("limit") is not None or "answered" in result.provenance
    return result.status == "ok", not limited, str(result.provenance.get("started", ""))


def files(root: Path) -> Iterator[Found]:
    """The result files below a root, sorted by the folders' names."""
    for model in _folders(str(root)):
        for shift in _folders(f"{root}/{model}"):
            try:
                stat = os.stat(f"{root}/{model}/{shift}/{RESULT}")  # noqa: PTH116 - twice as fast as a Path
            except (FileNotFoundError, NotADirectoryError):
                continue
            yield Found(model, shift, State(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if "@" in entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def read_head(folder: Path) -> Result | None:
    """The head of the result in a cell's folder, or None where there is none.

    Raises:
        ResultsError: it cannot be read, or was written by a newer version.
    """
    path = folder / RESULT
    try:
        with path.open("rb") as file:
            data = file.read(_END_BYTES)
            if len(data) == _END_BYTES:
                data = _ends(data, file) or data + file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    return Result.from_json(data, where=path, groups=False)


def _ends(first: bytes, file: BinaryIO) -> bytes | None:
    """The text of a long result without what its groups hold; None where it is not written as ours are.

    Args:
        first: what was read of the file, whose position it leaves as it was where it gives None.
    """
    begin = first.find(_GROUPS)
    file.seek(max(file.seek(0, os.SEEK_END) - _END_BYTES, len(first)))
    last = file.read()
    end = last.find(_REST)
    if begin < 0 or end < 0:
        file.seek(len(first))
        return None
    return first[: begin + len(_GROUPS)] + last[end:]
