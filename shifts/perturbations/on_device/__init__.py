"""Corruptions on the device, in batches: twins of the functions on the CPU. Imports torch when first used.

A twin takes and gives a tensor uint8 (B, H, W, 3): the layout of the decoded images and of the draws, and,
seen through ``permute(0, 3, 1, 2)``, the channels-last batch that networks want. It has the random draws of
its original, so its pixels differ by rounding alone; README.md says how much. An image comes out the same in
every batch and on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from shifts.allocation import keep_freed_memory
from shifts.registry import resolve

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from shifts.data import Rows
    from shifts.spec import Perturbation

VERSION = 1
"""Raised whenever the pixels of a twin change: part of what identifies a result."""

_HERE, _CPU = "shifts.perturbations.on_device", "shifts.perturbations"

TWINS: Mapping[str, str] = MappingProxyType(
    {
        f"{_CPU}.noise:gaussian_noise": f"{_HERE}.noise:gaussian_noise",
        f"{_CPU}.noise:shot_noise": f"{_HERE}.noise:shot_noise",
        f"{_CPU}.noise:impulse_noise": f"{_HERE}.noise:impulse_noise",
        f"{_CPU}.noise:speckle_noise": f"{_HERE}.noise:speckle_noise",
        f"{_CPU}.blur:defocus_blur": f"{_HERE}.blur:defocus_blur",
        f"{_CPU}.blur:glass_blur": f"{_HERE}.blur:glass_blur",
        f"{_CPU}.blur:gaussian_blur": f"{_HERE}.blur:gaussian_blur",
        f"{_CPU}.motion:motion_blur": f"{_HERE}.motion:motion_blur",
        f"{_CPU}.motion:zoom_blur": f"{_HERE}.motion:zoom_blur",
        f"{_CPU}.weather:snow": f"{_HERE}.weather:snow",
        f"{_CPU}.weather:fog": f"{_HERE}.weather:fog",
        f"{_CPU}.weather:spatter": f"{_HERE}.spatter:spatter",
        f"{_CPU}.frost:frost": f"{_HERE}.frost:frost",
        f"{_CPU}.digital:brightness": f"{_HERE}.digital:brightness",
        f"{_CPU}.digital:contrast": f"{_HERE}.digital:contrast",
        f"{_CPU}.digital:saturate": f"{_HERE}.digital:saturate",
        f"{_CPU}.digital:pixelate": f"{_HERE}.digital:pixelate",
        f"{_CPU}.digital:jpeg_compression": f"{_HERE}.jpeg:jpeg_compression",
        f"{_CPU}.elastic:elastic_transform": f"{_HERE}.elastic:elastic_transform",
    }
)
"""Function on the CPU → function on the device."""

BYTES_PER_PIXEL = 256
"""What the hungriest twin holds for each pixel of its batch while it works."""
_MOST_BYTES = 1 << 30

Twin = Callable[..., "torch.Tensor"]


def has_twin(perturbation: Perturbation) -> bool:
    """Whether a perturbation can run on the device; asks without importing torch."""
    return perturbation.function in TWINS


def twin_of(perturbation: Perturbation) -> Twin | None:
    """The function ``(images uint8 (B, H, W, 3), rows, **parameters)`` on tensors, or None."""
    return resolve(TWINS[perturbation.function]) if has_twin(perturbation) else None


def perturb_on(
    device: torch.device | str,
    perturbations: Sequence[Perturbation],
    images: Sequence[NDArray[np.uint8]],
    rows: Rows,
) -> torch.Tensor | list[torch.Tensor]:
    """``shifts.data.perturb`` on a device: one upload, then one perturbation after the other there.

    What has no twin goes through its function on the CPU. Large batches are worked on in parts of 1 GiB.

    Args:
        images: B arrays uint8 (H, W, 3); sizes may differ.
        rows: ids and labels of the same B examples.

    Returns:
        uint8 (B, H, W, 3) on the device where all images come out in one size, else B tensors (H, W, 3).

    Raises:
        UserError: what the functions on the CPU raise.
    """
    import torch

    keep_freed_memory()  # draws of each image are such blocks
    target = torch.device(device)
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(image.shape, []).append(i)
    result: list[torch.Tensor] = [torch.empty(0)] * len(images)
    parts = []
    for (height, width, *_), members in groups.items():
        size = max(_MOST_BYTES // (BYTES_PER_PIXEL * height * width), 1)
        for start in range(0, len(members), size):
            index = members[start : start + size]
            array = np.stack([images[i] for i in index])
            batch = _perturbed(target, perturbations, array, rows.some(index))
            parts.append(batch)
            for i, perturbed in zip(index, batch.unbind(0), strict=True):
                result[i] = perturbed
    if len(groups) == 1:
        return torch.cat(parts) if len(parts) > 1 else parts[0]
    return result


def _perturbed(
    device: torch.device, perturbations: Sequence[Perturbation], array: NDArray[np.uint8], rows: Rows
) -> torch.Tensor:
    """Images of one size, uint8 (B, H, W, 3), through all perturbations."""
    batch: torch.Tensor | NDArray[np.uint8] = array
    for perturbation in perturbations:
        twin, original = twin_of(perturbation), resolve(perturbation.function)
        if twin is None:
            here = batch if isinstance(batch, np.ndarray) else batch.cpu().numpy()
            batch = original(here, rows, **perturbation.parameters)
            continue
        # No images at all: the original only looks at the parameters and at the size.
        original(np.empty((0, *batch.shape[1:]), np.uint8), rows.some([]), **perturbation.parameters)
        batch = twin(_uploaded(batch, device), rows, **perturbation.parameters)
    return _uploaded(batch, device)


def _uploaded(batch: torch.Tensor | NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    import torch

    if not isinstance(batch, np.ndarray):
        return batch
    tensor = torch.from_numpy(np.ascontiguousarray(batch))
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
