"""Frost on a window, with textures of our own.

The definition (Hendrycks and Dietterich 2019, arXiv 1903.12261, section 3) lays crops of five photographs
over the image. The photographs may not be redistributed, so this file draws five textures instead: feathers
of branching needles, given the mean colour, the contrast and the spectrum of the photographs. Images made
here are therefore not those of ImageNet-C or CIFAR-10-C, and models may find them easier or harder. The
official sets on disk stay the protocol of record; for frost more than for any other corruption.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import generator
from shifts.perturbations.common import check_images, check_range, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

SIDE = 512
"""Height and width of a texture in pixels. It is periodic, so images of any size find a crop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ice:
    """How a texture looks; figures measured on the photographs.

    Attributes:
        mean, spread: of each channel over the texture, in grey levels.
        power: log10 of the mean spectral power in the octaves from 1 to 112 cycles per 224 pixels.
        feathers: how many are drawn.
        length: of a feather's stem, in pixels.
    """

    mean: tuple[float, float, float]
    spread: tuple[float, float, float]
    power: tuple[float, ...]
    feathers: int
    length: float


_PALE = Ice(
    mean=(200.8, 205.4, 214.5),
    spread=(21.4, 22.1, 22.6),
    power=(9.25, 8.29, 7.84, 7.53, 6.94, 6.40, 5.73),
    feathers=700,
    length=60,
)
KINDS = (
    Ice(
        mean=(77.7, 149.1, 165.7),
        spread=(26.9, 16.5, 15.3),
        power=(9.40, 8.44, 7.50, 6.73, 6.35, 6.12, 5.61),
        feathers=500,
        length=40,
    ),
    # Two of the five photographs are the same, which counts in the mixture.
    _PALE,
    _PALE,
    Ice(
        mean=(137.6, 152.8, 165.2),
        spread=(28.5, 28.5, 29.9),
        power=(9.28, 8.28, 8.01, 7.68, 7.29, 6.88, 6.29),
        feathers=1500,
        length=30,
    ),
    Ice(
        mean=(112.4, 123.4, 134.8),
        spread=(44.4, 43.3, 41.7),
        power=(9.51, 9.00, 8.59, 7.99, 7.44, 6.86, 6.38),
        feathers=350,
        length=70,
    ),
)


def frost(
    images: NDArray[np.uint8], rows: Rows, *, image_weight: float, frost_weight: float, stride: int = 1
) -> NDArray[np.uint8]:
    """Add a random crop of a random frost texture. The textures are ours: see the head of this file.

    Args:
        images: uint8 (B, H, W, 3).
        image_weight: multiplies the image.
        frost_weight: multiplies the texture.
        stride: only every so many pixels of the texture are taken, to make it finer on small images.
    """
    check_images(images, "frost")
    check_range(image_weight, "image_weight", low=0)
    check_range(frost_weight, "frost_weight", low=0)
    check_range(stride, "stride", low=1)
    height, width = images.shape[1:3]
    result = np.empty_like(images)
    for i, image in enumerate(images):
        draw = rows.generator(i, "frost", image_weight, frost_weight, stride)
        kind, top, left = int(draw.integers(len(KINDS))), draw.integers(SIDE), draw.integers(SIDE)
        down = (top + stride * np.arange(height)) % SIDE
        across = (left + stride * np.arange(width)) % SIDE
        ice = texture(kind).take(down, axis=0).take(across, axis=1)
        result[i] = truncated(frosted(image, ice, image_weight=image_weight, frost_weight=frost_weight))
    return result


def frosted(
    image: NDArray[np.uint8], ice: NDArray[np.uint8], *, image_weight: float, frost_weight: float
) -> NDArray[np.float32]:
    """The weighted sum of an image and a texture, both (H, W, 3)."""
    return image * np.float32(image_weight) + ice * np.float32(frost_weight)


