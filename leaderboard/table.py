"""Predictions as they travel: every number that a metric needs, at the precision it needs.

One Parquet file for each shift, one row for each example, about 25 bytes a row. The logarithm of the label's
probability is kept, because probabilities of wrong labels fall below what a short float can hold and the NLL
is made of them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.calibration import SMALLEST_PROBABILITY
from benchmark.metrics import PredictionColumns
from benchmark.predictions import Predictions
from leaderboard.pages import unpacked_bytes
from shifts.errors import ResultsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

GROUP = "group:"
ROWS = 2_000_000
ROW_BYTES = 512
FOOTER_BYTES = 1_000_000
_ROW_GROUP = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Predictions on one shift as a bundle holds them.

    Attributes:
        example_ids: N strings.
        labels: int64 (N,).
        top5: int64 (N, k), k = min(5, C), best first; ``top5_probability`` float64 beside it.
        label_log_probability: float64 (N,), natural logarithm.
        squared_probability_sum: float64 (N,).
        groups: column → int64 (N,).
    """

    example_ids: Sequence[str]
    labels: Ints
    top5: Ints
    top5_probability: Floats
    label_log_probability: Floats
    squared_probability_sum: Floats
    groups: Mapping[str, Ints]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """bool (N,): whether the first class is the label."""
        return np.asarray(self.top5[:, 0] == self.labels)

    def columns(self, *, num_classes: int, group_columns: Mapping[str, tuple[str, ...]]) -> PredictionColumns:
        """The part that metrics look at.

        Raises:
            ValueError: a value outside its range.
        """
        groups = [self.groups[name] for name in group_columns]
        return PredictionColumns(
            labels=self.labels,
            prediction=self.top5[:, 0],
            confidence=self.top5_probability[:, 0],
            label_probability=np.exp(self.label_log_probability),
            squared_probability_sum=self.squared_probability_sum,
            top5=self.top5,
            groups=np.stack(groups, axis=1) if groups else np.zeros((len(self), 0), dtype=np.int64),
            group_columns=group_columns,
            num_classes=num_classes,
        )


def from_predictions(predictions: Predictions) -> Answers:
    """What a bundle keeps of stored predictions.

    Raises:
        ResultsError: they are classes without probabilities, from a model that ran elsewhere.
    """
    if not np.isfinite(predictions.label_probability).all():
        raise ResultsError(
            f"{predictions.header.shift} was scored from classes alone; a submission holds probabilities",
            hint="give logits or probabilities to eval --predictions",
        )
    floor = np.maximum(predictions.label_probability, SMALLEST_PROBABILITY)
    return Answers(
        example_ids=predictions.example_ids,
        labels=predictions.labels,
        top5=predictions.top5,
        top5_probability=predictions.top5_probability.astype(np.float64),
        label_log_probability=np.log(floor),
        squared_probability_sum=predictions.squared_probability_sum.astype(np.float64),
        groups={
            name: predictions.groups[:, place] for place, name in enumerate(predictions.header.group_columns)
        },
    )


def encode(answers: Answers) -> bytes:
    """The file of a shift's predictions; the same bytes for the same rows and version of pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    width = answers.top5.shape[1]
    columns: dict[str, Any] = {"example_id": pa.array(list(answers.example_ids), type=pa.string())}
    columns["label"] = answers.labels.astype(np.uint16)
    columns |= {f"class_{rank + 1}": answers.top5[:, rank].astype(np.uint16) for rank in range(width)}
    columns["probability_1"] = answers.top5_probability[:, 0].astype(np.float32)
    for rank in range(1, width):
        columns[f"probability_{rank + 1}"] = answers.top5_probability[:, rank].astype(np.float16)
    columns["label_log_probability"] = answers.label_log_probability.astype(np.float32)
    columns["squared_probability_sum"] = answers.squared_probability_sum.astype(np.float32)
    columns |= {f"{GROUP}{name}": values.astype(np.uint16) for name, values in answers.groups.items()}
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    floats = [name for name in table.column_names if table.schema.field(name).type == pa.float32()]
    halves = [name for name in table.column_names if table.schema.field(name).type == pa.float16()]
    stream = io.BytesIO()
    pq.write_table(
        table,
        stream,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.column_names if name not in ("example_id", *floats, *halves)],
        column_encoding={
            "example_id": "DELTA_BYTE_ARRAY",
            **dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        },
        write_statistics=False,
        row_group_size=_ROW_GROUP,
        store_schema=False,
    )
    return stream.getvalue()


def look(data: bytes) -> tuple[str, ...]:
    """What is wrong with a file before a single row of it is unpacked; empty for a file that may be read.

    Looked at are the footer, the columns and their types, and what the pages unpack to.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if data[:4] != b"PAR1" or data[-4:] != b"PAR1" or len(data) < 12:
        return ("it is not a Parquet file",)
    if int.from_bytes(data[-8:-4], "little") > FOOTER_BYTES:
        return (f"its footer is longer than {FOOTER_BYTES} bytes",)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        metadata, schema = file.metadata, file.schema_arrow
        if metadata.num_rows > ROWS:
            return (f"{metadata.num_rows} rows, at most {ROWS} are taken",)
        size = unpacked_bytes(data, metadata)
    except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:
        return (f"it is not a readable Parquet file: {str(error)[:200]}",)
    if size > ROW_BYTES * metadata.num_rows + 65536:
        return (
            f"it unpacks to {size} bytes for {metadata.num_rows} rows, at most {ROW_BYTES} a row are taken",
        )
    return tuple(_wrong_columns(dict(zip(schema.names, schema.types, strict=True)), len(schema.names)))


