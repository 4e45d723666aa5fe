"""EuroSAT: kinds of land from a satellite, in RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# Folder → name in the prompts of Radford et al. 2021, and images of each.
_CLASSES = {
    "AnnualCrop": ("annual crop land", 3000),
    "Forest": ("forest", 3000),
    "HerbaceousVegetation": ("brushland or shrubland", 3000),
    "Highway": ("highway or road", 2500),
    "Industrial": ("industrial buildings or commercial buildings", 2500),
    "Pasture": ("pasture land", 2000),
    "PermanentCrop": ("permanent crop land", 2500),
    "Residential": ("residential buildings or homes or apartments", 3000),
    "River": ("river", 2500),
    "SeaLake": ("lake or sea", 3000),
}
CLASSES = tuple(name for name, _ in _CLASSES.values())
TRAIN = 0.8

LABEL_SPACES.register(
    LabelSpace(
        name="eurosat",
        class_names=CLASSES,
        templates=tuple(f"a centered satellite photo of {article}{{}}." for article in ("", "a ", "the ")),
    )
)

SOURCES.register(
    ImageSource(
        name="eurosat",
        title="EuroSAT, RGB",
        label_space="eurosat",
        counts={
            "test": tuple(number // 5 for _, number in _CLASSES.values()),
            "train": tuple(4 * number // 5 for _, number in _CLASSES.values()),
        },
        files=(
            RemoteFile(
                filename="EuroSAT.zip",
                urls=(
                    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                ),
                md5="c8fa014336c82ac7804f0398fcb19387",
            ),
        ),
        licence="MIT as far as known",
        citation="P. Helber, B. Bischke, A. Dengel and D. Borth. EuroSAT: A Novel Dataset and Deep Learning "
        "Benchmark for Land Use and Land Cover Classification. IEEE JSTARS 2019.",
        homepage="https://github.com/phelber/eurosat",
        layouts=("EuroSAT.zip, or its folder 2750 with AnnualCrop and so on",),
        notes="There is no published split: four fifths of each class are to train on, chosen by a hash of "
        "their names. Numbers are not comparable with those on VTAB's split, which follows the order of "
        "TensorFlow Datasets.",
        loader="shifts.sources.eurosat:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="eurosat",
        title="EuroSAT, RGB test set",
        kind="reference",
        support="in",
        source="eurosat",
        split="test",
        label_space="eurosat",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``AnnualCrop/AnnualCrop_1`` and so on, the published names.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_folders,), source="eurosat")


def _folders(root: Path, split: str) -> Examples | None:
    from shifts.readers.files import FolderFiles
    from shifts.readers.folders import class_folders, divided

    if not root.is_dir():
        return None
    folders = {folder: label for label, folder in enumerate(_CLASSES)}
    found = class_folders(FolderFiles(root), folders, below=("2750", ""))
    return None if found is None else divided(found, split, {"train": TRAIN, "test": None})
