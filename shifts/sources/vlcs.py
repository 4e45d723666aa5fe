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
    "caltech101": ("Caltech101", "CALTECH"),
    "labelme": ("LabelMe", "LABELME"),
    "sun09": ("SUN09", "SUN"),
    "voc2007": ("VOC2007", "PASCAL"),
}
PARTS = ("train", "crossval", "test")  # of the copy with numbered classes; together they are the domain

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
            "the copy that Dassl uses: {CALTECH,LABELME,SUN,PASCAL}/{train,crossval,test}/{0,1,2,3,4}/NAME",
        ),
        loader="shifts.sources.vlcs:load",
        notes="File names differ between builds of this set, and example ids with them.",
    )
)

SHIFTS.register(*domain_shifts("vlcs", "VLCS", tuple(DOMAINS)))


def load(root: Path, split: str) -> Examples:
    """A domain; ids ``CLASS/NAME``, or ``PART/NUMBER/NAME`` where the copy is in parts.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_domain, _parts), source="vlcs")


def _domain(root: Path, split: str) -> Examples | None:
    from shifts.readers.domains import domain_folder

    return domain_folder(root, DOMAINS[split], {name: label for label, name in enumerate(CLASSES)})


def _parts(root: Path, split: str) -> Examples | None:
    from shifts.readers.domains import parted_domain

    # Classes are numbered in the order of their names; the published counts of each class confirm it.
    numbers = {str(label): label for label in range(len(CLASSES))}
    return parted_domain(root, DOMAINS[split], numbers, parts=PARTS)
