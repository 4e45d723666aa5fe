"""Published accuracies of baseline models as versioned data.

A baseline is two files beside this one: ``<name>-v<version>.csv``, one line per model and one column per
shift, and ``<name>-v<version>.json`` with its source, licence, default members and what each column holds. A
number that changes gets a new version; old versions stay, so that a line once reported can be fitted again.
``python -m benchmark.baselines.build`` makes the published ones from their publishers' tables.
"""

from __future__ import annotations

from benchmark.baselines.files import baseline_names, baselines_for, load_baseline, write_baseline
from benchmark.baselines.table import Baseline, BaselineRow, Choice, KindOfNumber, MemberRule

__all__ = [
    "Baseline",
    "BaselineRow",
    "Choice",
    "KindOfNumber",
    "MemberRule",
    "baseline_names",
    "baselines_for",
    "load_baseline",
    "write_baseline",
]
