"""``eval``: evaluate models on shifts and print the table."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmark.cli.options import Results

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from benchmark.executors import Executor
    from benchmark.planning import Contestant, Plan
    from benchmark.result import Result
    from benchmark.runner import Options
    from benchmark.sentinel.check import Check
    from benchmark.store import Store
    from models_zoo.spec import ModelSpec
    from shifts.spec import ShiftSpec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(evaluate)


def evaluate(
    model: Annotated[list[str], typer.Option("--model", "-m", help="Name or pattern; may be repeated.")],
    shift: Annotated[
        list[str] | None, typer.Option("--shift", "-s", help="Name or pattern; may be repeated.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="A named set of shifts; default: the model's own.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A checkpoint file for the (one) model.")] = None,
    preprocess: Annotated[
        str | None, typer.Option(help="Another model's by its name, a JSON file, or JSON (see 'show').")
    ] = None,
    label_space: Annotated[
        str | None, typer.Option(help="The classes that the head of your own model answers in.")
    ] = None,
    templates: Annotated[
        Path | None, typer.Option(help="Prompts of a zero-shot model, one with {} in each line.")
    ] = None,
    class_names: Annotated[
        Path | None, typer.Option(help="Class names of a zero-shot model, one in each line.")
    ] = None,
    resizer: Annotated[str | None, typer.Option(help="pil (as published) or torchvision (faster).")] = None,
    ema: Annotated[bool, typer.Option("--ema", help="Take a checkpoint's averaged weights.")] = False,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Load what fits of a checkpoint; the rest is named.")
    ] = False,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Let an exported program run code of its file.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What your own model is called in results.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet of ids with logits, probabilities or classes of a model run elsewhere."
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Score --predictions that answer for some of the images.")
    ] = False,
    family: Annotated[str | None, typer.Option(help="Of the model behind --predictions.")] = None,
    training_data: Annotated[
        list[str] | None, typer.Option(help="What that model was trained on; may be repeated.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
    results: Results = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    batch_size: Annotated[int, typer.Option(min=1, help="Images in one forward pass.")] = 256,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that decode images; default: from the cores.")
    ] = None,
    image_cache: Annotated[
        bool | None,
        typer.Option(
            "--image-cache/--no-image-cache",
            help="Keep decoded, resized images for the next model; default: what several models saw.",
        ),
    ] = None,
    decode: Annotated[
        Literal["cpu", "nvjpeg"],
        typer.Option(help="Who decodes JPEG files; nvjpeg, a GPU's decoder, gives other pixels."),
    ] = "cpu",
    perturb_on: Annotated[
        Literal["cpu", "device"],
        typer.Option(help="Where corruptions are made; a device is faster, and differs in the last level."),
    ] = "cpu",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Let torch.compile make networks faster; says what it cost.")
    ] = False,
    model_memory: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="GiB of weights in memory at once; models take turns. Default: half of the free."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only this many examples of each shift, a fixed random choice.")
    ] = None,
    keep_logits: Annotated[bool, typer.Option(help="Store float16 logits beside the predictions.")] = False,
    baseline: Annotated[str | None, typer.Option(help="Measure effective robustness against this.")] = None,
    executor: Annotated[str, typer.Option(help="Where it runs: local, ray or slurm.")] = "local",
    executor_option: Annotated[
        list[str] | None,
        typer.Option("--executor-option", "-x", help="KEY=VALUE for the executor; may be repeated."),
    ] = None,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check",
            help="Compare with published numbers, seek the cause of a gap; default: for published weights.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Evaluate models on shifts: accuracy, worst group and effective robustness, each with its interval."""
    from benchmark.cli.own import declared
    from benchmark.cli.table import print_rows
    from benchmark.cli.terminal import complain, print_json, remark
    from benchmark.executors import executor as find_executor
    from benchmark.executors import settings_of
    from benchmark.faults import compile_cost, faults_of, recovered
    from benchmark.planning import plan, with_references
    from benchmark.report import build_rows, document
    from benchmark.store import open_store
    from models_zoo.spec import MODELS
    from shifts.own import look_in

    if predictions is not None:
        from benchmark.cli.imported import score_file

        running = {
            "--weights": weights,
            "--preprocess": preprocess,
            "--templates": templates,
            "--class-names": class_names,
            "--resizer": resizer,
            "--name": name,
            "--keep-logits": keep_logits,
            "--check": check,
        }
        score_file(
            predictions,
            model=model,
            shift=shift,
            suite=suite,
            unused=running,
            label_space=label_space,
            limit=limit,
            partial=partial,
            family=family,
            training_data=training_data,
            data_dir=data_dir,
            results=results,
            baseline=baseline,
            as_json=as_json,
        )
        return
    if partial or family or training_data:
        raise typer.BadParameter("--partial, --family and --training-data go with --predictions")
    chosen = find_executor(executor)
    settings = settings_of(chosen, executor_option or [])
    look_in(data_dir)
    specs = declared(
        MODELS.select(model),
        weights=weights,
        preprocess=preprocess,
        label_space=label_space,
        templates=templates,
        class_names=class_names,
        resizer=resizer,
        lenient=lenient,
        ema=ema,
        trust_code=trust_code,
        name=name,
    )
    asked, missing = choose_shifts(specs, patterns=shift, suite=suite, limit=limit, data_dir=data_dir)
    store = open_store(results)
    store.check_writable()
    contestants = [
        weights_at_hand(spec, weights=weights, precision=precision, compiled=compiled, data_dir=data_dir)
        for spec in specs
    ]
    work = plan(
        contestants,
        with_references(asked, data_dir=data_dir),
        store=store,
        data_dir=data_dir,
        skip_unfit=not shift and suite is None,
        on_device=perturb_on == "device",
        nvjpeg=decode == "nvjpeg",
    )
    measured = dict(work.finished)
    if work.passes:
        from benchmark.runner import Options

        options = Options(
            device=device,
            batch_size=batch_size,
            workers=workers,
            keep_logits=keep_logits,
            data_dir=data_dir,
            image_cache=image_cache,
            model_memory=None if model_memory is None else int(model_memory * 2**30),
        )
        measured |= _run(work, options, store=store, executor=chosen, settings=settings)
    checks: dict[Path, Check] = {}
    if check is not False:
        from benchmark.cli.check import check_cells, keep_checks

        checks = check_cells(
            work.cells,
            measured,
            force=bool(check),
            given_weights=weights is not None,
            device=device,
            data_dir=data_dir,
        )
        as_measured, measured = measured, keep_checks(measured, checks, work.cells)
        for folder, result in measured.items():
            if result is not as_measured[folder]:
                store.keep(folder)
    rows = build_rows([(cell.folder, measured[cell.folder]) for cell in work.cells], baseline=baseline)
    run_now = [measured[cell.folder] for cell in work.cells if cell.folder not in work.finished]
    faults = [*faults_of(run_now), *recovered(run_now)]
    if as_json:
        print_json({**document(rows), "faults": [fault.to_json() for fault in faults]})
    else:
        print_rows(rows)
        if checks:
            from benchmark.cli.check import print_agreements

            print_agreements(checks, work.cells)
    if compiling := compile_cost(run_now):
        remark(compiling)
    failures = [result for result in run_now if result.status == "error"]
    if failures:
        remark(
            f"{len(failures)} of {len(run_now)} evaluations failed; what was measured is kept, "
            "and the same command does the rest"
        )
    for fault in faults:
        (remark if fault.recovered else complain)(fault.headline(), hint=fault.hint)
    for hint, names in missing.items():
        listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        complain(f"not evaluated, since the images are not on this machine: {listed}", hint=hint)
    store.check_kept()
    if failures:
        raise typer.Exit(2 if all((result.error or {}).get("user") for result in failures) else 1)
    if missing and suite is not None:
        raise typer.Exit(2)


