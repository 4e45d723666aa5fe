"""CelebA: is the hair blond? Few men's is, so a model may look at the person instead of the hair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, Selection, ShiftSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shifts.data import Examples

SEXES = ("female", "male")
SPLITS = ("train", "val", "test")  # their codes in the table are 0, 1, 2
# split → images of women and men whose hair is not blond, then of those whose hair is
GROUPS = {
    "train": (71_629, 66_874, 22_880, 1_387),
    "val": (8_535, 8_276, 2_874, 182),
    "test": (9_767, 7_535, 2_480, 180),
}
_NAMES = ("not blond", "blond")
_GROUP_NAMES = tuple(f"{hair}/{sex}" for hair in _NAMES for sex in SEXES)

LABEL_SPACES.register(
    LabelSpace(name="celeba", class_names=_NAMES, templates=("a photo of a person with {} hair.",))
)

SOURCES.register(
    ImageSource(
        name="celeba",
        title="CelebA, aligned and cropped, hair colour",
        label_space="celeba",
        counts={split: (sum(GROUPS[split][:2]), sum(GROUPS[split][2:])) for split in SPLITS},
        files=(
            RemoteFile(
                filename="img_align_celeba.zip",
                md5="00d2c5bc6d35e252742224ab0c1e8fcb",
                sha256="46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
                size=1_443_490_838,
                how="accept the agreement on the homepage and take it from the folder Img; unpack it",
            ),
            # Two files of attributes are about; the counts of the groups tell whether one is right.
            RemoteFile(filename="list_attr_celeba.txt", how="on the homepage, in the folder Anno"),
            RemoteFile(
                filename="list_eval_partition.txt",
                md5="d32c9cbf5e040fd4025c592c306e6668",
                how="on the homepage, in the folder Eval",
            ),
        ),
        licence="non-commercial research only; no redistribution",
        citation="Z. Liu, P. Luo, X. Wang, X. Tang. Deep Learning Face Attributes in the Wild. ICCV 2015.",
        homepage="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        layouts=(
            "folder with img_align_celeba/, list_attr_celeba.txt and list_eval_partition.txt",
            "folder with img_align_celeba/, list_attr_celeba.csv and list_eval_partition.csv",
            "the Hub's copies, parquet or saved by save_to_disk, with the columns image, Blond_Hair and Male",
        ),
        loader="shifts.sources.celeba:load",
        checks=("shifts.sources.celeba:check",),
    )
)

_COMMON: dict[str, Any] = {
    "source": "celeba",
    "split": "test",
    "label_space": "celeba",
    "groups": ("class", "sex"),
}

SHIFTS.register(
    ShiftSpec(
        name="celeba",
        title="CelebA hair colour, test set",
        kind="reference",
        support="in",
        group_weights=dict(zip(_GROUP_NAMES, GROUPS["train"], strict=True)),
        reported={"adjusted_accuracy": "adjusted average", "worst_group_accuracy": "worst group"},
        notes="One blond head in fifteen is a man's, as in training; reported is worst-group accuracy.",
        **_COMMON,
    ),
    ShiftSpec(
        name="celeba/women",
        title="CelebA hair colour, women alone",
        kind="spurious",
        support="in",
        reference="celeba",
        selection=Selection(
            function="shifts.perturbations.selections:where", parameters={"column": "sex", "value": "female"}
        ),
        notes="A part to curate small sets from, in which sex says nothing of hair colour.",
        **_COMMON,
    ),
    ShiftSpec(
        name="celeba/balanced",
        title="CelebA hair colour, as many images of every group",
        kind="spurious",
        support="in",
        reference="celeba",
        selection=Selection(
            function="shifts.perturbations.selections:at_rates",
            parameters={
                "column": "sex",
                "classes": 2,
                "rates": {f"{label}/{sex}": 1.0 for label in (0, 1) for sex in SEXES},
            },
        ),
        **_COMMON,
    ),
)


def load(root: Path, split: str) -> Examples:
    """A split with the attribute ``sex``; ids are the numbers of the files, or of the rows.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_lists, _hub), source="celeba")


