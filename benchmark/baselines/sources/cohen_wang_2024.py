"""The 78 + 55 models of "Ask Your Distribution Shift if Pre-Training is Right for You".

78 were trained from scratch, 55 pre-trained and fine-tuned. The paper names the models, timm publishes their
accuracies. Where timm lists a model at several sizes, the smallest is taken: it is the one the model was
trained at, and the one that gives the paper's numbers.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from benchmark.baselines.sources import timm
from benchmark.baselines.sources.tables import REFERENCES, read_table
from benchmark.baselines.table import Baseline, BaselineRow, MemberRule

NAMES = "MadryLab/pretraining-distribution-shift-robustness @ e6d059d"
FAMILIES = {"from-scratch": "standard", "pre-trained": "more-data"}


def build(folder: Path) -> Baseline:
    """The baseline, from ``cohen_wang_2024/models.csv`` and timm's tables."""
    groups = {
        line["timm_model"]: line["group"] for line in read_table(folder / "cohen_wang_2024" / "models.csv")
    }
    rows: dict[tuple[str, str], BaselineRow] = {}
    for row in sorted(timm.rows(folder), key=_size):
        name = row.model.partition("@")[0]
        if name in groups:
            chosen = dataclasses.replace(row, model=name, family=FAMILIES[groups[name]])
            rows.setdefault((name, row.shift), chosen)
    return Baseline(
        name="cohen-wang-2024",
        version=1,
        title="78 models trained from scratch, 55 pre-trained and fine-tuned ones beside them",
        source=f"names: {NAMES}; accuracies: huggingface/pytorch-image-models, results/",
        revision=timm.REVISION,
        licence="Apache-2.0",
        citation="Cohen-Wang et al. 2024, arXiv 2403.00194",
        default_members=MemberRule(families=("standard",)),
        regenerate="python -m benchmark.baselines.build TABLES -o FOLDER --only cohen-wang-2024",
        references=REFERENCES[:3],
        precedence=3,
        rows=tuple(rows.values()),
    )


def _size(row: BaselineRow) -> float:
    setting = row.model.partition("@")[2]
    return float(setting.partition("-")[0]) if setting else 0.0
