"""Noise of the sensor and of the wire: Gaussian, shot, impulse, speckle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shifts.perturbations.common import check_images, check_range, truncate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def gaussian_noise(images: NDArray[np.uint8], rows: Rows, *, scale: float) -> NDArray[np.uint8]:
    """Independent normal noise on every pixel and channel, as in low light.

    Source: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.

    Args:
        images: uint8 (B, H, W, 3).
        scale: standard deviation, as a fraction of full scale.
    """
    check_images(images, "gaussian-noise")
    check_range(scale, "scale", low=0)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        noise = rows.generator(i, "gaussian-noise", scale).standard_normal(image.shape, dtype=np.float32)
        noise *= np.float32(255 * scale)
        noise += image
        truncate(noise, result[i])
    return result


def impulse_noise(images: NDArray[np.uint8], rows: Rows, *, amount: float) -> NDArray[np.uint8]:
    """Salt and pepper: some values of some channels become 255 or 0, with equal chance.

    Source: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.

    Args:
        images: uint8 (B, H, W, 3).
        amount: share of the values that are replaced, in [0, 1].
    """
    check_images(images, "impulse-noise")
    check_range(amount, "amount", low=0, high=1)
    result = images.copy()
    for i, image in enumerate(images):
        draw = rows.generator(i, "impulse-noise", amount).random(image.shape, dtype=np.float32)
        result[i][draw < amount] = 0
        result[i][draw < amount / 2] = 255
    return result
