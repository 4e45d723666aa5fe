"""ImageNet-R: renditions (art, cartoons, sculptures, toys, ...) of 200 ImageNet classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.readers.imagenet_shifts import subset_counts, subset_shifts
from shifts.sources.imagenet import RUSSAKOVSKY
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

HENDRYCKS = (
    "Hendrycks, Basart, Mu, Kadavath, Wang, Dorundo, Desai, Zhu, Parajuli, Guo, Song, Steinhardt and "
    "Gilmer. The Many Faces of Robustness. ICCV 2021, arXiv 2006.16241."
)

# Indices of its classes among the 1000 sorted wnids, in the order in which copies number them from 0 to 199.
# fmt: off
CLASSES = (
    1, 2, 4, 6, 8, 9, 11, 13, 22, 23, 26, 29, 31, 39, 47, 63, 71, 76, 79, 84, 90, 94, 96, 97, 99, 100, 105,
    107, 113, 122, 125, 130, 132, 144, 145, 147, 148, 150, 151, 155, 160, 161, 162, 163, 171, 172, 178, 187,
    195, 199, 203, 207, 208, 219, 231, 232, 234, 235, 242, 245, 247, 250, 251, 254, 259, 260, 263, 265, 267,
    269, 276, 277, 281, 288, 289, 291, 292, 293, 296, 299, 301, 308, 309, 310, 311, 314, 315, 319, 323, 327,
    330, 334, 335, 337, 338, 340, 341, 344, 347, 353, 355, 361, 362, 365, 366, 367, 368, 372, 388, 390, 393,
    397, 401, 407, 413, 414, 425, 428, 430, 435, 437, 441, 447, 448, 457, 462, 463, 469, 470, 471, 472, 476,
    483, 487, 515, 546, 555, 558, 570, 579, 583, 587, 593, 594, 596, 609, 613, 617, 621, 629, 637, 657, 658,
    701, 717, 724, 763, 768, 774, 776, 779, 780, 787, 805, 812, 815, 820, 824, 833, 847, 852, 866, 875, 883,
    889, 895, 907, 928, 931, 932, 933, 934, 936, 937, 943, 945, 947, 948, 949, 951, 953, 954, 957, 963, 965,
    967, 980, 981, 983, 988,
)
# fmt: on

SOURCES.register(
    ImageSource(
        name="imagenet-r",
        title="ImageNet-R",
        label_space="imagenet-1k",
        counts={"test": subset_counts(CLASSES)},
        totals={"test": 30_000},
        files=(
            RemoteFile(
                filename="imagenet-r.tar",
                urls=("https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar",),
                md5="a61312130a589d0ca1a8fca1f2bd3337",
                sha256="18c6bf493b39a0d975d48e587437f562caab9c52ae6327dcfa9dd8eb54aa1b52",
                size=2_191_079_936,
            ),
        ),
        hub="axiong/imagenet-r",
        hub_files=("*.parquet",),
        licence="MIT (repository); images are works of their artists, used for research",
        citation=HENDRYCKS,
        homepage="https://github.com/hendrycks/imagenet-r",
        layouts=(
            "imagenet-r.tar or its folder imagenet-r/n01498041/NAME.jpg (200 wnids)",
            "parquet files, or saved by save_to_disk, with image and label (an index, or a position "
            "among the 200)",
            "webdataset shards of KEY.jpg and KEY.cls (the same)",
        ),
        loader="shifts.sources.imagenet_r:load",
        notes="86 of its classes are ImageNet-A's, too.",
    )
)

SHIFTS.register(
    *subset_shifts(
        "imagenet-r",
        "ImageNet-R",
        short="r-classes",
        classes=CLASSES,
        support="out",
        citation=RUSSAKOVSKY,
    )
)


def load(root: Path, split: str) -> Examples:
    """ImageNet-R in any of its layouts; ids ``n01498041/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.imagenet import Family

    family = Family.of_wnids(
        "imagenet-r",
        below=("imagenet-r", "test", ""),
        called=("test", "validation", "val", "train"),
        classes=CLASSES,
    )
    return family.open(root, split)
