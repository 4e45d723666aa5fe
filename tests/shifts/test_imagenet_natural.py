"""ImageNet-V2, -A, -R and -Sketch: published layouts, label rules, and the traps of each."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shifts.catalogue import add
from shifts.data import Examples, load_shift
from shifts.errors import CorruptDataError
from shifts.registry import resolve
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import verify
from tests.shifts import imagenet_layouts as layouts
from tests.shifts.test_imagenet import in_order

V2 = ("imagenet-v2", "imagenet-v2/threshold-0.7", "imagenet-v2/top-images")
TOPS = {
    "imagenet-v2": "imagenetv2-matched-frequency-format-val",
    "imagenet-v2/threshold-0.7": "imagenetv2-threshold0.7-format-val",
    "imagenet-v2/top-images": "imagenetv2-top-images-format-val",
}
LABELS = [0, 1, 2, 10, 100, 101, 999, 2, 10]
AS_TEXT = sorted(str(number) for number in range(1000))


def load(source: str, root: Path) -> Examples:
    return resolve(SOURCES.get(source).loader)(root, "test")  # type: ignore[no-any-return]


def v2_items(labels: list[int] = LABELS) -> list[layouts.Item]:
    return layouts.items(labels, name=lambda row: f"{row % 10}.jpeg")


EACH = 2  # images of a class in the complete set below; the published one has ten


@pytest.fixture(scope="module")
def written_v2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("v2")
    data = [layouts.jpeg(seed, side=4) for seed in range(EACH)]
    found = [layouts.Item(label, f"{row}.jpeg", data[row]) for label in range(1000) for row in range(EACH)]
    return layouts.write_folders(root, found, top=TOPS["imagenet-v2"], folder=str)


@pytest.fixture
def whole_v2(written_v2: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """1000 folders that count as the complete matched-frequency set."""
    source = SOURCES.get("imagenet-v2")
    assert source.counts["test"] == (10,) * 1000
    small = dataclasses.replace(source, counts={"test": (EACH,) * 1000})
    monkeypatch.setitem(SOURCES._entries, source.name, small)
    return written_v2


@pytest.mark.parametrize("source", V2)
def test_v2_labels_are_the_numbers_of_the_folders(tmp_path: Path, source: str) -> None:
    root = layouts.write_folders(tmp_path, v2_items(), top=TOPS[source], folder=str)
    for path in (root, root / TOPS[source]):
        examples = load(source, path)
        assert sorted(examples.labels.tolist()) == sorted(LABELS)
        for name, label in zip(examples.ids, examples.labels.tolist(), strict=True):
            assert name.partition("/")[0] == str(label)


def test_v2_is_the_same_in_every_layout(tmp_path: Path) -> None:
    found = v2_items()
    expected = in_order(load("imagenet-v2", layouts.write_folders(tmp_path / "a", found, top="", folder=str)))
    others = [
        layouts.write_folders(tmp_path / "b", found, top=""),
        layouts.write_parquet(tmp_path / "c", found, path_of=lambda item: f"{item.label}/{item.name}"),
        layouts.write_shards(
            tmp_path / "d", found, key_of=lambda i: f"{i.label}/{i.name[:-5]}", name="{}.tar"
        ),
    ]
    for root in others:
        assert in_order(load("imagenet-v2", root)) == expected


@pytest.mark.parametrize("layout", ["parquet", "webdataset"])
def test_the_ordering_trap_is_named(tmp_path: Path, layout: str) -> None:
    """Labels counted by ImageFolder: the folders sorted as text."""
    found = v2_items()
    if layout == "parquet":
        layouts.write_parquet(
            tmp_path,
            found,
            path_of=lambda item: f"{item.label}/{item.name}",
            label_of=lambda item: AS_TEXT.index(str(item.label)),
        )
    else:
        layouts.write_shards(
            tmp_path,
            found,
            key_of=lambda item: f"{item.label}/{item.name[:-5]}",
            label_of=lambda item: AS_TEXT.index(str(item.label)),
        )
    with pytest.raises(CorruptDataError, match="sorted as text") as caught:
        add("imagenet-v2", tmp_path, partial=True)
    assert caught.value.hint


def test_labels_that_cannot_be_checked_are_remarked(tmp_path: Path) -> None:
    layouts.write_parquet(tmp_path, v2_items(), path_of=lambda item: None)
    notes = add("imagenet-v2", tmp_path, partial=True).notes
    assert any("names no class that they could be checked by" in note for note in notes)


def test_another_variant_is_refused_by_name(tmp_path: Path) -> None:
    root = layouts.write_folders(tmp_path, v2_items(), top=TOPS["imagenet-v2/top-images"], folder=str)
    with pytest.raises(CorruptDataError, match="another variant") as caught:
        add("imagenet-v2", root, partial=True)
    assert "data add imagenet-v2/top-images" in str(caught.value.hint)


def test_all_three_variants_side_by_side(tmp_path: Path) -> None:
    for number, source in enumerate(V2):
        layouts.write_folders(tmp_path, v2_items([number] * 3), top=TOPS[source], folder=str)
    for number, source in enumerate(V2):
        assert set(load(source, tmp_path).labels.tolist()) == {number}


def test_a_complete_v2_is_taken_and_verified(whole_v2: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive.bin"
    with tarfile.open(archive, "w") as tar:
        tar.add(whole_v2 / TOPS["imagenet-v2"], arcname=TOPS["imagenet-v2"])
    record = add("imagenet-v2", archive)
    assert not record.partial
    assert record.splits["test"].counts == (EACH,) * 1000
    assert verify("imagenet-v2").ok
    shift = load_shift("imagenet-v2", limit=50)
    assert all(
        name.partition("/")[0] == str(label)
        for name, label in zip(shift.example_ids, shift.labels, strict=True)
    )


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()  # the whole copy has the same file
    path.write_bytes(data[:150])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing class": (lambda top: shutil.rmtree(top / "37"), "0 of class"),
    "missing image": (lambda top: (top / "37/1.jpeg").unlink(), "1 of class"),
    "extra image": (lambda top: shutil.copy(top / "37/1.jpeg", top / "37/x.jpeg"), "holds more than"),
    "truncated": (lambda top: cut(top / "37/1.jpeg"), "37/1.jpeg"),
    "not an image": (lambda top: (top / "37/notes.txt").write_text("x"), "notes.txt"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_a_complete_v2(whole_v2: Path, tmp_path: Path, fault: str) -> None:
    root = tmp_path / "copy"
    shutil.copytree(whole_v2, root, copy_function=os.link)
    plant, words = FAULTS[fault]
    plant(root / TOPS["imagenet-v2"])
    with pytest.raises(CorruptDataError) as caught:
        add("imagenet-v2", root)
    assert words in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("source", ["imagenet-a", "imagenet-r"])
def test_two_hundred_classes_by_wnid_index_or_position(tmp_path: Path, source: str) -> None:
    classes = SHIFTS.get(source).class_indices or ()
    assert len(set(classes)) == 200
    chosen = [classes[0], classes[5], classes[199], classes[5]]
    found = layouts.items(chosen, name=lambda row: f"0.00{row}_a cat _ a dog_0.9.jpg")
    folders = layouts.write_folders(tmp_path / "a", found, top=source)
    (folders / source / "README.txt").write_text("200 classes")
    expected = in_order(load(source, folders))
    assert sorted(label for _, label, _ in expected) == sorted(chosen)
    others = [
        layouts.write_parquet(tmp_path / "b", found, name="data/test-00000-of-00001.parquet"),
        layouts.write_parquet(
            tmp_path / "c",
            [*found],
            name="train-00000-of-00001.parquet",
            label_of=lambda item: item.label,
        ),
        layouts.write_shards(tmp_path / "e", found, name="test/{}.tar"),
    ]
    for root in others:
        assert in_order(load(source, root)) == expected
    positions = layouts.write_shards(
        tmp_path / "d", found, name="test/{}.tar", label_of=lambda item: classes.index(item.label)
    )
    if set(map(classes.index, chosen)) <= set(classes):
        with pytest.raises(CorruptDataError, match="could be positions"):
            load(source, positions)
    else:
        assert in_order(load(source, positions)) == expected


@pytest.mark.parametrize("source", ["imagenet-a", "imagenet-r"])
def test_labels_of_doubt_are_refused(tmp_path: Path, source: str) -> None:
    classes = SHIFTS.get(source).class_indices or ()
    small = [index for index in classes if index < 200][:3]
    root = layouts.write_parquet(
        tmp_path / "a", layouts.items(small, name=lambda row: f"{row}.jpg"), name="test.parquet"
    )
    with pytest.raises(CorruptDataError, match="could be positions"):
        load(source, root)
    foreign = next(index for index in range(200, 1000) if index not in classes)
    root = layouts.write_parquet(
        tmp_path / "b", layouts.items([foreign], name=lambda row: "x.jpg"), name="test.parquet"
    )
    with pytest.raises(CorruptDataError, match="neither positions"):
        load(source, root)


@pytest.mark.parametrize(
    ("source", "total"), [("imagenet-a", 7500), ("imagenet-r", 30_000), ("imagenet-sketch", 50_889)]
)
def test_published_totals_count_where_classes_do_not(tmp_path: Path, source: str, total: int) -> None:
    assert SOURCES.get(source).size("test") == total
    classes = SHIFTS.get(source).class_indices or range(1000)
    every = layouts.items(list(classes), name=lambda row: f"{row}.jpg")
    root = layouts.write_folders(tmp_path / "a", every, top="")
    with pytest.raises(CorruptDataError, match=f"{len(every)} images instead of {total}"):
        add(source, root)
    shutil.rmtree(root / layouts.WNIDS[classes[3]])
    with pytest.raises(CorruptDataError, match="instead of at least 1"):
        add(source, root)
    assert add(source, root, partial=True).partial


@pytest.mark.parametrize("source", ["imagenet-a", "imagenet-r"])
def test_a_class_that_is_not_of_the_set_is_refused(tmp_path: Path, source: str) -> None:
    classes = SHIFTS.get(source).class_indices or ()
    foreign = next(index for index in range(1000) if index not in classes)
    found = layouts.items([classes[0], foreign], name=lambda row: f"{row}.jpg")
    with pytest.raises(CorruptDataError, match="none of the 200 classes"):
        add(source, layouts.write_folders(tmp_path, found, top=source), partial=True)


def test_both_protocols_of_a_have_their_own_reference() -> None:
    masked, open_ = SHIFTS.get("imagenet-a"), SHIFTS.get("imagenet-a/all-classes")
    assert masked.reference == "imagenet-val/a-classes"
    assert open_.reference == "imagenet-val"
    assert open_.class_indices is None
    reference = SHIFTS.get("imagenet-val/a-classes")
    assert reference.class_indices == masked.class_indices
    assert 50 * len(reference.class_indices or ()) == 10_000
    shared = set(masked.class_indices or ()) & set(SHIFTS.get("imagenet-r").class_indices or ())
    assert len(shared) == 86


def test_sketch_is_laid_out_by_wnid(tmp_path: Path) -> None:
    found = layouts.items([134, 517, 638, 639], name=lambda row: f"sketch_{row}.JPEG")
    examples = load("imagenet-sketch", layouts.write_folders(tmp_path, found, top="sketch"))
    assert sorted(examples.labels.tolist()) == [134, 517, 638, 639]
    assert "n02012849/sketch_0" in examples.ids


def test_real_images_are_the_same_in_every_layout(real_data: Path, tmp_path: Path) -> None:
    """300 ImageNet images in V2's folders, class folders, parquet and webdataset shards."""
    path = real_data / "imagenet_sample" / "imagenet_sample_300.tar"
    with tarfile.open(path) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    text = (path.parent / "imagenet_sample_300.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    found = [
        layouts.Item(int(row["label"]), f"{row['key']}.jpeg", files[f"{row['key']}.jpg"]) for row in rows
    ]
    assert len(found) == 300
    for item, row in zip(found, rows, strict=True):
        assert layouts.WNIDS[item.label] == row["wnid"]

    def named(item: layouts.Item) -> str:
        return f"{item.label}/{item.name}"

    roots = {
        "v2": layouts.write_folders(tmp_path / "v2", found, top=TOPS["imagenet-v2"], folder=str),
        "folders": layouts.write_folders(tmp_path / "folders", found, top=""),
        "parquet": layouts.write_parquet(tmp_path / "parquet", found, path_of=named),
        "shards": layouts.write_shards(
            tmp_path / "shards", found, key_of=lambda item: named(item)[:-5], name="{}.tar", shards=4
        ),
    }
    seen = {}
    for name, root in roots.items():
        record = add("imagenet-v2", root, partial=True, data_dir=tmp_path / "data" / name)
        shift = load_shift("imagenet-v2", data_dir=tmp_path / "data" / name)
        assert len(shift) == 300
        order = np.argsort(shift.example_ids)
        pixels = [hashlib.sha256(shift.item(int(row)).tobytes()).hexdigest() for row in order]
        ids = [shift.example_ids[row] for row in order]
        seen[name] = (ids, shift.labels[order].tolist(), pixels, record.splits["test"].content)
    assert seen["v2"] == seen["folders"] == seen["parquet"] == seen["shards"]
    untouched = in_order(load("imagenet-v2", roots["v2"]))
    assert {data for _, _, data in untouched} == {item.data for item in found}
    # The shards as they come, whose keys are numbers and no folders, hold the same images and labels.
    own = load("imagenet-v2", path)
    assert sorted(own.labels.tolist()) == sorted(item.label for item in found)
    assert sorted(bytes(own.payloads[i]) for i in range(300)) == sorted(item.data for item in found)


