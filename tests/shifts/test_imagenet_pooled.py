"""ObjectNet, the 16 shape classes, ReaL and stylised images: label maps, protocols and planted faults."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from benchmark.predictions import score
from benchmark.shape_bias import read_trials
from shifts.catalogue import add
from shifts.checking import class_counts, count_faults
from shifts.class_maps import best_accepted, in_shift_classes
from shifts.data import load_shift
from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.labels import LABEL_SPACES
from shifts.readers.imagenet_tables import real_labels, val_labels
from shifts.registry import resolve
from shifts.sources import cue_conflict, objectnet
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import verify
from tests.shifts import imagenet_layouts as layouts

LOGITS = (np.random.default_rng(2).normal(size=(400, 1000)) * 3).astype(np.float32)


@cache
def bordered(seed: int, *, border: int = 1) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    if border:
        for side in (pixels[:border], pixels[-border:], pixels[:, :border], pixels[:, -border:]):
            side[:] = (255, 0, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_objectnet(root: Path, *, border: int = 1, others: int = 3) -> Path:
    folders = [*objectnet.CLASSES, *(f"unmapped_{number}" for number in range(others))]
    for number, folder in enumerate(folders):
        layouts.write(
            root / "objectnet-1.0/images" / folder / f"{number:013x}.png", bordered(number, border=border)
        )
    (root / "objectnet-1.0/mappings").mkdir()
    (root / "objectnet-1.0/mappings/folder_to_objectnet_label.json").write_text("{}")
    return root


def test_objectnet_is_113_classes_made_of_125() -> None:
    assert len(objectnet.CLASSES) == 113
    members = [index for known in objectnet.CLASSES.values() for index in known]
    assert len(members) == len(set(members)) == 125
    assert list(objectnet.CLASSES) == sorted(objectnet.CLASSES)
    assert 50 * len(members) == 6_250
    assert len(set(LABEL_SPACES.get("objectnet").class_names)) == 113


def test_objectnet_as_published(tmp_path: Path) -> None:
    record = add("objectnet", write_objectnet(tmp_path))
    assert not record.partial  # nobody publishes how many there are of each class
    assert record.splits["test"].n == 113
    assert "3 folders are of other classes" in record.notes[0]
    shift = load_shift("objectnet")
    assert shift.num_classes == 113
    names = list(objectnet.CLASSES)
    assert [names[label] for label in shift.labels] == [name.partition("/")[0] for name in shift.example_ids]
    assert shift.base.image(0).shape == (40, 30, 3)
    inner = shift.item(0)
    assert inner.shape == (36, 26, 3)
    assert np.array_equal(inner, shift.base.image(0)[2:-2, 2:-2])
    assert verify("objectnet").ok


def test_objectnet_answers_among_its_mapped_classes_alone() -> None:
    """The testbed's rule, written out: argmax over the 125, right when it is one of the folder's."""
    spec = SHIFTS.get("objectnet")
    mapped = sorted(index for known in objectnet.CLASSES.values() for index in known)
    answers = in_shift_classes(LOGITS, spec, head="imagenet-1k").argmax(axis=1)
    sets = list(objectnet.CLASSES.values())
    for row, answer in enumerate(answers.tolist()):
        assert mapped[int(LOGITS[row, mapped].argmax())] in sets[answer]
    assert in_shift_classes(LOGITS[:, :113], spec, head="any").shape == (400, 113)


def test_objectnets_challenge_answers_among_all_classes(tmp_path: Path) -> None:
    """The template's rule, written out: 1 or 5 best of 1000, each mapped to a folder, the others to none."""
    add("objectnet", write_objectnet(tmp_path))
    shift = load_shift("objectnet/all-classes")
    assert (shift.num_classes, len(shift)) == (1000, 113)
    assert shift.item(0).shape == (36, 26, 3)
    assert shift.accepted is not None
    folder_of = {index: name for name, known in objectnet.CLASSES.items() for index in known}
    # Logits that favour the mapped classes, so that there is something right to find.
    logits = LOGITS[:113] + np.isin(np.arange(1000), list(folder_of)).astype(np.float32) * 6
    ours = in_shift_classes(logits, shift.spec, head="imagenet-1k")
    assert ours is logits
    columns = score(
        ours, best_accepted(ours, shift.accepted), ids=shift.example_ids, groups=shift.groups, group_names=[]
    )
    right = 0
    for row, name in enumerate(shift.example_ids):
        ranked = np.argsort(-logits[row], kind="stable")[:5].tolist()
        hits = [folder_of.get(answer) == name.partition("/")[0] for answer in ranked]
        assert (columns["prediction"][row] == columns["label"][row]) == hits[0]
        assert (columns["label"][row] in columns["top5"][row]) == any(hits)
        right += any(hits)
    assert 0 < right < 113


