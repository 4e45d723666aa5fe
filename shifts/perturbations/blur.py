"""Blurs: Gaussian, defocus, glass, motion, zoom."""

# ruff: noqa: ARG001 - every corruption is called with rows, also one that draws nothing

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shifts.perturbations.common import check_images, check_range, truncate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def gaussian_weights(sigma: float, *, truncate_at: float = 4.0) -> NDArray[np.float32]:
    """Normalised samples of a Gaussian, float32 (2r + 1,), r = ``truncate_at`` standard deviations."""
    radius = int(truncate_at * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def gaussian_blur(images: NDArray[np.uint8], rows: Rows, *, sigma: float) -> NDArray[np.uint8]:
    """Convolution with a Gaussian cut at four standard deviations; edges are repeated outwards.

    Source: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3, one of the four extra corruptions.

    Args:
        images: uint8 (B, H, W, 3).
        sigma: standard deviation in pixels.
    """
    import cv2

    check_images(images, "gaussian-blur")
    check_range(sigma, "sigma", low=0)
    weights = gaussian_weights(sigma)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        blurred = cv2.sepFilter2D(image, cv2.CV_32F, weights, weights, borderType=cv2.BORDER_REPLICATE)
        truncate(np.asarray(blurred, dtype=np.float32), result[i])
    return result
