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
    latex: Annotated[Path | None, typer.Option(help="Also write a LaTeX table (booktabs).")] = None,
    base: Annotated[
        str | None, typer.Option(help="Relative robustness against this model of the results.")
    ] = None,
    ranks: Annotated[bool, typer.Option("--ranks", help="Rank the models, with intervals.")] = False,
    paired: Annotated[
        bool, typer.Option("--paired", help="With --baseline results:DIR: intervals over shared images.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Only the averages and worst cases per kind.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Print the table of everything in a results folder, with averages and worst cases per kind."""
    from benchmark.cli.summary import print_summaries
    from benchmark.cli.table import print_rows
    from benchmark.cli.terminal import print_json
    from benchmark.export import write_csv, write_latex, write_markdown
    from benchmark.report import build_rows, document, latest
    from benchmark.store import Store, results_home
    from benchmark.summary import summarise
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
    if paired:
        if baseline is None or not baseline.startswith("results:"):
            raise typer.BadParameter("--paired goes with --baseline results:DIR: it needs predictions")
        from benchmark.paired import with_paired_intervals

        rows = with_paired_intervals(rows, Path(baseline.removeprefix("results:")))
    summaries = summarise(rows, base=base, ranks=ranks)
    if csv is not None:
        write_csv(csv, rows)
    if markdown is not None:
        write_markdown(markdown, rows)
    if latex is not None:
        write_latex(latex, rows)
    if as_json:
        print_json({**document(rows), "summary": [one.to_json() for one in summaries]})
        return
    if not summary:
        print_rows(rows)
    print_summaries(summaries, base=base)
