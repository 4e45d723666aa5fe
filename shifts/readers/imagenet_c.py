"""Copies of the validation set by the million: ``CORRUPTION/SEVERITY/WNID/ILSVRC2012_val_00000293.JPEG``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Examples
from shifts.errors import CorruptDataError
from shifts.readers.files import FolderFiles
from shifts.readers.imagenet_tables import VAL_SIZE, class_table, val_labels, val_number, wnid_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DEPTH = 2  # below an archive's folder, below a folder of the user's own


class ValCopies:
    """Validation images under their own names in class folders.

    A name is made when its image is read: 95 splits of 50,000 names would not fit into memory well.

    Args:
        base: the folder that holds the class folders, relative to the root.
        numbers: int64 (N,), of the validation images.
    """

    def __init__(self, files: FolderFiles, base: str, numbers: NDArray[np.int64]) -> None:
        self._files, self._base, self._numbers = files, base, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> bytes:
        return self._files.read(self._name(index))

    def where(self, index: int) -> str:
        return self._files.where(self._name(index))

    def paths(self) -> list[Path]:
        """The class folders: which files they hold is watched, not each of the files."""
        labels = np.unique(val_labels()[self._numbers - 1]).tolist()
        return self._files.paths([f"{self._base}/{class_table()[0][label]}" for label in labels])

    def _name(self, index: int) -> str:
        number = int(self._numbers[index])
        return f"{self._base}/{class_table()[0][val_labels()[number - 1]]}/{_file(number)}"


def folders(root: Path, split: str) -> Examples | None:
    """One corruption at one severity, or None where its folder is not there.

    Raises:
        CorruptDataError: a file that is no validation image, or one in the folder of another class.
    """
    if not root.is_dir():
        return None
    name, _, severity = split.rpartition("-")
    files = FolderFiles(root)
    base = _base(files, f"{name.replace('-', '_')}/{severity}")
    if base is None:
        return None
    index = wnid_index()
    numbers: list[int] = []
    for folder in files.folders(base):
        inside = files.names(f"{base}/{folder}")
        if folder not in index:
            raise CorruptDataError(
                f"{files.where(f'{base}/{folder}')} is none of the 1000 classes", hint="take the folder away"
            )
        numbers += _numbers(files, f"{base}/{folder}", inside, index[folder])
    if not numbers:
        return None
    found = np.array(sorted(numbers), dtype=np.int64)
    return Examples(
        payloads=ValCopies(files, base, found),
        labels=val_labels()[found - 1],
        ids=[_ids()[number - 1] for number in found.tolist()],
    )


def _numbers(files: FolderFiles, folder: str, names: Sequence[str], label: int) -> list[int]:
    numbers = []
    for name in names:
        number = val_number(name)
        if number is None or name != _file(number):
            raise CorruptDataError(
                f"{files.where(f'{folder}/{name}')} is not named like a validation image "
                "(ILSVRC2012_val_00000001.JPEG)",
                hint="take the file away, or get the archive again",
            )
        if int(val_labels()[number - 1]) != label:
            raise CorruptDataError(
                f"{files.where(f'{folder}/{name}')} is an image of "
                f"{class_table()[0][val_labels()[number - 1]]}: folders were swapped or files moved",
                hint="put the files back, or unpack the archive again",
            )
        numbers.append(number)
    return numbers


def _base(files: FolderFiles, wanted: str) -> str | None:
    level = [""]
    for _ in range(DEPTH + 1):
        for top in level:
            base = f"{top}/{wanted}" if top else wanted
            if files.folders(base):
                return base
        if len(level) > 100:
            break  # class folders lie here, not archives
        level = [f"{top}/{name}" if top else name for top in level for name in files.folders(top)]
    return None


def _file(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}.JPEG"


@cache
def _ids() -> tuple[str, ...]:
    """The 50,000 ids, made once: the splits share them."""
    return tuple(f"ILSVRC2012_val_{number:08d}" for number in range(1, VAL_SIZE + 1))
