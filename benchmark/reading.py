"""Images on their way to the models: decoded, prepared or from the cache, ahead of the models by threads.

An image is decoded where a perturbation, or a geometry that is not in the cache, needs it, and at most once.
"""

from __future__ import annotations

import os
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.chunks import NOTHING, RAW, Chunk, Prepared, Wanted, cut_along
from benchmark.image_cache import Kept, among, key_of, look_up
from benchmark.image_filling import Filling
from benchmark.memory import out_of_memory
from benchmark.opening import Hands, Opened, Order, open_image
from models_zoo.devices import room
from models_zoo.preprocessing import stacked
from shifts.allocation import keep_freed_memory
from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import Preprocess
    from shifts.data import Examples

    Pixels = NDArray[np.uint8]
    Decoder = Callable[[Sequence[bytes | Pixels]], Sequence[Pixels | None]]
    Positions = NDArray[np.int64]
    Mask = NDArray[np.bool_]

MOST_WORKERS = 16
IN_TURNS = 0  # as a number of workers: all cores decode, then all cores run the networks
CHUNKS_AHEAD = 4  # that are read or wait while the models work
# Images of a turn at most. The C library keeps no block above 32 MiB for the next ones (shifts.allocation).
# 256 images of 224 × 224 are more: to fault their memory in anew would double the time of reading them.
TURN = 128


