"""``list``: what is registered, and what of it is ready on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from shifts.spec import ShiftSpec

WHAT = ("models", "shifts", "suites", "sources", "studies")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_registered)


def list_registered(
    what: Annotated[str, typer.Argument(help=f"One of {', '.join(WHAT)}.")],
    pattern: Annotated[str | None, typer.Argument(help="A name, or a pattern such as 'digits/*'.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List models, shifts, suites, sources or studies, with what is ready on this machine."""
    from benchmark.cli.terminal import print_json

    if what not in WHAT:
        raise typer.BadParameter(f"{what!r} is not one of {', '.join(WHAT)}")
    rows = _ROWS[what](pattern)
    if not rows and pattern is not None:
        from shifts.errors import UnknownNameError

        raise UnknownNameError(f"no {what} match {pattern!r}", hint=f"robustbench-shift list {what}")
    if as_json:
        print_json({"schema_version": 1, what: rows, **_further(what, pattern)})
    elif what == "models":
        from benchmark.cli.model_listing import print_models

        print_models(rows, pattern)
    else:
        _print_table(what, rows)


def _further(what: str, pattern: str | None) -> dict[str, Any]:
    """Libraries of models, which are named and not listed unless they are asked for."""
    if what != "models" or pattern is not None:
        return {}
    from benchmark.cli.model_listing import libraries

    return {"libraries": libraries()}


def _models(pattern: str | None) -> list[dict[str, Any]]:
    from benchmark.cli.model_listing import model_rows

    return model_rows(pattern)


def _shifts(pattern: str | None) -> list[dict[str, Any]]:
    from shifts.spec import SHIFTS

    ready = _readiness()
    return [
        {
            "name": spec.name,
            "title": spec.title,
            "kind": spec.kind,
            "severity": spec.severity,
            "support": spec.support,
            "reference": spec.reference,
            "source": spec.source,
            "classes": spec.label_space,
            "ready": ready(spec),
        }
        for spec in SHIFTS.entries(pattern)
    ]


def _suites(pattern: str | None) -> list[dict[str, Any]]:
    from benchmark.suites import SUITES
    from shifts.spec import SHIFTS

    ready, among = _readiness(), list(SHIFTS)
    rows = []
    for suite in SUITES.entries(pattern):
        shifts = suite.shifts(among)
        here = sum(map(ready, shifts))
        rows.append({"name": suite.name, "title": suite.title, "shifts": len(shifts), "ready": here})
    return rows


def _readiness() -> Callable[[ShiftSpec], bool]:
    """Whether a shift's images are here; a source is looked at once, however many shifts are made of it."""
    from shifts.local import ready_splits
    from shifts.spec import SOURCES

    splits = cache(lambda source: ready_splits(SOURCES.get(source)))
    return lambda spec: spec.split in splits(spec.source)


def _sources(pattern: str | None) -> list[dict[str, Any]]:
    from shifts.local import ready_splits
    from shifts.spec import SOURCES

    return [
        {
            "name": source.name,
            "title": source.title,
            "examples": {split: source.published_size(split) for split in source.counts},
            "classes": source.label_space,
            "licence": source.licence,
            "ready": [split for split in source.counts if split in here],
        }
        for source in SOURCES.entries(pattern)
        for here in [ready_splits(source)]
    ]


def _studies(pattern: str | None) -> list[dict[str, Any]]:
    from benchmark.studies.study import STUDIES

    return [
        {"name": one.name, "title": one.title, "suites": list(one.suites), "seeds": one.seeds}
        for one in STUDIES.entries(pattern)
    ]


_ROWS: dict[str, Callable[[str | None], list[dict[str, Any]]]] = {
    "models": _models,
    "shifts": _shifts,
    "suites": _suites,
    "sources": _sources,
    "studies": _studies,
}


def _print_table(what: str, rows: list[dict[str, Any]]) -> None:
    from benchmark.cli.terminal import columns, out

    shown = _ladders(rows) if what == "shifts" else rows
    header = [name.replace("_", " ") for name in shown[0]] if shown else []
    columns(header, [[_cell(value) for value in row.values()] for row in shown])
    then = "study NAME runs one" if what == "studies" else "show NAME tells all about one"
    out().print(f"[dim]{len(rows)} {what}; robustbench-shift {then}[/]")


def _ladders(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The five severities of a corruption as one line."""
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        row = dict(row)
        severity = row.pop("severity")
        if severity is None:
            merged[row["name"]] = row
            continue
        stem = row["name"].rpartition("/")[0]
        title = row["title"].rpartition(", severity")[0] or row["title"]
        merged.setdefault(stem, {**row, "name": f"{stem}/1…5", "title": title})
    return list(merged.values())


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return _examples(value)
    if isinstance(value, list):
        return ", ".join(value) or "no"
    return "–" if value is None else str(value)


def _examples(sizes: dict[str, int | None]) -> str:
    """Examples of each split; of many splits the sum. A size nobody publishes is a question mark."""
    if len(sizes) <= 4:
        return ", ".join(f"{name} {'?' if n is None else f'{n:,}'}" for name, n in sizes.items())
    known = sum(n for n in sizes.values() if n is not None)
    return f"{known:,} in {len(sizes)} splits"
