"""The 67 models of "Do ImageNet Classifiers Generalize to ImageNet?", from their stored predictions."""

from __future__ import annotations

from pathlib import Path

from benchmark.baselines.sources.tables import ALL_CLASSES, SIZES, read_table
from benchmark.baselines.table import Baseline, BaselineRow, MemberRule

REVISION = "0b0c3fe89058e4c7ee2348938b3f4f706a931bf3"
COLUMNS = {
    "val": "imagenet-val",
    "v2_matched_frequency": "imagenet-v2",
    "v2_threshold07": "imagenet-v2/threshold-0.7",
    "v2_top_images": "imagenet-v2/top-images",
}
# Fisher vectors; networks pre-trained on 5,000 classes.
FAMILIES = {"fv_": "low-accuracy", "dpn68b": "more-data", "dpn92": "more-data", "dpn107": "more-data"}


def build(folder: Path) -> Baseline:
    """The baseline, from ``imagenetv2/model_accuracies.csv``."""
    rows = []
    for line in read_table(folder / "imagenetv2" / "model_accuracies.csv"):
        model = line["model"]
        family = next((kind for part, kind in FAMILIES.items() if model.startswith(part)), "standard")
        for column, shift in COLUMNS.items():
            rows.append(
                BaselineRow(
                    model=model,
                    shift=shift,
                    protocol=ALL_CLASSES,
                    accuracy=int(line[f"n_top1_{column}"]) / SIZES[shift],
                    n=SIZES[shift],
                    family=family,
                    training_data=("imagenet-5k", "imagenet") if family == "more-data" else ("imagenet",),
                    kind_of_number="measured",
                    publisher="modestyachts/ImageNetV2",
                    revision=REVISION,
                )
            )
    return Baseline(
        name="imagenetv2-models",
        version=1,
        title="67 models on ImageNet and the three ImageNet-V2 sets, counted from their predictions",
        source="https://github.com/modestyachts/ImageNetV2, data/predictions/",
        revision=REVISION,
        licence="MIT",
        citation="Recht et al. 2019, arXiv 1902.10811",
        # Fisher vectors lie far off: in the release fv_16k has 28.3 % on ImageNet, 2.5 % on ImageNet-V2.
        default_members=MemberRule(families=("standard", "more-data")),
        regenerate="python -m benchmark.baselines.build TABLES -o FOLDER --only imagenetv2-models",
        references=("imagenet-val",),
        precedence=2,
        rows=tuple(rows),
    )
