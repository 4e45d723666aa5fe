"""CIFAR-100-C as published (arrays on disk), and the same corruptions generated here from CIFAR-100."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.perturbations.corruption_sets import HENDRYCKS, SPLITS, corruption_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SOURCES.register(
    ImageSource(
        name="cifar100-c",
        title="CIFAR-100-C",
        label_space="cifar100",
        counts=dict.fromkeys(SPLITS, (100,) * 100),
        files=(
            RemoteFile(
                filename="CIFAR-100-C.tar",
                urls=("https://zenodo.org/records/3555552/files/CIFAR-100-C.tar?download=1",),
                md5="11f0ed0f1191edbf9fa23466ae6021d3",
                size=2_918_473_216,
            ),
        ),
        licence="CC BY 4.0 as far as known; the images are those of CIFAR-100",
        citation=HENDRYCKS,
        homepage="https://github.com/hendrycks/robustness",
        layouts=("CIFAR-100-C.tar, or its folder with labels.npy and gaussian_noise.npy, fog.npy, ...",),
        loader="shifts.sources.cifar100_c:load",
        notes="Every array holds five times the 10,000 test images, severity 1 first.",
    )
)

SHIFTS.register(
    *corruption_shifts(
        "cifar100-c",
        clean="cifar100",
        split="test",
        label_space="cifar100",
        profile="cifar",
        mean="not part of the mean over 15",
        citation=HENDRYCKS,
    )
)


def load(root: Path, split: str) -> Examples:
    """One corruption at one severity, mapped from its file; ids are those of the CIFAR-100 test set.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.cifar_c import corrupted
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (corrupted,), source="cifar100-c")
