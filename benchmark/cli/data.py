"""``robustbench-shift data``: bring data sets onto this machine and check them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from shifts.checking import Progress

app = typer.Typer(no_args_is_help=True)

_SOURCE = typer.Argument(help="A source, as in 'data list'.", metavar="SOURCE")
_DATA_DIR = typer.Option(
    "--data-dir", help="Where data sets lie (default: ROBUSTBENCH_SHIFT_CACHE/data).", metavar="DIR"
)
_JSON = typer.Option("--json", help="One JSON document on stdout.")
_REPLACE = typer.Option("--replace", help="Put this copy in the place of a recorded one that differs.")

DataDir = Annotated[Path | None, _DATA_DIR]
AsJson = Annotated[bool, _JSON]


def register(program: typer.Typer) -> None:
    """Add the commands."""
    program.add_typer(app, name="data", help="Bring data sets onto this machine and check them.")


@app.command("list")
def list_sources(
    pattern: Annotated[str | None, typer.Argument(help="Only sources that match, e.g. 'cifar10*'.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """What is on this machine: splits, size, place."""
    from benchmark.cli.data_report import print_ready, ready_document
    from benchmark.cli.terminal import print_json
    from shifts.own import look_in
    from shifts.verifying import ready

    look_in(data_dir)
    found = ready(pattern, data_dir=data_dir)
    if as_json:
        print_json({"schema_version": 1, "sources": [ready_document(one) for one in found]})
        return
    print_ready(found)


@app.command()
def fetch(
    source: Annotated[str, _SOURCE],
    replace: Annotated[bool, _REPLACE] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Download a source, check every image and record it; goes on where a broken run stopped."""
    from benchmark.cli.data_report import print_record
    from shifts.fetching import fetch as fetch_source

    with _shown() as progress:
        record = fetch_source(source, replace=replace, data_dir=data_dir, progress=progress)
    print_record(record, data_dir=data_dir, as_json=as_json)


@app.command()
def add(
    source: Annotated[str | None, _SOURCE] = None,
    path: Annotated[
        Path | None, typer.Argument(help="A file, folder or archive in one of its layouts.", metavar="PATH")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Own data instead of a source: a name for its shift.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Own data: the folder of images.", metavar="DIR")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Own data: a table with columns path and label.", metavar="CSV"),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--groups", help="Own data: columns that make groups, by comma.", metavar="COLUMNS"),
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Own data: the reference with the same classes.")
    ] = None,
    label_space: Annotated[
        str | None, typer.Option("--label-space", help="Own data: the classes, as in 'list shifts'.")
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="Own data: natural, corruption, synthetic or spurious.")
    ] = "natural",
    partial: Annotated[
        bool, typer.Option("--partial", help="Take fewer images than published; every result says so.")
    ] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files instead of linking to them.")] = False,
    replace: Annotated[bool, _REPLACE] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take in a local copy: find its layout, check every image, record it.

    Own data becomes a shift: data add --name my-shift --images DIR --labels CSV --reference cifar10
    """
    from benchmark.cli.data_report import print_record
    from shifts.catalogue import add as add_source
    from shifts.own import KINDS, add_own, look_in

    look_in(data_dir)
    if source is not None and path is not None and not (name or images or labels):
        with _shown() as progress:
            record = add_source(
                source,
                path,
                partial=partial,
                copy=copy,
                replace=replace,
                data_dir=data_dir,
                progress=progress,
            )
    elif source is None and name is not None and images is not None and labels is not None and not partial:
        if kind not in KINDS:
            raise typer.BadParameter(f"--kind must be one of {', '.join(KINDS)}, not {kind!r}")
        with _shown() as progress:
            record = add_own(
                name,
                images,
                labels,
                groups=[column.strip() for value in groups or () for column in value.split(",")],
                reference=reference,
                label_space=label_space,
                kind=cast("Any", kind),
                copy=copy,
                replace=replace,
                data_dir=data_dir,
                progress=progress,
            )
    else:
        raise typer.BadParameter(
            "give SOURCE and PATH; or, for own data, --name, --images and --labels (and no --partial)"
        )
    print_record(record, data_dir=data_dir, as_json=as_json)


@app.command()
def verify(
    source: Annotated[str, _SOURCE],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read every image again: counts, decodability, content. Exit code 2 when something is wrong."""
    from benchmark.cli.data_report import print_verified, verify_document
    from benchmark.cli.terminal import print_json
    from shifts.own import look_in
    from shifts.verifying import verify as verify_source

    look_in(data_dir)
    with _shown() as progress:
        report = verify_source(source, data_dir=data_dir, progress=progress)
    if as_json:
        print_json(verify_document(report))
    else:
        print_verified(report)
    if not report.ok:
        raise typer.Exit(2)


@contextmanager
def _shown() -> Iterator[Progress]:
    """A progress callback whose steps appear on stderr, one line each."""
    from rich.markup import escape

    from benchmark.cli.terminal import progress

    with progress() as display:
        tasks: dict[str, Any] = {}

        def step(what: str, done: int, total: int) -> None:
            unit = 10**6 if what.startswith(("fetching", "unpacking")) else 1
            if what not in tasks:
                tasks[what] = display.add_task(escape(what) + (" (MB)" if unit > 1 else ""), total=None)
            display.update(tasks[what], completed=done / unit, total=total / unit if total else None)

        yield step
