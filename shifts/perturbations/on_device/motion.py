"""Twins of ``shifts.perturbations.motion``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.motion import enlarged_from, ray, zoom_factors
from shifts.perturbations.on_device.draws import drawn
from shifts.perturbations.on_device.sums import (
    bordered,
    fused,
    interleaved,
    planes,
    truncated,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

# Two of these, a grey level and the number of enlargements make 53 bits.
_ZOOM_BITS = 20


def streaks(levels: torch.Tensor, angles: torch.Tensor, *, radius: int, sigma: float) -> torch.Tensor:
    """Twin of ``motion.streak`` for a batch, each image with an angle of its own: float32.

    Args:
        levels: uint8 or float32 (B, H, W, C).
        angles: float64 (B,) on the host, in degrees.
    """
    device = levels.device
    rays = [ray(radius=radius, sigma=sigma, angle=angle) for angle in angles.tolist()]
    down, across = (
        bordered(
            torch.from_numpy(np.stack([some[axis] for some in rays])).to(device)[..., None]
            + torch.arange(size, device=device),
            size,
            "replicate",
        )
        for axis, size in zip((1, 2), levels.shape[1:3], strict=True)
    )
    image = torch.arange(len(levels), device=device)[:, None, None]
    total = torch.zeros(levels.shape, dtype=torch.float32, device=device)
    for k, weight in enumerate(rays[0][0].astype(np.float32).tolist()):
        point = levels[image, down[:, k, :, None], across[:, k, None, :]]
        total = fused(point, weight, total)
    return total


def motion_blur(
    images: torch.Tensor, rows: Rows, *, radius: int, sigma: float, spread: float = 45.0
) -> torch.Tensor:
    """Twin of ``motion.motion_blur``; 80 bytes a pixel."""

    def fill(generator: np.random.Generator, angle: NDArray[np.float64]) -> None:
        angle[0] = generator.uniform(-spread, spread)

    purpose = ("motion-blur", radius, sigma)
    (angles,) = drawn(rows, purpose, fill, ((1,), torch.float64), device=torch.device("cpu"))
    return truncated(streaks(images, angles[:, 0], radius=radius, sigma=sigma))


def zoom_blur(images: torch.Tensor, rows: Rows, *, step: float, count: int) -> torch.Tensor:
    """Twin of ``motion.zoom_blur``: an enlargement is a product with two matrices; 130 bytes a pixel."""
    levels = planes(images)
    total = torch.zeros_like(levels)
    for factor in zoom_factors(step, count):
        down, across = (
            torch.from_numpy(_enlargement(size, factor)).to(images.device) for size in images.shape[1:3]
        )
        total += torch.matmul(down, torch.matmul(levels, across.T))
    total.mul_(2.0 ** (-2 * _ZOOM_BITS)).add_(levels)
    return interleaved(truncated(total.float() / (count + 1)))


def _enlargement(size: int, factor: float) -> NDArray[np.float64]:
    """Linear interpolation where ``enlarged_from`` says, times 2**20: whole numbers, (size, size)."""
    origin, scale = enlarged_from(size, factor)
    place = origin + scale * np.arange(size)
    first = np.floor(place).astype(np.int64)
    second = np.rint((place - first) * 2.0**_ZOOM_BITS)
    matrix = np.zeros((size, size))
    row = np.arange(size)
    np.add.at(matrix, (row, np.clip(first, 0, size - 1)), 2.0**_ZOOM_BITS - second)
    np.add.at(matrix, (row, np.clip(first + 1, 0, size - 1)), second)
    return matrix
