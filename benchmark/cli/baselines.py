"""``baselines``: the shipped baselines, and what a line through them gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from benchmark.baselines import Baseline


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("baselines")(baselines)


def baselines(
    name: Annotated[
        str | None, typer.Argument(help="A baseline: NAME, NAME@VERSION, or results:DIR for your own.")
    ] = None,
    shift: Annotated[
        str | None, typer.Option("--shift", "-s", help="Only lines to shifts like this pattern.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List the baselines; of one, its source, its default members and its lines."""
    from benchmark.baselines import baseline_names, load_baseline
    from benchmark.cli.terminal import print_json

    if name is None:
        found = [_summary(load_baseline(identifier)) for identifier in baseline_names()]
        if as_json:
            print_json({"schema_version": 1, "baselines": found})
        else:
            _print_list(found)
        return
    baseline = load_baseline(name)
    document = {**_summary(baseline), "lines": _lines(baseline, shift)}
    if as_json:
        print_json({"schema_version": 1, **document})
    else:
        _print_one(document)


def _summary(baseline: Baseline) -> dict[str, Any]:
    rule = baseline.default_members
    shifts = {row.shift for row in baseline.rows}
    pairs = [pair for pair in baseline.pairs() if pair[1] not in baseline.references]
    first = next((pair for pair in pairs if pair[1] == "imagenet-v2"), pairs[0] if pairs else None)
    return {
        "name": baseline.identifier,
        "title": baseline.title,
        "models": len(baseline.models),
        "shifts": len(shifts),
        "numbers": len(baseline.rows),
        "references": list(baseline.references),
        "source": baseline.source,
        "revision": baseline.revision,
        "licence": baseline.licence,
        "citation": baseline.citation,
        "default_members": {
            "families": list(rule.families),
            "min_reference_accuracy": rule.min_reference_accuracy,
            "exclude_substrings": list(rule.exclude_substrings),
        },
        "example": None if first is None else _line(baseline, *first),
        "regenerate": baseline.regenerate,
    }


def _lines(baseline: Baseline, pattern: str | None) -> list[dict[str, Any]]:
    from shifts.registry import matches

    return [
        _line(baseline, reference, shift)
        for reference, shift in baseline.pairs()
        if (shift not in baseline.references if pattern is None else matches(shift, pattern))
    ]


def _line(baseline: Baseline, reference: str, shift: str) -> dict[str, Any]:
    from shifts.errors import FitError

    try:
        fit = baseline.fit(reference, shift)
    except FitError as error:
        return {"reference": reference, "shift": shift, "error": error.message}
    return {
        "reference": reference,
        "shift": shift,
        "n_models": fit.n_models,
        "scale": fit.scale,
        "slope": fit.slope,
        "intercept": fit.intercept,
        "r2": fit.r2,
        "residual_sd_accuracy": fit.residual_sd_accuracy,
        "flags": list(fit.flags),
    }


def _print_list(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from benchmark.cli.terminal import out

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "models", "shifts", "licence", "an example: line", "slope", "r²", "through"):
        right = column in ("models", "shifts", "slope", "r²")
        table.add_column(column, justify="right" if right else "left", no_wrap=column == "name")
    for one in found:
        line = one["example"] or {}
        fitted = "slope" in line
        table.add_row(
            one["name"],
            f"{one['models']:,}",
            str(one["shifts"]),
            one["licence"],
            f"{line['reference']} → {line['shift']}" if line else "–",
            f"{line['slope']:.3f}" if fitted else "–",
            f"{line['r2']:.3f}" if fitted else "–",
            f"{line['n_models']} models" if fitted else "–",
        )
    console = out()
    console.print(table)
    console.print("[dim]robustbench-shift baselines NAME tells source, revision, members and all lines[/]")


def _print_one(document: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from benchmark.cli.terminal import out

    console = out()
    console.print(f"[bold]{document['name']}[/] {escape(document['title'])}")
    facts = Table(box=None, show_header=False, pad_edge=False)
    rule = document["default_members"]
    members = [f"families {', '.join(rule['families']) or 'all'}"]
    if rule["min_reference_accuracy"] is not None:
        members.append(f"reference accuracy ≥ {100 * rule['min_reference_accuracy']:g} %")
    if rule["exclude_substrings"]:
        members.append(f"names without {', '.join(rule['exclude_substrings'])}")
    for label, value in (
        ("models", f"{document['models']:,}, {document['numbers']:,} accuracies"),
        ("source", document["source"]),
        ("revision", document["revision"]),
        ("licence", document["licence"]),
        ("citation", document["citation"]),
        ("default members", "; ".join(members)),
        ("made by", document["regenerate"]),
    ):
        facts.add_row(f"  [dim]{label}[/]", escape(value or "–"))
    console.print(facts)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in (
        "reference",
        "shift",
        "models",
        "slope",
        "intercept",
        "r²",
        "residual sd",
        "flags",
    ):
        table.add_column(column, justify="left" if column in ("reference", "shift", "flags") else "right")
    for line in document["lines"]:
        if "error" in line:
            table.add_row(line["reference"], line["shift"], "–", "", "", "", "", escape(line["error"]))
            continue
        table.add_row(
            line["reference"],
            line["shift"],
            str(line["n_models"]),
            f"{line['slope']:.4f}",
            f"{line['intercept']:+.4f}",
            f"{line['r2']:.4f}",
            f"{100 * line['residual_sd_accuracy']:.2f}",
            ", ".join(line["flags"]),
        )
    console.print(table)
    console.print(
        "[dim]least squares on the probit scale through the default members; residual sd in points[/]"
    )
