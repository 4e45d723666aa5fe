"""Elastic deformation.

Definition: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3, after Simard et al. 2003.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.perturbations.blur import gaussian_weights
from shifts.perturbations.common import check_images, check_range, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def elastic_transform(
    images: NDArray[np.uint8], rows: Rows, *, strength: float, sigma: float, jitter: float
) -> NDArray[np.uint8]:
    """Move three points of the image at random, then every pixel by a smooth random field.

    Args:
        images: uint8 (B, H, W, 3).
        strength: factor from the smoothed field, whose noise lies in [-1, 1], to pixels.
        sigma: standard deviation of the smoothing, in pixels.
        jitter: how far each coordinate of the three points moves at most, in pixels.

    Raises:
        UserError: images too small to hold the three points apart.
    """
    check_range(strength, "strength", low=0)
    check_range(sigma, "sigma", low=0)
    check_range(jitter, "jitter", low=0)
    check_images(images, "elastic-transform", smallest=max(6, 3 * int(np.ceil(jitter)) // 2))
    height, width = images.shape[1:3]
    result = np.empty_like(images)
    for i, image in enumerate(images):
        generator = rows.generator(i, "elastic-transform", strength, sigma, jitter)
        moves = generator.uniform(-jitter, jitter, (3, 2))
        field = smooth_field(generator.random((2, height, width), dtype=np.float32), sigma)
        # From [0, 1) to [-1, 1); smoothing has left the constant part as it was.
        field *= np.float32(2 * strength)
        field -= np.float32(strength)
        result[i] = truncated(deform(image.astype(np.float32), moves=moves, field=field))
    return result


def smooth_field(noise: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Convolve each (H, W) of (K, H, W) with a Gaussian cut at three standard deviations, edges mirrored.

    A mirrored convolution is a product in the cosine basis, which costs the same for any ``sigma``: at
    severity 1 the published kernel is five times as wide as the image. A small kernel is cheaper as it is.
    """
    import cv2
    import scipy.fft

    height, width = noise.shape[1:]
    weights = gaussian_weights(sigma, 3.0).astype(np.float32)
    if small_enough(height, width, sigma):
        border = cv2.BORDER_REFLECT
        smoothed = [
            cv2.sepFilter2D(plane, cv2.CV_32F, weights, weights, borderType=border) for plane in noise
        ]
        return np.stack(smoothed).astype(np.float32, copy=False)
    down, across = cosine_response(height, sigma), cosine_response(width, sigma)
    spectrum = scipy.fft.dct(noise, axis=2)[:, :, : len(across)] * across
    spectrum = scipy.fft.dct(spectrum, axis=1)[:, : len(down)] * down[:, None]
    smoothed = scipy.fft.idct(scipy.fft.idct(spectrum, n=height, axis=1), n=width, axis=2)
    return np.asarray(smoothed, dtype=np.float32)


def small_enough(height: int, width: int, sigma: float) -> bool:
    """Whether a field is smoothed with the kernel as it is."""
    return len(gaussian_weights(sigma, 3.0)) <= min(31, height, width)


@lru_cache(maxsize=32)
def cosine_response(size: int, sigma: float) -> NDArray[np.float32]:
    """Factors of the lowest of ``size`` cosines under the Gaussian cut at three deviations.

    Those of the others are below 1/2000: at the published strengths they would move a pixel by 0.008 on
    average, where OpenCV rounds to 1/32.
    """
    weights = gaussian_weights(sigma, 3.0)
    offset = np.arange(len(weights)) - len(weights) // 2
    response = np.cos(np.pi * np.arange(size)[:, None] * offset / size) @ weights
    count = int(np.flatnonzero(np.abs(response) > 5e-4)[-1]) + 1
    return np.asarray(response[:count], dtype=np.float32)


def deform(
    image: NDArray[np.float32], *, moves: NDArray[np.float64], field: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Warp an image by an affine map, then by a field, each with linear interpolation.

    Args:
        image: float32 (H, W, 3).
        moves: (3, 2), pixels (right, down) by which the three points move.
        field: float32 (2, H, W), pixels (right, down) from a pixel to where its colour is fetched.
    """
    import cv2

    height, width = image.shape[:2]
    matrix = affine(height, width, moves)
    warped = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    across = field[0] + np.arange(width, dtype=np.float32)
    down = field[1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(warped, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.float32)


def affine(
    height: int, width: int, moves: NDArray[np.float64], *, inverse: bool = False
) -> NDArray[np.float64]:
    """The affine map (2, 3) that moves the three points, or the map from the result back to the image."""
    import cv2

    side = min(height, width) // 3
    middle = np.array([width // 2, height // 2])
    points = (middle + side * np.array([[1, 1], [1, -1], [-1, -1]])).astype(np.float32)
    matrix = cv2.getAffineTransform(points, points + moves.astype(np.float32))
    return np.asarray(cv2.invertAffineTransform(matrix) if inverse else matrix, dtype=np.float64)
