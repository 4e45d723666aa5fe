"""Taking in local copies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from shifts import local, staging
from shifts.catalogue import add
from shifts.data import load_examples
from shifts.digest import file_digest
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.fetching import fetch
from shifts.spec import ImageSource, RemoteFile
from shifts.verifying import ready, verify
from tests.shifts import cifar_layouts as layouts
from tests.shifts.sources.copies import declare


def test_a_linked_copy_is_recorded_and_opened(source: ImageSource, copy: Path, data: layouts.Small) -> None:
    steps: list[tuple[str, int, int]] = []
    record = add("cifar10", copy, progress=lambda *step: steps.append(step))
    assert local.root_of(record) == copy.resolve()
    assert sorted(record.files) == [
        *(f"cifar-10-batches-bin/data_batch_{n}.bin" for n in range(1, 6)),
        "cifar-10-batches-bin/test_batch.bin",
    ]
    assert local.read_record("cifar10") == record
    assert np.array_equal(load_examples("cifar10", "test").image(3), data.test[3])
    assert ("cifar10/test", 20, 20) in steps


def test_a_copied_copy_lives_on_its_own(source: ImageSource, copy: Path, data: layouts.Small) -> None:
    record = add("cifar10", copy, copy=True)
    (copy / "cifar-10-batches-bin/test_batch.bin").unlink()
    assert not record.linked
    assert np.array_equal(load_examples("cifar10", "test").image(3), data.test[3])
    assert verify("cifar10").ok


def test_the_same_content_in_another_layout_takes_the_place(
    source: ImageSource, copy: Path, tmp_path: Path, data: layouts.Small
) -> None:
    first = add("cifar10", copy, copy=True)
    second = add("cifar10", layouts.write_python(tmp_path / "other", data), copy=True)
    assert first.splits == second.splits
    folder = local.source_folder("cifar10")
    assert sorted(path.name for path in folder.iterdir()) == [Path(second.root).parts[0], local.RECORD]
    load_examples("cifar10", "test")


def test_the_kept_files_can_be_added_again_where_they_lie(source: ImageSource, copy: Path) -> None:
    record = add("cifar10", copy, copy=True)
    assert add("cifar10", local.root_of(record)) == record
    assert verify("cifar10").ok


def test_other_content_is_refused_by_name_unless_asked_for(
    source: ImageSource, copy: Path, tmp_path: Path, data: layouts.Small
) -> None:
    first = add("cifar10", copy)
    changed = dataclasses.replace(data, test=data.test[::-1])
    other = layouts.write_binary(tmp_path / "other", changed)
    with pytest.raises(UserError, match="differs from the recorded copy") as caught:
        add("cifar10", other)
    assert str(copy) in caught.value.message
    assert "--replace" in str(caught.value.hint)
    assert local.read_record("cifar10") == first
    assert add("cifar10", other, replace=True).splits != first.splits


def test_a_copy_with_fewer_splits_does_not_take_the_place(
    source: ImageSource, copy: Path, tmp_path: Path, data: layouts.Small
) -> None:
    add("cifar10", copy)
    with pytest.raises(UserError, match="no split train"):
        add("cifar10", layouts.write_folder(tmp_path / "folder", data))


def test_a_failed_add_leaves_the_old_copy(
    source: ImageSource, copy: Path, tmp_path: Path, data: layouts.Small
) -> None:
    first = add("cifar10", copy, copy=True)
    broken = layouts.write_binary(tmp_path / "broken", data)
    (broken / "cifar-10-batches-bin/test_batch.bin").write_bytes(b"x")
    with pytest.raises(CorruptDataError):
        add("cifar10", broken, copy=True, replace=True)
    assert local.read_record("cifar10") == first
    assert verify("cifar10").ok


def test_a_killed_add_leaves_nothing_in_the_way(
    source: ImageSource, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = local.source_folder("cifar10")
    (folder / staging.INCOMING / "half").mkdir(parents=True)
    (folder / "files-1").mkdir()
    record = add("cifar10", copy, copy=True)
    assert sorted(path.name for path in folder.iterdir()) == [record.root, local.RECORD]


def test_a_declared_content_must_be_met(
    source: ImageSource, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = add("cifar10", copy).splits["test"].content
    declare(monkeypatch, source, content={"test": digest})
    assert not add("cifar10", copy, partial=True).partial
    declare(monkeypatch, source, content={"test": "0" * 64})
    with pytest.raises(CorruptDataError, match="not the published one"):
        add("cifar10", copy)
    assert add("cifar10", copy, partial=True).partial


def test_published_hashes_of_single_files_must_be_met(
    source: ImageSource, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy / "cifar-10-batches-bin/test_batch.bin"
    declare(monkeypatch, source, files=(RemoteFile(filename=path.name, sha256=file_digest(path)),))
    add("cifar10", copy)
    declare(monkeypatch, source, files=(RemoteFile(filename=path.name, md5="0" * 32),))
    with pytest.raises(CorruptDataError, match=r"test_batch\.bin"):
        add("cifar10", copy)


def test_more_than_the_whole_is_refused_even_as_a_part(
    source: ImageSource, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, source, counts={"test": (1,) * 10})
    with pytest.raises(CorruptDataError, match="more than"):
        add("cifar10", copy, partial=True)


def test_a_partial_copy_says_so(source: ImageSource, tmp_path: Path, data: layouts.Small) -> None:
    folder = layouts.write_folder(tmp_path, data)
    (folder / "test/cat/00000.png").unlink()
    record = add("cifar10", folder, partial=True)
    assert record.partial
    assert ready("cifar10")[0].partial
    report = verify("cifar10")
    assert report.ok
    assert report.partial


def test_an_unsafe_archive_leaves_nothing(source: ImageSource, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../evil"))
    with pytest.raises(UserError, match=r"\.\./evil"):
        add("cifar10", tmp_path / "x.tar")
    assert not local.source_folder("cifar10").exists()


def test_a_fault_in_an_archive_is_told_of_the_archive(
    source: ImageSource, tmp_path: Path, data: layouts.Small
) -> None:
    folder = layouts.write_folder(tmp_path / "mine", data)
    (folder / "test/cat/00000.png").write_bytes(b"x")
    path = layouts.pack_zip(folder, tmp_path / "mine.zip")
    with pytest.raises(CorruptDataError) as caught:
        add("cifar10", path)
    assert f"{path}/test/cat/00000.png" in caught.value.message
    assert staging.INCOMING not in str(caught.value)


def test_nothing_there_and_nothing_known(source: ImageSource, tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="nothing is at"):
        add("cifar10", tmp_path / "nowhere")
    (tmp_path / "x.txt").touch()
    with pytest.raises(DataNotFoundError, match=r"x\.txt"):
        add("cifar10", tmp_path)
    layouts.pack_tar(tmp_path, tmp_path / "cifar.tar.gz")
    with pytest.raises(DataNotFoundError) as caught:
        add("cifar10", tmp_path)
    assert f"data add cifar10 {tmp_path / 'cifar.tar.gz'}" in str(caught.value.hint)


def test_a_data_folder_that_cannot_be_written(source: ImageSource, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        add("cifar10", copy, data_dir=tmp_path / "file")


def test_bundled_sources_need_nothing(tmp_path: Path) -> None:
    for call in (lambda: add("digits", tmp_path), lambda: fetch("digits")):
        with pytest.raises(UserError, match="comes with the package"):
            call()
