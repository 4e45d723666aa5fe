"""The ImageNet-1k validation set (ILSVRC-2012): the reference of most natural shifts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, Perturbation, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from shifts.data import Examples

RUSSAKOVSKY = (
    "Russakovsky et al. ImageNet Large Scale Visual Recognition Challenge. IJCV 115(3):211-252, 2015, "
    "doi:10.1007/s11263-015-0816-y."
)
TERMS = "ImageNet terms: non-commercial research and education, after registration; not redistributable"
_TEMPLATES = Path(__file__).resolve().parent / "data" / "imagenet_templates.txt"


@cache
def label_space() -> LabelSpace:
    """The 1000 classes in the order of their sorted wnids, with OpenAI's class names and 80 prompts."""
    from shifts.readers.imagenet_tables import class_table

    wnids, names = class_table()
    templates = tuple(_TEMPLATES.read_text(encoding="utf-8").splitlines())
    return LabelSpace(name="imagenet-1k", class_names=names, wnids=wnids, templates=templates)


# Made when somebody asks for it: listing shifts needs no class names.
LABEL_SPACES.add_resolver(
    lambda name: label_space() if name == "imagenet-1k" else None, listing=lambda: [label_space()]
)

SOURCES.register(
    ImageSource(
        name="imagenet-val",
        title="ImageNet-1k validation set (ILSVRC-2012)",
        label_space="imagenet-1k",
        counts={"val": (50,) * 1000},
        files=(
            RemoteFile(
                filename="ILSVRC2012_img_val.tar",
                md5="29b22e2961454d5413ddabcf34fc5622",
                sha256="c7e06a6c0baccf06d8dbeb6577d71efff84673a5dbdd50633ab44f8ea0456ae0",
                size=6_744_924_160,
                how="register at https://image-net.org/download.php and download the validation images",
            ),
            RemoteFile(
                filename="ILSVRC2012_devkit_t12.tar.gz",
                md5="fa75699e90414af021442c21a62c3abf",
                how="beside the images on the same page; not needed, the ground truth is known",
            ),
            RemoteFile(
                filename="ILSVRC2012_validation_ground_truth.txt",
                md5="f31656d784908741c59ccb6823cf0bea",
                how="inside ILSVRC2012_devkit_t12.tar.gz",
            ),
        ),
        hub="ILSVRC/imagenet-1k@49e2ee26f3810fb5a7536bbf732a7b07389a47b5",
        licence=TERMS,
        citation=RUSSAKOVSKY,
        homepage="https://image-net.org",
        layouts=(
            "ILSVRC2012_img_val.tar as it is, or a folder that holds it",
            "flat folder ILSVRC2012_val_00000001.JPEG ... (a development kit beside it is checked)",
            "class folders [val/]n01440764/ILSVRC2012_val_00000293.JPEG",
            "parquet files of the Hub (validation-00000-of-00014.parquet), or saved by save_to_disk",
            "webdataset shards of KEY.jpg and KEY.cls",
        ),
        loader="shifts.sources.imagenet:load",
        notes="Ids are the published file names. Class names repeat (crane, maillot): only wnids map.",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="imagenet-val",
        title="ImageNet-1k validation set",
        kind="reference",
        support="in",
        source="imagenet-val",
        split="val",
        label_space="imagenet-1k",
        groups=("class",),
    ),
    ShiftSpec(
        name="imagenet-val/greyscale",
        title="ImageNet-1k validation set without colour",
        kind="synthetic",
        support="out",
        source="imagenet-val",
        split="val",
        label_space="imagenet-1k",
        reference="imagenet-val",
        perturbations=(Perturbation(function="shifts.perturbations.views:greyscale"),),
        groups=("class",),
        citation="as in Taori et al., Measuring Robustness to Natural Distribution Shifts, NeurIPS 2020",
    ),
)


def load(root: Path, split: str) -> Examples:
    """The validation images in any of their layouts; ids ``ILSVRC2012_val_00000001`` and so on.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.imagenet import Family
    from shifts.readers.imagenet_val import flat

    family = Family.of_wnids(
        "imagenet-val",
        below=("val", "validation", ""),
        depth=3,
        called=("validation", "val", "test"),
        val_names=True,
    )
    return family.open(root, split, more=(lambda top, _: flat(family, top),))
