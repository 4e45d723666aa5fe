"""Looking again at what is on this machine: is it there, is it still what was checked, what is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shifts import local
from shifts.checking import Progress, check_split, count_faults, further_faults
from shifts.data import check_examples
from shifts.duplicates import shared_images
from shifts.errors import UserError
from shifts.labels import LABEL_SPACES
from shifts.registry import resolve
from shifts.spec import SOURCES

if TYPE_CHECKING:
    from shifts.local import Record
    from shifts.spec import ImageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """What verification found in a split; ``faults`` is empty when all is well.

    Attributes:
        n: images found; 0 when the split cannot be opened.
        content: the content digest found; None when an image is bad.
        counts: images of each class; empty when the split cannot be opened.
        labels: digest of ids and labels alone, which images in another encoding do not change.
    """

    n: int
    content: str | None
    counts: tuple[int, ...] = ()
    labels: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """The outcome of ``verify``."""

    source: str
    root: Path | None
    partial: bool
    splits: Mapping[str, SplitReport]
    notes: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """Everything that is wrong, in words; each names its file or split."""
        return tuple(fault for split in self.splits.values() for fault in split.faults)

    @property
    def ok(self) -> bool:
        return not self.faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What is on this machine of a source.

    Attributes:
        splits: split → images, of the splits that can be opened; empty when there is no copy.
        bytes: size of the files; 0 for a bundled source.
        root: where they lie; None for a bundled source or when there is no copy.
        problem: why the copy cannot be used, with the way out.
        how: the command that gets the source, when it is not there.
    """

    source: str
    title: str
    bundled: bool
    splits: Mapping[str, int] = field(default_factory=dict)
    partial: bool = False
    linked: bool = False
    bytes: int = 0
    root: Path | None = None
    problem: str | None = None
    how: str | None = None
    notes: tuple[str, ...] = ()


def ready(pattern: str | None = None, *, data_dir: Path | None = None) -> list[Ready]:
    """Every source that matches the pattern, with what is here of it; reads no image."""
    return [_ready(SOURCES.get(name), data_dir) for name in SOURCES.names(pattern)]


def verify(
    source_name: str, *, data_dir: Path | None = None, progress: Progress | None = None
) -> VerifyReport:
    """Read every image of a local copy: counts per class, decodability, content digest, and whether a
    natural shift shares images with its reference.

    A copy whose files were touched but whose content is the recorded one is good: its record is renewed.

    Args:
        progress: called with (what is being done, done so far, in all).

    Raises:
        DataNotFoundError: there is no local copy.
    """
    source = SOURCES.get(source_name)
    if source.bundled:
        splits = {
            split: _look(source, split, None, content=content, counts=source.counts[split], progress=progress)
            for split, content in source.content.items()
        }
        return VerifyReport(source=source.name, root=None, partial=False, splits=splits)
    record = local.read_record(source.name, data_dir=data_dir)
    if record is None:
        record = local.required_record(source, next(iter(source.counts)), data_dir=data_dir)
    root = local.root_of(record, data_dir=data_dir)
    if not root.exists():
        splits = {
            split: SplitReport(n=0, content=None, faults=(f"{root} is gone",)) for split in record.splits
        }
        return VerifyReport(source=source.name, root=root, partial=record.partial, splits=splits)
    splits = {
        split: _look(
            source,
            split,
            root,
            content=known.content,
            counts=_expected(source, record, split),
            progress=progress,
        )
        for split, known in record.splits.items()
    }
    report = VerifyReport(
        source=source.name, root=root, partial=record.partial, splits=splits, notes=record.notes
    )
    report = _with_changes(report, record, root, data_dir=data_dir)
    return _with_shared_images(source, report, data_dir, progress) if report.ok else report


