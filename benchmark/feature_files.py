"""Features that were computed elsewhere: ``.npy``, ``.npz``, ``.safetensors`` or ``.parquet``, never pickled.

A matrix of N feature vectors and, where the format can hold them, N labels and N ids. float32 values that lie
uncompressed in the file are mapped, not read; anything else is converted once, up to ``MAX_BYTES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.feature_formats import READERS, bounded
from shifts.errors import CorruptDataError, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 2**22  # values converted or looked at in one piece


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureFile:
    """What a file of features holds.

    Attributes:
        path: the file.
        values: float32 (N, D), finite; a memory map where the file allows it.
        labels: int64 (N,), or None where there are none.
        ids: N different strings, or None where there are none.
    """

    path: Path
    values: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    ids: tuple[str, ...] | None


def read_feature_file(path: Path) -> FeatureFile:
    """Read a file of features.

    Layouts, told by the ending: ``.npy``, one array (N, D); ``.npz`` and ``.safetensors``, an array called
    ``features`` (or ``embeddings``, ``x``; or the only one) beside optional ``labels`` and, in an npz,
    ``ids``; ``.parquet``, a list column of that name or columns ``feature_0``, ``feature_1``, …, beside
    optional ``label`` and id columns.

    Args:
        path: the file.

    Raises:
        UserError: no such file, another ending, no array of features, or too large to convert.
        CorruptDataError: damaged, pickled, of another shape or dtype, values that are not finite, labels or
            ids that do not fit.
    """
    path = path.expanduser()
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise UserError(
            f"{path.name} is no file of features: its ending is none of {', '.join(READERS)}",
            hint="numpy.save('features.npy', array) writes one; pickles are not read: they may hold code",
        )
    if not path.is_file():
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'not there'}", hint="give a file")
    found = read(path)
    values = _values(path, found.values)
    n = len(values)
    ids = None if found.ids is None else tuple(_text(one) for one in found.ids)
    if ids is not None and (len(ids) != n or len(set(ids)) != n):
        raise CorruptDataError(
            f"{path} holds {len(ids)} ids, {len(set(ids))} of them different, for {n} feature vectors",
            hint="one id of its own for each",
        )
    return FeatureFile(path=path, values=values, labels=_labels(path, found.labels, n), ids=ids)


def _values(path: Path, values: NDArray[Any]) -> NDArray[np.float32]:
    if values.ndim != 2 or not values.size or values.dtype.kind != "f":
        raise CorruptDataError(
            f"{path} holds features {values.dtype} {values.shape}; expected floats (N, D), a row an example",
            hint="flatten each example's features to one row",
        )
    out: NDArray[np.float32] = values
    rows = max(_BLOCK // values.shape[1], 1)
    convert = values.dtype != np.dtype(np.float32) or not values.dtype.isnative
    if convert:
        bounded(path, values.shape)
        out = np.empty(values.shape, dtype=np.float32)
    for start in range(0, len(values), rows):
        block = values[start : start + rows]
        if convert:
            with np.errstate(over="ignore"):  # what float32 cannot hold is found as infinite below
                out[start : start + rows] = block
            block = out[start : start + rows]
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if bad.size:
            raise CorruptDataError(
                f"{path}, row {start + int(bad[0])}: features that are not finite float32 numbers",
                hint="compute them again, or leave the row out",
            )
    return out


def _labels(path: Path, labels: NDArray[Any] | None, n: int) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or (labels.astype(np.int64) < 0).any():
        raise CorruptDataError(
            f"{path} holds labels {labels.dtype} {labels.shape} for {n} feature vectors",
            hint="one whole number from 0 for each",
        )
    return labels.astype(np.int64)


def _text(one: Any) -> str:
    return one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
