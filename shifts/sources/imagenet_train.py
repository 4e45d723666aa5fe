"""The training images of ImageNet-1k (ILSVRC-2012): to train on, and to tell a shift's support by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shifts.sources.imagenet import RUSSAKOVSKY, TERMS
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from shifts.data import Examples

SIZE = 1_281_167

SOURCES.register(
    ImageSource(
        name="imagenet-train",
        title="ImageNet-1k training set (ILSVRC-2012)",
        label_space="imagenet-1k",
        counts={"train": (None,) * 1000},  # 732 to 1,300 of each class
        totals={"train": SIZE},
        files=(
            RemoteFile(
                filename="ILSVRC2012_img_train.tar",
                md5="1d675b47d978889d74fa0da5fadfb00e",
                size=147_897_477_120,
                how="register at https://image-net.org/download.php, download the training images and unpack "
                "the tar and the 1000 tars in it, each into a folder of its name",
            ),
        ),
        hub="ILSVRC/imagenet-1k@49e2ee26f3810fb5a7536bbf732a7b07389a47b5",
        hub_files=("data/train-*.parquet",),
        licence=TERMS,
        citation=RUSSAKOVSKY,
        homepage="https://image-net.org",
        layouts=(
            "class folders [train/]n01440764/n01440764_10026.JPEG",
            "parquet files as the Hub serves them (train-00000-of-00294.parquet)",
            "webdataset shards of KEY.jpg and KEY.cls",
        ),
        loader="shifts.sources.imagenet_train:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="imagenet-train",
        title="ImageNet-1k training set",
        kind="reference",
        support="in",
        source="imagenet-train",
        split="train",
        label_space="imagenet-1k",
        groups=("class",),
        notes="To train on, and as the sample of the reference that support is measured against.",
    )
)


def load(root: Path, split: str) -> Examples:
    """The training images in any of their layouts; ids ``n01440764/n01440764_10026`` and so on.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.imagenet import Family, by_wnid
    from shifts.readers.imagenet_tables import class_table

    family = Family(
        source="imagenet-train",
        folders=by_wnid(),
        canonical=class_table()[0],
        below=("train", ""),
        depth=3,
        called=("train",),
    )
    return family.open(root, split)
