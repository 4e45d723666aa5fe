"""``report``: the table again, from what is stored; no model, no image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    results: Annotated[Path | None, typer.Option(help="The results folder; default ./results.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only the shifts of this suite.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only these models.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Measure effective robustness against this.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write a CSV file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a Markdown table.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Print the table of everything in a results folder."""
    from benchmark.cli.table import print_rows
    from benchmark.cli.terminal import print_json
    from benchmark.export import write_csv, write_markdown
    from benchmark.report import build_rows, document, latest
    from benchmark.store import Store, results_home
    from shifts.errors import ResultsError
    from shifts.registry import matches

    store = Store(results_home(results))
    found = latest(store.results())
    if suite is not None:
        from benchmark.suites import SUITES

        members = {shift.name for shift in SUITES.get(suite).shifts()}
        found = [(folder, result) for folder, result in found if result.shift in members]
    if model:
        found = [pair for pair in found if any(matches(pair[1].model, pattern) for pattern in model)]
    if not found:
        raise ResultsError(
            f"there are no such results in {store.root}", hint="robustbench-shift eval --model digits-cnn"
        )
    rows = build_rows(found, baseline=baseline)
    if csv is not None:
        write_csv(csv, rows)
    if markdown is not None:
        write_markdown(markdown, rows)
    if as_json:
        print_json(document(rows))
    else:
        print_rows(rows)
