"""The rows of a suite as files: what the browser loads, and tables to download."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from benchmark.plots.style import FAMILIES
from benchmark.scales import Scale
from leaderboard.report import TIERS
from leaderboard.site.charts import scatter_line
from leaderboard.site.rows import Cell, Lines, SiteSuite
from leaderboard.submission import slug

SCHEMA_VERSION = 1


def suite_data(suite: SiteSuite, lines: Lines) -> dict[str, Any]:
    """What the overview of a suite loads: small numbers in place of long ones, names once.

    Accuracies and effective robustness are in hundredths of a percent. A cell is ``[column, accuracy, low,
    high]``, with ``[value, low, high, flags]`` of the effective robustness after it where there is a line;
    low is null where n is not published.
    """
    families = list(FAMILIES)
    seen = sorted({name for row in suite.rows for name in row.training_data})
    sources = sorted({row.source for row in suite.rows})
    flags = sorted({flag for row in suite.rows for cell in row.cells.values() for flag in _flags(cell)})
    column = {spec.name: number for number, spec in enumerate(suite.shifts)}
    return {
        "suite": suite.name,
        "shifts": [
            {
                "name": spec.name,
                "title": spec.title,
                "kind": spec.kind,
                "reference": column.get(spec.reference or ""),
                "page": slug(spec.name),
            }
            for spec in suite.shifts
        ],
        "families": [
            {"name": name, "label": label, "colour": colour, "marker": marker}
            for name, (label, colour, marker) in FAMILIES.items()
        ],
        "tiers": list(TIERS),
        "training": seen,
        "sources": sources,
        "flags": flags,
        "rows": [
            [
                row.id,
                row.name,
                families.index(row.family if row.family in FAMILIES else "unclassified"),
                [seen.index(name) for name in row.training_data],
                sources.index(row.source),
                TIERS.index(row.tier),
                row.status,
                None
                if row.rank is None
                else [row.rank.rank, row.rank.low, row.rank.high, _bp(row.rank.score.value)],
                [_packed(column[name], cell, flags) for name, cell in row.cells.items()],
            ]
            for row in suite.rows
        ],
        "lines": {
            str(column[spec.name]): {scale: scatter_line(fit, scale) for scale in get_args(Scale)}
            for spec in suite.shifts
            if spec.reference in column and (fit := lines.of(spec.reference, spec.name)) is not None
        },
    }


def _packed(column: int, cell: Cell, flags: Sequence[str]) -> list[Any]:
    one = cell.accuracy
    packed: list[Any] = [
        column,
        _bp(one.value),
        *((None, None) if cell.bare else (_bp(one.low), _bp(one.high))),
    ]
    if cell.effective is not None:
        above = cell.effective
        marks = [flags.index(flag) for flag in _flags(cell)]
        packed.append([_bp(above.value), _bp(above.low), _bp(above.high), *marks])
    return packed


def _flags(cell: Cell) -> tuple[str, ...]:
    return () if cell.effective is None else cell.effective.flags


def _bp(value: float) -> int:
    return round(10_000 * value)


def as_csv(suite: SiteSuite) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ("id", "model", "family", "training_data", "tier", "status", "source", "shift", "accuracy", "low",
         "high", "n", "effective_robustness", "er_low", "er_high", "flags")
    )  # fmt: skip
    for row in suite.rows:
        for name, cell in row.cells.items():
            one, above = cell.accuracy, cell.effective
            bounds = ("", "", "") if cell.bare else (f"{one.low:.6f}", f"{one.high:.6f}", one.n)
            er = ("", "", "", "") if above is None else (
                f"{above.value:.6f}", f"{above.low:.6f}", f"{above.high:.6f}", " + ".join(above.flags)
            )  # fmt: skip
            writer.writerow(
                [_safe(text) for text in (row.id, row.name, row.family, ";".join(row.training_data), row.tier,
                                          row.status, row.source, name)]
                + [f"{one.value:.6f}", *bounds, *er]
            )  # fmt: skip
    return stream.getvalue()


def _safe(text: str) -> str:
    """A spreadsheet must not take a model's name for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_document(suite: SiteSuite) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": suite.name,
        "rows": [
            {
                "id": row.id,
                "model": row.name,
                "family": row.family,
                "training_data": list(row.training_data),
                "tier": row.tier,
                "status": row.status,
                "source": row.source,
                "rank": None if row.rank is None else row.rank.to_json(),
                "shifts": {name: _cell_json(cell) for name, cell in row.cells.items()},
            }
            for row in suite.rows
        ],
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    one = cell.accuracy
    accuracy: Mapping[str, Any] = one.to_json()
    if cell.bare:
        accuracy = {**accuracy, "low": None, "high": None, "n": None}
    above = cell.effective
    return {"accuracy": accuracy, "effective_robustness": None if above is None else above.to_json()}


def as_script(value: Any) -> str:
    """JSON that can stand in a script: no text in it can end the script."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
