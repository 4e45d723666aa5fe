"""The corrupted CIFAR sets: an array for each corruption, with the test set at five severities in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import CorruptDataError
from shifts.perturbations.severities import SEVERITIES
from shifts.readers.arrays import array_rows, npy, row_ids
from shifts.readers.layouts import folder_with

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Examples

PER_SEVERITY = 10_000
_MEND = "get the file again; with other labels every accuracy would be wrong"


def corrupted(root: Path, split: str, *, clean: NDArray[np.int64] | None = None) -> Examples | None:
    """One corruption at one severity, mapped from ``fog.npy`` beside ``labels.npy``; None without them.

    Args:
        split: the corruption and the severity, ``fog-3``.
        clean: int64 (10000,), the labels of the test set in its order, where they are known.

    Raises:
        CorruptDataError: another shape, or labels that are not five times those of a test set.
    """
    name, _, severity = split.rpartition("-")
    filename = f"{name.replace('-', '_')}.npy"
    folder = folder_with(root, filename)
    if folder is None or root.is_file():  # an array without its labels is not enough
        return None
    paths = [folder / filename, folder / "labels.npy"]
    images, labels = npy(paths[0], dtype="uint8", ndim=4), npy(paths[1], dtype="integer", ndim=1)
    expected = (PER_SEVERITY * len(SEVERITIES), 32, 32, 3)
    if images.shape != expected:
        raise CorruptDataError(f"{paths[0]} holds {images.shape}, not {expected}", hint="get the file again")
    once = labels[:PER_SEVERITY] if clean is None else clean
    if not np.array_equal(labels, np.tile(once, len(SEVERITIES))):
        raise CorruptDataError(
            f"{paths[1]} does not repeat the labels of the test set five times in their order", hint=_MEND
        )
    rows = slice((int(severity) - 1) * PER_SEVERITY, int(severity) * PER_SEVERITY)
    ids = row_ids("test", range(PER_SEVERITY))
    return array_rows(images[rows], labels[rows], paths=paths, ids=ids, side=32)
