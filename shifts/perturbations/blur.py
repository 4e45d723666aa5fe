"""Blurs that look the same in every direction: Gaussian, defocus, glass.

Definitions: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.perturbations.common import check_images, check_range, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


@lru_cache(maxsize=32)
def gaussian_weights(sigma: float, cut: float = 4.0) -> NDArray[np.float64]:
    """Normalised samples of a Gaussian up to ``cut`` standard deviations: float64 (2r + 1,)."""
    radius = int(cut * sigma + 0.5)
    if radius == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def smooth(plane: NDArray[np.uint8 | np.float32], sigma: float) -> NDArray[np.float32]:
    """Convolve (H, W) or (H, W, C) with a Gaussian cut at four standard deviations, edges repeated."""
    import cv2

    weights = gaussian_weights(sigma).astype(np.float32)
    blurred = cv2.sepFilter2D(plane, cv2.CV_32F, weights, weights, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def gaussian_blur(images: NDArray[np.uint8], rows: Rows, *, sigma: float) -> NDArray[np.uint8]:
    """Convolution with a Gaussian cut at four standard deviations; edges are repeated outwards.

    Args:
        images: uint8 (B, H, W, 3).
        sigma: standard deviation in pixels.
    """
    check_images(images, "gaussian-blur")
    check_range(sigma, "sigma", low=0)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        result[i] = truncated(smooth(image, sigma))
    return result


@lru_cache(maxsize=16)
def disc(radius: float, alias_sigma: float) -> NDArray[np.float32]:
    """A uniform disc whose rim is softened by a small Gaussian: float32 (K, K).

    It sums to 1 below a radius of 7. A larger one comes close to the edges of its array, which the softening
    mirrors: the published discs of radius 8 and 10 sum to 1.013 and 1.011 and brighten by as much, and so
    do these.
    """
    import cv2

    reach = max(8, int(np.ceil(radius)))
    offset = np.arange(-reach, reach + 1)
    inside = (offset[:, None] ** 2 + offset**2 <= radius**2).astype(np.float32)
    side = 3 if radius <= 8 else 5
    # OpenCV's kernel is taken as it is: for three and five taps it is part of the definition.
    soft = np.asarray(cv2.GaussianBlur(inside / inside.sum(), (side, side), alias_sigma), dtype=np.float32)
    empty = int(np.argmax(soft.any(axis=0)))
    return np.ascontiguousarray(soft[empty : len(soft) - empty, empty : len(soft) - empty])


def defocus_blur(
    images: NDArray[np.uint8], rows: Rows, *, radius: float, alias_sigma: float
) -> NDArray[np.uint8]:
    """Convolution with a disc, as of a lens out of focus; edges are mirrored.

    Args:
        images: uint8 (B, H, W, 3).
        radius: of the disc, in pixels.
        alias_sigma: standard deviation in pixels of the Gaussian that softens its rim.

    Raises:
        UserError: images smaller than the disc.
    """
    import cv2

    check_range(radius, "radius", low=0)
    check_range(alias_sigma, "alias_sigma", low=1e-6)
    kernel = disc(radius, alias_sigma)
    check_images(images, "defocus-blur", smallest=len(kernel) // 2 + 1)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        blurred = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
        result[i] = truncated(np.asarray(blurred, dtype=np.float32))
    return result


def glass_blur(
    images: NDArray[np.uint8], rows: Rows, *, sigma: float, reach: int, passes: int
) -> NDArray[np.uint8]:
    """Frosted glass: blur, let neighbours displace each other, blur again.

    Args:
        images: uint8 (B, H, W, 3).
        sigma: standard deviation of both blurs, in pixels.
        reach: how far a pixel is fetched from, in pixels.
        passes: how often all pixels are gone through.

    Raises:
        UserError: images without a pixel that is ``reach`` away from all edges.
    """
    check_range(sigma, "sigma", low=0)
    check_range(reach, "reach", low=1)
    check_range(passes, "passes", low=1)
    check_images(images, "glass-blur", smallest=2 * reach + 1)
    height, width = images.shape[1:3]
    result = np.empty_like(images)
    soft = np.empty(images.shape[1:], dtype=np.uint8)
    for i, image in enumerate(images):
        soft = truncated(smooth(image, sigma))
        draws = rows.generator(i, "glass-blur", sigma, reach, passes).integers(
            -reach, reach, (passes, 2, height - 2 * reach, width - 2 * reach), dtype=np.int8
        )
        pixels = soft.reshape(-1, 3)
        for down, right in draws:
            pixels = pixels.take(fetched_from(down, right, height=height, width=width, reach=reach), axis=0)
        result[i] = truncated(smooth(pixels.reshape(image.shape), sigma))
    return result


def fetched_from(
    down: NDArray[np.int8], right: NDArray[np.int8], *, height: int, width: int, reach: int
) -> NDArray[np.intp]:
    """Where each pixel comes from after one pass of glass blur: positions (H * W,) in the flat image.

    The published code walks from the lower right pixel to the upper left one and overwrites each pixel
    by one of its neighbours. (It means to swap them, but its swap of two views copies one way; the
    published images are made so.) A neighbour that the walk has passed already is itself a copy. So
    every pixel points to a source, and chains of sources are followed by doubling: a handful of
    look-ups instead of a walk over the pixels.

    Args:
        down, right: int8 (H - 2 reach, W - 2 reach), offset of the neighbour, -reach..reach - 1; entry
            (0, 0) belongs to the pixel (reach + 1, reach + 1).
    """
    size = height * width
    inner = slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1)
    here = np.arange(size).reshape(height, width)[inner]
    source = here + down.astype(np.intp) * width + right
    # From ``size`` on a position stands for a pixel as it was before the pass: there a chain ends.
    origin = np.arange(size, 2 * size)
    origin.reshape(height, width)[inner] = np.where(source > here, source, source + size)
    unsettled = np.flatnonzero(origin < size)
    while len(unsettled):
        origin[unsettled] = origin[origin[unsettled]]
        unsettled = unsettled[origin[unsettled] < size]
    return origin - size
