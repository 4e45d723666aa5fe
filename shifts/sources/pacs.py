"""PACS: photographs, art paintings, cartoons and sketches of seven kinds of things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.readers.domains import domain_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
DOMAINS = {
    "photo": ("photo",),
    "art": ("art_painting",),
    "cartoon": ("cartoon",),
    "sketch": ("sketch",),
}

LABEL_SPACES.register(
    LabelSpace(
        name="pacs",
        class_names=CLASSES,
        templates=("a photo of a {}.", "a painting of a {}.", "a cartoon of a {}.", "a sketch of a {}."),
    )
)

SOURCES.register(
    ImageSource(
        name="pacs",
        title="PACS: photo, art painting, cartoon, sketch",
        label_space="pacs",
        counts={
            "photo": (189, 202, 182, 186, 199, 280, 432),
            "art": (379, 255, 285, 184, 201, 295, 449),
            "cartoon": (389, 457, 346, 135, 324, 288, 405),
            "sketch": (772, 740, 753, 608, 816, 80, 160),
        },
        files=(
            RemoteFile(
                filename="PACS.zip",
                md5="07272ddb516cd98cc7b044af74b51ab9",
                how="linked from the homepage, or the copy that DomainBed links to",
            ),
        ),
        hub="flwrlabs/pacs",
        hub_files=("*.parquet",),
        licence="not stated; published for research use",
        citation="D. Li, Y. Yang, Y.-Z. Song, T. M. Hospedales. Deeper, Broader and Artier Domain "
        "Generalization. ICCV 2017, arXiv 1710.03077.",
        homepage="https://dali-dl.github.io/project_iccv2017.html",
        layouts=(
            "folder, tar or zip with {photo,art_painting,cartoon,sketch}/CLASS/NAME",
            "the Hub's copy, parquet or saved by save_to_disk, with the columns image, domain, label",
        ),
        loader="shifts.sources.pacs:load",
        notes="Some copies lack sketch/dog/n02103406_4068-1.png, which contains errors.",
    )
)

SHIFTS.register(*domain_shifts("pacs", "PACS", tuple(DOMAINS)))


def load(root: Path, split: str) -> Examples:
    """A domain; ids ``CLASS/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_domain,), source="pacs")


def _domain(root: Path, split: str) -> Examples | None:
    from shifts.readers.domains import domain_folder

    labels = {name: label for label, name in enumerate(CLASSES)}
    return domain_folder(root, DOMAINS[split], labels, hub_column="domain")
