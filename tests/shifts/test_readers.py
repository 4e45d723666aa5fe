"""Readers of layouts: what they give, what they refuse, what they hold in memory."""

from __future__ import annotations

import os
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.readers import parquet
from shifts.readers.arrays import encoded_npz, is_npz, npy
from shifts.readers.files import FolderFiles, TarFiles, open_files
from shifts.readers.folders import class_folders
from shifts.readers.layouts import first_layout, folder_with, remark, remarks_kept, walk
from shifts.readers.parquet import ParquetPayloads
from shifts.readers.payloads import ArrayPayloads, Chain, FilePayloads
from shifts.readers.pickles import read_pickle
from tests.shifts import cifar_layouts as layouts

CLASSES = {"cat": 0, "dog": 1}


def image_folder(root: Path) -> Path:
    for name, grey in (("cat/a", 10), ("cat/b", 20), ("dog/a", 30)):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(layouts.encode(np.full((4, 5, 3), grey, np.uint8)))
    return root


def test_class_folders_read_the_same_from_a_folder_and_from_a_tar(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "top" / "images")
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.add(tmp_path / "top", arcname=".")
    found = [class_folders(open_files(path), CLASSES, depth=2) for path in (folder, tmp_path / "images.tar")]
    for one in found:
        assert one is not None
        assert one.stems == ("cat/a", "cat/b", "dog/a")
        assert one.labels.tolist() == [0, 0, 1]
        assert [int(one.examples().image(i)[0, 0, 0]) for i in range(3)] == [10, 20, 30]


def test_class_folders_ignore_what_systems_leave_behind(tmp_path: Path) -> None:
    folder = image_folder(tmp_path)
    (folder / "cat" / ".DS_Store").write_bytes(b"x")
    (folder / "dog" / "Thumbs.db").write_bytes(b"x")
    (folder / "README.txt").write_text("beside the classes")
    found = class_folders(FolderFiles(folder), CLASSES)
    assert found is not None
    assert len(found.names) == 3


@pytest.mark.parametrize("name", ["cat/notes.txt", "kat/c.png"])
def test_class_folders_name_a_file_or_folder_that_does_not_belong(tmp_path: Path, name: str) -> None:
    folder = image_folder(tmp_path)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(CorruptDataError, match=name.partition("/")[0]) as caught:
        class_folders(FolderFiles(folder), CLASSES)
    assert caught.value.hint


def test_class_folders_are_not_seen_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert class_folders(FolderFiles(tmp_path), CLASSES) is None


def test_tar_with_a_link_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member = tarfile.TarInfo("cat/a.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(CorruptDataError, match=r"cat/a\.png"):
        TarFiles(tmp_path / "x.tar")


def test_tar_cut_short_is_named(tmp_path: Path) -> None:
    path = layouts.pack_tar(image_folder(tmp_path / "x"), tmp_path / "x.tar", mode="w")
    path.write_bytes(path.read_bytes()[:1400])
    with pytest.raises(CorruptDataError, match=r"x\.tar"):
        TarFiles(path)


def test_npy_is_mapped_and_checked(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    np.save(tmp_path / "a.npy", array)
    mapped = npy(tmp_path / "a.npy", dtype="u1", ndim=4)
    assert isinstance(mapped, np.memmap)
    with pytest.raises(CorruptDataError, match="expected"):
        npy(tmp_path / "a.npy", dtype="i8", ndim=1)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-3])
    with pytest.raises(CorruptDataError, match=r"a\.npy"):
        npy(tmp_path / "a.npy", dtype="u1", ndim=4)
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    with pytest.raises(CorruptDataError, match=r"o\.npy"):
        npy(tmp_path / "o.npy", dtype="u1", ndim=1)


