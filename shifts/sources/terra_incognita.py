"""TerraIncognita: camera-trap pictures of ten kinds of animals (or none) from four places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.readers.domains import domain_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

CLASSES = ("bird", "bobcat", "cat", "coyote", "dog", "empty", "opossum", "rabbit", "raccoon", "squirrel")
DOMAINS = {f"l{place}": (f"location_{place}",) for place in (100, 38, 43, 46)}

LABEL_SPACES.register(
    LabelSpace(name="terra-incognita", class_names=CLASSES, templates=("a camera trap photo of a {}.",))
)

SOURCES.register(
    ImageSource(
        name="terra-incognita",
        title="TerraIncognita: four places of the Caltech camera traps",
        label_space="terra-incognita",
        counts={domain: (None,) * len(CLASSES) for domain in DOMAINS},
        totals={"l100": 4_879, "l38": 9_767, "l43": 4_020, "l46": 6_122},
        files=(
            RemoteFile(
                filename="terra_incognita.tar",
                how="made with DomainBed's script from the CCT20 benchmark subset on the homepage",
            ),
        ),
        licence="CDLA-Permissive as far as known",
        citation="S. Beery, G. Van Horn, P. Perona. Recognition in Terra Incognita. ECCV 2018.",
        homepage="https://beerys.github.io/CaltechCameraTraps/",
        layouts=("DomainBed's folder (or tar or zip of it) location_{100,38,43,46}/CLASS/NAME",),
        loader="shifts.sources.terra_incognita:load",
        notes="The counts are those of the build that published tables use (24,788 images). What can be "
        "downloaded today makes about 24,330: take it in with --partial, and its results say so.",
    )
)

SHIFTS.register(*domain_shifts("terra-incognita", "TerraIncognita", tuple(DOMAINS)))


def load(root: Path, split: str) -> Examples:
    """A place; ids ``CLASS/NAME``. An image of two animals lies in two folders and counts twice.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_domain,), source="terra-incognita")


def _domain(root: Path, split: str) -> Examples | None:
    from shifts.readers.domains import domain_folder

    # One order of labels for every place: a place need not have every class.
    return domain_folder(root, DOMAINS[split], {name: label for label, name in enumerate(CLASSES)})
