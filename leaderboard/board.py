"""The board on disk: entries that are only ever added, and the log that says so.

``<folder>/log.jsonl`` and, for each entry, ``<folder>/<id>/{entry.json, report.json, bundle.zip}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from leaderboard.container import open_container, table_name, write_zip
from leaderboard.entry import ENTRY, Entry, make_entry
from leaderboard.keys import Keys
from leaderboard.lints import Known
from leaderboard.log import NAME, START, Event, Line, append, read_log
from leaderboard.report import TIERS, Tier, VerificationReport
from leaderboard.table import Answers, decode, right_answers
from leaderboard.verify import verify
from shifts.errors import CorruptDataError, ResultsError, UnknownNameError, UserError
from shifts.local import write_atomic
from shifts.spec import SHIFTS

if TYPE_CHECKING:
    import numpy as np
    from filelock import FileLock
    from numpy.typing import NDArray

SHIPPED = Path(__file__).resolve().parent / "entries"
REPORT, BUNDLE = "report.json", "bundle.zip"

Status = Literal["active", "superseded", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardEntry:
    """An entry as it stands now, after all events.

    Attributes:
        tier: the highest that an event gave it.
        status: ``"active"``, ``"superseded"`` or ``"withdrawn"``; the latter two stay visible.
        reason: of the withdrawal, or the id of the entry that superseded it; else empty.
        incomparable: shifts on which it was measured on other data, or by another definition, than the
            newest entries: shift → why.
        events: its lines of the log, in order.
    """

    entry: Entry
    tier: Tier
    status: Status
    reason: str
    incomparable: Mapping[str, str]
    events: tuple[Line, ...]

    @property
    def ranked(self) -> bool:
        """Whether it takes part in a ranking."""
        return self.status == "active" and not self.incomparable


class Board:
    """A folder of entries.

    Args:
        folder: default: the entries that come with the package.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else SHIPPED

    @property
    def log_path(self) -> Path:
        return self.folder / NAME

    def log(self) -> list[Line]:
        """All events.

        Raises:
            CorruptDataError: the log cannot be read or its chain is broken.
        """
        return read_log(self.log_path)

    @property
    def head(self) -> str:
        """Hash of the last line, which stands for the whole board; zeros for an empty one."""
        lines = self.log()
        return lines[-1].hash if lines else START

    def entries(self) -> list[BoardEntry]:
        """All entries in the order they were added, each as it stands now.

        Raises:
            CorruptDataError: the log or an entry cannot be read.
        """
        lines = self.log()
        added = [line.entry for line in lines if line.event == "add"]
        entries = {name: self._entry(name) for name in added}
        events: dict[str, list[Line]] = {}
        for line in lines:
            events.setdefault(line.entry, []).append(line)
        digests: dict[tuple[str, str], str] = {}
        current: dict[str, str] = {}
        for entry in entries.values():
            current |= {one.shift: one.shift_digest for one in entry.shifts}
        replaced = {entry.supersedes: name for name, entry in entries.items() if entry.supersedes is not None}
        return [self._standing(entries[name], events[name], current, replaced, digests) for name in added]

    def get(self, name: str) -> BoardEntry:
        """An entry by its id, or by the beginning of it where that is enough.

        Raises:
            UnknownNameError: none or several.
        """
        found = self.entries()
        hits = [one for one in found if one.entry.id == name]
        hits = hits or [one for one in found if one.entry.id.startswith(name)]
        if len(hits) != 1:
            listed = ", ".join(one.entry.id for one in (hits or found)[:10])
            raise UnknownNameError(
                f"{'no entry begins' if not hits else 'several entries begin'} with {name!r}",
                hint=f"there are: {listed}" if listed else "the board is empty",
            )
        return hits[0]

    def bundle(self, name: str) -> Path:
        """The bundle of an entry."""
        return self.folder / name / BUNDLE

    def report(self, name: str) -> VerificationReport:
        """The verification report of an entry."""
        return VerificationReport.from_json(json.loads((self.folder / name / REPORT).read_bytes()))

    def answers(self, name: str, shift: str) -> Answers | None:
        """An entry's predictions on a shift, or None where it has none."""
        data = self._table(name, shift)
        return None if data is None else decode(data)

    def right_answers(self, name: str, shift: str) -> NDArray[np.bool_] | None:
        """``answers(...).correct``, bool (N,), without reading the rest; None where it has none."""
        data = self._table(name, shift)
        return None if data is None else right_answers(data)

    def _table(self, name: str, shift: str) -> bytes | None:
        container = open_container(self.bundle(name))
        file = table_name(shift)
        return container.read(file) if file in container.members else None

    def known(self, *, before: str | None = None) -> list[Known]:
        """The entries that a submission is compared with.

        Args:
            before: only the entries that were added before this one.
        """
        found = []
        for line in self.log():
            if line.event != "add":
                continue
            if line.entry == before:
                break
            entry = self._entry(line.entry)
            found.append(
                Known(
                    entry=entry.id,
                    model=entry.model.name,
                    suite=entry.suite,
                    digests={one.shift: one.shift_digest for one in entry.shifts},
                    answers=partial(self.answers, entry.id),
                )
            )
        return found

    def add(
        self,
        bundle: Path,
        *,
        keys: Keys | None = None,
        accept: Mapping[str, str] | None = None,
        now: datetime | None = None,
        nonce: str | None = None,
    ) -> BoardEntry:
        """Verify a bundle and admit it.

        Args:
            accept: flagged lint → why it is right all the same.
            now, nonce: for tests; the time, and a random word otherwise.

        Raises:
            ResultsError: a check fails, a flagged lint is not explained, the bundle is on the board, or what
                it supersedes is not.
        """
        with self._locked():
            verified = verify(bundle, keys=keys, known=self.known())
            report, accepted = verified.report, dict(accept or {})
            if not report.passed or verified.manifest is None or report.bundle is None:
                failed = next(check for check in report.checks if check.status != "passed")
                raise ResultsError(f"not admitted: {failed.name} {failed.status}: {failed.detail}")
            unexplained = [name for name in report.flagged if name not in accepted]
            if unexplained:
                reason = next(lint.detail for lint in report.lints if lint.name == unexplained[0])
                raise ResultsError(
                    f"not admitted: {unexplained[0]}: {reason}",
                    hint=f"if it is right all the same: --accept '{unexplained[0]}=WHY'",
                )
            time = now or datetime.now(UTC)
            entry = make_entry(
                verified.manifest,
                verified.scored,
                bundle=report.bundle,
                added=time.date().isoformat(),
                accepted={name: accepted[name] for name in report.flagged},
            )
            self._refuse_repeats(entry)
            files = {
                ENTRY: entry.to_json().encode(),
                REPORT: _report_bytes(report),
                BUNDLE: _bundle_bytes(bundle),
            }
            self._place(entry.id, files)
            self._note("add", entry, files, time=time, nonce=nonce or secrets.token_hex(16))
        return self.get(entry.id)

    def withdraw(self, name: str, reason: str, *, now: datetime | None = None) -> BoardEntry:
        """Take an entry out of the ranking; it stays visible, with the reason.

        Raises:
            ResultsError: it is withdrawn already, or no reason is given.
        """
        with self._locked():
            found = self.get(name)
            if found.status == "withdrawn":
                raise ResultsError(f"{found.entry.id} is withdrawn already: {found.reason}")
            if not reason.strip():
                raise ResultsError("a withdrawal needs a reason")
            self._note("withdraw", found.entry, {}, time=now or datetime.now(UTC), note=reason)
        return self.get(found.entry.id)

    def record(
        self, name: str, document: bytes, *, tier: Tier | None, now: datetime | None = None
    ) -> BoardEntry:
        """Keep the record of a reproduction.

        Args:
            document: its JSON.
            tier: what it gives the entry, or None where the predictions did not come out again.
        """
        with self._locked():
            found = self.get(name)
            number = 1 + sum(line.event == "reproduce" for line in found.events)
            file = f"reproduction-{number}.json"
            write_atomic(self.folder / found.entry.id / file, document)
            self._note(
                "reproduce",
                found.entry,
                {file: document},
                time=now or datetime.now(UTC),
                note=tier or "not reproduced",
            )
        return self.get(found.entry.id)

    def check(
        self,
        *,
        keys: Keys | None = None,
        head: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Everything that is wrong with the board, in words; empty for a sound one.

        The chain of the log, every file against its hash, files that no event brought, and every bundle
        verified again: its report and its entry must come out as they are stored.

        Args:
            head: hash of the last line as somebody kept it; a log that was cut off or rewritten has another.
        """
        from leaderboard.audit import audit

        return audit(self, keys=keys, head=head, progress=progress)

    def _entry(self, name: str) -> Entry:
        path = self.folder / name / ENTRY
        try:
            return Entry.from_json(path.read_bytes())
        except OSError as error:
            raise CorruptDataError(
                f"the log lists {name}, but {path} cannot be read: {error.strerror}",
                hint="robustbench-shift leaderboard check",
            ) from error

    def _standing(
        self,
        entry: Entry,
        lines: Sequence[Line],
        current: Mapping[str, str],
        replaced: Mapping[str, str],
        digests: dict[tuple[str, str], str],
    ) -> BoardEntry:
        withdrawn = [line.note for line in lines if line.event == "withdraw"]
        status: Status = "active"
        reason = ""
        if entry.id in replaced:
            status, reason = "superseded", replaced[entry.id]
        if withdrawn:
            status, reason = "withdrawn", withdrawn[-1]
        notes = {line.note for line in lines if line.event == "reproduce"}
        tier: Tier = next((one for one in reversed(TIERS) if one in notes), "re-scored")
        return BoardEntry(
            entry=entry,
            tier=tier,
            status=status,
            reason=reason,
            incomparable=dict(_incomparable(entry, current, digests)),
            events=tuple(lines),
        )

    def _refuse_repeats(self, entry: Entry) -> None:
        ids = {line.entry: line.bundle for line in self.log() if line.event == "add"}
        if entry.bundle in ids.values():
            raise ResultsError(f"this bundle is on the board already, as {entry.id}")
        if entry.supersedes is not None:
            if entry.supersedes not in ids:
                raise ResultsError(f"what it supersedes is not on the board: {entry.supersedes!r}")
            old = self._entry(entry.supersedes)
            if (old.model.name, old.suite) != (entry.model.name, entry.suite):
                raise ResultsError(
                    f"{entry.supersedes} is of {old.model.name} on {old.suite}, not of {entry.model.name} on "
                    f"{entry.suite}: one model does not replace another"
                )

    def _place(self, name: str, files: Mapping[str, bytes]) -> None:
        """Put an entry's files in place; a folder that no line lists is what an interruption left."""
        waiting = self.folder / f".{name}.{os.getpid()}.tmp"
        shutil.rmtree(waiting, ignore_errors=True)
        waiting.mkdir(parents=True)
        for file, data in files.items():
            (waiting / file).write_bytes(data)
        shutil.rmtree(self.folder / name, ignore_errors=True)
        waiting.rename(self.folder / name)

    def _note(
        self,
        event: Event,
        entry: Entry,
        files: Mapping[str, bytes],
        *,
        time: datetime,
        nonce: str = "",
        note: str = "",
    ) -> None:
        lines = self.log()
        line = Line(
            n=len(lines),
            time=time.astimezone(UTC).isoformat(timespec="seconds"),
            event=event,
            entry=entry.id,
            bundle=entry.bundle,
            files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
            nonce=nonce,
            note=note,
            previous=lines[-1].hash if lines else START,
        )
        append(self.log_path, line.sealed())

    def _locked(self) -> FileLock:
        from filelock import FileLock

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {self.folder}: {error.strerror}") from error
        return FileLock(self.folder / ".lock")


def _incomparable(
    entry: Entry, current: Mapping[str, str], digests: dict[tuple[str, str], str]
) -> Iterator[tuple[str, str]]:
    """Shift and reason; ``digests`` keeps those of this version by (shift, content), filled on the way."""
    for one in entry.shifts:
        key = (one.shift, one.content)
        if key not in digests:
            digests[key] = SHIFTS.get(one.shift).digest(one.content) if one.shift in SHIFTS else ""
        if digests[key] != one.shift_digest:
            yield one.shift, "this version has another definition of the shift, or none"
        elif current[one.shift] != one.shift_digest:
            yield one.shift, "newer entries are measured on another revision of the data"


def _report_bytes(report: VerificationReport) -> bytes:
    """One check or lint to a line: short in the repository, and still read by people."""
    document = report.to_json()
    blocks = {
        name: ",\n".join("  " + json.dumps(one, separators=(",", ":"), allow_nan=False) for one in found)
        for name, found in ((name, document.pop(name)) for name in ("checks", "lints"))
    }
    head = json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}")
    lists = ",\n".join(f' "{name}": [\n{block}\n ]' for name, block in blocks.items())
    return f"{head},\n{lists}\n}}\n".encode()


def _bundle_bytes(bundle: Path) -> bytes:
    """The zip of a bundle, whichever form it came in."""
    if bundle.is_file():
        return bundle.read_bytes()
    import tempfile

    container = open_container(bundle)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / BUNDLE
        write_zip(path, {name: container.read(name) for name in container.members})
        return path.read_bytes()
