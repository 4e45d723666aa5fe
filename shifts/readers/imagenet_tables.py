"""The classes of ImageNet-1k and the class of each of its validation images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DATA = Path(__file__).resolve().parent.parent / "sources" / "data"
VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})(?:_(n\d{8}))?")
VAL_SIZE = 50_000


@cache
def class_table() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The 1000 wnids in ASCII order, and OpenAI's class names for prompts.

    >>> class_table()[0][0], class_table()[1][0]
    ('n01440764', 'tench')
    """
    lines = (DATA / "imagenet_classes.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


@cache
def wnid_index() -> dict[str, int]:
    """wnid → position among the 1000 sorted wnids.

    Class names repeat (crane, maillot), so nothing is ever mapped by name.
    """
    return {wnid: index for index, wnid in enumerate(class_table()[0])}


@cache
def val_labels() -> NDArray[np.int64]:
    """int64 (50000,): the class of ``ILSVRC2012_val_00000001`` to ``ILSVRC2012_val_00050000``.

    >>> val_labels()[[0, 10, 30, 40]].tolist()
    [65, 109, 324, 516]
    """
    import numpy as np

    with np.load(DATA / "imagenet_val_labels.npz", allow_pickle=False) as archive:
        return np.asarray(archive["labels"], dtype=np.int64)


@cache
def real_labels() -> tuple[tuple[int, ...], ...]:
    """For each of the 50,000 validation images the labels that ImageNet-ReaL accepts; 3,163 have none.

    >>> real_labels()[:3]
    ((), (970, 795), (230, 231))
    """
    import numpy as np

    with np.load(DATA / "imagenet_real_labels.npz", allow_pickle=False) as archive:
        ends = np.cumsum(archive["sizes"], dtype=np.int64)
        flat = archive["labels"].tolist()
    return tuple(tuple(flat[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True))


def val_number(name: str) -> int | None:
    """The number of a validation image from its file's name (1 to 50000), or None where it has none.

    >>> val_number("val/n01751748/ILSVRC2012_val_00000001.JPEG"), val_number("cat.png")
    (1, None)
    """
    found = VAL_NAME.search(name)
    if found is None:
        return None
    number = int(found.group(1))
    return number if 1 <= number <= VAL_SIZE else None


def numbers_of(ids: Sequence[str]) -> list[int | None]:
    """Numbers of validation images from example ids."""
    return [val_number(name) for name in ids]
