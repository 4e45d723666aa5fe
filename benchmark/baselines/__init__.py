"""Published accuracies of baseline models as versioned data.

A baseline is two files beside this one: ``<name>-v<version>.csv``, one row per model and shift, and
``<name>-v<version>.json`` with its source, licence and default members. A number that changes gets a new
version; old versions stay, so that a line once reported can be fitted again.
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
import functools
import importlib.resources
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, get_args

from benchmark.lines import MIN_MODELS, BaselineFit, BaselinePoint, Method, fit_baseline
from benchmark.scales import Scale
from shifts.errors import CorruptDataError, FitError, UnknownNameError, UserError

SCHEMA_VERSION = 1

KindOfNumber = Literal["measured", "claimed"]
Choice = Literal["measured", "claimed", "any"]

_FILE = re.compile(r"(?P<name>[a-z0-9]+(?:[.-][a-z0-9]+)*)-v(?P<version>[1-9][0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow:
    """The accuracy of one model on one shift.

    Attributes:
        model: the model's name in the publication.
        library_key: how a library loads it (``timm:resnet50.a1_in1k``), or empty.
        shift: name of the shift or reference.
        protocol: what else moves the number (classes kept, prompts), in words; one line has one protocol
            on either axis.
        accuracy: top-1, a fraction in [0, 1].
        n: examples behind it, or None where the publisher does not say.
        family: as in ``ModelSpec``.
        training_data: names of the data sets it was trained on.
        kind_of_number: ``"measured"`` by the publisher from predictions, or ``"claimed"`` (copied from a
            paper's table).
        publisher, revision: who says so, and in which revision of the source.
        note: free text.
    """

    model: str
    library_key: str = ""
    shift: str
    protocol: str = ""
    accuracy: float
    n: int | None = None
    family: str
    training_data: tuple[str, ...] = ()
    kind_of_number: KindOfNumber
    publisher: str = ""
    revision: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not self.model or not self.shift:
            raise ValueError("a row needs a model and a shift")
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy {self.accuracy} is not a fraction in [0, 1]")
        if self.n is not None and self.n < 1:
            raise ValueError(f"n is {self.n}")
        if self.kind_of_number not in get_args(KindOfNumber):
            raise ValueError(f"kind_of_number {self.kind_of_number!r} is neither measured nor claimed")
        if any(not name or ";" in name for name in self.training_data):
            raise ValueError("training data are names without semicolons")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRule:
    """Which models make the line unless told otherwise.

    Attributes:
        families: only these; empty for all.
        min_reference_accuracy: models below it stay out; None for no limit.
        exclude_substrings: models with one of these in their name stay out.
    """

    families: tuple[str, ...] = ()
    min_reference_accuracy: float | None = None
    exclude_substrings: tuple[str, ...] = ()

    def reasons(self, points: Iterable[BaselinePoint]) -> dict[str, str]:
        """Model → why it stays out, by family and name; the accuracy is left to the fit."""
        found = {}
        for point in points:
            marks = [mark for mark in self.exclude_substrings if mark in point.model]
            if self.families and point.family not in self.families:
                found[point.model] = f"family {point.family} is not {' or '.join(self.families)}"
            elif marks:
                found[point.model] = f"name contains {marks[0]!r}"
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A published set of accuracies.

    Attributes:
        name, version: together the identifier, ``<name>-v<version>``.
        source, revision: where the numbers come from, and in which state.
        default_members: which models make the line.
        regenerate: the command that makes the files again.
        references: the shifts that serve as the x axis.
        rows: sorted by model, shift, protocol and kind of number.
    """

    name: str
    version: int
    title: str
    source: str
    revision: str
    licence: str
    citation: str
    default_members: MemberRule = MemberRule()
    regenerate: str
    references: tuple[str, ...]
    rows: tuple[BaselineRow, ...]

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.identifier):
            raise ValueError(f"{self.identifier!r} is not of the form name-v1, in lower case with dashes")
        keys = [_key(row) for row in self.rows]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"two rows for {', '.join(part for part in twice if part)}")
        object.__setattr__(self, "rows", tuple(sorted(self.rows, key=_key)))

    @property
    def identifier(self) -> str:
        """``<name>-v<version>``, as results quote it."""
        return f"{self.name}-v{self.version}"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, sorted."""
        return tuple(sorted({row.model for row in self.rows}))

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every (reference, shift) on which four models or more have an accuracy on both, sorted."""
        models: dict[str, set[str]] = {}
        for row in self.rows:
            models.setdefault(row.shift, set()).add(row.model)
        return tuple(
            (reference, shift)
            for reference in sorted(set(self.references) & set(models))
            for shift in sorted(set(models) - {reference})
            if len(models[reference] & models[shift]) >= MIN_MODELS
        )

    def points(
        self,
        reference: str,
        shift: str,
        *,
        kind_of_number: Choice | None = None,
        protocol: str | None = None,
        reference_protocol: str | None = None,
    ) -> tuple[BaselinePoint, ...]:
        """The models that have an accuracy on both, all families, sorted by name.

        Args:
            reference, shift: names of the two axes.
            kind_of_number: ``"measured"`` or ``"claimed"`` keeps those numbers; ``"any"`` mixes them, a
                model's measured number before its claimed one; None takes the kind there is.
            protocol, reference_protocol: which rows of the shift and of the reference; None takes the one
                there is.

        Raises:
            UnknownNameError: no row for the reference or the shift.
            FitError: measured and claimed numbers, or several protocols, would mix on one axis unasked.
        """
        axes = (
            self._axis(reference, protocol=reference_protocol, kind=kind_of_number),
            self._axis(shift, protocol=protocol, kind=kind_of_number),
        )
        both = set.intersection(*({row.model for row in axis} for axis in axes))
        used = [[row for row in axis if row.model in both] for axis in axes]
        kinds = {row.kind_of_number for axis in used for row in axis}
        if kind_of_number is None and len(kinds) > 1:
            raise FitError(
                f"{self.identifier} has measured and claimed accuracies for {reference} and {shift}, "
                "which do not mix in one line",
                hint="ask for kind_of_number 'measured' or 'claimed', or for 'any' to mix them",
            )
        for axis, name in zip(used, (reference, shift), strict=True):
            protocols = sorted({row.protocol for row in axis})
            if len(protocols) > 1:
                raise FitError(
                    f"{self.identifier} has accuracies on {name} under several protocols",
                    hint=f"choose one of {', '.join(repr(protocol) for protocol in protocols)}",
                )
        # Sorted so that where both kinds were asked for, a measured number replaces a claimed one.
        on_reference, on_shift = (
            {row.model: row for row in sorted(axis, key=lambda row: row.kind_of_number)} for axis in used
        )
        return tuple(
            BaselinePoint(
                model=model,
                reference_accuracy=on_reference[model].accuracy,
                reference_n=on_reference[model].n,
                shift_accuracy=on_shift[model].accuracy,
                shift_n=on_shift[model].n,
                family=on_shift[model].family,
            )
            for model in sorted(both)
        )

    def fit(
        self,
        reference: str,
        shift: str,
        *,
        scale: Scale = "probit",
        method: Method = "least-squares",
        members: MemberRule | None = None,
        exclude: Mapping[str, str] | None = None,
        kind_of_number: Choice | None = None,
        protocol: str | None = None,
        reference_protocol: str | None = None,
    ) -> BaselineFit:
        """The line through the default members, or those of another rule.

        Args:
            reference, shift, kind_of_number, protocol, reference_protocol: as for ``points``.
            scale, method: as for ``fit_baseline``.
            members: None for the baseline's own rule.
            exclude: model → reason, further models that stay out (e.g. trained on the shift's images).

        Raises:
            UnknownNameError, FitError: as ``points`` and ``fit_baseline`` do.
        """
        rule = self.default_members if members is None else members
        points = self.points(
            reference,
            shift,
            kind_of_number=kind_of_number,
            protocol=protocol,
            reference_protocol=reference_protocol,
        )
        return fit_baseline(
            points,
            reference=reference,
            shift=shift,
            scale=scale,
            method=method,
            min_reference_accuracy=rule.min_reference_accuracy,
            exclude={**rule.reasons(points), **(exclude or {})},
            baseline=self.identifier,
        )

    def _axis(self, shift: str, *, protocol: str | None, kind: Choice | None) -> list[BaselineRow]:
        rows = [row for row in self.rows if row.shift == shift]
        if not rows:
            raise _unknown(f"shift of {self.identifier}", shift, sorted({row.shift for row in self.rows}))
        chosen = [row for row in rows if protocol is None or row.protocol == protocol]
        if not chosen:
            raise _unknown(f"protocol for {shift}", protocol or "", sorted({row.protocol for row in rows}))
        return [row for row in chosen if kind in (None, "any", row.kind_of_number)]


