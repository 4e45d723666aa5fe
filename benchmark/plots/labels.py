"""Names beside points without overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]

_DIRECTIONS = 16
_RADII = (9.0, 16.0, 26.0, 40.0, 58.0, 80.0, 105.0)


def place_labels(
    axes: Axes,
    labels: Sequence[tuple[float, float, str]],
    *,
    points: Sequence[tuple[float, float]] = (),
    colour: str = "black",
    size: float = 8,
) -> None:
    """Write each label near its point where it covers no other label and as few points as can be.

    Args:
        axes: drawn already, with final limits: places are found in pixels.
        labels: (x, y, text) in the axes' data.
        points: further points that labels should not cover.
        colour, size: of the text, in points.
    """
    figure = axes.figure
    figure.canvas.draw()
    to_pixels = axes.transData.transform
    frame = axes.get_window_extent()
    unit = figure.dpi / 72
    legend = axes.get_legend()
    taken: list[Box] = []
    if legend is not None:
        extent = legend.get_window_extent()
        taken.append((extent.x0, extent.y0, extent.x1, extent.y1))
    dots = [tuple(to_pixels(point)) for point in [*points, *[(x, y) for x, y, _ in labels]]]
    for x, y, text in sorted(labels, key=lambda label: -label[1]):
        at = to_pixels((x, y))
        width, height = _size(axes, text, size)
        best: tuple[float, Box, float] | None = None
        for radius in _RADII:
            for step in range(_DIRECTIONS):
                angle = 2 * math.pi * step / _DIRECTIONS
                middle_x = at[0] + math.cos(angle) * (radius * unit + width / 2)
                middle_y = at[1] + math.sin(angle) * (radius * unit + height / 2)
                box = (
                    middle_x - width / 2,
                    middle_y - height / 2,
                    middle_x + width / 2,
                    middle_y + height / 2,
                )
                outside = not (frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1])
                outside = outside or box[3] > frame.y1
                hits = sum(_overlap(box, other) for other in taken)
                covered = sum(box[0] <= dot[0] <= box[2] and box[1] <= dot[1] <= box[3] for dot in dots)
                cost = 1000.0 * outside + 200.0 * hits + 6.0 * covered + radius / 4 + (step % 8 != 0)
                if best is None or cost < best[0]:
                    best = (cost, box, radius)
        assert best is not None, "there are places to choose from"
        _, box, radius = best
        taken.append(box)
        middle = axes.transData.inverted().transform(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
        far = radius > _RADII[1]
        axes.annotate(
            text,
            xy=(x, y),
            xytext=(float(middle[0]), float(middle[1])),
            ha="center",
            va="center",
            fontsize=size,
            color=colour,
            zorder=8,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "shrinkA": 1, "shrinkB": 3}
            if far
            else None,
        )


def _size(axes: Axes, text: str, size: float) -> tuple[float, float]:
    drawn = axes.text(0, 0, text, fontsize=size)
    extent = drawn.get_window_extent()
    drawn.remove()
    return extent.width + 4, extent.height + 2


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
