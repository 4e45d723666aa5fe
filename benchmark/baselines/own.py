"""A user's own numbers as a baseline: ``--baseline results:DIR``, ``fit --table FILE``."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.baselines.files import RESULTS
from benchmark.baselines.table import Baseline, BaselineRow, MemberRule
from benchmark.heads import latest
from benchmark.result import Result
from benchmark.store import Store, open_store
from shifts.digest import SHORT
from shifts.errors import ResultsError, UserError

Results = Sequence[tuple[Path, Result]]
Read = Mapping[Path, Results]  # the latest results of a store, by its root

# What makes a number one of another experiment; such a cell is no point of a line.
_MARKS = ("limited", "partial", "contaminated")


def own_results(name: str, *, read: Read | None = None) -> tuple[Store, Results]:
    """The place behind ``results:DIR``, a folder or a URL, and the latest results in it.

    Args:
        read: results that were read before, so that no folder is read twice.
    """
    store = open_store(Path(name.removeprefix(RESULTS)))
    known = (read or {}).get(store.root)
    return store, latest(store.results()) if known is None else known


def results_baseline(name: str, *, read: Read | None = None) -> Baseline:
    """Every finished evaluation in a results folder as a point; all models are members.

    Cells on a limited or partial copy of the data, and contaminated ones, stay out. A model is called by its
    name, or ``name@digest`` where the folder holds several models of one name.

    Args:
        name, read: as for ``own_results``.

    Raises:
        ResultsError: no finished evaluation in the folder.
    """
    store, results = own_results(name, read=read)
    found = [
        result
        for _, result in results
        if result.status == "ok" and not any(warning.startswith(_MARKS) for warning in result.warnings)
    ]
    digests = Counter(name for name, _ in {(result.model, result.model_digest) for result in found})
    unique = [name for name, number in digests.items() if number == 1]
    rows = [measured_row(result, publisher="own results", by_name=result.model in unique) for result in found]
    if not rows:
        raise ResultsError(
            f"there are no finished evaluations in {store.place}", hint="robustbench-shift eval --results DIR"
        )
    return Baseline(
        name="results",
        version=1,
        title=f"Results in {store.place}",
        source="measured here",
        revision="",
        licence="",
        citation="",
        default_members=MemberRule(),
        regenerate="robustbench-shift eval",
        references=tuple(sorted({result.reference for result in found if result.reference})),
        folder=store.place,
        rows=tuple(rows),
    )


def measured_row(result: Result, *, publisher: str, by_name: bool = True) -> BaselineRow:
    """A finished evaluation as a row of a baseline.

    Args:
        by_name: whether the model's name is enough to tell it apart, or its digest has to be added.

    Raises:
        ResultsError: the evaluation failed.
    """
    if result.accuracy is None:
        raise ResultsError(f"{result.model} on {result.shift} has no accuracy: {result.error}")
    return BaselineRow(
        model=result.model if by_name else f"{result.model}@{result.model_digest[:SHORT]}",
        library_key=result.model,
        shift=result.shift,
        accuracy=result.accuracy.value,
        n=result.n,
        family=result.family,
        training_data=result.training_data,
        kind_of_number="measured",
        publisher=publisher,
    )


def table_baseline(path: Path, *, references: Sequence[str] = ()) -> Baseline:
    """A CSV table of accuracies as a baseline: a column ``model``, maybe ``family``, fractions elsewhere.

    Args:
        path: the file.
        references: columns that serve as the x axis; all of them when none is given.

    Raises:
        UserError: no such file, no column ``model``, or a cell that is no fraction.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read the table {path}: {error}") from error
    if not lines or "model" not in lines[0]:
        raise UserError(
            f"{path} has no column 'model'", hint="one row per model: model, then one column per set"
        )
    columns = [name for name in lines[0] if name not in ("model", "family")]
    rows = []
    for number, line in enumerate(lines, start=2):
        for column in columns:
            try:
                if line[column]:
                    rows.append(
                        BaselineRow(
                            model=line["model"],
                            shift=column,
                            accuracy=float(line[column]),
                            family=line.get("family") or "",
                            kind_of_number="measured",
                        )
                    )
            except (TypeError, ValueError) as error:
                raise UserError(
                    f"{path}, row {number}, column {column!r}: {error}",
                    hint="accuracies are fractions in [0, 1]; leave a cell empty where there is none",
                ) from error
    return Baseline(
        name="table",
        version=1,
        title=f"Accuracies in {path}",
        source=str(path),
        revision="",
        licence="",
        citation="",
        regenerate="",
        references=tuple(references) or tuple(columns),
        folder=str(path),
        rows=tuple(rows),
    )
