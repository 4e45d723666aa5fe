"""Cells that one process measures and no other: a file lock beside each cell's folder.

The system releases the lock of a process that dies, so a stale one blocks nobody. Where a file system knows
no locks, cells are measured without one, as if nobody else were there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from benchmark.store import finished_result

if TYPE_CHECKING:
    from pathlib import Path

    from filelock import BaseFileLock

    from benchmark.planning import Cell

MOST = 512  # locks held at once, each an open file


@contextmanager
def claimed(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Those of the cells that no other process is measuring; within the block they are this one's alone.

    Nobody waits for a lock while holding others, so two processes never wait for each other. A cell that was
    planned may be finished by the time it is claimed.
    """
    held: list[tuple[Cell, BaseFileLock | None]] = []
    try:
        for cell in cells:
            if len(held) >= _room():
                break
            with suppress(TimeoutError):
                held.append((cell, _lock(lock_file(cell.folder))))
        yield [cell for cell, _ in held]
    finally:
        for cell, lock in held:
            _release(cell, lock)


def lock_file(folder: Path) -> Path:
    """Where the lock of a cell lies; it is there while the cell is unfinished and has been worked on."""
    return folder.with_name(f".{folder.name}.lock")


def _lock(path: Path) -> BaseFileLock | None:
    """The lock, or None where there is nothing to lock with.

    Raises:
        TimeoutError: another process holds it.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not bound to a thread: a pass is a generator, which may be finished by another one.
        lock = FileLock(path, thread_local=False)
        lock.acquire(timeout=0)
    except Timeout:
        raise
    except (OSError, NotImplementedError):  # the second is filelock's, of a file system without locks
        return None  # a disk that is full, too, fails the cell by name when its rows are written
    return lock


def _release(cell: Cell, lock: BaseFileLock | None) -> None:
    if lock is None:
        return
    with suppress(OSError):
        # Another process may have opened this file and be about to lock it: it then sees a finished cell. A
        # cell that failed keeps its file, or two processes could hold locks of two files of the same name.
        if finished_result(cell.folder) is not None:
            lock_file(cell.folder).unlink(missing_ok=True)
    lock.release()


def _room() -> int:
    """How many locks may be held, leaving files to open for the work."""
    try:
        import resource
    except ImportError:  # not Unix
        return MOST
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if limit == resource.RLIM_INFINITY else max(min(MOST, limit // 2), 1)
