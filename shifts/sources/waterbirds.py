"""Waterbirds: birds cut out and put before land or water; in training the background gives the bird away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, Selection, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shifts.data import Attribute, Examples

PLACES = ("land", "water")
SPLITS = ("train", "val", "test")  # their codes in the table are 0, 1, 2
# split → images of landbird on land, landbird on water, waterbird on land, waterbird on water
GROUPS = {"train": (3_498, 184, 56, 1_057), "val": (467, 466, 133, 133), "test": (2_255, 2_255, 642, 642)}

LABEL_SPACES.register(LabelSpace(name="waterbirds", class_names=("landbird", "waterbird")))

SOURCES.register(
    ImageSource(
        name="waterbirds",
        title="Waterbirds (waterbird_complete95_forest2water2)",
        label_space="waterbirds",
        counts={split: (sum(GROUPS[split][:2]), sum(GROUPS[split][2:])) for split in SPLITS},
        files=(
            RemoteFile(
                filename="waterbird_complete95_forest2water2.tar.gz",
                urls=(
                    "https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz",
                    "https://downloads.cs.stanford.edu/nlp/data/dro/waterbird_complete95_forest2water2.tar.gz",
                ),
            ),
        ),
        hub="grodino/waterbirds",
        licence="non-commercial research and education (images from CUB-200-2011 and Places)",
        citation="S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang. Distributionally Robust Neural Networks "
        "for Group Shifts. ICLR 2020, arXiv 1911.08731.",
        homepage="https://github.com/kohpangwei/group_DRO",
        layouts=(
            "waterbird_complete95_forest2water2.tar.gz, or its folder with metadata.csv",
            "the Hub's copy, parquet or saved by save_to_disk, with the columns image, label, place",
        ),
        loader="shifts.sources.waterbirds:load",
        checks=("shifts.sources.waterbirds:check",),
        notes="Three landbirds whose names contain 'tern' are labelled waterbird, as published.",
    )
)

_COMMON: dict[str, Any] = {
    "source": "waterbirds",
    "split": "test",
    "label_space": "waterbirds",
    "groups": ("class", "place"),
}
_GROUP_NAMES = tuple(f"{bird}/{place}" for bird in ("landbird", "waterbird") for place in PLACES)

SHIFTS.register(
    ShiftSpec(
        name="waterbirds",
        title="Waterbirds, test images with the groups at the rates of training",
        kind="reference",
        support="in",
        selection=Selection(
            function="shifts.perturbations.selections:at_rates",
            parameters={
                "column": "place",
                "classes": 2,
                "rates": {
                    f"{label}/{place}": GROUPS["train"][2 * label + code]
                    for label in (0, 1)
                    for code, place in enumerate(PLACES)
                },
            },
        ),
        notes="In distribution: most landbirds before land, most waterbirds before water.",
        **_COMMON,
    ),
    ShiftSpec(
        name="waterbirds/test",
        title="Waterbirds, the test set: backgrounds independent of the bird",
        kind="spurious",
        support="in",
        reference="waterbirds",
        group_weights=dict(zip(_GROUP_NAMES, GROUPS["train"], strict=True)),
        reported={"adjusted_accuracy": "adjusted average", "worst_group_accuracy": "worst group"},
        notes="Reported are worst-group accuracy and the adjusted average (adjusted_accuracy), which weighs "
        "the groups by their numbers in training.",
        **_COMMON,
    ),
)


def load(root: Path, split: str) -> Examples:
    """A split with the attribute ``place``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_table, _hub), source="waterbirds")


def check(examples: Examples) -> list[str]:
    """Whether a whole split has the published number of images in every group."""
    from shifts.readers.tables import group_faults

    return group_faults(examples, "place", GROUPS)


def _table(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.readers.layouts import folder_with
    from shifts.readers.tables import columns_of, integers, read_columns, table_examples

    folder = folder_with(root, "metadata.csv")
    if folder is None or root.is_file() or "img_filename" not in columns_of(folder / "metadata.csv"):
        return None
    table = folder / "metadata.csv"
    columns = read_columns(table, "img_filename", "y", "split", "place")
    rows = np.flatnonzero(integers(table, "split", columns["split"]) == SPLITS.index(split))
    if not len(rows):
        return None
    numbers = {name: integers(table, name, columns[name])[rows] for name in ("y", "place")}
    return table_examples(
        folder,
        [columns["img_filename"][row] for row in rows.tolist()],
        numbers["y"],
        attributes={"place": _place(numbers["place"], table)},
        tables=[table],
    )


def _hub(root: Path, split: str) -> Examples | None:
    from shifts.data import Examples
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads

    payloads = hub_payloads(root, "validation" if split == "val" else split)
    if payloads is None:
        return None
    return Examples(
        payloads=payloads,
        labels=payloads.labels,
        ids=row_ids(f"hub-{split}", range(len(payloads))),
        attributes={"place": _place(payloads.column("place"), payloads.paths()[0])},
    )


def _place(codes: NDArray[Any], where: Path) -> Attribute:
    import numpy as np

    from shifts.data import Attribute
    from shifts.errors import CorruptDataError

    if not np.isin(codes, (0, 1)).all():
        raise CorruptDataError(
            f"{where}: place holds other values than 0 (land) and 1 (water)", hint="get the file again"
        )
    return Attribute(values=codes.astype(np.int64), names=PLACES)
