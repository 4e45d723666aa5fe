"""DTD: textures as people describe them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# The names of the folders, which are also the prompts of Radford et al. 2021.
CLASSES = listed_names("dtd")
PARTITION = 1  # of ten published ones; papers report the first, or the mean

LABEL_SPACES.register(
    LabelSpace(
        name="dtd",
        class_names=CLASSES,
        templates=tuple(
            f"a photo of {article} {{}} {thing}."
            for article in ("a", "the")
            for thing in ("texture", "pattern", "thing", "object")
        ),
    )
)

SOURCES.register(
    ImageSource(
        name="dtd",
        title="Describable Textures",
        label_space="dtd",
        counts=dict.fromkeys(("test", "train", "val"), (40,) * 47),
        files=(
            RemoteFile(
                filename="dtd-r1.0.1.tar.gz",
                urls=("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",),
                sha256="e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
                md5="fff73e5086ae6bdbea199a49dfb8a4c1",
                size=625_239_812,
            ),
        ),
        licence="research use with citation as far as known",
        citation="M. Cimpoi, S. Maji, I. Kokkinos, S. Mohamed and A. Vedaldi. Describing Textures in the "
        "Wild. CVPR 2014.",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        layouts=("dtd-r1.0.1.tar.gz, or its folder with images and labels/test1.txt",),
        notes="The first of the ten published partitions.",
        loader="shifts.sources.dtd:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="dtd",
        title="Describable Textures test set",
        kind="reference",
        support="in",
        source="dtd",
        split="test",
        label_space="dtd",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``banded/banded_0002`` and so on, the published names.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_published,), source="dtd")


def _published(root: Path, split: str) -> Examples | None:
    """``labels/SPLIT1.txt``: lines ``CLASS/NAME.jpg``."""
    from shifts.readers.layouts import folder_with
    from shifts.readers.listed import labels_by_word, lines_of
    from shifts.readers.tables import table_examples

    listed = f"{split}{PARTITION}.txt"
    folder = folder_with(root, listed, depth=3) if root.is_dir() else None
    if folder is None or not (folder.parent / "images").is_dir():
        return None
    names = lines_of(folder / listed)
    classes = {name: label for label, name in enumerate(CLASSES)}
    labels = labels_by_word(folder / listed, [name.partition("/")[0] for name in names], classes)
    return table_examples(folder.parent / "images", names, labels, attributes={}, tables=[folder / listed])
