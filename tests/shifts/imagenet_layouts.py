"""Writers of small copies of the ImageNet family in exactly the published layouts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from shifts.readers.imagenet_tables import class_table, val_labels

WNIDS = class_table()[0]


@dataclass(frozen=True)
class Item:
    """One image: index of its class, file name without folder, encoded bytes."""

    label: int
    name: str
    data: bytes


@cache
def jpeg(seed: int, *, side: int = 16) -> bytes:
    """A small noisy JPEG, another one for every seed."""
    draw = np.random.default_rng(seed)
    pixels = np.repeat(
        np.repeat(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8), side // 4, 0), side // 4, 1
    )
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def items(labels: Sequence[int], *, name: Callable[[int], str]) -> list[Item]:
    return [Item(label=label, name=name(row), data=jpeg(row)) for row, label in enumerate(labels)]


def val_items(numbers: Sequence[int]) -> list[Item]:
    """Images under the names (and of the classes) of these validation images."""
    return [Item(int(val_labels()[n - 1]), f"ILSVRC2012_val_{n:08d}.JPEG", jpeg(n)) for n in numbers]


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_flat(root: Path, found: Sequence[Item]) -> Path:
    for item in found:
        write(root / item.name, item.data)
    return root


def write_folders(
    root: Path, found: Sequence[Item], *, top: str = "val", folder: Callable[[int], str] = WNIDS.__getitem__
) -> Path:
    for item in found:
        write(root / top / folder(item.label) / item.name, item.data)
    return root


def write_parquet(
    root: Path,
    found: Sequence[Item],
    *,
    name: str = "data/validation-00000-of-00001.parquet",
    path_of: Callable[[Item], str | None] = lambda item: item.name,
    label_of: Callable[[Item], int] = lambda item: item.label,
) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": item.data, "path": path_of(item)} for item in found]
    labels = pa.array([label_of(item) for item in found], pa.int64())
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": pa.array(rows, kind), "label": labels}), root / name, row_group_size=5)
    return root


def write_saved(root: Path, found: Sequence[Item]) -> Path:
    """As ``datasets.load_dataset(...).save_to_disk`` leaves it."""
    import datasets

    datasets.disable_progress_bars()
    columns = {
        "image": [{"bytes": item.data, "path": item.name} for item in found],
        "label": [item.label for item in found],
    }
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict(columns, features=kinds, split="validation")
    datasets.DatasetDict({"validation": rows}).save_to_disk(root)
    return root


def write_shards(
    root: Path,
    found: Sequence[Item],
    *,
    name: str = "imagenet1k-validation-{:02d}.tar",
    key_of: Callable[[Item], str] = lambda item: item.name.rpartition(".")[0],
    label_of: Callable[[Item], int] = lambda item: item.label,
    shards: int = 3,
) -> Path:
    for shard in range(shards):
        path = root / name.format(shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as archive:
            for item in found[shard::shards]:
                for suffix, data in ((".cls", str(label_of(item)).encode()), (".jpg", item.data)):
                    _add(archive, key_of(item) + suffix, data)
    return root


def write_tar(path: Path, found: Sequence[Item]) -> Path:
    """The official tar: files without folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for item in found:
            _add(archive, item.name, item.data)
    return path


def write_devkit(root: Path, *, wrong: int | None = None) -> Path:
    """``ILSVRC2012_devkit_t12/data`` with IDs that are no sorted positions, as the real ones are not."""
    from scipy.io import savemat

    shuffled = np.random.default_rng(3).permutation(1000)  # ILSVRC2012_ID - 1 -> sorted position
    id_of = np.empty(1000, dtype=int)
    id_of[shuffled] = np.arange(1000) + 1
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    synsets = np.empty((1001, 1), dtype=kinds)
    for row in range(1000):
        synsets[row, 0] = (row + 1, WNIDS[shuffled[row]], "words", "gloss", 0)
    synsets[1000, 0] = (1001, "n00001740", "entity", "gloss", 3)
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    savemat(data / "meta.mat", {"synsets": synsets})
    labels = val_labels().copy()
    if wrong is not None:
        labels[wrong - 1] = (labels[wrong - 1] + 1) % 1000
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text(
        "".join(f"{id_of[label]}\n" for label in labels)
    )
    return root


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
