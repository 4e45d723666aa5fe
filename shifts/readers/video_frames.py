"""The two sets of nearly equal video frames: ImageNet-Vid-Robust and YTBB-Robust."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shifts.data import Attribute, Examples
from shifts.errors import CorruptDataError
from shifts.readers.files import FolderFiles
from shifts.readers.layouts import folder_with, remark, walk
from shifts.readers.payloads import FilePayloads

REACH = 10  # frames before and after the anchor
# Tags of the reviewers that take a frame out; those without "similar" are out as well.
PROBLEMS = frozenset(
    {
        "dissimilar",
        "problematic",
        "incorrect",
        "dont know",
        "deformation",
        "background-change",
        "occlusion-increased",
        "blur-increase",
        "bad-anchor",
    }
)

Units = Mapping[str, Sequence[str]]  # anchor → its reviewed neighbours
LabelSets = Mapping[str, Sequence[int]]


def vid_robust(root: Path, split: str) -> Examples | None:
    """``imagenet-vid-robust/val/VIDEO/000010.JPEG`` with ``metadata/labels.json`` and ``pmsets.json``.

    Every frame counts against its own labels.

    Args:
        split: ``anchors``, or ``sets`` for the anchors with their neighbours.

    Raises:
        CorruptDataError: damaged tables, or a frame without labels.
    """
    metadata = folder_with(root, "pmsets.json", depth=3) if root.is_dir() else None
    if metadata is None:
        return None
    units, labels = _json(metadata / "pmsets.json"), _json(metadata / "labels.json")
    top = metadata.parent if (metadata.parent / "val").is_dir() else metadata
    return _examples(top, split, units, labels, beside=[metadata / "pmsets.json", metadata / "labels.json"])


def ytbb_robust(root: Path, split: str, *, classes: Sequence[str]) -> Examples | None:
    """``ytbb_videos/ID_MS/frame-N.jpg`` with the reviewers' ``anchor_labels.json`` and ``pmk_labels.json``
    and the first labels in ``ytbb_robustness_test_anchors_full.csv``.

    Neighbours count against the labels of their anchor: the first label and those the reviewers added.

    Raises:
        CorruptDataError: a table is missing or damaged.
    """
    if not root.is_dir():
        return None
    names = ("anchor_labels.json", "pmk_labels.json", "ytbb_robustness_test_anchors_full.csv")
    videos = _folder_named(root, "ytbb_videos")
    if videos is None:
        return None
    tables = {path.name: path for path in walk(root, depth=4) if path.name in names}
    missing = [name for name in names if name not in tables]
    if missing:
        raise CorruptDataError(
            f"{root} holds ytbb_videos without {', '.join(missing)}",
            hint="put the annotations beside the videos; the imagenet-testbed keeps them, too "
            "(src/eval_settings/ytbb-robust_metadata)",
        )
    anchors = _reviewed(tables[names[0]])
    pairs = _reviewed(tables[names[1]])
    first = _first_labels(tables[names[2]])
    bad = {_frame(key.split(",")[0]) for key, tags in pairs.items() if "bad-anchor" in tags}
    index = {name: label for label, name in enumerate(classes)}
    labels: dict[str, list[int]] = {}
    for key, tags in anchors.items():
        anchor = _frame(key)
        if "good" not in tags or tags & {"bad", "unsure"} or anchor in bad:
            continue
        video = anchor.partition("/")[0]
        if video not in first:
            raise CorruptDataError(f"{tables[names[2]]} has no label for {video}", hint="get the table again")
        labels[anchor] = sorted({first[video], *(index[tag] for tag in tags if tag in index)})
    units: dict[str, list[str]] = {anchor: [] for anchor in labels}
    for key, tags in pairs.items():
        anchor, _, frame = (_frame(part) for part in key.partition(","))
        near = anchor in units and 0 < abs(_number(frame) - _number(anchor)) <= REACH
        if near and "similar" in tags and not tags & PROBLEMS and frame not in units[anchor]:
            units[anchor].append(frame)
    every = labels | {frame: labels[anchor] for anchor, frames in units.items() for frame in frames}
    return _examples(videos, split, units, every, beside=sorted(tables.values()))


def _folder_named(root: Path, name: str, *, depth: int = 2) -> Path | None:
    """The nearest folder of that name, ``root`` itself included."""
    level = [root]
    for _ in range(depth + 1):
        for folder in level:
            if folder.name == name:
                return folder
            if (folder / name).is_dir():
                return folder / name
        level = [folder / child for folder in level for child in FolderFiles(folder).folders("")]
    return None


def _examples(
    top: Path, split: str, units: Units, labels: LabelSets, *, beside: list[Path]
) -> Examples | None:
    files = FolderFiles(top)
    there = {
        f"{folder}/{name}"
        for folder in {frame.rpartition("/")[0] for frame in labels}
        for name in files.names(folder)
    }
    whole = [anchor for anchor, near in units.items() if {anchor, *near} <= there]
    if len(whole) < len(units):
        remark(
            f"{len(units) - len(whole)} of {len(units)} anchors were left out with all around them, "
            "because some of their frames are not there"
        )
    names: list[str] = []
    codes: list[int] = []
    for code, anchor in enumerate(whole):
        frames = [anchor] if split == "anchors" else [anchor, *units[anchor]]
        names += frames
        codes += [code] * len(frames)
    unknown = [name for name in names if not labels.get(name)]
    if unknown:
        raise CorruptDataError(f"the tables give no label for {unknown[0]}", hint="get the tables again")
    if not names:
        return None
    accepted = [tuple(int(label) for label in labels[name]) for name in names]
    return Examples(
        payloads=FilePayloads(files, names, beside=beside),
        labels=np.array([known[0] for known in accepted], dtype=np.int64),
        ids=names,
        accepted=accepted,
        attributes={"anchor": Attribute(values=np.array(codes, dtype=np.int64), names=tuple(whole))},
    )


def _json(path: Path) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptDataError(f"{path} cannot be read: {error}", hint="get the file again") from error
    if not isinstance(found, dict) or not found:
        raise CorruptDataError(f"{path} is no table of frames", hint="get the file again")
    return found


def _reviewed(path: Path) -> dict[str, set[str]]:
    """Frame (or pair of frames) → tags of the reviewers; of several reviews the last one counts."""
    found = _json(path)
    try:
        tags = found["labels"]
        return {row["key"]: {tags[number] for number in row["labels"]} for row in found["annotations"]}
    except (KeyError, TypeError, IndexError) as error:
        raise CorruptDataError(f"{path} is no table of reviews", hint="get the file again") from error


def _first_labels(path: Path) -> dict[str, int]:
    """Video and time → class; the table has exchanged the numbers of car (23) and none (22)."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = {f"{row['ytid']}_{row['time_ms']}": int(row["label"]) for row in csv.DictReader(stream)}
    except (OSError, KeyError, ValueError) as error:
        raise CorruptDataError(f"{path} cannot be read: {error}", hint="get the file again") from error
    exchanged = {22: 23, 23: 22}
    return {key: exchanged.get(label, label) for key, label in rows.items()}


def _frame(path: str) -> str:
    """``ID_MS/frame-N.jpg`` out of a longer path."""
    return "/".join(path.split("/")[-2:])


def _number(frame: str) -> int:
    stem = frame.rpartition("-")[2].partition(".")[0]
    if not stem.isdigit():
        raise CorruptDataError(f"{frame!r} is not named like ID_MS/frame-12.jpg", hint="get the tables again")
    return int(stem)
