"""What failed in a run: each error as plain data, and all of them in a few lines."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shifts.errors import UserError

if TYPE_CHECKING:
    from benchmark.result import Result

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MAKE_ROOM = "make room or choose another --results folder; the same command then goes on"
# What to do about an error that is not the user's, by its kind; the first that fits.
_REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (MemoryError, "take a smaller --batch-size, fewer --workers or fewer models at once"),
    (FloatingPointError, "take --precision float32; look at the weights and at the model's preprocess"),
    (OSError, "look at the disk and at the files of the data set (data verify); the same command goes on"),
)
NAMED = 3


def describe(error: BaseException) -> dict[str, Any]:
    """An error as plain data; where it arose is kept only for errors that are not the user's.

    A full disk counts as something for the user to mend.
    """
    if isinstance(error, Described):
        return dict(error.described)
    if isinstance(error, UserError):
        return {"type": type(error).__name__, "message": error.message, "hint": error.hint, "user": True}
    full = isinstance(error, OSError) and error.errno in _DISK_IS_FULL
    where = traceback.extract_tb(error.__traceback__)
    frame = f"{where[-1].name} (line {where[-1].lineno})" if where else None
    return {
        "type": type(error).__name__,
        "message": _said(error, full=full),
        "hint": _MAKE_ROOM if full else _remedy(error),
        "user": full,
        "where": frame,
    }


class Described(Exception):
    """An error of another process, which gave it as ``describe`` does."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__(described["message"])
        self.described = described

    def __reduce__(self) -> tuple[object, ...]:
        return (Described, (dict(self.described),))


def _said(error: BaseException, *, full: bool) -> str:
    if full and isinstance(error, OSError) and error.errno is not None:
        return f"cannot write results: {os.strerror(error.errno)}"  # not in the words of a library
    return str(error) or type(error).__name__


def _remedy(error: BaseException) -> str | None:
    # torch says out of memory in an error of its own, which is no MemoryError.
    kind = MemoryError if type(error).__name__ == "OutOfMemoryError" else type(error)
    return next((text for known, text in _REMEDIES if issubclass(kind, known)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One cause, and the cells it hit.

    Attributes:
        type, message, hint: of the first cell's error.
        cells: (model, shift) of each.
        recovered: the run went on and measured the cells nonetheless.
    """

    type: str
    message: str
    hint: str | None
    cells: tuple[tuple[str, str], ...]
    recovered: bool = False

    def headline(self) -> str:
        """The cells and the message in one line."""
        named = ", ".join(f"{model} on {shift}" for model, shift in self.cells[:NAMED])
        more = f" and {len(self.cells) - NAMED} more" if len(self.cells) > NAMED else ""
        return f"{named}{more}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "message": self.message,
            "hint": self.hint,
            "count": len(self.cells),
            "cells": [{"model": model, "shift": shift} for model, shift in self.cells],
            "recovered": self.recovered,
        }


def faults_of(results: Iterable[Result]) -> list[Fault]:
    """Failed cells by cause, the commonest first: equal kind, hint and place count as one cause."""
    causes: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        if result.status == "error":
            cause = result.error or {}
            # A user's own mistakes differ in what they say; of the others the place tells them apart, since
            # the message may name the image.
            place = cause.get("message") if cause.get("user") else cause.get("where")
            causes.setdefault((cause.get("type"), cause.get("hint"), place), []).append(result)
    found = [_fault(of_cause) for of_cause in causes.values()]
    return sorted(found, key=lambda fault: -len(fault.cells))


def _fault(of_cause: list[Result]) -> Fault:
    first = of_cause[0].error or {}
    return Fault(
        type=str(first.get("type")),
        message=str(first.get("message")),
        hint=first.get("hint"),
        cells=tuple((result.model, result.shift) for result in of_cause),
    )


def recovered(results: Iterable[Result]) -> list[Fault]:
    """What went wrong and was mended on the way: batches that had to be cut for lack of memory."""
    smaller: dict[int, list[Result]] = {}
    for result in results:
        if result.status == "ok" and (size := result.provenance.get("batch_size")) is not None:
            smaller.setdefault(size, []).append(result)
    return [
        Fault(
            type="OutOfMemory",
            message=f"the memory had no room for the batch; measured {size} images at a time",
            hint=f"--batch-size {size} saves the attempts",
            cells=tuple((result.model, result.shift) for result in of_size),
            recovered=True,
        )
        for size, of_size in smaller.items()
    ]


def compile_cost(results: Iterable[Result]) -> str:
    """What torch.compile cost beside the seconds of the passes it was to shorten; empty without it."""
    compiled = {
        result.model_digest: float(spent)
        for result in results
        if (spent := result.provenance.get("compile_seconds")) is not None
    }
    if not compiled:
        return ""
    return f"torch.compile took {sum(compiled.values()):.1f} s for {len(compiled)} of the models"
