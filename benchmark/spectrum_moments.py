"""Sums of features and of their products: all that a spectrum needs, in memory that the examples do not grow.

Features are made ready row by row (normalised, perhaps centred over their own entries), then summed into D
first and D x D second moments in double precision. Moments of parts add up, so a resample of the examples is
a weighted sum of small matrices and never another decomposition of N x D values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Centre = Literal["none", "samples", "features"]
CENTRES: tuple[Centre, ...] = ("none", "samples", "features")
_PIECE = 2**22  # values in double precision at a time, 32 MiB
_SHORTEST = 1e-12  # as torch.nn.functional.normalize has it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """Feature vectors as they are decomposed, but for the mean over the samples.

    Attributes:
        values: (N, D), any float dtype; may be a memory map.
        centre: ``"features"`` takes from each vector the mean of its own D entries, as the authors' released
            ``svd.py`` does (it normalises first, and so does this); the others leave the vector as it is.
        normalise: scale each vector to length 1; a vector of zeros stays one.
        chosen: int64 (n,), the rows of ``values`` that are meant; None for all of them.

    >>> Ready(values=np.array([[3.0, 4.0]]), centre="none", normalise=True)[np.array([0])]
    array([[0.6, 0.8]])
    """

    values: NDArray[np.floating]
    centre: Centre
    normalise: bool
    chosen: NDArray[np.int64] | None = None

    @property
    def n(self) -> int:
        """How many vectors."""
        return len(self.values if self.chosen is None else self.chosen)

    @property
    def dim(self) -> int:
        """How many entries each has."""
        return int(self.values.shape[1])

    def __getitem__(self, rows: NDArray[np.int64]) -> Floats:
        """Some vectors, float64 (B, D)."""
        places = rows if self.chosen is None else self.chosen[rows]
        values = self.values[places].astype(np.float64)
        if self.normalise:
            values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _SHORTEST)
        if self.centre == "features":
            values -= values.mean(axis=1, keepdims=True)
        return values

    def pieces(self, rows: NDArray[np.int64] | None = None) -> Iterator[NDArray[np.int64]]:
        """Rows, all by default, in pieces whose vectors take a bounded amount of memory."""
        rows = np.arange(self.n) if rows is None else rows
        size = max(_PIECE // self.dim, 1)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Of n feature vectors, each less a constant vector that all parts share.

    Attributes:
        n: how many; a sum of weights in a resample.
        total: float64 (D,), their sum.
        products: float64 (D, D), the sum of their outer products.
    """

    n: float
    total: Floats
    products: Floats

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            n=self.n + other.n, total=self.total + other.total, products=self.products + other.products
        )

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            n=self.n - other.n, total=self.total - other.total, products=self.products - other.products
        )

    def singular_values(self, centre: Centre) -> Floats:
        """Of the matrix of these vectors: float64 (min(n, D),), the largest first.

        What lies below the precision of the products (about 3e-7 of the largest at D = 512) counts as 0.
        """
        products, dim = self.products, len(self.total)
        if centre == "samples":
            products = products - np.outer(self.total, self.total) / self.n
        squares = np.linalg.eigvalsh(products)[::-1][: min(round(self.n), dim)]
        squares[squares < dim * np.finfo(np.float64).eps * squares[0]] = 0
        return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float64)


def moments(ready: Ready, rows: NDArray[np.int64] | None = None, *, origin: Floats | None = None) -> Moments:
    """Moments of some rows, taken a piece at a time.

    Args:
        rows: which of them, int64 (B,), B >= 1; None for all.
        origin: float64 (D,), subtracted from every vector: near the mean it keeps the digits that a large
            mean would cost. None subtracts nothing.
    """
    total, products = np.zeros(ready.dim), np.zeros((ready.dim, ready.dim))
    for piece in ready.pieces(rows):
        values = ready[piece]
        if origin is not None:
            values -= origin
        total += values.sum(axis=0)
        products += values.T @ values
    return Moments(n=ready.n if rows is None else len(rows), total=total, products=products)


def resampled(parts: Sequence[Moments], weights: NDArray[np.floating]) -> Iterator[Moments]:
    """Weighted sums of the parts, a few at a time as one product of matrices.

    Args:
        parts: one or more.
        weights: (R, parts).
    """
    dim = len(parts[0].total)
    flat = np.stack([np.concatenate([[one.n], one.total, one.products.ravel()]) for one in parts])
    at_a_time = max(_PIECE // flat.shape[1], 1)
    for start in range(0, len(weights), at_a_time):
        for row in weights[start : start + at_a_time].astype(np.float64) @ flat:
            yield Moments(n=row[0], total=row[1 : dim + 1], products=row[dim + 1 :].reshape(dim, dim))


def in_fewer_dimensions(ready: Ready) -> Ready:
    """The same vectors in coordinates of the space they span, (N, N): for N < D.

    Every weighted sum of their outer products has the same singular values in these coordinates, so whatever
    is computed of the vectors can be computed of them.
    """
    products = np.empty((ready.n, ready.n))
    for left in ready.pieces():
        values = ready[left]
        for right in ready.pieces():
            products[np.ix_(left, right)] = values @ ready[right].T
    squares, axes = np.linalg.eigh(products)
    centre: Centre = "samples" if ready.centre == "samples" else "none"
    return Ready(values=axes * np.sqrt(np.maximum(squares, 0)), centre=centre, normalise=False)
