"""CINIC-10: CIFAR-10 together with images of the same ten classes from ImageNet, shrunk to 32 × 32.

The whole CIFAR-10 test set and 10,000 CIFAR-10 training images lie in its test split, so the shift is the
ImageNet part alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, Selection, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

ORIGINS = ("cifar10", "imagenet")
_CIFAR = re.compile(r"cifar-?10-(train|test)-\d+")
_IMAGENET = re.compile(r"n\d+_\d+")

SOURCES.register(
    ImageSource(
        name="cinic10",
        title="CINIC-10",
        label_space="cifar10",
        counts=dict.fromkeys(("test", "valid", "train"), (9_000,) * 10),
        files=(
            RemoteFile(
                filename="CINIC-10.tar.gz",
                urls=(
                    "https://datashare.ed.ac.uk/bitstreams/e8e186cc-2688-48f1-aa5a-3fda1a43f8b6/download",
                    "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz",
                ),
                md5="6ee4d0c996905fe93221de577967a372",
            ),
        ),
        licence="CC BY 4.0; the ImageNet part for non-commercial research and education",
        citation="L. N. Darlow, E. J. Crowley, A. Antoniou, A. J. Storkey. CINIC-10 is not ImageNet or "
        "CIFAR-10. arXiv 1810.03505, 2018.",
        homepage="https://github.com/BayesWatch/cinic-10",
        layouts=(
            "CINIC-10.tar.gz, or its folder {test,valid,train}/CLASS/NAME.png with the published names",
        ),
        loader="shifts.sources.cinic10:load",
        notes="Copies without the published file names cannot be used: the name alone tells which images "
        "are from CIFAR-10.",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="cinic10/imagenet",
        title="CINIC-10 test set, images from ImageNet only",
        kind="natural",
        support="unknown",
        source="cinic10",
        split="test",
        label_space="cifar10",
        reference="cifar10",
        selection=Selection(
            function="shifts.perturbations.selections:where",
            parameters={"column": "origin", "value": "imagenet"},
        ),
        groups=("class",),
        notes="For models trained on CIFAR-10; 70,000 images shrunk with a box filter, labels not vetted.",
    )
)


def load(root: Path, split: str) -> Examples:
    """A split with the attribute ``origin``; ids ``CLASS/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_folders,), source="cinic10")


def _folders(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Attribute, Examples
    from shifts.errors import CorruptDataError
    from shifts.readers.files import FolderFiles
    from shifts.readers.folders import class_folders
    from shifts.readers.payloads import FilePayloads
    from shifts.sources.cifar10 import CLASSES

    labels = {name: label for label, name in enumerate(CLASSES)}
    found = class_folders(FolderFiles(root), labels, below=(split,)) if root.is_dir() else None
    if found is None:
        return None
    origin = np.empty(len(found.stems), dtype=np.int64)
    for row, stem in enumerate(found.stems):
        name = stem.rpartition("/")[2]
        if not _CIFAR.fullmatch(name) and not _IMAGENET.fullmatch(name):
            raise CorruptDataError(
                f"{found.files.where(found.names[row])}: the name tells neither CIFAR-10 nor ImageNet "
                "(expected cifar10-test-123.png or n01234567_123.png)",
                hint="get the archive with the published names; CIFAR-10 images would be measured otherwise",
            )
        origin[row] = ORIGINS.index("cifar10" if _CIFAR.fullmatch(name) else "imagenet")
    return Examples(
        payloads=FilePayloads(found.files, found.names),
        labels=found.labels,
        ids=found.stems,
        attributes={"origin": Attribute(values=origin, names=ORIGINS)},
    )
