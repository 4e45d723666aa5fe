"""Taking in, verifying, fetching and listing local copies."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from shifts import local, staging
from shifts.catalogue import add
from shifts.data import load_examples
from shifts.digest import file_digest
from shifts.download import DownloadError
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.fetching import fetch
from shifts.spec import SOURCES, ImageSource, RemoteFile
from shifts.verifying import ready, verify
from tests.shifts import cifar_layouts as layouts


@pytest.fixture
def data() -> layouts.Small:
    return layouts.small()


@pytest.fixture
def source(data: layouts.Small, monkeypatch: pytest.MonkeyPatch) -> ImageSource:
    """CIFAR-10 as if the small set were the whole one."""
    whole = SOURCES.get("cifar10")
    counts = {
        "test": tuple(np.bincount(data.test_labels, minlength=10).tolist()),
        "train": tuple(np.bincount(data.train_labels, minlength=10).tolist()),
    }
    small = dataclasses.replace(whole, counts=counts, files=(), hub=None)
    monkeypatch.setitem(SOURCES._entries, "cifar10", small)
    return small


def declare(monkeypatch: pytest.MonkeyPatch, source: ImageSource, **changes: object) -> ImageSource:
    changed = dataclasses.replace(source, **changes)  # type: ignore[arg-type]
    monkeypatch.setitem(SOURCES._entries, source.name, changed)
    return changed


@pytest.fixture
def copy(tmp_path: Path, data: layouts.Small) -> Path:
    return layouts.write_binary(tmp_path / "mine", data)


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


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address it is served at."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    for name in ("ROBUSTBENCH_SHIFT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("shifts.download.PAUSE", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def published(path: Path, *addresses: str) -> RemoteFile:
    urls = tuple(f"{address}/{path.name}" for address in addresses)
    return RemoteFile(filename=path.name, urls=urls, sha256=file_digest(path), size=path.stat().st_size)


def test_fetch_downloads_unpacks_and_records(
    source: ImageSource, copy: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = layouts.pack_tar(copy, site[0] / "cifar.tar.gz")
    declare(monkeypatch, source, files=(published(archive, site[1] + "/gone", site[1]),))
    record = fetch("cifar10")
    assert record.splits["test"].n == layouts.SIZE
    assert not record.linked
    folder = local.source_folder("cifar10")
    assert sorted(path.name for path in folder.iterdir()) == [record.root, local.RECORD]
    archive.unlink()
    assert fetch("cifar10") == record  # it is there: nothing is asked
    assert verify("cifar10").ok


def test_fetch_of_several_plain_files(
    source: ImageSource, copy: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((copy / "cifar-10-batches-bin").glob("*.bin"))
    files = tuple(published(path.rename(site[0] / path.name), site[1]) for path in paths)
    declare(monkeypatch, source, files=files)
    assert fetch("cifar10").splits["train"].n == 30


def test_what_was_fetched_survives_a_failure_later(
    source: ImageSource, copy: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = layouts.pack_tar(copy, site[0] / "cifar.tar.gz")
    files = (
        published(archive, site[1]),
        RemoteFile(filename="more.bin", urls=(f"{site[1]}/more.bin",), size=1),
    )
    declare(monkeypatch, source, files=files)
    with pytest.raises(DownloadError, match=r"more\.bin"):
        fetch("cifar10")
    archive.unlink()
    (site[0] / "more.bin").write_bytes(b"x")
    assert fetch("cifar10").splits["test"].n == layouts.SIZE


def test_fetch_offline_opens_no_socket(source: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_OFFLINE", "1")
    monkeypatch.setattr(socket, "socket", None)
    declare(monkeypatch, source, files=(RemoteFile(filename="x", urls=("http://127.0.0.1/x",), size=1),))
    with pytest.raises(DownloadError, match="offline"):
        fetch("cifar10")
    declare(monkeypatch, source, hub="owner/name")
    with pytest.raises(DownloadError, match="offline"):
        fetch("cifar10")
    assert not local.source_folder("cifar10").exists()


def test_fetch_of_what_nobody_serves_says_how_to_add(source: ImageSource, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch("cifar10")
    assert "data add cifar10 PATH" in str(caught.value.hint)


def test_the_hub_stands_in_when_the_address_is_gone(
    source: ImageSource,
    site: tuple[Path, str],
    data: layouts.Small,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub

    asked: list[tuple[str, str | None]] = []

    def snapshot(repository: str, *, revision: str | None, local_dir: Path, **_: object) -> str:
        asked.append((repository, revision))
        layouts.write_parquet(local_dir, data)
        return str(local_dir)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    file = RemoteFile(filename="x.tar", urls=(f"{site[1]}/x.tar",), sha256="0" * 64)
    declare(monkeypatch, source, files=(file,), hub="owner/name@abc")
    assert fetch("cifar10").splits["test"].n == layouts.SIZE
    assert asked == [("owner/name", "abc")]
    assert verify("cifar10").ok


def test_a_gated_hub_says_what_to_click(
    source: ImageSource, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    def refuse(*_: object, **__: object) -> None:
        raise GatedRepoError.__new__(GatedRepoError, "gated")  # its arguments depend on the library's version

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    declare(monkeypatch, source, hub="owner/name")
    with pytest.raises(DownloadError, match="terms") as caught:
        fetch("cifar10")
    assert "HF_TOKEN" in str(caught.value.hint)
