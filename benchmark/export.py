"""Tables as files: CSV with every number unrounded, Markdown and LaTeX to be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.reported import reported
from shifts.local import write_atomic

if TYPE_CHECKING:
    from benchmark.estimate import Estimate
    from benchmark.report import Row


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line per model and shift; each metric with its bounds; fractions."""
    names = list(dict.fromkeys(name for row in rows for name in row.result.metrics))
    flat = [_flat(row, names) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_atomic(path, text.getvalue())


def write_markdown(path: Path, rows: Sequence[Row]) -> None:
    """The table of the terminal: percent, one decimal."""
    lines = [
        "| model | shift | kind | support | n | accuracy (95 %) | reference "
        "| effective robustness (95 %) | flags |",
        "|---|---|---|---|---:|---:|---:|---:|---|",
    ]
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
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    published = [
        f"- {row.result.model} on {row.result.shift}: {said}" for row in rows if (said := _reported(row))
    ]
    if published:
        lines += ["", "As published:", "", *published]
    write_atomic(path, "\n".join(lines) + "\n")


def write_latex(path: Path, rows: Sequence[Row]) -> None:
    """A booktabs table, one block per model; percent, points, one decimal; weak lines are marked."""
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{tabular}{lrrrr}",
        "\\toprule",
        "shift & $n$ & accuracy (\\%) & reference (\\%) & effective robustness (points) \\\\",
    ]
    last = None
    for row in rows:
        result = row.result
        if (result.model, result.model_digest) != last:
            last = (result.model, result.model_digest)
            lines += ["\\midrule", f"\\multicolumn{{5}}{{l}}{{\\textbf{{{_latex(result.model)}}}}} \\\\"]
        reference = "--" if row.reference_accuracy is None else f"{100 * row.reference_accuracy.value:.1f}"
        effective = "--"
        if row.effective is not None:
            one = row.effective
            mark = "$^{w}$" if "weak fit" in row.flags else ""
            mark += "$^{n}$" if "within noise" in row.flags else ""
            effective = f"${100 * one.value:+.1f}$ [${100 * one.low:+.1f}$, ${100 * one.high:+.1f}$]{mark}"
        accuracy = _text(result.accuracy) if result.status == "ok" else "failed"
        lines.append(
            f"{_latex(result.shift)} & {result.n} & {_latex(accuracy)} & {reference} & {effective} \\\\"
        )
    lines += [
        "\\bottomrule",
        "\\end{tabular}",
        "% 95 % intervals in brackets; w: weak fit of the baseline line (r2 < 0.7); n: within noise",
    ]
    write_atomic(path, "\n".join(lines) + "\n")


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


def _flat(row: Row, names: Sequence[str]) -> dict[str, Any]:
    result = row.result
    line: dict[str, Any] = {
        "model": result.model,
        "model_digest": result.model_digest,
        "shift": result.shift,
        "shift_digest": result.shift_digest,
        "reference": result.reference or "",
        "kind": result.kind,
        "support": result.support,
        "status": result.status,
        "n": result.n,
    }
    for name in names:
        line |= _bounds(name, result.metrics.get(name))
    line |= _bounds("reference_accuracy", row.reference_accuracy)
    line |= _bounds("effective_robustness", row.effective.estimate if row.effective else None)
    line["flags"] = ";".join(row.flags)
    line["warnings"] = ";".join(result.warnings)
    return line


def _bounds(name: str, estimate: Estimate | None) -> dict[str, Any]:
    values = ("", "", "") if estimate is None else (estimate.value, estimate.low, estimate.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
