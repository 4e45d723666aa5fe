"""A process that measures pieces, wherever it runs: models and images stay open from one to the next."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.faults import describe
from benchmark.predictions import write_parquet
from benchmark.provenance import provenance
from benchmark.runner import Options, answer, lineup_for, open_models, open_tracks
from benchmark.store import held_shards
from benchmark.track import contained
from models_zoo.devices import device_name, pick_device
from shifts.data import Shift, load_examples
from shifts.errors import CorruptDataError, UserError
from shifts.local import recorded_content
from shifts.own import look_in
from shifts.spec import SOURCES

if TYPE_CHECKING:
    from benchmark.pieces import Piece, Rows
    from benchmark.planning import Cell, Contestant
    from benchmark.track import Track
    from shifts.data import Examples

SPLITS = 4  # whose lists of images stay open
Split = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a piece gave for one of its cells.

    Attributes:
        folder: of the cell.
        shards: first row, the row after the last, and a Parquet file of the rows between.
        device, notes: of the opened model; None where it could not be opened.
        error: why the cell failed, as ``benchmark.faults.describe`` says it; rows measured before are kept.
        cost: what a reader may want to know of how the model ran (``benchmark.turns.Turns.cost``).
    """

    folder: Path
    shards: tuple[tuple[int, int, bytes], ...]
    device: str | None
    notes: tuple[str, ...]
    error: Mapping[str, Any] | None = None
    cost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a worker says of itself.

    Attributes:
        node: name of its machine.
        environment: all that may move a number there (``benchmark.provenance``), but for the precision.
        lacking: source and split → why its images cannot be used there.
    """

    node: str
    environment: Mapping[str, Any]
    lacking: Mapping[Split, str]


class Worker:
    """Measures pieces.

    Args:
        options: as for ``run_pass``; ``data_dir`` as it is called on this machine.
        node: what the machine is called.
    """

    def __init__(self, options: Options, *, node: str) -> None:
        self.options, self.node = options, node
        self._lineup = lineup_for(options)
        self._splits: OrderedDict[Split, tuple[Examples, dict[str, Shift]]] = OrderedDict()
        look_in(options.data_dir)

    def greet(self, contents: Mapping[Split, str]) -> Greeting:
        """Say what this machine is.

        Args:
            contents: content digests of the images that will be asked for.
        """
        lacking = {}
        for split, content in contents.items():
            try:
                self._check_content(split, content)
            except UserError as error:
                lacking[split] = str(error)
        return Greeting(node=self.node, environment=environment(self.options.device), lacking=lacking)

    def measure(
        self, piece: Piece, *, weights: Callable[[Contestant], Path | None] | None = None
    ) -> list[Part]:
        """What the piece's models answer, cell by cell.

        Args:
            weights: where a model's file lies on this machine; None for where the contestant says.
        """
        try:
            examples, shifts = self._open(piece)
        except Exception as error:  # noqa: BLE001 - becomes the result of the cells, and only theirs
            return [_failed(cell, error) for cell in piece.cells]
        with tempfile.TemporaryDirectory(prefix="robustbench-shift-") as scratch:
            here = {Path(scratch, str(place)): place for place in range(len(piece.cells))}
            cells = [
                dataclasses.replace(cell, folder=folder)
                for folder, cell in zip(here, piece.cells, strict=True)
            ]
            if weights is not None:
                cells = [_with_weights(cell, weights(cell.contestant)) for cell in cells]

            def shift_of(cell: Cell) -> Shift:
                if cell.shift_digest not in shifts:
                    shifts[cell.shift_digest] = Shift(cell.shift, examples, content=cell.content)
                return shifts[cell.shift_digest].cut(piece.todo[here[cell.folder]])

            models = open_models(cells, lineup=self._lineup, options=self.options)
            tracks = open_tracks(cells, examples, models, shift_of=shift_of)
            turns = answer(
                tracks,
                examples,
                lineup=self._lineup,
                content=cells[0].content,
                options=self.options,
                grid=piece.rows,
            )
            parts = []
            for track, cell, todo in zip(tracks, piece.cells, piece.todo, strict=True):
                with contained([track]):
                    track.flush()
                cost = {} if track.failure is not None else turns.cost(track.entrant)
                parts.append(_part(track, cell, todo, cost=cost))
            return parts

    def _open(self, piece: Piece) -> tuple[Examples, dict[str, Shift]]:
        """The images of a piece, and the shifts that were made of them before."""
        split = (piece.source, piece.split)
        if split not in self._splits:
            self._check_content(split, piece.cells[0].content)
            self._splits[split] = (load_examples(*split, data_dir=self.options.data_dir), {})
        self._splits.move_to_end(split)
        while len(self._splits) > SPLITS:
            self._splits.popitem(last=False)
        return self._splits[split]

    def _check_content(self, split: Split, content: str) -> None:
        source = SOURCES.get(split[0])
        here = recorded_content(source, split[1], data_dir=self.options.data_dir)
        if here != content:
            raise CorruptDataError(
                f"the node {self.node!r} has other images of {source.name}/{split[1]}: content digest "
                f"{here[:12]}, not {content[:12]}",
                hint="give all nodes the same copy, on a shared path (--data-dir) or one each",
            )


def environment(device: str) -> dict[str, Any]:
    """All that may move a number in this process; equal for processes whose rows may stand in one file.

    Raises:
        UserError: there is no such device here.
    """
    import torch

    return provenance(device=device_name(torch.device(pick_device(device))), precision="")


def _with_weights(cell: Cell, weights: Path | None) -> Cell:
    return dataclasses.replace(cell, contestant=dataclasses.replace(cell.contestant, weights=weights))


def _failed(cell: Cell, error: Exception) -> Part:
    return Part(folder=cell.folder, shards=(), device=None, notes=(), error=describe(error))


def _part(track: Track, cell: Cell, todo: Rows, *, cost: Mapping[str, float]) -> Part:
    opened = getattr(track, "opened", None)  # not there where it could not be opened
    return Part(
        folder=cell.folder,
        shards=tuple(_shards(track, todo)),
        device=None if opened is None else opened.device_name,
        notes=() if opened is None else opened.notes,
        error=None if track.failure is None else describe(track.failure),
        cost=cost,
    )


def _shards(track: Track, todo: Rows) -> Iterator[tuple[int, int, bytes]]:
    """The rows in the track's folder, under their numbers in the whole cell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = held_shards(track.cell.folder)
    if not held:
        return
    table = pa.concat_tables([pq.read_table(one.path) for one in held])
    rows = todo[: table.num_rows]
    edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    for start, stop in pairwise(edges):
        path = track.cell.folder / "part.parquet"
        write_parquet(path, [table.slice(start, stop - start)])
        yield int(rows[start]), int(rows[stop - 1]) + 1, path.read_bytes()
