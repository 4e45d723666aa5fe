"""The log of a board: one JSON line for each event, each holding the hash of the one before.

A line that is changed, removed from the middle or moved breaks the chain. A tail that is cut off does not:
whoever keeps the hash of the last line (the *head*) sees that, too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from leaderboard.manifest import read_dataclass
from shifts.errors import CorruptDataError, ResultsError

Event = Literal["add", "withdraw", "reproduce"]
EVENTS = ("add", "withdraw", "reproduce")
START = "0" * 64
NAME = "log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event.

    Attributes:
        n: its number, from 0.
        time: UTC, ISO 8601.
        event: ``"add"``, ``"withdraw"`` or ``"reproduce"``.
        entry: id of the entry it is about.
        bundle: digest of the entry's bundle.
        files: files that the event brought into the entry's folder → SHA-256.
        nonce: random, drawn when the line was written; together with the bundle's digest it decides which
            examples a reproduction runs, so nobody could know them when the predictions were made.
        note: the reason of a withdrawal; the tier that a reproduction gives.
        previous: hash of the line before; ``hash``: of this one without its hash.
    """

    n: int
    time: str
    event: str
    entry: str
    bundle: str
    files: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    note: str = ""
    previous: str
    hash: str = ""

    def sealed(self) -> Line:
        """The line with its hash."""
        return Line(**{**self._fields(), "hash": self.computed()})

    def computed(self) -> str:
        """What the hash has to be."""
        fields = {name: value for name, value in self._fields().items() if name != "hash"}
        return hashlib.sha256(_text(fields).encode()).hexdigest()

    def text(self) -> str:
        """The line as it lies in the file."""
        return _text(self._fields()) + "\n"

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def read_log(path: Path) -> list[Line]:
    """All lines of a log; none where there is no file.

    Raises:
        CorruptDataError: a line that cannot be read, or a broken chain.
    """
    lines = parse(path)
    broken = next(broken_links(lines), None)
    if broken is not None:
        raise CorruptDataError(f"{path}: {broken}", hint="robustbench-shift leaderboard check")
    return lines


def parse(path: Path) -> list[Line]:
    """The lines of a log, whatever its chain is worth.

    Raises:
        CorruptDataError: a line that is not one of a log.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"cannot read {path}: {error}") from error
    lines = []
    for number, row in enumerate(text.splitlines()):
        try:
            line: Line = read_dataclass(Line, json.loads(row), "line")
            if line.text() != row + "\n" or line.event not in EVENTS:
                raise ResultsError("not written as a line of a log")
        except (ValueError, ResultsError) as error:
            raise CorruptDataError(f"{path}: line {number} cannot be read: {error}") from error
        lines.append(line)
    return lines


def broken_links(lines: list[Line]) -> Iterator[str]:
    """Where the chain is broken, in words."""
    previous = START
    for place, line in enumerate(lines):
        if line.hash != line.computed():
            yield f"line {place} ({line.event} {line.entry}) was changed after it was written"
        if line.n != place or line.previous != previous:
            yield f"line {place} ({line.event} {line.entry}) does not follow the line before it"
        previous = line.hash


def append(path: Path, line: Line) -> None:
    """Add a line and have it on the disk before returning."""
    with path.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(line.text())
        stream.flush()
        os.fsync(stream.fileno())
