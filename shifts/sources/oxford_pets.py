"""Oxford-IIIT Pets: breeds of cats and dogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

_ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
# In the order of the published class numbers, named as in the prompts of Radford et al. 2021.
CLASSES = listed_names("oxford_pets")
BREEDS = {name.replace(" ", "_").lower(): label for label, name in enumerate(CLASSES)}

LABEL_SPACES.register(
    LabelSpace(name="oxford-pets", class_names=CLASSES, templates=("a photo of a {}, a type of pet.",))
)

SOURCES.register(
    ImageSource(
        name="oxford-pets",
        title="Oxford-IIIT Pets",
        label_space="oxford-pets",
        counts={"test": (None,) * 37, "trainval": (None,) * 37},
        totals={"test": 3669, "trainval": 3680},
        files=(
            RemoteFile(
                filename="images.tar.gz",
                urls=(f"{_ADDRESS}/images.tar.gz",),
                md5="5c4f3ee8e5d25df40f4fd59a7f44e54c",
                size=791_918_971,
            ),
            RemoteFile(
                filename="annotations.tar.gz",
                urls=(f"{_ADDRESS}/annotations.tar.gz",),
                md5="95a8c909bbe2e81eed6a22bccdf3f68f",
                size=19_173_078,
            ),
        ),
        licence="CC BY-SA 4.0 as far as known",
        citation="O. M. Parkhi, A. Vedaldi, A. Zisserman and C. V. Jawahar. Cats and Dogs. CVPR 2012.",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        layouts=("a folder with the unpacked images and annotations (test.txt, trainval.txt)",),
        loader="shifts.sources.oxford_pets:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="oxford-pets",
        title="Oxford-IIIT Pets test set",
        kind="reference",
        support="in",
        source="oxford-pets",
        split="test",
        label_space="oxford-pets",
        groups=("class",),
        reported={"balanced_accuracy": "mean accuracy per class"},
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``Abyssinian_201`` and so on, the published names.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_published,), source="oxford-pets")


def _published(root: Path, split: str) -> Examples | None:
    """``annotations/SPLIT.txt``: lines ``NAME CLASS SPECIES BREED``, classes from 1."""
    from shifts.errors import CorruptDataError
    from shifts.readers.layouts import folder_with
    from shifts.readers.listed import MEND, labels_by_word, lines_of
    from shifts.readers.tables import table_examples

    folder = folder_with(root, f"{split}.txt", depth=3) if root.is_dir() else None
    if folder is None:
        return None
    path = folder / f"{split}.txt"
    rows = [line.split() for line in lines_of(path) if not line.startswith("#")]
    names = [row[0] for row in rows]
    labels = labels_by_word(path, [name.rpartition("_")[0].lower() for name in names], BREEDS)
    for row, label in zip(rows, labels.tolist(), strict=True):
        if row[1:2] != [str(label + 1)]:
            raise CorruptDataError(
                f"{path}: {row[0]} is listed as class {' '.join(row[1:2]) or '(none)'}, its name says "
                f"{label + 1}",
                hint=MEND,
            )
    images = folder_with(root, f"{names[0]}.jpg", depth=3)
    if images is None:
        return None
    return table_examples(images, [f"{name}.jpg" for name in names], labels, attributes={}, tables=[path])
