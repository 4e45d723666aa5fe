"""``compare A B`` and ``agreement``: what stored predictions of several models say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import Results

if TYPE_CHECKING:
    from benchmark.agreement import AgreementLine
    from benchmark.comparison import Comparison

DETAILED = 3  # comparisons that are told in full; of more there is one line each
SHOWN_GROUPS = 6
SHOWN_EXAMPLES = 5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("compare")(compare)
    app.command("agreement")(agreement)


def compare(
    model_a: Annotated[str, typer.Argument(help="A model's name, or name@digest.")],
    model_b: Annotated[str, typer.Argument(help="The model to compare it with.")],
    shift: Annotated[list[str], typer.Option("--shift", "-s", help="Name or pattern; may be repeated.")],
    results: Results = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Compare two models on the same examples: difference, McNemar, groups, overlap of errors."""
    from benchmark.cli.terminal import print_json
    from benchmark.comparison import compare as compared
    from benchmark.lookup import cell, measured, shifts_of, unit_of
    from benchmark.predictions import read_predictions
    from benchmark.store import PREDICTIONS, open_store

    found = measured(open_store(results))
    outcomes = []
    for name in shifts_of(found, shift):
        files = [cell(found, model, name)[0] / PREDICTIONS for model in (model_a, model_b)]
        outcomes.append(compared(*(read_predictions(file) for file in files), unit=unit_of(name)))
    if as_json:
        print_json({"schema_version": 1, "comparisons": [one.to_json() for one in outcomes]})
        return
    if len(outcomes) > DETAILED:
        _print_table(outcomes)
        return
    for one in outcomes:
        _print_comparison(one)


def _print_table(outcomes: list[Comparison]) -> None:
    """One line per shift."""
    from rich.markup import escape
    from rich.table import Table

    from benchmark.cli.terminal import out

    a, b = outcomes[0].model_a, outcomes[0].model_b
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("shift")
    for column in ("n", a, b, "difference", "McNemar p", f"only {a}", f"only {b}", "same answer"):
        table.add_column(escape(column), justify="right")
    for one in outcomes:
        gap = one.difference
        table.add_row(
            escape(one.shift),
            f"{one.n:,}",
            f"{100 * one.accuracy_a.value:.1f}",
            f"{100 * one.accuracy_b.value:.1f}",
            f"{100 * gap.value:+.1f} [dim]\\[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}][/]",
            f"{one.mcnemar.p_value:.2g}",
            str(one.only_a),
            str(one.only_b),
            f"{100 * one.agreement.value:.1f}",
        )
    console = out()
    console.print(table)
    console.print(
        "[dim]accuracy and same answers in %, difference in points with its 95 % interval; p not corrected "
        f"for {len(outcomes)} shifts; groups and examples: --json[/]"
    )


def _print_comparison(one: Comparison) -> None:
    from rich.markup import escape

    from benchmark.cli.terminal import out, percent

    console = out()
    a, b = escape(one.model_a), escape(one.model_b)
    counted = "examples" if one.unit is None else f"{one.unit}s, each right only when all its images are"
    console.print(f"[bold]{escape(one.shift)}[/]  {one.n:,} {counted}")
    console.print(f"  {a}: {percent(one.accuracy_a)} %   {b}: {percent(one.accuracy_b)} %")
    gap = one.difference
    verdict = "within noise" if gap.low <= 0 <= gap.high else f"{a if gap.value > 0 else b} is better"
    console.print(
        f"  difference [bold]{100 * gap.value:+.2f}[/] points "
        f"\\[{100 * gap.low:+.2f}, {100 * gap.high:+.2f}]: {verdict}; McNemar p = {one.mcnemar.p_value:.2g}"
    )
    console.print(
        f"  both right {one.both_right:,}, only {a} {one.only_a:,}, only {b} {one.only_b:,}, "
        f"both wrong {one.both_wrong:,}; same answer on {100 * one.agreement.value:.1f} %"
    )
    same = "" if one.same_error is None else f", the same wrong class in {100 * one.same_error.value:.0f} %"
    console.print(
        f"  errors shared: {100 * one.error_overlap:.0f} % of all errors "
        f"({100 * one.expected_overlap:.0f} % if independent){same}"
    )
    for label, examples in (("corrected", one.corrected), ("broken", one.broken)):
        if examples:
            listed = ", ".join(examples[:SHOWN_EXAMPLES])
            more = f" and {len(examples) - SHOWN_EXAMPLES:,} more" if len(examples) > SHOWN_EXAMPLES else ""
            console.print(f"  [dim]{label} by {a}: {escape(listed)}{more}[/]", soft_wrap=True)
    for group in one.groups[:SHOWN_GROUPS]:
        gap = group.difference
        console.print(
            f"  [dim]{escape(group.label)} (n={group.n}): {100 * gap.value:+.1f} "
            f"\\[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}][/]"
        )
    if len(one.groups) > SHOWN_GROUPS:
        console.print(f"  [dim]… {len(one.groups) - SHOWN_GROUPS} more groups: --json[/]")


