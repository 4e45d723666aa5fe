"""``diagnose``: is a shift in support or out of it, and what does that mean for pre-training?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from benchmark.support_report import SupportReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diagnose")(diagnose)


def diagnose(
    shift: Annotated[str, typer.Option("--shift", "-s", help="A shift with a reference.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Whose features tell the two apart.")],
    weights: Annotated[Path | None, typer.Option(help="A checkpoint file for the model.")] = None,
    threshold: Annotated[
        float, typer.Option(min=0.0, help="Density ratio below which an example is out of support.")
    ] = 0.2,
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    fine_tune: Annotated[
        bool,
        typer.Option("--fine-tune", help="Tell them apart by fine-tuned networks, not by features: slow."),
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Only this many examples of each set.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A figure: calibration and density ratios.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Split a shift into what its reference supports and what it does not, and say what that means."""
    from benchmark.cli.evaluate import weights_at_hand
    from benchmark.cli.terminal import print_json, progress
    from benchmark.features import features
    from benchmark.support_report import support_report
    from models_zoo.spec import MODELS
    from shifts.data import load_shift
    from shifts.errors import UserError
    from shifts.own import look_in
    from shifts.spec import SHIFTS
    from shifts.support import density_ratio, keep

    look_in(data_dir)
    spec = SHIFTS.get(shift)
    if spec.reference is None:
        raise UserError(f"{shift!r} is a reference itself", hint="name one of the shifts matched to it")
    one = weights_at_hand(MODELS.get(model), weights=weights, precision="float32", data_dir=data_dir)
    pair = tuple(load_shift(name, data_dir=data_dir, limit=limit) for name in (spec.reference, shift))
    with progress() as display:
        told = partial(_told, display)
        if fine_tune:
            from benchmark.support_tuning import fine_tuned_ratio

            ratio = fine_tuned_ratio(
                one, *pair, folds=folds, seed=seed, device=device, progress=told("fine-tuning")
            )
        else:
            sets = [
                features(one, opened, device=device, progress=told(f"features on {opened.spec.name}"))
                for opened in pair
            ]
            ratio = density_ratio(
                sets[0].values,
                sets[1].values,
                reference_ids=sets[0].ids,
                shift_ids=sets[1].ids,
                folds=folds,
                seed=seed,
                progress=told("cross-validation"),
            )
    report = support_report(ratio, threshold=threshold)
    made_with = {
        "model": model,
        "model_digest": one.digest_in(spec.label_space),
        "shift_digest": pair[1].digest,
        "reference": spec.reference,
        "folds": folds,
        "seed": seed,
        "strength": ratio.strength,
        **({"classifier": "fine-tuned"} if fine_tune else {}),
    }
    halves = [] if limit is not None else _halves(shift, report)
    if limit is None:
        keep(shift, pair[1].example_ids, ratio.shift, threshold=threshold, made_with=made_with)
    if output is not None:
        from benchmark.plots.style import save
        from benchmark.plots.support import support_figure

        save(support_figure({shift: (ratio, report)}), output)
    if as_json:
        document = {"schema_version": 1, "shift": shift, **made_with, **report.to_json()}
        print_json({**document, "halves": halves})
    else:
        _print(shift, spec.reference, model, report, halves, fine_tuned=fine_tune)


def _told(display: Progress, what: str) -> Callable[[int, int], None]:
    """A bar of its own, begun when it is asked for."""
    task = display.add_task(what, total=None)
    return lambda done, total: display.update(task, completed=done, total=total)


def _halves(shift: str, report: SupportReport) -> list[str]:
    """The halves that have examples."""
    count = round(report.share.value * report.n_shift)
    sides = {"in-support": count, "out-of-support": report.n_shift - count}
    return [f"{shift}/{side}" for side, n in sides.items() if n]


def _print(
    shift: str, reference: str, model: str, report: SupportReport, halves: list[str], *, fine_tuned: bool
) -> None:
    from rich.table import Table

    from benchmark.cli.terminal import out, percent

    console, by = out(), "fine-tuned copies" if fine_tuned else "the features"
    console.print(
        f"[bold]{shift} against {reference}, by {by} of {model}[/]",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("threshold")
    for head in ("in support", "share (%)"):
        table.add_column(head, justify="right")
    for at, share in report.shares.items():
        count = f"{round(share.value * report.n_shift):,} of {report.n_shift:,}"
        table.add_row(f"{at:g}" + (" (used)" if at == report.threshold else ""), count, percent(share))
    console.print(table)
    console.print(
        f"AUROC {report.auroc.value:.3f} [dim]\\[{report.auroc.low:.3f}, {report.auroc.high:.3f}][/], "
        f"temperature {report.temperature:.2f}, {percent(report.reference_share)} % of the "
        f"{report.n_reference:,} reference examples in support"
    )
    for sentence in report.words():
        console.print(f"→ {sentence}", soft_wrap=True)
    if halves:
        console.print(
            f"[dim]robustbench-shift eval --model MODEL {' '.join('--shift ' + name for name in halves)} "
            "measures on each half[/]",
            soft_wrap=True,
        )
