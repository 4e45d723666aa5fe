"""What OpenCV gives spatter to shade its drops with, for batches of uint8 (B, H, W): outlines and distances.

J. Canny, "A Computational Approach to Edge Detection", PAMI 1986; G. Borgefors, "Distance transformations in
digital images", CVGIP 1986. In whole numbers, so that no order of work moves a bit: equal to OpenCV's, but
for distances, which OpenCV 5 sums in single precision (1e-4 of a pixel).
"""

from __future__ import annotations

import torch
from torch.nn.functional import pad

# The tangent of 22.5 degrees over 2**15.
_TANGENT = 13573
# Steps to a neighbour, over a corner, and as a knight: 1, 1.4 and 2.1969, over 2**16.
_STRAIGHT, _CORNER, _KNIGHT = 65536, 91750, 143976
_STEPS = (
    *((y, x, _STRAIGHT) for y, x in ((0, 1), (0, -1), (1, 0), (-1, 0))),
    *((y, x, _CORNER) for y in (-1, 1) for x in (-1, 1)),
    *((y, x, _KNIGHT) for y, x in ((1, 2), (1, -2), (-1, 2), (-1, -2), (2, 1), (2, -1), (-2, 1), (-2, -1))),
)


def around(values: torch.Tensor, down: int, right: int, outside: int) -> torch.Tensor:
    """The neighbours of all pixels of (B, H, W) in one direction; ``outside`` where there is none."""
    height, width = values.shape[1:]
    moved = torch.full_like(values, outside)
    target = moved[:, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
    target.copy_(values[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)])
    return moved


def framed(values: torch.Tensor, mode: str) -> torch.Tensor:
    """One more pixel on each side, as float64; ``mode`` is torch's ``replicate`` or ``reflect``."""
    return pad(values.double()[:, None], (1, 1, 1, 1), mode=mode)[:, 0]


def outlines(levels: torch.Tensor, *, low: int, high: int) -> torch.Tensor:
    """Where ``cv2.Canny`` (aperture 3, the sum of both slopes) sees an edge: bool."""
    ring = framed(levels, "replicate").int()
    above, middle, below = ring[:, :-2], ring[:, 1:-1], ring[:, 2:]
    rows = above + 2 * middle + below
    across = rows[:, :, 2:] - rows[:, :, :-2]
    columns = below - above
    down = columns[:, :, :-2] + 2 * columns[:, :, 1:-1] + columns[:, :, 2:]
    slope = across.abs() + down.abs()

    flat = across.abs() * _TANGENT
    height = down.abs() << 15
    beside = (slope > around(slope, 0, -1, 0)) & (slope >= around(slope, 0, 1, 0))
    upright = (slope > around(slope, -1, 0, 0)) & (slope >= around(slope, 1, 0, 0))
    falling = (slope > around(slope, -1, -1, 0)) & (slope > around(slope, 1, 1, 0))
    rising = (slope > around(slope, -1, 1, 0)) & (slope > around(slope, 1, -1, 0))
    slanted = torch.where((across ^ down) < 0, rising, falling)
    steep = torch.where(height > flat + (across.abs() << 16), upright, slanted)
    ridge = torch.where(height < flat, beside, steep) & (slope > low)

    # From what is surely an edge along what may be one.
    sure = ridge & (slope > high)
    while True:
        wider = sure
        for _ in range(8):  # asking the device whether it is done costs more than some steps
            for shift in ((0, 1), (1, 0)):
                wider = wider | around(wider, *shift, 0) | around(wider, -shift[0], -shift[1], 0)
            wider = wider & ridge
        if torch.equal(wider, sure):
            return sure
        sure = wider


def distances(targets: torch.Tensor, *, most: int) -> torch.Tensor:
    """``cv2.distanceTransform`` (``DIST_L2``, mask 5) to the nearest target, at most ``most``: float32.

    Args:
        targets: bool (B, H, W).
    """
    far = most * _STRAIGHT
    found = torch.where(targets, 0, far).int()
    # Every step is at least one pixel long.
    for _ in range(most):
        nearer = found
        for down, right, cost in _STEPS:
            nearer = torch.minimum(nearer, around(found, down, right, far) + cost)
        found = nearer
    return found.float() * (1 / 65536)


def equalised(levels: torch.Tensor) -> torch.Tensor:
    """``cv2.equalizeHist`` of each image: uint8."""
    flat = levels.flatten(1).long()
    counts = torch.zeros((len(flat), 256), dtype=torch.int32, device=levels.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=torch.int32))
    # Of a whole number each, so that no order of the sum matters.
    least = flat.amin(dim=1, keepdim=True)
    first = counts.gather(1, least)
    total = flat.shape[1]
    scale = torch.full_like(first, 255).float() / (total - first)
    table = ((counts.cumsum(1) - first) * scale).round().clamp(0, 255)
    table = torch.where(first == total, least.float(), table)
    return table.gather(1, flat).to(torch.uint8).reshape(levels.shape)


def box_mean(values: torch.Tensor) -> torch.Tensor:
    """Means of 3 x 3 pixels, edges mirrored: float64, from whole numbers or their binary fractions."""
    ring = framed(values, "reflect")
    rows = ring[:, :-2] + ring[:, 1:-1] + ring[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) * (1 / 9)
