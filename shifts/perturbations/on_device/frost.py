"""Twin of ``shifts.perturbations.frost``: equal to the last bit."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from shifts.perturbations.frost import KINDS, SIDE, texture
from shifts.perturbations.on_device.draws import drawn
from shifts.perturbations.on_device.sums import truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows


def frost(
    images: torch.Tensor, rows: Rows, *, image_weight: float, frost_weight: float, stride: int = 1
) -> torch.Tensor:
    """Twin of ``frost.frost``; 48 bytes a pixel, and the textures once."""

    def fill(generator: np.random.Generator, draw: NDArray[np.int64]) -> None:
        draw[:] = generator.integers(len(KINDS)), generator.integers(SIDE), generator.integers(SIDE)

    device = images.device
    purpose = ("frost", image_weight, frost_weight, stride)
    (draws,) = drawn(rows, purpose, fill, ((3,), torch.int64), device=device)
    kind, top, left = draws[:, :, None].unbind(1)
    down, across = (
        (start + stride * torch.arange(size, device=device)).remainder(SIDE)
        for start, size in zip((top, left), images.shape[1:3], strict=True)
    )
    ice = _textures(device)[kind[..., None], down[:, :, None], across[:, None, :]]
    weighted = images * torch.tensor(image_weight, dtype=torch.float32, device=device)
    return truncated(weighted.add_(ice * torch.tensor(frost_weight, dtype=torch.float32, device=device)))


@lru_cache(maxsize=4)
def _textures(device: torch.device) -> torch.Tensor:
    """The textures of all kinds on a device: uint8 (kinds, SIDE, SIDE, 3)."""
    return torch.from_numpy(np.stack([texture(kind) for kind in range(len(KINDS))])).to(device)
