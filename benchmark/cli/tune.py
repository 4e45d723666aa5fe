"""``tune``: fit a last layer to features of a model that ran elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.estimate import Estimate
    from benchmark.feature_tuning import Tuned

HELP_FILE = ".npy, .npz, .safetensors or .parquet"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune")(tune)


def tune(
    features: Annotated[Path, typer.Option("--features", "-f", help=f"To fit to, with labels: {HELP_FILE}.")],
    labels: Annotated[
        Path | None, typer.Option(help="Labels of --features as .npy, where the file has none.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="lp, lbfgs, mlp, nmtune or nmtune-code; several."),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option("--test", "-t", help="Features to answer on, in or out of distribution."),
    ] = None,
    test_labels: Annotated[
        list[Path] | None, typer.Option(help="Labels of each --test as .npy, in the same order.")
    ] = None,
    share: Annotated[
        list[float] | None, typer.Option(help="Of each class to fit to, 0.1 for a tenth; several.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the method: epochs=10, covariance=0.1.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the share, the first weights and the order.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the layers, the answers and a report.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Fit a last layer to features: a linear probe, an MLP, or NMTune against noise in pre-training.

    The model stays a black box. Files hold one feature vector a row; nothing in them is run.
    """
    from benchmark.cli.terminal import err, print_json
    from benchmark.feature_tuning import read_labelled, tuned
    from shifts.errors import UserError
    from shifts.local import write_atomic

    tests, known = test or [], list[Path | None](test_labels or [])
    if known and len(known) != len(tests):
        raise UserError(
            f"{len(known)} --test-labels for {len(tests)} --test", hint="one for each, in the same order"
        )
    given = read_labelled(features, labels)
    pairs = zip(tests, known or [None] * len(tests), strict=True)
    others = [read_labelled(path, beside) for path, beside in pairs]
    found = []
    with err().status("fitting"):
        for one in tuned(
            given,
            others,
            methods=method or ["nmtune"],
            shares=share or [1.0],
            seed=seed,
            changes=dict(_parameter(said) for said in changes or []),
        ):
            found.append(one)
            if output is not None:
                one.write(output)
    document = {"schema_version": 1, "features": str(features), "results": [one.to_json() for one in found]}
    if output is not None:
        write_atomic(output / "tune.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    if as_json:
        print_json(document)
    else:
        _print(found, output)


def _parameter(said: str) -> tuple[str, Any]:
    from shifts.errors import UserError

    name, equals, value = said.partition("=")
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise UserError(
            f"{said!r} is no parameter" if not equals else f"{name} cannot be {value!r}",
            hint="--set NAME=NUMBER, true, false or null",
        ) from error


def _print(found: Sequence[Tuned], output: Path | None) -> None:
    from rich.table import Table

    from benchmark.cli.terminal import out, percent

    console = out()
    table = Table(box=None, pad_edge=False)
    for number, head in enumerate(("method", "fitted to", "test", "n", "accuracy (%)", "SVE", "LSVR")):
        table.add_column(head, justify="left" if number in (0, 2) else "right")
    for one in found:
        size = f"{one.n:,} ({100 * one.share:g} %)"
        for test in one.tests:
            shape = test.spectrum
            statistics = ("–", "–") if shape is None else (_plain(shape.sve), _plain(shape.lsvr))
            right, n = percent(test.accuracy), f"{len(test.applied.logits):,}"
            table.add_row(one.method, size, test.file.path.name, n, right, *statistics)
        if not one.tests:
            table.add_row(one.method, size, "–")
    console.print(table)
    if any(one.tests for one in found):
        console.print("[dim]SVE and LSVR: of the tuned features, each of length 1, centred[/]")
    if output is not None:
        console.print(f"[dim]{output}: layers, answers and tune.json[/]", soft_wrap=True)


def _plain(one: Estimate) -> str:
    return f"{one.value:.3f} [dim]\\[{one.low:.3f}, {one.high:.3f}][/]"
