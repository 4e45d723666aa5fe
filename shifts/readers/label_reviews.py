"""What reviewers said of labels: the files of "Pervasive Label Errors in Test Sets" (Northcutt et al. 2021).

``NAME_mturk.json`` of cleanlab/label-errors is a list of objects, one for each test image whose label an
algorithm doubted: ``id``, the image's place in the test set; ``given_original_label`` and
``our_guessed_label``, numbers of classes; and ``mturk``, how many of five workers saw the ``given`` label,
the ``guessed`` one, ``both`` or ``neither``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONSENSUS = 3  # of five workers (Section 4: "the majority of reviewers")
VOTES = ("given", "guessed", "neither", "both")
_LARGEST = 64 * 2**20  # bytes; the largest that is published has 2


def reviewed_labels(
    path: Path, labels: NDArray[np.int64], *, num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The labels after the review, and where the original ones are wrong.

    A label is wrong where fewer than ``CONSENSUS`` workers saw it alone. It is corrected where as many saw
    the guessed one alone; where they saw both, neither, or did not agree, no single label is right.

    Args:
        path: the file.
        labels: int64 (N,), the original labels in the order of the test set.
        num_classes: how many classes there are.

    Returns:
        int64 (N,), -1 where no single label is right; and bool (N,).

    Raises:
        CorruptDataError: no such file, or one about other labels.
    """
    new, wrong = labels.copy(), np.zeros(len(labels), dtype=np.bool_)
    seen: set[int] = set()
    for number, entry in enumerate(_entries(path)):
        try:
            row, given, guessed = (int(entry[key]) for key in _KEYS)
            votes = [int(entry["mturk"][key]) for key in VOTES]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptDataError(f"{path}, entry {number}: no review ({error!r})", hint=_MEND) from error
        if not 0 <= row < len(labels) or row in seen or labels[row] != given:
            raise CorruptDataError(
                f"{path}, entry {number}: image {row} with label {given} is not an image of this set"
                + (", or its second review" if row in seen else ""),
                hint=_MEND,
            )
        if not 0 <= guessed < num_classes or min(votes) < 0 or sum(votes) < CONSENSUS:
            raise CorruptDataError(f"{path}, entry {number}: no review of image {row}", hint=_MEND)
        seen.add(row)
        right, other, _, _ = votes
        wrong[row] = right < CONSENSUS
        if wrong[row]:
            new[row] = guessed if other >= CONSENSUS else -1
    return new, wrong


_KEYS = ("id", "given_original_label", "our_guessed_label")
_MEND = "get the file again from github.com/cleanlab/label-errors, folder mturk"


def _entries(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise CorruptDataError(f"{path} is too large for a file of reviews", hint=_MEND)
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptDataError(f"{path} is not a readable file of reviews: {error}", hint=_MEND) from error
    if not isinstance(entries, list) or not entries:
        raise CorruptDataError(f"{path} is not a list of reviews", hint=_MEND)
    return entries
