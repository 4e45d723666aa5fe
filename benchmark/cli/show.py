"""``show NAME``: everything known about one model, shift, suite or source."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)


def show(
    name: Annotated[str, typer.Argument(help="A model, shift, suite or source.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show everything known about one model, shift, suite or source, with licence and citation."""
    from benchmark.cli.terminal import out, print_json

    found = describe(name)
    if as_json:
        print_json({"schema_version": 1, **found})
        return
    from rich.markup import escape
    from rich.table import Table

    console = out()
    for kind, fields in found.items():
        console.print(f"[bold]{kind}[/] {escape(name)}")
        table = Table(box=None, show_header=False, pad_edge=False)
        for field, value in fields.items():
            if value not in (None, "", [], {}, ()) and field != "name":
                table.add_row(f"  [dim]{field.replace('_', ' ')}[/]", escape(_text(value)))
        console.print(table)


def describe(name: str) -> dict[str, dict[str, Any]]:
    """What goes by a name, by kind: a shift and its source may share one.

    Raises:
        UnknownNameError: nothing does; with the nearest names of all kinds.
    """
    import difflib

    from benchmark.cli.model_listing import weights_state
    from benchmark.suites import SUITES
    from models_zoo.spec import MODELS
    from shifts.digest import canonical
    from shifts.errors import UnknownNameError
    from shifts.local import is_ready
    from shifts.spec import SHIFTS, SOURCES

    found: dict[str, dict[str, Any]] = {}
    for kind, registry in (("model", MODELS), ("shift", SHIFTS), ("suite", SUITES), ("source", SOURCES)):
        try:
            found[kind] = canonical(registry.get(name))
        except UnknownNameError:
            continue
    if "model" in found:
        found["model"]["weights_state"] = weights_state(MODELS.get(name))
        if found["model"]["recipe"] is not None:
            from models_zoo.recipe import recipe_of

            found["model"]["recipe"] = canonical(recipe_of(MODELS.get(name)))
    if "shift" in found:
        source = SOURCES.get(found["shift"]["source"])
        found["shift"]["citation"] = found["shift"]["citation"] or source.citation
        found["shift"] |= {
            "licence": source.licence,
            "homepage": source.homepage,
            "ready": is_ready(source, found["shift"]["split"]),
        }
    if "suite" in found:
        found["suite"]["shifts"] = [shift.name for shift in SUITES.get(name).shifts()]
    if not found:
        # The names of a library are searched only where the beginning says that one was meant.
        library = [spec.name for spec in MODELS.library(name)]
        names = library or [*MODELS.names(), *SHIFTS.names(), *SUITES.names(), *SOURCES.names()]
        near = difflib.get_close_matches(name, dict.fromkeys(names), n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UnknownNameError(
            f"no model, shift, suite or source is called {name!r}{meant}",
            hint="robustbench-shift list models|shifts|suites|sources",
        )
    return found


LONG = 20  # values of a list, or entries of a table, that are worth spelling out


def _text(value: Any) -> str:
    if isinstance(value, dict):
        shown = {name: _text(item) for name, item in value.items() if item not in (None, {}, [])}
        if len(shown) > LONG and len(set(shown.values())) == 1:  # the 95 splits of ImageNet-C
            names = list(shown)
            return f"{names[0]}, {names[1]}, ... {names[-1]} ({len(names)}), each: {shown[names[0]]}"
        return ", ".join(f"{name}: {text}" for name, text in shown.items())
    if isinstance(value, list):
        value = ["+".join(map(str, item)) if isinstance(item, list) else item for item in value]
        if len(value) > 1 and all(item == value[0] for item in value) and not isinstance(value[0], dict):
            return f"{len(value)} x {'not published' if value[0] is None else value[0]}"
        if len(value) > LONG:
            return f"{', '.join(_text(item) for item in value[:LONG])}, ... ({len(value)})"
        return ", ".join(_text(item) for item in value)
    return "not published" if value is None else str(value)
