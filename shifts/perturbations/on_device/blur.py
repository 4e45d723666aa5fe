"""Twins of ``shifts.perturbations.blur``: the sums are exact here and in single precision there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.blur import disc, gaussian_weights
from shifts.perturbations.on_device.draws import drawn
from shifts.perturbations.on_device.sums import (
    bordered,
    interleaved,
    line_filter,
    planes,
    separably,
    truncated,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

_DISC_BITS = 32


def smooth(values: torch.Tensor, sigma: float) -> torch.Tensor:
    """Twin of ``blur.smooth`` for float64 (..., H, W) in [-256, 256]."""
    weights = gaussian_weights(sigma)
    height, width = values.shape[-2:]
    if len(weights) == 1:
        return values
    down, across = (line_filter(weights, size, "replicate") for size in (height, width))
    return separably(values, down, across)


def gaussian_blur(images: torch.Tensor, rows: Rows, *, sigma: float) -> torch.Tensor:
    """Twin of ``blur.gaussian_blur``; 110 bytes a pixel."""
    return interleaved(truncated(smooth(planes(images), sigma)))


def defocus_blur(images: torch.Tensor, rows: Rows, *, radius: float, alias_sigma: float) -> torch.Tensor:
    """Twin of ``blur.defocus_blur``: a product of matrices for each row of the disc; 110 bytes a pixel."""
    kernel = disc(radius, alias_sigma)
    weights = np.rint(kernel.astype(np.float64) * 2.0**_DISC_BITS)
    height, width = images.shape[1:3]
    levels = planes(images)
    total = torch.zeros_like(levels)
    reach = len(kernel) // 2
    line = torch.arange(height, device=images.device)
    # The disc is the same upside down, so rows as far above as below are added first.
    for distance in range(reach + 1):
        pair = levels.index_select(2, bordered(line - distance, height, "reflect-101"))
        if distance:
            pair += levels.index_select(2, bordered(line + distance, height, "reflect-101"))
        across = line_filter(weights[reach - distance], width, "reflect-101")
        total += torch.matmul(pair, torch.from_numpy(across.T.copy()).to(images.device))
    return interleaved(truncated(total.mul_(2.0**-_DISC_BITS)))


def glass_blur(images: torch.Tensor, rows: Rows, *, sigma: float, reach: int, passes: int) -> torch.Tensor:
    """Twin of ``blur.glass_blur``; 130 bytes a pixel."""
    count, height, width = images.shape[:3]
    shape = (passes, 2, height - 2 * reach, width - 2 * reach)

    def fill(generator: np.random.Generator, draw: NDArray[np.int8]) -> None:
        draw[...] = generator.integers(-reach, reach, shape, dtype=np.int8)

    purpose = ("glass-blur", sigma, reach, passes)
    (draws,) = drawn(rows, purpose, fill, (shape, torch.int8), device=images.device)
    pixels = gaussian_blur(images, rows, sigma=sigma).reshape(count, -1, 3)
    for step in range(passes):
        down, right = draws[:, step].unbind(1)
        source = fetched_from(down, right, height=height, width=width, reach=reach)
        pixels = pixels.gather(1, source[..., None].expand(-1, -1, 3))
    return gaussian_blur(pixels.reshape(images.shape), rows, sigma=sigma)


def fetched_from(
    down: torch.Tensor, right: torch.Tensor, *, height: int, width: int, reach: int
) -> torch.Tensor:
    """Twin of ``blur.fetched_from`` for a batch: offsets int8 (B, h, w) to positions int64 (B, H * W)."""
    size = height * width
    inner = slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1)
    position = torch.arange(size, device=down.device).reshape(height, width)
    here = position[inner]
    source = here + down.long() * width + right
    # From ``size`` on a position stands for a pixel as it was before the pass: there a chain ends.
    origin = (position + size).repeat(len(down), 1, 1)
    origin[:, *inner] = torch.where(source > here, source, source + size)
    origin = origin.flatten(1)
    while True:
        open_ = origin < size
        if not bool(open_.any()):
            return origin - size
        origin = torch.where(open_, origin.gather(1, origin.remainder(size)), origin)
