"""Noise of the sensor and of the wire: Gaussian, shot, impulse, speckle.

Definitions: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import UserError
from shifts.perturbations.common import check_images, check_range, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

LARGEST_PHOTONS = 1023
"""The table of shot noise has 256 rows of at least ``photons + 1`` columns; more would leave the cache."""


def gaussian_noise(images: NDArray[np.uint8], rows: Rows, *, scale: float) -> NDArray[np.uint8]:
    """Independent normal noise on every pixel and channel, as in low light.

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
        result[i] = truncated(noise)
    return result


def speckle_noise(images: NDArray[np.uint8], rows: Rows, *, scale: float) -> NDArray[np.uint8]:
    """Normal noise that grows with the value it is added to.

    Args:
        images: uint8 (B, H, W, 3).
        scale: standard deviation of the noise over the value.
    """
    check_images(images, "speckle-noise")
    check_range(scale, "scale", low=0)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        noise = rows.generator(i, "speckle-noise", scale).standard_normal(image.shape, dtype=np.float32)
        noise *= np.float32(scale)
        noise += 1
        noise *= image
        result[i] = truncated(noise)
    return result


def impulse_noise(images: NDArray[np.uint8], rows: Rows, *, amount: float) -> NDArray[np.uint8]:
    """Salt and pepper: some values of some channels become 255 or 0, with equal chance.

    Args:
        images: uint8 (B, H, W, 3).
        amount: share of the values that are replaced, in [0, 1].
    """
    check_images(images, "impulse-noise")
    check_range(amount, "amount", low=0, high=1)
    result = images.copy()
    for i, image in enumerate(images):
        draw = rows.generator(i, "impulse-noise", amount).random(image.shape, dtype=np.float32)
        np.putmask(result[i], draw < amount, np.uint8(0))
        np.putmask(result[i], draw < amount / 2, np.uint8(255))
    return result


def shot_noise(images: NDArray[np.uint8], rows: Rows, *, photons: int) -> NDArray[np.uint8]:
    """Poisson noise of counted light.

    A value v becomes the grey level of a Poisson count with mean ``photons * v / 255``. There are only
    256 means, so the counts are drawn by Walker's alias method from one table: a single random word
    and a look-up for each value, instead of a rejection loop.

    Args:
        images: uint8 (B, H, W, 3).
        photons: mean count of a white pixel, 1 to 1023.
    """
    check_images(images, "shot-noise")
    check_range(photons, "photons", low=1, high=LARGEST_PHOTONS)
    if photons != int(photons):
        raise UserError(f"photons must be a whole number, not {photons:g}")
    table = poisson_table(int(photons))
    columns = len(table) // 256
    column_bits = columns.bit_length() - 1
    result = np.empty_like(images)
    for i, image in enumerate(images):
        draw = rows.generator(i, "shot-noise", photons).integers(0, 2**32, image.shape, dtype=np.uint32)
        cell = image.astype(np.uint32)
        cell *= np.uint32(columns)
        cell += draw >> np.uint32(32 - column_bits)
        entry = table[cell]
        draw &= np.uint32(0xFFFF)
        second = draw >= (entry >> np.uint32(16))
        entry >>= second.view(np.uint8) * np.uint8(8)
        np.copyto(result[i], entry, casting="unsafe")
    return result


@lru_cache(maxsize=16)
def poisson_table(photons: int) -> NDArray[np.uint32]:
    """Alias table of the grey levels that shot noise gives: uint32 (256 * columns,).

    Row v holds the distribution for the input level v; a column is drawn evenly, and then one of its
    two grey levels. An entry packs, from the top: 16 bits, how many of 65536 draws take the first
    level; 8 bits, the second level; 8 bits, the first.
    """
    columns = max(1 << photons.bit_length(), 2)
    probability = np.zeros((256, columns))
    probability[:, : photons + 1] = _poisson_rows(photons)
    outcome = np.zeros(columns, dtype=np.uint32)
    outcome[: photons + 1] = np.arange(photons + 1) / photons * 255
    rest = probability * columns
    alias = np.tile(np.arange(columns), (256, 1))
    share = np.ones((256, columns))
    row = np.arange(256)
    open_ = np.ones((256, columns), dtype=bool)
    for _ in range(columns):
        # The least filled column takes what it lacks from the fullest one and is then settled.
        least = np.where(open_, rest, np.inf).argmin(axis=1)
        most = np.where(open_, rest, -np.inf).argmax(axis=1)
        share[row, least] = np.clip(rest[row, least], 0, 1)
        alias[row, least] = most
        rest[row, most] -= np.where(least == most, 0, 1 - share[row, least])
        open_[row, least] = False
    # 65536 does not fit in 16 bits; a column that always gives its first level has it in both places.
    first = np.minimum(np.rint(share * 65536), 65535).astype(np.uint32)
    second = np.where(share >= 1, outcome[None, :], outcome[alias])
    return np.asarray((first << 16) | (second << 8) | outcome[None, :], dtype=np.uint32).ravel()


def _poisson_rows(photons: int) -> NDArray[np.float64]:
    """Chances of the counts 0..photons for each input level; the last one stands for all that is whiter."""
    count = np.arange(photons)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, max(photons, 2))))])[:photons]
    mean = np.arange(256)[:, None] * photons / 255
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(count == 0, 0.0, count * np.log(mean)) - mean - log_factorial
    below = np.exp(log)
    white = np.clip(1 - below.sum(axis=1, keepdims=True), 0, None)
    return np.concatenate([below, white], axis=1)
