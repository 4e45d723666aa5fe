"""Images named by a table (CSV) with labels, splits and groups."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Attribute, Examples
from shifts.errors import CorruptDataError
from shifts.readers.files import FolderFiles
from shifts.readers.payloads import FilePayloads

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEND = "get the table again, as published"


def columns_of(path: Path) -> list[str]:
    """The header of a table; empty where the file holds none."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def read_columns(path: Path, *names: str) -> dict[str, list[str]]:
    """The named columns of a table; the others are not kept.

    Raises:
        CorruptDataError: a column is missing, a row is cut short, there is no row, or it is no text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            missing = [name for name in names if name not in header]
            if missing:
                found = ", ".join(header) or "none"
                raise CorruptDataError(
                    f"{path} has no column {', '.join(map(repr, missing))} (only {found})", hint=MEND
                )
            places = [header.index(name) for name in names]
            kept: list[list[str]] = [[] for _ in names]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise CorruptDataError(
                        f"{path}, line {reader.line_num}: {len(row)} values for {len(header)} columns",
                        hint=MEND,
                    )
                for column, place in zip(kept, places, strict=True):
                    column.append(row[place])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorruptDataError(f"{path} is not a readable table: {error}", hint=MEND) from error
    if not kept[0]:
        raise CorruptDataError(f"{path} has no rows", hint=MEND)
    return dict(zip(names, kept, strict=True))


def integers(path: Path, name: str, values: Sequence[str]) -> NDArray[np.int64]:
    """A column of whole numbers (``3`` or ``3.0``): int64 (N,).

    Raises:
        CorruptDataError: names the first row that is none.
    """
    numbers = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        try:
            numbers[row] = int(value.removesuffix(".0"))
        except ValueError as error:
            raise CorruptDataError(
                f"{path}, row {row + 1}: {name} is {value!r}, not a whole number", hint=MEND
            ) from error
    return numbers


def attribute(values: Sequence[str], names: Sequence[str] | None = None) -> Attribute:
    """A group column from its values; without names, those that occur, numbers in their order.

    Raises:
        CorruptDataError: a value that has no name.
    """
    found = set(values)
    if names is None:
        names = sorted(found, key=lambda value: (not value.isdigit(), len(value), value))
    places = {name: place for place, name in enumerate(names)}
    if found - set(places):
        raise CorruptDataError(
            f"the values {', '.join(sorted(found - set(places)))} are not expected", hint=MEND
        )
    codes = np.fromiter((places[value] for value in values), dtype=np.int64, count=len(values))
    return Attribute(values=codes, names=tuple(names))


def table_examples(
    folder: Path,
    names: Sequence[str],
    labels: NDArray[np.int64],
    *,
    attributes: Mapping[str, Attribute],
    tables: Sequence[Path],
) -> Examples:
    """Image files below a folder; the ids are their names without folder of the split and suffix.

    Args:
        names: N names relative to ``folder``.
        tables: the files that labels and groups were read from.
    """
    return Examples(
        payloads=FilePayloads(FolderFiles(folder), names, beside=tables),
        labels=labels,
        ids=[name.rpartition(".")[0] for name in names],
        attributes=attributes,
    )


def group_faults(examples: Examples, column: str, published: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Where the groups (class, then attribute) of a whole split are not as many as published.

    Args:
        published: split → examples of each group, ``label * values + value``. A split is known by its
            size; one with another size is a part, of which nothing is published.
    """
    values = examples.attributes[column]
    width = len(values.names)
    codes = np.asarray(examples.labels) * width + values.values
    for split, counts in published.items():
        found = tuple(np.bincount(codes, minlength=len(counts)).tolist())
        if len(codes) == sum(counts) and found != counts:
            return [f"the {split} images by class and {column} are {found}; published are {counts}"]
    return []
