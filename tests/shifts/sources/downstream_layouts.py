"""Writers of small copies of the downstream sets in exactly the published layouts.

Each writes few images of the first classes and gives, for every split, the expected ids with their labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from scipy.io import savemat

from shifts.labels import LABEL_SPACES
from tests.shifts.cifar_layouts import python2_pickle, rows
from tests.shifts.sources.copies import noise, write_images

Expected = dict[str, dict[str, int]]


def names_of(space: str) -> tuple[str, ...]:
    return LABEL_SPACES.get(space).class_names


def cifar100_python(root: Path) -> Expected:
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    expected: Expected = {}
    for split, number in (("train", 12), ("test", 8)):
        labels = [99 - index for index in range(number)]
        data = python2_pickle(rows(noise(number, 32, 32, 3, seed=number)), labels, "one")
        # The key is longer here: its length stands before it.
        data = data.replace(b"U\x06labels", b"U\x0bfine_labels")
        (folder / split).write_bytes(data)
        expected[split] = {f"{split}-{index:05d}": label for index, label in enumerate(labels)}
    (folder / "meta").write_bytes(b"\x80\x02}q\x01.")
    return expected


def cifar100_binary(root: Path) -> Expected:
    folder = root / "cifar-100-binary"
    folder.mkdir(parents=True)
    expected: Expected = {}
    for split, number in (("train", 12), ("test", 8)):
        fine = np.arange(number, dtype=np.uint8) * 7
        coarse = np.full(number, 19, dtype=np.uint8)
        pixels = rows(noise(number, 32, 32, 3, seed=number))
        records = np.concatenate([coarse[:, None], fine[:, None], pixels], axis=1)
        (folder / f"{split}.bin").write_bytes(records.tobytes())
        expected[split] = {f"{split}-{index:05d}": int(label) for index, label in enumerate(fine)}
    (folder / "fine_label_names.txt").write_text("apple\n")
    return expected


def flowers102(root: Path) -> Expected:
    labels = np.arange(12, dtype=np.uint8)[None] % 4 + 1
    write_images(root / "jpg", [f"image_{number:05d}.jpg" for number in range(1, 13)])
    savemat(root / "imagelabels.mat", {"labels": labels})
    sets = {"train": [1, 5, 9], "val": [2, 4], "test": [12, 3, 8, 11]}
    variables = {"trnid": sets["train"], "valid": sets["val"], "tstid": sets["test"]}
    savemat(root / "setid.mat", {name: np.array([ids], dtype=np.uint16) for name, ids in variables.items()})
    return {split: {f"image_{number:05d}": (number - 1) % 4 for number in ids} for split, ids in sets.items()}


def food101(root: Path) -> Expected:
    expected: Expected = {}
    for split, first in (("train", 100), ("test", 200)):
        listed = {
            name.replace(" ", "_"): [f"{name.replace(' ', '_')}/{first + label * 3 + n}" for n in range(3)]
            for label, name in enumerate(names_of("food101")[:4])
        }
        write_images(root / "food-101" / "images", [f"{one}.jpg" for some in listed.values() for one in some])
        (root / "food-101" / "meta").mkdir(exist_ok=True)
        # Published in another order than that of the labels.
        turned = dict(reversed(listed.items()))
        (root / "food-101" / "meta" / f"{split}.json").write_text(json.dumps(turned))
        expected[split] = {one: label for label, some in enumerate(listed.values()) for one in some}
    return expected


def oxford_pets(root: Path) -> Expected:
    breeds = ("Abyssinian", "american_bulldog", "american_pit_bull_terrier")
    expected: Expected = {}
    for split, numbers in (("trainval", (100, 101)), ("test", (201, 202))):
        found = {f"{breed}_{number}": label for label, breed in enumerate(breeds) for number in numbers}
        write_images(root / "images", [f"{name}.jpg" for name in found])
        (root / "annotations").mkdir(exist_ok=True)
        lines = [f"{name} {label + 1} {1 if name[0].isupper() else 2} 1" for name, label in found.items()]
        (root / "annotations" / f"{split}.txt").write_text("\n".join(lines) + "\n")
        expected[split] = found
    (root / "annotations" / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n")
    return expected


def stanford_cars(root: Path) -> Expected:
    expected: Expected = {}
    (root / "devkit").mkdir(parents=True)
    tables = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    kinds = [("bbox_x1", "u1"), ("class", "u1"), ("fname", "O")]
    for split, table in tables.items():
        labels = [195, 0, 3]
        entries = [(9, label + 1, f"{row + 1:05d}.jpg") for row, label in enumerate(labels)]
        savemat(root / table, {"annotations": np.array([entries], dtype=kinds)})
        write_images(root / f"cars_{split}", [name for _, _, name in entries])
        expected[split] = {f"{split}/{row + 1:05d}": label for row, label in enumerate(labels)}
    return expected


def fgvc_aircraft(root: Path) -> Expected:
    folder = root / "fgvc-aircraft-2013b" / "data"
    folder.mkdir(parents=True)
    variants = names_of("fgvc-aircraft")
    expected: Expected = {}
    for split, first in (("train", 100), ("val", 300), ("test", 500)):
        # A name with a space, one with a slash, and one that begins as another does.
        labels = [variants.index(name) for name in ("BAE 146-200", "F-16A/B", "A330-200", "A330-300")]
        found = {f"{first + row:07d}": label for row, label in enumerate(labels)}
        lines = [f"{name} {variants[label]}" for name, label in found.items()]
        (folder / f"images_variant_{split}.txt").write_text("\n".join(lines) + "\n")
        write_images(folder / "images", [f"{name}.jpg" for name in found])
        expected[split] = found
    return expected


def svhn(root: Path) -> Expected:
    root.mkdir(parents=True)
    expected: Expected = {}
    for split, number in (("train", 20), ("test", 11)):
        digits = np.arange(number) % 10
        labels = np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]
        images = noise(number, 32, 32, 3, seed=number).transpose(1, 2, 3, 0)
        savemat(root / f"{split}_32x32.mat", {"X": images, "y": labels}, do_compression=True)
        expected[split] = {f"{split}-{row:05d}": int(digit) for row, digit in enumerate(digits)}
    return expected


def dtd(root: Path) -> Expected:
    expected: Expected = {}
    (root / "dtd" / "labels").mkdir(parents=True)
    for split, first in (("train", 10), ("val", 20), ("test", 30)):
        found = {
            f"{name}/{name}_{first + n:04d}": label
            for label, name in enumerate(names_of("dtd")[:5])
            for n in range(2)
        }
        write_images(root / "dtd" / "images", [f"{name}.jpg" for name in found])
        (root / "dtd" / "labels" / f"{split}1.txt").write_text("\n".join(f"{name}.jpg" for name in found))
        (root / "dtd" / "labels" / f"{split}10.txt").write_text("wrong/partition.jpg\n")
        expected[split] = found
    return expected


def resisc45(root: Path) -> Expected:
    expected: Expected = {}
    words = ("airplane", "baseball_diamond", "sea_ice")
    labels = [names_of("resisc45").index(word.replace("_", " ")) for word in words]
    for split, first in (("train", 1), ("val", 200), ("test", 400)):
        found = {
            f"{word}/{word}_{first + n:03d}": label
            for word, label in zip(words, labels, strict=True)
            for n in range(2)
        }
        write_images(root / "NWPU-RESISC45", [f"{name}.jpg" for name in found])
        lines = [f"{name.rpartition('/')[2]}.jpg" for name in found]
        (root / f"resisc45-{split}.txt").write_text("\n".join(lines) + "\n")
        expected[split] = found
    return expected


def rendered_sst2(root: Path) -> Expected:
    expected: Expected = {}
    for split, folder in (("train", "train"), ("val", "valid"), ("test", "test")):
        found = {
            f"{word}/{n}": label for label, word in enumerate(("negative", "positive")) for n in range(3)
        }
        write_images(root / "rendered-sst2" / folder, [f"{name}.png" for name in found])
        expected[split] = found
    return expected


def folders(root: Path, names: Iterable[str], number: int) -> None:
    """So many images of each class, as EuroSAT and Caltech 101 have them."""
    write_images(root, [f"{name}/{name}_{n:04d}.jpg" for name in names for n in range(1, number + 1)])


LAYOUTS: dict[str, tuple[str, Callable[[Path], Expected]]] = {
    "cifar100 python": ("cifar100", cifar100_python),
    "cifar100 binary": ("cifar100", cifar100_binary),
    "flowers102": ("flowers102", flowers102),
    "food101": ("food101", food101),
    "oxford-pets": ("oxford-pets", oxford_pets),
    "stanford-cars": ("stanford-cars", stanford_cars),
    "fgvc-aircraft": ("fgvc-aircraft", fgvc_aircraft),
    "svhn": ("svhn", svhn),
    "dtd": ("dtd", dtd),
    "resisc45": ("resisc45", resisc45),
    "rendered-sst2": ("rendered-sst2", rendered_sst2),
}
