"""Twins of ``shifts.perturbations.noise``: equal to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.noise import poisson_table
from shifts.perturbations.on_device.draws import drawn
from shifts.perturbations.on_device.sums import truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def gaussian_noise(images: torch.Tensor, rows: Rows, *, scale: float) -> torch.Tensor:
    """Twin of ``noise.gaussian_noise``; 24 bytes a pixel."""
    noise = _normals(images, rows, "gaussian-noise", scale)
    noise *= float(np.float32(255 * scale))
    noise += images
    return truncated(noise)


def speckle_noise(images: torch.Tensor, rows: Rows, *, scale: float) -> torch.Tensor:
    """Twin of ``noise.speckle_noise``; 24 bytes a pixel."""
    noise = _normals(images, rows, "speckle-noise", scale)
    noise *= float(np.float32(scale))
    noise += 1
    noise *= images
    return truncated(noise)


def _normals(images: torch.Tensor, rows: Rows, *purpose: object) -> torch.Tensor:
    def fill(generator: np.random.Generator, noise: NDArray[np.float32]) -> None:
        generator.standard_normal(dtype=np.float32, out=noise)

    room = (tuple(images.shape[1:]), torch.float32)
    return drawn(rows, purpose, fill, room, device=images.device)[0]


def impulse_noise(images: torch.Tensor, rows: Rows, *, amount: float) -> torch.Tensor:
    """Twin of ``noise.impulse_noise``; 24 bytes a pixel."""

    def fill(generator: np.random.Generator, draw: NDArray[np.float32]) -> None:
        generator.random(dtype=np.float32, out=draw)

    room = (tuple(images.shape[1:]), torch.float32)
    (draw,) = drawn(rows, ("impulse-noise", amount), fill, room, device=images.device)
    result = images.masked_fill(draw < float(np.float32(amount)), 0)
    return result.masked_fill_(draw < float(np.float32(amount / 2)), 255)


def shot_noise(images: torch.Tensor, rows: Rows, *, photons: int) -> torch.Tensor:
    """Twin of ``noise.shot_noise``; 96 bytes a pixel."""
    table = poisson_table(int(photons))
    columns = len(table) // 256
    shape = tuple(images.shape[1:])

    def fill(generator: np.random.Generator, draw: NDArray[np.int32]) -> None:
        draw.view(np.uint32)[...] = generator.integers(0, 2**32, shape, dtype=np.uint32)

    room = (shape, torch.int32)
    (draw,) = drawn(rows, ("shot-noise", photons), fill, room, device=images.device)
    # The word is unsigned on the CPU: a mask takes away the signs that a shift drags along.
    cell = (draw >> (32 - (columns.bit_length() - 1))) & (columns - 1)
    cell += images.int() * columns
    entry = torch.from_numpy(table.view(np.int32)).to(images.device).take(cell.long())
    second = (draw & 0xFFFF) >= ((entry >> 16) & 0xFFFF)
    return torch.where(second, entry >> 8, entry).bitwise_and_(0xFF).to(torch.uint8)
