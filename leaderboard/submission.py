"""From a results folder to a bundle that somebody else can re-score."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmark.heads import latest
from benchmark.predictions import read_predictions
from benchmark.result import Result
from benchmark.store import PREDICTIONS, Store
from leaderboard.checks.suite import PARTIAL
from leaderboard.container import BUNDLE_BYTES, MANIFEST, table_name, write_zip
from leaderboard.keys import Keys
from leaderboard.manifest import Claim, Manifest, ModelCard
from leaderboard.suites import protocol_digest, suite_digest, suite_shifts
from leaderboard.table import encode, from_predictions
from leaderboard.verify import Verified, verify
from models_zoo.training_data import official
from shifts.digest import digest
from shifts.errors import ResultsError, UserError
from shifts.labels import ANY, LABEL_SPACES
from shifts.local import write_atomic
from shifts.spec import SHIFTS

# Fields of a card that a user may give; the others follow from the evaluation.
GIVEN = ("title", "authors", "paper", "code", "licence", "citation", "source", "family", "training_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A bundle that was written.

    Attributes:
        path: the zip.
        size: its bytes.
        verified: what verification said of it before it was written.
    """

    path: Path
    size: int
    manifest: Manifest
    verified: Verified


def read_card(path: Path) -> dict[str, Any]:
    """Fields of a model card from a JSON or TOML file.

    Raises:
        UserError: no such file, not readable, or a field that a card does not take.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the model card {path}: {error}") from error
    allowed = {*GIVEN, "contact", "name", "parameters", "precision"}
    unknown = sorted(set(found) - allowed) if isinstance(found, dict) else ["(not a table)"]
    if unknown:
        raise UserError(
            f"the model card {path} has an unknown field {unknown[0]!r}",
            hint=f"fields: {', '.join(sorted(allowed))}",
        )
    return dict(found)


def choose(store: Store, model: str, suite: str | None) -> tuple[str, list[tuple[Path, Result]]]:
    """The finished evaluations of a model on a suite, one for each shift.

    Args:
        store: the results.
        suite: None for the one suite that they have all of.

    Raises:
        ResultsError: no such model, several under one name, or shifts that are missing or not whole.
    """
    found = latest(store.results())
    stored = [pair for pair in found if pair[1].status == "ok" and pair[1].model == model]
    if not stored:
        names = sorted({result.model for _, result in found})
        raise ResultsError(
            f"{store.place} has no finished evaluation of {model!r}",
            hint=f"it has {', '.join(names)}" if names else f"robustbench-shift eval --model {model}",
        )
    suite = suite or _only_suite(stored, model)
    wanted = [spec.name for spec in suite_shifts(suite)]
    chosen = [(folder, result) for folder, result in stored if result.shift in wanted]
    weights = {_card_of(result).get("weights") for _, result in chosen}
    if len(weights) > 1:
        raise ResultsError(
            f"{store.place} has {model!r} with {len(weights)} different weights",
            hint="keep one of them in a folder of its own",
        )
    missing = [name for name in wanted if name not in {result.shift for _, result in chosen}]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ResultsError(
            f"suite {suite!r} is not complete: {', '.join(missing[:5])}{more} not evaluated",
            hint=f"robustbench-shift eval --model {model} --suite {suite} --results {store.place}",
        )
    for _, result in chosen:
        marks = [warning for warning in result.warnings if warning.startswith(PARTIAL)]
        if marks:
            raise ResultsError(
                f"{result.shift} was not evaluated whole, which no board takes: {marks[0]}",
                hint="evaluate all of it, without --limit and on a complete copy of the images",
            )
    order = {name: place for place, name in enumerate(wanted)}
    return suite, sorted(chosen, key=lambda pair: order[pair[1].shift])


def _only_suite(stored: Sequence[tuple[Path, Result]], model: str) -> str:
    from benchmark.suites import SUITES

    have = {result.shift for _, result in stored}
    whole = {
        suite.name: members
        for suite in SUITES
        if (members := frozenset(spec.name for spec in suite_shifts(suite.name))) and members <= have
    }
    # The smaller of two suites that are both complete says less.
    widest = [name for name, members in whole.items() if not any(members < other for other in whole.values())]
    if len(widest) == 1:
        return widest[0]
    if not widest and len(have) == 1:
        return next(iter(have))
    raise ResultsError(
        f"{model!r} has {'more than one' if widest else 'no'} complete suite here",
        hint=f"--suite {' or --suite '.join(widest)}" if widest else "--suite NAME says what is missing",
    )


def make_manifest(
    suite: str,
    chosen: Sequence[tuple[Path, Result]],
    *,
    given: Mapping[str, Any],
    contact: str,
    supersedes: str | None = None,
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the files of predictions that it lists.

    Args:
        given: fields of the model card; they come before what the results say.

    Raises:
        ResultsError: a result lacks what a bundle has to say.
    """
    files: dict[str, bytes] = {}
    claims = []
    for folder, result in chosen:
        predictions = read_predictions(folder / PREDICTIONS)
        content = result.provenance.get("content")
        if not isinstance(content, str):
            raise ResultsError(
                f"{folder} does not say which images it was measured on", hint="evaluate the model again"
            )
        name = table_name(result.shift)
        files[name] = encode(from_predictions(predictions))
        claims.append(
            Claim(
                shift=result.shift,
                shift_digest=result.shift_digest,
                content=content,
                model_digest=result.model_digest,
                file=name,
                sha256=hashlib.sha256(files[name]).hexdigest(),
                n=len(predictions),
                num_classes=predictions.header.num_classes,
                group_columns=predictions.header.group_columns,
                metrics=result.metrics,
                worst_group=result.worst_group,
                warnings=result.warnings,
                device=str(result.provenance.get("device", "")),
            )
        )
    manifest = Manifest(
        suite=suite,
        suite_digest=suite_digest({claim.shift: claim.shift_digest for claim in claims}),
        protocol_digest=protocol_digest(SHIFTS.get(claim.shift) for claim in claims),
        model=make_card([result for _, result in chosen], given),
        contact=contact,
        shifts=tuple(claims),
        supersedes=supersedes,
        created_with=_own_version(),
    )
    return manifest, files


