"""Bringing a source onto this machine from where it is published."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shifts import local
from shifts.archives import archive_kind, free_bytes, unpack
from shifts.catalogue import take_in
from shifts.checking import bytes_of
from shifts.download import DownloadError, download
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.readers.arrays import is_npz
from shifts.readers.layouts import walk
from shifts.spec import SOURCES
from shifts.staging import locked, staging, told_of

if TYPE_CHECKING:
    from shifts.checking import Progress
    from shifts.local import Record
    from shifts.spec import ImageSource, RemoteFile

DOWNLOADS = "downloads"


def fetch(
    source_name: str,
    *,
    replace: bool = False,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Record:
    """Download a source, check it and record it; a copy that is there and unchanged is kept.

    Files already downloaded stay until the source is recorded, so a broken run goes on where it stopped.

    Args:
        replace: put the published files in the place of a recorded copy with other content.
        progress: called with (what is being done, done so far, in all or 0).

    Raises:
        DownloadError: offline, no mirror answers, or the user must get the files; says how.
        CorruptDataError: what came is not what the source declares.
    """
    source = SOURCES.get(source_name)
    if source.bundled:
        raise UserError(f"{source.name!r} comes with the package; there is nothing to fetch")
    with locked(source, data_dir=data_dir):
        if not replace and (record := _intact(source, data_dir)) is not None:
            return record
        needed = [file for file in source.files if file.urls]  # the hashes of others are for `add`
        if not needed and not source.hub:
            ways = "; ".join(f"{file.filename}: {file.how}" for file in source.files if file.how)
            raise DownloadError(
                f"{source.name!r} cannot be fetched automatically (its homepage: {source.homepage})",
                hint=f"{ways}; then: {local.how_to_add(source)}" if ways else local.how_to_add(source),
            )
        folder = local.source_folder(source.name, data_dir=data_dir) / DOWNLOADS
        try:
            found = _download(source, needed, folder, progress)
        finally:
            for empty in (folder, folder.parent):  # of a fetch that brought nothing
                with suppress(OSError):
                    empty.rmdir()
        with staging(source, data_dir=data_dir) as stage:
            _arrange(found, stage, progress)
            with told_of(folder, stage):
                record = take_in(
                    source, stage, linked=False, replace=replace, data_dir=data_dir, progress=progress
                )
        shutil.rmtree(folder, ignore_errors=True)
        return record


def _intact(source: ImageSource, data_dir: Path | None) -> Record | None:
    """The record of a whole copy that is still there."""
    try:
        record = local.read_record(source.name, data_dir=data_dir)
        if record is None or record.partial or set(record.splits) != set(source.counts):
            return None
        local.locate(source, next(iter(source.counts)), data_dir=data_dir)
    except (CorruptDataError, DataNotFoundError):
        return None
    return record


def _download(
    source: ImageSource, needed: list[RemoteFile], folder: Path, progress: Progress | None
) -> list[Path] | Path:
    """The files as published from the addresses declared, or a folder of files from the Hub."""
    if not needed:
        return _from_hub(source, folder)
    try:
        known = sum(file.size or 0 for file in needed if not (folder / file.filename).is_file())
        free = free_bytes(folder)
        if known > free:
            raise DownloadError(
                f"{source.name!r} needs {known} bytes, and {free} are free at {folder.parent}",
                hint="free some space, or choose another disk with --data-dir",
            )
        return [
            download(file, folder / file.filename, progress=bytes_of(f"fetching {file.filename}", progress))
            for file in needed
        ]
    except DownloadError as error:
        if not source.hub or local.offline():
            raise
        try:
            return _from_hub(source, folder)
        except DownloadError as second:
            raise DownloadError(f"{error.message}\n  {second.message}", hint=second.hint) from error


def _arrange(found: list[Path] | Path, stage: Path, progress: Progress | None) -> None:
    """Bring what was downloaded into the staging folder: archives unpacked, all else linked."""
    if isinstance(found, Path):
        shutil.copytree(found, stage, copy_function=_link, ignore=shutil.ignore_patterns(".*"))
        return
    for path in found:
        if archive_kind(path) is not None and not is_npz(path):
            target = stage if len(found) == 1 else stage / path.name.partition(".")[0]
            unpack(path, target, progress=bytes_of(f"unpacking {path.name}", progress))
        else:
            stage.mkdir(parents=True, exist_ok=True)
            _link(path, stage / path.name)


def _link(path: str | Path, target: str | Path) -> None:
    """A second name for a file, or a copy where the file system has no such thing."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copy2(path, target)


def _from_hub(source: ImageSource, folder: Path) -> Path:
    """A folder with the parquet files and shards of the source's splits from its repository on the Hub."""
    repository, _, revision = str(source.hub).partition("@")
    address = f"https://huggingface.co/datasets/{repository}"
    if local.offline():
        raise DownloadError(
            f"{source.name!r} is not on this machine, and offline mode forbids fetching it from {address}",
            hint=f"unset ROBUSTBENCH_SHIFT_OFFLINE and HF_HUB_OFFLINE, or: {local.how_to_add(source)}",
        )
    import huggingface_hub
    from huggingface_hub import errors

    gated: Any = errors.GatedRepoError
    named = [f"*{split}*.{kind}" for split in source.counts for kind in ("parquet", "tar")]
    patterns = list(source.hub_files) or named
    target = folder / "hub"
    try:
        huggingface_hub.snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision or None,
            local_dir=target,
            allow_patterns=patterns,
        )
    except gated as error:
        raise DownloadError(
            f"{address} asks its users to accept its terms first",
            hint=f"open {address}, log in and accept the terms; make a read token in the settings of your "
            f"account and put it into the environment variable HF_TOKEN; then: "
            f"robustbench-shift data fetch {source.name}",
        ) from error
    except (OSError, ValueError, errors.HfHubHTTPError) as error:
        first = str(error).strip().partition("\n")[0]
        raise DownloadError(
            f"{address}: {first}", hint=f"try again later, or: {local.how_to_add(source)}"
        ) from error
    if not any(path.suffix in (".parquet", ".tar") for path in walk(target, depth=6)):
        raise DownloadError(
            f"{address} holds no parquet file or shard of {', '.join(source.counts)}",
            hint=local.how_to_add(source),
        )
    return target
