"""Writes the site: pages from templates, data as scripts that also load from a file, tables to download."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from benchmark.plots.interactive import PROBIT
from benchmark.plots.style import FAMILIES
from benchmark.scales import Scale
from benchmark.suites import SUITES
from leaderboard.report import TIERS
from leaderboard.site.charts import reliability_note, scatter_line, severity_curves
from leaderboard.site.rows import Cell, Lines, SiteRow, SiteSuite, site_suites
from leaderboard.site.samples import samples
from leaderboard.submission import slug
from shifts.errors import UserError
from shifts.spec import SOURCES, ShiftSpec

if TYPE_CHECKING:
    from jinja2 import Environment

    from leaderboard.board import Board

VENDOR = ("table-core-8.21.3.js", "chart-4.6.1.js")
LICENCES = ("table-core.LICENSE", "chart.LICENSE")
STATIC = ("style.css", "page.js", "scales.js", "board.js", "curves.js")
SCHEMA_VERSION = 1
BEST = 20
MARK = ".robustbench-shift-site"
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was written: pages, bytes in all, and the digest over every file."""

    pages: int
    size: int
    digest: str


def build(board: Board, output: Path, *, claimed: bool = True, progress: Progress | None = None) -> Built:
    """Write the site of a board into a folder.

    The same entries give the same bytes. What an earlier build left in the folder is removed.

    Args:
        claimed: whether published accuracies are shown beside the entries.
        progress: called with (pages written, pages in all).

    Raises:
        UserError: the folder holds something that is not a site of ours, or cannot be written.
    """
    _clear(output)
    suites = site_suites(board, claimed=claimed)
    if not suites:
        raise UserError(
            "the board is empty: there is nothing to show", hint="robustbench-shift leaderboard add"
        )
    pages = _Pages(output, board=board, suites=suites, progress=progress)
    pages.all()
    written = sorted(path for path in output.rglob("*") if path.is_file())
    whole = hashlib.sha256()
    for path in written:
        whole.update(path.relative_to(output).as_posix().encode() + b"\0")
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return Built(
        pages=sum(path.suffix == ".html" for path in written),
        size=sum(path.stat().st_size for path in written),
        digest=whole.hexdigest(),
    )


def _clear(output: Path) -> None:
    if output.exists() and not (output / MARK).is_file() and any(output.iterdir()):
        raise UserError(f"{output} holds other files", hint="choose an empty folder; nothing was removed")
    if output.exists():
        shutil.rmtree(output)
    try:
        output.mkdir(parents=True)
        (output / MARK).write_text("written by robustbench-shift leaderboard build\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {output}: {error.strerror}") from error


