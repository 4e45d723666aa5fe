"""A pass cut into pieces that different processes measure: some of its models over some of its rows.

A piece takes whole batches of the pass, so that every image meets the batch mates it would meet in one
process; what comes out is the same to the last bit. Rows that are in the results folder already are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmark.assembling import Assembly
    from benchmark.planning import Cell, Pass

    Rows = NDArray[np.int64]

GROUP = 16  # models that share what was decoded; of more the decoding is no cost any more
EVALUATIONS = 32_768  # of a piece, an evaluation being one image for one cell: a matter of a minute
PER_WORKER = 4  # pieces of a pass for each worker at least, so that all end at about the same time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """What one process measures in one go.

    Attributes:
        source, split: of the images.
        group: number of the group of models within the run.
        cells: of these models.
        rows: int64, rising: rows of the source, whole batches of the pass.
        todo: for each cell, int64, rising: the rows of the cell that are wanted; none where only what the
            model says of itself is.
        losses: how many workers were lost over it.
    """

    source: str
    split: str
    group: int
    cells: tuple[Cell, ...]
    rows: Rows
    todo: tuple[Rows, ...]
    losses: int = 0

    @property
    def size(self) -> int:
        """Evaluations."""
        return sum(map(len, self.todo))

    def only(self, folders: Collection[Path]) -> Piece:
        """The piece with the cells of these folders alone."""
        kept = [place for place, cell in enumerate(self.cells) if cell.folder in folders]
        if len(kept) == len(self.cells):
            return self
        cells, todo = (self.cells[place] for place in kept), (self.todo[place] for place in kept)
        return replace(self, cells=tuple(cells), todo=tuple(todo))

    def by_model(self) -> list[Piece]:
        """A piece for each model: where one of them ends its process, the others are measured without it."""
        models: dict[str, set[Path]] = {}
        for cell in self.cells:
            models.setdefault(cell.model_digest, set()).add(cell.folder)
        return [self.only(folders) for folders in models.values()]


def cut(
    work: Pass,
    assemblies: Sequence[Assembly],
    rows: Rows,
    *,
    group: int,
    batch_size: int,
    workers: int,
) -> Iterator[Piece]:
    """The pieces of a group of models, in the order of the rows.

    Args:
        work: the pass that the group is of.
        assemblies: what is there of the group's cells.
        rows: int64, rising: all rows of the source that the pass is about, for any of its cells.
        group: its number within the run.
        workers: processes that will share the pass.
    """
    step = _step(len(rows), len(assemblies), batch_size=batch_size, workers=workers)
    named: set[Path] = set()
    for start in range(0, len(rows), step):
        piece = _piece(work, assemblies, rows[start : start + step], group, named)
        if piece.cells:
            named.update(cell.folder for cell in piece.cells)
            yield piece


def groups(cells: Sequence[Cell], *, room: int | None) -> list[list[Cell]]:
    """Cells by models that are open together: in their order, as many as a process has room for."""
    by_model: dict[str, list[Cell]] = {}
    for cell in cells:
        by_model.setdefault(cell.contestant.digest, []).append(cell)
    found: list[list[Cell]] = []
    models = size = 0
    for of_model in by_model.values():
        weights = of_model[0].contestant.weights
        own = weights.stat().st_size if weights is not None and weights.is_file() else 0
        if not found or models == GROUP or (room is not None and size + own > room):
            found.append([])
            models = size = 0
        found[-1] += of_model
        models, size = models + 1, size + own
    return found


def _step(rows: int, cells: int, *, batch_size: int, workers: int) -> int:
    """Rows of a piece: whole batches, not too long, and enough pieces for all."""
    wanted = min(EVALUATIONS // cells, -(-rows // (PER_WORKER * workers)))
    return max(-(-wanted // batch_size), 1) * batch_size


def _piece(work: Pass, assemblies: Sequence[Assembly], rows: Rows, group: int, named: set[Path]) -> Piece:
    """A piece with the cells that lack rows in it.

    A cell whose rows are all there has to be in one piece, too (``named`` have been in one): what its model
    says of itself belongs into the result.
    """
    wanted = [(one, one.missing(int(rows[0]), int(rows[-1]))) for one in assemblies]
    kept = [
        (one.cell, todo)
        for one, todo in wanted
        if len(todo) or (one.complete and one.cell.folder not in named)
    ]
    return Piece(
        source=work.source,
        split=work.split,
        group=group,
        cells=tuple(cell for cell, _ in kept),
        rows=rows,
        todo=tuple(todo for _, todo in kept),
    )