def baseline_names(*, folder: Path | None = None) -> tuple[str, ...]:
    """Identifiers of all versions of all baselines, sorted by name and version.

    Args:
        folder: another folder than the package's own.
    """
    return tuple(f"{name}-v{version}" for name, version in _available(folder))


def load_baseline(name: str, *, folder: Path | None = None) -> Baseline:
    """A baseline by identifier (``digits-scratch-v1``, ``digits-scratch@1``) or name (its latest version).

    Args:
        name: identifier or name.
        folder: another folder than the package's own.

    Raises:
        UnknownNameError: no such baseline.
        CorruptDataError: its files are damaged, or of a newer schema version.
    """
    available = _available(folder)
    latest = {known: f"{known}-v{version}" for known, version in available}
    identifier = latest.get(name, re.sub(r"@v?(?=[0-9]+$)", "-v", name))
    identifiers = [f"{known}-v{version}" for known, version in available]
    if identifier not in identifiers:
        raise _unknown("baseline", name, [*latest, *identifiers])
    return _load(identifier, folder)


def baselines_for(reference: str, shift: str, *, folder: Path | None = None) -> tuple[str, ...]:
    """Identifiers of the baselines, in their latest versions, that have a line from reference to shift."""
    latest = dict(_available(folder))
    identifiers = [f"{name}-v{version}" for name, version in latest.items()]
    return tuple(name for name in identifiers if (reference, shift) in _load(name, folder).pairs())


