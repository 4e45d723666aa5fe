"""CIFAR-10 under reviewed labels and under those that people saw, in the published formats."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shifts.catalogue import add
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.readers.cifar_order import official_test_labels
from shifts.readers.label_reviews import reviewed_labels
from shifts.readers.pickles import read_pickle
from shifts.sources.cifar10_reviewed import CORRECTED, REVIEWS, WITHOUT
from shifts.sources.cifar10h import COUNTS
from shifts.sources.cifar10n import SPLITS
from shifts.verifying import verify
from tests.shifts.cifar_layouts import SIZE, encode, small, write_binary, write_python
from tests.shifts.sources.copies import declare_small

LABELS = official_test_labels()[:SIZE]


def review(row: int, guessed: int, *votes: int) -> dict[str, Any]:
    """An entry as published; votes for given, guessed, neither, both."""
    return {
        "id": row,
        "url": f"https://labelerrors.com/static/cifar10/{row}.png",
        "given_original_label": int(official_test_labels()[row]),
        "given_original_label_name": "-",
        "our_guessed_label": guessed,
        "our_guessed_label_name": "-",
        "mturk": dict(zip(("given", "guessed", "neither", "both"), votes, strict=True)),
    }


# Row 1: confirmed. 3: corrected. 5: neither. 7: no agreement. 9: both. 9999: not in the small copy.
ENTRIES = [
    review(1, 0, 3, 2, 0, 0),
    review(3, 5, 0, 3, 2, 0),
    review(5, 1, 0, 1, 4, 0),
    review(7, 2, 2, 2, 1, 0),
    review(9, 4, 1, 0, 0, 4),
    review(9999, 0, 0, 5, 0, 0),
]


def reviewed(root: Path, write: Callable[[Path, Any], Path] = write_binary) -> Path:
    write(root, small())
    (root / REVIEWS).write_text(json.dumps(ENTRIES, indent=2), encoding="utf-8")
    return root


def human(root: Path, *, dtype: type = np.int64) -> Path:
    write_python(root, small())
    counts = np.zeros((10_000, 10), dtype=dtype)
    counts[np.arange(10_000), official_test_labels()] = 50
    counts[3, LABELS[3]], counts[3, 5] = 20, 30  # most saw a dog
    counts[4, LABELS[4]], counts[4, 0] = 25, 25  # a tie
    np.save(root / COUNTS, counts)
    return root


@pytest.mark.parametrize("write", [write_binary, write_python])
def test_errors_are_corrected_or_left_out(
    write: Callable[[Path, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = reviewed(tmp_path / "copy", write)
    declare_small(monkeypatch, "cifar10-reviewed", root)
    add("cifar10-reviewed", root)
    assert verify("cifar10-reviewed").ok
    corrected = load_examples("cifar10-reviewed", CORRECTED)
    expected = LABELS.copy()
    expected[3] = 5
    kept = np.setdiff1d(np.arange(SIZE), [5, 7, 9])
    assert corrected.ids == [f"test-{row:05d}" for row in kept]
    assert np.array_equal(corrected.labels, expected[kept])
    without = load_shift(f"cifar10/{WITHOUT}")
    assert without.example_ids == [f"test-{row:05d}" for row in kept if row != 3]
    assert np.array_equal(without.labels, np.delete(LABELS, [3, 5, 7, 9]))
    for index, name in enumerate(without.example_ids):
        assert np.array_equal(without.item(index), small().test[int(name[5:])])


def test_images_are_not_held_against_a_copy_of_cifar10(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = reviewed(tmp_path / "copy")
    for name in ("cifar10", "cifar10-reviewed"):
        declare_small(monkeypatch, name, root)
        add(name, root)
    assert verify("cifar10-reviewed").ok, "they are its images, under other labels"


def test_a_changed_file_of_labels_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = reviewed(tmp_path / "copy")
    declare_small(monkeypatch, "cifar10-reviewed", root)
    add("cifar10-reviewed", root)
    (root / REVIEWS).write_text(json.dumps(ENTRIES[:1]), encoding="utf-8")
    with pytest.raises(CorruptDataError, match="was changed"):
        load_shift(f"cifar10/{CORRECTED}")


def test_other_reviews_than_the_published_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"instead of|is not the published"):
        add("cifar10-reviewed", reviewed(tmp_path / "copy"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "not a list of reviews"),
        ([{"id": 3}], "entry 0: no review"),
        ([ENTRIES[0], ENTRIES[0]], "entry 1: image 1 .* second review"),
        ([{**ENTRIES[0], "id": 10_000}], "not an image of this set"),
        ([{**ENTRIES[0], "given_original_label": 3}], "with label 3 is not"),
        ([{**ENTRIES[0], "our_guessed_label": 10}], "no review of image 1"),
        ([{**ENTRIES[0], "mturk": {"given": 3}}], "entry 0: no review"),
    ],
)
def test_a_bad_review_is_named(entries: list[Any], message: str, tmp_path: Path) -> None:
    (tmp_path / REVIEWS).write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(CorruptDataError, match=message):
        reviewed_labels(tmp_path / REVIEWS, official_test_labels(), num_classes=10)


def test_images_whose_place_in_the_test_set_is_unknown_are_refused(tmp_path: Path) -> None:
    for row, label in enumerate(("cat", "dog")):
        (tmp_path / "test" / label).mkdir(parents=True)
        (tmp_path / "test" / label / f"photo{row}b7.png").write_bytes(encode(small().test[row]))
    (tmp_path / REVIEWS).write_text(json.dumps(ENTRIES), encoding="utf-8")
    with pytest.raises(CorruptDataError, match="does not say which of the 10,000"):
        add("cifar10-reviewed", tmp_path)


def test_labels_without_the_images_are_not_enough(tmp_path: Path) -> None:
    (tmp_path / REVIEWS).write_text(json.dumps(ENTRIES), encoding="utf-8")
    np.save(tmp_path / COUNTS, np.ones((10_000, 10)))
    for name in ("cifar10-reviewed", "cifar10h"):
        with pytest.raises(DataNotFoundError):
            add(name, tmp_path)


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_what_most_people_saw_is_right(dtype: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = human(tmp_path / "copy", dtype=dtype)
    declare_small(monkeypatch, "cifar10h", root)
    add("cifar10h", root)
    shift = load_shift("cifar10h")
    expected = LABELS.copy()
    expected[3] = 5
    assert np.array_equal(shift.labels, expected)
    assert shift.accepted is not None
    assert shift.accepted[4] == (int(LABELS[4]), 0)
    assert all(len(known) == 1 for row, known in enumerate(shift.accepted) if row != 4)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((20, 10), dtype=np.int64), r"holds \(20, 10\)"),
        (np.full((10_000, 10), 0.5), "not how often"),
        (np.roll(np.eye(10, dtype=np.int64)[official_test_labels()], 1, axis=0), "in another order"),
    ],
)
def test_answers_of_another_set_are_refused(counts: np.ndarray, message: str, tmp_path: Path) -> None:
    root = human(tmp_path / "copy")
    np.save(root / COUNTS, counts)
    with pytest.raises(CorruptDataError, match=message):
        add("cifar10h", root)


def annotated(root: Path, name: str, *, clean: np.ndarray | None = None) -> Path:
    """The labels of people as published: numbers and dictionary by ``torch.save`` or ``numpy.save``."""
    write_python(root, small())
    known = small().train_labels
    labels = {key: (known + place + 1) % 10 for place, (key, _) in enumerate(SPLITS.values())}
    labels["clean_label"] = known if clean is None else clean
    if name.endswith(".pt"):
        torch.save(labels, root / name)
    else:
        np.save(root / name, labels, allow_pickle=True)  # type: ignore[arg-type]  # a dictionary, as published
    return root


@pytest.mark.parametrize("name", ["CIFAR-10_human.pt", "CIFAR-10_human.npy"])
def test_labels_of_people_take_the_place_of_the_training_labels(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = annotated(tmp_path / "copy", name)
    declare_small(monkeypatch, "cifar10n", root)
    add("cifar10n", root)
    assert verify("cifar10n").ok
    for place, split in enumerate(SPLITS):
        shift = load_shift(f"cifar10n/{split}")
        assert np.array_equal(shift.labels, (small().train_labels + place + 1) % 10)
        assert shift.example_ids[:2] == ["train-00000", "train-00001"]
    assert np.array_equal(shift.item(5), small().train[5])


def test_labels_of_people_in_another_order_are_refused(tmp_path: Path) -> None:
    root = annotated(tmp_path / "copy", "CIFAR-10_human.pt", clean=small().train_labels[::-1].copy())
    with pytest.raises(CorruptDataError, match="in their order"):
        add("cifar10n", root, partial=True)
    root = annotated(tmp_path / "less", "CIFAR-10_human.npy", clean=small().train_labels[:9])
    with pytest.raises(CorruptDataError, match="does not hold clean_label"):
        add("cifar10n", root, partial=True)


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("unpickled",))


def test_a_file_of_labels_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"clean_label": Harmful()}, tmp_path / "a.pt")
    np.save(tmp_path / "a.npy", {"clean_label": Harmful()}, allow_pickle=True)  # type: ignore[arg-type]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Harmful()))
    for name in ("a.pt", "a.npy", "a.pkl"):
        with pytest.raises(CorruptDataError, match="print"):
            read_pickle(tmp_path / name)
    assert capsys.readouterr().out == ""
    np.save(tmp_path / "b.npy", {"a": np.arange(3).astype(">i8")}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(CorruptDataError, match="byte order"):
        read_pickle(tmp_path / "b.npy")
