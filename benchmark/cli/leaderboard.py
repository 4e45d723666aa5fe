"""``leaderboard``: verify bundles, keep the board."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from rich.markup import escape

    from benchmark.cli.terminal import out, print_json
    from leaderboard.board import Board as BoardFolder
    from leaderboard.keys import Keys
    from leaderboard.verify import verify as verify_bundle

    known = BoardFolder(board).known()
    report = verify_bundle(bundle, keys=Keys(data_dir=data_dir), known=known).report
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report)
        what = f"{escape(report.model)} on {escape(report.suite or '')}" if report.model else "the bundle"
        digest = (report.bundle or "")[:8]
        out().print(f"{what}: " + (f"{report.tier}, digest {digest}" if report.passed else "not accepted"))
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def add(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a zip, or its unpacked folder.")],
    board: Board = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="LINT=WHY: admit a flagged bundle all the same.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Verify a bundle and put it on the board: the entry, its report and a line of the log."""
    from benchmark.cli.terminal import out, print_json
    from leaderboard.board import Board as BoardFolder
    from leaderboard.keys import Keys
    from shifts.errors import UserError

    reasons = {}
    for one in accept or ():
        name, _, reason = one.partition("=")
        if not reason.strip():
            raise UserError(f"--accept {one!r} gives no reason", hint="--accept 'off-the-line=WHY'")
        reasons[name.strip()] = reason.strip()
    kept = BoardFolder(board)
    standing = kept.add(bundle, keys=Keys(data_dir=data_dir), accept=reasons)
    if as_json:
        print_json({"entry": standing.entry.id, "tier": standing.tier, "head": kept.head})
        return
    out().print(f"{standing.entry.id}: {standing.tier}; the board's head is {kept.head}")


@app.command()
def withdraw(
    entry: Annotated[str, typer.Argument(help="Id of the entry, or the beginning of it.")],
    reason: Annotated[str, typer.Option(help="Shown on the board.")],
    board: Board = None,
) -> None:
    """Take an entry out of the ranking. It stays visible, with the reason."""
    from benchmark.cli.terminal import out
    from leaderboard.board import Board as BoardFolder

    kept = BoardFolder(board)
    out().print(f"{kept.withdraw(entry, reason).entry.id}: withdrawn; the board's head is {kept.head}")


@app.command()
def check(
    board: Board = None,
    head: Annotated[str | None, typer.Option(help="Hash of the last line as you kept it.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Verify everything on the board again: the chain of the log, every file, every number."""
    from benchmark.cli.terminal import complain, out, print_json
    from leaderboard.board import Board as BoardFolder
    from leaderboard.keys import Keys

    kept = BoardFolder(board)
    wrong = kept.check(keys=Keys(data_dir=data_dir), head=head)
    if as_json:
        print_json({"sound": not wrong, "problems": wrong, "head": None if wrong else kept.head})
    else:
        for problem in wrong:
            complain(problem)
        if not wrong:
            out().print(f"{len(kept.entries())} entries, all as logged and re-scored; head {kept.head}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def reproduce(
    entry: Annotated[str, typer.Argument(help="Id of the entry, or the beginning of it.")],
    board: Board = None,
    weights: Annotated[Path | None, typer.Option(help="The checkpoint that the entry names.")] = None,
    examples: Annotated[int, typer.Option(min=1, help="Of each shift, drawn at random.")] = 200,
    everything: Annotated[bool, typer.Option("--all", help="Run every example.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    record: Annotated[bool, typer.Option(help="Write the outcome onto the board.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run the named weights again on examples drawn after the bundle was on the board.

    Exit code 1 when the predictions do not come out again.
    """
    from benchmark.cli.evaluate import weights_at_hand
    from benchmark.cli.terminal import complain, err, out, percent
    from leaderboard.board import Board as BoardFolder
    from leaderboard.reproduce import reproduce as run_again
    from models_zoo.spec import MODELS

    kept = BoardFolder(board)
    found = kept.get(entry).entry
    contestant = weights_at_hand(
        MODELS.get(found.model.name), weights=weights, precision=found.model.precision, data_dir=data_dir
    )
    made = run_again(
        kept,
        found.id,
        contestant,
        n=None if everything else examples,
        data_dir=data_dir,
        device=device,
        progress=lambda shift: err().print(f"[dim]{shift}[/]") if err().is_terminal else None,
    )
    if record:
        kept.record(found.id, made.to_json().encode(), tier=made.tier)
    if as_json:
        out().file.write(made.to_json())
    else:
        for one in made.shifts:
            if one.differing:
                out().print(
                    f"{one.shift}: {percent(one.agreement)} %, other answers on {', '.join(one.differing)}"
                )
        out().print(
            f"{found.id}: {percent(made.agreement)} % of {made.agreement.n:,} answers came out again: "
            f"{made.tier or 'not reproduced'}"
        )
    if made.tier is None:
        complain(
            f"the weights do not give the predictions of {found.id}",
            hint="withdraw it, or ask who submitted it what they were made with",
        )
        raise typer.Exit(1)


@app.command()
def show(board: Board = None, as_json: AsJson = False) -> None:
    """Print the board: rank with interval, score, tier, by suite."""
    from benchmark.cli.terminal import out, print_json
    from leaderboard.board import Board as BoardFolder
    from leaderboard.ranking import board_document

    document = board_document(BoardFolder(board), claimed=as_json)
    if as_json:
        print_json(document)
        return
    print_board(document)
    out().print(f"head {document['head']}")


def print_board(document: Mapping[str, Any]) -> None:
    """A table for each suite."""
    from rich.table import Table
    from rich.text import Text

    from benchmark.cli.terminal import out, percent
    from benchmark.estimate import Estimate

    for suite in document["suites"]:
        table = Table(title=f"{suite['suite']}: {suite['title']}", title_justify="left", box=None)
        for name in ("rank", "model", "family", "score", "tier", "entry"):
            table.add_column(name)
        for row in suite["rows"]:
            place = row["rank"]
            shown = "–" if place is None else str(place["rank"])
            if place is not None and place["low"] != place["high"]:
                shown += f" [dim]\\[{place['low']}, {place['high']}][/]"
            score = None if place is None else Estimate.from_json(place["score"])
            standing = row["tier"] if row["status"] == "active" else row["status"]
            if row["incomparable"]:
                standing += ", other data"
            model, family = Text(row["model"]), Text(row["card"]["family"])
            table.add_row(shown, model, family, percent(score), standing, Text(row["entry"]))
        out().print(table)
        out().print()


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


@app.command()
def build(
    output: Annotated[Path, typer.Option("--output", "-o", help="An empty folder, or an earlier site.")],
    board: Board = None,
    claimed: Annotated[bool, typer.Option(help="Show published accuracies beside the entries.")] = True,
    as_json: AsJson = False,
) -> None:
    """Write the board as a static site that works from a file."""
    from benchmark.cli.terminal import out, print_json, progress
    from leaderboard.board import Board as Entries
    from leaderboard.site.build import build as build_site

    with progress() as display:
        task = display.add_task("pages", total=None)
        built = build_site(
            Entries(board),
            output,
            claimed=claimed,
            progress=lambda done, total: display.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(
            {
                "schema_version": 1,
                "index": str(output / "index.html"),
                "pages": built.pages,
                "bytes": built.size,
                "sha256": built.digest,
            }
        )
    else:
        out().print(
            f"{output / 'index.html'}: {built.pages:,} pages, {built.size / 1e6:.1f} MB, "
            f"digest {built.digest[:8]}",
            soft_wrap=True,
        )
