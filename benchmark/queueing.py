"""The work of a plan as a queue of pieces: who gets which, what comes back, when a cell is finished.

Groups of models are opened one after the other, so that whatever the size of the plan only what is being
worked on is in memory, and cells are finished all along the way.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.assembling import Assembly
from benchmark.claiming import claimed
from benchmark.faults import describe
from benchmark.pieces import Piece, cut, groups
from benchmark.runner import PATIENCE
from benchmark.store import finished_result
from benchmark.track import Track
from shifts.data import Shift, load_examples
from shifts.errors import UserError
from shifts.spec import SOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from benchmark.pieces import Rows
    from benchmark.planning import Cell, Pass, Plan
    from benchmark.result import Result
    from benchmark.runner import Options
    from benchmark.store import Store
    from benchmark.worker import Part, Split

LOSSES = 3  # workers that may be lost over a piece before its cells fail
_SMALLER = "if memory ran out: a smaller --batch-size; the same command measures what is missing"


class WorkerLostError(UserError):
    """Nobody is left to measure a cell, or whoever tries is lost."""


@dataclass(slots=True, kw_only=True)
class _Group:
    """Models of a pass that are open together; ``pieces`` are to be handed out, ``flying`` are handed out."""

    number: int
    work: Pass
    assemblies: dict[Path, Assembly] = field(default_factory=dict)
    pieces: deque[Piece] = field(default_factory=deque)
    flying: int = 0
    not_before: float = 0.0
    claims: ExitStack = field(default_factory=ExitStack)

    @property
    def split(self) -> Split:
        return self.work.source, self.work.split


class Queue:
    """Pieces of a plan.

    Args:
        environment: of the workers (``benchmark.worker.environment``).
        workers: how many there will be.
        executor: its name, for the record.
        room: bytes of weights that a worker holds; None for no bound.

    Attributes:
        results: of cells that are finished or failed and that nobody has taken yet.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        store: Store,
        options: Options,
        environment: Mapping[str, Any],
        workers: int,
        executor: str,
        room: int | None = None,
    ) -> None:
        self.results: deque[Result] = deque()
        self._store, self._options, self._environment = store, options, environment
        self._workers, self._executor = workers, executor
        parts = [
            replace(work, cells=tuple(cells))
            for work in plan.passes
            for cells in groups(work.cells, room=room)
        ]
        self._lost: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._closed = [_Group(number=next(self._numbers), work=work) for work in parts]
        self._open: dict[int, _Group] = {}
        self._passes = {(work.source, work.split): work for work in plan.passes}
        self._shifts: dict[Split, dict[str, Shift | Exception]] = {}
        self._size = {cell.folder: _size(cell) for work in plan.passes for cell in work.cells}
        self._done = dict.fromkeys(self._size, 0)

    @property
    def over(self) -> bool:
        """Nothing is left to do."""
        return not self._open and not self._closed

    @property
    def evaluations(self) -> tuple[int, int]:
        """Done and in all; in all is an estimate while there are groups that nobody has begun."""
        return sum(self._done.values()), sum(self._size.values())

    def next(self, *, holds: int | None = None, lacking: Collection[Split] = ()) -> Piece | None:
        """A piece for a worker, None where there is none for it now.

        Of the group whose models it holds, else of one that nobody has begun, else of the longest.

        Args:
            holds: number of that group.
            lacking: images that the worker cannot use.
        """
        own = self._open.get(-1 if holds is None else holds)
        if own is not None and own.pieces and own.split not in lacking:
            return self._hand_out(own)
        opened = self._begin(lacking)
        if opened is not None:
            return self._hand_out(opened)
        begun = [one for one in self._open.values() if one.pieces and one.split not in lacking]
        return self._hand_out(max(begun, key=lambda one: len(one.pieces))) if begun else None

    def take(self, piece: Piece, parts: Sequence[Part]) -> None:
        """Keep what a piece gave, and finish the cells that are whole."""
        group = self._open[piece.group]
        group.flying -= 1
        for cell in piece.cells:
            self._lost.pop(cell.model_digest, None)
        for part in parts:
            assembly = group.assemblies.get(part.folder)
            if assembly is None:
                continue  # failed in the meantime
            try:
                assembly.take(part)
            except (OSError, UserError) as error:
                assembly.fail(describe(error))
            self._done[part.folder] = assembly.rows_done
        self._settle(group)

    def lost(self, piece: Piece, why: str) -> None:
        """Give a piece out again whose worker is gone, each model alone.

        Its cells fail after ``LOSSES`` over it, or over pieces of its one model without any that came back.
        """
        group = self._open[piece.group]
        group.flying -= 1
        models = {cell.model_digest for cell in piece.cells}
        if len(models) == 1:
            self._lost.update(models)
        if max(piece.losses + 1, *(self._lost[model] for model in models)) < LOSSES:
            again = replace(piece, losses=piece.losses + 1, todo=self._still_missing(group, piece))
            group.pieces.extendleft(reversed(again.by_model()))
        else:
            told = f"the worker was lost {LOSSES} times over it: {why}"
            self.refuse(piece, WorkerLostError(told, hint=_SMALLER))
        self._settle(group)

    def _still_missing(self, group: _Group, piece: Piece) -> tuple[Rows, ...]:
        """What a piece lacks, if its worker put rows into the store before it was lost."""
        found = []
        for cell, todo in zip(piece.cells, piece.todo, strict=True):
            assembly = group.assemblies.get(cell.folder)
            if assembly is not None:
                assembly.look()
            first, last = int(piece.rows[0]), int(piece.rows[-1])
            found.append(todo if assembly is None else assembly.missing(first, last))
        return tuple(found)

    def again(self, piece: Piece) -> None:
        """Give a piece out again that nobody has begun."""
        group = self._open[piece.group]
        group.flying -= 1
        group.pieces.appendleft(piece)

    def refuse(self, piece: Piece, error: Exception) -> None:
        """Let the cells of a piece fail."""
        for cell in piece.cells:
            assembly = self._open[piece.group].assemblies.get(cell.folder)
            if assembly is not None:
                assembly.fail(describe(error))

    def fail_rest(self, error: Exception, *, unless: Collection[Split] = ()) -> None:
        """Let the cells fail that nobody is working on, but for those over some images."""
        while self._begin(unless) is not None:
            pass
        for group in list(self._open.values()):
            if group.split not in unless:
                while group.pieces:
                    self.refuse(group.pieces.popleft(), error)
                self._settle(group)

    def close(self) -> None:
        """Give the claims back; what is unfinished stays as it is."""
        for group in self._open.values():
            group.claims.close()

    def _hand_out(self, group: _Group) -> Piece:
        group.flying += 1
        return group.pieces.popleft()

    def _begin(self, lacking: Collection[Split]) -> _Group | None:
        """Open the first group with something to do."""
        for group in list(self._closed):
            if group.split in lacking or time.monotonic() < group.not_before:
                continue
            self._closed.remove(group)
            self._open_group(group)
            if group.pieces:
                return group
        return None

    def _open_group(self, group: _Group) -> None:
        """Claim the cells of a group; those that another process is measuring come last."""
        ours = group.claims.enter_context(claimed(group.work.cells))
        taken = {cell.folder for cell in ours}
        rest = tuple(cell for cell in group.work.cells if cell.folder not in taken)
        if rest:
            later = _Group(number=next(self._numbers), work=replace(group.work, cells=rest))
            later.not_before = time.monotonic() + PATIENCE
            self._closed.append(later)
        self._open[group.number] = group
        for cell in ours:
            found = finished_result(cell.folder)
            opened = None if found is not None else self._opened(group.work, cell)
            if found is not None:
                self._give(cell, found)
            elif isinstance(opened, Exception):
                self._give(cell, Track(cell, opened, opened).close({"executor": self._executor}))
            elif opened is not None:
                group.assemblies[cell.folder] = Assembly(
                    cell, opened, store=self._store, environment=self._environment
                )
        self._cut(group)
        self._settle(group)

    def _opened(self, work: Pass, cell: Cell) -> Shift | Exception:
        """A cell's shift, or why it cannot be opened; those of a source are kept for its next groups."""
        split = (work.source, work.split)
        if split not in self._shifts:
            self._shifts = {split: _open_shifts(self._passes[split], self._options)}
        return self._shifts[split][cell.shift_digest]

    def _cut(self, group: _Group) -> None:
        if not group.assemblies:
            return
        of_pass = [one.position for one in self._shifts[group.split].values() if isinstance(one, Shift)]
        pieces = cut(
            group.work,
            list(group.assemblies.values()),
            np.unique(np.concatenate(of_pass)),
            group=group.number,
            batch_size=self._options.batch_size,
            workers=self._workers,
        )
        group.pieces.extend(pieces)

    def _settle(self, group: _Group) -> None:
        """Finish the cells that are whole or failed; ask again for rows that turned out to be missing."""
        for folder, assembly in list(group.assemblies.items()):
            if assembly.ready:
                del group.assemblies[folder]
                self._give(assembly.cell, assembly.close(executor=self._executor))
        live = [piece.only(group.assemblies) for piece in group.pieces]
        group.pieces = deque(piece for piece in live if piece.cells)
        if group.flying or group.pieces:
            return
        if group.assemblies:
            self._cut(group)
            return
        if self._open.pop(group.number, None) is not None:
            group.claims.close()

    def _give(self, cell: Cell, result: Result) -> None:
        self._done[cell.folder] = self._size[cell.folder]
        self.results.append(result)


def _open_shifts(work: Pass, options: Options) -> dict[str, Shift | Exception]:
    """The shifts of a pass by digest, or why they cannot be opened."""
    found: dict[str, Shift | Exception] = {}
    try:
        examples = load_examples(work.source, work.split, data_dir=options.data_dir)
    except UserError as error:
        return {cell.shift_digest: error for cell in work.cells}
    for cell in work.cells:
        if cell.shift_digest not in found:
            try:
                found[cell.shift_digest] = Shift(cell.shift, examples, content=cell.content)
            except Exception as error:  # noqa: BLE001 - becomes the result of the cells that need the shift
                found[cell.shift_digest] = error
    return found


def _size(cell: Cell) -> int:
    """Images of a cell, as published: what is known before they are opened."""
    size = SOURCES.get(cell.shift.source).published_size(cell.shift.split) or 0
    return size if cell.shift.limit is None else min(size, cell.shift.limit)
