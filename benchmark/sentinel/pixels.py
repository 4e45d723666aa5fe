"""Changes of the images that no declaration expresses: channel order, antialiasing, compression."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from models_zoo.spec import Preprocess

    Pixels = NDArray[np.uint8]

QUALITY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change, and when it is made.

    Attributes:
        function: ``before``: images uint8 (H, W, 3) → the same; ``instead``: images and preprocess → the
            prepared batch; ``after``: prepared batch uint8 (B, 3, h, w) → the same.
    """

    when: Literal["before", "instead", "after"]
    function: Callable[..., object]


def prepared(images: Sequence[Pixels], preprocess: Preprocess, change: Change | None) -> torch.Tensor:
    """Images as a network's input, with a change: uint8 (B, 3, h, w)."""
    import torch

    from models_zoo.preprocessing import prepare

    if change is None:
        return prepare(images, preprocess)
    if change.when == "before":
        batch: object = prepare([change.function(image) for image in images], preprocess)  # type: ignore[misc] # by `when`
    elif change.when == "instead":
        batch = change.function(images, preprocess)
    else:
        batch = change.function(prepare(images, preprocess))
    assert isinstance(batch, torch.Tensor), "a change ends in a batch"
    return batch


def _reversed(batch: torch.Tensor) -> torch.Tensor:
    return batch.flip(1)


def _compressed(image: Pixels) -> Pixels:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(stream).convert("RGB"))


def _aliased(images: Sequence[Pixels], preprocess: Preprocess) -> torch.Tensor:
    """Resized as tensors without antialiasing, which torchvision did to tensors up to 0.16; then cropped."""
    import dataclasses

    import torch
    from torch.nn.functional import interpolate

    from models_zoo.preprocessing import prepare, resized_size

    shrunk = []
    mode = "bicubic" if preprocess.interpolation in ("bicubic", "lanczos") else "bilinear"
    for image in images:
        height, width = resized_size(image.shape[0], image.shape[1], preprocess)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
        small = interpolate(tensor, size=(height, width), mode=mode, align_corners=False, antialias=False)
        shrunk.append(small[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())
    return prepare(shrunk, dataclasses.replace(preprocess, resize=None))


REVERSED = Change(when="after", function=_reversed)
ALIASED = Change(when="instead", function=_aliased)
COMPRESSED = Change(when="before", function=_compressed)
