"""A mixture with known parts: some examples stay as they are, the others are changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.data import Attribute, Rows
from shifts.errors import UserError
from shifts.registry import resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

PARTS = ("changed", "stays")


def stays(rows: Rows, *, share: float) -> NDArray[np.bool_]:
    """Which examples stay: bool (B,), each by a draw of its own with probability ``share``."""
    if not 0.0 < share < 1.0:
        raise UserError(f"the share that stays must lie in (0, 1), not {share}")
    draws = (rows.generator(index, "mixture").random() < share for index in range(len(rows.ids)))
    return np.fromiter(draws, dtype=np.bool_, count=len(rows.ids))


def mixture(images: Pixels, rows: Rows, *, share: float, steps: Sequence[Mapping[str, Any]]) -> Pixels:
    """Change the images that do not stay, step by step.

    Args:
        images: uint8 (B, H, W, 3).
        share: of the examples that stay.
        steps: ``{"function": "module:function", "parameters": {...}}`` of perturbations that keep the size.
    """
    index = np.flatnonzero(~stays(rows, share=share))
    if not len(index):
        return images
    some = Rows(
        ids=[rows.ids[i] for i in index.tolist()],
        labels=rows.labels[index],
        num_classes=rows.num_classes,
        seed=rows.seed,
    )
    changed = images[index]
    for step in steps:
        changed = resolve(step["function"])(changed, some, **step["parameters"])
    result = images.copy()
    result[index] = changed
    return result


def part(rows: Rows, *, share: float, steps: Sequence[Mapping[str, Any]]) -> Attribute:
    """Group column: the truth about every example."""
    return Attribute(values=stays(rows, share=share).astype(np.int64), names=PARTS)
