"""CIFAR-10.2: a second set of new test images for CIFAR-10, with training images of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

_REVISION = "521467a52ad494b78ff9c70051099c0d9ba74d40"
_ADDRESSES = (
    f"https://github.com/modestyachts/cifar-10.2/raw/{_REVISION}",
    "https://github.com/modestyachts/cifar-10.2/raw/master",
)

SOURCES.register(
    ImageSource(
        name="cifar10.2",
        title="CIFAR-10.2",
        label_space="cifar10",
        counts={"test": (None,) * 10, "train": (None,) * 10},
        totals={"test": 2_000, "train": 10_000},
        files=tuple(
            # Nobody publishes a hash that two sources agree on; the content is recorded at the first fetch.
            RemoteFile(filename=name, urls=tuple(f"{address}/{name}" for address in _ADDRESSES))
            for name in ("cifar102_test.npz", "cifar102_train.npz")
        ),
        licence="not stated; a subset of 80 Million Tiny Images, used for research with citation",
        citation="S. Lu, B. Nott, A. Olson, A. Todeschini, H. Vahabi, Y. Carmon, L. Schmidt. Harder or "
        "Different? A Closer Look at Distribution Shift in Dataset Reproduction. 2020.",
        homepage="https://github.com/modestyachts/cifar-10.2",
        layouts=("cifar102_test.npz, or a folder with it and cifar102_train.npz",),
        loader="shifts.sources.cifar10_2:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="cifar10.2",
        title="CIFAR-10.2 test set",
        kind="natural",
        support="unknown",
        source="cifar10.2",
        split="test",
        label_space="cifar10",
        reference="cifar10",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids ``test-00000`` and so on in the published order.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_npz,), source="cifar10.2")


def _npz(root: Path, split: str) -> Examples | None:
    from shifts.readers.arrays import array_rows, npz, row_ids
    from shifts.readers.layouts import folder_with

    name = f"cifar102_{split}.npz"
    folder = folder_with(root, name)
    if folder is None:
        return None
    # The file also holds lists of keywords as pickled objects; these are never read.
    found = npz(folder / name, required=("images", "labels"))
    ids = row_ids(split, range(len(found["labels"])))
    return array_rows(found["images"], found["labels"], paths=[folder / name], ids=ids, side=32)
