"""Twins of ``shifts.perturbations.digital``: equal to the last bit. JPEG has a file of its own."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.digital import WHOLE, brighter, stretch_of
from shifts.perturbations.on_device.sums import interleaved, planes, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

# Pillow's resampling of 8-bit images: weights are whole numbers over 2**22.
_PRECISION_BITS = 22


def contrast(images: torch.Tensor, rows: Rows, *, factor: float) -> torch.Tensor:
    """Twin of ``digital.contrast``; 48 bytes a pixel."""
    height, width = images.shape[1:3]
    mean = images.sum(dim=(1, 2), keepdim=True, dtype=torch.int64).double() * (1 / (height * width))
    levels = (images.double() - mean).mul_(factor).add_(mean).add_(WHOLE)
    return levels.clamp_(0, 255).to(torch.uint8)


def brightness(images: torch.Tensor, rows: Rows, *, amount: float) -> torch.Tensor:
    """Twin of ``digital.brightness``; 48 bytes a pixel."""
    table = torch.from_numpy(brighter(amount)).to(images.device)
    cell = images.amax(dim=3, keepdim=True).long() * 256 + images
    return table.take(cell)


def saturate(images: torch.Tensor, rows: Rows, *, factor: float, offset: float) -> torch.Tensor:
    """Twin of ``digital.saturate``; 60 bytes a pixel."""
    stretch, pale = (torch.from_numpy(table).to(images.device) for table in stretch_of(factor, offset))
    value, least = images.amax(dim=3, keepdim=True), images.amin(dim=3, keepdim=True)
    factors = stretch.take(value.long() * 256 + least)
    richer = value - (value - images) * factors
    if offset:
        faded = pale.take(value.long())
        richer[..., 1:] = torch.where(value == least, faded, richer[..., 1:])
    return truncated(richer)


def pixelate(images: torch.Tensor, rows: Rows, *, fraction: float) -> torch.Tensor:
    """Twin of ``digital.pixelate``; 72 bytes a pixel."""
    height, width = images.shape[1:3]
    small = (int(height * fraction), int(width * fraction))
    down, across = (
        torch.from_numpy(box_weights(size, to)).to(images.device)
        for size, to in zip((height, width), small, strict=True)
    )
    shrunk = _rounded(torch.matmul(planes(images), across.T))
    shrunk = interleaved(_rounded(torch.matmul(down, shrunk)).to(torch.uint8))
    for axis, (size, to) in enumerate(zip((height, width), small, strict=True), start=1):
        centre = ((np.arange(size) + 0.5) * (to / size)).astype(np.int64)
        shrunk = shrunk.index_select(axis, torch.from_numpy(centre).to(images.device))
    return shrunk


def _rounded(sums: torch.Tensor) -> torch.Tensor:
    """Sums over 2**22 to the nearest grey level: both passes of Pillow end so."""
    half = 2.0 ** (_PRECISION_BITS - 1)
    return sums.add_(half).mul_(2.0**-_PRECISION_BITS).floor_().clamp_(0, 255)


@lru_cache(maxsize=32)
def box_weights(size: int, to: int) -> NDArray[np.float64]:
    """Pillow's box filter from ``size`` to ``to`` pixels, times 2**22: whole numbers, float64 (to, size)."""
    scale = size / to
    support = 0.5 * scale
    weights = np.zeros((to, size))
    for k in range(to):
        centre = (k + 0.5) * scale
        first, end = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), size)
        place = (np.arange(first, end) - centre + 0.5) / scale
        inside = ((place > -0.5) & (place <= 0.5)).astype(np.float64)
        weights[k, first:end] = inside / inside.sum()
    return np.floor(0.5 + weights * math.ldexp(1, _PRECISION_BITS))
