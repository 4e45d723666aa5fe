"""A user's own data: a folder of images and a table of labels become a shift like any other.

What was declared is kept in the record of the copy, in the data folder; from there the registries find it
again (``shifts.sources.own_data``), so that evaluation, report, verification and lists know it by name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from shifts import local
from shifts.errors import UserError
from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, Kind, ShiftSpec

if TYPE_CHECKING:
    from shifts.checking import Progress
    from shifts.data import Examples
    from shifts.local import Record

SPLIT = "test"
TABLE = "labels.csv"
IMAGES = "images"
PATH_COLUMN, LABEL_COLUMN, ID_COLUMN = ".path", ".label", ".id"  # a user's columns cannot start with a dot

OwnKind = Literal["natural", "corruption", "synthetic", "spurious"]
KINDS: tuple[str, ...] = get_args(OwnKind)

LOADER = "shifts.own:load"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a user said of his data.

    Attributes:
        label_space: name of a registered one, or that of the shift where its classes are its own.
        class_names: the classes where they are its own, else None.
        counts: examples of each class.
        groups: columns of the table, or ``class``.
    """

    name: str
    title: str
    kind: Kind
    reference: str | None
    label_space: str
    class_names: tuple[str, ...] | None
    counts: tuple[int, ...]
    groups: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values, for the record."""
        return dict(json.loads(json.dumps(dataclasses.asdict(self))))

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Declaration:
        """From the record's plain values."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()
        }
        return cls(**values)

    def source(self) -> ImageSource:
        """The images as a source."""
        return ImageSource(
            name=self.name,
            title=self.title,
            label_space=self.label_space,
            counts={SPLIT: self.counts},
            licence="the user's own data",
            citation="the user's own data",
            homepage="this project",
            loader=LOADER,
            layouts=(f"robustbench-shift data add --name {self.name} --images DIR --labels CSV --replace",),
        )

    def space(self) -> LabelSpace | None:
        """The classes, where they are the data's own."""
        if self.class_names is None:
            return None
        return LabelSpace(name=self.label_space, class_names=self.class_names)

    def shift(self) -> ShiftSpec:
        """The images as a shift: with the classes of its reference, answered as there."""
        reference = None if self.reference is None else SHIFTS.get(self.reference)
        return ShiftSpec(
            name=self.name,
            title=self.title,
            kind=self.kind,
            support="in" if reference is None else "unknown",
            source=self.name,
            split=SPLIT,
            label_space=self.label_space,
            reference=self.reference,
            class_indices=None if reference is None else reference.class_indices,
            pooling=None if reference is None else reference.pooling,
            groups=self.groups,
        )


_homes: list[Path] = []  # besides the default one
_pending: dict[str, Declaration] = {}  # being added: the registries must know it before it is recorded


def look_in(data_dir: Path | None) -> None:
    """Find own data in this data folder, too (``--data-dir``)."""
    if data_dir is not None and data_dir not in _homes:
        _homes.insert(0, data_dir)


def declared(name: str) -> Declaration | None:
    """The declaration of own data by name, or None."""
    if name in _pending:
        return _pending[name]
    for home in (*_homes, None):
        folder = local.source_folder(name, data_dir=home)
        if _is_own(folder / local.RECORD):
            record = local.read_record(name, data_dir=home)
            if record is not None and record.declaration is not None:
                return Declaration.from_json(record.declaration)
    return None


def all_declared() -> Iterator[Declaration]:
    """All own data that is recorded, by name."""
    found: dict[str, Declaration] = {}
    for home in (*_homes, None):
        for path in sorted(local.data_home(home).glob(f"*/{local.RECORD}")):
            if _is_own(path):
                record = local.read_record(path.parent.name.replace("--", "/"), data_dir=home)
                if record is not None and record.declaration is not None:
                    found.setdefault(record.source, Declaration.from_json(record.declaration))
    yield from found.values()


