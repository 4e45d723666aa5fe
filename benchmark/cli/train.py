"""``train MODEL``: train a scratch model by its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models_zoo.spec import ModelSpec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    model: Annotated[str, typer.Argument(help="A scratch model, as in 'list models'.")],
    again: Annotated[bool, typer.Option("--again", help="Train even if its weights are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Train a scratch model by its recipe; its weights are kept in the cache."""
    from benchmark.cli.terminal import out, print_json
    from models_zoo.recipe import recipe_of, trained_file
    from models_zoo.spec import MODELS
    from models_zoo.weights import weights_digest

    spec = MODELS.get(model)
    recipe_of(spec)
    if again:
        trained_file(spec).unlink(missing_ok=True)
    path = train_with_progress(spec)
    if as_json:
        print_json(
            {"schema_version": 1, "model": model, "weights": str(path), "sha256": weights_digest(path)}
        )
    else:
        out().print(f"{model}: {path}", soft_wrap=True)


def train_with_progress(spec: ModelSpec, *, data_dir: Path | None = None) -> Path:
    """The weights of a scratch model, trained now unless they are there."""
    from benchmark.cli.terminal import progress
    from models_zoo.recipe import trained_file

    path = trained_file(spec, data_dir=data_dir)
    if path.is_file():
        return path
    with progress() as display:
        task = display.add_task(f"training {spec.name}", total=None)
        from models_zoo import training

        return training.train(
            spec,
            data_dir=data_dir,
            progress=lambda done, total: display.update(task, completed=done, total=total),
        )