class _Pages:
    def __init__(
        self, output: Path, *, board: Board, suites: Sequence[SiteSuite], progress: Progress | None
    ) -> None:
        self.output, self.board, self.suites = output, board, suites
        self.lines, self.templates = Lines(), _environment()
        shifts = {spec.name: spec for suite in suites for spec in suite.shifts}
        self.shifts = dict(sorted(shifts.items()))
        self.total = 1 + len(suites) + len(self.shifts) + sum(len(suite.rows) for suite in suites)
        self.done, self.progress = 0, progress
        log = board.log()
        self.common = {
            "suites": [{"name": suite.name, "href": _suite_href(suite)} for suite in suites],
            "head": board.head,
            "updated": log[-1].time[:10] if log else "",
            "families": {name: label for name, (label, _, _) in FAMILIES.items()},
        }

    def all(self) -> None:
        """Every page, and what pages load."""
        for name in (*STATIC, *VENDOR, *LICENCES):
            folder = "static" if name in STATIC else "vendor"
            data = files("leaderboard.site").joinpath(folder, name).read_bytes()
            self._write(f"assets/{name}", data)
        self._write(f"assets/{PROBIT}", files("benchmark.plots").joinpath(PROBIT).read_bytes())
        self._page("index.html", "index.html", depth=0, cards=[_card(suite) for suite in self.suites])
        for suite in self.suites:
            self._suite(suite)
            for row in suite.rows:
                self._model(suite, row)
        for spec in self.shifts.values():
            self._shift(spec)

    def _suite(self, suite: SiteSuite) -> None:
        data = suite_data(suite, self.lines)
        self._write(f"data/{slug(suite.name)}.js", f"window.BOARD={_json(data)};\n".encode())
        self._write(f"data/{slug(suite.name)}.csv", _csv(suite).encode())
        self._write(f"data/{slug(suite.name)}.json", (_json(_document(suite)) + "\n").encode())
        self._page(
            _suite_href(suite),
            "suite.html",
            depth=1,
            suite=suite,
            slug=slug(suite.name),
            tiers=TIERS,
            rows=len(suite.rows),
            measured=len(suite.measured),
        )

    def _model(self, suite: SiteSuite, row: SiteRow) -> None:
        entry = row.entry
        report = self.board.report(row.id) if entry is not None else None
        order = [spec for spec in suite.shifts if spec.name in row.cells]
        self._page(
            f"model/{row.id}.html",
            "model.html",
            depth=1,
            suite=suite,
            row=row,
            order=order,
            card=entry.entry.model if entry is not None else None,
            report=report,
            curves=severity_curves(order, row.cells),
            calibration=reliability_note(row.cells),
            command=_command(suite, row),
        )

    def _shift(self, spec: ShiftSpec) -> None:
        having = [
            (suite, row, row.cells[spec.name])
            for suite in self.suites
            for row in suite.rows
            if spec.name in row.cells and row.status == "active"
        ]
        tables = {
            "measured": [one for one in having if one[1].entry is not None],
            "claimed": [one for one in having if one[1].entry is None],
        }
        best = {
            kind: sorted(rows, key=lambda one: (-one[2].accuracy.value, one[1].id))[:BEST]
            for kind, rows in tables.items()
        }
        fit = None if spec.reference is None else self.lines.of(spec.reference, spec.name)
        self._page(
            f"shift/{slug(spec.name)}.html",
            "shift.html",
            depth=1,
            spec=spec,
            source=SOURCES.get(spec.source),
            fit=fit,
            best=best,
            counts={kind: len(rows) for kind, rows in tables.items()},
            samples=samples(spec),
        )

    def _page(self, path: str, template: str, *, depth: int, **values: Any) -> None:
        text = self.templates.get_template(template).render(
            **self.common, root="../" * depth or "./", here=path, **values
        )
        self._write(path, text.encode())
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)

    def _write(self, path: str, data: bytes) -> None:
        target = self.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(data)
        except OSError as error:
            raise UserError(
                f"cannot write {target}: {error.strerror}", hint="make room, then build again"
            ) from error


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


def _suite_href(suite: SiteSuite) -> str:
    return f"suite/{slug(suite.name)}.html"


def _card(suite: SiteSuite) -> dict[str, Any]:
    best = [row for row in suite.measured if row.rank is not None][:3]
    return {
        "suite": suite,
        "href": _suite_href(suite),
        "best": best,
        "measured": len(suite.measured),
        "claimed": len(suite.rows) - len(suite.measured),
    }


def _command(suite: SiteSuite, row: SiteRow) -> str:
    """How to measure it again: one line that can be pasted."""
    import shlex

    name = row.name if row.entry is not None else (row.origin.library_key if row.origin else "")
    if not name:
        return ""
    kind = "--suite" if suite.name in SUITES.names() else "--shift"
    asked = f"{kind} {shlex.quote(suite.name)}"
    return f"robustbench-shift eval --model {shlex.quote(name)} {asked}"


def _csv(suite: SiteSuite) -> str:
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


def _document(suite: SiteSuite) -> dict[str, Any]:
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


def _json(value: Any) -> str:
    """JSON that can stand in a script: no text in it can end the script."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("leaderboard.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"percent": _percent, "points": _points, "slug": slug, "script": _json}
    made.globals["suite_href"] = _suite_href
    return made


def _percent(one: Any, *, bare: bool = False) -> str:
    """``95.1 [93.1, 96.6]`` in percent."""
    if one is None:
        return "–"
    value, low, high = (f"{100 * part:.1f}" for part in (one.value, one.low, one.high))
    return value if bare else f"{value} [{low}, {high}]"


def _points(one: Any) -> str:
    if one is None:
        return "–"
    value, low, high = (f"{100 * part:+.1f}" for part in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]"