def agreement(
    shift: Annotated[list[str], typer.Option("--shift", "-s", help="Name or pattern; may be repeated.")],
    reference: Annotated[
        str | None, typer.Option("--reference", "-r", help="Default: the shift's own.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only these models.")] = None,
    results: Results = None,
    scale: Annotated[str, typer.Option(help="probit, logit or linear.")] = "probit",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Predict accuracy on a shift without its labels, from the agreement of several models."""
    from benchmark.agreement import agreement_line
    from benchmark.cli.fit import choice
    from benchmark.cli.terminal import print_json
    from benchmark.lookup import answers, measured, shifts_of
    from benchmark.store import open_store

    found = measured(open_store(results))
    documents = []
    for name in shifts_of(found, shift):
        own = next(result.reference for _, result in found if result.shift == name)
        first = reference or own
        if first is None:
            raise typer.BadParameter(f"{name} is a reference itself: give --reference")
        models, said = answers(found, first, name, models=model or ["*"])
        line = agreement_line(
            [result.model for result in models],
            reference_predictions=said[first][0],
            reference_labels=said[first][1],
            shift_predictions=said[name][0],
            reference=first,
            shift=name,
            scale=choice(scale, "scale"),
        )
        truth = [result.accuracy.value for result in models if result.accuracy is not None]
        if as_json:
            document = line.to_json()
            for row, value in zip(document["models"], truth, strict=True):
                row["accuracy"] = value
            documents.append({**document, "mean_error": line.mean_error(truth)})
        else:
            _print_agreement(line, truth)
    if as_json:
        print_json({"schema_version": 1, "agreement": documents})


def _print_agreement(found: AgreementLine, truth: list[float]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from benchmark.cli.terminal import out

    console = out()
    line = found.line
    console.print(
        f"[bold]{escape(line.reference)} → {escape(line.shift)}[/]  agreement of {len(found.models)} models: "
        f"slope {line.slope:.4f}, intercept {line.intercept:+.4f}, r² {line.r2:.4f} ({line.scale})"
    )
    if not found.applies:
        console.print(
            "[yellow]note[/] agreement is not on a line here (r² below 0.95): do not trust these predictions"
        )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    for name in ("reference", "ALine-S", "ALine-D", "accuracy"):
        table.add_column(f"{name} (%)", justify="right")
    columns = (found.reference_accuracy.tolist(), found.aline_s.tolist(), found.aline_d.tolist(), truth)
    for model, *values in zip(found.models, *columns, strict=True):
        table.add_row(escape(model), *(f"{100 * value:.1f}" for value in values))
    console.print(table)
    error = found.mean_error(truth)
    console.print(
        f"[dim]mean absolute error: ALine-S {100 * error['aline_s']:.2f}, "
        f"ALine-D {100 * error['aline_d']:.2f} points; the labels of the shift served for this check only[/]"
    )