def test_images_of_the_reference_are_found_by_verify(tmp_path: Path) -> None:
    val = layouts.val_items([101, 102, 103, 104])
    add("imagenet-val", layouts.write_flat(tmp_path / "val", val), partial=True)
    own = v2_items()
    twin = layouts.Item(val[2].label, "twin.jpeg", val[2].data)
    root = layouts.write_folders(tmp_path / "v2", [*own, twin], top=TOPS["imagenet-v2"], folder=str)
    add("imagenet-v2", root, partial=True)
    told: list[str] = []
    report = verify("imagenet-v2", progress=lambda what, done, total: told.append(what))
    assert not report.ok
    assert len(report.faults) == 1
    assert "1 images are also images of its reference 'imagenet-val'" in report.faults[0]
    assert "twin.jpeg" in report.faults[0]
    assert val[2].name in report.faults[0]
    assert "comparing imagenet-v2/test with imagenet-val" in told
    (root / TOPS["imagenet-v2"] / str(twin.label) / "twin.jpeg").unlink()
    add("imagenet-v2", root, partial=True, replace=True)
    assert verify("imagenet-v2").ok
    (tmp_path / "val" / val[0].name).unlink()
    report = verify("imagenet-v2")
    assert report.ok
    assert "not compared with the reference" in report.notes[-1]
