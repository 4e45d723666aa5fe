"""Images that a shift shares with its reference: a model is then measured on what it is compared with."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from shifts import local
from shifts.checking import CHUNK, Progress, place
from shifts.data import load_examples
from shifts.images import content_bytes
from shifts.spec import SHIFTS, SOURCES

if TYPE_CHECKING:
    from shifts.data import Examples
    from shifts.spec import ImageSource


def shared_images(
    source: ImageSource, *, data_dir: Path | None = None, progress: Progress | None = None
) -> dict[str, str]:
    """For each split of a source, in words, what it shares with the reference of its natural shifts.

    Two images are the same when their files are (lossy ones) or their pixels (lossless ones). References
    that are not on this machine, and those made of the same source or of the one whose images these are, are
    passed over.

    Args:
        progress: called with (what is being done, done so far, in all).

    Raises:
        DataNotFoundError, CorruptDataError: an image cannot be read.
    """
    pairs: dict[tuple[str, str, str], None] = {}
    for spec in SHIFTS:
        if spec.source == source.name and spec.kind == "natural" and spec.reference is not None:
            reference = SHIFTS.get(spec.reference)
            here = local.is_ready(source, spec.split, data_dir=data_dir)
            there = local.is_ready(SOURCES.get(reference.source), reference.split, data_dir=data_dir)
            if reference.source not in (source.name, source.images_of) and here and there:
                pairs[spec.split, reference.source, reference.split] = None
    found = {}
    for split, other, other_split in pairs:
        what = f"comparing {source.name}/{split} with {other}"
        ours = load_examples(source.name, split, data_dir=data_dir)
        theirs = load_examples(other, other_split, data_dir=data_dir)
        known = dict(zip(_hashes(ours, what=what, progress=progress), range(len(ours.ids)), strict=True))
        same = [
            (known[one], row)
            for row, one in enumerate(_hashes(theirs, what=what, progress=progress))
            if one in known
        ]
        if same:
            mine, row = same[0]
            found[split] = (
                f"{source.name}/{split}: {len(same)} images are also images of its reference {other!r}, "
                f"first {place(ours, mine)}, which is {place(theirs, row)}"
            )
    return found


def _hashes(examples: Examples, *, what: str, progress: Progress | None) -> list[bytes]:
    def one(index: int) -> bytes:
        content = content_bytes(examples.payloads[index], where=place(examples, index))
        return hashlib.sha256(content).digest()

    total = len(examples.ids)
    found: list[bytes] = []
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, total, CHUNK):
            found += pool.map(one, range(start, min(start + CHUNK, total)))
            if progress is not None:
                progress(what, len(found), total)
    return found
