"""Weighted sums that come out the same on every device, for every size of batch: sums of whole numbers.

A library may add in any order, and does so by device and by size. Values and weights are therefore rounded
to multiples of a power of two, so fine that the sum hardly notices, and so coarse that every partial sum
fits in the 53 bits of float64, where it is exact in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUE_BITS = 20
WEIGHT_BITS = 24


def truncated(values: torch.Tensor) -> torch.Tensor:
    """Twin of ``common.truncated``: grey levels float32 or float64 to uint8, their fraction dropped."""
    return (values.float() - float(np.float32(0.4998))).round_().clamp_(0, 255).to(torch.uint8)


def planes(images: torch.Tensor) -> torch.Tensor:
    """Images uint8 (B, H, W, 3) as float64 (B, 3, H, W)."""
    return images.permute(0, 3, 1, 2).to(torch.float64, memory_format=torch.contiguous_format)


def interleaved(levels: torch.Tensor) -> torch.Tensor:
    """Back from (B, 3, H, W) to (B, H, W, 3)."""
    return levels.permute(0, 2, 3, 1).contiguous()


def fused(factor: torch.Tensor, weight: torch.Tensor | float, base: torch.Tensor) -> torch.Tensor:
    """``factor * weight + base`` in float32 with one rounding, as processors do it in one instruction."""
    return (factor.double() * weight + base).float()


def bordered(index: torch.Tensor, size: int, border: str) -> torch.Tensor:
    """Which pixel of a line of ``size`` stands for positions that may lie beside it (int64).

    Args:
        border: ``replicate`` aaa|abc|ccc, ``reflect`` cba|abc|cba, ``reflect-101`` cb|abc|ba.
    """
    if border == "replicate":
        return index.clamp(0, size - 1)
    period = max(2 * size - (2 if border == "reflect-101" else 0), 1)
    last = period - (0 if border == "reflect-101" else 1)
    folded = index.remainder(period)
    return torch.minimum(folded, last - folded)


def whole(weights: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Weights times 2**bits as whole numbers; the largest of each row makes up for the sum.

    Args:
        weights: (..., K).
    """
    scaled = np.asarray(weights, dtype=np.float64) * 2.0**bits
    result = np.rint(scaled)
    lost = np.rint(scaled.sum(axis=-1)) - result.sum(axis=-1)
    largest = np.abs(scaled).argmax(axis=-1)[..., None]
    np.put_along_axis(result, largest, np.take_along_axis(result, largest, -1) + lost[..., None], -1)
    return np.asarray(result)


def line_filter(weights: NDArray[np.float64], size: int, border: str) -> NDArray[np.float64]:
    """The matrix (size, size) that correlates a line with weights (2r + 1,)."""
    radius = len(weights) // 2
    matrix = np.zeros((size, size))
    position = torch.arange(size)[:, None] + torch.arange(-radius, radius + 1)
    column = bordered(position, size, border).numpy()
    np.add.at(matrix, (np.arange(size)[:, None], column), weights)
    return matrix


def separably(values: torch.Tensor, down: NDArray[np.float64], across: NDArray[np.float64]) -> torch.Tensor:
    """``down @ values @ across.T``, rounded between the two to multiples of 2**-20.

    Args:
        values: float64 (..., H, W), in [-256, 256]; rounded to multiples of 2**-20.
        down: (H', H); rows whose absolute values sum to less than 2.
        across: (W', W); such rows.
    """
    device = values.device
    first = torch.from_numpy(whole(across, WEIGHT_BITS).T.copy()).to(device)
    second = torch.from_numpy(whole(down, WEIGHT_BITS)).to(device)
    once = torch.matmul((values * 2.0**VALUE_BITS).round_(), first)
    once.mul_(2.0**-WEIGHT_BITS).round_()
    return torch.matmul(second, once).mul_(2.0 ** -(VALUE_BITS + WEIGHT_BITS))
