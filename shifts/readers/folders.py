"""Images in one folder for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shifts.data import Examples, hash_rank
from shifts.errors import CorruptDataError
from shifts.readers.files import Files
from shifts.readers.payloads import FilePayloads

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFolders:
    """Images found: ``names`` (N) below the top folder, ``stems`` (N) ``class/name`` without suffix,
    ``labels`` int64 (N,); ``left_out`` names folders of images of other classes."""

    files: Files
    names: tuple[str, ...]
    stems: tuple[str, ...]
    labels: NDArray[np.int64]
    left_out: tuple[str, ...] = ()

    def examples(self, ids: Sequence[str] | None = None) -> Examples:
        """As examples; the stems are the ids unless others are given."""
        return Examples(
            payloads=FilePayloads(self.files, self.names),
            labels=self.labels,
            ids=self.stems if ids is None else ids,
        )


def class_folders(
    files: Files,
    folders: Mapping[str, int],
    *,
    below: Sequence[str] = ("",),
    depth: int = 1,
    part: bool = False,
    others: Sequence[str] = (),
) -> ClassFolders | None:
    """The images of the nearest folder that holds class folders, or None where there is none.

    Args:
        files: a folder or a tar.
        folders: folder name → label; several names may mean one class.
        below: where the class folders lie, in the order tried (``("test", "val", "")``).
        depth: how many folders (an archive's top folder) may lie above these.
        part: the classes are a part of those of a larger set; folders of others are left out.
        others: names of files that are published among the images and are none.

    Raises:
        CorruptDataError: a class folder holds something that is no image, or a folder of images beside
            the class folders is no class: most likely the wrong folder or a misspelt class.
    """
    base = _base(files, folders, below, depth)
    if base is None:
        return None
    names: list[str] = []
    labels: list[int] = []
    left_out: list[str] = []
    for folder in files.folders(base):
        path = _join(base, folder)
        inside = [name for name in files.names(path) if name not in others]
        if folder not in folders:
            if any(is_image(name) for name in inside):
                left_out.append(folder)
                if part:
                    continue
                raise CorruptDataError(
                    f"{files.where(path)} holds images, but {folder!r} is none of the "
                    f"{len(set(folders.values()))} classes ({', '.join(list(folders)[:3])}, ...)",
                    hint="give the folder the name of its class, or take it away",
                )
            continue
        for name in inside:
            if not is_image(name):
                raise CorruptDataError(
                    f"{files.where(_join(path, name))} is not an image file "
                    f"({', '.join(IMAGE_SUFFIXES[:3])}, ...)",
                    hint="take the file away, or point to the folder that holds the class folders",
                )
        names += [_join(path, name) for name in inside]
        labels += [folders[folder]] * len(inside)
    cut = len(base) + 1 if base else 0
    return ClassFolders(
        files=files,
        names=tuple(names),
        stems=tuple(name[cut:].rpartition(".")[0] for name in names),
        labels=np.array(labels, dtype=np.int64),
        left_out=tuple(left_out),
    )


def divided(found: ClassFolders, split: str, parts: Mapping[str, float | None]) -> Examples:
    """One split of images for which none is published: every class cut by a hash of its images' names.

    Args:
        split: one of the parts.
        parts: name of a split → the share of a class below 1, or the number of its images; None for the rest.
            They are cut off in this order.

    Raises:
        CorruptDataError: a class has too few images.
    """
    chosen = []
    for label in np.unique(found.labels).tolist():
        rows = np.flatnonzero(found.labels == label)
        rows = rows[hash_rank([found.stems[row] for row in rows.tolist()], "split")]
        start = 0
        for name, part in parts.items():
            number = len(rows) - start if part is None else round(part * len(rows)) if part < 1 else int(part)
            if number < 1 or start + number > len(rows):
                raise CorruptDataError(
                    f"{found.stems[rows[0]]}: {len(rows)} images of a class do not make {', '.join(parts)}",
                    hint="get the rest of the images",
                )
            if name == split:
                chosen.append(rows[start : start + number])
            start += number
    kept = np.sort(np.concatenate(chosen))
    return Examples(
        payloads=FilePayloads(found.files, [found.names[row] for row in kept.tolist()]),
        labels=found.labels[kept],
        ids=[found.stems[row] for row in kept.tolist()],
    )


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def _base(files: Files, folders: Mapping[str, int], below: Sequence[str], depth: int) -> str | None:
    level = [""]
    for _ in range(depth + 1):
        for top in level:
            for sub in below:
                base = _join(top, sub)
                if any(name in folders for name in files.folders(base)):
                    return base
        level = [_join(top, name) for top in level for name in files.folders(top)]
    return None


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
