"""Stanford Cars: makes, models and years."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# In the order of the published class numbers, named as in the prompts of Radford et al. 2021.
CLASSES = listed_names("stanford_cars")
# Annotations and folder of images of each split.
_PLACES = {
    "train": ("cars_train_annos.mat", "cars_train"),
    "test": ("cars_test_annos_withlabels.mat", "cars_test"),
}
_GONE = "its first address is gone; copies are kept by others"

LABEL_SPACES.register(
    LabelSpace(
        name="stanford-cars",
        class_names=CLASSES,
        templates=(
            "a photo of a {}.",
            "a photo of the {}.",
            "a photo of my {}.",
            "i love my {}!",
            "a photo of my dirty {}.",
            "a photo of my clean {}.",
            "a photo of my new {}.",
            "a photo of my old {}.",
        ),
    )
)

SOURCES.register(
    ImageSource(
        name="stanford-cars",
        title="Stanford Cars",
        label_space="stanford-cars",
        counts={"test": (None,) * 196, "train": (None,) * 196},
        totals={"test": 8041, "train": 8144},
        files=tuple(
            RemoteFile(filename=name, sha256=sha256, size=size, how=_GONE)
            for name, size, sha256 in (
                (
                    "cars_train.tgz",
                    979_269_282,
                    "512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288",
                ),
                (
                    "cars_test.tgz",
                    977_350_468,
                    "bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243",
                ),
                (
                    "car_devkit.tgz",
                    330_960,
                    "b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd",
                ),
                (
                    "cars_test_annos_withlabels.mat",
                    185_758,
                    "790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05",
                ),
            )
        ),
        licence="not stated; used for research with citation",
        citation="J. Krause, M. Stark, J. Deng and L. Fei-Fei. 3D Object Representations for Fine-Grained "
        "Categorization. 3dRR 2013.",
        homepage="https://github.com/pytorch/vision/issues/7545",
        layouts=(
            "a folder with cars_test, cars_train, devkit/cars_train_annos.mat and "
            "cars_test_annos_withlabels.mat, as torchvision has it",
        ),
        loader="shifts.sources.stanford_cars:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="stanford-cars",
        title="Stanford Cars test set",
        kind="reference",
        support="in",
        source="stanford-cars",
        split="test",
        label_space="stanford-cars",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``test/00001`` and so on, the published numbers.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_published,), source="stanford-cars")


def _published(root: Path, split: str) -> Examples | None:
    """An array ``annotations`` of structures with ``fname`` and ``class``, from 1."""
    import numpy as np

    from shifts.data import Examples
    from shifts.errors import CorruptDataError
    from shifts.readers.files import FolderFiles
    from shifts.readers.layouts import folder_with
    from shifts.readers.mat import mat_arrays
    from shifts.readers.payloads import FilePayloads

    table, images = _PLACES[split]
    folder = folder_with(root, table, depth=3) if root.is_dir() else None
    below = None if folder is None else _folder(folder, images)
    if folder is None or below is None:
        return None
    path = folder / table
    rows = mat_arrays(path, "annotations")["annotations"]
    if rows.dtype.names is None or not {"fname", "class"} <= set(rows.dtype.names):
        raise CorruptDataError(f"{path}: the annotations have no fname and class", hint="get the file again")
    names = [str(name) for name in rows["fname"].tolist()]
    return Examples(
        payloads=FilePayloads(FolderFiles(below), names, beside=[path]),
        labels=np.array([int(one) - 1 for one in rows["class"].tolist()], dtype=np.int64),
        # Both splits count from 00001.
        ids=[f"{split}/{name.rpartition('.')[0]}" for name in names],
    )


def _folder(beside: Path, name: str) -> Path | None:
    """The folder of the images: beside the annotations, or above the devkit that holds them."""
    return next((place for place in (beside / name, beside.parent / name) if place.is_dir()), None)
