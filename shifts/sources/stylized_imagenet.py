"""Stylized-ImageNet: validation images painted in the style of other pictures. Made by its users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SOURCES.register(
    ImageSource(
        name="imagenet-stylized",
        title="Stylized-ImageNet, validation set",
        label_space="imagenet-1k",
        counts={"val": (50,) * 1000},
        files=(
            RemoteFile(
                filename="val",
                how="not distributed, for reasons of copyright: make it with the code of the homepage "
                "(AdaIN) from ImageNet and the paintings of Kaggle's painter-by-numbers",
            ),
        ),
        licence="as ImageNet and the paintings; not redistributable (the code that makes it is MIT)",
        citation="Geirhos, Rubisch, Michaelis, Bethge, Wichmann and Brendel. ImageNet-trained CNNs are "
        "biased towards texture. ICLR 2019, arXiv 1811.12231.",
        homepage="https://github.com/rgeirhos/Stylized-ImageNet",
        layouts=("class folders val/n01440764/NAME as the generator writes them",),
        loader="shifts.sources.stylized_imagenet:load",
        notes="Every copy is another draw of styles, so there is no published hash, and numbers from two "
        "copies differ; the content digest of a result says which copy it was measured on.",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="imagenet-stylized",
        title="Stylized-ImageNet",
        kind="synthetic",
        support="out",
        source="imagenet-stylized",
        split="val",
        label_space="imagenet-1k",
        reference="imagenet-val",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """The stylised images; ids are those of the validation images where their names are kept.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.imagenet import Family

    family = Family.of_wnids(
        "imagenet-stylized",
        below=("val", ""),
        depth=1,
        called=("validation", "val"),
        val_names=True,
    )
    return family.open(root, split)
