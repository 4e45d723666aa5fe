"""Filling the image cache: entries written beside the evaluation, and room made for them."""

from __future__ import annotations

import json
import shutil
import threading
import zlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import numpy as np

from benchmark.image_cache import (
    DAMAGE,
    SCHEMA_VERSION,
    Kept,
    among,
    entries_of,
    entry_folder,
    images_home,
    index_digest,
    limit_bytes,
)

if TYPE_CHECKING:
    from pathlib import Path

    from filelock import BaseFileLock
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Positions = NDArray[np.int64]


class Filling:
    """An entry that is being filled, by any number of threads; without room or luck it gives up in silence.

    Args:
        rows: int64 (N,), rising: of the images that will come.
    """

    def __init__(self, key: str, rows: Positions) -> None:
        self._key, self._rows = key, rows
        self._folder = entry_folder(key, rows)
        self._part = self._folder.with_name(f"{self._folder.name}.part")
        self._sums = np.zeros(len(rows), dtype=np.uint32)
        self._missing = len(rows)
        self._size = 0
        self._shape: tuple[int, ...] | None = None
        self._file: IO[bytes] | None = None
        self._guard = threading.Lock()
        self._lock: BaseFileLock | None = _try_lock(self._folder)

    @property
    def live(self) -> bool:
        """Whether images are still taken."""
        return self._lock is not None

    def put(self, positions: Positions, images: Pixels) -> None:
        """Take images uint8 (B, h, w, 3) of rows that have not come yet."""
        places = np.searchsorted(self._rows, positions)
        sums = [zlib.crc32(np.ascontiguousarray(image).data) for image in images]
        with self._guard:
            if not self.live:
                return
            try:
                if self._shape is None:
                    self._begin(images.shape[1:])
                if images.shape[1:] != self._shape:
                    self._give_up()
                    return
                self._write(places, np.ascontiguousarray(images))
            except OSError:
                self._give_up()
                return
            self._sums[places] = sums
            self._missing -= len(places)

    def _begin(self, shape: tuple[int, ...]) -> None:
        self._size = len(self._rows) * int(np.prod(shape))
        if not make_room(self._size) or shutil.disk_usage(images_home()).free <= self._size:
            raise OSError("no room")
        shutil.rmtree(self._part, ignore_errors=True)  # of a process that died; the lock is ours
        self._part.mkdir()
        # Not a memory map: a full disk would end the process instead of raising an error.
        self._file = (self._part / "pixels.bin").open("wb")
        self._shape = shape

    def _write(self, places: Positions, images: Pixels) -> None:
        assert self._file is not None, "begun"
        runs = np.flatnonzero(np.diff(places) != 1) + 1
        for run, some in zip(np.split(places, runs), np.split(images, runs), strict=True):
            self._file.seek(int(run[0]) * some[0].nbytes)
            self._file.write(some.data.cast("B"))

    def close(self) -> None:
        """Make it an entry where every image came, and forget it otherwise."""
        with self._guard:
            if not self.live:
                return
            if self._missing or self._file is None or self._shape is None:
                self._give_up()
                return
            with suppress(OSError):
                self._file.close()
                np.save(self._part / "rows.npy", self._rows)
                np.save(self._part / "sums.npy", self._sums)
                record = {"schema_version": SCHEMA_VERSION, "key": self._key, "shape": list(self._shape)}
                record["index"] = index_digest(self._part)
                (self._part / "record.json").write_text(json.dumps(record), encoding="utf-8")
                if make_room(self._size):  # others may have been filled meanwhile
                    shutil.rmtree(self._folder, ignore_errors=True)
                    self._part.rename(self._folder)
                    self._drop_parts_of_this()
            self._give_up()

    def give_up(self) -> None:
        """Forget what has come; nothing more is taken."""
        with self._guard:
            self._give_up()

    def _drop_parts_of_this(self) -> None:
        for folder in entries_of(self._key):
            if folder != self._folder:
                with suppress(*DAMAGE):
                    kept = Kept(folder, self._key)
                    if among(kept.rows, self._rows).all():
                        kept.drop()

    def _give_up(self) -> None:
        """Release everything; what is not an entry by now is removed."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        shutil.rmtree(self._part, ignore_errors=True)
        if self._lock is not None:
            _unlock(self._lock, self._folder)
            self._lock = None


def make_room(size: int) -> bool:
    """Whether ``size`` bytes are within the limit; entries used longest ago are removed for them."""
    limit = limit_bytes()
    if size > limit:
        return False
    home = images_home()
    entries: list[tuple[float, int, Path]] = []
    for folder in home.iterdir():
        if folder.suffix == ".part":
            _remove_stale(folder)
        elif not folder.suffix:
            with suppress(OSError):
                used = (folder / "record.json").stat().st_mtime
                entries.append((used, (folder / "pixels.bin").stat().st_size, folder))
    entries.sort()
    total = sum(bytes_ for _, bytes_, _ in entries)
    for _, bytes_, folder in entries:
        if total + size <= limit:
            break
        shutil.rmtree(folder, ignore_errors=True)
        total -= bytes_
    return True


def _remove_stale(part: Path) -> None:
    """Remove what a process left that died while it filled an entry."""
    folder = part.with_suffix("")
    lock = _try_lock(folder)
    if lock is not None:
        shutil.rmtree(part, ignore_errors=True)
        _unlock(lock, folder)


def _try_lock(folder: Path) -> BaseFileLock | None:
    """The lock of an entry that is to be filled; None where another process fills it, or none can be had."""
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock"), thread_local=False)
        lock.acquire(timeout=0)
    except (OSError, NotImplementedError):  # a timeout is an OSError; the second as in claiming.py
        return None
    return lock


def _unlock(lock: BaseFileLock, folder: Path) -> None:
    with suppress(OSError):
        # Should another process lock a new file of this name now, both write the same bytes.
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    lock.release()
