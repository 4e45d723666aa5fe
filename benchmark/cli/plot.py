"""``plot``: figures from stored results and published baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import Results

if TYPE_CHECKING:
    from benchmark.baselines import Baseline
    from benchmark.plots.panels import Panel
    from benchmark.result import Result

KINDS = ("scatter", "severity", "reliability", "shape-bias")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plot")(plot)


def plot(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="FILE.png, .pdf, .svg, or .html to explore.")
    ],
    shift: Annotated[
        list[str] | None, typer.Option("--shift", "-s", help="Name or pattern; may be repeated.")
    ] = None,
    reference: Annotated[str | None, typer.Option("--reference", "-r", help="The x axis.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="NAME, NAME@VERSION or results:DIR; default: the one of the pair.")
    ] = None,
    scale: Annotated[str, typer.Option(help="probit, logit or linear.")] = "probit",
    kind: Annotated[str, typer.Option(help="scatter, severity, reliability or shape-bias.")] = "scatter",
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only these of my models.")] = None,
    trials: Annotated[
        list[Path] | None, typer.Option(help="Shape bias: a published file of trials; may be repeated.")
    ] = None,
    results: Results = None,
) -> None:
    """Draw accuracy on the line, severity curves, reliability diagrams or shape bias."""
    from benchmark.cli.fit import choice
    from benchmark.cli.terminal import out
    from benchmark.heads import latest
    from benchmark.plots.style import FORMATS
    from benchmark.store import open_store
    from shifts.registry import matches

    if kind not in KINDS:
        raise typer.BadParameter(f"--kind is one of {', '.join(KINDS)}, not {kind!r}")
    if not shift and not trials:
        raise typer.BadParameter("which shift? give --shift")
    shift = shift or []
    endings = (*FORMATS, ".html") if kind == "scatter" else FORMATS
    if output.suffix.lower() not in endings:
        raise typer.BadParameter(f"{output.name}: a {kind} figure ends in {', '.join(endings)}")
    store = open_store(results)
    read = {store.root: latest(store.results())}
    found = [
        pair
        for pair in read[store.root]
        if not model or any(matches(pair[1].model, pattern) for pattern in model)
    ]
    if kind == "severity":
        _severity(found, shift, output)
    elif kind == "reliability":
        _reliability(found, shift, output)
    elif kind == "shape-bias":
        _shape_bias(found, shift, trials or [], output)
    else:
        from benchmark.baselines import load_baseline
        from benchmark.plots.panels import build_panel

        against = None if baseline is None else load_baseline(baseline, read=read)
        panels = [
            build_panel(
                name, reference=reference, baseline=against, scale=choice(scale, "scale"), results=found
            )
            for name in _names(found, shift, against)
        ]
        _scatter(panels, output)
    out().print(f"{output}", soft_wrap=True)


def _names(found: list[tuple[Path, Result]], patterns: list[str], baseline: Baseline | None) -> list[str]:
    """Shifts by pattern among the results and the baselines; a name that matches nothing is kept as it is."""
    from benchmark.baselines import baseline_names, load_baseline
    from shifts.registry import matches

    known = dict.fromkeys(result.shift for _, result in found if result.reference)
    for one in [baseline] if baseline else map(load_baseline, baseline_names()):
        known.update(dict.fromkeys(pair[1] for pair in one.pairs()))
    names: dict[str, None] = {}
    for pattern in patterns:
        hits = [pattern] if pattern in known else [name for name in known if matches(name, pattern)]
        names.update(dict.fromkeys(hits or [pattern]))
    return list(names)


def _scatter(panels: list[Panel], output: Path) -> None:
    if output.suffix.lower() == ".html":
        from benchmark.plots.interactive import save_page

        save_page(panels, output)
        return
    from benchmark.plots.scatter import scatter
    from benchmark.plots.style import save

    save(scatter(panels), output)


def _severity(found: list[tuple[Path, Result]], patterns: list[str], output: Path) -> None:
    from benchmark.lookup import shifts_of
    from benchmark.plots.curves import severity_curves
    from benchmark.plots.style import save
    from shifts.errors import ResultsError

    named = set(shifts_of(found, patterns))
    below = {
        result.shift for _, result in found if any(result.shift.startswith(f"{name}/") for name in named)
    }
    chosen = [result for _, result in found if result.shift in named | below and result.severity is not None]
    references = {result.reference for result in chosen}
    chosen += [result for _, result in found if result.shift in references]
    if not references:
        raise ResultsError(
            "none of these shifts has severities",
            hint="robustbench-shift list shifts '*/5' names some",
        )
    save(severity_curves(chosen), output)


def _reliability(found: list[tuple[Path, Result]], patterns: list[str], output: Path) -> None:
    from benchmark.calibration import ece, reliability_bins
    from benchmark.lookup import shifts_of
    from benchmark.plots.curves import reliability
    from benchmark.plots.style import save
    from benchmark.predictions import read_predictions
    from benchmark.store import PREDICTIONS
    from shifts.errors import ResultsError

    named = shifts_of(found, patterns)
    diagrams, errors = {}, {}
    for folder, result in sorted(found, key=lambda pair: (pair[1].model, pair[1].shift)):
        if result.shift in named and result.status == "ok":
            columns = read_predictions(folder / PREDICTIONS).columns()
            if columns.confidence is None:
                raise ResultsError(
                    f"{result.model} on {result.shift} gave no probabilities: there is no confidence to plot",
                    hint="import its logits or probabilities: eval --predictions FILE",
                )
            correct = columns.prediction == columns.labels
            title = f"{result.model}\n{result.shift}"
            diagrams[title] = reliability_bins(columns.confidence, correct)
            errors[title] = ece(columns.confidence, correct)
    save(reliability(diagrams, errors=errors), output)


def _shape_bias(
    found: list[tuple[Path, Result]], patterns: list[str], trials: list[Path], output: Path
) -> None:
    from benchmark.lookup import shifts_of
    from benchmark.plots.curves import shape_bias
    from benchmark.plots.style import save
    from benchmark.predictions import read_predictions
    from benchmark.shape_bias import of_predictions, pooled, read_trials
    from benchmark.store import PREDICTIONS

    named = shifts_of(found, patterns) if patterns else []
    observers = [
        of_predictions(read_predictions(folder / PREDICTIONS))
        for folder, result in found
        if result.shift in named and result.status == "ok"
    ]
    published = [read_trials(path) for path in sorted(trials)]
    people = [one for one in published if one.human]
    observers += [one for one in published if not one.human]
    if people:
        observers.append(pooled(f"humans ({len(people)})", people))
    save(shape_bias(observers), output)
