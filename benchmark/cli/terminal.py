"""What all commands print with: tables on stdout, progress and complaints on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from json.encoder import encode_basestring_ascii
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

    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Console:
    """Where everything goes that is no result."""
    from rich.console import Console

    width = None if sys.stderr.isatty() else PIPE_WIDTH
    return Console(stderr=True, highlight=False, emoji=False, width=width)


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


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on stdout and nothing else, as ``json.dumps`` lays it out with an indent of 1.

    Args:
        document: its values are taken in order; one that is an iterator becomes a list whose elements are
            written as they come, so that a long list need not be held.

    Raises:
        ValueError: a number is not finite.
    """
    write = sys.stdout.write
    before = "{\n "
    for name, value in document.items():
        write(f"{before}{json.dumps(name)}: ")
        before = ",\n "
        if not isinstance(value, Iterator):
            write(_laid_out(value, "\n "))
            continue
        between = "[\n  "
        for element in value:
            write(between + _laid_out(element, "\n  "))
            between = ",\n  "
        write("[]" if between[0] == "[" else "\n ]")
    write("\n}\n" if document else "{}\n")


def _laid_out(value: Any, line: str = "\n") -> str:
    """``json.dumps(value, indent=1)``, which is slower and leaves garbage that only a search for it finds.

    Args:
        line: a line break and the indent of what the value stands in.
    """
    if not value or not isinstance(value, (dict, list, tuple)):
        return json.dumps(value, allow_nan=False)
    inner = f"{line} "
    texts = []
    for part in value.values() if isinstance(value, dict) else value:
        kind = type(part)
        if kind is str:
            texts.append(encode_basestring_ascii(part))
        elif (kind is float or kind is int) and part - part == 0:  # finite
            texts.append(repr(part))
        else:
            texts.append(_laid_out(part, inner))
    if isinstance(value, dict):
        return _frame(line, *value) % tuple(texts)
    return f"[{inner}{f',{inner}'.join(texts)}{line}]"


@lru_cache(maxsize=256, typed=True)
def _frame(line: str, *names: object) -> str:
    """The text of an object with a %s for each value: thousands have the same names."""
    inner = f"{line} "
    quoted = (json.dumps({name: 0}).rpartition(":")[0][1:].replace("%", "%%") for name in names)
    return f"{{{inner}{f',{inner}'.join(f'{name}: %s' for name in quoted)}{line}}}"


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
