"""Food-101: dishes, with training labels that are noisy as they were collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# The names of the folders with spaces for underscores, as in the prompts of Radford et al. 2021.
CLASSES = listed_names("food101")
FOLDERS = {name.replace(" ", "_"): label for label, name in enumerate(CLASSES)}

LABEL_SPACES.register(
    LabelSpace(name="food101", class_names=CLASSES, templates=("a photo of {}, a type of food.",))
)

SOURCES.register(
    ImageSource(
        name="food101",
        title="Food-101",
        label_space="food101",
        counts={"test": (250,) * 101, "train": (750,) * 101},
        files=(
            RemoteFile(
                filename="food-101.tar.gz",
                urls=("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",),
                sha256="d97d15e438b7f4498f96086a4f7e2fa42a32f2712e87d3295441b2b6314053a4",
                md5="85eeb15f3717b99a5da872d97d918f87",
                size=4_996_278_331,
            ),
        ),
        hub="ethz/food101",
        licence="not stated; images from foodspotting.com, used for research with citation",
        citation="L. Bossard, M. Guillaumin and L. Van Gool. Food-101: Mining Discriminative Components with "
        "Random Forests. ECCV 2014.",
        homepage="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        layouts=(
            "food-101.tar.gz, or its folder with images and meta/test.json",
            "parquet files as the Hub serves them, or saved by save_to_disk",
        ),
        loader="shifts.sources.food101:load",
        notes="Of the training images some have wrong labels, as published; the test images were cleaned.",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="food101",
        title="Food-101 test set",
        kind="reference",
        support="in",
        source="food101",
        split="test",
        label_space="food101",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``apple_pie/1011328`` and so on, the published names; the Hub's rows have others.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_published, _hub), source="food101")


def _published(root: Path, split: str) -> Examples | None:
    """``meta/SPLIT.json``: class → names of its images without suffix, below ``images``."""
    import json

    from shifts.errors import CorruptDataError
    from shifts.readers.layouts import folder_with
    from shifts.readers.listed import labels_by_word
    from shifts.readers.tables import table_examples

    meta = folder_with(root, f"{split}.json", depth=3) if root.is_dir() else None
    if meta is None or not (meta.parent / "images").is_dir():
        return None
    path = meta / f"{split}.json"
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(word, str(name)) for word, names in listed.items() for name in names]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise CorruptDataError(
            f"{path} is not a list of images by class: {error}", hint="unpack the archive again"
        ) from error
    return table_examples(
        meta.parent / "images",
        [f"{name}.jpg" for _, name in pairs],
        labels_by_word(path, [word for word, _ in pairs], FOLDERS),
        attributes={},
        tables=[path],
    )


def _hub(root: Path, split: str) -> Examples | None:
    from shifts.data import Examples
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads, labels_by_name

    # The Hub calls the published test images "validation".
    payloads = hub_payloads(root, "validation" if split == "test" else split)
    if payloads is None:
        return None
    ids = row_ids(f"{split}-hub", range(len(payloads)))
    return Examples(payloads=payloads, labels=labels_by_name(payloads, FOLDERS), ids=ids)
