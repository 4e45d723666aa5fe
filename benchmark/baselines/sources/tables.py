"""What the publishers' tables have in common: CSV files, percent, counts behind accuracies, sizes."""

from __future__ import annotations

import csv
from pathlib import Path

from shifts.errors import CorruptDataError

# Images of each test set over the classes that its protocol keeps.
SIZES = {
    "imagenet-val": 50_000,
    "imagenet-val/a-classes": 10_000,
    "imagenet-val/r-classes": 10_000,
    "imagenet-val/objectnet-classes": 6_250,
    "imagenet-v2": 10_000,
    "imagenet-v2/threshold-0.7": 10_000,
    "imagenet-v2/top-images": 10_000,
    "imagenet-sketch": 50_889,
    "imagenet-a": 7_500,
    "imagenet-r": 30_000,
    "objectnet": 18_574,
    "cifar10": 10_000,
    "cifar10.1/v4": 2_021,
    "cifar10.1/v6": 2_000,
}

ALL_CLASSES = "all 1000 classes"
A_CLASSES = "the 200 classes of ImageNet-A, others masked"
R_CLASSES = "the 200 classes of ImageNet-R, others masked"
OBJECTNET_CLASSES = "the 113 classes shared with ObjectNet, others masked"
PROTOCOLS = {
    "imagenet-val/a-classes": A_CLASSES,
    "imagenet-a": A_CLASSES,
    "imagenet-val/r-classes": R_CLASSES,
    "imagenet-r": R_CLASSES,
    "imagenet-val/objectnet-classes": OBJECTNET_CLASSES,
    "objectnet": OBJECTNET_CLASSES,
}
REFERENCES = (
    "imagenet-val",
    "imagenet-val/a-classes",
    "imagenet-val/r-classes",
    "imagenet-val/objectnet-classes",
)


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file.

    Raises:
        CorruptDataError: the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    except OSError as error:
        raise CorruptDataError(
            f"{path}: {error.strerror}", hint="give the folder with the published tables"
        ) from error


def fraction(percent: str, n: int | None = None) -> float:
    """An accuracy in percent as a fraction; as the exact count over n where the text stands for one.

    Tables print float32 or rounded percentages; what was measured is a number of right answers.

    >>> fraction("86.50200653076172", 50000), fraction("12.3")
    (0.86502, 0.123)
    """
    value = float(percent)
    if n is not None:
        count = round(value * n / 100)
        # Within the precision of float32, or of the three decimals that timm prints.
        if abs(value * n / 100 - count) < 0.05 or abs(round(100 * count / n, 3) - value) < 5e-5:
            return count / n
    return round(value / 100, 10)
