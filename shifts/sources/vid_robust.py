"""Frames of videos that look alike to people: ImageNet-Vid-Robust and YTBB-Robust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.sources.imagenet import RUSSAKOVSKY
from shifts.spec import SHIFTS, SOURCES, ImageSource, Pooling, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SHANKAR = (
    "Shankar, Dave, Roelofs, Ramanan, Recht and Schmidt. Do Image Classifiers Generalize Across Time? "
    "ICCV 2021, arXiv 1906.02168."
)
HOMEPAGE = "https://modestyachts.github.io/natural-perturbations-website/"
_ARCHIVE = RemoteFile(
    filename="imagenet_vid_ytbb_robust.tar.gz",
    urls=(
        "https://do-imagenet-classifiers-generalize-across-time.s3-us-west-2.amazonaws.com/"
        "imagenet_vid_ytbb_robust.tar.gz",
    ),
)

_BIRDS = "7-24,80-100,127-146"
_CARS = "407,436,468,511,609,627,656,661,751,817"
# Class = indices of the ImageNet classes that mean it; where there are none the class is never the answer.
VID = {
    "airplane": "404", "antelope": "351-353", "bear": "294-297", "bicycle": "444,671", "bird": _BIRDS,
    "bus": "654,779,874", "car": _CARS, "cattle": "345", "dog": "151-268", "cat": "281-285",
    "elephant": "385,386", "fox": "277-280", "giant panda": "388", "hamster": "333", "horse": "339",
    "lion": "291", "lizard": "38-48", "monkey": "370-382", "motorcycle": "665", "rabbit": "330,332",
    "red panda": "387", "sheep": "348", "snake": "52-68", "squirrel": "335", "tiger": "292", "train": "466",
    "turtle": "33-37",
    "watercraft": "403,472,484,510,554,576,625,628,724,780,814,833,871,913,914", "whale": "147,148",
    "zebra": "340",
}  # fmt: skip
YTBB = {
    "person": "981-983", "bird": _BIRDS, "bicycle": "444,671", "boat": "472,554,576,625,814,914",
    "bus": "654,779,874", "bear": "294-297", "cow": "", "cat": "281-287", "giraffe": "",
    "potted plant": "985,986", "horse": "339", "motorcycle": "665", "knife": "499,623", "airplane": "404",
    "skateboard": "", "train": "466", "truck": "555,569,675,717,734,864,867", "zebra": "340", "toilet": "",
    "dog": "151-268", "elephant": "385,386", "umbrella": "879", "none": "", "car": _CARS,
}  # fmt: skip


def _pooling(classes: dict[str, str]) -> Pooling:
    def members(text: str) -> tuple[int, ...]:
        runs = (part.partition("-") for part in text.split(",") if part)
        return tuple(i for first, _, last in runs for i in range(int(first), int(last or first) + 1))

    return Pooling(
        label_space="imagenet-1k", members=tuple(members(text) for text in classes.values()), rule="max-logit"
    )


LABEL_SPACES.register(
    LabelSpace(name="imagenet-vid", class_names=tuple(VID)), LabelSpace(name="ytbb", class_names=tuple(YTBB))
)

_COMMON: dict[str, Any] = {
    "label_space": "imagenet-vid",
    "licence": "as far as known the terms of ImageNet-Vid and of YouTube-BoundingBoxes",
    "citation": SHANKAR,
    "homepage": HOMEPAGE,
    "files": (_ARCHIVE,),
}

SOURCES.register(
    ImageSource(
        name="imagenet-vid-robust",
        title="ImageNet-Vid-Robust",
        counts=dict.fromkeys(("anchors", "sets"), (None,) * len(VID)),
        totals={"anchors": 1_109, "sets": 22_179},
        layouts=(
            "imagenet_vid_ytbb_robust.tar.gz, or its folder imagenet-vid-robust: val/VIDEO/000010.JPEG and "
            "metadata/labels.json, metadata/pmsets.json",
        ),
        loader="shifts.sources.vid_robust:load_vid",
        **_COMMON,
    ),
    ImageSource(
        name="ytbb-robust",
        title="YTBB-Robust",
        counts=dict.fromkeys(("anchors", "sets"), (None,) * len(YTBB)),
        may_lack=True,
        layouts=(
            "imagenet_vid_ytbb_robust.tar.gz, or its folder ytbb-robust: ytbb_videos/ID_MS/frame-12.jpg, "
            "with anchor_labels.json, pmk_labels.json and ytbb_robustness_test_anchors_full.csv beside it",
        ),
        loader="shifts.sources.vid_robust:load_ytbb",
        notes="By the totals of the paper 2,030 anchors are scored; what this copy has is recorded when it "
        "is added.",
        **(_COMMON | {"label_space": "ytbb"}),
    ),
)

for _source, _of_source, _space, _classes in (
    ("imagenet-vid-robust", "ImageNet-Vid-Robust", "imagenet-vid", VID),
    ("ytbb-robust", "YTBB-Robust", "ytbb", YTBB),
):
    _pool = _pooling(_classes)
    _reference = f"imagenet-val/{_source.removeprefix('imagenet-')}-classes"
    _spec: dict[str, Any] = {
        "kind": "natural",
        "support": "unknown",
        "source": _source,
        "label_space": _space,
        "reference": _reference,
        "pooling": _pool,
        "notes": "The answer is the class whose ImageNet classes have the largest logit; right is any of the "
        "frame's labels. The stored label of a row is the right one the model ranks first.",
    }
    SHIFTS.register(
        ShiftSpec(
            name=_reference,
            title=f"ImageNet-1k validation set, the {sum(map(len, _pool.members))} classes of {_of_source}",
            kind="reference",
            support="in",
            source="imagenet-val",
            split="val",
            label_space=_space,
            pooling=_pool,
            groups=("class",),
            citation=RUSSAKOVSKY,
        ),
        ShiftSpec(
            name=f"{_source}/pm-0",
            title=f"{_of_source}, anchor frames",
            split="anchors",
            reported={"accuracy": "pm-0"},
            **_spec,
        ),
        ShiftSpec(
            name=f"{_source}/pm-10",
            title=f"{_of_source}, right on all frames within 10 of the anchor",
            split="sets",
            groups=("anchor",),
            unit="anchor",
            reported={"accuracy": "pm-10"},
            **_spec,
        ),
    )


def load_vid(root: Path, split: str) -> Examples:
    """Anchors, or anchors with their neighbours; ids ``val/VIDEO/000010.JPEG``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout
    from shifts.readers.video_frames import vid_robust

    return first_layout(root, split, (vid_robust,), source="imagenet-vid-robust")


def load_ytbb(root: Path, split: str) -> Examples:
    """Anchors, or anchors with their neighbours; ids ``ID_MS/frame-12.jpg``."""
    from shifts.readers.layouts import first_layout
    from shifts.readers.video_frames import ytbb_robust

    return first_layout(
        root, split, (lambda top, of: ytbb_robust(top, of, classes=tuple(YTBB)),), source="ytbb-robust"
    )
