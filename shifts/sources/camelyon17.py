"""Camelyon17-WILDS: is there tumour in the middle of a tissue patch? From hospitals not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

OOD = {1: "val", 2: "test"}  # hospital → split; the others are split at random into train and id-val
IN_DISTRIBUTION = {0: "train", 1: "id-val"}
WILDS = (
    "P. W. Koh, S. Sagawa, et al. WILDS: A Benchmark of in-the-Wild Distribution Shifts. ICML 2021, "
    "arXiv 2012.07421."
)

LABEL_SPACES.register(
    LabelSpace(
        name="camelyon17",
        class_names=("normal tissue", "tumor tissue"),
        templates=("a histopathology image of {}.",),
    )
)

SOURCES.register(
    ImageSource(
        name="camelyon17",
        title="Camelyon17-WILDS v1.0",
        label_space="camelyon17",
        counts={
            "id-val": (None, None),
            "val": (None, None),
            "test": (42_527, 42_527),
            "train": (None, None),
        },
        totals={"id-val": 33_560, "val": 34_904, "train": 302_436},
        files=(
            RemoteFile(
                filename="camelyon17_v1.0.tar.gz",
                how="the WILDS bundle 0xe45e15f39fb54e9d9e919556af67aabe, if its server answers",
            ),
        ),
        licence="CC0",
        citation=f"P. Bandi et al. From Detection of Individual Metastases to Classification of Lymph Node "
        f"Status at the Patient Level. IEEE TMI 38(2):550-560, 2018; {WILDS}",
        homepage="https://camelyon17.grand-challenge.org/",
        layouts=("WILDS' folder camelyon17_v1.0 with metadata.csv and patches/",),
        loader="shifts.sources.camelyon17:load",
    )
)

_COMMON: dict[str, Any] = {"source": "camelyon17", "label_space": "camelyon17"}

SHIFTS.register(
    ShiftSpec(
        name="camelyon17",
        title="Camelyon17-WILDS, held-out patches of the training hospitals",
        kind="reference",
        support="in",
        split="id-val",
        groups=("hospital",),
        **_COMMON,
    ),
    ShiftSpec(
        name="camelyon17/val",
        title="Camelyon17-WILDS, the hospital to select models on",
        kind="natural",
        support="unknown",
        split="val",
        reference="camelyon17",
        groups=("slide",),
        **_COMMON,
    ),
    ShiftSpec(
        name="camelyon17/test",
        title="Camelyon17-WILDS, the test hospital",
        kind="natural",
        support="unknown",
        split="test",
        reference="camelyon17",
        groups=("slide",),
        notes="Reported is the average accuracy; it varies much from one training run to the next.",
        **_COMMON,
    ),
)


def load(root: Path, split: str) -> Examples:
    """A split with the attributes ``hospital`` (0 to 4) and ``slide``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_table,), source="camelyon17")


def _table(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.layouts import folder_with
    from shifts.readers.tables import MEND, attribute, columns_of, integers, read_columns, table_examples

    folder = folder_with(root, "metadata.csv") if root.is_dir() else None
    if folder is None or "tumor" not in columns_of(folder / "metadata.csv"):
        return None
    table = folder / "metadata.csv"
    columns = read_columns(
        table, "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split"
    )
    numbers = {name: integers(table, name, columns[name]) for name in ("tumor", "slide", "center", "split")}
    wrong = np.flatnonzero(numbers["slide"] // 10 != numbers["center"])  # ten slides a hospital, in order
    if len(wrong):
        row = int(wrong[0])
        raise CorruptDataError(
            f"{table}, row {row + 1}: slide {columns['slide'][row]} cannot be of hospital "
            f"{columns['center'][row]}",
            hint=MEND,
        )
    rows = [
        row
        for row, (centre, part) in enumerate(
            zip(numbers["center"].tolist(), numbers["split"].tolist(), strict=True)
        )
        if (OOD.get(centre) or IN_DISTRIBUTION.get(part)) == split
    ]
    names = []
    for row in rows:
        stem = f"patient_{columns['patient'][row].zfill(3)}_node_{columns['node'][row]}"
        at = f"x_{columns['x_coord'][row]}_y_{columns['y_coord'][row]}"
        names.append(f"patches/{stem}/patch_{stem}_{at}.png")
    if not names:
        return None
    return table_examples(
        folder,
        names,
        numbers["tumor"][rows],
        attributes={
            "hospital": attribute([columns["center"][row] for row in rows]),
            "slide": attribute([columns["slide"][row] for row in rows]),
        },
        tables=[table],
    )