def check(examples: Examples) -> list[str]:
    """Whether a whole split has the published number of images in every group."""
    from shifts.readers.tables import group_faults

    return group_faults(examples, "sex", GROUPS)


def _lists(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Attribute
    from shifts.readers.layouts import folder_with
    from shifts.readers.tables import table_examples

    names = ("list_attr_celeba.txt", "list_attr_celeba.csv")
    folder = folder_with(root, *names) if root.is_dir() else None
    if folder is None:
        return None
    attributes = next(folder / name for name in names if (folder / name).is_file())
    partition = _beside(root, attributes.name.replace("attr_celeba", "eval_partition"))
    codes = dict(_rows(partition, ("partition",)))
    files, labels, sexes = [], [], []
    for name, (blond, male) in _rows(attributes, ("Blond_Hair", "Male")):
        if codes.get(name, (-1,)) == (SPLITS.index(split),):
            files.append(name)
            labels.append(int(blond > 0))
            sexes.append(int(male > 0))
    if not files:
        return None
    return table_examples(
        _images(root, files[0]),
        files,
        np.array(labels, dtype=np.int64),
        attributes={"sex": Attribute(values=np.array(sexes, dtype=np.int64), names=SEXES)},
        tables=[attributes, partition],
    )


def _hub(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Attribute, Examples
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads
    from shifts.readers.layouts import remark

    called = ("valid", "validation") if split == "val" else (split,)
    payloads = hub_payloads(root, *called, label=None)
    if payloads is None:
        return None
    # The published lists have -1 and 1, the Hub's rows false and true.
    blond, male = (payloads.column(name).astype(np.int64) > 0 for name in ("Blond_Hair", "Male"))
    remark(
        "the Hub's copies of CelebA do not keep the published files byte for byte: pixels may differ a little"
    )
    return Examples(
        payloads=payloads,
        labels=blond.astype(np.int64),
        ids=row_ids(f"hub-{split}", range(len(payloads)), width=6),
        attributes={"sex": Attribute(values=male.astype(np.int64), names=SEXES)},
    )


def _beside(root: Path, name: str) -> Path:
    from shifts.errors import CorruptDataError
    from shifts.readers.layouts import folder_with

    folder = folder_with(root, name)
    if folder is None:
        raise CorruptDataError(f"{root} lacks {name}", hint="get it from the homepage of CelebA")
    return folder / name


def _images(root: Path, first: str) -> Path:
    """The folder of the images; some archives nest it twice."""
    return _beside(root, first).parent


def _rows(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """File name and the wanted values of each line: of a table, of the published list (a count, the names
    of the columns, one line for each image), or of the list of splits, which has neither."""
    from shifts.errors import CorruptDataError
    from shifts.readers.tables import MEND, integers, read_columns

    if path.suffix == ".csv":
        columns = read_columns(path, "image_id", *wanted)
        numbers = [integers(path, name, columns[name]).tolist() for name in wanted]
        yield from zip(columns["image_id"], zip(*numbers, strict=True), strict=True)
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        places: tuple[int, ...] = (1,)
        if wanted != ("partition",):
            next(stream, "")
            header = next(stream, "").split()
            if not set(wanted) <= set(header):
                raise CorruptDataError(f"{path}, line 2 does not name {', '.join(wanted)}", hint=MEND)
            places = tuple(1 + header.index(name) for name in wanted)
        for number, line in enumerate(stream, start=1 if places == (1,) else 3):
            values = line.split()
            try:
                yield values[0], tuple(int(values[place]) for place in places)
            except (IndexError, ValueError) as error:
                raise CorruptDataError(f"{path}, line {number}: {line.strip()!r}", hint=MEND) from error
