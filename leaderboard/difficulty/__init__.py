"""How hard each example is for published models, and for the entries of a board."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.readers.imagenet_tables import val_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Source and split → (table, models in it, whether they saw the very images). The JPEG copy of the CIFAR-10
# test set has its ids, but what is hard in a copy is only partly what was hard in the original.
_TABLES = {
    ("imagenet-val", "val"): ("imagenet-val", 67, True),
    ("cifar10", "test"): ("cifar10-test", 30, True),
    ("cifar10-jpeg75", "test"): ("cifar10-test", 30, False),
    ("cifar10.1", "v4"): ("cifar10.1-v4", 30, True),
    ("cifar10.1", "v6"): ("cifar10.1-v6", 30, True),
}


@cache
def _tables() -> dict[str, NDArray[np.uint8]]:
    with np.load(Path(__file__).with_name("difficulty.npz"), allow_pickle=False) as archive:
        return {name: np.asarray(archive[name], dtype=np.uint8) for name in archive.files}


def published_difficulty(source: str, split: str, ids: Sequence[str]) -> tuple[Floats, bool] | None:
    """Share of published models that err on each example.

    Returns:
        float64 (N,) and whether those models saw the very images; None where nothing is published.
    """
    if (source, split) not in _TABLES:
        return None
    name, models, same = _TABLES[source, split]
    numbers = [_number(source, example) for example in ids]
    wrong = _tables()[name]
    if any(number is None or number >= len(wrong) for number in numbers):
        return None
    return wrong[np.array(numbers, dtype=np.int64)] / models, same


def _number(source: str, example: str) -> int | None:
    if source == "imagenet-val":
        number = val_number(example)
        return None if number is None else number - 1
    last = example.rpartition("-")[2]
    return int(last) if last.isdecimal() else None
