"""CIFAR-10.1, CIFAR-10.2, CINIC-10, CIFAR-10-C and STL-10 in the layouts they are published in."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shifts.catalogue import add
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.local import content_digest
from shifts.perturbations.geometry import shrink
from shifts.perturbations.severities import COMMON, EXTRA
from shifts.readers.cifar_order import official_test_labels
from shifts.registry import resolve
from shifts.sources.cifar10 import CLASSES
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import verify
from tests.shifts import cifar_layouts
from tests.shifts.sources.copies import declare_small, encoded, noise, truncate, write_images

N = 20


def cifar10_1(root: Path) -> Path:
    root.mkdir(parents=True)
    for version in ("v4", "v6"):
        np.save(root / f"cifar10.1_{version}_data.npy", noise(N, 32, 32, 3))
        np.save(root / f"cifar10.1_{version}_labels.npy", np.arange(N, dtype=np.int32) % 10)
    return root


def cifar10_2(root: Path) -> Path:
    root.mkdir(parents=True)
    for split in ("test", "train"):
        np.savez(
            root / f"cifar102_{split}.npz",
            images=noise(N, 32, 32, 3),
            labels=np.arange(N) % 10,
            label_names=np.array(CLASSES),
            keywords=np.array([["airplane"], ["cat", "tabby"]], dtype=object),
        )
    return root


def cinic10(root: Path) -> Path:
    for split in ("test", "valid", "train"):
        names = [
            f"CINIC-10/{split}/{name}/{stem}.png"
            for label, name in enumerate(CLASSES)
            for stem in (
                f"cifar10-test-{label}",
                f"cifar-10-train-{label}",
                f"n0000{label}_{label}",
                f"n1_{label}",
            )
        ]
        write_images(root, names, size=32, mode="L" if split == "test" else "RGB")
    return root


def cifar10_c(root: Path) -> Path:
    folder = root / "CIFAR-10-C"
    folder.mkdir(parents=True)
    np.save(folder / "labels.npy", np.tile(official_test_labels(), 5).astype(np.uint8))
    images = np.zeros((50_000, 32, 32, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(50_000) // 10_000
    images[:, 0, 0, 1] = np.arange(50_000) % 251
    np.save(folder / "fog.npy", images)
    return root


def stl10(root: Path) -> Path:
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for split, number in (("test", 20), ("train", 10)):
        labels = (np.arange(number) % 10 + 1).astype(np.uint8)
        images = noise(number, 96, 96, 3)
        (folder / f"{split}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())
        (folder / f"{split}_y.bin").write_bytes(labels.tobytes())
    (folder / "unlabeled_X.bin").write_bytes(b"\0" * 27_648)
    (folder / "class_names.txt").write_text("airplane\nbird\ncar\n")
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {
    "cifar10.1": cifar10_1,
    "cifar10.2": cifar10_2,
    "cinic10": cinic10,
    "stl10": stl10,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_copy_goes_in_and_comes_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = WRITERS[name](tmp_path / "copy")
    source = declare_small(monkeypatch, name, root)
    record = add(name, root)
    assert not record.partial
    assert verify(name).ok
    for split in source.counts:
        examples = load_examples(name, split)
        again = pickle.loads(pickle.dumps(examples))
        assert content_digest(again) == content_digest(examples)
        assert tuple(np.bincount(examples.labels, minlength=10)) == source.counts[split]


@pytest.mark.parametrize("name", WRITERS)
def test_fewer_images_than_published_are_never_taken_for_the_whole(name: str, tmp_path: Path) -> None:
    root = WRITERS[name](tmp_path / "copy")
    with pytest.raises(CorruptDataError) as caught:
        add(name, root)
    # The published files have hashes, or the counts tell.
    assert "instead of" in caught.value.message or "is not the published" in caught.value.message
    assert "--partial" in str(caught.value.hint)


FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "10.1 labels of another version": (
        "cifar10.1",
        lambda root: np.save(root / "cifar10.1_v6_labels.npy", np.arange(N + 1, dtype=np.int32) % 10),
        "for 21 labels",
    ),
    "10.1 without labels": (
        "cifar10.1",
        lambda root: (root / "cifar10.1_v6_labels.npy").unlink(),
        "cifar10.1_v6_labels.npy",
    ),
    "10.1 cut": ("cifar10.1", lambda root: truncate(root / "cifar10.1_v4_data.npy"), "cifar10.1_v4_data.npy"),
    "10.1 page of HTML": (
        "cifar10.1",
        lambda root: (root / "cifar10.1_v4_data.npy").write_text("<!DOCTYPE html>"),
        "cifar10.1_v4_data.npy",
    ),
    "10.1 label out of range": (
        "cifar10.1",
        lambda root: np.save(root / "cifar10.1_v6_labels.npy", np.full(N, 10, dtype=np.int32)),
        "label 10",
    ),
    "10.2 cut": ("cifar10.2", lambda root: truncate(root / "cifar102_test.npz"), "cifar102_test.npz"),
    "10.2 other arrays": (
        "cifar10.2",
        lambda root: np.savez(root / "cifar102_test.npz", x=np.zeros(3)),
        "no array images, labels",
    ),
    "cinic unknown names": (
        "cinic10",
        lambda root: (root / "CINIC-10/test/cat/image1.png").write_bytes(encoded(5)),
        "image1.png: the name tells neither",
    ),
    "cinic truncated image": (
        "cinic10",
        lambda root: truncate(root / "CINIC-10/test/cat/n1_3.png"),
        "n1_3.png",
    ),
    "cinic misspelt class": (
        "cinic10",
        lambda root: (root / "CINIC-10/valid/cat").rename(root / "CINIC-10/valid/kat"),
        "'kat' is none",
    ),
    "stl cut": ("stl10", lambda root: truncate(root / "stl10_binary/test_X.bin"), "test_X.bin"),
    "stl without labels": (
        "stl10",
        lambda root: (root / "stl10_binary/test_y.bin").unlink(),
        "lacks test_y.bin",
    ),
    "stl labels from 0": (
        "stl10",
        lambda root: (root / "stl10_binary/test_y.bin").write_bytes(bytes(range(10)) * 2),
        "labels other than 1 to 10",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_named(fault: str, tmp_path: Path) -> None:
    name, plant, words = FAULTS[fault]
    root = WRITERS[name](tmp_path / "copy")
    plant(root)
    with pytest.raises(CorruptDataError) as caught:
        add(name, root, partial=True)
    assert words in caught.value.message
    assert caught.value.hint


def test_a_missing_and_a_swapped_class_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = cinic10(tmp_path / "copy")
    declare_small(monkeypatch, "cinic10", root)
    add("cinic10", root)
    test = root / "CINIC-10/test"
    for old, new in (("cat", "x"), ("ship", "cat"), ("x", "ship")):
        (test / old).rename(test / new)
    assert not verify("cinic10").ok
    for path in (test / "dog").iterdir():
        path.unlink()
    assert any("0 of class 'dog' instead of 4" in fault for fault in verify("cinic10").faults)


def test_cifar10_1_has_the_published_labels(real_data: Path) -> None:
    """The counts per class declared are those of the labels as published."""
    published = np.load(real_data / "published_results" / "cifar10_1" / "model_predictions.npz")
    for version in ("v4", "v6"):
        counts = tuple(np.bincount(published[f"labels_{version}"], minlength=10).tolist())
        assert SOURCES.get("cifar10.1").counts[version] == counts
    assert tuple(published["class_names"].tolist()) == CLASSES


def test_only_the_imagenet_part_of_cinic_is_measured(tmp_path: Path) -> None:
    add("cinic10", cinic10(tmp_path / "copy"), partial=True)
    shift = load_shift("cinic10/imagenet")
    assert len(shift) == 20
    assert all("/n" in name for name in shift.example_ids)
    assert shift.item(0).shape == (32, 32, 3)  # grey files come as RGB


def test_stl_images_stand_upright_and_monkeys_are_gone(tmp_path: Path) -> None:
    add("stl10", stl10(tmp_path / "copy"), partial=True)
    examples = load_examples("stl10", "test")
    assert examples.ids[:8] == [f"test-{row:05d}" for row in (0, 1, 2, 3, 4, 5, 6, 8)]
    assert examples.labels[:9].tolist() == [0, 2, 1, 3, 4, 5, 7, 8, 9]
    images = noise(20, 96, 96, 3)
    assert np.array_equal(examples.image(7), images[8])
    shift = load_shift("stl10")
    assert np.array_equal(shift.item(7), shrink(images[8:9], shift.rows(np.array([7])), factor=3)[0])
    assert shift.num_classes == 9
    assert SHIFTS.get("cifar10/stl10-classes").class_indices == SHIFTS.get("stl10").class_indices


def test_shrinking_takes_means_of_blocks() -> None:
    images = noise(3, 6, 9, 3)
    blocks = images.reshape(3, 2, 3, 3, 3, 3).astype(float).mean(axis=(2, 4))
    shrunk = shrink(images, None, factor=3)  # type: ignore[arg-type]
    assert np.array_equal(shrunk, np.floor(blocks + 0.5))


@pytest.fixture(scope="module")
def fog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cifar10_c(tmp_path_factory.mktemp("c"))


def test_cifar10_c_is_mapped_and_cut_by_severity(fog: Path) -> None:
    load = resolve(SOURCES.get("cifar10-c").loader)
    for severity in (1, 5):
        examples = load(fog, f"fog-{severity}")
        assert len(examples.labels) == 10_000
        assert examples.image(255)[0, 0].tolist() == [severity - 1, ((severity - 1) * 10_000 + 255) % 251, 0]
        assert np.array_equal(examples.labels, official_test_labels())
        assert (examples.ids[0], examples.ids[-1]) == ("test-00000", "test-09999")
        assert len(pickle.dumps(examples.payloads)) < 10_000
    with pytest.raises(DataNotFoundError):
        load(fog, "snow-1")


def test_cifar10_c_with_other_labels_or_rows_is_refused(tmp_path: Path, fog: Path) -> None:
    load = resolve(SOURCES.get("cifar10-c").loader)
    labels = np.tile(official_test_labels(), 5)
    np.save(tmp_path / "labels.npy", labels[::-1])
    (tmp_path / "fog.npy").symlink_to(fog / "CIFAR-10-C/fog.npy")
    with pytest.raises(CorruptDataError, match="in their order"):
        load(tmp_path, "fog-1")
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "snow.npy", noise(10, 32, 32, 3))
    with pytest.raises(CorruptDataError, match=r"snow\.npy"):
        load(tmp_path, "snow-1")
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(CorruptDataError, match=r"labels\.npy"):
        load(tmp_path, "fog-1")


def test_cifar100_c_is_read_alike(tmp_path: Path, fog: Path) -> None:
    load = resolve(SOURCES.get("cifar100-c").loader)
    (tmp_path / "fog.npy").symlink_to(fog / "CIFAR-10-C/fog.npy")
    labels = np.random.default_rng(0).permutation(np.arange(10_000) % 100)
    np.save(tmp_path / "labels.npy", np.tile(labels, 5))
    examples = load(tmp_path, "fog-3")
    assert np.array_equal(examples.labels, labels)
    assert examples.image(7)[0, 0, 0] == 2
    np.save(tmp_path / "labels.npy", np.repeat(labels, 5))
    with pytest.raises(CorruptDataError, match="five times in their order"):
        load(tmp_path, "fog-3")


@pytest.mark.parametrize("clean", ["cifar10", "cifar100"])
def test_corruptions_on_disk_and_online_are_different_shifts(clean: str) -> None:
    for name in (*COMMON, *EXTRA):
        disk, online = SHIFTS.get(f"{clean}-c/{name}/3"), SHIFTS.get(f"{clean}-c-online/{name}/3")
        assert (disk.source, online.source) == (f"{clean}-c", clean)
        assert not disk.perturbations and len(online.perturbations) == 1
        assert disk.reference == online.reference == clean
    assert len(SHIFTS.names(f"{clean}-c")) == len(SHIFTS.names(f"{clean}-c-online")) == 95


def test_online_corruptions_run_on_cifar_images(tmp_path: Path) -> None:
    add("cifar10", cifar_layouts.write_binary(tmp_path, cifar_layouts.small()), partial=True)
    clean = load_shift("cifar10")
    for name in (*COMMON, *EXTRA):
        shift = load_shift(f"cifar10-c-online/{name}/5")
        assert shift.item(3).shape == (32, 32, 3)
        assert not np.array_equal(shift.item(3), clean.item(3))
