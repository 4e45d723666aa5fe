"""Predictions: one row per example, from logits to a Parquet file and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.away import fetch
from shifts.errors import CorruptDataError, LabelSpaceError, ResultsError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from benchmark.metrics import PredictionColumns

SCHEMA_VERSION = 1
METADATA_KEY = b"robustbench_shift"
ROW_GROUP = 8192
_GROUP = "group:"

Columns = dict[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file of predictions says of itself; the same for the same inputs, so it holds no time.

    Attributes:
        model, model_digest, shift, shift_digest: what was evaluated on what.
        num_classes: C.
        group_columns: column → names of its values.
        provenance: versions, device, precision.
    """

    model: str
    model_digest: str
    shift: str
    shift_digest: str
    num_classes: int
    group_columns: Mapping[str, tuple[str, ...]]
    provenance: Mapping[str, Any]
    schema_version: int = SCHEMA_VERSION

    def encoded(self) -> bytes:
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["group_columns"] = {name: list(values) for name, values in self.group_columns.items()}
        fields["provenance"] = dict(self.provenance)
        return json.dumps(fields, sort_keys=True).encode()

    @classmethod
    def decoded(cls, data: bytes | None, *, where: Path) -> Header:
        if data is None:
            raise ResultsError(f"{where} is not a file of predictions of robustbench-shift")
        raw = json.loads(data)
        if raw.get("schema_version", 0) > SCHEMA_VERSION:
            raise ResultsError(
                f"{where} was written by a newer version (predictions schema {raw['schema_version']}, "
                f"this one reads up to {SCHEMA_VERSION})",
                hint="upgrade robustbench-shift",
            )
        raw["group_columns"] = {name: tuple(values) for name, values in raw["group_columns"].items()}
        try:
            return cls(**raw)
        except TypeError as error:
            raise ResultsError(f"{where} has a header that this version cannot read: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """The record of one model on one shift.

    Attributes:
        header: names, digests, classes, groups, provenance.
        example_ids: N strings.
        labels, prediction: int64 (N,).
        confidence: float32 (N,), probability of the prediction.
        label_probability: float64 (N,); wide enough that its logarithm is the exact NLL.
            Answers without probabilities have NaN in all columns of probabilities.
        squared_probability_sum: float32 (N,), Σ_c p_c², which the Brier score needs.
        top5: int64 (N, min(5, C)), best first; ``top5_probability`` float32 beside it. Where only the best
            is known, -1 stands for the others.
        groups: int64 (N, G).
        logits: float16 (N, C), or None where they were not kept.
    """

    header: Header
    example_ids: Sequence[str]
    labels: NDArray[np.int64]
    prediction: NDArray[np.int64]
    confidence: NDArray[np.float32]
    label_probability: NDArray[np.float64]
    squared_probability_sum: NDArray[np.float32]
    top5: NDArray[np.int64]
    top5_probability: NDArray[np.float32]
    groups: NDArray[np.int64]
    logits: NDArray[np.float16] | None = field(default=None)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_probabilities(self) -> bool:
        """False where a model elsewhere gave classes alone."""
        return not np.isnan(self.confidence).all()

    def columns(self) -> PredictionColumns:
        """The part that metrics look at."""
        # With it comes SciPy, which a command that only looks things up does without.
        from benchmark.metrics import PredictionColumns

        known = self.has_probabilities
        return PredictionColumns(
            labels=self.labels,
            prediction=self.prediction,
            confidence=self.confidence.astype(np.float64) if known else None,
            label_probability=self.label_probability if known else None,
            squared_probability_sum=self.squared_probability_sum.astype(np.float64) if known else None,
            top5=None if len(self) and (self.top5 < 0).all(axis=0).any() else self.top5,
            groups=self.groups,
            group_columns=self.header.group_columns,
            num_classes=self.header.num_classes,
        )


def score(
    logits: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    *,
    ids: Sequence[str],
    groups: NDArray[np.int64],
    group_names: Sequence[str],
    keep_logits: bool = False,
) -> Columns:
    """Rows of predictions from logits.

    Args:
        logits: float32 (B, C), over the shift's classes; float64 for logarithms of probabilities.
        labels: int64 (B,), 0..C-1.
        ids: B strings.
        groups: int64 (B, G); ``group_names`` G strings.

    Raises:
        FloatingPointError: a logit is NaN or infinite.
        LabelSpaceError: the logits do not have the classes of the labels.

    Softmax is taken in float64; among equal logits the class that comes first wins.
    """
    if not np.isfinite(logits).all():
        bad = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        raise FloatingPointError(f"the model gave NaN or infinite logits, first for image {ids[bad]!r}")
    if labels.max() >= logits.shape[1]:
        raise LabelSpaceError(f"label {int(labels.max())} is outside the model's {logits.shape[1]} classes")
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    probs = np.exp(wide)
    total = probs.sum(axis=1, keepdims=True)
    probs /= total
    rows = np.arange(len(labels))
    top = top_classes(logits, k=min(5, logits.shape[1]))
    columns: Columns = {
        "example_id": np.asarray(ids, dtype=object),
        "label": labels.astype(np.int32),
        "prediction": top[:, 0].astype(np.int32),
        "confidence": probs[rows, top[:, 0]].astype(np.float32),
        "label_probability": np.exp(wide[rows, labels] - np.log(total[:, 0])),
        "squared_probability_sum": np.square(probs).sum(axis=1).astype(np.float32),
        "top5": top.astype(np.int32),
        "top5_probability": np.take_along_axis(probs, top, axis=1).astype(np.float32),
    }
    columns.update({f"{_GROUP}{name}": groups[:, i].astype(np.int32) for i, name in enumerate(group_names)})
    if keep_logits:
        columns["logits"] = logits.astype(np.float16)
    return columns


def score_classes(
    top: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    ids: Sequence[str],
    groups: NDArray[np.int64],
    group_names: Sequence[str],
    num_classes: int,
) -> Columns:
    """Rows of predictions from classes alone; nothing is made up for what they do not tell.

    Args:
        top: int64 (B, 1), or (B, min(5, C)), best first.
        labels, ids, groups, group_names: as for ``score``.
    """
    five = np.full((len(labels), min(5, num_classes)), -1, dtype=np.int32)
    five[:, : top.shape[1]] = top
    unknown = np.full(len(labels), np.nan, dtype=np.float32)
    columns: Columns = {
        "example_id": np.asarray(ids, dtype=object),
        "label": labels.astype(np.int32),
        "prediction": top[:, 0].astype(np.int32),
        "confidence": unknown,
        "label_probability": unknown.astype(np.float64),
        "squared_probability_sum": unknown,
        "top5": five,
        "top5_probability": np.full(five.shape, np.nan, dtype=np.float32),
    }
    columns.update({f"{_GROUP}{name}": groups[:, i].astype(np.int32) for i, name in enumerate(group_names)})
    return columns


def top_classes(logits: NDArray[np.floating[Any]], *, k: int) -> NDArray[np.int64]:
    """The k classes of the highest logits (B, k), best first; equal logits in the order of the classes."""
    if k >= logits.shape[1] or logits.shape[1] <= 32:
        return np.argsort(-logits, axis=1, kind="stable")[:, :k]
    # Ties at the border of the k best would make the choice arbitrary: take all that reach the k-th value.
    border = np.partition(logits, -k, axis=1)[:, -k][:, None]
    top = np.empty((len(logits), k), dtype=np.int64)
    for row, at_least in enumerate(logits >= border):
        candidates = np.flatnonzero(at_least)
        top[row] = candidates[np.argsort(-logits[row, candidates], kind="stable")[:k]]
    return top


def to_table(columns: Columns, header: Header) -> pa.Table:
    """Columns as an Arrow table with the header in its metadata."""
    import pyarrow as pa

    def array(values: NDArray[Any]) -> pa.Array:
        if values.ndim == 1:
            return pa.array(values, type=pa.string()) if values.dtype == object else pa.array(values)
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        # Named as Parquet names it, so that rows that were in a file before make the same bytes.
        kind = pa.list_(pa.field("element", flat.type), values.shape[1])
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)

    table = pa.table({name: array(values) for name, values in columns.items()})
    return table.replace_schema_metadata({METADATA_KEY: header.encoded()})


def write_parquet(path: Path, tables: Iterable[pa.Table], *, row_group: int = ROW_GROUP) -> int:
    """Stream tables of one schema into one file with row groups of a fixed size.

    The bytes depend on the rows alone, not on how they were cut into tables. Returns the number of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    waiting: list[pa.Table] = []
    rows = written = 0
    try:
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=9)
            waiting.append(table)
            rows += table.num_rows
            while rows >= row_group:
                joined = pa.concat_tables(waiting).combine_chunks()
                writer.write_table(joined.slice(0, row_group), row_group_size=row_group)
                waiting, rows = [joined.slice(row_group)], rows - row_group
                written += row_group
        if writer is not None and rows:
            writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=row_group)
            written += rows
    finally:
        if writer is not None:
            writer.close()
    return written


