"""Work that fits: a batch that the memory has no room for is halved, and the run goes on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from models_zoo.classifier import begin

if TYPE_CHECKING:
    from benchmark.lineup import Entrant
    from models_zoo.classifier import Answer
    from models_zoo.devices import Shared

T = TypeVar("T")
_CPU = torch.device("cpu")

# What torch says on a CPU, as a plain RuntimeError; on Linux and elsewhere.
_SAID_BY_THE_CPU = ("can't allocate memory", "not enough memory")


class Fitting:
    """Remembers for each model how many images fitted, so that later batches begin there."""

    def __init__(self) -> None:
        self._largest: dict[int, int] = {}

    def largest(self, entrant: Entrant) -> int | None:
        """Images of the largest part that a batch was cut into, None where none had to be."""
        return self._largest.get(id(entrant))

    def begin(self, entrant: Entrant, batch: Shared) -> Answer:
        """Ask for logits float32 (B, M), in as many forward passes as the memory asks for.

        Raises:
            Exception: what the model raised, where it was no lack of memory or came with a single image.
        """
        size = self._largest.get(id(entrant), len(batch))
        found: list[Answer] = []
        done = 0
        while done < len(batch):
            number = min(size, len(batch) - done)
            # The error holds the frames, and they the tensors: retry after it is gone.
            short = False
            try:
                images = batch.on(entrant.gpu or _CPU)
                found.append(begin(entrant.classifier(), images[done : done + number]))
            except Exception as error:  # lack of memory comes as errors of several kinds, see out_of_memory
                if number == 1 or not out_of_memory(error):
                    raise
                short = True
            if short:
                size = self._largest[id(entrant)] = (number + 1) // 2
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                continue
            done += number
        return found[0] if len(found) == 1 else lambda: np.concatenate([answer() for answer in found])


def in_halves(work: Callable[[slice], Sequence[T]], number: int, *, start: int = 0) -> list[T]:
    """What work on ``number`` items gives, done in parts where the memory asks for it.

    Args:
        work: for the items of a slice, one value each.

    Raises:
        Exception: what the work raised, where it was no lack of memory or came with a single item.
    """
    try:
        return list(work(slice(start, start + number)))
    except Exception as error:  # lack of memory comes as errors of several kinds, see out_of_memory
        if number == 1 or not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
    first = number // 2
    return [
        *in_halves(work, first, start=start),
        *in_halves(work, number - first, start=start + first),
    ]


def out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, of the device or of the machine."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID_BY_THE_CPU)
