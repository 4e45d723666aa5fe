"""ImageNet-V2: three new test sets made as the validation set was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from shifts.data import Examples

RECHT = "Recht, Roelofs, Schmidt and Shankar. Do ImageNet Classifiers Generalize to ImageNet? ICML 2019."
_HUB = "https://huggingface.co/datasets/vaishaal/ImageNetV2/resolve/main/"

# Variant → shift, archive on the Hub, its size and hash, words that name the variant in folders and archives.
VARIANTS = {
    "matched-frequency": (
        "imagenet-v2",
        "imagenetv2-matched-frequency.tar.gz",
        1_264_079_360,
        "f0c37fdf925916b19ea1323cd9a2208cdb6959ba2c32eef2a7fc393835c9ca7c",
        ("matched-frequency", "matched_frequency"),
    ),
    "threshold-0.7": (
        "imagenet-v2/threshold-0.7",
        "imagenetv2-threshold0.7.tar.gz",
        1_249_906_176,
        "32142bfe998f9cfa4141be691f6a80eeb1e27b24bd532a668eb08c26d98897a2",
        ("threshold0.7", "threshold-0.7", "threshold_0.7"),
    ),
    "top-images": (
        "imagenet-v2/top-images",
        "imagenetv2-top-images.tar.gz",
        1_245_927_936,
        "85e4ace30f3f0d660152062254b8759dda66267b27f7ec0fd8d5768f1073a04b",
        ("top-images", "topimages", "top_images"),
    ),
}

for _variant, (_name, _archive, _size, _sha256, _) in VARIANTS.items():
    SOURCES.register(
        ImageSource(
            name=_name,
            title=f"ImageNet-V2, {_variant}",
            label_space="imagenet-1k",
            counts={"test": (10,) * 1000},
            files=(RemoteFile(filename=_archive, urls=(_HUB + _archive,), sha256=_sha256, size=_size),),
            licence="MIT (code); images of Flickr users, to be used as ImageNet itself",
            citation=RECHT,
            homepage="https://github.com/modestyachts/ImageNetV2",
            layouts=(
                f"{_archive} or its folder 0/ ... 999/ (label = number of the folder)",
                "class folders by wnid",
                "parquet files with image and label, or saved by save_to_disk",
                "webdataset shards of KEY.jpg and KEY.cls",
            ),
            loader=f"shifts.sources.imagenet_v2:load_{_variant.partition('-')[0]}",
            notes="The three variants share images: 3,186 of threshold-0.7 and 3,070 of top-images lie in "
            "matched-frequency. Sorting the folders as text scrambles the labels; such copies are refused.",
        )
    )
    SHIFTS.register(
        ShiftSpec(
            name=_name,
            title=f"ImageNet-V2, {_variant}",
            kind="natural",
            support="unknown",
            source=_name,
            split="test",
            label_space="imagenet-1k",
            reference="imagenet-val",
            groups=("class",),
        )
    )


def load_matched(root: Path, split: str) -> Examples:
    """The variant whose selection frequencies match the validation set's; ids ``0/NAME`` to ``999/NAME``."""
    return _load(root, split, "matched-frequency")


def load_threshold(root: Path, split: str) -> Examples:
    """The variant of images that at least 70 % of the annotators selected."""
    return _load(root, split, "threshold-0.7")


def load_top(root: Path, split: str) -> Examples:
    """The variant of the images that most annotators selected."""
    return _load(root, split, "top-images")


def _load(root: Path, split: str, variant: str) -> Examples:
    from shifts.errors import CorruptDataError
    from shifts.readers.imagenet import Family, by_wnid

    # The nearest folder names win: an archive's top folder, then the path it was unpacked to.
    inside = [child.name for child in root.iterdir()] if root.is_dir() else []
    for names in (inside, [root.name]):
        told = {
            other
            for other, (*_, words) in VARIANTS.items()
            if any(word in name.lower() for word in words for name in names)
        }
        if told and variant not in told:
            name = VARIANTS[told.pop()][0]
            raise CorruptDataError(
                f"{root} is named after another variant of ImageNet-V2, that of {name!r}",
                hint=f"robustbench-shift data add {name} {root}",
            )
        if told:
            break
    numbers = {str(label): label for label in range(1000)}
    family = Family(
        source=VARIANTS[variant][0],
        folders=numbers | {f"{label:04d}": label for label in range(1000)} | by_wnid(),
        canonical=tuple(numbers),
        below=(*(f"imagenetv2-{word}-format-val" for word in VARIANTS[variant][4]), "", "test", "val"),
        numbered=True,
    )
    return family.open(root, split)
