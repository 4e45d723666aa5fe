"""Weights: where they lie, and whether they are the published ones.

Reading them is in ``models_zoo.checkpoints``, putting them into a network in ``models_zoo.fitting``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.checkpoints import INDEX, load_state_dict, shards_of
from models_zoo.fetched import remember
from models_zoo.fitting import load_into
from models_zoo.spec import HubFile, LocalFile
from shifts.digest import digest, file_digest
from shifts.errors import UserError, WeightsError
from shifts.local import cache_home, write_atomic
from shifts.registry import resolve
from shifts.spec import RemoteFile

if TYPE_CHECKING:
    from models_zoo.spec import ModelSpec

__all__ = [
    "load_into",
    "load_state_dict",
    "weights_digest",
    "weights_file",
    "weights_folder",
    "weights_origin",
]

Bytes = Callable[[int, "int | None"], None]  # bytes so far, bytes in all if known
# Files that are only a part of what they name: ending → what finds the other parts.
COMPANIONS: dict[str, Callable[[Path], tuple[Path, ...]] | str] = {
    INDEX: shards_of,
    ".onnx": "models_zoo.onnx_graph:external_files",
}


def weights_folder(spec: ModelSpec) -> Path:
    """Where the fetched weights of a model lie."""
    return cache_home() / "models" / re.sub(r"[^a-z0-9._-]+", "--", spec.name.lower())


def weights_file(spec: ModelSpec, override: Path | None = None, *, progress: Bytes | None = None) -> Path:
    """The weights to use: the user's own file, or the published one, fetched unless it is there.

    Args:
        override: a file given by the user; it is not compared with the published one.
        progress: called with (bytes so far, bytes in all or None) while fetching.

    Raises:
        WeightsError: no file, not the published one, or it cannot be fetched; says what to do.
    """
    if override is None and isinstance(spec.weights, LocalFile):
        override = Path(spec.weights.path)
    if override is not None:
        path = override.expanduser()
        if not path.is_file():
            raise WeightsError(
                f"{path} is {'a folder' if path.is_dir() else 'not there'}, not the weights of {spec.name!r}",
                hint="give a file: .safetensors, the .index.json of shards, or a PyTorch state dict",
            )
        return path
    if spec.weights is None:
        raise WeightsError(
            f"{spec.name!r} has no published weights",
            hint=f"robustbench-shift train {spec.name}" if spec.recipe else "give a file with --weights",
        )
    if isinstance(spec.weights, HubFile):
        from models_zoo.hub import hub_file

        return hub_file(spec.weights, model=spec.name, progress=progress)
    assert not isinstance(spec.weights, LocalFile), "taken as the user's own file above"
    return _remote(spec.weights, spec, progress=progress)


def weights_digest(path: Path) -> str:
    """Hex SHA-256 of a file; of one that names further files (shards, external data), of all together.

    It is remembered by place, size and time, so that a file is read only once.

    Raises:
        WeightsError: a file cannot be read.
    """
    find = next((find for ending, find in COMPANIONS.items() if path.name.endswith(ending)), None)
    others = () if find is None else (resolve(find) if isinstance(find, str) else find)(path)
    if not others:
        return _digest_of(path)
    return digest({one.relative_to(path.parent).as_posix(): _digest_of(one) for one in (path, *others)})


def weights_origin(spec: ModelSpec, path: Path) -> dict[str, Any]:
    """Where a weights file came from, as plain data for a result; says nothing of the user's folders."""
    published = spec.weights
    if isinstance(published, HubFile) and (
        found := re.search(r"/snapshots/([0-9a-f]{40})/", path.as_posix())
    ):
        return {"hub": published.repo, "revision": found[1], "file": path.name}
    if isinstance(published, RemoteFile) and path == weights_folder(spec) / published.filename:
        return {"url": published.urls[0] if published.urls else None, "file": path.name}
    if spec.recipe is not None and path.is_relative_to(cache_home()):
        return {"trained": "by its recipe"}
    return {"own": path.name}


def _remote(file: RemoteFile, spec: ModelSpec, *, progress: Bytes | None) -> Path:
    from shifts.download import DownloadError, download

    path = weights_folder(spec) / file.filename
    pinned = file.sha256 is not None
    if path.is_file() and _is_published(file, path):
        if not pinned:
            remember(_key(file), {"sha256": weights_digest(path)}, where=path)
        return path
    try:
        download(file, path, progress=progress)
    except DownloadError as error:
        damaged = f" ({path} is there but damaged)" if path.is_file() else ""
        raise WeightsError(
            f"the weights of {spec.name!r} are not on this machine{damaged}: {error.message}",
            hint=f"{error.hint}; or give a copy with --weights FILE",
        ) from error
    if not pinned:
        try:
            remember(_key(file), {"sha256": weights_digest(path)}, where=path)
        except WeightsError:
            path.unlink()
            raise
    return path


def _key(file: RemoteFile) -> str:
    return file.urls[0] if file.urls else file.filename


def _is_published(file: RemoteFile, path: Path) -> bool:
    expected = file.sha256 or file.sha256_prefix
    if expected:
        return weights_digest(path).startswith(expected.lower())
    from shifts.download import fault

    return fault(file, path) is None


def _digest_of(path: Path) -> str:
    memory = cache_home() / "weights-digests.json"
    try:
        key, stat = str(path.resolve()), path.stat()
        known = _remembered(memory)
        state = [stat.st_size, stat.st_mtime_ns]
        if key in known and known[key][:2] == state:
            return str(known[key][2])
        found = file_digest(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    known[key] = [*state, found]
    with suppress(UserError, OSError):  # a cache that cannot be written costs time, nothing else
        write_atomic(memory, json.dumps(known, indent=1, sort_keys=True))
    return found


def _remembered(memory: Path) -> dict[str, list[Any]]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {k: v for k, v in known.items() if isinstance(v, list) and len(v) == 3}
