"""Twin of ``shifts.perturbations.weather.spatter``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.on_device.blur import smooth
from shifts.perturbations.on_device.draws import drawn
from shifts.perturbations.on_device.outlines import box_mean, distances, equalised, framed, outlines
from shifts.perturbations.on_device.sums import truncated
from shifts.perturbations.weather import MUD, WATER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

_DEEPEST = 20
"""Pixels from the shore, beyond which water looks the same."""
_LARGEST_NOISE = 4.0  # times this the smoothed noise stays below the 256 that sums are made for


def spatter(
    images: torch.Tensor,
    rows: Rows,
    *,
    mean: float,
    spread: float,
    sigma: float,
    threshold: float,
    opacity: float | None = None,
    edge: float | None = None,
) -> torch.Tensor:
    """Twin of ``weather.spatter``; 100 bytes a pixel."""

    def fill(generator: np.random.Generator, noise: NDArray[np.float32]) -> None:
        generator.standard_normal(dtype=np.float32, out=noise)

    purpose = ("spatter", mean, spread, sigma, threshold, opacity, edge)
    room = (tuple(images.shape[1:3]), torch.float32)
    (noise,) = drawn(rows, purpose, fill, room, device=images.device)
    noise = noise.mul_(float(np.float32(spread))).add_(float(np.float32(mean)))
    liquid = smooth(noise.double() * _LARGEST_NOISE, sigma).mul_(1 / _LARGEST_NOISE).float()
    if opacity is not None:
        return watered(images, liquid, threshold=threshold, opacity=opacity)
    return muddied(images, liquid, threshold=threshold, edge=edge or 0.0)


def watered(images: torch.Tensor, liquid: torch.Tensor, *, threshold: float, opacity: float) -> torch.Tensor:
    """Twin of ``weather.watered`` for a batch: uint8 (B, H, W, 3), float32 (B, H, W)."""
    cut = liquid.masked_fill(liquid < float(np.float32(threshold)), 0)
    depth = (cut * 255).to(torch.int32).bitwise_and_(255).to(torch.uint8)
    inland = distances(outlines(depth, low=50, high=150), most=_DEEPEST)
    ring = framed(equalised(box_mean(inland).float().to(torch.uint8)), "reflect")
    # The relief [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]].
    shade = ring[:, 1:-1, 1:-1] - 2 * ring[:, :-2, :-2] + 2 * ring[:, 2:, 2:]
    shade += ring[:, 1:-1, 2:] + ring[:, 2:, 1:-1] - ring[:, :-2, 1:-1] - ring[:, 1:-1, :-2]
    softened = box_mean(shade.clamp_(0, 255)).round_().float()
    thickness = depth.float() * softened
    most = thickness.amax(dim=(1, 2), keepdim=True).double().clamp_(min=1e-6)
    thickness *= (opacity / most).float()
    colour = torch.tensor(WATER, dtype=torch.float32, device=images.device)
    return truncated(images + thickness[..., None] * colour)


def muddied(images: torch.Tensor, liquid: torch.Tensor, *, threshold: float, edge: float) -> torch.Tensor:
    """Twin of ``weather.muddied`` for a batch: uint8 (B, H, W, 3), float32 (B, H, W)."""
    cover = smooth((liquid > float(np.float32(threshold))).double(), edge).float()[..., None]
    cover = cover.masked_fill(cover < float(np.float32(0.8)), 0)
    colour = torch.tensor(MUD, dtype=torch.float32, device=images.device)
    return truncated(images * (1 - cover) + cover * colour)
