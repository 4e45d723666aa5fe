"""Baselines on disk: a wide CSV table, and a JSON file that says what its columns are."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.resources
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.baselines.table import FILE_NAME, Baseline, BaselineRow, MemberRule, unknown
from shifts.errors import CorruptDataError, UserError

if TYPE_CHECKING:
    from benchmark.baselines.own import Read

SCHEMA_VERSION = 1
RESULTS = "results:"

# Fields of a row that belong to the model; the others, but for the accuracy, belong to the column.
_MODEL = ("model", "library_key", "family", "training_data")
_COLUMN = ("shift", "protocol", "n", "kind_of_number", "publisher", "revision", "note")
_MEND = "restore both files of the baseline, or reinstall the package"


def baseline_names(*, folder: Path | None = None) -> tuple[str, ...]:
    """Identifiers of all versions of all baselines, sorted by name and version.

    Args:
        folder: another folder than the package's own.
    """
    return tuple(f"{name}-v{version}" for name, version in _available(folder))


def load_baseline(name: str, *, folder: Path | None = None, read: Read | None = None) -> Baseline:
    """A baseline by identifier (``digits-scratch-v1``, ``digits-scratch@1``) or name (its latest version).

    Args:
        name: identifier or name; or ``results:DIR`` for the results of one's own that lie in DIR, which may
            be a URL.
        folder: another folder than the package's own.
        read: results that were read already, by the roots of their stores.

    Raises:
        UnknownNameError: no such baseline.
        CorruptDataError: its files are damaged, or of a newer schema version.
        ResultsError: there are no results in DIR.
    """
    if name.startswith(RESULTS):
        from benchmark.baselines.own import results_baseline

        return results_baseline(name, read=read)
    available = _available(folder)
    latest = {known: f"{known}-v{version}" for known, version in available}
    identifier = latest.get(name, re.sub(r"@v?(?=[0-9]+$)", "-v", name))
    identifiers = [f"{known}-v{version}" for known, version in available]
    if identifier not in identifiers:
        raise unknown("baseline", name, [*latest, *identifiers])
    if folder is not None:
        return _read(identifier, folder)
    return _shipped(identifier)


def baselines_for(reference: str, shift: str, *, folder: Path | None = None) -> tuple[str, ...]:
    """Identifiers of the baselines, in their latest versions, that have a line from reference to shift.

    The default one comes first. Only the JSON files are read: an evaluation asks this of every shift.
    """
    latest = dict(_available(folder))
    found = []
    for name, version in latest.items():
        identifier = f"{name}-v{version}"
        document = _shipped_document(identifier) if folder is None else _document(identifier, folder)
        if shift in document["pairs"].get(reference, ()):
            found.append((-document["precedence"], identifier))
    return tuple(identifier for _, identifier in sorted(found))


def write_baseline(folder: Path, baseline: Baseline) -> Path:
    """Write both files of a baseline; equal baselines give equal bytes.

    Returns:
        The path of the CSV file; the JSON file lies beside it.

    Raises:
        UserError: a file of this version is there with other content (raise the version instead).
    """
    columns = _columns(baseline.rows)
    texts = {
        f"{baseline.identifier}.csv": _csv(baseline.rows, columns),
        f"{baseline.identifier}.json": _json(baseline, columns),
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
    root = folder if folder is not None else importlib.resources.files("benchmark.baselines")
    found = [FILE_NAME.fullmatch(entry.name[:-4]) for entry in root.iterdir() if entry.name.endswith(".csv")]
    return sorted((match["name"], int(match["version"])) for match in found if match)


@functools.lru_cache(maxsize=32)
def _shipped(identifier: str) -> Baseline:
    # The package's own files do not change while it runs; those in another folder may.
    return _read(identifier, importlib.resources.files("benchmark.baselines"))


@functools.lru_cache(maxsize=32)
def _shipped_document(identifier: str) -> dict[str, Any]:
    return _document(identifier, importlib.resources.files("benchmark.baselines"))


def _document(identifier: str, root: Path | Traversable) -> dict[str, Any]:
    try:
        document = json.loads((root / f"{identifier}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptDataError(f"baseline {identifier}: {error}", hint=_MEND) from error
    if not isinstance(document, dict) or not isinstance(document.get("schema_version"), int):
        raise CorruptDataError(f"baseline {identifier}: the JSON file has no schema_version", hint=_MEND)
    if document["schema_version"] > SCHEMA_VERSION:
        raise CorruptDataError(
            f"baseline {identifier} has schema version {document['schema_version']}; "
            f"this program reads up to {SCHEMA_VERSION}",
            hint="upgrade robustbench-shift",
        )
    return document


def _read(identifier: str, root: Path | Traversable) -> Baseline:
    document = _document(identifier, root)
    try:
        table = (root / f"{identifier}.csv").read_text(encoding="utf-8")
        baseline = _from_document(document, table)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CorruptDataError(f"baseline {identifier}: {error}", hint=_MEND) from error
    if baseline.identifier != identifier:
        raise CorruptDataError(f"baseline {identifier} calls itself {baseline.identifier}", hint=_MEND)
    return baseline


def _from_document(document: Mapping[str, Any], table: str) -> Baseline:
    fields = {name: value for name, value in document.items() if name not in ("schema_version", "pairs")}
    rule = dict(fields.pop("default_members"))
    for name in ("families", "exclude_substrings"):
        rule[name] = tuple(rule.get(name, ()))
    references = tuple(fields.pop("references"))
    rows = _rows(table, fields.pop("columns"))
    return Baseline(**fields, references=references, default_members=MemberRule(**rule), rows=rows)


def _columns(rows: Sequence[BaselineRow]) -> dict[tuple[Any, ...], str]:
    """What a column holds → its label: the shift's name, numbered where a shift has several columns."""
    keys = {tuple(getattr(row, name) for name in _COLUMN) for row in rows}
    labels: dict[tuple[Any, ...], str] = {}
    for key in sorted(keys, key=lambda key: tuple("" if part is None else str(part) for part in key)):
        several = sum(other[0] == key[0] for other in labels)
        labels[key] = f"{key[0]}#{several + 1}" if several else key[0]
    return labels


