"""``train MODEL``: train a scratch model by its recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models_zoo.rehearsal import Trial
    from models_zoo.spec import ModelSpec
    from models_zoo.training import Options


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    model: Annotated[
        str, typer.Argument(help="A model that is trained here, or a variant: NAME@seed-3, NAME@epoch-50.")
    ],
    source: Annotated[
        str | None, typer.Option(help="Train on this shift's distribution; as NAME@on-SHIFT.")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:RATE",
            help="Wrong labels: symmetric:0.1, asymmetric:0.1; captions:0.1 for image-text pairs; "
            "foreign:0.1:SHIFT for images of another set. As NAME@noise-symmetric-10.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of all random numbers; as NAME@seed-N.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or mps; default: as the recipe is made for.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="float32; bfloat16 or float16 for mixed precision.")
    ] = "float32",
    microbatch: Annotated[
        int | None, typer.Option(min=1, help="Images in one pass, where a batch does not fit into memory.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Threads that decode and augment; default: as many as help.")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Run through torch.compile.")] = False,
    save_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two saves of the state, to go on from.")
    ] = 60.0,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Take a few steps to see that all is there; keep nothing.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Train even if its weights are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Train a scratch model by its recipe; its weights are kept in the cache.

    Interrupted (Ctrl-C, a kill), the same command goes on where the state was last saved. Several processes
    or GPUs train one model with: torchrun --nproc-per-node 2 -m benchmark.cli train MODEL.
    """
    from benchmark.cli.terminal import out, print_json
    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant
    from models_zoo.weights import weights_digest
    from shifts.label_noise import parse
    from shifts.own import look_in

    look_in(data_dir)
    spec = MODELS.get(model)
    recipe_of(spec)
    if source is not None or seed is not None or noise is not None:
        spec = variant(spec, on=source, noise=None if noise is None else parse(noise), seed=seed)
    from models_zoo.training import Options

    options = Options(
        device=device,
        precision=precision,
        microbatch=microbatch,
        workers=workers,
        compile=compiled,
        save_every=save_every,
    )
    if smoke:
        _print_trials(spec, _rehearsed(spec, options, data_dir), as_json=as_json)
        return
    if again:
        _forget(spec, data_dir)
    path = train_with_progress(spec, data_dir=data_dir, options=options)
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes the first one tells
    if as_json:
        print_json(
            {"schema_version": 1, "model": spec.name, "weights": str(path), "sha256": weights_digest(path)}
        )
    else:
        out().print(f"{spec.name}: {path}", soft_wrap=True)


def train_with_progress(
    spec: ModelSpec, *, data_dir: Path | None = None, options: Options | None = None
) -> Path:
    """The weights of a scratch model, trained now unless they are there."""
    from benchmark.cli.terminal import err, progress
    from models_zoo.recipe import STATE, trained_file, training_folder

    path = trained_file(spec, data_dir=data_dir)
    if path.is_file():
        return path
    if (training_folder(spec, data_dir=data_dir) / STATE).is_file():
        err().print(f"{spec.name}: going on with an interrupted training", soft_wrap=True)
    with progress() as display:
        task = display.add_task(f"training {spec.name}", total=None)
        from models_zoo import training

        return training.train(
            spec,
            data_dir=data_dir,
            progress=lambda done, total: display.update(task, completed=done, total=total),
            options=options,
        )


def _forget(spec: ModelSpec, data_dir: Path | None) -> None:
    """Remove the weights and the state; kept epochs are written anew as the training passes them."""
    from models_zoo.recipe import STATE, trained_file, training_folder

    trained_file(spec, data_dir=data_dir).unlink(missing_ok=True)
    (training_folder(spec, data_dir=data_dir) / STATE).unlink(missing_ok=True)


def _rehearsed(spec: ModelSpec, options: Options, data_dir: Path | None) -> list[Trial]:
    from benchmark.cli.terminal import err
    from models_zoo.rehearsal import rehearse

    with err().status(f"trying {spec.name}"):
        return rehearse(spec, data_dir=data_dir, options=options)


def _print_trials(spec: ModelSpec, trials: list[Trial], *, as_json: bool) -> None:
    from dataclasses import asdict

    from benchmark.cli.terminal import columns, out, print_json

    if as_json:
        stages = [asdict(trial) for trial in trials]
        print_json({"schema_version": 1, "model": spec.name, "smoke": True, "stages": stages})
        return
    rows = [
        (
            trial.shift,
            f"{trial.examples:,}",
            f"{trial.batch_size} (of {trial.full_batch_size})",
            f"{trial.trained:,} of {trial.parameters:,}",
            " ".join(f"{loss:.3f}" for loss in trial.losses),
            f"{trial.images_per_second:.1f}",
            f"{trial.steps:,}",
            _duration(trial.seconds_in_full),
        )
        for trial in trials
    ]
    header = ("stage", "images", "batch", "trained", "losses", "images/s", "steps in full", "at this speed")
    columns(header, rows)
    out().print(f"{spec.name} trains on this machine; nothing was kept", soft_wrap=True)


def _duration(seconds: float) -> str:
    """``2.5 h``: a time in the unit that suits it.

    >>> _duration(90.0), _duration(9000.0), _duration(900000.0)
    ('2 min', '2.5 h', '10.4 days')
    """
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"