def _is_own(path: Path) -> bool:
    """Whether a record holds a declaration, from its first bytes: a record may name a million files.

    Records are written with sorted keys, ``declaration`` being the first.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError:
        return False
    return b'"declaration": {' in head


def add_own(
    name: str,
    images: Path,
    labels: Path,
    *,
    groups: Sequence[str] = (),
    reference: str | None = None,
    label_space: str | None = None,
    kind: OwnKind = "natural",
    title: str | None = None,
    copy: bool = False,
    replace: bool = False,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Record:
    """Make a shift of a folder of images and a table of labels; checks every image and records the copy.

    Args:
        images: the folder that the table's paths are relative to.
        labels: CSV with a header: a column of paths, one of labels (class names or numbers), and groups.
        groups: columns whose cross product makes the groups; default: the class.
        reference: the in-distribution set of the same classes to compare with; None makes this a reference.
        label_space: the classes of the labels; default: those of the reference, else the labels that occur.
        kind: of the shift, where it has a reference.
        copy: copy the images instead of linking to them.
        replace: put it in the place of own data of this name.

    Raises:
        UserError: the name is taken, a reference or label space is unknown, a path or label is wrong.
        CorruptDataError: an image does not decode.
    """
    from shifts.catalogue import take_in
    from shifts.own_table import read_own_table, stage_own
    from shifts.staging import locked, staging, told_of

    _check_free(name)
    matched = None if reference is None else SHIFTS.get(reference)
    if matched is not None and matched.kind != "reference":
        raise UserError(
            f"{reference!r} is no reference but a shift against {matched.reference!r}",
            hint=f"--reference {matched.reference}",
        )
    if matched is not None and label_space not in (None, matched.label_space):
        raise UserError(
            f"the reference {reference!r} has the classes of {matched.label_space!r}, not of {label_space!r}",
            hint="leave out --label-space, or choose a reference with these classes",
        )
    space = matched.label_space if matched is not None else label_space
    known = None if space is None else LABEL_SPACES.get(space)
    table = read_own_table(labels.expanduser(), images.expanduser(), groups=groups, space=known)
    declaration = Declaration(
        name=name,
        title=title or f"own data: {name}",
        kind="reference" if matched is None else kind,
        reference=reference,
        label_space=name if known is None else known.name,
        class_names=table.class_names if known is None else None,
        counts=table.counts,
        groups=tuple(groups) or ("class",),
    )
    source = declaration.source()
    with (
        _announced(declaration),
        locked(source, data_dir=data_dir),
        staging(source, data_dir=data_dir) as stage,
        told_of(images, stage / IMAGES),
    ):
        folder = images.expanduser().resolve()
        stage_own(table, folder, stage, copy=copy)
        declaration.shift()  # refuses what no shift can be before an image is read
        return take_in(
            source,
            stage,
            linked=False,
            replace=replace,
            data_dir=data_dir,
            progress=progress,
            declaration=declaration.to_json(),
            notes=(*table.notes, *(() if copy else (f"the images stay in {folder}",))),
        )


@contextmanager
def _announced(declaration: Declaration) -> Iterator[None]:
    _pending[declaration.name] = declaration
    try:
        yield
    finally:
        del _pending[declaration.name]


def _check_free(name: str) -> None:
    if "/" in name:
        raise UserError(f"own data has a name without slash, not {name!r}", hint="such as my-shift")
    if declared(name) is not None:
        return  # the record of the copy decides whether it may be replaced
    for registry in (SHIFTS, SOURCES, LABEL_SPACES):
        if registry.find(name) is not None:
            raise UserError(
                f"there is a {registry.kind} {name!r} already", hint="choose another --name, such as my-shift"
            )


def load(root: Path, split: str) -> Examples:
    """The images of the normalised table that ``add_own`` wrote; the ids are its own, or the paths.

    Raises:
        DataNotFoundError: no such table.
        CorruptDataError: the table is damaged.
    """
    from shifts.errors import DataNotFoundError
    from shifts.readers.tables import attribute, columns_of, integers, read_columns, table_examples

    table = root / TABLE
    header = columns_of(table)
    if split != SPLIT or PATH_COLUMN not in header:
        raise DataNotFoundError(
            f"{root} holds no own data", hint="robustbench-shift data add --name NAME ..."
        )
    columns = read_columns(table, *header)
    groups = [name for name in header if not name.startswith(".")]
    examples = table_examples(
        root,
        [f"{IMAGES}/{path}" for path in columns[PATH_COLUMN]],
        integers(table, LABEL_COLUMN, columns[LABEL_COLUMN]),
        attributes={name: attribute(columns[name]) for name in groups},
        tables=[table],
    )
    return dataclasses.replace(examples, ids=columns[ID_COLUMN])
