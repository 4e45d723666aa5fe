"""``report``: the table again, from what is stored; no model, no image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import Results

if TYPE_CHECKING:
    from benchmark.report import Row
    from benchmark.result import Result
    from benchmark.summary import ModelSummary

MOST = 40  # models that are shown shift by shift; of more than these the best ``LEADERS`` are shown
LEADERS = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    results: Results = None,
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
    from benchmark.heads import latest
    from benchmark.store import open_store
    from shifts.errors import ResultsError
    from shifts.lazy import uncollected
    from shifts.registry import matches

    if paired and not (baseline or "").startswith("results:"):
        raise typer.BadParameter("--paired goes with --baseline results:DIR: it needs predictions")
    store = open_store(results)
    with uncollected():
        found = everything = latest(store.results())
        if suite is not None:
            from benchmark.suites import SUITES

            members = {shift.name for shift in SUITES.get(suite).shifts()}
            found = [(folder, result) for folder, result in found if result.shift in members]
        if model:
            found = [pair for pair in found if any(matches(pair[1].model, pattern) for pattern in model)]
        if not found:
            raise ResultsError(
                f"there are no such results in {store.place}",
                hint="robustbench-shift eval --model digits-cnn",
            )
        # To import what follows takes longer than to say that there is nothing.
        from benchmark.baselines import load_baseline
        from benchmark.report import Rows, document
        from benchmark.summary import leaders, passing, summarise

        read = {store.root: everything}
        against = None if baseline is None else load_baseline(baseline, read=read)
        models = list(dict.fromkeys(result.model_digest for _, result in found))
        shown = models if len(models) <= MOST else leaders((one for _, one in found), most=LEADERS)
        together = base is not None or ranks or paired  # each model with others: all rows are held
        if not (csv or markdown or latex or as_json or together):
            asked = set(shown)  # nobody sees the others
            found = [pair for pair in found if pair[1].model_digest in asked]
        made = Rows(found, baseline=against)
        rows: Iterable[Row] = made
        if paired:
            from benchmark.baselines.own import own_results
            from benchmark.paired import with_paired_intervals

            _, on_the_line = own_results(str(baseline), read=read)
            rows = with_paired_intervals(list(rows), on_the_line)
        if together:
            rows = list(rows)
        summaries = summarise(rows, base=base, ranks=ranks) if together else []
        _write(rows, found, csv=csv, markdown=markdown, latex=latex)
        if as_json:
            from benchmark.cli.terminal import print_json

            # The summaries are there once the rows, which are printed first, have passed.
            printed = rows if together else passing(rows, summaries)
            print_json({**document(printed), "summary": (one.to_json() for one in summaries)})
            return
        if not together:
            rows = made.of(shown)
            summaries = summarise(rows)
    _print(list(rows), summaries, shown, models=len(models), base=base, summary=summary)


def _write(
    rows: Iterable[Row],
    found: Sequence[tuple[Path, Result]],
    *,
    csv: Path | None,
    markdown: Path | None,
    latex: Path | None,
) -> None:
    from benchmark.export import write_csv, write_latex, write_markdown

    if csv is not None:
        write_csv(csv, rows, metrics=dict.fromkeys(name for _, result in found for name in result.metrics))
    if markdown is not None:
        write_markdown(markdown, rows)
    if latex is not None:
        write_latex(latex, rows)


def _print(
    rows: list[Row],
    summaries: list[ModelSummary],
    shown: list[str],
    *,
    models: int,
    base: str | None,
    summary: bool,
) -> None:
    """The tables; of very many models the summaries of the best, and where the others are."""
    from benchmark.cli.summary import print_summaries
    from benchmark.cli.table import print_rows
    from benchmark.cli.terminal import out

    if models <= MOST:
        if not summary:
            print_rows(rows)
        print_summaries(summaries, base=base)
        return
    by_digest = {one.model_digest: one for one in summaries}
    print_summaries([by_digest[digest] for digest in shown if digest in by_digest], base=base)
    out().print(
        f"[dim]the {len(shown)} of {models:,} models with the highest mean accuracy over shifts; "
        "--model NAME shows a model's shifts, --csv FILE and --json have everything[/]",
        soft_wrap=True,
    )
