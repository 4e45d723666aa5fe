"""In which order missing cells are measured: so that whole shifts are finished early. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from shifts.spec import SOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from benchmark.planning import Cell

# Cells over one read of the images. A read costs about as much as a small network's pass over an image, so
# that reading once more after so many cells costs less than a percent, and the shifts before it are finished.
MOST_CELLS = 256
UNKNOWN_ROWS = 10_000  # of a split whose size nobody published
SMALL = 2**20  # bytes; weights below this do not tell what a model costs


def in_order(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Groups of cells over the same images, those first that are done soonest.

    Shifts stay whole. The group of a reference comes right before the first group that needs it: effective
    robustness is known when that one is done. Otherwise the cheapest group comes first, which finishes most
    shifts in any given time (the shortest processing time first).

    Args:
        cells: that are missing, those of a shift one after the other.
    """
    splits: dict[tuple[str, str], list[list[Cell]]] = {}
    for shift in _by_shift(cells):
        groups = splits.setdefault((shift[0].shift.source, shift[0].shift.split), [])
        if not groups or len(groups[-1]) + len(shift) > MOST_CELLS:
            groups.append([])
        groups[-1] += shift
    # Sorting is stable: groups of equal cost keep the order in which they were asked for.
    cheapest = sorted((group for groups in splits.values() for group in groups), key=cost)
    holding = {cell.shift.name: group for group in cheapest for cell in group}
    ordered: list[list[Cell]] = []
    for group in cheapest:
        needed = dict.fromkeys(cell.shift.reference for cell in group if cell.shift.reference in holding)
        for one in (*(holding[name] for name in needed if name is not None), group):
            if not any(one is before for before in ordered):
                ordered.append(one)
    return ordered


def cost(cells: Sequence[Cell]) -> float:
    """What a group costs, in images times bytes of weights: good enough to compare groups."""
    return sum(_rows(cell) * max(_weight(cell), SMALL) for cell in cells)


def _by_shift(cells: Iterable[Cell]) -> list[list[Cell]]:
    shifts: dict[str, list[Cell]] = {}
    for cell in cells:
        shifts.setdefault(cell.shift_digest, []).append(cell)
    return list(shifts.values())


def _rows(cell: Cell) -> int:
    known = SOURCES.get(cell.shift.source).published_size(cell.shift.split)
    rows = UNKNOWN_ROWS if known is None else known
    return rows if cell.shift.limit is None else min(cell.shift.limit, rows)


def _weight(cell: Cell) -> int:
    weights = cell.contestant.weights
    return 4 * (cell.contestant.spec.parameters or 0) if weights is None else _bytes(weights)


@cache  # a model has a cell on each of its shifts
def _bytes(weights: Path) -> int:
    return weights.stat().st_size if weights.is_file() else 0
