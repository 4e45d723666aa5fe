"""CIFAR-10H: the CIFAR-10 test set with the class that most of some fifty people saw in each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.sources.cifar10 import FILES, KRIZHEVSKY
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

COUNTS = "cifar10h-counts.npy"
_REVISION = "597cbc5f07266c9405b830ee4a53463539124c4f"
PETERSON = (
    "J. C. Peterson, R. M. Battleday, T. L. Griffiths and O. Russakovsky. Human Uncertainty Makes "
    "Classification More Robust. ICCV, 2019."
)

SOURCES.register(
    ImageSource(
        name="cifar10h",
        title="CIFAR-10H",
        label_space="cifar10",
        counts={"test": (None,) * 10},
        totals={"test": 10_000},
        files=(
            *FILES,
            RemoteFile(
                filename=COUNTS,
                urls=(
                    f"https://raw.githubusercontent.com/jcpeterson/cifar-10h/{_REVISION}/data/{COUNTS}",
                    f"https://raw.githubusercontent.com/jcpeterson/cifar-10h/master/data/{COUNTS}",
                ),
            ),
        ),
        licence="images: not stated, as CIFAR-10; answers: CC BY-NC-SA 4.0",
        citation=f"{PETERSON} {KRIZHEVSKY}",
        homepage="https://github.com/jcpeterson/cifar-10h",
        layouts=(f"a folder with CIFAR-10 in a layout of its own and {COUNTS}",),
        loader="shifts.sources.cifar10h:load",
        images_of="cifar10",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="cifar10h",
        title="CIFAR-10 test set, labelled by what most people saw",
        kind="natural",
        support="in",
        source="cifar10h",
        split="test",
        label_space="cifar10",
        reference="cifar10",
        citation=PETERSON,
        notes="Where several classes were seen equally often, each of them is right. The difference to "
        "cifar10 is what labels that people do not share cost a model, not what a shift does.",
    )
)


def load(root: Path, split: str) -> Examples:
    """Images and ids of the CIFAR-10 test set, with the classes that people saw most often.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_counts,), source="cifar10h")


def _counts(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Examples
    from shifts.errors import CorruptDataError
    from shifts.readers.arrays import npy
    from shifts.readers.cifar_order import official_numbers, official_test_labels
    from shifts.readers.layouts import folder_with
    from shifts.readers.payloads import Subset
    from shifts.sources.cifar10 import load as load_images

    folder = folder_with(root, COUNTS)
    if folder is None or root.is_file():  # answers without the images are not enough
        return None
    images, path = load_images(root, "test"), folder / COUNTS
    numbers, official = official_numbers(images), official_test_labels()
    counts = np.asarray(npy(path, dtype="number", ndim=2), dtype=np.float64)
    whole = np.isfinite(counts).all() and (counts >= 0).all() and (counts == np.round(counts)).all()
    if counts.shape != (len(official), 10) or not whole or (counts.sum(axis=1) < 1).any():
        raise CorruptDataError(
            f"{path} holds {counts.shape}, not how often each of 10 classes was seen in 10,000 images",
            hint="get the file again",
        )
    best = counts == counts.max(axis=1, keepdims=True)
    if not best[np.arange(len(official)), official].mean() > 0.9:
        raise CorruptDataError(
            f"{path}: what people saw is mostly not the label of the image",
            hint="the rows are in another order than the test set's; get the file again",
        )
    accepted = [_first(np.flatnonzero(best[row]).tolist(), int(official[row])) for row in numbers.tolist()]
    return Examples(
        payloads=Subset(images.payloads, np.arange(len(numbers)), beside=[path]),
        labels=np.array([known[0] for known in accepted], dtype=np.int64),
        ids=images.ids,
        accepted=accepted,
    )


def _first(classes: list[int], label: int) -> tuple[int, ...]:
    """The classes, the official label first where it is one of them, as ImageNet-ReaL has it."""
    return tuple(sorted(classes, key=lambda one: (one != label, one)))
