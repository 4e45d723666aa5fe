"""``manifest.json``: what a submission says of its model and claims of its predictions."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from benchmark.estimate import Estimate
from leaderboard.container import table_name
from models_zoo.spec import Family
from models_zoo.training_data import official
from shifts.errors import ResultsError, UnknownNameError

SCHEMA_VERSION = 1
TEXT = 500
PRECISIONS = ("float32", "bfloat16", "float16")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LINK = re.compile(r"https?://[^\s<>\"'`\\]{1,490}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}")
# Characters that no text needs and that hide what a reader sees: controls, and marks that turn its direction.
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What was evaluated, as plain data.

    Attributes:
        name: as the model is shown and loaded; unique together with the digest of its weights.
        paper, code: links, or None.
        family: as in ``ModelSpec``.
        training_data: names of ``models_zoo.training_data``.
        parameters: how many, or None where nobody counted.
        weights: SHA-256 of the weights file, or None for a model without one.
        preprocess: ``models_zoo.spec.Preprocess`` as data; empty where another harness ran the model.
        prompts: label space → SHA-256 over class names and templates, for zero-shot models.
        arguments: of the model's loader, as data.
        versions: package → version that it was run with.
    """

    name: str
    title: str
    authors: tuple[str, ...]
    paper: str | None = None
    code: str | None = None
    licence: str
    citation: str = ""
    source: str = ""
    family: str
    label_space: str
    training_data: tuple[str, ...]
    parameters: int | None = None
    weights: str | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The predictions on one shift and the numbers claimed of them.

    Attributes:
        content: content digest of the images they were made on.
        model_digest: over all that can move a logit (of a zero-shot model also class names and prompts).
        file, sha256: where the predictions lie in the bundle, and their hash.
        group_columns: column → names of its values.
        metrics, worst_group, warnings: as in ``benchmark.result.Result``.
    """

    shift: str
    shift_digest: str
    content: str
    model_digest: str
    file: str
    sha256: str
    n: int
    num_classes: int
    group_columns: Mapping[str, tuple[str, ...]]
    metrics: Mapping[str, Estimate | None]
    worst_group: str | None = None
    warnings: tuple[str, ...] = ()
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A submission: one model on the shifts of one suite.

    Attributes:
        suite_digest: over the digests of all its shifts; ``protocol_digest``: over their definitions alone.
        contact: how to reach who submits: an address or a profile.
        supersedes: id of an entry on the board that this one replaces, or None.
        created_with: version of this package.
    """

    suite: str
    suite_digest: str
    protocol_digest: str
    model: ModelCard
    contact: str
    shifts: tuple[Claim, ...]
    supersedes: str | None = None
    created_with: str = ""
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The file's text; the same for equal manifests."""
        document = {name: getattr(self, name) for name in self.__slots__}
        document["model"] = dataclasses.asdict(self.model)
        document["shifts"] = [_claim_json(claim) for claim in self.shifts]
        return json.dumps(
            {"schema_version": document.pop("schema_version"), **document}, indent=1, allow_nan=False
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read a manifest, every field of which has its type; ``problems`` looks at the values.

        Raises:
            ResultsError: no JSON, a newer version, a field missing, unknown or of a wrong type.
        """
        try:
            document = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ResultsError(f"the manifest is not JSON: {error}") from error
        if not isinstance(document, dict) or not isinstance(document.get("schema_version"), int):
            raise ResultsError("the manifest has no schema_version")
        if document["schema_version"] > SCHEMA_VERSION:
            raise ResultsError(
                f"the manifest has schema {document['schema_version']}, this version reads up to "
                f"{SCHEMA_VERSION}",
                hint="upgrade robustbench-shift",
            )
        return typing.cast(Manifest, read_dataclass(cls, document, "manifest"))


def _claim_json(claim: Claim) -> dict[str, Any]:
    found = {name: getattr(claim, name) for name in claim.__slots__}
    found["metrics"] = {
        name: None if estimate is None else estimate.to_json() for name, estimate in claim.metrics.items()
    }
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


# Resolving the annotations takes longer than reading an object by them.
_hints = functools.cache(typing.get_type_hints)


def read_dataclass(kind: type, document: Any, where: str) -> Any:
    """A dataclass of this package from its JSON object; nothing unknown, nothing of another type.

    Raises:
        ResultsError: names the field.
    """
    if not isinstance(document, dict):
        raise ResultsError(f"{where} is not an object")
    hints = _hints(kind)
    fields = {one.name: one for one in dataclasses.fields(kind)}
    unknown = sorted(set(document) - set(fields))
    if unknown:
        raise ResultsError(f"{where} has an unknown field {unknown[0][:40]!r}")
    needed = dataclasses.MISSING
    missing = [
        name
        for name, one in fields.items()
        if one.default is needed and one.default_factory is needed and name not in document
    ]
    if missing:
        raise ResultsError(f"{where} has no field {missing[0]!r}")
    values = {name: _value(hints[name], value, f"{where}.{name}") for name, value in document.items()}
    return kind(**values)


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _value(next(one for one in inner if one is not type(None)), value, where)
    if kind is Estimate:
        if not isinstance(value, dict):
            raise ResultsError(f"{where} is not an estimate")
        return Estimate.from_json(value)
    if dataclasses.is_dataclass(kind):
        return read_dataclass(typing.cast(type, kind), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ResultsError(f"{where} is not a list")
        return tuple(_value(inner[0], one, f"{where}[{place}]") for place, one in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ResultsError(f"{where} is not an object")
        return {name: _value(inner[1], one, f"{where}.{name[:40]}") for name, one in value.items()}
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ResultsError(f"{where} is {str(value)[:40]!r}, expected {kind.__name__}")
    return value


def problems(manifest: Manifest) -> list[str]:
    """What is wrong with the values of a manifest, in words; empty for a good one."""
    return [*_texts(manifest), *_card(manifest.model), *_claims(manifest)]


def _texts(manifest: Manifest) -> Iterator[str]:
    def walk(value: Any, where: str) -> Iterator[str]:
        if isinstance(value, str):
            if len(value) > TEXT:
                yield f"{where} has {len(value)} characters, at most {TEXT} are taken"
            if _HIDDEN.search(value):
                yield f"{where} has control characters"
        elif isinstance(value, Mapping):
            for name, one in value.items():
                yield from walk(name, f"a name in {where}")
                yield from walk(one, f"{where}.{name[:40]}")
        elif isinstance(value, (list, tuple)):
            for place, one in enumerate(value):
                yield from walk(one, f"{where}[{place}]")
        elif dataclasses.is_dataclass(value):
            for one in dataclasses.fields(value):
                yield from walk(getattr(value, one.name), one.name)

    yield from walk(manifest, "manifest")
    if not manifest.contact.strip():
        yield "contact is empty: say how to reach you (an address or a profile)"


def _card(card: ModelCard) -> Iterator[str]:
    if not _NAME.fullmatch(card.name):
        yield f"model.name {card.name[:40]!r} is not of letters, digits and ._:/@+- (up to 100)"
    for name in ("title", "licence"):
        if not getattr(card, name).strip():
            yield f"model.{name} is empty"
    if not any(author.strip() for author in card.authors):
        yield "model.authors names nobody"
    for name in ("paper", "code"):
        link = getattr(card, name)
        if link is not None and not _LINK.fullmatch(link):
            yield f"model.{name} is not a link that begins with https:// or http://"
    if card.family not in get_args(Family):
        yield f"model.family {card.family[:40]!r} is not one of {', '.join(get_args(Family))}"
    if not card.training_data:
        yield "model.training_data is empty: say 'unknown' or 'private' where it is"
    for name in card.training_data:
        if not _is_official(name):
            yield f"model.training_data {name[:40]!r} is not of the vocabulary (models_zoo/training_data.py)"
    if card.parameters is not None and card.parameters < 0:
        yield "model.parameters is negative"
    if card.weights is not None and not _SHA256.fullmatch(card.weights):
        yield "model.weights is not a SHA-256"
    if card.precision not in PRECISIONS:
        yield f"model.precision {card.precision[:40]!r} is not one of {', '.join(PRECISIONS)}"


def _is_official(name: str) -> bool:
    try:
        return official(name) == name
    except UnknownNameError:
        return False


def _claims(manifest: Manifest) -> Iterator[str]:
    if not manifest.shifts:
        yield "the manifest claims nothing: no shift"
    for claim in manifest.shifts:
        for name in ("shift_digest", "content", "model_digest", "sha256"):
            if not _SHA256.fullmatch(getattr(claim, name)):
                yield f"{claim.shift[:80]}: {name} is not a SHA-256"
        file = table_name(claim.shift)
        if claim.file != file:
            yield f"{claim.shift[:80]}: its file is {file[:120]!r}, not {claim.file[:120]!r}"
        if claim.n < 1 or claim.num_classes < 1:
            yield f"{claim.shift[:80]}: n and num_classes must be at least 1"
    for name in ("suite_digest", "protocol_digest"):
        if not _SHA256.fullmatch(getattr(manifest, name)):
            yield f"{name} is not a SHA-256"
