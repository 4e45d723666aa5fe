"""Waterbirds, CelebA, Camelyon17, FMoW and iWildCam: tables with labels, splits and groups, as published."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shifts.catalogue import add
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError
from shifts.local import content_digest
from shifts.sources import celeba as celeba_source
from shifts.sources import fmow as fmow_source
from shifts.sources import iwildcam as iwildcam_source
from shifts.sources import waterbirds as waterbirds_source
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import verify
from tests.shifts.sources.copies import declare_small, encoded, truncate, write_csv
from tests.shifts.sources.table_layouts import WRITERS, camelyon17, celeba, fmow, iwildcam, waterbirds


@pytest.fixture(params=WRITERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small copy that counts as the whole of its source."""
    monkeypatch.setattr(waterbirds_source, "GROUPS", {})
    monkeypatch.setattr(celeba_source, "GROUPS", {})
    copy = WRITERS[name](tmp_path / "copy")
    declare_small(monkeypatch, name, copy)
    return copy


def test_a_copy_goes_in_and_every_split_comes_back(name: str, root: Path) -> None:
    record = add(name, root)
    assert not record.partial
    assert set(record.splits) == set(SOURCES.get(name).counts)
    assert verify(name).ok
    seen: set[str] = set()
    for spec in SHIFTS:
        if spec.source == name:
            shift = load_shift(spec.name)
            assert shift.item(0).shape[2] == 3
            assert all(column.values.max() < len(column.names) for column in shift.group_columns.values())
    for split in record.splits:
        ids = set(load_examples(name, split).ids)
        assert not ids & seen
        seen |= ids


def edit(path: Path, row: int, column: str, value: str) -> None:
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[row][column] = value
    write_csv(path, rows)


TABLES = {
    "waterbirds": "waterbird_complete95_forest2water2/metadata.csv",
    "celeba": "celeba/list_attr_celeba.txt",
    "camelyon17": "camelyon17_v1.0/metadata.csv",
    "fmow": "fmow_v1.1/rgb_metadata.csv",
    "iwildcam": "iwildcam_v2.0/metadata.csv",
}


def first_image(root: Path, name: str) -> Path:
    source = SOURCES.get(name)
    from shifts.registry import resolve

    examples = resolve(source.loader)(root, next(iter(source.counts)))
    return Path(examples.payloads.where(0))


def test_a_truncated_image_is_named(name: str, root: Path) -> None:
    path = first_image(root, name)
    truncate(path)
    with pytest.raises(CorruptDataError) as caught:
        add(name, root)
    assert path.name in caught.value.message


def test_a_missing_image_is_named(name: str, root: Path) -> None:
    path = first_image(root, name)
    path.unlink()
    with pytest.raises(CorruptDataError) as caught:
        add(name, root, partial=True)
    assert path.name in caught.value.message


def test_a_row_less_is_counted(name: str, root: Path) -> None:
    table = root / TABLES[name]
    for part in ("celeba/list_eval_partition.txt",) if name == "celeba" else (TABLES[name],):
        lines = (root / part).read_text().splitlines(keepends=True)
        gone = next(number for number, line in enumerate(lines) if number > 1)
        (root / part).write_text("".join(lines[:gone] + lines[gone + 1 :]))
    assert table.is_file()
    with pytest.raises(CorruptDataError) as caught:
        add(name, root)
    # FMoW numbers its images by row, so there the images are the wrong ones or gone.
    assert "instead of" in caught.value.message or "rgb_img" in caught.value.message


def test_a_changed_label_is_found_later(name: str, root: Path) -> None:
    add(name, root)
    table = root / TABLES[name]
    if name == "celeba":
        table.write_text(table.read_text().replace("-1", " 1", 10))
    else:
        column = {"fmow": "category", "camelyon17": "tumor"}.get(name, "y")
        with table.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        other = next(row[column] for row in rows if row[column] != rows[0][column])
        edit(table, 0, column, other)
    assert not verify(name).ok


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "celeba"])
def test_a_table_cut_short_is_named(name: str, root: Path) -> None:
    table = root / TABLES[name]
    table.write_text(table.read_text().rstrip()[:-6].rpartition(",")[0])
    with pytest.raises(CorruptDataError) as caught:
        add(name, root, partial=True)
    assert f"{table.name}, line" in caught.value.message


FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a label that is no number": (
        "waterbirds",
        lambda root: edit(root / TABLES["waterbirds"], 3, "y", "bird"),
        "y is 'bird'",
    ),
    "a label out of range": (
        "iwildcam",
        lambda root: edit(root / TABLES["iwildcam"], 3, "y", "99999"),
        "label 99999",
    ),
    "a category nobody knows": (
        "fmow",
        lambda root: edit(root / TABLES["fmow"], 3, "category", "castle"),
        "'castle'",
    ),
    "a slide of another hospital": (
        "camelyon17",
        lambda root: edit(root / TABLES["camelyon17"], 3, "slide", "44"),
        "slide 44 cannot be of hospital 0",
    ),
    "no list of splits": (
        "celeba",
        lambda root: (root / "celeba/list_eval_partition.txt").unlink(),
        "lacks list_eval_partition.txt",
    ),
    "no mapping of countries": (
        "fmow",
        lambda root: (root / "fmow_v1.1/country_code_mapping.csv").unlink(),
        "country_code_mapping.csv",
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


def test_the_groups_of_waterbirds(tmp_path: Path) -> None:
    add("waterbirds", waterbirds(tmp_path), partial=True)
    shift = load_shift("waterbirds/test")
    assert [column.names for column in shift.group_columns.values()] == [
        ("landbird", "waterbird"),
        ("land", "water"),
    ]
    assert len(shift) == 120
    weights = SHIFTS.get("waterbirds/test").group_weights
    assert weights == {
        "landbird/land": 3_498,
        "landbird/water": 184,
        "waterbird/land": 56,
        "waterbird/water": 1_057,
    }
    reference = load_shift("waterbirds")
    codes = 2 * reference.groups[:, 0] + reference.groups[:, 1]
    scale = 40 / 3_498
    assert np.bincount(codes).tolist() == [40, round(184 * scale), round(56 * scale), round(1_057 * scale)]


def test_published_groups_are_checked_where_a_split_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = waterbirds(tmp_path)
    declare_small(monkeypatch, "waterbirds", root)
    monkeypatch.setattr(waterbirds_source, "GROUPS", {"test": (39, 41, 20, 20)})
    with pytest.raises(CorruptDataError, match=r"\(40, 40, 20, 20\); published are \(39, 41, 20, 20\)"):
        add("waterbirds", root)
    monkeypatch.setattr(waterbirds_source, "GROUPS", {"test": (40, 40, 20, 20)})
    assert not add("waterbirds", root).partial


def test_published_counts_add_up() -> None:
    assert {split: SOURCES.get("waterbirds").size(split) for split in ("train", "val", "test")} == {
        "train": 4_795,
        "val": 1_199,
        "test": 5_794,
    }
    assert SOURCES.get("celeba").size("train") == 162_770
    assert sum(SOURCES.get("celeba").size(split) for split in ("train", "val", "test")) == 202_599
    camelyon = SOURCES.get("camelyon17")
    assert sum(camelyon.size(split) for split in camelyon.counts) == 455_954
    assert SOURCES.get("fmow").size("test") == 22_108
    # Of the other splits one source alone gives numbers, so they are recorded and not enforced.
    assert SOURCES.get("fmow").published_size("train") is None
    wild = SOURCES.get("iwildcam")
    assert sum(wild.size(split) for split in wild.counts) == 203_029
    assert len(fmow_source.CATEGORIES) == 62 and list(fmow_source.CATEGORIES) == sorted(
        fmow_source.CATEGORIES
    )
    assert len(set(iwildcam_source.SPECIES)) == 182


def test_celeba_tables_of_both_kinds_give_the_same(tmp_path: Path) -> None:
    from shifts.sources.celeba import load

    for split in ("train", "val", "test"):
        one = load(celeba(tmp_path / f"{split}-txt"), split)
        two = load(celeba(tmp_path / f"{split}-csv", tables="csv"), split)
        assert content_digest(one) == content_digest(two)
    add("celeba", tmp_path / "test-txt", partial=True)
    balanced = load_shift("celeba/balanced")
    assert np.bincount(2 * balanced.groups[:, 0] + balanced.groups[:, 1]).tolist() == [4] * 4
    assert len(load_shift("celeba")) == 23


def test_the_splits_of_camelyon17(tmp_path: Path) -> None:
    add("camelyon17", camelyon17(tmp_path), partial=True)
    sizes = {
        split: len(load_examples("camelyon17", split).labels) for split in ("train", "id-val", "val", "test")
    }
    assert sizes == {"train": 30, "id-val": 6, "val": 12, "test": 12}
    assert load_shift("camelyon17").group_columns["hospital"].names == ("0", "3", "4")
    assert load_shift("camelyon17/test").group_columns["slide"].names == ("20", "21", "22", "23")


def test_the_splits_and_regions_of_fmow(tmp_path: Path) -> None:
    add("fmow", fmow(tmp_path), partial=True)
    sizes = {split: len(load_examples("fmow", split).labels) for split in SOURCES.get("fmow").counts}
    assert sizes == {"train": 24, "id-val": 24, "id-test": 24, "val": 12, "test": 12}
    test = load_shift("fmow/test")
    region = test.group_columns["region"]
    assert region.names == fmow_source.REGIONS
    assert np.bincount(region.values, minlength=6).tolist() == [4, 4, 0, 0, 0, 4]
    assert set(test.base.attributes["year"].names) == {"2016"}
    assert test.example_ids[0].startswith("images/rgb_img_")


def test_the_cameras_of_iwildcam(tmp_path: Path) -> None:
    add("iwildcam", iwildcam(tmp_path), partial=True)
    test = load_shift("iwildcam/test")
    assert test.group_columns["location"].names == ("4", "12")
    assert SHIFTS.get("iwildcam/test").metrics == ("macro_f1",)
    assert not set(load_shift("iwildcam").example_ids) & set(test.example_ids)


def test_waterbirds_from_the_parquet_of_the_hub(tmp_path: Path) -> None:
    for split, number in (("train", 8), ("validation", 4), ("test", 4)):
        rows = range(number)
        images = [{"bytes": encoded(row), "path": None} for row in rows]
        table = pa.table(
            {
                "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
                "label": pa.array([row // 2 % 2 for row in rows], pa.int64()),
                "place": pa.array([row % 2 for row in rows], pa.int64()),
            }
        )
        pq.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    record = add("waterbirds", tmp_path, partial=True)
    assert {split: known.n for split, known in record.splits.items()} == {"train": 8, "val": 4, "test": 4}
    assert load_examples("waterbirds", "val").ids[0] == "hub-val-00000"
    assert load_shift("waterbirds/test").groups.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
