"""Looking at every image of a split: whether it decodes, the counts per class, the content."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import CorruptDataError
from shifts.images import content_bytes, decode
from shifts.local import content_line, digest_of_lines
from shifts.readers.payloads import where
from shifts.registry import resolve

if TYPE_CHECKING:
    from shifts.data import Examples
    from shifts.spec import ImageSource

Progress = Callable[[str, int, int], None]  # what is being done, done so far, in all
CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCheck:
    """What was found in a split.

    Attributes:
        counts: examples of each class.
        content: the content digest; None when an image is bad.
        bad: (place, what is wrong) of every image that does not decode.
    """

    n: int
    counts: tuple[int, ...]
    content: str | None
    bad: tuple[tuple[str, str], ...] = ()


def check_split(
    examples: Examples, num_classes: int, *, what: str, progress: Progress | None = None
) -> SplitCheck:
    """Read and decode every image, a few at a time.

    Args:
        num_classes: of the source's label space.
        what: names the split in messages.

    Raises:
        CorruptDataError: a label is outside the label space.
    """
    counts = class_counts(examples, num_classes, what=what)
    total = len(examples.labels)
    lines: list[str] = []
    bad: list[tuple[str, str]] = []

    def look(index: int) -> str | CorruptDataError:
        try:
            return content_line(examples, index, _content(examples, index))
        except CorruptDataError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, total, CHUNK):
            rows = range(start, min(start + CHUNK, total))
            for row, found in zip(rows, pool.map(look, rows), strict=True):
                if isinstance(found, str):
                    lines.append(found)
                else:
                    bad.append((place(examples, row), found.message))
            if progress is not None:
                progress(what, rows.stop, total)
    content = None if bad else digest_of_lines(examples, lines)
    return SplitCheck(n=total, counts=counts, content=content, bad=tuple(bad))


def bytes_of(what: str, progress: Progress | None) -> Callable[[int, int | None], None] | None:
    """A progress callback for bytes out of one that names what is being done (0: total not known)."""
    if progress is None:
        return None
    return lambda done, total: progress(what, done, total or 0)


def class_counts(examples: Examples, num_classes: int, *, what: str) -> tuple[int, ...]:
    """Examples of each class.

    Raises:
        CorruptDataError: a label is outside the label space.
    """
    labels = np.asarray(examples.labels)
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(outside):
        first = int(outside[0])
        raise CorruptDataError(
            f"{what}: the label {int(labels[first])} of {place(examples, first)} is none of the "
            f"{num_classes} classes (0 to {num_classes - 1})"
            + (f"; {len(outside)} labels are like that" if len(outside) > 1 else ""),
            hint="point to the labels of this data set, or get its files again",
        )
    return tuple(np.bincount(labels, minlength=num_classes).tolist())


def count_faults(
    found: Sequence[int],
    declared: Sequence[int | None],
    names: Sequence[str],
    *,
    total: int | None = None,
    may_lack: bool = False,
    limit: int = 4,
) -> str | None:
    """In words, where the examples per class differ from the declared ones; None where they agree.

    Args:
        declared: examples of each class; None where any number but none will do, or, with a total, any.
        total: examples in all, where it is declared besides. With the right total a class may be empty: a
            domain or a time need not show every class.
        may_lack: a class may be empty even where no total is declared.

    >>> count_faults([3, 0], [3, 3], ["cat", "dog"])
    "3 images instead of 6: 0 of class 'dog' instead of 3"
    >>> count_faults([3, 0], [None, None], ["cat", "dog"])
    "3 images: 0 of class 'dog' instead of at least 1"
    >>> count_faults([3, 0], [None, None], ["cat", "dog"], total=3)
    """
    known = [want for want in declared if want is not None]
    expected = sum(known) if len(known) == len(declared) else total
    wrong = [
        (name, have, "at least 1" if want is None else want)
        for name, have, want in zip(names, found, declared, strict=True)
        if (have != want if want is not None else not have)
    ]
    if may_lack or (total is not None and sum(found) == total):
        wrong = [(name, have, want) for name, have, want in wrong if want != "at least 1"]
    if not wrong and expected in (None, sum(found)):
        return None
    parts = [f"{have} of class {name!r} instead of {want}" for name, have, want in wrong[:limit]]
    more = f", and {len(wrong) - limit} more classes" if len(wrong) > limit else ""
    images = f"{sum(found)} images" + ("" if expected in (None, sum(found)) else f" instead of {expected}")
    return f"{images}: {', '.join(parts)}{more}" if parts else images


def more_than_declared(
    found: Sequence[int], declared: Sequence[int | None], *, total: int | None = None
) -> bool:
    """Whether some class, or all of them together, have more examples than declared."""
    over = any(want is not None and have > want for have, want in zip(found, declared, strict=True))
    return over or (total is not None and sum(found) > total)


def further_faults(source: ImageSource, examples: Examples) -> list[str]:
    """What the source's own checks find wrong, in words that name the image."""
    return [fault for check in source.checks for fault in resolve(check)(examples)]


def place(examples: Examples, index: int) -> str:
    """Where an image lies, or its id where the reader does not know."""
    return where(examples.payloads, index) or f"image {examples.ids[index]!r}"


def _content(examples: Examples, index: int) -> bytes:
    """The bytes that identify an image which decodes to the end."""
    payload = examples.payloads[index]
    name = place(examples, index)
    content = content_bytes(payload, where=name)
    if content is payload:  # a lossy file stands for itself, so nothing has decoded it yet
        decode(content, where=name)
    return content
