"""RESISC45: scenes from the air and from space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# The names of the folders with spaces for underscores, as in the prompts of Radford et al. 2021.
CLASSES = listed_names("resisc45")
_ADDRESS = (
    "https://huggingface.co/datasets/torchgeo/resisc45/resolve/a826b44d938a883185f11ebe3d512d38b464312f"
)

LABEL_SPACES.register(
    LabelSpace(
        name="resisc45",
        class_names=CLASSES,
        templates=tuple(
            f"{seen} of {article}{{}}."
            for article in ("", "a ", "the ")
            for seen in (
                "satellite imagery",
                "aerial imagery",
                "satellite photo",
                "aerial photo",
                "satellite view",
                "aerial view",
            )
        ),
    )
)

SOURCES.register(
    ImageSource(
        name="resisc45",
        title="NWPU-RESISC45",
        label_space="resisc45",
        counts=dict.fromkeys(("test", "train", "val"), (None,) * 45),
        totals={"test": 6300, "train": 18_900, "val": 6300},
        files=tuple(
            RemoteFile(filename=name, urls=(f"{_ADDRESS}/{name}",), md5=md5)
            for name, md5 in (
                ("NWPU-RESISC45.zip", "75206b2e16446591afa88e2628744886"),
                ("resisc45-train.txt", "b5a4c05a37de15e4ca886696a85c403e"),
                ("resisc45-val.txt", "a0770cee4c5ca20b8c32bbd61e114805"),
                ("resisc45-test.txt", "3dda9e4988b47eb1de9f07993653eb08"),
            )
        ),
        licence="research use with citation as far as known",
        citation="G. Cheng, J. Han and X. Lu. Remote Sensing Image Scene Classification: Benchmark and State "
        "of the Art. Proceedings of the IEEE 2017. Split: M. Neumann et al., arXiv 1911.06721.",
        homepage="https://doi.org/10.1109/jproc.2017.2675998",
        layouts=("a folder with the unpacked NWPU-RESISC45 and resisc45-test.txt, resisc45-train.txt",),
        notes="The split of arXiv 1911.06721, by its published lists.",
        loader="shifts.sources.resisc45:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="resisc45",
        title="NWPU-RESISC45 test set",
        kind="reference",
        support="in",
        source="resisc45",
        split="test",
        label_space="resisc45",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``airplane/airplane_001`` and so on.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_listed,), source="resisc45")


def _listed(root: Path, split: str) -> Examples | None:
    """``resisc45-SPLIT.txt``: lines ``airplane_001.jpg``; the images in a folder for each class."""
    from shifts.readers.layouts import folder_with
    from shifts.readers.listed import labels_by_word, lines_of
    from shifts.readers.tables import table_examples

    listed = f"resisc45-{split}.txt"
    folder = folder_with(root, listed) if root.is_dir() else None
    if folder is None:
        return None
    names = [line.rpartition("/")[2] for line in lines_of(folder / listed)]
    words = [name.rpartition("_")[0] for name in names]
    first = folder_with(root, names[0], depth=3)
    if first is None:
        return None
    classes = {name.replace(" ", "_"): label for label, name in enumerate(CLASSES)}
    return table_examples(
        first.parent,
        [f"{word}/{name}" for word, name in zip(words, names, strict=True)],
        labels_by_word(folder / listed, words, classes),
        attributes={},
        tables=[folder / listed],
    )
