"""FGVC Aircraft: variants of aircraft, such as 737-700."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# The published variants in their order, which are also the prompts of Radford et al. 2021.
CLASSES = listed_names("fgvc_aircraft")

LABEL_SPACES.register(
    LabelSpace(
        name="fgvc-aircraft",
        class_names=CLASSES,
        templates=("a photo of a {}, a type of aircraft.", "a photo of the {}, a type of aircraft."),
    )
)

SOURCES.register(
    ImageSource(
        name="fgvc-aircraft",
        title="FGVC Aircraft, variants",
        label_space="fgvc-aircraft",
        counts=dict.fromkeys(("test", "train", "val"), (None,) * 100),
        totals={"test": 3333, "train": 3334, "val": 3333},
        files=(
            RemoteFile(
                filename="fgvc-aircraft-2013b.tar.gz",
                urls=(
                    "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
                ),
                sha256="d5f68b1b81d6d7831eb9d5c5517074176b5dfbce6bcb43dc14ed1c66a87b8d75",
                size=2_770_575_360,
            ),
        ),
        licence="non-commercial research as far as known",
        citation="S. Maji, E. Rahtu, J. Kannala, M. Blaschko and A. Vedaldi. Fine-Grained Visual "
        "Classification of Aircraft. arXiv 1306.5151, 2013.",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        layouts=("fgvc-aircraft-2013b.tar.gz, or its folder with data/images_variant_test.txt",),
        loader="shifts.sources.fgvc_aircraft:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="fgvc-aircraft",
        title="FGVC Aircraft, variants test set",
        kind="reference",
        support="in",
        source="fgvc-aircraft",
        split="test",
        label_space="fgvc-aircraft",
        groups=("class",),
        reported={"balanced_accuracy": "mean accuracy per class"},
        notes="The images carry a copyright line at their lower edge.",
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are the published names, such as ``0034309``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_published,), source="fgvc-aircraft")


def _published(root: Path, split: str) -> Examples | None:
    """``data/images_variant_SPLIT.txt``: lines ``NAME VARIANT``."""
    from shifts.readers.layouts import folder_with
    from shifts.readers.listed import labels_by_word, lines_of
    from shifts.readers.tables import table_examples

    listed = f"images_variant_{split}.txt"
    folder = folder_with(root, listed, depth=3) if root.is_dir() else None
    if folder is None or not (folder / "images").is_dir():
        return None
    pairs = [line.partition(" ") for line in lines_of(folder / listed)]
    classes = {name: label for label, name in enumerate(CLASSES)}
    return table_examples(
        folder / "images",
        [f"{name}.jpg" for name, _, _ in pairs],
        labels_by_word(folder / listed, [variant.strip() for _, _, variant in pairs], classes),
        attributes={},
        tables=[folder / listed],
    )
