"""What an image source and a shift are: data, without the images."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from shifts.digest import digest
from shifts.errors import UserError
from shifts.registry import Registry

Kind = Literal["reference", "natural", "corruption", "synthetic", "spurious"]
Support = Literal["in", "out", "mixed", "unknown"]

NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*(/[a-z0-9]+([.-][a-z0-9]+)*){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that somebody publishes.

    Attributes:
        filename: the name it is stored under.
        urls: mirrors in the order they are tried; empty when the user must supply the file.
        sha256, md5: published hashes, or None where nobody publishes one.
        sha256_prefix: the first hex digits, where only they are published (in torchvision's file names).
        size: bytes, or None.
        how: for a file without a URL, how to get it.
    """

    filename: str
    urls: tuple[str, ...] = ()
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    how: str | None = None
    sha256_prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """A published set of images with labels.

    Attributes:
        counts: split → examples of each class, in the order of the label space; None where nobody
            publishes how many (at least one then, unless ``may_lack``).
        totals: split → examples in all, where that is published and the number of each class is not.
        files: what ``data fetch`` downloads; each file holds the splits its layout says.
        hub: Hugging Face repository (with ``@revision``), or None.
        hub_files: patterns of what to take from it; default: parquet files and shards named after a split.
        content: split → published content digest, where one is known (always for bundled sources).
        layouts: one line for each arrangement of files that ``data add`` understands.
        loader: ``"module:function"``; called as ``loader(root, split)``, gives ``shifts.data.Examples``.
        checks: ``"module:function"`` of what ``data add`` and ``data verify`` look at besides; called as
            ``check(examples)``, gives what is wrong, in words that name the image.
        may_lack: whether a class whose count is None may have no example at all.
        images_of: another source whose images these are, under other labels; None for images of its own.
    """

    name: str
    title: str
    label_space: str
    counts: Mapping[str, tuple[int | None, ...]]
    licence: str
    citation: str
    homepage: str
    loader: str
    version: int = 1
    files: tuple[RemoteFile, ...] = ()
    hub: str | None = None
    hub_files: tuple[str, ...] = ()
    bundled: bool = False
    content: Mapping[str, str] = field(default_factory=dict)
    layouts: tuple[str, ...] = ()
    notes: str = ""
    totals: Mapping[str, int] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    may_lack: bool = False
    images_of: str | None = None

    def __post_init__(self) -> None:
        _check_name("source", self.name)
        if not self.counts:
            raise UserError(f"source {self.name!r} declares no split")
        if self.bundled and set(self.content) != set(self.counts):
            raise UserError(f"bundled source {self.name!r} must declare the content digest of every split")

    def size(self, split: str) -> int:
        """Examples in a split.

        Raises:
            UserError: nobody publishes how many.
        """
        published = self.published_size(split)
        if published is None:
            raise UserError(f"how many examples {self.name}/{split} has is not published")
        return published

    def published_size(self, split: str) -> int | None:
        """Examples in a split, or None where nobody publishes how many."""
        known = [count for count in self.counts[split] if count is not None]
        return sum(known) if len(known) == len(self.counts[split]) else self.totals.get(split)


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """A function of a ``uint8`` batch with its parameters.

    Attributes:
        function: ``"module:function"``; called as ``function(images, rows, **parameters)``, with parts of a
            batch by several threads at once: what an image becomes depends on itself alone.
        parameters: what moves a pixel, all of it; plain JSON values.
        version: raised whenever the function's output changes.
        uses_labels: whether the output depends on the label of an example.
        groups: name → ``"module:function"`` of group columns that only the perturbation knows,
            called as ``function(rows, **parameters)``, giving ``shifts.data.Attribute``.
    """

    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    uses_labels: bool = False
    groups: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A read-only view of shared parameters could not be sent to another process.
        object.__setattr__(self, "parameters", dict(self.parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A rule that keeps some examples of a split: ``function(rows, **parameters)`` gives their indices."""

    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Relabelling:
    """Other labels for the images of a split: ``function(ids, labels, **parameters)`` gives
    ``shifts.class_maps.NewLabels``. They are of the source's classes, or of the shift's own where those are
    others and no pooling leads to them."""

    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """How classes of another label space make up those of the shift.

    It turns the answers of a head with these classes into answers in the shift's, and the labels of a
    source with these classes into the shift's.

    Attributes:
        label_space: the other label space.
        members: for each class of the shift, its classes there; none makes a class never the answer.
        rule: ``max-logit`` takes the largest logit of the members; ``mean-probability`` the mean of their
            probabilities after the softmax over all classes of the head.
    """

    label_space: str
    members: tuple[tuple[int, ...], ...]
    rule: Literal["max-logit", "mean-probability"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftSpec:
    """A data distribution that models are measured on.

    Attributes:
        reference: name of the matched in-distribution set with the same classes; None for a reference.
        class_indices: the classes kept of the label space (labels are renumbered), or None for all.
        pooling: how another label space's classes make up those of this one, or None.
        relabelling: labels other than the source's, or None.
        cropped: side in pixels of images that the protocol has resized and cropped already: a model does
            not do so again (``models_zoo.preprocessing.for_cropped``); None for whole images.
        unit: a column of groups of which each is right only when all its examples are (the frames around
            an anchor); ``accuracy`` then counts units. None counts examples.
        groups: columns whose cross product makes the groups; ``"class"``, an attribute of the source,
            or one that a perturbation brings.
        training: where models may be trained on the rest of the same split, the rule that keeps that rest;
            it replaces ``selection`` in training.
        min_group_size: groups with fewer examples never count as the worst one.
        group_weights: values of the group columns joined by ``/`` → frequency in training; the result then
            has ``adjusted_accuracy``, the average in which Waterbirds is reported.
        metrics: further metrics to compute (``benchmark.metrics.FURTHER``).
        reported: where the data set is published in something other than accuracy over its examples, the
            metric's name in a result → what the publication calls it; for tables only.
        seed: enters every random draw together with the example's id.
        limit: keep only this many examples, a fixed pseudo-random choice.
    """

    name: str
    title: str
    kind: Kind
    support: Support
    source: str
    split: str
    label_space: str
    reference: str | None = None
    version: int = 1
    class_indices: tuple[int, ...] | None = None
    pooling: Pooling | None = None
    relabelling: Relabelling | None = None
    cropped: int | None = None
    unit: str | None = None
    perturbations: tuple[Perturbation, ...] = ()
    selection: Selection | None = None
    training: Selection | None = None
    groups: tuple[str, ...] = ()
    min_group_size: int = 10
    group_weights: Mapping[str, float] | None = None
    metrics: tuple[str, ...] = ()
    reported: Mapping[str, str] = field(default_factory=dict)
    severity: int | None = None
    seed: int = 0
    limit: int | None = None
    notes: str = ""
    citation: str | None = None

    def __post_init__(self) -> None:
        _check_name("shift", self.name)
        for value, allowed in ((self.kind, get_args(Kind)), (self.support, get_args(Support))):
            if value not in allowed:
                raise UserError(f"shift {self.name!r}: {value!r} is not one of {', '.join(allowed)}")
        if (self.kind == "reference") != (self.reference is None):
            raise UserError(f"shift {self.name!r}: a reference has no reference, every other shift has one")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"--limit must be at least 1, not {self.limit}")
        for values in self.group_weights or ():
            if len(values.split("/")) != len(self.groups):
                raise UserError(
                    f"shift {self.name!r}: the weighted group {values!r} does not name one value for each of "
                    f"its group columns {', '.join(self.groups)}"
                )

    def digest(self, content: str) -> str:
        """SHA-256 over all that can move a number measured on this shift.

        Args:
            content: the content digest of the source's split (``shifts.local.content_digest``).
        """
        sometimes = {
            "pooling": self.pooling,
            "relabelling": self.relabelling,
            "cropped": self.cropped,
            "unit": self.unit,
            "group_weights": self.group_weights,
            "metrics": self.metrics or None,
        }
        return digest(
            {
                "content": content,
                "version": self.version,
                "split": self.split,
                "class_indices": self.class_indices,
                "perturbations": self.perturbations,
                "selection": self.selection,
                "groups": self.groups,
                "min_group_size": self.min_group_size,
                "seed": self.seed,
                "limit": self.limit,
                **{name: value for name, value in sometimes.items() if value is not None},
            }
        )

    def limited(self, limit: int | None) -> ShiftSpec:
        """The same shift cut to ``limit`` examples."""
        return self if limit is None else dataclasses.replace(self, limit=limit)


def _check_name(kind: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise UserError(
            f"{kind} name {name!r} is not of the form source/variant/severity",
            hint="lower-case letters, digits, dots and dashes; at most three slashes",
        )


SOURCES: Registry[ImageSource] = Registry("source", package="shifts.sources")
SHIFTS: Registry[ShiftSpec] = Registry("shift", package="shifts.sources")
