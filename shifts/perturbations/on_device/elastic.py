"""Twin of ``shifts.perturbations.elastic``."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.blur import gaussian_weights
from shifts.perturbations.elastic import affine, cosine_response, small_enough
from shifts.perturbations.on_device.draws import drawn
from shifts.perturbations.on_device.sums import bordered, fused, line_filter, separably, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def elastic_transform(
    images: torch.Tensor, rows: Rows, *, strength: float, sigma: float, jitter: float
) -> torch.Tensor:
    """Twin of ``elastic.elastic_transform``; 200 bytes a pixel."""
    height, width = images.shape[1:3]

    def fill(generator: np.random.Generator, moves: NDArray[np.float64], noise: NDArray[np.float32]) -> None:
        moves[...] = generator.uniform(-jitter, jitter, (3, 2))
        generator.random(dtype=np.float32, out=noise)

    purpose = ("elastic-transform", strength, sigma, jitter)
    room = ((3, 2), torch.float64), ((2, height, width), torch.float32)
    moves, noise = drawn(rows, purpose, fill, *room, device=images.device)
    field = smooth_field(noise, sigma)
    field = field.mul_(float(np.float32(2 * strength))).sub_(float(np.float32(strength)))
    return truncated(deform(images, moves=moves.cpu(), field=field))


def smooth_field(noise: torch.Tensor, sigma: float) -> torch.Tensor:
    """Twin of ``elastic.smooth_field``: float32 (B, 2, H, W) in [0, 1)."""
    height, width = noise.shape[2:]
    down, across = (_smoothing(size, sigma, small_enough(height, width, sigma)) for size in (height, width))
    # The sums are made of values up to 256.
    return separably(noise.double() * 256, down, across).mul_(1 / 256).float()


@lru_cache(maxsize=32)
def _smoothing(size: int, sigma: float, plain: bool) -> NDArray[np.float64]:
    """The smoothing of a line as a matrix (size, size); where it is wide, of its lowest cosines alone."""
    if plain:
        return line_filter(gaussian_weights(sigma, 3.0), size, "reflect")
    response = cosine_response(size, sigma).astype(np.float64)
    order = np.arange(len(response))[:, None]
    cosines = np.cos(np.pi * order * (2 * np.arange(size) + 1) / (2 * size))
    cosines *= np.where(order == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    return np.asarray(cosines.T @ (response[:, None] * cosines))


def deform(images: torch.Tensor, *, moves: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Twin of ``elastic.deform`` for a batch: uint8 (B, H, W, 3) to float32.

    Args:
        moves: float64 (B, 3, 2) on the host.
        field: float32 (B, 2, H, W).
    """
    height, width = images.shape[1:3]
    across = torch.arange(width, dtype=torch.float32, device=images.device)
    down = torch.arange(height, dtype=torch.float32, device=images.device)[:, None]
    matrices = [affine(height, width, some, inverse=True) for some in moves.numpy()]
    place = torch.from_numpy(np.stack(matrices).astype(np.float32)).to(images.device)[..., None, None]
    x, y = (
        fused(place[:, axis, 0], across, fused(place[:, axis, 1], down, place[:, axis, 2])) for axis in (0, 1)
    )
    warped = sampled(images, x, y, "reflect-101")
    return sampled(warped, field[:, 0] + across, field[:, 1] + down, "reflect")


def sampled(images: torch.Tensor, x: torch.Tensor, y: torch.Tensor, border: str) -> torch.Tensor:
    """Linear interpolation of (B, H, W, 3) at float32 (B, H, W), in the order of OpenCV 5: float32."""
    count, height, width = images.shape[:3]
    left, top = x.floor(), y.floor()
    alpha, beta = (x - left).double()[..., None], (y - top).double()[..., None]
    flat = images.reshape(-1, 3)
    start = torch.arange(count, device=images.device)[:, None, None] * (height * width)

    def pixels(down: int, right: int) -> torch.Tensor:
        row = bordered(top.long() + down, height, border)
        column = bordered(left.long() + right, width, border)
        return flat[start + row * width + column].float()

    def between(first: torch.Tensor, second: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return fused(second - first, weight, first)

    upper = between(pixels(0, 0), pixels(0, 1), alpha)
    return between(upper, between(pixels(1, 0), pixels(1, 1), alpha), beta)
