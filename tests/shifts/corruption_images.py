"""A picture for tests and measurements of corruptions, the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def picture(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Clouds in correlated colours with flat patches of extreme ones: uint8 (H, W, 3).

    Whole-number arithmetic and the frozen stream of ``RandomState``, so that figures measured elsewhere
    stay comparable for good.
    """
    draw = np.random.RandomState(seed)
    total = np.zeros((height, width, 3), dtype=np.int64)
    for octave in range(1, 7):
        cells = 2**octave
        grid = draw.randint(-128, 129, (cells + 1, cells + 1, 1)) * 2
        grid = (grid + draw.randint(-128, 129, (cells + 1, cells + 1, 3))) * (1 << (7 - octave))
        down, across = (np.arange(size) * cells * 256 // size for size in (height, width))
        i, j = down >> 8, across >> 8
        v, u = (down & 255)[:, None, None], (across & 255)[None, :, None]
        upper = grid[i][:, j] * (256 - u) + grid[i][:, j + 1] * u
        lower = grid[i + 1][:, j] * (256 - u) + grid[i + 1][:, j + 1] * u
        total += (upper * (256 - v) + lower * v) >> 16
    total = (total >> 7) + draw.randint(-8, 9, (height, width, 3))
    image = np.clip(120 + total, 0, 255).astype(np.uint8)
    patch = max(2, min(height, width) // 14)
    colours = ((0, 0, 0), (255, 255, 255), (90, 90, 90), (255, 0, 0), (0, 40, 250), (3, 2, 1))
    for k, colour in enumerate(colours):
        top, left = patch * (1 + 2 * k), patch * (1 + 3 * k % 11)
        image[top : top + patch, left : left + patch] = colour
    return image


def rows_of(ids: Sequence[str], *, seed: int = 0) -> Rows:
    """Rows of examples without labels of interest."""
    return Rows(ids=list(ids), labels=np.zeros(len(ids), dtype=np.int64), num_classes=1, seed=seed)
