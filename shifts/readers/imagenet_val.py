"""The validation set as ILSVRC publishes it: one flat folder or tar, and the development kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.errors import CorruptDataError
from shifts.readers.files import FolderFiles, TarFiles, open_files
from shifts.readers.folders import is_image
from shifts.readers.imagenet_tables import VAL_SIZE, val_labels, val_number, wnid_index
from shifts.readers.layouts import walk
from shifts.readers.payloads import FilePayloads
from shifts.readers.webdataset import LABEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Examples
    from shifts.readers.files import Files
    from shifts.readers.imagenet import Family

TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
DEPTH = 3  # ILSVRC/Data/CLS-LOC/val


def flat(family: Family, root: Path) -> Examples | None:
    """``ILSVRC2012_val_00000001.JPEG`` to ``…50000.JPEG`` in one folder, or in the official tar as it is.

    The classes are those of the published ground truth. Where the development kit lies below ``root``,
    its ground truth is read as well and has to say the same.

    Raises:
        CorruptDataError: another file among them, or a development kit that says otherwise.
    """
    found = _place(root)
    if found is None:
        return None
    files, folder = found
    names = [f"{folder}/{name}" if folder else name for name in files.names(folder) if is_image(name)]
    numbers = [val_number(name) for name in names]
    for name, number in zip(names, numbers, strict=True):
        if number is None:
            raise CorruptDataError(
                f"{files.where(name)} lies among validation images and is none (ILSVRC2012_val_00000001.JPEG "
                f"to {VAL_SIZE:08d})",
                hint="take the file away",
            )
    rows = np.array(numbers, dtype=np.int64) - 1
    labels = val_labels()[rows]
    truth = devkit_labels(root)
    if truth is not None and not np.array_equal(truth[rows], labels):
        row = int(np.flatnonzero(truth[rows] != labels)[0])
        raise CorruptDataError(
            f"the development kit below {root} gives {names[row]} another class than the published one",
            hint="get ILSVRC2012_devkit_t12.tar.gz again, or take it away: the classes are known without it",
        )
    return family.named(FilePayloads(files, names), labels, names)


def _place(root: Path) -> tuple[Files, str] | None:
    """Where the images lie: a folder near ``root``, or a tar in it."""
    if root.is_file():
        files = open_files(root) if root.suffix == ".tar" else None
        return (files, "") if files is not None and _holds(files, "") else None
    files = FolderFiles(root)
    level = [""]
    for _ in range(DEPTH + 2):
        for folder in level:
            if _holds(files, folder):
                return files, folder
        level = [f"{top}/{name}" if top else name for top in level for name in files.folders(top)]
        if len(level) > 100:  # class folders, not a path to a flat one
            break
    for path in walk(root, depth=2):
        if path.suffix == ".tar" and "val" in path.name.lower():
            tar = TarFiles(path)
            if _holds(tar, ""):
                return tar, ""
    return None


def _holds(files: Files, folder: str) -> bool:
    names = files.names(folder)
    labelled = any(name.endswith(LABEL) for name in names)  # a shard of webdataset, which brings its labels
    return not labelled and any(val_number(name) is not None for name in names)


def devkit_labels(root: Path) -> NDArray[np.int64] | None:
    """int64 (50000,): classes from an unpacked development kit below ``root``, or None without one.

    Line n of the ground truth is the ILSVRC2012_ID of image n, which is not the position among the sorted
    wnids; ``meta.mat`` tells the wnid of an ID (of the rows without children).

    Raises:
        CorruptDataError: the kit is incomplete or damaged.
    """
    if not root.is_dir():
        return None
    kit = next((p.parent for p in walk(root, depth=4) if p.name == TRUTH), None)
    if kit is None:
        return None
    try:
        ids = np.array((kit / TRUTH).read_text().split(), dtype=np.int64)
        table = _wnids(kit / META)
    except (OSError, ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise CorruptDataError(
            f"the development kit in {kit} cannot be read: {error}", hint="unpack it again, or take it away"
        ) from error
    index = wnid_index()
    if len(ids) != VAL_SIZE or not set(ids.tolist()) <= table.keys():
        raise CorruptDataError(
            f"{kit / TRUTH} holds {len(ids)} labels; expected {VAL_SIZE}, each an ID of {META}",
            hint="unpack the development kit again, or take it away",
        )
    return np.array([index[table[one]] for one in ids.tolist()], dtype=np.int64)


def _wnids(path: Path) -> dict[int, str]:
    """ILSVRC2012_ID → wnid of the 1000 classes."""
    from scipy.io import loadmat

    synsets: Any = loadmat(path, squeeze_me=True)["synsets"]
    return {int(row[0]): str(row[1]) for row in synsets if int(row[4]) == 0}