@lru_cache(maxsize=len(KINDS))
def texture(kind: int) -> NDArray[np.uint8]:
    """One of the five textures: uint8 (SIDE, SIDE, 3), the same in every process."""
    ice = KINDS[kind]
    pattern = _shaped(_feathers(ice, kind), ice)
    # The channels of the photographs differ by broad stains, not from pixel to pixel.
    stain = _shaped(generator("frost-stain", kind).standard_normal((SIDE, SIDE)), ice, finest=3)
    tone = np.array(ice.spread) / float(np.mean(ice.spread))
    levels = np.array(ice.mean) + pattern[..., None] * np.array(ice.spread)
    levels += stain[..., None] * (tone - 1) * np.array(ice.spread)
    return np.asarray(np.clip(np.rint(levels), 0, 255), dtype=np.uint8)


def _feathers(ice: Ice, kind: int) -> NDArray[np.float64]:
    """Bright stems with barbs at 60 degrees, as ice grows, on black: float64 (SIDE, SIDE), periodic."""
    import cv2

    draw = generator("frost-feathers", kind)
    canvas = np.zeros((2 * SIDE, 2 * SIDE), dtype=np.uint8)
    bits = 4  # cv2 takes whole numbers; these are sixteenths of a pixel
    for _ in range(ice.feathers):
        root, angle = draw.uniform(SIDE / 2, 3 * SIDE / 2, 2), draw.uniform(0, 2 * np.pi)
        length, light = ice.length * draw.uniform(0.5, 1.5), draw.uniform(60, 255)
        along = np.arange(3, length, draw.uniform(3, 6))[:, None]
        barbs = 0.35 * (length - along) * draw.uniform(0.5, 1.2, (len(along), 2))
        foot = root + along * _heading(angle)
        starts = np.concatenate([root[None], foot, foot])
        ends = np.concatenate(
            [
                root + length * _heading(angle)[None],
                foot + barbs[:, :1] * _heading(angle - np.pi / 3),
                foot + barbs[:, 1:] * _heading(angle + np.pi / 3),
            ]
        )
        lights = light * np.append(1, draw.uniform(0.5, 1, 2 * len(along)))
        lines = np.rint(np.concatenate([starts, ends], axis=1) * 2**bits).astype(int)
        for (x0, y0, x1, y1), brightness in zip(lines.tolist(), lights.tolist(), strict=True):
            cv2.line(canvas, (x0, y0), (x1, y1), brightness, 1, cv2.LINE_AA, bits)
    # What grew over an edge comes in at the opposite one.
    folded = canvas.reshape(2, SIDE, 2, SIDE).max(axis=(0, 2))
    return np.asarray(cv2.GaussianBlur(folded, (0, 0), 0.7), dtype=np.float64)


def _heading(angle: float) -> NDArray[np.float64]:
    return np.array([np.cos(angle), np.sin(angle)])


def _shaped(pattern: NDArray[np.float64], ice: Ice, *, finest: int | None = None) -> NDArray[np.float64]:
    """Give a periodic pattern the radial spectrum of ``ice``, mean 0 and deviation 1.

    Args:
        finest: number of octaves kept, coarsest first; None keeps all.
    """
    spectrum = np.fft.rfft2(pattern - pattern.mean())
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * 224
    octave = np.log2(np.maximum(frequency, 0.25))
    power = np.abs(spectrum) ** 2
    centres = np.arange(len(ice.power)) + 0.5
    ring = np.clip(np.floor(octave), -1, len(ice.power) - 1).astype(int) + 1
    found = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    wanted = 10 ** (np.interp(octave, centres, ice.power) / 2)
    shaped = spectrum * wanted / np.sqrt(np.interp(octave, np.append(-0.5, centres), found) + 1e-9)
    if finest is not None:
        shaped[octave > finest] = 0
    shaped[0, 0] = 0
    result = np.fft.irfft2(shaped, (SIDE, SIDE))
    return np.asarray(result / result.std())
