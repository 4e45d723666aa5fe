"""What the models of a pass see of a chunk: its images as they are, or perturbed and then prepared.

The threads that open images perturb and resize them as well: every image by itself, so that how they share
the work moves no pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from benchmark.memory import in_halves, out_of_memory
from benchmark.track import Stream, contained, places_of
from models_zoo.preprocessing import prepare_there, shaped, stacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.chunks import Chunk
    from benchmark.opening import Hands
    from benchmark.track import Track
    from models_zoo.spec import Preprocess

    Pixels = NDArray[np.uint8]
    Positions = NDArray[np.int64]

# Of a batch for each thread: what a perturbation does for many small images at once takes a fraction of the
# time that it takes for one after the other.
PARTS = 2


def batches_of(stream: Stream, chunk: Chunk) -> Iterator[tuple[list[list[Track]], torch.Tensor, Positions]]:
    """The models of a stream by geometry, each time with what they see and the rows it belongs to."""
    rows = places_of(stream.tracks, chunk.positions)
    if not len(rows):
        return
    seen: Sequence[Any] | None = None
    if stream.perturbed:
        images, positions = [chunk.images[row] for row in rows.tolist()], chunk.positions[rows]
        seen = in_halves(
            lambda part: _perturbed(stream, images[part], positions[part], chunk.hands), len(rows)
        )
    for geometry, models in stream.geometries.items():
        tracks = [track for of_model in models for track in of_model]
        own = chunk.positions[places_of(tracks, chunk.positions) if seen is None else rows]
        if not len(own):
            continue
        with contained(tracks):
            if seen is None:
                yield models, chunk.batch(geometry, own), own
                continue
            pinned = any(track.entrant.gpu is not None for track in tracks)
            for part, batch in _prepared(seen, geometry, chunk.hands, pinned=pinned):
                yield models, batch, own[part]


def _perturbed(stream: Stream, images: Sequence[Pixels], positions: Positions, hands: Hands) -> Sequence[Any]:
    """Perturbed images of some rows: arrays uint8 (H, W, 3), or tensors on the models' device."""
    if stream.on_device:
        return stream.perturb_there(images, positions)

    def work(some: Sequence[int]) -> Sequence[Pixels]:
        part = slice(some[0], some[-1] + 1)
        return stream.shift.perturb(images[part], positions[part])

    return hands.spread(work, range(len(images)), parts=PARTS)


def _prepared(
    images: Sequence[Any], geometry: Preprocess, hands: Hands, *, pinned: bool, start: int = 0
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Prepared images in one batch, or in as many as the memory asks for, each with its place.

    Args:
        images: B arrays uint8 (H, W, 3), or tensors on a device, which stay there where nothing is resized.
    """
    try:
        batch = _batch(images, geometry, hands, pinned=pinned)
    except Exception as error:  # lack of memory comes as errors of several kinds, see out_of_memory
        if len(images) == 1 or not out_of_memory(error):
            raise
        batch = None
    if batch is not None:
        yield slice(start, start + len(images)), batch
        return
    half = len(images) // 2
    yield from _prepared(images[:half], geometry, hands, pinned=pinned, start=start)
    yield from _prepared(images[half:], geometry, hands, pinned=pinned, start=start + half)


def _batch(images: Sequence[Any], geometry: Preprocess, hands: Hands, *, pinned: bool) -> torch.Tensor:
    if torch.is_tensor(images[0]):
        return prepare_there(images, geometry)

    def work(some: Sequence[Pixels]) -> Sequence[Pixels]:
        return [shaped(image, geometry) for image in some]

    return stacked(hands.spread(work, images), pinned=pinned)
