"""Writers of small CIFAR-10 copies in exactly the published layouts."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shifts.readers.cifar_order import official_test_labels
from shifts.sources.cifar10 import CLASSES

SIZE = 20
TRAIN_BATCH = 6


@dataclass(frozen=True)
class Small:
    """Images uint8 (n, 32, 32, 3) with labels (n,), of the test and the training split."""

    test: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    train: NDArray[np.uint8]
    train_labels: NDArray[np.int64]


def small() -> Small:
    draw = np.random.default_rng(7)
    train = 5 * TRAIN_BATCH
    return Small(
        test=draw.integers(0, 256, (SIZE, 32, 32, 3), dtype=np.uint8),
        test_labels=official_test_labels()[:SIZE],
        train=draw.integers(0, 256, (train, 32, 32, 3), dtype=np.uint8),
        train_labels=np.arange(train, dtype=np.int64) % 10,
    )


def rows(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (n, 3072): 1024 red, 1024 green, 1024 blue values."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def python2_pickle(data: NDArray[np.uint8], labels: list[int], batch_label: str) -> bytes:
    """The opcodes that Python 2's cPickle wrote into the published batches (protocol 2)."""

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    raw = data.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01" + number(data.shape[0]) + number(data.shape[1]) + b"\x86"
        + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip
    names = b"".join(text(f"name_s_{index:06d}.png") for index in range(len(labels)))
    return (
        b"\x80\x02}q\x01(" + text("batch_label") + text(batch_label)
        + text("labels") + b"](" + b"".join(number(label) for label in labels) + b"e"
        + text("data") + array
        + text("filenames") + b"](" + names + b"e" + b"u."
    )  # fmt: skip


def write_python(root: Path, data: Small) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "test_batch").write_bytes(
        python2_pickle(rows(data.test), data.test_labels.tolist(), "testing batch 1 of 1")
    )
    for number in range(5):
        part = slice(number * TRAIN_BATCH, (number + 1) * TRAIN_BATCH)
        (folder / f"data_batch_{number + 1}").write_bytes(
            python2_pickle(
                rows(data.train[part]), data.train_labels[part].tolist(), f"batch {number + 1} of 5"
            )
        )
    (folder / "readme.html").write_text("<!DOCTYPE html>")
    return root


def records(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> bytes:
    return np.concatenate([labels.astype(np.uint8)[:, None], rows(images)], axis=1).tobytes()


def write_binary(root: Path, data: Small) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "test_batch.bin").write_bytes(records(data.test, data.test_labels))
    for number in range(5):
        part = slice(number * TRAIN_BATCH, (number + 1) * TRAIN_BATCH)
        (folder / f"data_batch_{number + 1}.bin").write_bytes(
            records(data.train[part], data.train_labels[part])
        )
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES))
    return root


def encode(image: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind, **options)
    return stream.getvalue()


def write_parquet(root: Path, data: Small, *, row_group_size: int = 7) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = root / "plain_text"
    folder.mkdir(parents=True)
    for split, images, labels in (
        ("test", data.test, data.test_labels),
        ("train", data.train, data.train_labels),
    ):
        column = [{"bytes": encode(image), "path": None} for image in images]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"img": pa.array(column, kind), "label": pa.array(labels, pa.int64())})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet", row_group_size=row_group_size)
    return root


def write_folder(root: Path, data: Small, *, top: str = "test") -> Path:
    for row, (image, label) in enumerate(zip(data.test, data.test_labels, strict=True)):
        path = root / top / CLASSES[label] / f"{row:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(image))
    return root


def pack_tar(folder: Path, path: Path, *, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        archive.add(folder, arcname=".")
    return path


def pack_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def write_npz(path: Path, encoded: list[bytes], truth: NDArray[np.int64], /, **more: object) -> Path:
    arrays = {
        "jpeg": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        "offsets": np.cumsum([0, *map(len, encoded)]).astype(np.int64),
        "labels": truth.astype(np.uint8),
        "class_names": np.array(CLASSES),
        "orig_test_index": np.arange(len(truth), dtype=np.int32),
    }
    np.savez_compressed(path, **{**arrays, **more})
    return path
