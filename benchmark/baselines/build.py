"""Makes the published baselines again: ``python -m benchmark.baselines.build TABLES -o FOLDER``.

TABLES is a folder with the publishers' tables as they are: ``imagenet_testbed/robustness_top1s.csv``,
``timm/results-*.csv``, ``open_clip/openclip_results.csv``, ``imagenetv2/model_accuracies.csv``,
``cifar10_1/model_accuracies.csv``, ``cohen_wang_2024/models.csv``. Equal tables give equal bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmark.baselines.files import write_baseline
from benchmark.baselines.sources import (
    cifar10_1,
    cohen_wang_2024,
    imagenet_testbed,
    imagenetv2,
    open_clip,
    timm,
)
from benchmark.baselines.table import Baseline
from shifts.errors import UserError

BUILDERS: dict[str, Callable[[Path], Baseline]] = {
    "imagenet-testbed": imagenet_testbed.build,
    "timm-in1k": timm.build,
    "open-clip": open_clip.build,
    "cohen-wang-2024": cohen_wang_2024.build,
    "imagenetv2-models": imagenetv2.build,
    "cifar10.1-models": cifar10_1.build,
}


def main(arguments: list[str] | None = None) -> int:
    """Build, write, say what was written; 2 when a table is missing or a version would change."""
    parser = argparse.ArgumentParser(description="Make the published baselines from the publishers' tables.")
    parser.add_argument("tables", type=Path, help="folder with the publishers' tables")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--only", choices=BUILDERS, action="append", help="only this one; may be repeated")
    chosen = parser.parse_args(arguments)
    try:
        for name in chosen.only or BUILDERS:
            baseline = BUILDERS[name](chosen.tables)
            path = write_baseline(chosen.output, baseline)
            size = sum(path.with_suffix(suffix).stat().st_size for suffix in (".csv", ".json"))
            sys.stdout.write(
                f"{path}: {len(baseline.models)} models, {len(baseline.rows)} numbers, {size / 1e6:.2f} MB\n"
            )
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
