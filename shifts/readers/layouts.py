"""Finding out which layout a copy has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from shifts.errors import DataNotFoundError
from shifts.local import how_to_get
from shifts.spec import SOURCES

if TYPE_CHECKING:
    from shifts.data import Examples

Layout = Callable[[Path, str], "Examples | None"]

JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_remarks: ContextVar[list[str] | None] = ContextVar("remarks", default=None)


def first_layout(root: Path, split: str, layouts: Sequence[Layout], *, source: str) -> Examples:
    """The examples from the first layout that is there.

    Args:
        layouts: functions of (root, split); None means that the layout is not there.

    Raises:
        DataNotFoundError: none is there; names the layouts and what lies in ``root`` instead.
    """
    for layout in layouts:
        examples = layout(root, split)
        if examples is not None:
            return examples
    raise DataNotFoundError(
        f"{root} holds split {split!r} of {source!r} in no layout known ({describe(root)})",
        hint=how_to_get(SOURCES.get(source)),
    )


def describe(root: Path, *, limit: int = 4) -> str:
    """What lies at a path, in a few words for an error message."""
    if root.is_file():
        return f"it is a file of {root.stat().st_size} bytes"
    if not root.is_dir():
        return "nothing is there"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in root.iterdir())
    if not names:
        return "the folder is empty"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"it holds {', '.join(names[:limit])}{more}"


def is_junk(name: str) -> bool:
    """Whether a file is one that operating systems leave behind in every folder."""
    return name.startswith(".") or name.lower() in JUNK


def walk(root: Path, *, depth: int = 3) -> Iterator[Path]:
    """Files below a folder down to a depth, in order of name; a file yields itself.

    Links are followed, since people link data sets into place; the depth ends any circle.
    """
    if root.is_file():
        yield root
    elif root.is_dir() and depth > 0:
        with os.scandir(root) as entries:
            inside = sorted((entry.name, entry.is_dir()) for entry in entries if not is_junk(entry.name))
        for name, is_folder in inside:
            if is_folder:
                yield from walk(root / name, depth=depth - 1)
            elif (root / name).is_file():
                yield root / name


def folder_with(root: Path, *markers: str, depth: int = 2) -> Path | None:
    """The folder nearest to ``root`` that holds one of the files; ``root`` may be that file."""
    if root.is_file():
        return root.parent if root.name in markers else None
    level = [root]
    for _ in range(depth + 1):  # breadth first, so that the copy nearest to the top wins
        for folder in level:
            if any((folder / marker).is_file() for marker in markers):
                return folder
        level = [child for folder in level for child in _folders(folder)]
    return None


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remark(text: str) -> None:
    """Say something about a copy that its user should know; kept in its record by ``data add``."""
    remarks = _remarks.get()
    if remarks is not None and text not in remarks:
        remarks.append(text)


@contextmanager
def remarks_kept() -> Iterator[list[str]]:
    """Collect the remarks that loaders make inside the block."""
    remarks: list[str] = []
    token = _remarks.set(remarks)
    try:
        yield remarks
    finally:
        _remarks.reset(token)