def choose_shifts(
    specs: list[ModelSpec],
    *,
    patterns: list[str] | None,
    suite: str | None,
    limit: int | None,
    data_dir: Path | None,
) -> tuple[list[ShiftSpec], dict[str, list[str]]]:
    """The shifts to run, and those of a suite whose images are not here, by the way to get them.

    A shift asked for by name must be there; of a suite, what is there is evaluated and the rest is named.

    Raises:
        UserError: no shift is at hand, a model does not fit it, or the choice contradicts itself. All of
            this is known before a model is trained or fetched.
    """
    from benchmark.planning import check_label_space
    from benchmark.suites import SUITES
    from shifts.errors import DataNotFoundError
    from shifts.local import how_to_get, is_ready, recorded_content
    from shifts.spec import SHIFTS, SOURCES

    if patterns and suite:
        raise typer.BadParameter("give --suite or --shift, not both")
    if patterns:
        chosen = [spec.limited(limit) for spec in SHIFTS.select(patterns)]
        for spec in chosen:
            for model in specs:
                check_label_space(model, spec)
            recorded_content(SOURCES.get(spec.source), spec.split, data_dir=data_dir)
        return chosen, {}
    suites = [suite] if suite else list(dict.fromkeys(spec.suite for spec in specs))
    wanted = {spec.name: spec.limited(limit) for name in suites for spec in SUITES.get(name).shifts()}
    here: list[ShiftSpec] = []
    missing: dict[str, list[str]] = {}
    for spec in wanted.values():
        source = SOURCES.get(spec.source)
        if is_ready(source, spec.split, data_dir=data_dir):
            here.append(spec)
        else:
            missing.setdefault(how_to_get(source), []).append(spec.name)
    if not here:
        raise DataNotFoundError(
            f"no shift of the suite {', '.join(map(repr, suites))} is on this machine",
            hint="; or ".join(missing),
        )
    return here, missing