def _wrong_columns(types: Mapping[str, Any], columns: int) -> list[str]:
    import pyarrow as pa

    if columns != len(types):
        return ["two columns have one name"]
    width = sum(name.startswith("class_") for name in types)
    wanted = {
        "example_id": pa.string(),
        "label": pa.uint16(),
        **{f"class_{rank}": pa.uint16() for rank in range(1, max(1, min(width, 5)) + 1)},
        "probability_1": pa.float32(),
        **{f"probability_{rank}": pa.float16() for rank in range(2, min(width, 5) + 1)},
        "label_log_probability": pa.float32(),
        "squared_probability_sum": pa.float32(),
    }
    wanted |= {name: pa.uint16() for name in types if name.startswith(GROUP) and len(name) <= 80}
    found = [f"no column {name!r}" for name in wanted if name not in types]
    found += [f"unknown column {name[:40]!r}" for name in types if name not in wanted]
    for name, kind in wanted.items():
        if name in types and types[name] != kind:
            found.append(f"column {name!r} is {types[name]}, expected {kind}")
    return found


def right_answers(data: bytes) -> NDArray[np.bool_]:
    """``decode(data).correct``, bool (N,), from the two columns that say it: a board reads many files for it.

    Raises:
        ResultsError: the pages are damaged, or a value is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["label", "class_1"]
    try:
        table = pq.ParquetFile(io.BytesIO(data)).read(columns=names, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultsError(f"its rows cannot be read: {str(error)[:200]}") from error
    missing = [name for name in names if table.column(name).null_count]
    if missing:
        raise ResultsError(f"column {missing[0]!r} has missing values")
    label, first = (table.column(name).to_numpy() for name in names)
    return np.asarray(label == first)


def decode(data: bytes) -> Answers:
    """Rows of a file that ``look`` found nothing wrong with.

    Raises:
        ResultsError: the pages are damaged, or a value is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultsError(f"its rows cannot be read: {str(error)[:200]}") from error
    missing = [name for name in table.column_names if table.column(name).null_count]
    if missing:
        raise ResultsError(f"column {missing[0]!r} has missing values")

    def column(name: str, kind: type) -> NDArray[Any]:
        return np.asarray(table.column(name).to_numpy(), dtype=kind)

    width = sum(name.startswith("class_") for name in table.column_names)
    try:
        ids = table.column("example_id").to_pylist()
    except UnicodeDecodeError as error:
        raise ResultsError(f"an example id is not text: {error}") from error
    return Answers(
        example_ids=ids,
        labels=column("label", np.int64),
        top5=np.stack([column(f"class_{rank + 1}", np.int64) for rank in range(width)], axis=1),
        top5_probability=np.stack(
            [column(f"probability_{rank + 1}", np.float64) for rank in range(width)], axis=1
        ),
        label_log_probability=column("label_log_probability", np.float64),
        squared_probability_sum=column("squared_probability_sum", np.float64),
        groups={
            name.removeprefix(GROUP): column(name, np.int64)
            for name in table.column_names
            if name.startswith(GROUP)
        },
    )
