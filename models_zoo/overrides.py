"""The same model with something else in its declaration: other preprocessing, classes, prompts, reading."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.spec import MODELS, Preprocess, Reading
from shifts.errors import LabelSpaceError, UnknownNameError, UserError
from shifts.labels import ANY, LABEL_SPACES

if TYPE_CHECKING:
    from models_zoo.spec import ModelSpec

NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
LARGEST_FILE = 2**20  # bytes of a JSON file or a list of names
HOW = {"preprocess": "--preprocess MODEL or FILE.json", "label_space": "--label-space NAME"}


def override(
    spec: ModelSpec,
    *,
    preprocess: Preprocess | None = None,
    label_space: str | None = None,
    templates: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    lenient: bool = False,
    ema: bool = False,
    trust_code: bool = False,
    resizer: str | None = None,
    name: str | None = None,
) -> ModelSpec:
    """A declaration with some fields replaced; what can move a logit enters its digest.

    Args:
        label_space: the classes of the head, for a model whose head is trained for one set of classes.
        templates: prompts with one ``{}``, for zero-shot models.
        class_names: as put into the prompts, in the order of the shift's labels, for zero-shot models.
        lenient, ema, trust_code: see ``models_zoo.spec.Reading``.
        resizer: who resizes, where the preprocess offers a choice.
        name: what the model is called in results.

    Raises:
        UserError: a value that cannot be, or that this model has no use for. Prompts are checked against the
            classes they are for by ``models_zoo.prompts``.
    """
    changes: dict[str, Any] = {}
    notes = list(spec.notes)
    if preprocess is not None:
        changes["preprocess"] = preprocess
        if "preprocess" not in spec.undeclared and preprocess != spec.preprocess:
            notes.append("preprocess: the user's, not the declared one")
    if resizer is not None:
        wanted: Any = resizer
        changes["preprocess"] = dataclasses.replace(preprocess or spec.preprocess, resizer=wanted)
        if resizer != spec.preprocess.resizer:
            notes.append(f"resizer: {resizer} instead of {spec.preprocess.resizer}")
    if label_space is not None:
        if spec.label_space == ANY:
            raise LabelSpaceError(
                f"{spec.name!r} answers in the classes of each shift; it has none of its own",
                hint="other names for the classes: --class-names FILE",
            )
        known = LABEL_SPACES.get(label_space).name
        changes |= {"label_space": known, "suite": suite_of(known)}
        if known != spec.label_space:
            changes |= {"head": None, "parameters": None}
    if templates is not None or class_names is not None:
        if spec.label_space != ANY:
            raise UserError(
                f"{spec.name!r} has a trained head; prompts and class names change nothing for it",
                hint="they are for zero-shot models",
            )
        own = {"templates": templates, "class_names": class_names}
        own = {key: tuple(value) for key, value in own.items() if value is not None}
        changes["arguments"] = {**spec.arguments, **own}
        notes.append(f"prompts: the user's own {' and '.join(own)}".replace("_", " "))
    if lenient or ema or trust_code:
        changes["reading"] = Reading(lenient=lenient, ema=ema, trust_code=trust_code)
    if name is not None:
        changes["name"] = _free_name(name, spec)
    stated = {
        field for field in spec.undeclared if field in changes and (field != "preprocess" or preprocess)
    }
    changes["undeclared"] = tuple(field for field in spec.undeclared if field not in stated)
    return dataclasses.replace(spec, **changes)


def check_declared(spec: ModelSpec) -> None:
    """Refuse a user's own model of which something is not known.

    Raises:
        UserError: names what is missing and how to say it.
    """
    if spec.undeclared:
        what = " and ".join(field.replace("_", " ") for field in spec.undeclared)
        raise UserError(
            f"nothing tells the {what} of {spec.name!r}, and a wrong guess would give a wrong accuracy",
            hint=f"say it with {' and '.join(HOW[field] for field in spec.undeclared)} "
            "(robustbench-shift show MODEL --json prints what a model has)",
        )


def suite_of(label_space: str) -> str:
    """The suite of the registered models with these classes; else the reference of that name."""
    known = (spec.suite for spec in MODELS.registered() if spec.label_space == label_space)
    return next(known, label_space)


def read_preprocess(text: str) -> Preprocess:
    """A preprocess: a registered model's, or JSON as ``show MODEL --json`` prints it, itself or in a file.

    Raises:
        UserError: none of these, or a field that a preprocess has not.
    """
    if text.lstrip().startswith("{"):
        return _parsed(text, where="--preprocess")
    path = Path(text).expanduser()
    if path.suffix == ".json" or path.is_file():
        return _parsed(read_small(path), where=str(path))
    try:
        found = MODELS.get(text)
    except UnknownNameError as error:
        raise UserError(
            f"--preprocess {text}: {error.message}, and no such file",
            hint="a model's name, a JSON file, or JSON as printed by: robustbench-shift show MODEL --json",
        ) from error
    if "preprocess" in found.undeclared:
        raise UserError(f"--preprocess {text}: nothing tells the preprocess of that model either")
    return found.preprocess


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a text file that are not empty.

    Raises:
        UserError: not there, no text, or empty.
    """
    lines = tuple(line.strip() for line in read_small(path).splitlines() if line.strip())
    if not lines:
        raise UserError(f"{path} is empty", hint="one entry in each line")
    return lines


def read_small(path: Path) -> str:
    """The text of a small file.

    Raises:
        UserError: not there, too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} is larger than {LARGEST_FILE} bytes; is it the right file?")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file in UTF-8") from error


def preprocess_from(fields: Mapping[str, Any], *, where: str) -> Preprocess:
    """A preprocess from plain values.

    Raises:
        UserError: unknown fields, or values of another kind.
    """
    known = {field.name for field in dataclasses.fields(Preprocess)}
    unknown = [key for key in fields if key not in known]
    if unknown:
        raise UserError(
            f"{where}: a preprocess has no {', '.join(unknown)}", hint=f"it has {', '.join(sorted(known))}"
        )
    made: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
    }
    for key, value in made.items():
        if key in ("mean", "std") and not _numbers(value, (int, float)):
            raise UserError(f"{where}: {key} is three numbers, not {value!r}")
        if key in ("resize", "crop") and not _size(value, single=key == "resize"):
            raise UserError(f"{where}: {key} is given in pixels, not as {value!r}")
    try:
        return Preprocess(**made)
    except TypeError as error:
        raise UserError(f"{where} is not a preprocess: {error}") from error


def _numbers(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, tuple) and all(isinstance(v, kinds) and not isinstance(v, bool) for v in value)


def _size(value: Any, *, single: bool) -> bool:
    if value is None or (single and isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return True
    return _numbers(value, (int,)) and len(value) == 2 and min(value) > 0


def _parsed(text: str, *, where: str) -> Preprocess:
    try:
        found = json.loads(text)
        for key in ("model", "preprocess"):
            found = found.get(key, found)
        if not isinstance(found, dict):
            raise TypeError
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise UserError(
            f"{where} is not a preprocess in JSON", hint='such as {"resize": 256, "crop": [224, 224]}'
        ) from error
    return preprocess_from(found, where=where)


def _free_name(name: str, spec: ModelSpec) -> str:
    if not NAME.fullmatch(name):
        raise UserError(
            f"a model cannot be called {name!r}",
            hint="lower-case letters and digits, with . _ or - between them",
        )
    if name != spec.name and name in MODELS:
        raise UserError(f"{name!r} is a registered model", hint="choose another --name")
    return name
