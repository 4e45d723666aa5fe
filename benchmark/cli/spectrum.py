"""``spectrum``: how evenly a model's features use their dimensions, on shifts and beside their reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from benchmark.spectrum import Spectrum
    from benchmark.spectrum_pairs import SpectrumPair

    Named = tuple[str, Any, list[str]]  # a name, features (N, D), N ids


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("spectrum")(spectrum)


def spectrum(
    shift: Annotated[
        list[str] | None, typer.Option("--shift", "-s", help="Name or pattern; may be repeated.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Whose features.")] = None,
    features: Annotated[
        list[Path] | None,
        typer.Option(help="Features from elsewhere: FILE.npy, .npz, .safetensors or .parquet; repeatable."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A checkpoint file for the model.")] = None,
    centre: Annotated[
        str, typer.Option(help="none, samples (take the mean away) or features (as the released code).")
    ] = "samples",
    normalise: Annotated[bool, typer.Option(help="Scale each feature vector to length 1 first.")] = True,
    pair: Annotated[
        bool, typer.Option("--pair", help="Each shift beside its reference, each file beside the first.")
    ] = False,
    interval: Annotated[str, typer.Option(help="jackknife or bootstrap, over the examples.")] = "jackknife",
    seed: Annotated[int, typer.Option(help="Of the parts that are left out or drawn.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Only this many examples of each set.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A figure: FILE.png, .pdf or .svg.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Singular-value entropy (SVE) and largest-singular-value ratio (LSVR) of features, with intervals."""
    from benchmark.cli.terminal import print_json
    from benchmark.plots.style import FORMATS
    from benchmark.spectrum import INTERVALS
    from benchmark.spectrum import spectrum as spectrum_of
    from benchmark.spectrum_moments import CENTRES
    from benchmark.spectrum_pairs import spectrum_pair

    for name, value, known in (("centre", centre, CENTRES), ("interval", interval, INTERVALS)):
        if value not in known:
            raise typer.BadParameter(f"--{name} is one of {', '.join(known)}, not {value!r}")
    if bool(shift) != bool(model) or bool(shift) == bool(features):
        raise typer.BadParameter("give --model and --shift, or --features FILE")
    if output is not None and output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"{output.name}: a figure ends in {', '.join(FORMATS)}")
    sets: Callable[[], Iterator[tuple[Named | None, Named]]]
    if features:
        sets = _files(features, pair=pair, limit=limit)
    else:
        assert model is not None and shift
        sets = _of_model(model, shift, weights, pair=pair, limit=limit, data_dir=data_dir, device=device)
    settings: dict[str, Any] = {
        "centre": centre, "normalise": normalise, "interval": interval, "seed": seed,
    }  # fmt: skip
    spectra: dict[str, Spectrum] = {}
    pairs: dict[tuple[str, str], SpectrumPair] = {}
    for reference, (name, values, ids) in sets():
        if reference is None:
            spectra[name] = spectrum_of(values, ids=ids, **settings)
            continue
        both = spectrum_pair(reference[1], values, reference_ids=reference[2], shift_ids=ids, **settings)
        pairs[reference[0], name] = both
        # Paired with sets of other sizes, a reference has a spectrum with each.
        first = f"{reference[0]} (n={both.reference.n:,})"
        spectra.setdefault(first, both.reference)
        spectra[name] = both.shift
    if output is not None:
        from benchmark.plots.spectrum import spectrum_figure
        from benchmark.plots.style import save

        save(spectrum_figure(spectra, title=model or "features"), output)
    if as_json:
        print_json(_document(model, settings, spectra, pairs))
    else:
        _print(model, settings, spectra, pairs)


