"""Decoded, resized and cropped images on disk: the next model over the same images reads no file of theirs.

``<cache>/images/<key>-<rows>/{pixels.bin, rows.npy, sums.npy, record.json}``. The key covers the content of
the source, the order of its examples, the geometry and the versions of what decodes and resizes: nothing
stale is found. An entry is filled under the name ``….part`` and renamed when its last image is there. Every
image that leaves the cache is held to its checksum. Entries used longest ago make room at the limit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models_zoo.spec import Preprocess
from shifts.digest import digest
from shifts.errors import CorruptDataError, UserError
from shifts.local import cache_home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Positions = NDArray[np.int64]

SCHEMA_VERSION = 1
VARIABLE = "ROBUSTBENCH_SHIFT_IMAGE_CACHE_GIB"
DEFAULT_GIB = 10.0
_KEY, _ROWS = 24, 8  # hex digits in a folder's name; the record holds the whole key
DAMAGE = (OSError, ValueError, KeyError, TypeError)


def images_home() -> Path:
    """Where entries lie."""
    return cache_home() / "images"


def limit_bytes() -> int:
    """How much the cache may hold: ``$ROBUSTBENCH_SHIFT_IMAGE_CACHE_GIB`` GiB, 10 without it.

    Raises:
        UserError: the variable is no size.
    """
    text = os.environ.get(VARIABLE, str(DEFAULT_GIB))
    try:
        size = int(float(text) * 2**30)
    except (ValueError, OverflowError):
        size = -1
    if size < 0:
        raise UserError(f"{VARIABLE}={text!r} is no size in GiB", hint="for example 10, or 0 for no cache")
    return size


def key_of(content: str, ids: Sequence[str], geometry: Preprocess) -> str:
    """The digest of everything that can move a pixel or a row.

    Args:
        content: content digest of the source's split, which does not know the order of its examples.
        ids: of the split, in their order.
        geometry: what is done to each image; its mean and std play no part.
    """
    return digest(
        {
            "schema": SCHEMA_VERSION,
            "content": content,
            "order": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
            "geometry": geometry.geometry,
            "versions": _versions(geometry.resizer),
        }
    )


@cache
def _versions(resizer: str) -> dict[str, str | None]:
    """Of the libraries whose releases may decode or resize to other pixels."""
    import PIL
    from PIL import features

    found = {"pillow": PIL.__version__, "jpeg": features.version("jpg"), "zlib": features.version("zlib")}
    if resizer == "torchvision":
        from importlib.metadata import version

        found |= {"torch": version("torch"), "torchvision": version("torchvision")}
    return found


def among(positions: Positions, rows: Positions) -> NDArray[np.bool_]:
    """Which of B positions are among N rising rows: bool (B,), without a look at all N of them."""
    if not len(rows):
        return np.zeros(len(positions), dtype=np.bool_)
    places = np.minimum(np.searchsorted(rows, positions), len(rows) - 1)
    return np.asarray(rows[places] == positions)


class Kept:
    """Images that are in the cache.

    Args:
        folder: of a whole entry.
        key: that it must have.

    Raises:
        OSError, ValueError, KeyError, TypeError: the entry is damaged.
    """

    def __init__(self, folder: Path, key: str) -> None:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        if record["schema_version"] != SCHEMA_VERSION or record["key"] != key:
            raise ValueError("another entry")
        if record["index"] != index_digest(folder):
            raise ValueError("another index")
        self.folder = folder
        self.rows: Positions = np.load(folder / "rows.npy", allow_pickle=False)
        self._sums: NDArray[np.uint32] = np.load(folder / "sums.npy", allow_pickle=False)
        self.shape: tuple[int, ...] = tuple(record["shape"])
        self._image = int(np.prod(self.shape))
        # Read by position, not mapped: a first touch costs half, and a file cut short later is an error to
        # handle, not the end of the process.
        self._file = (folder / "pixels.bin").open("rb", buffering=0)
        if os.fstat(self._file.fileno()).st_size != len(self.rows) * self._image:
            raise ValueError("cut short")
        with suppress(OSError):  # a cache that others wrote is as good
            os.utime(folder / "record.json")  # used now; what was used longest ago goes first

    def read(self, positions: Positions, into: Pixels) -> None:
        """Read rows that the entry holds.

        Args:
            positions: int64 (B,).
            into: uint8 (B, h, w, 3), contiguous, where they go; h, w, 3 is ``shape``.

        Raises:
            CorruptDataError: an image is not what was written, or cannot be read.
        """
        places = np.searchsorted(self.rows, positions)
        edges = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
        whole = True
        for start, stop in pairwise(edges):
            whole &= self._copy(int(places[start]) * self._image, into[start:stop].data.cast("B"))
        sums = self._sums[places].tolist()
        if not whole or any(zlib.crc32(image) != one for image, one in zip(into, sums, strict=True)):
            raise CorruptDataError(f"a kept image in {self.folder} is damaged", hint="remove the folder")

    def _copy(self, offset: int, into: memoryview) -> bool:
        """Whether so many bytes are there; the system may give them in parts."""
        try:
            while into:
                got = os.preadv(self._file.fileno(), [into], offset)
                if not got:
                    return False
                into, offset = into[got:], offset + got
        except OSError:
            return False
        return True

    def drop(self) -> None:
        """Remove the entry; what is open stays readable."""
        shutil.rmtree(self.folder, ignore_errors=True)


def entry_folder(key: str, rows: Positions) -> Path:
    """Where the entry of these rows lies."""
    name = hashlib.sha256(np.ascontiguousarray(rows, dtype="<i8").tobytes()).hexdigest()[:_ROWS]
    return images_home() / f"{key[:_KEY]}-{name}"


def entries_of(key: str) -> list[Path]:
    """Whole entries of a key, of whatever rows; not the locks, nor what is being filled."""
    return [folder for folder in sorted(images_home().glob(f"{key[:_KEY]}-*")) if not folder.suffix]


def look_up(key: str, positions: Positions) -> Kept | None:
    """An entry that holds all these rows, or None; damaged ones are removed.

    Args:
        positions: int64, rising.
    """
    for folder in entries_of(key):
        try:
            kept = Kept(folder, key)
        except DAMAGE:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        if among(positions, kept.rows).all():
            return kept
    return None


def index_digest(folder: Path) -> str:
    """SHA-256 of what says where the images of an entry lie and what they are."""
    files = ("rows.npy", "sums.npy")
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in files)).hexdigest()
