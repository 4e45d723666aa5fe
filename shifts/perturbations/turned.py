"""Images turned by quarters, and drawn in colours: what pretexts and captions are made of.

Gidaris, Singh and Komodakis (arXiv 1803.07728) let a network tell by how many quarters an image is turned.
Here every class is four classes, one for each turn: the label is ``4 · class + quarters``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shifts.class_maps import NewLabels
from shifts.data import Attribute, Rows, generator
from shifts.errors import UserError
from shifts.perturbations.selections import part
from shifts.turns import TURNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


def turned_labels(ids: Sequence[str], labels: NDArray[np.int64]) -> NewLabels:
    """Relabelling: each image is turned by a number of quarters that its id decides."""
    quarters = [int(generator(name, "quarters").integers(len(TURNS))) for name in ids]
    return NewLabels(labels=len(TURNS) * labels + np.array(quarters, dtype=np.int64))


def turn(images: Pixels, rows: Rows) -> Pixels:
    """Turn every image as its label says, to the left by ``label mod 4`` quarters.

    Raises:
        UserError: images that are not square would change their shape.
    """
    if images.shape[1] != images.shape[2]:
        raise UserError(
            f"images of {images.shape[1]} × {images.shape[2]} pixels cannot be turned by quarters"
        )
    quarters = rows.labels % len(TURNS)
    result = np.empty_like(images)
    for number in range(len(TURNS)):
        result[quarters == number] = np.rot90(images[quarters == number], number, axes=(1, 2))
    return result


def part_of_upright(rows: Rows, *, between: tuple[float, float]) -> NDArray[np.int64]:
    """As ``part``, by the classes before the turns: the same images as of the set that is not turned."""
    upright = dataclasses.replace(
        rows, labels=rows.labels // len(TURNS), num_classes=rows.num_classes // len(TURNS)
    )
    return part(upright, between=between)


def colours(rows: Rows, *, palette: Mapping[str, Sequence[float]]) -> NDArray[np.int64]:
    """Which colour of the palette each example has: int64 (B,), each with the same probability."""
    draws = (rows.generator(index, "colour").integers(len(palette)) for index in range(len(rows.ids)))
    return np.fromiter(draws, dtype=np.int64, count=len(rows.ids))


def coloured(images: Pixels, rows: Rows, *, palette: Mapping[str, Sequence[float]]) -> Pixels:
    """Draw each image in a colour: every channel times the colour's share of it.

    Args:
        images: uint8 (B, H, W, 3).
        palette: name → red, green and blue in [0, 1].
    """
    shares = np.array(list(palette.values()), dtype=np.float64)[colours(rows, palette=palette)]
    return np.rint(images * shares[:, None, None, :]).astype(np.uint8)


def colour(rows: Rows, *, palette: Mapping[str, Sequence[float]]) -> Attribute:
    """Group column: the name of the colour."""
    return Attribute(values=colours(rows, palette=palette), names=tuple(palette))
