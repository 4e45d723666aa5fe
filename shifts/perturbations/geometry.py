"""Sizes of images: shrinking by whole factors, exact on any machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def shrink(images: NDArray[np.uint8], rows: Rows, *, factor: int) -> NDArray[np.uint8]:
    """Divide the size by a whole number: each pixel is the mean of a block (a box filter), rounded.

    Args:
        images: uint8 (B, H, W, 3).

    Raises:
        UserError: a side is no multiple of the factor.
    """
    count, height, width, channels = images.shape
    if factor < 1 or height % factor or width % factor:
        raise UserError(f"images of {height} × {width} pixels cannot be shrunk by {factor}")
    blocks = images.reshape(count, height // factor, factor, width // factor, factor, channels)
    total = blocks.sum(axis=(2, 4), dtype=np.uint32)
    area = factor * factor
    return np.asarray((2 * total + area) // (2 * area), dtype=np.uint8)
