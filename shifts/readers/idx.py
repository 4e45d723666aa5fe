"""The idx format of MNIST, plain or gzipped."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

UBYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array of bytes: uint8, of the shape its header tells.

    Raises:
        CorruptDataError: no idx file of bytes, or its length is not what the header tells.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptDataError(f"{path} cannot be read: {error}", hint="get the file again") from error
    axes = raw[3] if len(raw) > 4 and raw[:2] == b"\0\0" and raw[2] == UBYTE else 0
    head = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", raw[4:head]) if axes and len(raw) >= head else ()
    if not shape or len(raw) - head != int(np.prod(shape, dtype=np.int64)):
        raise CorruptDataError(
            f"{path} is no idx file of bytes, or is cut short ({len(raw)} bytes, shape {shape})",
            hint="get the file again",
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=head).reshape(shape)


def find_idx(root: Path, stem: str) -> Path | None:
    """The file ``stem`` (``t10k-images-idx3-ubyte``) below a folder, gzipped or not, also with a dot."""
    from shifts.readers.layouts import folder_with

    dotted = stem.replace("-idx", ".idx")
    for name in (stem, f"{stem}.gz", dotted, f"{dotted}.gz"):
        folder = folder_with(root, name)
        if folder is not None and root.is_dir():
            return folder / name
    return None
