"""The table of labels that comes with a user's own images: read, understood, written in one form."""

from __future__ import annotations

import csv
import difflib
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from shifts.errors import DataNotFoundError, UserError
from shifts.own import ID_COLUMN, IMAGES, LABEL_COLUMN, PATH_COLUMN, TABLE
from shifts.readers.folders import is_image
from shifts.readers.layouts import is_junk
from shifts.readers.tables import columns_of, read_columns

if TYPE_CHECKING:
    from shifts.labels import LabelSpace

PATHS = ("path", "file", "filename", "file_name", "image", "img", "image_path", "img_filename", "filepath")
LABELS = ("label", "class", "category", "target", "y", "class_name")
SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """Rows of a user's table.

    Attributes:
        paths: N, relative, with ``/`` between folders.
        labels: N, positions among the classes.
        class_names: C.
        ids: N, unique.
        groups: column → N values, for columns that are not the class.
        notes: what the user should know.
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    groups: Mapping[str, Sequence[str]]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[int, ...]:
        """Examples of each class."""
        found = [0] * len(self.class_names)
        for label in self.labels:
            found[label] += 1
        return tuple(found)


def read_own_table(
    labels: Path, images: Path, *, groups: Sequence[str], space: LabelSpace | None
) -> OwnTable:
    """Read the table, and make sure that every image it names is there.

    Args:
        labels: a CSV file with a header.
        images: the folder that its paths are relative to.
        groups: columns to keep.
        space: the classes, or None to take the labels that occur, in order.

    Raises:
        DataNotFoundError: the table, the folder or an image is not there.
        UserError: a column is missing, a path comes twice or leads outside, a label is none of the classes.
    """
    for path, what in ((labels, "table of labels"), (images, "folder of images")):
        if not path.exists():
            raise DataNotFoundError(f"the {what} {path} is not there", hint="mind the spelling of the path")
    if not labels.is_file() or not images.is_dir():
        raise UserError(
            f"--labels {labels} must be a CSV file and --images {images} a folder", hint="are they swapped?"
        )
    header = columns_of(labels)
    path_column = _column(labels, header, PATHS, "the path of the image")
    label_column = _column(labels, header, LABELS, "the label")
    kept = [name for name in dict.fromkeys(groups) if name != "class"]
    missing = [name for name in kept if name not in header]
    if missing or any(name.startswith(".") for name in kept):
        raise UserError(
            f"{labels} has no group column {', '.join(map(repr, missing or kept))}",
            hint=f"its columns are {', '.join(header)}",
        )
    wanted = dict.fromkeys((path_column, label_column, *kept, *(["id"] if "id" in header else [])))
    columns = read_columns(labels, *wanted)
    paths = tuple(_inside(path, labels, row) for row, path in enumerate(columns[path_column], start=1))
    ids = tuple(columns.get("id", paths))
    for what, values in ((path_column, paths), ("id", ids)):
        _refuse_repeats(labels, what, values)
    _refuse_missing(labels, images, paths)
    names, numbers = _classes(labels, columns[label_column], space)
    return OwnTable(
        paths=paths,
        labels=numbers,
        class_names=names,
        ids=ids,
        groups={name: columns[name] for name in kept},
        notes=_left_out(images, set(paths)),
    )


def stage_own(table: OwnTable, images: Path, stage: Path, *, copy: bool) -> None:
    """Write the table in one form into the staging folder, with the images beside it, linked or copied."""
    stage.mkdir(parents=True)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([PATH_COLUMN, LABEL_COLUMN, ID_COLUMN, *table.groups])
    writer.writerows(zip(table.paths, table.labels, table.ids, *table.groups.values(), strict=True))
    (stage / TABLE).write_text(text.getvalue(), encoding="utf-8", newline="")
    if not copy:
        (stage / IMAGES).symlink_to(images, target_is_directory=True)
        return
    for path in table.paths:
        target = stage / IMAGES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(images / path, target)


def _column(table: Path, header: Sequence[str], known: Sequence[str], what: str) -> str:
    found = [name for name in header if name.strip().lower() in known]
    if not found:
        raise UserError(
            f"{table} has no column for {what} (its columns: {', '.join(header) or 'none'})",
            hint=f"name it {known[0]!r} (or one of {', '.join(known[1:])})",
        )
    # Where several would do, the order of ``known`` decides: a `class_name` may stand beside a `label`.
    return min(found, key=lambda name: known.index(name.strip().lower()))


def _inside(path: str, table: Path, row: int) -> str:
    pure = PurePosixPath(path.replace("\\", "/"))
    if not path or pure.is_absolute() or ".." in pure.parts:
        raise UserError(
            f"{table}, row {row}: {path!r} does not lie below the folder of images",
            hint="paths are relative to --images",
        )
    return str(pure)


def _refuse_repeats(table: Path, what: str, values: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, value in enumerate(values, start=1):
        if first.setdefault(value, row) != row:
            raise UserError(
                f"{table}: rows {first[value]} and {row} have the same {what}, {value!r}",
                hint="each image counts once; take one of the rows away",
            )


def _refuse_missing(table: Path, images: Path, paths: Sequence[str]) -> None:
    missing = [path for path in paths if not (images / path).is_file()]
    if missing:
        raise DataNotFoundError(
            f"{len(missing)} of the {len(paths)} images that {table} names are not in {images}: "
            f"{', '.join(map(repr, missing[:SHOWN]))}{', ...' if len(missing) > SHOWN else ''}",
            hint="paths are relative to --images; put the files there, or take their rows away",
        )


def _classes(
    table: Path, values: Sequence[str], space: LabelSpace | None
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The class names and the position of each row's label among them."""
    if space is None:
        found = sorted(
            set(values), key=lambda value: (not value.isdigit(), int(value) if value.isdigit() else 0, value)
        )
        if len(found) < 2:
            raise UserError(
                f"all rows of {table} have the label {found[0]!r}",
                hint="for data of some classes of another set, say which: --reference or --label-space",
            )
        return tuple(found), tuple(found.index(value) for value in values)
    by_name = {_plain(name): label for label, name in enumerate(space.class_names)}
    by_name |= {wnid: label for label, wnid in enumerate(space.wnids or ())}
    labels = []
    for row, value in enumerate(values, start=1):
        label = by_name.get(_plain(value))
        if label is None and value.isdigit() and int(value) < len(space):
            label = int(value)
        if label is None:
            near = difflib.get_close_matches(_plain(value), list(by_name), n=3)
            meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UserError(
                f"{table}, row {row}: the label {value!r} is none of the {len(space)} classes of "
                f"{space.name!r}{meant}",
                hint=f"labels are class names ({', '.join(space.class_names[:SHOWN])}, ...) or numbers "
                f"from 0 to {len(space) - 1}",
            )
        labels.append(label)
    return space.class_names, tuple(labels)


def _plain(name: str) -> str:
    return name.strip().replace("_", " ").lower()


def _left_out(images: Path, named: set[str]) -> tuple[str, ...]:
    """A note on images that no row names."""
    extra = 0
    for folder, folders, files in os.walk(images):
        folders[:] = [name for name in folders if not is_junk(name)]
        below = Path(folder).relative_to(images)
        extra += sum(is_image(name) and (below / name).as_posix() not in named for name in files)
    return (f"{extra} images in {images} have no row in the table and are left out",) if extra else ()
