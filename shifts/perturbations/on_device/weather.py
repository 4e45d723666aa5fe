"""Twins of ``shifts.perturbations.weather``: snow and fog. Spatter and frost have files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.motion import enlarged_from
from shifts.perturbations.on_device.draws import drawn
from shifts.perturbations.on_device.motion import streaks
from shifts.perturbations.on_device.sums import fused, truncated
from shifts.perturbations.weather import cloud_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def snow(
    images: torch.Tensor,
    rows: Rows,
    *,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    keep: float,
) -> torch.Tensor:
    """Twin of ``weather.snow``; 80 bytes a pixel."""
    device = images.device

    def fill(generator: np.random.Generator, noise: NDArray[np.float32], angle: NDArray[np.float64]) -> None:
        generator.standard_normal(dtype=np.float32, out=noise)
        angle[0] = generator.uniform(-135, -45)

    purpose = ("snow", mean, spread, zoom, threshold, radius, sigma, keep)
    height, width = images.shape[1:3]
    room = ((height, width), torch.float32), ((1,), torch.float64)
    noise, angle = drawn(rows, purpose, fill, *room, device=device)
    noise = noise.mul_(float(np.float32(spread))).add_(float(np.float32(mean)))
    flakes = falling(noise, angle[:, 0].cpu(), zoom=zoom, threshold=threshold, radius=radius, sigma=sigma)
    return truncated(snowed(images, flakes, keep=keep))


def falling(
    noise: torch.Tensor, angles: torch.Tensor, *, zoom: float, threshold: float, radius: int, sigma: float
) -> torch.Tensor:
    """Twin of ``weather.falling`` for a batch: float32 (B, H, W) to whole grey levels."""
    flakes = noise
    for axis in (1, 2):
        size = noise.shape[axis]
        origin, scale = enlarged_from(size, zoom)
        place = origin + scale * np.arange(size)
        first = np.clip(np.floor(place), 0, size - 2).astype(np.int64)
        weight = torch.from_numpy((place - first).astype(np.float32)).to(noise.device)
        weight = weight.reshape([-1 if k == axis else 1 for k in range(3)])
        index = torch.from_numpy(first).to(noise.device)
        near = flakes.index_select(axis, index) * (1 - weight)
        flakes = near + flakes.index_select(axis, index + 1) * weight
    flakes = flakes.masked_fill(flakes < float(np.float32(threshold)), 0)
    levels = (flakes.clamp_(0, 1) * 255).to(torch.uint8)
    drawn_out = streaks(levels[..., None], angles, radius=radius, sigma=sigma)[..., 0]
    return (drawn_out + float(np.float32(2e-4))).floor_()


def snowed(images: torch.Tensor, flakes: torch.Tensor, *, keep: float) -> torch.Tensor:
    """Twin of ``weather.snowed``: (B, H, W, 3) and (B, H, W) to float32 (B, H, W, 3)."""
    plain = images.float()
    red, green, blue = plain.unbind(3)
    # OpenCV's weights, and its order of the sum.
    grey = fused(red, float(np.float32(0.299)), fused(green, float(np.float32(0.587)), blue * 0.114))
    white = torch.maximum(plain, (grey * 1.5 + 127.5)[..., None])
    plain = plain * float(np.float32(keep)) + white * float(np.float32(1 - keep))
    return plain.add_((flakes + flakes.flip(1, 2))[..., None])


def fog(images: torch.Tensor, rows: Rows, *, amount: float, decay: float) -> torch.Tensor:
    """Twin of ``weather.fog``, equal to the last bit; 100 bytes a pixel."""
    height, width = images.shape[1:3]
    side = cloud_side(height, width)

    def fill(generator: np.random.Generator, draw: NDArray[np.float64]) -> None:
        generator.random(out=draw)

    room = ((side * side - 1,), torch.float64)
    (draws,) = drawn(rows, ("fog", amount, decay), fill, room, device=images.device)
    cloud = plasma(draws, side, decay=decay)[:, :height, :width, None]
    brightest = images.amax(dim=(1, 2, 3), keepdim=True).double() / 255
    scale = torch.where(brightest > 0, brightest / (brightest + amount), 0).float()
    return truncated((cloud * float(np.float32(255 * amount)) + images) * scale)


def plasma(draws: torch.Tensor, side: int, *, decay: float) -> torch.Tensor:
    """Twin of ``weather.plasma``: even numbers in [0, 1), float64 (B, side**2 - 1), to float32 maps."""
    count = len(draws)
    grid = torch.zeros((count, 1, 1), dtype=torch.float64, device=draws.device)
    wibble, used = 100.0, 0
    while grid.shape[1] < side:
        size = grid.shape[1]
        part = draws[:, used : used + 3 * size * size].reshape(count, 3, size, size)
        noise = (part * (2 * wibble) - wibble) * wibble
        used += 3 * size * size
        down = grid + grid.roll(-1, 1)
        centre = (down + down.roll(-1, 2)) / 4 + noise[:, 0]
        top = (centre + centre.roll(1, 1) + grid + grid.roll(-1, 2)) / 4 + noise[:, 1]
        left = (centre + centre.roll(1, 2) + down) / 4 + noise[:, 2]
        upper, lower = torch.stack((grid, top), dim=3), torch.stack((left, centre), dim=3)
        grid = torch.stack((upper, lower), dim=2).reshape(count, 2 * size, 2 * size)
        wibble /= decay
    grid = grid - grid.amin(dim=(1, 2), keepdim=True)
    return (grid / grid.amax(dim=(1, 2), keepdim=True)).float()
