"""The leading singular values of many features in many dimensions, and what the rest can add.

The entropy of singular values needs all of them. Where they are too many to compute, the sum of squares of
all is still known exactly, so the rest has a known sum of squares and no value above the last one computed:
that bounds both statistics.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmark.spectrum_moments import Ready

    Floats = NDArray[np.float64]

ROUNDS = 4  # of subspace iteration
SPARE = 32  # columns beyond those wanted: they take the error of the last ones


def leading_values(ready: Ready, *, count: int, seed: int) -> tuple[Floats, float]:
    """The largest singular values by randomised subspace iteration, and the sum of squares of all.

    Halko, Martinsson and Tropp 2011, SIAM Review 53, Algorithm 4.4. Values come out too small, never too
    large, the last ones most. The vectors are read ``ROUNDS`` + 1 times, a piece at a time.

    Args:
        ready: the vectors; their mean is taken away where they are centred over the samples.
        count: how many values.
        seed: of the first directions.

    Returns:
        Values float64 (count,), the largest first, and the sum of squares.
    """
    mean = np.zeros(ready.dim)
    if ready.centre == "samples":
        for piece in ready.pieces():
            mean += ready[piece].sum(axis=0) / ready.n
    width = min(count + SPARE, ready.dim, ready.n)
    directions: Floats = generator(seed, "spectrum", "directions").standard_normal((ready.dim, width))
    energy = 0.0
    for _ in range(ROUNDS):
        directions = np.asarray(np.linalg.qr(directions)[0], dtype=np.float64)
        image, energy = np.zeros_like(directions), 0.0
        for piece in ready.pieces():
            values = ready[piece] - mean
            image += values.T @ (values @ directions)
            energy += float(np.square(values).sum())
        directions = image
    directions = np.asarray(np.linalg.qr(directions)[0], dtype=np.float64)
    products = np.zeros((width, width))
    for piece in ready.pieces():
        projected = (ready[piece] - mean) @ directions
        products += projected.T @ projected
    squares = np.linalg.eigvalsh(products)[::-1][:count]
    return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float64), energy


def tail_of(values: Floats, energy: float, *, among: int, flat: bool) -> Floats:
    """The values with one of the two extreme tails that their sum of squares allows.

    Flat, all others are equal: their sum is then the largest (Cauchy and Schwarz), and so is the LSVR.
    Otherwise as few as possible are as large as the last one known, and both are the smallest. The entropy
    lies between its values at the two as long as no value of the tail has a share above e^(1 - entropy), that
    is, e times the share of one among exp(entropy) equal ones.

    Args:
        values: float64 (K,), the K largest, the largest first.
        energy: sum of squares of all.
        among: how many there are in all.
        flat: which tail.

    >>> tail_of(np.array([2.0, 1.0]), 7.0, among=6, flat=False)  # 2 left over: two of 1
    array([2., 1., 1., 1.])
    >>> tail_of(np.array([2.0, 1.0]), 7.0, among=6, flat=True)[2:].round(4)  # four of sqrt(2 / 4)
    array([0.7071, 0.7071, 0.7071, 0.7071])
    """
    rest = max(energy - float(values @ values), 0.0)
    others = among - len(values)
    if not others or not rest:
        return values
    last = float(values[-1])
    # Values that came out a little too small may leave more than the others can hold below the last one.
    last = max(last, math.sqrt(rest / others))
    if flat:
        return np.append(values, np.full(others, math.sqrt(rest / others)))
    whole = int(rest / last**2)
    left = max(rest - whole * last**2, 0.0)
    return np.concatenate([values, np.full(whole, last), [math.sqrt(left)] if left else []])
