"""Synthetic shifts of any source: tints, padding, translation, flip.

Constructions and default parameters follow Cohen-Wang, Vendrow and Madry, "Ask Your Distribution Shift if
Pre-Training is Right for You" (arXiv 2403.00194), section 5.1 and appendix B.3. Every random choice is a
property of the example: it depends on the shift's seed and the example's id alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shifts.data import Attribute, Rows
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


def palette(num_classes: int, *, seed: int = 0) -> NDArray[np.float64]:
    """One colour for each class: float64 (C, 3), uniform in [0, 1].

    The legacy generator is used because its stream is frozen for good, and because the paper's
    colours come from ``RandomState(0)`` too.
    """
    return np.random.RandomState(seed).uniform(size=(num_classes, 3))


def tint_classes(rows: Rows, *, p: float) -> NDArray[np.int64]:
    """The class whose colour each example gets: int64 (B,).

    Its own with probability ``p``, otherwise that of a class drawn uniformly (which may be its own, so
    that the colour agrees with probability p + (1 − p) / C).
    """
    chosen = np.empty(len(rows.ids), dtype=np.int64)
    for index in range(len(rows.ids)):
        draw = rows.generator(index, "tint")
        random_class = int(draw.integers(rows.num_classes))
        chosen[index] = rows.labels[index] if draw.random() < p else random_class
    return chosen


def tint(images: Pixels, rows: Rows, *, p: float = 0.0, alpha: float = 0.25, palette_seed: int = 0) -> Pixels:
    """Blend every image with one colour: (1 − alpha) · image + alpha · colour.

    Args:
        images: uint8 (B, H, W, 3).
        p: probability of the own class's colour; 0 is the "unseen tint", 0.5 the "spurious tint".
    """
    colours = 255.0 * palette(rows.num_classes, seed=palette_seed)[tint_classes(rows, p=p)]
    blended = (1.0 - alpha) * images + alpha * colours[:, None, None, :]
    return np.rint(blended).astype(np.uint8)


def tint_agrees(rows: Rows, *, p: float = 0.0, alpha: float = 0.25, palette_seed: int = 0) -> Attribute:
    """Group column: whether an example carries its own class's colour."""
    agrees = tint_classes(rows, p=p) == rows.labels
    return Attribute(values=agrees.astype(np.int64), names=("differs", "agrees"))


def pad(images: Pixels, rows: Rows, *, pixels: int) -> Pixels:
    """Surround images by black pixels on each side and scale back to the size they had (appendix C.3.1)."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    resized = [Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR) for one in padded]
    return np.stack([np.asarray(one) for one in resized])


def translate(images: Pixels, rows: Rows, *, down: int, right: int) -> Pixels:
    """Move the content by whole pixels; what comes in is black."""
    height, width = images.shape[1:3]
    if abs(down) >= height or abs(right) >= width:
        raise UserError(f"a translation by ({down}, {right}) moves a {height} × {width} image out of sight")
    moved = np.zeros_like(images)
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = images[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


def vertical_flip(images: Pixels, rows: Rows) -> Pixels:
    """Turn images upside down."""
    return np.ascontiguousarray(images[:, ::-1])


def pad_by(images: Pixels, rows: Rows, *, share: float) -> Pixels:
    """As ``pad``, by a share of the shorter side: for sources whose images differ in size."""
    if not 0.0 < share <= 1.0:
        raise UserError(f"the share to pad by must lie in (0, 1], not {share}")
    return pad(images, rows, pixels=max(round(share * min(images.shape[1:3])), 1))


def translate_by(images: Pixels, rows: Rows, *, down: float, right: float) -> Pixels:
    """As ``translate``, by shares of height and width."""
    height, width = images.shape[1:3]
    return translate(images, rows, down=round(down * height), right=round(right * width))
