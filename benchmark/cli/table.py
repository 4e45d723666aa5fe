"""The table of results in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmark.cli.terminal import out, percent

if TYPE_CHECKING:
    from benchmark.report import Row
    from benchmark.result import Result


def print_rows(rows: Sequence[Row]) -> None:
    """One table per model: accuracies in percent, effective robustness in percentage points."""
    from rich.markup import escape

    console = out()
    by_model: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_model.setdefault((row.result.model, row.result.model_digest), []).append(row)
    for (model, digest), of_model in by_model.items():
        console.print(f"[bold]{escape(model)}[/] [dim]@{digest[:8]}[/]")
        _print_model(of_model)
    console.print(
        "[dim]accuracy in % and effective robustness in points, each with its 95 % interval; "
        "±noise: within noise, weak: r² of the line below 0.7, extrap.: reference outside the line[/]"
    )


def _print_model(rows: Sequence[Row]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("shift", "kind", "support"):
        table.add_column(name, no_wrap=name == "shift")
    for name in ("n", "accuracy", "reference", "effective robustness"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("flags")
    table.add_column("worst group", no_wrap=True)
    for row in rows:
        result = row.result
        if result.status == "error":
            message = escape(str((result.error or {}).get("message", "failed")))
            table.add_row(
                escape(result.shift), result.kind, result.support, "–", f"[red]failed[/]: {message}"
            )
            continue
        table.add_row(
            escape(result.shift),
            result.kind,
            result.support,
            f"{result.n:,}",
            percent(result.accuracy),
            "–" if row.reference_accuracy is None else f"{100 * row.reference_accuracy.value:.1f}",
            _effective(row),
            ", ".join(_SHORT.get(flag, flag) for flag in row.flags),
            _worst_group(result),
        )
    out().print(table)
    for warning in dict.fromkeys(warning for row in rows for warning in row.result.warnings):
        out().print(f"[yellow]note[/] {escape(warning)}")
    for reason in dict.fromkeys(row.reason for row in rows if row.reason):
        shifts = [row.result.shift for row in rows if row.reason == reason]
        names = ", ".join(collapsed(shifts))
        out().print(f"[yellow]note[/] no effective robustness on {escape(names)}: {escape(reason)}")


def collapsed(names: Iterable[str]) -> list[str]:
    """Names with the severities of one corruption written as a star, in their first order.

    >>> collapsed(["digits/pad", "digits/contrast/1", "digits/contrast/2", "digits/blur/3"])
    ['digits/pad', 'digits/contrast/*', 'digits/blur/3']
    """
    found: dict[str, list[str]] = {}
    for name in names:
        parent, _, last = name.rpartition("/")
        found.setdefault(f"{parent}/*" if last.isdecimal() else name, []).append(name)
    return [star if len(members) > 1 else members[0] for star, members in found.items()]


def _worst_group(result: Result) -> str:
    from rich.markup import escape

    interval = percent(result.metrics.get("worst_group_accuracy"))
    if result.worst_group is None:
        return interval
    return f"{interval} {escape(result.worst_group.replace('(n=', '('))}"


_SHORT = {
    "within noise": "±noise",
    "weak fit": "weak",
    "extrapolated": "extrap.",
    "trained elsewhere": "elsewhere",
}


def _effective(row: Row) -> str:
    if row.effective is None:
        return "–"
    one = row.effective
    return f"{100 * one.value:+.1f} [dim]\\[{100 * one.low:+.1f}, {100 * one.high:+.1f}][/]"
