"""Images opened by many hands: each decoded once and brought into the shapes that are wanted of it.

A chunk is cut into slices that threads take one after the other, so that all of them work on the first chunk
a model waits for, and all end at about the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from benchmark.memory import out_of_memory
from models_zoo.preprocessing import shaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import Preprocess
    from shifts.data import Examples

    Pixels = NDArray[np.uint8]

Item = TypeVar("Item")
Made = TypeVar("Made")

LEAST = 4  # images of a slice, so that handing it over costs nothing beside them
PARTS = 16  # slices of a chunk for each thread: the last ones to end are a small part of it


class Hands:
    """Threads that share the work on a chunk.

    Args:
        number: of threads.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="decode")
        self._one_chunk = Lock()  # is cut before the next one, so that its slices come first

    def spread(
        self, work: Callable[[Sequence[Item]], Sequence[Made]], items: Sequence[Item], *, parts: int = PARTS
    ) -> list[Made]:
        """What ``work`` makes of the items, one for each, in their order.

        Args:
            parts: slices for each thread, of ``LEAST`` items at least.

        Raises:
            Exception: the first that the work raised; what had not begun by then is left undone.
        """
        size = max(-(-len(items) // (parts * self._number)), LEAST)
        slices = [items[start : start + size] for start in range(0, len(items), size)]
        with self._one_chunk:
            futures = [self._pool.submit(work, some) for some in slices]
        try:
            return [one for future in futures for one in future.result()]
        finally:
            # An error goes on when nobody uses what it is about any more. What never began is not waited for:
            # nobody would say that it is done.
            wait([future for future in futures if not future.cancel()])

    def close(self) -> None:
        """Leave undone what has not begun."""
        self._pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """What is wanted of an image.

    Attributes:
        row: of the source.
        image: uint8 (H, W, 3) where it is decoded already.
        decoded: whether it is wanted as it is.
        geometries: the shapes that are wanted.
    """

    row: int
    image: Pixels | None
    decoded: bool
    geometries: tuple[Preprocess, ...]


@dataclass(slots=True, kw_only=True)
class Opened:
    """What came of an order.

    Attributes:
        decoded: uint8 (H, W, 3).
        shapes: by geometry, uint8 (h, w, 3), or why there is none.
        broken: why the image cannot be read; then there is nothing else.
    """

    decoded: Pixels | None = None
    shapes: dict[Preprocess, Pixels | Exception] = field(default_factory=dict)
    broken: Exception | None = None


def open_image(examples: Examples, order: Order, *, alone: bool) -> Opened:
    """Carry out an order.

    Args:
        alone: no other image is opened for the chunk, which could be left for later.

    Raises:
        Exception: memory ran out, and fewer images might find it.
    """
    try:
        image = examples.opened(order.row) if order.image is None else order.image
    except Exception as error:  # whatever a reader, also a user's own, raises is told of this one image
        if not alone and out_of_memory(error):
            raise
        return Opened(broken=error)  # becomes the result of the cells that need the image
    found = Opened(decoded=np.asarray(image) if order.decoded else None)
    for geometry in order.geometries:
        try:
            found.shapes[geometry] = shaped(image, geometry)
        except Exception as error:  # a size that cannot be resized fails one model's cells, not the others'
            if not alone and out_of_memory(error):
                raise
            found.shapes[geometry] = error  # raised again for the cells that need the batch
    return found
