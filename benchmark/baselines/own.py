"""A user's own results as a baseline: ``--baseline results:DIR``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmark.baselines.table import Baseline, BaselineRow, MemberRule
from benchmark.report import latest
from benchmark.store import Store
from shifts.digest import SHORT
from shifts.errors import ResultsError

# What makes a number one of another experiment; such a cell is no point of a line.
_MARKS = ("limited", "partial", "contaminated")


def results_baseline(folder: Path) -> Baseline:
    """Every finished evaluation in a results folder as a point; all models are members.

    Cells on a limited or partial copy of the data, and contaminated ones, stay out. A model is called by its
    name, or ``name@digest`` where the folder holds several models of one name.

    Raises:
        ResultsError: no finished evaluation in the folder.
    """
    found = [
        result
        for _, result in latest(Store(folder).results())
        if result.status == "ok" and not any(warning.startswith(_MARKS) for warning in result.warnings)
    ]
    digests = Counter(name for name, _ in {(result.model, result.model_digest) for result in found})
    rows = [
        BaselineRow(
            model=result.model
            if digests[result.model] == 1
            else f"{result.model}@{result.model_digest[:SHORT]}",
            library_key=result.model,
            shift=result.shift,
            accuracy=result.accuracy.value,
            n=result.n,
            family=result.family,
            training_data=result.training_data,
            kind_of_number="measured",
            publisher="own results",
        )
        for result in found
        if result.accuracy is not None
    ]
    if not rows:
        raise ResultsError(
            f"there are no finished evaluations in {folder}", hint="robustbench-shift eval --results DIR"
        )
    return Baseline(
        name="results",
        version=1,
        title=f"Results in {folder}",
        source="measured here",
        revision="",
        licence="",
        citation="",
        default_members=MemberRule(),
        regenerate="robustbench-shift eval",
        references=tuple(sorted({result.reference for result in found if result.reference})),
        folder=str(folder),
        rows=tuple(rows),
    )
