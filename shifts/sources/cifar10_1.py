"""CIFAR-10.1: new test images for CIFAR-10, chosen from Tiny Images like the first ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

_ADDRESS = "https://github.com/modestyachts/CIFAR-10.1/raw/master/datasets"
_FILES = {
    "cifar10.1_v4_data.npy": (6_208_640, "5aaedc268df8f4cffca2ac0cf9e608ae1897a8cddb630c7a850a2ea8f6558e75"),
    "cifar10.1_v4_labels.npy": (8_212, "1f9544300ded199539b6662364ce7fe6c2e1ea9f87408f06db4b1a6184cffb18"),
    "cifar10.1_v6_data.npy": (6_144_128, "2997188e5816f5bd545dc77771b6227828c28146049fcecf3fa10775474cacc6"),
    "cifar10.1_v6_labels.npy": (8_128, "ae40beda001693674edc94d925ee8268cfe68905f8f9aff800c8dcdfcd6c9448"),
}
_TITLES = {"v4": "CIFAR-10.1 v4, the larger first version", "v6": "CIFAR-10.1 v6, balanced by class"}

SOURCES.register(
    ImageSource(
        name="cifar10.1",
        title="CIFAR-10.1",
        label_space="cifar10",
        counts={"v4": (208, 212, 202, 212, 204, 218, 192, 210, 161, 202), "v6": (200,) * 10},
        files=tuple(
            RemoteFile(filename=name, urls=(f"{_ADDRESS}/{name}",), sha256=sha256, size=size)
            for name, (size, sha256) in _FILES.items()
        ),
        licence="the code is MIT; the images may be used like 80 Million Tiny Images, which they come from",
        citation="B. Recht, R. Roelofs, L. Schmidt, V. Shankar. Do CIFAR-10 Classifiers Generalize to "
        "CIFAR-10? arXiv 1806.00451, 2018.",
        homepage="https://github.com/modestyachts/CIFAR-10.1",
        layouts=("folder with cifar10.1_v6_data.npy and cifar10.1_v6_labels.npy (and those of v4)",),
        loader="shifts.sources.cifar10_1:load",
        notes="v4 and v6 share more than nine images in ten; its authors recommend v6.",
    )
)

SHIFTS.register(
    *(
        ShiftSpec(
            name=f"cifar10.1/{version}",
            title=title,
            kind="natural",
            support="unknown",
            source="cifar10.1",
            split=version,
            label_space="cifar10",
            reference="cifar10",
            groups=("class",),
        )
        for version, title in _TITLES.items()
    )
)


def load(root: Path, split: str) -> Examples:
    """One version; ids ``v6-00000`` and so on in the published order.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_arrays,), source="cifar10.1")


def _arrays(root: Path, split: str) -> Examples | None:
    from shifts.readers.arrays import array_rows, npy, row_ids
    from shifts.readers.layouts import folder_with

    folder = folder_with(root, f"cifar10.1_{split}_data.npy")
    if folder is None:
        return None
    paths = [folder / f"cifar10.1_{split}_{what}.npy" for what in ("data", "labels")]
    labels = npy(paths[1], dtype="integer", ndim=1)
    ids = row_ids(split, range(len(labels)))
    return array_rows(npy(paths[0], dtype="uint8", ndim=4), labels, paths=paths, ids=ids, side=32)