def write_baseline(folder: Path, baseline: Baseline) -> Path:
    """Write both files of a baseline; equal baselines give equal bytes.

    Returns:
        The path of the CSV file; the JSON file lies beside it.

    Raises:
        UserError: a file of this version is there with other content (raise the version instead).
    """
    texts = {
        f"{baseline.identifier}.csv": _csv(baseline.rows),
        f"{baseline.identifier}.json": _json(baseline),
    }
    for name, text in texts.items():
        path = folder / name
        if path.exists() and path.read_bytes() != text.encode():
            raise UserError(
                f"{path} exists with other content",
                hint=f"a published version never changes: write version {baseline.version + 1}",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        temporary = folder / f".{name}.{os.getpid()}"
        temporary.write_bytes(text.encode())
        temporary.replace(folder / name)
    return folder / f"{baseline.identifier}.csv"


def _available(folder: Path | None) -> list[tuple[str, int]]:
    root = folder if folder is not None else importlib.resources.files(__name__)
    found = [_FILE.fullmatch(entry.name[:-4]) for entry in root.iterdir() if entry.name.endswith(".csv")]
    return sorted((match["name"], int(match["version"])) for match in found if match)


@functools.lru_cache(maxsize=32)
def _shipped(identifier: str) -> Baseline:
    # The package's own files do not change while it runs; those in another folder may.
    return _read(identifier, importlib.resources.files(__name__))


def _load(identifier: str, folder: Path | None) -> Baseline:
    return _shipped(identifier) if folder is None else _read(identifier, folder)


def _read(identifier: str, root: Path | Traversable) -> Baseline:
    mend = "restore both files of the baseline, or reinstall the package"
    try:
        document = json.loads((root / f"{identifier}.json").read_text(encoding="utf-8"))
        table = (root / f"{identifier}.csv").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CorruptDataError(f"baseline {identifier}: {error}", hint=mend) from error
    if not isinstance(document, dict) or not isinstance(document.get("schema_version"), int):
        raise CorruptDataError(f"baseline {identifier}: the JSON file has no schema_version", hint=mend)
    if document["schema_version"] > SCHEMA_VERSION:
        raise CorruptDataError(
            f"baseline {identifier} has schema version {document['schema_version']}; "
            f"this program reads up to {SCHEMA_VERSION}",
            hint="upgrade robustbench-shift",
        )
    try:
        baseline = _from_document(document, _rows(table))
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptDataError(f"baseline {identifier}: {error}", hint=mend) from error
    if baseline.identifier != identifier:
        raise CorruptDataError(f"baseline {identifier} calls itself {baseline.identifier}", hint=mend)
    return baseline


def _from_document(document: Mapping[str, Any], rows: tuple[BaselineRow, ...]) -> Baseline:
    fields = {name: value for name, value in document.items() if name != "schema_version"}
    rule = dict(fields.pop("default_members"))
    for name in ("families", "exclude_substrings"):
        rule[name] = tuple(rule.get(name, ()))
    references = tuple(fields.pop("references"))
    return Baseline(**fields, references=references, default_members=MemberRule(**rule), rows=rows)


def _columns() -> list[str]:
    return [field.name for field in dataclasses.fields(BaselineRow)]


def _rows(table: str) -> tuple[BaselineRow, ...]:
    reader = csv.DictReader(io.StringIO(table, newline=""), strict=True)
    if reader.fieldnames != _columns():
        raise ValueError(f"columns are {reader.fieldnames}, expected {_columns()}")
    rows = []
    for number, cells in enumerate(reader, start=2):
        try:
            values: dict[str, Any] = {
                **cells,
                "accuracy": float(cells["accuracy"]),
                "n": int(cells["n"]) if cells["n"] else None,
                "training_data": tuple(cells["training_data"].split(";")) if cells["training_data"] else (),
            }
            rows.append(BaselineRow(**values))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"row {number}: {error}") from error
    return tuple(rows)


def _csv(rows: Sequence[BaselineRow]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=_columns(), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = {name: getattr(row, name) for name in _columns()}
        writer.writerow({**values, "training_data": ";".join(row.training_data)})
    return stream.getvalue()


def _json(baseline: Baseline) -> str:
    document = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(baseline)}
    del document["rows"]
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _key(row: BaselineRow) -> tuple[str, str, str, str]:
    return (row.model, row.shift, row.protocol, row.kind_of_number)


def _unknown(kind: str, name: str, known: Sequence[str]) -> UnknownNameError:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return UnknownNameError(f"no {kind} is called {name!r}", hint=f"did you mean {' or '.join(near)}?")
    listed = ", ".join(known[:20]) or "none"
    return UnknownNameError(f"no {kind} is called {name!r}", hint=f"there are: {listed}")
