"""What ``eval`` changes in a declaration on the user's word, and bringing weights here under a display."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from models_zoo.spec import ModelSpec

ONE = "goes with exactly one model"


def declared(
    specs: list[ModelSpec],
    *,
    weights: Path | None = None,
    preprocess: str | None = None,
    label_space: str | None = None,
    templates: Path | None = None,
    class_names: Path | None = None,
    resizer: str | None = None,
    lenient: bool = False,
    ema: bool = False,
    trust_code: bool = False,
    name: str | None = None,
) -> list[ModelSpec]:
    """The declarations with what the options say put into them.

    Raises:
        UserError: a value that cannot be, or something that the user has to say and has not.
    """
    from models_zoo.overrides import check_declared, override, read_lines, read_preprocess

    single = {
        "--weights": weights,
        "--label-space": label_space,
        "--name": name,
        "--class-names": class_names,
        "--ema": ema,
        "--lenient": lenient,
        "--trust-code": trust_code,
    }
    for option, value in single.items():
        if value and len(specs) != 1:
            raise typer.BadParameter(f"{option} {ONE}")
    for option, value in {"--ema": ema, "--lenient": lenient}.items():
        if value and weights is None and specs[0].weights is None:
            raise typer.BadParameter(f"{option} says how a weights file is read; give one with --weights")
    changed = [
        override(
            spec,
            preprocess=None if preprocess is None else read_preprocess(preprocess),
            label_space=label_space,
            templates=None if templates is None else read_lines(templates),
            class_names=None if class_names is None else read_lines(class_names),
            resizer=resizer,
            lenient=lenient,
            ema=ema,
            trust_code=trust_code,
        )
        for spec in specs
    ]
    for spec in changed:
        check_declared(spec)
    final = [_with_weights(spec, weights) for spec in changed]
    return final if name is None else [_named(spec, name, weights) for spec in final]


def at_hand(spec: ModelSpec, weights: Path | None) -> Path:
    """The weights of a model: given, or published and fetched now, with bytes and time left on stderr."""
    from benchmark.cli.terminal import progress
    from models_zoo.weights import weights_file

    if weights is not None:
        return weights_file(spec, weights)
    with progress(of_bytes=True) as display:
        task = display.add_task(f"fetching the weights of {spec.name}", total=None, visible=False)
        return weights_file(
            spec,
            progress=lambda done, total: display.update(task, completed=done, total=total, visible=True),
        )


def _named(spec: ModelSpec, name: str, weights: Path | None) -> ModelSpec:
    """The user's own model under the user's own name; a published one keeps the name it is known by."""
    from models_zoo.overrides import override
    from models_zoo.own import is_own

    if weights is None and not is_own(spec):
        raise typer.BadParameter(f"--name is for a model of your own; {spec.name} is a published one")
    return override(spec, name=name)


def _with_weights(spec: ModelSpec, weights: Path | None) -> ModelSpec:
    """The declaration as it holds for these weights: of a user's own, nobody knows what they have seen."""
    if weights is None or (spec.weights is None and spec.recipe is None):
        return spec
    from models_zoo.own import own_weights
    from models_zoo.recipe import trained_file
    from models_zoo.weights import weights_digest, weights_file
    from shifts.spec import RemoteFile

    path = weights_file(spec, weights)
    known = None
    if isinstance(spec.weights, RemoteFile):
        known = spec.weights.sha256
    elif spec.recipe is not None and trained_file(spec).is_file():
        known = weights_digest(trained_file(spec))
    return spec if known == weights_digest(path) else own_weights(spec, path)
