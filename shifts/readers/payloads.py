"""What readers hand out: images by position, encoded or as pixels, with the place of each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Payloads, Pixels
    from shifts.readers.files import Files


@runtime_checkable
class Placed(Protocol):
    """Payloads that know which files they come from (``shifts.catalogue`` watches these for changes)."""

    def where(self, index: int) -> str: ...

    def paths(self) -> list[Path]: ...


def where(payloads: Payloads, index: int) -> str | None:
    """The place of an image for a message, or None where the payloads do not know."""
    return payloads.where(index) if isinstance(payloads, Placed) else None


class FilePayloads:
    """Encoded images, one file each.

    Args:
        files: the folder or tar.
        names: N names in it.
        beside: further files that were read for the labels.
    """

    def __init__(self, files: Files, names: Sequence[str], *, beside: Sequence[Path] = ()) -> None:
        self.files, self.names, self._beside = files, names, list(beside)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> bytes:
        return self.files.read(self.names[index])

    def where(self, index: int) -> str:
        return self.files.where(self.names[index])

    def paths(self) -> list[Path]:
        return self.files.paths(self.names) + self._beside


class PackedPayloads:
    """Encoded images one after the other in one array: image i is ``data[offsets[i]:offsets[i + 1]]``.

    Args:
        data: uint8 (total,).
        offsets: int64 (N + 1,), rising from 0.
        path: the file they come from.
    """

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64], *, path: Path) -> None:
        self._data, self._offsets, self._path = data, offsets, path

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        return self._data[int(self._offsets[index]) : int(self._offsets[index + 1])].tobytes()

    def where(self, index: int) -> str:
        return f"{self._path}, row {index}"

    def paths(self) -> list[Path]:
        return [self._path]


class ArrayPayloads:
    """Images that are rows of an array, in memory or mapped from a file.

    Args:
        array: uint8 (N, H, W, 3), or (N, 3, H, W) with ``order="CHW"``, or (N, H, W) with ``order="HW"``.
        paths: the files it comes from.
    """

    def __init__(
        self, array: NDArray[np.uint8], paths: Sequence[Path], *, order: Literal["HWC", "CHW", "HW"] = "HWC"
    ) -> None:
        self._array, self._paths, self._order = array, list(paths), order

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: int) -> Pixels:
        image = np.asarray(self._array[index])
        if self._order == "CHW":
            image = image.transpose(1, 2, 0)
        elif self._order == "HW":
            image = np.repeat(image[:, :, None], 3, axis=2)
        return np.array(image, order="C")  # a copy of its own: nobody writes into the file

    def where(self, index: int) -> str:
        return f"{self._paths[0]}, row {index}"

    def paths(self) -> list[Path]:
        return self._paths

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        base = _mapping(self._array)
        if base is not None:  # a mapped file travels as its place, not as its bytes
            offset = self._array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            state["_array"] = None
            state["_mapped"] = _Mapped(
                path=str(base.filename),
                offset=base.offset + offset,
                dtype=self._array.dtype.str,
                shape=self._array.shape,
                strides=self._array.strides,
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        mapped: _Mapped | None = state.pop("_mapped", None)
        self.__dict__.update(state)
        if mapped is not None:
            self._array = mapped.open()


class _Mapped:
    """Where an array lies in a file."""

    def __init__(
        self, *, path: str, offset: int, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.path, self.offset, self.dtype, self.shape, self.strides = path, offset, dtype, shape, strides

    def open(self) -> NDArray[Any]:
        whole = np.memmap(self.path, dtype=np.uint8, mode="r")
        return np.ndarray(
            self.shape, dtype=self.dtype, buffer=whole, offset=self.offset, strides=self.strides
        )


def _mapping(array: NDArray[Any]) -> np.memmap[Any, Any] | None:
    """The mapped file an array is a view of, or None."""
    base: Any = array
    found: np.memmap[Any, Any] | None = None
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.filename is not None:
            found = base
        base = base.base
    return found


class Chain:
    """Several payloads one after the other."""

    def __init__(self, parts: Sequence[Payloads]) -> None:
        self.parts = list(parts)
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _find(self, index: int) -> tuple[Payloads, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect_right(self._ends, index)
        return self.parts[part], index - (self._ends[part - 1] if part else 0)

    def __getitem__(self, index: int) -> bytes | Pixels:
        part, row = self._find(index)
        return part[row]

    def where(self, index: int) -> str:
        part, row = self._find(index)
        return where(part, row) or f"image {index}"

    def paths(self) -> list[Path]:
        return [path for part in self.parts if isinstance(part, Placed) for path in part.paths()]


class Subset:
    """Some of the rows of other payloads.

    Args:
        rows: int64 (n,), their positions in ``payloads``.
        beside: further files that were read for the labels.
    """

    def __init__(self, payloads: Payloads, rows: NDArray[np.int64], *, beside: Sequence[Path] = ()) -> None:
        self._payloads, self._rows, self._beside = payloads, rows, list(beside)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> bytes | Pixels:
        return self._payloads[int(self._rows[index])]

    def where(self, index: int) -> str:
        return where(self._payloads, int(self._rows[index])) or f"image {index}"

    def paths(self) -> list[Path]:
        paths = self._payloads.paths() if isinstance(self._payloads, Placed) else []
        return paths + self._beside
