"""Opened shifts: examples, batches, and the random numbers that belong to an example."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from shifts.class_maps import class_names, distinct_names, labels_of
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.images import decode, opened
from shifts.registry import resolve
from shifts.spec import SHIFTS, SOURCES, Perturbation, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]
    Labels = NDArray[np.int64]


class Payloads(Protocol):
    """Encoded files or pixel arrays by position; nothing is read before it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> bytes | Pixels: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A property of every example: ``values`` (N,) index into ``names``."""

    values: Labels
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """A split of a source as its loader gives it.

    Attributes:
        payloads: N encoded images or arrays.
        labels: int64 (N,), positions in the source's label space.
        ids: N strings, unique, stable across layouts and machines.
        attributes: group columns by name.
        accepted: where an image shows several classes, the N sets of labels that are all right, each
            with ``labels`` first; None where one label is.
    """

    payloads: Payloads
    labels: Labels
    ids: Sequence[str]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    accepted: Sequence[tuple[int, ...]] | None = None

    def image(self, index: int) -> Pixels:
        """The decoded image ``index``: uint8 (H, W, 3)."""
        return decode(self.payloads[index], where=f"image {self.ids[index]!r}")

    def opened(self, index: int) -> Image.Image | Pixels:
        """The decoded image ``index`` for ``prepare``, which then copies it once less."""
        return opened(self.payloads[index], where=f"image {self.ids[index]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a perturbation may know of the examples in a batch besides their pixels.

    Attributes:
        ids: B strings.
        labels: int64 (B,), positions among the shift's classes.
        num_classes: C of the shift.
        seed: the shift's seed.
        attributes: group columns of the source; for selections alone, since a perturbation must not
            depend on more than the example.
    """

    ids: Sequence[str]
    labels: Labels
    num_classes: int
    seed: int
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def generator(self, index: int, *purpose: object) -> np.random.Generator:
        """A generator that depends on seed, example id and purpose alone, not on batch or order."""
        return generator(self.seed, self.ids[index], *purpose)

    def some(self, index: Sequence[int]) -> Rows:
        """The rows of some of the examples, without group columns: what a perturbation may know."""
        return dataclasses.replace(
            self, ids=[self.ids[i] for i in index], labels=self.labels[list(index)], attributes={}
        )


def generator(*key: object) -> np.random.Generator:
    """A random generator derived from a key of strings and numbers."""
    text = "\x1f".join(str(part) for part in key)
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little"))
    )


