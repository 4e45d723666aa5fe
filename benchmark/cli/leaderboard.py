"""``leaderboard``: verify bundles, keep the board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from leaderboard.report import VerificationReport

app = typer.Typer(no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Board = Annotated[Path | None, typer.Option(help="The board's folder; default: the one of the package.")]


def print_report(report: VerificationReport, *, failures_only: bool = False) -> None:
    """A verification report as lines: a mark, a name, the reason."""
    from rich.markup import escape

    from benchmark.cli.terminal import out

    marks = {"passed": "[green]passed[/] ", "failed": "[red]FAILED[/] ", "skipped": "[yellow]skipped[/]"}
    looks = {"clear": "[green]clear[/]  ", "flagged": "[yellow]LOOK[/]   ", "not judged": "[dim]–[/]      "}
    console = out()
    for check in report.checks:
        if not failures_only or check.status != "passed":
            console.print(f"{marks[check.status]} {check.name:<14} {escape(check.detail)}", soft_wrap=True)
    for lint in report.lints:
        if not failures_only or lint.status == "flagged":
            console.print(f"{looks[lint.status]} {lint.name:<18} {escape(lint.detail)}", soft_wrap=True)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a zip, or its unpacked folder.")],
    board: Board = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Re-score a bundle: every named check, then the lints. Exit code 1 when a check fails."""
    from benchmark.cli.terminal import out, print_json
    from leaderboard.keys import Keys
    from leaderboard.verify import verify as verify_bundle

    report = verify_bundle(bundle, keys=Keys(data_dir=data_dir)).report
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report)
        out().print(
            f"{report.model} on {report.suite}: "
            + (f"{report.tier}, digest {(report.bundle or '')[:8]}" if report.passed else "not accepted")
        )
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def key(
    shift: Annotated[list[str], typer.Argument(help="Shifts whose images are on this machine.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; default: the package's own.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Record ids, labels and groups of a data set, so that others can verify without its images."""
    from benchmark.cli.terminal import out
    from leaderboard.keys import SHIPPED, write_key
    from shifts.spec import SHIFTS

    for spec in SHIFTS.select(shift):
        path = write_key(spec, output or SHIPPED, data_dir=data_dir)
        out().print(f"{path}: {path.stat().st_size / 1e3:.1f} kB")
