"""CIFAR-10-C as published (arrays on disk), and the same corruptions generated here from CIFAR-10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.perturbations.corruption_sets import HENDRYCKS, SPLITS, corruption_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SOURCES.register(
    ImageSource(
        name="cifar10-c",
        title="CIFAR-10-C",
        label_space="cifar10",
        counts=dict.fromkeys(SPLITS, (1000,) * 10),
        files=(
            RemoteFile(
                filename="CIFAR-10-C.tar",
                urls=("https://zenodo.org/records/2535967/files/CIFAR-10-C.tar?download=1",),
                sha256="c72763e101c723b7c507b96205f7e938912a5d587376173b825850cf3cb876a7",
                md5="56bf5dcef84df0e2308c6dcbcbbd8499",
                size=2_918_471_680,
            ),
        ),
        licence="CC BY 4.0 as far as known; the images are those of CIFAR-10",
        citation=HENDRYCKS,
        homepage="https://github.com/hendrycks/robustness",
        layouts=("CIFAR-10-C.tar, or its folder with labels.npy and gaussian_noise.npy, fog.npy, ...",),
        loader="shifts.sources.cifar10_c:load",
        notes="Every array holds five times the 10,000 test images, severity 1 first.",
    )
)


SHIFTS.register(
    *corruption_shifts(
        "cifar10-c",
        clean="cifar10",
        split="test",
        label_space="cifar10",
        profile="cifar",
        mean="not part of the mean over 15",
        citation=HENDRYCKS,
    )
)


def load(root: Path, split: str) -> Examples:
    """One corruption at one severity, mapped from its file; ids are those of the CIFAR-10 test set.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_arrays,), source="cifar10-c")


def _arrays(root: Path, split: str) -> Examples | None:
    from shifts.readers.cifar_c import corrupted
    from shifts.readers.cifar_order import official_test_labels

    return corrupted(root, split, clean=official_test_labels())
