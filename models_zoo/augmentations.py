"""What training does to images, by name: views of one image, changes of a batch; every draw from a generator.

A *view* makes a training image of a whole one, in place of the evaluation's resize and crop. A change works
on a batch that has the network's input size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

TRIES = 10


def random_resized_crop(
    image: Pixels,
    draw: np.random.Generator,
    *,
    size: tuple[int, int],
    interpolation: str,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
) -> Pixels:
    """A random part of the image, resized, and mirrored with probability ``flip``.

    The part is drawn as torchvision's RandomResizedCrop draws it (Szegedy et al., arXiv 1409.4842): a share
    of the area, a ratio of width to height even in its logarithm, ten tries, then the largest central part.

    Args:
        image: uint8 (H, W, 3).
        size: (h, w) of the result.
        scale: share of the area.
        ratio: width / height.
    """
    top, left, height, width = crop_box(image.shape[0], image.shape[1], draw, scale=scale, ratio=ratio)
    part = Image.fromarray(image[top : top + height, left : left + width])
    resized = np.asarray(part.resize(size[::-1], Image.Resampling[interpolation.upper()]))
    return resized[:, ::-1] if draw.uniform(0.0, 1.0) < flip else resized


def crop_box(
    height: int,
    width: int,
    draw: np.random.Generator,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random part."""
    area = height * width
    shapes = (math.log(ratio[0]), math.log(ratio[1]))
    for _ in range(TRIES):
        target = area * draw.uniform(*scale)
        aspect = math.exp(draw.uniform(*shapes))
        wide, tall = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            top, left = int(draw.integers(0, height - tall + 1)), int(draw.integers(0, width - wide + 1))
            return top, left, tall, wide
    tall, wide = height, width
    if width / height < min(ratio):
        tall = round(wide / min(ratio))
    elif width / height > max(ratio):
        wide = round(tall * max(ratio))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def crop_and_flip(
    images: Pixels,
    draw: np.random.Generator,
    *,
    pad: int = 4,
    flip: float = 0.5,
    fill: Literal["constant", "edge", "reflect"] = "constant",
) -> Pixels:
    """Pad each side, cut the old size out anywhere, mirror with probability ``flip``: CIFAR's standard.

    He et al., arXiv 1512.03385, section 4.2: 4 black pixels of padding on images of 32.

    Args:
        images: uint8 (B, H, W, 3).
        fill: what the padding is, as in ``numpy.pad``; ``constant`` is black.
    """
    number, height, width = images.shape[:3]
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    top, left = draw.integers(0, 2 * pad + 1, size=(2, number))
    cut: NDArray[np.uint8] = windows[np.arange(number), top, left].transpose(0, 2, 3, 1)
    mirrored = np.less(draw.random(number), flip)
    return np.asarray(np.where(mirrored[:, None, None, None], cut[:, :, ::-1], cut), dtype=np.uint8)


def diversify(
    images: Pixels,
    draw: np.random.Generator,
    *,
    tint: float = 0.5,
    border: float = 0.0,
    upside_down: float = 0.0,
) -> Pixels:
    """What synthetic shifts do, at random: variety to pre-train on.

    Each image is blended with a colour of its own (``shifts.perturbations.synthetic.tint`` has one of a few),
    surrounded by black and scaled back, and turned upside down.

    Args:
        images: uint8 (B, H, W, 3).
        tint: the largest share of the colour.
        border: the widest border, as a share of the image's side; its width is drawn in whole pixels.
        upside_down: probability.
    """
    number, height, width = images.shape[:3]
    alpha = draw.uniform(0.0, tint, (number, 1, 1, 1))
    colours = 255.0 * draw.uniform(size=(number, 1, 1, 3))
    result = np.rint((1.0 - alpha) * images + alpha * colours).astype(np.uint8)
    widest = round(border * min(height, width))
    for index, pixels in enumerate(draw.integers(0, widest + 1, number).tolist()):
        if pixels:
            padded = np.pad(result[index], ((pixels, pixels), (pixels, pixels), (0, 0)))
            small = Image.fromarray(padded).resize((width, height), Image.Resampling.BILINEAR)
            result[index] = np.asarray(small)
    turned = draw.random(number) < upside_down
    result[turned] = result[turned][:, ::-1]
    return result


def tint_at_random(
    images: Pixels, draw: np.random.Generator, *, classes: int, alpha: float = 0.25, palette_seed: int = 0
) -> Pixels:
    """Tint every image in the colour of one of the classes, drawn anew each time: the tint says nothing.

    Over the epochs an image is seen in every colour, as pairs of an image and its counterfactual would show
    it. The colours and the blend are those of ``shifts.perturbations.synthetic.tint``.
    """
    from shifts.perturbations.synthetic import palette

    colours = 255.0 * palette(classes, seed=palette_seed)[draw.integers(0, classes, len(images))]
    blended = (1.0 - alpha) * images + alpha * colours[:, None, None, :]
    return np.rint(blended).astype(np.uint8)
