"""The 30 models of "Do CIFAR-10 Classifiers Generalize to CIFAR-10?", from their stored predictions."""

from __future__ import annotations

from pathlib import Path

from benchmark.baselines.sources.tables import SIZES, read_table
from benchmark.baselines.table import Baseline, BaselineRow, MemberRule

REVISION = "d9982abb0bfc4846b8d13a11e66b887d946205d0"
COLUMNS = {"orig": "cifar10", "v4": "cifar10.1/v4", "v6": "cifar10.1/v6"}


def build(folder: Path) -> Baseline:
    """The baseline, from ``cifar10_1/model_accuracies.csv``."""
    rows = []
    for line in read_table(folder / "cifar10_1" / "model_accuracies.csv"):
        model = line["model"]
        for column, shift in COLUMNS.items():
            rows.append(
                BaselineRow(
                    model=model,
                    shift=shift,
                    accuracy=int(line[f"n_correct_{column}"]) / SIZES[shift],
                    n=SIZES[shift],
                    family="low-accuracy" if model.startswith("random_features") else "standard",
                    training_data=("cifar10",),
                    kind_of_number="measured",
                    publisher="modestyachts/CIFAR-10.1",
                    revision=REVISION,
                )
            )
    return Baseline(
        name="cifar10.1-models",
        version=1,
        title="30 models on CIFAR-10 and CIFAR-10.1, counted from their predictions",
        source="https://github.com/modestyachts/CIFAR-10.1, model_predictions/",
        revision=REVISION,
        licence="MIT",
        citation="Recht et al. 2018, arXiv 1806.00451",
        # Random features lie on the same line: that is the paper's point.
        default_members=MemberRule(),
        regenerate="python -m benchmark.baselines.build TABLES -o FOLDER --only cifar10.1-models",
        references=("cifar10",),
        precedence=5,
        rows=tuple(rows),
    )