def workers_for(devices: Iterable[str]) -> int:
    """How many threads should decode for models on these devices.

    Beside an accelerator all cores but the one that feeds it. Where networks run on the cores,
    ``IN_TURNS``: a thread that decodes beside them takes a core from one of torch's threads, and the others
    wait for that one at the end of each layer. How many threads torch takes is left to it (all cores, or what
    ``OMP_NUM_THREADS`` says), since another number would move the last bits of a logit.

    Args:
        devices: as ``Classifier.device_name`` says.
    """
    cores = _cores()
    if any(device.startswith(("cuda", "mps")) for device in devices):
        return max(min(cores - 1, MOST_WORKERS), 1)
    return IN_TURNS


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Reader:
    """Reads what a pass needs, chunk by chunk.

    Args:
        examples: the split of the source.
        content: its content digest.
        decoded: rows that perturbations need.
        geometries: rows that models need as they are, by geometry.
        cached: take images that are in the cache.
        fill: put into it what is not.
        pin: keep prepared images where a GPU copies them from while it works.
        decoder: decodes what it can of a list of files; the rest is decoded here.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        content: str,
        decoded: Wanted,
        geometries: Mapping[Preprocess, Wanted],
        cached: bool,
        fill: bool,
        pin: bool = False,
        decoder: Decoder | None = None,
    ) -> None:
        self._pin, self._decoder = pin, decoder
        self._examples, self._decoded, self._geometries = examples, decoded, geometries
        self._kept: dict[Preprocess, Kept] = {}
        self._filling: dict[Preprocess, Filling] = {}
        self.wanted = Wanted.union([decoded, *geometries.values()])
        if not cached or not len(self.wanted.now):
            return
        if not _encoded(examples, int(self.wanted.now[0])):
            return
        # Decoded images of one size serve every perturbation and every geometry.
        self._raw = Wanted.union([decoded, geometries.get(RAW, NOTHING)])
        for geometry, wanted in {**geometries, RAW: self._raw}.items():
            if not len(wanted.now):
                continue
            key = key_of(content, examples.ids, geometry)
            kept = look_up(key, wanted.now)
            if kept is not None:
                self._kept[geometry] = kept
            elif fill and len(wanted.now) == len(wanted.ever):
                self._filling[geometry] = Filling(key, wanted.ever)

    def chunks(self, size: int, *, workers: int, grid: Positions | None = None) -> Iterator[Chunk]:
        """All rows that are needed, in order, up to ``size`` at a time.

        What the memory has no room for comes in smaller chunks.

        Args:
            workers: threads that read ahead; or ``IN_TURNS``, then nobody reads while the caller works.
            grid: as for ``cut_along``; None takes the rows that were ever needed.
        """
        keep_freed_memory()
        in_turns = workers == IN_TURNS
        most, size = (1, min(size, TURN)) if in_turns else (CHUNKS_AHEAD, size)
        parts = deque(cut_along(self.wanted.ever if grid is None else grid, self.wanted.now, size=size))
        hands = Hands(_cores() if in_turns else workers)
        with ThreadPoolExecutor(most, thread_name_prefix="read") as pool:
            ahead: deque[tuple[Positions, Future[Chunk]]] = deque()
            try:
                while parts or ahead:
                    while parts and len(ahead) < most:
                        part = parts.popleft()
                        ahead.append((part, pool.submit(self._read, part, hands)))
                    part, future = ahead.popleft()
                    chunk = self._arrived(part, future)
                    if chunk is None:
                        # What others hold is the memory that lacks: they begin again, after this one.
                        for _, waiting in ahead:
                            waiting.cancel()
                        parts.extendleft(reversed([*np.array_split(part, 2), *(later for later, _ in ahead)]))
                        ahead.clear()
                    else:
                        yield chunk
            finally:
                for _, future in ahead:
                    future.cancel()
                hands.close()

    def _arrived(self, part: Positions, future: Future[Chunk]) -> Chunk | None:
        """What was read, or None where there was no memory for it and it can be cut."""
        try:
            return future.result()
        except Exception as error:
            if len(part) == 1 or not out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)
        for filling in self._filling.values():  # some images will come twice
            filling.give_up()
        return None

    def close(self) -> None:
        """What was filled whole becomes part of the cache, the rest is forgotten."""
        for filling in self._filling.values():
            filling.close()

    def _read(self, positions: Positions, hands: Hands) -> Chunk:
        chunk = Chunk(positions=positions, hands=hands)
        perturbed = among(positions, self._decoded.now)
        decode = perturbed.copy()
        cold: dict[Preprocess, Mask] = {}
        for geometry, wanted in self._geometries.items():
            mask = among(positions, wanted.now)
            if not mask.any():
                continue
            ready = self._from_cache(geometry, positions[mask], hands)
            if ready is None:
                cold[geometry] = mask
                decode |= mask
            else:
                batch = ready.permute(0, 3, 1, 2)
                chunk.prepared[geometry] = Prepared(positions=positions[mask], batch=batch)
        if decode.any():
            self._decode(chunk, decode, perturbed=perturbed, cold=cold)
        return chunk

    def _from_cache(self, geometry: Preprocess, positions: Positions, hands: Hands) -> torch.Tensor | None:
        """Images (B, h, w, 3) from the cache, or None; a damaged entry is removed and not asked again."""
        kept = self._kept.get(geometry)
        if kept is None or not among(positions, kept.rows).all():
            return None
        found = room((len(positions), *kept.shape), pinned=self._pin and geometry in self._geometries)
        into = found.numpy()

        def read(places: Sequence[int]) -> Sequence[None]:
            some = slice(places[0], places[-1] + 1)
            kept.read(positions[some], into[some])
            return [None] * len(places)

        try:
            hands.spread(read, range(len(positions)))
        except CorruptDataError:
            self._kept.pop(geometry, None)
            kept.drop()
            return None
        return found

    def _decode(
        self, chunk: Chunk, wanted: Mask, *, perturbed: Mask, cold: Mapping[Preprocess, Mask]
    ) -> None:
        """Decode images and bring each into its shapes at once: whole images are not held for that.

        What cannot be read goes to the chunk's ``broken``.

        Args:
            wanted: places in the chunk.
            perturbed: those of them that are wanted decoded.
            cold: those of them that are wanted in a geometry.
        """
        places = np.flatnonzero(wanted).tolist()
        kept = self._from_cache(RAW, chunk.positions[wanted], chunk.hands)
        fill = kept is None and RAW in self._filling
        ready = self._decoded_elsewhere(chunk, places) if kept is None else list(kept.numpy())
        orders = [
            Order(
                row=int(chunk.positions[place]),
                image=ready[number] if ready else None,
                decoded=fill or bool(perturbed[place]),
                geometries=tuple(geometry for geometry, mask in cold.items() if mask[place]),
            )
            for number, place in enumerate(places)
        ]
        alone = len(orders) == 1

        def opened(some: Sequence[Order]) -> list[Opened]:
            return [open_image(self._examples, order, alone=alone) for order in some]

        found = dict(zip(places, chunk.hands.spread(opened, orders), strict=True))
        chunk.broken = {place: one.broken for place, one in found.items() if one.broken is not None}
        decoded = {place: one.decoded for place, one in found.items() if one.decoded is not None}
        if fill:
            self._fill_decoded(chunk, decoded)
        chunk.images = {place: image for place, image in decoded.items() if perturbed[place]}
        for geometry in cold:
            readable = [place for place, one in found.items() if geometry in one.shapes]
            if readable:
                shapes = [found[place].shapes[geometry] for place in readable]
                self._prepare(chunk, geometry, chunk.positions[readable], shapes)

    def _decoded_elsewhere(self, chunk: Chunk, places: Sequence[int]) -> Sequence[Pixels | None]:
        """What the decoder makes of the files; nothing where there is none, or a file cannot be read."""
        if self._decoder is None:
            return []
        try:
            return self._decoder([self._examples.payloads[int(chunk.positions[place])] for place in places])
        except (OSError, CorruptDataError):
            return []  # read one by one, the file is told that cannot be

    def _fill_decoded(self, chunk: Chunk, images: Mapping[int, Pixels]) -> None:
        """Decoded images go into the cache only where all have one size."""
        places = np.fromiter(images, dtype=np.int64, count=len(images))
        places = places[among(chunk.positions[places], self._raw.ever)]
        shapes = {images[place].shape for place in places.tolist()}
        if len(shapes) > 1:
            self._filling[RAW].give_up()
        elif shapes:
            stacked = np.stack([images[place] for place in places.tolist()])
            self._filling[RAW].put(chunk.positions[places], stacked)

    def _prepare(
        self, chunk: Chunk, geometry: Preprocess, positions: Positions, shapes: Sequence[Pixels | Exception]
    ) -> None:
        batch: torch.Tensor | Exception
        try:
            batch = stacked(_all_there(shapes), pinned=self._pin)
        except Exception as error:
            if len(shapes) > 1 and out_of_memory(error):
                raise
            batch = error  # raised again for the cells that need the batch
        chunk.prepared[geometry] = Prepared(positions=positions, batch=batch)
        if geometry != RAW and geometry in self._filling and not isinstance(batch, Exception):
            self._filling[geometry].put(positions, batch.permute(0, 2, 3, 1).numpy())


def _all_there(shapes: Sequence[Pixels | Exception]) -> list[Pixels]:
    """The shapes of a batch.

    Raises:
        Exception: why there is no such shape of one of the images.
    """
    found = []
    for shape in shapes:
        if isinstance(shape, Exception):
            raise shape
        found.append(shape)
    return found


def _encoded(examples: Examples, row: int) -> bool:
    """Whether the source holds files to decode, not pixels. What cannot be read fails where it is used."""
    try:
        return not isinstance(examples.payloads[row], np.ndarray)
    except Exception:  # noqa: BLE001 - raised again for the cells that need the image
        return True
