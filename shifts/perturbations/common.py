"""What all corruptions share: the check of their input and the way back to uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_images(images: NDArray[np.uint8], name: str, *, smallest: int = 1) -> None:
    """Refuse what a corruption cannot work on.

    Args:
        images: uint8 (B, H, W, 3).
        name: the corruption, for the message.
        smallest: least height and width in pixels.

    Raises:
        UserError: another dtype or layout, or images that are too small.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise UserError(
            f"{name} wants uint8 images (B, H, W, 3), not {images.dtype} {images.shape}",
            hint="convert grey images to RGB and floats in [0, 1] to 0..255",
        )
    height, width = images.shape[1:3]
    if min(height, width) < smallest:
        raise UserError(
            f"{name} wants images of at least {smallest}x{smallest} pixels, not {height}x{width}",
            hint="resize the images, or leave this corruption out",
        )


def check_range(value: float, name: str, *, low: float, high: float = float("inf")) -> None:
    """Raise UserError unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise UserError(f"{name} must lie in [{low:g}, {high:g}], not {value:g}")


def truncated(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey levels (H, W) or (H, W, C) clipped to 0..255 without their fraction, as in the published sets.

    OpenCV clips and converts in one go, but rounds: half a level is taken off first, and a little less
    than that, because single precision must not turn a 255 into a 254.
    """
    import cv2

    flat = values.reshape(len(values), -1)
    levels = cv2.subtract(flat, 0.4998, dtype=cv2.CV_8U)  # type: ignore[call-overload]  # stubs want arrays
    return np.asarray(levels, dtype=np.uint8).reshape(values.shape)
