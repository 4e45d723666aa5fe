"""``study NAME``: run one study of the literature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.options import Results

if TYPE_CHECKING:
    from benchmark.studies.study import Findings

COLOURS = {"reproduced": "green", "not reproduced": "red", "within noise": "yellow", "not tested": "dim"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("study")(study)


def study(
    name: Annotated[str, typer.Argument(help="Which one; 'list studies' shows them.")],
    suite: Annotated[str | None, typer.Option(help="On which data; default: the smallest.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many repetitions, two or more.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Only show that everything runs.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained and measured, and what it costs.")
    ] = False,
    throughput: Annotated[
        float | None,
        typer.Option(metavar="TFLOP/S", help="With --plan: what an accelerator sustains; default 50."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the JSON and the figures.")
    ] = None,
    results: Results = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run a study of the literature: a table, the figure, every number as JSON, and a verdict."""
    from benchmark.cli.terminal import print_json, progress
    from benchmark.studies.study import STUDIES, setting
    from shifts.registry import resolve

    one = STUDIES.get(name)
    if plan:
        from benchmark.cli.planned import show_plan

        asked = setting(one, suite=suite, seeds=seeds, smoke=smoke, results=results, data_dir=data_dir)
        show_plan(one, asked, throughput=throughput, as_json=as_json)
        return
    with progress() as display:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = display.add_task(what, total=total)
            display.update(tasks[what], completed=done, total=total)

        findings: Findings = resolve(one.run)(
            setting(
                one,
                suite=suite,
                seeds=seeds,
                smoke=smoke,
                results=results,
                data_dir=data_dir,
                progress=show,
            )
        )
    written = _write(findings, output) if output is not None else []
    if as_json:
        print_json(findings.to_json())
    else:
        _print(findings, written)


def _write(findings: Findings, folder: Path) -> list[Path]:
    import json

    from benchmark.plots.style import save
    from shifts.local import write_atomic

    folder.mkdir(parents=True, exist_ok=True)
    document = folder / f"{findings.study}.json"
    write_atomic(document, json.dumps(findings.to_json(), indent=1, sort_keys=True, allow_nan=False) + "\n")
    written = [document]
    for name, draw in findings.figures.items():
        written.append(folder / f"{name}.png")
        save(draw(), written[-1])
    return written


def _print(findings: Findings, written: list[Path]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from benchmark.cli.terminal import out

    console = out()
    for one in findings.tables:
        table = Table(title=one.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for number, head in enumerate(one.header):
            table.add_column(head, justify="left" if number == 0 else "right", overflow="fold")
        for row in one.rows:
            table.add_row(*map(escape, row))
        console.print(table)
        console.print()
    for verdict in findings.verdicts:
        colour = COLOURS[verdict.outcome]
        console.print(f"[bold {colour}]{verdict.outcome}[/]: {escape(verdict.claim)}", soft_wrap=True)
        console.print(f"  {escape(verdict.evidence)}", soft_wrap=True)
    for path in written:
        console.print(f"[dim]{escape(str(path))}[/]", soft_wrap=True)
