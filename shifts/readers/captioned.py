"""Image-text pairs as img2dataset writes them: shards ``00000.tar`` of ``KEY.jpg`` and ``KEY.txt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Attribute, Examples
from shifts.errors import CorruptDataError
from shifts.readers.files import Files, FolderFiles, TarFiles
from shifts.readers.folders import is_image
from shifts.readers.layouts import walk
from shifts.readers.payloads import Chain, FilePayloads

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTION = ".txt"


def captioned(root: Path) -> Examples | None:
    """All pairs below a folder (or of one tar), in the order of shards and keys; None where there are none.

    Every example has label 0 and its caption, without the white space around it, in the column ``caption``.

    Raises:
        CorruptDataError: an image without a caption, or a caption that is not UTF-8 or is empty.
    """
    parts, ids, texts = [], [], []
    for files in _shards(root):
        there = files.names("")
        images = sorted(name for name in there if is_image(name))
        lone = [name for name in images if _key(name) + CAPTION not in set(there)]
        if lone:
            raise CorruptDataError(
                f"{files.where(lone[0])} has no caption {CAPTION} beside it", hint="get the shard again"
            )
        texts += [_text(files, _key(name) + CAPTION) for name in images]
        beside = files.paths([_key(name) + CAPTION for name in images])
        parts.append(FilePayloads(files, images, beside=sorted(set(beside))))
        ids += [_key(name) for name in images]
    if not ids:
        return None
    names = tuple(dict.fromkeys(texts))
    place = {text: number for number, text in enumerate(names)}
    values = np.array([place[text] for text in texts], dtype=np.int64)
    return Examples(
        payloads=Chain(parts),
        labels=np.zeros(len(ids), dtype=np.int64),
        ids=ids,
        attributes={"caption": Attribute(values=values, names=names)},
    )


def _shards(root: Path) -> Iterator[Files]:
    if root.is_file():
        yield TarFiles(root)
        return
    tars = sorted(path for path in walk(root) if path.suffix == ".tar")
    if tars:
        yield from map(TarFiles, tars)
    else:
        yield FolderFiles(root)


def _key(name: str) -> str:
    return name.rpartition(".")[0]


def _text(files: Files, name: str) -> str:
    try:
        text = files.read(name).decode().strip()
    except UnicodeDecodeError as error:
        raise CorruptDataError(f"{files.where(name)} is not UTF-8", hint="get the shard again") from error
    if not text:
        raise CorruptDataError(f"{files.where(name)} is empty", hint="leave pairs without a caption out")
    return text
