"""What all commands print with: tables on stdout, progress and complaints on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from benchmark.estimate import Estimate

_NARROWEST = 12
PIPE_WIDTH = 200  # a file or a pipe has no width of its own; a table must not be cut to 80 columns there


def out() -> Console:
    """Where results go."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Console:
    """Where everything goes that is no result."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned columns on stdout, for long lists of plain text; a cell too long for the terminal is cut.

    Rich's table measures and wraps every cell, which takes most of a second for a few hundred rows.
    """
    from rich.text import Text

    console = out()
    widths = [max(map(len, cells)) for cells in zip(header, *rows, strict=True)]
    spare = console.width - sum(widths) - 2 * (len(widths) - 1)
    while spare < 0:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            break
        widths[widest], spare = widths[widest] - 1, spare + 1
    console.print(Text(_line(header, widths), style="bold"), soft_wrap=True)
    console.file.write("".join(_line(row, widths) + "\n" for row in rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    cut = (
        cell if len(cell) <= width else cell[: width - 1] + "…"
        for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join(cell.ljust(width) for cell, width in zip(cut, widths, strict=True)).rstrip()


def complain(message: str, *, hint: str | None = None) -> None:
    """One message on stderr: what is wrong, and the way out."""
    from rich.markup import escape

    console = err()
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    if hint:
        console.print(f"  [cyan]→[/] {escape(hint)}", soft_wrap=True)


def remark(message: str, *, hint: str | None = None) -> None:
    """Something on stderr that a user wants to know of and that is no error."""
    from rich.markup import escape

    console = err()
    console.print(f"[yellow]note:[/] {escape(message)}", soft_wrap=True)
    if hint:
        console.print(f"  [cyan]→[/] {escape(hint)}", soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout and nothing else."""
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


@contextmanager
def progress(*, of_bytes: bool = False) -> Iterator[Progress]:
    """A progress display on stderr with time left; silent where stderr is no terminal."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if of_bytes else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeLeft(),
    )
    console = err()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        yield display


def percent(estimate: Estimate | None, *, digits: int = 1, sign: Literal["", "+"] = "") -> str:
    """``95.1 [93.1, 96.6]`` in percent; a dash where there is none."""
    if estimate is None:
        return "–"
    parts = (estimate.value, estimate.low, estimate.high)
    value, low, high = (format(100 * part, f"{sign}.{digits}f") for part in parts)
    return f"{value} [dim]\\[{low}, {high}][/]"
