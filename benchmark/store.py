"""Where runs lie on disk: finished cells, shards of unfinished ones, all written atomically.

``<root>/<model>@<digest8>/<shift>@<digest8>/{predictions.parquet, result.json}``; while a cell is running,
its rows lie in ``shards/`` beside them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmark.away import away, local_path, url_of
from benchmark.heads import heads
from benchmark.predictions import Columns, Header, read_header, to_table, write_parquet
from benchmark.result import RESULT, Result
from shifts.digest import SHORT
from shifts.errors import CorruptDataError, ResultsError, UserError
from shifts.local import drop_unfinished, temporary_of, write_atomic

PREDICTIONS = "predictions.parquet"
SHARDS = "shards"
ROWS_PER_SHARD = 1024
RESULTS_VARIABLE = "ROBUSTBENCH_SHIFT_RESULTS"


def open_store(given: Path | None = None) -> Store:
    """The one way to results: ``--results``, or ``$ROBUSTBENCH_SHIFT_RESULTS``, or ``./results``.

    Args:
        given: a folder, or a URL that fsspec knows: there others share what is measured.

    Raises:
        UserError: what the URL needs is not installed, or it is none.
    """
    given = given or Path(os.environ.get(RESULTS_VARIABLE, "results"))
    url = url_of(given)
    if url is None:
        return Store(local_path(given).expanduser())
    from benchmark.shared_store import SharedStore

    return SharedStore(url)


class Store:
    """A results folder.

    Attributes:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        """What a user calls it: the folder, or the URL of a shared one."""
        return str(self.root)

    def cell(self, model: str, model_digest: str, *, shift: str, shift_digest: str) -> Path:
        """The folder of one model on one shift."""
        return self.root / f"{_safe(model)}@{model_digest[:SHORT]}" / f"{_safe(shift)}@{shift_digest[:SHORT]}"

    def check_writable(self) -> None:
        """Fail before anything is computed when nothing could be kept.

        Raises:
            ResultsError: the folder cannot be made or written to.
        """
        probe = self.root / f".probe-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ResultsError(
                f"cannot write results to {self.root}: {error.strerror}",
                hint=f"choose another folder: --results DIR, or set {RESULTS_VARIABLE}",
            ) from error

    def read(self, folder: Path) -> Result | None:
        """The result in a cell's folder, or None where it is not finished."""
        return read_result(folder)

    def finished(self, folder: Path) -> Result | None:
        """The result of a cell that needs no more work: measured well, with its predictions beside it."""
        return finished_result(folder)

    def put_shard(self, folder: Path, start: int, data: bytes) -> None:
        """Put a Parquet file of a cell's rows, which begin with row ``start``, among its shards."""
        write_atomic(folder / SHARDS / shard_name(start), data)

    def drop_shard(self, folder: Path, start: int) -> None:
        """Forget a shard."""
        (folder / SHARDS / shard_name(start)).unlink(missing_ok=True)

    def keep(self, folder: Path) -> None:
        """Put a cell that is finished, or failed, where it stays: it lies there."""

    def check_kept(self) -> None:
        """Say what could not be put where it stays.

        Raises:
            ResultsError: names one cause.
        """

    def collect(self, folder: Path) -> None:
        """Have the shards here that other machines have put into the store: they are."""

    def sharing(self, folders: Sequence[Path]) -> AbstractContextManager[None]:
        """While these cells are measured: what others have of them is here, and the other way round."""
        return nullcontext()

    def results(self) -> Iterator[tuple[Path, Result]]:
        """Every result below the root, without its groups, with its folder; in the order of their names."""
        return heads(self.root)


