"""``check``, and the check at the end of ``eval``: results against published numbers, causes of a gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import Results

if TYPE_CHECKING:
    from benchmark.planning import Cell
    from benchmark.result import Result
    from benchmark.sentinel.check import Check
    from benchmark.sentinel.diagnosis import Diagnosis
    from benchmark.sentinel.published import Published
    from benchmark.sentinel.verdict import Verdict

SECONDS = 120.0  # that eval spends on alternatives for one model


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    model: Annotated[list[str], typer.Option("--model", "-m", help="Name or pattern; may be repeated.")],
    shift: Annotated[list[str], typer.Option("--shift", "-s", help="Name or pattern; may be repeated.")],
    published: Annotated[
        float | None, typer.Option(help="The accuracy to compare with, a fraction; default: the shipped one.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="How far off is still right, a fraction; default 0.003.")
    ] = None,
    images: Annotated[int, typer.Option(min=20, help="Try alternatives on at most so many images.")] = 2000,
    seconds: Annotated[float, typer.Option(help="Begin no more images after this time.")] = 600.0,
    weights: Annotated[Path | None, typer.Option(help="A checkpoint file for the (one) model.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
    results: Results = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    limit: Annotated[
        int | None, typer.Option(help="The result of this limit; default: the full one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Compare stored results with published numbers; of one that is off, try what may have gone wrong."""
    from benchmark.cli.evaluate import choose_shifts, weights_at_hand
    from benchmark.cli.terminal import print_json
    from benchmark.planning import plan
    from benchmark.sentinel.published import ELSEWHERE, Published
    from benchmark.store import open_store
    from models_zoo.spec import MODELS
    from shifts.errors import ResultsError
    from shifts.own import look_in

    if published is not None and not 0 <= published <= 1:
        raise typer.BadParameter("--published is a fraction from 0 to 1, e.g. 0.763")
    if tolerance is not None and published is None:
        raise typer.BadParameter("--tolerance goes with --published")
    look_in(data_dir)
    specs = MODELS.select(model)
    if weights is not None and len(specs) != 1:
        raise typer.BadParameter("--weights goes with exactly one model")
    asked, _ = choose_shifts(specs, patterns=shift, suite=None, limit=limit, data_dir=data_dir)
    contestants = [
        weights_at_hand(spec, weights=weights, precision=precision, data_dir=data_dir) for spec in specs
    ]
    work = plan(contestants, asked, store=open_store(results), data_dir=data_dir)
    absent = [cell for cell in work.cells if cell.folder not in work.finished]
    if absent:
        raise ResultsError(
            f"{absent[0].contestant.spec.name} on {absent[0].shift.name} is not evaluated yet",
            hint=f"robustbench-shift eval --model {absent[0].contestant.spec.name} "
            f"--shift {absent[0].shift.name}",
        )
    figures = None
    if published is not None:
        given = ELSEWHERE if tolerance is None else tolerance
        figures = [
            Published(shift=name, accuracy=published, n=None, tolerance=given, source="as given")
            for name in {one.name for one in asked}
        ]
    found = check_cells(
        work.cells,
        work.finished,
        force=True,
        figures=figures,
        images=images,
        seconds=seconds,
        device=device,
        data_dir=data_dir,
    )
    if as_json:
        print_json(
            {"schema_version": 1, "checks": [_document(cell, found.get(cell.folder)) for cell in work.cells]}
        )
    else:
        for cell in work.cells:
            _print(cell, found.get(cell.folder))
    if any(one.verdict.status == "differs" for one in found.values()):
        raise typer.Exit(1)


def check_cells(
    cells: Sequence[Cell],
    measured: Mapping[Path, Result],
    *,
    force: bool = False,
    given_weights: bool = False,
    figures: Sequence[Published] | None = None,
    images: int = 2000,
    seconds: float = SECONDS,
    device: str = "auto",
    data_dir: Path | None = None,
) -> dict[Path, Check]:
    """Compare finished cells with published numbers, and look for the cause of the worst gap of each model.

    Args:
        force: also for weights of the user's own, and for every cell that is off, tried before or not.
        given_weights: the user named the weights file.
        figures: instead of the shipped ones.
        images, seconds: bounds of each search.
    """
    from benchmark.sentinel.check import (
        Check,
        already_diagnosed,
        can_be_tried,
        has_published_weights,
        verdict_on,
        worst_first,
    )

    verdicts: list[tuple[Cell, Verdict]] = []
    for cell in cells:
        result = measured.get(cell.folder)
        if result is None or not (force or has_published_weights(cell.contestant, given=given_weights)):
            continue
        verdict = verdict_on(result, cell.contestant, figures=figures)
        if verdict is not None:
            verdicts.append((cell, verdict))
    found = {cell.folder: Check(verdict=verdict) for cell, verdict in verdicts}
    searched: set[str] = set()
    for cell, verdict in worst_first(verdicts):
        sought = force or (
            cell.contestant.digest not in searched
            and not already_diagnosed(measured[cell.folder], verdict)
            and not verdict.remarks  # the images are known to be others: nothing that is tried can mend that
        )
        if verdict.status != "differs" or not sought or not can_be_tried(cell.shift):
            continue
        searched.add(cell.contestant.digest)
        diagnosis = _diagnose(cell, verdict, images=images, seconds=seconds, device=device, data_dir=data_dir)
        found[cell.folder] = Check(verdict=verdict, diagnosis=diagnosis)
    return found


