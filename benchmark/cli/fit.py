"""``fit``: the line through baseline models, with its diagnostics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from benchmark.baselines import Baseline, MemberRule
    from benchmark.lines import BaselineFit
    from benchmark.standing import Examination, Standing


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fit")(fit)


def fit(
    shift: Annotated[list[str], typer.Option("--shift", "-s", help="The y axis; may be repeated.")],
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--reference", "-r", help="The x axis; default: the baseline's first. Several: one plane."
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="NAME, NAME@VERSION or results:DIR; default: the one for this pair.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="A CSV file of your own instead: a column model, fractions elsewhere.")
    ] = None,
    scale: Annotated[str, typer.Option(help="probit, logit or linear.")] = "probit",
    method: Annotated[str, typer.Option(help="least-squares or theil-sen.")] = "least-squares",
    family: Annotated[list[str] | None, typer.Option(help="Members: only these families.")] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(help="Members: only with this reference accuracy or more, a fraction.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Members: without this model.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Of the shift, where there are several.")] = None,
    of: Annotated[
        list[str] | None, typer.Option(help="How far these lie above the line: models or families.")
    ] = None,
    among: Annotated[str | None, typer.Option(help="Look for the --of models in this baseline.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Fit the line through baseline models and say how far it can be trusted."""
    from benchmark.cli.terminal import print_json
    from benchmark.standing import examine

    choices = {"scale": choice(scale, "scale"), "method": choice(method, "method")}
    given = _given(baseline, table, reference)
    elsewhere = given if among == baseline else _given(among, None, None)
    documents = []
    for one in shift:
        source = given or _default(reference, one)
        first = reference[0] if reference else _first_reference(source, one)
        if reference and len(reference) > 1:
            documents.append(
                _plane(source, reference, one, of, elsewhere, scale=choices["scale"], as_json=as_json)
            )
            continue
        rule = _rule(source, family, min_accuracy)
        fitted = source.fit(
            first,
            one,
            members=rule,
            exclude=dict.fromkeys(exclude or (), "excluded by hand"),
            protocol=protocol,
            **choices,
        )
        above = _standing(fitted, source, of, elsewhere)
        examination = examine(fitted)
        if as_json:
            extra = {"diagnostics": examination.to_json()}
            if above is not None:
                extra["effective_robustness"] = above.to_json()
            documents.append({**fitted.to_json(), **extra})
        else:
            _print(fitted, examination, above)
    if as_json:
        if len(documents) == 1:
            print_json({"schema_version": 1, **documents[0]})
        else:
            print_json({"schema_version": 1, "fits": documents})


def choice(value: str, option: str) -> Any:
    """The value of ``--scale`` or ``--method``, if it is one."""
    from typing import get_args

    from benchmark.lines import Method
    from benchmark.scales import Scale

    known = get_args(Scale if option == "scale" else Method)
    if value not in known:
        raise typer.BadParameter(f"--{option} is one of {', '.join(known)}, not {value!r}")
    return value


def _given(name: str | None, table: Path | None, references: list[str] | None) -> Baseline | None:
    """A table as a baseline, or the baseline that was named, or None where neither was."""
    if table is not None:
        from benchmark.baselines.own import table_baseline

        return table_baseline(table, references=references or [])
    from benchmark.baselines import load_baseline

    return None if name is None else load_baseline(name)


def _default(references: list[str] | None, shift: str) -> Baseline:
    """The default baseline of the pair."""
    from benchmark.baselines import baseline_names, baselines_for, load_baseline
    from shifts.errors import UserError

    if references:
        found = baselines_for(references[0], shift)
    else:
        loaded = [load_baseline(identifier) for identifier in baseline_names()]
        having = [one for one in loaded if any(pair[1] == shift for pair in one.pairs())]
        found = tuple(one.identifier for one in sorted(having, key=lambda one: -one.precedence))
    if not found:
        pair = f"{references[0]!r} and {shift!r}" if references else repr(shift)
        raise UserError(
            f"no shipped baseline has {pair}",
            hint="robustbench-shift baselines NAME lists what one has; --baseline results:DIR takes your own",
        )
    return load_baseline(found[0])


def _first_reference(source: Baseline, shift: str) -> str:
    """The matched reference where the baseline has one, else its first with the shift."""
    from shifts.errors import FitError

    found = [pair[0] for pair in source.pairs() if pair[1] == shift]
    ordered = [name for name in source.references if name in found]
    if not ordered:
        raise FitError(
            f"{source.identifier} has no line to {shift!r}",
            hint=f"robustbench-shift baselines {source.identifier}",
        )
    matched = [name for name in ordered if name.endswith(f"/{shift.removeprefix('imagenet-')}-classes")]
    return matched[0] if matched else ordered[0]


def _rule(source: Baseline, families: list[str] | None, least: float | None) -> MemberRule | None:
    import dataclasses

    if families is None and least is None:
        return None
    rule = source.default_members
    if families is not None:
        rule = dataclasses.replace(rule, families=tuple(families))
    if least is not None:
        rule = dataclasses.replace(rule, min_reference_accuracy=least)
    return rule


