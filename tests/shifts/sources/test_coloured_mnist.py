"""Coloured MNIST from idx files, real digits among them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shifts.catalogue import add
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError
from shifts.local import content_digest
from shifts.readers.idx import read_idx
from shifts.sources.coloured_mnist import load
from tests.shifts.sources.copies import truncate


def write_idx(path: Path, array: np.ndarray) -> None:
    raw = (
        struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


@pytest.fixture
def mnist(real_data: Path, tmp_path: Path) -> Path:
    """Real digits, 200 of each, in MNIST's files."""
    found = np.load(real_data / "mnist_test" / "mnist_test_2000.npz")
    folder = tmp_path / "MNIST" / "raw"
    write_idx(folder / "t10k-images-idx3-ubyte.gz", found["images"])
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", found["labels"])
    return tmp_path


def test_colours_of_real_digits(mnist: Path, real_data: Path) -> None:
    assert add("coloured-mnist", mnist, partial=True).partial
    examples = load_examples("coloured-mnist", "test")
    digits = examples.attributes["digit"].values
    noisy = examples.labels != (digits < 5)
    assert noisy.mean() == pytest.approx(0.25, abs=0.03)
    published = np.load(real_data / "mnist_test" / "mnist_test_2000.npz")["images"]
    for name, wrong in (
        ("coloured-mnist", 0.15),
        ("coloured-mnist/reversed", 0.9),
        ("coloured-mnist/random", 0.5),
    ):
        shift = load_shift(name)
        colour = shift.group_columns["colour"]
        assert colour.names == ("differs", "agrees")
        assert (colour.values == 0).mean() == pytest.approx(wrong, abs=0.04)
        for row in range(50):
            image = shift.item(row)
            kept = int(shift.labels[row]) ^ int(colour.values[row] == 0)
            assert image.shape == (14, 14, 3)
            assert np.array_equal(image[..., kept], published[row, ::2, ::2])
            assert not image[..., 1 - kept].any() and not image[..., 2].any()


def test_the_training_file_is_cut_as_in_the_paper(tmp_path: Path) -> None:
    digits = np.arange(50_010) % 10
    write_idx(tmp_path / "train-images.idx3-ubyte", np.zeros((50_010, 2, 2)))
    write_idx(tmp_path / "train-labels.idx1-ubyte", digits)
    assert len(load(tmp_path, "train").labels) == 50_000
    val = load(tmp_path, "val")
    assert val.ids == [f"train-{row}" for row in range(50_000, 50_010)]
    assert val.attributes["digit"].values.tolist() == list(range(10))


def test_plain_and_gzipped_files_are_the_same(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    plain = tmp_path_factory.mktemp("plain")
    for path in (mnist / "MNIST" / "raw").iterdir():
        (plain / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    assert content_digest(load(plain, "test")) == content_digest(load(mnist, "test"))


IMAGES, LABELS = "MNIST/raw/t10k-images-idx3-ubyte.gz", "MNIST/raw/t10k-labels-idx1-ubyte.gz"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda root: truncate(root / IMAGES), IMAGES),
    "html": (lambda root: (root / LABELS).write_text("<!DOCTYPE html><html>"), LABELS),
    "labels of other images": (lambda root: write_idx(root / LABELS, np.zeros(60_000)), LABELS),
    "no labels": (lambda root: (root / LABELS).unlink(), "lacks t10k-labels"),
    "no digit": (lambda root: write_idx(root / LABELS, np.full(2_000, 11)), LABELS),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_named(fault: str, mnist: Path) -> None:
    plant, words = FAULTS[fault]
    plant(mnist)
    with pytest.raises(CorruptDataError) as caught:
        add("coloured-mnist", mnist, partial=True)
    assert words in caught.value.message


def test_a_part_is_never_taken_for_the_whole(mnist: Path) -> None:
    with pytest.raises(CorruptDataError, match="2000 images instead of 10000"):
        add("coloured-mnist", mnist)


def test_a_header_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 5) + b"123")
    with pytest.raises(CorruptDataError, match="cut short"):
        read_idx(tmp_path / "x")