def test_objectnets_reference_is_mapped_alike(tmp_path: Path) -> None:
    bicycles = [int(np.flatnonzero(val_labels() == index)[0]) + 1 for index in (444, 671)]
    dog = int(np.flatnonzero(val_labels() == 200)[0]) + 1
    add("imagenet-val", layouts.write_flat(tmp_path, layouts.val_items([*bicycles, dog])), partial=True)
    reference = load_shift("imagenet-val/objectnet-classes")
    assert len(reference) == 2
    assert {list(objectnet.CLASSES)[label] for label in reference.labels} == {"bicycle"}
    sixteen = load_shift("imagenet-val/16-classes")
    assert sorted(list(cue_conflict.CLASSES)[label] for label in sixteen.labels) == [
        "bicycle",
        "bicycle",
        "dog",
    ]


OBJECTNET_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing class": (
        lambda root: next((root / "objectnet-1.0/images/wok").glob("*")).unlink(),
        "0 of class 'wok' instead of at least 1",
    ),
    "border gone": (lambda root: write_objectnet(root / "again", border=0) and None, "no red border"),
    "cut short": (
        lambda root: next((root / "objectnet-1.0/images/wok").glob("*")).write_bytes(bordered(1)[:200]),
        "wok",
    ),
    "stranger": (lambda root: (root / "objectnet-1.0/images/wok/readme.txt").write_text("x"), "readme.txt"),
}


@pytest.mark.parametrize("fault", OBJECTNET_FAULTS)
def test_faults_in_objectnet(tmp_path: Path, fault: str) -> None:
    plant, words = OBJECTNET_FAULTS[fault]
    root = write_objectnet(tmp_path / "copy")
    plant(root)
    if fault == "border gone":
        root = root / "again"
    with pytest.raises(CorruptDataError, match=words) as caught:
        add("objectnet", root)
    assert caught.value.hint


def test_the_encrypted_archive_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError) as caught:
        load_shift("objectnet")
    assert "data add objectnet" in str(caught.value.hint)
    from shifts.fetching import fetch

    with pytest.raises(Exception, match="cannot be fetched") as refused:
        fetch("objectnet")
    assert "password" in str(refused.value)


def test_the_sixteen_classes_are_the_published_ones(real_data: Path) -> None:
    published = json.loads((real_data / "shape_texture/imagenet1k_to_16class_indices.json").read_text())
    assert {name: list(indices) for name, indices in cue_conflict.CLASSES.items()} == published
    assert sum(map(len, published.values())) == 207
    assert list(published) == sorted(published)


def test_sixteen_way_decisions_average_probabilities() -> None:
    probs = softmax(LOGITS.astype(np.float64), axis=1)
    means = np.stack([probs[:, list(m)].mean(axis=1) for m in cue_conflict.CLASSES.values()], axis=1)
    answers = in_shift_classes(LOGITS, SHIFTS.get("cue-conflict"), head="imagenet-1k")
    assert answers.argmax(axis=1).tolist() == means.argmax(axis=1).tolist()


def cue_name(shape: str, number: int) -> str:
    names = list(cue_conflict.CLASSES)
    return f"{shape}{number}-{names[(names.index(shape) + number) % 16]}1.png"


def write_cues(root: Path, *, size: int = 80, top: str = "stimuli/style-transfer-preprocessed-512") -> Path:
    for shape in cue_conflict.CLASSES:
        for number in range(size):
            layouts.write(root / top / shape / cue_name(shape, number), bordered(number, border=0))
    return root


@pytest.mark.parametrize("top", ["stimuli/style-transfer-preprocessed-512", "cue-conflict", ""])
def test_cue_conflict_as_published(tmp_path: Path, top: str) -> None:
    root = write_cues(tmp_path, top=top)
    for other in ("edges", "filled-silhouettes") if top.startswith("stimuli") else ():
        layouts.write(root / "stimuli" / other / "cat" / "cat1.png", bordered(1))
    record = add("cue-conflict", root)
    assert record.splits["test"].n == 1_280
    assert not record.partial
    shift = load_shift("cue-conflict")
    assert len(shift) == 1_200  # 80 have one class for shape and texture
    shapes, textures = shift.groups.T
    assert (shapes == shift.labels).all()
    assert (shapes != textures).all()
    assert verify("cue-conflict").ok


def swap(root: Path) -> None:
    base = root / "stimuli/style-transfer-preprocessed-512"
    (base / "cat").rename(base / "aside")
    (base / "dog").rename(base / "cat")
    (base / "aside").rename(base / "dog")


CUE = "stimuli/style-transfer-preprocessed-512/cat"
CUE_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "swapped folders": (swap, "shows a"),
    "renamed": (
        lambda root: (root / CUE / cue_name("cat", 3)).rename(root / CUE / "img.png"),
        "not of the form",
    ),
    "missing": (lambda root: (root / CUE / cue_name("cat", 3)).unlink(), "79 of class 'cat' instead of 80"),
    "cut short": (
        lambda root: (root / CUE / cue_name("cat", 3)).write_bytes(bordered(1)[:99]),
        cue_name("cat", 3),
    ),
}


@pytest.mark.parametrize("fault", CUE_FAULTS)
def test_faults_in_cue_conflict(tmp_path: Path, fault: str) -> None:
    plant, words = CUE_FAULTS[fault]
    plant(write_cues(tmp_path))
    with pytest.raises(CorruptDataError, match=words) as caught:
        add("cue-conflict", tmp_path)
    assert caught.value.hint