def _standing(
    fitted: BaselineFit, source: Baseline, wanted: list[str] | None, among: Baseline | None
) -> Standing | None:
    if not wanted:
        return None
    from benchmark.standing import standing
    from shifts.registry import matches

    points = (among or source).points(fitted.reference, fitted.shift)
    return standing(
        fitted,
        [
            point
            for point in points
            if any(name == point.family or matches(point.model, name) for name in wanted)
        ],
    )


def _plane(
    source: Baseline,
    references: list[str],
    shift: str,
    wanted: list[str] | None,
    among: Baseline | None,
    *,
    scale: Any,
    as_json: bool,
) -> dict[str, Any]:
    from rich.markup import escape

    from benchmark.cli.terminal import out
    from benchmark.multi_reference import fit_plane
    from shifts.registry import matches

    plane = fit_plane(source, references=references, shift=shift, scale=scale)
    where = among or source
    families = {row.model: row.family for row in where.rows}
    named = [
        model
        for model, family in families.items()
        if any(one == family or matches(model, one) for one in wanted or ())
    ]
    above = plane.above(where, named)
    if not as_json:
        console = out()
        terms = " ".join(
            f"{slope:+.4f} · {scale}({name})" for name, slope in zip(references, plane.slopes, strict=True)
        )
        console.print(f"[bold]{shift}[/]  {scale} = {plane.intercept:+.4f} {terms}")
        console.print(
            f"  r² {plane.r2:.4f}, residual sd {100 * plane.residual_sd_accuracy:.2f} points, "
            f"{plane.n_models} models of {plane.baseline}"
        )
        if plane.condition > 30:
            console.print(
                f"[yellow]note[/] the references are nearly collinear (condition {plane.condition:.0f}): "
                "the single slopes are not to be read, the expected accuracies are"
            )
        for model, value in sorted(above.items(), key=lambda pair: -pair[1].value)[:10]:
            console.print(
                f"  {escape(model)}: {100 * value.value:+.2f} points "
                f"\\[{100 * value.low:+.2f}, {100 * value.high:+.2f}]"
            )
    found = {model: value.to_json() for model, value in above.items()}
    return {**plane.to_json(), **({"effective_robustness": found} if wanted else {})}


def _print(fitted: BaselineFit, examination: Examination, above: Standing | None) -> None:
    from collections import Counter

    from rich.markup import escape

    from benchmark.cli.terminal import out

    console = out()
    console.print(
        f"[bold]{escape(fitted.reference)} → {escape(fitted.shift)}[/]  {escape(fitted.baseline or '')}"
    )
    low, high = fitted.reference_range
    console.print(
        f"  {fitted.scale}(shift) = {fitted.slope:.4f} · {fitted.scale}(reference) {fitted.intercept:+.4f}   "
        f"r² {fitted.r2:.4f}, residual sd {100 * fitted.residual_sd_accuracy:.2f} points, "
        f"{fitted.n_models} models from {100 * low:.1f} to {100 * high:.1f} %, {fitted.method}"
    )
    middle = (low + high) / 2
    band, more = fitted.band(middle), fitted.prediction_interval(middle)
    console.print(
        f"  at {100 * middle:.1f} % it expects {100 * float(band.expected):.1f} %; 95 % confidence band of "
        f"the mean line [{100 * float(band.low):.1f}, {100 * float(band.high):.1f}], prediction interval of "
        f"one more model [{100 * float(more.low):.1f}, {100 * float(more.high):.1f}]"
    )
    kinds = Counter(_kind(excluded.reason) for excluded in fitted.excluded)
    if kinds:
        listed = ", ".join(f"{count} × {reason}" for reason, count in kinds.most_common(6))
        console.print(f"  [dim]not members: {escape(listed)}[/]")
    if examination.slope_range is not None:
        least, most = examination.slope_range
        console.print(
            f"  [dim]leaving one model out moves the slope between {least:.4f} and {most:.4f}; "
            f"{len(examination.high_leverage)} of high leverage[/]"
        )
    for sentence in examination.advice:
        console.print(f"[yellow]note[/] {escape(sentence)}")
    if above is not None:
        _print_standing(above)


def _kind(reason: str) -> str:
    """A reason without the number that differs from model to model."""
    return "reference accuracy too low" if reason.startswith("reference accuracy") else reason


def _print_standing(above: Standing) -> None:
    from rich.markup import escape

    from benchmark.cli.terminal import out

    console = out()
    name, one = above.highest
    count = len(above.models)
    if above.mean is not None:
        mean = above.mean
        console.print(
            f"  effective robustness of {count} models: mean [bold]{100 * mean.value:+.2f}[/] points "
            f"\\[{100 * mean.low:+.2f}, {100 * mean.high:+.2f}], largest "
            f"[bold]{100 * one.value:+.2f}[/] ({escape(name)})"
        )
    for model, single in above.models[:10] if count <= 10 else ():
        noise = "; within noise" if "within noise" in single.flags else ""
        console.print(
            f"  {escape(model)}: {100 * single.value:+.2f} points "
            f"\\[{100 * single.low:+.2f}, {100 * single.high:+.2f}]{noise}"
        )