def hash_rank(ids: Sequence[str], *key: object) -> NDArray[np.int64]:
    """Indices 0..N-1 in a pseudo-random order that depends on the ids and the key alone.

    Unlike a library's ``permutation`` the order cannot change with a release of that library, and the
    order among a subset is that of the whole.
    """
    prefix = "\x1f".join(str(part) for part in key)
    keys = [hashlib.blake2b(f"{prefix}\x1f{name}".encode(), digest_size=16).digest() for name in ids]
    return np.array(sorted(range(len(ids)), key=keys.__getitem__), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """``index`` int64 (B,) into the shift; ``images`` B arrays uint8 (H, W, 3); ``labels`` int64 (B,)."""

    index: Labels
    images: Sequence[Pixels]
    labels: Labels


class Shift:
    """A shift whose examples are at hand.

    Attributes:
        spec: its declaration.
        digest: SHA-256 over all that can move a number.
        base: the split of the source.
        position: int64 (N,), rising: which rows of ``base`` belong to the shift.
        labels: int64 (N,), 0..C-1 among the shift's classes.
        accepted: N sets of labels that are all right, or None where ``labels`` are the only ones.
        example_ids: N unique strings.
        groups: int64 (N, G); ``group_columns`` names columns and values.
    """

    def __init__(self, spec: ShiftSpec, examples: Examples, *, content: str) -> None:
        self.spec = spec
        self.base = examples
        self.content = content
        self.digest = spec.digest(content)
        self.num_classes = len(class_names(spec))
        labels, accepted = labels_of(spec, examples)
        position = np.flatnonzero(labels >= 0)
        if spec.selection is not None:
            select = resolve(spec.selection.function)
            rows = dataclasses.replace(self._rows_of(labels, position), attributes=self._attributes(position))
            kept = select(rows, **spec.selection.parameters)
            position = position[np.sort(kept)]
        if spec.limit is not None and spec.unit is not None:
            raise UserError(
                f"{spec.name!r} counts a {spec.unit} as right only when all its images are; a limit would "
                "take some of them away",
                hint="run it whole",
            )
        if spec.limit is not None:
            kept = hash_rank([examples.ids[row] for row in position.tolist()], "limit")[: spec.limit]
            position = position[np.sort(kept)]
        if not len(position):
            raise UserError(f"shift {spec.name!r} has no examples")
        self.position = position
        self._base_labels = labels
        self.labels = labels[position]
        self.accepted = None if accepted is None else [accepted[row] for row in position.tolist()]
        self.example_ids: list[str] = [examples.ids[row] for row in position.tolist()]
        self.group_columns: dict[str, Attribute] = {name: self._column(name) for name in spec.groups}
        columns = [column.values for column in self.group_columns.values()]
        self.groups: Labels = (
            np.stack(columns, axis=1) if columns else np.zeros((len(self), 0), dtype=np.int64)
        )

    def __len__(self) -> int:
        return len(self.position)

    def cut(self, rows: Labels) -> Shift:
        """The shift with some of its examples alone: int64 (n,), rising."""
        some = copy.copy(self)
        some.position, some.labels, some.groups = self.position[rows], self.labels[rows], self.groups[rows]
        some.example_ids = [self.example_ids[row] for row in rows.tolist()]
        some.accepted = None if self.accepted is None else [self.accepted[row] for row in rows.tolist()]
        some.group_columns = {
            name: Attribute(values=column.values[rows], names=column.names)
            for name, column in self.group_columns.items()
        }
        return some

    def rows(self, position: Labels) -> Rows:
        """Ids and labels of some rows of ``base``."""
        return self._rows_of(self._base_labels, position)

    def _rows_of(self, labels: Labels, position: Labels) -> Rows:
        return Rows(
            ids=[self.base.ids[row] for row in position.tolist()],
            labels=labels[position],
            num_classes=self.num_classes,
            seed=self.spec.seed,
        )

    def _attributes(self, position: Labels) -> dict[str, Attribute]:
        return {
            name: Attribute(values=column.values[position], names=column.names)
            for name, column in self.base.attributes.items()
        }

    def _column(self, name: str) -> Attribute:
        if name == "class":
            return Attribute(values=self.labels, names=distinct_names(self.spec))
        if name in self.base.attributes:
            return self._attributes(self.position)[name]
        for perturbation in self.spec.perturbations:
            if name in perturbation.groups:
                make = resolve(perturbation.groups[name])
                column = make(self.rows(self.position), **perturbation.parameters)
                return Attribute(values=np.asarray(column.values, dtype=np.int64), names=column.names)
        raise UserError(
            f"shift {self.spec.name!r} asks for the group column {name!r}, which nothing provides"
        )

    def columns(self, index: Labels, *, labels: Labels | None = None) -> dict[str, list[str]]:
        """The group columns of some examples, in words: column → B names.

        Args:
            labels: int64 (B,), to be named by ``"class"`` in place of the true ones.
        """
        found = {}
        for name, column in self.group_columns.items():
            values = column.values[index] if name != "class" or labels is None else labels
            found[name] = [column.names[value] for value in values.tolist()]
        return found

    def item(self, index: int) -> Pixels:
        """Image ``index`` of the shift, perturbed: uint8 (H, W, 3)."""
        position = self.position[index : index + 1]
        return self.perturb([self.base.image(int(position[0]))], position)[0]

    def perturb(self, images: Sequence[Pixels], position: Labels) -> Sequence[Pixels]:
        """Apply the shift's perturbations to decoded images of the given rows of ``base``."""
        return perturb(self.spec.perturbations, images, self.rows(position))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All examples in order, ``batch_size`` at a time."""
        for start in range(0, len(self), batch_size):
            index = np.arange(start, min(start + batch_size, len(self)), dtype=np.int64)
            position = self.position[index]
            images = [self.base.image(int(row)) for row in position.tolist()]
            yield Batch(index=index, images=self.perturb(images, position), labels=self.labels[index])


def perturb(perturbations: Sequence[Perturbation], images: Sequence[Pixels], rows: Rows) -> Sequence[Pixels]:
    """Apply perturbations one after the other; images of one size are worked on as one array.

    Args:
        images: B arrays uint8 (H, W, 3); sizes may differ.
        rows: ids and labels of the same B examples.
    """
    if not perturbations:
        return images
    shapes = {image.shape for image in images}
    result: list[Pixels] = list(images)
    for shape in shapes:
        index = [i for i, image in enumerate(images) if image.shape == shape]
        some = rows.some(index)
        array = np.stack([images[i] for i in index])
        for perturbation in perturbations:
            array = resolve(perturbation.function)(array, some, **perturbation.parameters)
            if array.dtype != np.uint8 or array.ndim != 4 or array.shape[0] != len(index):
                raise TypeError(
                    f"{perturbation.function} gave {array.dtype} {array.shape}, not uint8 (B, H, W, 3)"
                )
        for i, image in zip(index, array, strict=True):
            result[i] = image
    return result


def load_examples(source_name: str, split: str, *, data_dir: Path | None = None) -> Examples:
    """The examples of a source's split, from the bundled data or the local copy.

    Raises:
        DataNotFoundError: no local copy; says how to get one.
        CorruptDataError: the copy is not what was added.
    """
    from shifts import local

    source = SOURCES.get(source_name)
    if split not in source.counts:
        raise UserError(
            f"source {source.name!r} has no split {split!r}", hint=f"splits: {', '.join(source.counts)}"
        )
    root = None if source.bundled else local.locate(source, split, data_dir=data_dir)
    examples: Examples = resolve(source.loader)(root, split)
    check_examples(examples, what=f"{source.name}/{split}")
    if source.bundled and local.content_digest(examples) != source.content[split]:
        raise CorruptDataError(
            f"the bundled images of {source.name!r} are not the ones this version was made for",
            hint="reinstall the package that bundles them",
        )
    return examples


def check_examples(examples: Examples, *, what: str) -> None:
    """One label and one unique id for each image; raises CorruptDataError otherwise."""
    sizes = {len(examples.payloads), len(examples.labels), len(examples.ids)}
    sizes |= {len(column.values) for column in examples.attributes.values()}
    sizes |= {len(examples.accepted)} if examples.accepted is not None else set()
    if len(sizes) != 1:
        raise CorruptDataError(
            f"{what}: images, labels, ids and attributes differ in number: {sorted(sizes)}"
        )
    if not len(examples.labels):
        raise DataNotFoundError(f"{what} holds no images")
    if len(set(examples.ids)) != len(examples.ids):
        raise CorruptDataError(f"{what}: example ids repeat")


def load_shift(name: str, *, data_dir: Path | None = None, limit: int | None = None) -> Shift:
    """Open a registered shift.

    Args:
        name: as in ``robustbench-shift list shifts``.
        data_dir: where local copies lie; default ``$ROBUSTBENCH_SHIFT_CACHE/data``.
        limit: keep a fixed pseudo-random choice of this many examples.
    """
    from shifts import local

    spec = SHIFTS.get(name).limited(limit)
    examples = load_examples(spec.source, spec.split, data_dir=data_dir)
    content = local.recorded_content(SOURCES.get(spec.source), spec.split, data_dir=data_dir)
    return Shift(spec, examples, content=content)
