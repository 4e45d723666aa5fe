"""Cells that come in parts: rows that other processes measured, kept as shards, then joined."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.faults import Described
from benchmark.store import held_shards
from benchmark.track import Elsewhere, Track

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmark.planning import Cell
    from benchmark.result import Result
    from benchmark.store import Store
    from benchmark.worker import Part
    from shifts.data import Shift

    Rows = NDArray[np.int64]


class Assembly:
    """A cell and the rows that are there of it.

    Args:
        shift: opened, whole.
        store: where shards are put.
        environment: of the workers; shards measured in another one are not continued.

    Attributes:
        rows_done: rows that are in the results folder.
    """

    def __init__(self, cell: Cell, shift: Shift, *, store: Store, environment: Mapping[str, Any]) -> None:
        self.cell = cell
        self._shift, self._store, self._environment = shift, store, environment
        self._there = np.zeros(len(shift), dtype=np.bool_)
        self._device: str | None = None
        self._notes: tuple[str, ...] = ()
        self._costs: list[Mapping[str, float]] = []
        self._error: Mapping[str, Any] | None = None
        self._started, self._clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        self.look()

    def look(self) -> None:
        """See which rows are there."""
        for held in held_shards(self.cell.folder):
            if self._same_environment(held.header):
                self._there[held.start : held.stop] = True
            else:
                self._store.drop_shard(self.cell.folder, held.start)

    def _same_environment(self, header: bytes) -> bool:
        """Whether a shard comes from the workers' environment; the device is known once a model is open."""
        before = json.loads(header)["provenance"]
        now = {**self._environment, **self.cell.contestant.mode}
        if self._device is not None:
            now["device"] = self._device
            return bool(before == now)
        return {**before, "device": ""} == {**now, "device": ""}

    @property
    def positions(self) -> Rows:
        """int64, rising: rows of the source that the cell is about."""
        return self._shift.position

    @property
    def rows_done(self) -> int:
        return int(self._there.sum())

    @property
    def rows_left(self) -> int:
        return len(self._there) - self.rows_done

    @property
    def complete(self) -> bool:
        """All rows are there."""
        return bool(self._there.all())

    @property
    def ready(self) -> bool:
        """The result can be given: all rows are there and the model has said what it is, or it failed."""
        return self._error is not None or (self.complete and self._device is not None)

    def missing(self, first: int, last: int) -> Rows:
        """int64: rows of the cell that are not there, of the source's rows ``first`` to ``last``."""
        start, stop = np.searchsorted(self.positions, (first, last + 1))
        return np.flatnonzero(~self._there[start:stop]).astype(np.int64) + int(start)

    def take(self, part: Part) -> None:
        """Keep what a piece gave.

        Rows that an earlier run measured on another device are dropped; they must be asked for again.

        Raises:
            OSError, UserError: the results folder takes nothing more.
        """
        if part.device is not None and self._device is None:
            self._device, self._notes = part.device, part.notes
            self._drop_foreign()
        if not part.shards:
            self.look()  # the worker has put its rows into the store itself
        for start, stop, data in part.shards:
            self._store.put_shard(self.cell.folder, start, data)
            self._there[start:stop] = True
        if part.cost:
            self._costs.append(part.cost)
        if part.error is not None:
            self.fail(part.error)

    def _drop_foreign(self) -> None:
        for held in held_shards(self.cell.folder):
            if not self._same_environment(held.header):
                self._store.drop_shard(self.cell.folder, held.start)
                self._there[held.start : held.stop] = False

    def fail(self, error: Mapping[str, Any]) -> None:
        """Let the cell fail; the first cause counts."""
        self._error = self._error or error

    def close(self, *, executor: str) -> Result:
        """Finish the files and give the result.

        Args:
            executor: who ran it, for the record.
        """
        opened = Elsewhere(device_name=self._device or "", notes=self._notes)
        failure = None if self._error is None else Described(self._error)
        track = Track(self.cell, failure or opened, self._shift)
        timing: dict[str, Any] = {
            "started": self._started,
            "pass_seconds": round(time.perf_counter() - self._clock, 3),
        }
        timing["executor"] = executor
        # Of several workers the one that had most trouble.
        for name, worst in (("batch_size", min), ("compile_seconds", max)):
            if known := [cost[name] for cost in self._costs if name in cost]:
                timing[name] = worst(known)
        return track.close(timing)
