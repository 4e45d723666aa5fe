"""Writes the site: pages from templates, data as scripts that also load from a file, tables to download."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.plots.interactive import PROBIT
from benchmark.plots.style import FAMILIES
from benchmark.suites import SUITES
from leaderboard.report import TIERS
from leaderboard.site.charts import reliability_note, severity_curves
from leaderboard.site.packing import as_csv, as_document, as_script, suite_data
from leaderboard.site.rows import Lines, SiteRow, SiteSuite, site_suites
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
        self.registered = frozenset(SUITES.names())
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
        self._write(f"data/{slug(suite.name)}.js", f"window.BOARD={as_script(data)};\n".encode())
        self._write(f"data/{slug(suite.name)}.csv", as_csv(suite).encode())
        self._write(f"data/{slug(suite.name)}.json", (as_script(as_document(suite)) + "\n").encode())
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
            command=_command(row, suite.name, "--suite" if suite.name in self.registered else "--shift"),
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


def _command(row: SiteRow, asked: str, kind: str) -> str:
    """How to measure it again: one line that can be pasted; ``kind`` is the option that takes ``asked``."""
    import shlex

    name = row.name if row.entry is not None else (row.origin.library_key if row.origin else "")
    if not name:
        return ""
    return f"robustbench-shift eval --model {shlex.quote(name)} {kind} {shlex.quote(asked)}"


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
    made.filters |= {"percent": _percent, "points": _points, "slug": slug, "script": as_script}
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
