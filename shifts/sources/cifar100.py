"""CIFAR-100: a hundred classes of small images, by their fine labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.sources.cifar10 import ARTICLES, KRIZHEVSKY, PHRASES
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# The published names with spaces for underscores, as in the prompts of Radford et al. 2021.
CLASSES = listed_names("cifar100")

LABEL_SPACES.register(
    LabelSpace(
        name="cifar100",
        class_names=CLASSES,
        # The 18 prompts of Radford et al. 2021, those of CIFAR-10.
        templates=tuple(phrase.format(article) for article in ARTICLES for phrase in PHRASES),
    )
)

SOURCES.register(
    ImageSource(
        name="cifar100",
        title="CIFAR-100",
        label_space="cifar100",
        counts={"test": (100,) * 100, "train": (500,) * 100},
        files=(
            RemoteFile(
                filename="cifar-100-python.tar.gz",
                urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
                md5="eb9058c3a382ffc7106e4002c42a8d85",
            ),
            RemoteFile(
                filename="train", md5="16019d7e3df5f24257cddd939b257f8d", how="inside cifar-100-python.tar.gz"
            ),
            RemoteFile(
                filename="test", md5="f0ef6b0ae62326f3e7ffdfab6717acfc", how="inside cifar-100-python.tar.gz"
            ),
        ),
        hub="uoft-cs/cifar100",
        licence="not stated; a subset of 80 Million Tiny Images, used for research with citation",
        citation=KRIZHEVSKY,
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        layouts=(
            "cifar-100-python folder or cifar-100-python.tar.gz",
            "cifar-100-binary folder or cifar-100-binary.tar.gz",
            "parquet files as the Hub serves them (test-00000-of-00001.parquet), or saved by save_to_disk",
        ),
        loader="shifts.sources.cifar100:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="cifar100",
        title="CIFAR-100 test set",
        kind="reference",
        support="in",
        source="cifar100",
        split="test",
        label_space="cifar100",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """CIFAR-100 in any of its layouts; ids ``test-00000`` and so on in the published order.

    Rows of the Hub's training split, whose order nobody states, have ids of their own.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_python, _binary, _hub), source="cifar100")


def _python(root: Path, split: str) -> Examples | None:
    """``cifar-100-python``: pickles ``train`` and ``test`` with ``data`` and ``fine_labels``."""
    from shifts.readers.cifar import pickled_batch
    from shifts.readers.layouts import folder_with

    folder = folder_with(root, "meta") if root.is_dir() else None
    if folder is None or not (folder / split).is_file():
        return None
    return pickled_batch(folder / split, labels="fine_labels", prefix=split)


def _binary(root: Path, split: str) -> Examples | None:
    """``cifar-100-binary``: records of a coarse and a fine label and the pixels."""
    from shifts.readers.cifar import binary_records
    from shifts.readers.layouts import folder_with

    folder = folder_with(root, f"{split}.bin")
    if folder is None:
        return None
    return binary_records(folder / f"{split}.bin", label_bytes=2, prefix=split)


def _hub(root: Path, split: str) -> Examples | None:
    from shifts.data import Examples
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads

    payloads = hub_payloads(root, split, label="fine_label")
    if payloads is None:
        return None
    prefix = split if split == "test" else f"{split}-hub"
    return Examples(payloads=payloads, labels=payloads.labels, ids=row_ids(prefix, range(len(payloads))))