def _of_model(
    model: str,
    patterns: list[str],
    weights: Path | None,
    *,
    pair: bool,
    limit: int | None,
    data_dir: Path | None,
    device: str,
) -> Callable[[], Iterator[tuple[Named | None, Named]]]:
    """Features of a model on the shifts, each with those on its reference where that is asked for."""
    from benchmark.cli.evaluate import weights_at_hand
    from benchmark.cli.terminal import progress
    from benchmark.features import features
    from models_zoo.spec import MODELS
    from shifts.data import load_shift
    from shifts.errors import UserError
    from shifts.own import look_in
    from shifts.spec import SHIFTS

    look_in(data_dir)
    specs = {spec.name: spec for spec in SHIFTS.select(patterns)}
    alone = [name for name, spec in specs.items() if spec.reference is None]
    if pair and alone:
        raise UserError(
            f"{alone[0]!r} is a reference itself: it has none to stand beside", hint="leave out --pair"
        )
    one = weights_at_hand(MODELS.get(model), weights=weights, precision="float32", data_dir=data_dir)

    def named(name: str) -> Named:
        opened = load_shift(name, data_dir=data_dir, limit=limit)
        with progress() as display:
            task = display.add_task(f"features on {name}", total=len(opened))
            found = features(
                one, opened, device=device, progress=lambda done, _: display.update(task, completed=done)
            )
        return name, found.values, list(found.ids)

    def every() -> Iterator[tuple[Named | None, Named]]:
        for name, spec in specs.items():
            yield (named(spec.reference) if pair and spec.reference else None), named(name)

    return every


def _files(
    paths: list[Path], *, pair: bool, limit: int | None
) -> Callable[[], Iterator[tuple[Named | None, Named]]]:
    """Features in files, each with the first one where that is asked for."""
    import numpy as np

    from benchmark.feature_files import read_feature_file
    from shifts.data import hash_rank
    from shifts.errors import UserError

    if pair and len(paths) < 2:
        raise UserError("--pair sets files beside the first one", hint="give --features twice or more")

    def named(path: Path) -> Named:
        found = read_feature_file(path)
        ids = list(found.ids or map(str, range(len(found.values))))
        if limit is None or limit >= len(ids):
            return str(path), found.values, ids
        rows = np.sort(hash_rank(ids, "limit")[:limit])
        return str(path), found.values[rows], [ids[row] for row in rows.tolist()]

    def every() -> Iterator[tuple[Named | None, Named]]:
        for path in paths[1:] if pair else paths:
            yield (named(paths[0]) if pair else None), named(path)

    return every


def _document(
    model: str | None,
    settings: dict[str, Any],
    spectra: dict[str, Spectrum],
    pairs: dict[tuple[str, str], SpectrumPair],
) -> dict[str, Any]:
    made: dict[str, Any] = {"schema_version": 1, "model": model, **settings}
    if pairs:
        listed = [
            {"reference_name": reference, "shift_name": shift, **both.to_json()}
            for (reference, shift), both in pairs.items()
        ]
        return {**made, "pairs": listed}
    return {**made, "spectra": [{"name": name, **one.to_json()} for name, one in spectra.items()]}


def _print(
    model: str | None,
    settings: dict[str, Any],
    spectra: dict[str, Spectrum],
    pairs: dict[tuple[str, str], SpectrumPair],
) -> None:
    from rich.markup import escape
    from rich.table import Table

    from benchmark.cli.terminal import out

    console = out()
    length = "vectors of length 1" if settings["normalise"] else "vectors as they are"
    console.print(
        f"[bold]{escape(model or 'features')}[/]  {length}, centred over: {settings['centre']}",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("set")
    for head in ("n", "dim", "SVE", "corrected", "LSVR", "corrected"):
        table.add_column(head, justify="right")
    for name, one in spectra.items():
        table.add_row(
            escape(name), f"{one.n:,}", str(one.dim), _number(one.sve), _value(one.sve_corrected),
            _number(one.lsvr), _value(one.lsvr_corrected),
        )  # fmt: skip
    console.print(table)
    for (reference, shift), both in pairs.items():
        kind = "the same examples" if both.paired else "other examples, as many"
        console.print(
            f"{escape(shift)} minus {escape(reference)}: SVE {_number(both.sve, sign='+')}, "
            f"LSVR {_number(both.lsvr, sign='+')} [dim]({kind})[/]",
            soft_wrap=True,
        )
    few = [name for name, one in spectra.items() if one.few]
    if few:
        console.print(
            f"[dim]few examples for so many dimensions ({escape(', '.join(few))}): small singular values are "
            "those of the sampling; compare sets of one size only[/]",
            soft_wrap=True,
        )


def _number(one: Any, *, sign: str = "") -> str:
    return f"{one.value:{sign}.3f} [dim]\\[{one.low:{sign}.3f}, {one.high:{sign}.3f}][/]"


def _value(one: Any) -> str:
    return "–" if one is None else f"{one.value:.3f}"
