"""ImageNet-Sketch: black-and-white sketches of the 1000 classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SOURCES.register(
    ImageSource(
        name="imagenet-sketch",
        title="ImageNet-Sketch",
        label_space="imagenet-1k",
        counts={"test": (None,) * 1000},
        totals={"test": 50_889},
        files=(
            RemoteFile(
                filename="ImageNet-Sketch.zip",
                sha256="4d3ce6b82a7c48aabf14aeac105eb533e75707f152cc858f55bfc022031a72ed",
                size=7_593_573_012,
                how="the Google Drive link on the homepage, or Kaggle's wanghaohan/imagenetsketch",
            ),
        ),
        hub="clip-benchmark/wds_imagenet_sketch",
        licence="MIT (repository); images from the web, their licence is unknown",
        citation="Wang, Ge, Lipton and Xing. Learning Robust Global Representations by Penalizing Local "
        "Predictive Power. NeurIPS 2019.",
        homepage="https://github.com/HaohanWang/ImageNet-Sketch",
        layouts=(
            "ImageNet-Sketch.zip or its folder sketch/n01440764/sketch_0.JPEG",
            "parquet files with image and label, or saved by save_to_disk",
            "webdataset shards of KEY.jpg and KEY.cls",
        ),
        loader="shifts.sources.imagenet_sketch:load",
        notes="50,889 images, though the paper says 50,000; some are all black, some are flipped or turned "
        "copies, and those of the two cranes and of the two maillots are said to be the same.",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="imagenet-sketch",
        title="ImageNet-Sketch",
        kind="natural",
        support="out",
        source="imagenet-sketch",
        split="test",
        label_space="imagenet-1k",
        reference="imagenet-val",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """The sketches in any of their layouts; ids ``n01440764/sketch_0``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.imagenet import Family

    family = Family.of_wnids(
        "imagenet-sketch",
        below=("sketch", "test", "val", ""),
        called=("test", "validation", "val", "train"),
    )
    return family.open(root, split)
