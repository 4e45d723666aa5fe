"""VLCS: five kinds of things in four photograph collections that were gathered in different ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.readers.domains import domain_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

CLASSES = ("bird", "car", "chair", "dog", "person")
DOMAINS = {
    "caltech101": ("Caltech101",),
    "labelme": ("LabelMe",),
    "sun09": ("SUN09",),
    "voc2007": ("VOC2007",),
}

LABEL_SPACES.register(LabelSpace(name="vlcs", class_names=CLASSES))

SOURCES.register(
    ImageSource(
        name="vlcs",
        title="VLCS: VOC2007, LabelMe, Caltech101, SUN09",
        label_space="vlcs",
        counts={
            "caltech101": (237, 123, 118, 67, 870),
            "labelme": (80, 1_209, 88, 42, 1_237),
            "sun09": (20, 932, 1_036, 30, 1_264),
            "voc2007": (330, 699, 428, 420, 1_499),
        },
        files=(
            RemoteFile(
                filename="VLCS.tar.gz",
                md5="8870171eba660927d9668f4e515928e4",
                how="the copy that DomainBed links to",
            ),
        ),
        licence="not stated; the images are from VOC2007, LabelMe, Caltech101 and SUN09",
        citation="C. Fang, Y. Xu, D. N. Rockmore. Unbiased Metric Learning. ICCV 2013; data of A. Torralba, "
        "A. A. Efros. Unbiased Look at Dataset Bias. CVPR 2011.",
        homepage="https://github.com/facebookresearch/DomainBed",
        layouts=(
            "VLCS.tar.gz as DomainBed has it, or its folder {Caltech101,LabelMe,SUN09,VOC2007}/CLASS/NAME",
        ),
        loader="shifts.sources.vlcs:load",
        notes="File names differ between builds of this set, and example ids with them.",
    )
)

SHIFTS.register(*domain_shifts("vlcs", "VLCS", tuple(DOMAINS)))


def load(root: Path, split: str) -> Examples:
    """A domain; ids ``CLASS/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_domain,), source="vlcs")


def _domain(root: Path, split: str) -> Examples | None:
    from shifts.readers.domains import domain_folder

    return domain_folder(root, DOMAINS[split], {name: label for label, name in enumerate(CLASSES)})