@pytest.mark.parametrize("order", ["HWC", "CHW", "HW"])
def test_array_payloads_give_rgb_of_their_own(tmp_path: Path, order: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    stored = {"HWC": image, "CHW": image.transpose(0, 3, 1, 2), "HW": image[..., 0]}[order]
    payloads = ArrayPayloads(stored, [tmp_path], order=order)  # type: ignore[arg-type]
    expected = np.repeat(image[1][..., :1], 3, axis=2) if order == "HW" else image[1]
    assert np.array_equal(payloads[1], expected)
    payloads[1][:] = 0
    assert np.array_equal(payloads[1], expected)


def test_mapped_payloads_travel_as_a_place_not_as_bytes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", images)
    payloads = Chain([ArrayPayloads(npy(tmp_path / "a.npy", dtype="u1", ndim=4)[10:], [tmp_path / "a.npy"])])
    packed = pickle.dumps(payloads)
    assert len(packed) < 2000
    again = pickle.loads(packed)
    assert len(again) == 40
    assert all(np.array_equal(again[i], images[10 + i]) for i in range(40))
    assert again.paths() == [tmp_path / "a.npy"]
    assert again.where(3).endswith("row 3")


def test_parquet_reads_any_order_from_several_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = layouts.small()
    layouts.write_parquet(tmp_path, data)
    path = parquet.parquet_files(tmp_path, "test")
    order = np.random.default_rng(1).permutation(layouts.SIZE).tolist()
    for whole in (parquet.WHOLE_GROUP, 0):  # row groups in memory, and as a stream
        monkeypatch.setattr(parquet, "WHOLE_GROUP", whole)
        monkeypatch.setattr(parquet, "STREAM_ROWS", 3)
        payloads = pickle.loads(pickle.dumps(ParquetPayloads(path)))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(payloads.__getitem__, order))
        assert found == [layouts.encode(data.test[i]) for i in order]
        assert payloads.labels.tolist() == data.test_labels.tolist()


def test_parquet_keeps_few_row_groups(tmp_path: Path) -> None:
    layouts.write_parquet(tmp_path, layouts.small(), row_group_size=1)
    payloads = ParquetPayloads(parquet.parquet_files(tmp_path, "train"))
    for index in range(len(payloads)):
        payloads[index]
    assert len(payloads._cache) == parquet.KEPT_GROUPS


