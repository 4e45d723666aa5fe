"""The table of results in the terminal: in the widest of four forms that fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal, get_args

from benchmark.cli.terminal import out, percent
from benchmark.reported import reported

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.report import Row
    from benchmark.result import Result

Form = Literal["wide", "medium", "narrow", "tight"]

_KINDS = ("reference", "natural", "synthetic", "spurious", "corruption")
_SHORT = {  # flag → its word, and its letter where the terminal is small
    "within noise": ("±noise", "~"),
    "weak fit": ("weak", "w"),
    "extrapolated": ("extrap.", "x"),
    "negative slope": ("slope", "s"),
    "trained elsewhere": ("elsewhere", "e"),
}
_MEANING = {
    "within noise": "an interval with zero, or within the scatter of the line",
    "weak fit": "r² of the line below 0.7",
    "extrapolated": "reference accuracy outside the line's",
    "negative slope": "the line falls",
    "trained elsewhere": "not trained on the line's reference",
}


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
    console.print("[dim]accuracy in %, effective robustness (ER) in points, each with its 95 % interval[/]")
    seen = {flag for row in rows for flag in row.flags}
    legend = [f"{' or '.join(_SHORT[flag])}: {meaning}" for flag, meaning in _MEANING.items() if flag in seen]
    if legend:
        console.print(f"[dim]{'; '.join(legend)}[/]")


def _print_model(rows: Sequence[Row]) -> None:
    from rich.markup import escape

    console = out()
    unbounded = console.options.update(width=1000)  # a measure is cut to the console's width otherwise
    ordered = sorted(rows, key=lambda row: _KINDS.index(row.result.kind))
    for form in get_args(Form):
        table = _table(ordered, form)
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    console.print(table)
    for row in rows:
        if row.result.status == "error":
            message = escape(str((row.result.error or {}).get("message", "failed")))
            console.print(f"[red]failed[/] {escape(row.result.shift)}: {message}")
    _print_reported(ordered)
    for warning in dict.fromkeys(warning for row in rows for warning in row.result.warnings):
        console.print(f"[yellow]note[/] {escape(warning)}")
    for reason in dict.fromkeys(row.reason for row in rows if row.reason):
        shifts = [row.result.shift for row in rows if row.reason == reason]
        names = ", ".join(collapsed(shifts))
        console.print(f"[yellow]note[/] no effective robustness on {escape(names)}: {escape(reason)}")


def _print_reported(rows: Sequence[Row]) -> None:
    """What a data set is published in, where that is not the accuracy over its examples."""
    from rich.markup import escape

    for row in rows:
        metrics = [f"{escape(name)} {percent(one)}" for name, one in reported(row.result).items()]
        if metrics:
            text = f"[dim]as published:[/] {escape(row.result.shift)}  {'; '.join(metrics)}"
            out().print(text, soft_wrap=True)


def _table(rows: Sequence[Row], form: Form) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        box=None,
        header_style="bold",
        pad_edge=False,
        padding=(0, 1 if form in ("narrow", "tight") else 2, 0, 0),
    )
    names = ["shift", "support", "n", "accuracy", "reference", "effective robustness", "flags", "worst group"]
    if form != "wide":
        names[1], names[4], names[5] = "sup.", "ref.", "ER"
    if form == "tight":
        names[6], names[7] = "flag", "worst"
    for name in names:
        right = name not in ("shift", "support", "sup.", "flags", "flag", "worst group")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for kind, members in groupby(rows, key=lambda row: row.result.kind):
        table.add_row(f"[dim italic]{kind}[/]")
        for row in members:
            result = row.result
            name = f" {escape(result.shift)}"
            if result.status == "error":
                table.add_row(name, result.support, "–", "[red]failed[/]")
                continue
            reference = row.reference_accuracy
            table.add_row(
                name,
                result.support,
                f"{result.n:,}",
                percent(result.accuracy, digits=_digits(form)),
                "–" if reference is None else f"{100 * reference.value:.{_digits(form)}f}",
                percent(row.effective.estimate if row.effective else None, digits=_digits(form), sign="+"),
                _flags(row, form),
                _worst_group(result, form),
            )
    return table


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


def _digits(form: Form) -> int:
    return 0 if form in ("narrow", "tight") else 1


def _flags(row: Row, form: Form) -> str:
    pairs = [_SHORT.get(flag, (flag, flag)) for flag in row.flags]
    return "".join(letter for _, letter in pairs) if form == "tight" else " ".join(word for word, _ in pairs)


def _worst_group(result: Result, form: Form) -> str:
    from rich.markup import escape

    estimate = result.metrics.get("worst_group_accuracy")
    if form == "wide" and result.worst_group is not None:
        return f"{percent(estimate)} {escape(result.worst_group.replace('(n=', '('))}"
    if form == "tight":
        return "–" if estimate is None else f"{100 * estimate.value:.0f}"
    return percent(estimate, digits=1 if form == "wide" else 0)
