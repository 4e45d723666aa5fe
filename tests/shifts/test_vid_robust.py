"""ImageNet-Vid-Robust and YTBB-Robust: layouts, label rules, pm-k from the runner, planted faults."""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.metrics import PredictionColumns, evaluate
from benchmark.predictions import score
from benchmark.units import multi_label_accuracy, unit_accuracy
from shifts.catalogue import add
from shifts.class_maps import best_accepted, in_shift_classes, pooled_labels
from shifts.data import Shift, load_shift
from shifts.errors import CorruptDataError, UserError
from shifts.sources.vid_robust import VID, YTBB
from shifts.spec import SHIFTS, SOURCES, Pooling
from shifts.verifying import verify
from tests.shifts import imagenet_layouts as layouts

SETS = {
    "val/ILSVRC2015_val_00000000/000010.JPEG": [9, 11],
    "val/ILSVRC2015_val_00000001/000100.JPEG": [99, 101, 102],
    "val/ILSVRC2015_val_00000002/000005.JPEG": [],
}


def frames(anchor: str) -> list[str]:
    folder = anchor.rpartition("/")[0]
    return [anchor, *(f"{folder}/{number:06d}.JPEG" for number in SETS[anchor])]


def write_vid(root: Path) -> Path:
    top = root / "imagenet_vid_ytbb_robust" / "imagenet-vid-robust"
    labels = {}
    for video, anchor in enumerate(SETS):
        for number, name in enumerate(frames(anchor)):
            layouts.write(top / name, layouts.jpeg(10 * video + number))
            labels[name] = [video, 4] if video == 1 else [video]
    layouts.write(top / "metadata/labels.json", json.dumps(labels).encode())
    sets = {anchor: frames(anchor)[1:] for anchor in SETS}
    layouts.write(top / "metadata/pmsets.json", json.dumps(sets).encode())
    return root


