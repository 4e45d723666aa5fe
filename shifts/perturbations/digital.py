"""Changes of tone, resolution and coding: brightness, contrast, saturate, pixelate, JPEG; a covering square.

Definitions: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3; ``occlusion`` is ours.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.perturbations.common import check_images, check_range, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

# Lifts a product that should be whole, and is a rounding error below, over the cut of the fraction.
WHOLE = 1e-9


def contrast(images: NDArray[np.uint8], rows: Rows, *, factor: float) -> NDArray[np.uint8]:
    """Pull every channel towards its mean over the image.

    Args:
        images: uint8 (B, H, W, 3).
        factor: what remains of the distance to the mean; 1 changes nothing.
    """
    import cv2

    check_images(images, "contrast")
    check_range(factor, "factor", low=0)
    levels = np.arange(256, dtype=np.float64)[:, None]
    result = np.empty_like(images)
    for i, image in enumerate(images):
        mean = np.array(cv2.mean(image)[:3])
        table = np.clip((levels - mean) * factor + mean + WHOLE, 0, 255).astype(np.uint8)
        result[i] = cv2.LUT(image, table[None])
    return result


def brightness(images: NDArray[np.uint8], rows: Rows, *, amount: float) -> NDArray[np.uint8]:
    """Raise the V of HSV.

    Args:
        images: uint8 (B, H, W, 3).
        amount: added to V, as a fraction of full scale.
    """
    import cv2

    check_images(images, "brightness")
    check_range(amount, "amount", low=-1, high=1)
    table = brighter(amount)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        # Planes are worked on one by one: loops over three interleaved values are slow.
        planes = cv2.split(image)
        row = np.maximum(np.maximum(planes[0], planes[1]), planes[2]).astype(np.uint16) << np.uint16(8)
        cv2.merge([np.take(table, row + plane, mode="clip") for plane in planes], dst=result[i])
    return result


@lru_cache(maxsize=16)
def brighter(amount: float) -> NDArray[np.uint8]:
    """New level of a channel at ``256 V + channel``: uint8 (65536,).

    At equal hue and saturation all three channels go along with V, so each is multiplied by V'/V.
    """
    value = np.arange(256, dtype=np.float64)
    raised = np.clip(value + 255 * amount, 0, 255)
    ratio = np.divide(raised, value, out=np.zeros(256), where=value > 0)
    table = ratio[:, None] * value
    table[0] = raised[0]
    return np.clip(table + WHOLE, 0, 255).astype(np.uint8).ravel()


def saturate(images: NDArray[np.uint8], rows: Rows, *, factor: float, offset: float) -> NDArray[np.uint8]:
    """Scale and shift the S of HSV. Greys have hue 0 there, so an offset turns them reddish.

    Args:
        images: uint8 (B, H, W, 3).
        factor: multiplies S.
        offset: added to S, as a fraction of full scale.
    """
    import cv2

    check_images(images, "saturate")
    check_range(factor, "factor", low=0)
    check_range(offset, "offset", low=-1, high=1)
    stretch, pale = stretch_of(factor, offset)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        planes = cv2.split(image)
        value = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
        least = np.minimum(np.minimum(planes[0], planes[1]), planes[2])
        factors = np.take(stretch, (value.astype(np.uint16) << np.uint16(8)) + least, mode="clip")
        neutral = value == least if offset else None
        richer = [value - (value - plane) * factors for plane in planes]
        if neutral is not None:
            for plane in richer[1:]:
                np.copyto(plane, np.take(pale, value), where=neutral)
        cv2.merge([truncated(plane) for plane in richer], dst=result[i])
    return result


@lru_cache(maxsize=16)
def stretch_of(factor: float, offset: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """S'/S as (65536,) at ``256 V + smallest``, and green and blue of what a grey level becomes, as (256,).

    With S = (V - smallest) / V, a channel c becomes V - (V - c) S'/S. The red of a grey stays.
    """
    value = np.arange(256, dtype=np.float64)
    chroma = value[:, None] - value
    with np.errstate(divide="ignore", invalid="ignore"):
        saturation = np.clip(chroma / value[:, None] * factor + offset, 0, 1)
        stretch = np.where(chroma > 0, value[:, None] * saturation / chroma, 0)
    pale = value * (1 - np.clip(offset, 0, 1))
    return stretch.astype(np.float32).ravel(), pale.astype(np.float32)


def pixelate(images: NDArray[np.uint8], rows: Rows, *, fraction: float) -> NDArray[np.uint8]:
    """Shrink with Pillow's box filter and blow up again.

    Args:
        images: uint8 (B, H, W, 3).
        fraction: the small side over the side, in (0, 1]; rounded down to whole pixels.

    Raises:
        UserError: the image would shrink to nothing.
    """
    import cv2
    from PIL import Image

    check_range(fraction, "fraction", low=1e-3, high=1)
    check_images(images, "pixelate", smallest=int(np.ceil(1 / fraction)))
    height, width = images.shape[1:3]
    small = (int(width * fraction), int(height * fraction))
    # Enlarging with the box filter picks the pixel under the centre.
    across = ((np.arange(width) + 0.5) * (small[0] / width)).astype(np.intp)
    down = ((np.arange(height) + 0.5) * (small[1] / height)).astype(np.intp)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        shrunk = np.asarray(Image.fromarray(image).resize(small, Image.Resampling.BOX))
        # Four bytes are moved faster than three.
        packed = cv2.cvtColor(shrunk, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]
        enlarged = packed.take(across, axis=1).take(down, axis=0)[..., None].view(np.uint8)
        cv2.cvtColor(enlarged, cv2.COLOR_RGBA2RGB, dst=result[i])
    return result


def jpeg_compression(images: NDArray[np.uint8], rows: Rows, *, quality: int) -> NDArray[np.uint8]:
    """Code with Pillow as baseline JPEG of halved colour resolution, and decode.

    Args:
        images: uint8 (B, H, W, 3).
        quality: 1 to 95, on the scale of the Independent JPEG Group's library.
    """
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    check_images(images, "jpeg-compression")
    check_range(quality, "quality", low=1, high=95)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=int(quality))
        stream.seek(0)
        result[i] = np.asarray(JpegImageFile(stream))
    return result


def occlusion(
    images: NDArray[np.uint8], rows: Rows, *, fraction: float, level: int = 127
) -> NDArray[np.uint8]:
    """Cover a square at a random place, wholly inside the image.

    The square of a larger ``fraction`` has the same relative place as that of a smaller one.

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
