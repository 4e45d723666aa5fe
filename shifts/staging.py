"""Where files wait while they are checked, and how they become the recorded copy of a source."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shifts import local
from shifts.errors import UserError

if TYPE_CHECKING:
    from shifts.local import Record
    from shifts.spec import ImageSource

INCOMING = ".incoming"
PATIENCE = 600  # seconds to wait for another process that works on the same source


@contextmanager
def locked(source: ImageSource, *, data_dir: Path | None) -> Iterator[None]:
    """One process at a time works on a source's folder."""
    from filelock import FileLock, Timeout

    home = local.data_home(data_dir)
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / f".{source.name.replace('/', '--')}.lock")
        lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise UserError(
            f"another process has been working on {source.name!r} for {PATIENCE} s",
            hint="wait until it is done, then run the command again",
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write into the data folder {home}: {error.strerror}",
            hint="choose another with --data-dir or ROBUSTBENCH_SHIFT_CACHE",
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staging(source: ImageSource, *, data_dir: Path | None) -> Iterator[Path]:
    """A folder (not made yet) for files on their way in; whatever is left there in the end is removed."""
    folder = local.source_folder(source.name, data_dir=data_dir)
    stage = folder / INCOMING
    shutil.rmtree(stage, ignore_errors=True)  # of a run that was killed; the lock is ours
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def told_of(path: Path, stage: Path) -> Iterator[None]:
    """Messages name the file the user gave, not the staging folder, which is gone when they are read."""
    try:
        yield
    except UserError as error:
        hint = error.hint.replace(str(stage), str(path)) if error.hint else None
        raise type(error)(error.message.replace(str(stage), str(path)), hint=hint) from error


def copied(root: Path, stage: Path) -> Path:
    """A copy of a file or folder in the staging folder; files keep their times."""
    try:
        if root.is_dir():
            shutil.copytree(root, stage)
            return stage
        stage.mkdir(parents=True)
        return Path(shutil.copy2(root, stage / root.name))
    except (OSError, shutil.Error) as error:
        raise UserError(f"{root} cannot be copied into {stage.parent}: {error}") from error


def commit(record: Record, root: Path, *, data_dir: Path | None) -> Record:
    """Move staged files to their place, write the record, and only then drop what it replaces."""
    folder = local.source_folder(record.source, data_dir=data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    # A copy that lies in this very folder already is checked again, not linked to and then dropped.
    keep = next((own for own in folder.glob("files-*") if root.is_relative_to(own.resolve())), None)
    if keep is not None:
        inside = root.relative_to(keep.resolve())
        record = dataclasses.replace(record, linked=False, root=str(Path(keep.name) / inside))
    elif not record.linked:
        number = 1
        while (folder / f"files-{number}").exists():
            number += 1
        keep = folder / f"files-{number}"
        stage = _stage_of(root)
        inside = root.relative_to(stage)
        stage.rename(keep)
        record = dataclasses.replace(record, root=str(Path(keep.name) / inside))
    local.write_atomic(folder / local.RECORD, record.to_json())
    for old in folder.glob("files-*"):
        if old != keep:
            shutil.rmtree(old, ignore_errors=True)
    return record


def _stage_of(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.name.startswith(INCOMING))
