"""Ways to look at an image that protocols prescribe: the centre of it, without its border, without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

    Pixels = NDArray[np.uint8]


def greyscale(images: Pixels, rows: Rows) -> Pixels:
    """ITU-R 601-2 luma in all three channels, rounded as PIL's ``convert("L")`` does.

    Args:
        images: uint8 (B, H, W, 3).
    """
    weights = np.array([19595, 38470, 7471], dtype=np.uint32)
    luma = ((images.astype(np.uint32) @ weights + 0x8000) >> 16).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=-1)


def crop_border(images: Pixels, rows: Rows, *, pixels: int) -> Pixels:
    """The images without so many pixels on every side.

    Raises:
        UserError: nothing would be left.
    """
    height, width = images.shape[1:3]
    if min(height, width) <= 2 * pixels:
        raise UserError(f"an image of {height} x {width} pixels has nothing inside a border of {pixels}")
    return images[:, pixels : height - pixels, pixels : width - pixels]


def resize_and_crop(images: Pixels, rows: Rows, *, resize: int, crop: int) -> Pixels:
    """The centre of each image: shorter side to ``resize`` (PIL, bilinear), then a square of ``crop``.

    What ImageNet-C's images went through before they were corrupted (Hendrycks and Dietterich 2019,
    ``Resize(256)`` and ``CenterCrop(224)``); same rounding as torchvision.

    Args:
        images: uint8 (B, H, W, 3).

    Returns:
        uint8 (B, crop, crop, 3).
    """
    height, width = images.shape[1:3]
    short, long = min(height, width), max(height, width)
    other = int(resize * long / short)
    size = (resize, other) if width <= height else (other, resize)  # PIL's order: width, height
    if size == (width, height):
        resized = images
    else:
        resized = np.stack(
            [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)) for image in images]
        )
    top, left = round((size[1] - crop) / 2.0), round((size[0] - crop) / 2.0)
    return resized[:, top : top + crop, left : left + crop]
