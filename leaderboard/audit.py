"""Looks over a whole board: the chain of its log, every file, every number."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.entry import ENTRY, make_entry
from leaderboard.keys import Keys
from leaderboard.log import NAME, START, Line, broken_links, parse
from leaderboard.verify import verify
from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from leaderboard.board import Board, BoardEntry


def audit(
    board: Board,
    *,
    keys: Keys | None = None,
    head: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[str]:
    """Everything that is wrong with a board, in words; as ``Board.check``, which calls it."""
    try:
        lines = parse(board.log_path)
    except CorruptDataError as error:
        return [error.message]
    wrong = list(broken_links(lines))
    if head is not None and head not in [START, *(line.hash for line in lines)]:
        wrong.append(f"no line of the log has the hash {head}: lines were removed or rewritten")
    wrong += wrong_files(board.folder, lines)
    if wrong:
        return wrong
    for standing in board.entries():
        if progress is not None:
            progress(standing.entry.id)
        wrong += differences(board, standing, keys or Keys())
    return wrong


def differences(board: Board, standing: BoardEntry, keys: Keys) -> Iterator[str]:
    """Where verifying an entry's bundle again gives something else than what is stored."""
    entry = standing.entry
    if any("definition" in why for why in standing.incomparable.values()):
        return  # this version cannot score it; its files have the hashes of the log
    verified = verify(board.bundle(entry.id), keys=keys, known=board.known(before=entry.id))
    stored = board.report(entry.id)
    for old, new in zip(stored.checks, verified.report.checks, strict=False):
        if old != new:
            yield f"{entry.id}: check {old.name} was {old.status}, is {new.status}: {new.detail}"
    if stored.bundle != verified.report.bundle:
        yield f"{entry.id}: the bundle has another digest than its report"
    if stored.flagged != verified.report.flagged:
        yield f"{entry.id}: lints flag {verified.report.flagged}, the report says {stored.flagged}"
    if verified.manifest is not None and verified.scored:
        again = make_entry(
            verified.manifest,
            verified.scored,
            bundle=entry.bundle,
            added=entry.added,
            accepted=entry.accepted,
        )
        if not same(json.loads(again.to_json()), json.loads(entry.to_json())):
            yield f"{entry.id}: re-scoring gives another entry than {ENTRY}"


def wrong_files(folder: Path, lines: Sequence[Line]) -> Iterator[str]:
    """Files that are missing, changed, or that no event brought."""
    expected: dict[str, str] = {}
    for line in lines:
        expected |= {f"{line.entry}/{name}": value for name, value in line.files.items()}
    for name, value in expected.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != value:
            yield f"{name} is not the file that the log lists (SHA-256)"
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in expected and name not in (NAME, ".lock"):
            yield f"{name} is not in the log"


def same(one: Any, other: Any) -> bool:
    """Whether two documents say the same; numbers may differ in their last bits, as they do by machine.

    >>> same({"a": [0.1 + 0.2, "x"]}, {"a": [0.3, "x"]}), same({"a": 0.3}, {"a": 0.301})
    (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)