def test_parquet_faults_are_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1]}), tmp_path / "test-0.parquet")
    with pytest.raises(CorruptDataError, match="columns x"):
        ParquetPayloads([tmp_path / "test-0.parquet"])
    (tmp_path / "test-0.parquet").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(CorruptDataError, match=r"test-0\.parquet"):
        ParquetPayloads([tmp_path / "test-0.parquet"])


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("plain_text/test-00000-of-00001.parquet", "test"),
        ("cifar10-test.parquet", "test"),
        ("plain_text/test/0000.parquet", "test"),
        ("data/validation-00000-of-00014.parquet", "validation"),
    ],
)
def test_parquet_files_are_found_by_split(tmp_path: Path, name: str, split: str) -> None:
    for path in (tmp_path / name, tmp_path / "latest-train.parquet"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert parquet.parquet_files(tmp_path, split) == [tmp_path / name]


def test_encoded_npz_reads_only_what_it_needs(tmp_path: Path) -> None:
    encoded = [layouts.encode(image, "JPEG") for image in layouts.small().test]
    path = layouts.write_npz(
        tmp_path / "x.npz",
        encoded,
        layouts.small().test_labels,
        orig_test_index=np.arange(20) * 3,
        objects=np.array([{}], dtype=object),  # never unpickled
    )
    examples = encoded_npz(path, prefix="test")
    assert [examples.payloads[i] for i in range(20)] == encoded
    assert examples.ids[2] == "test-00006"


@pytest.mark.parametrize(
    "broken",
    [
        {"offsets": np.arange(5)},
        {"offsets": np.arange(21) * 10**6},
        {"labels": np.zeros((20, 2))},
        {"labels": np.zeros(20)},
        {"jpeg": np.zeros(3, dtype=np.float32)},
        {"jpeg": np.array([{}], dtype=object)},
        {"orig_test_index": np.zeros(3)},
    ],
)
def test_encoded_npz_that_does_not_fit_is_refused(tmp_path: Path, broken: dict[str, object]) -> None:
    encoded = [layouts.encode(image, "JPEG") for image in layouts.small().test]
    path = layouts.write_npz(tmp_path / "x.npz", encoded, layouts.small().test_labels, **broken)
    with pytest.raises(CorruptDataError, match=r"x\.npz"):
        encoded_npz(path, prefix="test")


def test_encoded_npz_cut_short_is_named(tmp_path: Path) -> None:
    encoded = [layouts.encode(image, "JPEG") for image in layouts.small().test]
    path = layouts.write_npz(tmp_path / "x.npz", encoded, layouts.small().test_labels)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert not is_npz(path)
    with pytest.raises(CorruptDataError, match=r"x\.npz"):
        encoded_npz(path, prefix="test")


class Attack:
    """A pickle that would run a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_with_code_in_it_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    evil = tmp_path / "test_batch"
    evil.write_bytes(pickle.dumps({"data": Attack(mark), "labels": [1]}, protocol=protocol))
    with pytest.raises(CorruptDataError, match="system") as caught:
        read_pickle(evil)
    assert "nothing of it was run" in caught.value.message
    assert not mark.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"c_codecs\ndecode\n.",
        b"cnumpy\nndarray\n(K\x01tR}(U\x05stateU\x01xub.",  # a state that is no array
        b"(cnumpy\nndarray\nl.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)RN.",
        b"not a pickle",
        b"",
        b"\x80\x02}q\x01(U",
    ],
)
def test_odd_pickles_give_one_message(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(code)
    try:
        value = read_pickle(path)
    except CorruptDataError as error:
        assert "test_batch" in error.message
    else:
        assert not isinstance(value, np.ndarray)


def test_pickles_written_by_python_3_are_read(tmp_path: Path) -> None:
    data = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for protocol in (2, 3, 4):
        (tmp_path / "x").write_bytes(
            pickle.dumps({"data": data, "f": data.T, "n": [1, "a"]}, protocol=protocol)
        )
        found = read_pickle(tmp_path / "x")
        assert np.array_equal(found["data"], data)
        assert np.array_equal(found["f"], data.T)
        assert found["n"] == [1, "a"]


def test_folder_with_finds_the_nearest(tmp_path: Path) -> None:
    for folder in ("a/b", "c"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "mark").touch()
    assert folder_with(tmp_path, "mark") == tmp_path / "c"
    assert folder_with(tmp_path / "c" / "mark", "mark") == tmp_path / "c"
    assert folder_with(tmp_path, "other") is None


def test_walk_ends_in_a_circle_of_links(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(list(walk(tmp_path, depth=4))) == 4


def test_first_layout_says_what_it_found_instead(tmp_path: Path) -> None:
    (tmp_path / "something.txt").touch()
    with pytest.raises(DataNotFoundError, match=r"something\.txt") as caught:
        first_layout(tmp_path, "test", (lambda root, split: None,), source="cifar10")
    assert "cifar-10-batches-py" in str(caught.value.hint)


def test_remarks_are_kept_only_when_asked() -> None:
    remark("unheard")
    with remarks_kept() as kept:
        remark("heard")
        remark("heard")
    assert kept == ["heard"]


def test_file_payloads_know_their_place(tmp_path: Path) -> None:
    folder = image_folder(tmp_path)
    payloads = FilePayloads(FolderFiles(folder), ["cat/a.png"])
    assert payloads.where(0) == str(folder / "cat/a.png")
    (folder / "cat/a.png").unlink()
    with pytest.raises(CorruptDataError, match=r"cat/a\.png"):
        payloads[0]
