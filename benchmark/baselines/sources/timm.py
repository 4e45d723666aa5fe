"""timm's result tables: every pretrained image classifier at each of its sizes, on ImageNet and five shifts.

The two protocols of ImageNet-A and -R mask all but 200 classes; their references (a-clean, r-clean) are the
validation images of these classes under the same mask.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmark.baselines.sources.tables import (
    ALL_CLASSES,
    PROTOCOLS,
    REFERENCES,
    SIZES,
    fraction,
    read_table,
)
from benchmark.baselines.table import Baseline, BaselineRow, MemberRule

REVISION = "aa4b5850c1543fa488abf260f18390eda46cf85d"
TABLES = {
    "imagenet-val": "imagenet",
    "imagenet-val/a-classes": "imagenet-a-clean",
    "imagenet-val/r-classes": "imagenet-r-clean",
    "imagenet-v2": "imagenetv2-matched-frequency",
    "imagenet-sketch": "sketch",
    "imagenet-a": "imagenet-a",
    "imagenet-r": "imagenet-r",
    "imagenet-real": "imagenet-real",
}

# Part of a weight tag → data seen before ImageNet. Labels made by a teacher count as the teacher's data.
PRETRAINED = {
    "in22k": "imagenet-21k",
    "in21k": "imagenet-21k",
    "in12k": "imagenet-12k",
    "ig1b": "instagram-1b",
    "swag": "instagram-3.6b",
    "seer": "instagram-1b",
    "yfcc100m": "yfcc100m",
    "jft": "jft-300m",
    "laion2b": "laion-2b",
    "laiona": "laion-aesthetic",
    "openai": "openai-wit",
    "webli": "webli",
    "dfn": "dfn",
    "datacomp": "datacomp-1b",
    "m38m": "merged-38m",
    "m30m": "merged-30m",
    "lvd142m": "lvd-142m",
    "ssld": "imagenet-21k",
    "goog_distilled": "imagenet-21k",
    "clip_ft": "laion-400m",
}
ADVERSARIAL = ("adv_in1k", "ens_adv")
INTERVENTION = ("ap_in1k",)


def family_of(tag: str) -> tuple[str, tuple[str, ...]]:
    """Family and training data by the tag of the weights (``fb_in22k_ft_in1k``)."""
    seen = tuple(dict.fromkeys(data for part, data in PRETRAINED.items() if part in tag))
    if seen:
        return "more-data", (*seen, "imagenet")
    if any(part in tag for part in ADVERSARIAL):
        return "adversarial", ("imagenet",)
    if tag in INTERVENTION:
        return "robustness-intervention", ("imagenet",)
    return "standard", ("imagenet",)


def rows(folder: Path) -> list[BaselineRow]:
    """All rows; a model is ``name`` or, where timm lists several, ``name@size-crop``."""
    tables = {shift: read_table(folder / "timm" / f"results-{name}.csv") for shift, name in TABLES.items()}
    several = Counter(line["model"] for line in tables["imagenet-val"])
    found = []
    for shift, lines in tables.items():
        for line in lines:
            name, n = line["model"], SIZES.get(shift)
            family, training_data = family_of(name.partition(".")[2])
            found.append(
                BaselineRow(
                    model=f"{name}@{line['img_size']}-{line['crop_pct']}" if several[name] > 1 else name,
                    library_key=f"timm:{name}",
                    shift=shift,
                    protocol=PROTOCOLS.get(shift, ALL_CLASSES),
                    accuracy=fraction(line["top1"], n),
                    n=n,
                    family=family,
                    training_data=training_data,
                    kind_of_number="measured",
                    publisher="huggingface/pytorch-image-models",
                    revision=REVISION,
                )
            )
    return found


def build(folder: Path) -> Baseline:
    """The baseline, from the eight ``timm/results-*.csv``."""
    return Baseline(
        name="timm-in1k",
        version=1,
        title="timm: 1,266 pretrained classifiers, 1,556 with their image sizes and crops",
        source="https://github.com/huggingface/pytorch-image-models, results/",
        revision=REVISION,
        licence="Apache-2.0",
        citation="Wightman 2019, PyTorch Image Models, doi 10.5281/zenodo.4414861",
        default_members=MemberRule(families=("standard",), min_reference_accuracy=0.55),
        regenerate="python -m benchmark.baselines.build TABLES -o FOLDER --only timm-in1k",
        references=REFERENCES[:3],
        precedence=5,
        rows=tuple(rows(folder)),
    )
