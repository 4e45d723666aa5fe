"""Changes of tone and resolution: brightness, contrast, pixelate, and a covering square."""

# ruff: noqa: ARG001 - every corruption is called with rows, also one that draws nothing

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.perturbations.common import check_images, check_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def contrast(images: NDArray[np.uint8], rows: Rows, *, factor: float) -> NDArray[np.uint8]:
    """Pull every channel towards its mean over the image.

    Source: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.

    Args:
        images: uint8 (B, H, W, 3).
        factor: what remains of the distance to the mean; 1 changes nothing.
    """
    check_images(images, "contrast")
    check_range(factor, "factor", low=0)
    result = np.empty_like(images)
    levels = np.arange(256, dtype=np.float64)
    for i, image in enumerate(images):
        for channel in range(3):
            values = image[..., channel]
            mean = values.mean(dtype=np.float64)
            table = np.clip((levels - mean) * factor + mean + 1e-9, 0, 255).astype(np.uint8)
            result[i, ..., channel] = table[values]
    return result


@lru_cache(maxsize=16)
def _brighter(amount: float) -> NDArray[np.uint8]:
    """Table uint8 (65536,): new value of a channel at ``256 * largest channel + channel``.

    Raising V of HSV by ``amount`` at equal hue and saturation multiplies all three channels by V'/V.
    """
    value = np.arange(256, dtype=np.float64)
    raised = np.clip(value + 255 * amount, 0, 255)
    table = np.divide(raised, value, out=np.zeros(256), where=value > 0)[:, None] * value[None, :]
    table[0] = raised[0]
    return np.clip(table + 1e-9, 0, 255).astype(np.uint8).ravel()


def brightness(images: NDArray[np.uint8], rows: Rows, *, amount: float) -> NDArray[np.uint8]:
    """Raise the V of HSV.

    Source: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.

    Args:
        images: uint8 (B, H, W, 3).
        amount: added to V, as a fraction of full scale.
    """
    check_images(images, "brightness")
    check_range(amount, "amount", low=-1, high=1)
    largest = np.maximum(np.maximum(images[..., 0], images[..., 1]), images[..., 2]).astype(np.uint16)
    return np.take(_brighter(amount), (largest << 8)[..., None] + images)


def pixelate(images: NDArray[np.uint8], rows: Rows, *, fraction: float) -> NDArray[np.uint8]:
    """Shrink with a box filter and blow up again.

    Source: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.

    Args:
        images: uint8 (B, H, W, 3).
        fraction: the small side over the side, in (0, 1]; rounded down to whole pixels.

    Raises:
        UserError: the image would shrink to nothing.
    """
    from PIL import Image

    check_range(fraction, "fraction", low=1e-3, high=1)
    check_images(images, "pixelate", smallest=int(np.ceil(1 / fraction)))
    height, width = images.shape[1:3]
    small = (int(width * fraction), int(height * fraction))
    result = np.empty_like(images)
    for i, image in enumerate(images):
        shrunk = Image.fromarray(image).resize(small, Image.Resampling.BOX)
        result[i] = np.asarray(shrunk.resize((width, height), Image.Resampling.BOX))
    return result


def occlusion(
    images: NDArray[np.uint8], rows: Rows, *, fraction: float, level: int = 127
) -> NDArray[np.uint8]:
    """Cover a square at a random place, wholly inside the image.

    The square of a larger ``fraction`` covers that of a smaller one: both have the same relative place.

    Args:
        images: uint8 (B, H, W, 3).
        fraction: side of the square over the shorter side of the image, in [0, 1].
        level: grey level of the square.
    """
    check_images(images, "occlusion")
    check_range(fraction, "fraction", low=0, high=1)
    check_range(level, "level", low=0, high=255)
    height, width = images.shape[1:3]
    side = round(fraction * min(height, width))
    result = images.copy()
    for i in range(len(images)):
        down, right = rows.generator(i, "occlusion").random(2)
        top, left = round(down * (height - side)), round(right * (width - side))
        result[i, top : top + side, left : left + side] = level
    return result
