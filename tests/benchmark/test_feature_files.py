"""Features from elsewhere: every layout gives the same numbers, and what is wrong with a file is said."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from benchmark import feature_formats
from benchmark.feature_files import read_feature_file
from shifts.errors import CorruptDataError, UserError

VALUES = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
CLASSES = np.arange(50) % 3
NAMES = [f"image-{row}" for row in range(50)]


def npy(path: Path) -> None:
    np.save(path, VALUES)


def npz(path: Path) -> None:
    np.savez(path, features=VALUES, labels=CLASSES, ids=np.array(NAMES))


def packed(path: Path) -> None:
    np.savez_compressed(path, labels=CLASSES, ids=np.array(NAMES).astype("S"), Embeddings=VALUES)


def tensors(path: Path) -> None:
    save_file({"features": VALUES, "labels": CLASSES}, path)


def lists(path: Path) -> None:
    columns = {"id": NAMES, "embedding": list(VALUES), "label": CLASSES}
    pq.write_table(pa.table(columns), path, row_group_size=17)


def fixed(path: Path) -> None:
    matrix = pa.FixedSizeListArray.from_arrays(pa.array(VALUES.ravel()), VALUES.shape[1])
    pq.write_table(pa.table({"features": matrix, "id": NAMES, "labels": CLASSES}), path)


def wide(path: Path) -> None:
    columns = {f"feature_{place}": VALUES[:, place] for place in reversed(range(7))}
    pq.write_table(pa.table({"path": NAMES, "label": CLASSES, **columns}), path)


@pytest.mark.parametrize(
    ("ending", "write", "mapped", "labelled", "named"),
    [
        (".npy", npy, True, False, False),
        (".npz", npz, True, True, True),
        (".npz", packed, False, True, True),
        (".safetensors", tensors, True, True, False),
        (".parquet", lists, False, True, True),
        (".parquet", fixed, False, True, True),
        (".parquet", wide, False, True, True),
    ],
)
def test_every_layout_gives_the_same_features(
    ending: str, write: Callable[[Path], None], mapped: bool, labelled: bool, named: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"features{ending}"
    write(path)
    found = read_feature_file(path)
    assert found.values.dtype == np.float32 and np.array_equal(found.values, VALUES)
    assert isinstance(found.values, np.memmap) == mapped
    assert found.labels is None or (found.labels.dtype == np.int64 and np.array_equal(found.labels, CLASSES))
    assert (found.labels is not None) == labelled
    assert found.ids == (tuple(NAMES) if named else None)


def test_other_precisions_are_converted(tmp_path: Path) -> None:
    for dtype in (np.float16, np.float64, ">f4"):
        np.save(tmp_path / "f.npy", VALUES.astype(dtype))
        expected = VALUES.astype(dtype).astype(np.float32)
        assert np.array_equal(read_feature_file(tmp_path / "f.npy").values, expected)
    np.savez(tmp_path / "f.npz", features=np.asfortranarray(VALUES))
    assert np.array_equal(read_feature_file(tmp_path / "f.npz").values, VALUES)
    brain = torch.from_numpy(VALUES).bfloat16()
    save_torch({"x": brain}, tmp_path / "f.safetensors")
    assert np.array_equal(read_feature_file(tmp_path / "f.safetensors").values, brain.float().numpy())


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        raise AssertionError("unpickled")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.npy", VALUES[0], "a row an example"),
        ("f.npy", VALUES.astype(np.int64), "expected floats"),
        ("f.npy", np.zeros((0, 3), np.float32), "expected floats"),
        ("f.npy", np.where(np.arange(350).reshape(50, 7) == 30, np.nan, VALUES), "row 4: features"),
        ("f.npy", np.full((2, 2), 1e300), "row 0: features"),
        ("f.npz", {"features": VALUES, "labels": CLASSES[:9]}, r"labels int64 \(9,\) for 50"),
        ("f.npz", {"features": VALUES, "labels": CLASSES - 1}, "whole number from 0"),
        ("f.npz", {"features": VALUES, "ids": np.array(["same"] * 50)}, "1 of them different"),
        ("f.npz", {"one": VALUES, "two": VALUES}, "no features"),
    ],
)
def test_what_is_wrong_is_said(name: str, content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    np.savez(path, **content) if isinstance(content, dict) else np.save(path, content)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message):
        read_feature_file(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "f.npz", features=np.zeros((2, 2), np.float32), ids=np.array([None, {}], dtype=object)
    )
    with pytest.raises(CorruptDataError, match="pickled"):
        read_feature_file(tmp_path / "f.npz")
    np.save(tmp_path / "f.npy", np.array([[None]], dtype=object))
    with pytest.raises(CorruptDataError, match="not a readable"):
        read_feature_file(tmp_path / "f.npy")
    (tmp_path / "f.pkl").write_bytes(b"")
    with pytest.raises(UserError, match="its ending is none of"):
        read_feature_file(tmp_path / "f.pkl")
    with pytest.raises(UserError, match="not there"):
        read_feature_file(tmp_path / "none.npy")


@pytest.mark.parametrize(("ending", "write"), [(".npy", npy), (".npz", npz), (".npz", packed),
                                               (".safetensors", tensors), (".parquet", lists)])  # fmt: skip
def test_a_file_cut_short_is_named(ending: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / f"features{ending}"
    write(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CorruptDataError, match="features"):
        read_feature_file(path)


def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**3)}
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("features.npy", "w") as out,
    ):
        np.lib.format.write_array_header_1_0(out, header)
    with pytest.raises(CorruptDataError, match="not as long as its shape"):
        read_feature_file(path)


def test_what_must_be_converted_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_formats, "MAX_BYTES", 1000)
    np.save(tmp_path / "f.npy", VALUES)
    assert read_feature_file(tmp_path / "f.npy").values.shape == (50, 7)
    np.save(tmp_path / "f.npy", VALUES.astype(np.float64))
    packed(tmp_path / "f.npz")
    lists(tmp_path / "f.parquet")
    for name in ("f.npy", "f.npz", "f.parquet"):
        with pytest.raises(UserError, match="too many to convert"):
            read_feature_file(tmp_path / name)


def test_uneven_rows_of_a_parquet_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"features": [[1.0, 2.0], [1.0]]}), path)
    with pytest.raises(CorruptDataError, match="rows of 1 and of 2"):
        read_feature_file(path)
    pq.write_table(pa.table({"feature_0": [1.0], "feature_2": [1.0]}), path)
    with pytest.raises(CorruptDataError, match="not numbered"):
        read_feature_file(path)
    pq.write_table(pa.table({"features": [[1.0, None]]}), path)
    with pytest.raises(CorruptDataError, match="not finite"):
        read_feature_file(path)
