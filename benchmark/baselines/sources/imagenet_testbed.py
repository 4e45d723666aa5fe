"""The ImageNet testbed: models on ImageNet, natural shifts and corruptions (Taori et al. 2020).

Of its 338 models three were measured on a choice of 125 classes only, which is no shift of ours.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.baselines.sources.tables import ALL_CLASSES, PROTOCOLS, REFERENCES, fraction, read_table
from benchmark.baselines.table import Baseline, BaselineRow, MemberRule

REVISION = "0170eec658d664289d9f61de8f90f967f49abca0"

# The release's "format-val" versions of ImageNet-V2 are those that everybody downloads.
COLUMNS: dict[str, tuple[str, int | None]] = {
    "val": ("imagenet-val", 50_000),
    "val-on-imagenet-a-classes": ("imagenet-val/a-classes", 10_000),
    "val-on-imagenet-r-classes": ("imagenet-val/r-classes", 10_000),
    "val-on-objectnet-classes": ("imagenet-val/objectnet-classes", 6_250),
    "val-on-vid-robust-classes": ("imagenet-val/vid-robust-classes", None),
    "val-on-ytbb-robust-classes": ("imagenet-val/ytbb-robust-classes", None),
    "imagenetv2-matched-frequency-format-val": ("imagenet-v2", 10_000),
    "imagenetv2-threshold-0.7-format-val": ("imagenet-v2/threshold-0.7", 10_000),
    "imagenetv2-top-images-format-val": ("imagenet-v2/top-images", 10_000),
    "imagenet-sketch": ("imagenet-sketch", 50_889),
    "imagenet-a": ("imagenet-a", 7_500),
    "imagenet-r": ("imagenet-r", 30_000),
    "objectnet-1.0-beta": ("objectnet", 18_514),
    "stylized_imagenet": ("imagenet-stylized", 50_000),
    "greyscale": ("imagenet-val/greyscale", 50_000),
    "imagenet-vid-robust_pm0": ("imagenet-vid-robust/pm-0", None),
    "imagenet-vid-robust_pm10": ("imagenet-vid-robust/pm-10", None),
    "ytbb-robust_pm0": ("ytbb-robust/pm-0", None),
    "ytbb-robust_pm10": ("ytbb-robust/pm-10", None),
}
CORRUPTION = re.compile(r"imagenet-c\.(?P<name>[a-z_]+)\.(?P<severity>[1-5])_(?P<how>on-disk|in-memory)")
CORRUPTED = {
    "on-disk": ("imagenet-c", "all 1000 classes; images as published, from disk"),
    "in-memory": ("imagenet-c-online", "all 1000 classes; corrupted in memory, never compressed again"),
}

FAMILIES = {
    "STANDARD": "standard",
    "MORE_DATA": "more-data",
    "ROBUST_INTV": "robustness-intervention",
    "LP_ADV": "adversarial",
    "LOW_ACCURACY_CNN": "low-accuracy",
    "LINEAR_PIXELS": "low-accuracy",
    "NEAREST_NEIGHBORS": "low-accuracy",
    "RANDOM_FEATURES": "low-accuracy",
    "RANDOM_FORESTS": "low-accuracy",
}
# Part of the name → what a model of the family "more-data" has seen besides ImageNet; the first that fits.
MORE_DATA = {
    "clip_zeroshot": ("openai-wit",),
    "BiT-M": ("imagenet-21k", "imagenet"),
    "vit_": ("imagenet-21k", "imagenet"),
    "FixResNeXt": ("instagram-1b", "imagenet"),
    "instagram": ("instagram-1b", "imagenet"),
    "swsl": ("instagram-1b", "imagenet"),
    "ssl": ("yfcc100m", "imagenet"),
    "imagenet21k": ("imagenet-21k", "imagenet"),
    "noisystudent": ("jft-300m", "imagenet"),
    "jft": ("jft-300m", "imagenet"),
    "tencent": ("openimages", "imagenet-21k", "imagenet"),
    "imagenet11k": ("imagenet-11k", "imagenet"),
    "dpn": ("imagenet-5k", "imagenet"),
}


def build(folder: Path) -> Baseline:
    """The baseline, from ``imagenet_testbed/{robustness_top1s,model_types}.csv``."""
    types = {row["model"]: row["type"] for row in read_table(folder / "imagenet_testbed" / "model_types.csv")}
    rows = []
    for line in read_table(folder / "imagenet_testbed" / "robustness_top1s.csv"):
        model = line.pop("model")
        family, training_data = family_of(model, types.get(model))
        for column, cell in line.items():
            target = _target(column)
            if target is None or not cell:
                continue
            shift, n, protocol = target
            rows.append(
                BaselineRow(
                    model=model,
                    shift=shift,
                    protocol=protocol,
                    accuracy=fraction(cell, n),
                    n=n,
                    family=family,
                    training_data=training_data,
                    kind_of_number="measured",
                    publisher="modestyachts/imagenet-testbed",
                    revision=REVISION,
                )
            )
    return Baseline(
        name="imagenet-testbed",
        version=1,
        title="ImageNet testbed: 335 models on natural shifts and corruptions",
        source="https://github.com/modestyachts/imagenet-testbed",
        revision=REVISION,
        licence="MIT",
        citation="Taori et al. 2020, arXiv 2007.00644",
        default_members=MemberRule(
            families=("standard",),
            min_reference_accuracy=0.55,
            exclude_substrings=("subsample", "aws", "batch64"),
        ),
        regenerate="python -m benchmark.baselines.build TABLES -o FOLDER --only imagenet-testbed",
        references=(*REFERENCES, "imagenet-val/vid-robust-classes", "imagenet-val/ytbb-robust-classes"),
        precedence=10,
        rows=tuple(rows),
    )


def family_of(model: str, kind: str | None) -> tuple[str, tuple[str, ...]]:
    """Family and training data of a model of the testbed; the publisher gives 110 of them no type."""
    family = FAMILIES[kind] if kind is not None else "unclassified"
    if model.endswith("clip_zeroshot"):
        family = "zero-shot"
    if kind != "MORE_DATA":
        return family, ("imagenet",)
    return family, next(seen for part, seen in MORE_DATA.items() if part in model)


def _target(column: str) -> tuple[str, int | None, str] | None:
    """Shift, n and protocol of a column; None for settings that are no shift of ours."""
    if column in COLUMNS:
        shift, n = COLUMNS[column]
        return shift, n, PROTOCOLS.get(shift, "" if "robust" in shift else ALL_CLASSES)
    found = CORRUPTION.fullmatch(column)
    if found is None:
        return None
    source, protocol = CORRUPTED[found["how"]]
    return f"{source}/{found['name'].replace('_', '-')}/{found['severity']}", 50_000, protocol
