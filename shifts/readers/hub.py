"""What the Hub serves, by row: parquet files as downloaded, or a folder written by ``save_to_disk``.

Parquet is read in place, a row group at a time: the ``datasets`` library would first write a second copy of
every image into its cache. Folders that it has written are mapped by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from shifts.readers.parquet import ParquetPayloads, parquet_files
from shifts.readers.saved import SavedPayloads, saved_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray


class HubPayloads(Protocol):
    """Encoded images by row with the columns beside them."""

    labels: NDArray[np.int64]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> bytes: ...

    def where(self, index: int) -> str: ...

    def paths(self) -> list[Path]: ...

    @property
    def columns(self) -> list[str]: ...

    def column(self, name: str) -> NDArray[Any]: ...

    def class_names(self, name: str) -> tuple[str, ...] | None: ...

    def file_names(self) -> list[str | None]: ...


def hub_payloads(root: Path, *called: str, label: str | None = "label") -> HubPayloads | None:
    """The rows of a split, or None where neither layout is there.

    Args:
        called: what the Hub calls the split, in the order tried.
        label: name of the column of labels; None for a set that has none.

    Raises:
        CorruptDataError: damaged, or without an image or label column.
    """
    for split in called:
        paths = parquet_files(root, split)
        if paths:
            return ParquetPayloads(paths, label=label)
        folder = saved_folder(root, split)
        if folder is not None:
            return SavedPayloads(folder, label=label)
    return None


def words(payloads: HubPayloads, name: str) -> NDArray[np.str_]:
    """A column as text, (N,); numbers that stand for classes as their names."""
    values, names = payloads.column(name), payloads.class_names(name)
    if names is not None and values.dtype.kind in "iu" and len(values):
        return np.asarray([names[code] if 0 <= code < len(names) else str(code) for code in values.tolist()])
    return np.asarray(values.astype(str))


def labels_by_name(payloads: HubPayloads, classes: Mapping[str, int]) -> NDArray[np.int64]:
    """The labels int64 (N,), by the names of the copy's classes where it tells them: another order of the
    same classes then does no harm.

    Args:
        classes: name of a class → its label.
    """
    names = payloads.class_names("label")
    if names is None or not set(names) <= classes.keys():
        return payloads.labels
    own = np.array([classes[name] for name in names], dtype=np.int64)
    known = (payloads.labels >= 0) & (payloads.labels < len(own))
    return np.where(known, own[np.where(known, payloads.labels, 0)], -1)