def _with_shared_images(
    source: ImageSource, report: VerifyReport, data_dir: Path | None, progress: Progress | None
) -> VerifyReport:
    """Say what a natural shift shares with its reference, where that is on this machine and whole."""
    try:
        shared = shared_images(source, data_dir=data_dir, progress=progress)
    except UserError as error:  # of the reference's copy, which has a verification of its own
        note = f"not compared with the reference: {error.message}"
        return dataclasses.replace(report, notes=(*report.notes, note))
    splits = {
        split: dataclasses.replace(known, faults=(*known.faults, shared[split])) if split in shared else known
        for split, known in report.splits.items()
    }
    return dataclasses.replace(report, splits=splits)


def _expected(source: ImageSource, record: Record, split: str) -> tuple[int | None, ...]:
    return record.splits[split].counts if record.partial else source.counts.get(split, ())


def _look(
    source: ImageSource,
    split: str,
    root: Path | None,
    *,
    content: str,
    counts: tuple[int | None, ...],
    progress: Progress | None,
) -> SplitReport:
    what = f"{source.name}/{split}"
    names = LABEL_SPACES.get(source.label_space).class_names
    try:
        examples = resolve(source.loader)(root, split)
        check_examples(examples, what=what)
        check = check_split(examples, len(names), what=what, progress=progress)
        further = further_faults(source, examples) if not check.bad else []
    except UserError as error:
        return SplitReport(n=0, content=None, faults=(f"{what}: {error.message}",))
    except OSError as error:
        return SplitReport(n=0, content=None, faults=(f"{what}: {error}",))
    faults = [reason for _, reason in check.bad] + further
    total, may_lack = source.totals.get(split), source.may_lack
    wrong = count_faults(check.counts, counts, names, total=total, may_lack=may_lack)
    if wrong is not None:
        faults.append(f"{what}: {wrong}")
    if not faults and check.content != content:
        faults.append(
            f"{what}: the content differs from the recorded one (digest {str(check.content)[:8]}, recorded "
            f"{content[:8]}): an image, a label or an id was changed"
        )
    return SplitReport(
        n=check.n,
        content=check.content,
        counts=check.counts,
        labels=local.label_digest(examples),
        faults=tuple(faults),
    )


def _with_changes(report: VerifyReport, record: Record, root: Path, *, data_dir: Path | None) -> VerifyReport:
    """Name files that are gone; renew the record when files were touched and the content is the same."""
    states = {name: local.file_state(root, name) for name in record.files}
    gone = tuple(f"{root / name} is gone" for name, state in states.items() if state is None)
    if report.ok and not gone:
        now = {name: state for name, state in states.items() if state is not None}
        if now != dict(record.files):
            renewed = dataclasses.replace(record, files=now)
            folder = local.source_folder(record.source, data_dir=data_dir)
            local.write_atomic(folder / local.RECORD, renewed.to_json())
        return report
    if not gone:
        return report
    first, *others = report.splits
    known = report.splits[first]
    splits = {first: dataclasses.replace(known, faults=(*gone, *known.faults))}
    splits |= {split: report.splits[split] for split in others}
    return dataclasses.replace(report, splits=splits)


def _ready(source: ImageSource, data_dir: Path | None) -> Ready:
    if source.bundled:
        splits = {split: source.size(split) for split in source.counts}
        return Ready(source=source.name, title=source.title, bundled=True, splits=splits)
    try:
        record = local.read_record(source.name, data_dir=data_dir)
        if record is None:
            verb = "fetch" if source.hub or any(file.urls for file in source.files) else "add"
            how = f"robustbench-shift data {verb} {source.name}" + (" PATH" if verb == "add" else "")
            return Ready(source=source.name, title=source.title, bundled=False, how=how)
        root = local.root_of(record, data_dir=data_dir)
        problem = None
        for split in record.splits:
            local.required_record(source, split, data_dir=data_dir)
            local.locate(source, split, data_dir=data_dir)
            break  # the state of the files is that of the whole copy
    except UserError as error:
        return Ready(source=source.name, title=source.title, bundled=False, problem=str(error))
    return Ready(
        source=source.name,
        title=source.title,
        bundled=False,
        splits={split: known.n for split, known in record.splits.items()},
        partial=record.partial,
        linked=record.linked,
        bytes=sum(size for size, _ in record.files.values()),
        root=root,
        problem=problem,
        notes=record.notes,
    )
