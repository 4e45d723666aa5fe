"""Blurs of a moving camera: motion and zoom. Snow is made with the same tools.

Definitions: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shifts.perturbations.common import check_images, check_range, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def streak(plane: NDArray[np.float32], *, radius: int, sigma: float, angle: float) -> NDArray[np.float32]:
    """Average along a ray with weights that fall off as one half of a Gaussian; edges are repeated.

    This is ImageMagick's motion blur, which the published sets were made with: ``2 radius + 1`` points
    at whole pixels along the ray. ImageMagick 6.9.11 drops the fraction of its result, as callers do here.

    Args:
        plane: float32 (H, W) or (H, W, C).
        radius: half the number of points.
        sigma: standard deviation of the Gaussian, in pixels.
        angle: of the ray in degrees; 0 looks to the right, 90 down.
    """
    import cv2

    weights, down, right = ray(radius=radius, sigma=sigma, angle=angle)
    top, left = max(0, -down.min()), max(0, -right.min())
    padded = cv2.copyMakeBorder(
        plane, top, max(0, down.max()), left, max(0, right.max()), cv2.BORDER_REPLICATE
    )
    height, width = plane.shape[:2]
    total = np.zeros(plane.shape, dtype=np.float32)
    for weight, dy, dx in zip(weights.tolist(), (down + top).tolist(), (right + left).tolist(), strict=True):
        cv2.scaleAdd(padded[dy : dy + height, dx : dx + width], weight, total, total)
    return total


def ray(
    *, radius: int, sigma: float, angle: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Weights (K,) of the points of a streak, and how many pixels down and to the right each lies, (K,)."""
    step = np.arange(2 * radius + 1)
    weights = np.exp(-0.5 * (step / sigma) ** 2)
    weights /= weights.sum()
    # What is left out weighs less than a thousandth of a grey level.
    heavy = weights > 1e-7
    right = np.ceil(step * math.cos(math.radians(angle)) - 0.5).astype(np.int64)
    down = np.ceil(step * math.sin(math.radians(angle)) - 0.5).astype(np.int64)
    return weights[heavy], down[heavy], right[heavy]


def enlarged_from(size: int, factor: float) -> tuple[float, float]:
    """Where the pixels of an enlargement lie in the original, along one axis: pixel k at origin + scale * k.

    The middle is cut out and enlarged so that its first and last pixel stay at the edges, as in
    ``scipy.ndimage.zoom``, which the published sets were made with; an extra row or column is cut off
    half on each side.

    Args:
        size: height or width, before and after.
        factor: of enlargement, at least 1.
    """
    kept = math.ceil(size / factor)
    enlarged = round(kept * factor)
    scale = (kept - 1) / (enlarged - 1)
    return (size - kept) // 2 + (enlarged - size) // 2 * scale, scale


def motion_blur(
    images: NDArray[np.uint8], rows: Rows, *, radius: int, sigma: float, spread: float = 45.0
) -> NDArray[np.uint8]:
    """A streak along a random direction.

    Args:
        images: uint8 (B, H, W, 3).
        radius: half the number of points of the streak.
        sigma: standard deviation of their weights, in pixels.
        spread: the direction is drawn within this many degrees of the horizontal.
    """
    check_range(radius, "radius", low=1)
    check_range(sigma, "sigma", low=1e-3)
    check_images(images, "motion-blur")
    result = np.empty_like(images)
    for i, image in enumerate(images):
        angle = rows.generator(i, "motion-blur", radius, sigma).uniform(-spread, spread)
        blurred = streak(image.astype(np.float32), radius=radius, sigma=sigma, angle=angle)
        result[i] = truncated(blurred)
    return result


def zoom_blur(images: NDArray[np.uint8], rows: Rows, *, step: float, count: int) -> NDArray[np.uint8]:
    """The mean of the image and of ``count`` enlargements of it, as if the camera rushed forward.

    Args:
        images: uint8 (B, H, W, 3).
        step: from one enlargement to the next; the first is 1.
        count: number of enlargements.
    """
    import cv2

    check_range(step, "step", low=0)
    check_range(count, "count", low=1)
    largest = 1 + (count - 1) * step
    check_images(images, "zoom-blur", smallest=math.ceil(2 * largest))
    factors = zoom_factors(step, count)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        plane = image.astype(np.float32)
        total = plane.copy()
        for factor in factors:
            (top, down), (left, right) = (enlarged_from(size, factor) for size in image.shape[:2])
            total += cv2.warpAffine(
                plane,
                np.array([[right, 0, left], [0, down, top]]),
                image.shape[1::-1],
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        total /= count + 1
        result[i] = truncated(total)
    return result


def zoom_factors(step: float, count: int) -> list[float]:
    """How much each picture of a zoom blur is enlarged."""
    # Written as numpy.arange computes it: the last digit can decide how many pixels are cut out.
    return [1 + k * ((1 + step) - 1) for k in range(count)]
