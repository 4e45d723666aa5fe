"""The formats that features come in: what is read of each, bounded and never unpickled."""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.answer_files import IDS
from shifts.errors import CorruptDataError, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = ("features", "embeddings", "embedding", "feature", "x")
LABELS = ("labels", "label", "targets", "y")
MAX_BYTES = 8 * 2**30  # of values that cannot be mapped
_ROWS = 4096  # of a table, in one piece
_LOCAL_HEADER = 30  # bytes of a zip member before its name and extra field
# Encrypted members raise RuntimeError, compressions unknown here NotImplementedError.
_DAMAGED = (
    ValueError, OSError, EOFError, KeyError, struct.error, zlib.error, zipfile.BadZipFile, RuntimeError,
    NotImplementedError,
)  # fmt: skip
# Of safetensors; NumPy has no bfloat16: its bits are the upper half of a float32's.
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U8": "u1",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """As read: nothing is checked but what the format says of itself."""

    values: NDArray[Any]
    labels: NDArray[Any] | None = None
    ids: Sequence[Any] | None = None


def bounded(path: Path, shape: Sequence[int]) -> None:
    """Refuse to hold more float32 values in memory than ``MAX_BYTES``.

    Raises:
        UserError: they are more.
    """
    if math.prod(shape) * 4 > MAX_BYTES:
        raise UserError(
            f"{path} holds {tuple(shape)} values, too many to convert in memory",
            hint="save them as float32 in a .npy file: that is mapped, not read",
        )


def _named(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """The name among those wanted that comes first, whatever its case."""
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in wanted if name in lower), None)


def _features_name(path: Path, names: Sequence[str]) -> str:
    name = _named(names, FEATURES) or (names[0] if len(names) == 1 else None)
    if name is None:
        raise UserError(
            f"{path} holds {', '.join(names[:6]) or 'nothing'}, but no features",
            hint=f"call them {', '.join(FEATURES[:-1])} or {FEATURES[-1]}",
        )
    return name


def _npy(path: Path) -> Found:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    if not isinstance(array, np.ndarray):  # an archive under another ending
        raise CorruptDataError(f"{path} holds several arrays", hint="call it .npz")
    return Found(values=array)


def _npz(path: Path) -> Found:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                one.filename.removesuffix(".npy"): one
                for one in archive.infolist()
                if one.filename.endswith(".npy")
            }
            names = list(members)
            labels, ids = _named(names, LABELS), _named(names, (*IDS, "ids", "example_ids"))
            return Found(
                values=_member(path, archive, members[_features_name(path, names)]),
                labels=None if labels is None else _member(path, archive, members[labels]),
                ids=None if ids is None else _member(path, archive, members[ids]).tolist(),
            )
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """An array of an archive: mapped where it is stored as it is, else read within the bound."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in header:
            raise ValueError(f"{member.filename} has the format version {version}")
        shape, fortran, dtype = header[version](stream)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds pickled objects")
        size = math.prod(shape) * dtype.itemsize
        if stream.tell() + size != member.file_size:
            raise ValueError(f"{member.filename} is not as long as its shape {shape} says")
        if member.compress_type == zipfile.ZIP_STORED and size:
            with path.open("rb") as raw:
                raw.seek(member.header_offset)
                name, extra = struct.unpack("<HH", raw.read(_LOCAL_HEADER)[26:])
            start = member.header_offset + _LOCAL_HEADER + name + extra + stream.tell()
            order = "F" if fortran else "C"
            return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)  # type: ignore[call-overload,no-any-return]  # the order is a literal
        bounded(path, (size // 4 + 1,))
        flat = np.frombuffer(stream.read(size), dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _safetensors(path: Path) -> Found:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:  # checks the header against the file
            names = list(opened.keys())
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise _damaged(path, error) from error
    labels = _named(names, LABELS)
    return Found(
        values=_tensor(path, header, _features_name(path, names), start=8 + length),
        labels=None if labels is None else _tensor(path, header, labels, start=8 + length),
    )


def _tensor(path: Path, header: Mapping[str, Any], name: str, *, start: int) -> NDArray[Any]:
    known = header[name]
    dtype, shape = known["dtype"], tuple(known["shape"])
    if dtype not in _DTYPES:
        raise CorruptDataError(f"{path}: {name} is {dtype}", hint="save it as float32, labels as int64")
    if not math.prod(shape):
        return np.zeros(shape, dtype=np.float32)
    values: NDArray[Any] = np.memmap(
        path, dtype=_DTYPES[dtype], mode="r", offset=start + known["data_offsets"][0], shape=shape
    )
    if dtype == "BF16":
        bounded(path, shape)
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values


def _parquet(path: Path) -> Found:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(path)
        names = opened.schema_arrow.names
        numbered = _numbered(path, names)
        columns = numbered or [_features_name(path, names)]
        labels, ids = _named(names, LABELS), _named(names, IDS)
        values, done = None, 0
        for batch in opened.iter_batches(batch_size=_ROWS, columns=columns):
            block = _lists(path, batch.column(0)) if not numbered else _side_by_side(batch)
            if values is None:
                shape = (opened.metadata.num_rows, block.shape[1])
                bounded(path, shape)
                values = np.empty(shape, dtype=np.float32)
            if block.shape[1] != values.shape[1]:
                raise CorruptDataError(f"{path}, row {done}: {block.shape[1]} features, before it {shape[1]}")
            values[done : done + len(block)] = block
            done += len(block)
        if values is None:
            raise CorruptDataError(f"{path} has no rows")
        return Found(
            values=values,
            labels=None if labels is None else _column(opened, labels).to_numpy(zero_copy_only=False),
            ids=None if ids is None else _column(opened, ids).to_pylist(),
        )
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _numbered(path: Path, names: Sequence[str]) -> list[str]:
    """Columns ``feature_0``, ``feature_1``, … in the order of their numbers; none where there are none."""
    parts = {name: name.rpartition("_")[2] for name in names if name.rpartition("_")[0].lower() in FEATURES}
    ordered = sorted((name for name in parts if parts[name].isdecimal()), key=lambda name: int(parts[name]))
    if [int(parts[name]) for name in ordered] != list(range(len(ordered))):
        raise CorruptDataError(
            f"{path}: the columns of features are not numbered from 0 to {len(ordered) - 1}",
            hint=f"they run from {ordered[0]} to {ordered[-1]}",
        )
    return ordered


def _side_by_side(batch: Any) -> NDArray[np.float32]:
    return np.stack(
        [np.asarray(one.to_numpy(zero_copy_only=False), dtype=np.float32) for one in batch.columns], axis=1
    )


def _lists(path: Path, column: Any) -> NDArray[np.float32]:
    import pyarrow.compute as pc

    if column.null_count or not hasattr(column.type, "value_type"):
        raise CorruptDataError(
            f"{path}: the features are {column.type}, {column.null_count} missing; expected lists of floats"
        )
    lengths = np.asarray(pc.list_value_length(column).to_numpy(zero_copy_only=False))
    odd = np.flatnonzero(lengths != lengths[0])
    if odd.size:
        raise CorruptDataError(f"{path}: rows of {lengths[odd[0]]} and of {lengths[0]} features")
    flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    return flat.reshape(len(column), -1)


def _column(opened: Any, name: str) -> Any:
    return opened.read(columns=[name]).column(name)


def _damaged(path: Path, error: Exception) -> CorruptDataError:
    return CorruptDataError(f"{path} is not a readable file of features: {error}", hint="write it again")


READERS: dict[str, Callable[[Path], Found]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}