class CellWriter:
    """Appends the rows of one cell, shard by shard; survives being killed between any two steps.

    Args:
        folder: the cell's folder.
        header: goes into every file; shards under another header (other versions, device, precision) are
            not continued but dropped.
        total: rows of the finished cell.
    """

    def __init__(self, folder: Path, header: Header, *, total: int) -> None:
        self.folder = folder
        self.header = header
        self.total = total
        self.shards = folder / SHARDS
        self._waiting: list[Columns] = []
        self._rows_waiting = 0
        self.done = self._resume()

    def _resume(self) -> int:
        """Rows that valid shards hold, counted up to the first gap; what lies beyond it is dropped."""
        rows = 0
        broken = False
        for path in sorted(self.shards.glob("*.parquet")):
            length = 0 if broken else self._usable(path, start=rows)
            if length == 0:
                broken = True
                path.unlink()
            rows += length
        return rows

    def _usable(self, path: Path, *, start: int) -> int:
        import pyarrow.parquet as pq

        try:
            if path.name != shard_name(start) or read_header(path).encoded() != self.header.encoded():
                return 0
            return int(pq.read_metadata(path).num_rows)
        except (CorruptDataError, UserError):
            return 0

    def append(self, columns: Columns) -> None:
        """Add rows in the order of the shift; a full shard is written at once."""
        self._waiting.append(columns)
        self._rows_waiting += len(columns["label"])
        if self._rows_waiting >= ROWS_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting as a shard."""
        if not self._rows_waiting:
            return
        import pyarrow as pa

        table = pa.concat_tables([to_table(columns, self.header) for columns in self._waiting])
        self.shards.mkdir(parents=True, exist_ok=True)
        target = self.shards / shard_name(self.done)
        temporary = target.with_suffix(".tmp")
        try:
            write_parquet(temporary, [table])
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        self.done += self._rows_waiting
        self._waiting, self._rows_waiting = [], 0

    def finish(self) -> Path:
        """Join the shards, and the rows that wait for one, into ``predictions.parquet``."""
        rows = self.done + self._rows_waiting
        if rows != self.total:
            raise AssertionError(f"{rows} of {self.total} rows were written to {self.folder}")
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / PREDICTIONS
        temporary = temporary_of(target)
        try:
            write_parquet(temporary, self._tables())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def _tables(self) -> Iterator[object]:
        import pyarrow.parquet as pq

        for path in sorted(self.shards.glob("*.parquet")):
            yield pq.read_table(path)
        for columns in self._waiting:
            yield to_table(columns, self.header)

    def close(self, result: Result) -> None:
        """Write the result, which makes the cell count as finished; then the shards may go."""
        write_result(self.folder, result)
        shutil.rmtree(self.shards, ignore_errors=True)
        for name in (PREDICTIONS, RESULT):
            drop_unfinished(self.folder / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Rows ``start`` to ``stop`` of a cell in the shard ``path``, which was written under ``header``."""

    start: int
    stop: int
    header: bytes
    path: Path


def held_shards(folder: Path) -> list[Held]:
    """The shards of an unfinished cell by their first row, without those that are damaged or overlap."""
    import pyarrow.parquet as pq

    found: list[Held] = []
    for path in sorted((folder / SHARDS).glob("*.parquet")):
        try:
            header, rows = read_header(path).encoded(), int(pq.read_metadata(path).num_rows)
        except (CorruptDataError, UserError):
            continue
        start = int(path.stem)
        if rows and start >= (found[-1].stop if found else 0):
            found.append(Held(start=start, stop=start + rows, header=header, path=path))
    return found


def shard_name(start: int) -> str:
    return f"{start:012d}.parquet"


def read_result(folder: Path) -> Result | None:
    """The result in a cell's folder, or None where there is none yet.

    Raises:
        ResultsError: it cannot be read, or was written by a newer version.
    """
    path = folder / RESULT
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    return Result.from_json(text, where=path)


def finished_result(folder: Path) -> Result | None:
    """The result of a cell that needs no more work, or None."""
    result = read_result(folder)
    if result is None or result.status != "ok" or not has_predictions(folder):
        return None
    return result


def has_predictions(folder: Path) -> bool:
    """Whether a cell's predictions are here, or in the shared store that the folder is a copy of."""
    path = folder / PREDICTIONS
    return path.is_file() or away(path) is not None


def write_result(folder: Path, result: Result) -> None:
    """Put a result into its cell's folder."""
    write_atomic(folder / RESULT, result.to_json())


def _safe(name: str) -> str:
    """A name as a folder's name on any platform; the digest beside it keeps different names apart."""
    return "".join(letter if letter.isalnum() or letter in "-._" else "--" for letter in name)
