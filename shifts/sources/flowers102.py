"""Oxford Flowers 102: kinds of flowers, few images to learn from and many to test on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace, listed_names
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

_ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
LABELS, SETS, IMAGES = "imagelabels.mat", "setid.mat", "jpg"
# Names of the variables in ``setid.mat``.
_SETS = {"train": "trnid", "val": "valid", "test": "tstid"}
# In the order of the published labels, as in the prompts of Radford et al. 2021.
CLASSES = listed_names("flowers102")

LABEL_SPACES.register(
    LabelSpace(name="flowers102", class_names=CLASSES, templates=("a photo of a {}, a type of flower.",))
)

SOURCES.register(
    ImageSource(
        name="flowers102",
        title="Oxford Flowers 102",
        label_space="flowers102",
        counts={"test": (None,) * 102, "train": (10,) * 102, "val": (10,) * 102},
        totals={"test": 6149},
        files=(
            RemoteFile(
                filename="102flowers.tgz",
                urls=(f"{_ADDRESS}/102flowers.tgz",),
                sha256="2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
                md5="52808999861908f626f3c1f4e79d11fa",
                size=344_862_509,
            ),
            RemoteFile(
                filename=LABELS, urls=(f"{_ADDRESS}/{LABELS}",), md5="e0620be6f572b9609742df49c70aed4d"
            ),
            RemoteFile(filename=SETS, urls=(f"{_ADDRESS}/{SETS}",), md5="a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
        licence="not stated; used for research with citation",
        citation="M.-E. Nilsback and A. Zisserman. Automated Flower Classification over a Large Number of "
        "Classes. ICVGIP 2008.",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        layouts=(f"a folder with {LABELS}, {SETS} and the folder {IMAGES} of 102flowers.tgz",),
        loader="shifts.sources.flowers102:load",
        notes="The training set is the published one of 1,020 images, ten of each kind.",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="flowers102",
        title="Oxford Flowers 102 test set",
        kind="reference",
        support="in",
        source="flowers102",
        split="test",
        label_space="flowers102",
        groups=("class",),
        reported={"balanced_accuracy": "mean accuracy per class"},
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``image_00001`` and so on, the published names.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_published,), source="flowers102")


def _published(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.layouts import folder_with
    from shifts.readers.mat import mat_integers
    from shifts.readers.tables import table_examples

    folder = folder_with(root, SETS)
    images = folder_with(root, "image_00001.jpg") if root.is_dir() else None
    if folder is None or images is None or not (folder / LABELS).is_file():
        return None
    numbers, labels = mat_integers(folder / SETS, _SETS[split]), mat_integers(folder / LABELS, "labels")
    if not len(numbers) or numbers.min() < 1 or numbers.max() > len(labels):
        raise CorruptDataError(
            f"{folder / SETS} names images other than the {len(labels)} that have labels",
            hint="get both files again",
        )
    names = [f"image_{number:05d}.jpg" for number in numbers.tolist()]
    return table_examples(
        images,
        names,
        np.asarray(labels[numbers - 1] - 1, dtype=np.int64),
        attributes={},
        tables=[folder / SETS, folder / LABELS],
    )
