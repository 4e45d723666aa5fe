"""CIFAR-10-C as published (arrays on disk), and the same corruptions generated here from CIFAR-10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.perturbations.corruption_sets import HENDRYCKS, SPLITS, corruption_shifts
from shifts.perturbations.severities import SEVERITIES
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

PER_SEVERITY = 10_000

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
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.arrays import array_rows, npy, row_ids
    from shifts.readers.cifar_order import official_test_labels
    from shifts.readers.layouts import folder_with

    name, _, severity = split.rpartition("-")
    filename = f"{name.replace('-', '_')}.npy"
    folder = folder_with(root, filename)
    if folder is None or root.is_file():  # an array without its labels is not enough
        return None
    paths = [folder / filename, folder / "labels.npy"]
    images, labels = npy(paths[0], dtype="uint8", ndim=4), npy(paths[1], dtype="integer", ndim=1)
    expected = (PER_SEVERITY * len(SEVERITIES), 32, 32, 3)
    if images.shape != expected:
        raise CorruptDataError(f"{paths[0]} holds {images.shape}, not {expected}", hint="get the file again")
    if not np.array_equal(labels, np.tile(official_test_labels(), len(SEVERITIES))):
        raise CorruptDataError(
            f"{paths[1]} does not repeat the labels of the CIFAR-10 test set five times in their order",
            hint="get the file again; with other labels every accuracy would be wrong",
        )
    rows = slice((int(severity) - 1) * PER_SEVERITY, int(severity) * PER_SEVERITY)
    ids = row_ids("test", range(PER_SEVERITY))
    return array_rows(images[rows], labels[rows], paths=paths, ids=ids, side=32)
