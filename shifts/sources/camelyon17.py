"""Camelyon17-WILDS: is there tumour in the middle of a tissue patch? From hospitals not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shifts.data import Examples, Payloads

    Integers = NDArray[np.int64]

_PLACE = ("patient", "node", "x_coord", "y_coord")  # what names a patch
OOD = {1: "val", 2: "test"}  # hospital → split; the others are split at random into train and id-val
IN_DISTRIBUTION = {0: "train", 1: "id-val"}
WILDS = (
    "P. W. Koh, S. Sagawa, et al. WILDS: A Benchmark of in-the-Wild Distribution Shifts. ICML 2021, "
    "arXiv 2012.07421."
)

LABEL_SPACES.register(
    LabelSpace(
        name="camelyon17",
        # Published for PatchCamelyon, patches of the same slides: names of Radford et al. (openai/CLIP,
        # data/prompts.md), templates of CLIP_benchmark (clip-benchmark/wds_vtab-pcam on the Hub).
        class_names=("lymph node", "lymph node containing metastatic tumor tissue"),
        templates=("a histopathology slide showing {}", "histopathology image of {}"),
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
        hub="wltjr1007/Camelyon17-WILDS",
        hub_files=("*.parquet",),
        layouts=(
            "WILDS' folder camelyon17_v1.0 with metadata.csv and patches/",
            "the Hub's copy, parquet or saved by save_to_disk, with the columns image, label, center, slide",
            "shards of the test split on the Hub with KEY.cls and KEY.npy (hospital, slide, label)",
        ),
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

    return first_layout(root, split, (_table, _hub, _shards), source="camelyon17")


def _table(root: Path, split: str) -> Examples | None:
    from shifts.readers.layouts import folder_with
    from shifts.readers.tables import attribute, columns_of, integers, read_columns, table_examples

    folder = folder_with(root, "metadata.csv") if root.is_dir() else None
    if folder is None or "tumor" not in columns_of(folder / "metadata.csv"):
        return None
    table = folder / "metadata.csv"
    columns = read_columns(
        table, "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split"
    )
    numbers = {name: integers(table, name, columns[name]) for name in ("tumor", "slide", "center", "split")}
    _check_slides(numbers["slide"], numbers["center"], table)
    rows = [
        row
        for row, (centre, part) in enumerate(
            zip(numbers["center"].tolist(), numbers["split"].tolist(), strict=True)
        )
        if (OOD.get(centre) or IN_DISTRIBUTION.get(part)) == split
    ]
    places = [columns[name] for name in _PLACE]
    names = [f"{_patch(*(column[row] for column in places))}.png" for row in rows]
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


def _hub(root: Path, split: str) -> Examples | None:
    """The Hub's rows, whose ``validation`` holds both validation splits. Ids are those of the patches where
    the copy tells their places."""
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads
    from shifts.readers.payloads import Subset

    called = split if split in ("train", "test") else "validation"
    payloads = hub_payloads(root, called)
    if payloads is None:
        return None
    centres, slides = (payloads.column(name).astype(np.int64) for name in ("center", "slide"))
    _check_slides(slides, centres, root)
    wanted = [centre for centre, name in OOD.items() if name == split]
    rows = np.flatnonzero(np.isin(centres, wanted or list(OOD), invert=not wanted))
    if called != "validation" and len(rows) != len(payloads):
        raise CorruptDataError(
            f"{root}: {len(payloads) - len(rows)} rows of {called!r} are of hospitals of other splits",
            hint="get the files again",
        )
    ids = row_ids(f"hub-{called}", rows.tolist())
    if set(_PLACE) <= set(payloads.columns):
        places = [payloads.column(name)[rows].tolist() for name in _PLACE]
        ids = [_patch(*map(str, place)) for place in zip(*places, strict=True)]
    return _grouped(Subset(payloads, rows), payloads.labels[rows], ids, centres[rows], slides[rows])


def _shards(root: Path, split: str) -> Examples | None:
    from shifts.readers.arrays import row_ids
    from shifts.readers.wilds import wilds_shards

    shards = wilds_shards(root, ("test",), ("hospital", "slide", "y")) if split == "test" else None
    if shards is None:
        return None
    found, columns = shards
    _check_slides(columns["slide"], columns["hospital"], root)
    ids = row_ids("shards-test", range(len(found.names)))
    return _grouped(found.payloads, found.labels, ids, columns["hospital"], columns["slide"])


def _grouped(
    payloads: Payloads, labels: Integers, ids: list[str], centres: Integers, slides: Integers
) -> Examples:
    from shifts.data import Examples
    from shifts.readers.tables import attribute

    return Examples(
        payloads=payloads,
        labels=labels,
        ids=ids,
        attributes={
            "hospital": attribute([str(centre) for centre in centres.tolist()]),
            "slide": attribute([str(slide) for slide in slides.tolist()]),
        },
    )


def _patch(patient: str, node: str, x: str, y: str) -> str:
    """A patch's published path without suffix; the patient is a number of three digits."""
    stem = f"patient_{patient.zfill(3)}_node_{node}"
    return f"patches/{stem}/patch_{stem}_x_{x}_y_{y}"


def _check_slides(slides: Integers, centres: Integers, where: Path) -> None:
    """Ten slides are of each hospital, in their order.

    Raises:
        CorruptDataError: names the first row that is not so.
    """
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.tables import MEND

    wrong = np.flatnonzero(slides // 10 != centres)
    if len(wrong):
        row = int(wrong[0])
        raise CorruptDataError(
            f"{where}, row {row + 1}: slide {slides[row]} cannot be of hospital {centres[row]}", hint=MEND
        )
