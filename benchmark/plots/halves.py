"""What lies in support and what does not: a few images of each half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.plots.style import figure_style

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Images = Sequence[NDArray[np.uint8]]


def halves_figure(shifts: Mapping[str, tuple[Images, Images]]) -> Figure:
    """Two rows for each shift: images in support, and out of it.

    Args:
        shifts: name → images uint8 (H, W, 3) of both halves; a half may be empty.
    """
    from matplotlib.figure import Figure as Canvas

    columns = max(len(images) for halves in shifts.values() for images in halves)
    with figure_style():
        figure = Canvas(figsize=(1.2 * columns + 0.4, 2.9 * len(shifts)), layout="constrained")
        parts = figure.subfigures(2 * len(shifts), 1, squeeze=False).ravel()
        titled = [
            (f"{name}: {side}", images)
            for name, halves in shifts.items()
            for side, images in zip(("in support", "out of support"), halves, strict=True)
        ]
        for part, (title, images) in zip(parts, titled, strict=True):
            part.suptitle(title if len(images) else f"{title} (none)", x=0.01, ha="left", fontsize=8)
            for place, axes in enumerate(part.subplots(1, columns, squeeze=False).ravel()):
                axes.axis("off")
                if place < len(images):
                    axes.imshow(images[place])
    return figure
