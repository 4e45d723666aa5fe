"""Effective robustness against models of one's own, with the paired bootstrap over the images they share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmark.baselines.own import Results
from benchmark.estimate import Estimate
from benchmark.lines import MIN_MODELS
from benchmark.lookup import answers, finished
from benchmark.report import Row
from benchmark.resampling import paired_effective_robustness


def with_paired_intervals(
    rows: Sequence[Row], results: Results, *, resamples: int = 10_000, level: float = 0.95
) -> list[Row]:
    """The rows with the interval of the paired bootstrap, where it can be had.

    It can where the line goes through the models in the folder, the row's model is one of them, and four
    others have predictions on the same images; the other rows stay as they are.

    Args:
        rows: from ``build_rows`` with a baseline ``results:DIR``.
        results: of that baseline, as ``own_results`` gives them.
        resamples: how often to resample.
        level: confidence level in (0, 1).
    """
    found = finished(results)
    pairs = {
        (row.result.reference, row.result.shift)
        for row in rows
        if row.effective is not None and row.result.reference is not None
    }
    intervals: dict[tuple[str, str], Estimate] = {}
    for reference, shift in sorted(pairs):
        models, said = answers(found, reference, shift)
        if len(models) <= MIN_MODELS:
            continue
        right = [said[name][0] == said[name][1] for name in (reference, shift)]
        for place, result in enumerate(models):
            others = np.arange(len(models)) != place
            intervals[result.model_digest, shift] = paired_effective_robustness(
                right[0][place],
                right[1][place],
                members_reference=right[0][others],
                members_shift=right[1][others],
                resamples=resamples,
                level=level,
            )
    return [_replaced(row, intervals.get((row.result.model_digest, row.result.shift))) for row in rows]


def _replaced(row: Row, estimate: Estimate | None) -> Row:
    if row.effective is None or estimate is None:
        return row
    # The value must be that of the line shown: a line with exclusions of its own keeps its interval.
    if abs(estimate.value - row.effective.value) > 1e-4 or row.effective.scale != "probit":
        return row
    flags = [flag for flag in row.flags if flag != "within noise"]
    if estimate.low <= 0 <= estimate.high:
        flags.append("within noise")
    effective = dataclasses.replace(row.effective, estimate=estimate, flags=tuple(flags))
    return dataclasses.replace(row, effective=effective, flags=tuple(flags))
