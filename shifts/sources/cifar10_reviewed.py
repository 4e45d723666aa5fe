"""The CIFAR-10 test set with the label errors that five reviewers confirmed corrected, or left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.sources.cifar10 import FILES, KRIZHEVSKY
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

REVIEWS = "cifar10_mturk.json"
_REVISION = "5457895eee26e49187de5c4d6617b9de6f172221"
NORTHCUTT = (
    "C. G. Northcutt, A. Athalye and J. Mueller. Pervasive Label Errors in Test Sets Destabilize Machine "
    "Learning Benchmarks. NeurIPS Datasets and Benchmarks, 2021."
)
CORRECTED, WITHOUT = "corrected", "without-label-errors"

SOURCES.register(
    ImageSource(
        name="cifar10-reviewed",
        title="CIFAR-10 test set with reviewed labels",
        label_space="cifar10",
        # As the published reviews give them: of 275 doubted labels 54 are wrong (Table 1 of the paper), 18 of
        # these can be corrected.
        counts={
            CORRECTED: (994, 993, 997, 986, 995, 1001, 1000, 999, 1001, 998),
            WITHOUT: (994, 993, 996, 983, 993, 997, 999, 997, 998, 996),
        },
        files=(
            *FILES,
            RemoteFile(
                filename=REVIEWS,
                urls=(
                    f"https://raw.githubusercontent.com/cleanlab/label-errors/{_REVISION}/mturk/{REVIEWS}",
                ),
            ),
        ),
        licence="images: not stated, as CIFAR-10; reviews: GPL-3.0",
        citation=f"{NORTHCUTT} {KRIZHEVSKY}",
        homepage="https://github.com/cleanlab/label-errors",
        layouts=(f"a folder with CIFAR-10 in a layout of its own and {REVIEWS}",),
        loader="shifts.sources.cifar10_reviewed:load",
        images_of="cifar10",
        notes="Confident learning doubted 275 labels; five workers each said whether an image shows the "
        "given label, the guessed one, both or neither, and three of them decide.",
    )
)

SHIFTS.register(
    *(
        ShiftSpec(
            name=f"cifar10/{split}",
            title=f"CIFAR-10 test set, {title}",
            kind="natural",
            support="in",
            source="cifar10-reviewed",
            split=split,
            label_space="cifar10",
            reference="cifar10",
            groups=("class",),
            citation=NORTHCUTT,
            notes=f"{notes} The difference to cifar10 is what noise in the test labels costs a model, not "
            "what a shift does.",
        )
        for split, title, notes in (
            (
                CORRECTED,
                "label errors corrected",
                "18 labels are replaced by what three of five reviewers saw; 36 images on which no single "
                "label is right are left out.",
            ),
            (
                WITHOUT,
                "label errors left out",
                "The 54 images whose label three of five reviewers did not confirm are left out.",
            ),
        )
    )
)


def load(root: Path, split: str) -> Examples:
    """Images and ids of the CIFAR-10 test set, with the labels after the review.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_reviewed,), source="cifar10-reviewed")


def _reviewed(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Examples
    from shifts.readers.cifar_order import official_numbers, official_test_labels
    from shifts.readers.label_reviews import reviewed_labels
    from shifts.readers.layouts import folder_with
    from shifts.readers.payloads import Subset
    from shifts.sources.cifar10 import CLASSES
    from shifts.sources.cifar10 import load as load_images

    folder = folder_with(root, REVIEWS)
    if folder is None or root.is_file():  # reviews without the images are not enough
        return None
    images = load_images(root, "test")
    numbers, labels = official_numbers(images), official_test_labels()
    new, wrong = reviewed_labels(folder / REVIEWS, labels, num_classes=len(CLASSES))
    kept = ~wrong if split == WITHOUT else new >= 0
    rows = np.flatnonzero(kept[numbers])
    return Examples(
        payloads=Subset(images.payloads, rows, beside=[folder / REVIEWS]),
        labels=new[numbers[rows]],
        ids=[images.ids[row] for row in rows.tolist()],
    )
