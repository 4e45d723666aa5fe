"""ImageNet-C as published (JPEG files on disk), and the same corruptions generated here.

The generated ones lack the compression that followed the published corruption; a ResNet-50 is about three
points better on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.perturbations.corruption_sets import HENDRYCKS, SPLITS, corruption_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, Perturbation, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SIDE = 224
_ZENODO = "https://zenodo.org/records/2235448/files/"
_ARCHIVES = {
    "noise.tar": "e80562d7f6c3f8834afb1ecf27252745",
    "blur.tar": "2d8e81fdd8e07fef67b9334fa635e45c",
    "weather.tar": "33ffea4db4d93fe4a428c40a6ce0c25d",
    "digital.tar": "89157860d7b10d5797849337ca2e5c03",
    "extra.tar": "d492dfba5fc162d8ec2c3cd8ee672984",
}

SOURCES.register(
    ImageSource(
        name="imagenet-c",
        title="ImageNet-C",
        label_space="imagenet-1k",
        counts=dict.fromkeys(SPLITS, (50,) * 1000),
        files=tuple(
            RemoteFile(filename=name, urls=(f"{_ZENODO}{name}?download=1",), md5=md5)
            for name, md5 in _ARCHIVES.items()
        ),
        licence="CC BY 4.0 as far as known; the images are those of ImageNet, under its terms",
        citation=HENDRYCKS,
        homepage="https://github.com/hendrycks/robustness",
        layouts=(
            "folder with gaussian_noise/1/n01440764/ILSVRC2012_val_00000293.JPEG and so on; corruptions and "
            "severities that are not there are left out",
            "noise.tar, blur.tar, weather.tar, digital.tar or extra.tar, or their folders side by side",
        ),
        loader="shifts.sources.imagenet_c:load",
        notes="Images are 224 x 224 already: a model of that input size takes them as they are. About 62 GB "
        "in five archives. After `add` only whole class folders are watched for changes, not each of the "
        "4,750,000 files; `data verify` reads them all.",
    )
)


# The published generation resizes and crops first and corrupts the 224 x 224 image.
_CROP = Perturbation(
    function="shifts.perturbations.views:resize_and_crop", parameters={"resize": 256, "crop": SIDE}
)

SHIFTS.register(
    *corruption_shifts(
        "imagenet-c",
        clean="imagenet-val",
        split="val",
        label_space="imagenet-1k",
        profile="imagenet",
        before=(_CROP,),
        mean="never part of mCE",
        cropped=SIDE,
        citation=HENDRYCKS,
    )
)


def load(root: Path, split: str) -> Examples:
    """One corruption at one severity; ids are those of the validation images.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.imagenet_c import folders
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (folders,), source="imagenet-c")
