"""The one function that turns raw images into a network's input size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import Preprocess

_PIL = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def prepare(images: Sequence[NDArray[np.uint8]], preprocess: Preprocess) -> torch.Tensor:
    """Resize and centre-crop raw images.

    Args:
        images: B arrays uint8 (H, W, 3), sizes may differ.

    Returns:
        uint8 (B, 3, h, w) in channels-last memory, so that stacking is the only copy.

    Raises:
        UserError: the preprocess keeps sizes and the images differ in size.
    """
    shaped = [_geometry(image, preprocess) for image in images]
    shapes = {image.shape for image in shaped}
    if len(shapes) != 1:
        raise UserError(
            f"images of {len(shapes)} sizes cannot be one batch for a model that keeps the size of its input",
            hint="give the model's Preprocess a resize and a crop",
        )
    return torch.from_numpy(np.stack(shaped)).permute(0, 3, 1, 2)


def for_cropped(preprocess: Preprocess, side: int | None) -> Preprocess:
    """The preprocess for images that were resized and cropped to ``side`` pixels by the data set's makers.

    A model whose input has that size takes them as they are (the protocol of ImageNet-C: centre crop 224
    and no resize). For another input size there is no published rule; here the whole image is scaled to it.
    None leaves the preprocess as it is.
    """
    if side is None or preprocess.crop is None:
        return preprocess
    same = preprocess.crop == (side, side)
    return dataclasses.replace(preprocess, resize=None if same else preprocess.crop)


def normalise(images: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """uint8 (B, 3, h, w) → float32: scaled to [0, 1], then (x − mean) / std, in torchvision's order."""
    mean = torch.tensor(preprocess.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(preprocess.std, device=images.device).view(1, 3, 1, 1)
    return images.to(torch.float32).div_(255).sub_(mean).div_(std)


def _geometry(image: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if preprocess.resize is not None:
        target = _resized(height, width, preprocess.resize)
        if target != (height, width):
            resized = Image.fromarray(image).resize(target[::-1], _PIL[preprocess.interpolation])
            image = np.asarray(resized)
    if preprocess.crop is not None:
        image = _centre_crop(image, preprocess.crop)
    return image


def _resized(height: int, width: int, resize: int | tuple[int, int]) -> tuple[int, int]:
    """torchvision's rule: the shorter side gets the size, the longer one ``int(size * longer / shorter)``."""
    if not isinstance(resize, int):
        return resize
    if height <= width:
        return resize, int(resize * width / height)
    return int(resize * height / width), resize


def _centre_crop(image: NDArray[np.uint8], crop: tuple[int, int]) -> NDArray[np.uint8]:
    """torchvision's rule: an image smaller than the crop is padded with zeros first."""
    height, width = image.shape[:2]
    tall, wide = crop
    if height < tall or width < wide:
        top, left = max((tall - height) // 2, 0), max((wide - width) // 2, 0)
        bottom, right = max((tall - height + 1) // 2, 0), max((wide - width + 1) // 2, 0)
        image = np.pad(image, ((top, bottom), (left, right), (0, 0)))
        height, width = image.shape[:2]
    top, left = round((height - tall) / 2.0), round((width - wide) / 2.0)
    return image[top : top + tall, left : left + wide]
