"""Parts of a source on their way to the models: the rows that are wanted, in which form, and what came."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from models_zoo.spec import Preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmark.opening import Hands

    Pixels = NDArray[np.uint8]
    Positions = NDArray[np.int64]

RAW = Preprocess()  # images as they are decoded


def geometry_of(preprocess: Preprocess) -> Preprocess:
    """The part of a preprocess that moves pixels; equal for models that share prepared images."""
    if preprocess.resize is None and preprocess.crop is None:
        return RAW
    return dataclasses.replace(preprocess, mean=RAW.mean, std=RAW.std)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Rows of the source that somebody needs in one form.

    Attributes:
        now: int64, rising: those that are missing.
        ever: with those that were measured before; only whole sets go into the cache.
    """

    now: Positions
    ever: Positions

    @classmethod
    def union(cls, parts: Sequence[Wanted]) -> Wanted:
        """What all of them need together."""
        if not parts:
            return NOTHING
        now, ever = [part.now for part in parts], [part.ever for part in parts]
        return cls(now=np.unique(np.concatenate(now)), ever=np.unique(np.concatenate(ever)))


NOTHING = Wanted(now=np.empty(0, dtype=np.int64), ever=np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Images ``batch`` uint8 (B, 3, h, w) of the rows ``positions`` (B,), or why they cannot be prepared."""

    positions: Positions
    batch: torch.Tensor | Exception


@dataclass(slots=True, kw_only=True)
class Chunk:
    """Some rows of the source.

    Attributes:
        positions: int64 (B,), rising.
        hands: the threads that opened it, for more to be done.
        images: by place in the chunk, decoded images for perturbations.
        broken: by place, why an image cannot be read.
        prepared: by geometry, for models that see the images as they are.
    """

    positions: Positions
    hands: Hands
    images: dict[int, Pixels] = field(default_factory=dict)
    broken: dict[int, Exception] = field(default_factory=dict)
    prepared: dict[Preprocess, Prepared] = field(default_factory=dict)

    def batch(self, geometry: Preprocess, positions: Positions) -> torch.Tensor:
        """The prepared images of some rows: uint8 (b, 3, h, w).

        Raises:
            Exception: what preparing them raised.
        """
        found = self.prepared[geometry]
        if isinstance(found.batch, Exception):
            raise found.batch
        if len(positions) == len(found.positions):
            return found.batch
        return found.batch[torch.from_numpy(np.searchsorted(found.positions, positions))]


def cut_along(grid: Positions, rows: Positions, *, size: int) -> list[Positions]:
    """Rows in parts that end where ``size`` rows of the grid do, so that images meet the same batch mates.

    Args:
        grid: int64, rising: all rows that a pass is about, needed here and now or not.
        rows: int64, rising: those that are.

    >>> [part.tolist() for part in cut_along(np.arange(10), np.array([0, 1, 2, 5, 9]), size=4)]
    [[0, 1, 2], [5], [9]]
    """
    edges = np.searchsorted(rows, grid[::size][1:])
    return [part for part in np.split(rows, edges) if len(part)]
