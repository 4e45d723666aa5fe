"""Forward passes that fit: a batch that the memory has no room for is halved, and the run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.classifier import Classifier

# What torch says on a CPU, as a plain RuntimeError; on Linux and elsewhere.
_SAID_BY_THE_CPU = ("can't allocate memory", "not enough memory")


class Fitting:
    """Remembers for each model how many images fitted, so that later batches begin there."""

    def __init__(self) -> None:
        self._largest: dict[int, int] = {}

    def largest(self, classifier: Classifier) -> int | None:
        """Images of the largest part that a batch was cut into, None where none had to be."""
        return self._largest.get(id(classifier))

    def logits(self, classifier: Classifier, batch: torch.Tensor) -> NDArray[np.float32]:
        """float32 (B, M), in as many forward passes as the memory asks for.

        Raises:
            Exception: what the model raised, where it was no lack of memory or came with a single image.
        """
        size = self._largest.get(id(classifier), len(batch))
        found: list[NDArray[np.float32]] = []
        done = 0
        while done < len(batch):
            part = batch[done : done + size]
            # The error holds the frames, and they the tensors: retry after it is gone.
            short = False
            try:
                found.append(classifier.logits(part))
            except Exception as error:
                if len(part) == 1 or not out_of_memory(error):
                    raise
                short = True
            if short:
                size = self._largest[id(classifier)] = (len(part) + 1) // 2
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                continue
            done += len(part)
        return found[0] if len(found) == 1 else np.concatenate(found)


def out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, of the device or of the machine."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID_BY_THE_CPU)