def _csv(rows: Sequence[BaselineRow], columns: Mapping[tuple[Any, ...], str]) -> str:
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        line = lines.setdefault(tuple(getattr(row, name) for name in _MODEL), {})
        line[columns[tuple(getattr(row, name) for name in _COLUMN)]] = repr(row.accuracy)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=[*_MODEL, *columns.values()], lineterminator="\n")
    writer.writeheader()
    for key in sorted(lines):
        model = dict(zip(_MODEL, key, strict=True))
        writer.writerow({**model, "training_data": ";".join(model["training_data"]), **lines[key]})
    return stream.getvalue()


def _json(baseline: Baseline, columns: Mapping[tuple[Any, ...], str]) -> str:
    fields = {field.name: field for field in dataclasses.fields(baseline) if field.init}
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for name in fields:
        if name not in ("rows", "folder", "default_members"):
            document[name] = getattr(baseline, name)
    document["default_members"] = dataclasses.asdict(baseline.default_members)
    # Defaults are left out: most columns have neither a protocol nor a note of their own.
    document["columns"] = {
        label: {name: value for name, value in zip(_COLUMN, key, strict=True) if value not in ("", None)}
        for key, label in columns.items()
    }
    pairs: dict[str, list[str]] = {}
    for reference, shift in baseline.pairs():
        pairs.setdefault(reference, []).append(shift)
    document["pairs"] = pairs
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rows(table: str, columns: Mapping[str, Mapping[str, Any]]) -> tuple[BaselineRow, ...]:
    reader = csv.reader(io.StringIO(table, newline=""), strict=True)
    header = next(reader, [])
    if header != [*_MODEL, *columns]:
        raise ValueError(f"columns are {header}, expected {[*_MODEL, *columns]}")
    rows: list[BaselineRow] = []
    for number, cells in enumerate(reader, start=2):
        if len(cells) != len(header):
            raise ValueError(f"row {number}: {len(cells)} cells, expected {len(header)}")
        model, key, family, seen = cells[: len(_MODEL)]
        training_data = tuple(seen.split(";")) if seen else ()
        try:
            rows += [
                BaselineRow(
                    model=model,
                    library_key=key,
                    family=family,
                    training_data=training_data,
                    accuracy=float(cell),
                    **column,
                )
                for cell, column in zip(cells[len(_MODEL) :], columns.values(), strict=True)
                if cell
            ]
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"row {number}: {error}") from error
    return tuple(rows)