def read_header(path: Path) -> Header:
    """The header of a file of predictions.

    Raises:
        CorruptDataError: no Parquet file, or one cut short.
        ResultsError: another program's file, or a newer schema.
    """
    return _header(_open(path), path)


def read_predictions(path: Path, *, logits: bool = False) -> Predictions:
    """Read a file of predictions back; the logits only when asked for."""
    file = _open(path)
    header = _header(file, path)
    stored = file.schema_arrow.names
    wanted = [name for name in stored if name != "logits" or logits]
    table = file.read(columns=wanted)

    def column(name: str, dtype: type) -> NDArray[Any]:
        return np.asarray(table.column(name).to_numpy(), dtype=dtype)

    def matrix(name: str, dtype: type) -> NDArray[Any]:
        lists = table.column(name).combine_chunks()
        values = lists.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(values.reshape(table.num_rows, -1), dtype=dtype)

    try:
        groups = [column(f"{_GROUP}{name}", np.int64) for name in header.group_columns]
        return Predictions(
            header=header,
            example_ids=table.column("example_id").to_pylist(),
            labels=column("label", np.int64),
            prediction=column("prediction", np.int64),
            confidence=column("confidence", np.float32),
            label_probability=column("label_probability", np.float64),
            squared_probability_sum=column("squared_probability_sum", np.float32),
            top5=matrix("top5", np.int64),
            top5_probability=matrix("top5_probability", np.float32),
            groups=np.stack(groups, axis=1) if groups else np.zeros((table.num_rows, 0), dtype=np.int64),
            logits=matrix("logits", np.float16) if logits and "logits" in stored else None,
        )
    except KeyError as error:
        raise ResultsError(f"{path} has no column {error}", hint="evaluate the model again") from error


def _header(file: Any, path: Path) -> Header:
    return Header.decoded((file.schema_arrow.metadata or {}).get(METADATA_KEY), where=path)


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        fetch(path)
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptDataError(
            f"{path} is not a readable file of predictions: {error}",
            hint="remove it and evaluate the model again",
        ) from error
