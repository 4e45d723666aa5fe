"""The downstream sets of Chen et al. in the layouts they are published in."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from shifts.catalogue import add
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.labels import LABEL_SPACES
from shifts.local import content_digest
from shifts.registry import resolve
from shifts.sources.caltech101 import _CLASSES as CALTECH
from shifts.sources.eurosat import _CLASSES as EUROSAT
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import verify
from tests.shifts.sources import downstream_layouts as made
from tests.shifts.sources.copies import declare_small, noise, truncate, write_images

by_layout = pytest.mark.parametrize("layout", made.LAYOUTS)


@by_layout
def test_a_copy_goes_in_and_comes_back(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, write = made.LAYOUTS[layout]
    expected = write(tmp_path / "copy")
    source = declare_small(monkeypatch, name, tmp_path / "copy")
    add(name, tmp_path / "copy")
    assert verify(name).ok
    assert set(expected) == set(source.counts)
    for split, labels in expected.items():
        examples = load_examples(name, split)
        found = dict(zip(examples.ids, examples.labels.tolist(), strict=True))
        assert found == labels
        assert content_digest(pickle.loads(pickle.dumps(examples))) == content_digest(examples)
    assert set(load_shift(name).example_ids) == set(expected["test"])


@by_layout
def test_fewer_images_than_published_are_never_taken_for_the_whole(layout: str, tmp_path: Path) -> None:
    name, write = made.LAYOUTS[layout]
    write(tmp_path / "copy")
    with pytest.raises(CorruptDataError, match=r"instead of|is not the published"):
        add(name, tmp_path / "copy")
    add(name, tmp_path / "copy", partial=True)


@by_layout
def test_a_truncated_image_or_file_is_named(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, write = made.LAYOUTS[layout]
    write(tmp_path / "copy")
    declare_small(monkeypatch, name, tmp_path / "copy")
    pictures = [
        path for path in sorted(tmp_path.rglob("*")) if path.suffix in (".jpg", ".png", ".bin", ".mat")
    ]
    victim = (pictures or [path for path in sorted(tmp_path.rglob("*")) if path.name == "test"])[0]
    truncate(victim)
    with pytest.raises((CorruptDataError, DataNotFoundError)) as caught:
        add(name, tmp_path / "copy")
    assert victim.stem in str(caught.value)


@by_layout
def test_nothing_there_is_said(layout: str, tmp_path: Path) -> None:
    name, _ = made.LAYOUTS[layout]
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(DataNotFoundError, match=r"no layout known|in no layout"):
        add(name, tmp_path)


@pytest.mark.parametrize(
    "name", [*dict.fromkeys(name for name, _ in made.LAYOUTS.values()), "eurosat", "caltech101"]
)
def test_classes_are_as_many_as_published_and_prompts_hold_their_name(name: str) -> None:
    number = {
        "cifar100": 100, "flowers102": 102, "food101": 101, "oxford-pets": 37, "stanford-cars": 196,
        "fgvc-aircraft": 100, "svhn": 10, "dtd": 47, "resisc45": 45, "rendered-sst2": 2, "eurosat": 10,
        "caltech101": 102,
    }  # fmt: skip
    space = LABEL_SPACES.get(SHIFTS.get(name).label_space)
    assert len(space) == number[name]
    assert all(template.count("{}") == 1 for template in space.templates)
    assert SHIFTS.get(name).kind == "reference"


def test_sizes_are_the_published_ones() -> None:
    sizes = {(name, split): SOURCES.get(name).published_size(split) for name, split in (
        ("cifar100", "test"), ("svhn", "train"), ("svhn", "test"), ("food101", "train"), ("dtd", "test"),
        ("eurosat", "train"), ("eurosat", "test"), ("rendered-sst2", "train"), ("flowers102", "test"),
    )}  # fmt: skip
    assert list(sizes.values()) == [10_000, 73_257, 26_032, 75_750, 1_880, 21_600, 5_400, 6_920, 6_149]


def test_a_class_without_published_split_is_cut_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, classes, below in (
        ("eurosat", EUROSAT, "2750"),
        ("caltech101", CALTECH, "101_ObjectCategories"),
    ):
        root = tmp_path / name
        made.folders(root / below, list(classes)[:3], 40)
        (root / below / next(iter(classes)) / "tmp").write_bytes(b"") if name == "caltech101" else None
        declare_small(monkeypatch, name, root)
        add(name, root)
        train, test = (load_examples(name, split) for split in ("train", "test"))
        number = 32 if name == "eurosat" else 30
        assert np.bincount(train.labels).tolist() == [number] * 3
        assert np.bincount(test.labels).tolist() == [40 - number] * 3
        assert not set(train.ids) & set(test.ids)


def test_a_class_with_too_few_images_is_named(tmp_path: Path) -> None:
    made.folders(tmp_path / "101_ObjectCategories", ["accordion"], 20)
    with pytest.raises(CorruptDataError, match=r"accordion.* 20 images of a class do not make"):
        add("caltech101", tmp_path, partial=True)


def spoil_pets(root: Path) -> None:
    path = root / "annotations" / "test.txt"
    path.write_text(path.read_text().replace("Abyssinian_201 1", "Abyssinian_201 2"))


def spoil_food(root: Path) -> None:
    path = root / "food-101" / "meta" / "test.json"
    path.write_text(json.dumps({"apple_pi": ["apple_pie/200"]}))


def spoil_aircraft(root: Path) -> None:
    path = root / "fgvc-aircraft-2013b" / "data" / "images_variant_test.txt"
    path.write_text("0000500 A999\n")


def spoil_flowers(root: Path) -> None:
    savemat(root / "setid.mat", {"trnid": [[1]], "valid": [[2]], "tstid": [[13]]})


def spoil_cars(root: Path) -> None:
    savemat(root / "cars_test_annos_withlabels.mat", {"annotations": np.zeros(3)})


def spoil_svhn(root: Path) -> None:
    images = noise(2, 32, 32, 3).transpose(1, 2, 3, 0)
    savemat(root / "test_32x32.mat", {"X": images, "y": np.array([[0], [1]], dtype=np.uint8)})


def spoil_cifar100(root: Path) -> None:
    (root / "cifar-100-python" / "test").write_bytes(b"\x80\x02}q\x01U\x04dataK\x00s.")


def spoil_dtd(root: Path) -> None:
    (root / "dtd" / "labels" / "test1.txt").write_text("\n")


@pytest.mark.parametrize(
    ("layout", "spoil", "message"),
    [
        ("oxford-pets", spoil_pets, "Abyssinian_201 is listed as class 2, its name says 1"),
        ("food101", spoil_food, "'apple_pi' is none of the 101 classes"),
        ("fgvc-aircraft", spoil_aircraft, "'A999' is none of the 100 classes"),
        ("flowers102", spoil_flowers, "images other than the 12 that have labels"),
        ("stanford-cars", spoil_cars, "no fname and class"),
        ("svhn", spoil_svhn, "with labels 0 to 1"),
        ("cifar100 python", spoil_cifar100, "does not hold `data`"),
        ("dtd", spoil_dtd, "test1.txt is empty"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(
    layout: str, spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    name, write = made.LAYOUTS[layout]
    write(tmp_path / "copy")
    spoil(tmp_path / "copy")
    with pytest.raises(UserError, match=message):
        resolve(SOURCES.get(name).loader)(tmp_path / "copy", "test")


def test_rows_of_the_hub(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    write_images(tmp_path / "images", ["0.png", "1.png", "2.png"])
    pictures = [
        {"bytes": (tmp_path / "images" / f"{row}.png").read_bytes(), "path": None} for row in range(3)
    ]
    for folder, column, label, split, labels in (
        ("food", "image", "label", "validation", [2, 0, 1]),
        ("cifar", "img", "fine_label", "test", [2, 0, 1]),
        ("pcam", "image", "label", "valid", [True, False, True]),
    ):
        (tmp_path / folder).mkdir()
        table = pa.table({column: pa.array(pictures, kind), label: pa.array(labels)})
        pq.write_table(table, tmp_path / folder / f"{split}-00000-of-00001.parquet")
    food = resolve(SOURCES.get("food101").loader)(tmp_path / "food", "test")
    assert food.labels.tolist() == [2, 0, 1] and food.ids[0] == "test-hub-00000"
    patches = resolve(SOURCES.get("pcam").loader)(tmp_path / "pcam", "val")
    assert patches.labels.tolist() == [1, 0, 1] and patches.ids[2] == "val-hub-000002"
    small = resolve(SOURCES.get("cifar100").loader)(tmp_path / "cifar", "test")
    assert small.labels.tolist() == [2, 0, 1] and small.ids[0] == "test-00000"
