"""The random numbers of the examples, drawn as on the CPU and brought to the device."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from shifts.data import Rows

_MOST_THREADS = 16
# Below so many bytes an image, what NumPy does without the interpreter's lock is too short to share.
_WORTH_A_THREAD = 1 << 15


def drawn(
    rows: Rows,
    purpose: Sequence[object],
    fill: Callable[..., None],
    *room: tuple[tuple[int, ...], torch.dtype],
    device: torch.device,
) -> tuple[torch.Tensor, ...]:
    """Let every example's generator fill its part of some arrays, by threads, and upload them.

    Args:
        purpose: of the generators, as the function on the CPU gives it.
        fill: called with a generator and one NumPy array (a view to be written into) for each of ``room``.
        room: shape and type of what one image needs.

    Returns:
        For each of ``room`` a tensor (B, *shape) on the device.
    """
    count = len(rows.ids)
    pinned = device.type == "cuda"  # only such memory is copied while the processor goes on
    tensors = [torch.empty((count, *shape), dtype=kind, pin_memory=pinned) for shape, kind in room]
    arrays: list[Any] = [tensor.numpy() for tensor in tensors]

    def one(index: int) -> None:
        fill(rows.generator(index, *purpose), *(array[index] for array in arrays))

    size = sum(tensor.nbytes for tensor in tensors) // max(count, 1)
    threads = min(os.cpu_count() or 1, _MOST_THREADS, count) if size >= _WORTH_A_THREAD else 1
    if threads > 1:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(one, range(count)))
    else:
        for index in range(count):
            one(index)
    return tuple(tensor.to(device, non_blocking=True) for tensor in tensors)
