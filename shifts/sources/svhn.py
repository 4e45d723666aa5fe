"""SVHN: digits of house numbers, cropped to 32 × 32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

CLASSES = tuple(map(str, range(10)))

LABEL_SPACES.register(
    LabelSpace(name="svhn", class_names=CLASSES, templates=('a photo of the number: "{}".',))
)

SOURCES.register(
    ImageSource(
        name="svhn",
        title="Street View House Numbers, cropped digits",
        label_space="svhn",
        counts={
            "test": (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
            "train": (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
        },
        files=tuple(
            RemoteFile(
                filename=f"{split}_32x32.mat",
                urls=(f"http://ufldl.stanford.edu/housenumbers/{split}_32x32.mat",),
                md5=md5,
            )
            for split, md5 in (
                ("test", "eb5a983be6a315427106f1b164d9cef3"),
                ("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            )
        ),
        licence="non-commercial use as far as known",
        citation="Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu and A. Y. Ng. Reading Digits in Natural "
        "Images with Unsupervised Feature Learning. NIPS Workshop on Deep Learning 2011.",
        homepage="http://ufldl.stanford.edu/housenumbers/",
        layouts=("test_32x32.mat, or a folder with it and train_32x32.mat",),
        notes="The easy extra images are not read.",
        loader="shifts.sources.svhn:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="svhn",
        title="Street View House Numbers, cropped digits test set",
        kind="reference",
        support="in",
        source="svhn",
        split="test",
        label_space="svhn",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids ``test-00000`` and so on in the published order; the digit 0, published as 10, is 0.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_matlab,), source="svhn")


def _matlab(root: Path, split: str) -> Examples | None:
    """``X`` uint8 (32, 32, 3, N) and ``y`` (N, 1)."""
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.arrays import array_rows, row_ids
    from shifts.readers.layouts import folder_with
    from shifts.readers.mat import mat_arrays, mat_integers

    folder = folder_with(root, f"{split}_32x32.mat")
    if folder is None:
        return None
    path = folder / f"{split}_32x32.mat"
    pixels, labels = mat_arrays(path, "X")["X"], mat_integers(path, "y")
    if pixels.ndim != 4 or labels.min() < 1 or labels.max() > 10:
        raise CorruptDataError(
            f"{path} holds images {pixels.shape} with labels {labels.min()} to {labels.max()}, not "
            "(32, 32, 3, N) with 1 to 10",
            hint="get the file again",
        )
    images = np.ascontiguousarray(pixels.transpose(3, 0, 1, 2))
    return array_rows(images, labels % 10, paths=[path], ids=row_ids(split, range(len(labels))), side=32)
