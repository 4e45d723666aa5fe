"""Verifying and listing local copies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from shifts import local
from shifts.catalogue import add
from shifts.data import load_examples
from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.spec import SOURCES, ImageSource
from shifts.verifying import ready, verify
from tests.shifts import cifar_layouts as layouts


def test_a_linked_file_that_was_changed_is_named(source: ImageSource, copy: Path) -> None:
    add("cifar10", copy)
    path = copy / "cifar-10-batches-bin/test_batch.bin"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(CorruptDataError, match=r"test_batch\.bin.*changed"):
        load_examples("cifar10", "test")
    assert "test_batch.bin" in str(ready("cifar10")[0].problem)


def test_touched_files_with_the_same_content_are_good_again(source: ImageSource, copy: Path) -> None:
    add("cifar10", copy)
    os.utime(copy / "cifar-10-batches-bin/test_batch.bin", (1, 1))
    with pytest.raises(CorruptDataError):
        load_examples("cifar10", "test")
    assert verify("cifar10").ok
    load_examples("cifar10", "test")


def test_verify_names_each_bad_file(source: ImageSource, tmp_path: Path, data: layouts.Small) -> None:
    folder = layouts.write_folder(tmp_path / "mine", data)
    add("cifar10", folder)
    good = verify("cifar10")
    assert good.ok
    assert good.splits["test"].n == layouts.SIZE
    assert good.splits["test"].counts == source.counts["test"]
    (folder / "test/cat/00000.png").write_bytes(b"<!DOCTYPE html>")
    path = folder / "test/ship/00001.png"
    path.write_bytes(path.read_bytes()[:500])
    report = verify("cifar10")
    assert len(report.faults) == 2
    for fault, name in zip(report.faults, ("test/cat/00000.png", "test/ship/00001.png"), strict=True):
        assert str(folder / name) in fault


def test_verify_finds_what_no_size_shows(source: ImageSource, tmp_path: Path, data: layouts.Small) -> None:
    folder = layouts.write_folder(tmp_path / "mine", data)
    add("cifar10", folder)
    (folder / "test/cat/00000.png").write_bytes(layouts.encode(data.test[1]))
    assert "content differs" in verify("cifar10").faults[0]
    (folder / "test/cat/00000.png").unlink()
    report = verify("cifar10")
    assert "00000.png is gone" in report.faults[0]
    assert "of class 'cat' instead of" in report.faults[1]


def test_verify_finds_swapped_folders(source: ImageSource, tmp_path: Path, data: layouts.Small) -> None:
    folder = layouts.write_folder(tmp_path / "mine", data)
    add("cifar10", folder)
    for old, new in (("cat", "x"), ("ship", "cat"), ("x", "ship")):
        (folder / "test" / old).rename(folder / "test" / new)
    assert verify("cifar10").faults


def test_labels_have_a_digest_of_their_own(source: ImageSource, copy: Path, data: layouts.Small) -> None:
    add("cifar10", copy)
    known = verify("cifar10").splits["test"]
    path = copy / "cifar-10-batches-bin/test_batch.bin"
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(len(data.test), -1).copy()
    records[3, 700] ^= 1
    path.write_bytes(records.tobytes())
    repainted = verify("cifar10").splits["test"]
    assert repainted.labels == known.labels and repainted.content != known.content
    records[[0, 1], 0] = records[[1, 0], 0]
    path.write_bytes(records.tobytes())
    relabelled = verify("cifar10").splits["test"]
    assert relabelled.counts == known.counts
    assert relabelled.labels != known.labels


def test_verify_of_a_copy_that_is_gone(source: ImageSource, copy: Path) -> None:
    add("cifar10", copy)
    copy.rename(copy.with_name("elsewhere"))
    report = verify("cifar10")
    assert report.faults == (f"{copy.resolve()} is gone",) * 2
    add("cifar10", copy.with_name("elsewhere"))
    assert verify("cifar10").ok


def test_verify_without_a_copy_says_how_to_get_one(source: ImageSource) -> None:
    with pytest.raises(DataNotFoundError, match="not on this machine"):
        verify("cifar10")


def test_verify_checks_what_the_package_brings() -> None:
    report = verify("digits")
    assert report.ok
    assert report.splits["test"].n == SOURCES.get("digits").size("test")


def test_ready_lists_what_is_here(source: ImageSource, copy: Path) -> None:
    here = {one.source: one for one in ready()}
    assert here["digits"].bundled
    assert here["cifar10"].splits == {}
    add("cifar10", copy)
    one = ready("cifar10")[0]
    assert one.splits == {"test": 20, "train": 30}
    assert one.bytes == 50 * 3073
    assert one.root == copy.resolve()


def test_a_record_of_a_newer_version_is_refused(source: ImageSource, copy: Path) -> None:
    add("cifar10", copy)
    path = local.source_folder("cifar10") / local.RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    assert "newer" in str(ready("cifar10")[0].problem)
