"""Twin of ``shifts.perturbations.digital.jpeg_compression``: equal to the last bit.

The Independent JPEG Group's library, as Pillow calls it, in whole numbers: colours over 2**16, halved colour
resolution, the accurate integer transform ("islow"), the example tables of the standard (ITU T.81, annex K)
scaled by quality, and the triangle filter on the way back ("fancy upsampling"). The coding of the numbers
between the two transforms loses nothing and is left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import pad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8),) * 4,
)
# The transform of a line of 8, times 2**13: even rows act on the sums d[k] + d[7 - k], odd ones on the
# differences. The factors of the published flow graph are multiplied out, so 10703 and 10704 are no slip.
_ON_SUMS = (
    (8192, 8192, 8192, 8192),
    (10703, 4433, -4433, -10703),
    (8192, -8192, -8192, 8192),
    (4433, -10704, 10704, -4433),
)
_ON_DIFFERENCES = (
    (11363, 9633, 6437, 2260),
    (9633, -2259, -11362, -6436),
    (6437, -11362, 2261, 9633),
    (2260, -6436, 9633, -11363),
)
_TO_YCC = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
_HALF = 1 << 15


def jpeg_compression(images: torch.Tensor, rows: Rows, *, quality: int) -> torch.Tensor:
    """Twin of ``digital.jpeg_compression``; 60 bytes a pixel."""
    height, width = images.shape[1:3]
    red, green, blue = images.int().unbind(3)
    # 128 is taken from all three, as the transform wants it.
    bias = (_HALF - (128 << 16), _HALF - 1, _HALF - 1)
    luminance, *colours = (
        (red * r + green * g + blue * b + offset) >> 16
        for (r, g, b), offset in zip(_TO_YCC, bias, strict=True)
    )
    luminance = _coded(luminance, _scaled(_LUMINANCE, quality))
    table = _scaled(_CHROMINANCE, quality)
    blueness, redness = (_doubled(_coded(_halved(c), table), height, width) for c in colours)
    levels = (
        luminance + ((91881 * redness + _HALF) >> 16),
        luminance + ((-22554 * blueness - 46802 * redness + _HALF) >> 16),
        luminance + ((116130 * blueness + _HALF) >> 16),
    )
    return torch.stack(levels, dim=3).add_(128).clamp_(0, 255).to(torch.uint8)


def _scaled(table: tuple[tuple[int, ...], ...], quality: int) -> NDArray[np.float64]:
    """The divisors (8, 8) for a quality from 1 to 95."""
    percent = 5000 // int(quality) if quality < 50 else 200 - 2 * int(quality)
    return np.asarray(np.clip((np.array(table) * percent + 50) // 100, 1, 255), dtype=np.float64)


@lru_cache(maxsize=4)
def _transform(device: torch.device) -> torch.Tensor:
    """The forward transform of a line, times 2**13: whole numbers, float64 (8, 8)."""
    matrix = np.zeros((8, 8))
    for row in range(4):
        for k in range(4):
            matrix[2 * row, [k, 7 - k]] = _ON_SUMS[row][k]
            matrix[2 * row + 1, [k, 7 - k]] = _ON_DIFFERENCES[row][k], -_ON_DIFFERENCES[row][k]
    return torch.from_numpy(matrix).to(device)


def _coded(plane: torch.Tensor, table: NDArray[np.float64]) -> torch.Tensor:
    """Transform blocks of 8 x 8, round to multiples of the table, and back: int32 (B, H, W), -128 to 127."""
    height, width = plane.shape[1:]
    padded = _stretched(plane, -height % 8, -width % 8)
    count, high, wide = padded.shape
    blocks = padded.reshape(count, high // 8, 8, wide // 8, 8).transpose(2, 3).double()
    forward = _transform(plane.device)
    divisor = torch.from_numpy(table).to(plane.device)
    # Each pass ends with a rounding, the first with two bits to spare.
    once = _over(torch.matmul(blocks, forward.T), 11).mT
    spectrum = _over(torch.matmul(once, forward.T), 15).mT
    # Four times the values of the standard's transform, twice in each direction; halves go outwards.
    steps = ((spectrum.abs() + (4 * divisor).floor()) / (8 * divisor)).floor_() * spectrum.sign()
    once = _over(torch.matmul((steps * divisor).mT, forward), 11).mT
    levels = _over(torch.matmul(once, forward), 18).clamp_(-128, 127)
    return levels.int().transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]


def _over(sums: torch.Tensor, bits: int) -> torch.Tensor:
    """Whole numbers over 2**bits, halves upwards."""
    return sums.add_(2.0 ** (bits - 1)).mul_(2.0**-bits).floor_()


def _stretched(plane: torch.Tensor, below: int, right: int) -> torch.Tensor:
    """Repeat the last row and column of (B, H, W)."""
    if not below and not right:
        return plane
    # torch pads no whole numbers this way on every device; these are small enough for float32.
    return pad(plane.float()[:, None], (0, right, 0, below), mode="replicate")[:, 0].int()


def _halved(plane: torch.Tensor) -> torch.Tensor:
    """Means of 2 x 2 pixels; halves go up and down in turns along a row."""
    height, width = plane.shape[1:]
    even = _stretched(plane, height % 2, width % 2)
    even = _stretched(even, 0, -even.shape[2] % 16)
    total = even[:, ::2] + even[:, 1::2]
    total = total[:, :, ::2] + total[:, :, 1::2]
    bias = 1 + torch.arange(total.shape[2], dtype=torch.int32, device=plane.device).remainder(2)
    return (total + bias).bitwise_right_shift(2)


def _doubled(plane: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The triangle filter: a pixel is 9, 3, 3 and 1 sixteenths of its four neighbours: (B, height, width)."""
    rows, columns = (height + 1) // 2, (width + 1) // 2
    near = plane[:, :rows, :columns] + 128
    if columns <= 2:  # the library copies so few
        return (near.repeat_interleave(2, 1).repeat_interleave(2, 2) - 128)[:, :height, :width]
    above = torch.cat((near[:, :1], near[:, :-1]), dim=1)
    below = torch.cat((near[:, 1:], near[:, -1:]), dim=1)
    lines = torch.stack((3 * near + above, 3 * near + below), dim=2).flatten(1, 2)
    before = torch.cat((lines[:, :, :1], lines[:, :, :-1]), dim=2)
    after = torch.cat((lines[:, :, 1:], lines[:, :, -1:]), dim=2)
    pairs = torch.stack(((3 * lines + before + 8) >> 4, (3 * lines + after + 7) >> 4), dim=3)
    return pairs.flatten(2, 3)[:, :height, :width] - 128
