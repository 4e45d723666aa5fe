"""What a model has seen, and what that means for what it is measured on."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from models_zoo.spec import MODELS
from models_zoo.training_data import TRAINING_DATA, official, overlap_warnings, seen, trained_on
from shifts.errors import UnknownNameError
from shifts.spec import SHIFTS, SOURCES

BASELINES = Path(__file__).parents[2] / "benchmark" / "baselines"


def warnings(shift: str, *training_data: str) -> list[str]:
    return list(overlap_warnings(training_data, SHIFTS.get(shift)))


def test_entries_name_what_exists() -> None:
    for entry in TRAINING_DATA.values():
        assert re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", entry.name)
        assert entry.title
        assert set(entry.contains) <= TRAINING_DATA.keys()
        assert {*entry.train_of, *entry.drawn_from_it} <= {source.name for source in SOURCES}
    spellings = [name for entry in TRAINING_DATA.values() for name in (entry.name, *entry.also)]
    assert len(spellings) == len(set(spellings))
    assert not {entry.name for entry in TRAINING_DATA.values()} & {shift.name for shift in SHIFTS}


def test_every_registered_model_and_baseline_keeps_to_the_vocabulary() -> None:
    for spec in MODELS.registered():
        assert [official(name) for name in spec.training_data] == list(spec.training_data), spec.name
    names = set()
    for table in BASELINES.glob("*-v*.csv"):
        with table.open(encoding="utf-8", newline="") as lines:
            names |= {name for row in csv.DictReader(lines) for name in row["training_data"].split(";")}
    assert len(names) > 30
    for name in names:
        official(name)


def test_names() -> None:
    assert official("ig-1b") == "instagram-1b"
    assert official("pacs-photo") == "pacs-photo"
    assert official("pacs") == "pacs"
    with pytest.raises(UnknownNameError, match="laion-2b"):
        official("laion-2bn")
    with pytest.raises(UnknownNameError):
        official("imagenet-v2/nothing")


def test_sets_within_sets() -> None:
    assert seen(("merged-38m",)) >= {"merged-30m", "imagenet-21k", "imagenet-1k", "cc12m", "openimages"}
    assert "imagenet-1k" not in seen(("imagenet-12k",))
    assert seen(("cifar10",)) == {"cifar10"}


def test_the_training_split_of_a_reference() -> None:
    assert trained_on(("laion-2b", "imagenet-1k"), "imagenet-val")
    assert trained_on(("imagenet",), "imagenet-val/r-classes")
    assert trained_on(("imagenet-21k",), "imagenet-val")
    assert trained_on(("digits-tinted",), "digits-tinted")
    assert not trained_on(("digits",), "digits-tinted")
    assert not trained_on(("laion-2b",), "imagenet-val")
    assert not trained_on((), "gone-by-now")


@pytest.mark.parametrize(
    "shift",
    ["imagenet-val", "imagenet-v2", "imagenet-sketch", "imagenet-a", "imagenet-real", "imagenet-c/fog/3"],
)
def test_imagenet_models_on_imagenet_shifts_are_clean(shift: str) -> None:
    assert warnings(shift, "imagenet-1k") == []
    assert warnings(shift, "imagenet-21k", "imagenet-1k") == []


@pytest.mark.parametrize(
    ("shift", "training_data", "reason"),
    [
        ("imagenet-v2", "imagenet-v2", "this distribution"),
        ("imagenet-a/all-classes", "imagenet-a", "trained on imagenet-a"),
        ("imagenet-c/fog/3", "imagenet-c", "trained on imagenet-c"),
        ("imagenet-val", "imagenet-val", "test images of imagenet-val"),
        ("imagenet-real", "imagenet-val", "test images of imagenet-val"),
        ("imagenet-c/fog/3", "imagenet-val", "test images of imagenet-val"),
        ("pacs-art/photo", "pacs-photo", "among these"),
        ("pacs-photo/art", "pacs", "trained on pacs"),
        ("domainnet-clipart/real", "domainnet-real", "the same distribution"),
        ("domainnet-clipart/real", "domainnet", "trained on domainnet"),
        ("digits/unseen-tint", "digits/unseen-tint", "this distribution"),
    ],
)
def test_contaminated(shift: str, training_data: str, reason: str) -> None:
    (warning,) = warnings(shift, training_data, "imagenet-1k")
    assert warning.startswith("contaminated: ")
    assert reason in warning


@pytest.mark.parametrize(
    ("shift", "training_data"),
    [
        ("pacs-photo", "pacs-photo"),
        ("pacs-photo/art", "pacs-photo"),
        ("domainnet-real/clipart", "domainnet-real"),
        ("cifar10", "cifar10"),
        ("cifar10-c/fog/1", "cifar10"),
        ("cifar10.1/v6", "cifar10"),
        ("digits-tinted", "digits"),
        ("digits/label-shift", "digits"),
        ("digits/label-shift", "digits-imbalanced"),
        ("fmow/test", "fmow"),
        ("waterbirds/test", "waterbirds"),
    ],
)
def test_clean(shift: str, training_data: str) -> None:
    assert warnings(shift, training_data) == []


def test_part_of_a_test_set_lies_in_the_training_data() -> None:
    (warning,) = warnings("stl10", "imagenet-1k")
    assert warning.startswith("overlap: part of stl10 is in imagenet-1k")
    assert len(warnings("stl10", "imagenet-21k")) == 2  # it holds imagenet-1k, so that both are named


def test_data_gathered_from_the_web() -> None:
    assert warnings("imagenet-v2", "datacomp-1b", "imagenet-1k") == []
    assert warnings("imagenet-v2", "laion-2b")[0].startswith("overlap not checked: ")
    assert warnings("imagenet-sketch", "merged-2b")[0].endswith("coyo-700m, laion-2b, merged-2b")
    assert warnings("imagenet-v2", "openai-wit")[0].startswith("overlap left in: ")
    assert warnings("imagenet-v2", "unknown") == [
        "overlap not checked: it is not known what the model was trained on"
    ]
    assert warnings("objectnet", "laion-2b") == []  # photographed for the purpose
    assert warnings("imagenet-val", "laion-2b") == []  # a reference is no claim of robustness
