"""Hugging Face parquet files: a column of encoded images and a column of labels."""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.errors import CorruptDataError
from shifts.readers.layouts import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT_GROUPS = 4  # enough for the few threads that read side by side
WHOLE_GROUP = 64 * 2**20  # bytes of images; a larger row group is read as a stream
STREAM_ROWS = 64
BUFFER = 2**16  # bytes; without it Arrow reads the column of a row group in one piece


def parquet_files(root: Path, split: str) -> list[Path]:
    """The parquet files of a split, in order: ``test-00000-of-00001.parquet``, ``NAME-test.parquet`` or
    ``test/0000.parquet``."""
    found = sorted(path for path in walk(root) if path.suffix == ".parquet")
    name = rf"{re.escape(split)}(?:[-_.].*)?\.parquet"
    # A name that begins with the split comes first: "id_test-0.parquet" is of another split than "test".
    for pattern in (name, rf".*[-_.]{name}"):
        named = re.compile(pattern, re.IGNORECASE)
        chosen = [path for path in found if named.fullmatch(path.name)]
        if chosen:
            return chosen
    return [path for path in found if path.parent.name == split]


class ParquetPayloads:
    """Images by row; one row group at a time is in memory, and of a large one only a few rows.

    Args:
        paths: files whose rows follow one another.
        image: name of the column, a struct with ``bytes``; None takes the first such column.
        label: name of the column of integers; None for a set that has none.

    Attributes:
        labels: int64 (N,); empty without a label column.

    Raises:
        CorruptDataError: no parquet, cut short, or without these columns.
    """

    def __init__(
        self, paths: Sequence[Path], *, image: str | None = None, label: str | None = "label"
    ) -> None:
        self._paths = list(paths)
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, Any] = OrderedDict()
        self._stream: tuple[int, int, Any, Iterator[Any]] | None = None
        self._groups: list[tuple[int, int, bool]] = []  # file, group in it, whether it is read whole
        sizes: list[int] = []
        labels: list[NDArray[np.int64]] = []
        for number, path in enumerate(self._paths):
            with _readable(path):
                opened = _open(path)
                image = image or _image_column(opened.schema_arrow)
                if image is None or not {image, label or image} <= set(opened.schema_arrow.names):
                    wanted = repr(image) if image else "a struct of bytes and path"
                    raise CorruptDataError(
                        f"{path} has the columns {', '.join(opened.schema_arrow.names)}; expected "
                        + (f"{label!r} and {wanted}" if label else wanted),
                        hint="point to the parquet files as the Hub serves them",
                    )
                if label is not None:
                    column = opened.read(columns=[label]).column(label)
                    if column.null_count:
                        raise CorruptDataError(f"{path} has rows without a label")
                    labels.append(column.to_numpy().astype(np.int64))
                for group in range(opened.num_row_groups):
                    rows = opened.metadata.row_group(group)
                    sizes.append(rows.num_rows)
                    self._groups.append((number, group, rows.total_byte_size <= WHOLE_GROUP))
        self._image = image
        self._ends = list(accumulate(sizes))
        self.labels: NDArray[np.int64] = np.concatenate(labels) if labels else np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> bytes:
        if not 0 <= index < len(self):
            raise IndexError(index)
        group = bisect_right(self._ends, index)
        row = index - (self._ends[group - 1] if group else 0)
        number, inside, whole = self._groups[group]
        with self._lock, _readable(self._paths[number]):
            value = self._whole(group, inside, row) if whole else self._streamed(group, inside, row)
        if value is None:
            raise CorruptDataError(f"{self.where(index)} has no image")
        return bytes(value)

    def _whole(self, group: int, inside: int, row: int) -> Any:
        if group not in self._cache:
            opened = _open(self._paths[self._groups[group][0]])
            column = opened.read_row_group(inside, columns=[f"{self._image}.bytes"]).column(0)
            self._cache[group] = column.combine_chunks().field("bytes")
            while len(self._cache) > KEPT_GROUPS:
                self._cache.popitem(last=False)
        self._cache.move_to_end(group)
        return self._cache[group][row].as_py()

    def _streamed(self, group: int, inside: int, row: int) -> Any:
        if self._stream is None or self._stream[0] != group or row < self._stream[1]:
            opened = _open(self._paths[self._groups[group][0]])
            batches = opened.iter_batches(
                STREAM_ROWS, row_groups=[inside], columns=[f"{self._image}.bytes"], use_threads=False
            )
            self._stream = (group, 0, next(batches), batches)
        _, start, batch, batches = self._stream
        while row >= start + len(batch):
            start, batch = start + len(batch), next(batches)
        self._stream = (group, start, batch, batches)
        return batch.column(0).field("bytes")[row - start].as_py()

    def where(self, index: int) -> str:
        group = bisect_right(self._ends, index)
        number = self._groups[group][0]
        first = next(g for g, (file, _, _) in enumerate(self._groups) if file == number)
        return f"{self._paths[number]}, row {index - (self._ends[first - 1] if first else 0)}"

    def paths(self) -> list[Path]:
        return self._paths

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        with _readable(self._paths[0]):
            return list(_open(self._paths[0]).schema_arrow.names)

    def column(self, name: str) -> NDArray[Any]:
        """A plain column.

        Raises:
            CorruptDataError: there is none of this name.
        """
        return column_of(self._paths, name)

    def class_names(self, name: str) -> tuple[str, ...] | None:
        """What the numbers of a column stand for, or None where it does not say.

        The Hub keeps it in the schema: ``{"info": {"features": {NAME: {"names": [...]}}}}``.
        """
        with _readable(self._paths[0]):
            known = (_open(self._paths[0]).schema_arrow.metadata or {}).get(b"huggingface", b"{}")
        try:
            names = json.loads(known)["info"]["features"][name]["names"]
        except (ValueError, KeyError, TypeError):
            return None
        return tuple(map(str, names)) if isinstance(names, list) else None

    def file_names(self) -> list[str | None]:
        """N names of the files that the images once were, as far as the rows keep them."""
        found: list[str | None] = []
        for path in self._paths:
            with _readable(path):
                opened = _open(path)
                kind = opened.schema_arrow.field(self._image).type
                if kind.get_field_index("path") < 0:
                    found += [None] * opened.metadata.num_rows
                else:
                    column = opened.read(columns=[f"{self._image}.path"]).column(0).combine_chunks()
                    found += column.field("path").to_pylist()
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value for key, value in self.__dict__.items() if key not in ("_lock", "_cache", "_stream")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._cache, self._stream = threading.Lock(), OrderedDict(), None


def column_of(paths: Sequence[Path], name: str) -> NDArray[Any]:
    """A plain column of files whose rows follow one another.

    Raises:
        CorruptDataError: no parquet, cut short, or without this column.
    """
    parts: list[NDArray[Any]] = []
    for path in paths:
        with _readable(path):
            opened = _open(path)
            if name not in opened.schema_arrow.names:
                raise CorruptDataError(
                    f"{path} has the columns {', '.join(opened.schema_arrow.names)}; expected {name!r}",
                    hint="point to the parquet files as the Hub serves them",
                )
            parts.append(opened.read(columns=[name]).column(name).to_numpy(zero_copy_only=False))
    return np.concatenate(parts)


class _readable:
    """Turns the errors of a damaged file into one message that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import pyarrow as pa

        if isinstance(error, (pa.ArrowException, OSError, StopIteration)):
            raise CorruptDataError(
                f"{self.path} is not a readable parquet file: {error}", hint="get the file again"
            ) from error


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)


def _image_column(schema: Any) -> str | None:
    import pyarrow as pa

    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return str(field.name)
    return None
