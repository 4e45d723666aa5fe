"""Images named by lists: a text file with a line for each image of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEND = "get the list again, as published"


def lines_of(path: Path) -> list[str]:
    """The lines of a list without empty ones and without space around them.

    Raises:
        CorruptDataError: no such file, no text, or empty.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{path} is not a readable list: {error}", hint=MEND) from error
    lines = [line for line in lines if line]
    if not lines:
        raise CorruptDataError(f"{path} is empty", hint=MEND)
    return lines


def labels_by_word(path: Path, words: Sequence[str], classes: Mapping[str, int]) -> NDArray[np.int64]:
    """The labels int64 (N,) of the words that a list gives for its images.

    Args:
        path: the list, for a message.
        words: N names of classes, as the list writes them.
        classes: name → label.

    Raises:
        CorruptDataError: names the first word that is no class.
    """
    for row, word in enumerate(words):
        if word not in classes:
            raise CorruptDataError(
                f"{path}, line {row + 1}: {word!r} is none of the {len(classes)} classes "
                f"({', '.join(list(classes)[:3])}, ...)",
                hint=MEND,
            )
    return np.array([classes[word] for word in words], dtype=np.int64)