def write_ytbb(root: Path) -> Path:
    """Two good anchors, one unsure, one that a pair calls bad; neighbours similar, dissimilar, too far."""
    top = root / "imagenet_vid_ytbb_robust" / "ytbb-robust"
    for video in ("aa_1000", "bb_2000", "cc_3000", "dd_4000"):
        for number in range(10, 32):
            layouts.write(top / "ytbb_videos" / video / f"frame-{number}.jpg", layouts.jpeg(number))
    tags = ["good", "bad", "unsure", *YTBB]
    anchors = {
        "aa_1000": ["good"],
        "bb_2000": ["good", "dog"],
        "cc_3000": ["good", "unsure"],
        "dd_4000": ["good"],
    }
    rows = [
        {"key": f"some/place/{video}/frame-20.jpg", "labels": [tags.index(tag) for tag in found], "notes": ""}
        for video, found in anchors.items()
    ]
    layouts.write(top / "anchor_labels.json", json.dumps({"labels": tags, "annotations": rows}).encode())
    kinds = ["similar", "correct", "dissimilar", "dont know", "bad-anchor", "blur-increase"]
    pairs = {
        ("aa_1000", 19): ["similar"],
        ("aa_1000", 21): ["similar", "correct"],
        ("aa_1000", 22): ["similar", "blur-increase"],
        ("aa_1000", 23): ["dissimilar"],
        ("aa_1000", 31): ["similar"],  # eleven frames away
        ("bb_2000", 10): ["similar"],
        ("dd_4000", 21): ["bad-anchor"],
    }
    rows = [
        {
            "key": f"x/{video}/frame-20.jpg,x/{video}/frame-{number}.jpg",
            "labels": [kinds.index(tag) for tag in found],
        }
        for (video, number), found in pairs.items()
    ]
    layouts.write(top / "pmk_labels.json", json.dumps({"labels": kinds, "annotations": rows}).encode())
    with (top / "ytbb_robustness_test_anchors_full.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["ytid", "time_ms", "label"])
        # The published table exchanges the numbers of car and none: 22 means the car, 23.
        writer.writerows([["aa", 1000, 22], ["bb", 2000, 7], ["cc", 3000, 1], ["dd", 4000, 2]])
    return root


def test_frames_and_their_own_labels(tmp_path: Path) -> None:
    record = add("imagenet-vid-robust", write_vid(tmp_path), partial=True)
    assert {split: found.n for split, found in record.splits.items()} == {"anchors": 3, "sets": 8}
    shift = load_shift("imagenet-vid-robust/pm-10")
    assert shift.example_ids[:3] == frames(next(iter(SETS)))
    assert shift.groups[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 2]
    assert shift.accepted == [(0,)] * 3 + [(1, 4)] * 4 + [(2,)]
    assert load_shift("imagenet-vid-robust/pm-0").example_ids == list(SETS)
    assert verify("imagenet-vid-robust").ok
    with pytest.raises(UserError, match="a limit would"):
        load_shift("imagenet-vid-robust/pm-10", limit=2)


def test_the_archive_holds_both_sets(tmp_path: Path) -> None:
    write_ytbb(write_vid(tmp_path / "files"))
    with tarfile.open(tmp_path / "both.bin", "w:gz") as archive:
        archive.add(tmp_path / "files", arcname=".")
    for source in ("imagenet-vid-robust", "ytbb-robust"):
        assert set(add(source, tmp_path / "both.bin", partial=True).splits) == {"anchors", "sets"}


def test_the_reviewers_decide_which_frames_of_ytbb_count(tmp_path: Path) -> None:
    record = add("ytbb-robust", write_ytbb(tmp_path))
    assert not record.partial
    shift = load_shift("ytbb-robust/pm-10")
    names = ["frame-20", "frame-19", "frame-21"]
    assert shift.example_ids == [
        *(f"aa_1000/{name}.jpg" for name in names),
        "bb_2000/frame-20.jpg",
        "bb_2000/frame-10.jpg",
    ]
    classes = list(YTBB)
    assert [{classes[label] for label in known} for known in shift.accepted or ()] == [{"car"}] * 3 + [
        {"cat", "dog"}
    ] * 2
    assert load_shift("ytbb-robust/pm-0").example_ids == ["aa_1000/frame-20.jpg", "bb_2000/frame-20.jpg"]


@pytest.mark.parametrize(
    ("source", "classes", "members", "images"),
    [("imagenet-vid-robust", VID, 288, 14_400), ("ytbb-robust", YTBB, 231, 11_550)],
)
def test_the_published_sizes_of_the_class_maps(
    source: str, classes: dict[str, str], members: int, images: int
) -> None:
    spec = SHIFTS.get(f"{source}/pm-10")
    assert spec.pooling is not None
    assert len(spec.pooling.members) == len(classes)
    assert len(pooled_labels(spec.pooling)) == members
    assert 50 * members == images
    assert SHIFTS.get(str(spec.reference)).pooling == spec.pooling


def test_a_class_without_members_is_never_the_answer() -> None:
    spec = SHIFTS.get("ytbb-robust/pm-0")
    logits = (np.random.default_rng(0).normal(size=(500, 1000)) * 30 - 100).astype(np.float32)
    answers = in_shift_classes(logits, spec, head="imagenet-1k")
    assert np.isfinite(answers).all()
    empty = [label for label, name in enumerate(YTBB) if not YTBB[name]]
    assert [list(YTBB)[label] for label in empty] == ["cow", "giraffe", "skateboard", "toilet", "none"]
    assert not set(answers.argmax(axis=1).tolist()) & set(empty)


def published_pmk(shift: Shift, prediction: np.ndarray) -> tuple[float, float]:
    """The testbed's count, written anew over dicts: anchors, and anchors with all their frames."""
    said = dict(zip(shift.example_ids, prediction.tolist(), strict=True))
    labels = dict(zip(shift.example_ids, shift.accepted or (), strict=True))
    right = {name: said[name] in labels[name] for name in said}
    anchors = [right[anchor] for anchor in SETS]
    whole = [all(right[name] for name in frames(anchor)) for anchor in SETS]
    return float(np.mean(anchors)), float(np.mean(whole))


def test_pm_k_from_predictions_is_the_published_count(tmp_path: Path) -> None:
    add("imagenet-vid-robust", write_vid(tmp_path), partial=True)
    shift = load_shift("imagenet-vid-robust/pm-10")
    seen = set()
    for seed in range(40):
        logits = np.random.default_rng(seed).normal(size=(len(shift), 30)).astype(np.float32)
        rows = np.arange(len(shift))
        logits[rows, shift.labels] += 3
        labels = best_accepted(logits, shift.accepted or ())
        columns = score(logits, labels, ids=shift.example_ids, groups=shift.groups, group_names=["anchor"])
        stored = PredictionColumns(
            labels=columns["label"].astype(np.int64),
            prediction=columns["prediction"].astype(np.int64),
            confidence=columns["confidence"].astype(np.float64),
            label_probability=columns["label_probability"],
            squared_probability_sum=columns["squared_probability_sum"].astype(np.float64),
            top5=columns["top5"].astype(np.int64),
            groups=shift.groups,
            group_columns={"anchor": shift.group_columns["anchor"].names},
            num_classes=30,
        )
        measured = evaluate(stored, min_group_size=1, unit="anchor")
        pm0, pm10 = published_pmk(shift, stored.prediction)
        accuracy = measured.metrics["accuracy"]
        assert accuracy is not None
        assert (accuracy.value, accuracy.n) == (pm10, 3)
        assert measured.groups == []
        assert multi_label_accuracy(stored.prediction[[0, 3, 7]], [(0,), (1, 4), (2,)]).value == pm0
        right = stored.prediction == stored.labels
        assert unit_accuracy(right, shift.groups[:, 0]).value == pm10 <= pm0
        seen.add(pm10)
    assert len(seen) > 2


def test_bad_input_of_the_metrics() -> None:
    with pytest.raises(ValueError, match="one length"):
        unit_accuracy([True], [0, 1])
    with pytest.raises(ValueError, match="one length"):
        unit_accuracy([], [])
    with pytest.raises(ValueError, match="one length"):
        multi_label_accuracy([1], [])
    with pytest.raises(ValueError, match="no example has a label"):
        multi_label_accuracy([1], [()])


VID_TOP = "imagenet_vid_ytbb_robust/imagenet-vid-robust"
YTBB_TOP = "imagenet_vid_ytbb_robust/ytbb-robust"
FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "frame cut short": (
        "imagenet-vid-robust",
        lambda root: (root / VID_TOP / next(iter(SETS))).write_bytes(layouts.jpeg(1)[:100]),
        "000010.JPEG",
    ),
    "labels cut short": (
        "imagenet-vid-robust",
        lambda root: (root / VID_TOP / "metadata/labels.json").write_text('{"val/'),
        "labels.json",
    ),
    "frame without label": (
        "imagenet-vid-robust",
        lambda root: (root / VID_TOP / "metadata/labels.json").write_text(
            json.dumps({name: [0] for anchor in SETS for name in frames(anchor)} | {next(iter(SETS)): []})
        ),
        "no label for",
    ),
    "label of no class": (
        "imagenet-vid-robust",
        lambda root: (root / VID_TOP / "metadata/labels.json").write_text(
            json.dumps({name: [30] for anchor in SETS for name in frames(anchor)})
        ),
        "label 30",
    ),
    "annotations gone": (
        "ytbb-robust",
        lambda root: (root / YTBB_TOP / "pmk_labels.json").unlink(),
        "pmk_labels",
    ),
    "other table": (
        "ytbb-robust",
        lambda root: (root / YTBB_TOP / "anchor_labels.json").write_text('{"a": 1}'),
        "no table of reviews",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults(tmp_path: Path, fault: str) -> None:
    source, plant, words = FAULTS[fault]
    plant(write_ytbb(write_vid(tmp_path)))
    with pytest.raises(CorruptDataError, match=words) as caught:
        add(source, tmp_path, partial=True)
    assert caught.value.hint


def test_anchors_with_missing_frames_are_left_out_and_told(tmp_path: Path) -> None:
    write_vid(tmp_path)
    (tmp_path / VID_TOP / "val/ILSVRC2015_val_00000001/000101.JPEG").unlink()
    with pytest.raises(CorruptDataError, match="2 images instead of 1109"):
        add("imagenet-vid-robust", tmp_path)
    record = add("imagenet-vid-robust", tmp_path, partial=True)
    assert {split: found.n for split, found in record.splits.items()} == {"anchors": 2, "sets": 4}
    assert "1 of 3 anchors were left out" in record.notes[0]
    assert SOURCES.get("imagenet-vid-robust").size("sets") == 22_179


def test_max_pooling_is_declared() -> None:
    pooling = SHIFTS.get("imagenet-vid-robust/pm-0").pooling
    assert isinstance(pooling, Pooling)
    assert pooling.rule == "max-logit"
