"""Copies from the Hub as parquet, saved by the ``datasets`` library and as shards: the same in every form."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from shifts.catalogue import add
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError
from shifts.fetching import fetch
from shifts.local import content_digest
from shifts.readers.hub import hub_payloads
from shifts.sources import domainnet, fmow, pacs
from shifts.verifying import verify
from tests.shifts.sources.copies import encoded, truncate
from tests.shifts.sources.table_layouts import camelyon17 as write_camelyon17

FORMS = ("parquet", "saved", "saved split")


def write_hub(
    root: Path,
    form: str,
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
    features: Mapping[str, Any] | None = None,
) -> Path:
    """Rows of each split as the Hub serves them, or as its library saves them; ``image`` holds bytes."""
    root.mkdir(parents=True, exist_ok=True)
    datasets.disable_progress_bars()
    made = {}
    for split, rows in splits.items():
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["image"] = [
            {"bytes": data, "path": row.get("image_path")}
            for data, row in zip(columns["image"], rows, strict=True)
        ]
        kinds = datasets.Features(
            {
                name: (features or {}).get(name) or datasets.Dataset.from_dict({"x": values}).features["x"]
                for name, values in columns.items()
                if name != "image"
            }
            | {"image": datasets.Image()}
        )
        made[split] = datasets.Dataset.from_dict(columns, features=kinds, split=split)
    for split, rows in made.items():
        if form == "parquet":
            (root / "data").mkdir(exist_ok=True)
            rows.to_parquet(root / f"data/{split}-00000-of-00001.parquet")
        elif form == "saved split":
            rows.save_to_disk(root / f"part-{len(list(root.iterdir()))}")
    if form == "saved":
        datasets.DatasetDict(made).save_to_disk(root)
    return root


def camelyon_rows(root: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of the Hub that hold the same patches as the small copy in WILDS' layout."""
    found: dict[str, list[dict[str, Any]]] = {}
    for split, called in (("train",) * 2, ("id-val", "validation"), ("val", "validation"), ("test",) * 2):
        examples = load_examples("camelyon17", split)
        for row, name in enumerate(examples.ids):
            words = name.rpartition("/")[2].split("_")
            found.setdefault(called, []).append(
                {
                    "image": (root / "camelyon17_v1.0" / f"{name}.png").read_bytes(),
                    "label": int(examples.labels[row]),
                    "patient": int(words[2]),
                    "node": int(words[4]),
                    "x_coord": int(words[6]),
                    "y_coord": int(words[8]),
                    **{
                        column: int(known.names[known.values[row]])
                        for column, known in (
                            ("center", examples.attributes["hospital"]),
                            ("slide", examples.attributes["slide"]),
                        )
                    },
                }
            )
    return found


@pytest.mark.parametrize("form", FORMS)
def test_camelyon17_is_the_same_from_the_hub(form: str, tmp_path: Path) -> None:
    root = write_camelyon17(tmp_path / "wilds")
    first = add("camelyon17", root, partial=True)
    rows = camelyon_rows(root)
    copy = write_hub(tmp_path / "hub", form, rows)
    second = add("camelyon17", copy, partial=True)  # other content would be refused
    assert {name: split.content for name, split in second.splits.items()} == {
        name: split.content for name, split in first.splits.items()
    }
    assert verify("camelyon17").ok
    assert load_shift("camelyon17/test").group_columns["slide"].names == ("20", "21", "22", "23")


def test_camelyon17_without_places_counts_its_rows(tmp_path: Path) -> None:
    root = write_camelyon17(tmp_path / "wilds")
    add("camelyon17", root, partial=True)
    kept = ("image", "label", "center", "slide")
    rows = {
        split: [{name: row[name] for name in kept} for row in found]
        for split, found in camelyon_rows(root).items()
    }
    add("camelyon17", write_hub(tmp_path / "hub", "parquet", rows), partial=True, replace=True)
    validation = [name for split in ("id-val", "val") for name in load_examples("camelyon17", split).ids]
    assert sorted(validation) == [f"hub-validation-{row:05d}" for row in range(18)]
    rows["test"][0]["center"], rows["test"][0]["slide"] = 0, 3
    with pytest.raises(CorruptDataError, match="1 rows of 'test' are of hospitals of other splits"):
        add("camelyon17", write_hub(tmp_path / "bad", "parquet", rows), partial=True)
    rows["test"][0]["slide"] = 44
    with pytest.raises(CorruptDataError, match="slide 44 cannot be of hospital 0"):
        add("camelyon17", write_hub(tmp_path / "worse", "parquet", rows), partial=True)


