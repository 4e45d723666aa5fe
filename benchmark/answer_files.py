"""Files of answers that a model gave elsewhere, as a stream of rows: CSV or Parquet, told by content.

A column of ids and, the first that is there: logits, probabilities, or classes. Nothing in a file is run, and
no more than a chunk of it is in memory.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shifts.digest import file_digest
from shifts.errors import CorruptDataError, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["logits", "probabilities", "classes"]

IDS = ("example_id", "id", "image_id", "image", "filename", "file_name", "path")
_PREFIXES: dict[Kind, str] = {"logits": "logits?", "probabilities": "prob(?:s|ability|abilities)?"}
_LISTS = {"logits": "logits", "probs": "probabilities", "probabilities": "probabilities"}
_BEST = ("prediction", "pred", "top1")
MAX_COLUMNS = 30_000  # more than any head has (21,843)
CHUNK_VALUES = 2**20
CSV_BLOCK = 2**23  # bytes; a line has to fit
_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows.

    Attributes:
        first: number of the first one, as messages name it: a line of a CSV file, a row of a Parquet file.
        ids: B strings.
        values: float64 (B, M) of logits or probabilities; of classes B rows of one or five, best first, as
            written.
    """

    first: int
    ids: Sequence[str]
    values: NDArray[np.float64] | Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFile:
    """A file whose columns are understood.

    Attributes:
        columns: that hold the answers, in their order; one where they are lists.
        classes: what names the columns of logits or probabilities (``logit_n01440764``), or None where
            they are numbered from 0.
        unit: ``"line"`` or ``"row"``.
    """

    path: Path
    kind: Kind
    ids: str
    columns: tuple[str, ...]
    classes: tuple[str, ...] | None
    unit: str
    delimiter: str = ","

    def digest(self) -> str:
        """SHA-256 of the file."""
        return file_digest(self.path)

    def chunks(self) -> Iterator[Chunk]:
        """The rows in the order of the file.

        Raises:
            CorruptDataError: names the line or row that is no answer.
        """
        tables = self._parquet() if self.unit == "row" else self._csv()
        first = 1 if self.unit == "row" else 2  # line 1 is the header
        for table in tables:
            if table.num_rows:
                yield self._chunk(table, first)
            first += table.num_rows

    def fault(self, number: int, what: str) -> CorruptDataError:
        """The message about a line or row."""
        return CorruptDataError(f"{self.path}, {self.unit} {number}: {what}", hint="mend it and import again")

    def _chunk(self, table: Any, first: int) -> Chunk:
        for name in (self.ids, *self.columns):
            column = table.column(name)
            if column.null_count:
                raise self.fault(first + _first(column.is_null()), f"{name!r} is empty")
        ids = [str(one) for one in table.column(self.ids).to_pylist()]
        listed = len(self.columns) == 1 and hasattr(table.schema.field(self.columns[0]).type, "value_type")
        if self.kind == "classes":
            rows = zip(*(table.column(name).to_pylist() for name in self.columns), strict=True)
            return Chunk(first=first, ids=ids, values=[self._words(row) for row in rows])
        if listed:
            values = self._matrix(table.column(self.columns[0]), first)
        else:
            columns = [table.column(name).to_numpy() for name in self.columns]
            values = np.stack([np.asarray(one, dtype=np.float64) for one in columns], axis=1)
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if bad.size:
            raise self.fault(first + int(bad[0]), f"{self.kind} that are not finite numbers")
        return Chunk(first=first, ids=ids, values=values)

    def _words(self, row: Sequence[Any]) -> list[str]:
        flat = row[0] if len(row) == 1 and isinstance(row[0], list) else row
        return [str(one) for one in flat]

    def _matrix(self, column: Any, first: int) -> NDArray[np.float64]:
        lists = column.combine_chunks()
        values = np.asarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float64)
        lengths = np.asarray(lists.value_lengths().to_numpy(zero_copy_only=False))
        odd = np.flatnonzero(lengths != lengths[0])
        if odd.size:
            raise self.fault(first + int(odd[0]), f"{lengths[odd[0]]} {self.kind}, before it {lengths[0]}")
        if not lengths[0]:
            raise self.fault(first, f"no {self.kind}")
        return values.reshape(len(lengths), -1)

    def _parquet(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(self.path)
            width = len(self.columns) if len(self.columns) > 1 else 1024
            batches = file.iter_batches(
                batch_size=max(CHUNK_VALUES // width, 1), columns=[self.ids, *self.columns]
            )
            for batch in batches:
                yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise CorruptDataError(f"{self.path} is damaged: {error}", hint="write it again") from error

    def _csv(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.csv as pc

        kind = pa.string() if self.kind == "classes" else pa.float64()
        try:
            with pc.open_csv(
                self.path,
                read_options=pc.ReadOptions(block_size=CSV_BLOCK, use_threads=False),
                parse_options=pc.ParseOptions(delimiter=self.delimiter, ignore_empty_lines=False),
                convert_options=pc.ConvertOptions(
                    column_types={self.ids: pa.string(), **dict.fromkeys(self.columns, kind)},
                    include_columns=[self.ids, *self.columns],
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            ) as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            self._explain()
            raise CorruptDataError(f"{self.path} cannot be read: {error}", hint="write it again") from error

    def _explain(self) -> None:
        """Raise about the first line that is no row of numbers: Arrow does not always say which it is."""
        with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            reader = csv.reader(stream, delimiter=self.delimiter)
            header = next(reader)
            numbers = [header.index(name) for name in self.columns] if self.kind != "classes" else []
            for row in reader:
                if len(row) != len(header):
                    raise self.fault(reader.line_num, f"{len(row)} values under {len(header)} names")
                for place in numbers:
                    try:
                        float(row[place])
                    except ValueError:
                        what = f"{header[place]} is {row[place][:40]!r}, not a number"
                        raise self.fault(reader.line_num, what) from None


def open_answers(path: Path) -> AnswerFile:
    """Find out what a file holds.

    Raises:
        UserError: no such file, or no columns of ids and answers; says which there are.
        CorruptDataError: damaged.
    """
    path = path.expanduser()
    try:
        with path.open("rb") as stream:
            parquet = stream.read(4) == _PARQUET
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", hint="--predictions FILE") from error
    if parquet:
        names, lists, delimiter = _parquet_columns(path), True, ","
    else:
        (names, delimiter), lists = _csv_columns(path), False
    if len(set(names)) != len(names) or len(names) > MAX_COLUMNS:
        raise UserError(
            f"{path} has {len(names)} columns, "
            + ("some of one name" if len(names) <= MAX_COLUMNS else f"more than {MAX_COLUMNS}")
        )
    ids = [name for name in names if name.strip().lower() in IDS]
    kind, columns, classes = _answers(path, names, lists=lists)
    if len(ids) != 1:
        found = f"has {' and '.join(ids)}: which are the ids?" if ids else f"has {_some(names)}"
        raise UserError(f"{path} {found}", hint=f"one column of ids, called one of {', '.join(IDS)}")
    return AnswerFile(
        path=path,
        kind=kind,
        ids=ids[0],
        columns=columns,
        classes=classes,
        unit="row" if parquet else "line",
        delimiter=delimiter,
    )


def _answers(
    path: Path, names: Sequence[str], *, lists: bool
) -> tuple[Kind, tuple[str, ...], tuple[str, ...] | None]:
    for kind, prefix in _PREFIXES.items():
        whole = [name for name in names if _LISTS.get(name) == kind]
        if whole and lists:
            return kind, (whole[0],), None
        parts = {name: found[1] for name in names if (found := re.fullmatch(f"{prefix}_(.+)", name))}
        if not parts:
            continue
        if all(part.isdecimal() for part in parts.values()):
            ordered = sorted(parts, key=lambda name: int(parts[name]))
            if [int(parts[name]) for name in ordered] != list(range(len(parts))):
                raise UserError(
                    f"{path}: the columns of {kind} are not numbered from 0 to {len(parts) - 1}",
                    hint=f"they run from {ordered[0]} to {ordered[-1]}",
                )
            return kind, tuple(ordered), None
        return kind, tuple(parts), tuple(parts.values())
    best = [name for name in names if name in _BEST]
    if len(best) != 1:
        raise UserError(
            f"{path} has {_some(names)}, but no answers",
            hint="columns logit_0, logit_1, … or prob_0, prob_1, …; or one column prediction with classes"
            + ("; or a list column logits or probs" if lists else ""),
        )
    if "top5" in names and lists:
        return "classes", ("top5",), None
    five = [f"top5_{rank}" for rank in range(5)]
    if set(five) <= set(names):
        return "classes", tuple(five), None
    return "classes", (best[0],), None


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names: list[str] = pq.ParquetFile(path).schema_arrow.names
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(f"{path} is not a readable Parquet file: {error}") from error
    return names


def _csv_columns(path: Path) -> tuple[list[str], str]:
    with path.open("rb") as stream:
        line = stream.readline(CSV_BLOCK)
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CorruptDataError(
            f"{path} is neither Parquet nor a CSV file in UTF-8: {error.reason}", hint="write it as CSV"
        ) from error
    delimiter = max(",;\t", key=text.count)
    return next(csv.reader([text], delimiter=delimiter), []), delimiter


def _first(flags: Any) -> int:
    return int(np.flatnonzero(np.asarray(flags.to_numpy(), dtype=bool))[0])


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"the columns {shown}" if names else "no columns"
