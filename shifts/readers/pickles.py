"""Pickles that hold arrays and plain values, read without running anything in them."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 256 * 2**20
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_INTEGERS = ("u1", "i1", "i2", "i4", "i8", "u2", "u4", "u8")


def read_pickle(path: Path) -> Any:
    """A pickle's dicts, lists, strings, numbers and arrays of integers, as a file of its own, as
    ``numpy.save`` puts a dictionary into a ``.npy`` or as ``torch.save`` puts one into a zip.

    A pickle is a program. This reader knows only the three names that an array is made of, and even
    these are stand-ins of its own that keep what they are given; any other name ends the reading
    before anything is called.

    Raises:
        CorruptDataError: the pickle asks for another name (that is, wants to run code), is cut short,
            or is no pickle.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise CorruptDataError(f"{path} is {size} bytes, too large for one batch of images")
    try:
        with path.open("rb") as stream:
            return _plain(_unpickler(_pickled(stream), path).load())
    except CorruptDataError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its opcodes run into
        raise CorruptDataError(
            f"{path} is not a readable pickle: {error}", hint="get the file again from its publisher"
        ) from error


def _pickled(stream: BinaryIO) -> BinaryIO:
    """The stream where the pickle begins, of any of the three kinds of files."""
    start = stream.read(len(_NPY))
    stream.seek(0)
    if start == _NPY:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        read[version](stream)
        return stream
    if start.startswith(_ZIP):
        with zipfile.ZipFile(stream) as archive:
            (member,) = [one for one in archive.infolist() if one.filename.endswith("/data.pkl")]
            if member.file_size > LARGEST:
                raise ValueError(f"{member.filename} would be {member.file_size} bytes")
            return io.BytesIO(archive.read(member))
    return stream


def _unpickler(stream: Any, path: Path) -> pickle.Unpickler:
    # The stand-ins are made anew for each file: a pickle may set attributes on what it is given.
    class Dtype:
        def __init__(self, code: object = None, *_: object) -> None:
            self.code = str(code).lstrip("<|")

        def __setstate__(self, state: Any) -> None:
            if state[1] not in ("<", "|", "="):
                raise ValueError("an array in it is in another byte order")

    class Array:
        state: Any = None

        def __init__(self, *_: object) -> None:
            pass

        def __setstate__(self, state: object) -> None:
            self.state = state

        def values(self) -> Any:
            _, shape, dtype, fortran, data = self.state
            if isinstance(dtype, Dtype) and dtype.code == "O8" and shape == ():
                return data[0]  # what ``numpy.save`` makes of something that is no array
            if not isinstance(dtype, Dtype) or dtype.code not in _INTEGERS:
                raise ValueError("an array in it is not of integers")
            raw = data.encode("latin-1") if isinstance(data, str) else bytes(data)
            flat: NDArray[Any] = np.frombuffer(raw, dtype=f"<{dtype.code}")
            sizes = tuple(int(size) for size in shape)
            return flat.reshape(sizes[::-1]).T if fortran else flat.reshape(sizes)

    def reconstruct(*_: object) -> Array:
        return Array()

    def encode(text: object, encoding: object) -> bytes:
        # Python 3 writes bytes so into old protocols.
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise ValueError("text in an encoding other than latin1")
        return text.encode("latin-1")

    allowed: dict[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): reconstruct,
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Dtype,
        ("_codecs", "encode"): encode,
    }

    class Restricted(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            try:
                return allowed[module, name]
            except KeyError:
                raise CorruptDataError(
                    f"{path} wants to use {module}.{name}; a batch of images needs nothing but arrays, "
                    "so nothing of it was run",
                    hint="do not trust this copy; get the file from its publisher",
                ) from None

    return Restricted(stream, encoding="latin-1")


def _plain(value: Any) -> Any:
    """The value with the stand-ins replaced by arrays."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if hasattr(value, "values"):
        return _plain(value.values())
    return value
