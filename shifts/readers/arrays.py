"""Images in NumPy files: rows of one array, or encoded images packed into one array."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.data import Examples
from shifts.errors import CorruptDataError
from shifts.readers.payloads import ArrayPayloads, PackedPayloads

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAMAGED = (ValueError, OSError, EOFError, KeyError, MemoryError, zlib.error, zipfile.BadZipFile)
_KINDS: Mapping[str, Any] = {"integer": np.integer, "number": np.number}


def row_ids(prefix: str, rows: Sequence[int], *, width: int = 5) -> list[str]:
    """Ids of rows in an official order.

    >>> row_ids("test", [0, 12])
    ['test-00000', 'test-00012']
    """
    return [f"{prefix}-{row:0{width}d}" for row in rows]


def is_npz(path: Path) -> bool:
    """Whether a file is an archive of arrays: a zip whose members are all ``.npy``."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def has_arrays(path: Path, *names: str) -> bool:
    """Whether an archive of arrays holds all of these; reads its table of contents alone."""
    with zipfile.ZipFile(path) as archive:
        return {f"{name}.npy" for name in names} <= set(archive.namelist())


def npy(path: Path, *, dtype: str, ndim: int) -> NDArray[Any]:
    """An array mapped from a file, not read.

    Args:
        dtype: NumPy's name of it, or ``"integer"`` or ``"number"`` for any of these.

    Raises:
        CorruptDataError: no such file, another dtype or number of axes, cut short, or pickled objects.
    """
    kind = _KINDS.get(dtype) or np.dtype(dtype)
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGED as error:
        raise CorruptDataError(
            f"{path} is not a readable array: {error}", hint="get the file again"
        ) from error
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, kind) or array.ndim != ndim:
        found = f"{array.dtype}, {array.ndim} axes" if isinstance(array, np.ndarray) else "several arrays"
        raise CorruptDataError(
            f"{path} holds {found}; expected {dtype}, {ndim} axes", hint="get the file again"
        )
    return array


def npz(path: Path, *, required: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, NDArray[Any]]:
    """The named arrays of an archive; others in it are not read, and objects are never unpickled.

    Raises:
        CorruptDataError: damaged, or a required array is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in required if name not in archive]
            if missing:
                raise CorruptDataError(
                    f"{path} holds no array {', '.join(missing)} (only {', '.join(archive.files)})",
                    hint="get the file again",
                )
            return {name: archive[name] for name in (*required, *optional) if name in archive}
    except _DAMAGED as error:
        raise CorruptDataError(
            f"{path} is not a readable archive of arrays: {error}", hint="get the file again"
        ) from error


def encoded_npz(path: Path, *, prefix: str) -> Examples:
    """Encoded images in one archive of arrays.

    Layout: ``jpeg`` uint8 (total,) holds the files one after the other, image i being
    ``jpeg[offsets[i]:offsets[i + 1]]``; ``offsets`` int64 (N + 1,); ``labels`` (N,); and, where the rows
    belong to a published order, ``orig_test_index`` (N,) their numbers in it.

    Args:
        prefix: of the ids, which are ``PREFIX-00000`` by number in the published order, else by row.

    Raises:
        CorruptDataError: arrays are missing or do not fit each other.
    """
    found = npz(path, required=("jpeg", "offsets", "labels"), optional=("orig_test_index",))
    data, offsets, labels = found["jpeg"], found["offsets"], found["labels"]
    number = len(labels) if labels.ndim == 1 and labels.dtype.kind in "iu" else -1
    if data.dtype != np.uint8 or data.ndim != 1 or offsets.shape != (number + 1,):
        raise CorruptDataError(
            f"{path}: jpeg {data.dtype} {data.shape}, offsets {offsets.shape}, labels {labels.dtype} "
            f"{labels.shape} do not fit each other (expected uint8 (total,), (N + 1,), integers (N,))",
            hint="get the file again",
        )
    offsets = offsets.astype(np.int64)
    if offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) <= 0).any():
        raise CorruptDataError(
            f"{path}: offsets do not cut the {len(data)} bytes into images", hint="get the file again"
        )
    rows = found.get("orig_test_index", np.arange(number))
    if rows.shape != (number,) or not np.issubdtype(rows.dtype, np.integer):
        raise CorruptDataError(f"{path}: orig_test_index is not one integer for each image")
    return Examples(
        payloads=PackedPayloads(data, offsets, path=path),
        labels=labels.astype(np.int64),
        ids=row_ids(prefix, rows.tolist()),
    )


def array_rows(
    images: NDArray[Any], labels: NDArray[Any], *, paths: Sequence[Path], ids: Sequence[str], side: int
) -> Examples:
    """Pixels that are rows of an array, with a label for each.

    Args:
        images: uint8 (N, side, side, 3).
        labels: integers (N,).
        paths: the files both come from, that of the images first.

    Raises:
        CorruptDataError: shapes that do not fit.
    """
    if images.dtype != np.uint8 or images.shape != (len(labels), side, side, 3) or len(ids) != len(labels):
        raise CorruptDataError(
            f"{paths[0]} holds images {images.dtype} {images.shape} for {len(labels)} labels; expected uint8 "
            f"({len(ids)}, {side}, {side}, 3)",
            hint="get the files again; images and labels belong together",
        )
    return Examples(payloads=ArrayPayloads(images, paths), labels=labels.astype(np.int64), ids=ids)
