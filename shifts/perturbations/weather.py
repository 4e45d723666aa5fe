"""Weather in front of the lens: snow, fog, spatter. Frost has a file of its own.

Definitions: Hendrycks and Dietterich 2019 (arXiv 1903.12261), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import UserError
from shifts.perturbations.blur import smooth
from shifts.perturbations.common import check_images, check_range, truncated
from shifts.perturbations.motion import enlarged_from, streak

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Rows

WATER = (175, 238, 238)
"""Pale turquoise."""
MUD = (63, 42, 20)


def snow(
    images: NDArray[np.uint8],
    rows: Rows,
    *,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    keep: float,
) -> NDArray[np.uint8]:
    """Whiten the image and let streaks of flakes fall over it, once upright and once turned by 180 degrees.

    Args:
        images: uint8 (B, H, W, 3).
        mean, spread: of the normal noise that the flakes are cut from; full scale is 1.
        zoom: enlargement of the flakes.
        threshold: noise below it is no flake.
        radius, sigma: length of the streak and how its weight falls off, in pixels.
        keep: share of the image that is not whitened.

    Raises:
        UserError: images too small for the enlargement.
    """
    check_range(zoom, "zoom", low=1)
    check_range(radius, "radius", low=1)
    check_range(sigma, "sigma", low=1e-3)
    check_range(keep, "keep", low=0, high=1)
    check_images(images, "snow", smallest=math.ceil(2 * zoom))
    result = np.empty_like(images)
    for i, image in enumerate(images):
        generator = rows.generator(i, "snow", mean, spread, zoom, threshold, radius, sigma, keep)
        noise = generator.standard_normal(image.shape[:2], dtype=np.float32)
        noise *= np.float32(spread)
        noise += np.float32(mean)
        angle = generator.uniform(-135, -45)
        flakes = falling(noise, zoom=zoom, threshold=threshold, radius=radius, sigma=sigma, angle=angle)
        result[i] = truncated(snowed(image, flakes, keep=keep))
    return result


def falling(
    noise: NDArray[np.float32], *, zoom: float, threshold: float, radius: int, sigma: float, angle: float
) -> NDArray[np.float32]:
    """Cut flakes from noise (H, W), full scale 1, and draw them out along a direction: whole grey levels."""
    # Interpolated with full precision: the threshold would turn the 1/32 pixel of OpenCV into lost flakes.
    flakes = noise
    for axis in (0, 1):
        origin, scale = enlarged_from(noise.shape[axis], zoom)
        place = origin + scale * np.arange(noise.shape[axis])
        first = np.clip(np.floor(place), 0, noise.shape[axis] - 2).astype(np.intp)
        weight = (place - first).astype(np.float32)[:, None]
        lines = flakes.swapaxes(0, axis)
        flakes = (lines[first] * (1 - weight) + lines[first + 1] * weight).swapaxes(0, axis)
    flakes = np.ascontiguousarray(np.where(flakes < threshold, 0, flakes))
    # The published code keeps the flakes as 8-bit images, before the streak and after it.
    levels = np.floor(np.clip(flakes, 0, 1) * np.float32(255))
    drawn_out = streak(levels, radius=radius, sigma=sigma, angle=angle)
    return np.asarray(np.floor(drawn_out + np.float32(2e-4)), dtype=np.float32)


def snowed(image: NDArray[np.uint8], flakes: NDArray[np.float32], *, keep: float) -> NDArray[np.float32]:
    """Whiten (H, W, 3) and add flakes (H, W), both in grey levels, as they are and turned by 180 degrees."""
    import cv2

    plain = image.astype(np.float32)
    grey = cv2.cvtColor(plain, cv2.COLOR_RGB2GRAY)
    white = np.maximum(plain, (grey * np.float32(1.5) + np.float32(127.5))[..., None])
    white *= np.float32(1 - keep)
    plain *= np.float32(keep)
    plain += white
    plain += (flakes + flakes[::-1, ::-1])[..., None]
    return plain


def fog(images: NDArray[np.uint8], rows: Rows, *, amount: float, decay: float) -> NDArray[np.uint8]:
    """Add a cloud made by the diamond-square algorithm and scale back to the brightest value of the image.

    Args:
        images: uint8 (B, H, W, 3).
        amount: height of the cloud; full scale is 1.
        decay: by how much the noise shrinks as the grid gets finer.
    """
    check_images(images, "fog")
    check_range(amount, "amount", low=0)
    check_range(decay, "decay", low=1e-3)
    height, width = images.shape[1:3]
    side = cloud_side(height, width)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        generator = rows.generator(i, "fog", amount, decay)
        cloud = plasma(side, decay=decay, draw=generator.uniform)[:height, :width]
        result[i] = truncated(fogged(image, cloud, amount=amount))
    return result


def cloud_side(height: int, width: int) -> int:
    """Side of the smallest cloud, a power of two, that covers an image."""
    return 1 << (max(height, width, 2) - 1).bit_length()


def fogged(image: NDArray[np.uint8], cloud: NDArray[np.float32], *, amount: float) -> NDArray[np.float32]:
    """Add a cloud (H, W) in [0, 1] to (H, W, 3); the brightest value that can result is that of the image."""
    brightest = float(image.max()) / 255
    scale = np.float32(brightest / (brightest + amount) if brightest else 0)
    return np.asarray((cloud[..., None] * np.float32(255 * amount) + image) * scale, dtype=np.float32)


def plasma(
    side: int, *, decay: float, draw: Callable[[float, float, tuple[int, int]], NDArray[np.float64]]
) -> NDArray[np.float32]:
    """A periodic height map by the diamond-square algorithm, scaled to [0, 1]: float32 (side, side).

    Args:
        side: a power of two.
        decay: each finer grid has noise smaller by its square.
        draw: ``draw(low, high, shape)`` gives even random numbers.
    """
    grid = np.zeros((1, 1))
    wibble = 100.0
    while len(grid) < side:
        size = len(grid)

        def around(
            total: NDArray[np.float64], *, size: int = size, high: float = wibble
        ) -> NDArray[np.float64]:
            return total / 4 + high * draw(-high, high, (size, size))

        down = grid + np.roll(grid, -1, axis=0)
        centre = around(down + np.roll(down, -1, axis=1))
        top = around(centre + np.roll(centre, 1, axis=0) + grid + np.roll(grid, -1, axis=1))
        left = around(centre + np.roll(centre, 1, axis=1) + down)
        finer = np.empty((2 * size, 2 * size))
        finer[::2, ::2], finer[1::2, 1::2], finer[::2, 1::2], finer[1::2, ::2] = grid, centre, top, left
        grid = finer
        wibble /= decay
    grid -= grid.min()
    grid /= grid.max()
    return grid.astype(np.float32)


def spatter(
    images: NDArray[np.uint8],
    rows: Rows,
    *,
    mean: float,
    spread: float,
    sigma: float,
    threshold: float,
    opacity: float | None = None,
    edge: float | None = None,
) -> NDArray[np.uint8]:
    """Drops of water, or splashes of mud, on the lens. Water has an opacity, mud a soft edge.

    Args:
        images: uint8 (B, H, W, 3).
        mean, spread: of the normal noise that the drops are cut from; full scale is 1.
        sigma: standard deviation of the smoothing of the noise, in pixels.
        threshold: noise below it is no drop.
        opacity: of water where it is thickest.
        edge: standard deviation in pixels of the smoothing of mud.

    Raises:
        UserError: neither or both of ``opacity`` and ``edge``.
    """
    check_images(images, "spatter", smallest=3)
    if (opacity is None) == (edge is None):
        raise UserError("spatter takes either opacity (water) or edge (mud)")
    result = np.empty_like(images)
    for i, image in enumerate(images):
        generator = rows.generator(i, "spatter", mean, spread, sigma, threshold, opacity, edge)
        noise = generator.standard_normal(image.shape[:2], dtype=np.float32)
        noise *= np.float32(spread)
        noise += np.float32(mean)
        liquid = smooth(noise, sigma)
        if opacity is not None:
            wet = watered(image, liquid, threshold=threshold, opacity=opacity)
        else:
            wet = muddied(image, liquid, threshold=threshold, edge=edge or 0.0)
        result[i] = truncated(wet)
    return result


def watered(
    image: NDArray[np.uint8], liquid: NDArray[np.float32], *, threshold: float, opacity: float
) -> NDArray[np.float32]:
    """Add water to (H, W, 3) where ``liquid`` (H, W) passes the threshold, shaded as if lit from a side."""
    import cv2

    # Above full scale the published code starts again from zero, which small images do reach.
    depth = (np.where(liquid < threshold, 0, liquid) * np.float32(255)).astype(np.int64).astype(np.uint8)
    inland = cv2.distanceTransform(255 - cv2.Canny(depth, 50, 150), cv2.DIST_L2, 5)
    inland = cv2.blur(np.minimum(inland, 20), (3, 3)).astype(np.uint8)
    relief = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    shade = cv2.filter2D(cv2.equalizeHist(inland), cv2.CV_8U, relief)
    thickness = depth.astype(np.float32) * cv2.blur(shade, (3, 3))
    thickness *= np.float32(opacity / max(float(thickness.max()), 1e-6))
    return image + thickness[..., None] * np.array(WATER, dtype=np.float32)


def muddied(
    image: NDArray[np.uint8], liquid: NDArray[np.float32], *, threshold: float, edge: float
) -> NDArray[np.float32]:
    """Cover (H, W, 3) with mud where ``liquid`` (H, W) passes the threshold over a large enough patch."""
    cover = smooth((liquid > threshold).astype(np.float32), edge)
    cover[cover < 0.8] = 0
    return image * (1 - cover)[..., None] + cover[..., None] * np.array(MUD, dtype=np.float32)
