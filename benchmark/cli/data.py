"""``robustbench-shift data``: bring data sets onto this machine and check them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from shifts.checking import Progress
    from shifts.local import Record
    from shifts.verifying import Ready, VerifyReport

app = typer.Typer(no_args_is_help=True)

_SOURCE = typer.Argument(help="A source, as in 'data list'.", metavar="SOURCE")
_DATA_DIR = typer.Option(
    "--data-dir", help="Where data sets lie (default: ROBUSTBENCH_SHIFT_CACHE/data).", metavar="DIR"
)
_JSON = typer.Option("--json", help="One JSON document on stdout.")
_REPLACE = typer.Option("--replace", help="Put this copy in the place of a recorded one that differs.")

DataDir = Annotated[Path | None, _DATA_DIR]
AsJson = Annotated[bool, _JSON]


@app.command("list")
def list_sources(
    pattern: Annotated[str | None, typer.Argument(help="Only sources that match, e.g. 'cifar10*'.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """What is on this machine: splits, size, place."""
    from benchmark.cli.terminal import out, print_json
    from shifts.own import look_in
    from shifts.verifying import ready

    look_in(data_dir)
    found = ready(pattern, data_dir=data_dir)
    if as_json:
        print_json({"schema_version": 1, "sources": [_ready_document(one) for one in found]})
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("source", "state", "images", "size", "where, or how to get it"):
        table.add_column(column, overflow="fold", justify="right" if column in ("images", "size") else "left")
    for one in found:
        table.add_row(one.source, _state(one), _images(one), _size(one.bytes), escape(_place(one)))
    out().print(table)


@app.command()
def fetch(
    source: Annotated[str, _SOURCE],
    replace: Annotated[bool, _REPLACE] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Download a source, check every image and record it; goes on where a broken run stopped."""
    from shifts.fetching import fetch as fetch_source

    with _shown() as progress:
        record = fetch_source(source, replace=replace, data_dir=data_dir, progress=progress)
    _report(record, data_dir=data_dir, as_json=as_json)


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
    _report(record, data_dir=data_dir, as_json=as_json)


@app.command()
def verify(
    source: Annotated[str, _SOURCE],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read every image again: counts, decodability, content. Exit code 2 when something is wrong."""
    from benchmark.cli.terminal import print_json
    from shifts.own import look_in
    from shifts.verifying import verify as verify_source

    look_in(data_dir)
    with _shown() as progress:
        report = verify_source(source, data_dir=data_dir, progress=progress)
    if as_json:
        print_json(_verify_document(report))
    else:
        _print_verified(report)
    if not report.ok:
        raise typer.Exit(2)


def _report(record: Record, *, data_dir: Path | None, as_json: bool) -> None:
    from benchmark.cli.terminal import out, print_json
    from shifts.local import root_of

    root = root_of(record, data_dir=data_dir)
    if as_json:
        print_json(
            {
                "schema_version": 1,
                "source": record.source,
                "root": str(root),
                "linked": record.linked,
                "partial": record.partial,
                "splits": {
                    name: {"n": split.n, "counts": list(split.counts), "content": split.content}
                    for name, split in record.splits.items()
                },
                "notes": list(record.notes),
            }
        )
        return
    from rich.markup import escape

    console = out()
    kind = "a partial copy" if record.partial else "complete"
    for name, split in record.splits.items():
        console.print(
            f"[bold]{record.source}[/]/{name}: {split.n} images, {kind}, digest {split.content[:8]}"
        )
    console.print(f"{'linked from' if record.linked else 'kept in'} {escape(str(root))}", soft_wrap=True)
    for note in record.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)


def _print_verified(report: VerifyReport) -> None:
    from rich.markup import escape

    from benchmark.cli.terminal import out

    console = out()
    for name, split in report.splits.items():
        state = "[red]faulty[/]" if split.faults else "[green]good[/]"
        digest = f", digest {split.content[:8]}" if split.content else ""
        partial = ", a partial copy" if report.partial else ""
        console.print(f"[bold]{report.source}[/]/{name}: {state}, {split.n} images{partial}{digest}")
        for fault in split.faults:
            console.print(f"  {escape(fault)}", soft_wrap=True)
    for note in report.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    if not report.ok:
        console.print(
            f"→ put the files right, then: robustbench-shift data verify {report.source}; or take in another "
            f"copy: robustbench-shift data add {report.source} PATH --replace",
            soft_wrap=True,
        )


def _verify_document(report: VerifyReport) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "source": report.source,
        "ok": report.ok,
        "root": None if report.root is None else str(report.root),
        "partial": report.partial,
        "splits": {
            name: {"n": split.n, "content": split.content, "faults": list(split.faults)}
            for name, split in report.splits.items()
        },
        "notes": list(report.notes),
    }


def _ready_document(one: Ready) -> dict[str, Any]:
    return {
        "source": one.source,
        "title": one.title,
        "ready": bool(one.splits),
        "bundled": one.bundled,
        "splits": dict(one.splits),
        "partial": one.partial,
        "linked": one.linked,
        "bytes": one.bytes,
        "root": None if one.root is None else str(one.root),
        "problem": one.problem,
        "how": one.how,
        "notes": list(one.notes),
    }


def _state(one: Ready) -> str:
    if one.problem:
        return "[red]broken[/]"
    if one.bundled:
        return "[green]bundled[/]"
    if not one.splits:
        return "[dim]not here[/]"
    return "[yellow]partial[/]" if one.partial else "[green]ready[/]"


def _images(one: Ready) -> str:
    return ", ".join(f"{split} {count}" for split, count in one.splits.items())


def _place(one: Ready) -> str:
    return one.problem or one.how or (str(one.root) if one.root else "in the package")


def _size(number: int) -> str:
    """Bytes for people.

    >>> _size(3_130_628)
    '3.1 MB'
    """
    if not number:
        return ""
    if number < 1000:
        return f"{number} B"
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1000:.1f} kB"


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