def keep_checks(
    measured: Mapping[Path, Result], found: Mapping[Path, Check], cells: Sequence[Cell]
) -> dict[Path, Result]:
    """The results with what the sentinel says of them, here and in the results folder."""
    from benchmark.sentinel.check import already_diagnosed, checked
    from benchmark.store import write_result

    kept = dict(measured)
    for cell in cells:
        result, one = measured.get(cell.folder), found.get(cell.folder)
        if result is None or result.status != "ok":
            continue
        if one is not None and one.diagnosis is None and already_diagnosed(result, one.verdict):
            continue
        now = checked(result, one)
        if now != result:
            write_result(cell.folder, now)
            kept[cell.folder] = now
    return kept


def print_agreements(found: Mapping[Path, Check], cells: Sequence[Cell]) -> None:
    """One line for each model: where it agrees with published numbers. What is off stands in the notes."""
    from rich.markup import escape

    from benchmark.cli.terminal import out

    by_model: dict[str, list[str]] = {}
    for cell in cells:
        one = found.get(cell.folder)
        if one is not None and one.verdict.status == "agrees":
            figure = one.verdict.published
            about = "" if one.verdict.complete else ", as far as so few images tell"
            by_model.setdefault(cell.contestant.spec.name, []).append(
                f"{cell.shift.name} {100 * figure.accuracy:.2f} ({figure.source}){about}"
            )
    for model, agreements in by_model.items():
        out().print(f"[dim]{escape(model)} agrees with published: {escape('; '.join(agreements))}[/]")


def _diagnose(
    cell: Cell, verdict: Verdict, *, images: int, seconds: float, device: str, data_dir: Path | None
) -> Diagnosis:
    from benchmark.cli.terminal import progress
    from benchmark.sentinel.check import target_of
    from benchmark.sentinel.trial import Trial

    with progress() as display:
        name = f"{cell.contestant.spec.name} is off its published number on {cell.shift.name}"
        task = display.add_task(name, total=images)

        def show(what: str, done: int, total: int) -> None:
            display.update(task, description=f"{name}: {what}", completed=done, total=total)

        return Trial(
            cell.contestant,
            cell.shift,
            target=target_of(verdict),
            images=images,
            seconds=seconds,
            device=device,
            data_dir=data_dir,
            progress=show,
        ).run()


def _document(cell: Cell, one: Check | None) -> dict[str, object]:
    return {
        "model": cell.contestant.spec.name,
        "shift": cell.shift.name,
        "verdict": None if one is None else one.verdict.to_json(),
        "diagnosis": None if one is None or one.diagnosis is None else one.diagnosis.to_json(),
    }


def _print(cell: Cell, one: Check | None) -> None:
    """What was found for one cell, with the list of what was tried."""
    from rich.markup import escape
    from rich.table import Table

    from benchmark.cli.terminal import out

    console = out()
    console.print(f"[bold]{escape(cell.contestant.spec.name)}[/] on [bold]{escape(cell.shift.name)}[/]")
    if one is None:
        console.print("  no published number is known: give one with --published")
        return
    console.print(f"  {escape(one.verdict.sentence())}", soft_wrap=True)
    for remark in one.verdict.remarks:
        console.print(f"  the copy of the images: {escape(remark)}", soft_wrap=True)
    for figure in one.verdict.alike:
        console.print(f"  it is this model's figure on {escape(figure.shift)} ({escape(figure.source)})")
    if one.diagnosis is None:
        return
    console.print(f"  [yellow]{escape(one.diagnosis.sentence())}[/]", soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("tried")
    for name in ("images", "as run", "so", "on all (99 %)"):
        table.add_column(name, justify="right")
    ranking = one.diagnosis.ranking
    for finding in (*ranking.causes, *ranking.possible, *ranking.partial, *ranking.others):
        mark = "[bold]" if finding.explains else ""
        table.add_row(
            f"{mark}{escape(finding.key)}: {escape(finding.says)}",
            f"{finding.n:,}",
            f"{100 * finding.as_run:.1f}",
            f"{100 * finding.accuracy:.1f}",
            finding.forecast(),
        )
    console.print(table)
    for name, why in one.diagnosis.skipped.items():
        console.print(f"  [dim]not tried: {escape(name)}: {escape(why)}[/]")