def weights_at_hand(
    spec: ModelSpec,
    *,
    weights: Path | None,
    precision: str,
    compiled: bool = False,
    data_dir: Path | None,
) -> Contestant:
    """A model whose weights are at hand: given, trained now, or fetched now."""
    from benchmark.cli.train import train_with_progress
    from benchmark.planning import contestant

    if weights is None and spec.recipe is not None:
        weights = train_with_progress(spec, data_dir=data_dir)
    elif weights is not None or spec.weights is not None:
        from benchmark.cli.own import at_hand

        weights = at_hand(spec, weights)
    return contestant(spec, weights=weights, precision=precision, compiled=compiled)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, with which schedulers end a job, is Ctrl-C within the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals nowhere else
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


class _Display:
    """Shows what an executor tells: a bar for each of its displays, notes between them."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._tasks: dict[int, TaskID] = {}

    def show(self, bar: int, description: str, done: int, total: int | None) -> None:
        if bar not in self._tasks:
            self._tasks[bar] = self._display.add_task(description, total=total)
        self._display.update(self._tasks[bar], description=description, completed=done, total=total)

    def notice(self, sentence: str) -> None:
        from benchmark.cli.terminal import remark

        remark(sentence)


def _run(
    work: Plan, options: Options, *, store: Store, executor: Executor, settings: object
) -> dict[Path, Result]:
    """Run the passes under one progress display; what is finished goes into the store at once."""
    from benchmark.cli.terminal import progress
    from benchmark.executors import Previewed
    from shifts.registry import resolve

    measured = {}
    folders = {
        (cell.model_digest, cell.shift_digest): cell.folder for one in work.passes for cell in one.cells
    }
    run = resolve(executor.run)
    with _terminable(), progress() as display, store.sharing(list(folders.values())):
        watch = _Display(display)
        try:
            for result in run(work, store=store, options=options, settings=settings, watch=watch):
                folder = folders[result.model_digest, result.shift_digest]
                measured[folder] = result
                store.keep(folder)
        except Previewed as preview:
            typer.echo(str(preview))
            raise typer.Exit from None
    return measured
