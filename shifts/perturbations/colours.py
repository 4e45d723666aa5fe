"""Colours that go with the class: the construction of Coloured MNIST.

Arjovsky, Bottou, Gulrajani and Lopez-Paz, "Invariant Risk Minimization" (arXiv 1907.02893), section 5 and the
released code. Every draw is a property of the example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Attribute, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def colours(rows: Rows, *, flip: float) -> NDArray[np.int64]:
    """The colour of each example, 0 or 1: its (binary) label, flipped with probability ``flip``."""
    draws = np.array([rows.generator(index, "colour").random() for index in range(len(rows.ids))])
    return np.asarray(rows.labels ^ (draws < flip), dtype=np.int64)


def colour(images: NDArray[np.uint8], rows: Rows, *, flip: float) -> NDArray[np.uint8]:
    """Keep one of the first two channels, red for colour 0 and green for colour 1, and blacken the others.

    Args:
        images: grey uint8 (B, H, W, 3).
        flip: the probability that the colour contradicts the label: 0.1 and 0.2 in the paper's two training
            environments, 0.9 in its test.
    """
    coloured = np.zeros_like(images)
    kept = colours(rows, flip=flip)
    for channel in (0, 1):
        coloured[kept == channel, :, :, channel] = images[kept == channel, :, :, channel]
    return coloured


def colour_agrees(rows: Rows, *, flip: float) -> Attribute:
    """Group column: whether the colour is that of the label."""
    agrees = colours(rows, flip=flip) == rows.labels
    return Attribute(values=agrees.astype(np.int64), names=("differs", "agrees"))