def make_card(results: Sequence[Result], given: Mapping[str, Any]) -> ModelCard:
    """The model card: what the results know of the model, then what the user adds.

    Raises:
        UserError: a field that the results do not have was not given.
    """
    first = results[0]
    known = _card_of(first)
    label_space = str(known.get("label_space") or "")
    prompts = {}
    if label_space == ANY:
        for space in sorted({SHIFTS.get(result.shift).label_space for result in results}):
            classes = LABEL_SPACES.get(space)
            prompts[space] = digest({"class_names": classes.class_names, "templates": classes.templates})
    fields: dict[str, Any] = {
        "name": first.model,
        "label_space": label_space or SHIFTS.get(first.shift).label_space,
        "prompts": prompts,
        "family": first.family,
        "training_data": list(first.training_data),
        "precision": str(first.provenance.get("precision", "float32")),
        "versions": dict(first.provenance.get("versions", {})),
        **{
            name: known[name]
            for name in (
                "title",
                "licence",
                "citation",
                "source",
                "parameters",
                "weights",
                "preprocess",
                "arguments",
            )
            if known.get(name) is not None
        },
        **{name: value for name, value in given.items() if value not in (None, (), [])},
    }
    for name in ("authors", "training_data"):
        value = fields.get(name, ())
        fields[name] = (value,) if isinstance(value, str) else tuple(value)
    fields["training_data"] = tuple(official(name) for name in fields["training_data"])
    missing = [
        one.name
        for one in dataclasses.fields(ModelCard)
        if one.default is dataclasses.MISSING
        and one.default_factory is dataclasses.MISSING
        and not fields.get(one.name)
    ]
    if missing:
        raise UserError(
            f"the model card lacks {', '.join(missing)}",
            hint="give them as options (--author, --licence, ...) or in a file: --card FILE",
        )
    return ModelCard(**fields)


def write_submission(
    folder: Path, manifest: Manifest, files: Mapping[str, bytes], *, keys: Keys | None = None
) -> Submission:
    """Verify a bundle and write it as ``<folder>/<model>--<suite>.zip``.

    Raises:
        ResultsError: a check fails, or it is larger than an attachment may be. Nothing is left then.
    """
    members = {MANIFEST: manifest.to_json().encode(), **files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    name = f"{slug(manifest.model.name)}--{slug(manifest.suite)}"
    waiting = folder / f".{name}.tmp"
    try:
        write_zip(waiting, members)
        size = waiting.stat().st_size
        if size > BUNDLE_BYTES:
            raise ResultsError(
                f"the bundle has {size / 1e6:.1f} MB, at most {BUNDLE_BYTES / 1e6:.0f} MB can be sent",
                hint="submit a smaller suite",
            )
        verified = verify(waiting, keys=keys)
        failed = [check for check in verified.report.checks if check.status == "failed"]
        if failed:
            raise ResultsError(
                f"the bundle would not be taken: {failed[0].name}: {failed[0].detail}",
                hint="evaluate the model again with this version",
            )
        path = folder / f"{name}.zip"
        write_atomic(path, waiting.read_bytes())
    finally:
        waiting.unlink(missing_ok=True)
    return Submission(path=path, size=size, manifest=manifest, verified=verified)


def slug(name: str) -> str:
    """A name as part of a file's name, in lower case.

    >>> slug("timm:resnet50.a1_in1k")
    'timm-resnet50.a1-in1k'
    """
    kept = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in name.lower())
    return kept.encode("ascii", "replace").decode().replace("?", "-").strip(".-") or "model"


def _card_of(result: Result) -> Mapping[str, Any]:
    found = result.provenance.get("model")
    return found if isinstance(found, Mapping) else {}


def _own_version() -> str:
    try:
        return f"robustbench-shift {version('robustbench-shift')}"
    except PackageNotFoundError:
        return "robustbench-shift"
