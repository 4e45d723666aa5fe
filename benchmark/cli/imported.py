"""``eval --predictions FILE``: score what a model answered elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from benchmark.result import Result
    from benchmark.store import Store


def score_file(
    path: Path,
    *,
    model: list[str],
    shift: list[str] | None,
    suite: str | None,
    unused: Mapping[str, object],
    label_space: str | None,
    limit: int | None,
    partial: bool,
    family: str | None,
    training_data: list[str] | None,
    data_dir: Path | None,
    results: Path | None,
    baseline: str | None,
    as_json: bool,
) -> None:
    """Import the file as the model's cell on the shift and print its row, with that of the reference.

    Args:
        unused: options of ``eval`` that only make sense where a model is run → whether they were given.
    """
    from benchmark.cli.table import print_rows
    from benchmark.cli.terminal import print_json
    from benchmark.imported import import_predictions
    from benchmark.report import build_rows, document
    from benchmark.store import open_store
    from shifts.own import look_in
    from shifts.spec import SHIFTS

    if given := [option for option, value in unused.items() if value]:
        raise typer.BadParameter(f"{', '.join(given)}: no model is run with --predictions")
    if len(model) != 1 or suite is not None or shift is None or len(shift) != 1:
        raise typer.BadParameter("--predictions goes with one --model, any name, and one --shift")
    look_in(data_dir)
    store = open_store(results)
    store.check_writable()
    folder, result = import_predictions(
        path,
        model=model[0],
        shift=SHIFTS.get(shift[0]).limited(limit),
        store=store,
        family=family or "unknown",  # type: ignore[arg-type] # the declaration refuses what is no family
        training_data=training_data or (),
        classes=label_space,
        partial=partial,
        data_dir=data_dir,
    )
    store.keep(folder)
    rows = build_rows([*_reference(store, result, limit=limit), (folder, result)], baseline=baseline)
    if as_json:
        print_json(document(rows))
    else:
        print_rows(rows)
    store.check_kept()


def _reference(store: Store, result: Result, *, limit: int | None) -> list[tuple[Path, Result]]:
    """The model's cell on the reference, for its effective robustness, where it was imported."""
    return [
        (folder, found)
        for folder, found in store.results()
        if (found.model_digest, found.shift) == (result.model_digest, result.reference)
        and found.provenance.get("limit") == limit
    ]
