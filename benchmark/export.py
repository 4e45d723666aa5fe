"""Tables as files: CSV with every number unrounded, Markdown and LaTeX to be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.reported import reported
from shifts.local import write_atomic

if TYPE_CHECKING:
    from benchmark.estimate import Estimate
    from benchmark.report import Row


def write_csv(path: Path, rows: Iterable[Row], *, metrics: Collection[str] | None = None) -> None:
    """One line per model and shift; each metric with its bounds; fractions.

    Args:
        rows: each is written when it is taken.
        metrics: the columns; default those of the rows, which are gone through once more for that.
    """
    if metrics is None:
        metrics = dict.fromkeys(name for row in rows for name in row.result.metrics)
    write_atomic(path, _lines(_csv(rows, metrics)))


def write_markdown(path: Path, rows: Iterable[Row]) -> None:
    """The table of the terminal: percent, one decimal."""
    write_atomic(path, _lines(_markdown(rows)))


def _markdown(rows: Iterable[Row]) -> Iterator[str]:
    yield (
        "| model | shift | kind | support | n | accuracy (95 %) | reference "
        "| effective robustness (95 %) | flags |"
    )
    yield "|---|---|---|---|---:|---:|---:|---:|---|"
    published = []
    for row in rows:
        result = row.result
        effective = "–"
        if row.effective is not None:
            one = row.effective
            effective = f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
        reference = "–" if row.reference_accuracy is None else f"{100 * row.reference_accuracy.value:.1f}"
        cells = [
            result.model,
            result.shift,
            result.kind,
            result.support,
            f"{result.n}",
            _text(result.accuracy) if result.status == "ok" else "failed",
            reference,
            effective,
            ", ".join(row.flags),
        ]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if said := _reported(row):
            published.append(f"- {result.model} on {result.shift}: {said}")
    if published:
        yield from ("", "As published:", "", *published)


def write_latex(path: Path, rows: Iterable[Row]) -> None:
    """A booktabs table, one block per model; percent, points, one decimal; weak lines are marked."""
    write_atomic(path, _lines(_latex_table(rows)))


def _latex_table(rows: Iterable[Row]) -> Iterator[str]:
    yield from (
        "% \\usepackage{booktabs}",
        "\\begin{tabular}{lrrrr}",
        "\\toprule",
        "shift & $n$ & accuracy (\\%) & reference (\\%) & effective robustness (points) \\\\",
    )
    last = None
    for row in rows:
        result = row.result
        if (result.model, result.model_digest) != last:
            last = (result.model, result.model_digest)
            yield from ("\\midrule", f"\\multicolumn{{5}}{{l}}{{\\textbf{{{_latex(result.model)}}}}} \\\\")
        reference = "--" if row.reference_accuracy is None else f"{100 * row.reference_accuracy.value:.1f}"
        effective = "--"
        if row.effective is not None:
            one = row.effective
            mark = "$^{w}$" if "weak fit" in row.flags else ""
            mark += "$^{n}$" if "within noise" in row.flags else ""
            effective = f"${100 * one.value:+.1f}$ [${100 * one.low:+.1f}$, ${100 * one.high:+.1f}$]{mark}"
        accuracy = _text(result.accuracy) if result.status == "ok" else "failed"
        yield f"{_latex(result.shift)} & {result.n} & {_latex(accuracy)} & {reference} & {effective} \\\\"
    yield from (
        "\\bottomrule",
        "\\end{tabular}",
        "% 95 % intervals in brackets; w: weak fit of the baseline line (r2 < 0.7); n: within noise",
    )


_PLAIN = (
    "model", "model_digest", "shift", "shift_digest", "reference", "kind", "support", "status", "n",
)  # fmt: skip
_LATEX = str.maketrans(
    {letter: f"\\{letter}" for letter in "&%$#_{}"} | {"–": "--", "\\": "\\textbackslash{}"}
)


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _reported(row: Row) -> str:
    return "; ".join(f"{name} {_text(estimate)}" for name, estimate in reported(row.result).items())


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _lines(lines: Iterable[str]) -> Iterator[str]:
    return (f"{line}\n" for line in lines)


def _csv(rows: Iterable[Row], metrics: Collection[str]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="")
    estimates = (*metrics, "reference_accuracy", "effective_robustness")
    bounds = [f"{name}{bound}" for name in estimates for bound in ("", "_low", "_high")]
    writer.writerow([*_PLAIN, *bounds, "flags", "warnings"])
    yield line.getvalue()
    for row in rows:
        line.seek(0)
        line.truncate()
        result = row.result
        plain = ["" if (value := getattr(result, name)) is None else value for name in _PLAIN]
        known = [result.metrics.get(name) for name in metrics]
        known += [row.reference_accuracy, row.effective.estimate if row.effective else None]
        numbers = (part for one in known for part in _bounds(one))
        writer.writerow([*plain, *numbers, ";".join(row.flags), ";".join(result.warnings)])
        yield line.getvalue()


def _bounds(estimate: Estimate | None) -> tuple[float | str, float | str, float | str]:
    return ("", "", "") if estimate is None else (estimate.value, estimate.low, estimate.high)
