"""PatchCamelyon: is there tumour tissue in the middle of a patch of a lymph node?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# What copies on the Hub call the splits.
_SPLITS = {"train": ("train",), "val": ("valid", "validation"), "test": ("test",)}

LABEL_SPACES.register(
    LabelSpace(
        name="pcam",
        # As in the prompts of Radford et al. 2021.
        class_names=("lymph node", "lymph node containing metastatic tumor tissue"),
        templates=("this is a photo of {}",),
    )
)

SOURCES.register(
    ImageSource(
        name="pcam",
        title="PatchCamelyon",
        label_space="pcam",
        counts=dict.fromkeys(_SPLITS, (None, None)),
        totals={"train": 262_144, "val": 32_768, "test": 32_768},
        hub="1aurent/PatchCamelyon",
        hub_files=("data/*.parquet",),
        licence="CC0",
        citation="B. S. Veeling, J. Linmans, J. Winkens, T. Cohen and M. Welling. Rotation Equivariant CNNs "
        "for Digital Pathology. MICCAI 2018.",
        homepage="https://github.com/basveeling/pcam",
        layouts=(
            "parquet files as the Hub serves them (test-00000-of-00002.parquet), or saved by save_to_disk",
        ),
        loader="shifts.sources.pcam:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="pcam",
        title="PatchCamelyon test set",
        kind="reference",
        support="in",
        source="pcam",
        split="test",
        label_space="pcam",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``test-hub-000000`` and so on, rows of the copy.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_hub,), source="pcam")


def _hub(root: Path, split: str) -> Examples | None:
    from shifts.data import Examples
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads

    payloads = hub_payloads(root, *_SPLITS[split])
    if payloads is None:
        return None
    ids = row_ids(f"{split}-hub", range(len(payloads)), width=6)
    return Examples(payloads=payloads, labels=payloads.labels, ids=ids)
