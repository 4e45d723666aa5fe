"""ImageNet-A: natural photographs that a ResNet-50 gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.readers.imagenet_shifts import subset_counts, subset_shifts
from shifts.sources.imagenet import RUSSAKOVSKY
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

HENDRYCKS = (
    "Hendrycks, Zhao, Basart, Steinhardt and Song. Natural Adversarial Examples. CVPR 2021, arXiv 1907.07174."
)

# Indices of its classes among the 1000 sorted wnids, in the order in which copies number them from 0 to 199.
# fmt: off
CLASSES = (
    6, 11, 13, 15, 17, 22, 23, 27, 30, 37, 39, 42, 47, 50, 57, 70, 71, 76, 79, 89, 90, 94, 96, 97, 99, 105,
    107, 108, 110, 113, 124, 125, 130, 132, 143, 144, 150, 151, 207, 234, 235, 254, 277, 283, 287, 291, 295,
    298, 301, 306, 307, 308, 309, 310, 311, 313, 314, 315, 317, 319, 323, 324, 326, 327, 330, 334, 335, 336,
    347, 361, 363, 372, 378, 386, 397, 400, 401, 402, 404, 407, 411, 416, 417, 420, 425, 428, 430, 437, 438,
    445, 456, 457, 461, 462, 470, 472, 483, 486, 488, 492, 496, 514, 516, 528, 530, 539, 542, 543, 549, 552,
    557, 561, 562, 569, 572, 573, 575, 579, 589, 606, 607, 609, 614, 626, 627, 640, 641, 642, 643, 658, 668,
    677, 682, 684, 687, 701, 704, 719, 736, 746, 749, 752, 758, 763, 765, 768, 773, 774, 776, 779, 780, 786,
    792, 797, 802, 803, 804, 813, 815, 820, 823, 831, 833, 835, 839, 845, 847, 850, 859, 862, 870, 879, 880,
    888, 890, 897, 900, 907, 913, 924, 932, 933, 934, 937, 943, 945, 947, 951, 954, 956, 957, 959, 971, 972,
    980, 981, 984, 986, 987, 988,
)
# fmt: on

SOURCES.register(
    ImageSource(
        name="imagenet-a",
        title="ImageNet-A",
        label_space="imagenet-1k",
        counts={"test": subset_counts(CLASSES)},
        totals={"test": 7500},
        files=(
            RemoteFile(
                filename="imagenet-a.tar",
                urls=("https://people.eecs.berkeley.edu/~hendrycks/imagenet-a.tar",),
                md5="c3e55429088dc681f30d81f4726b6595",
                sha256="3bb3632277e6ba6392ea64c02ddbf4dd2266c9caffd6bc09c9656d28f012589e",
                size=687_552_512,
            ),
        ),
        hub="barkermrl/imagenet-a",
        hub_files=("*.parquet",),
        licence="MIT (repository); images from the web",
        citation=HENDRYCKS,
        homepage="https://github.com/hendrycks/natural-adv-examples",
        layouts=(
            "imagenet-a.tar or its folder imagenet-a/n01498041/NAME.jpg (200 wnids)",
            "parquet files, or saved by save_to_disk, with image and label (an index, or a position "
            "among the 200)",
            "webdataset shards of KEY.jpg and KEY.cls (the same)",
        ),
        loader="shifts.sources.imagenet_a:load",
        notes="Built adversarially against ResNet-50, which scores about 0: accuracy on it follows no line.",
    )
)

SHIFTS.register(
    *subset_shifts(
        "imagenet-a",
        "ImageNet-A",
        short="a-classes",
        classes=CLASSES,
        support="unknown",
        citation=RUSSAKOVSKY,
    )
)


def load(root: Path, split: str) -> Examples:
    """ImageNet-A in any of its layouts; ids ``n01498041/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.imagenet import Family

    family = Family.of_wnids(
        "imagenet-a",
        below=("imagenet-a", "test", ""),
        called=("test", "validation", "val", "train"),
        classes=CLASSES,
    )
    return family.open(root, split)