def write_shards(path: Path, rows: Sequence[tuple[int, Sequence[int]]], *, dtype: str = "int64") -> Path:
    """A tar of ``KEY.jpg``, ``KEY.cls`` and ``KEY.npy``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for number, (label, values) in enumerate(rows):
            array = io.BytesIO()
            np.save(array, np.array(values, dtype=dtype))
            for suffix, data in (
                ("jpg", encoded(number, kind="JPEG")),
                ("cls", str(label).encode()),
                ("npy", array.getvalue()),
            ):
                member = tarfile.TarInfo(f"s{number:07d}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def test_shards_with_groups_beside_them(tmp_path: Path) -> None:
    write_shards(tmp_path / "tumour/test/0.tar", [(row % 2, [2, 20 + row, row % 2, 0]) for row in range(6)])
    add("camelyon17", tmp_path / "tumour", partial=True)
    shift = load_shift("camelyon17/test")
    assert shift.labels.tolist() == [0, 1] * 3
    assert shift.group_columns["slide"].names == tuple(str(20 + row) for row in range(6))
    regions = [0, 2, 2, 5]
    write_shards(tmp_path / "places/test/0.tar", [(9, [region, 14, 9, 0]) for region in regions])
    add("fmow", tmp_path / "places", partial=True)
    shift = load_shift("fmow/test")
    assert shift.group_columns["region"].values.tolist() == regions
    assert shift.base.attributes["year"].names == ("2016",)


@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [
        ([3, 14, 8, 0], "int64", "its .cls says 9, its .npy 8"),
        ([3, 14], "int64", "holds"),
        ([3, 1, 9], "O", "cannot"),
    ],
)
def test_faults_of_shards_are_named(values: list[int], dtype: str, words: str, tmp_path: Path) -> None:
    write_shards(tmp_path / "test/0.tar", [(9, values)], dtype=dtype)
    with pytest.raises(CorruptDataError, match=words) as caught:
        add("fmow", tmp_path, partial=True)
    assert "s0000000.jpg" in caught.value.message


@pytest.mark.parametrize("form", FORMS)
def test_fmow_from_the_hub(form: str, tmp_path: Path) -> None:
    def rows(split: int, year: int) -> list[dict[str, Any]]:
        return [
            {
                "image": encoded(100 * split + row),
                "label": 5 * row,
                "metadata": [row, year - fmow.FIRST_YEAR, 5 * row],
                "image_path": f"images/rgb_img_{100 * split + row}.png",
            }
            for row in range(6)
        ]

    splits = {"test": rows(1, 2017), "id_test": rows(2, 2010), "val": rows(3, 2014)}
    record = add("fmow", write_hub(tmp_path / "hub", form, splits), partial=True)
    assert {split: known.n for split, known in record.splits.items()} == {"id-test": 6, "val": 6, "test": 6}
    test = load_shift("fmow/test")
    assert test.example_ids[0] == "images/rgb_img_100"
    assert test.group_columns["region"].values.tolist() == list(range(6))
    splits["test"][3]["metadata"] = [3, 15, 1]
    with pytest.raises(CorruptDataError, match="the labels in metadata are not those"):
        add("fmow", write_hub(tmp_path / "bad", form, splits), partial=True)


@pytest.mark.parametrize("form", FORMS)
def test_celeba_from_the_hub(form: str, tmp_path: Path) -> None:
    def rows(first: int) -> list[dict[str, Any]]:
        return [
            {"image": encoded(first + row, kind="JPEG"), "Blond_Hair": row >= 4, "Male": row % 2 == 1}
            for row in range(8)
        ]

    copy = write_hub(tmp_path / "hub", form, {"train": rows(0), "valid": rows(8), "test": rows(16)})
    record = add("celeba", copy, partial=True)
    assert {split: known.counts for split, known in record.splits.items()} == dict.fromkeys(
        ("train", "val", "test"), (4, 4)
    )
    assert any("byte for byte" in note for note in record.notes)
    groups = load_shift("celeba").groups
    assert np.bincount(2 * groups[:, 0] + groups[:, 1]).tolist() == [2, 2, 2, 2]
    assert load_examples("celeba", "val").ids[0] == "hub-val-000000"


@pytest.mark.parametrize("form", FORMS)
def test_domainnet_from_the_hub_has_the_ids_of_its_lists(form: str, tmp_path: Path) -> None:
    def rows(part: int) -> list[dict[str, Any]]:
        return [
            {
                "image": encoded(label, kind="JPEG"),
                "image_path": f"{domain}/{name}/{domain}_{label + 1:03d}_00000{part}.jpg",
                "y": label,
            }
            for domain in ("real", "sketch")
            for label, name in list(enumerate(domainnet.CLASSES))[299:345:15]
        ]

    splits = {"train": rows(1), "test": rows(2)}
    record = add("domainnet", write_hub(tmp_path / "hub", form, splits), partial=True)
    assert {split: known.n for split, known in record.splits.items()} == {
        f"{domain}-{part}": 4 for domain in ("real", "sketch") for part in ("test", "train")
    }
    examples = load_examples("domainnet", "sketch-test")
    assert examples.ids[0] == f"{domainnet.CLASSES[299]}/sketch_300_000002"
    assert examples.labels.tolist() == [299, 314, 329, 344]
    splits["test"][2]["y"] += 1  # as if folder names had been sorted
    with pytest.raises(CorruptDataError, match="has the label 330, published is 329"):
        add("domainnet", write_hub(tmp_path / "bad", form, splits), partial=True)


@pytest.mark.parametrize("form", FORMS)
def test_classes_of_the_hub_go_by_name(form: str, tmp_path: Path) -> None:
    """A copy whose classes are counted in another order has the same labels in the end."""
    rows = [
        {"image": encoded(row), "domain": row % 2, "label": row // 2} for row in range(2 * len(pacs.CLASSES))
    ]
    plain = {"domain": datasets.ClassLabel(names=["sketch", "photo"])}
    straight = write_hub(tmp_path / "a", form, {"train": rows}, plain)
    add("pacs", straight, partial=True)
    kept = {split: content_digest(load_examples("pacs", split)) for split in ("photo", "sketch")}
    order = list(reversed(pacs.CLASSES))
    turned = [row | {"label": order.index(pacs.CLASSES[row["label"]])} for row in rows]
    named = plain | {"label": datasets.ClassLabel(names=order)}
    add("pacs", write_hub(tmp_path / "b", form, {"train": turned}, named), partial=True)
    assert kept == {split: content_digest(load_examples("pacs", split)) for split in kept}


def test_faults_of_a_saved_folder_are_named(tmp_path: Path) -> None:
    rows = [{"image": encoded(row), "label": 0} for row in range(40)]
    root = write_hub(tmp_path / "a", "saved", {"train": rows})
    with pytest.raises(CorruptDataError, match="expected 'domain'"):
        add("pacs", root, partial=True)
    payloads = hub_payloads(root, "train")
    assert payloads is not None and payloads[7] == rows[7]["image"]
    assert payloads.where(7) == f"{root / 'train'}, row 7"
    with pytest.raises(CorruptDataError, match="expected a column of images and 'y'"):
        hub_payloads(root, "train", label="y")
    truncate(root / "train/data-00000-of-00001.arrow")
    with pytest.raises(CorruptDataError, match="is not a readable folder of save_to_disk"):
        hub_payloads(root, "train")


@pytest.mark.parametrize(
    ("source", "repository"), [("camelyon17", "wltjr1007/Camelyon17-WILDS"), ("fmow", "danielz01/fMoW")]
)
def test_fetch_takes_them_from_the_hub(
    source: str, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked = []

    def snapshot(name: str, *, local_dir: Path, **options: Any) -> None:
        asked.append((name, options["allow_patterns"]))
        write_hub(
            Path(local_dir),
            "parquet",
            {"test": [{"image": encoded(0), "label": 1, "center": 2, "slide": 20, "metadata": [0, 14]}]},
        )

    for name in ("ROBUSTBENCH_SHIFT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(CorruptDataError, match="is not all of"):  # one image is not the published set
        fetch(source)
    assert asked[0][0] == repository
