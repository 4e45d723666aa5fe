"""The layouts in which CIFAR-10 and the sets modelled on it are published."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Examples
from shifts.errors import CorruptDataError
from shifts.readers.arrays import encoded_npz, has_arrays, is_npz, npz, row_ids
from shifts.readers.cifar_order import official_test_labels
from shifts.readers.files import FolderFiles
from shifts.readers.folders import ClassFolders, class_folders
from shifts.readers.hub import hub_payloads
from shifts.readers.layouts import folder_with, remark, walk
from shifts.readers.payloads import ArrayPayloads, Chain
from shifts.readers.pickles import read_pickle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Payloads

SIDE = 32
PIXELS = 3 * SIDE * SIDE
LOSSY = (".jpg", ".jpeg", ".webp")
BATCHES: Mapping[str, tuple[str, ...]] = {
    "test": ("test_batch",),
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
}


def python_batches(root: Path, split: str) -> Examples | None:
    """``cifar-10-batches-py``: pickles with ``data`` uint8 (n, 3072), channels first, and ``labels``."""
    paths = _batch_paths(root, BATCHES[split], suffix="")
    if paths is None:
        return None
    parts = [pickled_batch(path, labels="labels", prefix=split) for path in paths]
    labels = np.concatenate([part.labels for part in parts])
    return _in_order(Chain([part.payloads for part in parts]), labels, split, where=paths[0].parent)


def pickled_batch(path: Path, *, labels: str, prefix: str) -> Examples:
    """A pickle with ``data`` uint8 (n, 3072), channels first, and as many labels.

    Args:
        labels: the key of the labels.
        prefix: of the ids, which number the rows.

    Raises:
        CorruptDataError: it holds something else, or wants to run code.
    """
    batch = read_pickle(path)
    data = batch.get("data") if isinstance(batch, dict) else None
    found = batch.get(labels) if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.shape != (len(found or ()), PIXELS):
        raise CorruptDataError(
            f"{path} does not hold `data` (n, {PIXELS}) and n `{labels}`", hint="get the file again"
        )
    return Examples(
        payloads=ArrayPayloads(data.reshape(-1, 3, SIDE, SIDE), [path], order="CHW"),
        labels=np.array(found, dtype=np.int64),
        ids=row_ids(prefix, range(len(data))),
    )


def binary_batches(root: Path, split: str) -> Examples | None:
    """``cifar-10-batches-bin``: records of one label byte and 3072 pixel bytes, mapped, not read."""
    paths = _batch_paths(root, BATCHES[split], suffix=".bin")
    if paths is None:
        return None
    parts = [binary_records(path, label_bytes=1, prefix=split) for path in paths]
    labels = np.concatenate([part.labels for part in parts])
    return _in_order(Chain([part.payloads for part in parts]), labels, split, where=paths[0].parent)


def binary_records(path: Path, *, label_bytes: int, prefix: str) -> Examples:
    """Records of label bytes, of which the last one counts, and 3072 pixel bytes; mapped, not read.

    Args:
        prefix: of the ids, which number the rows.

    Raises:
        CorruptDataError: the size is not that of whole records.
    """
    size, record = path.stat().st_size, PIXELS + label_bytes
    if size == 0 or size % record:
        raise CorruptDataError(
            f"{path} has {size} bytes, which is not a number of records of {record} bytes",
            hint="it was cut short or is another file; get it again",
        )
    records = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, record)
    return Examples(
        payloads=ArrayPayloads(records[:, label_bytes:].reshape(-1, 3, SIDE, SIDE), [path], order="CHW"),
        labels=np.array(records[:, label_bytes - 1], dtype=np.int64),
        ids=row_ids(prefix, range(len(records))),
    )


def hub(root: Path, split: str) -> Examples | None:
    """The Hub's rows. Those of the test set are in the official order; of the training rows nobody says so,
    and their ids are of their own."""
    payloads = hub_payloads(root, split)
    if payloads is None:
        return None
    prefix = split if split == "test" else f"{split}-hub"
    return _in_order(payloads, payloads.labels, prefix, where=payloads.paths()[0])


def jpeg_npz(root: Path, split: str) -> Examples | None:
    """One archive of arrays with the images as encoded files: those of the test set with ``orig_test_index``,
    training images with ``source_path`` (``train/frog/0266.jpg``), which gives the ids."""
    key = "orig_test_index" if split == "test" else "source_path"
    files = [path for path in walk(root, depth=1) if path.suffix == ".npz" or path == root]
    files = [path for path in files if is_npz(path) and has_arrays(path, "jpeg", "labels", key)]
    if split != "test":  # those of test images may tell their path as well
        files = [path for path in files if not has_arrays(path, "orig_test_index")]
    if len(files) != 1:
        return None
    examples = encoded_npz(files[0], prefix=split)
    if split != "test":
        return _by_path(examples, files[0])
    rows = [int(name.removeprefix("test-")) for name in examples.ids]
    if len(rows) == len(official_test_labels()) and not _official(rows, examples.labels):
        raise CorruptDataError(
            f"{files[0]}: orig_test_index and labels are not those of the official test set"
        )
    return examples


def _by_path(examples: Examples, file: Path) -> Examples:
    """The examples with ids from the paths that the images had: the folder of the class and the name."""
    paths = npz(file, required=("source_path",))["source_path"]
    if paths.shape != examples.labels.shape or paths.dtype.kind != "U":
        raise CorruptDataError(f"{file}: source_path is not one path for each image")
    ids = ["/".join(path.split("/")[-2:]).rpartition(".")[0] for path in paths.tolist()]
    return Examples(payloads=examples.payloads, labels=examples.labels, ids=ids)


def image_folders(root: Path, split: str, *, classes: Sequence[str]) -> Examples | None:
    """``[test/]CLASS/NAME.png``, with classes by name or by number.

    Ids: when every name carries one integer, no two the same, below the size of the split (and, for the
    test split, the class agrees with the official one), it is the official number. When test images are
    numbered ``0000`` to ``0999`` within each class, the n-th is the n-th official image of its class
    (checked for the copy behind ``cifar10-jpeg75``). Otherwise the id is ``CLASS/NAME``.
    """
    if not root.is_dir():
        return None
    folders = {name: label for label, name in enumerate(classes)}
    folders |= {str(label): label for label in range(len(classes))}
    below = ("test", "") if split == "test" else (split,)
    found = class_folders(FolderFiles(root), folders, below=below)
    if found is None:
        return None
    rows = _numbers(found, split)
    return found.examples(None if rows is None else row_ids(split, rows))


def remark_on_lossy(examples: Examples) -> Examples:
    """Say so when the copy of a lossless set was compressed."""
    names = getattr(examples.payloads, "names", ())
    lossy = sum(name.lower().endswith(LOSSY) for name in names)
    if lossy:
        remark(
            f"{lossy} of {len(names)} images are lossy files (JPEG or WebP), but the published ones are not: "
            "accuracies on this copy are not comparable with published ones"
        )
    return examples


def _batch_paths(root: Path, names: Sequence[str], *, suffix: str) -> list[Path] | None:
    folder = folder_with(root, *(name + suffix for name in names))
    if folder is None:
        return None
    paths = [folder / (name + suffix) for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise CorruptDataError(
            f"{folder} lacks {', '.join(missing)}", hint="unpack the archive again, or get the file again"
        )
    return paths


def _in_order(
    payloads: Payloads,
    labels: NDArray[np.int64],
    prefix: str,
    *,
    where: Path,
) -> Examples:
    rows = range(len(labels))
    if prefix == "test" and len(rows) == len(official_test_labels()) and not _official(rows, labels):
        raise CorruptDataError(
            f"{where}: the labels of the {len(rows)} test rows are not in the official order",
            hint="the rows were shuffled or relabelled; get the files as published",
        )
    return Examples(payloads=payloads, labels=labels, ids=row_ids(prefix, rows))


def _official(rows: Sequence[int], labels: NDArray[np.int64]) -> bool:
    table = official_test_labels()
    return max(rows) < len(table) and bool((table[np.array(rows)] == labels).all())


def _numbers(found: ClassFolders, split: str) -> list[int] | None:
    """Official numbers of the images, or None where the names do not tell."""
    digits = [re.findall(r"\d+", stem.rpartition("/")[2]) for stem in found.stems]
    if any(len(runs) != 1 for runs in digits):
        return None
    numbers = [int(runs[0]) for runs in digits]
    size = 10_000 if split == "test" else 50_000
    unique = len(set(numbers)) == len(numbers) and max(numbers) < size
    if split != "test":
        return numbers if unique else None
    if unique and _official(numbers, found.labels):
        return numbers
    pairs = set(zip(found.labels.tolist(), numbers, strict=True))
    padded = all(re.fullmatch(r"\d{4}", stem.rpartition("/")[2]) for stem in found.stems)
    if not padded or len(pairs) != len(numbers) or max(numbers) >= 1000:
        return None
    table = official_test_labels()
    of_class = [np.flatnonzero(table == label) for label in range(10)]
    return [
        int(of_class[label][number]) for label, number in zip(found.labels.tolist(), numbers, strict=True)
    ]
