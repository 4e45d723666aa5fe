"""CIFAR-10N: the training images of CIFAR-10 with the labels that people gave them, errors and all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.sources.cifar10 import FILES, KRIZHEVSKY
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

LABELS = ("CIFAR-10_human.pt", "CIFAR-10_human.npy")
CLEAN = "clean_label"
WEI = (
    "J. Wei, Z. Zhu, H. Cheng, T. Liu, G. Niu and Y. Liu. Learning with Noisy Labels Revisited: A Study "
    "Using Real-World Human Annotations. ICLR 2022."
)
# Split → the key of its labels, and what they are.
SPLITS = {
    "aggregate": ("aggre_label", "the majority of three people"),
    "random-1": ("random_label1", "the first of three people"),
    "random-2": ("random_label2", "the second of three people"),
    "random-3": ("random_label3", "the third of three people"),
    "worst": ("worse_label", "of three people one who was wrong, where any was"),
}

SOURCES.register(
    ImageSource(
        name="cifar10n",
        title="CIFAR-10N",
        label_space="cifar10",
        counts=dict.fromkeys(SPLITS, (None,) * 10),
        totals=dict.fromkeys(SPLITS, 50_000),
        files=(
            *FILES,
            RemoteFile(
                filename=LABELS[0],
                urls=(f"https://github.com/UCSC-REAL/cifar-10-100n/raw/main/data/{LABELS[0]}",),
            ),
        ),
        licence="images: not stated, as CIFAR-10; labels: CC BY-NC 4.0 as far as known",
        citation=f"{WEI} {KRIZHEVSKY}",
        homepage="http://www.noisylabels.com",
        layouts=(f"a folder with cifar-10-batches-py or cifar-10-batches-bin and {' or '.join(LABELS)}",),
        loader="shifts.sources.cifar10n:load",
        images_of="cifar10",
        notes="To train on: noise as people make it, which depends on the image.",
    )
)

SHIFTS.register(
    *(
        ShiftSpec(
            name=f"cifar10n/{split}",
            title=f"CIFAR-10 training images, labels of {who}",
            kind="reference",
            support="in",
            source="cifar10n",
            split=split,
            label_space="cifar10",
            citation=WEI,
        )
        for split, (_, who) in SPLITS.items()
    )
)


def load(root: Path, split: str) -> Examples:
    """The training images of CIFAR-10 with other labels; ids ``train-00000`` and so on, as published.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_human,), source="cifar10n")


def _human(root: Path, split: str) -> Examples | None:
    """A dictionary of arrays int64 (50000,); one, the original labels, shows that the order is right."""
    import numpy as np

    from shifts.data import Examples
    from shifts.errors import CorruptDataError
    from shifts.readers.cifar import binary_batches, python_batches
    from shifts.readers.layouts import folder_with
    from shifts.readers.payloads import Subset
    from shifts.readers.pickles import read_pickle

    folder = folder_with(root, *LABELS) if root.is_dir() else None
    images = python_batches(root, "train") or binary_batches(root, "train")
    if folder is None or images is None:
        return None
    path = next(folder / name for name in LABELS if (folder / name).is_file())
    found, key = read_pickle(path), SPLITS[split][0]
    both = (
        [np.asarray(found.get(name, ())).reshape(-1) for name in (CLEAN, key)]
        if isinstance(found, dict)
        else []
    )
    if not both or any(one.shape != images.labels.shape or one.dtype.kind not in "iu" for one in both):
        raise CorruptDataError(
            f"{path} does not hold {CLEAN} and {key} of {len(images.labels)} images",
            hint="get the file again",
        )
    if not np.array_equal(both[0], images.labels):
        raise CorruptDataError(
            f"{path}: {CLEAN} are not the labels of these images in their order",
            hint="images as published: cifar-10-batches-py or cifar-10-batches-bin",
        )
    return Examples(
        payloads=Subset(images.payloads, np.arange(len(images.labels)), beside=[path]),
        labels=both[1].astype(np.int64),
        ids=images.ids,
    )
