"""The local copies of data sets: taken in, checked, listed. The library behind the ``data`` commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shifts import local
from shifts.archives import archive_kind, unpack
from shifts.checking import (
    Progress,
    SplitCheck,
    bytes_of,
    check_split,
    class_counts,
    count_faults,
    further_faults,
    more_than_declared,
)
from shifts.data import Examples, check_examples
from shifts.digest import file_digest
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.labels import LABEL_SPACES
from shifts.local import Record, SplitRecord
from shifts.readers.arrays import is_npz
from shifts.readers.layouts import describe, remarks_kept, walk
from shifts.readers.payloads import Placed
from shifts.registry import resolve
from shifts.spec import SOURCES
from shifts.staging import commit, copied, locked, staging, told_of

if TYPE_CHECKING:
    from shifts.spec import ImageSource, RemoteFile


def add(
    source_name: str,
    path: Path,
    *,
    partial: bool = False,
    copy: bool = False,
    replace: bool = False,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Record:
    """Take in a copy of a source: find its layout, read every image, record what was found.

    Archives are unpacked under the data folder; anything else stays where it is unless ``copy``. The
    record is written last, so an interrupted ``add`` leaves things as they were.

    Args:
        path: a file or folder in one of the source's layouts.
        partial: take fewer images than published; recorded, and said with every result.
        replace: put this copy in the place of a recorded one with other content.
        progress: called with (what is being done, done so far, in all).

    Raises:
        DataNotFoundError: nothing there, or no known layout.
        CorruptDataError: an image does not decode, or counts, hashes or digests differ from the published.
        UserError: another content is recorded already, or an archive is not safe.
    """
    source = SOURCES.get(source_name)
    if source.bundled:
        raise UserError(f"{source.name!r} comes with the package; there is nothing to add")
    path = path.expanduser()
    if not path.exists():
        raise DataNotFoundError(f"nothing is at {path}", hint=local.how_to_get(source))
    with locked(source, data_dir=data_dir), staging(source, data_dir=data_dir) as stage:
        root, linked, published = path.resolve(), True, True
        if archive_kind(root) is not None and not is_npz(root):
            published = _published(source, [root], partial=partial)
            unpack(root, stage, progress=bytes_of(f"unpacking {root.name}", progress))
            root, linked = stage, False
        elif copy:
            root, linked = copied(root, stage), False
        with told_of(path, stage):
            return take_in(
                source,
                root,
                linked=linked,
                partial=partial,
                published=published,
                replace=replace,
                data_dir=data_dir,
                progress=progress,
            )


def take_in(
    source: ImageSource,
    root: Path,
    *,
    linked: bool,
    partial: bool = False,
    published: bool = True,
    replace: bool = False,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    declaration: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Record:
    """Check the files below ``root`` and make them the recorded copy of a source.

    Args:
        linked: the files stay where they are; otherwise ``root`` lies in the staging folder and is moved.
        published: False for the files of an archive that is not the published one.
        declaration: of a user's own data (``shifts.own``).
        notes: kept in the record beside what the loader remarks.
    """
    with remarks_kept() as remarks:
        splits = open_splits(source, root)
    names = LABEL_SPACES.get(source.label_space).class_names
    complete = published
    for split, examples in splits.items():
        what = f"{source.name}/{split}"
        counts = class_counts(examples, len(names), what=what)
        per_class, total = source.counts[split], source.totals.get(split)
        faults = count_faults(counts, per_class, names, total=total, may_lack=source.may_lack)
        complete = complete and faults is None
        if more_than_declared(counts, per_class, total=total):
            raise CorruptDataError(
                f"{root} holds more than {what} has: {faults}",
                hint="point to this data set alone; another split or a copy of the images may lie beside it",
            )
        if faults and not partial:
            raise CorruptDataError(
                f"{root} is not all of {what}: {faults}",
                hint="get the rest, or take it as it is with --partial (every result will say so)",
            )
    files = sorted({path for examples in splits.values() for path in _paths(examples, root)})
    complete = _published(source, files, partial=partial) and complete
    checks = {split: _checked(source, split, examples, root, progress) for split, examples in splits.items()}
    for split, check in checks.items():
        declared = source.content.get(split)
        if declared is not None and check.content != declared:
            complete = False
            if not partial:
                raise CorruptDataError(
                    f"the content of {source.name}/{split} in {root} is not the published one "
                    f"(digest {str(check.content)[:8]}, published {declared[:8]})",
                    hint="get the files again from their publisher",
                )
    record = Record(
        source=source.name,
        version=source.version,
        root=str(root),
        linked=linked,
        partial=partial and not complete,
        splits={
            split: SplitRecord(n=check.n, counts=check.counts, content=str(check.content))
            for split, check in checks.items()
        },
        files=_states(files, root),
        declaration=declaration,
        notes=(*notes, *remarks),
    )
    _refuse_other_content(source, record, replace=replace, data_dir=data_dir)
    return commit(record, root, data_dir=data_dir)


def open_splits(source: ImageSource, root: Path) -> dict[str, Examples]:
    """The examples of every split that ``root`` holds.

    Raises:
        DataNotFoundError: none.
    """
    load = resolve(source.loader)
    found: dict[str, Examples] = {}
    for split in source.counts:
        try:
            examples: Examples = load(root, split)
        except DataNotFoundError:
            continue
        if len(examples.labels):
            check_examples(examples, what=f"{source.name}/{split}")
            found[split] = examples
    if not found:
        raise DataNotFoundError(
            f"{root} holds {source.name!r} in no layout known ({describe(root)})", hint=_way_in(source, root)
        )
    return found


def _way_in(source: ImageSource, root: Path) -> str:
    """What the user may have meant by a path without a known layout."""
    archive = next((file for file in walk(root, depth=2) if file != root and archive_kind(file)), None)
    if archive is not None and not is_npz(archive):
        return f"robustbench-shift data add {source.name} {archive}"
    for other in SOURCES:
        if other.name != source.name and other.label_space == source.label_space and not other.bundled:
            with suppress(UserError):
                if len(resolve(other.loader)(root, next(iter(other.counts))).labels):
                    return (
                        f"these are images of {other.name!r}: robustbench-shift data add {other.name} {root}"
                    )
    layouts = "; ".join(source.layouts)
    return f"layouts: {layouts}" if layouts else f"robustbench-shift show {source.name}"


def check_published(source: ImageSource, files: list[Path]) -> None:
    """Files whose names have a published hash must have that hash.

    Raises:
        CorruptDataError: names the file.
    """
    known: dict[str, RemoteFile] = {file.filename.rpartition("/")[2]: file for file in source.files}
    for path in files:
        published = known.get(path.name)
        if published is None:
            continue
        for algorithm, expected in (("sha256", published.sha256), ("md5", published.md5)):
            if expected is None:
                continue
            if file_digest(path, algorithm=algorithm) != expected:
                raise CorruptDataError(
                    f"{path} is not the published {path.name} of {source.name!r}: "
                    f"its {algorithm} is not {expected}",
                    hint="get the file again, or take it as it is with --partial (every result will say so)",
                )
            break


def _published(source: ImageSource, files: list[Path], *, partial: bool) -> bool:
    """Whether the files are the published ones; only a partial copy may differ."""
    try:
        check_published(source, files)
    except CorruptDataError:
        if not partial:
            raise
        return False
    return True


def _checked(
    source: ImageSource, split: str, examples: Examples, root: Path, progress: Progress | None
) -> SplitCheck:
    names = LABEL_SPACES.get(source.label_space).class_names
    what = f"{source.name}/{split}"
    check = check_split(examples, len(names), what=what, progress=progress)
    if check.bad:
        more = f" (and {len(check.bad) - 1} more)" if len(check.bad) > 1 else ""
        raise CorruptDataError(
            f"{check.bad[0][1]}{more}",
            hint=f"replace the file, then: robustbench-shift data add {source.name} {root}",
        )
    for fault in further_faults(source, examples):
        raise CorruptDataError(fault, hint=f"get the files of {source.name!r} as published")
    return check


def _refuse_other_content(
    source: ImageSource, record: Record, *, replace: bool, data_dir: Path | None
) -> None:
    known = local.read_record(source.name, data_dir=data_dir)
    if known is None or replace or known.version != source.version:
        return
    folder = local.source_folder(source.name, data_dir=data_dir)
    hint = f"keep the recorded copy, or put this one in its place with --replace (its record is in {folder})"
    lost = [split for split in known.splits if split not in record.splits]
    if lost:
        raise UserError(
            f"{record.root} has no split {', '.join(lost)} of {source.name!r}, which the recorded copy in "
            f"{local.root_of(known, data_dir=data_dir)} has",
            hint=hint,
        )
    for split, was in known.splits.items():
        now = record.splits[split]
        if now.content != was.content:
            raise UserError(
                f"the content of {source.name}/{split} in {record.root} differs from the recorded copy in "
                f"{local.root_of(known, data_dir=data_dir)} ({now.n} images with digest {now.content[:8]}, "
                f"recorded {was.n} with {was.content[:8]})",
                hint=hint,
            )


def _paths(examples: Examples, root: Path) -> list[Path]:
    """The files whose change would change the examples."""
    if isinstance(examples.payloads, Placed):
        return examples.payloads.paths()
    return list(walk(root, depth=12))


def _states(files: list[Path], root: Path) -> dict[str, tuple[int, int]]:
    states: dict[str, tuple[int, int]] = {}
    for path in files:
        name = "." if path == root else path.relative_to(root).as_posix()
        state = local.file_state(root, name)
        if state is not None:
            states[name] = state
    return states
