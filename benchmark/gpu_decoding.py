"""JPEG files decoded by a GPU (nvJPEG, through torchvision), for a run that asks for it.

nvJPEG rounds otherwise than libjpeg, with which all published numbers were measured, and spreads the colours
of subsampled files by another rule: ``benchmark/README.md`` says how much pixels differ. Results have digests
of their own.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

AT_ONCE = 64  # files in one call


class GpuDecoder:
    """Decodes what is a colour JPEG; the rest is left to the processor.

    Args:
        device: a CUDA device.

    Raises:
        UserError: it is none, or torchvision was built without nvJPEG.
    """

    def __init__(self, device: torch.device | None) -> None:
        if device is None or device.type != "cuda":
            raise UserError(
                "nvJPEG needs a CUDA device, and a model that runs on it", hint="leave --decode nvjpeg out"
            )
        self.device = device

    @property
    def version(self) -> str:
        """Of what decodes: files decoded by another one are not the same."""
        import torchvision

        return f"nvjpeg of CUDA {torch.version.cuda}, torchvision {torchvision.__version__}"

    def __call__(self, payloads: Sequence[bytes | Pixels]) -> list[Pixels | None]:
        """uint8 (H, W, 3) of each file, None for what has to be read otherwise.

        Raises:
            UserError: torchvision has no nvJPEG.
        """
        found: list[Pixels | None] = [None] * len(payloads)
        fit = [place for place, payload in enumerate(payloads) if _is_colour_jpeg(payload)]
        for start in range(0, len(fit), AT_ONCE):
            some = fit[start : start + AT_ONCE]
            for place, pixels in zip(some, self._decoded([payloads[place] for place in some]), strict=True):
                found[place] = pixels
        return found

    def _decoded(self, files: Sequence[bytes | Pixels]) -> list[Pixels | None]:
        from torchvision.io import ImageReadMode, decode_jpeg

        encoded = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
        try:
            decoded = decode_jpeg(encoded, mode=ImageReadMode.RGB, device=self.device)
        except RuntimeError as error:
            if "nvjpeg" in str(error).lower() and "not compiled" in str(error).lower():
                raise UserError(
                    "this torchvision was built without nvJPEG", hint="leave --decode nvjpeg out"
                ) from error
            return [None] * len(files)  # the processor tells which of them is damaged
        return [image.permute(1, 2, 0).contiguous().cpu().numpy() for image in decoded]


def _is_colour_jpeg(payload: bytes | Pixels) -> bool:
    if isinstance(payload, np.ndarray):
        return False
    try:
        with Image.open(io.BytesIO(payload)) as image:
            return image.format == "JPEG" and image.mode == "RGB"
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
