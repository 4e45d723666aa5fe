"""Caltech 101: objects of a hundred and one kinds, and pictures of something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# Folder → name in the prompts of Radford et al. 2021.
_CLASSES = dict(line.split("\t") for line in listed_names("caltech101"))
CLASSES = tuple(_CLASSES.values())
TRAIN = 30  # images of each class to train on, as usual
_THINGS = (
    "a photo of {} {{}}.", "a painting of {} {{}}.", "{} plastic {{}}.", "a sculpture of {} {{}}.",
    "a sketch of {} {{}}.", "a tattoo of {} {{}}.", "{} toy {{}}.", "a rendition of {} {{}}.",
    "{} embroidered {{}}.", "{} cartoon {{}}.", "{} {{}} in a video game.", "{} plushie {{}}.",
    "{} origami {{}}.", "art of {} {{}}.", "graffiti of {} {{}}.", "a drawing of {} {{}}.",
    "a doodle of {} {{}}.",
)  # fmt: skip

LABEL_SPACES.register(
    LabelSpace(
        name="caltech101",
        class_names=CLASSES,
        templates=tuple(thing.format(article) for article in ("a", "the") for thing in _THINGS),
    )
)

SOURCES.register(
    ImageSource(
        name="caltech101",
        title="Caltech 101",
        label_space="caltech101",
        counts={"test": (None,) * 102, "train": (TRAIN,) * 102},
        files=(
            RemoteFile(
                filename="caltech-101.zip",
                md5="3138e1922a9193bfa496528edbbc45d0",
                how="from the homepage; unpack it, and add the 101_ObjectCategories.tar.gz inside",
            ),
            RemoteFile(
                filename="101_ObjectCategories.tar.gz",
                sha256="af6ece2f339791ca20f855943d8b55dd60892c0a25105fcd631ee3d6430f9926",
                size=131_740_031,
                how="inside caltech-101.zip",
            ),
        ),
        licence="CC BY 4.0 as far as known",
        citation="L. Fei-Fei, R. Fergus and P. Perona. Learning Generative Visual Models from Few Training "
        "Examples. CVPR Workshop on Generative-Model Based Vision 2004.",
        homepage="https://data.caltech.edu/records/mzrjq-6wc02",
        layouts=("101_ObjectCategories.tar.gz, or its folder with accordion and so on",),
        notes="There is no published split: thirty images of each class are to train on, chosen by a hash of "
        "their names, the others to test on. Numbers are not comparable with those on VTAB's split. The "
        "pictures of something else (BACKGROUND_Google) are a class, as there.",
        loader="shifts.sources.caltech101:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="caltech101",
        title="Caltech 101 test set",
        kind="reference",
        support="in",
        source="caltech101",
        split="test",
        label_space="caltech101",
        groups=("class",),
        reported={"balanced_accuracy": "mean accuracy per class"},
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``accordion/image_0001`` and so on, the published names.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_folders,), source="caltech101")


def _folders(root: Path, split: str) -> Examples | None:
    from shifts.readers.files import FolderFiles
    from shifts.readers.folders import class_folders, divided

    if not root.is_dir():
        return None
    folders = {folder: label for label, folder in enumerate(_CLASSES)}
    # The archive holds an empty file among the pictures of something else.
    found = class_folders(FolderFiles(root), folders, below=("101_ObjectCategories", ""), others=("tmp",))
    return None if found is None else divided(found, split, {"train": TRAIN, "test": None})
