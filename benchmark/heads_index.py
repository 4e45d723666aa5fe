"""The index of a large results folder: the heads of its results in one file of the user's cache.

``<cache>/heads/<digest of the folder's path>.npz`` has for each result the state of its file when it was
read, its fields as places in a list of distinct values, and the numbers of its metrics. A head is taken from
it only where the file still has that state. An index that is damaged, of another version or of another folder
is not there. Processes that write at the same time each write a whole one, and the last stays.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from benchmark.estimate import Estimate
from benchmark.heads import Found, State, read_head
from benchmark.result import Result
from shifts.errors import UserError
from shifts.lazy import uncollected
from shifts.local import cache_home, write_atomic

SCHEMA_VERSION = 1
KEPT = 32  # indexes of so many folders stay, those written last
# A file changed so shortly before it was read may be changed again without a sign in its state.
_RESTING_NS = 2_000_000_000
# A few new results are read each time; rewriting the index costs more than that.
_WORTH_WRITING = 200
_APART = ("metrics", "groups", "provenance")
_FIELDS = tuple(field.name for field in dataclasses.fields(Result) if field.name not in _APART)
_TUPLES = ("training_data", "warnings")
# Of each metric: None where it does not apply, or where its numbers begin, its method and its level.
Layout = dict[str, tuple[int, str, float] | None]
_DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile)


def known_heads(root: Path, found: Sequence[Found]) -> dict[Found, Result]:
    """The heads of result files by what was found of them; a file that is gone meanwhile is left out.

    Raises:
        ResultsError: a result that cannot be read, or that a newer version wrote.
    """
    path, name = index_path(root), _name_of(root)
    try:
        with uncollected():
            before = _decoded(path, name, {one: one for one in found})
    except _DAMAGE:
        before = {}
    heads = dict(before)
    for one in found:
        if one not in heads:
            head = read_head(Path(f"{root}/{one.model}/{one.shift}"))
            if head is not None:
                heads[one] = head
    if len(heads) - len(before) >= _WORTH_WRITING:
        resting = time.time_ns() - _RESTING_NS
        old = {
            one: head for one, head in heads.items() if max(one.state.modified, one.state.changed) < resting
        }
        with suppress(OSError, UserError):  # a cache that cannot be written is no reason to fail
            write_atomic(path, _encoded(old, name))
            _forget(path.parent)
    return heads


def index_path(root: Path) -> Path:
    """Where the index of a results folder lies."""
    return cache_home() / "heads" / f"{hashlib.sha256(_name_of(root).encode()).hexdigest()[:24]}.npz"


def _name_of(root: Path) -> str:
    return str(root.resolve())


def _forget(folder: Path) -> None:
    """Remove the indexes beyond the last ``KEPT``."""
    written = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
    for path in written[:-KEPT]:
        path.unlink(missing_ok=True)


def _encoded(heads: Mapping[Found, Result], name: str) -> bytes:
    """The bytes of an index."""
    values = _Values()
    fields = [[values.place(getattr(head, field)) for field in _FIELDS] for head in heads.values()]
    provenance = [
        [values.place(part) for item in head.provenance.items() for part in item] for head in heads.values()
    ]
    shapes, numbers = [], []
    for head in heads.values():
        metrics = head.metrics.items()
        # Few combinations in a folder; None is a metric that does not apply.
        shape = [[metric, None if one is None else [one.method, one.level]] for metric, one in metrics]
        shapes.append(values.place(shape))
        numbers += [part for _, one in metrics if one for part in (one.value, one.low, one.high, one.n)]
    stream = io.BytesIO()
    np.savez(
        stream,
        about=_text({"schema": SCHEMA_VERSION, "root": name, "fields": _FIELDS}),
        folders=_text([[one.model, one.shift] for one in heads]),
        states=np.array([one.state for one in heads], dtype=np.int64).reshape(-1, len(State._fields)),
        values=_text(values.distinct),
        fields=np.array(fields, dtype=np.int32).reshape(-1, len(_FIELDS)),
        provenance=np.array([place for row in provenance for place in row], dtype=np.int32),
        lengths=np.array([len(row) for row in provenance], dtype=np.int32),
        shapes=np.array(shapes, dtype=np.int32),
        numbers=np.array(numbers, dtype=np.float64),
    )
    return stream.getvalue()


class _Values:
    """JSON values, each of them once."""

    def __init__(self) -> None:
        self.distinct: list[Any] = []
        self._places: dict[object, int] = {}

    def place(self, value: Any) -> int:
        """Where a value stands in the list; what looks alike and is not (1, 1.0, True) stands apart."""
        plain = value is None or isinstance(value, (str, int, float, bool))
        key = (type(value), value) if plain else json.dumps(value)
        if key not in self._places:
            self._places[key] = len(self.distinct)
            self.distinct.append(value)
        return self._places[key]


def _text(value: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(json.dumps(value, separators=(",", ":")).encode(), dtype=np.uint8)


def _decoded(path: Path, name: str, wanted: Mapping[Found, Found]) -> dict[Found, Result]:
    """The heads in an index whose files are as they were.

    Args:
        wanted: what was found of each file, by itself: a copy of it for each head would take as much again.

    Raises:
        OSError, ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile: there is no such index.
    """
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        if about != {"schema": SCHEMA_VERSION, "root": name, "fields": list(_FIELDS)}:
            raise ValueError("another index")
        folders, values = (json.loads(stored[part].tobytes()) for part in ("folders", "values"))
        states, fields = (_by_row(stored[part]) for part in ("states", "fields"))
        shapes, lengths = (stored[part].tolist() for part in ("shapes", "lengths"))
        provenance, numbers = stored["provenance"], stored["numbers"]
    layouts = {shape: _layout(values[shape]) for shape in set(shapes)}
    heads, start, first = {}, 0, 0
    for folder, state, row, length, shape in zip(folders, states, fields, lengths, shapes, strict=True):
        (of_model, of_shift), layout = folder, layouts[shape]
        known = wanted.get(Found(of_model, of_shift, State(*state)))
        if known is not None:
            plain = dict(zip(_FIELDS, [values[place] for place in row], strict=True))
            for field in _TUPLES:
                plain[field] = tuple(plain[field])
            parts = [values[place] for place in provenance[start : start + length].tolist()]
            heads[known] = Result(
                metrics=Metrics(layout, numbers, first),
                # Its values are shared with other results; nobody changes them.
                provenance=dict(zip(parts[::2], parts[1::2], strict=True)),
                **plain,
            )
        start, first = start + length, first + 4 * sum(about is not None for about in layout.values())
    return heads


def _by_row(table: NDArray[Any]) -> Iterator[list[int]]:
    """The rows as lists, a few at a time: all of them take several times what the table does."""
    return (row for start in range(0, len(table), 1024) for row in table[start : start + 1024].tolist())


def _layout(shape: Sequence[Any]) -> Layout:
    """Where the numbers of each metric begin, from (name, None or [method, level]) pairs."""
    found: Layout = {}
    for name, about in shape:
        before = 4 * sum(one is not None for one in found.values())
        found[name] = None if about is None else (before, *about)
    return found


class Metrics(Mapping[str, Estimate | None]):
    """Metrics whose estimates are made whenever they are asked for: a table shows two of eight.

    Args:
        layout: of the metrics; many results share it.
        numbers: value, low, high and n of every metric that applies, of all results.
        first: where those of this result begin.
    """

    __slots__ = ("_first", "_layout", "_numbers")

    def __init__(self, layout: Layout, numbers: NDArray[np.float64], first: int) -> None:
        self._layout, self._numbers, self._first = layout, numbers, first

    def __getitem__(self, name: str) -> Estimate | None:
        about = self._layout[name]
        if about is None:
            return None
        place, method, level = about
        begin = self._first + place
        value, low, high, n = self._numbers[begin : begin + 4].tolist()
        return Estimate.known(value, low, high, method=method, level=level, n=int(n))

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout)

    def __len__(self) -> int:
        return len(self._layout)

    def __repr__(self) -> str:
        return repr(dict(self))