def test_the_real_edges_and_silhouettes(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "shape_texture/edges_silhouettes.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    for name in ("edges", "silhouettes"):
        record = add(name, tmp_path)
        assert record.splits["test"].n == 160
        assert not record.partial
        assert verify(name).ok
        shift = load_shift(name)
        assert shift.item(0).shape == (224, 224, 3)
        assert np.bincount(shift.labels).tolist() == [10] * 16


def test_the_real_cue_conflict_images(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "shape_texture/cue_conflict_240.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    with pytest.raises(CorruptDataError, match="240 images instead of 1280"):
        add("cue-conflict", tmp_path)
    assert add("cue-conflict", tmp_path, partial=True).partial
    shift = load_shift("cue-conflict")
    with (real_data / "shape_texture/cue_conflict_240.csv").open() as stream:
        rows = {row["source_png"][:-4]: row for row in csv.DictReader(stream)}
    names = list(cue_conflict.CLASSES)
    assert len(shift) == len(rows) == 240
    for name, (shape, texture) in zip(shift.example_ids, shift.groups.tolist(), strict=True):
        row = rows[name.partition("/")[2]]
        assert (names[shape], names[texture]) == (row["shape_class"], row["texture_class"])
    assert verify("cue-conflict").ok


def test_shape_bias_and_accuracies_of_the_stored_trials(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "shape_texture"
    with zipfile.ZipFile(folder / "human_and_cnn_trials.zip") as archive:
        archive.extractall(tmp_path)
    with (folder / "shape_bias_from_trials.csv").open() as stream:
        published = list(csv.DictReader(stream))
    for row in published:
        path = tmp_path / row["experiment"] / f"style-transfer-512-nomask-experiment_{row['observer']}.csv"
        found = read_trials(path)
        assert found.decisions == (int(row["n_shape"]), int(row["n_texture"])), row["observer"]
        assert round(100 * found.value, 2) == float(row["shape_bias_pct"])
    assert len(published) == 26
    with (folder / "edge_silhouette_accuracy_from_trials.csv").open() as stream:
        for row in csv.DictReader(stream):
            with (tmp_path / row["experiment"] / f"{row['observer']}.csv").open() as trials:
                lines = list(csv.DictReader(trials))
            # Which class a trial shows is told by the image's name, as the loader reads it.
            stems = [line["imagename"].strip().rpartition("_")[2].partition(".")[0] for line in lines]
            right = sum(
                cue_conflict._cues(stem)[0] == line["object_response"].strip()
                for stem, line in zip(stems, lines, strict=True)
            )
            assert (right, len(lines)) == (int(row["n_correct"]), int(row["n"])), row["observer"]


def test_reassessed_labels_decide_by_the_number_of_the_image(tmp_path: Path) -> None:
    numbers = [1, 2, 3, 4, 5, 6]  # image 1 has no label, image 2 has 970 and 795
    add("imagenet-val", layouts.write_flat(tmp_path, layouts.val_items(numbers)), partial=True)
    shift = load_shift("imagenet-real")
    table = real_labels()
    kept = [number for number in numbers if table[number - 1]]
    assert shift.example_ids == [f"ILSVRC2012_val_{number:08d}" for number in kept]
    assert [set(known) for known in shift.accepted or ()] == [set(table[number - 1]) for number in kept]
    assert shift.labels[0] == 970
    logits = LOGITS[: len(kept)].copy()
    logits[0, 795] = 50
    labels = best_accepted(logits, shift.accepted or ())
    assert labels[0] == 795
    right = logits.argmax(axis=1) == labels
    assert right.tolist() == [
        int(a) in set(k) for a, k in zip(logits.argmax(axis=1), shift.accepted or (), strict=True)
    ]


def test_reassessed_labels_need_the_published_names(tmp_path: Path) -> None:
    layouts.write_parquet(tmp_path, layouts.val_items([1, 2]), path_of=lambda item: None)
    add("imagenet-val", tmp_path, partial=True)
    with pytest.raises(CorruptDataError, match="which of the 50,000"):
        load_shift("imagenet-real")


def test_stylised_images_keep_the_names_of_the_originals(tmp_path: Path) -> None:
    found = layouts.val_items([1, 2, 3])
    root = layouts.write_folders(tmp_path, found)
    add("imagenet-stylized", root, partial=True)
    assert sorted(load_shift("imagenet-stylized").example_ids) == [
        f"ILSVRC2012_val_{n:08d}" for n in (1, 2, 3)
    ]
    source = SOURCES.get("imagenet-stylized")
    names = LABEL_SPACES.get("imagenet-1k").class_names
    examples = resolve(source.loader)(root, "val")
    assert count_faults(class_counts(examples, 1000, what="x"), source.counts["val"], names)
    a, b = (root / "val" / layouts.WNIDS[item.label] for item in found[:2])
    a.rename(root / "aside")
    b.rename(a)
    (root / "aside").rename(b)
    with pytest.raises(CorruptDataError, match="its name says"):
        resolve(source.loader)(root, "val")
