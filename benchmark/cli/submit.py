"""``submit``: a bundle of predictions that a leaderboard re-scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit")(submit)


def submit(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS_DIR", help="The results of `eval`: a folder or a URL.")
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="The model to submit, as `eval` named it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that the bundle goes into.")],
    suite: Annotated[
        str | None, typer.Option(help="A suite or a single shift; default: the one that is complete.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="Fields of the model card, as JSON or TOML.")] = None,
    contact: Annotated[str | None, typer.Option(help="An address or a profile to reach you by.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="Who made the model; may be repeated.")] = None,
    title: Annotated[str | None, typer.Option(help="What the model is, in a few words.")] = None,
    paper: Annotated[str | None, typer.Option(help="Link to the paper.")] = None,
    code: Annotated[str | None, typer.Option(help="Link to code or weights.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of the weights.")] = None,
    family: Annotated[str | None, typer.Option(help="As in `list models`.")] = None,
    training_data: Annotated[
        list[str] | None, typer.Option(help="A data set it was trained on; may be repeated.")
    ] = None,
    supersedes: Annotated[
        str | None, typer.Option(help="The entry on the board that this one replaces.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Address of a service to upload it to; token in $ROBUSTBENCH_SHIFT_TOKEN."),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Make a submission bundle of stored predictions and verify it."""
    from benchmark.cli.leaderboard import print_report
    from benchmark.cli.terminal import complain, out, print_json
    from benchmark.store import open_store
    from leaderboard.keys import Keys
    from leaderboard.submission import choose, make_manifest, read_card, write_submission
    from shifts.errors import UserError

    given: dict[str, Any] = read_card(card) if card is not None else {}
    contact = contact or given.pop("contact", None)
    given.pop("contact", None)
    options = {
        "authors": author,
        "title": title,
        "paper": paper,
        "code": code,
        "licence": licence,
        "family": family,
        "training_data": training_data,
    }
    given |= {name: value for name, value in options.items() if value}
    if not contact:
        raise UserError(
            "a submission says how to reach you", hint="--contact ADDRESS, or the field contact of --card"
        )
    name, chosen = choose(open_store(results), model, suite)
    manifest, files = make_manifest(name, chosen, given=given, contact=contact, supersedes=supersedes)
    made = write_submission(output, manifest, files, keys=Keys(data_dir=data_dir))
    report = made.verified.report
    if as_json:
        print_json({"path": str(made.path), "bytes": made.size, "report": report.to_json()})
        return
    print_report(report, failures_only=True)
    console = out()
    rows = sum(claim.n for claim in manifest.shifts)
    console.print(
        f"{made.path}: {made.size / 1e6:.2f} MB, {len(manifest.shifts)} shifts, {rows:,} predictions, "
        f"digest {(report.bundle or '')[:8]}"
    )
    if report.flagged:
        complain(
            f"a maintainer will ask about: {', '.join(report.flagged)}",
            hint="look at the reasons above; explain what is right in the pull request",
        )
    if to is not None:
        from benchmark.cli.service import send

        send(made.path, to)
        return
    console.print(
        "next: attach it to a new submission issue of the leaderboard's repository, or put it under "
        "leaderboard/incoming/ in a pull request"
    )
