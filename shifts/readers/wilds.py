"""Shards of WILDS test sets on the Hub: ``KEY.jpg``, ``KEY.cls`` and ``KEY.npy`` with the groups."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import CorruptDataError
from shifts.readers.webdataset import Samples, beside, samples

if TYPE_CHECKING:
    from numpy.typing import NDArray


def wilds_shards(
    root: Path, called: Sequence[str], columns: Sequence[str]
) -> tuple[Samples, dict[str, NDArray[np.int64]]] | None:
    """The samples of a split with the group columns of WILDS, or None where there are no such shards.

    Args:
        called: what the split is called, as for ``webdataset.samples``.
        columns: what the numbers in every ``.npy`` are, in their order; ``"y"`` is the label.

    Returns:
        Samples, and each column as int64 (N,).

    Raises:
        CorruptDataError: a sample without its numbers, or whose label is not the one among them.
    """
    found = samples(root, called)
    if found is None:
        return None
    rows = []
    for number, content in enumerate(beside(found, ".npy")):
        try:
            values = np.load(io.BytesIO(content), allow_pickle=False).reshape(-1)
        except (ValueError, OSError, EOFError) as error:
            raise CorruptDataError(
                f"{found.payloads.where(number)}: the .npy beside it cannot be read: {error}",
                hint="get the shard again",
            ) from error
        if len(values) < len(columns) or values.dtype.kind not in "iu":
            raise CorruptDataError(
                f"{found.payloads.where(number)}: the .npy beside it holds {values.tolist()}, not whole "
                f"numbers for {', '.join(columns)}",
                hint="get the shard again",
            )
        rows.append(values[: len(columns)].astype(np.int64))
    table = dict(zip(columns, np.stack(rows).T, strict=True))
    wrong = np.flatnonzero(table["y"] != found.labels)
    if len(wrong):
        row = int(wrong[0])
        raise CorruptDataError(
            f"{found.payloads.where(row)}: its .cls says {found.labels[row]}, its .npy {table['y'][row]}",
            hint="get the shard again",
        )
    return found, table
