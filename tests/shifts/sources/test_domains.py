"""PACS, VLCS, Office-Home, TerraIncognita and DomainNet in the layouts they are published in."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shifts.catalogue import add
from shifts.data import Shift, load_examples, load_shift
from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.labels import LABEL_SPACES
from shifts.sources import domainnet, office_home, pacs, terra_incognita, vlcs
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import verify
from tests.shifts.sources.copies import declare_small, encoded, truncate, write_csv, write_images

FOLDERS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "pacs": ("PACS", ("photo", "art_painting", "cartoon", "sketch"), pacs.CLASSES),
    "vlcs": ("VLCS", ("Caltech101", "LabelMe", "SUN09", "VOC2007"), vlcs.CLASSES),
    "office-home": (
        "OfficeHomeDataset_10072016",
        ("Art", "Clipart", "Product", "Real World"),
        office_home.FOLDERS,
    ),
    "terra-incognita": (
        "terra_incognita",
        ("location_100", "location_38", "location_43", "location_46"),
        terra_incognita.CLASSES,
    ),
}
PER_CLASS = 5


def write(root: Path, name: str) -> Path:
    top, domains, classes = FOLDERS[name]
    write_images(
        root,
        [
            f"{top}/{domain}/{folder}/pic_{number:03d}.{'png' if domain == 'sketch' else 'jpg'}"
            for domain in domains
            for label, folder in enumerate(classes)
            for number in range(PER_CLASS + label % 3)
        ],
    )
    (root / "__MACOSX" / top / domains[0]).mkdir(parents=True)
    if name == "office-home":
        write_csv(root / top / "ImageInfo.csv", [{"domain": "Art", "class": "Bed"}])
    return root


LISTED = [(label, domainnet.CLASSES[label]) for label in (*range(0, 345, 12), 343, 344) if label != 300]


def write_domainnet(root: Path, *, lists: str = "domainnet/txt") -> Path:
    for domain in ("real", "sketch"):
        for part in ("test", "train"):
            names = [f"{domain}/{folder}/{domain}_{label + 1:03d}_000000.jpg" for label, folder in LISTED]
            names = [name.replace(".jpg", f"{len(part)}.jpg") for name in names]
            write_images(root, names, size=4)
            path = root / lists / f"{domain}_{part}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                "".join(f"{name} {domainnet.CLASSES.index(name.split('/')[1])}\n" for name in names)
            )
    return root


@pytest.mark.parametrize("name", FOLDERS)
def test_a_copy_goes_in_and_every_domain_comes_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "copy", name)
    source = declare_small(monkeypatch, name, root)
    assert not add(name, root).partial
    assert verify(name).ok
    _, domains, classes = FOLDERS[name]
    seen = []
    for split in source.counts:
        examples = load_examples(name, split)
        first = examples.ids[0].partition("/")[0]
        assert first == sorted(classes)[0]
        assert examples.labels[0] == classes.index(first)
        seen.append(examples.image(0).tobytes())
    assert len(set(seen)) == len(domains)


@pytest.mark.parametrize("name", [*FOLDERS, "domainnet"])
def test_every_choice_of_reference(name: str) -> None:
    domains = [spec.name.removeprefix(f"{name}-") for spec in SHIFTS if spec.name.startswith(f"{name}-")]
    homes = [domain for domain in domains if "/" not in domain]
    for home in homes:
        reference = SHIFTS.get(f"{name}-{home}")
        assert reference.kind == "reference"
        for away in homes:
            if away == home:
                assert f"{name}-{home}/{away}" not in SHIFTS
                continue
            shift = SHIFTS.get(f"{name}-{home}/{away}")
            assert (shift.reference, shift.label_space) == (reference.name, reference.label_space)
            assert shift.split.removesuffix("-test") == away
            assert shift.selection is None  # all of the target
    assert len(domains) == len(homes) ** 2 == {4: 16, 6: 36}[len(homes)]


@pytest.mark.parametrize("name", FOLDERS)
def test_published_counts_are_those_of_the_tables(name: str) -> None:
    totals = {"pacs": 9_991, "vlcs": 10_729, "office-home": 15_588, "terra-incognita": 24_788}
    source = SOURCES.get(name)
    assert sum(source.size(split) for split in source.counts) == totals[name]


def test_published_counts_of_domainnet() -> None:
    source = SOURCES.get("domainnet")
    for part, number in (("train", 409_832), ("test", 176_743)):
        assert sum(source.size(split) for split in source.counts if split.endswith(part)) == number


def test_the_published_order_of_domainnet_labels() -> None:
    assert len(domainnet.CLASSES) == len(set(domainnet.CLASSES)) == 345
    assert domainnet.CLASSES.index("syringe") == 300
    assert domainnet.CLASSES.index("t-shirt") == 327
    assert LABEL_SPACES.get("domainnet").class_names[0] == "aircraft carrier"


def test_the_reference_is_apart_from_what_may_be_trained_on(tmp_path: Path) -> None:
    add("pacs", write(tmp_path / "copy", "pacs"), partial=True)
    spec = SHIFTS.get("pacs-photo")
    test = load_shift("pacs-photo")
    train = Shift(
        dataclasses.replace(spec, selection=spec.training), load_examples("pacs", "photo"), content=""
    )
    assert not set(test.example_ids) & set(train.example_ids)
    assert len(test) + len(train) == len(load_examples("pacs", "photo").labels)
    assert len(load_shift("pacs-sketch/photo")) == len(test) + len(train)


FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated image": ("pacs", lambda root: truncate(root / "PACS/photo/dog/pic_001.jpg"), "pic_001.jpg"),
    "page of HTML": (
        "pacs",
        lambda root: (root / "PACS/sketch/dog/pic_001.png").write_text("<!DOCTYPE html>"),
        "pic_001.png",
    ),
    "misspelt class": (
        "vlcs",
        lambda root: (root / "VLCS/SUN09/dog").rename(root / "VLCS/SUN09/dogs"),
        "'dogs' is none",
    ),
    "something else in a class": (
        "office-home",
        lambda root: (root / "OfficeHomeDataset_10072016/Art/Bed/notes.txt").write_text("x"),
        "notes.txt is not an image",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_named(fault: str, tmp_path: Path) -> None:
    name, plant, words = FAULTS[fault]
    root = write(tmp_path / "copy", name)
    plant(root)
    with pytest.raises(CorruptDataError) as caught:
        add(name, root, partial=True)
    assert words in caught.value.message


@pytest.mark.parametrize("name", FOLDERS)
def test_a_missing_class_is_named_and_never_taken_for_the_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "copy", name)
    declare_small(monkeypatch, name, root)
    top, domains, classes = FOLDERS[name]
    for path in (root / top / domains[1] / classes[2]).iterdir():
        path.unlink()
    with pytest.raises(CorruptDataError, match=r"0 of class .* instead of"):
        add(name, root)


def test_swapped_classes_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "copy", "pacs")
    declare_small(monkeypatch, "pacs", root)
    add("pacs", root)
    photo = root / "PACS/photo"
    for old, new in (("dog", "x"), ("elephant", "dog"), ("x", "elephant")):
        (photo / old).rename(photo / new)
    report = verify("pacs")
    assert any("of class 'dog' instead of" in fault for fault in report.faults)


def test_two_domains_swapped_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "copy", "pacs")
    declare_small(monkeypatch, "pacs", root)
    add("pacs", root)
    top = root / "PACS"
    for old, new in (("photo", "x"), ("cartoon", "photo"), ("x", "cartoon")):
        (top / old).rename(top / new)
    assert len(verify("pacs").faults) >= 2


def test_parquet_of_the_hub_is_cut_by_domain(tmp_path: Path) -> None:
    rows = [
        (domain, label)
        for domain in ("art_painting", "photo", "art_painting")
        for label in range(len(pacs.CLASSES))
    ]
    images = [{"bytes": encoded(row), "path": None} for row in range(len(rows))]
    table = pa.table(
        {
            "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "domain": [domain for domain, _ in rows],
            "label": pa.array([label for _, label in rows], pa.int64()),
        }
    )
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data/train-00000-of-00001.parquet", row_group_size=5)
    record = add("pacs", tmp_path, partial=True)
    assert {split: known.n for split, known in record.splits.items()} == {"photo": 7, "art": 14}
    photo = load_examples("pacs", "photo")
    assert photo.ids[0] == "hub-00007"
    assert photo.payloads[0] == encoded(7)
    assert photo.labels.tolist() == list(range(7))


def test_vlcs_in_parts_with_numbered_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "copy"
    write_images(
        root,
        [
            f"VLCS/{domain}/{part}/{label}/imgs_{number}.jpg"
            for domain in ("CALTECH", "LABELME", "PASCAL", "SUN")
            for part, size in (("train", 3), ("crossval", 1), ("test", 2))
            for label in range(len(vlcs.CLASSES))
            for number in range(size + label)
        ],
    )
    (root / "VLCS/SUN/full/0").mkdir(parents=True)  # some copies hold all images once more
    declare_small(monkeypatch, "vlcs", root)
    assert not add("vlcs", root).partial
    examples = load_examples("vlcs", "sun09")
    assert np.bincount(examples.labels).tolist() == [6 + 3 * label for label in range(5)]
    assert examples.ids[0] == "train/0/imgs_0" and "test/4/imgs_5" in examples.ids
    assert (SHIFTS.get("vlcs-sun09").split, len(load_shift("vlcs-caltech101/sun09"))) == ("sun09", 60)
    (root / "VLCS/SUN/test/4").rename(root / "VLCS/SUN/test/5")
    with pytest.raises(CorruptDataError, match="'5' is none of the 5 classes"):
        add("vlcs", root, partial=True)


@pytest.mark.parametrize("lists", ["domainnet/txt", "."])
def test_domainnet_goes_by_its_lists(lists: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_domainnet(tmp_path / "copy", lists=lists)
    unlisted = root / "real/zebra/real_999_000001.jpg"
    unlisted.write_bytes(encoded(1, kind="JPEG"))
    splits = ("real-test", "real-train", "sketch-test", "sketch-train")
    with pytest.raises(DataNotFoundError):
        load_examples("domainnet", "real-test")
    declare_small(monkeypatch, "domainnet", root, *splits)
    record = add("domainnet", root)
    assert {split: known.n for split, known in record.splits.items()} == dict.fromkeys(splits, len(LISTED))
    examples = load_examples("domainnet", "real-test")
    assert examples.ids[0].startswith("aircraft_carrier/real_001_")
    assert 300 not in examples.labels
    assert not any("999" in name for name in examples.ids)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (" 344\n", " 343\n", "zigzag has the label 343"),
        ("real/zebra/", "real/zebras/", "is no DOMAIN/CLASS/NAME LABEL"),
        ("real_345_000000", "real_345_000077", "real_345_000077"),
    ],
)
def test_faults_of_a_list_are_named(old: str, new: str, words: str, tmp_path: Path) -> None:
    root = write_domainnet(tmp_path / "copy")
    path = root / "domainnet/txt/real_test.txt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CorruptDataError) as caught:
        add("domainnet", root, partial=True)
    assert words in caught.value.message


def test_the_real_pacs_goes_in_as_a_part(real_data: Path, tmp_path: Path) -> None:
    record = add("pacs", real_data / "pacs" / "pacs_subset.tar", partial=True)
    assert record.partial
    assert all(split.counts == (60,) * 7 for split in record.splits.values())
    report = verify("pacs")
    assert report.ok and report.partial
    with tarfile.open(real_data / "pacs" / "pacs_subset.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    assert add("pacs", tmp_path, partial=True).splits == record.splits
    assert len(load_shift("pacs-photo")) == 7 * 12
    shift = load_shift("pacs-photo/sketch")
    assert len(shift) == 420
    assert shift.item(0).dtype == np.uint8
    with pytest.raises(CorruptDataError, match="instead of 1670"):
        add("pacs", tmp_path, data_dir=tmp_path / "other")
