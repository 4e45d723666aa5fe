"""Named files in a folder or in an uncompressed tar, read one at a time."""

from __future__ import annotations

import os
import tarfile
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from shifts.errors import CorruptDataError
from shifts.readers.layouts import is_junk


class Files(Protocol):
    """Files by name; names are relative, with ``/`` between folders; ``""`` is the top folder."""

    root: Path

    def folders(self, folder: str) -> list[str]: ...

    def names(self, folder: str) -> list[str]: ...

    def read(self, name: str) -> bytes: ...

    def where(self, name: str) -> str: ...

    def paths(self, names: Sequence[str]) -> list[Path]: ...


def open_files(path: Path) -> Files:
    """The files of a folder or of an uncompressed tar."""
    return FolderFiles(path) if path.is_dir() else TarFiles(path)


class FolderFiles:
    """The files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self, folder: str) -> list[str]:
        """Names of the folders right below one, sorted; none where it is not there."""
        return self._children(folder, folders=True)

    def names(self, folder: str) -> list[str]:
        """Names of the files right below a folder, sorted, without those that systems leave behind."""
        return self._children(folder, folders=False)

    def _children(self, folder: str, *, folders: bool) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return sorted(e.name for e in entries if e.is_dir() == folders and not is_junk(e.name))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            CorruptDataError: it is gone or cannot be read.
        """
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise CorruptDataError(
                f"{self.where(name)} cannot be read: {error.strerror}", hint="put the file back"
            ) from error

    def where(self, name: str) -> str:
        """A file's place, for a message."""
        return str(self.root / name)

    def paths(self, names: Sequence[str]) -> list[Path]:
        """The files on disk that hold the named ones."""
        return [self.root / name for name in names]


class TarFiles:
    """The regular files of an uncompressed tar, read in place.

    The headers are read once; contents are read by position, so threads and processes share nothing.

    Raises:
        CorruptDataError: no tar, cut short, compressed, or it holds a link or a device.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._handle: tuple[int, int] | None = None  # (process, file descriptor)
        self._places: dict[str, tuple[int, int]] = {}
        size = root.stat().st_size
        try:
            with tarfile.open(root, "r:") as archive:
                for member in archive:
                    if member.isdir():
                        continue
                    if not member.isreg() or member.issparse():
                        raise CorruptDataError(f"{root} holds {member.name!r}, which is no regular file")
                    if member.offset_data + member.size > size:
                        raise CorruptDataError(
                            f"{root} is cut short inside {member.name!r}", hint="get the tar again"
                        )
                    name = member.name.removeprefix("./")
                    if not is_junk(name.rpartition("/")[2]):
                        self._places[name] = (member.offset_data, member.size)
        except (tarfile.TarError, EOFError) as error:
            raise CorruptDataError(
                f"{root} is not a readable uncompressed tar: {error}", hint="get the tar again"
            ) from error

    @cached_property
    def _tree(self) -> dict[str, tuple[set[str], list[str]]]:
        tree: dict[str, tuple[set[str], list[str]]] = {"": (set(), [])}
        for name in self._places:
            folder, _, last = name.rpartition("/")
            tree.setdefault(folder, (set(), []))[1].append(last)
            while folder:
                parent, _, last = folder.rpartition("/")
                tree.setdefault(parent, (set(), []))[0].add(last)
                folder = parent
        return tree

    def folders(self, folder: str) -> list[str]:
        """Names of the folders right below one, sorted; none where it is not there."""
        return sorted(self._tree.get(folder, (set(), []))[0])

    def names(self, folder: str) -> list[str]:
        """Names of the files right below a folder, sorted."""
        return sorted(self._tree.get(folder, (set(), []))[1])

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            CorruptDataError: the tar was cut short since it was opened.
        """
        offset, size = self._places[name]
        data = os.pread(self._descriptor(), size, offset)
        if len(data) != size:
            raise CorruptDataError(f"{self.where(name)} is cut short", hint="put the tar back")
        return data

    def _descriptor(self) -> int:
        with self._lock:
            if self._handle is None or self._handle[0] != os.getpid():
                self._handle = (os.getpid(), os.open(self.root, os.O_RDONLY))
            return self._handle[1]

    def where(self, name: str) -> str:
        """A member's place, for a message."""
        return f"{self.root}:{name}"

    def paths(self, names: Sequence[str]) -> list[Path]:
        """The files on disk that hold the named ones: the tar."""
        return [self.root]

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "_places": self._places}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._handle = threading.Lock(), None

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and handle[0] == os.getpid():
            os.close(handle[1])
