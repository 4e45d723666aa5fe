"""The layouts in which ImageNet's validation set and the sets modelled on it are found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.data import Examples
from shifts.errors import CorruptDataError
from shifts.readers.files import Files, FolderFiles, open_files
from shifts.readers.folders import class_folders
from shifts.readers.hub import hub_payloads
from shifts.readers.imagenet_tables import class_table, val_labels, val_number, wnid_index
from shifts.readers.layouts import first_layout, remark
from shifts.readers.payloads import where
from shifts.readers.webdataset import samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Payloads
    from shifts.readers.layouts import Layout

_WNID = re.compile(r"(?:^|[/_])(n\d{8})(?=[/_.]|$)")
_NUMBER = re.compile(r"(?:^|/)(\d{1,4})/[^/]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one of these sets is laid out.

    Attributes:
        source: its name, for messages.
        folders: name of a class folder → label.
        canonical: label → name of its class in ids.
        below: where the class folders lie (``("val", "")``).
        depth: folders that may lie above these.
        called: what files of the Hub call the split, in the order tried.
        positions: the labels in the order in which copies on the Hub count them (0 to 199 for ImageNet-A),
            where that is not ImageNet's.
        val_names: the images are validation images under their own names, whose classes are known.
        numbered: class folders are numbers, so that sorting them as text scrambles the labels.
    """

    source: str
    folders: Mapping[str, int]
    canonical: Sequence[str]
    below: tuple[str, ...] = ("",)
    depth: int = 2
    called: tuple[str, ...] = ("test", "validation", "val")
    positions: tuple[int, ...] | None = None
    val_names: bool = False
    numbered: bool = False

    @classmethod
    def of_wnids(cls, source: str, *, classes: tuple[int, ...] | None = None, **fields: Any) -> Family:
        """A family whose class folders go by wnid.

        Args:
            classes: indices of its classes, in the order in which copies on the Hub count them; None for all
                1000, which are counted as they are.
            fields: the others.
        """
        canonical = class_table()[0]
        return cls(source=source, folders=by_wnid(classes), canonical=canonical, positions=classes, **fields)

    def open(self, root: Path, split: str, *, more: Sequence[Layout] = ()) -> Examples:
        """The examples from class folders (in a folder or an uncompressed tar), parquet or webdataset.

        Args:
            more: further layouts.

        Raises:
            DataNotFoundError, CorruptDataError: see ``shifts.readers``.
        """
        layouts = (self.class_folders, *more, self.hub, self.webdataset)
        return first_layout(root, split, layouts, source=self.source)

    def class_folders(self, root: Path, split: str) -> Examples | None:
        """``[TOP/]CLASS/NAME.JPEG`` with classes by wnid (or number)."""
        for files in _files(root):
            found = class_folders(files, self.folders, below=self.below, depth=self.depth)
            if found is not None:
                examples = found.examples()
                return self.named(examples.payloads, found.labels, found.names)
        return None

    def hub(self, root: Path, split: str) -> Examples | None:
        """The Hub's rows of ``image`` and ``label``: parquet files, or saved by the ``datasets`` library."""
        payloads = hub_payloads(root, *self.called)
        if payloads is None:
            return None
        labels = self._indices(payloads.labels, payloads.paths()[0])
        return self.named(payloads, labels, payloads.file_names())

    def webdataset(self, root: Path, split: str) -> Examples | None:
        """Shards ``*.tar`` of ``KEY.jpg`` and ``KEY.cls``, or the unpacked files of one."""
        found = samples(root, self.called)
        if found is None:
            return None
        return self.named(found.payloads, self._indices(found.labels, root), found.names)

    def named(self, payloads: Payloads, labels: NDArray[np.int64], names: Sequence[str | None]) -> Examples:
        """Examples with ids that are the same in every layout, as far as names are kept.

        Raises:
            CorruptDataError: the class of an image is not the one its name says.
        """
        self._agree(payloads, labels, names)
        ids, nameless = [], 0
        for row, (label, name) in enumerate(zip(labels.tolist(), names, strict=True)):
            number = val_number(name or "") if self.val_names else None
            if number is not None:
                ids.append(f"ILSVRC2012_val_{number:08d}")
            elif name and 0 <= label < len(self.canonical):
                ids.append(f"{self.canonical[label]}/{name.rpartition('/')[2].rpartition('.')[0]}")
            else:
                ids.append(f"row-{row:06d}")
                nameless += 1
        if nameless:
            remark(
                f"{nameless} of {len(ids)} images have no file name in this copy: their ids are of its own, "
                "and predictions cannot be compared image by image with those from another copy"
            )
        return Examples(payloads=payloads, labels=labels, ids=ids)

    def _agree(self, payloads: Payloads, labels: NDArray[np.int64], names: Sequence[str | None]) -> None:
        told = np.array([self._class_told(name or "") for name in names], dtype=np.int64)
        wrong = np.flatnonzero((told >= 0) & (told != labels))
        if not (told >= 0).any():
            remark("the labels are taken as they are: this copy names no class that they could be checked by")
        if not len(wrong):
            return
        checked = told >= 0
        as_text = np.argsort(np.argsort([str(number) for number in range(len(self.canonical))]))
        if self.numbered and (as_text[told[checked]] == labels[checked]).all():
            raise CorruptDataError(
                f"the labels of this copy of {self.source!r} count its folders sorted as text (0, 1, 10, "
                "100, ...), not as numbers, the trap of ImageFolder: all but a few of them are wrong",
                hint="use a copy whose labels are the folders' numbers; the published archive always works",
            )
        row = int(wrong[0])
        wnids, spoken = class_table()
        classes = [f"{wnids[c]} ({spoken[c]})" if 0 <= c < 1000 else str(c) for c in (labels[row], told[row])]
        raise CorruptDataError(
            f"{where(payloads, row) or names[row]} counts as class {classes[0]}, "
            f"but its name says {classes[1]}"
            + (f"; {len(wrong)} images are like that" if len(wrong) > 1 else ""),
            hint="folders were swapped or labels shuffled; put the images back or get the files again",
        )

    def _class_told(self, name: str) -> int:
        """The class that a file's name gives away, or -1."""
        number = val_number(name) if self.val_names else None
        if number is not None:
            return int(val_labels()[number - 1])
        told = _WNID.findall(name)
        if told:
            return wnid_index().get(told[-1], -1)
        folder = _NUMBER.search(name) if self.numbered else None
        return int(folder.group(1)) if folder and int(folder.group(1)) < len(self.canonical) else -1

    def _indices(self, labels: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
        """Labels of a Hub copy, which may be positions among the classes of this set, as indices."""
        if self.positions is None or not len(labels):
            return labels
        own = np.array(self.positions)
        as_positions = bool(labels.max() < len(own))
        as_indices = bool(np.isin(labels, own).all())
        if as_positions and as_indices:
            raise CorruptDataError(
                f"the labels in {path} could be positions among the {len(own)} classes or indices among the "
                "1000 of ImageNet",
                hint="take class folders or a complete copy, which leave no doubt",
            )
        if not as_positions and not as_indices:
            raise CorruptDataError(
                f"the labels in {path} are neither positions among the {len(own)} classes of {self.source!r} "
                "nor their indices in ImageNet",
                hint="point to a copy of this data set",
            )
        return own[labels] if as_positions else labels


def _files(root: Path) -> list[Files]:
    if root.is_dir():
        return [FolderFiles(root)]
    return [open_files(root)] if root.suffix == ".tar" else []


def by_wnid(labels: Sequence[int] | None = None) -> dict[str, int]:
    """wnid → index for the classes of a set; all 1000 without an argument."""
    index = wnid_index()
    return index if labels is None else {class_table()[0][label]: label for label in labels}
