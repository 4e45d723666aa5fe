"""The right answers: ids, labels and groups of a shift, also where its images are not at hand.

A key is what a source's split holds besides its pixels, kept as a Parquet file under ``keys/`` and named
after its content digest. Everything else of a shift (which examples, in which order, with which labels and
groups) follows from its declaration, so one key serves every shift of the split.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.data import Attribute, Examples, Shift, load_examples
from shifts.digest import SHORT
from shifts.errors import CorruptDataError, UserError
from shifts.local import recorded_content, write_atomic
from shifts.spec import SOURCES, ShiftSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHIPPED = Path(__file__).resolve().parent / "keys"
SCHEMA_VERSION = 1
_METADATA = b"robustbench_shift_key"


class _NoImages:
    """Stands where images would be; nobody who re-scores looks at one."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> bytes | NDArray[np.uint8]:
        raise CorruptDataError("a key holds no images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Where right answers are looked for: bundled data, local copies of data sets, and files of keys.

    Attributes:
        folders: of key files; the shipped ones by default.
        data_dir: where local copies lie, if not in the cache.
    """

    folders: tuple[Path, ...] = (SHIPPED,)
    data_dir: Path | None = None

    def shift(self, spec: ShiftSpec, content: str) -> Shift | None:
        """The shift on the revision of the data with this content digest, or None where nobody knows it."""
        for known, examples in self._known(spec.source, spec.split):
            if known == content:
                return Shift(spec, examples(), content=content)
        return None

    def contents(self, spec: ShiftSpec) -> list[str]:
        """Content digests of the revisions that are known; the current one first."""
        return list(dict.fromkeys(known for known, _ in self._known(spec.source, spec.split)))

    def _known(self, source_name: str, split: str) -> Iterator[tuple[str, Any]]:
        source = SOURCES.get(source_name)
        try:
            content = recorded_content(source, split, data_dir=self.data_dir)
            yield content, lambda: _local(source_name, split, self.data_dir, content)
        except UserError:
            pass  # no copy of the images here: a key will do
        for folder in self.folders:
            for path in sorted(folder.glob(f"{_stem(source_name, split)}@*.parquet")):
                header = _header(path, path.stat().st_mtime_ns)
                if header["source_version"] == source.version:
                    yield header["content"], lambda path=path: _key(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _local(source: str, split: str, data_dir: Path | None, content: str) -> Examples:
    return load_examples(source, split, data_dir=data_dir)


@lru_cache(maxsize=64)
def _header(path: Path, changed: int) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        raw = (pq.read_schema(path).metadata or {})[_METADATA]
        header: dict[str, Any] = json.loads(raw)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise CorruptDataError(f"{path} is not a key: {error}", hint="restore it") from error
    if header["schema_version"] > SCHEMA_VERSION:
        raise CorruptDataError(f"{path} was written by a newer version", hint="upgrade robustbench-shift")
    return header


@lru_cache(maxsize=8)
def _key(path: Path, changed: int) -> Examples:
    import pyarrow.parquet as pq

    header = _header(path, changed)
    table = pq.read_table(path)
    accepted = table.column("accepted").to_pylist() if "accepted" in table.column_names else None
    return Examples(
        payloads=_NoImages(table.num_rows),
        labels=np.asarray(table.column("label").to_numpy(), dtype=np.int64),
        ids=table.column("id").to_pylist(),
        attributes={
            name: Attribute(
                values=np.asarray(table.column(f"attribute:{name}").to_numpy(), dtype=np.int64),
                names=tuple(names),
            )
            for name, names in header["attributes"].items()
        },
        accepted=None if accepted is None else [tuple(known) for known in accepted],
    )


def write_key(spec: ShiftSpec, folder: Path, *, data_dir: Path | None = None) -> Path:
    """Keep the right answers of a shift's split from the copy of its images on this machine.

    Raises:
        DataNotFoundError: the images are not here.
        UserError: the copy is partial, or the folder cannot be written.
    """
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from shifts.local import read_record

    source = SOURCES.get(spec.source)
    content = recorded_content(source, spec.split, data_dir=data_dir)
    record = None if source.bundled else read_record(source.name, data_dir=data_dir)
    if record is not None and record.partial:
        raise UserError(
            f"the local copy of {source.name!r} is partial and no measure for others",
            hint=f"robustbench-shift data add {source.name} PATH, without --partial",
        )
    examples = load_examples(source.name, spec.split, data_dir=data_dir)
    columns: dict[str, Any] = {
        "id": pa.array(list(examples.ids), type=pa.string()),
        "label": pa.array(np.asarray(examples.labels, dtype=np.int32)),
    }
    for name, attribute in examples.attributes.items():
        columns[f"attribute:{name}"] = pa.array(np.asarray(attribute.values, dtype=np.int32))
    if examples.accepted is not None:
        columns["accepted"] = pa.array(
            [list(known) for known in examples.accepted], type=pa.list_(pa.int32())
        )
    header = {
        "schema_version": SCHEMA_VERSION,
        "source": source.name,
        "source_version": source.version,
        "split": spec.split,
        "content": content,
        "attributes": {name: list(attribute.names) for name, attribute in examples.attributes.items()},
    }
    table = pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(header, sort_keys=True)})
    stream = io.BytesIO()
    pq.write_table(
        table,
        stream,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in columns if name != "id"],
        column_encoding={"id": "DELTA_BYTE_ARRAY"},
        write_statistics=False,
    )
    path = folder / f"{_stem(source.name, spec.split)}@{content[:SHORT]}.parquet"
    write_atomic(path, stream.getvalue())
    return path


def _stem(source: str, split: str) -> str:
    return f"{source.replace('/', '--')}--{split}"
