"""Folders that ``datasets.Dataset.save_to_disk`` writes: what people carry to a machine without network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.errors import CorruptDataError
from shifts.readers.layouts import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATE = "state.json"


def saved_folder(root: Path, split: str) -> Path | None:
    """The folder of a saved split: it goes by the split's name, or its state names the split."""
    folders = [path.parent for path in walk(root) if path.name == STATE]
    named = next((folder for folder in folders if folder.name == split), None)
    return named or next((folder for folder in folders if _split_of(folder) == split), None)


def _split_of(folder: Path) -> str | None:
    try:
        known = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    split = known.get("_split") if isinstance(known, dict) else None
    return split if isinstance(split, str) else None


class SavedPayloads:
    """Images by row of a saved split, mapped from its Arrow files by the ``datasets`` library.

    Args:
        folder: with ``state.json``, ``dataset_info.json`` and ``data-*.arrow``.
        label: name of the column of integers; None for a set that has none.

    Attributes:
        labels: int64 (N,); empty without a label column.

    Raises:
        CorruptDataError: not such a folder, cut short, or without these columns.
    """

    def __init__(self, folder: Path, *, label: str | None = "label") -> None:
        import datasets

        self._folder = folder
        try:
            rows = datasets.load_from_disk(str(folder), keep_in_memory=False).with_format(None)
            images = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
            self._rows = rows.cast_column(images[0], datasets.Image(decode=False)) if images else rows
        except Exception as error:
            raise CorruptDataError(
                f"{folder} is not a readable folder of save_to_disk: {error}", hint="save it again"
            ) from error
        if not images or (label is not None and label not in self._rows.features):
            wanted = "a column of images" + ("" if label is None else f" and {label!r}")
            raise CorruptDataError(
                f"{folder} has the columns {', '.join(self._rows.features)}; expected {wanted}",
                hint="save the set with the columns the Hub serves",
            )
        self._image = images[0]
        self.labels: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        if label is not None:
            self.labels = self.column(label).astype(np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> bytes:
        value: Any = self._rows[index][self._image]["bytes"]
        if value is None:
            raise CorruptDataError(f"{self.where(index)} has no image", hint="save the set with its images")
        return bytes(value)

    def where(self, index: int) -> str:
        return f"{self._folder}, row {index}"

    def paths(self) -> list[Path]:
        return list(walk(self._folder, depth=1))

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._rows.features)

    def column(self, name: str) -> NDArray[Any]:
        """A plain column.

        Raises:
            CorruptDataError: there is none of this name.
        """
        if name not in self._rows.features:
            raise CorruptDataError(
                f"{self._folder} has the columns {', '.join(self.columns)}; expected {name!r}",
                hint="save the set with the columns the Hub serves",
            )
        return np.asarray(self._rows.data.column(name).to_numpy())

    def class_names(self, name: str) -> tuple[str, ...] | None:
        """What the numbers of a column stand for, or None where it does not say."""
        return tuple(getattr(self._rows.features[name], "names", None) or ()) or None

    def file_names(self) -> list[str | None]:
        """N names of the files that the images once were, as far as the rows keep them."""
        chunks = self._rows.data.column(self._image).chunks
        return [name for chunk in chunks for name in chunk.field("path").to_pylist()]
