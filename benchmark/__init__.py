"""What comes out: predictions, metrics, results, effective robustness, studies, the command line.

>>> import pandas as pd
>>> from benchmark import effective_robustness, fit_baseline
>>> accuracies = {"val": [0.60, 0.65, 0.70, 0.75, 0.80], "new": [0.48, 0.53, 0.58, 0.64, 0.75]}
>>> table = pd.DataFrame(accuracies, index=list("abcde"))
>>> fit = fit_baseline(table.drop("e"), reference="val", shift="new")
>>> float(effective_robustness(fit, table.loc[["e"]]).value.round(3).iloc[0])
0.053
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.lazy import exports

if TYPE_CHECKING:
    from benchmark.baselines import baseline_names, load_baseline
    from benchmark.frames import effective_robustness, fit_baseline

__all__ = ["baseline_names", "effective_robustness", "fit_baseline", "load_baseline"]

# Looked up when first used: the command line imports this package and must not wait for NumPy.
__getattr__ = exports(
    __name__,
    {
        "baseline_names": "benchmark.baselines",
        "effective_robustness": "benchmark.frames",
        "fit_baseline": "benchmark.frames",
        "load_baseline": "benchmark.baselines",
    },
)
