"""A picture for tests and measurements of corruptions, and figures of what became of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@cache
def picture(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Clouds in correlated colours with flat patches of extreme ones: uint8 (H, W, 3).

    Whole-number arithmetic and the frozen stream of ``RandomState``, so that figures measured elsewhere
    stay comparable for good. Nobody may write into it: it is made once.
    """
    draw = np.random.RandomState(seed)
    total = np.zeros((height, width, 3), dtype=np.int64)
    for octave in range(1, 7):
        cells = 2**octave
        grid = draw.randint(-128, 129, (cells + 1, cells + 1, 1)) * 2
        grid = (grid + draw.randint(-128, 129, (cells + 1, cells + 1, 3))) * (1 << (7 - octave))
        down, across = (np.arange(size) * cells * 256 // size for size in (height, width))
        i, j = down >> 8, across >> 8
        v, u = (down & 255)[:, None, None], (across & 255)[None, :, None]
        upper = grid[i][:, j] * (256 - u) + grid[i][:, j + 1] * u
        lower = grid[i + 1][:, j] * (256 - u) + grid[i + 1][:, j + 1] * u
        total += (upper * (256 - v) + lower * v) >> 16
    total = (total >> 7) + draw.randint(-8, 9, (height, width, 3))
    image = np.clip(120 + total, 0, 255).astype(np.uint8)
    patch = max(2, min(height, width) // 14)
    colours = ((0, 0, 0), (255, 255, 255), (90, 90, 90), (255, 0, 0), (0, 40, 250), (3, 2, 1))
    for k, colour in enumerate(colours):
        top, left = patch * (1 + 2 * k), patch * (1 + 3 * k % 11)
        image[top : top + patch, left : left + patch] = colour
    image.flags.writeable = False
    return image


@cache
def photographs(count: int, side: int) -> NDArray[np.uint8]:
    """Cuttings of two photographs, and every third time a picture: uint8 (count, side, side, 3)."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    draw = np.random.RandomState(count)
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    found = []
    for k in range(count):
        if k % 3 == 2:
            found.append(picture(side, side, seed=k % 12))
            continue
        across, down, width = draw.randint(0, 240), draw.randint(0, 27), draw.randint(250, 400)
        box = (across, down, across + width, down + width)
        found.append(np.asarray(photos[k % 3].resize((side, side), Image.Resampling.BICUBIC, box)))
    images = np.stack(found)
    images.flags.writeable = False
    return images


def rows_of(ids: Sequence[str], *, seed: int = 0) -> Rows:
    """Rows of examples without labels of interest."""
    return Rows(ids=list(ids), labels=np.zeros(len(ids), dtype=np.int64), num_classes=1, seed=seed)


def places(side: int) -> NDArray[np.int64]:
    """The pixels whose reference values are stored: (K, 2), row and column; not near each other by design."""
    draw = np.random.RandomState(side)
    return draw.randint(0, side, (100 if side > 32 else 60, 2))


def figures(clean: NDArray[np.uint8], corrupted: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What describes a random corruption of (S, S, 3): four moments, then the spectrum of what it added.

    Mean and deviation of the corrupted picture and of its difference to the clean one, in grey levels; then
    log10 of the mean power of the difference (its channels averaged, under a Hann window) in each octave
    of spatial frequency from 1 cycle per picture up.
    """
    side = len(clean)
    difference = corrupted.astype(np.float64) - clean
    moments = [corrupted.mean(), corrupted.std(), difference.mean(), difference.std()]
    grey = difference.mean(axis=2)
    window = np.hanning(side)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window * window[:, None])) ** 2
    cycles = np.fft.fftfreq(side) * side
    octave = np.floor(np.log2(np.maximum(np.hypot(cycles[:, None], cycles), 0.5)))
    octaves = range(int(np.log2(side)) - 1)
    return np.array(moments + [float(np.log10(power[octave == k].mean() + 1e-3)) for k in octaves])
