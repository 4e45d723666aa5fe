"""What the ``data`` commands print of a copy: taken in, verified, listed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shifts.local import Record
    from shifts.verifying import Ready, VerifyReport


def print_ready(found: Sequence[Ready]) -> None:
    """One line for each source: state, images, size, place."""
    from rich.markup import escape
    from rich.table import Table

    from benchmark.cli.terminal import out

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("source", "state", "images", "size", "where, or how to get it"):
        table.add_column(column, overflow="fold", justify="right" if column in ("images", "size") else "left")
    for one in found:
        table.add_row(one.source, _state(one), _images(one), _size(one.bytes), escape(_place(one)))
    out().print(table)


def print_record(record: Record, *, data_dir: Path | None, as_json: bool) -> None:
    """What was taken in, and where it lies."""
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


def print_verified(report: VerifyReport) -> None:
    """Every split with its faults, each of which names its file."""
    from rich.markup import escape

    from benchmark.cli.terminal import out

    console = out()
    for name, split in report.splits.items():
        state = "[red]faulty[/]" if split.faults else "[green]good[/]"
        digest = f", digest {split.content[:8]}" if split.content else ""
        labels = f", labels {split.labels[:8]}" if split.labels else ""
        partial = ", a partial copy" if report.partial else ""
        each = _per_class(split.counts)
        console.print(
            f"[bold]{report.source}[/]/{name}: {state}, {split.n} images{each}{partial}{labels}{digest}"
        )
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


def _per_class(counts: Sequence[int]) -> str:
    """How many images the classes have.

    >>> _per_class([3, 3]), _per_class([3, 0, 7]), _per_class([])
    (' (3 of each class)', ' (0 to 7 of each class)', '')
    """
    if not counts:
        return ""
    least, most = min(counts), max(counts)
    return f" ({most} of each class)" if least == most else f" ({least} to {most} of each class)"


def verify_document(report: VerifyReport) -> dict[str, Any]:
    """A verification as plain JSON values."""
    return {
        "schema_version": 1,
        "source": report.source,
        "ok": report.ok,
        "root": None if report.root is None else str(report.root),
        "partial": report.partial,
        "splits": {
            name: {
                "n": split.n,
                "counts": list(split.counts),
                "labels": split.labels,
                "content": split.content,
                "faults": list(split.faults),
            }
            for name, split in report.splits.items()
        },
        "notes": list(report.notes),
    }


def ready_document(one: Ready) -> dict[str, Any]:
    """A source as plain JSON values."""
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
