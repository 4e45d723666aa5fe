"""The one function that turns raw images into a network's input size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from models_zoo.devices import room
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import Corner, Preprocess

    Pixels = NDArray[np.uint8]

_PIL = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def prepare(images: Sequence[Pixels], preprocess: Preprocess) -> torch.Tensor:
    """Resize and centre-crop raw images, bit for bit as torchvision, timm and open_clip do.

    Args:
        images: B arrays uint8 (H, W, 3), sizes may differ.

    Returns:
        uint8 (B, 3, h, w) in channels-last memory, so that stacking is the only copy.

    Raises:
        UserError: the preprocess keeps sizes and the images differ in size.
    """
    return stacked([shaped(image, preprocess) for image in images])


def stacked(images: Sequence[Pixels], *, pinned: bool = False) -> torch.Tensor:
    """Shaped images uint8 (h, w, 3) as a batch, see ``prepare``.

    Args:
        pinned: as for ``models_zoo.devices.room``.

    Raises:
        UserError: they differ in size.
    """
    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        raise UserError(
            f"images of {len(shapes)} sizes cannot be one batch for a model that keeps the size of its input",
            hint="give the model's Preprocess a resize and a crop",
        )
    batch = room((len(images), *images[0].shape), pinned=pinned)
    np.stack(images, out=batch.numpy())
    return batch.permute(0, 3, 1, 2)


def prepare_there(images: Sequence[torch.Tensor], preprocess: Preprocess) -> torch.Tensor:
    """As ``prepare`` for B tensors uint8 (H, W, 3) on a device: they stay there if they have the right size.

    Returns:
        uint8 (B, 3, h, w) in channels-last memory, on their device or, resized or cropped, on the CPU.
    """
    height, width = images[0].shape[:2]
    alike = all(image.shape[:2] == (height, width) for image in images)
    as_they_are = resized_size(height, width, preprocess) == (height, width)
    if alike and as_they_are and preprocess.crop in (None, (height, width)):
        return torch.stack(list(images)).permute(0, 3, 1, 2)
    return prepare([image.cpu().numpy() for image in images], preprocess)


def for_cropped(preprocess: Preprocess, side: int | None) -> Preprocess:
    """The preprocess for images that were resized and cropped to ``side`` pixels by the data set's makers.

    A model whose input has that size takes them as they are (the protocol of ImageNet-C: centre crop 224
    and no resize). For another input size there is no published rule; here the whole image is scaled to it.
    None leaves the preprocess as it is.
    """
    if side is None or preprocess.crop is None:
        return preprocess
    same = preprocess.crop == (side, side)
    return dataclasses.replace(preprocess, resize=None if same else preprocess.crop, fit="squash")


def normalise(images: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """uint8 (B, 3, h, w) → float32: scaled to [0, 1], then (x − mean) / std, in torchvision's order."""
    mean = _channels(preprocess.mean, images.device)
    std = _channels(preprocess.std, images.device)
    number, channels, height, width = images.shape
    if images.device.type == "cpu" and images.is_contiguous(memory_format=torch.channels_last):
        # The same sums a line of pixels at a time: a CPU is three times as fast over long rows as over three.
        rows = images.permute(0, 2, 3, 1).reshape(number, height, width * channels).to(torch.float32)
        rows.div_(255).sub_(mean.flatten().repeat(width)).div_(std.flatten().repeat(width))
        return rows.view(number, height, width, channels).permute(0, 3, 1, 2)
    return images.to(torch.float32).div_(255).sub_(mean).div_(std)


@lru_cache(maxsize=256)
def _channels(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """One value for each channel, made once: a copy to a GPU would wait for all that it has to do."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device).view(1, 3, 1, 1)


def shaped(image: Image.Image | Pixels, preprocess: Preprocess) -> Pixels:
    """One RGB image resized and cropped: uint8 (h, w, 3), perhaps read-only.

    Args:
        image: uint8 (H, W, 3), or as Pillow holds it, which saves two copies of all its pixels.
    """
    size = _size(image)
    target = resized_size(*size, preprocess)
    if target != size:
        image = _RESIZERS[preprocess.resizer](image, target, preprocess.interpolation)
    if preprocess.crop is not None:
        return _centre_crop(image, preprocess.crop, preprocess.fill, preprocess.corner)
    return np.asarray(image)


def _size(image: Image.Image | Pixels) -> tuple[int, int]:
    """Height and width."""
    return (image.height, image.width) if isinstance(image, Image.Image) else image.shape[:2]


def resized_size(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """Height and width after the resize, before the crop.

    A shorter side follows torchvision's rule: the longer one gets ``int(size * longer / shorter)``. A box
    that is covered or contained follows the rule of timm and open_clip, which rounds both sides.
    """
    resize = preprocess.resize
    if resize is None:
        return height, width
    if isinstance(resize, int):
        if height <= width:
            return resize, int(resize * width / height)
        return int(resize * height / width), resize
    if preprocess.fit == "squash":
        return resize
    ratios = (height / resize[0], width / resize[1])
    ratio = min(ratios) if preprocess.fit == "cover" else max(ratios)
    # A line of pixels would vanish, on which the libraries stop with an error.
    return max(round(height / ratio), 1), max(round(width / ratio), 1)


def _resize_with_pil(
    image: Image.Image | Pixels, size: tuple[int, int], interpolation: str
) -> Image.Image | Pixels:
    held = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return held.resize(size[::-1], _PIL[interpolation])


def _resize_with_torchvision(
    image: Image.Image | Pixels, size: tuple[int, int], interpolation: str
) -> Image.Image | Pixels:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2.functional import resize_image

    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # a copy: decoded images are read-only
    mode = InterpolationMode(interpolation)
    resized: Pixels = resize_image(tensor, list(size), interpolation=mode, antialias=True).numpy()
    return resized.transpose(1, 2, 0)


_RESIZERS = {"pil": _resize_with_pil, "torchvision": _resize_with_torchvision}


def _centre_crop(
    image: Image.Image | Pixels, crop: tuple[int, int], fill: tuple[int, int, int], corner: Corner
) -> Pixels:
    """torchvision's rule: an image smaller than the crop is padded first."""
    height, width = _size(image)
    tall, wide = crop
    if height < tall or width < wide:
        top, left = max((tall - height) // 2, 0), max((wide - width) // 2, 0)
        bottom, right = max((tall - height + 1) // 2, 0), max((wide - width + 1) // 2, 0)
        padded = np.empty((height + top + bottom, width + left + right, 3), dtype=np.uint8)
        padded[:] = fill
        padded[top : top + height, left : left + width] = np.asarray(image)
        image = padded
        height, width = image.shape[:2]
    top, left = (height - tall) // 2, (width - wide) // 2
    if corner == "rounded":
        top, left = round((height - tall) / 2.0), round((width - wide) / 2.0)
    if isinstance(image, Image.Image):
        return np.asarray(image.crop((left, top, left + wide, top + tall)))
    return image[top : top + tall, left : left + wide]
